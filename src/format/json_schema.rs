//! `JSON_SR`: JSON with a schema in the registry. Bytes are the JSON format's, behind a header; here is the schema.

use serde_json::{Map, Value as Json, json};

use super::schema::Schema;
use crate::types::{Column, SqlType, StructField};

/// Schemas nested deeper than this are refused.
const DEPTH_MAX: usize = 64;
/// Precision of a decimal that does not say its own.
const DECIMAL_PRECISION: u8 = 64;

/// The text of the schema that columns get.
pub(super) fn generate(columns: &[Column], bare: bool) -> String {
    match columns {
        [only] if bare => nullable(schema(&only.ty)),
        columns => object(columns.iter().map(|column| (column.name.as_str(), &column.ty))),
    }
    .to_string()
}

fn nullable(schema: Json) -> Json {
    json!({"oneOf": [{"type": "null"}, schema]})
}

fn object<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>) -> Json {
    let properties: Map<String, Json> = fields
        .enumerate()
        .map(|(i, (name, ty))| (name.to_owned(), json!({"connect.index": i, "oneOf": [{"type": "null"}, schema(ty)]})))
        .collect();
    json!({"type": "object", "properties": properties})
}

/// > KSQL: kinds that JSON has not are told by the names of Kafka Connect's types.
fn schema(ty: &SqlType) -> Json {
    let logical = |name: &str, base: &str, width: &str| {
        let title = format!("org.apache.kafka.connect.data.{name}");
        json!({"type": base, "title": title, "connect.version": 1, "connect.type": width})
    };
    match ty {
        SqlType::Boolean => json!({"type": "boolean"}),
        SqlType::Int => json!({"type": "integer", "connect.type": "int32"}),
        SqlType::BigInt => json!({"type": "integer", "connect.type": "int64"}),
        SqlType::Double => json!({"type": "number", "connect.type": "float64"}),
        SqlType::String => json!({"type": "string"}),
        SqlType::Bytes => json!({"type": "string", "connect.type": "bytes"}),
        SqlType::Decimal(precision, scale) => {
            let mut decimal = logical("Decimal", "number", "bytes");
            if let Some(object) = decimal.as_object_mut() {
                let parameters =
                    json!({"scale": scale.to_string(), "connect.decimal.precision": precision.to_string()});
                object.insert("connect.parameters".into(), parameters);
            }
            decimal
        }
        SqlType::Time => logical("Time", "integer", "int32"),
        SqlType::Date => logical("Date", "integer", "int32"),
        SqlType::Timestamp => logical("Timestamp", "integer", "int64"),
        SqlType::Array(item) => json!({"type": "array", "items": nullable(schema(item))}),
        SqlType::Map(_, value) => {
            json!({"type": "object", "connect.type": "map", "additionalProperties": nullable(schema(value))})
        }
        SqlType::Struct(fields) => object(fields.iter().map(|field| (field.name.as_str(), &field.ty))),
    }
}

/// The SQL type of what a schema describes.
pub(super) fn sql_type(schema: &Schema) -> Result<SqlType, String> {
    let root: Json = serde_json::from_str(&schema.text).map_err(|error| format!("not valid JSON: {error}"))?;
    let references = schema.references.iter().map(|reference| {
        let json = serde_json::from_str(&reference.text).map_err(|error| format!("not valid JSON: {error}"))?;
        Ok((reference.name.clone(), json))
    });
    let reader = Reader { root: &root, references: references.collect::<Result<_, String>>()? };
    reader.sql_type(&root, 0)
}

struct Reader<'a> {
    root: &'a Json,
    references: Vec<(String, Json)>,
}

impl Reader<'_> {
    fn sql_type(&self, schema: &Json, depth: usize) -> Result<SqlType, String> {
        if depth > DEPTH_MAX {
            return Err("the schema contains itself".to_owned());
        }
        let text = |key: &str| schema.get(key).and_then(Json::as_str);
        if let Some(reference) = text("$ref") {
            let target = match reference.strip_prefix('#') {
                Some(pointer) => self.root.pointer(pointer),
                None => self.references.iter().find(|(name, _)| name == reference).map(|(_, json)| json),
            };
            return self.sql_type(target.ok_or_else(|| format!("{reference} is not in the schema"))?, depth + 1);
        }
        for key in ["oneOf", "anyOf", "allOf"] {
            if let Some(branches) = schema.get(key).and_then(Json::as_array) {
                let mut some = branches.iter().filter(|branch| branch.get("type") != Some(&"null".into()));
                return match (some.next(), some.next()) {
                    (Some(only), None) => self.sql_type(only, depth + 1),
                    (None, _) => Err("a schema of nothing but null has no type".to_owned()),
                    _ => Err(format!("`{key}` of several types has no SQL type")),
                };
            }
        }
        let ty = match schema.get("type") {
            Some(Json::String(name)) => Some(name.as_str()),
            Some(Json::Array(names)) => {
                let mut some = names.iter().filter_map(Json::as_str).filter(|name| *name != "null");
                match (some.next(), some.next()) {
                    (Some(only), None) => Some(only),
                    _ => return Err("a schema of several types has no SQL type".to_owned()),
                }
            }
            _ if schema.get("properties").is_some() => Some("object"),
            _ if schema.get("enum").is_some() || schema.get("const").is_some() => Some("string"),
            _ => None,
        };
        let title = text("title").and_then(|title| title.strip_prefix("org.apache.kafka.connect.data."));
        Ok(match (ty, title, text("connect.type")) {
            (Some("integer" | "number"), Some("Decimal"), _) => {
                let parameter = |name: &str| {
                    let value = schema.get("connect.parameters").and_then(|parameters| parameters.get(name));
                    value.and_then(|value| value.as_str().and_then(|text| text.parse().ok()))
                };
                let precision = parameter("connect.decimal.precision").unwrap_or(DECIMAL_PRECISION);
                SqlType::Decimal(precision, parameter("scale").unwrap_or(0))
            }
            (Some("integer"), Some("Date"), _) => SqlType::Date,
            (Some("integer"), Some("Time"), _) => SqlType::Time,
            (Some("integer"), Some("Timestamp"), _) => SqlType::Timestamp,
            (Some("integer"), _, Some("int8" | "int16" | "int32")) => SqlType::Int,
            (Some("integer"), ..) => SqlType::BigInt,
            (Some("number"), ..) => SqlType::Double,
            (Some("boolean"), ..) => SqlType::Boolean,
            (Some("string"), _, Some("bytes")) => SqlType::Bytes,
            (Some("string"), ..) => SqlType::String,
            (Some("array"), ..) => {
                SqlType::array(self.sql_type(schema.get("items").ok_or("an array has no items")?, depth + 1)?)
            }
            (Some("object"), ..) => self.object(schema, depth)?,
            _ => return Err("a schema has no type".to_owned()),
        })
    }

    fn object(&self, schema: &Json, depth: usize) -> Result<SqlType, String> {
        let is_map = schema.get("connect.type").and_then(Json::as_str) == Some("map");
        let properties = schema.get("properties").and_then(Json::as_object).filter(|_| !is_map);
        let Some(properties) = properties else {
            let values = schema.get("additionalProperties").filter(|values| values.is_object());
            let values = values.ok_or("an object has neither properties nor a type of them")?;
            return Ok(SqlType::map(SqlType::String, self.sql_type(values, depth + 1)?));
        };
        let mut indexed: Vec<(i64, &String, &Json)> = properties
            .iter()
            .map(|(name, property)| {
                (property.get("connect.index").and_then(Json::as_i64).unwrap_or(i64::MAX), name, property)
            })
            .collect();
        indexed.sort_by_key(|(index, ..)| *index);
        let fields = indexed.into_iter().map(|(_, name, property)| {
            let ty = self.sql_type(property, depth + 1).map_err(|reason| format!("{name}: {reason}"))?;
            Ok(StructField::new(name, ty))
        });
        Ok(SqlType::Struct(fields.collect::<Result<_, String>>()?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::schema::SchemaType;

    fn infer(text: &str) -> Result<String, String> {
        sql_type(&Schema::new(SchemaType::Json, text)).map(|ty| ty.to_string())
    }

    #[test]
    fn generated_schemas_read_back() -> Result<(), String> {
        let types = [
            SqlType::Boolean,
            SqlType::Int,
            SqlType::BigInt,
            SqlType::Double,
            SqlType::Decimal(6, 3),
            SqlType::String,
            SqlType::Bytes,
            SqlType::Time,
            SqlType::Date,
            SqlType::Timestamp,
            SqlType::array(SqlType::map(SqlType::String, SqlType::Int)),
            SqlType::Struct(vec![StructField::new("z", SqlType::Int), StructField::new("a", SqlType::String)]),
        ];
        let columns: Vec<Column> =
            types.iter().enumerate().map(|(i, ty)| Column::value(format!("C{i}"), ty.clone())).collect();
        let SqlType::Struct(fields) = sql_type(&Schema::new(SchemaType::Json, generate(&columns, false)))? else {
            return Err("an object is a STRUCT".to_owned());
        };
        assert_eq!(fields.iter().map(|field| field.ty.clone()).collect::<Vec<_>>(), types);
        let bare = sql_type(&Schema::new(SchemaType::Json, generate(&columns[..1], true)))?;
        assert_eq!(bare, SqlType::Boolean);
        Ok(())
    }

    #[test]
    fn schemas_of_others() {
        let cases = [
            (r#"{"properties": {"a": {"type": ["null", "integer"]}}}"#, Ok("STRUCT<`a` BIGINT>")),
            (
                r##"{"type": "array", "items": {"$ref": "#/$defs/x"}, "$defs": {"x": {"type": "string"}}}"##,
                Ok("ARRAY<STRING>"),
            ),
            (r#"{"type": "object", "additionalProperties": {"type": "number"}}"#, Ok("MAP<STRING, DOUBLE>")),
            (r##"{"$ref": "#"}"##, Err("the schema contains itself")),
            (
                r#"{"oneOf": [{"type": "string"}, {"type": "integer"}]}"#,
                Err("`oneOf` of several types has no SQL type"),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(infer(text), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }
}
