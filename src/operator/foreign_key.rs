//! [`ForeignKey`] and [`ForeignKeyJoin`]: two tables joined on a column of the left one that names a row of the right
//! one.
//!
//! `ForeignKey` sends each row of the left table to the partition of the row that it names; `ForeignKeyJoin` keeps those
//! rows beside the right table and gives results under the left table's key. Results are upserts: what they replace is
//! found out where they arrive.
//!
//! > KSQL: a left row that goes is told as a deletion whether or not it was joined; so is an inner join's row whose
//! > right row goes, and a left row that now names a row that is not there.
//!
//! Store layout: left `1 foreign-key key` → rowtime, value; right `1 key` → rowtime, value.

use std::ops::ControlFlow;
use std::sync::Arc;

use super::exprs::{evaluate_values, has_null_key, sort_errors};
use super::joined::RowBytes;
use super::output::{RowHeads, SchemaCodec, by_arrival, two_ports};
use super::{Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::{Error, Result};
use crate::expr::CompiledExpr;
use crate::state::RowCodec;
use crate::state::keys::{self, i64_at, put_i64};
use crate::types::{Column, LogicalSchema};

const ROWS: u8 = 1;

/// Gives a table's rows the key of the row that they name; images of an update that name different rows go to both.
pub struct ForeignKey {
    schema: LogicalSchema,
    key: Vec<CompiledExpr>,
    value: Vec<CompiledExpr>,
    keep_null: bool,
}

impl ForeignKey {
    /// Computes `schema`. Rows that name nothing stay, under a NULL key, only with `keep_null`.
    pub fn new(schema: LogicalSchema, key: Vec<CompiledExpr>, value: Vec<CompiledExpr>, keep_null: bool) -> Self {
        Self { schema, key, value, keep_null }
    }
}

impl Operator for ForeignKey {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let schema = self.schema.arrow();
        let start = cx.errors.len();
        let (key_fields, value_fields) = schema.fields().split_at(self.key.len());
        let mut columns = evaluate_values(cx, &batch, &self.key, key_fields)?;
        let names_none: Vec<bool> = (0..batch.len()).map(|row| has_null_key(&columns, row)).collect();
        columns.extend(evaluate_values(cx, &batch, &self.value, value_fields)?);
        sort_errors(cx, start);
        let (mut rows, mut ops) = (Vec::new(), Vec::new());
        for row in 0..batch.len() {
            if batch.is_null_value(row) || names_none[row] && !self.keep_null {
                continue;
            }
            // The row after the update names nothing: it is gone for the join.
            let vanishes = batch.op(row) == Op::UpdateBefore
                && !self.keep_null
                && names_none.get(row + 1).is_some_and(|none| *none);
            ops.push(if vanishes { Op::Delete } else { batch.op(row) });
            rows.push(row as u32);
        }
        let all = batch.with_columns(schema, columns)?;
        let taken = ChangeBatch { null_values: None, ..all.take(&rows)? };
        cx.emit(ChangeBatch { ops: Some(Arc::from(ops)), ..taken });
        Ok(())
    }

    fn describe(&self) -> String {
        "foreign key".to_owned()
    }
}

/// Joins left rows (port 0, keyed by what they name) with the table that they name (port 1).
pub struct ForeignKeyJoin {
    left_outer: bool,
    left_store: usize,
    right_store: usize,
    left: SchemaCodec,
    key_len: usize,
    own_key: RowCodec,
    own_value: RowCodec,
    own_nulls: RowBytes,
    right: SchemaCodec,
    right_nulls: RowBytes,
    output: arrow::datatypes::SchemaRef,
}

/// Results in the making.
#[derive(Default)]
struct Results {
    heads: RowHeads,
    keys: Vec<RowBytes>,
    left: Vec<RowBytes>,
    right: Vec<RowBytes>,
}

impl ForeignKeyJoin {
    /// The first value columns of `left` are the key of `output`.
    pub fn new(
        left_outer: bool,
        stores: [usize; 2],
        left: &LogicalSchema,
        right: &LogicalSchema,
        output: &LogicalSchema,
    ) -> Result<Self> {
        let types = |columns: &[Column]| RowCodec::new(columns.iter().map(|column| column.ty.arrow()));
        let key_len = output.key_len();
        let (own_key, own_value) = left
            .value()
            .split_at_checked(key_len)
            .ok_or_else(|| Error::internal("rows to be joined carry their own key"))?;
        let (own_key, own_value) = (types(own_key)?, types(own_value)?);
        let right_codec = SchemaCodec::new(right)?;
        Ok(Self {
            left_outer,
            left_store: stores[0],
            right_store: stores[1],
            left: SchemaCodec::new(left)?,
            key_len,
            own_nulls: own_value.null_row()?.into(),
            own_key,
            own_value,
            right_nulls: right_codec.value.null_row()?.into(),
            right: right_codec,
            output: output.arrow(),
        })
    }

    fn push(&self, results: &mut Results, head: (i64, u64), key: &[u8], row: Option<(RowBytes, Option<RowBytes>)>) {
        results.keys.push(key.into());
        match row {
            Some((left, right)) => {
                results.heads.push(head.0, head.1, Op::Insert);
                results.left.push(left);
                results.right.push(right.unwrap_or_else(|| Arc::clone(&self.right_nulls)));
            }
            None => {
                results.heads.push_null(head.0, head.1, Op::Delete);
                results.left.push(Arc::clone(&self.own_nulls));
                results.right.push(Arc::clone(&self.right_nulls));
            }
        }
    }

    /// A row of the left table came, changed or went.
    fn left_row(&self, cx: &mut OperatorContext<'_>, row: &LeftRow<'_>, results: &mut Results) -> Result<()> {
        let (rowtime, seq) = row.head;
        let at = keys::key(ROWS, &[row.foreign, row.key]);
        match row.op {
            Op::UpdateBefore => cx.stores[self.left_store].delete(&at),
            Op::Delete => {
                cx.stores[self.left_store].delete(&at);
                self.push(results, row.head, row.key, None);
            }
            Op::Insert | Op::UpdateAfter => {
                let found = if row.names_none {
                    None
                } else {
                    cx.stores[self.left_store].put(&at, &stored(rowtime, row.value));
                    cx.stores[self.right_store].get(&keys::key(ROWS, &[row.foreign]))?
                };
                match found {
                    Some(right) => {
                        let head = (rowtime.max(i64_at(&right)), seq);
                        self.push(results, head, row.key, Some((row.value.into(), Some(right[8..].into()))));
                    }
                    None if self.left_outer => {
                        self.push(results, row.head, row.key, Some((row.value.into(), None)));
                    }
                    None if row.op == Op::UpdateAfter => self.push(results, row.head, row.key, None),
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// A row of the right table came, changed or went (`value` is `None`).
    fn right_row(
        &self,
        cx: &mut OperatorContext<'_>,
        key: &[u8],
        value: Option<&[u8]>,
        head: (i64, u64),
        results: &mut Results,
    ) -> Result<()> {
        let at = keys::key(ROWS, &[key]);
        match value {
            Some(value) => cx.stores[self.right_store].put(&at, &stored(head.0, value)),
            None => cx.stores[self.right_store].delete(&at),
        }
        let right: Option<RowBytes> = value.map(Into::into);
        let mut naming: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
        cx.stores[self.left_store].prefix(&at, &mut |left, row| {
            naming.push((left[at.len()..].to_vec(), row.to_vec()));
            ControlFlow::Continue(())
        })?;
        for (own, row) in naming {
            let head = (head.0.max(i64_at(&row)), head.1);
            let joined = (right.is_some() || self.left_outer).then(|| (row[8..].into(), right.clone()));
            self.push(results, head, &own, joined);
        }
        Ok(())
    }
}

/// A change of the left table.
struct LeftRow<'a> {
    op: Op,
    head: (i64, u64),
    foreign: &'a [u8],
    names_none: bool,
    key: &'a [u8],
    value: &'a [u8],
}

impl Operator for ForeignKeyJoin {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let [left, right] = two_ports(input);
        let left_rows = match &left {
            None => None,
            Some(batch) => {
                let (foreign, rest) = batch.data.columns().split_at(self.left.identity_len);
                let (key, value) = rest.split_at(self.key_len);
                let len = batch.len();
                let rows = (
                    self.left.identity.encode_rows(foreign, len)?,
                    self.own_key.encode_rows(key, len)?,
                    self.own_value.encode_rows(value, len)?,
                );
                Some((rows, (0..len).map(|row| has_null_key(foreign, row)).collect::<Vec<bool>>()))
            }
        };
        let right_rows = match &right {
            None => None,
            Some(batch) => {
                let (key, value) = batch.data.columns().split_at(self.right.identity_len);
                let null: Vec<bool> = (0..batch.len()).map(|row| has_null_key(key, row)).collect();
                let (keys, values) = (
                    self.right.identity.encode_rows(key, batch.len())?,
                    self.right.value.encode_rows(value, batch.len())?,
                );
                Some((keys, values, null))
            }
        };
        let mut results = Results::default();
        for (side, row) in by_arrival(left.as_ref(), right.as_ref()) {
            match (side, &left, &left_rows, &right, &right_rows) {
                (0, Some(batch), Some(((foreign, key, value), names_none)), ..) => {
                    let change = LeftRow {
                        op: batch.op(row),
                        head: (batch.rowtime[row], batch.seq[row]),
                        foreign: foreign.row(row).data(),
                        names_none: names_none[row],
                        key: key.row(row).data(),
                        value: value.row(row).data(),
                    };
                    self.left_row(cx, &change, &mut results)?;
                }
                (1, _, _, Some(batch), Some((keys, values, null))) => {
                    if batch.op(row) == Op::UpdateBefore || null[row] {
                        continue;
                    }
                    let gone = batch.op(row) == Op::Delete || batch.is_null_value(row);
                    let (keys, values) = (keys.row(row), values.row(row));
                    let value = (!gone).then(|| values.data());
                    self.right_row(cx, keys.data(), value, (batch.rowtime[row], batch.seq[row]), &mut results)?;
                }
                _ => {}
            }
        }
        if results.heads.is_empty() {
            return Ok(());
        }
        let mut columns = self.own_key.decode(results.keys.iter().map(|row| &**row))?;
        columns.extend(self.own_value.decode(results.left.iter().map(|row| &**row))?);
        columns.extend(self.right.value.decode(results.right.iter().map(|row| &**row))?);
        cx.emit(results.heads.into_stream(Arc::clone(&self.output), columns)?);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("foreign-key {}join", if self.left_outer { "left " } else { "" })
    }
}

fn stored(rowtime: i64, value: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + value.len());
    put_i64(&mut bytes, rowtime);
    bytes.extend_from_slice(value);
    bytes
}
