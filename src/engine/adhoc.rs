//! Ad-hoc queries: joins, grouping and sorting over the rows that are there now, run by DataFusion.
//!
//! What runs continuously follows ksqlDB; this is ordinary SQL over a snapshot, so NULL compares as SQL says. Functions
//! of Eddyline's library that DataFusion does not have are lent to it.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array, RecordBatch};
use arrow::compute;
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::common::{DataFusionError, Result as FusionResult};
use datafusion::datasource::MemTable;
use datafusion::execution::FunctionRegistry;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility};
use datafusion::prelude::{SessionConfig, SessionContext};

use super::backend::Backend;
use super::core::Engine;
use super::session::TableResult;
use super::snapshot;
use crate::catalog::{Catalog, Source};
use crate::change::batch::record_batch;
use crate::error::{Error, Result};
use crate::expr::functions::{ArgType, FunctionKind, kind_of, resolve_scalar};
use crate::sql::ast::{Expr, ExprKind, Name, Query, SelectItem, Statement};
use crate::types::{SourceKind, SqlType, SystemColumn, Value};

/// Runs the query over snapshots of its sources.
pub fn run(engine: &Engine, catalog: &Catalog, query: &Query, statement: &Statement) -> Result<TableResult> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut config = SessionConfig::new().with_target_partitions(1);
    // Names are already as they count, and back-quotes keep them so.
    config.options_mut().sql_parser.enable_ident_normalization = false;
    config.options_mut().sql_parser.dialect = datafusion::config::Dialect::MySQL;
    let context = SessionContext::new_with_config(config);
    let names: BTreeSet<&str> = std::iter::once(&query.from.first)
        .chain(query.from.joins.iter().map(|join| &join.source))
        .map(|aliased| aliased.name.text.as_str())
        .collect();
    // `SELECT *` shows no system columns, so it is there only for a query that names it.
    let rowtime = query.to_string().contains(SystemColumn::RowTime.name());
    for name in names {
        let source = catalog.source(name).map_err(|e| e.at(query.from.first.name.span))?;
        let schema = schema_of(source, rowtime);
        let batches = rows_of(engine, source, &schema)?;
        let table = MemTable::try_new(schema, vec![batches]).map_err(refused)?;
        context.register_table(datafusion::common::TableReference::bare(name), Arc::new(table)).map_err(refused)?;
    }
    let text = with_functions(&context, query).to_string();
    let batches = runtime
        .block_on(async { context.sql(&text).await?.collect().await })
        .map_err(|error| refused(error).at(statement.span))?;
    result(&batches)
}

fn refused(error: DataFusionError) -> Error {
    Error::semantic(error.strip_backtrace()).hint(
        "A query without EMIT CHANGES that joins, groups or sorts is ordinary SQL over the rows that are there now.",
    )
}

/// Columns of a source, and ROWTIME if it is asked for.
fn schema_of(source: &Source, rowtime: bool) -> Arc<Schema> {
    let mut fields: Vec<Field> = source.schema.batch_columns().iter().map(|column| column.field()).collect();
    if rowtime {
        fields.push(Field::new(SystemColumn::RowTime.name(), DataType::Int64, true));
    }
    Arc::new(Schema::new(fields))
}

fn rows_of(engine: &Engine, source: &Source, schema: &Arc<Schema>) -> Result<Vec<RecordBatch>> {
    let kept = match source.kind {
        SourceKind::Table => snapshot::materialised(engine, source, None)?,
        SourceKind::Stream => None,
    };
    let batches = match kept {
        Some(batches) => batches,
        None => {
            let (broker, formats) = {
                let inner = engine.lock();
                (inner.live.broker().clone(), inner.live.formats())
            };
            snapshot::topic(broker.as_ref(), &formats, source)?
        }
    };
    let with_rowtime = |batch: crate::change::ChangeBatch| {
        let mut columns = batch.data.columns().to_vec();
        if columns.len() < schema.fields().len() {
            columns.push(Arc::new(Int64Array::from(batch.rowtime.to_vec())) as ArrayRef);
        }
        record_batch(schema.clone(), columns, batch.len())
    };
    batches.into_iter().map(with_rowtime).collect()
}

fn result(batches: &[RecordBatch]) -> Result<TableResult> {
    let Some(first) = batches.first() else { return Ok(TableResult { columns: Vec::new(), rows: Vec::new() }) };
    let mut columns = Vec::new();
    for field in first.schema().fields() {
        let ty = SqlType::from_arrow(field.data_type())
            .ok_or_else(|| Error::unsupported(format!("a result of type {}", field.data_type())))?;
        columns.push((field.name().clone(), ty));
    }
    let mut rows = Vec::new();
    for batch in batches {
        let cells = batch.columns().iter().zip(&columns);
        let cells: Vec<ArrayRef> =
            cells.map(|(column, (_, ty))| compute::cast(column, &ty.arrow())).collect::<Result<_, _>>()?;
        rows.extend((0..batch.num_rows()).map(|i| cells.iter().map(|cell| Value::from_array(cell, i)).collect()));
    }
    Ok(TableResult { columns, rows })
}

/// The query with functions named as DataFusion knows them; those that only we have are lent to it.
fn with_functions(context: &SessionContext, query: &Query) -> Query {
    let mut lent = BTreeSet::new();
    let mut rename = |expr: Expr| {
        expr.rewrite(&mut |mut part| {
            if let ExprKind::Call { name, .. } = &mut part.kind {
                let theirs = name.text.to_lowercase();
                if context.udf(&theirs).is_ok() || context.udaf(&theirs).is_ok() {
                    name.text = theirs;
                } else if kind_of(&name.text) == Some(FunctionKind::Scalar) {
                    // DataFusion looks functions up in small letters.
                    lent.insert(std::mem::replace(&mut name.text, theirs));
                }
            }
            part
        })
    };
    let mut query = query.clone();
    let mut unnamed = 0;
    for item in &mut query.select {
        // Columns without a name get the one that they have in every other query.
        if let SelectItem::Expr { expr, alias: alias @ None } = item
            && !matches!(expr.kind, ExprKind::Column { .. })
        {
            *alias = Some(Name::synthetic(format!("KSQL_COL_{unnamed}")));
            unnamed += 1;
        }
        if let SelectItem::Expr { expr, .. } | SelectItem::Fields(expr) = item {
            *expr = rename(expr.clone());
        }
    }
    let parts = query.filter.iter_mut().chain(&mut query.having).chain(&mut query.group_by);
    let parts = parts.chain(query.order_by.iter_mut().map(|(expr, _)| expr));
    parts.chain(query.from.joins.iter_mut().map(|join| &mut join.on)).for_each(|expr| *expr = rename(expr.clone()));
    lent.into_iter().for_each(|name| context.register_udf(ScalarUDF::from(Lent::new(name))));
    query
}

/// A scalar function of ours as DataFusion sees it.
#[derive(Debug)]
struct Lent {
    /// In small letters.
    name: String,
    /// As our library has it.
    ours: String,
    signature: Signature,
}

impl Lent {
    fn new(ours: String) -> Self {
        Self { name: ours.to_lowercase(), ours, signature: Signature::variadic_any(Volatility::Stable) }
    }

    fn resolve(&self, types: &[DataType]) -> FusionResult<crate::expr::functions::Resolved> {
        let arg = |ty: &DataType| match ty {
            DataType::Null => Ok(ArgType::Null),
            ty => SqlType::from_arrow(ty)
                .map(ArgType::Sql)
                .ok_or_else(|| DataFusionError::Plan(format!("{} takes no {ty}", self.name))),
        };
        let args = types.iter().map(arg).collect::<FusionResult<Vec<_>>>()?;
        resolve_scalar(&self.ours, &args).map_err(|error| DataFusionError::Plan(error.to_string()))
    }
}

impl PartialEq for Lent {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Lent {}

impl Hash for Lent {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl ScalarUDFImpl for Lent {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, types: &[DataType]) -> FusionResult<DataType> {
        Ok(self.resolve(types)?.returns.arrow())
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> FusionResult<ColumnarValue> {
        let arrays = ColumnarValue::values_to_arrays(&args.args)?;
        let types: Vec<DataType> = arrays.iter().map(|array| array.data_type().clone()).collect();
        let resolved = self.resolve(&types)?;
        let arrays = arrays
            .iter()
            .zip(&resolved.params)
            .map(|(array, param)| compute::cast(array, &param.arrow()))
            .collect::<Result<Vec<_>, _>>()?;
        let mut errors = Vec::new();
        let result = resolved.eval.evaluate(&arrays, args.number_rows, &mut errors);
        result.map(ColumnarValue::Array).map_err(|error| DataFusionError::Execution(error.to_string()))
    }
}
