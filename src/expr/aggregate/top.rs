//! TOPK and TOPKDISTINCT: the largest values, in descending order.

use std::any::Any;

use arrow::array::{Array, ArrayRef};

use super::codec::{self, begin, check};
use super::{AGGREGATE, Accumulator, Aggregate, chosen, literal_count, no_undo, same};
use crate::error::Result;
use crate::expr::functions::declare::{Body, Call, Function};
use crate::types::{SqlType, StructField, Value};

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let top = |name, description, example, make: fn(&Call) -> Result<Box<dyn Aggregate>>| {
        Function::aggregate(name, AGGREGATE, description)
            .example(example)
            .overload("(value INT, k INT) -> ARRAY<INT>", Body::Aggregate(make))
            .overload("(value BIGINT, k INT) -> ARRAY<BIGINT>", Body::Aggregate(make))
            .overload("(value DOUBLE, k INT) -> ARRAY<DOUBLE>", Body::Aggregate(make))
            .overload("(value DECIMAL, k INT) -> ARRAY<DECIMAL>", Body::Aggregate(make))
            .overload("(value STRING, k INT) -> ARRAY<STRING>", Body::Aggregate(make))
            .overload("(value BYTES, k INT) -> ARRAY<BYTES>", Body::Aggregate(make))
            .overload("(value DATE, k INT) -> ARRAY<DATE>", Body::Aggregate(make))
            .overload("(value TIME, k INT) -> ARRAY<TIME>", Body::Aggregate(make))
            .overload("(value TIMESTAMP, k INT) -> ARRAY<TIMESTAMP>", Body::Aggregate(make))
    };
    let structs =
        |function: Function, text| function.overload(text, Body::Aggregate(make::<false>)).returning(rows_type);
    let topk = top(
        "TOPK",
        "The k largest values in descending order, NULLs left out. With further columns: the rows with the k largest values \
         as structs of `sort_col`, `col0`, `col1` and so on; of equal values the earlier row first.",
        "TOPK(AMOUNT, 3)",
        make::<false>,
    );
    // One overload a number of further columns: each may have a type of its own.
    let topk = structs(topk, "(value T, a A, k INT) -> ARRAY<T>");
    let topk = structs(topk, "(value T, a A, b B, k INT) -> ARRAY<T>");
    let topk = structs(topk, "(value T, a A, b B, c C, k INT) -> ARRAY<T>");
    let topk = structs(topk, "(value T, a A, b B, c C, d D, k INT) -> ARRAY<T>");
    let topk = structs(topk, "(value T, a A, b B, c C, d D, e E, k INT) -> ARRAY<T>");
    let topk = structs(topk, "(value T, a A, b B, c C, d D, e E, f F, k INT) -> ARRAY<T>");
    let topk = structs(topk, "(value T, a A, b B, c C, d D, e E, f F, g G, k INT) -> ARRAY<T>");
    let topk = structs(topk, "(value T, a A, b B, c C, d D, e E, f F, g G, h H, k INT) -> ARRAY<T>");
    let distinct = top(
        "TOPKDISTINCT",
        "The k largest different values in descending order, NULLs left out.",
        "TOPKDISTINCT(AMOUNT, 3)",
        make::<true>,
    );
    vec![topk, distinct]
}

/// The struct form's result.
fn rows_type(params: &[SqlType]) -> SqlType {
    let columns = &params[..params.len() - 1];
    let fields = columns.iter().enumerate().map(|(i, ty)| match i {
        0 => StructField::new("sort_col", ty.clone()),
        _ => StructField::new(format!("col{}", i - 1), ty.clone()),
    });
    SqlType::array(SqlType::Struct(fields.collect()))
}

fn make<const DISTINCT: bool>(call: &Call) -> Result<Box<dyn Aggregate>> {
    let columns = call.params.len() - 1;
    let limit = literal_count(call, columns)?;
    let rows = columns > 1;
    chosen(call, columns, false, move || Top { values: Vec::new(), limit, rows, distinct: DISTINCT })
}

struct Top {
    /// In descending order; structs when whole rows are kept.
    values: Vec<Value>,
    limit: usize,
    rows: bool,
    distinct: bool,
}

impl Top {
    /// Where a value belongs: behind all that are not smaller.
    fn place(&self, sort: &Value) -> usize {
        self.values.partition_point(|v| self.sort(v).total_cmp(sort).is_ge())
    }

    fn sort<'a>(&self, value: &'a Value) -> &'a Value {
        match value {
            Value::Struct(columns) if self.rows => &columns[0],
            value => value,
        }
    }

    fn insert(&mut self, at: usize, value: Value) {
        if self.distinct && at > 0 && self.values[at - 1].total_cmp(&value).is_eq() {
            return;
        }
        self.values.insert(at, value);
        self.values.truncate(self.limit);
    }
}

impl Accumulator for Top {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        if args[0].is_null(row) {
            return Ok(());
        }
        let sort = Value::from_array(&args[0], row);
        let at = self.place(&sort);
        if at < self.limit {
            let value = match self.rows {
                true => Value::Struct(args.iter().map(|arg| Value::from_array(arg, row)).collect()),
                false => sort,
            };
            self.insert(at, value);
        }
        Ok(())
    }

    fn undo(&mut self, _: &[ArrayRef], _: usize) -> Result<(), String> {
        no_undo()
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        for value in &same::<Self>(other)?.values {
            let at = self.place(self.sort(value));
            if at < self.limit {
                self.insert(at, value.clone());
            }
        }
        Ok(())
    }

    fn result(&self) -> Value {
        Value::Array(self.values.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_values(out, &self.values);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.values = codec::take_values(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
