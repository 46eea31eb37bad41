//! Test: no function panics, whatever the values, and every result has the declared type and one cell a row.

use super::declare::Function;
use super::signature::Pattern;
use super::*;
use crate::types::{Decimal, Value};

const ROWS: usize = 120;

/// A repeatable stream of choices.
struct Choices(u64);

impl Choices {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }

    fn value(&mut self, ty: &SqlType) -> Value {
        if self.below(8) == 0 {
            return Value::Null;
        }
        match ty {
            SqlType::Boolean => Value::Boolean(self.below(2) == 0),
            SqlType::Int => Value::Int(self.pick(&[0, 1, -1, 2, 3, 7, -9, 400, i32::MAX, i32::MIN])),
            SqlType::BigInt => Value::BigInt(self.pick(&[0, 1, -1, 5, 1 << 40, -(1 << 40), i64::MAX, i64::MIN])),
            SqlType::Double => Value::Double(self.pick(&[
                0.0,
                -0.0,
                0.5,
                -1.5,
                2.675,
                1e-300,
                1e300,
                -123_456.789,
                f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MIN_POSITIVE,
            ])),
            SqlType::Decimal(precision, scale) => {
                let most = 10i128.pow(u32::from(*precision)) - 1;
                Value::Decimal(Decimal::new(self.pick(&[0, 1, -1, 25, -75, most, -most]), *scale))
            }
            SqlType::String => Value::String(
                self.pick(&[
                    "",
                    " ",
                    "a",
                    "Ä😀b",
                    "a,b:c",
                    "[1,2]",
                    "{\"a\":[1]}",
                    "{",
                    "$.a[0]",
                    "yyyy-MM-dd",
                    "2024-02-30",
                    "UTC",
                    "+02:00",
                    "(a)|b",
                    "[",
                    "$1",
                    "%zz",
                    "http://a.b:1/c?d=e#f",
                    "DAYS",
                    "hex",
                    "utf8",
                    "0x4",
                    "DESC",
                    "null",
                    "-1e400",
                ])
                .to_owned(),
            ),
            SqlType::Bytes => Value::Bytes(
                self.pick(&[&b""[..], b"a", b"\xff\xfe", b"abcd", b"abcdefgh", b"0123456789abcdef"]).to_vec(),
            ),
            SqlType::Time => Value::Time(self.pick(&[0, 1, 86_399_999, 43_200_000])),
            SqlType::Date => Value::Date(self.pick(&[0, -1, 19_000, i32::MAX, i32::MIN])),
            SqlType::Timestamp => Value::Timestamp(self.pick(&[0, -1, 1_700_000_000_000, i64::MAX, i64::MIN])),
            SqlType::Array(item) => Value::Array((0..self.below(4)).map(|_| self.value(item)).collect()),
            SqlType::Map(key, value) => {
                let keys: Vec<Value> =
                    (0..self.below(3)).map(|_| self.value(key)).filter(|key| !key.is_null()).collect();
                Value::Map(keys.into_iter().map(|key| (key, self.value(value))).collect())
            }
            SqlType::Struct(fields) => Value::Struct(fields.iter().map(|field| self.value(&field.ty)).collect()),
        }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Types that a parameter can have; `generic` stands for every type parameter.
fn example(pattern: &Pattern, generic: &SqlType) -> Option<SqlType> {
    Some(match pattern {
        Pattern::Exact(ty) => ty.clone(),
        Pattern::AnyDecimal => SqlType::Decimal(38, 10),
        Pattern::Generic(_) => generic.clone(),
        Pattern::Array(item) => SqlType::array(example(item, generic)?),
        Pattern::Map(key, value) => {
            let key = if matches!(**key, Pattern::Generic(_)) { SqlType::String } else { example(key, generic)? };
            SqlType::map(key, example(value, generic)?)
        }
        Pattern::Struct(_) | Pattern::Lambda | Pattern::Any => return None,
    })
}

fn try_all(name: &str, function: &Function, choices: &mut Choices) {
    let generics =
        [SqlType::Int, SqlType::String, SqlType::Double, SqlType::array(SqlType::Int), SqlType::Decimal(4, 1)];
    for patterns in function.patterns() {
        for generic in &generics {
            let types: Option<Vec<_>> = patterns.iter().map(|pattern| example(pattern, generic)).collect();
            let Some(types) = types else { continue };
            let args: Vec<_> = types.iter().cloned().map(ArgType::Sql).collect();
            let resolved = match function.kind {
                FunctionKind::Table => resolve_table(name, &args),
                _ => resolve_scalar(name, &args),
            };
            let resolved = resolved.unwrap_or_else(|e| panic!("{name}{types:?}: {e}"));
            let columns: Vec<ArrayRef> = resolved
                .params
                .iter()
                .zip(&types)
                .map(|(param, ty)| {
                    let cells: Vec<_> = (0..ROWS).map(|_| choices.value(ty)).collect();
                    Value::to_array(param, &cells)
                })
                .collect();
            let mut errors = Vec::new();
            let result =
                resolved.eval.evaluate(&columns, ROWS, &mut errors).unwrap_or_else(|e| panic!("{name}{types:?}: {e}"));
            assert_eq!((result.len(), result.data_type()), (ROWS, &resolved.returns.arrow()), "{name}{types:?}");
            assert!(errors.iter().all(|e| e.row < ROWS && result.is_null(e.row)), "{name}{types:?}");
        }
    }
}

#[test]
fn no_scalar_or_table_function_panics() {
    let mut choices = Choices(1);
    for (name, function) in registry::names().filter(|(_, function)| function.kind != FunctionKind::Aggregate) {
        try_all(name, function, &mut choices);
    }
}

#[test]
fn no_aggregate_panics() {
    let mut choices = Choices(2);
    for (name, function) in registry::names().filter(|(_, function)| function.kind == FunctionKind::Aggregate) {
        for (patterns, generic) in function.patterns().flat_map(|p| [(p.clone(), SqlType::Int), (p, SqlType::String)]) {
            let types: Vec<_> = patterns.iter().filter_map(|pattern| example(pattern, &generic)).collect();
            let args: Vec<_> = types.iter().cloned().map(ArgType::Sql).collect();
            let literals: Vec<_> = types
                .iter()
                .map(|ty| Some(if *ty == SqlType::Boolean { Value::Boolean(false) } else { Value::Int(2) }))
                .collect();
            let aggregate = crate::expr::aggregate::resolve_aggregate(name, &args, &literals)
                .unwrap_or_else(|e| panic!("{name}{types:?}: {e}"));
            let params = aggregate.params();
            let columns: Vec<ArrayRef> = params
                .iter()
                .map(|ty| Value::to_array(ty, &(0..ROWS).map(|_| choices.value(ty)).collect::<Vec<_>>()))
                .collect();
            let (mut all, mut other) = (aggregate.accumulator(), aggregate.accumulator());
            for row in 0..ROWS {
                // Overflowing sums fail, which is no panic.
                let _ = if row % 2 == 0 { all.update(&columns, row) } else { other.update(&columns, row) };
                if aggregate.can_undo() && row % 5 == 0 {
                    let _ = all.undo(&columns, row);
                }
            }
            let _ = all.merge(&*other);
            let mut bytes = Vec::new();
            all.save(&mut bytes);
            aggregate.accumulator().load(&mut &bytes[..]).expect("loads");
            let result = Value::to_array(&aggregate.returns(), [&all.result()]);
            assert_eq!(result.data_type(), &aggregate.returns().arrow(), "{name}{types:?}");
        }
    }
}
