//! [`Terminal`]: where output goes, how wide it is and whether it may be coloured. The one place that prints.

use std::cell::RefCell;
use std::io::{self, IsTerminal, Write};
use std::rc::Rc;

use super::failure::Failure;
use super::render::diagnose;
use super::theme::Theme;
use crate::error::Result;

/// Width when there is no terminal to ask.
const DEFAULT_WIDTH: usize = 120;

/// Standard output and error, or what stands for them in a test.
pub struct Terminal {
    out: Box<dyn Write>,
    err: Box<dyn Write>,
    /// Whether people read stdout.
    pub out_is_terminal: bool,
    /// Whether people read stderr.
    pub err_is_terminal: bool,
    /// Styles of stdout.
    pub theme: Theme,
    fixed_width: Option<usize>,
}

impl Terminal {
    /// The process's own streams. `no_color` is the environment's `NO_COLOR`.
    pub fn standard(no_color: bool) -> Self {
        let out_is_terminal = io::stdout().is_terminal();
        Self {
            out: Box::new(io::stdout()),
            err: Box::new(io::stderr()),
            out_is_terminal,
            err_is_terminal: io::stderr().is_terminal(),
            theme: if out_is_terminal && !no_color { Theme::ansi() } else { Theme::plain() },
            fixed_width: None,
        }
    }

    /// No terminal: everything is kept, to be read back by a test.
    pub fn captured() -> (Self, Captured) {
        let captured = Captured::default();
        let terminal = Self {
            out: Box::new(captured.out.clone()),
            err: Box::new(captured.err.clone()),
            out_is_terminal: false,
            err_is_terminal: false,
            theme: Theme::plain(),
            fixed_width: Some(DEFAULT_WIDTH),
        };
        (terminal, captured)
    }

    /// Columns that a line may take; `None` when nobody's screen limits it.
    pub fn width(&self) -> Option<usize> {
        if !self.out_is_terminal {
            return None;
        }
        Some(self.size().0)
    }

    /// Columns and rows of the screen.
    pub fn size(&self) -> (usize, usize) {
        match (self.fixed_width, terminal_size::terminal_size()) {
            (Some(width), _) => (width, 40),
            (None, Some((width, height))) => (usize::from(width.0).max(20), usize::from(height.0).max(5)),
            (None, None) => (DEFAULT_WIDTH, 40),
        }
    }

    /// Writes to stdout as it is.
    pub fn print(&mut self, text: &str) -> Result<()> {
        let written = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
        Ok(reader_gone_ends(written)?)
    }

    /// Writes a line to stdout.
    pub fn line(&mut self, text: &str) -> Result<()> {
        self.print(&format!("{text}\n"))
    }

    /// Writes a line to stderr: what is said about the data and is not the data.
    pub fn note(&mut self, text: &str) -> Result<()> {
        let written = self.err.write_all(format!("{text}\n").as_bytes()).and_then(|()| self.err.flush());
        Ok(reader_gone_ends(written)?)
    }

    /// Tells an error on stderr, unless it was told already.
    pub fn fail(&mut self, failure: &Failure) -> Result<()> {
        if failure.is_told() {
            return Ok(());
        }
        let text = if self.err_is_terminal {
            diagnose::graphical(&failure.error, failure.script.as_ref(), self.size().0, self.theme.is_plain())
        } else {
            diagnose::plain(&failure.error, failure.script.as_ref())
        };
        self.note(text.trim_end())
    }
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").field("out_is_terminal", &self.out_is_terminal).finish_non_exhaustive()
    }
}

/// `eddyline sql … | head` is done when `head` is: quietly, as other tools do. Work in progress is crash-safe.
fn reader_gone_ends(written: io::Result<()>) -> io::Result<()> {
    match written {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

/// What a captured terminal was told.
#[derive(Debug, Default, Clone)]
pub struct Captured {
    out: Shared,
    err: Shared,
}

impl Captured {
    /// All of stdout so far.
    pub fn out(&self) -> String {
        String::from_utf8_lossy(&self.out.0.borrow()).into_owned()
    }

    /// All of stderr so far.
    pub fn err(&self) -> String {
        String::from_utf8_lossy(&self.err.0.borrow()).into_owned()
    }
}

#[derive(Debug, Default, Clone)]
struct Shared(Rc<RefCell<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
