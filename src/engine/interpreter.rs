//! [`Interpreter`]: statements that change what there is: sources, types, queries, records. It works on any
//! [`Backend`], so that a statement can be rehearsed, run live, or run in a test.

use std::collections::BTreeMap;

use indexmap::IndexMap;

use super::backend::{Backend, QueryStart, insertable_schema, row_batch};
use super::command_log::StartedQuery;
use super::config::Properties;
use crate::broker::TopicSpec;
use crate::catalog::{Catalog, Source};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::format::{Formats, Side};
use crate::plan::properties::{TopicSpec as TopicWish, WithClause, WithOf};
use crate::plan::source::{alter, check_replacement, declare};
use crate::plan::topology::Topology;
use crate::plan::types::resolve_type;
use crate::plan::upgrade::check_upgrade;
use crate::plan::{Environment, PlanConfig, Planned, Schemas, Target, insert, plan_query, plan_source_table};
use crate::runtime::processing_log;
use crate::sql::ast::{CreateAs, CreateSource, Name, Statement, StatementKind};
use crate::types::{Column, FormatSpec, SourceKind};

/// What is known of a persistent query.
#[derive(Debug, Clone)]
pub struct QueryInfo {
    /// Its id.
    pub id: String,
    /// Its statement.
    pub sql: String,
    /// The source that it fills.
    pub sink: String,
    /// The topic that it fills.
    pub sink_topic: String,
    /// Sources that it reads.
    pub sources: Vec<String>,
    /// What it runs.
    pub topology: Topology,
    /// Properties in force when it was created.
    pub properties: Properties,
    /// The query file that it stands in.
    pub file: Option<String>,
}

/// What a statement did.
#[derive(Debug, Default)]
pub struct Done {
    /// For the user.
    pub message: String,
    /// A query that it started.
    pub started: Option<StartedQuery>,
    /// Whether the catalog or the queries changed: worth a record in the command log.
    pub changed: bool,
    /// Queries that it ended.
    pub ended: Vec<String>,
    /// Columns that it got from a schema registry.
    pub inferred: Vec<Column>,
}

impl Done {
    fn message(message: impl Into<String>) -> Self {
        Self { message: message.into(), ..Self::default() }
    }

    fn changed(message: impl Into<String>) -> Self {
        Self { message: message.into(), changed: true, ..Self::default() }
    }
}

/// Names and queries, and how statements change them.
#[derive(Debug, Clone, Default)]
pub struct Interpreter {
    /// All sources and types.
    pub catalog: Catalog,
    /// Persistent queries in order of creation.
    pub queries: IndexMap<String, QueryInfo>,
    /// Number in the next query's id.
    pub next_id: u64,
    /// Partitions of topics when nothing else decides.
    pub default_partitions: i32,
}

/// What runs a statement besides the statement.
pub struct Run<'a> {
    /// Properties in force.
    pub properties: &'a Properties,
    /// The world.
    pub backend: &'a mut dyn Backend,
    /// The query as it was started before: a replay.
    pub replay: Option<&'a StartedQuery>,
    /// The query file that the statement stands in.
    pub file: Option<&'a str>,
}

fn side(is_key: bool) -> Side {
    if is_key { Side::Key } else { Side::Value }
}

impl Schemas for Formats {
    fn infer(&self, format: &FormatSpec, topic: &str, is_key: bool) -> Result<Vec<Column>> {
        Self::infer(self, format, topic, side(is_key))
    }

    fn check(&self, format: &FormatSpec, topic: &str, is_key: bool, columns: &[Column]) -> Result<()> {
        self.check_schema(format, topic, side(is_key), columns)
    }
}

/// The columns that a statement does not declare.
fn inferred(source: &Source, declares: &dyn Fn(&str) -> bool) -> Vec<Column> {
    source.schema.columns.iter().filter(|column| !declares(&column.name)).cloned().collect()
}

/// Registers the schemas of a source's topic. With `keep` schemas that are there stay the newest.
fn register_schemas(formats: &Formats, source: &Source, keep: bool) -> Result<()> {
    let schema = insertable_schema(source);
    formats.register(&source.key_format, &source.topic, Side::Key, schema.key(), keep)?;
    formats.register(&source.value_format, &source.topic, Side::Value, schema.value(), keep)?;
    Ok(())
}

impl PlanConfig {
    fn of(properties: &Properties) -> Self {
        Self::read(&|name| {
            let name = super::config::canonical(name);
            properties.is_set(name).then(|| properties.get(name).to_owned())
        })
    }
}

impl Interpreter {
    /// Runs a statement that changes something; `None` when it is none of those.
    pub fn run(&mut self, statement: &Statement, run: &mut Run<'_>) -> Result<Option<Done>> {
        let text = &statement.text;
        Ok(Some(match &statement.kind {
            StatementKind::CreateSource(create) => self.create_source(create, text, run)?,
            StatementKind::CreateAs(create) => self.create_as(create, text, run)?,
            StatementKind::InsertSelect { target, properties, query } => {
                let planned =
                    self.with_env(run, |env| plan_query(env, query, Target::Insert { target, properties }, text))?;
                let id = planned.query_id.clone().unwrap_or_else(|| format!("INSERTQUERY_{}", self.next_id));
                self.start(id, planned, text, run)?
            }
            StatementKind::InsertValues { target, columns, values } => {
                let source = self.catalog.source(&target.text).map_err(|e| e.at(target.span))?.clone();
                let row = insert::insert_values(&source, columns, values)?;
                let rowtime = row.rowtime.unwrap_or_else(|| run.backend.now_ms());
                run.backend.insert(&source, row_batch(&source, &row.values, rowtime)?)?;
                Done::default()
            }
            StatementKind::Drop { table, if_exists, name, delete_topic } => {
                self.drop_source(*table, *if_exists, name, *delete_topic, run)?
            }
            StatementKind::Alter { table, name, columns } => {
                let source = self.with_env(run, |env| alter(env, *table, name, columns, text))?;
                if run.replay.is_none() {
                    register_schemas(&run.backend.formats(), &source, false).map_err(|e| e.at(name.span))?;
                }
                self.catalog.add_source(source, true)?;
                Done::changed(format!("{} altered", name.text))
            }
            StatementKind::CreateType { if_not_exists, name, ty } => {
                if self.catalog.custom_type(&name.text).is_some() {
                    if *if_not_exists {
                        return Ok(Some(Done::message(format!("Type {} exists already", name.text))));
                    }
                    let error = Error::new(ErrorKind::Conflict, format!("a type named {} exists already", name.text));
                    return Err(error.at(name.span).hint("DROP TYPE first, or use IF NOT EXISTS."));
                }
                let ty = resolve_type(ty, &self.catalog)?;
                self.catalog.add_type(&name.text, ty);
                Done::changed(format!("Type {} registered", name.text))
            }
            StatementKind::DropType { if_exists, name } => match self.catalog.remove_type(&name.text) {
                true => Done::changed(format!("Type {} dropped", name.text)),
                false if *if_exists => Done::message(format!("Type {} does not exist", name.text)),
                false => return Err(Error::not_found(format!("type {} does not exist", name.text)).at(name.span)),
            },
            StatementKind::Terminate { id } => self.terminate(id.as_ref(), run)?,
            StatementKind::Pause { id } => self.pause(id.as_ref(), true, run)?,
            StatementKind::Resume { id } => self.pause(id.as_ref(), false, run)?,
            _ => return Ok(None),
        }))
    }

    /// Calls `plan` with what planning may ask.
    pub fn with_env<T>(&self, run: &Run<'_>, plan: impl FnOnce(Environment<'_>) -> Result<T>) -> Result<T> {
        let config = PlanConfig::of(run.properties);
        let backend = &*run.backend;
        let partitions = |topic: &str| backend.partitions(topic).ok().flatten();
        let formats = backend.formats();
        let check_format =
            |spec: &FormatSpec, is_key: bool, columns: &[Column]| Formats::check(&formats, spec, side(is_key), columns);
        plan(Environment {
            catalog: &self.catalog,
            config: &config,
            partitions: &partitions,
            check_format: &check_format,
            schemas: &formats,
        })
    }

    /// Plans a push query.
    pub fn plan_push(&self, query: &crate::sql::ast::Query, text: &str, run: &Run<'_>) -> Result<Planned> {
        self.with_env(run, |env| plan_query(env, query, Target::Push, text))
    }

    fn create_source(&mut self, create: &CreateSource, text: &str, run: &mut Run<'_>) -> Result<Done> {
        let name = &create.name;
        let kind = if create.table { "Table" } else { "Stream" };
        if let Some(existing) = self.catalog.find(&name.text)
            && create.if_not_exists
        {
            return Ok(Done::message(format!("{kind} {} exists already as a {}", name.text, existing.kind)));
        }
        let declared = self.with_env(run, |env| declare(env, create, text))?;
        if let Some(existing) = self.catalog.find(&name.text)
            && create.or_replace
        {
            check_replacement(existing, &declared.source).map_err(|e| e.at(name.span))?;
        }
        let source = declared.source;
        self.catalog.clone().add_source(source.clone(), create.or_replace).map_err(|e| e.at(name.span))?;
        if !run.backend.repeats() {
            register_schemas(&run.backend.formats(), &source, true).map_err(|e| e.at(name.span))?;
            self.declare_topic(&source, declared.topic, run).map_err(|e| e.at(name.span))?;
        }
        let materialised = source.read_only && source.kind == SourceKind::Table;
        let declares = |name: &str| create.elements.iter().flatten().any(|element| element.name.text == name);
        let inferred = inferred(&source, &declares);
        self.catalog.add_source(source, create.or_replace)?;
        let mut done = Done { inferred, ..Done::changed(format!("{kind} {} created", name.text)) };
        if materialised {
            let topology = plan_source_table(&self.catalog, &name.text)?;
            let id = format!("CST_{}_{}", name.text, self.next_id);
            done.started = Some(self.launch(id, topology, name.text.clone(), vec![name.text.clone()], text, run)?);
        }
        Ok(done)
    }

    /// The topic of a declared source: made when the statement says how, else it must be there.
    fn declare_topic(&self, source: &Source, wish: TopicWish, run: &mut Run<'_>) -> Result<()> {
        match (run.backend.partitions(&source.topic)?, wish.partitions) {
            (Some(there), Some(wanted)) if there != wanted => {
                let message = format!("topic {} has {there} partitions, not {wanted}", source.topic);
                Err(Error::new(ErrorKind::Conflict, message).hint("Leave PARTITIONS out to take the topic as it is."))
            }
            (Some(_), _) => Ok(()),
            (None, None) => Err(Error::not_found(format!("topic {} does not exist", source.topic)).hint(
                "Create it first, or say PARTITIONS = n in WITH (…) and Eddyline creates it. Topic names are case-sensitive.",
            )),
            (None, Some(partitions)) => run.backend.create_topic(&new_topic(source, partitions, wish)),
        }
    }

    fn create_as(&mut self, create: &CreateAs, text: &str, run: &mut Run<'_>) -> Result<Done> {
        let name = &create.name;
        if self.catalog.find(&name.text).is_some() {
            if create.if_not_exists {
                return Ok(Done::message(format!("{} exists already", name.text)));
            }
            if create.or_replace {
                return self.replace(create, text, run).map_err(|error| error.at(name.span));
            }
            if let Some(existing) = self.catalog.find(&name.text) {
                let message =
                    format!("a {} named {} exists already", existing.kind.to_string().to_lowercase(), name.text);
                return Err(Error::new(ErrorKind::Conflict, message)
                    .at(name.span)
                    .hint("DROP it first, choose another name, or use IF NOT EXISTS."));
            }
        }
        let planned = self.with_env(run, |env| plan_query(env, &create.query, Target::Create(create), text))?;
        let kind = if create.table { "CTAS" } else { "CSAS" };
        self.start(format!("{kind}_{}_{}", name.text, self.next_id), planned, text, run)
    }

    /// `CREATE OR REPLACE … AS SELECT` of a source that a query fills: the query goes on with another topology.
    fn replace(&mut self, create: &CreateAs, text: &str, run: &mut Run<'_>) -> Result<Done> {
        let old = self.catalog.source(&create.name.text)?.clone();
        let Some(id) = old.created_by.clone() else {
            return Err(Error::semantic(format!("{} was not made by a query", old.name))
                .hint("CREATE OR REPLACE … (columns) changes a declared source."));
        };
        let planned = self.with_env(run, |env| plan_query(env, &create.query, Target::Create(create), text))?;
        let Planned { topology, sources, sink, .. } = planned;
        let mut sink = sink.ok_or_else(|| Error::internal("a persistent query without a sink"))?;
        check_replacement(&old, &sink)?;
        let others = self.queries.values().filter(|query| query.sink == old.name && query.id != id);
        let others: Vec<&str> = others.map(|query| query.id.as_str()).collect();
        if !others.is_empty() {
            return Err(Error::new(
                ErrorKind::Conflict,
                format!("{} is filled by {}, too", old.name, others.join(", ")),
            )
            .hint("TERMINATE those queries first."));
        }
        if sources.contains(&old.name) {
            return Err(Error::semantic(format!("{} would read itself", old.name)));
        }
        if let Some(running) = self.queries.get(&id) {
            check_upgrade(&running.topology, &topology)?;
        }
        let topology = run.replay.map_or(topology, |replay| replay.topology.clone());
        let start = QueryStart {
            id: id.clone(),
            topology: topology.clone(),
            properties: run.properties.clone(),
            resumed: run.replay.is_some(),
        };
        if !run.backend.repeats() {
            register_schemas(&run.backend.formats(), &sink, false)?;
        }
        run.backend.replace(&start)?;
        sink.created_by = Some(id.clone());
        let info = QueryInfo {
            id: id.clone(),
            sql: text.to_owned(),
            sink: sink.name.clone(),
            sink_topic: sink.topic.clone(),
            sources,
            topology: topology.clone(),
            properties: run.properties.clone(),
            file: run.file.map(str::to_owned),
        };
        self.catalog.add_source(sink, true)?;
        self.queries.insert(id.clone(), info);
        let message = format!("Replaced query with ID {id}");
        Ok(Done { started: Some(StartedQuery { id, topology }), ..Done::changed(message) })
    }

    /// Makes the sink and starts the query.
    fn start(&mut self, id: String, planned: Planned, text: &str, run: &mut Run<'_>) -> Result<Done> {
        let Planned { topology, sources, sink, topic, leftmost_topic, .. } = planned;
        let sink = sink.ok_or_else(|| Error::internal("a persistent query without a sink"))?;
        let id = run.replay.map_or(id, |replay| replay.id.clone());
        if self.queries.contains_key(&id) {
            return Err(Error::new(ErrorKind::Conflict, format!("a query with the id {id} runs already")));
        }
        let is_new = self.catalog.find(&sink.name).is_none();
        if is_new {
            if !run.backend.repeats() {
                register_schemas(&run.backend.formats(), &sink, false)?;
                let source_partitions = run.backend.partitions(&leftmost_topic)?;
                let partitions = topic.partitions.or(source_partitions).unwrap_or(self.default_partitions.max(1));
                match run.backend.partitions(&sink.topic)? {
                    None => run.backend.create_topic(&new_topic(&sink, partitions, topic))?,
                    Some(there) if topic.partitions.is_some_and(|wanted| wanted != there) => {
                        let message = format!("topic {} has {there} partitions, not {partitions}", sink.topic);
                        return Err(Error::new(ErrorKind::Conflict, message));
                    }
                    Some(_) => {}
                }
            }
            let mut sink = sink.clone();
            sink.created_by = Some(id.clone());
            self.catalog.add_source(sink, false)?;
        }
        let launched = self.launch(id, topology, sink.name.clone(), sources, text, run);
        if launched.is_err() && is_new {
            self.catalog.remove_source(&sink.name);
        }
        let started = launched?;
        Ok(Done { started: Some(started.clone()), ..Done::changed(format!("Created query with ID {}", started.id)) })
    }

    fn launch(
        &mut self,
        id: String,
        topology: Topology,
        sink: String,
        sources: Vec<String>,
        text: &str,
        run: &mut Run<'_>,
    ) -> Result<StartedQuery> {
        let topology = run.replay.map_or(topology, |replay| replay.topology.clone());
        let start = QueryStart {
            id: id.clone(),
            topology: topology.clone(),
            properties: run.properties.clone(),
            resumed: run.replay.is_some(),
        };
        run.backend.start(&start)?;
        let sink_topic = self.catalog.find(&sink).map_or_else(String::new, |source| source.topic.clone());
        let info = QueryInfo {
            id: id.clone(),
            sql: text.to_owned(),
            sink,
            sink_topic,
            sources,
            topology: topology.clone(),
            properties: run.properties.clone(),
            file: run.file.map(str::to_owned),
        };
        self.queries.insert(id.clone(), info);
        Ok(StartedQuery { id, topology })
    }

    /// Queries that read or write a source, the one that created it left out.
    fn users(&self, name: &str, created_by: Option<&str>) -> Vec<&str> {
        let uses = |query: &&QueryInfo| {
            Some(query.id.as_str()) != created_by && (query.sink == name || query.sources.iter().any(|s| s == name))
        };
        self.queries.values().filter(uses).map(|query| query.id.as_str()).collect()
    }

    /// > KSQL: DROP ends the query that made the source, and is refused while others use it.
    fn drop_source(
        &mut self,
        table: bool,
        if_exists: bool,
        name: &Name,
        delete_topic: bool,
        run: &mut Run<'_>,
    ) -> Result<Done> {
        let kind = if table { SourceKind::Table } else { SourceKind::Stream };
        let source = match self.catalog.find(&name.text) {
            None if if_exists => return Ok(Done::message(format!("{} does not exist", name.text))),
            None => self.catalog.source(&name.text).map_err(|e| e.at(name.span))?.clone(),
            Some(source) => source.clone(),
        };
        if source.kind != kind {
            let message = format!("{} is a {}, not a {kind}", name.text, source.kind);
            return Err(Error::semantic(message).at(name.span).hint(format!("Use DROP {}.", source.kind)));
        }
        if source.name == processing_log::STREAM {
            return Err(Error::semantic(format!("{} is Eddyline's own and always there", source.name)).at(name.span));
        }
        if source.read_only && delete_topic {
            return Err(Error::semantic(format!("the topic of {} is not Eddyline's to delete", name.text))
                .at(name.span)
                .hint("It was made with CREATE SOURCE: leave DELETE TOPIC out."));
        }
        let own = self.queries.values().find(|q| q.sink == name.text && q.id.starts_with("CST_")).map(|q| q.id.clone());
        let created_by = source.created_by.clone().or(own);
        let users = self.users(&name.text, created_by.as_deref());
        if !users.is_empty() {
            let message = format!("{} is used by {}", name.text, users.join(", "));
            let error = Error::new(ErrorKind::Conflict, message).at(name.span);
            return Err(error.hint("TERMINATE those queries and DROP what they fill first."));
        }
        let mut done = Done::changed(format!("Source {} was dropped", name.text));
        if let Some(query) = created_by.filter(|id| self.queries.contains_key(id)) {
            run.backend.stop(&query)?;
            self.queries.shift_remove(&query);
            done.ended.push(query);
        }
        if delete_topic && !run.backend.repeats() && run.backend.partitions(&source.topic)?.is_some() {
            run.backend.delete_topic(&source.topic)?;
        }
        self.catalog.remove_source(&name.text);
        Ok(done)
    }

    /// The id of a running query, however it was written.
    pub fn query_id(&self, id: &Name) -> Result<String> {
        let found = self.queries.keys().find(|known| known.eq_ignore_ascii_case(&id.text));
        found.cloned().ok_or_else(|| {
            let error = Error::not_found(format!("no query has the id {}", id.text)).at(id.span);
            match did_you_mean(&id.text, self.queries.keys().map(String::as_str)) {
                Some(near) => error.hint(format!("Did you mean {near}?")),
                None => error.hint("SHOW QUERIES lists all queries."),
            }
        })
    }

    fn chosen(&self, id: Option<&Name>) -> Result<Vec<String>> {
        match id {
            None => Ok(self.queries.keys().cloned().collect()),
            Some(id) => Ok(vec![self.query_id(id)?]),
        }
    }

    fn terminate(&mut self, id: Option<&Name>, run: &mut Run<'_>) -> Result<Done> {
        let ids = self.chosen(id)?;
        for id in &ids {
            run.backend.stop(id)?;
            self.queries.shift_remove(id);
        }
        let message =
            if ids.is_empty() { "No query runs".to_owned() } else { format!("Terminated {}", ids.join(", ")) };
        Ok(Done { changed: !ids.is_empty(), ended: ids, ..Done::message(message) })
    }

    fn pause(&mut self, id: Option<&Name>, paused: bool, run: &mut Run<'_>) -> Result<Done> {
        let ids = self.chosen(id)?;
        ids.iter().try_for_each(|id| run.backend.pause(id, paused))?;
        let word = if paused { "Paused" } else { "Resumed" };
        Ok(Done { changed: !ids.is_empty(), ..Done::message(format!("{word} {}", ids.join(", "))) })
    }

    /// Checks what `WITH (…)` of ASSERT TOPIC says.
    pub fn topic_wish(properties: &crate::sql::ast::Properties) -> Result<TopicWish> {
        WithClause::new(properties, WithOf::Create)?.topic()
    }
}

/// The topic of a source, as Kafka is told to make it.
///
/// Results carry the input's event times: without a RETENTION_MS the topic keeps everything, as Kafka would take old
/// event times for old records and delete them.
fn new_topic(source: &Source, partitions: i32, wish: TopicWish) -> TopicSpec {
    let policy = match (source.kind, source.window) {
        (SourceKind::Stream, _) => "delete",
        (SourceKind::Table, None) => "compact",
        (SourceKind::Table, Some(_)) => "compact,delete",
    };
    let retention = wish.retention_ms.unwrap_or(-1).to_string();
    let config: BTreeMap<&str, String> =
        BTreeMap::from([("cleanup.policy", policy.to_owned()), ("retention.ms", retention)]);
    TopicSpec {
        name: source.topic.clone(),
        partitions,
        replicas: wish.replicas.map(i32::from),
        config: config.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}
