//! Table functions in SELECT: one row becomes many.

use crate::error::{Error, Result};
use crate::expr::Scope;
use crate::expr::compile::compile_table;
use crate::expr::functions::FunctionKind;
use crate::plan::topology::{NamedExpr, OperatorSpec};
use crate::plan::walk;
use crate::sql::ast::Expr;
use crate::types::{Column, SourceKind, SqlType};

use super::bind::{find_call, is_call};
use super::flow::Flow;
use super::graph::Graph;
use super::names::Names;
use super::select::Item;

/// `flow` with a column for every table function in `items`, which then speak of that column.
pub(super) fn build(graph: &mut Graph, flow: Flow, items: &mut [Item]) -> Result<Flow> {
    let scope = flow.scope();
    let mut names = Names::new(scope.columns.iter().map(|(name, _)| name.as_str()));
    let mut functions = Vec::new();
    let mut schema = flow.schema.clone();
    for item in items {
        item.expr = walk::rewrite(&item.expr, &mut |part| {
            if !is_call(part, FunctionKind::Table) {
                return Ok(None);
            }
            if flow.kind == SourceKind::Table {
                return Err(Error::semantic(format!("the table function {part} on a table"))
                    .at(part.span)
                    .hint("The rows that it makes would share one key. Use a stream."));
            }
            let column = names.numbered("KSQL_TABLE_FN_");
            schema.columns.push(Column::value(&column, item_type(part, &scope)?));
            functions.push(NamedExpr { name: column.clone(), expr: part.to_string() });
            Ok(Some(walk::column_at(&column, part)))
        })?;
    }
    if functions.is_empty() {
        return Ok(flow);
    }
    let spec = OperatorSpec::FlatMap { functions };
    let node = graph.add("FlatMap", vec![flow.node], spec, schema.clone(), flow.kind);
    Ok(Flow { node, schema, ..flow })
}

fn item_type(call: &Expr, scope: &Scope) -> Result<SqlType> {
    for arg in walk::children(call) {
        if let Some(inner) = find_call(arg, FunctionKind::Table) {
            return Err(Error::semantic(format!("the table function {inner} inside another")).at(inner.span));
        }
    }
    match compile_table(call, scope)?.ty() {
        Some(SqlType::Array(item)) => Ok((**item).clone()),
        _ => Err(Error::internal(format!("{call} makes no arrays")).at(call.span)),
    }
}
