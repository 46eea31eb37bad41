//! Mistakes in queries: what is refused, where it is underlined, and that there is a hint.

use super::{SOURCES, Script};

/// Statements, a part of the message, and the text that is underlined.
const REFUSED: &[(&str, &str, &str)] = &[
    // Names
    ("SELECT * FROM order EMIT CHANGES;", "ORDER does not exist", "order"),
    ("SELECT amuont FROM orders EMIT CHANGES;", "unknown column AMUONT", "amuont"),
    ("SELECT o.amount FROM orders EMIT CHANGES;", "no source of this query goes by the name O", "o"),
    ("SELECT id FROM orders o JOIN users u ON o.user_id = u.id EMIT CHANGES;", "ID is ambiguous", "id"),
    ("SELECT x.* FROM orders o EMIT CHANGES;", "goes by the name X", "x"),
    ("SELECT amount->* FROM orders EMIT CHANGES;", "->* is for structs", "amount"),
    ("SELECT id, amount AS id FROM orders EMIT CHANGES;", "two columns of the result are named ID", "amount"),
    ("SELECT windowstart FROM orders EMIT CHANGES;", "unknown column WINDOWSTART", "windowstart"),
    // Types
    ("SELECT * FROM orders WHERE amount EMIT CHANGES;", "the WHERE clause must be BOOLEAN, and is DOUBLE", "amount"),
    ("SELECT NULL FROM orders EMIT CHANGES;", "has no type", "NULL"),
    // The key of a result
    ("CREATE STREAM s AS SELECT amount FROM orders;", "lacks its key: ID", "SELECT amount FROM orders"),
    ("CREATE STREAM s AS SELECT id, id AS i, amount FROM orders;", "the key ID is selected twice", "id"),
    ("CREATE STREAM s AS SELECT id FROM orders;", "no value columns", "SELECT id FROM orders"),
    (
        "CREATE STREAM s AS SELECT o.amount FROM orders o JOIN users u ON o.user_id = u.id;",
        "lacks its key: O.USER_ID or U.ID",
        "SELECT o.amount FROM orders o JOIN users u ON o.user_id = u.id",
    ),
    ("CREATE STREAM s AS SELECT id, ROWTIME FROM orders;", "cannot have a column named ROWTIME", "ROWTIME"),
    ("CREATE STREAM s AS SELECT id, amount AS rowtime FROM orders;", "name of a system column", "rowtime"),
    // Kinds
    ("CREATE STREAM s AS SELECT * FROM users;", "the query makes a TABLE, not a STREAM", "s"),
    ("CREATE TABLE t AS SELECT * FROM orders;", "the query makes a STREAM, not a TABLE", "t"),
    ("INSERT INTO users SELECT * FROM tiers;", "USERS is a table", "users"),
    ("INSERT INTO payments SELECT id, order_id FROM payments;", "2 columns for 3", "SELECT id, order_id FROM payments"),
    (
        "INSERT INTO payments SELECT id, status AS order_id, status FROM payments;",
        "ORDER_ID is STRING and must be INTEGER",
        "SELECT id, status AS order_id, status FROM payments",
    ),
    // Aggregation
    ("CREATE TABLE t AS SELECT COUNT(*) FROM orders;", "COUNT(*) without GROUP BY", "COUNT(*)"),
    ("CREATE TABLE t AS SELECT user_id FROM orders GROUP BY user_id;", "without an aggregate", "user_id"),
    (
        "CREATE TABLE t AS SELECT user_id, amount, COUNT(*) FROM orders GROUP BY user_id;",
        "AMOUNT in SELECT is neither grouped nor aggregated",
        "amount",
    ),
    (
        "CREATE TABLE t AS SELECT user_id, COUNT(*) FROM orders GROUP BY user_id HAVING amount > 1;",
        "AMOUNT in HAVING is neither grouped nor aggregated",
        "amount",
    ),
    ("CREATE TABLE t AS SELECT id, SUM(COUNT(*)) FROM orders GROUP BY id;", "COUNT(*) inside another", "COUNT(*)"),
    ("CREATE TABLE t AS SELECT id FROM orders GROUP BY SUM(id);", "GROUP BY cannot use the aggregate", "SUM(id)"),
    ("SELECT * FROM orders WHERE COUNT(*) > 1 EMIT CHANGES;", "WHERE cannot use the aggregate", "COUNT(*)"),
    ("SELECT id FROM orders HAVING id > 1 EMIT CHANGES;", "HAVING without GROUP BY", "id > 1"),
    (
        "CREATE TABLE t AS SELECT id, COUNT(*) FROM orders GROUP BY id EMIT FINAL;",
        "EMIT FINAL is for windowed aggregations",
        "SELECT id, COUNT(*) FROM orders GROUP BY id EMIT FINAL",
    ),
    (
        "CREATE TABLE t AS SELECT id, COUNT(*) FROM users WINDOW TUMBLING (SIZE 1 DAY) GROUP BY id;",
        "WINDOW is for streams",
        "WINDOW TUMBLING (SIZE 1 DAY)",
    ),
    (
        "CREATE TABLE t AS SELECT id, MIN(WINDOWSTART) FROM orders WINDOW TUMBLING (SIZE 1 DAY) GROUP BY id;",
        "WINDOWSTART can only stand in SELECT",
        "WINDOWSTART",
    ),
    (
        "CREATE TABLE t AS SELECT id, COUNT(*) FROM orders
         WINDOW TUMBLING (SIZE 1 DAY, RETENTION 1 DAY, GRACE PERIOD 1 HOUR) GROUP BY id;",
        "RETENTION is shorter",
        "WINDOW TUMBLING (SIZE 1 DAY, RETENTION 1 DAY, GRACE PERIOD 1 HOUR)",
    ),
    (
        "CREATE TABLE t AS SELECT country, EARLIEST_BY_OFFSET(name) FROM users GROUP BY country;",
        "EARLIEST_BY_OFFSET cannot aggregate a table",
        "EARLIEST_BY_OFFSET(name)",
    ),
    (
        "CREATE TABLE t AS SELECT id, EXPLODE(items), COUNT(*) FROM orders GROUP BY id;",
        "EXPLODE(ITEMS) together with aggregates",
        "EXPLODE(items)",
    ),
    // Partitioning
    ("CREATE TABLE t AS SELECT * FROM users PARTITION BY name;", "PARTITION BY is for streams", "name"),
    ("CREATE STREAM s AS SELECT * FROM orders PARTITION BY NULL, id;", "NULL takes no further", "NULL"),
    ("CREATE STREAM s AS SELECT id AS x, at FROM orders PARTITION BY x;", "unknown column X in PARTITION BY", "x"),
    (
        "CREATE STREAM s WITH (key_format = 'JSON') AS SELECT id, at FROM orders PARTITION BY NULL;",
        "the key format JSON for a stream without a key",
        "s",
    ),
    ("CREATE STREAM s AS SELECT * FROM orders PARTITION BY user_id, amount;", "KAFKA cannot hold 2", "s"),
    // Joins
    (
        "SELECT * FROM orders o JOIN payments p ON o.id = p.order_id EMIT CHANGES;",
        "needs a WITHIN clause",
        "JOIN payments p ON o.id = p.order_id",
    ),
    (
        "SELECT * FROM orders o JOIN users u WITHIN 1 HOUR ON o.user_id = u.id EMIT CHANGES;",
        "WITHIN is for joins of two streams",
        "JOIN users u WITHIN 1 HOUR ON o.user_id = u.id",
    ),
    (
        "SELECT * FROM scores s RIGHT JOIN users u ON CAST(s.score AS INT) = u.id EMIT CHANGES;",
        "RIGHT and FULL foreign-key joins",
        "CAST(s.score AS INT) = u.id",
    ),
    (
        "SELECT * FROM users u JOIN scores s ON u.id = s.id JOIN scores t ON LEN(u.name) = t.id EMIT CHANGES;",
        "a foreign-key join behind another join",
        "LEN(u.name) = t.id",
    ),
    (
        "SELECT * FROM orders o JOIN users u ON o.user_id = u.name EMIT CHANGES;",
        "different types",
        "o.user_id = u.name",
    ),
    (
        "SELECT * FROM orders o JOIN users u ON o.at = u.name EMIT CHANGES;",
        "joining the table U on U.NAME, which is not its primary key",
        "o.at = u.name",
    ),
    (
        "SELECT * FROM orders o JOIN users u ON o.user_id > u.id EMIT CHANGES;",
        "other than one equality",
        "o.user_id > u.id",
    ),
    ("SELECT * FROM orders o JOIN users u ON o.user_id = 1 EMIT CHANGES;", "uses no source", "1"),
    ("SELECT * FROM orders o JOIN users u ON o.user_id = o.id EMIT CHANGES;", "both sides", "o.user_id = o.id"),
    ("SELECT * FROM orders JOIN orders WITHIN 1 HOUR ON id = id EMIT CHANGES;", "go by the name ORDERS", "orders"),
    (
        "SELECT * FROM orders o JOIN users u ON o.user_id = u.id AND o.at = u.name EMIT CHANGES;",
        "a join on several equalities",
        "o.at = u.name",
    ),
    (
        "SELECT * FROM orders o LEFT JOIN users u ON o.user_id = u.id AND o.amount > 1 EMIT CHANGES;",
        "the side whose rows survive without a match",
        "o.amount > 1",
    ),
    (
        "SELECT * FROM orders o JOIN users u ON o.user_id = u.id AND o.at > u.name EMIT CHANGES;",
        "a condition on both sides besides the equality",
        "o.at > u.name",
    ),
    (
        "SELECT * FROM users u JOIN orders o ON u.id = o.user_id EMIT CHANGES;",
        "joining the table U to the stream O",
        "JOIN orders o ON u.id = o.user_id",
    ),
    (
        "SELECT * FROM orders o FULL JOIN users u ON o.user_id = u.id EMIT CHANGES;",
        "RIGHT and FULL joins of a stream with a table",
        "FULL JOIN users u ON o.user_id = u.id",
    ),
    (
        "SELECT * FROM orders o JOIN clicks c WITHIN 1 HOUR ON o.at = c.page EMIT CHANGES;",
        "joining the windowed source C with O, which is not windowed",
        "o.at = c.page",
    ),
    (
        "SELECT * FROM users u JOIN tiers t ON u.name = t.tier EMIT CHANGES;",
        "joining the table T on T.TIER",
        "u.name = t.tier",
    ),
    // The rest
    ("CREATE STREAM s AS SELECT * FROM orders LIMIT 3;", "LIMIT in a persistent query", "SELECT * FROM orders LIMIT 3"),
    ("SELECT EXPLODE(name) FROM users EMIT CHANGES;", "EXPLODE(NAME) on a table", "EXPLODE(name)"),
    ("SELECT EXPLODE(at) FROM orders EMIT CHANGES;", "does not accept", "EXPLODE(at)"),
    ("CREATE STREAM s WITH (fromat = 'JSON') AS SELECT * FROM orders;", "unknown property FROMAT", "fromat"),
    (
        "CREATE STREAM s WITH (window_type = 'SESSION') AS SELECT * FROM orders;",
        "no meaning in this statement",
        "window_type",
    ),
    (
        "CREATE STREAM s WITH (timestamp = 'amount') AS SELECT * FROM orders;",
        "a timestamp column cannot be DOUBLE",
        "'amount'",
    ),
    (
        "CREATE STREAM s WITH (wrap_single_value = false) AS SELECT * FROM orders;",
        "WRAP_SINGLE_VALUE is for values of one column",
        "false",
    ),
];

#[test]
fn mistakes_are_refused_at_their_place() {
    let mut wrong = Vec::new();
    for (statement, fragment, underlined) in REFUSED {
        let mut script = Script::new();
        script.explain(SOURCES);
        match script.run(statement) {
            Ok(()) => wrong.push(format!("{statement}: accepted")),
            Err(error) => {
                let place = error.span().map(|span| &statement[span.start..span.end]);
                if !error.message().contains(fragment) || place != Some(*underlined) {
                    wrong.push(format!("{statement}: {error} at {place:?}"));
                }
            }
        }
    }
    assert_eq!(wrong, Vec::<String>::new());
}

#[test]
fn near_names_are_suggested() {
    for (statement, hint) in [
        ("SELECT amuont FROM orders EMIT CHANGES;", "Did you mean AMOUNT?"),
        ("SELECT * FROM ordres EMIT CHANGES;", "Did you mean ORDERS?"),
        (
            "SELECT `amount` FROM orders EMIT CHANGES;",
            "There is AMOUNT: wrap the name in back-quotes to keep its case.",
        ),
        ("SELECT id FROM orders o JOIN users u ON o.user_id = u.id EMIT CHANGES;", "Write O.ID or U.ID."),
    ] {
        let mut script = Script::new();
        script.explain(SOURCES);
        let error = script.run(statement).expect_err(statement);
        assert_eq!(error.hints(), [hint], "{statement}");
    }
}

#[test]
fn partition_counts_must_agree() {
    let mut script = Script::new();
    script.partitions = vec![("orders", 4), ("users", 2), ("tiers", 4)];
    script.explain(SOURCES);
    let error = script.run("SELECT * FROM orders o JOIN users u ON o.id = u.id EMIT CHANGES;").expect_err("4 and 2");
    assert_eq!(error.message(), "O has 4 partition(s) and U has 2: they cannot be joined");
    script.run("SELECT * FROM orders o JOIN tiers t ON o.id = t.id EMIT CHANGES;").expect("4 and 4");
    script.run("SELECT * FROM orders o JOIN users u ON o.user_id = u.id EMIT CHANGES;").expect("rows move anyway");
}
