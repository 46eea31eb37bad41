//! Which values can be compared, and as what.

use super::{Binder, boolean, coerce, coerce::lenient};
use crate::error::{Error, Result};
use crate::expr::cast::parse_double;
use crate::expr::node::{Kind, Node};
use crate::expr::rules::{as_decimal, common_type};
use crate::expr::text;
use crate::sql::ast::{BinaryOp, Expr, ExprKind};
use crate::types::sql_type::DECIMAL_PRECISION_MAX;
use crate::types::{Decimal, SqlType, SystemColumn, Value};

/// Both sides of a comparison, brought to one type.
pub(super) fn operands(op: BinaryOp, left: Node, right: Node, exprs: (&Expr, &Expr)) -> Result<(Node, Node)> {
    let distinct = matches!(op, BinaryOp::IsDistinctFrom | BinaryOp::IsNotDistinctFrom);
    let (a, b) = match (&left.ty, &right.ty) {
        (Some(a), Some(b)) => (a.clone(), b.clone()),
        (Some(ty), None) | (None, Some(ty)) if distinct => {
            let ty = ty.clone();
            return Ok((coerce(left, &ty), coerce(right, &ty)));
        }
        (None, None) if distinct => return Ok((coerce(left, &SqlType::Boolean), coerce(right, &SqlType::Boolean))),
        _ => {
            let span = if left.ty.is_none() { exprs.0.span } else { exprs.1.span };
            return Err(Error::semantic("a comparison with NULL is never true")
                .at(span)
                .hint("Write IS NULL or IS NOT NULL."));
        }
    };
    if is_magic(exprs.0) && b == SqlType::String {
        let right = timestamp_literal(right, exprs.1)?;
        return Ok((left, right));
    }
    if is_magic(exprs.1) && a == SqlType::String {
        let left = timestamp_literal(left, exprs.0)?;
        return Ok((left, right));
    }
    let wrong = || {
        let error = Error::semantic(format!("operator {op} cannot compare {a} with {b}"));
        if a == b {
            error.hint(format!("{} values can only be compared with =, <> and IS DISTINCT FROM.", a.base_name()))
        } else {
            error.hint("CAST(… AS type) brings one side to the other's type.")
        }
    };
    let equality = distinct || matches!(op, BinaryOp::Eq | BinaryOp::NotEq);
    if !equality && (a.is_nested() || a == SqlType::Boolean) {
        return Err(wrong());
    }
    let target = match (&a, &b) {
        _ if a.is_numeric() && b.is_numeric() => return Ok(numbers(left, right)),
        (SqlType::String, other) if is_literal_target(other, &left) => {
            return Ok((text_literal(left, other, exprs.0)?, right));
        }
        (other, SqlType::String) if is_literal_target(other, &right) => {
            return Ok((left, text_literal(right, other, exprs.1)?));
        }
        (SqlType::String, other) | (other, SqlType::String) if other.is_temporal() => other.clone(),
        (SqlType::Timestamp, SqlType::Date) | (SqlType::Date, SqlType::Timestamp) => SqlType::Timestamp,
        _ => common_type(&a, &b).ok_or_else(wrong)?,
    };
    Ok((coerce(left, &target), coerce(right, &target)))
}

/// Numbers as the wider type; decimals at the larger scale, if storage has room for it.
fn numbers(left: Node, right: Node) -> (Node, Node) {
    let (Some(a), Some(b)) = (left.ty.clone(), right.ty.clone()) else { return (left, right) };
    match common_type(&a, &b) {
        Some(SqlType::Decimal(..)) => {}
        Some(target) => return (coerce(left, &target), coerce(right, &target)),
        None => return (left, right),
    }
    let (Some((_, s1)), Some((_, s2))) = (as_decimal(&a), as_decimal(&b)) else { return (left, right) };
    let scale = s1.max(s2);
    let bring = |node: Node, ty: &SqlType| match as_decimal(ty) {
        Some((precision, own)) => {
            let wider = precision.saturating_add(scale - own);
            let (precision, scale) = if wider <= DECIMAL_PRECISION_MAX { (wider, scale) } else { (precision, own) };
            coerce(node, &SqlType::Decimal(precision, scale))
        }
        None => node,
    };
    (bring(left, &a), bring(right, &b))
}

/// Whether a string literal beside a value of type `ty` is read as such a value.
fn is_literal_target(ty: &SqlType, node: &Node) -> bool {
    node.is_literal() && (ty.is_temporal() || *ty == SqlType::Boolean)
}

fn text_literal(node: Node, target: &SqlType, expr: &Expr) -> Result<Node> {
    let value = node.literal_value().unwrap_or(Value::Null);
    match lenient(&value, &SqlType::String, target) {
        Some(value) => Ok(Node::literal(&value, target.clone())),
        None => {
            let expected = match target {
                SqlType::Timestamp => "Timestamps are written 'yyyy-MM-ddTHH:mm:ss.SSS', or a beginning of it.",
                SqlType::Date => "Dates are written 'yyyy-MM-dd', or a beginning of it.",
                SqlType::Time => "Times are written 'HH:mm:ss.SSS', or a beginning of it.",
                _ => "Write TRUE or FALSE.",
            };
            let text = value.as_str().unwrap_or_default();
            Err(Error::semantic(format!("'{text}' is no {target}")).at(expr.span).hint(expected))
        }
    }
}

/// Columns of milliseconds that compare with timestamps written as text.
fn is_magic(expr: &Expr) -> bool {
    let ExprKind::Column { name, .. } = &expr.kind else { return false };
    let magic = [SystemColumn::RowTime, SystemColumn::WindowStart, SystemColumn::WindowEnd];
    magic.iter().any(|column| name.text == column.name())
}

fn timestamp_literal(node: Node, expr: &Expr) -> Result<Node> {
    let Some(Value::String(text)) = node.literal_value() else {
        return Err(Error::semantic("a time in milliseconds cannot be compared with text")
            .at(expr.span)
            .hint("A literal such as '2020-01-01T10:00' works, and UNIX_TIMESTAMP() values do."));
    };
    let ms = text::parse_timestamp(&text).map_err(|reason| Error::semantic(reason).at(expr.span))?;
    Ok(Node::literal(&Value::BigInt(ms), SqlType::BigInt))
}

/// An item of a list of `target`s, of a type that has one in common with them.
fn list_item(node: Node, target: &SqlType) -> Result<Node> {
    let Some(own) = node.ty.clone() else { return Ok(node) };
    if own.is_numeric() && target.is_numeric() {
        return Ok(node);
    }
    let converted = node.literal_value().and_then(|value| {
        let text = value.as_str().filter(|_| target.is_numeric());
        text.map_or_else(|| Some((lenient(&value, &own, target)?, target.clone())), number)
    });
    if let Some((value, ty)) = converted {
        return Ok(Node::literal(&value, ty));
    }
    match (target, &own) {
        _ if common_type(target, &own).is_some() => Ok(node),
        (SqlType::Timestamp, SqlType::Date) => Ok(coerce(node, target)),
        (_, SqlType::String) if target.is_temporal() && !node.is_literal() => Ok(coerce(node, target)),
        _ => Err(match node.literal_value() {
            Some(Value::String(text)) => Error::semantic(format!("'{text}' is no {target}")),
            _ => {
                Error::semantic(format!("a list of {target} cannot hold a {own}")).hint("CAST(… AS type) converts it.")
            }
        }),
    }
}

/// The number that a text is, as the narrowest type that holds it.
fn number(text: &str) -> Option<(Value, SqlType)> {
    let text = text.trim();
    if let Ok(v) = text.parse::<i64>() {
        let small = i32::try_from(v).map(|v| (Value::Int(v), SqlType::Int));
        return Some(small.unwrap_or((Value::BigInt(v), SqlType::BigInt)));
    }
    let plain = !text.contains(['e', 'E']);
    if let Some(v) = Decimal::parse(text).filter(|v| plain && v.precision() <= DECIMAL_PRECISION_MAX) {
        return Some((Value::Decimal(v), SqlType::Decimal(v.precision().max(1), v.scale)));
    }
    Some((Value::Double(parse_double(text)?), SqlType::Double))
}

impl Binder<'_> {
    /// > KSQL: literals in the list convert leniently: `'10'` for a number, `10` for a string, `'y'` for a boolean.
    pub(super) fn in_list(&mut self, expr: &Expr, list: &[Expr]) -> Result<Node> {
        let node = self.bind(expr)?;
        let Some(mut target) = node.ty.clone() else {
            return Err(Error::semantic("NULL is in no list").at(expr.span).hint("Write IS NULL."));
        };
        let mut items = Vec::with_capacity(list.len());
        for item in list {
            let bound = list_item(self.bind(item)?, &target).map_err(|error| error.at(item.span))?;
            if let Some(own) = &bound.ty
                && let Some(wider) = common_type(&target, own)
            {
                target = wider;
            }
            items.push(bound);
        }
        let items = items.into_iter().map(|item| coerce(item, &target)).collect();
        Ok(Node::new(Kind::In { expr: coerce(node, &target).boxed(), list: items }, SqlType::Boolean))
    }

    pub(super) fn case(
        &mut self,
        operand: Option<&Expr>,
        whens: &[(Expr, Expr)],
        otherwise: Option<&Expr>,
    ) -> Result<Node> {
        let mut conditions = Vec::with_capacity(whens.len());
        for (when, _) in whens {
            conditions.push(match operand {
                Some(operand) => self.binary(BinaryOp::Eq, operand, when, when.span)?,
                None => boolean(self.bind(when)?, "WHEN", when.span)?,
            });
        }
        let mut branches = Vec::with_capacity(whens.len() + 1);
        for expr in whens.iter().map(|(_, then)| then).chain(otherwise) {
            branches.push((self.bind(expr)?, expr.span));
        }
        let ty = super::construct::common(&branches, "the branches of CASE")?
            .ok_or_else(|| Error::semantic("every branch of CASE is NULL").hint("CAST one: CAST(NULL AS type)."))?;
        let mut values: Vec<Node> = branches.into_iter().map(|(node, _)| coerce(node, &ty)).collect();
        let otherwise = if otherwise.is_some() { values.pop().map(Node::boxed) } else { None };
        let whens = conditions.into_iter().zip(values).collect();
        Ok(Node::new(Kind::Case { whens, otherwise }, ty))
    }
}
