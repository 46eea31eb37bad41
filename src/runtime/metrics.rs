//! [`QueryMetrics`]: what a query's workers count, readable at any time.
//!
//! **Invariant:** nothing here locks: workers add to atomics, readers take a [`QueryNumbers`] of them.

pub mod histogram;
pub mod restoring;
pub mod watch;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use super::task::Task;
use crate::time::NO_TIME;
use histogram::{Histogram, HistogramNumbers};
use restoring::{RestoreNumbers, RestoreTimes};

/// Time between two looks at how much the stores hold.
const STATE_INTERVAL_US: i64 = 1_000_000;
/// No time yet.
const NEVER_US: i64 = i64::MIN;
/// A failed worker does not wait any more: it is trying.
const AT_IT_US: i64 = NEVER_US + 1;
/// Nobody will try again.
const LOST_US: i64 = i64::MAX;

/// Counters of one query, shared by its workers.
#[derive(Debug)]
pub struct QueryMetrics {
    /// Records read.
    pub rows_in: AtomicU64,
    /// Records written to the sink.
    pub rows_out: AtomicU64,
    /// Rows dropped for being late.
    pub rows_late: AtomicU64,
    /// Undecodable records and failed expressions.
    pub errors: AtomicU64,
    /// Transactions committed.
    pub commits: AtomicU64,
    /// Records read from changelogs while restoring.
    pub restored: AtomicU64,
    /// Records of changelogs that stores being restored still have before them.
    pub restore_remaining: AtomicU64,
    /// Highest stream time of any task.
    pub stream_time: AtomicI64,
    /// How long the broker took to commit.
    pub commit_latency: Histogram,
    /// Sessions of workers that ended with an error.
    pub session_failures: AtomicU64,
    /// Tasks of other processes whose stores are copied here.
    pub standby_tasks: AtomicU64,
    /// Records that those copies are behind.
    pub standby_behind: AtomicU64,
    /// How often partitions came to or went from a worker.
    pub rebalances: AtomicU64,
    restore: RestoreTimes,
    workers: Vec<WorkerGauges>,
    stores: Vec<String>,
}

/// What one worker holds now.
#[derive(Debug)]
struct WorkerGauges {
    lag: AtomicU64,
    /// When it tries again after a failure, or [`AT_IT_US`] or [`LOST_US`]; [`NEVER_US`] while nothing is wrong.
    retry_at_us: AtomicI64,
    measured_at_us: AtomicI64,
    /// The end of its last step.
    stepped_at_us: AtomicI64,
    stores: Vec<StoreGauges>,
}

#[derive(Debug, Default)]
struct StoreGauges {
    rows: AtomicU64,
    memory_bytes: AtomicU64,
    disk_bytes: AtomicU64,
}

impl WorkerGauges {
    fn new(stores: usize) -> Self {
        Self {
            lag: AtomicU64::new(0),
            retry_at_us: AtomicI64::new(NEVER_US),
            measured_at_us: AtomicI64::new(NEVER_US),
            stepped_at_us: AtomicI64::new(NEVER_US),
            stores: (0..stores).map(|_| StoreGauges::default()).collect(),
        }
    }
}

/// What a query's workers counted so far, besides rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct QueryNumbers {
    /// How long commits took; their number is the number of commits.
    pub commits: HistogramNumbers,
    /// Sessions of workers that ended with an error.
    pub session_failures: u64,
    /// Tasks of other processes whose stores are copied here.
    pub standby_tasks: u64,
    /// Records that those copies are behind.
    pub standby_behind: u64,
    /// How often partitions came to or went from a worker.
    pub rebalances: u64,
    /// How the restore that runs, or the last one, goes.
    pub restore: RestoreNumbers,
    /// Every store, in the order of the topology.
    pub stores: Vec<StoreNumbers>,
    /// Time since the last step of the worker that is longest without one.
    pub silence: Duration,
    /// Time until the first failed worker tries again; zero while it does.
    pub retry_in: Option<Duration>,
}

impl QueryNumbers {
    /// Rows of all stores.
    pub fn state_rows(&self) -> u64 {
        self.stores.iter().map(|store| store.rows).sum()
    }

    /// Memory of all stores.
    pub fn state_memory_bytes(&self) -> u64 {
        self.stores.iter().map(|store| store.memory_bytes).sum()
    }
}

/// What a store holds, all partitions of this process together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StoreNumbers {
    /// Its name within the query.
    pub name: String,
    /// Keys in its committed base.
    pub rows: u64,
    /// Rough memory held.
    pub memory_bytes: u64,
    /// Rough size on the local disk.
    pub disk_bytes: u64,
}

impl QueryMetrics {
    /// Counters for a query with that many workers.
    pub fn new(workers: usize) -> Self {
        Self {
            rows_in: AtomicU64::new(0),
            rows_out: AtomicU64::new(0),
            rows_late: AtomicU64::new(0),
            errors: AtomicU64::new(0),
            commits: AtomicU64::new(0),
            restored: AtomicU64::new(0),
            restore_remaining: AtomicU64::new(0),
            stream_time: AtomicI64::new(NO_TIME),
            commit_latency: Histogram::default(),
            session_failures: AtomicU64::new(0),
            standby_tasks: AtomicU64::new(0),
            standby_behind: AtomicU64::new(0),
            rebalances: AtomicU64::new(0),
            restore: RestoreTimes::default(),
            workers: (0..workers).map(|_| WorkerGauges::new(0)).collect(),
            stores: Vec::new(),
        }
    }

    /// The same for a query that has stores of these names.
    pub fn with_stores(mut self, names: Vec<String>) -> Self {
        self.workers = (0..self.workers.len()).map(|_| WorkerGauges::new(names.len())).collect();
        Self { stores: names, ..self }
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, n: u64) {
        if n > 0 {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// A transaction was committed; the broker took so long.
    pub fn committed(&self, took_us: i64) {
        Self::add(&self.commits, 1);
        self.commit_latency.record(took_us.max(0) as u64);
    }

    /// A worker's unread records.
    pub fn set_lag(&self, worker: usize, lag: u64) {
        if let Some(worker) = self.workers.get(worker) {
            worker.lag.store(lag, Ordering::Relaxed);
        }
    }

    /// All workers' unread records.
    pub fn lag(&self) -> u64 {
        self.workers.iter().map(|worker| worker.lag.load(Ordering::Relaxed)).sum()
    }

    /// A worker has made a step; at most once a second this looks at what its tasks hold.
    pub fn stepped(&self, worker: usize, tasks: &[Task], now_us: i64) {
        let Some(gauges) = self.workers.get(worker) else { return };
        gauges.stepped_at_us.store(now_us, Ordering::Relaxed);
        if now_us < gauges.measured_at_us.load(Ordering::Relaxed).saturating_add(STATE_INTERVAL_US) {
            return;
        }
        gauges.measured_at_us.store(now_us, Ordering::Relaxed);
        // Restored tasks know it before their first record.
        let newest = tasks.iter().map(Task::stream_time).max().unwrap_or(NO_TIME);
        self.stream_time.fetch_max(newest, Ordering::Relaxed);
        for (name, gauge) in self.stores.iter().zip(&gauges.stores) {
            let of_name = || tasks.iter().flat_map(Task::stores).filter(|store| store.name() == name);
            gauge.rows.store(of_name().map(|store| store.rows() as u64).sum(), Ordering::Relaxed);
            gauge.memory_bytes.store(of_name().map(|store| store.memory_bytes() as u64).sum(), Ordering::Relaxed);
            gauge.disk_bytes.store(of_name().map(|store| store.disk_bytes()).sum(), Ordering::Relaxed);
        }
    }

    /// Time since a worker's last step.
    pub fn silence(&self, worker: usize, now_us: i64) -> Duration {
        let at_us = self.workers.get(worker).map_or(NEVER_US, |worker| worker.stepped_at_us.load(Ordering::Relaxed));
        if at_us == NEVER_US { Duration::ZERO } else { Duration::from_micros((now_us - at_us).max(0) as u64) }
    }

    /// Everything but the rows, as it is now.
    pub fn numbers(&self, now_us: i64) -> QueryNumbers {
        let load = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let stores = self.stores.iter().enumerate().map(|(i, name)| {
            let each = || self.workers.iter().map(|worker| &worker.stores[i]);
            StoreNumbers {
                name: name.clone(),
                rows: each().map(|store| load(&store.rows)).sum(),
                memory_bytes: each().map(|store| load(&store.memory_bytes)).sum(),
                disk_bytes: each().map(|store| load(&store.disk_bytes)).sum(),
            }
        });
        let retries = self.workers.iter().map(|worker| worker.retry_at_us.load(Ordering::Relaxed));
        let retry_at_us = retries.filter(|at| ![NEVER_US, LOST_US].contains(at)).min();
        QueryNumbers {
            commits: self.commit_latency.numbers(),
            session_failures: load(&self.session_failures),
            standby_tasks: load(&self.standby_tasks),
            standby_behind: load(&self.standby_behind),
            rebalances: load(&self.rebalances),
            restore: self.restore_numbers(now_us),
            stores: stores.collect(),
            silence: (0..self.workers.len()).map(|worker| self.silence(worker, now_us)).max().unwrap_or_default(),
            retry_in: retry_at_us.map(|at| Duration::from_micros(at.saturating_sub(now_us).max(0) as u64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_add_up_over_workers() {
        let metrics = QueryMetrics::new(2).with_stores(vec!["a".to_owned(), "b".to_owned()]);
        metrics.set_lag(0, 3);
        metrics.set_lag(1, 4);
        metrics.set_lag(7, 100);
        assert_eq!(metrics.lag(), 7);
        metrics.workers[0].stores[1].rows.store(2, Ordering::Relaxed);
        metrics.workers[1].stores[1].rows.store(3, Ordering::Relaxed);
        metrics.workers[1].stores[0].memory_bytes.store(50, Ordering::Relaxed);
        metrics.committed(1500);
        metrics.committed(-1);
        let numbers = metrics.numbers(0);
        let store =
            |name: &str, rows, memory_bytes| StoreNumbers { name: name.to_owned(), rows, memory_bytes, disk_bytes: 0 };
        assert_eq!(numbers.stores, [store("a", 0, 50), store("b", 5, 0)]);
        assert_eq!((numbers.state_rows(), numbers.state_memory_bytes()), (5, 50));
        assert_eq!((numbers.commits.count(), metrics.commits.load(Ordering::Relaxed)), (2, 2));
        assert_eq!((numbers.retry_in, numbers.silence), (None, Duration::ZERO));
        metrics.stepped(0, &[], 1_000_000);
        metrics.stepped(1, &[], 3_000_000);
        assert_eq!(metrics.numbers(4_000_000).silence, Duration::from_secs(3));
    }
}
