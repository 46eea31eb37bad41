//! GROUP BY, WINDOW, HAVING: aggregates taken out of expressions, rows regrouped.

use crate::error::{Error, Result};
use crate::expr::aggregate::resolve_aggregate;
use crate::expr::functions::{ArgType, FunctionKind};
use crate::expr::{Scope, compile};
use crate::plan::topology::{AggregateCall, AggregateSpec, NamedExpr, OperatorSpec};
use crate::plan::{PlanConfig, formats, insert, source::check_key_type, walk};
use crate::sql::ast::{Emit, Expr, ExprKind, Query, WindowExpr};
use crate::time::{WindowKind, WindowSpec};
use crate::types::{Column, FormatSpec, KeyWindow, LogicalSchema, SourceKind, SqlType, Value};

use super::bind::{Binder, check_scalar, find_call, is_call, is_window_bound, type_of};
use super::flow::{self, Durability, Flow, Move};
use super::graph::Graph;
use super::names::Names;
use super::select::Item;
use super::sources::Sources;

/// Aggregates that keep more than single values although their results are single values.
const NESTED_STATE: [&str; 6] =
    ["AVG", "CORRELATION", "EARLIEST_BY_OFFSET", "LATEST_BY_OFFSET", "STDDEV_SAMP", "STDDEV_SAMPLE"];

/// A grouping expression and the key column that it becomes.
#[derive(Debug, Clone)]
pub(super) struct Group {
    pub(super) expr: Expr,
    pub(super) name: String,
    /// How messages show it.
    pub(super) shown: String,
}

/// Everything about a query's aggregation.
#[derive(Debug)]
pub(super) struct Aggregation {
    /// In the order written: the order of the key columns.
    pub(super) groups: Vec<Group>,
    window: Option<WindowSpec>,
    emit_final: bool,
    calls: Vec<(Expr, String)>,
    having: Option<Expr>,
}

/// The query's aggregation, if it has one. Expressions of `items` and HAVING then speak of its output.
pub(super) fn analyse(
    query: &Query,
    sources: &Sources,
    binder: &Binder<'_>,
    items: &mut [Item],
    persistent: bool,
) -> Result<Option<Aggregation>> {
    let call = items.iter().find_map(|item| find_call(&item.expr, FunctionKind::Aggregate));
    let call_in_having = query.having.as_ref().and_then(|having| find_call(having, FunctionKind::Aggregate));
    for expr in &query.group_by {
        check_scalar(expr, "GROUP BY")?;
    }
    if query.group_by.is_empty() && call.is_none() {
        return no_aggregation(query, call_in_having);
    }
    if let (true, Some(call), true) = (query.group_by.is_empty(), call, persistent) {
        return Err(Error::semantic(format!("the aggregate function {call} without GROUP BY"))
            .at(call.span)
            .hint("A stored result needs a key: GROUP BY the columns that tell its rows apart (a literal will do)."));
    }
    if call.is_none() && call_in_having.is_none() {
        return Err(Error::semantic("GROUP BY without an aggregate function")
            .at(query.group_by[0].span)
            .hint("Use one in SELECT or HAVING: COUNT(*), SUM(x), LATEST_BY_OFFSET(x), …."));
    }
    if let Some(table) = items.iter().find_map(|item| find_call(&item.expr, FunctionKind::Table)) {
        return Err(Error::semantic(format!("the table function {table} together with aggregates"))
            .at(table.span)
            .hint("Write its rows to a stream first, and aggregate that."));
    }
    let mut names = Names::new(sources.columns.iter().map(|column| column.name.as_str()));
    let mut aggregation = Aggregation {
        groups: groups(query, sources, binder, &mut names)?,
        window: query
            .window
            .as_ref()
            .map(|window| window_spec(window, sources, query.emit == Some(Emit::Final)))
            .transpose()?,
        emit_final: query.emit == Some(Emit::Final),
        calls: Vec::new(),
        having: None,
    };
    if aggregation.emit_final && aggregation.window.is_none() {
        return Err(emit_final(query));
    }
    let windowed = aggregation.window.is_some();
    for item in items {
        item.expr = aggregation.extract(&item.expr, sources, &mut names, "SELECT", windowed)?;
    }
    if let Some(having) = &query.having {
        if let Some(table) = find_call(having, FunctionKind::Table) {
            return Err(Error::semantic(format!("HAVING cannot use the table function {table}")).at(table.span));
        }
        let bound = binder.bind(having, "HAVING")?;
        aggregation.having = Some(aggregation.extract(&bound, sources, &mut names, "HAVING", false)?);
    }
    Ok(Some(aggregation))
}

fn no_aggregation(query: &Query, call_in_having: Option<&Expr>) -> Result<Option<Aggregation>> {
    if let Some(having) = &query.having {
        let hint = if call_in_having.is_some() { "Add GROUP BY." } else { "Conditions on rows go into WHERE." };
        return Err(Error::semantic("HAVING without GROUP BY").at(having.span).hint(hint));
    }
    if let Some(window) = &query.window {
        return Err(Error::semantic("WINDOW without GROUP BY")
            .at(window.span.0)
            .hint("Windows divide groups: add GROUP BY and an aggregate function."));
    }
    if query.emit == Some(Emit::Final) {
        return Err(emit_final(query));
    }
    Ok(None)
}

fn emit_final(query: &Query) -> Error {
    Error::semantic("EMIT FINAL is for windowed aggregations")
        .at(query.span)
        .hint("A result is final when its window closes: add WINDOW …, or write EMIT CHANGES.")
}

fn groups(query: &Query, sources: &Sources, binder: &Binder<'_>, names: &mut Names) -> Result<Vec<Group>> {
    if query.group_by.is_empty() {
        // One group of everything, for push queries.
        let expr = Expr::new(ExprKind::Integer(0), query.span);
        return Ok(vec![Group { expr, name: names.numbered("KSQL_GROUP_"), shown: "everything".to_owned() }]);
    }
    let mut groups: Vec<Group> = Vec::new();
    for expr in &query.group_by {
        let bound = binder.bind(expr, "GROUP BY")?;
        if query.window.is_some()
            && let Some(bound) = walk::columns(&bound).into_iter().find(|name| is_window_bound(&name.text))
        {
            return Err(bound_misused(&bound.text).at(bound.span));
        }
        if groups.iter().any(|earlier| earlier.expr == bound) {
            return Err(Error::semantic(format!("GROUP BY names {expr} twice")).at(expr.span));
        }
        let name = match walk::as_column(&bound) {
            Some(name) => name.to_owned(),
            None => names.numbered("KSQL_GROUP_"),
        };
        let ty = type_of(&bound, &sources.scope(), "GROUP BY")?;
        check_key_type(&name, &ty, expr.span)?;
        groups.push(Group { shown: sources.shown_expr(&bound), expr: bound, name });
    }
    Ok(groups)
}

/// > KSQL: without GRACE PERIOD a window stays open for what is left of a day; EMIT FINAL closes it at its end.
fn window_spec(window: &WindowExpr, sources: &Sources, emit_final: bool) -> Result<WindowSpec> {
    let span = window.span.0;
    if sources.list[0].is_table() {
        return Err(Error::semantic("WINDOW is for streams, and this is a table")
            .at(span)
            .hint("A table has one current row per key, which belongs to no window."));
    }
    let size_ms = window.size_ms;
    let advance_ms = window.advance_ms.unwrap_or(size_ms);
    if size_ms <= 0 || advance_ms <= 0 {
        return Err(Error::semantic("the size and the advance of a window must be positive").at(span));
    }
    if advance_ms > size_ms {
        return Err(Error::semantic("a window cannot advance by more than its size")
            .at(span)
            .hint("Records between two windows would belong to none."));
    }
    let room = window.retention_ms.map_or(i64::MAX, |retention| retention - size_ms);
    let default_grace_ms = if emit_final { 0 } else { WindowSpec::default_grace_ms(size_ms).min(room.max(0)) };
    let grace_ms = window.grace_ms.unwrap_or(default_grace_ms);
    let needed = size_ms.saturating_add(grace_ms);
    let retention_ms = window.retention_ms.unwrap_or(needed);
    if retention_ms < needed {
        return Err(Error::semantic("RETENTION is shorter than the window and its grace period together")
            .at(span)
            .hint(format!("It must be at least {needed} milliseconds, or records in time would find no window.")));
    }
    Ok(WindowSpec { kind: window.kind, size_ms, advance_ms, grace_ms, retention_ms })
}

fn bound_misused(name: &str) -> Error {
    Error::semantic(format!("{name} can only stand in SELECT"))
        .hint("The window is known once rows are aggregated: select it, and filter the result.")
}

impl Aggregation {
    /// `expr` over the aggregation's output: groups and aggregate calls become columns; nothing else may stay.
    fn extract(
        &mut self,
        expr: &Expr,
        sources: &Sources,
        names: &mut Names,
        clause: &str,
        bounds: bool,
    ) -> Result<Expr> {
        walk::rewrite(expr, &mut |part| {
            if let Some(group) = self.groups.iter().find(|group| group.expr == *part) {
                return Ok(Some(walk::column_at(&group.name, part)));
            }
            if is_call(part, FunctionKind::Aggregate) {
                return Ok(Some(walk::column_at(&self.call(part, names)?, part)));
            }
            match &part.kind {
                ExprKind::Column { name, .. }
                    if is_window_bound(&name.text) && sources.by_name(&name.text).is_none() =>
                {
                    if bounds {
                        Ok(Some(part.clone()))
                    } else {
                        Err(bound_misused(&name.text).at(part.span))
                    }
                }
                ExprKind::Column { name, .. } => {
                    let shown = sources.shown(&name.text);
                    Err(Error::semantic(format!("{shown} in {clause} is neither grouped nor aggregated"))
                        .at(part.span)
                        .hint(format!("Add it to GROUP BY, or aggregate it: LATEST_BY_OFFSET({shown}).")))
                }
                _ => Ok(None),
            }
        })
    }

    /// The output column of an aggregate call; equal calls share one.
    fn call(&mut self, call: &Expr, names: &mut Names) -> Result<String> {
        for child in walk::children(call) {
            if let Some(inner) = find_call(child, FunctionKind::Aggregate) {
                return Err(Error::semantic(format!("the aggregate function {inner} inside another"))
                    .at(inner.span)
                    .hint("Write the inner aggregate to a table, and aggregate that."));
            }
            if let Some(name) =
                walk::columns(child).into_iter().find(|name| self.window.is_some() && is_window_bound(&name.text))
            {
                return Err(bound_misused(&name.text).at(name.span));
            }
        }
        if let Some((_, name)) = self.calls.iter().find(|(known, _)| known == call) {
            return Ok(name.clone());
        }
        let name = names.numbered("KSQL_AGG_");
        self.calls.push((call.clone(), name.clone()));
        Ok(name)
    }

    /// The columns that aggregation needs of its input.
    pub(super) fn inputs(&self) -> impl Iterator<Item = &Expr> {
        self.groups.iter().map(|group| &group.expr).chain(self.calls.iter().map(|(call, _)| call))
    }

    /// > KSQL: what an aggregation keeps is written in the value format of the source, which must hold it.
    pub(super) fn check_state(&self, format: &FormatSpec) -> Result<()> {
        let keeps_nested = |call: &Expr| match &call.kind {
            ExprKind::Call { name, .. } => NESTED_STATE.contains(&name.text.to_uppercase().as_str()),
            _ => false,
        };
        match self.calls.iter().find(|(call, _)| keeps_nested(call)) {
            Some((call, _)) if format.name == "DELIMITED" => {
                Err(Error::unsupported(format!("{call} over a source whose value format is DELIMITED"))
                    .at(call.span)
                    .hint("It keeps more than single values. Copy the source WITH (VALUE_FORMAT = 'JSON') first."))
            }
            _ => Ok(()),
        }
    }

    /// Regroups and aggregates `flow`, and keeps what HAVING keeps.
    pub(super) fn build(
        &self,
        graph: &mut Graph,
        input: Flow,
        durability: Durability,
        config: &PlanConfig,
    ) -> Result<Flow> {
        let scope = input.scope();
        let is_table = input.kind == SourceKind::Table;
        let topics = input.topics.clone();
        let source_format = input.key_format.clone();
        let current = input.schema.key().iter().map(|column| column.name.as_str());
        let same_key = !input.schema.windowed
            && current.map(Some).eq(self.groups.iter().map(|group| self.key_column(group, &input)));

        let grouped = self.group(graph, input, &scope)?;
        let grouped = if same_key {
            grouped
        } else {
            let by: Vec<&str> = self.groups.iter().map(|group| group.shown.as_str()).collect();
            let reason = format!("rows are grouped by {}, which is not their key", by.join(", "));
            let name = "Aggregate".to_owned();
            flow::repartition(
                graph,
                grouped,
                Move { name, suffix: flow::REPARTITION, format: source_format, partitions_of: topics, reason },
            )
        };
        let aggregated = self.aggregate(graph, grouped, is_table, durability, config)?;
        match &self.having {
            Some(having) => flow::filter(graph, aggregated, "Having", having, "HAVING"),
            None => Ok(aggregated),
        }
    }

    /// The key column of `input` that a group is, if it is one.
    fn key_column<'f>(&self, group: &Group, input: &'f Flow) -> Option<&'f str> {
        let name = walk::as_column(&group.expr)?;
        let key = input.schema.key();
        if key.len() == 1 && input.key_copies.iter().any(|copy| copy == name) {
            return Some(&key[0].name);
        }
        key.iter().map(|column| column.name.as_str()).find(|column| *column == name)
    }

    fn group(&self, graph: &mut Graph, input: Flow, scope: &Scope) -> Result<Flow> {
        let mut columns = Vec::new();
        let mut key = Vec::new();
        for group in &self.groups {
            columns.push(Column::key(&group.name, type_of(&group.expr, scope, "GROUP BY")?));
            key.push(NamedExpr { name: group.name.clone(), expr: group.expr.to_string() });
        }
        let args = || self.calls.iter().flat_map(|(call, _)| walk::columns(call));
        let mut value = Vec::new();
        for (name, ty) in &scope.columns {
            if args().any(|arg| arg.text == *name) && self.groups.iter().all(|group| group.name != *name) {
                value.push(NamedExpr { name: name.clone(), expr: Expr::column(name).to_string() });
                columns.push(Column::value(name, ty.clone()));
            }
        }
        let schema = LogicalSchema::new(columns, false);
        let key_format = formats::internal_key_format(&input.key_format, schema.key());
        let spec = OperatorSpec::GroupBy { key, value };
        let node = graph.add("GroupBy", vec![input.node], spec, schema.clone(), input.kind);
        Ok(Flow { node, schema, key_format, window: None, key_copies: Vec::new(), ..input })
    }

    fn aggregate(
        &self,
        graph: &mut Graph,
        input: Flow,
        is_table: bool,
        durability: Durability,
        config: &PlanConfig,
    ) -> Result<Flow> {
        let scope = input.scope();
        let mut columns = input.schema.key().to_vec();
        let mut calls = Vec::new();
        for (call, name) in &self.calls {
            let ExprKind::Call { name: function, args, .. } = &call.kind else {
                return Err(Error::internal("an aggregate call is a call"));
            };
            let function_name = function.text.to_uppercase();
            let returns = aggregate_type(&function_name, call, args, &scope, is_table)?;
            columns.push(Column::value(name, returns));
            let args = args.iter().map(ToString::to_string).collect();
            calls.push(AggregateCall { name: name.clone(), function: function_name, args });
        }
        let schema = LogicalSchema { columns, windowed: self.window.is_some() };
        let retention = self.window.map(|window| window.retention_ms);
        let store = graph.store("Aggregate", durability.changelog(retention));
        let spec = AggregateSpec {
            store,
            window: self.window,
            emit_final: self.emit_final,
            forgetful: self.emit_final && config.final_forgets,
            settings: config.functions.clone(),
            calls,
        };
        let node =
            graph.add("Aggregate", vec![input.node], OperatorSpec::Aggregate(spec), schema.clone(), SourceKind::Table);
        let window = self.window.map(|window| KeyWindow {
            kind: window.kind,
            size_ms: (window.kind != WindowKind::Session).then_some(window.size_ms),
        });
        Ok(Flow { node, schema, kind: SourceKind::Table, window, ..input })
    }
}

fn aggregate_type(name: &str, call: &Expr, args: &[Expr], scope: &Scope, is_table: bool) -> Result<SqlType> {
    let mut types = Vec::with_capacity(args.len());
    let mut literals = Vec::with_capacity(args.len());
    for arg in args {
        let compiled = compile(arg, scope).map_err(|error| error.at(arg.span))?;
        literals.push(literal(arg, compiled.ty())?);
        types.push(compiled.ty().cloned().map_or(ArgType::Null, ArgType::Sql));
    }
    let aggregate = resolve_aggregate(name, &types, &literals).map_err(|error| error.at(call.span))?;
    if is_table && !aggregate.can_undo() {
        return Err(Error::semantic(format!("{name} cannot aggregate a table"))
            .at(call.span)
            .hint("Rows of a table change, and what a row added must be taken back: COUNT, SUM, AVG and COLLECT_LIST can. Or aggregate a stream."));
    }
    Ok(aggregate.returns())
}

/// The value of an argument that is a literal.
fn literal(arg: &Expr, ty: Option<&SqlType>) -> Result<Option<Value>> {
    let is_literal = match &arg.kind {
        ExprKind::Unary { expr, .. } => walk::children(expr).is_empty() && walk::columns(expr).is_empty(),
        ExprKind::Column { .. } => false,
        _ => walk::children(arg).is_empty(),
    };
    match ty {
        Some(ty) if is_literal => insert::constant(arg, ty).map(Some),
        None if is_literal => Ok(Some(Value::Null)),
        _ => Ok(None),
    }
}
