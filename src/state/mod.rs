//! Keyed state: ordered byte stores with a write cache over a committed base, and the codec of rows as bytes.
//!
//! The base is in memory ([`MemoryBase`]), or in memory over a local disk within a budget ([`LayeredBase`]): then a
//! process keeps its stores in a [`StateDir`] and restarts from them. A [`StateEnv`] makes the one or the other.
//!
//! **Invariant:** the base only ever holds committed epochs; what an open transaction wrote lives in the cache.

mod budget;
mod dir;
mod disk;
mod env;
pub mod keys;
mod layered;
mod mark;
pub mod memory;
mod packed;
pub mod rows;
pub mod store;
#[cfg(test)]
mod tests;

pub use budget::MemoryBudget;
pub use dir::{StateDir, StoreId};
pub use env::StateEnv;
pub use layered::LayeredBase;
pub use mark::{Fingerprint, Position, STATE_VERSION};
pub use memory::MemoryBase;
pub use rows::RowCodec;
pub use store::{Listed, StateBase, StateStore, Visit, Write, Writes};
