//! [`Board`]: what persistent queries do, readable while a statement holds the engine.
//!
//! A statement may wait for the broker or for another process with the engine locked; metrics and health do not wait
//! with it. Each time the engine is let go, [`Held`] puts up the list of queries anew; how they do is read from what
//! their workers say at the moment of asking.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::core::Inner;
use super::interpreter::QueryInfo;
use super::live::RunningQuery;
use super::session::{QueryNumbers, QueryState, QueryStatus};
use crate::runtime::QueryMetrics;
use crate::runtime::worker::{WorkerState, WorkerWatch};
use crate::time::{Clock, NO_TIME};

/// Every persistent query as of the last time that the engine was let go.
pub struct Board {
    clock: Arc<dyn Clock>,
    queries: Mutex<Vec<Watched>>,
}

impl Board {
    /// These queries.
    pub fn new(clock: Arc<dyn Clock>, queries: Vec<Watched>) -> Self {
        Self { clock, queries: Mutex::new(queries) }
    }

    /// What every query is doing.
    pub fn statuses(&self) -> Vec<QueryStatus> {
        let now_us = self.clock.monotonic_us();
        self.lock().iter().map(|query| query.status(now_us)).collect()
    }

    /// Takes hold of the engine.
    pub fn hold<'a>(&'a self, inner: &'a Mutex<Inner>) -> Held<'a> {
        Held { board: self, inner: inner.lock().unwrap_or_else(PoisonError::into_inner) }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Watched>> {
        self.queries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The engine, held for one statement.
pub struct Held<'a> {
    board: &'a Board,
    inner: MutexGuard<'a, Inner>,
}

impl Deref for Held<'_> {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.inner
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut Inner {
        &mut self.inner
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.board.lock() = self.inner.watched();
    }
}

/// A persistent query, and how to find out what it does.
pub struct Watched {
    /// What does not change, zeros for what does.
    status: QueryStatus,
    doing: Doing,
}

enum Doing {
    Running { metrics: Arc<QueryMetrics>, workers: Vec<WorkerWatch> },
    Stalled { next_try_us: Option<i64> },
}

impl Watched {
    /// A query that has workers.
    pub fn running(info: &QueryInfo, query: &RunningQuery) -> Self {
        let workers = query.workers.iter().map(|worker| worker.watch()).collect();
        let doing = Doing::Running { metrics: Arc::clone(&query.metrics), workers };
        Self { status: fresh(info, QueryState::Restoring), doing }
    }

    /// A query that should run and does not.
    pub fn stalled(info: &QueryInfo, reason: &str, next_try_us: Option<i64>) -> Self {
        Self { status: fresh(info, QueryState::Error(reason.to_owned())), doing: Doing::Stalled { next_try_us } }
    }

    /// What it is doing now.
    pub fn status(&self, now_us: i64) -> QueryStatus {
        let mut status = self.status.clone();
        match &self.doing {
            Doing::Stalled { next_try_us } => {
                let wait = next_try_us.map(|at| Duration::from_micros((at - now_us).max(0) as u64));
                status.numbers.retry_in = wait;
            }
            Doing::Running { metrics, workers } => {
                status.numbers = metrics.numbers(now_us);
                let states = workers.iter().enumerate().map(|(i, worker)| (worker.state(), metrics.is_failing(i)));
                status.state = worst(states, &status.numbers);
                status.rows_in = metrics.rows_in.load(Relaxed);
                status.rows_out = metrics.rows_out.load(Relaxed);
                status.rows_late = metrics.rows_late.load(Relaxed);
                status.errors = metrics.errors.load(Relaxed);
                status.lag = metrics.lag();
                status.stream_time = Some(metrics.stream_time.load(Relaxed)).filter(|time| *time != NO_TIME);
            }
        }
        status
    }
}

fn fresh(info: &QueryInfo, state: QueryState) -> QueryStatus {
    QueryStatus {
        id: info.id.clone(),
        sql: info.sql.clone(),
        sink: info.sink.clone(),
        sink_topic: info.sink_topic.clone(),
        state,
        rows_in: 0,
        rows_out: 0,
        rows_late: 0,
        errors: 0,
        lag: 0,
        stream_time: None,
        numbers: QueryNumbers::default(),
    }
}

/// The worst of a query's workers' states. A failed one is restoring once it has partitions again.
fn worst(workers: impl Iterator<Item = (WorkerState, bool)>, numbers: &QueryNumbers) -> QueryState {
    // A running worker restores when partitions come to it.
    let mut state = if numbers.restore.running { QueryState::Restoring } else { QueryState::Running };
    for (worker, is_failing) in workers {
        match worker {
            WorkerState::Failed(reason) if is_failing => return QueryState::Error(reason),
            WorkerState::Paused => state = QueryState::Paused,
            WorkerState::Restoring | WorkerState::Failed(_) if state == QueryState::Running => {
                state = QueryState::Restoring;
            }
            WorkerState::Restoring | WorkerState::Failed(_) | WorkerState::Running | WorkerState::Stopped => {}
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_worker_speaks_for_the_query() {
        use WorkerState::{Failed, Paused, Restoring, Running};
        let of = |workers: &[WorkerState]| worst(workers.iter().map(|w| (w.clone(), true)), &QueryNumbers::default());
        assert_eq!(of(&[Running, Running]), QueryState::Running);
        assert_eq!(of(&[Running, Restoring]), QueryState::Restoring);
        assert_eq!(of(&[Paused, Restoring]), QueryState::Paused);
        assert_eq!(of(&[Restoring, Failed("x".to_owned()), Paused]), QueryState::Error("x".to_owned()));
        let mut numbers = QueryNumbers::default();
        numbers.restore.running = true;
        assert_eq!(worst([(Running, false)].into_iter(), &numbers), QueryState::Restoring);
        let again = [(Failed("x".to_owned()), false), (Running, false)];
        assert_eq!(worst(again.into_iter(), &QueryNumbers::default()), QueryState::Restoring);
    }
}
