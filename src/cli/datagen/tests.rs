use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::*;
use crate::broker::memory::MemoryBroker;
use crate::broker::murmur2::partition_for;
use crate::broker::{Broker, ConsumerOptions, Start, TopicPartition};
use crate::time::{Clock, ManualClock};

fn records(kind: Kind, seed: u64, count: u64) -> Vec<Generated> {
    let pace = Pace { rate: 100, speed: 60.0, start_ms: 1_700_000_000_000, count: None };
    let mut shop = Shop::new(seed, kind);
    (0..count).map(|i| shop.next(pace.event_time(i))).collect()
}

fn fields(topic: &str) -> &'static [&'static str] {
    match topic {
        "orders" => &["order_id", "user_id", "product_id", "amount", "quantity", "status", "timestamp"],
        "payments" => &["payment_id", "order_id", "user_id", "amount", "status", "method", "timestamp"],
        "users" => &["user_id", "name", "country", "tier"],
        "checkout" => &["checkout_id", "timestamp", "status", "user_id", "items", "total_price"],
        "payment" => &["checkout_id", "timestamp", "payment_status", "total_price"],
        other => panic!("no such topic: {other}"),
    }
}

#[test]
fn one_seed_one_run() {
    assert_eq!(records(Kind::All, 7, 5_000), records(Kind::All, 7, 5_000));
    assert_ne!(records(Kind::All, 7, 500), records(Kind::All, 8, 500));
}

#[test]
fn nearly_all_records_are_sound_and_a_few_are_not() {
    let records = records(Kind::All, 1, 50_000);
    let mut broken = 0;
    for record in &records {
        let sound = match serde_json::from_str::<Json>(&record.value) {
            Ok(Json::Object(object)) => {
                let names: Vec<_> = object.keys().map(String::as_str).collect();
                names == fields(record.topic) && object.get("timestamp") != Some(&Json::from("yesterday"))
            }
            _ => false,
        };
        broken += usize::from(!sound);
    }
    assert!((50..150).contains(&broken), "{broken} of 50000");
    let topics: BTreeSet<_> = records.iter().map(|record| record.topic).collect();
    assert_eq!(topics, Kind::All.topics().iter().copied().collect());
}

#[test]
fn kinds_stay_in_their_topics() {
    for kind in [Kind::Orders, Kind::Payments, Kind::Checkouts, Kind::Users] {
        let topics: BTreeSet<_> = records(kind, 3, 2_000).iter().map(|record| record.topic).collect();
        assert_eq!(topics, kind.topics().iter().copied().collect(), "{kind:?}");
    }
}

#[test]
fn event_time_moves_on_with_disorder() {
    let records = records(Kind::Orders, 5, 10_000);
    let mut newest = 0;
    let (mut back, mut late) = (0, 0);
    for record in &records {
        back += i32::from(record.timestamp < newest);
        late += i32::from(record.timestamp < newest - 60_000);
        newest = newest.max(record.timestamp);
    }
    assert!(back > 500 && (20..150).contains(&late), "{back} out of order, {late} late");
}

#[test]
fn payments_of_checkouts_take_every_course() {
    let mut courses: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for record in records(Kind::Checkouts, 11, 20_000) {
        let entry = courses.entry(record.key.clone()).or_default();
        if let Ok(value) = serde_json::from_str::<Json>(&record.value)
            && let Some(status) = value["payment_status"].as_str()
        {
            entry.push((record.timestamp, status.to_owned()));
        }
    }
    let count = |wanted: &dyn Fn(&[(i64, String)]) -> bool| courses.values().filter(|course| wanted(course)).count();
    let became_done = |course: &[(i64, String)], within: std::ops::Range<i64>| {
        let waiting = course.iter().find(|(_, status)| status == "waiting");
        let done = course.iter().find(|(_, status)| status == "done");
        matches!((waiting, done), (Some((from, _)), Some((to, _))) if within.contains(&(to - from)))
    };
    assert!(count(&|course| became_done(course, 0..300_000)) > 500);
    assert!(count(&|course| became_done(course, 300_000..900_000)) > 50);
    assert!(count(&|course| course.len() == 1 && course[0].1 == "waiting") > 100);
    assert!(count(&|course| course.iter().any(|(_, status)| status == "failed")) > 300);
    assert!(count(&|course| course.windows(2).any(|pair| pair[0] == pair[1])) > 50, "nothing was repeated");
}

#[test]
fn some_users_fail_again_and_again() {
    let mut failures: BTreeMap<String, u32> = BTreeMap::new();
    for record in records(Kind::Payments, 2, 5_000) {
        if let Ok(value) = serde_json::from_str::<Json>(&record.value)
            && value["status"] == "FAILED"
        {
            *failures.entry(value["user_id"].to_string()).or_default() += 1;
        }
    }
    assert!(failures.values().filter(|count| **count >= 10).count() >= 5);
    assert!(failures.len() > 50);
}

#[test]
fn iso_timestamps_agree_with_the_record() {
    let mut without_zone = 0;
    for record in records(Kind::Checkouts, 1, 1_000) {
        let Ok(value) = serde_json::from_str::<Json>(&record.value) else { continue };
        let Some(text) = value["timestamp"].as_str().filter(|text| *text != "yesterday") else { continue };
        without_zone += usize::from(!text.ends_with('Z'));
        let at = chrono::NaiveDateTime::parse_from_str(text.trim_end_matches('Z'), "%Y-%m-%dT%H:%M:%S%.3f").unwrap();
        assert_eq!(at.and_utc().timestamp_millis(), record.timestamp);
    }
    assert!((50..200).contains(&without_zone), "{without_zone}");
}

#[test]
fn producing_keeps_the_pace_and_the_partitioner() {
    let broker = MemoryBroker::new();
    let topics = Topics::prepare(&broker, Kind::Payments, Some("p"), 3).unwrap();
    let clock = ManualClock::new(0);
    let pace = Pace { rate: 100, speed: 2.0, start_ms: 1_000_000_000, count: Some(250) };
    let mut producer = topics.producer(&broker).unwrap();
    let mut shop = Shop::new(1, Kind::Payments);
    let sent = produce::run(&mut shop, &topics, producer.as_mut(), &pace, clock.as_ref(), &mut |_| true).unwrap();
    assert_eq!(sent, 250);
    assert!((2_400..2_600).contains(&clock.now_ms()), "took {} ms", clock.now_ms());

    let partitions: Vec<_> = (0..3).map(|p| (TopicPartition::new("p", p), Start::Earliest)).collect();
    let mut consumer = broker.consumer(&ConsumerOptions::default()).unwrap();
    consumer.assign(&partitions).unwrap();
    let mut seen = 0;
    while seen < 250 {
        for set in consumer.poll(1_000, std::time::Duration::ZERO).unwrap().sets {
            seen += set.len();
            for i in 0..set.len() {
                assert_eq!(partition_for(set.keys.get(i).unwrap(), 3), set.partition);
            }
        }
    }
    assert_eq!(Topics::prepare(&broker, Kind::Payments, Some("p"), 9).unwrap().names().collect::<Vec<_>>(), ["p"]);
    assert_eq!(broker.topic("p").unwrap().unwrap().partitions, 3, "an existing topic is left as it is");
}

#[test]
fn producing_ends_when_told() {
    let broker = MemoryBroker::new();
    let topics = Topics::prepare(&broker, Kind::All, None, 1).unwrap();
    let pace = Pace { rate: 1_000, speed: 1.0, start_ms: 0, count: None };
    let clock = ManualClock::new(0);
    let mut producer = topics.producer(&broker).unwrap();
    let mut shop = Shop::new(1, Kind::All);
    let mut go_on = |sent| sent < 500;
    let sent = produce::run(&mut shop, &topics, producer.as_mut(), &pace, clock.as_ref(), &mut go_on).unwrap();
    assert!((500..600).contains(&sent), "{sent}");
}
