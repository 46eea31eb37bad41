//! Queries and the topologies that they become.
use super::{SOURCES, Script};

fn print(query: &str) {
    let mut script = Script::new();
    eprintln!("--- {query}\n{}", script.explain(&format!("{SOURCES}{query}")));
}

#[test]
fn show() {
    for q in [
        "CREATE STREAM big AS SELECT id, amount * 2 AS twice, at FROM orders WHERE amount > 100;",
        "CREATE TABLE t AS SELECT user_id, COUNT(*) AS n, SUM(amount) FROM orders WINDOW TUMBLING (SIZE 5 MINUTES) GROUP BY user_id HAVING COUNT(*) > 2 EMIT FINAL;",
        "CREATE TABLE t AS SELECT id, COUNT(*) AS n FROM orders GROUP BY id;",
        "CREATE STREAM e AS SELECT o.user_id, o.id, amount, u.name, u.country FROM orders o LEFT JOIN users u ON o.user_id = u.id WHERE amount > 1;",
        "CREATE STREAM e AS SELECT * FROM orders o JOIN payments p WITHIN 1 HOUR GRACE PERIOD 5 MINUTES ON o.id = p.order_id;",
        "CREATE TABLE e AS SELECT * FROM users u FULL OUTER JOIN tiers t ON u.id = t.id;",
        "CREATE STREAM e AS SELECT id, EXPLODE(items)->sku AS sku FROM orders;",
        "CREATE STREAM e AS SELECT * FROM orders PARTITION BY amount + 1;",
        "SELECT * FROM clicks EMIT CHANGES LIMIT 2;",
        "SELECT COUNT(*) FROM orders EMIT CHANGES;",
        "SELECT ROWTIME, amount FROM orders WHERE ROWTIME > '2020-01-01' EMIT CHANGES;",
        "CREATE TABLE c AS SELECT country, COUNT(*) FROM users GROUP BY country;",
        "CREATE STREAM e AS SELECT u.id, o.id as oid, p.status, u.name FROM orders o JOIN payments p WITHIN 1 HOUR ON o.id = p.order_id JOIN users u ON o.user_id = u.id;",
    ] {
        print(q);
    }
}
