//! `ASSERT TOPIC` and `ASSERT SCHEMA`: what a script may rely on before it goes on.
//!
//! **Invariant:** an assertion that does not hold (yet) is a conflict; every other error says that it cannot be told.

use std::time::Duration;

use super::backend::Backend;
use super::config::Properties;
use super::interpreter::Interpreter;
use crate::error::{Error, ErrorKind, Result};
use crate::sql::ast::{Name, Properties as With, StatementKind};
use crate::time::Clock;

/// How often a waiting assertion looks again.
const LOOK: Duration = Duration::from_millis(50);

/// Checks an assertion once; its message. `None` when the statement is none.
pub fn check(statement: &StatementKind, backend: &dyn Backend) -> Result<Option<String>> {
    match statement {
        StatementKind::AssertTopic { exists, topic, properties, .. } => {
            topic_is(backend, *exists, topic, properties).map(Some)
        }
        StatementKind::AssertSchema { exists, subject, id, .. } => {
            schema_is(backend, *exists, subject.as_deref(), *id).map(Some)
        }
        _ => Ok(None),
    }
}

/// Checks an assertion until it holds or its time is over.
pub fn wait(
    statement: &StatementKind,
    properties: &Properties,
    clock: &dyn Clock,
    check: &mut dyn FnMut() -> Result<Option<String>>,
) -> Result<Option<String>> {
    let (timeout_ms, property) = match statement {
        StatementKind::AssertTopic { timeout_ms, .. } => (timeout_ms, "assert.topic.default.timeout.ms"),
        StatementKind::AssertSchema { timeout_ms, .. } => (timeout_ms, "assert.schema.default.timeout.ms"),
        _ => return check(),
    };
    let timeout_ms = timeout_ms.unwrap_or_else(|| properties.number(property));
    let until = clock.monotonic_us().saturating_add(timeout_ms.saturating_mul(1000));
    loop {
        match check() {
            Err(error) if error.kind() == ErrorKind::Conflict && clock.monotonic_us() < until => clock.sleep(LOOK),
            done => return done,
        }
    }
}

fn failed(message: String) -> Error {
    Error::new(ErrorKind::Conflict, message)
}

fn topic_is(backend: &dyn Backend, exists: bool, topic: &Name, with: &With) -> Result<String> {
    let wish = Interpreter::topic_wish(with)?;
    let text = &topic.text;
    let message = match (backend.partitions(text)?, exists) {
        (None, true) => format!("topic {text} does not exist"),
        (Some(_), false) => format!("topic {text} exists"),
        (Some(there), true) if wish.partitions.is_some_and(|wanted| wanted != there) => {
            format!("topic {text} has {there} partitions")
        }
        _ => return Ok(format!("Topic {text} is as asserted")),
    };
    Err(failed(message).at(topic.span))
}

fn schema_is(backend: &dyn Backend, exists: bool, subject: Option<&str>, id: Option<i64>) -> Result<String> {
    let what = match (subject, id) {
        (Some(subject), Some(id)) => format!("schema {id} of subject {subject}"),
        (Some(subject), None) => format!("a schema of subject {subject}"),
        (None, Some(id)) => format!("schema {id}"),
        (None, None) => {
            return Err(Error::semantic("ASSERT SCHEMA without a subject and without an id")
                .hint("Write ASSERT SCHEMA SUBJECT 'topic-value', or ASSERT SCHEMA ID 1, or both."));
        }
    };
    match (backend.formats().has_schema(subject, id)?, exists) {
        (true, true) => Ok(format!("There is {what}")),
        (false, false) => Ok(format!("There is not {what}")),
        (false, true) => Err(failed(format!("there is not {what}"))),
        (true, false) => Err(failed(format!("there is {what}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::offline::Offline;
    use crate::sql::parse_statement;
    use crate::time::ManualClock;

    #[test]
    fn assertions_wait_until_their_time_is_over() {
        let offline = Offline::new();
        let clock = ManualClock::new(0);
        let mut looks = 0;
        let mut outcome = |sql: &str| {
            looks = 0;
            let statement = parse_statement(sql).expect("an assertion").kind;
            let found = wait(&statement, &Properties::default(), clock.as_ref(), &mut || {
                looks += 1;
                check(&statement, &offline)
            });
            (found.is_ok(), looks)
        };
        assert_eq!(outcome("ASSERT NOT EXISTS TOPIC t;"), (true, 1));
        assert_eq!(outcome("ASSERT TOPIC t TIMEOUT 100 MILLISECONDS;"), (false, 3));
        assert_eq!(outcome("ASSERT TOPIC t;"), (false, 21));
        assert_eq!(outcome("ASSERT NOT EXISTS SCHEMA SUBJECT 't-value';"), (true, 1));
        assert_eq!(outcome("ASSERT SCHEMA SUBJECT 't-value' ID 7 TIMEOUT 50 MILLISECONDS;"), (false, 2));
        assert_eq!(outcome("ASSERT SCHEMA;"), (false, 1));
    }
}
