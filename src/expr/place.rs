//! The text of an expression, for reports about rows that failed.

use std::fmt::Write;

use crate::sql::ast::{Expr, ExprKind, TypeExpr, UnaryOp};

/// One line that a person recognises the expression by.
pub(super) fn expression_text(expr: &Expr) -> String {
    let mut out = String::new();
    write_expr(&mut out, expr);
    out
}

fn list<T>(out: &mut String, open: &str, items: &[T], close: &str, mut each: impl FnMut(&mut String, &T)) {
    out.push_str(open);
    for (i, item) in items.iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        each(out, item);
    }
    out.push_str(close);
}

/// An operand, in brackets when it is an operator itself.
fn operand(out: &mut String, expr: &Expr) {
    let nested = matches!(
        expr.kind,
        ExprKind::Binary { .. }
            | ExprKind::Unary { .. }
            | ExprKind::Between { .. }
            | ExprKind::InList { .. }
            | ExprKind::Like { .. }
            | ExprKind::IsNull { .. }
    );
    out.push_str(if nested { "(" } else { "" });
    write_expr(out, expr);
    out.push_str(if nested { ")" } else { "" });
}

fn write_expr(out: &mut String, expr: &Expr) {
    let not = |negated: bool| if negated { "NOT " } else { "" };
    match &expr.kind {
        ExprKind::Null => out.push_str("NULL"),
        ExprKind::Boolean(v) => out.push_str(if *v { "TRUE" } else { "FALSE" }),
        ExprKind::Integer(v) => {
            let _ = write!(out, "{v}");
        }
        ExprKind::Decimal(text) => out.push_str(text),
        ExprKind::Double(v) => {
            let _ = write!(out, "{v:e}");
        }
        ExprKind::String(v) => {
            let _ = write!(out, "'{}'", v.replace('\'', "''"));
        }
        ExprKind::Column { source, name } => {
            if let Some(source) = source {
                let _ = write!(out, "{}.", source.text);
            }
            out.push_str(&name.text);
        }
        ExprKind::Unary { op, expr } => {
            out.push_str(match op {
                UnaryOp::Not => "NOT ",
                UnaryOp::Minus => "-",
                UnaryOp::Plus => "+",
            });
            operand(out, expr);
        }
        ExprKind::Binary { op, left, right } => {
            operand(out, left);
            let _ = write!(out, " {op} ");
            operand(out, right);
        }
        ExprKind::IsNull { expr, negated } => {
            operand(out, expr);
            let _ = write!(out, " IS {}NULL", not(*negated));
        }
        ExprKind::Between { expr, low, high, negated } => {
            operand(out, expr);
            let _ = write!(out, " {}BETWEEN ", not(*negated));
            operand(out, low);
            out.push_str(" AND ");
            operand(out, high);
        }
        ExprKind::InList { expr, list: items, negated } => {
            operand(out, expr);
            let _ = write!(out, " {}IN ", not(*negated));
            list(out, "(", items, ")", write_expr);
        }
        ExprKind::Like { expr, pattern, negated, .. } => {
            operand(out, expr);
            let _ = write!(out, " {}LIKE ", not(*negated));
            operand(out, pattern);
        }
        ExprKind::Case { operand: value, whens, otherwise } => {
            out.push_str("CASE");
            if let Some(value) = value {
                out.push(' ');
                operand(out, value);
            }
            for (when, then) in whens {
                out.push_str(" WHEN ");
                write_expr(out, when);
                out.push_str(" THEN ");
                write_expr(out, then);
            }
            if let Some(otherwise) = otherwise {
                out.push_str(" ELSE ");
                write_expr(out, otherwise);
            }
            out.push_str(" END");
        }
        ExprKind::Cast { expr, ty } => {
            out.push_str("CAST(");
            write_expr(out, expr);
            out.push_str(" AS ");
            write_type(out, ty);
            out.push(')');
        }
        ExprKind::Call { name, args, star } => {
            out.push_str(&name.text);
            list(out, if *star { "(*" } else { "(" }, args, ")", write_expr);
        }
        ExprKind::Lambda { params, body } => {
            list(out, "(", params, ") => ", |out, param| out.push_str(&param.text));
            write_expr(out, body);
        }
        ExprKind::Array(items) => list(out, "ARRAY[", items, "]", write_expr),
        ExprKind::Map(entries) => list(out, "MAP(", entries, ")", |out, (key, value)| {
            write_expr(out, key);
            out.push_str(" := ");
            write_expr(out, value);
        }),
        ExprKind::Struct(fields) => list(out, "STRUCT(", fields, ")", |out, (name, value)| {
            let _ = write!(out, "{} := ", name.text);
            write_expr(out, value);
        }),
        ExprKind::Subscript { base, index } => {
            operand(out, base);
            out.push('[');
            write_expr(out, index);
            out.push(']');
        }
        ExprKind::Field { base, field } => {
            operand(out, base);
            let _ = write!(out, "->{}", field.text);
        }
    }
}

fn write_type(out: &mut String, ty: &TypeExpr) {
    match ty {
        TypeExpr::Named(name) => out.push_str(&name.text),
        TypeExpr::Decimal(precision, scale) => {
            let _ = write!(out, "DECIMAL({precision}, {scale})");
        }
        TypeExpr::Array(item) => {
            out.push_str("ARRAY<");
            write_type(out, item);
            out.push('>');
        }
        TypeExpr::Map(key, value) => list(out, "MAP<", &[key, value], ">", |out, ty| write_type(out, ty)),
        TypeExpr::Struct(fields) => list(out, "STRUCT<", fields, ">", |out, (name, ty)| {
            let _ = write!(out, "{} ", name.text);
            write_type(out, ty);
        }),
    }
}
