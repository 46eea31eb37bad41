//! The end of a query: the key found in the projection, the result's schema, its topic and formats.

use crate::catalog::Source;
use crate::error::{Error, Result, Span};
use crate::plan::formats;
use crate::plan::properties::{Side, TopicSpec, WithClause, WithOf};
use crate::plan::source::{checked_format, value_columns};
use crate::plan::topology::{Changelog, OperatorSpec, SinkSpec};
use crate::plan::{Environment, walk};
use crate::sql::ast::{CreateAs, Expr, ExprKind, Name, Query, TypeExpr};
use crate::types::{Column, LogicalSchema, Namespace, SourceKind, SqlType, SystemColumn};

use super::bind::type_of;
use super::flow::{self, Flow};
use super::graph::Graph;
use super::names::Names;
use super::select::Item;

/// A key column of the result and the columns by which the projection may name it.
#[derive(Debug, Clone)]
pub(super) struct KeyChoice {
    /// The key column.
    pub(super) column: String,
    /// Any of these, the first that is selected.
    pub(super) any_of: Vec<String>,
    /// How messages show them.
    pub(super) shown: String,
}

impl KeyChoice {
    /// The items that are the first of its columns that is selected.
    pub(super) fn named_by(&self, items: &[Item]) -> Vec<usize> {
        let naming = |name: &String| -> Vec<usize> {
            (0..items.len()).filter(|i| walk::as_column(&items[*i].expr) == Some(name.as_str())).collect()
        };
        self.any_of.iter().map(naming).find(|found| !found.is_empty()).unwrap_or_default()
    }
}

/// `flow` as the projection wants it, and the names of the output columns in the order written.
pub(super) fn project(
    graph: &mut Graph,
    flow: Flow,
    items: &[Item],
    keys: &[KeyChoice],
    query: &Query,
    target: Option<&Name>,
) -> Result<(Flow, Vec<String>)> {
    let scope = flow.scope();
    let chosen = choose_keys(items, keys, query, target)?;
    let mut names = Names::new(items.iter().map(|item| item.name.as_str()));
    let key = keys
        .iter()
        .zip(&chosen)
        .map(|(choice, item)| {
            let name = item.map_or_else(|| names.unique(&choice.column), |i| items[i].name.clone());
            (name, Expr::column(&choice.column))
        })
        .collect();
    let mut value = Vec::new();
    let mut output: Vec<String> = Vec::new();
    for (i, item) in items.iter().enumerate() {
        if output.contains(&item.name) {
            return Err(Error::semantic(format!("two columns of the result are named {}", item.name))
                .at(item.expr.span)
                .hint("Give one of them another alias."));
        }
        output.push(item.name.clone());
        let is_key = chosen.contains(&Some(i));
        let is_window_bound = flow.schema.windowed
            && walk::as_column(&item.expr) == Some(item.name.as_str())
            && [SystemColumn::WindowStart, SystemColumn::WindowEnd].iter().any(|bound| bound.name() == item.name);
        if !is_key && !is_window_bound {
            value.push((item.name.clone(), item.expr.clone(), type_of(&item.expr, &scope, "SELECT")?));
        }
    }
    if let (true, Some(target)) = (value.is_empty(), target) {
        return Err(Error::semantic(format!("{} would have no value columns", target.text))
            .at(query.span)
            .hint("Select at least one column that is not part of the key; AS_VALUE(key) copies a key."));
    }
    Ok((flow::project(graph, flow, key, value)?, output))
}

/// For each key the item that names it. Persistent queries (with a target) must name every key once.
fn choose_keys(items: &[Item], keys: &[KeyChoice], query: &Query, target: Option<&Name>) -> Result<Vec<Option<usize>>> {
    let mut chosen = Vec::with_capacity(keys.len());
    let mut missing: Vec<&str> = Vec::new();
    for choice in keys {
        let found = choice.named_by(items);
        if let (Some(_), [first, second, ..]) = (target, found.as_slice()) {
            return Err(Error::semantic(format!(
                "the key {} is selected twice, as {} and {}",
                choice.shown, items[*first].name, items[*second].name
            ))
            .at(items[*second].expr.span)
            .hint(format!(
                "Copy it into the value with AS_VALUE: AS_VALUE({}) AS {}.",
                choice.shown, items[*second].name
            )));
        }
        if found.is_empty() {
            missing.push(&choice.shown);
        }
        chosen.push(found.first().copied());
    }
    match target {
        Some(target) if !missing.is_empty() => {
            let what = missing.join(" and ");
            Err(Error::semantic(format!("the projection of {} lacks its key: {what}", target.text))
                .at(query.span)
                .hint(format!(
                    "Add it: SELECT {}, ….",
                    keys.iter().map(|key| key.shown.split(" or ").next().unwrap_or("")).collect::<Vec<_>>().join(", ")
                )))
        }
        _ => Ok(chosen),
    }
}

/// What a sink is made from, besides the flow.
pub(super) struct SinkContext<'a> {
    pub(super) env: Environment<'a>,
    pub(super) query: &'a Query,
    /// The leftmost source: what is not said is as there.
    pub(super) source: &'a Source,
    /// `PARTITION BY NULL`
    pub(super) unkeyed: bool,
    /// The statement's text.
    pub(super) statement: &'a str,
}

impl SinkContext<'_> {
    /// The new source of `CREATE … AS`, its topic's properties, and the nodes that fill it.
    pub(super) fn create(&self, graph: &mut Graph, flow: Flow, create: &CreateAs) -> Result<(Flow, Source, TopicSpec)> {
        let with = WithClause::new(&create.properties, WithOf::CreateAs)?;
        let kind = if create.table { SourceKind::Table } else { SourceKind::Stream };
        if kind != flow.kind {
            return Err(Error::semantic(format!("the query makes a {}, not a {kind}", flow.kind))
                .at(create.name.span)
                .hint(format!("Write CREATE {} {} AS SELECT ….", flow.kind, create.name.text)));
        }
        self.check_replaced(create)?;
        let schema = unheadered(&flow.schema);
        let spec = with.topic()?;
        if spec.retention_ms.is_some() && kind == SourceKind::Table && flow.window.is_none() {
            return Err(
                Error::semantic("RETENTION_MS is for streams and windowed tables").at(with.span("RETENTION_MS"))
            );
        }
        let topic = match with.filled("KAFKA_TOPIC")? {
            Some(topic) => topic.to_owned(),
            None => format!("{}{}", self.env.config.topic_prefix, create.name.text),
        };
        let (key_format, value_format) = self.formats(&with, &schema, create.name.span)?;
        for (format, is_key) in [(&key_format, true), (&value_format, false)] {
            let columns = if is_key { schema.key().to_vec() } else { value_columns(&schema) };
            let check = self.env.schemas.check(format, &topic, is_key, &columns);
            check.map_err(|error| error.at(create.name.span))?;
        }
        let source = Source {
            name: create.name.text.clone(),
            kind,
            schema: schema.clone(),
            topic: topic.clone(),
            key_format,
            value_format,
            window: flow.window,
            timestamp: with.timestamp(&schema)?,
            created_by: None,
            read_only: false,
            statement: self.statement.to_owned(),
        };
        let flow = if kind == SourceKind::Table { materialized(graph, flow, Changelog::SinkTopic) } else { flow };
        Ok((self.write(graph, flow, &source), source, spec))
    }

    fn check_replaced(&self, create: &CreateAs) -> Result<()> {
        match self.env.catalog.find(&create.name.text) {
            Some(existing) if create.or_replace && existing.read_only => {
                Err(Error::semantic(format!("{} is read-only and cannot be replaced", existing.name))
                    .at(create.name.span))
            }
            _ => Ok(()),
        }
    }

    fn formats(
        &self,
        with: &WithClause<'_>,
        schema: &LogicalSchema,
        span: Span,
    ) -> Result<(crate::types::FormatSpec, crate::types::FormatSpec)> {
        let inherited_key = &self.source.key_format;
        let key = match with.format(Side::Key)? {
            Some(features) if self.unkeyed && features.name != "NONE" => {
                return Err(Error::semantic(format!("the key format {} for a stream without a key", features.name))
                    .at(span)
                    .hint("PARTITION BY NULL leaves no key: leave KEY_FORMAT out."));
            }
            Some(features) => features,
            None if self.unkeyed => formats::features("NONE", span)?,
            // > KSQL: NONE becomes the default as soon as there is a key.
            None if inherited_key.name == "NONE" && schema.key_len() > 0 => {
                formats::features(&self.env.config.default_key_format, span)?
            }
            None => formats::features(&inherited_key.name, span)?,
        };
        let inherited_value = &self.source.value_format;
        let value = match with.format(Side::Value)? {
            Some(features) => features,
            None => formats::features(&inherited_value.name, span)?,
        };
        let values = value_columns(schema);
        let key = checked_format(self.env, with, Side::Key, key, Some(inherited_key), schema.key(), span)?;
        let value = checked_format(self.env, with, Side::Value, value, Some(inherited_value), &values, span)?;
        Ok((key, value))
    }

    /// The nodes that write into an existing stream.
    pub(super) fn insert(&self, graph: &mut Graph, flow: Flow, target: &Name) -> Result<(Flow, Source)> {
        let source = self.env.catalog.source(&target.text).map_err(|error| error.at(target.span))?;
        check_insertable(source, target, flow.kind)?;
        let refuse = |what: String| {
            Error::semantic(format!("the query does not fit {}: {what}", source.name))
                .at(self.query.span)
                .hint(format!("It gives ({}), and {} has ({}).", flow.schema, source.name, source.schema))
        };
        if flow.schema.windowed != source.schema.windowed {
            let which = if flow.schema.windowed { "its result is windowed" } else { "its result is not windowed" };
            return Err(refuse(which.to_owned()));
        }
        let (given, wanted) = (&flow.schema.columns, &source.schema.columns);
        if given.len() != wanted.len() {
            return Err(refuse(format!("{} columns for {}", given.len(), wanted.len())));
        }
        let mut key = Vec::new();
        let mut value = Vec::new();
        for (given, wanted) in given.iter().zip(wanted) {
            if given.name != wanted.name || (given.namespace == Namespace::Key) != (wanted.namespace == Namespace::Key)
            {
                return Err(refuse(format!("column {} where {} is expected", given.name, wanted.name)));
            }
            let column = Expr::column(&given.name);
            let expr = match widened(&given.ty, &wanted.ty) {
                Some(None) => column,
                Some(Some(ty)) if wanted.namespace != Namespace::Key => {
                    Expr::new(ExprKind::Cast { expr: Box::new(column), ty }, Span::default())
                }
                _ => return Err(refuse(format!("column {} is {} and must be {}", given.name, given.ty, wanted.ty))),
            };
            if wanted.namespace == Namespace::Key {
                key.push((wanted.name.clone(), expr));
            } else {
                value.push((wanted.name.clone(), expr, wanted.ty.clone()));
            }
        }
        let flow = flow::project(graph, flow, key, value)?;
        Ok((self.write(graph, flow, source), Source::clone(source)))
    }

    fn write(&self, graph: &mut Graph, flow: Flow, source: &Source) -> Flow {
        let spec = SinkSpec {
            topic: source.topic.clone(),
            key_format: source.key_format.clone(),
            value_format: source.value_format.clone(),
            window: source.window,
            timestamp: source.timestamp.clone(),
            composed_key: self.query.partition_by.len() > 1,
        };
        let schema = unheadered(&flow.schema);
        let node = graph.add("Sink", vec![flow.node], OperatorSpec::Sink(spec), schema.clone(), flow.kind);
        Flow { node, schema, ..flow }
    }
}

fn check_insertable(source: &Source, target: &Name, result: SourceKind) -> Result<()> {
    let error = if source.kind == SourceKind::Table {
        Error::semantic(format!("INSERT INTO writes to streams, and {} is a table", source.name))
            .hint("A table has one query that fills it: CREATE TABLE … AS SELECT.")
    } else if source.read_only {
        Error::semantic(format!("the stream {} is read-only", source.name))
            .hint("It was made with CREATE SOURCE STREAM.")
    } else if source.schema.columns.iter().any(|column| matches!(column.namespace, Namespace::Headers(_))) {
        Error::semantic(format!("{} has header columns, which cannot be written", source.name))
            .hint("Insert into a stream over the same topic without them.")
    } else if result == SourceKind::Table {
        Error::semantic(format!("the query makes a TABLE, and {} is a stream", source.name))
            .hint("Changes of a table are no records of a stream: CREATE TABLE … AS SELECT.")
    } else {
        return Ok(());
    };
    Err(error.at(target.span))
}

/// How a column of type `from` goes into one of type `to`: as it is, or through a cast that loses nothing.
fn widened(from: &SqlType, to: &SqlType) -> Option<Option<TypeExpr>> {
    if from == to {
        return Some(None);
    }
    let named = |name: &str| Some(Some(TypeExpr::Named(Name::synthetic(name))));
    match (from, to) {
        (SqlType::Int, SqlType::BigInt) => named("BIGINT"),
        (SqlType::Int | SqlType::BigInt | SqlType::Decimal(..), SqlType::Double) => named("DOUBLE"),
        (SqlType::Int, SqlType::Decimal(p, s)) if p - s >= 10 => Some(Some(TypeExpr::Decimal(*p, *s))),
        (SqlType::BigInt, SqlType::Decimal(p, s)) if p - s >= 19 => Some(Some(TypeExpr::Decimal(*p, *s))),
        (SqlType::Decimal(p1, s1), SqlType::Decimal(p2, s2)) if s2 >= s1 && p2 - s2 >= p1 - s1 => {
            Some(Some(TypeExpr::Decimal(*p2, *s2)))
        }
        _ => None,
    }
}

/// Header columns of a source are plain values of a result.
fn unheadered(schema: &LogicalSchema) -> LogicalSchema {
    let mut schema = schema.clone();
    for column in &mut schema.columns {
        if matches!(column.namespace, Namespace::Headers(_)) {
            *column = Column::value(&column.name, column.ty.clone());
        }
    }
    schema
}

/// `flow` kept for pull queries.
pub(super) fn materialized(graph: &mut Graph, flow: Flow, changelog: Changelog) -> Flow {
    let store = graph.store("Materialize", changelog);
    let spec = OperatorSpec::Materialize { store };
    let node = graph.add("Materialize", vec![flow.node], spec, flow.schema.clone(), flow.kind);
    Flow { node, ..flow }
}
