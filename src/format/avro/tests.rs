use proptest::prelude::*;

use super::*;
use crate::format::schema::SchemaType;
use crate::types::{Decimal, SqlType, StructField, Value};

fn codec(text: &str) -> Result<AvroCodec, String> {
    AvroCodec::parse(&Schema::new(SchemaType::Avro, text))
}

fn bytes(codec: &AvroCodec, json: &str) -> Result<String, String> {
    let mut out = Vec::new();
    codec.write(&Datum::from_json(json)?, &mut out)?;
    Ok(hex::encode(out))
}

#[test]
fn bytes_of_the_published_encoding() -> Result<(), String> {
    // The examples of Avro's specification.
    for (number, expected) in [(0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (2, "04"), (-64, "7f"), (64, "8001")] {
        assert_eq!(bytes(&codec("long")?, &number.to_string())?, expected);
    }
    assert_eq!(bytes(&codec("\"string\"")?, "\"foo\"")?, "06666f6f");
    let record = codec(
        r#"{"type": "record", "name": "test", "fields": [{"name": "a", "type": "long"}, {"name": "b", "type": "string"}]}"#,
    )?;
    assert_eq!(bytes(&record, r#"{"a": 27, "b": "foo"}"#)?, "3606666f6f");
    assert_eq!(bytes(&codec(r#"{"type": "array", "items": "long"}"#)?, "[3, 27]")?, "04063600");
    let union = codec(r#"["null", "string"]"#)?;
    assert_eq!((bytes(&union, "null")?, bytes(&union, "\"a\"")?), ("00".into(), "020261".into()));
    // A block with its size, which writers may put before the items.
    assert_eq!(
        codec(r#"{"type": "array", "items": "long"}"#)?.read(&[3, 4, 6, 54, 0])?,
        Datum::Array(vec![Datum::Long(3), Datum::Long(27)])
    );
    Ok(())
}

#[test]
fn unions_of_several_types_are_structs() -> Result<(), String> {
    let codec = codec(
        r#"{"type": "record", "name": "t", "fields": [{"name": "u", "type": ["null", "int", "string",
            {"type": "record", "name": "q", "namespace": "x.y", "fields": [{"name": "a", "type": "long"}]}]}]}"#,
    )?;
    let ty = codec.avro.sql_type(&codec.avro.root, 0)?;
    assert_eq!(ty.to_string(), "STRUCT<`u` STRUCT<`int` INTEGER, `string` STRING, `q` STRUCT<`a` BIGINT>>>");
    for (given, as_struct, as_text) in [
        (r#"{"u": {"string": "b"}}"#, r#"[[NULL, "b", NULL]]"#, Some("b")),
        (r#"{"u": 5}"#, "[[5, NULL, NULL]]", Some("5")),
        (r#"{"u": {"q": {"a": 7}}}"#, "[[NULL, NULL, [7]]]", None),
        (r#"{"u": null}"#, "[NULL]", None),
    ] {
        let mut out = Vec::new();
        codec.write(&Datum::from_json(given)?, &mut out)?;
        let datum = codec.read(&out)?;
        let shown = |value: &Value| -> String {
            fn show(value: &Value) -> String {
                match value {
                    Value::Null => "NULL".to_owned(),
                    Value::String(text) => format!("{text:?}"),
                    Value::Struct(cells) => {
                        format!("[{}]", cells.iter().map(show).collect::<Vec<_>>().join(", "))
                    }
                    other => other.as_i64().map_or_else(|| format!("{other:?}"), |number| number.to_string()),
                }
            }
            show(value)
        };
        assert_eq!(shown(&datum.to_value(&ty)?), as_struct, "{given}");
        // Declared as a plain column it is read as before, whatever the branch.
        let plain = SqlType::Struct(vec![StructField::new("U", SqlType::String)]);
        if let Some(text) = as_text {
            assert_eq!(datum.to_value(&plain)?, Value::Struct(vec![Value::String(text.to_owned())]));
        }
    }
    Ok(())
}

#[test]
fn missing_fields_take_defaults() -> Result<(), String> {
    let codec = codec(
        r#"{"type": "record", "name": "t", "fields": [
            {"name": "a", "type": "int", "default": 7},
            {"name": "b", "type": ["null", "string"]},
            {"name": "c", "type": {"type": "enum", "name": "e", "symbols": ["X", "Y"]}, "default": "Y"}]}"#,
    )?;
    let mut out = Vec::new();
    codec.write(&Datum::from_json("{}")?, &mut out)?;
    assert_eq!(codec.read(&out)?.to_json(), r#"{"a":7,"b":null,"c":"Y"}"#);
    assert_eq!(codec.required().count(), 0);
    let strict = self::codec(r#"{"type": "record", "name": "t", "fields": [{"name": "a", "type": "int"}]}"#)?;
    assert_eq!(strict.required().collect::<Vec<_>>(), ["a"]);
    assert_eq!(strict.write(&Datum::from_json("{}")?, &mut out), Err("a: a null cannot be written as int".into()));
    Ok(())
}

#[test]
fn types_of_schemas_of_others() -> Result<(), String> {
    let text = r#"{"type": "record", "name": "T", "namespace": "n", "fields": [
        {"name": "f", "type": "float"},
        {"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["A"]}},
        {"name": "again", "type": ["null", "E"]},
        {"name": "fixed", "type": {"type": "fixed", "name": "F", "size": 2}},
        {"name": "m", "type": {"type": "map", "values": {"type": "long", "logicalType": "timestamp-micros"}}},
        {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 5, "scale": 1}},
        {"name": "t", "type": {"type": "int", "logicalType": "time-millis"}},
        {"name": "date", "type": {"type": "int", "logicalType": "date"}}]}"#;
    assert_eq!(
        codec(text)?.sql_type()?.to_string(),
        "STRUCT<`f` DOUBLE, `e` STRING, `again` STRING, `fixed` BYTES, `m` MAP<STRING, TIMESTAMP>, `d` DECIMAL(5, 1), \
         `t` TIME, `date` DATE>"
    );
    let itself = r#"{"type": "record", "name": "T", "fields": [{"name": "t", "type": ["null", "T"]}]}"#;
    assert_eq!(codec(itself)?.sql_type(), Err("the schema contains itself".into()));
    assert_eq!(codec(r#"["int", "string"]"#)?.sql_type()?.to_string(), "STRUCT<`int` INTEGER, `string` STRING>");
    assert!(codec("{").is_err());
    Ok(())
}

#[test]
fn hostile_bytes_are_faults() -> Result<(), String> {
    let many = codec(r#"{"type": "array", "items": "null"}"#)?;
    assert!(many.read(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0]).is_err(), "items without bytes");
    assert!(codec("string")?.read(&[20, b'a']).is_err(), "too short");
    assert!(codec("int")?.read(&[2, 2]).is_err(), "too long");
    assert!(codec(r#"["null", "int"]"#)?.read(&[6]).is_err(), "no such branch");
    Ok(())
}

fn columns() -> Vec<Column> {
    let inner = SqlType::Struct(vec![StructField::new("X", SqlType::BigInt), StructField::new("Y", SqlType::String)]);
    [
        SqlType::Boolean,
        SqlType::Int,
        SqlType::BigInt,
        SqlType::Double,
        SqlType::String,
        SqlType::Bytes,
        SqlType::Decimal(10, 2),
        SqlType::Date,
        SqlType::Time,
        SqlType::Timestamp,
        SqlType::array(inner.clone()),
        SqlType::map(SqlType::String, SqlType::array(SqlType::Int)),
        inner,
    ]
    .into_iter()
    .enumerate()
    .map(|(i, ty)| Column::value(format!("C{i}"), ty))
    .collect()
}

#[test]
fn generated_schemas_read_back() -> Result<(), String> {
    let SqlType::Struct(fields) = codec(&AvroCodec::generate(&columns(), false, None))?.sql_type()? else {
        return Err("a record is a STRUCT".into());
    };
    let types: Vec<SqlType> = fields.into_iter().map(|field| field.ty).collect();
    assert_eq!(types, columns().into_iter().map(|column| column.ty).collect::<Vec<_>>());
    assert_eq!(AvroCodec::generate(&columns()[1..2], true, None), "\"int\"");
    let text = AvroCodec::generate(&columns()[1..2], false, Some("a.b.C"));
    let expected = r#"{"type":"record","name":"C","namespace":"a.b","fields":[{"name":"C1","type":["null","int"],"default":null}],"connect.name":"a.b.C"}"#;
    assert_eq!(text, expected);
    Ok(())
}

fn cell(ty: &SqlType, seed: i64, null: bool) -> Datum {
    if null {
        return Datum::Null;
    }
    match ty {
        SqlType::Boolean => Datum::Bool(seed % 2 == 0),
        SqlType::Int => Datum::Int(seed as i32),
        SqlType::BigInt => Datum::Long(seed),
        SqlType::Double => Datum::Double(seed as f64 / 7.0),
        SqlType::String => Datum::String(format!("text {seed}")),
        SqlType::Bytes => Datum::Bytes(seed.to_be_bytes().to_vec()),
        SqlType::Decimal(_, scale) => Datum::Decimal(Decimal::new(i128::from(seed), *scale)),
        SqlType::Date => Datum::Date(seed as i32),
        SqlType::Time => Datum::Time(seed as i32),
        SqlType::Timestamp => Datum::Timestamp(seed),
        SqlType::Array(item) => Datum::Array(vec![cell(item, seed, false), cell(item, seed, true)]),
        SqlType::Map(key, value) => Datum::Map(vec![(cell(key, seed, false), cell(value, seed, seed % 3 == 0))]),
        SqlType::Struct(fields) => {
            Datum::Record(fields.iter().map(|f| (f.name.as_str().into(), cell(&f.ty, seed, seed % 5 == 0))).collect())
        }
    }
}

proptest! {
    #[test]
    fn rows_survive(seeds in prop::collection::vec((any::<i64>(), any::<bool>()), 13)) {
        let codec = codec(&AvroCodec::generate(&columns(), false, None)).expect("it is a schema");
        let cells = columns().into_iter().zip(seeds).map(|(c, (seed, null))| (c.name.into(), cell(&c.ty, seed, null)));
        let row = Datum::Record(cells.collect());
        let mut out = Vec::new();
        codec.write(&row, &mut out).expect("it can be written");
        prop_assert_eq!(codec.read(&out).expect("it can be read"), row);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let codec = codec(&AvroCodec::generate(&columns(), false, None)).expect("it is a schema");
        let _ = codec.read(&bytes);
    }
}
