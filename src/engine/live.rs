//! [`Live`]: queries as workers on a broker.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use indexmap::IndexMap;

use super::backend::{Backend, QueryStart, insertable_schema, sink_of};
use super::config::EngineConfig;
use crate::broker::{Broker, OutRecord, Producer, ProducerOptions, TopicPartition, TopicSpec};
use crate::catalog::Source;
use crate::change::ChangeBatch;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Formats;
use crate::runtime::decoding::Decodings;
use crate::runtime::muster::{Gate, Muster};
use crate::runtime::pace::Pace;
use crate::runtime::processing_log;
use crate::runtime::restore::TOMBSTONES_MS;
use crate::runtime::sink::SinkWriter;
use crate::runtime::standby::Standbys;
use crate::runtime::survey;
use crate::runtime::task::Output;
use crate::runtime::throttle::QueueLimits;
use crate::runtime::worker::{self, WorkerConfig, WorkerHandle};
use crate::runtime::{Blueprint, QueryMetrics};
use crate::state::StateEnv;
use crate::time::Clock;
use crate::types::Column;

/// Segments of internal topics: the newest one is neither compacted nor given back, so it is small.
const SEGMENT_BYTES: &str = "52428800";

/// Pause before a query that could not be started is tried again, at first and at most.
const STALLED_BACKOFF_MS: i64 = 500;
const STALLED_BACKOFF_MS_MAX: i64 = 15_000;
/// How often a group's deletion is tried while it still has members.
const GROUP_DELETION_TRIES: usize = 20;

/// A running persistent query.
pub struct RunningQuery {
    /// What it runs.
    pub blueprint: Arc<Blueprint>,
    /// What its workers count.
    pub metrics: Arc<QueryMetrics>,
    /// Its threads.
    pub workers: Vec<WorkerHandle>,
    standbys: Option<(Arc<Standbys>, JoinHandle<()>)>,
}

impl RunningQuery {
    /// Asks its threads to end.
    fn stop(&self) {
        self.workers.iter().for_each(WorkerHandle::stop);
    }

    /// Waits until they have.
    fn join(&mut self) {
        self.workers.iter_mut().for_each(WorkerHandle::join);
        if let Some((standbys, thread)) = self.standbys.take() {
            standbys.end();
            if thread.join().is_err() {
                tracing::error!("a thread that keeps copies panicked");
            }
        }
    }
}

/// Why statements run.
#[derive(Debug, Default)]
pub enum Mode {
    /// A user wants it.
    #[default]
    Act,
    /// An earlier start did it: only what is left in the end counts. With the columns that the statement got from the
    /// registry.
    Recall(Vec<Column>),
    /// Another process did it: topics and schemas are its business.
    Follow(Vec<Column>),
}

/// A query that could not be started.
struct Stalled {
    start: QueryStart,
    reason: String,
    backoff_ms: i64,
    next_try_us: i64,
}

/// What an ended query left on the broker.
struct Ended {
    group: String,
    topics: Vec<String>,
    tries: usize,
}

/// Queries as workers on a broker.
pub struct Live {
    config: EngineConfig,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    formats: Formats,
    decodings: Decodings,
    /// Why statements run.
    pub mode: Mode,
    /// By id.
    pub queries: BTreeMap<String, RunningQuery>,
    /// Queries that an earlier start left behind, in order, and whether they are paused.
    recalled: IndexMap<String, (QueryStart, bool)>,
    /// Queries that should run and could not be started.
    stalled: BTreeMap<String, Stalled>,
    /// What ended queries left on the broker.
    ended: Vec<Ended>,
    /// Topics that a stalled query reads and that did not exist.
    missing: BTreeSet<String>,
    inserter: Option<Box<dyn Producer>>,
    /// What queries wait for that are started together.
    gate: Option<Gate>,
}

impl Live {
    /// No query yet.
    pub fn new(config: EngineConfig, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Self {
        Self {
            config,
            broker,
            clock,
            formats: Formats::default(),
            decodings: Decodings::default(),
            mode: Mode::Act,
            queries: BTreeMap::new(),
            recalled: IndexMap::new(),
            stalled: BTreeMap::new(),
            ended: Vec::new(),
            missing: BTreeSet::new(),
            inserter: None,
            gate: None,
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

    /// Where state is kept.
    pub fn state(&self) -> &StateEnv {
        &self.config.state
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

    /// Makes a query's own topics. One that is missing although the query has run was deleted with what it held.
    fn ensure_internal_topics(&self, blueprint: &Blueprint) -> Result<()> {
        if self.lost_topics(blueprint)? {
            return survey::check_internal(blueprint, self.broker.as_ref());
        }
        let entry = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        for topic in blueprint.internal_topics() {
            let segment = entry("segment.bytes", SEGMENT_BYTES);
            let config = match topic.changelog {
                // Workers delete what they have read; time does not, or a query that stood still would lose records.
                None => vec![entry("cleanup.policy", "delete"), entry("retention.ms", "-1"), segment],
                // Windows as well: operators delete what is over by stream time. Deletion by age goes by the wall clock
                // and would take windows that are still open from a query that stood still.
                Some(_) => vec![
                    entry("cleanup.policy", "compact"),
                    entry("delete.retention.ms", &TOMBSTONES_MS.to_string()),
                    segment,
                ],
            };
            self.ensure_topic(&topic.name, topic.partitions, config)?;
        }
        Ok(())
    }

    /// Whether one of the query's own topics is missing although the query has committed something.
    fn lost_topics(&self, blueprint: &Blueprint) -> Result<bool> {
        let mut missing = false;
        for topic in blueprint.internal_topics() {
            missing |= self.broker.topic(&topic.name)?.is_none();
        }
        if !missing {
            return Ok(false);
        }
        let inputs = (0..blueprint.topology.sub_topologies.len()).flat_map(|sub| {
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
        query.stop();
        query.join();
        Some(query)
    }

    /// Commits and ends all queries; they resume at the next start.
    pub fn shutdown(&mut self) {
        self.queries.values().for_each(RunningQuery::stop);
        self.queries.values_mut().for_each(RunningQuery::join);
        self.queries.clear();
        self.stalled.clear();
    }

    /// Queries that are started from now on begin at [`Live::begin`].
    pub fn gather(&mut self) {
        self.gate.get_or_insert_default();
    }

    /// Lets the queries begin that were started since [`Live::gather`].
    pub fn begin(&mut self) {
        if let Some(gate) = self.gate.take() {
            gate.open();
        }
    }

    /// Starts what [`Mode::Recall`] left, and goes on to [`Mode::Act`].
    pub fn start_recalled(&mut self) {
        self.mode = Mode::Act;
        let recalled = std::mem::take(&mut self.recalled);
        // What is not there any more was dropped by another process.
        self.config.state.retain_queries(&|query_id| recalled.contains_key(query_id));
        self.gather();
        for (query_id, (start, paused)) in recalled {
            self.start_or_stall(start);
            if paused && let Some(query) = self.queries.get(&query_id) {
                query.workers.iter().for_each(|worker| worker.set_paused(true));
            }
        }
        self.begin();
    }

    /// One query that cannot be started keeps no other from running; it is tried again later.
    fn start_or_stall(&mut self, start: QueryStart) {
        if let Err(error) = self.launch(&start) {
            let backoff_ms = STALLED_BACKOFF_MS;
            tracing::error!(query = start.id, %error, backoff_ms, "query cannot be started, will be tried again");
            let next_try_us = self.clock.monotonic_us() + backoff_ms * 1000;
            self.note_missing(&error, &start);
            let stalled = Stalled { reason: error.told(), backoff_ms, next_try_us, start };
            self.stalled.insert(stalled.start.id.clone(), stalled);
        }
    }

    /// Tries again to start what could not be started, when its time has come.
    pub fn retry_stalled(&mut self) {
        let now_us = self.clock.monotonic_us();
        let due: Vec<String> =
            self.stalled.iter().filter(|(_, s)| s.next_try_us <= now_us).map(|(id, _)| id.clone()).collect();
        for query_id in due {
            let Some(mut stalled) = self.stalled.remove(&query_id) else { continue };
            match self.launch(&stalled.start) {
                Ok(()) => tracing::info!(query = query_id, "query started"),
                Err(error) => {
                    self.note_missing(&error, &stalled.start);
                    stalled.reason = error.told();
                    stalled.backoff_ms = (stalled.backoff_ms * 2).min(STALLED_BACKOFF_MS_MAX);
                    stalled.next_try_us = now_us + stalled.backoff_ms * 1000;
                    self.stalled.insert(query_id, stalled);
                }
            }
        }
    }

    /// Sources that are missing: should they be made anew, all of their records are read.
    fn note_missing(&mut self, error: &Error, start: &QueryStart) {
        if error.kind() == ErrorKind::NotFound {
            self.missing.extend(survey::missing_sources(&start.topology, self.broker.as_ref()));
        }
    }

    /// Why a query that should run does not, and when it is tried again.
    pub fn stalled(&self, query_id: &str) -> Option<(&str, Option<i64>)> {
        self.stalled.get(query_id).map(|stalled| (stalled.reason.as_str(), Some(stalled.next_try_us)))
    }

    /// Topics and offsets that a query of this name had before it was started for the first time are not its own.
    fn remove_leftovers(&self, query_id: &str, blueprint: &Blueprint) -> Result<()> {
        self.config.state.remove_query(query_id);
        for topic in blueprint.internal_topics() {
            if self.broker.topic(&topic.name)?.is_some() {
                tracing::warn!(query = query_id, topic = topic.name, "internal topic of an earlier query is removed");
                self.broker.delete_topic(&topic.name)?;
            }
        }
        self.broker.delete_group(&self.prefix(query_id))
    }

    /// Starts a query's workers.
    fn launch(&mut self, query: &QueryStart) -> Result<()> {
        let prefix = self.prefix(&query.id);
        // A broker that does not answer does not say that a topic is missing.
        let unanswered = Cell::new(None);
        let partitions = |topic: &str| match self.broker.topic(topic) {
            Ok(info) => info.map(|info| info.partitions),
            Err(error) => {
                unanswered.set(Some(error));
                None
            }
        };
        let blueprint = Blueprint::new(&query.id, query.topology.clone(), &prefix, &partitions)
            .map_err(|error| unanswered.take().unwrap_or(error))?;
        let blueprint = blueprint.with_formats(self.formats.clone());
        let mut blueprint = blueprint.with_decodings(self.decodings.clone());
        blueprint.grown_from.extend(self.missing.iter().map(|topic| (topic.clone(), 0)));
        let blueprint = Arc::new(blueprint);
        if !query.resumed && matches!(self.mode, Mode::Act) {
            self.remove_leftovers(&query.id, &blueprint)?;
        }
        self.ensure_internal_topics(&blueprint)?;
        let log_topic = processing_log::topic(&self.config.service_id);
        let workers = self.config.workers;
        let metrics = Arc::new(QueryMetrics::new(workers).with_stores(blueprint.store_names()));
        let properties = &query.properties;
        let config = WorkerConfig {
            blueprint: blueprint.clone(),
            broker: self.broker.clone(),
            clock: self.clock.clone(),
            metrics: metrics.clone(),
            group: prefix.clone(),
            start: properties.start(),
            commit_interval_ms: properties.number("commit.interval.ms").max(1),
            commit_records_max: properties.number("commit.max.records").max(1) as u64,
            queue_limits: QueueLimits::default(),
            idle_timeout_ms: properties.number("idle.timeout.ms"),
            coalesce: properties.number("cache.max.bytes.buffering") > 0,
            exactly_once: !properties.get("processing.guarantee").eq_ignore_ascii_case("at_least_once"),
            processing_log: Some(log_topic),
            muster: Arc::new(Muster::new(self.broker.as_ref(), &blueprint.input_topics(), self.gate.clone())),
            pace: Pace::of(&blueprint.topology, workers),
            state: self.config.state.clone(),
            standbys: (properties.number("num.standby.replicas") > 0).then(|| {
                let (broker, clock) = (self.broker.clone(), self.clock.clone());
                Standbys::new(blueprint.clone(), broker, clock, metrics.clone(), self.config.state.clone())
            }),
        };
        let standbys = match &config.standbys {
            Some(standbys) => Some((standbys.clone(), standbys.follow()?)),
            None => None,
        };
        let workers = (0..workers).map(|i| worker::spawn(config.clone(), i)).collect::<Result<_>>()?;
        self.queries.insert(query.id.clone(), RunningQuery { blueprint, metrics, workers, standbys });
        Ok(())
    }

    /// Removes what ended queries leave on the broker. Other processes' workers may be leaving a group at this moment:
    /// then it is tried again at the next call.
    pub fn clean_up(&mut self) {
        let broker = &self.broker;
        self.ended.retain_mut(|ended| {
            for topic in std::mem::take(&mut ended.topics) {
                match broker.delete_topic(&topic) {
                    Err(error) if error.kind() != ErrorKind::NotFound => {
                        tracing::warn!(topic, %error, "internal topic left behind");
                    }
                    _ => {}
                }
            }
            ended.tries += 1;
            match broker.delete_group(&ended.group) {
                Err(error) if error.kind() == ErrorKind::Conflict && ended.tries < GROUP_DELETION_TRIES => true,
                Err(error) => {
                    tracing::warn!(group = ended.group, %error, "consumer group left behind");
                    false
                }
                Ok(()) => false,
            }
        });
    }
}

impl Backend for Live {
    fn partitions(&self, topic: &str) -> Result<Option<i32>> {
        if let Mode::Recall(_) = self.mode {
            // The topic may be gone, or another one by now.
            return Ok(None);
        }
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
        match self.mode {
            Mode::Act => self.launch(query),
            Mode::Recall(_) => {
                self.recalled.insert(query.id.clone(), (query.clone(), false));
                Ok(())
            }
            Mode::Follow(_) => {
                self.start_or_stall(query.clone());
                Ok(())
            }
        }
    }

    fn replace(&mut self, query: &QueryStart) -> Result<()> {
        // Its group, changelogs and repartition topics stay: the new workers resume from them.
        self.end(&query.id);
        self.stalled.remove(&query.id);
        let replacement = QueryStart { resumed: true, ..query.clone() };
        self.start(&replacement)
    }

    fn stop(&mut self, query_id: &str) -> Result<()> {
        self.recalled.shift_remove(query_id);
        let stalled = self.stalled.remove(query_id);
        let ended = self.end(query_id);
        if self.repeats() {
            return Ok(());
        }
        let blueprint = match (ended, stalled) {
            (Some(query), _) => query.blueprint,
            (None, Some(stalled)) => {
                // Its topics' partitions do not matter any more.
                let id = &stalled.start.id;
                Arc::new(Blueprint::new(id, stalled.start.topology, &self.prefix(id), &|_| Some(1))?)
            }
            (None, None) => return Ok(()),
        };
        let topics = blueprint.internal_topics().into_iter().map(|topic| topic.name).collect();
        self.config.state.remove_query(query_id);
        self.ended.push(Ended { group: self.prefix(query_id), topics, tries: 0 });
        Ok(())
    }

    fn pause(&mut self, query_id: &str, paused: bool) -> Result<()> {
        if let Some((_, recalled)) = self.recalled.get_mut(query_id) {
            *recalled = paused;
            return Ok(());
        }
        let query =
            self.queries.get(query_id).ok_or_else(|| Error::not_found(format!("query {query_id} is not running")))?;
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
            None => {
                self.broker.producer(&ProducerOptions { client_id: "insert".into(), ..ProducerOptions::default() })?
            }
        };
        let (_, errors) = writer.write(&row, 0, None, &mut Direct(producer.as_mut()))?;
        producer.flush(Duration::from_secs(30))?;
        self.inserter = Some(producer);
        match errors.into_iter().next() {
            Some((_, error)) => Err(Error::data(error.reason)),
            None => Ok(()),
        }
    }

    fn repeats(&self) -> bool {
        !matches!(self.mode, Mode::Act)
    }

    fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    fn formats(&self) -> Formats {
        match &self.mode {
            Mode::Recall(inferred) | Mode::Follow(inferred) => self.formats.replay(inferred),
            Mode::Act => self.formats.clone(),
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
