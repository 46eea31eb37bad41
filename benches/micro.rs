//! Nanoseconds a record of the parts, in memory and in one thread: `cargo bench --bench micro [-- PART]`.
//!
//! Decode, expressions, encode and the state's commit by themselves; then each query of `benches/queries` as a whole
//! without a broker, where aggregations and joins are what is left of it. The least of many rounds is what the code
//! costs, the median what this machine made of it at the moment.

use std::sync::Arc;
use std::time::Instant;

use arrow::array::RecordBatch;
use eddyline::broker::OutRecord;
use eddyline::broker::memory::MemoryBroker;
use eddyline::change::{ChangeBatch, RecordSet, Slots};
use eddyline::engine::{Engine, EngineConfig, Outcome};
use eddyline::error::Result;
use eddyline::expr::{Scope, compile};
use eddyline::format::{Side, decoder, encoder};
use eddyline::runtime::local::LocalExecution;
use eddyline::runtime::task::Output;
use eddyline::runtime::{Blueprint, QueryMetrics};
use eddyline::sql::parse_expr;
use eddyline::state::{MemoryBase, StateStore};
use eddyline::time::SystemClock;
use eddyline::types::{Column, FormatSpec, LogicalSchema, SqlType};

#[path = "suite/data.rs"]
#[allow(dead_code)]
mod data;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const RECORDS: u64 = 8192;
const ROUNDS: usize = 60;

fn main() {
    let wanted = std::env::args().skip(1).find(|arg| !arg.starts_with("--"));
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|wanted| name.contains(wanted.as_str()));
    println!("| part | ns a record, least | median |");
    println!("|---|--:|--:|");
    if is_wanted("parts") || is_wanted("decode encode expression") {
        parts();
    }
    if is_wanted("state commit") {
        state();
    }
    for query in ["q_filter", "q_filter_all", "q_revenue", "q_failed", "q_enrich", "q_join"] {
        if is_wanted(query) {
            whole(query);
        }
    }
}

/// Times of one part.
#[derive(Default)]
struct Times(Vec<f64>);

impl Times {
    fn add<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let done = std::hint::black_box(work());
        self.0.push(started.elapsed().as_secs_f64());
        done
    }

    fn line(mut self, name: &str, records: u64) {
        self.0.sort_by(f64::total_cmp);
        let ns = |at: usize| self.0[at] * 1e9 / records as f64;
        println!("| {name} | {:.0} | {:.0} |", ns(0), ns(self.0.len() / 2));
    }
}

/// The workload's records, as a consumer brings them.
fn records(topic: &str, round: u64) -> RecordSet {
    let mut set = RecordSet::new(Arc::from(topic), 0);
    // Every round has keys and times of its own, as a stream has.
    let offset = round * RECORDS;
    for (i, order) in data::orders(data::Shape::new(RECORDS)).enumerate() {
        let i = offset + i as u64;
        let (ts, paid_ts) = (order.ts + offset as i64, order.paid_ts + offset as i64);
        let (user, amount) = (order.user, order.amount());
        let (key, time, value) = match topic {
            "orders" => {
                let (product, quantity) = (order.product, order.quantity);
                let value = format!(
                    r#"{{"order_id":"o{i}","user_id":"u{user}","product_id":"p{product}","amount":{amount:?},"quantity":{quantity},"status":"CREATED","ts":{ts}}}"#
                );
                (format!("o{i}"), ts, value)
            }
            "payments" => {
                let status = order.paid.name();
                let value = format!(
                    r#"{{"payment_id":"y{i}","order_id":"o{i}","user_id":"u{user}","amount":{amount:?},"status":"{status}","method":"CARD","ts":{paid_ts}}}"#
                );
                (format!("o{i}"), paid_ts, value)
            }
            _ => {
                let name = data::user_name(i);
                let tier = data::user_tier(i);
                let value = format!(r#"{{"user_id":"u{i}","name":"{name}","country":"C1","tier":"{tier}"}}"#);
                (format!("u{i}"), ts, value)
            }
        };
        set.push(i as i64, time, Some(key.as_bytes()), Some(value.as_bytes()), Vec::new());
    }
    set
}

fn parts() {
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
    let set = records("orders", 0);
    let json = FormatSpec::new("JSON", true);
    let is_used = |column: &Column| matches!(column.name.as_str(), "ORDER_ID" | "USER_ID" | "AMOUNT" | "QUANTITY");
    let wanted: Vec<bool> = columns.iter().map(is_used).collect();
    let used: Vec<Column> = columns.iter().filter(|column| is_used(column)).cloned().collect();
    let mut four = decoder(&json, Side::Value, &columns, &wanted).expect("a decoder");
    let mut seven = decoder(&json, Side::Value, &columns, &[true; 7]).expect("a decoder");
    let schema = LogicalSchema::new(used.clone(), false).arrow();
    let expression = |text| compile(&parse_expr(text).expect("KSQL"), &Scope::of(&used)).expect("an expression");
    let (predicate, product) = (expression("AMOUNT > 900"), expression("AMOUNT * QUANTITY"));
    let mut encode = encoder(&json, Side::Value, &used).expect("an encoder");
    let mut out = Slots::default();
    let [mut all, mut some, mut filtered, mut computed, mut written] = [(); 5].map(|()| Times::default());
    for _ in 0..ROUNDS {
        all.add(|| seven.decode(set.values.view(0..set.len())).expect("decoded"));
        let decoded = some.add(|| four.decode(set.values.view(0..set.len())).expect("decoded"));
        let batch = RecordBatch::try_new(schema.clone(), decoded.columns).expect("a batch");
        let mut errors = Vec::new();
        filtered.add(|| predicate.evaluate_predicate(&batch, &mut errors).expect("a mask"));
        computed.add(|| product.evaluate(&batch, &mut errors).expect("an array"));
        out.clear();
        written.add(|| encode.encode(batch.columns(), batch.num_rows(), None, &mut out).expect("encoded"));
    }
    all.line("decode JSON, 7 of 7 columns", RECORDS);
    some.line("decode JSON, 4 of 7 columns", RECORDS);
    filtered.line("expression amount > 900", RECORDS);
    computed.line("expression amount * quantity", RECORDS);
    written.line("encode JSON, 4 columns", RECORDS);
}

/// Puts of as many keys as there are records, and their commit.
fn state() {
    let mut store = StateStore::new("bench", Box::new(MemoryBase::default()));
    let [mut put, mut commit, mut get] = [(); 3].map(|()| Times::default());
    let keys: Vec<[u8; 16]> =
        (0..RECORDS).map(|i| (u128::from(i) * 0x9e37_79b9_7f4a_7c15_f39c).to_be_bytes()).collect();
    for round in 0..ROUNDS {
        let value = [round as u8; 40];
        put.add(|| keys.iter().for_each(|key| store.put(key, &value)));
        commit.add(|| store.commit().expect("committed"));
        get.add(|| keys.iter().for_each(|key| drop(std::hint::black_box(store.get(key).expect("a value")))));
    }
    put.line("state put, 16 and 40 bytes", RECORDS);
    commit.line("state commit, a changed key", RECORDS);
    get.line("state get", RECORDS);
}

/// Takes everything and keeps nothing.
#[derive(Default)]
struct Nothing(u64);

impl Output for Nothing {
    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        self.0 += u64::from(record.value.is_some());
        Ok(())
    }

    fn collect(&mut self, _batch: &ChangeBatch) -> Result<()> {
        Ok(())
    }
}

/// A query from bytes to bytes, a commit each round.
fn whole(query: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/queries").join(format!("{query}.sql"));
    let text = std::fs::read_to_string(path).expect("the query");
    let broker = Arc::new(MemoryBroker::new());
    for topic in ["orders", "payments", "users"] {
        data::create(broker.as_ref(), topic, 1);
    }
    let clock = SystemClock::shared();
    let engine = Engine::start(EngineConfig::default(), broker, clock.clone()).expect("an engine");
    engine.session().execute(&text, &mut |_: Outcome| Ok(())).unwrap_or_else(|error| panic!("{error}"));
    let topology = engine.lock().interpreter.queries.values().next().expect("the query").topology.clone();
    engine.shutdown();
    let blueprint = Blueprint::new("q", topology, "q", &|_| Some(1)).expect("a blueprint");
    let metrics = Arc::new(QueryMetrics::new(1));
    let mut execution = LocalExecution::new(&blueprint, true, metrics, clock).expect("an execution");
    let (mut out, mut log) = (Nothing::default(), Vec::new());
    let mut inputs = data::inputs(query).to_vec();
    if inputs.contains(&"users") {
        execution.push(records("users", 0).into()).expect("users");
        execution.push(records("users", 1).into()).expect("users");
        execution.run(4096, &mut out, &mut log).expect("users");
        execution.commit(&mut out, &mut log).expect("users");
        inputs.retain(|topic| *topic != "users");
    }
    let mut times = Times::default();
    for round in 0..ROUNDS as u64 {
        let sets: Vec<RecordSet> = inputs.iter().map(|topic| records(topic, round)).collect();
        times.add(|| {
            sets.into_iter().for_each(|set| execution.push(set.into()).expect("records"));
            execution.run(4096, &mut out, &mut log).expect("results");
            execution.commit(&mut out, &mut log).expect("a commit");
        });
    }
    assert!(log.is_empty() && out.0 > 0, "{query}: {} results, {log:?}", out.0);
    times.line(&format!("{query}, bytes to bytes without a broker"), RECORDS * inputs.len() as u64);
}
