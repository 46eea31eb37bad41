//! [`Offline`]: topics and queries in memory and in one thread: what `eddyline test` runs on.
//!
//! **Invariant:** a record goes depth first through every query that reads its topic, in the queries' order of
//! creation, before the next record is taken.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use indexmap::IndexMap;

use super::backend::{Backend, QueryStart, insertable_schema, sink_of};
use crate::broker::{OutRecord, TopicSpec};
use crate::catalog::Source;
use crate::change::{ChangeBatch, Header, RecordSet};
use crate::error::{Error, ErrorKind, Result};
use crate::format::Formats;
use crate::format::schema::MemoryRegistry;
use crate::runtime::local::LocalExecution;
use crate::runtime::processing_log::{self, Entry};
use crate::runtime::sink::SinkWriter;
use crate::runtime::task::Output;
use crate::runtime::{Blueprint, QueryMetrics};
use crate::time::{Clock, ManualClock};

/// A record of a topic in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecord {
    /// Key bytes.
    pub key: Option<Vec<u8>>,
    /// Value bytes.
    pub value: Option<Vec<u8>>,
    /// Event time.
    pub timestamp: i64,
    /// Headers.
    pub headers: Vec<Header>,
}

/// A topic in memory.
#[derive(Debug, Default)]
pub struct StoredTopic {
    /// Partition count as declared; all records are in partition 0.
    pub partitions: i32,
    /// Its records.
    pub records: Vec<StoredRecord>,
}

struct OfflineQuery {
    execution: LocalExecution,
    metrics: Arc<QueryMetrics>,
}

/// Topics and queries in memory.
pub struct Offline {
    /// By name.
    pub topics: BTreeMap<String, StoredTopic>,
    queries: IndexMap<String, OfflineQuery>,
    clock: Arc<ManualClock>,
    registry: Arc<MemoryRegistry>,
    log_topic: String,
    /// Rows that a round takes at most.
    pub rows_max: usize,
}

/// Collects what a query writes.
#[derive(Default)]
struct Written(Vec<(String, StoredRecord)>);

impl Output for Written {
    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        self.0.push((
            record.topic.to_owned(),
            StoredRecord {
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                timestamp: record.timestamp,
                headers: record.headers.to_vec(),
            },
        ));
        Ok(())
    }

    fn collect(&mut self, _batch: &ChangeBatch) -> Result<()> {
        Ok(())
    }
}

impl Offline {
    /// An empty world whose wall clock stands at 0.
    pub fn new() -> Self {
        let log_topic = processing_log::topic("test");
        let topics = BTreeMap::from([(log_topic.clone(), StoredTopic { partitions: 1, records: Vec::new() })]);
        Self {
            topics,
            queries: IndexMap::new(),
            clock: ManualClock::new(0),
            registry: Arc::new(MemoryRegistry::new()),
            log_topic,
            rows_max: usize::MAX,
        }
    }

    /// Topic of the processing log.
    pub fn log_topic(&self) -> &str {
        &self.log_topic
    }

    /// Rows dropped for being late, over all queries.
    pub fn rows_late(&self) -> u64 {
        self.queries.values().map(|q| q.metrics.rows_late.load(std::sync::atomic::Ordering::Relaxed)).sum()
    }

    /// Appends a record to a topic and takes it, and all that follows from it, through the queries.
    pub fn produce(&mut self, topic: &str, record: StoredRecord) -> Result<()> {
        let mut pending = VecDeque::from([(topic.to_owned(), record)]);
        // Depth first: what a record causes goes before what came after it.
        while let Some((topic, record)) = pending.pop_front() {
            let stored =
                self.topics.entry(topic.clone()).or_insert_with(|| StoredTopic { partitions: 1, records: Vec::new() });
            let offset = stored.records.len() as i64;
            stored.records.push(record.clone());
            let mut caused = Vec::new();
            for i in 0..self.queries.len() {
                caused.extend(self.feed(i, &topic, offset, &record)?);
            }
            caused.into_iter().rev().for_each(|next| pending.push_front(next));
        }
        Ok(())
    }

    fn feed(
        &mut self,
        query: usize,
        topic: &str,
        offset: i64,
        record: &StoredRecord,
    ) -> Result<Vec<(String, StoredRecord)>> {
        let Some((id, running)) = self.queries.get_index_mut(query) else { return Ok(Vec::new()) };
        if !running.execution.reads(topic) {
            return Ok(Vec::new());
        }
        let mut set = RecordSet::new(Arc::from(topic), 0);
        set.push(offset, record.timestamp, record.key.as_deref(), record.value.as_deref(), record.headers.clone());
        running.execution.push(set.into())?;
        let (mut out, mut log) = (Written::default(), Vec::new());
        running.execution.run(self.rows_max, &mut out, &mut log)?;
        let id = id.clone();
        Ok(self.with_log(&id, out, log))
    }

    fn with_log(&self, query: &str, out: Written, log: Vec<Entry>) -> Vec<(String, StoredRecord)> {
        let now_ms = self.clock.now_ms();
        let entries = log.into_iter().map(|entry| {
            let value = Some(entry.to_json(query, now_ms));
            (self.log_topic.clone(), StoredRecord { key: None, value, timestamp: now_ms, headers: Vec::new() })
        });
        out.0.into_iter().chain(entries).collect()
    }

    /// Stream time of every query moves on without a record.
    pub fn advance_time(&mut self, by_ms: i64) -> Result<()> {
        for i in 0..self.queries.len() {
            let Some((id, running)) = self.queries.get_index_mut(i) else { break };
            let (id, mut out, mut log) = (id.clone(), Written::default(), Vec::new());
            running.execution.advance_time(by_ms, &mut out, &mut log)?;
            for (topic, record) in self.with_log(&id, out, log) {
                self.produce(&topic, record)?;
            }
        }
        Ok(())
    }
}

impl Default for Offline {
    fn default() -> Self {
        Self::new()
    }
}

impl Backend for Offline {
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
        let exists = |topic: &str| self.topics.contains_key(topic).then_some(1);
        let blueprint =
            Blueprint::new(&query.id, query.topology.clone(), &query.id, &exists)?.with_formats(self.formats());
        let metrics = Arc::new(QueryMetrics::new(1));
        let execution = LocalExecution::new(&blueprint, false, metrics.clone(), self.clock.clone())?;
        self.queries.insert(query.id.clone(), OfflineQuery { execution, metrics });
        // Records that were there before the query.
        let inputs: Vec<String> = blueprint.input_topics();
        for topic in inputs {
            let records = self.topics.get(&topic).map(|topic| topic.records.clone()).unwrap_or_default();
            let at = self.queries.len() - 1;
            for (offset, record) in records.iter().enumerate() {
                for (topic, caused) in self.feed(at, &topic, offset as i64, record)? {
                    self.produce(&topic, caused)?;
                }
            }
        }
        Ok(())
    }

    fn replace(&mut self, query: &QueryStart) -> Result<()> {
        let Some(at) = self.queries.get_index_of(&query.id) else { return self.start(query) };
        let exists = |topic: &str| self.topics.contains_key(topic).then_some(1);
        let blueprint =
            Blueprint::new(&query.id, query.topology.clone(), &query.id, &exists)?.with_formats(self.formats());
        let (mut out, mut log) = (Written::default(), Vec::new());
        self.queries[at].execution.commit(&mut out, &mut log)?;
        for (topic, record) in self.with_log(&query.id, out, log) {
            self.produce(&topic, record)?;
        }
        let running = &mut self.queries[at];
        running.execution.continue_as(&blueprint)
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
        for (topic, record) in out.0 {
            self.produce(&topic, record)?;
        }
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn formats(&self) -> Formats {
        Formats::with_registry(self.registry.clone())
    }
}
