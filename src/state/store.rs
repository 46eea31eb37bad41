//! [`StateStore`]: what operators read and write: a write cache over a [`StateBase`].

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};

use super::mark::Position;
use crate::error::Result;

/// Is shown keys and values in order, and says whether to go on.
pub type Visit<'a> = dyn FnMut(&[u8], &[u8]) -> ControlFlow<()> + 'a;

/// Committed state: ordered bytes.
pub trait StateBase: Send {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>>;
    /// Visits keys in byte order until told to stop.
    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()>;
    /// Applies writes (`None` deletes) as one.
    fn apply(&mut self, writes: &mut dyn Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<()>;
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
    cache: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl StateStore {
    /// A store over committed state.
    pub fn new(name: impl Into<String>, base: Box<dyn StateBase>) -> Self {
        Self { name: name.into(), base, cache: BTreeMap::new() }
    }

    /// Its name within the query.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of a key, uncommitted writes included.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        match self.cache.get(key) {
            Some(value) => Ok(value.clone()),
            None => self.base.get(key),
        }
    }

    /// Writes a key.
    pub fn put(&mut self, key: &[u8], value: &[u8]) {
        self.cache.insert(key.to_vec(), Some(value.to_vec()));
    }

    /// Writes a key without copying.
    pub fn put_owned(&mut self, key: Vec<u8>, value: Vec<u8>) {
        self.cache.insert(key, Some(value));
    }

    /// Deletes a key.
    pub fn delete(&mut self, key: &[u8]) {
        self.cache.insert(key.to_vec(), None);
    }

    /// Visits keys in byte order until told to stop, uncommitted writes included.
    pub fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        if is_empty(from, to) {
            return Ok(());
        }
        let mut cached = self.cache.range::<[u8], _>((from, to)).peekable();
        let mut stopped = false;
        self.base.range(from, to, &mut |key, value| {
            while let Some((cached_key, _)) = cached.peek() {
                if cached_key.as_slice() > key {
                    break;
                }
                let (cached_key, cached_value) = cached.next().expect("peeked");
                let shadows = cached_key.as_slice() == key;
                if let Some(cached_value) = cached_value
                    && visit(cached_key, cached_value).is_break()
                {
                    stopped = true;
                    return ControlFlow::Break(());
                }
                if shadows {
                    return ControlFlow::Continue(());
                }
            }
            let flow = visit(key, value);
            stopped = flow.is_break();
            flow
        })?;
        if !stopped {
            for (key, value) in cached {
                if let Some(value) = value
                    && visit(key, value).is_break()
                {
                    break;
                }
            }
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
    pub fn delta(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        self.cache.iter().map(|(key, value)| (key.as_slice(), value.as_deref()))
    }

    /// Whether anything is uncommitted.
    pub fn is_dirty(&self) -> bool {
        !self.cache.is_empty()
    }

    /// The broker committed the epoch: the writes become the base's.
    pub fn commit(&mut self) -> Result<()> {
        let cache = std::mem::take(&mut self.cache);
        self.base.apply(&mut cache.into_iter())
    }

    /// A committed write read back from the changelog.
    pub fn restore(&mut self, writes: &mut dyn Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<()> {
        self.base.apply(writes)
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
        let cached: usize = self.cache.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum();
        self.base.memory_bytes() + cached
    }
}

/// `BTreeMap::range` panics on these.
fn is_empty(from: Bound<&[u8]>, to: Bound<&[u8]>) -> bool {
    match (from, to) {
        (Bound::Included(from), Bound::Included(to)) => from > to,
        (Bound::Included(from) | Bound::Excluded(from), Bound::Excluded(to))
        | (Bound::Excluded(from), Bound::Included(to)) => from >= to,
        _ => false,
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
        assert_eq!(store.delta().count(), 4);
    }
}
