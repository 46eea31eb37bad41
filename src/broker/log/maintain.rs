//! Tidying up a partition after an append: retention, compaction, joining small chunks.
//!
//! **Invariant:** called with `commit` held, so nobody else changes the chunks meanwhile; readers see either the old or
//! the new chunks, and offsets never change.

use std::sync::Arc;

use hashbrown::HashSet;

use super::partition::{Bounds, CHUNK_BYTES, Chunk, MERGE_EVERY, survivors};
use super::{ChunkAt, Log, Write, lock};
use crate::broker::TopicPartition;
use crate::change::RecordSet;
use crate::error::{Error, Result};

/// The chunks of a partition while they are rewritten.
struct Target<'a> {
    topic: &'a Arc<str>,
    id: u32,
    partition: i32,
}

impl Target<'_> {
    fn at(&self, chunk: &Chunk) -> ChunkAt {
        ChunkAt { topic: self.id, partition: self.partition, first: chunk.first }
    }
}

impl Log {
    /// Compacts every partition of the compacted topics now, however little there is to gain.
    pub(in crate::broker) fn compact(&self) -> Result<()> {
        let _commit = lock(&self.commit);
        let targets: Vec<(Arc<str>, u32, i32)> = {
            let state = lock(&self.state);
            let compacted = state.topics.iter().filter(|(_, topic)| topic.policy.compact);
            compacted.flat_map(|(name, t)| (0..t.spec.partitions).map(|p| (name.clone(), t.id, p))).collect()
        };
        for (topic, id, partition) in &targets {
            self.compact_partition(&Target { topic, id: *id, partition: *partition })?;
        }
        Ok(())
    }

    /// Drops whatever lies wholly before these offsets, in whole chunks; the newest one stays.
    pub(in crate::broker) fn purge(&self, before: &[(TopicPartition, i64)]) -> Result<()> {
        let _commit = lock(&self.commit);
        for (at, offset) in before {
            let (id, count) = {
                let state = lock(&self.state);
                let (id, partition) = state.partition(&at.topic, at.partition)?;
                let old = partition.chunks.partition_point(|chunk| chunk.next <= *offset);
                (id, old.min(partition.chunks.len().saturating_sub(1)))
            };
            if count > 0 {
                let target = Target { topic: &at.topic, id, partition: at.partition };
                let old = self.chunks(&target, 0..count);
                self.swap(&target, 0..count, &old, Vec::new())?;
            }
        }
        Ok(())
    }

    pub(super) fn maintain(&self, topic: &Arc<str>, partition: i32) -> Result<()> {
        let (id, expired, compact, merge) = {
            let state = lock(&self.state);
            let Some(found) = state.topics.get(topic) else { return Ok(()) };
            let part = &found.partitions[partition as usize];
            let compact = found.policy.compact && part.wants_compaction();
            (found.id, part.expired(&found.policy), compact, part.unmerged >= MERGE_EVERY)
        };
        let target = Target { topic, id, partition };
        if expired > 0 {
            let old = self.chunks(&target, 0..expired);
            self.swap(&target, 0..expired, &old, Vec::new())?;
        }
        if compact {
            self.compact_partition(&target)?;
        } else if merge {
            self.merge(&target)?;
        }
        Ok(())
    }

    fn chunks(&self, target: &Target<'_>, range: std::ops::Range<usize>) -> Vec<Chunk> {
        let mut state = lock(&self.state);
        let found = state.partition_mut(target.topic, target.partition);
        found.map_or_else(Vec::new, |partition| partition.chunks.range(range).cloned().collect())
    }

    fn load(&self, target: &Target<'_>, chunk: &Chunk) -> Result<Arc<RecordSet>> {
        if let Some(data) = &chunk.data {
            return Ok(data.clone());
        }
        let read = match &self.storage {
            Some(storage) => storage.read(target.topic, target.at(chunk))?,
            None => None,
        };
        let missing = || Error::data(format!("records of {}-{} are missing", target.topic, target.partition));
        read.map(Arc::new).ok_or_else(missing)
    }

    /// Replaces the chunks `range`, which are `old`, in storage and then in memory.
    fn swap(&self, target: &Target<'_>, range: std::ops::Range<usize>, old: &[Chunk], new: Vec<Chunk>) -> Result<()> {
        // A removal and a write of the same name in one batch would leave their order to storage.
        let stays = |chunk: &&Chunk| !new.iter().any(|other| other.first == chunk.first);
        let mut writes: Vec<_> = old.iter().filter(stays).map(|chunk| Write::RemoveChunk(target.at(chunk))).collect();
        for chunk in &new {
            let data = chunk.data.as_deref().expect("a rewritten chunk holds its records");
            writes.push(Write::Chunk(target.at(chunk), chunk, data));
        }
        self.write(&writes)?;
        drop(writes);
        let mut state = lock(&self.state);
        let warm: Vec<_> = new.iter().map(|chunk| (target.at(chunk), chunk.bytes)).collect();
        if let Some(partition) = state.partition_mut(target.topic, target.partition) {
            partition.replace(range, new);
        }
        for (at, bytes) in warm {
            state.warm(target.topic, at, bytes);
        }
        Ok(())
    }

    /// Keeps the newest record of each key; goes from the newest chunk to the oldest, rewriting those that lose some.
    fn compact_partition(&self, target: &Target<'_>) -> Result<()> {
        let (count, end, bounds) = {
            let state = lock(&self.state);
            let Some(topic) = state.topics.get(target.topic) else { return Ok(()) };
            let partition = &topic.partitions[target.partition as usize];
            if state.stable_end(target.topic, target.partition, partition.end) < partition.end {
                // What cannot be read yet must not take the place of what can.
                return Ok(());
            }
            let newest = partition.newest.unwrap_or(i64::MIN);
            let bounds = Bounds {
                settled: partition.clean_end,
                old: newest.saturating_sub(topic.policy.tombstones_ms),
                last: partition.end - 1,
            };
            (partition.chunks.len(), partition.end, bounds)
        };
        let mut seen = HashSet::new();
        for at in (0..count).rev() {
            let old = self.chunks(target, at..at + 1);
            let Some(chunk) = old.first() else { break };
            let data = self.load(target, chunk)?;
            if let Some(left) = survivors(&data, &mut seen, bounds) {
                let empty = left.is_empty();
                let mut rewritten = Chunk::new(chunk.first, chunk.next, left);
                rewritten.newest = chunk.newest;
                let new = if empty { Vec::new() } else { vec![rewritten] };
                self.swap(target, at..at + 1, &old, new)?;
            }
        }
        let mut state = lock(&self.state);
        if let Some(partition) = state.partition_mut(target.topic, target.partition) {
            partition.clean = partition.records;
            partition.clean_end = end;
            partition.unmerged = partition.chunks.len();
        }
        drop(state);
        self.merge(target)
    }

    /// Joins runs of small chunks among those that came since the last time.
    fn merge(&self, target: &Target<'_>) -> Result<()> {
        let (from, to) = {
            let mut state = lock(&self.state);
            let Some(partition) = state.partition_mut(target.topic, target.partition) else { return Ok(()) };
            let recent = std::mem::take(&mut partition.unmerged).min(partition.chunks.len());
            (partition.chunks.len() - recent, partition.chunks.len())
        };
        let chunks = self.chunks(target, from..to);
        let mut end = chunks.len();
        // From the newest run to the oldest, so that the places of older chunks stay as they are.
        while end > 0 {
            let mut start = end - 1;
            let mut bytes = chunks[start].bytes;
            while start > 0 && bytes + chunks[start - 1].bytes <= CHUNK_BYTES {
                start -= 1;
                bytes += chunks[start].bytes;
            }
            let run = &chunks[start..end];
            if let [first, .., last] = run {
                let mut joined = RecordSet::new(target.topic.clone(), target.partition);
                for chunk in run {
                    let data = self.load(target, chunk)?;
                    joined.append(&data, 0..data.len());
                }
                let joined = Chunk::new(first.first, last.next, joined);
                self.swap(target, from + start..from + end, run, vec![joined])?;
            }
            end = start;
        }
        Ok(())
    }
}
