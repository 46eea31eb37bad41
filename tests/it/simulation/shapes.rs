//! [`Shape`]s: the queries that runs are made of, and what may be asked of their outputs.
//!
//! What is guaranteed depends on where rows of different partitions or topics meet:
//!
//! - one input and no repartitioning: the output of a task is a function of its partition: equal record for record;
//! - windowed tables: a key's windows go to different partitions, where those of several tasks meet: equal per key;
//! - repartitioned rows of one key that all come from one partition (**aligned** data): equal per key;
//! - two inputs of one task: their rows interleave by event time, which is a function of the data only when both are
//!   there from the start (**upfront**); then equal record for record, else equal as sets or as folded tables;
//! - coalesced updates: which of them are left out depends on the commits, so a subsequence with the same end;
//! - everything else: equal when folded to a table.

/// How a run's data and settings bear on what its output must be.
#[derive(Debug, Clone, Copy)]
pub struct Mode {
    /// All rows of a group come from one partition.
    pub aligned: bool,
    /// All input is there before the first worker starts.
    pub upfront: bool,
    /// Updates of one key are held back until the commit.
    pub coalesce: bool,
}

/// How two outputs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// The same records in the same order, partition for partition.
    Partition,
    /// The same records in the same order, key for key.
    Key,
    /// Key for key some of the same records in the same order, the last one included.
    Subsequence,
    /// The same records in any order.
    Multiset,
    /// The same last record of every key.
    Fold,
}

/// A topic that a shape writes.
pub struct Output {
    pub topic: &'static str,
    pub level: fn(Mode) -> Level,
    /// A column that counts 1, 2, 3, … with every record of a key, whatever order rows come in.
    pub counts: Option<&'static str>,
}

/// What names the rows of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Many keys.
    Own,
    /// The groups that rows of other inputs name.
    Groups,
}

/// A topic that a shape reads. All have the columns K (key), G, V and N.
pub struct Input {
    pub name: &'static str,
    pub table: bool,
    pub keys: Keys,
    /// Written before anything else.
    pub first: bool,
    /// Has as many partitions as the other inputs.
    pub copartitioned: bool,
}

const fn stream(name: &'static str) -> Input {
    Input { name, table: false, keys: Keys::Own, first: false, copartitioned: true }
}

const fn table(name: &'static str) -> Input {
    Input { table: true, ..stream(name) }
}

/// Whether all data is there at the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upfront {
    Always,
    Sometimes,
    Never,
}

/// Queries and what they promise.
pub struct Shape {
    pub name: &'static str,
    pub inputs: &'static [Input],
    pub queries: &'static str,
    pub outputs: &'static [Output],
    pub upfront: Upfront,
    /// Whether the end of the data is told by idle time.
    pub idle: bool,
    /// Whether it aggregates: with `at_least_once` numbers may be too large then.
    pub stateful: bool,
}

const fn out(topic: &'static str, level: fn(Mode) -> Level) -> Output {
    Output { topic, level, counts: None }
}

fn exact(_: Mode) -> Level {
    Level::Partition
}

fn set(_: Mode) -> Level {
    Level::Multiset
}

fn fold(_: Mode) -> Level {
    Level::Fold
}

fn updates(mode: Mode) -> Level {
    if mode.coalesce { Level::Subsequence } else { Level::Partition }
}

fn updates_of_windows(mode: Mode) -> Level {
    if mode.coalesce { Level::Subsequence } else { Level::Key }
}

fn updates_of_sessions(mode: Mode) -> Level {
    if mode.coalesce { Level::Fold } else { Level::Key }
}

fn key(_: Mode) -> Level {
    Level::Key
}

fn updates_of_groups(mode: Mode) -> Level {
    match mode {
        Mode { aligned: false, .. } => Level::Fold,
        Mode { coalesce: true, .. } => Level::Subsequence,
        _ => Level::Key,
    }
}

fn key_or_fold(mode: Mode) -> Level {
    if mode.aligned && !mode.coalesce { Level::Key } else { Level::Fold }
}

fn key_or_set(mode: Mode) -> Level {
    if mode.aligned { Level::Key } else { Level::Multiset }
}

fn exact_or_set(mode: Mode) -> Level {
    if mode.upfront { Level::Partition } else { Level::Multiset }
}

fn exact_or_fold(mode: Mode) -> Level {
    if mode.upfront { Level::Partition } else { Level::Fold }
}

const NEVER: Shape = Shape {
    name: "",
    inputs: &[],
    queries: "",
    outputs: &[],
    upfront: Upfront::Sometimes,
    idle: false,
    stateful: true,
};

/// All shapes.
pub const SHAPES: &[Shape] = &[
    Shape {
        name: "filter",
        inputs: &[stream("a")],
        queries: "CREATE STREAM o AS SELECT k, g, v * 2 AS w, n FROM a WHERE v > 20;",
        outputs: &[out("O", exact)],
        stateful: false,
        ..NEVER
    },
    Shape {
        name: "rekey",
        inputs: &[stream("a")],
        queries: "CREATE STREAM o AS SELECT g, k, v, n FROM a PARTITION BY g;",
        outputs: &[out("O", key_or_set)],
        stateful: false,
        ..NEVER
    },
    Shape {
        name: "merge",
        inputs: &[stream("a"), Input { copartitioned: false, ..stream("b") }],
        queries: "CREATE STREAM o AS SELECT k, n, v FROM a WHERE v < 60; INSERT INTO o SELECT k, n, v FROM b WHERE v > 30;",
        outputs: &[out("O", set)],
        stateful: false,
        ..NEVER
    },
    Shape {
        name: "count_by_key",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT k, COUNT(*) AS c, SUM(v) AS s, MAX(n) AS m FROM a GROUP BY k;",
        outputs: &[Output { topic: "O", level: updates, counts: Some("C") }],
        ..NEVER
    },
    Shape {
        name: "sum_by_group",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT g, COUNT(*) AS c, SUM(v) AS s, MAX(n) AS m FROM a GROUP BY g;",
        outputs: &[Output { topic: "O", level: updates_of_groups, counts: Some("C") }],
        ..NEVER
    },
    Shape {
        name: "tumbling",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT k, COUNT(*) AS c, SUM(v) AS s FROM a
                  WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k;",
        outputs: &[Output { topic: "O", level: updates_of_windows, counts: Some("C") }],
        ..NEVER
    },
    Shape {
        name: "tumbling_final",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT k, COUNT(*) AS c, SUM(v) AS s FROM a
                  WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k EMIT FINAL;",
        outputs: &[out("O", key)],
        idle: true,
        ..NEVER
    },
    Shape {
        name: "hopping_groups",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT g, COUNT(*) AS c, SUM(v) AS s FROM a
                  WINDOW HOPPING (SIZE 20 SECONDS, ADVANCE BY 10 SECONDS, GRACE PERIOD 1 HOUR) GROUP BY g;",
        outputs: &[Output { topic: "O", level: updates_of_groups, counts: Some("C") }],
        ..NEVER
    },
    Shape {
        name: "hopping_groups_final",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT g, COUNT(*) AS c, SUM(v) AS s FROM a
                  WINDOW HOPPING (SIZE 20 SECONDS, ADVANCE BY 10 SECONDS, GRACE PERIOD 1 HOUR) GROUP BY g EMIT FINAL;",
        outputs: &[out("O", set)],
        idle: true,
        ..NEVER
    },
    Shape {
        name: "sessions",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT k, COUNT(*) AS c, SUM(v) AS s FROM a
                  WINDOW SESSION (3 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k;",
        outputs: &[out("O", updates_of_sessions)],
        ..NEVER
    },
    Shape {
        name: "sessions_final",
        inputs: &[stream("a")],
        queries: "CREATE TABLE o AS SELECT k, COUNT(*) AS c, SUM(v) AS s FROM a
                  WINDOW SESSION (3 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY k EMIT FINAL;",
        outputs: &[out("O", key)],
        idle: true,
        ..NEVER
    },
    Shape {
        name: "joined",
        inputs: &[stream("a"), stream("b")],
        queries: "CREATE STREAM o AS SELECT a.k AS k, a.n AS n, b.n AS m, a.v + b.v AS v FROM a
                  JOIN b WITHIN 10 SECONDS GRACE PERIOD 1 HOUR ON a.k = b.k;",
        outputs: &[out("O", exact_or_set)],
        ..NEVER
    },
    Shape {
        name: "joined_late",
        inputs: &[stream("a"), stream("b")],
        queries: "CREATE STREAM o AS SELECT ROWKEY, a.n AS n, b.n AS m FROM a
                  FULL OUTER JOIN b WITHIN (3 SECONDS, 6 SECONDS) GRACE PERIOD 4 SECONDS ON a.k = b.k;",
        outputs: &[out("O", exact)],
        upfront: Upfront::Always,
        idle: true,
        ..NEVER
    },
    Shape {
        name: "joined_outer",
        inputs: &[stream("a"), stream("b")],
        queries: "CREATE STREAM o AS SELECT ROWKEY, a.n AS n, b.n AS m FROM a
                  FULL OUTER JOIN b WITHIN 5 SECONDS GRACE PERIOD 1 HOUR ON a.k = b.k;",
        outputs: &[out("O", exact_or_set)],
        idle: true,
        ..NEVER
    },
    Shape {
        name: "joined_on_group",
        inputs: &[stream("a"), Input { copartitioned: false, ..stream("b") }],
        queries: "CREATE STREAM o AS SELECT a.g AS g, a.n AS n, b.n AS m FROM a
                  LEFT JOIN b WITHIN 2 SECONDS GRACE PERIOD 1 HOUR ON a.g = b.g;",
        outputs: &[out("O", set)],
        idle: true,
        ..NEVER
    },
    Shape {
        name: "enriched",
        inputs: &[stream("a"), table("t")],
        queries: "CREATE STREAM o AS SELECT a.k AS k, a.n AS n, t.g AS tg, t.v AS tv FROM a LEFT JOIN t ON a.k = t.k;",
        outputs: &[out("O", exact)],
        upfront: Upfront::Always,
        ..NEVER
    },
    Shape {
        name: "enriched_live",
        inputs: &[stream("a"), Input { first: true, ..table("t") }],
        queries: "CREATE STREAM o AS SELECT a.k AS k, a.n AS n, t.g AS tg, t.v AS tv FROM a JOIN t ON a.k = t.k;",
        outputs: &[out("O", exact)],
        upfront: Upfront::Never,
        ..NEVER
    },
    Shape {
        name: "tables",
        inputs: &[table("t"), table("u")],
        queries: "CREATE TABLE o AS SELECT ROWKEY, t.v AS v, u.v AS w FROM t FULL OUTER JOIN u ON t.k = u.k;",
        outputs: &[out("O", exact_or_fold)],
        ..NEVER
    },
    Shape {
        name: "foreign_key",
        inputs: &[table("t"), Input { keys: Keys::Groups, copartitioned: false, ..table("r") }],
        queries: "CREATE TABLE o AS SELECT t.k AS k, t.n AS n, r.v AS w FROM t LEFT JOIN r ON t.g = r.k;",
        outputs: &[out("O", fold)],
        ..NEVER
    },
    Shape {
        name: "undone",
        inputs: &[table("t")],
        queries: "CREATE TABLE o AS SELECT g, COUNT(*) AS c, SUM(v) AS s FROM t GROUP BY g;",
        outputs: &[out("O", key_or_fold)],
        ..NEVER
    },
    Shape {
        name: "chain",
        inputs: &[stream("a")],
        queries: "CREATE STREAM b AS SELECT k, g, v, n FROM a WHERE v > 10;
                  CREATE TABLE c AS SELECT g, COUNT(*) AS c, SUM(v) AS s FROM b GROUP BY g;
                  CREATE TABLE d AS SELECT g, s FROM c WHERE s > 100;",
        outputs: &[
            out("B", exact),
            Output { topic: "C", level: updates_of_groups, counts: Some("C") },
            out("D", key_or_fold),
        ],
        ..NEVER
    },
    Shape {
        name: "chain_join",
        inputs: &[stream("a"), Input { keys: Keys::Groups, first: true, ..table("r") }],
        queries: "CREATE STREAM x AS SELECT g, k, n FROM a PARTITION BY g;
                  CREATE STREAM o AS SELECT x.g AS g, x.n AS n, r.v AS w FROM x LEFT JOIN r ON x.g = r.k;",
        outputs: &[out("X", key_or_set), out("O", key_or_set)],
        upfront: Upfront::Never,
        ..NEVER
    },
];
