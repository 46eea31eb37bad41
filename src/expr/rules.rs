//! Rules of types: which type an operator's result has, and which type several values have in common.

use crate::error::{Error, Result, did_you_mean};
use crate::sql::ast::{BinaryOp, TypeExpr};
use crate::types::sql_type::DECIMAL_PRECISION_MAX;
use crate::types::{SqlType, StructField};

/// The type that a written type means; custom types were replaced before.
pub(super) fn resolve_type(ty: &TypeExpr) -> Result<SqlType> {
    Ok(match ty {
        TypeExpr::Named(name) => match name.text.to_uppercase().as_str() {
            "BOOLEAN" => SqlType::Boolean,
            "INT" | "INTEGER" => SqlType::Int,
            "BIGINT" => SqlType::BigInt,
            "DOUBLE" => SqlType::Double,
            "VARCHAR" | "STRING" => SqlType::String,
            "BYTES" => SqlType::Bytes,
            "TIME" => SqlType::Time,
            "DATE" => SqlType::Date,
            "TIMESTAMP" => SqlType::Timestamp,
            other => {
                let names =
                    ["BOOLEAN", "INT", "BIGINT", "DOUBLE", "DECIMAL", "VARCHAR", "STRING", "BYTES", "TIME", "DATE"];
                let error = Error::not_found(format!("unknown type {other}")).at(name.span);
                return Err(match did_you_mean(other, names.into_iter().chain(["TIMESTAMP"])) {
                    Some("DECIMAL") => error.hint("Write DECIMAL with precision and scale: DECIMAL(10, 2)."),
                    Some(near) => error.hint(format!("Did you mean {near}?")),
                    None => error.hint("Custom types are registered with CREATE TYPE."),
                });
            }
        },
        TypeExpr::Decimal(precision, scale) => {
            if *precision == 0 || scale > precision || *scale > DECIMAL_PRECISION_MAX {
                return Err(Error::semantic(format!("DECIMAL({precision}, {scale}) is no type"))
                    .hint(format!("The scale is at most the precision, and at most {DECIMAL_PRECISION_MAX}.")));
            }
            SqlType::Decimal(*precision, *scale)
        }
        TypeExpr::Array(item) => SqlType::array(resolve_type(item)?),
        TypeExpr::Map(key, value) => SqlType::map(resolve_type(key)?, resolve_type(value)?),
        TypeExpr::Struct(fields) => SqlType::Struct(
            fields
                .iter()
                .map(|(name, ty)| Ok(StructField::new(name.text.clone(), resolve_type(ty)?)))
                .collect::<Result<_>>()?,
        ),
    })
}

/// Precision and scale of a number that acts as a decimal: INT has 10 digits, BIGINT 19.
pub(super) fn as_decimal(ty: &SqlType) -> Option<(u8, u8)> {
    match ty {
        SqlType::Int => Some((10, 0)),
        SqlType::BigInt => Some((19, 0)),
        SqlType::Decimal(precision, scale) => Some((*precision, *scale)),
        _ => None,
    }
}

/// The type of `left op right` over numbers; `None` when they are not numbers.
///
/// > KSQL: the precision may exceed 38 in the type; storage holds 38 digits, and what needs more is NULL.
pub(super) fn arithmetic_type(op: BinaryOp, left: &SqlType, right: &SqlType) -> Option<SqlType> {
    match (left, right) {
        _ if !left.is_numeric() || !right.is_numeric() => None,
        (SqlType::Double, _) | (_, SqlType::Double) => Some(SqlType::Double),
        (SqlType::Int, SqlType::Int) => Some(SqlType::Int),
        (SqlType::Int | SqlType::BigInt, SqlType::Int | SqlType::BigInt) => Some(SqlType::BigInt),
        _ => {
            let ((p1, s1), (p2, s2)) = (wide(as_decimal(left)?), wide(as_decimal(right)?));
            let (p, s) = match op {
                BinaryOp::Add | BinaryOp::Subtract => (s1.max(s2) + (p1 - s1).max(p2 - s2) + 1, s1.max(s2)),
                BinaryOp::Multiply => (p1 + p2 + 1, s1 + s2),
                BinaryOp::Divide => {
                    let s = 6.max(s1 + p2 + 1);
                    (p1 - s1 + s2 + s, s)
                }
                _ => ((p1 - s1).min(p2 - s2) + s1.max(s2), s1.max(s2)),
            };
            Some(decimal(p, s))
        }
    }
}

fn wide((precision, scale): (u8, u8)) -> (i32, i32) {
    (i32::from(precision), i32::from(scale))
}

fn decimal(precision: i32, scale: i32) -> SqlType {
    let scale = scale.clamp(0, i32::from(DECIMAL_PRECISION_MAX));
    SqlType::Decimal(precision.clamp(scale.max(1), 255) as u8, scale as u8)
}

/// The narrowest type that holds values of both, if there is one: numbers widen, nested types item by item.
pub(super) fn common_type(left: &SqlType, right: &SqlType) -> Option<SqlType> {
    Some(match (left, right) {
        _ if left == right => left.clone(),
        (SqlType::Double, other) | (other, SqlType::Double) if other.is_numeric() => SqlType::Double,
        (SqlType::Int | SqlType::BigInt, SqlType::Int | SqlType::BigInt) => SqlType::BigInt,
        _ if left.is_numeric() && right.is_numeric() => {
            let ((p1, s1), (p2, s2)) = (wide(as_decimal(left)?), wide(as_decimal(right)?));
            let scale = s1.max(s2);
            decimal((p1 - s1).max(p2 - s2) + scale, scale)
        }
        (SqlType::Array(a), SqlType::Array(b)) => SqlType::array(common_type(a, b)?),
        (SqlType::Map(k1, v1), SqlType::Map(k2, v2)) => SqlType::map(common_type(k1, k2)?, common_type(v1, v2)?),
        (SqlType::Struct(a), SqlType::Struct(b)) => SqlType::Struct(common_fields(a, b)?),
        _ => return None,
    })
}

/// > KSQL: structs meet in one that has the fields of both.
fn common_fields(left: &[StructField], right: &[StructField]) -> Option<Vec<StructField>> {
    let mut fields = left.to_vec();
    for field in right {
        match fields.iter_mut().find(|other| other.name == field.name) {
            Some(other) => other.ty = common_type(&other.ty, &field.ty)?,
            None => fields.push(field.clone()),
        }
    }
    Some(fields)
}

/// Whether a value of `from` may stand for one of `to` without being asked (as [`common_type`] widens).
pub(super) fn widens(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        (SqlType::Int | SqlType::BigInt, SqlType::Decimal(..)) => true,
        (SqlType::Struct(a), SqlType::Struct(b)) => {
            a.iter().all(|field| b.iter().any(|other| other.name == field.name && widens(&field.ty, &other.ty)))
        }
        _ => common_type(from, to).as_ref() == Some(to),
    }
}

/// Whether `CAST(from AS to)` exists.
pub(super) fn castable(from: &SqlType, to: &SqlType) -> bool {
    match (from, to) {
        _ if from == to => true,
        (SqlType::Bytes, _) => false,
        (_, SqlType::String) => true,
        (SqlType::String, to) => matches!(to, SqlType::Boolean) || to.is_numeric() || to.is_temporal(),
        (SqlType::Timestamp, SqlType::Date | SqlType::Time) | (SqlType::Date, SqlType::Timestamp) => true,
        (SqlType::Array(a), SqlType::Array(b)) => castable(a, b),
        (SqlType::Map(k1, v1), SqlType::Map(k2, v2)) => castable(k1, k2) && castable(v1, v2),
        (SqlType::Struct(a), SqlType::Struct(b)) => {
            b.iter().all(|field| a.iter().find(|f| f.name == field.name).is_none_or(|f| castable(&f.ty, &field.ty)))
        }
        _ => from.is_numeric() && to.is_numeric(),
    }
}
