//! Bytes to columns and back, one format a file.
//!
//! **Invariant:** a message that cannot be read is a [`RecordError`], never an `Err`; every other message of the
//! batch is read.

use arrow::array::{ArrayRef, BooleanBufferBuilder};
use arrow::buffer::BooleanBuffer;

use crate::change::{Payloads, Slots};
use crate::error::{Error, RecordError, Result};

mod avro;
mod builder;
pub mod datum;
mod delimited;
mod formats;
mod framed;
pub mod internal;
mod json;
mod json_schema;
mod kafka;
mod number;
mod protobuf;
mod registry;
pub mod schema;
pub mod text;
mod void;
pub mod window_key;

pub use formats::Formats;
use registry::Layout;
pub use registry::{NAMES, Side, check, decoder, encoder};
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

/// Rows marked as null messages.
struct NullRows {
    len: usize,
    bits: Option<BooleanBufferBuilder>,
}

impl NullRows {
    fn new(len: usize) -> Self {
        Self { len, bits: None }
    }

    fn set(&mut self, row: usize) {
        let len = self.len;
        let bits = self.bits.get_or_insert_with(|| {
            let mut bits = BooleanBufferBuilder::new(len);
            bits.append_n(len, false);
            bits
        });
        bits.set_bit(row, true);
    }

    fn finish(self) -> Option<BooleanBuffer> {
        self.bits.map(|mut bits| bits.finish())
    }
}

/// Arrow counts the bytes of a column in 32 bits; a batch that might not fit is a caller's mistake.
fn check_size(payloads: Payloads<'_>) -> Result<()> {
    let bytes: usize = payloads.iter().flatten().map(<[u8]>::len).sum();
    if bytes > 1 << 29 {
        Err(Error::internal(format!("a batch of {bytes} bytes is too large to decode")))
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
