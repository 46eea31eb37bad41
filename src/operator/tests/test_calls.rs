//! Aggregates of our own: the operators' tests hang on no function of the library. `COUNT` of rows, `SUM` of a BIGINT
//! (fails on -1), `LIST` of a BIGINT's values in order.

use std::any::Any;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int64Type;

use super::bench::expr;
use crate::error::Result;
use crate::expr::{Accumulator, Aggregate};
use crate::operator::Call;
use crate::state::keys::{i64_at, put_i64};
use crate::types::{LogicalSchema, SqlType, Value};

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kind {
    Count,
    Sum,
    List,
}

struct TestAggregate(Kind);

struct TestAccumulator {
    kind: Kind,
    items: Vec<i64>,
    sum: i64,
}

/// The call over column `V` of `input`.
pub(super) fn call(kind: Kind, input: &LogicalSchema) -> Call {
    let args = if kind == Kind::Count { vec![] } else { vec![expr("V", input)] };
    let name = match kind {
        Kind::Count => "COUNT",
        Kind::Sum => "SUM",
        Kind::List => "LIST",
    };
    Call { name: name.to_owned(), aggregate: Box::new(TestAggregate(kind)), args }
}

impl Aggregate for TestAggregate {
    fn returns(&self) -> SqlType {
        if self.0 == Kind::List { SqlType::array(SqlType::BigInt) } else { SqlType::BigInt }
    }

    fn params(&self) -> Vec<SqlType> {
        if self.0 == Kind::Count { vec![] } else { vec![SqlType::BigInt] }
    }

    fn can_undo(&self) -> bool {
        true
    }

    fn accumulator(&self) -> Box<dyn Accumulator> {
        Box::new(TestAccumulator { kind: self.0, items: Vec::new(), sum: 0 })
    }
}

impl TestAccumulator {
    fn value(&self, args: &[ArrayRef], row: usize) -> i64 {
        let number = |column: &ArrayRef| {
            let column = column.as_primitive::<Int64Type>();
            if column.is_null(row) { 0 } else { column.value(row) }
        };
        if self.kind == Kind::Count { 1 } else { number(&args[0]) }
    }
}

impl Accumulator for TestAccumulator {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let value = self.value(args, row);
        if self.kind == Kind::Sum && value == -1 {
            return Err("no -1, please".to_owned());
        }
        self.sum += value;
        if self.kind == Kind::List {
            self.items.push(value);
        }
        Ok(())
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let value = self.value(args, row);
        self.sum -= value;
        if let Some(at) = self.items.iter().position(|item| *item == value) {
            self.items.remove(at);
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        let other = other.as_any().downcast_ref::<Self>().ok_or("another function")?;
        self.sum += other.sum;
        self.items.extend_from_slice(&other.items);
        Ok(())
    }

    fn result(&self) -> Value {
        match self.kind {
            Kind::List => Value::Array(self.items.iter().map(|item| Value::BigInt(*item)).collect()),
            _ => Value::BigInt(self.sum),
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        put_i64(out, self.sum);
        put_i64(out, self.items.len() as i64);
        self.items.iter().for_each(|item| put_i64(out, *item));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        let mut next = || {
            let value = i64_at(bytes);
            *bytes = &bytes[8..];
            value
        };
        self.sum = next();
        self.items = (0..next()).map(|_| 0).collect();
        self.items.iter_mut().for_each(|item| *item = next());
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
