//! [`Board`]: what the demo knows at a moment: each query's numbers and the newest results of each output topic.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::broker::{Broker, Consumer, ConsumerOptions, Start, TopicPartition};
use crate::engine::QueryStatus;
use crate::error::Result;
use crate::time::Clock;

/// Rates are averages over so long.
const RATE_WINDOW_US: i64 = 3_000_000;

/// Results kept of each topic.
const NEWEST_KEPT: usize = 8;

/// Records taken from the output topics at a time.
const POLL_RECORDS_MAX: usize = 5_000;

/// The topics that the demo is about; what leads to them is not followed when they are there.
pub const RESULTS: [&str; 5] =
    ["aggregated_revenue", "large_orders", "failed_payments", "frequent_failed_payments", "order"];

/// What is shown.
#[derive(Debug, Default)]
pub struct Board {
    /// One entry a query, in the order of deployment.
    pub queries: Vec<QueryLine>,
    /// One entry an output topic.
    pub tails: Vec<Tail>,
    /// Records generated.
    pub generated: u64,
    /// Since the start.
    pub elapsed_us: i64,
    /// Event time a second.
    pub speed: f64,
    samples: BTreeMap<String, VecDeque<(i64, u64, u64)>>,
}

/// A query's numbers.
#[derive(Debug, Clone)]
pub struct QueryLine {
    /// As the engine tells them.
    pub status: QueryStatus,
    /// Records read a second.
    pub rate_in: f64,
    /// Records written a second.
    pub rate_out: f64,
}

/// The newest records of an output topic.
#[derive(Default)]
pub struct Tail {
    /// The topic.
    pub topic: String,
    /// Its newest records as text, oldest first.
    pub newest: VecDeque<String>,
    /// Records seen.
    pub count: u64,
    consumer: Option<Box<dyn Consumer>>,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail").field("topic", &self.topic).field("count", &self.count).finish_non_exhaustive()
    }
}

impl Board {
    /// An empty board.
    pub fn new(speed: f64) -> Self {
        Self { speed, ..Self::default() }
    }

    /// Event time of the query that has come furthest.
    pub fn event_time(&self) -> Option<i64> {
        self.queries.iter().filter_map(|line| line.status.stream_time).max()
    }

    /// Takes new numbers and results.
    pub fn refresh(&mut self, statuses: &[QueryStatus], broker: &dyn Broker, clock: &dyn Clock) -> Result<()> {
        self.take(statuses, clock.monotonic_us());
        for tail in &mut self.tails {
            tail.poll(broker)?;
        }
        Ok(())
    }

    /// Takes new numbers, at this moment.
    pub fn take(&mut self, statuses: &[QueryStatus], now_us: i64) {
        self.queries.clear();
        for status in statuses {
            let samples = self.samples.entry(status.id.clone()).or_default();
            samples.push_back((now_us, status.rows_in, status.rows_out));
            while samples.len() > 2 && samples[1].0 <= now_us - RATE_WINDOW_US {
                samples.pop_front();
            }
            let (since, rows_in, rows_out) = samples[0];
            let seconds = ((now_us - since) as f64 / 1e6).max(0.1);
            self.queries.push(QueryLine {
                status: status.clone(),
                rate_in: status.rows_in.saturating_sub(rows_in) as f64 / seconds,
                rate_out: status.rows_out.saturating_sub(rows_out) as f64 / seconds,
            });
        }
        let known = |status: &&QueryStatus| RESULTS.contains(&status.sink_topic.as_str());
        let all = !statuses.iter().any(|status| known(&status));
        for status in statuses.iter().filter(|status| !status.sink_topic.is_empty() && (all || known(status))) {
            if !self.tails.iter().any(|tail| tail.topic == status.sink_topic) {
                self.tails.push(Tail { topic: status.sink_topic.clone(), ..Tail::default() });
            }
        }
        self.tails.sort_by_key(|tail| RESULTS.iter().position(|topic| *topic == tail.topic));
    }
}

impl Tail {
    fn poll(&mut self, broker: &dyn Broker) -> Result<()> {
        if self.consumer.is_none() {
            let Some(info) = broker.topic(&self.topic)? else { return Ok(()) };
            let partitions: Vec<_> = (0..info.partitions)
                .map(|partition| (TopicPartition::new(self.topic.as_str(), partition), Start::Earliest))
                .collect();
            let mut consumer = broker.consumer(&options())?;
            consumer.assign(&partitions)?;
            self.consumer = Some(consumer);
        }
        let Some(consumer) = &mut self.consumer else { return Ok(()) };
        for set in consumer.poll(POLL_RECORDS_MAX, Duration::ZERO)?.sets {
            self.count += set.len() as u64;
            for i in set.len().saturating_sub(NEWEST_KEPT)..set.len() {
                let (key, value) = (set.keys.get(i), set.values.get(i));
                self.newest.push_back(line(key, value));
            }
        }
        let surplus = self.newest.len().saturating_sub(NEWEST_KEPT);
        self.newest.drain(..surplus);
        Ok(())
    }
}

fn options() -> ConsumerOptions {
    ConsumerOptions { client_id: "eddyline-demo".to_owned(), ..ConsumerOptions::default() }
}

/// A record as a line: key, then value.
pub fn line(key: Option<&[u8]>, value: Option<&[u8]>) -> String {
    let value = value.map_or("<tombstone>".into(), String::from_utf8_lossy);
    match key.and_then(key_text) {
        Some(key) => format!("{key}  {value}"),
        None => value.into_owned(),
    }
}

/// A key that is text, or text and the start of its window; other bytes say nothing to people.
fn key_text(key: &[u8]) -> Option<String> {
    let printable = |bytes: &[u8]| {
        let text = std::str::from_utf8(bytes).ok()?;
        (!text.is_empty() && !text.chars().any(char::is_control)).then(|| text.to_owned())
    };
    if let Some(text) = printable(key) {
        return Some(text);
    }
    let (name, start) = key.split_last_chunk::<8>()?;
    let start = chrono::DateTime::from_timestamp_millis(i64::from_be_bytes(*start))?;
    Some(format!("{} @ {}", printable(name)?, start.format("%H:%M")))
}

/// Event time of the newest record of a topic: its last record in each partition.
pub fn newest_timestamp(broker: &dyn Broker, topic: &str) -> Result<Option<i64>> {
    let Some(info) = broker.topic(topic)? else { return Ok(None) };
    let mut partitions = Vec::new();
    for partition in 0..info.partitions {
        let partition = TopicPartition::new(topic, partition);
        let (first, end) = broker.offsets(&partition)?;
        if end > first {
            partitions.push((partition, Start::Offset(end - 1)));
        }
    }
    if partitions.is_empty() {
        return Ok(None);
    }
    let mut consumer = broker.consumer(&options())?;
    consumer.assign(&partitions)?;
    let mut newest = None;
    // A partition may end in a transaction marker, so that not every one brings a record: look a few times only.
    for _ in 0..5 {
        for set in consumer.poll(partitions.len(), Duration::from_millis(100))?.sets {
            newest = newest.max(set.timestamps.iter().copied().max());
        }
    }
    consumer.close();
    Ok(newest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::memory::MemoryBroker;
    use crate::broker::{OutRecord, ProducerOptions, TopicSpec};

    #[test]
    fn keys_are_shown_when_they_are_text() {
        assert_eq!(line(Some(b"usr-1"), Some(b"{}")), "usr-1  {}");
        assert_eq!(line(None, None), "<tombstone>");
        assert_eq!(line(Some(&[0, 1]), Some(b"{}")), "{}");
        let windowed = [b"usr-1".as_slice(), &1_600_000_200_000i64.to_be_bytes()].concat();
        assert_eq!(line(Some(&windowed), Some(b"{}")), "usr-1 @ 12:30  {}");
    }

    #[test]
    fn tails_follow_topics_that_come_later() {
        let broker = MemoryBroker::new();
        let mut tail = Tail { topic: "order".to_owned(), ..Tail::default() };
        tail.poll(&broker).unwrap();
        assert_eq!((tail.count, newest_timestamp(&broker, "order").unwrap()), (0, None));
        let spec = TopicSpec { name: "order".into(), partitions: 2, replicas: None, config: Vec::new() };
        broker.create_topic(&spec).unwrap();
        let mut producer = broker.producer(&ProducerOptions::default()).unwrap();
        for i in 0..20 {
            let value = format!("v{i}");
            let (value, timestamp) = (Some(value.as_bytes()), 100 + i);
            let record = OutRecord { topic: "order", partition: 1, key: Some(b"k"), value, timestamp, headers: &[] };
            producer.send(record).unwrap();
        }
        producer.commit(&[], None).unwrap();
        tail.poll(&broker).unwrap();
        assert_eq!((tail.count, tail.newest.len()), (20, NEWEST_KEPT));
        assert_eq!(tail.newest.back().map(String::as_str), Some("k  v19"));
        assert_eq!(newest_timestamp(&broker, "order").unwrap(), Some(119));
    }
}
