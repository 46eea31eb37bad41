//! Queries without EMIT.

use super::{SOURCES, Script};
use crate::error::Result;
use crate::plan::pull::{Bounds, PullOrAdHoc, PullPlan, plan_pull};
use crate::sql::ast::StatementKind;
use crate::sql::parse_statement;
use crate::types::{Namespace, Value};

fn plan(query: &str) -> Result<PullOrAdHoc> {
    let mut script = Script::new();
    script.explain(
        &format!(
            "{SOURCES}
        CREATE TABLE totals AS SELECT user_id, at, COUNT(*) AS n FROM orders GROUP BY user_id, at;
        CREATE TABLE per_hour AS SELECT user_id, COUNT(*) AS n FROM orders
            WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY user_id;"
        )
        .replace("AS SELECT user_id, at", "WITH (key_format = 'JSON') AS SELECT user_id, at"),
    );
    match parse_statement(query)?.kind {
        StatementKind::Query(query) => plan_pull(&script.catalog, &query),
        other => panic!("not a query: {other:?}"),
    }
}

fn pull(query: &str) -> PullPlan {
    match plan(query).expect(query) {
        PullOrAdHoc::Pull(plan) => *plan,
        PullOrAdHoc::AdHoc => panic!("ad hoc: {query}"),
    }
}

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

#[test]
fn keys_come_out_of_where() {
    let plan = pull("SELECT name FROM users WHERE id = '7' AND name <> 'x' LIMIT 3;");
    assert_eq!(plan.keys, Some(vec![vec![Value::Int(7)]]));
    assert_eq!(plan.filter.as_deref(), Some("NAME <> 'x'"));
    assert_eq!(plan.limit, Some(3));

    let plan = pull("SELECT * FROM totals WHERE at IN ('a', 'b', 'a') AND user_id = 1;");
    assert_eq!(plan.keys, Some(vec![vec![Value::Int(1), text("a")], vec![Value::Int(1), text("b")]]));
    assert_eq!(plan.filter, None);
    let keys: Vec<bool> = plan.output.iter().map(|column| column.namespace == Namespace::Key).collect();
    assert_eq!(keys, [true, true, false]);
}

#[test]
fn part_of_a_key_is_a_scan() {
    let plan = pull("SELECT n FROM totals WHERE user_id = 1 AND ROWTIME > 5;");
    assert_eq!(plan.keys, None);
    assert_eq!(plan.filter.as_deref(), Some("USER_ID = 1 AND ROWTIME > 5"));
    assert!(plan.uses_rowtime);
}

#[test]
fn window_bounds_become_ranges() {
    let plan = pull(
        "SELECT * FROM per_hour WHERE user_id = 1 AND WINDOWSTART >= '1970-01-01T01' AND WINDOWSTART < 7200000
         AND 10000000 > WINDOWEND;",
    );
    assert_eq!(plan.window_start, Bounds { min: 3_600_000, max: 7_199_999 });
    assert_eq!(plan.window_end, Bounds { min: i64::MIN, max: 9_999_999 });
    assert_eq!(plan.filter, None);
    let names: Vec<&str> = plan.output.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(names, ["USER_ID", "WINDOWSTART", "WINDOWEND", "N"]);
}

#[test]
fn everything_else_is_ad_hoc() {
    for query in [
        "SELECT COUNT(*) FROM users;",
        "SELECT country FROM users GROUP BY country;",
        "SELECT * FROM users u JOIN tiers t ON u.id = t.id;",
        "SELECT * FROM users ORDER BY name;",
    ] {
        assert!(matches!(plan(query), Ok(PullOrAdHoc::AdHoc)), "{query}");
    }
}

#[test]
fn wrong_lookups_are_refused() {
    for (query, fragment) in [
        ("SELECT * FROM users WHERE id = 'x';", "the key ID: 'x' is no INTEGER"),
        ("SELECT * FROM users WHERE id = NULL;", "the key ID is never NULL"),
        ("SELECT ROWOFFSET FROM users;", "ROWOFFSET in a query without EMIT CHANGES"),
        ("SELECT nam FROM users;", "unknown column NAM"),
    ] {
        let error = plan(query).expect_err(query);
        assert!(error.message().contains(fragment), "{query}\n{error}");
    }
}
