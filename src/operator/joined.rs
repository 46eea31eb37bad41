//! [`JoinSchema`]: what all joins share: the codecs of both sides' rows, and output rows made of encoded parts.
//!
//! The output of every join is the identity (key and window bounds), the left values, the right values.

use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use arrow::row::Rows;

use super::exprs::has_null_key;
use super::output::{RowHeads, SchemaCodec};
use crate::change::{ChangeBatch, Op};
use crate::error::Result;
use crate::types::LogicalSchema;

/// The encoded value columns of a row.
pub(super) type RowBytes = Arc<[u8]>;

/// Codecs and schemas of a join; sides are 0 (left) and 1 (right).
pub(super) struct JoinSchema {
    pub(super) sides: [SchemaCodec; 2],
    nulls: [RowBytes; 2],
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
    keys: Vec<RowBytes>,
    values: [Vec<RowBytes>; 2],
}

impl JoinSchema {
    pub(super) fn new(left: &LogicalSchema, right: &LogicalSchema, output: &LogicalSchema) -> Result<Self> {
        let sides = [SchemaCodec::new(left)?, SchemaCodec::new(right)?];
        let nulls = [sides[0].value.null_row()?.into(), sides[1].value.null_row()?.into()];
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
        [left, right]: [Option<RowBytes>; 2],
    ) {
        joined.heads.push(head.0, head.1, head.2);
        joined.key(key);
        joined.values[0].push(left.unwrap_or_else(|| Arc::clone(&self.nulls[0])));
        joined.values[1].push(right.unwrap_or_else(|| Arc::clone(&self.nulls[1])));
    }

    fn columns(&self, joined: &Joined) -> Result<Vec<ArrayRef>> {
        let mut columns = self.sides[0].identity.decode(joined.keys.iter().map(|key| &**key))?;
        for (side, rows) in self.sides.iter().zip(&joined.values) {
            columns.extend(side.value.decode(rows.iter().map(|row| &**row))?);
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

impl Joined {
    /// Appends a key; runs of one key share it.
    fn key(&mut self, key: &[u8]) {
        let key = match self.keys.last() {
            Some(last) if **last == *key => Arc::clone(last),
            _ => key.into(),
        };
        self.keys.push(key);
    }
}
