//! [`Session`]: one user's conversation with the engine, as the terminal sees it.

use std::time::Duration;

use crate::error::Result;
pub use crate::runtime::metrics::histogram::HistogramNumbers;
pub use crate::runtime::metrics::restoring::RestoreNumbers;
pub use crate::runtime::metrics::{QueryNumbers, StoreNumbers};
use crate::types::{SqlType, Value};

/// One user's conversation: its `SET` properties and `DEFINE` variables live here.
pub trait Session: Send {
    /// Splits a script into statements and runs one after the other; every outcome is handed over before the next
    /// statement starts. Stops at the first error (its span counts from the start of `script`).
    fn execute(&mut self, script: &str, each: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()>;

    /// Names for completion: sources, their columns, functions, topics, query ids.
    fn names(&self) -> Vec<String>;

    /// What every persistent query is doing.
    fn queries(&self) -> Vec<QueryStatus>;
}

/// What a statement brought.
pub enum Outcome {
    /// A sentence: `Stream ORDERS created`.
    Message(String),
    /// Rows at once: SHOW, DESCRIBE, pull and ad-hoc queries.
    Table(TableResult),
    /// Free text: EXPLAIN, DESCRIBE EXTENDED.
    Text(String),
    /// Rows as they come: a push query, or PRINT.
    Rows(Box<dyn RowStream>),
}

/// A finished result.
#[derive(Debug, Clone, PartialEq)]
pub struct TableResult {
    /// Column names and types.
    pub columns: Vec<(String, SqlType)>,
    /// Rows, one value a column.
    pub rows: Vec<Vec<Value>>,
}

/// What a row stream has next.
#[derive(Debug, Clone, PartialEq)]
pub enum RowEvent {
    /// A row.
    Row(Vec<Value>),
    /// The row with this key is gone (key columns set, the others NULL).
    Tombstone(Vec<Value>),
    /// Nothing within the time waited.
    Idle,
    /// No more rows will come, and why: `Limit Reached`.
    End(String),
}

/// A running push query. Dropping it ends the query.
pub trait RowStream: Send {
    /// Names and types of the columns.
    fn columns(&self) -> &[(String, SqlType)];
    /// The next row, waiting at most `timeout`.
    fn next(&mut self, timeout: Duration) -> Result<RowEvent>;
}

/// How a persistent query does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueryState {
    /// Reading its changelogs.
    Restoring,
    /// Working.
    Running,
    /// Held by PAUSE.
    Paused,
    /// Failed, with the reason; it is tried again.
    Error(String),
}

impl QueryState {
    /// It in one word.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Restoring => "RESTORING",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Error(_) => "ERROR",
        }
    }
}

/// What a persistent query is doing.
#[derive(Debug, Clone)]
pub struct QueryStatus {
    /// `CSAS_LARGE_ORDERS_3`
    pub id: String,
    /// The statement.
    pub sql: String,
    /// The source that it fills.
    pub sink: String,
    /// The topic that it fills.
    pub sink_topic: String,
    /// How it does.
    pub state: QueryState,
    /// Records read since the start.
    pub rows_in: u64,
    /// Records written since the start.
    pub rows_out: u64,
    /// Records dropped for being late.
    pub rows_late: u64,
    /// Records and expressions that failed.
    pub errors: u64,
    /// Records not yet read.
    pub lag: u64,
    /// Stream time, if any record came.
    pub stream_time: Option<i64>,
    /// Commits, restoring, state and failures since the start.
    pub numbers: QueryNumbers,
}
