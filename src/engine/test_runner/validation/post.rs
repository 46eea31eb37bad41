//! What must hold of sources and topics once all statements are made.

use super::json::Json;
use super::stage::Stage;
use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result};
use crate::plan::types::resolve_type;
use crate::sql::ast::{Constraint, StatementKind};
use crate::sql::parse_statement;
use crate::types::{Column, FormatSpec, Namespace, SystemColumn};

/// Checks `post` of a case.
pub fn check(post: &Json, catalog: &Catalog, stage: &Stage) -> Result<()> {
    for wanted in post.get("sources").map_or(&[][..], Json::items) {
        let name = wanted.get("name").map_or_else(String::new, Json::plain);
        let source = catalog.find(&name).ok_or_else(|| Error::not_found(format!("there is no source {name}")))?;
        check_source(wanted, source, catalog)?;
    }
    let Some(topics) = post.get("topics") else { return Ok(()) };
    if let Some(pattern) = topics.get("blacklist").and_then(Json::as_str) {
        let pattern = regex::Regex::new(&format!("^(?:{pattern})$")).map_err(|e| Error::data(e.to_string()))?;
        let all = stage.topics.keys().chain(&stage.internal_topics);
        if let Some(topic) = all.into_iter().find(|topic| pattern.is_match(topic)) {
            return Err(Error::semantic(format!("there is a topic {topic}")));
        }
    }
    let topics = topics.get("topics").map_or(&[][..], Json::items);
    topics.iter().try_for_each(|wanted| check_topic(wanted, catalog, stage))
}

fn differs(what: &str, name: &str, expected: &str, actual: &str) -> Error {
    Error::semantic(format!("{what} of {name}: expected {expected}, got {actual}"))
}

fn check_source(wanted: &Json, source: &Source, catalog: &Catalog) -> Result<()> {
    let name = &source.name;
    if let Some(kind) = wanted.get("type").and_then(Json::as_str)
        && !source.kind.to_string().eq_ignore_ascii_case(kind)
    {
        return Err(differs("type", name, kind, &source.kind.to_string()));
    }
    if let Some(text) = wanted.get("schema").and_then(Json::as_str) {
        let expected = columns_of(text, catalog)?;
        if expected != source.schema.columns {
            return Err(differs("schema", name, text, &source.schema.to_string()));
        }
    }
    if let Some(Json::Bool(read_only)) = wanted.get("isSource")
        && *read_only != source.read_only
    {
        return Err(differs("isSource", name, &read_only.to_string(), &source.read_only.to_string()));
    }
    check_format("key format", name, wanted.get("keyFormat"), &source.key_format)?;
    check_format("value format", name, wanted.get("valueFormat"), &source.value_format)?;
    if let Some(kind) = wanted.get("keyFormat").and_then(|format| format.get("windowType")).and_then(Json::as_str) {
        let actual = source.window.map_or_else(|| "none".to_owned(), |window| window.kind.to_string());
        if !actual.eq_ignore_ascii_case(kind) {
            return Err(differs("window type", name, kind, &actual));
        }
    }
    for (which, spec) in [("keyFeatures", &source.key_format), ("valueFeatures", &source.value_format)] {
        let features = wanted.get(which).map_or(&[][..], Json::items);
        let has = |feature: &str| features.iter().any(|f| f.as_str() == Some(feature));
        if which == "valueFeatures" && (has("WRAP_SINGLES") && !spec.wrapped || has("UNWRAP_SINGLES") && spec.wrapped) {
            return Err(differs(which, name, &format!("{features:?}"), &format!("wrapped = {}", spec.wrapped)));
        }
    }
    Ok(())
}

/// The columns of a schema text.
fn columns_of(text: &str, catalog: &Catalog) -> Result<Vec<Column>> {
    // The words of the key differ by kind; the kind itself is checked elsewhere.
    let kind = if text.to_uppercase().contains("PRIMARY KEY") { "TABLE" } else { "STREAM" };
    let statement = parse_statement(&format!("CREATE {kind} X ({text}) WITH (KAFKA_TOPIC = 'X');"))
        .map_err(|e| e.without_span().context(format!("schema {text:?}")))?;
    let StatementKind::CreateSource(create) = statement.kind else { return Ok(Vec::new()) };
    let column = |element: &crate::sql::ast::Element| {
        let ty = resolve_type(&element.ty, catalog)?;
        let namespace = match &element.constraint {
            Constraint::None => Namespace::Value,
            Constraint::Key | Constraint::PrimaryKey => Namespace::Key,
            Constraint::Headers => Namespace::Headers(None),
            Constraint::Header(name) => Namespace::Headers(Some(name.clone())),
        };
        Ok(Column { name: element.name.text.clone(), ty, namespace })
    };
    let columns = create.elements.unwrap_or_default().iter().map(column).collect::<Result<Vec<_>>>()?;
    let is_window = |column: &Column| {
        column.namespace == Namespace::Key
            && [SystemColumn::WindowStart, SystemColumn::WindowEnd].iter().any(|s| s.name() == column.name)
    };
    Ok(columns.into_iter().filter(|column| !is_window(column)).collect())
}

fn check_format(what: &str, name: &str, wanted: Option<&Json>, actual: &FormatSpec) -> Result<()> {
    let format = wanted.and_then(|wanted| wanted.as_str().or_else(|| wanted.get("format").and_then(Json::as_str)));
    match format {
        Some(format) if !format.eq_ignore_ascii_case(&actual.name) => Err(differs(what, name, format, &actual.name)),
        _ => Ok(()),
    }
}

fn check_topic(wanted: &Json, catalog: &Catalog, stage: &Stage) -> Result<()> {
    let name = wanted.get("name").map_or_else(String::new, Json::plain);
    // Internal topics carry another name there than here.
    let Some(topic) = stage.topics.get(&name) else {
        let kind = ["-repartition", "-changelog"].into_iter().find(|suffix| name.ends_with(suffix));
        return match kind {
            Some(suffix) if stage.internal_topics.iter().any(|topic| topic.contains(&suffix[1..])) => Ok(()),
            _ => Err(Error::not_found(format!("there is no topic {name}"))),
        };
    };
    if let Some(partitions) = wanted.get("partitions").and_then(Json::as_i64)
        && i64::from(topic.partitions) != partitions
    {
        return Err(differs("partitions", &name, &partitions.to_string(), &topic.partitions.to_string()));
    }
    if let Some(source) = catalog.sources().find(|source| source.topic == name) {
        check_format("key format", &name, wanted.get("keyFormat"), &source.key_format)?;
        check_format("value format", &name, wanted.get("valueFormat"), &source.value_format)?;
    }
    Ok(())
}
