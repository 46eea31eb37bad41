//! Queries to [`Topology`], in the steps of [`plan_query`]: sources found, expressions bound to unique columns, then
//! source → joins → WHERE → PARTITION BY → table functions → GROUP BY and HAVING → projection → sink.
//!
//! **Invariant:** every expression is bound before the first operator is decided, so that sources read only the
//! columns that the whole query uses.

mod aggregate;
pub(super) mod bind;
mod condition;
mod flow;
mod graph;
mod join;
mod names;
mod partition;
pub mod pull;
mod select;
mod sink;
mod sources;
mod tables;

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result};
use crate::expr::functions::FunctionKind;
use crate::sql::ast::{AliasedSource, CreateAs, Expr, Name, Properties, Query, Relation};
use crate::types::{Column, SourceKind};

use super::Environment;
use super::properties::{TopicSpec, WithClause, WithOf};
use super::topology::{OperatorSpec, Topology};
use super::walk;
use aggregate::Aggregation;
use bind::Binder;
use condition::BoundJoin;
use flow::{Durability, Flow};
use graph::Graph;
use join::JoinBuilder;
use partition::PartitionKey;
use select::{Expansion, Item};
use sink::{KeyChoice, SinkContext};
use sources::Sources;

/// Where a query's result goes.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// `CREATE STREAM|TABLE … AS SELECT`
    Create(&'a CreateAs),
    /// `INSERT INTO … SELECT`
    Insert {
        /// The stream that takes the rows.
        target: &'a Name,
        /// `WITH (…)`
        properties: &'a Properties,
    },
    /// A push query.
    Push,
}

/// A planned query.
#[derive(Debug, Clone)]
pub struct Planned {
    /// What runs.
    pub topology: Topology,
    /// Output columns in the order of the projection; each is a column of the topology's schema (or a window bound).
    pub output: Vec<Column>,
    /// Sources that it reads, sorted.
    pub sources: Vec<String>,
    /// What it writes to: the new source of `CREATE … AS`, the target of `INSERT INTO`.
    pub sink: Option<Source>,
    /// What a new sink topic shall be like. What is not said is as in `leftmost_topic`.
    pub topic: TopicSpec,
    /// Topic of the first source: a new sink topic has as many partitions and replicas.
    pub leftmost_topic: String,
    /// `WITH (QUERY_ID = …)`
    pub query_id: Option<String>,
}

/// Plans a query for its target; `statement` is the whole statement's text.
pub fn plan_query(env: Environment<'_>, query: &Query, target: Target<'_>, statement: &str) -> Result<Planned> {
    let target_name = match target {
        Target::Create(create) => Some(&create.name),
        Target::Insert { target, .. } => Some(target),
        Target::Push => None,
    };
    check_clauses(query, target_name.is_some())?;
    let query_id = match target {
        Target::Insert { properties, .. } => WithClause::new(properties, WithOf::Insert)?.query_id()?,
        _ => None,
    };
    let sources = Sources::resolve(env.catalog, &query.from)?;
    if let (Some(windowed), true) =
        (sources.list.iter().position(|from| from.is_table() && from.source.window.is_some()), target_name.is_some())
    {
        return Err(Error::unsupported("persistent queries on windowed tables")
            .at(sources.span(&query.from, windowed))
            .hint("Register its topic as a stream (WINDOW_TYPE, WINDOW_SIZE) and query that."));
    }

    let bound = bind_query(query, &sources, target_name.is_some())?;
    let durability = Durability { persistent: target_name.is_some() };
    let mut graph = Graph::default();
    let (mut flow, items, mut keys) = build(env, &mut graph, &sources, bound, durability)?;
    let copies =
        !sources.joined() && !flow.schema.windowed && query.partition_by.is_empty() && query.group_by.is_empty();
    let free_keys = env.config.keys_as_selected && copies && flow.kind == SourceKind::Stream && target_name.is_some();
    if free_keys {
        flow = keys_as_selected(&mut graph, flow, &items, &mut keys)?;
    }
    let (flow, output_names) = sink::project(&mut graph, flow, &items, &keys, query, target_name)?;

    let leftmost = Arc::clone(&sources.list[0].source);
    let unkeyed = (free_keys || !query.partition_by.is_empty()) && flow.schema.key_len() == 0;
    let context = SinkContext { env, query, source: &leftmost, unkeyed, statement };
    let mut topic = TopicSpec::default();
    let (flow, sink) = match target {
        Target::Create(create) => {
            let (flow, source, spec) = context.create(&mut graph, flow, create)?;
            topic = spec;
            (flow, Some(source))
        }
        Target::Insert { target, .. } => {
            let (flow, source) = context.insert(&mut graph, flow, target)?;
            (flow, Some(source))
        }
        Target::Push => (collect(&mut graph, flow, query.limit), None),
    };
    let columns = flow.schema.batch_columns();
    let output =
        output_names.iter().filter_map(|name| columns.iter().find(|column| column.name == *name).cloned()).collect();
    let topology = graph.finish(flow.schema, flow.kind);
    let sources = topology.sources().into_iter().map(str::to_owned).collect();
    Ok(Planned { topology, output, sources, sink, topic, leftmost_topic: leftmost.topic.clone(), query_id })
}

/// A stream with those of its keys that `items` name, in their order.
fn keys_as_selected(graph: &mut Graph, flow: Flow, items: &[Item], keys: &mut Vec<KeyChoice>) -> Result<Flow> {
    keys.retain(|key| !key.named_by(items).is_empty());
    keys.sort_by_key(|key| key.named_by(items));
    let part = |key: &KeyChoice| PartitionKey { expr: Expr::column(&key.column), name: key.column.clone() };
    let parts: Vec<PartitionKey> = keys.iter().map(part).collect();
    let used: BTreeSet<&str> =
        items.iter().flat_map(|item| walk::columns(&item.expr)).map(|name| name.text.as_str()).collect();
    partition::build(graph, flow, &parts, &|name| used.contains(name))
}

/// What keeps a `CREATE SOURCE TABLE` queryable.
pub fn plan_source_table(catalog: &Catalog, name: &str) -> Result<Topology> {
    let aliased = AliasedSource { name: Name::synthetic(name), alias: None };
    let sources = Sources::resolve(catalog, &Relation { first: aliased, joins: Vec::new() })?;
    if !sources.list[0].is_table() {
        return Err(Error::semantic(format!("{name} is a stream, and only tables are materialised")));
    }
    let durability = Durability { persistent: true };
    let all =
        sources.columns.iter().filter(|column| column.system.is_none()).map(|column| column.name.clone()).collect();
    let mut graph = Graph::default();
    let flow = flow::source(&mut graph, &sources, 0, &all, durability, sources.list[0].source.window, None);
    let flow = sink::materialized(&mut graph, flow, durability.changelog(None));
    Ok(graph.finish(flow.schema, flow.kind))
}

fn check_clauses(query: &Query, persistent: bool) -> Result<()> {
    if let Some((first, _)) = query.order_by.first() {
        return Err(Error::unsupported("ORDER BY in a query that never ends")
            .at(first.span)
            .hint("A query without EMIT CHANGES sorts the rows that are there now."));
    }
    if query.limit.is_some() && persistent {
        return Err(Error::semantic("LIMIT in a persistent query")
            .at(query.span)
            .hint("It would stop for good after so many rows: leave LIMIT out."));
    }
    Ok(())
}

/// A query over unique columns.
struct Bound<'q> {
    joins: Vec<BoundJoin<'q>>,
    /// Name of the key column of joins inside.
    join_key: String,
    filter: Option<Expr>,
    partition: Option<Vec<PartitionKey>>,
    aggregation: Option<Aggregation>,
    items: Vec<Item>,
}

fn bind_query<'q>(query: &'q Query, sources: &Sources, persistent: bool) -> Result<Bound<'q>> {
    let mut names = sources.names();
    let joins = condition::analyse(query, sources)?;
    let join_key = if joins.is_empty() { String::new() } else { names.unique("ROWKEY") };
    let synthetic = joins.last().filter(|join| join.viable.is_empty()).map(|_| join_key.as_str());
    let binder = Binder::new(sources, synthetic, query.window.is_some());
    let filter = match &query.filter {
        Some(filter) => {
            bind::check_scalar(filter, "WHERE")?;
            Some(binder.bind(filter, "WHERE")?)
        }
        None => None,
    };
    let partition = partition::analyse(query, sources, &binder, &mut names)?;
    let expansion =
        Expansion { sources, binder: &binder, persistent, partition: partition.as_deref(), synthetic_key: synthetic };
    let mut items = expansion.expand(query, &mut names)?;
    let aggregation = aggregate::analyse(query, sources, &binder, &mut items, persistent)?;
    Ok(Bound { joins, join_key, filter, partition, aggregation, items })
}

/// Everything between the sources and the projection.
fn build(
    env: Environment<'_>,
    graph: &mut Graph,
    sources: &Sources,
    bound: Bound<'_>,
    durability: Durability,
) -> Result<(Flow, Vec<Item>, Vec<KeyChoice>)> {
    let Bound { joins, join_key, filter, partition, aggregation, mut items } = bound;
    let selected = |items: &[Item], except: Option<usize>| -> BTreeSet<String> {
        let items = items.iter().enumerate().filter(|(i, _)| Some(*i) != except);
        items.flat_map(|(_, item)| walk::columns(&item.expr)).map(|name| name.text.clone()).collect()
    };
    let mut keys = source_keys(sources, &joins, &join_key);
    // The item that names a join's key is the key itself: its column need not be carried along.
    let key_item = match (&keys[..], &partition, &aggregation) {
        ([key], None, None) if !joins.is_empty() => key.named_by(&items).first().copied(),
        _ => None,
    };
    let mut needed = selected(&items, key_item);
    let (early, filter) = match filter {
        Some(filter) if only_looks_up(sources) => split_filter(filter, sources),
        filter => (None, filter),
    };
    let mut need = |expr: &Expr| needed.extend(walk::columns(expr).iter().map(|name| name.text.clone()));
    filter.iter().for_each(&mut need);
    partition.iter().flatten().for_each(|key| need(&key.expr));
    aggregation.iter().flat_map(Aggregation::inputs).for_each(&mut need);

    let copies_table = sources.list[0].is_table() && !sources.joined() && aggregation.is_none();
    if durability.persistent && copies_table {
        // All columns are kept, so that the query may be replaced by one that uses others.
        let all = sources.columns.iter().filter(|column| column.system.is_none() && !column.key);
        needed.extend(all.map(|column| column.name.clone()));
    }
    let mut flow = if joins.is_empty() {
        flow::source(graph, sources, 0, &needed, durability, sources.list[0].source.window, None)
    } else {
        let builder =
            JoinBuilder { env, graph, sources, joins: &joins, early, needed: &needed, key_name: &join_key, durability };
        builder.build()?
    };
    if let Some(filter) = &filter {
        flow = flow::filter(graph, flow, "Filter", filter, "WHERE")?;
    }
    if let Some(partition) = &partition {
        for item in &mut items {
            item.expr = with_keys(&item.expr, partition)?;
        }
        let used = selected(&items, None);
        flow = partition::build(graph, flow, partition, &|name| used.contains(name))?;
        keys = partition.iter().map(|key| plain_key(&key.name, sources.shown_expr(&key.expr))).collect();
    }
    if items.iter().any(|item| bind::find_call(&item.expr, FunctionKind::Table).is_some()) {
        flow = tables::build(graph, flow, &mut items)?;
    }
    if let Some(aggregation) = &aggregation {
        aggregation.check_state(&sources.list[0].source.value_format)?;
        flow = aggregation.build(graph, flow, durability, env.config)?;
        keys = aggregation.groups.iter().map(|group| plain_key(&group.name, group.shown.clone())).collect();
    }
    Ok((flow, items, keys))
}

/// Whether the query is one stream that looks rows up in tables, so that a row can go before it is joined.
fn only_looks_up(sources: &Sources) -> bool {
    sources.joined() && !sources.list[0].is_table() && sources.list[1..].iter().all(|from| from.is_table())
}

/// The part of WHERE that the first source alone decides, and the rest.
fn split_filter(filter: Expr, sources: &Sources) -> (Option<Expr>, Option<Expr>) {
    let of_first = |condition: &Expr| {
        walk::columns(condition).iter().all(|name| sources.by_name(&name.text).is_some_and(|column| column.source == 0))
    };
    let (early, late) = walk::conjuncts(filter).into_iter().partition(of_first);
    (walk::all_of(early), walk::all_of(late))
}

fn plain_key(name: &str, shown: String) -> KeyChoice {
    KeyChoice { column: name.to_owned(), any_of: vec![name.to_owned()], shown }
}

fn source_keys(sources: &Sources, joins: &[BoundJoin<'_>], join_key: &str) -> Vec<KeyChoice> {
    let Some(last) = joins.last() else {
        let keys = sources.of(0).filter(|column| column.key);
        return keys.map(|column| plain_key(&column.name, column.own.clone())).collect();
    };
    if last.viable.is_empty() {
        return vec![plain_key(join_key, join_key.to_owned())];
    }
    if last.foreign && last.viable.len() > 1 {
        return last.viable.iter().map(|name| plain_key(name, sources.shown(name))).collect();
    }
    let shown: Vec<String> = last.viable.iter().map(|name| sources.shown(name)).collect();
    vec![KeyChoice { column: join_key.to_owned(), any_of: last.viable.clone(), shown: shown.join(" or ") }]
}

/// `expr` with the expressions of PARTITION BY replaced by the key columns that hold them.
fn with_keys(expr: &Expr, keys: &[PartitionKey]) -> Result<Expr> {
    walk::rewrite(expr, &mut |part| {
        let key = keys.iter().find(|key| key.expr == *part);
        Ok(key.map(|key| walk::column_at(&key.name, part)))
    })
}

fn collect(graph: &mut Graph, mut flow: Flow, limit: Option<u64>) -> Flow {
    if let Some(rows) = limit {
        flow.node = graph.add("Limit", vec![flow.node], OperatorSpec::Limit { rows }, flow.schema.clone(), flow.kind);
    }
    flow.node = graph.add("Collect", vec![flow.node], OperatorSpec::Collect, flow.schema.clone(), flow.kind);
    flow
}
