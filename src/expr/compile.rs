//! [`compile`]: a syntax tree over a [`Scope`] of columns becomes a [`CompiledExpr`] that is evaluated batch by batch.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch};

use crate::error::{Error, RecordError, Result};
use crate::sql::ast::Expr;
use crate::types::{Column, SqlType};

/// The columns that an expression may use, by position in the batch.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Names and types, in batch order.
    pub columns: Vec<(String, SqlType)>,
}

impl Scope {
    /// The scope of a batch with these columns.
    pub fn of(columns: &[Column]) -> Self {
        Self { columns: columns.iter().map(|c| (c.name.clone(), c.ty.clone())).collect() }
    }
}

/// An expression ready to be evaluated.
#[derive(Debug)]
pub struct CompiledExpr {}

/// Types and compiles an expression without aggregate and table functions.
pub fn compile(_expr: &Expr, _scope: &Scope) -> Result<CompiledExpr> {
    Err(Error::internal("to come"))
}

impl CompiledExpr {
    /// Its type; `None` is the NULL literal.
    pub fn ty(&self) -> Option<&SqlType> {
        None
    }

    /// One cell a row. A row that fails is NULL and reported (`RecordError::row` is the row of `batch`, `place` the
    /// expression's text).
    pub fn evaluate(&self, _batch: &RecordBatch, _errors: &mut Vec<RecordError>) -> Result<ArrayRef> {
        Err(Error::internal("to come"))
    }

    /// True or false a row, never NULL: a NULL or failed row is false.
    pub fn evaluate_predicate(&self, _batch: &RecordBatch, _errors: &mut Vec<RecordError>) -> Result<BooleanArray> {
        Err(Error::internal("to come"))
    }
}
