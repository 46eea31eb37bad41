use std::sync::Arc;

use arrow::datatypes::Schema;

use arrow::array::Array;

use super::*;
use crate::sql::parse_expr;
use crate::types::{Decimal, StructField};

fn text(v: &str) -> Value {
    Value::String(v.to_owned())
}

fn int(v: i32) -> Value {
    Value::Int(v)
}

/// Columns of every type: a plain row, a row of NULLs, a row of odd values.
fn columns() -> Vec<(&'static str, SqlType, [Value; 3])> {
    let decimal = |unscaled| Value::Decimal(Decimal::new(unscaled, 2));
    let map = |entries: &[(&str, i32)]| Value::Map(entries.iter().map(|(k, v)| (text(k), int(*v))).collect());
    let fields = vec![StructField::new("X", SqlType::Int), StructField::new("y", SqlType::String)];
    vec![
        ("I", SqlType::Int, [int(7), Value::Null, int(i32::MIN)]),
        ("J", SqlType::Int, [int(2), int(5), int(0)]),
        ("B", SqlType::BigInt, [Value::BigInt(10), Value::Null, Value::BigInt(i64::MAX)]),
        ("D", SqlType::Double, [Value::Double(1.5), Value::Null, Value::Double(-0.0)]),
        ("P", SqlType::Decimal(10, 2), [decimal(110), Value::Null, decimal(-225)]),
        ("S", SqlType::String, [text("abc"), Value::Null, text("10")]),
        ("F", SqlType::Boolean, [Value::Boolean(true), Value::Null, Value::Boolean(false)]),
        ("TS", SqlType::Timestamp, [Value::Timestamp(86_400_000), Value::Null, Value::Timestamp(-1)]),
        ("DT", SqlType::Date, [Value::Date(1), Value::Null, Value::Date(-1)]),
        ("TM", SqlType::Time, [Value::Time(36_000_000), Value::Null, Value::Time(1)]),
        ("BY", SqlType::Bytes, [Value::Bytes(vec![1, 2]), Value::Null, Value::Bytes(vec![])]),
        (
            "A",
            SqlType::array(SqlType::Int),
            [Value::Array(vec![int(1), int(2), Value::Null]), Value::Null, Value::Array(vec![])],
        ),
        ("M", SqlType::map(SqlType::String, SqlType::Int), [map(&[("a", 1), ("b", 2)]), Value::Null, map(&[])]),
        (
            "ST",
            SqlType::Struct(fields),
            [Value::Struct(vec![int(1), text("z")]), Value::Null, Value::Struct(vec![Value::Null, Value::Null])],
        ),
        ("ROWTIME", SqlType::BigInt, [Value::BigInt(0), Value::BigInt(86_400_000), Value::BigInt(1_577_836_800_000)]),
    ]
}

fn scope() -> Scope {
    Scope { columns: columns().into_iter().map(|(name, ty, _)| (name.to_owned(), ty)).collect() }
}

fn batch(rows: &[usize]) -> RecordBatch {
    let columns = columns();
    let arrays =
        columns.iter().map(|(_, ty, values)| Value::to_array(ty, rows.iter().map(|row| &values[*row]))).collect();
    let schema = Schema::new(
        columns.iter().map(|(name, ty, _)| arrow::datatypes::Field::new(*name, ty.arrow(), true)).collect::<Vec<_>>(),
    );
    RecordBatch::try_new(Arc::new(schema), arrays).expect("a batch")
}

fn compiled(expression: &str) -> CompiledExpr {
    compile(&parse_expr(expression).expect(expression), &scope()).unwrap_or_else(|e| panic!("{expression}: {e}"))
}

/// The type, then the cells of three rows; `!` behind a row that was reported.
fn outcome(expression: &str) -> String {
    let compiled = compiled(expression);
    let mut errors = Vec::new();
    let array = compiled.evaluate(&batch(&[0, 1, 2]), &mut errors).unwrap_or_else(|e| panic!("{expression}: {e}"));
    let Some(ty) = compiled.ty() else { return "NULL".to_owned() };
    assert_eq!(array.data_type(), &ty.arrow(), "{expression}");
    assert!(errors.iter().all(|e| e.place == compiled.text()), "{expression}");
    let cells: Vec<String> = (0..3)
        .map(|row| {
            let reported = if errors.iter().any(|e| e.row == row) { "!" } else { "" };
            format!("{}{reported}", super::super::text::to_sql_text(&Value::from_array(&array, row), ty))
        })
        .collect();
    format!("{ty}: {}", cells.join(" | "))
}

/// Expression, and what [`outcome`] says about it.
const TABLE: &[(&str, &str)] = &[
    // literals
    ("1", "INTEGER: 1 | 1 | 1"),
    ("-2147483648", "INTEGER: -2147483648 | -2147483648 | -2147483648"),
    ("2147483648", "BIGINT: 2147483648 | 2147483648 | 2147483648"),
    ("1.0", "DECIMAL(2, 1): 1.0 | 1.0 | 1.0"),
    ("1e0", "DOUBLE: 1.0 | 1.0 | 1.0"),
    ("'it''s'", "STRING: it's | it's | it's"),
    ("NULL", "NULL"),
    // arithmetic
    ("I + J", "INTEGER: 9 | null | -2147483648"),
    ("I - J", "INTEGER: 5 | null | -2147483648"),
    ("I * J", "INTEGER: 14 | null | 0"),
    ("I - 1", "INTEGER: 6 | null | 2147483647"),
    ("B + 1", "BIGINT: 11 | null | -9223372036854775808"),
    ("I + B", "BIGINT: 17 | null | 9223372034707292159"),
    ("I / J", "INTEGER: 3 | null | null!"),
    ("I % J", "INTEGER: 1 | null | null!"),
    ("I / 2", "INTEGER: 3 | null | -1073741824"),
    ("I / -1", "INTEGER: -7 | null | -2147483648"),
    ("I % -1", "INTEGER: 0 | null | 0"),
    ("1 / 0", "INTEGER: null! | null! | null!"),
    ("-I", "INTEGER: -7 | null | -2147483648"),
    ("D * 2", "DOUBLE: 3.0 | null | -0.0"),
    ("D / 0", "DOUBLE: Infinity | null | NaN"),
    ("D % 1", "DOUBLE: 0.5 | null | -0.0"),
    ("D + P", "DOUBLE: 2.6 | null | -2.25"),
    ("P + 1", "DECIMAL(13, 2): 2.10 | null | -1.25"),
    ("P + 0.125", "DECIMAL(12, 3): 1.225 | null | -2.125"),
    ("P * P", "DECIMAL(21, 4): 1.2100 | null | 5.0625"),
    ("P / 2", "DECIMAL(21, 13): 0.5500000000000 | null | -1.1250000000000"),
    ("P / 3", "DECIMAL(21, 13): null! | null | -0.7500000000000"),
    ("P / J", "DECIMAL(21, 13): 0.5500000000000 | null | null!"),
    ("P % 1.00", "DECIMAL(3, 2): 0.10 | null | -0.25"),
    ("S + 'x'", "STRING: abcx | null | 10x"),
    ("S || 'x'", "STRING: abcx | x | 10x"),
    ("COALESCE(I / J, 5)", "INTEGER: 3 | 5 | 5!"),
    ("ABS(I / J)", "INTEGER: 3 | null | null!"),
    ("ARRAY[COALESCE(1 / J, 5)]", "ARRAY<INTEGER>: [0] | [0] | [5]!"),
    // comparisons
    ("I = 7", "BOOLEAN: true | false | false"),
    ("I <> 7", "BOOLEAN: false | false | true"),
    ("NOT (I = 7)", "BOOLEAN: false | true | true"),
    ("7 >= I", "BOOLEAN: true | false | true"),
    ("I < B", "BOOLEAN: true | false | true"),
    ("D = 0", "BOOLEAN: false | false | true"),
    ("P > 1", "BOOLEAN: true | false | false"),
    ("P = 1.1", "BOOLEAN: true | false | false"),
    ("P = 1.100", "BOOLEAN: true | false | false"),
    ("P < I", "BOOLEAN: true | false | false"),
    ("S = 'abc'", "BOOLEAN: true | false | false"),
    ("S > '1'", "BOOLEAN: true | false | true"),
    ("F = TRUE", "BOOLEAN: true | false | false"),
    ("F = 'no'", "BOOLEAN: false | false | true"),
    ("I IS DISTINCT FROM 7", "BOOLEAN: false | true | true"),
    ("I IS NOT DISTINCT FROM NULL", "BOOLEAN: false | true | false"),
    ("I IS DISTINCT FROM I", "BOOLEAN: false | false | false"),
    ("I IS NULL", "BOOLEAN: false | true | false"),
    ("NULL IS NULL", "BOOLEAN: true | true | true"),
    ("NULL || S", "STRING: abc |  | 10"),
    ("CAST(NULL AS ARRAY<INT>)[1]", "INTEGER: null | null | null"),
    ("A IS NOT NULL", "BOOLEAN: true | false | true"),
    ("A = ARRAY[1, 2, CAST(NULL AS INT)]", "BOOLEAN: true | false | false"),
    ("M = MAP('b' := 2, 'a' := 1)", "BOOLEAN: true | false | false"),
    ("TS = '1970-01-02'", "BOOLEAN: true | false | false"),
    ("TS < '1970-01-02T00'", "BOOLEAN: false | false | true"),
    ("TS = DT", "BOOLEAN: true | false | false"),
    ("DT > '1970-01-01'", "BOOLEAN: true | false | false"),
    ("TM >= '10:00'", "BOOLEAN: true | false | false"),
    ("ROWTIME >= '2020-01-01'", "BOOLEAN: false | false | true"),
    ("ROWTIME BETWEEN '1970-01-01' AND '1970-01-02T00:00:00+00:00'", "BOOLEAN: true | true | false"),
    ("J BETWEEN 2 AND 4", "BOOLEAN: true | false | false"),
    ("I NOT BETWEEN 1 AND 10", "BOOLEAN: false | true | true"),
    // logic
    ("F AND TRUE", "BOOLEAN: true | null | false"),
    ("F OR TRUE", "BOOLEAN: true | null | true"),
    ("TRUE OR F", "BOOLEAN: true | true | true"),
    ("FALSE AND F", "BOOLEAN: false | false | false"),
    ("NOT F", "BOOLEAN: false | null | true"),
    ("J <> 0 AND I / J > 2", "BOOLEAN: true | false | false"),
    ("J = 0 OR I / J > 2", "BOOLEAN: true | false | true"),
    // lists and patterns
    ("I IN (1, 7)", "BOOLEAN: true | false | false"),
    ("I NOT IN (1, 7)", "BOOLEAN: false | true | true"),
    ("I IN ('7', NULL)", "BOOLEAN: true | false | false"),
    ("S IN (10, 'abc')", "BOOLEAN: true | false | true"),
    ("I IN (7.5, 7.0)", "BOOLEAN: true | false | false"),
    ("F IN ('y')", "BOOLEAN: true | false | false"),
    ("DT IN ('1970-01-02')", "BOOLEAN: true | false | false"),
    ("J IN (2, '2147483648', '5.0', 1e0)", "BOOLEAN: true | true | false"),
    ("ARRAY[J] IN (ARRAY['2', NULL], ARRAY[5], ARRAY[B])", "BOOLEAN: false | true | false"),
    ("STRUCT(V := J) IN (STRUCT(V := B - 8))", "BOOLEAN: true | false | false"),
    ("P IN (J, 1.1)", "BOOLEAN: true | false | false"),
    ("TS IN (DT, '2020')", "BOOLEAN: true | false | false"),
    ("S LIKE 'a%'", "BOOLEAN: true | false | false"),
    ("S LIKE '_b_'", "BOOLEAN: true | false | false"),
    ("S NOT LIKE '%c'", "BOOLEAN: false | true | true"),
    ("S LIKE S", "BOOLEAN: true | false | true"),
    ("'50%' LIKE '50!%' ESCAPE '!'", "BOOLEAN: true | true | true"),
    ("'a.c' LIKE 'a_c'", "BOOLEAN: true | true | true"),
    ("'abc' LIKE 'a.c'", "BOOLEAN: false | false | false"),
    // CASE
    ("CASE WHEN I > 0 THEN 'p' WHEN I < 0 THEN 'n' END", "STRING: p | null | n"),
    ("CASE WHEN J = 0 THEN 0 ELSE 10 / J END", "INTEGER: 5 | 2 | 0"),
    ("CASE J WHEN 2 THEN 'two' ELSE S END", "STRING: two | null | 10"),
    ("CASE WHEN F THEN 1 ELSE 2.5 END", "DECIMAL(11, 1): 1.0 | 2.5 | 2.5"),
    ("CASE WHEN J > 1 THEN NULL ELSE B END", "BIGINT: null | null | 9223372036854775807"),
    ("CASE WHEN J > 1 THEN M END", "MAP<STRING, INTEGER>: {a=1, b=2} | null | null"),
    ("CASE WHEN J > 3 THEN A ELSE ARRAY[J] END", "ARRAY<INTEGER>: [2] | null | [0]"),
    ("CASE WHEN J = 2 THEN ST ELSE STRUCT(X := J, `y` := S) END->X", "INTEGER: 1 | 5 | 0"),
    ("CASE WHEN P > 0 THEN P ELSE 0.00 END", "DECIMAL(10, 2): 1.10 | 0.00 | 0.00"),
    ("CASE WHEN S = 'abc' THEN 10 / (J - 2) ELSE J END", "INTEGER: null! | 5 | 0"),
    ("S IN ('1','2','3','4','5','6','7','8','9','10')", "BOOLEAN: false | false | true"),
    ("J IN (0, 1, 3, 4, 5, 6, 7, 8, 9, NULL)", "BOOLEAN: false | true | true"),
    // casts
    ("CAST(I AS STRING)", "STRING: 7 | null | -2147483648"),
    ("CAST(D AS STRING)", "STRING: 1.5 | null | -0.0"),
    ("CAST(1e10 AS STRING)", "STRING: 1.0E10 | 1.0E10 | 1.0E10"),
    ("CAST(P AS STRING)", "STRING: 1.10 | null | -2.25"),
    ("CAST(P AS DECIMAL(3, 1))", "DECIMAL(3, 1): 1.1 | null | -2.3"),
    ("CAST(P AS DECIMAL(1, 1))", "DECIMAL(1, 1): null! | null | null!"),
    ("CAST(P AS INT)", "INTEGER: 1 | null | -2"),
    ("CAST(P AS DOUBLE)", "DOUBLE: 1.1 | null | -2.25"),
    ("CAST(-1.9e0 AS INT)", "INTEGER: -1 | -1 | -1"),
    ("CAST(1e300 AS BIGINT)", "BIGINT: 9223372036854775807 | 9223372036854775807 | 9223372036854775807"),
    ("CAST(B AS INT)", "INTEGER: 10 | null | -1"),
    ("CAST(S AS INT)", "INTEGER: null! | null | 10"),
    ("CAST(' 12 ' AS BIGINT)", "BIGINT: 12 | 12 | 12"),
    ("CAST('0.99' AS DECIMAL(2, 1))", "DECIMAL(2, 1): 1.0 | 1.0 | 1.0"),
    ("CAST(0.1e0 AS DECIMAL(5, 3))", "DECIMAL(5, 3): 0.100 | 0.100 | 0.100"),
    ("CAST('ye' AS BOOLEAN)", "BOOLEAN: true | true | true"),
    ("CAST(S AS BOOLEAN)", "BOOLEAN: false | null | false"),
    ("CAST(TS AS STRING)", "STRING: 1970-01-02T00:00:00.000 | null | 1969-12-31T23:59:59.999"),
    ("CAST(TS AS DATE)", "DATE: 1970-01-02 | null | 1969-12-31"),
    ("CAST(TS AS TIME)", "TIME: 00:00 | null | 23:59:59.999"),
    ("CAST(DT AS TIMESTAMP)", "TIMESTAMP: 1970-01-02T00:00:00.000 | null | 1969-12-31T00:00:00.000"),
    (
        "CAST('2020-01-01T10+01:00' AS TIMESTAMP)",
        "TIMESTAMP: 2020-01-01T09:00:00.000 | 2020-01-01T09:00:00.000 | 2020-01-01T09:00:00.000",
    ),
    ("CAST(TM AS STRING)", "STRING: 10:00 | null | 00:00:00.001"),
    ("CAST(A AS STRING)", "STRING: [1, 2, null] | null | []"),
    ("CAST(M AS STRING)", "STRING: {a=1, b=2} | null | {}"),
    ("CAST(ST AS STRING)", "STRING: Struct{X=1,y=z} | null | Struct{}"),
    ("CAST(A AS ARRAY<STRING>)", "ARRAY<STRING>: [1, 2, null] | null | []"),
    ("CAST(ARRAY[S] AS ARRAY<INT>)", "ARRAY<INTEGER>: [null]! | [null] | [10]"),
    ("CAST(M AS MAP<STRING, DOUBLE>)", "MAP<STRING, DOUBLE>: {a=1.0, b=2.0} | null | {}"),
    ("CAST(NULL AS INT) IS NULL", "BOOLEAN: true | true | true"),
    // nested
    ("ARRAY[I, B]", "ARRAY<BIGINT>: [7, 10] | [null, null] | [-2147483648, 9223372036854775807]"),
    ("ARRAY[I / J, 1]", "ARRAY<INTEGER>: [3, 1] | [null, 1] | [null, 1]!"),
    ("MAP('k' := J, 'k' := 9)", "MAP<STRING, INTEGER>: {k=9} | {k=9} | {k=9}"),
    ("STRUCT(X := J, `q` := S)", "STRUCT<`X` INTEGER, `q` STRING>: Struct{X=2,q=abc} | Struct{X=5} | Struct{X=0,q=10}"),
    ("A[1]", "INTEGER: 1 | null | null"),
    ("A[-2]", "INTEGER: 2 | null | null"),
    ("A[0]", "INTEGER: null | null | null"),
    ("A[99]", "INTEGER: null | null | null"),
    ("A[J]", "INTEGER: 2 | null | null"),
    ("ARRAY[5, 6][J - 1]", "INTEGER: 5 | null | 6"),
    ("M['b']", "INTEGER: 2 | null | null"),
    ("M['q']", "INTEGER: null | null | null"),
    ("ST->X", "INTEGER: 1 | null | null"),
    ("ST->`y`", "STRING: z | null | null"),
    ("STRUCT(N := STRUCT(V := J))->N->V + 1", "INTEGER: 3 | 6 | 1"),
    // lambdas
    ("TRANSFORM(A, x => x * J)", "ARRAY<INTEGER>: null | null | []"),
    ("TRANSFORM(A, x => CAST(x AS STRING) || S)", "ARRAY<STRING>: [1abc, 2abc, abc] | null | []"),
    ("TRANSFORM(A, x => 10 / (x - 1))", "ARRAY<INTEGER>: null! | null | []"),
    ("TRANSFORM(M, (k, v) => k || '!', (k, v) => v + 1)", "MAP<STRING, INTEGER>: {a!=2, b!=3} | null | {}"),
    (
        "TRANSFORM(ARRAY[I, J], x => CASE WHEN x IS NULL THEN 0 ELSE x + 1 END)",
        "ARRAY<INTEGER>: [8, 3] | [0, 6] | [-2147483647, 1]",
    ),
    (
        "TRANSFORM(ARRAY[J], x => ARRAY[NULL, STRUCT(X := x), STRUCT(Y := S, X := B)])[1][3]->X",
        "BIGINT: 10 | null | 9223372036854775807",
    ),
    ("FILTER(A, x => x > 1)", "ARRAY<INTEGER>: [2] | null | []"),
    ("FILTER(M, (k, v) => k = 'a')", "MAP<STRING, INTEGER>: {a=1} | null | {}"),
    ("REDUCE(ARRAY[1, 2, J], 0, (t, x) => t + x)", "INTEGER: 5 | 8 | 3"),
    ("REDUCE(A, J, (t, x) => CASE WHEN x IS NULL THEN t ELSE t + x END)", "INTEGER: 5 | 5 | 0"),
    ("REDUCE(M, 2147483648, (t, k, v) => t + v)", "BIGINT: 2147483651 | 2147483648 | 2147483648"),
    (
        "TRANSFORM(ARRAY[ARRAY[J, 1], ARRAY[3]], x => TRANSFORM(x, y => y + x[1]))",
        "ARRAY<ARRAY<INTEGER>>: [[4, 3], [6]] | [[10, 6], [6]] | [[0, 1], [6]]",
    ),
    // names
    ("X.I", "INTEGER: 7 | null | -2147483648"),
];

#[test]
fn expressions() {
    let wrong: Vec<String> = TABLE
        .iter()
        .map(|(expression, expected)| (expression, expected, outcome(expression)))
        .filter(|(_, expected, actual)| *expected != actual)
        .map(|(expression, expected, actual)| format!("{expression}\n  expected {expected}\n  actual   {actual}"))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A batch whose cells come from the three rows of [`columns`], each column choosing for itself.
fn mixed(rows: &[Vec<usize>]) -> RecordBatch {
    let whole = batch(&[0, 1, 2]);
    let columns = whole.columns().iter().enumerate().map(|(at, column)| {
        let picked: arrow::array::UInt32Array = rows.iter().map(|row| Some(row[at] as u32)).collect();
        arrow::compute::take(column, &picked, None).expect("rows are there")
    });
    RecordBatch::try_new(whole.schema(), columns.collect()).expect("a batch")
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(8))]
    #[test]
    fn single_rows_give_what_the_batch_gives(
        rows in proptest::collection::vec(proptest::collection::vec(0usize..3, columns().len()), 0..12)
    ) {
        for (expression, _) in TABLE {
            let compiled = compiled(expression);
            if compiled.ty().is_none() {
                continue;
            }
            let mut together = Vec::new();
            let all = Value::all(&compiled.evaluate(&mixed(&rows), &mut together).expect(expression));
            for (at, row) in rows.iter().enumerate() {
                let mut alone = Vec::new();
                let one = compiled.evaluate(&mixed(std::slice::from_ref(row)), &mut alone).expect(expression);
                proptest::prop_assert_eq!(format!("{:?}", Value::all(&one)), format!("{:?}", &all[at..=at]), "{}", expression);
                let reasons = |errors: &[RecordError], row| {
                    errors.iter().filter(|e| e.row == row).map(|e| e.reason.clone()).collect::<Vec<_>>()
                };
                proptest::prop_assert_eq!(reasons(&alone, 0), reasons(&together, at), "{}", expression);
            }
        }
    }
}

#[test]
fn sliced_batches_are_read_right() {
    for (expression, _) in TABLE {
        let compiled = compiled(expression);
        let whole = batch(&[1, 0, 2, 0]);
        let evaluate = |batch: &RecordBatch| {
            let array = compiled.evaluate(batch, &mut Vec::new()).expect(expression);
            if compiled.ty().is_some() { format!("{:?}", Value::all(&array)) } else { String::new() }
        };
        assert_eq!(evaluate(&whole.slice(1, 2)), evaluate(&batch(&[0, 2])), "{expression}");
    }
}

#[test]
fn predicates_are_true_or_false() {
    for (expression, expected) in [
        ("F", [true, false, false]),
        ("NOT F", [false, false, true]),
        ("F AND TRUE", [true, false, false]),
        ("I / J > 0", [true, false, false]),
        ("NOT (I / J > 0)", [false, true, false]),
        ("NULL", [false, false, false]),
        ("TRUE", [true, true, true]),
    ] {
        let compiled = compile_predicate(&parse_expr(expression).expect(expression), &scope()).expect(expression);
        let result = compiled.evaluate_predicate(&batch(&[0, 1, 2]), &mut Vec::new()).expect(expression);
        assert_eq!(result.null_count(), 0);
        assert_eq!(result.iter().map(|v| v == Some(true)).collect::<Vec<_>>(), expected, "{expression}");
    }
    let error = compile_predicate(&parse_expr("I + 1").expect("parses"), &scope()).expect_err("an INTEGER");
    assert_eq!(error.message(), "a condition must be BOOLEAN, not INTEGER");
}

#[test]
fn mistakes_have_place_and_hint() {
    for (expression, place, message, hint) in [
        ("AMONT + 1", "AMONT", "column AMONT does not exist", "The columns are"),
        ("ROWTIM + 1", "ROWTIM", "column ROWTIM does not exist", "Did you mean ROWTIME?"),
        ("S + 1", "S + 1", "operator + does not work for STRING and INTEGER", "CAST"),
        ("1 + NULL", "1 + NULL", "operator + does not work for INTEGER and NULL", "CAST(NULL"),
        ("I = NULL", "NULL", "a comparison with NULL is never true", "IS NULL"),
        ("S > 5", "S > 5", "operator > cannot compare STRING with INTEGER", "CAST"),
        ("F < TRUE", "F < TRUE", "operator < cannot compare BOOLEAN with BOOLEAN", "="),
        ("A < A", "A < A", "operator < cannot compare ARRAY<INTEGER> with ARRAY<INTEGER>", "ARRAY values"),
        ("TS > 'soon'", "'soon'", "'soon' is no TIMESTAMP", "Timestamps are written"),
        ("ROWTIME > 'soon'", "'soon'", "'soon' is no timestamp", ""),
        ("I AND TRUE", "I", "AND needs a BOOLEAN, not a INTEGER", ""),
        ("I LIKE 'x'", "I", "LIKE compares strings, not a INTEGER", "CAST"),
        ("S LIKE 'x!' ESCAPE '!'", "'x!'", "the pattern 'x!' ends in its escape character", ""),
        ("I IN (1, S)", "S", "a list of INTEGER cannot hold a STRING", "CAST"),
        ("I IN (1, 'x')", "'x'", "'x' is no INTEGER", ""),
        ("ARRAY[NULL]", "ARRAY[NULL]", "cannot construct an array with all NULL elements", "CAST"),
        ("ARRAY[1, 'x']", "'x'", "'x' is no INTEGER", "CAST"),
        ("CASE WHEN F THEN 1 ELSE 'x' END", "'x'", "the branches of CASE differ in type", "CAST"),
        ("CASE WHEN F THEN NULL END", "CASE WHEN F THEN NULL END", "every branch of CASE is NULL", "CAST"),
        ("STRUCT(X := NULL)", "NULL", "field X is NULL and has no type", "CAST"),
        ("ST->Z", "Z", "field Z does not exist", ""),
        ("I->Z", "I", "a INTEGER has no fields", "STRUCT"),
        ("I[1]", "I", "a INTEGER has no elements", "ARRAY"),
        ("A['x']", "'x'", "an array's index is an INTEGER, not a STRING", ""),
        ("M[1]", "1", "this map's keys are STRING, not INTEGER", ""),
        ("CAST(F AS INT)", "CAST(F AS INT)", "BOOLEAN cannot be cast to INTEGER", ""),
        ("CAST(I AS STRNG)", "STRNG", "unknown type STRNG", "Did you mean STRING?"),
        ("UCAS(S)", "UCAS", "unknown function UCAS", "Did you mean UCASE?"),
        ("TRANSFORM(I, x => x)", "I", "TRANSFORM works on ARRAY and MAP, not on INTEGER", ""),
        ("TRANSFORM(A, J => 1)", "J", "lambda parameter J has the name of a column", "another name"),
        ("FILTER(A, (x, y) => TRUE)", "(x, y) => TRUE", "the lambda has 1 parameters, not 2", ""),
        ("FILTER(A, 1)", "1", "FILTER is called in another way", "Write FILTER"),
    ] {
        let error = compile(&parse_expr(expression).expect(expression), &scope()).expect_err(expression);
        assert!(error.message().starts_with(message), "{expression}: {error}");
        let span = error.span().unwrap_or_else(|| panic!("{expression} has no place"));
        assert_eq!(expression.get(span.start..span.end), Some(place), "{expression}");
        assert!(error.hints().concat().contains(hint), "{expression}: {:?}", error.hints());
    }
}

#[test]
fn assignments_convert_what_is_safe() {
    let decimal = SqlType::Decimal(4, 2);
    let record = SqlType::Struct(vec![StructField::new("A", SqlType::BigInt), StructField::new("B", SqlType::String)]);
    for (expression, target, expected) in [
        ("1", &SqlType::BigInt, Some("1")),
        ("'12'", &SqlType::Int, Some("12")),
        ("12", &SqlType::String, Some("12")),
        ("'tru'", &SqlType::Boolean, Some("true")),
        ("'2020-01-01'", &SqlType::Date, Some("2020-01-01")),
        ("1.5", &decimal, Some("1.50")),
        ("123.5", &decimal, None),
        ("1.234", &decimal, None),
        ("'x'", &SqlType::Int, None),
        ("D", &SqlType::Int, None),
        ("NULL", &SqlType::Int, Some("null")),
        ("ARRAY[1]", &SqlType::array(SqlType::Double), Some("[1.0]")),
        ("ARRAY['1', NULL]", &SqlType::array(SqlType::Int), Some("[1, null]")),
        ("ARRAY['x']", &SqlType::array(SqlType::Int), None),
        ("MAP('k' := '2020-01-01')", &SqlType::map(SqlType::String, SqlType::Date), Some("{k=2020-01-01}")),
        ("STRUCT(A := '7', B := 8)", &record, Some("Struct{A=7,B=8}")),
        ("STRUCT(A := J, B := S)", &record, Some("Struct{A=2,B=abc}")),
        ("STRUCT(A := 1)", &record, Some("Struct{A=1}")),
        ("STRUCT(C := 1)", &record, None),
    ] {
        let compiled = compile_as(&parse_expr(expression).expect(expression), &scope(), target);
        let value = compiled.ok().map(|compiled| {
            let array = compiled.evaluate(&batch(&[0]), &mut Vec::new()).expect(expression);
            super::super::text::to_sql_text(&Value::from_array(&array, 0), target)
        });
        assert_eq!(value.as_deref(), expected, "{expression} as {target}");
    }
}

#[test]
fn ambiguous_names_are_refused() {
    let mut scope = scope();
    scope.columns.push(("I".to_owned(), SqlType::Int));
    let error = compile(&parse_expr("I + 1").expect("parses"), &scope).expect_err("two columns I");
    assert_eq!(error.message(), "column I is ambiguous");
}
