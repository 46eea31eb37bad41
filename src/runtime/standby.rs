//! [`Standbys`]: copies of the stores that other processes work on, kept close to their changelogs' ends, so that a task
//! that moves here has little left to read.
//!
//! One thread for each query reads all those changelogs. It hands a copy over when a worker of this process gets the
//! task, and starts a new one, from the local checkpoint, when the task is gone again.
//!
//! **Invariant:** a store is with the copies or with a task of this process, never with both: a task holds a [`Lease`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::build::Blueprint;
use super::metrics::QueryMetrics;
use super::restore::changelog_partition;
use crate::broker::{Broker, Consumer, ConsumerOptions, Start, TopicPartition};
use crate::change::RecordSet;
use crate::error::Result;
use crate::state::{Position, StateEnv, StateStore};
use crate::time::Clock;

/// Records of changelogs read at once.
const BATCH: usize = 10_000;
/// Longest wait for records.
const WAIT: Duration = Duration::from_millis(100);
/// Pause after something went wrong.
const BACKOFF: Duration = Duration::from_secs(1);

/// Sub-topology and partition.
type TaskId = (usize, i32);

/// A copy: task, store and number. One that was handed over and begun anew between two steps is another copy, which
/// starts elsewhere: what is read for the old one would leave a gap in it.
type CopyId = (TaskId, usize, u64);
type Routes = BTreeMap<TopicPartition, CopyId>;

/// Copies of a query's stores.
pub struct Standbys {
    blueprint: Arc<Blueprint>,
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    metrics: Arc<QueryMetrics>,
    state: StateEnv,
    stop: AtomicBool,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Tasks of this process's workers.
    leased: BTreeSet<TaskId>,
    copies: BTreeMap<TaskId, Vec<Copied>>,
    /// Copies begun so far.
    begun: u64,
}

/// A store and how far it has read its changelog.
pub struct Copied {
    /// The store.
    pub store: StateStore,
    /// The next record of its changelog; `None` for a store without one.
    pub next: Option<i64>,
    incarnation: String,
    /// Tells it from earlier copies of the same store.
    number: u64,
}

/// Keeps a task's stores from being copied while it lives.
pub struct Lease {
    of: Arc<Standbys>,
    task: TaskId,
}

/// Keeps copies close to their changelogs' ends.
pub struct Follower {
    of: Arc<Standbys>,
    consumer: Box<dyn Consumer>,
    /// The copy that each changelog is read for.
    routes: Routes,
    saved_us: i64,
}

impl Follower {
    /// Reads what has come, waiting for it at most so long.
    pub fn step(&mut self, max_wait: Duration) -> Result<()> {
        let of = &self.of;
        of.begin_copies()?;
        of.assign(self.consumer.as_mut(), &mut self.routes)?;
        if self.routes.is_empty() {
            of.tell(self.consumer.as_ref(), &self.routes);
            of.clock.sleep(max_wait);
            return Ok(());
        }
        for set in self.consumer.poll(BATCH, max_wait)?.sets {
            let partition = TopicPartition::new(set.topic.clone(), set.partition);
            if let Some(copy) = self.routes.get(&partition) {
                of.apply(*copy, &set)?;
            }
        }
        of.tell(self.consumer.as_ref(), &self.routes);
        if of.clock.monotonic_us() - self.saved_us >= of.state.checkpoint_interval_ms.saturating_mul(1000) {
            of.checkpoint()?;
            self.saved_us = of.clock.monotonic_us();
        }
        Ok(())
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.of.inner().leased.remove(&self.task);
    }
}

impl Standbys {
    /// Copies of the stores of `blueprint`'s tasks; [`Standbys::follow`] keeps them.
    pub fn new(
        blueprint: Arc<Blueprint>,
        broker: Arc<dyn Broker>,
        clock: Arc<dyn Clock>,
        metrics: Arc<QueryMetrics>,
        state: StateEnv,
    ) -> Arc<Self> {
        let (stop, inner) = (AtomicBool::new(false), Mutex::default());
        Arc::new(Self { blueprint, broker, clock, metrics, state, stop, inner })
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The stores of a task that a worker of this process got, if there are copies of them.
    pub fn take(self: &Arc<Self>, sub_topology: usize, partition: i32) -> (Option<Vec<Copied>>, Lease) {
        let task = (sub_topology, partition);
        let mut inner = self.inner();
        inner.leased.insert(task);
        (inner.copies.remove(&task), Lease { of: self.clone(), task })
    }

    /// Follows the changelogs on a thread of its own until [`Standbys::end`].
    pub fn follow(self: &Arc<Self>) -> Result<JoinHandle<()>> {
        let standbys = self.clone();
        let name = format!("{}-standby", self.blueprint.query_id);
        let span = tracing::error_span!("standby", query = self.blueprint.query_id);
        Ok(std::thread::Builder::new().name(name).spawn(move || span.in_scope(|| standbys.run()))?)
    }

    /// Ends the thread.
    pub fn end(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }

    fn run(self: &Arc<Self>) {
        while !self.stop.load(Ordering::SeqCst) {
            if let Err(error) = self.read() {
                tracing::warn!(%error, "copies of stores fall behind");
                self.forget();
                self.clock.sleep(BACKOFF);
            }
        }
        self.save_and_forget();
    }

    /// Reads until something goes wrong or the thread is to end.
    fn read(self: &Arc<Self>) -> Result<()> {
        let mut follower = self.follower()?;
        while !self.stop.load(Ordering::SeqCst) {
            follower.step(WAIT)?;
        }
        Ok(())
    }

    /// Reads the changelogs step by step: a thread takes the steps, or a simulation.
    pub fn follower(self: &Arc<Self>) -> Result<Follower> {
        let options = ConsumerOptions { client_id: "standby".into(), ..ConsumerOptions::default() };
        let consumer = self.broker.consumer(&options)?;
        Ok(Follower { of: self.clone(), consumer, routes: Routes::new(), saved_us: self.clock.monotonic_us() })
    }

    /// After a failed step no copy is known to be whole.
    pub fn forget(&self) {
        self.inner().copies.clear();
    }

    /// At the end the copies go to the local disk.
    pub fn save_and_forget(&self) {
        if let Err(error) = self.checkpoint() {
            tracing::warn!(%error, "copies of stores were not saved");
        }
        self.forget();
    }

    fn changelog(&self, sub_topology: usize, partition: i32, store: usize) -> Option<TopicPartition> {
        let topic = self.blueprint.changelog_topic(sub_topology, store)?;
        Some(changelog_partition(&topic, partition))
    }

    /// Begins a copy of each task that no worker of this process has.
    fn begin_copies(&self) -> Result<()> {
        for sub_topology in 0..self.blueprint.topology.sub_topologies.len() {
            for partition in 0..self.blueprint.task_count(sub_topology) {
                let mut inner = self.inner();
                let task = (sub_topology, partition);
                if inner.leased.contains(&task) || inner.copies.contains_key(&task) {
                    continue;
                }
                let stores = self.blueprint.stores(sub_topology, partition, &self.state);
                let copies = stores.into_iter().enumerate().map(|(i, store)| {
                    let Some(changelog) = self.changelog(sub_topology, partition, i) else {
                        return Ok(Copied { store, next: None, incarnation: String::new(), number: 0 });
                    };
                    self.begin_copy(store, &changelog)
                });
                let mut copies = copies.collect::<Result<Vec<_>>>()?;
                inner.begun += 1;
                copies.iter_mut().for_each(|copied| copied.number = inner.begun);
                if copies.iter().any(|copied| copied.next.is_some()) {
                    inner.copies.insert(task, copies);
                }
            }
        }
        Ok(())
    }

    /// A copy from the local checkpoint, or an empty one.
    fn begin_copy(&self, mut store: StateStore, changelog: &TopicPartition) -> Result<Copied> {
        let (start, end) = self.broker.offsets(changelog)?;
        let incarnation = self.broker.incarnation(&changelog.topic)?;
        let mut next = start;
        if let Some(position) = store.local() {
            match super::restore::unfit(&position, start..=end.max(start), &incarnation, self.clock.now_ms()) {
                Some(why) => store.discard_local(&why),
                None => {
                    next = position.offset;
                    store.accept_local();
                }
            }
        }
        Ok(Copied { store, next: Some(next), incarnation, number: 0 })
    }

    /// Makes the consumer read what is copied now.
    fn assign(&self, consumer: &mut dyn Consumer, routes: &mut Routes) -> Result<()> {
        let mut wanted = Routes::new();
        let mut starts = Vec::new();
        for (task, copies) in &self.inner().copies {
            for (i, copied) in copies.iter().enumerate() {
                if let (Some(next), Some(changelog)) = (copied.next, self.changelog(task.0, task.1, i)) {
                    starts.push((changelog.clone(), Start::Offset(next)));
                    wanted.insert(changelog, (*task, i, copied.number));
                }
            }
        }
        if wanted != *routes {
            consumer.assign(&starts)?;
            *routes = wanted;
        }
        Ok(())
    }

    /// Committed records of a changelog into its copy, unless a worker took it.
    fn apply(&self, (task, store, number): CopyId, set: &RecordSet) -> Result<()> {
        let mut inner = self.inner();
        let Some(copied) = inner.copies.get_mut(&task).and_then(|copies| copies.get_mut(store)) else { return Ok(()) };
        let Some(next) = copied.next.filter(|_| copied.number == number) else { return Ok(()) };
        let from = set.offsets.partition_point(|offset| *offset < next);
        let mut writes = (from..set.len()).filter_map(|i| set.keys.get(i).map(|key| (key, set.values.get(i))));
        copied.store.restore(&mut writes)?;
        copied.store.relieve()?;
        copied.next = set.offsets.last().map_or(copied.next, |last| Some((last + 1).max(next)));
        Ok(())
    }

    /// Tells the metrics how far the copies are behind.
    fn tell(&self, consumer: &dyn Consumer, routes: &Routes) {
        let inner = self.inner();
        let behind = routes.iter().filter_map(|(changelog, (task, store, _))| {
            let next = inner.copies.get(task)?.get(*store)?.next?;
            Some((consumer.end_offset(changelog).unwrap_or(next) - next).max(0) as u64)
        });
        self.metrics.standby_behind.store(behind.sum(), Ordering::Relaxed);
        self.metrics.standby_tasks.store(inner.copies.len() as u64, Ordering::Relaxed);
    }

    /// Saves the copies on the local disk.
    fn checkpoint(&self) -> Result<()> {
        let at_ms = self.clock.now_ms();
        for copied in self.inner().copies.values_mut().flatten().filter(|copied| copied.store.keeps_checkpoints()) {
            if let Some(offset) = copied.next {
                let incarnation = copied.incarnation.clone();
                copied.store.checkpoint(&Position { offset, at_ms, incarnation })?;
            }
        }
        Ok(())
    }
}
