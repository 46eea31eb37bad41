//! Metrics and health of an engine in trouble.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::{Duration, Instant};

use eddyline::broker::memory::{Fault, MemoryBroker, Step};
use eddyline::engine::{Engine, EngineConfig, Outcome};
use eddyline::observe::MetricsServer;
use eddyline::time::{Clock, SystemClock};
use eddyline::types::Value;

const QUERIES: &str = "CREATE STREAM orders (id VARCHAR KEY, user VARCHAR, amount INT)
    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE TABLE spent AS SELECT user, SUM(amount) AS total FROM orders GROUP BY user;
  CREATE STREAM large AS SELECT * FROM orders WHERE amount > 100;
  INSERT INTO orders VALUES ('o1', 'ann', 5);";

/// What the query SPENT gets from the broker.
#[derive(Default)]
struct Trouble {
    /// Polls fail.
    refuses: AtomicBool,
    /// Polls wait.
    is_silent: AtomicBool,
    /// Polls find a defect.
    panics: AtomicBool,
}

/// The machine's clock, that can be set ahead.
#[derive(Debug)]
struct FastClock {
    clock: Arc<dyn Clock>,
    ahead_us: AtomicI64,
}

impl Clock for FastClock {
    fn now_ms(&self) -> i64 {
        self.clock.now_ms() + self.ahead_us.load(Ordering::SeqCst) / 1000
    }

    fn monotonic_us(&self) -> i64 {
        self.clock.monotonic_us() + self.ahead_us.load(Ordering::SeqCst)
    }

    fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration);
    }
}

/// An engine that runs SPENT and LARGE.
fn engine() -> (Arc<Engine>, Arc<Trouble>, Arc<FastClock>, MetricsServer) {
    let trouble = Arc::new(Trouble::default());
    let seen = Arc::clone(&trouble);
    let faults = move |step, client: &str| {
        if step != Step::Poll || !client.contains("SPENT") {
            return None;
        }
        while seen.is_silent.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(5));
        }
        assert!(!seen.panics.load(Ordering::SeqCst), "a defect, on purpose");
        seen.refuses.load(Ordering::SeqCst).then_some(Fault::Unavailable)
    };
    let broker = Arc::new(MemoryBroker::new().with_faults(Arc::new(faults)));
    let config = EngineConfig { service_id: "t".into(), ..EngineConfig::default() };
    let clock = Arc::new(FastClock { clock: SystemClock::shared(), ahead_us: AtomicI64::new(0) });
    let engine = Engine::start(config, broker, clock.clone()).expect("an engine");
    engine.session().execute(QUERIES, &mut |_| Ok(())).expect("queries");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = MetricsServer::bind(any, "t", SystemClock::shared()).expect("a port");
    server.show(engine.session());
    (engine, trouble, clock, server)
}

fn get(server: &MetricsServer, path: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).expect("it listens");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it reads");
    let mut said = String::new();
    stream.read_to_string(&mut said).expect("it answers");
    said
}

fn wait_for(server: &MetricsServer, path: &str, words: &[&str]) -> String {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let said = get(server, path);
        if words.iter().all(|words| said.contains(words)) {
            return said;
        }
        assert!(Instant::now() < deadline, "{path} never said {words:?}, but {said}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_query_in_error_is_ill_says_why_and_recovers() {
    let (engine, trouble, _, server) = engine();
    let runs = "eddyline_query_state{service=\"t\",query=\"CTAS_SPENT_1\",state=\"RUNNING\"} 1";
    let other = "eddyline_query_state{service=\"t\",query=\"CSAS_LARGE_2\",state=\"RUNNING\"} 1";
    wait_for(
        &server,
        "/metrics",
        &[runs, other, "eddyline_query_rows_out_total{service=\"t\",query=\"CTAS_SPENT_1\"} 1"],
    );
    wait_for(&server, "/health", &["200 OK", "\"status\":\"ok\""]);
    trouble.refuses.store(true, Ordering::SeqCst);
    let reason = "\"query\":\"CTAS_SPENT_1\",\"state\":\"ERROR\",\"reason\":\"no answer for ";
    let fault = " at Poll (injected fault)\"";
    let ill = wait_for(&server, "/health", &["503 Service Unavailable", reason, fault, "\"retry_in_ms\":"]);
    assert!(ill.contains("\"query\":\"CSAS_LARGE_2\",\"state\":\"RUNNING\""), "{ill}");
    // It stays ill while it tries again in vain.
    let failures = "eddyline_query_session_failures_total{service=\"t\",query=\"CTAS_SPENT_1\"} ";
    for tries in ["2\n", "3\n"] {
        let said = wait_for(&server, "/metrics", &[&format!("{failures}{tries}")]);
        assert!(!said.contains(runs) && said.contains(other), "{said}");
        assert!(get(&server, "/health").contains("503"), "after {tries} failures");
    }
    let mut shown = Vec::new();
    let each = &mut |outcome| {
        if let Outcome::Table(table) = outcome {
            shown.extend(table.rows);
        }
        Ok(())
    };
    engine.session().execute("SHOW QUERIES;", each).expect("a table");
    let Value::String(state) = &shown[0][1] else { panic!("{shown:?}") };
    assert!(state.starts_with("ERROR: no answer for ") && state.contains(" at Poll (injected fault); tr"), "{state}");
    trouble.refuses.store(false, Ordering::SeqCst);
    wait_for(&server, "/health", &["200 OK"]);
    let well = wait_for(&server, "/metrics", &[runs, other]);
    assert!(well.contains("eddyline_query_session_failures_total{service=\"t\",query=\"CSAS_LARGE_2\"} 0\n"), "{well}");
    drop(server);
    engine.shutdown();
}

#[test]
fn metrics_do_not_wait_for_statements() {
    let (engine, _, _, server) = engine();
    let held = engine.lock();
    wait_for(&server, "/metrics", &["query=\"CTAS_SPENT_1\",state=\"RUNNING\"} 1"]);
    wait_for(&server, "/health", &["\"query\":\"CSAS_LARGE_2\",\"state\":\"RUNNING\""]);
    drop(held);
    drop(server);
    engine.shutdown();
}

#[test]
fn a_broker_that_does_not_answer_is_no_silent_stall() {
    let (engine, trouble, clock, server) = engine();
    wait_for(&server, "/metrics", &["query=\"CTAS_SPENT_1\",state=\"RUNNING\"} 1"]);
    trouble.is_silent.store(true, Ordering::SeqCst);
    assert!(get(&server, "/health").contains("200 OK"), "nothing is late yet");
    clock.ahead_us.fetch_add(12_000_000, Ordering::SeqCst);
    let reason = "\"query\":\"CTAS_SPENT_1\",\"state\":\"ERROR\",\"reason\":\"a worker has made no step for 1";
    let well = "\"query\":\"CSAS_LARGE_2\",\"state\":\"RUNNING\"";
    wait_for(&server, "/health", &["503 Service Unavailable", reason, well]);
    trouble.is_silent.store(false, Ordering::SeqCst);
    wait_for(&server, "/health", &["200 OK"]);
    drop(server);
    engine.shutdown();
}

#[test]
fn a_worker_that_a_defect_ended_does_not_look_as_if_it_ran() {
    let (engine, trouble, _, server) = engine();
    wait_for(&server, "/metrics", &["query=\"CTAS_SPENT_1\",state=\"RUNNING\"} 1"]);
    trouble.panics.store(true, Ordering::SeqCst);
    let reason = "\"reason\":\"a defect ended the worker; start the process again\",\"retry_in_ms\":null";
    wait_for(&server, "/health", &["503 Service Unavailable", reason]);
    drop(server);
    engine.shutdown();
}
