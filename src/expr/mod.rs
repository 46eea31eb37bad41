//! Expressions: syntax tree to typed to compiled, and the function library. Only here (and in `engine::adhoc`) is
//! DataFusion known.
//!
//! **Invariant:** evaluation never fails for data: a row that cannot be computed is NULL and reported.
//!
//! > KSQL: comparisons and logic are two-valued, NULL compares false.

pub mod aggregate;
mod bind;
mod cast;
pub mod compile;
mod eval;
pub mod from_text;
pub mod functions;
mod node;
mod rules;
pub mod text;

pub use aggregate::{Accumulator, Aggregate};
pub use compile::{CompiledExpr, Scope, compile, compile_as, compile_in, compile_predicate, compile_table};
