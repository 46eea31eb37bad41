//! The codec of repartition topics: one record carries many rows, column by column.
//!
//! Layout: version · flags · number of rows · event times (first absolute, then differences) · ops · null values ·
//! columns. Numbers without a fixed width are LEB128, signed ones zigzagged. The schema is not stored: both ends are the
//! same query. A column is a validity (none NULL, all NULL, or a bitmap) and then its data:
//! fixed-width values, lengths and bytes, lengths and child column, or child columns.
//!
//! **Invariants:** `seq` is not stored, since the reader numbers what it reads; decoding never panics and allocates no
//! more than a small multiple of the bytes it is given.

mod read;
mod write;

use arrow::datatypes::SchemaRef;

use crate::change::ChangeBatch;
use crate::error::{Error, Result};

/// First byte of every record; another layout gets another number.
const VERSION: u8 = 1;
const HAS_OPS: u8 = 1;
const HAS_NULL_VALUES: u8 = 2;

/// Validity of a column.
const ALL_VALID: u8 = 0;
const ALL_NULL: u8 = 1;
const BITMAP: u8 = 2;

/// The rows as one record.
pub fn encode_batch(batch: &ChangeBatch) -> Result<Vec<u8>> {
    write::batch(batch)
}

/// The rows of a record; all `seq` are 0.
pub fn decode_batch(bytes: &[u8], schema: SchemaRef) -> Result<ChangeBatch> {
    read::batch(bytes, schema).map_err(|error| error.context("a repartition record cannot be read"))
}

fn broken(what: &str) -> Error {
    Error::data(what)
}

#[cfg(test)]
mod tests;
