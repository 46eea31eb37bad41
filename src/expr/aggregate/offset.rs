//! LATEST_BY_OFFSET and EARLIEST_BY_OFFSET: the last or first values in order of processing.
//!
//! **Invariant:** values carry a sequence number that grows with every row the aggregate takes, also after a restart,
//! so that merged sessions know which of their values came first.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{Array, ArrayRef};

use super::codec::{self, begin, check};
use super::{AGGREGATE, Accumulator, Aggregate, chosen, literal, literal_count, no_undo, same};
use crate::error::Result;
use crate::expr::functions::declare::{Body, Call, Function};
use crate::types::Value;

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::aggregate(
            "LATEST_BY_OFFSET",
            AGGREGATE,
            "The value processed last, or an array of the last n. NULLs are left out unless `ignore_nulls` is FALSE.",
        )
        .example("LATEST_BY_OFFSET(STATUS)")
        .overload("(value T) -> T", Body::Aggregate(|call| make::<true>(call, None, None)))
        .overload("(value T, ignore_nulls BOOLEAN) -> T", Body::Aggregate(|call| make::<true>(call, None, Some(1))))
        .overload("(value T, n INT) -> ARRAY<T>", Body::Aggregate(|call| make::<true>(call, Some(1), None)))
        .overload(
            "(value T, n INT, ignore_nulls BOOLEAN) -> ARRAY<T>",
            Body::Aggregate(|call| make::<true>(call, Some(1), Some(2))),
        ),
        Function::aggregate(
            "EARLIEST_BY_OFFSET",
            AGGREGATE,
            "The value processed first, or an array of the first n. NULLs are left out unless `ignore_nulls` is FALSE.",
        )
        .example("EARLIEST_BY_OFFSET(STATUS)")
        .overload("(value T) -> T", Body::Aggregate(|call| make::<false>(call, None, None)))
        .overload("(value T, ignore_nulls BOOLEAN) -> T", Body::Aggregate(|call| make::<false>(call, None, Some(1))))
        .overload("(value T, n INT) -> ARRAY<T>", Body::Aggregate(|call| make::<false>(call, Some(1), None)))
        .overload(
            "(value T, n INT, ignore_nulls BOOLEAN) -> ARRAY<T>",
            Body::Aggregate(|call| make::<false>(call, Some(1), Some(2))),
        ),
    ]
}

/// `n` and `ignore` are the positions of those literals, if the overload has them.
fn make<const LATEST: bool>(call: &Call, n: Option<usize>, ignore: Option<usize>) -> Result<Box<dyn Aggregate>> {
    let limit = n.map_or(Ok(1), |at| literal_count(call, at))?;
    let ignore_nulls = ignore.map_or(Ok(true), |at| literal(call, at).map(|v| *v != Value::Boolean(false)))?;
    let sequence = Arc::new(AtomicI64::new(0));
    let many = n.is_some();
    chosen(call, 1, false, move || Offsets {
        values: VecDeque::new(),
        limit,
        many,
        latest: LATEST,
        ignore_nulls,
        sequence: Arc::clone(&sequence),
    })
}

struct Offsets {
    /// In order of their numbers.
    values: VecDeque<(i64, Value)>,
    limit: usize,
    many: bool,
    latest: bool,
    ignore_nulls: bool,
    sequence: Arc<AtomicI64>,
}

impl Accumulator for Offsets {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        if self.ignore_nulls && args[0].is_null(row) {
            return Ok(());
        }
        let full = self.values.len() == self.limit;
        if full && !self.latest {
            return Ok(());
        }
        if full {
            self.values.pop_front();
        }
        let number = self.sequence.fetch_add(1, Ordering::Relaxed);
        self.values.push_back((number, Value::from_array(&args[0], row)));
        Ok(())
    }

    /// Of many rows only the last ones can matter.
    fn update_rows(&mut self, args: &[ArrayRef], rows: &[u32], failed: &mut dyn FnMut(u32, String)) {
        let counts = |row: &&u32| !self.ignore_nulls || args[0].is_valid(**row as usize);
        let mut rows: Vec<u32> = if self.latest {
            rows.iter().rev().filter(counts).take(self.limit).copied().collect()
        } else {
            rows.iter().filter(counts).take(self.limit).copied().collect()
        };
        if self.latest {
            rows.reverse();
        }
        for row in rows {
            if let Err(reason) = self.update(args, row as usize) {
                failed(row, reason);
            }
        }
    }

    fn undo(&mut self, _: &[ArrayRef], _: usize) -> Result<(), String> {
        no_undo()
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        self.values.extend(same::<Self>(other)?.values.iter().cloned());
        self.values.make_contiguous().sort_by_key(|(number, _)| *number);
        while self.values.len() > self.limit {
            if self.latest {
                self.values.pop_front()
            } else {
                self.values.pop_back()
            };
        }
        Ok(())
    }

    fn result(&self) -> Value {
        if self.many {
            return Value::Array(self.values.iter().map(|(_, value)| value.clone()).collect());
        }
        self.values.back().map_or(Value::Null, |(_, value)| value.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_len(out, self.values.len());
        for (number, value) in &self.values {
            codec::put_i64(out, *number);
            codec::put_value(out, value);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        let len = codec::take_len(bytes)?;
        self.values =
            (0..len).map(|_| Ok((codec::take_i64(bytes)?, codec::take_value(bytes)?))).collect::<Result<_>>()?;
        if let Some((number, _)) = self.values.back() {
            self.sequence.fetch_max(number.saturating_add(1), Ordering::Relaxed);
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
