//! The prompt against a real Kafka: a push query and a pull query.

use std::process::Command;

use super::world::{bootstrap, fresh_topics, produce};

fn sql(service: &str, script: &str) -> (String, String, bool) {
    let output = Command::new(env!("CARGO_BIN_EXE_eddyline"))
        .args(["sql", "--bootstrap-servers", &bootstrap(), "--service-id", service, "--output", "json", "-e", script])
        .output()
        .expect("eddyline starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.success())
}

#[test]
fn push_and_pull_queries() {
    let name = format!("repl-{}", std::process::id());
    fresh_topics(&[&name], 4);
    let record = |user: &str, amount: i64, ts: i64| {
        (Some(user.to_owned()), format!(r#"{{"user_id":"{user}","amount":{amount}}}"#), ts)
    };
    produce(&name, &[record("ann", 5, 1_000), record("bob", 7, 2_000), record("ann", 6, 3_000)]);
    let service = format!("repl{}", std::process::id());
    let script = format!(
        "SET 'auto.offset.reset' = 'earliest';
         CREATE STREAM spent (user_id VARCHAR, amount INT) WITH (KAFKA_TOPIC = '{name}', VALUE_FORMAT = 'JSON');
         CREATE TABLE per_user WITH (KAFKA_TOPIC = '{name}-per-user') AS
           SELECT user_id, SUM(amount) AS total FROM spent GROUP BY user_id EMIT CHANGES;
         SELECT user_id, amount FROM spent EMIT CHANGES LIMIT 3;
         SELECT user_id FROM per_user EMIT CHANGES LIMIT 2;"
    );
    let (out, err, ok) = sql(&service, &script);
    assert!(ok, "{out}\n{err}");
    let pushed = out.lines().filter(|line| line.contains("AMOUNT")).count();
    assert_eq!(pushed, 3, "push query rows:\n{out}");
    // The table is kept by the query that the first call created; the second call resumes it.
    let mut last = String::new();
    for _ in 0..20 {
        let (out, err, ok) = sql(&service, "SELECT user_id, total FROM per_user WHERE user_id = 'ann';");
        assert!(ok, "{out}\n{err}");
        if out.contains("11") {
            assert!(!out.contains("bob"), "a look-up by key finds one row:\n{out}");
            return;
        }
        last = out;
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    panic!("the pull query never found ann's total: {last}");
}
