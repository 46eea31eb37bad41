//! `eddyline test`: tests run in memory, without a broker.
//!
//! - `.sql` scripts with `INSERT INTO … VALUES` and `ASSERT …`: a file is one test, or several that begin with
//!   `--@test: name` each. `--@expected.error` and `--@expected.message` say that the test's last statement must be
//!   refused, and with which words.
//! - `.json` files of query-validation cases ([`validation`]), and tests of three files ([`Triple`]).
//!
//! **Invariant:** tests run in parallel and are told in the order of files and of cases within them.

mod assertion;
mod causes;
mod script;
pub mod validation;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use crate::error::{Error, Result};
use validation::{Json, ValidationCase};

pub use causes::Causes;
pub use script::{Case, cases_of, run_case};

/// Stack of a test's thread: statements of generated tests nest deeply.
const STACK_BYTES: usize = 32 << 20;

/// How one test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseReport {
    /// The file.
    pub file: PathBuf,
    /// The test's name; the file's when it is alone.
    pub name: String,
    /// The format that a query-validation case was run for.
    pub format: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
}

/// How a test ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not, and why.
    Failed(String),
    /// It is switched off.
    Skipped,
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

/// How many records of a topic go in together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Batches {
    /// Each alone.
    #[default]
    Single,
    /// So many.
    Fixed(usize),
    /// Between 1 and 8, by dice with this seed.
    Random(u64),
}

/// What to run and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Only tests whose name or file contains this.
    pub filter: Option<String>,
    /// How query-validation cases are fed.
    pub batches: Batches,
    /// A test of three files, as ksqlDB's test runner takes them.
    pub triple: Option<Triple>,
}

/// Statements, the records that go in and the records that must come out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Triple {
    /// The statements.
    pub sql: PathBuf,
    /// The records that go in: `{"inputs": […]}`; none when the statements insert them.
    pub inputs: Option<PathBuf>,
    /// The records that must come out: `{"outputs": […]}`.
    pub outputs: PathBuf,
}

impl Triple {
    fn job(&self) -> Result<Job> {
        let read = |path: &Path| {
            std::fs::read(path).map_err(|e| Error::not_found(format!("cannot read {}", path.display())).caused_by(e))
        };
        let json = |path: &Path| Json::parse(&read(path)?).map_err(|e| e.context(path.display()));
        let sql = String::from_utf8_lossy(&read(&self.sql)?).into_owned();
        let inputs = self.inputs.as_deref().map_or(Ok(Json::Null), json)?;
        let name = self.sql.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
        let case = validation::case_of_files(&name, &sql, &inputs, &json(&self.outputs)?)?;
        Ok(Job { file: self.sql.clone(), name, format: None, work: Work::Validation(Box::new(case)) })
    }
}

/// A test that waits to be run.
struct Job {
    file: PathBuf,
    name: String,
    format: Option<String>,
    work: Work,
}

enum Work {
    Script(Case, Arc<str>),
    Validation(Box<ValidationCase>),
}

/// Runs all tests below `paths`, in the order of their names.
pub fn run(paths: &[PathBuf], options: &Options, each: &mut dyn FnMut(&CaseReport)) -> Result<Summary> {
    let mut files = Vec::new();
    for path in paths {
        if !path.exists() {
            return Err(Error::not_found(format!("{} does not exist", path.display())));
        }
        collect(path, &mut files)?;
    }
    if files.is_empty() && options.triple.is_none() {
        return Err(Error::not_found("no .sql or .json file is there")
            .hint("Tests are .sql files with ASSERT statements, or .json files of query-validation cases."));
    }
    let mut jobs = Vec::new();
    if let Some(triple) = &options.triple {
        jobs.push(triple.job()?);
    }
    for file in files {
        jobs_of(&file, paths.contains(&file), &mut jobs)?;
    }
    jobs.retain(|job| {
        let wanted = |filter: &String| job.name.contains(filter) || job.file.to_string_lossy().contains(filter);
        options.filter.as_ref().is_none_or(wanted)
    });
    let mut summary = Summary::default();
    run_all(&jobs, options, &mut |report| {
        *match report.outcome {
            Outcome::Passed => &mut summary.passed,
            Outcome::Failed(_) => &mut summary.failed,
            Outcome::Skipped => &mut summary.skipped,
        } += 1;
        each(report);
    })?;
    Ok(summary)
}

/// Runs jobs on as many threads as there are processors, and tells their outcomes in order.
fn run_all(jobs: &[Job], options: &Options, each: &mut dyn FnMut(&CaseReport)) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(jobs.len().max(1));
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel::<(usize, CaseReport)>();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            let work = move || {
                while let Some((at, job)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, jobs.get(at)?)))
                {
                    let report = CaseReport {
                        file: job.file.clone(),
                        name: job.name.clone(),
                        format: job.format.clone(),
                        outcome: outcome_of(job, options),
                    };
                    if sender.send((at, report)).is_err() {
                        return;
                    }
                }
            };
            std::thread::Builder::new().name("test".to_owned()).stack_size(STACK_BYTES).spawn_scoped(scope, work)?;
        }
        drop(sender);
        let (mut early, mut told) = (BTreeMap::new(), 0);
        for (at, report) in receiver {
            early.insert(at, report);
            while let Some(report) = early.remove(&told) {
                each(&report);
                told += 1;
            }
        }
        Ok(())
    })
}

fn outcome_of(job: &Job, options: &Options) -> Outcome {
    // A broken invariant fails its test and no other.
    let outcome = catch_unwind(AssertUnwindSafe(|| match &job.work {
        Work::Script(case, text) => run_case(case, text).map_err(|error| describe(&error, text, &job.file)),
        Work::Validation(case) => {
            let mut dice = Dice::new(options.batches);
            validation::run_case(case, &mut || dice.next()).map_err(|error| {
                let hints: Vec<String> = error.hints().iter().map(|hint| format!("\n  hint: {hint}")).collect();
                format!("{error}{}", hints.concat())
            })
        }
    }));
    match (outcome, &job.work) {
        (_, Work::Validation(case)) if case.skipped => Outcome::Skipped,
        (Ok(Ok(())), _) => Outcome::Passed,
        (Ok(Err(why)), _) => Outcome::Failed(why),
        (Err(panic), _) => {
            let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            Outcome::Failed(format!("panicked: {}", said.unwrap_or("without a message")))
        }
    }
}

/// Sizes of batches.
struct Dice {
    batches: Batches,
    state: u64,
}

impl Dice {
    fn new(batches: Batches) -> Self {
        Self { batches, state: if let Batches::Random(seed) = batches { seed } else { 0 } }
    }

    fn next(&mut self) -> usize {
        match self.batches {
            Batches::Single => 1,
            Batches::Fixed(records) => records,
            Batches::Random(_) => {
                self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (self.state >> 61) as usize + 1
            }
        }
    }
}

/// The tests of a file. A `.json` file that holds other things is passed over unless it was `named`.
fn jobs_of(file: &Path, named: bool, jobs: &mut Vec<Job>) -> Result<()> {
    if file.extension().is_some_and(|extension| extension == "json") {
        let within = |e: Error| e.context(file.display());
        let document = Json::parse(&std::fs::read(file)?);
        let document = match document {
            Ok(document) if validation::is_validation_file(&document) => document,
            _ if !named => return Ok(()),
            Ok(_) => {
                return Err(within(Error::data("the file has no list of tests")).hint("Its field `tests` is the list."));
            }
            Err(error) => return Err(within(error)),
        };
        for case in validation::cases_of(&document).map_err(within)? {
            let (name, format) = (case.name.clone(), case.format.clone());
            jobs.push(Job { file: file.to_owned(), name, format, work: Work::Validation(Box::new(case)) });
        }
        return Ok(());
    }
    let text: Arc<str> = Arc::from(std::fs::read_to_string(file)?);
    for case in cases_of(file, &text) {
        let name = case.name.clone();
        jobs.push(Job { file: file.to_owned(), name, format: None, work: Work::Script(case, text.clone()) });
    }
    Ok(())
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_owned());
        return Ok(());
    }
    let mut entries = std::fs::read_dir(path)?.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|extension| extension == "sql" || extension == "json") {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_files_are_a_test() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("written");
            path
        };
        let sql = "CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON');\n\
                   CREATE STREAM d AS SELECT k, v + 1 AS w FROM s;";
        let triple = Triple {
            sql: write("q.sql", sql),
            inputs: Some(write(
                "in.json",
                r#"{"inputs": [{"topic": "s", "key": "a", "value": {"v": 1}, "timestamp": 3}]}"#,
            )),
            outputs: write(
                "out.json",
                r#"{"outputs": [{"topic": "D", "key": "a", "value": {"W": 2}, "timestamp": 3}]}"#,
            ),
        };
        let run = |triple: &Triple| {
            let options = Options { triple: Some(triple.clone()), ..Options::default() };
            let mut told = Vec::new();
            let summary = run(&[], &options, &mut |report| told.push(report.clone())).expect("runs");
            (summary.passed, summary.failed, told)
        };
        let (passed, failed, told) = run(&triple);
        assert_eq!((passed, failed, told[0].name.as_str()), (1, 0, "q"));
        let other = write("other.json", r#"{"outputs": [{"topic": "D", "key": "a", "value": {"W": 3}}]}"#);
        let (passed, failed, told) = run(&Triple { outputs: other, ..triple });
        assert_eq!((passed, failed), (0, 1));
        assert!(matches!(&told[0].outcome, Outcome::Failed(why) if why.contains("- \"a\" -> {\"W\":3}")), "{told:?}");
    }

    #[test]
    fn reports_come_in_order_and_files_of_other_things_are_passed_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let case = |i: usize| format!(r#"{{"name": "c{i}", "enabled": {}, "statements": []}}"#, i != 3);
        let cases: Vec<String> = (0..40).map(case).collect();
        std::fs::write(folder.path().join("a.json"), format!(r#"{{"tests": [{}]}}"#, cases.join(",")))
            .expect("written");
        std::fs::write(folder.path().join("b.json"), r#"{"inputs": []}"#).expect("written");
        let mut names = Vec::new();
        let paths = [folder.path().to_owned()];
        let summary = run(&paths, &Options::default(), &mut |report| names.push(report.name.clone())).expect("runs");
        assert_eq!(summary, Summary { passed: 39, failed: 0, skipped: 1 });
        assert_eq!(names, (0..40).map(|i| format!("c{i}")).collect::<Vec<_>>());
    }
}
