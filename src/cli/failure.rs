//! [`Failure`]: an error on its way out of the program, with the script it is about and the exit code it ends with.

use crate::error::{Error, ErrorKind};

/// A text that errors point into.
#[derive(Debug, Clone)]
pub struct Script {
    /// How messages call it: a file name, `-e`, `stdin`.
    pub name: String,
    /// All of it.
    pub text: String,
}

impl Script {
    /// A named text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: text.into() }
    }
}

/// An error on its way out of the program.
#[derive(Debug)]
pub struct Failure {
    /// What went wrong.
    pub error: Error,
    /// The text that its span counts in.
    pub script: Option<Script>,
    code: u8,
    told: bool,
}

impl Failure {
    /// Wrong command line or configuration.
    pub fn usage(error: Error) -> Self {
        Self { error, script: None, code: 2, told: false }
    }

    /// Something that was reported in full already: only the exit code is left.
    pub fn told(error: Error) -> Self {
        Self { told: true, ..Self::from(error) }
    }

    /// Ctrl-C ended a script.
    pub fn interrupted() -> Self {
        Self { error: Error::semantic("interrupted"), script: None, code: 130, told: true }
    }

    /// The same failure in this text; the innermost one given first wins.
    pub fn in_script(mut self, script: Script) -> Self {
        self.script.get_or_insert(script);
        self
    }

    /// Whether there is nothing left to tell.
    pub fn is_told(&self) -> bool {
        self.told
    }

    /// What the process ends with.
    pub fn exit_code(&self) -> u8 {
        self.code
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let code = match error.kind() {
            ErrorKind::Syntax
            | ErrorKind::Semantic
            | ErrorKind::NotFound
            | ErrorKind::Conflict
            | ErrorKind::Unsupported => 1,
            ErrorKind::Unavailable => 3,
            ErrorKind::Fenced => 4,
            ErrorKind::Data | ErrorKind::Storage => 5,
            ErrorKind::Internal => 70,
        };
        Self { error, script: None, code, told: false }
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Error::from(error).into()
    }
}
