//! Whether what came out is what a case expects.
//!
//! > KSQL: whole numbers are equal when their digits are, others when they differ by less than 1e-6 (how many zeros a
//! > case writes at the end says nothing); a field is looked up by its name, then in upper case; an expected null may
//! > be missing.

use super::case::CaseRecord;
use super::json::Json;
use super::record::Seen;
use crate::engine::offline::StoredRecord;
use crate::types::Decimal;

/// Largest difference of doubles that counts as none.
const DOUBLE_TOLERANCE: f64 = 1e-6;

/// Whether a JSON value is the expected one.
pub fn same(expected: &Json, actual: &Json) -> bool {
    match (expected, actual) {
        (Json::Null, Json::Null) => true,
        (Json::Bool(a), Json::Bool(b)) => a == b,
        (Json::String(a), Json::String(b)) => a == b,
        (Json::Number(a) | Json::String(a), Json::Double(b)) => near(a, *b),
        (Json::Number(a), Json::Number(b)) => same_number(a, b),
        // Exact decimals may be written as text, zeros in front included.
        (Json::String(a), Json::Number(b)) => a == b || same_decimal(a, b),
        (Json::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Json::Object(wanted), Json::Object(fields)) => {
            wanted.len() == fields.len()
                && wanted.iter().all(|(name, value)| {
                    match actual.get(name).or_else(|| actual.get(&name.to_uppercase())) {
                        Some(field) => same(value, field),
                        None => *value == Json::Null,
                    }
                })
        }
        _ => false,
    }
}

fn same_decimal(expected: &str, actual: &str) -> bool {
    match (Decimal::parse(expected), Decimal::parse(actual)) {
        (Some(expected), Some(actual)) => expected.cmp(&actual).is_eq(),
        _ => false,
    }
}

fn near(expected: &str, actual: f64) -> bool {
    match expected.parse::<f64>() {
        Ok(expected) => {
            expected == actual || (expected - actual).abs() < DOUBLE_TOLERANCE || expected.is_nan() && actual.is_nan()
        }
        Err(_) => false,
    }
}

fn same_number(expected: &str, actual: &str) -> bool {
    match (expected.parse::<i128>(), actual.parse::<i128>()) {
        (Ok(expected), Ok(actual)) => expected == actual,
        _ => expected == actual || actual.parse::<f64>().is_ok_and(|actual| near(expected, actual)),
    }
}

/// What differs between a record and the expected one; empty when nothing does.
pub fn differences(expected: &CaseRecord, record: &StoredRecord, seen: &Seen, check_zero: bool) -> Vec<&'static str> {
    let mut differences = Vec::new();
    let key = expected.key.as_ref().unwrap_or(&Json::Null);
    if !same(key, &seen.key) && !same_text(key, &seen.key) {
        differences.push("key");
    }
    if !same(&expected.value, &seen.value) && !same_text(&expected.value, &seen.value) {
        differences.push("value");
    }
    if expected.window.is_some() && expected.window != seen.window {
        differences.push("window");
    }
    if expected.timestamp.is_some_and(|time| time != record.timestamp && (time != 0 || check_zero)) {
        differences.push("timestamp");
    }
    let headers = record.headers.iter().map(|header| (&header.key, header.value.as_deref().map(to_base64)));
    if !headers.eq(expected.headers.iter().map(|(key, value)| (key, value.clone()))) {
        differences.push("headers");
    }
    differences
}

/// Raw text against a scalar that stands without quotes in the case.
fn same_text(expected: &Json, actual: &Json) -> bool {
    match (expected, actual) {
        (Json::Number(_) | Json::Bool(_), Json::String(text)) => expected.plain() == *text,
        _ => false,
    }
}

fn to_base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

/// A record for people.
pub fn show(key: &Json, value: &Json, window: Option<super::case::CaseWindow>, timestamp: Option<i64>) -> String {
    let mut text = format!("{key} -> {value}");
    if let Some(window) = window {
        let kind = if window.session { "session" } else { "window" };
        text.push_str(&format!(" {kind} {}..{}", window.start, window.end));
    }
    if let Some(timestamp) = timestamp {
        text.push_str(&format!(" at {timestamp}"));
    }
    text
}
