//! Stream-stream joins.

use super::bench::{Bench, assert_rows, keyed, rows, text};
use crate::change::ChangeBatch;
use crate::operator::{StreamStreamJoin, StreamStreamJoinConfig};

pub(super) fn bench(outer: [bool; 2], (before_ms, after_ms, grace_ms): (i64, i64, i64), eager_outer: bool) -> Bench {
    let config = StreamStreamJoinConfig { outer, before_ms, after_ms, grace_ms, eager_outer, stores: [0, 1] };
    let (left, right, output) = (keyed(&["L"]), keyed(&["R"]), keyed(&["L", "R"]));
    Bench::new(2, move || StreamStreamJoin::new(config.clone(), &left, &right, &output).expect("types"))
}

fn left(text: &str) -> ChangeBatch {
    rows(&keyed(&["L"]), text)
}

fn right(text: &str) -> ChangeBatch {
    rows(&keyed(&["R"]), text)
}

#[test]
fn bounds_are_inclusive_and_asymmetric() {
    let mut bench = bench([false, false], (2, 5, 100), false);
    let out = bench.feed_both(
        left("| 10@0 | 'a', 1\n | 12@5 | 'a', 2"),
        right("| 7@1 | 'a', 7\n | 8@2 | 'a', 8\n | 15@3 | 'a', 15\n | 16@4 | 'a', 16\n | 10@6 | 'b', 10"),
    );
    assert_rows(
        &out,
        "| 10 | 'a', 1, 8
         | 15 | 'a', 1, 15
         | 15 | 'a', 2, 15
         | 16 | 'a', 2, 16",
    );
    bench.restart();
    // The other side's records come in order of their time.
    let out = text(&bench.process(vec![None, Some(right("| 12@7 | 'a', 12"))]));
    assert_rows(&out, "| 12 | 'a', 1, 12\n | 12 | 'a', 2, 12");
}

#[test]
fn unmatched_records_wait_for_their_window() {
    let mut bench = bench([true, true], (5, 5, 2), false);
    let out = bench.feed_both(
        left("| 10@0 | 'a', 1\n | 11@1 | 'b', 2\n | 12@4 | 'c', 3"),
        right("| 14@2 | 'b', 20\n | 9@3 | 'z', 30"),
    );
    assert_rows(&out, "| 14 | 'b', 2, 20");
    bench.restart();
    // 9 + 5 + 2 and 10 + 5 + 2 are past at 18.
    let out = bench.feed(left("| 17@5 | 'd', 4\n | 18@6 | 'd', 5"));
    assert_rows(&out, "| 9 | 'z', NULL, 30\n | 10 | 'a', 1, NULL");
    bench.restart();
    assert_rows(
        &text(&bench.idle(25)),
        "| 12 | 'c', 3, NULL
         | 17 | 'd', 4, NULL",
    );
    assert_rows(&text(&bench.idle(1000)), "| 18 | 'd', 5, NULL");
    bench.restart();
    assert_rows(&text(&bench.idle(2000)), "");
}

#[test]
fn each_side_closes_by_its_own_reach() {
    let mut bench = bench([true, true], (0, 100, 0), false);
    let out = bench.feed_both(left("| 10@0 | 'a', 1\n | 30@2 | 'x', 3"), right("| 20@1 | 'b', 2"));
    assert_rows(&out, "| 20 | 'b', NULL, 2");
    assert_rows(&text(&bench.idle(111)), "| 10 | 'a', 1, NULL");
}

#[test]
fn eager_joins_pad_at_once() {
    let mut bench = bench([true, false], (5, 5, 100), true);
    let out = bench.feed_both(left("| 10@0 | 'a', 1"), right("| 11@1 | 'a', 2\n | 11@2 | 'z', 3"));
    assert_rows(&out, "| 10 | 'a', 1, NULL\n | 11 | 'a', 1, 2");
    assert_rows(&text(&bench.idle(1000)), "");
}

#[test]
fn records_without_key_or_value_match_nothing() {
    let input = || (left("| 1@0 | NULL, 1\n | 2@2 | 'a', NULL (null value)"), right("| 1@1 | NULL, 2"));
    let (l, r) = input();
    assert_rows(&bench([false, false], (5, 5, 0), false).feed_both(l, r), "");
    let (l, r) = input();
    assert_rows(&bench([true, false], (5, 5, 0), false).feed_both(l, r), "| 1 | NULL, 1, NULL");
}

#[test]
fn late_records_join_what_is_kept_but_are_not() {
    let mut bench = bench([false, true], (60, 60, 60), false);
    let out = bench.feed_both(
        left("| 0@0 | 'a', 1\n | 330@2 | 'b', 2\n | 90@3 | 'c', 3\n | 90@6 | 'd', 4"),
        right("| 60@1 | 'a', 10\n | 90@4 | 'c', 30\n | 60@5 | 'd', 40"),
    );
    assert_rows(
        &out,
        "| 60 | 'a', 1, 10
         | 90 | 'c', NULL, 30
         | 60 | 'd', NULL, 40
         | 90 | 'd', 4, 40",
    );
    assert_eq!(bench.late, 2);
}

#[test]
fn what_cannot_match_any_more_leaves_the_stores() {
    let mut bench = bench([true, true], (5, 5, 0), false);
    bench.feed_both(left("| 10@0 | 'a', 1"), right("| 10@1 | 'a', 2"));
    bench.commit();
    assert_eq!(bench.entries(), 6, "of each side the time, a record, and the list of its segment");
    bench.idle(21);
    bench.restart();
    assert_eq!(bench.entries(), 2);
}
