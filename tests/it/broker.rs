//! One suite for all brokers: what the seam promises, each promise kept by memory, embedded and Kafka alike.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eddyline::broker::embedded::{EmbeddedBroker, EmbeddedOptions};
use eddyline::broker::kafka::KafkaBroker;
use eddyline::broker::memory::{Fault, MemoryBroker, Step};
use eddyline::broker::{Broker, CommittedOffset, Consumer, ConsumerOptions, OutRecord, Poll, Producer};
use eddyline::broker::{ProducerOptions, Start, TopicPartition, TopicSpec};
use eddyline::change::Header;
use eddyline::error::ErrorKind;

use crate::support::{kafka_bootstrap, unique};

const SHORT: Duration = Duration::from_millis(50);
/// Polls of `SHORT` until a test gives up: 30 seconds, as a Kafka that just started takes a while to elect.
const PATIENCE: usize = 600;

/// A record as tests like it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rec {
    partition: i32,
    offset: i64,
    key: Option<String>,
    value: Option<String>,
}

fn create(broker: &dyn Broker, name: &str, partitions: i32) {
    let config = vec![("retention.ms".to_owned(), "-1".to_owned())];
    broker.create_topic(&TopicSpec { name: name.to_owned(), partitions, replicas: None, config }).unwrap();
}

fn at(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition::new(topic, partition)
}

fn offset(topic: &str, partition: i32, offset: i64, metadata: &str) -> CommittedOffset {
    CommittedOffset { partition: at(topic, partition), offset, metadata: metadata.to_owned() }
}

fn member(broker: &dyn Broker, group: &str, client_id: &str) -> Box<dyn Consumer> {
    let group = Some(group.to_owned());
    broker.consumer(&ConsumerOptions { group, client_id: client_id.to_owned(), ..Default::default() }).unwrap()
}

fn reader(broker: &dyn Broker, topic: &str, partition: i32) -> Box<dyn Consumer> {
    let mut consumer = broker.consumer(&ConsumerOptions::default()).unwrap();
    consumer.assign(&[(at(topic, partition), Start::Earliest)]).unwrap();
    consumer
}

fn transactional(broker: &dyn Broker, id: &str) -> Box<dyn Producer> {
    let options = ProducerOptions {
        transactional_id: Some(id.to_owned()),
        client_id: id.to_owned(),
        ..ProducerOptions::default()
    };
    broker.producer(&options).unwrap()
}

fn send(producer: &mut dyn Producer, topic: &str, partition: i32, key: &str, value: &str) {
    let (key, value) = (Some(key.as_bytes()), Some(value.as_bytes()));
    producer.send(OutRecord { topic, partition, key, value, timestamp: 1_000, headers: &[] }).unwrap();
}

fn write(broker: &dyn Broker, topic: &str, partition: i32, values: &[&str]) {
    let mut producer = broker.producer(&ProducerOptions::default()).unwrap();
    values.iter().for_each(|value| send(&mut *producer, topic, partition, "k", value));
    producer.flush(Duration::from_secs(30)).unwrap();
}

fn records(poll: &Poll) -> Vec<Rec> {
    let text = |bytes: Option<&[u8]>| bytes.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap());
    let sets = poll.sets.iter();
    let all = sets.flat_map(|set| {
        (0..set.len()).map(move |i| Rec {
            partition: set.partition,
            offset: set.offsets[i],
            key: text(set.keys.get(i)),
            value: text(set.values.get(i)),
        })
    });
    all.collect()
}

fn values(records: &[Rec]) -> Vec<&str> {
    records.iter().map(|record| record.value.as_deref().unwrap()).collect()
}

/// Polls until so many records have come.
fn take(consumer: &mut dyn Consumer, count: usize) -> Vec<Rec> {
    let mut taken = Vec::new();
    for _ in 0..PATIENCE {
        if taken.len() >= count {
            break;
        }
        taken.extend(records(&consumer.poll(1000, SHORT).unwrap()));
    }
    assert_eq!(taken.len(), count, "{taken:?}");
    taken
}

/// Polls until the consumer knows that it has read everything, and says what came.
fn take_all(consumer: &mut dyn Consumer, partition: &TopicPartition, mut position: i64) -> Vec<Rec> {
    let mut taken = Vec::new();
    for _ in 0..PATIENCE {
        let some = records(&consumer.poll(1000, SHORT).unwrap());
        position = some.last().map_or(position, |record| record.offset + 1);
        taken.extend(some);
        if consumer.end_offset(partition).is_some_and(|end| position >= end) {
            return taken;
        }
    }
    panic!("{partition} is never drained: at {position}, end {:?}", consumer.end_offset(partition));
}

/// Polls all in turn until each of them has been given partitions, and says which.
fn share_out(consumers: &mut [&mut Box<dyn Consumer>]) -> Vec<Vec<TopicPartition>> {
    let mut owned: Vec<Vec<TopicPartition>> = vec![Vec::new(); consumers.len()];
    for _ in 0..PATIENCE {
        for (consumer, owned) in consumers.iter_mut().zip(&mut owned) {
            let poll = consumer.poll(1000, SHORT).unwrap();
            assert!(poll.sets.is_empty() || (poll.assigned.is_empty() && poll.revoked.is_empty()));
            if !poll.revoked.is_empty() {
                owned.clear();
            }
            owned.extend(poll.assigned);
            owned.sort();
        }
        if owned.iter().all(|owned| !owned.is_empty()) {
            return owned;
        }
    }
    panic!("not everybody got partitions: {owned:?}");
}

fn topics_are_made_described_and_deleted(broker: &dyn Broker, p: &str) {
    let (a, b) = (format!("{p}.a"), format!("{p}.b"));
    assert_eq!(broker.topic(&a).unwrap(), None);
    create(broker, &b, 1);
    create(broker, &a, 3);
    let info = broker.topic(&a).unwrap().unwrap();
    assert_eq!((info.name.as_str(), info.partitions, info.replicas), (a.as_str(), 3, 1));
    let again = broker.create_topic(&TopicSpec { name: a.clone(), partitions: 1, replicas: None, config: vec![] });
    assert_eq!(again.unwrap_err().kind(), ErrorKind::Conflict);
    let mine = |broker: &dyn Broker| -> Vec<String> {
        broker.topics().unwrap().into_iter().map(|topic| topic.name).filter(|name| name.starts_with(p)).collect()
    };
    assert_eq!(mine(broker), [a.clone(), b.clone()]);
    assert!(broker.topics().unwrap().iter().all(|topic| !topic.name.starts_with("__")));
    broker.delete_topic(&a).unwrap();
    assert_eq!(broker.topic(&a).unwrap(), None);
    assert_eq!(mine(broker), [b]);
    assert_eq!(broker.delete_topic(&a).unwrap_err().kind(), ErrorKind::NotFound);
    let bad = broker.create_topic(&TopicSpec { name: "a b".into(), partitions: 1, replicas: None, config: vec![] });
    assert_eq!(bad.unwrap_err().kind(), ErrorKind::Semantic);
}

fn records_come_back_as_they_were_written(broker: &dyn Broker, p: &str) {
    create(broker, p, 2);
    let headers = [
        Header { key: "trace".into(), value: Some(b"1".to_vec()) },
        Header { key: "none".into(), value: None },
        Header { key: "trace".into(), value: Some(vec![]) },
    ];
    let mut producer = broker.producer(&ProducerOptions::default()).unwrap();
    let out = |key, value, timestamp, headers| OutRecord { topic: p, partition: 1, key, value, timestamp, headers };
    producer.send(out(Some(b"k"), Some(b"v"), 1_700_000_000_123, &[])).unwrap();
    producer.send(out(None, Some(b""), 5, &headers)).unwrap();
    producer.send(out(Some(b""), None, 1, &[])).unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();

    let mut consumer = reader(broker, p, 1);
    let mut sets = Vec::new();
    for _ in 0..PATIENCE {
        sets.extend(consumer.poll(1000, SHORT).unwrap().sets);
        if sets.iter().map(|set| set.len()).sum::<usize>() == 3 {
            break;
        }
    }
    let all: Vec<_> = sets.iter().flat_map(|set| (0..set.len()).map(move |i| (set, i))).collect();
    assert!(all.iter().all(|(set, _)| set.partition == 1 && &*set.topic == p));
    assert_eq!(all.iter().map(|(set, i)| set.offsets[*i]).collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(all.iter().map(|(set, i)| set.timestamps[*i]).collect::<Vec<_>>(), [1_700_000_000_123, 5, 1]);
    assert_eq!(all.iter().map(|(set, i)| set.keys.get(*i)).collect::<Vec<_>>(), [Some(&b"k"[..]), None, Some(b"")]);
    assert_eq!(all.iter().map(|(set, i)| set.values.get(*i)).collect::<Vec<_>>(), [Some(&b"v"[..]), Some(b""), None]);
    assert_eq!(
        all.iter().map(|(set, i)| set.headers_of(*i).to_vec()).collect::<Vec<_>>(),
        [vec![], headers.to_vec(), vec![]]
    );
    assert_eq!(broker.offsets(&at(p, 1)).unwrap(), (0, 3));
    assert_eq!(broker.offsets(&at(p, 0)).unwrap(), (0, 0));
}

fn a_poll_brings_no_more_than_asked_and_keeps_the_order(broker: &dyn Broker, p: &str) {
    create(broker, p, 1);
    let mut producer = transactional(broker, p);
    producer.begin().unwrap();
    for i in 0..5_000 {
        send(&mut *producer, p, 0, &i.to_string(), &"x".repeat(100));
    }
    producer.commit(&[], None).unwrap();
    let mut consumer = reader(broker, p, 0);
    let mut next = 0;
    for _ in 0..PATIENCE {
        let some = records(&consumer.poll(700, SHORT).unwrap());
        assert!(some.len() <= 700);
        for record in some {
            assert_eq!(record.key.as_deref(), Some(next.to_string().as_str()));
            assert_eq!(record.offset, next);
            next += 1;
        }
        if next == 5_000 {
            return;
        }
    }
    panic!("only {next} records came");
}

fn an_unknown_topic_is_refused(broker: &dyn Broker, p: &str) {
    let mut producer = broker.producer(&ProducerOptions::default()).unwrap();
    let record = OutRecord { topic: p, partition: 0, key: None, value: None, timestamp: 1, headers: &[] };
    assert_eq!(producer.send(record).unwrap_err().kind(), ErrorKind::NotFound);
}

fn a_group_shares_topics_by_range_and_again_when_one_leaves(broker: &dyn Broker, p: &str) {
    let (a, b) = (format!("{p}.a"), format!("{p}.b"));
    create(broker, &a, 4);
    create(broker, &b, 4);
    let topics = [a.clone(), b.clone()];
    let mut first = member(broker, p, "first");
    let mut second = member(broker, p, "second");
    first.subscribe(&topics).unwrap();
    let alone = share_out(&mut [&mut first]);
    assert_eq!(alone[0].len(), 8);
    second.subscribe(&topics).unwrap();
    // The first owns all until it hears of the second, so it is asked until it was revoked.
    let mut revoked = Vec::new();
    for _ in 0..PATIENCE {
        assert!(second.poll(1000, SHORT).unwrap().assigned.is_empty(), "not before the first has let go");
        revoked = first.poll(1000, SHORT).unwrap().revoked;
        if !revoked.is_empty() {
            break;
        }
    }
    assert_eq!(revoked.len(), 8);
    let shared = share_out(&mut [&mut first, &mut second]);
    let partitions = |owned: &[TopicPartition], topic: &str| -> Vec<i32> {
        owned.iter().filter(|owned| *owned.topic == *topic).map(|owned| owned.partition).collect()
    };
    for owned in &shared {
        assert_eq!(partitions(owned, &a), partitions(owned, &b), "co-partitioned topics meet");
        assert_eq!(owned.len(), 4);
    }
    let mut halves = [partitions(&shared[0], &a), partitions(&shared[1], &a)];
    halves.sort();
    assert_eq!(halves, [[0, 1], [2, 3]]);
    second.close();
    let mut all = Vec::new();
    for _ in 0..PATIENCE {
        all.extend(first.poll(1000, SHORT).unwrap().assigned);
        if !all.is_empty() {
            break;
        }
    }
    assert_eq!(all.len(), 8);
}

fn a_revoked_member_commits_before_its_next_poll_and_never_after(broker: &dyn Broker, p: &str) {
    create(broker, p, 2);
    let topics = [p.to_owned()];
    let mut first = member(broker, p, "first");
    first.subscribe(&topics).unwrap();
    share_out(&mut [&mut first]);
    let mut producer = transactional(broker, p);
    let mut second = member(broker, p, "second");
    second.subscribe(&topics).unwrap();
    for _ in 0..PATIENCE {
        second.poll(1000, SHORT).unwrap();
        if !first.poll(1000, SHORT).unwrap().revoked.is_empty() {
            break;
        }
    }
    let proof = first.group_metadata();
    producer.begin().unwrap();
    producer.commit(&[offset(p, 0, 0, "late"), offset(p, 1, 0, "late")], proof.as_ref()).unwrap();
    share_out(&mut [&mut first, &mut second]);
    assert_eq!(second.committed(&[at(p, 1)]).unwrap(), [offset(p, 1, 0, "late")]);

    producer.begin().unwrap();
    let error = producer.commit(&[offset(p, 0, 0, "too late")], proof.as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    producer.abort().unwrap();
    assert_eq!(second.committed(&[at(p, 0)]).unwrap(), [offset(p, 0, 0, "late")]);
}

fn a_member_may_leave_instead_of_answering(broker: &dyn Broker, p: &str) {
    create(broker, p, 2);
    let topics = [p.to_owned()];
    let mut first = member(broker, p, "first");
    first.subscribe(&topics).unwrap();
    share_out(&mut [&mut first]);
    let mut second = member(broker, p, "second");
    second.subscribe(&topics).unwrap();
    for _ in 0..PATIENCE {
        second.poll(1000, SHORT).unwrap();
        if !first.poll(1000, SHORT).unwrap().revoked.is_empty() {
            break;
        }
    }
    drop(first);
    assert_eq!(share_out(&mut [&mut second]), [[at(p, 0), at(p, 1)]]);
    // The same between being given partitions and reading them.
    drop(second);
    let mut third = member(broker, p, "third");
    third.subscribe(&topics).unwrap();
    assert_eq!(share_out(&mut [&mut third]), [[at(p, 0), at(p, 1)]]);
}

fn a_transaction_shows_records_and_offsets_together(broker: &dyn Broker, p: &str) {
    let (a, b) = (format!("{p}.in"), format!("{p}.out"));
    create(broker, &a, 1);
    create(broker, &b, 2);
    write(broker, &a, 0, &["1", "2"]);
    let mut consumer = member(broker, p, "worker");
    consumer.subscribe(std::slice::from_ref(&a)).unwrap();
    assert_eq!(values(&take(&mut *consumer, 2)), ["1", "2"]);
    assert_eq!(consumer.committed(&[at(&a, 0)]).unwrap(), []);

    let mut producer = transactional(broker, p);
    let mut watcher = broker.consumer(&ConsumerOptions::default()).unwrap();
    watcher.assign(&[(at(&b, 0), Start::Earliest), (at(&b, 1), Start::Earliest)]).unwrap();
    producer.begin().unwrap();
    send(&mut *producer, &b, 0, "k", "x");
    send(&mut *producer, &b, 1, "k", "y");
    producer.flush(Duration::from_secs(30)).unwrap();
    for _ in 0..4 {
        assert!(records(&watcher.poll(1000, SHORT).unwrap()).is_empty(), "nothing before the commit");
    }
    let group = consumer.group_metadata();
    producer.commit(&[offset(&a, 0, 2, "epoch 17")], group.as_ref()).unwrap();
    let mut seen = take(&mut *watcher, 2);
    seen.sort_by_key(|record| record.partition);
    assert_eq!(values(&seen), ["x", "y"]);
    assert_eq!(consumer.committed(&[at(&a, 0)]).unwrap(), [offset(&a, 0, 2, "epoch 17")]);
    assert_eq!(broker.committed(p, &[at(&a, 0), at(&b, 0)]).unwrap(), [offset(&a, 0, 2, "epoch 17")]);
}

fn an_aborted_transaction_leaves_nothing(broker: &dyn Broker, p: &str) {
    create(broker, p, 1);
    let mut producer = transactional(broker, p);
    producer.begin().unwrap();
    send(&mut *producer, p, 0, "k", "never");
    producer.flush(Duration::from_secs(30)).unwrap();
    producer.abort().unwrap();
    producer.begin().unwrap();
    send(&mut *producer, p, 0, "k", "kept");
    producer.commit(&[], None).unwrap();
    let mut consumer = reader(broker, p, 0);
    assert_eq!(values(&take_all(&mut *consumer, &at(p, 0), 0)), ["kept"]);
    let record = OutRecord { topic: p, partition: 0, key: None, value: None, timestamp: 1, headers: &[] };
    assert!(producer.send(record).is_err(), "a record outside a transaction");
}

fn an_older_producer_is_fenced(broker: &dyn Broker, p: &str) {
    create(broker, p, 1);
    let mut older = transactional(broker, p);
    older.begin().unwrap();
    send(&mut *older, p, 0, "k", "zombie");
    older.flush(Duration::from_secs(30)).unwrap();
    let mut newer = transactional(broker, p);
    newer.begin().unwrap();
    send(&mut *newer, p, 0, "k", "living");
    newer.commit(&[], None).unwrap();
    let error = older.commit(&[], None).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    let mut consumer = reader(broker, p, 0);
    assert_eq!(values(&take_all(&mut *consumer, &at(p, 0), 0)), ["living"]);
}

fn a_new_member_goes_on_where_the_last_one_committed(broker: &dyn Broker, p: &str) {
    create(broker, p, 1);
    write(broker, p, 0, &["1", "2", "3"]);
    let mut first = member(broker, p, "worker");
    first.subscribe(&[p.to_owned()]).unwrap();
    assert_eq!(take(&mut *first, 3).len(), 3);
    // Without transactions the offsets are stored just so.
    let mut producer = broker.producer(&ProducerOptions::default()).unwrap();
    producer.commit(&[offset(p, 0, 2, "half")], first.group_metadata().as_ref()).unwrap();
    first.close();
    drop(first);
    let mut second = member(broker, p, "worker");
    second.subscribe(&[p.to_owned()]).unwrap();
    assert_eq!(values(&take(&mut *second, 1)), ["3"]);
    assert_eq!(second.committed(&[at(p, 0)]).unwrap(), [offset(p, 0, 2, "half")]);
    second.close();
    drop(second);
    for _ in 0..PATIENCE {
        // Kafka hears of a member's leaving a little later.
        match broker.delete_group(p) {
            Err(error) if error.kind() == ErrorKind::Conflict => std::thread::sleep(SHORT),
            result => {
                result.unwrap();
                break;
            }
        }
    }
    assert_eq!(broker.committed(p, &[at(p, 0)]).unwrap(), []);
    broker.delete_group(p).unwrap();
}

fn seek_pause_and_resume(broker: &dyn Broker, p: &str) {
    create(broker, p, 2);
    write(broker, p, 0, &["a0", "a1", "a2"]);
    write(broker, p, 1, &["b0", "b1"]);
    let mut consumer = broker.consumer(&ConsumerOptions::default()).unwrap();
    consumer.assign(&[(at(p, 0), Start::Offset(1)), (at(p, 1), Start::Latest)]).unwrap();
    assert_eq!(values(&take(&mut *consumer, 2)), ["a1", "a2"]);
    consumer.seek(&at(p, 0), 2).unwrap();
    assert_eq!(values(&take(&mut *consumer, 1)), ["a2"]);
    consumer.pause(&[at(p, 0)]).unwrap();
    consumer.seek(&at(p, 1), 1).unwrap();
    write(broker, p, 0, &["a3"]);
    assert_eq!(values(&take(&mut *consumer, 1)), ["b1"]);
    for _ in 0..4 {
        assert!(records(&consumer.poll(1000, SHORT).unwrap()).is_empty());
    }
    consumer.resume(&[at(p, 0)]).unwrap();
    assert_eq!(values(&take(&mut *consumer, 1)), ["a3"]);
    assert!(consumer.seek(&at("elsewhere", 0), 0).is_err());
}

fn what_waits_while_paused_comes_once_and_a_seek_leaves_it_behind(broker: &dyn Broker, p: &str) {
    create(broker, p, 1);
    let all: Vec<String> = (0..60).map(|n| format!("v{n}")).collect();
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    write(broker, p, 0, &all[..50]);
    let mut consumer = broker.consumer(&ConsumerOptions::default()).unwrap();
    consumer.assign(&[(at(p, 0), Start::Earliest)]).unwrap();
    let mut got = Vec::new();
    while got.is_empty() {
        got = records(&consumer.poll(5, SHORT).unwrap());
    }
    let taken = got.len();
    assert_eq!(values(&got), &all[..taken]);
    // More is on its way or here already.
    consumer.pause(&[at(p, 0)]).unwrap();
    write(broker, p, 0, &all[50..]);
    for _ in 0..4 {
        assert!(records(&consumer.poll(1000, SHORT).unwrap()).is_empty());
    }
    consumer.resume(&[at(p, 0)]).unwrap();
    assert_eq!(values(&take(&mut *consumer, 60 - taken)), &all[taken..]);
    consumer.seek(&at(p, 0), 10).unwrap();
    let mut got = Vec::new();
    while got.is_empty() {
        got = records(&consumer.poll(5, SHORT).unwrap());
    }
    assert_eq!(values(&got), &all[10..10 + got.len()]);
    consumer.pause(&[at(p, 0)]).unwrap();
    for _ in 0..4 {
        assert!(records(&consumer.poll(1000, SHORT).unwrap()).is_empty());
    }
    consumer.seek(&at(p, 0), 30).unwrap();
    assert!(records(&consumer.poll(1000, SHORT).unwrap()).is_empty(), "a seek does not resume");
    consumer.resume(&[at(p, 0)]).unwrap();
    assert_eq!(values(&take(&mut *consumer, 30)), &all[30..]);
}

fn a_partition_that_comes_back_is_not_paused(broker: &dyn Broker, p: &str) {
    create(broker, p, 2);
    let topics = [p.to_owned()];
    let mut first = member(broker, p, "first");
    first.subscribe(&topics).unwrap();
    share_out(&mut [&mut first]);
    write(broker, p, 0, &["before"]);
    assert_eq!(values(&take(&mut *first, 1)), ["before"]);
    first.pause(&[at(p, 0)]).unwrap();
    write(broker, p, 0, &["while paused"]);
    for _ in 0..4 {
        assert!(records(&first.poll(1000, SHORT).unwrap()).is_empty());
    }
    let mut second = member(broker, p, "second");
    second.subscribe(&topics).unwrap();
    let mut all = Vec::new();
    for _ in 0..PATIENCE {
        second.poll(1000, SHORT).unwrap();
        if !first.poll(1000, SHORT).unwrap().revoked.is_empty() {
            break;
        }
    }
    second.close();
    for _ in 0..PATIENCE {
        all.extend(first.poll(1000, SHORT).unwrap().assigned);
        if all.len() == 2 {
            break;
        }
    }
    assert_eq!(all.len(), 2);
    first.seek(&at(p, 0), 1).unwrap();
    assert_eq!(values(&take(&mut *first, 1)), ["while paused"]);
}

fn a_member_seeks_between_being_given_partitions_and_reading(broker: &dyn Broker, p: &str) {
    create(broker, p, 1);
    write(broker, p, 0, &["1", "2", "3"]);
    let mut consumer = member(broker, p, "worker");
    consumer.subscribe(&[p.to_owned()]).unwrap();
    share_out(&mut [&mut consumer]);
    consumer.seek(&at(p, 0), 2).unwrap();
    assert_eq!(values(&take(&mut *consumer, 1)), ["3"]);
}

fn a_partition_is_drained_after_its_last_record(broker: &dyn Broker, p: &str) {
    create(broker, p, 1);
    let mut empty = reader(broker, p, 0);
    assert!(take_all(&mut *empty, &at(p, 0), 0).is_empty());
    let mut producer = transactional(broker, p);
    for i in 0..3 {
        producer.begin().unwrap();
        send(&mut *producer, p, 0, "k", &i.to_string());
        producer.commit(&[], None).unwrap();
    }
    producer.begin().unwrap();
    send(&mut *producer, p, 0, "k", "aborted");
    producer.flush(Duration::from_secs(30)).unwrap();
    producer.abort().unwrap();
    // On Kafka the log now ends with markers that nobody reads.
    let mut consumer = reader(broker, p, 0);
    let taken = take_all(&mut *consumer, &at(p, 0), 0);
    assert_eq!(values(&taken), ["0", "1", "2"]);
    let next = taken[2].offset + 1;
    let mut late = broker.consumer(&ConsumerOptions::default()).unwrap();
    late.assign(&[(at(p, 0), Start::Offset(next))]).unwrap();
    assert!(take_all(&mut *late, &at(p, 0), next).is_empty());
    write(broker, p, 0, &["more"]);
    assert_eq!(values(&take(&mut *consumer, 1)), ["more"]);
}

/// A worker as the runtime has it: copies `{p}.in` to `{p}.out` in transactions of its own until it was told to stop,
/// and then leaves in the middle of one.
fn copy(broker: &dyn Broker, p: &str, name: &str, stop: &AtomicBool) {
    let (from, to) = (format!("{p}.in"), format!("{p}.out"));
    let mut consumer = member(broker, p, name);
    consumer.subscribe(std::slice::from_ref(&from)).unwrap();
    let mut producer = transactional(broker, &format!("{p}-{name}"));
    let mut next: BTreeMap<i32, i64> = BTreeMap::new();
    producer.begin().unwrap();
    loop {
        let poll = consumer.poll(50, SHORT).unwrap();
        for record in records(&poll) {
            let expected = next.insert(record.partition, record.offset + 1);
            assert!(expected.is_none_or(|expected| expected == record.offset), "{name} at {record:?}");
            send(&mut *producer, &to, record.partition, "k", record.value.as_deref().unwrap());
        }
        if stop.load(Ordering::Relaxed) {
            return;
        }
        if !next.is_empty() {
            let offsets: Vec<_> = next.iter().map(|(p, next)| offset(&from, *p, *next, name)).collect();
            producer.commit(&offsets, consumer.group_metadata().as_ref()).unwrap();
            producer.begin().unwrap();
        }
        if !poll.revoked.is_empty() {
            next.clear();
        }
    }
}

fn workers_come_and_go_and_every_record_is_copied_once(broker: &dyn Broker, p: &str) {
    let (from, to) = (format!("{p}.in"), format!("{p}.out"));
    create(broker, &from, 3);
    create(broker, &to, 3);
    let feed = |range: std::ops::Range<i32>| {
        let numbers: Vec<String> = range.map(|i| i.to_string()).collect();
        let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
        (0..3).for_each(|partition| write(broker, &from, partition, &numbers));
    };
    let stops = [AtomicBool::new(false), AtomicBool::new(false)];
    let mut copied = vec![Vec::new(); 3];
    let mut watcher = broker.consumer(&ConsumerOptions::default()).unwrap();
    watcher.assign(&[0, 1, 2].map(|partition| (at(&to, partition), Start::Earliest))).unwrap();
    let mut watch = |count: usize| {
        for _ in 0..PATIENCE {
            for record in records(&watcher.poll(1000, SHORT).unwrap()) {
                copied[record.partition as usize].push(record.value.unwrap().parse::<i32>().unwrap());
            }
            if copied.iter().map(Vec::len).sum::<usize>() >= count {
                break;
            }
        }
        let all: Vec<i32> = (0..count as i32 / 3).collect();
        assert_eq!(copied, [all.clone(), all.clone(), all]);
    };
    /// Ends the workers when the test fails, too.
    struct StopAll<'a>(&'a [AtomicBool]);
    impl Drop for StopAll<'_> {
        fn drop(&mut self) {
            self.0.iter().for_each(|stop| stop.store(true, Ordering::Relaxed));
        }
    }
    std::thread::scope(|scope| {
        let _stop_all = StopAll(&stops);
        feed(0..200);
        scope.spawn(|| copy(broker, p, "w1", &stops[0]));
        watch(600);
        feed(200..400);
        scope.spawn(|| copy(broker, p, "w2", &stops[1]));
        watch(1200);
        feed(400..600);
        stops[0].store(true, Ordering::Relaxed);
        watch(1800);
    });
}

macro_rules! suite {
    ($open:expr; $($test:ident),* $(,)?) => {
        $(
            #[test]
            fn $test() {
                let opened = $open;
                super::$test(&opened.0, &crate::support::unique("t"));
            }
        )*
    };
}

macro_rules! whole_suite {
    ($open:expr) => {
        suite! { $open;
            topics_are_made_described_and_deleted,
            records_come_back_as_they_were_written,
            a_poll_brings_no_more_than_asked_and_keeps_the_order,
            an_unknown_topic_is_refused,
            a_group_shares_topics_by_range_and_again_when_one_leaves,
            a_revoked_member_commits_before_its_next_poll_and_never_after,
            a_member_may_leave_instead_of_answering,
            a_transaction_shows_records_and_offsets_together,
            an_aborted_transaction_leaves_nothing,
            an_older_producer_is_fenced,
            a_new_member_goes_on_where_the_last_one_committed,
            seek_pause_and_resume,
            a_partition_that_comes_back_is_not_paused,
            what_waits_while_paused_comes_once_and_a_seek_leaves_it_behind,
            a_member_seeks_between_being_given_partitions_and_reading,
            a_partition_is_drained_after_its_last_record,
            workers_come_and_go_and_every_record_is_copied_once,
        }
    };
}

mod embedded;
mod kafka;
mod memory;

#[test]
fn a_cluster_that_does_not_answer_is_named() {
    let error = KafkaBroker::connect("127.0.0.1:1", &BTreeMap::new()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert_eq!(error.message(), "no broker answers at 127.0.0.1:1");
    assert!(error.to_string().contains("refused"), "{error}");
}
