//! Pull queries: rows that are there now, by key, by window bounds or all of them.

use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, BooleanArray, Int64Array, RecordBatch};
use arrow::compute;
use arrow::datatypes::{Int64Type, Schema};

use super::backend::Backend;
use super::config::Properties;
use super::core::Engine;
use super::session::TableResult;
use super::{adhoc, snapshot};
use crate::catalog::Catalog;
use crate::change::ChangeBatch;
use crate::change::batch::record_batch;
use crate::error::{Error, Result};
use crate::expr::{Scope, compile};
use crate::plan::pull::{PullOrAdHoc, PullPlan, plan_pull};
use crate::sql::ast::{Query, Statement};
use crate::sql::parse_expr;
use crate::types::{SourceKind, SqlType, SystemColumn, Value};

/// Runs a query without EMIT.
pub fn run(engine: &Engine, query: &Query, statement: &Statement, _properties: &Properties) -> Result<TableResult> {
    let catalog = super::core::catalog(engine);
    match plan_pull(&catalog, query)? {
        PullOrAdHoc::AdHoc => adhoc::run(engine, &catalog, query, statement),
        PullOrAdHoc::Pull(plan) => look_up(engine, &plan),
    }
}

/// How a query without EMIT would be answered, for EXPLAIN.
pub fn describe(catalog: &Catalog, query: &Query) -> Result<String> {
    Ok(match plan_pull(catalog, query)? {
        PullOrAdHoc::AdHoc => "ad-hoc query: DataFusion over the rows that are there now\n".to_owned(),
        PullOrAdHoc::Pull(plan) => {
            let how = match (&plan.keys, plan.source.kind) {
                (Some(keys), _) => format!("look-up of {} keys", keys.len()),
                (None, SourceKind::Table) => "scan of all rows".to_owned(),
                (None, SourceKind::Stream) => "read from the first record to the end".to_owned(),
            };
            let filter = plan.filter.as_ref().map_or(String::new(), |filter| format!("\n  filter {filter}"));
            format!("pull query on {} {}\n  {how}{filter}\n", plan.source.kind, plan.source.name)
        }
    })
}

fn look_up(engine: &Engine, plan: &PullPlan) -> Result<TableResult> {
    let source = &plan.source;
    let keys = plan.keys.as_ref().map(|keys| key_columns(plan, keys));
    let batches = match source.kind {
        SourceKind::Table => snapshot::materialised(engine, source, keys.as_deref())?.ok_or_else(|| {
            Error::unsupported(format!("{} is kept by no query", source.name)).hint(
                "Only tables made with CREATE TABLE … AS SELECT or CREATE SOURCE TABLE answer pull queries. \
                 Add EMIT CHANGES if you intended to issue a push query.",
            )
        })?,
        SourceKind::Stream => {
            let (broker, formats) = {
                let inner = engine.lock();
                (inner.live.broker().clone(), inner.live.formats())
            };
            snapshot::topic(broker.as_ref(), &formats, source)?
        }
    };
    let columns = plan.output.iter().map(|column| (column.name.clone(), column.ty.clone())).collect();
    let mut rows = Vec::new();
    for batch in batches {
        project(plan, &batch, &mut rows)?;
    }
    if let Some(limit) = plan.limit {
        rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    }
    Ok(TableResult { columns, rows })
}

fn key_columns(plan: &PullPlan, keys: &[Vec<Value>]) -> Vec<ArrayRef> {
    let columns = plan.source.schema.key().iter().enumerate();
    columns.map(|(i, column)| Value::to_array(&column.ty, keys.iter().map(|key| &key[i]))).collect()
}

/// Appends the wanted columns of the wanted rows.
fn project(plan: &PullPlan, batch: &ChangeBatch, rows: &mut Vec<Vec<Value>>) -> Result<()> {
    let mut data = with_rowtime(plan, batch)?;
    let mut scope = Scope::of(&plan.source.schema.batch_columns());
    if plan.uses_rowtime {
        scope.columns.push((SystemColumn::RowTime.name().to_owned(), SqlType::BigInt));
    }
    if plan.source.window.is_some() {
        let at = plan.source.schema.key_len();
        let bound = |column: usize| data.column(column).as_primitive::<Int64Type>();
        let (starts, ends) = (bound(at), bound(at + 1));
        let inside = |i: usize| plan.window_start.contains(starts.value(i)) && plan.window_end.contains(ends.value(i));
        let keep: BooleanArray = (0..data.num_rows()).map(|i| Some(inside(i))).collect();
        data = compute::filter_record_batch(&data, &keep)?;
    }
    // A row that cannot be computed is NULL, as in a running query; there is nobody to log it for.
    let mut errors = Vec::new();
    if let Some(filter) = &plan.filter {
        let keep = compile(&parse_expr(filter)?, &scope)?.evaluate_predicate(&data, &mut errors)?;
        data = compute::filter_record_batch(&data, &keep)?;
    }
    let mut columns = Vec::with_capacity(plan.projection.len());
    for named in &plan.projection {
        columns.push(compile(&parse_expr(&named.expr)?, &scope)?.evaluate(&data, &mut errors)?);
    }
    rows.extend((0..data.num_rows()).map(|i| columns.iter().map(|column| Value::from_array(column, i)).collect()));
    Ok(())
}

fn with_rowtime(plan: &PullPlan, batch: &ChangeBatch) -> Result<RecordBatch> {
    if !plan.uses_rowtime {
        return Ok(batch.data.clone());
    }
    let mut fields: Vec<_> = batch.data.schema().fields().iter().cloned().collect();
    let name = SystemColumn::RowTime.name();
    fields.push(Arc::new(arrow::datatypes::Field::new(name, SqlType::BigInt.arrow(), true)));
    let mut columns = batch.data.columns().to_vec();
    columns.push(Arc::new(Int64Array::from(batch.rowtime.to_vec())));
    record_batch(Arc::new(Schema::new(fields)), columns, batch.len())
}
