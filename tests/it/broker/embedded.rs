//! Only embedded: restarts, the lock of the data directory, compaction on disk, speed.

use super::*;

fn open() -> (EmbeddedBroker, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    (EmbeddedBroker::open(dir.path(), EmbeddedOptions::default()).unwrap(), dir)
}

whole_suite!(open());

#[test]
fn everything_is_back_after_a_restart() {
    // So little stays in memory that most is read from the disk.
    let options = EmbeddedOptions { hot_bytes: 1_000, ..Default::default() };
    let dir = tempfile::tempdir().unwrap();
    let open = || EmbeddedBroker::open(dir.path(), options).unwrap();
    let broker = open();
    create(&broker, "t", 2);
    create(&broker, "gone", 1);
    write(&broker, "gone", 0, &["x"]);
    let many: Vec<String> = (0..300).map(|i| i.to_string()).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    write(&broker, "t", 1, &many);
    let mut older = transactional(&broker, "w");
    older.begin().unwrap();
    send(&mut *older, "t", 0, "k", "v");
    let mut consumer = member(&broker, "g", "w");
    consumer.subscribe(&["t".to_owned()]).unwrap();
    share_out(&mut [&mut consumer]);
    older.commit(&[offset("t", 1, 12, "epoch 3")], consumer.group_metadata().as_ref()).unwrap();
    broker.delete_topic("gone").unwrap();
    drop((older, consumer, broker));

    let broker = open();
    assert_eq!(broker.topics().unwrap().len(), 1);
    assert_eq!(broker.topic("t").unwrap().unwrap().partitions, 2);
    assert_eq!(broker.offsets(&at("t", 1)).unwrap(), (0, 300));
    assert_eq!(broker.committed("g", &[at("t", 1)]).unwrap(), [offset("t", 1, 12, "epoch 3")]);
    let mut consumer = member(&broker, "g", "w");
    consumer.subscribe(&["t".to_owned()]).unwrap();
    let mut taken = take(&mut *consumer, 289);
    taken.sort_by_key(|record| (record.partition, record.offset));
    assert_eq!((taken[0].value.as_deref(), taken[1].value.as_deref()), (Some("v"), Some("12")));
    assert_eq!(taken[288].value.as_deref(), Some("299"));
    write(&broker, "t", 1, &["after"]);
    assert_eq!(take(&mut *consumer, 1)[0].offset, 300);
    create(&broker, "gone", 1);
    assert_eq!(broker.offsets(&at("gone", 0)).unwrap(), (0, 0), "a name used again begins empty");
}

#[test]
fn a_data_directory_has_one_user() {
    let (_broker, dir) = open();
    let error = EmbeddedBroker::open(dir.path(), EmbeddedOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert!(error.message().contains("in use by another eddyline"), "{error}");
    assert!(error.hints()[0].contains("--data-dir"));
}

#[test]
fn compaction_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let open = || EmbeddedBroker::open(dir.path(), EmbeddedOptions::default()).unwrap();
    let broker = open();
    let config = vec![("cleanup.policy".to_owned(), "compact".to_owned())];
    broker.create_topic(&TopicSpec { name: "t".into(), partitions: 1, replicas: None, config }).unwrap();
    let mut producer = transactional(&broker, "w");
    for i in 0..20 {
        producer.begin().unwrap();
        send(&mut *producer, "t", 0, &format!("k{}", i % 3), &i.to_string());
        producer.commit(&[], None).unwrap();
    }
    broker.compact().unwrap();
    drop((producer, broker));
    let broker = open();
    let taken = take_all(&mut *reader(&broker, "t", 0), &at("t", 0), 0);
    assert_eq!(values(&taken), ["17", "18", "19"]);
    assert_eq!(taken.iter().map(|record| record.offset).collect::<Vec<_>>(), [17, 18, 19]);
    write(&broker, "t", 0, &["20"]);
    assert_eq!(broker.offsets(&at("t", 0)).unwrap().1, 21);
}

/// Not a benchmark: it says in its output how fast it was and fails only when something is badly wrong.
#[test]
fn many_small_records_are_appended_quickly() {
    let (broker, _dir) = open();
    create(&broker, "t", 4);
    let mut producer = transactional(&broker, "w");
    let started = std::time::Instant::now();
    for _ in 0..20 {
        producer.begin().unwrap();
        for i in 0..10_000 {
            send(&mut *producer, "t", i % 4, "key-of-some-length", "a value of some forty bytes or even more");
        }
        producer.commit(&[], None).unwrap();
    }
    let rate = 200_000.0 / started.elapsed().as_secs_f64();
    println!("{rate:.0} records a second");
    assert!(rate > 20_000.0, "{rate:.0} records a second");
}
