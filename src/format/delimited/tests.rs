use proptest::prelude::*;

use super::super::tests::{decode, encode};
use super::*;
use crate::types::{Column, SqlType, Value};

fn spec(delimiter: &str) -> FormatSpec {
    let mut spec = FormatSpec::new("DELIMITED", true);
    spec.properties.insert("DELIMITER".to_owned(), delimiter.to_owned());
    spec
}

fn strings(count: usize) -> Vec<Column> {
    (0..count).map(|i| Column::value(format!("C{i}"), SqlType::String)).collect()
}

fn fields(line: &str, delimiter: char) -> Result<Vec<String>, String> {
    let mut read = csv::Line::default();
    read.read(line, delimiter)?;
    Ok((0..read.len()).map(|i| read.get(i).to_owned()).collect())
}

#[test]
fn lines_are_split() {
    for (line, delimiter, expected) in [
        ("a,b", ',', vec!["a", "b"]),
        ("a,", ',', vec!["a", ""]),
        (",", ',', vec!["", ""]),
        ("\"a,\"\"b\"\"\" ,c", ',', vec!["a,\"b\"", "c"]),
        ("a\"b\",c", ',', vec!["a\"b\"", "c"]),
        (" a , b ", ',', vec![" a ", " b "]),
        ("\n\na,b\r\nc", ',', vec!["a", "b"]),
        ("\"x\ny\"", ',', vec!["x\ny"]),
        ("\"x\"\nnext", ',', vec!["x"]),
        ("a\t\"b\"\tc", '\t', vec!["a", "b", "c"]),
        ("a  b", ' ', vec!["a", "", "b"]),
        ("ä€b€", '€', vec!["ä", "b", ""]),
        ("", ',', vec![]),
    ] {
        assert_eq!(fields(line, delimiter), Ok(expected.iter().map(|s| (*s).to_owned()).collect()), "{line:?}");
    }
    assert!(fields("\"a", ',').is_err());
    assert!(fields("\"a\"b", ',').is_err());
}

#[test]
fn quotes_are_where_java_puts_them() {
    let write = |delimiter: &str, texts: &[&str]| {
        let row = texts.iter().map(|text| Value::String((*text).to_owned())).collect();
        encode(&spec(delimiter), Side::Value, &strings(texts.len()), &[row]).remove(0).unwrap_or_default()
    };
    assert_eq!(write(",", &["abc", "d e"]), "abc,d e");
    assert_eq!(write(",", &["-a", "-a"]), "\"-a\",-a");
    assert_eq!(write(",", &["ä", "ä"]), "\"ä\",ä");
    assert_eq!(write(",", &["", ""]), "\"\",");
    assert_eq!(write(",", &["a", "!", "#", "$"]), "a,\"!\",\"#\",$");
    assert_eq!(write(",", &["a ", " b", "c\""]), "\"a \",\" b\",\"c\"\"\"");
    assert_eq!(write(",", &["a,b", "c\nd"]), "\"a,b\",\"c\nd\"");
    assert_eq!(write("|", &["a,b", "c|d"]), "a,b|\"c|d\"");
    assert_eq!(write("TAB", &["a", "b\tc"]), "a\t\"b\tc\"");
    let key = [Column::key("K", SqlType::String)];
    assert_eq!(encode(&spec(","), Side::Key, &key, &[vec![Value::Null]]), [None]);
    let numbers = [Column::value("A", SqlType::Int), Column::value("B", SqlType::Double)];
    let rows = [vec![Value::Int(-1), Value::Double(-1e10)], vec![Value::Null, Value::Null]];
    assert_eq!(
        encode(&spec(","), Side::Value, &numbers, &rows),
        [Some("\"-1\",-1.0E10".to_owned()), Some(",".to_owned())]
    );
}

#[test]
fn fields_become_cells() {
    let columns = [
        Column::value("A", SqlType::Boolean),
        Column::value("B", SqlType::Int),
        Column::value("C", SqlType::Decimal(6, 4)),
        Column::value("D", SqlType::Bytes),
        Column::value("E", SqlType::Timestamp),
    ];
    let messages: [Option<&[u8]>; 6] = [
        Some(b"TRUE,\"7\",12.0,IQ==,5"),
        Some(b"yes,,,,"),
        Some(b"true,1,1,IQ=="),
        Some(b"true,x,1,IQ==,5"),
        Some(b""),
        Some(b"false,1,12345,,"),
    ];
    let (rows, errors) = decode(&spec(","), Side::Value, &columns, &messages);
    let decimal = Value::Decimal(crate::types::Decimal::new(120_000, 4));
    assert_eq!(rows[0], [Value::Boolean(true), Value::Int(7), decimal, Value::Bytes(vec![b'!']), Value::Timestamp(5)]);
    assert_eq!(rows[1], [Value::Boolean(false), Value::Null, Value::Null, Value::Null, Value::Null]);
    let reasons: Vec<_> = errors.iter().map(|error| (error.row, error.reason.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (2, "the message has 4 fields, but there are 5 columns"),
            (3, "`x` is no INTEGER at column B"),
            (4, "the message has no fields"),
            (5, "12345 does not fit DECIMAL(6, 4) at column C"),
        ]
    );
    assert!(rows[2..].iter().flatten().all(Value::is_null));
}

#[test]
fn projection_keeps_positions() {
    let mut decoder =
        crate::format::decoder(&spec(";"), Side::Value, &strings(3), &[false, true, false]).expect("fine");
    let mut slots = Slots::default();
    slots.push(Some(b"a;b;c"));
    slots.push(Some(b"d;e;f"));
    let decoded = decoder.decode(slots.view(0..2)).expect("decodes");
    assert_eq!(decoded.columns.len(), 1);
    assert_eq!(Value::all(&decoded.columns[0]), [Value::String("b".into()), Value::String("e".into())]);
}

#[test]
fn delimiters() {
    for (setting, expected) in [("SPACE", ' '), ("tab", '\t'), (" ", ' '), ("\t", '\t'), ("$", '$'), ("€", '€')] {
        assert_eq!(delimiter(&spec(setting)).ok(), Some(expected));
    }
    for bad in ["", "\n", "ab", "\""] {
        assert!(delimiter(&spec(bad)).is_err(), "{bad:?}");
    }
}

proptest! {
    #[test]
    fn nothing_panics(message in prop_oneof![
        prop::collection::vec(any::<u8>(), 0..30),
        "[a1\",\r\n ]{0,20}".prop_map(String::into_bytes),
    ]) {
        let (rows, _) = decode(&spec(","), Side::Value, &strings(2), &[Some(&message)]);
        prop_assert_eq!(rows.len(), 1);
    }
}
