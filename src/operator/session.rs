//! [`SessionAggregation`]: aggregates rows by key and session: runs of rows of one key with no gap longer than the
//! window's size. A session's end is its last row's time, inclusive; its rows' time is its end.
//!
//! A row joins all sessions within the gap; these are replaced by one. A session takes rows while its end plus gap plus
//! grace is not before the newest event time seen here; a row that would only make such a session is late.
//! With `EMIT FINAL` a session is told once, at the record (or idle advance) that closes it, in order of session ends,
//! then of first rows.
//!
//! > KSQL: replacing a session deletes it first, even when the new one has the same bounds; only a session of a single
//! > moment that gets another row of the same moment is updated in place.
//!
//! Store layout: `0` → observed event time, count of sessions · `1 key start` → end, ordinal, accumulators ·
//! `2 end key start` → nothing, for expiry.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};

use super::calls::{Accumulators, Call, Calls};
use super::exprs::sort_errors;
use super::output::RowHeads;
use super::partition_by::key_names;
use super::slots::Slots;
use super::{AggregationConfig, Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::{Error, Result};
use crate::state::keys::{self, i64_at, ordered_i64, put_i64, put_u64, u64_at};
use crate::state::{RowCodec, StateStore};
use crate::time::{NO_TIME, WindowSpec};
use crate::types::{Value, ValueBuilder};

const META: u8 = 0;
const SESSIONS: u8 = 1;
const BY_END: u8 = 2;
const CACHED_KEYS: usize = 100_000;

/// `GROUP BY` with a session window. Sessions are of streams, so there are no rows to take back.
pub struct SessionAggregation {
    config: AggregationConfig,
    window: WindowSpec,
    calls: Calls,
    keys: RowCodec,
    slots: Slots<Sessions>,
    touched: Vec<usize>,
    /// `EMIT FINAL`: the key and start of each open session by end and ordinal.
    open: BTreeMap<(i64, u64), OpenSession>,
    progress: Option<Progress>,
    last_seq: u64,
}

#[derive(Clone, Copy)]
struct Progress {
    observed: i64,
    sessions: u64,
}

/// Where a session is found.
struct OpenSession {
    key: Box<[u8]>,
    start: i64,
}

/// The sessions of one key.
#[derive(Default)]
struct Sessions {
    live: Vec<Session>,
    /// Start and end of those in the store.
    stored: Vec<(i64, i64)>,
    /// What downstream knew when updates began to be held back: start, end, values.
    told: Vec<(i64, i64, Vec<Value>)>,
    touched: bool,
}

struct Session {
    start: i64,
    end: i64,
    ordinal: u64,
    accumulators: Accumulators,
    dirty: bool,
}

impl SessionAggregation {
    /// Aggregates with these calls, one per value column; `config.window` must be a session window.
    pub fn new(config: AggregationConfig, calls: Vec<Call>) -> Result<Self> {
        let keys = RowCodec::new(config.schema.key().iter().map(|column| column.ty.arrow()))?;
        let window = config.window.ok_or_else(|| Error::internal("a session aggregation without a window"))?;
        Ok(Self {
            config,
            window,
            calls: Calls::new(calls),
            keys,
            slots: Slots::new(),
            touched: Vec::new(),
            open: BTreeMap::new(),
            progress: None,
            last_seq: 0,
        })
    }

    /// How long after its end a session takes rows.
    fn open_ms(&self) -> i64 {
        self.window.size_ms.saturating_add(self.window.grace_ms)
    }

    /// How long after its end a session is kept, and so merges with what comes.
    fn kept_ms(&self) -> i64 {
        if self.config.emit_final { self.open_ms() } else { self.window.retention_ms.max(self.open_ms()) }
    }

    fn progress(&mut self, store: &StateStore) -> Result<Progress> {
        if let Some(progress) = self.progress {
            return Ok(progress);
        }
        let progress = match store.get(&[META])? {
            Some(bytes) => Progress { observed: i64_at(&bytes), sessions: u64_at(&bytes[8..]) },
            None => Progress { observed: NO_TIME, sessions: 0 },
        };
        if self.config.emit_final {
            store.prefix(&[SESSIONS], &mut |key, value| {
                let (key, start) = key[1..].split_at(key.len() - 9);
                self.open.insert(
                    (i64_at(value), u64_at(&value[8..])),
                    OpenSession { key: key.into(), start: i64_at(start) },
                );
                ControlFlow::Continue(())
            })?;
        }
        self.progress = Some(progress);
        Ok(progress)
    }

    fn slot(&mut self, store: &StateStore, key: &[u8]) -> Result<usize> {
        if let Some(slot) = self.slots.find(key) {
            return Ok(slot);
        }
        let mut found = Vec::new();
        store.prefix(&keys::key(SESSIONS, &[key]), &mut |session, value| {
            found.push((i64_at(&session[session.len() - 8..]), value.to_vec()));
            ControlFlow::Continue(())
        })?;
        let mut sessions = Sessions::default();
        for (start, value) in found {
            let (end, ordinal) = (i64_at(&value), u64_at(&value[8..]));
            let accumulators = self.calls.load(&value[16..])?;
            sessions.live.push(Session { start, end, ordinal, accumulators, dirty: false });
            sessions.stored.push((start, end));
        }
        Ok(self.slots.insert(key, sessions))
    }

    fn touch(&mut self, slot: usize) {
        let hold_back = !self.config.emit_final;
        let sessions = self.slots.get_mut(slot);
        if !sessions.touched {
            sessions.touched = true;
            if hold_back {
                let live = sessions.live.iter();
                sessions.told = live.map(|s| (s.start, s.end, Calls::results(&s.accumulators))).collect();
            }
            self.touched.push(slot);
        }
    }

    /// Tells the sessions that closed, and forgets them.
    fn close(&mut self, cx: &mut OperatorContext<'_>, observed: i64, seq: u64, told: &mut Told) -> Result<()> {
        let open_ms = self.open_ms();
        while let Some(first) = self.open.first_entry() {
            if first.key().0.saturating_add(open_ms) >= observed {
                break;
            }
            let OpenSession { key, start } = first.remove();
            let slot = self.slot(&cx.stores[self.config.store], &key)?;
            self.touch(slot);
            let sessions = self.slots.get_mut(slot);
            if let Some(at) = sessions.live.iter().position(|session| session.start == start) {
                let closed = sessions.live.remove(at);
                told.push(&key, seq, Op::Insert, (closed.start, closed.end), &Calls::results(&closed.accumulators));
            }
        }
        Ok(())
    }

    fn emit(&self, cx: &mut OperatorContext<'_>, told: Told) -> Result<()> {
        if !told.heads.is_empty() {
            let keys = self.keys.decode(told.keys.iter().map(|key| &**key))?;
            cx.emit(told.finish(&self.config, keys)?);
        }
        Ok(())
    }
}

impl Operator for SessionAggregation {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let mut progress = self.progress(&cx.stores[self.config.store])?;
        let errors = cx.errors.len();
        let arguments = self.calls.arguments(cx, &batch)?;
        let keys = self.keys.encode_rows(&batch.data.columns()[..self.config.schema.key_len()], batch.len())?;
        let each_update = !cx.coalesce && !self.config.emit_final;
        let (gap_ms, open_ms, kept_ms) = (self.window.size_ms, self.open_ms(), self.kept_ms());
        let mut told = Told::new(&self.config);

        for row in 0..batch.len() {
            let (ts, seq, key) = (batch.rowtime[row], batch.seq[row], keys.row(row).data());
            self.last_seq = seq;
            let advanced = ts > progress.observed;
            progress.observed = progress.observed.max(ts);
            let slot = self.slot(&cx.stores[self.config.store], key)?;
            let near = |session: &Session| {
                session.end.saturating_add(gap_ms) >= ts
                    && session.start <= ts.saturating_add(gap_ms)
                    && session.end.saturating_add(kept_ms) >= progress.observed
            };
            let live = &self.slots.get(slot).live;
            let start = live.iter().filter(|s| near(s)).map(|s| s.start).min().map_or(ts, |start| start.min(ts));
            let end = live.iter().filter(|s| near(s)).map(|s| s.end).max().map_or(ts, |end| end.max(ts));
            if end.saturating_add(open_ms) < progress.observed {
                cx.late += 1;
                continue;
            }
            self.touch(slot);
            let live = &mut self.slots.get_mut(slot).live;
            // Sessions of one key do not overlap, so their order by start is theirs by end.
            let merged: Vec<Session> = live.extract_if(.., |session| near(session)).collect();
            let in_place = start == end && !merged.is_empty();
            let before = (in_place && each_update).then(|| Calls::results(&merged[0].accumulators));
            for session in &merged {
                if self.config.emit_final {
                    self.open.remove(&(session.end, session.ordinal));
                }
                if each_update && !in_place {
                    let values = Calls::results(&session.accumulators);
                    told.push(key, seq, Op::Delete, (session.start, session.end), &values);
                }
            }
            let ordinal = merged.iter().map(|session| session.ordinal).min().unwrap_or(progress.sessions);
            let mut merged = merged.into_iter();
            let mut accumulators = match merged.next() {
                Some(first) => first.accumulators,
                None => {
                    progress.sessions += 1;
                    self.calls.fresh()
                }
            };
            for later in merged {
                self.calls.merge(&mut accumulators, &later.accumulators, seq, &mut cx.errors);
            }
            let mut session = Session { start, end, ordinal, accumulators, dirty: true };
            self.calls.apply(&mut session.accumulators, &arguments, row, false, seq, &mut cx.errors);
            if each_update {
                if let Some(before) = &before {
                    told.push(key, seq, Op::UpdateBefore, (start, end), before);
                }
                let op = if before.is_some() { Op::UpdateAfter } else { Op::Insert };
                told.push(key, seq, op, (start, end), &Calls::results(&session.accumulators));
            }
            if self.config.emit_final {
                self.open.insert((end, session.ordinal), OpenSession { key: key.into(), start });
            }
            let at = live.partition_point(|other| other.start < start);
            live.insert(at, session);
            if advanced && self.config.emit_final {
                self.close(cx, progress.observed, seq, &mut told)?;
            }
        }
        self.progress = Some(progress);
        sort_errors(cx, errors);
        self.emit(cx, told)
    }

    fn on_stream_time(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut progress = self.progress(&cx.stores[self.config.store])?;
        if cx.stream_time <= progress.observed {
            return Ok(());
        }
        progress.observed = cx.stream_time;
        self.progress = Some(progress);
        if !self.config.emit_final {
            return Ok(());
        }
        let mut told = Told::new(&self.config);
        self.close(cx, progress.observed, self.last_seq, &mut told)?;
        self.emit(cx, told)
    }

    fn on_commit(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let Some(progress) = self.progress else { return Ok(()) };
        let hold_back = cx.coalesce && !self.config.emit_final;
        let mut told = Told::new(&self.config);
        let store = &mut cx.stores[self.config.store];
        let expired = progress.observed.saturating_sub(self.kept_ms());
        for slot in std::mem::take(&mut self.touched) {
            let key: Box<[u8]> = self.slots.key(slot).into();
            let sessions = self.slots.get_mut(slot);
            if hold_back {
                told.difference(&key, self.last_seq, sessions);
            }
            sessions.touched = false;
            sessions.told.clear();
            sessions.live.retain(|session| session.end >= expired);
            sessions.write(&key, store);
        }
        let mut meta = ordered_i64(progress.observed).to_vec();
        put_u64(&mut meta, progress.sessions);
        if store.get(&[META])?.as_deref() != Some(&meta) {
            store.put(&[META], &meta);
        }
        expire(store, expired)?;
        if self.slots.len() > CACHED_KEYS {
            self.slots.clear();
        }
        self.emit(cx, told)
    }

    fn describe(&self) -> String {
        let (calls, by) = (self.calls.describe(), key_names(&self.config.schema));
        let last = if self.config.emit_final { ", final" } else { "" };
        format!("aggregate {calls} by {by}, window SESSION {} ms{last}", self.window.size_ms)
    }
}

impl Sessions {
    fn write(&mut self, key: &[u8], store: &mut StateStore) {
        let live: Vec<_> = self.live.iter().map(|session| (session.start, session.end)).collect();
        for (start, end) in self.stored.iter().filter(|bounds| !live.contains(bounds)) {
            store.delete(&keys::key(BY_END, &[&ordered_i64(*end), key, &ordered_i64(*start)]));
            if !live.iter().any(|(other, _)| other == start) {
                store.delete(&keys::key(SESSIONS, &[key, &ordered_i64(*start)]));
            }
        }
        for session in self.live.iter_mut().filter(|session| session.dirty) {
            session.dirty = false;
            let mut bytes = Vec::with_capacity(48);
            put_i64(&mut bytes, session.end);
            put_u64(&mut bytes, session.ordinal);
            Calls::save(&session.accumulators, &mut bytes);
            let start = ordered_i64(session.start);
            store.put(&keys::key(SESSIONS, &[key, &start]), &bytes);
            store.put(&keys::key(BY_END, &[&ordered_i64(session.end), key, &start]), &[]);
        }
        self.stored = live;
    }
}

/// Deletes sessions that ended before `end`.
fn expire(store: &mut StateStore, end: i64) -> Result<()> {
    let mut expired = Vec::new();
    let bound = keys::key(BY_END, &[&ordered_i64(end)]);
    store.range(Bound::Included(&[BY_END]), Bound::Excluded(&bound), &mut |key, _| {
        expired.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    for key in expired {
        store.delete(&keys::key(SESSIONS, &[&key[9..]]));
        store.delete(&key);
    }
    Ok(())
}

/// Output in the making.
struct Told {
    heads: RowHeads,
    keys: Vec<Box<[u8]>>,
    starts: Vec<i64>,
    ends: Vec<i64>,
    values: Vec<ValueBuilder>,
}

impl Told {
    fn new(config: &AggregationConfig) -> Self {
        let values = config.schema.value().iter().map(|column| ValueBuilder::new(&column.ty, 0)).collect();
        Self { heads: RowHeads::default(), keys: Vec::new(), starts: Vec::new(), ends: Vec::new(), values }
    }

    fn push(&mut self, key: &[u8], seq: u64, op: Op, (start, end): (i64, i64), values: &[Value]) {
        self.heads.push(end, seq, op);
        self.keys.push(key.into());
        self.starts.push(start);
        self.ends.push(end);
        for (builder, value) in self.values.iter_mut().zip(values) {
            builder.push(value);
        }
    }

    /// What changed since updates were held back: sessions that went, then those that changed or came.
    fn difference(&mut self, key: &[u8], seq: u64, sessions: &Sessions) {
        let is = |session: &&Session, bounds: (i64, i64)| (session.start, session.end) == bounds;
        for (start, end, values) in &sessions.told {
            if !sessions.live.iter().any(|session| is(&session, (*start, *end))) {
                self.push(key, seq, Op::Delete, (*start, *end), values);
            }
        }
        for session in sessions.live.iter().filter(|session| session.dirty) {
            let bounds = (session.start, session.end);
            let before = sessions.told.iter().find(|(start, end, _)| (*start, *end) == bounds);
            if let Some((_, _, before)) = before {
                self.push(key, seq, Op::UpdateBefore, bounds, before);
            }
            let op = if before.is_some() { Op::UpdateAfter } else { Op::Insert };
            self.push(key, seq, op, bounds, &Calls::results(&session.accumulators));
        }
    }

    fn finish(mut self, config: &AggregationConfig, mut columns: Vec<ArrayRef>) -> Result<ChangeBatch> {
        columns.push(Arc::new(Int64Array::from(self.starts)));
        columns.push(Arc::new(Int64Array::from(self.ends)));
        columns.extend(self.values.iter_mut().map(ValueBuilder::finish));
        self.heads.into_table(config.schema.arrow(), columns)
    }
}
