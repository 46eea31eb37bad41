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

/// A worker that makes no step for so long is stuck: one takes milliseconds.
const SILENCE_MAX: Duration = Duration::from_secs(10);

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
                let worker = |(i, worker): (usize, &WorkerWatch)| Worker {
                    state: worker.state(),
                    is_failing: metrics.is_failing(i),
                    silence: metrics.silence(i, now_us),
                };
                status.state = worst(workers.iter().enumerate().map(worker), status.numbers.restore.running);
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

/// What is known of a worker.
struct Worker {
    state: WorkerState,
    is_failing: bool,
    silence: Duration,
}

/// The worst of a query's workers' states. A failed one is restoring once it has partitions again; one that makes no
/// step for long waits for a broker that does not answer, whatever it says.
fn worst(workers: impl Iterator<Item = Worker>, restores: bool) -> QueryState {
    // A running worker restores when partitions come to it.
    let mut state = if restores { QueryState::Restoring } else { QueryState::Running };
    for worker in workers {
        match worker.state {
            WorkerState::Failed(reason) if worker.is_failing => return QueryState::Error(reason),
            WorkerState::Waiting(reason) => return QueryState::Error(reason),
            WorkerState::Stopped => {}
            _ if worker.silence >= SILENCE_MAX => {
                let seconds = worker.silence.as_secs();
                return QueryState::Error(format!(
                    "a worker has made no step for {seconds} s, as when the broker does not answer"
                ));
            }
            WorkerState::Paused => state = QueryState::Paused,
            WorkerState::Restoring | WorkerState::Failed(_) if state == QueryState::Running => {
                state = QueryState::Restoring;
            }
            WorkerState::Restoring | WorkerState::Failed(_) | WorkerState::Running => {}
        }
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_worker_speaks_for_the_query() {
        use WorkerState::{Failed, Paused, Restoring, Running, Stopped, Waiting};
        let failed = || Failed("x".to_owned());
        let worker = |state, is_failing, seconds| Worker { state, is_failing, silence: Duration::from_secs(seconds) };
        let of = |states: Vec<WorkerState>| worst(states.into_iter().map(|state| worker(state, true, 0)), false);
        assert_eq!(of(vec![Running, Running]), QueryState::Running);
        assert_eq!(of(vec![Running, Restoring]), QueryState::Restoring);
        assert_eq!(of(vec![Paused, Restoring]), QueryState::Paused);
        assert_eq!(of(vec![Restoring, failed(), Paused]), QueryState::Error("x".to_owned()));
        assert_eq!(of(vec![Running, Waiting("y".to_owned())]), QueryState::Error("y".to_owned()));
        let one = |state, seconds, restores| worst([worker(state, false, seconds)].into_iter(), restores);
        assert_eq!(one(failed(), 1, false), QueryState::Restoring, "it has partitions again");
        assert_eq!(one(Running, 1, true), QueryState::Restoring);
        let silent =
            QueryState::Error("a worker has made no step for 12 s, as when the broker does not answer".to_owned());
        assert_eq!(one(Running, 12, false), silent);
        assert_eq!(one(Restoring, 12, false), silent, "it cannot join");
        assert_eq!(one(Stopped, 12, false), QueryState::Running);
    }
}
