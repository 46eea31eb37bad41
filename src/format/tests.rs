use proptest::prelude::*;

use super::*;
use crate::error::ErrorKind;
use crate::types::{Column, Decimal, FormatSpec, SqlType, StructField, Value};

pub(super) fn slots(messages: &[Option<&[u8]>]) -> Slots {
    let mut slots = Slots::default();
    messages.iter().for_each(|message| slots.push(*message));
    slots
}

/// All columns of all messages, row by row.
pub(super) fn decode(
    spec: &FormatSpec,
    side: Side,
    columns: &[Column],
    messages: &[Option<&[u8]>],
) -> (Vec<Vec<Value>>, Vec<RecordError>) {
    let mut decoder = decoder(spec, side, columns, &vec![true; columns.len()]).expect("a valid format");
    let slots = slots(messages);
    let decoded = decoder.decode(slots.view(0..messages.len())).expect("decoding reports errors by row");
    for (array, column) in decoded.columns.iter().zip(columns) {
        assert_eq!(array.data_type(), &column.ty.arrow());
        assert_eq!(array.len(), messages.len());
    }
    let rows = (0..messages.len())
        .map(|row| decoded.columns.iter().map(|column| Value::from_array(column, row)).collect())
        .collect();
    (rows, decoded.errors)
}

fn encoded(spec: &FormatSpec, side: Side, columns: &[Column], rows: &[Vec<Value>]) -> Slots {
    let arrays: Vec<_> = columns
        .iter()
        .enumerate()
        .map(|(i, column)| Value::to_array(&column.ty, rows.iter().map(|row| &row[i])))
        .collect();
    let mut out = Slots::default();
    let mut encoder = encoder(spec, side, columns).expect("a valid format");
    let errors = encoder.encode(&arrays, rows.len(), None, &mut out).expect("encodes");
    assert_eq!(errors, []);
    assert_eq!(out.len(), rows.len());
    out
}

pub(super) fn encode(spec: &FormatSpec, side: Side, columns: &[Column], rows: &[Vec<Value>]) -> Vec<Option<String>> {
    let out = encoded(spec, side, columns, rows);
    (0..out.len()).map(|i| out.get(i).map(|bytes| String::from_utf8_lossy(bytes).into_owned())).collect()
}

#[test]
fn unsuitable_columns_are_refused() {
    let spec = |name: &str| FormatSpec::new(name, true);
    let int = Column::value("A", SqlType::Int);
    let array = Column::value("B", SqlType::array(SqlType::Int));
    let map = Column::value("C", SqlType::array(SqlType::map(SqlType::Int, SqlType::Int)));
    let date = Column::value("D", SqlType::Date);
    let refused = |name: &str, columns: &[Column]| {
        let error = check(&spec(name), Side::Value, columns).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Semantic);
        error.message().to_owned()
    };
    assert_eq!(
        refused("KAFKA", &[int.clone(), date.clone()]),
        "the value format KAFKA holds a single column, not 2: A, D"
    );
    assert_eq!(
        refused("KAFKA", std::slice::from_ref(&date)),
        "the value format KAFKA does not support the type DATE of column `D`"
    );
    assert_eq!(
        refused("DELIMITED", std::slice::from_ref(&array)),
        "the value format DELIMITED does not support the type ARRAY of column `B`"
    );
    assert_eq!(
        refused("NONE", std::slice::from_ref(&int)),
        "the value format NONE is for records without value columns, but there is `A`"
    );
    assert_eq!(refused("JSON", &[map]), "JSON maps have STRING keys, but column `C` has a MAP with INTEGER keys");
    let mut delimited = FormatSpec::new("JSON", true);
    delimited.properties.insert("DELIMITER".to_owned(), "|".to_owned());
    assert!(check(&delimited, Side::Value, std::slice::from_ref(&int)).is_err());
    for (name, columns) in
        [("KAFKA", vec![int.clone()]), ("DELIMITED", vec![int, date]), ("JSON", vec![array]), ("NONE", vec![])]
    {
        check(&spec(name), Side::Value, &columns).expect("taken");
    }
}

#[test]
fn unknown_formats_get_a_suggestion() {
    let error = check(&FormatSpec::new("JSN", true), Side::Value, &[]).expect_err("unknown");
    assert!(error.hints()[0].starts_with("Did you mean JSON? The formats are AVRO, "));
    let error = check(&FormatSpec::new("AVRO", true), Side::Value, &[]).expect_err("no registry");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.hints()[0].contains("ksql.schema.registry.url"));
}

#[test]
fn keys_without_columns_are_null() {
    for name in ["NONE", "KAFKA", "JSON", "DELIMITED"] {
        let spec = FormatSpec::new(name, true);
        let (rows, errors) = decode(&spec, Side::Key, &[], &[Some(b"anything"), None]);
        assert_eq!((rows.len(), errors.len()), (2, 0));
        assert_eq!(encode(&spec, Side::Key, &[], &[vec![]]), [None]);
    }
}

#[test]
fn kafka_primitives_have_their_exact_size() {
    let spec = FormatSpec::new("KAFKA", true);
    let read = |ty: SqlType, bytes: &[u8]| {
        let (rows, errors) = decode(&spec, Side::Key, &[Column::key("K", ty)], &[Some(bytes)]);
        errors.first().map_or_else(|| Ok(rows[0][0].clone()), |error| Err(error.reason.clone()))
    };
    assert_eq!(read(SqlType::Int, &[0, 0, 1, 0]), Ok(Value::Int(256)));
    assert_eq!(read(SqlType::BigInt, &(-1i64).to_be_bytes()), Ok(Value::BigInt(-1)));
    assert_eq!(read(SqlType::Double, &1.5f64.to_be_bytes()), Ok(Value::Double(1.5)));
    assert_eq!(read(SqlType::String, b""), Ok(Value::String(String::new())));
    assert_eq!(read(SqlType::Int, &[1]), Err("4 bytes expected, but the message has 1".to_owned()));
    assert_eq!(read(SqlType::BigInt, &[1; 4]), Err("8 bytes expected, but the message has 4".to_owned()));
}

fn scalar() -> impl Strategy<Value = SqlType> {
    prop_oneof![
        Just(SqlType::Boolean),
        Just(SqlType::Int),
        Just(SqlType::BigInt),
        Just(SqlType::Double),
        (1u8..=38)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(p, s)| SqlType::Decimal(p, s)),
        Just(SqlType::String),
        Just(SqlType::Bytes),
        Just(SqlType::Time),
        Just(SqlType::Date),
        Just(SqlType::Timestamp),
    ]
}

/// Any type that JSON holds.
pub(super) fn any_type() -> impl Strategy<Value = SqlType> {
    scalar().prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(SqlType::array),
            inner.clone().prop_map(|ty| SqlType::map(SqlType::String, ty)),
            prop::collection::vec(inner, 1..4).prop_map(|types| {
                let fields = types.into_iter().enumerate();
                SqlType::Struct(fields.map(|(i, ty)| StructField::new(format!("F{i}"), ty)).collect())
            }),
        ]
    })
}

/// Any value of that type, NULL included.
pub(super) fn any_value(ty: &SqlType) -> BoxedStrategy<Value> {
    let some = match ty {
        SqlType::Boolean => any::<bool>().prop_map(Value::Boolean).boxed(),
        SqlType::Int => any::<i32>().prop_map(Value::Int).boxed(),
        SqlType::BigInt => any::<i64>().prop_map(Value::BigInt).boxed(),
        SqlType::Double => any::<f64>().prop_map(Value::Double).boxed(),
        SqlType::Decimal(precision, scale) => {
            let (limit, scale) = (10i128.pow(u32::from(*precision)), *scale);
            (1 - limit..limit).prop_map(move |unscaled| Value::Decimal(Decimal::new(unscaled, scale))).boxed()
        }
        SqlType::String => prop_oneof!["[a-c,\"' \r\n]{1,6}", ".{1,8}"].prop_map(Value::String).boxed(),
        SqlType::Bytes => prop::collection::vec(any::<u8>(), 1..6).prop_map(Value::Bytes).boxed(),
        SqlType::Time => (0..86_400_000).prop_map(Value::Time).boxed(),
        SqlType::Date => any::<i32>().prop_map(Value::Date).boxed(),
        SqlType::Timestamp => any::<i64>().prop_map(Value::Timestamp).boxed(),
        SqlType::Array(item) => prop::collection::vec(any_value(item), 0..4).prop_map(Value::Array).boxed(),
        SqlType::Map(_, item) => prop::collection::btree_map("[a-e]{0,3}", any_value(item), 0..4)
            .prop_map(|map| Value::Map(map.into_iter().map(|(k, v)| (Value::String(k), v)).collect()))
            .boxed(),
        SqlType::Struct(fields) => {
            let fields: Vec<_> = fields.iter().map(|field| any_value(&field.ty)).collect();
            fields.prop_map(Value::Struct).boxed()
        }
    };
    prop_oneof![1 => Just(Value::Null), 5 => some].boxed()
}

/// Columns and rows for them.
pub(super) fn table(ty: impl Strategy<Value = SqlType>) -> impl Strategy<Value = (Vec<Column>, Vec<Vec<Value>>)> {
    prop::collection::vec(ty, 1..4).prop_flat_map(|types| {
        let row: Vec<_> = types.iter().map(any_value).collect();
        let columns: Vec<_> = types.into_iter().enumerate().map(|(i, ty)| Column::value(format!("C{i}"), ty)).collect();
        (Just(columns), prop::collection::vec(row, 0..6))
    })
}

/// Writes, reads back together and one by one.
fn round_trip(spec: &FormatSpec, columns: &[Column], rows: &[Vec<Value>]) {
    let out = encoded(spec, Side::Value, columns, rows);
    let messages: Vec<_> = (0..rows.len()).map(|i| out.get(i)).collect();
    let (together, errors) = decode(spec, Side::Value, columns, &messages);
    assert_eq!(errors, []);
    assert_eq!(together, rows);
    for (message, row) in messages.iter().zip(rows) {
        assert_eq!(decode(spec, Side::Value, columns, &[*message]).0[0], *row);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn json_reads_what_it_writes((columns, rows) in table(any_type())) {
        round_trip(&FormatSpec::new("JSON", true), &columns, &rows);
    }

    #[test]
    fn delimited_reads_what_it_writes((columns, rows) in table(scalar()), delimiter in "[,;|]|SPACE|TAB") {
        let mut spec = FormatSpec::new("DELIMITED", true);
        spec.properties.insert("DELIMITER".to_owned(), delimiter);
        // A line without any field cannot be told from no line.
        let rows: Vec<_> = rows.into_iter().filter(|row| row.len() > 1 || !row[0].is_null()).collect();
        round_trip(&spec, &columns, &rows);
    }

    #[test]
    fn kafka_reads_what_it_writes((columns, rows) in table(prop_oneof![
        Just(SqlType::Int), Just(SqlType::BigInt), Just(SqlType::Double), Just(SqlType::String), Just(SqlType::Bytes)
    ])) {
        let rows: Vec<_> = rows.into_iter().map(|row| row[..1].to_vec()).collect();
        round_trip(&FormatSpec::new("KAFKA", true), &columns[..1], &rows);
    }
}
