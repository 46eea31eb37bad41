//! The command line: commands, flags and the help that explains them.
//!
//! **Invariant:** flags carry no defaults of settings that the config file or the environment may give
//! ([`crate::cli::config`] knows those), so that "not given" can be told from "given as the default".

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::datagen::Kind;
use super::duration::parse_duration;

const TOP_HELP: &str = "\
Start here:
  eddyline demo                     everything at once, nothing to install
  eddyline sql                      try statements: CREATE STREAM, SELECT … EMIT CHANGES
  eddyline run queries/             keep a folder of queries running

Where the data is:
  --bootstrap-servers HOST:PORT     an Apache Kafka cluster
  --data-dir DIR                    the embedded broker's folder, when no cluster is named

Settings, later ones win:
  1. built-in defaults
  2. eddyline.toml in the working directory, or --config FILE
  3. environment: EDDYLINE_BOOTSTRAP_SERVERS, EDDYLINE_DATA_DIR, EDDYLINE_KAFKA_SECURITY_PROTOCOL, …
  4. flags; --set kafka.security.protocol=SASL_SSL passes any client property on

Exit codes:
  0 done · 1 a statement or test failed · 2 wrong usage or configuration · 3 the broker did not answer
  4 another process took over · 5 data or disk · 70 a defect of eddyline · 130 interrupted";

/// SQL-driven stream query engine for Kafka.
#[derive(Debug, Parser)]
#[command(
    name = "eddyline",
    version,
    about = "SQL-driven stream query engine for Kafka",
    long_about = "Eddyline runs continuous SQL queries over Kafka topics, in ksqlDB's dialect.\n\n\
                  Without a command it opens the SQL prompt. Without a Kafka cluster it uses a broker of its own, \
                  so every command works on a machine that has nothing.",
    after_long_help = TOP_HELP,
    after_help = "--help explains more than -h, also after a command: eddyline run --help",
    disable_help_subcommand = true
)]
pub struct Args {
    /// Flags of all commands.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do; the SQL prompt when absent.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags of all commands.
#[derive(Debug, Default, Clone, ClapArgs)]
#[command(next_help_heading = "Everywhere")]
pub struct GlobalArgs {
    /// Kafka to talk to; without it the embedded broker serves
    #[arg(long, global = true, value_name = "HOST:PORT,…")]
    pub bootstrap_servers: Option<String>,
    /// Folder of the embedded broker
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Config file instead of ./eddyline.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Names this deployment: prefix of its groups, internal topics and transactional ids
    #[arg(long, global = true, value_name = "ID")]
    pub service_id: Option<String>,
    /// Any further setting: kafka.* goes to the client, ksql.* to the engine
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// off, error, warn, info, debug, trace, or a filter such as eddyline::runtime=debug
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// How log lines on stderr look
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormat>,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object a line.
    Json,
}

/// How results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns.
    #[default]
    Table,
    /// One object a line.
    Json,
    /// Comma-separated, with a header line.
    Csv,
}

/// How test results look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// One object a case and a line.
    Json,
    /// Counts of what failed and why, as a table for a page.
    Causes,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show it all: embedded broker, generated data, the queries of queries/, live results
    #[command(
        long_about = "Starts an embedded broker, generates orders, payments, checkouts and users, deploys the queries \
                      of ./queries (or the built-in copies) and shows what each does, live.\n\n\
                      Event time runs faster than the wall clock, so that 5-minute windows close while you watch.",
        after_long_help = "Examples:\n  eddyline demo\n  eddyline demo --duration 20s            ends with a summary, for scripts\n  \
                           eddyline demo --rate 5000 --speed 120   more records, two event minutes a second\n  \
                           eddyline demo --data-dir /tmp/demo      kept, and resumed by the next start"
    )]
    Demo(DemoArgs),
    /// Deploy every .sql file of a folder as persistent queries and keep them running
    #[command(
        long_about = "Deploys every .sql file of the folder in dependency order and keeps the queries running until \
                      Ctrl-C or SIGTERM; both commit before they leave. A second start resumes where the first stood.\n\n\
                      A file that changed since it was deployed is refused and the difference shown, unless --replace \
                      is given. A file that is gone is reported; its queries keep running until you DROP them.",
        after_long_help = "Examples:\n  eddyline run queries/ --check                            validate only\n  \
                           eddyline run queries/ --bootstrap-servers localhost:9092\n  \
                           eddyline run queries/ --workers 4 --set ksql.streams.auto.offset.reset=earliest\n  \
                           eddyline run queries/ --metrics-addr 127.0.0.1:9404      curl 127.0.0.1:9404/health\n  \
                           eddyline run queries/ -D large_order_threshold=600.00    over the file's own DEFINE\n  \
                           eddyline run backfill.sql --until-caught-up --duration 1h   as a batch job"
    )]
    Run(RunArgs),
    /// SQL prompt, or statements from -e, a file or stdin
    #[command(
        long_about = "Opens a prompt when started in a terminal: statements end with a semicolon and may span lines, \
                      Tab completes, Ctrl-C ends a running query, Ctrl-D leaves. `help` explains.\n\n\
                      With -e, -f or a pipe the same statements run without a prompt and stop at the first error.",
        after_long_help = "Examples:\n  eddyline sql\n  eddyline sql -e 'SHOW STREAMS;'\n  \
                           eddyline sql -f setup.sql -e 'SELECT * FROM totals;'\n  \
                           echo 'SELECT * FROM orders EMIT CHANGES LIMIT 3;' | eddyline sql --output json"
    )]
    Sql(SqlArgs),
    /// Write generated orders, payments, checkouts or users into a topic
    #[command(
        long_about = "Writes generated records at a steady rate. The same --seed gives the same records.\n\n\
                      Kinds: orders, payments and users fill the topic of that name; checkouts fills `checkout` and, \
                      with the payments that belong to them, `payment`; all fills every one. A few records in a \
                      thousand are broken, late, out of order or repeated: on purpose.",
        after_long_help = "Examples:\n  eddyline datagen orders --print --count 5\n  \
                           eddyline datagen all --rate 1000 --bootstrap-servers localhost:9092\n  \
                           eddyline datagen payments --topic test_payments --count 100000 --rate 0"
    )]
    Datagen(DatagenArgs),
    /// Print the topology of every query in a file
    #[command(
        long_about = "Prints, as text, what each query of the file would run: operators, stores, topics. Nothing is \
                      started and nothing outside is asked: the file must create the sources that it uses.",
        after_long_help = "Example:\n  eddyline explain queries/revenue.sql"
    )]
    Explain(ExplainArgs),
    /// Run SQL tests: INSERT INTO … VALUES, then ASSERT VALUES …
    #[command(
        long_about = "Runs every test below the paths, without a broker and without waiting: `.sql` files whose cases \
                      start with a `--@test: name` line and check results with ASSERT statements, and `.json` files \
                      of query-validation cases. A failure shows what came next to what was expected.",
        after_long_help = "Examples:\n  eddyline test tests/sql\n  eddyline test tests/sql --filter late -v\n  \
                           eddyline test --sql-file q.sql --input-file in.json --output-file out.json\n  \
                           eddyline test tests/sql --batch 1             every record a batch of its own\n  \
                           eddyline test tests/sql --batch random:42     the answers may not depend on it"
    )]
    Test(TestArgs),
}

/// Flags of `demo`.
#[derive(Debug, Clone, ClapArgs)]
pub struct DemoArgs {
    /// End after this long, with a summary
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Records a second, all topics together
    #[arg(long, default_value_t = 400, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// Seconds of event time in one second of yours
    #[arg(long, default_value_t = 60.0, value_name = "N", value_parser = speed)]
    pub speed: f64,
    /// Start of the generator's dice
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
}

/// Flags of `run`.
#[derive(Debug, Clone, ClapArgs)]
pub struct RunArgs {
    /// Folder of .sql files, or one file
    #[arg(value_name = "DIR")]
    pub path: PathBuf,
    /// Validate and exit
    #[arg(long)]
    pub check: bool,
    /// Take changed files over their deployed versions
    #[arg(long)]
    pub replace: bool,
    /// Threads a query
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Leave after this long; a failure when --until-caught-up is not reached by then
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub duration: Option<Duration>,
    /// Leave when every query has read and committed what its sources held at the start, and what came of it
    #[arg(long, conflicts_with = "check")]
    pub until_caught_up: bool,
    /// A variable for the files, ${NAME}; stronger than their own DEFINE
    #[arg(short = 'D', long = "define", value_name = "NAME=VALUE", value_parser = variable)]
    pub define: Vec<(String, String)>,
    /// Serve /metrics for Prometheus and /health there; port 0 takes a free one
    #[arg(long, value_name = "HOST:PORT")]
    pub metrics_addr: Option<SocketAddr>,
}

/// Flags of `sql`.
#[derive(Debug, Clone, Default, ClapArgs)]
pub struct SqlArgs {
    /// Run these statements and exit; may be repeated
    #[arg(short = 'e', long = "execute", value_name = "SQL")]
    pub execute: Vec<String>,
    /// Run this file (before -e) and exit; `-` is stdin
    #[arg(short = 'f', long = "file", value_name = "FILE")]
    pub file: Vec<PathBuf>,
    /// How results look
    #[arg(short = 'o', long, value_name = "FORMAT")]
    pub output: Option<OutputFormat>,
}

/// Flags of `datagen`.
#[derive(Debug, Clone, ClapArgs)]
pub struct DatagenArgs {
    /// What to generate
    #[arg(value_name = "KIND")]
    pub kind: Kind,
    /// Topic to fill, instead of the kind's own (one-topic kinds only)
    #[arg(long, value_name = "NAME")]
    pub topic: Option<String>,
    /// Records a second; 0 is as fast as it goes
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub rate: u32,
    /// Stop after so many records
    #[arg(long, value_name = "N")]
    pub count: Option<u64>,
    /// Partitions of a topic that has to be created
    #[arg(long, default_value_t = 4, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=10_000))]
    pub partitions: i32,
    /// Start of the dice: same seed, same records
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Seconds of event time in one second of yours
    #[arg(long, default_value_t = 1.0, value_name = "N", value_parser = speed)]
    pub speed: f64,
    /// Event time of the first record, epoch milliseconds; now when absent
    #[arg(long, value_name = "MS")]
    pub start: Option<i64>,
    /// Write `topic key value` lines to stdout instead of records to a broker
    #[arg(long)]
    pub print: bool,
}

/// Flags of `explain`.
#[derive(Debug, Clone, ClapArgs)]
pub struct ExplainArgs {
    /// Files of statements; a query sees the sources of the files before it
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
}

/// Flags of `test`.
#[derive(Debug, Clone, ClapArgs)]
pub struct TestArgs {
    /// Files and folders of tests
    #[arg(value_name = "PATH", required_unless_present = "sql_file")]
    pub paths: Vec<PathBuf>,
    /// A test of three files, as ksqlDB's test runner takes them: its statements
    #[arg(long, value_name = "FILE", requires = "output_file")]
    pub sql_file: Option<PathBuf>,
    /// Its records in: {"inputs": [{"topic": …, "key": …, "value": …}]}
    #[arg(long, value_name = "FILE", requires = "sql_file")]
    pub input_file: Option<PathBuf>,
    /// Its records expected: {"outputs": […]}
    #[arg(long, value_name = "FILE", requires = "sql_file")]
    pub output_file: Option<PathBuf>,
    /// How results look
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub report: ReportFormat,
    /// Name the passed ones too
    #[arg(short, long)]
    pub verbose: bool,
    /// Only cases whose file or name contains this
    #[arg(long, value_name = "TEXT")]
    pub filter: Option<String>,
    /// Records a batch: a number, or random:SEED
    #[arg(long, value_name = "N|random:SEED", value_parser = batching)]
    pub batch: Option<Batching>,
}

/// How a test's input is cut into batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Batching {
    /// So many records each.
    Fixed(usize),
    /// Sizes from dice with this seed.
    Random(u64),
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).map_err(|error| format!("{error}. {}", error.hints().join(" ")))
}

fn speed(text: &str) -> Result<f64, String> {
    let speed: f64 = text.trim_end_matches('x').parse().map_err(|_| "not a number".to_owned())?;
    if (0.001..=100_000.0).contains(&speed) { Ok(speed) } else { Err("must lie between 0.001 and 100000".to_owned()) }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("write KEY=VALUE, such as kafka.security.protocol=SASL_SSL".to_owned()),
    }
}

fn variable(text: &str) -> Result<(String, String), String> {
    let is_name = |name: &str| {
        let first = name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_');
        first && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    match text.split_once('=') {
        Some((name, value)) if is_name(name) => Ok((name.to_uppercase(), value.to_owned())),
        _ => Err("write NAME=VALUE, such as threshold=500.00".to_owned()),
    }
}

fn batching(text: &str) -> Result<Batching, String> {
    let wrong = || "write a number of records, or random:SEED".to_owned();
    match text.strip_prefix("random:") {
        Some(seed) => seed.parse().map(Batching::Random).map_err(|_| wrong()),
        None => match text.parse() {
            Ok(0) | Err(_) => Err(wrong()),
            Ok(records) => Ok(Batching::Fixed(records)),
        },
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        Args::try_parse_from(std::iter::once("eddyline").chain(line.split_whitespace()))
    }

    #[test]
    fn the_definition_is_sound() {
        Args::command().debug_assert();
        for name in ["demo", "run", "sql", "datagen", "explain", "test"] {
            let help = Args::command().find_subcommand_mut(name).unwrap().render_long_help().to_string();
            assert!(help.contains("Example"), "{name} shows no example");
        }
    }

    #[test]
    fn bare_is_the_prompt_and_global_flags_stand_anywhere() {
        assert!(parse("").unwrap().command.is_none());
        let before = parse("--bootstrap-servers a:1 sql -e x").unwrap();
        let after = parse("sql -e x --bootstrap-servers a:1").unwrap();
        assert_eq!(before.global.bootstrap_servers, after.global.bootstrap_servers);
        assert!(matches!(after.command, Some(Command::Sql(SqlArgs { execute, .. })) if execute == ["x"]));
    }

    #[test]
    fn commands_take_their_flags() {
        let Some(Command::Demo(demo)) = parse("demo --duration 20s --speed 90x --data-dir /tmp/d").unwrap().command
        else {
            panic!("not demo")
        };
        assert_eq!((demo.duration, demo.speed, demo.rate), (Some(Duration::from_secs(20)), 90.0, 400));
        let Some(Command::Run(run)) = parse("run q --check --workers 3").unwrap().command else { panic!("not run") };
        assert_eq!((run.check, run.replace, run.workers), (true, false, Some(3)));
        let line = "run q --until-caught-up -D topic=a=b --define limit=";
        let Some(Command::Run(run)) = parse(line).unwrap().command else { panic!("not run") };
        let defined = [("TOPIC", "a=b"), ("LIMIT", "")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!((run.until_caught_up, run.define), (true, defined.to_vec()));
        let Some(Command::Test(test)) = parse("test a b --batch random:7 -v").unwrap().command else {
            panic!("not test")
        };
        assert_eq!((test.paths.len(), test.batch, test.verbose), (2, Some(Batching::Random(7)), true));
        let Some(Command::Datagen(data)) = parse("datagen checkouts --rate 0 --count 9").unwrap().command else {
            panic!("not datagen")
        };
        assert_eq!((data.kind, data.rate, data.count), (Kind::Checkouts, 0, Some(9)));
    }

    #[test]
    fn mistakes_are_usage_errors() {
        for line in [
            "demo --duration soon",
            "run",
            "run q --workers 0",
            "run q --check --until-caught-up",
            "run q -D 1x=2",
            "run q -D x",
            "test",
            "test a --batch 0",
            "test --sql-file q.sql",
            "test --input-file in.json",
            "datagen teapots",
            "sql --set novalue",
            "demo --speed 0",
            "fly",
        ] {
            assert_eq!(parse(line).unwrap_err().exit_code(), 2, "{line}");
        }
        let set = parse("--set kafka.sasl.password=a=b").unwrap().global.set;
        assert_eq!(set, [("kafka.sasl.password".to_owned(), "a=b".to_owned())]);
    }
}
