//! [`SchemaRegistry`]: where AVRO, PROTOBUF and JSON_SR keep the schemas that their messages name by number.
//!
//! **Invariant:** a number always means the same schema, so whoever has asked once need not ask again.

use std::fmt;

use crate::error::Result;

mod http;
mod memory;

pub use http::HttpRegistry;
pub use memory::MemoryRegistry;
pub(super) use memory::RehearsalRegistry;

/// The language that a schema is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SchemaType {
    /// Avro, as JSON.
    Avro,
    /// JSON Schema.
    Json,
    /// Protocol Buffers, as the text of a `.proto` file.
    Protobuf,
}

impl SchemaType {
    /// The registry's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avro => "AVRO",
            Self::Json => "JSON",
            Self::Protobuf => "PROTOBUF",
        }
    }

    /// The type of that name. A registry leaves AVRO unsaid.
    pub fn from_name(name: Option<&str>) -> Option<Self> {
        match name {
            None | Some("AVRO") => Some(Self::Avro),
            Some("JSON") => Some(Self::Json),
            Some("PROTOBUF") => Some(Self::Protobuf),
            Some(_) => None,
        }
    }
}

/// A schema's text and the texts that it imports.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Schema {
    /// Its language.
    pub ty: SchemaType,
    /// Its text.
    pub text: String,
    /// Schemas that it refers to.
    pub references: Vec<Reference>,
}

/// A schema that another one refers to by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    /// The name in the referring schema: of an Avro type, or of an imported file.
    pub name: String,
    /// Where the registry keeps it; empty when it is kept with the schema only.
    pub subject: String,
    /// Its version there.
    pub version: i32,
    /// Its text.
    pub text: String,
}

impl Schema {
    /// A schema without references.
    pub fn new(ty: SchemaType, text: impl Into<String>) -> Self {
        Self { ty, text: text.into(), references: Vec::new() }
    }
}

/// Keeps schemas by number, and the versions of every subject.
pub trait SchemaRegistry: fmt::Debug + Send + Sync {
    /// The number of the schema, which is the subject's newest version from now on unless it was a version already.
    fn register(&self, subject: &str, schema: &Schema) -> Result<i32>;
    /// The schema of that number.
    fn by_id(&self, id: i32) -> Result<Option<Schema>>;
    /// The subject's newest version.
    fn latest(&self, subject: &str) -> Result<Option<(i32, Schema)>>;
    /// Whether the schema of that number is a version of the subject.
    fn has_version(&self, subject: &str, id: i32) -> Result<bool>;
    /// Whether the schema could be the subject's next version.
    fn is_compatible(&self, subject: &str, schema: &Schema) -> Result<bool>;
}

/// The subject of one side of a topic.
pub fn subject(topic: &str, is_key: bool) -> String {
    format!("{topic}-{}", if is_key { "key" } else { "value" })
}
