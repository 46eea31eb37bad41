//! `PROTOBUF` and `PROTOBUF_NOSR`: messages as Protocol Buffers write them.

use std::sync::Arc;

use super::datum::Datum;
use super::schema::Schema;
use crate::types::{Column, StructField};

mod generate;
mod model;
mod parse;
mod read;
mod wire;
mod write;

pub(super) use generate::Nullable;
use model::File;

/// A schema and one of its messages.
#[derive(Debug, Clone)]
pub(super) struct ProtobufCodec {
    file: File,
    root: usize,
    /// Field names of each message, shared by all data.
    names: Vec<Vec<Arc<str>>>,
}

impl ProtobufCodec {
    fn new(file: File, root: usize) -> Self {
        let names = file.messages.iter().map(|m| m.fields.iter().map(|f| f.name.as_str().into()).collect()).collect();
        Self { file, root, names }
    }

    /// The message `name` (else the first one) of a schema's text.
    pub(super) fn parse(schema: &Schema, name: Option<&str>) -> Result<Self, String> {
        let file = parse::parse(&schema.text, schema.references.iter().map(|reference| reference.text.as_str()))?;
        let root = file.root(name).ok_or_else(|| match name {
            Some(name) => format!("the schema has no message {name}"),
            None => "the schema has no message".to_owned(),
        })?;
        Ok(Self::new(file, root))
    }

    /// The message that columns make.
    pub(super) fn generate(columns: &[Column], name: Option<&str>, nullable: Nullable) -> Result<Self, String> {
        Ok(Self::new(generate::model(columns, name, nullable)?, 0))
    }

    /// The text of a generated schema.
    pub(super) fn text(&self) -> String {
        generate::text(&self.file)
    }

    /// Names and types of the message's fields.
    pub(super) fn fields(&self) -> Result<Vec<StructField>, String> {
        self.file.fields_type(self.root, 0)
    }

    /// Reads the message.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Datum, String> {
        read::message(&self.file, &self.names, self.root, bytes, 0)
    }

    /// Reads a message that begins with the place of its type in the schema.
    pub(super) fn read_framed(&self, bytes: &[u8]) -> Result<Datum, String> {
        let mut reader = wire::Reader::new(bytes);
        let count = wire::unzigzag(reader.varint()?);
        let mut path = Vec::new();
        for _ in 0..count.clamp(0, 64) {
            path.push(wire::unzigzag(reader.varint()?));
        }
        if path.is_empty() {
            path.push(0);
        }
        let at = self.file.at_path(&path).ok_or_else(|| format!("the schema has no message at {path:?}"))?;
        read::message(&self.file, &self.names, at, reader.rest(), 0)
    }

    /// Appends the message.
    pub(super) fn write(&self, datum: &Datum, out: &mut Vec<u8>) -> Result<(), String> {
        write::message(&self.file, self.root, datum, out)
    }

    /// Appends the place of the message's type and the message.
    pub(super) fn write_framed(&self, datum: &Datum, out: &mut Vec<u8>) -> Result<(), String> {
        match self.file.messages[self.root].path.as_slice() {
            // The first message is so common that one byte says it.
            [0] => out.push(0),
            path => {
                wire::put_varint(out, wire::zigzag(path.len() as i64));
                path.iter().for_each(|place| wire::put_varint(out, wire::zigzag(*place)));
            }
        }
        self.write(datum, out)
    }
}

#[cfg(test)]
mod tests;
