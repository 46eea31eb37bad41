//! [`JsonEncoder`]: columns to JSON messages.
//!
//! > KSQL: NULLs are written, fields stand in the schema's order, decimals show all digits of their scale, doubles look
//! > as in Java, non-ASCII stays unescaped. A single unwrapped NULL is a null message.

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, MapArray, StringArray,
};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::write_string;
use crate::change::Slots;
use crate::error::{Error, RecordError, Result};
use crate::format::number::{write_decimal, write_double, write_long};
use crate::format::{Encoder, Layout};

/// Writes JSON.
pub(in crate::format) struct JsonEncoder {
    /// `{"A":`, `,"B":`, …
    prefixes: Vec<Vec<u8>>,
    bare: bool,
}

impl JsonEncoder {
    pub(in crate::format) fn new(layout: &Layout<'_>) -> Self {
        Self { prefixes: prefixes(layout.columns.iter().map(|column| column.name.as_str())), bare: layout.bare }
    }
}

fn prefixes<'a>(names: impl Iterator<Item = &'a str>) -> Vec<Vec<u8>> {
    names
        .enumerate()
        .map(|(i, name)| {
            let mut prefix = vec![if i == 0 { b'{' } else { b',' }];
            write_string(&mut prefix, name);
            prefix.push(b':');
            prefix
        })
        .collect()
}

impl Encoder for JsonEncoder {
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        null: Option<&BooleanBuffer>,
        out: &mut Slots,
    ) -> Result<Vec<RecordError>> {
        if columns.len() != self.prefixes.len() {
            return Err(Error::internal(format!("{} columns for {}", columns.len(), self.prefixes.len())));
        }
        let cells = columns.iter().map(|column| Cells::new(column)).collect::<Result<Vec<_>>>()?;
        for row in 0..rows {
            if null.is_some_and(|null| null.value(row)) || self.bare && columns[0].is_null(row) {
                out.push_null();
                continue;
            }
            let start = out.data.len();
            if self.bare {
                cells[0].write(&mut out.data, row);
            } else {
                write_object(&mut out.data, &self.prefixes, &cells, row);
            }
            out.close(start);
        }
        Ok(Vec::new())
    }
}

#[inline]
fn write_object(out: &mut Vec<u8>, prefixes: &[Vec<u8>], cells: &[Cells<'_>], row: usize) {
    if cells.is_empty() {
        return out.extend_from_slice(b"{}");
    }
    for (prefix, cells) in prefixes.iter().zip(cells) {
        out.extend_from_slice(prefix);
        cells.write(out, row);
    }
    out.push(b'}');
}

/// A column whose type is found out once a batch.
enum Cells<'a> {
    Boolean(&'a BooleanArray),
    Int(&'a Int32Array),
    BigInt(&'a Int64Array),
    Double(&'a Float64Array),
    Decimal(&'a Decimal128Array, u8),
    String(&'a StringArray),
    Bytes(&'a BinaryArray),
    /// DATE and TIME.
    Number32(&'a [i32], Option<&'a NullBuffer>),
    /// TIMESTAMP.
    Number64(&'a [i64], Option<&'a NullBuffer>),
    Array(&'a ListArray, Box<Cells<'a>>),
    Map(&'a MapArray, &'a StringArray, Box<Cells<'a>>),
    Struct(Option<&'a NullBuffer>, Vec<Vec<u8>>, Vec<Cells<'a>>),
}

impl<'a> Cells<'a> {
    fn new(array: &'a dyn Array) -> Result<Self> {
        Ok(match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean()),
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>()),
            DataType::Int64 => Self::BigInt(array.as_primitive::<Int64Type>()),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>()),
            DataType::Decimal128(_, scale) => Self::Decimal(array.as_primitive::<Decimal128Type>(), *scale as u8),
            DataType::Utf8 => Self::String(array.as_string::<i32>()),
            DataType::Binary => Self::Bytes(array.as_binary::<i32>()),
            DataType::Time32(_) => {
                Self::Number32(array.as_primitive::<Time32MillisecondType>().values(), array.nulls())
            }
            DataType::Date32 => Self::Number32(array.as_primitive::<Date32Type>().values(), array.nulls()),
            DataType::Timestamp(..) => {
                Self::Number64(array.as_primitive::<TimestampMillisecondType>().values(), array.nulls())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                Self::Array(list, Box::new(Self::new(list.values())?))
            }
            DataType::Map(..) => {
                let map = array.as_map();
                let keys = map.keys().as_string_opt::<i32>();
                let keys = keys.ok_or_else(|| Error::internal("JSON map keys must be strings"))?;
                Self::Map(map, keys, Box::new(Self::new(map.values())?))
            }
            DataType::Struct(fields) => {
                let children = array.as_struct().columns().iter();
                Self::Struct(
                    array.nulls(),
                    prefixes(fields.iter().map(|field| field.name().as_str())),
                    children.map(|child| Self::new(child)).collect::<Result<_>>()?,
                )
            }
            other => return Err(Error::internal(format!("no SQL type has the Arrow type {other}"))),
        })
    }

    #[inline]
    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Boolean(a) => a.is_null(row),
            Self::Int(a) => a.is_null(row),
            Self::BigInt(a) => a.is_null(row),
            Self::Double(a) => a.is_null(row),
            Self::Decimal(a, _) => a.is_null(row),
            Self::String(a) => a.is_null(row),
            Self::Bytes(a) => a.is_null(row),
            Self::Number32(_, nulls) | Self::Number64(_, nulls) | Self::Struct(nulls, ..) => {
                nulls.is_some_and(|nulls| nulls.is_null(row))
            }
            Self::Array(a, _) => a.is_null(row),
            Self::Map(a, ..) => a.is_null(row),
        }
    }

    #[inline]
    fn write(&self, out: &mut Vec<u8>, row: usize) {
        if self.is_null(row) {
            return out.extend_from_slice(b"null");
        }
        match self {
            Self::Boolean(a) => out.extend_from_slice(if a.value(row) { b"true" } else { b"false" }),
            Self::Int(a) => write_long(out, i64::from(a.value(row))),
            Self::BigInt(a) => write_long(out, a.value(row)),
            Self::Double(a) => {
                let value = a.value(row);
                if value.is_finite() {
                    return write_double(out, value);
                }
                out.push(b'"');
                write_double(out, value);
                out.push(b'"');
            }
            Self::Decimal(a, scale) => write_decimal(out, a.value(row), *scale),
            Self::String(a) => write_string(out, a.value(row)),
            Self::Bytes(a) => {
                out.push(b'"');
                out.extend_from_slice(STANDARD.encode(a.value(row)).as_bytes());
                out.push(b'"');
            }
            Self::Number32(values, _) => write_long(out, i64::from(values[row])),
            Self::Number64(values, _) => write_long(out, values[row]),
            Self::Array(list, items) => {
                out.push(b'[');
                let (start, end) = (list.value_offsets()[row] as usize, list.value_offsets()[row + 1] as usize);
                for i in start..end {
                    if i > start {
                        out.push(b',');
                    }
                    items.write(out, i);
                }
                out.push(b']');
            }
            Self::Map(map, keys, values) => {
                out.push(b'{');
                let (start, end) = (map.value_offsets()[row] as usize, map.value_offsets()[row + 1] as usize);
                for i in start..end {
                    if i > start {
                        out.push(b',');
                    }
                    write_string(out, keys.value(i));
                    out.push(b':');
                    values.write(out, i);
                }
                out.push(b'}');
            }
            Self::Struct(_, prefixes, children) => write_object(out, prefixes, children, row),
        }
    }
}
