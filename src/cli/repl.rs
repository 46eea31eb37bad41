//! `eddyline sql`: the prompt, and the same loop without one.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use rustyline::error::ReadlineError;
use rustyline::history::{DefaultHistory, History, SearchDirection};
use rustyline::{CompletionType, Config, Editor};

use super::args::SqlArgs;
use super::assist::{Assist, runs};
use super::config::Settings;
use super::failure::{Failure, Script};
use super::open;
use super::shell::{Flow, Shell};
use super::signals::Signals;
use super::terminal::Terminal;
use crate::error::Error;

/// Runs `-f` and `-e`, or stdin, or the prompt.
pub fn run(settings: &Settings, args: &SqlArgs, terminal: &mut Terminal, home: Option<&Path>) -> Result<(), Failure> {
    let signals = Signals::of_keyboard()?;
    let host = open::open(settings, home)?;
    let session = host.session();
    let mut shell = Shell::new(session, terminal, signals.clone(), args.output.unwrap_or(settings.output));
    let result = if !args.file.is_empty() || !args.execute.is_empty() {
        run_given(&mut shell, args)
    } else if std::io::stdin().is_terminal() {
        shell.interactive = true;
        let history = settings.history_file.clone().or_else(|| home.map(|home| home.join("history")));
        prompt(&mut shell, &signals, history, &host.name())
    } else {
        shell.run_lines(&mut std::io::stdin().lock()).map(drop)
    };
    drop(shell);
    host.shutdown();
    result
}

fn run_given(shell: &mut Shell<'_>, args: &SqlArgs) -> Result<(), Failure> {
    for file in &args.file {
        let flow = match file.as_os_str() == "-" {
            true => shell.run_lines(&mut std::io::stdin().lock())?,
            false => shell.run_file(file)?,
        };
        if flow == Flow::Exit {
            return Ok(());
        }
    }
    for text in &args.execute {
        if shell.run(&Script::new("-e", text.clone()))? == Flow::Exit {
            return Ok(());
        }
    }
    Ok(())
}

fn prompt(shell: &mut Shell<'_>, signals: &Signals, history: Option<PathBuf>, host: &str) -> Result<(), Failure> {
    let config = Config::builder()
        .completion_type(CompletionType::List)
        .history_ignore_space(true)
        .auto_add_history(false)
        .build();
    let theme = shell.terminal().theme;
    let mut editor: Editor<Assist, DefaultHistory> = Editor::with_config(config).map_err(editor_failed)?;
    editor.set_helper(Some(Assist::new(theme, shell.names())));
    if let Some(path) = &history {
        // The first start has none: not worth a word.
        let _ = editor.load_history(path);
        shell.history = past_lines(editor.history());
    }
    shell.terminal().line(&format!(
        "eddyline {} on {host}. Statements end with ; — help explains, Ctrl-D leaves.",
        env!("CARGO_PKG_VERSION")
    ))?;
    loop {
        let line = match editor.readline("eddyline> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => {
                shell.terminal().note("Ctrl-C ends a running query; Ctrl-D or exit leaves.")?;
                continue;
            }
            Err(ReadlineError::Eof) => break,
            Err(error) => return Err(editor_failed(error)),
        };
        if line.trim().is_empty() {
            continue;
        }
        if editor.add_history_entry(line.trim_end()).unwrap_or(false) {
            shell.history.push(line.trim_end().to_owned());
        }
        debug_assert!(runs(&line), "the editor only hands over what runs");
        signals.clear();
        let script = Script::new("line", line);
        match shell.run(&script) {
            Ok(Flow::Exit) => break,
            Ok(Flow::Continue) => {}
            Err(failure) => shell.terminal().fail(&failure.in_script(script))?,
        }
        if let Some(assist) = editor.helper_mut() {
            assist.names = shell.names();
        }
    }
    if let Some(path) = &history {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if let Err(error) = editor.save_history(path) {
            tracing::warn!("cannot save the history to {}: {error}", path.display());
        }
    }
    Ok(())
}

fn past_lines(history: &DefaultHistory) -> Vec<String> {
    (0..history.len())
        .filter_map(|i| history.get(i, SearchDirection::Forward).ok().flatten())
        .map(|found| found.entry.into_owned())
        .collect()
}

fn editor_failed(error: ReadlineError) -> Failure {
    Error::new(crate::error::ErrorKind::Storage, "the line editor cannot use this terminal").caused_by(error).into()
}
