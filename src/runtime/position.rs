//! [`Position`]: where a task's input starts or goes on. Topics lose records, are made anew, or are cut off by a cluster
//! that lost its newest records.
//!
//! **Invariant:** no record is passed over in silence: what is gone is told by the log and by the processing log.

use std::hash::Hasher;

use super::build::Blueprint;
use super::metrics::QueryMetrics;
use super::processing_log::Entry;
use super::progress::{Progress, STATE_FORMAT};
use super::worker::WorkerConfig;
use crate::broker::{CommittedOffset, Start, TopicPartition};
use crate::error::{Error, Result};

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
    check_format(&config.blueprint, sub_topology, committed)?;
    let progress = Progress::from_metadata(&committed.metadata);
    let (offset, lost) = judge(committed.offset, progress.topic, topic, first, end);
    let Some(lost) = lost else {
        return Ok(Position { offset, progress: Progress { topic, ..progress } });
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

/// Refuses what another build left if this one could not read it: state, or a place within a repartition record. A
/// sub-topology that keeps nothing goes on from the offset, whoever committed it.
pub fn check_format(blueprint: &Blueprint, sub_topology: usize, committed: &CommittedOffset) -> Result<()> {
    let Some(format) = Progress::format_of(&committed.metadata) else { return Ok(()) };
    if format == STATE_FORMAT || !blueprint.keeps_anything(sub_topology) {
        return Ok(());
    }
    let (query, at) = (&blueprint.query_id, &committed.partition);
    let message = format!(
        "query {query} has state of format {format} on the broker (found with the offset of {at}), this build reads \
         format {STATE_FORMAT}"
    );
    Err(Error::data(message).hint(
        "Run the build that wrote it, or DROP what the query fills and CREATE it again: it starts afresh from its \
         sources.",
    ))
}

/// Where an input goes on that was committed at `offset` of the topic `then`, in the topic `now` with records from
/// `first` to `end`, and what it has lost.
fn judge(offset: i64, then: u64, now: u64, first: i64, end: i64) -> (i64, Option<String>) {
    let known = then != 0 && now != 0;
    if known && then != now {
        return (first, Some("the topic was deleted and made anew".to_owned()));
    }
    if offset < first {
        return (first, Some(format!("records {offset} to {first} were deleted before they were read")));
    }
    match known {
        _ if offset <= end => (offset, None),
        true => (end, Some(format!("the cluster lost records {end} to {offset}"))),
        false => (first, Some(format!("the topic ends at {end}: it was made anew"))),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_lost_within_the_range() {
        for (then, now) in [(0, 0), (0, 7), (7, 0), (7, 7)] {
            for offset in [10, 15, 20] {
                assert_eq!(judge(offset, then, now, 10, 20), (offset, None));
            }
        }
    }

    #[test]
    fn what_is_gone_is_told_and_the_rest_is_read() {
        let lost = |(offset, why): (i64, Option<String>)| (offset, why.expect("a loss"));
        assert_eq!(lost(judge(15, 7, 8, 0, 90)), (0, "the topic was deleted and made anew".to_owned()));
        assert_eq!(lost(judge(5, 7, 7, 10, 20)).0, 10);
        // The same topic is shorter: its old records are not read once more.
        assert_eq!(lost(judge(25, 7, 7, 10, 20)), (20, "the cluster lost records 20 to 25".to_owned()));
        assert_eq!(lost(judge(25, 0, 7, 10, 20)).0, 10);
    }

    #[test]
    fn incarnations_are_stored_and_so_never_change() {
        assert_eq!(incarnation(""), 0);
        assert_eq!(incarnation("a"), 0xaf63_dc4c_8601_ec8c);
    }
}
