//! Queries and the topologies that they become.

use super::{SOURCES, Script};

/// Plans `query` over [`SOURCES`] and compares the topology's text with `expected` (after its first line break).
fn check(query: &str, expected: &str) {
    let text = Script::new().explain(&format!("{SOURCES}{query}"));
    assert_eq!(text, expected[1..], "the topology of {query} is\n{text}");
}

#[test]
fn a_filter_and_a_projection_read_only_what_they_use() {
    check(
        "CREATE STREAM big AS SELECT id, amount * 2 AS twice, at FROM orders WHERE amount > 100;",
        "
sub-topology 0
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, AMOUNT DOUBLE, AT STRING)
  Filter <- Source: AMOUNT > 100
  Project <- Filter: ID, TWICE = AMOUNT * 2, AT
      -> STREAM (ID INTEGER KEY, TWICE DOUBLE, AT STRING)
  Sink <- Project: topic BIG (key KAFKA, value JSON)
result: STREAM (ID INTEGER KEY, TWICE DOUBLE, AT STRING)
",
    );
}

#[test]
fn grouping_by_another_column_moves_rows() {
    check(
        "CREATE TABLE t AS SELECT user_id, COUNT(*) AS n, SUM(amount) FROM orders WINDOW TUMBLING (SIZE 5 MINUTES, GRACE PERIOD 1 MINUTE) GROUP BY user_id HAVING COUNT(*) > 2 EMIT FINAL;",
        "
sub-topology 0
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, USER_ID INTEGER, AMOUNT DOUBLE)
  GroupBy <- Source: key USER_ID
      -> STREAM (USER_ID INTEGER KEY, AMOUNT DOUBLE)
  Aggregate-sink (RepartitionSink) <- GroupBy: topic Aggregate-repartition (key KAFKA, partitions as orders) because rows are grouped by USER_ID, which is not their key
sub-topology 1
  Aggregate-source (RepartitionSource): topic Aggregate-repartition
      -> STREAM (USER_ID INTEGER KEY, AMOUNT DOUBLE)
  Aggregate <- Aggregate-source: KSQL_AGG_0 = COUNT(*), KSQL_AGG_1 = SUM(AMOUNT); tumbling windows of 5m, grace 1m; once, when the window closes
      store Aggregate: changelog Aggregate-changelog, kept 6m
      -> TABLE (USER_ID INTEGER KEY, WINDOW, KSQL_AGG_0 BIGINT, KSQL_AGG_1 DOUBLE)
  Having (Filter) <- Aggregate: KSQL_AGG_0 > 2
  Project <- Having: USER_ID, N = KSQL_AGG_0, KSQL_COL_0 = KSQL_AGG_1
      -> TABLE (USER_ID INTEGER KEY, WINDOW, N BIGINT, KSQL_COL_0 DOUBLE)
  Materialize <- Project: for pull queries
      store Materialize: changelog Materialize-changelog
  Sink <- Materialize: topic T (key KAFKA, value JSON), tumbling windows of 5m
result: TABLE (USER_ID INTEGER KEY, WINDOW, N BIGINT, KSQL_COL_0 DOUBLE)
",
    );
}

#[test]
fn grouping_by_the_key_moves_nothing() {
    check(
        "CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM orders WINDOW SESSION (30 SECONDS) GROUP BY id;",
        "
sub-topology 0
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY)
  GroupBy <- Source: key ID
  Aggregate <- GroupBy: KSQL_AGG_0 = COUNT(*); sessions with a gap of 30s, grace 23h 59m 30s
      store Aggregate: changelog Aggregate-changelog, kept 1d
      -> TABLE (ID INTEGER KEY, WINDOW, KSQL_AGG_0 BIGINT)
  Project <- Aggregate: ID, N = KSQL_AGG_0
      -> TABLE (ID INTEGER KEY, WINDOW, N BIGINT)
  Materialize <- Project: for pull queries
      store Materialize: changelog Materialize-changelog
  Sink <- Materialize: topic T (key KAFKA, value JSON), session windows
result: TABLE (ID INTEGER KEY, WINDOW, N BIGINT)
",
    );
}

#[test]
fn tables_are_aggregated_by_changes() {
    check(
        "CREATE TABLE c AS SELECT country, COUNT(*) AS n, SUM(id + 1) AS s FROM users GROUP BY country;",
        "
sub-topology 0
  Source: TABLE USERS, topic users (key KAFKA, value JSON)
      -> TABLE (ID INTEGER KEY, COUNTRY STRING)
  TableSource <- Source: newest row per key
      store Table: changelog Table-changelog
  GroupBy <- TableSource: key COUNTRY
      -> TABLE (COUNTRY STRING KEY, ID INTEGER)
  Aggregate-sink (RepartitionSink) <- GroupBy: topic Aggregate-repartition (key KAFKA, partitions as users) because rows are grouped by COUNTRY, which is not their key
sub-topology 1
  Aggregate-source (RepartitionSource): topic Aggregate-repartition
      -> TABLE (COUNTRY STRING KEY, ID INTEGER)
  Aggregate <- Aggregate-source: KSQL_AGG_0 = COUNT(*), KSQL_AGG_1 = SUM(ID + 1)
      store Aggregate: changelog Aggregate-changelog
      -> TABLE (COUNTRY STRING KEY, KSQL_AGG_0 BIGINT, KSQL_AGG_1 INTEGER)
  Project <- Aggregate: COUNTRY, N = KSQL_AGG_0, S = KSQL_AGG_1
      -> TABLE (COUNTRY STRING KEY, N BIGINT, S INTEGER)
  Materialize <- Project: for pull queries
      store Materialize: changelog Materialize-changelog
  Sink <- Materialize: topic C (key KAFKA, value JSON)
result: TABLE (COUNTRY STRING KEY, N BIGINT, S INTEGER)
",
    );
}

#[test]
fn a_stream_looks_up_a_table() {
    check(
        "CREATE STREAM e AS SELECT o.user_id, o.id, amount, u.name FROM orders o LEFT JOIN users u ON o.user_id = u.id WHERE amount > 1 AND u.country = 'AT';",
        "
sub-topology 0
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, USER_ID INTEGER, AMOUNT DOUBLE)
  Filter <- Source: AMOUNT > 1
  Project <- Filter: O_ID = ID, O_USER_ID = USER_ID, O_AMOUNT = AMOUNT
      -> STREAM (O_ID INTEGER KEY, O_USER_ID INTEGER, O_AMOUNT DOUBLE)
  PartitionBy <- Project: key ROWKEY = O_USER_ID
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, O_AMOUNT DOUBLE)
  Join-left-sink (RepartitionSink) <- PartitionBy: topic Join-left-repartition (key KAFKA, partitions as users) because O.USER_ID is not the key of O
sub-topology 1
  Join-left-source (RepartitionSource): topic Join-left-repartition
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, O_AMOUNT DOUBLE)
  Source2: TABLE USERS, topic users (key KAFKA, value JSON)
      -> TABLE (ID INTEGER KEY, NAME STRING, COUNTRY STRING)
  TableSource <- Source2: newest row per key
      store Table: changelog Table-changelog
  Project2 <- TableSource: ROWKEY = ID, U_NAME = NAME, U_COUNTRY = COUNTRY
      -> TABLE (ROWKEY INTEGER KEY, U_NAME STRING, U_COUNTRY STRING)
  Join (StreamTableJoin) <- Join-left-source, Project2: left
      store Join-table: changelog Join-table-changelog
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, O_AMOUNT DOUBLE, U_NAME STRING, U_COUNTRY STRING)
  Filter2 <- Join: U_COUNTRY = 'AT'
  Project3 <- Filter2: USER_ID = ROWKEY, O_ID, AMOUNT = O_AMOUNT, NAME = U_NAME
      -> STREAM (USER_ID INTEGER KEY, O_ID INTEGER, AMOUNT DOUBLE, NAME STRING)
  Sink <- Project3: topic E (key KAFKA, value JSON)
result: STREAM (USER_ID INTEGER KEY, O_ID INTEGER, AMOUNT DOUBLE, NAME STRING)
",
    );
}

#[test]
fn two_streams_within_a_window() {
    check(
        "CREATE STREAM e AS SELECT o.id, p.id AS payment, status FROM orders o LEFT JOIN payments p WITHIN (1 HOUR, 5 MINUTES) GRACE PERIOD 5 MINUTES ON o.id = p.order_id;",
        "
sub-topology 0
  Source2: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, ORDER_ID INTEGER, STATUS STRING)
  Project2 <- Source2: P_ID = ID, P_ORDER_ID = ORDER_ID, P_STATUS = STATUS
      -> STREAM (P_ID INTEGER KEY, P_ORDER_ID INTEGER, P_STATUS STRING)
  PartitionBy <- Project2: key ROWKEY = P_ORDER_ID
      -> STREAM (ROWKEY INTEGER KEY, P_ID INTEGER, P_STATUS STRING)
  Join-right-sink (RepartitionSink) <- PartitionBy: topic Join-right-repartition (key KAFKA, partitions as orders) because P.ORDER_ID is not the key of P
sub-topology 1
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY)
  Project <- Source: ROWKEY = ID
      -> STREAM (ROWKEY INTEGER KEY)
  Join-right-source (RepartitionSource): topic Join-right-repartition
      -> STREAM (ROWKEY INTEGER KEY, P_ID INTEGER, P_STATUS STRING)
  Join (StreamStreamJoin) <- Project, Join-right-source: left within 1h before and 5m after, grace 5m
      store Join-left: changelog Join-left-changelog, kept 1h 10m
      store Join-right: changelog Join-right-changelog, kept 1h 10m
      -> STREAM (ROWKEY INTEGER KEY, P_ID INTEGER, P_STATUS STRING)
  Project3 <- Join: O_ID = ROWKEY, PAYMENT = P_ID, STATUS = P_STATUS
      -> STREAM (O_ID INTEGER KEY, PAYMENT INTEGER, STATUS STRING)
  Sink <- Project3: topic E (key KAFKA, value JSON)
result: STREAM (O_ID INTEGER KEY, PAYMENT INTEGER, STATUS STRING)
",
    );
}

#[test]
fn a_stream_may_be_joined_with_a_part_of_itself() {
    check(
        "CREATE STREAM e AS SELECT p.id, p.status, d.status AS done FROM payments p LEFT JOIN payments d WITHIN (0 SECONDS, 5 MINUTES) GRACE PERIOD 0 SECONDS ON p.id = d.id AND d.status = 'done';",
        "
sub-topology 0
  Source: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, STATUS STRING)
  Project <- Source: ROWKEY = ID, P_STATUS = STATUS
      -> STREAM (ROWKEY INTEGER KEY, P_STATUS STRING)
  Source2: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, STATUS STRING)
  Filter <- Source2: STATUS = 'done'
  Project2 <- Filter: ROWKEY = ID, D_STATUS = STATUS
      -> STREAM (ROWKEY INTEGER KEY, D_STATUS STRING)
  Join (StreamStreamJoin) <- Project, Project2: left within 0ms before and 5m after, grace 0ms
      store Join-left: changelog Join-left-changelog, kept 5m
      store Join-right: changelog Join-right-changelog, kept 5m
      -> STREAM (ROWKEY INTEGER KEY, P_STATUS STRING, D_STATUS STRING)
  Project3 <- Join: P_ID = ROWKEY, P_STATUS, DONE = D_STATUS
      -> STREAM (P_ID INTEGER KEY, P_STATUS STRING, DONE STRING)
  Sink <- Project3: topic E (key KAFKA, value JSON)
result: STREAM (P_ID INTEGER KEY, P_STATUS STRING, DONE STRING)
",
    );
}

#[test]
fn two_tables_have_a_key_of_their_own() {
    check(
        "CREATE TABLE e AS SELECT * FROM users u FULL OUTER JOIN tiers t ON u.id = t.id;",
        "
sub-topology 0
  Source: TABLE USERS, topic users (key KAFKA, value JSON)
      -> TABLE (ID INTEGER KEY, NAME STRING, COUNTRY STRING)
  TableSource <- Source: newest row per key
      store Table: changelog Table-changelog
  Project <- TableSource: ROWKEY = ID, U_ID = ID, U_NAME = NAME, U_COUNTRY = COUNTRY
      -> TABLE (ROWKEY INTEGER KEY, U_ID INTEGER, U_NAME STRING, U_COUNTRY STRING)
  Source2: TABLE TIERS, topic tiers (key KAFKA, value JSON)
      -> TABLE (ID INTEGER KEY, TIER STRING)
  TableSource2 <- Source2: newest row per key
      store Table2: changelog Table2-changelog
  Project2 <- TableSource2: ROWKEY = ID, T_ID = ID, T_TIER = TIER
      -> TABLE (ROWKEY INTEGER KEY, T_ID INTEGER, T_TIER STRING)
  Join (TableTableJoin) <- Project, Project2: full
      store Join-left: changelog Join-left-changelog
      store Join-right: changelog Join-right-changelog
      -> TABLE (ROWKEY INTEGER KEY, U_ID INTEGER, U_NAME STRING, U_COUNTRY STRING, T_ID INTEGER, T_TIER STRING)
  Materialize <- Join: for pull queries
      store Materialize: changelog Materialize-changelog
  Sink <- Materialize: topic E (key KAFKA, value JSON)
result: TABLE (ROWKEY INTEGER KEY, U_ID INTEGER, U_NAME STRING, U_COUNTRY STRING, T_ID INTEGER, T_TIER STRING)
",
    );
}

#[test]
fn a_chain_of_joins() {
    check(
        "CREATE STREAM e AS SELECT u.id, o.id AS oid, p.status, u.name FROM orders o JOIN payments p WITHIN 1 HOUR ON o.id = p.order_id JOIN users u ON o.user_id = u.id;",
        "
sub-topology 0
  Source2: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, ORDER_ID INTEGER, STATUS STRING)
  Project2 <- Source2: P_ID = ID, P_ORDER_ID = ORDER_ID, P_STATUS = STATUS
      -> STREAM (P_ID INTEGER KEY, P_ORDER_ID INTEGER, P_STATUS STRING)
  PartitionBy <- Project2: key ROWKEY = P_ORDER_ID
      -> STREAM (ROWKEY INTEGER KEY, P_STATUS STRING)
  Join-right-sink (RepartitionSink) <- PartitionBy: topic Join-right-repartition (key KAFKA, partitions as orders) because P.ORDER_ID is not the key of P
sub-topology 1
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, USER_ID INTEGER)
  Project <- Source: ROWKEY = ID, O_ID = ID, O_USER_ID = USER_ID
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, O_USER_ID INTEGER)
  Join-right-source (RepartitionSource): topic Join-right-repartition
      -> STREAM (ROWKEY INTEGER KEY, P_STATUS STRING)
  Join (StreamStreamJoin) <- Project, Join-right-source: inner within 1h before and 1h after, grace 1d
      store Join-left: changelog Join-left-changelog, kept 1d 2h
      store Join-right: changelog Join-right-changelog, kept 1d 2h
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, O_USER_ID INTEGER, P_STATUS STRING)
  PartitionBy2 <- Join: key ROWKEY = O_USER_ID
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, P_STATUS STRING)
  Join2-left-sink (RepartitionSink) <- PartitionBy2: topic Join2-left-repartition (key KAFKA, partitions as users) because O.USER_ID is not the key of the join of O and P
sub-topology 2
  Join2-left-source (RepartitionSource): topic Join2-left-repartition
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, P_STATUS STRING)
  Source3: TABLE USERS, topic users (key KAFKA, value JSON)
      -> TABLE (ID INTEGER KEY, NAME STRING)
  TableSource <- Source3: newest row per key
      store Table: changelog Table-changelog
  Project3 <- TableSource: ROWKEY = ID, U_NAME = NAME
      -> TABLE (ROWKEY INTEGER KEY, U_NAME STRING)
  Join2 (StreamTableJoin) <- Join2-left-source, Project3: inner
      store Join2-table: changelog Join2-table-changelog
      -> STREAM (ROWKEY INTEGER KEY, O_ID INTEGER, P_STATUS STRING, U_NAME STRING)
  Project4 <- Join2: U_ID = ROWKEY, OID = O_ID, STATUS = P_STATUS, NAME = U_NAME
      -> STREAM (U_ID INTEGER KEY, OID INTEGER, STATUS STRING, NAME STRING)
  Sink <- Project4: topic E (key KAFKA, value JSON)
result: STREAM (U_ID INTEGER KEY, OID INTEGER, STATUS STRING, NAME STRING)
",
    );
}

#[test]
fn a_table_in_another_key_format_is_written_anew() {
    check(
        "CREATE TABLE e AS SELECT u.id, name, score FROM users u JOIN scores s ON u.id = s.id;",
        "
sub-topology 0
  Source2: TABLE SCORES, topic scores (key JSON, value JSON)
      -> TABLE (ID INTEGER KEY, SCORE DOUBLE)
  Join-right-sink (RepartitionSink) <- Source2: topic Join-right-repartition (key KAFKA, partitions as users) because the key of S is written as JSON, the other side's as KAFKA
sub-topology 1
  Source: TABLE USERS, topic users (key KAFKA, value JSON)
      -> TABLE (ID INTEGER KEY, NAME STRING)
  TableSource <- Source: newest row per key
      store Table: changelog Table-changelog
  Project <- TableSource: ROWKEY = ID, U_NAME = NAME
      -> TABLE (ROWKEY INTEGER KEY, U_NAME STRING)
  Join-right-source (RepartitionSource): topic Join-right-repartition
      -> TABLE (ID INTEGER KEY, SCORE DOUBLE)
  TableSource2 <- Join-right-source: newest row per key
      store Table2: changelog Table2-changelog
  Project2 <- TableSource2: ROWKEY = ID, S_SCORE = SCORE
      -> TABLE (ROWKEY INTEGER KEY, S_SCORE DOUBLE)
  Join (TableTableJoin) <- Project, Project2: inner
      store Join-left: changelog Join-left-changelog
      store Join-right: changelog Join-right-changelog
      -> TABLE (ROWKEY INTEGER KEY, U_NAME STRING, S_SCORE DOUBLE)
  Project3 <- Join: U_ID = ROWKEY, NAME = U_NAME, SCORE = S_SCORE
      -> TABLE (U_ID INTEGER KEY, NAME STRING, SCORE DOUBLE)
  Materialize <- Project3: for pull queries
      store Materialize: changelog Materialize-changelog
  Sink <- Materialize: topic E (key KAFKA, value JSON)
result: TABLE (U_ID INTEGER KEY, NAME STRING, SCORE DOUBLE)
",
    );
}

#[test]
fn a_table_function_makes_rows() {
    check(
        "CREATE STREAM e AS SELECT id, EXPLODE(items)->sku AS sku FROM orders;",
        "
sub-topology 0
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, ITEMS ARRAY<STRUCT<`SKU` STRING, `QTY` INTEGER>>)
  FlatMap <- Source: KSQL_TABLE_FN_0 = EXPLODE(ITEMS)
      -> STREAM (ID INTEGER KEY, ITEMS ARRAY<STRUCT<`SKU` STRING, `QTY` INTEGER>>, KSQL_TABLE_FN_0 STRUCT<`SKU` STRING, `QTY` INTEGER>)
  Project <- FlatMap: ID, SKU = KSQL_TABLE_FN_0->SKU
      -> STREAM (ID INTEGER KEY, SKU STRING)
  Sink <- Project: topic E (key KAFKA, value JSON)
result: STREAM (ID INTEGER KEY, SKU STRING)
",
    );
}

#[test]
fn an_expression_becomes_the_key() {
    check(
        "CREATE STREAM e WITH (key_format = 'JSON') AS SELECT * FROM payments PARTITION BY order_id + 1;",
        "
sub-topology 0
  Source: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, ORDER_ID INTEGER, STATUS STRING)
  PartitionBy <- Source: key KSQL_COL_0 = ORDER_ID + 1
      -> STREAM (KSQL_COL_0 INTEGER KEY, ID INTEGER, ORDER_ID INTEGER, STATUS STRING)
  Project <- PartitionBy: KSQL_COL_0, ORDER_ID, STATUS, ID
      -> STREAM (KSQL_COL_0 INTEGER KEY, ORDER_ID INTEGER, STATUS STRING, ID INTEGER)
  Sink <- Project: topic E (key JSON, value JSON)
result: STREAM (KSQL_COL_0 INTEGER KEY, ORDER_ID INTEGER, STATUS STRING, ID INTEGER)
",
    );
}

#[test]
fn no_key_at_all() {
    check(
        "CREATE STREAM e AS SELECT id, status FROM payments PARTITION BY NULL;",
        "
sub-topology 0
  Source: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, STATUS STRING)
  PartitionBy <- Source: no key
      -> STREAM (ID INTEGER, STATUS STRING)
  Sink <- PartitionBy: topic E (key NONE, value JSON)
result: STREAM (ID INTEGER, STATUS STRING)
",
    );
}

#[test]
fn inserting_widens_numbers() {
    check(
        "CREATE STREAM wide (k INT KEY, n DOUBLE) WITH (kafka_topic = 'wide'); INSERT INTO wide SELECT id AS k, order_id AS n FROM payments;",
        "
sub-topology 0
  Source: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, ORDER_ID INTEGER)
  Project <- Source: K = ID, N = ORDER_ID
      -> STREAM (K INTEGER KEY, N INTEGER)
  Project2 <- Project: K, N = CAST(N AS DOUBLE)
      -> STREAM (K INTEGER KEY, N DOUBLE)
  Sink <- Project2: topic wide (key KAFKA, value JSON)
result: STREAM (K INTEGER KEY, N DOUBLE)
",
    );
}

#[test]
fn a_push_query_needs_no_key() {
    check(
        "SELECT ROWTIME, amount FROM orders WHERE ROWTIME > '2020-01-01' EMIT CHANGES LIMIT 2;",
        "
sub-topology 0
  Source: STREAM ORDERS, topic orders (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY, AMOUNT DOUBLE, ROWTIME BIGINT)
  Filter <- Source: ROWTIME > 1577836800000
  Project <- Filter: ID, ROWTIME, AMOUNT
      -> STREAM (ID INTEGER KEY, ROWTIME BIGINT, AMOUNT DOUBLE)
  Limit <- Project: 2 rows
  Collect <- Limit: rows to the client
result: STREAM (ID INTEGER KEY, ROWTIME BIGINT, AMOUNT DOUBLE)
",
    );
}

#[test]
fn windowed_rows_keep_their_window() {
    check(
        "SELECT page, WINDOWSTART AS start, n FROM clicks EMIT CHANGES;",
        "
sub-topology 0
  Source: STREAM CLICKS, topic clicks (key KAFKA, value JSON), tumbling windows of 10s
      -> STREAM (PAGE STRING KEY, WINDOW, N INTEGER)
  Project <- Source: PAGE, START = WINDOWSTART, N
      -> STREAM (PAGE STRING KEY, WINDOW, START BIGINT, N INTEGER)
  Collect <- Project: rows to the client
result: STREAM (PAGE STRING KEY, WINDOW, START BIGINT, N INTEGER)
",
    );
}

#[test]
fn a_push_query_groups_everything() {
    check(
        "SELECT COUNT(*) FROM payments EMIT CHANGES;",
        "
sub-topology 0
  Source: STREAM PAYMENTS, topic payments (key KAFKA, value JSON)
      -> STREAM (ID INTEGER KEY)
  GroupBy <- Source: key KSQL_GROUP_0 = 0
      -> STREAM (KSQL_GROUP_0 INTEGER KEY)
  Aggregate-sink (RepartitionSink) <- GroupBy: topic Aggregate-repartition (key KAFKA, partitions as payments) because rows are grouped by everything, which is not their key
sub-topology 1
  Aggregate-source (RepartitionSource): topic Aggregate-repartition
      -> STREAM (KSQL_GROUP_0 INTEGER KEY)
  Aggregate <- Aggregate-source: KSQL_AGG_0 = COUNT(*)
      store Aggregate: in memory
      -> TABLE (KSQL_GROUP_0 INTEGER KEY, KSQL_AGG_0 BIGINT)
  Project <- Aggregate: KSQL_GROUP_0, KSQL_COL_0 = KSQL_AGG_0
      -> TABLE (KSQL_GROUP_0 INTEGER KEY, KSQL_COL_0 BIGINT)
  Collect <- Project: rows to the client
result: TABLE (KSQL_GROUP_0 INTEGER KEY, KSQL_COL_0 BIGINT)
",
    );
}

#[test]
fn rows_go_to_the_rows_that_they_name_and_back() {
    check(
        "CREATE TABLE e AS SELECT s.id, name FROM scores s JOIN users u ON CAST(score AS INT) = u.id;",
        "
sub-topology 0
  Source: TABLE SCORES, topic scores (key JSON, value JSON)
      -> TABLE (ID INTEGER KEY, SCORE DOUBLE)
  TableSource <- Source: newest row per key
      store Table: changelog Table-changelog
  Project <- TableSource: S_ID = ID, S_SCORE = SCORE
      -> TABLE (S_ID INTEGER KEY, S_SCORE DOUBLE)
  ForeignKey <- Project: key ROWKEY = CAST(S_SCORE AS INT)
      store Join-numbers: changelog Join-numbers-changelog
      -> TABLE (ROWKEY INTEGER KEY, S_ID INTEGER, ROWKEY_number BIGINT)
  Join-left-sink (RepartitionSink) <- ForeignKey: topic Join-left-foreign (key KAFKA, partitions as users) because CAST(S.SCORE AS INT) names rows of U
sub-topology 1
  Source2: TABLE USERS, topic users (key KAFKA, value JSON)
      -> TABLE (ID INTEGER KEY, NAME STRING)
  TableSource2 <- Source2: newest row per key
      store Table2: changelog Table2-changelog
  Project2 <- TableSource2: ROWKEY = ID, U_NAME = NAME
      -> TABLE (ROWKEY INTEGER KEY, U_NAME STRING)
  Join-left-source (RepartitionSource): topic Join-left-foreign
      -> TABLE (ROWKEY INTEGER KEY, S_ID INTEGER, ROWKEY_number BIGINT)
  Join (ForeignKeyJoin) <- Join-left-source, Project2: inner
      store Join-left: changelog Join-left-changelog
      store Join-right: changelog Join-right-changelog
      -> TABLE (S_ID INTEGER KEY, ROWKEY_number BIGINT, U_NAME STRING, ROWKEY_gone BOOLEAN)
  Join-result-sink (RepartitionSink) <- Join: topic Join-result-foreign (key JSON, partitions as scores) because results have the key of S
sub-topology 2
  Join-result-source (RepartitionSource): topic Join-result-foreign
      -> TABLE (S_ID INTEGER KEY, ROWKEY_number BIGINT, U_NAME STRING, ROWKEY_gone BOOLEAN)
  Join-newest (NewestResult) <- Join-result-source: by ROWKEY_number
      store Join-newest: changelog Join-newest-changelog
      -> TABLE (S_ID INTEGER KEY, U_NAME STRING)
  Join-table (TableSource) <- Join-newest: newest row per key
      store Join-result: changelog Join-result-changelog
  Project3 <- Join-table: ROWKEY = S_ID, U_NAME
      -> TABLE (ROWKEY INTEGER KEY, U_NAME STRING)
  Project4 <- Project3: S_ID = ROWKEY, NAME = U_NAME
      -> TABLE (S_ID INTEGER KEY, NAME STRING)
  Materialize <- Project4: for pull queries
      store Materialize: changelog Materialize-changelog
  Sink <- Materialize: topic E (key JSON, value JSON)
result: TABLE (S_ID INTEGER KEY, NAME STRING)
",
    );
}
