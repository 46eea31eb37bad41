//! [`compile`]: a syntax tree over a [`Scope`] of columns becomes a [`CompiledExpr`] that is evaluated batch by batch.
//!
//! > KSQL: a row where any part of an expression fails has no result; only elements of collections, and arguments of
//! > COALESCE and IFNULL, fail alone.

use std::fmt;

use arrow::array::{ArrayRef, AsArray, BooleanArray, RecordBatch};

use super::bind::{Binder, assign};
use super::eval::{Failures, Rows, holding};
use super::functions::FunctionEnv;
use super::node::Node;
use crate::error::{Error, RecordError, Result};
use crate::sql::ast::{Expr, ExprKind};
use crate::types::{Column, SqlType, Value};

/// The columns that an expression may use, by position in the batch.
///
/// A qualified column `s.c` is looked up as `s.c`, then as `S_C` (how joins tell clashing columns apart), then as `c`;
/// a name that occurs twice is ambiguous.
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
#[derive(Clone)]
pub struct CompiledExpr {
    node: Node,
    text: String,
}

impl fmt::Debug for CompiledExpr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CompiledExpr({}: {})", self.text, self.node.type_name())
    }
}

/// Types and compiles an expression without aggregate and table functions.
pub fn compile(expr: &Expr, scope: &Scope) -> Result<CompiledExpr> {
    let node = Binder::new(scope, None).bind(expr)?;
    Ok(CompiledExpr { node, text: expr.to_string() })
}

/// [`compile`] with a clock and randomness of the caller's for the functions that need them.
pub fn compile_in(expr: &Expr, scope: &Scope, env: &FunctionEnv) -> Result<CompiledExpr> {
    let node = Binder::new(scope, Some(env)).bind(expr)?;
    Ok(CompiledExpr { node, text: expr.to_string() })
}

/// [`compile`], and the result must be BOOLEAN: WHERE, HAVING.
pub fn compile_predicate(expr: &Expr, scope: &Scope) -> Result<CompiledExpr> {
    let compiled = compile(expr, scope)?;
    match compiled.ty() {
        None | Some(SqlType::Boolean) => Ok(compiled),
        Some(other) => Err(Error::semantic(format!("a condition must be BOOLEAN, not {other}"))
            .at(expr.span)
            .hint("Compare the value with something.")),
    }
}

/// [`compile`] as a value for a column of type `target`: numbers widen, and literals convert leniently.
pub fn compile_as(expr: &Expr, scope: &Scope, target: &SqlType) -> Result<CompiledExpr> {
    let node = Binder::new(scope, None).bind(expr)?;
    let node = assign(node, target).map_err(|error| error.at(expr.span))?;
    Ok(CompiledExpr { node, text: expr.to_string() })
}

/// Compiles a call of a table function: each cell is the array of what the row becomes.
pub fn compile_table(expr: &Expr, scope: &Scope) -> Result<CompiledExpr> {
    let ExprKind::Call { name, args, .. } = &expr.kind else {
        return Err(Error::semantic("a call of a table function is expected").at(expr.span));
    };
    let node = Binder::new(scope, None).table_call(name, args, expr.span)?;
    Ok(CompiledExpr { node, text: expr.to_string() })
}

impl CompiledExpr {
    /// Its type; `None` is the NULL literal.
    pub fn ty(&self) -> Option<&SqlType> {
        self.node.ty.as_ref()
    }

    /// Its text, as in [`RecordError::place`].
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The value, if it is a literal or was computed from literals.
    pub fn constant(&self) -> Option<Value> {
        self.node.literal_value()
    }

    /// One cell a row. A row that fails is NULL and reported (`RecordError::row` is the row of `batch`, `place` the
    /// expression's text).
    pub fn evaluate(&self, batch: &RecordBatch, errors: &mut Vec<RecordError>) -> Result<ArrayRef> {
        let mut failures = Failures::default();
        let array = self.node.result(&Rows::of(batch), &mut failures)?;
        failures.report(&self.text, errors);
        Ok(array)
    }

    /// True or false a row, never NULL: a NULL or failed row is false.
    pub fn evaluate_predicate(&self, batch: &RecordBatch, errors: &mut Vec<RecordError>) -> Result<BooleanArray> {
        if self.ty().is_none() {
            return Ok(BooleanArray::from(vec![false; batch.num_rows()]));
        }
        let array = self.evaluate(batch, errors)?;
        let Some(values) = array.as_boolean_opt() else {
            return Err(Error::internal(format!("{} is no condition", self.text)));
        };
        Ok(holding(values))
    }
}

#[cfg(test)]
mod tests;
