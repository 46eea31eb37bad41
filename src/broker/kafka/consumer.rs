//! Reading from Kafka.
//!
//! A rebalance takes two polls: the first tells the caller, the second answers the group. So the caller commits, seeks
//! and pauses between them, while the group still waits for this member.
//!
//! **Invariant:** a poll that brings assigned or revoked partitions brings no records.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::error::{crate_failed, failed};
use super::native::{Failure, Membership, NativeConsumer, Rebalance, Received};
use crate::broker::{CommittedOffset, Consumer, ConsumerOptions, GroupMetadata, Poll, Start, TopicPartition};
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};
use crate::time::SystemClock;

/// How long the broker may take for an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// Waiting is cut into pieces of this length: a rebalance does not end librdkafka's wait for messages.
const SLICE: Duration = Duration::from_millis(50);

pub(super) struct KafkaConsumer {
    native: NativeConsumer,
    options: ConsumerOptions,
    slots: Vec<Slot>,
    answer: Option<Answer>,
    /// What this member was when it got its partitions. Asked for later, one that was thrown out is told that it is
    /// nobody, and nobody's transactional commits are not fenced.
    membership: Option<Arc<Membership>>,
    /// An error that came together with records.
    trouble: Option<Error>,
}

/// An assigned partition.
struct Slot {
    partition: TopicPartition,
    name: CString,
    /// The next record that the caller gets has this offset or a larger one.
    position: i64,
    /// Everything before the end has been handed over, transaction markers set aside.
    drained: bool,
    paused: bool,
}

/// What the group is owed by the next poll.
#[derive(PartialEq, Eq)]
enum Answer {
    Assign,
    Unassign,
}

impl KafkaConsumer {
    pub(super) fn new(native: NativeConsumer, options: ConsumerOptions) -> Self {
        Self { native, options, slots: Vec::new(), answer: None, membership: None, trouble: None }
    }

    fn slot(&mut self, partition: &TopicPartition) -> Result<&mut Slot> {
        let found = self.slots.iter_mut().find(|slot| slot.partition == *partition);
        found.ok_or_else(|| Error::internal(format!("partition {partition} is not assigned to this consumer")))
    }

    /// Makes slots with definite offsets, so that positions are known before the first record.
    fn settle(&mut self, partitions: Vec<(TopicPartition, Option<Start>)>) -> Result<()> {
        let names: Vec<_> = partitions.iter().map(|(partition, _)| partition.clone()).collect();
        let by_group = partitions.iter().any(|(_, start)| start.is_none());
        let committed = if by_group { self.committed(&names)? } else { Vec::new() };
        let mut slots = Vec::with_capacity(partitions.len());
        for (partition, start) in partitions {
            let stored = committed.iter().find(|offset| offset.partition == partition);
            let position = match (start, stored) {
                (None, Some(offset)) => offset.offset,
                (start, _) => self.resolve(&partition, start.unwrap_or(self.options.start))?,
            };
            let name = CString::new(&*partition.topic).map_err(|_| Error::semantic("a null byte in a topic name"))?;
            slots.push(Slot { partition, name, position, drained: false, paused: false });
        }
        self.slots = slots;
        Ok(())
    }

    fn resolve(&self, partition: &TopicPartition, start: Start) -> Result<i64> {
        let ends = || watermarks(&self.native, partition);
        match start {
            Start::Offset(offset) => Ok(offset),
            Start::Earliest => ends().map(|(first, _)| first),
            Start::Latest => ends().map(|(_, end)| end),
        }
    }

    /// Begins to read the slots.
    fn start_reading(&self) -> Result<()> {
        let list = offset_list(self.slots.iter().map(|slot| (&slot.partition, slot.position, None)))?;
        self.native.assign(Some(&list)).map_err(|failure| failed("taking over partitions", &failure))?;
        let paused: Vec<_> = self.slots.iter().filter(|slot| slot.paused).collect();
        if !paused.is_empty() {
            let list = offset_list(paused.iter().map(|slot| (&slot.partition, slot.position, None)))?;
            self.native.pause(&list, true).map_err(|failure| failed("pausing partitions", &failure))?;
        }
        Ok(())
    }

    /// Gives the group the answer that it waits for.
    fn answer(&mut self) -> Result<()> {
        match self.answer.take() {
            None => Ok(()),
            Some(Answer::Assign) => self.start_reading(),
            Some(Answer::Unassign) => {
                self.slots.clear();
                self.native.assign(None).map_err(|failure| failed("giving up partitions", &failure))
            }
        }
    }

    /// Turns what the group wants into a poll for the caller.
    fn rebalance(&mut self, mut rebalances: Vec<Rebalance>) -> Result<Poll> {
        let rest = rebalances.split_off(1);
        let first = rebalances.pop();
        self.native.context().put_back(rest);
        match first {
            Some(Rebalance::Assign(partitions)) if !partitions.is_empty() => {
                let wanted: Vec<TopicPartition> = partitions
                    .iter()
                    .map(|(topic, partition)| TopicPartition::new(topic.as_str(), *partition))
                    .collect();
                if let Err(error) = self.settle(wanted.iter().map(|partition| (partition.clone(), None)).collect()) {
                    // The broker did not say where to start: the same again at the next poll.
                    self.native.context().put_back(vec![Rebalance::Assign(partitions)]);
                    return Err(error);
                }
                self.membership = self.native.membership().map(Arc::new);
                self.answer = Some(Answer::Assign);
                Ok(Poll { assigned: wanted, ..Poll::default() })
            }
            Some(Rebalance::Revoke) if !self.slots.is_empty() => {
                self.answer = Some(Answer::Unassign);
                let revoked = self.slots.iter().map(|slot| slot.partition.clone()).collect();
                Ok(Poll { revoked, lost: self.native.assignment_lost(), ..Poll::default() })
            }
            Some(Rebalance::Assign(_)) => {
                self.slots.clear();
                self.start_reading()?;
                Ok(Poll::default())
            }
            _ => {
                self.answer = Some(Answer::Unassign);
                self.answer()?;
                Ok(Poll::default())
            }
        }
    }

    /// Takes what has come into sets.
    fn drain(&mut self, max: usize, timeout: Duration, sets: &mut Sets) -> usize {
        let Self { native, slots, trouble, .. } = self;
        native.consume(max, timeout, |message| match message.failure() {
            None => sets.push(slots, message),
            Some(failure) if failure.code == RDKafkaErrorCode::PartitionEOF => {
                if let Some(at) = find(slots, message) {
                    slots[at].drained = true;
                }
            }
            Some(failure) => {
                let error = read_error(message, &failure);
                match error {
                    Some(error) => *trouble = Some(error),
                    None => tracing::debug!("kafka consumer: {}", failure.text),
                }
            }
        })
    }
}

/// The error of a message that is none; `None` for those that librdkafka gets over by itself.
fn read_error(message: &Received<'_>, failure: &Failure) -> Option<Error> {
    use RDKafkaErrorCode as Code;
    match failure.code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::RequestTimedOut => None,
        Code::PollExceeded => Some(Error::new(
            ErrorKind::Fenced,
            "this member did not answer its group for longer than max.poll.interval.ms: its partitions went to others",
        )),
        // Where reading goes on is for its caller to say, from the committed offsets.
        Code::AutoOffsetReset => Some(Error::new(
            ErrorKind::Unavailable,
            format!("{}-{} cannot be read on from here: {}", message.topic(), message.partition(), failure.text),
        )),
        _ => Some(failed(&format!("reading {}", message.topic()), failure)),
    }
}

fn find(slots: &[Slot], message: &Received<'_>) -> Option<usize> {
    let topic = message.topic();
    slots.iter().position(|slot| slot.partition.partition == message.partition() && *slot.partition.topic == *topic)
}

/// Sets that grow by runs of messages of one partition.
#[derive(Default)]
struct Sets {
    /// Topic and partition as librdkafka tells them apart, the slot, the records.
    runs: Vec<(usize, i32, usize, RecordSet)>,
    last: usize,
    records: usize,
}

impl Sets {
    fn push(&mut self, slots: &mut [Slot], message: &Received<'_>) {
        let same = |run: &(usize, i32, usize, RecordSet)| run.0 == message.topic_id() && run.1 == message.partition();
        if !self.runs.get(self.last).is_some_and(same) {
            let Some(slot) = find(slots, message) else { return };
            let found = self.runs.iter().position(|run| run.2 == slot);
            self.last = found.unwrap_or_else(|| {
                let partition = &slots[slot].partition;
                let set = RecordSet::new(partition.topic.clone(), partition.partition);
                self.runs.push((message.topic_id(), message.partition(), slot, set));
                self.runs.len() - 1
            });
        }
        let (_, _, slot, set) = &mut self.runs[self.last];
        let slot = &mut slots[*slot];
        set.push(message.offset(), message.timestamp(), message.key(), message.value(), message.headers());
        slot.position = message.offset() + 1;
        slot.drained = false;
        self.records += 1;
    }
}

/// Lets a cluster come to an agreement.
pub(super) fn wait_a_little() {
    SystemClock::shared().sleep(SLICE);
}

/// A list of partitions with offsets and metadata.
pub(super) fn offset_list<'a>(
    partitions: impl Iterator<Item = (&'a TopicPartition, i64, Option<&'a str>)>,
) -> Result<TopicPartitionList> {
    let mut list = TopicPartitionList::new();
    for (partition, offset, metadata) in partitions {
        let mut element = list.add_partition(&partition.topic, partition.partition);
        element
            .set_offset(Offset::Offset(offset))
            .map_err(|error| crate_failed(&format!("offset {offset} of {partition}"), &error))?;
        if let Some(metadata) = metadata.filter(|metadata| !metadata.is_empty()) {
            element.set_metadata(metadata);
        }
    }
    Ok(list)
}

/// First offset of a partition and one past the last one that may be read.
pub(super) fn watermarks(native: &NativeConsumer, partition: &TopicPartition) -> Result<(i64, i64)> {
    let mut tries = 0;
    loop {
        match native.client().fetch_watermarks(&partition.topic, partition.partition, ANSWER) {
            Ok(found) => return Ok(found),
            // A topic that was made this moment: its leader, or this client, does not know yet.
            Err(error)
                if tries < 40
                    && matches!(
                        error.rdkafka_error_code(),
                        Some(
                            RDKafkaErrorCode::NotLeaderForPartition
                                | RDKafkaErrorCode::LeaderNotAvailable
                                | RDKafkaErrorCode::UnknownPartition
                        )
                    ) =>
            {
                tries += 1;
                wait_a_little();
            }
            Err(error) => return Err(crate_failed(&format!("reading the offsets of {partition}"), &error)),
        }
    }
}

/// Committed offsets of the consumer's group.
pub(super) fn committed(native: &NativeConsumer, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let mut list = TopicPartitionList::new();
    for partition in partitions {
        list.add_partition(&partition.topic, partition.partition);
    }
    native.committed(&list, ANSWER).map_err(|failure| failed("reading committed offsets", &failure))?;
    let mut found = Vec::new();
    for partition in partitions {
        let Some(element) = list.find_partition(&partition.topic, partition.partition) else { continue };
        if let Err(error) = element.error()
            && !matches!(
                error.rdkafka_error_code(),
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic)
            )
        {
            return Err(crate_failed(&format!("reading the committed offset of {partition}"), &error));
        }
        if let Offset::Offset(offset) = element.offset() {
            let metadata = element.metadata().to_owned();
            found.push(CommittedOffset { partition: partition.clone(), offset, metadata });
        }
    }
    Ok(found)
}

impl Consumer for KafkaConsumer {
    fn subscribe(&mut self, topics: &[String]) -> Result<()> {
        if self.options.group.is_none() {
            return Err(Error::internal("a consumer without a group cannot subscribe"));
        }
        let mut list = TopicPartitionList::new();
        for topic in topics {
            list.add_topic_unassigned(topic);
        }
        self.native.subscribe(&list).map_err(|failure| failed("subscribing", &failure))
    }

    fn assign(&mut self, partitions: &[(TopicPartition, Start)]) -> Result<()> {
        self.native.unsubscribe();
        self.answer = None;
        self.settle(partitions.iter().map(|(partition, start)| (partition.clone(), Some(*start))).collect())?;
        self.start_reading()
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll> {
        self.answer()?;
        if let Some(error) = self.trouble.take() {
            return Err(error);
        }
        let max = max_records.clamp(1, 100_000);
        let mut sets = Sets::default();
        let mut left = timeout;
        self.drain(max, Duration::ZERO, &mut sets);
        loop {
            let rebalances = self.native.context().take_rebalances();
            if !rebalances.is_empty() {
                // Records that came with it are dropped: they are not committed, so their next owner reads them.
                return self.rebalance(rebalances);
            }
            if sets.records > 0 || left.is_zero() || self.trouble.is_some() {
                break;
            }
            let slice = left.min(SLICE);
            left -= slice;
            // One message ends the wait; those behind it are taken without waiting.
            if self.drain(1, slice, &mut sets) > 0 && max > 1 {
                self.drain(max - 1, Duration::ZERO, &mut sets);
            }
        }
        if sets.records == 0
            && let Some(error) = self.trouble.take()
        {
            return Err(error);
        }
        Ok(Poll { sets: sets.runs.into_iter().map(|run| run.3).collect(), ..Poll::default() })
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let pending = self.answer == Some(Answer::Assign);
        let slot = self.slot(partition)?;
        slot.position = offset;
        slot.drained = false;
        if pending {
            return Ok(());
        }
        let list = offset_list(std::iter::once((partition, offset, None)))?;
        let mut tries = 0;
        loop {
            match self.native.seek(&list, ANSWER) {
                // A partition that was assigned this moment is not being read yet.
                Err(failure) if failure.code == RDKafkaErrorCode::State && tries < 40 => {
                    tries += 1;
                    wait_a_little();
                }
                result => return result.map_err(|failure| failed(&format!("seeking in {partition}"), &failure)),
            }
        }
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.set_paused(partitions, true)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.set_paused(partitions, false)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        let slot = self.slots.iter().find(|slot| slot.partition == *partition)?;
        if slot.drained {
            // The end may lie behind markers of transactions, which nobody ever reads.
            return Some(slot.position);
        }
        self.native.cached_end(&slot.name, partition.partition).map(|end| end.max(slot.position))
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        if self.options.group.is_none() {
            return Err(Error::internal("a consumer without a group has no committed offsets"));
        }
        committed(&self.native, partitions)
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        let group = self.options.group.clone()?;
        let token = match &self.membership {
            Some(membership) => membership.clone(),
            None => Arc::new(self.native.membership()?),
        };
        Some(GroupMetadata { group, token })
    }

    fn close(&mut self) {
        self.answer = None;
        self.membership = None;
        self.slots.clear();
        self.native.close();
    }
}

impl KafkaConsumer {
    fn set_paused(&mut self, partitions: &[TopicPartition], paused: bool) -> Result<()> {
        for partition in partitions {
            self.slot(partition)?.paused = paused;
        }
        if self.answer == Some(Answer::Assign) || partitions.is_empty() {
            return Ok(());
        }
        let list = offset_list(partitions.iter().map(|partition| (partition, 0, None)))?;
        let doing = if paused { "pausing partitions" } else { "resuming partitions" };
        self.native.pause(&list, paused).map_err(|failure| failed(doing, &failure))
    }
}
