//! A broker in the process's memory: for tests, simulation and `eddyline test`.
//!
//! **Invariant:** without injected faults it behaves as the embedded broker does, but forgets everything with the last
//! handle to it.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;
use std::time::Duration;

use super::log::{Log, LogConsumer, LogProducer, broker_over_log};
use super::{Broker, CommittedOffset, Consumer, ConsumerOptions, GroupMetadata, OutRecord, Poll, Producer};
use super::{ProducerOptions, Start, TopicInfo, TopicPartition, TopicSpec};
use crate::error::{Error, ErrorKind, Result};

/// A place where something may go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Step {
    /// A transaction begins.
    Begin,
    /// A record is handed over.
    Send,
    /// Records and offsets are sent, and the commit is about to be asked for. (Without transactions records are written.)
    BeforeCommit,
    /// The commit has happened and nobody knows.
    AfterCommit,
    /// A consumer polls.
    Poll,
    /// Anything else is asked for: offsets, ends, a new client.
    Ask,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The step fails with [`ErrorKind::Unavailable`]; after a commit that is an answer that got lost.
    Unavailable,
    /// The step fails with [`ErrorKind::Fenced`].
    Fenced,
    /// The client is dead from now on: whatever it had not committed is lost, every call fails. Its group and its
    /// transaction do not know: see [`MemoryBroker::expel_dead`] and [`MemoryBroker::settle`].
    Crash,
    /// Before a commit: it is on its way and the client stops waiting for it; it arrives when [`MemoryBroker::settle`]
    /// says or the next producer of the id comes. Elsewhere as `Unavailable`.
    Late,
    /// Before a commit: it happens, but partitions do not know until [`MemoryBroker::settle`] says so or the producer
    /// goes on. Elsewhere nothing.
    Unseen,
}

/// Asked at every step of every client, by client id: what goes wrong?
pub type Faults = Arc<dyn Fn(Step, &str) -> Option<Fault> + Send + Sync>;

/// A broker in memory. Clones are handles to the same log.
#[derive(Clone)]
pub struct MemoryBroker {
    log: Arc<Log>,
    process: Option<Process>,
}

/// The process that clients belong to.
#[derive(Clone)]
struct Process {
    faults: Faults,
    dead: Arc<AtomicBool>,
    cut_off: Arc<AtomicBool>,
}

impl fmt::Debug for MemoryBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryBroker").field("log", &self.log).finish_non_exhaustive()
    }
}

impl Default for MemoryBroker {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBroker {
    /// A broker without topics.
    pub fn new() -> Self {
        Self { log: Log::volatile("memory"), process: None }
    }

    /// The same log for one process, whose clients meet faults. Others notice its transactions before they end, as on a
    /// cluster: see [`MemoryBroker::unsettled`].
    pub fn with_faults(&self, faults: Faults) -> Self {
        Self { log: self.log.clone(), process: Some(Process { faults, dead: Arc::default(), cut_off: Arc::default() }) }
    }

    /// `kill -9` for all clients made from this handle: every call of them fails. Their groups and transactions do not
    /// know.
    pub fn crash(&self) {
        if let Some(process) = &self.process {
            process.dead.store(true, Ordering::SeqCst);
        }
    }

    /// As if the network were broken between this process and the broker, until it is whole again.
    pub fn cut_off(&self, cut_off: bool) {
        if let Some(process) = &self.process {
            process.cut_off.store(cut_off, Ordering::SeqCst);
        }
    }

    fn reach(&self) -> Result<()> {
        self.process.as_ref().map_or(Ok(()), |process| Fate::new(process, "").ask(Step::Ask).map(|_| ()))
    }

    /// Takes a member out of its group without its knowledge, as happens to one that stopped answering.
    pub fn expel(&self, group: &str, client_id: &str) {
        self.log.expel(group, client_id);
    }

    /// Takes the members that crashed out of their groups.
    pub fn expel_dead(&self) {
        self.log.expel_dead();
    }

    /// Transactional ids whose transaction nobody will end, or whose partitions do not know yet that it ended.
    pub fn unsettled(&self) -> Vec<String> {
        self.log.unsettled()
    }

    /// Ends the transaction of an id: a commit on its way arrives, an abandoned transaction times out.
    pub fn settle(&self, transactional_id: &str) -> Result<()> {
        self.log.settle_orphan(transactional_id)
    }

    /// Partitions and keys of records that somebody wrote without a transaction after its group had expelled it.
    pub fn strays(&self) -> BTreeSet<(TopicPartition, Vec<u8>)> {
        self.log.strays()
    }

    /// How often somebody did that who had been told before, by [`Poll::lost`].
    pub fn wilful_strays(&self) -> usize {
        self.log.wilful_strays()
    }

    /// Compacts the compacted topics now.
    pub fn compact(&self) -> Result<()> {
        self.log.compact()
    }
}

impl Broker for MemoryBroker {
    broker_over_log!();

    fn consumer(&self, options: &ConsumerOptions) -> Result<Box<dyn Consumer>> {
        let inner = self.log.consumer(options);
        Ok(match &self.process {
            None => Box::new(inner),
            Some(process) => {
                let fate = Fate::new(process, &options.client_id);
                fate.ask(Step::Ask)?;
                Box::new(FaultyConsumer { inner, fate })
            }
        })
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>> {
        let Some(process) = &self.process else { return Ok(Box::new(self.log.producer(options)?)) };
        let fate = Fate::new(process, &options.client_id);
        fate.ask(Step::Ask)?;
        let inner = self.log.producer(options)?.watched();
        Ok(Box::new(FaultyProducer { inner, fate, transactional: options.transactional_id.is_some(), in_doubt: false }))
    }
}

/// One client's share of the faults.
struct Fate {
    process: Process,
    client_id: String,
    dead: Cell<bool>,
}

impl Fate {
    fn new(process: &Process, client_id: &str) -> Self {
        Self { process: process.clone(), client_id: client_id.to_owned(), dead: Cell::new(false) }
    }

    fn is_dead(&self) -> bool {
        self.dead.get() || self.process.dead.load(Ordering::SeqCst)
    }

    /// Whether the broker hears what it says.
    fn is_heard(&self) -> bool {
        !self.is_dead() && !self.process.cut_off.load(Ordering::SeqCst)
    }

    fn alive(&self) -> Result<()> {
        if self.is_heard() {
            return Ok(());
        }
        let how = if self.is_dead() { "crashed" } else { "is cut off" };
        Err(Error::new(ErrorKind::Unavailable, format!("client {} {how} (injected fault)", self.client_id)))
    }

    /// Fails, or says what the caller has to arrange.
    fn ask(&self, step: Step) -> Result<Option<Fault>> {
        self.alive()?;
        let fault = (self.process.faults)(step, &self.client_id);
        match fault {
            None | Some(Fault::Unseen) => Ok(fault),
            Some(Fault::Late) if step == Step::BeforeCommit => Ok(fault),
            Some(Fault::Unavailable | Fault::Late) => Err(self.no_answer(step)),
            Some(Fault::Fenced) => Err(Error::new(ErrorKind::Fenced, format!("fenced at {step:?} (injected fault)"))),
            Some(Fault::Crash) => {
                self.dead.set(true);
                Err(self.no_answer(step))
            }
        }
    }

    fn no_answer(&self, step: Step) -> Error {
        let what = format!("no answer for {} at {step:?} (injected fault)", self.client_id);
        Error::new(ErrorKind::Unavailable, what)
    }
}

struct FaultyProducer {
    inner: LogProducer,
    fate: Fate,
    transactional: bool,
    /// Nobody knows how the last transaction ended.
    in_doubt: bool,
}

impl Producer for FaultyProducer {
    fn begin(&mut self) -> Result<()> {
        self.fate.ask(Step::Begin)?;
        self.inner.begin()
    }

    fn send(&mut self, record: OutRecord<'_>) -> Result<()> {
        self.fate.ask(Step::Send)?;
        self.inner.send(record)
    }

    fn commit(&mut self, offsets: &[CommittedOffset], group: Option<&GroupMetadata>) -> Result<()> {
        self.fate.alive()?;
        if self.transactional {
            self.inner.announce(offsets, group)?;
        } else {
            self.inner.note_strays(group);
            self.inner.flush(Duration::ZERO)?;
        }
        match self.fate.ask(Step::BeforeCommit)? {
            Some(Fault::Late) if self.transactional => {
                self.inner.commit_later(offsets, group);
                self.in_doubt = true;
                return Err(self.fate.no_answer(Step::BeforeCommit));
            }
            Some(Fault::Unseen) if self.transactional => self.inner.commit_unseen(offsets, group)?,
            _ => self.inner.commit(offsets, group)?,
        }
        self.fate.ask(Step::AfterCommit).map(|_| ())
    }

    fn abort(&mut self) -> Result<()> {
        self.fate.alive()?;
        if self.in_doubt {
            return Err(Error::new(ErrorKind::Unavailable, "the transaction may have been committed"));
        }
        self.inner.abort()
    }

    fn flush(&mut self, timeout: Duration) -> Result<()> {
        self.fate.alive()?;
        self.inner.flush(timeout)
    }
}

impl Drop for FaultyProducer {
    fn drop(&mut self) {
        self.inner.abandon();
    }
}

struct FaultyConsumer {
    inner: LogConsumer,
    fate: Fate,
}

impl Drop for FaultyConsumer {
    fn drop(&mut self) {
        if !self.fate.is_heard() {
            self.inner.abandon();
        }
    }
}

impl Consumer for FaultyConsumer {
    fn subscribe(&mut self, topics: &[String]) -> Result<()> {
        self.fate.alive()?;
        self.inner.subscribe(topics)
    }

    fn assign(&mut self, partitions: &[(TopicPartition, Start)]) -> Result<()> {
        self.fate.alive()?;
        self.inner.assign(partitions)
    }

    fn waker(&self) -> Waker {
        self.inner.waker()
    }

    fn poll(&mut self, max_records: usize, timeout: Duration) -> Result<Poll> {
        self.fate.ask(Step::Poll)?;
        self.inner.poll(max_records, timeout)
    }

    fn seek(&mut self, partition: &TopicPartition, offset: i64) -> Result<()> {
        self.fate.alive()?;
        self.inner.seek(partition, offset)
    }

    fn pause(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.fate.alive()?;
        self.inner.pause(partitions)
    }

    fn resume(&mut self, partitions: &[TopicPartition]) -> Result<()> {
        self.fate.alive()?;
        self.inner.resume(partitions)
    }

    fn end_offset(&self, partition: &TopicPartition) -> Option<i64> {
        self.inner.end_offset(partition)
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<Vec<CommittedOffset>> {
        self.fate.ask(Step::Ask)?;
        self.inner.committed(partitions)
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        self.inner.group_metadata()
    }

    fn close(&mut self) {
        if self.fate.is_heard() {
            self.inner.close();
        } else {
            self.inner.abandon();
        }
    }
}
