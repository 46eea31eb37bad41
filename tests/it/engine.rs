//! The engine on the in-process brokers: restart, idle time, the life of queries, what a session sees.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eddyline::broker::embedded::{EmbeddedBroker, EmbeddedOptions};
use eddyline::broker::memory::MemoryBroker;
use eddyline::broker::{Broker, ConsumerOptions, Start, TopicPartition};
use eddyline::engine::{Engine, EngineConfig, Outcome, RowEvent, Session, TableResult};
use eddyline::time::SystemClock;
use eddyline::types::Value;

fn engine(broker: &Arc<dyn Broker>, workers: usize) -> Arc<Engine> {
    let config = EngineConfig { service_id: "t".into(), workers, ..EngineConfig::default() };
    Engine::start(config, broker.clone(), SystemClock::shared()).expect("an engine")
}

fn memory() -> Arc<dyn Broker> {
    Arc::new(MemoryBroker::new())
}

fn run(session: &mut dyn Session, sql: &str) {
    session.execute(sql, &mut |_| Ok(())).unwrap_or_else(|error| panic!("{sql}\n{error} {:?}", error.hints()));
}

fn table(session: &mut dyn Session, sql: &str) -> TableResult {
    let mut found = None;
    let each = &mut |outcome| {
        if let Outcome::Table(result) = outcome {
            found = Some(result);
        }
        Ok(())
    };
    session.execute(sql, each).unwrap_or_else(|error| panic!("{sql}\n{error}"));
    found.expect("a table")
}

/// Rows as text, asked again until they are as wanted.
fn wait_for_rows(session: &mut dyn Session, sql: &str, wanted: &[&str]) {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let mut rows: Vec<String> = table(session, sql).rows.iter().map(|row| text(row)).collect();
        rows.sort();
        if rows == wanted {
            return;
        }
        assert!(Instant::now() < deadline, "{sql}\n  wanted {wanted:?}\n  got    {rows:?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn text(row: &[Value]) -> String {
    row.iter().map(eddyline::change::pretty::pretty_value).collect::<Vec<_>>().join(" ")
}

const ORDERS: &str = "CREATE STREAM orders (id VARCHAR KEY, user VARCHAR, amount INT)
    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 3);
  CREATE TABLE spent AS SELECT user, COUNT(*) AS n, SUM(amount) AS total FROM orders GROUP BY user;";

#[test]
fn a_restart_goes_on_where_it_stood() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = || -> Arc<dyn Broker> {
        Arc::new(EmbeddedBroker::open(dir.path(), EmbeddedOptions::default()).expect("a broker"))
    };
    {
        let broker = open();
        let engine = engine(&broker, 2);
        let mut session = engine.session();
        run(session.as_mut(), ORDERS);
        run(
            session.as_mut(),
            "INSERT INTO orders VALUES ('o1', 'ann', 5); INSERT INTO orders VALUES ('o2', 'bob', 7);",
        );
        wait_for_rows(session.as_mut(), "SELECT user, n, total FROM spent;", &["'ann' 1 5", "'bob' 1 7"]);
        engine.shutdown();
    }
    let broker = open();
    let engine = engine(&broker, 1);
    let mut session = engine.session();
    run(session.as_mut(), "INSERT INTO orders VALUES ('o3', 'ann', 1);");
    wait_for_rows(session.as_mut(), "SELECT user, n, total FROM spent;", &["'ann' 2 6", "'bob' 1 7"]);
    // Nothing was read twice: three orders, three updates.
    let updates = table(session.as_mut(), "SELECT COUNT(*) AS n FROM orders ORDER BY n;");
    assert_eq!(updates.rows, [vec![Value::BigInt(3)]]);
    wait_for_rows(session.as_mut(), "SELECT n FROM spent WHERE user = 'ann';", &["2"]);
    engine.shutdown();
}

#[test]
fn a_replaced_query_goes_on_with_its_state() {
    let dir = tempfile::tempdir().expect("a folder");
    let open = || -> Arc<dyn Broker> {
        Arc::new(EmbeddedBroker::open(dir.path(), EmbeddedOptions::default()).expect("a broker"))
    };
    {
        let broker = open();
        let engine = engine(&broker, 2);
        let mut session = engine.session();
        run(session.as_mut(), ORDERS);
        run(session.as_mut(), "INSERT INTO orders VALUES ('o1', 'ann', 5);");
        wait_for_rows(session.as_mut(), "SELECT user, n, total FROM spent;", &["'ann' 1 5"]);
        run(
            session.as_mut(),
            "CREATE OR REPLACE TABLE spent AS
               SELECT user, COUNT(*) AS n, SUM(amount) AS total FROM orders WHERE amount > 1 GROUP BY user;
             INSERT INTO orders VALUES ('o2', 'ann', 1); INSERT INTO orders VALUES ('o3', 'ann', 2);",
        );
        wait_for_rows(session.as_mut(), "SELECT user, n, total FROM spent;", &["'ann' 2 7"]);
        assert_eq!(engine.queries().len(), 1);
        engine.shutdown();
    }
    // The next start knows the query only as what it became.
    let broker = open();
    let engine = engine(&broker, 1);
    let mut session = engine.session();
    run(session.as_mut(), "INSERT INTO orders VALUES ('o4', 'ann', 1); INSERT INTO orders VALUES ('o5', 'ann', 3);");
    wait_for_rows(session.as_mut(), "SELECT user, n, total FROM spent;", &["'ann' 3 10"]);
    engine.shutdown();
}

#[test]
fn tables_name_rows_of_tables_with_other_partitions() {
    let broker = memory();
    let engine = engine(&broker, 2);
    let mut session = engine.session();
    run(
        session.as_mut(),
        "CREATE TABLE staff (id INT PRIMARY KEY, room INT) WITH (KAFKA_TOPIC = 'staff', VALUE_FORMAT = 'JSON', PARTITIONS = 3);
         CREATE TABLE rooms (id INT PRIMARY KEY, floor INT) WITH (KAFKA_TOPIC = 'rooms', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
         CREATE TABLE found AS SELECT s.id AS id, r.floor AS floor FROM staff s JOIN rooms r ON s.room = r.id;
         INSERT INTO rooms VALUES (1, 10); INSERT INTO rooms VALUES (2, 20); INSERT INTO rooms VALUES (3, 30);
         INSERT INTO staff VALUES (7, 1); INSERT INTO staff VALUES (8, 1); INSERT INTO staff VALUES (9, 3);",
    );
    wait_for_rows(session.as_mut(), "SELECT id, floor FROM found;", &["7 10", "8 10", "9 30"]);
    run(
        session.as_mut(),
        "INSERT INTO staff VALUES (7, 2); INSERT INTO rooms VALUES (1, 11); INSERT INTO staff VALUES (9, 4);",
    );
    wait_for_rows(session.as_mut(), "SELECT id, floor FROM found;", &["7 20", "8 11"]);
    engine.shutdown();
}

#[test]
fn time_moves_without_records() {
    let broker = memory();
    let engine = engine(&broker, 1);
    let mut session = engine.session();
    run(
        session.as_mut(),
        "SET 'idle.timeout.ms' = '300';
         CREATE STREAM asked (id VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 'asked', VALUE_FORMAT = 'JSON', PARTITIONS = 1);
         CREATE STREAM told (id VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 'told', VALUE_FORMAT = 'JSON', PARTITIONS = 1);
         CREATE STREAM answered AS SELECT a.id AS id, t.v AS v FROM asked a
           LEFT JOIN told t WITHIN 1 SECOND GRACE PERIOD 0 SECONDS ON a.id = t.id;
         CREATE TABLE counted AS SELECT id, COUNT(*) AS n FROM asked
           WINDOW TUMBLING (SIZE 1 SECOND, GRACE PERIOD 0 SECONDS) GROUP BY id EMIT FINAL;
         INSERT INTO asked (ROWTIME, id, v) VALUES (10000, 'x', 1);",
    );
    // Nothing else ever arrives: the join times out and the window closes all the same.
    wait_for_rows(session.as_mut(), "SELECT id, v FROM answered;", &["'x' NULL"]);
    wait_for_rows(session.as_mut(), "SELECT id, n FROM counted;", &["'x' 1"]);
    engine.shutdown();
}

#[test]
fn queries_are_paused_terminated_and_dropped() {
    let broker = memory();
    let engine = engine(&broker, 1);
    let mut session = engine.session();
    run(session.as_mut(), ORDERS);
    let id = engine.queries()[0].id.clone();
    assert!(id.starts_with("CTAS_SPENT_"), "{id}");
    run(session.as_mut(), &format!("PAUSE {id};"));
    run(session.as_mut(), "INSERT INTO orders VALUES ('o1', 'ann', 5);");
    std::thread::sleep(Duration::from_millis(400));
    assert!(table(session.as_mut(), "SELECT user FROM spent;").rows.is_empty(), "a paused query works on");
    run(session.as_mut(), &format!("RESUME {id};"));
    wait_for_rows(session.as_mut(), "SELECT user, total FROM spent;", &["'ann' 5"]);

    let refused = |session: &mut dyn Session, sql: &str| match session.execute(sql, &mut |_| Ok(())) {
        Ok(()) => panic!("{sql} was accepted"),
        Err(error) => error.to_string(),
    };
    assert!(refused(session.as_mut(), "DROP STREAM orders;").contains(&id));
    assert!(refused(session.as_mut(), "DROP STREAM spent;").contains("TABLE"));
    run(session.as_mut(), "DROP TABLE spent DELETE TOPIC; DROP STREAM orders DELETE TOPIC;");
    assert!(engine.queries().is_empty());
    let left: Vec<String> = broker.topics().expect("topics").into_iter().map(|topic| topic.name).collect();
    let own = |name: &&String| name.contains("SPENT") || name.contains("orders");
    assert_eq!(left.iter().filter(own).count(), 0, "{left:?}");
    engine.shutdown();
}

#[test]
fn a_refused_statement_leaves_nothing_behind() {
    let broker = memory();
    let engine = engine(&broker, 1);
    let mut session = engine.session();
    run(session.as_mut(), ORDERS);
    let before = broker.topics().expect("topics").len();
    for sql in [
        "CREATE STREAM bad AS SELECT nope FROM orders;",
        "CREATE TABLE bad AS SELECT id FROM orders;",
        "CREATE STREAM bad WITH (VALUE_FORMAT = 'KAFKA') AS SELECT id, user, amount FROM orders;",
        "CREATE STREAM spent AS SELECT * FROM orders;",
    ] {
        assert!(session.execute(sql, &mut |_| Ok(())).is_err(), "{sql}");
    }
    assert_eq!(broker.topics().expect("topics").len(), before);
    assert_eq!(engine.queries().len(), 1);
    engine.shutdown();
}

#[test]
fn push_queries_end_at_their_limit_or_when_dropped() {
    let broker = memory();
    let engine = engine(&broker, 1);
    let mut session = engine.session();
    run(session.as_mut(), ORDERS);
    for i in 0..5 {
        run(session.as_mut(), &format!("INSERT INTO orders VALUES ('o{i}', 'ann', {i});"));
    }
    let mut rows = Vec::new();
    let sql = "SET 'auto.offset.reset' = 'earliest'; SELECT amount * 2 AS twice FROM orders WHERE amount > 1 EMIT CHANGES LIMIT 3;";
    session
        .execute(sql, &mut |outcome| {
            if let Outcome::Rows(mut stream) = outcome {
                loop {
                    match stream.next(Duration::from_secs(10))? {
                        RowEvent::Row(row) => rows.push(text(&row)),
                        RowEvent::End(why) => break assert_eq!(why, "Limit Reached"),
                        other => panic!("{other:?}"),
                    }
                }
            }
            Ok(())
        })
        .expect("a push query");
    rows.sort();
    assert_eq!(rows, ["4", "6", "8"]);
    engine.shutdown();
}

#[test]
fn all_windows_of_a_key_are_in_one_partition() {
    let broker = memory();
    let engine = engine(&broker, 1);
    let mut session = engine.session();
    run(
        session.as_mut(),
        "CREATE STREAM seen (id VARCHAR KEY, v INT) WITH (KAFKA_TOPIC = 'seen', VALUE_FORMAT = 'JSON', PARTITIONS = 4);
         CREATE TABLE counted WITH (KAFKA_TOPIC = 'counted', KEY_FORMAT = 'KAFKA') AS
           SELECT id, COUNT(*) AS n FROM seen WINDOW TUMBLING (SIZE 1 SECOND) GROUP BY id;",
    );
    for i in 0..30 {
        let (time, id) = (10_000 + i * 1000, ["a", "b", "c"][i as usize % 3]);
        run(session.as_mut(), &format!("INSERT INTO seen (ROWTIME, id, v) VALUES ({time}, '{id}', 1);"));
    }
    wait_for_rows(session.as_mut(), "SELECT COUNT(*) AS windows FROM counted;", &["30"]);
    engine.shutdown();
    let mut consumer = broker.consumer(&ConsumerOptions::default()).expect("a consumer");
    let partitions: Vec<_> = (0..4).map(|p| (TopicPartition::new("counted", p), Start::Earliest)).collect();
    consumer.assign(&partitions).expect("partitions");
    let mut found = 0;
    while found < 30 {
        for set in consumer.poll(1000, Duration::from_secs(5)).expect("records").sets {
            for key in (0..set.len()).filter_map(|i| set.keys.get(i)) {
                let plain = &key[..key.len() - 8];
                assert_eq!(set.partition, eddyline::broker::murmur2::partition_for(plain, 4), "{plain:?}");
                found += 1;
            }
        }
    }
}
