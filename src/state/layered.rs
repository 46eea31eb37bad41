//! [`LayeredBase`]: committed state in memory over a local store on disk, within the process's [`MemoryBudget`].
//!
//! While the budget allows, memory holds everything: reads never ask the disk, and a checkpoint writes what changed since
//! the last one. When the budget asks, the store spills: what is not on disk is written, memory emptied; from then on memory
//! is *part*: what changed since, deletions included, and reads look through it at the disk.
//!
//! **Invariant:** memory and disk together hold exactly the committed writes; the disk alone holds at least those before
//! its mark's position. A disk that fails is given up: a whole memory goes on without it, a part is an error.

use std::cell::Cell;
use std::ops::Bound;

use super::budget::Share;
use super::disk::DiskStore;
use super::mark::{Fingerprint, Mark, Position, STATE_VERSION};
use super::packed::PackedMap;
use super::store::{StateBase, Visit, Writes};
use crate::error::Result;

/// What an entry takes besides key and value.
const ENTRY_BYTES: usize = 8;
/// Keys that are taken into memory at once after a restart.
const LOAD_KEYS: usize = 2000;

#[derive(Debug, Clone, Copy, PartialEq)]
enum Memory {
    /// Everything is in memory and nothing of use on disk.
    Whole,
    /// Everything is in memory, and on disk as well but for what is flagged.
    Saved,
    /// Only what changed since the last spill is in memory, flagged if it is not on disk.
    Part,
}

/// Committed state in memory over disk.
pub struct LayeredBase {
    /// Flagged: not on disk yet. Flagged without a value: deleted, which the disk does not know yet.
    map: PackedMap,
    memory: Memory,
    disk: Option<DiskStore>,
    /// Of the checkpoint found on disk, until somebody decides about it.
    found: Option<Mark>,
    /// While the disk is being read into memory: behind which key that goes on.
    loading: Option<Option<Vec<u8>>>,
    fingerprint: Fingerprint,
    share: Share,
    failed: Cell<bool>,
}

impl LayeredBase {
    /// Over what `disk` holds, if it fits `fingerprint`; `local` then says up to where.
    pub(super) fn open(disk: DiskStore, fingerprint: Fingerprint, share: Share) -> Self {
        let mut base = Self {
            map: PackedMap::default(),
            memory: Memory::Whole,
            disk: Some(disk),
            found: None,
            loading: None,
            fingerprint,
            share,
            failed: Cell::new(false),
        };
        match base.disk.as_ref().map(DiskStore::mark) {
            Some(Ok(Some(mark))) if mark.fingerprint == fingerprint => base.found = Some(mark),
            Some(Ok(Some(_))) => base.discard_local("it is of another layout"),
            // Leftovers without a mark: a crash before the first checkpoint, or another version.
            Some(Ok(None)) if !base.disk.as_ref().is_some_and(|disk| disk.is_empty().unwrap_or(false)) => {
                base.discard_local("it has no valid checkpoint");
            }
            Some(Err(error)) => base.discard_local(&error.to_string()),
            Some(Ok(None)) | None => {}
        }
        base
    }

    fn forget_memory(&mut self) {
        self.map.clear();
        self.loading = None;
        self.share.update(0);
    }

    /// Writes what is not on disk, and the mark.
    fn save(&mut self, mark: Option<&Mark>) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let map = &self.map;
        if self.memory == Memory::Whole {
            disk.write(&mut map.iter(), map.bytes(), mark)?;
            self.memory = Memory::Saved;
        } else {
            let (mut flagged, mut bytes) = (map.flagged(), 0);
            while let Some(entry) = flagged.next() {
                bytes += entry.key.len() + entry.value.map_or(0, <[u8]>::len);
            }
            drop(flagged);
            disk.write(&mut map.flagged(), bytes, mark)?;
            self.map.settle();
        }
        Ok(())
    }

    /// Gives memory back: everything to disk.
    fn spill(&mut self) -> Result<()> {
        self.share.answered();
        self.loading = None;
        if self.disk.is_none() || self.map.is_empty() {
            return Ok(());
        }
        let bytes = self.map.bytes();
        if let Err(error) = self.save(None) {
            return self.disk_failed(error);
        }
        self.memory = Memory::Part;
        self.forget_memory();
        tracing::debug!(store = self.disk.as_ref().map(DiskStore::name), bytes, "store spilled to disk");
        Ok(())
    }

    /// Whole memory needs no disk; a part is nothing without it.
    fn disk_failed(&mut self, error: crate::error::Error) -> Result<()> {
        self.failed.set(true);
        if self.memory == Memory::Part {
            return Err(error);
        }
        if let Some(disk) = self.disk.take() {
            tracing::warn!(store = disk.name(), %error, "local store failed, its query goes on without it");
            disk.abandon();
        }
        self.map.settle();
        self.memory = Memory::Whole;
        Ok(())
    }

    fn account(&mut self) -> Result<()> {
        if self.share.update(self.map.bytes()) { self.spill() } else { Ok(()) }
    }

    /// What came of reading the disk; a failure condemns the local store.
    fn noted<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_err() {
            self.failed.set(true);
        }
        result
    }

    /// Takes the next `max` keys of the disk into memory; after the last one memory is whole.
    fn load(&mut self, max: usize) -> Result<()> {
        let (Some(disk), Some(loading)) = (&self.disk, &mut self.loading) else { return Ok(()) };
        let from = loading.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        let mut count = 0;
        for entry in disk.range(from, Bound::Unbounded).take(max) {
            let (key, value) = entry?;
            count += 1;
            // What changed since is newer.
            if !self.map.contains(&key) {
                self.map.insert(&key, Some(&value), false);
            }
            last = Some(key.to_vec());
        }
        if count == max {
            *loading = last;
        } else {
            self.loading = None;
            self.memory = Memory::Saved;
        }
        self.account()
    }
}

impl StateBase for LayeredBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match (self.map.get(key), &self.disk) {
            (Some(value), _) => Ok(value),
            (None, Some(disk)) if self.memory == Memory::Part => self.noted(disk.get(key)),
            (None, _) => Ok(None),
        }
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let mut recent = self.map.range(from, to);
        if let (Some(disk), Memory::Part) = (&self.disk, &self.memory) {
            for entry in disk.range(from, to) {
                let (key, value) = self.noted(entry)?;
                let mut shadowed = false;
                while let Some(newer) = recent.peek()
                    && *newer.key <= *key
                {
                    shadowed = *newer.key == *key;
                    if newer.value.is_some_and(|value| visit(newer.key, value).is_break()) {
                        return Ok(());
                    }
                    recent.skip();
                }
                if !shadowed && visit(&key, &value).is_break() {
                    return Ok(());
                }
            }
        }
        while let Some(entry) = recent.next() {
            if entry.value.is_some_and(|value| visit(entry.key, value).is_break()) {
                break;
            }
        }
        Ok(())
    }

    fn apply(&mut self, writes: &mut dyn Writes) -> Result<()> {
        if self.found.is_some() {
            self.discard_local("nobody asked for it");
        }
        while let Some((key, value)) = writes.next_write() {
            match (value, self.memory) {
                (Some(value), memory) => self.map.insert(key, Some(value), memory != Memory::Whole),
                (None, Memory::Whole) => self.map.remove(key),
                (None, _) => self.map.insert(key, None, true),
            };
        }
        self.account()
    }

    fn memory_bytes(&self) -> usize {
        self.map.bytes()
    }

    fn rows(&self) -> usize {
        match (&self.memory, &self.disk) {
            (Memory::Part, Some(disk)) => disk.rows().max(self.map.len()),
            _ => self.map.len(),
        }
    }

    fn disk_bytes(&self) -> u64 {
        self.disk.as_ref().map_or(0, DiskStore::bytes)
    }

    fn local(&self) -> Option<Position> {
        self.found.as_ref().map(|mark| mark.position.clone())
    }

    fn accept_local(&mut self) {
        let (Some(_), Some(disk)) = (self.found.take(), &self.disk) else { return };
        self.memory = Memory::Part;
        let (entries, bytes) = disk.size();
        // About: blocks are compressed, and deleted or replaced entries count. The budget asks if that was too little.
        if self.share.budget().has_room_for(bytes + entries * ENTRY_BYTES) {
            self.loading = Some(None);
        }
    }

    fn discard_local(&mut self, why: &str) {
        let name = self.disk.as_ref().map(DiskStore::name);
        tracing::warn!(store = name, why, "local store is thrown away, its changelog will be read");
        self.forget_memory();
        self.found = None;
        self.memory = Memory::Whole;
        if let Some(disk) = &mut self.disk
            && let Err(error) = disk.clear()
        {
            tracing::warn!(store = name_of(&self.disk), %error, "local store cannot be emptied, going on without");
            self.disk = None;
        }
    }

    fn checkpoint(&mut self, position: &Position) -> Result<()> {
        if self.found.is_some() {
            self.discard_local("nobody asked for it");
        }
        let Some(disk) = &self.disk else { return Ok(()) };
        let mark = Mark {
            version: STATE_VERSION,
            fingerprint: self.fingerprint,
            keyspace: disk.number(),
            position: position.clone(),
        };
        match self.save(Some(&mark)) {
            Ok(()) => self.account(),
            Err(error) => self.disk_failed(error),
        }
    }

    fn relieve(&mut self) -> Result<()> {
        if self.share.asked() {
            self.spill()
        } else if self.loading.is_some() {
            let loaded = self.load(LOAD_KEYS);
            self.noted(loaded)
        } else {
            Ok(())
        }
    }

    fn keeps_checkpoints(&self) -> bool {
        self.disk.is_some()
    }
}

fn name_of(disk: &Option<DiskStore>) -> Option<&str> {
    disk.as_ref().map(DiskStore::name)
}

impl Drop for LayeredBase {
    fn drop(&mut self) {
        if self.failed.get()
            && let Some(disk) = &self.disk
        {
            disk.abandon();
        }
    }
}
