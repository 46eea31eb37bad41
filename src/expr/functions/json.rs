//! JSON in text.
//!
//! > KSQL: numbers keep the digits they are written with; what stands behind the first complete value is ignored; text
//! > that is no JSON is an error, and so NULL, but empty text is merely NULL.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, StringBuilder};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use indexmap::IndexMap;
use serde_json::value::RawValue;

use super::cell::{Cache, Cell, View, string};
use super::declare::{ColumnFn, Function};
use super::json_path::{JsonPath, compact, fields, first_value, plain_text};
use crate::error::RecordError;
use crate::expr::text::{date_text, time_text, timestamp_text};
use crate::types::{SqlType, Value, java_text};

const JSON: &str = "JSON";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::scalar(
            "EXTRACTJSONFIELD",
            JSON,
            "What stands at a path such as `$.items[0].name`: text without its quotes, anything else as JSON. NULL if an \
             argument is and if nothing stands there; malformed JSON and paths are errors.",
        )
        .example("EXTRACTJSONFIELD('{\"a\":{\"b\":1}}', '$.a.b') -> '1'")
        .columns("(json STRING, path STRING) -> STRING", |_| extract()),
        Function::scalar("IS_JSON_STRING", JSON, "Whether the text is JSON. FALSE for NULL.")
            .example("IS_JSON_STRING('[1, 2]') -> TRUE")
            .rows("(json STRING) -> BOOLEAN", |a| {
                Ok(Value::Boolean(serde_json::from_str::<serde::de::IgnoredAny>(a[0].text()).is_ok()))
            }),
        Function::scalar("JSON_ARRAY_LENGTH", JSON, "How many items the array has. NULL for NULL and what is no array; malformed JSON is an error.")
            .example("JSON_ARRAY_LENGTH('[1, 2]') -> 2")
            .strict("(json STRING) -> INT", |a| {
                let Some(Node::Array(items)) = node(a[0].text())? else { return Ok(Value::Null) };
                Ok(Value::Int(items.len() as i32))
            }),
        Function::scalar(
            "JSON_ARRAY_CONTAINS",
            JSON,
            "Whether the array has an item equal to the value: NULL to null, text to text, numbers to numbers of their kind. \
             FALSE for NULL and what is no array; malformed JSON is an error.",
        )
        .example("JSON_ARRAY_CONTAINS('[1, 2]', 2) -> TRUE")
        .rows("(json STRING, value T) -> BOOLEAN", |a| {
            let found = match node(a[0].text())? {
                Some(Node::Array(items)) => items.iter().any(|item| equals(item, &a[1])),
                _ => false,
            };
            Ok(Value::Boolean(found))
        }),
        Function::scalar("JSON_KEYS", JSON, "The keys of the object. NULL for NULL and what is no object; malformed JSON is an error.")
            .example("JSON_KEYS('{\"a\": 1}') -> ['a']")
            .strict("(json STRING) -> ARRAY<STRING>", |a| {
                let Some(Node::Object(fields)) = node(a[0].text())? else { return Ok(Value::Null) };
                Ok(Value::Array(fields.into_keys().map(Value::String).collect()))
            }),
        Function::scalar(
            "JSON_RECORDS",
            JSON,
            "The fields of the object as a map: text without its quotes, anything else as JSON. NULL for NULL and what is no \
             object; malformed JSON is an error.",
        )
        .example("JSON_RECORDS('{\"a\": [1, 2]}') -> {a='[1,2]'}")
        .strict("(json STRING) -> MAP<STRING, STRING>", |a| {
            let Some(Node::Object(fields)) = node(a[0].text())? else { return Ok(Value::Null) };
            let entries = fields.into_iter().map(|(key, raw)| Ok((Value::String(key), Value::String(plain_text(raw.get())?))));
            Ok(Value::Map(entries.collect::<Result<_, String>>()?))
        }),
        Function::scalar("JSON_ITEMS", JSON, "The items of the array, each as JSON. NULL for NULL and what is no array; malformed JSON is an error.")
            .example("JSON_ITEMS('[{\"a\": 1}, 2]') -> ['{\"a\":1}', '2']")
            .strict("(json STRING) -> ARRAY<STRING>", |a| {
                let Some(Node::Array(items)) = node(a[0].text())? else { return Ok(Value::Null) };
                Ok(Value::Array(items.into_iter().map(|item| Value::String(compact(item.get()))).collect()))
            }),
        Function::scalar(
            "JSON_CONCAT",
            JSON,
            "Objects merged into one, the last winning for equal keys; anything else joined into one array. NULL if an argument \
             is NULL or empty; malformed JSON is an error.",
        )
        .example("JSON_CONCAT('[1]', '2') -> '[1,2]'")
        .strict("(first STRING, others STRING...) -> STRING", concat),
        Function::scalar("TO_JSON_STRING", JSON, "The value as JSON; dates, times and timestamps as ISO text, bytes in base64. 'null' for NULL.")
            .example("TO_JSON_STRING(ARRAY[1, 2]) -> '[1,2]'")
            .rows_with("(value T) -> STRING", |call| {
                let ty = call.params[0].clone();
                Box::new(move |a| {
                    let mut out = String::new();
                    write_json(&mut out, &a[0], &ty);
                    string(out)
                })
            }),
    ]
}

/// A value taken apart one level deep.
enum Node<'a> {
    Object(IndexMap<String, &'a RawValue>),
    Array(Vec<&'a RawValue>),
    Scalar(&'a RawValue),
}

fn node(text: &str) -> Result<Option<Node<'_>>, String> {
    let Some(raw) = first_value(text)? else { return Ok(None) };
    let malformed = |e: serde_json::Error| format!("malformed JSON: {e}");
    Ok(Some(match raw.get().as_bytes().first() {
        Some(b'{') => Node::Object(fields(raw.get()).map_err(malformed)?),
        Some(b'[') => Node::Array(serde_json::from_str(raw.get()).map_err(malformed)?),
        _ => Node::Scalar(raw),
    }))
}

fn extract() -> ColumnFn {
    let paths: Cache<JsonPath> = Cache::new(JsonPath::parse);
    Box::new(move |args, rows, errors| {
        let (texts, wanted) = (args[0].as_string::<i32>(), args[1].as_string::<i32>());
        let mut builder = StringBuilder::with_capacity(rows, rows * 16);
        for row in 0..rows {
            if texts.is_null(row) || wanted.is_null(row) {
                builder.append_null();
                continue;
            }
            match paths.get(wanted.value(row)).and_then(|path| path.extract(texts.value(row))) {
                Ok(found) => builder.append_option(found),
                Err(reason) => {
                    builder.append_null();
                    errors.push(RecordError { row, place: "EXTRACTJSONFIELD".to_owned(), reason });
                }
            }
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    })
}

/// Whether a JSON item is the value.
fn equals(item: &RawValue, value: &Value) -> bool {
    let json = item.get();
    let integer = |v: i64| json.parse() == Ok(v);
    let fractional = json.contains(['.', 'e', 'E']);
    match value {
        Value::Null => json == "null",
        Value::Boolean(v) => json == if *v { "true" } else { "false" },
        Value::Int(_) | Value::BigInt(_) => integer(value.int()),
        Value::Double(v) => fractional && json.parse() == Ok(*v),
        Value::Decimal(v) => fractional && json.parse() == Ok(v.to_f64()),
        Value::String(text) => serde_json::from_str::<String>(json).is_ok_and(|item| item == *text),
        _ => false,
    }
}

fn concat(args: &[Value]) -> Cell {
    let mut nodes = Vec::with_capacity(args.len());
    for arg in args {
        match node(arg.text())? {
            Some(node) => nodes.push(node),
            None => return Ok(Value::Null),
        }
    }
    let mut out = String::new();
    if nodes.iter().all(|node| matches!(node, Node::Object(_))) {
        let mut merged: IndexMap<&str, &RawValue> = IndexMap::new();
        for node in &nodes {
            if let Node::Object(fields) = node {
                merged.extend(fields.iter().map(|(key, raw)| (key.as_str(), *raw)));
            }
        }
        list(&mut out, ['{', '}'], merged, |out, (key, raw)| {
            quote(out, key);
            out.push(':');
            out.push_str(&compact(raw.get()));
        });
        return string(out);
    }
    let mut items = Vec::new();
    for (node, arg) in nodes.into_iter().zip(args) {
        match node {
            Node::Array(parts) => items.extend(parts.into_iter().map(|part| compact(part.get()))),
            Node::Scalar(raw) => items.push(compact(raw.get())),
            Node::Object(_) => items.extend(first_value(arg.text())?.map(|raw| compact(raw.get()))),
        }
    }
    list(&mut out, ['[', ']'], items, |out, item| out.push_str(&item));
    string(out)
}

fn list<T>(
    out: &mut String,
    [open, close]: [char; 2],
    items: impl IntoIterator<Item = T>,
    mut each: impl FnMut(&mut String, T),
) {
    out.push(open);
    for (i, item) in items.into_iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        each(out, item);
    }
    out.push(close);
}

fn quote(out: &mut String, text: &str) {
    // Writing a string cannot fail; were it to, an empty one keeps the JSON well-formed.
    out.push_str(&serde_json::to_string(text).unwrap_or_else(|_| "\"\"".to_owned()));
}

fn write_json(out: &mut String, value: &Value, ty: &SqlType) {
    match (value, ty) {
        (Value::Array(items), SqlType::Array(item)) => list(out, ['[', ']'], items, |out, v| write_json(out, v, item)),
        (Value::Map(entries), SqlType::Map(_, of)) => list(out, ['{', '}'], entries, |out, (key, v)| {
            match key {
                Value::String(key) => quote(out, key),
                other => quote(out, &other.int().to_string()),
            }
            out.push(':');
            write_json(out, v, of);
        }),
        (Value::Struct(values), SqlType::Struct(fields)) => {
            list(out, ['{', '}'], values.iter().zip(fields), |out, (v, field)| {
                quote(out, &field.name);
                out.push(':');
                write_json(out, v, &field.ty);
            });
        }
        (Value::Boolean(v), _) => out.push_str(if *v { "true" } else { "false" }),
        (Value::Int(_) | Value::BigInt(_), _) => out.push_str(&value.int().to_string()),
        (Value::Double(v), _) if v.is_finite() => out.push_str(&java_text::double_to_string(*v)),
        (Value::Double(v), _) => quote(out, &java_text::double_to_string(*v)),
        (Value::Decimal(v), _) => out.push_str(&v.to_string()),
        (Value::String(v), _) => quote(out, v),
        (Value::Bytes(v), _) => quote(out, &STANDARD.encode(v)),
        (Value::Time(v), _) => quote(out, &time_text(*v)),
        (Value::Date(v), _) => quote(out, &date_text(*v)),
        (Value::Timestamp(v), _) => quote(out, &timestamp_text(*v)),
        _ => out.push_str("null"),
    }
}
