//! The processing log: records that could not be used, as a topic that can be queried like any other.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::types::{Column, LogicalSchema, SqlType};

/// Name of the stream over the log.
pub const STREAM: &str = "PROCESSING_LOG";

/// One problem.
#[derive(Debug, Clone)]
pub struct Entry {
    /// `deserialization`, `expression` or `production`.
    pub kind: &'static str,
    /// Topic of the record.
    pub topic: String,
    /// Partition of the record.
    pub partition: i32,
    /// Offset of the record.
    pub offset: i64,
    /// The column, expression or format concerned.
    pub place: String,
    /// Why.
    pub reason: String,
    /// The record's key as it was read.
    pub key: Option<Vec<u8>>,
    /// The record's value as it was read.
    pub value: Option<Vec<u8>>,
}

impl Entry {
    /// The log record's value: JSON; bytes in base64.
    pub fn to_json(&self, query: &str, time_ms: i64) -> Vec<u8> {
        let bytes = |bytes: &Option<Vec<u8>>| bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        let value = json!({
            "TIME": time_ms,
            "QUERY": query,
            "KIND": self.kind,
            "TOPIC": self.topic,
            "TOPIC_PARTITION": self.partition,
            "TOPIC_OFFSET": self.offset,
            "PLACE": self.place,
            "REASON": self.reason,
            "RECORD_KEY": bytes(&self.key),
            "RECORD_VALUE": bytes(&self.value),
        });
        value.to_string().into_bytes()
    }
}

/// Columns of the stream over the log.
pub fn schema() -> LogicalSchema {
    let columns = [
        ("TIME", SqlType::BigInt),
        ("QUERY", SqlType::String),
        ("KIND", SqlType::String),
        ("TOPIC", SqlType::String),
        ("TOPIC_PARTITION", SqlType::Int),
        ("TOPIC_OFFSET", SqlType::BigInt),
        ("PLACE", SqlType::String),
        ("REASON", SqlType::String),
        ("RECORD_KEY", SqlType::Bytes),
        ("RECORD_VALUE", SqlType::Bytes),
    ];
    LogicalSchema::new(columns.map(|(name, ty)| Column::value(name, ty)).to_vec(), false)
}

/// Topic of the log of a service.
pub fn topic(service_id: &str) -> String {
    format!("eddyline-{service_id}-processing-log")
}
