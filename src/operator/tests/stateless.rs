//! Filters, projections, keys, table functions, limits.

use super::bench::{Bench, assert_rows, expr, keyed, rows};
use super::test_calls::{Kind, call};
use crate::operator::{
    Aggregation, AggregationConfig, Filter, FlatMap, GroupBy, Limit, PartitionBy, PartitionKey, Project,
};
use crate::types::{Column, LogicalSchema, SqlType};

pub(super) fn filter() -> Bench {
    filter_above(5)
}

pub(super) fn filter_above(limit: i64) -> Bench {
    Bench::new(0, move || Filter::new(expr(&format!("V > {limit}"), &keyed(&["V"]))))
}

#[test]
fn streams_lose_rows_that_do_not_pass() {
    let out = filter()
        .feed(rows(&keyed(&["V"]), "| 1 | 'a', 6\n | 2 | 'a', 5\n | 3 | 'a', NULL\n | 4 | 'a', NULL (null value)"));
    assert_rows(&out, "| 1 | 'a', 6");
}

#[test]
fn tables_lose_rows_that_stop_passing() {
    let out = filter().feed(rows(
        &keyed(&["V"]),
        "+ | 1 | 'a', 6
         + | 2 | 'b', 1
         U-| 3 | 'a', 6
         U+| 3 | 'a', 7
         U-| 4 | 'a', 7
         U+| 4 | 'a', 2
         U-| 5 | 'a', 2
         U+| 5 | 'a', 3
         - | 6 | 'a', 3
         U-| 7 | 'b', 1
         U+| 7 | 'b', 8
         - | 8 | 'b', 8
         - | 9 | 'c', NULL (null value)",
    ));
    assert_rows(
        &out,
        "+ | 1 | 'a', 6
         U-| 3 | 'a', 6
         U+| 3 | 'a', 7
         - | 4 | 'a', 7
         + | 7 | 'b', 8
         - | 8 | 'b', 8
         - | 9 | 'c', NULL (null value)",
    );
}

pub(super) fn project() -> Bench {
    let input = keyed(&["V", "W"]);
    let output =
        LogicalSchema::new(vec![Column::key("ID", SqlType::String), Column::value("X", SqlType::BigInt)], false);
    Bench::new(0, move || Project::new(&input, output.clone(), vec![expr("K", &input)], vec![expr("V / W", &input)]))
}

#[test]
fn projections_keep_null_values_and_tell_new_errors() {
    let mut bench = project();
    let out = bench
        .feed(rows(&keyed(&["V", "W"]), "| 1 | 'a', 6, 3\n | 2@5 | 'a', 6, 0\n | 3 | 'a', NULL, NULL (null value)"));
    assert_rows(&out, "| 1 | 'a', 2\n | 2 | 'a', NULL\n | 3 | 'a', NULL (null value)");
    assert_eq!(bench.errors.iter().map(|error| error.seq).collect::<Vec<_>>(), [5]);
    bench.feed(rows(&keyed(&["V", "W"]), "U-| 4@6 | 'a', 6, 0\n U+| 4@6 | 'a', 6, 1"));
    assert_eq!(bench.errors.len(), 1, "a before image's error was told when it was new");
}

pub(super) fn partition_by() -> Bench {
    let input = keyed(&["V", "W"]);
    let columns =
        [Column::key("Q", SqlType::BigInt), Column::value("K", SqlType::String), Column::value("V", SqlType::BigInt)];
    let output = LogicalSchema::new(columns.to_vec(), false);
    Bench::new(0, move || {
        let key = PartitionKey { expr: expr("V / W", &input), reads_value: true };
        PartitionBy::new(&input, output.clone(), vec![key], vec![expr("K", &input), expr("V", &input)])
    })
}

#[test]
fn a_failed_key_is_null_and_the_row_stays() {
    let mut bench = partition_by();
    let out =
        bench.feed(rows(&keyed(&["V", "W"]), "| 1 | 'a', 6, 3\n | 2 | 'a', 6, 0\n | 3 | 'a', NULL, NULL (null value)"));
    assert_rows(&out, "| 1 | 2, 'a', 6\n | 2 | NULL, 'a', 6\n | 3 | NULL, NULL, NULL (null value)");
    assert_eq!(bench.errors.len(), 1);
}

pub(super) fn group_by() -> Bench {
    let input = keyed(&["V", "W"]);
    let output =
        LogicalSchema::new(vec![Column::key("G", SqlType::BigInt), Column::value("V", SqlType::BigInt)], false);
    Bench::new(0, move || {
        GroupBy::new(output.clone(), vec![expr("W", &input)], vec![expr("V", &input)]).expect("types")
    })
}

/// `COUNT` over what [`group_by`] gives.
pub(super) fn count_groups() -> Bench {
    let group = Column::key("G", SqlType::BigInt);
    let input = LogicalSchema::new(vec![group.clone(), Column::value("V", SqlType::BigInt)], false);
    let schema = LogicalSchema::new(vec![group, Column::value("N", SqlType::BigInt)], false);
    Bench::new(1, move || {
        let config =
            AggregationConfig { store: 0, schema: schema.clone(), window: None, emit_final: false, forgetful: false };
        Aggregation::new(config, vec![call(Kind::Count, &input)]).expect("types")
    })
}

#[test]
fn rows_without_group_go_and_are_told() {
    let mut bench = group_by();
    let out = bench
        .feed(rows(&keyed(&["V", "W"]), "| 1 | 'a', 6, 3\n | 2 | 'a', 6, NULL\n | 3 | 'a', NULL, NULL (null value)"));
    assert_rows(&out, "| 1 | 3, 6");
    assert_eq!(bench.errors.iter().map(|error| error.seq).collect::<Vec<_>>(), [1]);
}

#[test]
fn images_in_two_groups_part() {
    let out = group_by().feed(rows(
        &keyed(&["V", "W"]),
        "+ | 1 | 'a', 6, 1
         U-| 2 | 'a', 6, 1
         U+| 2 | 'a', 7, 1
         U-| 3 | 'a', 7, 1
         U+| 3 | 'a', 7, 2
         U-| 4 | 'a', 7, 2
         U+| 4 | 'a', 7, NULL
         U-| 5 | 'a', 7, NULL
         U+| 5 | 'a', 7, 3
         - | 6 | 'a', 7, 3
         - | 7 | 'x', NULL, NULL (null value)",
    ));
    assert_rows(
        &out,
        "+ | 1 | 1, 6
         U-| 2 | 1, 6
         U+| 2 | 1, 7
         - | 3 | 1, 7
         + | 3 | 2, 7
         - | 4 | 2, 7
         + | 5 | 3, 7
         - | 6 | 3, 7",
    );
}

pub(super) fn lists() -> LogicalSchema {
    let list = || SqlType::array(SqlType::BigInt);
    let columns = [Column::key("K", SqlType::String), Column::value("A", list()), Column::value("B", list())];
    LogicalSchema::new(columns.to_vec(), false)
}

pub(super) fn flat_map() -> Bench {
    let mut columns = lists().columns;
    columns.extend([Column::value("X", SqlType::BigInt), Column::value("Y", SqlType::BigInt)]);
    let output = LogicalSchema::new(columns, false);
    Bench::new(0, move || FlatMap::new(output.clone(), vec![expr("A", &lists()), expr("B", &lists())]))
}

#[test]
fn table_functions_are_zipped() {
    let out = flat_map().feed(rows(
        &lists(),
        "| 1 | 'a', [1, 2], [3]\n | 2 | 'b', [], NULL\n | 3 | 'c', NULL, [4]\n | 4 | 'd', NULL, NULL (null value)",
    ));
    assert_rows(
        &out,
        "| 1 | 'a', [1, 2], [3], 1, 3
         | 1 | 'a', [1, 2], [3], 2, NULL
         | 3 | 'c', NULL, [4], NULL, 4",
    );
}

#[test]
fn limits_count_over_batches() {
    let mut bench = Bench::new(0, || Limit::new(3));
    let out = bench.feed(rows(&keyed(&["V"]), "+ | 1 | 'a', 1\n U-| 2 | 'a', 1\n U+| 2 | 'a', 2"));
    assert_rows(&out, "+ | 1 | 'a', 1\n U-| 2 | 'a', 1\n U+| 2 | 'a', 2");
    let out = bench.feed(rows(&keyed(&["V"]), "+ | 3 | 'b', 1\n + | 4 | 'c', 1"));
    assert_rows(&out, "+ | 3 | 'b', 1");
}
