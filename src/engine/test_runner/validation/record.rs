//! Records of a case to bytes and back: as JSON text, as raw text, or typed by the source that describes the topic.

use arrow::array::{Array, AsArray, Int64Array};
use arrow::datatypes::Int64Type;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::case::{CaseRecord, CaseWindow};
use super::json::Json;
use crate::catalog::Source;
use crate::change::{Header, Slots};
use crate::engine::offline::StoredRecord;
use crate::error::{Error, Result};
use crate::format::{self, Formats, Side, window_key};
use crate::time::WindowKind;
use crate::types::{Column, Decimal, FormatSpec, KeyWindow, Namespace, SqlType, Value};

/// How a side of a topic's records is written in a test.
enum Notation {
    /// The JSON as it stands.
    Json,
    /// The text as it stands.
    Text,
    /// No bytes at all.
    Void,
    /// By the schema that the registry has.
    Registered,
    /// By the columns' types.
    Typed,
}

fn notation(spec: &FormatSpec) -> Notation {
    match spec.name.as_str() {
        "JSON" => Notation::Json,
        "DELIMITED" => Notation::Text,
        "NONE" => Notation::Void,
        "AVRO" | "JSON_SR" | "PROTOBUF" => Notation::Registered,
        _ => Notation::Typed,
    }
}

/// A record as its topic holds it; a topic that no source describes holds JSON.
pub fn write(formats: &Formats, source: Option<&Source>, record: &CaseRecord) -> Result<StoredRecord> {
    let key = match &record.key {
        None => None,
        Some(key) => write_side(formats, source, Side::Key, key)?,
    };
    let key = match (key, record.window) {
        (Some(key), Some(window)) => Some(with_window(&key, window)),
        (key, _) => key,
    };
    let value = match &record.value {
        Json::Null => None,
        value => write_side(formats, source, Side::Value, value)?,
    };
    let header = |(key, value): &(String, Option<String>)| {
        let value = match value {
            None => None,
            Some(text) => Some(STANDARD.decode(text).map_err(|e| Error::data(format!("header {key}: {e}")))?),
        };
        Ok(Header { key: key.clone(), value })
    };
    let headers = record.headers.iter().map(header).collect::<Result<_>>()?;
    Ok(StoredRecord { key, value, timestamp: record.timestamp.unwrap_or(0), headers })
}

fn with_window(key: &[u8], window: CaseWindow) -> Vec<u8> {
    let mut keys = Slots::default();
    keys.push(Some(key));
    let kind = if window.session { WindowKind::Session } else { WindowKind::Tumbling };
    let mut out = Slots::default();
    let bound = |at: i64| Int64Array::from(vec![at]);
    window_key::append(keys.view(0..1), kind, &bound(window.start), &bound(window.end), &mut out);
    out.get(0).unwrap_or_default().to_vec()
}

fn columns_of(source: &Source, side: Side) -> Vec<Column> {
    let namespace = if side == Side::Key { Namespace::Key } else { Namespace::Value };
    source.schema.columns.iter().filter(|column| column.namespace == namespace).cloned().collect()
}

fn format_of(source: &Source, side: Side) -> &FormatSpec {
    if side == Side::Key { &source.key_format } else { &source.value_format }
}

fn write_side(formats: &Formats, source: Option<&Source>, side: Side, json: &Json) -> Result<Option<Vec<u8>>> {
    let Some(source) = source else { return Ok(Some(json.to_string().into_bytes())) };
    let spec = format_of(source, side);
    match notation(spec) {
        Notation::Json => Ok(Some(json.to_string().into_bytes())),
        Notation::Text => Ok(Some(json.plain().into_bytes())),
        Notation::Void => Ok(None),
        Notation::Registered => formats.message_from_json(spec, &source.topic, side, &json.to_string()).map(Some),
        Notation::Typed => {
            let columns = columns_of(source, side);
            let cells = match (columns.as_slice(), json) {
                ([column], json) if !is_wrapped(json, column) => vec![value_of(json, &column.ty)?],
                (columns, json) => columns
                    .iter()
                    .map(|column| {
                        field_of(json, &column.name).map_or(Ok(Value::Null), |cell| value_of(cell, &column.ty))
                    })
                    .collect::<Result<_>>()?,
            };
            let arrays: Vec<_> = columns.iter().zip(&cells).map(|(column, cell)| cell.repeat(&column.ty, 1)).collect();
            let mut out = Slots::default();
            let errors = format::encoder(spec, side, &columns)?.encode(&arrays, 1, None, &mut out)?;
            match errors.into_iter().next() {
                Some(error) => Err(Error::data(format!("{json} cannot be written: {}", error.reason))),
                None => Ok(out.get(0).map(<[u8]>::to_vec)),
            }
        }
    }
}

/// Whether a single column's cell stands in an object of its own.
fn is_wrapped(json: &Json, column: &Column) -> bool {
    match (&column.ty, json) {
        (SqlType::Struct(_) | SqlType::Map(..), Json::Object(fields)) => {
            fields.len() == 1 && fields[0].0.eq_ignore_ascii_case(&column.name)
        }
        (_, Json::Object(_)) => true,
        _ => false,
    }
}

/// The field of that name, whatever its case.
fn field_of<'a>(json: &'a Json, name: &str) -> Option<&'a Json> {
    let Json::Object(fields) = json else { return None };
    json.get(name).or_else(|| fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, cell)| cell))
}

/// A cell of a type.
pub fn value_of(json: &Json, ty: &SqlType) -> Result<Value> {
    let wrong = || Error::data(format!("{json} is no {ty}"));
    let whole = |json: &Json| json.plain().trim().parse::<i64>().map_err(|_| wrong());
    let narrow = |json: &Json| whole(json).and_then(|v| i32::try_from(v).map_err(|_| wrong()));
    Ok(match (ty, json) {
        (_, Json::Null) => Value::Null,
        (SqlType::Boolean, Json::Bool(b)) => Value::Boolean(*b),
        (SqlType::Boolean, json) => Value::Boolean(json.plain().eq_ignore_ascii_case("true")),
        (SqlType::Int, json) => Value::Int(narrow(json)?),
        (SqlType::BigInt, json) => Value::BigInt(whole(json)?),
        (SqlType::Double, json) => Value::Double(json.plain().parse().map_err(|_| wrong())?),
        (SqlType::Decimal(_, scale), json) => {
            let decimal = Decimal::parse(&json.plain()).ok_or_else(wrong)?;
            Value::Decimal(Decimal::new(decimal.rescaled(*scale).ok_or_else(wrong)?, *scale))
        }
        (SqlType::String, json) => Value::String(json.plain()),
        (SqlType::Bytes, json) => Value::Bytes(STANDARD.decode(json.plain()).map_err(|_| wrong())?),
        (SqlType::Time, json) => Value::Time(narrow(json)?),
        (SqlType::Date, json) => Value::Date(narrow(json)?),
        (SqlType::Timestamp, json) => Value::Timestamp(whole(json)?),
        (SqlType::Array(item), Json::Array(items)) => {
            Value::Array(items.iter().map(|json| value_of(json, item)).collect::<Result<_>>()?)
        }
        (SqlType::Map(key, value), Json::Object(fields)) => {
            let entry = |(k, v): &(String, Json)| Ok((value_of(&Json::String(k.clone()), key)?, value_of(v, value)?));
            Value::Map(fields.iter().map(entry).collect::<Result<_>>()?)
        }
        (SqlType::Struct(fields), json @ Json::Object(_)) => {
            let cell = |field: &crate::types::StructField| {
                field_of(json, &field.name).map_or(Ok(Value::Null), |cell| value_of(cell, &field.ty))
            };
            Value::Struct(fields.iter().map(cell).collect::<Result<_>>()?)
        }
        _ => return Err(wrong()),
    })
}

/// A record of a topic as a case would write it, its key without its window.
pub struct Seen {
    /// Its key.
    pub key: Json,
    /// The window of the key.
    pub window: Option<CaseWindow>,
    /// Its value.
    pub value: Json,
}

/// Reads a record back.
pub fn read(formats: &Formats, source: Option<&Source>, record: &StoredRecord) -> Result<Seen> {
    let window = source.and_then(|source| source.window);
    let (key, window) = match (&record.key, window) {
        (Some(key), Some(window)) => {
            let (key, window) = without_window(key, window)?;
            (Some(key), Some(window))
        }
        (key, _) => (key.clone(), None),
    };
    let side = |bytes: Option<&[u8]>, side: Side| match bytes {
        None => Ok(Json::Null),
        Some(bytes) => read_side(formats, source, side, bytes),
    };
    Ok(Seen { key: side(key.as_deref(), Side::Key)?, window, value: side(record.value.as_deref(), Side::Value)? })
}

fn without_window(key: &[u8], window: KeyWindow) -> Result<(Vec<u8>, CaseWindow)> {
    let mut keys = Slots::default();
    keys.push(Some(key));
    let split = window_key::split(keys.view(0..1), window)?;
    match (split.keys.get(0), split.errors.first()) {
        (Some(inner), None) => {
            let bound = |array: &Int64Array| (array as &dyn Array).as_primitive::<Int64Type>().value(0);
            let session = window.kind == WindowKind::Session;
            Ok((inner.to_vec(), CaseWindow { start: bound(&split.starts), end: bound(&split.ends), session }))
        }
        (_, error) => Err(Error::data(error.map_or_else(String::new, |e| e.reason.clone()))),
    }
}

fn read_side(formats: &Formats, source: Option<&Source>, side: Side, bytes: &[u8]) -> Result<Json> {
    let Some(source) = source else { return Json::parse(bytes) };
    let spec = format_of(source, side);
    match notation(spec) {
        Notation::Json => Json::parse(bytes),
        Notation::Registered => {
            let mut json = Json::parse(formats.message_to_json(bytes)?.as_bytes())?;
            // > KSQL: a test shows empty BYTES of a row as null.
            if let Json::Object(fields) = &mut json {
                for column in columns_of(source, side).iter().filter(|column| column.ty == SqlType::Bytes) {
                    for (_, cell) in fields.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(&column.name)) {
                        if cell.as_str() == Some("") {
                            *cell = Json::Null;
                        }
                    }
                }
            }
            Ok(json)
        }
        Notation::Text | Notation::Void => Ok(Json::String(String::from_utf8_lossy(bytes).into_owned())),
        Notation::Typed => {
            let columns = columns_of(source, side);
            let mut payloads = Slots::default();
            payloads.push(Some(bytes));
            let all = vec![true; columns.len()];
            let decoded = format::decoder(spec, side, &columns, &all)?.decode(payloads.view(0..1))?;
            if let Some(error) = decoded.errors.first() {
                return Err(Error::data(error.reason.clone()));
            }
            let cell = |i: usize| json_of(&Value::from_array(&decoded.columns[i], 0), &columns[i].ty);
            let bare = columns.len() == 1 && (side == Side::Key || !spec.wrapped || spec.name == "KAFKA");
            if bare {
                return Ok(cell(0));
            }
            Ok(Json::Object((0..columns.len()).map(|i| (columns[i].name.clone(), cell(i))).collect()))
        }
    }
}

/// A cell as JSON.
pub fn json_of(value: &Value, ty: &SqlType) -> Json {
    match (value, ty) {
        (Value::Null, _) => Json::Null,
        (Value::Boolean(b), _) => Json::Bool(*b),
        (Value::Int(v) | Value::Time(v) | Value::Date(v), _) => Json::Number(v.to_string()),
        (Value::BigInt(v) | Value::Timestamp(v), _) => Json::Number(v.to_string()),
        (Value::Double(v), _) => Json::Double(*v),
        (Value::Decimal(v), _) => Json::Number(v.to_string()),
        (Value::String(v), _) => Json::String(v.clone()),
        (Value::Bytes(v), _) => Json::String(STANDARD.encode(v)),
        (Value::Array(items), SqlType::Array(ty)) => Json::Array(items.iter().map(|item| json_of(item, ty)).collect()),
        (Value::Map(entries), SqlType::Map(key, value)) => {
            Json::Object(entries.iter().map(|(k, v)| (json_of(k, key).plain(), json_of(v, value))).collect())
        }
        (Value::Struct(cells), SqlType::Struct(fields)) => {
            Json::Object(cells.iter().zip(fields).map(|(cell, f)| (f.name.clone(), json_of(cell, &f.ty))).collect())
        }
        _ => Json::Null,
    }
}
