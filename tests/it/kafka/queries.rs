//! `eddyline run queries/` as a process: four partitions, two workers, outside producer and reader, `kill -9`.
//!
//! The test computes every result from the input on its own and compares with what `read_committed` shows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Process, delete_topics, fresh_topics, produce, read_committed, read_json, wait_for};

const INPUTS: [&str; 5] = ["orders", "users", "payments", "checkout", "payment"];
const OUTPUTS: [&str; 9] = [
    "revenue_lines",
    "aggregated_revenue",
    "large_orders",
    "failed_payments",
    "frequent_failed_payments",
    "frequent_failed_payments_live",
    "payment_by_checkout",
    "payment_outcome",
    "payment_decision",
];
/// Start of the input's event time, at a full five minutes.
const START: i64 = 1_700_000_100_000;

type Record = (Option<String>, String, i64);

/// Small reproducible dice.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % below
    }
}

fn iso(ms: i64) -> String {
    chrono::DateTime::from_timestamp_millis(ms).expect("a time").format("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

fn text(value: &Value, field: &str) -> String {
    match &value[field] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The input of the whole test, and what must come of it.
#[derive(Default)]
struct Expected {
    users: Vec<Record>,
    orders: Vec<Record>,
    payments: Vec<Record>,
    checkouts: Vec<Record>,
    payment: Vec<Record>,
    large: Vec<String>,
    failed: Vec<String>,
    /// Account and minute to orders and revenue in cents.
    revenue: BTreeMap<(String, i64), (i64, i64)>,
    /// User to failures.
    frequent: BTreeMap<String, i64>,
    /// Checkout to status.
    decided: BTreeMap<String, &'static str>,
}

/// All event times lie within four and a half minutes, so that nothing is late whatever partition is read first.
fn make(seed: u64) -> Expected {
    let mut dice = Dice(seed);
    let mut expected = Expected::default();
    for user in 0..50 {
        let value =
            json!({"user_id": format!("u{user}"), "name": "n", "country": format!("C{}", user % 5), "tier": "GOLD"});
        expected.users.push((Some(format!("u{user}")), value.to_string(), START - 60_000));
    }
    for i in 0..6000i64 {
        let ts = START + i * 40 - dice.roll(2000) as i64;
        let (user, cents) = (format!("u{}", dice.roll(50)), 100 + dice.roll(90_000) as i64);
        let status = if dice.roll(10) == 0 { "CANCELLED" } else { "CREATED" };
        let amount = format!("{}.{:02}", cents / 100, cents % 100);
        let id = format!("o{i}");
        let value = format!(
            r#"{{"order_id":"{id}","user_id":"{user}","product_id":"p1","amount":{amount},"quantity":1,"status":"{status}","timestamp":{ts}}}"#
        );
        // One in 500 cannot be read.
        if dice.roll(500) == 0 {
            expected.orders.push((Some(id), "{not json".to_owned(), ts));
            continue;
        }
        if cents > 50_000 {
            expected.large.push(id.clone());
        }
        if status != "CANCELLED" {
            for account in [user, "TOTAL".to_owned()] {
                let entry = expected.revenue.entry((account, ts - ts.rem_euclid(60_000))).or_default();
                *entry = (entry.0 + 1, entry.1 + cents);
            }
        }
        expected.orders.push((Some(id), value, ts));
    }
    for i in 0..3000i64 {
        let ts = START + i * 80;
        let user = format!("u{}", dice.roll(200));
        let status = if dice.roll(8) == 0 { "FAILED" } else { "DONE" };
        let id = format!("y{i}");
        let value = json!({"payment_id": id, "order_id": format!("o{i}"), "user_id": user, "amount": 12.5,
            "status": status, "method": "CARD", "timestamp": ts});
        if status == "FAILED" {
            expected.failed.push(id.clone());
            *expected.frequent.entry(user).or_default() += 1;
        }
        expected.payments.push((Some(id), value.to_string(), ts));
    }
    expected.frequent.retain(|_, failures| *failures >= 3);
    let mut messages = Vec::new();
    for i in 0..800i64 {
        let (id, ts) = (format!("c{i}"), START + i * 100);
        let mut say = |status: &str, ts: i64, times: u64| {
            let value = json!({"checkout_id": id, "timestamp": iso(ts), "payment_status": status, "total_price": 5});
            (0..times).for_each(|_| messages.push((Some(id.clone()), value.to_string(), ts)));
        };
        let repeats = 1 + u64::from(i % 7 == 0);
        let status = match i % 4 {
            0 => {
                say("done", ts, repeats);
                "done"
            }
            1 => {
                say("waiting", ts, repeats);
                say("done", ts + 120_000, repeats);
                "done"
            }
            2 => {
                say("waiting", ts, repeats);
                "failed"
            }
            _ => {
                say("waiting", ts, 1);
                say("refused", ts + 60_000, repeats);
                "failed"
            }
        };
        expected.decided.insert(id.clone(), status);
        let checkout = json!({"checkout_id": id, "timestamp": iso(ts), "status": "open", "user_id": "u1",
            "items": [{"item_id": "i1", "quantity": 1, "price": 5}], "total_price": 5});
        expected.checkouts.push((Some(id.clone()), checkout.to_string(), ts));
    }
    messages.sort_by_key(|(_, _, ts)| *ts);
    expected.payment = messages;
    expected
}

/// Records far later than all others, in every partition: what was open closes.
fn closing() -> (Vec<Record>, Vec<Record>) {
    let ts = START + 3_600_000;
    let payments = (0..64).map(|i| {
        let value = json!({"payment_id": format!("z{i}"), "order_id": "z", "user_id": format!("closing-{i}"),
            "amount": 1, "status": "FAILED", "method": "CARD", "timestamp": ts});
        (Some(format!("z{i}")), value.to_string(), ts)
    });
    let checkouts = (0..64).map(|i| {
        let value = json!({"checkout_id": format!("closing-{i}"), "timestamp": iso(ts), "payment_status": "done"});
        (Some(format!("z{i}")), value.to_string(), ts)
    });
    (payments.collect(), checkouts.collect())
}

fn check(expected: &Expected) {
    let mut large: Vec<String> = read_json("large_orders").iter().map(|v| text(v, "ORDER_ID")).collect();
    let mut wanted = expected.large.clone();
    large.sort();
    wanted.sort();
    assert_eq!(large, wanted, "large_orders");

    let failed = read_json("failed_payments");
    let mut failed: Vec<String> =
        failed.iter().map(|v| text(v, "PAYMENT_ID")).filter(|id| !id.starts_with('z')).collect();
    let mut wanted = expected.failed.clone();
    failed.sort();
    wanted.sort();
    assert_eq!(failed, wanted, "failed_payments");

    assert_eq!(revenue_seen(), expected.revenue, "aggregated_revenue");

    let mut frequent: BTreeMap<String, i64> = BTreeMap::new();
    for seen in read_committed("frequent_failed_payments") {
        let key = seen.key.expect("a key");
        let user = String::from_utf8_lossy(&key[..key.len() - 8]).into_owned();
        let value: Value = serde_json::from_str(&seen.value.expect("no window is taken back")).expect("JSON");
        let failures = value["FAILURES"].as_i64().expect("a number");
        assert!(frequent.insert(user.clone(), failures).is_none(), "{user}'s window was final twice");
    }
    assert_eq!(frequent, expected.frequent, "frequent_failed_payments");

    let mut decided: BTreeMap<String, String> = BTreeMap::new();
    for value in read_json("order") {
        let id = text(&value, "payment_id");
        if !id.starts_with("closing") {
            assert!(decided.insert(id.clone(), text(&value, "status")).is_none(), "{id} has two orders");
        }
    }
    let wanted: BTreeMap<String, String> =
        expected.decided.iter().map(|(id, status)| (id.clone(), (*status).to_owned())).collect();
    assert_eq!(decided, wanted, "order");
}

/// Newest row per account and minute.
fn revenue_seen() -> BTreeMap<(String, i64), (i64, i64)> {
    let mut rows = BTreeMap::new();
    for seen in read_committed("aggregated_revenue") {
        let key = seen.key.expect("a key");
        let (account, start) = key.split_at(key.len() - 8);
        let start = i64::from_be_bytes(start.try_into().expect("8 bytes"));
        let value = seen.value.expect("no row is taken back");
        let row: Value = serde_json::from_str(&value).expect("JSON");
        let revenue: f64 = row["REVENUE"].as_f64().expect("a number");
        let orders = row["ORDERS"].as_i64().expect("a number");
        rows.insert((String::from_utf8_lossy(account).into_owned(), start), (orders, (revenue * 100.0).round() as i64));
    }
    rows
}

#[test]
fn four_queries_survive_kill_9_without_loss_or_repetition() {
    let topics: Vec<&str> = INPUTS.iter().chain(&OUTPUTS).copied().chain(["order"]).collect();
    delete_topics(&topics);
    fresh_topics(&INPUTS, 4);
    let expected = make(42);
    let service = format!("test{}", std::process::id());
    let queries = concat!(env!("CARGO_MANIFEST_DIR"), "/queries");
    let args = ["run", queries, "--workers", "2", "--service-id", &service, "--log-level", "warn"];
    produce("users", &expected.users);
    let process = Process::start(&args);

    // The first half arrives while it runs; it is killed in the middle of the second.
    let halves = |records: &[Record]| {
        let (first, second) = records.split_at(records.len() / 2);
        (first.to_vec(), second.to_vec())
    };
    let inputs = [
        ("orders", halves(&expected.orders)),
        ("payments", halves(&expected.payments)),
        ("checkout", halves(&expected.checkouts)),
        ("payment", halves(&expected.payment)),
    ];
    inputs.iter().for_each(|(topic, (first, _))| produce(topic, first));
    wait_for("the first results", 90, || {
        let written = |topic: &str| !read_if_there(topic).is_empty();
        written("large_orders") && written("failed_payments") && written("order") && written("aggregated_revenue")
    });
    inputs.iter().for_each(|(topic, (_, second))| produce(topic, second));
    process.kill();
    let process = Process::start(&args);
    std::thread::sleep(Duration::from_millis(1500));
    process.kill();

    let process = Process::start(&args);
    let large: BTreeSet<&String> = expected.large.iter().collect();
    wait_for("all large orders and failed payments", 150, || {
        let failed = read_json("failed_payments").len();
        read_json("large_orders").len() >= large.len() && failed >= expected.failed.len()
    });
    wait_for("all messages by checkout", 150, || read_json("payment_by_checkout").len() >= expected.payment.len());
    wait_for("the revenue", 150, || revenue_seen() == expected.revenue);
    let (payments, checkouts) = closing();
    produce("payments", &payments);
    produce("payment", &checkouts);
    wait_for("all windows closed", 150, || {
        read_committed("frequent_failed_payments").len() >= expected.frequent.len()
            && read_json("order").len() >= expected.decided.len() + checkouts.len()
    });
    check(&expected);
    process.terminate();

    // A third start finds everything done and adds nothing.
    let process = Process::start(&args);
    std::thread::sleep(Duration::from_secs(5));
    check(&expected);
    process.terminate();
}

fn read_if_there(topic: &str) -> Vec<super::world::Seen> {
    if super::world::exists(topic) { read_committed(topic) } else { Vec::new() }
}
