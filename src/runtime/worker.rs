//! [`Worker`]: one thread, one consumer-group member, one transactional producer, many tasks.
//!
//! Commit epoch: outputs, repartition records, store changes, log entries and input offsets go into one transaction;
//! the broker's answer to `commit` is the only decision point. Whatever goes wrong before it ends the session: the
//! transaction is aborted, the tasks' memory thrown away, and a new session restores.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::ArrayRef;

use super::build::Blueprint;
use super::metrics::QueryMetrics;
use super::metrics::restoring::RestorePhase;
use super::metrics::watch::worker_span;
use super::processing_log::Entry;
use super::progress::Progress;
use super::restore::{changelog_partition, restore};
use super::task::{Output, Task, TaskIo};
use crate::broker::{
    Broker, CommittedOffset, Consumer, ConsumerOptions, OutRecord, Producer, ProducerOptions, Start, TopicPartition,
};
use crate::change::{ChangeBatch, RecordSet};
use crate::error::{Error, ErrorKind, Result};
use crate::operator::{TableCodec, lookup, scan};
use crate::time::{Clock, NO_TIME};

/// Records fetched at once.
const POLL_RECORDS: usize = 20_000;
/// Rows that may wait on one input before its partition is paused.
const QUEUED_ROWS_MAX: usize = 50_000;
/// Longest wait for records, so that requests and commits are prompt.
const POLL_WAIT: Duration = Duration::from_millis(20);
/// How long pull queries wait for the worker's first partitions; a worker that gets none answers then.
const JOIN_PATIENCE_US: i64 = 10_000_000;
/// Longest wait before a failed worker tries again.
const BACKOFF_MS_MAX: u64 = 15_000;

/// How workers of a query work.
#[derive(Clone)]
pub struct WorkerConfig {
    /// What they run.
    pub blueprint: Arc<Blueprint>,
    /// Where records come from and go to.
    pub broker: Arc<dyn Broker>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Shared counters.
    pub metrics: Arc<QueryMetrics>,
    /// Consumer group.
    pub group: String,
    /// Where streams without committed offsets start.
    pub start: Start,
    /// Time between commits.
    pub commit_interval_ms: i64,
    /// See [`Task::idle`]; 0 turns it off.
    pub idle_timeout_ms: i64,
    /// Whether updates of one key are held back until the commit.
    pub coalesce: bool,
    /// Whether commits are transactions.
    pub exactly_once: bool,
    /// Topic for problems of single records.
    pub processing_log: Option<String>,
}

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerState {
    /// Joining the group or reading changelogs.
    Restoring,
    /// Working.
    Running,
    /// Held by PAUSE.
    Paused,
    /// Failed; it tries again.
    Failed(String),
    /// Ended.
    Stopped,
}

/// What a pull query asks of a worker.
pub struct ReadRequest {
    /// Keys to look up, one array per key column; `None` for all rows.
    pub keys: Option<Vec<ArrayRef>>,
    /// Where the rows go.
    pub reply: Sender<Result<Vec<ChangeBatch>>>,
}

/// A running worker.
pub struct WorkerHandle {
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
    state: Arc<Mutex<WorkerState>>,
    requests: Sender<ReadRequest>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// What it is doing.
    pub fn state(&self) -> WorkerState {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Hands over a read request.
    pub fn read(&self, request: ReadRequest) -> Result<()> {
        let gone = || Error::new(ErrorKind::Unavailable, "the query's worker has ended");
        self.requests.send(request).map_err(|_| gone())
    }

    /// Holds or releases the worker.
    pub fn set_paused(&self, paused: bool) {
        self.pause.store(paused, Ordering::SeqCst);
    }

    /// Asks it to commit and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    /// Waits until it has ended.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a worker panicked");
        }
    }
}

/// Starts worker number `index` of a query.
pub fn spawn(config: WorkerConfig, index: usize) -> Result<WorkerHandle> {
    let (requests, receiver) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let pause = Arc::new(AtomicBool::new(false));
    let state = Arc::new(Mutex::new(WorkerState::Restoring));
    let mut worker = Worker { config, index, stop: stop.clone(), pause: pause.clone(), state: state.clone(), receiver };
    let name = format!("{}-{index}", worker.config.blueprint.query_id);
    let span = worker_span(&worker.config.blueprint.query_id, index);
    let thread = std::thread::Builder::new().name(name).spawn(move || span.in_scope(|| worker.run()))?;
    Ok(WorkerHandle { stop, pause, state, requests, thread: Some(thread) })
}

struct Worker {
    config: WorkerConfig,
    index: usize,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
    state: Arc<Mutex<WorkerState>>,
    receiver: Receiver<ReadRequest>,
}

impl Worker {
    /// Sessions until stopped; a failed one is followed by the next after a while.
    fn run(&mut self) {
        let mut backoff_ms = 100;
        while !self.stopping() {
            self.set_state(WorkerState::Restoring);
            self.config.metrics.session_began(self.index);
            let commits = self.config.metrics.commits.load(Ordering::Relaxed);
            let Err(error) = self.session() else { break };
            if self.config.metrics.commits.load(Ordering::Relaxed) > commits {
                backoff_ms = 100;
            }
            self.config.metrics.session_failed(self.index, &error, self.config.clock.monotonic_us(), backoff_ms);
            self.set_state(WorkerState::Failed(error.to_string()));
            let mut waited = 0;
            while waited < backoff_ms && !self.stopping() {
                self.config.clock.sleep(Duration::from_millis(50));
                waited += 50;
            }
            backoff_ms = (backoff_ms * 2).min(BACKOFF_MS_MAX);
        }
        self.config.metrics.worker_ended(self.index);
        self.set_state(WorkerState::Stopped);
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn set_state(&self, state: WorkerState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// From joining the group to leaving it.
    fn session(&mut self) -> Result<()> {
        let config = &self.config;
        let client_id = format!("{}-{}", config.group, self.index);
        let producer = config.broker.producer(&ProducerOptions {
            transactional_id: config.exactly_once.then(|| client_id.clone()),
            client_id: client_id.clone(),
        })?;
        let mut consumer = config.broker.consumer(&ConsumerOptions {
            group: Some(config.group.clone()),
            start: config.start,
            read_uncommitted: false,
            client_id,
        })?;
        consumer.subscribe(&config.blueprint.input_topics())?;
        let mut session = Session {
            config,
            out: WorkerOutput { producer, begun: false, sent: 0 },
            consumer,
            tasks: Vec::new(),
            routes: BTreeMap::new(),
            assigned: BTreeSet::new(),
            paused: BTreeSet::new(),
            log: Vec::new(),
            epoch: 0,
            last_commit_us: config.clock.monotonic_us(),
            answers_from_us: config.clock.monotonic_us() + JOIN_PATIENCE_US,
            held: false,
        };
        let result = session.work(self);
        if result.is_err() && session.out.begun {
            // Best effort: the next producer with this id aborts it anyway.
            let _ = session.out.producer.abort();
        }
        session.consumer.close();
        result
    }
}

struct WorkerOutput {
    producer: Box<dyn Producer>,
    begun: bool,
    sent: u64,
}

impl WorkerOutput {
    fn begin(&mut self) -> Result<()> {
        if !self.begun {
            self.producer.begin()?;
            self.begun = true;
        }
        Ok(())
    }
}

impl Output for WorkerOutput {
    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        self.begin()?;
        self.sent += 1;
        self.producer.send(record)
    }

    fn collect(&mut self, _batch: &ChangeBatch) -> Result<()> {
        Err(Error::internal("a persistent query collects nothing"))
    }
}

/// What one membership in the group holds.
struct Session<'a> {
    config: &'a WorkerConfig,
    out: WorkerOutput,
    consumer: Box<dyn Consumer>,
    tasks: Vec<Task>,
    routes: BTreeMap<TopicPartition, usize>,
    assigned: BTreeSet<TopicPartition>,
    paused: BTreeSet<TopicPartition>,
    log: Vec<Entry>,
    epoch: u64,
    last_commit_us: i64,
    /// Before it pull queries would miss what is not restored yet.
    answers_from_us: i64,
    held: bool,
}

impl Session<'_> {
    fn work(&mut self, worker: &Worker) -> Result<()> {
        let mut busy = false;
        while !worker.stopping() {
            let wait = if busy { Duration::ZERO } else { POLL_WAIT };
            let poll = self.consumer.poll(POLL_RECORDS, wait)?;
            if !poll.revoked.is_empty() {
                self.config.metrics.partitions_revoked(&poll.revoked);
                self.commit()?;
                self.revoke(&poll.revoked);
            }
            if !poll.assigned.is_empty() {
                worker.set_state(WorkerState::Restoring);
                self.config.metrics.partitions_assigned(&poll.assigned);
                self.commit()?;
                self.assign(poll.assigned)?;
                self.answers_from_us = self.config.clock.monotonic_us();
                self.config.metrics.tasks_ready(self.tasks.len());
                worker.set_state(WorkerState::Running);
            }
            for set in poll.sets {
                self.route(set)?;
            }
            self.hold(worker.pause.load(Ordering::SeqCst), worker)?;
            busy = !self.held && self.process()?;
            if self.commit_due() {
                self.commit()?;
            }
            self.throttle()?;
            self.answer(&worker.receiver);
            self.report_lag(worker.index);
            self.config.metrics.measure_state(worker.index, &self.tasks, self.config.clock.monotonic_us());
        }
        self.commit()
    }

    /// Records to their task; those of a partition whose task does not exist yet are read again after the seek.
    fn route(&mut self, set: RecordSet) -> Result<()> {
        let partition = TopicPartition::new(set.topic.clone(), set.partition);
        match self.routes.get(&partition) {
            Some(task) => {
                let now_us = self.config.clock.monotonic_us();
                self.tasks[*task].push(set, now_us, &self.config.metrics)
            }
            None => Ok(()),
        }
    }

    /// Rounds of every task until nothing is left or the commit is due; whether anything is left.
    fn process(&mut self) -> Result<bool> {
        for task in &mut self.tasks {
            for input in &mut task.inputs {
                let partition = TopicPartition::new(input.topic.clone(), task.partition);
                input.drained = self.consumer.end_offset(&partition).is_some_and(|end| input.next_offset() >= end);
            }
        }
        let mut left = true;
        while left && !self.commit_due() {
            left = false;
            let now_ms = self.config.clock.now_ms();
            for task in &mut self.tasks {
                let mut io = TaskIo {
                    out: &mut self.out,
                    metrics: &self.config.metrics,
                    log: &mut self.log,
                    coalesce: self.config.coalesce,
                    now_ms,
                };
                left |= task.step(&mut io)?;
                task.idle(self.config.clock.monotonic_us(), self.config.idle_timeout_ms, &mut io)?;
            }
        }
        Ok(left)
    }

    fn commit_due(&self) -> bool {
        self.config.clock.monotonic_us() - self.last_commit_us >= self.config.commit_interval_ms * 1000
    }

    /// One epoch, if there is anything in it.
    fn commit(&mut self) -> Result<()> {
        let now_ms = self.config.clock.now_ms();
        let mut io = TaskIo {
            out: &mut self.out,
            metrics: &self.config.metrics,
            log: &mut self.log,
            coalesce: self.config.coalesce,
            now_ms,
        };
        let mut anything = false;
        for task in &mut self.tasks {
            anything |= task.prepare_commit(&mut io)?;
        }
        self.last_commit_us = self.config.clock.monotonic_us();
        if !anything {
            return Ok(());
        }
        self.epoch += 1;
        self.out.begin()?;
        self.write_changelogs(now_ms)?;
        self.write_log(now_ms)?;
        let mut offsets = Vec::new();
        for task in &self.tasks {
            for (topic, offset, progress) in task.progress(self.epoch) {
                let partition = TopicPartition::new(topic, task.partition);
                offsets.push(CommittedOffset { partition, offset, metadata: progress.to_metadata() });
            }
        }
        let asked_us = self.config.clock.monotonic_us();
        self.out.producer.commit(&offsets, self.consumer.group_metadata().as_ref())?;
        self.out.begun = false;
        self.config.metrics.committed(self.config.clock.monotonic_us() - asked_us);
        self.tasks.iter_mut().try_for_each(Task::committed)
    }

    fn write_changelogs(&mut self, now_ms: i64) -> Result<()> {
        for task in &self.tasks {
            for (i, store) in task.stores().iter().enumerate() {
                let Some(topic) = self.config.blueprint.changelog_topic(task.sub_topology, i) else { continue };
                for (key, value) in store.delta() {
                    let record = OutRecord {
                        topic: &topic,
                        partition: task.partition,
                        key: Some(key),
                        value,
                        timestamp: now_ms,
                        headers: &[],
                    };
                    self.out.send(record)?;
                }
            }
        }
        Ok(())
    }

    fn write_log(&mut self, now_ms: i64) -> Result<()> {
        let query = &self.config.blueprint.query_id;
        for entry in std::mem::take(&mut self.log) {
            tracing::debug!(topic = entry.topic, offset = entry.offset, reason = entry.reason, "bad record");
            if let Some(topic) = &self.config.processing_log {
                let json = entry.to_json(query, now_ms);
                let value = Some(json.as_slice());
                self.out.send(OutRecord { topic, partition: 0, key: None, value, timestamp: now_ms, headers: &[] })?;
            }
        }
        Ok(())
    }

    /// Forgets tasks of partitions that went to somebody else; their work is committed.
    fn revoke(&mut self, revoked: &[TopicPartition]) {
        for partition in revoked {
            self.assigned.remove(partition);
            self.paused.remove(partition);
        }
        let assigned = &self.assigned;
        self.tasks.retain(|task| {
            let mut inputs = task.inputs.iter();
            inputs.all(|input| assigned.contains(&TopicPartition::new(input.topic.clone(), task.partition)))
        });
        self.rebuild_routes();
    }

    fn rebuild_routes(&mut self) {
        self.routes.clear();
        for (i, task) in self.tasks.iter().enumerate() {
            for input in &task.inputs {
                self.routes.insert(TopicPartition::new(input.topic.clone(), task.partition), i);
            }
        }
    }

    /// Builds and restores tasks whose inputs are now all ours.
    fn assign(&mut self, assigned: Vec<TopicPartition>) -> Result<()> {
        self.assigned.extend(assigned);
        let _phase = RestorePhase::begin(&self.config.metrics, self.config.clock.as_ref());
        let blueprint = &self.config.blueprint;
        for sub_topology in 0..blueprint.topology.sub_topologies.len() {
            for partition in 0..blueprint.task_count(sub_topology) {
                let exists = self.tasks.iter().any(|t| (t.sub_topology, t.partition) == (sub_topology, partition));
                let inputs: Vec<TopicPartition> =
                    blueprint.topics_of(sub_topology).map(|topic| TopicPartition::new(topic, partition)).collect();
                if !exists && inputs.iter().all(|input| self.assigned.contains(input)) {
                    let task = self.restore_task(sub_topology, partition, &inputs)?;
                    self.tasks.push(task);
                }
            }
        }
        self.rebuild_routes();
        Ok(())
    }

    fn restore_task(&mut self, sub_topology: usize, partition: i32, inputs: &[TopicPartition]) -> Result<Task> {
        let config = self.config;
        let committed = self.consumer.committed(inputs)?;
        let mut stream_time = NO_TIME;
        let mut positions = BTreeMap::new();
        for input in inputs {
            let found = committed.iter().find(|committed| committed.partition == *input);
            let (offset, progress) = match found {
                Some(committed) => (committed.offset, Progress::from_metadata(&committed.metadata)),
                None => (self.first_offset(sub_topology, input)?, Progress::default()),
            };
            stream_time = stream_time.max(progress.stream_time);
            self.epoch = self.epoch.max(progress.epoch);
            positions.insert(input.topic.clone(), (offset, progress.rows_done));
        }
        let mut stores = config.blueprint.stores(sub_topology);
        for (i, store) in stores.iter_mut().enumerate() {
            if let Some(topic) = config.blueprint.changelog_topic(sub_topology, i) {
                let changelog = changelog_partition(&topic, partition);
                restore(config.broker.as_ref(), &changelog, store, &config.metrics, config.clock.as_ref())?;
            }
        }
        for input in inputs {
            self.consumer.seek(input, positions[&input.topic].0)?;
        }
        let now_us = config.clock.monotonic_us();
        config.blueprint.task(sub_topology, partition, stores, &positions, stream_time, now_us)
    }

    /// Where an input without committed offset starts.
    ///
    /// > KSQL: tables always start at the earliest record.
    fn first_offset(&self, sub_topology: usize, input: &TopicPartition) -> Result<i64> {
        let (first, end) = self.config.broker.offsets(input)?;
        let internal = self.config.blueprint.reads_whole(sub_topology, &input.topic);
        Ok(match self.config.start {
            Start::Latest if !internal => end,
            _ => first,
        })
    }

    /// Pauses partitions that are far ahead, or all of them while the query is held.
    fn throttle(&mut self) -> Result<()> {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for task in &self.tasks {
            for input in &task.inputs {
                let partition = TopicPartition::new(input.topic.clone(), task.partition);
                let queued = input.queued();
                let is_paused = self.paused.contains(&partition);
                if !is_paused && queued > QUEUED_ROWS_MAX {
                    pause.push(partition);
                } else if is_paused && queued < QUEUED_ROWS_MAX / 2 {
                    resume.push(partition);
                }
            }
        }
        if !pause.is_empty() {
            self.consumer.pause(&pause)?;
            self.paused.extend(pause);
        }
        if !resume.is_empty() {
            self.consumer.resume(&resume)?;
            resume.iter().for_each(|partition| {
                self.paused.remove(partition);
            });
        }
        Ok(())
    }

    /// PAUSE and RESUME of the query: reading goes on up to the queue limits, processing does not.
    fn hold(&mut self, hold: bool, worker: &Worker) -> Result<()> {
        if hold != self.held {
            self.held = hold;
            self.commit()?;
            worker.set_state(if hold { WorkerState::Paused } else { WorkerState::Running });
        }
        Ok(())
    }

    /// Pull queries, between rounds: they see what is processed, committed or not.
    fn answer(&mut self, receiver: &Receiver<ReadRequest>) {
        if self.config.clock.monotonic_us() < self.answers_from_us {
            return;
        }
        while let Ok(request) = receiver.try_recv() {
            let rows = self.read(request.keys.as_deref());
            // The asker may have given up.
            let _ = request.reply.send(rows);
        }
    }

    fn read(&mut self, keys: Option<&[ArrayRef]>) -> Result<Vec<ChangeBatch>> {
        let no_table = || Error::semantic("the query keeps no table");
        let (sub_topology, store) = self.config.blueprint.materialization().ok_or_else(no_table)?;
        let codec = TableCodec::new(self.config.blueprint.materialized_schema().ok_or_else(no_table)?)?;
        let now_ms = self.config.clock.now_ms();
        let mut rows = Vec::new();
        for task in self.tasks.iter_mut().filter(|task| task.sub_topology == sub_topology) {
            let mut io = TaskIo {
                out: &mut self.out,
                metrics: &self.config.metrics,
                log: &mut self.log,
                coalesce: self.config.coalesce,
                now_ms,
            };
            // Operators write to their stores when they prepare a commit.
            task.prepare_commit(&mut io)?;
            let store = &task.stores()[store];
            rows.push(match keys {
                None => scan(store, &codec, usize::MAX)?,
                Some(keys) => lookup(store, &codec, keys)?,
            });
        }
        Ok(rows)
    }

    fn report_lag(&self, index: usize) {
        let lag = self.tasks.iter().flat_map(|task| {
            task.inputs.iter().map(|input| {
                let partition = TopicPartition::new(input.topic.clone(), task.partition);
                let end = self.consumer.end_offset(&partition).unwrap_or(0);
                (end - input.next_offset()).max(0) as u64 + input.queued() as u64
            })
        });
        self.config.metrics.set_lag(index, lag.sum());
    }
}
