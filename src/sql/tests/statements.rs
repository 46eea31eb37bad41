//! Statements: every form reads, and prints in its normal form.

use crate::sql::ast::{SelectItem, StatementKind};
use crate::sql::{duration, parse_duration, parse_script, parse_statement};

fn print(text: &str) -> String {
    parse_statement(text).unwrap_or_else(|e| panic!("{text}: {e} {:?}", e.hints())).to_string()
}

/// Checks pairs of a text and what it prints as; an empty second part means the same.
fn check(pairs: &[(&str, &str)]) {
    for (text, printed) in pairs {
        let printed = if printed.is_empty() { text } else { printed };
        assert_eq!(print(text), *printed);
        assert_eq!(print(printed), *printed);
        assert_eq!(parse_statement(text).unwrap(), parse_statement(printed).unwrap());
    }
}

#[test]
fn sources() {
    check(&[
        (
            "create or replace stream if not exists o (id int key, `x` struct<a int, b array<string>>, h bytes header('k'), \
             hs array<struct<key string, value bytes>> headers) with (kafka_topic='t', 'Partitions' = 3);",
            "CREATE OR REPLACE STREAM IF NOT EXISTS O (ID INT KEY, `x` STRUCT<A INT, B ARRAY<STRING>>, H BYTES \
             HEADER('k'), HS ARRAY<STRUCT<KEY STRING, VALUE BYTES>> HEADERS) WITH (KAFKA_TOPIC = 't', PARTITIONS = 3)",
        ),
        ("CREATE SOURCE TABLE T (ID BIGINT PRIMARY KEY, V DECIMAL(4, 2)) WITH (WRAP_SINGLE_VALUE = FALSE)", ""),
        ("CREATE STREAM ORDER WITH (KAFKA_TOPIC = 'orders', X = -1, Y = NULL)", ""),
        ("CREATE STREAM IF", ""),
        (
            "create table t with (format='json') as select * from s",
            "CREATE TABLE T WITH (FORMAT = 'json') AS SELECT * FROM S",
        ),
        ("CREATE OR REPLACE TABLE T AS SELECT A FROM S EMIT FINAL", ""),
        ("drop stream if exists s delete topic", "DROP STREAM IF EXISTS S DELETE TOPIC"),
        ("DROP TABLE IF", ""),
        (
            "alter stream s add x int, add column y array<int>",
            "ALTER STREAM S ADD COLUMN X INT, ADD COLUMN Y ARRAY<INT>",
        ),
        ("ALTER TABLE T ADD COLUMN INT", "ALTER TABLE T ADD COLUMN COLUMN INT"),
        ("ALTER TABLE T ADD ADD INT, B INT", "ALTER TABLE T ADD COLUMN ADD INT, ADD COLUMN B INT"),
        ("CREATE TYPE IF NOT EXISTS ADDRESS AS STRUCT<STREET VARCHAR, CITY VARCHAR>", ""),
        ("DROP TYPE IF EXISTS ADDRESS", ""),
    ]);
}

#[test]
fn queries() {
    check(&[
        ("SELECT timestamp, status FROM payment", "SELECT TIMESTAMP, STATUS FROM PAYMENT"),
        (
            "select key, value, topic, type, count, window, emit, partition from s",
            "SELECT KEY, VALUE, TOPIC, TYPE, COUNT, WINDOW, EMIT, PARTITION FROM S",
        ),
        (
            "select a b, c as window, `d` `e`, s->*, x.*, (a + b)->* from s x",
            "SELECT A AS B, C AS WINDOW, `d` AS `e`, S->*, X.*, (A + B)->* FROM S AS X",
        ),
        ("select a from s emit changes limit 5", "SELECT A FROM S EMIT CHANGES LIMIT 5"),
        (
            "select a, count(*) n from s window tumbling (size 300 seconds, retention 1 day, grace period 90 second) \
             where b > 1 group by (a, c) having count(*) > 2 emit final",
            "SELECT A, COUNT(*) AS N FROM S WINDOW TUMBLING (SIZE 5 MINUTES, RETENTION 1 DAYS, GRACE PERIOD 90 SECONDS) \
             WHERE B > 1 GROUP BY A, C HAVING COUNT(*) > 2 EMIT FINAL",
        ),
        ("SELECT A FROM S WINDOW HOPPING (SIZE 1 HOURS, ADVANCE BY 30 SECONDS) GROUP BY A", ""),
        (
            "select a from s window w session (5 hours) group by a",
            "SELECT A FROM S WINDOW SESSION (5 HOURS) GROUP BY A",
        ),
        ("SELECT A FROM S WINDOW SESSION (30 SECONDS, GRACE PERIOD 0 MILLISECONDS) GROUP BY A", ""),
        ("select a from s group by (a) + b, (c)", "SELECT A FROM S GROUP BY A + B, C"),
        ("select a from s partition by (a, b)", "SELECT A FROM S PARTITION BY A, B"),
        ("SELECT A FROM S PARTITION BY NULL", ""),
        ("SELECT A FROM S GROUP BY (A > 1), A + 1", ""),
        ("SELECT (A IS DISTINCT FROM B)->* FROM S", ""),
        ("select a from s order by a asc, b desc limit 3", "SELECT A FROM S ORDER BY A, B DESC LIMIT 3"),
        (
            "select * from a x inner join b as y within 5 minutes on x.id = y.id left outer join c on x.id = c.id",
            "SELECT * FROM A AS X JOIN B AS Y WITHIN 5 MINUTES ON X.ID = Y.ID LEFT JOIN C ON X.ID = C.ID",
        ),
        ("SELECT * FROM A RIGHT JOIN B WITHIN (1 HOURS, 2 HOURS) GRACE PERIOD 10 SECONDS ON A.X = B.X", ""),
        ("SELECT * FROM A FULL JOIN B ON A.X = B.X", ""),
        ("SELECT GRACE FROM GRACE WHERE WINDOW = EMIT", ""),
    ]);
    let query = |text| match parse_statement(text).unwrap().kind {
        StatementKind::Query(query) => query,
        other => panic!("{other}"),
    };
    let within = query("SELECT * FROM A JOIN B WITHIN (1 HOUR, 2 HOURS) ON A.X = B.X").from.joins[0].within.unwrap();
    assert_eq!((within.before_ms, within.after_ms, within.grace_ms), (3_600_000, 7_200_000, None));
    assert_eq!(query("SELECT A FROM ORDERS ORDER BY A").from.first.alias().text, "ORDERS");
    assert!(matches!(query("SELECT A->B * C FROM S").select[0], SelectItem::Expr { .. }));
    assert!(matches!(query("SELECT A + B, S->* FROM S").select[1], SelectItem::Fields(_)));
}

#[test]
fn the_others() {
    check(&[
        ("INSERT INTO T WITH (QUERY_ID = 'q') SELECT * FROM S", ""),
        ("insert into t (a, b) values (1, array[2])", "INSERT INTO T (A, B) VALUES (1, ARRAY[2])"),
        ("INSERT INTO VALUES VALUES (NULL, -1, 'x' || 'y')", ""),
        ("LIST STREAMS EXTENDED", "SHOW STREAMS EXTENDED"),
        ("SHOW ALL TOPICS EXTENDED", ""),
        ("SHOW TABLES", ""),
        ("SHOW QUERIES", ""),
        ("SHOW FUNCTIONS", ""),
        ("SHOW PROPERTIES", ""),
        ("SHOW TYPES", ""),
        ("SHOW VARIABLES", ""),
        ("DESCRIBE ORDERS EXTENDED", ""),
        ("DESCRIBE STREAMS EXTENDED", ""),
        ("DESCRIBE TABLES", ""),
        ("DESCRIBE `STREAMS`", ""),
        ("DESCRIBE FUNCTION COUNT", ""),
        ("EXPLAIN SELECT * FROM S", ""),
        ("EXPLAIN CSAS_X_1", ""),
        ("TERMINATE ALL", ""),
        ("TERMINATE CTAS_T_3", ""),
        ("PAUSE 'transient_1'", "PAUSE `transient_1`"),
        ("RESUME ALL", ""),
        ("SET 'auto.offset.reset' = 'earliest'", ""),
        ("UNSET 'auto.offset.reset'", ""),
        ("ALTER SYSTEM 'a' = 'b'", ""),
        ("define Threshold = '10''0'", "DEFINE THRESHOLD = '10''0'"),
        ("UNDEFINE THRESHOLD", ""),
        ("print payMent from beginning sample 2 limit 3", "PRINT payMent FROM BEGINNING INTERVAL 2 LIMIT 3"),
        ("PRINT 'my-topic'", "PRINT `my-topic`"),
        ("RUN SCRIPT 'dir/file.sql'", ""),
        ("ASSERT TOPIC t WITH (PARTITIONS = 3) TIMEOUT 10 SECONDS", ""),
        ("ASSERT NOT EXISTS TOPIC `a-b`", ""),
        ("ASSERT SCHEMA SUBJECT x ID 3 TIMEOUT 1 minute", "ASSERT SCHEMA SUBJECT 'x' ID 3 TIMEOUT 1 MINUTES"),
        ("ASSERT NOT EXISTS SCHEMA ID 3", ""),
        ("ASSERT VALUES S (ROWTIME, A) VALUES (1, NULL)", ""),
        ("ASSERT NULL VALUES T (ID) KEY (1)", ""),
        ("ASSERT STREAM S (ID INT KEY) WITH (KAFKA_TOPIC = 'S')", ""),
        ("ASSERT TABLE T WITH (KAFKA_TOPIC = 'T')", ""),
        ("ASSERT NO MORE VALUES S", ""),
        ("ADVANCE TIME BY 5 MINUTES", ""),
    ]);
}

#[test]
fn scripts_keep_places_and_texts() {
    let script = "-- first\nSET 'a' = 'ü;';;\n  SHOW /* x */ STREAMS -- last\n; EXPLAIN  SELECT a\nFROM s";
    let statements = parse_script(script).unwrap();
    let texts: Vec<&str> = statements.iter().map(|s| s.text.as_str()).collect();
    assert_eq!(texts, ["SET 'a' = 'ü;'", "SHOW /* x */ STREAMS", "EXPLAIN  SELECT a\nFROM s"]);
    for statement in &statements {
        assert_eq!(&script[statement.span.start..statement.span.end], statement.text);
    }
    let StatementKind::Explain(inner) = &statements[2].kind else { panic!() };
    assert_eq!(inner.text, "SELECT a\nFROM s");
    assert!(parse_script("").unwrap().is_empty());
    assert!(parse_statement("SHOW STREAMS; SHOW TABLES").is_err());
}

#[test]
fn durations() {
    for (text, ms) in [("0 MILLISECONDS", 0), ("90 SECONDS", 90_000), ("2 MINUTES", 120_000), ("7 DAYS", 604_800_000)] {
        assert_eq!(parse_duration(text).unwrap(), ms);
        assert_eq!(duration(ms), text);
    }
    assert_eq!(parse_duration("1 hour").unwrap(), 3_600_000);
    assert!(
        parse_duration("30 bobs").is_err() && parse_duration("1 DAY x").is_err() && parse_duration("-1 DAY").is_err()
    );
}
