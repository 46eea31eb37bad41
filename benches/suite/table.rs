//! The table: every query by every engine, in turn, several times.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::answer::{Verdict, check};
use super::data::{Shape, fill, inputs};
use super::engine::{World, query_file};

pub const QUERIES: [&str; 6] = ["q_filter", "q_filter_all", "q_revenue", "q_failed", "q_enrich", "q_join"];

/// What is to be measured.
pub struct Wanted {
    pub queries: Vec<String>,
    pub records: u64,
    pub runs: usize,
    pub guarantees: Vec<String>,
    pub workers: usize,
    pub peers: Option<PathBuf>,
    pub engines: Vec<String>,
    pub settings: Vec<(String, String)>,
}

/// One run of one engine.
#[derive(Debug, Clone)]
struct Figures {
    /// Events a CPU-second, thousands; of JVMs in the second half of the input.
    warm: f64,
    /// The same from the first instruction to the last.
    whole: f64,
    peak_mb: f64,
    wall_s: f64,
    rows: u64,
    wrong: Option<String>,
}

pub fn window_ms(query: &str) -> i64 {
    if query == "q_failed" { 300_000 } else { 60_000 }
}

/// Measures and prints.
pub fn run(world: &World, wanted: &Wanted) -> bool {
    let shape = Shape::new(wanted.records);
    println!(
        "| query | engine | thousand events per CPU-second | best | whole run | peak MB | wall s | rows out | answer |"
    );
    println!("|---|---|--:|--:|--:|--:|--:|--:|---|");
    let mut all_right = true;
    for query in &wanted.queries {
        let rows_in = inputs(query).iter().map(|topic| fill(&world.broker, shape, topic)).sum();
        let mut engines: Vec<String> = wanted.guarantees.iter().map(|g| format!("eddyline {g}")).collect();
        engines.extend(wanted.engines.iter().cloned());
        let mut figures: Vec<Vec<Figures>> = vec![Vec::new(); engines.len()];
        for _ in 0..wanted.runs {
            for (engine, figures) in engines.iter().zip(&mut figures) {
                let one = match engine.strip_prefix("eddyline ") {
                    Some(guarantee) => Some(ours(world, wanted, query, shape, rows_in, guarantee)),
                    None => wanted.peers.as_deref().and_then(|dir| peer(world, dir, engine, query, shape)),
                };
                if let Some(one) = &one {
                    eprintln!("{query} {engine}: {one:?}");
                }
                figures.extend(one);
            }
        }
        for (engine, mut figures) in engines.into_iter().zip(figures) {
            if figures.is_empty() {
                continue;
            }
            figures.sort_by(|a, b| a.warm.total_cmp(&b.warm));
            let wrong = figures.iter().find_map(|one| one.wrong.clone());
            all_right &= wrong.is_none() || !engine.starts_with("eddyline");
            let best = figures[figures.len() - 1].warm;
            let median = &figures[figures.len() / 2];
            let peak = figures.iter().map(|one| one.peak_mb).fold(0.0, f64::max);
            println!(
                "| {query} | {engine} | {:.0} | {best:.0} | {:.0} | {peak:.0} | {:.1} | {} | {} |",
                median.warm,
                median.whole,
                median.wall_s,
                median.rows,
                wrong.map_or("right".to_owned(), |wrong| format!("**wrong**: {wrong}")),
            );
        }
    }
    all_right
}

fn ours(world: &World, wanted: &Wanted, query: &str, shape: Shape, rows_in: u64, guarantee: &str) -> Figures {
    let mut run = world.deployment().set("processing.guarantee", guarantee);
    run.workers = wanted.workers;
    run.settings.extend(wanted.settings.iter().cloned());
    let output = run.output();
    let used = run.until_caught_up(&query_file(query), &[("prefix", &shape.prefix()), ("output", &output)]);
    let Verdict { rows, wrong } = check(&world.broker, query, shape, window_ms(query), &output);
    let wrong = wrong.map(|wrong| format!("{wrong}; {} were late", used.late));
    let rate = rows_in as f64 / used.cpu_s / 1000.0;
    Figures { warm: rate, whole: rate, peak_mb: used.peak_mb, wall_s: used.wall_s, rows, wrong }
}

/// Runs `DIR/ENGINE/run.sh QUERY BOOTSTRAP PREFIX`; its last line of JSON tells. `None` when it cannot do the query.
fn peer(world: &World, dir: &Path, engine: &str, query: &str, shape: Shape) -> Option<Figures> {
    // Of floor: it has no state, and calls the plain copy by that name.
    let asked = match (engine, query) {
        ("floor", "q_filter") => "q_filter",
        ("floor", "q_filter_all") => "copy",
        ("floor", _) => return None,
        _ => query,
    };
    let mut command = Command::new(dir.join(engine).join("run.sh"));
    command.args([asked, &world.bootstrap, &shape.prefix()]);
    if std::env::var_os("KAFKA_LIB").is_none() {
        command.env("KAFKA_LIB", kafka_jars());
    }
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().rev().find(|line| line.starts_with('{'));
    let Some(told) = line.and_then(|line| serde_json::from_str::<Value>(line).ok()).filter(|_| output.status.success())
    else {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        eprintln!("{engine} did not run {query}: {}", said.lines().last().unwrap_or("without a word"));
        return None;
    };
    let number = |name: &str| told.get(name).and_then(Value::as_f64);
    let rows_in = number("rows_in")?;
    let whole = rows_in / number("cpu_s")? / 1000.0;
    let half = number("second_half_cpu_s").filter(|cpu| *cpu > 0.0);
    let half_records = number("second_half_records").unwrap_or(rows_in / 2.0);
    let out = told.get("out").and_then(Value::as_str).unwrap_or_default();
    // Flink's rows of windows have no windowed key, so only its number of rows is told; floor's copy has no amounts.
    let verdict = match (engine, query) {
        _ if out.is_empty() => None,
        ("flink", "q_revenue" | "q_failed") | ("floor", "q_filter_all") => None,
        _ => Some(check(&world.broker, query, shape, window_ms(query), out)),
    };
    if !out.is_empty() {
        let _ = eddyline::broker::Broker::delete_topic(&world.broker, out);
    }
    Some(Figures {
        warm: half.map_or(whole, |cpu| half_records / cpu / 1000.0),
        whole,
        peak_mb: number("peak_rss_mb").unwrap_or_default(),
        wall_s: number("wall_s").unwrap_or_default(),
        rows: verdict.as_ref().map_or(number("rows_out").unwrap_or_default() as u64, |verdict| verdict.rows),
        wrong: verdict.and_then(|verdict| verdict.wrong),
    })
}

/// Where `scripts/kafka` keeps Kafka's jars.
fn kafka_jars() -> PathBuf {
    let home = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = home("XDG_CACHE_HOME").or_else(|| Some(home("HOME")?.join(".cache"))).unwrap_or_default();
    cache.join("eddyline/kafka-4.1.1/lib")
}
