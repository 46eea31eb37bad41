//! Executes statements: the catalog's one writer, the life of queries, pull, push and ad-hoc queries, SQL tests.
//!
//! [`Session`] is what the terminal and servers see; [`Engine`] stands behind it.

pub mod adhoc;
pub mod asserts;
pub mod backend;
pub mod board;
pub mod catch_up;
pub mod command_log;
pub mod config;
pub mod core;
pub mod deploy;
pub mod interpreter;
pub mod live;
pub mod local_session;
pub mod offline;
pub mod print;
pub mod pull;
pub mod push;
pub mod session;
pub mod show;
pub mod snapshot;
pub mod test_runner;

pub use catch_up::CatchUp;
pub use config::EngineConfig;
pub use core::Engine;
pub use deploy::Deployment;
pub use session::{
    HistogramNumbers, Outcome, QueryNumbers, QueryState, QueryStatus, RestoreNumbers, RowEvent, RowStream, Session,
    StoreNumbers, TableResult,
};
