//! Tests of the grammar as a whole: what reads as what, what prints as what, and what is refused how.

mod arbitrary;
mod errors;
mod expressions;
mod properties;
mod statements;
