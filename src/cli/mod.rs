//! The terminal: arguments, settings, the prompt, the demo, rendering. The only module that prints, reads the
//! environment or looks at signals.
//!
//! One file a command ([`repl`], [`run`], [`demo`], [`datagen`], [`explain`], [`test`]) over shared ones: [`shell`] runs
//! statements, [`render`] makes text, [`terminal`] prints it, [`open`] builds broker and engine.

pub mod args;
pub mod assist;
pub mod config;
pub mod datagen;
pub mod demo;
pub mod duration;
pub mod explain;
pub mod failure;
pub mod open;
pub mod render;
pub mod repl;
pub mod run;
pub mod shell;
pub mod signals;
pub mod terminal;
pub mod test;
pub mod theme;

use std::path::PathBuf;

use args::{Args, Command, SqlArgs};
use config::Settings;
use failure::Failure;
use terminal::Terminal;

/// What the process was started with, besides its arguments.
#[derive(Debug, Default)]
pub struct Environment {
    /// All variables.
    pub variables: Vec<(String, String)>,
}

impl Environment {
    /// The process's own.
    pub fn of_process() -> Self {
        // Names that are no Unicode cannot be ours.
        let text = |os: std::ffi::OsString| os.into_string().ok();
        Self { variables: std::env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect() }
    }

    /// The value of a variable that is set and not empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.variables.iter().find(|(n, v)| n == name && !v.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Where history and the default data directory live: `$XDG_DATA_HOME/eddyline` or `~/.local/share/eddyline`.
    pub fn home(&self) -> Option<PathBuf> {
        let base = match self.get("XDG_DATA_HOME") {
            Some(dir) => PathBuf::from(dir),
            None => PathBuf::from(self.get("HOME")?).join(".local/share"),
        };
        Some(base.join("eddyline"))
    }
}

/// Settings of the prompt: on Kafka it is a deployment of its own unless told otherwise, as two processes of one
/// deployment would take each other's work away.
fn prompt_settings(settings: &Settings) -> Settings {
    let mut settings = settings.clone();
    if settings.bootstrap_servers.is_some() && settings.service_id == Settings::default().service_id {
        settings.service_id = "console".to_owned();
    }
    settings
}

/// Does what the arguments say.
pub fn dispatch(
    args: &Args,
    settings: &Settings,
    environment: &Environment,
    terminal: &mut Terminal,
) -> Result<(), Failure> {
    let home = environment.home();
    let home = home.as_deref();
    match &args.command {
        None => repl::run(&prompt_settings(settings), &SqlArgs::default(), terminal, home),
        Some(Command::Sql(args)) => repl::run(&prompt_settings(settings), args, terminal, home),
        Some(Command::Demo(args)) => demo::run(settings, args, terminal),
        Some(Command::Run(args)) => run::run(settings, args, terminal, home),
        Some(Command::Datagen(args)) => datagen::run(settings, args, terminal, home),
        Some(Command::Explain(args)) => explain::run(settings, args, terminal),
        Some(Command::Test(args)) => test::run(args, terminal),
    }
}
