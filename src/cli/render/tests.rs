use super::live::LiveTable;
use super::*;
use crate::cli::failure::Script;
use crate::error::{Error, ErrorKind, Span};
use crate::types::{Decimal, StructField};

fn columns() -> Vec<(String, SqlType)> {
    vec![
        ("ID".to_owned(), SqlType::String),
        ("N".to_owned(), SqlType::BigInt),
        ("PRICE".to_owned(), SqlType::Decimal(9, 2)),
    ]
}

fn rows() -> Vec<Vec<Value>> {
    vec![
        vec![Value::String("a".into()), Value::BigInt(1), Value::Decimal(Decimal::new(1250, 2))],
        vec![Value::String("long, \"name\"".into()), Value::Null, Value::Decimal(Decimal::new(-5, 2))],
    ]
}

#[test]
fn tables_align() {
    let text = table(&TableResult { columns: columns(), rows: rows() }, None);
    let expected = "
ID               N  PRICE
------------- ----- ------
a                1  12.50
long, \"name\"  NULL  -0.05
";
    assert_eq!(text, expected.trim_start_matches('\n'), "\n{text}");
}

#[test]
fn tables_stay_within_the_screen() {
    let rows = vec![vec![Value::String("word ".repeat(40)), Value::BigInt(1), Value::Null]];
    let text = table(&TableResult { columns: columns(), rows }, Some(50));
    assert!(text.lines().all(|line| display_width(line) <= 50), "\n{text}");
    assert!(text.lines().count() > 4);
}

#[test]
fn json_lines() {
    let lines: Vec<_> = rows().iter().map(|row| json_row(&columns(), row)).collect();
    assert_eq!(lines[0], r#"{"ID":"a","N":1,"PRICE":12.50}"#);
    assert_eq!(lines[1], r#"{"ID":"long, \"name\"","N":null,"PRICE":-0.05}"#);
}

#[test]
fn csv_lines() {
    assert_eq!(csv_header(&columns()), "ID,N,PRICE");
    assert_eq!(csv_row(&columns(), &rows()[1]), r#""long, ""name""",,-0.05"#);
    let empty = [Value::String(String::new())];
    assert_eq!(csv_row(&columns()[..1], &empty), "\"\"");
}

#[test]
fn values_of_every_type() {
    let point = SqlType::Struct(vec![StructField::new("X", SqlType::Int), StructField::new("Y", SqlType::Double)]);
    let cases = [
        (Value::Null, SqlType::Int, "NULL", "null"),
        (Value::Boolean(true), SqlType::Boolean, "true", "true"),
        (Value::Double(1.0), SqlType::Double, "1.0", "1.0"),
        (Value::Double(f64::NAN), SqlType::Double, "NaN", "\"NaN\""),
        (Value::Bytes(vec![0, 255]), SqlType::Bytes, "AP8=", "\"AP8=\""),
        (
            Value::Timestamp(1_600_000_000_123),
            SqlType::Timestamp,
            "2020-09-13T12:26:40.123",
            "\"2020-09-13T12:26:40.123\"",
        ),
        (Value::Date(18_518), SqlType::Date, "2020-09-13", "\"2020-09-13\""),
        (Value::Time(3_661_001), SqlType::Time, "01:01:01.001", "\"01:01:01.001\""),
        (Value::Array(vec![Value::Int(1), Value::Null]), SqlType::array(SqlType::Int), "[1, NULL]", "[1,null]"),
        (
            Value::Map(vec![(Value::String("k".into()), Value::Int(1))]),
            SqlType::map(SqlType::String, SqlType::Int),
            "{k=1}",
            "{\"k\":1}",
        ),
        (Value::Struct(vec![Value::Int(1), Value::Null]), point, "{X=1, Y=NULL}", "{\"X\":1,\"Y\":null}"),
    ];
    for (value, ty, text, json) in cases {
        assert_eq!(value::text(&value, &ty), text);
        let mut out = String::new();
        value::json(&value, &ty, &mut out);
        assert_eq!(out, json);
    }
}

#[test]
fn live_rows_align_and_widen() {
    let mut live = LiveTable::new(&columns(), None);
    assert_eq!(live.header(), "ID                        N       PRICE\n------------  -------------  ----------\n");
    assert_eq!(live.row(&rows()[0]), "a                         1       12.50\n");
    let wide = [Value::String("fourteen chars".into()), Value::BigInt(2), Value::Null];
    assert_eq!(live.row(&wide), "fourteen chars              2        NULL\n");
    assert_eq!(live.row(&rows()[0]), "a                           1       12.50\n");
    let gone = [Value::String("a".into()), Value::Null, Value::Null];
    assert_eq!(live.tombstone(&gone), "a                 <tombstone>  <tombstone>\n");
}

#[test]
fn live_rows_never_pass_the_edge() {
    let mut live = LiveTable::new(&columns(), Some(30));
    let wide = [Value::String("much too long for this screen".into()), Value::BigInt(i64::MIN), Value::Null];
    for text in [live.header(), live.row(&wide), live.row(&rows()[0])] {
        assert!(text.lines().all(|line| display_width(line) <= 30), "\n{text}");
    }
    assert!(live.row(&wide).contains('…'));
}

#[test]
fn fitting_counts_columns_not_characters() {
    assert_eq!(fit("日本語", 5, false), "日本…");
    assert_eq!(fit("ab", 4, true), "  ab");
    assert_eq!(fit("a\nb", 3, false), "a b");
}

#[test]
fn mistakes_are_underlined() {
    let script = Script::new("q.sql", "SELECT a,\n\tAMUONT\nFROM orders;");
    let error = Error::semantic("column AMUONT does not exist").at(Span::new(11, 17)).hint("Did you mean AMOUNT?");
    let expected = "error: column AMUONT does not exist\n --> q.sql:2:2\n  |\n2 | \tAMUONT\n  | \t^^^^^^\nhint: Did you mean AMOUNT?\n";
    assert_eq!(diagnose::plain(&error, Some(&script)), expected);

    let drawn = diagnose::graphical(&error, Some(&script), 80, true);
    assert!(
        drawn.contains("AMUONT") && drawn.contains("q.sql:2:2") && drawn.contains("Did you mean AMOUNT?"),
        "{drawn}"
    );
    assert!(!drawn.contains('\x1b'));
}

#[test]
fn places_past_the_end_do_no_harm() {
    let script = Script::new("-e", "SELECT é");
    for span in [Span::new(7, 8), Span::new(9, 9), Span::new(400, 500)] {
        let error = Error::syntax("the statement ends too soon").at(span);
        assert!(diagnose::plain(&error, Some(&script)).contains('^'));
        assert!(diagnose::graphical(&error, Some(&script), 80, true).contains("SELECT"));
    }
    let error = Error::new(ErrorKind::Unavailable, "no broker at a:1");
    assert_eq!(diagnose::plain(&error, None), "unavailable: no broker at a:1\n");
}
