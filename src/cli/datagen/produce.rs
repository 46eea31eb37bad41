//! Writes a shop's records to a broker at a steady rate.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Kind, Shop};
use crate::broker::murmur2::partition_for;
use crate::broker::{Broker, OutRecord, Producer, ProducerOptions, TopicSpec};
use crate::error::{Error, ErrorKind, Result};
use crate::time::Clock;

/// Pause between two rounds of sending.
const ROUND: Duration = Duration::from_millis(20);

/// Records of one round when no rate limits them.
const ROUND_RECORDS_MAX: u64 = 2_000;

/// How fast records are made, and how event time moves with them.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Records a second; 0 for no limit.
    pub rate: u32,
    /// Event time a second of the wall clock.
    pub speed: f64,
    /// Event time of the first record.
    pub start_ms: i64,
    /// Stop after so many.
    pub count: Option<u64>,
}

impl Pace {
    /// Event time of the `i`-th record: by its number, so that a slow machine makes the same records.
    pub fn event_time(&self, i: u64) -> i64 {
        let a_second = if self.rate == 0 { 1_000 } else { self.rate };
        self.start_ms + (i as f64 * 1000.0 * self.speed / f64::from(a_second)) as i64
    }

    /// How many records are due after so much time.
    fn due(&self, elapsed_us: i64, sent: u64) -> u64 {
        let due = match self.rate {
            0 => sent + ROUND_RECORDS_MAX,
            // The first record at once, the rest evenly.
            rate => 1 + (elapsed_us as f64 * f64::from(rate) / 1e6) as u64,
        };
        due.min(self.count.unwrap_or(u64::MAX))
    }
}

/// The topics that are filled, with their partitions.
#[derive(Debug, Clone)]
pub struct Topics {
    /// From the shop's topic to the real one.
    targets: BTreeMap<&'static str, (String, i32)>,
}

impl Topics {
    /// Finds the topics of a kind, and creates those that do not exist.
    pub fn prepare(broker: &dyn Broker, kind: Kind, renamed: Option<&str>, partitions: i32) -> Result<Self> {
        let mut targets = BTreeMap::new();
        for topic in kind.topics() {
            let name = renamed.unwrap_or(topic).to_owned();
            targets.insert(*topic, (name.clone(), ensure_topic(broker, &name, partitions)?));
        }
        Ok(Self { targets })
    }

    /// Names of the real topics.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.targets.values().map(|(name, _)| name.as_str())
    }

    /// A plain producer: generated data needs no transactions.
    pub fn producer(&self, broker: &dyn Broker) -> Result<Box<dyn Producer>> {
        broker.producer(&ProducerOptions { client_id: "eddyline-datagen".to_owned(), ..ProducerOptions::default() })
    }
}

/// The number of partitions of the topic, which is created when missing.
pub fn ensure_topic(broker: &dyn Broker, name: &str, partitions: i32) -> Result<i32> {
    if let Some(info) = broker.topic(name)? {
        return Ok(info.partitions);
    }
    match broker.create_topic(&TopicSpec { name: name.to_owned(), partitions, replicas: None, config: Vec::new() }) {
        Ok(()) => Ok(partitions),
        // Somebody else was faster: theirs counts.
        Err(error) if error.kind() == ErrorKind::Conflict => {
            broker.topic(name)?.map(|info| info.partitions).ok_or_else(|| Error::internal("a topic came and went"))
        }
        Err(error) => Err(error),
    }
}

/// Sends until the count is reached or `go_on`, asked each round with what was sent so far, says no. Returns how many
/// records were sent; all of them are acknowledged.
pub fn run(
    shop: &mut Shop,
    topics: &Topics,
    producer: &mut dyn Producer,
    pace: &Pace,
    clock: &dyn Clock,
    go_on: &mut dyn FnMut(u64) -> bool,
) -> Result<u64> {
    let started = clock.monotonic_us();
    let mut sent = 0u64;
    while go_on(sent) && pace.count.is_none_or(|count| sent < count) {
        // A machine that fell behind catches up in rounds, so that Ctrl-C is heard in between.
        let due = pace.due(clock.monotonic_us() - started, sent).min(sent + ROUND_RECORDS_MAX);
        if due > sent {
            producer.begin()?;
            while sent < due {
                let record = shop.next(pace.event_time(sent));
                let (topic, partitions) = &topics.targets[record.topic];
                producer.send(OutRecord {
                    topic,
                    partition: partition_for(record.key.as_bytes(), *partitions),
                    key: Some(record.key.as_bytes()),
                    value: Some(record.value.as_bytes()),
                    timestamp: record.timestamp,
                    headers: &[],
                })?;
                sent += 1;
            }
            producer.commit(&[], None)?;
        }
        if pace.rate > 0 {
            clock.sleep(ROUND);
        }
    }
    Ok(sent)
}
