//! A partition: chunks of records in offset order, their data in memory or in storage.
//!
//! **Invariant:** offsets only grow; the newest record is never removed, so the end survives a restart.

use std::collections::VecDeque;
use std::sync::Arc;

use hashbrown::HashSet;

use crate::broker::TopicSpec;
use crate::change::RecordSet;

/// Smaller neighbours are joined up to this many bytes.
pub(super) const CHUNK_BYTES: u64 = 256 * 1024;
/// So many appended chunks are looked at together.
pub(super) const MERGE_EVERY: usize = 64;
/// Dirty records below which a partition is not worth compacting.
const COMPACT_RECORDS: u64 = 10_000;
/// Kafka's default of `delete.retention.ms`.
const TOMBSTONES_MS: i64 = 24 * 3_600_000;

/// Consecutive records.
#[derive(Debug, Clone)]
pub(in crate::broker) struct Chunk {
    /// Its name within the partition: no offset is smaller.
    pub(in crate::broker) first: i64,
    /// One past its last offset.
    pub(in crate::broker) next: i64,
    /// The largest timestamp.
    pub(in crate::broker) newest: i64,
    /// Bytes, about.
    pub(in crate::broker) bytes: u64,
    /// How many records.
    pub(in crate::broker) records: u64,
    /// The records, unless only storage has them.
    pub(in crate::broker) data: Option<Arc<RecordSet>>,
}

impl Chunk {
    pub(super) fn new(first: i64, next: i64, set: RecordSet) -> Self {
        Self {
            first,
            next,
            newest: set.timestamps.iter().copied().max().unwrap_or(i64::MIN),
            bytes: set.weight() as u64,
            records: set.len() as u64,
            data: Some(Arc::new(set)),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Partition {
    pub(super) chunks: VecDeque<Chunk>,
    pub(super) end: i64,
    pub(super) newest: Option<i64>,
    /// Chunks appended since neighbours were joined.
    pub(super) unmerged: usize,
    /// Records after the last compaction.
    pub(super) clean: u64,
    /// Where the last compaction ended: tombstones before it have been seen by everybody who keeps up.
    pub(super) clean_end: i64,
    pub(super) records: u64,
}

impl Partition {
    pub(super) fn start(&self) -> i64 {
        self.chunks.front().map_or(self.end, |chunk| chunk.first)
    }

    /// The chunk that holds the offset, or the first one after it.
    pub(super) fn find(&self, offset: i64) -> Option<&Chunk> {
        self.chunks.get(self.chunks.partition_point(|chunk| chunk.next <= offset))
    }

    pub(super) fn find_mut(&mut self, first: i64) -> Option<&mut Chunk> {
        let at = self.chunks.partition_point(|chunk| chunk.first < first);
        self.chunks.get_mut(at).filter(|chunk| chunk.first == first)
    }

    pub(super) fn push(&mut self, chunk: Chunk) {
        self.end = chunk.next;
        self.newest = self.newest.max(Some(chunk.newest));
        self.records += chunk.records;
        self.unmerged += 1;
        self.chunks.push_back(chunk);
    }

    /// Replaces the chunks `at` by others.
    pub(super) fn replace(&mut self, at: std::ops::Range<usize>, by: Vec<Chunk>) {
        let mut tail = self.chunks.split_off(at.start);
        tail.drain(..at.len());
        self.chunks.extend(by);
        self.chunks.append(&mut tail);
        self.records = self.chunks.iter().map(|chunk| chunk.records).sum();
    }

    pub(super) fn wants_compaction(&self) -> bool {
        self.records > 2 * self.clean + COMPACT_RECORDS
    }

    /// How many of the oldest chunks a topic of this policy drops.
    pub(super) fn expired(&self, policy: &Policy) -> usize {
        if !policy.delete {
            return 0;
        }
        let mut bytes: u64 = self.chunks.iter().map(|chunk| chunk.bytes).sum();
        let mut count = 0;
        for chunk in self.chunks.iter().take(self.chunks.len().saturating_sub(1)) {
            let age = self.newest.unwrap_or(i64::MIN).saturating_sub(chunk.newest);
            let old = policy.retention_ms.is_some_and(|limit| age > limit);
            let large = policy.retention_bytes.is_some_and(|limit| bytes - chunk.bytes >= limit);
            if !old && !large {
                break;
            }
            bytes -= chunk.bytes;
            count += 1;
        }
        count
    }
}

/// What becomes of old records.
#[derive(Debug, Clone, Default)]
pub(super) struct Policy {
    pub(super) compact: bool,
    delete: bool,
    retention_ms: Option<i64>,
    retention_bytes: Option<u64>,
    /// How much newer the newest record must be before compaction drops a tombstone: who keeps a copy of the rows
    /// elsewhere hears of the deletion within this time.
    pub(super) tombstones_ms: i64,
}

impl Policy {
    /// Whether nothing ever goes but what newer records replace.
    pub(super) fn only_compacts(&self) -> bool {
        self.compact && !self.delete
    }

    /// From Kafka's names; other settings have no meaning here and are kept for show.
    pub(super) fn of(spec: &TopicSpec) -> Self {
        let get = |name: &str| spec.config.iter().rfind(|(key, _)| key == name).map(|(_, value)| value.trim());
        let cleanup = get("cleanup.policy").unwrap_or("delete");
        Self {
            compact: cleanup.split(',').any(|word| word.trim() == "compact"),
            delete: cleanup.split(',').any(|word| word.trim() == "delete"),
            retention_ms: get("retention.ms").and_then(|text| text.parse().ok()).filter(|ms| *ms >= 0),
            retention_bytes: get("retention.bytes").and_then(|text| text.parse().ok()),
            tombstones_ms: get("delete.retention.ms").and_then(|text| text.parse().ok()).unwrap_or(TOMBSTONES_MS),
        }
    }
}

/// What compaction goes by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Offset before which tombstones may go,
    pub(super) settled: i64,
    /// if their time is not after this.
    pub(super) old: i64,
    /// Offset of the newest record of the partition.
    pub(super) last: i64,
}

/// What compaction leaves of a chunk, newest chunk first: `None` when all stays. `seen` are the keys of newer records.
///
/// A settled and old tombstone goes too; a record without a key stays, as nothing can replace it; so does the newest
/// record of the partition.
pub(super) fn survivors(set: &RecordSet, seen: &mut HashSet<Box<[u8]>>, bounds: Bounds) -> Option<RecordSet> {
    let Bounds { settled, old, last } = bounds;
    let mut keep = vec![true; set.len()];
    for i in (0..set.len()).rev() {
        let Some(key) = set.keys.get(i) else { continue };
        let newest = !seen.contains(key);
        if newest {
            seen.insert(key.into());
        }
        let gone = set.values.get(i).is_none() && set.offsets[i] < settled && set.timestamps[i] <= old;
        keep[i] = (newest && !gone) || set.offsets[i] == last;
    }
    if keep.iter().all(|keep| *keep) {
        return None;
    }
    let mut left = RecordSet::new(set.topic.clone(), set.partition);
    for i in (0..set.len()).filter(|i| keep[*i]) {
        left.append(set, i..i + 1);
    }
    Some(left)
}
