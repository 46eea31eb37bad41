//! [`MemoryBase`]: committed state in memory.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::store::{StateBase, Visit};
use crate::error::Result;

/// Committed state in an ordered map.
#[derive(Debug, Default)]
pub struct MemoryBase {
    map: BTreeMap<Vec<u8>, Vec<u8>>,
    bytes: usize,
}

impl StateBase for MemoryBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.map.get(key).cloned())
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        for (key, value) in self.map.range::<[u8], _>((from, to)) {
            if visit(key, value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<()> {
        for (key, value) in writes {
            let key_len = key.len();
            let (added, old) = match value {
                Some(value) => (key_len + value.len(), self.map.insert(key, value)),
                None => (0, self.map.remove(&key)),
            };
            self.bytes += added;
            self.bytes -= old.map_or(0, |old| key_len + old.len());
        }
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        self.bytes
    }

    fn rows(&self) -> usize {
        self.map.len()
    }
}
