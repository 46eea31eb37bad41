//! How many events a CPU-second of our process takes.
//!
//! - `cargo bench --bench throughput -- kafka QUERY BOOTSTRAP [PREFIX]` runs one query of the peer bench (`q_filter`,
//!   `q_filter_all`, `q_revenue`, `q_failed`, `q_enrich`, `q_join`) from topics `PREFIXorders`, `PREFIXpayments` and
//!   `PREFIXusers` to a topic of its own, with the engine's defaults (exactly once, commits every 100 ms), until
//!   everything is read and committed. The last line is JSON.
//! - `cargo bench --bench throughput -- local [ROUNDS]` decodes, computes and encodes the same records in memory,
//!   without Kafka: nanoseconds a record for each part.
//!
//! CPU is user and system time of the process, from start to end: librdkafka's threads count.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arrow::array::{ArrayRef, RecordBatch};
use eddyline::broker::kafka::KafkaBroker;
use eddyline::broker::{Broker, TopicPartition};
use eddyline::change::{RecordSet, Slots};
use eddyline::engine::{Engine, EngineConfig, Outcome};
use eddyline::expr::{Scope, compile};
use eddyline::format::{Side, decoder, encoder};
use eddyline::sql::parse_expr;
use eddyline::time::SystemClock;
use eddyline::types::{Column, FormatSpec, SqlType};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    match args.first().map(String::as_str) {
        Some("kafka") if args.len() >= 3 => kafka(&args[1], &args[2], args.get(3).map_or("", String::as_str)),
        Some("local") | None => local(args.get(1).and_then(|n| n.parse().ok()).unwrap_or(50)),
        _ => {
            eprintln!("usage: throughput kafka QUERY BOOTSTRAP [PREFIX] | local [ROUNDS]");
            std::process::exit(2);
        }
    }
}

/// Sources and statement of a query; `{p}` is the prefix of input topics, `{o}` the output topic.
fn statements(query: &str) -> (&'static [&'static str], &'static str) {
    const ORDERS: &str = "CREATE STREAM orders (k VARCHAR KEY, order_id VARCHAR, user_id VARCHAR, product_id VARCHAR, \
        amount DOUBLE, quantity INT, status VARCHAR, ts BIGINT) WITH (KAFKA_TOPIC = '{p}orders', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');";
    const PAYMENTS: &str = "CREATE STREAM payments (k VARCHAR KEY, payment_id VARCHAR, order_id VARCHAR, user_id VARCHAR, \
        amount DOUBLE, status VARCHAR, method VARCHAR, ts BIGINT) WITH (KAFKA_TOPIC = '{p}payments', VALUE_FORMAT = 'JSON', TIMESTAMP = 'ts');";
    const USERS: &str = "CREATE TABLE users (user_id VARCHAR PRIMARY KEY, name VARCHAR, country VARCHAR, tier VARCHAR) \
        WITH (KAFKA_TOPIC = '{p}users', VALUE_FORMAT = 'JSON');";
    match query {
        "q_filter" => (
            &[ORDERS],
            "CREATE STREAM result WITH (KAFKA_TOPIC = '{o}') AS SELECT k, order_id, user_id, amount FROM orders WHERE amount > 900;",
        ),
        "q_filter_all" => (
            &[ORDERS],
            "CREATE STREAM result WITH (KAFKA_TOPIC = '{o}') AS SELECT k, order_id, user_id, amount * quantity AS total FROM orders;",
        ),
        "q_revenue" => (
            &[ORDERS],
            "CREATE TABLE result WITH (KAFKA_TOPIC = '{o}') AS SELECT product_id, COUNT(*) AS orders, SUM(amount * quantity) AS revenue \
             FROM orders WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 5 MINUTES) GROUP BY product_id;",
        ),
        "q_failed" => (
            &[PAYMENTS],
            "CREATE TABLE result WITH (KAFKA_TOPIC = '{o}') AS SELECT user_id, COUNT(*) AS failures FROM payments \
             WINDOW TUMBLING (SIZE 5 MINUTES, GRACE PERIOD 5 MINUTES) WHERE status = 'FAILED' GROUP BY user_id HAVING COUNT(*) >= 3;",
        ),
        "q_enrich" => (
            &[ORDERS, USERS],
            "CREATE STREAM result WITH (KAFKA_TOPIC = '{o}') AS SELECT o.user_id AS user_id, o.order_id AS order_id, o.amount AS amount, \
             u.name AS name, u.tier AS tier FROM orders o LEFT JOIN users u ON o.user_id = u.user_id;",
        ),
        "q_join" => (
            &[ORDERS, PAYMENTS],
            "CREATE STREAM result WITH (KAFKA_TOPIC = '{o}') AS SELECT o.k AS k, o.order_id AS order_id, o.amount AS amount, p.status AS status \
             FROM orders o JOIN payments p WITHIN 5 MINUTES GRACE PERIOD 5 MINUTES ON o.k = p.k;",
        ),
        other => panic!("no query {other}"),
    }
}

fn kafka(query: &str, bootstrap: &str, prefix: &str) {
    let started = Instant::now();
    let broker: Arc<dyn Broker> = Arc::new(KafkaBroker::connect(bootstrap, &Default::default()).expect("a broker"));
    let (sources, statement) = statements(query);
    let run = format!("bench{}", std::process::id());
    let output = format!("{run}-{query}");
    let mut expected = 0;
    for (word, topic) in [("orders (", "orders"), ("payments (", "payments"), ("users (", "users")] {
        if sources.iter().any(|source| source.contains(word)) {
            let topic = format!("{prefix}{topic}");
            for partition in 0..broker.topic(&topic).expect("metadata").expect("the topic").partitions {
                let (first, end) = broker.offsets(&TopicPartition::new(topic.as_str(), partition)).expect("offsets");
                expected += (end - first) as u64;
            }
        }
    }
    let workers = std::env::var("WORKERS").ok().and_then(|n| n.parse().ok()).unwrap_or(2);
    let mut config = EngineConfig { service_id: run, workers, ..EngineConfig::default() };
    for pair in std::env::var("PROPERTIES").unwrap_or_default().split(',').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').expect("PROPERTIES=key=value,…");
        config.properties.insert(key.to_owned(), value.to_owned());
    }
    let engine = Engine::start(config, broker.clone(), SystemClock::shared()).expect("an engine");
    let mut session = engine.session();
    let mut execute = |text: &str| {
        let text = text.replace("{p}", prefix).replace("{o}", &output);
        session.execute(&text, &mut |_: Outcome| Ok(())).unwrap_or_else(|error| panic!("{error}"));
    };
    sources.iter().for_each(|source| execute(source));
    execute(statement);
    let mut still = 0;
    while still < 5 {
        std::thread::sleep(Duration::from_millis(100));
        let status = &engine.queries()[0];
        still = if status.lag == 0 && status.rows_in >= expected { still + 1 } else { 0 };
        assert!(started.elapsed() < Duration::from_secs(600), "{status:?}");
    }
    let status = engine.queries().swap_remove(0);
    engine.shutdown();
    let cpu = cpu_seconds();
    println!(
        "{{\"query\":\"{query}\",\"rows_in\":{expected},\"rows_processed\":{},\"rows_out\":{},\"late\":{},\"errors\":{},\
         \"wall_s\":{:.2},\"cpu_s\":{cpu:.2},\"events_per_cpu_s\":{:.0}}}",
        status.rows_in,
        status.rows_out,
        status.rows_late,
        status.errors,
        started.elapsed().as_secs_f64(),
        expected as f64 / cpu,
    );
    if std::env::var("KEEP").is_err() {
        let own = broker
            .topics()
            .expect("topics")
            .into_iter()
            .filter(|topic| topic.name.contains(&format!("bench{}", std::process::id())));
        own.for_each(|topic| drop(broker.delete_topic(&topic.name)));
    }
}

/// User and system time of this process.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    let fields: Vec<&str> = stat.rsplit(')').next().expect("fields").split_whitespace().collect();
    let ticks: u64 = fields[11..13].iter().map(|ticks| ticks.parse::<u64>().expect("a number")).sum();
    ticks as f64 / 100.0
}

fn local(rounds: usize) {
    let columns = [
        ("ORDER_ID", SqlType::String),
        ("USER_ID", SqlType::String),
        ("PRODUCT_ID", SqlType::String),
        ("AMOUNT", SqlType::Double),
        ("QUANTITY", SqlType::Int),
        ("STATUS", SqlType::String),
        ("TS", SqlType::BigInt),
    ]
    .map(|(name, ty)| Column::value(name, ty));
    let mut set = RecordSet::new(Arc::from("orders"), 0);
    for i in 0..8192i64 {
        let value = format!(
            r#"{{"order_id":"o{i}","user_id":"u{}","product_id":"p{}","amount":{}.{:02},"quantity":{},"status":"CREATED","ts":{}}}"#,
            i * 7919 % 10_000,
            i * 104_729 % 1000,
            i * 31 % 1000,
            i % 100,
            1 + i % 5,
            1_700_000_000_000 + i
        );
        set.push(i, 1_700_000_000_000 + i, Some(format!("o{i}").as_bytes()), Some(value.as_bytes()), Vec::new());
    }
    let json = FormatSpec::new("JSON", true);
    let wanted: Vec<bool> =
        columns.iter().map(|c| matches!(c.name.as_str(), "ORDER_ID" | "USER_ID" | "AMOUNT" | "QUANTITY")).collect();
    let used: Vec<Column> = columns.iter().zip(&wanted).filter(|(_, w)| **w).map(|(c, _)| c.clone()).collect();
    let mut decode = decoder(&json, Side::Value, &columns, &wanted).expect("a decoder");
    let schema = eddyline::types::LogicalSchema::new(used.clone(), false).arrow();
    let predicate = compile(&parse_expr("AMOUNT > 900").expect("KSQL"), &Scope::of(&used)).expect("an expression");
    let product = compile(&parse_expr("AMOUNT * QUANTITY").expect("KSQL"), &Scope::of(&used)).expect("an expression");
    let mut encode = encoder(&json, Side::Value, &used).expect("an encoder");
    let (mut read, mut computed, mut written) = (0.0, 0.0, 0.0);
    let mut out = Slots::default();
    let mut kept = 0;
    for _ in 0..rounds {
        let start = cpu_clock();
        let decoded = decode.decode(set.values.view(0..set.len())).expect("decoded");
        let between = cpu_clock();
        let batch = RecordBatch::try_new(schema.clone(), decoded.columns).expect("a batch");
        let mut errors = Vec::new();
        kept += predicate.evaluate_predicate(&batch, &mut errors).expect("a mask").true_count();
        product.evaluate(&batch, &mut errors).expect("an array");
        let after = cpu_clock();
        out.clear();
        let arrays: Vec<ArrayRef> = batch.columns().to_vec();
        encode.encode(&arrays, batch.num_rows(), None, &mut out).expect("encoded");
        read += (between - start).as_secs_f64();
        computed += (after - between).as_secs_f64();
        written += after.elapsed().as_secs_f64();
    }
    let records = (rounds * set.len()) as f64;
    let ns = |seconds: f64| seconds * 1e9 / records;
    println!(
        "{{\"records\":{records},\"kept\":{kept},\"decode_ns\":{:.0},\"operator_ns\":{:.0},\"encode_ns\":{:.0}}}",
        ns(read),
        ns(computed),
        ns(written)
    );
}

/// One thread does nothing but this, so wall time is its CPU time as far as the machine is quiet.
fn cpu_clock() -> Instant {
    Instant::now()
}
