//! [`Filter`]: keeps the rows for which a predicate holds.
//!
//! In tables a change is judged by both of its images: a row that stops passing is deleted, one that starts passing is
//! inserted, and one that passes neither before nor after is not mentioned.

use std::sync::Arc;

use super::exprs::{evaluate_predicate, is_update_pair};
use super::{Input, Operator, OperatorContext};
use crate::change::{ChangeBatch, Op};
use crate::error::Result;
use crate::expr::CompiledExpr;

/// `WHERE` and `HAVING`.
pub struct Filter {
    predicate: CompiledExpr,
}

impl Filter {
    /// Keeps rows where `predicate` holds.
    pub fn new(predicate: CompiledExpr) -> Self {
        Self { predicate }
    }
}

impl Operator for Filter {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let passes = evaluate_predicate(cx, &batch, &self.predicate)?;
        let kept = match &batch.ops {
            None => batch.filter(&passes)?,
            Some(_) => filter_table(&batch, |row| passes.value(row))?,
        };
        cx.emit(kept);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("filter {}", self.predicate.text())
    }
}

/// > KSQL: the tombstone of a row that was never known passes every filter.
fn filter_table(batch: &ChangeBatch, passes: impl Fn(usize) -> bool) -> Result<ChangeBatch> {
    let (mut rows, mut ops) = (Vec::new(), Vec::new());
    let mut keep = |row: usize, op: Op| {
        rows.push(row as u32);
        ops.push(op);
    };
    let mut row = 0;
    while row < batch.len() {
        if is_update_pair(batch, row) {
            match (passes(row), passes(row + 1)) {
                (true, true) => {
                    keep(row, Op::UpdateBefore);
                    keep(row + 1, Op::UpdateAfter);
                }
                (true, false) => keep(row, Op::Delete),
                (false, true) => keep(row + 1, Op::Insert),
                (false, false) => {}
            }
            row += 2;
        } else {
            if batch.is_null_value(row) || passes(row) {
                keep(row, batch.op(row));
            }
            row += 1;
        }
    }
    Ok(ChangeBatch { ops: Some(Arc::from(ops)), ..batch.take(&rows)? })
}
