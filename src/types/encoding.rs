//! How a topic's records are written: plain data that the catalog stores, the planner copies and the formats read.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::time::WindowKind;

/// A format and its settings, for one side (key or value) of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatSpec {
    /// `JSON`, `DELIMITED`, `KAFKA`, `NONE`, … in upper case.
    pub name: String,
    /// Settings of the format: `DELIMITER`, `SCHEMA_FULL_NAME`, …
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub properties: BTreeMap<String, String>,
    /// Whether a single column is wrapped in an object (`{"F": 1}` rather than `1`).
    pub wrapped: bool,
}

impl FormatSpec {
    /// A format without settings.
    pub fn new(name: &str, wrapped: bool) -> Self {
        Self { name: name.to_owned(), properties: BTreeMap::new(), wrapped }
    }
}

/// Where a source's event time comes from, when not the record's own timestamp.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimestampSpec {
    /// A column of type BIGINT or TIMESTAMP, or VARCHAR with a format.
    pub column: String,
    /// A Java date pattern for VARCHAR columns.
    pub format: Option<String>,
}

/// The window in a windowed source's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyWindow {
    /// Its kind.
    pub kind: WindowKind,
    /// Its size; sessions carry their own end.
    pub size_ms: Option<i64>,
}

/// Append-only records, or the newest row per key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SourceKind {
    /// Append-only.
    Stream,
    /// Newest row per key.
    Table,
}

impl fmt::Display for SourceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stream => "STREAM",
            Self::Table => "TABLE",
        })
    }
}
