//! [`Value`]: one cell outside an array, for literals, functions that work row by row, and results shown to people.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder,
    Int32Builder, Int64Builder, ListArray, MapArray, StringBuilder, StructArray, Time32MillisecondBuilder,
    TimestampMillisecondBuilder,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Field, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};

use super::sql_type::{map_entries, struct_fields};
use super::{SqlType, StructField};

/// An exact decimal: `unscaled × 10^-scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    /// All digits.
    pub unscaled: i128,
    /// How many of them stand behind the point.
    pub scale: u8,
}

/// One cell. The variant follows the column's [`SqlType`].
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// `BOOLEAN`
    Boolean(bool),
    /// `INT`
    Int(i32),
    /// `BIGINT`
    BigInt(i64),
    /// `DOUBLE`
    Double(f64),
    /// `DECIMAL`
    Decimal(Decimal),
    /// `STRING`
    String(String),
    /// `BYTES`
    Bytes(Vec<u8>),
    /// `TIME`: milliseconds of the day
    Time(i32),
    /// `DATE`: days since the epoch
    Date(i32),
    /// `TIMESTAMP`: milliseconds since the epoch
    Timestamp(i64),
    /// `ARRAY`
    Array(Vec<Value>),
    /// `MAP`, in insertion order
    Map(Vec<(Value, Value)>),
    /// `STRUCT`: fields in the type's order
    Struct(Vec<Value>),
}

impl Value {
    /// Whether it is NULL.
    pub fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The text of a string value.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number of an INT or BIGINT.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Int(v) => Some(i64::from(*v)),
            Self::BigInt(v) => Some(*v),
            _ => None,
        }
    }

    /// The cell `row` of `array`, whose type is one that [`SqlType::arrow`] makes.
    pub fn from_array(array: &dyn Array, row: usize) -> Self {
        if array.is_null(row) {
            return Self::Null;
        }
        match array.data_type() {
            DataType::Boolean => Self::Boolean(array.as_boolean().value(row)),
            DataType::Int32 => Self::Int(array.as_primitive::<Int32Type>().value(row)),
            DataType::Int64 => Self::BigInt(array.as_primitive::<Int64Type>().value(row)),
            DataType::Float64 => Self::Double(array.as_primitive::<Float64Type>().value(row)),
            DataType::Decimal128(_, scale) => {
                let unscaled = array.as_primitive::<Decimal128Type>().value(row);
                Self::Decimal(Decimal { unscaled, scale: *scale as u8 })
            }
            DataType::Utf8 => Self::String(array.as_string::<i32>().value(row).to_owned()),
            DataType::Binary => Self::Bytes(array.as_binary::<i32>().value(row).to_owned()),
            DataType::Time32(_) => Self::Time(array.as_primitive::<Time32MillisecondType>().value(row)),
            DataType::Date32 => Self::Date(array.as_primitive::<Date32Type>().value(row)),
            DataType::Timestamp(..) => Self::Timestamp(array.as_primitive::<TimestampMillisecondType>().value(row)),
            DataType::List(_) => Self::Array(Self::all(&array.as_list::<i32>().value(row))),
            DataType::Map(..) => {
                let entries = array.as_map().value(row);
                Self::Map(Self::all(entries.column(0)).into_iter().zip(Self::all(entries.column(1))).collect())
            }
            DataType::Struct(_) => {
                Self::Struct(array.as_struct().columns().iter().map(|column| Self::from_array(column, row)).collect())
            }
            other => unreachable!("no SQL type has the Arrow type {other}"),
        }
    }

    /// All cells of `array`.
    pub fn all(array: &dyn Array) -> Vec<Self> {
        (0..array.len()).map(|row| Self::from_array(array, row)).collect()
    }

    /// An array of `len` cells with this value.
    pub fn repeat(&self, ty: &SqlType, len: usize) -> ArrayRef {
        let mut builder = ValueBuilder::new(ty, len);
        for _ in 0..len {
            builder.push(self);
        }
        builder.finish()
    }

    /// An array of the cells.
    pub fn to_array<'a>(ty: &SqlType, values: impl IntoIterator<Item = &'a Value>) -> ArrayRef {
        let mut builder = ValueBuilder::new(ty, 0);
        for value in values {
            builder.push(value);
        }
        builder.finish()
    }

    /// Order of two values of one type, NULLs first; doubles in total order, nested values field by field.
    pub fn total_cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Null, Self::Null) => Ordering::Equal,
            (Self::Null, _) => Ordering::Less,
            (_, Self::Null) => Ordering::Greater,
            (Self::Boolean(a), Self::Boolean(b)) => a.cmp(b),
            (Self::Int(a), Self::Int(b)) | (Self::Time(a), Self::Time(b)) | (Self::Date(a), Self::Date(b)) => a.cmp(b),
            (Self::BigInt(a), Self::BigInt(b)) | (Self::Timestamp(a), Self::Timestamp(b)) => a.cmp(b),
            (Self::Double(a), Self::Double(b)) => a.total_cmp(b),
            (Self::Decimal(a), Self::Decimal(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::Array(a), Self::Array(b)) | (Self::Struct(a), Self::Struct(b)) => lexicographic(a, b),
            (Self::Map(a), Self::Map(b)) => {
                let flat =
                    |map: &[(Value, Value)]| map.iter().flat_map(|(k, v)| [k.clone(), v.clone()]).collect::<Vec<_>>();
                lexicographic(&flat(a), &flat(b))
            }
            _ => self.rank().cmp(&other.rank()),
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Boolean(_) => 1,
            Self::Int(_) => 2,
            Self::BigInt(_) => 3,
            Self::Double(_) => 4,
            Self::Decimal(_) => 5,
            Self::String(_) => 6,
            Self::Bytes(_) => 7,
            Self::Time(_) => 8,
            Self::Date(_) => 9,
            Self::Timestamp(_) => 10,
            Self::Array(_) => 11,
            Self::Map(_) => 12,
            Self::Struct(_) => 13,
        }
    }
}

fn lexicographic(a: &[Value], b: &[Value]) -> Ordering {
    a.iter().zip(b).map(|(x, y)| x.total_cmp(y)).find(|o| o.is_ne()).unwrap_or_else(|| a.len().cmp(&b.len()))
}

impl Ord for Decimal {
    fn cmp(&self, other: &Self) -> Ordering {
        let scale = self.scale.max(other.scale);
        match (self.rescaled(scale), other.rescaled(scale)) {
            (Some(a), Some(b)) => a.cmp(&b),
            _ => self.to_f64().total_cmp(&other.to_f64()),
        }
    }
}

impl PartialOrd for Decimal {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Decimal {
    /// A decimal.
    pub fn new(unscaled: i128, scale: u8) -> Self {
        Self { unscaled, scale }
    }

    /// The digits at another scale, if that is exact and fits.
    pub fn rescaled(self, scale: u8) -> Option<i128> {
        if scale >= self.scale {
            self.unscaled.checked_mul(10i128.checked_pow(u32::from(scale - self.scale))?)
        } else {
            let divisor = 10i128.checked_pow(u32::from(self.scale - scale))?;
            (self.unscaled % divisor == 0).then_some(self.unscaled / divisor)
        }
    }

    /// The nearest decimal of that scale, halves away from zero.
    pub fn rounded(self, scale: u8) -> Option<Self> {
        if scale >= self.scale {
            return Some(Self::new(self.rescaled(scale)?, scale));
        }
        let divisor = 10i128.checked_pow(u32::from(self.scale - scale))?;
        let (quotient, rest) = (self.unscaled / divisor, self.unscaled % divisor);
        let up = i128::from(rest.unsigned_abs() * 2 >= divisor.unsigned_abs()) * self.unscaled.signum();
        Some(Self::new(quotient + up, scale))
    }

    /// How many digits it has.
    pub fn precision(self) -> u8 {
        let digits = self.unscaled.unsigned_abs().checked_ilog10().map_or(1, |log| log as u8 + 1);
        digits.max(self.scale)
    }

    /// The nearest double.
    pub fn to_f64(self) -> f64 {
        self.to_string().parse().unwrap_or(f64::NAN)
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`.
    pub fn parse(text: &str) -> Option<Self> {
        let (mantissa, exponent) = match text.find(['e', 'E']) {
            Some(at) => (&text[..at], text[at + 1..].parse::<i32>().ok()?),
            None => (text, 0),
        };
        let (sign, digits) = match mantissa.strip_prefix('-') {
            Some(rest) => (-1, rest),
            None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        if whole.is_empty() && fraction.is_empty() || !whole.bytes().chain(fraction.bytes()).all(|b| b.is_ascii_digit())
        {
            return None;
        }
        let mut unscaled: i128 = 0;
        for digit in whole.bytes().chain(fraction.bytes()) {
            unscaled = unscaled.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
        }
        let scale = i32::try_from(fraction.len()).ok()?.checked_sub(exponent)?;
        if scale < 0 {
            unscaled = unscaled.checked_mul(10i128.checked_pow(scale.unsigned_abs())?)?;
        }
        Some(Self::new(sign * unscaled, u8::try_from(scale.max(0)).ok()?))
    }
}

/// Plain notation, never an exponent.
impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.unscaled < 0 { "-" } else { "" };
        let scale = usize::from(self.scale);
        let digits = format!("{:0>width$}", self.unscaled.unsigned_abs(), width = scale + 1);
        let (whole, fraction) = digits.split_at(digits.len() - scale);
        write!(f, "{sign}{whole}")?;
        if scale > 0 { write!(f, ".{fraction}") } else { Ok(()) }
    }
}

/// Builds an array from [`Value`]s. A value of another type than the column's counts as NULL.
#[derive(Debug)]
pub enum ValueBuilder {
    #[doc(hidden)]
    Boolean(BooleanBuilder),
    #[doc(hidden)]
    Int(Int32Builder),
    #[doc(hidden)]
    BigInt(Int64Builder),
    #[doc(hidden)]
    Double(Float64Builder),
    #[doc(hidden)]
    Decimal(Decimal128Builder, u8),
    #[doc(hidden)]
    String(StringBuilder),
    #[doc(hidden)]
    Bytes(BinaryBuilder),
    #[doc(hidden)]
    Time(Time32MillisecondBuilder),
    #[doc(hidden)]
    Date(Date32Builder),
    #[doc(hidden)]
    Timestamp(TimestampMillisecondBuilder),
    #[doc(hidden)]
    Array { item: Box<ValueBuilder>, ty: SqlType, lengths: Vec<usize>, valid: Vec<bool> },
    #[doc(hidden)]
    Map {
        key: Box<ValueBuilder>,
        value: Box<ValueBuilder>,
        ty: (SqlType, SqlType),
        lengths: Vec<usize>,
        valid: Vec<bool>,
    },
    #[doc(hidden)]
    Struct { children: Vec<ValueBuilder>, fields: Vec<StructField>, valid: Vec<bool> },
}

impl ValueBuilder {
    /// An empty builder for columns of `ty`.
    pub fn new(ty: &SqlType, capacity: usize) -> Self {
        match ty {
            SqlType::Boolean => Self::Boolean(BooleanBuilder::with_capacity(capacity)),
            SqlType::Int => Self::Int(Int32Builder::with_capacity(capacity)),
            SqlType::BigInt => Self::BigInt(Int64Builder::with_capacity(capacity)),
            SqlType::Double => Self::Double(Float64Builder::with_capacity(capacity)),
            SqlType::Decimal(_, scale) => {
                Self::Decimal(Decimal128Builder::with_capacity(capacity).with_data_type(ty.arrow()), *scale)
            }
            SqlType::String => Self::String(StringBuilder::with_capacity(capacity, capacity * 8)),
            SqlType::Bytes => Self::Bytes(BinaryBuilder::with_capacity(capacity, capacity * 8)),
            SqlType::Time => Self::Time(Time32MillisecondBuilder::with_capacity(capacity)),
            SqlType::Date => Self::Date(Date32Builder::with_capacity(capacity)),
            SqlType::Timestamp => Self::Timestamp(TimestampMillisecondBuilder::with_capacity(capacity)),
            SqlType::Array(item) => Self::Array {
                item: Box::new(Self::new(item, capacity)),
                ty: (**item).clone(),
                lengths: Vec::with_capacity(capacity),
                valid: Vec::with_capacity(capacity),
            },
            SqlType::Map(key, value) => Self::Map {
                key: Box::new(Self::new(key, capacity)),
                value: Box::new(Self::new(value, capacity)),
                ty: ((**key).clone(), (**value).clone()),
                lengths: Vec::with_capacity(capacity),
                valid: Vec::with_capacity(capacity),
            },
            SqlType::Struct(fields) => Self::Struct {
                children: fields.iter().map(|field| Self::new(&field.ty, capacity)).collect(),
                fields: fields.clone(),
                valid: Vec::with_capacity(capacity),
            },
        }
    }

    /// Appends one cell.
    pub fn push(&mut self, value: &Value) {
        match (self, value) {
            (Self::Boolean(b), Value::Boolean(v)) => b.append_value(*v),
            (Self::Int(b), Value::Int(v)) => b.append_value(*v),
            (Self::BigInt(b), Value::BigInt(v)) => b.append_value(*v),
            (Self::Double(b), Value::Double(v)) => b.append_value(*v),
            (Self::Decimal(b, scale), Value::Decimal(v)) => b.append_option(v.rescaled(*scale)),
            (Self::String(b), Value::String(v)) => b.append_value(v),
            (Self::Bytes(b), Value::Bytes(v)) => b.append_value(v),
            (Self::Time(b), Value::Time(v)) => b.append_value(*v),
            (Self::Date(b), Value::Date(v)) => b.append_value(*v),
            (Self::Timestamp(b), Value::Timestamp(v)) => b.append_value(*v),
            (Self::Array { item, lengths, valid, .. }, Value::Array(values)) => {
                values.iter().for_each(|v| item.push(v));
                lengths.push(values.len());
                valid.push(true);
            }
            (Self::Map { key, value, lengths, valid, .. }, Value::Map(entries)) => {
                for (k, v) in entries {
                    key.push(k);
                    value.push(v);
                }
                lengths.push(entries.len());
                valid.push(true);
            }
            (Self::Struct { children, valid, .. }, Value::Struct(values)) => {
                for (i, child) in children.iter_mut().enumerate() {
                    child.push(values.get(i).unwrap_or(&Value::Null));
                }
                valid.push(true);
            }
            (builder, _) => builder.push_null(),
        }
    }

    /// Appends NULL.
    pub fn push_null(&mut self) {
        match self {
            Self::Boolean(b) => b.append_null(),
            Self::Int(b) => b.append_null(),
            Self::BigInt(b) => b.append_null(),
            Self::Double(b) => b.append_null(),
            Self::Decimal(b, _) => b.append_null(),
            Self::String(b) => b.append_null(),
            Self::Bytes(b) => b.append_null(),
            Self::Time(b) => b.append_null(),
            Self::Date(b) => b.append_null(),
            Self::Timestamp(b) => b.append_null(),
            Self::Array { lengths, valid, .. } | Self::Map { lengths, valid, .. } => {
                lengths.push(0);
                valid.push(false);
            }
            Self::Struct { children, valid, .. } => {
                children.iter_mut().for_each(ValueBuilder::push_null);
                valid.push(false);
            }
        }
    }

    /// The array of all cells pushed so far; the builder is empty again.
    pub fn finish(&mut self) -> ArrayRef {
        match self {
            Self::Boolean(b) => Arc::new(b.finish()),
            Self::Int(b) => Arc::new(b.finish()),
            Self::BigInt(b) => Arc::new(b.finish()),
            Self::Double(b) => Arc::new(b.finish()),
            Self::Decimal(b, _) => Arc::new(b.finish()),
            Self::String(b) => Arc::new(b.finish()),
            Self::Bytes(b) => Arc::new(b.finish()),
            Self::Time(b) => Arc::new(b.finish()),
            Self::Date(b) => Arc::new(b.finish()),
            Self::Timestamp(b) => Arc::new(b.finish()),
            Self::Array { item, ty, lengths, valid } => {
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let field = Arc::new(Field::new("item", ty.arrow(), true));
                Arc::new(ListArray::new(field, offsets, item.finish(), nulls(valid)))
            }
            Self::Map { key, value, ty, lengths, valid } => {
                let field = map_entries(&ty.0, &ty.1);
                let DataType::Struct(fields) = field.data_type().clone() else {
                    unreachable!("map entries are a struct")
                };
                let offsets = OffsetBuffer::from_lengths(std::mem::take(lengths));
                let entries = StructArray::new(fields, vec![key.finish(), value.finish()], None);
                Arc::new(MapArray::new(Arc::new(field), offsets, entries, nulls(valid), false))
            }
            Self::Struct { children, fields, valid } => {
                let len = valid.len();
                let columns: Vec<_> = children.iter_mut().map(ValueBuilder::finish).collect();
                let nulls = nulls(valid);
                if columns.is_empty() {
                    return Arc::new(StructArray::new_empty_fields(len, nulls));
                }
                Arc::new(StructArray::new(struct_fields(fields), columns, nulls))
            }
        }
    }
}

fn nulls(valid: &mut Vec<bool>) -> Option<NullBuffer> {
    let valid = std::mem::take(valid);
    valid.contains(&false).then(|| NullBuffer::from(valid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_arrays() {
        let ty = SqlType::Struct(vec![
            StructField::new("A", SqlType::array(SqlType::Int)),
            StructField::new("M", SqlType::map(SqlType::String, SqlType::Decimal(5, 2))),
        ]);
        let values = [
            Value::Struct(vec![
                Value::Array(vec![Value::Int(1), Value::Null]),
                Value::Map(vec![(Value::String("k".into()), Value::Decimal(Decimal::new(123, 2)))]),
            ]),
            Value::Null,
            Value::Struct(vec![Value::Null, Value::Map(vec![])]),
        ];
        let array = Value::to_array(&ty, &values);
        assert_eq!(array.data_type(), &ty.arrow());
        assert_eq!(Value::all(&array), values);
    }

    #[test]
    fn decimals_read_print_and_round() {
        for (text, plain) in [("1.10", "1.10"), ("-0.05", "-0.05"), ("1e3", "1000"), ("12e-1", "1.2"), (".5", "0.5")] {
            assert_eq!(Decimal::parse(text).map(|d| d.to_string()).as_deref(), Some(plain));
        }
        assert_eq!(Decimal::parse("0.125").and_then(|d| d.rounded(2)), Some(Decimal::new(13, 2)));
        assert_eq!(Decimal::parse("-0.125").and_then(|d| d.rounded(2)), Some(Decimal::new(-13, 2)));
        assert_eq!(Decimal::parse("x"), None);
        assert_eq!(Decimal::parse("1e-2147483648"), None);
    }
}
