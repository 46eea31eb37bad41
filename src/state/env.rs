//! [`StateEnv`]: where a process keeps state, how much of it in memory, and how often it is saved.

use std::sync::Arc;

use super::budget::MemoryBudget;
use super::dir::{StateDir, StoreId, random_id};
use super::layered::LayeredBase;
use super::mark::Fingerprint;
use super::memory::MemoryBase;
use super::store::{StateBase, StateStore};

/// A process's place for state. Clones are handles to the same place.
#[derive(Debug, Clone)]
pub struct StateEnv {
    dir: Option<Arc<StateDir>>,
    budget: Arc<MemoryBudget>,
    instance: Arc<str>,
    /// Time between local checkpoints.
    pub checkpoint_interval_ms: i64,
}

impl StateEnv {
    /// State in memory only: nothing is kept, nothing spilled.
    pub fn memory() -> Self {
        Self {
            dir: None,
            budget: MemoryBudget::unlimited(),
            instance: random_id().into(),
            checkpoint_interval_ms: i64::MAX,
        }
    }

    /// State in `dir`, at most `memory_bytes` of it in memory.
    pub fn on_disk(dir: Arc<StateDir>, memory_bytes: usize, checkpoint_interval_ms: i64) -> Self {
        let (instance, budget) = (dir.instance_id().into(), MemoryBudget::new(memory_bytes));
        dir.set_cache(budget.cache_bytes());
        Self { dir: Some(dir), budget, instance, checkpoint_interval_ms }
    }

    /// The same place for a process of another name: for simulations, which cannot draw names.
    pub fn named(self, instance: &str) -> Self {
        Self { instance: instance.into(), ..self }
    }

    /// A name of the process: the same after a restart with the same directory, and of no other living process.
    pub fn instance_id(&self) -> &str {
        &self.instance
    }

    /// The directory, if there is one.
    pub fn dir(&self) -> Option<&Arc<StateDir>> {
        self.dir.as_ref()
    }

    /// The memory of all its stores.
    pub fn budget(&self) -> &Arc<MemoryBudget> {
        &self.budget
    }

    /// A store; what an earlier process left of it waits to be loaded. `fingerprint` tells its layout.
    pub fn store(&self, id: StoreId<'_>, fingerprint: Fingerprint) -> StateStore {
        StateStore::new(id.store, self.base(id, fingerprint))
    }

    fn base(&self, id: StoreId<'_>, fingerprint: Fingerprint) -> Box<dyn StateBase> {
        let Some(dir) = &self.dir else { return Box::new(MemoryBase::default()) };
        match dir.lease(id) {
            Ok(disk) => Box::new(LayeredBase::open(disk, fingerprint, self.budget.share())),
            Err(error) => {
                tracing::warn!(query = id.query, store = id.store, %error, "state is in memory only");
                Box::new(MemoryBase::default())
            }
        }
    }

    /// Deletes what queries kept on disk that are not among `keep`.
    pub fn retain_queries(&self, keep: &dyn Fn(&str) -> bool) {
        if let Some(dir) = &self.dir {
            dir.retain_queries(keep);
        }
    }

    /// The query is gone: so is what it kept on disk.
    pub fn remove_query(&self, query: &str) {
        if let Some(dir) = &self.dir {
            dir.remove_query(query);
        }
    }
}
