//! [`TableSource`]: upserts become a table's changes.
//!
//! Rows with a null key go. A tombstone for a key that is not there flows on, as a deletion of a row that is not known.

use super::keeper::Keeper;
use super::{Input, Operator, OperatorContext};
use crate::error::Result;
use crate::types::LogicalSchema;

/// A table read from a topic. State: see [`super::keeper`].
pub struct TableSource(Keeper);

impl TableSource {
    /// Rows of `schema`, kept in `store`.
    pub fn new(store: usize, schema: &LogicalSchema) -> Result<Self> {
        Ok(Self(Keeper::new(store, schema, None)?))
    }
}

impl Operator for TableSource {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        self.0.process(cx, input)
    }

    fn describe(&self) -> String {
        "table source".to_owned()
    }
}
