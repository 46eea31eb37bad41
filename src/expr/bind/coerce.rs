//! Conversions that nobody wrote.
//!
//! > KSQL: numbers widen INT → BIGINT → DECIMAL → DOUBLE; literals also convert between text and other types where a
//! > value is assigned or listed.

use super::{cast, fold};
use crate::error::{Error, Result};
use crate::expr::cast::{fit_decimal, parse_double};
use crate::expr::node::{Kind, Node};
use crate::expr::rules::widens;
use crate::expr::text;
use crate::types::{Decimal, SqlType, StructField, Value};

/// `node` as `target`; the caller has made sure that the conversion exists.
pub(in crate::expr) fn coerce(node: Node, target: &SqlType) -> Node {
    match &node.ty {
        None => Node::literal(&Value::Null, target.clone()),
        Some(own) if own == target => node,
        Some(_) => cast(node, target.clone()),
    }
}

/// The literal `value` of type `from` as `target`, under the lenient rules; `None` when it is no such value.
pub(super) fn lenient(value: &Value, from: &SqlType, target: &SqlType) -> Option<Value> {
    if from == target || value.is_null() {
        return Some(value.clone());
    }
    match (value, target) {
        (Value::String(text), _) => read(text.trim(), target),
        (_, SqlType::String) if !from.is_nested() && *from != SqlType::Bytes => {
            Some(Value::String(text::to_sql_text(value, from)))
        }
        (Value::Int(v), SqlType::BigInt) => Some(Value::BigInt(i64::from(*v))),
        (Value::Int(_) | Value::BigInt(_) | Value::Decimal(_), SqlType::Decimal(precision, scale)) => {
            let exact = match value {
                Value::Decimal(v) => *v,
                other => Decimal::new(i128::from(other.as_i64()?), 0),
            };
            // Nothing is rounded here: the digits must fit as they are.
            exact.rescaled(*scale)?;
            fit_decimal(exact, *precision, *scale).ok().map(|unscaled| Value::Decimal(Decimal::new(unscaled, *scale)))
        }
        (Value::Int(_) | Value::BigInt(_), SqlType::Double) => Some(Value::Double(value.as_i64()? as f64)),
        (Value::Decimal(v), SqlType::Double) => Some(Value::Double(v.to_f64())),
        _ => lenient_parts(value, from, target),
    }
}

/// Nested literals convert part by part; fields that a struct does not have are NULL.
fn lenient_parts(value: &Value, from: &SqlType, target: &SqlType) -> Option<Value> {
    Some(match (value, from, target) {
        (Value::Array(items), SqlType::Array(own), SqlType::Array(item)) => {
            Value::Array(items.iter().map(|value| lenient(value, own, item)).collect::<Option<_>>()?)
        }
        (Value::Map(entries), SqlType::Map(own_key, own_value), SqlType::Map(key, value)) => Value::Map(
            entries
                .iter()
                .map(|(k, v)| Some((lenient(k, own_key, key)?, lenient(v, own_value, value)?)))
                .collect::<Option<_>>()?,
        ),
        (Value::Struct(values), SqlType::Struct(own), SqlType::Struct(fields)) => {
            if own.iter().any(|field| fields.iter().all(|other| other.name != field.name)) {
                return None;
            }
            let field = |field: &StructField| match own.iter().position(|other| other.name == field.name) {
                Some(at) => lenient(values.get(at)?, &own[at].ty, &field.ty),
                None => Some(Value::Null),
            };
            Value::Struct(fields.iter().map(field).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn read(text: &str, target: &SqlType) -> Option<Value> {
    Some(match target {
        SqlType::Boolean => {
            let lower = text.to_ascii_lowercase();
            let is = |words: [&str; 2]| !lower.is_empty() && words.iter().any(|word| word.starts_with(&lower));
            if is(["true", "yes"]) {
                Value::Boolean(true)
            } else if is(["false", "no"]) {
                Value::Boolean(false)
            } else {
                return None;
            }
        }
        SqlType::Int => Value::Int(text.parse().ok()?),
        SqlType::BigInt => Value::BigInt(text.parse().ok()?),
        SqlType::Double => Value::Double(parse_double(text)?),
        SqlType::Decimal(precision, scale) => {
            let value = Decimal::parse(text)?;
            value.rescaled(*scale)?;
            Value::Decimal(Decimal::new(fit_decimal(value, *precision, *scale).ok()?, *scale))
        }
        SqlType::Timestamp => Value::Timestamp(text::parse_timestamp(text).ok()?),
        SqlType::Date => Value::Date(text::parse_date(text).ok()?),
        SqlType::Time => Value::Time(text::parse_time(text).ok()?),
        SqlType::String => Value::String(text.to_owned()),
        _ => return None,
    })
}

/// `node` as a value for a column of type `target` (INSERT, defaults, arguments): widened, or a lenient literal.
pub(in crate::expr) fn assign(node: Node, target: &SqlType) -> Result<Node> {
    let Some(own) = node.ty.clone() else { return Ok(coerce(node, target)) };
    if widens(&own, target) {
        return Ok(coerce(node, target));
    }
    if let Some(value) = node.literal_value()
        && let Some(value) = lenient(&value, &own, target)
    {
        return Ok(Node::literal(&value, target.clone()));
    }
    let wrong = || Error::semantic(format!("a {own} is no {target}"));
    let kind = match (node.kind, target) {
        (Kind::Array(items), SqlType::Array(item)) => {
            Kind::Array(items.into_iter().map(|node| assign(node, item)).collect::<Result<_>>()?)
        }
        (Kind::Map(entries), SqlType::Map(key, value)) => Kind::Map(
            entries.into_iter().map(|(k, v)| Ok((assign(k, key)?, assign(v, value)?))).collect::<Result<_>>()?,
        ),
        (kind, _) => return assign_nested(Node { kind, ty: Some(own.clone()) }, &own, target).ok_or_else(wrong),
    };
    Ok(fold(Node::new(kind, target.clone())))
}

/// Nested values convert part by part; fields that the value does not have are NULL.
fn assign_nested(node: Node, own: &SqlType, target: &SqlType) -> Option<Node> {
    fn fits(from: &SqlType, to: &SqlType) -> bool {
        match (from, to) {
            (SqlType::Array(a), SqlType::Array(b)) => fits(a, b),
            (SqlType::Map(k1, v1), SqlType::Map(k2, v2)) => fits(k1, k2) && fits(v1, v2),
            (SqlType::Struct(a), SqlType::Struct(b)) => a.iter().all(|field| {
                b.iter().find(|other| other.name == field.name).is_some_and(|other| fits(&field.ty, &other.ty))
            }),
            (SqlType::Decimal(p1, s1), SqlType::Decimal(p2, s2)) => s1 <= s2 && p1 - s1 <= p2 - s2,
            _ => widens(from, to),
        }
    }
    fits(own, target).then(|| cast(node, target.clone()))
}
