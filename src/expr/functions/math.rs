//! Numbers: rounding, powers and logarithms, trigonometry.
//!
//! > KSQL: undefined results are NaN or infinities, never errors; rounding takes halves towards positive infinity.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array, Int64Array};
use arrow::compute::{binary, unary};
use arrow::datatypes::{ArrowPrimitiveType, Decimal128Type, Float64Type, Int32Type, Int64Type};

use super::cell::{Cell, View};
use super::datafusion::through;
use super::declare::{Call, ColumnFn, Function};
use crate::types::{Decimal, SqlType, Value};

const MATH: &str = "MATHEMATICAL";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let mut all = vec![
        Function::scalar("ABS", MATH, "The number without its sign. NULL for NULL.")
            .example("ABS(-3) -> 3")
            .columns("(value INT) -> INT", |_| unary_column::<Int32Type>(i32::wrapping_abs))
            .columns("(value BIGINT) -> BIGINT", |_| unary_column::<Int64Type>(i64::wrapping_abs))
            .columns("(value DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(f64::abs))
            .columns("(value DECIMAL) -> DECIMAL", |call| decimal_column(call, |v, _| v.abs())),
        Function::scalar("CEIL", MATH, "The smallest whole number that is not below the value. NULL for NULL.")
            .example("CEIL(1.2e0) -> 2.0")
            .columns("(value INT) -> INT", |_| same())
            .columns("(value BIGINT) -> BIGINT", |_| same())
            .columns("(value DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(f64::ceil))
            .columns("(value DECIMAL) -> DECIMAL", |call| {
                decimal_column(call, |v, one| (v.div_euclid(one) + i128::from(v.rem_euclid(one) != 0)) * one)
            }),
        Function::scalar("FLOOR", MATH, "The largest whole number that is not above the value. NULL for NULL.")
            .example("FLOOR(1.7e0) -> 1.0")
            .columns("(value INT) -> INT", |_| same())
            .columns("(value BIGINT) -> BIGINT", |_| same())
            .columns("(value DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(f64::floor))
            .columns("(value DECIMAL) -> DECIMAL", |call| decimal_column(call, |v, one| v.div_euclid(one) * one)),
        Function::scalar(
            "ROUND",
            MATH,
            "The nearest whole number, or the nearest with this many digits behind the point (before it when negative); \
             halves go up. NULL if an argument is.",
        )
        .example("ROUND(2.345e0, 2) -> 2.35")
        .columns("(value BIGINT) -> BIGINT", |_| same())
        .columns("(value DOUBLE) -> BIGINT", |_| double_to_bigint(round_half_up))
        .strict("(value DECIMAL) -> DECIMAL", |a| round_decimal(a[0].decimal(), 0, Mode::HalfUp, 0))
        .returning(whole_part)
        .strict("(value BIGINT, places INT) -> BIGINT", |a| round_bigint(a[0].int(), a[1].int(), Mode::HalfUp))
        .strict("(value DOUBLE, places INT) -> DOUBLE", |a| round_double(a[0].double(), a[1].int(), Mode::HalfUp))
        .strict("(value DECIMAL, places INT) -> DECIMAL", |a| {
            round_decimal(a[0].decimal(), a[1].int(), Mode::HalfUp, a[0].decimal().scale)
        }),
        Function::scalar(
            "TRUNC",
            MATH,
            "The number without its fraction, or with only this many digits behind the point (zeros before it when \
             negative). NULL if an argument is.",
        )
        .alias("TRUNCATE")
        .example("TRUNC(2.345e0, 1) -> 2.3")
        .columns("(value BIGINT) -> BIGINT", |_| same())
        .columns("(value DOUBLE) -> BIGINT", |_| double_to_bigint(f64::trunc))
        .strict("(value DECIMAL) -> DECIMAL", |a| round_decimal(a[0].decimal(), 0, Mode::Down, 0))
        .returning(whole_part)
        .strict("(value BIGINT, places INT) -> BIGINT", |a| round_bigint(a[0].int(), a[1].int(), Mode::Down))
        .strict("(value DOUBLE, places INT) -> DOUBLE", |a| round_double(a[0].double(), a[1].int(), Mode::Down))
        .strict("(value DECIMAL, places INT) -> DECIMAL", |a| {
            round_decimal(a[0].decimal(), a[1].int(), Mode::Down, a[0].decimal().scale)
        }),
        Function::scalar("SIGN", MATH, "-1, 0 or 1 as the value is negative, zero or positive. NULL for NULL.")
            .example("SIGN(-2.5e0) -> -1")
            .strict("(value BIGINT) -> INT", |a| Ok(Value::Int(a[0].int().signum() as i32)))
            .strict("(value DOUBLE) -> INT", |a| {
                let v = a[0].double();
                Ok(Value::Int(i32::from(v > 0.0) - i32::from(v < 0.0)))
            }),
        Function::scalar("POWER", MATH, "The first number raised to the second. NULL if an argument is.")
            .alias("POW")
            .example("POWER(2, 10) -> 1024.0")
            .columns("(base DOUBLE, exponent DOUBLE) -> DOUBLE", |_| binary_column(f64::powf)),
        Function::scalar(
            "LOG",
            MATH,
            "The natural logarithm, or the logarithm to a base. NaN below zero and for bases that are 1 or not \
             positive; NULL if an argument is.",
        )
        .example("LOG(2, 8) -> 3.0")
        .columns("(value DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(f64::ln))
        .columns("(base DOUBLE, value DOUBLE) -> DOUBLE", |_| {
            binary_column(|base, value| {
                if base <= 0.0 || base == 1.0 { f64::NAN } else { value.ln() / base.ln() }
            })
        }),
        Function::scalar("ATAN2", MATH, "The angle of the point (x, y), in radians. NULL if an argument is.")
            .example("ATAN2(1, 1) -> 0.7853981633974483")
            .columns("(y DOUBLE, x DOUBLE) -> DOUBLE", |_| binary_column(f64::atan2)),
        Function::scalar("COT", MATH, "The cotangent of an angle in radians; infinite at zero. NULL for NULL.")
            .example("COT(1) -> 0.6420926159343306")
            .columns("(angle DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(|v| 1.0 / v.tan())),
        Function::scalar("PI", MATH, "The ratio of a circle's circumference to its diameter.")
            .example("PI() -> 3.141592653589793")
            .rows("() -> DOUBLE", |_| Ok(Value::Double(std::f64::consts::PI))),
        Function::scalar("RANDOM", MATH, "A random number, at least 0 and below 1.")
            .alias("RAND")
            .volatile()
            .example("RANDOM() -> 0.5488135039273248")
            .rows_with("() -> DOUBLE", |call| {
                let env = call.env.clone();
                Box::new(move |_| Ok(Value::Double((env.next_bits() >> 11) as f64 / (1u64 << 53) as f64)))
            }),
    ];
    all.extend(of_doubles());
    all
}

/// Functions of one DOUBLE that DataFusion computes the way ksqlDB does.
fn of_doubles() -> Vec<Function> {
    use datafusion::functions::math;
    macro_rules! double {
        ($name:literal, $description:literal, $example:literal, $udf:ident) => {
            Function::scalar($name, MATH, $description)
                .example($example)
                .columns("(value DOUBLE) -> DOUBLE", |call| through(math::$udf(), call))
        };
    }
    vec![
        double!("EXP", "e raised to the value. NULL for NULL.", "EXP(1) -> 2.718281828459045", exp),
        double!("LN", "The natural logarithm; NaN below zero, -Infinity at zero. NULL for NULL.", "LN(1) -> 0.0", ln),
        Function::scalar("SQRT", MATH, "The square root; NaN below zero. NULL for NULL.")
            .example("SQRT(9) -> 3.0")
            .columns("(value DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(f64::sqrt)),
        double!("CBRT", "The cube root. NULL for NULL.", "CBRT(27) -> 3.0", cbrt),
        Function::scalar("ACOS", MATH, "The angle in radians with this cosine; NaN outside -1 to 1. NULL for NULL.")
            .example("ACOS(1) -> 0.0")
            .columns("(value DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(f64::acos)),
        Function::scalar("ASIN", MATH, "The angle in radians with this sine; NaN outside -1 to 1. NULL for NULL.")
            .example("ASIN(0) -> 0.0")
            .columns("(value DOUBLE) -> DOUBLE", |_| unary_column::<Float64Type>(f64::asin)),
        double!("ATAN", "The angle in radians with this tangent. NULL for NULL.", "ATAN(0) -> 0.0", atan),
        double!("COS", "The cosine of an angle in radians. NULL for NULL.", "COS(0) -> 1.0", cos),
        double!("COSH", "The hyperbolic cosine. NULL for NULL.", "COSH(0) -> 1.0", cosh),
        double!("SIN", "The sine of an angle in radians. NULL for NULL.", "SIN(0) -> 0.0", sin),
        double!("SINH", "The hyperbolic sine. NULL for NULL.", "SINH(0) -> 0.0", sinh),
        double!("TAN", "The tangent of an angle in radians. NULL for NULL.", "TAN(0) -> 0.0", tan),
        double!("TANH", "The hyperbolic tangent. NULL for NULL.", "TANH(0) -> 0.0", tanh),
        double!("DEGREES", "Radians in degrees. NULL for NULL.", "DEGREES(PI()) -> 180.0", degrees),
        double!("RADIANS", "Degrees in radians. NULL for NULL.", "RADIANS(180) -> 3.141592653589793", radians),
    ]
}

fn same() -> ColumnFn {
    Box::new(|args, _, _| Ok(Arc::clone(&args[0])))
}

fn unary_column<T: ArrowPrimitiveType>(f: fn(T::Native) -> T::Native) -> ColumnFn {
    Box::new(move |args, _, _| Ok(Arc::new(unary::<T, _, T>(args[0].as_primitive::<T>(), f)) as ArrayRef))
}

fn binary_column(f: fn(f64, f64) -> f64) -> ColumnFn {
    Box::new(move |args, _, _| {
        let (a, b) = (args[0].as_primitive::<Float64Type>(), args[1].as_primitive::<Float64Type>());
        let result: Float64Array = binary(a, b, f)?;
        Ok(Arc::new(result) as ArrayRef)
    })
}

/// > KSQL: as Java's casts, NaN becomes 0 and what is too large the largest.
fn double_to_bigint(f: fn(f64) -> f64) -> ColumnFn {
    Box::new(move |args, _, _| {
        let result: Int64Array = unary(args[0].as_primitive::<Float64Type>(), |v| f(v) as i64);
        Ok(Arc::new(result) as ArrayRef)
    })
}

/// `f` of the unscaled value and of what 1 is at this scale.
fn decimal_column(call: &Call, f: fn(i128, i128) -> i128) -> ColumnFn {
    let ty = call.returns.arrow();
    let scale = if let SqlType::Decimal(_, scale) = call.returns { u32::from(*scale) } else { 0 };
    let one = 10i128.saturating_pow(scale);
    Box::new(move |args, _, _| {
        let result: Decimal128Array = unary(args[0].as_primitive::<Decimal128Type>(), |v| f(v, one));
        Ok(Arc::new(result.with_data_type(ty.clone())) as ArrayRef)
    })
}

/// The type of a decimal's whole part.
fn whole_part(params: &[SqlType]) -> SqlType {
    match params.first() {
        Some(SqlType::Decimal(precision, scale)) => SqlType::Decimal((precision - scale).max(1), 0),
        _ => SqlType::Decimal(10, 0),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Mode {
    HalfUp,
    Down,
}

fn round_half_up(v: f64) -> f64 {
    let floor = v.floor();
    if v - floor >= 0.5 { floor + 1.0 } else { floor }
}

/// Rounds to `places` and shows the result at `scale`.
fn round_decimal(v: Decimal, places: i64, mode: Mode, scale: u8) -> Cell {
    let rounded =
        round_unscaled(v, places, mode).and_then(|v| v.rescaled(scale)).ok_or("the decimal has too many digits")?;
    Ok(Value::Decimal(Decimal::new(rounded, scale)))
}

/// The value with `places` digits behind the point, at its own scale.
fn round_unscaled(v: Decimal, places: i64, mode: Mode) -> Option<Decimal> {
    let drop = i64::from(v.scale) - places;
    if drop <= 0 {
        return Some(v);
    }
    let Some(step) = u32::try_from(drop).ok().and_then(|drop| 10i128.checked_pow(drop)) else {
        return Some(Decimal::new(0, v.scale));
    };
    let quotient = match mode {
        Mode::Down => v.unscaled / step,
        Mode::HalfUp => v.unscaled.div_euclid(step) + i128::from(v.unscaled.rem_euclid(step) * 2 >= step),
    };
    Some(Decimal::new(quotient.checked_mul(step)?, v.scale))
}

fn round_bigint(v: i64, places: i64, mode: Mode) -> Cell {
    let rounded = round_unscaled(Decimal::new(i128::from(v), 0), places, mode);
    let rounded = rounded.and_then(|d| i64::try_from(d.unscaled).ok()).ok_or("the number is too large")?;
    Ok(Value::BigInt(rounded))
}

/// Rounds the shortest decimal text of the double, as people see it: 2.675 to two places is 2.68.
fn round_double(v: f64, places: i64, mode: Mode) -> Cell {
    if !v.is_finite() {
        return Err(format!("{v} cannot be rounded"));
    }
    let exact = Decimal::parse(&format!("{v:e}"));
    let Some(rounded) = exact.and_then(|exact| round_unscaled(exact, places, mode)) else {
        // More digits than a decimal holds: whole numbers far beyond any fraction, or fractions far below one.
        return Ok(Value::Double(if v.abs() < 1.0 { 0.0 } else { v }));
    };
    Ok(Value::Double(rounded.to_f64()))
}
