//! [`survey`]: whether the topics of a query are what it needs. Topics are deleted, made anew and widened by others.
//!
//! **Invariant:** a query whose state or repartition topics do not match its sources is never run: a key's rows would be
//! looked for in another partition than its state.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Blueprint;
use crate::broker::Broker;
use crate::error::{Error, ErrorKind, Result};
use crate::plan::topology::{OperatorSpec, Topology};

/// Compares a blueprint with the topics as they are: `None` when it still holds, else the blueprint that holds now.
///
/// `NotFound` is a topic of others that is missing: it may come back. `Data` needs somebody's decision.
pub fn survey(blueprint: &Blueprint, broker: &dyn Broker) -> Result<Option<Blueprint>> {
    let mut counts = BTreeMap::new();
    for (topic, role) in outside(&blueprint.topology) {
        let info = broker.topic(&topic)?.ok_or_else(|| missing(&topic, role))?;
        counts.insert(topic, info.partitions);
    }
    let differs = |(topic, count): (&String, &i32)| blueprint.partitions.get(topic) != Some(count);
    let renewed = match counts.iter().any(differs) {
        true => Some(renewed(blueprint, &counts)?),
        false => None,
    };
    let valid = renewed.as_ref().unwrap_or(blueprint);
    check_internal(valid, broker)?;
    check_copartitioned(valid)?;
    Ok(renewed)
}

/// What the query does with a topic of others.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Source,
    Sink,
}

fn outside(topology: &Topology) -> BTreeSet<(String, Role)> {
    let nodes = topology.sub_topologies.iter().flat_map(|sub| &sub.nodes);
    let topics = nodes.filter_map(|node| match &node.spec {
        OperatorSpec::Source(spec) => Some((spec.topic.clone(), Role::Source)),
        OperatorSpec::Sink(spec) => Some((spec.topic.clone(), Role::Sink)),
        _ => None,
    });
    topics.collect()
}

fn missing(topic: &str, role: Role) -> Error {
    match role {
        Role::Source => Error::not_found(format!("topic {topic}, which the query reads, does not exist"))
            .hint("When it is there again, the query goes on by itself, from the new topic's first record."),
        Role::Sink => Error::not_found(format!("topic {topic}, which the query writes, does not exist"))
            .hint("When it is there again, the query goes on by itself; results written before are gone."),
    }
}

fn renewed(old: &Blueprint, counts: &BTreeMap<String, i32>) -> Result<Blueprint> {
    let partitions = |topic: &str| counts.get(topic).copied();
    let mut new = Blueprint::new(&old.query_id, old.topology.clone(), &old.prefix, &partitions)?
        .with_formats(old.formats.clone())
        .with_decodings(old.decodings.clone());
    new.grown_from = old.grown_from.clone();
    for (topic, count) in counts {
        if let Some(before) = old.partitions.get(topic).filter(|before| *before < count) {
            new.grown_from.entry(topic.clone()).or_insert(*before);
        }
    }
    Ok(new)
}

/// Refuses a query whose own topics are missing or do not match its sources.
pub fn check_internal(blueprint: &Blueprint, broker: &dyn Broker) -> Result<()> {
    for topic in blueprint.internal_topics() {
        let (name, what, lost) = match topic.changelog {
            Some(_) => (&topic.name, "changelog", "its state"),
            None => (&topic.name, "repartition", "rows between its steps"),
        };
        let Some(info) = broker.topic(name)? else {
            let error = Error::data(format!("the query's {what} topic {name} does not exist: {lost} would be lost"));
            return Err(error.hint(
                "DROP what the query fills and CREATE it again: it starts afresh from its sources. If the topic comes \
                 back from a copy, the query goes on by itself.",
            ));
        };
        if info.partitions != topic.partitions {
            let was = info.partitions;
            let message = format!(
                "the query's sources have {} partitions now, its {what} topic {name} has {was}: keys belong to other \
                 partitions than their state",
                topic.partitions
            );
            return Err(Error::data(message)
                .hint("DROP what the query fills and CREATE it again: it starts afresh from its sources."));
        }
    }
    Ok(())
}

/// A task needs the same partition of each of its topics.
fn check_copartitioned(blueprint: &Blueprint) -> Result<()> {
    for sub_topology in 0..blueprint.topology.sub_topologies.len() {
        let counts: BTreeMap<String, i32> = blueprint
            .topics_of(sub_topology)
            .map(|topic| {
                let count = blueprint.partitions.get(&topic).copied().unwrap_or(1);
                (topic, count)
            })
            .collect();
        if counts.values().collect::<BTreeSet<_>>().len() > 1 {
            let each: Vec<_> = counts.iter().map(|(topic, count)| format!("{topic} has {count}")).collect();
            let message = format!("topics that are joined differ in partitions: {}", each.join(", "));
            return Err(Error::data(message)
                .hint("Matching keys must be in matching partitions: give all of them the same number."));
        }
    }
    Ok(())
}

/// The topics that are read and do not exist: should they be made anew, all of their records are to be read.
pub fn missing_sources(topology: &Topology, broker: &dyn Broker) -> Vec<String> {
    let sources = outside(topology).into_iter().filter(|(_, role)| *role == Role::Source);
    sources.map(|(topic, _)| topic).filter(|topic| matches!(broker.topic(topic), Ok(None))).collect()
}

/// Whether trying again soon is of use: somebody has to do something first.
pub fn needs_somebody(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Data | ErrorKind::Semantic | ErrorKind::Unsupported | ErrorKind::Storage)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::TopicSpec;
    use crate::broker::memory::MemoryBroker;
    use crate::plan::topology::{Changelog, Node, SinkSpec, SourceSpec, StoreSpec, SubTopology, TOPOLOGY_VERSION};
    use crate::types::{FormatSpec, LogicalSchema, SourceKind};

    fn source(topic: &str) -> OperatorSpec {
        let json = FormatSpec::new("JSON", true);
        let schema = LogicalSchema::new(Vec::new(), false);
        OperatorSpec::Source(SourceSpec {
            source: topic.to_uppercase(),
            kind: SourceKind::Stream,
            topic: topic.to_owned(),
            key_format: json.clone(),
            value_format: json,
            window: None,
            timestamp: None,
            declared: schema,
            system: Vec::new(),
        })
    }

    fn sink(topic: &str) -> OperatorSpec {
        let json = FormatSpec::new("JSON", true);
        OperatorSpec::Sink(SinkSpec {
            topic: topic.to_owned(),
            key_format: json.clone(),
            value_format: json,
            window: None,
            timestamp: None,
            composed_key: false,
        })
    }

    fn blueprint(sources: &[&str], stores: &[&str], broker: &MemoryBroker) -> Blueprint {
        let node = |spec: OperatorSpec| Node {
            name: "n".to_owned(),
            inputs: Vec::new(),
            spec,
            schema: LogicalSchema::new(Vec::new(), false),
            kind: SourceKind::Stream,
        };
        let mut nodes: Vec<Node> = sources.iter().map(|topic| node(source(topic))).collect();
        nodes.push(node(sink("out")));
        let stores = stores
            .iter()
            .map(|name| StoreSpec { name: (*name).to_owned(), changelog: Changelog::Topic { retention_ms: None } });
        let topology = Topology {
            version: TOPOLOGY_VERSION,
            schema: LogicalSchema::new(Vec::new(), false),
            kind: SourceKind::Stream,
            sub_topologies: vec![SubTopology { nodes, stores: stores.collect() }],
        };
        let partitions = |topic: &str| broker.topic(topic).unwrap().map(|info| info.partitions);
        Blueprint::new("Q", topology, "p", &partitions).unwrap()
    }

    fn make(broker: &MemoryBroker, name: &str, partitions: i32) {
        let _ = broker.delete_topic(name);
        let spec = TopicSpec { name: name.to_owned(), partitions, replicas: None, config: Vec::new() };
        broker.create_topic(&spec).unwrap();
    }

    #[test]
    fn a_query_without_state_follows_its_topics() {
        let broker = MemoryBroker::new();
        make(&broker, "in", 2);
        make(&broker, "out", 2);
        let before = blueprint(&["in"], &[], &broker);
        assert!(survey(&before, &broker).unwrap().is_none());
        make(&broker, "in", 5);
        let after = survey(&before, &broker).unwrap().expect("other partitions");
        assert_eq!((after.task_count(0), after.grown_from["in"]), (5, 2));
        assert!(survey(&after, &broker).unwrap().is_none());
        make(&broker, "out", 3);
        let wider = survey(&after, &broker).unwrap().expect("another sink");
        assert_eq!((wider.partitions["out"], wider.grown_from["in"]), (3, 2));
    }

    #[test]
    fn missing_topics_are_told_apart() {
        let broker = MemoryBroker::new();
        for name in ["in", "out", "p-s-changelog"] {
            make(&broker, name, 2);
        }
        let query = blueprint(&["in"], &["s"], &broker);
        assert!(survey(&query, &broker).unwrap().is_none());
        let gone = |name: &str| {
            broker.delete_topic(name).unwrap();
            let error = survey(&query, &broker).expect_err("a missing topic");
            let sources = missing_sources(&query.topology, &broker);
            make(&broker, name, 2);
            (error, sources)
        };
        let (error, noted) = gone("in");
        assert_eq!(error.message(), "topic in, which the query reads, does not exist");
        assert_eq!(noted, ["in"]);
        let (error, noted) = gone("out");
        assert_eq!(error.message(), "topic out, which the query writes, does not exist");
        assert!(noted.is_empty());
        let (changelog, _) = gone("p-s-changelog");
        assert!(changelog.message().contains("changelog topic p-s-changelog does not exist"), "{changelog}");
        assert!(needs_somebody(&changelog));
    }

    #[test]
    fn state_does_not_follow_its_keys_to_other_partitions() {
        let broker = MemoryBroker::new();
        for name in ["in", "out", "p-s-changelog"] {
            make(&broker, name, 2);
        }
        let query = blueprint(&["in"], &["s"], &broker);
        make(&broker, "in", 4);
        let error = survey(&query, &broker).expect_err("keys moved");
        assert!(error.message().contains("have 4 partitions now"), "{error}");
        assert!(error.hints()[0].contains("CREATE it again"));
    }

    #[test]
    fn joined_topics_stay_alike() {
        let broker = MemoryBroker::new();
        for name in ["a", "b", "out"] {
            make(&broker, name, 2);
        }
        let query = blueprint(&["a", "b"], &[], &broker);
        make(&broker, "b", 3);
        let error = survey(&query, &broker).expect_err("no common partitions");
        assert_eq!(error.message(), "topics that are joined differ in partitions: a has 2, b has 3");
    }
}
