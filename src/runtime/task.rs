//! [`Task`]: one sub-topology on one partition: its inputs, operators, stores and stream time.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::metrics::QueryMetrics;
use super::pace::Limit;
use super::processing_log::Entry;
use super::progress::Progress;
use super::round::{RoundPart, TaskInput, any_headers, headers_of, next_round};
use super::sink::{HeadersOf, RepartitionWriter, SinkWriter};
use super::standby::Lease;
use crate::broker::{CommittedOffset, OutRecord, TopicPartition};
use crate::change::{ChangeBatch, RecordSet};
use crate::error::{RecordError, Result};
use crate::operator::{Input, Operator, OperatorContext, RowError};
use crate::state::{Position, StateStore};
use crate::time::NO_TIME;

/// Rows that a round takes at most, fewer when they are large: operators make copies of them.
const ROUND_ROWS_MAX: usize = 8192;
const ROUND_BYTES_MAX: usize = 8 << 20;
/// Rows that a round takes at least, however large they are.
const ROUND_ROWS_MIN: usize = 128;
/// Stream time moves in steps of this without records.
const IDLE_STEP_MS: i64 = 1000;

/// Where a task's results go.
pub trait Output {
    /// A record for the sink topic.
    fn send(&mut self, record: OutRecord<'_>) -> Result<()>;
    /// A record for a repartition topic, caused by the row `seq` of the task.
    fn send_internal(&mut self, record: OutRecord<'_>, _seq: u64) -> Result<()> {
        self.send(record)
    }
    /// Rows for whoever asked.
    fn collect(&mut self, batch: &ChangeBatch) -> Result<()>;
}

/// What a task needs of its worker.
pub struct TaskIo<'a> {
    /// Where results go.
    pub out: &'a mut dyn Output,
    /// Counters.
    pub metrics: &'a QueryMetrics,
    /// Problems of single records.
    pub log: &'a mut Vec<Entry>,
    /// Whether updates of one key may be held back until the commit.
    pub coalesce: bool,
    /// Wall clock.
    pub now_ms: i64,
    /// How far in event time inputs may go that keep pace with others.
    pub until: i64,
}

/// A node of a running sub-topology.
pub struct RunningNode {
    /// Nodes that feed its ports.
    pub inputs: Vec<usize>,
    /// What it is.
    pub kind: NodeKind,
}

/// What a node is.
pub enum NodeKind {
    /// Fed from outside.
    Input,
    /// An operator.
    Operator(Box<dyn Operator>),
    /// Writes to the sink topic.
    Sink(Box<SinkWriter>),
    /// Writes to a repartition topic.
    Repartition(Box<RepartitionWriter>),
    /// Hands rows to whoever asked.
    Collect,
}

/// Which of an operator's methods a pass through the nodes calls.
#[derive(Clone, Copy, PartialEq)]
enum Phase {
    Process,
    StreamTime,
    Commit,
}

/// One sub-topology on one partition.
pub struct Task {
    /// Index of the sub-topology.
    pub sub_topology: usize,
    /// The partition.
    pub partition: i32,
    /// Input topic partitions.
    pub inputs: Vec<TaskInput>,
    nodes: Vec<RunningNode>,
    stores: Vec<StateStore>,
    stream_time: i64,
    arrival_stream_time: i64,
    next_seq: u64,
    last_arrival_us: i64,
    touched: bool,
    known: Vec<CommittedOffset>,
    lease: Option<Lease>,
    /// Stores changed since their local checkpoint.
    unsaved: bool,
    /// The last commit changed stores.
    changed: bool,
}

impl Task {
    /// A task over restored stores.
    pub fn new(
        sub_topology: usize,
        partition: i32,
        inputs: Vec<TaskInput>,
        nodes: Vec<RunningNode>,
        stores: Vec<StateStore>,
        stream_time: i64,
        monotonic_us: i64,
    ) -> Self {
        Self {
            sub_topology,
            partition,
            inputs,
            nodes,
            stores,
            stream_time,
            arrival_stream_time: stream_time,
            next_seq: 0,
            last_arrival_us: monotonic_us,
            touched: false,
            known: Vec::new(),
            lease: None,
            unsaved: true,
            changed: false,
        }
    }

    /// Queues records of one of its inputs.
    pub fn push(&mut self, set: Arc<RecordSet>, monotonic_us: i64, metrics: &QueryMetrics) -> Result<()> {
        self.last_arrival_us = monotonic_us;
        let topic = set.topic.clone();
        if let Some(input) = self.inputs.iter_mut().find(|input| input.topic == topic) {
            let rows = input.push(set)?;
            QueryMetrics::add(&metrics.rows_in, rows as u64);
        }
        Ok(())
    }

    /// Rows that wait.
    pub fn queued(&self) -> usize {
        self.inputs.iter().map(TaskInput::queued).sum()
    }

    /// Its stores.
    pub fn stores(&self) -> &[StateStore] {
        &self.stores
    }

    /// Its stores, for the task that takes its place.
    pub fn take_stores(&mut self) -> Vec<StateStore> {
        std::mem::take(&mut self.stores)
    }

    /// Its stream time.
    pub fn stream_time(&self) -> i64 {
        self.stream_time
    }

    /// Processes one round; false when there is nothing to do until more is fetched.
    pub fn step(&mut self, io: &mut TaskIo<'_>) -> Result<bool> {
        let bytes: usize = self.inputs.iter().map(TaskInput::queued_bytes).sum();
        let row_bytes = bytes / self.queued().max(1);
        let rows_max = ROUND_BYTES_MAX / row_bytes.max(1);
        self.step_at_most(rows_max.clamp(ROUND_ROWS_MIN, ROUND_ROWS_MAX), io)
    }

    /// Processes one round of at most about `rows_max` rows.
    pub fn step_at_most(&mut self, rows_max: usize, io: &mut TaskIo<'_>) -> Result<bool> {
        let logged = io.log.len();
        let limit = Limit { until: io.until, now_ms: io.now_ms };
        let round = next_round(&mut self.inputs, &mut self.next_seq, rows_max, limit, io.log);
        QueryMetrics::add(&io.metrics.errors, (io.log.len() - logged) as u64);
        self.touched |= io.log.len() > logged;
        let Some(parts) = round else { return Ok(false) };
        self.touched = true;
        for part in &parts {
            let newest = part.batch.rowtime.iter().copied().max().unwrap_or(NO_TIME);
            self.stream_time = self.stream_time.max(newest);
        }
        self.arrival_stream_time = self.stream_time;
        io.metrics.stream_time.fetch_max(self.stream_time, Ordering::Relaxed);
        self.pass(Phase::Process, &parts, io)?;
        Ok(true)
    }

    /// All inputs are drained and nothing came for `idle_ms`: stream time moves as the wall clock does since the last
    /// arrival. In steps of a second, as each step is a pass through the operators.
    ///
    /// Returns whether it moved.
    pub fn idle(&mut self, monotonic_us: i64, idle_ms: i64, io: &mut TaskIo<'_>) -> Result<bool> {
        let waited_ms = (monotonic_us - self.last_arrival_us) / 1000;
        let drained = self.inputs.iter().all(|input| input.drained && input.queued() == 0);
        if idle_ms <= 0 || !drained || waited_ms < idle_ms || self.arrival_stream_time == NO_TIME {
            return Ok(false);
        }
        let target = self.arrival_stream_time + waited_ms;
        if target < self.stream_time.saturating_add(IDLE_STEP_MS.min(idle_ms)) {
            return Ok(false);
        }
        self.advance(target, io)?;
        Ok(true)
    }

    /// Stream time moves to `to` without a record.
    pub fn advance(&mut self, to: i64, io: &mut TaskIo<'_>) -> Result<()> {
        self.stream_time = self.stream_time.max(to);
        io.metrics.stream_time.fetch_max(self.stream_time, Ordering::Relaxed);
        self.pass(Phase::StreamTime, &[], io)
    }

    /// Whether there is anything to commit.
    pub fn is_touched(&self) -> bool {
        self.touched || self.stores.iter().any(StateStore::is_dirty)
    }

    /// Flushes operators before a commit; whether there is anything to commit.
    pub fn prepare_commit(&mut self, io: &mut TaskIo<'_>) -> Result<bool> {
        self.touched = self.is_touched();
        if self.touched {
            self.pass(Phase::Commit, &[], io)?;
        }
        Ok(self.touched)
    }

    /// What an epoch's commit stores for each input.
    pub fn offsets(&self, epoch: u64) -> Vec<CommittedOffset> {
        let of_input = |input: &TaskInput| {
            let (offset, rows_done) = input.position();
            let progress = Progress { epoch, rows_done, stream_time: self.stream_time, topic: input.incarnation };
            let partition = TopicPartition::new(input.topic.clone(), self.partition);
            CommittedOffset { partition, offset, metadata: progress.to_metadata() }
        };
        self.inputs.iter().map(of_input).collect()
    }

    /// The broker committed these offsets.
    pub fn committed(&mut self, offsets: Vec<CommittedOffset>) -> Result<()> {
        self.touched = false;
        self.known = offsets;
        self.changed = self.stores.iter().any(StateStore::is_dirty);
        self.unsaved |= self.changed;
        self.stores.iter_mut().try_for_each(StateStore::commit)
    }

    /// The group's offsets that the stores belong to.
    pub fn know(&mut self, offsets: Vec<CommittedOffset>) {
        self.known = offsets;
    }

    /// Its stores are its own as long as it lives.
    pub fn hold(&mut self, lease: Option<Lease>) {
        self.lease = lease;
    }

    /// The group's offsets that the stores belong to, unless somebody else committed since.
    pub fn known_offsets(&self) -> &[CommittedOffset] {
        &self.known
    }

    /// Whether local checkpoints of it go anywhere.
    pub fn keeps_checkpoints(&self) -> bool {
        self.stores.iter().any(StateStore::keeps_checkpoints)
    }

    /// Whether its local checkpoint, if there is one, lags behind.
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// Saves its stores on the local disk, each as of a place in its changelog; see [`super::checkpoint`].
    pub fn checkpoint(&mut self, positions: &[Option<Position>]) -> Result<()> {
        for (store, position) in self.stores.iter_mut().zip(positions) {
            if let Some(position) = position {
                store.checkpoint(position)?;
            }
        }
        // The places are those before the last commit: what it changed would be read again.
        self.unsaved = self.changed;
        Ok(())
    }

    /// Gives memory back if the process's budget asks for it: also while there is nothing to commit.
    pub fn relieve(&mut self) -> Result<()> {
        self.stores.iter_mut().try_for_each(StateStore::relieve)
    }

    /// Takes batches through the nodes in topological order.
    fn pass(&mut self, phase: Phase, parts: &[RoundPart], io: &mut TaskIo<'_>) -> Result<()> {
        let mut outputs: Vec<Vec<ChangeBatch>> = (0..self.nodes.len()).map(|_| Vec::new()).collect();
        for part in parts {
            outputs[part.node].push(part.batch.clone());
        }
        for i in 0..self.nodes.len() {
            let node = &mut self.nodes[i];
            let mut ports: Vec<Vec<ChangeBatch>> =
                node.inputs.iter().map(|input| std::mem::take(&mut outputs[*input])).collect();
            match &mut node.kind {
                NodeKind::Input => {}
                NodeKind::Operator(operator) => {
                    let mut cx = OperatorContext {
                        stores: &mut self.stores,
                        stream_time: self.stream_time,
                        coalesce: io.coalesce,
                        out: Vec::new(),
                        errors: Vec::new(),
                        late: 0,
                    };
                    run_operator(operator.as_mut(), &mut cx, &mut ports, phase)?;
                    QueryMetrics::add(&io.metrics.rows_late, cx.late);
                    outputs[i] = cx.out;
                    let errors = cx.errors;
                    report(errors, parts, "expression", io);
                }
                NodeKind::Sink(sink) => {
                    // > KSQL: results carry the headers of the record that caused them.
                    let headers = |seq| headers_of(parts, seq);
                    let headers: Option<HeadersOf<'_>> = if any_headers(parts) { Some(&headers) } else { None };
                    for batch in ports.swap_remove(0) {
                        self.touched = true;
                        let (written, errors) = sink.write(&batch, self.partition, headers, io.out)?;
                        QueryMetrics::add(&io.metrics.rows_out, written);
                        report(row_errors(errors), parts, "production", io);
                    }
                }
                NodeKind::Repartition(sink) => {
                    for batch in ports.swap_remove(0) {
                        self.touched = true;
                        let errors = sink.write(&batch, self.partition, io.now_ms, io.out)?;
                        report(row_errors(errors), parts, "production", io);
                    }
                }
                NodeKind::Collect => {
                    for batch in ports.swap_remove(0) {
                        QueryMetrics::add(&io.metrics.rows_out, batch.len() as u64);
                        io.out.collect(&batch)?;
                    }
                }
            }
        }
        Ok(())
    }
}

fn run_operator(
    operator: &mut dyn Operator,
    cx: &mut OperatorContext<'_>,
    ports: &mut Vec<Vec<ChangeBatch>>,
    phase: Phase,
) -> Result<()> {
    if ports.len() == 1 {
        for batch in ports.swap_remove(0) {
            operator.process(cx, Input::single(batch))?;
        }
    } else if ports.iter().any(|port| !port.is_empty()) {
        let ports = ports.iter().map(|port| ChangeBatch::concat(port)).collect::<Result<_>>()?;
        operator.process(cx, Input { ports })?;
    }
    match phase {
        Phase::Process => Ok(()),
        Phase::StreamTime => operator.on_stream_time(cx),
        Phase::Commit => operator.on_commit(cx),
    }
}

fn row_errors(errors: Vec<(u64, RecordError)>) -> Vec<RowError> {
    let errors = errors.into_iter();
    errors.map(|(seq, error)| RowError { seq, place: error.place, reason: error.reason }).collect()
}

/// Errors of rows to log entries, with the record that each row came from.
fn report(errors: Vec<RowError>, parts: &[RoundPart], kind: &'static str, io: &mut TaskIo<'_>) {
    QueryMetrics::add(&io.metrics.errors, errors.len() as u64);
    for error in errors {
        let origin = parts.iter().find_map(|part| part.origin(error.seq, &error.place, &error.reason));
        let mut entry = origin.unwrap_or_else(|| Entry {
            kind,
            topic: String::new(),
            partition: -1,
            offset: -1,
            place: error.place,
            reason: error.reason,
            key: None,
            value: None,
        });
        entry.kind = kind;
        io.log.push(entry);
    }
}
