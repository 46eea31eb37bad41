//! The command log: what was done, as a topic, so that the next start does it again.
//!
//! A query's record holds its [`Topology`]: a later version of the planner does not change a running query.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::broker::{Broker, ConsumerOptions, OutRecord, ProducerOptions, Start, TopicPartition, TopicSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::plan::topology::Topology;
use crate::types::Column;

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
}

/// A persistent query as it was started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StartedQuery {
    /// Its id.
    pub id: String,
    /// What it runs.
    pub topology: Topology,
}

/// The log of one service.
pub struct CommandLog {
    broker: Arc<dyn Broker>,
    topic: String,
    next: u64,
}

impl CommandLog {
    /// Opens the log, made when missing, and reads it.
    pub fn open(
        broker: Arc<dyn Broker>,
        service_id: &str,
        replicas: Option<i32>,
        clock: &dyn crate::time::Clock,
    ) -> Result<(Self, Vec<Command>)> {
        let topic = format!("eddyline-{service_id}-commands");
        if broker.topic(&topic)?.is_none() {
            let config = vec![("retention.ms".to_owned(), "-1".to_owned())];
            broker.create_topic(&TopicSpec { name: topic.clone(), partitions: 1, replicas, config })?;
        }
        let partition = TopicPartition::new(topic.as_str(), 0);
        let (start, end) = broker.offsets(&partition)?;
        let mut commands = Vec::new();
        let mut next = start;
        if start < end {
            let options = ConsumerOptions { client_id: "command-log".into(), ..ConsumerOptions::default() };
            let mut consumer = broker.consumer(&options)?;
            consumer.assign(&[(partition, Start::Offset(start))])?;
            let deadline_us = clock.monotonic_us() + 30_000_000;
            while next < end {
                for set in consumer.poll(10_000, Duration::from_millis(100))?.sets {
                    for i in 0..set.len() {
                        commands.push(parse(set.values.get(i), set.offsets[i])?);
                        next = set.offsets[i] + 1;
                    }
                }
                if clock.monotonic_us() > deadline_us {
                    return Err(Error::new(ErrorKind::Unavailable, format!("command log {topic} cannot be read")));
                }
            }
        }
        let next = commands.len() as u64;
        Ok((Self { broker, topic, next }, commands))
    }

    /// How many commands there are: the number in the next query's id.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Writes commands down.
    pub fn append(&mut self, command: &Command, now_ms: i64) -> Result<()> {
        let text =
            serde_json::to_vec(command).map_err(|e| Error::internal("command cannot be written").caused_by(e))?;
        let mut producer =
            self.broker.producer(&ProducerOptions { transactional_id: None, client_id: "command-log".to_owned() })?;
        let value = Some(text.as_slice());
        producer.send(OutRecord {
            topic: &self.topic,
            partition: 0,
            key: None,
            value,
            timestamp: now_ms,
            headers: &[],
        })?;
        producer.flush(Duration::from_secs(30))?;
        self.next += 1;
        Ok(())
    }
}

fn parse(value: Option<&[u8]>, offset: i64) -> Result<Command> {
    serde_json::from_slice(value.unwrap_or_default()).map_err(|e| {
        Error::data(format!("record {offset} of the command log cannot be read"))
            .caused_by(e)
            .hint("It was written by another version, or by something else. Use another --service-id to start afresh.")
    })
}
