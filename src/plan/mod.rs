//! Statements to plain data: [`source`] declares sources, [`insert`] builds rows, [`query`] turns queries into a
//! [`topology::Topology`], [`pull`] analyses look-ups, [`explain`] prints.
//!
//! **Invariant:** planning is pure: it reads the catalog and what [`Environment`] answers, and changes nothing.

pub mod coerce;
pub mod environment;
pub mod explain;
pub mod formats;
pub mod insert;
pub mod properties;
pub mod query;
pub mod source;
pub mod topology;
pub mod types;
pub mod upgrade;
mod walk;

#[cfg(test)]
mod tests;

pub use environment::{Environment, PlanConfig, Schemas};
pub use query::pull;
pub use query::{Planned, Target, plan_query, plan_source_table};
