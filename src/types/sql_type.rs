//! [`SqlType`]: the types of the language, their text and their Arrow form.

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

/// Largest precision that is held exactly.
pub const DECIMAL_PRECISION_MAX: u8 = 38;

/// A type of the language.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SqlType {
    /// `BOOLEAN`
    Boolean,
    /// `INT`, `INTEGER`: 32 bits
    Int,
    /// `BIGINT`: 64 bits
    BigInt,
    /// `DOUBLE`
    Double,
    /// `DECIMAL(precision, scale)`
    Decimal(u8, u8),
    /// `VARCHAR`, `STRING`
    String,
    /// `BYTES`
    Bytes,
    /// `TIME`: milliseconds of the day
    Time,
    /// `DATE`: days since the epoch
    Date,
    /// `TIMESTAMP`: milliseconds since the epoch
    Timestamp,
    /// `ARRAY<T>`
    Array(Box<SqlType>),
    /// `MAP<K, V>`
    Map(Box<SqlType>, Box<SqlType>),
    /// `STRUCT<name T, …>`
    Struct(Vec<StructField>),
}

/// A field of a `STRUCT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StructField {
    /// Its name, case kept.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
}

impl StructField {
    /// A field.
    pub fn new(name: impl Into<String>, ty: SqlType) -> Self {
        Self { name: name.into(), ty }
    }
}

impl SqlType {
    /// `ARRAY<item>`.
    pub fn array(item: SqlType) -> Self {
        Self::Array(Box::new(item))
    }

    /// `MAP<key, value>`.
    pub fn map(key: SqlType, value: SqlType) -> Self {
        Self::Map(Box::new(key), Box::new(value))
    }

    /// The Arrow type of a column of this type.
    pub fn arrow(&self) -> DataType {
        match self {
            Self::Boolean => DataType::Boolean,
            Self::Int => DataType::Int32,
            Self::BigInt => DataType::Int64,
            Self::Double => DataType::Float64,
            Self::Decimal(precision, scale) => {
                DataType::Decimal128((*precision).clamp(1, DECIMAL_PRECISION_MAX), *scale as i8)
            }
            Self::String => DataType::Utf8,
            Self::Bytes => DataType::Binary,
            Self::Time => DataType::Time32(TimeUnit::Millisecond),
            Self::Date => DataType::Date32,
            Self::Timestamp => DataType::Timestamp(TimeUnit::Millisecond, None),
            Self::Array(item) => DataType::List(Arc::new(Field::new("item", item.arrow(), true))),
            Self::Map(key, value) => DataType::Map(Arc::new(map_entries(key, value)), false),
            Self::Struct(fields) => DataType::Struct(struct_fields(fields)),
        }
    }

    /// The SQL type of an Arrow type that [`Self::arrow`] makes; other integer, float and string widths widen.
    pub fn from_arrow(data_type: &DataType) -> Option<Self> {
        Some(match data_type {
            DataType::Boolean => Self::Boolean,
            DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 => Self::Int,
            DataType::Int64 | DataType::UInt32 | DataType::UInt64 => Self::BigInt,
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Double,
            DataType::Decimal128(precision, scale) => Self::Decimal(*precision, (*scale).max(0) as u8),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::String,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView => Self::Bytes,
            DataType::Time32(_) | DataType::Time64(_) => Self::Time,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(..) => Self::Timestamp,
            DataType::List(item) | DataType::LargeList(item) => Self::array(Self::from_arrow(item.data_type())?),
            DataType::Map(entries, _) => match entries.data_type() {
                DataType::Struct(kv) => {
                    Self::map(Self::from_arrow(kv[0].data_type())?, Self::from_arrow(kv[1].data_type())?)
                }
                _ => return None,
            },
            DataType::Struct(fields) => Self::Struct(
                fields
                    .iter()
                    .map(|field| Some(StructField::new(field.name(), Self::from_arrow(field.data_type())?)))
                    .collect::<Option<_>>()?,
            ),
            _ => return None,
        })
    }

    /// INT, BIGINT, DECIMAL or DOUBLE.
    pub fn is_numeric(&self) -> bool {
        matches!(self, Self::Int | Self::BigInt | Self::Double | Self::Decimal(..))
    }

    /// TIME, DATE or TIMESTAMP.
    pub fn is_temporal(&self) -> bool {
        matches!(self, Self::Time | Self::Date | Self::Timestamp)
    }

    /// ARRAY, MAP or STRUCT.
    pub fn is_nested(&self) -> bool {
        matches!(self, Self::Array(_) | Self::Map(..) | Self::Struct(_))
    }

    /// Whether a `MAP` occurs at any depth (such columns cannot be keys).
    pub fn contains_map(&self) -> bool {
        match self {
            Self::Map(..) => true,
            Self::Array(item) => item.contains_map(),
            Self::Struct(fields) => fields.iter().any(|field| field.ty.contains_map()),
            _ => false,
        }
    }

    /// The type's name without parameters: `DECIMAL`, `ARRAY`, …
    pub fn base_name(&self) -> &'static str {
        match self {
            Self::Boolean => "BOOLEAN",
            Self::Int => "INTEGER",
            Self::BigInt => "BIGINT",
            Self::Double => "DOUBLE",
            Self::Decimal(..) => "DECIMAL",
            Self::String => "STRING",
            Self::Bytes => "BYTES",
            Self::Time => "TIME",
            Self::Date => "DATE",
            Self::Timestamp => "TIMESTAMP",
            Self::Array(_) => "ARRAY",
            Self::Map(..) => "MAP",
            Self::Struct(_) => "STRUCT",
        }
    }
}

/// The `key`/`value` entries field inside a map column.
pub fn map_entries(key: &SqlType, value: &SqlType) -> Field {
    let fields = vec![Field::new("key", key.arrow(), false), Field::new("value", value.arrow(), true)];
    Field::new("entries", DataType::Struct(Fields::from(fields)), false)
}

/// The Arrow fields of a struct column.
pub fn struct_fields(fields: &[StructField]) -> Fields {
    fields.iter().map(|field| Field::new(&field.name, field.ty.arrow(), true)).collect()
}

/// `` `name` ``, back-quotes doubled: reads back as exactly this name.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// > KSQL: field names of structs print back-quoted, strings as `STRING`, integers as `INTEGER`.
impl fmt::Display for SqlType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(precision, scale) => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Array(item) => write!(f, "ARRAY<{item}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Struct(fields) if fields.is_empty() => f.write_str("STRUCT< >"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, field) in fields.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{} {}", quote_identifier(&field.name), field.ty)?;
                }
                f.write_str(">")
            }
            _ => f.write_str(self.base_name()),
        }
    }
}
