//! The schema that columns get, as Kafka Connect writes one.
//!
//! > KSQL: every field may be null, maps are arrays of key and value records, nested records are named after the path to
//! > them, and the names of Connect's own types are kept along.

use serde_json::{Map, Value as Json, json};

use crate::format::datum::legal;
use crate::types::{Column, SqlType};

/// Name of the record when the statement gives none.
pub(super) const RECORD_NAME: &str = "io.confluent.ksql.avro_schemas.KsqlDataSourceSchema";

/// The schema of a record of these columns.
pub(super) fn record(columns: &[Column], full_name: Option<&str>) -> Json {
    let fields = columns.iter().map(|column| (column.name.as_str(), &column.ty));
    record_of(fields, full_name.unwrap_or(RECORD_NAME))
}

/// The schema of a column that stands alone.
pub(super) fn bare(ty: &SqlType, full_name: Option<&str>) -> Json {
    schema(ty, full_name.unwrap_or(RECORD_NAME))
}

fn record_of<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>, full_name: &str) -> Json {
    let (namespace, name) = full_name.rsplit_once('.').unwrap_or(("", full_name));
    let mut object = Map::new();
    object.insert("type".into(), "record".into());
    object.insert("name".into(), name.into());
    if !namespace.is_empty() {
        object.insert("namespace".into(), namespace.into());
    }
    let fields: Vec<Json> = fields
        .map(|(name, ty)| {
            let name = legal(name);
            let ty = schema(ty, &format!("{full_name}_{name}"));
            json!({"name": name, "type": ["null", ty], "default": null})
        })
        .collect();
    object.insert("fields".into(), fields.into());
    object.insert("connect.name".into(), full_name.into());
    Json::Object(object)
}

fn schema(ty: &SqlType, path: &str) -> Json {
    let connect = |name: &str| format!("org.apache.kafka.connect.data.{name}");
    match ty {
        SqlType::Boolean => "boolean".into(),
        SqlType::Int => "int".into(),
        SqlType::BigInt => "long".into(),
        SqlType::Double => "double".into(),
        SqlType::String => "string".into(),
        SqlType::Bytes => "bytes".into(),
        SqlType::Decimal(precision, scale) => json!({
            "type": "bytes",
            "scale": scale,
            "precision": precision,
            "connect.version": 1,
            "connect.parameters": {"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()},
            "connect.name": connect("Decimal"),
            "logicalType": "decimal",
        }),
        SqlType::Time => {
            json!({"type": "int", "connect.version": 1, "connect.name": connect("Time"), "logicalType": "time-millis"})
        }
        SqlType::Date => {
            json!({"type": "int", "connect.version": 1, "connect.name": connect("Date"), "logicalType": "date"})
        }
        SqlType::Timestamp => json!({
            "type": "long",
            "connect.version": 1,
            "connect.name": connect("Timestamp"),
            "logicalType": "timestamp-millis",
        }),
        SqlType::Array(item) => json!({"type": "array", "items": ["null", schema(item, path)]}),
        SqlType::Map(key, value) => {
            let (namespace, name) = path.rsplit_once('.').unwrap_or(("", path));
            let mut entry = json!({
                "type": "record",
                "name": name,
                "fields": [
                    {"name": "key", "type": ["null", schema(key, &format!("{path}_MapKey"))], "default": null},
                    {"name": "value", "type": ["null", schema(value, &format!("{path}_MapValue"))], "default": null},
                ],
                "connect.internal.type": "MapEntry",
            });
            if let (false, Some(entry)) = (namespace.is_empty(), entry.as_object_mut()) {
                entry.insert("namespace".into(), namespace.into());
            }
            json!({"type": "array", "items": entry, "connect.internal.type": "MapEntry"})
        }
        SqlType::Struct(fields) => record_of(fields.iter().map(|field| (field.name.as_str(), &field.ty)), path),
    }
}
