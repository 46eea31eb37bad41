//! Lax coercion: how literals of VALUES and of pull-query keys fit the type of their column.
//!
//! > KSQL: text becomes a number, a boolean, a time or (from base64) bytes; numbers only widen.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{NaiveDate, NaiveTime, Timelike};

use crate::types::{Decimal, SqlType, Value};

use super::walk::partial_timestamp_ms;

/// `value`, which is of type `from`, as `to`; or what is wrong with it.
pub fn coerce(value: Value, from: &SqlType, to: &SqlType) -> Result<Value, String> {
    if value.is_null() {
        return Ok(Value::Null);
    }
    if from == to {
        return Ok(value);
    }
    match (value, from, to) {
        (Value::Int(v), _, SqlType::BigInt) => Ok(Value::BigInt(i64::from(v))),
        (Value::Int(v), _, SqlType::Double) => Ok(Value::Double(f64::from(v))),
        (Value::Int(v), _, SqlType::Decimal(p, s)) => decimal(Decimal::new(i128::from(v), 0), *p, *s),
        (Value::BigInt(v), _, SqlType::Double) => Ok(Value::Double(v as f64)),
        (Value::BigInt(v), _, SqlType::Decimal(p, s)) => decimal(Decimal::new(i128::from(v), 0), *p, *s),
        (Value::BigInt(v), _, SqlType::Timestamp) => Ok(Value::Timestamp(v)),
        (Value::Decimal(v), _, SqlType::Double) => Ok(Value::Double(v.to_f64())),
        (Value::Decimal(v), _, SqlType::Decimal(p, s)) => decimal(v, *p, *s),
        (Value::String(text), _, _) => from_text(&text, to),
        (value @ (Value::Boolean(_) | Value::Int(_) | Value::BigInt(_) | Value::Decimal(_)), _, SqlType::String) => {
            Ok(Value::String(match value {
                Value::Boolean(v) => v.to_string(),
                Value::Int(v) => v.to_string(),
                Value::BigInt(v) => v.to_string(),
                Value::Decimal(v) => v.to_string(),
                other => format!("{other:?}"),
            }))
        }
        (Value::Double(v), _, SqlType::String) => Ok(Value::String(format!("{v:?}"))),
        (Value::Array(items), SqlType::Array(from), SqlType::Array(to)) => {
            items.into_iter().map(|item| coerce(item, from, to)).collect::<Result<_, _>>().map(Value::Array)
        }
        (Value::Map(entries), SqlType::Map(from_key, from_value), SqlType::Map(to_key, to_value)) => entries
            .into_iter()
            .map(|(key, value)| Ok((coerce(key, from_key, to_key)?, coerce(value, from_value, to_value)?)))
            .collect::<Result<_, String>>()
            .map(Value::Map),
        (Value::Struct(values), SqlType::Struct(from), SqlType::Struct(to)) => {
            if let Some(unknown) = from.iter().find(|field| to.iter().all(|wanted| wanted.name != field.name)) {
                return Err(format!("the struct has no field {}", unknown.name));
            }
            to.iter()
                .map(|wanted| match from.iter().position(|field| field.name == wanted.name) {
                    Some(i) => coerce(values.get(i).cloned().unwrap_or(Value::Null), &from[i].ty, &wanted.ty),
                    None => Ok(Value::Null),
                })
                .collect::<Result<_, _>>()
                .map(Value::Struct)
        }
        _ => Err(format!("a value of type {from} does not fit {to}")),
    }
}

fn decimal(value: Decimal, precision: u8, scale: u8) -> Result<Value, String> {
    value
        .rescaled(scale)
        .map(|unscaled| Decimal::new(unscaled, scale))
        .filter(|fitting| fitting.precision() <= precision)
        .map(Value::Decimal)
        .ok_or_else(|| format!("{value} has too many digits for DECIMAL({precision}, {scale})"))
}

fn from_text(text: &str, to: &SqlType) -> Result<Value, String> {
    let trimmed = text.trim();
    let value = match to {
        SqlType::String => Some(Value::String(text.to_owned())),
        SqlType::Boolean => boolean(trimmed).map(Value::Boolean),
        SqlType::Int => trimmed.parse().ok().map(Value::Int),
        SqlType::BigInt => trimmed.parse().ok().map(Value::BigInt),
        SqlType::Double => trimmed.parse().ok().map(Value::Double),
        SqlType::Decimal(p, s) => {
            return match Decimal::parse(trimmed) {
                Some(value) => decimal(value, *p, *s),
                None => Err(format!("'{text}' is no {to}")),
            };
        }
        SqlType::Date => NaiveDate::parse_from_str(trimmed, "%Y-%m-%d").ok().and_then(|date| {
            let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
            i32::try_from(date.signed_duration_since(epoch).num_days()).ok().map(Value::Date)
        }),
        SqlType::Time => ["%H:%M:%S%.f", "%H:%M"]
            .iter()
            .find_map(|format| NaiveTime::parse_from_str(trimmed, format).ok())
            .map(|time| Value::Time((time.num_seconds_from_midnight() * 1000 + time.nanosecond() / 1_000_000) as i32)),
        SqlType::Bytes => STANDARD.decode(trimmed).ok().map(Value::Bytes),
        SqlType::Timestamp => partial_timestamp_ms(trimmed).map(Value::Timestamp),
        _ => None,
    };
    value.ok_or_else(|| format!("'{text}' is no {to}"))
}

/// > KSQL: any start of `true` or `yes`, in any case, is true; the same for `false` and `no`.
fn boolean(text: &str) -> Option<bool> {
    let lower = text.to_lowercase();
    if lower.is_empty() {
        return None;
    }
    if "true".starts_with(&lower) || "yes".starts_with(&lower) {
        return Some(true);
    }
    ("false".starts_with(&lower) || "no".starts_with(&lower)).then_some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::StructField;

    fn text(text: &str, to: SqlType) -> Result<Value, String> {
        coerce(Value::String(text.to_owned()), &SqlType::String, &to)
    }

    #[test]
    fn text_becomes_what_it_says() {
        assert_eq!(text("10", SqlType::Int), Ok(Value::Int(10)));
        assert_eq!(text("tru", SqlType::Boolean), Ok(Value::Boolean(true)));
        assert_eq!(text("NO", SqlType::Boolean), Ok(Value::Boolean(false)));
        assert_eq!(text("1.5", SqlType::Decimal(4, 2)), Ok(Value::Decimal(Decimal::new(150, 2))));
        assert_eq!(text("1970-01-02", SqlType::Date), Ok(Value::Date(1)));
        assert_eq!(text("00:00:01.5", SqlType::Time), Ok(Value::Time(1500)));
        assert_eq!(text("1970-01-01T00:00:01", SqlType::Timestamp), Ok(Value::Timestamp(1000)));
        assert_eq!(text("ten", SqlType::Int), Err("'ten' is no INTEGER".to_owned()));
    }

    #[test]
    fn numbers_only_widen() {
        assert_eq!(coerce(Value::Int(3), &SqlType::Int, &SqlType::Double), Ok(Value::Double(3.0)));
        assert!(coerce(Value::BigInt(3), &SqlType::BigInt, &SqlType::Int).is_err());
        assert!(
            coerce(Value::Decimal(Decimal::new(12345, 2)), &SqlType::Decimal(5, 2), &SqlType::Decimal(4, 2)).is_err()
        );
    }

    #[test]
    fn struct_fields_are_matched_by_name() {
        let from = SqlType::Struct(vec![StructField::new("B", SqlType::Int)]);
        let to = SqlType::Struct(vec![StructField::new("A", SqlType::String), StructField::new("B", SqlType::BigInt)]);
        let value = Value::Struct(vec![Value::Int(1)]);
        assert_eq!(coerce(value, &from, &to), Ok(Value::Struct(vec![Value::Null, Value::BigInt(1)])));
    }
}
