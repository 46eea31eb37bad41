//! [`StreamTableJoin`]: each record of a stream with the table's row of its key at that moment.
//!
//! The stream (port 0) drives; changes of the table (port 1) only set its rows. The result has the stream record's
//! time. Of a stream record and a table change that come from one record, the stream record goes first. Stream records
//! with a null value go; those with a null key go from an inner join and stay, unmatched, in an outer one.
//!
//! Store layout: `1 identity` → the table row's value.

use super::joined::{JoinSchema, Joined};
use super::output::by_arrival;
use super::{Input, Operator, OperatorContext};
use crate::change::Op;
use crate::error::Result;
use crate::types::LogicalSchema;

const ROWS: u8 = 1;

/// Joins a stream with a table on the table's key.
pub struct StreamTableJoin {
    left_outer: bool,
    store: usize,
    schema: JoinSchema,
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
        Ok(Self { left_outer, store, schema: JoinSchema::new(left, right, output)? })
    }
}

impl Operator for StreamTableJoin {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let [stream, table] = super::output::two_ports(input);
        let encoded = [
            stream.as_ref().map(|batch| self.schema.encode(0, batch)).transpose()?,
            table.as_ref().map(|batch| self.schema.encode(1, batch)).transpose()?,
        ];
        let store = &mut cx.stores[self.store];
        let mut joined = Joined::default();
        let mut key = vec![ROWS];
        for (side, row) in by_arrival(stream.as_ref(), table.as_ref()) {
            let (Some(batch), Some(rows)) = ([&stream, &table][side], &encoded[side]) else { continue };
            let identity = rows.keys.row(row);
            key.truncate(1);
            key.extend_from_slice(identity.data());
            if side == 1 {
                match batch.op(row) {
                    _ if rows.null_key[row] => {}
                    Op::UpdateBefore => {}
                    Op::Delete => store.delete(&key),
                    Op::Insert | Op::UpdateAfter => store.put(&key, rows.values.row(row).data()),
                }
                continue;
            }
            if batch.is_null_value(row) {
                continue;
            }
            let found = if rows.null_key[row] { None } else { store.get(&key)? };
            if found.is_some() || self.left_outer {
                let sides = [Some(rows.values.row(row).data().into()), found.map(Into::into)];
                let head = (batch.rowtime[row], batch.seq[row], Op::Insert);
                self.schema.push(&mut joined, head, identity.data(), sides);
            }
        }
        if !joined.heads.is_empty() {
            cx.emit(self.schema.stream(joined)?);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        format!("stream-table {}join", if self.left_outer { "left " } else { "" })
    }
}
