//! Queries without EMIT: look-ups in one source, or anything else for the ad-hoc engine.
//!
//! **Invariant:** what the plan takes out of WHERE (keys, window bounds) is no longer in its filter; all else is.

use std::sync::Arc;

use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result};
use crate::expr::functions::FunctionKind;
use crate::plan::topology::NamedExpr;
use crate::plan::{insert, walk};
use crate::sql::ast::{BinaryOp, Expr, ExprKind, Query, SelectItem};
use crate::types::{Column, SqlType, SystemColumn, Value};

use super::bind::{self, Binder};
use super::select::{Expansion, Item};
use super::sources::Sources;

/// What a query without EMIT is.
#[derive(Debug, Clone)]
pub enum PullOrAdHoc {
    /// A look-up in one source.
    Pull(Box<PullPlan>),
    /// A query with joins, grouping or sorting over what is there now.
    AdHoc,
}

/// Milliseconds from `min` to `max`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl Bounds {
    /// Everything.
    pub const ALL: Self = Self { min: i64::MIN, max: i64::MAX };

    /// Whether `ms` is inside.
    pub fn contains(self, ms: i64) -> bool {
        (self.min..=self.max).contains(&ms)
    }

    fn narrow(&mut self, op: BinaryOp, ms: i64) {
        match op {
            BinaryOp::Eq => *self = Self { min: self.min.max(ms), max: self.max.min(ms) },
            BinaryOp::Gt => self.min = self.min.max(ms.saturating_add(1)),
            BinaryOp::GtEq => self.min = self.min.max(ms),
            BinaryOp::Lt => self.max = self.max.min(ms.saturating_sub(1)),
            BinaryOp::LtEq => self.max = self.max.min(ms),
            _ => {}
        }
    }
}

/// A look-up in one source. Expressions speak of the columns of its batches (key, window bounds, value) and, where
/// `uses_rowtime` is set, of a further column ROWTIME.
#[derive(Debug, Clone)]
pub struct PullPlan {
    /// Where to look.
    pub source: Arc<Source>,
    /// The keys to look up, each a value per key column; `None` is a scan.
    pub keys: Option<Vec<Vec<Value>>>,
    /// Wanted starts of windows.
    pub window_start: Bounds,
    /// Wanted ends of windows.
    pub window_end: Bounds,
    /// What else must hold of a row.
    pub filter: Option<String>,
    /// The columns of the result, in order.
    pub projection: Vec<NamedExpr>,
    /// Their names and types; key columns are marked.
    pub output: Vec<Column>,
    /// Whether ROWTIME is used.
    pub uses_rowtime: bool,
    /// `LIMIT`
    pub limit: Option<u64>,
}

/// Analyses a query without EMIT.
pub fn plan_pull(catalog: &Catalog, query: &Query) -> Result<PullOrAdHoc> {
    if is_ad_hoc(query) {
        return Ok(PullOrAdHoc::AdHoc);
    }
    let sources = Sources::resolve(catalog, &query.from)?;
    let source = Arc::clone(&sources.list[0].source);
    let binder = Binder::new(&sources, None, false);
    let expansion =
        Expansion { sources: &sources, binder: &binder, persistent: false, partition: None, synthetic_key: None };
    let items = expansion.expand(query, &mut sources.names())?;
    let (projection, output) = projection(&sources, &items)?;

    let mut plan = PullPlan {
        source,
        keys: None,
        window_start: Bounds::ALL,
        window_end: Bounds::ALL,
        filter: None,
        projection,
        output,
        uses_rowtime: false,
        limit: query.limit,
    };
    if let Some(filter) = &query.filter {
        bind::check_scalar(filter, "WHERE")?;
        let bound = binder.bind(filter, "WHERE")?;
        refuse_arrival_columns(&bound)?;
        let rest = plan.take_keys(walk::conjuncts(bound))?;
        let rest = plan.take_windows(rest)?;
        if let Some(rest) = walk::all_of(rest) {
            bind::check_condition(&rest, &sources.scope(), "WHERE")?;
            plan.uses_rowtime |= uses_rowtime(&rest);
            plan.filter = Some(rest.to_string());
        }
    }
    plan.uses_rowtime |= items.iter().any(|item| uses_rowtime(&item.expr));
    Ok(PullOrAdHoc::Pull(Box::new(plan)))
}

/// > KSQL refuses these without EMIT; here they are answered over the rows that are there now.
fn is_ad_hoc(query: &Query) -> bool {
    let calls = |expr: &Expr| {
        [FunctionKind::Aggregate, FunctionKind::Table].into_iter().any(|kind| bind::find_call(expr, kind).is_some())
    };
    !query.from.joins.is_empty()
        || !query.group_by.is_empty()
        || !query.partition_by.is_empty()
        || !query.order_by.is_empty()
        || query.window.is_some()
        || query.having.is_some()
        || query.select.iter().any(|item| matches!(item, SelectItem::Expr { expr, .. } if calls(expr)))
}

fn projection(sources: &Sources, items: &[Item]) -> Result<(Vec<NamedExpr>, Vec<Column>)> {
    let scope = sources.scope();
    let mut projection = Vec::with_capacity(items.len());
    let mut output: Vec<Column> = Vec::with_capacity(items.len());
    for item in items {
        refuse_arrival_columns(&item.expr)?;
        if output.iter().any(|column| column.name == item.name) {
            return Err(Error::semantic(format!("two columns of the result are named {}", item.name))
                .at(item.expr.span)
                .hint("Give one of them another alias."));
        }
        let ty = bind::type_of(&item.expr, &scope, "SELECT")?;
        let source = walk::as_column(&item.expr).and_then(|name| sources.by_name(name));
        output.push(if source.is_some_and(|column| column.key) {
            Column::key(&item.name, ty)
        } else {
            Column::value(&item.name, ty)
        });
        projection.push(NamedExpr { name: item.name.clone(), expr: item.expr.to_string() });
    }
    Ok((projection, output))
}

fn refuse_arrival_columns(expr: &Expr) -> Result<()> {
    let arrival = [SystemColumn::RowPartition, SystemColumn::RowOffset];
    match walk::columns(expr).into_iter().find(|name| arrival.iter().any(|column| column.name() == name.text)) {
        Some(name) => Err(Error::unsupported(format!("{} in a query without EMIT CHANGES", name.text))
            .at(name.span)
            .hint("Stored rows do not know where they came from. Add EMIT CHANGES if you meant a push query.")),
        None => Ok(()),
    }
}

fn uses_rowtime(expr: &Expr) -> bool {
    walk::columns(expr).iter().any(|name| name.text == SystemColumn::RowTime.name())
}

impl PullPlan {
    /// Takes out the conditions that give every key column its values.
    fn take_keys(&mut self, conditions: Vec<Expr>) -> Result<Vec<Expr>> {
        let mut found: Vec<Option<(usize, Vec<Value>)>> = Vec::new();
        for column in self.source.schema.key() {
            let mut candidate = None;
            for (i, condition) in conditions.iter().enumerate() {
                if candidate.is_none()
                    && let Some(values) = key_values(condition, column)?
                {
                    candidate = Some((i, values));
                }
            }
            found.push(candidate);
        }
        let Some(found) = found.into_iter().collect::<Option<Vec<_>>>().filter(|found| !found.is_empty()) else {
            return Ok(conditions);
        };
        let mut keys: Vec<Vec<Value>> = vec![Vec::new()];
        for (_, values) in &found {
            keys = keys
                .into_iter()
                .flat_map(|key| values.iter().map(move |value| [key.clone(), vec![value.clone()]].concat()))
                .collect();
        }
        self.keys = Some(keys);
        let taken: Vec<usize> = found.into_iter().map(|(i, _)| i).collect();
        Ok(conditions.into_iter().enumerate().filter(|(i, _)| !taken.contains(i)).map(|(_, rest)| rest).collect())
    }

    /// Takes out the conditions that compare a window bound with a constant.
    fn take_windows(&mut self, conditions: Vec<Expr>) -> Result<Vec<Expr>> {
        let mut rest = Vec::new();
        for condition in conditions {
            match window_bound(&condition)? {
                Some((SystemColumn::WindowStart, op, ms)) => self.window_start.narrow(op, ms),
                Some((SystemColumn::WindowEnd, op, ms)) => self.window_end.narrow(op, ms),
                _ => rest.push(condition),
            }
        }
        Ok(rest)
    }
}

/// The values that a condition gives to a key column: `key = constant`, `key IN (constants)`.
fn key_values(condition: &Expr, column: &Column) -> Result<Option<Vec<Value>>> {
    let is_key = |expr: &Expr| walk::as_column(expr) == Some(column.name.as_str());
    let constants: Vec<&Expr> = match &condition.kind {
        ExprKind::Binary { op: BinaryOp::Eq, left, right } if is_key(left) => vec![right],
        ExprKind::Binary { op: BinaryOp::Eq, left, right } if is_key(right) => vec![left],
        ExprKind::InList { expr, list, negated: false } if is_key(expr) => list.iter().collect(),
        _ => return Ok(None),
    };
    if constants.iter().any(|constant| !walk::columns(constant).is_empty()) {
        return Ok(None);
    }
    let mut values: Vec<Value> = Vec::with_capacity(constants.len());
    for constant in constants {
        let value = insert::constant(constant, &column.ty)
            .map_err(|error| error.context(format!("the key {}", column.name)).at(constant.span))?;
        if value.is_null() {
            return Err(Error::semantic(format!("the key {} is never NULL", column.name))
                .at(constant.span)
                .hint("Rows without a key are not stored."));
        }
        if !values.contains(&value) {
            values.push(value);
        }
    }
    Ok(Some(values))
}

fn window_bound(condition: &Expr) -> Result<Option<(SystemColumn, BinaryOp, i64)>> {
    let ExprKind::Binary { op, left, right } = &condition.kind else { return Ok(None) };
    let bound = |expr: &Expr| {
        let column = walk::as_column(expr).and_then(SystemColumn::from_name)?;
        matches!(column, SystemColumn::WindowStart | SystemColumn::WindowEnd).then_some(column)
    };
    let (column, op, constant) = match (bound(left), bound(right)) {
        (Some(column), None) => (column, *op, right),
        (None, Some(column)) => (column, flipped(*op), left),
        _ => return Ok(None),
    };
    let ranged = matches!(op, BinaryOp::Eq | BinaryOp::Gt | BinaryOp::GtEq | BinaryOp::Lt | BinaryOp::LtEq);
    if !ranged || !walk::columns(constant).is_empty() {
        return Ok(None);
    }
    let value = insert::constant(&bind::moment(constant)?, &SqlType::BigInt)?;
    Ok(value.as_i64().map(|ms| (column, op, ms)))
}

fn flipped(op: BinaryOp) -> BinaryOp {
    match op {
        BinaryOp::Lt => BinaryOp::Gt,
        BinaryOp::LtEq => BinaryOp::GtEq,
        BinaryOp::Gt => BinaryOp::Lt,
        BinaryOp::GtEq => BinaryOp::LtEq,
        other => other,
    }
}
