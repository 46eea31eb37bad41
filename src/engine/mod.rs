//! Executes statements: the catalog's one writer, the life of queries, pull, push and ad-hoc queries.
//!
//! [`Session`] is what the terminal and servers see.

pub mod session;

pub use session::{Outcome, QueryState, QueryStatus, RowEvent, RowStream, Session, TableResult};
