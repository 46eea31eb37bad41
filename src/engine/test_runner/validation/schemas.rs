//! Schemas of a case's topics, registered before its statements run.
//!
//! > KSQL: numbers that a case does not give count up from 1: first the schemas that CREATE statements make for topics
//! > that the case does not list, then those of the listed topics, keys before values.

use std::collections::BTreeSet;

use super::case::{CaseTopic, ValidationCase};
use super::json::Json;
use crate::error::{Error, Result};
use crate::format::schema::{MemoryRegistry, Reference, Schema, SchemaType, subject};
use crate::plan::properties::{Side, WithClause, WithOf};
use crate::sql::ast::{Constraint, CreateSource, StatementKind};
use crate::sql::{parse_statement, split_statements};

/// Registers everything that the case's topics say.
pub fn register(case: &ValidationCase, registry: &MemoryRegistry) -> Result<()> {
    let mut next = 1 + implied(case);
    for topic in &case.topics {
        for (is_key, schema, format, id, references) in [
            (true, "keySchema", "keyFormat", "keySchemaId", "keySchemaReferences"),
            (false, "valueSchema", "valueFormat", "valueSchemaId", "valueSchemaReferences"),
        ] {
            let Some(text) = topic.details.get(schema).filter(|schema| **schema != Json::Null) else { continue };
            let ty = match topic
                .details
                .get(format)
                .map_or_else(|| "AVRO".to_owned(), Json::plain)
                .to_uppercase()
                .as_str()
            {
                "JSON" | "JSON_SR" => SchemaType::Json,
                "PROTOBUF" => SchemaType::Protobuf,
                _ => SchemaType::Avro,
            };
            let schema = Schema { ty, text: text_of(text), references: references_of(topic, references)? };
            let id = match topic.details.get(id).and_then(Json::as_i64) {
                Some(id) => i32::try_from(id).map_err(|_| Error::data(format!("{id} is no number of a schema")))?,
                None => {
                    next += 1;
                    next - 1
                }
            };
            registry.put(&subject(&topic.name, is_key), id, schema);
        }
    }
    Ok(())
}

fn text_of(schema: &Json) -> String {
    match schema {
        Json::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn references_of(topic: &CaseTopic, list: &str) -> Result<Vec<Reference>> {
    let items = topic.details.get(list).map_or(&[][..], Json::items);
    let reference = |json: &Json| {
        let name = json.get("name").and_then(Json::as_str).ok_or_else(|| Error::data("a reference without a name"))?;
        let text = json.get("schema").map(text_of).unwrap_or_default();
        Ok(Reference { name: name.to_owned(), subject: name.to_owned(), version: 1, text })
    };
    items.iter().map(reference).collect()
}

/// How many schemas CREATE statements make for topics that are not listed.
fn implied(case: &ValidationCase) -> i32 {
    let mut made = BTreeSet::new();
    for text in &case.statements {
        for piece in split_statements(text) {
            let Ok(statement) = parse_statement(&text[piece.span.start..piece.span.end]) else { continue };
            let StatementKind::CreateSource(create) = &statement.kind else { continue };
            made.extend(implied_by(create, case).unwrap_or_default());
        }
    }
    i32::try_from(made.len()).unwrap_or(i32::MAX)
}

fn implied_by(create: &CreateSource, case: &ValidationCase) -> Result<Vec<(String, bool)>> {
    let with = WithClause::new(&create.properties, WithOf::Create)?;
    let Some(topic) = with.filled("KAFKA_TOPIC")?.filter(|name| case.topics.iter().all(|topic| topic.name != **name))
    else {
        return Ok(Vec::new());
    };
    let elements = create.elements.as_deref().unwrap_or_default();
    let is_key = |constraint: &Constraint| matches!(constraint, Constraint::Key | Constraint::PrimaryKey);
    let mut made = Vec::new();
    for (side, key) in [(Side::Key, true), (Side::Value, false)] {
        let has = elements.iter().any(|element| is_key(&element.constraint) == key);
        if has && with.format(side)?.is_some_and(|features| features.inference) {
            made.push((topic.to_owned(), key));
        }
    }
    Ok(made)
}
