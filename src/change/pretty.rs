//! The text form of change batches: for tests, EXPLAIN ANALYZE and error messages.

use std::fmt::Write as _;

use super::{ChangeBatch, Op};
use crate::types::Value;

impl ChangeBatch {
    /// One line a row: `+ | 5 | 'u1', 3` (op, event time, columns); ops are `+`, `-`, `U-`, `U+`, and blank in a stream.
    pub fn to_pretty(&self) -> String {
        let mut text = String::new();
        for i in 0..self.len() {
            let op = match self.ops.as_ref().map(|ops| ops[i]) {
                None => " ",
                Some(Op::Insert) => "+",
                Some(Op::Delete) => "-",
                Some(Op::UpdateBefore) => "U-",
                Some(Op::UpdateAfter) => "U+",
            };
            let cells: Vec<String> =
                self.data.columns().iter().map(|column| pretty_value(&Value::from_array(column, i))).collect();
            let null = if self.is_null_value(i) { " (null value)" } else { "" };
            let _ = writeln!(text, "{op:2}| {} | {}{null}", self.rowtime[i], cells.join(", "));
        }
        text
    }
}

/// A value as it would be written in SQL, roughly.
pub fn pretty_value(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(pretty_value).collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(v) => v.to_string(),
        Value::Int(v) | Value::Time(v) | Value::Date(v) => v.to_string(),
        Value::BigInt(v) | Value::Timestamp(v) => v.to_string(),
        Value::Double(v) => format!("{v:?}"),
        Value::Decimal(v) => v.to_string(),
        Value::String(v) => format!("'{v}'"),
        Value::Bytes(v) => format!("0x{}", hex::encode(v)),
        Value::Array(values) => format!("[{}]", list(values)),
        Value::Struct(values) => format!("{{{}}}", list(values)),
        Value::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(k, v)| format!("{}: {}", pretty_value(k), pretty_value(v))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}
