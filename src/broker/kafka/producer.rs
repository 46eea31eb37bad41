//! Writing to Kafka.
//!
//! **Invariant:** `commit` returns `Ok` only after every record was acknowledged and the transaction coordinator has
//! recorded the commit; after any other answer the transaction is not visible, or the next producer of the id ends it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;

use super::Shared;
use super::consumer::{ANSWER, offset_list};
use super::error::{crate_failed, failed, kind, with_advice};
use super::native::{Failure, Membership, NativeProducer};
use crate::broker::{CommittedOffset, GroupMetadata, OutRecord, Producer, ProducerOptions};
use crate::change::Header;
use crate::error::{Error, ErrorKind, Result};

/// Callbacks are served after so many records.
const POLL_EVERY: u32 = 1024;
/// How long one call may take, and how often it is taken up again: a commit gives up after less than a minute.
const STEP: Duration = Duration::from_secs(10);
const TRIES: u32 = 3;
/// How long taking a transaction back may take: nobody needs the answer, as the next producer of the id ends it too.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long a record waits for others to share a request. In a transaction nobody sees it before the commit, which ends
/// the wait.
///
/// An idempotent producer that has records due while others of the partition are on their way asks for the time, over and
/// over, until those are acknowledged (`rd_kafka_toppar_producer_serve` counts records in flight where requests are
/// meant). So transactions wait long, and writers that may repeat records do without idempotence.
const LINGER_MS: &str = "10";
const LINGER_MS_TRANSACTION: &str = "100";
/// What a batch adds to its records, and a record to its key, value and headers.
const OVERHEAD: usize = 128;

pub(super) struct KafkaProducer {
    shared: Arc<Shared>,
    config: ClientConfig,
    native: NativeProducer,
    transactional: bool,
    open: bool,
    sent: u32,
    /// What each opened topic takes.
    limits: Vec<usize>,
}

impl KafkaProducer {
    pub(super) fn new(shared: Arc<Shared>, options: &ProducerOptions) -> Result<Self> {
        let mut config = shared.config();
        config
            .set("client.id", &options.client_id)
            .set("acks", "all")
            .set("enable.idempotence", "true")
            .set("linger.ms", LINGER_MS)
            // A full batch leaves at once; what waits for longer is memory.
            .set("batch.num.messages", "2000")
            .set("batch.size", shared.batch_bytes.load(Ordering::Relaxed).to_string())
            .set("queue.buffering.max.messages", "100000")
            .set("queue.buffering.max.kbytes", "65536")
            // Each topic has a limit of its own, which is looked at before a record is handed over.
            .set("message.max.bytes", "100000000")
            .set("delivery.report.only.error", "true");
        if options.may_repeat {
            config.set("enable.idempotence", "false").set("max.in.flight.requests.per.connection", "1");
        }
        if let Some(id) = &options.transactional_id {
            config.set("transactional.id", id).set("linger.ms", LINGER_MS_TRANSACTION);
            // What a dead process left open holds up readers for as long.
            config.set("transaction.timeout.ms", "30000");
        }
        shared.override_with_extra(&mut config);
        let native = NativeProducer::new(&config).map_err(|error| crate_failed("creating a producer", &error))?;
        let transactional = options.transactional_id.is_some();
        let producer = Self { shared, config, native, transactional, open: false, sent: 0, limits: Vec::new() };
        if transactional {
            producer.repeat("taking over the transactional id", || producer.native.init_transactions(STEP))?;
        }
        Ok(producer)
    }

    /// Makes a call, again when that may help.
    fn repeat(&self, doing: &str, call: impl Fn() -> Result<(), Failure>) -> Result<()> {
        let mut tries = 0;
        loop {
            match call() {
                Ok(()) => return Ok(()),
                Err(failure) if failure.retriable && tries < TRIES => {
                    tracing::debug!("{doing}: {}, trying again", failure.text);
                    self.native.poll(Duration::from_millis(50) * 2_u32.pow(tries));
                    tries += 1;
                }
                Err(failure) => return Err(self.explain(doing, &failure)),
            }
        }
    }

    /// The error with the reason that callbacks have seen.
    fn explain(&self, doing: &str, failure: &Failure) -> Error {
        let error = failed(doing, failure);
        match self.native.context().take_undelivered() {
            Some((code, what)) if error.kind() != ErrorKind::Fenced => {
                with_advice(Error::new(kind(code), format!("{doing}: {what}")), code)
            }
            _ => error,
        }
    }

    fn open_topic(&mut self, topic: &str) -> Result<()> {
        // Asked once a topic: librdkafka itself would keep records of a missing topic for half a minute.
        if self.shared.topic(topic)?.is_none() {
            return Err(Error::not_found(format!("topic {topic} does not exist")));
        }
        self.native.open(topic).map_err(|failure| failed(&format!("opening topic {topic}"), &failure))?;
        let limit = self.shared.record_bytes_max(topic);
        self.limits.push(limit);
        if limit >= self.shared.batch_bytes.fetch_min(limit, Ordering::Relaxed) {
            return Ok(());
        }
        // The client makes no batches of different sizes, and a batch that is too large is never written.
        tracing::info!(topic, limit, "batches are made smaller for this topic");
        if self.transactional {
            let message = format!("topic {topic} takes batches of {limit} bytes only: the producer is made anew");
            return Err(Error::new(ErrorKind::Unavailable, message));
        }
        self.flush(ANSWER)?;
        self.config.set("batch.size", limit.to_string());
        self.native = NativeProducer::new(&self.config).map_err(|error| crate_failed("creating a producer", &error))?;
        self.limits.clear();
        self.open_topic(topic)
    }

    /// A batch that the broker refuses takes the whole transaction with it: so such a record is not handed over.
    fn check_size(&self, record: &OutRecord<'_>) -> Result<()> {
        let header = |header: &Header| header.key.len() + header.value.as_ref().map_or(0, Vec::len) + 10;
        let size = record.key.map_or(0, <[u8]>::len)
            + record.value.map_or(0, <[u8]>::len)
            + record.headers.iter().map(header).sum::<usize>();
        let limit = self.limits[self.native.current()];
        if size + OVERHEAD <= limit {
            return Ok(());
        }
        let topic = record.topic;
        let error =
            Error::data(format!("a record of {size} bytes is too large for topic {topic}, which takes {limit}"));
        Err(with_advice(error, RDKafkaErrorCode::MessageSizeTooLarge))
    }
}

impl Producer for KafkaProducer {
    fn begin(&mut self) -> Result<()> {
        if !self.transactional {
            return Ok(());
        }
        if self.open {
            self.abort()?;
        }
        self.native.context().take_undelivered();
        self.repeat("beginning a transaction", || self.native.begin())?;
        self.open = true;
        Ok(())
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        if self.transactional && !self.open {
            return Err(Error::internal("a record was sent outside a transaction"));
        }
        if !self.native.knows(record.topic) {
            self.open_topic(record.topic)?;
        }
        self.check_size(&record)?;
        self.sent = self.sent.wrapping_add(1);
        if self.sent.is_multiple_of(POLL_EVERY) {
            self.native.poll(Duration::ZERO);
        }
        // Room comes back as the broker acknowledges; when it does not, deliveries time out and make room too.
        loop {
            match self.native.send(&record) {
                Ok(()) => return Ok(()),
                Err(RDKafkaErrorCode::QueueFull) => self.native.poll(Duration::from_millis(10)),
                Err(code) => {
                    let what = format!("writing to {}-{}: {code}", record.topic, record.partition);
                    return Err(Error::new(kind(code), what));
                }
            }
        }
    }

    fn commit(&mut self, offsets: &[CommittedOffset], group: Option<&GroupMetadata>) -> Result<()> {
        let member = match (offsets, group) {
            ([], _) => None,
            (_, None) => return Err(Error::internal("offsets without the group they belong to")),
            (_, Some(group)) => {
                let member = group.token.downcast_ref::<Membership>();
                Some(member.ok_or_else(|| Error::internal("group metadata of another broker"))?)
            }
        };
        let list = offset_list(offsets.iter().map(|o| (&o.partition, o.offset, Some(o.metadata.as_str()))))?;
        if !self.transactional {
            self.flush(ANSWER)?;
            return match member {
                None => Ok(()),
                Some(member) => member.store(&list).map_err(|failure| failed("storing offsets", &failure)),
            };
        }
        if !self.open {
            return Err(Error::internal("there is no transaction to commit"));
        }
        if let Some(member) = member {
            self.repeat("adding offsets to the transaction", || self.native.send_offsets(&list, member, STEP))?;
        }
        self.repeat("committing the transaction", || self.native.commit(STEP))?;
        self.open = false;
        match self.native.context().take_undelivered() {
            // librdkafka refuses to commit after a failed delivery, so this does not happen; if it did, it must show.
            Some((_, what)) => Err(Error::internal(format!("committed although {what}"))),
            None => Ok(()),
        }
    }

    fn abort(&mut self) -> Result<()> {
        if !std::mem::take(&mut self.open) {
            return Ok(());
        }
        let result = self.native.abort(FAREWELL).map_err(|failure| failed("aborting the transaction", &failure));
        self.native.context().take_undelivered();
        result
    }

    fn flush(&mut self, timeout: Duration) -> Result<()> {
        self.native.flush(timeout).map_err(|failure| self.explain("waiting for acknowledgements", &failure))?;
        match self.native.context().take_undelivered() {
            // In a transaction its commit reports it.
            Some((code, what)) if !self.transactional => Err(with_advice(Error::new(kind(code), what), code)),
            _ => Ok(()),
        }
    }
}

impl Drop for KafkaProducer {
    fn drop(&mut self) {
        if self.transactional {
            // Left open, it would hold up readers until the coordinator loses patience with it.
            if self.open
                && let Err(failure) = self.native.abort(FAREWELL)
            {
                tracing::debug!("aborting the last transaction: {}", failure.text);
            }
        } else if let Err(error) = self.flush(FAREWELL) {
            // Records outside a transaction were to be written at once.
            tracing::warn!(%error, "a producer ended with records that were not written");
        }
    }
}
