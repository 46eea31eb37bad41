//! `NONE`, and sides without columns: every message is null.

use arrow::array::ArrayRef;
use arrow::buffer::BooleanBuffer;

use super::{Decoded, Decoder, Encoder};
use crate::change::{Payloads, Slots};
use crate::error::{RecordError, Result};

/// Reads and writes nothing.
pub(super) struct Void;

impl Decoder for Void {
    fn decode(&mut self, payloads: Payloads<'_>) -> Result<Decoded> {
        let null = (!payloads.is_empty()).then(|| BooleanBuffer::new_set(payloads.len()));
        Ok(Decoded { columns: Vec::new(), null, errors: Vec::new() })
    }
}

impl Encoder for Void {
    fn encode(
        &mut self,
        _columns: &[ArrayRef],
        rows: usize,
        _null: Option<&BooleanBuffer>,
        out: &mut Slots,
    ) -> Result<Vec<RecordError>> {
        (0..rows).for_each(|_| out.push_null());
        Ok(Vec::new())
    }
}
