//! Runs topologies: tasks (one sub-topology × one partition), workers (one thread, one group member, one transactional
//! producer), the commit protocol and restoring.
//!
//! Life of a record: a worker's [`session::Session`] polls a [`crate::change::RecordSet`], [`task::Task`] decodes and queues it
//! ([`source`]), a round takes it through the operators in topological order, [`sink`] encodes what comes out, and the
//! session commits outputs, changelog records and input offsets in one transaction.
//!
//! **Invariant:** a task's memory is thrown away, never rolled back, when its transaction did not commit.

pub mod build;
pub mod checkpoint;
pub mod decoding;
pub mod holdings;
pub mod local;
pub mod metrics;
pub mod muster;
pub mod pace;
pub mod position;
pub mod processing_log;
pub mod progress;
pub mod purge;
pub mod recovery;
pub mod restore;
pub mod round;
pub mod session;
pub mod sink;
pub mod source;
pub mod standby;
pub mod survey;
pub mod task;
pub mod throttle;
pub mod worker;

pub use build::Blueprint;
pub use metrics::QueryMetrics;
