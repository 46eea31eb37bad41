//! Evaluating expressions over change batches: which rows count, and whose errors are told.

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::compute;
use arrow::datatypes::{DataType, FieldRef};

use super::OperatorContext;
use super::RowError;
use crate::change::{ChangeBatch, Op};
use crate::error::{RecordError, Result};
use crate::expr::CompiledExpr;

/// One column per expression, of the fields' types; rows with a null value are NULL throughout.
pub(super) fn evaluate_values(
    cx: &mut OperatorContext<'_>,
    batch: &ChangeBatch,
    exprs: &[CompiledExpr],
    fields: &[FieldRef],
) -> Result<Vec<ArrayRef>> {
    let mut errors = Vec::new();
    let mut columns = Vec::with_capacity(exprs.len());
    for (expr, field) in exprs.iter().zip(fields) {
        let column = conform(expr.evaluate(&batch.data, &mut errors)?, field.data_type())?;
        columns.push(blank_null_values(batch, column)?);
    }
    report(cx, batch, errors, |row| !batch.is_null_value(row));
    Ok(columns)
}

/// One column per expression over key columns, of the fields' types: rows with a null value have a key too.
pub(super) fn evaluate_keys(
    cx: &mut OperatorContext<'_>,
    batch: &ChangeBatch,
    exprs: &[CompiledExpr],
    fields: &[FieldRef],
) -> Result<Vec<ArrayRef>> {
    let mut errors = Vec::new();
    let columns = exprs
        .iter()
        .zip(fields)
        .map(|(expr, field)| conform(expr.evaluate(&batch.data, &mut errors)?, field.data_type()))
        .collect::<Result<_>>()?;
    report(cx, batch, errors, |_| true);
    Ok(columns)
}

/// Where the predicate holds; rows with a null value never pass.
pub(super) fn evaluate_predicate(
    cx: &mut OperatorContext<'_>,
    batch: &ChangeBatch,
    predicate: &CompiledExpr,
) -> Result<BooleanArray> {
    let mut errors = Vec::new();
    let mask = predicate.evaluate_predicate(&batch.data, &mut errors)?;
    report(cx, batch, errors, |row| !batch.is_null_value(row));
    match &batch.null_values {
        None => Ok(mask),
        Some(nulls) => Ok(BooleanArray::new(mask.values() & &!nulls, None)),
    }
}

/// Tells the errors of rows that `told` accepts, in row order; a before image was told when it was new.
pub(super) fn report(
    cx: &mut OperatorContext<'_>,
    batch: &ChangeBatch,
    mut errors: Vec<RecordError>,
    told: impl Fn(usize) -> bool,
) {
    errors.sort_by_key(|error| error.row);
    let errors = errors.into_iter().filter(|error| batch.op(error.row).is_addition() && told(error.row));
    cx.errors.extend(errors.map(|error| RowError {
        seq: batch.seq[error.row],
        place: error.place,
        reason: error.reason,
    }));
}

/// Puts errors told since there were `start` of them in the order of their records: operators that work in several
/// passes over a batch would else tell them pass by pass, which depends on the batches.
pub(super) fn sort_errors(cx: &mut OperatorContext<'_>, start: usize) {
    cx.errors[start..].sort_by_key(|error| error.seq);
}

/// The column as one of `ty`: the NULL literal has no type of its own.
pub(super) fn conform(column: ArrayRef, ty: &DataType) -> Result<ArrayRef> {
    if column.data_type() == ty {
        Ok(column)
    } else if *column.data_type() == DataType::Null {
        Ok(new_null_array(ty, column.len()))
    } else {
        Ok(compute::cast(&column, ty)?)
    }
}

/// The column, NULL in rows whose value as a whole is null.
pub(super) fn blank_null_values(batch: &ChangeBatch, column: ArrayRef) -> Result<ArrayRef> {
    match &batch.null_values {
        Some(nulls) if nulls.count_set_bits() > 0 => {
            Ok(compute::nullif(&column, &BooleanArray::new(nulls.clone(), None))?)
        }
        _ => Ok(column),
    }
}

/// Whether rows `i` and `i + 1` are the before and after image of one update. Their arrival numbers do not say: images
/// that went through a repartition topic have one each.
pub(super) fn is_update_pair(batch: &ChangeBatch, i: usize) -> bool {
    batch.op(i) == Op::UpdateBefore && i + 1 < batch.len() && batch.op(i + 1) == Op::UpdateAfter
}

/// Rows whose key as a whole is null: every key column is NULL.
pub(super) fn has_null_key(keys: &[ArrayRef], row: usize) -> bool {
    keys.iter().all(|column| column.is_null(row))
}
