//! A chunk as bytes: consecutive records of one partition, column by column.
//!
//! **Invariant:** `decode(encode(set))` is `set`; bytes that `encode` did not write are refused, never misread silently
//! within the limits of a length check.

use std::sync::Arc;

use crate::change::{Header, RecordSet, Slots};
use crate::error::{Error, Result};

const FORMAT: u8 = 1;
const NULL: u32 = u32::MAX;

/// The bytes of a chunk: format, count, offsets, timestamps, keys, values, headers.
pub(in crate::broker) fn encode(set: &RecordSet) -> Vec<u8> {
    let mut out = Vec::with_capacity(16 + set.len() * 24 + set.keys.data.len() + set.values.data.len());
    out.push(FORMAT);
    put_len(&mut out, set.len());
    // Offsets and timestamps as distances to the one before: short in practice, and lz4 squeezes the zero bytes.
    for column in [&set.offsets, &set.timestamps] {
        let mut last = 0_i64;
        for value in column {
            out.extend_from_slice(&value.wrapping_sub(last).to_le_bytes());
            last = *value;
        }
    }
    put_slots(&mut out, &set.keys);
    put_slots(&mut out, &set.values);
    put_len(&mut out, set.headers.len());
    for headers in &set.headers {
        put_len(&mut out, headers.len());
        for header in headers {
            put_bytes(&mut out, Some(header.key.as_bytes()));
            put_bytes(&mut out, header.value.as_deref());
        }
    }
    out
}

/// The records of a chunk of this partition.
pub(in crate::broker) fn decode(topic: Arc<str>, partition: i32, bytes: &[u8]) -> Result<RecordSet> {
    let damaged = || Error::data(format!("damaged chunk in {topic}-{partition}"));
    let mut input = Input(bytes);
    let mut set = RecordSet::new(topic.clone(), partition);
    if input.take(1).ok_or_else(damaged)? != [FORMAT] {
        return Err(Error::data(format!("unknown chunk format in {topic}-{partition}"))
            .hint("The data directory was written by another version of eddyline."));
    }
    fill(&mut input, &mut set).ok_or_else(damaged)?;
    Ok(set)
}

fn fill(input: &mut Input<'_>, set: &mut RecordSet) -> Option<()> {
    let count = input.len()?;
    for column in [&mut set.offsets, &mut set.timestamps] {
        let bytes = input.take(count.checked_mul(8)?)?;
        let mut last = 0_i64;
        column.extend(bytes.as_chunks::<8>().0.iter().map(|delta| {
            last = last.wrapping_add(i64::from_le_bytes(*delta));
            last
        }));
    }
    input.slots(count, &mut set.keys)?;
    input.slots(count, &mut set.values)?;
    for _ in 0..input.len()? {
        let mut headers = Vec::new();
        for _ in 0..input.len()? {
            let key = String::from_utf8(input.bytes()??.to_vec()).ok()?;
            headers.push(Header { key, value: input.bytes()?.map(<[u8]>::to_vec) });
        }
        set.headers.push(headers);
    }
    input.0.is_empty().then_some(())
}

fn put_len(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&(len as u32).to_le_bytes());
}

fn put_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => out.extend_from_slice(&NULL.to_le_bytes()),
        Some(bytes) => {
            put_len(out, bytes.len());
            out.extend_from_slice(bytes);
        }
    }
}

fn put_slots(out: &mut Vec<u8>, slots: &Slots) {
    let view = slots.view(0..slots.len());
    for bytes in view.iter() {
        out.extend_from_slice(&bytes.map_or(NULL, |bytes| bytes.len() as u32).to_le_bytes());
    }
    view.iter().flatten().for_each(|bytes| out.extend_from_slice(bytes));
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn len(&mut self) -> Option<usize> {
        self.u32().map(|len| len as usize)
    }

    /// A byte string or null.
    fn bytes(&mut self) -> Option<Option<&'a [u8]>> {
        match self.u32()? {
            NULL => Some(None),
            len => self.take(len as usize).map(Some),
        }
    }

    fn slots(&mut self, count: usize, into: &mut Slots) -> Option<()> {
        for len in self.take(count.checked_mul(4)?)?.as_chunks::<4>().0 {
            match u32::from_le_bytes(*len) {
                NULL => into.push_null(),
                len => into.push(Some(self.take(len as usize)?)),
            }
        }
        Some(())
    }
}
