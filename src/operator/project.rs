//! [`Project`]: computes columns. Rows stay as many and in order; null values stay null.

use super::exprs::{evaluate_keys, evaluate_values};
use super::{Input, Operator, OperatorContext};
use crate::error::Result;
use crate::expr::CompiledExpr;
use crate::types::LogicalSchema;

/// `SELECT` expressions, and the renaming of columns below a join.
pub struct Project {
    bounds_at: usize,
    schema: LogicalSchema,
    key: Vec<CompiledExpr>,
    value: Vec<CompiledExpr>,
}

impl Project {
    /// Computes `schema`'s key and value columns; window bounds pass.
    pub fn new(input: &LogicalSchema, schema: LogicalSchema, key: Vec<CompiledExpr>, value: Vec<CompiledExpr>) -> Self {
        Self { bounds_at: input.key_len(), schema, key, value }
    }
}

impl Operator for Project {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let schema = self.schema.arrow();
        let start = cx.errors.len();
        let mut columns = evaluate_keys(cx, &batch, &self.key, schema.fields())?;
        if self.schema.windowed {
            columns.extend_from_slice(&batch.data.columns()[self.bounds_at..self.bounds_at + 2]);
        }
        let value_fields = &schema.fields()[self.schema.identity_len()..];
        columns.extend(evaluate_values(cx, &batch, &self.value, value_fields)?);
        super::exprs::sort_errors(cx, start);
        cx.emit(batch.with_columns(schema, columns)?);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("project {}", self.schema)
    }
}
