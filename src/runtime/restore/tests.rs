//! Tests of restoring on the memory broker.

use std::path::Path;
use std::sync::atomic::AtomicI64;

use super::*;
use crate::broker::memory::MemoryBroker;
use crate::broker::{CommittedOffset, OutRecord, Producer, ProducerOptions, TopicInfo, TopicSpec};
use crate::state::{Fingerprint, StateDir, StateEnv, StoreId};
use crate::time::ManualClock;

const CHANGELOG: &str = "q-Aggregate-changelog";

/// The memory broker with an end of its own for `read_committed` readers: behind it a transaction is open.
#[derive(Debug)]
struct Held {
    inner: MemoryBroker,
    readable: AtomicI64,
}

impl Broker for Held {
    fn name(&self) -> String {
        self.inner.name()
    }
    fn create_topic(&self, spec: &TopicSpec) -> Result<()> {
        self.inner.create_topic(spec)
    }
    fn delete_topic(&self, name: &str) -> Result<()> {
        self.inner.delete_topic(name)
    }
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        self.inner.topic(name)
    }
    fn topics(&self) -> Result<Vec<TopicInfo>> {
        self.inner.topics()
    }
    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>> {
        self.inner.consumer(options)
    }
    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>> {
        self.inner.producer(options)
    }
    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        self.inner.committed(group, partitions)
    }
    fn delete_group(&self, group: &str) -> Result<()> {
        self.inner.delete_group(group)
    }
    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64)> {
        let (start, end) = self.inner.offsets(partition)?;
        Ok((start, end.min(self.readable.load(Ordering::Relaxed))))
    }
    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64> {
        Ok(self.inner.offsets(partition)?.1)
    }
    fn purge(&self, before: &[(TopicPartition, i64)]) -> Result<()> {
        self.inner.purge(before)
    }
    fn incarnation(&self, topic: &str) -> Result<String> {
        self.inner.incarnation(topic)
    }
}

struct World {
    held: Arc<Held>,
    broker: Arc<dyn Broker>,
    manual: Arc<ManualClock>,
    clock: Arc<dyn Clock>,
    metrics: Arc<QueryMetrics>,
    changelog: TopicPartition,
}

impl World {
    fn new() -> Self {
        let held = Arc::new(Held { inner: MemoryBroker::new(), readable: AtomicI64::new(i64::MAX) });
        let manual = ManualClock::new(1_000_000);
        let world = Self {
            broker: held.clone(),
            held,
            clock: manual.clone(),
            manual,
            metrics: Arc::new(QueryMetrics::new(1)),
            changelog: changelog_partition(CHANGELOG, 0),
        };
        world.create();
        world
    }

    fn create(&self) {
        let spec = TopicSpec { name: CHANGELOG.into(), partitions: 1, replicas: None, config: Vec::new() };
        self.broker.create_topic(&spec).expect("created");
    }

    /// Appends `key = value` records, as one epoch.
    fn write(&self, keys: std::ops::Range<u32>, value: &str) {
        let options =
            ProducerOptions { transactional_id: Some("w".into()), client_id: "w".into(), ..ProducerOptions::default() };
        let mut producer = self.broker.producer(&options).expect("a producer");
        producer.begin().expect("begun");
        for key in keys {
            let (key, value) = (key.to_be_bytes(), Some(value.as_bytes()));
            let record =
                OutRecord { topic: CHANGELOG, partition: 0, key: Some(&key), value, timestamp: 0, headers: &[] };
            producer.send(record).expect("sent");
        }
        producer.commit(&[], None).expect("committed");
    }

    fn begin(&self, store: &mut StateStore) -> Restore {
        Restore::begin(&self.broker, &self.clock, &self.metrics, self.changelog.clone(), store).expect("begun")
    }

    fn restore(&self, store: &mut StateStore) -> u64 {
        restore(&self.broker, &self.clock, &self.metrics, self.changelog.clone(), store).expect("restored")
    }

    fn position(&self) -> Position {
        let offset = self.broker.offsets(&self.changelog).expect("there").1;
        let incarnation = self.broker.incarnation(CHANGELOG).expect("there");
        Position { offset, at_ms: self.clock.now_ms(), incarnation }
    }
}

fn env(root: &Path) -> StateEnv {
    StateEnv::on_disk(StateDir::open(root, "svc").expect("a slot"), 64 << 20, 1)
}

fn store(env: &StateEnv) -> StateStore {
    let id = StoreId { query: "q", sub_topology: 0, partition: 0, store: "Aggregate" };
    env.store(id, Fingerprint::of(&[]))
}

fn value(store: &StateStore, key: u32) -> Option<String> {
    let found = store.get(&key.to_be_bytes()).expect("readable");
    found.map(|bytes| String::from_utf8(bytes).expect("text"))
}

#[test]
fn with_its_disk_only_the_tail_is_read() {
    let root = tempfile::tempdir().expect("a folder");
    let (world, env) = (World::new(), env(root.path()));
    world.write(0..1000, "a");
    let mut first = store(&env);
    assert_eq!(world.restore(&mut first), 1000);
    first.checkpoint(&world.position()).expect("saved");
    world.write(0..10, "b");
    drop(first);

    let mut second = store(&env);
    assert_eq!(world.restore(&mut second), 10);
    assert_eq!([9, 10, 999].map(|key| value(&second, key).expect("there")), ["b", "a", "a"]);
    second.checkpoint(&world.position()).expect("saved");
    drop(second);
    assert_eq!(world.restore(&mut store(&env)), 0);
    assert_eq!(world.metrics.restored.load(Ordering::Relaxed), 1010);
    assert_eq!(world.metrics.restore_remaining.load(Ordering::Relaxed), 0);

    // Without the disk: everything.
    drop(env);
    std::fs::remove_dir_all(root.path().join("svc")).expect("removed");
    assert_eq!(world.restore(&mut store(&self::env(root.path()))), 1010);
}

#[test]
fn checkpoints_that_do_not_fit_the_changelog_are_thrown_away() {
    let root = tempfile::tempdir().expect("a folder");
    let (world, env) = (World::new(), env(root.path()));
    world.write(0..100, "a");
    let mut saved = store(&env);
    world.restore(&mut saved);
    let good = world.position();
    let wrong = [
        Position { offset: 101, ..good.clone() },
        Position { incarnation: "another".into(), ..good.clone() },
        Position { at_ms: good.at_ms - LOCAL_AGE_MAX_MS - 1, ..good.clone() },
    ];
    for position in wrong {
        saved.checkpoint(&position).expect("saved");
        drop(saved);
        saved = store(&env);
        assert_eq!(world.restore(&mut saved), 100, "{position:?}");
    }
    saved.checkpoint(&good).expect("saved");
    drop(saved);
    saved = store(&env);
    assert_eq!(world.restore(&mut saved), 0);
    saved.checkpoint(&world.position()).expect("saved");
    drop(saved);

    // The changelog was deleted and made again, and is long enough.
    world.broker.delete_topic(CHANGELOG).expect("deleted");
    world.create();
    world.write(1000..1200, "new");
    saved = store(&env);
    assert_eq!(world.restore(&mut saved), 200);
    assert_eq!((value(&saved, 5), value(&saved, 1000)), (None, Some("new".into())));

    // It was purged behind the checkpoint's back.
    saved.checkpoint(&Position { offset: 100, ..world.position() }).expect("saved");
    drop(saved);
    world.write(0..1, "newest");
    world.broker.purge(&[(world.changelog.clone(), 200)]).expect("purged");
    saved = store(&env);
    assert_eq!(world.restore(&mut saved), 1);
    assert_eq!(value(&saved, 1000), None);
}

#[test]
fn records_behind_an_open_transaction_are_waited_for() {
    let world = World::new();
    world.write(0..10, "a");
    world.held.readable.store(4, Ordering::Relaxed);
    let mut empty = StateEnv::memory();
    empty.checkpoint_interval_ms = 1;
    let mut store = store(&empty);
    let mut restore = world.begin(&mut store);
    for _ in 0..50 {
        assert!(!restore.step(&mut store, Duration::from_millis(100)).expect("waiting"));
    }
    assert_eq!(restore.progress(), (0, 10));
    assert_eq!(world.metrics.restore_remaining.load(Ordering::Relaxed), 10);
    // What comes later is not waited for.
    world.held.readable.store(10, Ordering::Relaxed);
    world.write(10..20, "b");
    let mut steps = 0;
    while !restore.step(&mut store, Duration::from_millis(100)).expect("reading") {
        steps += 1;
        assert!(steps < 20);
    }
    assert!((0..10).all(|key| value(&store, key).as_deref() == Some("a")));
    assert_eq!(restore.progress().1, 0);

    // Forever is too long.
    world.held.readable.store(4, Ordering::Relaxed);
    let mut restore = world.begin(&mut store);
    assert!(!restore.step(&mut store, Duration::ZERO).expect("waiting"));
    world.manual.advance(PATIENCE_MS + 1);
    let error = restore.step(&mut store, Duration::ZERO).expect_err("stuck");
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(error.message().contains("stands still at 0"), "{error}");
    drop(restore);
    assert_eq!(world.metrics.restore_remaining.load(Ordering::Relaxed), 0);
}
