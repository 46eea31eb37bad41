//! What a `read_committed` reader sees, and whether it is what it should be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write as _};
use std::ops::{Bound, ControlFlow};
use std::time::Duration;

use eddyline::broker::memory::MemoryBroker;
use eddyline::broker::{Broker, ConsumerOptions, Start, TopicPartition};
use eddyline::runtime::processing_log;
use eddyline::state::StateStore;

use super::deploy::SERVICE;
use super::shapes::{Input, Level, Output};
use super::world::World;

/// A record of an output.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seen {
    pub partition: i32,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub timestamp: i64,
}

impl fmt::Debug for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |bytes: &Option<Vec<u8>>| {
            bytes.as_ref().map_or("null".to_owned(), |bytes| String::from_utf8_lossy(bytes).escape_debug().to_string())
        };
        write!(f, "[{}] {} → {} @ {}", self.partition, text(&self.key), text(&self.value), self.timestamp)
    }
}

/// All records of a topic, partition after partition.
pub fn read(broker: &MemoryBroker, topic: &str) -> Result<Vec<Seen>, String> {
    let told = |error: eddyline::error::Error| error.to_string();
    let info = broker.topic(topic).map_err(told)?.ok_or_else(|| format!("no topic {topic}"))?;
    let mut seen = Vec::new();
    for partition in 0..info.partitions {
        let mut consumer = broker.consumer(&ConsumerOptions::default()).map_err(told)?;
        consumer.assign(&[(TopicPartition::new(topic, partition), Start::Earliest)]).map_err(told)?;
        loop {
            let poll = consumer.poll(100_000, Duration::ZERO).map_err(told)?;
            let Some(set) = poll.sets.first() else { break };
            seen.extend((0..set.len()).map(|i| Seen {
                partition,
                key: set.keys.get(i).map(<[u8]>::to_vec),
                value: set.values.get(i).map(<[u8]>::to_vec),
                timestamp: set.timestamps[i],
            }));
        }
    }
    Ok(seen)
}

/// The last record of each key that is no tombstone.
pub fn fold(records: &[Seen]) -> BTreeMap<Vec<u8>, Seen> {
    let mut table = BTreeMap::new();
    for record in records {
        let Some(key) = &record.key else { continue };
        match record.value {
            Some(_) => table.insert(key.clone(), record.clone()),
            None => table.remove(key),
        };
    }
    table
}

fn by_key(records: &[Seen]) -> BTreeMap<(i32, Option<Vec<u8>>), Vec<Seen>> {
    let mut keys: BTreeMap<_, Vec<Seen>> = BTreeMap::new();
    for record in records {
        keys.entry((record.partition, record.key.clone())).or_default().push(record.clone());
    }
    keys
}

/// The first place where two sequences differ.
pub fn difference<T: PartialEq + fmt::Debug>(what: &str, wanted: &[T], got: &[T]) -> Result<(), String> {
    if wanted == got {
        return Ok(());
    }
    let at = wanted.iter().zip(got).take_while(|(a, b)| a == b).count();
    let mut text = format!("{what}: {} records wanted, {} seen; at number {at}:", wanted.len(), got.len());
    let around = at.saturating_sub(2)..at + 3;
    for i in around {
        let mark = if i == at { ">" } else { " " };
        let show = |list: &[T]| list.get(i).map_or("nothing".to_owned(), |item| format!("{item:?}"));
        let _ = write!(text, "\n {mark} wanted {}\n   got    {}", show(wanted), show(got));
    }
    Err(text)
}

/// Whether an output is what it should be.
pub fn compare(topic: &str, level: Level, wanted: &[Seen], got: &[Seen]) -> Result<(), String> {
    let what = format!("topic {topic} ({level:?})");
    match level {
        Level::Partition => difference(&what, wanted, got),
        Level::Multiset => {
            let sorted = |records: &[Seen]| {
                let mut records = records.to_vec();
                records.sort();
                records
            };
            difference(&what, &sorted(wanted), &sorted(got))
        }
        Level::Key => {
            let (wanted, got) = (by_key(wanted), by_key(got));
            let keys: BTreeSet<_> = wanted.keys().chain(got.keys()).collect();
            let of = |map: &BTreeMap<_, Vec<Seen>>, key| map.get(key).cloned().unwrap_or_default();
            keys.into_iter().try_for_each(|key| difference(&what, &of(&wanted, key), &of(&got, key)))
        }
        Level::Subsequence => {
            let (wanted, got) = (by_key(wanted), by_key(got));
            for (key, wanted) in &wanted {
                let got = got.get(key).cloned().unwrap_or_default();
                let mut left = wanted.iter();
                let found = got.iter().all(|record| left.any(|other| other == record));
                if !found || got.last() != wanted.last() {
                    return difference(&what, wanted, &got);
                }
            }
            difference(&what, &wanted.keys().collect::<Vec<_>>(), &got.keys().collect::<Vec<_>>())
        }
        Level::Fold => {
            let values = |records: &[Seen]| {
                let rows = fold(records).into_values();
                rows.map(|row| Seen { timestamp: 0, ..row }).collect::<Vec<_>>()
            };
            difference(&what, &values(wanted), &values(got))
        }
    }
}

/// With `at_least_once` nothing may be missing; what has an order keeps it.
pub fn contains(topic: &str, level: Level, wanted: &[Seen], got: &[Seen]) -> Result<(), String> {
    let (mut wanted, mut got) = (by_key(wanted), by_key(got));
    if level == Level::Multiset {
        wanted.values_mut().chain(got.values_mut()).for_each(|records| records.sort());
    }
    for (key, wanted) in &wanted {
        let got = got.get(key).cloned().unwrap_or_default();
        let mut left = got.iter();
        if !wanted.iter().all(|record| left.any(|other| other == record)) {
            return difference(&format!("topic {topic} (at least once)"), wanted, &got);
        }
    }
    Ok(())
}

/// With `at_least_once` every row is counted, perhaps more than once.
pub fn counts_at_least(output: &Output, wanted: &[Seen], got: &[Seen]) -> Result<(), String> {
    let Some(column) = output.counts else { return Ok(()) };
    let got = fold(got);
    for (key, wanted) in fold(wanted) {
        let (wanted, got) = (number(&wanted, column), got.get(&key).and_then(|seen| number(seen, column)));
        if got < wanted {
            let (topic, key) = (output.topic, String::from_utf8_lossy(&key).escape_debug().to_string());
            return Err(format!("topic {topic}, key {key}, column {column}: at least {wanted:?} wanted, {got:?} seen"));
        }
    }
    Ok(())
}

fn number(seen: &Seen, column: &str) -> Option<u64> {
    let value: serde_json::Value = serde_json::from_slice(seen.value.as_deref()?).ok()?;
    value.get(column)?.as_u64()
}

/// The counting column of every key goes 1, 2, 3, …: no row lost, none twice, whatever order they came in.
pub fn counts(output: &Output, got: &[Seen]) -> Result<(), String> {
    let Some(column) = output.counts else { return Ok(()) };
    for (key, records) in by_key(got) {
        let numbers: Vec<Option<u64>> = records.iter().map(|record| number(record, column)).collect();
        let wanted: Vec<Option<u64>> = (1..=numbers.len() as u64).map(Some).collect();
        let key = key.1.unwrap_or_default();
        let what = format!("topic {}, key {}, column {column}", output.topic, String::from_utf8_lossy(&key));
        difference(&what, &wanted, &numbers)?;
    }
    Ok(())
}

/// Records of the inputs that could not be read, as the processing log tells them.
pub fn complaints(broker: &MemoryBroker) -> Result<Vec<String>, String> {
    let mut complaints = Vec::new();
    for record in read(broker, &processing_log::topic(SERVICE))? {
        let value: serde_json::Value =
            serde_json::from_slice(&record.value.unwrap_or_default()).map_err(|error| error.to_string())?;
        let fields = ["QUERY", "KIND", "TOPIC", "TOPIC_PARTITION", "TOPIC_OFFSET", "PLACE"];
        complaints.push(fields.map(|field| value[field].to_string()).join(" "));
    }
    complaints.sort();
    Ok(complaints)
}

/// The two lists of complaints are the same.
pub fn same_complaints(wanted: &[String], got: &[String]) -> Result<(), String> {
    difference("processing log", wanted, got)
}

/// Every complaint about an input is there, perhaps more than once. Topics between queries have other offsets when
/// records came twice.
pub fn all_complaints(inputs: &[Input], wanted: &[String], got: &[String]) -> Result<(), String> {
    let of_input = |complaint: &&String| inputs.iter().any(|i| complaint.contains(&format!(" \"{}\" ", i.name)));
    let mut left = got.iter();
    match wanted.iter().filter(of_input).find(|complaint| !left.any(|other| other == *complaint)) {
        None => Ok(()),
        Some(missing) => Err(format!("processing log (at least once): {missing} is missing")),
    }
}

/// What a store may hold besides what its changelog says, where somebody wrote to the changelog without a transaction
/// after the group had expelled it: such a record is newer than those of the task that went on, which may not have read
/// it. Of such a key the store holds one of the values that the changelog ever had, or none, which can be told as long as
/// `log` is `whole` and not compacted; all others must agree.
fn without_strays(
    strays: &BTreeSet<(TopicPartition, Vec<u8>)>,
    changelog: &TopicPartition,
    (log, whole): (&[Seen], bool),
    rows: &mut Vec<(Vec<u8>, Vec<u8>)>,
) -> Result<(), String> {
    let is_stray = |key: &Vec<u8>| strays.contains(&(changelog.clone(), key.clone()));
    for (key, value) in rows.iter().filter(|(key, _)| is_stray(key)) {
        let known = log.iter().any(|seen| seen.key.as_ref() == Some(key) && seen.value.as_ref() == Some(value));
        if whole && !known {
            return Err(format!("{changelog} never had the value {value:?} of key {key:?}"));
        }
    }
    rows.retain(|(key, _)| !is_stray(key));
    Ok(())
}

fn contents(store: &StateStore) -> Result<Vec<(Vec<u8>, Vec<u8>)>, String> {
    let mut rows = Vec::new();
    let visited = store.range(Bound::Unbounded, Bound::Unbounded, &mut |key, value| {
        rows.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    });
    visited.map_err(|error| error.to_string())?;
    Ok(rows)
}

/// Every task is somewhere, once, and its stores are what their changelogs say.
pub fn stores(world: &World<'_>) -> Result<(), String> {
    let strays = world.broker.strays();
    for (at, query) in world.deployment.queries.iter().enumerate() {
        let blueprint = &query.blueprint;
        let mut tasks = BTreeMap::new();
        for task in world.sessions(at).flat_map(|session| session.tasks()) {
            if tasks.insert((task.sub_topology, task.partition), task).is_some() {
                return Err(format!("two tasks for {}.{}", task.sub_topology, task.partition));
            }
        }
        for sub_topology in 0..blueprint.topology.sub_topologies.len() {
            let logs: Vec<Option<Vec<Seen>>> = (0..blueprint.topology.sub_topologies[sub_topology].stores.len())
                .map(|store| blueprint.changelog_topic(sub_topology, store))
                .map(|topic| topic.map(|topic| read(&world.broker, &topic)).transpose())
                .collect::<Result<_, _>>()?;
            for partition in 0..blueprint.task_count(sub_topology) {
                let task = tasks.get(&(sub_topology, partition));
                let task = task.ok_or_else(|| format!("nobody has task {sub_topology}.{partition}"))?;
                for (i, (store, log)) in task.stores().iter().zip(&logs).enumerate() {
                    let (Some(log), Some(topic)) = (log, blueprint.changelog_topic(sub_topology, i)) else { continue };
                    let changelog = TopicPartition::new(topic.as_str(), partition);
                    let own: Vec<Seen> = log.iter().filter(|record| record.partition == partition).cloned().collect();
                    let mut replayed: Vec<(Vec<u8>, Vec<u8>)> =
                        fold(&own).into_iter().map(|(key, seen)| (key, seen.value.unwrap_or_default())).collect();
                    let what = format!("store {} of task {sub_topology}.{partition} and its changelog", store.name());
                    let mut held = contents(store)?;
                    let (first, end) = world.broker.offsets(&changelog).map_err(|error| error.to_string())?;
                    let log = (own.as_slice(), own.len() as i64 == end - first);
                    without_strays(&strays, &changelog, log, &mut replayed)?;
                    without_strays(&strays, &changelog, log, &mut held)?;
                    difference(&what, &replayed, &held)?;
                }
            }
        }
    }
    Ok(())
}
