//! `JOIN … ON`: conditions analysed and bound: one equality between the sides, and conditions on one side alone.

use crate::error::{Error, Result};
use crate::plan::{source::check_key_type, walk};
use crate::sql::ast::{BinaryOp, Expr, ExprKind, Join, JoinKind, Query, Relation};
use crate::types::SqlType;

use super::bind::{Binder, check_condition, check_scalar, type_of};
use super::sources::Sources;

/// One join with its condition bound: `left` speaks of the sources before, `right` of the joined one.
#[derive(Debug)]
pub(super) struct BoundJoin<'q> {
    pub(super) ast: &'q Join,
    pub(super) left: Expr,
    pub(super) right: Expr,
    /// What must hold of rows of the left side to be joined.
    pub(super) left_filter: Option<Expr>,
    /// What must hold of rows of the right side to be joined.
    pub(super) right_filter: Option<Expr>,
    pub(super) key_type: SqlType,
    /// Columns that may name the result's key; none when the key is the join's own.
    pub(super) viable: Vec<String>,
    /// Whether rows of the left table name rows of the right one: the result has the left one's key.
    pub(super) foreign: bool,
}

/// The query's joins.
pub(super) fn analyse<'q>(query: &'q Query, sources: &Sources) -> Result<Vec<BoundJoin<'q>>> {
    let binder = Binder::new(sources, None, false);
    let mut joins: Vec<BoundJoin<'q>> = Vec::new();
    for (i, ast) in query.from.joins.iter().enumerate() {
        let mut conditions = walk::conjuncts(ast.on.clone());
        let equality = key_equality(&conditions, ast, sources, &binder)?;
        let on = conditions.remove(equality);
        let (left, right) = sides(&on, i + 1, sources, &binder)?;
        let (left_filter, right_filter) = side_filters(conditions, ast.kind, i + 1, sources, &binder)?;
        let scope = sources.scope();
        let (left_type, right_type) = (type_of(&left, &scope, "JOIN ON")?, type_of(&right, &scope, "JOIN ON")?);
        if left_type != right_type {
            return Err(Error::semantic(format!(
                "the sides of the join condition have different types: {left_type} and {right_type}"
            ))
            .at(ast.on.span)
            .hint("Keys meet by their bytes: CAST one side to the type of the other."));
        }
        check_key_type("of the join", &left_type, on.span)?;
        let foreign = i == 0 && names_foreign_rows(&left, sources);
        let viable = match foreign {
            true => sources.of(0).filter(|column| column.key).map(|column| column.name.clone()).collect(),
            false => viable_keys(ast.kind, &left, &right, joins.last()),
        };
        joins.push(BoundJoin { ast, left, right, left_filter, right_filter, key_type: left_type, viable, foreign });
    }
    if !joins.is_empty() {
        check_formats(sources, &query.from)?;
    }
    Ok(joins)
}

/// > KSQL: KAFKA values cannot take part in joins.
fn check_formats(sources: &Sources, from: &Relation) -> Result<()> {
    match sources.list.iter().position(|from| from.source.value_format.name == "KAFKA") {
        Some(i) => Err(Error::unsupported(format!("joining {}, whose value format is KAFKA", sources.list[i].alias))
            .at(sources.span(from, i))
            .hint("Copy it to a stream with another VALUE_FORMAT first.")),
        None => Ok(()),
    }
}

/// Which of the conditions is the equality between the two sides.
fn key_equality(conditions: &[Expr], ast: &Join, sources: &Sources, binder: &Binder<'_>) -> Result<usize> {
    if conditions.len() == 1 {
        return Ok(0);
    }
    let mut found = Vec::new();
    for (i, condition) in conditions.iter().enumerate() {
        if let ExprKind::Binary { op: BinaryOp::Eq, left, right } = &condition.kind {
            let left = used_sources(&binder.bind(left, "JOIN ON")?, sources);
            let right = used_sources(&binder.bind(right, "JOIN ON")?, sources);
            if left.len() == 1 && right.len() == 1 && left != right {
                found.push(i);
            }
        }
    }
    match found[..] {
        [one] => Ok(one),
        [] => Err(Error::unsupported("a join without an equality between its sides")
            .at(ast.on.span)
            .hint("Write ON a.x = b.y, then AND conditions on one of them.")),
        [_, second, ..] => Err(Error::unsupported("a join on several equalities")
            .at(conditions[second].span)
            .hint("Join on one: ON STRUCT(x := a.x, y := a.y) = STRUCT(x := b.x, y := b.y).")),
    }
}

/// The conditions besides the equality, as filters of the sides that they are about.
fn side_filters(
    conditions: Vec<Expr>,
    kind: JoinKind,
    joined: usize,
    sources: &Sources,
    binder: &Binder<'_>,
) -> Result<(Option<Expr>, Option<Expr>)> {
    let mut left = Vec::new();
    let mut right = Vec::new();
    for condition in conditions {
        check_scalar(&condition, "JOIN ON")?;
        let bound = binder.bind(&condition, "JOIN ON")?;
        check_condition(&bound, &sources.scope(), "JOIN ON")?;
        let used = used_sources(&bound, sources);
        // A side whose rows survive without a match must not lose rows before the join.
        let (side, survives) = if used == [joined] {
            (&mut right, matches!(kind, JoinKind::Right | JoinKind::Full))
        } else if used.iter().all(|source| *source < joined) {
            (&mut left, matches!(kind, JoinKind::Left | JoinKind::Full))
        } else {
            return Err(Error::unsupported("a condition on both sides besides the equality")
                .at(condition.span)
                .hint("Put it into WHERE."));
        };
        if survives {
            return Err(Error::unsupported("a condition on the side whose rows survive without a match")
                .at(condition.span)
                .hint("Put it into WHERE, or use an inner join."));
        }
        side.push(bound);
    }
    Ok((walk::all_of(left), walk::all_of(right)))
}

fn used_sources(bound: &Expr, sources: &Sources) -> Vec<usize> {
    let columns = walk::columns(bound);
    let mut used: Vec<usize> =
        columns.iter().filter_map(|name| sources.by_name(&name.text)).map(|column| column.source).collect();
    used.sort_unstable();
    used.dedup();
    used
}

fn sides(on: &Expr, joined: usize, sources: &Sources, binder: &Binder<'_>) -> Result<(Expr, Expr)> {
    let ExprKind::Binary { op: BinaryOp::Eq, left, right } = &on.kind else {
        return Err(Error::unsupported("a join condition other than one equality")
            .at(on.span)
            .hint("Write ON a.x = b.y, and further conditions behind AND or in WHERE."));
    };
    let mut bound = Vec::new();
    for side in [left, right] {
        check_scalar(side, "JOIN ON")?;
        let expr = binder.bind(side, "JOIN ON")?;
        let used = used_sources(&expr, sources);
        let [source] = used[..] else {
            let what = if used.is_empty() { "no source" } else { "several sources" };
            return Err(Error::semantic(format!("this side of the join condition uses {what}"))
                .at(side.span)
                .hint("Each side must use the columns of exactly one source."));
        };
        bound.push((expr, source));
    }
    let (right_expr, right_source) = bound.pop().ok_or_else(|| Error::internal("two sides"))?;
    let (left_expr, left_source) = bound.pop().ok_or_else(|| Error::internal("two sides"))?;
    let alias = |i: usize| sources.list[i].alias.as_str();
    if left_source == right_source {
        return Err(Error::semantic(format!("both sides of the join condition use {}", alias(left_source)))
            .at(on.span)
            .hint(format!("One side must use {}, the other a source before it.", alias(joined))));
    }
    if right_source == joined && left_source < joined {
        Ok((left_expr, right_expr))
    } else if left_source == joined && right_source < joined {
        Ok((right_expr, left_expr))
    } else {
        Err(Error::semantic(format!("the join condition does not use {}", alias(joined))).at(on.span).hint(format!(
            "It uses {} and {}: one side must be of the source that is joined here.",
            alias(left_source),
            alias(right_source)
        )))
    }
}

/// Whether the first two sources are tables, joined on something else than the first one's whole key.
fn names_foreign_rows(left: &Expr, sources: &Sources) -> bool {
    let keys: Vec<&str> = sources.of(0).filter(|column| column.key).map(|column| column.name.as_str()).collect();
    let whole_key = matches!(keys[..], [key] if walk::as_column(left) == Some(key));
    sources.list[..2].iter().all(|from| from.is_table()) && !whole_key
}

/// > KSQL: any column that the condition makes equal to the key may name it; after FULL OUTER joins, and when both
/// > sides are expressions, the key is a column of its own.
fn viable_keys(kind: JoinKind, left: &Expr, right: &Expr, before: Option<&BoundJoin<'_>>) -> Vec<String> {
    if kind == JoinKind::Full {
        return Vec::new();
    }
    let mut keys: Vec<String> = Vec::new();
    if let Some(column) = walk::as_column(left) {
        match before.map(|join| &join.viable).filter(|viable| viable.iter().any(|name| name == column)) {
            Some(viable) => keys.extend(viable.iter().cloned()),
            None => keys.push(column.to_owned()),
        }
    }
    keys.extend(walk::as_column(right).map(str::to_owned));
    keys
}
