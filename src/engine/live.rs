//! [`Live`]: queries as workers on a broker.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::backend::{Backend, QueryStart, insertable_schema, sink_of};
use super::config::EngineConfig;
use super::session::QueryState;
use crate::broker::{Broker, OutRecord, Producer, ProducerOptions, TopicPartition, TopicSpec};
use crate::catalog::Source;
use crate::change::ChangeBatch;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Formats;
use crate::plan::topology::Changelog;
use crate::runtime::processing_log;
use crate::runtime::sink::SinkWriter;
use crate::runtime::task::Output;
use crate::runtime::worker::{self, WorkerConfig, WorkerHandle, WorkerState};
use crate::runtime::{Blueprint, QueryMetrics};
use crate::time::{Clock, NO_TIME};
use crate::types::Column;

/// How long records of repartition topics are kept, by the wall clock: far longer than any worker lags.
const REPARTITION_RETENTION_MS: i64 = 7 * 24 * 3_600_000;

/// A running persistent query.
pub struct RunningQuery {
    /// What it runs.
    pub blueprint: Arc<Blueprint>,
    /// What its workers count.
    pub metrics: Arc<QueryMetrics>,
    /// Its threads.
    pub workers: Vec<WorkerHandle>,
    group: String,
}

impl RunningQuery {
    /// The worst of its workers' states.
    pub fn state(&self) -> QueryState {
        let mut state = QueryState::Running;
        for worker in &self.workers {
            match worker.state() {
                WorkerState::Failed(reason) => return QueryState::Error(reason),
                WorkerState::Restoring => state = QueryState::Restoring,
                WorkerState::Paused => return QueryState::Paused,
                WorkerState::Running | WorkerState::Stopped => {}
            }
        }
        state
    }

    /// Highest stream time of its tasks.
    pub fn stream_time(&self) -> Option<i64> {
        Some(self.metrics.stream_time.load(Ordering::Relaxed)).filter(|time| *time != NO_TIME)
    }
}

/// Queries as workers on a broker.
pub struct Live {
    config: EngineConfig,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    formats: Formats,
    /// While the command log is done again: columns that the statement got from the registry.
    pub replayed: Option<Vec<Column>>,
    /// By id.
    pub queries: BTreeMap<String, RunningQuery>,
    inserter: Option<Box<dyn Producer>>,
}

impl Live {
    /// No query yet.
    pub fn new(config: EngineConfig, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Self {
        Self {
            config,
            broker,
            clock,
            formats: Formats::default(),
            replayed: None,
            queries: BTreeMap::new(),
            inserter: None,
        }
    }

    /// The same with formats that know a schema registry.
    pub fn with_formats(self, formats: Formats) -> Self {
        Self { formats, ..self }
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.broker
    }

    /// The clock.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// Name of a query's group, and in front of its internal topics.
    pub fn prefix(&self, query_id: &str) -> String {
        format!("eddyline-{}-{query_id}", self.config.service_id)
    }

    /// Makes sure that the topic exists.
    pub fn ensure_topic(&self, name: &str, partitions: i32, config: Vec<(String, String)>) -> Result<()> {
        if self.broker.topic(name)?.is_some() {
            return Ok(());
        }
        let spec = TopicSpec { name: name.to_owned(), partitions, replicas: self.config.default_replicas, config };
        match self.broker.create_topic(&spec) {
            Err(error) if error.kind() == ErrorKind::Conflict => Ok(()),
            other => other,
        }
    }

    /// Makes a query's own topics, unless it has run before: then one that is missing was deleted with what it held, and
    /// the query's workers say so.
    fn ensure_internal_topics(&self, blueprint: &Blueprint) -> Result<()> {
        if self.has_run(blueprint)? {
            return Ok(());
        }
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for topic in blueprint.internal_topics() {
            let config = match topic.changelog {
                None => {
                    let retention = REPARTITION_RETENTION_MS.to_string();
                    vec![entry("cleanup.policy", "delete"), entry("retention.ms", &retention)]
                }
                Some(Changelog::Topic { .. } | Changelog::SinkTopic | Changelog::None) => {
                    vec![entry("cleanup.policy", "compact")]
                }
            };
            self.ensure_topic(&topic.name, topic.partitions, config)?;
        }
        Ok(())
    }

    /// Whether the query has committed anything. Asked only when one of its topics is missing.
    fn has_run(&self, blueprint: &Blueprint) -> Result<bool> {
        let mut missing = false;
        for topic in blueprint.internal_topics() {
            missing |= self.broker.topic(&topic.name)?.is_none();
        }
        if !missing {
            return Ok(false);
        }
        let subs = 0..blueprint.topology.sub_topologies.len();
        let inputs = subs.flat_map(|sub| {
            let partitions = 0..blueprint.task_count(sub);
            blueprint.topics_of(sub).flat_map(move |topic| {
                partitions.clone().map(move |partition| TopicPartition::new(topic.as_str(), partition))
            })
        });
        Ok(!self.broker.committed(&blueprint.prefix, &inputs.collect::<Vec<_>>())?.is_empty())
    }

    /// Commits and ends a query's workers.
    fn end(&mut self, query_id: &str) -> Option<RunningQuery> {
        let mut query = self.queries.remove(query_id)?;
        query.workers.iter().for_each(WorkerHandle::stop);
        query.workers.iter_mut().for_each(WorkerHandle::join);
        Some(query)
    }

    /// Commits and ends all queries; they resume at the next start.
    pub fn shutdown(&mut self) {
        self.queries.values().flat_map(|query| &query.workers).for_each(WorkerHandle::stop);
        self.queries.values_mut().flat_map(|query| &mut query.workers).for_each(WorkerHandle::join);
        self.queries.clear();
    }
}

impl Backend for Live {
    fn partitions(&self, topic: &str) -> Result<Option<i32>> {
        Ok(self.broker.topic(topic)?.map(|info| info.partitions))
    }

    fn create_topic(&mut self, spec: &TopicSpec) -> Result<()> {
        let mut spec = spec.clone();
        spec.replicas = spec.replicas.or(self.config.default_replicas);
        self.broker.create_topic(&spec)
    }

    fn delete_topic(&mut self, topic: &str) -> Result<()> {
        self.broker.delete_topic(topic)
    }

    fn start(&mut self, query: &QueryStart) -> Result<()> {
        let prefix = self.prefix(&query.id);
        let resumed = self.replayed.is_some();
        // The workers of a query that ran before say what is missing, and wait for it.
        let waits = std::cell::Cell::new(false);
        let unknown = || {
            waits.set(resumed);
            resumed.then_some(0)
        };
        let partitions =
            |topic: &str| self.broker.topic(topic).ok().flatten().map(|info| info.partitions).or_else(unknown);
        let blueprint = Blueprint::new(&query.id, query.topology.clone(), &prefix, &partitions)?;
        let blueprint = Arc::new(blueprint.with_formats(self.formats.clone()));
        if !waits.get() {
            self.ensure_internal_topics(&blueprint)?;
        }
        let log_topic = processing_log::topic(&self.config.service_id);
        let workers = self.config.workers.max(1);
        let metrics = Arc::new(QueryMetrics::new(workers));
        let properties = &query.properties;
        let config = WorkerConfig {
            blueprint: blueprint.clone(),
            broker: self.broker.clone(),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            group: prefix.clone(),
            instance: self.config.instance.clone(),
            start: properties.start(),
            commit_interval_ms: properties.number("commit.interval.ms").max(1),
            commit_records_max: properties.number("commit.max.records").max(1) as u64,
            idle_timeout_ms: properties.number("idle.timeout.ms"),
            coalesce: properties.number("cache.max.bytes.buffering") > 0,
            exactly_once: !properties.get("processing.guarantee").eq_ignore_ascii_case("at_least_once"),
            processing_log: Some(log_topic),
        };
        let workers = (0..workers).map(|i| worker::spawn(config.clone(), i)).collect::<Result<_>>()?;
        self.queries.insert(query.id.clone(), RunningQuery { blueprint, metrics, workers, group: prefix });
        Ok(())
    }

    fn replace(&mut self, query: &QueryStart) -> Result<()> {
        // Its group, changelogs and repartition topics stay: the new workers resume from them.
        self.end(&query.id);
        self.start(query)
    }

    fn stop(&mut self, query_id: &str) -> Result<()> {
        let Some(query) = self.end(query_id) else { return Ok(()) };
        for topic in query.blueprint.internal_topics() {
            if let Err(error) = self.broker.delete_topic(&topic.name) {
                tracing::warn!(topic = topic.name, %error, "internal topic left behind");
            }
        }
        if let Err(error) = self.broker.delete_group(&query.group) {
            tracing::warn!(group = query.group, %error, "consumer group left behind");
        }
        Ok(())
    }

    fn pause(&mut self, query_id: &str, paused: bool) -> Result<()> {
        let query = self.queries.get(query_id).ok_or_else(|| Error::not_found(format!("no query {query_id}")))?;
        query.workers.iter().for_each(|worker| worker.set_paused(paused));
        Ok(())
    }

    fn insert(&mut self, source: &Source, row: ChangeBatch) -> Result<()> {
        let missing = || Error::not_found(format!("topic {} does not exist", source.topic));
        let partitions = self.partitions(&source.topic)?.ok_or_else(missing)?;
        let mut writer =
            SinkWriter::with_formats(&sink_of(source), &insertable_schema(source), partitions, &self.formats)?;
        let mut producer = match self.inserter.take() {
            Some(producer) => producer,
            None => self.broker.producer(&ProducerOptions { transactional_id: None, client_id: "insert".into() })?,
        };
        let (_, errors) = writer.write(&row, 0, None, &mut Direct(producer.as_mut()))?;
        producer.flush(Duration::from_secs(30))?;
        self.inserter = Some(producer);
        match errors.into_iter().next() {
            Some((_, error)) => Err(Error::data(error.reason)),
            None => Ok(()),
        }
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn is_replaying(&self) -> bool {
        self.replayed.is_some()
    }

    fn formats(&self) -> Formats {
        match &self.replayed {
            Some(inferred) => self.formats.replay(inferred),
            None => self.formats.clone(),
        }
    }
}

/// Records straight to a producer.
struct Direct<'a>(&'a mut dyn Producer);

impl Output for Direct<'_> {
    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        self.0.send(record)
    }

    fn collect(&mut self, _batch: &ChangeBatch) -> Result<()> {
        Ok(())
    }
}
