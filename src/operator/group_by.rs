//! [`GroupBy`]: gives rows the group they belong to as their key.
//!
//! Rows with a null value go silently; rows with a NULL group (also because its expression failed) go and are told.
//! In tables the images of an update each have their own group: in one group they stay a pair, in two groups they
//! become a deletion from the old and an insertion into the new one.

use std::sync::Arc;

use super::exprs::{evaluate_values, is_update_pair, report, sort_errors};
use super::partition_by::key_names;
use super::{Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::{Error, RecordError, Result};
use crate::expr::CompiledExpr;
use crate::state::RowCodec;
use crate::types::LogicalSchema;

/// `GROUP BY`.
pub struct GroupBy {
    schema: LogicalSchema,
    key: Vec<CompiledExpr>,
    value: Vec<CompiledExpr>,
    groups: RowCodec,
}

impl GroupBy {
    /// Computes `schema`'s key (the group) and value columns (what the aggregation needs).
    pub fn new(schema: LogicalSchema, key: Vec<CompiledExpr>, value: Vec<CompiledExpr>) -> Result<Self> {
        if schema.windowed {
            return Err(Error::internal("a group has no window yet"));
        }
        let groups = RowCodec::new(schema.key().iter().map(|column| column.ty.arrow()))?;
        Ok(Self { schema, key, value, groups })
    }
}

impl Operator for GroupBy {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let schema = self.schema.arrow();
        let start = cx.errors.len();
        let (key_fields, value_fields) = schema.fields().split_at(self.key.len());
        let mut columns = evaluate_values(cx, &batch, &self.key, key_fields)?;
        let failed: Vec<u64> = cx.errors[start..].iter().map(|error| error.seq).collect();
        let null_group = |row: usize| columns.iter().position(|column| column.is_null(row));
        let nulls: Vec<_> = (0..batch.len()).map(null_group).collect();
        let told = nulls.iter().enumerate().filter_map(|(row, null)| {
            let name = &self.schema.columns[(*null)?].name;
            let reason = format!("the group column {name} is NULL, so the row belongs to no group");
            Some(RecordError { row, place: "GROUP BY".to_owned(), reason })
        });
        report(cx, &batch, told.collect(), |row| {
            !batch.is_null_value(row) && failed.binary_search(&batch.seq[row]).is_err()
        });

        let groups = self.groups.encode_rows(&columns, batch.len())?;
        columns.extend(evaluate_values(cx, &batch, &self.value, value_fields)?);
        sort_errors(cx, start);

        let grouped = |row: usize| nulls[row].is_none() && !batch.is_null_value(row);
        let (mut rows, mut ops) = (Vec::new(), Vec::new());
        for row in 0..batch.len() {
            if !grouped(row) {
                continue;
            }
            let stays = |before: usize| {
                is_update_pair(&batch, before) && grouped(before + 1) && groups.row(before) == groups.row(before + 1)
            };
            ops.push(match batch.op(row) {
                Op::UpdateBefore if !stays(row) => Op::Delete,
                Op::UpdateAfter if row == 0 || !(grouped(row - 1) && stays(row - 1)) => Op::Insert,
                op => op,
            });
            rows.push(row as u32);
        }
        let all = batch.with_columns(schema, columns)?;
        let taken = ChangeBatch { null_values: None, ..if rows.len() == all.len() { all } else { all.take(&rows)? } };
        let ops = batch.ops.is_some().then(|| Arc::from(ops));
        cx.emit(ChangeBatch { ops, ..taken });
        Ok(())
    }

    fn describe(&self) -> String {
        format!("group by {}", key_names(&self.schema))
    }
}
