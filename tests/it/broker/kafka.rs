//! Only Kafka: what its own settings and limits do.

use super::*;

whole_suite!((KafkaBroker::connect(&kafka_bootstrap(), &BTreeMap::new()).unwrap(), ()));

#[test]
fn settings_of_a_topic_reach_the_cluster() {
    let broker = KafkaBroker::connect(&kafka_bootstrap(), &BTreeMap::new()).unwrap();
    let config = vec![("cleanup.policy".to_owned(), "no such policy".to_owned())];
    let error = broker.create_topic(&TopicSpec { name: unique("t"), partitions: 1, replicas: Some(1), config });
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Semantic);
}

#[test]
fn properties_pass_through_and_wrong_ones_are_named() {
    let good = BTreeMap::from([("fetch.min.bytes".to_owned(), "2".to_owned())]);
    KafkaBroker::connect(&kafka_bootstrap(), &good).unwrap();
    let bad = BTreeMap::from([("no.such.property".to_owned(), "x".to_owned())]);
    let error = KafkaBroker::connect(&kafka_bootstrap(), &bad).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Semantic);
    assert!(error.message().contains("no.such.property"), "{error}");
}

/// The Java producer's timestamps may be 0; librdkafka reads that as "now".
#[test]
fn the_epoch_itself_becomes_the_first_millisecond() {
    let broker = KafkaBroker::connect(&kafka_bootstrap(), &BTreeMap::new()).unwrap();
    let topic = unique("t");
    create(&broker, &topic, 1);
    let mut producer = broker.producer(&ProducerOptions::default()).unwrap();
    let record = OutRecord { topic: &topic, partition: 0, key: None, value: None, timestamp: 0, headers: &[] };
    producer.send(record).unwrap();
    producer.flush(Duration::from_secs(30)).unwrap();
    let mut consumer = reader(&broker, &topic, 0);
    for _ in 0..PATIENCE {
        if let Some(set) = consumer.poll(10, SHORT).unwrap().sets.first() {
            assert_eq!(set.timestamps, [1]);
            return;
        }
    }
    panic!("no record came");
}
