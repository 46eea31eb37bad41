//! The formats by name: what each takes, and its decoder and encoder.

use super::Formats;
use super::delimited::{DelimitedDecoder, DelimitedEncoder, delimiter};
use super::json::{JsonDecoder, JsonEncoder};
use super::kafka::{KafkaDecoder, KafkaEncoder};
use super::protobuf::{Nullable, ProtobufCodec};
use super::schema::SchemaType;
use super::void::Void;
use super::{Decoder, Encoder};
use crate::error::{Error, Result, did_you_mean};
use crate::types::{Column, FormatSpec, SqlType};

/// Every format that a statement may name.
pub const NAMES: [&str; 8] = ["AVRO", "DELIMITED", "JSON", "JSON_SR", "KAFKA", "NONE", "PROTOBUF", "PROTOBUF_NOSR"];

/// Which half of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// Its key.
    Key,
    /// Its value.
    Value,
}

impl Side {
    fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Value => "value",
        }
    }
}

/// What a decoder or encoder is made for.
pub(super) struct Layout<'a> {
    /// Key or value.
    pub(super) side: Side,
    /// All columns of the side.
    pub(super) columns: &'a [Column],
    /// Which of them are read.
    pub(super) wanted: &'a [bool],
    /// A single column without an object around it.
    pub(super) bare: bool,
}

/// The formats that are built in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Json,
    Delimited,
    Kafka,
    None,
    ProtobufNosr,
    /// With schemas in a registry, in that language.
    Registered(SchemaType),
}

/// The one place that knows names.
pub(super) fn find(name: &str) -> Result<Format> {
    match name {
        "JSON" => Ok(Format::Json),
        "AVRO" => Ok(Format::Registered(SchemaType::Avro)),
        "JSON_SR" => Ok(Format::Registered(SchemaType::Json)),
        "PROTOBUF" => Ok(Format::Registered(SchemaType::Protobuf)),
        "PROTOBUF_NOSR" => Ok(Format::ProtobufNosr),
        "DELIMITED" => Ok(Format::Delimited),
        "KAFKA" => Ok(Format::Kafka),
        "NONE" => Ok(Format::None),
        _ => {
            let hint = match did_you_mean(name, NAMES) {
                Some(near) => format!("Did you mean {near}? The formats are {}.", NAMES.join(", ")),
                None => format!("The formats are {}.", NAMES.join(", ")),
            };
            Err(Error::semantic(format!("unknown format: {name}")).hint(hint))
        }
    }
}

/// Refuses what a format that needs no registry cannot hold: see [`Formats::check`].
pub fn check(spec: &FormatSpec, side: Side, columns: &[Column]) -> Result<()> {
    Formats::default().check(spec, side, columns)
}

/// A reader in a format that needs no registry: see [`Formats::decoder`].
pub fn decoder(spec: &FormatSpec, side: Side, columns: &[Column], wanted: &[bool]) -> Result<Box<dyn Decoder>> {
    Formats::default().decoder(spec, side, columns, wanted)
}

/// A writer in a format that needs no registry: see [`Formats::encoder`].
pub fn encoder(spec: &FormatSpec, side: Side, columns: &[Column]) -> Result<Box<dyn Encoder>> {
    Formats::default().encoder(spec, "", side, columns)
}

/// Refuses what the format cannot hold: types, numbers of columns, settings.
pub(super) fn check_columns(spec: &FormatSpec, side: Side, columns: &[Column]) -> Result<()> {
    let format = find(&spec.name)?;
    let name = &spec.name;
    for property in spec.properties.keys() {
        let known = match format {
            Format::Delimited => property == "DELIMITER",
            Format::ProtobufNosr => matches!(property.as_str(), "SCHEMA_FULL_NAME" | "NULLABLE_REPRESENTATION"),
            Format::Registered(SchemaType::Protobuf) => {
                matches!(property.as_str(), "SCHEMA_FULL_NAME" | "SCHEMA_ID" | "NULLABLE_REPRESENTATION")
            }
            Format::Registered(_) => matches!(property.as_str(), "SCHEMA_FULL_NAME" | "SCHEMA_ID"),
            Format::Json | Format::Kafka | Format::None => false,
        };
        if !known {
            return Err(Error::semantic(format!("the format {name} has no setting {}", property.to_lowercase())));
        }
    }
    match format {
        Format::None => match columns.first() {
            Some(column) => Err(Error::semantic(format!(
                "the {} format NONE is for records without {0} columns, but there is `{}`",
                side.name(),
                column.name
            ))
            .hint("Name another format, such as KAFKA or JSON.")),
            None => Ok(()),
        },
        Format::Kafka => {
            if columns.len() > 1 {
                let names: Vec<_> = columns.iter().map(|column| column.name.as_str()).collect();
                return Err(Error::semantic(format!(
                    "the {} format KAFKA holds a single column, not {}: {}",
                    side.name(),
                    columns.len(),
                    names.join(", ")
                ))
                .hint("JSON and DELIMITED hold several columns."));
            }
            only(spec, side, columns, |ty| {
                matches!(ty, SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::String | SqlType::Bytes)
            })
        }
        Format::Delimited => {
            delimiter(spec)?;
            only(spec, side, columns, |ty| !ty.is_nested())
        }
        Format::Json | Format::Registered(SchemaType::Avro | SchemaType::Json) => check_maps(name, columns),
        Format::ProtobufNosr | Format::Registered(SchemaType::Protobuf) => {
            check_maps(name, columns)?;
            let message = protobuf_name(spec);
            ProtobufCodec::generate(columns, message, Nullable::Never).map(drop).map_err(|reason| {
                Error::semantic(reason).hint("Put the inner one into a STRUCT, or choose JSON or AVRO.")
            })
        }
    }
}

/// Name of the message that the statement asks for.
pub(super) fn protobuf_name(spec: &FormatSpec) -> Option<&str> {
    spec.properties.get("SCHEMA_FULL_NAME").map(String::as_str)
}

fn check_maps(name: &str, columns: &[Column]) -> Result<()> {
    columns.iter().try_for_each(|column| match bad_map(&column.ty) {
        Some(key) => Err(Error::semantic(format!(
            "{name} maps have STRING keys, but column `{}` has a MAP with {key} keys",
            column.name
        ))),
        None => Ok(()),
    })
}

fn only(spec: &FormatSpec, side: Side, columns: &[Column], takes: impl Fn(&SqlType) -> bool) -> Result<()> {
    match columns.iter().find(|column| !takes(&column.ty)) {
        Some(column) => Err(Error::semantic(format!(
            "the {} format {} does not support the type {} of column `{}`",
            side.name(),
            spec.name,
            column.ty.base_name(),
            column.name
        ))
        .hint("JSON holds every type.")),
        None => Ok(()),
    }
}

/// The key type of a map, at any depth, whose keys are no strings.
fn bad_map(ty: &SqlType) -> Option<&SqlType> {
    match ty {
        SqlType::Map(key, _) if **key != SqlType::String => Some(key),
        SqlType::Map(_, item) | SqlType::Array(item) => bad_map(item),
        SqlType::Struct(fields) => fields.iter().find_map(|field| bad_map(&field.ty)),
        _ => None,
    }
}

impl Formats {
    /// Refuses what the format cannot hold: types, numbers of columns, settings; and formats that need a registry
    /// where there is none.
    pub fn check(&self, spec: &FormatSpec, side: Side, columns: &[Column]) -> Result<()> {
        if let Format::Registered(_) = find(&spec.name)? {
            self.registry(&spec.name)?;
        }
        check_columns(spec, side, columns)
    }

    /// A reader of one side. `columns` are all its columns; only those `wanted` are put out, in their order.
    pub fn decoder(
        &self,
        spec: &FormatSpec,
        side: Side,
        columns: &[Column],
        wanted: &[bool],
    ) -> Result<Box<dyn Decoder>> {
        self.check(spec, side, columns)?;
        if wanted.len() != columns.len() {
            return Err(Error::internal("one `wanted` a column"));
        }
        let layout = Layout { side, columns, wanted, bare: bare(spec, side, columns) };
        let format = find(&spec.name)?;
        Ok(match format {
            _ if is_void(format, side, columns) => Box::new(Void),
            Format::Json => Box::new(JsonDecoder::new(&layout)),
            Format::Delimited => Box::new(DelimitedDecoder::new(&layout, delimiter(spec)?)),
            Format::Kafka => Box::new(KafkaDecoder::new(&layout)),
            Format::None => Box::new(Void),
            Format::ProtobufNosr => self.plain_protobuf_decoder(spec, &layout)?,
            Format::Registered(ty) => self.framed_decoder(spec, &layout, ty)?,
        })
    }

    /// A writer of one side of `topic`, which says where its schema is registered.
    pub fn encoder(&self, spec: &FormatSpec, topic: &str, side: Side, columns: &[Column]) -> Result<Box<dyn Encoder>> {
        self.check(spec, side, columns)?;
        let layout = Layout { side, columns, wanted: &vec![true; columns.len()], bare: bare(spec, side, columns) };
        let format = find(&spec.name)?;
        Ok(match format {
            _ if is_void(format, side, columns) => Box::new(Void),
            Format::Json => Box::new(JsonEncoder::new(&layout)),
            Format::Delimited => Box::new(DelimitedEncoder::new(&layout, delimiter(spec)?)),
            Format::Kafka => Box::new(KafkaEncoder::new(&layout)),
            Format::None => Box::new(Void),
            Format::ProtobufNosr => self.plain_protobuf_encoder(spec, &layout)?,
            Format::Registered(ty) => self.framed_encoder(spec, topic, &layout, ty)?,
        })
    }
}

/// Keys without columns are null whatever their format; so are values in a format without an empty record.
fn is_void(format: Format, side: Side, columns: &[Column]) -> bool {
    columns.is_empty() && (side == Side::Key || matches!(format, Format::Kafka | Format::None))
}

/// > KSQL: a single key column stands alone, several form an object; values follow the wrapping asked for. PROTOBUF
/// > knows nothing but messages.
pub(super) fn bare(spec: &FormatSpec, side: Side, columns: &[Column]) -> bool {
    let message = matches!(spec.name.as_str(), "PROTOBUF" | "PROTOBUF_NOSR");
    columns.len() == 1 && !message && (side == Side::Key || !spec.wrapped)
}
