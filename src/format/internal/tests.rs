use std::sync::Arc;

use arrow::datatypes::Schema;
use proptest::prelude::*;

use super::super::tests::{any_type, table};
use super::*;
use crate::change::{Op, batch::record_batch};
use crate::types::{Column, SqlType, Value};

fn batch(columns: &[Column], rows: &[Vec<Value>], changes: &[(i64, u8, bool)], table: bool) -> ChangeBatch {
    let schema = Arc::new(Schema::new(columns.iter().map(Column::field).collect::<Vec<_>>()));
    let arrays = columns.iter().enumerate();
    let arrays = arrays.map(|(i, column)| Value::to_array(&column.ty, rows.iter().map(|row| &row[i]))).collect();
    let change = |i: usize| changes[i % changes.len()];
    let ops = [Op::Insert, Op::UpdateBefore, Op::UpdateAfter, Op::Delete];
    let all = || (0..rows.len()).map(change);
    ChangeBatch {
        data: record_batch(schema, arrays, rows.len()).expect("arrays follow the schema"),
        rowtime: all().map(|(time, ..)| time).collect(),
        seq: vec![0; rows.len()].into(),
        ops: table.then(|| all().map(|(_, op, _)| ops[usize::from(op % 4)]).collect()),
        null_values: table.then(|| all().map(|(.., null)| null).collect()),
    }
}

fn assert_same(a: &ChangeBatch, b: &ChangeBatch) {
    assert_eq!(a.to_pretty(), b.to_pretty());
    assert_eq!((&a.rowtime, &a.ops, &a.null_values), (&b.rowtime, &b.ops, &b.null_values));
    assert_eq!(a.data.schema(), b.data.schema());
}

#[test]
fn a_row_costs_little() {
    let columns = [Column::key("K", SqlType::String), Column::value("V", SqlType::Int)];
    let rows = [vec![Value::String("key".into()), Value::Null]];
    let batch = batch(&columns, &rows, &[(1_700_000_000_000, 0, false)], false);
    let bytes = encode_batch(&batch).expect("encodes");
    assert_eq!(bytes.len(), 15, "3 of the row, 6 of its time, 5 of the key, 1 of the NULL");
    assert_same(&decode_batch(&bytes, batch.data.schema()).expect("decodes"), &batch);
}

#[test]
fn other_versions_are_refused() {
    let error = decode_batch(&[9, 0, 0], Arc::new(Schema::empty())).expect_err("unknown version");
    assert_eq!(error.message(), "a repartition record cannot be read: it is of layout 9, this build reads 1");
}

fn changes() -> impl Strategy<Value = Vec<(i64, u8, bool)>> {
    prop::collection::vec((any::<i64>(), any::<u8>(), any::<bool>()), 1..4)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn batches_come_back(
        (columns, rows) in table(any_type()),
        changes in changes(),
        is_table in any::<bool>(),
        (from, to) in (0usize..3, 0usize..3),
    ) {
        let whole = batch(&columns, &rows, &changes, is_table);
        // Slices, because what operators send is often a part of a larger batch.
        let from = from.min(whole.len());
        let part = whole.slice(from, (whole.len() - from).saturating_sub(to));
        for batch in [whole, part] {
            let bytes = encode_batch(&batch).expect("encodes");
            assert_same(&decode_batch(&bytes, batch.data.schema()).expect("decodes"), &batch);
            for cut in 0..bytes.len() {
                prop_assert!(decode_batch(&bytes[..cut], batch.data.schema()).is_err());
            }
        }
    }

    #[test]
    fn nothing_panics(
        (columns, rows) in table(any_type()),
        changes in changes(),
        noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        garbage in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let batch = batch(&columns, &rows, &changes, true);
        let mut bytes = encode_batch(&batch).expect("encodes");
        for (at, byte) in noise {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        let _ = decode_batch(&bytes, batch.data.schema());
        let _ = decode_batch(&[&[VERSION, 0][..], &garbage].concat(), batch.data.schema());
    }
}
