//! [`Node`]: an expression after typing, every operand already of the type its operator works on.
//!
//! **Invariant:** a node without a type is the NULL literal; it is coerced away before an operator takes it.

use std::sync::Arc;

use arrow::array::{ArrayRef, new_null_array};
use arrow::datatypes::DataType;

use super::eval::like::LikePattern;
use super::functions::ScalarEval;
use crate::sql::ast::BinaryOp;
use crate::types::{SqlType, Value};

/// A typed expression.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// `None` is the NULL literal.
    pub(super) ty: Option<SqlType>,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// One cell for all rows.
    Literal(ArrayRef),
    /// A column of the batch, or, behind them, a parameter of an enclosing lambda.
    Column(usize),
    /// `+ - * / %`; operands have the result's type, decimals any type.
    Arithmetic {
        op: BinaryOp,
        left: Box<Node>,
        right: Box<Node>,
    },
    /// Text or bytes joined; with `skip_nulls` NULL counts as empty.
    Concat {
        left: Box<Node>,
        right: Box<Node>,
        skip_nulls: bool,
    },
    /// `= <> < <= > >=` and `IS [NOT] DISTINCT FROM` over operands of one type (decimals: of any scale).
    Compare {
        op: BinaryOp,
        left: Box<Node>,
        right: Box<Node>,
    },
    And(Box<Node>, Box<Node>),
    Or(Box<Node>, Box<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    IsNull {
        expr: Box<Node>,
        negated: bool,
    },
    Like {
        expr: Box<Node>,
        pattern: Box<Node>,
        escape: Option<char>,
        compiled: Option<Arc<LikePattern>>,
    },
    In {
        expr: Box<Node>,
        list: Vec<Node>,
    },
    Case {
        whens: Vec<(Node, Node)>,
        otherwise: Option<Box<Node>>,
    },
    Cast(Box<Node>),
    /// With `contain`, an argument that fails is NULL to the function.
    Call {
        eval: Arc<dyn ScalarEval>,
        args: Vec<Node>,
        contain: bool,
    },
    Array(Vec<Node>),
    Map(Vec<(Node, Node)>),
    Struct(Vec<Node>),
    /// `array[index]`, the index a BIGINT
    Item {
        base: Box<Node>,
        index: Box<Node>,
    },
    /// `map[key]`
    Entry {
        base: Box<Node>,
        key: Box<Node>,
    },
    Field {
        base: Box<Node>,
        at: usize,
    },
    /// `TRANSFORM`, `FILTER` and `REDUCE`
    Lambda {
        function: LambdaFunction,
        collection: Box<Node>,
        initial: Option<Box<Node>>,
        bodies: Vec<Node>,
        first: usize,
    },
}

/// Functions that take a lambda.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum LambdaFunction {
    Transform,
    Filter,
    Reduce,
}

impl Node {
    pub(super) fn new(kind: Kind, ty: SqlType) -> Self {
        Self { kind, ty: Some(ty) }
    }

    pub(super) fn literal(value: &Value, ty: SqlType) -> Self {
        Self::new(Kind::Literal(value.repeat(&ty, 1)), ty)
    }

    /// The NULL literal.
    pub(super) fn null() -> Self {
        Self { kind: Kind::Literal(new_null_array(&DataType::Null, 1)), ty: None }
    }

    pub(super) fn boxed(self) -> Box<Self> {
        Box::new(self)
    }

    pub(super) fn is_literal(&self) -> bool {
        matches!(self.kind, Kind::Literal(_))
    }

    /// The value of a literal.
    pub(super) fn literal_value(&self) -> Option<Value> {
        match (&self.kind, &self.ty) {
            (Kind::Literal(_), None) => Some(Value::Null),
            (Kind::Literal(array), Some(_)) => Some(Value::from_array(array, 0)),
            _ => None,
        }
    }

    /// The type in messages.
    pub(super) fn type_name(&self) -> String {
        self.ty.as_ref().map_or_else(|| "NULL".to_owned(), ToString::to_string)
    }

    /// Whether it is cheap to evaluate for rows that do not need it, and never fails.
    pub(super) fn cannot_fail(&self) -> bool {
        let own = match &self.kind {
            Kind::Literal(_)
            | Kind::Column(_)
            | Kind::Compare { .. }
            | Kind::And(..)
            | Kind::Or(..)
            | Kind::Not(_)
            | Kind::Negate(_)
            | Kind::IsNull { .. }
            | Kind::Field { .. } => true,
            Kind::Arithmetic { op, .. } => {
                let exact = matches!(op, BinaryOp::Add | BinaryOp::Subtract | BinaryOp::Multiply);
                exact && !matches!(self.ty, Some(SqlType::Decimal(..)))
            }
            Kind::Cast(expr) => {
                matches!(expr.ty, Some(SqlType::Int | SqlType::BigInt))
                    && matches!(self.ty, Some(SqlType::BigInt | SqlType::Double))
            }
            _ => false,
        };
        let mut all = own && !self.ty.as_ref().is_some_and(SqlType::is_nested);
        self.children(&mut |child| all &= child.cannot_fail());
        all
    }

    /// Calls `visit` for each direct operand.
    pub(super) fn children<'a>(&'a self, visit: &mut dyn FnMut(&'a Node)) {
        match &self.kind {
            Kind::Literal(_) | Kind::Column(_) => {}
            Kind::Arithmetic { left, right, .. }
            | Kind::Concat { left, right, .. }
            | Kind::Compare { left, right, .. }
            | Kind::And(left, right)
            | Kind::Or(left, right) => {
                visit(left);
                visit(right);
            }
            Kind::Not(expr) | Kind::Negate(expr) | Kind::Cast(expr) | Kind::IsNull { expr, .. } => visit(expr),
            Kind::Field { base, .. } => visit(base),
            Kind::Like { expr, pattern, .. } => {
                visit(expr);
                visit(pattern);
            }
            Kind::In { expr, list } => {
                visit(expr);
                list.iter().for_each(visit);
            }
            Kind::Case { whens, otherwise } => {
                for (when, then) in whens {
                    visit(when);
                    visit(then);
                }
                otherwise.iter().for_each(|node| visit(node));
            }
            Kind::Call { args, .. } | Kind::Array(args) | Kind::Struct(args) => args.iter().for_each(visit),
            Kind::Map(entries) => {
                for (key, value) in entries {
                    visit(key);
                    visit(value);
                }
            }
            Kind::Item { base, index } => {
                visit(base);
                visit(index);
            }
            Kind::Entry { base, key } => {
                visit(base);
                visit(key);
            }
            Kind::Lambda { collection, initial, bodies, .. } => {
                visit(collection);
                initial.iter().for_each(|node| visit(node));
                bodies.iter().for_each(visit);
            }
        }
    }

    /// Marks the columns that the node reads.
    pub(super) fn mark_columns(&self, used: &mut Vec<bool>) {
        if let Kind::Column(at) = self.kind {
            if used.len() <= at {
                used.resize(at + 1, false);
            }
            used[at] = true;
        }
        self.children(&mut |child| child.mark_columns(used));
    }
}
