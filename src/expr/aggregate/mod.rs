//! Aggregate functions: [`Aggregate`] says how a call works, [`Accumulator`] is one group's running value.
//!
//! **Invariant:** saved values begin with a version byte, so that their layout can change.
//!
//! > KSQL: each function has NULL rules of its own; its description says which.

mod codec;
mod collect;
mod extreme;
mod numeric;
mod offset;
mod spread;
mod top;
mod user;

use std::any::Any;

use arrow::array::ArrayRef;

use super::functions::declare::{Call, Function};
use super::functions::{ArgType, FunctionEnv, find_aggregate, system_env};
use crate::error::{Error, Result};
use crate::types::{SqlType, Value};

pub use user::Fold;
pub(super) use user::{MakeFold, folding};

/// An aggregate call with its overload chosen and its literal parameters fixed.
pub trait Aggregate: Send + Sync {
    /// The type of the result.
    fn returns(&self) -> SqlType;
    /// The type that each column argument is coerced to before the call. These are the call's first arguments; literal
    /// parameters always stand behind them.
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
    /// Takes all of `rows`, in order; rows that fail are reported and change nothing.
    fn update_rows(&mut self, args: &[ArrayRef], rows: &[u32], failed: &mut dyn FnMut(u32, String)) {
        for row in rows {
            if let Err(reason) = self.update(args, *row as usize) {
                failed(*row, reason);
            }
        }
    }
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
pub fn resolve_aggregate(name: &str, args: &[ArgType], literals: &[Option<Value>]) -> Result<Box<dyn Aggregate>> {
    resolve_aggregate_in(system_env(), name, args, literals)
}

/// [`resolve_aggregate`] with settings of the caller's.
pub fn resolve_aggregate_in(
    env: &FunctionEnv,
    name: &str,
    args: &[ArgType],
    literals: &[Option<Value>],
) -> Result<Box<dyn Aggregate>> {
    find_aggregate(name)?.resolve_aggregate(env, args, literals)
}

/// The declarations of all aggregates.
pub(super) fn functions() -> Vec<Function> {
    let families = [
        numeric::functions(),
        spread::functions(),
        extreme::functions(),
        collect::functions(),
        offset::functions(),
        top::functions(),
    ];
    families.into_iter().flatten().collect()
}

const AGGREGATE: &str = "AGGREGATE";

type Make = Box<dyn Fn() -> Box<dyn Accumulator> + Send + Sync>;

/// A chosen overload.
struct Chosen {
    returns: SqlType,
    params: Vec<SqlType>,
    undo: bool,
    make: Make,
}

impl Aggregate for Chosen {
    fn returns(&self) -> SqlType {
        self.returns.clone()
    }

    fn params(&self) -> Vec<SqlType> {
        self.params.clone()
    }

    fn can_undo(&self) -> bool {
        self.undo
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        (self.make)()
    }
}

/// An aggregate of the first `columns` arguments.
fn chosen<A: Accumulator>(
    call: &Call,
    columns: usize,
    undo: bool,
    make: impl Fn() -> A + Send + Sync + 'static,
) -> Result<Box<dyn Aggregate>> {
    let params = call.params[..columns].to_vec();
    Ok(Box::new(Chosen { returns: call.returns.clone(), params, undo, make: Box::new(move || Box::new(make())) }))
}

/// The literal at parameter `at`.
fn literal<'a>(call: &'a Call, at: usize) -> Result<&'a Value> {
    call.literals.get(at).and_then(Option::as_ref).filter(|value| !value.is_null()).ok_or_else(|| {
        Error::semantic(format!("parameter {} of {} must be a literal", at + 1, call.name))
            .hint("Write a constant there, such as a number, instead of a column.")
    })
}

/// The literal count at parameter `at`, at least 1.
fn literal_count(call: &Call, at: usize) -> Result<usize> {
    let count = literal(call, at)?.as_i64().and_then(|count| usize::try_from(count).ok()).filter(|count| *count > 0);
    count.ok_or_else(|| Error::semantic(format!("parameter {} of {} must be at least 1", at + 1, call.name)))
}

/// The other side of a merge, which has the same type.
fn same<A: 'static>(other: &dyn Accumulator) -> Result<&A, String> {
    other.as_any().downcast_ref().ok_or_else(|| "groups of different aggregates cannot be merged".to_owned())
}

/// What `undo` says where tables cannot be aggregated.
fn no_undo() -> Result<(), String> {
    Err("this aggregate cannot take rows back".to_owned())
}

#[cfg(test)]
mod tests;
