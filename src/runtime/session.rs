//! [`Session`]: one membership of a worker in its query's group, from joining until it leaves or fails.
//!
//! Commit epoch: outputs, repartition records, store changes, log entries and input offsets go into one transaction;
//! the broker's answer to `commit` is the only decision point. Whatever goes wrong before it ends the session: the
//! transaction is aborted, the tasks' memory thrown away, and a new session restores.
//!
//! **Invariant:** only [`Session::step`] and [`Session::commit`] move a session, and they wait for nothing but the
//! broker: a simulation drives many sessions on one thread.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use arrow::array::ArrayRef;

use super::build::Blueprint;
use super::checkpoint::{Checkpoints, Save};
use super::holdings::{Holdings, inputs_of, take_back};
use super::pace::FREE;
use super::position::incarnation;
use super::processing_log::Entry;
use super::purge::Purges;
use super::recovery::Recovery;
use super::round::TaskInput;
use super::task::{Output, Task, TaskIo};
use super::throttle::Throttle;
use super::worker::{Rows, WorkerConfig};
use crate::broker::{CommittedOffset, Consumer, ConsumerOptions, OutRecord, Producer, ProducerOptions, TopicPartition};
use crate::change::{ChangeBatch, RecordSet};
use crate::error::{Error, ErrorKind, Result};
use crate::operator::{TableCodec, lookup, scan};
use crate::state::{StateStore, Writes};
use crate::time::NO_TIME;

/// How long a step waits for a changelog.
const RESTORE_WAIT: Duration = Duration::from_millis(50);
/// How long a step waits for others to catch up.
const OUTPACED_WAIT: Duration = Duration::from_millis(5);
/// How long pull queries wait for the worker's first partitions; a worker that gets none answers then.
const JOIN_PATIENCE_US: i64 = 10_000_000;

struct WorkerOutput {
    producer: Box<dyn Producer>,
    begun: bool,
    /// Records in the open transaction.
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
pub struct Session {
    config: WorkerConfig,
    index: usize,
    out: WorkerOutput,
    consumer: Box<dyn Consumer>,
    holdings: Holdings,
    log: Vec<Entry>,
    epoch: u64,
    last_commit_us: i64,
    /// Before it pull queries would miss what is not restored yet.
    answers_from_us: i64,
    held: bool,
    busy: bool,
    /// Rows wait for inputs that are behind in event time.
    outpaced: bool,
    /// Tasks that are being restored; the others work meanwhile.
    recovering: VecDeque<Recovery>,
    checkpoints: Checkpoints,
    purges: Purges,
    /// What went wrong in a read: tasks are half through a flush, and nothing of theirs may be committed.
    broken: Option<Error>,
}

impl Session {
    /// Joins the group as worker number `index`.
    pub fn join(config: &WorkerConfig, index: usize) -> Result<Self> {
        let client_id = format!("{}-{}-{index}", config.group, config.state.instance_id());
        let producer = config.broker.producer(&ProducerOptions {
            transactional_id: config.exactly_once.then(|| client_id.clone()),
            client_id: client_id.clone(),
            may_repeat: !config.exactly_once,
        })?;
        let mut consumer = config.broker.consumer(&ConsumerOptions {
            group: Some(config.group.clone()),
            start: config.start,
            read_uncommitted: false,
            client_id,
            reader: index,
            patient: false,
        })?;
        consumer.subscribe(&config.blueprint.input_topics())?;
        let now_us = config.clock.monotonic_us();
        Ok(Self {
            config: config.clone(),
            index,
            out: WorkerOutput { producer, begun: false, sent: 0 },
            consumer,
            holdings: Holdings::default(),
            log: Vec::new(),
            epoch: 0,
            last_commit_us: now_us,
            answers_from_us: now_us + JOIN_PATIENCE_US,
            held: false,
            busy: false,
            outpaced: false,
            recovering: VecDeque::new(),
            checkpoints: Checkpoints::default(),
            purges: Purges::default(),
            broken: None,
        })
    }

    /// Fetches at most `records_max` records, waiting for them only when there is nothing else to do, takes part in
    /// rebalances, processes, and commits when it is time.
    pub fn step(&mut self, records_max: usize, wait: Duration) -> Result<()> {
        self.check()?;
        let poll = self.consumer.poll(records_max, self.patience(wait))?;
        if !poll.revoked.is_empty() {
            self.config.metrics.partitions_revoked(&poll.revoked);
            if poll.lost {
                self.check_nothing_open()?;
            } else {
                self.commit_and(Save::All)?;
            }
            self.recovering.retain(|recovery| !recovery.inputs().iter().any(|input| poll.revoked.contains(input)));
            self.holdings.revoke(&poll.revoked);
        }
        if !poll.assigned.is_empty() {
            self.config.metrics.partitions_assigned(self.index, &poll.assigned);
            self.commit()?;
            self.assign(poll.assigned)?;
            self.answers_from_us = self.config.clock.monotonic_us();
        }
        self.recover()?;
        for set in poll.sets {
            self.route(set)?;
        }
        self.busy = !self.held && self.process()?;
        if self.commit_due() {
            self.commit()?;
        }
        self.holdings.tasks.iter_mut().try_for_each(Task::relieve)?;
        self.throttle()?;
        self.report_lag();
        let now_us = self.config.clock.monotonic_us();
        self.config.metrics.stepped(self.index, &self.holdings.tasks, now_us);
        Ok(())
    }

    /// Ends the wait of a step.
    pub fn waker(&self) -> Waker {
        self.consumer.waker()
    }

    /// How long a step may wait: not at all while there is work, not longer than until the next commit or the next move
    /// of stream time.
    fn patience(&self, longest: Duration) -> Duration {
        if self.busy || !self.recovering.is_empty() {
            return Duration::ZERO;
        }
        let longest = if self.outpaced { longest.min(OUTPACED_WAIT) } else { longest };
        let mut longest_us = longest.as_micros() as i64;
        if !self.log.is_empty() || self.holdings.tasks.iter().any(Task::is_touched) {
            let since_us = self.config.clock.monotonic_us() - self.last_commit_us;
            longest_us = longest_us.min(self.config.commit_interval_ms * 1000 - since_us);
        }
        if self.config.idle_timeout_ms > 0 {
            longest_us = longest_us.min(self.config.idle_timeout_ms * 1000);
        }
        Duration::from_micros(u64::try_from(longest_us).unwrap_or(0))
    }

    /// Leaves the group. What is not committed is lost.
    pub fn leave(mut self) {
        if let Some(pace) = &self.config.pace {
            pace.tell(self.index, FREE, self.config.clock.monotonic_us());
        }
        if self.out.begun {
            // Best effort: the next producer with this id aborts it anyway.
            let _ = self.out.producer.abort();
        }
        self.consumer.close();
    }

    /// Whether all tasks that it owns are at work, or it will own none.
    pub fn is_settled(&self) -> bool {
        self.recovering.is_empty() && self.config.clock.monotonic_us() >= self.answers_from_us
    }

    /// Whether everything fetched is processed.
    pub fn is_idle(&self) -> bool {
        !self.busy && self.recovering.is_empty() && self.holdings.tasks.iter().all(|task| task.queued() == 0)
    }

    /// Its tasks.
    pub fn tasks(&self) -> &[Task] {
        &self.holdings.tasks
    }

    /// PAUSE and RESUME of the query: reading goes on up to the queue limits, processing does not.
    pub fn hold(&mut self, hold: bool) -> Result<()> {
        if hold != self.held {
            self.held = hold;
            self.commit()?;
        }
        Ok(())
    }

    /// Records to their task; those of a partition whose task does not exist yet are read again after the seek.
    fn route(&mut self, set: Arc<RecordSet>) -> Result<()> {
        let partition = TopicPartition::new(set.topic.clone(), set.partition);
        let now_us = self.config.clock.monotonic_us();
        match self.holdings.task_of(&partition) {
            Some(task) => task.push(set, now_us, &self.config.metrics),
            None => Ok(()),
        }
    }

    /// Rounds of every task until nothing is left or the commit is due; whether anything is left. One round at least: a
    /// commit interval that is over before the work begins must not stop it.
    fn process(&mut self) -> Result<bool> {
        for task in &mut self.holdings.tasks {
            for input in &mut task.inputs {
                let partition = TopicPartition::new(input.topic.clone(), task.partition);
                input.drained = self.consumer.end_offset(&partition).is_some_and(|end| input.next_offset() >= end);
            }
        }
        loop {
            let mut left = false;
            let until = self.until();
            for task in &mut self.holdings.tasks {
                let mut io = task_io(&self.config, &mut self.out, &mut self.log, until);
                left |= task.step(&mut io)?;
                task.idle(self.config.clock.monotonic_us(), self.config.idle_timeout_ms, &mut io)?;
            }
            if !left || self.commit_due() {
                let inputs = self.holdings.tasks.iter().flat_map(|task| &task.inputs);
                self.outpaced = !left && inputs.into_iter().any(|input| input.paced && input.queued() > 0);
                return Ok(left);
            }
        }
    }

    /// How far in event time inputs may go that keep pace with others; tells the others about its own.
    fn until(&self) -> i64 {
        let Some(pace) = &self.config.pace else { return FREE };
        let inputs = self.holdings.tasks.iter().flat_map(|task| &task.inputs);
        let mut place = inputs.map(TaskInput::place).min().unwrap_or(FREE);
        let blueprint = &self.config.blueprint;
        if self.recovering.iter().any(|recovery| blueprint.feeds_others(recovery.sub_topology())) {
            place = NO_TIME;
        }
        pace.tell(self.index, place, self.config.clock.monotonic_us())
    }

    fn commit_due(&self) -> bool {
        self.out.sent >= self.config.commit_records_max
            || self.config.clock.monotonic_us() - self.last_commit_us >= self.config.commit_interval_ms * 1000
    }

    /// One epoch, if there is anything in it.
    pub fn commit(&mut self) -> Result<()> {
        self.commit_and(Save::Due)
    }

    /// One epoch, and local checkpoints of tasks.
    pub fn commit_and(&mut self, save: Save) -> Result<()> {
        self.check()?;
        if save == Save::All {
            // Its records would lie behind the checkpoints' positions, and be read again.
            self.commit()?;
        }
        let now_ms = self.config.clock.now_ms();
        let mut io = task_io(&self.config, &mut self.out, &mut self.log, FREE);
        let mut anything = !io.log.is_empty();
        for task in &mut self.holdings.tasks {
            anything |= task.prepare_commit(&mut io)?;
        }
        self.last_commit_us = self.config.clock.monotonic_us();
        let pending = self.checkpoints.before_commit(save, &self.holdings.tasks, &self.config);
        if !anything && !pending.is_some() {
            return Ok(());
        }
        self.epoch += 1;
        self.out.begin()?;
        self.write_changelogs(now_ms)?;
        self.write_log(now_ms)?;
        let offsets: Vec<Vec<CommittedOffset>> =
            self.holdings.tasks.iter().map(|task| task.offsets(self.epoch)).collect();
        let asked_us = self.config.clock.monotonic_us();
        self.out.producer.commit(&offsets.concat(), self.consumer.group_metadata().as_ref())?;
        self.out.begun = false;
        self.out.sent = 0;
        self.config.metrics.committed(self.config.clock.monotonic_us() - asked_us);
        let tasks = &mut self.holdings.tasks;
        tasks.iter_mut().zip(offsets).try_for_each(|(task, offsets)| task.committed(offsets))?;
        self.checkpoints.after_commit(pending, tasks, self.config.clock.monotonic_us())?;
        self.purges.after_commit(&self.holdings.tasks, &self.config);
        Ok(())
    }

    fn write_changelogs(&mut self, now_ms: i64) -> Result<()> {
        for task in &self.holdings.tasks {
            for (i, store) in task.stores().iter().enumerate() {
                let Some(topic) = self.config.blueprint.changelog_topic(task.sub_topology, i) else { continue };
                let mut delta = store.delta();
                while let Some((key, value)) = delta.next_write() {
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

    /// Tasks whose inputs are now all ours: as they were before the rebalance, or restored.
    fn assign(&mut self, assigned: Vec<TopicPartition>) -> Result<()> {
        if let Some(new) = assigned.iter().find(|partition| !self.config.blueprint.expects(partition)) {
            return Err(Error::new(ErrorKind::Unavailable, format!("partition {new} was added to its topic")));
        }
        let wanted = self.holdings.assign(assigned, &self.config.blueprint);
        let mut aside = self.holdings.take_aside();
        for wanted in wanted {
            let committed = self.consumer.committed(&wanted.inputs)?;
            let task = match take_back(&mut aside, &wanted, &committed) {
                Some(task) => {
                    for input in &task.inputs {
                        let partition = TopicPartition::new(input.topic.clone(), task.partition);
                        self.consumer.seek(&partition, input.next_offset())?;
                    }
                    task
                }
                None => {
                    let recovery = Recovery::begin(wanted, committed, &self.config, &mut self.log)?;
                    for input in recovery.inputs() {
                        self.consumer.seek(input, recovery.position(&input.topic))?;
                    }
                    self.consumer.pause(recovery.inputs())?;
                    self.epoch = self.epoch.max(recovery.epoch());
                    self.recovering.push_back(recovery);
                    continue;
                }
            };
            self.holdings.add(task);
        }
        if self.recovering.is_empty() {
            self.config.metrics.tasks_ready(self.index, self.holdings.tasks.len());
        }
        Ok(())
    }

    /// Goes on with the first task that is on its way back.
    fn recover(&mut self) -> Result<()> {
        let Some(recovery) = self.recovering.front_mut() else { return Ok(()) };
        if !recovery.step(RESTORE_WAIT)? {
            return Ok(());
        }
        if let Some(recovery) = self.recovering.pop_front() {
            let inputs = recovery.inputs().to_vec();
            let task = recovery.finish(&self.config.blueprint, self.config.clock.monotonic_us())?;
            self.holdings.add(task);
            self.consumer.resume(&inputs)?;
        }
        if self.recovering.is_empty() {
            self.answers_from_us = self.config.clock.monotonic_us();
            self.config.metrics.tasks_ready(self.index, self.holdings.tasks.len());
        }
        Ok(())
    }

    /// Whether a topic that it reads was deleted and made anew: it would be read on from the old one's offsets.
    pub fn reads_old_topics(&self) -> Result<bool> {
        let inputs = self.holdings.tasks.iter().flat_map(|task| &task.inputs).filter(|input| input.incarnation != 0);
        let known: BTreeSet<(&str, u64)> = inputs.map(|input| (&*input.topic, input.incarnation)).collect();
        for (topic, known) in known {
            let now = incarnation(&self.config.broker.incarnation(topic)?);
            if now != 0 && now != known {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Pauses partitions that are far ahead.
    fn throttle(&mut self) -> Result<()> {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        let inputs = self.holdings.tasks.iter().flat_map(|task| &task.inputs);
        let throttle = Throttle::new(self.config.queue_limits, inputs.map(TaskInput::queued_bytes));
        for task in &self.holdings.tasks {
            for (input, partition) in task.inputs.iter().zip(inputs_of(task)) {
                let is_paused = self.holdings.paused.contains(&partition);
                match (is_paused, throttle.is_paused(input.queued(), input.queued_bytes())) {
                    (false, true) => pause.push(partition),
                    (true, false) => resume.push(partition),
                    _ => {}
                }
            }
        }
        if !pause.is_empty() {
            self.consumer.pause(&pause)?;
            self.holdings.paused.extend(pause);
        }
        if !resume.is_empty() {
            self.consumer.resume(&resume)?;
            resume.iter().for_each(|partition| {
                self.holdings.paused.remove(partition);
            });
        }
        Ok(())
    }

    /// Rows of the table that the query keeps, of the partitions owned here: what is processed, committed or not.
    pub fn read(&mut self, keys: Option<&[ArrayRef]>) -> Result<Rows> {
        let (sub_topology, store) = self.config.blueprint.materialization().ok_or_else(no_table)?;
        let mut rows = Rows::default();
        for task in self.holdings.tasks.iter_mut().filter(|task| task.sub_topology == sub_topology) {
            let mut io = task_io(&self.config, &mut self.out, &mut self.log, FREE);
            // Operators write to their stores when they prepare a commit.
            if let Err(error) = task.prepare_commit(&mut io) {
                self.broken = Some(Error::new(error.kind(), error.message()));
                return Err(error);
            }
            rows.partitions.push(task.partition);
            rows.batches.push(read_table(&self.config.blueprint, &task.stores()[store], keys)?);
        }
        Ok(rows)
    }

    /// After a failed read the session is over.
    fn check(&self) -> Result<()> {
        self.broken.as_ref().map_or(Ok(()), |error| Err(Error::new(error.kind(), error.message())))
    }

    /// The partitions have other owners, who may be at work already. With transactions the broker would refuse a commit;
    /// without, nothing would keep changelog records of this member from standing behind those of its successor.
    fn check_nothing_open(&self) -> Result<()> {
        if !self.out.begun && self.log.is_empty() && !self.holdings.tasks.iter().any(Task::is_touched) {
            return Ok(());
        }
        let what = format!("group {} has given the partitions to others", self.config.group);
        Err(Error::new(ErrorKind::Fenced, what))
    }

    fn report_lag(&self) {
        let lag = self.holdings.tasks.iter().flat_map(|task| {
            task.inputs.iter().zip(inputs_of(task)).map(|(input, partition)| {
                let end = self.consumer.end_offset(&partition).unwrap_or(0);
                (end - input.next_offset()).max(0) as u64 + input.queued() as u64
            })
        });
        self.config.metrics.set_lag(self.index, lag.sum());
    }
}

/// What tasks need, while they are borrowed themselves.
fn task_io<'a>(config: &'a WorkerConfig, out: &'a mut WorkerOutput, log: &'a mut Vec<Entry>, until: i64) -> TaskIo<'a> {
    TaskIo { out, metrics: &config.metrics, log, coalesce: config.coalesce, now_ms: config.clock.now_ms(), until }
}

fn no_table() -> Error {
    Error::semantic("the query keeps no table")
}

/// Rows of the table that a query keeps, out of its store.
pub fn read_table(blueprint: &Blueprint, store: &StateStore, keys: Option<&[ArrayRef]>) -> Result<ChangeBatch> {
    let codec = TableCodec::new(blueprint.materialized_schema().ok_or_else(no_table)?)?;
    match keys {
        None => scan(store, &codec, usize::MAX),
        Some(keys) => lookup(store, &codec, keys),
    }
}
