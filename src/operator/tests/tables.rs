//! Table sources, materialisation, table joins.

use super::bench::{Bench, assert_rows, keyed, rows, text, windowed};
use crate::operator::{
    ForeignKeyJoin, Materialize, StreamTableJoin, TableCodec, TableSource, TableTableJoin, lookup, scan,
};
use crate::types::{Column, LogicalSchema, SqlType, Value};

pub(super) fn source() -> Bench {
    Bench::new(1, || TableSource::new(0, &keyed(&["V"])).expect("types"))
}

#[test]
fn upserts_become_changes() {
    let mut bench = source();
    let input = keyed(&["V"]);
    let out = bench.feed(rows(&input, "| 1 | 'a', 1\n | 2 | 'a', 2\n | 3 | NULL, 3\n | 4 | 'x', NULL (null value)"));
    assert_rows(
        &out,
        "+ | 1 | 'a', 1
         U-| 2 | 'a', 1
         U+| 2 | 'a', 2
         - | 4 | 'x', NULL (null value)",
    );
    bench.restart();
    let out = bench.feed(rows(&input, "| 5 | 'a', NULL (null value)\n | 6 | 'a', 6"));
    assert_rows(&out, "- | 5 | 'a', 2\n + | 6 | 'a', 6");
}

#[test]
fn materialised_rows_are_found_by_key_and_expire() {
    let schema = windowed(&["V"]);
    let kept = schema.clone();
    let mut bench = Bench::new(1, move || Materialize::new(0, &kept, Some(100)).expect("types"));
    let changes = "+ | 1 | 'a', 0, 10, 1
         U-| 2 | 'a', 0, 10, 1
         U+| 2 | 'a', 0, 10, 2
         + | 3 | 'b', 0, 10, 3
         + | 15 | 'a', 10, 20, 4
         - | 16 | 'b', 0, 10, 3";
    assert_rows(&bench.feed(rows(&schema, changes)), changes);
    bench.restart();
    let codec = TableCodec::new(&schema).expect("types");
    let key = Value::to_array(&SqlType::String, &[Value::String("a".into()), Value::String("b".into())]);
    let found = lookup(&bench.stores[0], &codec, &[key]).expect("rows");
    assert_rows(&found.to_pretty(), "| 2 | 'a', 0, 10, 2\n | 15 | 'a', 10, 20, 4");
    bench.idle(110);
    bench.commit();
    let found = scan(&bench.stores[0], &codec, 10).expect("rows");
    assert_rows(&found.to_pretty(), "| 15 | 'a', 10, 20, 4");
    assert_eq!(scan(&bench.stores[0], &codec, 0).expect("rows").len(), 0);
}

pub(super) fn stream_table(left_outer: bool) -> Bench {
    let (left, right, output) = (keyed(&["L"]), keyed(&["R"]), keyed(&["L", "R"]));
    Bench::new(1, move || StreamTableJoin::new(left_outer, 0, &left, &right, &output).expect("types"))
}

#[test]
fn stream_records_join_the_row_of_their_moment() {
    let stream = "| 1@0 | 'a', 1\n | 2@2 | 'a', 2\n | 3@4 | NULL, 3\n | 4@5 | 'a', NULL (null value)\n | 5@8 | 'a', 5";
    let table = "+ | 9@1 | 'a', 10\n U-| 9@3 | 'a', 10\n U+| 9@3 | 'a', 20\n - | 9@7 | 'a', 20";
    let (left, right) = (rows(&keyed(&["L"]), stream), rows(&keyed(&["R"]), table));
    let out = stream_table(false).feed_both(left.clone(), right.clone());
    assert_rows(&out, "| 2 | 'a', 2, 10");
    let out = stream_table(true).feed_both(left, right);
    assert_rows(
        &out,
        "| 1 | 'a', 1, NULL
         | 2 | 'a', 2, 10
         | 3 | NULL, 3, NULL
         | 5 | 'a', 5, NULL",
    );
}

pub(super) fn table_table(outer: [bool; 2]) -> Bench {
    let (left, right, output) = (keyed(&["L"]), keyed(&["R"]), keyed(&["L", "R"]));
    Bench::new(2, move || TableTableJoin::new(outer, [0, 1], &left, &right, &output).expect("types"))
}

fn joined(outer: [bool; 2]) -> String {
    let mut bench = table_table(outer);
    let left = "+ | 1@0 | 'a', 1\n U-| 3@2 | 'a', 1\n U+| 3@2 | 'a', 2\n - | 8@5 | 'a', 2";
    let right = "+ | 2@1 | 'a', 10\n - | 4@3 | 'a', 10\n + | 5@4 | 'a', 20\n - | 6@6 | 'z', NULL (null value)";
    let mut out = bench.feed_both(rows(&keyed(&["L"]), left), rows(&keyed(&["R"]), right));
    bench.restart();
    let right = rows(&keyed(&["R"]), "- | 9@9 | 'a', 20");
    out += &text(&bench.process(vec![None, Some(right)]));
    out
}

#[test]
fn inner_table_joins_tell_deletions_of_joined_rows_only() {
    assert_rows(
        &joined([false, false]),
        "+ | 2 | 'a', 1, 10
         U-| 3 | 'a', 1, 10
         U+| 3 | 'a', 2, 10
         - | 4 | 'a', 2, 10
         + | 5 | 'a', 2, 20
         - | 8 | 'a', 2, 20",
    );
}

#[test]
fn outer_table_joins_keep_unmatched_rows() {
    assert_rows(
        &joined([true, false]),
        "+ | 1 | 'a', 1, NULL
         U-| 2 | 'a', 1, NULL
         U+| 2 | 'a', 1, 10
         U-| 3 | 'a', 1, 10
         U+| 3 | 'a', 2, 10
         U-| 4 | 'a', 2, 10
         U+| 4 | 'a', 2, NULL
         U-| 5 | 'a', 2, NULL
         U+| 5 | 'a', 2, 20
         - | 8 | 'a', 2, 20",
    );
    assert_rows(
        &joined([true, true]),
        "+ | 1 | 'a', 1, NULL
         U-| 2 | 'a', 1, NULL
         U+| 2 | 'a', 1, 10
         U-| 3 | 'a', 1, 10
         U+| 3 | 'a', 2, 10
         U-| 4 | 'a', 2, 10
         U+| 4 | 'a', 2, NULL
         U-| 5 | 'a', 2, NULL
         U+| 5 | 'a', 2, 20
         U-| 8 | 'a', 2, 20
         U+| 8 | 'a', NULL, 20
         - | 9 | 'a', NULL, 20",
    );
}

pub(super) fn foreign(left_outer: bool) -> Bench {
    let (left, right) = (keyed(&["ID", "L"]), keyed(&["R"]));
    let columns = ["L", "R"].map(|name| Column::value(name, SqlType::BigInt));
    let output = LogicalSchema::new([vec![Column::key("ID", SqlType::BigInt)], columns.to_vec()].concat(), false);
    Bench::new(2, move || ForeignKeyJoin::new(left_outer, [0, 1], &left, &right, &output).expect("types"))
}

#[test]
fn rows_follow_the_row_that_they_name() {
    // Row 1 names a, row 2 names nothing that is there; a changes; row 1 moves to b and goes.
    let left = "+ | 2@1 | 'a', 1, 10\n + | 3@2 | 'z', 2, 20\n U-| 6@4 | 'a', 1, 10\n U+| 6@4 | 'b', 1, 11\n\
                - | 8@6 | 'b', 1, 11";
    let right = "+ | 1@0 | 'a', 100\n U-| 5@3 | 'a', 100\n U+| 5@3 | 'a', 101\n + | 7@5 | 'b', 200";
    let feed = |left_outer| {
        let mut bench = foreign(left_outer);
        bench.feed_both(rows(&keyed(&["ID", "L"]), left), rows(&keyed(&["R"]), right))
    };
    assert_rows(
        &feed(false),
        "| 2 | 1, 10, 100
         | 5 | 1, 10, 101
         | 6 | 1, NULL, NULL (null value)
         | 7 | 1, 11, 200
         | 8 | 1, NULL, NULL (null value)",
    );
    assert_rows(
        &feed(true),
        "| 2 | 1, 10, 100
         | 3 | 2, 20, NULL
         | 5 | 1, 10, 101
         | 6 | 1, 11, NULL
         | 7 | 1, 11, 200
         | 8 | 1, NULL, NULL (null value)",
    );
}

#[test]
fn all_rows_that_name_a_row_go_with_it() {
    let mut bench = foreign(false);
    let left = rows(&keyed(&["ID", "L"]), "+ | 2@1 | 'a', 2, 20\n + | 9@2 | 'a', 1, 10");
    bench.feed_both(left, rows(&keyed(&["R"]), "+ | 1@0 | 'a', 100"));
    bench.restart();
    let right = rows(&keyed(&["R"]), "- | 5@3 | 'a', 100");
    assert_rows(
        &text(&bench.process(vec![None, Some(right)])),
        "| 9 | 1, NULL, NULL (null value)
         | 5 | 2, NULL, NULL (null value)",
    );
}
