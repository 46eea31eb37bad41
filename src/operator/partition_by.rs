//! [`PartitionBy`]: gives a stream a new key. Rows stay as many and in order.
//!
//! > KSQL: a key expression that fails gives a null key; so does one that reads value columns of a row whose value is
//! > null, while one over key columns alone is computed.

use super::exprs::{blank_null_values, conform, evaluate_values, report, sort_errors};
use super::{Input, Operator, OperatorContext};
use crate::error::Result;
use crate::expr::CompiledExpr;
use crate::types::LogicalSchema;

/// A column of the new key.
pub struct PartitionKey {
    /// What it is.
    pub expr: CompiledExpr,
    /// Whether it reads value columns.
    pub reads_value: bool,
}

/// `PARTITION BY`, and the new key of a stream below a join.
pub struct PartitionBy {
    bounds_at: usize,
    schema: LogicalSchema,
    key: Vec<PartitionKey>,
    value: Vec<CompiledExpr>,
}

impl PartitionBy {
    /// Computes `schema`'s key (none: no key) and value columns.
    pub fn new(input: &LogicalSchema, schema: LogicalSchema, key: Vec<PartitionKey>, value: Vec<CompiledExpr>) -> Self {
        Self { bounds_at: input.key_len(), schema, key, value }
    }
}

impl Operator for PartitionBy {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let schema = self.schema.arrow();
        let start = cx.errors.len();
        let mut columns = Vec::with_capacity(schema.fields().len());
        for (key, field) in self.key.iter().zip(schema.fields()) {
            let mut errors = Vec::new();
            let column = conform(key.expr.evaluate(&batch.data, &mut errors)?, field.data_type())?;
            columns.push(if key.reads_value { blank_null_values(&batch, column)? } else { column });
            report(cx, &batch, errors, |row| !(key.reads_value && batch.is_null_value(row)));
        }
        if self.schema.windowed {
            columns.extend_from_slice(&batch.data.columns()[self.bounds_at..self.bounds_at + 2]);
        }
        let value_fields = &schema.fields()[self.schema.identity_len()..];
        columns.extend(evaluate_values(cx, &batch, &self.value, value_fields)?);
        sort_errors(cx, start);
        cx.emit(batch.with_columns(schema, columns)?);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("partition by {}", key_names(&self.schema))
    }
}

/// The key's columns for EXPLAIN.
pub(super) fn key_names(schema: &LogicalSchema) -> String {
    let names: Vec<_> = schema.key().iter().map(|column| column.name.as_str()).collect();
    if names.is_empty() { "nothing".to_owned() } else { names.join(", ") }
}
