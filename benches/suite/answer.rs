//! Whether an output topic holds the right answer, computed from the workload without the engine.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use eddyline::broker::{Broker, ConsumerOptions, Start, TopicPartition};
use serde::Deserialize;

use super::data::{Order, Paid, Shape, orders, user_name, user_tier};

/// A value of any of the queries; peers write names in lower case.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "UPPERCASE")]
struct Row {
    #[serde(alias = "order_id")]
    order_id: Option<String>,
    #[serde(alias = "user_id")]
    user_id: Option<String>,
    #[serde(alias = "amount")]
    amount: Option<f64>,
    #[serde(alias = "total")]
    total: Option<f64>,
    #[serde(alias = "name")]
    name: Option<String>,
    #[serde(alias = "tier")]
    tier: Option<String>,
    #[serde(alias = "status")]
    status: Option<String>,
    #[serde(alias = "orders", alias = "cnt", alias = "failures", alias = "FAILURES")]
    orders: Option<u64>,
    #[serde(alias = "revenue")]
    revenue: Option<f64>,
}

/// Rows that an output topic holds, and what is wrong with them.
#[derive(Debug, Clone)]
pub struct Verdict {
    pub rows: u64,
    pub wrong: Option<String>,
}

/// Reads the output topic to its end and compares.
pub fn check(broker: &dyn Broker, query: &str, shape: Shape, window_ms: i64, output: &str) -> Verdict {
    let all: Vec<Order> = orders(shape).collect();
    let (rows, wrong) = match query {
        "q_revenue" | "q_failed" => windows(broker, query, &all, window_ms, output),
        _ => single(broker, query, &all, output),
    };
    Verdict { rows, wrong }
}

/// Queries of at most one row an order.
fn single(broker: &dyn Broker, query: &str, all: &[Order], output: &str) -> (u64, Option<String>) {
    let mut seen = vec![0u8; all.len()];
    let mut wrong = None;
    let rows = read(broker, output, &mut |_, value| {
        let text = String::from_utf8_lossy(value.unwrap_or_default()).into_owned();
        let row: Row = serde_json::from_str(&text).unwrap_or_default();
        let number = row.order_id.as_deref().and_then(|id| id.strip_prefix('o')?.parse::<usize>().ok());
        let Some((i, order)) = number.and_then(|i| Some((i, all.get(i)?))) else {
            wrong.get_or_insert(format!("a row without an order: {text}"));
            return;
        };
        seen[i] = seen[i].saturating_add(1);
        let user = u64::from(order.user);
        let is_user = || row.user_id == Some(format!("u{user}"));
        let is_right = match query {
            "q_filter" => is_user() && row.amount == Some(order.amount()),
            "q_filter_all" => {
                let total = order.amount() * f64::from(order.quantity);
                is_user() && row.total.is_some_and(|found| (found - total).abs() < 1e-6)
            }
            "q_enrich" => {
                row.amount == Some(order.amount())
                    && row.name == Some(user_name(user))
                    && row.tier.as_deref() == Some(user_tier(user))
            }
            _ => row.amount == Some(order.amount()) && row.status.as_deref() == Some(order.paid.name()),
        };
        if !is_right {
            wrong.get_or_insert(format!("o{i}: {text}"));
        }
    });
    for (i, order) in all.iter().enumerate() {
        let expected = u8::from(query != "q_filter" || order.cents > 90_000);
        if seen[i] != expected {
            wrong.get_or_insert(format!("o{i} is there {} times, not {expected}", seen[i]));
        }
    }
    (rows, wrong)
}

/// Queries of a row a key and window: the last one of each counts.
fn windows(broker: &dyn Broker, query: &str, all: &[Order], window_ms: i64, output: &str) -> (u64, Option<String>) {
    let mut expected: HashMap<(String, i64), (u64, f64)> = HashMap::new();
    for order in all {
        let (key, ts, add) = match query {
            "q_revenue" => (format!("p{}", order.product), order.ts, order.amount() * f64::from(order.quantity)),
            _ if order.paid == Paid::Failed => (format!("u{}", order.user), order.paid_ts, 0.0),
            _ => continue,
        };
        let group = expected.entry((key, ts - ts.rem_euclid(window_ms))).or_default();
        *group = (group.0 + 1, group.1 + add);
    }
    if query == "q_failed" {
        expected.retain(|_, group| group.0 >= 3);
    }
    let mut found: HashMap<(String, i64), (u64, f64)> = HashMap::new();
    let mut wrong = None;
    let rows = read(broker, output, &mut |key, value| {
        let Some((name, start)) = key.split_last_chunk::<8>() else {
            wrong.get_or_insert(format!("key {key:?} of no window"));
            return;
        };
        // JSON keys are in quotes.
        let name = String::from_utf8_lossy(name).trim_matches('"').to_owned();
        let group = (name, i64::from_be_bytes(*start));
        match value {
            None => drop(found.remove(&group)),
            Some(value) => {
                let row: Row = serde_json::from_slice(value).unwrap_or_default();
                found.insert(group, (row.orders.unwrap_or_default(), row.revenue.unwrap_or_default()));
            }
        }
    });
    for (group, (count, sum)) in &expected {
        match found.get(group) {
            Some((n, total)) if n == count && (total - sum).abs() < 0.01 => {}
            other => drop(wrong.get_or_insert(format!("{group:?} is {other:?}, not {:?}", (count, sum)))),
        }
    }
    if found.len() > expected.len() {
        wrong.get_or_insert(format!("{} groups too many", found.len() - expected.len()));
    }
    (rows, wrong)
}

/// Every record that is committed, partition by partition in order; how many there are.
fn read(broker: &dyn Broker, topic: &str, each: &mut dyn FnMut(&[u8], Option<&[u8]>)) -> u64 {
    let partitions = broker.topic(topic).expect("metadata").expect("the output topic").partitions;
    let partitions: Vec<TopicPartition> = (0..partitions).map(|p| TopicPartition::new(topic, p)).collect();
    let mut consumer = broker.consumer(&ConsumerOptions { client_id: "bench-check".into(), ..Default::default() });
    let consumer = consumer.as_mut().expect("a consumer");
    let from: Vec<_> = partitions.iter().map(|p| (p.clone(), Start::Earliest)).collect();
    consumer.assign(&from).expect("an assignment");
    let mut next: HashMap<TopicPartition, i64> = HashMap::new();
    for partition in &partitions {
        next.insert(partition.clone(), broker.offsets(partition).expect("offsets").0);
    }
    let started = Instant::now();
    // The markers of the last transaction may still be on their way when its writer is gone.
    let is_decided =
        |p: &TopicPartition| broker.high_watermark(p).expect("offsets") == broker.offsets(p).expect("offsets").1;
    while !partitions.iter().all(is_decided) && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut rows = 0;
    loop {
        for set in consumer.poll(50_000, Duration::from_millis(50)).expect("records").sets {
            rows += set.len() as u64;
            for i in 0..set.len() {
                each(set.keys.get(i).unwrap_or_default(), set.values.get(i));
            }
            if let Some(last) = set.offsets.last() {
                next.insert(TopicPartition::new(set.topic.clone(), set.partition), last + 1);
            }
        }
        if next.iter().all(|(partition, next)| consumer.end_offset(partition).is_some_and(|end| *next >= end)) {
            return rows;
        }
        assert!(started.elapsed() < Duration::from_secs(300), "{topic} cannot be read to its end");
    }
}
