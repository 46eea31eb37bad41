//! Messages that say which schema of the registry they are written in: a zero byte and the schema's number, 4 bytes big
//! endian, stand before them.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::avro::AvroCodec;
use super::datum::{Datum, DatumSource};
use super::protobuf::ProtobufCodec;
use super::schema::{Schema, SchemaRegistry, SchemaType};
use super::{Decoded, Decoder, Encoder, Layout, NullRows, check_size};
use crate::change::{Payloads, Slots};
use crate::error::{Error, RecordError, Result};
use crate::types::{Column, SqlType, StructField, Value, ValueBuilder};

/// Bytes before the message.
const HEADER: usize = 5;

/// The schema's number and the rest of a message.
pub(super) fn split(bytes: &[u8]) -> Result<(i32, &[u8]), String> {
    match bytes {
        [0, a, b, c, d, rest @ ..] => Ok((i32::from_be_bytes([*a, *b, *c, *d]), rest)),
        [0, ..] | [] => Err(format!("{} bytes are too few for the number of a schema", bytes.len())),
        [first, ..] => {
            Err(format!("the message begins with {first}, not with 0 and the number of a schema in the registry"))
        }
    }
}

fn put_header(out: &mut Vec<u8>, id: i32) {
    out.push(0);
    out.extend_from_slice(&id.to_be_bytes());
}

/// How the bytes behind the header are read and written.
#[derive(Debug, Clone)]
pub(super) enum Codec {
    Avro(AvroCodec),
    Protobuf(ProtobufCodec),
    /// The JSON format reads and writes it; only its type is of interest.
    Json,
}

impl Codec {
    /// The codec of a schema. `full_name` chooses a message of a PROTOBUF schema.
    pub(super) fn new(schema: &Schema, full_name: Option<&str>) -> Result<Self, String> {
        Ok(match schema.ty {
            SchemaType::Avro => Self::Avro(AvroCodec::parse(schema)?),
            SchemaType::Protobuf => Self::Protobuf(ProtobufCodec::parse(schema, full_name)?),
            SchemaType::Json => Self::Json,
        })
    }

    pub(super) fn read(&self, bytes: &[u8]) -> Result<Datum, String> {
        match self {
            Self::Avro(codec) => codec.read(bytes),
            Self::Protobuf(codec) => codec.read_framed(bytes),
            Self::Json => Datum::from_json(std::str::from_utf8(bytes).map_err(|error| error.to_string())?),
        }
    }

    pub(super) fn write(&self, datum: &Datum, out: &mut Vec<u8>) -> Result<(), String> {
        match self {
            Self::Avro(codec) => codec.write(datum, out),
            Self::Protobuf(codec) => codec.write_framed(datum, out),
            Self::Json => {
                out.extend_from_slice(datum.to_json().as_bytes());
                Ok(())
            }
        }
    }
}

/// What reads a message into a datum.
pub(super) enum Reading {
    /// In the schema whose number the message says.
    Registry(Arc<dyn SchemaRegistry>, HashMap<i32, Codec>),
    /// In a schema known beforehand.
    Fixed(ProtobufCodec),
}

impl Reading {
    /// Reads a message. The outer error is the registry's, the inner one the message's.
    fn read(&mut self, bytes: &[u8], ty: SchemaType) -> Result<Result<Datum, String>> {
        let (registry, codecs) = match self {
            Self::Fixed(codec) => return Ok(codec.read(bytes)),
            Self::Registry(registry, codecs) => (registry, codecs),
        };
        let (id, body) = match split(bytes) {
            Ok(parts) => parts,
            Err(reason) => return Ok(Err(reason)),
        };
        if let Some(codec) = codecs.get(&id) {
            return Ok(codec.read(body));
        }
        let Some(schema) = registry.by_id(id)? else {
            return Ok(Err(format!("the registry has no schema {id}")));
        };
        if schema.ty != ty {
            return Ok(Err(format!("the schema {id} is {}, not {}", schema.ty.name(), ty.name())));
        }
        match Codec::new(&schema, None) {
            Ok(codec) => Ok(codecs.entry(id).or_insert(codec).read(body)),
            Err(reason) => Ok(Err(format!("schema {id}: {reason}"))),
        }
    }
}

/// Reads AVRO and PROTOBUF.
pub(super) struct DatumDecoder {
    reading: Reading,
    schema_type: SchemaType,
    /// The wanted columns as fields of one struct.
    row: SqlType,
    builders: Vec<ValueBuilder>,
    bare: bool,
}

impl DatumDecoder {
    pub(super) fn new(layout: &Layout<'_>, reading: Reading, schema_type: SchemaType) -> Self {
        let wanted = layout.columns.iter().zip(layout.wanted).filter(|(_, wanted)| **wanted);
        let wanted: Vec<&Column> = wanted.map(|(column, _)| column).collect();
        Self {
            reading,
            schema_type,
            builders: wanted.iter().map(|column| ValueBuilder::new(&column.ty, 0)).collect(),
            row: SqlType::Struct(wanted.iter().map(|c| StructField::new(&c.name, c.ty.clone())).collect()),
            bare: layout.bare,
        }
    }

    fn message(&mut self, bytes: &[u8]) -> Result<Result<Option<Vec<Value>>, String>> {
        let datum = match self.reading.read(bytes, self.schema_type)? {
            Ok(Datum::Null) => return Ok(Ok(None)),
            Ok(datum) => datum,
            Err(reason) => return Ok(Err(reason)),
        };
        let SqlType::Struct(fields) = &self.row else { return Err(Error::internal("a row is a struct")) };
        if self.bare {
            let cells = fields.iter().map(|field| datum.to_value(&field.ty)).collect::<Result<Vec<_>, _>>();
            return Ok(cells.map(Some));
        }
        Ok(datum.to_value(&self.row).map(|row| match row {
            Value::Struct(cells) => Some(cells),
            _ => None,
        }))
    }
}

impl Decoder for DatumDecoder {
    fn decode(&mut self, payloads: Payloads<'_>) -> Result<Decoded> {
        check_size(payloads)?;
        let mut errors = Vec::new();
        let mut nulls = NullRows::new(payloads.len());
        for (row, payload) in payloads.iter().enumerate() {
            let cells = match payload.map(|bytes| self.message(bytes)).transpose()? {
                Some(Ok(Some(cells))) => Some(cells),
                None | Some(Ok(None)) => {
                    nulls.set(row);
                    None
                }
                Some(Err(reason)) => {
                    errors.push(RecordError { row, place: "deserialization".to_owned(), reason });
                    None
                }
            };
            match cells {
                Some(cells) => self.builders.iter_mut().zip(&cells).for_each(|(builder, cell)| builder.push(cell)),
                None => self.builders.iter_mut().for_each(ValueBuilder::push_null),
            }
        }
        let columns = self.builders.iter_mut().map(ValueBuilder::finish).collect();
        Ok(Decoded { columns, null: nulls.finish(), errors })
    }
}

/// What a message begins with.
#[derive(Debug, Clone, Copy)]
pub(super) enum Header {
    /// The number of its schema.
    Schema(i32),
    /// Nothing.
    None,
}

/// Writes AVRO and PROTOBUF.
pub(super) struct DatumEncoder {
    codec: Codec,
    header: Header,
    source: DatumSource,
    bare: bool,
}

impl DatumEncoder {
    pub(super) fn new(layout: &Layout<'_>, codec: Codec, header: Header) -> Self {
        Self { codec, header, source: DatumSource::new(layout.columns), bare: layout.bare }
    }

    fn write(&self, columns: &[ArrayRef], row: usize, out: &mut Vec<u8>) -> Result<bool, String> {
        let datum = if self.bare { self.source.bare(columns, row) } else { self.source.record(columns, row) };
        if datum == Datum::Null {
            return Ok(false);
        }
        match (self.header, &self.codec) {
            (Header::Schema(id), codec) => {
                put_header(out, id);
                codec.write(&datum, out)?;
            }
            (Header::None, Codec::Protobuf(codec)) => codec.write(&datum, out)?,
            (Header::None, codec) => codec.write(&datum, out)?,
        }
        Ok(true)
    }
}

impl Encoder for DatumEncoder {
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        null: Option<&BooleanBuffer>,
        out: &mut Slots,
    ) -> Result<Vec<RecordError>> {
        let mut errors = Vec::new();
        for row in 0..rows {
            if null.is_some_and(|null| null.value(row)) {
                out.push_null();
                continue;
            }
            let start = out.data.len();
            match self.write(columns, row, &mut out.data) {
                Ok(true) => out.close(start),
                Ok(false) => out.push_null(),
                Err(reason) => {
                    out.data.truncate(start);
                    out.push_null();
                    errors.push(RecordError { row, place: "serialization".to_owned(), reason });
                }
            }
        }
        Ok(errors)
    }
}

/// Reads what another decoder reads, behind headers.
pub(super) struct StrippingDecoder {
    pub(super) inner: Box<dyn Decoder>,
}

impl Decoder for StrippingDecoder {
    fn decode(&mut self, payloads: Payloads<'_>) -> Result<Decoded> {
        let mut stripped = Slots::default();
        let mut errors = Vec::new();
        for (row, payload) in payloads.iter().enumerate() {
            match payload.map(split) {
                Some(Ok((_, body))) => stripped.push(Some(body)),
                None => stripped.push_null(),
                Some(Err(reason)) => {
                    errors.push(RecordError { row, place: "deserialization".to_owned(), reason });
                    stripped.push_null();
                }
            }
        }
        let mut decoded = self.inner.decode(stripped.view(0..payloads.len()))?;
        if !errors.is_empty() {
            // Unreadable rows are errors, not null messages.
            let failed: Vec<usize> = errors.iter().map(|error| error.row).collect();
            decoded.null = decoded.null.map(|null| {
                null.iter().enumerate().map(|(row, is_null)| is_null && failed.binary_search(&row).is_err()).collect()
            });
            decoded.errors.extend(errors);
            decoded.errors.sort_by_key(|error| error.row);
        }
        Ok(decoded)
    }
}

/// Writes what another encoder writes, behind headers.
pub(super) struct PrependingEncoder {
    pub(super) inner: Box<dyn Encoder>,
    pub(super) id: i32,
    /// Types of columns that the inner encoder has besides: they are NULL.
    pub(super) extra: Vec<SqlType>,
}

impl Encoder for PrependingEncoder {
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        null: Option<&BooleanBuffer>,
        out: &mut Slots,
    ) -> Result<Vec<RecordError>> {
        let mut bodies = Slots::default();
        let nulls = self.extra.iter().map(|ty| Value::Null.repeat(ty, rows));
        let columns: Vec<ArrayRef> = columns.iter().cloned().chain(nulls).collect();
        let errors = self.inner.encode(&columns, rows, null, &mut bodies)?;
        for row in 0..rows {
            match bodies.get(row) {
                Some(body) => {
                    let start = out.data.len();
                    out.data.reserve(HEADER + body.len());
                    put_header(&mut out.data, self.id);
                    out.data.extend_from_slice(body);
                    out.close(start);
                }
                None => out.push_null(),
            }
        }
        Ok(errors)
    }
}
