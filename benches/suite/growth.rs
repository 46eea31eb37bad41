//! What grows with what: the same query with more workers, processes, keys, queries, longer windows, larger values, and
//! another format.

use std::path::{Path, PathBuf};

use super::answer::check;
use super::data::{Shape, fill};
use super::engine::{Run, World, query_file};
use super::options::Options;
use super::process::{Program, Used};
use super::registry::Registry;
use super::table::window_ms;

const PARTS: [&str; 6] = ["workers", "keys", "queries", "windows", "sizes", "formats"];

struct Growth<'a> {
    world: &'a World,
    guarantee: String,
    runs: u64,
    all_right: bool,
}

/// One case: a query on a shape of data.
struct Case<'a> {
    part: &'a str,
    name: String,
    query: &'a str,
    shape: Shape,
    window_ms: i64,
}

/// Measures and prints.
pub fn run(world: &World, options: &Options) -> bool {
    let parts: Vec<&str> = match options.words.is_empty() {
        true => PARTS.to_vec(),
        false => options.words.iter().map(String::as_str).collect(),
    };
    let records = options.number("records", 1_000_000);
    let guarantee = options.all("guarantee").pop().unwrap_or_else(|| "exactly_once".to_owned());
    let mut growth = Growth { world, guarantee, runs: options.number("runs", 1), all_right: true };
    println!("{}, {records} orders", growth.guarantee);
    println!(
        "| what | case | query | records in | CPU s | thousand events per CPU-second | peak MB | wall s | answer |"
    );
    println!("|---|---|---|--:|--:|--:|--:|--:|---|");
    for part in parts {
        match part {
            "workers" => growth.workers(records),
            "keys" => growth.keys(records),
            "queries" => growth.queries(records / 5),
            "windows" => growth.windows(records),
            "sizes" => growth.sizes(records),
            "formats" => growth.formats(records),
            other => panic!("{other} is none of {PARTS:?}"),
        }
    }
    growth.all_right
}

impl<'a> Growth<'a> {
    fn deployment(&self, workers: usize) -> Run<'a> {
        let mut run = self.world.deployment().set("processing.guarantee", &self.guarantee);
        run.workers = workers;
        run
    }

    /// The run that used the least CPU, checked, as a line.
    fn case(&mut self, case: Case<'_>, inputs: &[&str], measure: &mut dyn FnMut(&Run<'a>) -> Used, workers: usize) {
        let rows_in: u64 = inputs.iter().map(|topic| fill(&self.world.broker, case.shape, topic)).sum();
        let mut least: Option<Used> = None;
        let mut wrong = None;
        for _ in 0..self.runs {
            let run = self.deployment(workers);
            let used = measure(&run);
            let verdict = check(&self.world.broker, case.query, case.shape, case.window_ms, &run.output());
            wrong = wrong.or(verdict.wrong.map(|wrong| format!("{wrong}; {} were late", used.late)));
            if least.as_ref().is_none_or(|least| used.cpu_s < least.cpu_s) {
                least = Some(used);
            }
        }
        let least = least.expect("one run at least");
        self.line(&case, rows_in, &least, wrong);
    }

    fn line(&mut self, case: &Case<'_>, rows_in: u64, used: &Used, wrong: Option<String>) {
        self.all_right &= wrong.is_none();
        println!(
            "| {} | {} | {} | {rows_in} | {:.2} | {:.0} | {:.0} | {:.1} | {} |",
            case.part,
            case.name,
            case.query,
            used.cpu_s,
            rows_in as f64 / used.cpu_s / 1000.0,
            used.peak_mb,
            used.wall_s,
            wrong.map_or("right".to_owned(), |wrong| format!("**wrong**: {wrong}")),
        );
    }

    fn simple(&mut self, part: &str, name: &str, query: &str, inputs: &[&str], shape: Shape, workers: usize) {
        let (path, prefix) = (query_file(query), shape.prefix());
        let case = Case { part, name: name.to_owned(), query, shape, window_ms: window_ms(query) };
        let mut measure = |run: &Run<'a>| run.until_caught_up(&path, &[("prefix", &prefix), ("output", &run.output())]);
        self.case(case, inputs, &mut measure, workers);
    }

    fn workers(&mut self, records: u64) {
        let shape = Shape::new(records);
        let queries: [(&str, &[&str]); 3] =
            [("q_filter_all", &["orders"]), ("q_revenue", &["orders"]), ("q_join", &["orders", "payments"])];
        for (query, inputs) in queries {
            self.simple("workers", "1 worker", query, inputs, shape, 1);
            self.simple("workers", "2 workers", query, inputs, shape, 2);
            let (path, prefix) = (query_file(query), shape.prefix());
            let name = "2 processes".to_owned();
            let case = Case { part: "workers", name, query, shape, window_ms: window_ms(query) };
            let mut measure = |run: &Run<'a>| {
                let output = run.output();
                let defines = [("prefix", prefix.as_str()), ("output", output.as_str())];
                let start = |name: &str| {
                    let mut command = run.command(&path, &defines, name);
                    Program::start(command.args(["--until-caught-up", "--duration", "10m"]))
                };
                let (first, second) = (start("a"), start("b"));
                let (first, second) = (first.finish(), second.finish());
                Used {
                    cpu_s: first.cpu_s + second.cpu_s,
                    wall_s: first.wall_s.max(second.wall_s),
                    peak_mb: first.peak_mb.max(second.peak_mb),
                    late: first.late + second.late,
                }
            };
            self.case(case, inputs, &mut measure, 1);
        }
    }

    fn keys(&mut self, records: u64) {
        for products in [10, 1_000, 1_000_000] {
            let shape = Shape { products, ..Shape::new(records) };
            self.simple("keys", &format!("{products} keys"), "q_revenue", &["orders"], shape, 2);
        }
    }

    fn queries(&mut self, records: u64) {
        let shape = Shape::new(records);
        for count in [1usize, 10, 50] {
            let case = Case {
                part: "queries",
                name: format!("{count} over one topic"),
                query: "q_filter",
                shape,
                window_ms: 0,
            };
            let mut measure = |run: &Run<'a>| {
                let folder = copies(run, count, &shape.prefix(), &run.output());
                run.until_caught_up(&folder, &[])
            };
            self.case(case, &["orders"], &mut measure, 1);
        }
    }

    fn windows(&mut self, records: u64) {
        let shape = Shape::new(records);
        for (window, window_ms) in [("1 MINUTE", 60_000), ("1 DAY", 86_400_000)] {
            let case = Case { part: "windows", name: window.to_lowercase(), query: "q_revenue", shape, window_ms };
            let (path, prefix) = (query_file("q_revenue"), shape.prefix());
            let mut measure = |run: &Run<'a>| {
                let output = run.output();
                run.until_caught_up(&path, &[("prefix", &prefix), ("output", &output), ("window", window)])
            };
            self.case(case, &["orders"], &mut measure, 2);
        }
    }

    fn sizes(&mut self, records: u64) {
        let large = Shape { pad: 10_000, ..Shape::new(records / 20) };
        for (name, shape) in [("126 bytes", Shape::new(records)), ("10 kB", large)] {
            self.simple("sizes", name, "q_filter", &["orders"], shape, 2);
        }
    }

    /// The same columns in AVRO, written by Eddyline itself; results are JSON in both cases.
    fn formats(&mut self, records: u64) {
        let shape = Shape::new(records);
        let prefix = shape.prefix();
        let registry = Registry::start();
        let url = registry.url();
        fill(&self.world.broker, shape, "orders");
        let json = std::fs::read_to_string(query_file("q_filter")).expect("the query");
        let maker = self.deployment(2).set("schema.registry.url", &url);
        let made = maker.output();
        let text = json.replace("WHERE amount > 900", "").replace("k, order_id, user_id, amount", "*");
        let text = text.replace("KAFKA_TOPIC = '${output}'", "KAFKA_TOPIC = '${output}', VALUE_FORMAT = 'AVRO'");
        let file = write(&maker.folder("query"), "avro.sql", &text);
        maker.until_caught_up(&file, &[("prefix", &prefix), ("output", &made)]);
        let avro = json.replace("VALUE_FORMAT = 'JSON'", "VALUE_FORMAT = 'AVRO'").replace("${prefix}orders", &made);
        let avro = avro.replace("KAFKA_TOPIC = '${output}'", "KAFKA_TOPIC = '${output}', VALUE_FORMAT = 'JSON'");
        for (name, text) in [("JSON", json), ("AVRO", avro)] {
            let case = Case { part: "formats", name: name.to_owned(), query: "q_filter", shape, window_ms: 0 };
            let mut measure = |run: &Run<'a>| {
                let file = write(&run.folder("query"), "query.sql", &text);
                let output = run.output();
                let mut command = run.command(&file, &[("prefix", &prefix), ("output", &output)], "a");
                command.args(["--set", &format!("schema.registry.url={url}")]);
                Program::start(command.args(["--until-caught-up", "--duration", "10m"])).finish()
            };
            self.case(case, &["orders"], &mut measure, 2);
        }
    }
}

/// A folder with a filter over the same topic so many times; the first one's results go to `output`.
pub fn copies(run: &Run<'_>, count: usize, prefix: &str, output: &str) -> PathBuf {
    let folder = run.folder("queries");
    let text = std::fs::read_to_string(query_file("q_filter")).expect("the query");
    for i in 0..count {
        let output = if i == 0 { output.to_owned() } else { format!("{output}-{i}") };
        let text = text.replace("STREAM orders", "STREAM IF NOT EXISTS orders").replace("${prefix}", prefix);
        let text = text.replace("STREAM result", &format!("STREAM result_{i}")).replace("${output}", &output);
        write(&folder, &format!("q{i:02}.sql"), &text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) -> PathBuf {
    let path = folder.join(name);
    std::fs::write(&path, text).expect("a file");
    path
}
