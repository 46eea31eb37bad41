//! [`Binder`]: names in expressions to the unique columns of the query; times written as text to milliseconds.

use crate::error::{Error, Result};
use crate::expr::functions::{FunctionKind, kind_of};
use crate::expr::{Scope, compile};
use crate::plan::walk;
use crate::sql::ast::{BinaryOp, Expr, ExprKind, Name, UnaryOp};
use crate::types::{SqlType, SystemColumn};

use super::sources::Sources;

/// Binds the expressions of one query.
#[derive(Debug)]
pub(super) struct Binder<'a> {
    sources: &'a Sources,
    /// Name of the join's own key column, when no source column stands for it.
    synthetic_key: Option<&'a str>,
    /// Whether the query has a WINDOW clause, so that WINDOWSTART and WINDOWEND are the window's.
    windowed: bool,
}

impl<'a> Binder<'a> {
    /// A binder.
    pub(super) fn new(sources: &'a Sources, synthetic_key: Option<&'a str>, windowed: bool) -> Self {
        Self { sources, synthetic_key, windowed }
    }

    /// The same expression over the unique columns. `clause` is for messages.
    pub(super) fn bind(&self, expr: &Expr, clause: &str) -> Result<Expr> {
        let expr = self.times(expr)?;
        walk::rewrite(&expr, &mut |part| match &part.kind {
            ExprKind::Column { source: None, name } if self.is_window_bound(&name.text) => Ok(Some(part.clone())),
            ExprKind::Column { source: None, name } if self.synthetic_key == Some(name.text.as_str()) => {
                Ok(Some(part.clone()))
            }
            ExprKind::Column { source, name } => {
                let column = self.sources.column(source.as_ref(), name, clause)?;
                Ok(Some(walk::column_at(&column.name, part)))
            }
            ExprKind::Lambda { params, .. } => {
                let taken = |param: &&Name| self.sources.columns.iter().any(|column| column.own == param.text);
                match params.iter().find(taken) {
                    Some(param) => {
                        Err(Error::semantic(format!("lambda parameter {} has the name of a column", param.text))
                            .at(param.span)
                            .hint("Give the parameter another name."))
                    }
                    None => Ok(None),
                }
            }
            _ => Ok(None),
        })
    }

    fn is_window_bound(&self, name: &str) -> bool {
        self.windowed && is_window_bound(name)
    }

    /// > KSQL: a text compared with ROWTIME, WINDOWSTART or WINDOWEND is a moment, and may stop early:
    /// > `ROWTIME >= '2020-01-01T10'`.
    fn times(&self, expr: &Expr) -> Result<Expr> {
        let is_time = |expr: &Expr| match &expr.kind {
            ExprKind::Column { name, .. } => matches!(
                SystemColumn::from_name(&name.text),
                Some(SystemColumn::RowTime | SystemColumn::WindowStart | SystemColumn::WindowEnd)
            ),
            _ => false,
        };
        walk::rewrite(expr, &mut |part| match &part.kind {
            ExprKind::Binary { op, left, right } if is_comparison(*op) && (is_time(left) || is_time(right)) => {
                let (left, right) = (Box::new(moment(left)?), Box::new(moment(right)?));
                Ok(Some(Expr::new(ExprKind::Binary { op: *op, left, right }, part.span)))
            }
            ExprKind::Between { expr, low, high, negated } if is_time(expr) => {
                let (low, high) = (Box::new(moment(low)?), Box::new(moment(high)?));
                let kind = ExprKind::Between { expr: expr.clone(), low, high, negated: *negated };
                Ok(Some(Expr::new(kind, part.span)))
            }
            _ => Ok(None),
        })
    }
}

/// WINDOWSTART or WINDOWEND.
pub(super) fn is_window_bound(name: &str) -> bool {
    matches!(SystemColumn::from_name(name), Some(SystemColumn::WindowStart | SystemColumn::WindowEnd))
}

fn is_comparison(op: BinaryOp) -> bool {
    matches!(
        op,
        BinaryOp::Eq
            | BinaryOp::NotEq
            | BinaryOp::Lt
            | BinaryOp::LtEq
            | BinaryOp::Gt
            | BinaryOp::GtEq
            | BinaryOp::IsDistinctFrom
            | BinaryOp::IsNotDistinctFrom
    )
}

/// A text literal as milliseconds; anything else as it is.
pub(in crate::plan) fn moment(expr: &Expr) -> Result<Expr> {
    let ExprKind::String(text) = &expr.kind else { return Ok(expr.clone()) };
    let ms = walk::partial_timestamp_ms(text).ok_or_else(|| {
        Error::semantic(format!("'{text}' is no moment"))
            .at(expr.span)
            .hint("Write '2020-01-31', '2020-01-31T10:30' or '2020-01-31T10:30:00.000+0100'.")
    })?;
    let literal = Expr::new(ExprKind::Integer(ms.abs()), expr.span);
    if ms >= 0 {
        return Ok(literal);
    }
    Ok(Expr::new(ExprKind::Unary { op: UnaryOp::Minus, expr: Box::new(literal) }, expr.span))
}

/// The type of an expression over `scope`.
pub(in crate::plan) fn type_of(expr: &Expr, scope: &Scope, clause: &str) -> Result<SqlType> {
    let compiled = compile(expr, scope).map_err(|error| error.at(expr.span))?;
    compiled.ty().cloned().ok_or_else(|| {
        Error::semantic(format!("NULL in {clause} has no type"))
            .at(expr.span)
            .hint("Give it one: CAST(NULL AS STRING).")
    })
}

/// Checks that an expression over `scope` is a condition.
pub(in crate::plan) fn check_condition(expr: &Expr, scope: &Scope, clause: &str) -> Result<()> {
    match type_of(expr, scope, clause)? {
        SqlType::Boolean => Ok(()),
        ty => Err(Error::semantic(format!("the {clause} clause must be BOOLEAN, and is {ty}"))
            .at(expr.span)
            .hint("Compare it with something.")),
    }
}

/// The first call of a function of that kind inside `expr`.
pub(super) fn find_call(expr: &Expr, kind: FunctionKind) -> Option<&Expr> {
    let mut found = None;
    walk::visit(expr, &mut |part| {
        if found.is_none() && is_call(part, kind) {
            found = Some(part);
        }
    });
    found
}

/// Whether `expr` is a call of a function of that kind.
pub(super) fn is_call(expr: &Expr, kind: FunctionKind) -> bool {
    matches!(&expr.kind, ExprKind::Call { name, .. } if kind_of(&name.text.to_uppercase()) == Some(kind))
}

/// Refuses aggregate and table functions where only row by row expressions can stand.
pub(super) fn check_scalar(expr: &Expr, clause: &str) -> Result<()> {
    for (kind, what) in [(FunctionKind::Aggregate, "aggregate"), (FunctionKind::Table, "table")] {
        if let Some(call) = find_call(expr, kind) {
            return Err(Error::semantic(format!("{clause} cannot use the {what} function {call}")).at(call.span).hint(
                match (clause, kind) {
                    ("WHERE", FunctionKind::Aggregate) => "Conditions on aggregates go into HAVING.",
                    (_, FunctionKind::Aggregate) => "Aggregates stand in SELECT and HAVING.",
                    _ => "Table functions stand in SELECT.",
                },
            ));
        }
    }
    Ok(())
}
