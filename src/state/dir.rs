//! [`StateDir`]: the folder where a process keeps its local stores.
//!
//! `<root>/<service>/<slot>/`: a process takes the first slot whose `lock` nobody holds, and with it the slot's
//! `instance` id and its database `db-<n>`. A database that fails is abandoned for the next number: everything in it can
//! be read again from changelogs.
//!
//! **Invariant:** one process at a time has a slot, one store at a time has a keyspace of its database.

use std::collections::BTreeSet;
use std::fs::{self, File, TryLockError};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::disk::{DiskStore, Generation};
use crate::error::{Error, ErrorKind, Result};

/// Slots of one service that are tried.
const SLOTS: usize = 1024;

/// A process's folder of local stores.
#[derive(Debug)]
pub struct StateDir {
    path: PathBuf,
    instance: String,
    /// Held as long as the process has the slot.
    _lock: File,
    /// Size of the cache over what is read from disk.
    cache_bytes: AtomicUsize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    generation: Option<Arc<Generation>>,
    next: u64,
    leased: BTreeSet<String>,
}

/// Whose a local store is.
#[derive(Debug, Clone, Copy)]
pub struct StoreId<'a> {
    /// The query.
    pub query: &'a str,
    /// The sub-topology.
    pub sub_topology: usize,
    /// The partition.
    pub partition: i32,
    /// The store's name.
    pub store: &'a str,
}

impl StateDir {
    /// Takes a free slot of the service under `root`, making what is not there.
    pub fn open(root: &Path, service_id: &str) -> Result<Arc<Self>> {
        let service = root.join(file_name(service_id));
        let failed = |path: &Path, error: std::io::Error| {
            Error::from(error).context(format!("state directory {}", path.display()))
        };
        for slot in 0..SLOTS {
            let path = service.join(slot.to_string());
            fs::create_dir_all(&path).map_err(|error| failed(&path, error))?;
            let lock = File::options().create(true).append(true).open(path.join("lock"));
            let lock = lock.map_err(|error| failed(&path, error))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(failed(&path, error)),
            }
            let instance = instance_of(&path).map_err(|error| failed(&path, error))?;
            let next = generations(&path).into_iter().max().unwrap_or(0);
            let inner = Inner { generation: None, next, leased: BTreeSet::new() };
            return Ok(Arc::new(Self {
                path,
                instance,
                _lock: lock,
                cache_bytes: AtomicUsize::new(8 << 20),
                inner: Mutex::new(inner),
            }));
        }
        Err(Error::new(ErrorKind::Conflict, format!("all slots of {} are in use", service.display()))
            .hint("Give this process another state.dir."))
    }

    /// A random name that stays with the slot.
    pub fn instance_id(&self) -> &str {
        &self.instance
    }

    /// The slot's folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A place for a store's content: what an earlier process left there, or empty. Errors are the disk's.
    pub(super) fn lease(self: &Arc<Self>, id: StoreId<'_>) -> Result<DiskStore> {
        let mut inner = self.inner();
        let generation = self.generation(&mut inner)?;
        // A worker that has not heard yet that its partition is gone may hold the first name. Each has a mark of its
        // own, so any will do: of those that are free the one that knows most, the others are of no use any more.
        let base = keyspace_name(id, 0);
        let is_ours =
            |name: &String| name.strip_prefix(&base).is_some_and(|rest| rest.is_empty() || rest.starts_with('#'));
        let mut kept = generation.keyspaces();
        kept.retain(|name| is_ours(name) && !inner.leased.contains(name));
        kept.sort_by_cached_key(|name| generation.marked(name).map_or(-1, |mark| mark.position.offset));
        let best = kept.pop();
        for other in kept {
            generation.remove(&other)?;
        }
        let mut numbers = (0..).map(|number| keyspace_name(id, number));
        let name = best.or_else(|| numbers.find(|name| !inner.leased.contains(name)));
        let name = name.ok_or_else(|| Error::internal("no name for a local store"))?;
        let store = DiskStore::open(self.clone(), generation, name.clone())?;
        inner.leased.insert(name);
        Ok(store)
    }

    /// How much of what is read from disk is kept; before the first store.
    pub(super) fn set_cache(&self, bytes: usize) {
        self.cache_bytes.store(bytes, Ordering::Relaxed);
    }

    pub(super) fn give_back(&self, name: &str) {
        self.inner().leased.remove(name);
    }

    /// As a full disk does.
    #[cfg(test)]
    pub(super) fn fail(&self) {
        self.inner().generation.as_ref().expect("in use").condemn();
    }

    /// The query is gone: so is what it kept here.
    pub fn remove_query(&self, query: &str) {
        self.retain_queries(&|other| other != query);
    }

    /// Deletes what queries kept here that are not among `keep`.
    pub fn retain_queries(&self, keep: &dyn Fn(&str) -> bool) {
        let mut inner = self.inner();
        let there = inner.generation.is_some() || !generations(&self.path).is_empty();
        let Some(generation) = there.then(|| self.generation(&mut inner).ok()).flatten() else { return };
        let gone = generation.keyspaces().into_iter().filter(|name| {
            let query = name.split_once('/').map_or("", |(query, _)| query);
            !inner.leased.contains(name) && !query.is_empty() && !keep(query)
        });
        for name in gone.collect::<Vec<_>>() {
            if let Err(error) = generation.remove(&name) {
                tracing::warn!(store = name, %error, "local store left behind");
            }
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The database in use; a new one when the last one failed or cannot be opened.
    fn generation(&self, inner: &mut Inner) -> Result<Arc<Generation>> {
        if let Some(generation) = inner.generation.take_if(|generation| generation.is_unusable()) {
            tracing::warn!(path = %generation.path().display(), "local stores failed and are thrown away");
            inner.next += 1;
        }
        if let Some(generation) = &inner.generation {
            return Ok(generation.clone());
        }
        for number in generations(&self.path).into_iter().filter(|number| *number != inner.next) {
            remove_dir(&self.generation_path(number));
        }
        let path = self.generation_path(inner.next);
        let cache_bytes = self.cache_bytes.load(Ordering::Relaxed);
        let generation = match Generation::open(&path, cache_bytes) {
            Ok(generation) => generation,
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "local stores cannot be opened and are thrown away");
                remove_dir(&path);
                inner.next += 1;
                Generation::open(&self.generation_path(inner.next), cache_bytes)?
            }
        };
        inner.generation = Some(generation.clone());
        Ok(generation)
    }

    fn generation_path(&self, number: u64) -> PathBuf {
        self.path.join(format!("db-{number}"))
    }
}

/// Numbers of the databases in a slot.
fn generations(slot: &Path) -> Vec<u64> {
    let Ok(entries) = fs::read_dir(slot) else { return Vec::new() };
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_prefix("db-")?.parse().ok();
    let mut numbers: Vec<u64> = entries.filter_map(|entry| name(entry.ok()?)).collect();
    numbers.sort_unstable();
    numbers
}

pub(super) fn remove_dir(path: &Path) {
    if let Err(error) = fs::remove_dir_all(path)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), %error, "folder left behind");
    }
}

/// The slot's instance id, made on first use.
fn instance_of(slot: &Path) -> std::io::Result<String> {
    let path = slot.join("instance");
    if let Ok(text) = fs::read_to_string(&path)
        && text.len() == 32
        && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    {
        return Ok(text);
    }
    let id = random_id();
    let fresh = slot.join("instance.new");
    let mut file = File::create(&fresh)?;
    file.write_all(id.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, &path)?;
    Ok(id)
}

/// A random name: 32 hexadecimal digits.
pub(super) fn random_id() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

/// A name as one part of a path.
fn file_name(name: &str) -> String {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let escape = |c: char| if legal(c) { c.to_string() } else { format!("%{:x}", c as u32) };
    name.chars().map(escape).collect()
}

/// `<query>/<sub-topology>-<partition>-<store>`, and a number when that is taken. Queries' names have no slash.
fn keyspace_name(id: StoreId<'_>, number: usize) -> String {
    let StoreId { query, sub_topology, partition, store } = id;
    let name = format!("{query}/{sub_topology}-{partition}-{store}");
    if number == 0 { name } else { format!("{name}#{number}") }
}
