//! [`StreamTableJoin`]: each record of a stream with the table's row of its key at that moment.
//!
//! The stream (port 0) drives; changes of the table (port 1) only set its rows. The result has the stream record's
//! time. Of a stream record and a table change that come from one record, the stream record goes first. Stream records
//! with a null value go; those with a null key go from an inner join and stay, unmatched, in an outer one.
//!
//! Store layout: `1 identity` → the table row's value. Written at once; memory holds the rows in use. A round decodes
//! each table row once, however many records it joins.

use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array, new_null_array};
use arrow::compute;
use arrow::datatypes::SchemaRef;

use super::exprs::has_null_key;
use super::output::{RowHeads, SchemaCodec, by_arrival, take, two_ports};
use super::slots::Slots;
use super::{Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::Result;
use crate::state::StateStore;
use crate::types::LogicalSchema;

const ROWS: u8 = 1;
const CACHED_ROWS: usize = 200_000;

/// Joins a stream with a table on the table's key.
pub struct StreamTableJoin {
    left_outer: bool,
    store: usize,
    key_len: usize,
    stream: SchemaCodec,
    table: SchemaCodec,
    output: SchemaRef,
    cache: Slots<TableRow>,
    round: u64,
}

struct TableRow {
    value: Option<Arc<[u8]>>,
    /// Where among the rows that this round decodes, if it is one of them already.
    picked: Option<(u64, u32)>,
}

impl StreamTableJoin {
    /// Joins `left`, a stream, with `right`, a table, into `output`.
    pub fn new(
        left_outer: bool,
        store: usize,
        left: &LogicalSchema,
        right: &LogicalSchema,
        output: &LogicalSchema,
    ) -> Result<Self> {
        Ok(Self {
            left_outer,
            store,
            key_len: left.key_len(),
            stream: SchemaCodec::new(left)?,
            table: SchemaCodec::new(right)?,
            output: output.arrow(),
            cache: Slots::new(),
            round: 0,
        })
    }

    /// The slot of a table row, read from the store when it is not cached.
    fn slot(&mut self, store: &StateStore, key: &[u8]) -> Result<usize> {
        if let Some(slot) = self.cache.find(key) {
            return Ok(slot);
        }
        let value = store.get(key)?.map(Arc::from);
        Ok(self.cache.insert(key, TableRow { value, picked: None }))
    }

    fn set(&mut self, store: &mut StateStore, key: &[u8], value: Option<&[u8]>) {
        match value {
            Some(value) => store.put(key, value),
            None => store.delete(key),
        }
        let row = TableRow { value: value.map(Arc::from), picked: None };
        match self.cache.find(key) {
            Some(slot) => *self.cache.get_mut(slot) = row,
            None => drop(self.cache.insert(key, row)),
        }
    }

    fn output(&self, stream: &ChangeBatch, joined: Joined) -> Result<ChangeBatch> {
        let columns = stream.data.columns();
        let all = joined.rows.len() == stream.len();
        let mut output = if all { columns.to_vec() } else { take(columns, &joined.rows)? };
        let picks = UInt32Array::from(joined.picks);
        if joined.picked.is_empty() {
            let values = &self.output.fields()[columns.len()..];
            output.extend(values.iter().map(|field| new_null_array(field.data_type(), picks.len())));
        } else {
            for column in self.table.value.decode(joined.picked.iter().map(|row| &**row))? {
                output.push(compute::take(&column, &picks, None)? as ArrayRef);
            }
        }
        joined.heads.into_stream(Arc::clone(&self.output), output)
    }
}

/// Output in the making.
#[derive(Default)]
struct Joined {
    heads: RowHeads,
    /// The stream's row of each output row, in ascending order.
    rows: Vec<u32>,
    /// The table's, among `picked`.
    picks: Vec<Option<u32>>,
    picked: Vec<Arc<[u8]>>,
}

impl Operator for StreamTableJoin {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let [stream, table] = two_ports(input);
        let keys = |batch: &Option<ChangeBatch>, codec: &SchemaCodec| {
            let keys = |batch: &ChangeBatch| {
                codec.identity.encode_rows(&batch.data.columns()[..codec.identity_len], batch.len())
            };
            batch.as_ref().map(keys).transpose()
        };
        let keys = [keys(&stream, &self.stream)?, keys(&table, &self.table)?];
        let values = |batch: &ChangeBatch| {
            self.table.value.encode_rows(&batch.data.columns()[self.table.identity_len..], batch.len())
        };
        let values = table.as_ref().map(values).transpose()?;
        self.round += 1;
        let store = &mut cx.stores[self.store];
        let mut joined = Joined::default();
        let mut key = vec![ROWS];
        for (side, row) in by_arrival(stream.as_ref(), table.as_ref()) {
            let (Some(batch), Some(keys)) = ([&stream, &table][side], &keys[side]) else { continue };
            let null_key = has_null_key(&batch.data.columns()[..self.key_len], row);
            key.truncate(1);
            key.extend_from_slice(keys.row(row).data());
            if side == 1 {
                let value = values.as_ref().filter(|_| batch.op(row).is_addition()).map(|values| values.row(row));
                if batch.op(row) != Op::UpdateBefore && !null_key {
                    self.set(store, &key, value.map(|value| value.data()));
                }
                continue;
            }
            if batch.is_null_value(row) {
                continue;
            }
            let round = self.round;
            let pick = if null_key {
                None
            } else {
                let slot = self.slot(store, &key)?;
                let found = self.cache.get_mut(slot);
                match (&found.value, found.picked) {
                    (None, _) => None,
                    (Some(_), Some((at, pick))) if at == round => Some(pick),
                    (Some(value), _) => {
                        let pick = joined.picked.len() as u32;
                        joined.picked.push(Arc::clone(value));
                        found.picked = Some((round, pick));
                        Some(pick)
                    }
                }
            };
            if pick.is_some() || self.left_outer {
                joined.heads.push(batch.rowtime[row], batch.seq[row], Op::Insert);
                joined.rows.push(row as u32);
                joined.picks.push(pick);
            }
        }
        if let Some(stream) = stream.filter(|_| !joined.heads.is_empty()) {
            cx.emit(self.output(&stream, joined)?);
        }
        Ok(())
    }

    fn on_commit(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        if self.cache.len() > CACHED_ROWS {
            self.cache.clear();
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("stream-table {}join", if self.left_outer { "left " } else { "" })
    }
}
