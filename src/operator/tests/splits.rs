//! The property that batching is unobservable: any split of the input, with commits and restarts in between, gives the
//! same output, errors and late rows as one batch.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::bench::{Bench, keyed, text, text_with_seq};
use super::{aggregation, joins, sessions, stateless, tables};
use crate::change::ChangeBatch;
use crate::operator::{Limit, Materialize};
use crate::types::{LogicalSchema, SqlType, Value};

/// A record before it is part of a batch.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) port: usize,
    pub(super) key: Option<u8>,
    pub(super) rowtime: i64,
    pub(super) values: [Option<i64>; 2],
    pub(super) null_value: bool,
}

/// What happens at positions of the input.
#[derive(Debug, Clone)]
pub(super) struct Script {
    pub(super) rows: Vec<Row>,
    /// Ends of batches, and whether a commit (1) or a restart (2) follows.
    pub(super) cuts: Vec<(usize, u8)>,
    /// Idle advances: part of the input.
    idles: Vec<(usize, i64)>,
}

pub(super) fn script() -> impl Strategy<Value = Script> {
    let row = (
        0..2usize,
        prop_oneof![9 => (0..3u8).prop_map(Some), 1 => Just(None)],
        0..40i64,
        [proptest::option::weighted(0.9, -1..4i64), proptest::option::weighted(0.9, 0..3i64)],
        prop::bool::weighted(0.15),
    );
    // Event time drifts forward, so that windows close and records come late.
    let rows = vec(row, 1..50).prop_map(|rows| {
        let drift = |(i, (port, key, rowtime, values, null_value)): (usize, _)| {
            let rowtime: i64 = rowtime;
            Row { port, key, rowtime: rowtime + 3 * i as i64, values, null_value }
        };
        rows.into_iter().enumerate().map(drift).collect()
    });
    let cuts = vec((0..50usize, 0..3u8), 0..12);
    let idles = vec((0..50usize, 0..250i64), 0..3);
    (rows, cuts, idles).prop_map(|(rows, cuts, idles)| Script { rows, cuts, idles })
}

/// The rows of a port; a row's position in the script is its arrival number.
pub(super) fn stream(script: &Script, port: usize, schema: &LogicalSchema) -> ChangeBatch {
    let rows: Vec<_> = script.rows.iter().enumerate().filter(|(_, row)| row.port == port).collect();
    let key = |row: &Row| row.key.map_or(Value::Null, |key| Value::String(format!("k{key}")));
    let mut columns =
        vec![Value::to_array(&SqlType::String, &rows.iter().map(|(_, row)| key(row)).collect::<Vec<_>>())];
    for (i, column) in schema.value().iter().enumerate() {
        let cell = |row: &Row| {
            let number = row.values[i].filter(|_| !row.null_value).map_or(Value::Null, Value::BigInt);
            match &column.ty {
                SqlType::Array(_) if number.is_null() => Value::Null,
                SqlType::Array(_) => Value::Array(vec![number; row.values[1 - i].unwrap_or(0).max(0) as usize]),
                _ => number,
            }
        };
        columns.push(Value::to_array(&column.ty, &rows.iter().map(|(_, row)| cell(row)).collect::<Vec<_>>()));
    }
    let data = crate::change::batch::record_batch(schema.arrow(), columns, rows.len()).expect("columns");
    let rowtime = rows.iter().map(|(_, row)| row.rowtime).collect();
    let seq = rows.iter().map(|(seq, _)| *seq as u64).collect();
    let nulls: Vec<bool> = rows.iter().map(|(_, row)| row.null_value).collect();
    let null_values = nulls.contains(&true).then(|| nulls.into());
    ChangeBatch { null_values, ..ChangeBatch::append_only(data, rowtime, seq) }
}

/// The rows of a port as a table's changes.
pub(super) fn table(script: &Script, port: usize, schema: &LogicalSchema) -> ChangeBatch {
    let kept = schema.clone();
    let mut source = Bench::new(1, move || crate::operator::TableSource::new(0, &kept).expect("types"));
    let changes = source.process(vec![Some(stream(script, port, schema))]);
    ChangeBatch::concat(&changes).expect("one schema").unwrap_or_else(|| ChangeBatch::empty(schema.arrow()))
}

/// Runs the script, with its cuts or without, and writes down all that can be observed.
fn observe(mut bench: Bench, script: &Script, ports: &[ChangeBatch], cut: bool) -> String {
    let mut stops: BTreeMap<usize, (u8, Option<i64>)> = BTreeMap::new();
    for (at, time) in &script.idles {
        stops.entry(*at).or_default().1 = Some(*time);
    }
    for (at, action) in script.cuts.iter().filter(|_| cut) {
        let stop = stops.entry(*at).or_default();
        stop.0 = stop.0.max(*action);
    }
    stops.insert(script.rows.len().max(50), (0, Some(10_000)));

    let (mut seen, mut from) = (String::new(), 0);
    for (to, (action, idle)) in stops {
        let part = |batch: &ChangeBatch| {
            let place = |seq: usize| batch.seq.partition_point(|other| *other < seq as u64);
            let (from, to) = (place(from), place(to));
            (from < to).then(|| batch.slice(from, to - from))
        };
        let input: Vec<_> = ports.iter().map(part).collect();
        if input.iter().any(Option::is_some) {
            seen += &text_with_seq(&bench.process(input));
        }
        if action > 0 {
            seen += &text(&if action == 1 { bench.commit() } else { bench.restart() });
        }
        if let Some(time) = idle {
            seen += &text(&bench.idle(time));
        }
        from = to;
    }
    format!("{seen}late {}\n{:?}", bench.late, bench.errors)
}

pub(super) fn check(script: &Script, ports: &[ChangeBatch], make: impl Fn() -> Bench) {
    let (whole, split) = (observe(make(), script, ports, false), observe(make(), script, ports, true));
    pretty_assert(&whole, &split, script);
}

#[track_caller]
fn pretty_assert(whole: &str, split: &str, script: &Script) {
    assert!(whole == split, "one batch:\n{whole}\nsplit:\n{split}\n{script:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn stateless_operators(script in script()) {
        let two = keyed(&["V", "W"]);
        for port in [stream(&script, 0, &two), table(&script, 0, &two)] {
            check(&script, std::slice::from_ref(&port), stateless::project);
            check(&script, std::slice::from_ref(&port), stateless::group_by);
            // A limit has no store: it does not survive a restart, nor has to.
            let cuts = script.cuts.iter().map(|(at, action)| (*at, *action.min(&1))).collect();
            let script = Script { cuts, ..script.clone() };
            check(&script, &[port], || Bench::new(0, || Limit::new(7)));
        }
        check(&script, &[stream(&script, 0, &two)], stateless::partition_by);
        check(&script, &[stream(&script, 0, &stateless::lists())], stateless::flat_map);
        let one = keyed(&["V"]);
        check(&script, &[stream(&script, 0, &one)], stateless::filter);
        check(&script, &[table(&script, 0, &one)], stateless::filter);
    }

    #[test]
    fn tables_kept(script in script()) {
        let schema = keyed(&["V"]);
        check(&script, &[stream(&script, 0, &schema)], tables::source);
        let materialize = || {
            Bench::new(1, || Materialize::new(0, &keyed(&["V"]), None).expect("types"))
        };
        check(&script, &[table(&script, 0, &schema)], materialize);
    }

    #[test]
    fn aggregations(script in script(), grace_ms in 0..20i64) {
        let schema = keyed(&["V"]);
        let rows = stream(&script, 0, &schema);
        check(&script, std::slice::from_ref(&rows), || aggregation::bench(None, false));
        check(&script, &[table(&script, 0, &schema)], || aggregation::bench(None, false));
        for emit_final in [false, true] {
            for advance_ms in [10, 4] {
                let window = aggregation::window(10, advance_ms, grace_ms);
                check(&script, std::slice::from_ref(&rows), || aggregation::bench(Some(window), emit_final));
            }
            check(&script, std::slice::from_ref(&rows), || sessions::bench(5, grace_ms, emit_final));
        }
    }

    #[test]
    fn stream_joins(
        script in script(),
        bounds in (0..10i64, 0..10i64, 0..20i64),
        outer in [any::<bool>(), any::<bool>()],
        eager in prop::bool::weighted(0.2),
    ) {
        let ports = [stream(&script, 0, &keyed(&["L"])), stream(&script, 1, &keyed(&["R"]))];
        check(&script, &ports, || joins::bench(outer, bounds, eager));
    }

    #[test]
    fn table_joins(script in script(), outer in [any::<bool>(), any::<bool>()]) {
        let (left, right) = (keyed(&["L"]), keyed(&["R"]));
        let ports = [table(&script, 0, &left), table(&script, 1, &right)];
        check(&script, &ports, || tables::table_table(outer));
        let ports = [stream(&script, 0, &left), table(&script, 1, &right)];
        check(&script, &ports, || tables::stream_table(outer[0]));
        let ports = [table(&script, 0, &keyed(&["ID", "L"])), table(&script, 1, &right)];
        check(&script, &ports, || tables::foreign(outer[0]));
    }
}
