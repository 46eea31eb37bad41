//! Kafka as the broker, through librdkafka: administration here, reading and writing in the modules below.
//!
//! **Invariant:** nothing here creates a topic by asking for it.

mod consumer;
mod error;
mod native;
mod producer;
mod reader;

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll as TaskPoll, Wake, Waker};
use std::thread::Thread;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::{Metadata, MetadataTopic};

use self::consumer::{ANSWER, KafkaConsumer, committed, offset_list, wait_a_little, watermarks};
use self::error::{crate_failed, failed, kind, with_advice};
use self::native::NativeConsumer;
use self::producer::KafkaProducer;
use self::reader::ReadClients;
use super::lanes::{Expectation, Lanes};
use super::{Broker, CommittedOffset, Consumer, ConsumerOptions, Producer, ProducerOptions, TopicInfo};
use super::{TopicPartition, TopicSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::time::SystemClock;

/// How long an answer about topics may take; it is asked for often, and by threads that have other things to do.
const LOOK_UP: Duration = Duration::from_secs(5);
/// What topics take when the cluster does not say: Kafka's default.
const RECORD_BYTES_MAX: usize = 1_048_588;
const BATCH_BYTES: usize = 1_000_000;
/// How long the first answer may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The group of clients that belong to none: librdkafka wants a name, the broker never hears it.
const NO_GROUP: &str = "eddyline-no-group";

/// A Kafka cluster. Clones are handles to the same connections.
#[derive(Clone)]
pub struct KafkaBroker {
    shared: Arc<Shared>,
}

/// What the clients of a cluster share.
struct Shared {
    bootstrap: String,
    /// librdkafka properties of the user.
    extra: BTreeMap<String, String>,
    /// Asks for metadata; as a consumer, since asking as a producer may create topics.
    probe: NativeConsumer,
    /// Asks for offsets that transactions still hide; made when first needed.
    uncommitted: OnceLock<NativeConsumer>,
    admin: AdminClient<DefaultClientContext>,
    /// What members of groups read over.
    lanes: Arc<Lanes>,
    /// Largest batch of records that producers make: no topic takes less.
    batch_bytes: AtomicUsize,
}

impl fmt::Debug for KafkaBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The properties may hold passwords.
        f.debug_struct("KafkaBroker").field("bootstrap", &self.shared.bootstrap).finish_non_exhaustive()
    }
}

impl KafkaBroker {
    /// Connects to `host:port,…`; `extra` are librdkafka properties, which win over ours.
    pub fn connect(bootstrap: &str, extra: &BTreeMap<String, String>) -> Result<Self> {
        let mut config = base_config(bootstrap);
        config.set("group.id", NO_GROUP).set("isolation.level", "read_committed");
        config.extend(extra.clone());
        let creating = |error| crate_failed("creating a Kafka client", &error);
        let probe = NativeConsumer::new(&config).map_err(creating)?;
        let mut config = base_config(bootstrap);
        config.extend(extra.clone());
        let admin: AdminClient<DefaultClientContext> = config.create().map_err(creating)?;
        let shared = Arc::new_cyclic(|shared| Shared {
            bootstrap: bootstrap.to_owned(),
            extra: extra.clone(),
            probe,
            uncommitted: OnceLock::new(),
            admin,
            lanes: Lanes::new(Box::new(ReadClients::new(shared.clone())), SystemClock::shared()),
            batch_bytes: AtomicUsize::new(BATCH_BYTES),
        });
        shared.greet()?;
        Ok(Self { shared })
    }
}

fn base_config(bootstrap: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", bootstrap)
        .set("reconnect.backoff.max.ms", "2000")
        .set("log.connection.close", "false");
    config
}

impl Shared {
    fn config(&self) -> ClientConfig {
        base_config(&self.bootstrap)
    }

    fn override_with_extra(&self, config: &mut ClientConfig) {
        config.extend(self.extra.clone());
    }

    /// Makes sure that somebody is there, in pieces so that a refusal is seen before the time is over.
    fn greet(&self) -> Result<()> {
        let piece = Duration::from_millis(500);
        let mut waited = Duration::ZERO;
        while self.probe.client().fetch_metadata(None, piece).is_err() {
            waited += piece;
            self.probe.serve();
            if waited < CONNECT {
                continue;
            }
            let error = Error::new(ErrorKind::Unavailable, format!("no broker answers at {}", self.bootstrap));
            let error = match self.probe.context().trouble() {
                Some(reason) => error.caused_by(reason),
                None => error,
            };
            return Err(error.hint(
                "Check the address and that the broker runs; if it wants TLS or SASL, set kafka.security.protocol \
                 and its companions.",
            ));
        }
        Ok(())
    }

    fn metadata(&self, name: &str) -> Result<Metadata> {
        let found = self.probe.client().fetch_metadata(Some(name), LOOK_UP);
        found.map_err(|error| self.unreachable(&format!("looking up topic {name}"), &error))
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        let found = self.metadata(name)?;
        let Some(topic) = found.topics().first() else { return Ok(None) };
        match topic.error() {
            None => Ok(Some(info(topic))),
            Some(code) => match RDKafkaErrorCode::from(code) {
                RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => Ok(None),
                code => Err(with_advice(Error::new(kind(code), format!("looking up topic {name}: {code}")), code)),
            },
        }
    }

    /// How large a batch of records the topic takes.
    fn record_bytes_max(&self, name: &str) -> usize {
        let options = AdminOptions::new().request_timeout(Some(LOOK_UP));
        let found = wait(self.admin.describe_configs([&ResourceSpecifier::Topic(name)], &options));
        let config = found.ok().and_then(|mut found| found.pop()).and_then(Result::ok);
        let limit = config.as_ref().and_then(|config| config.get("max.message.bytes")?.value.as_deref()?.parse().ok());
        // Who may write a topic need not be allowed to see its configuration.
        limit.unwrap_or(RECORD_BYTES_MAX)
    }

    fn unreachable(&self, doing: &str, error: &rdkafka::error::KafkaError) -> Error {
        let error = crate_failed(doing, error);
        self.probe.serve();
        match self.probe.context().trouble() {
            Some(reason) if error.kind() == ErrorKind::Unavailable => error.caused_by(reason),
            _ => error,
        }
    }

    fn consumer_config(&self, options: &ConsumerOptions) -> ClientConfig {
        let mut config = self.config();
        config
            .set("client.id", &options.client_id)
            .set("group.id", options.group.as_deref().unwrap_or(NO_GROUP))
            .set("isolation.level", if options.read_uncommitted { "read_uncommitted" } else { "read_committed" })
            .set("partition.assignment.strategy", "range")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("enable.partition.eof", "true")
            // A member of a group is told when its offset is gone; others just read what there is.
            .set("auto.offset.reset", if options.group.is_some() { "error" } else { "earliest" })
            .set("allow.auto.create.topics", "false")
            // A member that was killed is missed after this.
            .set("session.timeout.ms", "10000")
            // Members hear of a rebalance by the answer to a heartbeat.
            .set("heartbeat.interval.ms", "3000")
            // A member whose thread does not come back for so long loses its partitions. Restoring does come back.
            .set("max.poll.interval.ms", "300000")
            // New partitions and deleted topics are noticed after this.
            .set("topic.metadata.refresh.interval.ms", "10000")
            // An end of a partition is told after a fetch that brought nothing; and a broker does not end the wait of a
            // fetch when a transaction ends, which makes its records readable.
            .set("fetch.wait.max.ms", if options.patient { "2000" } else { "100" })
            .set("fetch.queue.backoff.ms", "2")
            // What waits in the client, and what one more answer may bring on top: memory, and what waits for long is
            // no longer in the processor's cache when its turn comes.
            .set("max.partition.fetch.bytes", "262144")
            .set("queued.min.messages", "5000")
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.max.bytes", "16777216");
        self.override_with_extra(&mut config);
        config
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<NativeConsumer> {
        let config = self.consumer_config(options);
        NativeConsumer::new(&config).map_err(|error| crate_failed("creating a consumer", &error))
    }

    /// Waits until the cluster's answer to `topic` is as it should be.
    fn await_topic(&self, name: &str, settled: impl Fn(Option<&MetadataTopic>) -> bool) -> Result<()> {
        for _ in 0..100 {
            let found = self.metadata(name)?;
            if settled(found.topics().first().filter(|topic| topic.error().is_none())) {
                return Ok(());
            }
            wait_a_little();
        }
        Err(Error::new(ErrorKind::Unavailable, format!("the cluster is slow to agree about topic {name}")))
    }
}

fn info(topic: &MetadataTopic) -> TopicInfo {
    let replicas = topic.partitions().first().map_or(0, |partition| partition.replicas().len());
    TopicInfo { name: topic.name().to_owned(), partitions: topic.partitions().len() as i32, replicas: replicas as i32 }
}

/// Waits for one of rdkafka's administrative futures; its own thread completes them.
fn wait<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        if let TaskPoll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        std::thread::park();
    }
}

/// The verdict on the one thing that was asked for.
fn verdict<T>(
    doing: &str,
    result: rdkafka::error::KafkaResult<Vec<Result<T, (String, RDKafkaErrorCode)>>>,
) -> Result<()> {
    match result.map_err(|error| crate_failed(doing, &error))?.pop() {
        Some(Err((_, code))) => Err(with_advice(Error::new(kind(code), format!("{doing}: {code}")), code)),
        _ => Ok(()),
    }
}

impl Broker for KafkaBroker {
    fn name(&self) -> String {
        self.shared.bootstrap.clone()
    }

    fn create_topic(&self, spec: &TopicSpec) -> Result<()> {
        // -1 leaves the number to the cluster.
        let replicas = TopicReplication::Fixed(spec.replicas.unwrap_or(-1));
        let mut topic = NewTopic::new(&spec.name, spec.partitions, replicas);
        for (key, value) in &spec.config {
            topic = topic.set(key, value);
        }
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let created = wait(self.shared.admin.create_topics([&topic], &options));
        match verdict(&format!("creating topic {}", spec.name), created) {
            Err(error) if error.kind() == ErrorKind::Conflict => {
                return Err(Error::new(ErrorKind::Conflict, format!("topic {} already exists", spec.name)));
            }
            other => other?,
        }
        self.shared.await_topic(&spec.name, |topic| {
            topic.is_some_and(|topic| {
                topic.partitions().len() as i32 == spec.partitions
                    && topic.partitions().iter().all(|partition| partition.leader() >= 0)
            })
        })
    }

    fn delete_topic(&self, name: &str) -> Result<()> {
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let deleted = wait(self.shared.admin.delete_topics(&[name], &options));
        match verdict(&format!("deleting topic {name}"), deleted) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(Error::not_found(format!("topic {name} does not exist")));
            }
            other => other?,
        }
        self.shared.await_topic(name, |topic| topic.is_none())
    }

    fn topic(&self, name: &str) -> Result<Option<TopicInfo>> {
        self.shared.topic(name)
    }

    fn topics(&self) -> Result<Vec<TopicInfo>> {
        let found = self.shared.probe.client().fetch_metadata(None, ANSWER);
        let found = found.map_err(|error| self.shared.unreachable("listing topics", &error))?;
        let mut topics: Vec<_> =
            found.topics().iter().map(info).filter(|topic| !topic.name.starts_with("__")).collect();
        topics.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(topics)
    }

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>> {
        let native = self.shared.consumer(options)?;
        Ok(Box::new(KafkaConsumer::new(native, self.shared.lanes.clone(), options.clone())))
    }

    fn expect(&self, topics: &[String]) -> Option<Expectation> {
        Some(self.shared.lanes.expect(topics))
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>> {
        Ok(Box::new(KafkaProducer::new(self.shared.clone(), options)?))
    }

    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        let options = ConsumerOptions { group: Some(group.to_owned()), ..ConsumerOptions::default() };
        committed(&self.shared.consumer(&options)?, partitions)
    }

    fn incarnation(&self, topic: &str) -> Result<String> {
        let name = CString::new(topic).map_err(|_| Error::semantic("a null byte in a topic name"))?;
        let found = self.shared.probe.topic_id(&name, LOOK_UP);
        let found = found.map_err(|failure| failed(&format!("looking up topic {topic}"), &failure))?;
        Ok(found.unwrap_or_default())
    }

    fn delete_group(&self, group: &str) -> Result<()> {
        let options = AdminOptions::new().request_timeout(Some(ANSWER));
        let deleted = wait(self.shared.admin.delete_groups(&[group], &options));
        match verdict(&format!("deleting group {group}"), deleted) {
            // A group that never committed is as good as deleted.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64)> {
        watermarks(&self.shared.probe, partition)
    }

    fn purge(&self, before: &[(TopicPartition, i64)]) -> Result<()> {
        let list = offset_list(before.iter().map(|(partition, offset)| (partition, *offset, None)))?;
        let options = AdminOptions::new().operation_timeout(Some(ANSWER)).request_timeout(Some(ANSWER));
        let doing = "deleting records that have been read";
        let purged = wait(self.shared.admin.delete_records(&list, &options));
        let purged = purged.map_err(|error| crate_failed(doing, &error))?;
        let refused = purged.elements().into_iter().find_map(|element| element.error().err());
        refused.map_or(Ok(()), |error| Err(crate_failed(doing, &error)))
    }

    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64> {
        let probe = match self.shared.uncommitted.get() {
            Some(probe) => probe,
            None => {
                let options = ConsumerOptions { read_uncommitted: true, ..ConsumerOptions::default() };
                let probe = self.shared.consumer(&options)?;
                self.shared.uncommitted.get_or_init(|| probe)
            }
        };
        Ok(watermarks(probe, partition)?.1)
    }
}
