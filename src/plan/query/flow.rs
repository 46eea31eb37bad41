//! [`Flow`]: the output of a node while a query is being built, and the steps that every query uses.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::expr::Scope;
use crate::plan::formats;
use crate::plan::topology::{Changelog, NamedExpr, OperatorSpec, RepartitionSpec, SourceSpec};
use crate::sql::ast::Expr;
use crate::types::{Column, FormatSpec, KeyWindow, LogicalSchema, Namespace, SourceKind, SystemColumn};

use super::bind::check_condition;
use super::graph::Graph;
use super::sources::Sources;

/// What comes out of a node.
#[derive(Debug, Clone)]
pub(super) struct Flow {
    /// The node.
    pub(super) node: usize,
    /// Its columns.
    pub(super) schema: LogicalSchema,
    /// Stream or table.
    pub(super) kind: SourceKind,
    /// The format whose key bytes decided its partitions.
    pub(super) key_format: FormatSpec,
    /// The window in the key.
    pub(super) window: Option<KeyWindow>,
    /// Topics that have as many partitions.
    pub(super) topics: Vec<String>,
    /// Columns of the query that equal the (single) key column in every row.
    pub(super) key_copies: Vec<String>,
}

impl Flow {
    /// Its columns, for typing expressions over it.
    pub(super) fn scope(&self) -> Scope {
        Scope::of(&self.schema.batch_columns())
    }
}

/// A way through a topic, so that rows land in the partitions of their keys.
#[derive(Debug, Clone)]
pub(super) struct Move {
    /// Name of the nodes and of the topic.
    pub(super) name: String,
    /// End of the topic's name.
    pub(super) suffix: &'static str,
    /// How keys are written.
    pub(super) format: FormatSpec,
    /// Topics whose partition count it takes.
    pub(super) partitions_of: Vec<String>,
    /// Why.
    pub(super) reason: String,
}

/// The usual end of an internal topic's name.
pub(super) const REPARTITION: &str = "repartition";

/// Where the changes of a query's stores go.
#[derive(Debug, Clone, Copy)]
pub(super) struct Durability {
    /// Whether the query survives a restart.
    pub(super) persistent: bool,
}

impl Durability {
    /// A changelog topic, for queries that survive.
    pub(super) fn changelog(self, retention_ms: Option<i64>) -> Changelog {
        if self.persistent { Changelog::Topic { retention_ms } } else { Changelog::None }
    }
}

/// The rows of source `i`, under its own column names: keys, of the other columns those that `needed` (of the query's
/// unique names) holds. `rekeyed` writes the key anew in another format first, so that it lands in other partitions.
pub(super) fn source(
    graph: &mut Graph,
    sources: &Sources,
    i: usize,
    needed: &BTreeSet<String>,
    durability: Durability,
    window: Option<KeyWindow>,
    rekeyed: Option<Move>,
) -> Flow {
    let source = &sources.list[i].source;
    let used = |own: &str| sources.of(i).any(|column| column.own == own && needed.contains(&column.name));
    let mut columns: Vec<Column> = source.schema.key().to_vec();
    columns.extend(source.schema.value().iter().filter(|column| used(&column.name)).cloned());
    // Window bounds are part of every windowed batch.
    let system: Vec<SystemColumn> = [SystemColumn::RowTime, SystemColumn::RowPartition, SystemColumn::RowOffset]
        .into_iter()
        .filter(|column| used(column.name()))
        .collect();
    columns.extend(system.iter().map(|column| Column::value(column.name(), column.ty())));
    let schema = LogicalSchema { columns, windowed: window.is_some() };
    let spec = SourceSpec {
        source: source.name.clone(),
        topic: source.topic.clone(),
        kind: source.kind,
        declared: source.schema.clone(),
        key_format: source.key_format.clone(),
        value_format: source.value_format.clone(),
        window,
        timestamp: source.timestamp.clone(),
        system,
    };
    let node = graph.add("Source", Vec::new(), OperatorSpec::Source(spec), schema.clone(), source.kind);
    let mut flow = Flow {
        node,
        schema,
        kind: source.kind,
        key_format: source.key_format.clone(),
        window,
        topics: vec![source.topic.clone()],
        key_copies: Vec::new(),
    };
    if let Some(rekeyed) = rekeyed {
        flow = repartition(graph, flow, rekeyed);
    }
    if source.kind == SourceKind::Table {
        let store = graph.store("Table", durability.changelog(None));
        let spec = OperatorSpec::TableSource { store };
        flow.node = graph.add("TableSource", vec![flow.node], spec, flow.schema.clone(), flow.kind);
    }
    flow
}

/// `flow` through a topic.
pub(super) fn repartition(graph: &mut Graph, flow: Flow, moved: Move) -> Flow {
    let Move { name, suffix, format, partitions_of, reason } = moved;
    let topic = graph.topic(&name, suffix);
    let key_format = formats::internal_key_format(&format, flow.schema.key());
    let topics = partitions_of.clone();
    let spec = RepartitionSpec { topic: topic.clone(), key_format: key_format.clone(), partitions_of, reason };
    let sink = format!("{name}-sink");
    graph.add(&sink, vec![flow.node], OperatorSpec::RepartitionSink(spec), flow.schema.clone(), flow.kind);
    let spec = OperatorSpec::RepartitionSource { topic, key_format: key_format.clone() };
    let node = graph.add(&format!("{name}-source"), Vec::new(), spec, flow.schema.clone(), flow.kind);
    Flow { node, key_format, topics, ..flow }
}

/// The rows of `flow` for which `predicate` holds.
pub(super) fn filter(graph: &mut Graph, flow: Flow, name: &str, predicate: &Expr, clause: &str) -> Result<Flow> {
    check_condition(predicate, &flow.scope(), clause)?;
    let spec = OperatorSpec::Filter { predicate: predicate.to_string() };
    let node = graph.add(name, vec![flow.node], spec, flow.schema.clone(), flow.kind);
    Ok(Flow { node, ..flow })
}

/// `flow` with these columns. Nothing is added when they are the columns that it has.
pub(super) fn project(
    graph: &mut Graph,
    flow: Flow,
    key: Vec<(String, Expr)>,
    value: Vec<(String, Expr, crate::types::SqlType)>,
) -> Result<Flow> {
    if key.len() != flow.schema.key_len() {
        return Err(Error::internal("a projection must pass every key column"));
    }
    let renamed = key.iter().zip(flow.schema.key()).map(|((name, _), column)| Column::key(name, column.ty.clone()));
    let mut columns: Vec<Column> = renamed.collect();
    columns.extend(value.iter().map(|(name, _, ty)| Column::value(name, ty.clone())));
    let schema = LogicalSchema { columns, windowed: flow.schema.windowed };
    let named = |name: &str, expr: &Expr| NamedExpr { name: name.to_owned(), expr: expr.to_string() };
    let plain = |name: &str, expr: &Expr| crate::plan::walk::as_column(expr) == Some(name);
    let same = schema == flow.schema
        && key.iter().all(|(name, expr)| plain(name, expr))
        && value.iter().all(|(name, expr, _)| plain(name, expr))
        && flow.schema.value().iter().all(|column| column.namespace == Namespace::Value);
    if same {
        return Ok(flow);
    }
    let spec = OperatorSpec::Project {
        key: key.iter().map(|(name, expr)| named(name, expr)).collect(),
        value: value.iter().map(|(name, expr, _)| named(name, expr)).collect(),
    };
    let node = graph.add("Project", vec![flow.node], spec, schema.clone(), flow.kind);
    Ok(Flow { node, schema, ..flow })
}
