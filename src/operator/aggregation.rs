//! [`Aggregation`]: aggregates rows by key, or by key and tumbling or hopping window.
//!
//! A window takes rows while its end plus grace is past the newest event time seen here; later rows are counted late.
//! With `EMIT FINAL` a window is told once, at the record (or idle advance) that closes it: windows in order of their
//! end, in each the keys in order of their first row. Otherwise each row's update is told, or, when updates coalesce,
//! one per key at commit in order of first touch.
//!
//! > KSQL: a table's update within one group is one change, taking the old row back and the new one in; a group whose
//! > rows are all taken back stays, with the value of an empty group.
//!
//! Store layout: `0` → observed event time, count of groups · `1 [windowstart] key` → newest event time, ordinal of
//! the group, accumulators. Window start first: what expires is a range.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use arrow::array::{ArrayRef, Int64Array};
use std::sync::Arc;

use super::calls::{Accumulators, Arguments, Call, Calls};
use super::exprs::{is_update_pair, sort_errors};
use super::output::{RowHeads, take};
use super::partition_by::key_names;
use super::slots::Slots;
use super::{Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::Result;
use crate::state::keys::{self, i64_at, ordered_i64, put_i64, put_u64, u64_at};
use crate::state::{RowCodec, StateStore};
use crate::time::{NO_TIME, WindowSpec};
use crate::types::{LogicalSchema, Value, ValueBuilder};

const META: u8 = 0;
const GROUPS: u8 = 1;

/// Entries above which the cache is emptied at commit; what is touched again is read back.
const CACHED_GROUPS: usize = 200_000;

/// How to aggregate.
#[derive(Debug, Clone)]
pub struct AggregationConfig {
    /// Its store.
    pub store: usize,
    /// The output: key columns as the input's, then one value column per call.
    pub schema: LogicalSchema,
    /// Its window.
    pub window: Option<WindowSpec>,
    /// One result per window when it closes, rather than every update.
    pub emit_final: bool,
    /// With `EMIT FINAL`, windows that time has jumped over are lost rather than told.
    pub forgetful: bool,
}

/// `GROUP BY` without a window, or with a tumbling or hopping one.
pub struct Aggregation {
    config: AggregationConfig,
    calls: Calls,
    keys: RowCodec,
    slots: Slots<Group>,
    /// Slots touched since the last commit, in order of first touch.
    touched: Vec<usize>,
    /// `EMIT FINAL`: keys of each open window by start, in order of their first row.
    open: BTreeMap<i64, Vec<Box<[u8]>>>,
    progress: Option<Progress>,
    last_seq: u64,
}

#[derive(Clone, Copy)]
struct Progress {
    observed: i64,
    groups: u64,
}

struct Group {
    rowtime: i64,
    ordinal: u64,
    accumulators: Accumulators,
    /// The values downstream knows; `None` when it knows none.
    told: Option<Vec<Value>>,
    touched: bool,
    stored: bool,
    closed: bool,
}

impl Aggregation {
    /// Aggregates with these calls, one per value column.
    pub fn new(config: AggregationConfig, calls: Vec<Call>) -> Result<Self> {
        let keys = RowCodec::new(config.schema.key().iter().map(|column| column.ty.arrow()))?;
        Ok(Self {
            config,
            calls: Calls::new(calls),
            keys,
            slots: Slots::new(),
            touched: Vec::new(),
            open: BTreeMap::new(),
            progress: None,
            last_seq: 0,
        })
    }

    fn is_final(&self) -> bool {
        self.config.emit_final && self.config.window.is_some()
    }

    /// Reads progress, and for `EMIT FINAL` the open windows, the first time.
    fn progress(&mut self, store: &StateStore) -> Result<Progress> {
        if let Some(progress) = self.progress {
            return Ok(progress);
        }
        let progress = match store.get(&[META])? {
            Some(bytes) => Progress { observed: i64_at(&bytes), groups: u64_at(&bytes[8..]) },
            None => Progress { observed: NO_TIME, groups: 0 },
        };
        if self.is_final() {
            let mut groups: Vec<(u64, Box<[u8]>)> = Vec::new();
            store.prefix(&[GROUPS], &mut |key, value| {
                groups.push((u64_at(&value[8..]), key.into()));
                ControlFlow::Continue(())
            })?;
            groups.sort_unstable();
            for (_, key) in groups {
                self.open.entry(i64_at(&key[1..])).or_default().push(key);
            }
        }
        self.progress = Some(progress);
        Ok(progress)
    }

    /// The slot of a group, read from the store or made when it is not cached.
    fn slot(&mut self, store: &StateStore, progress: &mut Progress, key: &[u8], make: bool) -> Result<Option<usize>> {
        if let Some(slot) = self.slots.find(key) {
            return Ok(Some(slot));
        }
        let group = match store.get(key)? {
            Some(bytes) => {
                let accumulators = self.calls.load(&bytes[16..])?;
                let told = (!self.is_final()).then(|| Calls::results(&accumulators));
                let (rowtime, ordinal) = (i64_at(&bytes), u64_at(&bytes[8..]));
                Group { rowtime, ordinal, accumulators, told, touched: false, stored: true, closed: false }
            }
            None if !make => return Ok(None),
            None => {
                let ordinal = progress.groups;
                progress.groups += 1;
                if self.is_final() {
                    self.open.entry(i64_at(&key[1..])).or_default().push(key.into());
                }
                let (rowtime, accumulators) = (NO_TIME, self.calls.fresh());
                Group { rowtime, ordinal, accumulators, told: None, touched: false, stored: false, closed: false }
            }
        };
        Ok(Some(self.slots.insert(key, group)))
    }

    /// Takes a row into (or back out of) the group of `key`.
    fn apply(
        &mut self,
        cx: &mut OperatorContext<'_>,
        progress: &mut Progress,
        key: &[u8],
        row: &InputRow<'_>,
    ) -> Result<Option<usize>> {
        let undo = !row.op.is_addition();
        let Some(slot) = self.slot(&cx.stores[self.config.store], progress, key, !undo)? else { return Ok(None) };
        let group = self.slots.get_mut(slot);
        self.calls.apply(&mut group.accumulators, row.arguments, row.index, undo, row.seq, &mut cx.errors);
        group.rowtime = group.rowtime.max(row.rowtime);
        if !group.touched {
            group.touched = true;
            self.touched.push(slot);
        }
        Ok(Some(slot))
    }

    fn key_columns(&self, told: &[Box<[u8]>]) -> Result<Vec<ArrayRef>> {
        let prefix = if self.config.window.is_some() { 9 } else { 1 };
        self.keys.decode(told.iter().map(|key| &key[prefix..]))
    }

    /// Tells the windows that closed.
    fn close(&mut self, cx: &mut OperatorContext<'_>, observed: i64, seq: u64, told: &mut Told) -> Result<()> {
        let Some(window) = self.config.window else { return Ok(()) };
        while let Some(first) = self.open.first_entry() {
            let start = *first.key();
            if !is_closed(&window, start, observed) {
                break;
            }
            for key in first.remove() {
                let mut unused = Progress { observed, groups: 0 };
                let store = &mut cx.stores[self.config.store];
                let Some(slot) = self.slot(store, &mut unused, &key, false)? else { continue };
                let group = self.slots.get_mut(slot);
                group.closed = true;
                if group.stored {
                    store.delete(&key);
                }
                if self.config.forgetful && is_forgotten(&window, start, observed) {
                    continue;
                }
                told.push(group.rowtime, seq, Op::Insert, Some(start), &Calls::results(&group.accumulators));
                told.keys.push(key);
            }
        }
        Ok(())
    }

    fn finish(&self, told: Told, keys: Vec<ArrayRef>) -> Result<ChangeBatch> {
        told.finish(&self.config, keys)
    }
}

struct InputRow<'a> {
    index: usize,
    op: Op,
    rowtime: i64,
    seq: u64,
    arguments: &'a Arguments,
}

impl Operator for Aggregation {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let mut progress = self.progress(&cx.stores[self.config.store])?;
        let errors = cx.errors.len();
        let arguments = self.calls.arguments(cx, &batch)?;
        let key_columns = &batch.data.columns()[..self.config.schema.key_len()];
        let keys = self.keys.encode_rows(key_columns, batch.len())?;
        let each_update = !cx.coalesce && !self.is_final();
        let mut told = Told::new(&self.config, if each_update { 2 * batch.len() } else { 0 });
        let mut scratch = vec![GROUPS];

        for index in 0..batch.len() {
            let (op, rowtime, seq) = (batch.op(index), batch.rowtime[index], batch.seq[index]);
            let row = InputRow { index, op, rowtime, seq, arguments: &arguments };
            let key = keys.row(index);
            self.last_seq = seq;
            match self.config.window {
                None => {
                    scratch.truncate(1);
                    scratch.extend_from_slice(key.data());
                    let slot = self.apply(cx, &mut progress, &scratch, &row)?;
                    // The change is told with the after image, which may be the next batch's first row (after a
                    // repartition topic): grouping leaves no before image without its after image.
                    let first_half = op == Op::UpdateBefore
                        && (index + 1 == batch.len() || is_update_pair(&batch, index) && key == keys.row(index + 1));
                    if let Some(slot) = slot
                        && each_update
                        && !first_half
                    {
                        told.update(self.slots.get_mut(slot), seq, None, index);
                    }
                }
                Some(window) => {
                    let advanced = rowtime > progress.observed;
                    progress.observed = progress.observed.max(rowtime);
                    let mut late = false;
                    for start in window.starts(rowtime) {
                        if is_closed(&window, start, progress.observed) {
                            late = true;
                            continue;
                        }
                        scratch.truncate(1);
                        put_i64(&mut scratch, start);
                        scratch.extend_from_slice(key.data());
                        if let Some(slot) = self.apply(cx, &mut progress, &scratch, &row)?
                            && each_update
                        {
                            told.update(self.slots.get_mut(slot), seq, Some(start), index);
                        }
                    }
                    cx.late += u64::from(late);
                    if advanced && self.is_final() {
                        self.close(cx, progress.observed, seq, &mut told)?;
                    }
                }
            }
        }
        self.progress = Some(progress);
        sort_errors(cx, errors);
        if !told.heads.is_empty() {
            let keys = if self.is_final() { self.key_columns(&told.keys)? } else { take(key_columns, &told.rows)? };
            cx.emit(self.finish(told, keys)?);
        }
        Ok(())
    }

    fn on_stream_time(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let mut progress = self.progress(&cx.stores[self.config.store])?;
        if self.config.window.is_none() || cx.stream_time <= progress.observed {
            return Ok(());
        }
        progress.observed = cx.stream_time;
        self.progress = Some(progress);
        if self.is_final() {
            let mut told = Told::new(&self.config, 0);
            self.close(cx, progress.observed, self.last_seq, &mut told)?;
            if !told.heads.is_empty() {
                let keys = self.key_columns(&told.keys)?;
                cx.emit(self.finish(told, keys)?);
            }
        }
        Ok(())
    }

    fn on_commit(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let Some(progress) = self.progress else { return Ok(()) };
        let mut told = Told::new(&self.config, 0);
        let touched = std::mem::take(&mut self.touched);
        let store = &mut cx.stores[self.config.store];
        for slot in touched {
            if cx.coalesce && !self.is_final() {
                let start = self.config.window.map(|_| i64_at(&self.slots.key(slot)[1..]));
                let before = told.heads.len();
                told.update(self.slots.get_mut(slot), self.last_seq, start, 0);
                for _ in before..told.heads.len() {
                    told.keys.push(self.slots.key(slot).into());
                }
            }
            let group = self.slots.get_mut(slot);
            group.touched = false;
            if !group.closed {
                group.stored = true;
                let mut bytes = Vec::with_capacity(48);
                put_i64(&mut bytes, group.rowtime);
                put_u64(&mut bytes, group.ordinal);
                Calls::save(&group.accumulators, &mut bytes);
                store.put(self.slots.key(slot), &bytes);
            }
        }
        let mut meta = ordered_i64(progress.observed).to_vec();
        put_u64(&mut meta, progress.groups);
        if store.get(&[META])?.as_deref() != Some(&meta) {
            store.put(&[META], &meta);
        }
        if let Some(window) = self.config.window {
            expire(store, &window, progress.observed)?;
        }
        if !told.heads.is_empty() {
            let keys = self.key_columns(&told.keys)?;
            cx.emit(self.finish(told, keys)?);
        }
        if self.slots.len() > CACHED_GROUPS {
            self.slots.clear();
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let by = key_names(&self.config.schema);
        let window = self.config.window.map_or_else(String::new, |w| format!(", window {} {} ms", w.kind, w.size_ms));
        let last = if self.is_final() { ", final" } else { "" };
        format!("aggregate {} by {by}{window}{last}", self.calls.describe())
    }
}

/// Whether the window that starts at `start` takes no more rows.
fn is_closed(window: &WindowSpec, start: i64, observed: i64) -> bool {
    start.saturating_add(window.size_ms).saturating_add(window.grace_ms) <= observed
}

/// > KSQL: a window's result is looked up when it closes, and by then windows that began more than size plus grace
/// > before the newest one cannot be seen any more.
fn is_forgotten(window: &WindowSpec, start: i64, observed: i64) -> bool {
    let newest = observed.div_euclid(window.advance_ms.max(1)).saturating_mul(window.advance_ms);
    start < newest.saturating_sub(window.size_ms).saturating_sub(window.grace_ms)
}

/// Deletes windows whose retention is over.
fn expire(store: &mut StateStore, window: &WindowSpec, observed: i64) -> Result<()> {
    let retention_ms = window.retention_ms.max(window.size_ms.saturating_add(window.grace_ms));
    let end = keys::key(GROUPS, &[&ordered_i64(observed.saturating_sub(retention_ms).saturating_add(1))]);
    let mut expired = Vec::new();
    store.range(Bound::Included(&[GROUPS]), Bound::Excluded(&end), &mut |key, _| {
        expired.push(key.to_vec());
        ControlFlow::Continue(())
    })?;
    expired.iter().for_each(|key| store.delete(key));
    Ok(())
}

/// Output in the making.
struct Told {
    heads: RowHeads,
    /// Input row that each output row has its key from.
    rows: Vec<u32>,
    /// Or the group's key in the store.
    keys: Vec<Box<[u8]>>,
    starts: Vec<i64>,
    values: Vec<ValueBuilder>,
}

impl Told {
    fn new(config: &AggregationConfig, capacity: usize) -> Self {
        Self {
            heads: RowHeads::default(),
            rows: Vec::new(),
            keys: Vec::new(),
            starts: Vec::new(),
            values: config.schema.value().iter().map(|column| ValueBuilder::new(&column.ty, capacity)).collect(),
        }
    }

    fn push(&mut self, rowtime: i64, seq: u64, op: Op, start: Option<i64>, values: &[Value]) {
        self.heads.push(rowtime, seq, op);
        self.starts.extend(start);
        for (builder, value) in self.values.iter_mut().zip(values) {
            builder.push(value);
        }
    }

    /// The group's new values, with those that were told before.
    fn update(&mut self, group: &mut Group, seq: u64, start: Option<i64>, row: usize) {
        let now = Calls::results(&group.accumulators);
        let op = match &group.told {
            Some(before) => {
                self.push(group.rowtime, seq, Op::UpdateBefore, start, before);
                self.rows.push(row as u32);
                Op::UpdateAfter
            }
            None => Op::Insert,
        };
        self.push(group.rowtime, seq, op, start, &now);
        self.rows.push(row as u32);
        group.told = Some(now);
    }

    fn finish(mut self, config: &AggregationConfig, mut columns: Vec<ArrayRef>) -> Result<ChangeBatch> {
        if let Some(window) = config.window {
            let ends = self.starts.iter().map(|start| start.saturating_add(window.size_ms));
            let ends: Int64Array = ends.collect::<Vec<_>>().into();
            columns.push(Arc::new(Int64Array::from(self.starts)));
            columns.push(Arc::new(ends));
        }
        columns.extend(self.values.iter_mut().map(ValueBuilder::finish));
        self.heads.into_table(config.schema.arrow(), columns)
    }
}
