//! What is there now: a table's rows from the query that keeps it, or a topic read from its first record to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use arrow::array::ArrayRef;

use super::core::Engine;
use crate::broker::{Broker, ConsumerOptions, Start, TopicPartition};
use crate::catalog::Source;
use crate::change::ChangeBatch;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Formats;
use crate::plan::topology::SourceSpec;
use crate::runtime::Blueprint;
use crate::runtime::position::check_format;
use crate::runtime::restore::peek;
use crate::runtime::session::read_table;
use crate::runtime::source::SourceReader;
use crate::runtime::worker::ReadRequest;
use crate::state::{RowCodec, StateEnv};
use crate::time::Clock;
use crate::types::SourceKind;

/// How long workers may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a topic may bring nothing before reading gives up.
const EMPTY_POLLS_MAX: usize = 300;

/// Rows of a table that a running query keeps, those of `keys` (one array per key column) or all; `None` when no
/// query keeps the table.
pub fn materialised(engine: &Engine, source: &Source, keys: Option<&[ArrayRef]>) -> Result<Option<Vec<ChangeBatch>>> {
    let (sender, replies) = channel();
    let (workers, blueprint, broker, clock) = {
        let inner = engine.lock();
        let keeps = |id: &str| inner.live.queries.get(id).is_some_and(|q| q.blueprint.materialization().is_some());
        let mut queries = inner.interpreter.queries.values().filter(|query| query.sink == source.name);
        let Some(query) = queries.find(|query| keeps(&query.id)) else { return Ok(None) };
        let running = &inner.live.queries[&query.id];
        for worker in &running.workers {
            worker.read(ReadRequest { keys: keys.map(<[ArrayRef]>::to_vec), reply: sender.clone() })?;
        }
        let (broker, clock) = (inner.live.broker().clone(), inner.live.clock().clone());
        (running.workers.len(), running.blueprint.clone(), broker, clock)
    };
    let mut batches = Vec::new();
    let mut here = BTreeSet::new();
    for _ in 0..workers {
        let late = |_| {
            Error::new(ErrorKind::Unavailable, format!("the query that keeps {} does not answer", source.name))
                .hint("It may be restoring its state: SHOW QUERIES tells.")
        };
        let rows = replies.recv_timeout(PATIENCE).map_err(late)??;
        batches.extend(rows.batches);
        here.extend(rows.partitions);
    }
    let Some((sub_topology, index)) = blueprint.materialization() else { return Ok(None) };
    for partition in (0..blueprint.task_count(sub_topology)).filter(|partition| !here.contains(partition)) {
        batches.push(elsewhere(&broker, &clock, &blueprint, (sub_topology, index, partition), keys)?);
    }
    Ok(Some(batches))
}

/// Rows of a partition that another process works on: what it has committed, out of the changelog.
fn elsewhere(
    broker: &Arc<dyn Broker>,
    clock: &Arc<dyn Clock>,
    blueprint: &Blueprint,
    (sub_topology, index, partition): (usize, usize, i32),
    keys: Option<&[ArrayRef]>,
) -> Result<ChangeBatch> {
    let mut store = blueprint.stores(sub_topology, partition, &StateEnv::memory()).swap_remove(index);
    if let Some(topic) = blueprint.changelog_topic(sub_topology, index) {
        let inputs: Vec<_> =
            blueprint.topics_of(sub_topology).map(|topic| TopicPartition::new(topic, partition)).collect();
        let committed = broker.committed(&blueprint.prefix, &inputs)?;
        committed.iter().try_for_each(|committed| check_format(blueprint, sub_topology, committed))?;
        let changelog = TopicPartition::new(topic, partition);
        peek(broker, clock, changelog, &mut store)?;
    }
    read_table(blueprint, &store, keys)
}

/// Everything in a source's topic; of a table the newest row of each key.
pub fn topic(broker: &dyn Broker, formats: &Formats, source: &Source) -> Result<Vec<ChangeBatch>> {
    let missing = || Error::not_found(format!("topic {} does not exist", source.topic));
    let info = broker.topic(&source.topic)?.ok_or_else(missing)?;
    let spec = SourceSpec {
        source: source.name.clone(),
        topic: source.topic.clone(),
        kind: source.kind,
        declared: source.schema.clone(),
        key_format: source.key_format.clone(),
        value_format: source.value_format.clone(),
        window: source.window,
        timestamp: source.timestamp.clone(),
        system: Vec::new(),
    };
    let mut reader = SourceReader::with_formats(&spec, &source.schema, formats)?;
    let mut consumer = broker.consumer(&ConsumerOptions { client_id: "snapshot".into(), ..Default::default() })?;
    let mut left: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    let mut assignment = Vec::new();
    for partition in 0..info.partitions {
        let partition = TopicPartition::new(source.topic.as_str(), partition);
        let (first, end) = broker.offsets(&partition)?;
        if first < end {
            assignment.push((partition.clone(), Start::Offset(first)));
            left.insert(partition, end);
        }
    }
    if assignment.is_empty() {
        return Ok(Vec::new());
    }
    consumer.assign(&assignment)?;
    let mut batches = Vec::new();
    let mut positions: BTreeMap<TopicPartition, i64> = BTreeMap::new();
    let mut empty_polls = 0;
    while !left.is_empty() {
        let sets = consumer.poll(10_000, Duration::from_millis(100))?.sets;
        empty_polls = if sets.is_empty() { empty_polls + 1 } else { 0 };
        if empty_polls > EMPTY_POLLS_MAX {
            return Err(Error::new(ErrorKind::Unavailable, format!("topic {} brings no more records", source.topic)));
        }
        for set in sets {
            let partition = TopicPartition::new(set.topic.clone(), set.partition);
            positions.insert(partition, set.offsets.last().map_or(0, |last| last + 1));
            batches.push(reader.read(&set)?.batch);
        }
        left.retain(|partition, end| {
            let position = positions.get(partition).copied().unwrap_or(0);
            let readable = consumer.end_offset(partition).unwrap_or(i64::MAX);
            position < (*end).min(readable)
        });
    }
    match source.kind {
        SourceKind::Stream => Ok(batches),
        SourceKind::Table => newest(source, &batches),
    }
}

/// The newest row of each key, in the order of the keys.
fn newest(source: &Source, batches: &[ChangeBatch]) -> Result<Vec<ChangeBatch>> {
    let Some(all) = ChangeBatch::concat(batches)? else { return Ok(Vec::new()) };
    let identity = source.schema.identity_len();
    let columns = source.schema.batch_columns();
    let codec = RowCodec::new(columns[..identity].iter().map(|column| column.ty.arrow()))?;
    let keys = codec.encode(&all.data.columns()[..identity])?;
    let mut rows: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
    for i in 0..all.len() {
        let key = keys.row(i).data().to_vec();
        match all.is_null_value(i) {
            true => rows.remove(&key),
            false => rows.insert(key, i as u32),
        };
    }
    Ok(vec![all.take(&rows.into_values().collect::<Vec<_>>())?])
}
