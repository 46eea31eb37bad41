//! [`MemoryBudget`]: how many bytes the stores of a process may hold in memory, and which of them give some back.
//!
//! Every store has a [`Share`]. Whoever finds the budget exceeded asks the largest shares to spill; a store spills when
//! its own thread next looks. So no thread ever waits for another one.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// What the database on disk takes however little the cache is: indices, filters, tables in the making.
const DISK_BYTES: usize = 40 << 20;

/// The memory of all stores of a process.
#[derive(Debug)]
pub struct MemoryBudget {
    max: usize,
    used: AtomicUsize,
    shares: Mutex<Vec<Weak<Cell>>>,
}

#[derive(Debug, Default)]
struct Cell {
    bytes: AtomicUsize,
    asked: AtomicBool,
}

impl MemoryBudget {
    /// A budget of `max` bytes, caches and write buffers of the disk included.
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, used: AtomicUsize::new(0), shares: Mutex::default() })
    }

    /// A budget that is never exceeded.
    pub fn unlimited() -> Arc<Self> {
        Self::new(usize::MAX)
    }

    /// What the stores hold now.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    /// What the stores themselves may hold. The rest is for the disk's cache, indices and compaction, and for memory
    /// that was given back and lies between what was not: shares that were measured (`examples/state.rs`).
    pub fn store_bytes(&self) -> usize {
        let rest = self.max - self.cache_bytes();
        (rest.saturating_sub(DISK_BYTES) / 5 * 3).max(self.max / 8)
    }

    /// Size of the cache over what is read from disk.
    pub fn cache_bytes(&self) -> usize {
        (self.max / 8).min(256 << 20)
    }

    /// Whether so many more bytes still leave some room.
    pub(super) fn has_room_for(&self, bytes: usize) -> bool {
        self.used().saturating_add(bytes) <= self.store_bytes() / 4 * 3
    }

    /// A share of a store that can spill.
    pub(super) fn share(self: &Arc<Self>) -> Share {
        let cell = Arc::new(Cell::default());
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.retain(|share| share.strong_count() > 0);
        shares.push(Arc::downgrade(&cell));
        Share { budget: self.clone(), cell }
    }

    /// Asks everybody.
    #[cfg(test)]
    pub(super) fn ask_all(&self) {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        shares.iter().filter_map(Weak::upgrade).for_each(|cell| cell.asked.store(true, Ordering::Relaxed));
    }

    /// Asks the largest shares to spill until, once they did, a quarter of the budget is free.
    fn balance(&self) {
        let shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cells: Vec<Arc<Cell>> = shares.iter().filter_map(Weak::upgrade).collect();
        drop(shares);
        cells.sort_by_key(|cell| std::cmp::Reverse(cell.bytes.load(Ordering::Relaxed)));
        let mut excess = self.used().saturating_sub(self.store_bytes() / 4 * 3);
        for cell in cells {
            let bytes = cell.bytes.load(Ordering::Relaxed);
            if excess == 0 || bytes == 0 {
                break;
            }
            cell.asked.store(true, Ordering::Relaxed);
            excess = excess.saturating_sub(bytes);
        }
    }
}

/// What one store holds of the budget.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<MemoryBudget>,
    cell: Arc<Cell>,
}

impl Share {
    /// The store holds that much now; whether it is to spill.
    pub(super) fn update(&self, bytes: usize) -> bool {
        let before = self.cell.bytes.swap(bytes, Ordering::Relaxed);
        let used = if bytes >= before {
            self.budget.used.fetch_add(bytes - before, Ordering::Relaxed) + (bytes - before)
        } else {
            self.budget.used.fetch_sub(before - bytes, Ordering::Relaxed) - (before - bytes)
        };
        if used > self.budget.store_bytes() && bytes > before {
            self.budget.balance();
        }
        self.asked()
    }

    /// Whether it is to spill.
    pub(super) fn asked(&self) -> bool {
        self.cell.asked.load(Ordering::Relaxed)
    }

    /// It spilled and holds nothing, or cannot spill.
    pub(super) fn answered(&self) {
        self.cell.asked.store(false, Ordering::Relaxed);
    }

    pub(super) fn budget(&self) -> &MemoryBudget {
        &self.budget
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.cell.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_asked_until_a_quarter_is_free() {
        let budget = MemoryBudget::new(6000);
        assert_eq!(budget.store_bytes(), 750);
        assert_eq!(MemoryBudget::new(1024 << 20).store_bytes() >> 20, 513);
        let [a, b, c] = [budget.share(), budget.share(), budget.share()];
        assert!(!a.update(100) && !b.update(300) && !c.update(350), "exactly full");
        assert!(!a.update(110), "the others are larger");
        assert!(c.asked() && !b.asked(), "one is enough");
        c.answered();
        assert!(!c.update(0));
        assert_eq!(budget.used(), 410);
        drop(b);
        assert_eq!(budget.used(), 110);
        assert!(budget.has_room_for(400) && !budget.has_room_for(500));
    }
}
