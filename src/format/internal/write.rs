//! Rows to bytes.

use arrow::array::{Array, AsArray};
use arrow::buffer::{BooleanBuffer, NullBuffer};
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};

use super::{ALL_NULL, ALL_VALID, BITMAP, HAS_NULL_VALUES, HAS_OPS, VERSION};
use crate::change::{ChangeBatch, Op};
use crate::error::{Error, Result};

pub(super) fn batch(batch: &ChangeBatch) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(64 + batch.data.get_array_memory_size().min(1 << 20));
    let ops = if batch.ops.is_some() { HAS_OPS } else { 0 };
    let nulls = if batch.null_values.is_some() { HAS_NULL_VALUES } else { 0 };
    out.extend_from_slice(&[VERSION, ops | nulls]);
    varint(&mut out, batch.len() as u64);
    let mut previous = 0i64;
    for time in batch.rowtime.iter() {
        let step = time.wrapping_sub(previous);
        varint(&mut out, ((step << 1) ^ (step >> 63)) as u64);
        previous = *time;
    }
    if let Some(ops) = &batch.ops {
        out.extend(ops.iter().map(|op| match op {
            Op::Insert => 0u8,
            Op::UpdateBefore => 1,
            Op::UpdateAfter => 2,
            Op::Delete => 3,
        }));
    }
    if let Some(nulls) = &batch.null_values {
        bitmap(&mut out, nulls);
    }
    for array in batch.data.columns() {
        column(&mut out, array, true)?;
    }
    Ok(out)
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn bitmap(out: &mut Vec<u8>, bits: &BooleanBuffer) {
    let start = out.len();
    out.resize(start + bits.len().div_ceil(8), 0);
    for i in bits.set_indices() {
        out[start + i / 8] |= 1 << (i % 8);
    }
}

/// `top` columns may say "all NULL"; children spend a bit a cell, so that no short record stands for endless cells.
fn column(out: &mut Vec<u8>, array: &dyn Array, top: bool) -> Result<()> {
    let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
    let fieldless = matches!(array.data_type(), DataType::Struct(fields) if fields.is_empty());
    match nulls {
        Some(nulls) if top && nulls.null_count() == array.len() => {
            out.push(ALL_NULL);
            return Ok(());
        }
        Some(nulls) => {
            out.push(BITMAP);
            bitmap(out, nulls.inner());
        }
        None if fieldless && !array.is_empty() => {
            out.push(BITMAP);
            bitmap(out, NullBuffer::new_valid(array.len()).inner());
        }
        None => out.push(ALL_VALID),
    }
    match array.data_type() {
        DataType::Boolean => bitmap(out, array.as_boolean().values()),
        DataType::Int32 => fixed::<Int32Type, 4>(out, array, i32::to_le_bytes),
        DataType::Int64 => fixed::<Int64Type, 8>(out, array, i64::to_le_bytes),
        DataType::Float64 => fixed::<Float64Type, 8>(out, array, f64::to_le_bytes),
        DataType::Decimal128(..) => fixed::<Decimal128Type, 16>(out, array, i128::to_le_bytes),
        DataType::Time32(_) => fixed::<Time32MillisecondType, 4>(out, array, i32::to_le_bytes),
        DataType::Date32 => fixed::<Date32Type, 4>(out, array, i32::to_le_bytes),
        DataType::Timestamp(..) => fixed::<TimestampMillisecondType, 8>(out, array, i64::to_le_bytes),
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            let (start, end) = lengths(out, array.value_offsets());
            out.extend_from_slice(&array.value_data()[start..end]);
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            let (start, end) = lengths(out, array.value_offsets());
            out.extend_from_slice(&array.value_data()[start..end]);
        }
        DataType::List(_) => {
            let array = array.as_list::<i32>();
            let (start, end) = lengths(out, array.value_offsets());
            column(out, &array.values().slice(start, end - start), false)?;
        }
        DataType::Map(..) => {
            let array = array.as_map();
            let (start, end) = lengths(out, array.value_offsets());
            column(out, &array.keys().slice(start, end - start), false)?;
            column(out, &array.values().slice(start, end - start), false)?;
        }
        DataType::Struct(_) => {
            for child in array.as_struct().columns() {
                column(out, child, false)?;
            }
        }
        other => return Err(Error::internal(format!("no SQL type has the Arrow type {other}"))),
    }
    Ok(())
}

fn fixed<T: ArrowPrimitiveType, const N: usize>(
    out: &mut Vec<u8>,
    array: &dyn Array,
    bytes: impl Fn(T::Native) -> [u8; N],
) {
    let values = array.as_primitive::<T>().values();
    out.reserve(values.len() * N);
    for value in values.iter() {
        out.extend_from_slice(&bytes(*value));
    }
}

/// Writes the lengths between `offsets`; the first and the last offset.
fn lengths(out: &mut Vec<u8>, offsets: &[i32]) -> (usize, usize) {
    for pair in offsets.windows(2) {
        varint(out, (pair[1] - pair[0]) as u64);
    }
    (offsets[0] as usize, offsets[offsets.len() - 1] as usize)
}
