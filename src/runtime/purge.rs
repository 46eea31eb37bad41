//! [`Purges`]: repartition topics give back the space of what has been read.
//!
//! Records of a repartition topic are read by one query only, so those before its committed offset are of no use. They
//! are deleted then, and by no clock: a query that stood still for weeks finds everything it has not read.

use std::collections::BTreeMap;

use super::task::Task;
use super::worker::WorkerConfig;
use crate::broker::TopicPartition;

/// Time between purges.
const EVERY_US: i64 = 30_000_000;

/// What a worker has deleted of the repartition topics that it reads.
#[derive(Debug, Default)]
pub struct Purges {
    next_us: i64,
    before: BTreeMap<TopicPartition, i64>,
    refused: bool,
}

impl Purges {
    /// After a commit: deletes what it has put behind, at most every half minute.
    pub fn after_commit(&mut self, tasks: &[Task], config: &WorkerConfig) {
        let now_us = config.clock.monotonic_us();
        if now_us < self.next_us {
            return;
        }
        self.next_us = now_us + EVERY_US;
        let mut wanted = Vec::new();
        for task in tasks {
            for input in task.inputs.iter().filter(|input| config.blueprint.is_repartition(&input.topic)) {
                let partition = TopicPartition::new(input.topic.clone(), task.partition);
                let (offset, _) = input.position();
                if self.before.get(&partition).is_none_or(|before| *before < offset) && offset > 0 {
                    wanted.push((partition, offset));
                }
            }
        }
        if wanted.is_empty() {
            return;
        }
        match config.broker.purge(&wanted) {
            Ok(()) => self.before.extend(wanted),
            Err(error) if !self.refused => {
                self.refused = true;
                tracing::warn!(query = config.blueprint.query_id, %error, "repartition topics keep what was read");
            }
            Err(error) => tracing::debug!(query = config.blueprint.query_id, %error, "purging again later"),
        }
    }
}
