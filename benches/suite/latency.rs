//! How long a record takes from the producer through a stateless query to a `read_committed` consumer.
//!
//! The producer stamps each record with the time at which it was due, not at which it was sent: a producer or a query
//! that cannot keep up shows as latency. Producer, consumer, broker and query share the machine.

use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

use super::data::{PARTITIONS, create};
use super::engine::World;
use super::options::Options;
use super::process::Program;

/// What is sent before the measurement begins.
const WARM_UP: Duration = Duration::from_secs(3);
/// How often the producer sends what is due.
const TICK: Duration = Duration::from_millis(1);
/// How long records may still be on their way after the last one was sent.
const PATIENCE: Duration = Duration::from_secs(20);

const QUERY: &str = "CREATE STREAM latency_in (k VARCHAR KEY, due_us BIGINT, text VARCHAR)
  WITH (KAFKA_TOPIC = '${input}', VALUE_FORMAT = 'JSON');
CREATE STREAM latency_out WITH (KAFKA_TOPIC = '${output}') AS
  SELECT k, due_us, text FROM latency_in WHERE due_us > 0;
";

/// Measures and prints.
pub fn run(world: &World, options: &Options) -> bool {
    let seconds = Duration::from_secs(options.number("seconds", 10));
    println!("| guarantee | commit ms | events/s | p50 ms | p99 ms | max ms | received | CPU s a second |");
    println!("|---|--:|--:|--:|--:|--:|--:|--:|");
    let mut all_right = true;
    for guarantee in options.guarantees() {
        for commit_ms in options.numbers("commit", &[10, 100, 1000]) {
            for rate in options.numbers("rate", &[1_000, 20_000, 100_000]) {
                all_right &= one(world, &guarantee, commit_ms, rate, seconds);
            }
        }
    }
    all_right
}

fn one(world: &World, guarantee: &str, commit_ms: u64, rate: u64, seconds: Duration) -> bool {
    let run = world.deployment().set("processing.guarantee", guarantee).set("commit.interval.ms", commit_ms);
    let (input, output) = (format!("{}-in", run.id), run.output());
    create(&world.broker, &input, PARTITIONS);
    create(&world.broker, &output, PARTITIONS);
    let file = run.folder("query").join("latency.sql");
    std::fs::write(&file, QUERY).expect("a file");
    let program = Program::start(&mut run.command(&file, &[("input", &input), ("output", &output)], "a"));
    // Processes of one machine share this clock; times go through the topic as microseconds since here.
    let clock = Instant::now();
    let now_us = || clock.elapsed().as_micros() as i64;
    let (sent_all, from_us) = (AtomicBool::new(false), AtomicI64::new(i64::MAX));
    let mut taken: Vec<u32> = Vec::with_capacity((rate * seconds.as_secs()) as usize);
    let wanted = rate * seconds.as_secs();
    let mut cpu_s = 0.0;
    thread::scope(|scope| {
        let producer = scope.spawn(|| {
            // The first result shows that the query runs.
            let warm = (rate as f64 * WARM_UP.as_secs_f64()) as u64;
            produce(world, &input, 1_000, 3_000, &clock);
            thread::sleep(Duration::from_secs(2));
            produce(world, &input, rate, warm, &clock);
            from_us.store(now_us(), Ordering::SeqCst);
            let before = program.cpu_s();
            produce(world, &input, rate, wanted, &clock);
            let used = (program.cpu_s() - before) / seconds.as_secs_f64();
            sent_all.store(true, Ordering::SeqCst);
            used
        });
        let consumer = consumer(world, &output);
        let mut last_news = Instant::now();
        while (taken.len() as u64) < wanted {
            match consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    last_news = Instant::now();
                    let due = due_us(message.payload().unwrap_or_default());
                    if due >= from_us.load(Ordering::Relaxed) {
                        taken.push((now_us() - due).max(0) as u32);
                    }
                }
                Some(Err(error)) => panic!("reading {output}: {error}"),
                None if sent_all.load(Ordering::SeqCst) && last_news.elapsed() > PATIENCE => break,
                None => assert!(last_news.elapsed() < PATIENCE * 6, "no results\n{}", program.said()),
            }
        }
        cpu_s = producer.join().expect("the producer");
    });
    program.terminate();
    taken.sort_unstable();
    let at = |part: f64| taken.get(((taken.len() as f64 * part) as usize).min(taken.len().saturating_sub(1)));
    let ms = |part| at(part).map_or(f64::NAN, |us| f64::from(*us) / 1000.0);
    println!(
        "| {guarantee} | {commit_ms} | {rate} | {:.1} | {:.1} | {:.1} | {} of {wanted} | {cpu_s:.2} |",
        ms(0.5),
        ms(0.99),
        ms(1.0),
        taken.len(),
    );
    taken.len() as u64 == wanted
}

/// Sends so many records at that rate.
fn produce(world: &World, topic: &str, rate: u64, count: u64, clock: &Instant) {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.bootstrap).set("linger.ms", "1").set("acks", "1");
    config.set("queue.buffering.max.messages", "1000000");
    let producer: BaseProducer = config.create().expect("a producer");
    let start_us = clock.elapsed().as_micros() as i64;
    let mut sent = 0;
    while sent < count {
        let elapsed = clock.elapsed().as_micros() as i64 - start_us;
        let due = ((elapsed as f64 * rate as f64 / 1e6) as u64).min(count);
        while sent < due {
            let due_us = start_us + (sent as f64 * 1e6 / rate as f64) as i64;
            let value = format!(r#"{{"due_us":{due_us},"text":"{:0>80}"}}"#, sent);
            let key = format!("k{}", sent % 1000);
            let partition = (sent % PARTITIONS as u64) as i32;
            let record = BaseRecord::to(topic).partition(partition).key(&key).payload(&value);
            match producer.send(record) {
                Ok(()) => sent += 1,
                Err(_) => {
                    producer.poll(TICK);
                }
            }
        }
        producer.poll(Duration::ZERO);
        thread::sleep(TICK);
    }
    producer.flush(PATIENCE).expect("everything written");
}

/// Reads what is committed, from the beginning.
pub fn consumer(world: &World, topic: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &world.bootstrap).set("group.id", "bench-latency");
    config.set("enable.auto.commit", "false").set("isolation.level", "read_committed");
    config.set("fetch.wait.max.ms", "500").set("fetch.min.bytes", "1");
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&list).expect("an assignment");
    consumer
}

fn due_us(value: &[u8]) -> i64 {
    let text = std::str::from_utf8(value).unwrap_or_default();
    let digits = text.split_once("\"DUE_US\":").map_or("", |(_, rest)| rest);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    digits[..end].parse().unwrap_or(-1)
}
