//! `eddyline demo`: embedded broker, generated data, the queries, and what they do, live.
//!
//! [`board`] collects, [`screen`] draws, [`queries`] holds the built-in copies of `queries/`.

pub mod board;
pub mod queries;
pub mod screen;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use super::args::DemoArgs;
use super::config::Settings;
use super::datagen::{Kind, Pace, Shop, Topics, produce};
use super::failure::Failure;
use super::open::{self, Host};
use super::run::over;
use super::signals::Signals;
use super::terminal::Terminal;
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::time::{Clock, SystemClock};
use board::Board;

/// Time between two frames.
const FRAME: Duration = Duration::from_millis(400);

/// Time between two reports when nobody watches a screen.
const REPORT: Duration = Duration::from_secs(2);

/// Partitions of the demo's topics.
const PARTITIONS: i32 = 4;

/// Event time begins so long ago: fast event time then stays in the past for a good while.
const HEAD_START_MS: i64 = 24 * 3_600_000;

/// Runs `eddyline demo`.
pub fn run(settings: &Settings, args: &DemoArgs, terminal: &mut Terminal) -> Result<(), Failure> {
    let signals = Signals::of_service()?;
    let clock = SystemClock::shared();
    let place = Place::choose(settings)?;
    let live = terminal.out_is_terminal;
    if live {
        terminal.print(screen::ENTER)?;
        terminal.print(&screen::frame_of_text(&starting(&place), terminal.size()))?;
    } else {
        terminal.line(&starting(&place))?;
    }
    let result = show(settings, args, terminal, &signals, &clock, &place, live);
    if live {
        // Whatever happened, the user gets the own screen back before anything is said about it.
        terminal.print(screen::LEAVE)?;
    }
    let summary = result?;
    terminal.print(&summary)?;
    if !place.temporary {
        terminal.line(&format!("\nKept in {}: start with the same --data-dir to go on.", place.dir.display()))?;
    }
    Ok(())
}

fn starting(place: &Place) -> String {
    let kept = if place.temporary { " (temporary)" } else { "" };
    format!("eddyline demo: starting an embedded broker in {}{kept} and deploying the queries …", place.dir.display())
}

fn show(
    settings: &Settings,
    args: &DemoArgs,
    terminal: &mut Terminal,
    signals: &Signals,
    clock: &Arc<dyn Clock>,
    place: &Place,
    live: bool,
) -> Result<String, Failure> {
    let settings = Settings {
        bootstrap_servers: None,
        data_dir: Some(place.dir.clone()),
        // Long silences are part of the show: the demo's clock is fast, so is its patience.
        idle_timeout: settings.idle_timeout.min(Duration::from_secs(2)),
        ..settings.clone()
    };
    let started = clock.monotonic_us();
    let host = open::open(&settings, None)?;
    let generator = Generator::start(host.broker(), args, clock)?;
    let folder = queries::folder(&place.dir)?;
    host.deploy(&folder, true, false)?;
    let session = host.session();
    let mut board = Board::new(args.speed);
    let mut reported = started;
    loop {
        board.refresh(&session.queries(), host.broker().as_ref(), clock.as_ref())?;
        board.generated = generator.sent();
        board.elapsed_us = clock.monotonic_us() - started;
        generator.check()?;
        if signals.is_set() || over(clock.as_ref(), started, args.duration) {
            break;
        }
        if live {
            let frame = screen::frame(&board, terminal.size(), terminal.theme);
            terminal.print(&frame)?;
        } else if clock.monotonic_us() - reported >= REPORT.as_micros() as i64 {
            reported = clock.monotonic_us();
            terminal.print(&screen::report(&board))?;
        }
        clock.sleep(FRAME);
    }
    finish(generator, session, &host)?;
    Ok(screen::summary(&board, terminal.width()))
}

fn finish(generator: Generator, session: Box<dyn crate::engine::Session + '_>, host: &Host) -> Result<()> {
    generator.stop()?;
    drop(session);
    host.shutdown();
    Ok(())
}

/// The data directory, removed at the end when nobody asked for it.
struct Place {
    dir: PathBuf,
    temporary: bool,
}

impl Place {
    fn choose(settings: &Settings) -> Result<Self> {
        if let Some(dir) = &settings.data_dir {
            return Ok(Self { dir: dir.clone(), temporary: false });
        }
        let dir = std::env::temp_dir().join(format!("eddyline-demo-{}", std::process::id()));
        // Left over from a process of the same number that was killed.
        remove(&dir);
        std::fs::create_dir_all(&dir)?;
        Ok(Self { dir, temporary: true })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.temporary {
            remove(&self.dir);
        }
    }
}

fn remove(dir: &Path) {
    if dir.exists()
        && let Err(error) = std::fs::remove_dir_all(dir)
    {
        tracing::warn!("cannot remove {}: {error}", dir.display());
    }
}

/// The thread that writes generated records.
struct Generator {
    thread: JoinHandle<Result<u64>>,
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
}

impl Generator {
    fn start(broker: &Arc<dyn Broker>, args: &DemoArgs, clock: &Arc<dyn Clock>) -> Result<Self> {
        let topics = Topics::prepare(broker.as_ref(), Kind::All, None, PARTITIONS)?;
        let start_ms = resume_time(broker.as_ref(), &topics, clock.as_ref())?;
        let pace = Pace { rate: args.rate, speed: args.speed, start_ms, count: None };
        let mut shop = Shop::new(args.seed, Kind::All);
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stop_seen, sent_told, clock) = (Arc::clone(&stop), Arc::clone(&sent), Arc::clone(clock));
        let mut producer = topics.producer(broker.as_ref())?;
        let work = move || {
            produce::run(&mut shop, &topics, producer.as_mut(), &pace, clock.as_ref(), &mut |count| {
                sent_told.store(count, Ordering::Relaxed);
                !stop_seen.load(Ordering::Relaxed)
            })
        };
        let thread = std::thread::Builder::new().name("datagen".to_owned()).spawn(work)?;
        Ok(Self { thread, stop, sent })
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Whether it still runs: it never ends by itself unless something failed.
    fn check(&self) -> Result<()> {
        match self.thread.is_finished() {
            true => Err(Error::internal("the data generator ended").hint("Start again with --log-level info.")),
            false => Ok(()),
        }
    }

    fn stop(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(result) => result.map(drop),
            Err(_) => Err(Error::internal("the data generator panicked")),
        }
    }
}

/// Event time goes on where an earlier demo in the same folder stood, or begins a day ago at a full minute.
fn resume_time(broker: &dyn Broker, topics: &Topics, clock: &dyn Clock) -> Result<i64> {
    let mut newest = None;
    for topic in topics.names() {
        newest = newest.max(board::newest_timestamp(broker, topic)?);
    }
    let fresh = clock.now_ms() - HEAD_START_MS;
    Ok(newest.map_or(fresh - fresh.rem_euclid(60_000), |at| at + 1_000))
}
