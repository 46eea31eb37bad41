//! [`Limit`]: lets the first rows through and no more. Before images do not count.

use super::{Input, Operator, OperatorContext};
use crate::change::Op;
use crate::error::Result;

/// `LIMIT` of a push query. It has no store: a push query does not survive its session.
pub struct Limit {
    rows: u64,
    left: u64,
}

impl Limit {
    /// Lets `rows` rows through.
    pub fn new(rows: u64) -> Self {
        Self { rows, left: rows }
    }
}

impl Operator for Limit {
    fn process(&mut self, cx: &mut OperatorContext<'_>, input: Input) -> Result<()> {
        let Some(batch) = input.into_single() else { return Ok(()) };
        let mut end = 0;
        while end < batch.len() && self.left > 0 {
            self.left -= u64::from(batch.op(end) != Op::UpdateBefore);
            end += 1;
        }
        cx.emit(batch.slice(0, end));
        Ok(())
    }

    fn describe(&self) -> String {
        format!("limit {}", self.rows)
    }
}
