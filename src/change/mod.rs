//! What flows: [`RecordSet`], messages of one partition as bytes, and [`ChangeBatch`], rows in columns.
//!
//! **Invariant:** the order of rows is the order of arrival; nothing reorders them.

pub mod batch;
pub mod pretty;
pub mod record;

pub use batch::{ChangeBatch, Op};
pub use record::{Header, Payloads, RecordSet, Slots};
