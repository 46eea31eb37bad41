//! Incremental equals recomputed: what the operators tell, folded, is what a plain computation over the whole input
//! gives; and tables' changes are well formed (before images are the rows that were there).

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::bench::{Bench, keyed};
use super::splits::{Script, script, stream, table};
use super::{aggregation, joins, sessions, stateless, tables};
use crate::change::pretty::pretty_value;
use crate::change::{ChangeBatch, Op};
use crate::types::Value;

type Table = BTreeMap<String, String>;

/// The table that the changes lead to; rows are identified by their first `identity` columns.
fn fold(changes: &[ChangeBatch], identity: usize) -> Table {
    let mut table = Table::new();
    let mut replaced = None;
    for batch in changes {
        for row in 0..batch.len() {
            let cells: Vec<_> =
                batch.data.columns().iter().map(|column| pretty_value(&Value::from_array(column, row))).collect();
            let (key, value) = (cells[..identity].join(","), cells[identity..].join(","));
            let op = batch.op(row);
            match op {
                Op::Insert => assert_eq!(table.insert(key.clone(), value), None, "inserted twice: {key}"),
                Op::UpdateAfter => assert_eq!(replaced.as_ref(), Some(&key), "no before image"),
                Op::Delete if batch.is_null_value(row) => assert!(!table.contains_key(&key), "known: {key}"),
                Op::Delete | Op::UpdateBefore => assert_eq!(table.remove(&key), Some(value), "wrong image of {key}"),
            }
            if op == Op::UpdateAfter {
                table.insert(key.clone(), cells[identity..].join(","));
            }
            replaced = (op == Op::UpdateBefore).then_some(key);
        }
    }
    assert_eq!(replaced, None, "no after image");
    table
}

/// Feeds port by port with commits in between, by the script's cuts.
fn run(mut bench: Bench, script: &Script, ports: &[ChangeBatch], coalesce: bool) -> Vec<ChangeBatch> {
    bench.coalesce = coalesce;
    let mut cuts: Vec<usize> = script.cuts.iter().map(|(at, _)| *at).collect();
    cuts.push(usize::MAX);
    cuts.sort_unstable();
    let (mut out, mut from) = (Vec::new(), 0);
    for to in cuts {
        let part = |batch: &ChangeBatch| {
            let place = |seq: usize| batch.seq.partition_point(|other| *other < seq as u64);
            batch.slice(place(from), place(to) - place(from))
        };
        out.extend(bench.process(ports.iter().map(|port| Some(part(port))).collect()));
        out.extend(bench.commit());
        from = to;
    }
    out
}

fn cell(value: Option<i64>) -> String {
    value.map_or("NULL".to_owned(), |value| value.to_string())
}

/// The current rows of a port's table: key to value.
fn current(script: &Script, port: usize) -> BTreeMap<u8, Option<i64>> {
    let mut rows = BTreeMap::new();
    for row in script.rows.iter().filter(|row| row.port == port) {
        match row.key {
            Some(key) if row.null_value => drop(rows.remove(&key)),
            Some(key) => drop(rows.insert(key, row.values[0])),
            None => {}
        }
    }
    rows
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables(script in script(), outer in [any::<bool>(), any::<bool>()]) {
        let (left, right) = (keyed(&["V"]), keyed(&["V"]));
        let ports = [table(&script, 0, &left), table(&script, 1, &right)];
        let rows = [current(&script, 0), current(&script, 1)];

        let kept: Table = rows[0].iter().map(|(key, value)| (format!("'k{key}'"), cell(*value))).collect();
        prop_assert_eq!(fold(&ports[..1], 1), kept);
        let passed = rows[0].iter().filter(|(_, value)| value.is_some_and(|value| value > 1));
        let passed: Table = passed.map(|(key, value)| (format!("'k{key}'"), cell(*value))).collect();
        prop_assert_eq!(fold(&run(stateless::filter_above(1), &script, &ports[..1], false), 1), passed);

        let mut joined = Table::new();
        for key in 0..3 {
            let sides = [rows[0].get(&key), rows[1].get(&key)];
            let present = sides.map(|side| side.is_some());
            if present[0] && (present[1] || outer[0]) || present[1] && (present[0] || outer[1]) {
                let cells = sides.map(|side| cell(side.copied().flatten()));
                joined.insert(format!("'k{key}'"), cells.join(","));
            }
        }
        prop_assert_eq!(fold(&run(tables::table_table(outer), &script, &ports, false), 1), joined);
    }

    #[test]
    fn aggregates(script in script(), coalesce in any::<bool>()) {
        let schema = keyed(&["V"]);
        let rows: Vec<_> = script.rows.iter().filter(|row| row.port == 0).collect();
        let key = |row: &super::splits::Row| row.key.map_or("NULL".to_owned(), |key| format!("'k{key}'"));
        // SUM fails on -1, and then leaves the sum.
        let number = |row: &super::splits::Row| row.values[0].filter(|v| !row.null_value && *v != -1).unwrap_or(0);

        let mut sums: BTreeMap<String, (i64, i64)> = BTreeMap::new();
        for row in &rows {
            for start in [row.rowtime - row.rowtime % 4 - 8, row.rowtime - row.rowtime % 4 - 4, row.rowtime - row.rowtime % 4] {
                if start >= 0 && row.rowtime < start + 10 {
                    let sum = sums.entry(format!("{},{start},{}", key(row), start + 10)).or_default();
                    *sum = (sum.0 + 1, sum.1 + number(row));
                }
            }
        }
        let expected: Table = sums.into_iter().map(|(key, (n, sum))| (key, format!("{n},{sum}"))).collect();
        let port = [stream(&script, 0, &schema)];
        let open = aggregation::window(10, 4, 10_000);
        let out = run(aggregation::bench(Some(open), false), &script, &port, coalesce);
        prop_assert_eq!(fold(&out, 3), expected.clone());
        let mut last = aggregation::bench(Some(open), true);
        let mut out = last.process(vec![Some(port[0].clone())]);
        out.extend(last.idle(100_000));
        prop_assert_eq!(fold(&out, 3), expected);

        // A table's groups come to the aggregation of what is current, but for groups that lost all rows.
        let changes = table(&script, 0, &keyed(&["V", "W"]));
        let grouped = run(stateless::group_by(), &script, &[changes], false);
        let grouped = ChangeBatch::concat(&grouped).expect("one schema");
        let grouped: Vec<_> = grouped.into_iter().collect();
        if !grouped.is_empty() {
            let out = run(stateless::count_groups(), &script, &grouped, coalesce);
            let mut counts = fold(&out, 1);
            counts.retain(|_, count| count != "0");
            let mut expected: BTreeMap<i64, i64> = BTreeMap::new();
            let mut rows = BTreeMap::new();
            for row in script.rows.iter().filter(|row| row.port == 0 && row.key.is_some()) {
                rows.insert(row.key, row.values[1].filter(|_| !row.null_value));
            }
            rows.values().flatten().for_each(|group| *expected.entry(*group).or_default() += 1);
            let expected: Table = expected.iter().map(|(group, n)| (group.to_string(), n.to_string())).collect();
            prop_assert_eq!(counts, expected);
        }
    }

    #[test]
    fn session_windows(script in script(), coalesce in any::<bool>()) {
        let schema = keyed(&["V"]);
        let mut times: BTreeMap<Option<u8>, Vec<i64>> = BTreeMap::new();
        for row in script.rows.iter().filter(|row| row.port == 0) {
            times.entry(row.key).or_default().push(row.rowtime);
        }
        let mut expected = Table::new();
        for (key, mut times) in times {
            times.sort_unstable();
            for session in times.chunk_by(|a, b| b - a <= 5) {
                let key = key.map_or("NULL".to_owned(), |key| format!("'k{key}'"));
                let bounds = format!("{key},{},{}", session[0], session[session.len() - 1]);
                expected.insert(bounds, session.len().to_string());
            }
        }
        let port = [stream(&script, 0, &schema)];
        let counts = |out: &[ChangeBatch]| {
            let table = fold(out, 3).into_iter();
            let count = |row: String| row.split(',').next().map(str::to_owned).unwrap_or_default();
            table.map(|(key, row)| (key, count(row))).collect::<Table>()
        };
        prop_assert_eq!(counts(&run(sessions::bench(5, 10_000, false), &script, &port, coalesce)), expected.clone());
        let mut last = sessions::bench(5, 10_000, true);
        let mut out = last.process(vec![Some(port[0].clone())]);
        out.extend(last.idle(100_000));
        prop_assert_eq!(counts(&out), expected);
    }

    #[test]
    fn stream_joins(script in script(), before in 0..10i64, after in 0..10i64, outer in [any::<bool>(), any::<bool>()]) {
        let mut expected = Vec::new();
        let usable: Vec<_> = script.rows.iter().filter(|row| !row.null_value).collect();
        let is_match = |l: &super::splits::Row, r: &super::splits::Row| {
            l.key.is_some() && l.key == r.key && (l.rowtime - before..=l.rowtime + after).contains(&r.rowtime)
        };
        let text = |key: Option<u8>, ts: i64, l: Option<i64>, r: Option<i64>| {
            let key = key.map_or("NULL".to_owned(), |key| format!("'k{key}'"));
            format!("{ts}: {key},{},{}", cell(l), cell(r))
        };
        for row in &usable {
            let matches: Vec<_> = usable.iter().filter(|other| {
                let (l, r) = if row.port == 0 { (*row, **other) } else { (**other, *row) };
                other.port != row.port && is_match(l, r)
            }).collect();
            if row.port == 0 {
                expected.extend(matches.iter().map(|r| {
                    text(row.key, row.rowtime.max(r.rowtime), row.values[0], r.values[0])
                }));
            }
            if matches.is_empty() && outer[row.port] {
                let sides = if row.port == 0 { [row.values[0], None] } else { [None, row.values[0]] };
                expected.push(text(row.key, row.rowtime, sides[0], sides[1]));
            }
        }
        let ports = [stream(&script, 0, &keyed(&["L"])), stream(&script, 1, &keyed(&["R"]))];
        let mut bench = joins::bench(outer, (before, after, 10_000), false);
        let mut out = bench.process(ports.map(Some).to_vec());
        out.extend(bench.restart());
        out.extend(bench.idle(100_000));
        let mut actual = Vec::new();
        for batch in &out {
            for row in 0..batch.len() {
                let cells: Vec<_> =
                    batch.data.columns().iter().map(|column| pretty_value(&Value::from_array(column, row))).collect();
                actual.push(format!("{}: {}", batch.rowtime[row], cells.join(",")));
            }
        }
        expected.sort_unstable();
        actual.sort_unstable();
        prop_assert_eq!(actual, expected);
    }
}
