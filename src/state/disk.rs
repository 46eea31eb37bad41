//! [`DiskStore`]: one store's content on disk, a keyspace of the slot's database ([`Generation`], on fjall).
//!
//! Large writes go straight into sorted tables and small ones through the journal; a mark is written last, or in the
//! same batch. So a mark on disk means that everything before its position is on disk, and perhaps more: which does no
//! harm, since whoever reads the changelog from that position on meets the newest write of each key again.
//!
//! **Invariant:** a mark names its keyspace's number, so it never speaks of another's content.

use std::ops::Bound;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode};

use super::dir::{StateDir, remove_dir};
use super::mark::Mark;
use super::store::{Listed, Writes};
use crate::error::{Error, ErrorKind, Result};

/// Smaller writes go through the journal.
const TABLE_BYTES: usize = 512 << 10;
/// Tables that lie over one another.
const LOOSE_TABLES_MAX: usize = 64;
/// What a keyspace's recent small writes may take in memory.
const MEMTABLE_BYTES: u64 = 1 << 20;
/// Keys that are looked up at once to be deleted.
const EMPTIED_KEYS: usize = 10_000;
const MARKS: &str = "marks";

/// An open database of a slot.
pub(super) struct Generation {
    path: PathBuf,
    database: Database,
    marks: Keyspace,
    unusable: AtomicBool,
}

impl std::fmt::Debug for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generation").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Generation {
    pub(super) fn open(path: &Path, cache_bytes: usize) -> Result<Arc<Self>> {
        std::fs::create_dir_all(path)?;
        let open = || {
            let database = Database::builder(path)
                .cache_size(cache_bytes as u64)
                .worker_threads(1)
                .max_journaling_size(64 << 20)
                .open()?;
            let marks = database.keyspace(MARKS, keyspace_options)?;
            Ok((database, marks))
        };
        // A damaged file must not end the process: what is in it can be had again.
        let opened = catch_unwind(AssertUnwindSafe(open));
        let (database, marks) = opened.map_err(|_| Error::data("the state directory is damaged"))?.map_err(failed)?;
        Ok(Arc::new(Self { path: path.to_owned(), database, marks, unusable: AtomicBool::new(false) }))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn is_unusable(&self) -> bool {
        self.unusable.load(Ordering::Relaxed)
    }

    /// Nothing in it will be used again.
    pub(super) fn condemn(&self) {
        self.unusable.store(true, Ordering::Relaxed);
    }

    /// Names of the stores in it.
    pub(super) fn keyspaces(&self) -> Vec<String> {
        let names = self.database.list_keyspace_names();
        names.iter().map(|name| name.to_string()).filter(|name| name != MARKS).collect()
    }

    /// A store's last checkpoint, unless it is of another version.
    pub(super) fn marked(&self, name: &str) -> Option<Mark> {
        self.marks.get(name).ok().flatten().and_then(|bytes| Mark::decode(&bytes))
    }

    /// Deletes a store, its mark first.
    pub(super) fn remove(&self, name: &str) -> Result<()> {
        let removed = self.unmark(name).and_then(|()| {
            let keyspace = self.database.keyspace(name, keyspace_options).map_err(failed)?;
            // What the journal holds of a keyspace can come back in the next one of its name: so it ends with deletions.
            empty(&keyspace).map_err(failed)?;
            self.database.persist(PersistMode::Buffer).map_err(failed)?;
            self.database.delete_keyspace(keyspace).map_err(failed)
        });
        removed.inspect_err(|_| self.condemn())
    }

    fn unmark(&self, name: &str) -> Result<()> {
        self.marks.remove(name).map_err(failed)?;
        self.database.persist(PersistMode::SyncData).map_err(failed)
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        if self.is_unusable() {
            remove_dir(&self.path);
        }
    }
}

/// Deletes every key.
fn empty(keyspace: &Keyspace) -> fjall::Result<()> {
    let mut last: Option<fjall::Slice> = None;
    loop {
        let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        let some = keyspace.range::<&[u8], _>((from, Bound::Unbounded)).take(EMPTIED_KEYS);
        let keys = some.map(|entry| Ok(entry.into_inner()?.0)).collect::<fjall::Result<Vec<_>>>()?;
        for key in &keys {
            keyspace.remove(key.clone())?;
        }
        match keys.into_iter().next_back() {
            Some(key) => last = Some(key),
            None => return Ok(()),
        }
    }
}

fn keyspace_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(MEMTABLE_BYTES)
}

fn failed(error: fjall::Error) -> Error {
    Error::new(ErrorKind::Storage, "the state directory failed").caused_by(error)
}

/// One store's content on disk.
#[derive(Debug)]
pub(super) struct DiskStore {
    dir: Arc<StateDir>,
    generation: Arc<Generation>,
    name: String,
    data: Data,
}

struct Data(Keyspace);

impl std::fmt::Debug for Data {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyspace")
    }
}

impl DiskStore {
    pub(super) fn open(dir: Arc<StateDir>, generation: Arc<Generation>, name: String) -> Result<Self> {
        let data = Data(generation.database.keyspace(&name, keyspace_options).map_err(failed)?);
        Ok(Self { dir, generation, name, data })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Number of the keyspace.
    pub(super) fn number(&self) -> u64 {
        self.data.0.id()
    }

    /// The last checkpoint, unless it is of another version or keyspace.
    pub(super) fn mark(&self) -> Result<Option<Mark>> {
        let bytes = self.generation.marks.get(&self.name).map_err(failed)?;
        Ok(bytes.and_then(|bytes| Mark::decode(&bytes)).filter(|mark| mark.keyspace == self.number()))
    }

    /// About how many entries it has, and bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.data.0.approximate_len(), self.data.0.disk_space() as usize)
    }

    pub(super) fn is_empty(&self) -> Result<bool> {
        self.data.0.is_empty().map_err(failed)
    }

    /// About how many keys it holds: deletions and repeated writes count until they are compacted.
    pub(super) fn rows(&self) -> usize {
        self.data.0.approximate_len()
    }

    /// Size of its tables.
    pub(super) fn bytes(&self) -> u64 {
        self.data.0.disk_space()
    }

    pub(super) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.data.0.get(key).map_err(failed)?.map(|value| value.to_vec()))
    }

    /// Keys and values in order.
    pub(super) fn range(
        &self,
        from: Bound<&[u8]>,
        to: Bound<&[u8]>,
    ) -> impl Iterator<Item = Result<(fjall::Slice, fjall::Slice)>> {
        self.data.0.range::<&[u8], _>((from, to)).map(|entry| entry.into_inner().map_err(failed))
    }

    /// Writes, which are in order of their keys, of about so many bytes; then the mark.
    pub(super) fn write(&self, writes: &mut dyn Writes, bytes: usize, mark: Option<&Mark>) -> Result<()> {
        if self.generation.is_unusable() {
            return Err(Error::new(ErrorKind::Storage, "the state directory failed before"));
        }
        let written =
            if bytes >= TABLE_BYTES { self.write_tables(writes, mark) } else { self.write_batch(writes, mark) };
        written.map_err(failed)
    }

    fn write_tables(&self, writes: &mut dyn Writes, mark: Option<&Mark>) -> fjall::Result<()> {
        let mut tables = self.data.0.start_ingestion()?;
        while let Some((key, value)) = writes.next_write() {
            match value {
                Some(value) => tables.write(key, value)?,
                None => tables.write_tombstone(key)?,
            }
        }
        tables.finish()?;
        // Each of them is asked by every read: when the background lags far behind, the writer does its work.
        if self.data.0.l0_table_count() >= LOOSE_TABLES_MAX {
            self.data.0.major_compact()?;
        }
        match mark {
            Some(_) => self.write_batch(&mut Listed(&mut std::iter::empty()), mark),
            None => Ok(()),
        }
    }

    fn write_batch(&self, writes: &mut dyn Writes, mark: Option<&Mark>) -> fjall::Result<()> {
        let mut batch = self.generation.database.batch().durability(Some(PersistMode::Buffer));
        while let Some((key, value)) = writes.next_write() {
            match value {
                Some(value) => batch.insert(&self.data.0, key, value),
                None => batch.remove(&self.data.0, key),
            }
        }
        if let Some(mark) = mark {
            batch.insert(&self.generation.marks, self.name.as_bytes(), mark.encode());
        }
        batch.commit()
    }

    /// Throws the content away; the store is empty after it.
    pub(super) fn clear(&mut self) -> Result<()> {
        self.generation.remove(&self.name)?;
        self.data = Data(self.generation.database.keyspace(&self.name, keyspace_options).map_err(failed)?);
        Ok(())
    }

    /// The disk failed: the content will not be used again.
    pub(super) fn abandon(&self) {
        // What cannot even be removed takes the whole database with it.
        if let Err(error) = self.generation.remove(&self.name) {
            tracing::warn!(store = self.name, %error, "local store cannot be removed");
        }
    }
}

impl Drop for DiskStore {
    fn drop(&mut self) {
        self.dir.give_back(&self.name);
    }
}
