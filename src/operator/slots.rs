//! [`Slots`]: a typed cache over a store: entries by their byte key, probed without allocating.

use ahash::RandomState;
use hashbrown::HashTable;

/// Entries in order of insertion, found by key.
pub(super) struct Slots<E> {
    table: HashTable<u32>,
    hasher: RandomState,
    entries: Vec<(Box<[u8]>, E)>,
}

impl<E> Slots<E> {
    pub(super) fn new() -> Self {
        // Fixed seeds: order never depends on them, but then neither do timings.
        Self { table: HashTable::new(), hasher: RandomState::with_seeds(1, 2, 3, 4), entries: Vec::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let found = self.table.find(self.hasher.hash_one(key), |slot| *self.entries[*slot as usize].0 == *key);
        found.map(|slot| *slot as usize)
    }

    /// Adds an entry whose key is not there yet.
    pub(super) fn insert(&mut self, key: &[u8], entry: E) -> usize {
        let slot = self.entries.len();
        self.entries.push((key.into(), entry));
        let (hasher, entries) = (&self.hasher, &self.entries);
        self.table
            .insert_unique(hasher.hash_one(key), slot as u32, |slot| hasher.hash_one(&*entries[*slot as usize].0));
        slot
    }

    pub(super) fn key(&self, slot: usize) -> &[u8] {
        &self.entries[slot].0
    }

    pub(super) fn get(&self, slot: usize) -> &E {
        &self.entries[slot].1
    }

    pub(super) fn get_mut(&mut self, slot: usize) -> &mut E {
        &mut self.entries[slot].1
    }

    pub(super) fn clear(&mut self) {
        self.table.clear();
        self.entries.clear();
    }
}
