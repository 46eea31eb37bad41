//! [`Backend`]: what the interpreter does to the world: topics, queries, records. [`super::live`] does it on a broker
//! with workers, [`super::offline`] in memory and in one thread for `eddyline test`, [`Rehearsal`] not at all.

use std::collections::BTreeMap;

use crate::broker::TopicSpec;
use crate::catalog::Source;
use crate::change::ChangeBatch;
use crate::change::batch::record_batch;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Formats;
use crate::plan::topology::{SinkSpec, Topology};
use crate::types::{LogicalSchema, Namespace, Value};

use super::config::Properties;

/// A persistent query to be started.
#[derive(Debug, Clone)]
pub struct QueryStart {
    /// Its id.
    pub id: String,
    /// What it runs.
    pub topology: Topology,
    /// Properties in force when it was created.
    pub properties: Properties,
    /// Whether its topics may exist already because it ran before.
    pub resumed: bool,
}

/// The world as statements change it.
pub trait Backend {
    /// Partition count of a topic, if it exists.
    fn partitions(&self, topic: &str) -> Result<Option<i32>>;
    /// Creates a topic.
    fn create_topic(&mut self, spec: &TopicSpec) -> Result<()>;
    /// Deletes a topic.
    fn delete_topic(&mut self, topic: &str) -> Result<()>;
    /// Starts a query.
    fn start(&mut self, query: &QueryStart) -> Result<()>;
    /// Goes on with another topology where a query stands, over its state.
    fn replace(&mut self, query: &QueryStart) -> Result<()>;
    /// Ends a query and removes what only it needed.
    fn stop(&mut self, query_id: &str) -> Result<()>;
    /// Holds or releases a query.
    fn pause(&mut self, query_id: &str, paused: bool) -> Result<()>;
    /// Writes a row to a source's topic.
    fn insert(&mut self, source: &Source, row: ChangeBatch) -> Result<()>;
    /// Whether what is done now was done before, by an earlier start or by another process: topics and schemas are
    /// there.
    fn repeats(&self) -> bool {
        false
    }
    /// Wall clock.
    fn now_ms(&self) -> i64;
    /// How topics are read and written.
    fn formats(&self) -> Formats {
        Formats::default()
    }
}

/// How a source's own topic is written: for INSERT INTO … VALUES.
pub fn sink_of(source: &Source) -> SinkSpec {
    SinkSpec {
        topic: source.topic.clone(),
        key_format: source.key_format.clone(),
        value_format: source.value_format.clone(),
        window: source.window,
        // The row's own time counts: INSERT may set ROWTIME.
        timestamp: None,
        composed_key: false,
    }
}

/// A row of named values as a batch of the source's columns.
pub fn row_batch(source: &Source, values: &[(String, Value)], rowtime: i64) -> Result<ChangeBatch> {
    let schema = insertable_schema(source);
    let value = |name: &str| values.iter().find(|(n, _)| n == name).map_or(&Value::Null, |(_, v)| v);
    let columns = schema.batch_columns().iter().map(|c| value(&c.name).repeat(&c.ty, 1)).collect();
    let data = record_batch(schema.arrow(), columns, 1)?;
    Ok(ChangeBatch::append_only(data, vec![rowtime], vec![0]))
}

/// A source's columns that can be written: no headers.
pub fn insertable_schema(source: &Source) -> LogicalSchema {
    LogicalSchema::new(
        source.schema.columns.iter().filter(|c| !matches!(c.namespace, Namespace::Headers(_))).cloned().collect(),
        source.schema.windowed,
    )
}

/// Does nothing but remember topics: statements are tried on it before they touch anything.
pub struct Rehearsal<'a> {
    real: &'a dyn Backend,
    formats: Formats,
    topics: BTreeMap<String, Option<i32>>,
}

impl<'a> Rehearsal<'a> {
    /// A rehearsal over the real topics.
    pub fn new(real: &'a dyn Backend) -> Self {
        Self { real, formats: real.formats().rehearsal(), topics: BTreeMap::new() }
    }
}

impl Backend for Rehearsal<'_> {
    fn partitions(&self, topic: &str) -> Result<Option<i32>> {
        match self.topics.get(topic) {
            Some(partitions) => Ok(*partitions),
            None => self.real.partitions(topic),
        }
    }

    fn create_topic(&mut self, spec: &TopicSpec) -> Result<()> {
        if self.partitions(&spec.name)?.is_some() {
            return Err(Error::new(ErrorKind::Conflict, format!("topic {} exists already", spec.name)));
        }
        self.topics.insert(spec.name.clone(), Some(spec.partitions));
        Ok(())
    }

    fn delete_topic(&mut self, topic: &str) -> Result<()> {
        self.topics.insert(topic.to_owned(), None);
        Ok(())
    }

    fn start(&mut self, query: &QueryStart) -> Result<()> {
        // Building one task finds what planning did not.
        let partitions = |topic: &str| self.partitions(topic).ok().flatten();
        let blueprint = crate::runtime::Blueprint::new(&query.id, query.topology.clone(), "rehearsal", &partitions)?;
        let blueprint = blueprint.with_formats(self.formats.clone());
        let clock = crate::time::ManualClock::new(0);
        for sub_topology in 0..blueprint.topology.sub_topologies.len() {
            blueprint.fresh_task(sub_topology, 0, clock.as_ref())?;
        }
        Ok(())
    }

    fn replace(&mut self, query: &QueryStart) -> Result<()> {
        self.start(query)
    }

    fn stop(&mut self, _query_id: &str) -> Result<()> {
        Ok(())
    }

    fn pause(&mut self, _query_id: &str, _paused: bool) -> Result<()> {
        Ok(())
    }

    fn insert(&mut self, _source: &Source, _row: ChangeBatch) -> Result<()> {
        Ok(())
    }

    fn now_ms(&self) -> i64 {
        self.real.now_ms()
    }

    fn formats(&self) -> Formats {
        self.formats.clone()
    }
}
