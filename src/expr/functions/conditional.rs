//! Choosing among values.

use std::cmp::Ordering;

use arrow::array::{Array, BooleanArray};
use arrow::compute::kernels::zip::zip;

use super::cell::Cell;
use super::declare::{ColumnFn, Function};
use crate::types::Value;

const CONDITIONAL: &str = "CONDITIONAL";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::scalar("COALESCE", CONDITIONAL, "The first argument that is not NULL; NULL if all are.")
            .example("COALESCE(NULL, 2, 3) -> 2")
            .columns("(first T, others T...) -> T", |_| coalesce()),
        Function::scalar("IFNULL", CONDITIONAL, "The first argument, or the second where the first is NULL.")
            .example("IFNULL(NULL, 'none') -> 'none'")
            .columns("(value T, otherwise T) -> T", |_| coalesce()),
        Function::scalar("NULLIF", CONDITIONAL, "The first argument, but NULL where it equals the second.")
            .example("NULLIF('n/a', 'n/a') -> NULL")
            .rows("(value T, unwanted T) -> T", |a| Ok(if a[0] == a[1] { Value::Null } else { a[0].clone() })),
        extreme(
            "GREATEST",
            "The largest of the arguments, NULLs left out; NULL if all are.",
            "GREATEST(1, 3, NULL) -> 3",
            |a| most(a, Ordering::Greater),
        ),
        extreme(
            "LEAST",
            "The smallest of the arguments, NULLs left out; NULL if all are.",
            "LEAST(1, 3, NULL) -> 1",
            |a| most(a, Ordering::Less),
        ),
        Function::scalar("AS_VALUE", CONDITIONAL, "The argument itself: copies a key column into the value.")
            .example("AS_VALUE(USER_ID) -> USER_ID")
            .columns("(value T) -> T", |_| Box::new(|args, _, _| Ok(args[0].clone()))),
    ]
}

fn extreme(name: &'static str, description: &'static str, example: &'static str, f: fn(&[Value]) -> Cell) -> Function {
    Function::scalar(name, CONDITIONAL, description)
        .example(example)
        .rows("(first INT, others INT...) -> INT", f)
        .rows("(first BIGINT, others BIGINT...) -> BIGINT", f)
        .rows("(first DOUBLE, others DOUBLE...) -> DOUBLE", f)
        .rows("(first DECIMAL, others DECIMAL...) -> DECIMAL", f)
        .rows("(first STRING, others STRING...) -> STRING", f)
        .rows("(first BYTES, others BYTES...) -> BYTES", f)
        .rows("(first DATE, others DATE...) -> DATE", f)
        .rows("(first TIME, others TIME...) -> TIME", f)
        .rows("(first TIMESTAMP, others TIMESTAMP...) -> TIMESTAMP", f)
}

fn most(args: &[Value], wanted: Ordering) -> Cell {
    let values = args.iter().filter(|value| !value.is_null());
    let most = values.reduce(|best, value| if value.total_cmp(best) == wanted { value } else { best });
    Ok(most.cloned().unwrap_or(Value::Null))
}

fn coalesce() -> ColumnFn {
    Box::new(|args, _, _| {
        let mut result = args[0].clone();
        for other in &args[1..] {
            let Some(nulls) = result.nulls().filter(|nulls| nulls.null_count() > 0).cloned() else { break };
            let valid = BooleanArray::new(nulls.into_inner(), None);
            result = zip(&valid, &result, other)?;
        }
        Ok(result)
    })
}
