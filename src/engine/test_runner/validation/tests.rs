use super::compare::same;
use super::json::Json;
use super::{cases_of, run_case};

fn json(text: &str) -> Json {
    Json::parse(text.as_bytes()).unwrap()
}

fn outcomes(document: &str) -> Vec<Result<(), String>> {
    let cases = cases_of(&json(document)).unwrap();
    cases.iter().map(|case| run_case(case, &mut || 1).map_err(|error| error.to_string())).collect()
}

#[test]
fn numbers_keep_their_text() {
    let text = r#"{"a":1.10,"b":[null,true,"x\"é"],"c":1e400}"#;
    assert_eq!(json(text).to_string(), text);
    assert!(Json::parse(b"{").is_err() && Json::parse(b"1 2").is_err());
}

#[test]
fn comparison_follows_the_rules() {
    let same = |a: &str, b: &str| same(&json(a), &json(b));
    assert!(
        same("1.1", "1.10") && same("3.0", "3") && !same("1.1", "1.2") && !same("9007199254740993", "9007199254740992")
    );
    assert!(same("10000000", "1.0E7") && !same("1", "\"1\""));
    assert!(same(r#"{"a": 1}"#, r#"{"A": 1}"#) && !same(r#"{"A": 1}"#, r#"{"A": 1, "B": null}"#));
    assert!(same(r#"{"KQL_1": null}"#, r#"{"KSQL_1": 3}"#));
    assert!(super::compare::same(&json("2"), &Json::Double(2.000_000_1)));
}

const PAIR: &str = r#"{"tests": [{
  "name": "doubled", "format": ["JSON", "DELIMITED"],
  "statements": ["CREATE STREAM s (k INT KEY, v INT) WITH (kafka_topic='s', value_format='JSON');",
                 "CREATE STREAM d WITH (value_format='{FORMAT}') AS SELECT k, v * 2 AS w FROM s WHERE v > 0;"],
  "inputs": [{"topic": "s", "key": 1, "value": {"v": 4}, "timestamp": 5}, {"topic": "s", "key": 2, "value": {"v": -1}}],
  "outputs": [{"topic": "D", "key": 1, "value": {"W": 8}, "timestamp": 5}],
  "post": {"sources": [{"name": "D", "type": "stream", "schema": "K INT KEY, W INT"}],
           "topics": {"blacklist": ".*-repartition"}}
}]}"#;

#[test]
fn a_case_runs_once_a_format() {
    let outcomes = outcomes(PAIR);
    assert_eq!(outcomes[0], Ok(()));
    // Raw text is no object.
    let why = outcomes[1].clone().unwrap_err();
    assert!(why.contains("record 1 (value)") && why.contains("+ 1 -> \"8\" at 5"), "{why}");
}

#[test]
fn post_conditions_are_checked() {
    let wrong = PAIR.replace("K INT KEY, W INT", "K INT KEY, W BIGINT");
    let why = outcomes(&wrong)[0].clone().unwrap_err();
    assert!(why.contains("schema of D"), "{why}");
    let repartitioned = PAIR.replace("WHERE v > 0", "WHERE v > 0 PARTITION BY k + 0");
    assert!(outcomes(&repartitioned)[0].is_err());
}

#[test]
fn the_last_statement_must_be_refused() {
    let refused = |last: &str, first: &str| {
        format!(
            r#"{{"tests": [{{"name": "n", "statements": ["{first}", "{last}"],
                "expectedException": {{"type": "any", "message": "any"}}}}]}}"#
        )
    };
    let stream = "CREATE STREAM s (v INT) WITH (kafka_topic='s', value_format='JSON');";
    let bad = "CREATE STREAM d AS SELECT nope FROM s;";
    assert_eq!(outcomes(&refused(bad, stream))[0], Ok(()));
    assert!(outcomes(&refused("CREATE STREAM d AS SELECT v FROM s;", stream))[0].is_err());
    // Refused too early.
    assert!(outcomes(&refused(stream, bad))[0].is_err());
}

#[test]
fn windowed_keys_and_typed_values_go_in_and_out() {
    let document = r#"{"tests": [{
      "name": "windowed",
      "statements": ["CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='KAFKA');",
                     "CREATE TABLE t AS SELECT k, COUNT(*) AS n FROM s WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY k;"],
      "inputs": [{"topic": "s", "key": "a", "value": 4, "timestamp": 1500}],
      "outputs": [{"topic": "T", "key": "a", "value": 1, "timestamp": 1500,
                   "window": {"start": 1000, "end": 2000, "type": "time"}}]
    }]}"#;
    assert_eq!(outcomes(document)[0], Ok(()));
    let shifted = document.replace("\"start\": 1000", "\"start\": 999");
    assert!(outcomes(&shifted)[0].clone().unwrap_err().contains("(window)"));
}

#[test]
fn results_carry_headers_and_composed_keys_are_never_null() {
    let document = r#"{"tests": [{
      "name": "headers and keys",
      "statements": ["CREATE STREAM s (k STRING KEY, a INT, b INT) WITH (kafka_topic='s', format='JSON');",
                     "CREATE STREAM d AS SELECT * FROM s PARTITION BY a, b;"],
      "inputs": [{"topic": "s", "key": "x", "value": {"a": 1, "b": null}, "headers": [{"KEY": "h", "VALUE": "IQ=="}]},
                 {"topic": "s", "key": "x", "value": {"a": null}}],
      "outputs": [{"topic": "D", "key": {"A": 1, "B": null}, "value": {"K": "x"}, "headers": [{"KEY": "h", "VALUE": "IQ=="}]},
                  {"topic": "D", "key": {"A": null, "B": null}, "value": {"K": "x"}}]
    }]}"#;
    assert_eq!(outcomes(document)[0], Ok(()));
}

#[test]
fn literals_fit_and_times_before_1970_are_dropped() {
    let document = r#"{"tests": [{
      "name": "literals",
      "statements": ["CREATE STREAM s (k STRING KEY, t BIGINT) WITH (kafka_topic='s', value_format='JSON');",
                     "CREATE STREAM d WITH (timestamp='t') AS SELECT k, t, ARRAY[1, '2e1'] AS a, MAP(k := 1, 7 := 2) AS m FROM s;"],
      "inputs": [{"topic": "s", "key": "x", "value": {"t": -5}}, {"topic": "s", "value": {"t": 5}}],
      "outputs": [{"topic": "D", "value": {"T": 5, "A": [1, 20], "M": {"null": 1, "7": 2}}, "timestamp": 5}]
    }]}"#;
    assert_eq!(outcomes(document)[0], Ok(()));
}

#[test]
fn a_table_names_rows_of_another() {
    let document = r#"{"tests": [{
      "name": "foreign key",
      "statements": ["CREATE TABLE l (id INT PRIMARY KEY, f INT) WITH (kafka_topic='l', value_format='JSON', partitions=3);",
                     "CREATE TABLE r (rid INT PRIMARY KEY, v INT) WITH (kafka_topic='r', value_format='JSON', partitions=2);",
                     "CREATE TABLE p AS SELECT id, v FROM l LEFT JOIN r ON f = rid;"],
      "inputs": [{"topic": "l", "key": 1, "value": {"f": 7}}, {"topic": "r", "key": 7, "value": {"v": 3}},
                 {"topic": "l", "key": 1, "value": {"f": null}}],
      "outputs": [{"topic": "P", "key": 1, "value": {"V": null}}, {"topic": "P", "key": 1, "value": {"V": 3}},
                  {"topic": "P", "key": 1, "value": {"V": null}}]
    }]}"#;
    assert_eq!(outcomes(document)[0], Ok(()));
}

const FINAL: &str = r#"{"tests": [{
  "name": "final", "properties": {"ksql.functions.collect_list.limit": 2},
  "statements": ["CREATE STREAM s (k STRING KEY, v INT) WITH (kafka_topic='s', value_format='JSON');",
                 "CREATE TABLE t AS SELECT k, COLLECT_LIST(v) AS n FROM s WINDOW TUMBLING (SIZE 2 MILLISECONDS, GRACE PERIOD 1 MILLISECONDS) GROUP BY k EMIT FINAL;"],
  "inputs": [{"topic": "s", "key": "a", "value": {"v": 1}, "timestamp": 0}, {"topic": "s", "key": "a", "value": {"v": 2}, "timestamp": 1},
             {"topic": "s", "key": "a", "value": {"v": 3}, "timestamp": 1},
             {"topic": "s", "key": "a", "value": {"v": 4}, "timestamp": 2}, {"topic": "s", "key": "a", "value": {"v": 5}, "timestamp": 5}],
  "outputs": [{"topic": "T", "key": "a", "value": {"N": [1, 2]}}, {"topic": "T", "key": "a", "value": {"N": [4]}}]
}]}"#;

#[test]
fn final_results_are_all_told_unless_kafka_streams_is_asked_for() {
    assert_eq!(outcomes(FINAL)[0], Ok(()));
    let interval = r#""properties": {"ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__": 0, "#;
    let forgetful = FINAL.replace(r#""properties": {"#, interval);
    let why = outcomes(&forgetful)[0].clone().unwrap_err();
    assert!(why.contains("2 records expected, 1 came"), "{why}");
}

#[test]
fn delimited_sources_hold_no_nested_state() {
    let delimited = FINAL.replace("COLLECT_LIST", "AVG").replace("value_format='JSON'", "value_format='DELIMITED'");
    assert!(outcomes(&delimited)[0].clone().unwrap_err().contains("DELIMITED"));
}

/// The start is what keys carry of a window: the sizes may differ, and rows move whose keys name a schema.
#[test]
fn windows_of_different_sizes_meet() {
    let source = |name: &str, kind: &str, size: u8| {
        format!(
            "CREATE STREAM {name} (id INT KEY, v INT) WITH (kafka_topic='{name}', key_format='FORMAT', \
             value_format='JSON', window_type='{kind}', window_size='{size} seconds');"
        )
    };
    let record = |topic: &str, v: u8, start: i64, end: i64| {
        format!(
            r#"{{"topic": "{topic}", "key": 7, "value": {{"v": {v}}}, "timestamp": {start}, "window": {{"start": {start}, "end": {end}, "type": "time"}}}}"#
        )
    };
    let document = format!(
        r#"{{"tests": [{{"name": "met", "statements": ["{}", "{}",
           "CREATE STREAM met AS SELECT l.id AS id, l.v AS a, r.v AS b, r.windowend AS e FROM l JOIN r WITHIN 1 MINUTE ON l.id = r.id;"],
           "inputs": [{}, {}, {}],
           "outputs": [{{"topic": "MET", "key": 7, "value": {{"A": 1, "B": 3, "E": 5000}}, "timestamp": 4000,
                         "window": {{"start": 4000, "end": 8000, "type": "time"}}}}]}}]}}"#,
        source("l", "hopping", 4),
        source("r", "tumbling", 1),
        record("l", 1, 4000, 8000),
        record("l", 2, 5000, 9000),
        record("r", 3, 4000, 5000),
    );
    for format in ["KAFKA", "JSON", "JSON_SR"] {
        assert_eq!(outcomes(&document.replace("FORMAT", format)), [Ok(())], "{format}");
    }
}

/// Those of ksqlDB's test build, as an embedder would register them.
#[test]
fn functions_of_the_test_build_are_there() {
    let document = |call: &str, results: [&str; 2]| {
        let output = |result: &str| format!(r#"{{"topic": "T", "key": 1, "value": {{"R": {result}}}}}"#);
        format!(
            r#"{{"tests": [{{"name": "t", "statements": ["CREATE STREAM s (k INT KEY, n BIGINT, t STRING) WITH (kafka_topic='s', value_format='JSON');",
               "CREATE TABLE t AS SELECT k, {call} AS r FROM s GROUP BY k;"],
               "inputs": [{{"topic": "s", "key": 1, "value": {{"n": 2, "t": "abc"}}}}, {{"topic": "s", "key": 1, "value": {{"n": 5, "t": null}}}}],
               "outputs": [{}, {}]}}]}}"#,
            output(results[0]),
            output(results[1])
        )
    };
    for (call, results) in [
        ("TEST_UDAF(n)", ["2", "7"]),
        ("VAR_ARG(n, t, 'xy')", ["7", "14"]),
        ("MID_VAR_ARG(n, t, 10, 20)", ["35", "40"]),
        ("MULTI_ARG(n, t, 3, 'z')", ["9", "14"]),
        ("OBJ_COL_ARG(CAST(n AS INT), t, n, MAP('a' := n))", ["[2]", "[2]"]),
    ] {
        assert_eq!(outcomes(&document(call, results)), [Ok(())], "{call}");
    }
    let refused = outcomes(&document("MID_VAR_ARG(n, t, 10)", ["0", "0"]));
    assert!(refused[0].as_ref().is_err_and(|why| why.contains("does not accept")), "{refused:?}");
}
