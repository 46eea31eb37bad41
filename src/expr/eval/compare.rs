//! Comparisons.
//!
//! **Invariant:** the result is never NULL.
//!
//! > KSQL: logic is two-valued: a comparison with NULL is false, so that `NOT (a = b)` holds where `a` is NULL.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::compute::kernels::cmp;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};

use super::Cells;
use crate::error::{Error, Result};
use crate::sql::ast::BinaryOp;
use crate::types::Value;

/// `left op right` over `len` rows, operands of one type (decimals of any precision and scale).
pub(super) fn compare(op: BinaryOp, left: &Cells, right: &Cells, len: usize) -> Result<BooleanArray> {
    let values = match op {
        BinaryOp::IsDistinctFrom | BinaryOp::IsNotDistinctFrom => {
            let equal = equality(left, right, len)?;
            let (a, b) = (present(left, len), present(right, len));
            // The same: both there and equal, or both NULL.
            let same = &(&(&equal & &a) & &b) | &(&!&a & &!&b);
            if op == BinaryOp::IsDistinctFrom { !&same } else { same }
        }
        _ => {
            let values = ordering(op, left, right, len)?;
            match (missing(left, len), missing(right, len)) {
                (None, None) => values,
                (a, b) => [a, b].into_iter().flatten().fold(values, |values, mask| &values & &mask),
            }
        }
    };
    Ok(BooleanArray::new(values, None))
}

fn equality(left: &Cells, right: &Cells, len: usize) -> Result<BooleanBuffer> {
    ordering(BinaryOp::Eq, left, right, len)
}

/// Which rows have a value.
fn present(cells: &Cells, len: usize) -> BooleanBuffer {
    missing(cells, len).unwrap_or_else(|| BooleanBuffer::new_set(len))
}

/// Which rows have a value, if any has none.
fn missing(cells: &Cells, len: usize) -> Option<BooleanBuffer> {
    let nulls: &NullBuffer = cells.array().nulls().filter(|nulls| nulls.null_count() > 0)?;
    Some(if cells.same() { BooleanBuffer::new_unset(len) } else { nulls.inner().clone() })
}

/// The comparison of the values as they lie there; rows with a NULL may come out either way.
fn ordering(op: BinaryOp, left: &Cells, right: &Cells, len: usize) -> Result<BooleanBuffer> {
    macro_rules! slices {
        ($ty:ty) => {{
            let (a, b) = (left.array().as_primitive::<$ty>().values(), right.array().as_primitive::<$ty>().values());
            Ok(by(op, (a, left.same()), (b, right.same()), len))
        }};
    }
    match left.array().data_type() {
        DataType::Int32 => slices!(Int32Type),
        DataType::Int64 => slices!(Int64Type),
        DataType::Float64 => slices!(Float64Type),
        DataType::Date32 => slices!(Date32Type),
        DataType::Time32(_) => slices!(Time32MillisecondType),
        DataType::Timestamp(..) => slices!(TimestampMillisecondType),
        DataType::Decimal128(_, s1) => match right.array().data_type() {
            DataType::Decimal128(_, s2) if s1 == s2 => slices!(Decimal128Type),
            _ => Ok(value_by_value(op, left, right, len)),
        },
        DataType::Boolean | DataType::Utf8 | DataType::Binary => {
            let result = match op {
                BinaryOp::Eq => cmp::eq(left, right),
                BinaryOp::NotEq => cmp::neq(left, right),
                BinaryOp::Lt => cmp::lt(left, right),
                BinaryOp::LtEq => cmp::lt_eq(left, right),
                BinaryOp::Gt => cmp::gt(left, right),
                BinaryOp::GtEq => cmp::gt_eq(left, right),
                other => return Err(Error::internal(format!("{other} is no comparison"))),
            }?;
            Ok(result.values().clone())
        }
        _ => Ok(value_by_value(op, left, right, len)),
    }
}

fn by<T: PartialOrd + Copy>(op: BinaryOp, a: (&[T], bool), b: (&[T], bool), len: usize) -> BooleanBuffer {
    match op {
        BinaryOp::NotEq => each(a, b, len, |x, y| x != y),
        BinaryOp::Lt => each(a, b, len, |x, y| x < y),
        BinaryOp::LtEq => each(a, b, len, |x, y| x <= y),
        BinaryOp::Gt => each(a, b, len, |x, y| x > y),
        BinaryOp::GtEq => each(a, b, len, |x, y| x >= y),
        _ => each(a, b, len, |x, y| x == y),
    }
}

fn each<T: Copy>(
    (a, a_same): (&[T], bool),
    (b, b_same): (&[T], bool),
    len: usize,
    f: impl Fn(T, T) -> bool,
) -> BooleanBuffer {
    if len == 0 {
        return BooleanBuffer::new_unset(0);
    }
    match (a_same, b_same) {
        (false, false) => {
            let (a, b) = (&a[..len], &b[..len]);
            BooleanBuffer::collect_bool(len, |i| f(a[i], b[i]))
        }
        (false, true) => {
            let (a, b) = (&a[..len], b[0]);
            BooleanBuffer::collect_bool(len, |i| f(a[i], b))
        }
        (true, false) => {
            let (a, b) = (a[0], &b[..len]);
            BooleanBuffer::collect_bool(len, |i| f(a, b[i]))
        }
        (true, true) => {
            let result = f(a[0], b[0]);
            BooleanBuffer::collect_bool(len, |_| result)
        }
    }
}

/// Nested types, and decimals of different scales.
fn value_by_value(op: BinaryOp, left: &Cells, right: &Cells, len: usize) -> BooleanBuffer {
    let cell = |cells: &Cells, row: usize| Value::from_array(cells.array() as &ArrayRef, cells.at(row));
    BooleanBuffer::collect_bool(len, |row| {
        let (a, b) = (canonical(cell(left, row)), canonical(cell(right, row)));
        let order = a.total_cmp(&b);
        match op {
            BinaryOp::NotEq => order.is_ne(),
            BinaryOp::Lt => order.is_lt(),
            BinaryOp::LtEq => order.is_le(),
            BinaryOp::Gt => order.is_gt(),
            BinaryOp::GtEq => order.is_ge(),
            _ => order.is_eq(),
        }
    })
}

/// Maps are equal whatever the order of their entries.
fn canonical(value: Value) -> Value {
    match value {
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(k, v)| (k, canonical(v))).collect();
            entries.sort_by(|a, b| a.0.total_cmp(&b.0));
            Value::Map(entries)
        }
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Struct(fields) => Value::Struct(fields.into_iter().map(canonical).collect()),
        other => other,
    }
}
