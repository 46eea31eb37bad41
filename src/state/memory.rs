//! [`MemoryBase`]: committed state in memory.

use std::ops::Bound;

use super::packed::PackedMap;
use super::store::{StateBase, Visit, Writes};
use crate::error::Result;

/// Committed state in an ordered map.
#[derive(Default)]
pub struct MemoryBase {
    map: PackedMap,
}

impl StateBase for MemoryBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.map.get(key).flatten())
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        let mut entries = self.map.range(from, to);
        while let Some(entry) = entries.next() {
            if let Some(value) = entry.value
                && visit(entry.key, value).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn apply(&mut self, writes: &mut dyn Writes) -> Result<()> {
        while let Some((key, value)) = writes.next_write() {
            match value {
                Some(value) => self.map.insert(key, Some(value), false),
                None => self.map.remove(key),
            };
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.map.bytes()
    }

    fn rows(&self) -> usize {
        self.map.len()
    }
}
