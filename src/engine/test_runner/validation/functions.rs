//! Functions that ksqlDB's own test build adds to the library, and that query-validation files call: arguments of all
//! kinds, results that fail, state. They are registered as an embedder's functions are, and are not listed.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use crate::error::Result;
use crate::expr::aggregate::Fold;
use crate::expr::functions::UserFunction;
use crate::expr::text::to_sql_text;
use crate::types::{SqlType, StructField, Value};

/// Registers them once for this process.
pub fn register() -> Result<()> {
    static REGISTERED: OnceLock<Option<String>> = OnceLock::new();
    let failed = REGISTERED.get_or_init(|| {
        let all = scalars().into_iter().chain(tables()).chain(aggregates());
        all.map(|function| function.unlisted().register()).find_map(|done| done.err().map(|e| e.to_string()))
    });
    match failed {
        None => Ok(()),
        Some(reason) => Err(crate::error::Error::internal(reason.clone())),
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn scalars() -> Vec<UserFunction> {
    let says = |text: &'static str| move |_: &[Value]| Ok(Value::String(text.to_owned()));
    // Its first argument, provided that the last is true.
    let provided = |args: &[Value]| match args {
        [value, Value::Boolean(true)] => Ok(value.clone()),
        _ => Err("it was evaluated".to_owned()),
    };
    let calls = AtomicUsize::new(0);
    vec![
        UserFunction::scalar("TEST_UDF")
            .strict("(a INT, b STRING) -> STRING", says("doStuffIntString"))
            .strict("(a BIGINT, b STRING) -> STRING", says("doStuffLongString"))
            .strict("(a BIGINT, b BIGINT, c STRING) -> STRING", says("doStuffLongLongString"))
            .rows("(numbers BIGINT...) -> STRING", says("doStuffLongVarargs"))
            .strict("(record STRUCT<A STRING>) -> STRING", |args| Ok(field(&args[0], 0)))
            .rows("() -> STRUCT<A STRING>", |_| Ok(Value::Struct(vec![text("foo")]))),
        UserFunction::scalar("BAD_UDF")
            .rows("(a INT) -> STRING", |_| Err("it always fails".to_owned()))
            .strict("(fails BOOLEAN) -> INT", |args| match &args[0] {
                Value::Boolean(true) => Err("it was asked to fail".to_owned()),
                _ => Ok(Value::Int(0)),
            })
            .rows("(a STRING) -> STRING", move |args| match calls.fetch_add(1, Ordering::Relaxed) % 2 {
                0 => Ok(Value::Null),
                _ => Ok(args[0].clone()),
            })
            .volatile(),
        UserFunction::scalar("WHENCONDITION").rows("(value BOOLEAN, evaluated BOOLEAN) -> BOOLEAN", provided),
        UserFunction::scalar("WHENRESULT").rows("(value INT, evaluated BOOLEAN) -> INT", provided),
        UserFunction::scalar("TOSTRUCT")
            .rows("(a STRING) -> STRUCT<A STRING>", |args| Ok(Value::Struct(vec![args[0].clone()]))),
    ]
}

fn field(value: &Value, at: usize) -> Value {
    match value {
        Value::Struct(fields) => fields.get(at).cloned().unwrap_or(Value::Null),
        _ => Value::Null,
    }
}

/// The first item or value of a collection; other values as they are.
fn first(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.first().cloned().unwrap_or(Value::Null),
        Value::Map(entries) => entries.first().map_or(Value::Null, |(_, value)| value.clone()),
        plain => plain.clone(),
    }
}

fn tables() -> Vec<UserFunction> {
    // Seven values as text, a row each.
    let record = SqlType::Struct(vec![StructField::new("A", SqlType::String)]);
    let rows = move |args: &[Value]| {
        Ok(Value::Array(args.iter().map(|arg| text(&to_sql_text(&first(arg), &record))).collect()))
    };
    let alone = |args: &[Value]| Ok(Value::Array(vec![args[0].clone()]));
    let of = |wrap: &dyn Fn(&str) -> String| {
        let types = ["INT", "BIGINT", "DOUBLE", "BOOLEAN", "STRING", "DECIMAL", "STRUCT<A STRING>"];
        let params: Vec<String> = types.iter().enumerate().map(|(i, ty)| format!("p{i} {}", wrap(ty))).collect();
        format!("({}) -> ARRAY<STRING>", params.join(", "))
    };
    let long_key = of(&|ty| format!("MAP<STRING, {ty}>")).replacen("STRING", "BIGINT", 1);
    vec![
        UserFunction::table("TEST_UDTF")
            .strict(&of(&|ty| ty.to_owned()), rows.clone())
            .strict(&of(&|ty| format!("ARRAY<{ty}>")), rows.clone())
            .strict(&of(&|ty| format!("MAP<STRING, {ty}>")), rows.clone())
            .strict(&long_key, rows.clone())
            .strict("(a INT) -> ARRAY<INT>", alone)
            .strict("(a BIGINT) -> ARRAY<BIGINT>", alone)
            .strict("(a DOUBLE) -> ARRAY<DOUBLE>", alone)
            .strict("(a BOOLEAN) -> ARRAY<BOOLEAN>", alone)
            .strict("(a STRING) -> ARRAY<STRING>", alone)
            .strict("(a DECIMAL) -> ARRAY<DECIMAL>", alone)
            .strict("(a STRUCT<A STRING>) -> ARRAY<STRUCT<A STRING>>", alone),
        UserFunction::table("THROWING_UDTF").rows("(fails BOOLEAN) -> ARRAY<BOOLEAN>", |args| match &args[0] {
            Value::Boolean(false) => Ok(Value::Array(vec![Value::Boolean(false)])),
            _ => Err("it was asked to fail".to_owned()),
        }),
    ]
}

/// Sums numbers and the lengths of texts, NULL counting as nothing.
struct Sum {
    start: i64,
    /// Added to the result only.
    extra: i64,
    double: bool,
    undo: bool,
}

impl Sum {
    fn of(values: &[Value]) -> i64 {
        let one = |value: &Value| match value {
            Value::String(text) => text.encode_utf16().count() as i64,
            other => other.as_i64().unwrap_or(0),
        };
        values.iter().map(one).sum()
    }

    fn amount(running: &Value, row: &[Value], sign: i64) -> Value {
        match (running, row) {
            (Value::Double(sum), [Value::Double(v)]) => Value::Double(sum + v * sign as f64),
            (Value::Struct(sums), [Value::Struct(fields)]) => {
                let sum = |(sum, v): (&Value, &Value)| match (sum, v) {
                    (Value::Int(sum), Value::Int(v)) => Value::Int(sum.wrapping_add(v.wrapping_mul(sign as i32))),
                    (sum, _) => sum.clone(),
                };
                Value::Struct(sums.iter().zip(fields).map(sum).collect())
            }
            (Value::BigInt(sum), row) => Value::BigInt(sum.wrapping_add(Self::of(row).wrapping_mul(sign))),
            (other, _) => other.clone(),
        }
    }
}

impl Fold for Sum {
    fn initial(&self) -> Value {
        if self.double { Value::Double(0.0) } else { Value::BigInt(self.start) }
    }

    fn add(&self, running: &mut Value, row: &[Value]) -> Result<(), String> {
        *running = Self::amount(running, row, 1);
        Ok(())
    }

    fn merge(&self, running: &mut Value, later: &Value) -> Result<(), String> {
        *running = Self::amount(running, std::slice::from_ref(later), 1);
        Ok(())
    }

    fn can_undo(&self) -> bool {
        self.undo
    }

    fn undo(&self, running: &mut Value, row: &[Value]) -> Result<(), String> {
        *running = Self::amount(running, row, -1);
        Ok(())
    }

    fn result(&self, running: &Value) -> Value {
        match running {
            Value::BigInt(sum) => Value::BigInt(sum.wrapping_add(self.extra)),
            other => other.clone(),
        }
    }
}

/// Sums the fields of structs.
struct Sums(usize);

impl Fold for Sums {
    fn initial(&self) -> Value {
        Value::Struct(vec![Value::Int(0); self.0])
    }

    fn add(&self, running: &mut Value, row: &[Value]) -> Result<(), String> {
        *running = Sum::amount(running, row, 1);
        Ok(())
    }

    fn merge(&self, running: &mut Value, later: &Value) -> Result<(), String> {
        self.add(running, std::slice::from_ref(later))
    }
}

/// Keeps the first argument of rows without NULLs.
struct Complete;

impl Fold for Complete {
    fn initial(&self) -> Value {
        Value::Array(Vec::new())
    }

    fn add(&self, running: &mut Value, row: &[Value]) -> Result<(), String> {
        if let Value::Array(kept) = running
            && row.iter().all(|value| !value.is_null())
        {
            kept.push(row[0].clone());
        }
        Ok(())
    }

    fn merge(&self, running: &mut Value, later: &Value) -> Result<(), String> {
        if let (Value::Array(kept), Value::Array(later)) = (running, later) {
            kept.extend_from_slice(later);
        }
        Ok(())
    }
}

fn aggregates() -> Vec<UserFunction> {
    let sum = |undo: bool| {
        move |_: &[Value]| -> Result<Arc<dyn Fold>, String> {
            Ok(Arc::new(Sum { start: 0, extra: 0, double: false, undo }))
        }
    };
    // Literal arguments count once, at the start or in the result.
    let from = |literals: &[Value]| -> Result<Arc<dyn Fold>, String> {
        Ok(Arc::new(Sum { start: Sum::of(literals), extra: 0, double: false, undo: false }))
    };
    let plus = |literals: &[Value]| -> Result<Arc<dyn Fold>, String> {
        Ok(Arc::new(Sum { start: 0, extra: Sum::of(literals), double: false, undo: false }))
    };
    let complete = |_: &[Value]| -> Result<Arc<dyn Fold>, String> { Ok(Arc::new(Complete)) };
    vec![
        UserFunction::aggregate("TEST_UDAF")
            .folding("(value BIGINT) -> BIGINT", 0, sum(true))
            .folding("(value INT) -> BIGINT", 0, sum(true))
            .folding("(value DOUBLE) -> DOUBLE", 0, |_| {
                Ok(Arc::new(Sum { start: 0, extra: 0, double: true, undo: false }))
            })
            .folding("(value STRING, start STRING) -> BIGINT", 1, from)
            .folding("(value STRUCT<A INT, B INT>) -> STRUCT<A INT, B INT>", 0, |_| Ok(Arc::new(Sums(2)))),
        UserFunction::aggregate("VAR_ARG").folding("(value BIGINT, texts STRING...) -> BIGINT", 0, sum(false)),
        UserFunction::aggregate("MID_VAR_ARG").folding(
            "(value BIGINT, texts STRING..., a INT, b INT) -> BIGINT",
            2,
            plus,
        ),
        UserFunction::aggregate("MULTI_ARG").folding(
            "(value BIGINT, text STRING, start INT, more STRING...) -> BIGINT",
            2,
            from,
        ),
        UserFunction::aggregate("FOUR_ARG").folding(
            "(value BIGINT, b STRING, c STRING, d STRING, start INT, more STRING...) -> BIGINT",
            2,
            from,
        ),
        UserFunction::aggregate("FIVE_ARG").folding(
            "(value BIGINT, b STRING, c STRING, d STRING, e INT, start INT, more STRING...) -> BIGINT",
            2,
            from,
        ),
        UserFunction::aggregate("GENERIC_VAR_ARG").folding("(a T, b U, more V...) -> ARRAY<T>", 0, complete),
        UserFunction::aggregate("OBJ_COL_ARG").folding("(a INT, more ANY...) -> ARRAY<INT>", 0, complete),
    ]
}
