//! How values spread: sample variance and standard deviation, correlation.

use std::any::Any;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Float64Type;

use super::codec::{self, begin, check};
use super::{AGGREGATE, Accumulator, chosen, same};
use crate::error::Result;
use crate::expr::functions::declare::Body::Aggregate;
use crate::expr::functions::declare::Function;
use crate::types::Value;

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::aggregate(
            "STDDEV_SAMPLE",
            AGGREGATE,
            "The sample standard deviation of the values that are not NULL; 0.0 for fewer than two.",
        )
        .example("STDDEV_SAMPLE(AMOUNT)")
        .overload("(value DOUBLE) -> DOUBLE", Aggregate(|call| chosen(call, 1, true, || Spread::new(true)))),
        // > KSQL: the older of the two names stops before the square root.
        Function::aggregate(
            "STDDEV_SAMP",
            AGGREGATE,
            "The sample variance (not its root: see STDDEV_SAMPLE) of the values that are not NULL; 0.0 for \
                 fewer than two.",
        )
        .example("STDDEV_SAMP(AMOUNT)")
        .overload("(value DOUBLE) -> DOUBLE", Aggregate(|call| chosen(call, 1, true, || Spread::new(false)))),
        Function::aggregate(
            "CORRELATION",
            AGGREGATE,
            "Pearson's correlation of two columns over the rows where neither is NULL; NaN for fewer than two \
             and for columns that do not vary.",
        )
        .example("CORRELATION(PRICE, AMOUNT)")
        .overload("(x DOUBLE, y DOUBLE) -> DOUBLE", Aggregate(|call| chosen(call, 2, true, Correlation::default))),
    ]
}

/// `STDDEV_SAMPLE` and `STDDEV_SAMP`: count, sum and sum of squared differences from the mean, after Youngs and Cramer.
struct Spread {
    count: i64,
    sum: f64,
    squares: f64,
    root: bool,
}

impl Spread {
    fn new(root: bool) -> Self {
        Self { count: 0, sum: 0.0, squares: 0.0, root }
    }

    /// What a value adds when it is the `count`-th and makes the sum `sum`.
    fn term(count: i64, sum: f64, v: f64) -> f64 {
        if count < 2 {
            return 0.0;
        }
        let count = count as f64;
        (count * v - sum).powi(2) / (count * (count - 1.0))
    }
}

impl Accumulator for Spread {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_primitive::<Float64Type>();
        if column.is_valid(row) {
            let v = column.value(row);
            self.count += 1;
            self.sum += v;
            self.squares += Self::term(self.count, self.sum, v);
        }
        Ok(())
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_primitive::<Float64Type>();
        if column.is_valid(row) {
            let v = column.value(row);
            self.squares -= Self::term(self.count, self.sum, v);
            self.sum -= v;
            self.count -= 1;
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        let other = same::<Self>(other)?;
        if self.count > 0 && other.count > 0 {
            let (n, m) = (self.count as f64, other.count as f64);
            self.squares += n / (m * (n + m)) * (m / n * self.sum - other.sum).powi(2);
        }
        self.squares += other.squares;
        self.sum += other.sum;
        self.count += other.count;
        Ok(())
    }

    fn result(&self) -> Value {
        if self.count < 2 {
            return Value::Double(0.0);
        }
        let variance = self.squares / (self.count - 1) as f64;
        Value::Double(if self.root { variance.sqrt() } else { variance })
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_i64(out, self.count);
        codec::put_f64(out, self.sum);
        codec::put_f64(out, self.squares);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.count = codec::take_i64(bytes)?;
        self.sum = codec::take_f64(bytes)?;
        self.squares = codec::take_f64(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `CORRELATION`: the count and the sums of x, y, x², y², xy.
#[derive(Default)]
struct Correlation {
    count: i64,
    sums: [f64; 5],
}

impl Correlation {
    fn feed(&mut self, args: &[ArrayRef], row: usize, sign: f64) {
        let (xs, ys) = (args[0].as_primitive::<Float64Type>(), args[1].as_primitive::<Float64Type>());
        if xs.is_valid(row) && ys.is_valid(row) {
            let (x, y) = (xs.value(row), ys.value(row));
            self.count += sign as i64;
            for (sum, v) in self.sums.iter_mut().zip([x, y, x * x, y * y, x * y]) {
                *sum += sign * v;
            }
        }
    }
}

impl Accumulator for Correlation {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        self.feed(args, row, 1.0);
        Ok(())
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        self.feed(args, row, -1.0);
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        let other = same::<Self>(other)?;
        self.count += other.count;
        self.sums.iter_mut().zip(other.sums).for_each(|(sum, v)| *sum += v);
        Ok(())
    }

    fn result(&self) -> Value {
        if self.count < 2 {
            return Value::Double(f64::NAN);
        }
        let n = self.count as f64;
        let [x, y, xx, yy, xy] = self.sums;
        Value::Double((n * xy - x * y) / ((n * xx - x * x).sqrt() * (n * yy - y * y).sqrt()))
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_i64(out, self.count);
        self.sums.iter().for_each(|sum| codec::put_f64(out, *sum));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.count = codec::take_i64(bytes)?;
        for sum in &mut self.sums {
            *sum = codec::take_f64(bytes)?;
        }
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
