//! Assembling output rows: what every row carries besides its columns, and cells put together from several sources.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, UInt32Array};
use arrow::compute;
use arrow::datatypes::SchemaRef;

use super::Input;
use crate::change::batch::record_batch;
use crate::change::{ChangeBatch, Op};
use crate::error::Result;
use crate::state::RowCodec;
use crate::types::{Column, LogicalSchema};

/// Times, arrival numbers and ops of output rows.
#[derive(Debug, Default)]
pub(super) struct RowHeads {
    rowtime: Vec<i64>,
    seq: Vec<u64>,
    ops: Vec<Op>,
    nulls: Vec<bool>,
}

impl RowHeads {
    /// A row with a value.
    pub(super) fn push(&mut self, rowtime: i64, seq: u64, op: Op) {
        self.rowtime.push(rowtime);
        self.seq.push(seq);
        self.ops.push(op);
        self.nulls.push(false);
    }

    /// A row whose value as a whole is null.
    pub(super) fn push_null(&mut self, rowtime: i64, seq: u64, op: Op) {
        self.push(rowtime, seq, op);
        if let Some(last) = self.nulls.last_mut() {
            *last = true;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rowtime.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rowtime.is_empty()
    }

    /// A table's changes.
    pub(super) fn into_table(self, schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<ChangeBatch> {
        let ops: Arc<[Op]> = self.ops.as_slice().into();
        Ok(ChangeBatch { ops: Some(ops), ..self.into_stream(schema, columns)? })
    }

    /// A stream's rows.
    pub(super) fn into_stream(self, schema: SchemaRef, columns: Vec<ArrayRef>) -> Result<ChangeBatch> {
        let data = record_batch(schema, columns, self.rowtime.len())?;
        let null_values = self.nulls.contains(&true).then(|| self.nulls.into());
        Ok(ChangeBatch { data, rowtime: self.rowtime.into(), seq: self.seq.into(), ops: None, null_values })
    }
}

/// Codecs of a schema's batches: the columns that identify a row (key and window bounds), and those of its value.
pub(super) struct SchemaCodec {
    pub(super) arrow: SchemaRef,
    pub(super) identity_len: usize,
    pub(super) identity: RowCodec,
    pub(super) value: RowCodec,
}

impl SchemaCodec {
    pub(super) fn new(schema: &LogicalSchema) -> Result<Self> {
        let identity_len = schema.identity_len();
        let types = |columns: &[Column]| RowCodec::new(columns.iter().map(|column| column.ty.arrow()));
        let columns = schema.batch_columns();
        Ok(Self {
            arrow: schema.arrow(),
            identity_len,
            identity: types(&columns[..identity_len])?,
            value: types(&columns[identity_len..])?,
        })
    }
}

/// The cells of `column` at `rows`.
pub(super) fn take(columns: &[ArrayRef], rows: &[u32]) -> Result<Vec<ArrayRef>> {
    let rows = UInt32Array::from(rows.to_vec());
    columns.iter().map(|column| Ok(compute::take(column, &rows, None)?)).collect()
}

/// Columns made of cells of `first` (0, row) and `second` (1, row).
pub(super) fn pick(first: &[ArrayRef], second: &[ArrayRef], cells: &[(usize, usize)]) -> Result<Vec<ArrayRef>> {
    let pairs = first.iter().zip(second);
    pairs.map(|(a, b)| Ok(compute::interleave(&[a as &dyn Array, b as &dyn Array], cells)?)).collect()
}

/// Rows of two inputs (port, row) in order of arrival; of rows that come from one record, those of port 0 go first.
pub(super) fn by_arrival(left: Option<&ChangeBatch>, right: Option<&ChangeBatch>) -> Vec<(usize, usize)> {
    let (left, right) = (left.map_or(&[][..], |batch| &batch.seq), right.map_or(&[][..], |batch| &batch.seq));
    let mut order = Vec::with_capacity(left.len() + right.len());
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if j == right.len() || i < left.len() && left[i] <= right[j] {
            order.push((0, i));
            i += 1;
        } else {
            order.push((1, j));
            j += 1;
        }
    }
    order
}

/// The batches of an operator with two inputs.
pub(super) fn two_ports(input: Input) -> [Option<ChangeBatch>; 2] {
    let mut ports = input.ports.into_iter();
    [ports.next().flatten(), ports.next().flatten()]
}
