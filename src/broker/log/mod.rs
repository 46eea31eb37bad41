//! The log that the memory and the embedded broker share: topics, groups, offsets, transactions.
//!
//! A transaction is buffered in its producer and appended as one step at its commit, so aborting is forgetting, and no
//! reader ever meets a record that is not committed.
//!
//! **Invariant:** everything durable changes under `commit`; `state` is held only for short moments, never while storage
//! works. Whoever takes both takes `commit` first.

pub(super) mod chunk;
mod consumer;
mod group;
mod maintain;
mod partition;
mod producer;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

pub(super) use consumer::LogConsumer;
pub(super) use partition::Chunk;
pub(super) use producer::LogProducer;

use self::group::Group;
use self::partition::{Partition, Policy};
use self::transaction::Transaction;
use super::{CommittedOffset, ConsumerOptions, ProducerOptions};
use super::{TopicInfo, TopicPartition, TopicSpec};
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};

/// Where a chunk lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ChunkAt {
    pub(super) topic: u32,
    pub(super) partition: i32,
    pub(super) first: i64,
}

/// One durable change.
#[derive(Debug)]
pub(super) enum Write<'a> {
    Topic(u32, &'a TopicSpec),
    RemoveTopic(u32),
    Chunk(ChunkAt, &'a Chunk, &'a RecordSet),
    RemoveChunk(ChunkAt),
    Offset(&'a str, &'a CommittedOffset),
    RemoveOffset(&'a str, &'a TopicPartition),
    Epoch(&'a str, u64),
}

/// Makes a log durable.
pub(super) trait Storage: Send + Sync + fmt::Debug {
    /// All of it or nothing.
    fn write(&self, writes: &[Write<'_>]) -> Result<()>;
    /// The chunk, unless it is gone.
    fn read(&self, topic: &Arc<str>, at: ChunkAt) -> Result<Option<RecordSet>>;
}

/// What storage kept.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) topics: Vec<(u32, TopicSpec)>,
    pub(super) chunks: Vec<(ChunkAt, Chunk)>,
    pub(super) offsets: Vec<(String, CommittedOffset)>,
    pub(super) epochs: Vec<(String, u64)>,
}

/// A log.
#[derive(Debug)]
pub(super) struct Log {
    name: &'static str,
    commit: Mutex<()>,
    state: Mutex<State>,
    changed: Condvar,
    storage: Option<Box<dyn Storage>>,
}

#[derive(Debug, Default)]
struct State {
    topics: BTreeMap<Arc<str>, Topic>,
    next_topic: u32,
    groups: BTreeMap<String, Group>,
    next_member: u64,
    offsets: BTreeMap<String, BTreeMap<TopicPartition, (i64, String)>>,
    epochs: BTreeMap<String, u64>,
    /// By transactional id.
    transactions: BTreeMap<String, Transaction>,
    /// Members whose process died without leaving their group.
    dead: Vec<(String, group::MemberId)>,
    /// Partitions and keys that a former member wrote to without a transaction.
    strays: BTreeSet<(TopicPartition, Vec<u8>)>,
    /// Former members that know, and how often one of those wrote nevertheless.
    told: BTreeSet<group::MemberId>,
    wilful: usize,
    hot: Hot,
}

/// Which chunks hold data in memory, oldest first.
#[derive(Debug, Default)]
struct Hot {
    chunks: VecDeque<(Arc<str>, ChunkAt, u64)>,
    bytes: u64,
    /// Chunks are dropped from memory above it; `None` without storage.
    limit: Option<u64>,
}

#[derive(Debug)]
struct Topic {
    id: u32,
    spec: TopicSpec,
    policy: Policy,
    partitions: Vec<Partition>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Topic {
    fn new(id: u32, spec: TopicSpec) -> Self {
        let partitions = (0..spec.partitions).map(|_| Partition::default()).collect();
        Self { id, policy: Policy::of(&spec), partitions, spec }
    }

    fn info(&self) -> TopicInfo {
        TopicInfo {
            name: self.spec.name.clone(),
            partitions: self.spec.partitions,
            replicas: self.spec.replicas.unwrap_or(1),
        }
    }
}

impl State {
    fn topic(&self, name: &str) -> Result<&Topic> {
        self.topics.get(name).ok_or_else(|| Error::not_found(format!("topic {name} does not exist")))
    }

    fn partition(&self, topic: &str, partition: i32) -> Result<(u32, &Partition)> {
        let found = self.topic(topic)?;
        let index = usize::try_from(partition).unwrap_or(usize::MAX);
        match found.partitions.get(index) {
            Some(partition) => Ok((found.id, partition)),
            None => Err(Error::not_found(format!(
                "topic {topic} has {} partitions, there is no partition {partition}",
                found.partitions.len()
            ))),
        }
    }

    fn partition_mut(&mut self, topic: &str, partition: i32) -> Option<&mut Partition> {
        self.topics.get_mut(topic)?.partitions.get_mut(usize::try_from(partition).ok()?)
    }

    /// Notes that a chunk is in memory and drops the oldest ones from it when there are too many.
    fn warm(&mut self, topic: &Arc<str>, at: ChunkAt, bytes: u64) {
        let Some(limit) = self.hot.limit else { return };
        self.hot.chunks.push_back((topic.clone(), at, bytes));
        self.hot.bytes += bytes;
        while self.hot.bytes > limit {
            let Some((topic, at, bytes)) = self.hot.chunks.pop_front() else { break };
            self.hot.bytes -= bytes;
            if let Some(chunk) = self.partition_mut(&topic, at.partition).and_then(|p| p.find_mut(at.first)) {
                chunk.data = None;
            }
        }
    }
}

impl Log {
    /// An empty log without storage.
    pub(super) fn volatile(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            commit: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
            storage: None,
        })
    }

    /// A log over storage, continuing with what it kept; up to `hot_bytes` of the newest records stay in memory.
    pub(super) fn durable(
        name: &'static str,
        storage: Box<dyn Storage>,
        stored: Stored,
        hot_bytes: u64,
    ) -> Result<Arc<Self>> {
        let mut state = State { hot: Hot { limit: Some(hot_bytes), ..Hot::default() }, ..State::default() };
        let mut names = BTreeMap::new();
        for (id, spec) in stored.topics {
            let topic: Arc<str> = spec.name.as_str().into();
            state.next_topic = state.next_topic.max(id + 1);
            names.insert(id, topic.clone());
            state.topics.insert(topic, Topic::new(id, spec));
        }
        for (at, chunk) in stored.chunks {
            let partition = names.get(&at.topic).and_then(|name| state.partition_mut(name, at.partition));
            partition.ok_or_else(|| Error::data("records of an unknown topic in the data directory"))?.push(chunk);
        }
        for topic in state.topics.values_mut() {
            topic.partitions.iter_mut().for_each(|partition| partition.unmerged = 0);
        }
        for (group, offset) in stored.offsets {
            let value = (offset.offset, offset.metadata);
            state.offsets.entry(group).or_default().insert(offset.partition, value);
        }
        state.epochs = stored.epochs.into_iter().collect();
        let log = Self {
            name,
            commit: Mutex::default(),
            state: Mutex::new(state),
            changed: Condvar::new(),
            storage: Some(storage),
        };
        Ok(Arc::new(log))
    }

    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        match &self.storage {
            Some(storage) if !writes.is_empty() => storage.write(writes),
            _ => Ok(()),
        }
    }

    /// The topics changed: their readers share them out again.
    fn rebalance_readers(state: &mut State, topic: &str) {
        state.groups.values_mut().filter(|group| group.reads(topic)).for_each(Group::rebalance);
    }

    /// Takes a member out of its group without its knowledge, as a broker does with one that no longer answers.
    pub(super) fn expel(&self, group: &str, client_id: &str) {
        let mut state = lock(&self.state);
        if let Some(group) = state.groups.get_mut(group) {
            for member in group.named(client_id) {
                group.leave(&member);
            }
        }
        self.changed.notify_all();
    }

    /// Takes the members whose processes died out of their groups, as happens when their sessions time out.
    pub(super) fn expel_dead(&self) {
        let mut state = lock(&self.state);
        for (group, member) in std::mem::take(&mut state.dead) {
            if let Some(group) = state.groups.get_mut(&group) {
                group.leave(&member);
            }
        }
        self.changed.notify_all();
    }

    /// See [`super::memory::MemoryBroker::wilful_strays`].
    pub(super) fn wilful_strays(&self) -> usize {
        lock(&self.state).wilful
    }

    /// See [`super::memory::MemoryBroker::strays`].
    pub(super) fn strays(&self) -> BTreeSet<(TopicPartition, Vec<u8>)> {
        lock(&self.state).strays.clone()
    }

    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn create_topic(&self, spec: &TopicSpec) -> Result<()> {
        check_name(spec)?;
        let _commit = lock(&self.commit);
        let id = {
            let state = lock(&self.state);
            if state.topics.contains_key(spec.name.as_str()) {
                return Err(Error::new(ErrorKind::Conflict, format!("topic {} already exists", spec.name)));
            }
            state.next_topic
        };
        self.write(&[Write::Topic(id, spec)])?;
        let mut state = lock(&self.state);
        state.next_topic = id + 1;
        state.topics.insert(spec.name.as_str().into(), Topic::new(id, spec.clone()));
        Self::rebalance_readers(&mut state, &spec.name);
        self.changed.notify_all();
        Ok(())
    }

    pub(super) fn delete_topic(&self, name: &str) -> Result<()> {
        let _commit = lock(&self.commit);
        let (id, committed) = {
            let state = lock(&self.state);
            let id = state.topic(name)?.id;
            let committed: Vec<(String, TopicPartition)> = state
                .offsets
                .iter()
                .flat_map(|(group, offsets)| offsets.keys().map(move |partition| (group.clone(), partition.clone())))
                .filter(|(_, partition)| &*partition.topic == name)
                .collect();
            (id, committed)
        };
        let mut writes = vec![Write::RemoveTopic(id)];
        writes.extend(committed.iter().map(|(group, partition)| Write::RemoveOffset(group, partition)));
        self.write(&writes)?;
        let mut state = lock(&self.state);
        state.topics.remove(name);
        for (group, partition) in &committed {
            if let Some(offsets) = state.offsets.get_mut(group) {
                offsets.remove(partition);
            }
        }
        Self::rebalance_readers(&mut state, name);
        self.changed.notify_all();
        Ok(())
    }

    pub(super) fn topic(&self, name: &str) -> Option<TopicInfo> {
        lock(&self.state).topics.get(name).map(Topic::info)
    }

    pub(super) fn topics(&self) -> Vec<TopicInfo> {
        lock(&self.state).topics.values().map(Topic::info).collect()
    }

    /// Waits for a transaction that is being committed, as its offsets may be among them.
    pub(super) fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Vec<CommittedOffset> {
        let _commit = lock(&self.commit);
        let state = lock(&self.state);
        let Some(offsets) = state.offsets.get(group) else { return Vec::new() };
        let found = partitions.iter().filter_map(|partition| {
            let (offset, metadata) = offsets.get(partition)?;
            Some(CommittedOffset { partition: partition.clone(), offset: *offset, metadata: metadata.clone() })
        });
        found.collect()
    }

    pub(super) fn delete_group(&self, group: &str) -> Result<()> {
        let _commit = lock(&self.commit);
        let partitions: Vec<TopicPartition> = {
            let state = lock(&self.state);
            if state.groups.get(group).is_some_and(|group| !group.is_empty()) {
                return Err(Error::new(ErrorKind::Conflict, format!("group {group} still has members")));
            }
            state.offsets.get(group).map(|offsets| offsets.keys().cloned().collect()).unwrap_or_default()
        };
        let writes: Vec<_> = partitions.iter().map(|partition| Write::RemoveOffset(group, partition)).collect();
        self.write(&writes)?;
        lock(&self.state).offsets.remove(group);
        Ok(())
    }

    pub(super) fn incarnation(&self, topic: &str) -> Result<String> {
        Ok(lock(&self.state).topic(topic)?.id.to_string())
    }

    pub(super) fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64)> {
        let state = lock(&self.state);
        let (_, found) = state.partition(&partition.topic, partition.partition)?;
        // As on Kafka compaction moves no start: whoever remembers an offset has missed nothing.
        let compacted = state.topic(&partition.topic)?.policy.only_compacts();
        let end = state.stable_end(&partition.topic, partition.partition, found.end);
        Ok((if compacted { 0 } else { found.start() }, end))
    }

    pub(super) fn written(&self, partition: &TopicPartition) -> Result<i64> {
        let state = lock(&self.state);
        Ok(state.partition(&partition.topic, partition.partition)?.1.end)
    }

    pub(super) fn consumer(self: &Arc<Self>, options: &ConsumerOptions) -> LogConsumer {
        LogConsumer::new(self.clone(), options.clone())
    }

    pub(super) fn producer(self: &Arc<Self>, options: &ProducerOptions) -> Result<LogProducer> {
        LogProducer::new(self.clone(), options)
    }
}

fn check_name(spec: &TopicSpec) -> Result<()> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name = &spec.name;
    if name.is_empty() || name.len() > 249 || name == "." || name == ".." || !name.chars().all(legal) {
        return Err(Error::semantic(format!("{name:?} is no topic name"))
            .hint("Topic names have up to 249 of the characters A-Z, a-z, 0-9, dot, underscore and hyphen."));
    }
    if spec.partitions < 1 {
        return Err(Error::semantic(format!("topic {name} needs at least one partition")));
    }
    Ok(())
}

/// `Broker` for a type that holds an `Arc<Log>` in `log`, and says in `reach` whether it answers: everything but the
/// clients.
macro_rules! broker_over_log {
    () => {
        fn name(&self) -> String {
            self.log.name().to_owned()
        }

        fn create_topic(&self, spec: &TopicSpec) -> Result<()> {
            self.reach()?;
            self.log.create_topic(spec)
        }

        fn delete_topic(&self, name: &str) -> Result<()> {
            self.reach()?;
            self.log.delete_topic(name)
        }

        fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
            self.reach()?;
            Ok(self.log.topic(name))
        }

        fn topics(&self) -> Result<Vec<TopicInfo>> {
            self.reach()?;
            Ok(self.log.topics())
        }

        fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
            self.reach()?;
            self.log.check_decided(group, partitions)?;
            Ok(self.log.committed(group, partitions))
        }

        fn delete_group(&self, group: &str) -> Result<()> {
            self.reach()?;
            self.log.delete_group(group)
        }

        fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64)> {
            self.reach()?;
            self.log.offsets(partition)
        }

        fn high_watermark(&self, partition: &TopicPartition) -> Result<i64> {
            self.reach()?;
            self.log.written(partition)
        }

        fn purge(&self, before: &[(TopicPartition, i64)]) -> Result<()> {
            self.reach()?;
            self.log.purge(before)
        }

        fn incarnation(&self, topic: &str) -> Result<String> {
            self.reach()?;
            self.log.incarnation(topic)
        }
    };
}
pub(super) use broker_over_log;
