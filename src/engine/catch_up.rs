//! [`CatchUp`]: whether the persistent queries have read, and committed, everything that there was when one asked.
//!
//! Topics that no query of the deployment writes are read to the end that they had at the beginning: so it comes to an
//! end even while others go on writing. Topics that its queries write, repartition topics included, follow in rounds:
//! when all goals are reached their ends are taken anew, as often as a chain of queries can be long, or until nothing
//! new is in them.
//!
//! **Invariant:** only committed offsets count as read. Where one stands short of the end, the topic itself is asked
//! whether a record is left between them, as markers of transactions are none.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::core::Engine;
use super::session::{QueryState, QueryStatus};
use crate::broker::{Broker, ConsumerOptions, Start, TopicPartition};
use crate::error::{ErrorKind, Result};
use crate::runtime::processing_log;

/// How long a look into a topic for what is left of it may take; after it the answer is no, for now.
const LOOK_POLLS: usize = 20;
const LOOK_WAIT: Duration = Duration::from_millis(50);

/// One query's input partition and how far it is to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Goal {
    query: String,
    group: String,
    partition: TopicPartition,
    /// Where reading begins if nothing is committed; `None` when only the query knows.
    first: Option<i64>,
    end: i64,
}

/// A deployment on its way to the end of what it reads.
pub struct CatchUp {
    broker: Arc<dyn Broker>,
    /// Input partitions of every query, with those of topics that a query writes apart.
    derived: Vec<Goal>,
    goals: Vec<Goal>,
    /// The ends that the last round went to.
    last: Vec<i64>,
    rounds: usize,
}

impl Engine {
    /// Begins to watch the queries that there are now; `None` while one could not be started, as nobody knows then what
    /// it will read.
    pub fn catch_up(&self) -> Result<Option<CatchUp>> {
        let (broker, inputs, written) = {
            let inner = self.lock();
            let mut written = BTreeSet::from([processing_log::topic(self.service_id())]);
            let mut inputs = Vec::new();
            for (id, info) in &inner.interpreter.queries {
                written.insert(info.sink_topic.clone());
                let latest = info.properties.start() == Start::Latest;
                let Some(query) = inner.live.queries.get(id) else { return Ok(None) };
                let blueprint = &query.blueprint;
                for sub in 0..blueprint.topology.sub_topologies.len() {
                    for topic in blueprint.topics_of(sub) {
                        if blueprint.is_repartition(&topic) {
                            written.insert(topic.clone());
                        }
                        let whole = !latest || blueprint.reads_whole(sub, &topic);
                        let partitions = blueprint.partitions.get(&topic).copied().unwrap_or(1);
                        for partition in 0..partitions {
                            let partition = TopicPartition::new(topic.as_str(), partition);
                            inputs.push((id.clone(), inner.live.prefix(id), partition, whole));
                        }
                    }
                }
            }
            (inner.live.broker().clone(), inputs, written)
        };
        let goals = inputs.into_iter().map(|(query, group, partition, whole)| {
            let (first, end) = broker.offsets(&partition)?;
            Ok(Goal { query, group, partition, first: whole.then_some(first), end })
        });
        let (derived, goals) =
            goals.collect::<Result<Vec<_>>>()?.into_iter().partition(|goal| written.contains(&*goal.partition.topic));
        Ok(Some(CatchUp::new(broker, derived, goals)))
    }
}

impl CatchUp {
    fn new(broker: Arc<dyn Broker>, derived: Vec<Goal>, goals: Vec<Goal>) -> Self {
        let topics: BTreeSet<&str> = derived.iter().map(|goal| &*goal.partition.topic).collect();
        let rounds = topics.len();
        Self { broker, derived, goals, last: Vec::new(), rounds }
    }

    /// Whether all is read and committed, as far as these statuses and the broker say. Asks the broker only where a
    /// query says that it has nothing left; a broker that does not answer is asked again the next time.
    pub fn is_done(&mut self, statuses: &[QueryStatus]) -> Result<bool> {
        match self.advance(statuses) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                tracing::debug!(%error, "how far the queries are cannot be told at the moment");
                Ok(false)
            }
            other => other,
        }
    }

    fn advance(&mut self, statuses: &[QueryStatus]) -> Result<bool> {
        let find = |id: &str| statuses.iter().find(|status| status.id == id);
        loop {
            // One that was ended or paused meanwhile will not come to its end.
            self.goals.retain(|goal| find(&goal.query).is_some_and(|status| status.state != QueryState::Paused));
            let mut asked = BTreeSet::new();
            while let Some(goal) = self.goals.iter().find(|goal| !asked.contains(&goal.query)) {
                let query = goal.query.clone();
                if find(&query).is_some_and(|status| status.state == QueryState::Running && status.lag == 0) {
                    self.ask(&query)?;
                }
                asked.insert(query);
            }
            if !self.goals.is_empty() {
                return Ok(false);
            }
            if self.rounds == 0 {
                return Ok(true);
            }
            self.rounds -= 1;
            for goal in &mut self.derived {
                // With what is not decided yet: offsets show as committed before all that was written with them does.
                goal.end = self.broker.high_watermark(&goal.partition)?;
            }
            let ends: Vec<i64> = self.derived.iter().map(|goal| goal.end).collect();
            if ends == self.last {
                self.rounds = 0;
                return Ok(true);
            }
            self.last = ends;
            self.goals = self.derived.clone();
        }
    }

    /// Drops the goals of a query that its committed offsets have reached.
    fn ask(&mut self, query: &str) -> Result<()> {
        let of_query: Vec<Goal> = self.goals.iter().filter(|goal| goal.query == query).cloned().collect();
        let Some(group) = of_query.first().map(|goal| goal.group.clone()) else { return Ok(()) };
        let partitions: Vec<TopicPartition> = of_query.iter().map(|goal| goal.partition.clone()).collect();
        let committed = self.broker.committed(&group, &partitions)?;
        let mut short = Vec::new();
        for goal in of_query {
            let offset = committed.iter().find(|offset| offset.partition == goal.partition).map(|found| found.offset);
            // Without either it began at the end, and says that it has read all since.
            if let Some(offset) = offset.or(goal.first)
                && offset < goal.end
            {
                short.push((goal.partition, offset, goal.end));
            }
        }
        let left = records_between(self.broker.as_ref(), short)?;
        self.goals.retain(|goal| goal.query != query || left.contains(&goal.partition));
        Ok(())
    }
}

/// Of partitions with an offset and an end, those that have, or may have, a record between them.
fn records_between(
    broker: &dyn Broker,
    mut ranges: Vec<(TopicPartition, i64, i64)>,
) -> Result<BTreeSet<TopicPartition>> {
    let mut left: BTreeSet<TopicPartition> = ranges.iter().map(|(partition, ..)| partition.clone()).collect();
    // Up to an end that is behind an open transaction nobody can look.
    let mut visible = Vec::with_capacity(ranges.len());
    for (partition, ..) in &ranges {
        visible.push(broker.offsets(partition)?.1);
    }
    let mut visible = visible.into_iter();
    ranges.retain(|(_, _, end)| visible.next().is_some_and(|visible| visible >= *end));
    if ranges.is_empty() {
        return Ok(left);
    }
    let mut consumer = broker.consumer(&ConsumerOptions { client_id: "catch-up".into(), ..Default::default() })?;
    let starts: Vec<_> = ranges.iter().map(|(partition, from, _)| (partition.clone(), Start::Offset(*from))).collect();
    consumer.assign(&starts)?;
    let mut open = ranges;
    for _ in 0..LOOK_POLLS {
        let sets = consumer.poll(100, LOOK_WAIT)?.sets;
        open.retain(|(partition, from, end)| {
            let set = sets.iter().find(|set| set.topic == partition.topic && set.partition == partition.partition);
            match set.and_then(|set| set.offsets.first()) {
                Some(first) => {
                    if first >= end {
                        left.remove(partition);
                    }
                    false
                }
                None if consumer.end_offset(partition) == Some(*from) => {
                    left.remove(partition);
                    false
                }
                None => true,
            }
        });
        if open.is_empty() {
            break;
        }
    }
    consumer.close();
    Ok(left)
}
