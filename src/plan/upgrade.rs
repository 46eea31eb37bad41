//! Whether a running query may go on as another one (`CREATE OR REPLACE … AS SELECT`): its state must mean the same
//! afterwards.
//!
//! > KSQL: filters and projections may change; joins, windowed aggregations and aggregations of tables cannot be replaced
//! > at all, and an aggregation must go on using the same columns.

use std::collections::BTreeMap;

use super::topology::{Node, OperatorSpec, Topology};
use crate::error::{Error, Result};
use crate::types::{LogicalSchema, TimestampSpec};

/// Refuses a replacement that would misread the state of `old`.
pub fn check_upgrade(old: &Topology, new: &Topology) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::unsupported(what).hint("TERMINATE and DROP it, then CREATE it again: its state starts afresh."))
    };
    for topology in [old, new] {
        if let Some(what) = irreplaceable(topology) {
            return refuse(format!("replacing a query with {what}"));
        }
    }
    if old.sources() != new.sources() {
        return refuse("replacing a query by one that reads other sources".to_owned());
    }
    if timestamps(old) != timestamps(new) {
        return refuse("replacing a query by one whose results take their time from elsewhere".to_owned());
    }
    let (before, after) = (stateful(old), stateful(new));
    if before.keys().ne(after.keys()) {
        return refuse("replacing a query by one with other joins, groups or keys".to_owned());
    }
    for (place, node) in &before {
        let other = after[place];
        if !goes_on(node, other) {
            return refuse(format!("replacing a query whose {} would keep other columns", node.name));
        }
    }
    let aggregates = before.values().any(|node| matches!(node.spec, OperatorSpec::Aggregate(_)));
    if aggregates && columns_read(old) != columns_read(new) {
        return refuse("replacing an aggregation by one that uses other columns of its source".to_owned());
    }
    Ok(())
}

/// Part of the topology that no query can take over.
fn irreplaceable(topology: &Topology) -> Option<&'static str> {
    let nodes = || topology.sub_topologies.iter().flat_map(|sub| &sub.nodes);
    let of_table = nodes().any(|node| matches!(&node.spec, OperatorSpec::TableSource { .. }));
    nodes().find_map(|node| match &node.spec {
        OperatorSpec::StreamStreamJoin(_) => Some("a join of streams"),
        OperatorSpec::StreamTableJoin { .. } => Some("a stream-table join"),
        OperatorSpec::TableTableJoin { .. } => Some("a join of tables"),
        OperatorSpec::ForeignKey { .. } | OperatorSpec::ForeignKeyJoin { .. } => Some("a foreign-key join"),
        OperatorSpec::Aggregate(spec) if spec.window.is_some() => Some("a windowed aggregation"),
        OperatorSpec::Aggregate(_) if of_table => Some("an aggregation of a table"),
        _ => None,
    })
}

/// Whether `new` reads what `old` has kept or sent. Kept rows may gain columns at their end; what only computes a key
/// must compute the same.
fn goes_on(old: &Node, new: &Node) -> bool {
    match (&old.spec, &new.spec) {
        (OperatorSpec::PartitionBy { key, .. }, OperatorSpec::PartitionBy { key: other, .. })
        | (OperatorSpec::GroupBy { key, .. }, OperatorSpec::GroupBy { key: other, .. }) => key == other,
        (
            OperatorSpec::Materialize { .. } | OperatorSpec::TableSource { .. },
            OperatorSpec::Materialize { .. } | OperatorSpec::TableSource { .. },
        ) => {
            let (before, after) = (&old.schema, &new.schema);
            old.spec == new.spec
                && before.key() == after.key()
                && before.windowed == after.windowed
                && after.value().starts_with(before.value())
        }
        _ => old.spec == new.spec && old.schema == new.schema,
    }
}

/// Where the records of the sinks have their times from.
fn timestamps(topology: &Topology) -> Vec<&Option<TimestampSpec>> {
    let nodes = topology.sub_topologies.iter().flat_map(|sub| &sub.nodes);
    nodes
        .filter_map(|node| if let OperatorSpec::Sink(sink) = &node.spec { Some(&sink.timestamp) } else { None })
        .collect()
}

/// The columns of the sources that a topology reads.
fn columns_read(topology: &Topology) -> Vec<&LogicalSchema> {
    let nodes = topology.sub_topologies.iter().flat_map(|sub| &sub.nodes);
    nodes.filter(|node| matches!(node.spec, OperatorSpec::Source(_))).map(|node| &node.schema).collect()
}

/// Nodes whose columns are kept or sent within the query, by sub-topology and name.
fn stateful(topology: &Topology) -> BTreeMap<(usize, &str), &Node> {
    let is_stateful = |node: &Node| {
        let moves = matches!(
            node.spec,
            OperatorSpec::RepartitionSink(_)
                | OperatorSpec::RepartitionSource { .. }
                | OperatorSpec::GroupBy { .. }
                | OperatorSpec::PartitionBy { .. }
        );
        moves || !node.spec.stores().is_empty()
    };
    let mut nodes = BTreeMap::new();
    for (i, sub) in topology.sub_topologies.iter().enumerate() {
        nodes.extend(sub.nodes.iter().filter(|node| is_stateful(node)).map(|node| ((i, node.name.as_str()), node)));
    }
    nodes
}
