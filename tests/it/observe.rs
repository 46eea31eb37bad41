//! Metrics and health of an engine in trouble.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use eddyline::broker::memory::{Fault, MemoryBroker, Step};
use eddyline::engine::{Engine, EngineConfig, Outcome};
use eddyline::observe::MetricsServer;
use eddyline::time::SystemClock;
use eddyline::types::Value;

const QUERIES: &str = "CREATE STREAM orders (id VARCHAR KEY, user VARCHAR, amount INT)
    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE TABLE spent AS SELECT user, SUM(amount) AS total FROM orders GROUP BY user;
  CREATE STREAM large AS SELECT * FROM orders WHERE amount > 100;
  INSERT INTO orders VALUES ('o1', 'ann', 5);";

/// An engine whose query SPENT finds no broker while the switch is on.
fn engine() -> (Arc<Engine>, Arc<AtomicBool>, MetricsServer) {
    let broken = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&broken);
    let faults = move |step, client: &str| {
        let hit = seen.load(Ordering::SeqCst) && step == Step::Poll && client.contains("SPENT");
        hit.then_some(Fault::Unavailable)
    };
    let broker = Arc::new(MemoryBroker::new().with_faults(Arc::new(faults)));
    let config = EngineConfig { service_id: "t".into(), ..EngineConfig::default() };
    let engine = Engine::start(config, broker, SystemClock::shared()).expect("an engine");
    engine.session().execute(QUERIES, &mut |_| Ok(())).expect("queries");
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = MetricsServer::bind(any, "t", SystemClock::shared()).expect("a port");
    server.show(engine.session());
    (engine, broken, server)
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
    let (engine, broken, server) = engine();
    let runs = "eddyline_query_state{service=\"t\",query=\"CTAS_SPENT_1\",state=\"RUNNING\"} 1";
    let other = "eddyline_query_state{service=\"t\",query=\"CSAS_LARGE_2\",state=\"RUNNING\"} 1";
    wait_for(
        &server,
        "/metrics",
        &[runs, other, "eddyline_query_rows_out_total{service=\"t\",query=\"CTAS_SPENT_1\"} 1"],
    );
    wait_for(&server, "/health", &["200 OK", "\"status\":\"ok\""]);
    broken.store(true, Ordering::SeqCst);
    let reason = "\"query\":\"CTAS_SPENT_1\",\"state\":\"ERROR\",\"reason\":\"no answer at Poll (injected fault)\"";
    let ill = wait_for(&server, "/health", &["503 Service Unavailable", reason, "\"retry_in_ms\":"]);
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
    assert!(state.starts_with("ERROR: no answer at Poll (injected fault); tr"), "{state}");
    broken.store(false, Ordering::SeqCst);
    wait_for(&server, "/health", &["200 OK"]);
    let well = wait_for(&server, "/metrics", &[runs, other]);
    assert!(well.contains("eddyline_query_session_failures_total{service=\"t\",query=\"CSAS_LARGE_2\"} 0\n"), "{well}");
    drop(server);
    engine.shutdown();
}

#[test]
fn metrics_do_not_wait_for_statements() {
    let (engine, _, server) = engine();
    let held = engine.lock();
    wait_for(&server, "/metrics", &["query=\"CTAS_SPENT_1\",state=\"RUNNING\"} 1"]);
    wait_for(&server, "/health", &["\"query\":\"CSAS_LARGE_2\",\"state\":\"RUNNING\""]);
    drop(held);
    drop(server);
    engine.shutdown();
}
