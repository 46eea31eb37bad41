//! What is refused: the message, where it points, and what it suggests.

use crate::error::ErrorKind;
use crate::sql::parse_script;

/// `line:column message | hints`
fn refuse(text: &str) -> String {
    let error = parse_script(text).expect_err(text);
    assert!(matches!(error.kind(), ErrorKind::Syntax | ErrorKind::Semantic | ErrorKind::Unsupported));
    let (line, column) = error.span().expect("a place").line_column(text);
    let hints = error.hints().join(" ");
    format!("{line}:{column} {}{}{hints}", error.message(), if hints.is_empty() { "" } else { " | " })
}

#[test]
fn misspelt_keywords() {
    assert_eq!(
        refuse("SHOW STREAMS;\n SELCT * FROM s;"),
        "2:2 expected a statement, found `SELCT` | Did you mean SELECT?"
    );
    assert_eq!(
        refuse("CREATE TABEL t (a INT)"),
        "1:8 expected STREAM, TABLE, TYPE, SOURCE or OR REPLACE, found `TABEL` | Did you mean TABLE?"
    );
    assert_eq!(refuse("SELECT a FORM s"), "1:15 expected FROM, found `s` | Did you mean FROM instead of FORM?");
    assert!(refuse("SELECT a FROM s WEHRE b = 1").ends_with("Did you mean WHERE instead of WEHRE?"));
    assert_eq!(
        refuse("SELECT a FROM s EMIT CHNAGES"),
        "1:22 expected CHANGES or FINAL, found `CHNAGES` | Did you mean CHANGES?"
    );
    assert!(refuse("SELECT a FROM s WINDOW TUMBLNG (SIZE 1 DAY)").ends_with("Did you mean TUMBLING?"));
    assert!(refuse("SELECT a FROM s x GRUOP BY a").ends_with("Did you mean GROUP?"));
    assert!(refuse("SHOW STREAM").ends_with("Did you mean STREAMS?"));
    assert!(refuse("frobnicate").starts_with("1:1 expected a statement, found `frobnicate`"));
}

#[test]
fn separators_and_order() {
    assert_eq!(
        refuse("SHOW STREAMS\nSHOW TABLES;"),
        "2:1 expected the end of the statement, found `SHOW` | Put a semicolon between statements: before SHOW."
    );
    assert!(refuse("SELECT a FROM s GROUP BY a WHERE b").contains("in this order: SELECT, FROM, WINDOW, WHERE"));
    assert_eq!(refuse("SELECT a, FROM s"), "1:11 expected an expression, found `FROM` | Remove the comma before FROM.");
    assert!(refuse("CREATE STREAM s (a INT,)").ends_with("Remove the comma at the end."));
    assert_eq!(refuse("SELECT f(a, b FROM s"), "1:15 expected `,` or `)`, found `FROM`");
    assert_eq!(refuse("SELECT a FROM"), "1:14 expected the name of a stream or table, found the end of the text");
    assert!(refuse("CREATE STREAM s SELECT a FROM b").starts_with("1:17 expected AS, found `SELECT`"));
}

#[test]
fn strings_and_names() {
    assert_eq!(
        refuse("SET 'a' = \"b\""),
        "1:11 expected the value as a string, found `\"b\"` | Strings stand in single quotes: 'b'."
    );
    assert!(refuse("CREATE STREAM s WITH (kafka_topic = \"t\")").ends_with("Strings stand in single quotes: 't'."));
    assert!(refuse("CREATE STREAM s WITH (format = json)").ends_with("Strings stand in single quotes: 'json'."));
    assert_eq!(
        refuse("CREATE STREAM group (a INT)"),
        "1:15 expected the name of a stream, found `group` | GROUP is a reserved word; quote it to use it as a name: `GROUP`."
    );
    assert!(refuse("SELECT a\nFROM `s").starts_with("2:6 unterminated quoted name"));
    assert!(refuse("SELECT 'ü\n").starts_with("1:8 unterminated string"));
    assert!(refuse("SHOW STREAMS; /* x").starts_with("1:15 unterminated comment"));
    assert!(refuse("SELECT `` FROM s").contains("found an empty name"));
    assert!(refuse("SELECT é FROM s").ends_with("has to be quoted with backquotes."));
}

#[test]
fn habits_from_elsewhere() {
    for (text, hint) in [
        ("SELECT a FROM s WHERE a == 1", "Equality is written with one `=`."),
        ("SELECT a::INT FROM s", "CAST(x AS type)"),
        ("SELECT a FROM s WHERE !a", "written NOT"),
        ("SELECT DISTINCT a FROM s", "use GROUP BY"),
        ("SELECT COUNT(DISTINCT a) FROM s", "COUNT_DISTINCT(…)"),
        ("SELECT a FROM (SELECT b FROM c)", "no subqueries"),
        ("SELECT a FROM s, t", "JOIN … ON …"),
        ("SELECT a FROM s UNION SELECT b FROM t", "INSERT INTO"),
        ("SELECT a FROM s GROUP BY a AND b", "in brackets"),
        ("CREATE TABLE t (a INT KEY)", "Write PRIMARY KEY."),
        ("CREATE STREAM s (a INT PRIMARY KEY)", "Write KEY:"),
        ("SELECT a.b.c FROM s", "`->`"),
        ("SELECT ${x} FROM s", "DEFINE"),
        ("SELECT a FROM s WHERE a = b = c", "Use AND"),
        ("SELECT a FROM s WHERE a = NOT b", "(NOT …)"),
        ("INSERT INTO s VALUES (1), (2)", "Each row has its own"),
        ("CREATE STREAM s (a INT) AS SELECT b FROM t", "aliases and CAST"),
        ("CREATE STREAM s (a INT NOT NULL)", "Every column may be null."),
        ("SELECT a FROM s WINDOW TUMBLING (SIZE 1 WEEK) GROUP BY a", "a week is 7 DAYS"),
        ("SELECT a FROM s WINDOW HOPPING (SIZE 1 HOUR) GROUP BY a", "TUMBLING"),
    ] {
        let refusal = refuse(text);
        assert!(refusal.contains(hint), "{text}: {refusal}");
    }
    assert_eq!(refuse("SELECT x => 1 FROM s"), "1:8 a lambda can only be an argument of a function");
    assert_eq!(refuse("CREATE SINK CONNECTOR c WITH (a = 'b')"), "1:8 connectors are not offered");
    assert_eq!(refuse("SELECT a FROM s WINDOW TUMBLING (SIZE 0 SECONDS)"), "1:39 the length of time must be positive");
    assert_eq!(refuse("ADVANCE TIME BY 9223372036854775807 DAYS"), "1:17 the length of time is out of range");
    assert!(
        refuse("SELECT a FROM s WINDOW TUMBLING (SIZE 1 DAY, RETENTION 1 DAY, RETENTION 1 DAY)")
            .contains("given twice")
    );
    assert!(refuse("SELECT a FROM s JOIN t").starts_with("1:23 expected WITHIN or ON, found the end of the text"));
}
