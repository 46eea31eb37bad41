//! Writing: a producer buffers its transaction; [`Log::append`] makes it part of the log in one step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use hashbrown::HashMap;

use super::consumer::Membership;
use super::partition::{CHUNK_BYTES, Chunk, MERGE_EVERY};
use super::transaction::Staged;
use super::{ChunkAt, Log, State, Write, lock};
use crate::broker::{CommittedOffset, GroupMetadata, OutRecord, Producer, ProducerOptions, TopicPartition};
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};

/// Who writes: the transactional id and which of its producers.
pub(super) type Writer = (String, u64);

pub(in crate::broker) struct LogProducer {
    log: Arc<Log>,
    writer: Option<Writer>,
    /// Between `begin` and `commit` or `abort`: records wait.
    open: bool,
    buffer: Buffer,
    watched: bool,
}

/// Records on their way, in sets of one partition each.
#[derive(Default)]
struct Buffer {
    sets: Vec<RecordSet>,
    /// The set that takes the partition's next record.
    current: HashMap<Arc<str>, Vec<Option<usize>>>,
    last: Option<usize>,
}

impl Buffer {
    fn push(&mut self, log: &Log, record: &OutRecord<'_>) -> Result<()> {
        let fits = |set: &RecordSet| set.partition == record.partition && *set.topic == *record.topic;
        let at = match self.last.filter(|at| fits(&self.sets[*at])) {
            Some(at) => at,
            None => self.place(log, record)?,
        };
        self.last = Some(at);
        let set = &mut self.sets[at];
        // Offsets are given at the commit; until then they count the records of the set.
        set.push(set.len() as i64, record.timestamp, record.key, record.value, record.headers.to_vec());
        if (set.keys.data.len() + set.values.data.len()) as u64 > 4 * CHUNK_BYTES {
            self.last = None;
            let places = self.current.get_mut(record.topic);
            if let Some(place) = places.and_then(|places| places.get_mut(record.partition as usize)) {
                *place = None;
            }
        }
        Ok(())
    }

    fn place(&mut self, log: &Log, record: &OutRecord<'_>) -> Result<usize> {
        let index = usize::try_from(record.partition).unwrap_or(usize::MAX);
        if let Some(Some(at)) = self.current.get(record.topic).and_then(|places| places.get(index)) {
            return Ok(*at);
        }
        lock(&log.state).partition(record.topic, record.partition)?;
        let topic: Arc<str> = record.topic.into();
        let places = self.current.entry(topic.clone()).or_default();
        if places.len() <= index {
            places.resize(index + 1, None);
        }
        places[index] = Some(self.sets.len());
        self.sets.push(RecordSet::new(topic, record.partition));
        Ok(self.sets.len() - 1)
    }

    fn take(&mut self) -> Vec<RecordSet> {
        self.last = None;
        self.current.clear();
        std::mem::take(&mut self.sets)
    }
}

impl LogProducer {
    pub(super) fn new(log: Arc<Log>, options: &ProducerOptions) -> Result<Self> {
        let writer = match &options.transactional_id {
            None => None,
            Some(id) => Some((id.clone(), log.next_epoch(id)?)),
        };
        Ok(Self { log, writer, open: false, buffer: Buffer::default(), watched: false })
    }

    /// From now on others notice its transactions before they end.
    pub(in crate::broker) fn watched(mut self) -> Self {
        self.watched = true;
        self
    }

    fn watched_writer(&self) -> Option<&Writer> {
        self.writer.as_ref().filter(|_| self.watched)
    }

    /// Sends the offsets into the transaction: the first half of a commit.
    pub(in crate::broker) fn announce(
        &mut self,
        offsets: &[CommittedOffset],
        group: Option<&GroupMetadata>,
    ) -> Result<()> {
        let Some(writer) = self.watched_writer() else { return Ok(()) };
        let mut state = lock(&self.log.state);
        state.check_writer(writer)?;
        let Some(group) = group.filter(|_| !offsets.is_empty()) else { return Ok(()) };
        state.check_group(group)?;
        state.announce(writer, &group.group, offsets);
        Ok(())
    }

    /// Notes what is about to be written without a transaction by one who is no member of its group any more.
    pub(in crate::broker) fn note_strays(&mut self, group: Option<&GroupMetadata>) {
        let mut state = lock(&self.log.state);
        let Some(group) = group.filter(|group| state.check_group(group).is_err()) else { return };
        let member = group.token.downcast_ref::<Membership>().and_then(|token| token.member.as_ref());
        if member.is_some_and(|member| state.told.contains(member)) {
            state.wilful += 1;
        }
        for set in &self.buffer.sets {
            let keys = (0..set.len()).filter_map(|i| set.keys.get(i));
            let named = keys.map(|key| (TopicPartition::new(set.topic.clone(), set.partition), key.to_vec()));
            state.strays.extend(named);
        }
    }

    /// Sends the commit and does not wait: it arrives when the transaction is settled.
    pub(in crate::broker) fn commit_later(&mut self, offsets: &[CommittedOffset], group: Option<&GroupMetadata>) {
        self.open = false;
        let sets = self.buffer.take();
        let Some(writer) = self.watched_writer() else { return };
        let group = group.map(|group| group.group.clone());
        lock(&self.log.state).stage(writer, Staged { sets, offsets: offsets.to_vec(), group });
    }

    /// Commits, and partitions do not know of it before the transaction is settled.
    pub(in crate::broker) fn commit_unseen(
        &mut self,
        offsets: &[CommittedOffset],
        group: Option<&GroupMetadata>,
    ) -> Result<()> {
        self.open = false;
        self.append(offsets, group)?;
        if let Some(writer) = self.watched_writer() {
            lock(&self.log.state).finish(writer, true);
        }
        Ok(())
    }

    /// Nobody will end its transaction.
    pub(in crate::broker) fn abandon(&mut self) {
        if let Some(writer) = self.watched_writer() {
            lock(&self.log.state).orphan(writer);
        }
    }

    fn append(&mut self, offsets: &[CommittedOffset], group: Option<&GroupMetadata>) -> Result<()> {
        self.log.append(self.writer.as_ref(), self.buffer.take(), offsets, group)
    }
}

impl Producer for LogProducer {
    fn begin(&mut self) -> Result<()> {
        if let Some(writer) = &self.writer {
            lock(&self.log.state).check_writer(writer)?;
        }
        if self.writer.is_some() {
            self.buffer.take();
        }
        self.open = true;
        Ok(())
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        if self.writer.is_some() && !self.open {
            return Err(Error::internal("a record was sent outside a transaction"));
        }
        self.buffer.push(&self.log, &record)?;
        if let Some(writer) = self.watched_writer() {
            lock(&self.log.state).hold(writer, record.topic, record.partition)?;
        }
        if self.open { Ok(()) } else { self.append(&[], None) }
    }

    fn commit(&mut self, offsets: &[CommittedOffset], group: Option<&GroupMetadata>) -> Result<()> {
        if self.writer.is_some() && !self.open {
            return Err(Error::internal("there is no transaction to commit"));
        }
        self.open = false;
        self.append(offsets, group)?;
        if let Some(writer) = self.watched_writer() {
            lock(&self.log.state).finish(writer, false);
            self.log.changed.notify_all();
        }
        Ok(())
    }

    fn abort(&mut self) -> Result<()> {
        self.open = false;
        self.buffer.take();
        match &self.writer {
            Some(writer) => {
                let mut state = lock(&self.log.state);
                state.check_writer(writer)?;
                state.finish(writer, false);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn flush(&mut self, _: Duration) -> Result<()> {
        if self.writer.is_none() { self.append(&[], None) } else { Ok(()) }
    }
}

impl State {
    fn check_writer(&self, (id, epoch): &Writer) -> Result<()> {
        match self.epochs.get(id) {
            Some(newest) if newest == epoch => Ok(()),
            _ => Err(Error::new(ErrorKind::Fenced, format!("another producer took over transactional id {id}"))),
        }
    }

    fn check_group(&self, group: &GroupMetadata) -> Result<()> {
        let token = group.token.downcast_ref::<Membership>();
        let token = token.ok_or_else(|| Error::internal("group metadata of another broker"))?;
        let members = self.groups.get(&group.group);
        let valid = match &token.member {
            Some(member) => members.and_then(|g| g.generation(member)) == Some(token.generation),
            None => members.is_none_or(super::Group::is_empty),
        };
        if valid {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Fenced, format!("group {} has given the partitions to others", group.group)))
    }
}

impl Log {
    /// The epoch of a new producer of a transactional id: from now on older ones are fenced.
    fn next_epoch(&self, id: &str) -> Result<u64> {
        let _commit = lock(&self.commit);
        self.settle_locked(id)?;
        let epoch = lock(&self.state).epochs.get(id).map_or(0, |epoch| epoch + 1);
        self.write(&[Write::Epoch(id, epoch)])?;
        lock(&self.state).epochs.insert(id.to_owned(), epoch);
        Ok(epoch)
    }

    /// Appends records and stores offsets, all or nothing.
    fn append(
        &self,
        writer: Option<&Writer>,
        sets: Vec<RecordSet>,
        offsets: &[CommittedOffset],
        group: Option<&GroupMetadata>,
    ) -> Result<()> {
        let _commit = lock(&self.commit);
        {
            let state = lock(&self.state);
            writer.map_or(Ok(()), |writer| state.check_writer(writer))?;
            group.map_or(Ok(()), |group| state.check_group(group))?;
        }
        self.write_all(sets, offsets, group.map(|group| group.group.as_str()))
    }

    /// The same for who holds `commit` and may write.
    pub(super) fn write_all(
        &self,
        mut sets: Vec<RecordSet>,
        offsets: &[CommittedOffset],
        group: Option<&str>,
    ) -> Result<()> {
        sets.retain(|set| !set.is_empty());
        let mut chunks = Vec::with_capacity(sets.len());
        {
            let state = lock(&self.state);
            // One partition may have several sets: each begins where the one before ends.
            let mut ends: BTreeMap<ChunkAt, i64> = BTreeMap::new();
            for mut set in sets {
                let (topic, partition) = state.partition(&set.topic, set.partition)?;
                let end = ends.entry(ChunkAt { topic, partition: set.partition, first: 0 }).or_insert(partition.end);
                let first = *end;
                set.offsets.iter_mut().for_each(|offset| *offset += first);
                *end += set.len() as i64;
                let at = ChunkAt { topic, partition: set.partition, first };
                chunks.push((set.topic.clone(), at, Chunk::new(first, *end, set)));
            }
        }
        if chunks.is_empty() && offsets.is_empty() {
            return Ok(());
        }
        let mut writes: Vec<Write<'_>> = Vec::with_capacity(chunks.len() + offsets.len());
        for (_, at, chunk) in &chunks {
            let data = chunk.data.as_deref().expect("a new chunk holds its records");
            writes.push(Write::Chunk(*at, chunk, data));
        }
        if !offsets.is_empty() {
            let group = group.ok_or_else(|| Error::internal("offsets without the group they belong to"))?;
            writes.extend(offsets.iter().map(|offset| Write::Offset(group, offset)));
        }
        self.write(&writes)?;
        drop(writes);

        let mut touched = Vec::new();
        let mut state = lock(&self.state);
        for (topic, at, chunk) in chunks {
            let bytes = chunk.bytes;
            let Some(found) = state.topics.get_mut(&topic) else { continue };
            let partition = &mut found.partitions[at.partition as usize];
            partition.push(chunk);
            let compact = found.policy.compact && partition.wants_compaction();
            if compact || partition.unmerged >= MERGE_EVERY || partition.expired(&found.policy) > 0 {
                touched.push((topic.clone(), at.partition));
            }
            state.warm(&topic, at, bytes);
        }
        if let Some(group) = group {
            let stored = state.offsets.entry(group.to_owned()).or_default();
            for offset in offsets {
                stored.insert(offset.partition.clone(), (offset.offset, offset.metadata.clone()));
            }
        }
        drop(state);
        self.changed.notify_all();
        // The transaction is decided: trouble with tidying up must not look as if it failed.
        for (topic, partition) in touched {
            if let Err(error) = self.maintain(&topic, partition) {
                tracing::warn!(%error, %topic, partition, "tidying up a partition failed");
            }
        }
        Ok(())
    }
}
