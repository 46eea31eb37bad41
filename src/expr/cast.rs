//! Casts of whole columns.
//!
//! **Invariant:** a cell that cannot be converted is NULL and reported; numbers convert as Java's casts do.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, Decimal128Array, ListArray, MapArray, PrimitiveArray, StringBuilder,
    StructArray, new_null_array,
};
use arrow::compute;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};

use super::eval::Failures;
use super::text;
use crate::error::{Error, Result};
use crate::types::sql_type::{map_entries, struct_fields};
use crate::types::{Decimal, SqlType, Value, java_text};

const DAY_MS: i64 = 86_400_000;

/// `array`, of type `from`, as type `to`. Of nested values that hold a cell that fails, only that cell is NULL.
pub fn cast_array(array: &ArrayRef, from: &SqlType, to: &SqlType, failures: &mut Failures) -> Result<ArrayRef> {
    if from == to {
        return Ok(array.clone());
    }
    Ok(match (from, to) {
        (SqlType::Int | SqlType::BigInt, SqlType::BigInt | SqlType::Double) => compute::cast(array, &to.arrow())?,
        (SqlType::BigInt, SqlType::Int) => {
            Arc::new(array.as_primitive::<Int64Type>().unary::<_, Int32Type>(|v| v as i32))
        }
        (SqlType::Double, SqlType::Int) => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Int32Type>(|v| v as i32))
        }
        (SqlType::Double, SqlType::BigInt) => {
            Arc::new(array.as_primitive::<Float64Type>().unary::<_, Int64Type>(|v| v as i64))
        }
        (SqlType::Int, SqlType::Decimal(..)) => {
            let values = array.as_primitive::<Int32Type>();
            decimals(array, to, failures, |row| Ok(Decimal::new(i128::from(values.value(row)), 0)))
        }
        (SqlType::BigInt, SqlType::Decimal(..)) => {
            let values = array.as_primitive::<Int64Type>();
            decimals(array, to, failures, |row| Ok(Decimal::new(i128::from(values.value(row)), 0)))
        }
        (SqlType::Decimal(_, scale), SqlType::Decimal(..)) => {
            let values = array.as_primitive::<Decimal128Type>();
            decimals(array, to, failures, |row| Ok(Decimal::new(values.value(row), *scale)))
        }
        (SqlType::Double, SqlType::Decimal(..)) => {
            let values = array.as_primitive::<Float64Type>();
            decimals(array, to, failures, |row| double_to_decimal(values.value(row)))
        }
        (SqlType::Decimal(_, scale), SqlType::Int | SqlType::BigInt | SqlType::Double) => {
            let values = array.as_primitive::<Decimal128Type>();
            let divisor = 10i128.checked_pow(u32::from(*scale)).unwrap_or(i128::MAX);
            match to {
                SqlType::Int => Arc::new(values.unary::<_, Int32Type>(|v| (v / divisor) as i32)),
                SqlType::BigInt => Arc::new(values.unary::<_, Int64Type>(|v| (v / divisor) as i64)),
                _ => Arc::new(values.unary::<_, Float64Type>(|v| decimal_to_double(v, *scale))),
            }
        }
        (SqlType::Timestamp, SqlType::Date) => {
            let days = |ms: i64| ms.div_euclid(DAY_MS) as i32;
            Arc::new(array.as_primitive::<TimestampMillisecondType>().unary::<_, Date32Type>(days))
        }
        (SqlType::Timestamp, SqlType::Time) => {
            let ms_of_day = |ms: i64| ms.rem_euclid(DAY_MS) as i32;
            Arc::new(array.as_primitive::<TimestampMillisecondType>().unary::<_, Time32MillisecondType>(ms_of_day))
        }
        (SqlType::Date, SqlType::Timestamp) => {
            let ms = |days: i32| i64::from(days) * DAY_MS;
            Arc::new(array.as_primitive::<Date32Type>().unary::<_, TimestampMillisecondType>(ms))
        }
        (_, SqlType::String) => to_text(array, from),
        (SqlType::String, _) => from_text(array, to, failures)?,
        (SqlType::Array(a), SqlType::Array(b)) => {
            let list = array.as_list::<i32>();
            let items = nested(list.offsets(), list.values(), a, b, failures)?;
            let field = match to.arrow() {
                DataType::List(field) => field,
                other => return Err(Error::internal(format!("an array became {other}"))),
            };
            Arc::new(ListArray::try_new(field, list.offsets().clone(), items, list.nulls().cloned())?)
        }
        (SqlType::Map(k1, v1), SqlType::Map(k2, v2)) => {
            let map = array.as_map();
            let keys = nested(map.offsets(), map.keys(), k1, k2, failures)?;
            let values = nested(map.offsets(), map.values(), v1, v2, failures)?;
            let field = map_entries(k2, v2);
            let DataType::Struct(fields) = field.data_type().clone() else {
                return Err(Error::internal("map entries are no struct"));
            };
            let entries = StructArray::try_new(fields, vec![keys, values], None)?;
            let nulls = map.nulls().cloned();
            Arc::new(MapArray::try_new(Arc::new(field), map.offsets().clone(), entries, nulls, false)?)
        }
        (SqlType::Struct(a), SqlType::Struct(b)) => {
            let source = array.as_struct();
            let columns = b
                .iter()
                .map(|field| match a.iter().position(|f| f.name == field.name) {
                    Some(at) => {
                        let mut inner = Failures::default();
                        let column = cast_array(source.column(at), &a[at].ty, &field.ty, &mut inner)?;
                        failures.contain(inner, |row| row);
                        Ok(column)
                    }
                    None => Ok(new_null_array(&field.ty.arrow(), source.len())),
                })
                .collect::<Result<Vec<_>>>()?;
            if columns.is_empty() {
                return Ok(Arc::new(StructArray::new_empty_fields(source.len(), source.nulls().cloned())));
            }
            Arc::new(StructArray::try_new(struct_fields(b), columns, source.nulls().cloned())?)
        }
        _ => return Err(Error::internal(format!("no cast from {from} to {to}"))),
    })
}

/// The children of a nested column; a failure belongs to the row that holds the child.
fn nested(
    offsets: &[i32],
    children: &ArrayRef,
    from: &SqlType,
    to: &SqlType,
    failures: &mut Failures,
) -> Result<ArrayRef> {
    let mut inner = Failures::default();
    let cast = cast_array(children, from, to, &mut inner)?;
    failures.contain(inner, |child| offsets.partition_point(|start| *start as usize <= child).saturating_sub(1));
    Ok(cast)
}

fn decimals(
    array: &ArrayRef,
    to: &SqlType,
    failures: &mut Failures,
    value: impl Fn(usize) -> Result<Decimal, String>,
) -> ArrayRef {
    let SqlType::Decimal(precision, scale) = to else { return new_null_array(&to.arrow(), array.len()) };
    let mut convert = |row: usize| match value(row).and_then(|v| fit_decimal(v, *precision, *scale)) {
        Ok(unscaled) => Some(unscaled),
        Err(reason) => {
            failures.add(row, reason);
            None
        }
    };
    let cells = (0..array.len()).map(|row| if array.is_null(row) { None } else { convert(row) });
    Arc::new(cells.collect::<Decimal128Array>().with_data_type(to.arrow()))
}

/// The digits of `value` at that scale, halves rounded away from zero; an error when they are more than `precision`.
pub fn fit_decimal(value: Decimal, precision: u8, scale: u8) -> Result<i128, String> {
    let overflow = || format!("numeric field overflow: {value} does not fit DECIMAL({precision}, {scale})");
    let limit = 10i128.checked_pow(u32::from(precision.min(38))).ok_or_else(overflow)?;
    if value.scale > scale.saturating_add(38) {
        return Ok(0);
    }
    let rounded = value.rounded(scale).ok_or_else(overflow)?;
    if rounded.unscaled.abs() < limit { Ok(rounded.unscaled) } else { Err(overflow()) }
}

/// The decimal that the double prints as.
fn double_to_decimal(v: f64) -> Result<Decimal, String> {
    if !v.is_finite() {
        return Err(format!("{} is no decimal", java_text::double_to_string(v)));
    }
    parse_decimal(ryu::Buffer::new().format_finite(v))
}

/// Reads a decimal of any size; digits that storage cannot hold are rounded away.
fn parse_decimal(text: &str) -> Result<Decimal, String> {
    let invalid = || format!("'{text}' is no decimal");
    if let Some(exact) = Decimal::parse(text) {
        return Ok(exact);
    }
    let v: f64 = text.parse().map_err(|_| invalid())?;
    if v.abs() < 1e-30 && v.is_finite() {
        return Ok(Decimal::new(0, 0));
    }
    let digits = text.find(['e', 'E']).map_or(text, |at| &text[..at]);
    // Too many digits for storage: those behind the point go first.
    let shortened =
        digits.char_indices().filter(|(_, c)| c.is_ascii_digit()).nth(37).map_or(digits, |(at, _)| &digits[..at]);
    if digits.contains('.') && shortened.contains('.') && digits.len() == text.len() {
        return Decimal::parse(shortened).ok_or_else(invalid);
    }
    Err(format!("numeric field overflow: '{text}' has too many digits"))
}

fn decimal_to_double(unscaled: i128, scale: u8) -> f64 {
    // Both sides are exact in a double, so that the quotient is the nearest one.
    if unscaled.unsigned_abs() < (1 << 53) && scale <= 22 {
        return unscaled as f64 / 10f64.powi(i32::from(scale));
    }
    Decimal::new(unscaled, scale).to_f64()
}

fn to_text(array: &ArrayRef, from: &SqlType) -> ArrayRef {
    let mut out = StringBuilder::with_capacity(array.len(), array.len() * 8);
    let mut digits = itoa::Buffer::new();
    let mut buffer = String::new();
    for row in 0..array.len() {
        if array.is_null(row) {
            out.append_null();
            continue;
        }
        match array.data_type() {
            DataType::Int32 => out.append_value(digits.format(array.as_primitive::<Int32Type>().value(row))),
            DataType::Int64 => out.append_value(digits.format(array.as_primitive::<Int64Type>().value(row))),
            DataType::Boolean => out.append_value(if array.as_boolean().value(row) { "true" } else { "false" }),
            _ => {
                buffer.clear();
                text::write_sql_text(&mut buffer, &Value::from_array(array, row), from);
                out.append_value(&buffer);
            }
        }
    }
    Arc::new(out.finish())
}

fn from_text(array: &ArrayRef, to: &SqlType, failures: &mut Failures) -> Result<ArrayRef> {
    let texts = array.as_string::<i32>();
    let number = |text: &str, what: &str| format!("'{text}' is no {what}");
    Ok(match to {
        SqlType::Boolean => Arc::new(texts.iter().map(|text| text.map(text::parse_boolean)).collect::<BooleanArray>()),
        SqlType::Int => parse::<Int32Type>(array, failures, |t| t.parse().map_err(|_| number(t, "INTEGER"))),
        SqlType::BigInt => parse::<Int64Type>(array, failures, |t| t.parse().map_err(|_| number(t, "BIGINT"))),
        SqlType::Double => {
            parse::<Float64Type>(array, failures, |t| parse_double(t).ok_or_else(|| number(t, "DOUBLE")))
        }
        SqlType::Decimal(..) => decimals(array, to, failures, |row| parse_decimal(texts.value(row).trim())),
        SqlType::Timestamp => parse::<TimestampMillisecondType>(array, failures, text::parse_timestamp),
        SqlType::Date => parse::<Date32Type>(array, failures, text::parse_date),
        SqlType::Time => parse::<Time32MillisecondType>(array, failures, text::parse_time),
        other => return Err(Error::internal(format!("no cast from STRING to {other}"))),
    })
}

/// Reads what Java reads as a double: digits with an exponent, `NaN`, `Infinity`.
pub fn parse_double(text: &str) -> Option<f64> {
    let digits = text.trim_start_matches(['+', '-']);
    let named = digits.eq_ignore_ascii_case("nan") || digits.eq_ignore_ascii_case("infinity");
    if !named && !digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    // Java allows a type letter behind the digits.
    let text = if named { text } else { text.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(text) };
    text.parse().ok()
}

fn parse<T: ArrowPrimitiveType>(
    array: &ArrayRef,
    failures: &mut Failures,
    read: impl Fn(&str) -> Result<T::Native, String>,
) -> ArrayRef {
    let texts = array.as_string::<i32>();
    let cells = texts.iter().enumerate().map(|(row, text)| match read(text?.trim()) {
        Ok(value) => Some(value),
        Err(reason) => {
            failures.add(row, reason);
            None
        }
    });
    Arc::new(cells.collect::<PrimitiveArray<T>>())
}
