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

/// Columns of the stream over the log, with what they hold.
pub const COLUMNS: &[(&str, SqlType, &str)] = &[
    ("TIME", SqlType::BigInt, "when it was noticed, epoch milliseconds"),
    ("QUERY", SqlType::String, "id of the query"),
    ("KIND", SqlType::String, "`deserialization`, `expression` or `production`"),
    ("TOPIC", SqlType::String, "topic of the record; empty when no single record is the cause"),
    ("TOPIC_PARTITION", SqlType::Int, "partition of the record, or -1"),
    ("TOPIC_OFFSET", SqlType::BigInt, "offset of the record, or -1"),
    ("PLACE", SqlType::String, "`key`, `value` or `timestamp` of the record, or the column or expression"),
    ("REASON", SqlType::String, "why"),
    ("RECORD_KEY", SqlType::Bytes, "key of the record, as it was read"),
    ("RECORD_VALUE", SqlType::Bytes, "value of the record, as it was read"),
];

/// Schema of the stream over the log.
pub fn schema() -> LogicalSchema {
    LogicalSchema::new(COLUMNS.iter().map(|(name, ty, _)| Column::value(*name, ty.clone())).collect(), false)
}

/// Topic of the log of a service.
pub fn topic(service_id: &str) -> String {
    format!("eddyline-{service_id}-processing-log")
}
