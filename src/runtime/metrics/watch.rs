//! What happens to a worker besides records: its sessions and partitions, counted and told in the log.
//!
//! Workers run inside of [`worker_span`], so that every line of theirs names query and worker.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::{AT_IT_US, LOST_US, NEVER_US, QueryMetrics};
use crate::broker::TopicPartition;
use crate::error::{Error, ErrorKind};

/// The span of a worker's thread. As it only names what other lines are about, it is there at every level.
pub fn worker_span(query: &str, worker: usize) -> tracing::Span {
    tracing::error_span!("worker", query, worker)
}

impl QueryMetrics {
    /// A worker makes its clients and joins the group.
    pub fn session_began(&self, worker: usize, now_us: i64) {
        if let Some(worker) = self.workers.get(worker) {
            worker.stepped_at_us.store(now_us, Ordering::Relaxed);
            if worker.retry_at_us.load(Ordering::Relaxed) != NEVER_US {
                worker.retry_at_us.store(AT_IT_US, Ordering::Relaxed);
            }
        }
        tracing::info!("worker joins its group");
    }

    /// A worker's session ended with an error; the next one begins after a while.
    pub fn session_failed(&self, worker: usize, error: &Error, now_us: i64, backoff_ms: u64) {
        Self::add(&self.session_failures, 1);
        if let Some(worker) = self.workers.get(worker) {
            worker.retry_at_us.store(now_us + backoff_ms as i64 * 1000, Ordering::Relaxed);
        }
        match error.kind() {
            ErrorKind::Fenced => {
                tracing::warn!(error = error.told(), backoff_ms, "worker was fenced, will join again and restore")
            }
            _ => tracing::warn!(error = error.told(), backoff_ms, "worker session failed, will join again and restore"),
        }
    }

    /// Whether a worker's last session failed and the next one has no partitions yet.
    pub fn is_failing(&self, worker: usize) -> bool {
        self.workers.get(worker).is_some_and(|worker| worker.retry_at_us.load(Ordering::Relaxed) != NEVER_US)
    }

    fn is_well(&self, worker: usize) {
        if let Some(worker) = self.workers.get(worker) {
            worker.retry_at_us.store(NEVER_US, Ordering::Relaxed);
        }
    }

    /// A defect ended a worker's thread.
    pub fn worker_lost(&self, worker: usize) {
        Self::add(&self.session_failures, 1);
        if let Some(worker) = self.workers.get(worker) {
            worker.retry_at_us.store(LOST_US, Ordering::Relaxed);
        }
        tracing::error!("a defect ended the worker");
    }

    /// A worker has committed and left.
    pub fn worker_ended(&self, worker: usize) {
        self.is_well(worker);
        tracing::info!("worker ended");
    }

    /// The group took partitions from a worker.
    pub fn partitions_revoked(&self, revoked: &[TopicPartition]) {
        Self::add(&self.rebalances, 1);
        tracing::info!(partitions = names(revoked), "partitions revoked");
    }

    /// The group gave a worker partitions.
    pub fn partitions_assigned(&self, worker: usize, assigned: &[TopicPartition]) {
        Self::add(&self.rebalances, 1);
        self.is_well(worker);
        tracing::info!(partitions = names(assigned), "partitions assigned");
    }

    /// What a worker was given is restored; so many tasks run now.
    pub fn tasks_ready(&self, worker: usize, tasks: usize) {
        if let Some(worker) = self.workers.get(worker) {
            // Their stores are measured at once.
            worker.measured_at_us.store(NEVER_US, Ordering::Relaxed);
        }
        tracing::info!(tasks, "worker runs");
    }
}

/// `orders[0,1] payments[0]`
fn names(partitions: &[TopicPartition]) -> String {
    let mut topics: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for partition in partitions {
        topics.entry(&*partition.topic).or_default().push(partition.partition.to_string());
    }
    let topics: Vec<String> = topics.iter().map(|(topic, numbers)| format!("{topic}[{}]", numbers.join(","))).collect();
    topics.join(" ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn partitions_are_told_by_topic() {
        let partitions = [("b", 0), ("a", 1), ("b", 3)].map(|(topic, number)| TopicPartition::new(topic, number));
        assert_eq!(names(&partitions), "a[1] b[0,3]");
    }

    #[test]
    fn a_failed_session_says_when_the_next_one_begins() {
        let metrics = QueryMetrics::new(2);
        let error = Error::new(ErrorKind::Unavailable, "no broker");
        metrics.session_failed(1, &error, 1_000_000, 800);
        let retry_in = |now_us| metrics.numbers(now_us).retry_in;
        assert_eq!(retry_in(1_300_000), Some(Duration::from_millis(500)));
        assert_eq!(retry_in(9_000_000), Some(Duration::ZERO));
        metrics.session_began(1, 0);
        assert_eq!((retry_in(1_300_000), metrics.is_failing(1)), (Some(Duration::ZERO), true));
        metrics.partitions_assigned(1, &[TopicPartition::new("t", 0)]);
        assert_eq!((retry_in(1_300_000), metrics.is_failing(1)), (None, false));
        metrics.session_began(1, 0);
        assert!(!metrics.is_failing(1));
        metrics.worker_lost(1);
        assert_eq!((retry_in(1_300_000), metrics.is_failing(1)), (None, true));
        assert_eq!(metrics.numbers(0).session_failures, 2);
    }
}
