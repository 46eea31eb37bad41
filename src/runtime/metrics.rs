//! [`QueryMetrics`]: what a query's workers count, readable at any time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

use crate::time::NO_TIME;

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
    lag: Mutex<Vec<u64>>,
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
            lag: Mutex::new(vec![0; workers]),
        }
    }

    /// Adds to a counter.
    pub fn add(counter: &AtomicU64, n: u64) {
        if n > 0 {
            counter.fetch_add(n, Ordering::Relaxed);
        }
    }

    /// A worker's unread records.
    pub fn set_lag(&self, worker: usize, lag: u64) {
        let mut lags = self.lag.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(slot) = lags.get_mut(worker) {
            *slot = lag;
        }
    }

    /// All workers' unread records.
    pub fn lag(&self) -> u64 {
        self.lag.lock().unwrap_or_else(std::sync::PoisonError::into_inner).iter().sum()
    }
}
