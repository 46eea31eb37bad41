//! [`StateStore`]: what operators read and write: a write cache over a [`StateBase`].

use std::ops::{Bound, ControlFlow};

use super::mark::Position;
use super::packed::PackedMap;
use crate::error::Result;

/// Is shown keys and values in order, and says whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// A key and its value, or that it is deleted.
pub type Write<'a> = (&'a [u8], Option<&'a [u8]>);

/// Writes one after the other, each of which is only there until the next.
pub trait Writes {
    /// The next one.
    fn next_write(&mut self) -> Option<Write<'_>>;
}

/// Writes that are there longer than that.
pub struct Listed<'i, 'w>(pub &'i mut dyn Iterator<Item = Write<'w>>);

impl Writes for Listed<'_, '_> {
    fn next_write(&mut self) -> Option<Write<'_>> {
        self.0.next()
    }
}

/// Committed state: ordered bytes.
pub trait StateBase: Send {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// Visits keys in byte order until told to stop.
    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()>;
    /// Applies writes as one.
    fn apply(&mut self, writes: &mut dyn Writes) -> Result<()>;
    /// Rough memory held, in bytes.
    fn memory_bytes(&self) -> usize;
    /// About how many keys there are, for people.
    fn rows(&self) -> usize;
    /// Rough size of what is on the local disk.
    fn disk_bytes(&self) -> u64 {
        0
    }

    /// How far a checkpoint that an earlier process left on the local disk goes, while nobody decided about it: either
    /// it is accepted, or discarded.
    fn local(&self) -> Option<Position> {
        None
    }
    /// The local checkpoint is the store's content.
    fn accept_local(&mut self) {}
    /// Throws away what is on the local disk and in memory.
    fn discard_local(&mut self, _why: &str) {}
    /// Makes the local disk hold everything, as of a place in the changelog. A disk that fails is given up; that is an
    /// error only when memory alone is not enough.
    fn checkpoint(&mut self, _position: &Position) -> Result<()> {
        Ok(())
    }
    /// Housekeeping between commits: gives memory back if the process's budget asks for it, or goes on taking an
    /// accepted checkpoint into memory.
    fn relieve(&mut self) -> Result<()> {
        Ok(())
    }
    /// Whether checkpoints go anywhere.
    fn keeps_checkpoints(&self) -> bool {
        false
    }
}

/// A named store of one task.
pub struct StateStore {
    name: String,
    base: Box<dyn StateBase>,
    cache: PackedMap,
}

impl StateStore {
    /// A store over committed state.
    pub fn new(name: impl Into<String>, base: Box<dyn StateBase>) -> Self {
        Self { name: name.into(), base, cache: PackedMap::passing() }
    }

    /// Its name within the query.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key, uncommitted writes included.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.cache.get(key) {
            Some(value) => Ok(value),
            None => self.base.get(key),
        }
    }

    /// Writes a key.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.cache.insert(key, Some(value), false);
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: &[u8]) {
        self.cache.insert(key, None, false);
    }

    /// Visits keys in byte order until told to stop, uncommitted writes included.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let mut cached = self.cache.range(from, to);
        let mut stopped = false;
        self.base.range(from, to, &mut |key, value| {
            while let Some(newer) = cached.peek() {
                if newer.key > key {
                    break;
                }
                let shadows = newer.key == key;
                stopped = newer.value.is_some_and(|value| visit(newer.key, value).is_break());
                if stopped {
                    return ControlFlow::Break(());
                }
                cached.skip();
                if shadows {
                    return ControlFlow::Continue(());
                }
            }
            let flow = visit(key, value);
            stopped = flow.is_break();
            flow
        })?;
        while !stopped && let Some(newer) = cached.next() {
            stopped = newer.value.is_some_and(|value| visit(newer.key, value).is_break());
        }
        Ok(())
    }

    /// Visits all keys that start with `prefix`.
    pub fn prefix(&self, prefix: &[u8], visit: &mut Visit<'_>) -> Result<()> {
        self.range(Bound::Included(prefix), Bound::Unbounded, &mut |key, value| {
            if key.starts_with(prefix) { visit(key, value) } else { ControlFlow::Break(()) }
        })
    }

    /// The uncommitted writes in key order: what the changelog gets.
    pub fn delta(&self) -> impl Writes {
        self.cache.iter()
    }

    /// Whether anything is uncommitted.
    pub fn is_dirty(&self) -> bool {
        !self.cache.is_empty()
    }

    /// The broker committed the epoch: the writes become the base's.
    pub fn commit(&mut self) -> Result<()> {
        self.base.apply(&mut self.cache.iter())?;
        self.cache.clear();
        Ok(())
    }

    /// Committed writes read back from the changelog.
    pub fn restore<'w>(&mut self, writes: &mut dyn Iterator<Item = Write<'w>>) -> Result<()> {
        self.base.apply(&mut Listed(writes))
    }

    /// See [`StateBase::local`].
    pub fn local(&self) -> Option<Position> {
        self.base.local()
    }

    /// See [`StateBase::accept_local`].
    pub fn accept_local(&mut self) {
        self.base.accept_local();
    }

    /// See [`StateBase::discard_local`].
    pub fn discard_local(&mut self, why: &str) {
        self.base.discard_local(why);
    }

    /// See [`StateBase::checkpoint`]; uncommitted writes are no part of it.
    pub fn checkpoint(&mut self, position: &Position) -> Result<()> {
        self.base.checkpoint(position)
    }

    /// See [`StateBase::relieve`].
    pub fn relieve(&mut self) -> Result<()> {
        self.base.relieve()
    }

    /// Whether checkpoints go anywhere.
    pub fn keeps_checkpoints(&self) -> bool {
        self.base.keeps_checkpoints()
    }

    /// See [`StateBase::rows`].
    pub fn rows(&self) -> usize {
        self.base.rows()
    }

    /// See [`StateBase::disk_bytes`].
    pub fn disk_bytes(&self) -> u64 {
        self.base.disk_bytes()
    }

    /// Rough memory held, in bytes.
    pub fn memory_bytes(&self) -> usize {
        self.base.memory_bytes() + self.cache.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryBase;

    fn all(store: &StateStore, from: Bound<&[u8]>, to: Bound<&[u8]>) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut found = Vec::new();
        store
            .range(from, to, &mut |key, value| {
                found.push((text(key), text(value)));
                ControlFlow::Continue(())
            })
            .expect("memory");
        found
    }

    #[test]
    fn cache_shadows_base_in_order() {
        let mut store = StateStore::new("s", Box::new(MemoryBase::default()));
        for key in ["b", "d", "f"] {
            store.put(key.as_bytes(), b"old");
        }
        store.commit().expect("memory");
        store.put(b"a", b"new");
        store.put(b"d", b"new");
        store.delete(b"f");
        store.put(b"g", b"new");
        let found = all(&store, Bound::Unbounded, Bound::Unbounded);
        let expected = [("a", "new"), ("b", "old"), ("d", "new"), ("g", "new")];
        assert_eq!(found, expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(all(&store, Bound::Excluded(b"a"), Bound::Excluded(b"d")), [("b".to_owned(), "old".to_owned())]);
        assert_eq!(all(&store, Bound::Excluded(b"d"), Bound::Excluded(b"d")), []);
        assert_eq!(store.get(b"f").expect("memory"), None);
        let (mut delta, mut keys) = (store.delta(), Vec::new());
        while let Some((key, value)) = delta.next_write() {
            keys.push((key.to_vec(), value.is_some()));
        }
        assert_eq!(keys, [(b"a".to_vec(), true), (b"d".to_vec(), true), (b"f".to_vec(), false), (b"g".to_vec(), true)]);
    }
}
