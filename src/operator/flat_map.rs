//! [`FlatMap`]: table functions turn a row into as many rows as their longest result has items.
//!
//! Several functions are zipped: the shorter ones are NULL in the later rows. An empty or NULL result counts no rows,
//! and a row with a null value has none.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, UInt32Array, new_null_array};
use arrow::compute;

use super::exprs::evaluate_values;
use super::{Input, Operator, OperatorContext};
use crate::error::{Error, Result};
use crate::expr::CompiledExpr;
use crate::types::{LogicalSchema, SqlType};

/// `EXPLODE` and its like.
pub struct FlatMap {
    schema: LogicalSchema,
    functions: Vec<CompiledExpr>,
}

impl FlatMap {
    /// Appends a column per function, each an expression whose cells are arrays.
    pub fn new(schema: LogicalSchema, functions: Vec<CompiledExpr>) -> Self {
        Self { schema, functions }
    }
}

impl Operator for FlatMap {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let columns = self.schema.batch_columns();
        let results = &columns[columns.len() - self.functions.len()..];
        let lists: Vec<_> = results.iter().map(|c| Arc::new(list_field(c.name.clone(), &c.ty))).collect();
        let lists = evaluate_values(cx, &batch, &self.functions, &lists)?;
        let lists: Vec<_> = lists
            .iter()
            .map(|list| list.as_list_opt::<i32>().ok_or_else(|| Error::internal("a table function without arrays")))
            .collect::<Result<_>>()?;

        let length = |list: &arrow::array::ListArray, row: usize| {
            if list.is_null(row) { 0 } else { list.value_length(row) as usize }
        };
        let mut rows = Vec::new();
        let mut items: Vec<Vec<Option<u32>>> = vec![Vec::new(); lists.len()];
        for row in 0..batch.len() {
            let longest = lists.iter().map(|list| length(list, row)).max().unwrap_or(0);
            rows.resize(rows.len() + longest, row as u32);
            for (list, items) in lists.iter().zip(&mut items) {
                let (first, length) = (list.value_offsets()[row] as u32, length(list, row));
                items.extend((0..longest).map(|i| (i < length).then_some(first + i as u32)));
            }
        }
        if rows.is_empty() {
            return Ok(());
        }
        let taken = batch.take(&rows)?;
        let mut columns = taken.data.columns().to_vec();
        for (list, items) in lists.iter().zip(items) {
            columns.push(cells(list.values(), items)?);
        }
        cx.emit(taken.with_columns(self.schema.arrow(), columns)?);
        Ok(())
    }

    fn describe(&self) -> String {
        format!("flat map, {} table functions", self.functions.len())
    }
}

fn list_field(name: String, item: &SqlType) -> arrow::datatypes::Field {
    arrow::datatypes::Field::new(name, SqlType::array(item.clone()).arrow(), true)
}

fn cells(values: &ArrayRef, items: Vec<Option<u32>>) -> Result<ArrayRef> {
    if values.is_empty() {
        return Ok(new_null_array(values.data_type(), items.len()));
    }
    Ok(compute::take(values, &UInt32Array::from(items), None)?)
}
