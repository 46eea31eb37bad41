//! Aggregation without sessions.

use super::bench::{Bench, assert_rows, keyed, rows, text, windowed};
use super::test_calls::{Kind, call};
use crate::operator::{Aggregation, AggregationConfig};
use crate::time::{WindowKind, WindowSpec};
use crate::types::LogicalSchema;

pub(super) fn window(size_ms: i64, advance_ms: i64, grace_ms: i64) -> WindowSpec {
    let kind = if size_ms == advance_ms { WindowKind::Tumbling } else { WindowKind::Hopping };
    WindowSpec { kind, size_ms, advance_ms, grace_ms, retention_ms: size_ms + grace_ms }
}

pub(super) fn bench(window: Option<WindowSpec>, emit_final: bool) -> Bench {
    let schema = if window.is_some() { windowed(&["N", "S"]) } else { keyed(&["N", "S"]) };
    let input = keyed(&["V"]);
    Bench::new(1, move || {
        let config = AggregationConfig { store: 0, schema: schema.clone(), window, emit_final, forgetful: false };
        Aggregation::new(config, vec![call(Kind::Count, &input), call(Kind::Sum, &input)]).expect("types")
    })
}

fn input() -> LogicalSchema {
    keyed(&["V"])
}

#[test]
fn tells_each_update_with_its_before_image_and_newest_time() {
    let mut bench = bench(None, false);
    let out = bench.feed(rows(&input(), "| 5 | 'a', 1\n | 3 | 'a', 2\n | 9 | 'b', 7"));
    assert_rows(
        &out,
        "+ | 5 | 'a', 1, 1
         U-| 5 | 'a', 1, 1
         U+| 5 | 'a', 2, 3
         + | 9 | 'b', 1, 7",
    );
    bench.restart();
    let out = bench.feed(rows(&input(), "| 7 | 'a', 4"));
    assert_rows(&out, "U-| 7 | 'a', 2, 3\n U+| 7 | 'a', 3, 7");
}

#[test]
fn coalesces_until_commit_in_order_of_first_touch() {
    let mut bench = bench(None, false);
    bench.coalesce = true;
    let out = bench.feed(rows(&input(), "| 1 | 'b', 1\n | 2 | 'a', 2\n | 3 | 'b', 3"));
    assert_rows(&out, "");
    assert_rows(&text(&bench.commit()), "+ | 3 | 'b', 2, 4\n + | 2 | 'a', 1, 2");
    bench.feed(rows(&input(), "| 4 | 'a', 5\n | 5 | 'a', 6"));
    assert_rows(&text(&bench.commit()), "U-| 5 | 'a', 1, 2\n U+| 5 | 'a', 3, 13");
    assert_rows(&text(&bench.commit()), "");
}

#[test]
fn hopping_windows_take_late_rows_while_open() {
    let mut bench = bench(Some(window(10, 5, 2)), false);
    let out = bench.feed(rows(&input(), "| 7 | 'a', 1\n | 16 | 'a', 2\n | 8 | 'a', 4\n | 17 | 'b', 0\n | 8 | 'a', 8"));
    assert_rows(
        &out,
        "+ | 7 | 'a', 0, 10, 1, 1
         + | 7 | 'a', 5, 15, 1, 1
         + | 16 | 'a', 10, 20, 1, 2
         + | 16 | 'a', 15, 25, 1, 2
         U-| 8 | 'a', 5, 15, 1, 1
         U+| 8 | 'a', 5, 15, 2, 5
         + | 17 | 'b', 10, 20, 1, 0
         + | 17 | 'b', 15, 25, 1, 0",
    );
    assert_eq!(bench.late, 2);
}

#[test]
fn expired_windows_leave_the_store() {
    let mut bench = bench(Some(window(10, 10, 0)), false);
    bench.feed(rows(&input(), "| 7 | 'a', 1\n | 8 | 'b', 2"));
    bench.commit();
    let before = bench.stores[0].memory_bytes();
    bench.feed(rows(&input(), "| 1000 | 'a', 2"));
    bench.restart();
    assert!(bench.stores[0].memory_bytes() < before);
    let out = bench.feed(rows(&input(), "| 1001 | 'a', 2"));
    assert_rows(&out, "U-| 1001 | 'a', 1000, 1010, 1, 2\n U+| 1001 | 'a', 1000, 1010, 2, 4");
}

#[test]
fn final_results_come_when_the_window_closes_and_are_never_lost() {
    let mut bench = bench(Some(window(10, 10, 5)), true);
    let out = bench.feed(rows(&input(), "| 1 | 'b', 1\n | 2 | 'a', 2\n | 11 | 'a', 3\n | 3 | 'b', 4"));
    assert_rows(&out, "");
    bench.restart();
    assert_rows(&bench.feed(rows(&input(), "| 14 | 'c', 0")), "");
    // A jump far past retention still tells every window.
    let out = bench.feed(rows(&input(), "| 100000 | 'a', 9\n | 5 | 'b', 7"));
    assert_rows(
        &out,
        "+ | 3 | 'b', 0, 10, 2, 5
         + | 2 | 'a', 0, 10, 1, 2
         + | 11 | 'a', 10, 20, 1, 3
         + | 14 | 'c', 10, 20, 1, 0",
    );
    assert_eq!(bench.late, 1);
    assert_rows(&text(&bench.idle(100_014)), "");
    assert_rows(&text(&bench.idle(100_015)), "+ | 100000 | 'a', 100000, 100010, 1, 9");
    bench.restart();
    assert_rows(&bench.feed(rows(&input(), "| 100001 | 'a', 1")), "");
    assert_eq!(bench.late, 2);
}

#[test]
fn tables_take_rows_back() {
    let mut bench = bench(None, false);
    let out = bench.feed(rows(
        &input(),
        "+ | 1 | 'g', 1
         + | 2 | 'g', 5
         U-| 3 | 'g', 5
         U+| 3 | 'g', 6
         - | 4 | 'g', 1
         + | 4 | 'h', 1
         - | 5 | 'g', 6
         - | 6 | 'never', 6",
    ));
    assert_rows(
        &out,
        "+ | 1 | 'g', 1, 1
         U-| 2 | 'g', 1, 1
         U+| 2 | 'g', 2, 6
         U-| 3 | 'g', 2, 6
         U+| 3 | 'g', 2, 7
         U-| 4 | 'g', 2, 7
         U+| 4 | 'g', 1, 6
         + | 4 | 'h', 1, 1
         U-| 5 | 'g', 1, 6
         U+| 5 | 'g', 0, 0",
    );
}

#[test]
fn a_batch_may_end_within_an_update() {
    let mut bench = bench(None, false);
    bench.feed(rows(&input(), "+ | 1 | 'g', 1"));
    assert_rows(&bench.feed(rows(&input(), "U-| 2 | 'g', 1")), "");
    bench.commit();
    let out = bench.feed(rows(&input(), "U+| 2 | 'g', 5"));
    assert_rows(&out, "U-| 2 | 'g', 1, 1\n U+| 2 | 'g', 1, 5");
}

#[test]
fn a_failing_call_is_told_and_leaves_the_others() {
    let mut bench = bench(None, false);
    let out = bench.feed(rows(&input(), "| 1@7 | 'a', -1"));
    assert_rows(&out, "+ | 1 | 'a', 1, 0");
    let error = &bench.errors[0];
    assert_eq!((error.seq, error.place.as_str(), error.reason.as_str()), (7, "SUM", "no -1, please"));
}
