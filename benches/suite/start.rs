//! How soon results come, and what a process without work costs.

use std::time::{Duration, Instant};

use eddyline::engine::{Engine, EngineConfig, Outcome};
use eddyline::time::SystemClock;
use rdkafka::consumer::BaseConsumer;

use super::data::{PARTITIONS, Shape, create, fill};
use super::engine::{World, query_file};
use super::growth::copies;
use super::latency::consumer;
use super::process::Program;

const TIMES: usize = 5;
const QUERIES: usize = 20;
const RECORDS: u64 = 10_000;
const IDLE: Duration = Duration::from_secs(60);

/// Measures and prints.
pub fn run(world: &World) -> bool {
    let shape = Shape::new(RECORDS);
    fill(&world.broker, shape, "orders");
    println!("| what | median | worst of {TIMES} |");
    println!("|---|--:|--:|");
    line("process start to first row, a new deployment", cold(world, shape));
    line("process start to first row, a deployment that goes on", again(world, shape));
    line("CREATE STREAM … AS SELECT to first row", statement(world, shape));
    idle(world, shape);
    true
}

fn line(what: &str, mut taken: Vec<Duration>) {
    taken.sort();
    let ms = |at: usize| taken[at].as_secs_f64() * 1000.0;
    println!("| {what} | {:.0} ms | {:.0} ms |", ms(taken.len() / 2), ms(taken.len() - 1));
}

/// Until the consumer gets a record.
fn first_row(consumer: &BaseConsumer, started: Instant) -> Duration {
    let found = consumer.poll(Duration::from_secs(60)).expect("a result within a minute");
    found.expect("a record");
    started.elapsed()
}

/// A consumer that has looked at its empty topic, so that its own start does not count.
fn ready(world: &World, topic: &str) -> BaseConsumer {
    create(&world.broker, topic, PARTITIONS);
    let consumer = consumer(world, topic);
    assert!(consumer.poll(Duration::from_secs(1)).is_none(), "{topic} is empty");
    consumer
}

fn cold(world: &World, shape: Shape) -> Vec<Duration> {
    let one = |_| {
        let run = world.deployment();
        let output = run.output();
        let consumer = ready(world, &output);
        let defines = [("prefix", shape.prefix()), ("output", output)];
        let defines = defines.each_ref().map(|(name, value)| (*name, value.as_str()));
        let mut command = run.command(&query_file("q_filter"), &defines, "a");
        let started = Instant::now();
        let program = Program::start(&mut command);
        let taken = first_row(&consumer, started);
        program.terminate();
        taken
    };
    (0..TIMES).map(one).collect()
}

/// The deployment exists; its input got new records while it was away.
fn again(world: &World, shape: Shape) -> Vec<Duration> {
    let one = |_| {
        let run = world.deployment();
        let (input, output) = (format!("{}-in", run.id), run.output());
        create(&world.broker, &input, PARTITIONS);
        let consumer = ready(world, &output);
        let text = std::fs::read_to_string(query_file("q_filter")).expect("the query");
        let file = run.folder("query").join("query.sql");
        std::fs::write(&file, text.replace("${prefix}orders", &input)).expect("a file");
        run.until_caught_up(&file, &[("output", &output)]);
        // Something to read: a copy of the orders.
        let copy = world.deployment();
        let text = std::fs::read_to_string(query_file("q_filter")).expect("the query");
        let copied = copy.folder("query").join("copy.sql");
        let text = text.replace("k, order_id, user_id, amount", "*");
        std::fs::write(&copied, text.replace("WHERE amount > 900", "")).expect("a file");
        copy.until_caught_up(&copied, &[("prefix", &shape.prefix()), ("output", &input)]);
        let mut command = run.command(&file, &[("output", &output)], "a");
        let started = Instant::now();
        let program = Program::start(&mut command);
        let taken = first_row(&consumer, started);
        program.terminate();
        taken
    };
    (0..TIMES).map(one).collect()
}

/// Within a process that runs: the engine of this one.
fn statement(world: &World, shape: Shape) -> Vec<Duration> {
    let run = world.deployment();
    let broker = eddyline::broker::kafka::KafkaBroker::connect(&world.bootstrap, &Default::default());
    let broker = std::sync::Arc::new(broker.expect("a broker"));
    let config = EngineConfig { service_id: run.id.clone(), workers: 1, ..EngineConfig::default() };
    let engine = Engine::start(config, broker, SystemClock::shared()).expect("an engine");
    let mut session = engine.session();
    let text =
        std::fs::read_to_string(query_file("q_filter")).expect("the query").replace("${prefix}", &shape.prefix());
    let (sources, query) = text.split_once("CREATE STREAM result").expect("two statements");
    let mut execute = |text: &str| {
        session.execute(text, &mut |_: Outcome| Ok(())).unwrap_or_else(|error| panic!("{error}"));
    };
    execute(sources);
    let taken = (0..TIMES).map(|i| {
        let output = format!("{}-{i}", run.output());
        let consumer = ready(world, &output);
        let text = format!("CREATE STREAM result_{i}{}", query.replace("${output}", &output));
        let started = Instant::now();
        execute(&text);
        first_row(&consumer, started)
    });
    let taken = taken.collect();
    engine.shutdown();
    taken
}

/// Queries that have read everything and wait.
fn idle(world: &World, shape: Shape) {
    let run = world.deployment();
    let mut run = run;
    run.workers = 1;
    let folder = copies(&run, QUERIES, &shape.prefix(), &run.output());
    run.until_caught_up(&folder, &[]);
    let program = Program::start(&mut run.command(&folder, &[], "a"));
    std::thread::sleep(Duration::from_secs(20));
    let before = program.cpu_s();
    std::thread::sleep(IDLE);
    let used = program.cpu_s() - before;
    println!();
    println!(
        "{QUERIES} queries without work: {:.2} % of a core over {} s, {:.0} MB resident",
        used / IDLE.as_secs_f64() * 100.0,
        IDLE.as_secs(),
        program.resident_mb(),
    );
    program.terminate();
}
