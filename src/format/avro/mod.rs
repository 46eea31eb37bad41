//! `AVRO`: records in Avro's binary form, in the schemas that Kafka Connect's mapping gives them.

use super::datum::Datum;
use super::schema::Schema;
use crate::types::{Column, SqlType};

mod generate;
mod read;
mod schema;
mod write;

use schema::{Avro, Node};

/// A schema and the way to read and write its values.
#[derive(Debug, Clone)]
pub(super) struct AvroCodec {
    avro: Avro,
}

impl AvroCodec {
    /// Reads a schema's text.
    pub(super) fn parse(schema: &Schema) -> Result<Self, String> {
        let references = schema.references.iter().map(|reference| reference.text.as_str());
        Ok(Self { avro: Avro::parse(&schema.text, references)? })
    }

    /// The text of the schema that columns get: a record, or the type of a column that stands alone.
    pub(super) fn generate(columns: &[Column], bare: bool, full_name: Option<&str>) -> String {
        match columns {
            [only] if bare => generate::bare(&only.ty, full_name),
            columns => generate::record(columns, full_name),
        }
        .to_string()
    }

    /// The type of its values.
    pub(super) fn sql_type(&self) -> Result<SqlType, String> {
        self.avro.sql_type(&self.avro.root, 0)
    }

    /// Names of the fields of a record that can neither be null nor have a default.
    pub(super) fn required(&self) -> impl Iterator<Item = &str> {
        let record = match self.avro.root {
            Node::Record(at) => self.avro.records.get(at),
            _ => None,
        };
        let fields = record.map(|record| record.fields.as_slice()).unwrap_or_default();
        let required = fields.iter().filter(|field| field.default.is_none() && !write::nullable(&field.node));
        required.map(|field| &*field.name)
    }

    /// Reads a value.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<Datum, String> {
        let mut reader = read::Reader::new(bytes);
        let datum = reader.value(&self.avro, &self.avro.root, 0)?;
        if !reader.is_empty() && self.avro.root != Node::Null {
            return Err("bytes are left after the value".to_owned());
        }
        Ok(datum)
    }

    /// Appends a value.
    pub(super) fn write(&self, datum: &Datum, out: &mut Vec<u8>) -> Result<(), String> {
        write::value(&self.avro, &self.avro.root, datum, out)
    }
}

#[cfg(test)]
mod tests;
