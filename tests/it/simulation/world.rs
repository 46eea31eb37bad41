//! [`World`]: a broker, processes with workers, and one thread that decides who moves next.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use eddyline::broker::memory::{Fault, Faults, MemoryBroker, Step};
use eddyline::broker::{Broker, OutRecord, Producer, ProducerOptions, Start, TopicPartition};
use eddyline::error::{Error, Result};
use eddyline::runtime::checkpoint::Save;
use eddyline::runtime::pace::Pace;
use eddyline::runtime::progress::Progress;
use eddyline::runtime::session::Session;
use eddyline::runtime::standby::{Follower, Standbys};
use eddyline::runtime::throttle::QueueLimits;
use eddyline::runtime::worker::WorkerConfig;
use eddyline::runtime::{QueryMetrics, processing_log};
use eddyline::state::StateEnv;
use eddyline::time::{Clock, ManualClock};

use super::case::Case;
use super::deploy::{Deployment, SERVICE};
use super::dice::Dice;
use super::disk::{Damage, DiskSettings, Disks};
use super::mutant::{Mutant, Mutation};

/// Longer than all the waiting in a run.
pub const IDLE_MS: i64 = 48 * 3_600_000;
/// Rounds without trouble after which everything must be done.
const ROUNDS_MAX: usize = 3_000;
/// Times that everything waits for the end of its idle time.
const IDLE_ROUNDS_MAX: usize = 10;

/// What will go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Fault(Fault),
    /// The group loses patience with the member in the middle of its work.
    Expel,
}

/// Trouble that waits for its moment.
#[derive(Debug)]
struct Armed {
    process: usize,
    step: Step,
    skip: usize,
    trouble: Trouble,
}

type Arms = Arc<Mutex<Vec<Armed>>>;

/// A process: it may die, and come back under the same name.
struct Process {
    number: usize,
    instance: String,
    memory: MemoryBroker,
    crashed: Arc<AtomicBool>,
    /// It does nothing, like a machine that was put to sleep.
    still: bool,
    members: Vec<Member>,
    /// By query, if copies are kept.
    standbys: Vec<Standby>,
}

/// Copies of a query's stores, and who reads them.
struct Standby {
    copies: Arc<Standbys>,
    follower: Option<Follower>,
}

impl Standby {
    /// As the thread of a process does.
    fn step(&mut self) {
        let stepped = match &mut self.follower {
            Some(follower) => follower.step(Duration::ZERO),
            None => self.copies.follower().map(|follower| self.follower = Some(follower)),
        };
        if stepped.is_err() {
            self.copies.forget();
            self.follower = None;
        }
    }
}

/// A worker of a query.
struct Member {
    query: usize,
    index: usize,
    config: WorkerConfig,
    session: Option<Session>,
    rest_until_ms: i64,
}

/// How the world is set up.
#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub mutation: Mutation,
    pub coalesce: bool,
    pub exactly_once: bool,
    pub disks: Option<DiskSettings>,
    pub standbys: bool,
    pub queue_limits: QueueLimits,
    pub verbose: bool,
}

/// A broker, processes, and what is still to be written.
pub struct World<'a> {
    pub broker: MemoryBroker,
    pub deployment: &'a Deployment,
    case: &'a Case,
    terms: Terms,
    clock: Arc<ManualClock>,
    dice: Dice,
    /// For what came later: see [`super::case::Settings::plain`].
    later: Dice,
    feeder: Box<dyn Producer>,
    fed: usize,
    /// Rows that may be written by now.
    open: usize,
    processes: Vec<Process>,
    /// Names that crashed or stopped processes left.
    free_names: Vec<String>,
    started: usize,
    arms: Arms,
    disks: Option<Disks>,
    /// Commits and failures of sessions, for the report.
    pub failures: usize,
}

/// The group of a client `GROUP-INSTANCE-INDEX`; restoring consumers belong to none.
fn group_of(client: &str) -> Option<&str> {
    client.rsplitn(3, '-').nth(2)
}

/// PAUSE.
fn hold(session: &mut Session, _: usize) -> Result<()> {
    session.hold(true)
}

/// RESUME.
fn release(session: &mut Session, _: usize) -> Result<()> {
    session.hold(false)
}

/// A pull query; what goes wrong in it, the one who asked is told.
fn pull(session: &mut Session, _: usize) -> Result<()> {
    let _ = session.read(None);
    Ok(())
}

/// Work as it is when nothing is held.
fn work(session: &mut Session, records: usize) -> Result<()> {
    session.hold(false)?;
    step_once(session, records)
}

fn step_once(session: &mut Session, records: usize) -> Result<()> {
    session.step(records, Duration::ZERO)
}

impl<'a> World<'a> {
    /// A world with all topics and no process.
    pub fn new(case: &'a Case, deployment: &'a Deployment, terms: Terms) -> Result<Self> {
        let broker = MemoryBroker::new();
        deployment.create_topics(&broker)?;
        let feeder = broker.producer(&ProducerOptions::default())?;
        Ok(Self {
            broker,
            deployment,
            case,
            terms,
            clock: ManualClock::new(1_700_000_000_000),
            dice: case.dice.clone(),
            later: case.later.clone(),
            feeder,
            fed: 0,
            open: 0,
            processes: Vec::new(),
            free_names: Vec::new(),
            started: 0,
            arms: Arc::default(),
            disks: terms.disks.map(Disks::new).transpose()?,
            failures: 0,
        })
    }

    fn say(&self, what: impl FnOnce() -> String) {
        if self.terms.verbose {
            eprintln!("{:>9} {}", self.clock.now_ms() - 1_700_000_000_000, what());
        }
    }

    /// Writes the next records of the input.
    pub fn feed(&mut self, count: usize) -> Result<()> {
        let rows = &self.case.rows[self.fed..self.open];
        let rows = &rows[..count.min(rows.len())];
        for row in rows {
            let value = row.value.bytes();
            self.feeder.send(OutRecord {
                topic: row.topic,
                partition: row.partition,
                key: row.key.as_ref().map(|key| key.as_bytes()),
                value: value.as_deref(),
                timestamp: row.timestamp,
                headers: &[],
            })?;
        }
        self.fed += rows.len();
        Ok(())
    }

    /// Rows up to this number may be written from now on.
    pub fn open(&mut self, rows: usize) {
        self.open = rows;
    }

    fn all_fed(&self) -> bool {
        self.fed == self.open
    }

    fn start_process(&mut self, instance: String, workers: usize) -> Result<()> {
        let number = self.started;
        self.started += 1;
        let crashed = Arc::new(AtomicBool::new(false));
        let memory = self.broker.with_faults(self.faults(number, &crashed));
        let broker: Arc<dyn Broker> = Mutant::over(memory.clone(), self.terms.mutation);
        let state = match &self.disks {
            Some(disks) => disks.env(&instance)?,
            None => StateEnv::memory().named(&instance),
        };
        let mut members = Vec::new();
        let mut standbys = Vec::new();
        for (at, query) in self.deployment.queries.iter().enumerate() {
            let metrics = Arc::new(QueryMetrics::new(workers));
            if self.terms.standbys {
                let (blueprint, clock) = (query.blueprint.clone(), self.clock.clone());
                let copies = Standbys::new(blueprint, broker.clone(), clock, metrics.clone(), state.clone());
                standbys.push(Standby { copies, follower: None });
            }
            let pace = Pace::of(&query.blueprint.topology, workers);
            for index in 0..workers {
                let config = WorkerConfig {
                    blueprint: query.blueprint.clone(),
                    broker: broker.clone(),
                    clock: self.clock.clone(),
                    metrics: metrics.clone(),
                    group: query.group.clone(),
                    start: Start::Earliest,
                    commit_interval_ms: self.case.settings.commit_interval_ms,
                    commit_records_max: self.case.settings.commit_records_max,
                    queue_limits: self.terms.queue_limits,
                    idle_timeout_ms: IDLE_MS,
                    coalesce: self.terms.coalesce,
                    exactly_once: self.terms.exactly_once,
                    processing_log: Some(processing_log::topic(SERVICE)),
                    muster: Arc::default(),
                    pace: pace.clone(),
                    state: state.clone(),
                    standbys: standbys.get(at).map(|standby| standby.copies.clone()),
                };
                members.push(Member { query: at, index, config, session: None, rest_until_ms: 0 });
            }
        }
        self.say(|| format!("process {number} ({instance}) starts with {workers} workers"));
        self.processes.push(Process { number, instance, memory, crashed, still: false, members, standbys });
        Ok(())
    }

    /// Asked by the broker's clients of a process at each of their steps.
    fn faults(&self, process: usize, crashed: &Arc<AtomicBool>) -> Faults {
        let (arms, crashed, broker) = (self.arms.clone(), crashed.clone(), self.broker.clone());
        let (verbose, slow) = (self.terms.verbose, self.case.settings.unseen);
        let dice = Mutex::new(Dice::new(process as u64));
        Arc::new(move |step, client| {
            let mut arms = arms.lock().expect("one thread");
            let Some(at) = arms.iter().position(|armed| armed.process == process && armed.step == step) else {
                let unseen = step == Step::BeforeCommit && dice.lock().expect("one thread").percent(slow);
                return unseen.then_some(Fault::Unseen);
            };
            if arms[at].skip > 0 {
                arms[at].skip -= 1;
                return None;
            }
            let struck = arms.remove(at);
            if verbose {
                eprintln!("          {:?} at {step:?} of {client}", struck.trouble);
            }
            match struck.trouble {
                Trouble::Fault(fault) => {
                    crashed.fetch_or(fault == Fault::Crash, Ordering::SeqCst);
                    Some(fault)
                }
                Trouble::Expel => {
                    if let Some(group) = group_of(client) {
                        broker.expel(group, client);
                    }
                    None
                }
            }
        })
    }

    fn start_some_process(&mut self) -> Result<()> {
        let reused = !self.free_names.is_empty() && self.dice.percent(60);
        let instance = if reused {
            let at = self.dice.roll(self.free_names.len());
            self.free_names.swap_remove(at)
        } else {
            format!("p{}", self.started)
        };
        let workers = self.dice.between(1, self.case.settings.workers_max);
        self.start_process(instance, workers)
    }

    /// A member moves: joins, or takes a step. Failures end its session, as in a worker.
    fn step_member(
        &mut self,
        process: usize,
        member: usize,
        act: fn(&mut Session, usize) -> Result<()>,
        records: usize,
    ) {
        let now_ms = self.clock.now_ms();
        if self.processes[process].still {
            return;
        }
        let found = &mut self.processes[process].members[member];
        let (found_query, found_index) = (found.query, found.index);
        if found.session.is_none() {
            if found.rest_until_ms > now_ms {
                return;
            }
            match Session::join(&found.config, found.index) {
                Ok(session) => found.session = Some(session),
                Err(error) => {
                    self.failures += 1;
                    found.rest_until_ms = now_ms + 50;
                    self.tell(process, member, "cannot join", &error);
                }
            }
            return self.bury(process);
        }
        let Some(session) = &mut found.session else { return };
        let outcome = act(session, records);
        if self.terms.verbose {
            let positions: Vec<String> = session
                .tasks()
                .iter()
                .flat_map(|task| task.offsets(0))
                .map(|offset| {
                    let (_, progress) = offset.metadata.split_once(";0").unwrap_or_default();
                    format!("{}@{}{progress}", offset.partition, offset.offset)
                })
                .collect();
            let commits = found.config.metrics.commits.load(Ordering::Relaxed);
            let who = format!("{}.{}.{}", self.processes[process].number, found_query, found_index);
            eprintln!(
                "{:>9} {who} step {records}, commits {commits}, {}",
                now_ms - 1_700_000_000_000,
                positions.join(" ")
            );
        }
        let found = &mut self.processes[process].members[member];
        if let Err(error) = outcome {
            let session = found.session.take();
            found.rest_until_ms = now_ms + self.dice.roll(100) as i64;
            self.failures += 1;
            self.tell(process, member, "session ends", &error);
            // The dead do not take leave.
            if !self.processes[process].crashed.load(Ordering::SeqCst)
                && let Some(session) = session
            {
                session.leave();
            }
        }
        self.bury(process);
    }

    fn tell(&self, process: usize, member: usize, what: &str, error: &Error) {
        self.say(|| {
            let (p, m) = (&self.processes[process], &self.processes[process].members[member]);
            format!("process {} query {} worker {}: {what}: {error}", p.number, m.query, m.index)
        });
    }

    /// A process in which a client crashed is dead as a whole.
    fn bury(&mut self, process: usize) {
        if self.processes[process].crashed.load(Ordering::SeqCst) {
            self.crash(process);
        }
    }

    fn crash(&mut self, process: usize) {
        let gone = self.processes.swap_remove(process);
        self.say(|| format!("process {} ({}) crashes", gone.number, gone.instance));
        gone.memory.crash();
        self.free_names.push(gone.instance.clone());
        let instance = gone.instance.clone();
        // All its files are closed before something happens to them.
        drop(gone);
        let lives = self.processes.iter().any(|process| process.instance == instance);
        if let Some(disks) = self.disks.as_ref().filter(|_| !lives) {
            let damages = [
                Damage::None,
                Damage::None,
                Damage::None,
                Damage::None,
                Damage::Lost,
                Damage::Flipped,
                Damage::Old,
                Damage::Old,
            ];
            let damage = *self.dice.pick(&damages);
            self.say(|| format!("disk of {instance}: {damage:?}"));
            if let Err(error) = disks.damage(&instance, damage, &mut self.dice) {
                self.say(|| format!("disk of {instance}: {error}"));
            }
        }
    }

    fn stop(&mut self, process: usize) {
        let gone = self.processes.swap_remove(process);
        self.say(|| format!("process {} ({}) stops", gone.number, gone.instance));
        for member in gone.members {
            let Some(mut session) = member.session else { continue };
            // What is not committed is done again by others.
            let _ = session.commit_and(Save::All);
            session.leave();
        }
        gone.standbys.iter().for_each(|standby| standby.copies.save_and_forget());
        gone.memory.crash();
        self.free_names.push(gone.instance);
    }

    fn some_member(&mut self) -> Option<(usize, usize)> {
        if self.processes.is_empty() {
            return None;
        }
        let process = self.dice.roll(self.processes.len());
        let member = self.dice.roll(self.processes[process].members.len());
        Some((process, member))
    }

    fn settle_one(&mut self) -> Result<()> {
        let ids = self.broker.unsettled();
        if ids.is_empty() {
            return Ok(());
        }
        let id = self.dice.pick(&ids).clone();
        self.say(|| format!("transaction of {id} is settled"));
        self.broker.settle(&id)
    }

    fn arm(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let process = self.dice.roll(self.processes.len());
        let process = self.processes[process].number;
        let step = *self.dice.pick(&[
            Step::Begin,
            Step::Send,
            Step::Send,
            Step::BeforeCommit,
            Step::BeforeCommit,
            Step::BeforeCommit,
            Step::AfterCommit,
            Step::AfterCommit,
            Step::Poll,
            Step::Ask,
            Step::Ask,
        ]);
        let trouble = match self.dice.roll(100) {
            0..25 => Trouble::Fault(Fault::Crash),
            25..45 => Trouble::Fault(Fault::Unavailable),
            45..55 => Trouble::Fault(Fault::Fenced),
            55..70 => Trouble::Fault(Fault::Late),
            70..85 => Trouble::Fault(Fault::Unseen),
            _ => Trouble::Expel,
        };
        let skip = self.dice.roll(6);
        self.arms.lock().expect("one thread").push(Armed { process, step, skip, trouble });
    }

    /// All members move some times in turn, long enough for a rebalance to come to its end.
    fn everybody(&mut self, records: usize) {
        for _ in 0..8 {
            // Processes may crash on the way.
            for process in (0..self.processes.len()).rev() {
                let members = self.processes.get(process).map_or(0, |process| process.members.len());
                for member in 0..members {
                    if self.processes.get(process).is_some_and(|process| member < process.members.len()) {
                        self.step_member(process, member, step_once, records);
                    }
                }
            }
        }
    }

    /// A process stands still, and its groups may lose patience with it, or one that stood still goes on. Or a worker is
    /// held, which reads until its queues are full, or released.
    fn stand_still(&mut self) {
        if self.processes.is_empty() {
            return;
        }
        let at = self.later.roll(self.processes.len());
        if self.later.percent(50) {
            let member = self.later.roll(self.processes[at].members.len());
            let act = if self.later.percent(70) { hold } else { release };
            return self.step_member(at, member, act, 0);
        }
        if self.processes[at].still {
            return self.wake(at);
        }
        let process = &mut self.processes[at];
        process.still = true;
        let (number, instance) = (process.number, process.instance.clone());
        self.say(|| format!("process {number} ({instance}) stands still"));
        for member in 0..self.processes[at].members.len() {
            if self.later.percent(80) {
                let member = &self.processes[at].members[member];
                self.broker
                    .expel(&member.config.group, &format!("{}-{instance}-{}", member.config.group, member.index));
            }
        }
    }

    /// It goes on where it was, perhaps just before a commit.
    fn wake(&mut self, at: usize) {
        let process = &mut self.processes[at];
        process.still = false;
        let (number, members) = (process.number, process.members.len());
        self.say(|| format!("process {number} goes on"));
        for member in 0..members {
            let lives = self.processes.get(at).is_some_and(|process| process.number == number);
            if lives && self.later.percent(60) {
                self.step_member(at, member, |session, _| session.commit(), 0);
            }
        }
    }

    /// One random thing happens.
    fn happen(&mut self) -> Result<()> {
        if self.later.roll(1000) < self.case.settings.standstill {
            self.stand_still();
        }
        let settings = &self.case.settings;
        let (poll_max, trouble) = (settings.poll_records_max, settings.trouble);
        let (interval, processes_max) = (settings.commit_interval_ms as usize, settings.processes_max);
        if self.dice.roll(1000) >= trouble {
            match self.dice.roll(100) {
                0..70 => {
                    if let Some((process, member)) = self.some_member() {
                        let records = self.dice.between(1, poll_max);
                        self.step_member(process, member, step_once, records);
                    }
                }
                70..78 if self.terms.standbys && !self.processes.is_empty() => {
                    let process = self.dice.roll(self.processes.len());
                    let awake = self.processes.get_mut(process).filter(|process| !process.still);
                    awake.into_iter().flat_map(|process| &mut process.standbys).for_each(Standby::step);
                    self.bury(process);
                }
                70..87 => self.clock.advance(self.dice.between(1, 2 * interval) as i64),
                // Things that happen now and then: purges, renewed checkpoints.
                87 => self.clock.advance(40_000),
                _ => {
                    let count = self.dice.between(1, 10);
                    self.feed(count)?;
                }
            }
            return Ok(());
        }
        match self.dice.roll(100) {
            0..28 => self.arm(),
            28..40 => self.everybody(poll_max),
            40..46 if !self.processes.is_empty() => {
                let process = self.dice.roll(self.processes.len());
                self.crash(process);
            }
            46..58 if self.processes.len() < processes_max => self.start_some_process()?,
            58..62 if self.processes.len() > 1 => {
                let process = self.dice.roll(self.processes.len());
                self.stop(process);
            }
            62..68 => {
                if let Some((process, member)) = self.some_member() {
                    let (process, member) = (&self.processes[process], &self.processes[process].members[member]);
                    let client = format!("{}-{}-{}", member.config.group, process.instance, member.index);
                    self.say(|| format!("{client} is expelled"));
                    self.broker.expel(&member.config.group, &client);
                }
            }
            68..76 => self.broker.expel_dead(),
            76..84 => self.settle_one()?,
            84..88 if self.disks.is_some() && self.dice.percent(50) => {
                if let Some((process, _)) = self.some_member() {
                    let instance = &self.processes[process].instance;
                    self.disks.iter().try_for_each(|disks| disks.remember(instance))?;
                }
            }
            84..88 => self.broker.compact()?,
            88..94 => {
                if let Some((process, member)) = self.some_member() {
                    self.step_member(process, member, |session, _| session.commit(), 0);
                }
            }
            94 => {
                let held = self.dice.percent(50);
                let act = if held { hold } else { release };
                if let Some((process, member)) = self.some_member() {
                    self.step_member(process, member, act, 0);
                }
            }
            95..97 => {
                if let Some((process, member)) = self.some_member() {
                    let number = self.processes[process].number;
                    if self.dice.percent(50) {
                        let (step, skip) = (*self.dice.pick(&[Step::Begin, Step::Send]), self.dice.roll(3));
                        let trouble = Trouble::Fault(Fault::Unavailable);
                        self.arms.lock().expect("one thread").push(Armed { process: number, step, skip, trouble });
                    }
                    self.step_member(process, member, pull, 0);
                }
            }
            97 if !self.processes.is_empty() => {
                let process = self.dice.roll(self.processes.len());
                let cut_off = self.dice.percent(60);
                let process = &self.processes[process];
                process.memory.cut_off(cut_off);
                self.say(|| format!("process {} is cut off: {cut_off}", process.number));
            }
            98 if self.processes.len() < processes_max && !self.processes.is_empty() => {
                // Started twice under one name: the later one fences the earlier one.
                let process = self.dice.roll(self.processes.len());
                let instance = self.processes[process].instance.clone();
                self.start_process(instance, 1)?;
            }
            _ => {
                if let Some((process, member)) = self.some_member() {
                    for _ in 0..5 {
                        // It may crash on the way.
                        if process < self.processes.len() && member < self.processes[process].members.len() {
                            self.step_member(process, member, step_once, poll_max);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Trouble until the data is written and the schedule is over.
    pub fn chaos(&mut self, steps: usize) -> Result<()> {
        if self.case.mode.upfront {
            self.feed(usize::MAX)?;
        }
        // Nothing else may come before what has to be there first.
        let first = self
            .case
            .rows
            .iter()
            .take_while(|row| self.case.shape.inputs.iter().any(|input| input.first && input.name == row.topic));
        self.feed(first.count())?;
        if self.processes.is_empty() {
            self.start_some_process()?;
        }
        let mut step = 0;
        while step < steps || (!self.all_fed() && step < 20 * steps) {
            self.happen()?;
            step += 1;
        }
        self.feed(usize::MAX)
    }

    /// No more trouble: everything is worked off.
    pub fn calm(&mut self) -> Result<(), String> {
        let told = |error: Error| error.to_string();
        self.arms.lock().expect("one thread").clear();
        self.feed(usize::MAX).map_err(told)?;
        for process in (0..self.processes.len()).rev() {
            if self.processes[process].still {
                self.wake(process);
            }
        }
        for process in (0..self.processes.len()).rev() {
            self.bury(process);
        }
        // Of processes with one name only one may live.
        let mut names = Vec::new();
        let mut at = 0;
        while at < self.processes.len() {
            if names.contains(&self.processes[at].instance) {
                self.crash(at);
            } else {
                names.push(self.processes[at].instance.clone());
                at += 1;
            }
        }
        if self.processes.is_empty() {
            self.start_some_process().map_err(told)?;
        }
        self.processes.iter().for_each(|process| process.memory.cut_off(false));
        self.broker.expel_dead();
        for id in self.broker.unsettled() {
            self.broker.settle(&id).map_err(told)?;
        }
        let mut quiet = 0;
        for _ in 0..ROUNDS_MAX {
            for process in 0..self.processes.len() {
                for member in 0..self.processes[process].members.len() {
                    self.step_member(process, member, work, 1000);
                }
            }
            for id in self.broker.unsettled() {
                self.broker.settle(&id).map_err(told)?;
            }
            self.processes.iter_mut().flat_map(|process| &mut process.standbys).for_each(Standby::step);
            self.clock.advance(self.case.settings.commit_interval_ms + 1);
            quiet = if self.unfinished().is_none() { quiet + 1 } else { 0 };
            if quiet == 3 {
                return Ok(());
            }
        }
        Err(format!("stalled: {}", self.unfinished().unwrap_or_default()))
    }

    /// Time passes without input, and everything waits for it.
    pub fn idle(&mut self, trouble: bool) -> Result<(), String> {
        for round in 0..IDLE_ROUNDS_MAX {
            self.clock.advance(IDLE_MS + 3_600_000);
            let quiet = !trouble || round >= 2;
            if !quiet {
                for _ in 0..40 {
                    self.happen().map_err(|error| error.to_string())?;
                }
            }
            let failures = self.failures;
            self.calm()?;
            // A worker that begins anew begins to wait anew.
            if quiet && failures == self.failures {
                return Ok(());
            }
        }
        Err("workers fail without trouble".to_owned())
    }

    /// What is not done yet.
    fn unfinished(&self) -> Option<String> {
        for process in &self.processes {
            for member in &process.members {
                match &member.session {
                    None => return Some(format!("a worker of process {} has no session", process.number)),
                    Some(session) if !session.is_idle() => {
                        return Some(format!("a worker of process {} has records left", process.number));
                    }
                    Some(_) => {}
                }
            }
        }
        for (at, query) in self.deployment.queries.iter().enumerate() {
            let tasks = self.sessions(at).map(|session| session.tasks().len()).sum::<usize>() as i32;
            let sub_topologies = 0..query.blueprint.topology.sub_topologies.len();
            let wanted = sub_topologies.map(|sub| query.blueprint.task_count(sub)).sum::<i32>();
            if tasks != wanted {
                return Some(format!("{tasks} of {wanted} tasks of {} are somewhere", query.group));
            }
            for topic in query.blueprint.input_topics() {
                for partition in 0..self.broker.topic(&topic).ok()??.partitions {
                    let at = TopicPartition::new(topic.as_str(), partition);
                    let (_, end) = self.broker.offsets(&at).ok()?;
                    let committed = self.broker.committed(&query.group, std::slice::from_ref(&at)).ok()?;
                    let done = committed.first().map_or((0, 0), |committed| {
                        (committed.offset, Progress::from_metadata(&committed.metadata).rows_done)
                    });
                    if done != (end, 0) {
                        return Some(format!("{} committed {done:?} of {end} of {at}", query.group));
                    }
                }
            }
        }
        None
    }

    /// The sessions of a query that live.
    pub fn sessions(&self, query: usize) -> impl Iterator<Item = &Session> {
        let members = self.processes.iter().flat_map(|process| &process.members);
        members.filter(move |member| member.query == query).filter_map(|member| member.session.as_ref())
    }
}
