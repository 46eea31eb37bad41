//! Table functions in SELECT: one row becomes many.

use crate::error::{Error, Result};
use crate::expr::compile;
use crate::expr::functions::{ArgType, FunctionKind, resolve_table};
use crate::plan::topology::{NamedExpr, OperatorSpec};
use crate::plan::walk;
use crate::sql::ast::{Expr, ExprKind};
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

fn item_type(call: &Expr, scope: &crate::expr::Scope) -> Result<SqlType> {
    let ExprKind::Call { name, args, .. } = &call.kind else {
        return Err(Error::internal("a table function is a call"));
    };
    let mut types = Vec::with_capacity(args.len());
    for arg in args {
        if let Some(inner) = find_call(arg, FunctionKind::Table) {
            return Err(Error::semantic(format!("the table function {inner} inside another")).at(inner.span));
        }
        let compiled = compile(arg, scope).map_err(|error| error.at(arg.span))?;
        types.push(compiled.ty().cloned().map_or(ArgType::Null, ArgType::Sql));
    }
    let resolved = resolve_table(&name.text.to_uppercase(), &types).map_err(|error| error.at(call.span))?;
    match resolved.returns {
        SqlType::Array(item) => Ok(*item),
        other => Ok(other),
    }
}
