//! [`Materialize`]: keeps the current rows of a result for pull queries and passes its changes on; [`lookup`] and
//! [`scan`] read them.
//!
//! **Invariant:** what is read is the store's content, in order of the encoded key, then window start.

use std::ops::{Bound, ControlFlow};

use arrow::array::ArrayRef;

use super::keeper::{Keeper, ROWS, values_of};
use super::output::SchemaCodec;
use super::{Input, Operator, OperatorContext};
use crate::change::ChangeBatch;
use crate::change::batch::record_batch;
use crate::error::Result;
use crate::state::keys::{self, i64_at};
use crate::state::{RowCodec, StateStore};
use crate::types::LogicalSchema;

/// A materialised result. State: see [`super::keeper`].
pub struct Materialize(Keeper);

impl Materialize {
    /// Rows of `schema`, kept in `store`; rows of windows for `retention_ms` from the window's end.
    pub fn new(store: usize, schema: &LogicalSchema, retention_ms: Option<i64>) -> Result<Self> {
        Ok(Self(Keeper::new(store, schema, retention_ms)?))
    }
}

impl Operator for Materialize {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        self.0.process(cx, input)
    }

    fn on_stream_time(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.0.observe(cx, cx.stream_time)
    }

    fn on_commit(&mut self, cx: &mut OperatorContext<'_>) -> Result<()> {
        self.0.on_commit(cx)
    }

    fn describe(&self) -> String {
        "materialize".to_owned()
    }
}

/// Reads the rows that a [`Materialize`] or [`super::TableSource`] of the same schema keeps.
pub struct TableCodec {
    rows: SchemaCodec,
    key: RowCodec,
}

impl TableCodec {
    /// A reader of rows of `schema`.
    pub fn new(schema: &LogicalSchema) -> Result<Self> {
        let key = RowCodec::new(schema.key().iter().map(|column| column.ty.arrow()))?;
        Ok(Self { rows: SchemaCodec::new(schema)?, key })
    }

    fn read(&self, found: &[(Vec<u8>, Vec<u8>)]) -> Result<ChangeBatch> {
        let mut columns = self.rows.identity.decode(found.iter().map(|(key, _)| &key[1..]))?;
        columns.extend(values_of(&self.rows, found.iter().map(|(_, row)| row.as_slice()))?);
        let data = record_batch(self.rows.arrow.clone(), columns, found.len())?;
        let rowtime = found.iter().map(|(_, row)| i64_at(row)).collect();
        Ok(ChangeBatch::append_only(data, rowtime, vec![0; found.len()]))
    }
}

/// The current rows of the keys (one column per key column), all windows of each; keys that are not there have none.
pub fn lookup(store: &StateStore, codec: &TableCodec, wanted: &[ArrayRef]) -> Result<ChangeBatch> {
    let mut found = Vec::new();
    for key in &codec.key.encode(wanted)? {
        store.prefix(&keys::key(ROWS, &[key.data()]), &mut |key, row| {
            found.push((key.to_vec(), row.to_vec()));
            ControlFlow::Continue(())
        })?;
    }
    codec.read(&found)
}

/// All current rows, at most `limit`.
pub fn scan(store: &StateStore, codec: &TableCodec, limit: usize) -> Result<ChangeBatch> {
    let mut found = Vec::new();
    store.range(Bound::Included(&[ROWS]), Bound::Excluded(&[ROWS + 1]), &mut |key, row| {
        if found.len() == limit {
            return ControlFlow::Break(());
        }
        found.push((key.to_vec(), row.to_vec()));
        ControlFlow::Continue(())
    })?;
    codec.read(&found)
}
