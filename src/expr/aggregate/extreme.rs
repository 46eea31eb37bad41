//! MIN and MAX of everything that has an order.

use std::any::Any;
use std::cmp::Ordering;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray};
use arrow::datatypes::{
    ArrowNativeTypeOp, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};

use super::codec::{self, begin, check};
use super::{AGGREGATE, Accumulator, Aggregate, chosen, no_undo, same};
use crate::error::Result;
use crate::expr::functions::declare::{Body, Call, Function};
use crate::types::{Decimal, SqlType, Value};

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let most = |name,
                description,
                example,
                [int, bigint, double, decimal, date, time, timestamp, string, bytes]: [Maker; 9]| {
        Function::aggregate(name, AGGREGATE, description)
            .example(example)
            .overload("(value INT) -> INT", Body::Aggregate(int))
            .overload("(value BIGINT) -> BIGINT", Body::Aggregate(bigint))
            .overload("(value DOUBLE) -> DOUBLE", Body::Aggregate(double))
            .overload("(value DECIMAL) -> DECIMAL", Body::Aggregate(decimal))
            .overload("(value DATE) -> DATE", Body::Aggregate(date))
            .overload("(value TIME) -> TIME", Body::Aggregate(time))
            .overload("(value TIMESTAMP) -> TIMESTAMP", Body::Aggregate(timestamp))
            .overload("(value STRING) -> STRING", Body::Aggregate(string))
            .overload("(value BYTES) -> BYTES", Body::Aggregate(bytes))
    };
    vec![
        most("MAX", "The largest value, NULLs left out; NULL if there is none.", "MAX(AMOUNT)", makers::<true>()),
        most("MIN", "The smallest value, NULLs left out; NULL if there is none.", "MIN(AMOUNT)", makers::<false>()),
    ]
}

type Maker = fn(&Call) -> Result<Box<dyn Aggregate>>;

fn makers<const MAX: bool>() -> [Maker; 9] {
    [
        number::<Int32Type, MAX>,
        number::<Int64Type, MAX>,
        number::<Float64Type, MAX>,
        number::<Decimal128Type, MAX>,
        number::<Date32Type, MAX>,
        number::<Time32MillisecondType, MAX>,
        number::<TimestampMillisecondType, MAX>,
        |call| chosen(call, 1, false, || BytesExtreme { best: None, max: MAX, text: true }),
        |call| chosen(call, 1, false, || BytesExtreme { best: None, max: MAX, text: false }),
    ]
}

fn number<T: Number, const MAX: bool>(call: &Call) -> Result<Box<dyn Aggregate>> {
    let scale = if let SqlType::Decimal(_, scale) = call.returns { *scale } else { 0 };
    chosen(call, 1, false, move || Extreme::<T> { best: None, max: MAX, scale })
}

/// Columns of fixed-width cells.
trait Number: ArrowPrimitiveType {
    fn value(v: Self::Native, scale: u8) -> Value;
    fn put(v: Self::Native, out: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Result<Self::Native>;
}

macro_rules! integer_number {
    ($($arrow:ty => $value:path),*) => {$(
        impl Number for $arrow {
            fn value(v: Self::Native, _: u8) -> Value {
                $value(v)
            }
            fn put(v: Self::Native, out: &mut Vec<u8>) {
                codec::put_i64(out, i64::from(v));
            }
            fn take(bytes: &mut &[u8]) -> Result<Self::Native> {
                Ok(codec::take_i64(bytes)? as Self::Native)
            }
        }
    )*};
}

integer_number!(
    Int32Type => Value::Int,
    Int64Type => Value::BigInt,
    Date32Type => Value::Date,
    Time32MillisecondType => Value::Time,
    TimestampMillisecondType => Value::Timestamp
);

impl Number for Float64Type {
    fn value(v: f64, _: u8) -> Value {
        Value::Double(v)
    }
    fn put(v: f64, out: &mut Vec<u8>) {
        codec::put_f64(out, v);
    }
    fn take(bytes: &mut &[u8]) -> Result<f64> {
        codec::take_f64(bytes)
    }
}

impl Number for Decimal128Type {
    fn value(v: i128, scale: u8) -> Value {
        Value::Decimal(Decimal::new(v, scale))
    }
    fn put(v: i128, out: &mut Vec<u8>) {
        codec::put_i128(out, v);
    }
    fn take(bytes: &mut &[u8]) -> Result<i128> {
        codec::take_i128(bytes)
    }
}

struct Extreme<T: Number> {
    best: Option<T::Native>,
    max: bool,
    scale: u8,
}

impl<T: Number> Extreme<T> {
    fn offer(&mut self, v: T::Native) {
        let wanted = if self.max { Ordering::Greater } else { Ordering::Less };
        if self.best.is_none_or(|best| v.compare(best) == wanted) {
            self.best = Some(v);
        }
    }
}

impl<T: Number> Accumulator for Extreme<T> {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_primitive::<T>();
        if column.is_valid(row) {
            self.offer(column.value(row));
        }
        Ok(())
    }

    fn update_rows(&mut self, args: &[ArrayRef], rows: &[u32], _: &mut dyn FnMut(u32, String)) {
        let column = args[0].as_primitive::<T>();
        rows.iter()
            .filter(|row| column.is_valid(**row as usize))
            .for_each(|row| self.offer(column.value(*row as usize)));
    }

    fn undo(&mut self, _: &[ArrayRef], _: usize) -> Result<(), String> {
        no_undo()
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        if let Some(v) = same::<Self>(other)?.best {
            self.offer(v);
        }
        Ok(())
    }

    fn result(&self) -> Value {
        self.best.map_or(Value::Null, |v| T::value(v, self.scale))
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_flag(out, self.best.is_some());
        if let Some(v) = self.best {
            T::put(v, out);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.best = if codec::take_flag(bytes)? { Some(T::take(bytes)?) } else { None };
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Text and bytes, both in the order of their bytes.
struct BytesExtreme {
    best: Option<Vec<u8>>,
    max: bool,
    text: bool,
}

impl BytesExtreme {
    fn offer(&mut self, v: &[u8]) {
        let wanted = if self.max { Ordering::Greater } else { Ordering::Less };
        match &mut self.best {
            Some(best) if v.cmp(best.as_slice()) == wanted => {
                best.clear();
                best.extend_from_slice(v);
            }
            Some(_) => {}
            None => self.best = Some(v.to_vec()),
        }
    }
}

impl Accumulator for BytesExtreme {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        if args[0].is_valid(row) {
            match self.text {
                true => self.offer(args[0].as_string::<i32>().value(row).as_bytes()),
                false => self.offer(args[0].as_binary::<i32>().value(row)),
            }
        }
        Ok(())
    }

    fn undo(&mut self, _: &[ArrayRef], _: usize) -> Result<(), String> {
        no_undo()
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        if let Some(v) = &same::<Self>(other)?.best {
            self.offer(v);
        }
        Ok(())
    }

    fn result(&self) -> Value {
        match &self.best {
            None => Value::Null,
            Some(v) if self.text => Value::String(String::from_utf8_lossy(v).into_owned()),
            Some(v) => Value::Bytes(v.clone()),
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_flag(out, self.best.is_some());
        if let Some(v) = &self.best {
            codec::put_bytes(out, v);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.best = if codec::take_flag(bytes)? { Some(codec::take_bytes(bytes)?.to_vec()) } else { None };
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
