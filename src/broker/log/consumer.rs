//! Reading: positions in assigned partitions, membership in a group.
//!
//! **Invariant:** a poll that brings assigned or revoked partitions brings no records, so that the caller can settle
//! what it has before more comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

use super::group::{MemberId, Turn};
use super::{Chunk, ChunkAt, Log, State, lock};
use crate::broker::{CommittedOffset, Consumer, ConsumerOptions, GroupMetadata, Poll, Start, TopicPartition};
use crate::change::RecordSet;
use crate::error::{Error, Result};

/// The token behind [`GroupMetadata`].
#[derive(Debug)]
pub(super) struct Membership {
    pub(super) member: Option<MemberId>,
    pub(super) generation: u64,
}

pub(in crate::broker) struct LogConsumer {
    log: Arc<Log>,
    options: ConsumerOptions,
    member: Option<MemberId>,
    topics: Vec<String>,
    positions: Vec<Position>,
    /// The position that the next poll looks at first, so that none starves.
    turn: usize,
    call: Arc<Call>,
}

/// Calls a consumer back from its wait.
struct Call {
    log: Arc<Log>,
    called: AtomicBool,
}

impl Wake for Call {
    fn wake(self: Arc<Self>) {
        self.called.store(true, Ordering::SeqCst);
        // Under the lock: whoever is about to wait has not looked yet, or waits already.
        let _state = lock(&self.log.state);
        self.log.changed.notify_all();
    }
}

struct Position {
    partition: TopicPartition,
    next: i64,
    paused: bool,
    /// The chunk read last, when it came from storage.
    held: Option<(i64, Arc<RecordSet>)>,
}

impl LogConsumer {
    pub(super) fn new(log: Arc<Log>, options: ConsumerOptions) -> Self {
        let call = Arc::new(Call { log: log.clone(), called: AtomicBool::new(false) });
        Self { log, options, member: None, topics: Vec::new(), positions: Vec::new(), turn: 0, call }
    }

    fn position(&mut self, partition: &TopicPartition) -> Result<&mut Position> {
        let found = self.positions.iter_mut().find(|position| position.partition == *partition);
        found.ok_or_else(|| Error::internal(format!("partition {partition} is not assigned to this consumer")))
    }

    fn start(&self, partition: &TopicPartition, start: Start) -> Result<i64> {
        let (first, end) = self.log.offsets(partition)?;
        Ok(match start {
            Start::Earliest => first,
            Start::Latest => end,
            Start::Offset(offset) => offset,
        })
    }

    fn join(&mut self) {
        let Some(group) = self.options.group.clone() else { return };
        let mut state = lock(&self.log.state);
        state.next_member += 1;
        let id = (self.options.client_id.clone(), state.next_member);
        state.groups.entry(group).or_default().join(id.clone(), self.topics.clone());
        self.member = Some(id);
        self.log.changed.notify_all();
    }

    fn leave(&mut self) {
        let (Some(group), Some(member)) = (&self.options.group, self.member.take()) else { return };
        let mut state = lock(&self.log.state);
        if let Some(found) = state.groups.get_mut(group) {
            found.leave(&member);
        }
        self.log.changed.notify_all();
    }

    /// The process dies: its group does not know.
    pub(in crate::broker) fn abandon(&mut self) {
        let (Some(group), Some(member)) = (&self.options.group, self.member.take()) else { return };
        lock(&self.log.state).dead.push((group.clone(), member));
    }

    /// What the group wants of this member now.
    fn turn(&self, state: &mut State) -> Turn {
        let (Some(group), Some(member)) = (&self.options.group, &self.member) else { return Turn::Read };
        let State { groups, topics, .. } = state;
        let Some(group) = groups.get_mut(group) else { return Turn::Expelled };
        let (turn, others) = group.turn(member, |name| topics.get(name).map_or(0, |topic| topic.spec.partitions));
        if others {
            self.log.changed.notify_all();
        }
        turn
    }

    /// Whether some partition has something to read.
    fn ready(&self, state: &State) -> bool {
        self.positions.iter().filter(|position| !position.paused).any(|position| {
            let found = state.partition(&position.partition.topic, position.partition.partition);
            found.is_ok_and(|(_, partition)| {
                let TopicPartition { topic, partition: at } = &position.partition;
                state.stable_end(topic, *at, partition.end) != position.next
            })
        })
    }

    /// Takes over partitions, from the committed offsets where there are any.
    fn adopt(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        let committed = match &self.options.group {
            Some(group) => self.log.committed(group, partitions),
            None => Vec::new(),
        };
        self.positions.clear();
        for partition in partitions {
            let next = match committed.iter().find(|offset| offset.partition == *partition) {
                Some(offset) => offset.offset,
                None => self.start(partition, self.options.start)?,
            };
            self.positions.push(Position { partition: partition.clone(), next, paused: false, held: None });
        }
        Ok(())
    }

    fn read(&mut self, max_records: usize) -> Result<Vec<Arc<RecordSet>>> {
        let mut sets = Vec::new();
        let count = self.positions.len();
        let mut left = max_records.max(1);
        for i in 0..count {
            // An equal share of what is left for each partition that is left.
            let share = left.div_ceil(count - i);
            let position = &mut self.positions[(self.turn + i) % count];
            if share == 0 || position.paused {
                continue;
            }
            let mut set = RecordSet::new(position.partition.topic.clone(), position.partition.partition);
            position.read(&self.log, share, &mut set)?;
            if !set.is_empty() {
                left -= set.len().min(left);
                sets.push(Arc::new(set));
            }
        }
        self.turn = if count == 0 { 0 } else { (self.turn + 1) % count };
        Ok(sets)
    }
}

impl Position {
    fn read(&mut self, log: &Log, max_records: usize, into: &mut RecordSet) -> Result<()> {
        while into.len() < max_records {
            let (at, chunk, stable) = {
                let state = lock(&log.state);
                // A topic that is gone has nothing more to read.
                let Ok((topic, partition)) = state.partition(&self.partition.topic, self.partition.partition) else {
                    return Ok(());
                };
                if self.next > partition.end {
                    // The topic was made anew, or the caller erred: as Kafka does, begin again.
                    self.next = partition.start();
                }
                let stable = state.stable_end(&self.partition.topic, self.partition.partition, partition.end);
                if self.next >= stable {
                    return Ok(());
                }
                let Some(chunk) = partition.find(self.next) else {
                    self.next = partition.end;
                    return Ok(());
                };
                let at = ChunkAt { topic, partition: self.partition.partition, first: chunk.first };
                (at, chunk.clone(), stable)
            };
            let Some(data) = self.load(log, at, &chunk)? else { continue };
            let from = data.offsets.partition_point(|offset| *offset < self.next);
            let to = data.offsets.partition_point(|offset| *offset < stable).min(from + max_records - into.len());
            into.append(&data, from..to);
            self.next = if to == data.len() { chunk.next.min(stable) } else { data.offsets[to] };
        }
        Ok(())
    }

    /// The records of the chunk; `None` when it was rewritten meanwhile and has to be looked up again.
    fn load(&mut self, log: &Log, at: ChunkAt, chunk: &Chunk) -> Result<Option<Arc<RecordSet>>> {
        if let Some(data) = &chunk.data {
            return Ok(Some(data.clone()));
        }
        // Its name and end together say which chunk it is: rewriting only ever makes it lose records or end later.
        if let Some((next, held)) = &self.held
            && *next == chunk.next
            && held.offsets.first().is_some_and(|first| *first >= chunk.first)
        {
            return Ok(Some(held.clone()));
        }
        let Some(storage) = &log.storage else { return Ok(None) };
        let Some(set) = storage.read(&self.partition.topic, at)? else { return Ok(None) };
        let set = Arc::new(set);
        self.held = Some((chunk.next, set.clone()));
        Ok(Some(set))
    }
}

impl Consumer for LogConsumer {
    fn subscribe(&mut self, topics: &[String]) -> Result<()> {
        if self.options.group.is_none() {
            return Err(Error::internal("a consumer without a group cannot subscribe"));
        }
        self.leave();
        self.positions.clear();
        self.topics = topics.to_vec();
        self.join();
        Ok(())
    }

    fn assign(&mut self, partitions: &[(TopicPartition, Start)]) -> Result<()> {
        self.leave();
        self.positions.clear();
        for (partition, start) in partitions {
            let next = self.start(partition, *start)?;
            self.positions.push(Position { partition: partition.clone(), next, paused: false, held: None });
        }
        Ok(())
    }

    fn waker(&self) -> Waker {
        self.call.clone().into()
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll> {
        let turn = {
            let log = self.log.clone();
            let mut turn = self.turn(&mut lock(&log.state));
            if turn == Turn::Wait || (turn == Turn::Read && !timeout.is_zero()) {
                let waits = |state: &mut State| {
                    if self.call.called.swap(false, Ordering::SeqCst) {
                        return false;
                    }
                    if turn == Turn::Read && self.ready(state) {
                        return false;
                    }
                    turn = self.turn(state);
                    match turn {
                        Turn::Read => !self.ready(state),
                        Turn::Wait => true,
                        _ => false,
                    }
                };
                drop(log.changed.wait_timeout_while(lock(&log.state), timeout, waits));
            }
            turn
        };
        match turn {
            Turn::Read => Ok(Poll { sets: self.read(max_records)?, ..Poll::default() }),
            Turn::Wait => Ok(Poll::default()),
            Turn::Revoked(revoked) => {
                self.positions.clear();
                Ok(Poll { revoked, ..Poll::default() })
            }
            Turn::Assigned(assigned) => {
                self.adopt(&assigned)?;
                Ok(Poll { assigned, ..Poll::default() })
            }
            Turn::Expelled => {
                // What it had is lost. It joins again as a new member at the next poll, not now: a commit in between is
                // one of the old member and has to be refused.
                let revoked: Vec<_> = self.positions.drain(..).map(|position| position.partition).collect();
                if revoked.is_empty() {
                    self.member = None;
                    self.join();
                }
                let lost = !revoked.is_empty();
                if let Some(member) = self.member.as_ref().filter(|_| lost) {
                    lock(&self.log.state).told.insert(member.clone());
                }
                Ok(Poll { revoked, lost, ..Poll::default() })
            }
        }
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.position(partition)?.next = offset;
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        for partition in partitions {
            self.position(partition)?.paused = true;
        }
        Ok(())
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        for partition in partitions {
            self.position(partition)?.paused = false;
        }
        Ok(())
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.log.offsets(partition).ok().map(|(_, end)| end)
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        let group = self.options.group.as_ref();
        let group = group.ok_or_else(|| Error::internal("a consumer without a group has no committed offsets"))?;
        self.log.check_decided(group, partitions)?;
        Ok(self.log.committed(group, partitions))
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        let group = self.options.group.clone()?;
        let state = lock(&self.log.state);
        let generation = self.member.as_ref().and_then(|id| state.groups.get(&group)?.generation(id)).unwrap_or(0);
        let token = Membership { member: self.member.clone(), generation };
        Some(GroupMetadata { group, token: Arc::new(token) })
    }

    fn close(&mut self) {
        self.leave();
        self.positions.clear();
    }
}

impl Drop for LogConsumer {
    fn drop(&mut self) {
        self.leave();
    }
}
