//! Eddyline: a SQL-driven stream query engine for Kafka.
//!
//! The modules, low to high; a module imports only from those above it (`tests/it/tidy.rs` enforces the table):
//!
//! - [`error`], [`time`]: what can go wrong and what time it is;
//! - [`types`], [`sql`]: SQL types and schemas; text to [`sql::ast::Statement`] and back;
//! - [`change`]: [`change::ChangeBatch`], what flows between operators;
//! - [`catalog`], [`format`], [`state`], [`broker`]: names, bytes, stores and logs;
//! - [`expr`]: typed expressions and the function library;
//! - [`operator`], [`plan`]: what runs, and the plain data that says what shall run;
//! - [`runtime`]: tasks and workers, the commit protocol;
//! - [`engine`]: executes statements;
//! - [`observe`]: metrics and health over HTTP;
//! - [`cli`]: the terminal.

pub mod broker;
pub mod catalog;
pub mod change;
pub mod cli;
pub mod engine;
pub mod error;
pub mod expr;
pub mod format;
pub mod observe;
pub mod operator;
pub mod plan;
pub mod runtime;
pub mod sql;
pub mod state;
pub mod time;
pub mod types;
