use proptest::prelude::*;

use super::*;
use crate::format::schema::SchemaType;
use crate::types::{Decimal, SqlType};

fn schema(text: &str) -> Schema {
    Schema::new(SchemaType::Protobuf, text)
}

fn record(fields: &[(&str, Datum)]) -> Datum {
    Datum::Record(fields.iter().map(|(name, datum)| ((*name).into(), datum.clone())).collect())
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
        SqlType::array(SqlType::Int),
        SqlType::array(inner.clone()),
        SqlType::map(SqlType::String, SqlType::Double),
        inner,
    ]
    .into_iter()
    .enumerate()
    .map(|(i, ty)| Column::value(format!("C{i}"), ty))
    .collect()
}

#[test]
fn bytes_of_the_published_encoding() -> Result<(), String> {
    // The examples of the encoding's specification: a varint, a string, an embedded message, a packed list.
    let text = "syntax = \"proto3\"; message T { int32 a = 1; string b = 2; T c = 3; repeated int32 d = 6; }";
    let codec = ProtobufCodec::parse(&schema(text), None)?;
    let datum = record(&[
        ("b", Datum::String("testing".into())),
        ("c", record(&[("a", Datum::Int(150))])),
        ("d", Datum::Array([3, 270, 86942].map(Datum::Int).to_vec())),
    ]);
    let mut out = Vec::new();
    codec.write(&datum, &mut out)?;
    let expected = "120774657374696e671a03089601320603\
                    8e029ea705";
    assert_eq!(hex::encode(&out), expected.replace(' ', ""));
    Ok(())
}

#[test]
fn nulls_come_back_as_defaults_or_as_nulls() -> Result<(), String> {
    let nulls = Datum::Record(columns().iter().map(|c| (c.name.as_str().into(), Datum::Null)).collect());
    for (nullable, boolean) in
        [(Nullable::Never, Datum::Bool(false)), (Nullable::Optional, Datum::Null), (Nullable::Wrapper, Datum::Null)]
    {
        let codec = ProtobufCodec::generate(&columns(), None, nullable)?;
        let mut out = Vec::new();
        codec.write(&nulls, &mut out)?;
        assert!(out.is_empty());
        let Datum::Record(fields) = codec.read(&out)? else { return Err("a message is a record".into()) };
        assert_eq!(fields[0].1, boolean, "{nullable:?}");
        assert_eq!(fields[6].1, Datum::Null, "a message that is absent is NULL");
        assert_eq!(fields[10].1, Datum::Array(vec![]));
        assert_eq!(fields[12].1, Datum::Map(vec![]));
        let zeros = record(&[("C1", Datum::Int(0)), ("C4", Datum::String(String::new()))]);
        out.clear();
        codec.write(&zeros, &mut out)?;
        let Datum::Record(fields) = codec.read(&out)? else { return Err("a message is a record".into()) };
        assert_eq!((&fields[1].1, &fields[4].1), (&Datum::Int(0), &Datum::String(String::new())));
    }
    Ok(())
}

#[test]
fn generated_schemas_read_back() -> Result<(), String> {
    for nullable in [Nullable::Never, Nullable::Optional, Nullable::Wrapper] {
        let codec = ProtobufCodec::generate(&columns(), Some("shop.Order"), nullable)?;
        let again = ProtobufCodec::parse(&schema(&codec.text()), Some("shop.Order"))?;
        assert_eq!(again.fields()?, codec.fields()?, "{}", codec.text());
        assert_eq!(again.file.messages[0].fields, codec.file.messages[0].fields);
        let types: Vec<SqlType> = codec.fields()?.into_iter().map(|field| field.ty).collect();
        assert_eq!(types, columns().into_iter().map(|column| column.ty).collect::<Vec<_>>());
    }
    Ok(())
}

#[test]
fn schemas_of_others() -> Result<(), String> {
    let text = r#"
        syntax = "proto3"; // a comment
        package shop.v1;
        import "other.proto";
        option java_package = "x";
        message First { reserved 2, 4 to 6; }
        message Order {
            enum State { OPEN = 0; DONE = 1 [deprecated = true]; }
            message Line { string sku = 1; uint32 count = 2; }
            State state = 1;
            repeated Line lines = 2 [(x.y) = { a: "b" }];
            map<string, Line> by_name = 3;
            oneof payment { string card = 4; .other.Cash cash = 5; }
            google.protobuf.StringValue note = 6;
            /* another */ optional fixed64 size = 7;
        }
        service S { rpc Get (Order) returns (Order) {} }
    "#;
    let mut schema = schema(text);
    schema.references.push(crate::format::schema::Reference {
        name: "other.proto".into(),
        subject: "other.proto".into(),
        version: 1,
        text: "syntax = \"proto3\"; package other; message Cash { bool exact = 1; }".into(),
    });
    let codec = ProtobufCodec::parse(&schema, Some("Order"))?;
    assert_eq!(
        SqlType::Struct(codec.fields()?).to_string(),
        "STRUCT<`payment_0` STRUCT<`card` STRING, `cash` STRUCT<`exact` BOOLEAN>>, `state` STRING, \
         `lines` ARRAY<STRUCT<`sku` STRING, `count` BIGINT>>, `by_name` MAP<STRING, STRUCT<`sku` STRING, `count` BIGINT>>, \
         `note` STRING, `size` BIGINT>"
    );
    let mut out = Vec::new();
    codec.write_framed(
        &Datum::from_json(r#"{"state": "DONE", "LINES": [{"sku": "a", "count": 4000000000}]}"#)?,
        &mut out,
    )?;
    assert_eq!(&out[..2], &[2, 2], "one index, which is 1, in zigzag");
    let json = codec.read_framed(&out)?.to_json();
    assert_eq!(
        json,
        r#"{"state":"DONE","lines":[{"sku":"a","count":4000000000}],"by_name":{},"card":null,"cash":null,"note":null,"size":null,"payment_0":null}"#
    );
    // A member of a oneof is found by its own name and within the oneof.
    for given in [r#"{"payment_0": {"card": "4711"}}"#, r#"{"card": "4711"}"#] {
        let mut out = Vec::new();
        codec.write_framed(&Datum::from_json(given)?, &mut out)?;
        let json = codec.read_framed(&out)?.to_json();
        assert!(json.contains(r#""card":"4711""#) && json.ends_with(r#""payment_0":{"card":"4711"}}"#), "{json}");
    }
    assert!(ProtobufCodec::parse(&schema, Some("Nothing")).is_err());
    Ok(())
}

#[test]
fn hostile_bytes_are_faults() -> Result<(), String> {
    let codec = ProtobufCodec::parse(&schema("message T { T t = 1; string s = 2; }"), None)?;
    assert!(codec.fields().is_err(), "a message that contains itself has no type");
    let mut deep = Vec::new();
    for _ in 0..200 {
        let mut outer = vec![0x0a];
        wire::put_bytes(&mut outer, &deep);
        deep = outer;
    }
    assert!(codec.read(&deep).is_err());
    assert!(codec.read(&[0x12, 0x02, 0xff, 0xfe]).is_err(), "no UTF-8");
    Ok(())
}

proptest! {
    #[test]
    fn rows_survive(
        b: bool, i: i32, l: i64, d in -1e12f64..1e12, s in "\\PC*", bytes: Vec<u8>, unscaled in -99_999_999i128..99_999_999,
        date in -100_000i32..100_000, time in 0i32..86_400_000, ts in -10_000_000_000_000i64..10_000_000_000_000, ints: Vec<i32>,
    ) {
        let inner = record(&[("X", Datum::Long(l)), ("Y", Datum::String(s.clone()))]);
        let cells = [
            Datum::Bool(b), Datum::Int(i), Datum::Long(l), Datum::Double(d), Datum::String(s.clone()),
            Datum::Bytes(bytes), Datum::Decimal(Decimal::new(unscaled, 2)), Datum::Date(date), Datum::Time(time),
            Datum::Timestamp(ts), Datum::Array(ints.into_iter().map(Datum::Int).collect()),
            Datum::Array(vec![inner.clone(), inner.clone()]),
            Datum::Map(vec![(Datum::String(s), Datum::Double(d))]), inner,
        ];
        let row = Datum::Record(columns().iter().zip(cells).map(|(c, cell)| (c.name.as_str().into(), cell)).collect());
        for nullable in [Nullable::Never, Nullable::Optional, Nullable::Wrapper] {
            let codec = ProtobufCodec::generate(&columns(), None, nullable).expect("columns make a message");
            let mut out = Vec::new();
            codec.write_framed(&row, &mut out).expect("it can be written");
            prop_assert_eq!(codec.read_framed(&out).expect("it can be read"), row.clone());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let codec = ProtobufCodec::generate(&columns(), None, Nullable::Never).expect("columns make a message");
        let _ = codec.read_framed(&bytes);
    }
}
