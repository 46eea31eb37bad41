//! [`LocalSession`]: a session on an engine of this process.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::backend::Backend;
use super::config::{Properties, canonical};
use super::core::Engine;
use super::interpreter::{QueryInfo, Run};
use super::push::{self, PushQuery};
use super::session::{Outcome, QueryStatus, Session};
use super::{print, pull, show};
use crate::broker::Start;
use crate::error::{Error, Result};
use crate::expr::functions;
use crate::plan::explain::explain;
use crate::runtime::Blueprint;
use crate::sql::ast::{Query, Show, Statement, StatementKind};
use crate::sql::{parse_statement, split_statements, substitute};
use crate::types::{Namespace, SourceKind};

/// Scripts that run scripts stop here.
const SCRIPT_DEPTH_MAX: usize = 16;

/// A session on an engine of this process.
pub struct LocalSession {
    engine: Arc<Engine>,
    properties: Properties,
    variables: BTreeMap<String, String>,
    depth: usize,
}

impl LocalSession {
    /// A session with these properties and no variables.
    pub fn new(engine: Arc<Engine>, properties: Properties) -> Self {
        Self { engine, properties, variables: BTreeMap::new(), depth: 0 }
    }

    fn statement(&mut self, statement: &Statement, each: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()> {
        match &statement.kind {
            StatementKind::Set { key, value } => {
                super::config::check(key, value)?;
                self.properties.0.insert(canonical(key).to_owned(), value.clone());
                each(Outcome::Message(format!("{} is now '{value}'", canonical(key))))
            }
            StatementKind::Unset { key } => {
                self.properties.0.remove(canonical(key));
                each(Outcome::Message(format!(
                    "{} is back to '{}'",
                    canonical(key),
                    self.properties.get(canonical(key))
                )))
            }
            StatementKind::AlterSystem { .. } => Err(Error::unsupported("ALTER SYSTEM")
                .hint("Set properties in the config file, or for this session with SET.")),
            StatementKind::Define { name, value } => {
                self.variables.insert(name.text.clone(), value.clone());
                Ok(())
            }
            StatementKind::Undefine { name } => {
                if self.variables.remove(&name.text).is_none() {
                    return Err(Error::not_found(format!("no variable {}", name.text)).at(name.span));
                }
                Ok(())
            }
            StatementKind::RunScript { file } => self.run_script(file, each),
            StatementKind::Query(query) => each(self.query(query, statement)?),
            StatementKind::Print { topic, from_beginning, interval, limit } => {
                let broker = self.engine.lock().live.broker().clone();
                let print = print::Print {
                    topic: topic.text.clone(),
                    from_beginning: *from_beginning,
                    interval: interval.unwrap_or(1),
                    limit: *limit,
                };
                each(Outcome::Rows(print::start(print, broker.as_ref()).map_err(|e| e.at(topic.span))?))
            }
            StatementKind::Show(what) => each(self.show(*what)?),
            StatementKind::Describe { name, extended } => {
                let inner = self.engine.lock();
                let source = inner.interpreter.catalog.source(&name.text).map_err(|e| e.at(name.span))?;
                each(if *extended { self.extended(&inner, source) } else { Outcome::Table(show::describe(source)) })
            }
            StatementKind::DescribeAll { tables, extended } => {
                let kind = if *tables { SourceKind::Table } else { SourceKind::Stream };
                let inner = self.engine.lock();
                for source in inner.interpreter.catalog.sources().filter(|source| source.kind == kind) {
                    each(if *extended {
                        self.extended(&inner, source)
                    } else {
                        Outcome::Table(show::describe(source))
                    })?;
                }
                Ok(())
            }
            StatementKind::DescribeFunction { name } => {
                each(Outcome::Text(show::function(&name.text).map_err(|e| e.at(name.span))?))
            }
            StatementKind::Explain(inner) => each(Outcome::Text(self.explain(inner)?)),
            StatementKind::ExplainQuery { id } => {
                let inner = self.engine.lock();
                let id = inner.interpreter.query_id(id)?;
                let info = &inner.interpreter.queries[&id];
                let status = inner.statuses().into_iter().find(|status| status.id == id);
                let runtime = status.map_or_else(String::new, |status| show::queries::runtime(&status));
                each(Outcome::Text(format!("{}\n\n{id}\n{runtime}\n{}", info.sql.trim(), explain(&info.topology))))
            }
            StatementKind::AssertTopic { .. } | StatementKind::AssertSchema { .. } => {
                let clock = self.engine.lock().live.clock().clone();
                let look = &mut || super::asserts::check(&statement.kind, &self.engine.lock().live);
                let message = super::asserts::wait(&statement.kind, &self.properties, clock.as_ref(), look)?;
                each(Outcome::Message(message.unwrap_or_default()))
            }
            StatementKind::AssertValues { .. }
            | StatementKind::AssertNullValues { .. }
            | StatementKind::AssertSource(_)
            | StatementKind::AssertNoMoreValues { .. }
            | StatementKind::AdvanceTime { .. } => {
                Err(Error::unsupported("test statements outside of tests").hint("Run the file with `eddyline test`."))
            }
            _ => match self.engine.lock().change(statement, &self.properties, None)? {
                Some(done) if done.message.is_empty() => Ok(()),
                Some(done) => each(Outcome::Message(done.message)),
                None => Err(Error::unsupported("this statement")),
            },
        }
    }

    fn extended(&self, inner: &super::core::Inner, source: &crate::catalog::Source) -> Outcome {
        let ids = |test: &dyn Fn(&QueryInfo) -> bool| {
            inner.interpreter.queries.values().filter(|q| test(q)).map(|q| q.id.clone()).collect::<Vec<_>>()
        };
        let readers = ids(&|query| query.sources.contains(&source.name));
        let writers = ids(&|query| query.sink == source.name);
        let partitions = inner.live.partitions(&source.topic).ok().flatten();
        Outcome::Text(show::describe_extended(source, partitions, &readers, &writers, &inner.statuses()))
    }

    fn show(&self, what: Show) -> Result<Outcome> {
        let inner = self.engine.lock();
        let catalog = &inner.interpreter.catalog;
        Ok(Outcome::Table(match what {
            Show::Streams { .. } => show::sources(catalog, SourceKind::Stream),
            Show::Tables { .. } => show::sources(catalog, SourceKind::Table),
            Show::Queries { extended } => show::queries::table(&inner.statuses(), extended),
            Show::Topics { all, .. } => show::topics(&inner.live.broker().topics()?, all),
            Show::Functions => show::all_functions(),
            Show::Properties => show::properties(&self.properties),
            Show::Types => show::types(catalog),
            Show::Variables => show::variables(&self.variables),
        }))
    }

    fn explain(&self, statement: &Statement) -> Result<String> {
        let mut inner = self.engine.lock();
        let inner = &mut *inner;
        let mut run = Run { properties: &self.properties, backend: &mut inner.live, replay: None, file: None };
        let topology = match &statement.kind {
            StatementKind::Query(query) if query.emit.is_none() => {
                return pull::describe(&inner.interpreter.catalog, query);
            }
            StatementKind::Query(query) => inner.interpreter.plan_push(query, &statement.text, &run)?.topology,
            _ => {
                let mut rehearsed = inner.interpreter.clone();
                let mut stage = super::backend::Rehearsal::new(&inner.live);
                run = Run { properties: &self.properties, backend: &mut stage, replay: None, file: None };
                match rehearsed.run(statement, &mut run)?.and_then(|done| done.started) {
                    Some(started) => started.topology,
                    None => return Err(Error::semantic("only queries can be explained").at(statement.span)),
                }
            }
        };
        Ok(explain(&topology))
    }

    fn query(&self, query: &Query, statement: &Statement) -> Result<Outcome> {
        if query.emit.is_none() {
            return pull::run(&self.engine, query, statement, &self.properties).map(Outcome::Table);
        }
        let mut inner = self.engine.lock();
        let inner = &mut *inner;
        let run = Run { properties: &self.properties, backend: &mut inner.live, replay: None, file: None };
        let planned = inner.interpreter.plan_push(query, &statement.text, &run)?;
        let partitions = |topic: &str| inner.live.partitions(topic).ok().flatten();
        let blueprint =
            Blueprint::new("push-query", planned.topology, "push", &partitions)?.with_formats(inner.live.formats());
        let batch_columns = blueprint.topology.schema.batch_columns();
        let position = |name: &str| batch_columns.iter().position(|column| column.name == name).unwrap_or(0);
        let columns = planned.output.iter().map(|c| (c.name.clone(), c.ty.clone(), position(&c.name))).collect();
        let keys = batch_columns.iter().enumerate().filter(|(_, c)| c.namespace == Namespace::Key).map(|(i, _)| i);
        let key_positions = keys.collect();
        // > KSQL: a push query shows what comes from now on unless told otherwise.
        let start = if self.properties.is_set("auto.offset.reset") { self.properties.start() } else { Start::Latest };
        let push = PushQuery {
            blueprint,
            columns,
            key_positions,
            limit: query.limit,
            start,
            idle_timeout_ms: self.properties.number("idle.timeout.ms"),
        };
        Ok(Outcome::Rows(push::start(push, inner.live.broker().clone(), inner.live.clock().clone())?))
    }

    fn run_script(&mut self, file: &str, each: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()> {
        if self.depth == SCRIPT_DEPTH_MAX {
            return Err(Error::semantic(format!("scripts run one another {SCRIPT_DEPTH_MAX} deep")));
        }
        let text = std::fs::read_to_string(file)
            .map_err(|e| Error::not_found(format!("cannot read the script {file}")).caused_by(e))?;
        self.depth += 1;
        let result = self.execute(&text, each).map_err(|error| {
            let place = error.span().map_or(String::new(), |span| {
                let (line, column) = span.line_column(&text);
                format!(":{line}:{column}")
            });
            error.without_span().context(format!("{file}{place}"))
        });
        self.depth -= 1;
        result
    }
}

impl Session for LocalSession {
    fn execute(&mut self, script: &str, each: &mut dyn FnMut(Outcome) -> Result<()>) -> Result<()> {
        for piece in split_statements(script) {
            let written = &script[piece.span.start..piece.span.end];
            let at_piece = |error: Error| error.shifted(piece.span.start);
            let text = substitute(written, &self.variables).map_err(at_piece)?;
            // With variables filled in, places in the text are no longer places in the script.
            let place = |error: Error| match text == written {
                true => error.shifted(piece.span.start),
                false => error.without_span().at(piece.span),
            };
            let statement = parse_statement(&text).map_err(place)?;
            self.statement(&statement, each).map_err(place)?;
        }
        Ok(())
    }

    fn names(&self) -> Vec<String> {
        let inner = self.engine.lock();
        let mut names: Vec<String> = functions::all().into_iter().map(|doc| doc.name).collect();
        for source in inner.interpreter.catalog.sources() {
            names.push(source.name.clone());
            names.push(source.topic.clone());
            names.extend(source.schema.columns.iter().map(|column| column.name.clone()));
        }
        names.extend(inner.interpreter.queries.keys().cloned());
        names.sort();
        names.dedup();
        names
    }

    fn queries(&self) -> Vec<QueryStatus> {
        self.engine.queries()
    }
}
