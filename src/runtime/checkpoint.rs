//! [`Checkpoints`]: when a worker's tasks are saved on the local disk, and as of which place in their changelogs.
//!
//! A checkpoint goes with a commit: **before** it the changelogs are asked where they end, **after** it the stores are
//! saved with those offsets. The commit proves that nobody else owned the partition in between, so all records before
//! the offsets are in the stores. Asked after the commit, a worker that was suspended for a while would take records of
//! its successor for its own.

use std::collections::BTreeMap;

use super::restore::{LOCAL_AGE_MAX_MS, changelog_partition};
use super::task::Task;
use super::worker::WorkerConfig;
use crate::error::Result;
use crate::state::Position;

/// A checkpoint without changes is renewed after so long, lest it grow too old.
const RENEW_US: i64 = LOCAL_AGE_MAX_MS * 1000 / 10;

/// Which tasks of a commit are saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Save {
    /// The one that has waited longest, if its time has come: so pauses stay short.
    Due,
    /// All that changed: the worker stops, or partitions go.
    All,
}

/// When a worker's tasks were saved: monotonic microseconds by sub-topology and partition.
#[derive(Debug, Default)]
pub struct Checkpoints {
    saved_us: BTreeMap<(usize, i32), i64>,
}

/// A checkpoint that waits for its commit: tasks by index, and where the changelog of each of their stores ended.
#[derive(Debug, Default)]
pub struct Pending {
    tasks: Vec<(usize, Vec<Option<Position>>)>,
}

impl Pending {
    /// Whether the commit has to happen, though there be nothing in it.
    pub fn is_some(&self) -> bool {
        !self.tasks.is_empty()
    }
}

impl Checkpoints {
    /// Before a commit: which tasks are to be saved after it. A broker that does not answer puts it off.
    pub fn before_commit(&mut self, save: Save, tasks: &[Task], config: &WorkerConfig) -> Pending {
        let now_us = config.clock.monotonic_us();
        let interval_us = config.state.checkpoint_interval_ms.saturating_mul(1000);
        let mut due: Vec<(i64, usize)> = Vec::new();
        for (i, task) in tasks.iter().enumerate().filter(|(_, task)| task.keeps_checkpoints()) {
            let saved_us = *self.saved_us.entry((task.sub_topology, task.partition)).or_insert(now_us);
            let age_us = now_us - saved_us;
            let wanted = match save {
                Save::All => task.is_unsaved(),
                Save::Due => task.is_unsaved() && age_us >= interval_us,
            };
            if wanted || age_us >= RENEW_US.max(interval_us) {
                due.push((saved_us, i));
            }
        }
        due.sort_unstable();
        if save == Save::Due {
            due.truncate(1);
        }
        let mut pending = Pending::default();
        for (_, i) in due {
            match positions(&tasks[i], config) {
                Ok(positions) => pending.tasks.push((i, positions)),
                Err(error) => {
                    tracing::warn!(query = config.blueprint.query_id, %error, "local checkpoint put off");
                    self.saved_us.insert((tasks[i].sub_topology, tasks[i].partition), now_us);
                }
            }
        }
        pending
    }

    /// After the commit that `pending` waited for.
    pub fn after_commit(&mut self, pending: Pending, tasks: &mut [Task], now_us: i64) -> Result<()> {
        for (i, positions) in pending.tasks {
            let task = &mut tasks[i];
            task.checkpoint(&positions)?;
            self.saved_us.insert((task.sub_topology, task.partition), now_us);
        }
        Ok(())
    }
}

fn positions(task: &Task, config: &WorkerConfig) -> Result<Vec<Option<Position>>> {
    let position = |store: usize| {
        let Some(topic) = config.blueprint.changelog_topic(task.sub_topology, store) else { return Ok(None) };
        let (_, offset) = config.broker.offsets(&changelog_partition(&topic, task.partition))?;
        let incarnation = config.broker.incarnation(&topic)?;
        Ok(Some(Position { offset, at_ms: config.clock.now_ms(), incarnation }))
    };
    (0..task.stores().len()).map(position).collect()
}
