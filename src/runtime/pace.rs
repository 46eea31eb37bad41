//! [`Pace`]: keeps the partitions that a query reads close to each other in event time, where rows of several of them
//! meet behind a repartition topic.
//!
//! Over a backlog one partition is easily minutes of event time ahead of another. Behind the repartition topic stream
//! time is that of the rows that are ahead, and those of the other partition are late. So no task takes rows that are
//! further than [`Pace::drift_ms`] ahead of the input that is furthest behind. Only partitions read in this process are
//! compared.
//!
//! **Invariant:** the input that is furthest behind is never held back, nor any whose like does not move for
//! [`PATIENCE_US`]; one that has been read to its end holds nobody back.

use std::sync::{Arc, Mutex, PoisonError};

use crate::plan::topology::{OperatorSpec, SubTopology, Topology};
use crate::time::NO_TIME;

/// Nobody has to wait for an input at this place.
pub const FREE: i64 = i64::MAX;
/// How long inputs wait for one that does not get on: a partition without a leader, say.
const PATIENCE_US: i64 = 60_000_000;
/// Shortest drift: rounds of a few rows would be slow.
const DRIFT_MS_MIN: i64 = 500;

/// Shared by the workers of a query in one process.
#[derive(Debug)]
pub struct Pace {
    drift_ms: i64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// By worker: event time of its input that is furthest behind.
    places: Vec<i64>,
    until: i64,
    until_since_us: i64,
}

impl Pace {
    /// `None` for a query without operators behind a repartition topic for which rows may be late.
    pub fn of(topology: &Topology, workers: usize) -> Option<Arc<Self>> {
        let graces = topology.sub_topologies.iter().filter(|sub| is_fed_by_others(sub)).filter_map(shortest_grace_ms);
        let drift_ms = (graces.min()? / 2).max(DRIFT_MS_MIN);
        let state = State { places: vec![FREE; workers], until: FREE, until_since_us: 0 };
        Some(Arc::new(Self { drift_ms, state: Mutex::new(state) }))
    }

    /// How far inputs may be apart: half of what a row may be late, as rows also wait for commits.
    pub fn drift_ms(&self) -> i64 {
        self.drift_ms
    }

    /// Tells where a worker's inputs are; up to which event time it may take rows.
    pub fn tell(&self, worker: usize, place: i64, now_us: i64) -> i64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(told) = state.places.get_mut(worker) {
            *told = place;
        }
        let behind = state.places.iter().copied().min().unwrap_or(FREE);
        let until = behind.saturating_add(self.drift_ms);
        if until != state.until {
            (state.until, state.until_since_us) = (until, now_us);
        }
        if now_us - state.until_since_us > PATIENCE_US { FREE } else { until }
    }
}

fn is_fed_by_others(sub: &SubTopology) -> bool {
    sub.nodes.iter().any(|node| matches!(node.spec, OperatorSpec::RepartitionSource { .. }))
}

fn shortest_grace_ms(sub: &SubTopology) -> Option<i64> {
    let graces = sub.nodes.iter().filter_map(|node| match &node.spec {
        OperatorSpec::Aggregate(spec) => Some(spec.window?.grace_ms),
        OperatorSpec::StreamStreamJoin(spec) => Some(spec.grace_ms),
        _ => None,
    });
    graces.min()
}

/// Which rows an input may take now.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Event time up to which; see [`Pace::tell`].
    pub until: i64,
    /// Rows from the future wait for nobody: nothing ever catches up with them.
    pub now_ms: i64,
}

impl Limit {
    /// All rows.
    pub const NONE: Self = Self { until: FREE, now_ms: NO_TIME };

    /// Whether a row of this time may be taken.
    pub fn allows(self, time: i64) -> bool {
        time <= self.until || time > self.now_ms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(workers: usize) -> Pace {
        let state = State { places: vec![FREE; workers], until: FREE, until_since_us: 0 };
        Pace { drift_ms: 1_000, state: Mutex::new(state) }
    }

    #[test]
    fn nobody_runs_further_ahead_than_the_drift() {
        let pace = pace(2);
        assert_eq!(pace.tell(0, 5_000, 0), 6_000);
        assert_eq!(pace.tell(1, 70_000, 1), 6_000, "the other is behind");
        assert_eq!(pace.tell(0, 69_500, 2), 70_500);
        assert_eq!(pace.tell(0, FREE, 3), 71_000, "what has come to its end counts no more");
        assert_eq!(pace.tell(1, FREE, 4), FREE);
    }

    #[test]
    fn what_is_not_known_yet_is_waited_for_but_not_for_ever() {
        let pace = pace(2);
        assert!(pace.tell(0, NO_TIME, 0) < 0);
        assert!(pace.tell(1, 5_000, PATIENCE_US) < 0);
        assert_eq!(pace.tell(1, 5_000, PATIENCE_US + 1), FREE);
        assert_eq!(pace.tell(0, 4_000, PATIENCE_US + 2), 5_000, "it moves again");
    }

    #[test]
    fn rows_from_the_future_wait_for_nobody() {
        let limit = Limit { until: 1_000, now_ms: 5_000 };
        let allowed = [999, 1_000, 1_001, 5_000, 5_001].map(|time| limit.allows(time));
        assert_eq!(allowed, [true, true, false, false, true]);
        assert!(Limit::NONE.allows(i64::MAX));
    }
}
