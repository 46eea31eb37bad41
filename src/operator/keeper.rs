//! [`Keeper`]: the current rows of a table in a store, and changes with before images out of what comes in.
//!
//! Store layout: `0` → observed event time · `1 identity` → `rowtime columns value` · with retention `2 windowend identity` →
//! nothing, for expiry. The identity is the encoded key and window bounds; `columns` is how many the value had when it
//! was written: a query that is replaced may append some, which are NULL in older rows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Bound, ControlFlow};

use super::exprs::has_null_key;
use super::output::{RowHeads, SchemaCodec, pick, take};
use super::{Input, OperatorContext};
use crate::change::Op;
use crate::error::{Error, Result};
use crate::state::RowCodec;
use crate::state::keys::{self, i64_at, ordered_i64, put_i64};
use crate::time::NO_TIME;
use crate::types::LogicalSchema;
use arrow::array::{ArrayRef, AsArray};
use arrow::datatypes::Int64Type;

pub(super) const META: u8 = 0;
pub(super) const ROWS: u8 = 1;
const BY_END: u8 = 2;

/// Keeps a table's rows.
pub(super) struct Keeper {
    store: usize,
    key_len: usize,
    codec: SchemaCodec,
    retention_ms: Option<i64>,
    observed: Option<i64>,
}

impl Keeper {
    /// Rows of windows are kept for `retention_ms` from the window's end: a session may have begun long ago.
    pub(super) fn new(store: usize, schema: &LogicalSchema, retention_ms: Option<i64>) -> Result<Self> {
        let codec = SchemaCodec::new(schema)?;
        let retention_ms = retention_ms.filter(|_| schema.windowed);
        Ok(Self { store, key_len: schema.key_len(), codec, retention_ms, observed: None })
    }

    /// Takes upserts (without ops: a null value deletes) or a table's changes; emits changes whose before images are
    /// the rows that were kept. Rows with a null key go.
    pub(super) fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        self.observe(cx, batch.rowtime.iter().copied().max().unwrap_or(NO_TIME))?;
        let store = &mut cx.stores[self.store];
        let (identity, values) = batch.data.columns().split_at(self.codec.identity_len);
        let ends = self.retention_ms.map(|_| identity[self.key_len + 1].as_primitive::<Int64Type>());
        let ids = self.codec.identity.encode_rows(identity, batch.len())?;
        let rows = self.codec.value.encode_rows(values, batch.len())?;

        let mut heads = RowHeads::default();
        let mut sources: Vec<u32> = Vec::with_capacity(batch.len());
        let mut cells: Vec<(usize, usize)> = Vec::with_capacity(batch.len());
        let mut olds: Vec<Vec<u8>> = Vec::new();
        for row in 0..batch.len() {
            let op = batch.op(row);
            if op == Op::UpdateBefore || self.key_len > 0 && has_null_key(&identity[..self.key_len], row) {
                continue;
            }
            let (rowtime, seq, id) = (batch.rowtime[row], batch.seq[row], ids.row(row).data());
            let key = keys::key(ROWS, &[id]);
            let old = store.get(&key)?;
            let known = old.is_some();
            olds.extend(old);
            let by_end = ends.map(|ends| keys::key(BY_END, &[&ordered_i64(ends.value(row)), id]));
            let mut emit = |op: Op, cell: (usize, usize)| {
                heads.push(rowtime, seq, op);
                sources.push(row as u32);
                cells.push(cell);
            };
            if op == Op::Delete || batch.is_null_value(row) {
                if known {
                    emit(Op::Delete, (1, olds.len() - 1));
                    store.delete(&key);
                    by_end.inspect(|key| store.delete(key));
                } else if batch.is_null_value(row) {
                    heads.push_null(rowtime, seq, Op::Delete);
                    sources.push(row as u32);
                    cells.push((0, row));
                } else {
                    emit(Op::Delete, (0, row));
                }
                continue;
            }
            if known {
                emit(Op::UpdateBefore, (1, olds.len() - 1));
                emit(Op::UpdateAfter, (0, row));
            } else {
                emit(Op::Insert, (0, row));
            }
            store.put(&key, &stored_row(rowtime, values.len(), rows.row(row).data()));
            if let Some(key) = by_end {
                store.put(&key, &[]);
            }
        }
        if heads.is_empty() {
            return Ok(());
        }
        let mut columns = take(identity, &sources)?;
        if olds.is_empty() {
            columns.extend(take(values, &sources)?);
        } else {
            let old_values = values_of(&self.codec, olds.iter().map(Vec::as_slice))?;
            columns.extend(pick(values, &old_values, &cells)?);
        }
        let changes = heads.into_table(self.codec.arrow.clone(), columns)?;
        cx.emit(changes);
        Ok(())
    }

    /// Idle time moves expiry, too.
    pub(super) fn observe(&mut self, cx: &OperatorContext<'_>, time: i64) -> Result<()> {
        if self.retention_ms.is_none() {
            return Ok(());
        }
        let observed = match self.observed {
            Some(observed) => observed,
            None => cx.stores[self.store].get(&[META])?.map_or(NO_TIME, |bytes| i64_at(&bytes)),
        };
        self.observed = Some(observed.max(time));
        Ok(())
    }

    /// Deletes rows of windows whose retention is over.
    pub(super) fn on_commit(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        let (Some(retention_ms), Some(observed)) = (self.retention_ms, self.observed) else { return Ok(()) };
        let store = &mut cx.stores[self.store];
        store.put(&[META], &ordered_i64(observed));
        let end = keys::key(BY_END, &[&ordered_i64(observed.saturating_sub(retention_ms).saturating_add(1))]);
        let mut expired = Vec::new();
        store.range(Bound::Included(&[BY_END]), Bound::Excluded(&end), &mut |key, _| {
            expired.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        for key in expired {
            store.delete(&keys::key(ROWS, &[&key[9..]]));
            store.delete(&key);
        }
        Ok(())
    }
}

fn stored_row(rowtime: i64, columns: usize, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(VALUE + value.len());
    put_i64(&mut bytes, rowtime);
    bytes.extend_from_slice(&u16::try_from(columns).unwrap_or(u16::MAX).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes
}

/// Where a stored row's value begins.
const VALUE: usize = 10;

/// The value columns of stored rows; those that a row was written without are NULL.
pub(super) fn values_of<'a>(codec: &SchemaCodec, rows: impl Iterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
    let columns = codec.arrow.fields().len() - codec.identity_len;
    let mut missing: BTreeMap<usize, Vec<u8>> = BTreeMap::new();
    let mut whole: Vec<Cow<'a, [u8]>> = Vec::new();
    for row in rows {
        let (count, value) = (usize::from(u16::from_be_bytes([row[8], row[9]])), &row[VALUE..]);
        if count == columns {
            whole.push(Cow::Borrowed(value));
            continue;
        }
        if count > columns {
            return Err(Error::internal(format!("a row of {count} columns is kept where there are {columns}")));
        }
        let tail = match missing.entry(count) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(free) => {
                let types = codec.arrow.fields()[codec.identity_len + count..].iter().map(|f| f.data_type().clone());
                free.insert(RowCodec::new(types)?.null_row()?)
            }
        };
        // The encoding of the first columns is a prefix of the whole row's; a row without columns has a filler.
        let known = if count == 0 { &[][..] } else { value };
        whole.push(Cow::Owned([known, tail.as_slice()].concat()));
    }
    codec.value.decode(whole.iter().map(Cow::as_ref))
}
