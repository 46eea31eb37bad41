//! [`run_case`]: a case from its statements to the comparison of what came out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::case::{CaseRecord, CaseTopic, ValidationCase};
use super::compare;
use super::json::Json;
use super::stage::Stage;
use super::{functions, post, record, schemas};
use crate::broker::TopicSpec;
use crate::catalog::Source;
use crate::engine::backend::Backend;
use crate::engine::config::{Properties, canonical};
use crate::engine::interpreter::{Interpreter, Run};
use crate::error::{Error, ErrorKind, Result};
use crate::sql::ast::{CreateAs, CreateSource, ExprKind, Statement, StatementKind};
use crate::sql::{parse_statement, split_statements, substitute};

/// Partitions of a topic that only a CREATE statement mentions.
const PARTITIONS_IMPLIED: i32 = 4;

/// Runs a case; an error says what does not hold. `batch` says how many records go in together.
pub fn run_case(case: &ValidationCase, batch: &mut dyn FnMut() -> usize) -> Result<()> {
    functions::register()?;
    let mut world = World::new(case)?;
    let last = case.statements.len().saturating_sub(1);
    for (i, text) in case.statements.iter().enumerate() {
        match world.statements(text) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::Internal => return Err(error),
            Err(_) if case.fails && i == last => return Ok(()),
            Err(error) => return Err(error.context(format!("statement {}", i + 1))),
        }
    }
    let ran = world.records(case, batch);
    if case.fails {
        return match ran {
            Ok(()) => Err(Error::semantic("the case expects an error, and everything was accepted")),
            Err(error) if error.kind() == ErrorKind::Internal => Err(error),
            Err(_) => Ok(()),
        };
    }
    ran?;
    world.compare(case)?;
    post::check(&case.post, &world.interpreter.catalog, &world.stage)
}

struct World {
    interpreter: Interpreter,
    stage: Stage,
    properties: Properties,
    variables: BTreeMap<String, String>,
    /// Topics that the case lists.
    listed: Arc<[CaseTopic]>,
    /// The source declared last over each topic.
    described: BTreeMap<String, Arc<Source>>,
}

impl World {
    fn new(case: &ValidationCase) -> Result<Self> {
        let mut stage = Stage::new();
        for topic in &case.topics {
            let spec = TopicSpec {
                name: topic.name.clone(),
                partitions: topic.partitions,
                replicas: None,
                config: Vec::new(),
            };
            match stage.create_topic(&spec) {
                Err(error) if error.kind() != ErrorKind::Conflict => return Err(error),
                _ => {}
            }
        }
        schemas::register(case, &stage.registry)?;
        let properties =
            case.properties.iter().map(|(key, value)| (canonical(key).to_owned(), value.clone())).collect();
        Ok(Self {
            interpreter: Interpreter { default_partitions: PARTITIONS_IMPLIED, ..Interpreter::default() },
            stage,
            properties: Properties(properties),
            variables: BTreeMap::new(),
            listed: case.topics.clone().into(),
            described: BTreeMap::new(),
        })
    }

    fn statements(&mut self, text: &str) -> Result<()> {
        for piece in split_statements(text) {
            let text = substitute(&text[piece.span.start..piece.span.end], &self.variables)?;
            let statement = parse_statement(&text)?;
            self.statement(&statement)?;
        }
        Ok(())
    }

    fn statement(&mut self, statement: &Statement) -> Result<()> {
        match &statement.kind {
            StatementKind::Set { key, value } => {
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
            StatementKind::Query(query) => {
                let run = Run { properties: &self.properties, backend: &mut self.stage, replay: None, file: None };
                self.interpreter.plan_push(query, &statement.text, &run)?;
            }
            kind => {
                if let StatementKind::CreateSource(create) = kind {
                    self.create_missing_topic(create, &self.listed.clone());
                }
                let mut run = Run { properties: &self.properties, backend: &mut self.stage, replay: None, file: None };
                let mut copy = self.interpreter.clone();
                if copy.run(statement, &mut run)?.is_none() {
                    return Ok(());
                }
                copy.next_id += 1;
                if let StatementKind::CreateAs(create) = kind {
                    self.count_partitions(create, &copy);
                }
                self.describe(&copy);
                self.interpreter = copy;
            }
        }
        Ok(())
    }

    /// Remembers what describes each topic: a query that fills it, else the newest declaration.
    fn describe(&mut self, after: &Interpreter) {
        for source in after.catalog.sources() {
            let is_new = self.interpreter.catalog.find(&source.name).is_none_or(|known| known != source);
            let filled = self.described.get(&source.topic).is_some_and(|known| known.created_by.is_some());
            if is_new && (!filled || source.created_by.is_some()) {
                self.described.insert(source.topic.clone(), source.clone());
            }
        }
    }

    /// A topic that a query makes has as many partitions as any topic that the case says nothing of.
    fn count_partitions(&mut self, create: &CreateAs, after: &Interpreter) {
        if create.properties.iter().any(|property| property.key.text == "PARTITIONS") {
            return;
        }
        let is_new = self.interpreter.catalog.find(&create.name.text).is_none();
        let Some(sink) = after.catalog.find(&create.name.text).filter(|_| is_new) else { return };
        if self.listed.iter().any(|topic| topic.name == sink.topic) {
            return;
        }
        if let Some(topic) = self.stage.topics.get_mut(&sink.topic) {
            topic.partitions = PARTITIONS_IMPLIED;
        }
    }

    /// A case need not list the topics that its statements read, nor how many partitions a listed one has.
    fn create_missing_topic(&mut self, create: &CreateSource, listed: &[CaseTopic]) {
        let property = |key: &str| create.properties.iter().find(|property| property.key.text == key);
        let Some(ExprKind::String(name)) = property("KAFKA_TOPIC").map(|property| &property.value.kind) else { return };
        let partitions = match property("PARTITIONS").map(|property| &property.value.kind) {
            Some(ExprKind::Integer(partitions)) => i32::try_from(*partitions).ok(),
            Some(_) => return,
            None => None,
        };
        match (self.stage.topics.get_mut(name), partitions) {
            (Some(topic), Some(partitions)) => {
                let silent = |topic: &CaseTopic| topic.name == *name && topic.details.get("partitions").is_none();
                if listed.iter().any(silent) && topic.records.is_empty() {
                    topic.partitions = partitions;
                }
            }
            (None, None) => {
                let partitions = PARTITIONS_IMPLIED;
                let spec = TopicSpec { name: name.clone(), partitions, replicas: None, config: Vec::new() };
                // It does not exist: that was just asked.
                let _ = self.stage.create_topic(&spec);
            }
            _ => {}
        }
    }

    /// Writes all records, then runs every query.
    fn records(&mut self, case: &ValidationCase, batch: &mut dyn FnMut() -> usize) -> Result<()> {
        let formats = self.stage.formats();
        let mut inputs = Vec::new();
        for (i, input) in case.inputs.iter().enumerate() {
            let source = self.described.get(&input.topic).map(Arc::as_ref);
            let stored = record::write(&formats, source, input).map_err(|e| e.context(format!("input {}", i + 1)))?;
            let at = self.stage.topics.get(&input.topic).map_or(0, |topic| topic.records.len());
            self.stage.append(&input.topic, stored);
            inputs.push((input.topic.clone(), at));
        }
        self.stage.run(&inputs, batch)
    }

    fn compare(&self, case: &ValidationCase) -> Result<()> {
        let mut topics: Vec<&str> = Vec::new();
        for output in &case.outputs {
            if !topics.contains(&output.topic.as_str()) {
                topics.push(&output.topic);
            }
        }
        for topic in topics {
            let expected: Vec<&CaseRecord> = case.outputs.iter().filter(|output| output.topic == topic).collect();
            self.compare_topic(topic, &expected, !case.inputs.is_empty())?;
        }
        Ok(())
    }

    fn compare_topic(&self, topic: &str, expected: &[&CaseRecord], check_zero: bool) -> Result<()> {
        let source = self.described.get(topic).map(Arc::as_ref);
        let formats = self.stage.formats();
        let records = self.stage.topics.get(topic).map_or(&[][..], |topic| &topic.records);
        let mut lines = Vec::new();
        let mut differs = expected.len() != records.len();
        let mut first = None;
        for i in 0..expected.len().max(records.len()) {
            let seen = records.get(i).map(|record| record::read(&formats, source, record)).transpose();
            let seen = seen.map_err(|e| e.context(format!("record {} of {topic}", i + 1)))?;
            let wanted = expected
                .get(i)
                .map(|e| compare::show(e.key.as_ref().unwrap_or(&Json::Null), &e.value, e.window, e.timestamp));
            let actual = seen.as_ref().zip(records.get(i));
            let shown =
                actual.map(|(seen, record)| compare::show(&seen.key, &seen.value, seen.window, Some(record.timestamp)));
            let different = match (expected.get(i), actual) {
                (Some(expected), Some((seen, record))) => compare::differences(expected, record, seen, check_zero),
                (Some(_), None) => vec!["missing"],
                (None, Some(_)) => vec!["not expected"],
                (None, None) => Vec::new(),
            };
            if different.is_empty() {
                lines.push(format!("    {}", shown.unwrap_or_default()));
                continue;
            }
            differs = true;
            first.get_or_insert_with(|| format!("record {} ({})", i + 1, different.join(", ")));
            lines.extend(wanted.map(|wanted| format!("  - {wanted}")));
            lines.extend(shown.map(|shown| format!("  + {shown}")));
        }
        if !differs {
            return Ok(());
        }
        let counts = format!("{} records expected, {} came", expected.len(), records.len());
        let first = first.unwrap_or_default();
        Err(Error::semantic(format!("topic {topic} differs at {first}; {counts}\n{}", lines.join("\n"))))
    }
}
