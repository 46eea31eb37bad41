//! Reading partitions: a queue of the client for each, and the clients that all consumers of a process read with.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::sync::{Arc, Mutex, Weak};
use std::task::Waker;

use rdkafka::error::RDKafkaErrorCode;

use super::Shared;
use super::consumer::offset_list;
use super::error::{crate_failed, failed};
use super::native::{Failure, NativeConsumer, PartitionQueue, Received};
use crate::broker::lanes::{Source, Sources, lock};
use crate::broker::{ConsumerOptions, TopicPartition};
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};

/// What a client reads of one partition.
pub(super) struct PartitionReader {
    pub(super) partition: TopicPartition,
    name: CString,
    queue: PartitionQueue,
    native: Arc<NativeConsumer>,
    /// The next record has this offset or a larger one.
    pub(super) position: i64,
    /// Everything before the end has been read, transaction markers set aside.
    pub(super) drained: bool,
    /// An error that came behind records.
    trouble: Option<Error>,
}

impl PartitionReader {
    /// What the client will read of the partition once it is assigned to it.
    pub(super) fn new(
        native: &Arc<NativeConsumer>,
        partition: &TopicPartition,
        position: i64,
        waker: Waker,
    ) -> Result<Self> {
        let name = CString::new(&*partition.topic).map_err(|_| Error::semantic("a null byte in a topic name"))?;
        let queue = native.partition_queue(&name, partition.partition, waker);
        let queue = queue.map_err(|failure| failed(&format!("reading {partition}"), &failure))?;
        Ok(Self {
            partition: partition.clone(),
            name,
            queue,
            native: native.clone(),
            position,
            drained: false,
            trouble: None,
        })
    }
}

impl Source for PartitionReader {
    fn read(&mut self, max: usize, into: &mut RecordSet) -> Result<()> {
        if let Some(error) = self.trouble.take() {
            return Err(error);
        }
        let Self { queue, native, position, drained, trouble, .. } = self;
        native.consume(Some(queue), max, |message| match message.failure() {
            None => {
                let (key, value) = (message.key(), message.value());
                into.push(message.offset(), message.timestamp(), key, value, message.headers());
                (*position, *drained) = (message.offset() + 1, false);
            }
            Some(failure) if failure.code == RDKafkaErrorCode::PartitionEOF => *drained = true,
            Some(failure) => note(message, &failure, trouble),
        });
        // Records in front of an error are handed over first.
        if into.is_empty() { trouble.take().map_or(Ok(()), Err) } else { Ok(()) }
    }

    fn end_offset(&self) -> Option<i64> {
        if self.drained {
            // The end may lie behind markers of transactions, which nobody ever reads.
            return Some(self.position);
        }
        let end = self.native.cached_end(&self.name, self.partition.partition);
        end.map(|end| end.max(self.position))
    }
}

/// Keeps an error that librdkafka does not get over by itself.
pub(super) fn note(message: &Received<'_>, failure: &Failure, trouble: &mut Option<Error>) {
    match read_error(message, failure) {
        Some(error) => *trouble = Some(error),
        None => tracing::debug!("kafka consumer: {}", failure.text),
    }
}

/// The error of a message that is none; `None` for those that librdkafka gets over by itself.
fn read_error(message: &Received<'_>, failure: &Failure) -> Option<Error> {
    use RDKafkaErrorCode as Code;
    match failure.code {
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::RequestTimedOut => None,
        Code::PollExceeded => Some(Error::new(
            ErrorKind::Fenced,
            "this member did not answer its group for longer than max.poll.interval.ms: its partitions went to others",
        )),
        // Where reading goes on is for its caller to say, from the committed offsets.
        Code::AutoOffsetReset => Some(Error::new(
            ErrorKind::Unavailable,
            format!("{}-{} cannot be read on from here: {}", message.topic(), message.partition(), failure.text),
        )),
        _ => Some(failed(&format!("reading {}", message.topic()), failure)),
    }
}

/// The clients that a process reads with: one reads a partition from one place, so there are as many as there are
/// workers in a query, and more while somebody reads a partition from elsewhere.
pub(super) struct ReadClients {
    shared: Weak<Shared>,
    clients: Mutex<Vec<Arc<ReadClient>>>,
}

struct ReadClient {
    native: Arc<NativeConsumer>,
    reading: Mutex<BTreeSet<TopicPartition>>,
}

impl ReadClients {
    pub(super) fn new(shared: Weak<Shared>) -> Self {
        Self { shared, clients: Mutex::default() }
    }

    /// The first client from number `reader` on that does not read the partition yet; now it does.
    fn client(&self, partition: &TopicPartition, reader: usize) -> Result<Arc<ReadClient>> {
        let mut clients = lock(&self.clients);
        let mut number = reader;
        loop {
            while clients.len() <= number {
                let next = self.make(clients.len())?;
                clients.push(Arc::new(next));
            }
            if lock(&clients[number].reading).insert(partition.clone()) {
                return Ok(clients[number].clone());
            }
            number += 1;
        }
    }

    fn make(&self, number: usize) -> Result<ReadClient> {
        let gone = || Error::new(ErrorKind::Unavailable, "the broker's client is being closed");
        let shared = self.shared.upgrade().ok_or_else(gone)?;
        let options = ConsumerOptions { client_id: format!("eddyline-reader-{number}"), ..ConsumerOptions::default() };
        let mut config = shared.consumer_config(&options);
        // Whoever reads is told when an offset is gone.
        config.set("auto.offset.reset", "error");
        let native = NativeConsumer::new(&config).map_err(|error| crate_failed("creating a consumer", &error))?;
        Ok(ReadClient { native: Arc::new(native), reading: Mutex::default() })
    }
}

impl Sources for ReadClients {
    fn open(&self, partition: &TopicPartition, offset: i64, reader: usize, waker: Waker) -> Result<Box<dyn Source>> {
        let client = self.client(partition, reader)?;
        let claim = Claim { client: client.clone(), partition: partition.clone() };
        let inner = PartitionReader::new(&client.native, partition, offset, waker)?;
        let list = offset_list(std::iter::once((partition, offset, None)))?;
        let assigned = client.native.assign_more(&list);
        assigned.map_err(|failure| failed(&format!("reading {partition}"), &failure))?;
        Ok(Box::new(SharedReader { inner, claim }))
    }
}

/// A partition that one of the process's clients reads.
struct SharedReader {
    inner: PartitionReader,
    claim: Claim,
}

/// That a client reads a partition. Declared behind what it reads with: nobody else reads the partition before that is
/// gone.
struct Claim {
    client: Arc<ReadClient>,
    partition: TopicPartition,
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.client.reading).remove(&self.partition);
    }
}

impl Source for SharedReader {
    fn read(&mut self, max: usize, into: &mut RecordSet) -> Result<()> {
        self.inner.read(max, into)?;
        if into.is_empty() {
            // What concerns the client as a whole; of its partitions their queues tell.
            self.claim.client.native.serve();
        }
        Ok(())
    }

    fn end_offset(&self) -> Option<i64> {
        self.inner.end_offset()
    }
}

impl Drop for SharedReader {
    fn drop(&mut self) {
        let partition = &self.inner.partition;
        let ended = offset_list(std::iter::once((partition, self.inner.position, None)));
        let ended = ended.map(|list| self.claim.client.native.assign_less(&list));
        if let Ok(Err(failure)) = &ended {
            tracing::debug!(%partition, "a partition that is read no longer: {}", failure.text);
        }
    }
}
