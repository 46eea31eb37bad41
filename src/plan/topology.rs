//! [`Topology`]: what a query runs, as plain serialisable data. EXPLAIN prints it, the command log stores it, the
//! runtime builds operators from it.
//!
//! **Invariant:** expressions are KSQL text over the unique column names of the node's input (no qualifiers);
//! for joins each input's columns were renamed apart by a projection below the join.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::WindowSpec;
use crate::types::{FormatSpec, KeyWindow, LogicalSchema, SourceKind, SystemColumn, TimestampSpec};

/// The version that this program writes.
pub const TOPOLOGY_VERSION: u32 = 1;

/// A query as sub-topologies that topics connect.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Topology {
    /// [`TOPOLOGY_VERSION`] of the program that made it.
    pub version: u32,
    /// In dependency order; repartition topics lead from earlier to later ones.
    pub sub_topologies: Vec<SubTopology>,
    /// The result's columns.
    pub schema: LogicalSchema,
    /// Whether the result is a stream or a table.
    pub kind: SourceKind,
}

/// Operators that run together in one task per partition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SubTopology {
    /// Nodes in topological order; a node's inputs are indices of earlier nodes.
    pub nodes: Vec<Node>,
    /// Stores of the operators.
    pub stores: Vec<StoreSpec>,
}

/// An operator in its place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Stable name within the query, also in store and topic names: `Aggregate`, `Join-left`.
    pub name: String,
    /// Indices of the nodes that feed its ports.
    pub inputs: Vec<usize>,
    /// What it does.
    pub spec: OperatorSpec,
    /// Columns that come out.
    pub schema: LogicalSchema,
    /// Whether a stream or a table comes out.
    pub kind: SourceKind,
}

/// A store and how it survives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSpec {
    /// Stable name within the query.
    pub name: String,
    /// Where its changes go.
    pub changelog: Changelog,
}

/// Where a store's changes go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Changelog {
    /// A topic of its own, compacted; `retention_ms` adds deletion by age.
    Topic { retention_ms: Option<i64> },
    /// A topic of its own, though the query's sink topic holds the same rows.
    SinkTopic,
    /// Nowhere: a transient query.
    None,
}

/// An output column and its expression.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NamedExpr {
    /// The output column.
    pub name: String,
    /// KSQL text over the input's columns.
    pub expr: String,
}

/// What a node does. Column lists give names; `schema` of the node gives types.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum OperatorSpec {
    /// Reads a source's topic.
    Source(SourceSpec),
    /// Reads a repartition topic written by an earlier sub-topology.
    RepartitionSource { topic: String, key_format: FormatSpec },
    /// Turns upserts (value, or null value to delete) into table changes with their before images. Rows with a null
    /// key are dropped.
    TableSource { store: usize },
    /// Keeps rows where the predicate is true. In streams, rows with a null value go; in tables, a row that stops
    /// passing is deleted.
    Filter { predicate: String },
    /// Computes columns; key columns are renamed or passed on in order, window bounds pass. Null values stay null.
    Project { key: Vec<NamedExpr>, value: Vec<NamedExpr> },
    /// Appends the columns of table functions; a row becomes as many rows as the longest result, none if all are
    /// empty. The input's columns pass.
    FlatMap { functions: Vec<NamedExpr> },
    /// Gives a stream a new key (PARTITION BY, or before a join); empty for no key. A failed expression gives a null
    /// key.
    PartitionBy { key: Vec<NamedExpr>, value: Vec<NamedExpr> },
    /// Gives rows their group as key. A row with a NULL or failed group goes. In tables, before and after images each
    /// get their own group.
    GroupBy { key: Vec<NamedExpr>, value: Vec<NamedExpr> },
    /// Writes to a repartition topic by key.
    RepartitionSink(RepartitionSpec),
    /// Aggregates rows by key (and window); undoes before images when the input is a table.
    Aggregate(AggregateSpec),
    /// Joins two streams within a time window.
    StreamStreamJoin(StreamStreamJoinSpec),
    /// Joins a stream (port 0) to the current row of a table (port 1), both keyed alike. Output: key, left values,
    /// right values.
    StreamTableJoin { left_outer: bool, store: usize },
    /// Gives rows of a table the key of the row of another table that they name. Rows that name none go, unless
    /// `keep_null`. The first value columns are the rows' own key, the last one numbers the changes of that key.
    ForeignKey { key: Vec<NamedExpr>, value: Vec<NamedExpr>, keep_null: bool, store: usize },
    /// Joins rows (port 0) to the table that they name (port 1). Output: the rows' own key, left values, right values,
    /// whether it is a deletion; as upserts.
    ForeignKeyJoin { left_outer: bool, left_store: usize, right_store: usize },
    /// Drops results of foreign-key joins that are older than others of their key by the column `number`; takes that
    /// column and the last one off.
    NewestResult { store: usize, number: String },
    /// Joins two tables by key. Output: key, left values, right values.
    TableTableJoin { kind: JoinSpec, left_store: usize, right_store: usize },
    /// Keeps the current rows for pull queries.
    Materialize { store: usize },
    /// Stops after `rows` rows (push queries).
    Limit { rows: u64 },
    /// Writes the result to a topic.
    Sink(SinkSpec),
    /// Hands the result to whoever asked (push queries).
    Collect,
}

/// Which rows survive without a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinSpec {
    /// The left side's.
    pub left_outer: bool,
    /// The right side's.
    pub right_outer: bool,
}

/// A source topic and how to read it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceSpec {
    /// The source's name in the catalog.
    pub source: String,
    /// Its topic.
    pub topic: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// All declared columns (the decoder needs those that are not wanted, too).
    pub declared: LogicalSchema,
    /// How keys are written.
    pub key_format: FormatSpec,
    /// How values are written.
    pub value_format: FormatSpec,
    /// The window in the key.
    pub window: Option<KeyWindow>,
    /// Event time out of a column.
    pub timestamp: Option<TimestampSpec>,
    /// System columns that the query uses, appended to the value columns in this order.
    pub system: Vec<SystemColumn>,
}

/// A repartition topic and how to write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepartitionSpec {
    /// The topic's name within the query.
    pub topic: String,
    /// How keys are written. A key must land in the partition that it has in the topics of the other join side, so the
    /// bytes decide, not only the value.
    pub key_format: FormatSpec,
    /// Topics whose partition count it takes (the largest, should they differ).
    pub partitions_of: Vec<String>,
    /// Why rows have to move, for EXPLAIN.
    pub reason: String,
}

/// A sink topic and how to write it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SinkSpec {
    /// The topic.
    pub topic: String,
    /// How keys are written.
    pub key_format: FormatSpec,
    /// How values are written.
    pub value_format: FormatSpec,
    /// The window in the key.
    pub window: Option<KeyWindow>,
    /// Event time out of a column.
    pub timestamp: Option<TimestampSpec>,
    /// Whether a row has a key even when all its key columns are NULL: several columns that PARTITION BY put together.
    #[serde(default)]
    pub composed_key: bool,
}

/// An aggregation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AggregateSpec {
    /// Its store.
    pub store: usize,
    /// Its window.
    pub window: Option<WindowSpec>,
    /// One result per window when it closes, rather than every update.
    pub emit_final: bool,
    /// With `emit_final`, windows that time has jumped over are lost.
    ///
    /// > KSQL: so does Kafka Streams since 3.3; asked for by its internal property.
    #[serde(default)]
    pub forgetful: bool,
    /// Properties that aggregate functions ask for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// The output's value columns in order.
    pub calls: Vec<AggregateCall>,
}

/// An aggregate function applied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AggregateCall {
    /// The output column.
    pub name: String,
    /// The function.
    pub function: String,
    /// KSQL text of each argument over the input's columns; literals for the parameters of TOPK and its like.
    pub args: Vec<String>,
}

/// A stream–stream join. Output: key, left values, right values.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StreamStreamJoinSpec {
    /// Which rows survive without a match.
    pub kind: JoinSpec,
    /// How much earlier than the left record the right one may be.
    pub before_ms: i64,
    /// How much later than the left record the right one may be.
    pub after_ms: i64,
    /// How long after its window a record may come.
    pub grace_ms: i64,
    /// Null-padded rows at once rather than when the window closes.
    ///
    /// > KSQL: the behaviour without a GRACE PERIOD clause.
    pub eager_outer: bool,
    /// Store of the left side's records.
    pub left_store: usize,
    /// Store of the right side's records.
    pub right_store: usize,
}

impl OperatorSpec {
    /// What EXPLAIN and metrics call it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Source(_) => "Source",
            Self::RepartitionSource { .. } => "RepartitionSource",
            Self::TableSource { .. } => "TableSource",
            Self::Filter { .. } => "Filter",
            Self::Project { .. } => "Project",
            Self::FlatMap { .. } => "FlatMap",
            Self::PartitionBy { .. } => "PartitionBy",
            Self::GroupBy { .. } => "GroupBy",
            Self::RepartitionSink(_) => "RepartitionSink",
            Self::Aggregate(_) => "Aggregate",
            Self::StreamStreamJoin(_) => "StreamStreamJoin",
            Self::StreamTableJoin { .. } => "StreamTableJoin",
            Self::TableTableJoin { .. } => "TableTableJoin",
            Self::ForeignKey { .. } => "ForeignKey",
            Self::ForeignKeyJoin { .. } => "ForeignKeyJoin",
            Self::NewestResult { .. } => "NewestResult",
            Self::Materialize { .. } => "Materialize",
            Self::Limit { .. } => "Limit",
            Self::Sink(_) => "Sink",
            Self::Collect => "Collect",
        }
    }

    /// Its stores, as indices into the sub-topology's.
    pub fn stores(&self) -> Vec<usize> {
        self.clone().stores_mut().into_iter().map(|store| *store).collect()
    }

    /// Its stores, to renumber them.
    pub fn stores_mut(&mut self) -> Vec<&mut usize> {
        match self {
            Self::TableSource { store }
            | Self::StreamTableJoin { store, .. }
            | Self::Materialize { store }
            | Self::ForeignKey { store, .. }
            | Self::NewestResult { store, .. } => vec![store],
            Self::Aggregate(spec) => vec![&mut spec.store],
            Self::StreamStreamJoin(spec) => vec![&mut spec.left_store, &mut spec.right_store],
            Self::TableTableJoin { left_store, right_store, .. }
            | Self::ForeignKeyJoin { left_store, right_store, .. } => vec![left_store, right_store],
            _ => Vec::new(),
        }
    }
}

impl Topology {
    /// Names of the sources that it reads, sorted.
    pub fn sources(&self) -> Vec<&str> {
        let specs = self.sub_topologies.iter().flat_map(|sub| &sub.nodes).map(|node| &node.spec);
        let mut names: Vec<&str> = specs
            .filter_map(|spec| match spec {
                OperatorSpec::Source(source) => Some(source.source.as_str()),
                _ => None,
            })
            .collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}
