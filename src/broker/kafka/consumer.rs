//! Reading from Kafka.
//!
//! A rebalance takes two polls: the first tells the caller, the second answers the group. So the caller commits, seeks
//! and pauses between them, while the group still waits for this member.
//!
//! Every partition has a queue of its own. A paused one is left alone, so that what was fetched of it stays where it is:
//! pausing in librdkafka would throw it away, and fetch it again.
//!
//! **Invariant:** a poll that brings assigned or revoked partitions brings no records.

use std::ffi::CString;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::error::{crate_failed, failed};
use super::native::{Failure, Membership, NativeConsumer, PartitionQueue, Rebalance, Received};
use crate::broker::{CommittedOffset, Consumer, ConsumerOptions, GroupMetadata, Poll, Start, TopicPartition};
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};
use crate::time::SystemClock;

/// How long the broker may take for an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// Between two questions about something that a cluster has to agree on.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) struct KafkaConsumer {
    slots: Vec<Slot>,
    native: NativeConsumer,
    options: ConsumerOptions,
    /// The slot whose turn is first.
    turn: usize,
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
    queue: PartitionQueue,
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
        Self { slots: Vec::new(), native, options, turn: 0, answer: None, membership: None, trouble: None }
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
            let queue = self.native.partition_queue(&name, partition.partition);
            let queue = queue.map_err(|failure| failed(&format!("reading {partition}"), &failure))?;
            slots.push(Slot { partition, name, queue, position, drained: false, paused: false });
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
        self.native.assign(Some(&list)).map_err(|failure| failed("taking over partitions", &failure))
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

    /// Takes what has come, at most `max` records: as many of each partition, then more of those that have more.
    fn drain(&mut self, max: usize) -> Vec<RecordSet> {
        let Self { native, slots, trouble, .. } = self;
        native.consume(None, usize::MAX, |message| match message.failure() {
            Some(failure) => note(message, &failure, trouble),
            // Nothing may be lost in silence.
            None => *trouble = Some(Error::internal("a record came beside its partition's queue")),
        });
        let turn = self.turn.checked_rem(slots.len()).unwrap_or(0);
        self.turn = turn + 1;
        let (later, first) = slots.split_at_mut(turn);
        let slots = first.iter_mut().chain(later).filter(|slot| !slot.paused);
        let mut open: Vec<(&mut Slot, RecordSet)> = slots
            .map(|slot| {
                let set = RecordSet::new(slot.partition.topic.clone(), slot.partition.partition);
                (slot, set)
            })
            .collect();
        let share = max.checked_div(open.len()).unwrap_or(0).max(1);
        let (mut room, mut more) = (max, vec![true; open.len()]);
        for most in [share, max] {
            for ((slot, set), more) in open.iter_mut().zip(&mut more).filter(|(_, more)| **more) {
                let (most, before) = (most.min(room), set.len());
                let count = native.consume(Some(&slot.queue), most, |message| match message.failure() {
                    None => {
                        let (key, value) = (message.key(), message.value());
                        set.push(message.offset(), message.timestamp(), key, value, message.headers());
                        (slot.position, slot.drained) = (message.offset() + 1, false);
                    }
                    Some(failure) if failure.code == RDKafkaErrorCode::PartitionEOF => slot.drained = true,
                    Some(failure) => note(message, &failure, trouble),
                });
                room -= set.len() - before;
                *more = count == most;
            }
        }
        open.into_iter().map(|(_, set)| set).filter(|set| !set.is_empty()).collect()
    }
}

/// Keeps an error that librdkafka does not get over by itself.
fn note(message: &Received<'_>, failure: &Failure, trouble: &mut Option<Error>) {
    match read_error(message, failure) {
        Some(error) => *trouble = Some(error),
        None => tracing::debug!("kafka consumer: {}", failure.text),
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

/// Lets a cluster come to an agreement.
pub(super) fn wait_a_little() {
    SystemClock::shared().sleep(PAUSE);
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

    fn waker(&self) -> Waker {
        self.native.context().bell().clone().into()
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll> {
        self.answer()?;
        if let Some(error) = self.trouble.take() {
            return Err(error);
        }
        let max = max_records.clamp(1, 100_000);
        let bell = self.native.context().bell().clone();
        for wait in [timeout, Duration::ZERO] {
            let sets = self.drain(max);
            let rebalances = self.native.context().take_rebalances();
            if !rebalances.is_empty() {
                // Records that came with it are dropped: they are not committed, so their next owner reads them.
                return self.rebalance(rebalances);
            }
            if !sets.is_empty() {
                return Ok(Poll { sets, ..Poll::default() });
            }
            if let Some(error) = self.trouble.take() {
                return Err(error);
            }
            if wait.is_zero() {
                break;
            }
            bell.wait(wait);
        }
        Ok(Poll::default())
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
        partitions.iter().try_for_each(|partition| {
            self.slot(partition)?.paused = paused;
            Ok(())
        })
    }
}
