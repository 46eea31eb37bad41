//! Single values as text and as JSON.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use chrono::{DateTime, NaiveDate, NaiveTime};

use crate::types::{SqlType, Value};

/// The value as people read it: NULL, plain decimals, ISO dates, base64 bytes.
pub fn text(value: &Value, ty: &SqlType) -> String {
    match (value, ty) {
        (Value::Null, _) => "NULL".to_owned(),
        (Value::Boolean(v), _) => v.to_string(),
        (Value::Int(v), _) => v.to_string(),
        (Value::BigInt(v), _) => v.to_string(),
        (Value::Double(v), _) => double(*v),
        (Value::Decimal(v), _) => v.to_string(),
        (Value::String(v), _) => v.clone(),
        (Value::Bytes(v), _) => BASE64.encode(v),
        (Value::Time(v), _) => time(*v),
        (Value::Date(v), _) => date(*v),
        (Value::Timestamp(v), _) => timestamp(*v),
        (Value::Array(items), ty) => {
            let item_type = if let SqlType::Array(item) = ty { item } else { ty };
            format!("[{}]", join(items.iter().map(|item| text(item, item_type))))
        }
        (Value::Map(entries), SqlType::Map(key_type, value_type)) => {
            format!(
                "{{{}}}",
                join(entries.iter().map(|(k, v)| format!("{}={}", text(k, key_type), text(v, value_type))))
            )
        }
        (Value::Struct(values), SqlType::Struct(fields)) => {
            let pairs = fields.iter().zip(values).map(|(field, v)| format!("{}={}", field.name, text(v, &field.ty)));
            format!("{{{}}}", join(pairs))
        }
        // A value that does not follow its type: shown, not hidden.
        (other, _) => format!("{other:?}"),
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

/// Appends the value as JSON; decimals keep their digits, infinities and NaN become texts.
pub fn json(value: &Value, ty: &SqlType, out: &mut String) {
    match (value, ty) {
        (Value::Null, _) => out.push_str("null"),
        (Value::Boolean(_) | Value::Int(_) | Value::BigInt(_) | Value::Decimal(_), _) => out.push_str(&text(value, ty)),
        (Value::Double(v), _) if v.is_finite() => out.push_str(&double(*v)),
        (Value::Array(items), ty) => {
            let item_type = if let SqlType::Array(item) = ty { item } else { ty };
            out.push('[');
            for (i, item) in items.iter().enumerate() {
                if i > 0 {
                    out.push(',');
                }
                json(item, item_type, out);
            }
            out.push(']');
        }
        (Value::Map(entries), SqlType::Map(key_type, value_type)) => {
            object(out, entries.iter().map(|(k, v)| (text(k, key_type), v, value_type.as_ref())));
        }
        (Value::Struct(values), SqlType::Struct(fields)) => {
            object(out, fields.iter().zip(values).map(|(field, v)| (field.name.clone(), v, &field.ty)));
        }
        _ => json_string(&text(value, ty), out),
    }
}

fn object<'a>(out: &mut String, entries: impl Iterator<Item = (String, &'a Value, &'a SqlType)>) {
    out.push('{');
    for (i, (key, value, ty)) in entries.enumerate() {
        if i > 0 {
            out.push(',');
        }
        json_string(&key, out);
        out.push(':');
        json(value, ty, out);
    }
    out.push('}');
}

/// Appends a quoted and escaped JSON string.
pub fn json_string(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn double(v: f64) -> String {
    ryu::Buffer::new().format(v).to_owned()
}

fn timestamp(ms: i64) -> String {
    let at = DateTime::from_timestamp_millis(ms);
    at.map_or_else(|| ms.to_string(), |at| at.format("%Y-%m-%dT%H:%M:%S%.3f").to_string())
}

fn date(days: i32) -> String {
    let date = NaiveDate::default().checked_add_signed(chrono::TimeDelta::days(i64::from(days)));
    date.map_or_else(|| days.to_string(), |date| date.format("%Y-%m-%d").to_string())
}

fn time(ms: i32) -> String {
    let at = u32::try_from(ms)
        .ok()
        .and_then(|ms| NaiveTime::from_num_seconds_from_midnight_opt(ms / 1000, ms % 1000 * 1_000_000));
    at.map_or_else(|| ms.to_string(), |at| at.format("%H:%M:%S%.f").to_string())
}
