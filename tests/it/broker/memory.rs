//! Only in memory: injected faults, members thrown out.

use super::*;

whole_suite!((MemoryBroker::new(), ()));

#[test]
fn faults_strike_where_they_are_told_to() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let next = Arc::new(Mutex::new(None));
    let planned = next.clone();
    let faults = Arc::new(move |step: Step, client: &str| {
        let mut planned = planned.lock().unwrap();
        let strikes = client == "w" && planned.is_some_and(|(at, _)| at == step);
        strikes.then(|| planned.take().unwrap().1)
    });
    let faulty = broker.with_faults(faults);
    let plan = |step, fault| *next.lock().unwrap() = Some((step, fault));
    let count = || broker.offsets(&at("t", 0)).unwrap().1;

    let mut producer = transactional(&faulty, "w");
    plan(Step::AfterCommit, Fault::Unavailable);
    producer.begin().unwrap();
    send(&mut *producer, "t", 0, "k", "v");
    assert_eq!(producer.commit(&[], None).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(count(), 1, "the commit happened, only its answer got lost");

    plan(Step::BeforeCommit, Fault::Crash);
    producer.begin().unwrap();
    send(&mut *producer, "t", 0, "k", "v");
    assert_eq!(producer.commit(&[], None).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(producer.begin().unwrap_err().kind(), ErrorKind::Unavailable, "dead is dead");
    assert_eq!(count(), 1);

    let mut producer = transactional(&faulty, "w");
    plan(Step::Begin, Fault::Fenced);
    assert_eq!(producer.begin().unwrap_err().kind(), ErrorKind::Fenced);
    producer.begin().unwrap();
    producer.commit(&[], None).unwrap();
}

#[test]
fn an_expelled_member_is_fenced_and_joins_again() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let mut consumer = member(&broker, "g", "w");
    consumer.subscribe(&["t".to_owned()]).unwrap();
    share_out(&mut [&mut consumer]);
    let proof = consumer.group_metadata();
    broker.expel("g", "w");
    let mut producer = transactional(&broker, "p");
    producer.begin().unwrap();
    let error = producer.commit(&[offset("t", 0, 1, "")], proof.as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
    assert_eq!(consumer.poll(10, SHORT).unwrap().revoked, [at("t", 0)]);
    assert_eq!(share_out(&mut [&mut consumer]), [[at("t", 0)]]);
}

#[test]
fn a_poll_wakes_up_for_new_records() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let mut consumer = reader(&broker, "t", 0);
    let writer = broker.clone();
    let thread = std::thread::spawn(move || write(&writer, "t", 0, &["x"]));
    let poll = consumer.poll(10, Duration::from_secs(60)).unwrap();
    assert_eq!(values(&records(&poll)), ["x"]);
    thread.join().unwrap();
}

/// A handle for a process whose clients meet `faults` in order, each at the first step that it names.
fn process(broker: &MemoryBroker, faults: &[(Step, Fault)]) -> MemoryBroker {
    let left = Mutex::new(faults.to_vec());
    broker.with_faults(Arc::new(move |step, _: &str| {
        let mut left = left.lock().unwrap();
        let at = left.iter().position(|(at, _)| *at == step)?;
        Some(left.remove(at).1)
    }))
}

#[test]
fn the_dead_hide_what_others_write_until_their_transaction_is_settled() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let dying = process(&broker, &[]);
    let mut producer = transactional(&dying, "a");
    producer.begin().unwrap();
    send(&mut *producer, "t", 0, "k", "lost");
    dying.crash();
    assert!(producer.commit(&[], None).is_err());
    drop(producer);

    let mut other = transactional(&process(&broker, &[]), "b");
    other.begin().unwrap();
    send(&mut *other, "t", 0, "k", "hidden");
    other.commit(&[], None).unwrap();
    assert_eq!(broker.offsets(&at("t", 0)).unwrap(), (0, 0));
    assert_eq!(broker.high_watermark(&at("t", 0)).unwrap(), 1);
    assert!(reader(&broker, "t", 0).poll(10, SHORT).unwrap().sets.is_empty());

    assert_eq!(broker.unsettled(), ["a"]);
    broker.settle("a").unwrap();
    assert_eq!(values(&records(&reader(&broker, "t", 0).poll(10, SHORT).unwrap())), ["hidden"]);
}

#[test]
fn the_dead_are_members_until_they_are_missed() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let dying = process(&broker, &[]);
    let mut first = member(&dying, "g", "a");
    first.subscribe(&["t".to_owned()]).unwrap();
    share_out(&mut [&mut first]);
    dying.crash();
    drop(first);
    let mut second = member(&broker, "g", "b");
    second.subscribe(&["t".to_owned()]).unwrap();
    for _ in 0..5 {
        assert!(second.poll(10, Duration::ZERO).unwrap().assigned.is_empty(), "the group waits for the dead");
    }
    broker.expel_dead();
    assert_eq!(share_out(&mut [&mut second]), [[at("t", 0)]]);
}

#[test]
fn a_late_commit_is_decided_by_the_next_producer_and_offsets_wait_for_it() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let mut consumer = member(&broker, "g", "w");
    consumer.subscribe(&["t".to_owned()]).unwrap();
    share_out(&mut [&mut consumer]);
    let mut producer = transactional(&process(&broker, &[(Step::BeforeCommit, Fault::Late)]), "w");
    producer.begin().unwrap();
    send(&mut *producer, "t", 0, "k", "late");
    let error = producer.commit(&[offset("t", 0, 1, "")], consumer.group_metadata().as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
    assert!(producer.abort().is_err(), "it may have been committed");
    let asked = consumer.committed(&[at("t", 0)]).unwrap_err();
    assert_eq!(asked.kind(), ErrorKind::Unavailable, "{asked}");

    drop(transactional(&broker, "w"));
    assert_eq!(consumer.committed(&[at("t", 0)]).unwrap(), [offset("t", 0, 1, "")]);
    assert_eq!(values(&records(&reader(&broker, "t", 0).poll(10, SHORT).unwrap())), ["late"]);
}

#[test]
fn partitions_hear_of_an_unseen_commit_when_it_is_settled() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let mut producer = transactional(&process(&broker, &[(Step::BeforeCommit, Fault::Unseen)]), "w");
    producer.begin().unwrap();
    send(&mut *producer, "t", 0, "k", "v");
    producer.commit(&[], None).unwrap();
    assert_eq!(broker.offsets(&at("t", 0)).unwrap(), (0, 0));
    assert_eq!(broker.high_watermark(&at("t", 0)).unwrap(), 1);
    broker.settle("w").unwrap();
    assert_eq!(broker.offsets(&at("t", 0)).unwrap(), (0, 1));
}

#[test]
fn a_commit_between_being_expelled_and_joining_again_is_refused() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let mut consumer = member(&broker, "g", "w");
    consumer.subscribe(&["t".to_owned()]).unwrap();
    share_out(&mut [&mut consumer]);
    broker.expel("g", "w");
    assert_eq!(consumer.poll(10, SHORT).unwrap().revoked, [at("t", 0)]);
    let mut producer = transactional(&broker, "p");
    producer.begin().unwrap();
    let error = producer.commit(&[offset("t", 0, 1, "")], consumer.group_metadata().as_ref()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced);
}

#[test]
fn a_process_that_is_cut_off_hears_nothing_and_is_not_heard() {
    let broker = MemoryBroker::new();
    create(&broker, "t", 1);
    let cut = process(&broker, &[]);
    let mut producer = transactional(&cut, "w");
    producer.begin().unwrap();
    cut.cut_off(true);
    assert_eq!(producer.commit(&[], None).unwrap_err().kind(), ErrorKind::Unavailable);
    assert_eq!(cut.offsets(&at("t", 0)).unwrap_err().kind(), ErrorKind::Unavailable);
    cut.cut_off(false);
    send(&mut *producer, "t", 0, "k", "v");
    producer.commit(&[], None).unwrap();
    assert_eq!(cut.offsets(&at("t", 0)).unwrap(), (0, 1));
}
