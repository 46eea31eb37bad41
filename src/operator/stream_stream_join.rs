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
//! `1 identity time ordinal` → value · `2 time ordinal` → identity, for expiry · `3 time ordinal` → identity, of records
//! that are still to be told if nothing matches. Written at once; memory holds the keys in use.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::joined::{Encoded, JoinSchema, Joined, RowBytes};
use super::output::{by_arrival, two_ports};
use super::slots::Slots;
use super::table_table_join::join_kind;
use super::{Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::Result;
use crate::state::keys::{self, i64_at, ordered_i64, put_i64, put_u64, u64_at};
use crate::time::NO_TIME;
use crate::types::LogicalSchema;

const META: u8 = 0;
const RECORDS: u8 = 1;
const BY_TIME: u8 = 2;
const UNMATCHED: u8 = 3;
const CACHED_KEYS: usize = 50_000;

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
    buffers: Slots<[Vec<Record>; 2]>,
    /// Unmatched records of each side by time and ordinal.
    unmatched: [BTreeMap<(i64, u64), (RowBytes, RowBytes)>; 2],
    progress: Option<Progress>,
    last_seq: u64,
}

struct Record {
    ts: i64,
    ordinal: u64,
    value: RowBytes,
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
        let (buffers, unmatched) = (Slots::new(), [BTreeMap::new(), BTreeMap::new()]);
        Ok(Self { config, schema, buffers, unmatched, progress: None, last_seq: 0 })
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

    /// The records of a key, read from the stores when they are not cached.
    fn slot(&mut self, cx: &OperatorContext<'_>, key: &[u8]) -> Result<usize> {
        if let Some(slot) = self.buffers.find(key) {
            return Ok(slot);
        }
        let mut buffers = [Vec::new(), Vec::new()];
        for (side, buffer) in buffers.iter_mut().enumerate() {
            cx.stores[self.config.stores[side]].prefix(&keys::key(RECORDS, &[key]), &mut |at, value| {
                let at = &at[at.len() - 16..];
                buffer.push(Record { ts: i64_at(at), ordinal: u64_at(&at[8..]), value: value.into() });
                ControlFlow::Continue(())
            })?;
        }
        Ok(self.buffers.insert(key, buffers))
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
                self.pad(joined, (at.0, seq), side, &key, value);
            }
        }
    }

    fn pad(&self, joined: &mut Joined, (ts, seq): (i64, u64), side: usize, key: &[u8], value: RowBytes) {
        let sides = if side == 0 { [Some(value), None] } else { [None, Some(value)] };
        self.schema.push(joined, (ts, seq, Op::Insert), key, sides);
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
        let value: RowBytes = encoded.values.row(row).data().into();
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
        let slot = self.slot(cx, key)?;
        let kept_ms = self.kept_ms();
        let (ordinal, store) = (progress.records, self.config.stores[side]);
        if ts.saturating_add(kept_ms) >= progress.sides[side] {
            progress.records += 1;
            let at = time_key(BY_TIME, (ts, ordinal));
            cx.stores[store].put_owned(keys::key(RECORDS, &[key, &at[1..]]), value.to_vec());
            cx.stores[store].put_owned(at, key.to_vec());
            let buffer = &mut self.buffers.get_mut(slot)[side];
            let place = buffer.partition_point(|other| other.ts <= ts);
            buffer.insert(place, Record { ts, ordinal, value: Arc::clone(&value) });
        } else {
            cx.late += 1;
        }

        let other_side = 1 - side;
        let (before, after) = (self.config.before_ms, self.config.after_ms);
        let (first, last) = if side == 0 { (before, after) } else { (after, before) };
        let (first, last) = (ts.saturating_sub(first), ts.saturating_add(last));
        let kept_from = progress.sides[other_side].saturating_sub(kept_ms);
        let buffer = &self.buffers.get(slot)[other_side];
        let from = buffer.partition_point(|other| other.ts < first.max(kept_from));
        let matches = buffer[from..].iter().take_while(|other| other.ts <= last);
        let mut matched = false;
        for other in matches {
            matched = true;
            if self.unmatched[other_side].remove(&(other.ts, other.ordinal)).is_some() {
                let at = time_key(UNMATCHED, (other.ts, other.ordinal));
                cx.stores[self.config.stores[other_side]].delete(&at);
            }
            let (this, other_value) = (Some(Arc::clone(&value)), Some(Arc::clone(&other.value)));
            let sides = if side == 0 { [this, other_value] } else { [other_value, this] };
            self.schema.push(joined, (ts.max(other.ts), seq, Op::Insert), key, sides);
        }
        if !matched && self.config.outer[side] {
            if self.config.eager_outer || self.closes(side, ts) < progress.observed {
                self.pad(joined, (ts, seq), side, key, value);
            } else {
                cx.stores[store].put_owned(time_key(UNMATCHED, (ts, ordinal)), key.to_vec());
                self.unmatched[side].insert((ts, ordinal), (key.into(), value));
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
        let kept_ms = self.kept_ms();
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
            let kept_from = progress.sides[side].saturating_sub(kept_ms);
            let end = keys::key(BY_TIME, &[&ordered_i64(kept_from)]);
            let mut expired = Vec::new();
            store.range(Bound::Included(&[BY_TIME]), Bound::Excluded(&end), &mut |at, key| {
                expired.push((at.to_vec(), key.to_vec()));
                ControlFlow::Continue(())
            })?;
            for (at, key) in expired {
                store.delete(&keys::key(RECORDS, &[&key, &at[1..]]));
                store.delete(&at);
                if let Some(slot) = self.buffers.find(&key) {
                    let buffer = &mut self.buffers.get_mut(slot)[side];
                    if buffer.first().is_some_and(|record| record.ts < kept_from) {
                        buffer.drain(..buffer.partition_point(|record| record.ts < kept_from));
                    }
                }
            }
        }
        if self.buffers.len() > CACHED_KEYS {
            self.buffers.clear();
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let StreamStreamJoinConfig { outer, before_ms, after_ms, grace_ms, .. } = &self.config;
        let kind = join_kind(*outer);
        format!("stream-stream {kind}join within ({before_ms} ms, {after_ms} ms), grace {grace_ms} ms")
    }
}

fn time_key(tag: u8, (ts, ordinal): (i64, u64)) -> Vec<u8> {
    keys::key(tag, &[&ordered_i64(ts), &ordinal.to_be_bytes()])
}
