//! [`LocalExecution`]: a whole query in one thread without a broker of its own: push queries and `eddyline test`.
//! Repartition topics are queues in memory.
//!
//! **Invariant:** records of a repartition topic are processed as soon as they are written, as in Kafka Streams' test
//! driver.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::build::{Blueprint, Positions};
use super::metrics::QueryMetrics;
use super::pace::FREE;
use super::processing_log::Entry;
use super::task::{Output, Task, TaskIo};
use crate::broker::OutRecord;
use crate::change::{ChangeBatch, RecordSet};
use crate::error::Result;
use crate::state::StateEnv;
use crate::time::Clock;

/// A query's tasks, all in this thread.
pub struct LocalExecution {
    tasks: Vec<Task>,
    /// Input topic partition to task.
    routes: BTreeMap<(Arc<str>, i32), usize>,
    metrics: Arc<QueryMetrics>,
    clock: Arc<dyn Clock>,
    coalesce: bool,
    next_internal_offset: i64,
}

/// Splits what tasks write: repartition records come back, the rest goes on.
struct Exchange<'a> {
    routes: &'a BTreeMap<(Arc<str>, i32), usize>,
    queue: VecDeque<RecordSet>,
    out: &'a mut dyn Output,
    next_offset: &'a mut i64,
}

impl Output for Exchange<'_> {
    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        self.out.send(record)
    }

    fn send_internal(&mut self, record: OutRecord<'_>, _seq: u64) -> Result<()> {
        let topic: Arc<str> = Arc::from(record.topic);
        debug_assert!(self.routes.contains_key(&(topic.clone(), record.partition)), "repartition topics are inputs");
        let mut set = RecordSet::new(topic, record.partition);
        set.push(*self.next_offset, record.timestamp, record.key, record.value, Vec::new());
        *self.next_offset += 1;
        self.queue.push_back(set);
        Ok(())
    }

    fn collect(&mut self, batch: &ChangeBatch) -> Result<()> {
        self.out.collect(batch)
    }
}

impl LocalExecution {
    /// All tasks of a query with fresh stores.
    pub fn new(
        blueprint: &Blueprint,
        coalesce: bool,
        metrics: Arc<QueryMetrics>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let mut tasks = Vec::new();
        let mut routes = BTreeMap::new();
        for sub_topology in 0..blueprint.topology.sub_topologies.len() {
            for partition in 0..blueprint.task_count(sub_topology) {
                let mut task = blueprint.fresh_task(sub_topology, partition, clock.as_ref())?;
                for input in &mut task.inputs {
                    input.drained = true;
                    routes.insert((input.topic.clone(), partition), tasks.len());
                }
                tasks.push(task);
            }
        }
        Ok(Self { tasks, routes, metrics, clock, coalesce, next_internal_offset: 0 })
    }

    /// Goes on as another query over the same state: stores of one name in one place are taken over. It must have been
    /// committed.
    pub fn continue_as(&mut self, blueprint: &Blueprint) -> Result<()> {
        let mut next = Self::new(blueprint, self.coalesce, self.metrics.clone(), self.clock.clone())?;
        for task in &mut next.tasks {
            let (sub_topology, partition) = (task.sub_topology, task.partition);
            let same = |old: &&mut Task| old.sub_topology == sub_topology && old.partition == partition;
            let Some(old) = self.tasks.iter_mut().find(same) else { continue };
            let stream_time = old.stream_time();
            let mut kept = old.take_stores();
            let fresh = blueprint.stores(sub_topology, partition, &StateEnv::memory()).into_iter().map(|store| {
                match kept.iter().position(|old| old.name() == store.name()) {
                    Some(at) => kept.swap_remove(at),
                    None => store,
                }
            });
            let stores = fresh.collect();
            let now_us = self.clock.monotonic_us();
            let mut resumed =
                blueprint.task(sub_topology, partition, stores, &Positions::new(), stream_time, now_us)?;
            resumed.inputs.iter_mut().for_each(|input| input.drained = true);
            *task = resumed;
        }
        next.next_internal_offset = self.next_internal_offset;
        *self = next;
        Ok(())
    }

    /// Whether it reads the topic.
    pub fn reads(&self, topic: &str) -> bool {
        self.routes.keys().any(|(read, _)| &**read == topic)
    }

    /// Queues records; [`Self::run`] processes them.
    pub fn push(&mut self, set: Arc<RecordSet>) -> Result<()> {
        if let Some(task) = self.routes.get(&(set.topic.clone(), set.partition)) {
            self.tasks[*task].push(set, self.clock.monotonic_us(), &self.metrics)?;
        }
        Ok(())
    }

    /// Processes everything queued, at most `rows_max` rows a round.
    pub fn run(&mut self, rows_max: usize, out: &mut dyn Output, log: &mut Vec<Entry>) -> Result<()> {
        self.each(out, log, &mut |task, io| {
            while task.step_at_most(rows_max, io)? {}
            Ok(())
        })
    }

    /// Emits what was held back for coalescing and makes all state the committed one.
    pub fn commit(&mut self, out: &mut dyn Output, log: &mut Vec<Entry>) -> Result<()> {
        self.each(out, log, &mut |task, io| {
            while task.step(io)? {}
            task.prepare_commit(io)?;
            task.committed(Vec::new())
        })
    }

    /// Stream time of every task that has one moves on by `by_ms`.
    pub fn advance_time(&mut self, by_ms: i64, out: &mut dyn Output, log: &mut Vec<Entry>) -> Result<()> {
        self.each(out, log, &mut |task, io| {
            while task.step(io)? {}
            if task.stream_time() == crate::time::NO_TIME {
                return Ok(());
            }
            task.advance(task.stream_time() + by_ms, io)
        })
    }

    /// Moves stream time as the wall clock does when nothing came for `idle_ms`.
    pub fn idle(&mut self, idle_ms: i64, out: &mut dyn Output, log: &mut Vec<Entry>) -> Result<()> {
        let now_us = self.clock.monotonic_us();
        self.each(out, log, &mut |task, io| task.idle(now_us, idle_ms, io).map(|_| ()))
    }

    /// Tells whether everything that the broker has of a topic partition was pushed.
    pub fn set_drained(&mut self, topic: &str, partition: i32, drained: bool) {
        if let Some(task) = self.routes.get(&(Arc::from(topic), partition)) {
            for input in self.tasks[*task].inputs.iter_mut().filter(|input| &*input.topic == topic) {
                input.drained = drained;
            }
        }
    }

    /// Calls `act` on every task in order, feeding each later task what earlier ones repartitioned.
    fn each(
        &mut self,
        out: &mut dyn Output,
        log: &mut Vec<Entry>,
        act: &mut dyn FnMut(&mut Task, &mut TaskIo<'_>) -> Result<()>,
    ) -> Result<()> {
        let now_ms = self.clock.now_ms();
        for i in 0..self.tasks.len() {
            let mut exchange = Exchange {
                routes: &self.routes,
                queue: VecDeque::new(),
                out,
                next_offset: &mut self.next_internal_offset,
            };
            let (metrics, coalesce) = (&self.metrics, self.coalesce);
            let mut io = TaskIo { out: &mut exchange, metrics, log, coalesce, now_ms, until: FREE };
            act(&mut self.tasks[i], &mut io)?;
            for set in exchange.queue {
                if let Some(task) = self.routes.get(&(set.topic.clone(), set.partition)) {
                    self.tasks[*task].push(set.into(), self.clock.monotonic_us(), &self.metrics)?;
                }
            }
        }
        Ok(())
    }
}
