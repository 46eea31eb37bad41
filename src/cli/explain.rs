//! `eddyline explain`: what the queries of a file would run.

use super::args::{ExplainArgs, OutputFormat};
use super::config::Settings;
use super::datagen::produce::ensure_topic;
use super::failure::{Failure, Script};
use super::open;
use super::shell::Shell;
use super::signals::Signals;
use super::terminal::Terminal;
use super::theme::Label;
use crate::broker::Broker;
use crate::error::{Error, Result};
use crate::sql::ast::{ExprKind, Statement, StatementKind};
use crate::sql::{self, Class};

/// Runs `eddyline explain`.
pub fn run(settings: &Settings, args: &ExplainArgs, terminal: &mut Terminal) -> Result<(), Failure> {
    let host = open::scratch(settings)?;
    let theme = terminal.theme;
    let mut shell = Shell::new(host.session(), terminal, Signals::default(), OutputFormat::Table);
    shell.quiet = true;
    for path in &args.files {
        let text = std::fs::read_to_string(path)
            .map_err(|cause| Error::not_found(format!("cannot read {}", path.display())).caused_by(cause))?;
        let script = Script::new(path.display().to_string(), text);
        for piece in sql::split_statements(&script.text) {
            let range = piece.span.start..piece.span.end;
            let statement = &script.text[range.clone()];
            declare_topic(host.broker().as_ref(), statement)?;
            if is_query(statement) {
                let heading = theme.paint(Label::Heading, statement);
                shell.terminal().line(&format!("{heading}\n"))?;
                shell.explain(statement, range.start).map_err(|failure| failure.in_script(script.clone()))?;
                shell.terminal().line("")?;
            }
            // What it creates, later statements may read; a query alone would only wait for rows.
            if !first_word(statement).eq_ignore_ascii_case("SELECT") {
                let one = Script::new(script.name.clone(), script.text[..range.end].to_owned());
                shell.run_from(&one, range.start)?;
            }
        }
    }
    drop(shell);
    host.shutdown();
    Ok(())
}

/// Makes the topic of a declared source: nothing outside is asked, so it is taken to be there.
fn declare_topic(broker: &dyn Broker, statement: &str) -> Result<()> {
    // What cannot be read is left to the engine to complain about.
    let Ok(Statement { kind: StatementKind::CreateSource(source), .. }) = sql::parse_statement(statement) else {
        return Ok(());
    };
    let property = |name: &str| source.properties.iter().find(|property| property.key.text == name);
    if let Some(ExprKind::String(topic)) = property("KAFKA_TOPIC").map(|property| &property.value.kind) {
        ensure_topic(broker, topic, 1)?;
    }
    Ok(())
}

fn first_word(statement: &str) -> &str {
    statement.split(|c: char| !c.is_alphanumeric()).next().unwrap_or("")
}

/// Whether the statement runs something that has a topology.
fn is_query(statement: &str) -> bool {
    let words: Vec<_> = sql::lexer(statement)
        .into_iter()
        .filter(|(_, class)| *class == Class::Keyword)
        .map(|(span, _)| statement[span.start..span.end].to_uppercase())
        .collect();
    match words.first().map(String::as_str) {
        Some("SELECT") => true,
        Some("CREATE" | "INSERT") => words.iter().any(|word| word == "SELECT"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::memory::MemoryBroker;

    #[test]
    fn declared_topics_are_taken_to_be_there() {
        let broker = MemoryBroker::new();
        declare_topic(&broker, "CREATE STREAM a (x INT) WITH (KAFKA_TOPIC = 't', VALUE_FORMAT = 'JSON')").unwrap();
        declare_topic(&broker, "CREATE STREAM b AS SELECT * FROM a").unwrap();
        let names: Vec<_> = broker.topics().unwrap().into_iter().map(|topic| topic.name).collect();
        assert_eq!(names, ["t"]);
    }

    #[test]
    fn queries_are_told_from_declarations() {
        for text in ["SELECT 1;", "create stream a as select * from b;", "INSERT INTO a SELECT * FROM b"] {
            assert!(is_query(text), "{text}");
        }
        for text in ["CREATE STREAM a (x INT);", "INSERT INTO a VALUES ('SELECT');", "SHOW STREAMS"] {
            assert!(!is_query(text), "{text}");
        }
    }
}
