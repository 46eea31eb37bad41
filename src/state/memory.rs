//! [`MemoryBase`]: committed state in memory.

use std::ops::Bound;

use super::packed::PackedMap;
use super::store::{StateBase, Visit};
use crate::error::Result;

/// Committed state in an ordered map.
#[derive(Default)]
pub struct MemoryBase {
    map: PackedMap,
}

impl StateBase for MemoryBase {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>> {
        Ok(self.map.get(key).and_then(|entry| entry.value).map(<[u8]>::to_vec))
    }

    fn range(&self, from: Bound<&[u8]>, to: Bound<&[u8]>, visit: &mut Visit<'_>) -> Result<()> {
        for (key, entry) in self.map.range(from, to) {
            if let Some(value) = entry.value
                && visit(key, value).is_break()
            {
                break;
            }
        }
        Ok(())
    }

    fn apply(&mut self, writes: &mut dyn Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>) -> Result<()> {
        for (key, value) in writes {
            match value {
                Some(value) => self.map.insert(&key, Some(&value), false),
                None => self.map.remove(&key),
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
