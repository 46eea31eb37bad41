//! The simulation over a few hundred seeds, and its own test: brokers that are wrong on purpose are found out.

use crate::simulation::{Mutation, Options, run};

/// Seeds among which every mutation must be found.
const SEEDS_FOR_MUTATIONS: u64 = 400;

fn check(seeds: std::ops::Range<u64>) {
    check_with(seeds, Options::default(), "");
}

/// A seed that found something before there were small queues and processes that stand still.
fn check_plain(seed: u64) {
    check_with(seed..seed + 1, Options { plain: true, ..Options::default() }, " --plain");
}

fn check_with(seeds: std::ops::Range<u64>, options: Options<'_>, flags: &str) {
    for seed in seeds {
        let repeat = format!("cargo run --release --example simulate -- --seed {seed}{flags} -v");
        let ran = std::panic::catch_unwind(|| run(seed, options));
        match ran {
            Ok(Ok(_)) => {}
            Ok(Err(difference)) => panic!("seed {seed}: {difference}\nrepeat it with: {repeat}"),
            Err(_) => panic!("seed {seed} panicked\nrepeat it with: {repeat}"),
        }
    }
}

// Two halves, for two threads.

#[test]
fn seeds_0_to_99_bring_what_runs_without_trouble_bring() {
    check(0..100);
}

#[test]
fn seeds_100_to_199_bring_what_runs_without_trouble_bring() {
    check(100..200);
}

/// Sessions that end twice in the middle of one repartition record.
#[test]
fn a_record_that_is_half_done_twice_is_done_once() {
    check_plain(3003);
}

/// Without transactions, and a member that learns that the group has expelled it: it must not write to changelogs that
/// its successor reads already.
#[test]
fn a_member_that_knows_it_was_expelled_writes_nothing_more() {
    check_plain(3639);
}

/// A commit between fetching a record that cannot be read and telling so.
#[test]
fn a_record_that_cannot_be_read_is_told_of_before_it_is_passed() {
    for seed in [3468, 3609] {
        check_with(seed..seed + 1, Options { at_least_once: true, ..Options::default() }, " --at-least-once");
    }
}

/// What is promised without transactions is checked in every run: nothing missing, stores as their changelogs.
#[test]
fn without_transactions_nothing_is_missing() {
    check_with(200..260, Options { at_least_once: true, ..Options::default() }, " --at-least-once");
}

#[test]
fn runs_have_trouble_in_them() {
    let reports = (0..40).filter_map(|seed| run(seed, Options::default()).ok());
    let (failures, records) = reports.fold((0, 0), |sum, report| (sum.0 + report.failures, sum.1 + report.records));
    assert!(failures > 100, "only {failures} sessions failed");
    assert!(records > 2_000, "only {records} records compared");
}

#[test]
fn brokers_that_are_wrong_on_purpose_are_found_out() {
    for mutation in Mutation::ALL {
        // Runs with disks take longer; these have much state.
        let shape = (mutation == Mutation::CheckpointAhead).then_some("joined_outer");
        let options = Options { mutation, shape, ..Options::default() };
        let found = (0..SEEDS_FOR_MUTATIONS).find(|seed| run(*seed, options).is_err());
        assert!(found.is_some(), "{mutation:?} is not found within {SEEDS_FOR_MUTATIONS} seeds");
    }
}
