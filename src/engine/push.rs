//! Push queries: a topology of its own in a thread, rows over a bounded channel. Nothing of it is stored.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use super::session::{RowEvent, RowStream};
use crate::broker::{Broker, ConsumerOptions, OutRecord, Start, TopicPartition};
use crate::change::{ChangeBatch, Op};
use crate::error::{Error, Result};
use crate::runtime::local::LocalExecution;
use crate::runtime::task::Output;
use crate::runtime::{Blueprint, QueryMetrics};
use crate::time::Clock;
use crate::types::{SqlType, Value};

/// Rows that wait for the reader before the query waits.
const CHANNEL_ROWS: usize = 4096;
/// Records fetched at once.
const POLL_RECORDS: usize = 5_000;

/// What a push query needs.
pub struct PushQuery {
    /// Its topology, ending in `Collect`.
    pub blueprint: Blueprint,
    /// Result columns: name, type, position in the collected batch.
    pub columns: Vec<(String, SqlType, usize)>,
    /// Number of result columns that a tombstone keeps (the key's positions in the batch).
    pub key_positions: Vec<usize>,
    /// Ends after so many rows.
    pub limit: Option<u64>,
    /// Where streams start.
    pub start: Start,
    /// See [`crate::runtime::task::Task::idle`].
    pub idle_timeout_ms: i64,
}

/// The reader's end.
struct PushStream {
    columns: Vec<(String, SqlType)>,
    events: Receiver<Result<RowEvent>>,
    stop: Arc<AtomicBool>,
    ended: bool,
}

impl RowStream for PushStream {
    fn columns(&self) -> &[(String, SqlType)] {
        &self.columns
    }

    fn next(&mut self, timeout: Duration) -> Result<RowEvent> {
        if self.ended {
            return Ok(RowEvent::End("Query Completed".to_owned()));
        }
        match self.events.recv_timeout(timeout) {
            Ok(event) => {
                self.ended = !matches!(&event, Ok(RowEvent::Row(_) | RowEvent::Tombstone(_) | RowEvent::Idle));
                event
            }
            Err(RecvTimeoutError::Timeout) => Ok(RowEvent::Idle),
            Err(RecvTimeoutError::Disconnected) => {
                self.ended = true;
                Ok(RowEvent::End("Query Completed".to_owned()))
            }
        }
    }
}

impl Drop for PushStream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

/// Starts a push query.
pub fn start(query: PushQuery, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Result<Box<dyn RowStream>> {
    let (sender, events) = sync_channel(CHANNEL_ROWS);
    let stop = Arc::new(AtomicBool::new(false));
    let columns = query.columns.iter().map(|(name, ty, _)| (name.clone(), ty.clone())).collect();
    let stopped = stop.clone();
    std::thread::Builder::new().name("push-query".to_owned()).spawn(move || {
        let mut rows = Rows { sender, stop: stopped, left: query.limit, query: &query };
        match run(&query, broker.as_ref(), clock, &mut rows) {
            Ok(()) => {}
            Err(_) if rows.stop.load(Ordering::SeqCst) => {}
            Err(error) => {
                let _ = rows.sender.send(Err(error));
            }
        }
    })?;
    Ok(Box::new(PushStream { columns, events, stop, ended: false }))
}

fn run(query: &PushQuery, broker: &dyn Broker, clock: Arc<dyn Clock>, rows: &mut Rows<'_>) -> Result<()> {
    let metrics = Arc::new(QueryMetrics::new(1));
    let mut execution = LocalExecution::new(&query.blueprint, false, metrics, clock)?;
    let mut consumer = broker.consumer(&ConsumerOptions { client_id: "push-query".into(), ..Default::default() })?;
    let mut positions: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    for sub_topology in 0..query.blueprint.topology.sub_topologies.len() {
        for topic in query.blueprint.topics_of(sub_topology) {
            let Some(info) = broker.topic(&topic)? else { continue };
            for partition in 0..info.partitions {
                let partition = TopicPartition::new(topic.as_str(), partition);
                let (first, end) = broker.offsets(&partition)?;
                let whole = query.blueprint.reads_whole(sub_topology, &topic) || query.start == Start::Earliest;
                positions.insert(partition, if whole { first } else { end });
            }
        }
    }
    let assignment: Vec<_> = positions.iter().map(|(p, offset)| (p.clone(), Start::Offset(*offset))).collect();
    consumer.assign(&assignment)?;
    let mut log = Vec::new();
    while !rows.stop.load(Ordering::SeqCst) {
        for set in consumer.poll(POLL_RECORDS, Duration::from_millis(20))?.sets {
            let partition = TopicPartition::new(set.topic.clone(), set.partition);
            positions.insert(partition, set.offsets.last().map_or(0, |last| last + 1));
            execution.push(set)?;
        }
        for (partition, position) in &positions {
            let drained = consumer.end_offset(partition).is_some_and(|end| *position >= end);
            execution.set_drained(&partition.topic, partition.partition, drained);
        }
        execution.run(usize::MAX, rows, &mut log)?;
        execution.idle(query.idle_timeout_ms, rows, &mut log)?;
        // Bad records of the sources show up in the processing log of the queries that persist.
        log.clear();
        if rows.left == Some(0) {
            rows.push(RowEvent::End("Limit Reached".to_owned()))?;
            return Ok(());
        }
    }
    Ok(())
}

/// The writer's end.
struct Rows<'a> {
    sender: SyncSender<Result<RowEvent>>,
    stop: Arc<AtomicBool>,
    left: Option<u64>,
    query: &'a PushQuery,
}

impl Rows<'_> {
    /// Waits while the reader is behind; fails when it is gone.
    fn push(&mut self, event: RowEvent) -> Result<()> {
        let mut event = Ok(event);
        loop {
            match self.sender.try_send(event) {
                Ok(()) => return Ok(()),
                Err(TrySendError::Full(back)) if !self.stop.load(Ordering::SeqCst) => {
                    event = back;
                    std::thread::yield_now();
                }
                Err(_) => {
                    self.stop.store(true, Ordering::SeqCst);
                    return Err(Error::internal("the reader is gone"));
                }
            }
        }
    }
}

impl Output for Rows<'_> {
    fn send(&mut self, _record: OutRecord<'_>) -> Result<()> {
        Err(Error::internal("a push query writes no topic"))
    }

    fn collect(&mut self, batch: &ChangeBatch) -> Result<()> {
        for i in 0..batch.len() {
            if self.left == Some(0) {
                return Ok(());
            }
            let op = batch.op(i);
            if op == Op::UpdateBefore {
                continue;
            }
            let gone = batch.ops.is_some() && (op == Op::Delete || batch.is_null_value(i));
            let cell = |position: usize| Value::from_array(batch.data.column(position), i);
            let cells = self.query.columns.iter().map(|(_, _, position)| {
                if gone && !self.query.key_positions.contains(position) { Value::Null } else { cell(*position) }
            });
            let row: Vec<Value> = cells.collect();
            if let Some(left) = &mut self.left {
                *left -= 1;
            }
            self.push(if gone { RowEvent::Tombstone(row) } else { RowEvent::Row(row) })?;
        }
        Ok(())
    }
}
