//! What only the shared log has: chunks as bytes, joining them, retention.

use std::sync::Arc;
use std::time::Duration;

use super::chunk::{decode, encode};
use super::partition::MERGE_EVERY;
use super::{Log, lock};
use crate::broker::{
    Consumer, ConsumerOptions, OutRecord, Producer, ProducerOptions, Start, TopicPartition, TopicSpec,
};
use crate::change::{Header, RecordSet};

fn topic(name: &str, config: &[(&str, &str)]) -> TopicSpec {
    let config = config.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    TopicSpec { name: name.to_owned(), partitions: 1, replicas: None, config }
}

fn put(log: &Arc<Log>, key: &str, value: Option<&str>, timestamp: i64) {
    let mut producer = log.producer(&ProducerOptions::default()).unwrap();
    let (key, value) = (Some(key.as_bytes()), value.map(str::as_bytes));
    producer.send(OutRecord { topic: "t", partition: 0, key, value, timestamp, headers: &[] }).unwrap();
}

fn all(log: &Arc<Log>) -> Arc<RecordSet> {
    let mut consumer = log.consumer(&ConsumerOptions::default());
    consumer.assign(&[(TopicPartition::new("t", 0), Start::Earliest)]).unwrap();
    let mut sets = consumer.poll(1_000_000, Duration::ZERO).unwrap().sets;
    sets.pop().unwrap_or_else(|| Arc::new(RecordSet::new("t".into(), 0)))
}

#[test]
fn a_chunk_survives_its_bytes() {
    let mut set = RecordSet::new("t".into(), 3);
    set.push(7, 1_000, Some(b"k"), Some(b"value"), vec![]);
    set.push(9, -5, None, None, vec![]);
    let headers =
        vec![Header { key: "h".to_owned(), value: Some(vec![1]) }, Header { key: String::new(), value: None }];
    set.push(10, i64::MAX, Some(b""), Some(b""), headers.clone());
    let bytes = encode(&set);
    let read = decode("t".into(), 3, &bytes).unwrap();
    assert_eq!((&read.offsets, &read.timestamps), (&set.offsets, &set.timestamps));
    assert_eq!((read.keys.get(0), read.keys.get(1), read.keys.get(2)), (Some(&b"k"[..]), None, Some(&b""[..])));
    assert_eq!((read.values.get(0), read.values.get(1)), (Some(&b"value"[..]), None));
    assert_eq!(read.headers_of(0), []);
    assert_eq!(read.headers_of(2), headers);
    for cut in 0..bytes.len() {
        assert!(decode("t".into(), 3, &bytes[..cut]).is_err(), "{cut} bytes");
    }
}

#[test]
fn small_chunks_are_joined_and_nothing_changes_for_readers() {
    let log = Log::volatile("test");
    log.create_topic(&topic("t", &[])).unwrap();
    let count = 3 * MERGE_EVERY + 5;
    for i in 0..count {
        put(&log, &format!("k{i}"), Some("v"), i as i64);
    }
    let chunks = lock(&log.state).partition("t", 0).unwrap().1.chunks.len();
    assert_eq!(chunks, 3 + 5);
    let set = all(&log);
    assert_eq!(set.offsets, (0..count as i64).collect::<Vec<_>>());
    assert_eq!(set.keys.get(count - 1), Some(format!("k{}", count - 1).as_bytes()));
}

#[test]
fn retention_drops_old_chunks_but_never_the_newest() {
    let log = Log::volatile("test");
    log.create_topic(&topic("t", &[("retention.ms", "100")])).unwrap();
    put(&log, "a", Some("1"), 0);
    put(&log, "b", Some("2"), 100);
    assert_eq!(all(&log).len(), 2);
    put(&log, "c", Some("3"), 101);
    assert_eq!(all(&log).offsets, [1, 2]);
    put(&log, "d", Some("4"), 10_000);
    assert_eq!(all(&log).offsets, [3]);
    put(&log, "late", Some("5"), 0);
    assert_eq!(all(&log).offsets, [3, 4]);
    assert_eq!(log.offsets(&TopicPartition::new("t", 0)).unwrap(), (3, 5));
}

#[test]
fn unlimited_retention_keeps_old_event_times() {
    let log = Log::volatile("test");
    log.create_topic(&topic("t", &[("retention.ms", "-1"), ("retention.bytes", "-1")])).unwrap();
    put(&log, "a", Some("1"), 0);
    put(&log, "b", Some("2"), i64::MAX);
    assert_eq!(all(&log).len(), 2);
}

#[test]
fn compaction_keeps_the_newest_of_each_key_and_tombstones_for_one_round() {
    let log = Log::volatile("test");
    log.create_topic(&topic("t", &[("cleanup.policy", "compact"), ("delete.retention.ms", "0")])).unwrap();
    for (key, value) in [("a", Some("1")), ("b", Some("2")), ("a", Some("3")), ("b", None), ("c", Some("4"))] {
        put(&log, key, value, 0);
    }
    log.compact().unwrap();
    assert_eq!(all(&log).offsets, [2, 3, 4]);
    log.compact().unwrap();
    assert_eq!(all(&log).offsets, [2, 4], "the tombstone had its round");
    put(&log, "c", None, 0);
    log.compact().unwrap();
    log.compact().unwrap();
    assert_eq!(all(&log).offsets, [2, 5], "the newest record stays, even as a tombstone");
    assert_eq!(log.offsets(&TopicPartition::new("t", 0)).unwrap().1, 6);
}

#[test]
fn tombstones_stay_for_their_time() {
    let log = Log::volatile("test");
    log.create_topic(&topic("t", &[("cleanup.policy", "compact"), ("delete.retention.ms", "1000")])).unwrap();
    put(&log, "a", None, 5);
    put(&log, "b", Some("1"), 1004);
    for _ in 0..3 {
        log.compact().unwrap();
    }
    assert_eq!(all(&log).offsets, [0, 1]);
    put(&log, "b", Some("2"), 1005);
    log.compact().unwrap();
    assert_eq!(all(&log).offsets, [2]);
}

#[test]
fn purging_drops_what_lies_before() {
    let log = Log::volatile("test");
    log.create_topic(&topic("t", &[])).unwrap();
    for key in ["a", "b", "c", "d"] {
        put(&log, key, Some("1"), 0);
    }
    let partition = TopicPartition::new("t", 0);
    log.purge(&[(partition.clone(), 2)]).unwrap();
    assert_eq!(all(&log).offsets, [2, 3]);
    log.purge(&[(partition.clone(), 4)]).unwrap();
    assert_eq!(log.offsets(&partition).unwrap(), (3, 4), "the end stays known");
    assert!(log.purge(&[(TopicPartition::new("t", 7), 4)]).is_err());
}
