//! [`Blueprint`]: a query's topology with everything that its tasks need to be built: names and partition counts of its
//! topics. Operators are built from it, one set a task.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::decoding::Decodings;
use super::round::{Reader, TaskInput};
use super::sink::{RepartitionWriter, SinkWriter};
use super::task::{NodeKind, RunningNode, Task};
use crate::broker::TopicPartition;
use crate::error::{Error, Result};
use crate::expr::functions::{ArgType, FunctionEnv};
use crate::expr::{CompiledExpr, Scope, compile};
use crate::format::Formats;
use crate::operator::{
    Aggregation, AggregationConfig, Call, Filter, FlatMap, ForeignKey, ForeignKeyJoin, GroupBy, Limit, Materialize,
    NewestResult, Operator, PartitionBy, PartitionKey, Project, SessionAggregation, StreamStreamJoin,
    StreamStreamJoinConfig, StreamTableJoin, TableSource, TableTableJoin,
};
use crate::plan::topology::{
    AggregateCall, AggregateSpec, Changelog, NamedExpr, Node, OperatorSpec, StoreSpec, SubTopology, Topology,
};
use crate::sql::ast::{Expr, ExprKind, UnaryOp};
use crate::sql::parse_expr;
use crate::state::{Fingerprint, MemoryBase, StateEnv, StateStore, StoreId};
use crate::time::{Clock, NO_TIME, WindowKind};
use crate::types::{LogicalSchema, SourceKind, Value};

/// A query ready to be run.
#[derive(Debug, Clone)]
pub struct Blueprint {
    /// The query's id.
    pub query_id: String,
    /// What it runs.
    pub topology: Topology,
    /// In front of the names of its internal topics.
    pub prefix: String,
    /// Partition counts of all its topics, internal ones under their full names.
    pub partitions: BTreeMap<String, i32>,
    /// Partition counts of source topics before they were given more: what came later is read from its first record.
    pub grown_from: BTreeMap<String, i32>,
    /// How its topics are read and written.
    pub formats: Formats,
    /// How it decodes together with others.
    pub decodings: Decodings,
}

/// Where each input starts: topic to offset and rows done of its first record.
pub type Positions = BTreeMap<Arc<str>, (i64, usize)>;

impl Blueprint {
    /// A query whose source and sink topics have `partitions` (by name); internal topics get theirs from those.
    pub fn new(
        query_id: &str,
        topology: Topology,
        prefix: &str,
        partitions: &dyn Fn(&str) -> Option<i32>,
    ) -> Result<Self> {
        let mut blueprint = Self {
            query_id: query_id.to_owned(),
            topology,
            prefix: prefix.to_owned(),
            partitions: BTreeMap::new(),
            grown_from: BTreeMap::new(),
            formats: Formats::default(),
            decodings: Decodings::default(),
        };
        let missing = |topic: &str, role: &str| {
            Error::not_found(format!("topic {topic}, which the query {role}, does not exist"))
        };
        let nodes: Vec<Node> = blueprint.topology.sub_topologies.iter().flat_map(|sub| sub.nodes.clone()).collect();
        for node in &nodes {
            let (topic, role) = match &node.spec {
                OperatorSpec::Source(spec) => (&spec.topic, "reads"),
                OperatorSpec::Sink(spec) => (&spec.topic, "writes"),
                _ => continue,
            };
            blueprint.partitions.insert(topic.clone(), partitions(topic).ok_or_else(|| missing(topic, role))?);
        }
        // Repartition topics may depend on earlier ones: sub-topologies come in dependency order.
        for node in &nodes {
            if let OperatorSpec::RepartitionSink(spec) = &node.spec {
                let count = |topic: &String| {
                    let known = blueprint.partitions.get(topic).copied();
                    known.or_else(|| blueprint.partitions.get(&blueprint.internal_topic(topic)).copied())
                };
                let count = spec.partitions_of.iter().filter_map(count).max();
                let topic = blueprint.internal_topic(&spec.topic);
                blueprint.partitions.insert(topic, count.unwrap_or(1));
            }
        }
        Ok(blueprint)
    }

    /// The same query with formats that know a schema registry.
    pub fn with_formats(self, formats: Formats) -> Self {
        Self { formats, ..self }
    }

    /// The same query, which decodes together with others that have the same formats.
    pub fn with_decodings(self, decodings: Decodings) -> Self {
        Self { decodings, ..self }
    }

    /// The full name of an internal topic.
    pub fn internal_topic(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// All internal topics: name, partitions, and for changelogs how long rows are kept.
    pub fn internal_topics(&self) -> Vec<InternalTopic> {
        let mut topics = Vec::new();
        for (index, sub) in self.topology.sub_topologies.iter().enumerate() {
            for node in &sub.nodes {
                if let OperatorSpec::RepartitionSink(spec) = &node.spec {
                    let name = self.internal_topic(&spec.topic);
                    topics.push(InternalTopic { partitions: self.partitions_of(&name), name, changelog: None });
                }
            }
            for (i, store) in sub.stores.iter().enumerate() {
                if let Some(name) = self.changelog_topic(index, i) {
                    let partitions = self.task_count(index);
                    topics.push(InternalTopic { name, partitions, changelog: Some(store.changelog.clone()) });
                }
            }
        }
        topics
    }

    fn partitions_of(&self, topic: &str) -> i32 {
        self.partitions.get(topic).copied().unwrap_or(1)
    }

    /// Names of the topics that a sub-topology reads, each once.
    pub fn topics_of(&self, sub_topology: usize) -> impl Iterator<Item = String> {
        let mut topics: Vec<String> =
            self.topology.sub_topologies[sub_topology].nodes.iter().filter_map(|node| self.input_topic(node)).collect();
        topics.sort_unstable();
        topics.dedup();
        topics.into_iter()
    }

    fn input_topic(&self, node: &Node) -> Option<String> {
        match &node.spec {
            OperatorSpec::Source(spec) => Some(spec.topic.clone()),
            OperatorSpec::RepartitionSource { topic, .. } => Some(self.internal_topic(topic)),
            _ => None,
        }
    }

    /// Whether a topic is one of the query's own repartition topics.
    pub fn is_repartition(&self, topic: &str) -> bool {
        let nodes = self.topology.sub_topologies.iter().flat_map(|sub| &sub.nodes);
        nodes.into_iter().any(|node| match &node.spec {
            OperatorSpec::RepartitionSource { .. } => self.input_topic(node).as_deref() == Some(topic),
            _ => false,
        })
    }

    /// Names of all topics that the query reads.
    pub fn input_topics(&self) -> Vec<String> {
        let mut topics: Vec<String> =
            (0..self.topology.sub_topologies.len()).flat_map(|sub| self.topics_of(sub)).collect();
        topics.sort_unstable();
        topics.dedup();
        topics
    }

    /// Whether the query was built for this partition of a topic that it reads.
    pub fn expects(&self, partition: &TopicPartition) -> bool {
        partition.partition < self.partitions_of(&partition.topic)
    }

    /// How many tasks a sub-topology has: as many as its widest input has partitions.
    pub fn task_count(&self, sub_topology: usize) -> i32 {
        self.topics_of(sub_topology).map(|topic| self.partitions_of(&topic)).max().unwrap_or(0)
    }

    /// Whether an input is read from its first record even when streams start at the latest one: tables, and the
    /// query's own topics.
    pub fn reads_whole(&self, sub_topology: usize, topic: &str) -> bool {
        self.topology.sub_topologies[sub_topology].nodes.iter().any(|node| match &node.spec {
            OperatorSpec::Source(spec) => spec.topic == topic && spec.kind == SourceKind::Table,
            OperatorSpec::RepartitionSource { .. } => self.input_topic(node).as_deref() == Some(topic),
            _ => false,
        })
    }

    /// Whether tasks of a sub-topology go on from more than offsets: from changelogs, or within a repartition record.
    pub fn keeps_anything(&self, sub_topology: usize) -> bool {
        let sub = &self.topology.sub_topologies[sub_topology];
        sub.stores.iter().any(|store| !matches!(store.changelog, Changelog::None))
            || sub.nodes.iter().any(|node| matches!(node.spec, OperatorSpec::RepartitionSource { .. }))
    }

    /// The changelog topic of a store, if it has one.
    pub fn changelog_topic(&self, sub_topology: usize, store: usize) -> Option<String> {
        let spec = &self.topology.sub_topologies[sub_topology].stores[store];
        match spec.changelog {
            Changelog::None => None,
            Changelog::Topic { .. } | Changelog::SinkTopic => {
                Some(self.internal_topic(&format!("{}-changelog", spec.name)))
            }
        }
    }

    /// Sub-topology and store of the rows that pull queries read, and their columns.
    pub fn materialization(&self) -> Option<(usize, usize)> {
        self.materialized().map(|(sub, store, _)| (sub, store))
    }

    /// Columns of the rows that pull queries read.
    pub fn materialized_schema(&self) -> Option<&LogicalSchema> {
        self.materialized().map(|(_, _, schema)| schema)
    }

    fn materialized(&self) -> Option<(usize, usize, &LogicalSchema)> {
        self.topology.sub_topologies.iter().enumerate().find_map(|(sub, topology)| {
            topology.nodes.iter().find_map(|node| match &node.spec {
                OperatorSpec::Materialize { store } => Some((sub, *store, &node.schema)),
                _ => None,
            })
        })
    }

    /// Names of all stores.
    pub fn store_names(&self) -> Vec<String> {
        let stores = self.topology.sub_topologies.iter().flat_map(|sub| &sub.stores);
        stores.map(|store| store.name.clone()).collect()
    }

    /// Stores of a task, empty but for what may wait on the local disk to be loaded.
    pub fn stores(&self, sub_topology: usize, partition: i32, env: &StateEnv) -> Vec<StateStore> {
        let sub = &self.topology.sub_topologies[sub_topology];
        let fingerprint = fingerprint(sub);
        let store = |spec: &StoreSpec| {
            let query = &self.query_id;
            match spec.changelog {
                // What no changelog could make whole again is not kept.
                Changelog::None => StateStore::new(&spec.name, Box::new(MemoryBase::default())),
                _ => env.store(StoreId { query, sub_topology, partition, store: &spec.name }, fingerprint),
            }
        };
        sub.stores.iter().map(store).collect()
    }

    /// A task over `stores`, its inputs at `positions`.
    pub fn task(
        &self,
        sub_topology: usize,
        partition: i32,
        stores: Vec<StateStore>,
        positions: &Positions,
        stream_time: i64,
        monotonic_us: i64,
    ) -> Result<Task> {
        let sub = &self.topology.sub_topologies[sub_topology];
        let mut feeds: BTreeMap<String, Vec<(usize, Reader)>> = BTreeMap::new();
        let feeds_others = self.feeds_others(sub_topology);
        let mut paced = BTreeSet::new();
        let mut nodes = Vec::with_capacity(sub.nodes.len());
        for (i, node) in sub.nodes.iter().enumerate() {
            if let Some(topic) = self.input_topic(node) {
                let reader = match &node.spec {
                    OperatorSpec::Source(spec) => {
                        if feeds_others && spec.kind == SourceKind::Stream {
                            paced.insert(topic.clone());
                        }
                        Reader::Source(Box::new(self.decodings.reader(spec, &node.schema, &self.formats)?))
                    }
                    _ => Reader::Repartition(node.schema.arrow()),
                };
                feeds.entry(topic).or_default().push((i, reader));
            }
            let kind = self.node(sub, node).map_err(|e| e.without_span().context(format!("node {}", node.name)))?;
            nodes.push(RunningNode { inputs: node.inputs.clone(), kind });
        }
        let inputs = feeds
            .into_iter()
            .map(|(topic, feeds)| {
                let is_paced = paced.contains(&topic);
                let topic: Arc<str> = topic.into();
                let (offset, done) = positions.get(&topic).copied().unwrap_or((0, 0));
                let mut input = TaskInput::new(topic, feeds, offset, done);
                input.paced = is_paced;
                input
            })
            .collect();
        Ok(Task::new(sub_topology, partition, inputs, nodes, stores, stream_time, monotonic_us))
    }

    /// Whether rows of a sub-topology's partitions meet behind a repartition topic.
    pub fn feeds_others(&self, sub_topology: usize) -> bool {
        let nodes = &self.topology.sub_topologies[sub_topology].nodes;
        nodes.iter().any(|node| matches!(node.spec, OperatorSpec::RepartitionSink(_)))
    }

    /// A task with empty stores that starts at the beginning.
    pub fn fresh_task(&self, sub_topology: usize, partition: i32, clock: &dyn Clock) -> Result<Task> {
        let stores = self.stores(sub_topology, partition, &StateEnv::memory());
        self.task(sub_topology, partition, stores, &Positions::new(), NO_TIME, clock.monotonic_us())
    }

    fn node(&self, sub: &SubTopology, node: &Node) -> Result<NodeKind> {
        let input = |port: usize| &sub.nodes[node.inputs[port]].schema;
        let schema = node.schema.clone();
        let operator: Box<dyn Operator> = match &node.spec {
            OperatorSpec::Source(_) | OperatorSpec::RepartitionSource { .. } => return Ok(NodeKind::Input),
            OperatorSpec::Collect => return Ok(NodeKind::Collect),
            OperatorSpec::Sink(spec) => {
                let partitions = self.partitions_of(&spec.topic);
                return Ok(NodeKind::Sink(Box::new(SinkWriter::with_formats(
                    spec,
                    input(0),
                    partitions,
                    &self.formats,
                )?)));
            }
            OperatorSpec::RepartitionSink(spec) => {
                let topic = self.internal_topic(&spec.topic);
                let partitions = self.partitions_of(&topic);
                let writer = RepartitionWriter::new(&topic, partitions, &spec.key_format, input(0))?;
                return Ok(NodeKind::Repartition(Box::new(writer)));
            }
            OperatorSpec::TableSource { store } => Box::new(TableSource::new(*store, &schema)?),
            OperatorSpec::Filter { predicate } => Box::new(Filter::new(expression(predicate, input(0))?)),
            OperatorSpec::Project { key, value } => {
                Box::new(Project::new(input(0), schema, expressions(key, input(0))?, expressions(value, input(0))?))
            }
            OperatorSpec::FlatMap { functions } => {
                Box::new(FlatMap::new(schema, table_functions(functions, input(0))?))
            }
            OperatorSpec::PartitionBy { key, value } => {
                let key = key.iter().map(|named| partition_key(named, input(0))).collect::<Result<_>>()?;
                Box::new(PartitionBy::new(input(0), schema, key, expressions(value, input(0))?))
            }
            OperatorSpec::GroupBy { key, value } => {
                Box::new(GroupBy::new(schema, expressions(key, input(0))?, expressions(value, input(0))?)?)
            }
            OperatorSpec::ForeignKey { key, value, keep_null, store } => {
                let (key, value) = (expressions(key, input(0))?, expressions(value, input(0))?);
                Box::new(ForeignKey::new(schema, key, value, *keep_null, *store, input(0))?)
            }
            OperatorSpec::NewestResult { store, number } => {
                Box::new(NewestResult::new(*store, input(0), number, &schema)?)
            }
            OperatorSpec::ForeignKeyJoin { left_outer, left_store, right_store } => {
                let stores = [*left_store, *right_store];
                Box::new(ForeignKeyJoin::new(*left_outer, stores, input(0), input(1), &schema)?)
            }
            OperatorSpec::Aggregate(spec) => aggregation(spec, schema, input(0))?,
            OperatorSpec::StreamStreamJoin(spec) => {
                let config = StreamStreamJoinConfig {
                    outer: [spec.kind.left_outer, spec.kind.right_outer],
                    before_ms: spec.before_ms,
                    after_ms: spec.after_ms,
                    grace_ms: spec.grace_ms,
                    eager_outer: spec.eager_outer,
                    stores: [spec.left_store, spec.right_store],
                };
                Box::new(StreamStreamJoin::new(config, input(0), input(1), &schema)?)
            }
            OperatorSpec::StreamTableJoin { left_outer, store } => {
                Box::new(StreamTableJoin::new(*left_outer, *store, input(0), input(1), &schema)?)
            }
            OperatorSpec::TableTableJoin { kind, left_store, right_store } => Box::new(TableTableJoin::new(
                [kind.left_outer, kind.right_outer],
                [*left_store, *right_store],
                input(0),
                input(1),
                &schema,
            )?),
            OperatorSpec::Materialize { store } => {
                Box::new(Materialize::new(*store, &schema, window_retention(sub, node))?)
            }
            OperatorSpec::Limit { rows } => Box::new(Limit::new(*rows)),
        };
        Ok(NodeKind::Operator(operator))
    }
}

/// A topic that a query needs for itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InternalTopic {
    /// Its full name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How rows of a changelog are kept; `None` is a repartition topic.
    pub changelog: Option<Changelog>,
}

/// How long the windows above a node are kept by those who make them.
fn window_retention(sub: &SubTopology, node: &Node) -> Option<i64> {
    let own = match &node.spec {
        OperatorSpec::Aggregate(spec) => spec.window.map(|window| window.retention_ms),
        _ => None,
    };
    let above = node.inputs.iter().filter_map(|input| window_retention(sub, &sub.nodes[*input])).max();
    own.max(above)
}

/// Of all that decides what the stores of a sub-topology hold, and how.
fn fingerprint(sub: &SubTopology) -> Fingerprint {
    // Topologies are plain data: no value of theirs fails to become text.
    Fingerprint::of(&[&serde_json::to_vec(sub).unwrap_or_default()])
}

fn scope(schema: &LogicalSchema) -> Scope {
    Scope::of(&schema.batch_columns())
}

fn expression(text: &str, input: &LogicalSchema) -> Result<CompiledExpr> {
    compile(&parse_expr(text)?, &scope(input))
}

fn expressions(named: &[NamedExpr], input: &LogicalSchema) -> Result<Vec<CompiledExpr>> {
    named.iter().map(|named| expression(&named.expr, input)).collect()
}

fn partition_key(named: &NamedExpr, input: &LogicalSchema) -> Result<PartitionKey> {
    let expr = parse_expr(&named.expr)?;
    let mut reads_value = false;
    expr.walk(&mut |part| {
        if let ExprKind::Column { name, .. } = &part.kind {
            reads_value |= !input.key().iter().any(|column| column.name == name.text);
        }
    });
    Ok(PartitionKey { expr: compile(&expr, &scope(input))?, reads_value })
}

/// Table functions as expressions whose cells are arrays.
fn table_functions(functions: &[NamedExpr], input: &LogicalSchema) -> Result<Vec<CompiledExpr>> {
    let compile = |named: &NamedExpr| crate::expr::compile_table(&parse_expr(&named.expr)?, &scope(input));
    functions.iter().map(compile).collect()
}

fn aggregation(spec: &AggregateSpec, schema: LogicalSchema, input: &LogicalSchema) -> Result<Box<dyn Operator>> {
    let env = FunctionEnv::system().with_settings(spec.settings.clone());
    let calls = spec.calls.iter().map(|call| aggregate_call(call, input, &env)).collect::<Result<Vec<_>>>()?;
    let config = AggregationConfig {
        store: spec.store,
        schema,
        window: spec.window,
        emit_final: spec.emit_final,
        forgetful: spec.forgetful,
    };
    Ok(match spec.window {
        Some(window) if window.kind == WindowKind::Session => Box::new(SessionAggregation::new(config, calls)?),
        _ => Box::new(Aggregation::new(config, calls)?),
    })
}

fn aggregate_call(call: &AggregateCall, input: &LogicalSchema, env: &FunctionEnv) -> Result<Call> {
    let exprs = call.args.iter().map(|text| parse_expr(text)).collect::<Result<Vec<_>>>()?;
    let compiled = exprs.iter().map(|expr| compile(expr, &scope(input))).collect::<Result<Vec<_>>>()?;
    let types: Vec<ArgType> =
        compiled.iter().map(|expr| expr.ty().map_or(ArgType::Null, |ty| ArgType::Sql(ty.clone()))).collect();
    let literals: Vec<Option<Value>> = exprs.iter().map(literal).collect();
    let aggregate = crate::expr::aggregate::resolve_aggregate_in(env, &call.function, &types, &literals)?;
    let columns = aggregate.params().len();
    Ok(Call { name: call.name.clone(), aggregate, args: compiled.into_iter().take(columns).collect() })
}

/// The value of a literal.
fn literal(expr: &Expr) -> Option<Value> {
    Some(match &expr.kind {
        ExprKind::Null => Value::Null,
        ExprKind::Boolean(v) => Value::Boolean(*v),
        ExprKind::Integer(v) => i32::try_from(*v).map_or(Value::BigInt(*v), Value::Int),
        ExprKind::Double(v) => Value::Double(*v),
        ExprKind::String(v) => Value::String(v.clone()),
        ExprKind::Unary { op: UnaryOp::Minus, expr } => match literal(expr)? {
            Value::Int(v) => Value::Int(v.wrapping_neg()),
            Value::BigInt(v) => Value::BigInt(v.wrapping_neg()),
            Value::Double(v) => Value::Double(-v),
            _ => return None,
        },
        _ => return None,
    })
}
