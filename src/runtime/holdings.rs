//! [`Holdings`]: the partitions that a session has and the tasks on them.
//!
//! A rebalance takes all partitions away and gives most of them back. Tasks that were taken away are set aside; one
//! whose partitions come back goes on as it is when the group's offsets and metadata are the ones that this session
//! committed itself. The metadata holds the epoch, and any other owner would have committed a later one.
//!
//! **Invariant:** a task exists only while all its input partitions are assigned; a task set aside is never stepped.

use std::collections::{BTreeMap, BTreeSet};

use super::build::Blueprint;
use super::task::Task;
use crate::broker::{CommittedOffset, TopicPartition};

/// Partitions and tasks of a session.
#[derive(Default)]
pub struct Holdings {
    /// Tasks at work.
    pub tasks: Vec<Task>,
    /// Partitions that are paused.
    pub paused: BTreeSet<TopicPartition>,
    assigned: BTreeSet<TopicPartition>,
    aside: Vec<Task>,
    routes: BTreeMap<TopicPartition, usize>,
}

/// A task that a sub-topology wants on a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Index of the sub-topology.
    pub sub_topology: usize,
    /// The partition.
    pub partition: i32,
    /// What it reads.
    pub inputs: Vec<TopicPartition>,
}

impl Holdings {
    /// The task that reads a partition.
    pub fn task_of(&mut self, partition: &TopicPartition) -> Option<&mut Task> {
        self.routes.get(partition).map(|task| &mut self.tasks[*task])
    }

    /// Partitions went to somebody else, or may come back: their tasks are set aside.
    pub fn revoke(&mut self, revoked: &[TopicPartition]) {
        for partition in revoked {
            self.assigned.remove(partition);
            self.paused.remove(partition);
        }
        let (kept, aside) = std::mem::take(&mut self.tasks)
            .into_iter()
            .partition(|task| inputs_of(task).all(|input| self.assigned.contains(&input)));
        self.tasks = kept;
        self.aside.extend::<Vec<Task>>(aside);
        self.rebuild_routes();
    }

    /// Partitions are ours. Returns the tasks that are to be made, those set aside not counted.
    pub fn assign(&mut self, assigned: Vec<TopicPartition>, blueprint: &Blueprint) -> Vec<Wanted> {
        self.assigned.extend(assigned);
        let mut wanted = Vec::new();
        for sub_topology in 0..blueprint.topology.sub_topologies.len() {
            for partition in 0..blueprint.task_count(sub_topology) {
                let exists = self.tasks.iter().any(|t| (t.sub_topology, t.partition) == (sub_topology, partition));
                let inputs: Vec<TopicPartition> =
                    blueprint.topics_of(sub_topology).map(|topic| TopicPartition::new(topic, partition)).collect();
                if !exists && inputs.iter().all(|input| self.assigned.contains(input)) {
                    wanted.push(Wanted { sub_topology, partition, inputs });
                }
            }
        }
        wanted
    }

    /// The tasks that were set aside.
    pub fn take_aside(&mut self) -> Vec<Task> {
        std::mem::take(&mut self.aside)
    }

    /// A task is ready.
    pub fn add(&mut self, task: Task) {
        self.tasks.push(task);
        self.rebuild_routes();
    }

    fn rebuild_routes(&mut self) {
        self.routes.clear();
        for (i, task) in self.tasks.iter().enumerate() {
            self.routes.extend(inputs_of(task).map(|input| (input, i)));
        }
    }
}

/// The wanted one of the tasks that were set aside, if the group's offsets are still the ones that it knows.
pub fn take_back(aside: &mut Vec<Task>, wanted: &Wanted, committed: &[CommittedOffset]) -> Option<Task> {
    let same = |task: &Task| (task.sub_topology, task.partition) == (wanted.sub_topology, wanted.partition);
    let task = aside.swap_remove(aside.iter().position(same)?);
    (task.known_offsets() == committed).then_some(task)
}

/// The partitions that a task reads.
pub fn inputs_of(task: &Task) -> impl Iterator<Item = TopicPartition> {
    task.inputs.iter().map(|input| TopicPartition::new(input.topic.clone(), task.partition))
}
