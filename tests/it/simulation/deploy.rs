//! A case's queries as the engine plans them, without the engine's threads.

use std::collections::BTreeMap;
use std::sync::Arc;

use eddyline::broker::memory::MemoryBroker;
use eddyline::broker::{Broker, TopicSpec};
use eddyline::catalog::Source;
use eddyline::change::ChangeBatch;
use eddyline::engine::backend::{Backend, QueryStart};
use eddyline::engine::config::Properties;
use eddyline::engine::interpreter::{Interpreter, Run};
use eddyline::error::Result;
use eddyline::runtime::{Blueprint, processing_log};
use eddyline::sql::{parse_statement, split_statements};

/// Names the run's groups and topics.
pub const SERVICE: &str = "sim";

/// Queries ready to run, and every topic that they need.
pub struct Deployment {
    pub queries: Vec<Query>,
    topics: Vec<TopicSpec>,
}

/// A query.
pub struct Query {
    pub blueprint: Arc<Blueprint>,
    pub group: String,
}

/// Notes what statements do to the world.
#[derive(Default)]
struct Notes {
    topics: BTreeMap<String, TopicSpec>,
    started: Vec<QueryStart>,
}

impl Backend for Notes {
    fn partitions(&self, topic: &str) -> Result<Option<i32>> {
        Ok(self.topics.get(topic).map(|spec| spec.partitions))
    }

    fn create_topic(&mut self, spec: &TopicSpec) -> Result<()> {
        // What compaction would leave of an output could not be compared.
        let spec = TopicSpec { config: Vec::new(), ..spec.clone() };
        self.topics.insert(spec.name.clone(), spec);
        Ok(())
    }

    fn delete_topic(&mut self, topic: &str) -> Result<()> {
        self.topics.remove(topic);
        Ok(())
    }

    fn start(&mut self, query: &QueryStart) -> Result<()> {
        self.started.push(query.clone());
        Ok(())
    }

    fn replace(&mut self, _query: &QueryStart) -> Result<()> {
        Ok(())
    }

    fn stop(&mut self, _query_id: &str) -> Result<()> {
        Ok(())
    }

    fn pause(&mut self, _query_id: &str, _paused: bool) -> Result<()> {
        Ok(())
    }

    fn insert(&mut self, _source: &Source, _row: ChangeBatch) -> Result<()> {
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        0
    }
}

impl Deployment {
    /// Plans all statements of a script.
    pub fn new(script: &str) -> Result<Self> {
        let mut notes = Notes::default();
        let mut interpreter = Interpreter { default_partitions: 1, ..Interpreter::default() };
        for piece in split_statements(script) {
            let statement = parse_statement(&script[piece.span.start..piece.span.end])?;
            let properties = Properties::default();
            interpreter
                .run(&statement, &mut Run { properties: &properties, backend: &mut notes, replay: None, file: None })?;
            interpreter.next_id += 1;
        }
        let log = TopicSpec { name: processing_log::topic(SERVICE), partitions: 1, replicas: None, config: Vec::new() };
        notes.create_topic(&log)?;
        let mut queries = Vec::new();
        for query in std::mem::take(&mut notes.started) {
            let group = format!("eddyline-{SERVICE}-{}", query.id);
            let partitions = |topic: &str| notes.topics.get(topic).map(|spec| spec.partitions);
            let blueprint = Blueprint::new(&query.id, query.topology, &group, &partitions)?;
            for topic in blueprint.internal_topics() {
                let policy = if topic.changelog.is_some() { "compact" } else { "delete" };
                let config = vec![("cleanup.policy".to_owned(), policy.to_owned())];
                let (name, partitions) = (topic.name, topic.partitions);
                notes.topics.insert(name.clone(), TopicSpec { name, partitions, replicas: None, config });
            }
            queries.push(Query { blueprint: Arc::new(blueprint), group });
        }
        Ok(Self { queries, topics: notes.topics.into_values().collect() })
    }

    /// Creates every topic.
    pub fn create_topics(&self, broker: &MemoryBroker) -> Result<()> {
        self.topics.iter().try_for_each(|spec| broker.create_topic(spec))
    }
}
