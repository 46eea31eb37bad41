//! Two workers over a backlog, one of them much faster: the rows of the slower one are not late behind the repartition
//! topic.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use eddyline::broker::memory::MemoryBroker;
use eddyline::broker::{Broker, OutRecord, Producer, ProducerOptions, Start};
use eddyline::runtime::QueryMetrics;
use eddyline::runtime::pace::Pace;
use eddyline::runtime::session::Session;
use eddyline::runtime::throttle::QueueLimits;
use eddyline::runtime::worker::WorkerConfig;
use eddyline::state::StateEnv;
use eddyline::time::ManualClock;

use crate::simulation::deploy::Deployment;

/// An hour of readings, one a second, in each of two partitions.
const SECONDS: i64 = 3600;
const QUERY: &str = "CREATE STREAM readings (place INT)
    WITH (KAFKA_TOPIC = 'readings', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE TABLE counts AS SELECT place, COUNT(*) AS n FROM readings
    WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 20 SECONDS) GROUP BY place;";
/// Steps without a row in or out after which nothing more comes.
const QUIET: usize = 50;

fn write(producer: &mut dyn Producer, partition: i32, second: i64) {
    let value = format!("{{\"PLACE\":{}}}", second % 7);
    let (value, timestamp) = (Some(value.as_bytes()), second * 1000);
    producer.send(OutRecord { topic: "readings", partition, key: None, value, timestamp, headers: &[] }).expect("sent");
}

/// Rows in, and rows that were late, of a run in which the first worker takes 40 steps for one of the second.
fn run(paced: bool) -> (u64, u64) {
    let deployment = Deployment::new(QUERY).expect("a plan");
    let broker = MemoryBroker::new();
    deployment.create_topics(&broker).expect("topics");
    let mut producer = broker.producer(&ProducerOptions::default()).expect("a producer");
    (0..SECONDS).for_each(|second| (0..2).for_each(|partition| write(producer.as_mut(), partition, second)));
    producer.flush(Duration::from_secs(1)).expect("written");

    let [query] = deployment.queries.as_slice() else { panic!("one query") };
    // Long after the readings: none is from the future.
    let clock = ManualClock::new(100 * SECONDS * 1000);
    let metrics = Arc::new(QueryMetrics::new(2));
    let config = WorkerConfig {
        blueprint: query.blueprint.clone(),
        broker: Arc::new(broker),
        clock: clock.clone(),
        metrics: metrics.clone(),
        group: query.group.clone(),
        start: Start::Earliest,
        commit_interval_ms: 1,
        commit_records_max: 1000,
        queue_limits: QueueLimits::default(),
        idle_timeout_ms: 0,
        coalesce: true,
        exactly_once: true,
        processing_log: None,
        muster: Arc::default(),
        pace: Pace::of(&query.blueprint.topology, 2).filter(|_| paced),
        state: StateEnv::memory(),
        standbys: None,
    };
    let mut sessions = [0, 1].map(|index| Session::join(&config, index).expect("a member"));
    let mut step = |index: usize| {
        clock.advance(2);
        sessions[index].step(20, Duration::ZERO).expect("a step");
    };
    // Both have their partitions before either begins to read.
    (0..10).for_each(|i| step(i % 2));
    let done = || metrics.rows_in.load(Ordering::Relaxed);
    let (mut quiet, mut before) = (0, done());
    while quiet < QUIET {
        (0..40).for_each(|_| step(0));
        step(1);
        quiet = if done() == before { quiet + 1 } else { 0 };
        before = done();
    }
    (before, metrics.rows_late.load(Ordering::Relaxed))
}

#[test]
fn a_worker_that_is_faster_makes_no_rows_of_the_other_late() {
    // The readings, and what arrives behind the repartition topic.
    let (rows, late) = run(true);
    assert!(rows > 2 * SECONDS as u64, "{rows} rows");
    assert_eq!(late, 0);
    let (_, late) = run(false);
    assert!(late > 0, "without pace the faster one's rows end the windows of the slower one");
}
