//! A broker in the process's memory: for tests, simulation and `eddyline test`.
//!
//! **Invariant:** without injected faults it behaves as the embedded broker does, but forgets everything with the last
//! handle to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::log::{Log, broker_over_log};
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
    /// The commit is asked for and has not happened.
    BeforeCommit,
    /// The commit has happened and nobody knows.
    AfterCommit,
    /// A consumer polls.
    Poll,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The step fails with [`ErrorKind::Unavailable`]; after a commit that is an answer that got lost.
    Unavailable,
    /// The step fails with [`ErrorKind::Fenced`].
    Fenced,
    /// The client is dead from now on: whatever it had not committed is lost, every call fails.
    Crash,
}

/// Asked at every step of every client, by client id: what goes wrong?
pub type Faults = Arc<dyn Fn(Step, &str) -> Option<Fault> + Send + Sync>;

/// A broker in memory. Clones are handles to the same log.
#[derive(Clone)]
pub struct MemoryBroker {
    log: Arc<Log>,
    faults: Option<Faults>,
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
        Self { log: Log::volatile("memory"), faults: None }
    }

    /// The same log, seen through faults by the clients made from here.
    pub fn with_faults(&self, faults: Faults) -> Self {
        Self { log: self.log.clone(), faults: Some(faults) }
    }

    /// Takes a member out of its group without its knowledge, as happens to one that stopped answering.
    pub fn expel(&self, group: &str, client_id: &str) {
        self.log.expel(group, client_id);
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
        Ok(match &self.faults {
            None => inner,
            Some(faults) => {
                let fate = Fate { faults: faults.clone(), client_id: options.client_id.clone(), dead: false };
                Box::new(FaultyConsumer { inner, fate })
            }
        })
    }

    fn producer(&self, options: &ProducerOptions) -> Result<Box<dyn Producer>> {
        let inner = self.log.producer(options)?;
        Ok(match &self.faults {
            None => inner,
            Some(faults) => {
                let fate = Fate { faults: faults.clone(), client_id: options.client_id.clone(), dead: false };
                Box::new(FaultyProducer { inner, fate })
            }
        })
    }
}

/// One client's share of the faults.
struct Fate {
    faults: Faults,
    client_id: String,
    dead: bool,
}

impl Fate {
    fn alive(&self) -> Result<()> {
        if !self.dead {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Unavailable, format!("client {} crashed (injected fault)", self.client_id)))
    }

    fn ask(&mut self, step: Step) -> Result<()> {
        self.alive()?;
        match (self.faults)(step, &self.client_id) {
            None => Ok(()),
            Some(Fault::Unavailable) => {
                Err(Error::new(ErrorKind::Unavailable, format!("no answer at {step:?} (injected fault)")))
            }
            Some(Fault::Fenced) => Err(Error::new(ErrorKind::Fenced, format!("fenced at {step:?} (injected fault)"))),
            Some(Fault::Crash) => {
                self.dead = true;
                self.alive()
            }
        }
    }
}

struct FaultyProducer {
    inner: Box<dyn Producer>,
    fate: Fate,
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
        self.fate.ask(Step::BeforeCommit)?;
        self.inner.commit(offsets, group)?;
        self.fate.ask(Step::AfterCommit)
    }

    fn abort(&mut self) -> Result<()> {
        self.fate.alive()?;
        self.inner.abort()
    }

    fn flush(&mut self, timeout: Duration) -> Result<()> {
        self.fate.alive()?;
        self.inner.flush(timeout)
    }
}

struct FaultyConsumer {
    inner: Box<dyn Consumer>,
    fate: Fate,
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
        self.fate.alive()?;
        self.inner.committed(partitions)
    }

    fn group_metadata(&self) -> Option<GroupMetadata> {
        self.inner.group_metadata()
    }

    fn close(&mut self) {
        self.inner.close();
    }
}
