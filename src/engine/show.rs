//! SHOW, LIST and DESCRIBE: what there is, as tables.

pub mod queries;

use super::config::{PROPERTIES, Properties};
use super::session::{QueryStatus, TableResult};
use crate::broker::TopicInfo;
use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result, did_you_mean};
use crate::expr::functions::{self, FunctionKind};
use crate::types::{Namespace, SourceKind, SqlType, Value};

fn table(columns: &[&str], rows: Vec<Vec<String>>) -> TableResult {
    TableResult {
        columns: columns.iter().map(|name| ((*name).to_owned(), SqlType::String)).collect(),
        rows: rows.into_iter().map(|row| row.into_iter().map(Value::String).collect()).collect(),
    }
}

/// `SHOW STREAMS` or `SHOW TABLES`.
pub fn sources(catalog: &Catalog, kind: SourceKind) -> TableResult {
    let rows = catalog.sources().filter(|source| source.kind == kind).map(|source| {
        vec![
            source.name.clone(),
            source.topic.clone(),
            source.key_format.name.clone(),
            source.value_format.name.clone(),
            source.window.map_or(String::new(), |window| window.kind.to_string()),
            source.created_by.clone().unwrap_or_default(),
        ]
    });
    let title = if kind == SourceKind::Stream { "Stream" } else { "Table" };
    table(&[title, "Topic", "Key Format", "Value Format", "Window", "Query"], rows.collect())
}

fn one_line(sql: &str) -> String {
    sql.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `SHOW TOPICS`: without Eddyline's own ones unless `all`.
pub fn topics(topics: &[TopicInfo], all: bool) -> TableResult {
    let shown = topics.iter().filter(|topic| all || !topic.name.starts_with("eddyline-"));
    let rows = shown.map(|topic| vec![topic.name.clone(), topic.partitions.to_string(), topic.replicas.to_string()]);
    table(&["Topic", "Partitions", "Replicas"], rows.collect())
}

/// `SHOW FUNCTIONS`.
pub fn all_functions() -> TableResult {
    let rows = functions::all().into_iter().map(|doc| {
        let first = doc.description.split(". ").next().unwrap_or_default().trim_end_matches('.').to_owned();
        vec![doc.name, kind_name(doc.kind).to_owned(), doc.category.to_owned(), first]
    });
    table(&["Function", "Kind", "Category", "What it does"], rows.collect())
}

fn kind_name(kind: FunctionKind) -> &'static str {
    match kind {
        FunctionKind::Scalar => "SCALAR",
        FunctionKind::Aggregate => "AGGREGATE",
        FunctionKind::Table => "TABLE",
    }
}

/// `DESCRIBE FUNCTION name`.
pub fn function(name: &str) -> Result<String> {
    let all = functions::all();
    let Some(doc) = all.iter().find(|doc| doc.name.eq_ignore_ascii_case(name)) else {
        let error = Error::not_found(format!("no function {name}"));
        return Err(match did_you_mean(name, all.iter().map(|doc| doc.name.as_str())) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error.hint("SHOW FUNCTIONS lists all functions."),
        });
    };
    let mut text =
        format!("{} ({} function, {})\n\n{}\n\n", doc.name, kind_name(doc.kind), doc.category, doc.description);
    doc.signatures.iter().for_each(|signature| text.push_str(&format!("  {signature}\n")));
    if !doc.example.is_empty() {
        text.push_str(&format!("\nExample: {}\n", doc.example));
    }
    Ok(text)
}

/// `SHOW PROPERTIES`.
pub fn properties(session: &Properties) -> TableResult {
    let rows = PROPERTIES.iter().map(|property| {
        let whence = if session.is_set(property.name) { "SESSION" } else { "DEFAULT" };
        let value = session.get(property.name).to_owned();
        vec![property.name.to_owned(), value, whence.to_owned(), property.about.to_owned()]
    });
    table(&["Property", "Value", "Set By", "What it does"], rows.collect())
}

/// `SHOW TYPES`.
pub fn types(catalog: &Catalog) -> TableResult {
    table(
        &["Type", "Definition"],
        catalog.custom_types().map(|(name, ty)| vec![name.clone(), ty.to_string()]).collect(),
    )
}

/// `SHOW VARIABLES`.
pub fn variables(variables: &std::collections::BTreeMap<String, String>) -> TableResult {
    table(&["Variable", "Value"], variables.iter().map(|(name, value)| vec![name.clone(), value.clone()]).collect())
}

/// `DESCRIBE source`.
pub fn describe(source: &Source) -> TableResult {
    let primary = if source.kind == SourceKind::Table { "PRIMARY KEY" } else { "KEY" };
    let rows = source.schema.columns.iter().map(|column| {
        let role = match &column.namespace {
            Namespace::Key => primary.to_owned(),
            Namespace::Value => String::new(),
            Namespace::Headers(None) => "HEADERS".to_owned(),
            Namespace::Headers(Some(name)) => format!("HEADER('{name}')"),
        };
        let window = source.window.filter(|_| column.namespace == Namespace::Key);
        let role = window.map_or(role.clone(), |window| format!("{role} (window: {})", window.kind));
        vec![column.name.clone(), column.ty.to_string(), role]
    });
    table(&["Field", "Type", "Role"], rows.collect())
}

/// `DESCRIBE source EXTENDED`.
pub fn describe_extended(
    source: &Source,
    partitions: Option<i32>,
    readers: &[String],
    writers: &[String],
    queries: &[QueryStatus],
) -> String {
    let mut text = format!("{} {}\n", source.kind, source.name);
    let mut line = |name: &str, value: &str| text.push_str(&format!("  {name:<14}{value}\n"));
    line("topic", &source.topic);
    line("partitions", &partitions.map_or("topic is missing".to_owned(), |n| n.to_string()));
    line("key format", &source.key_format.name);
    line("value format", &source.value_format.name);
    if let Some(window) = source.window {
        let size = window.size_ms.map_or(String::new(), |ms| format!(", {ms} ms"));
        line("window", &format!("{}{size}", window.kind));
    }
    if let Some(timestamp) = &source.timestamp {
        let format = timestamp.format.as_deref().map_or(String::new(), |format| format!(" as {format}"));
        line("timestamp", &format!("{}{format}", timestamp.column));
    }
    line("written by", &or_none(writers));
    line("read by", &or_none(readers));
    line("statement", &one_line(&source.statement));
    text.push_str("\ncolumns\n");
    for column in &source.schema.columns {
        let role = if column.namespace == Namespace::Key { "  KEY" } else { "" };
        text.push_str(&format!("  {:<24}{}{role}\n", column.name, column.ty));
    }
    for query in queries.iter().filter(|query| writers.contains(&query.id)) {
        text.push_str(&format!("\n{}\n{}", query.id, queries::runtime(query)));
    }
    text
}

fn or_none(names: &[String]) -> String {
    if names.is_empty() { "no query".to_owned() } else { names.join(", ") }
}
