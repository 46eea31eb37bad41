//! `eddyline test`: SQL scripts with `INSERT INTO … VALUES` and `ASSERT …`, run in memory and in one thread.
//!
//! A file is one test, or several that begin with `--@test: name` each. `--@expected.error` and `--@expected.message`
//! say that the test's last statement must be refused, and with which words.

mod assertion;
mod script;

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

pub use script::{Case, cases_of, run_case};

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The file.
    pub file: PathBuf,
    /// The test's name; the file's when it is alone.
    pub name: String,
    /// Why it failed, with the place; `None` when it passed.
    pub failure: Option<String>,
}

/// How all tests ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Tests that hold.
    pub passed: usize,
    /// Tests that do not.
    pub failed: usize,
    /// Tests switched off.
    pub skipped: usize,
}

/// What to run and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only tests whose name or file contains this.
    pub filter: Option<String>,
}

/// Runs all `.sql` tests below `paths`, in the order of their names.
pub fn run(paths: &[PathBuf], options: &Options, each: &mut dyn FnMut(&CaseReport)) -> Result<Summary> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(Error::not_found(format!("{} does not exist", path.display())));
        }
        collect(path, &mut files)?;
    }
    if files.is_empty() {
        return Err(Error::not_found("no .sql file is there").hint("Tests are .sql files with ASSERT statements."));
    }
    let mut summary = Summary::default();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        for case in cases_of(&file, &text) {
            let wanted = |filter: &String| case.name.contains(filter) || file.to_string_lossy().contains(filter);
            if !options.filter.as_ref().is_none_or(wanted) {
                continue;
            }
            let failure = run_case(&case, &text).err().map(|error| describe(&error, &text, &file));
            let outcome = if failure.is_none() { &mut summary.passed } else { &mut summary.failed };
            *outcome += 1;
            each(&CaseReport { file: file.clone(), name: case.name.clone(), failure });
        }
    }
    Ok(summary)
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "sql") {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn describe(error: &Error, text: &str, file: &Path) -> String {
    let place = error.span().map_or(String::new(), |span| {
        let (line, column) = span.line_column(text);
        format!(":{line}:{column}")
    });
    let mut message = format!("{}{place}: {error}", file.display());
    for hint in error.hints() {
        message.push_str(&format!("\n  hint: {hint}"));
    }
    message
}
