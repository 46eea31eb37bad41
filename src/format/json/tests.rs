use proptest::prelude::*;

use super::super::tests::{decode, encode, slots};
use crate::format::Side;
use crate::types::{Column, Decimal, FormatSpec, SqlType, StructField, Value};

fn spec() -> FormatSpec {
    FormatSpec::new("JSON", true)
}

fn field(name: &str, ty: SqlType) -> StructField {
    StructField::new(name, ty)
}

/// The one column `F` of `{"F": json}`, or the reason why not.
fn read(ty: &SqlType, json: &str) -> Result<Value, String> {
    let columns = [Column::value("F", ty.clone())];
    let message = format!("{{\"F\": {json}}}");
    let (mut rows, mut errors) = decode(&spec(), Side::Value, &columns, &[Some(message.as_bytes())]);
    match errors.pop() {
        Some(error) => Err(error.reason),
        None => Ok(rows.remove(0).remove(0)),
    }
}

fn string(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn coercions() {
    let decimal = SqlType::Decimal(4, 2);
    let ok = [
        (SqlType::Int, "7", Value::Int(7)),
        (SqlType::Int, "-1.7", Value::Int(-1)),
        (SqlType::Int, "\"-7\"", Value::Int(-7)),
        (SqlType::Int, "null", Value::Null),
        (SqlType::BigInt, "9223372036854775807", Value::BigInt(i64::MAX)),
        (SqlType::BigInt, "1e3", Value::BigInt(1000)),
        (SqlType::BigInt, "\"12\"", Value::BigInt(12)),
        (SqlType::Double, "1", Value::Double(1.0)),
        (SqlType::Double, "123456789012345678901234567890", Value::Double(1.2345678901234568e29)),
        (SqlType::Double, "\"1.5e1\"", Value::Double(15.0)),
        (SqlType::Double, "\"-Infinity\"", Value::Double(f64::NEG_INFINITY)),
        (SqlType::Boolean, "true", Value::Boolean(true)),
        (SqlType::String, "\"a\\u00e4\\n\"", string("aä\n")),
        (SqlType::String, "12", string("12")),
        (SqlType::String, "1.10", string("1.10")),
        (SqlType::String, "1e3", string("1E+3")),
        (SqlType::String, "false", string("false")),
        (
            SqlType::String,
            "{ \"b\": [1, 2.0, null], \"a\": \"x\\\"\" }",
            string("{\"b\":[1,2.0,null],\"a\":\"x\\\"\"}"),
        ),
        (SqlType::String, "[{}, \"ü\", true]", string("[{},\"ü\",true]")),
        (SqlType::String, "{\"a\": 1, \"b\": 2, \"a\": 3}", string("{\"a\":3,\"b\":2}")),
        (decimal.clone(), "1.1", Value::Decimal(Decimal::new(110, 2))),
        (decimal.clone(), "\"-12.30\"", Value::Decimal(Decimal::new(-1230, 2))),
        (decimal.clone(), "1.1000", Value::Decimal(Decimal::new(110, 2))),
        (SqlType::Bytes, "\"IQ==\"", Value::Bytes(vec![b'!'])),
        (SqlType::Date, "-10", Value::Date(-10)),
        (SqlType::Time, "1000", Value::Time(1000)),
        (SqlType::Timestamp, "99", Value::Timestamp(99)),
        (
            SqlType::array(SqlType::Int),
            "[1, null, \"3\"]",
            Value::Array(vec![Value::Int(1), Value::Null, Value::Int(3)]),
        ),
        (SqlType::array(SqlType::Int), "[]", Value::Array(vec![])),
        (
            SqlType::map(SqlType::String, SqlType::Int),
            "{\"a\": 1, \"b\": null, \"a\": 2}",
            Value::Map(vec![(string("b"), Value::Null), (string("a"), Value::Int(2))]),
        ),
        (
            SqlType::Struct(vec![field("A", SqlType::Int), field("b", SqlType::String)]),
            "{\"a\": 1, \"B\": \"no\", \"x\": {}}",
            Value::Struct(vec![Value::Int(1), Value::Null]),
        ),
    ];
    for (ty, json, value) in ok {
        assert_eq!(read(&ty, json), Ok(value), "{json} as {ty}");
    }
    let bad = [
        (SqlType::Int, "2147483648", "2147483648 is out of range for INTEGER at $.F"),
        (SqlType::Int, "\"1.5\"", "the string `1.5` is no INTEGER at $.F"),
        (SqlType::Int, "true", "cannot read a boolean as INTEGER at $.F"),
        (SqlType::Boolean, "\"true\"", "cannot read a string as BOOLEAN at $.F"),
        (SqlType::Boolean, "1", "cannot read a number as BOOLEAN at $.F"),
        (SqlType::Double, "[]", "cannot read an array as DOUBLE at $.F"),
        (SqlType::Double, "\"inf\"", "the string `inf` is no DOUBLE at $.F"),
        (decimal.clone(), "1.101", "1.101 does not fit DECIMAL(4, 2) at $.F"),
        (decimal.clone(), "100", "100 does not fit DECIMAL(4, 2) at $.F"),
        (decimal, "\"x\"", "`x` is no number at $.F"),
        (SqlType::Timestamp, "\"99\"", "cannot read a string as TIMESTAMP at $.F"),
        (SqlType::array(SqlType::Int), "{}", "cannot read an object as ARRAY at $.F"),
        (
            SqlType::array(SqlType::array(SqlType::Int)),
            "[[1], [2, false]]",
            "cannot read a boolean as INTEGER at $.F[1][1]",
        ),
        (SqlType::map(SqlType::String, SqlType::Int), "{\"a\": \"x\"}", "the string `x` is no INTEGER at $.F[\"a\"]"),
        (SqlType::Struct(vec![field("A", SqlType::Int)]), "{\"a\": []}", "cannot read an array as INTEGER at $.F.A"),
    ];
    for (ty, json, reason) in bad {
        assert_eq!(read(&ty, json), Err(reason.to_owned()), "{json} as {ty}");
    }
    assert!(read(&SqlType::Bytes, "\"?\"").is_err());
    assert!(read(&SqlType::String, &"[".repeat(100_000)).is_err(), "deep nesting is refused, not followed");
}

#[test]
fn names_are_exact_first_and_the_last_one_wins() {
    let columns = [Column::value("FOO", SqlType::Int), Column::value("Foo", SqlType::Int)];
    let messages: Vec<&[u8]> = vec![
        b"{\"Foo\": 1}",
        b"{\"foo\": 1, \"FOO\": 2}",
        b"{\"FOO\": 2, \"foo\": 1}",
        b"{\"foo\": 1, \"fOO\": 3}",
        b"{\"FOO\": 2, \"FOO\": 4, \"fOO\": 5}",
        b"{\"foo\": 2, \"FOO\": 4, \"fOO\": 5}",
        b"{\"f\\u006fo\": 6}",
    ];
    let messages: Vec<_> = messages.into_iter().map(Some).collect();
    let (rows, errors) = decode(&spec(), Side::Value, &columns, &messages);
    assert_eq!(errors, []);
    let int = Value::Int;
    assert_eq!(rows[0], [int(1), int(1)]);
    let first: Vec<_> = rows[1..].iter().map(|row| row[0].clone()).collect();
    assert_eq!(first, [int(2), int(2), int(3), int(4), int(4), int(6)]);
}

#[test]
fn bad_records_leave_their_neighbours_alone() {
    let columns = [
        Column::value("A", SqlType::String),
        Column::value("B", SqlType::array(SqlType::Struct(vec![field("C", SqlType::Int)]))),
    ];
    let messages: [Option<&[u8]>; 11] = [
        Some(b"{\"a\": \"one\", \"b\": [{\"c\": 1}]}"),
        Some(b"{\"a\": \"two\", \"b\": [{\"c\": 1}, {\"c\": \"x\"}]}"),
        None,
        Some(b"{\"a\": \"three\""),
        Some(b"{\"a\": \"four\"} x"),
        Some(b"{\"z\": [1, }"),
        Some(b"null"),
        Some(b""),
        Some(b"7"),
        Some(b"{\"z\": \"\xff\"}"),
        Some(b" { \"b\" : [ ] } "),
    ];
    let (rows, errors) = decode(&spec(), Side::Value, &columns, &messages);
    assert_eq!(errors.iter().map(|error| error.row).collect::<Vec<_>>(), [1, 3, 4, 5, 7, 8, 9]);
    assert!(errors.iter().all(|error| error.place == "deserialization"));
    assert_eq!(rows[0], [string("one"), Value::Array(vec![Value::Struct(vec![Value::Int(1)])])]);
    for row in &rows[1..10] {
        assert_eq!(row[..], [Value::Null, Value::Null]);
    }
    assert_eq!(rows[10], [Value::Null, Value::Array(vec![])]);

    let mut decoder = crate::format::decoder(&spec(), Side::Value, &columns, &[true, true]).expect("JSON");
    let slots = slots(&messages);
    let nulls = decoder.decode(slots.view(0..11)).expect("decodes").null.expect("there are nulls");
    assert_eq!(nulls.set_indices().collect::<Vec<_>>(), [2, 6]);
}

#[test]
fn projection_changes_nothing_but_the_columns() {
    let columns = [
        Column::value("A", SqlType::String),
        Column::value("B", SqlType::Int),
        Column::value("C", SqlType::Struct(vec![field("D", SqlType::Int)])),
    ];
    let messages: [Option<&[u8]>; 4] = [
        Some(b"{\"a\": 1, \"b\": 2, \"c\": {\"d\": 3}}"),
        Some(b"{\"a\": 1, \"b\": \"x\"}"),
        Some(b"{\"c\": {\"d\": true}, \"b\": 5}"),
        Some(b"{\"b\": 6}"),
    ];
    let slots = slots(&messages);
    let mut decoder = crate::format::decoder(&spec(), Side::Value, &columns, &[false, true, false]).expect("JSON");
    for _ in 0..2 {
        let decoded = decoder.decode(slots.view(0..4)).expect("decodes");
        assert_eq!(decoded.columns.len(), 1);
        let values = Value::all(&decoded.columns[0]);
        assert_eq!(values, [Value::Int(2), Value::Null, Value::Null, Value::Int(6)]);
        assert_eq!(decoded.errors.iter().map(|error| error.row).collect::<Vec<_>>(), [1, 2]);
    }
}

#[test]
fn bare_values() {
    let columns = [Column::value("F", SqlType::Int)];
    let bare = FormatSpec::new("JSON", false);
    let (rows, errors) = decode(&bare, Side::Value, &columns, &[Some(b"7"), Some(b"null"), Some(b"{}"), None]);
    assert_eq!(rows.concat(), [Value::Int(7), Value::Null, Value::Null, Value::Null]);
    assert_eq!(errors.len(), 1);
    let out = encode(&bare, Side::Value, &columns, &[vec![Value::Int(7)], vec![Value::Null]]);
    assert_eq!(out, [Some("7".to_owned()), None]);
    // A single key column never has an object around it, several always have.
    let out = encode(&spec(), Side::Key, &[Column::key("K", SqlType::String)], &[vec![string("a")]]);
    assert_eq!(out, [Some("\"a\"".to_owned())]);
    let keys = [Column::key("K", SqlType::String), Column::key("L", SqlType::Int)];
    let out = encode(&bare, Side::Key, &keys, &[vec![string("a"), Value::Null]]);
    assert_eq!(out, [Some("{\"K\":\"a\",\"L\":null}".to_owned())]);
}

#[test]
fn messages_look_as_in_java() {
    let cases = [
        (SqlType::Double, Value::Double(1e10), "1.0E10"),
        (SqlType::Double, Value::Double(f64::NAN), "\"NaN\""),
        (SqlType::Double, Value::Double(3.0), "3.0"),
        (SqlType::Decimal(5, 2), Value::Decimal(Decimal::new(110, 2)), "1.10"),
        (SqlType::String, string("ä\"\\\n\u{1}/\u{7f}"), "\"ä\\\"\\\\\\n\\u0001/\u{7f}\""),
        (SqlType::Bytes, Value::Bytes(vec![b'!']), "\"IQ==\""),
        (SqlType::Timestamp, Value::Timestamp(5), "5"),
        (
            SqlType::map(SqlType::String, SqlType::array(SqlType::Date)),
            Value::Map(vec![(string("k"), Value::Array(vec![Value::Date(1), Value::Null]))]),
            "{\"k\":[1,null]}",
        ),
        (SqlType::Struct(vec![field("a`", SqlType::Int)]), Value::Struct(vec![Value::Null]), "{\"a`\":null}"),
    ];
    for (ty, value, text) in cases {
        let out = encode(&spec(), Side::Value, &[Column::value("F", ty)], &[vec![value], vec![Value::Null]]);
        assert_eq!(out, [Some(format!("{{\"F\":{text}}}")), Some("{\"F\":null}".to_owned())]);
    }
    assert_eq!(encode(&spec(), Side::Value, &[], &[vec![]]), [Some("{}".to_owned())]);
}

/// Mostly values that look like `pattern`, sometimes others.
fn usual(pattern: &'static str) -> impl Strategy<Value = String> {
    prop_oneof![
        20 => pattern,
        1 => "-?[0-9]{1,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?",
        1 => "\"(\\\\[\"nu]|[0-9\n\t]){0,12}\"?",
        1 => "null|true|nul|\\[1\\]|\\{\\}|",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Records that look like the one before take another way through the decoder.
    #[test]
    fn a_record_reads_the_same_after_others(
        rows in prop::collection::vec((
            usual("\"[a-zäß ]{0,20}\""),
            usual("-?(0|[1-9][0-9]{0,9})"),
            usual("-?[1-9][0-9]{0,18}"),
            usual("-?(0|[1-9][0-9]{0,16})(\\.[0-9]{1,18})?"),
            usual("true|false"),
            usual("\"x\"|null|7"),
        ), 2..8),
        glue in prop::sample::select(vec!["", " ", "\n\t"]),
        end in prop::sample::select(vec!["}", "} ", "}\n", ",}", "", "}}"]),
        wanted in prop::collection::vec(any::<bool>(), 6),
    ) {
        let types = [SqlType::String, SqlType::Int, SqlType::BigInt, SqlType::Double, SqlType::Boolean, SqlType::Timestamp];
        let columns: Vec<_> =
            types.into_iter().zip(["A", "B", "C", "D", "E", "G"]).map(|(ty, name)| Column::value(name, ty)).collect();
        // Of the six values the last belongs to no column, and the last column gets none.
        let message = |(a, b, c, d, e, x): &(String, String, String, String, String, String)| {
            let fields: Vec<_> = [a, b, c, d, e, x].iter().zip(["a", "B", "c", "d", "E", "x"]).map(|(v, n)| format!("{glue}\"{n}\":{glue}{v}")).collect();
            format!("{{{}{glue}{end}", fields.join(","))
        };
        // One that can be read goes first, so that there is something to follow.
        let first = format!("{{{glue}\"a\":\"\",\"B\":1,\"c\":1,\"d\":1,\"E\":true,\"x\":0}}");
        let messages: Vec<String> = std::iter::once(first).chain(rows.iter().map(message)).collect();
        let read = |messages: &[String]| {
            let mut decoder = crate::format::decoder(&spec(), Side::Value, &columns, &wanted).expect("JSON");
            let bytes: Vec<_> = messages.iter().map(|message| Some(message.as_bytes())).collect();
            let decoded = decoder.decode(slots(&bytes).view(0..bytes.len())).expect("decodes");
            let values: Vec<Vec<Value>> = decoded.columns.iter().map(|column| Value::all(column)).collect();
            (values, decoded.errors)
        };
        let (together, errors) = read(&messages);
        for (row, message) in messages.iter().enumerate() {
            let (alone, fault) = read(std::slice::from_ref(message));
            let here: Vec<_> = together.iter().map(|column| column[row].clone()).collect();
            let bits = |values: &[Value]| format!("{values:?}");
            prop_assert_eq!(bits(&alone.concat()), bits(&here), "{}", message);
            let error = errors.iter().find(|error| error.row == row).map(|error| &error.reason);
            prop_assert_eq!(fault.first().map(|error| &error.reason), error);
        }
    }

    #[test]
    fn nothing_panics(
        messages in prop::collection::vec(prop_oneof![
            prop::collection::vec(any::<u8>(), 0..40),
            "[\\[\\]{},:\"abf01.eE \\\\u-]{0,40}".prop_map(String::into_bytes),
            r#"\{("(A|a|B|F|f|x)":([0-9.e"-]{1,4}|\{\}|\[\]|null|"1"|\{"F":1\}|\[\{"a":1\}\]),?){0,4}\}"#.prop_map(String::into_bytes),
        ], 0..6)
    ) {
        let columns = [
            Column::value("A", SqlType::array(SqlType::map(SqlType::String, SqlType::Decimal(38, 10)))),
            Column::value("B", SqlType::Struct(vec![field("A", SqlType::Bytes), field("F", SqlType::String)])),
            Column::value("F", SqlType::Double),
        ];
        let messages: Vec<_> = messages.iter().map(|message| Some(message.as_slice())).collect();
        let (rows, errors) = decode(&spec(), Side::Value, &columns, &messages);
        prop_assert_eq!(rows.len(), messages.len());
        for error in &errors {
            prop_assert!(rows[error.row].iter().all(Value::is_null));
        }
        for (i, message) in messages.iter().enumerate() {
            let (alone, fault) = decode(&spec(), Side::Value, &columns, &[*message]);
            prop_assert_eq!(&alone[0], &rows[i]);
            let together = errors.iter().find(|error| error.row == i).map(|error| &error.reason);
            prop_assert_eq!(fault.first().map(|error| &error.reason), together);
        }
    }
}
