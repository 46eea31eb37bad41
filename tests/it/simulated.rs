//! The simulation over a few hundred seeds, and its own test: brokers that are wrong on purpose are found out.

use crate::simulation::{Options, run};

/// How a seed that failed is repeated.
fn repeat(seed: u64) -> String {
    format!("cargo run --release --example simulate -- --seed {seed} -v")
}

#[test]
fn two_hundred_seeds_bring_what_the_runs_without_trouble_bring() {
    for seed in 0..200 {
        if let Err(difference) = run(seed, Options::default()) {
            panic!("seed {seed}: {difference}\nrepeat it with: {}", repeat(seed));
        }
    }
}
