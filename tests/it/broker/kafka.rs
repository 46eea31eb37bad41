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

/// Where a record has no headers its bytes are only looked at: in every kind of batch they must lie as expected.
#[test]
fn headers_survive_compression() {
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let properties = BTreeMap::from([("compression.type".to_owned(), codec.to_owned())]);
        let broker = KafkaBroker::connect(&kafka_bootstrap(), &properties).unwrap();
        let topic = unique("t");
        create(&broker, &topic, 1);
        let values = [Some(vec![b'v'; 200]), Some(Vec::new()), None, Some(vec![0; 3])];
        let headers = [vec![], vec![Header { key: "trace".into(), value: Some(b"1".to_vec()) }]];
        let written: Vec<_> = (0..400).map(|i| (values[i % 4].clone(), headers[i % 3 % 2].clone())).collect();
        let mut producer = broker.producer(&ProducerOptions::default()).unwrap();
        for (value, headers) in &written {
            let value = value.as_deref();
            producer
                .send(OutRecord { topic: &topic, partition: 0, key: Some(b"k"), value, timestamp: 1, headers })
                .unwrap();
        }
        producer.flush(Duration::from_secs(30)).unwrap();
        let mut consumer = reader(&broker, &topic, 0);
        let mut read = Vec::new();
        for _ in 0..PATIENCE {
            for set in consumer.poll(1000, SHORT).unwrap().sets {
                let record = |i| (set.values.get(i).map(<[u8]>::to_vec), set.headers_of(i).to_vec());
                read.extend((0..set.len()).map(record));
            }
            if read.len() >= written.len() {
                break;
            }
        }
        assert_eq!(read, written, "{codec}");
    }
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

#[test]
fn topics_of_one_name_are_told_apart() {
    let broker = KafkaBroker::connect(&kafka_bootstrap(), &BTreeMap::new()).unwrap();
    let topic = unique("t");
    assert_eq!(broker.incarnation(&topic).unwrap(), "");
    create(&broker, &topic, 1);
    let first = broker.incarnation(&topic).unwrap();
    assert_eq!(broker.incarnation(&topic).unwrap(), first);
    broker.delete_topic(&topic).unwrap();
    create(&broker, &topic, 1);
    let second = broker.incarnation(&topic).unwrap();
    assert!(!first.is_empty() && !second.is_empty() && first != second, "{first} {second}");
}

#[test]
fn a_record_that_is_too_large_is_refused_without_harm() {
    let broker = KafkaBroker::connect(&kafka_bootstrap(), &BTreeMap::new()).unwrap();
    let topic = unique("t");
    create(&broker, &topic, 1);
    let options = ProducerOptions {
        transactional_id: Some(unique("p")),
        client_id: "p".to_owned(),
        ..ProducerOptions::default()
    };
    let mut producer = broker.producer(&options).unwrap();
    let record = |value| OutRecord { topic: &topic, partition: 0, key: None, value, timestamp: 1, headers: &[] };
    let (large, fits) = (vec![b'x'; 1_048_600], vec![b'x'; 1_040_000]);
    producer.begin().unwrap();
    producer.send(record(Some(b"before"))).unwrap();
    let error = producer.send(record(Some(&large))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Data);
    assert!(error.hints()[0].contains("max.message.bytes"), "{error}");
    producer.send(record(Some(&fits))).unwrap();
    producer.commit(&[], None).unwrap();
    let mut consumer = reader(&broker, &topic, 0);
    let mut sizes = Vec::new();
    for _ in 0..PATIENCE {
        for set in consumer.poll(10, SHORT).unwrap().sets {
            sizes.extend((0..set.len()).map(|i| set.values.get(i).map_or(0, <[u8]>::len)));
        }
        if sizes.len() >= 2 {
            break;
        }
    }
    assert_eq!(sizes, [6, 1_040_000]);
}
