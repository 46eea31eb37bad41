//! The workload: orders, payments and users, the same at every time and place, and the right answers of the queries.

use std::time::Duration;

use eddyline::broker::murmur2::partition_for;
use eddyline::broker::{Broker, OutRecord, ProducerOptions, TopicPartition, TopicSpec};

pub const PARTITIONS: i32 = 4;
pub const USERS: u64 = 10_000;
/// Event time of the first order; the others follow a millisecond apart.
const START_MS: i64 = 1_699_999_980_000;
const TIERS: [&str; 3] = ["GOLD", "SILVER", "BRONZE"];
/// Records between two waits for the broker.
const CHUNK: u64 = 20_000;

/// What the data looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Orders, and as many payments.
    pub records: u64,
    /// Distinct products.
    pub products: u64,
    /// Bytes that no query reads, in every order.
    pub pad: usize,
}

impl Shape {
    pub fn new(records: u64) -> Self {
        Self { records, products: 1000, pad: 0 }
    }

    /// In front of the names of its topics.
    pub fn prefix(&self) -> String {
        format!("bench-{}-{}-{}-", self.records, self.products, self.pad)
    }
}

/// An order and its payment.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    pub user: u32,
    pub product: u32,
    pub cents: u32,
    pub quantity: u8,
    pub ts: i64,
    pub paid: Paid,
    pub paid_ts: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paid {
    Done,
    Failed,
    Waiting,
}

impl Paid {
    pub fn name(self) -> &'static str {
        match self {
            Self::Done => "DONE",
            Self::Failed => "FAILED",
            Self::Waiting => "WAITING",
        }
    }
}

impl Order {
    pub fn amount(&self) -> f64 {
        f64::from(self.cents) / 100.0
    }
}

/// SplitMix64: dice that are the same in every version of everything.
struct Dice(u64);

impl Dice {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }
}

/// All orders; the number of an order is its place.
pub fn orders(shape: Shape) -> impl Iterator<Item = Order> {
    let mut dice = Dice(7);
    (0..shape.records).map(move |i| {
        let ts = START_MS + i as i64;
        Order {
            user: dice.below(USERS) as u32,
            cents: 100 + dice.below(99_900) as u32,
            product: dice.below(shape.products) as u32,
            quantity: 1 + dice.below(5) as u8,
            ts,
            paid: match dice.below(10) {
                0..7 => Paid::Done,
                7..9 => Paid::Failed,
                _ => Paid::Waiting,
            },
            paid_ts: ts + dice.below(120_000) as i64,
        }
    })
}

pub fn user_name(user: u64) -> String {
    format!("User Number {user}")
}

pub fn user_tier(user: u64) -> &'static str {
    TIERS[user as usize % 3]
}

/// The topics that a query reads, without their prefix.
pub fn inputs(query: &str) -> &'static [&'static str] {
    match query {
        "q_failed" => &["payments"],
        "q_enrich" => &["orders", "users"],
        "q_join" => &["orders", "payments"],
        _ => &["orders"],
    }
}

/// Makes sure that a topic holds the workload; returns how many records that is.
pub fn fill(broker: &dyn Broker, shape: Shape, topic: &str) -> u64 {
    let name = format!("{}{topic}", shape.prefix());
    let wanted = if topic == "users" { USERS } else { shape.records };
    if broker.topic(&name).expect("metadata").is_some() {
        if count(broker, &name) == wanted {
            return wanted;
        }
        // Left behind by a run that was ended.
        broker.delete_topic(&name).expect("a deleted topic");
        std::thread::sleep(Duration::from_secs(2));
    }
    create(broker, &name, PARTITIONS);
    eprintln!("writing {wanted} records to {name}");
    let options = ProducerOptions { client_id: "bench-data".into(), ..ProducerOptions::default() };
    let mut producer = broker.producer(&options).expect("a producer");
    let mut sent = 0u64;
    let mut send = |key: &str, value: &str, timestamp: i64| {
        if sent.is_multiple_of(CHUNK) {
            if sent > 0 {
                producer.commit(&[], None).expect("written records");
            }
            producer.begin().expect("a beginning");
        }
        sent += 1;
        let partition = partition_for(key.as_bytes(), PARTITIONS);
        let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
        producer.send(OutRecord { topic: &name, partition, key, value, timestamp, headers: &[] }).expect("a record");
    };
    let pad = match shape.pad {
        0 => String::new(),
        bytes => format!(",\"note\":\"{}\"", "x".repeat(bytes)),
    };
    match topic {
        "users" => (0..USERS).for_each(|user| {
            let value = format!(
                r#"{{"user_id":"u{user}","name":"{}","country":"C{}","tier":"{}"}}"#,
                user_name(user),
                user % 20,
                user_tier(user)
            );
            send(&format!("u{user}"), &value, START_MS);
        }),
        "orders" => orders(shape).enumerate().for_each(|(i, o)| {
            let value = format!(
                r#"{{"order_id":"o{i}","user_id":"u{}","product_id":"p{}","amount":{:?},"quantity":{},"status":"CREATED","ts":{}{pad}}}"#,
                o.user,
                o.product,
                o.amount(),
                o.quantity,
                o.ts
            );
            send(&format!("o{i}"), &value, o.ts);
        }),
        _ => orders(shape).enumerate().for_each(|(i, o)| {
            let value = format!(
                r#"{{"payment_id":"y{i}","order_id":"o{i}","user_id":"u{}","amount":{:?},"status":"{}","method":"{}","ts":{}}}"#,
                o.user,
                o.amount(),
                o.paid.name(),
                ["CARD", "PAYPAL", "BANK"][i % 3],
                o.paid_ts
            );
            send(&format!("o{i}"), &value, o.paid_ts);
        }),
    }
    producer.commit(&[], None).expect("written records");
    assert_eq!(count(broker, &name), wanted, "{name}");
    wanted
}

pub fn create(broker: &dyn Broker, name: &str, partitions: i32) {
    let config = vec![("retention.ms".to_owned(), "-1".to_owned())];
    let spec = TopicSpec { name: name.to_owned(), partitions, replicas: None, config };
    broker.create_topic(&spec).unwrap_or_else(|error| panic!("topic {name}: {error}"));
}

/// Records of a topic that nobody wrote to in transactions.
fn count(broker: &dyn Broker, name: &str) -> u64 {
    let partitions = broker.topic(name).expect("metadata").expect("the topic").partitions;
    let of = |partition| broker.offsets(&TopicPartition::new(name, partition)).expect("offsets");
    (0..partitions).map(of).map(|(first, end)| (end - first) as u64).sum()
}
