//! `PARTITION BY`: the new key of a stream.

use crate::error::{Error, Result};
use crate::plan::topology::{NamedExpr, OperatorSpec};
use crate::plan::{formats, source::check_key_type, walk};
use crate::sql::ast::{Expr, ExprKind, Query, SelectItem};
use crate::types::{Column, LogicalSchema, SourceKind};

use super::bind::{Binder, check_scalar, type_of};
use super::flow::Flow;
use super::graph::Graph;
use super::names::Names;
use super::sources::Sources;

/// One expression of `PARTITION BY` and the key column that it becomes.
#[derive(Debug, Clone)]
pub(super) struct PartitionKey {
    pub(super) expr: Expr,
    pub(super) name: String,
}

/// The new key that the query asks for, if it does: empty for `PARTITION BY NULL`.
pub(super) fn analyse(
    query: &Query,
    sources: &Sources,
    binder: &Binder<'_>,
    names: &mut Names,
) -> Result<Option<Vec<PartitionKey>>> {
    let Some(first) = query.partition_by.first() else { return Ok(None) };
    if sources.list[0].is_table() {
        return Err(Error::semantic("PARTITION BY is for streams, and this is a table")
            .at(first.span)
            .hint("A table's key says which row is which. GROUP BY makes a table with another key."));
    }
    if !query.group_by.is_empty() || query.window.is_some() {
        return Err(Error::semantic("PARTITION BY and GROUP BY exclude one another")
            .at(first.span)
            .hint("GROUP BY alone decides the key of the result."));
    }
    if sources.list.iter().any(|from| from.source.window.is_some()) {
        return Err(Error::unsupported("PARTITION BY on a windowed source")
            .at(first.span)
            .hint("The window is part of its key. Write it to an unwindowed stream first."));
    }
    let is_null = |expr: &Expr| expr.kind == ExprKind::Null;
    if query.partition_by.len() == 1 && is_null(first) {
        return Ok(Some(Vec::new()));
    }
    let starred = query.select.iter().any(|item| matches!(item, SelectItem::All(_)));
    let mut keys: Vec<PartitionKey> = Vec::new();
    for expr in &query.partition_by {
        if is_null(expr) {
            return Err(Error::semantic("PARTITION BY NULL takes no further expressions")
                .at(expr.span)
                .hint("Without a key there is nothing else to partition by."));
        }
        check_scalar(expr, "PARTITION BY")?;
        let bound = binder.bind(expr, "PARTITION BY").map_err(|error| match error.hints() {
            [] => error,
            _ => error.hint("PARTITION BY sees the columns of the sources, not the names that SELECT gives."),
        })?;
        let name = match walk::as_column(&bound) {
            Some(name) => name.to_owned(),
            None if starred => names.for_expr(&bound),
            // A name that nobody sees: the projection gives its own.
            None => names.clone().for_expr(&bound),
        };
        let ty = type_of(&bound, &sources.scope(), "PARTITION BY")?;
        check_key_type(&name, &ty, expr.span)?;
        if keys.iter().any(|earlier| earlier.expr == bound || earlier.name == name) {
            return Err(Error::semantic("PARTITION BY names an expression twice").at(expr.span));
        }
        keys.push(PartitionKey { expr: bound, name });
    }
    Ok(Some(keys))
}

/// `flow` with the new key; of the other columns those that `needed` holds remain.
pub(super) fn build(
    graph: &mut Graph,
    flow: Flow,
    keys: &[PartitionKey],
    needed: &dyn Fn(&str) -> bool,
) -> Result<Flow> {
    let current: Vec<&str> = flow.schema.key().iter().map(|column| column.name.as_str()).collect();
    let wanted: Vec<Option<&str>> = keys.iter().map(|key| walk::as_column(&key.expr)).collect();
    if !keys.is_empty() && wanted == current.iter().map(|name| Some(*name)).collect::<Vec<_>>() {
        return Ok(flow);
    }
    let scope = flow.scope();
    let mut columns = Vec::new();
    let mut key = Vec::new();
    for part in keys {
        columns.push(Column::key(&part.name, type_of(&part.expr, &scope, "PARTITION BY")?));
        key.push(NamedExpr { name: part.name.clone(), expr: part.expr.to_string() });
    }
    let mut value = Vec::new();
    for (name, ty) in &scope.columns {
        if needed(name) && keys.iter().all(|part| part.name != *name) {
            value.push(NamedExpr { name: name.clone(), expr: Expr::column(name).to_string() });
            columns.push(Column::value(name, ty.clone()));
        }
    }
    let schema = LogicalSchema::new(columns, false);
    let key_format = formats::internal_key_format(&flow.key_format, schema.key());
    let spec = OperatorSpec::PartitionBy { key, value };
    let node = graph.add("PartitionBy", vec![flow.node], spec, schema.clone(), SourceKind::Stream);
    Ok(Flow { node, schema, key_format, key_copies: Vec::new(), window: None, ..flow })
}
