//! State on the local disk, through the engine: a crash restores the changelog's tail, state may exceed its memory.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eddyline::broker::memory::{Fault, MemoryBroker, Step};
use eddyline::broker::{Broker, OutRecord, ProducerOptions};
use eddyline::engine::{Engine, EngineConfig, Outcome, Session};
use eddyline::state::{StateDir, StateEnv};
use eddyline::time::SystemClock;
use eddyline::types::Value;

fn engine(broker: &Arc<dyn Broker>, root: &Path, memory_bytes: usize) -> Arc<Engine> {
    let dir = StateDir::open(root, "t").expect("a slot");
    let state = StateEnv::on_disk(dir, memory_bytes, 1);
    let config = EngineConfig { service_id: "t".into(), state, ..EngineConfig::default() };
    Engine::start(config, broker.clone(), SystemClock::shared()).expect("an engine")
}

fn run(session: &mut dyn Session, sql: &str) {
    session.execute(sql, &mut |_| Ok(())).unwrap_or_else(|error| panic!("{sql}\n{error} {:?}", error.hints()));
}

/// One record for each of these users.
fn write(broker: &dyn Broker, users: std::ops::Range<u32>) {
    let options = ProducerOptions { client_id: "orders".into(), ..ProducerOptions::default() };
    let mut producer = broker.producer(&options).expect("a producer");
    for user in users {
        let value = format!("{{\"USER\":\"u{user}\",\"AMOUNT\":1,\"NOTE\":\"{user:0100}\"}}");
        let value = Some(value.as_bytes());
        producer
            .send(OutRecord { topic: "orders", partition: 0, key: None, value, timestamp: 1, headers: &[] })
            .expect("sent");
    }
    producer.flush(Duration::from_secs(10)).expect("flushed");
}

const SPENT: &str = "CREATE STREAM orders (user VARCHAR, amount INT, note VARCHAR)
    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 1);
  CREATE TABLE spent AS SELECT user, COUNT(*) AS n, LATEST_BY_OFFSET(note) AS note FROM orders GROUP BY user;";

/// Waits until the user's count is this.
fn wait_for(session: &mut dyn Session, user: &str, n: i64) {
    let deadline = Instant::now() + Duration::from_secs(60);
    let sql = format!("SELECT n FROM spent WHERE user = '{user}';");
    loop {
        let mut found = Vec::new();
        let each = &mut |outcome| {
            if let Outcome::Table(result) = outcome {
                found.extend(result.rows);
            }
            Ok(())
        };
        let asked = session.execute(&sql, each);
        if asked.is_ok() && found == [vec![Value::BigInt(n)]] {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}\n  wanted {n}, got {found:?} {asked:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn restored(engine: &Engine) -> u64 {
    engine.lock().live.queries.values().map(|query| query.metrics.restored.load(Ordering::Relaxed)).sum()
}

#[test]
fn a_crash_restores_the_tail_and_a_lost_disk_everything() {
    let root = tempfile::tempdir().expect("a folder");
    let crash = Arc::new(AtomicBool::new(false));
    let asked = crash.clone();
    let faults = move |step: Step, _: &str| {
        (step == Step::BeforeCommit && asked.swap(false, Ordering::SeqCst)).then_some(Fault::Crash)
    };
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new().with_faults(Arc::new(faults)));
    {
        let engine = engine(&broker, root.path(), 64 << 20);
        let mut session = engine.session();
        run(session.as_mut(), SPENT);
        write(broker.as_ref(), 0..500);
        wait_for(session.as_mut(), "u499", 1);
        // Another commit, so that the checkpoint is behind the first.
        write(broker.as_ref(), 0..1);
        wait_for(session.as_mut(), "u0", 2);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(restored(&engine), 0);

        crash.store(true, Ordering::SeqCst);
        write(broker.as_ref(), 1..2);
        wait_for(session.as_mut(), "u1", 2);
        let tail = restored(&engine);
        assert!(!crash.load(Ordering::SeqCst), "it crashed");
        assert!(tail < 100, "{tail} records");
        wait_for(session.as_mut(), "u0", 2);
        wait_for(session.as_mut(), "u499", 1);
        engine.shutdown();
    }
    {
        let engine = engine(&broker, root.path(), 64 << 20);
        let mut session = engine.session();
        write(broker.as_ref(), 2..3);
        wait_for(session.as_mut(), "u2", 2);
        wait_for(session.as_mut(), "u1", 2);
        let tail = restored(&engine);
        assert!(tail < 100, "{tail} records");
        engine.shutdown();
    }
    std::fs::remove_dir_all(root.path().join("t")).expect("removed");
    let engine = engine(&broker, root.path(), 64 << 20);
    let mut session = engine.session();
    write(broker.as_ref(), 3..4);
    wait_for(session.as_mut(), "u3", 2);
    wait_for(session.as_mut(), "u2", 2);
    // Of two stores, one row each for every user.
    assert!(restored(&engine) >= 1000, "{} records", restored(&engine));
    run(session.as_mut(), "DROP TABLE spent;");
    engine.shutdown();
}

#[test]
fn state_may_be_larger_than_its_memory() {
    let root = tempfile::tempdir().expect("a folder");
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
    let users = 60_000;
    {
        let engine = engine(&broker, root.path(), 8 << 20);
        let mut session = engine.session();
        run(session.as_mut(), SPENT);
        for round in 0..6 {
            write(broker.as_ref(), round * (users / 6)..(round + 1) * (users / 6));
        }
        wait_for(session.as_mut(), &format!("u{}", users - 1), 1);
        let used = engine.lock().live.state().budget().used();
        assert!(used < 8 << 20, "{used} bytes");
        write(broker.as_ref(), 0..users);
        for user in [0, 1, users / 2, users - 1] {
            wait_for(session.as_mut(), &format!("u{user}"), 2);
        }
        engine.shutdown();
    }
    let engine = engine(&broker, root.path(), 8 << 20);
    let mut session = engine.session();
    write(broker.as_ref(), 7..8);
    wait_for(session.as_mut(), "u7", 3);
    wait_for(session.as_mut(), "u8", 2);
    assert!(restored(&engine) < 1000, "{} records", restored(&engine));
    engine.shutdown();
}
