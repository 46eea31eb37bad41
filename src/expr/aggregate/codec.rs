//! Bytes of saved running values: variable-length integers and tagged [`Value`]s.

use crate::error::{Error, Result};
use crate::types::{Decimal, Value};

/// The layout that is written now.
const VERSION: u8 = 1;

/// Begins a saved value.
pub(super) fn begin(out: &mut Vec<u8>) {
    out.push(VERSION);
}

/// Reads what [`begin`] wrote.
pub(super) fn check(bytes: &mut &[u8]) -> Result<()> {
    match take(bytes, 1)?[0] {
        VERSION => Ok(()),
        other => Err(Error::data(format!("an aggregate was saved in layout {other}, which this version cannot read"))),
    }
}

pub(super) fn put_u128(out: &mut Vec<u8>, mut v: u128) {
    while v >= 0x80 {
        out.push(v as u8 | 0x80);
        v >>= 7;
    }
    out.push(v as u8);
}

pub(super) fn take_u128(bytes: &mut &[u8]) -> Result<u128> {
    let mut v = 0u128;
    for shift in (0..128).step_by(7) {
        let byte = take(bytes, 1)?[0];
        v |= u128::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(v);
        }
    }
    Err(Error::data("a saved number is too long"))
}

/// Small magnitudes are short, whatever their sign.
pub(super) fn put_i128(out: &mut Vec<u8>, v: i128) {
    put_u128(out, ((v << 1) ^ (v >> 127)) as u128);
}

pub(super) fn take_i128(bytes: &mut &[u8]) -> Result<i128> {
    let v = take_u128(bytes)?;
    Ok((v >> 1) as i128 ^ -((v & 1) as i128))
}

pub(super) fn put_i64(out: &mut Vec<u8>, v: i64) {
    put_i128(out, i128::from(v));
}

pub(super) fn take_i64(bytes: &mut &[u8]) -> Result<i64> {
    i64::try_from(take_i128(bytes)?).map_err(|_| Error::data("a saved number is too large"))
}

pub(super) fn put_f64(out: &mut Vec<u8>, v: f64) {
    out.extend_from_slice(&v.to_bits().to_be_bytes());
}

pub(super) fn take_f64(bytes: &mut &[u8]) -> Result<f64> {
    let mut bits = [0; 8];
    bits.copy_from_slice(take(bytes, 8)?);
    Ok(f64::from_bits(u64::from_be_bytes(bits)))
}

pub(super) fn put_len(out: &mut Vec<u8>, len: usize) {
    put_u128(out, len as u128);
}

/// A length; each of that many things takes at least one byte.
pub(super) fn take_len(bytes: &mut &[u8]) -> Result<usize> {
    let len = take_u128(bytes)?;
    usize::try_from(len).ok().filter(|len| *len <= bytes.len()).ok_or_else(truncated)
}

pub(super) fn put_bytes(out: &mut Vec<u8>, v: &[u8]) {
    put_len(out, v.len());
    out.extend_from_slice(v);
}

pub(super) fn take_bytes<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8]> {
    let len = take_len(bytes)?;
    take(bytes, len)
}

pub(super) fn take_string(bytes: &mut &[u8]) -> Result<String> {
    String::from_utf8(take_bytes(bytes)?.to_vec()).map_err(|_| Error::data("a saved text is no UTF-8"))
}

pub(super) fn put_flag(out: &mut Vec<u8>, v: bool) {
    out.push(u8::from(v));
}

pub(super) fn take_flag(bytes: &mut &[u8]) -> Result<bool> {
    Ok(take(bytes, 1)?[0] != 0)
}

fn take<'a>(bytes: &mut &'a [u8], len: usize) -> Result<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(len).ok_or_else(truncated)?;
    *bytes = tail;
    Ok(head)
}

fn truncated() -> Error {
    Error::data("a saved aggregate ends too early")
}

pub(super) fn put_values(out: &mut Vec<u8>, values: &[Value]) {
    put_len(out, values.len());
    values.iter().for_each(|value| put_value(out, value));
}

pub(super) fn take_values(bytes: &mut &[u8]) -> Result<Vec<Value>> {
    (0..take_len(bytes)?).map(|_| take_value(bytes)).collect()
}

pub(super) fn put_value(out: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => out.push(0),
        Value::Boolean(v) => out.push(1 + u8::from(*v)),
        Value::Int(v) => tagged(out, 3, *v),
        Value::BigInt(v) => {
            out.push(4);
            put_i64(out, *v);
        }
        Value::Double(v) => {
            out.push(5);
            put_f64(out, *v);
        }
        Value::Decimal(v) => {
            out.extend_from_slice(&[6, v.scale]);
            put_i128(out, v.unscaled);
        }
        Value::String(v) => {
            out.push(7);
            put_bytes(out, v.as_bytes());
        }
        Value::Bytes(v) => {
            out.push(8);
            put_bytes(out, v);
        }
        Value::Time(v) => tagged(out, 9, *v),
        Value::Date(v) => tagged(out, 10, *v),
        Value::Timestamp(v) => {
            out.push(11);
            put_i64(out, *v);
        }
        Value::Array(v) => {
            out.push(12);
            put_values(out, v);
        }
        Value::Map(v) => {
            out.push(13);
            put_len(out, v.len());
            for (key, value) in v {
                put_value(out, key);
                put_value(out, value);
            }
        }
        Value::Struct(v) => {
            out.push(14);
            put_values(out, v);
        }
    }
}

fn tagged(out: &mut Vec<u8>, tag: u8, v: i32) {
    out.push(tag);
    put_i64(out, i64::from(v));
}

fn take_i32(bytes: &mut &[u8]) -> Result<i32> {
    i32::try_from(take_i64(bytes)?).map_err(|_| Error::data("a saved number is too large"))
}

pub(super) fn take_value(bytes: &mut &[u8]) -> Result<Value> {
    Ok(match take(bytes, 1)?[0] {
        0 => Value::Null,
        1 => Value::Boolean(false),
        2 => Value::Boolean(true),
        3 => Value::Int(take_i32(bytes)?),
        4 => Value::BigInt(take_i64(bytes)?),
        5 => Value::Double(take_f64(bytes)?),
        6 => {
            let scale = take(bytes, 1)?[0];
            Value::Decimal(Decimal::new(take_i128(bytes)?, scale))
        }
        7 => Value::String(take_string(bytes)?),
        8 => Value::Bytes(take_bytes(bytes)?.to_vec()),
        9 => Value::Time(take_i32(bytes)?),
        10 => Value::Date(take_i32(bytes)?),
        11 => Value::Timestamp(take_i64(bytes)?),
        12 => Value::Array(take_values(bytes)?),
        13 => Value::Map(
            (0..take_len(bytes)?).map(|_| Ok((take_value(bytes)?, take_value(bytes)?))).collect::<Result<_>>()?,
        ),
        14 => Value::Struct(take_values(bytes)?),
        other => return Err(Error::data(format!("a saved value has the unknown tag {other}"))),
    })
}

/// The value with the entries of its maps in order of their keys, so that equal maps are equal values.
pub(super) fn canonical(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(canonical).collect()),
        Value::Struct(items) => Value::Struct(items.into_iter().map(canonical).collect()),
        Value::Map(entries) => {
            let mut entries: Vec<_> = entries.into_iter().map(|(k, v)| (canonical(k), canonical(v))).collect();
            entries.sort_by(|a, b| a.0.total_cmp(&b.0));
            Value::Map(entries)
        }
        plain => plain,
    }
}
