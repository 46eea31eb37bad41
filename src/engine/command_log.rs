//! The command log: what was done, as a topic that every process of a service reads, so that the next start does it
//! again and the others do it too.
//!
//! A query's record holds its [`Topology`]: a later version of the planner does not change a running query.
//!
//! Several processes write it. One that wants to change something first writes [`Command::Lock`] with a token and reads
//! on until that token is the oldest lock left; its commands carry the token as record key. As a topic partition has one
//! order, all readers agree on who held the lock when. A holder that is silent for too long loses the lock by
//! [`Command::Break`]; what it writes afterwards counts for nobody, itself included.
//!
//! **Invariant:** a command counts when its token held the lock at its place in the log.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::{Broker, Consumer, ConsumerOptions, OutRecord, Producer, ProducerOptions};
use crate::broker::{Start, TopicPartition, TopicSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::topology::Topology;
use crate::time::Clock;
use crate::types::Column;

/// A lock whose holder wrote nothing for so long is broken.
const LOCK_PATIENCE_US: i64 = 15_000_000;
/// How long reading to the end, or writing, may take.
const ANSWER: Duration = Duration::from_secs(30);
/// Pause between looks at a lock that somebody else holds.
const LOOK: Duration = Duration::from_millis(50);

/// One thing that was done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case")]
pub enum Command {
    /// A statement that changed the catalog.
    Statement {
        /// Its text.
        sql: String,
        /// Session properties in force.
        properties: BTreeMap<String, String>,
        /// The query that it started.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        query: Option<StartedQuery>,
        /// Columns that it got from a schema registry.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        inferred: Vec<Column>,
        /// The query file that it stood in.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file: Option<String>,
    },
    /// `TERMINATE`.
    Terminate {
        /// The query.
        query_id: String,
    },
    /// A query file was deployed whole.
    Deployed {
        /// Its name.
        file: String,
        /// Its text.
        text: String,
    },
    /// A query file's queries are gone.
    Removed {
        /// Its name.
        file: String,
    },
    /// A process wants to write commands.
    Lock {
        /// What it calls its turn.
        token: String,
    },
    /// It is done.
    Unlock {
        /// Its turn.
        token: String,
    },
    /// It was silent for too long.
    Break {
        /// Its turn.
        token: String,
    },
}

/// A persistent query as it was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartedQuery {
    /// Its id.
    pub id: String,
    /// What it runs.
    pub topology: Topology,
}

/// The log of one service, as one process sees it.
pub struct CommandLog {
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    partition: TopicPartition,
    instance: String,
    consumer: Box<dyn Consumer>,
    producer: Option<Box<dyn Producer>>,
    position: i64,
    commands: u64,
    /// Locks asked for, the holder in front.
    turns: VecDeque<String>,
    /// When the holder was last heard of.
    heard_us: i64,
    /// Our turn, once asked for.
    token: Option<String>,
    /// Commands of ours that counted.
    confirmed: u64,
}

impl CommandLog {
    /// Opens the log of a service, made when missing, at its beginning. `instance` is the name of this process.
    pub fn open(
        broker: Arc<dyn Broker>,
        service_id: &str,
        instance: &str,
        replicas: Option<i32>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let topic = format!("eddyline-{service_id}-commands");
        if broker.topic(&topic)?.is_none() {
            let config = vec![("retention.ms".to_owned(), "-1".to_owned())];
            match broker.create_topic(&TopicSpec { name: topic.clone(), partitions: 1, replicas, config }) {
                Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
                // Another process was faster.
                _ => {}
            }
        }
        let partition = TopicPartition::new(topic, 0);
        let (position, _) = broker.offsets(&partition)?;
        let options = ConsumerOptions { client_id: "command-log".into(), patient: true, ..ConsumerOptions::default() };
        let mut consumer = broker.consumer(&options)?;
        consumer.assign(&[(partition.clone(), Start::Offset(position))])?;
        Ok(Self {
            broker,
            heard_us: clock.monotonic_us(),
            clock,
            partition,
            instance: instance.to_owned(),
            consumer,
            producer: None,
            position,
            commands: 0,
            turns: VecDeque::new(),
            token: None,
            confirmed: 0,
        })
    }

    /// How many commands there are: the number in the next query's id.
    pub fn next(&self) -> u64 {
        self.commands
    }

    /// Commands of other processes that have arrived.
    pub fn poll(&mut self) -> Result<Vec<Command>> {
        let mut found = Vec::new();
        self.fetch(Duration::ZERO, &mut found)?;
        Ok(found)
    }

    /// Commands of other processes, to the end of the log as it is now.
    pub fn read(&mut self) -> Result<Vec<Command>> {
        let (_, end) = self.broker.offsets(&self.partition)?;
        let deadline_us = self.clock.monotonic_us() + ANSWER.as_micros() as i64;
        let mut found = Vec::new();
        while self.position < end {
            self.fetch(Duration::from_millis(100), &mut found)?;
            if self.clock.monotonic_us() > deadline_us {
                let message = format!("command log {} cannot be read", self.partition.topic);
                return Err(Error::new(ErrorKind::Unavailable, message));
            }
        }
        Ok(found)
    }

    /// Whether this process may write.
    pub fn is_locked(&self) -> bool {
        self.token.is_some()
    }

    /// Waits for this process's turn to write. Returns what the others did before.
    pub fn lock(&mut self) -> Result<Vec<Command>> {
        let mut found = self.read()?;
        let token = format!("{}-{}", self.instance, self.position);
        self.send(&Command::Lock { token: token.clone() }, None)?;
        self.heard_us = self.clock.monotonic_us();
        loop {
            found.extend(self.read()?);
            match self.turns.front() {
                Some(holder) if *holder == token => {
                    self.token = Some(token);
                    return Ok(found);
                }
                None => return Err(lost()),
                Some(holder) => {
                    // What this process called itself before it was started again is not coming back.
                    let own = holder.strip_prefix(&self.instance).is_some_and(|rest| rest.starts_with('-'));
                    if own || self.clock.monotonic_us() - self.heard_us > LOCK_PATIENCE_US {
                        let holder = holder.clone();
                        tracing::warn!(holder, "a lock on the command log is broken");
                        self.send(&Command::Break { token: holder }, None)?;
                    } else {
                        self.clock.sleep(LOOK);
                    }
                }
            }
        }
    }

    /// Ends this process's turn.
    pub fn unlock(&mut self) {
        let Some(token) = self.token.take() else { return };
        if let Err(error) = self.send(&Command::Unlock { token }, None) {
            // The others take the lock after their patience.
            tracing::warn!(%error, "the lock on the command log could not be given back");
        }
    }

    /// Writes a command down; the lock must be held.
    pub fn append(&mut self, command: &Command) -> Result<()> {
        let token = self.token.clone().ok_or_else(|| Error::internal("the command log is not locked"))?;
        let confirmed = self.confirmed;
        self.send(command, Some(&token))?;
        // While this process holds the lock no command of another one counts.
        self.read()?;
        if self.confirmed == confirmed { Err(lost()) } else { Ok(()) }
    }

    fn send(&mut self, command: &Command, token: Option<&str>) -> Result<()> {
        let text =
            serde_json::to_vec(command).map_err(|e| Error::internal("command cannot be written").caused_by(e))?;
        let mut producer = match self.producer.take() {
            Some(producer) => producer,
            None => {
                let client_id = "command-log".to_owned();
                self.broker.producer(&ProducerOptions { client_id, ..ProducerOptions::default() })?
            }
        };
        producer.send(OutRecord {
            topic: &self.partition.topic,
            partition: 0,
            key: token.map(str::as_bytes),
            value: Some(text.as_slice()),
            timestamp: self.clock.now_ms(),
            headers: &[],
        })?;
        producer.flush(ANSWER)?;
        self.producer = Some(producer);
        Ok(())
    }

    /// What one poll brings.
    fn fetch(&mut self, wait: Duration, found: &mut Vec<Command>) -> Result<()> {
        for set in self.consumer.poll(10_000, wait)?.sets {
            for i in 0..set.len() {
                let command = parse(set.values.get(i), set.offsets[i])?;
                let token = set.keys.get(i).map(|key| String::from_utf8_lossy(key).into_owned());
                self.position = set.offsets[i] + 1;
                found.extend(self.note(command, token.as_deref()));
            }
        }
        Ok(())
    }

    /// Takes note of a record; the command, if it counts and another process wrote it.
    fn note(&mut self, command: Command, token: Option<&str>) -> Option<Command> {
        match command {
            Command::Lock { token } => self.turns.push_back(token),
            Command::Unlock { token } | Command::Break { token } => {
                self.turns.retain(|turn| *turn != token);
                self.heard_us = self.clock.monotonic_us();
            }
            command => {
                let holder = self.turns.front().map(String::as_str);
                // Versions before the lock wrote no tokens.
                if token.is_some() && token != holder {
                    return None;
                }
                self.heard_us = self.clock.monotonic_us();
                self.commands += 1;
                if token.is_some() && token == self.token.as_deref() {
                    self.confirmed += 1;
                    return None;
                }
                return Some(command);
            }
        }
        None
    }
}

fn lost() -> Error {
    Error::new(ErrorKind::Fenced, "another process of the service took over the command log")
        .hint("This process was silent for too long while it changed something; try again.")
}

fn parse(value: Option<&[u8]>, offset: i64) -> Result<Command> {
    serde_json::from_slice(value.unwrap_or_default()).map_err(|e| {
        Error::data(format!("record {offset} of the command log cannot be read"))
            .caused_by(e)
            .hint("It was written by another version, or by something else. Use another --service-id to start afresh.")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::memory::MemoryBroker;
    use crate::time::ManualClock;

    fn removed(file: &str) -> Command {
        Command::Removed { file: file.to_owned() }
    }

    #[test]
    fn turns_are_in_one_order_and_the_silent_lose_theirs() {
        let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
        let clock = ManualClock::new(0);
        let open =
            |instance: &str| CommandLog::open(broker.clone(), "s", instance, None, clock.clone()).expect("a log");
        let (mut a, mut b) = (open("a"), open("b"));
        assert_eq!(a.lock().expect("free"), []);
        a.append(&removed("one")).expect("locked");
        a.unlock();
        assert_eq!(b.lock().expect("free"), [removed("one")]);
        b.append(&removed("two")).expect("locked");
        // B falls silent with the lock. A waits (the clock moves by its sleeping) and breaks it.
        assert_eq!(a.lock().expect("broken"), [removed("two")]);
        assert!(clock.now_ms() >= LOCK_PATIENCE_US / 1000);
        assert_eq!(b.append(&removed("three")).expect_err("taken over").kind(), ErrorKind::Fenced);
        a.append(&removed("four")).expect("locked");
        a.unlock();
        b.unlock();
        let mut c = open("c");
        assert_eq!(c.read().expect("a log"), [removed("one"), removed("two"), removed("four")]);
        assert_eq!(c.next(), 3);
    }

    #[test]
    fn a_process_that_comes_back_does_not_wait_for_itself() {
        let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
        let clock = ManualClock::new(0);
        let open = || CommandLog::open(broker.clone(), "s", "a", None, clock.clone()).expect("a log");
        let mut before = open();
        before.lock().expect("free");
        before.append(&removed("one")).expect("locked");
        let mut after = open();
        assert_eq!(after.lock().expect("its own"), [removed("one")]);
        assert_eq!(clock.now_ms(), 0);
    }
}
