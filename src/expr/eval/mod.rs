//! Evaluation of typed expressions, column by column.
//!
//! **Invariant:** evaluating rows together gives what evaluating each alone gives.

mod arithmetic;
mod branch;
mod compare;
mod lambda;
pub(super) mod like;
mod nested;

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Datum, RecordBatch, UInt32Array, new_null_array};
use arrow::compute;
use arrow::datatypes::DataType;

use super::cast::cast_array;
use super::node::{Kind, Node};
use crate::error::{Error, RecordError, Result};
use crate::types::SqlType;

/// Rows that could not be computed, and why.
#[derive(Debug, Default)]
pub struct Failures {
    list: Vec<Failure>,
}

#[derive(Debug)]
struct Failure {
    row: usize,
    reason: String,
    /// Only a cell inside a collection is NULL, not the result.
    contained: bool,
    /// Not worth a report.
    silent: bool,
}

impl Failures {
    /// Row `row` has no result.
    pub fn add(&mut self, row: usize, reason: impl Into<String>) {
        self.list.push(Failure { row, reason: reason.into(), contained: false, silent: false });
    }

    /// Rows where `array` is NULL have no result, which is not reported.
    fn add_nulls(&mut self, array: &ArrayRef) {
        let Some(nulls) = array.nulls().filter(|nulls| nulls.null_count() > 0) else { return };
        let rows = (0..array.len()).filter(|row| nulls.is_null(*row));
        self.list.extend(rows.map(|row| Failure { row, reason: String::new(), contained: false, silent: true }));
    }

    /// Takes over failures of parts of a collection; `row` says which row a part belongs to.
    pub fn contain(&mut self, inner: Self, row: impl Fn(usize) -> usize) {
        self.list.extend(inner.list.into_iter().map(|f| Failure { row: row(f.row), contained: true, ..f }));
    }

    /// Takes over failures found on other row numbers.
    fn merge(&mut self, inner: Self, row: impl Fn(usize) -> usize) {
        self.list.extend(inner.list.into_iter().map(|f| Failure { row: row(f.row), ..f }));
    }

    /// What failed since `before` failed in the one cell of all rows.
    fn spread(&mut self, before: usize, rows: usize) {
        let Some(first) = self.list.drain(before..).next() else { return };
        let Failure { reason, contained, silent, .. } = first;
        self.list.extend((0..rows).map(|row| Failure { row, reason: reason.clone(), contained, silent }));
    }

    fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        self.list.retain(|failure| keep(failure.row));
    }

    /// Whether nothing failed.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether each of `rows` rows failed as a whole.
    fn failed(&self, rows: usize) -> Option<BooleanArray> {
        let mut failed = vec![false; rows];
        let mut any = false;
        for failure in self.list.iter().filter(|f| !f.contained && f.row < rows) {
            failed[failure.row] = true;
            any = true;
        }
        any.then(|| BooleanArray::from(failed))
    }

    /// One report a row, the first.
    pub(super) fn report(mut self, place: &str, errors: &mut Vec<RecordError>) {
        self.list.retain(|failure| !failure.silent);
        self.list.sort_by_key(|failure| failure.row);
        self.list.dedup_by_key(|failure| failure.row);
        let report = |f: Failure| RecordError { row: f.row, place: place.to_owned(), reason: f.reason };
        errors.extend(self.list.into_iter().map(report));
    }
}

/// What a node is evaluated over: the batch's columns, then the parameters of enclosing lambdas.
#[derive(Clone)]
pub(super) struct Rows {
    columns: Vec<ArrayRef>,
    len: usize,
    /// > KSQL: arithmetic with a NULL element makes the whole call of a lambda function NULL.
    in_lambda: bool,
}

impl Rows {
    pub(super) fn of(batch: &RecordBatch) -> Self {
        Self { columns: batch.columns().to_vec(), len: batch.num_rows(), in_lambda: false }
    }

    /// One row without columns: constants are evaluated over it.
    pub(super) fn unit() -> Self {
        Self { columns: Vec::new(), len: 1, in_lambda: false }
    }

    /// The same columns, of which those in `used` hold `keep` rows only; the others must not be read.
    fn select(&self, used: &[bool], len: usize, keep: impl Fn(&ArrayRef) -> Result<ArrayRef>) -> Result<Self> {
        let columns = self
            .columns
            .iter()
            .enumerate()
            .map(|(i, column)| {
                if used.get(i).copied().unwrap_or(false) {
                    keep(column)
                } else {
                    Ok(new_null_array(&DataType::Null, len))
                }
            })
            .collect::<Result<_>>()?;
        Ok(Self { columns, len, in_lambda: self.in_lambda })
    }
}

/// The cells of a node: one a row, or one for all rows.
#[derive(Clone)]
pub(super) enum Cells {
    Each(ArrayRef),
    Same(ArrayRef),
}

impl Cells {
    fn array(&self) -> &ArrayRef {
        match self {
            Self::Each(array) | Self::Same(array) => array,
        }
    }

    /// One cell a row.
    pub(super) fn expand(self, len: usize) -> Result<ArrayRef> {
        match self {
            Self::Each(array) => Ok(array),
            Self::Same(array) if len == 1 => Ok(array),
            Self::Same(array) => Ok(compute::take(&array, &UInt32Array::from_value(0, len), None)?),
        }
    }

    /// Where row `row` lies in [`Self::array`].
    fn at(&self, row: usize) -> usize {
        match self {
            Self::Each(_) => row,
            Self::Same(_) => 0,
        }
    }

    fn same(&self) -> bool {
        matches!(self, Self::Same(_))
    }

    /// Wraps a result computed on the arrays as they are.
    fn wrap(array: ArrayRef, same: bool) -> Self {
        if same { Self::Same(array) } else { Self::Each(array) }
    }
}

/// True or false: NULL counts as false.
pub(super) fn holding(values: &BooleanArray) -> BooleanArray {
    match values.nulls() {
        Some(nulls) if nulls.null_count() > 0 => BooleanArray::new(values.values() & nulls.inner(), None),
        _ => BooleanArray::new(values.values().clone(), None),
    }
}

impl Datum for Cells {
    fn get(&self) -> (&dyn Array, bool) {
        (self.array().as_ref(), self.same())
    }
}

impl Node {
    /// The cells of the node; rows that fail are NULL and told in `failures`.
    pub(super) fn cells(&self, rows: &Rows, failures: &mut Failures) -> Result<Cells> {
        let before = failures.list.len();
        let cells = self.compute(rows, failures)?;
        if cells.same() && failures.list.len() > before {
            failures.spread(before, rows.len);
        }
        Ok(cells)
    }

    fn compute(&self, rows: &Rows, failures: &mut Failures) -> Result<Cells> {
        match &self.kind {
            Kind::Literal(array) => Ok(Cells::Same(array.clone())),
            Kind::Column(at) => match rows.columns.get(*at) {
                Some(column) => Ok(Cells::Each(column.clone())),
                None => Err(Error::internal(format!("the batch has no column {at}"))),
            },
            Kind::Arithmetic { op, left, right } => {
                let (left_cells, right_cells) = (left.cells(rows, failures)?, right.cells(rows, failures)?);
                let same = left_cells.same() && right_cells.same();
                let ty = self.sql_type()?;
                let types = (left.sql_type()?, right.sql_type()?);
                let result = arithmetic::compute(*op, (&left_cells, &right_cells), types, ty, failures)?;
                if rows.in_lambda {
                    failures.add_nulls(&result);
                }
                Ok(Cells::wrap(result, same))
            }
            Kind::Negate(expr) => {
                let cells = expr.cells(rows, failures)?;
                Ok(Cells::wrap(arithmetic::negate(cells.array())?, cells.same()))
            }
            Kind::Concat { left, right, skip_nulls } => {
                let (left, right) = (left.cells(rows, failures)?, right.cells(rows, failures)?);
                let len = if left.same() && right.same() { 1 } else { rows.len };
                let same = left.same() && right.same();
                Ok(Cells::wrap(arithmetic::concat(&left, &right, len, *skip_nulls), same))
            }
            Kind::Compare { op, left, right } => {
                let (left, right) = (left.cells(rows, failures)?, right.cells(rows, failures)?);
                let same = left.same() && right.same();
                let len = if same { 1 } else { rows.len };
                Ok(Cells::wrap(Arc::new(compare::compare(*op, &left, &right, len)?), same))
            }
            Kind::And(left, right) => branch::logic(left, right, rows, failures, false),
            Kind::Or(left, right) => branch::logic(left, right, rows, failures, true),
            Kind::Not(expr) => {
                let cells = expr.cells(rows, failures)?;
                Ok(Cells::wrap(Arc::new(compute::not(cells.array().as_boolean())?), cells.same()))
            }
            Kind::IsNull { expr, negated } => {
                let cells = expr.cells(rows, failures)?;
                let array = cells.array();
                let result = if *negated { compute::is_not_null(array)? } else { compute::is_null(array)? };
                Ok(Cells::wrap(Arc::new(result), cells.same()))
            }
            Kind::Like { expr, pattern, escape, compiled } => {
                let cells = expr.cells(rows, failures)?;
                let pattern = pattern.cells(rows, failures)?;
                let same = cells.same() && pattern.same();
                let len = if same { 1 } else { rows.len };
                let result = like::like(&cells, &pattern, *escape, compiled.as_deref(), len, failures);
                Ok(Cells::wrap(Arc::new(result), same))
            }
            Kind::In { expr, list } => branch::in_list(expr, list, rows, failures),
            Kind::Case { whens, otherwise } => {
                branch::case(whens, otherwise.as_deref(), self.sql_type()?, rows, failures).map(Cells::Each)
            }
            Kind::Cast(expr) => {
                let cells = expr.cells(rows, failures)?;
                let cast = cast_array(cells.array(), expr.sql_type()?, self.sql_type()?, failures)?;
                Ok(Cells::wrap(cast, cells.same()))
            }
            Kind::Call { eval, args, contain } => {
                let arg = |arg: &Node| {
                    if *contain {
                        nested::element(arg, rows, failures)
                    } else {
                        arg.cells(rows, failures)?.expand(rows.len)
                    }
                };
                let args = args.iter().map(arg).collect::<Result<Vec<_>>>()?;
                let mut errors = Vec::new();
                let result = eval.evaluate(&args, rows.len, &mut errors)?;
                errors.into_iter().for_each(|error| failures.add(error.row, error.reason));
                Ok(Cells::Each(result))
            }
            Kind::Array(items) => nested::array(items, self.sql_type()?, rows, failures).map(Cells::Each),
            Kind::Map(entries) => nested::map(entries, self.sql_type()?, rows, failures).map(Cells::Each),
            Kind::Struct(fields) => nested::structure(fields, self.sql_type()?, rows, failures).map(Cells::Each),
            Kind::Item { base, index } => {
                let (base, index) = (base.cells(rows, failures)?, index.cells(rows, failures)?);
                nested::item(base, &index, rows.len).map(Cells::Each)
            }
            Kind::Entry { base, key } => {
                let (base, key) = (base.cells(rows, failures)?, key.cells(rows, failures)?);
                nested::entry(base, &key, rows.len).map(Cells::Each)
            }
            Kind::Field { base, at } => {
                let cells = base.cells(rows, failures)?;
                Ok(Cells::wrap(nested::field(cells.array(), *at)?, cells.same()))
            }
            Kind::Lambda { function, collection, initial, bodies, first } => {
                let call = lambda::Call { initial: initial.as_deref(), bodies, first: *first, ty: self.sql_type()? };
                let collection = collection.cells(rows, failures)?.expand(rows.len)?;
                call.evaluate(*function, &collection, rows, failures).map(Cells::Each)
            }
        }
    }

    /// The result for `rows`: rows that failed as a whole are NULL.
    pub(super) fn result(&self, rows: &Rows, failures: &mut Failures) -> Result<ArrayRef> {
        let array = self.cells(rows, failures)?.expand(rows.len)?;
        match failures.failed(rows.len) {
            Some(failed) => Ok(compute::nullif(&array, &failed)?),
            None => Ok(array),
        }
    }

    fn sql_type(&self) -> Result<&SqlType> {
        self.ty.as_ref().ok_or_else(|| Error::internal("a NULL literal was not given a type"))
    }
}
