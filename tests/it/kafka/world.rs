//! The world outside Eddyline: a producer, a `read_committed` consumer and processes.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::{Offset, TopicPartitionList};

thread_local! {
    static OWN_BROKER: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// From here on this test's world is another broker.
pub fn use_broker(address: &str) {
    OWN_BROKER.with_borrow_mut(|own| *own = Some(address.to_owned()));
}

/// Address of the broker; the tests fail without one.
pub fn bootstrap() -> String {
    if let Some(address) = OWN_BROKER.with_borrow(Clone::clone) {
        return address;
    }
    std::env::var("EDDYLINE_TEST_BOOTSTRAP").unwrap_or_else(|_| {
        panic!("no Kafka to test with: run scripts/test, or `scripts/kafka up` and set EDDYLINE_TEST_BOOTSTRAP to its address")
    })
}

/// A record as the outside world sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    pub key: Option<Vec<u8>>,
    pub value: Option<String>,
    pub timestamp: i64,
}

fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap());
    config
}

fn block_on<F: std::future::Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime").block_on(future)
}

fn admin() -> AdminClient<DefaultClientContext> {
    client().create().expect("admin client")
}

/// Deletes the topics if they are there, and creates them empty.
pub fn fresh_topics(names: &[&str], partitions: i32) {
    delete_topics(names);
    let topics: Vec<NewTopic<'_>> = names
        .iter()
        .map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(1)).set("retention.ms", "-1"))
        .collect();
    for _ in 0..50 {
        let results = block_on(admin().create_topics(&topics, &AdminOptions::new())).expect("admin call");
        // A topic whose deletion is not finished yet refuses; the others exist by then.
        let pending = results.iter().any(|result| match result {
            Ok(_) => false,
            Err((_, code)) => *code != rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists,
        });
        if !pending {
            return;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    panic!("topics {names:?} cannot be created");
}

/// Creates a topic with these settings.
pub fn topic_with(name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let mut topic = NewTopic::new(name, partitions, TopicReplication::Fixed(1));
    for (key, value) in settings {
        topic = topic.set(key, value);
    }
    let created = block_on(admin().create_topics([&topic], &AdminOptions::new())).expect("admin call");
    created.into_iter().for_each(|result| drop(result.expect("a new topic")));
}

/// Gives a topic more partitions.
pub fn widen(name: &str, partitions: usize) {
    let wish = NewPartitions::new(name, partitions);
    let widened = block_on(admin().create_partitions([&wish], &AdminOptions::new())).expect("admin call");
    widened.into_iter().for_each(|result| drop(result.expect("more partitions")));
}

/// Deletes the records of a partition before `offset`, as retention does.
pub fn delete_records(topic: &str, partition: i32, offset: i64) {
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Offset(offset)).expect("an offset");
    block_on(admin().delete_records(&list, &AdminOptions::new())).expect("admin call");
}

pub fn delete_topics(names: &[&str]) {
    // Topics that do not exist are what is wanted.
    let _ = block_on(admin().delete_topics(names, &AdminOptions::new()));
    let consumer: BaseConsumer = client().create().expect("consumer");
    for _ in 0..100 {
        let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).expect("metadata");
        if !metadata.topics().iter().any(|topic| names.contains(&topic.name())) {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("topics {names:?} cannot be deleted");
}

/// Writes records as any other program would: `(key, value, timestamp)`, partition by librdkafka's murmur2.
pub fn produce(topic: &str, records: &[(Option<String>, String, i64)]) {
    let producer: BaseProducer = client()
        .set("partitioner", "murmur2_random")
        .set("linger.ms", "5")
        .set("enable.idempotence", "true")
        .create()
        .expect("producer");
    for (key, value, timestamp) in records {
        let mut record = BaseRecord::<str, str>::to(topic).payload(value).timestamp(*timestamp);
        if let Some(key) = key {
            record = record.key(key);
        }
        while let Err((_, back)) = producer.send(record) {
            producer.poll(Duration::from_millis(50));
            record = back;
        }
    }
    producer.flush(Duration::from_secs(180)).expect("flush");
}

/// Everything committed in a topic by now, partition by partition.
pub fn read_committed(topic: &str) -> Vec<Seen> {
    let consumer: BaseConsumer = client()
        .set("group.id", format!("reader-{}", std::process::id()))
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .create()
        .expect("consumer");
    let metadata = consumer.fetch_metadata(Some(topic), Duration::from_secs(10)).expect("metadata");
    let partitions = metadata.topics()[0].partitions().len();
    let mut assignment = TopicPartitionList::new();
    for partition in 0..partitions {
        assignment.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("offset");
    }
    consumer.assign(&assignment).expect("assign");
    let mut seen: BTreeMap<i32, Vec<Seen>> = BTreeMap::new();
    let mut ended = 0;
    let deadline = Instant::now() + Duration::from_secs(60);
    while ended < partitions && Instant::now() < deadline {
        match consumer.poll(Duration::from_millis(200)) {
            None => {}
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => panic!("cannot read {topic}: {error}"),
            Some(Ok(message)) => seen.entry(message.partition()).or_default().push(Seen {
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(|bytes| String::from_utf8_lossy(bytes).into_owned()),
                timestamp: message.timestamp().to_millis().unwrap_or(-1),
            }),
        }
    }
    assert!(ended >= partitions, "{topic} did not end within a minute");
    seen.into_values().flatten().collect()
}

/// JSON values of a topic, tombstones left out.
pub fn read_json(topic: &str) -> Vec<serde_json::Value> {
    let values = read_committed(topic).into_iter().filter_map(|seen| seen.value);
    values.map(|value| serde_json::from_str(&value).expect("JSON")).collect()
}

/// Asks again until `done` holds, at most so long.
pub fn wait_for(what: &str, seconds: u64, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    while !done() {
        assert!(Instant::now() < deadline, "{what} did not come true within {seconds} s");
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// A running `eddyline`; killed when dropped.
pub struct Process(pub Child);

impl Process {
    /// Starts `eddyline` with these arguments and the test's broker.
    pub fn start(args: &[&str]) -> Self {
        Self::start_telling(args, Stdio::inherit())
    }

    /// The same; what it says goes to `log`.
    pub fn start_telling(args: &[&str], log: Stdio) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_eddyline"))
            .args(args)
            .args(["--bootstrap-servers", &bootstrap()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("eddyline starts");
        Self(child)
    }

    /// `STOP`: it stands still, unnoticed by itself, until `CONT`.
    pub fn signal(&self, name: &str) {
        let (signal, pid) = (format!("-{name}"), self.0.id().to_string());
        assert!(Command::new("kill").args([signal, pid]).status().expect("kill").success());
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.0.kill().expect("kill");
        self.0.wait().expect("wait");
    }

    /// SIGTERM; it must leave with 0.
    pub fn terminate(mut self) {
        self.signal("TERM");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(status) = self.0.try_wait().expect("wait") {
                assert!(status.success(), "eddyline left with {status}");
                return;
            }
            assert!(Instant::now() < deadline, "eddyline does not leave after SIGTERM");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether the topic exists.
pub fn exists(topic: &str) -> bool {
    let consumer: BaseConsumer = client().create().expect("consumer");
    let metadata = consumer.fetch_metadata(None, Duration::from_secs(10)).expect("metadata");
    metadata.topics().iter().any(|known| known.name() == topic)
}
