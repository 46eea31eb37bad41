//! Whether a running query may go on as another one (`CREATE OR REPLACE … AS SELECT`): its state must mean the same
//! afterwards.
//!
//! > KSQL: filters and projections may change; joins with tables, foreign-key joins and windowed aggregations cannot be
//! > replaced at all.

use std::collections::BTreeMap;

use super::topology::{Node, OperatorSpec, Topology};
use crate::error::{Error, Result};

/// Refuses a replacement that would misread the state of `old`.
pub fn check_upgrade(old: &Topology, new: &Topology) -> Result<()> {
    let refuse = |what: String| {
        Err(Error::unsupported(what).hint("TERMINATE and DROP it, then CREATE it again: its state starts afresh."))
    };
    for node in old.sub_topologies.iter().chain(&new.sub_topologies).flat_map(|sub| &sub.nodes) {
        let what = match &node.spec {
            OperatorSpec::StreamTableJoin { .. } => "a stream-table join",
            OperatorSpec::ForeignKey { .. } | OperatorSpec::ForeignKeyJoin { .. } => "a foreign-key join",
            OperatorSpec::Aggregate(spec) if spec.window.is_some() => "a windowed aggregation",
            _ => continue,
        };
        return refuse(format!("replacing a query with {what}"));
    }
    if old.sources() != new.sources() {
        return refuse("replacing a query by one that reads other sources".to_owned());
    }
    let (before, after) = (stateful(old), stateful(new));
    if before.keys().ne(after.keys()) {
        return refuse("replacing a query by one with other joins, groups or keys".to_owned());
    }
    for (place, node) in &before {
        let other = after[place];
        if node.spec != other.spec || node.schema != other.schema {
            return refuse(format!("replacing a query whose {} would keep other columns", node.name));
        }
    }
    Ok(())
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
