//! [`StreamStreamJoin`]: records of two streams with equal keys and event times near each other.
//!
//! A left record at `t` joins right records in `[t − before, t + after]`, both inclusive, in order of their time, then
//! arrival. The result has the later record's time. A record is kept while one that may still come could join it: until
//! the newest time of its own side is past its time by before + after + grace; one that comes later than that is
//! counted late, not kept, but still joins what the other side keeps. Records with a null value go.
//!
//! An unmatched record of an outer side is told, NULL-padded, when its window closes: once the newest time of both sides
//! (or idle time) is past the last time a match could have, plus grace; in order of time, then arrival, and before the
//! record that moved the time. If the window is closed when the record comes, it is told at once.
//!
//! > KSQL: without GRACE PERIOD (`eager_outer`) unmatched records are told at once, even if a match follows. Records with
//! > a null key match nothing: those of an outer side are told at once (as Kafka Streams does since KIP-962), others go;
//! > they do not move the time.
//!
//! Store layout, one store a side: `0` → newest time of the side, and in the left store of both, count of records ·
//! `1 identity time ordinal` → value · `3 time ordinal` → identity, of records that are still to be told if nothing
//! matches · `4 segment ordinal` → many records of one segment of time ([`List`]): what goes when the segment is past.
//! Records are written at once, the lists when they are long, or at the commit.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::joined::{Encoded, JoinSchema, Joined, RowBytes};
use super::output::{by_arrival, two_ports};
use super::table_table_join::{in_order, join_kind};
use super::{Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::Result;
use crate::state::StateStore;
use crate::state::keys::{self, i64_at, ordered_i64, put_i64, put_u64, u64_at};
use crate::time::NO_TIME;
use crate::types::LogicalSchema;

const META: u8 = 0;
const RECORDS: u8 = 1;
const UNMATCHED: u8 = 3;
const SEGMENTS: u8 = 4;
/// Segments that the time is parted into for which records are kept.
const SEGMENTS_KEPT: i64 = 8;
/// A list of keys that is longer is written.
const LIST_BYTES_MAX: usize = 32 << 10;

/// How to join two streams.
#[derive(Debug, Clone)]
pub struct StreamStreamJoinConfig {
    /// Whether unmatched records of the left and of the right side stay.
    pub outer: [bool; 2],
    /// How much earlier than the left record the right one may be.
    pub before_ms: i64,
    /// How much later than the left record the right one may be.
    pub after_ms: i64,
    /// How long after its window a record may come.
    pub grace_ms: i64,
    /// Null-padded rows at once rather than when the window closes.
    pub eager_outer: bool,
    /// Stores of the left and the right side.
    pub stores: [usize; 2],
}

/// Joins two streams within a time window.
pub struct StreamStreamJoin {
    config: StreamStreamJoinConfig,
    schema: JoinSchema,
    /// Each side's records by segment that no list in the store has yet.
    unlisted: [BTreeMap<i64, List>; 2],
    /// Unmatched records of each side by time and ordinal.
    unmatched: [BTreeMap<(i64, u64), (RowBytes, RowBytes)>; 2],
    progress: Option<Progress>,
    last_seq: u64,
    /// Keys in the making.
    from: Vec<u8>,
    to: Vec<u8>,
}

/// Records of a segment in order of arrival: length of the identity, the identity, time since the segment's beginning,
/// how much larger the ordinal is than the one before.
#[derive(Default)]
struct List {
    bytes: Vec<u8>,
    last: u64,
}

impl List {
    fn push(&mut self, identity: &[u8], since_ms: u64, ordinal: u64) {
        keys::put_varint(&mut self.bytes, identity.len() as u64);
        self.bytes.extend_from_slice(identity);
        keys::put_varint(&mut self.bytes, since_ms);
        keys::put_varint(&mut self.bytes, ordinal - self.last);
        self.last = ordinal;
    }

    /// The keys of the records of a written list.
    fn records(bytes: &[u8], begin: i64) -> impl Iterator<Item = Vec<u8>> {
        let (mut at, mut ordinal) = (0, 0);
        std::iter::from_fn(move || {
            let len = keys::varint_at(bytes, &mut at) as usize;
            let identity = bytes.get(at..at + len).filter(|identity| !identity.is_empty())?;
            at += len;
            let ts = begin.wrapping_add_unsigned(keys::varint_at(bytes, &mut at));
            ordinal += keys::varint_at(bytes, &mut at);
            Some(record_key(identity, ts, ordinal))
        })
    }
}

#[derive(Clone, Copy, PartialEq)]
struct Progress {
    /// Newest time of both sides.
    observed: i64,
    /// Newest time of each side.
    sides: [i64; 2],
    records: u64,
}

impl StreamStreamJoin {
    /// Joins `left` with `right` into `output`.
    pub fn new(
        config: StreamStreamJoinConfig,
        left: &LogicalSchema,
        right: &LogicalSchema,
        output: &LogicalSchema,
    ) -> Result<Self> {
        let schema = JoinSchema::new(left, right, output)?;
        let (unlisted, unmatched) = (Default::default(), Default::default());
        let (from, to) = Default::default();
        Ok(Self { config, schema, unlisted, unmatched, progress: None, last_seq: 0, from, to })
    }

    fn kept_ms(&self) -> i64 {
        self.config.before_ms.saturating_add(self.config.after_ms).saturating_add(self.config.grace_ms)
    }

    /// The last moment at which a record of this side may find a match.
    fn closes(&self, side: usize, ts: i64) -> i64 {
        let reach_ms = if side == 0 { self.config.after_ms } else { self.config.before_ms };
        ts.saturating_add(reach_ms).saturating_add(self.config.grace_ms)
    }

    /// Reads progress and unmatched records the first time.
    fn progress(&mut self, cx: &OperatorContext<'_>) -> Result<Progress> {
        if let Some(progress) = self.progress {
            return Ok(progress);
        }
        let mut progress = Progress { observed: NO_TIME, sides: [NO_TIME; 2], records: 0 };
        for side in 0..2 {
            let store = &cx.stores[self.config.stores[side]];
            if let Some(bytes) = store.get(&[META])? {
                progress.sides[side] = i64_at(&bytes);
                if side == 0 {
                    (progress.observed, progress.records) = (i64_at(&bytes[8..]), u64_at(&bytes[16..]));
                }
            }
            let mut found = Vec::new();
            store.prefix(&[UNMATCHED], &mut |at, key| {
                found.push((at[1..].to_vec(), RowBytes::from(key)));
                ControlFlow::Continue(())
            })?;
            for (at, key) in found {
                if let Some(value) = store.get(&keys::key(RECORDS, &[&key, &at]))? {
                    self.unmatched[side].insert((i64_at(&at), u64_at(&at[8..])), (key, value.into()));
                }
            }
        }
        self.progress = Some(progress);
        Ok(progress)
    }

    fn segment_ms(&self) -> i64 {
        (self.kept_ms() / SEGMENTS_KEPT).max(1)
    }

    /// The segment of time that `ts` lies in.
    fn segment(&self, ts: i64) -> i64 {
        ts.div_euclid(self.segment_ms())
    }

    /// Writes a record, and remembers that it goes with its segment.
    fn keep(&mut self, store: &mut StateStore, side: usize, (ts, ordinal): (i64, u64), key: &[u8], value: &[u8]) {
        let (segment, since_ms) = (self.segment(ts), ts.rem_euclid(self.segment_ms()));
        let list = self.unlisted[side].entry(segment).or_default();
        list.push(key, since_ms as u64, ordinal);
        if list.bytes.len() > LIST_BYTES_MAX {
            store.put(&time_key(SEGMENTS, (segment, ordinal + 1)), &std::mem::take(list).bytes);
        }
        set_key(&mut self.from, key, ts, ordinal);
        store.put(&self.from, value);
    }

    /// Writes what is to go with its segment, and deletes the segments that are past.
    fn expire(&mut self, store: &mut StateStore, side: usize, progress: &Progress) -> Result<()> {
        for (segment, list) in std::mem::take(&mut self.unlisted[side]) {
            if !list.bytes.is_empty() {
                // Lists have the ordinal that follows their last record's, so no two of a segment the same.
                store.put(&time_key(SEGMENTS, (segment, progress.records)), &list.bytes);
            }
        }
        let kept_from = progress.sides[side].saturating_sub(self.kept_ms());
        let end = keys::key(SEGMENTS, &[&ordered_i64(self.segment(kept_from))]);
        let mut past = Vec::new();
        store.range(Bound::Included(&[SEGMENTS]), Bound::Excluded(&end), &mut |at, list| {
            past.push((at.to_vec(), list.to_vec()));
            ControlFlow::Continue(())
        })?;
        for (at, list) in past {
            store.delete(&at);
            // The first segment of all may begin before the first time: both wrap, and their sum is right.
            let begin = i64_at(&at[1..]).wrapping_mul(self.segment_ms());
            List::records(&list, begin).for_each(|key| store.delete(&key));
        }
        Ok(())
    }

    /// Tells unmatched records whose window closed.
    fn close(&mut self, cx: &mut OperatorContext<'_>, observed: i64, seq: u64, joined: &mut Joined) {
        loop {
            let first = |side: usize| {
                let (at, _) = self.unmatched[side].first_key_value()?;
                (self.closes(side, at.0) < observed).then_some((*at, side))
            };
            let Some((at, side)) = [first(0), first(1)].into_iter().flatten().min() else { return };
            if let Some((key, value)) = self.unmatched[side].remove(&at) {
                cx.stores[self.config.stores[side]].delete(&time_key(UNMATCHED, at));
                self.pad(joined, (at.0, seq), side, &key, &value);
            }
        }
    }

    fn pad(&self, joined: &mut Joined, (ts, seq): (i64, u64), side: usize, key: &[u8], value: &[u8]) {
        self.schema.push(joined, (ts, seq, Op::Insert), key, in_order(side, Some(value), None));
    }

    fn record(
        &mut self,
        cx: &mut OperatorContext<'_>,
        progress: &mut Progress,
        (side, row): (usize, usize),
        (batch, encoded): (&ChangeBatch, &Encoded),
        joined: &mut Joined,
    ) -> Result<()> {
        let (ts, seq) = (batch.rowtime[row], batch.seq[row]);
        let key = encoded.keys.row(row).data();
        let value = encoded.values.row(row).data();
        if encoded.null_key[row] {
            if self.config.outer[side] {
                self.pad(joined, (ts, seq), side, key, value);
            }
            return Ok(());
        }
        progress.sides[side] = progress.sides[side].max(ts);
        if ts > progress.observed {
            progress.observed = ts;
            self.close(cx, ts, seq, joined);
        }
        let kept_ms = self.kept_ms();
        let (ordinal, store) = (progress.records, self.config.stores[side]);
        if ts.saturating_add(kept_ms) >= progress.sides[side] {
            progress.records += 1;
            self.keep(&mut cx.stores[store], side, (ts, ordinal), key, value);
        } else {
            cx.late += 1;
        }

        let other_side = 1 - side;
        let (before, after) = (self.config.before_ms, self.config.after_ms);
        let (first, last) = if side == 0 { (before, after) } else { (after, before) };
        let kept_from = progress.sides[other_side].saturating_sub(kept_ms);
        let first = ts.saturating_sub(first).max(kept_from);
        set_key(&mut self.from, key, first, 0);
        set_key(&mut self.to, key, ts.saturating_add(last), u64::MAX);
        let mut matched = false;
        // Of the other side's records that were to be told alone.
        let mut found = Vec::new();
        let store_of_other = self.config.stores[other_side];
        cx.stores[store_of_other].range(Bound::Included(&self.from), Bound::Included(&self.to), &mut |at, other| {
            matched = true;
            let at = &at[at.len() - 16..];
            let other_ts = i64_at(at);
            if !self.unmatched[other_side].is_empty() {
                found.push((other_ts, u64_at(&at[8..])));
            }
            let sides = in_order(side, Some(value), Some(other));
            self.schema.push(joined, (ts.max(other_ts), seq, Op::Insert), key, sides);
            ControlFlow::Continue(())
        })?;
        for at in found {
            if self.unmatched[other_side].remove(&at).is_some() {
                cx.stores[store_of_other].delete(&time_key(UNMATCHED, at));
            }
        }
        if !matched && self.config.outer[side] {
            if self.config.eager_outer || self.closes(side, ts) < progress.observed {
                self.pad(joined, (ts, seq), side, key, value);
            } else {
                cx.stores[store].put(&time_key(UNMATCHED, (ts, ordinal)), key);
                self.unmatched[side].insert((ts, ordinal), (key.into(), value.into()));
            }
        }
        Ok(())
    }

    fn emit(&self, cx: &mut OperatorContext<'_>, joined: Joined) -> Result<()> {
        if !joined.heads.is_empty() {
            cx.emit(self.schema.stream(joined)?);
        }
        Ok(())
    }
}

impl Operator for StreamStreamJoin {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let ports = two_ports(input);
        let mut progress = self.progress(cx)?;
        let encode = |side: usize| ports[side].as_ref().map(|batch| self.schema.encode(side, batch)).transpose();
        let encoded = [encode(0)?, encode(1)?];
        let mut joined = Joined::default();
        for (side, row) in by_arrival(ports[0].as_ref(), ports[1].as_ref()) {
            let (Some(batch), Some(encoded)) = (&ports[side], &encoded[side]) else { continue };
            self.last_seq = batch.seq[row];
            if !batch.is_null_value(row) {
                self.record(cx, &mut progress, (side, row), (batch, encoded), &mut joined)?;
            }
        }
        self.progress = Some(progress);
        self.emit(cx, joined)
    }

    fn on_stream_time(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut progress = self.progress(cx)?;
        let time = cx.stream_time;
        progress.observed = progress.observed.max(time);
        progress.sides = progress.sides.map(|side| side.max(time));
        self.progress = Some(progress);
        let mut joined = Joined::default();
        self.close(cx, progress.observed, self.last_seq, &mut joined);
        self.emit(cx, joined)
    }

    fn on_commit(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let Some(progress) = self.progress else { return Ok(()) };
        for side in 0..2 {
            let store = &mut cx.stores[self.config.stores[side]];
            let mut meta = Vec::new();
            put_i64(&mut meta, progress.sides[side]);
            if side == 0 {
                put_i64(&mut meta, progress.observed);
                put_u64(&mut meta, progress.records);
            }
            if store.get(&[META])?.as_deref() != Some(&meta) {
                store.put(&[META], &meta);
            }
            self.expire(store, side, &progress)?;
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let StreamStreamJoinConfig { outer, before_ms, after_ms, grace_ms, .. } = &self.config;
        let kind = join_kind(*outer);
        format!("stream-stream {kind}join within ({before_ms} ms, {after_ms} ms), grace {grace_ms} ms")
    }
}

fn record_key(identity: &[u8], ts: i64, ordinal: u64) -> Vec<u8> {
    let mut key = Vec::new();
    set_key(&mut key, identity, ts, ordinal);
    key
}

/// The same into a buffer.
fn set_key(key: &mut Vec<u8>, identity: &[u8], ts: i64, ordinal: u64) {
    key.clear();
    key.reserve(17 + identity.len());
    key.push(RECORDS);
    key.extend_from_slice(identity);
    put_i64(key, ts);
    put_u64(key, ordinal);
}

fn time_key(tag: u8, (ts, ordinal): (i64, u64)) -> Vec<u8> {
    keys::key(tag, &[&ordered_i64(ts), &ordinal.to_be_bytes()])
}
