//! Aggregate functions: [`Aggregate`] says how a call works, [`Accumulator`] is one group's running value.

use std::any::Any;

use arrow::array::ArrayRef;

use super::functions::ArgType;
use crate::error::{Error, Result};
use crate::types::{SqlType, Value};

/// An aggregate call with its overload chosen and its literal parameters fixed.
pub trait Aggregate: Send + Sync {
    /// The type of the result.
    fn returns(&self) -> SqlType;
    /// The type that each column argument is coerced to before the call (literal parameters excluded).
    fn params(&self) -> Vec<SqlType>;
    /// Whether [`Accumulator::undo`] works, so that tables can be aggregated.
    fn can_undo(&self) -> bool;
    /// The value of a group without rows.
    fn accumulator(&self) -> Box<dyn Accumulator>;
}

/// One group's running value.
pub trait Accumulator: Send + Any {
    /// Takes row `row` of the arguments (already of [`Aggregate::params`] types).
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String>;
    /// Takes row `row` back.
    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String>;
    /// Takes in another group of the same call whose rows came later (sessions that merge).
    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String>;
    /// The value now.
    fn result(&self) -> Value;
    /// Appends the running value as bytes.
    fn save(&self, out: &mut Vec<u8>);
    /// Reads what `save` wrote, advancing `bytes`.
    fn load(&mut self, bytes: &mut &[u8]) -> Result<()>;
    /// For `merge` to see its own type.
    fn as_any(&self) -> &dyn Any;
}

/// The overload of aggregate `name` (upper case). `literals` holds the value of each argument that is a literal, and
/// `None` for the others; literal parameters (the 3 of `TOPK(x, 3)`) are fixed here and not passed to `update`.
pub fn resolve_aggregate(name: &str, _args: &[ArgType], _literals: &[Option<Value>]) -> Result<Box<dyn Aggregate>> {
    Err(Error::not_found(format!("unknown aggregate function {name}")))
}
