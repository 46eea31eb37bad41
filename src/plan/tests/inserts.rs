//! Rows of `INSERT INTO … VALUES`.

use super::Script;
use crate::error::Result;
use crate::plan::insert::{InsertRow, insert_values};
use crate::sql::ast::StatementKind;
use crate::sql::parse_statement;
use crate::types::{Decimal, Value};

const SOURCES: &str = "
    CREATE STREAM s (k INT KEY, a BIGINT, b DECIMAL(4, 2), c ARRAY<STRING>, h BYTES HEADER('h'))
        WITH (kafka_topic = 's', value_format = 'JSON');
    CREATE TABLE t (k STRING PRIMARY KEY, v BOOLEAN) WITH (kafka_topic = 't', value_format = 'JSON');
    CREATE SOURCE STREAM r (v INT) WITH (kafka_topic = 'r', value_format = 'JSON');
    CREATE STREAM w (k INT KEY, v INT) WITH (kafka_topic = 'w', value_format = 'JSON', window_type = 'SESSION');
";

fn insert(statement: &str) -> Result<InsertRow> {
    let mut script = Script::new();
    script.explain(SOURCES);
    match parse_statement(statement)?.kind {
        StatementKind::InsertValues { target, columns, values } => {
            insert_values(script.catalog.source(&target.text)?, &columns, &values)
        }
        other => panic!("not an insert: {other:?}"),
    }
}

#[test]
fn values_fit_their_columns() {
    let row = insert("INSERT INTO s VALUES ('7', 1 + 2, '1.5', ARRAY['x', 'y']);").expect("a row");
    let cells: Vec<Value> = row.values.into_iter().map(|(_, value)| value).collect();
    let texts = ["x", "y"].map(|text| Value::String(text.to_owned())).to_vec();
    let decimal = Value::Decimal(Decimal::new(150, 2));
    assert_eq!(cells, [Value::Int(7), Value::BigInt(3), decimal, Value::Array(texts)]);
}

#[test]
fn columns_not_named_are_null() {
    let row = insert("INSERT INTO s (rowtime, a) VALUES (1234, 5);").expect("a row");
    assert_eq!(row.rowtime, Some(1234));
    let nulls: Vec<bool> = row.values.iter().map(|(_, value)| value.is_null()).collect();
    assert_eq!(nulls, [true, false, true, true]);
}

#[test]
fn wrong_rows_are_refused() {
    for (statement, fragment) in [
        ("INSERT INTO s VALUES (1, 2);", "S has 4 columns, and 2 values are given"),
        ("INSERT INTO s (k, a) VALUES (1);", "2 columns are named, and 1 values are given"),
        ("INSERT INTO s (k, k) VALUES (1, 2);", "the column K is named twice"),
        ("INSERT INTO s (x) VALUES (1);", "S has no column X"),
        ("INSERT INTO s (h) VALUES (1);", "the header column H cannot be written"),
        ("INSERT INTO s (rowoffset) VALUES (1);", "ROWOFFSET cannot be written"),
        ("INSERT INTO s (k) VALUES ('x');", "column K: 'x' is no INTEGER"),
        ("INSERT INTO s (k) VALUES (3000000000);", "a value of type BIGINT does not fit INTEGER"),
        ("INSERT INTO s (b) VALUES (123.45);", "too many digits"),
        ("INSERT INTO t (v) VALUES (true);", "rows of the table T need a value for K"),
        ("INSERT INTO r VALUES (1);", "the stream R is read-only"),
        ("INSERT INTO w VALUES (1, 2);", "W is windowed"),
    ] {
        let error = insert(statement).expect_err(statement);
        assert!(error.message().contains(fragment), "{statement}\n{error}");
    }
}
