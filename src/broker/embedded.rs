//! A durable broker in a data directory: the shared log over fjall, a log-structured store in pure Rust.
//!
//! Each transaction is one atomic batch of chunks of records, offsets and epochs. By default a commit reaches the
//! operating system before it returns and the disk about a second later: a crash of the process loses nothing, a crash
//! of the machine at most the last second, and never a part of a transaction. [`EmbeddedOptions::sync`] waits for the
//! disk at every commit.
//!
//! **Invariant:** one process at a time opens a data directory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode};

use super::log::{Chunk, ChunkAt, Log, Storage, Stored, Write, broker_over_log, chunk};
use super::{Broker, CommittedOffset, Consumer, ConsumerOptions, Producer, ProducerOptions};
use super::{TopicInfo, TopicPartition, TopicSpec};
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};

/// Layout of keys and values; another number is refused.
const FORMAT: &[u8] = b"1";
/// How long a commit may stay with the operating system.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// How the embedded broker stores.
#[derive(Debug, Clone, Copy)]
pub struct EmbeddedOptions {
    /// Whether every commit waits for the disk.
    pub sync: bool,
    /// So many bytes of the newest records stay in memory.
    pub hot_bytes: u64,
    /// Size of the cache over what is read from disk.
    pub cache_bytes: u64,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { sync: false, hot_bytes: 128 << 20, cache_bytes: 32 << 20 }
    }
}

/// A durable broker. Clones are handles to the same log.
#[derive(Debug, Clone)]
pub struct EmbeddedBroker {
    log: Arc<Log>,
}

impl EmbeddedBroker {
    /// Opens the data directory, making it if there is none.
    pub fn open(dir: &Path, options: EmbeddedOptions) -> Result<Self> {
        let (disk, stored) = Disk::open(dir, options)?;
        Ok(Self { log: Log::durable("embedded", Box::new(disk), stored, options.hot_bytes)? })
    }

    /// Compacts the compacted topics now.
    pub fn compact(&self) -> Result<()> {
        self.log.compact()
    }
}

impl EmbeddedBroker {
    /// It is always there.
    #[expect(clippy::unused_self, clippy::unnecessary_wraps)]
    fn reach(&self) -> Result<()> {
        Ok(())
    }
}

impl Broker for EmbeddedBroker {
    broker_over_log!();

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>> {
        Ok(Box::new(self.log.consumer(options)))
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>> {
        Ok(Box::new(self.log.producer(options)?))
    }
}

/// The store: `meta` (topics, offsets, epochs), `index` (what chunks there are), `records` (the chunks).
struct Disk {
    database: Database,
    meta: Keyspace,
    index: Keyspace,
    records: Keyspace,
    mode: PersistMode,
    dirty: Arc<AtomicBool>,
    syncer: Option<(Sender<()>, JoinHandle<()>)>,
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk").field("mode", &self.mode).finish_non_exhaustive()
    }
}

fn storage_error(error: fjall::Error) -> Error {
    Error::new(ErrorKind::Storage, "the data directory failed").caused_by(error)
}

impl Disk {
    fn open(dir: &Path, options: EmbeddedOptions) -> Result<(Self, Stored)> {
        let shown = dir.display();
        let failed = |error: fjall::Error| match error {
            fjall::Error::Locked => {
                Error::new(ErrorKind::Conflict, format!("data directory {shown} is in use by another eddyline"))
                    .hint("Stop the other process, or give this one another directory with --data-dir.")
            }
            error => storage_error(error).context(format!("opening data directory {shown}")),
        };
        std::fs::create_dir_all(dir)
            .map_err(|error| Error::from(error).context(format!("creating data directory {shown}")))?;
        let database = Database::builder(dir).cache_size(options.cache_bytes).worker_threads(2).open();
        let database = database.map_err(failed)?;
        let plain = || KeyspaceCreateOptions::default().max_memtable_size(8 << 20);
        // Chunks are written once and read in one piece: kept out of the tree, so that it is never rewritten with them.
        let large = || {
            let separation = KvSeparationOptions::default().separation_threshold(1024);
            KeyspaceCreateOptions::default().max_memtable_size(32 << 20).with_kv_separation(Some(separation))
        };
        let meta = database.keyspace("meta", plain).map_err(failed)?;
        let index = database.keyspace("index", plain).map_err(failed)?;
        let records = database.keyspace("records", large).map_err(failed)?;
        match meta.get(b"format").map_err(failed)? {
            None => meta.insert(b"format", FORMAT).map_err(failed)?,
            Some(found) if *found == *FORMAT => {}
            Some(found) => {
                let found = String::from_utf8_lossy(&found).into_owned();
                return Err(Error::data(format!("data directory {shown} has format {found}"))
                    .hint("It was written by another version of eddyline."));
            }
        }
        let dirty = Arc::new(AtomicBool::new(false));
        let mode = if options.sync { PersistMode::SyncAll } else { PersistMode::Buffer };
        let syncer = (!options.sync).then(|| syncer(database.clone(), dirty.clone())).transpose()?;
        let disk = Self { database, meta, index, records, mode, dirty, syncer };
        let stored = disk.load()?;
        Ok((disk, stored))
    }

    fn load(&self) -> Result<Stored> {
        let mut stored = Stored::default();
        let damaged = || Error::data("damaged entry in the data directory");
        for entry in self.meta.iter() {
            let (key, value) = entry.into_inner().map_err(storage_error)?;
            match key.split_first() {
                Some((b't', id)) => {
                    let id = u32::from_be_bytes(id.try_into().map_err(|_| damaged())?);
                    stored.topics.push((id, topic_from(&value).ok_or_else(damaged)?));
                }
                Some((b'o', _)) => stored.offsets.push(offset_from(&key, &value).ok_or_else(damaged)?),
                Some((b'e', id)) => {
                    let epoch = u64::from_be_bytes(value[..].try_into().map_err(|_| damaged())?);
                    stored.epochs.push((text(id).ok_or_else(damaged)?, epoch));
                }
                _ => {}
            }
        }
        for entry in self.index.iter() {
            let (key, value) = entry.into_inner().map_err(storage_error)?;
            stored.chunks.push(chunk_from(&key, &value).ok_or_else(damaged)?);
        }
        Ok(stored)
    }
}

/// A thread that brings what was committed to the disk, about once a second.
fn syncer(database: Database, dirty: Arc<AtomicBool>) -> Result<(Sender<()>, JoinHandle<()>)> {
    let (stop, stopped) = channel();
    let run = move || {
        while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(SYNC_EVERY) {
            if dirty.swap(false, Ordering::Relaxed)
                && let Err(error) = database.persist(PersistMode::SyncAll)
            {
                tracing::error!(%error, "syncing the data directory failed");
            }
        }
    };
    let thread = std::thread::Builder::new().name("eddyline-sync".to_owned()).spawn(run)?;
    Ok((stop, thread))
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.syncer.take() {
            drop(stop);
            // It returns nothing; a panic of its own has been reported already.
            let _ = thread.join();
        }
        if let Err(error) = self.database.persist(PersistMode::SyncAll) {
            tracing::error!(%error, "syncing the data directory failed");
        }
    }
}

impl Storage for Disk {
    fn write(&self, writes: &[Write<'_>]) -> Result<()> {
        let mut batch = self.database.batch().durability(Some(self.mode));
        for write in writes {
            match write {
                Write::Topic(id, spec) => batch.insert(&self.meta, topic_key(*id), topic_value(spec)),
                Write::RemoveTopic(id) => {
                    batch.remove(&self.meta, topic_key(*id));
                    for entry in self.index.prefix(id.to_be_bytes()) {
                        let key = entry.key().map_err(storage_error)?;
                        batch.remove(&self.index, key.clone());
                        batch.remove(&self.records, key);
                    }
                }
                Write::Chunk(at, chunk, set) => {
                    batch.insert(&self.index, chunk_key(*at), chunk_value(chunk));
                    batch.insert(&self.records, chunk_key(*at), chunk::encode(set));
                }
                Write::RemoveChunk(at) => {
                    batch.remove(&self.index, chunk_key(*at));
                    batch.remove(&self.records, chunk_key(*at));
                }
                Write::Offset(group, offset) => {
                    batch.insert(&self.meta, offset_key(group, &offset.partition), offset_value(offset));
                }
                Write::RemoveOffset(group, partition) => batch.remove(&self.meta, offset_key(group, partition)),
                Write::Epoch(id, epoch) => {
                    batch.insert(&self.meta, [b"e", id.as_bytes()].concat(), epoch.to_be_bytes());
                }
            }
        }
        batch.commit().map_err(storage_error)?;
        self.dirty.store(true, Ordering::Relaxed);
        Ok(())
    }

    fn read(&self, topic: &Arc<str>, at: ChunkAt) -> Result<Option<RecordSet>> {
        let found = self.records.get(chunk_key(at)).map_err(storage_error)?;
        found.map(|bytes| chunk::decode(topic.clone(), at.partition, &bytes)).transpose()
    }
}

fn text(bytes: &[u8]) -> Option<String> {
    String::from_utf8(bytes.to_vec()).ok()
}

fn topic_key(id: u32) -> [u8; 5] {
    let mut key = [b't'; 5];
    key[1..].copy_from_slice(&id.to_be_bytes());
    key
}

fn topic_value(spec: &TopicSpec) -> Vec<u8> {
    let value = serde_json::json!({
        "name": spec.name, "partitions": spec.partitions, "replicas": spec.replicas, "config": spec.config,
    });
    value.to_string().into_bytes()
}

fn topic_from(bytes: &[u8]) -> Option<TopicSpec> {
    let mut value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    Some(TopicSpec {
        name: serde_json::from_value(value["name"].take()).ok()?,
        partitions: serde_json::from_value(value["partitions"].take()).ok()?,
        replicas: serde_json::from_value(value["replicas"].take()).ok()?,
        config: serde_json::from_value(value["config"].take()).ok()?,
    })
}

/// `o`, the length of the group's name, the group, the partition, the topic.
fn offset_key(group: &str, partition: &TopicPartition) -> Vec<u8> {
    let mut key = vec![b'o'];
    key.extend_from_slice(&(group.len() as u32).to_be_bytes());
    key.extend_from_slice(group.as_bytes());
    key.extend_from_slice(&partition.partition.to_be_bytes());
    key.extend_from_slice(partition.topic.as_bytes());
    key
}

fn offset_value(offset: &CommittedOffset) -> Vec<u8> {
    [&offset.offset.to_be_bytes(), offset.metadata.as_bytes()].concat()
}

fn offset_from(key: &[u8], value: &[u8]) -> Option<(String, CommittedOffset)> {
    let (len, rest) = key.get(1..)?.split_first_chunk::<4>()?;
    let (group, rest) = rest.split_at_checked(u32::from_be_bytes(*len) as usize)?;
    let (partition, topic) = rest.split_first_chunk::<4>()?;
    let (offset, metadata) = value.split_first_chunk::<8>()?;
    let partition = TopicPartition::new(text(topic)?, i32::from_be_bytes(*partition));
    let offset = CommittedOffset { partition, offset: i64::from_be_bytes(*offset), metadata: text(metadata)? };
    Some((text(group)?, offset))
}

fn chunk_key(at: ChunkAt) -> [u8; 16] {
    let mut key = [0; 16];
    key[..4].copy_from_slice(&at.topic.to_be_bytes());
    key[4..8].copy_from_slice(&at.partition.to_be_bytes());
    key[8..].copy_from_slice(&at.first.to_be_bytes());
    key
}

fn chunk_value(chunk: &Chunk) -> Vec<u8> {
    let fields = [chunk.next, chunk.newest, chunk.bytes as i64, chunk.records as i64];
    fields.iter().flat_map(|field| field.to_be_bytes()).collect()
}

fn chunk_from(key: &[u8], value: &[u8]) -> Option<(ChunkAt, Chunk)> {
    let (topic, rest) = key.split_first_chunk::<4>()?;
    let (partition, first) = rest.split_first_chunk::<4>()?;
    let at = ChunkAt {
        topic: u32::from_be_bytes(*topic),
        partition: i32::from_be_bytes(*partition),
        first: i64::from_be_bytes(first.try_into().ok()?),
    };
    let mut fields = value.as_chunks::<8>().0.iter().map(|bytes| i64::from_be_bytes(*bytes));
    let (next, newest, bytes, records) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let chunk = Chunk { first: at.first, next, newest, bytes: bytes as u64, records: records as u64, data: None };
    Some((at, chunk))
}
