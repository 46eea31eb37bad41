//! `eddyline run`: a folder of queries as persistent jobs.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::args::RunArgs;
use super::config::Settings;
use super::failure::Failure;
use super::open;
use super::signals::Signals;
use super::terminal::Terminal;
use super::theme::Label;
use crate::engine::{Deployment, QueryState, QueryStatus};
use crate::error::{Error, ErrorKind, Result};
use crate::observe::MetricsServer;
use crate::time::{Clock, SystemClock};

/// How often signals are looked at.
const LOOK: Duration = Duration::from_millis(100);

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
    let host = open::open(&settings, home)?;
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
    terminal.note(&format!("{running} queries on {}; Ctrl-C or SIGTERM ends", host.name()))?;
    let started = clock.monotonic_us();
    let mut told_at = started;
    while !signals.is_set() && !over(clock.as_ref(), started, args.duration) {
        clock.sleep(LOOK);
        let now = clock.monotonic_us();
        if now - told_at >= STATUS_INTERVAL_US {
            told_at = now;
            session.queries().iter().for_each(log_status);
        }
    }
    session.queries().iter().for_each(log_status);
    drop(metrics);
    drop(session);
    host.shutdown();
    terminal.note("committed and stopped")?;
    Ok(())
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
