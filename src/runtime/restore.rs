//! [`Restore`]: a store from its local checkpoint and the changelog's tail, or from the whole changelog; in steps, so
//! that the worker stays a living member of its group meanwhile.
//!
//! **Invariant:** a restore ends at the changelog's end as it was at its beginning, open transactions included. A dead
//! owner's transaction hides committed records of a later one behind it until the broker settles it, so the restore
//! waits for that.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::metrics::QueryMetrics;
use super::metrics::restoring::Restoring;
use crate::broker::{Broker, Consumer, ConsumerOptions, Start, TopicPartition};
use crate::error::{Error, ErrorKind, Result};
use crate::state::{Position, StateStore};
use crate::time::Clock;

/// Records read from a changelog at once.
const BATCH: usize = 10_000;
/// How long a changelog may stand still before restoring gives up: longer than brokers let a transaction be open.
const PATIENCE_MS: i64 = 180_000;
/// Time between lines in the log.
const TELL_EVERY_MS: i64 = 5_000;
/// How long tombstones stay in changelogs (Kafka's default as well).
pub const TOMBSTONES_MS: i64 = 24 * 3_600_000;
/// A local checkpoint older than this might miss deletions that have vanished from the changelog since.
pub const LOCAL_AGE_MAX_MS: i64 = TOMBSTONES_MS / 6 * 5;

/// Restoring of one store.
pub struct Restore {
    broker: Arc<dyn Broker>,
    clock: Arc<dyn Clock>,
    metrics: Arc<QueryMetrics>,
    changelog: TopicPartition,
    phase: Phase,
    next: i64,
    end: i64,
    restored: u64,
    /// Its part of [`QueryMetrics::restore_remaining`].
    told_remaining: u64,
    began_us: i64,
    progress_us: i64,
    told_us: i64,
    /// For the query's numbers.
    _restoring: Restoring,
}

enum Phase {
    /// Waiting until everything up to the end can be read.
    Settle,
    Read(Box<dyn Consumer>),
    Done,
}

impl Restore {
    /// Decides what `store` is restored from, and up to where.
    pub fn begin(
        broker: &Arc<dyn Broker>,
        clock: &Arc<dyn Clock>,
        metrics: &Arc<QueryMetrics>,
        changelog: TopicPartition,
        store: &mut StateStore,
    ) -> Result<Self> {
        let end = broker.high_watermark(&changelog)?;
        let (start, _) = broker.offsets(&changelog)?;
        let mut next = start;
        let mut local = false;
        if let Some(position) = store.local() {
            let incarnation = broker.incarnation(&changelog.topic)?;
            match unfit(&position, start..=end.max(start), &incarnation, clock.now_ms()) {
                None => {
                    (next, local) = (position.offset, true);
                    store.accept_local();
                }
                Some(why) => store.discard_local(&why),
            }
        }
        Ok(Self::new((broker, clock, metrics), changelog, next..end, local))
    }

    /// Of a store that has all records of the changelog before `next`.
    pub fn resume(
        broker: &Arc<dyn Broker>,
        clock: &Arc<dyn Clock>,
        metrics: &Arc<QueryMetrics>,
        changelog: TopicPartition,
        next: i64,
    ) -> Result<Self> {
        let end = broker.high_watermark(&changelog)?;
        Ok(Self::new((broker, clock, metrics), changelog, next..end, true))
    }

    fn new(
        (broker, clock, metrics): (&Arc<dyn Broker>, &Arc<dyn Clock>, &Arc<QueryMetrics>),
        changelog: TopicPartition,
        records: std::ops::Range<i64>,
        local: bool,
    ) -> Self {
        let now_us = clock.monotonic_us();
        let mut restore = Self {
            broker: broker.clone(),
            clock: clock.clone(),
            metrics: metrics.clone(),
            changelog,
            phase: Phase::Settle,
            next: records.start,
            end: records.end,
            restored: 0,
            told_remaining: 0,
            began_us: now_us,
            progress_us: now_us,
            told_us: now_us,
            _restoring: Restoring::begin(metrics, clock),
        };
        restore.tell_remaining();
        restore.tell_beginning(local);
        restore
    }

    /// Goes on for about `max_wait`; whether the store is restored.
    pub fn step(&mut self, store: &mut StateStore, max_wait: Duration) -> Result<bool> {
        match &mut self.phase {
            Phase::Settle => self.settle(max_wait)?,
            Phase::Read(consumer) => {
                let poll = consumer.poll(BATCH, max_wait)?;
                for set in poll.sets {
                    let mut writes = (0..set.len()).filter_map(|i| set.keys.get(i).map(|key| (key, set.values.get(i))));
                    store.restore(&mut writes)?;
                    self.restored += set.len() as u64;
                    QueryMetrics::add(&self.metrics.restored, set.len() as u64);
                    if let Some(last) = set.offsets.last() {
                        self.next = last + 1;
                        self.progress_us = self.clock.monotonic_us();
                    }
                }
                // The tail of the partition may hold transaction markers only.
                let readable = consumer.end_offset(&self.changelog);
                if self.next >= self.end || readable.is_some_and(|readable| self.next >= readable) {
                    self.finish();
                }
                self.tell_remaining();
            }
            Phase::Done => {}
        }
        if matches!(self.phase, Phase::Done) {
            return Ok(true);
        }
        self.report()?;
        Ok(false)
    }

    /// Records read so far, and about how many are left.
    pub fn progress(&self) -> (u64, u64) {
        (self.restored, self.told_remaining)
    }

    /// Begins to read once all up to the end is decided: a reader made then cannot take the end of what could be read
    /// before for the end.
    fn settle(&mut self, max_wait: Duration) -> Result<()> {
        if self.next >= self.end {
            self.finish();
            return Ok(());
        }
        let (start, readable) = self.broker.offsets(&self.changelog)?;
        if readable < self.end {
            self.clock.sleep(max_wait.min(Duration::from_millis(50)));
            return Ok(());
        }
        self.next = self.next.max(start);
        let options = ConsumerOptions { client_id: "restore".into(), ..ConsumerOptions::default() };
        let mut consumer = self.broker.consumer(&options)?;
        consumer.assign(&[(self.changelog.clone(), Start::Offset(self.next))])?;
        self.phase = Phase::Read(consumer);
        self.progress_us = self.clock.monotonic_us();
        Ok(())
    }

    fn tell_beginning(&self, local: bool) {
        let (changelog, records) = (&self.changelog, self.told_remaining);
        if records > 0 {
            tracing::info!(%changelog, records, local, "restoring a store");
        }
    }

    fn finish(&mut self) {
        self.phase = Phase::Done;
        self.next = self.next.max(self.end);
        self.tell_remaining();
        let (changelog, restored) = (&self.changelog, self.restored);
        let ms = (self.clock.monotonic_us() - self.began_us) / 1000;
        if restored > 0 || ms > 1000 {
            tracing::info!(%changelog, restored, ms, "store restored");
        } else {
            tracing::debug!(%changelog, restored, ms, "store restored");
        }
    }

    fn tell_remaining(&mut self) {
        let remaining = (self.end - self.next).max(0) as u64;
        let counter = &self.metrics.restore_remaining;
        if remaining >= self.told_remaining {
            counter.fetch_add(remaining - self.told_remaining, Ordering::Relaxed);
        } else {
            counter.fetch_sub(self.told_remaining - remaining, Ordering::Relaxed);
        }
        self.told_remaining = remaining;
    }

    /// Tells how far it is, now and then; standing still for long is an error.
    fn report(&mut self) -> Result<()> {
        let now_us = self.clock.monotonic_us();
        let (changelog, restored, remaining) = (&self.changelog, self.restored, self.told_remaining);
        if now_us - self.told_us > TELL_EVERY_MS * 1000 {
            self.told_us = now_us;
            let rate = restored * 1_000_000 / ((now_us - self.began_us).max(1) as u64);
            let what = match self.phase {
                Phase::Settle => "waiting for an open transaction",
                _ => "reading the changelog",
            };
            tracing::info!(%changelog, restored, rate, remaining, "restoring: {what}");
        }
        if now_us - self.progress_us > PATIENCE_MS * 1000 {
            let at = self.next;
            return Err(Error::new(ErrorKind::Unavailable, format!("changelog {changelog} stands still at {at}")));
        }
        Ok(())
    }
}

impl Drop for Restore {
    fn drop(&mut self) {
        self.metrics.restore_remaining.fetch_sub(self.told_remaining, Ordering::Relaxed);
    }
}

/// Why a local checkpoint cannot be continued from.
pub(super) fn unfit(
    position: &Position,
    there: std::ops::RangeInclusive<i64>,
    incarnation: &str,
    now_ms: i64,
) -> Option<String> {
    let Position { offset, at_ms, .. } = *position;
    if position.incarnation != incarnation {
        return Some("its changelog was deleted and made again".to_owned());
    }
    if !there.contains(&offset) {
        return Some(format!("its changelog has records {} to {}, not {offset}", there.start(), there.end()));
    }
    let age_ms = now_ms.saturating_sub(at_ms);
    (age_ms > LOCAL_AGE_MAX_MS).then(|| format!("it is {} hours old", age_ms / 3_600_000))
}

/// Restores in one go.
pub fn restore(
    broker: &Arc<dyn Broker>,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<QueryMetrics>,
    changelog: TopicPartition,
    store: &mut StateStore,
) -> Result<u64> {
    let mut restore = Restore::begin(broker, clock, metrics, changelog, store)?;
    while !restore.step(store, Duration::from_millis(200))? {}
    Ok(restore.restored)
}

/// Reads what is committed now into `store`, which nobody writes to: somebody else's state.
pub fn peek(
    broker: &Arc<dyn Broker>,
    clock: &Arc<dyn Clock>,
    changelog: TopicPartition,
    store: &mut StateStore,
) -> Result<()> {
    let mut restore = Restore::begin(broker, clock, &Arc::new(QueryMetrics::new(0)), changelog, store)?;
    restore.end = restore.end.min(broker.offsets(&restore.changelog)?.1);
    while !restore.step(store, Duration::from_millis(200))? {}
    Ok(())
}

/// Name of a partition of a changelog topic.
pub fn changelog_partition(topic: &str, partition: i32) -> TopicPartition {
    TopicPartition { topic: Arc::from(topic), partition }
}

#[cfg(test)]
mod tests;
