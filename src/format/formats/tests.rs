use arrow::array::{Array, ArrayRef};

use super::*;
use crate::change::Slots;
use crate::format::schema::{MemoryRegistry, Reference};
use crate::types::Value;

fn spec(name: &str, wrapped: bool, settings: &[(&str, &str)]) -> FormatSpec {
    let mut spec = FormatSpec::new(name, wrapped);
    spec.properties.extend(settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())));
    spec
}

fn formats() -> (Formats, Arc<MemoryRegistry>) {
    let registry = Arc::new(MemoryRegistry::new());
    (Formats::with_registry(registry.clone()), registry)
}

fn columns() -> Vec<Column> {
    let inner = SqlType::Struct(vec![StructField::new("x", SqlType::Int), StructField::new("Y Z", SqlType::String)]);
    vec![
        Column::value("ID", SqlType::BigInt),
        Column::value("odd name", SqlType::String),
        Column::value("D", SqlType::Decimal(6, 2)),
        Column::value("L", SqlType::array(inner)),
        Column::value("M", SqlType::map(SqlType::String, SqlType::Double)),
    ]
}

fn row(id: i64) -> Vec<Value> {
    let inner = Value::Struct(vec![Value::Int(3), Value::String("z".into())]);
    vec![
        Value::BigInt(id),
        Value::String("text".into()),
        Value::Decimal(crate::types::Decimal::new(-12345, 2)),
        Value::Array(vec![inner]),
        Value::Map(vec![(Value::String("k".into()), Value::Double(0.5))]),
    ]
}

fn arrays(columns: &[Column], rows: &[Vec<Value>]) -> Vec<ArrayRef> {
    columns.iter().enumerate().map(|(i, c)| Value::to_array(&c.ty, rows.iter().map(|row| &row[i]))).collect()
}

fn write(formats: &Formats, spec: &FormatSpec, side: Side, columns: &[Column], rows: &[Vec<Value>]) -> Slots {
    let mut out = Slots::default();
    let mut encoder = formats.encoder(spec, "t", side, columns).expect("an encoder");
    let errors = encoder.encode(&arrays(columns, rows), rows.len(), None, &mut out).expect("it writes");
    assert!(errors.is_empty(), "{errors:?}");
    out
}

#[test]
fn rows_survive_in_every_format_with_a_schema() {
    let (formats, registry) = formats();
    for (name, settings) in [
        ("AVRO", &[][..]),
        ("JSON_SR", &[]),
        ("PROTOBUF", &[]),
        ("PROTOBUF", &[("NULLABLE_REPRESENTATION", "OPTIONAL")]),
        ("PROTOBUF", &[("NULLABLE_REPRESENTATION", "WRAPPER")]),
        ("PROTOBUF_NOSR", &[]),
    ] {
        let spec = spec(name, true, settings);
        let rows = [row(1), row(-2)];
        let out = write(&formats, &spec, Side::Value, &columns(), &rows);
        let mut slots = Slots::default();
        slots.push(out.get(0));
        slots.push_null();
        slots.push(Some(b"\x07 no message"));
        slots.push(out.get(1));
        // Only some columns are wanted.
        let wanted = [true, true, false, true, true];
        let mut decoder = formats.decoder(&spec, Side::Value, &columns(), &wanted).expect("a decoder");
        let decoded = decoder.decode(slots.view(0..4)).expect("it reads");
        assert_eq!(decoded.errors.iter().map(|error| error.row).collect::<Vec<_>>(), [2], "{name}");
        assert_eq!(decoded.null.map(|null| null.iter().collect::<Vec<_>>()), Some(vec![false, true, false, false]));
        for (at, expected) in [(0, row(1)), (3, row(-2))] {
            let cells: Vec<Value> = decoded.columns.iter().map(|column| Value::from_array(column, at)).collect();
            let expected: Vec<Value> =
                expected.into_iter().zip(wanted).filter(|(_, wanted)| *wanted).map(|(cell, _)| cell).collect();
            assert_eq!(cells, expected, "{name}");
        }
        assert!(decoded.columns.iter().all(|column| column.is_null(1) && column.is_null(2)));
    }
    assert_eq!(registry.subjects(), ["t-value"]);
}

#[test]
fn messages_begin_with_their_schema() {
    let (formats, registry) = formats();
    // An equal schema keeps its number: the one of the AVRO key is 258.
    registry.put("other", 258, Schema::new(SchemaType::Avro, "\"string\""));
    let columns = [Column::key("K", SqlType::String)];
    for (name, wrapped, expected) in [
        ("AVRO", false, "00000001020261"),
        ("JSON_SR", false, "0000000001226122"),
        ("PROTOBUF", true, "0000000002000a0161"),
    ] {
        let out = write(&formats, &spec(name, wrapped, &[]), Side::Key, &columns, &[vec![Value::String("a".into())]]);
        assert_eq!(hex::encode(out.get(0).expect("a message")), expected, "{name}");
    }
    assert_eq!(registry.latest("t-key").expect("it answers").map(|(id, _)| id), Some(2));
}

#[test]
fn columns_come_from_the_newest_schema_or_by_number() -> Result<()> {
    let (formats, registry) = formats();
    let text = r#"{"type": "record", "name": "r", "fields": [
        {"name": "id", "type": "long"}, {"name": "in", "type": {"type": "record", "name": "i", "fields": [
        {"name": "x", "type": ["null", "string"]}]}}]}"#;
    registry.put("t-value", 1, Schema::new(SchemaType::Avro, "\"int\""));
    registry.put("t-value", 5, Schema::new(SchemaType::Avro, text));
    let shown =
        |columns: Vec<Column>| columns.iter().map(|c| format!("{} {}", c.name, c.ty)).collect::<Vec<_>>().join(", ");
    let newest = formats.infer(&spec("AVRO", true, &[]), "t", Side::Value)?;
    assert_eq!(shown(newest), "ID BIGINT, IN STRUCT<`X` STRING>");
    let by_id = formats.infer(&spec("AVRO", true, &[("SCHEMA_ID", "5")]), "x", Side::Value)?;
    assert_eq!(shown(by_id.clone()), "id BIGINT, in STRUCT<`x` STRING>");
    let bare = formats.infer(&spec("AVRO", false, &[("SCHEMA_ID", "1")]), "x", Side::Value)?;
    assert_eq!(shown(bare), "ROWVAL INTEGER");
    let key = formats.infer(&spec("AVRO", false, &[("SCHEMA_ID", "5")]), "x", Side::Key)?;
    assert_eq!(shown(key), "ROWKEY STRUCT<`id` BIGINT, `in` STRUCT<`x` STRING>>");

    let again = Formats::default().replay(&by_id).infer(&spec("AVRO", true, &[]), "t", Side::Value)?;
    assert_eq!(again, by_id, "a statement that runs again needs no registry for its columns");

    let wrong =
        |spec: FormatSpec, topic: &str| formats.infer(&spec, topic, Side::Value).expect_err("refused").to_string();
    assert!(wrong(spec("AVRO", true, &[("SCHEMA_ID", "1")]), "t").contains("has no columns: it is INTEGER"));
    assert!(wrong(spec("AVRO", true, &[]), "u").contains("no schema for values of the topic u"));
    assert!(wrong(spec("JSON_SR", true, &[]), "t").contains("the schema 5 is AVRO"));
    assert!(wrong(spec("AVRO", true, &[("SCHEMA_ID", "9")]), "t").contains("no schema 9"));

    let avro = spec("AVRO", true, &[("SCHEMA_ID", "5")]);
    formats.check_schema(&avro, "t", Side::Value, &by_id)?;
    let missing = formats.check_schema(&avro, "t", Side::Value, &by_id[..1]).expect_err("a required field");
    assert!(missing.to_string().contains("needs a value for `in`"), "{missing}");
    let swapped = [by_id[1].clone(), by_id[0].clone()];
    assert!(formats.check_schema(&avro, "t", Side::Value, &swapped).is_err());
    Ok(())
}

#[test]
fn writers_may_have_other_schemas() -> Result<()> {
    let (formats, registry) = formats();
    let old = r#"{"type": "record", "name": "r", "fields": [{"name": "Gone", "type": "int"}, {"name": "id", "type": "int"}]}"#;
    registry.put("t-value", 4, Schema::new(SchemaType::Avro, old));
    let bytes = formats.message_from_json(&spec("AVRO", true, &[]), "t", Side::Value, r#"{"gone": 1, "ID": 7}"#)?;
    assert_eq!(formats.message_to_json(&bytes)?, r#"{"Gone":1,"id":7}"#);
    let columns = [Column::value("ID", SqlType::BigInt), Column::value("NEW", SqlType::String)];
    let mut slots = Slots::default();
    slots.push(Some(&bytes));
    let mut decoder = formats.decoder(&spec("AVRO", true, &[]), Side::Value, &columns, &[true, true])?;
    let decoded = decoder.decode(slots.view(0..1))?;
    assert!(decoded.errors.is_empty(), "{:?}", decoded.errors);
    assert_eq!(Value::from_array(&decoded.columns[0], 0), Value::BigInt(7), "an int is a BIGINT too");
    assert!(decoded.columns[1].is_null(0));
    Ok(())
}

#[test]
fn schemas_with_imports_and_several_messages() -> Result<()> {
    let (formats, registry) = formats();
    let text = "syntax = \"proto3\"; import \"e.proto\"; message A { int32 a = 1; } message B { E e = 1; }";
    let mut schema = Schema::new(SchemaType::Protobuf, text);
    let imported = "syntax = \"proto3\"; message E { int64 at = 1; }".to_owned();
    schema.references.push(Reference { name: "e.proto".into(), subject: "e".into(), version: 1, text: imported });
    registry.put("t-value", 6, schema);
    let b = spec("PROTOBUF", true, &[("SCHEMA_FULL_NAME", "B"), ("SCHEMA_ID", "6")]);
    let columns = formats.infer(&b, "t", Side::Value)?;
    assert_eq!((columns.len(), columns[0].ty.to_string()), (1, "STRUCT<`at` BIGINT>".to_owned()));
    let out = write(&formats, &b, Side::Value, &columns, &[vec![Value::Struct(vec![Value::BigInt(9)])]]);
    assert_eq!(hex::encode(out.get(0).expect("a message")), "000000000602020a020809", "the second message of schema 6");
    assert_eq!(formats.message_to_json(out.get(0).expect("a message"))?, r#"{"e":{"at":9}}"#);
    Ok(())
}

#[test]
fn rehearsals_leave_the_registry_alone() -> Result<()> {
    let (formats, registry) = formats();
    let avro = spec("AVRO", true, &[]);
    let rehearsal = formats.rehearsal();
    let id = rehearsal.register(&avro, "t", Side::Value, &columns(), false)?;
    assert!(id.is_some());
    assert_eq!(rehearsal.infer(&avro, "t", Side::Value)?.len(), 5, "it knows what it has registered");
    assert!(registry.subjects().is_empty());
    assert_eq!(formats.register(&avro, "t", Side::Value, &columns(), true)?, Some(1));
    assert_eq!(formats.register(&avro, "t", Side::Value, &columns()[..1], true)?, Some(1), "the one there is kept");
    assert_eq!(formats.register(&avro, "t", Side::Value, &columns()[..1], false)?, Some(2));
    assert_eq!(rehearsal.register(&avro, "t", Side::Value, &columns()[..1], false)?, Some(2));
    Ok(())
}
