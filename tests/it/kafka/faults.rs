//! What others do to topics while queries run: each has an outcome that is seen, and none loses or repeats a record.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use eddyline::broker::Broker;
use eddyline::broker::kafka::KafkaBroker;
use eddyline::engine::{Engine, EngineConfig, QueryState, QueryStatus};
use eddyline::time::SystemClock;

use super::world::{
    bootstrap, delete_records, delete_topics, exists, fresh_topics, produce, read_json, topic_with, wait_for, widen,
};
use crate::support::unique;

/// A service in this process.
pub struct Service {
    engine: Arc<Engine>,
    id: String,
}

impl Service {
    pub fn start(id: &str) -> Self {
        let broker: Arc<dyn Broker> =
            Arc::new(KafkaBroker::connect(&bootstrap(), &BTreeMap::new()).expect("a connection"));
        let config = EngineConfig { service_id: id.to_owned(), workers: 2, ..EngineConfig::default() };
        let engine = Engine::start(config, broker, SystemClock::shared()).expect("an engine");
        Self { engine, id: id.to_owned() }
    }

    pub fn run(&self, sql: &str) {
        let ran = self.engine.session().execute(sql, &mut |_| Ok(()));
        ran.unwrap_or_else(|error| panic!("{sql}\n{error} {:?}", error.hints()));
    }

    /// The query that fills a source.
    pub fn query(&self, sink: &str) -> QueryStatus {
        let found = self.engine.queries().into_iter().find(|query| query.sink == sink);
        found.unwrap_or_else(|| panic!("no query fills {sink}"))
    }

    pub fn wait_for_error(&self, sink: &str, words: &str) -> String {
        let deadline = Instant::now() + Duration::from_secs(45);
        loop {
            let state = self.query(sink).state;
            if let QueryState::Error(reason) = &state
                && reason.contains(words)
            {
                return reason.clone();
            }
            assert!(Instant::now() < deadline, "{sink} is {state:?}, not in an error that says {words:?}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn wait_for_running(&self, sink: &str) {
        wait_for(&format!("{sink} runs"), 60, || self.query(sink).state == QueryState::Running);
    }

    /// Entries of the processing log.
    fn log(&self, kind: &str) -> Vec<serde_json::Value> {
        let entries = read_json(&format!("eddyline-{}-processing-log", self.id));
        entries.into_iter().filter(|entry| entry["KIND"] == kind).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.engine.shutdown();
    }
}

fn records(numbers: std::ops::Range<i64>) -> Vec<(Option<String>, String, i64)> {
    numbers.map(|n| (Some(format!("k{n}")), format!(r#"{{"N":{n}}}"#), 1_700_000_000_000 + n)).collect()
}

/// The numbers in a topic, sorted.
fn numbers(topic: &str) -> Vec<i64> {
    let mut numbers: Vec<i64> = read_json(topic).iter().map(|value| value["N"].as_i64().expect("a number")).collect();
    numbers.sort_unstable();
    numbers
}

fn wait_for_numbers(topic: &str, wanted: std::ops::Range<i64>) {
    let wanted: Vec<i64> = wanted.collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let seen = numbers(topic);
        if seen == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{topic} holds {seen:?}, not {wanted:?}");
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A service with a query without state, `OUT`, over a topic of two partitions; names of service, source and sink.
fn copy() -> (Service, String, String) {
    let (source, sink) = (unique("faults-in"), unique("faults-out"));
    fresh_topics(&[&source], 2);
    let service = Service::start(&unique("faults"));
    service.run(&format!(
        "CREATE STREAM inp (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC = '{source}', VALUE_FORMAT = 'JSON');
         CREATE STREAM out WITH (KAFKA_TOPIC = '{sink}') AS SELECT * FROM inp;"
    ));
    produce(&source, &records(0..10));
    wait_for_numbers(&sink, 0..10);
    (service, source, sink)
}

#[test]
fn a_deleted_source_is_told_and_waited_for_while_other_queries_go_on() {
    let (service, source, sink) = copy();
    let (other, other_sink) = (unique("faults-in"), unique("faults-out"));
    fresh_topics(&[&other], 1);
    service.run(&format!(
        "CREATE STREAM other (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC = '{other}', VALUE_FORMAT = 'JSON');
         CREATE STREAM out2 WITH (KAFKA_TOPIC = '{other_sink}') AS SELECT * FROM other;"
    ));
    delete_topics(&[&source]);
    let reason = service.wait_for_error("OUT", "which the query reads, does not exist");
    assert!(reason.contains(&source), "{reason}");
    wait_for("the next try is announced", 10, || service.query("OUT").numbers.retry_in.is_some());
    produce(&other, &records(0..10));
    wait_for_numbers(&other_sink, 0..10);
    service.wait_for_running("OUT2");

    // A service that starts now has the query all the same, and waits as well.
    let id = service.id.clone();
    drop(service);
    let service = Service::start(&id);
    service.wait_for_error("OUT", "which the query reads, does not exist");
    assert!(!exists(&source), "nobody makes a topic of others");
    fresh_topics(&[&source], 3);
    produce(&source, &records(10..15));
    wait_for_numbers(&sink, 0..15);
    service.wait_for_running("OUT");
}

#[test]
fn a_deleted_sink_is_told_and_waited_for() {
    let (service, source, sink) = copy();
    delete_topics(&[&sink]);
    produce(&source, &records(10..20));
    let reason = service.wait_for_error("OUT", "which the query writes, does not exist");
    assert!(reason.contains(&sink), "{reason}");
    fresh_topics(&[&sink], 2);
    // What was committed before is gone with the topic; what was not is written once.
    wait_for_numbers(&sink, 10..20);
    service.wait_for_running("OUT");
}

const COUNTS: &str = "CREATE STREAM inp (k VARCHAR KEY, n BIGINT) WITH (KAFKA_TOPIC = '$in', VALUE_FORMAT = 'JSON');
    CREATE TABLE counts WITH (KAFKA_TOPIC = '$out') AS SELECT k, COUNT(*) AS n FROM inp GROUP BY k;";

#[test]
fn state_that_is_gone_or_in_the_wrong_partitions_ends_in_an_error() {
    let (source, sink) = (unique("faults-in"), unique("faults-out"));
    fresh_topics(&[&source], 2);
    let service = Service::start(&unique("faults"));
    service.run(&COUNTS.replace("$in", &source).replace("$out", &sink));
    produce(&source, &records(0..10));
    wait_for("ten counts", 60, || numbers(&sink).len() == 10);
    let prefix = format!("eddyline-{}-CTAS_COUNTS", service.id);
    let changelogs: Vec<String> = {
        let broker = KafkaBroker::connect(&bootstrap(), &BTreeMap::new()).expect("a connection");
        let topics = broker.topics().expect("topics").into_iter().map(|topic| topic.name);
        topics.filter(|name| name.starts_with(&prefix) && name.ends_with("-changelog")).collect()
    };
    assert!(!changelogs.is_empty());

    widen(&source, 4);
    let reason = service.wait_for_error("COUNTS", "have 4 partitions now");
    assert!(reason.contains("CREATE it again"), "{reason}");
    produce(&source, &records(10..20));

    delete_topics(&[&changelogs[0]]);
    let service_id = service.id.clone();
    drop(service);
    // A worker that had not noticed yet may have gone on with the partitions that were there before.
    let written = numbers(&sink);
    let service = Service::start(&service_id);
    let reason = service.wait_for_error("COUNTS", "does not exist: its state would be lost");
    assert!(reason.contains(&changelogs[0]), "{reason}");
    assert!(!exists(&changelogs[0]), "an empty changelog would pass for empty state");
    assert_eq!(numbers(&sink), written, "nothing is written without the state");

    // As the hint says.
    service.run("DROP TABLE counts DELETE TOPIC; DROP STREAM inp;");
    service.run(&COUNTS.replace("$in", &source).replace("$out", &sink));
    wait_for("twenty counts", 60, || numbers(&sink).len() == 20);
}

#[test]
fn a_query_without_state_reads_partitions_that_are_added() {
    let (service, source, sink) = copy();
    widen(&source, 5);
    produce(&source, &records(10..40));
    wait_for_numbers(&sink, 0..40);
    service.wait_for_running("OUT");
}

#[test]
fn records_that_are_too_large_are_set_aside() {
    let (source, sink) = (unique("faults-in"), unique("faults-out"));
    fresh_topics(&[&source], 1);
    // Less than one of the producer's batches, too.
    topic_with(&sink, 1, &[("max.message.bytes", "10000")]);
    let service = Service::start(&unique("faults"));
    service.run(&format!(
        "CREATE STREAM inp (k VARCHAR KEY, n BIGINT, t VARCHAR) WITH (KAFKA_TOPIC = '{source}', VALUE_FORMAT = 'JSON');
         CREATE STREAM out WITH (KAFKA_TOPIC = '{sink}') AS SELECT * FROM inp;"
    ));
    let text = |n: i64| "x".repeat(if n % 10 == 7 { 20_000 } else { 1_000 });
    let record = |n: i64| (None, format!(r#"{{"N":{n},"T":"{}"}}"#, text(n)), 1_700_000_000_000 + n);
    produce(&source, &(0..100).map(record).collect::<Vec<_>>());
    let wanted: Vec<i64> = (0..100).filter(|n| n % 10 != 7).collect();
    wait_for("all records but the large ones", 60, || numbers(&sink) == wanted);
    wait_for("ten entries of the log", 30, || service.log("production").len() == 10);
    let entry = &service.log("production")[0];
    assert_eq!(entry["TOPIC_OFFSET"], 7);
    assert!(entry["REASON"].as_str().is_some_and(|reason| reason.contains("too large")), "{entry}");
    // The first try found out how little the topic takes, and the second began anew.
    assert!(service.query("OUT").errors >= 10);
    service.wait_for_running("OUT");
}

#[test]
fn records_deleted_before_they_were_read_are_told() {
    let (service, source, sink) = copy();
    let id = service.id.clone();
    drop(service);
    produce(&source, &records(10..30));
    let all = read_json(&source).len();
    assert_eq!(all, 30);
    // All but the last record of each partition, read or not.
    let broker = KafkaBroker::connect(&bootstrap(), &BTreeMap::new()).expect("a connection");
    for partition in 0..2 {
        let at = eddyline::broker::TopicPartition::new(source.as_str(), partition);
        let (_, end) = broker.offsets(&at).expect("offsets");
        delete_records(&source, partition, end - 1);
    }
    let left = numbers(&source);
    let service = Service::start(&id);
    let wanted: Vec<i64> = (0..10).chain(left).collect();
    wait_for("what is left", 60, || numbers(&sink) == wanted);
    wait_for("both losses in the log", 30, || service.log("position").len() == 2);
    let reason = service.log("position")[0]["REASON"].to_string();
    assert!(reason.contains("were deleted before they were read"), "{reason}");
    assert_eq!(service.query("OUT").errors, 2);
}
