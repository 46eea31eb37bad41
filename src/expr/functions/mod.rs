//! The library of scalar and table functions, declared once: name, overloads, documentation, evaluation.
//!
//! A module a family declares [`declare::Function`]s; [`registry`] holds them all by name, aggregates included.
//!
//! **Invariant:** what `SHOW FUNCTIONS` tells and what a call does come from the same declaration.

pub(crate) mod cell;
pub(crate) mod declare;
mod env;
pub(crate) mod signature;

mod array;
mod bytes;
mod conditional;
mod datafusion;
mod datetime;
mod json;
mod json_path;
mod mask;
mod math;
mod regexp;
mod registry;
mod string;
mod table;
mod url;
mod user;

use std::sync::{Arc, LazyLock};

use arrow::array::ArrayRef;

use crate::error::{Error, RecordError, Result, did_you_mean};
use crate::types::SqlType;

pub use env::FunctionEnv;
pub use user::UserFunction;

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

    /// Whether equal arguments may give different results (clock, randomness), so that it must not be folded.
    fn volatile(&self) -> bool {
        false
    }
}

static SYSTEM: LazyLock<FunctionEnv> = LazyLock::new(FunctionEnv::system);

/// The overload of the scalar function `name` (upper case) for these arguments, or an error that says which
/// functions or overloads there are.
pub fn resolve_scalar(name: &str, args: &[ArgType]) -> Result<Resolved> {
    resolve_scalar_in(&SYSTEM, name, args)
}

/// [`resolve_scalar`] with a clock and randomness of the caller's.
pub fn resolve_scalar_in(env: &FunctionEnv, name: &str, args: &[ArgType]) -> Result<Resolved> {
    find(name, FunctionKind::Scalar, "scalar")?.resolve(env, args)
}

/// The overload of the table function `name`: its cells are arrays (`returns` is the array's type), one array a row;
/// their items become rows.
pub fn resolve_table(name: &str, args: &[ArgType]) -> Result<Resolved> {
    find(name, FunctionKind::Table, "table")?.resolve(&SYSTEM, args)
}

/// The declaration of an aggregate function.
pub(crate) fn find_aggregate(name: &str) -> Result<&'static declare::Function> {
    find(name, FunctionKind::Aggregate, "aggregate")
}

/// The world that aggregates see.
pub(crate) fn system_env() -> &'static FunctionEnv {
    &SYSTEM
}

fn find(name: &str, kind: FunctionKind, what: &str) -> Result<&'static declare::Function> {
    let function = named(name).ok_or_else(|| {
        let error = Error::not_found(format!("unknown function {name}"));
        let names = listed().filter(|(_, function)| function.kind == kind).map(|(name, _)| name);
        match did_you_mean(name, names) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error.hint("SHOW FUNCTIONS lists them all."),
        }
    })?;
    if function.kind != kind {
        return Err(Error::semantic(format!("{name} is not a {what} function")));
    }
    Ok(function)
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
pub fn kind_of(name: &str) -> Option<FunctionKind> {
    named(name).map(|function| function.kind)
}

/// The function of the library, or of the embedder, with that name.
fn named(name: &str) -> Option<&'static declare::Function> {
    registry::find(name).or_else(|| user::find(name))
}

/// All functions that are shown, those of the embedder last.
fn listed() -> impl Iterator<Item = (&'static str, &'static declare::Function)> {
    registry::names().chain(user::listed())
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
    let mut all: Vec<_> = listed().map(|(name, function)| function.doc(name)).collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod robustness;
