//! Windowed keys: the serialised key followed by its window, as Kafka Streams lays it out.
//!
//! > KSQL: a tumbling or hopping window adds its start (8 bytes, big endian), a session adds its end and its start.

use arrow::array::{Array, Int64Array, Int64Builder};

use crate::change::{Payloads, Slots};
use crate::error::{Error, RecordError, Result};
use crate::time::WindowKind;
use crate::types::KeyWindow;

/// Keys without their windows.
#[derive(Debug)]
pub struct SplitKeys {
    /// What a key decoder reads.
    pub keys: Slots,
    /// Window starts; NULL where the key is null or too short.
    pub starts: Int64Array,
    /// Window ends; NULL where the key is null or too short.
    pub ends: Int64Array,
    /// Keys too short to hold a window, in row order.
    pub errors: Vec<RecordError>,
}

/// Takes the windows off keys.
pub fn split(keys: Payloads<'_>, window: KeyWindow) -> Result<SplitKeys> {
    let session = window.kind == WindowKind::Session;
    let size = match window.size_ms {
        _ if session => 0,
        Some(size) => size,
        None => {
            return Err(Error::semantic(format!("the size of the {} window is not known", window.kind))
                .hint("Give WINDOW_SIZE in the WITH clause."));
        }
    };
    let suffix = suffix_len(window.kind);
    let mut inner = Slots::default();
    let mut starts = Int64Builder::with_capacity(keys.len());
    let mut ends = Int64Builder::with_capacity(keys.len());
    let mut errors = Vec::new();
    for (row, key) in keys.iter().enumerate() {
        let cut = key.and_then(|key| key.split_at_checked(key.len().checked_sub(suffix)?));
        let Some((key_bytes, tail)) = cut else {
            if let Some(key) = key {
                let reason = format!("a windowed key has at least {suffix} bytes, but this one has {}", key.len());
                errors.push(RecordError { row, place: "deserialization".to_owned(), reason });
            }
            inner.push_null();
            starts.append_null();
            ends.append_null();
            continue;
        };
        inner.push(Some(key_bytes));
        let start = be_i64(&tail[suffix - 8..]);
        starts.append_value(start);
        ends.append_value(if session { be_i64(tail) } else { start.saturating_add(size) });
    }
    Ok(SplitKeys { keys: inner, starts: starts.finish(), ends: ends.finish(), errors })
}

/// Appends to `out` each of `keys` with its window; null keys, and keys whose window is NULL, stay null.
pub fn append(keys: Payloads<'_>, kind: WindowKind, starts: &Int64Array, ends: &Int64Array, out: &mut Slots) {
    for (row, key) in keys.iter().enumerate() {
        let bounds = (row < starts.len() && row < ends.len() && starts.is_valid(row) && ends.is_valid(row))
            .then(|| (starts.value(row), ends.value(row)));
        let (Some(key), Some((start, end))) = (key, bounds) else {
            out.push_null();
            continue;
        };
        let from = out.data.len();
        out.data.extend_from_slice(key);
        if kind == WindowKind::Session {
            out.data.extend_from_slice(&end.to_be_bytes());
        }
        out.data.extend_from_slice(&start.to_be_bytes());
        out.close(from);
    }
}

/// How many bytes of a windowed key are its window.
pub fn suffix_len(kind: WindowKind) -> usize {
    if kind == WindowKind::Session { 16 } else { 8 }
}

fn be_i64(bytes: &[u8]) -> i64 {
    bytes.first_chunk().map_or(0, |chunk| i64::from_be_bytes(*chunk))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Slots {
        let mut slots = Slots::default();
        slots.push(Some(b"a"));
        slots.push(None);
        slots.push(Some(b""));
        slots
    }

    #[test]
    fn windows_come_back() {
        let starts = Int64Array::from(vec![10, 20, 30]);
        let ends = Int64Array::from(vec![15, 25, 35]);
        for (kind, len) in [(WindowKind::Tumbling, 9), (WindowKind::Hopping, 9), (WindowKind::Session, 17)] {
            let mut out = Slots::default();
            append(keys().view(0..3), kind, &starts, &ends, &mut out);
            assert_eq!(out.get(0).map(<[u8]>::len), Some(len));
            let window = KeyWindow { kind, size_ms: Some(5) };
            let split = split(out.view(0..3), window).expect("a size is given");
            assert_eq!((0..3).map(|i| split.keys.get(i)).collect::<Vec<_>>(), [Some(&b"a"[..]), None, Some(b"")]);
            assert_eq!(split.starts, Int64Array::from(vec![Some(10), None, Some(30)]));
            assert_eq!(split.ends, Int64Array::from(vec![Some(15), None, Some(35)]));
            assert!(split.errors.is_empty());
        }
    }

    #[test]
    fn the_layout_is_that_of_kafka_streams() {
        let mut out = Slots::default();
        let (start, end) = (Int64Array::from(vec![1; 3]), Int64Array::from(vec![2; 3]));
        append(keys().view(0..1), WindowKind::Session, &start, &end, &mut out);
        assert_eq!(out.get(0), Some(&b"a\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01"[..]));
    }

    #[test]
    fn short_keys_are_record_errors() {
        let window = KeyWindow { kind: WindowKind::Session, size_ms: None };
        let split = split(keys().view(0..3), window).expect("sessions need no size");
        assert_eq!(split.errors.iter().map(|error| error.row).collect::<Vec<_>>(), [0, 2]);
        assert_eq!(split.starts.null_count(), 3);
    }
}
