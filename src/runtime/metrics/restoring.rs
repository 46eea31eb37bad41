//! Restoring as it goes: how many records of how many, how fast. Counted for the query, told in the log.

use std::fmt;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::QueryMetrics;
use crate::time::Clock;

/// Time between two lines about a changelog that takes long.
const TELL_INTERVAL_US: i64 = 5_000_000;

/// Counters of the restore that runs, or of the last one. A restore begins when nothing is restored and ends when
/// nothing is restored any more, so that a rebalance with many changelogs is one.
#[derive(Debug, Default)]
pub(super) struct RestoreCounters {
    active: AtomicU64,
    planned: AtomicU64,
    done: AtomicU64,
    began_us: AtomicI64,
    ended_us: AtomicI64,
}

/// How a restore goes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RestoreNumbers {
    /// Whether it goes on.
    pub running: bool,
    /// Records that the changelogs known so far hold.
    pub planned: u64,
    /// Records of them that are read.
    pub done: u64,
    /// Time from its beginning to its end, or until now.
    pub took: Duration,
    /// Records read by all restores since the start.
    pub total: u64,
}

impl RestoreNumbers {
    /// Records still to be read.
    pub fn remaining(&self) -> u64 {
        if self.running { self.planned.saturating_sub(self.done) } else { 0 }
    }

    /// Records a second.
    pub fn rate(&self) -> f64 {
        rate(self.done, self.took.as_micros() as i64)
    }
}

fn rate(records: u64, us: i64) -> f64 {
    if us <= 0 { 0.0 } else { records as f64 * 1e6 / us as f64 }
}

impl RestoreCounters {
    pub(super) fn numbers(&self, total: u64, now_us: i64) -> RestoreNumbers {
        let running = self.active.load(Ordering::Relaxed) > 0;
        let end_us = if running { now_us } else { self.ended_us.load(Ordering::Relaxed) };
        let took_us = (end_us - self.began_us.load(Ordering::Relaxed)).max(0);
        RestoreNumbers {
            running,
            planned: self.planned.load(Ordering::Relaxed),
            done: self.done.load(Ordering::Relaxed),
            took: Duration::from_micros(took_us as u64),
            total,
        }
    }

    fn begin(&self, now_us: i64) {
        if self.active.fetch_add(1, Ordering::Relaxed) == 0 {
            self.planned.store(0, Ordering::Relaxed);
            self.done.store(0, Ordering::Relaxed);
            self.began_us.store(now_us, Ordering::Relaxed);
        }
    }

    fn end(&self, now_us: i64) {
        self.ended_us.store(now_us, Ordering::Relaxed);
        self.active.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Holds several changelogs together as one restore; it ends when dropped.
pub struct RestorePhase<'a> {
    metrics: &'a QueryMetrics,
    clock: &'a dyn Clock,
}

impl<'a> RestorePhase<'a> {
    /// Begins.
    pub fn begin(metrics: &'a QueryMetrics, clock: &'a dyn Clock) -> Self {
        metrics.restore.begin(clock.monotonic_us());
        Self { metrics, clock }
    }
}

impl Drop for RestorePhase<'_> {
    fn drop(&mut self) {
        self.metrics.restore.end(self.clock.monotonic_us());
    }
}

/// One changelog being read, from the first record to the last, or to an error: dropped, it counts as read.
pub struct ChangelogProgress<'a> {
    phase: RestorePhase<'a>,
    changelog: String,
    records: u64,
    done: u64,
    began_us: i64,
    told_us: i64,
    complete: bool,
}

impl<'a> ChangelogProgress<'a> {
    /// Begins to read so many records of a changelog.
    pub fn begin(metrics: &'a QueryMetrics, clock: &'a dyn Clock, changelog: impl fmt::Display, records: u64) -> Self {
        let phase = RestorePhase::begin(metrics, clock);
        QueryMetrics::add(&metrics.restore.planned, records);
        let changelog = changelog.to_string();
        tracing::info!(changelog, records, "restoring a store");
        let began_us = clock.monotonic_us();
        Self { phase, changelog, records, done: 0, began_us, told_us: began_us, complete: false }
    }

    /// So many records more are read.
    pub fn add(&mut self, records: u64) {
        let metrics = self.phase.metrics;
        self.done += records;
        QueryMetrics::add(&metrics.restore.done, records);
        QueryMetrics::add(&metrics.restored, records);
        let now_us = self.phase.clock.monotonic_us();
        if now_us - self.told_us >= TELL_INTERVAL_US {
            self.told_us = now_us;
            tracing::info!(
                changelog = self.changelog,
                done = self.done,
                records = self.records,
                per_second = self.per_second(now_us),
                "still restoring a store"
            );
        }
    }

    /// All is read.
    pub fn end(mut self) {
        self.complete = true;
        let now_us = self.phase.clock.monotonic_us();
        tracing::info!(
            changelog = self.changelog,
            records = self.done,
            ms = (now_us - self.began_us) / 1000,
            per_second = self.per_second(now_us),
            "restored a store"
        );
    }

    fn per_second(&self, now_us: i64) -> u64 {
        rate(self.done, now_us - self.began_us) as u64
    }
}

impl Drop for ChangelogProgress<'_> {
    fn drop(&mut self) {
        // Fewer than planned: the end of a partition may hold transaction markers, which are no records.
        let never = self.records.saturating_sub(self.done);
        self.phase.metrics.restore.planned.fetch_sub(never, Ordering::Relaxed);
        if !self.complete {
            tracing::warn!(changelog = self.changelog, done = self.done, "gave up restoring a store");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ManualClock;

    #[test]
    fn changelogs_of_one_phase_are_one_restore() {
        let (metrics, clock) = (QueryMetrics::new(1), ManualClock::new(0));
        let now = || metrics.numbers(clock.monotonic_us()).restore;
        assert_eq!(now(), RestoreNumbers::default());
        let phase = RestorePhase::begin(&metrics, clock.as_ref());
        let mut first = ChangelogProgress::begin(&metrics, clock.as_ref(), "a-0", 100);
        clock.advance(1000);
        first.add(40);
        assert_eq!((now().running, now().done, now().planned, now().remaining()), (true, 40, 100, 60));
        assert!((now().rate() - 40.0).abs() < 0.1, "{}", now().rate());
        first.end();
        assert_eq!((now().running, now().done, now().planned), (true, 40, 40), "the rest were markers");
        let mut second = ChangelogProgress::begin(&metrics, clock.as_ref(), "a-1", 10);
        clock.advance(1000);
        second.add(10);
        second.end();
        drop(phase);
        clock.advance(60_000);
        let done = now();
        assert_eq!((done.running, done.done, done.remaining(), done.total), (false, 50, 0, 50));
        assert_eq!(done.took, Duration::from_secs(2));
        // The next one begins at nothing.
        let _third = ChangelogProgress::begin(&metrics, clock.as_ref(), "a-1", 7);
        assert_eq!((now().done, now().planned, now().total), (0, 7, 50));
    }
}
