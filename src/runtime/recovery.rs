//! [`Recovery`]: a task on its way back: its stores are restored step by step while its worker goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::build::{Blueprint, Positions};
use super::holdings::Wanted;
use super::position::{Position, position_of};
use super::processing_log::Entry;
use super::restore::{Restore, changelog_partition};
use super::standby::Lease;
use super::task::Task;
use super::worker::WorkerConfig;
use crate::broker::{CommittedOffset, TopicPartition};
use crate::error::Result;
use crate::state::StateStore;
use crate::time::NO_TIME;

/// A task whose stores are being restored.
pub struct Recovery {
    wanted: Wanted,
    committed: Vec<CommittedOffset>,
    positions: Positions,
    incarnations: BTreeMap<Arc<str>, u64>,
    stream_time: i64,
    epoch: u64,
    stores: Vec<StateStore>,
    /// By store, those that are done left out.
    restores: BTreeMap<usize, Restore>,
    lease: Option<Lease>,
}

impl Recovery {
    /// Index of the sub-topology.
    pub fn sub_topology(&self) -> usize {
        self.wanted.sub_topology
    }

    /// Begins to restore what `wanted` needs. What its inputs have lost is noted in `log`.
    pub fn begin(
        wanted: Wanted,
        committed: Vec<CommittedOffset>,
        config: &WorkerConfig,
        log: &mut Vec<Entry>,
    ) -> Result<Self> {
        let (sub_topology, partition) = (wanted.sub_topology, wanted.partition);
        let mut stream_time = NO_TIME;
        let mut epoch = 0;
        let mut positions = Positions::new();
        let mut incarnations = BTreeMap::new();
        for input in &wanted.inputs {
            let found = committed.iter().find(|committed| committed.partition == *input);
            let Position { offset, progress } = position_of(config, sub_topology, input, found, log)?;
            incarnations.insert(input.topic.clone(), progress.topic);
            stream_time = stream_time.max(progress.stream_time);
            epoch = epoch.max(progress.epoch);
            positions.insert(input.topic.clone(), (offset, progress.rows_done));
        }
        let blueprint = &config.blueprint;
        let (copies, lease) = match &config.standbys {
            Some(standbys) => {
                let (copies, lease) = standbys.take(sub_topology, partition);
                (copies, Some(lease))
            }
            None => (None, None),
        };
        let (mut stores, from): (Vec<_>, Vec<_>) = match copies {
            Some(copies) => copies.into_iter().map(|copied| (copied.store, copied.next)).unzip(),
            None => {
                let stores = blueprint.stores(sub_topology, partition, &config.state);
                stores.into_iter().map(|store| (store, None)).unzip()
            }
        };
        let mut restores = BTreeMap::new();
        for (i, (store, from)) in stores.iter_mut().zip(from).enumerate() {
            if let Some(topic) = blueprint.changelog_topic(sub_topology, i) {
                let changelog = changelog_partition(&topic, partition);
                let (broker, clock, metrics) = (&config.broker, &config.clock, &config.metrics);
                let restore = match from {
                    Some(from) => Restore::resume(broker, clock, metrics, changelog, from)?,
                    None => Restore::begin(broker, clock, metrics, changelog, store)?,
                };
                restores.insert(i, restore);
            }
        }
        Ok(Self { wanted, committed, positions, incarnations, stream_time, epoch, stores, restores, lease })
    }

    /// What it will read.
    pub fn inputs(&self) -> &[TopicPartition] {
        &self.wanted.inputs
    }

    /// Where reading of an input starts.
    pub fn position(&self, topic: &Arc<str>) -> i64 {
        self.positions.get(topic).map_or(0, |(offset, _)| *offset)
    }

    /// The newest epoch that its offsets were committed in.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Goes on for about `max_wait`; whether all stores are restored.
    pub fn step(&mut self, max_wait: Duration) -> Result<bool> {
        if let Some((store, restore)) = self.restores.iter_mut().next() {
            let store = *store;
            if restore.step(&mut self.stores[store], max_wait)? {
                self.restores.remove(&store);
            }
        }
        Ok(self.restores.is_empty())
    }

    /// The task, once its stores are restored.
    pub fn finish(self, blueprint: &Blueprint, monotonic_us: i64) -> Result<Task> {
        let Wanted { sub_topology, partition, .. } = self.wanted;
        let mut task =
            blueprint.task(sub_topology, partition, self.stores, &self.positions, self.stream_time, monotonic_us)?;
        task.know(self.committed);
        for input in &mut task.inputs {
            input.incarnation = self.incarnations.get(&input.topic).copied().unwrap_or_default();
        }
        task.hold(self.lease);
        Ok(task)
    }
}
