//! [`LayeredBase`]: committed state in memory over a local store on disk, within the process's [`MemoryBudget`].
//!
//! While the budget allows, memory is *whole*: reads never ask the disk, and a checkpoint writes what changed since the
//! last one. When the budget asks, the store spills: what is not on disk is written, memory emptied; from then on memory
//! is *part*: what changed since, deletions included, and reads look through it at the disk.
//!
//! **Invariant:** memory and disk together hold exactly the committed writes; the disk alone holds at least those before
//! its mark's position. A disk that fails is given up: a whole memory goes on without it, a part is an error.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::budget::Share;
use super::disk::{DiskStore, Write};
use super::mark::{Fingerprint, Mark, Position, STATE_VERSION};
use super::store::{StateBase, Visit};
use crate::error::Result;

/// What an entry takes besides key and value: its slot in a tree that is two thirds full, rounding of two allocations.
const ENTRY_BYTES: usize = 88;
/// What a remembered key takes besides its bytes.
const KEY_BYTES: usize = 24;
/// Keys that are taken into memory at once after a restart.
const LOAD_KEYS: usize = 2000;

type Key = Box<[u8]>;

struct Entry {
    /// `None` only when memory is part: deleted.
    value: Option<Box<[u8]>>,
    /// Not on disk yet; only kept while something is.
    unsaved: bool,
}

#[derive(Debug, PartialEq)]
enum Memory {
    /// Everything is in memory and nothing of use on disk.
    Whole,
    /// Everything is in memory, and on disk as well but for these keys, which may repeat.
    Saved(Vec<Key>),
    /// Only what changed since the last spill is in memory.
    Part,
}

/// Committed state in memory over disk.
pub struct LayeredBase {
    map: BTreeMap<Key, Entry>,
    memory: Memory,
    disk: Option<DiskStore>,
    /// Of the checkpoint found on disk, until somebody decides about it.
    found: Option<Mark>,
    /// While the disk is being read into memory: behind which key that goes on.
    loading: Option<Option<Key>>,
    fingerprint: Fingerprint,
    share: Share,
    bytes: usize,
    failed: Cell<bool>,
}

impl LayeredBase {
    /// Over what `disk` holds, if it fits `fingerprint`; `local` then says up to where.
    pub(super) fn open(disk: DiskStore, fingerprint: Fingerprint, share: Share) -> Self {
        let mut base = Self {
            map: BTreeMap::new(),
            memory: Memory::Whole,
            disk: Some(disk),
            found: None,
            loading: None,
            fingerprint,
            share,
            bytes: 0,
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

    fn put(&mut self, key: Vec<u8>, value: Vec<u8>) {
        use std::collections::btree_map::Entry as Place;
        let value = value.into_boxed_slice();
        match self.map.entry(key.into_boxed_slice()) {
            Place::Occupied(mut place) => {
                let entry = place.get_mut();
                self.bytes += value.len();
                self.bytes -= entry.value.as_ref().map_or(0, |old| old.len());
                entry.value = Some(value);
                if let Memory::Saved(unsaved) = &mut self.memory
                    && !entry.unsaved
                {
                    entry.unsaved = true;
                    let key = place.key().clone();
                    self.bytes += key.len() + KEY_BYTES;
                    unsaved.push(key);
                } else if self.memory == Memory::Part {
                    entry.unsaved = true;
                }
            }
            Place::Vacant(place) => {
                self.bytes += place.key().len() + value.len() + ENTRY_BYTES;
                let mut entry = Entry { value: Some(value), unsaved: false };
                match &mut self.memory {
                    Memory::Whole => {}
                    Memory::Saved(unsaved) => {
                        entry.unsaved = true;
                        self.bytes += place.key().len() + KEY_BYTES;
                        unsaved.push(place.key().clone());
                    }
                    Memory::Part => entry.unsaved = true,
                }
                place.insert(entry);
            }
        }
    }

    fn delete(&mut self, key: Vec<u8>) {
        if self.memory == Memory::Part {
            let key = key.into_boxed_slice();
            let added = key.len() + ENTRY_BYTES;
            match self.map.insert(key, Entry { value: None, unsaved: true }) {
                Some(old) => self.bytes -= old.value.map_or(0, |value| value.len()),
                None => self.bytes += added,
            }
            return;
        }
        let Some((key, old)) = self.map.remove_entry(key.as_slice()) else { return };
        self.bytes -= key.len() + old.value.map_or(0, |value| value.len()) + ENTRY_BYTES;
        if let Memory::Saved(unsaved) = &mut self.memory
            && !old.unsaved
        {
            self.bytes += key.len() + KEY_BYTES;
            unsaved.push(key);
        }
    }

    fn forget_memory(&mut self) {
        self.map.clear();
        self.bytes = 0;
        self.loading = None;
        self.share.update(0);
    }

    /// Writes what is not on disk, and the mark.
    fn save(&mut self, mark: Option<&Mark>) -> Result<()> {
        let Some(disk) = &self.disk else { return Ok(()) };
        let map = &self.map;
        match &mut self.memory {
            Memory::Whole => {
                let writes = map.iter().map(|(key, entry)| (&**key, entry.value.as_deref()));
                disk.write(writes, self.bytes, mark)?;
                self.memory = Memory::Saved(Vec::new());
            }
            Memory::Saved(unsaved) => {
                let remembered: usize = unsaved.iter().map(|key| key.len() + KEY_BYTES).sum();
                unsaved.sort_unstable();
                unsaved.dedup();
                let value = |key: &Key| map.get(key).and_then(|entry| entry.value.as_deref());
                let size = |key: &Key| key.len() + value(key).map_or(0, <[u8]>::len);
                let bytes = unsaved.iter().map(size).sum();
                disk.write(unsaved.iter().map(|key| (&**key, value(key))), bytes, mark)?;
                for key in unsaved.drain(..) {
                    if let Some(entry) = self.map.get_mut(&key) {
                        entry.unsaved = false;
                    }
                }
                unsaved.shrink_to(1024);
                self.bytes -= remembered;
            }
            Memory::Part => {
                let unsaved = || map.iter().filter(|(_, entry)| entry.unsaved);
                let bytes = unsaved().map(|(key, entry)| weight(key, entry) - ENTRY_BYTES).sum();
                let writes = unsaved().map(|(key, entry)| -> Write<'_> { (&**key, entry.value.as_deref()) });
                disk.write(writes, bytes, mark)?;
                self.map.values_mut().for_each(|entry| entry.unsaved = false);
            }
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
        let bytes = self.bytes;
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
        if let Memory::Saved(unsaved) = std::mem::replace(&mut self.memory, Memory::Whole) {
            self.bytes -= unsaved.iter().map(|key| key.len() + KEY_BYTES).sum::<usize>();
        }
        Ok(())
    }

    fn account(&mut self) -> Result<()> {
        if self.share.update(self.bytes) { self.spill() } else { Ok(()) }
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
        use std::collections::btree_map::Entry as Place;
        let (Some(disk), Some(loading)) = (&self.disk, &mut self.loading) else { return Ok(()) };
        let from = loading.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let mut last = None;
        let mut count = 0;
        for entry in disk.range(from, Bound::Unbounded).take(max) {
            let (key, value) = entry?;
            last = Some(Key::from(&*key));
            count += 1;
            if let Place::Vacant(place) = self.map.entry((*key).into()) {
                let entry = Entry { value: Some((*value).into()), unsaved: false };
                self.bytes += weight(place.key(), &entry);
                place.insert(entry);
            }
        }
        if count == max {
            *loading = last;
        } else {
            self.loading = None;
            self.become_whole();
        }
        self.account()
    }

    /// All that is on disk is in memory as well.
    fn become_whole(&mut self) {
        let mut unsaved = Vec::new();
        let bytes = &mut self.bytes;
        self.map.retain(|key, entry| {
            if entry.unsaved {
                *bytes += key.len() + KEY_BYTES;
                unsaved.push(key.clone());
            }
            if entry.value.is_none() {
                *bytes -= key.len() + ENTRY_BYTES;
            }
            entry.value.is_some()
        });
        self.memory = Memory::Saved(unsaved);
    }
}

fn weight(key: &Key, entry: &Entry) -> usize {
    key.len() + entry.value.as_ref().map_or(0, |value| value.len()) + ENTRY_BYTES
}

impl StateBase for LayeredBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match (self.map.get(key), &self.disk) {
            (Some(entry), _) => Ok(entry.value.as_ref().map(|value| value.to_vec())),
            (None, Some(disk)) if self.memory == Memory::Part => self.noted(disk.get(key)),
            (None, _) => Ok(None),
        }
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let mut recent = self.map.range::<[u8], _>((from, to)).peekable();
        if let (Some(disk), Memory::Part) = (&self.disk, &self.memory) {
            for entry in disk.range(from, to) {
                let (key, value) = self.noted(entry)?;
                let mut shadowed = false;
                while let Some((newer, entry)) = recent.next_if(|(newer, _)| ***newer <= *key) {
                    shadowed = **newer == *key;
                    if let Some(value) = &entry.value
                        && visit(newer, value).is_break()
                    {
                        return Ok(());
                    }
                }
                if !shadowed && visit(&key, &value).is_break() {
                    return Ok(());
                }
            }
        }
        for (key, entry) in recent {
            if let Some(value) = &entry.value
                && visit(key, value) == ControlFlow::Break(())
            {
                break;
            }
        }
        Ok(())
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<()> {
        if self.found.is_some() {
            self.discard_local("nobody asked for it");
        }
        for (key, value) in writes {
            match value {
                Some(value) => self.put(key, value),
                None => self.delete(key),
            }
        }
        self.account()
    }

    fn memory_bytes(&self) -> usize {
        self.bytes
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
