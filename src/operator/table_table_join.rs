//! [`TableTableJoin`]: two tables by their key, kept current.
//!
//! A change of either side is told as the change of the joined row: insertion when a row comes to be, deletion when it
//! ceases, an update otherwise; nothing when there is no row before or after. Its time is the later of both rows'.
//!
//! Store layout, one store a side: `1 identity` → rowtime, value.

use super::joined::{JoinSchema, Joined};
use super::output::by_arrival;
use super::{Input, Operator, OperatorContext};
use crate::change::Op;
use crate::error::Result;
use crate::state::StateStore;
use crate::state::keys::{i64_at, put_i64};
use crate::types::LogicalSchema;

const ROWS: u8 = 1;

/// Joins two tables on their key.
pub struct TableTableJoin {
    outer: [bool; 2],
    stores: [usize; 2],
    schema: JoinSchema,
}

impl TableTableJoin {
    /// Joins `left` with `right` into `output`; `outer` says whether unmatched rows of each side stay.
    pub fn new(
        outer: [bool; 2],
        stores: [usize; 2],
        left: &LogicalSchema,
        right: &LogicalSchema,
        output: &LogicalSchema,
    ) -> Result<Self> {
        Ok(Self { outer, stores, schema: JoinSchema::new(left, right, output)? })
    }

    /// The joined row, if there is one.
    fn join<'a>(&self, sides: [Option<&'a [u8]>; 2]) -> Option<[Option<&'a [u8]>; 2]> {
        match [sides[0].is_some(), sides[1].is_some()] {
            [true, true] => Some(sides),
            [true, false] if self.outer[0] => Some(sides),
            [false, true] if self.outer[1] => Some(sides),
            _ => None,
        }
    }
}

impl Operator for TableTableJoin {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let ports = super::output::two_ports(input);
        let encode = |side: usize| ports[side].as_ref().map(|batch| self.schema.encode(side, batch)).transpose();
        let encoded = [encode(0)?, encode(1)?];
        let mut joined = Joined::default();
        let mut key = vec![ROWS];
        for (side, row) in by_arrival(ports[0].as_ref(), ports[1].as_ref()) {
            let (Some(batch), Some(rows)) = (&ports[side], &encoded[side]) else { continue };
            // The before image is the one in the store.
            if batch.op(row) == Op::UpdateBefore || rows.null_key[row] {
                continue;
            }
            let identity = rows.keys.row(row).data();
            key.truncate(1);
            key.extend_from_slice(identity);
            let before = read(&cx.stores[self.stores[side]], &key)?.map(|(_, value)| value);
            let other = read(&cx.stores[self.stores[1 - side]], &key)?;
            let rowtime = batch.rowtime[row];
            let store = &mut cx.stores[self.stores[side]];
            let now: Option<&[u8]> = if batch.op(row) == Op::Delete || batch.is_null_value(row) {
                if before.is_some() {
                    store.delete(&key);
                }
                None
            } else {
                let value = rows.values.row(row).data();
                let mut bytes = Vec::with_capacity(8 + value.len());
                put_i64(&mut bytes, rowtime);
                bytes.extend_from_slice(value);
                store.put(&key, &bytes);
                Some(value)
            };
            let rowtime = other.as_ref().map_or(rowtime, |(other, _)| rowtime.max(*other));
            let other = other.as_ref().map(|(_, value)| value.as_slice());
            let seq = batch.seq[row];
            let (before, now) =
                (self.join(in_order(side, before.as_deref(), other)), self.join(in_order(side, now, other)));
            let update = before.is_some() && now.is_some();
            if let Some(before) = before {
                let op = if update { Op::UpdateBefore } else { Op::Delete };
                self.schema.push(&mut joined, (rowtime, seq, op), identity, before);
            }
            if let Some(now) = now {
                let op = if update { Op::UpdateAfter } else { Op::Insert };
                self.schema.push(&mut joined, (rowtime, seq, op), identity, now);
            }
        }
        if !joined.heads.is_empty() {
            cx.emit(self.schema.table(joined)?);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("table-table {}join", join_kind(self.outer))
    }
}

/// The kind of join for EXPLAIN.
pub(super) fn join_kind(outer: [bool; 2]) -> &'static str {
    match outer {
        [false, false] => "",
        [true, false] => "left ",
        [false, true] => "right ",
        [true, true] => "full ",
    }
}

/// Left and right, of what belongs to `side` and to the other one.
pub(super) fn in_order<T>(side: usize, this: T, other: T) -> [T; 2] {
    if side == 0 { [this, other] } else { [other, this] }
}

fn read(store: &StateStore, key: &[u8]) -> Result<Option<(i64, Vec<u8>)>> {
    Ok(store.get(key)?.map(|mut bytes| {
        let rowtime = i64_at(&bytes);
        bytes.drain(..8);
        (rowtime, bytes)
    }))
}
