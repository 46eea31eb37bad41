//! Typing: a syntax tree over a scope becomes a [`Node`], its operands brought to the types that operators take.
//!
//! **Invariant:** every error has the place of the operand it is about.

mod call;
mod coerce;
mod compare;
mod construct;

use std::sync::Arc;

use super::compile::Scope;
use super::eval::like::LikePattern;
use super::eval::{Failures, Rows};
use super::functions::FunctionEnv;
use super::node::{Kind, Node};
use super::rules::{arithmetic_type, as_decimal, castable, resolve_type};
use crate::error::{Error, Result, Span, did_you_mean};
use crate::sql::ast::{BinaryOp, Expr, ExprKind, Name, UnaryOp};
use crate::types::{Decimal, SqlType, Value};

pub(super) use coerce::{assign, coerce};

/// Types expressions over one scope.
pub(super) struct Binder<'a> {
    scope: &'a Scope,
    /// The world that functions see; `None` is the machine's.
    env: Option<&'a FunctionEnv>,
    /// Parameters of the enclosing lambdas; their columns lie behind the scope's.
    params: Vec<(String, SqlType)>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(scope: &'a Scope, env: Option<&'a FunctionEnv>) -> Self {
        Self { scope, env, params: Vec::new() }
    }

    /// The typed form of `expr`, constants folded.
    pub(super) fn bind(&mut self, expr: &Expr) -> Result<Node> {
        self.bind_kind(expr).map(fold).map_err(|error| error.at(expr.span))
    }

    fn bind_kind(&mut self, expr: &Expr) -> Result<Node> {
        let span = expr.span;
        Ok(match &expr.kind {
            ExprKind::Null => Node::null(),
            ExprKind::Boolean(v) => Node::literal(&Value::Boolean(*v), SqlType::Boolean),
            ExprKind::Integer(v) => integer(*v),
            ExprKind::Decimal(text) => decimal(text)?,
            ExprKind::Double(v) => Node::literal(&Value::Double(*v), SqlType::Double),
            ExprKind::String(v) => Node::literal(&Value::String(v.clone()), SqlType::String),
            ExprKind::Column { source, name } => self.column(source.as_ref(), name)?,
            ExprKind::Unary { op, expr: operand } => self.unary(*op, operand)?,
            ExprKind::Binary { op, left, right } => self.binary(*op, left, right, span)?,
            ExprKind::IsNull { expr, negated } => {
                let expr = self.bind(expr)?.boxed();
                Node::new(Kind::IsNull { expr, negated: *negated }, SqlType::Boolean)
            }
            ExprKind::Between { expr, low, high, negated } => {
                let at_least = self.binary(BinaryOp::GtEq, expr, low, span)?;
                let at_most = self.binary(BinaryOp::LtEq, expr, high, span)?;
                let between = Node::new(Kind::And(at_least.boxed(), at_most.boxed()), SqlType::Boolean);
                negate_if(*negated, between)
            }
            ExprKind::InList { expr, list, negated } => {
                let node = self.in_list(expr, list)?;
                negate_if(*negated, node)
            }
            ExprKind::Like { expr, pattern, escape, negated } => {
                let node = self.like(expr, pattern, *escape)?;
                negate_if(*negated, node)
            }
            ExprKind::Case { operand, whens, otherwise } => {
                self.case(operand.as_deref(), whens, otherwise.as_deref())?
            }
            ExprKind::Cast { expr, ty } => {
                let target = resolve_type(ty)?;
                let node = self.bind(expr)?;
                match &node.ty {
                    None => coerce(node, &target),
                    Some(from) if castable(from, &target) => cast(node, target),
                    Some(from) => {
                        let error = Error::semantic(format!("{from} cannot be cast to {target}"));
                        return Err(if *from == SqlType::Bytes && target == SqlType::String {
                            error.hint("FROM_BYTES(bytes, 'utf8') reads bytes as text.")
                        } else {
                            error
                        });
                    }
                }
            }
            ExprKind::Call { name, args, star } => self.call(name, args, *star, span)?,
            ExprKind::Lambda { .. } => {
                return Err(Error::semantic("a lambda stands outside of a function call")
                    .hint("Lambdas are arguments of TRANSFORM, FILTER and REDUCE."));
            }
            ExprKind::Array(items) => self.array(items)?,
            ExprKind::Map(entries) => self.map(entries)?,
            ExprKind::Struct(fields) => self.structure(fields)?,
            ExprKind::Subscript { base, index } => self.subscript(base, index)?,
            ExprKind::Field { base, field } => self.field(base, field)?,
        })
    }

    fn column(&self, source: Option<&Name>, name: &Name) -> Result<Node> {
        let columns = &self.scope.columns;
        if source.is_none()
            && let Some(at) = self.params.iter().rposition(|(param, _)| *param == name.text)
        {
            return Ok(Node { kind: Kind::Column(columns.len() + at), ty: Some(self.params[at].1.clone()) });
        }
        // A qualified name is one that a join kept apart, or the column of the only source.
        let spellings = match source {
            Some(source) => {
                vec![
                    format!("{}.{}", source.text, name.text),
                    format!("{}_{}", source.text, name.text),
                    name.text.clone(),
                ]
            }
            None => vec![name.text.clone()],
        };
        for spelling in &spellings {
            let mut found = columns.iter().enumerate().filter(|(_, (column, _))| column == spelling);
            match (found.next(), found.next()) {
                (Some((at, (_, ty))), None) => return Ok(Node::new(Kind::Column(at), ty.clone())),
                (Some(_), Some(_)) => {
                    return Err(Error::semantic(format!("column {} is ambiguous", name.text))
                        .at(name.span)
                        .hint("Say which source's column is meant: source.column."));
                }
                _ => {}
            }
        }
        let error = Error::not_found(format!("column {} does not exist", name.text)).at(name.span);
        let names = columns.iter().chain(&self.params).map(|(name, _)| name.as_str());
        Err(match did_you_mean(&name.text, names) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None if columns.is_empty() => error.hint("There are no columns here: only literals and functions of them."),
            None => {
                let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
                error.hint(format!("The columns are {}.", names.join(", ")))
            }
        })
    }

    fn unary(&mut self, op: UnaryOp, operand: &Expr) -> Result<Node> {
        if let (UnaryOp::Minus, ExprKind::Integer(v)) = (op, &operand.kind) {
            return Ok(integer(v.wrapping_neg()));
        }
        let node = self.bind(operand)?;
        match (op, &node.ty) {
            (UnaryOp::Not, _) => {
                Ok(Node::new(Kind::Not(boolean(node, "NOT", operand.span)?.boxed()), SqlType::Boolean))
            }
            (_, Some(ty)) if ty.is_numeric() => {
                let ty = ty.clone();
                Ok(if op == UnaryOp::Minus { Node::new(Kind::Negate(node.boxed()), ty) } else { node })
            }
            _ => Err(Error::semantic(format!("a sign before a {}: it needs a number", node.type_name()))),
        }
    }

    fn binary(&mut self, op: BinaryOp, left: &Expr, right: &Expr, span: Span) -> Result<Node> {
        let (left_node, right_node) = (self.bind(left)?, self.bind(right)?);
        match op {
            BinaryOp::And | BinaryOp::Or => {
                let name = if op == BinaryOp::And { "AND" } else { "OR" };
                let left = boolean(left_node, name, left.span)?.boxed();
                let right = boolean(right_node, name, right.span)?.boxed();
                let kind = if op == BinaryOp::And { Kind::And(left, right) } else { Kind::Or(left, right) };
                Ok(Node::new(kind, SqlType::Boolean))
            }
            BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => {
                arithmetic(op, left_node, right_node)
            }
            BinaryOp::Concat => concat(left_node, right_node, true),
            _ => {
                let (left, right) =
                    compare::operands(op, left_node, right_node, (left, right)).map_err(|e| e.at(span))?;
                Ok(Node::new(Kind::Compare { op, left: left.boxed(), right: right.boxed() }, SqlType::Boolean))
            }
        }
    }

    fn like(&mut self, expr: &Expr, pattern: &Expr, escape: Option<char>) -> Result<Node> {
        let mut operand = |expr: &Expr| -> Result<Node> {
            let node = self.bind(expr)?;
            match &node.ty {
                None | Some(SqlType::String) => Ok(coerce(node, &SqlType::String)),
                Some(other) => Err(Error::semantic(format!("LIKE compares strings, not a {other}"))
                    .at(expr.span)
                    .hint("CAST(… AS STRING) makes it one.")),
            }
        };
        let (node, pattern_node) = (operand(expr)?, operand(pattern)?);
        let compiled = match pattern_node.literal_value() {
            Some(Value::String(text)) => {
                let compiled = LikePattern::new(&text, escape).map_err(|e| Error::semantic(e).at(pattern.span))?;
                Some(Arc::new(compiled))
            }
            _ => None,
        };
        let kind = Kind::Like { expr: node.boxed(), pattern: pattern_node.boxed(), escape, compiled };
        Ok(Node::new(kind, SqlType::Boolean))
    }
}

/// Evaluates an operator over literals once and for all, unless it fails: then each row shall report it.
fn fold(node: Node) -> Node {
    let mut constant = true;
    node.children(&mut |child| constant &= child.is_literal());
    let foldable = match &node.kind {
        Kind::Literal(_) | Kind::Column(_) | Kind::Lambda { .. } => false,
        // A function of nothing is a clock or a die.
        Kind::Call { eval, args, .. } => !args.is_empty() && !eval.volatile(),
        _ => true,
    };
    if !constant || !foldable || node.ty.is_none() {
        return node;
    }
    let mut failures = Failures::default();
    match node.result(&Rows::unit(), &mut failures) {
        Ok(array) if failures.is_empty() && array.len() == 1 => Node { kind: Kind::Literal(array), ty: node.ty },
        _ => node,
    }
}

fn cast(node: Node, target: SqlType) -> Node {
    if node.ty.as_ref() == Some(&target) { node } else { fold(Node::new(Kind::Cast(node.boxed()), target)) }
}

fn negate_if(negated: bool, node: Node) -> Node {
    let node = fold(node);
    if negated { Node::new(Kind::Not(node.boxed()), SqlType::Boolean) } else { node }
}

fn integer(v: i64) -> Node {
    match i32::try_from(v) {
        Ok(small) => Node::literal(&Value::Int(small), SqlType::Int),
        Err(_) => Node::literal(&Value::BigInt(v), SqlType::BigInt),
    }
}

fn decimal(text: &str) -> Result<Node> {
    let value = Decimal::parse(text).filter(|v| v.precision() <= 38).ok_or_else(|| {
        Error::semantic(format!("the number {text} has too many digits")).hint("Decimals hold 38 digits.")
    })?;
    let precision = value.precision().max(1);
    Ok(Node::literal(&Value::Decimal(value), SqlType::Decimal(precision, value.scale)))
}

/// A boolean operand; the NULL literal counts as one.
fn boolean(node: Node, operator: &str, span: Span) -> Result<Node> {
    match &node.ty {
        None | Some(SqlType::Boolean) => Ok(coerce(node, &SqlType::Boolean)),
        Some(other) => Err(Error::semantic(format!("{operator} needs a BOOLEAN, not a {other}")).at(span)),
    }
}

fn arithmetic(op: BinaryOp, left: Node, right: Node) -> Result<Node> {
    if op == BinaryOp::Add && left.ty == Some(SqlType::String) && right.ty == Some(SqlType::String) {
        return concat(left, right, false);
    }
    let wrong = |left: &Node, right: &Node| {
        let error =
            Error::semantic(format!("operator {op} does not work for {} and {}", left.type_name(), right.type_name()));
        if left.ty.is_none() || right.ty.is_none() {
            error.hint("NULL has no type here: write CAST(NULL AS type).")
        } else {
            error.hint("Both sides must be numbers; CAST(… AS type) converts.")
        }
    };
    let (Some(a), Some(b)) = (&left.ty, &right.ty) else { return Err(wrong(&left, &right)) };
    let ty = arithmetic_type(op, a, b).ok_or_else(|| wrong(&left, &right))?;
    let operand = |node: Node| match (&ty, &node.ty) {
        (SqlType::Decimal(..), Some(own)) => match as_decimal(own) {
            Some((precision, scale)) => coerce(node, &SqlType::Decimal(precision, scale)),
            None => node,
        },
        _ => coerce(node, &ty),
    };
    let (left, right) = (operand(left).boxed(), operand(right).boxed());
    Ok(Node::new(Kind::Arithmetic { op, left, right }, ty))
}

/// > KSQL: `||` skips NULLs like CONCAT does; `+` of strings is NULL when one is.
fn concat(left: Node, right: Node, skip_nulls: bool) -> Result<Node> {
    let ty = match (&left.ty, &right.ty) {
        (None | Some(SqlType::String), None | Some(SqlType::String)) => SqlType::String,
        (None | Some(SqlType::Bytes), None | Some(SqlType::Bytes)) => SqlType::Bytes,
        (a, b) => {
            let name = |ty: &Option<SqlType>| ty.as_ref().map_or("NULL".to_owned(), ToString::to_string);
            return Err(Error::semantic(format!("operator || does not work for {} and {}", name(a), name(b)))
                .hint("Both sides must be strings; CAST(… AS STRING) makes one."));
        }
    };
    let (left, right) = (coerce(left, &ty).boxed(), coerce(right, &ty).boxed());
    Ok(Node::new(Kind::Concat { left, right, skip_nulls }, ty))
}
