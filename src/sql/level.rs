//! How tightly operators bind; shared by the parser and the printer so that they agree.

use super::ast::{BinaryOp, Expr, ExprKind, UnaryOp};

pub(super) const LAMBDA: u8 = 0;
pub(super) const OR: u8 = 1;
const AND: u8 = 2;
pub(super) const NOT: u8 = 3;
/// Comparisons, IS NULL, BETWEEN, IN, LIKE: two of them never follow one another without brackets.
pub(super) const PREDICATE: u8 = 4;
/// Operands of predicates, and keys: what holds no predicate, NOT, AND or OR outside brackets.
pub(super) const VALUE: u8 = 5;
const CONCAT: u8 = VALUE;
const SUM: u8 = 6;
const PRODUCT: u8 = 7;
pub(super) const SIGN: u8 = 8;
pub(super) const PRIMARY: u8 = 9;

/// Of an operator; its right operand binds more tightly.
pub(super) fn of_binary(op: BinaryOp) -> u8 {
    match op {
        BinaryOp::Or => OR,
        BinaryOp::And => AND,
        BinaryOp::Eq
        | BinaryOp::NotEq
        | BinaryOp::Lt
        | BinaryOp::LtEq
        | BinaryOp::Gt
        | BinaryOp::GtEq
        | BinaryOp::IsDistinctFrom
        | BinaryOp::IsNotDistinctFrom => PREDICATE,
        // > KSQL: `||` binds less tightly than `+` and `-`.
        BinaryOp::Concat => CONCAT,
        BinaryOp::Add | BinaryOp::Subtract => SUM,
        BinaryOp::Multiply | BinaryOp::Divide | BinaryOp::Modulo => PRODUCT,
    }
}

/// Of an expression's outermost operator.
pub(super) fn of(expr: &Expr) -> u8 {
    match &expr.kind {
        ExprKind::Lambda { .. } => LAMBDA,
        ExprKind::Binary { op, .. } => of_binary(*op),
        ExprKind::Unary { op: UnaryOp::Not, .. } => NOT,
        ExprKind::IsNull { .. } | ExprKind::Between { .. } | ExprKind::InList { .. } | ExprKind::Like { .. } => {
            PREDICATE
        }
        ExprKind::Unary { .. } => SIGN,
        // Only made by rewriting; written with a sign.
        ExprKind::Integer(value) if *value < 0 => SIGN,
        ExprKind::Double(value) if value.is_sign_negative() => SIGN,
        ExprKind::Decimal(text) if text.starts_with('-') => SIGN,
        _ => PRIMARY,
    }
}
