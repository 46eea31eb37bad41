//! [`Worker`]: one thread, one consumer-group member, one transactional producer, many tasks.
//!
//! It runs one [`Session`] after the other: one that fails is followed by the next after a while.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;
use std::thread::JoinHandle;
use std::time::Duration;

use arrow::array::ArrayRef;

use super::build::Blueprint;
use super::checkpoint::Save;
use super::metrics::QueryMetrics;
use super::metrics::watch::worker_span;
use super::muster::Muster;
use super::pace::Pace;
use super::session::Session;
use super::standby::Standbys;
use super::survey::{missing_sources, needs_somebody, survey};
use super::throttle::QueueLimits;
use crate::broker::{Broker, Start};
use crate::change::ChangeBatch;
use crate::error::{Error, ErrorKind, Result};
use crate::state::StateEnv;
use crate::time::Clock;

/// Records fetched at once.
const POLL_RECORDS: usize = 4_000;
/// Longest wait for records. Whatever else wants the worker ends it.
const POLL_WAIT: Duration = Duration::from_secs(5);
/// Shortest and longest wait before a failed worker tries again.
const BACKOFF_MS: (u64, u64) = (100, 15_000);
/// Longest wait for a broker that does not answer: when it is back, the query is soon.
const BACKOFF_MS_AWAY: u64 = 5_000;
/// How often workers look at the query's topics; sooner while they cannot be looked at.
const SURVEY_INTERVAL_US: i64 = 10_000_000;
const SURVEY_AGAIN_US: i64 = 2_000_000;

/// How workers of a query work.
#[derive(Clone)]
pub struct WorkerConfig {
    /// What they run.
    pub blueprint: Arc<Blueprint>,
    /// Where records come from and go to.
    pub broker: Arc<dyn Broker>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// Shared counters.
    pub metrics: Arc<QueryMetrics>,
    /// Consumer group.
    pub group: String,
    /// Where streams without committed offsets start.
    pub start: Start,
    /// Time between commits.
    pub commit_interval_ms: i64,
    /// Records after which a commit is due before its time.
    pub commit_records_max: u64,
    /// How far inputs are read ahead.
    pub queue_limits: QueueLimits,
    /// See [`Task::idle`]; 0 turns it off.
    pub idle_timeout_ms: i64,
    /// Whether updates of one key are held back until the commit.
    pub coalesce: bool,
    /// Whether commits are transactions.
    pub exactly_once: bool,
    /// Topic for problems of single records.
    pub processing_log: Option<String>,
    /// When they begin.
    pub muster: Arc<Muster>,
    /// Keeps the workers of this process together in event time, if the query needs that.
    pub pace: Option<Arc<Pace>>,
    /// Where state is kept.
    pub state: StateEnv,
    /// Copies of what other processes' tasks keep, if there are to be any.
    pub standbys: Option<Arc<Standbys>>,
}

/// What a worker is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkerState {
    /// Joining the group or reading changelogs.
    Restoring,
    /// Working.
    Running,
    /// Held by PAUSE.
    Paused,
    /// At work, but the broker does not answer.
    Waiting(String),
    /// Failed; it tries again.
    Failed(String),
    /// Ended.
    Stopped,
}

/// What a pull query asks of a worker.
pub struct ReadRequest {
    /// Keys to look up, one array per key column; `None` for all rows.
    pub keys: Option<Vec<ArrayRef>>,
    /// Where the rows go.
    pub reply: Sender<Result<Rows>>,
}

/// A worker's part of a table.
#[derive(Default)]
pub struct Rows {
    /// The partitions that it has.
    pub partitions: Vec<i32>,
    /// Their rows.
    pub batches: Vec<ChangeBatch>,
}

/// Tells what a worker is doing.
#[derive(Clone)]
pub struct WorkerWatch(Arc<Mutex<WorkerState>>);

impl WorkerWatch {
    /// What it is doing.
    pub fn state(&self) -> WorkerState {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running worker.
pub struct WorkerHandle {
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
    state: Arc<Mutex<WorkerState>>,
    waker: Arc<Mutex<Waker>>,
    requests: Sender<ReadRequest>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerHandle {
    /// What it is doing, now and later.
    pub fn watch(&self) -> WorkerWatch {
        WorkerWatch(Arc::clone(&self.state))
    }

    /// Hands over a read request.
    pub fn read(&self, request: ReadRequest) -> Result<()> {
        let gone = || Error::new(ErrorKind::Unavailable, "the query's worker has ended");
        self.requests.send(request).map_err(|_| gone())?;
        self.wake();
        Ok(())
    }

    /// Holds or releases the worker.
    pub fn set_paused(&self, paused: bool) {
        self.pause.store(paused, Ordering::SeqCst);
        self.wake();
    }

    /// Asks it to commit and end.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
        self.wake();
    }

    fn wake(&self) {
        self.waker.lock().unwrap_or_else(PoisonError::into_inner).wake_by_ref();
    }

    /// Waits until it has ended.
    pub fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("a worker panicked");
        }
    }
}

/// Starts worker number `index` of a query.
pub fn spawn(config: WorkerConfig, index: usize) -> Result<WorkerHandle> {
    let (requests, receiver) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let pause = Arc::new(AtomicBool::new(false));
    let state = Arc::new(Mutex::new(WorkerState::Restoring));
    let waker = Arc::new(Mutex::new(Waker::noop().clone()));
    let mut worker = Worker {
        config,
        index,
        stop: stop.clone(),
        pause: pause.clone(),
        state: state.clone(),
        waker: waker.clone(),
        receiver,
    };
    let name = format!("{}-{index}", worker.config.blueprint.query_id);
    let span = worker_span(&worker.config.blueprint.query_id, index);
    let thread = std::thread::Builder::new().name(name).spawn(move || span.in_scope(|| worker.run()))?;
    Ok(WorkerHandle { stop, pause, state, waker, requests, thread: Some(thread) })
}

struct Worker {
    config: WorkerConfig,
    index: usize,
    stop: Arc<AtomicBool>,
    pause: Arc<AtomicBool>,
    state: Arc<Mutex<WorkerState>>,
    waker: Arc<Mutex<Waker>>,
    receiver: Receiver<ReadRequest>,
}

impl Drop for Worker {
    /// A defect that ends the thread does not look like a query that runs.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.config.metrics.worker_lost(self.index);
            self.set_state(WorkerState::Failed("a defect ended the worker; start the process again".to_owned()));
        }
    }
}

impl Worker {
    /// Sessions until stopped; a failed one is followed by the next after a while.
    fn run(&mut self) {
        let mut backoff_ms = BACKOFF_MS.0;
        self.config.muster.wait(&|| self.stopping());
        while !self.stopping() {
            // One that failed stays so until it has partitions again.
            self.config.metrics.session_began(self.index, self.config.clock.monotonic_us());
            let commits = self.config.metrics.commits.load(Ordering::Relaxed);
            let Err(error) = self.session() else { continue };
            if self.config.metrics.commits.load(Ordering::Relaxed) > commits {
                backoff_ms = BACKOFF_MS.0;
            }
            if needs_somebody(&error) {
                backoff_ms = BACKOFF_MS.1;
            }
            if error.kind() == ErrorKind::Unavailable {
                backoff_ms = backoff_ms.min(BACKOFF_MS_AWAY);
            }
            if error.kind() == ErrorKind::NotFound {
                let missing = missing_sources(&self.config.blueprint.topology, self.config.broker.as_ref());
                let anew = missing.into_iter().map(|topic| (topic, 0));
                Arc::make_mut(&mut self.config.blueprint).grown_from.extend(anew);
            }
            self.config.metrics.session_failed(self.index, &error, self.config.clock.monotonic_us(), backoff_ms);
            self.set_state(WorkerState::Failed(error.told()));
            let mut waited = 0;
            while waited < backoff_ms && !self.stopping() {
                self.config.clock.sleep(Duration::from_millis(50));
                waited += 50;
            }
            backoff_ms = (backoff_ms * 2).min(BACKOFF_MS.1);
        }
        self.config.metrics.worker_ended(self.index);
        self.set_state(WorkerState::Stopped);
    }

    fn stopping(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }

    fn set_state(&self, state: WorkerState) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }

    /// From joining the group to leaving it, because it is stopped or because the query's topics changed.
    fn session(&mut self) -> Result<()> {
        if let Some(renewed) = survey(&self.config.blueprint, self.config.broker.as_ref())? {
            let (before, now) = (&self.config.blueprint.partitions, &renewed.partitions);
            tracing::warn!(?before, ?now, "partitions of the query's topics changed");
            self.config.blueprint = Arc::new(renewed);
        }
        let mut session = Session::join(&self.config, self.index)?;
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = session.waker();
        let result = self.work(&mut session);
        session.leave();
        result
    }

    fn work(&mut self, session: &mut Session) -> Result<()> {
        let mut survey_at_us = self.config.clock.monotonic_us() + SURVEY_INTERVAL_US;
        let mut trouble = None;
        while !self.stopping() {
            let now_us = self.config.clock.monotonic_us();
            if now_us >= survey_at_us {
                let changed = self.has_changed(session);
                survey_at_us = self.config.clock.monotonic_us() + SURVEY_INTERVAL_US;
                trouble = match changed {
                    Ok(false) => None,
                    Ok(true) => break,
                    // The session may outlive it: whether it does, the next commit shows.
                    Err(error) if error.kind() == ErrorKind::Unavailable => {
                        survey_at_us += SURVEY_AGAIN_US - SURVEY_INTERVAL_US;
                        Some(error.told())
                    }
                    Err(error) => return Err(error),
                };
            }
            let paused = self.pause.load(Ordering::SeqCst);
            session.hold(paused)?;
            let was_settled = session.is_settled();
            session.step(POLL_RECORDS, POLL_WAIT)?;
            if was_settled {
                self.config.muster.reads();
            }
            if session.is_settled() {
                self.set_state(match (&trouble, paused) {
                    (Some(trouble), _) => WorkerState::Waiting(trouble.clone()),
                    (None, true) => WorkerState::Paused,
                    (None, false) => WorkerState::Running,
                });
                self.answer(session);
            }
        }
        session.commit_and(Save::All)
    }

    /// Whether the query's topics are others than those that the session was made for.
    fn has_changed(&self, session: &Session) -> Result<bool> {
        let surveyed = survey(&self.config.blueprint, self.config.broker.as_ref())?;
        Ok(surveyed.is_some() || session.reads_old_topics()?)
    }

    /// Pull queries, between steps.
    fn answer(&self, session: &mut Session) {
        while let Ok(request) = self.receiver.try_recv() {
            let rows = session.read(request.keys.as_deref());
            // The asker may have given up.
            let _ = request.reply.send(rows);
        }
    }
}
