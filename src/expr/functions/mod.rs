//! The library of scalar and table functions, declared once: name, overloads, documentation, evaluation.

use std::sync::Arc;

use arrow::array::ArrayRef;

use crate::error::{Error, RecordError, Result};
use crate::types::SqlType;

/// An argument as far as it is known when a call is typed.
#[derive(Debug, Clone, PartialEq)]
pub enum ArgType {
    /// An expression of this type.
    Sql(SqlType),
    /// The NULL literal.
    Null,
}

/// A call with its overload chosen.
#[derive(Clone)]
pub struct Resolved {
    /// The type of the result.
    pub returns: SqlType,
    /// The type that each argument is coerced to before the call.
    pub params: Vec<SqlType>,
    /// What computes it.
    pub eval: Arc<dyn ScalarEval>,
}

/// Computes a scalar function over a batch.
pub trait ScalarEval: Send + Sync {
    /// One cell a row; a row that fails is NULL and reported. NULL arguments are the function's business.
    fn evaluate(&self, args: &[ArrayRef], rows: usize, errors: &mut Vec<RecordError>) -> Result<ArrayRef>;
}

/// The overload of the scalar function `name` (upper case) for these arguments, or an error that says which
/// functions or overloads there are.
pub fn resolve_scalar(name: &str, _args: &[ArgType]) -> Result<Resolved> {
    Err(Error::not_found(format!("unknown function {name}")))
}

/// The overload of the table function `name`: its cells are arrays (`returns` is the array's type), one array a row;
/// their items become rows.
pub fn resolve_table(name: &str, _args: &[ArgType]) -> Result<Resolved> {
    Err(Error::not_found(format!("unknown table function {name}")))
}

/// What kind of function a name (upper case) is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FunctionKind {
    /// One value from one row.
    Scalar,
    /// One value from many rows.
    Aggregate,
    /// Many rows from one row.
    Table,
}

/// What kind of function `name` is, if there is one.
pub fn kind_of(_name: &str) -> Option<FunctionKind> {
    None
}

/// A function as `SHOW FUNCTIONS` and `DESCRIBE FUNCTION` tell it.
#[derive(Debug, Clone)]
pub struct FunctionDoc {
    /// Its name.
    pub name: String,
    /// What kind it is.
    pub kind: FunctionKind,
    /// Grouping for people: `STRING`, `MATH`, `DATE / TIME`, …
    pub category: &'static str,
    /// What it does, its NULL rule and its errors, in a few sentences.
    pub description: String,
    /// One line an overload: `SUBSTRING(text STRING, from INT) -> STRING`.
    pub signatures: Vec<String>,
    /// `SUBSTRING('stream', 2)` → `tream`
    pub example: &'static str,
}

/// Every function by name.
pub fn all() -> Vec<FunctionDoc> {
    Vec::new()
}
