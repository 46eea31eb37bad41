//! [`JoinSchema`]: what all joins share: the codecs of both sides' rows, and output rows made of encoded parts.
//!
//! The output of every join is the identity (key and window bounds), the left values, the right values.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::row::Rows;

use super::exprs::has_null_key;
use super::output::{RowHeads, SchemaCodec};
use crate::change::{ChangeBatch, Op, Slots};
use crate::error::Result;
use crate::types::LogicalSchema;

/// The encoded value columns of a row.
pub(super) type RowBytes = Arc<[u8]>;

/// Codecs and schemas of a join; sides are 0 (left) and 1 (right).
pub(super) struct JoinSchema {
    pub(super) sides: [SchemaCodec; 2],
    nulls: [Vec<u8>; 2],
    output: SchemaRef,
    key_len: usize,
}

/// A batch of one side, encoded.
pub(super) struct Encoded {
    pub(super) keys: Rows,
    pub(super) values: Rows,
    pub(super) null_key: Vec<bool>,
}

/// Output rows in the making.
#[derive(Default)]
pub(super) struct Joined {
    pub(super) heads: RowHeads,
    keys: Slots,
    values: [Slots; 2],
}

impl JoinSchema {
    pub(super) fn new(left: &LogicalSchema, right: &LogicalSchema, output: &LogicalSchema) -> Result<Self> {
        let sides = [SchemaCodec::new(left)?, SchemaCodec::new(right)?];
        let nulls = [sides[0].value.null_row()?, sides[1].value.null_row()?];
        Ok(Self { sides, nulls, output: output.arrow(), key_len: left.key_len() })
    }

    pub(super) fn encode(&self, side: usize, batch: &ChangeBatch) -> Result<Encoded> {
        let codec = &self.sides[side];
        let (identity, values) = batch.data.columns().split_at(codec.identity_len);
        Ok(Encoded {
            keys: codec.identity.encode_rows(identity, batch.len())?,
            values: codec.value.encode_rows(values, batch.len())?,
            null_key: (0..batch.len()).map(|row| has_null_key(&identity[..self.key_len], row)).collect(),
        })
    }

    /// Appends an output row; a missing side is NULL.
    pub(super) fn push(
        &self,
        joined: &mut Joined,
        head: (i64, u64, Op),
        key: &[u8],
        [left, right]: [Option<&[u8]>; 2],
    ) {
        joined.heads.push(head.0, head.1, head.2);
        joined.keys.push(Some(key));
        joined.values[0].push(left.or(Some(&self.nulls[0])));
        joined.values[1].push(right.or(Some(&self.nulls[1])));
    }

    fn columns(&self, joined: &Joined) -> Result<Vec<ArrayRef>> {
        let rows = joined.heads.len();
        let mut columns = self.sides[0].identity.decode(joined.keys.view(0..rows).iter().flatten())?;
        for (side, values) in self.sides.iter().zip(&joined.values) {
            columns.extend(side.value.decode(values.view(0..rows).iter().flatten())?);
        }
        Ok(columns)
    }

    pub(super) fn stream(&self, joined: Joined) -> Result<ChangeBatch> {
        let columns = self.columns(&joined)?;
        joined.heads.into_stream(Arc::clone(&self.output), columns)
    }

    pub(super) fn table(&self, joined: Joined) -> Result<ChangeBatch> {
        let columns = self.columns(&joined)?;
        joined.heads.into_table(Arc::clone(&self.output), columns)
    }
}
