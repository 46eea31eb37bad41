//! Session windows.

use super::bench::{Bench, assert_rows, keyed, rows, text};
use super::test_calls::{Kind, call};
use crate::operator::{AggregationConfig, SessionAggregation};
use crate::time::{WindowKind, WindowSpec};
use crate::types::{Column, LogicalSchema, SqlType};

pub(super) fn bench(gap_ms: i64, grace_ms: i64, emit_final: bool) -> Bench {
    let columns = [
        Column::key("K", SqlType::String),
        Column::value("N", SqlType::BigInt),
        Column::value("L", SqlType::array(SqlType::BigInt)),
    ];
    let schema = LogicalSchema::new(columns.to_vec(), true);
    let retention_ms = gap_ms + grace_ms;
    let window = WindowSpec { kind: WindowKind::Session, size_ms: gap_ms, advance_ms: gap_ms, grace_ms, retention_ms };
    let input = keyed(&["V"]);
    Bench::new(1, move || {
        let config =
            AggregationConfig { store: 0, schema: schema.clone(), window: Some(window), emit_final, forgetful: false };
        SessionAggregation::new(config, vec![call(Kind::Count, &input), call(Kind::List, &input)]).expect("types")
    })
}

fn input() -> LogicalSchema {
    keyed(&["V"])
}

#[test]
fn sessions_grow_and_merge_over_deletions() {
    let mut bench = bench(5, 100, false);
    let out = bench.feed(rows(&input(), "| 10 | 'a', 1\n | 15 | 'a', 2\n | 22 | 'a', 3"));
    assert_rows(
        &out,
        "+ | 10 | 'a', 10, 10, 1, [1]
         - | 10 | 'a', 10, 10, 1, [1]
         + | 15 | 'a', 10, 15, 2, [1, 2]
         + | 22 | 'a', 22, 22, 1, [3]",
    );
    bench.restart();
    let out = bench.feed(rows(&input(), "| 18 | 'a', 4\n | 12 | 'a', 5"));
    assert_rows(
        &out,
        "- | 15 | 'a', 10, 15, 2, [1, 2]
         - | 22 | 'a', 22, 22, 1, [3]
         + | 22 | 'a', 10, 22, 4, [1, 2, 3, 4]
         - | 22 | 'a', 10, 22, 4, [1, 2, 3, 4]
         + | 22 | 'a', 10, 22, 5, [1, 2, 3, 4, 5]",
    );
}

#[test]
fn one_moment_is_updated_in_place() {
    let mut bench = bench(5, 100, false);
    let out = bench.feed(rows(&input(), "| 10 | 'a', 1\n | 10 | 'a', 2"));
    assert_rows(
        &out,
        "+ | 10 | 'a', 10, 10, 1, [1]
         U-| 10 | 'a', 10, 10, 1, [1]
         U+| 10 | 'a', 10, 10, 2, [1, 2]",
    );
}

#[test]
fn late_rows_are_those_whose_session_is_over() {
    let mut bench = bench(5, 10, false);
    bench.feed(rows(&input(), "| 10 | 'a', 1\n | 40 | 'b', 1"));
    // 10 + 5 + 10 < 40: the old session takes nothing any more, and one that ends before 25 cannot begin.
    assert_rows(&bench.feed(rows(&input(), "| 12 | 'a', 2\n | 24 | 'a', 3")), "");
    assert_eq!(bench.late, 2);
    assert_rows(&bench.feed(rows(&input(), "| 25 | 'a', 4")), "+ | 25 | 'a', 25, 25, 1, [4]");
}

#[test]
fn coalesced_sessions_tell_the_difference() {
    let mut bench = bench(5, 100, false);
    bench.coalesce = true;
    bench.feed(rows(&input(), "| 10 | 'a', 1\n | 20 | 'a', 2\n | 30 | 'a', 3\n | 14 | 'a', 4"));
    assert_rows(
        &text(&bench.commit()),
        "+ | 14 | 'a', 10, 14, 2, [1, 4]
         + | 20 | 'a', 20, 20, 1, [2]
         + | 30 | 'a', 30, 30, 1, [3]",
    );
    bench.feed(rows(&input(), "| 17 | 'a', 5\n | 30 | 'a', 6"));
    assert_rows(
        &text(&bench.commit()),
        "- | 14 | 'a', 10, 14, 2, [1, 4]
         - | 20 | 'a', 20, 20, 1, [2]
         + | 20 | 'a', 10, 20, 4, [1, 4, 2, 5]
         U-| 30 | 'a', 30, 30, 1, [3]
         U+| 30 | 'a', 30, 30, 2, [3, 6]",
    );
}

#[test]
fn final_sessions_come_once() {
    let mut bench = bench(5, 6, true);
    let out = bench.feed(rows(&input(), "| 0 | 'a', 1\n | 4 | 'a', 2\n | 11 | 'b', 3\n | 15 | 'c', 4"));
    assert_rows(&out, "");
    bench.restart();
    let out = bench.feed(rows(&input(), "| 16 | 'c', 5\n | 9 | 'a', 6\n | 3 | 'a', 7"));
    // The first session closed at 16; nothing joins it any more.
    assert_rows(&out, "+ | 4 | 'a', 0, 4, 2, [1, 2]");
    assert_eq!(bench.late, 1);
    bench.restart();
    assert_rows(
        &text(&bench.idle(100)),
        "+ | 9 | 'a', 9, 9, 1, [6]
         + | 11 | 'b', 11, 11, 1, [3]
         + | 16 | 'c', 15, 16, 2, [4, 5]",
    );
    bench.restart();
    assert_rows(&text(&bench.idle(1000)), "");
}
