//! `CREATE STREAM|TABLE`, `ALTER` and types.

use super::Script;
use crate::time::WindowKind;
use crate::types::SourceKind;

#[test]
fn declarations_become_sources() {
    let mut script = Script::new();
    script.explain(
        "CREATE TYPE address AS STRUCT<street STRING, zip INT>;
         CREATE STREAM s (k STRUCT<a INT> KEY, v address, at STRING, h ARRAY<STRUCT<key STRING, value BYTES>> HEADERS)
             WITH (kafka_topic = 'in', key_format = 'json', value_format = 'json',
                   timestamp = 'at', timestamp_format = 'yyyy-MM-dd', window_type = 'hopping', window_size = '5 minutes');",
    );
    let source = script.catalog.source("S").expect("declared");
    assert_eq!(source.kind, SourceKind::Stream);
    assert_eq!(
        source.schema.to_string(),
        "`K` STRUCT<`A` INTEGER> KEY, `V` STRUCT<`STREET` STRING, `ZIP` INTEGER>, `AT` STRING, \
         `H` ARRAY<STRUCT<`KEY` STRING, `VALUE` BYTES>> HEADERS"
    );
    let window = source.window.expect("windowed");
    assert_eq!((window.kind, window.size_ms), (WindowKind::Hopping, Some(300_000)));
    assert!(source.schema.windowed);
    assert_eq!((source.key_format.name.as_str(), source.key_format.wrapped), ("JSON", false));
    assert!(source.value_format.wrapped);
    assert_eq!(source.timestamp.as_ref().map(|spec| spec.column.as_str()), Some("AT"));
}

#[test]
fn formats_have_defaults_and_settings() {
    let mut script = Script::new();
    script.explain(
        "CREATE STREAM a (k INT KEY, v INT) WITH (kafka_topic = 'a');
         CREATE STREAM b (v INT) WITH (kafka_topic = 'b', value_format = 'DELIMITED', value_delimiter = 'TAB');
         CREATE STREAM c (v INT) WITH (kafka_topic = 'c', value_format = 'JSON', wrap_single_value = false);
         CREATE STREAM d AS SELECT v + 1 AS v FROM b;
         CREATE STREAM e WITH (format = 'JSON') AS SELECT v, v + 1 AS w FROM b PARTITION BY v;",
    );
    let formats = |name: &str| {
        let source = script.catalog.source(name).expect(name);
        (source.key_format.name.clone(), source.value_format.clone())
    };
    assert_eq!((formats("A").0.as_str(), formats("A").1.name.as_str()), ("KAFKA", "JSON"));
    assert_eq!(formats("B").1.properties.get("DELIMITER").map(String::as_str), Some("\t"));
    assert!(!formats("C").1.wrapped);
    assert_eq!(formats("D").1, formats("B").1, "the delimiter is inherited");
    assert_eq!(formats("E").0, "JSON");
}

#[test]
fn wrong_declarations_are_refused() {
    for (statement, fragment, underlined) in [
        ("CREATE STREAM s (v INT) WITH (value_format = 'JSON');", "names no KAFKA_TOPIC", "s"),
        ("CREATE STREAM s WITH (kafka_topic = 't', value_format = 'JSON');", "S has no columns", "s"),
        ("CREATE STREAM s (v INT, v INT) WITH (kafka_topic = 't');", "two columns are named V", "v"),
        ("CREATE STREAM s (rowtime INT) WITH (kafka_topic = 't');", "name of a system column", "rowtime"),
        ("CREATE TABLE s (v INT) WITH (kafka_topic = 't');", "the table S has no PRIMARY KEY", "s"),
        ("CREATE STREAM s (k MAP<STRING, INT> KEY) WITH (kafka_topic = 't');", "K contains a MAP", "k"),
        ("CREATE STREAM s (v DECIMAL(2, 4)) WITH (kafka_topic = 't');", "more digits after the point", "v"),
        ("CREATE STREAM s (v INTT) WITH (kafka_topic = 't');", "unknown type INTT", "INTT"),
        ("CREATE STREAM s (v STRUCT<a INT, a INT>) WITH (kafka_topic = 't');", "two fields named A", "a"),
        ("CREATE STREAM s (h BYTES HEADERS) WITH (kafka_topic = 't');", "the HEADERS column H must be ARRAY", "h"),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic = 't', value_format = 'JSONN');",
            "unknown format JSONN",
            "'JSONN'",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic = 't', format = 'JSON', key_format = 'JSON');",
            "both FORMAT and KEY_FORMAT are given",
            "'JSON'",
        ),
        (
            "CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic = 't', key_format = 'NONE');",
            "the key format NONE holds no columns",
            "s",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic = 't', value_delimiter = '|');",
            "the format JSON takes no VALUE_DELIMITER",
            "'|'",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic = 't', value_format = 'DELIMITED', value_delimiter = 'ab');",
            "VALUE_DELIMITER must be one character",
            "'ab'",
        ),
        ("CREATE STREAM s (v STRING) WITH (kafka_topic = 't', timestamp = 'v');", "needs a TIMESTAMP_FORMAT", "'v'"),
        ("CREATE STREAM s (v STRING) WITH (kafka_topic = 't', timestamp = 'w');", "W does not exist", "'w'"),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic = 't', window_type = 'TUMBLING');",
            "need a WINDOW_SIZE",
            "'TUMBLING'",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic = 't', window_type = 'TUMBLING', window_size = '3 bobs');",
            "'3 bobs' is no duration",
            "'3 bobs'",
        ),
        ("CREATE STREAM s (v INT) WITH (kafka_topic = 't', partitions = 0);", "must be a positive number", "0"),
        (
            "CREATE TABLE s (k INT PRIMARY KEY) WITH (kafka_topic = 't', retention_ms = 5);",
            "RETENTION_MS is for streams and windowed tables",
            "5",
        ),
        (
            "CREATE STREAM s (v INT) WITH (kafka_topic = 't', cleanup_policy = 'x');",
            "cannot be chosen",
            "cleanup_policy",
        ),
        (
            "CREATE OR REPLACE SOURCE STREAM s (v INT) WITH (kafka_topic = 't');",
            "source streams cannot be replaced",
            "s",
        ),
    ] {
        let Err(error) = Script::new().run(statement) else { panic!("accepted: {statement}") };
        assert!(error.message().contains(fragment), "{statement}\n{error}");
        let place = error.span().map(|span| &statement[span.start..span.end]);
        assert_eq!(place, Some(underlined), "{statement}\n{error}");
    }
}

#[test]
fn columns_are_added_at_the_end() {
    let mut script = Script::new();
    script.explain(
        "CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic = 's');
         ALTER STREAM s ADD COLUMN w STRING, x DOUBLE;",
    );
    let schema = script.catalog.source("S").expect("declared").schema.to_string();
    assert_eq!(schema, "`K` INTEGER KEY, `V` INTEGER, `W` STRING, `X` DOUBLE");
    for (statement, fragment) in [
        ("ALTER STREAM s ADD COLUMN v INT;", "S has a column V already"),
        ("ALTER TABLE s ADD COLUMN z INT;", "S is a STREAM, not a TABLE"),
        ("CREATE STREAM d AS SELECT * FROM s; ALTER STREAM d ADD COLUMN z INT;", "D cannot be altered"),
    ] {
        let error = script.run(statement).expect_err(statement);
        assert!(error.message().contains(fragment), "{statement}\n{error}");
    }
}

#[test]
fn columns_come_from_the_registry() {
    let mut script = Script::new();
    script.explain(
        "CREATE STREAM both WITH (kafka_topic = 'registered', format = 'AVRO');
         CREATE STREAM values_only (k STRING KEY) WITH (kafka_topic = 'registered', value_format = 'PROTOBUF');
         CREATE STREAM neither (k STRING KEY, v INT) WITH (kafka_topic = 'other', format = 'JSON_SR');
         CREATE STREAM copy WITH (value_schema_id = 3) AS SELECT id, name FROM both PARTITION BY id;",
    );
    let schema = |name: &str| script.catalog.source(name).expect(name).schema.to_string();
    assert_eq!(schema("BOTH"), "`ID` INTEGER KEY, `NAME` STRING, `TOTAL` BIGINT");
    assert_eq!(schema("VALUES_ONLY"), "`K` STRING KEY, `NAME` STRING, `TOTAL` BIGINT");
    assert_eq!(schema("NEITHER"), "`K` STRING KEY, `V` INTEGER");
    let copy = script.catalog.source("COPY").expect("made");
    assert_eq!(copy.value_format.properties.get("SCHEMA_ID").map(String::as_str), Some("3"));
    for (statement, fragment) in [
        ("CREATE STREAM s WITH (kafka_topic = 'other', format = 'AVRO');", "no schema for other"),
        (
            "CREATE STREAM s (k INT KEY) WITH (kafka_topic = 'registered', format = 'AVRO', key_schema_id = 1);",
            "both columns and",
        ),
        (
            "CREATE STREAM s (name INT KEY) WITH (kafka_topic = 'registered', value_format = 'AVRO');",
            "two columns are named NAME",
        ),
        ("CREATE STREAM s WITH (value_schema_id = 3) AS SELECT id, name AS strange FROM both;", "not in the schema"),
    ] {
        let error = script.run(statement).expect_err(statement);
        assert!(error.to_string().contains(fragment), "{statement}: {error}");
    }
}
