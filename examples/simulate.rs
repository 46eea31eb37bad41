//! The simulation over many seeds, on all cores.
//!
//! - `simulate --seeds 2000 [--from N]` runs seeds and prints those that failed;
//! - `simulate --seed N [-v]` repeats one, with `-v` telling what happens;
//! - `--at-least-once` runs all of them without transactions, `--plain` without small queues and processes that stand
//!   still, as seeds up to 6000 were when they found something first;
//! - `--shape NAME` takes only queries of that shape, `--mutation NAME` makes the broker wrong on purpose.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

#[path = "../tests/it/simulation/mod.rs"]
mod simulation;

use simulation::{Mutation, Options, Report, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const USAGE: &str = "usage: simulate [--seeds COUNT] [--from N] [--seed N] [-v] [--shape NAME] [--mutation NAME] [--at-least-once] [--plain] [--threads N]";

struct Args {
    from: u64,
    seeds: u64,
    threads: usize,
    verbose: bool,
    at_least_once: bool,
    plain: bool,
    shape: Option<String>,
    mutation: Mutation,
}

fn args() -> Option<Args> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let (shape, mutation) = (None, Mutation::None);
    let (verbose, at_least_once, plain) = (false, false, false);
    let mut args = Args { from: 0, seeds: 200, threads: cores, verbose, at_least_once, plain, shape, mutation };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-v" => args.verbose = true,
            "--plain" => args.plain = true,
            "--at-least-once" => args.at_least_once = true,
            "--seeds" => args.seeds = words.next()?.parse().ok()?,
            "--from" => args.from = words.next()?.parse().ok()?,
            "--seed" => (args.from, args.seeds) = (words.next()?.parse().ok()?, 1),
            "--threads" => args.threads = words.next()?.parse().ok()?,
            "--shape" => args.shape = Some(words.next()?),
            "--mutation" => {
                let name = words.next()?;
                args.mutation = Mutation::ALL.into_iter().find(|mutation| format!("{mutation:?}") == name)?;
            }
            _ => return None,
        }
    }
    Some(args)
}

/// A seed's result; a panic is a failure like any other.
fn outcome(seed: u64, options: Options<'_>) -> Result<Report, String> {
    catch_unwind(AssertUnwindSafe(|| run(seed, options))).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panicked: {}", text.unwrap_or_default()))
    })
}

fn main() -> ExitCode {
    let Some(args) = args() else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let Args { mutation, at_least_once, plain, verbose, .. } = args;
    let options = Options { mutation, shape: args.shape.as_deref(), at_least_once, plain, verbose };
    let started = Instant::now();
    let next = AtomicU64::new(args.from);
    let (failures, records) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed: Mutex<Vec<u64>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..args.threads.max(1) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= args.from + args.seeds {
                        return;
                    }
                    match outcome(seed, options) {
                        Ok(report) => {
                            failures.fetch_add(report.failures, Ordering::Relaxed);
                            records.fetch_add(report.records, Ordering::Relaxed);
                        }
                        Err(difference) => {
                            println!("seed {seed}: {difference}\n  repeat: cargo run --release --example simulate -- --seed {seed} -v");
                            failed.lock().expect("nobody panics with it").push(seed);
                        }
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody panics with it");
    println!(
        "{} seeds from {}: {} failed; {} sessions ended by faults, {} output records compared; {:.1} s",
        args.seeds,
        args.from,
        failed.len(),
        failures.into_inner(),
        records.into_inner(),
        started.elapsed().as_secs_f64()
    );
    if failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
