//! Measures state on disk.
//!
//! `cargo run --release --example state -- memory [budget MiB] [times]`: a store with so many times the budget of state;
//! what the process holds beyond what it held before.
//!
//! `cargo run --release --example state -- restart [keys] [bootstrap servers]`: a query with so many keys, on Kafka or on
//! the embedded broker; how long a start takes until the query runs, with the local checkpoint and without.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use eddyline::broker::embedded::{EmbeddedBroker, EmbeddedOptions};
use eddyline::broker::kafka::KafkaBroker;
use eddyline::broker::{Broker, OutRecord, ProducerOptions};
use eddyline::engine::{Engine, EngineConfig, QueryState};
use eddyline::state::{Fingerprint, StateDir, StateEnv, StateStore, StoreId};
use eddyline::time::SystemClock;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |at: usize, default: u64| args.get(at).and_then(|text| text.parse().ok()).unwrap_or(default);
    match args.first().map(String::as_str) {
        Some("restart") => restart(number(1, 1_000_000), args.get(2).map(String::as_str)),
        _ => memory(number(1, 128) as usize, number(2, 4) as usize),
    }
}

/// Resident bytes of this process, now and at most.
fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) << 10
    };
    (field("VmRSS:"), field("VmHWM:"))
}

fn mib(bytes: u64) -> u64 {
    bytes >> 20
}

const VALUE: usize = 200;

/// Spread, so that writes in sequence are nowhere near each other.
fn key(number: u64) -> [u8; 16] {
    let mut key = [1; 16];
    key[..8].copy_from_slice(&number.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    key[8..].copy_from_slice(&number.to_be_bytes());
    key
}

fn memory(budget_mib: usize, times: usize) {
    let root = tempfile::tempdir().expect("a folder");
    let budget = budget_mib << 20;
    let dir = StateDir::open(root.path(), "bench").expect("a slot");
    let env = StateEnv::on_disk(dir, budget, 30_000);
    let store = |partition: i32| {
        let id = StoreId { query: "Q", sub_topology: 0, partition, store: "Aggregate" };
        env.store(id, Fingerprint::of(&[]))
    };
    let mut stores: Vec<StateStore> = (0..4).map(store).collect();
    let keys = (budget * times / (VALUE + 16)) as u64;
    let (base, _) = resident();
    println!("budget {budget_mib} MiB, {keys} keys of {} bytes in 4 stores, base {} MiB", VALUE + 16, mib(base));
    for round in 0..3_u8 {
        let started = Instant::now();
        let mut most = 0;
        for from in (0..keys).step_by(20_000) {
            for number in from..(from + 20_000).min(keys) {
                let store = &mut stores[(number % 4) as usize];
                let key = key(number);
                if round > 0 {
                    let old = store.get(&key).expect("readable").expect("written before");
                    assert_eq!(old, [round - 1; VALUE]);
                }
                store.put(&key, &[round; VALUE]);
            }
            for store in &mut stores {
                store.commit().expect("committed");
                store.relieve().expect("spilled");
            }
            most = most.max(resident().0);
        }
        let seconds = started.elapsed().as_secs_f64();
        println!(
            "{}: {:.0} keys/s, at most {} MiB above the base, stores count {} MiB",
            if round == 0 { "writing" } else { "reading and writing" },
            keys as f64 / seconds,
            mib(most.saturating_sub(base)),
            mib(env.budget().used() as u64),
        );
    }
    println!("peak {} MiB above the base", mib(resident().1.saturating_sub(base)));
}

const SQL: &str = "CREATE STREAM visits (who VARCHAR, n INT)
    WITH (KAFKA_TOPIC = '{t}', VALUE_FORMAT = 'JSON', PARTITIONS = 4);
  CREATE TABLE counts WITH (KAFKA_TOPIC = '{t}-out') AS
    SELECT who, COUNT(*) AS n, SUM(n) AS s FROM visits GROUP BY who;";

fn start(broker: &Arc<dyn Broker>, service: &str, state: &Path) -> Arc<Engine> {
    let dir = StateDir::open(state, service).expect("a slot");
    let state = StateEnv::on_disk(dir, 2 << 30, 30_000);
    let config = EngineConfig { service_id: service.to_owned(), workers: 2, state, ..EngineConfig::default() };
    Engine::start(config, broker.clone(), SystemClock::shared()).expect("an engine")
}

/// Waits until every query runs; how many changelog records that took.
fn wait_until_running(engine: &Engine) -> u64 {
    loop {
        let queries = engine.queries();
        if !queries.is_empty() && queries.iter().all(|query| query.state == QueryState::Running) {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    engine.lock().live.queries.values().map(|query| query.metrics.restored.load(Ordering::Relaxed)).sum()
}

fn wait_until_drained(engine: &Engine, records: u64) {
    let counts = |engine: &Engine| {
        let inner = engine.lock();
        let metrics: Vec<_> = inner.live.queries.values().map(|query| query.metrics.clone()).collect();
        let lag: u64 = metrics.iter().map(|metrics| metrics.lag()).sum();
        (lag, metrics.iter().map(|metrics| metrics.rows_in.load(Ordering::Relaxed)).sum::<u64>())
    };
    while !matches!(counts(engine), (0, read) if read >= records) {
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn restart(keys: u64, bootstrap: Option<&str>) {
    let root = tempfile::tempdir().expect("a folder");
    let service = format!("bench{}", std::process::id());
    let broker: Arc<dyn Broker> = match bootstrap {
        Some(servers) => Arc::new(KafkaBroker::connect(servers, &Default::default()).expect("Kafka")),
        None => {
            let options = EmbeddedOptions { hot_bytes: 32 << 20, ..EmbeddedOptions::default() };
            Arc::new(EmbeddedBroker::open(&root.path().join("log"), options).expect("a broker"))
        }
    };
    let (state, topic) = (root.path().join("state"), format!("{service}-visits"));
    let engine = start(&broker, &service, &state);
    let mut session = engine.session();
    session.execute(&SQL.replace("{t}", &topic), &mut |_| Ok(())).expect("statements");
    let write = |records: std::ops::Range<u64>| {
        let options = ProducerOptions { client_id: "visits".into(), ..ProducerOptions::default() };
        let mut producer = broker.producer(&options).expect("a producer");
        producer.begin().expect("begun");
        for number in records {
            let value = format!("{{\"WHO\":\"visitor-{number:012}\",\"N\":1}}");
            let (topic, value) = (topic.as_str(), Some(value.as_bytes()));
            let record =
                OutRecord { topic, partition: (number % 4) as i32, key: None, value, timestamp: 1, headers: &[] };
            producer.send(record).expect("sent");
            if number % 50_000 == 0 {
                producer.flush(Duration::from_secs(60)).expect("flushed");
                producer.begin().expect("begun");
            }
        }
        producer.flush(Duration::from_secs(60)).expect("flushed");
    };
    let began = Instant::now();
    write(0..keys);
    wait_until_drained(&engine, keys);
    std::thread::sleep(Duration::from_millis(500));
    println!("{keys} keys on {} after {:.1} s", broker.name(), began.elapsed().as_secs_f64());
    let began = Instant::now();
    engine.shutdown();
    println!("clean stop with its checkpoint: {:.2} s", began.elapsed().as_secs_f64());
    drop((session, engine));

    let time = |what: &str| {
        let began = Instant::now();
        let engine = start(&broker, &service, &state);
        let restored = wait_until_running(&engine);
        println!("{what}: running after {:.2} s, {restored} changelog records read", began.elapsed().as_secs_f64());
        engine
    };
    for _ in 0..2 {
        let engine = time("restart with its disk");
        engine.shutdown();
    }
    std::fs::remove_dir_all(&state).expect("removed");
    let engine = time("restart without its disk");
    let mut session = engine.session();
    for sql in ["DROP TABLE counts DELETE TOPIC;", "DROP STREAM visits DELETE TOPIC;"] {
        session.execute(sql, &mut |_| Ok(())).expect("dropped");
    }
    engine.shutdown();
    println!("resident at most {} MiB", mib(resident().1));
}
