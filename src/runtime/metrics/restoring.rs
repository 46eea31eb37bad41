//! Restoring as it goes: how many records of how many, how fast.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::QueryMetrics;
use crate::time::Clock;

/// When the restore that runs began, or the last one. A restore begins when nothing is being restored and ends when
/// nothing is any more, so that a rebalance with many changelogs is one.
#[derive(Debug, Default)]
pub(super) struct RestoreTimes {
    active: AtomicU64,
    /// Records restored before it.
    before: AtomicU64,
    began_us: AtomicI64,
    ended_us: AtomicI64,
}

/// How a restore goes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RestoreNumbers {
    /// Whether it goes on.
    pub running: bool,
    /// Records read from changelogs.
    pub done: u64,
    /// Records still to be read, about: ends of transactions count as well.
    pub remaining: u64,
    /// Time from its beginning to its end, or until now.
    pub took: Duration,
    /// Records read by all restores since the start.
    pub total: u64,
}

impl RestoreNumbers {
    /// Records a second.
    pub fn rate(&self) -> f64 {
        let seconds = self.took.as_secs_f64();
        if seconds > 0.0 { self.done as f64 / seconds } else { 0.0 }
    }
}

/// A part of a restore, from when it is made until it is dropped.
#[derive(Debug)]
pub struct Restoring {
    metrics: Arc<QueryMetrics>,
    clock: Arc<dyn Clock>,
}

impl Restoring {
    /// Begins.
    pub fn begin(metrics: &Arc<QueryMetrics>, clock: &Arc<dyn Clock>) -> Self {
        let times = &metrics.restore;
        if times.active.fetch_add(1, Ordering::Relaxed) == 0 {
            times.before.store(metrics.restored.load(Ordering::Relaxed), Ordering::Relaxed);
            times.began_us.store(clock.monotonic_us(), Ordering::Relaxed);
        }
        Self { metrics: Arc::clone(metrics), clock: Arc::clone(clock) }
    }
}

impl Drop for Restoring {
    fn drop(&mut self) {
        let times = &self.metrics.restore;
        times.ended_us.store(self.clock.monotonic_us(), Ordering::Relaxed);
        times.active.fetch_sub(1, Ordering::Relaxed);
    }
}

impl QueryMetrics {
    pub(super) fn restore_numbers(&self, now_us: i64) -> RestoreNumbers {
        let times = &self.restore;
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let running = load(&times.active) > 0;
        let end_us = if running { now_us } else { times.ended_us.load(Ordering::Relaxed) };
        let took_us = (end_us - times.began_us.load(Ordering::Relaxed)).max(0);
        let total = load(&self.restored);
        RestoreNumbers {
            running,
            done: total.saturating_sub(load(&times.before)),
            remaining: if running { load(&self.restore_remaining) } else { 0 },
            took: Duration::from_micros(took_us as u64),
            total,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::ManualClock;

    #[test]
    fn parts_that_overlap_are_one_restore() {
        let metrics = Arc::new(QueryMetrics::new(1));
        let manual = ManualClock::new(5000);
        let clock: Arc<dyn Clock> = manual.clone();
        let now = || metrics.restore_numbers(clock.monotonic_us());
        assert_eq!(now(), RestoreNumbers::default());
        let first = Restoring::begin(&metrics, &clock);
        let second = Restoring::begin(&metrics, &clock);
        metrics.restore_remaining.store(60, Ordering::Relaxed);
        QueryMetrics::add(&metrics.restored, 40);
        manual.advance(1000);
        assert_eq!((now().running, now().done, now().remaining), (true, 40, 60));
        assert!((now().rate() - 40.0).abs() < 0.1, "{}", now().rate());
        drop(first);
        QueryMetrics::add(&metrics.restored, 10);
        manual.advance(1000);
        assert!(now().running);
        drop(second);
        manual.advance(60_000);
        let done = now();
        assert_eq!((done.running, done.done, done.remaining, done.total), (false, 50, 0, 50));
        assert_eq!(done.took, Duration::from_secs(2));
        // The next one begins at nothing.
        let _third = Restoring::begin(&metrics, &clock);
        assert_eq!((now().done, now().total), (0, 50));
    }
}
