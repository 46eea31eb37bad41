//! Every aggregate: results, and that undo takes updates back, loading gives what was saved, and merging equals taking
//! all rows in one group.

use super::*;
use crate::types::{Decimal, StructField};

fn s(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn bigint(v: i64) -> Value {
    Value::BigInt(v)
}

/// A call over columns with literals behind them.
struct Case {
    name: &'static str,
    types: Vec<SqlType>,
    literals: Vec<Value>,
    rows: Vec<Vec<Value>>,
    expected: Value,
}

impl Case {
    fn one(name: &'static str, ty: SqlType, values: &[Value], expected: Value) -> Self {
        let rows = values.iter().map(|v| vec![v.clone()]).collect();
        Self { name, types: vec![ty], literals: Vec::new(), rows, expected }
    }

    fn with(mut self, literals: &[Value]) -> Self {
        self.literals = literals.to_vec();
        self
    }

    fn resolve(&self) -> Box<dyn Aggregate> {
        let literal_type = |v: &Value| if matches!(v, Value::Boolean(_)) { SqlType::Boolean } else { SqlType::Int };
        let args: Vec<_> =
            self.types.iter().cloned().chain(self.literals.iter().map(literal_type)).map(ArgType::Sql).collect();
        let literals: Vec<_> = self.types.iter().map(|_| None).chain(self.literals.iter().cloned().map(Some)).collect();
        resolve_aggregate(self.name, &args, &literals).expect(self.name)
    }

    fn columns(&self, params: &[SqlType]) -> Vec<ArrayRef> {
        let widened = |v: &Value, ty: &SqlType| match (v, ty) {
            (Value::Int(v), SqlType::Double) => Value::Double(f64::from(*v)),
            _ => v.clone(),
        };
        let column = |(at, ty): (usize, &SqlType)| {
            let cells: Vec<_> = self.rows.iter().map(|row| widened(&row[at], ty)).collect();
            Value::to_array(ty, &cells)
        };
        params.iter().enumerate().map(column).collect()
    }
}

fn cases() -> Vec<Case> {
    use SqlType::{BigInt, Boolean, Bytes, Date, Double, Int, String as Text, Timestamp};
    let ints = |items: &[i32]| Value::Array(items.iter().copied().map(Value::Int).collect());
    let int = [Value::Int(3), Value::Null, Value::Int(5), Value::Int(3), Value::Int(-1)];
    let text = [s("b"), Value::Null, s("c"), s("a"), s("b")];
    let doubles = [Value::Double(1.5), Value::Null, Value::Double(4.0), Value::Double(-2.0)];
    let decimal = SqlType::Decimal(5, 2);
    let dec = |v| Value::Decimal(Decimal::new(v, 2));
    let dates = [Value::Date(3), Value::Null, Value::Date(-4)];
    let arrays = [ints(&[1, 2]), Value::Null, Value::Array(vec![Value::Int(4), Value::Null])];
    let top = |name: &'static str, ty: SqlType, values: &[Value], expected: &[Value]| {
        Case::one(name, ty, values, Value::Array(expected.to_vec())).with(&[Value::Int(3)])
    };
    let map = |a: &str, b: &str| Value::Map(vec![(s(a), Value::Int(1)), (s(b), Value::Int(1))]);
    vec![
        Case { name: "COUNT", types: vec![], literals: vec![], rows: vec![vec![]; 3], expected: bigint(3) },
        Case::one("COUNT", Int, &int, bigint(4)),
        Case::one("COUNT", SqlType::array(Int), &arrays, bigint(2)),
        Case::one("SUM", Int, &int, Value::Int(10)),
        Case::one("SUM", Int, &[Value::Int(i32::MAX), Value::Int(1)], Value::Int(i32::MIN)),
        Case::one("SUM", Int, &[Value::Null], Value::Int(0)),
        Case::one("SUM", BigInt, &[bigint(1 << 40), bigint(2)], bigint((1 << 40) + 2)),
        Case::one("SUM", Double, &doubles, Value::Double(3.5)),
        Case::one("SUM", decimal.clone(), &[dec(123), Value::Null, dec(-23)], dec(100)),
        Case::one("AVG", Int, &int, Value::Double(2.5)),
        Case::one("AVG", BigInt, &[bigint(i64::MAX), bigint(i64::MAX)], Value::Double(i64::MAX as f64)),
        Case::one("AVG", Double, &[Value::Null], Value::Double(0.0)),
        Case::one("MAX", Int, &int, Value::Int(5)),
        Case::one("MIN", Int, &int, Value::Int(-1)),
        Case::one("MAX", Double, &doubles, Value::Double(4.0)),
        Case::one("MIN", decimal.clone(), &[dec(5), Value::Null, dec(-5)], dec(-5)),
        Case::one("MAX", Text, &text, s("c")),
        Case::one("MIN", Text, &text, s("a")),
        Case::one("MIN", Bytes, &[Value::Bytes(vec![2]), Value::Bytes(vec![1, 9])], Value::Bytes(vec![1, 9])),
        Case::one("MIN", Date, &dates, Value::Date(-4)),
        Case::one("MAX", Timestamp, &[Value::Null], Value::Null),
        Case::one("COUNT_DISTINCT", Text, &text, bigint(3)),
        Case::one("COUNT_DISTINCT", SqlType::map(Text, Int), &[map("a", "b"), map("b", "a"), Value::Null], bigint(1)),
        Case::one("COLLECT_LIST", Int, &int, Value::Array(int.to_vec())),
        Case::one("COLLECT_SET", Text, &text, Value::Array(text[..4].to_vec())),
        Case::one(
            "COLLECT_SET",
            SqlType::map(Text, Int),
            &[map("a", "b"), map("b", "a")],
            Value::Array(vec![map("a", "b")]),
        ),
        Case::one(
            "HISTOGRAM",
            Text,
            &text,
            Value::Map(vec![(s("b"), bigint(2)), (s("c"), bigint(1)), (s("a"), bigint(1))]),
        ),
        Case::one("ATTR", Text, &[s("x"), s("x")], s("x")),
        Case::one("ATTR", Text, &[Value::Null, s("x")], Value::Null),
        Case::one("ATTR", Boolean, &[], Value::Null),
        Case::one("SUM_LIST", SqlType::array(Int), &arrays, Value::Int(7)),
        Case::one(
            "STDDEV_SAMPLE",
            Int,
            &[Value::Int(2), Value::Int(4), Value::Null, Value::Int(9)],
            Value::Double(3.605551275463989),
        ),
        Case::one("STDDEV_SAMP", Int, &[Value::Int(2), Value::Int(4), Value::Int(9)], Value::Double(13.0)),
        Case::one("STDDEV_SAMP", Double, &doubles[..1], Value::Double(0.0)),
        Case {
            name: "CORRELATION",
            types: vec![Int, Int],
            literals: vec![],
            rows: [[1, 2], [2, 1], [3, 6]].iter().map(|xy| xy.map(Value::Int).to_vec()).collect(),
            expected: Value::Double(0.7559289460184545),
        },
        Case::one("LATEST_BY_OFFSET", Int, &int[..2], Value::Int(3)),
        Case::one("LATEST_BY_OFFSET", Int, &int[..2], Value::Null).with(&[Value::Boolean(false)]),
        Case::one("LATEST_BY_OFFSET", Int, &int, ints(&[3, -1])).with(&[Value::Int(2)]),
        Case::one("LATEST_BY_OFFSET", Int, &int[..3], Value::Array(vec![Value::Null, Value::Int(5)]))
            .with(&[Value::Int(2), Value::Boolean(false)]),
        Case::one("EARLIEST_BY_OFFSET", Text, &text[1..], s("c")),
        Case::one("EARLIEST_BY_OFFSET", Text, &text[1..], Value::Null).with(&[Value::Boolean(false)]),
        Case::one("EARLIEST_BY_OFFSET", Int, &int, ints(&[3, 5])).with(&[Value::Int(2), Value::Boolean(true)]),
        Case::one("EARLIEST_BY_OFFSET", Int, &[Value::Null], ints(&[])).with(&[Value::Int(2)]),
        top("TOPK", Int, &int, &[Value::Int(5), Value::Int(3), Value::Int(3)]),
        top("TOPK", Text, &text, &[s("c"), s("b"), s("b")]),
        top("TOPKDISTINCT", Int, &int, &[Value::Int(5), Value::Int(3), Value::Int(-1)]),
        Case {
            name: "TOPK",
            types: vec![Int, Text],
            literals: vec![Value::Int(2)],
            rows: vec![
                vec![Value::Int(4), s("low")],
                vec![Value::Int(9), s("high")],
                vec![Value::Null, s("lost")],
                vec![Value::Int(9), Value::Null],
            ],
            expected: Value::Array(vec![
                Value::Struct(vec![Value::Int(9), s("high")]),
                Value::Struct(vec![Value::Int(9), Value::Null]),
            ]),
        },
    ]
}

/// Sums of doubles depend a little on the order.
fn near(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Double(a), Value::Double(b)) => {
            (a - b).abs() <= 1e-9 * a.abs().max(b.abs()) || a.is_nan() && b.is_nan()
        }
        _ => a == b,
    }
}

fn taken(aggregate: &dyn Aggregate, columns: &[ArrayRef], rows: std::ops::Range<usize>) -> Box<dyn Accumulator> {
    let mut accumulator = aggregate.accumulator();
    rows.for_each(|row| accumulator.update(columns, row).expect("takes the row"));
    accumulator
}

fn saved(accumulator: &dyn Accumulator) -> Vec<u8> {
    let mut bytes = Vec::new();
    accumulator.save(&mut bytes);
    bytes
}

#[test]
fn results_row_by_row_and_all_at_once() {
    for case in cases() {
        let aggregate = case.resolve();
        let columns = case.columns(&aggregate.params());
        let result = taken(&*aggregate, &columns, 0..case.rows.len()).result();
        assert_eq!(result, case.expected, "{}", case.name);
        let array = Value::to_array(&aggregate.returns(), [&result]);
        assert_eq!(Value::from_array(&array, 0), result, "{} is of its type", case.name);
        let mut at_once = aggregate.accumulator();
        let rows: Vec<u32> = (0..case.rows.len() as u32).collect();
        at_once.update_rows(&columns, &rows, &mut |row, reason| panic!("{row}: {reason}"));
        assert_eq!(at_once.result(), case.expected, "{}", case.name);
    }
}

#[test]
fn undo_takes_updates_back() {
    for case in cases() {
        let aggregate = case.resolve();
        let columns = case.columns(&aggregate.params());
        let rows = case.rows.len();
        for row in 0..rows {
            let mut accumulator = taken(&*aggregate, &columns, 0..rows);
            let before = accumulator.result();
            accumulator.update(&columns, row).expect("takes the row");
            if aggregate.can_undo() {
                accumulator.undo(&columns, row).expect("takes it back");
                assert!(near(&accumulator.result(), &before), "{}", case.name);
            } else {
                assert!(accumulator.undo(&columns, row).is_err(), "{}", case.name);
            }
        }
    }
}

#[test]
fn loading_gives_what_was_saved() {
    for case in cases() {
        let aggregate = case.resolve();
        let columns = case.columns(&aggregate.params());
        for rows in 0..=case.rows.len() {
            let accumulator = taken(&*aggregate, &columns, 0..rows);
            let bytes = saved(&*accumulator);
            let mut rest = [&bytes[..], b"next"].concat();
            let mut loaded = aggregate.accumulator();
            let mut slice = &rest[..];
            loaded.load(&mut slice).expect("loads");
            assert_eq!(slice, b"next", "{} reads its own bytes only", case.name);
            assert!(near(&loaded.result(), &accumulator.result()), "{}", case.name);
            assert_eq!(saved(&*loaded), bytes, "{}", case.name);
            // Damaged bytes are an error, never a panic.
            for cut in 0..bytes.len() {
                assert!(aggregate.accumulator().load(&mut &bytes[..cut]).is_err(), "{}", case.name);
            }
            rest[0] = 99;
            assert!(aggregate.accumulator().load(&mut &rest[..]).is_err(), "{}", case.name);
        }
    }
}

#[test]
fn merging_equals_taking_all_rows() {
    for case in cases() {
        let aggregate = case.resolve();
        let columns = case.columns(&aggregate.params());
        for split in 0..=case.rows.len() {
            let mut left = taken(&*aggregate, &columns, 0..split);
            let right = taken(&*aggregate, &columns, split..case.rows.len());
            left.merge(&*right).expect("merges");
            assert!(near(&left.result(), &case.expected), "{} split at {split}: {:?}", case.name, left.result());
        }
    }
}

#[test]
fn sessions_that_merge_remember_which_value_was_processed_first() {
    let case = Case::one("LATEST_BY_OFFSET", SqlType::Int, &[Value::Int(1), Value::Int(2)], Value::Int(2));
    let aggregate = case.resolve();
    let columns = case.columns(&aggregate.params());
    let early = taken(&*aggregate, &columns, 0..1);
    let mut late = taken(&*aggregate, &columns, 1..2);
    late.merge(&*early).expect("merges");
    assert_eq!(late.result(), Value::Int(2));
}

#[test]
fn a_decimal_sum_that_overflows_is_an_error_and_changes_nothing() {
    let values = [99_999, 1].map(|v| Value::Decimal(Decimal::new(v, 2)));
    let case = Case::one("SUM", SqlType::Decimal(5, 2), &values, Value::Null);
    let aggregate = case.resolve();
    let columns = case.columns(&aggregate.params());
    let mut accumulator = taken(&*aggregate, &columns, 0..1);
    assert!(accumulator.update(&columns, 1).is_err());
    assert_eq!(accumulator.result(), values[0]);
}

#[test]
fn literal_parameters_must_be_literals() {
    let args = [ArgType::Sql(SqlType::Int), ArgType::Sql(SqlType::Int)];
    let error = resolve_aggregate("TOPK", &args, &[None, None]).err().expect("refused");
    assert_eq!(error.message(), "parameter 2 of TOPK must be a literal");
    let error = resolve_aggregate("TOPK", &args, &[None, Some(Value::Int(0))]).err().expect("refused");
    assert_eq!(error.message(), "parameter 2 of TOPK must be at least 1");
    assert!(resolve_aggregate("SUM", &[ArgType::Sql(SqlType::String)], &[None]).is_err());
    assert!(resolve_aggregate("NOPE", &[], &[]).is_err());
}

#[test]
fn settings_limit_collections() {
    let settings = [("ksql.functions.collect_set.limit".to_owned(), "1".to_owned())];
    let env = FunctionEnv::system().with_settings(settings.into());
    let case = Case::one("COLLECT_SET", SqlType::Int, &[Value::Int(0), Value::Int(1)], Value::Null);
    let aggregate =
        resolve_aggregate_in(&env, "COLLECT_SET", &[ArgType::Sql(SqlType::Int)], &[None]).expect("resolves");
    let columns = case.columns(&aggregate.params());
    assert_eq!(taken(&*aggregate, &columns, 0..2).result(), Value::Array(vec![Value::Int(0)]));
}

#[test]
fn result_types_follow_the_arguments() {
    let returns = |name: &str, types: &[SqlType], literals: &[Option<Value>]| {
        let args: Vec<_> = types.iter().cloned().map(ArgType::Sql).collect();
        resolve_aggregate(name, &args, literals).expect(name).returns()
    };
    let decimal = SqlType::Decimal(4, 1);
    let k = Some(Value::Int(2));
    assert_eq!(returns("SUM", std::slice::from_ref(&decimal), &[None]), decimal);
    assert_eq!(returns("AVG", std::slice::from_ref(&decimal), &[None]), SqlType::Double);
    assert_eq!(returns("TOPK", &[decimal.clone(), SqlType::Int], &[None, k.clone()]), SqlType::array(decimal));
    let rows = SqlType::array(SqlType::Struct(vec![
        StructField::new("sort_col", SqlType::BigInt),
        StructField::new("col0", SqlType::Boolean),
    ]));
    assert_eq!(returns("TOPK", &[SqlType::BigInt, SqlType::Boolean, SqlType::Int], &[None, None, k]), rows);
}
