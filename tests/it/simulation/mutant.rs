//! [`Mutant`]: brokers that are wrong on purpose, to see that the simulation notices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use eddyline::broker::memory::MemoryBroker;
use eddyline::broker::{
    Broker, CommittedOffset, Consumer, ConsumerOptions, GroupMetadata, OutRecord, Poll, Producer, ProducerOptions,
    Start, TopicInfo, TopicPartition, TopicSpec,
};
use eddyline::change::RecordSet;
use eddyline::error::Result;

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    /// Nothing.
    None,
    /// Offsets are committed in a transaction of their own, after the records.
    OffsetsApart,
    /// Offsets are stored without their metadata.
    NoMetadata,
    /// Now and then a transaction is written twice.
    CommitTwice,
    /// Changelog records of some keys are not written.
    LostChangelog,
    /// A member that had partitions before believes that nobody else committed meanwhile.
    StaleOffsets,
    /// What is readable now counts as all that was written, though open transactions hide more.
    HiddenTail,
    /// Changelogs seem to end later than they do: local checkpoints claim what they do not hold.
    CheckpointAhead,
    /// A partition that was paused stays paused when it is taken away and given back.
    StickyPause,
    /// Copies that processes keep of others' state miss records.
    HalfCopies,
}

impl Mutation {
    /// All that are wrong.
    pub const ALL: [Self; 9] = [
        Self::OffsetsApart,
        Self::NoMetadata,
        Self::CommitTwice,
        Self::LostChangelog,
        Self::StaleOffsets,
        Self::HiddenTail,
        Self::CheckpointAhead,
        Self::StickyPause,
        Self::HalfCopies,
    ];
}

/// A broker with a mutation.
#[derive(Debug)]
pub struct Mutant {
    inner: MemoryBroker,
    mutation: Mutation,
    beliefs: Beliefs,
}

/// What members believe the group's offsets to be, by client id.
type Beliefs = Arc<Mutex<BTreeMap<String, BTreeMap<TopicPartition, CommittedOffset>>>>;

impl Mutant {
    /// The broker with the mutation, or as it is.
    pub fn over(inner: MemoryBroker, mutation: Mutation) -> Arc<dyn Broker> {
        if mutation == Mutation::None {
            Arc::new(inner)
        } else {
            Arc::new(Self { inner, mutation, beliefs: Beliefs::default() })
        }
    }
}

impl Broker for Mutant {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<()> {
        self.inner.create_topic(spec)
    }

    fn delete_topic(&self, name: &str) -> Result<()> {
        self.inner.delete_topic(name)
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        self.inner.topic(name)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics()
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>> {
        let inner = self.inner.consumer(options)?;
        Ok(match self.mutation {
            Mutation::StaleOffsets if options.group.is_some() => {
                let client = options.client_id.clone();
                self.beliefs.lock().expect("one thread").remove(&client);
                Box::new(Believer { inner, client, beliefs: self.beliefs.clone() })
            }
            Mutation::StickyPause => Box::new(Sticky { inner, paused: BTreeSet::new() }),
            Mutation::HalfCopies if options.client_id == "standby" => Box::new(Forgetful(inner)),
            _ => inner,
        })
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>> {
        let inner = self.inner.producer(options)?;
        let (client, beliefs) = (options.client_id.clone(), self.beliefs.clone());
        Ok(Box::new(Forger { inner, mutation: self.mutation, client, beliefs, commits: 0, sent: Vec::new() }))
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        self.inner.committed(group, partitions)
    }

    fn delete_group(&self, group: &str) -> Result<()> {
        self.inner.delete_group(group)
    }

    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64)> {
        let (start, end) = self.inner.offsets(partition)?;
        let ahead = self.mutation == Mutation::CheckpointAhead && partition.topic.ends_with("-changelog");
        Ok((start, end + if ahead { 6 } else { 0 }))
    }

    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64> {
        match self.mutation {
            Mutation::HiddenTail => self.inner.offsets(partition).map(|(_, end)| end),
            _ => self.inner.high_watermark(partition),
        }
    }

    fn purge(&self, before: &[(TopicPartition, i64)]) -> Result<()> {
        self.inner.purge(before)
    }

    fn incarnation(&self, topic: &str) -> Result<String> {
        self.inner.incarnation(topic)
    }
}

/// A record that was handed over.
struct Sent {
    topic: String,
    partition: i32,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    timestamp: i64,
}

struct Forger {
    inner: Box<dyn Producer>,
    mutation: Mutation,
    client: String,
    beliefs: Beliefs,
    commits: usize,
    sent: Vec<Sent>,
}

impl Producer for Forger {
    fn begin(&mut self) -> Result<()> {
        self.sent.clear();
        self.inner.begin()
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        let is_changelog = record.topic.ends_with("-changelog");
        let unlucky = record.key.is_some_and(|key| key.iter().map(|byte| usize::from(*byte)).sum::<usize>() % 5 == 0);
        if self.mutation == Mutation::LostChangelog && is_changelog && unlucky {
            return Ok(());
        }
        if self.mutation == Mutation::CommitTwice {
            self.sent.push(Sent {
                topic: record.topic.to_owned(),
                partition: record.partition,
                key: record.key.map(<[u8]>::to_vec),
                value: record.value.map(<[u8]>::to_vec),
                timestamp: record.timestamp,
            });
        }
        self.inner.send(record)
    }

    fn commit(&mut self, offsets: &[CommittedOffset], group: Option<&GroupMetadata>) -> Result<()> {
        self.commits += 1;
        match self.mutation {
            Mutation::OffsetsApart => {
                self.inner.commit(&[], None)?;
                self.inner.begin()?;
                self.inner.commit(offsets, group)?;
            }
            Mutation::NoMetadata => {
                let blank = |offset: &CommittedOffset| CommittedOffset { metadata: String::new(), ..offset.clone() };
                let blank: Vec<_> = offsets.iter().map(blank).collect();
                self.inner.commit(&blank, group)?;
            }
            Mutation::CommitTwice => {
                self.inner.commit(offsets, group)?;
                if self.commits.is_multiple_of(7) {
                    self.inner.begin()?;
                    for sent in std::mem::take(&mut self.sent) {
                        let Sent { topic, partition, key, value, timestamp } = &sent;
                        let (key, value) = (key.as_deref(), value.as_deref());
                        let (partition, timestamp) = (*partition, *timestamp);
                        self.inner.send(OutRecord { topic, partition, key, value, timestamp, headers: &[] })?;
                    }
                    self.inner.commit(&[], None)?;
                }
            }
            _ => self.inner.commit(offsets, group)?,
        }
        let mut beliefs = self.beliefs.lock().expect("one thread");
        let believed = beliefs.entry(self.client.clone()).or_default();
        believed.extend(offsets.iter().map(|offset| (offset.partition.clone(), offset.clone())));
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.inner.abort()
    }

    fn flush(&mut self, timeout: Duration) -> Result<()> {
        self.inner.flush(timeout)
    }
}

struct Believer {
    inner: Box<dyn Consumer>,
    client: String,
    beliefs: Beliefs,
}

impl Consumer for Believer {
    fn subscribe(&mut self, topics: &[String]) -> Result<()> {
        self.inner.subscribe(topics)
    }

    fn assign(&mut self, partitions: &[(TopicPartition, Start)]) -> Result<()> {
        self.inner.assign(partitions)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll> {
        self.inner.poll(max_records, timeout)
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.inner.seek(partition, offset)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.inner.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.inner.resume(partitions)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.inner.end_offset(partition)
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        let told = self.inner.committed(partitions)?;
        let beliefs = self.beliefs.lock().expect("one thread");
        let believed = beliefs.get(&self.client);
        let own = |offset: CommittedOffset| believed.and_then(|b| b.get(&offset.partition).cloned()).unwrap_or(offset);
        Ok(told.into_iter().map(own).collect())
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        self.inner.group_metadata()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

struct Sticky {
    inner: Box<dyn Consumer>,
    paused: BTreeSet<TopicPartition>,
}

impl Consumer for Sticky {
    fn waker(&self) -> std::task::Waker {
        self.inner.waker()
    }

    fn subscribe(&mut self, topics: &[String]) -> Result<()> {
        self.inner.subscribe(topics)
    }

    fn assign(&mut self, partitions: &[(TopicPartition, Start)]) -> Result<()> {
        self.inner.assign(partitions)
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll> {
        let poll = self.inner.poll(max_records, timeout)?;
        let still: Vec<_> = poll.assigned.iter().filter(|assigned| self.paused.contains(assigned)).cloned().collect();
        self.inner.pause(&still)?;
        Ok(poll)
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.inner.seek(partition, offset)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.paused.extend(partitions.iter().cloned());
        self.inner.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.paused.retain(|paused| !partitions.contains(paused));
        self.inner.resume(partitions)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.inner.end_offset(partition)
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        self.inner.committed(partitions)
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        self.inner.group_metadata()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}

struct Forgetful(Box<dyn Consumer>);

impl Consumer for Forgetful {
    fn waker(&self) -> std::task::Waker {
        self.0.waker()
    }

    fn subscribe(&mut self, topics: &[String]) -> Result<()> {
        self.0.subscribe(topics)
    }

    fn assign(&mut self, partitions: &[(TopicPartition, Start)]) -> Result<()> {
        self.0.assign(partitions)
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll> {
        let mut poll = self.0.poll(max_records, timeout)?;
        for set in &mut poll.sets {
            let mut half = RecordSet::new(set.topic.clone(), set.partition);
            // The last one stays, so that the copy believes to have them all.
            for i in (0..set.len()).filter(|i| i % 2 == 1 || i + 1 == set.len()) {
                half.push(set.offsets[i], set.timestamps[i], set.keys.get(i), set.values.get(i), Vec::new());
            }
            *set = Arc::new(half);
        }
        Ok(poll)
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.0.seek(partition, offset)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.0.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.0.resume(partitions)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.0.end_offset(partition)
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        self.0.committed(partitions)
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        self.0.group_metadata()
    }

    fn close(&mut self) {
        self.0.close();
    }
}
