//! `+ - * / %`, unary minus and concatenation.
//!
//! **Invariant:** integers wrap, doubles follow IEEE 754, decimals are exact or fail. A NULL operand gives NULL, which
//! is not reported (ksqlDB writes a log line for each such row, which drowns the others).

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, Decimal128Array, PrimitiveArray, StringBuilder};
use arrow::compute::kernels::numeric;
use arrow::datatypes::{ArrowNativeTypeOp, ArrowPrimitiveType, DataType, Decimal128Type, Int32Type, Int64Type, i256};

use super::{Cells, Failures};
use crate::error::{Error, Result};
use crate::sql::ast::BinaryOp;
use crate::types::SqlType;
use crate::types::sql_type::DECIMAL_PRECISION_MAX;

/// `left op right` as a value of `ty`; operands are of that type already, except that decimals keep their own.
pub(super) fn compute(
    op: BinaryOp,
    (left, right): (&Cells, &Cells),
    types: (&SqlType, &SqlType),
    ty: &SqlType,
    failures: &mut Failures,
) -> Result<ArrayRef> {
    if let (SqlType::Decimal(_, s1), SqlType::Decimal(_, s2), SqlType::Decimal(precision, scale)) =
        (types.0, types.1, ty)
    {
        let rule = Rule::new(op, (*s1, *s2), (*precision).min(DECIMAL_PRECISION_MAX), *scale);
        let array: Decimal128Array = rows::<Decimal128Type>((left, right), failures, |a, b| rule.apply(a, b));
        return Ok(Arc::new(array.with_data_type(ty.arrow())));
    }
    Ok(match (op, ty) {
        (BinaryOp::Add, _) => numeric::add_wrapping(left, right)?,
        (BinaryOp::Subtract, _) => numeric::sub_wrapping(left, right)?,
        (BinaryOp::Multiply, _) => numeric::mul_wrapping(left, right)?,
        (BinaryOp::Divide, SqlType::Double) => numeric::div(left, right)?,
        (BinaryOp::Modulo, SqlType::Double) => numeric::rem(left, right)?,
        (_, SqlType::Int) => divide::<Int32Type>(op, left, right, failures),
        (_, SqlType::BigInt) => divide::<Int64Type>(op, left, right, failures),
        _ => return Err(Error::internal(format!("{op} over {ty}"))),
    })
}

fn divide<T: ArrowPrimitiveType>(op: BinaryOp, left: &Cells, right: &Cells, failures: &mut Failures) -> ArrayRef {
    let apply = |a: T::Native, b: T::Native| if op == BinaryOp::Divide { a.div_wrapping(b) } else { a.mod_wrapping(b) };
    // The common case: a constant divisor.
    if let (Cells::Each(array), Cells::Same(divisor)) = (left, right) {
        let divisor = divisor.as_primitive::<T>();
        if divisor.is_valid(0) && !divisor.value(0).is_zero() {
            let divisor = divisor.value(0);
            return Arc::new(array.as_primitive::<T>().unary::<_, T>(|v| apply(v, divisor)));
        }
    }
    Arc::new(rows::<T>((left, right), failures, |a, b| {
        if b.is_zero() { Err("division by zero".to_owned()) } else { Ok(apply(a, b)) }
    }))
}

/// Row by row; a row with a NULL is NULL.
fn rows<T: ArrowPrimitiveType>(
    (left, right): (&Cells, &Cells),
    failures: &mut Failures,
    f: impl Fn(T::Native, T::Native) -> Result<T::Native, String>,
) -> PrimitiveArray<T> {
    let (a, b) = (left.array().as_primitive::<T>(), right.array().as_primitive::<T>());
    let len = if left.same() { b.len() } else { a.len() };
    let cells = (0..len).map(|row| {
        let (i, j) = (left.at(row), right.at(row));
        if a.is_null(i) || b.is_null(j) {
            return None;
        }
        match f(a.value(i), b.value(j)) {
            Ok(value) => Some(value),
            Err(reason) => {
                failures.add(row, reason);
                None
            }
        }
    });
    cells.collect()
}

/// How two decimals make a third.
struct Rule {
    op: BinaryOp,
    s1: u8,
    s2: u8,
    precision: u8,
    scale: u8,
    /// What the digits of either side are multiplied with; `None` when that does not fit 128 bits.
    factors: Option<(i128, i128)>,
    /// The least number that is too large.
    limit: u128,
}

impl Rule {
    fn new(op: BinaryOp, (s1, s2): (u8, u8), precision: u8, scale: u8) -> Self {
        let power = |exponent: i32| 10i128.checked_pow(u32::try_from(exponent).ok()?);
        let (a, b, s) = (i32::from(s1), i32::from(s2), i32::from(scale));
        let factors = match op {
            BinaryOp::Multiply => (a + b == s).then_some((1, 1)),
            BinaryOp::Divide => power(s - a + b).map(|factor| (factor, 1)),
            _ => power(s - a).zip(power(s - b)),
        };
        Self { op, s1, s2, precision, scale, factors, limit: 10u128.pow(u32::from(precision)) }
    }

    fn apply(&self, a: i128, b: i128) -> Result<i128, String> {
        let result = match self.narrow(a, b) {
            Some(result) => result,
            None => self.wide(i256::from_i128(a), i256::from_i128(b))?.to_i128().ok_or_else(|| self.overflow())?,
        };
        // 38 nines is the most that storage holds; the type may promise more.
        if result.unsigned_abs() < self.limit { Ok(result) } else { Err(self.overflow()) }
    }

    /// The result, if it is exact and everything on the way fits 128 bits.
    fn narrow(&self, a: i128, b: i128) -> Option<i128> {
        let (x, y) = self.factors?;
        let (a, b) = (a.checked_mul(x)?, b.checked_mul(y)?);
        match self.op {
            BinaryOp::Add => a.checked_add(b),
            BinaryOp::Subtract => a.checked_sub(b),
            BinaryOp::Multiply => a.checked_mul(b),
            BinaryOp::Divide => {
                if a.checked_rem(b)? == 0 {
                    a.checked_div(b)
                } else {
                    None
                }
            }
            _ => a.checked_rem(b),
        }
    }

    fn overflow(&self) -> String {
        format!("numeric field overflow: the result does not fit DECIMAL({}, {})", self.precision, self.scale)
    }

    /// The same in 256 bits, for what does not fit on the way to the result.
    fn wide(&self, a: i256, b: i256) -> Result<i256, String> {
        let overflow = || self.overflow();
        let power = |exponent: i32| i256::from_i128(10).checked_pow(exponent.unsigned_abs()).ok_or_else(overflow);
        let (s1, s2, scale) = (i32::from(self.s1), i32::from(self.s2), i32::from(self.scale));
        match self.op {
            BinaryOp::Add | BinaryOp::Subtract => {
                let a = a.checked_mul(power(scale - s1)?).ok_or_else(overflow)?;
                let b = b.checked_mul(power(scale - s2)?).ok_or_else(overflow)?;
                let sum = if self.op == BinaryOp::Add { a.checked_add(b) } else { a.checked_sub(b) };
                sum.ok_or_else(overflow)
            }
            BinaryOp::Multiply => {
                let product = a.checked_mul(b).ok_or_else(overflow)?;
                exact(product, power(s1 + s2 - scale)?)
            }
            _ if b == i256::ZERO => Err("division by zero".to_owned()),
            BinaryOp::Divide => {
                let shift = scale - s1 + s2;
                if shift >= 0 {
                    exact(a.checked_mul(power(shift)?).ok_or_else(overflow)?, b)
                } else {
                    exact(a, b.checked_mul(power(shift)?).ok_or_else(overflow)?)
                }
            }
            _ => {
                let a = a.checked_mul(power(scale - s1)?).ok_or_else(overflow)?;
                let b = b.checked_mul(power(scale - s2)?).ok_or_else(overflow)?;
                a.checked_rem(b).ok_or_else(overflow)
            }
        }
    }
}

/// > KSQL: a quotient that needs more digits than the result type has is no value (1/3), rather than a rounded one.
fn exact(a: i256, b: i256) -> Result<i256, String> {
    let rest = a.checked_rem(b).ok_or("division by zero")?;
    if rest == i256::ZERO {
        a.checked_div(b).ok_or_else(|| "numeric field overflow".to_owned())
    } else {
        Err("the decimal result is inexact: rounding necessary".to_owned())
    }
}

/// `-array`; the least integer stays what it is.
pub(super) fn negate(array: &ArrayRef) -> Result<ArrayRef> {
    Ok(numeric::neg_wrapping(array)?)
}

/// Strings or bytes joined.
pub(super) fn concat(left: &Cells, right: &Cells, len: usize, skip_nulls: bool) -> ArrayRef {
    let (a, b) = (left.array(), right.array());
    let missing = |row: usize| !skip_nulls && (a.is_null(left.at(row)) || b.is_null(right.at(row)));
    if matches!(a.data_type(), DataType::Utf8) {
        use std::fmt::Write;
        let (x, y) = (a.as_string::<i32>(), b.as_string::<i32>());
        let mut out = StringBuilder::with_capacity(len, x.value_data().len() + y.value_data().len());
        for row in 0..len {
            if missing(row) {
                out.append_null();
                continue;
            }
            for (text, at) in [(x, left.at(row)), (y, right.at(row))] {
                if text.is_valid(at) {
                    let _ = out.write_str(text.value(at));
                }
            }
            out.append_value("");
        }
        return Arc::new(out.finish());
    }
    let (x, y) = (a.as_binary::<i32>(), b.as_binary::<i32>());
    let mut out = BinaryBuilder::new();
    for row in 0..len {
        if missing(row) {
            out.append_null();
            continue;
        }
        let part = |array: &arrow::array::BinaryArray, at: usize| {
            if array.is_valid(at) { array.value(at).to_vec() } else { Vec::new() }
        };
        out.append_value([part(x, left.at(row)), part(y, right.at(row))].concat());
    }
    Arc::new(out.finish())
}
