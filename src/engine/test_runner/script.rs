//! Running one test: its statements in order, each record depth first through the queries.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::assertion::Assertions;
use crate::engine::config::{Properties, canonical, check};
use crate::engine::interpreter::{Interpreter, Run};
use crate::engine::offline::Offline;
use crate::error::{Error, ErrorKind, Result, Span};
use crate::sql::ast::{Statement, StatementKind};
use crate::sql::{parse_statement, split_statements, substitute};

/// A test within a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// The folder that RUN SCRIPT starts from.
    pub folder: PathBuf,
    /// Its part of the file.
    pub span: Span,
    /// Words that the error of the last statement must hold; `None` when nothing must be refused.
    pub expected_error: Option<String>,
    /// Whether the expected error is one of ksqlDB's classes: then its words are ksqlDB's, and any refusal will do.
    pub foreign_error: bool,
}

/// The tests of a file.
pub fn cases_of(file: &Path, text: &str) -> Vec<Case> {
    let folder = file.parent().map(Path::to_owned).unwrap_or_default();
    let alone = file.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let mut cases = Vec::new();
    let start_of = |at: usize| Span::new(at, text.len());
    let case = |name: String, at: usize| Case {
        name,
        folder: folder.clone(),
        span: start_of(at),
        expected_error: None,
        foreign_error: false,
    };
    let mut current = case(alone, 0);
    let mut named = false;
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let directive = line.trim().strip_prefix("--@").and_then(|rest| rest.split_once(':'));
        match directive.map(|(key, value)| (key.trim(), value.trim())) {
            Some(("test", name)) => {
                if named {
                    current.span.end = at;
                    cases.push(current.clone());
                }
                named = true;
                current = case(name.to_owned(), at);
            }
            Some(("expected.error", class)) => {
                current.foreign_error = class.contains('.');
                current.expected_error.get_or_insert_default();
            }
            Some(("expected.message", message)) => current.expected_error = Some(message.to_owned()),
            _ => {}
        }
        at += line.len();
    }
    cases.push(current);
    cases
}

/// Runs a test of the file with this text.
pub fn run_case(case: &Case, text: &str) -> Result<()> {
    let mut world = World::new(case);
    let outcome = world.script(&text[case.span.start..case.span.end], case.span.start);
    match (&case.expected_error, outcome) {
        (None, outcome) => outcome,
        (Some(_), Ok(())) => Err(Error::semantic("the test expects an error, and every statement was accepted")),
        (Some(words), Err(error)) => {
            if case.foreign_error && error.kind() != ErrorKind::Internal {
                return Ok(());
            }
            let said = format!("{error} {}", error.hints().join(" "));
            match said.to_lowercase().contains(&words.to_lowercase()) {
                true => Ok(()),
                false => Err(error.context(format!("expected an error with '{words}', got"))),
            }
        }
    }
}

struct World<'a> {
    case: &'a Case,
    interpreter: Interpreter,
    offline: Offline,
    properties: Properties,
    variables: BTreeMap<String, String>,
    assertions: Assertions,
}

impl<'a> World<'a> {
    fn new(case: &'a Case) -> Self {
        let offline = Offline::new();
        let mut interpreter = Interpreter { default_partitions: 1, ..Interpreter::default() };
        let log = crate::engine::core::log_source(offline.log_topic());
        // A fresh catalog takes any name.
        let _ = interpreter.catalog.add_source(log, true);
        Self {
            case,
            interpreter,
            offline,
            properties: Properties::default(),
            variables: BTreeMap::new(),
            assertions: Assertions::default(),
        }
    }

    fn script(&mut self, text: &str, offset: usize) -> Result<()> {
        for piece in split_statements(text) {
            let written = &text[piece.span.start..piece.span.end];
            let place = |error: Error| match error.span() {
                Some(_) => error.shifted(piece.span.start + offset),
                None => error.at(Span::new(piece.span.start + offset, piece.span.end + offset)),
            };
            let statement =
                substitute(written, &self.variables).and_then(|text| parse_statement(&text)).map_err(place)?;
            self.statement(&statement).map_err(place)?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> Result<()> {
        match &statement.kind {
            StatementKind::Set { key, value } => {
                check(key, value)?;
                self.properties.0.insert(canonical(key).to_owned(), value.clone());
            }
            StatementKind::Unset { key } => {
                self.properties.0.remove(canonical(key));
            }
            StatementKind::Define { name, value } => {
                self.variables.insert(name.text.clone(), value.clone());
            }
            StatementKind::Undefine { name } => {
                self.variables.remove(&name.text);
            }
            StatementKind::RunScript { file } => {
                let path = script_file(&self.case.folder, file);
                let text = std::fs::read_to_string(&path)
                    .map_err(|e| Error::not_found(format!("cannot read {}", path.display())).caused_by(e))?;
                let inside = |error: Error| {
                    let (line, column) = error.span().unwrap_or_default().line_column(&text);
                    error.without_span().context(format!("{}:{line}:{column}", path.display()))
                };
                self.script(&text, 0).map_err(inside)?;
            }
            StatementKind::AssertValues { source, columns, values } => {
                let source = self.interpreter.catalog.source(&source.text).map_err(|e| e.at(source.span))?.clone();
                self.assertions.values(&self.offline, &source, columns, values)?;
            }
            StatementKind::AssertNullValues { source, columns, values } => {
                let source = self.interpreter.catalog.source(&source.text).map_err(|e| e.at(source.span))?.clone();
                self.assertions.tombstone(&self.offline, &source, columns, values)?;
            }
            StatementKind::AssertNoMoreValues { source } => {
                let source = self.interpreter.catalog.source(&source.text).map_err(|e| e.at(source.span))?.clone();
                self.assertions.no_more(&self.offline, &source)?;
            }
            StatementKind::AssertSource(create) => {
                let actual = self.interpreter.catalog.source(&create.name.text).map_err(|e| e.at(create.name.span))?;
                let actual = actual.clone();
                let run = Run { properties: &self.properties, backend: &mut self.offline, replay: None, file: None };
                let declared = self
                    .interpreter
                    .with_env(&run, |env| crate::plan::source::declare(env, create, &statement.text))?;
                super::assertion::same_source(&declared.source, &actual)?;
            }
            kind @ (StatementKind::AssertTopic { .. } | StatementKind::AssertSchema { .. }) => {
                // Nothing comes while a test stands still.
                crate::engine::asserts::check(kind, &self.offline)?;
            }
            StatementKind::AdvanceTime { by_ms } => self.offline.advance_time(*by_ms)?,
            _ => {
                self.create_missing_topic(&statement.kind)?;
                let mut run =
                    Run { properties: &self.properties, backend: &mut self.offline, replay: None, file: None };
                // Tried on a copy first, as when it is run live: a refused statement changes nothing.
                let mut copy = self.interpreter.clone();
                if copy.run(statement, &mut run)?.is_none() {
                    return Err(Error::unsupported("this statement in a test"));
                }
                self.interpreter = copy;
                self.interpreter.next_id += 1;
            }
        }
        Ok(())
    }

    /// Tests need no topics of the outside world: what a CREATE reads is made.
    fn create_missing_topic(&mut self, statement: &StatementKind) -> Result<()> {
        let StatementKind::CreateSource(create) = statement else { return Ok(()) };
        let topic = create.properties.iter().find(|property| property.key.text == "KAFKA_TOPIC");
        let Some(crate::sql::ast::ExprKind::String(name)) = topic.map(|property| &property.value.kind) else {
            return Ok(());
        };
        let spec = crate::broker::TopicSpec {
            name: name.clone(),
            partitions: self.interpreter.default_partitions.max(1),
            replicas: None,
            config: Vec::new(),
        };
        // The statement itself makes the topic then.
        if create.properties.iter().any(|property| property.key.text == "PARTITIONS") {
            return Ok(());
        }
        match crate::engine::backend::Backend::create_topic(&mut self.offline, &spec) {
            Err(error) if error.kind() != ErrorKind::Conflict => Err(error),
            _ => Ok(()),
        }
    }
}

/// Where RUN SCRIPT finds a file: beside the test; one that begins with `/` and is not there, as if the test's folder
/// or one above it were the root, so that a project may be anywhere.
fn script_file(folder: &Path, file: &str) -> PathBuf {
    let path = folder.join(file);
    let rooted = file.strip_prefix('/').filter(|_| !path.exists());
    let found = rooted.and_then(|file| folder.ancestors().map(|at| at.join(file)).find(|path| path.exists()));
    found.unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(text: &str) -> Result<(), String> {
        let cases = cases_of(Path::new("inline.sql"), text);
        cases.iter().try_for_each(|case| run_case(case, text).map_err(|error| error.to_string()))
    }

    const STREAM: &str = "CREATE STREAM s (k VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 's', VALUE_FORMAT = 'JSON');\n";

    #[test]
    fn assertions_hold_and_fail() {
        let script = |wanted: i32| {
            format!(
                "{STREAM}CREATE STREAM d AS SELECT k, v * 2 AS w FROM s WHERE v > 1;\n\
                 INSERT INTO s (k, v) VALUES ('a', 1);\nINSERT INTO s (k, v, ROWTIME) VALUES ('b', 2, 7);\n\
                 ASSERT VALUES d (k, w, ROWTIME) VALUES ('b', {wanted}, 7);\nASSERT NO MORE VALUES d;"
            )
        };
        assert_eq!(outcome(&script(4)), Ok(()));
        let message = outcome(&script(5)).expect_err("4 is not 5");
        assert!(message.contains("W") && message.contains('4') && message.contains('5'), "{message}");
    }

    #[test]
    fn a_replaced_query_goes_on_with_its_state() {
        let script = format!(
            "{STREAM}CREATE TABLE d AS SELECT k, COUNT(*) AS n, SUM(v) AS t FROM s GROUP BY k;\n\
             INSERT INTO s (k, v) VALUES ('a', 1);\nASSERT VALUES d (k, n, t) VALUES ('a', 1, 1);\n\
             CREATE OR REPLACE TABLE d AS SELECT k, COUNT(*) AS n, SUM(v) AS t FROM s WHERE v > 1 GROUP BY k;\n\
             INSERT INTO s (k, v) VALUES ('a', 1);\nINSERT INTO s (k, v) VALUES ('a', 5);\n\
             ASSERT VALUES d (k, n, t) VALUES ('a', 2, 6);\nASSERT NO MORE VALUES d;\n\
             CREATE STREAM p AS SELECT k, v FROM s;\n\
             CREATE OR REPLACE STREAM p AS SELECT k, v, v + 1 AS w FROM s WHERE v < 3;\n\
             INSERT INTO s (k, v) VALUES ('b', 2);\nASSERT VALUES p (v) VALUES (1);\n\
             ASSERT VALUES p (v) VALUES (1);\nASSERT VALUES p (v) VALUES (5);\nASSERT VALUES p (v, w) VALUES (2, 3);"
        );
        assert_eq!(outcome(&script), Ok(()));
        let refused = |statement: &str, words: &str| {
            let script =
                script.replace("CREATE OR REPLACE STREAM p AS SELECT k, v, v + 1 AS w FROM s WHERE v < 3;", statement);
            let message = outcome(&script).expect_err(statement);
            assert!(message.contains(words), "{statement}: {message}");
        };
        refused("CREATE OR REPLACE STREAM p AS SELECT k, v + 1 AS w FROM s;", "column V would change");
        refused("CREATE OR REPLACE STREAM s AS SELECT k, v FROM p;", "was not made by a query");
        refused("CREATE OR REPLACE STREAM p AS SELECT k, v FROM s PARTITION BY v;", "its key would change");
    }

    #[test]
    fn expected_errors_are_checked() {
        let refused = "--@test: wrong column\n--@expected.error: X\n--@expected.message: NOPE\n";
        assert_eq!(outcome(&format!("{refused}{STREAM}CREATE STREAM d AS SELECT k, nope FROM s;")), Ok(()));
        assert!(outcome(&format!("{refused}{STREAM}CREATE STREAM d AS SELECT k, v FROM s;")).is_err());
    }
}
