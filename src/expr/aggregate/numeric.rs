//! Counting and adding: COUNT, SUM, AVG, SUM_LIST.
//!
//! **Invariant:** nothing is allocated per row.

use std::any::Any;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::datatypes::{Decimal128Type, Float64Type, Int32Type, Int64Type};

use super::codec::{self, begin, check};
use super::{AGGREGATE, Accumulator, chosen, same};
use crate::error::Result;
use crate::expr::functions::declare::Body::Aggregate;
use crate::expr::functions::declare::{Call, Function};
use crate::types::{Decimal, SqlType, Value};

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::aggregate(
            "COUNT",
            AGGREGATE,
            "How many rows there are, or in how many of them the argument is \
             not NULL.",
        )
        .example("COUNT(*)")
        .overload("() -> BIGINT", Aggregate(|call| chosen(call, 0, true, Count::default)))
        .overload("(value T) -> BIGINT", Aggregate(|call| chosen(call, 1, true, Count::default))),
        Function::aggregate(
            "SUM",
            AGGREGATE,
            "The sum of the values that are not NULL, 0 if there are none. Integers wrap around; a decimal sum \
             with more digits than its type holds is an error.",
        )
        .example("SUM(AMOUNT)")
        .overload("(value INT) -> INT", Aggregate(sum::<Int32Type>))
        .overload("(value BIGINT) -> BIGINT", Aggregate(sum::<Int64Type>))
        .overload("(value DOUBLE) -> DOUBLE", Aggregate(sum::<Float64Type>))
        .overload("(value DECIMAL) -> DECIMAL", Aggregate(sum::<Decimal128Type>)),
        Function::aggregate("AVG", AGGREGATE, "The mean of the values that are not NULL, 0.0 if there are none.")
            .example("AVG(AMOUNT)")
            .overload("(value INT) -> DOUBLE", Aggregate(mean::<Int32Type, i128>))
            .overload("(value BIGINT) -> DOUBLE", Aggregate(mean::<Int64Type, i128>))
            .overload("(value DOUBLE) -> DOUBLE", Aggregate(mean::<Float64Type, f64>)),
        Function::aggregate("SUM_LIST", AGGREGATE, "The sum of all items of all arrays, NULLs left out.")
            .example("SUM_LIST(ARRAY[1, 2])")
            .overload("(values ARRAY<INT>) -> INT", Aggregate(sum_list::<Int32Type>))
            .overload("(values ARRAY<BIGINT>) -> BIGINT", Aggregate(sum_list::<Int64Type>))
            .overload("(values ARRAY<DOUBLE>) -> DOUBLE", Aggregate(sum_list::<Float64Type>)),
    ]
}

/// `COUNT`
#[derive(Default)]
struct Count(i64);

impl Accumulator for Count {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        self.0 += i64::from(args.first().is_none_or(|arg| arg.is_valid(row)));
        Ok(())
    }

    fn update_rows(&mut self, args: &[ArrayRef], rows: &[u32], _: &mut dyn FnMut(u32, String)) {
        self.0 += match args.first().and_then(|arg| arg.nulls()) {
            Some(nulls) => rows.iter().filter(|row| nulls.is_valid(**row as usize)).count() as i64,
            None => rows.len() as i64,
        };
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        self.0 -= i64::from(args.first().is_none_or(|arg| arg.is_valid(row)));
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        self.0 += same::<Self>(other)?.0;
        Ok(())
    }

    fn result(&self) -> Value {
        Value::BigInt(self.0)
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_i64(out, self.0);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.0 = codec::take_i64(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// Numbers that add up.
trait Addend: ArrowPrimitiveType {
    const ZERO: Self::Native;
    /// Adds within the bounds that `limit` (exclusive, for decimals) sets.
    fn plus(a: Self::Native, b: Self::Native, limit: i128) -> Option<Self::Native>;
    fn minus(a: Self::Native, b: Self::Native, limit: i128) -> Option<Self::Native>;
    fn value(v: Self::Native, scale: u8) -> Value;
    fn put(v: Self::Native, out: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Result<Self::Native>;
}

macro_rules! integer_addend {
    ($arrow:ty, $native:ty, $value:path) => {
        impl Addend for $arrow {
            const ZERO: $native = 0;
            fn plus(a: $native, b: $native, _: i128) -> Option<$native> {
                Some(a.wrapping_add(b))
            }
            fn minus(a: $native, b: $native, _: i128) -> Option<$native> {
                Some(a.wrapping_sub(b))
            }
            fn value(v: $native, _: u8) -> Value {
                $value(v)
            }
            fn put(v: $native, out: &mut Vec<u8>) {
                codec::put_i64(out, i64::from(v));
            }
            fn take(bytes: &mut &[u8]) -> Result<$native> {
                Ok(codec::take_i64(bytes)? as $native)
            }
        }
    };
}

integer_addend!(Int32Type, i32, Value::Int);
integer_addend!(Int64Type, i64, Value::BigInt);

impl Addend for Float64Type {
    const ZERO: f64 = 0.0;
    fn plus(a: f64, b: f64, _: i128) -> Option<f64> {
        Some(a + b)
    }
    fn minus(a: f64, b: f64, _: i128) -> Option<f64> {
        Some(a - b)
    }
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

impl Addend for Decimal128Type {
    const ZERO: i128 = 0;
    fn plus(a: i128, b: i128, limit: i128) -> Option<i128> {
        a.checked_add(b).filter(|sum| sum.unsigned_abs() < limit.unsigned_abs())
    }
    fn minus(a: i128, b: i128, limit: i128) -> Option<i128> {
        a.checked_sub(b).filter(|sum| sum.unsigned_abs() < limit.unsigned_abs())
    }
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

fn overflow() -> String {
    "the decimal sum has too many digits".to_owned()
}

/// `SUM`
struct Sum<T: Addend> {
    sum: T::Native,
    scale: u8,
    limit: i128,
}

fn sum<T: Addend>(call: &Call) -> Result<Box<dyn super::Aggregate>> {
    let (precision, scale) = if let SqlType::Decimal(p, s) = call.returns { (*p, *s) } else { (38, 0) };
    let limit = 10i128.saturating_pow(u32::from(precision));
    chosen(call, 1, true, move || Sum::<T> { sum: T::ZERO, scale, limit })
}

impl<T: Addend> Accumulator for Sum<T> {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_primitive::<T>();
        if column.is_valid(row) {
            self.sum = T::plus(self.sum, column.value(row), self.limit).ok_or_else(overflow)?;
        }
        Ok(())
    }

    fn update_rows(&mut self, args: &[ArrayRef], rows: &[u32], failed: &mut dyn FnMut(u32, String)) {
        let column: &PrimitiveArray<T> = args[0].as_primitive();
        for row in rows.iter().filter(|row| column.is_valid(**row as usize)) {
            match T::plus(self.sum, column.value(*row as usize), self.limit) {
                Some(sum) => self.sum = sum,
                None => failed(*row, overflow()),
            }
        }
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_primitive::<T>();
        if column.is_valid(row) {
            self.sum = T::minus(self.sum, column.value(row), self.limit).ok_or_else(overflow)?;
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        self.sum = T::plus(self.sum, same::<Self>(other)?.sum, self.limit).ok_or_else(overflow)?;
        Ok(())
    }

    fn result(&self) -> Value {
        T::value(self.sum, self.scale)
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        T::put(self.sum, out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.sum = T::take(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `SUM_LIST`: a [`Sum`] that is fed whole arrays.
struct SumList<T: Addend>(Sum<T>);

fn sum_list<T: Addend>(call: &Call) -> Result<Box<dyn super::Aggregate>> {
    chosen(call, 1, true, || SumList(Sum::<T> { sum: T::ZERO, scale: 0, limit: 0 }))
}

impl<T: Addend> SumList<T> {
    fn feed(&mut self, args: &[ArrayRef], row: usize, undo: bool) {
        let column = args[0].as_list::<i32>();
        if column.is_valid(row) {
            let items = column.value(row);
            for v in items.as_primitive::<T>().iter().flatten() {
                let sum = if undo { T::minus(self.0.sum, v, 0) } else { T::plus(self.0.sum, v, 0) };
                self.0.sum = sum.unwrap_or(self.0.sum);
            }
        }
    }
}

impl<T: Addend> Accumulator for SumList<T> {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        self.feed(args, row, false);
        Ok(())
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        self.feed(args, row, true);
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        self.0.merge(&same::<Self>(other)?.0)
    }

    fn result(&self) -> Value {
        self.0.result()
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.0.save(out);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        self.0.load(bytes)
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// What means are summed in: wide enough never to wrap.
trait Wide: Copy + Send + 'static {
    fn plus(self, other: Self) -> Self;
    fn minus(self, other: Self) -> Self;
    fn double(self) -> f64;
    fn put(self, out: &mut Vec<u8>);
    fn take(bytes: &mut &[u8]) -> Result<Self>;
}

impl Wide for i128 {
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    fn minus(self, other: Self) -> Self {
        self.wrapping_sub(other)
    }
    fn double(self) -> f64 {
        self as f64
    }
    fn put(self, out: &mut Vec<u8>) {
        codec::put_i128(out, self);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self> {
        codec::take_i128(bytes)
    }
}

impl Wide for f64 {
    fn plus(self, other: Self) -> Self {
        self + other
    }
    fn minus(self, other: Self) -> Self {
        self - other
    }
    fn double(self) -> f64 {
        self
    }
    fn put(self, out: &mut Vec<u8>) {
        codec::put_f64(out, self);
    }
    fn take(bytes: &mut &[u8]) -> Result<Self> {
        codec::take_f64(bytes)
    }
}

/// `AVG`
struct Mean<T, W> {
    sum: W,
    count: i64,
    column: std::marker::PhantomData<fn(T)>,
}

fn mean<T: ArrowPrimitiveType, W: Wide + From<T::Native> + Default>(call: &Call) -> Result<Box<dyn super::Aggregate>> {
    chosen(call, 1, true, || Mean::<T, W> { sum: W::default(), count: 0, column: std::marker::PhantomData })
}

impl<T: ArrowPrimitiveType, W: Wide + From<T::Native>> Accumulator for Mean<T, W> {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_primitive::<T>();
        if column.is_valid(row) {
            self.sum = self.sum.plus(column.value(row).into());
            self.count += 1;
        }
        Ok(())
    }

    fn update_rows(&mut self, args: &[ArrayRef], rows: &[u32], _: &mut dyn FnMut(u32, String)) {
        let column = args[0].as_primitive::<T>();
        for row in rows.iter().filter(|row| column.is_valid(**row as usize)) {
            self.sum = self.sum.plus(column.value(*row as usize).into());
            self.count += 1;
        }
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_primitive::<T>();
        if column.is_valid(row) {
            self.sum = self.sum.minus(column.value(row).into());
            self.count -= 1;
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        let other = same::<Self>(other)?;
        self.sum = self.sum.plus(other.sum);
        self.count += other.count;
        Ok(())
    }

    fn result(&self) -> Value {
        Value::Double(if self.count == 0 { 0.0 } else { self.sum.double() / self.count as f64 })
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        self.sum.put(out);
        codec::put_i64(out, self.count);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.sum = W::take(bytes)?;
        self.count = codec::take_i64(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
