//! What a transaction does to others while it lasts: readers stop in front of its first records, and whoever asks for
//! offsets that are part of it has to wait. Only producers made to be watched leave these traces, as those on a cluster
//! do; all others keep their transactions to themselves until they commit.
//!
//! **Invariant:** at most one transaction an id; a new producer of the id ends it before it writes anything.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::producer::Writer;
use super::{Log, State, lock};
use crate::broker::{CommittedOffset, TopicPartition};
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};

/// A transaction that others notice.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    epoch: u64,
    /// Ends of the partitions when it first wrote to them: nobody reads past them.
    holds: BTreeMap<(Arc<str>, i32), i64>,
    /// Offsets that it will commit.
    offsets: Vec<(String, TopicPartition)>,
    stage: Stage,
    /// Whoever began it will not end it.
    pub(super) orphaned: bool,
}

/// How far it is.
#[derive(Debug, Default)]
enum Stage {
    /// Records come.
    #[default]
    Open,
    /// Its commit is on the way; what happens when it arrives.
    Committing(Staged),
    /// Decided, but partitions do not know yet.
    Decided,
}

/// What a commit does.
#[derive(Debug, Default)]
pub(super) struct Staged {
    pub(super) sets: Vec<RecordSet>,
    pub(super) offsets: Vec<CommittedOffset>,
    pub(super) group: Option<String>,
}

impl State {
    /// The transaction of this writer, a new one if the last is decided; `None` if the writer is fenced.
    fn transaction(&mut self, (id, epoch): &Writer) -> Option<&mut Transaction> {
        if self.epochs.get(id) != Some(epoch) {
            return None;
        }
        let transaction = self.transactions.entry(id.clone()).or_default();
        if transaction.epoch != *epoch || matches!(transaction.stage, Stage::Decided) {
            *transaction = Transaction { epoch: *epoch, ..Transaction::default() };
        }
        Some(transaction)
    }

    /// The transaction writes to a partition.
    pub(super) fn hold(&mut self, writer: &Writer, topic: &str, partition: i32) -> Result<()> {
        let end = self.partition(topic, partition)?.1.end;
        if let Some(transaction) = self.transaction(writer) {
            transaction.holds.entry((topic.into(), partition)).or_insert(end);
        }
        Ok(())
    }

    /// The transaction will commit these offsets.
    pub(super) fn announce(&mut self, writer: &Writer, group: &str, offsets: &[CommittedOffset]) {
        if let Some(transaction) = self.transaction(writer) {
            let named = offsets.iter().map(|offset| (group.to_owned(), offset.partition.clone()));
            transaction.offsets = named.collect();
        }
    }

    /// One past the last record that may be read.
    pub(super) fn stable_end(&self, topic: &str, partition: i32, end: i64) -> i64 {
        let holds = self.transactions.values().flat_map(|transaction| &transaction.holds);
        let held = holds.filter(|((name, at), _)| *at == partition && **name == *topic).map(|(_, end)| *end);
        held.min().map_or(end, |held| held.min(end))
    }

    /// One of the partitions whose offsets a transaction is about to commit.
    pub(super) fn undecided(&self, group: &str, partitions: &[TopicPartition]) -> Option<TopicPartition> {
        let mut offsets = self.transactions.values().flat_map(|transaction| &transaction.offsets);
        offsets.find(|(name, at)| name == group && partitions.contains(at)).map(|(_, at)| at.clone())
    }

    /// The transaction is over. With `linger` its partitions do not know yet.
    pub(super) fn finish(&mut self, (id, epoch): &Writer, linger: bool) {
        let Some(transaction) = self.transactions.get_mut(id).filter(|found| found.epoch == *epoch) else { return };
        if linger {
            transaction.offsets.clear();
            transaction.stage = Stage::Decided;
        } else {
            self.transactions.remove(id);
        }
    }

    /// Its producer is gone or does not know how it ended.
    pub(super) fn orphan(&mut self, (id, epoch): &Writer) {
        if let Some(transaction) = self.transactions.get_mut(id).filter(|found| found.epoch == *epoch) {
            transaction.orphaned = true;
        }
    }

    /// The commit is on its way.
    pub(super) fn stage(&mut self, writer: &Writer, staged: Staged) {
        if let Some(transaction) = self.transaction(writer) {
            transaction.stage = Stage::Committing(staged);
            transaction.orphaned = true;
        }
    }
}

impl Log {
    /// Ends the transaction of an id: a commit on its way arrives, anything else is taken back.
    pub(super) fn settle(&self, id: &str) -> Result<()> {
        let _commit = lock(&self.commit);
        self.settle_locked(id)
    }

    /// The same for who holds `commit`.
    pub(super) fn settle_locked(&self, id: &str) -> Result<()> {
        let ended = lock(&self.state).transactions.remove(id);
        match ended.map(|transaction| transaction.stage) {
            Some(Stage::Committing(staged)) => self.write_all(staged.sets, &staged.offsets, staged.group.as_deref()),
            _ => Ok(()),
        }
    }

    /// Ids of transactions that nobody will end, or whose partitions do not know that they ended.
    pub(in crate::broker) fn unsettled(&self) -> Vec<String> {
        let state = lock(&self.state);
        let open = state.transactions.iter();
        open.filter(|(_, t)| t.orphaned || matches!(t.stage, Stage::Decided)).map(|(id, _)| id.clone()).collect()
    }

    /// As the cluster does when it loses patience, or when a late commit arrives.
    pub(in crate::broker) fn settle_orphan(&self, id: &str) -> Result<()> {
        self.settle(id)?;
        self.changed.notify_all();
        Ok(())
    }

    /// Refuses offsets that a transaction is about to change.
    pub(in crate::broker) fn check_decided(&self, group: &str, partitions: &[TopicPartition]) -> Result<()> {
        match lock(&self.state).undecided(group, partitions) {
            None => Ok(()),
            Some(at) => {
                let what = format!("the offset of {at} is part of a transaction that has not ended");
                Err(Error::new(ErrorKind::Unavailable, what))
            }
        }
    }
}
