//! Reading from Kafka.
//!
//! A rebalance takes two polls: the first tells the caller, the second answers the group. So the caller commits, seeks
//! and pauses between them, while the group still waits for this member.
//!
//! The member of a group only takes part in it; what it is given it reads over the process's [`lanes`](crate::broker::lanes),
//! together with other members. A consumer without a group reads by itself. Every partition has a queue of its own; a
//! paused one is left alone, so that what was fetched of it stays where it is: pausing in librdkafka would throw it away,
//! and fetch it again.
//!
//! **Invariant:** a poll that brings assigned or revoked partitions brings no records.

use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::error::{crate_failed, failed};
use super::native::{Membership, NativeConsumer, Rebalance};
use super::reader::{PartitionReader, note};
use crate::broker::lanes::{Follower, Lanes, Source, Taken};
use crate::broker::{CommittedOffset, Consumer, ConsumerOptions, GroupMetadata, Poll, Start, TopicPartition};
use crate::change::RecordSet;
use crate::error::{Error, Result};
use crate::time::SystemClock;

/// How long the broker may take for an answer.
pub(super) const ANSWER: Duration = Duration::from_secs(30);
/// Between two questions about something that a cluster has to agree on.
const PAUSE: Duration = Duration::from_millis(50);
/// How long a poll waits for others to take what they have yet to take.
const HELD_UP: Duration = Duration::from_millis(10);

pub(super) struct KafkaConsumer {
    slots: Vec<Slot>,
    native: Arc<NativeConsumer>,
    lanes: Arc<Lanes>,
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
    feed: Feed,
    paused: bool,
}

/// Where its records come from.
enum Feed {
    /// This consumer's client.
    Own(PartitionReader),
    /// The clients of the process.
    Lane(Follower),
}

impl Feed {
    fn partition(&self) -> &TopicPartition {
        match self {
            Self::Own(reader) => &reader.partition,
            Self::Lane(follower) => follower.partition(),
        }
    }

    fn take(&mut self, max: usize) -> Result<Taken> {
        match self {
            Self::Lane(follower) => follower.take(max),
            Self::Own(reader) => {
                let mut set = RecordSet::new(reader.partition.topic.clone(), reader.partition.partition);
                reader.read(max, &mut set)?;
                Ok(if set.is_empty() { Taken::Nothing } else { Taken::Set(Arc::new(set)) })
            }
        }
    }
}

/// What the group is owed by the next poll.
#[derive(PartialEq, Eq)]
enum Answer {
    Assign,
    Unassign,
}

impl KafkaConsumer {
    pub(super) fn new(native: NativeConsumer, lanes: Arc<Lanes>, options: ConsumerOptions) -> Self {
        let native = Arc::new(native);
        Self { slots: Vec::new(), native, lanes, options, turn: 0, answer: None, membership: None, trouble: None }
    }

    fn slot(&mut self, partition: &TopicPartition) -> Result<&mut Slot> {
        let found = self.slots.iter_mut().find(|slot| slot.feed.partition() == partition);
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
            let feed = match by_group {
                true => Feed::Lane(self.lanes.follow(&partition, position, self.options.reader, self.waker())),
                false => Feed::Own(PartitionReader::new(&self.native, &partition, position, self.waker())?),
            };
            slots.push(Slot { feed, paused: false });
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

    /// Begins to read the slots; of a member's the group is told that it has them, and its client reads nothing.
    fn start_reading(&self) -> Result<()> {
        let own = self.slots.iter().filter_map(|slot| match &slot.feed {
            Feed::Own(reader) => Some((&reader.partition, reader.position, None)),
            Feed::Lane(_) => None,
        });
        let list = offset_list(own)?;
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
                let revoked = self.slots.iter().map(|slot| slot.feed.partition().clone()).collect();
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

    /// Takes what has come, about `max` records: as many of each partition, then more of those that have more. Whether
    /// more could be there that others have to make room for.
    fn drain(&mut self, max: usize) -> (Vec<Arc<RecordSet>>, bool) {
        let Self { native, slots, trouble, .. } = self;
        native.consume(None, usize::MAX, |message| match message.failure() {
            Some(failure) => note(message, &failure, trouble),
            // Nothing may be lost in silence.
            None => *trouble = Some(Error::internal("a record came beside its partition's queue")),
        });
        let turn = self.turn.checked_rem(slots.len()).unwrap_or(0);
        self.turn = turn + 1;
        let (later, first) = slots.split_at_mut(turn);
        let mut open: Vec<&mut Feed> = Vec::with_capacity(first.len() + later.len());
        for slot in first.iter_mut().chain(later) {
            match &mut slot.feed {
                feed if !slot.paused => open.push(feed),
                Feed::Lane(follower) => follower.look(),
                Feed::Own(_) => {}
            }
        }
        let share = max.checked_div(open.len()).unwrap_or(0).max(1);
        let (mut sets, mut room, mut held_up) = (Vec::new(), max, false);
        for most in [share, max] {
            let mut more = Vec::with_capacity(open.len());
            for feed in open {
                if room == 0 {
                    break;
                }
                match feed.take(most.min(room)) {
                    Ok(Taken::Set(set)) => {
                        room = room.saturating_sub(set.len());
                        if set.len() >= most {
                            more.push(feed);
                        }
                        sets.push(set);
                    }
                    Ok(Taken::Nothing) => {}
                    Ok(Taken::HeldUp) => held_up = true,
                    Err(error) => *trouble = Some(error),
                }
            }
            open = more;
        }
        (sets, held_up)
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
            let (sets, held_up) = self.drain(max);
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
            bell.wait(if held_up { wait.min(HELD_UP) } else { wait });
        }
        Ok(Poll::default())
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        let pending = self.answer == Some(Answer::Assign);
        match &mut self.slot(partition)?.feed {
            Feed::Lane(follower) => {
                follower.seek(offset);
                return Ok(());
            }
            Feed::Own(reader) => (reader.position, reader.drained) = (offset, false),
        }
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
        let slot = self.slots.iter().find(|slot| slot.feed.partition() == partition)?;
        match &slot.feed {
            Feed::Own(reader) => reader.end_offset(),
            Feed::Lane(follower) => follower.end_offset(),
        }
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
