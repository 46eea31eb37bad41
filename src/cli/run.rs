//! `eddyline run`: a folder of queries as persistent jobs.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::RunArgs;
use super::config::Settings;
use super::failure::Failure;
use super::open::{self, Host};
use super::signals::Signals;
use super::terminal::Terminal;
use super::theme::Label;
use crate::engine::{CatchUp, Deployment, QueryState, QueryStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::MetricsServer;
use crate::time::{Clock, SystemClock};

/// How often signals are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How often they are looked at, and at the queries, when those are to end by themselves.
const LOOK_OFTEN: Duration = Duration::from_millis(50);

/// Waits between two tries to reach the broker.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How often the log says how the queries do.
const STATUS_INTERVAL_US: i64 = 60_000_000;

/// Runs `eddyline run`.
pub fn run(settings: &Settings, args: &RunArgs, terminal: &mut Terminal, home: Option<&Path>) -> Result<(), Failure> {
    let signals = Signals::of_service()?;
    let clock = SystemClock::shared();
    let mut settings = settings.clone();
    if let Some(workers) = args.workers {
        settings.workers = usize::from(workers);
    }
    // First of all, so that whoever waits for the start sees it; and a taken port is told before anything runs.
    let metrics = match args.metrics_addr.or(settings.metrics_addr).filter(|_| !args.check) {
        Some(address) => Some(serve_metrics(address, &settings, &clock, terminal)?),
        None => None,
    };
    let variables: BTreeMap<String, String> = args.define.iter().cloned().collect();
    let open = || open::open_with(&settings, home, variables.clone());
    let Some(host) = wait_for_broker(&settings, args, clock.as_ref(), &signals, open)? else {
        return Ok(());
    };
    let deployment = host.deploy(&args.path, args.replace, args.check)?;
    tell(terminal, &deployment, args)?;
    let refused = || {
        let count = deployment.changed.len();
        let error = Error::new(ErrorKind::Conflict, format!("{count} of the deployed files changed"));
        Failure::told(error)
    };
    if args.check {
        host.shutdown();
        return if deployment.changed.is_empty() || args.replace { Ok(()) } else { Err(refused()) };
    }
    if deployment.started.is_empty() && deployment.resumed.is_empty() && !deployment.changed.is_empty() {
        host.shutdown();
        return Err(refused());
    }
    let session = host.session();
    if let Some(metrics) = &metrics {
        metrics.show(host.session());
    }
    let running = session.queries().len();
    let or_caught_up = if args.until_caught_up { ", and so does having caught up" } else { "" };
    terminal.note(&format!("{running} queries on {}; Ctrl-C or SIGTERM ends{or_caught_up}", host.name()))?;
    let started = clock.monotonic_us();
    let mut told_at = started;
    let mut end = args.until_caught_up.then(|| End::Unknown(&host));
    let mut caught_up = false;
    while !signals.is_set() && !over(clock.as_ref(), started, args.duration) {
        if let Some(end) = &mut end
            && end.is_reached(&session.queries())?
        {
            caught_up = true;
            break;
        }
        clock.sleep(if args.until_caught_up { LOOK_OFTEN } else { LOOK });
        let now = clock.monotonic_us();
        if now - told_at >= STATUS_INTERVAL_US {
            told_at = now;
            session.queries().iter().for_each(log_status);
        }
    }
    session.queries().iter().for_each(log_status);
    let behind: Vec<String> = session.queries().iter().filter_map(behind).collect();
    drop(metrics);
    drop(session);
    drop(end);
    host.shutdown();
    terminal.note(if caught_up { "caught up, committed and stopped" } else { "committed and stopped" })?;
    if args.until_caught_up && !caught_up && !signals.is_set() {
        let behind = if behind.is_empty() { "all is read, not all committed".to_owned() } else { behind.join("; ") };
        let error = Error::new(ErrorKind::Conflict, format!("not caught up when the time was over: {behind}"));
        return Err(error.hint("--duration is the limit of --until-caught-up.").into());
    }
    Ok(())
}

/// The end that `--until-caught-up` waits for.
enum End<'a> {
    /// Not every query was started yet.
    Unknown(&'a Host),
    Known(Box<CatchUp>),
}

impl End<'_> {
    fn is_reached(&mut self, queries: &[QueryStatus]) -> Result<bool> {
        if let Self::Unknown(host) = self {
            let found = match host.catch_up() {
                Err(error) if error.kind() != ErrorKind::Unavailable => return Err(error),
                found => found.ok().flatten(),
            };
            let Some(found) = found else { return Ok(false) };
            *self = Self::Known(Box::new(found));
        }
        match self {
            Self::Unknown(_) => Ok(false),
            Self::Known(end) => end.is_done(queries),
        }
    }
}

/// What keeps a query from having caught up, as far as it knows.
fn behind(query: &QueryStatus) -> Option<String> {
    match &query.state {
        QueryState::Error(reason) => Some(format!("{} is in error: {reason}", query.id)),
        _ if query.lag > 0 => Some(format!("{} has {} records before it", query.id, query.lag)),
        _ => None,
    }
}

/// Opens with patience: a service may start before its broker does. `None` when a signal ends the wait.
fn wait_for_broker<T>(
    settings: &Settings,
    args: &RunArgs,
    clock: &dyn Clock,
    signals: &Signals,
    mut open: impl FnMut() -> Result<T>,
) -> Result<Option<T>> {
    let started_us = clock.monotonic_us();
    let mut pause = FIRST_PAUSE;
    loop {
        let error = match open() {
            Ok(opened) => return Ok(Some(opened)),
            Err(error) if error.kind() == ErrorKind::Unavailable && !args.check => error,
            Err(error) => return Err(error),
        };
        let left = settings.broker_wait.saturating_sub(elapsed(clock, started_us));
        if left.is_zero() {
            let waited = elapsed(clock, started_us).as_secs();
            return Err(error.hint(format!("Waited for {waited} s; the setting broker-wait says how long.")));
        }
        tracing::warn!(%error, "no broker yet, trying again; giving up in {} s", left.as_secs());
        let paused_us = clock.monotonic_us();
        while elapsed(clock, paused_us) < pause.min(left) {
            if signals.is_set() {
                return Ok(None);
            }
            clock.sleep(LOOK);
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn elapsed(clock: &dyn Clock, since_us: i64) -> Duration {
    Duration::from_micros((clock.monotonic_us() - since_us).max(0) as u64)
}

fn serve_metrics(
    address: SocketAddr,
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    terminal: &mut Terminal,
) -> Result<MetricsServer, Failure> {
    let server = MetricsServer::bind(address, &settings.service_id, Arc::clone(clock)).map_err(Failure::usage)?;
    terminal.note(&format!("metrics and health on http://{}/", server.address()))?;
    Ok(server)
}

/// Whether the time that was asked for has passed.
pub fn over(clock: &dyn Clock, started_us: i64, duration: Option<Duration>) -> bool {
    duration.is_some_and(|duration| clock.monotonic_us() - started_us >= duration.as_micros() as i64)
}

fn tell(terminal: &mut Terminal, deployment: &Deployment, args: &RunArgs) -> Result<()> {
    let theme = terminal.theme;
    let (started, resumed) = if args.check { ("would start", "would resume") } else { ("started", "resumed") };
    for name in &deployment.started {
        terminal.line(&format!("{}  {name}", theme.paint(Label::Good, started)))?;
    }
    for name in &deployment.resumed {
        terminal.line(&format!("{}  {name}", theme.paint(Label::Good, resumed)))?;
    }
    for (file, difference) in &deployment.changed {
        let word = if args.replace { "replaced" } else { "refused" };
        terminal.line(&format!("{}  {file} changed since it was deployed:", theme.paint(Label::Warning, word)))?;
        for line in difference.lines() {
            let label = match line.as_bytes().first() {
                Some(b'+') => Label::Good,
                Some(b'-') => Label::Bad,
                _ => Label::Quiet,
            };
            terminal.line(&format!("    {}", theme.paint(label, line)))?;
        }
    }
    if !deployment.changed.is_empty() && !args.replace {
        terminal.line("The deployed versions keep running. --replace takes the new ones, with fresh state.")?;
    }
    for name in &deployment.removed {
        let word = theme.paint(Label::Warning, "removed");
        terminal.line(&format!("{word}  {name} is deployed but its file is gone; TERMINATE and DROP end it"))?;
    }
    if args.check && deployment.changed.is_empty() {
        terminal.line("All files are valid.")?;
    }
    Ok(())
}

fn log_status(query: &QueryStatus) {
    let state = query.state.name();
    match &query.state {
        QueryState::Error(reason) => tracing::error!(query = query.id, state, reason, "query"),
        _ => tracing::info!(
            query = query.id,
            state,
            rows_in = query.rows_in,
            rows_out = query.rows_out,
            lag = query.lag,
            late = query.rows_late,
            errors = query.errors,
            commit_p99_ms = query.numbers.commits.quantile_us(0.99).map(|us| us as f64 / 1000.0),
            state_rows = query.numbers.state_rows(),
            state_bytes = query.numbers.state_memory_bytes(),
            session_failures = query.numbers.session_failures,
            "query"
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::time::ManualClock;

    fn args() -> RunArgs {
        RunArgs {
            path: PathBuf::new(),
            check: false,
            replace: false,
            workers: None,
            duration: None,
            until_caught_up: false,
            define: Vec::new(),
            metrics_addr: None,
        }
    }

    fn away() -> Error {
        Error::new(ErrorKind::Unavailable, "no broker answers")
    }

    #[test]
    fn a_service_waits_for_its_broker_but_not_forever() {
        let (settings, clock, signals) = (Settings::default(), ManualClock::new(0), Signals::default());
        let mut tries = 0;
        let opened = wait_for_broker(&settings, &args(), clock.as_ref(), &signals, || {
            tries += 1;
            if tries < 5 { Err(away()) } else { Ok(tries) }
        });
        assert_eq!(opened.expect("the fifth try"), Some(5));
        let opened = wait_for_broker(&settings, &args(), clock.as_ref(), &signals, || Err::<(), _>(away()));
        let error = opened.expect_err("nobody came");
        assert!(error.hints()[0].starts_with("Waited for 120 s"), "{:?}", error.hints());
    }

    #[test]
    fn other_errors_and_checks_do_not_wait() {
        let (settings, clock, signals) = (Settings::default(), ManualClock::new(0), Signals::default());
        let open = || Err::<(), _>(Error::semantic("a property that is none"));
        assert!(wait_for_broker(&settings, &args(), clock.as_ref(), &signals, open).is_err());
        let check = RunArgs { check: true, ..args() };
        assert!(wait_for_broker(&settings, &check, clock.as_ref(), &signals, || Err::<(), _>(away())).is_err());
        signals.raise();
        let opened = wait_for_broker(&settings, &args(), clock.as_ref(), &signals, || Err::<(), _>(away()));
        assert_eq!(opened.expect("a signal is no failure"), None);
        assert_eq!(clock.monotonic_us(), 0);
    }
}
