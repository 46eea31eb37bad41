//! `PRINT`: records of a topic as people can read them.

use std::collections::VecDeque;
use std::time::Duration;

use super::session::{RowEvent, RowStream};
use crate::broker::{Broker, Consumer, ConsumerOptions, Start, TopicPartition};
use crate::error::{Error, Result, did_you_mean};
use crate::format::text;
use crate::types::{SqlType, Value};

/// What to print.
pub struct Print {
    /// The topic.
    pub topic: String,
    /// From its first record rather than from now on.
    pub from_beginning: bool,
    /// Every n-th record only.
    pub interval: u64,
    /// Ends after so many.
    pub limit: Option<u64>,
}

struct PrintStream {
    consumer: Box<dyn Consumer>,
    columns: Vec<(String, SqlType)>,
    waiting: VecDeque<Vec<Value>>,
    interval: u64,
    seen: u64,
    left: Option<u64>,
}

/// Starts printing.
pub fn start(print: Print, broker: &dyn Broker) -> Result<Box<dyn RowStream>> {
    let Some(info) = broker.topic(&print.topic)? else {
        let error = Error::not_found(format!("topic {} does not exist", print.topic));
        let topics = broker.topics()?;
        return Err(match did_you_mean(&print.topic, topics.iter().map(|topic| topic.name.as_str())) {
            Some(near) => error.hint(format!("Did you mean '{near}'? Topic names are case-sensitive: quote them.")),
            None => error.hint("SHOW TOPICS lists all topics. Topic names are case-sensitive: quote them."),
        });
    };
    let mut consumer = broker.consumer(&ConsumerOptions { client_id: "print".into(), ..Default::default() })?;
    let mut assignment = Vec::new();
    for partition in 0..info.partitions {
        let partition = TopicPartition::new(print.topic.as_str(), partition);
        let (first, end) = broker.offsets(&partition)?;
        assignment.push((partition, Start::Offset(if print.from_beginning { first } else { end })));
    }
    consumer.assign(&assignment)?;
    let names = [("ROWTIME", SqlType::Timestamp), ("KEY", SqlType::String), ("VALUE", SqlType::String)];
    let mut columns: Vec<_> = names.into_iter().map(|(name, ty)| (name.to_owned(), ty)).collect();
    columns.push(("PARTITION".to_owned(), SqlType::Int));
    Ok(Box::new(PrintStream {
        consumer,
        columns,
        waiting: VecDeque::new(),
        interval: print.interval.max(1),
        seen: 0,
        left: print.limit,
    }))
}

impl RowStream for PrintStream {
    fn columns(&self) -> &[(String, SqlType)] {
        &self.columns
    }

    fn next(&mut self, timeout: Duration) -> Result<RowEvent> {
        if self.left == Some(0) {
            return Ok(RowEvent::End("Limit Reached".to_owned()));
        }
        if self.waiting.is_empty() {
            for set in self.consumer.poll(1000, timeout)?.sets {
                for i in 0..set.len() {
                    self.seen += 1;
                    if !(self.seen - 1).is_multiple_of(self.interval) {
                        continue;
                    }
                    let shown = |bytes: Option<&[u8]>| bytes.map_or(Value::Null, |b| Value::String(text::readable(b)));
                    self.waiting.push_back(vec![
                        Value::Timestamp(set.timestamps[i]),
                        shown(set.keys.get(i)),
                        shown(set.values.get(i)),
                        Value::Int(set.partition),
                    ]);
                }
            }
        }
        match self.waiting.pop_front() {
            None => Ok(RowEvent::Idle),
            Some(row) => {
                if let Some(left) = &mut self.left {
                    *left -= 1;
                }
                Ok(RowEvent::Row(row))
            }
        }
    }
}
