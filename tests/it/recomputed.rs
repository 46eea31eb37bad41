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
    WITH (KAFKA_TOPIC = 'limits', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE TABLE carts (cart VARCHAR PRIMARY KEY, owner VARCHAR, total BIGINT)
    WITH (KAFKA_TOPIC = 'carts', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  -- A KAFKA value that is NULL has no bytes: the row is deleted.
  CREATE STREAM users_gone (user VARCHAR KEY, nothing VARCHAR) WITH (KAFKA_TOPIC = 'users', VALUE_FORMAT = 'KAFKA');
  CREATE STREAM carts_gone (cart VARCHAR KEY, nothing VARCHAR) WITH (KAFKA_TOPIC = 'carts', VALUE_FORMAT = 'KAFKA');";

/// Name of the result, how it is kept, its changelog as a table, how it is read, and the same as ordinary SQL.
const QUERIES: [(&str, &str, &str, &str, &str); 8] = [
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
    (
        "FOREIGN_KEYED",
        "SELECT c.cart AS cart, c.total AS total, u.country AS country FROM carts c JOIN users u ON c.owner = u.user",
        "cart VARCHAR PRIMARY KEY, total BIGINT, country VARCHAR",
        "cart, total, country",
        "SELECT c.cart AS cart, c.total AS total, u.country AS country FROM carts c JOIN users u ON c.owner = u.user ORDER BY cart",
    ),
    (
        "LEFT_FOREIGN_KEYED",
        "SELECT c.cart AS cart, c.owner AS owner, u.age AS age FROM carts c LEFT JOIN users u ON c.owner = u.user",
        "cart VARCHAR PRIMARY KEY, owner VARCHAR, age BIGINT",
        "cart, owner, age",
        "SELECT c.cart AS cart, c.owner AS owner, u.age AS age FROM carts c LEFT JOIN users u ON c.owner = u.user ORDER BY cart",
    ),
];

fn insert(session: &mut dyn Session, dice: &mut Dice, n: usize) {
    let user = format!("u{}", dice.roll(9));
    let cart = format!("c{}", dice.roll(12));
    let sql = match dice.roll(14) {
        0 | 1 => format!("INSERT INTO users VALUES ('{user}', 'C{}', {});", dice.roll(4), dice.roll(70)),
        2 => format!("INSERT INTO limits VALUES ('{user}', {});", dice.roll(100)),
        3..6 => format!("INSERT INTO carts VALUES ('{cart}', '{user}', {});", dice.roll(100)),
        6 => format!("INSERT INTO carts VALUES ('{cart}', NULL, {});", dice.roll(100)),
        7 if n.is_multiple_of(2) => format!("INSERT INTO users_gone (user) VALUES ('{user}');"),
        7 => format!("INSERT INTO carts_gone (cart) VALUES ('{cart}');"),
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
    (30..260).for_each(|n| insert(session, &mut dice, n));
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

const STREAMS: &str = "
  CREATE STREAM clicks (user VARCHAR KEY, click VARCHAR) WITH (KAFKA_TOPIC = 'clicks', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE STREAM views (user VARCHAR KEY, view VARCHAR) WITH (KAFKA_TOPIC = 'views', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE TABLE ages (user VARCHAR PRIMARY KEY, age BIGINT) WITH (KAFKA_TOPIC = 'ages', VALUE_FORMAT = 'JSON', PARTITIONS = 2);
  CREATE STREAM ages_told (user VARCHAR KEY, age BIGINT) WITH (KAFKA_TOPIC = 'ages', VALUE_FORMAT = 'JSON');";

/// The longest time between two records that are joined, and the last time of a record.
const WITHIN_MS: u64 = 2_000;
const LAST_MS: u64 = 60_000;

/// Name of the result, the running query, how it is read, and the same as ordinary SQL.
const STREAM_QUERIES: [(&str, &str, &str, &str); 5] = [
    (
        "BOTH",
        "SELECT c.user AS user, c.click AS click, v.view AS view FROM clicks c JOIN views v WITHIN 2 SECONDS ON c.user = v.user",
        "user, click, view",
        "SELECT c.user AS user, c.click AS click, v.view AS view FROM clicks c JOIN views v \
         ON c.user = v.user AND c.ROWTIME - v.ROWTIME BETWEEN -2000 AND 2000 ORDER BY click",
    ),
    (
        "BEFORE_ONLY",
        "SELECT c.user AS user, c.click AS click, v.view AS view FROM clicks c JOIN views v WITHIN (2 SECONDS, 0 SECONDS) ON c.user = v.user",
        "user, click, view",
        "SELECT c.user AS user, c.click AS click, v.view AS view FROM clicks c JOIN views v \
         ON c.user = v.user AND c.ROWTIME - v.ROWTIME BETWEEN 0 AND 2000 ORDER BY click",
    ),
    (
        "OUTER_LEFT",
        "SELECT c.user AS user, c.click AS click, v.view AS view FROM clicks c LEFT JOIN views v WITHIN 2 SECONDS GRACE PERIOD 1 HOUR ON c.user = v.user",
        "user, click, view",
        "SELECT c.user AS user, c.click AS click, v.view AS view FROM clicks c LEFT JOIN views v \
         ON c.user = v.user AND c.ROWTIME - v.ROWTIME BETWEEN -2000 AND 2000 ORDER BY click",
    ),
    (
        "OUTER_FULL",
        "SELECT ROWKEY, c.click AS click, v.view AS view FROM clicks c FULL OUTER JOIN views v WITHIN 2 SECONDS GRACE PERIOD 1 HOUR ON c.user = v.user",
        "ROWKEY, click, view",
        "SELECT COALESCE(c.user, v.user) AS ROWKEY, c.click AS click, v.view AS view FROM clicks c FULL OUTER JOIN views v \
         ON c.user = v.user AND c.ROWTIME - v.ROWTIME BETWEEN -2000 AND 2000 ORDER BY click",
    ),
    (
        // Each click with the age that was told last before it.
        "LOOKED_UP",
        "SELECT c.user AS user, c.click AS click, a.age AS age FROM clicks c JOIN ages a ON c.user = a.user",
        "user, click, age",
        "SELECT c.user AS user, c.click AS click, MAX(a.ROWTIME * 1000 + a.age) % 1000 AS age FROM clicks c JOIN ages_told a \
         ON c.user = a.user AND a.ROWTIME <= c.ROWTIME GROUP BY c.user, c.click ORDER BY click",
    ),
];

/// Joins of streams over records that were there before, in any order of their times within the grace.
fn check_streams(seed: u64) {
    let broker: Arc<dyn Broker> = Arc::new(MemoryBroker::new());
    let config = EngineConfig { service_id: format!("streams{seed}"), workers: 2, ..EngineConfig::default() };
    let engine = Engine::start(config, broker, SystemClock::shared()).expect("an engine");
    let mut session = engine.session();
    let session = session.as_mut();
    let mut dice = Dice(seed);
    run(session, STREAMS);
    for n in 0..160 {
        // Times rise, so that what a click finds in the table does not depend on who is read first; every seventh
        // record of the streams comes late.
        let at = n * LAST_MS / 160;
        let late = if n % 7 == 0 { at.saturating_sub(WITHIN_MS * 2) } else { at };
        let user = format!("u{}", dice.roll(5));
        let (table, time) = match dice.roll(3) {
            0 => ("clicks", at),
            1 => ("views", late),
            _ => ("ages", at),
        };
        let value = if table == "ages" { dice.roll(100).to_string() } else { format!("'{table}{n}'") };
        let column =
            ["click", "view", "age"][["clicks", "views", "ages"].iter().position(|t| *t == table).unwrap_or(0)];
        run(session, &format!("INSERT INTO {table} (ROWTIME, user, {column}) VALUES ({time}, '{user}', {value});"));
    }
    // Long after all windows, a record in every partition of both streams.
    for n in 0..20 {
        let at = LAST_MS + 10 * 3_600_000;
        for (stream, column) in [("clicks", "click"), ("views", "view")] {
            run(
                session,
                &format!("INSERT INTO {stream} (ROWTIME, user, {column}) VALUES ({at}, 'end{stream}{n}', 'end');"),
            );
        }
    }
    for (name, kept, _, _) in STREAM_QUERIES {
        run(session, &format!("CREATE STREAM {name} AS {kept} EMIT CHANGES;"));
    }
    let without_end = |rows: Vec<String>| rows.into_iter().filter(|row| !row.contains("end")).collect::<Vec<_>>();
    for (name, _, columns, sql) in STREAM_QUERIES {
        let wanted = without_end(rows(session, &format!("{sql};")));
        assert!(wanted.len() > 10, "{name} compares little: {wanted:?}");
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let found = without_end(rows(session, &format!("SELECT {columns} FROM {name};")));
            if found == wanted {
                break;
            }
            assert!(Instant::now() < deadline, "seed {seed}, {name}\n  recomputed {wanted:#?}\n  found {found:#?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    engine.shutdown();
}

#[test]
fn joined_streams_equal_recomputed() {
    (1..=3).for_each(check_streams);
}
