//! `CREATE STREAM|TABLE (…) WITH (…)` and `ALTER`: declarations to [`Source`], with every check that needs no broker.

use crate::catalog::{Catalog, Source};
use crate::error::{Error, ErrorKind, Result, Span};
use crate::sql::ast::{Constraint, CreateSource, Element, Name, TypeExpr};
use crate::types::schema::headers_type;
use crate::types::{Column, FormatSpec, LogicalSchema, Namespace, SourceKind, SqlType, SystemColumn};

use super::Environment;
use super::formats::{self, Features};
use super::properties::{Side, TopicSpec, WithClause, WithOf};
use super::types::resolve_type;

/// A declared source and what its topic shall be like should it not exist yet.
#[derive(Debug, Clone, PartialEq)]
pub struct Declared {
    /// The source.
    pub source: Source,
    /// Its topic.
    pub topic: TopicSpec,
}

/// The source that the statement (whose text is `statement`) declares.
pub fn declare(env: Environment<'_>, create: &CreateSource, statement: &str) -> Result<Declared> {
    let kind = if create.table { SourceKind::Table } else { SourceKind::Stream };
    check_replace(env.catalog, create, kind)?;
    let with = WithClause::new(&create.properties, WithOf::Create)?;
    let topic = with.filled("KAFKA_TOPIC")?.ok_or_else(|| {
        Error::semantic("the WITH clause names no KAFKA_TOPIC")
            .at(create.name.span)
            .hint("Add KAFKA_TOPIC = 'topic' to WITH (…).")
    })?;
    let window = with.window()?;
    let sides = side_formats(env, &with, create.name.span);
    let mut schema = declared_schema(env, create, kind, &with, topic, sides.as_ref().ok().copied())?;
    schema.windowed = window.is_some();
    if window.is_some() && schema.key_len() == 0 {
        return Err(Error::semantic("a windowed source without a key")
            .at(with.span("WINDOW_TYPE"))
            .hint("The window is part of the key: declare the column before it, such as ID VARCHAR KEY."));
    }

    let (key_format, value_format) = source_formats(env, &with, &schema, sides?, create.name.span)?;
    let timestamp = with.timestamp(&schema)?;
    let spec = with.topic()?;
    if spec.retention_ms.is_some() && kind == SourceKind::Table && window.is_none() {
        return Err(Error::semantic("RETENTION_MS is for streams and windowed tables")
            .at(with.span("RETENTION_MS"))
            .hint("A table keeps the newest row of every key."));
    }
    let source = Source {
        name: create.name.text.clone(),
        kind,
        schema,
        topic: topic.to_owned(),
        key_format,
        value_format,
        window,
        timestamp,
        created_by: None,
        read_only: create.source,
        statement: statement.to_owned(),
    };
    Ok(Declared { source, topic: spec })
}

fn check_replace(catalog: &Catalog, create: &CreateSource, kind: SourceKind) -> Result<()> {
    let existing_read_only = catalog.find(&create.name.text).is_some_and(|source| source.read_only);
    if create.or_replace && (create.source || existing_read_only) {
        let kind = kind.to_string().to_lowercase();
        return Err(Error::semantic(format!("source {kind}s cannot be replaced: {}", create.name.text))
            .at(create.name.span)
            .hint("DROP it and CREATE it again."));
    }
    Ok(())
}

fn declared_schema(
    env: Environment<'_>,
    create: &CreateSource,
    kind: SourceKind,
    with: &WithClause<'_>,
    topic: &str,
    sides: Option<[&'static Features; 2]>,
) -> Result<LogicalSchema> {
    let catalog = env.catalog;
    let elements = create.elements.as_deref().unwrap_or_default();
    let mut columns: Vec<Column> = Vec::with_capacity(elements.len());
    for element in elements {
        let column = declared_column(catalog, element, kind)?;
        if columns.iter().any(|earlier| earlier.name == column.name) {
            return Err(Error::semantic(format!("two columns are named {}", column.name))
                .at(element.name.span)
                .hint("Rename one of them."));
        }
        if matches!(column.namespace, Namespace::Headers(_)) {
            let clash = |earlier: &Column| match (&earlier.namespace, &column.namespace) {
                (Namespace::Headers(a), Namespace::Headers(b)) => a.is_none() || b.is_none() || a == b,
                _ => false,
            };
            if let Some(earlier) = columns.iter().find(|earlier| clash(earlier)) {
                return Err(Error::semantic(format!("{} and {} hold the same headers", earlier.name, column.name))
                    .at(element.name.span)
                    .hint("One HEADERS column, or several HEADER('name') columns with different names."));
            }
        }
        columns.push(column);
    }
    if let Some(sides) = sides {
        infer_columns(env, create, with, topic, sides, &mut columns)?;
    }
    if columns.is_empty() {
        return Err(Error::semantic(format!("{} has no columns", create.name.text))
            .at(create.name.span)
            .hint("Declare them: CREATE STREAM s (id INT KEY, name STRING) WITH (…)."));
    }
    let schema = LogicalSchema::new(columns, false);
    if kind == SourceKind::Table && schema.key_len() == 0 {
        return Err(Error::semantic(format!("the table {} has no PRIMARY KEY", create.name.text))
            .at(create.name.span)
            .hint("Mark the column that is the record's key: id INT PRIMARY KEY."));
    }
    Ok(schema)
}

/// Adds the columns of the sides that declare none and whose format keeps schemas in a registry.
fn infer_columns(
    env: Environment<'_>,
    create: &CreateSource,
    with: &WithClause<'_>,
    topic: &str,
    sides: [&'static Features; 2],
    columns: &mut Vec<Column>,
) -> Result<()> {
    let span = create.name.span;
    for (side, features) in [Side::Key, Side::Value].into_iter().zip(sides) {
        let (namespace, id) = match side {
            Side::Key => (Namespace::Key, "KEY_SCHEMA_ID"),
            Side::Value => (Namespace::Value, "VALUE_SCHEMA_ID"),
        };
        let declared = columns.iter().any(|column| column.namespace == namespace);
        if !features.inference {
            continue;
        }
        if declared {
            if with.integer(id)?.is_some() {
                return Err(Error::semantic(format!("both columns and {id} are given"))
                    .at(with.span(id))
                    .hint("The schema of that id tells the columns: leave one of the two out."));
            }
            continue;
        }
        // How a side of one column is wrapped says whether the schema is that column's or the row's.
        let single = [Column { name: "ROWVAL".to_owned(), ty: SqlType::Int, namespace }];
        let spec = with.format_spec(side, features, None, &single, env.config)?;
        for column in env.schemas.infer(&spec, topic, side == Side::Key).map_err(|error| error.at(span))? {
            if columns.iter().any(|earlier| earlier.name == column.name) {
                return Err(Error::semantic(format!("two columns are named {}", column.name))
                    .at(span)
                    .hint("One is declared or in the key's schema, the other in the value's: write them all down."));
            }
            check_column_name(&Name { text: column.name.clone(), ..create.name.clone() })?;
            if side == Side::Key {
                check_key_type(&column.name, &column.ty, span)?;
            }
            columns.push(column);
        }
    }
    Ok(())
}

fn declared_column(catalog: &Catalog, element: &Element, kind: SourceKind) -> Result<Column> {
    let name = &element.name;
    check_column_name(name)?;
    let ty = resolve_type(&element.ty, catalog).map_err(|error| error.at(name.span))?;
    let namespace = match (&element.constraint, kind) {
        (Constraint::None, _) => Namespace::Value,
        (Constraint::Key, SourceKind::Stream) | (Constraint::PrimaryKey, SourceKind::Table) => Namespace::Key,
        (Constraint::Key, SourceKind::Table) => {
            return Err(Error::semantic(format!("{} is a KEY, and tables have a PRIMARY KEY", name.text))
                .at(name.span)
                .hint(format!("Write {} {ty} PRIMARY KEY.", name.text)));
        }
        (Constraint::PrimaryKey, SourceKind::Stream) => {
            return Err(Error::semantic(format!("{} is a PRIMARY KEY, and streams have a KEY", name.text))
                .at(name.span)
                .hint(format!("Write {} {ty} KEY, or CREATE TABLE.", name.text)));
        }
        (Constraint::Headers, _) => header_namespace(name, &ty, headers_type(), None)?,
        (Constraint::Header(key), _) => header_namespace(name, &ty, SqlType::Bytes, Some(key.clone()))?,
    };
    if namespace == Namespace::Key {
        check_key_type(&name.text, &ty, name.span)?;
    }
    Ok(Column { name: name.text.clone(), ty, namespace })
}

fn header_namespace(name: &Name, ty: &SqlType, wanted: SqlType, key: Option<String>) -> Result<Namespace> {
    if *ty == wanted {
        return Ok(Namespace::Headers(key));
    }
    let clause = if key.is_some() { "HEADER('…')" } else { "HEADERS" };
    Err(Error::semantic(format!("the {clause} column {} must be {wanted}, not {ty}", name.text)).at(name.span))
}

fn check_column_name(name: &Name) -> Result<()> {
    match SystemColumn::from_name(&name.text) {
        None => Ok(()),
        Some(column) => Err(Error::semantic(format!("{} is the name of a system column", column.name()))
            .at(name.span)
            .hint("Every source has it without declaring it; choose another name.")),
    }
}

/// Maps cannot be keys: equal maps may have unequal bytes.
pub(super) fn check_key_type(name: &str, ty: &SqlType, span: Span) -> Result<()> {
    if !ty.contains_map() {
        return Ok(());
    }
    Err(Error::semantic(format!("the key column {name} contains a MAP: {ty}")).at(span).hint(
        "Equal maps may be written differently, so they cannot tell records apart. Use a field or an entry of it.",
    ))
}

/// The formats of key and value that the statement names, or the defaults.
fn side_formats(env: Environment<'_>, with: &WithClause<'_>, span: Span) -> Result<[&'static Features; 2]> {
    let key = match with.format(Side::Key)? {
        Some(features) => features,
        None => formats::features(&env.config.default_key_format, span)?,
    };
    let value = match (with.format(Side::Value)?, &env.config.default_value_format) {
        (Some(features), _) => features,
        (None, Some(default)) => formats::features(default, span)?,
        (None, None) => {
            return Err(Error::semantic("the WITH clause names no VALUE_FORMAT").at(span).hint(
                "Add VALUE_FORMAT = 'JSON' (or FORMAT for both sides), or SET 'ksql.persistence.default.format.value'.",
            ));
        }
    };
    Ok([key, value])
}

fn source_formats(
    env: Environment<'_>,
    with: &WithClause<'_>,
    schema: &LogicalSchema,
    [key, value]: [&'static Features; 2],
    span: Span,
) -> Result<(FormatSpec, FormatSpec)> {
    let value_columns = value_columns(schema);
    let key_format = checked_format(env, with, Side::Key, key, None, schema.key(), span)?;
    let value_format = checked_format(env, with, Side::Value, value, None, &value_columns, span)?;
    Ok((key_format, value_format))
}

/// The columns that the record's value holds (header columns are not among them).
pub(super) fn value_columns(schema: &LogicalSchema) -> Vec<Column> {
    schema.value().iter().filter(|column| column.namespace == Namespace::Value).cloned().collect()
}

/// The format of one side of a new topic, checked to be able to hold its columns.
pub(super) fn checked_format(
    env: Environment<'_>,
    with: &WithClause<'_>,
    side: Side,
    features: &Features,
    inherited: Option<&FormatSpec>,
    columns: &[Column],
    span: Span,
) -> Result<FormatSpec> {
    let spec = with.format_spec(side, features, inherited, columns, env.config)?;
    let side_name = if side == Side::Key { "key" } else { "value" };
    if features.name == "NONE" && !columns.is_empty() {
        return Err(Error::semantic(format!(
            "the {side_name} format NONE holds no columns, and there is {}",
            columns[0].name
        ))
        .at(span)
        .hint(format!("Choose a {side_name} format: {}_FORMAT = 'JSON'.", side_name.to_uppercase())));
    }
    if !columns.is_empty() {
        (env.check_format)(&spec, side == Side::Key, columns).map_err(|error| error.at(span))?;
    }
    Ok(spec)
}

/// The source after `ALTER STREAM|TABLE name ADD COLUMN …`.
pub fn alter(
    env: Environment<'_>,
    table: bool,
    name: &Name,
    added: &[(Name, TypeExpr)],
    statement: &str,
) -> Result<Source> {
    let source = env.catalog.source(&name.text).map_err(|error| error.at(name.span))?;
    let kind = if table { SourceKind::Table } else { SourceKind::Stream };
    if source.kind != kind {
        return Err(Error::semantic(format!("{} is a {}, not a {kind}", source.name, source.kind))
            .at(name.span)
            .hint(format!("Write ALTER {} {}.", source.kind, source.name)));
    }
    if source.created_by.is_some() || source.read_only {
        return Err(Error::semantic(format!(
            "{} cannot be altered: {}",
            source.name,
            if source.read_only { "it is read-only" } else { "a query makes it" }
        ))
        .at(name.span)
        .hint("CREATE OR REPLACE … AS SELECT changes a query and its columns."));
    }
    let mut source = Source::clone(source);
    for (name, ty) in added {
        check_column_name(name)?;
        if source.schema.find(&name.text).is_some() {
            return Err(Error::semantic(format!("{} has a column {} already", source.name, name.text)).at(name.span));
        }
        let ty = resolve_type(ty, env.catalog).map_err(|error| error.at(name.span))?;
        source.schema.columns.push(Column::value(&name.text, ty));
    }
    let values = value_columns(&source.schema);
    if values.len() > 1 && source.value_format.name != "KAFKA" {
        let features = formats::features(&source.value_format.name, name.span)?;
        source.value_format.wrapped = features.wrap;
    }
    (env.check_format)(&source.value_format, false, &values).map_err(|error| error.at(name.span))?;
    source.statement = statement.to_owned();
    Ok(source)
}

/// Whether `new` may take the place of `old` (`CREATE OR REPLACE`).
///
/// > KSQL: key columns stay, value columns may only be appended, topic and formats stay.
pub fn check_replacement(old: &Source, new: &Source) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::new(ErrorKind::Conflict, format!("{} cannot be replaced: {what}", old.name))
            .hint("DROP it and CREATE it again, under another name or topic if its data shall stay."))
    };
    if old.kind != new.kind {
        return refuse(format!("it is a {} and would become a {}", old.kind, new.kind));
    }
    if old.topic != new.topic {
        return refuse(format!("its topic is {} and would become {}", old.topic, new.topic));
    }
    if old.schema.key() != new.schema.key() || old.schema.windowed != new.schema.windowed {
        return refuse("its key would change".to_owned());
    }
    for (i, column) in old.schema.value().iter().enumerate() {
        match new.schema.value().get(i) {
            Some(same) if same == column => {}
            _ => return refuse(format!("its column {} would change, move or go", column.name)),
        }
    }
    let names = |source: &Source| (source.key_format.name.clone(), source.value_format.name.clone());
    if names(old) != names(new) {
        return refuse("its formats would change".to_owned());
    }
    Ok(())
}
