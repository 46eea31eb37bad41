//! Every aggregate function of the library in the operators: restarts, splits and merging sessions leave no trace.

use proptest::prelude::*;

use super::bench::{Bench, expr, keyed};
use super::splits::{check, script, stream};
use crate::expr::aggregate::resolve_aggregate;
use crate::expr::functions::{ArgType, FunctionKind, all};
use crate::operator::{Aggregation, AggregationConfig, Call, SessionAggregation};
use crate::time::{WindowKind, WindowSpec};
use crate::types::{Column, LogicalSchema, SqlType, Value};

/// The calls that work on a BIGINT, alone or with the literal 2.
fn calls() -> Vec<Call> {
    let number = ArgType::Sql(SqlType::BigInt);
    let mut calls = Vec::new();
    for function in all().iter().filter(|function| function.kind == FunctionKind::Aggregate) {
        let with_literal = [number.clone(), ArgType::Sql(SqlType::Int)];
        let found = resolve_aggregate(&function.name, std::slice::from_ref(&number), &[None])
            .or_else(|_| resolve_aggregate(&function.name, &with_literal, &[None, Some(Value::Int(2))]));
        let Ok(aggregate) = found else { continue };
        let args = aggregate.params().iter().map(|_| expr("V", &keyed(&["V"]))).collect();
        calls.push(Call { name: function.name.clone(), aggregate, args });
    }
    calls
}

fn schema(windowed: bool) -> LogicalSchema {
    let mut columns = vec![Column::key("K", SqlType::String)];
    columns.extend(calls().iter().map(|call| Column::value(&call.name, call.aggregate.returns())));
    LogicalSchema::new(columns, windowed)
}

#[test]
fn there_are_functions_to_try() {
    assert!(calls().len() >= 8, "only {}", calls().len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn restarts_and_splits_leave_no_trace(script in script()) {
        let rows = [stream(&script, 0, &keyed(&["V"]))];
        let config = |window: Option<WindowSpec>| {
            AggregationConfig { store: 0, schema: schema(window.is_some()), window, emit_final: false, forgetful: false }
        };
        check(&script, &rows, || Bench::new(1, move || Aggregation::new(config(None), calls()).expect("types")));
        let kind = WindowKind::Session;
        let window = WindowSpec { kind, size_ms: 5, advance_ms: 5, grace_ms: 100, retention_ms: 105 };
        let sessions = move || SessionAggregation::new(config(Some(window)), calls()).expect("types");
        check(&script, &rows, || Bench::new(1, sessions));
    }
}
