//! Bytes to columns and back, one format a file.
//!
//! **Invariant:** a message that cannot be read is a [`RecordError`], never an `Err`; every other message of the
//! batch is read.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use crate::change::{Payloads, Slots};
use crate::error::{RecordError, Result};

/// Columns read from messages, one row a message.
#[derive(Debug)]
pub struct Decoded {
    /// One array a column, each as long as the messages; rows of errors and of null messages are NULL.
    pub columns: Vec<ArrayRef>,
    /// Messages that were null.
    pub null: Option<BooleanBuffer>,
    /// Messages that could not be read, in row order.
    pub errors: Vec<RecordError>,
}

/// Reads one side (key or value) of records.
pub trait Decoder: Send {
    /// Reads all messages.
    fn decode(&mut self, payloads: Payloads<'_>) -> Result<Decoded>;
}

/// Writes one side (key or value) of records.
pub trait Encoder: Send {
    /// Appends one message a row to `out`: a null where `null` is set. A row that cannot be written appends a null
    /// and is reported.
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        null: Option<&BooleanBuffer>,
        out: &mut Slots,
    ) -> Result<Vec<RecordError>>;
}
