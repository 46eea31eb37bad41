//! What is over by stream time leaves the stores of every windowed operator, and their changelogs by deletions.

use super::bench::{Bench, keyed, rows, windowed};
use super::{aggregation, joins, sessions};
use crate::change::ChangeBatch;
use crate::operator::Materialize;

/// A row of port 0 or 1 every 10 ms for two of ten keys each, over `count` rows.
fn records(schema: &crate::types::LogicalSchema, count: u64, windows: bool) -> ChangeBatch {
    let line = |i: u64| {
        let (time, key) = (i * 10, i % 10);
        if windows {
            format!("+ | {time} | 'k{key}', {time}, {}, {i}", time + 10)
        } else {
            format!("| {time} | 'k{key}', {i}")
        }
    };
    rows(schema, &(0..count).map(line).collect::<Vec<_>>().join("\n"))
}

/// Runs through a hundred windows; the stores never hold more than a few of them, and in the end, when time has moved on
/// without records, one entry each: how far time has come.
fn frees_its_space(name: &str, mut bench: Bench, batch: &ChangeBatch, ports: usize, most: usize) {
    for coalesce in [false, true] {
        bench.coalesce = coalesce;
        let mut largest = 0;
        for from in (0..batch.len()).step_by(7) {
            let part = batch.slice(from, 7.min(batch.len() - from));
            bench.process((0..ports).map(|_| Some(part.clone())).collect());
            bench.commit();
            largest = largest.max(bench.entries());
            if from % 70 == 0 {
                bench.restart();
            }
        }
        assert!(largest > ports && largest <= most, "{name}: {largest} entries");
        bench.idle(batch.rowtime.iter().copied().max().unwrap_or(0) + 10_000);
        bench.commit();
        assert_eq!(bench.entries(), ports, "{name}: entries left");
        assert_eq!(bench.replayed(), ports, "{name}: keys left in the changelogs");
        bench = bench.again();
    }
}

#[test]
fn every_windowed_operator_frees_its_space() {
    let input = records(&keyed(&["V"]), 500, false);
    for last in [false, true] {
        let name = |kind: &str| format!("{kind}, final {last}");
        let tumbling = aggregation::bench(Some(aggregation::window(50, 50, 20)), last);
        frees_its_space(&name("tumbling"), tumbling, &input, 1, 40);
        let hopping = aggregation::bench(Some(aggregation::window(50, 10, 20)), last);
        frees_its_space(&name("hopping"), hopping, &input, 1, 120);
        frees_its_space(&name("session"), sessions::bench(15, 20, last), &input, 1, 40);
    }
    for outer in [[false, false], [true, true]] {
        let ports = records(&keyed(&["L"]), 500, false);
        frees_its_space(&format!("join {outer:?}"), joins::bench(outer, (30, 20, 10), false), &ports, 2, 100);
    }
    let schema = windowed(&["V"]);
    let results = records(&schema, 500, true);
    let kept = Bench::new(1, move || Materialize::new(0, &schema, Some(100)).expect("types"));
    frees_its_space("materialize", kept, &results, 1, 60);
}
