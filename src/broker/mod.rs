//! The log seam: topics, consumers, transactional producers, administration. Three brokers stand behind it:
//! [`memory`] (tests, `eddyline test`), [`embedded`] (durable, on fjall) and [`kafka`] (rdkafka).
//!
//! **Invariant:** what a transaction wrote, records and offsets alike, becomes visible to `read_committed` readers at
//! once or not at all. [`Producer::commit`] returning `Ok` is the only sign that it did.

pub mod embedded;
pub mod kafka;
mod lanes;
mod log;
pub mod memory;
pub mod murmur2;

pub use self::lanes::Expectation;

use std::fmt;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

use crate::change::{Header, RecordSet};
use crate::error::Result;

/// A partition of a topic.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TopicPartition {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
}

impl TopicPartition {
    /// A partition of a topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> Self {
        Self { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A topic to be created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicSpec {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of copies; the broker's default when `None`.
    pub replicas: Option<i32>,
    /// `cleanup.policy`, `retention.ms`, … as Kafka names them.
    pub config: Vec<(String, String)>,
}

/// What is known of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicInfo {
    /// Its name.
    pub name: String,
    /// Number of partitions.
    pub partitions: i32,
    /// Number of copies.
    pub replicas: i32,
}

/// The door to a cluster, or to the embedded log.
pub trait Broker: Send + Sync + fmt::Debug {
    /// How it is called in messages: `embedded`, `127.0.0.1:9092`.
    fn name(&self) -> String;
    /// Creates a topic; `Conflict` if it exists.
    fn create_topic(&self, spec: &TopicSpec) -> Result<()>;
    /// Deletes a topic and its records; `NotFound` if there is none.
    fn delete_topic(&self, name: &str) -> Result<()>;
    /// The topic, if it exists.
    fn topic(&self, name: &str) -> Result<Option<TopicInfo>>;
    /// All topics by name.
    fn topics(&self) -> Result<Vec<TopicInfo>>;
    /// A new consumer.
    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>>;
    /// A new producer. One with a transactional id fences every older one of the same id and ends its transaction.
    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>>;
    /// Committed offsets of a group; partitions without one are left out.
    fn committed(&self, group: &str, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>>;
    /// Forgets a group's offsets (its query is gone).
    fn delete_group(&self, group: &str) -> Result<()>;
    /// First offset and one past the last one that a `read_committed` reader may see. On Kafka the end may count
    /// markers of transactions: to know whether all is read, ask [`Consumer::end_offset`].
    fn offsets(&self, partition: &TopicPartition) -> Result<(i64, i64)>;
    /// One past the last record of the partition, whether its transaction is decided or not: more than the end in
    /// [`Broker::offsets`] while one is open. What was committed before this call can be read once that end has come
    /// here, not sooner: an open transaction hides what others committed after it began, and a partition may learn of a
    /// commit later than its group does.
    fn high_watermark(&self, partition: &TopicPartition) -> Result<i64> {
        Ok(self.offsets(partition)?.1)
    }
    /// Forgets the records before these offsets.
    fn purge(&self, before: &[(TopicPartition, i64)]) -> Result<()>;
    /// Says that members of groups will soon read these topics, until what is returned is dropped: those who are there
    /// first wait a little for them, and all read the same records once.
    fn expect(&self, _topics: &[String]) -> Option<Expectation> {
        None
    }
    /// Tells a topic from an earlier one of its name; empty when the broker cannot.
    fn incarnation(&self, _topic: &str) -> Result<String> {
        Ok(String::new())
    }
}

/// How a consumer reads.
#[derive(Debug, Clone, Default)]
pub struct ConsumerOptions {
    /// Consumer group; `None` for assigned partitions without offsets.
    pub group: Option<String>,
    /// Where a partition without a committed offset starts.
    pub start: Start,
    /// See uncommitted records too (never for input of queries).
    pub read_uncommitted: bool,
    /// How the client is called in the group; members share partitions in the order of these names.
    pub client_id: String,
    /// Which of the process's connections a member of a group reads over, should it be the first to read a partition.
    pub reader: usize,
    /// Nobody waits to hear that there is nothing more to read: the broker is asked less often.
    pub patient: bool,
}

/// Where to start reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// The first record there is.
    #[default]
    Earliest,
    /// Only what comes from now on.
    Latest,
    /// This offset.
    Offset(i64),
}

/// What one poll brought.
#[derive(Debug, Default)]
pub struct Poll {
    /// Records, those of a partition in the order of offsets; none when partitions were assigned or revoked.
    pub sets: Vec<Arc<RecordSet>>,
    /// Partitions newly given to this member, to be read from where [`Consumer::seek`] says or the committed offset.
    pub assigned: Vec<TopicPartition>,
    /// Partitions taken from this member: commit before the next poll, or lose the work.
    pub revoked: Vec<TopicPartition>,
    /// Those in `revoked` may have another owner already, as the group lost patience: nothing of theirs may be written.
    pub lost: bool,
}

/// Reads partitions, by group or by assignment.
pub trait Consumer: Send {
    /// Joins the group for these topics. Members that subscribe to the same topics get the same partition numbers of
    /// each (range assignment), so that co-partitioned topics meet.
    fn subscribe(&mut self, topics: &[String]) -> Result<()>;
    /// Reads exactly these partitions from there.
    fn assign(&mut self, partitions: &[(TopicPartition, Start)]) -> Result<()>;
    /// Ends the wait of a poll, or of the next one if none waits.
    fn waker(&self) -> Waker;
    /// Waits up to `timeout` for anything, then brings at most about `max_records` records.
    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll>;
    /// The next record of the partition is to be this one.
    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()>;
    /// No more records of these partitions until resumed, or taken away: one that comes back is not paused.
    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()>;
    /// Records of these partitions again.
    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()>;
    /// One past the last readable record, as far as the consumer knows without asking the broker. A reader whose next
    /// offset has reached it has read everything: on Kafka it tells transaction markers at the end from records.
    fn end_offset(&self, partition: &TopicPartition) -> Option<i64>;
    /// Committed offsets of this consumer's group for these partitions (waits for pending transactions).
    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>>;
    /// Proof of membership for [`Producer::commit`].
    fn group_metadata(&self) -> Option<GroupMetadata>;
    /// Leaves the group.
    fn close(&mut self);
}

/// Proof that a consumer is a living member of its group.
#[derive(Debug, Clone)]
pub struct GroupMetadata {
    /// The group.
    pub group: String,
    /// What the broker's client needs: opaque to everybody else.
    pub token: Arc<dyn std::any::Any + Send + Sync>,
}

/// An offset that a group committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommittedOffset {
    /// The partition.
    pub partition: TopicPartition,
    /// The next offset to read.
    pub offset: i64,
    /// What was stored with it.
    pub metadata: String,
}

/// How a producer writes.
#[derive(Debug, Clone, Default)]
pub struct ProducerOptions {
    /// Stable name of the transactional writer; `None` writes without transactions.
    pub transactional_id: Option<String>,
    /// How the client is called in the broker's logs.
    pub client_id: String,
    /// A record whose acknowledgement got lost may be written twice, which is cheaper to do. Order is kept.
    pub may_repeat: bool,
}

/// A record to be written.
#[derive(Debug, Clone, Copy)]
pub struct OutRecord<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition.
    pub partition: i32,
    /// Key bytes.
    pub key: Option<&'a [u8]>,
    /// Value bytes; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// Event time.
    pub timestamp: i64,
    /// Headers.
    pub headers: &'a [Header],
}

/// Writes records: in transactions when made with a transactional id, else at once.
pub trait Producer: Send {
    /// Begins a transaction. Without a transactional id it is a hint that many records follow until `commit` or
    /// `flush`, which need not be visible before.
    fn begin(&mut self) -> Result<()>;
    /// Hands a record over; waits while the client's buffer is full. `Data` means that the topic does not take a record
    /// like this, above all one so large: it was not handed over, and the transaction is as it was.
    fn send(&mut self, record: OutRecord<'_>) -> Result<()>;
    /// Commits records and the group's offsets as one. Without a transactional id: flushes records, then stores the
    /// offsets.
    ///
    /// `Fenced` means that another producer, or another member of the group, took over. After any other error the
    /// outcome is open: make a new producer, which settles it, and go on from the committed offsets.
    fn commit(&mut self, offsets: &[CommittedOffset], group: Option<&GroupMetadata>) -> Result<()>;
    /// Takes the transaction back.
    fn abort(&mut self) -> Result<()>;
    /// Waits until every record handed over is acknowledged.
    fn flush(&mut self, timeout: Duration) -> Result<()>;
}
