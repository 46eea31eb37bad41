//! [`Engine`]: the interpreter on a broker, with its command log; sessions talk to it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use super::backend::{Backend, Rehearsal};
use super::board::{Board, Held, Watched};
use super::command_log::{Command, CommandLog};
use super::config::{EngineConfig, Properties, canonical};
use super::deploy::{self, Deployment, QueryFile};
use super::interpreter::{Done, Interpreter, QueryInfo, Run};
use super::live::{Live, Mode};
use super::local_session::LocalSession;
use super::session::{QueryStatus, Session};
use crate::broker::Broker;
use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result};
use crate::runtime::processing_log;
use crate::sql::ast::{Statement, StatementKind};
use crate::sql::{parse_statement, split_statements, substitute};
use crate::time::Clock;
use crate::types::{Column, FormatSpec, SourceKind};

/// How often this process looks what others did.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(500);

/// Statements and queries on a broker.
pub struct Engine {
    config: EngineConfig,
    inner: Mutex<Inner>,
    board: Board,
    /// Dropped to end the thread that follows the command log.
    follower: Mutex<Option<Sender<()>>>,
}

/// What one statement at a time may touch.
pub struct Inner {
    /// Names and queries.
    pub interpreter: Interpreter,
    /// The broker and its workers.
    pub live: Live,
    config: EngineConfig,
    log: CommandLog,
    deployed: BTreeMap<String, String>,
    stopped: bool,
    /// Something was done that may not stand in the log: the log has to be done again.
    diverged: bool,
}

impl Engine {
    /// Opens the command log and does everything in it again: queries resume where they stood.
    pub fn start(config: EngineConfig, broker: Arc<dyn Broker>, clock: Arc<dyn Clock>) -> Result<Arc<Self>> {
        for (key, value) in &config.properties {
            super::config::check(key, value)?;
        }
        let live = Live::new(config.clone(), broker.clone(), clock.clone()).with_formats(config.formats()?);
        live.ensure_topic(&processing_log::topic(&config.service_id), 1, Vec::new())?;
        let log = open_log(&config, &live)?;
        let interpreter = Interpreter::default();
        let deployed = BTreeMap::new();
        let mut inner =
            Inner { interpreter, live, config: config.clone(), log, deployed, stopped: false, diverged: false };
        inner.recall()?;
        let (follower, end) = channel();
        let board = Board::new(clock, inner.watched());
        let follower = Mutex::new(Some(follower));
        let engine = Arc::new(Self { config, inner: Mutex::new(inner), board, follower });
        let weak = Arc::downgrade(&engine);
        std::thread::Builder::new().name("command-log".to_owned()).spawn(move || follow(&weak, &end))?;
        Ok(engine)
    }

    /// A new conversation.
    pub fn session(self: &Arc<Self>) -> Box<dyn Session> {
        Box::new(LocalSession::new(self.clone(), self.base_properties()))
    }

    /// The name of the deployment.
    pub fn service_id(&self) -> &str {
        &self.config.service_id
    }

    /// Properties of a session that set none.
    pub fn base_properties(&self) -> Properties {
        let canonical = |(key, value): (&String, &String)| (canonical(key).to_owned(), value.clone());
        Properties(self.config.properties.iter().map(canonical).collect())
    }

    /// The engine, for one statement.
    pub fn lock(&self) -> Held<'_> {
        self.board.hold(&self.inner)
    }

    /// Deploys the query files of a folder as persistent jobs. `check_only` tries everything and changes nothing;
    /// `replace` ends a changed file's queries, drops what they fill, and runs the new text.
    pub fn deploy(&self, path: &Path, replace: bool, check_only: bool) -> Result<Deployment> {
        let files = deploy::read(path)?.into_iter().map(|file| file.with_variables(&self.config.variables));
        let files = deploy::in_dependency_order(files.collect())?;
        let mut inner = self.lock();
        if !check_only {
            inner.take_turn()?;
        }
        inner.live.gather();
        let deployed = self.deploy_files(&mut inner, files, replace, check_only);
        inner.live.begin();
        inner.end_turn(deployed)
    }

    fn deploy_files(
        &self,
        inner: &mut Inner,
        files: Vec<QueryFile>,
        replace: bool,
        check_only: bool,
    ) -> Result<Deployment> {
        let mut deployment = Deployment::default();
        let (mut new, mut unchanged) = (Vec::new(), Vec::new());
        for file in files {
            match inner.deployed.get(&file.name) {
                None => new.push(file),
                Some(old) if *old == file.text => unchanged.push(file),
                Some(old) => {
                    deployment.changed.push((file.name.clone(), deploy::difference(old, &file.text)));
                    if replace {
                        new.push(file);
                    }
                }
            }
        }
        let there: Vec<&str> = new.iter().chain(&unchanged).map(|file| file.name.as_str()).collect();
        let changed = |name: &String| deployment.changed.iter().any(|(file, _)| file == name);
        deployment.removed =
            inner.deployed.keys().filter(|n| !there.contains(&n.as_str()) && !changed(n)).cloned().collect();
        for file in &unchanged {
            deployment.resumed.extend(inner.queries_of(&file.name));
        }
        let base = self.base_properties();
        let would_start = inner.rehearse(&new, &base)?;
        if check_only {
            deployment.started = would_start;
            return Ok(deployment);
        }
        for file in new {
            if inner.deployed.contains_key(&file.name) {
                inner.remove(&file.name)?;
            }
            let before: Vec<String> = inner.interpreter.queries.keys().cloned().collect();
            inner.deploy_file(&file, &base)?;
            let started = inner.interpreter.queries.keys().filter(|id| !before.contains(id));
            deployment.started.extend(started.cloned());
        }
        Ok(deployment)
    }

    /// Commits and stops every query; the next start resumes them.
    pub fn shutdown(&self) {
        self.follower.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut inner = self.lock();
        inner.stopped = true;
        inner.live.shutdown();
    }

    /// What every persistent query is doing; does not wait for statements.
    pub fn queries(&self) -> Vec<QueryStatus> {
        self.board.statuses()
    }
}

impl Inner {
    /// Runs a statement that changes something, and writes it down; `None` when it is none of those.
    pub fn change(
        &mut self,
        statement: &Statement,
        properties: &Properties,
        file: Option<&str>,
    ) -> Result<Option<Done>> {
        // Everything is tried first: a statement that cannot work leaves no topic behind.
        let Some(rehearsed) = self.rehearse_statement(statement, properties, file)? else { return Ok(None) };
        if !rehearsed.changed || self.log.is_locked() {
            return self.run_and_write(statement, properties, file);
        }
        let others_changed = self.take_turn()?;
        let done = match others_changed {
            false => self.run_and_write(statement, properties, file),
            true => self
                .rehearse_statement(statement, properties, file)
                .and_then(|_| self.run_and_write(statement, properties, file)),
        };
        self.end_turn(done)
    }

    fn rehearse_statement(
        &self,
        statement: &Statement,
        properties: &Properties,
        file: Option<&str>,
    ) -> Result<Option<Done>> {
        let mut stage = Rehearsal::new(&self.live);
        let mut run = Run { properties, backend: &mut stage, replay: None, file };
        self.interpreter.clone().run(statement, &mut run)
    }

    fn run_and_write(
        &mut self,
        statement: &Statement,
        properties: &Properties,
        file: Option<&str>,
    ) -> Result<Option<Done>> {
        let mut run = Run { properties, backend: &mut self.live, replay: None, file };
        let done = self.interpreter.run(statement, &mut run)?;
        if let Some(done) = &done
            && done.changed
        {
            if matches!(statement.kind, StatementKind::Terminate { .. }) {
                for query_id in done.ended.clone() {
                    self.write(&Command::Terminate { query_id })?;
                }
            } else {
                self.write(&Command::Statement {
                    sql: statement.text.clone(),
                    properties: properties.0.clone(),
                    query: done.started.clone(),
                    inferred: done.inferred.clone(),
                    file: file.map(str::to_owned),
                })?;
            }
        }
        Ok(done)
    }

    /// Waits for this process's turn to change something, and does what others did before it. Returns whether they did
    /// anything.
    fn take_turn(&mut self) -> Result<bool> {
        self.converge()?;
        let commands = self.log.lock()?;
        let others_changed = !commands.is_empty();
        self.follow(commands);
        Ok(others_changed)
    }

    fn end_turn<T>(&mut self, result: Result<T>) -> Result<T> {
        self.log.unlock();
        if let Err(error) = self.converge() {
            tracing::warn!(%error, "the command log cannot be read again at the moment");
        }
        result
    }

    /// Writes down what was done. If that fails it may count for nobody.
    fn write(&mut self, command: &Command) -> Result<()> {
        self.diverged = true;
        self.log.append(command)?;
        self.diverged = false;
        self.interpreter.next_id = self.log.next();
        self.live.clean_up();
        Ok(())
    }

    /// Does the whole log again, if this process did what may not stand in it.
    fn converge(&mut self) -> Result<()> {
        if self.diverged {
            let log = open_log(&self.config, &self.live)?;
            self.live.shutdown();
            self.log = log;
            self.recall()?;
            self.diverged = false;
        }
        Ok(())
    }

    /// Does what the command log says from its beginning: queries resume where they stood.
    fn recall(&mut self) -> Result<()> {
        self.interpreter = Interpreter { default_partitions: self.config.default_partitions, ..Interpreter::default() };
        self.deployed.clear();
        self.interpreter.catalog.add_source(log_source(&processing_log::topic(&self.config.service_id)), false)?;
        for command in self.log.read()? {
            self.apply(command, Mode::Recall);
        }
        self.interpreter.next_id = self.log.next();
        self.live.start_recalled();
        Ok(())
    }

    /// Does what other processes did.
    fn follow(&mut self, commands: Vec<Command>) {
        for command in commands {
            self.apply(command, Mode::Follow);
        }
        self.interpreter.next_id = self.log.next();
    }

    fn apply(&mut self, command: Command, mode: fn(Vec<Column>) -> Mode) {
        match command {
            Command::Statement { sql, properties, query, inferred, file } => {
                self.live.mode = mode(inferred);
                let properties = Properties(properties);
                let file = file.as_deref();
                let mut run = Run { properties: &properties, backend: &mut self.live, replay: query.as_ref(), file };
                let ran = parse_statement(&sql).and_then(|statement| self.interpreter.run(&statement, &mut run));
                if let Err(error) = ran {
                    tracing::error!(%error, sql, "a statement of the command log failed");
                }
            }
            Command::Terminate { query_id } => {
                self.live.mode = mode(Vec::new());
                if let Err(error) = self.live.stop(&query_id) {
                    tracing::error!(%error, query = query_id, "a query could not be ended");
                }
                self.interpreter.queries.shift_remove(&query_id);
            }
            Command::Deployed { file, text } => {
                self.deployed.insert(file, text);
            }
            Command::Removed { file } => {
                self.deployed.remove(&file);
            }
            Command::Lock { .. } | Command::Unlock { .. } | Command::Break { .. } => {}
        }
        if let Mode::Follow(_) = self.live.mode {
            self.live.mode = Mode::Act;
        }
    }

    fn queries_of(&self, file: &str) -> Vec<String> {
        let queries = self.interpreter.queries.values();
        queries.filter(|query| query.file.as_deref() == Some(file)).map(|query| query.id.clone()).collect()
    }

    /// Tries files without touching anything; what their queries would fill.
    fn rehearse(&self, files: &[QueryFile], base: &Properties) -> Result<Vec<String>> {
        let mut interpreter = self.interpreter.clone();
        for file in files {
            // What a replaced file made is gone by then.
            let own: Vec<String> = self.queries_of(&file.name);
            let sinks: Vec<String> =
                own.iter().filter_map(|id| interpreter.queries.get(id)).map(|query| query.sink.clone()).collect();
            interpreter.queries.retain(|id, _| !own.contains(id));
            sinks.iter().for_each(|sink| interpreter.catalog.remove_source(sink));
        }
        let before: Vec<String> = interpreter.queries.keys().cloned().collect();
        let mut stage = Rehearsal::new(&self.live);
        for file in files {
            each_statement(file, base, &mut |statement, properties| {
                let mut run = Run { properties, backend: &mut stage, replay: None, file: Some(&file.name) };
                interpreter.next_id += 1;
                interpreter.run(statement, &mut run).map(|done| done.is_some())
            })?;
        }
        let new = interpreter.queries.into_iter().filter(|(id, _)| !before.contains(id));
        Ok(new.map(|(_, query)| query.sink).collect())
    }

    fn deploy_file(&mut self, file: &QueryFile, base: &Properties) -> Result<()> {
        each_statement(file, base, &mut |statement, properties| {
            self.change(statement, properties, Some(&file.name)).map(|done| done.is_some())
        })?;
        self.write(&Command::Deployed { file: file.name.clone(), text: file.text.clone() })?;
        self.deployed.insert(file.name.clone(), file.text.clone());
        Ok(())
    }

    /// Ends a file's queries, newest first, and drops what they fill; topics stay.
    fn remove(&mut self, file: &str) -> Result<()> {
        let mut ids = self.queries_of(file);
        ids.reverse();
        for id in ids {
            let Some(query) = self.interpreter.queries.get(&id).cloned() else { continue };
            let table = self.interpreter.catalog.find(&query.sink).is_some_and(|s| s.kind == SourceKind::Table);
            let sql = match id.starts_with("INSERTQUERY") {
                true => format!("TERMINATE {id}"),
                false => format!(
                    "DROP {} {}",
                    if table { "TABLE" } else { "STREAM" },
                    crate::types::quote_identifier(&query.sink)
                ),
            };
            self.drop_declared_over(&query.sink_topic)?;
            self.change(&parse_statement(&sql)?, &query.properties, Some(file))?;
        }
        self.write(&Command::Removed { file: file.to_owned() })?;
        self.deployed.remove(file);
        Ok(())
    }

    /// Sources that were declared over a query's sink topic go with the query.
    fn drop_declared_over(&mut self, topic: &str) -> Result<()> {
        let over: Vec<Arc<Source>> = self
            .interpreter
            .catalog
            .sources()
            .filter(|source| source.topic == topic && source.created_by.is_none())
            .cloned()
            .collect();
        for source in over {
            let sql = format!("DROP {} {}", source.kind, crate::types::quote_identifier(&source.name));
            self.change(&parse_statement(&sql)?, &Properties::default(), None)?;
        }
        Ok(())
    }

    /// What every persistent query is doing.
    pub fn statuses(&self) -> Vec<QueryStatus> {
        let now_us = self.live.clock().monotonic_us();
        self.watched().iter().map(|query| query.status(now_us)).collect()
    }

    /// Every persistent query, to be looked at later.
    pub fn watched(&self) -> Vec<Watched> {
        let watch = |info: &QueryInfo| match self.live.queries.get(&info.id) {
            Some(running) => Watched::running(info, running),
            None => {
                let (reason, next_try_us) = self.live.stalled(&info.id).unwrap_or(("not started", None));
                Watched::stalled(info, reason, next_try_us)
            }
        };
        self.interpreter.queries.values().map(watch).collect()
    }
}

/// Statements of a file one by one, with the properties and variables that it sets; `act` says whether it knew what to
/// do with the statement.
fn each_statement(
    file: &QueryFile,
    base: &Properties,
    act: &mut dyn FnMut(&Statement, &Properties) -> Result<bool>,
) -> Result<()> {
    let mut properties = base.clone();
    let mut variables = file.variables.clone();
    for piece in split_statements(&file.text) {
        let written = &file.text[piece.span.start..piece.span.end];
        let within = |error: Error| in_file(error, file, written, piece.span.start);
        let text = substitute(written, &variables).map_err(within)?;
        let statement = parse_statement(&text).map_err(within)?;
        match &statement.kind {
            StatementKind::Define { name, .. } | StatementKind::Undefine { name }
                if file.variables.contains_key(&name.text) => {}
            StatementKind::Define { name, value } => {
                variables.insert(name.text.clone(), value.clone());
            }
            StatementKind::Undefine { name } => {
                variables.remove(&name.text);
            }
            StatementKind::Set { key, value } => {
                super::config::check(key, value).map_err(within)?;
                properties.0.insert(canonical(key).to_owned(), value.clone());
            }
            StatementKind::Unset { key } => {
                properties.0.remove(canonical(key));
            }
            _ => {
                if !act(&statement, &properties).map_err(within)? {
                    let error = Error::unsupported("this statement in a query file").at(crate::error::Span::new(0, 1));
                    return Err(within(error.hint("Query files hold CREATE, INSERT, SET and DEFINE statements.")));
                }
            }
        }
    }
    Ok(())
}

/// Opens the command log of the engine's service.
fn open_log(config: &EngineConfig, live: &Live) -> Result<CommandLog> {
    let (broker, clock) = (live.broker().clone(), live.clock().clone());
    CommandLog::open(broker, &config.service_id, config.state.instance_id(), config.default_replicas, clock)
}

/// Does what other processes do, until the engine ends.
fn follow(engine: &Weak<Engine>, end: &Receiver<()>) {
    while end.recv_timeout(FOLLOW_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        let Some(engine) = engine.upgrade() else { return };
        let mut inner = engine.lock();
        if inner.stopped {
            return;
        }
        let followed = inner.converge().and_then(|()| inner.log.poll()).map(|commands| inner.follow(commands));
        if let Err(error) = followed {
            tracing::warn!(%error, "the command log cannot be followed at the moment");
        }
        inner.live.retry_stalled();
        inner.live.clean_up();
    }
}

/// The error with its file, line and column.
fn in_file(error: Error, file: &QueryFile, written: &str, offset: usize) -> Error {
    let span = error.span().unwrap_or_default();
    let span = crate::error::Span::new(span.start.min(written.len()) + offset, span.end.min(written.len()) + offset);
    let (line, column) = span.line_column(&file.text);
    error.without_span().context(format!("{}:{line}:{column}", file.name))
}

pub(super) fn log_source(topic: &str) -> Source {
    Source {
        name: processing_log::STREAM.to_owned(),
        kind: SourceKind::Stream,
        schema: processing_log::schema(),
        topic: topic.to_owned(),
        key_format: FormatSpec::new("KAFKA", false),
        value_format: FormatSpec::new("JSON", true),
        window: None,
        timestamp: None,
        created_by: None,
        read_only: true,
        statement: String::new(),
    }
}

/// The catalog as it is now.
pub fn catalog(engine: &Engine) -> Catalog {
    engine.lock().interpreter.catalog.clone()
}
