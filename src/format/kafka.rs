//! `KAFKA`: a single column as Kafka's own serialisers write it.
//!
//! > KSQL: INT is 4 bytes, BIGINT and DOUBLE are 8, big endian, without padding or conversion; a NULL is a null message.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{DataType, Float64Type, Int32Type, Int64Type};

use super::builder::Builder;
use super::{Decoded, Decoder, Encoder, Layout, NullRows, check_size};
use crate::change::{Payloads, Slots};
use crate::error::{Error, RecordError, Result};

/// Reads a bare primitive.
pub(super) struct KafkaDecoder {
    builder: Builder,
    wanted: bool,
}

impl KafkaDecoder {
    /// The layout has one column.
    pub(super) fn new(layout: &Layout<'_>) -> Self {
        Self { builder: Builder::new(&layout.columns[0].ty, 0), wanted: layout.wanted[0] }
    }
}

impl Decoder for KafkaDecoder {
    fn decode(&mut self, payloads: Payloads<'_>) -> Result<Decoded> {
        check_size(payloads)?;
        let mut errors = Vec::new();
        let mut nulls = NullRows::new(payloads.len());
        for (row, payload) in payloads.iter().enumerate() {
            let Some(bytes) = payload else {
                nulls.set(row);
                self.builder.push_null();
                continue;
            };
            if let Err(expected) = push(&mut self.builder, bytes) {
                self.builder.push_null();
                let reason = format!("{expected} bytes expected, but the message has {}", bytes.len());
                errors.push(RecordError { row, place: "deserialization".to_owned(), reason });
            }
        }
        let column = self.builder.finish()?;
        Ok(Decoded { columns: if self.wanted { vec![column] } else { Vec::new() }, null: nulls.finish(), errors })
    }
}

/// Appends the cell, or says how many bytes it should have had.
fn push(builder: &mut Builder, bytes: &[u8]) -> Result<(), usize> {
    match builder {
        Builder::Int(b) => b.push(i32::from_be_bytes(bytes.try_into().map_err(|_| 4usize)?)),
        Builder::BigInt(b) => b.push(i64::from_be_bytes(bytes.try_into().map_err(|_| 8usize)?)),
        Builder::Double(b) => b.push(f64::from_be_bytes(bytes.try_into().map_err(|_| 8usize)?)),
        // Java replaces what is no UTF-8 rather than refusing it.
        Builder::String(b) => b.push(String::from_utf8_lossy(bytes).as_bytes()),
        Builder::Bytes(b) => b.push(bytes),
        other => other.push_null(),
    }
    Ok(())
}

/// Writes a bare primitive.
pub(super) struct KafkaEncoder;

impl KafkaEncoder {
    pub(super) fn new(_layout: &Layout<'_>) -> Self {
        Self
    }
}

impl Encoder for KafkaEncoder {
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        null: Option<&BooleanBuffer>,
        out: &mut Slots,
    ) -> Result<Vec<RecordError>> {
        let [column] = columns else { return Err(Error::internal("KAFKA writes one column")) };
        let present = |row: usize| column.is_valid(row) && !null.is_some_and(|null| null.value(row));
        macro_rules! each {
            ($array:expr, $bytes:expr) => {{
                let array = $array;
                for row in 0..rows {
                    if present(row) { out.push(Some($bytes(array.value(row)).as_ref())) } else { out.push_null() }
                }
            }};
        }
        match column.data_type() {
            DataType::Int32 => each!(column.as_primitive::<Int32Type>(), i32::to_be_bytes),
            DataType::Int64 => each!(column.as_primitive::<Int64Type>(), i64::to_be_bytes),
            DataType::Float64 => each!(column.as_primitive::<Float64Type>(), f64::to_be_bytes),
            DataType::Utf8 => each!(column.as_string::<i32>(), str::as_bytes),
            DataType::Binary => each!(column.as_binary::<i32>(), std::convert::identity::<&[u8]>),
            other => return Err(Error::internal(format!("KAFKA cannot write {other}"))),
        }
        Ok(Vec::new())
    }
}
