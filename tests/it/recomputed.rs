//! Incremental equals recomputed: the rows that a running query keeps, and the fold of its changelog topic, are what
//! DataFusion computes of the same query over the same input.

use std::sync::Arc;
use std::time::{Duration, Instant};

use eddyline::broker::Broker;
use eddyline::broker::memory::MemoryBroker;
use eddyline::change::pretty::pretty_value;
use eddyline::engine::{Engine, EngineConfig, Outcome, Session};
use eddyline::time::SystemClock;

/// Small reproducible dice.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) % below
    }
}

fn run(session: &mut dyn Session, sql: &str) {
    session.execute(sql, &mut |_| Ok(())).unwrap_or_else(|error| panic!("{sql}\n{error} {:?}", error.hints()));
}

/// Rows as sorted text.
fn rows(session: &mut dyn Session, sql: &str) -> Vec<String> {
    let mut found = Vec::new();
    let each = &mut |outcome| {
        if let Outcome::Table(result) = outcome {
            let text = |row: &Vec<_>| row.iter().map(pretty_value).collect::<Vec<_>>().join(" ");
            found = result.rows.iter().map(text).collect();
        }
        Ok(())
    };
    session.execute(sql, each).unwrap_or_else(|error| panic!("{sql}\n{error} {:?}", error.hints()));
    found.sort();
    found
}

const SOURCES: &str = "
  CREATE STREAM orders (id VARCHAR KEY, user VARCHAR, item INT, amount BIGINT)
    WITH (KAFKA_TOPIC = 'orders', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE TABLE users (user VARCHAR PRIMARY KEY, country VARCHAR, age BIGINT)
    WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE TABLE limits (user VARCHAR PRIMARY KEY, most BIGINT)
    WITH (KAFKA_TOPIC = 'limits', VALUE_FORMAT = 'JSON', PARTITIONS = 2);";

/// Name of the result, how it is kept, its changelog as a table, how it is read, and the same as ordinary SQL.
const QUERIES: [(&str, &str, &str, &str, &str); 6] = [
    (
        "AGGREGATED",
        "SELECT user, COUNT(*) AS n, SUM(amount) AS total, MIN(amount) AS least, MAX(item) AS most FROM orders GROUP BY user",
        "user VARCHAR PRIMARY KEY, n BIGINT, total BIGINT, least BIGINT, most INT",
        "user, n, total, least, most",
        "SELECT user, COUNT(*) AS n, SUM(amount) AS total, MIN(amount) AS least, MAX(item) AS most FROM orders GROUP BY user ORDER BY user",
    ),
    (
        "TWO_KEYS",
        "SELECT user, item, COUNT(*) AS n FROM orders WHERE amount > 20 GROUP BY user, item HAVING COUNT(*) > 1",
        "user VARCHAR PRIMARY KEY, item INT PRIMARY KEY, n BIGINT",
        "user, item, n",
        "SELECT user, item, COUNT(*) AS n FROM orders WHERE amount > 20 GROUP BY user, item HAVING COUNT(*) > 1 ORDER BY n",
    ),
    (
        "PROJECTED",
        "SELECT user, country, age * 2 + 1 AS odd FROM users WHERE age > 30",
        "user VARCHAR PRIMARY KEY, country VARCHAR, odd BIGINT",
        "user, country, odd",
        "SELECT user, country, age * 2 + 1 AS odd FROM users WHERE age > 30 ORDER BY user",
    ),
    (
        "UNDONE",
        "SELECT country, COUNT(*) AS n, SUM(age) AS years FROM users GROUP BY country HAVING COUNT(*) > 0",
        "country VARCHAR PRIMARY KEY, n BIGINT, years BIGINT",
        "country, n, years",
        "SELECT country, COUNT(*) AS n, SUM(age) AS years FROM users GROUP BY country ORDER BY country",
    ),
    (
        "JOINED",
        "SELECT u.user AS user, u.country AS country, l.most AS most FROM users u JOIN limits l ON u.user = l.user",
        "user VARCHAR PRIMARY KEY, country VARCHAR, most BIGINT",
        "user, country, most",
        "SELECT u.user AS user, u.country AS country, l.most AS most FROM users u JOIN limits l ON u.user = l.user ORDER BY country",
    ),
    (
        "LEFT_JOINED",
        "SELECT u.user AS user, u.age AS age, l.most AS most FROM users u LEFT JOIN limits l ON u.user = l.user",
        "user VARCHAR PRIMARY KEY, age BIGINT, most BIGINT",
        "user, age, most",
        "SELECT u.user AS user, u.age AS age, l.most AS most FROM users u LEFT JOIN limits l ON u.user = l.user ORDER BY age",
    ),
];

fn insert(session: &mut dyn Session, dice: &mut Dice, n: usize) {
    let user = format!("u{}", dice.roll(9));
    let sql = match dice.roll(4) {
        0 => format!("INSERT INTO users VALUES ('{user}', 'C{}', {});", dice.roll(4), dice.roll(70)),
        1 => format!("INSERT INTO limits VALUES ('{user}', {});", dice.roll(100)),
        _ => format!("INSERT INTO orders VALUES ('o{n}', '{user}', {}, {});", dice.roll(3), dice.roll(100)),
    };
    run(session, &sql);
}

fn check(seed: u64) {
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
    let config = EngineConfig { service_id: format!("seed{seed}"), workers: 2, ..EngineConfig::default() };
    let engine = Engine::start(config, broker, SystemClock::shared()).expect("an engine");
    let mut session = engine.session();
    let session = session.as_mut();
    let mut dice = Dice(seed);
    run(session, SOURCES);
    // Some rows are there before the queries, most come while they run; every update counts, merged or not.
    (0..30).for_each(|n| insert(session, &mut dice, n));
    run(
        session,
        &format!("SET 'cache.max.bytes.buffering' = '{}';", if seed.is_multiple_of(2) { 0 } else { 1_000_000 }),
    );
    for (name, kept, columns, _, _) in QUERIES {
        run(session, &format!("CREATE TABLE {name} WITH (KEY_FORMAT = 'JSON') AS {kept} EMIT CHANGES;"));
        run(
            session,
            &format!(
                "CREATE TABLE fold_{name} ({columns}) WITH (KAFKA_TOPIC = '{name}', KEY_FORMAT = 'JSON', VALUE_FORMAT = 'JSON');"
            ),
        );
    }
    (30..200).for_each(|n| insert(session, &mut dice, n));
    for (name, _, _, columns, sql) in QUERIES {
        let wanted = rows(session, &format!("{sql};"));
        assert!(!wanted.is_empty(), "{name} compares nothing");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let kept = rows(session, &format!("SELECT {columns} FROM {name};"));
            // ORDER BY makes it an ad-hoc query over the topic: the newest record of each key.
            let first = columns.split(',').next().expect("a column");
            let folded = rows(session, &format!("SELECT {columns} FROM fold_{name} ORDER BY {first};"));
            if kept == wanted && folded == wanted {
                break;
            }
            assert!(
                Instant::now() < deadline,
                "seed {seed}, {name}\n  recomputed {wanted:#?}\n  kept {kept:#?}\n  changelog {folded:#?}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    engine.shutdown();
}

#[test]
fn incremental_equals_recomputed() {
    (1..=4).for_each(check);
}
