//! [`Shell`]: the one loop that runs statements, wherever they come from: prompt, `-e`, file, pipe.
//!
//! **Invariant:** stdout carries results only when the output format is made for programs (json, csv); sentences go to
//! stderr then.

use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::args::OutputFormat;
use super::assist::runs;
use super::failure::{Failure, Script};
use super::render::{self, live::LiveTable};
use super::signals::Signals;
use super::terminal::Terminal;
use super::theme::Label;
use crate::engine::{Outcome, RowEvent, RowStream, Session, TableResult};
use crate::error::{Error, Result, Span, did_you_mean};
use crate::sql;

/// How long a running query is waited for before the keyboard is looked at.
const PATIENCE: Duration = Duration::from_millis(100);

/// Scripts that run scripts: no deeper than this, or one runs itself.
const SCRIPT_DEPTH_MAX: usize = 16;

const HELP: &str = "\
Statements end with a semicolon and may span lines. Some to begin with:
  SHOW STREAMS;  SHOW TABLES;  SHOW QUERIES;  SHOW TOPICS;  SHOW FUNCTIONS;
  DESCRIBE orders;                         its columns and topic
  PRINT 'orders' FROM BEGINNING LIMIT 5;   records as they are in the topic
  CREATE STREAM orders (order_id VARCHAR KEY, amount DOUBLE) WITH (KAFKA_TOPIC='orders', VALUE_FORMAT='JSON', PARTITIONS=4);
  SELECT * FROM orders EMIT CHANGES;       rows as they come; Ctrl-C ends the query
  CREATE TABLE totals AS SELECT user_id, SUM(amount) AS total FROM orders GROUP BY user_id;
  SELECT * FROM totals WHERE user_id = 'u1';
  SET 'auto.offset.reset' = 'earliest';    new queries read what is there already
Commands of the prompt (no semicolon needed):
  help   history   clear   output table|json|csv   run script FILE   exit (or Ctrl-D)";

/// Commands that need no semicolon, for completion and for [`is_command`].
pub const COMMANDS: [&str; 7] = ["help", "exit", "quit", "history", "clear", "output", "run"];

/// Whether a whole line is a command of the prompt.
pub fn is_command(line: &str) -> bool {
    Command::parse(line).is_some()
}

#[derive(Debug, PartialEq, Eq)]
enum Command {
    Help,
    Exit,
    History,
    Clear,
    Output(String),
    Run(String),
}

impl Command {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim().trim_end_matches(';').trim_end();
        let mut words = text.split_whitespace();
        let first = words.next()?.to_lowercase();
        let second = words.next().unwrap_or("");
        Some(match (first.as_str(), second) {
            ("help" | "?", "") => Self::Help,
            ("exit" | "quit", "") => Self::Exit,
            ("history", "") => Self::History,
            ("clear", "") => Self::Clear,
            ("output", format) if words.next().is_none() => Self::Output(format.to_lowercase()),
            ("run", script) if script.eq_ignore_ascii_case("script") => {
                let at = text.to_lowercase().find("script")? + "script".len();
                let path = text[at..].trim();
                let path = path.strip_prefix('\'').and_then(|p| p.strip_suffix('\'')).unwrap_or(path);
                // A statement goes on in the next line; a command names its file in this one.
                if path.is_empty() || path.contains('\n') {
                    return None;
                }
                Self::Run(path.replace("''", "'"))
            }
            _ => return None,
        })
    }
}

/// What to do after a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// The next one.
    Continue,
    /// Leave.
    Exit,
}

/// Runs statements against a session and shows what they bring.
pub struct Shell<'a> {
    session: Box<dyn Session + 'a>,
    terminal: &'a mut Terminal,
    signals: Signals,
    output: OutputFormat,
    /// Lines typed so far, oldest first.
    pub history: Vec<String>,
    /// Whether somebody sits at a prompt: Ctrl-C then ends the query only.
    pub interactive: bool,
    /// Whether only errors and explicitly asked texts are shown.
    pub quiet: bool,
    /// What relative script paths are relative to, innermost last.
    folders: Vec<PathBuf>,
}

impl<'a> Shell<'a> {
    /// A shell on a session.
    pub fn new(
        session: Box<dyn Session + 'a>,
        terminal: &'a mut Terminal,
        signals: Signals,
        output: OutputFormat,
    ) -> Self {
        Self {
            session,
            terminal,
            signals,
            output,
            history: Vec::new(),
            interactive: false,
            quiet: false,
            folders: Vec::new(),
        }
    }

    /// The names that completion offers.
    pub fn names(&self) -> Vec<String> {
        self.session.names()
    }

    /// Where this shell prints.
    pub fn terminal(&mut self) -> &mut Terminal {
        self.terminal
    }

    /// Runs a file; scripts that it runs are looked for next to it.
    pub fn run_file(&mut self, path: &Path) -> Result<Flow, Failure> {
        let at = match self.folders.last() {
            Some(folder) if path.is_relative() => folder.join(path),
            _ => path.to_owned(),
        };
        if self.folders.len() >= SCRIPT_DEPTH_MAX {
            let error = Error::semantic(format!("scripts run each other more than {SCRIPT_DEPTH_MAX} deep"));
            return Err(error.hint(format!("Does {} run itself?", at.display())).into());
        }
        let text = std::fs::read_to_string(&at)
            .map_err(|cause| Error::not_found(format!("cannot read script {}", at.display())).caused_by(cause))?;
        self.folders.push(at.parent().map(Path::to_owned).unwrap_or_default());
        let flow = self.run(&Script::new(path.display().to_string(), text));
        self.folders.pop();
        flow
    }

    /// Runs statements from a pipe, each as soon as it is complete.
    pub fn run_lines(&mut self, input: &mut dyn BufRead) -> Result<Flow, Failure> {
        let mut script = Script::new("stdin", "");
        let mut done = 0;
        loop {
            let bytes = self.signals.clone().waiting(|| input.read_line(&mut script.text))?;
            if bytes > 0 && !runs(&script.text[done..]) {
                continue;
            }
            let flow = self.run_from(&script, done)?;
            if flow == Flow::Exit || bytes == 0 {
                return Ok(flow);
            }
            done = script.text.len();
        }
    }

    /// Runs every statement of a script; stops at the first error.
    pub fn run(&mut self, script: &Script) -> Result<Flow, Failure> {
        self.run_from(script, 0)
    }

    /// Runs the statements that begin at or after byte `from`.
    pub fn run_from(&mut self, script: &Script, from: usize) -> Result<Flow, Failure> {
        for piece in sql::split_statements(&script.text[from..]) {
            let (start, end) = (from + piece.span.start, from + piece.span.end);
            let flow =
                self.statement(&script.text[start..end], start).map_err(|failure| failure.in_script(script.clone()))?;
            if flow == Flow::Exit {
                return Ok(Flow::Exit);
            }
        }
        Ok(Flow::Continue)
    }

    /// Shows what a statement at byte `offset` of its script would run.
    pub fn explain(&mut self, text: &str, offset: usize) -> Result<(), Failure> {
        const EXPLAIN: &str = "EXPLAIN ";
        let (terminal, signals, output) = (&mut *self.terminal, &self.signals, self.output);
        let run = self.session.execute(&format!("{EXPLAIN}{text}"), &mut |outcome| {
            show(terminal, signals, output, outcome)?;
            Ok(())
        });
        // The user has not written the first word.
        run.map_err(|error| {
            let place = error.span();
            let error = error.without_span();
            Failure::from(match place {
                Some(span) => {
                    let moved = |at: usize| at.saturating_sub(EXPLAIN.len()) + offset;
                    error.at(Span::new(moved(span.start), moved(span.end)))
                }
                None => error,
            })
        })
    }

    fn statement(&mut self, text: &str, offset: usize) -> Result<Flow, Failure> {
        if let Some(command) = Command::parse(text) {
            return self.command(command);
        }
        let (terminal, signals, output) = (&mut *self.terminal, &self.signals, self.output);
        if signals.is_set() {
            return Err(Failure::interrupted());
        }
        let mut interrupted = false;
        let quiet = self.quiet;
        let run = self.session.execute(text, &mut |outcome| {
            if quiet {
                return Ok(());
            }
            interrupted |= show(terminal, signals, output, outcome)?;
            Ok(())
        });
        run.map_err(|error| Failure::from(error.shifted(offset)))?;
        match interrupted && !self.interactive {
            true => Err(Failure::interrupted()),
            false => Ok(Flow::Continue),
        }
    }

    fn command(&mut self, command: Command) -> Result<Flow, Failure> {
        match command {
            Command::Help => self.terminal.line(HELP)?,
            Command::Exit => return Ok(Flow::Exit),
            Command::History => {
                for (i, line) in self.history.iter().enumerate() {
                    self.terminal.line(&format!("{:>4}  {}", i + 1, line.replace('\n', "\n      ")))?;
                }
            }
            Command::Clear if self.terminal.out_is_terminal => self.terminal.print("\x1b[2J\x1b[H")?,
            Command::Clear => {}
            Command::Output(format) => {
                self.output = match format.as_str() {
                    "table" | "tabular" => OutputFormat::Table,
                    "json" => OutputFormat::Json,
                    "csv" => OutputFormat::Csv,
                    other => {
                        let error = Error::semantic(format!("{other:?} is no output format"));
                        let near = did_you_mean(other, ["table", "json", "csv"]).unwrap_or("table, json or csv");
                        return Err(error.hint(format!("Try output {near}.")).into());
                    }
                };
                say(self.terminal, self.output, &format!("Output format: {format}"))?;
            }
            Command::Run(path) => return self.run_file(Path::new(&path)),
        }
        Ok(Flow::Continue)
    }
}

/// A sentence about what happened.
fn say(terminal: &mut Terminal, output: OutputFormat, text: &str) -> Result<()> {
    match output {
        OutputFormat::Table => terminal.line(text),
        OutputFormat::Json | OutputFormat::Csv => terminal.note(text),
    }
}

/// Shows one outcome; whether Ctrl-C ended it.
fn show(terminal: &mut Terminal, signals: &Signals, output: OutputFormat, outcome: Outcome) -> Result<bool> {
    match outcome {
        Outcome::Message(text) | Outcome::Text(text) => say(terminal, output, text.trim_end()).map(|()| false),
        Outcome::Table(result) => show_table(terminal, output, &result).map(|()| false),
        Outcome::Rows(rows) => show_rows(terminal, signals, output, rows),
    }
}

fn show_table(terminal: &mut Terminal, output: OutputFormat, result: &TableResult) -> Result<()> {
    match output {
        OutputFormat::Table if result.rows.is_empty() => terminal.line("(no rows)"),
        OutputFormat::Table => {
            let text = render::table(result, terminal.width());
            // Only the heading is a label: cells are the user's.
            let (heading, rest) = text.split_once('\n').unwrap_or((&text, ""));
            let heading = terminal.theme.paint(Label::Heading, heading);
            terminal.print(&format!("{heading}\n{rest}"))
        }
        OutputFormat::Json => {
            let lines = result.rows.iter().map(|row| render::json_row(&result.columns, row) + "\n");
            terminal.print(&lines.collect::<String>())
        }
        OutputFormat::Csv => {
            let lines = result.rows.iter().map(|row| render::csv_row(&result.columns, row) + "\n");
            terminal.print(&format!("{}\n{}", render::csv_header(&result.columns), lines.collect::<String>()))
        }
    }
}

/// Shows rows as they come until they end or Ctrl-C is pressed (then `true`).
fn show_rows(
    terminal: &mut Terminal,
    signals: &Signals,
    output: OutputFormat,
    mut rows: Box<dyn RowStream>,
) -> Result<bool> {
    signals.clear();
    let columns = rows.columns().to_vec();
    let mut live = LiveTable::new(&columns, terminal.width());
    let theme = terminal.theme;
    match output {
        OutputFormat::Table => terminal.print(&theme.paint(Label::Heading, &live.header()))?,
        OutputFormat::Csv => terminal.line(&render::csv_header(&columns))?,
        OutputFormat::Json => {}
    }
    let mut count = 0u64;
    loop {
        let event = rows.next(PATIENCE)?;
        if signals.is_set() {
            // Dropped first: the query is gone when the sentence says so.
            drop(rows);
            signals.clear();
            if terminal.out_is_terminal {
                // The keyboard's own ^C goes.
                terminal.print("\r\x1b[K")?;
            }
            say(terminal, output, &theme.paint(Label::Quiet, &format!("Query ended ({})", row_count(count))))?;
            return Ok(true);
        }
        let text = match (event, output) {
            (RowEvent::Idle, _) => String::new(),
            (RowEvent::End(reason), _) => {
                drop(rows);
                say(terminal, output, &theme.paint(Label::Quiet, &format!("{reason} ({})", row_count(count))))?;
                return Ok(false);
            }
            (RowEvent::Row(row), OutputFormat::Table) => live.row(&row),
            (RowEvent::Tombstone(row), OutputFormat::Table) => theme.paint(Label::Quiet, &live.tombstone(&row)),
            (RowEvent::Row(row), OutputFormat::Json) => render::json_row(&columns, &row) + "\n",
            (RowEvent::Tombstone(row), OutputFormat::Json) => {
                let text = render::json_row(&columns, &row);
                format!("{},\"@tombstone\":true}}\n", text.strip_suffix('}').unwrap_or(&text))
            }
            (RowEvent::Row(row) | RowEvent::Tombstone(row), OutputFormat::Csv) => {
                render::csv_row(&columns, &row) + "\n"
            }
        };
        if !text.is_empty() {
            count += 1;
            terminal.print(&text)?;
        }
    }
}

fn row_count(count: u64) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

#[cfg(test)]
mod tests;
