//! `eddyline run --metrics-addr`: metrics, health, the processing log and logs, from the outside.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::program::{Machine, Running};

const QUERIES: &str = "\
CREATE STREAM readings (sensor VARCHAR KEY, degrees INT) WITH (KAFKA_TOPIC = 'readings', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
CREATE TABLE hottest AS SELECT sensor, MAX(degrees) AS degrees FROM readings GROUP BY sensor EMIT CHANGES;
";

/// Rows for the readings, one of which is no JSON.
const ROWS: &str = "\
CREATE STREAM raw (sensor VARCHAR KEY, line VARCHAR) WITH (KAFKA_TOPIC = 'readings', VALUE_FORMAT = 'KAFKA', PARTITIONS = 2);
INSERT INTO raw VALUES ('a', '{\"DEGREES\": 20}');
INSERT INTO raw VALUES ('b', '{\"DEGREES\": 30}');
INSERT INTO raw VALUES ('a', 'it is hot');
INSERT INTO raw VALUES ('c', '{\"DEGREES\": 25}');
";

const MATERIALIZED: &str = "store=\"Materialize\"";

const RUN: [&str; 6] = ["run", "jobs", "--data-dir", "data", "--metrics-addr", "127.0.0.1:0"];

fn machine() -> Machine {
    let machine = Machine::new();
    machine.write("jobs/hottest.sql", QUERIES);
    machine.write("rows.sql", ROWS);
    machine.run(&["sql", "--data-dir", "data", "-f", "rows.sql"]).expect(0);
    machine
}

/// Waits until it is deployed; where it serves metrics.
fn address(running: &mut Running) -> String {
    let said = running.wait_for("queries on embedded").to_owned();
    let line = said.lines().find_map(|line| line.strip_prefix("metrics and health on http://"));
    line.unwrap_or_else(|| panic!("no address in {said}")).trim_end_matches('/').to_owned()
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).expect("metrics are served");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers");
    said
}

/// The value of the one sample of this name whose labels hold these words.
fn sample(metrics: &str, name: &str, label: &str) -> Option<f64> {
    let found: Vec<&str> =
        metrics.lines().filter(|line| line.starts_with(&format!("{name}{{")) && line.contains(label)).collect();
    assert!(found.len() <= 1, "{name} with {label}: {found:?}");
    found.first()?.rsplit_once(' ')?.1.parse().ok()
}

/// Asks until the metrics are as wanted.
fn metrics_when(address: &str, wanted: impl Fn(&str) -> bool) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let metrics = get(address, "/metrics");
        if wanted(&metrics) {
            return metrics;
        }
        assert!(Instant::now() < deadline, "never as wanted:\n{metrics}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn metrics_and_health_of_two_starts() {
    let machine = machine();
    let mut running = machine.start(&[&RUN[..], &["--log-format", "json"]].concat());
    let address = address(&mut running);
    let query = "CTAS_HOTTEST_";
    let metrics = metrics_when(&address, |metrics| {
        sample(metrics, "eddyline_query_rows_in_total", query) == Some(3.0)
            && sample(metrics, "eddyline_query_rows_out_total", query) == Some(3.0)
            && sample(metrics, "eddyline_query_state_rows", MATERIALIZED) == Some(3.0)
    });
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    let value = |name: &str| sample(&metrics, name, query).unwrap_or_else(|| panic!("no {name} in {metrics}"));
    assert_eq!(value("eddyline_query_errors_total"), 1.0);
    assert_eq!(value("eddyline_query_rows_late_total"), 0.0);
    assert_eq!(value("eddyline_query_lag_records"), 0.0);
    assert_eq!(value("eddyline_query_session_failures_total"), 0.0);
    assert_eq!(value("eddyline_query_rebalances_total"), 1.0);
    assert!(sample(&metrics, "eddyline_query_state_bytes", MATERIALIZED) > Some(0.0), "{metrics}");
    assert!(value("eddyline_query_stream_time_seconds") > 1.6e9);
    let commits = value("eddyline_query_commits_total");
    assert!(commits >= 1.0, "{metrics}");
    assert_eq!(value("eddyline_query_commit_latency_seconds_count"), commits);
    assert!(value("eddyline_query_commit_latency_max_seconds") > 0.0);
    assert!(sample(&metrics, "process_resident_memory_bytes", "").is_some_and(|bytes| bytes > 1e6));
    let state = |state: &str| {
        metrics.lines().find(|l| l.contains(&format!("state=\"{state}\""))).and_then(|l| l.chars().last())
    };
    assert_eq!((state("RUNNING"), state("ERROR")), (Some('1'), Some('0')), "{metrics}");
    let health = get(&address, "/health");
    assert!(health.starts_with("HTTP/1.1 200 OK\r\n"), "{health}");
    assert!(health.contains("\"status\":\"ok\"") && health.contains("\"state\":\"RUNNING\""), "{health}");
    let (status, said) = running.terminate();
    assert!(status.success(), "{said}");
    // Whatever a worker says names its query.
    let lines = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let of_worker: Vec<_> = lines.filter(|line| line["span"]["name"] == "worker").collect();
    for message in ["worker joins its group", "partitions assigned", "worker runs", "worker ended"] {
        let line = of_worker.iter().find(|line| line["message"] == message);
        let line = line.unwrap_or_else(|| panic!("no {message:?} in {said}"));
        assert!(line["span"]["query"].as_str().is_some_and(|id| id.starts_with(query)), "{line}");
        assert_eq!(line["span"]["worker"], 0);
    }

    // Without its local copy the second start has the state from its changelogs, and says how much that was.
    std::fs::remove_dir_all(machine.path("data/state")).expect("local state");
    let mut running = machine.start(&RUN);
    let address = self::address(&mut running);
    let metrics =
        metrics_when(&address, |metrics| sample(metrics, "eddyline_query_state_rows", MATERIALIZED) == Some(3.0));
    assert!(sample(&metrics, "eddyline_query_restored_records_total", query) >= Some(3.0), "{metrics}");
    assert_eq!(sample(&metrics, "eddyline_query_restore_remaining_records", query), Some(0.0));
    let (_, said) = running.terminate();
    for words in ["restoring a store", "store restored", "worker{query=\"CTAS_HOTTEST_"] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
}

#[test]
fn the_processing_log_is_a_stream_at_every_start() {
    let machine = machine();
    let mut running = machine.start(&RUN);
    let address = address(&mut running);
    metrics_when(&address, |metrics| sample(metrics, "eddyline_query_errors_total", "CTAS_HOTTEST_") == Some(1.0));
    running.terminate();
    for _ in 0..2 {
        let all = "SET 'auto.offset.reset' = 'earliest'; SELECT * FROM PROCESSING_LOG EMIT CHANGES LIMIT 1;";
        let said = machine.sql("json", all).expect(0);
        let entry: serde_json::Value = serde_json::from_str(&said.out).expect("a row");
        assert!(entry["QUERY"].as_str().is_some_and(|id| id.starts_with("CTAS_HOTTEST_")), "{entry}");
        assert_eq!(entry["KIND"], "deserialization");
        assert_eq!(entry["TOPIC"], "readings");
        assert_eq!(entry["PLACE"], "value");
        assert!(entry["TOPIC_OFFSET"].is_i64() && entry["TIME"].is_i64(), "{entry}");
        let text = "SELECT FROM_BYTES(record_value, 'utf8') AS line FROM processing_log;";
        assert_eq!(machine.sql("json", text).expect(0).out, "{\"LINE\":\"it is hot\"}\n");
        // It is nobody's to drop.
        let said = machine.sql("json", "DROP STREAM processing_log;").expect(1);
        assert!(said.err.contains("always there"), "{}", said.all());
    }
}

#[test]
fn queries_tell_their_numbers_at_the_prompt() {
    let machine = machine();
    machine.run(&["sql", "--data-dir", "data", "-f", "jobs/hottest.sql"]).expect(0);
    // The first of these waits until the query runs.
    let statements = "SELECT * FROM hottest WHERE sensor = 'a'; SHOW QUERIES EXTENDED;";
    let said = machine.sql_until(statements, |out| !out.contains("\"State Rows\":0"));
    let row: serde_json::Value = serde_json::from_str(said.lines().last().expect("a line")).expect("one query");
    assert_eq!(row["State"], "RUNNING", "{row}");
    for column in ["Rows In", "Rows Out", "Late", "Errors", "Lag", "Commits", "State Bytes", "Failures"] {
        assert!(row[column].is_i64(), "{column} of {row}");
    }
    let id = row["Query"].as_str().expect("an id");
    for statement in [format!("EXPLAIN {id};"), "DESCRIBE hottest EXTENDED;".to_owned()] {
        let said = machine.sql("table", &statement).expect(0).out;
        for words in [id, "  state ", " in, ", "  lag ", "  commits ", "  store "] {
            assert!(said.contains(words), "{statement} does not tell {words}: {said}");
        }
    }
}

#[test]
fn a_taken_address_is_told_before_anything_runs() {
    let machine = machine();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    machine.write("eddyline.toml", &format!("metrics-addr = \"{address}\"\n"));
    let said = machine.run(&["run", "jobs", "--data-dir", "data"]).expect(2);
    assert!(said.err.contains(&format!("cannot listen at {address}")), "{}", said.all());
    assert_eq!(said.out, "");
    let said = machine.run(&["run", "jobs", "--data-dir", "data", "--set", "metrics-addr=here"]).expect(2);
    assert!(said.err.contains("127.0.0.1:9404"), "{}", said.all());
    machine.run(&["run", "jobs", "--data-dir", "data", "--set", "metrics-addr=", "--check"]).expect(0);
}
