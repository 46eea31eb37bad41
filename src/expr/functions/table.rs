//! Table functions: their cells are arrays whose items become rows.

use std::sync::Arc;

use super::cell::{Cell, View};
use super::declare::Function;
use crate::types::Value;

const TABLE: &str = "TABLE";

/// Most columns that are cubed: each doubles the rows.
const CUBE_LIMIT: usize = 16;

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::table("EXPLODE", TABLE, "One row an item of the array. No rows for an empty or NULL array.")
            .example("EXPLODE(ARRAY[1, 2]) -> 1; 2")
            .columns("(array ARRAY<T>) -> ARRAY<T>", |_| Box::new(|args, _, _| Ok(Arc::clone(&args[0])))),
        Function::table(
            "CUBE_EXPLODE",
            TABLE,
            "One row for every way to replace items by NULL, from all to none. NULL items do not double the rows. No rows \
             for a NULL array; more than 16 items are an error.",
        )
        .example("CUBE_EXPLODE(ARRAY[1, 2]) -> [NULL, NULL]; [NULL, 2]; [1, NULL]; [1, 2]")
        .strict("(columns ARRAY<T>) -> ARRAY<ARRAY<T>>", cube),
    ]
}

fn cube(a: &[Value]) -> Cell {
    let items = a[0].items();
    let free: Vec<usize> = (0..items.len()).filter(|i| !items[*i].is_null()).collect();
    if free.len() > CUBE_LIMIT {
        return Err(format!("{} columns are too many to be cubed", free.len()));
    }
    // Counting in binary, the first column being the highest bit.
    let rows = (0..1usize << free.len()).map(|mask| {
        let mut row = vec![Value::Null; items.len()];
        for (bit, at) in free.iter().rev().enumerate() {
            if mask >> bit & 1 == 1 {
                row[*at] = items[*at].clone();
            }
        }
        Value::Array(row)
    });
    Ok(Value::Array(rows.collect()))
}
