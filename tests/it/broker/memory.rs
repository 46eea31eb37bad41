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
