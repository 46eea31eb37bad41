//! The `eddyline` program: arguments, logs, exit code. Everything else is in the library.

use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;

use eddyline::cli::args::{Args, Command, LogFormat};
use eddyline::cli::config::Settings;
use eddyline::cli::failure::Failure;
use eddyline::cli::terminal::Terminal;
use eddyline::cli::{Environment, dispatch};
use eddyline::error::Error;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = Args::parse();
    let environment = Environment::of_process();
    let mut terminal = Terminal::standard(environment.get("NO_COLOR").is_some());
    let result = Settings::load(&args.global, &environment.variables).and_then(|settings| {
        start_logs(&settings, &args)?;
        dispatch(&args, &settings, &environment, &mut terminal)
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // If stderr is gone too, the exit code still tells.
            let _ = terminal.fail(&failure);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// Logs go to stderr: `run` tells what it does, commands that somebody watches only what deserves a look.
fn start_logs(settings: &Settings, args: &Args) -> Result<(), Failure> {
    // The Kafka client's own words double what our errors say.
    let usual = match args.command {
        // Of the storage engine only what deserves a look: it tells of every file that it opens.
        Some(Command::Run(_)) => "info,fjall=warn,lsm_tree=warn",
        _ => "warn,eddyline::broker::kafka::native=off",
    };
    let level = settings.log_level.as_deref().unwrap_or(usual);
    let filter = EnvFilter::try_new(level).map_err(|cause| {
        let error = Error::data(format!("log level {level:?} cannot be read")).caused_by(cause);
        Failure::usage(error.hint("Use off, error, warn, info, debug or trace, or eddyline::runtime=debug."))
    })?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Json => logs.json().flatten_event(true).with_span_list(false).init(),
        LogFormat::Text => logs.with_ansi(false).with_target(false).init(),
    }
    Ok(())
}
