//! [`Position`]: where a task's input starts or goes on. Topics lose records, are made anew, or are cut off by a cluster
//! that lost its newest records.
//!
//! **Invariant:** no record is passed over in silence: what is gone is told by the log and by the processing log.

use std::hash::Hasher;

use super::metrics::QueryMetrics;
use super::processing_log::Entry;
use super::progress::Progress;
use super::worker::WorkerConfig;
use crate::broker::{CommittedOffset, Start, TopicPartition};
use crate::error::Result;

/// Where an input starts or goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The offset of the first record.
    pub offset: i64,
    /// What was committed with it; the topic is the one that is there now.
    pub progress: Progress,
}

/// Finds the position of an input with or without a committed offset. What is gone is noted in `log`.
///
/// > KSQL: tables always start at the earliest record; streams where `auto.offset.reset` says, but only once.
pub fn position_of(
    config: &WorkerConfig,
    sub_topology: usize,
    input: &TopicPartition,
    committed: Option<&CommittedOffset>,
    log: &mut Vec<Entry>,
) -> Result<Position> {
    let topic = incarnation(&config.broker.incarnation(&input.topic)?);
    let (first, end) = config.broker.offsets(input)?;
    let Some(committed) = committed else {
        let blueprint = &config.blueprint;
        let added = blueprint.grown_from.get(&*input.topic).is_some_and(|before| input.partition >= *before);
        let whole = added || blueprint.reads_whole(sub_topology, &input.topic);
        let offset = if config.start == Start::Latest && !whole { end } else { first };
        return Ok(Position { offset, progress: Progress { topic, ..Progress::default() } });
    };
    let progress = Progress::from_metadata(&committed.metadata);
    let known = progress.topic != 0 && topic != 0;
    let (offset, lost) = match committed.offset {
        _ if known && progress.topic != topic => (first, "the topic was deleted and made anew".to_owned()),
        offset if offset < first => (first, format!("records {offset} to {first} were deleted before they were read")),
        offset if offset > end && known => (end, format!("the cluster lost records {end} to {offset}")),
        offset if offset > end => (first, format!("the topic ends at {end}: it was made anew")),
        offset => return Ok(Position { offset, progress: Progress { topic, ..progress } }),
    };
    let reason = format!("{lost}; reading goes on at {offset}");
    let query = &config.blueprint.query_id;
    tracing::error!(query, partition = %input, committed = committed.offset, reason, "records are gone");
    QueryMetrics::add(&config.metrics.errors, 1);
    log.push(Entry {
        kind: "position",
        topic: input.topic.to_string(),
        partition: input.partition,
        offset: committed.offset,
        place: "offset".to_owned(),
        reason,
        key: None,
        value: None,
    });
    Ok(Position { offset, progress: Progress { rows_done: 0, topic, ..progress } })
}

/// A topic's incarnation as a number that is stored with offsets; 0 is none.
pub fn incarnation(name: &str) -> u64 {
    if name.is_empty() {
        return 0;
    }
    let mut hasher = Fnv(0xcbf2_9ce4_8422_2325);
    hasher.write(name.as_bytes());
    hasher.finish().max(1)
}

/// FNV-1a: the same in every version, as what it makes is stored.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
