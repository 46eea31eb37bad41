//! [`ChangeBatch`]: rows in columns, with event time, arrival number and, for tables, what each row does.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::compute;
use arrow::datatypes::SchemaRef;

use crate::error::Result;

/// What a row does to a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// A key that was not there.
    Insert,
    /// The row that the following [`Op::UpdateAfter`] replaces.
    UpdateBefore,
    /// The new row of a key that was there.
    UpdateAfter,
    /// The key goes; the columns hold the old row, unless [`ChangeBatch::null_values`] says that it is not known.
    Delete,
}

impl Op {
    /// Whether the row is the current one afterwards.
    pub fn is_addition(self) -> bool {
        matches!(self, Self::Insert | Self::UpdateAfter)
    }
}

/// Rows in columns.
///
/// The columns of `data` are those of the node's `LogicalSchema::batch_columns`: key columns, then window bounds when
/// the key is windowed, then value columns.
///
/// **Invariant:** an [`Op::UpdateBefore`] stands directly in front of its [`Op::UpdateAfter`], unless a change of
/// key sent them to different partitions.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    /// All columns.
    pub data: RecordBatch,
    /// Event time of each row.
    pub rowtime: ScalarBuffer<i64>,
    /// Arrival number of the record each row comes from, ascending; unique for a record within its task.
    pub seq: ScalarBuffer<u64>,
    /// What each row does to a table; `None` in a stream.
    pub ops: Option<Arc<[Op]>>,
    /// Rows whose value as a whole is null (their value columns are all NULL): a stream's null-valued records, or
    /// deletions of a row that is not known.
    pub null_values: Option<BooleanBuffer>,
}

impl ChangeBatch {
    /// A stream's rows.
    pub fn append_only(data: RecordBatch, rowtime: Vec<i64>, seq: Vec<u64>) -> Self {
        Self { data, rowtime: rowtime.into(), seq: seq.into(), ops: None, null_values: None }
    }

    /// An empty batch.
    pub fn empty(schema: SchemaRef) -> Self {
        Self::append_only(RecordBatch::new_empty(schema), Vec::new(), Vec::new())
    }

    /// How many rows.
    pub fn len(&self) -> usize {
        self.rowtime.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.rowtime.is_empty()
    }

    /// What row `i` does: streams insert.
    pub fn op(&self, i: usize) -> Op {
        self.ops.as_ref().map_or(Op::Insert, |ops| ops[i])
    }

    /// The end of a part that may not part an update: `end`, or one more when a before image would be its last row.
    pub fn whole_updates(&self, end: usize) -> usize {
        let parted = end > 0 && end < self.len() && self.op(end - 1) == Op::UpdateBefore;
        if parted { end + 1 } else { end }
    }

    /// Whether the value of row `i` as a whole is null.
    pub fn is_null_value(&self, i: usize) -> bool {
        self.null_values.as_ref().is_some_and(|nulls| nulls.value(i))
    }

    /// The same rows with other columns.
    pub fn with_columns(&self, schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<Self> {
        Ok(Self { data: record_batch(schema, columns, self.len())?, ..self.clone() })
    }

    /// The rows where `keep` is true.
    pub fn filter(&self, keep: &BooleanArray) -> Result<Self> {
        let kept = keep.true_count();
        if kept == self.len() {
            return Ok(self.clone());
        }
        if kept == 0 {
            return Ok(self.slice(0, 0));
        }
        let data = compute::filter_record_batch(&self.data, keep)?;
        let rows = || (0..self.len()).filter(|i| keep.is_valid(*i) && keep.value(*i));
        Ok(Self {
            data,
            rowtime: rows().map(|i| self.rowtime[i]).collect(),
            seq: rows().map(|i| self.seq[i]).collect(),
            ops: self.ops.as_ref().map(|ops| rows().map(|i| ops[i]).collect()),
            null_values: self.null_values.as_ref().map(|nulls| rows().map(|i| nulls.value(i)).collect()),
        })
    }

    /// The rows at `indices`, in that order.
    pub fn take(&self, indices: &[u32]) -> Result<Self> {
        let array = UInt32Array::from(indices.to_vec());
        let columns = compute::take_arrays(self.data.columns(), &array, None)?;
        let rows = || indices.iter().map(|i| *i as usize);
        Ok(Self {
            data: record_batch(self.data.schema(), columns, indices.len())?,
            rowtime: rows().map(|i| self.rowtime[i]).collect(),
            seq: rows().map(|i| self.seq[i]).collect(),
            ops: self.ops.as_ref().map(|ops| rows().map(|i| ops[i]).collect()),
            null_values: self.null_values.as_ref().map(|nulls| rows().map(|i| nulls.value(i)).collect()),
        })
    }

    /// `len` rows from `offset`, without copying columns.
    pub fn slice(&self, offset: usize, len: usize) -> Self {
        Self {
            data: self.data.slice(offset, len),
            rowtime: self.rowtime.slice(offset, len),
            seq: self.seq.slice(offset, len),
            ops: self.ops.as_ref().map(|ops| ops[offset..offset + len].into()),
            null_values: self.null_values.as_ref().map(|nulls| nulls.slice(offset, len)),
        }
    }

    /// The rows of all batches, one after another; they have one schema.
    pub fn concat(batches: &[Self]) -> Result<Option<Self>> {
        let Some(first) = batches.first() else { return Ok(None) };
        if batches.len() == 1 {
            return Ok(Some(first.clone()));
        }
        let data = compute::concat_batches(&first.data.schema(), batches.iter().map(|batch| &batch.data))?;
        let any_ops = batches.iter().any(|batch| batch.ops.is_some());
        let any_nulls = batches.iter().any(|batch| batch.null_values.is_some());
        let each = || batches.iter().flat_map(|batch| (0..batch.len()).map(move |i| (batch, i)));
        Ok(Some(Self {
            data,
            rowtime: each().map(|(batch, i)| batch.rowtime[i]).collect(),
            seq: each().map(|(batch, i)| batch.seq[i]).collect(),
            ops: any_ops.then(|| each().map(|(batch, i)| batch.op(i)).collect()),
            null_values: any_nulls.then(|| each().map(|(batch, i)| batch.is_null_value(i)).collect()),
        }))
    }
}

/// A record batch that knows its length even without columns.
pub fn record_batch(schema: SchemaRef, columns: Vec<ArrayRef>, len: usize) -> Result<RecordBatch> {
    let options = RecordBatchOptions::new().with_row_count(Some(len));
    Ok(RecordBatch::try_new_with_options(schema, columns, &options)?)
}
