//! Operators: batches in, batches out, one file each.
//!
//! **Invariant:** an operator is synchronous, deterministic and free of I/O; any split of its input into batches gives
//! the same output, record for record.

mod aggregation;
mod calls;
mod exprs;
mod filter;
mod flat_map;
mod foreign_key;
mod group_by;
mod joined;
mod keeper;
mod limit;
mod materialize;
mod output;
mod partition_by;
mod project;
mod session;
mod slots;
mod stream_stream_join;
mod stream_table_join;
mod table_source;
mod table_table_join;

pub use aggregation::{Aggregation, AggregationConfig};
pub use calls::Call;
pub use filter::Filter;
pub use flat_map::FlatMap;
pub use foreign_key::{ForeignKey, ForeignKeyJoin};
pub use group_by::GroupBy;
pub use limit::Limit;
pub use materialize::{Materialize, TableCodec, lookup, scan};
pub use partition_by::{PartitionBy, PartitionKey};
pub use project::Project;
pub use session::SessionAggregation;
pub use stream_stream_join::{StreamStreamJoin, StreamStreamJoinConfig};
pub use stream_table_join::StreamTableJoin;
pub use table_source::TableSource;
pub use table_table_join::TableTableJoin;

use crate::change::ChangeBatch;
use crate::error::Result;
use crate::state::StateStore;

/// The input of one round: for each port (0, or left 0 and right 1) at most one batch. Rows of both ports interleave
/// by `seq`.
#[derive(Debug)]
pub struct Input {
    /// By port.
    pub ports: Vec<Option<ChangeBatch>>,
}

impl Input {
    /// One batch on port 0.
    pub fn single(batch: ChangeBatch) -> Self {
        Self { ports: vec![Some(batch)] }
    }

    /// The batch of port 0 of an operator with one input.
    pub fn into_single(self) -> Option<ChangeBatch> {
        self.ports.into_iter().next().flatten()
    }
}

/// A failed expression, or another problem of one row, for the processing log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowError {
    /// The row's arrival number: leads back to topic, partition, offset and bytes.
    pub seq: u64,
    /// The expression or function that failed.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// What an operator sees of its task.
pub struct OperatorContext<'a> {
    /// The sub-topology's stores; operators hold indices.
    pub stores: &'a mut [StateStore],
    /// The task's stream time, idle advance included.
    pub stream_time: i64,
    /// Whether updates of one key may be held back until `on_commit` (`cache.max.bytes.buffering` > 0).
    pub coalesce: bool,
    /// Batches for the next operator, in order.
    pub out: Vec<ChangeBatch>,
    /// Problems of single rows.
    pub errors: Vec<RowError>,
    /// Rows dropped for being late.
    pub late: u64,
}

impl OperatorContext<'_> {
    /// Hands a batch to the next operator.
    pub fn emit(&mut self, batch: ChangeBatch) {
        if !batch.is_empty() {
            self.out.push(batch);
        }
    }
}

/// A step of a sub-topology.
///
/// A fifth method needs a decision record.
pub trait Operator: Send {
    /// Takes the input of one round.
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()>;

    /// Stream time moved (to `cx.stream_time`) without a record for this operator: close windows, expire joins.
    fn on_stream_time(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// A commit is near: emit held-back updates, write cached state to the stores.
    fn on_commit(&mut self, _cx: &mut OperatorContext<'_>) -> Result<()> {
        Ok(())
    }

    /// One line for EXPLAIN.
    fn describe(&self) -> String;
}

#[cfg(test)]
mod tests;
