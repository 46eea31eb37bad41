//! [`Stage`]: topics and queries that wait until all records are there, and then run one query after another.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;

use crate::broker::{OutRecord, TopicSpec};
use crate::catalog::Source;
use crate::change::{ChangeBatch, RecordSet};
use crate::engine::backend::{Backend, QueryStart, insertable_schema, sink_of};
use crate::engine::offline::{StoredRecord, StoredTopic};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Formats;
use crate::format::schema::MemoryRegistry;
use crate::runtime::local::LocalExecution;
use crate::runtime::sink::SinkWriter;
use crate::runtime::task::Output;
use crate::runtime::{Blueprint, QueryMetrics};
use crate::time::{Clock, ManualClock};

/// A world that stands still while statements are made.
pub struct Stage {
    /// Topics by name.
    pub topics: BTreeMap<String, StoredTopic>,
    /// Names of internal topics of all queries that were ever started.
    pub internal_topics: Vec<String>,
    /// Schemas of its topics.
    pub registry: Arc<MemoryRegistry>,
    queries: IndexMap<String, Blueprint>,
    clock: Arc<ManualClock>,
}

#[derive(Default)]
struct Written(Vec<(String, StoredRecord)>);

impl Output for Written {
    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        let stored = StoredRecord {
            key: record.key.map(<[u8]>::to_vec),
            value: record.value.map(<[u8]>::to_vec),
            timestamp: record.timestamp,
            headers: record.headers.to_vec(),
        };
        self.0.push((record.topic.to_owned(), stored));
        Ok(())
    }

    fn collect(&mut self, _batch: &ChangeBatch) -> Result<()> {
        Ok(())
    }
}

impl Stage {
    /// An empty world whose wall clock stands at 0.
    pub fn new() -> Self {
        Self {
            topics: BTreeMap::new(),
            internal_topics: Vec::new(),
            registry: Arc::new(MemoryRegistry::new()),
            queries: IndexMap::new(),
            clock: ManualClock::new(0),
        }
    }

    /// Appends a record to a topic.
    pub fn append(&mut self, topic: &str, record: StoredRecord) {
        self.topics.entry(topic.to_owned()).or_default().records.push(record);
    }

    /// Runs every query to its end, in the order of creation: first over the records of `inputs` (topic and index in
    /// that topic) in their order, then over its other topics, one after another.
    ///
    /// At most `batch` records go in together.
    pub fn run(&mut self, inputs: &[(String, usize)], batch: &mut dyn FnMut() -> usize) -> Result<()> {
        let blueprints: Vec<Blueprint> = self.queries.values().cloned().collect();
        for blueprint in blueprints {
            let topics = blueprint.input_topics();
            let mut order: Vec<(String, usize)> =
                inputs.iter().filter(|(topic, _)| topics.contains(topic)).cloned().collect();
            for topic in topics.iter().filter(|topic| !inputs.iter().any(|(input, _)| input == *topic)) {
                let records = self.topics.get(topic).map_or(0, |stored| stored.records.len());
                order.extend((0..records).map(|at| (topic.clone(), at)));
            }
            self.run_one(&blueprint, &order, batch)?;
        }
        Ok(())
    }

    fn run_one(
        &mut self,
        blueprint: &Blueprint,
        order: &[(String, usize)],
        batch: &mut dyn FnMut() -> usize,
    ) -> Result<()> {
        let metrics = Arc::new(QueryMetrics::new(1));
        let mut execution = LocalExecution::new(blueprint, false, metrics, self.clock.clone())?;
        let mut at = 0;
        while at < order.len() {
            let topic = &order[at].0;
            let together = order[at..].iter().take(batch().max(1)).take_while(|(next, _)| next == topic).count();
            let mut set = RecordSet::new(Arc::from(topic.as_str()), 0);
            for (_, index) in &order[at..at + together] {
                let Some(record) = self.topics.get(topic).and_then(|stored| stored.records.get(*index)) else {
                    continue;
                };
                let (key, value) = (record.key.as_deref(), record.value.as_deref());
                set.push(*index as i64, record.timestamp, key, value, record.headers.clone());
            }
            at += together;
            execution.push(set.into())?;
            let (mut out, mut log) = (Written::default(), Vec::new());
            execution.run(usize::MAX, &mut out, &mut log)?;
            out.0.into_iter().for_each(|(topic, record)| self.append(&topic, record));
        }
        Ok(())
    }
}

impl Backend for Stage {
    fn partitions(&self, topic: &str) -> Result<Option<i32>> {
        Ok(self.topics.get(topic).map(|topic| topic.partitions))
    }

    fn create_topic(&mut self, spec: &TopicSpec) -> Result<()> {
        if self.topics.contains_key(&spec.name) {
            return Err(Error::new(ErrorKind::Conflict, format!("topic {} exists already", spec.name)));
        }
        let topic = StoredTopic { partitions: spec.partitions, records: Vec::new() };
        self.topics.insert(spec.name.clone(), topic);
        Ok(())
    }

    fn delete_topic(&mut self, topic: &str) -> Result<()> {
        self.topics.remove(topic);
        Ok(())
    }

    fn start(&mut self, query: &QueryStart) -> Result<()> {
        // All records are in partition 0, whatever the count that a topic was declared with.
        let exists = |topic: &str| self.topics.contains_key(topic).then_some(1);
        let blueprint =
            Blueprint::new(&query.id, query.topology.clone(), &query.id, &exists)?.with_formats(self.formats());
        LocalExecution::new(&blueprint, false, Arc::new(QueryMetrics::new(1)), self.clock.clone())?;
        self.internal_topics.extend(blueprint.internal_topics().into_iter().map(|topic| topic.name));
        self.queries.insert(query.id.clone(), blueprint);
        Ok(())
    }

    fn replace(&mut self, query: &QueryStart) -> Result<()> {
        // Nothing has run yet: there is no state to take over.
        self.start(query)
    }

    fn stop(&mut self, query_id: &str) -> Result<()> {
        self.queries.shift_remove(query_id);
        Ok(())
    }

    fn pause(&mut self, _query_id: &str, _paused: bool) -> Result<()> {
        Ok(())
    }

    fn insert(&mut self, source: &Source, row: ChangeBatch) -> Result<()> {
        let mut writer = SinkWriter::with_formats(&sink_of(source), &insertable_schema(source), 1, &self.formats())?;
        let mut out = Written::default();
        let (_, errors) = writer.write(&row, 0, None, &mut out)?;
        if let Some((_, error)) = errors.into_iter().next() {
            return Err(Error::data(error.reason));
        }
        out.0.into_iter().for_each(|(topic, record)| self.append(&topic, record));
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn formats(&self) -> Formats {
        Formats::with_registry(self.registry.clone())
    }
}
