//! [`Graph`]: operators as they are decided, cut into sub-topologies at the repartition topics in the end.
//!
//! **Invariant:** a node's inputs were added before it.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::topology::{Changelog, Node, OperatorSpec, StoreSpec, SubTopology, TOPOLOGY_VERSION, Topology};
use crate::types::{LogicalSchema, SourceKind};

/// Operators and stores of one query.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Vec<Node>,
    stores: Vec<StoreSpec>,
    names: BTreeMap<String, usize>,
}

impl Graph {
    /// Adds a node; its name gets a number when it is taken.
    pub(super) fn add(
        &mut self,
        name: &str,
        inputs: Vec<usize>,
        spec: OperatorSpec,
        schema: LogicalSchema,
        kind: SourceKind,
    ) -> usize {
        let name = self.unique(&format!("node {name}"), name);
        self.nodes.push(Node { name, inputs, spec, schema, kind });
        self.nodes.len() - 1
    }

    /// Adds a store; its name gets a number when it is taken.
    pub(super) fn store(&mut self, name: &str, changelog: Changelog) -> usize {
        let name = self.unique(&format!("store {name}"), name);
        self.stores.push(StoreSpec { name, changelog });
        self.stores.len() - 1
    }

    /// A topic name of the query.
    pub(super) fn topic(&mut self, name: &str, suffix: &str) -> String {
        format!("{}-{suffix}", self.unique(&format!("topic {name}"), name))
    }

    fn unique(&mut self, space: &str, name: &str) -> String {
        let count = self.names.entry(space.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name}{count}") }
    }

    /// The topology of all nodes added.
    pub(super) fn finish(self, schema: LogicalSchema, kind: SourceKind) -> Topology {
        let components = self.components();
        let mut sub_topologies = Vec::new();
        for members in self.in_dependency_order(components) {
            let stores: BTreeSet<usize> = members.iter().flat_map(|node| self.nodes[*node].spec.stores()).collect();
            let stores: Vec<usize> = stores.into_iter().collect();
            let position = |list: &[usize], id: usize| list.iter().position(|other| *other == id).unwrap_or(0);
            let nodes = members
                .iter()
                .map(|id| {
                    let mut node = self.nodes[*id].clone();
                    node.inputs.iter_mut().for_each(|input| *input = position(&members, *input));
                    node.spec.stores_mut().into_iter().for_each(|store| *store = position(&stores, *store));
                    node
                })
                .collect();
            let stores = stores.iter().map(|store| self.stores[*store].clone()).collect();
            sub_topologies.push(SubTopology { nodes, stores });
        }
        Topology { version: TOPOLOGY_VERSION, sub_topologies, schema, kind }
    }

    /// Nodes that feed one another, each group in ascending order.
    fn components(&self) -> Vec<Vec<usize>> {
        let mut group: Vec<usize> = (0..self.nodes.len()).collect();
        for (id, node) in self.nodes.iter().enumerate() {
            for input in &node.inputs {
                let (from, to) = (group[id], group[*input]);
                group.iter_mut().filter(|member| **member == from).for_each(|member| *member = to);
            }
        }
        let mut components: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (id, group) in group.iter().enumerate() {
            components.entry(*group).or_default().push(id);
        }
        components.into_values().collect()
    }

    fn in_dependency_order(&self, mut components: Vec<Vec<usize>>) -> Vec<Vec<usize>> {
        let mut ready = Vec::new();
        let mut written: BTreeSet<&str> = BTreeSet::new();
        while !components.is_empty() {
            let reads_only = |members: &Vec<usize>| {
                members.iter().all(|id| match &self.nodes[*id].spec {
                    OperatorSpec::RepartitionSource { topic, .. } => written.contains(topic.as_str()),
                    _ => true,
                })
            };
            // A topic is always written by nodes added before its reader, so some group is always ready.
            let next = components.iter().position(reads_only).unwrap_or(0);
            let members = components.remove(next);
            for id in &members {
                if let OperatorSpec::RepartitionSink(spec) = &self.nodes[*id].spec {
                    written.insert(&spec.topic);
                }
            }
            ready.push(members);
        }
        ready
    }
}
