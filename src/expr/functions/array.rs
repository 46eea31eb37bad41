//! Arrays and maps.
//!
//! > KSQL: positions count from 1 and both ends of a slice are part of it; equality treats NULL as a value like others.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array};
use indexmap::IndexMap;

use super::cell::{Cell, Ordered, View, string};
use super::declare::Function;
use crate::types::java_map::walk_order;
use crate::types::{Value, java_text};

const ARRAY: &str = "ARRAY";
const MAP: &str = "MAP";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let mut all = of_arrays();
    all.extend(of_sets());
    all.extend(of_maps());
    all.extend(of_lambdas());
    all
}

fn of_arrays() -> Vec<Function> {
    vec![
        Function::scalar("ARRAY_LENGTH", ARRAY, "How many items the array has. NULL for NULL.")
            .example("ARRAY_LENGTH(ARRAY[1, 2]) -> 2")
            .columns("(array ARRAY<T>) -> INT", |_| {
                Box::new(|args, rows, _| {
                    let arrays = args[0].as_list::<i32>();
                    let lengths = (0..rows).map(|row| arrays.is_valid(row).then(|| arrays.value_length(row)));
                    Ok(Arc::new(lengths.collect::<Int32Array>()) as ArrayRef)
                })
            }),
        Function::scalar(
            "ARRAY_CONTAINS",
            ARRAY,
            "Whether the value, which may be NULL, is among the items. \
             FALSE for a NULL array.",
        )
        .example("ARRAY_CONTAINS(ARRAY[1, 2], 2) -> TRUE")
        .rows("(array ARRAY<T>, value T) -> BOOLEAN", |a| Ok(Value::Boolean(a[0].items().contains(&a[1])))),
        Function::scalar(
            "ARRAY_JOIN",
            ARRAY,
            "The items as text with the delimiter, a comma by default, between them; NULL items read `null`. \
             NULL for a NULL array; items that are no plain values are an error.",
        )
        .example("ARRAY_JOIN(ARRAY['a', 'b'], '-') -> 'a-b'")
        .rows("(array ARRAY<T>) -> STRING", |a| join(&a[0], ","))
        .rows("(array ARRAY<T>, delimiter STRING) -> STRING", |a| join(&a[0], a[1].text())),
        Function::scalar("ARRAY_MAX", ARRAY, "The largest item, NULLs left out. NULL for NULL and when there is none.")
            .example("ARRAY_MAX(ARRAY[1, 3, 2]) -> 3")
            .strict("(array ARRAY<T>) -> T", |a| {
                let items = a[0].items().iter().filter(|item| !item.is_null());
                Ok(items.max_by(|x, y| x.total_cmp(y)).cloned().unwrap_or(Value::Null))
            }),
        Function::scalar(
            "ARRAY_MIN",
            ARRAY,
            "The smallest item, NULLs left out. NULL for NULL and when there is \
             none.",
        )
        .example("ARRAY_MIN(ARRAY[1, 3, 2]) -> 1")
        .strict("(array ARRAY<T>) -> T", |a| {
            let items = a[0].items().iter().filter(|item| !item.is_null());
            Ok(items.min_by(|x, y| x.total_cmp(y)).cloned().unwrap_or(Value::Null))
        }),
        Function::scalar(
            "ARRAY_SORT",
            ARRAY,
            "The items in order, or in descending order with 'DESC'; NULL items come last. NULL if an argument \
             is and for any other direction.",
        )
        .example("ARRAY_SORT(ARRAY[2, 3, 1], 'DESC') -> [3, 2, 1]")
        .strict("(array ARRAY<T>) -> ARRAY<T>", |a| Ok(sorted(&a[0], false)))
        .strict("(array ARRAY<T>, direction STRING) -> ARRAY<T>", |a| {
            Ok(match a[1].text().to_ascii_uppercase().as_str() {
                "ASC" | "ASCENDING" => sorted(&a[0], false),
                "DESC" | "DESCENDING" => sorted(&a[0], true),
                _ => Value::Null,
            })
        }),
        Function::scalar(
            "ARRAY_REMOVE",
            ARRAY,
            "The items that do not equal the value, which may be NULL. NULL \
             for a NULL array.",
        )
        .example("ARRAY_REMOVE(ARRAY[1, 2, 1], 1) -> [2]")
        .rows("(array ARRAY<T>, value T) -> ARRAY<T>", |a| {
            if a[0].is_null() {
                return Ok(Value::Null);
            }
            Ok(Value::Array(a[0].items().iter().filter(|item| **item != a[1]).cloned().collect()))
        }),
        Function::scalar(
            "ARRAY_CONCAT",
            ARRAY,
            "The items of both arrays, one after the other; a NULL array \
             adds none. NULL if both are.",
        )
        .example("ARRAY_CONCAT(ARRAY[1], ARRAY[2, 1]) -> [1, 2, 1]")
        .rows("(left ARRAY<T>, right ARRAY<T>) -> ARRAY<T>", |a| {
            if a.iter().all(Value::is_null) {
                return Ok(Value::Null);
            }
            Ok(Value::Array([a[0].items(), a[1].items()].concat()))
        }),
        Function::scalar(
            "SLICE",
            ARRAY,
            "The items from one position to another, both included; NULL positions mean the ends. NULL for a \
             NULL array and positions outside it; an end before the start is an error.",
        )
        .alias("ARRAY_SLICE")
        .example("SLICE(ARRAY[1, 2, 3], 2, 3) -> [2, 3]")
        .rows("(array ARRAY<T>, from INT, to INT) -> ARRAY<T>", slice),
        Function::scalar(
            "GENERATE_SERIES",
            ARRAY,
            "The numbers from start to end, both included, by steps of 1 (or -1) or as given. NULL if an \
             argument is; a step of 0 or away from the end, and more than 100000 items, are errors.",
        )
        .example("GENERATE_SERIES(1, 3) -> [1, 2, 3]")
        .strict("(start INT, end INT) -> ARRAY<INT>", |a| series(a, false))
        .strict("(start INT, end INT, step INT) -> ARRAY<INT>", |a| series(a, false))
        .strict("(start BIGINT, end BIGINT) -> ARRAY<BIGINT>", |a| series(a, true))
        .strict("(start BIGINT, end BIGINT, step INT) -> ARRAY<BIGINT>", |a| series(a, true)),
    ]
}

fn of_sets() -> Vec<Function> {
    vec![
        Function::scalar("ARRAY_DISTINCT", ARRAY, "The different items in order of first appearance. NULL for NULL.")
            .example("ARRAY_DISTINCT(ARRAY[1, 2, 1]) -> [1, 2]")
            .strict("(array ARRAY<T>) -> ARRAY<T>", |a| Ok(distinct(a[0].items().iter()))),
        Function::scalar(
            "ARRAY_UNION",
            ARRAY,
            "The different items of both arrays, those of the left first. NULL if an argument is.",
        )
        .example("ARRAY_UNION(ARRAY[1, 2], ARRAY[2, 3]) -> [1, 2, 3]")
        .strict("(left ARRAY<T>, right ARRAY<T>) -> ARRAY<T>", |a| {
            Ok(distinct(a[0].items().iter().chain(a[1].items())))
        }),
        Function::scalar(
            "ARRAY_INTERSECT",
            ARRAY,
            "The different items that both arrays have, in the left one's order. NULL if an argument is.",
        )
        .example("ARRAY_INTERSECT(ARRAY[1, 2], ARRAY[2, 3]) -> [2]")
        .strict("(left ARRAY<T>, right ARRAY<T>) -> ARRAY<T>", |a| {
            let right = set(&a[1]);
            Ok(distinct(a[0].items().iter().filter(|item| right.contains(&Ordered((*item).clone())))))
        }),
        Function::scalar(
            "ARRAY_EXCEPT",
            ARRAY,
            "The different items of the left array that the right one has not. NULL if an argument is.",
        )
        .example("ARRAY_EXCEPT(ARRAY[1, 2], ARRAY[2, 3]) -> [1]")
        .strict("(left ARRAY<T>, right ARRAY<T>) -> ARRAY<T>", |a| {
            let right = set(&a[1]);
            Ok(distinct(a[0].items().iter().filter(|item| !right.contains(&Ordered((*item).clone())))))
        }),
    ]
}

fn of_maps() -> Vec<Function> {
    vec![
        Function::scalar("MAP_KEYS", MAP, "The keys of the map. NULL for NULL.")
            .example("MAP_KEYS(MAP('a' := 1)) -> ['a']")
            .strict("(map MAP<K, V>) -> ARRAY<K>", |a| {
                Ok(Value::Array(walked(&a[0]).into_iter().map(|(key, _)| key.clone()).collect()))
            }),
        Function::scalar("MAP_VALUES", MAP, "The values of the map. NULL for NULL.")
            .example("MAP_VALUES(MAP('a' := 1)) -> [1]")
            .strict("(map MAP<K, V>) -> ARRAY<V>", |a| {
                Ok(Value::Array(walked(&a[0]).into_iter().map(|(_, value)| value.clone()).collect()))
            }),
        Function::scalar(
            "MAP_UNION",
            MAP,
            "The entries of both maps; for a key in both the right one's. A NULL \
             map adds none; NULL if both are.",
        )
        .example("MAP_UNION(MAP('a' := 1), MAP('a' := 2)) -> {a=2}")
        .rows("(left MAP<K, V>, right MAP<K, V>) -> MAP<K, V>", |a| {
            if a.iter().all(Value::is_null) {
                return Ok(Value::Null);
            }
            let mut union = a[0].entries().to_vec();
            for (key, value) in a[1].entries() {
                match union.iter_mut().find(|(k, _)| k == key) {
                    Some(entry) => entry.1 = value.clone(),
                    None => union.push((key.clone(), value.clone())),
                }
            }
            Ok(Value::Map(union))
        }),
        Function::scalar(
            "AS_MAP",
            MAP,
            "A map of keys and the values at the same positions, as long as the shorter array; entries with \
             NULL keys are left out. NULL if an argument is.",
        )
        .example("AS_MAP(ARRAY['a'], ARRAY[1]) -> {a=1}")
        .strict("(keys ARRAY<STRING>, values ARRAY<V>) -> MAP<STRING, V>", |a| {
            let pairs = a[0].items().iter().zip(a[1].items());
            let map: IndexMap<&str, &Value> = pairs.filter_map(|(key, value)| Some((key.as_str()?, value))).collect();
            Ok(Value::Map(map.into_iter().map(|(k, v)| (Value::String(k.to_owned()), v.clone())).collect()))
        }),
        Function::scalar(
            "ENTRIES",
            MAP,
            "The entries of the map as structs of K and V, in order of the keys if \
             `sorted`. NULL if an argument is.",
        )
        .example("ENTRIES(MAP('a' := 1), TRUE) -> [{K='a', V=1}]")
        .strict("(map MAP<STRING, V>, sorted BOOLEAN) -> ARRAY<STRUCT<K STRING, V V>>", |a| {
            let mut entries = walked(&a[0]);
            if a[1].flag() {
                entries.sort_by(|x, y| x.0.total_cmp(&y.0));
            }
            let structs = entries.into_iter().map(|(k, v)| Value::Struct(vec![k.clone(), v.clone()]));
            Ok(Value::Array(structs.collect()))
        }),
    ]
}

/// Evaluated by the expression compiler; here for `SHOW FUNCTIONS`.
fn of_lambdas() -> Vec<Function> {
    use super::declare::Body::Syntax;
    const LAMBDA: &str = "LAMBDA";
    vec![
        Function::scalar(
            "TRANSFORM",
            LAMBDA,
            "The collection with every item, or every key and value, replaced \
             by what the lambdas make of it. NULL for NULL.",
        )
        .example("TRANSFORM(ARRAY[1, 2], x => x * 10) -> [10, 20]")
        .overload("(array ARRAY<T>, item LAMBDA) -> ARRAY<U>", Syntax)
        .overload("(map MAP<K, V>, key LAMBDA, value LAMBDA) -> MAP<L, W>", Syntax),
        Function::scalar(
            "FILTER",
            LAMBDA,
            "The items or entries of the collection for which the lambda is true. \
             NULL for NULL.",
        )
        .example("FILTER(ARRAY[1, 2], x => x > 1) -> [2]")
        .overload("(array ARRAY<T>, condition LAMBDA) -> ARRAY<T>", Syntax)
        .overload("(map MAP<K, V>, condition LAMBDA) -> MAP<K, V>", Syntax),
        Function::scalar(
            "REDUCE",
            LAMBDA,
            "One value made by feeding every item or entry, and what the lambda \
             made before, to the lambda. NULL if the initial value is; the initial value for a NULL collection.",
        )
        .example("REDUCE(ARRAY[1, 2], 10, (sum, x) => sum + x) -> 13")
        .overload("(array ARRAY<T>, initial S, next LAMBDA) -> S", Syntax)
        .overload("(map MAP<K, V>, initial S, next LAMBDA) -> S", Syntax),
    ]
}

fn set(array: &Value) -> BTreeSet<Ordered> {
    array.items().iter().cloned().map(Ordered).collect()
}

fn distinct<'a>(items: impl Iterator<Item = &'a Value>) -> Value {
    let mut seen = BTreeSet::new();
    Value::Array(items.filter(|item| seen.insert(Ordered((*item).clone()))).cloned().collect())
}

fn sorted(array: &Value, descending: bool) -> Value {
    let (nulls, mut items): (Vec<Value>, Vec<Value>) = array.items().iter().cloned().partition(Value::is_null);
    items.sort_by(|x, y| if descending { y.total_cmp(x) } else { x.total_cmp(y) });
    items.extend(nulls);
    Value::Array(items)
}

fn join(array: &Value, delimiter: &str) -> Cell {
    if array.is_null() {
        return Ok(Value::Null);
    }
    let mut out = String::new();
    for (i, item) in array.items().iter().enumerate() {
        if i > 0 {
            out.push_str(delimiter);
        }
        match item {
            Value::Null => out.push_str("null"),
            Value::Boolean(v) => out.push_str(if *v { "true" } else { "false" }),
            Value::Int(_) | Value::BigInt(_) => out.push_str(&item.int().to_string()),
            Value::Double(v) => out.push_str(&java_text::double_to_string(*v)),
            Value::Decimal(v) => out.push_str(&v.to_string()),
            Value::String(text) => out.push_str(text),
            _ => return Err("only arrays of plain values can be joined".to_owned()),
        }
    }
    string(out)
}

fn slice(a: &[Value]) -> Cell {
    if a[0].is_null() {
        return Ok(Value::Null);
    }
    let items = a[0].items();
    let from = if a[1].is_null() { 0 } else { a[1].int() - 1 };
    let to = if a[2].is_null() { items.len() as i64 } else { a[2].int() };
    if from < 0 || to > items.len() as i64 {
        return Ok(Value::Null);
    }
    if from > to {
        return Err(format!("the slice ends at {to} before it starts at {}", from + 1));
    }
    Ok(Value::Array(items[from as usize..to as usize].to_vec()))
}

/// Longest series; more is taken for a mistake rather than filling the memory.
const SERIES_LIMIT: i128 = 100_000;

fn series(a: &[Value], wide: bool) -> Cell {
    let (start, end) = (i128::from(a[0].int()), i128::from(a[1].int()));
    let step = a.get(2).map_or(if start <= end { 1 } else { -1 }, |step| i128::from(step.int()));
    if step == 0 {
        return Err("the step of a series cannot be 0".to_owned());
    }
    if (end - start).signum() * step.signum() < 0 {
        return Err(format!("a series from {start} to {end} has no step {step}"));
    }
    let count = (end - start) / step + 1;
    if count > SERIES_LIMIT {
        return Err(format!("a series of {count} items is too long"));
    }
    let item = |i| start + i * step;
    let number = |v: i128| if wide { Value::BigInt(v as i64) } else { Value::Int(v as i32) };
    Ok(Value::Array((0..count).map(|i| number(item(i))).collect()))
}

/// The entries of a map in the order in which Java walks them.
fn walked(map: &Value) -> Vec<&(Value, Value)> {
    let entries = map.entries();
    let keys: Vec<Value> = entries.iter().map(|(key, _)| key.clone()).collect();
    walk_order(&keys).into_iter().map(|at| &entries[at]).collect()
}
