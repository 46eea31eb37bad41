//! Expressions to text.
//!
//! **Invariant:** brackets stand exactly where the tree could not be read back without them.

use std::fmt::{self, Display, Formatter};

use super::ast::{Expr, ExprKind, UnaryOp};
use super::level;
use super::print::{List, literal};

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        at_level(f, self, level::LAMBDA)
    }
}

/// Items between commas, each a value as [`level::VALUE`] says.
pub(super) struct Values<'a>(pub(super) &'a [Expr]);

impl Display for Values<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, expr) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { ", " } else { "" })?;
            at_level(f, expr, level::VALUE)?;
        }
        Ok(())
    }
}

/// `expr` where an operator binds it at `min`.
pub(super) fn at_level(f: &mut Formatter<'_>, expr: &Expr, min: u8) -> fmt::Result {
    if level::of(expr) >= min {
        return write(f, expr);
    }
    f.write_str("(")?;
    write(f, expr)?;
    f.write_str(")")
}

fn not(negated: bool) -> &'static str {
    if negated { "NOT " } else { "" }
}

fn write(f: &mut Formatter<'_>, expr: &Expr) -> fmt::Result {
    let value = level::VALUE;
    match &expr.kind {
        ExprKind::Null => f.write_str("NULL"),
        ExprKind::Boolean(true) => f.write_str("TRUE"),
        ExprKind::Boolean(false) => f.write_str("FALSE"),
        ExprKind::Integer(number) => number.fmt(f),
        ExprKind::Decimal(text) => f.write_str(text),
        ExprKind::Double(number) => write!(f, "{number:e}"),
        ExprKind::String(text) => f.write_str(&literal(text)),
        ExprKind::Column { source: Some(source), name } => write!(f, "{source}.{name}"),
        ExprKind::Column { source: None, name } => name.fmt(f),
        ExprKind::Unary { op: UnaryOp::Not, expr } => {
            f.write_str("NOT ")?;
            at_level(f, expr, level::NOT)
        }
        ExprKind::Unary { op, expr } => {
            f.write_str(if *op == UnaryOp::Minus { "-" } else { "+" })?;
            // Two signs in a row would begin a comment.
            if level::of(expr) == level::SIGN {
                f.write_str(" ")?;
            }
            at_level(f, expr, level::SIGN)
        }
        ExprKind::Binary { op, left, right } => {
            let own = level::of_binary(*op);
            // Predicates do not follow one another, the others group to the left.
            at_level(f, left, if own == level::PREDICATE { value } else { own })?;
            write!(f, " {op} ")?;
            at_level(f, right, own + 1)
        }
        ExprKind::IsNull { expr, negated } => {
            at_level(f, expr, value)?;
            write!(f, " IS {}NULL", not(*negated))
        }
        ExprKind::Between { expr, low, high, negated } => {
            at_level(f, expr, value)?;
            write!(f, " {}BETWEEN ", not(*negated))?;
            at_level(f, low, value)?;
            f.write_str(" AND ")?;
            at_level(f, high, value)
        }
        ExprKind::InList { expr, list, negated } => {
            at_level(f, expr, value)?;
            write!(f, " {}IN ({})", not(*negated), List(list))
        }
        ExprKind::Like { expr, pattern, escape, negated } => {
            at_level(f, expr, value)?;
            write!(f, " {}LIKE ", not(*negated))?;
            at_level(f, pattern, value)?;
            escape.map_or(Ok(()), |c| write!(f, " ESCAPE {}", literal(&c.to_string())))
        }
        ExprKind::Case { operand, whens, otherwise } => {
            f.write_str("CASE")?;
            if let Some(operand) = operand {
                write!(f, " {operand}")?;
            }
            for (when, then) in whens {
                write!(f, " WHEN {when} THEN {then}")?;
            }
            if let Some(otherwise) = otherwise {
                write!(f, " ELSE {otherwise}")?;
            }
            f.write_str(" END")
        }
        ExprKind::Cast { expr, ty } => write!(f, "CAST({expr} AS {ty})"),
        ExprKind::Call { name, star: true, .. } => write!(f, "{name}(*)"),
        ExprKind::Call { name, args, star: false } => write!(f, "{name}({})", List(args)),
        ExprKind::Lambda { params, body } => match params.as_slice() {
            [param] => write!(f, "{param} => {body}"),
            params => write!(f, "({}) => {body}", List(params)),
        },
        ExprKind::Array(items) => write!(f, "ARRAY[{}]", List(items)),
        ExprKind::Map(entries) => {
            f.write_str("MAP(")?;
            pairs(f, entries)
        }
        ExprKind::Struct(fields) => {
            f.write_str("STRUCT(")?;
            pairs(f, fields)
        }
        ExprKind::Subscript { base, index } => {
            at_level(f, base, level::PRIMARY)?;
            write!(f, "[{index}]")
        }
        ExprKind::Field { base, field } => {
            at_level(f, base, level::PRIMARY)?;
            write!(f, "->{field}")
        }
    }
}

fn pairs<K: Display>(f: &mut Formatter<'_>, pairs: &[(K, Expr)]) -> fmt::Result {
    for (i, (key, value)) in pairs.iter().enumerate() {
        write!(f, "{}{key} := {value}", if i > 0 { ", " } else { "" })?;
    }
    f.write_str(")")
}
