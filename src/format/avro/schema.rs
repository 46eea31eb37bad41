//! Avro schemas: JSON to a tree of [`Node`]s, and to SQL types.

use std::sync::Arc;

use serde_json::Value as Json;

use crate::types::{SqlType, StructField};

/// Precision of a decimal that does not say its own.
const DECIMAL_PRECISION: u8 = 64;
/// Schemas nested deeper than this are refused.
const DEPTH_MAX: usize = 64;

/// A schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    /// Bytes, or a fixed number of them, with the digits of a decimal of that precision and scale.
    Decimal(u8, u8, Option<usize>),
    Date,
    /// Milliseconds in an int.
    TimeMillis,
    /// Microseconds in a long.
    TimeMicros,
    TimestampMillis,
    TimestampMicros,
    Fixed(usize),
    Enum(Arc<Vec<String>>),
    Array(Box<Node>),
    Map(Box<Node>),
    /// A map whose entries are records of a key and a value.
    Entries(Box<Node>, Box<Node>),
    Union(Vec<Node>),
    /// Index into [`Avro::records`].
    Record(usize),
}

/// A record type.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Record {
    pub(super) full_name: String,
    pub(super) fields: Vec<Field>,
}

/// A field of a record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    pub(super) aliases: Vec<String>,
    pub(super) node: Node,
    pub(super) default: Option<Json>,
}

/// A schema with its named types resolved.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Avro {
    pub(super) root: Node,
    pub(super) records: Vec<Record>,
}

impl Avro {
    /// Reads a schema; `references` are named types that it may use.
    pub(super) fn parse<'a>(text: &str, references: impl IntoIterator<Item = &'a str>) -> Result<Self, String> {
        let mut parser = Parser { records: Vec::new(), named: Vec::new() };
        for reference in references {
            parser.node(&json(reference)?, "", 0)?;
        }
        let root = parser.node(&json(text)?, "", 0)?;
        Ok(Self { root, records: parser.records })
    }

    /// The name of a branch of a union: of its type, or its own without namespace. Enums and fixed bytes are not known
    /// by name here.
    pub(super) fn branch_name(&self, node: &Node) -> Option<Arc<str>> {
        Some(Arc::from(match node {
            Node::Boolean => "boolean",
            Node::Int | Node::Date | Node::TimeMillis => "int",
            Node::Long | Node::TimeMicros | Node::TimestampMillis | Node::TimestampMicros => "long",
            Node::Float => "float",
            Node::Double => "double",
            Node::Bytes | Node::Decimal(_, _, None) => "bytes",
            Node::String => "string",
            Node::Array(_) | Node::Entries(..) => "array",
            Node::Map(_) => "map",
            Node::Record(at) => {
                let full = self.records[*at].full_name.as_str();
                full.rsplit_once('.').map_or(full, |(_, name)| name)
            }
            Node::Null | Node::Enum(_) | Node::Fixed(_) | Node::Decimal(..) | Node::Union(_) => return None,
        }))
    }

    /// The SQL type of values of this schema.
    pub(super) fn sql_type(&self, node: &Node, depth: usize) -> Result<SqlType, String> {
        if depth > DEPTH_MAX {
            return Err("the schema contains itself".to_owned());
        }
        Ok(match node {
            Node::Null => return Err("a schema of nothing but null has no type".to_owned()),
            Node::Boolean => SqlType::Boolean,
            Node::Int => SqlType::Int,
            Node::Long => SqlType::BigInt,
            Node::Float | Node::Double => SqlType::Double,
            Node::Bytes | Node::Fixed(_) => SqlType::Bytes,
            Node::String | Node::Enum(_) => SqlType::String,
            Node::Decimal(precision, scale, _) => SqlType::Decimal(*precision, *scale),
            Node::Date => SqlType::Date,
            Node::TimeMillis | Node::TimeMicros => SqlType::Time,
            Node::TimestampMillis | Node::TimestampMicros => SqlType::Timestamp,
            Node::Array(item) => SqlType::array(self.sql_type(item, depth + 1)?),
            Node::Map(value) => SqlType::map(SqlType::String, self.sql_type(value, depth + 1)?),
            Node::Entries(key, value) => SqlType::map(self.sql_type(key, depth + 1)?, self.sql_type(value, depth + 1)?),
            Node::Union(branches) => {
                let some: Vec<&Node> = branches.iter().filter(|branch| **branch != Node::Null).collect();
                match some.as_slice() {
                    [only] => self.sql_type(only, depth)?,
                    [] => return Err("a union of nothing but null has no type".to_owned()),
                    several => SqlType::Struct(
                        several
                            .iter()
                            .map(|branch| {
                                let name = self.branch_name(branch).ok_or("a branch of a union has no name")?;
                                Ok(StructField::new(&*name, self.sql_type(branch, depth + 1)?))
                            })
                            .collect::<Result<_, String>>()?,
                    ),
                }
            }
            Node::Record(at) => SqlType::Struct(
                self.records[*at]
                    .fields
                    .iter()
                    .map(|field| Ok(StructField::new(&*field.name, self.sql_type(&field.node, depth + 1)?)))
                    .collect::<Result<_, String>>()?,
            ),
        })
    }
}

fn json(text: &str) -> Result<Json, String> {
    // A bare type name is a schema too.
    serde_json::from_str(text).or_else(|error| {
        let name = text.trim();
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic()) && !name.contains(['{', '[', '"']);
        if is_name { Ok(Json::String(name.to_owned())) } else { Err(format!("not valid JSON: {error}")) }
    })
}

struct Parser {
    records: Vec<Record>,
    named: Vec<(String, Node)>,
}

impl Parser {
    fn node(&mut self, json: &Json, namespace: &str, depth: usize) -> Result<Node, String> {
        if depth > DEPTH_MAX {
            return Err("the schema is nested too deep".to_owned());
        }
        match json {
            Json::String(name) => self.by_name(name, namespace),
            Json::Array(branches) => {
                let branches = branches.iter().map(|branch| self.node(branch, namespace, depth + 1));
                Ok(Node::Union(branches.collect::<Result<_, _>>()?))
            }
            Json::Object(object) => {
                let text = |key: &str| object.get(key).and_then(Json::as_str);
                let ty = object.get("type").ok_or("a schema has no `type`")?;
                let Some(name) = ty.as_str() else { return self.node(ty, namespace, depth + 1) };
                let logical = text("logicalType");
                match name {
                    "record" | "error" => self.record(object, namespace, depth),
                    "enum" => {
                        let symbols = object.get("symbols").and_then(Json::as_array).ok_or("an enum has no symbols")?;
                        let symbols = symbols.iter().filter_map(Json::as_str).map(str::to_owned).collect();
                        let node = Node::Enum(Arc::new(symbols));
                        self.named.push((full_name(object, namespace)?.0, node.clone()));
                        Ok(node)
                    }
                    "fixed" => {
                        let size = object.get("size").and_then(Json::as_u64).ok_or("a fixed has no size")? as usize;
                        let node = match logical {
                            Some("decimal") => decimal(object, Some(size)),
                            _ => Node::Fixed(size),
                        };
                        self.named.push((full_name(object, namespace)?.0, node.clone()));
                        Ok(node)
                    }
                    "array" => {
                        let items = object.get("items").ok_or("an array has no items")?;
                        let is_entries = |object: &serde_json::Map<String, Json>| {
                            object.get("connect.internal.type").and_then(Json::as_str) == Some("MapEntry")
                        };
                        let entries = is_entries(object) || items.as_object().is_some_and(is_entries);
                        let item = self.node(items, namespace, depth + 1)?;
                        if let (true, Node::Record(at)) = (entries, &item)
                            && let [key, value] = self.records[*at].fields.as_slice()
                        {
                            return Ok(Node::Entries(Box::new(key.node.clone()), Box::new(value.node.clone())));
                        }
                        Ok(Node::Array(Box::new(item)))
                    }
                    "map" => {
                        let values = object.get("values").ok_or("a map has no values")?;
                        Ok(Node::Map(Box::new(self.node(values, namespace, depth + 1)?)))
                    }
                    _ => Ok(match (name, logical) {
                        ("bytes", Some("decimal")) => decimal(object, None),
                        ("int", Some("date")) => Node::Date,
                        ("int", Some("time-millis")) => Node::TimeMillis,
                        ("long", Some("time-micros")) => Node::TimeMicros,
                        ("long", Some("timestamp-millis" | "local-timestamp-millis")) => Node::TimestampMillis,
                        ("long", Some("timestamp-micros" | "local-timestamp-micros")) => Node::TimestampMicros,
                        _ => self.by_name(name, namespace)?,
                    }),
                }
            }
            other => Err(format!("{other} is no schema")),
        }
    }

    fn record(
        &mut self,
        object: &serde_json::Map<String, Json>,
        namespace: &str,
        depth: usize,
    ) -> Result<Node, String> {
        let (full_name, namespace) = full_name(object, namespace)?;
        let at = self.records.len();
        self.records.push(Record { full_name: full_name.clone(), fields: Vec::new() });
        self.named.push((full_name.clone(), Node::Record(at)));
        let fields =
            object.get("fields").and_then(Json::as_array).ok_or_else(|| format!("{full_name} has no fields"))?;
        let mut read = Vec::with_capacity(fields.len());
        for field in fields {
            let name = field.get("name").and_then(Json::as_str).ok_or("a field has no name")?;
            let ty = field.get("type").ok_or_else(|| format!("the field {name} has no type"))?;
            let node = self.node(ty, &namespace, depth + 1).map_err(|error| format!("{name}: {error}"))?;
            let aliases = field.get("aliases").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
            read.push(Field {
                name: name.into(),
                aliases: aliases.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
                node,
                default: field.get("default").cloned(),
            });
        }
        self.records[at].fields = read;
        Ok(Node::Record(at))
    }

    fn by_name(&self, name: &str, namespace: &str) -> Result<Node, String> {
        Ok(match name {
            "null" => Node::Null,
            "boolean" => Node::Boolean,
            "int" => Node::Int,
            "long" => Node::Long,
            "float" => Node::Float,
            "double" => Node::Double,
            "bytes" => Node::Bytes,
            "string" => Node::String,
            _ => {
                let full = if name.contains('.') || namespace.is_empty() {
                    name.to_owned()
                } else {
                    format!("{namespace}.{name}")
                };
                let found = self.named.iter().find(|(known, _)| *known == full);
                let found = found.or_else(|| self.named.iter().find(|(known, _)| known == name));
                found.map(|(_, node)| node.clone()).ok_or_else(|| format!("unknown type {name}"))?
            }
        })
    }
}

fn decimal(object: &serde_json::Map<String, Json>, size: Option<usize>) -> Node {
    let number = |key: &str| object.get(key).and_then(Json::as_u64).and_then(|number| u8::try_from(number).ok());
    Node::Decimal(number("precision").unwrap_or(DECIMAL_PRECISION), number("scale").unwrap_or(0), size)
}

/// The full name of a named type and the namespace that it opens.
fn full_name(object: &serde_json::Map<String, Json>, outer: &str) -> Result<(String, String), String> {
    let text = |key: &str| object.get(key).and_then(Json::as_str);
    let name = text("name").ok_or("a named type has no name")?;
    if let Some((namespace, _)) = name.rsplit_once('.') {
        return Ok((name.to_owned(), namespace.to_owned()));
    }
    let namespace = text("namespace").unwrap_or(outer);
    let full = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}.{name}") };
    Ok((full, namespace.to_owned()))
}
