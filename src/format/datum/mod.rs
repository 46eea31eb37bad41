//! [`Datum`]: a value as a format with a schema of its own holds it, between bytes and columns.
//!
//! Messages of AVRO and PROTOBUF are read by their writer's schema into a datum, and then fitted to the columns that
//! are wanted: fields find columns by name whatever its case, and types widen. Writing goes the other way.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::number;
use crate::types::Decimal;
use crate::types::{SqlType, Value};

mod json;
mod source;

pub(super) use source::DatumSource;

/// A value that knows its own kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Datum {
    /// No value.
    Null,
    /// A boolean.
    Bool(bool),
    /// At most 32 bits.
    Int(i32),
    /// At most 64 bits.
    Long(i64),
    /// A floating-point number.
    Double(f64),
    /// An exact decimal.
    Decimal(Decimal),
    /// Text.
    String(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Milliseconds of the day.
    Time(i32),
    /// Days since the epoch.
    Date(i32),
    /// Milliseconds since the epoch.
    Timestamp(i64),
    /// A list.
    Array(Vec<Datum>),
    /// Entries in the order written.
    Map(Vec<(Datum, Datum)>),
    /// Named fields.
    Record(Vec<(Arc<str>, Datum)>),
    /// The value of one branch of several, by the branch's name.
    Branch(Arc<str>, Box<Datum>),
}

impl Datum {
    /// The field that a column of this name takes: of exactly the name, else of the name in another case.
    pub fn field<'a>(fields: &'a [(Arc<str>, Datum)], name: &str) -> Option<&'a Datum> {
        let exact = fields.iter().find(|(field, _)| **field == *name);
        let found = exact.or_else(|| fields.iter().find(|(field, _)| same_name(field, name)));
        let found = found.or_else(|| {
            let legal = legal(name);
            if legal == name { None } else { fields.iter().find(|(field, _)| same_name(field, &legal)) }
        });
        found.map(|(_, datum)| datum)
    }

    /// The cell of a column of type `ty`, or why it cannot be one.
    ///
    /// > KSQL: integers and floats widen, STRING takes any number or boolean as text, decimals must fit exactly; a
    /// > date, time or timestamp may fill the integer column of its width.
    pub fn to_value(&self, ty: &SqlType) -> Result<Value, String> {
        Ok(match (ty, self) {
            (_, Self::Null) => Value::Null,
            (SqlType::Boolean, Self::Bool(v)) => Value::Boolean(*v),
            (SqlType::Int, Self::Int(v) | Self::Date(v) | Self::Time(v)) => Value::Int(*v),
            (SqlType::BigInt, Self::Int(v) | Self::Date(v) | Self::Time(v)) => Value::BigInt(i64::from(*v)),
            (SqlType::BigInt, Self::Long(v) | Self::Timestamp(v)) => Value::BigInt(*v),
            (SqlType::Double, Self::Double(v)) => Value::Double(*v),
            (SqlType::Decimal(precision, scale), datum) if !matches!(datum, Self::Branch(..)) => {
                let decimal = match datum {
                    Self::Decimal(decimal) => Some(*decimal),
                    Self::Int(v) => Some(Decimal::new(i128::from(*v), 0)),
                    Self::Long(v) => Some(Decimal::new(i128::from(*v), 0)),
                    _ => None,
                };
                let decimal = decimal.ok_or_else(|| self.refuse(ty))?;
                let unscaled = decimal.rescaled(*scale).map(|unscaled| Decimal::new(unscaled, *scale));
                match unscaled {
                    Some(fitting) if fitting.precision() <= *precision => Value::Decimal(fitting),
                    _ => return Err(format!("{decimal} does not fit {ty}")),
                }
            }
            (SqlType::String, Self::String(v)) => Value::String(v.clone()),
            (SqlType::String, Self::Bool(_) | Self::Int(_) | Self::Long(_) | Self::Double(_)) => {
                Value::String(self.text().unwrap_or_default())
            }
            (SqlType::Bytes, Self::Bytes(v)) => Value::Bytes(v.clone()),
            (SqlType::Time, Self::Time(v) | Self::Int(v)) => Value::Time(*v),
            (SqlType::Date, Self::Date(v) | Self::Int(v)) => Value::Date(*v),
            (SqlType::Timestamp, Self::Timestamp(v) | Self::Long(v)) => Value::Timestamp(*v),
            (SqlType::Array(item), Self::Array(items)) => Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(i, datum)| datum.to_value(item).map_err(|reason| format!("[{i}]: {reason}")))
                    .collect::<Result<_, _>>()?,
            ),
            (SqlType::Map(key, value), Self::Map(entries)) => {
                let mut map: Vec<(Value, Value)> = Vec::with_capacity(entries.len());
                for (k, v) in entries {
                    let entry = (k.to_value(key)?, v.to_value(value)?);
                    match map.iter_mut().find(|(known, _)| *known == entry.0) {
                        Some(known) => known.1 = entry.1,
                        None => map.push(entry),
                    }
                }
                Value::Map(map)
            }
            // > KSQL: a union of several types is a STRUCT with a field a branch, of which one is not NULL.
            (SqlType::Struct(fields), Self::Branch(name, datum))
                if fields.iter().any(|field| same_name(&field.name, name)) =>
            {
                let cell = |field: &crate::types::StructField| match same_name(&field.name, name) {
                    true => datum.to_value(&field.ty),
                    false => Ok(Value::Null),
                };
                Value::Struct(fields.iter().map(cell).collect::<Result<_, _>>()?)
            }
            (_, Self::Branch(_, datum)) => datum.to_value(ty)?,
            (SqlType::Struct(fields), Self::Record(given)) => Value::Struct(
                fields
                    .iter()
                    .enumerate()
                    .map(|(i, field)| {
                        let datum = match given.get(i) {
                            Some((name, datum)) if **name == *field.name => Some(datum),
                            _ => Self::field(given, &field.name),
                        };
                        let value = datum.map_or(Ok(Value::Null), |datum| datum.to_value(&field.ty));
                        value.map_err(|reason| format!("{}: {reason}", field.name))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            _ => return Err(self.refuse(ty)),
        })
    }

    fn refuse(&self, ty: &SqlType) -> String {
        format!("cannot read {} as {ty}", self.kind())
    }

    /// What it is, for messages.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "a null",
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an int",
            Self::Long(_) => "a long",
            Self::Double(_) => "a double",
            Self::Decimal(_) => "a decimal",
            Self::String(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::Time(_) => "a time",
            Self::Date(_) => "a date",
            Self::Timestamp(_) => "a timestamp",
            Self::Array(_) => "an array",
            Self::Map(_) => "a map",
            Self::Record(_) => "a record",
            Self::Branch(_, datum) => datum.kind(),
        }
    }

    /// A scalar as text, as a STRING column or map key holds it.
    pub(super) fn text(&self) -> Option<String> {
        let mut out = Vec::new();
        match self {
            Self::Bool(v) => return Some(v.to_string()),
            Self::Int(v) | Self::Time(v) | Self::Date(v) => number::write_long(&mut out, i64::from(*v)),
            Self::Long(v) | Self::Timestamp(v) => number::write_long(&mut out, *v),
            Self::Double(v) => number::write_double(&mut out, *v),
            Self::Decimal(v) => return Some(v.to_string()),
            Self::String(v) => return Some(v.clone()),
            Self::Bytes(v) => return Some(STANDARD.encode(v)),
            Self::Branch(_, datum) => return datum.text(),
            Self::Null | Self::Array(_) | Self::Map(_) | Self::Record(_) => return None,
        }
        String::from_utf8(out).ok()
    }

    /// As a whole number.
    pub(super) fn integer(&self) -> Option<i64> {
        match self {
            Self::Int(v) | Self::Time(v) | Self::Date(v) => Some(i64::from(*v)),
            Self::Long(v) | Self::Timestamp(v) => Some(*v),
            Self::Decimal(v) => v.rescaled(0).and_then(|v| i64::try_from(v).ok()),
            Self::Double(v) if v.fract() == 0.0 && v.abs() < 9e15 => Some(*v as i64),
            Self::String(v) => v.parse().ok(),
            _ => None,
        }
    }

    /// As a floating-point number.
    pub(super) fn double(&self) -> Option<f64> {
        match self {
            Self::Double(v) => Some(*v),
            Self::Decimal(v) => Some(v.to_f64()),
            Self::String(v) => number::parse_double(v),
            _ => self.integer().map(|v| v as f64),
        }
    }

    /// As an exact decimal.
    pub(super) fn decimal(&self) -> Option<Decimal> {
        match self {
            Self::Decimal(v) => Some(*v),
            Self::Double(_) | Self::String(_) => Decimal::parse(&self.text()?),
            _ => self.integer().map(|v| Decimal::new(i128::from(v), 0)),
        }
    }

    /// As bytes; text is base64.
    pub(super) fn bytes(&self) -> Option<std::borrow::Cow<'_, [u8]>> {
        match self {
            Self::Bytes(v) => Some(v.as_slice().into()),
            Self::String(v) => STANDARD.decode(v).ok().map(Into::into),
            _ => None,
        }
    }

    /// Entries of a map, or fields as entries.
    pub(super) fn entries(&self) -> Option<Vec<(String, &Datum)>> {
        match self {
            Self::Map(entries) => entries.iter().map(|(k, v)| Some((k.text()?, v))).collect(),
            Self::Record(fields) => Some(fields.iter().map(|(k, v)| (k.to_string(), v)).collect()),
            _ => None,
        }
    }
}

/// Whether two names differ in case at most.
pub(super) fn same_name(a: &str, b: &str) -> bool {
    a.eq_ignore_ascii_case(b) || !a.is_ascii() && a.to_uppercase() == b.to_uppercase()
}

/// A column's name as a field of a schema: letters, digits and `_` stay.
pub(super) fn legal(name: &str) -> String {
    let mut out: String = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '_' { c } else { '_' }).collect();
    if !out.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') {
        out.insert(0, '_');
    }
    out
}

/// Two's complement, big endian, as short as it can be: how AVRO and PROTOBUF write the digits of a decimal.
pub(super) fn decimal_bytes(unscaled: i128) -> Vec<u8> {
    let bytes = unscaled.to_be_bytes();
    let sign = if unscaled < 0 { 0xff } else { 0 };
    let start = (0..15).find(|i| bytes[*i] != sign || (bytes[i + 1] ^ sign) & 0x80 != 0).unwrap_or(15);
    bytes[start..].to_vec()
}

/// Reads what [`decimal_bytes`] writes.
pub(super) fn decimal_from_bytes(bytes: &[u8]) -> Option<i128> {
    let sign = bytes.first().map_or(0, |first| if first & 0x80 != 0 { 0xff } else { 0 });
    let skip = bytes.len().saturating_sub(16);
    if bytes[..skip].iter().any(|byte| *byte != sign) {
        return None;
    }
    let mut wide = [sign; 16];
    let rest = &bytes[skip..];
    wide[16 - rest.len()..].copy_from_slice(rest);
    let number = i128::from_be_bytes(wide);
    ((number < 0) == (sign == 0xff)).then_some(number)
}

#[cfg(test)]
mod tests;
