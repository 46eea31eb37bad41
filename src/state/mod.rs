//! Keyed state: ordered byte stores with a write cache over a committed base, and the codec of rows as bytes.
//!
//! **Invariant:** the base only ever holds committed epochs; what an open transaction wrote lives in the cache.

pub mod keys;
pub mod memory;
pub mod rows;
pub mod store;

pub use memory::MemoryBase;
pub use rows::RowCodec;
pub use store::{StateBase, StateStore, Visit};
