//! [`Calls`]: the aggregate calls of an aggregation over its groups: arguments, updates, results, bytes.

use arrow::array::ArrayRef;

use super::exprs::{conform, report};
use super::{OperatorContext, RowError};
use crate::change::ChangeBatch;
use crate::error::{RecordError, Result};
use crate::expr::{Accumulator, Aggregate, CompiledExpr};
use crate::types::Value;

/// An aggregate function applied to columns.
pub struct Call {
    /// The output column.
    pub name: String,
    /// The function, overload chosen.
    pub aggregate: Box<dyn Aggregate>,
    /// Its arguments (parameters that are literals left out); they are cast to what the function takes.
    pub args: Vec<CompiledExpr>,
}

/// One group's running values, a call each.
pub(super) type Accumulators = Vec<Box<dyn Accumulator>>;

/// The calls of one aggregation.
pub(super) struct Calls(Vec<Call>);

/// The arguments of each call for a batch.
pub(super) type Arguments = Vec<Vec<ArrayRef>>;

impl Calls {
    pub(super) fn new(calls: Vec<Call>) -> Self {
        Self(calls)
    }

    pub(super) fn describe(&self) -> String {
        self.0.iter().map(|call| call.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    pub(super) fn arguments(&self, cx: &mut OperatorContext<'_>, batch: &ChangeBatch) -> Result<Arguments> {
        let mut errors: Vec<RecordError> = Vec::new();
        let mut arguments = Vec::with_capacity(self.0.len());
        for call in &self.0 {
            let params = call.aggregate.params();
            let args = call.args.iter().zip(&params);
            arguments.push(
                args.map(|(arg, param)| conform(arg.evaluate(&batch.data, &mut errors)?, &param.arrow()))
                    .collect::<Result<Vec<_>>>()?,
            );
        }
        report(cx, batch, errors, |_| true);
        Ok(arguments)
    }

    /// A group without rows.
    pub(super) fn fresh(&self) -> Accumulators {
        self.0.iter().map(|call| call.aggregate.accumulator()).collect()
    }

    /// Takes a row into the group, or back out of it; a call that fails stays as it was and is told.
    pub(super) fn apply(
        &self,
        group: &mut Accumulators,
        arguments: &Arguments,
        row: usize,
        undo: bool,
        seq: u64,
        errors: &mut Vec<RowError>,
    ) {
        for (i, (accumulator, args)) in group.iter_mut().zip(arguments).enumerate() {
            let done = if undo { accumulator.undo(args, row) } else { accumulator.update(args, row) };
            if let Err(reason) = done {
                errors.push(RowError { seq, place: self.0[i].name.clone(), reason });
            }
        }
    }

    /// Takes in a group whose rows came later.
    pub(super) fn merge(&self, group: &mut Accumulators, later: &Accumulators, seq: u64, errors: &mut Vec<RowError>) {
        for (i, (accumulator, later)) in group.iter_mut().zip(later).enumerate() {
            if let Err(reason) = accumulator.merge(later.as_ref()) {
                errors.push(RowError { seq, place: self.0[i].name.clone(), reason });
            }
        }
    }

    pub(super) fn results(group: &Accumulators) -> Vec<Value> {
        group.iter().map(|accumulator| accumulator.result()).collect()
    }

    pub(super) fn save(group: &Accumulators, out: &mut Vec<u8>) {
        group.iter().for_each(|accumulator| accumulator.save(out));
    }

    pub(super) fn load(&self, mut bytes: &[u8]) -> Result<Accumulators> {
        let mut group = self.fresh();
        for accumulator in &mut group {
            accumulator.load(&mut bytes)?;
        }
        Ok(group)
    }
}
