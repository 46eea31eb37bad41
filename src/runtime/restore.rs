//! Restoring: stores from their changelog topics.

use std::sync::Arc;
use std::time::Duration;

use super::metrics::QueryMetrics;
use super::metrics::restoring::ChangelogProgress;
use crate::broker::{Broker, ConsumerOptions, Start, TopicPartition};
use crate::error::{Error, ErrorKind, Result};
use crate::state::StateStore;

/// Records read from a changelog at once.
const BATCH: usize = 10_000;
/// How long a changelog may stand still before restoring gives up.
const PATIENCE_MS: i64 = 60_000;

/// Reads the whole of `changelog` into `store`. Committed records only: what a dead process left open is not state.
pub fn restore(
    broker: &dyn Broker,
    changelog: &TopicPartition,
    store: &mut StateStore,
    metrics: &QueryMetrics,
    clock: &dyn crate::time::Clock,
) -> Result<u64> {
    let (start, end) = broker.offsets(changelog)?;
    if start >= end {
        return Ok(0);
    }
    let mut consumer =
        broker.consumer(&ConsumerOptions { client_id: "restore".into(), ..ConsumerOptions::default() })?;
    consumer.assign(&[(changelog.clone(), Start::Offset(start))])?;
    let mut progress = ChangelogProgress::begin(metrics, clock, changelog, (end - start) as u64);
    let mut restored = 0;
    let mut next = start;
    let mut last_progress_us = clock.monotonic_us();
    while next < end {
        let poll = consumer.poll(BATCH, Duration::from_millis(200))?;
        let before = next;
        for set in poll.sets {
            let writes = (0..set.len())
                .filter_map(|i| set.keys.get(i).map(|key| (key.to_vec(), set.values.get(i).map(<[u8]>::to_vec))));
            store.restore(&mut Box::new(writes))?;
            restored += set.len() as u64;
            progress.add(set.len() as u64);
            next = set.offsets.last().map_or(next, |last| last + 1);
        }
        // The tail of the partition may hold transaction markers only.
        if consumer.end_offset(changelog).is_some_and(|readable| next >= readable) {
            break;
        }
        let now = clock.monotonic_us();
        if next > before {
            last_progress_us = now;
        } else if now - last_progress_us > PATIENCE_MS * 1000 {
            return Err(Error::new(ErrorKind::Unavailable, format!("changelog {changelog} stands still at {next}")));
        }
    }
    progress.end();
    Ok(restored)
}

/// Name of a partition of a changelog topic.
pub fn changelog_partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition }
}
