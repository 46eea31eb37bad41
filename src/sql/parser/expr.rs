//! Expressions, by precedence climbing: OR < AND < NOT < predicates < `||` < `+ -` < `* / %` < sign < `[] ->`.

use super::{MAX_HEIGHT, Parser, out_of_range};
use crate::error::{Error, Result, Span};
use crate::sql::ast::{BinaryOp, Expr, ExprKind, Name, UnaryOp};
use crate::sql::keywords::is_reserved;
use crate::sql::level;
use crate::sql::token::TokenKind;

/// What may follow an operand.
#[derive(Clone, Copy)]
enum Infix {
    Binary(BinaryOp),
    Is,
    Between,
    In,
    Like,
}

impl Infix {
    fn level(self) -> u8 {
        match self {
            Self::Binary(op) => level::of_binary(op),
            _ => level::PREDICATE,
        }
    }
}

impl Parser<'_> {
    /// Any expression but a lambda.
    pub(in crate::sql) fn expr(&mut self) -> Result<Expr> {
        self.expr_at(level::OR)
    }

    /// An expression without a predicate, NOT, AND or OR outside brackets.
    pub(super) fn value(&mut self) -> Result<Expr> {
        let value = self.expr_at(level::VALUE)?;
        if self.infix().is_some() {
            let hint = "Put the condition in brackets, or compute it in an earlier query.";
            return Err(self.expected("the end of the key").hint(hint));
        }
        Ok(value)
    }

    /// An expression whose outermost operator binds at least as tightly as `min`.
    fn expr_at(&mut self, min: u8) -> Result<Expr> {
        self.nested(|p| p.climb(min))
    }

    fn climb(&mut self, min: u8) -> Result<Expr> {
        let start = self.start();
        let outer = std::mem::take(&mut self.tallest);
        let mut left = self.prefix(min)?;
        let mut height = self.tallest + 1;
        let mut compared = false;
        while let Some((negated, infix)) = self.infix() {
            if infix.level() < min {
                break;
            }
            if compared && infix.level() == level::PREDICATE {
                return Err(Error::syntax("comparisons cannot follow one another")
                    .at(self.token().span)
                    .hint("Use AND, or put one of them in brackets."));
            }
            compared = infix.level() == level::PREDICATE;
            self.tallest = 0;
            let kind = self.infix_rest(left, negated, infix)?;
            left = Expr::new(kind, self.span_from(start));
            height = height.max(self.tallest) + 1;
            self.check_height(height, left.span)?;
        }
        self.tallest = outer.max(height);
        Ok(left)
    }

    fn check_height(&self, height: usize, span: Span) -> Result<()> {
        if height > MAX_HEIGHT {
            return Err(Error::syntax("the expression has too many operators in a row").at(span));
        }
        Ok(())
    }

    /// The operator that comes next, and whether a NOT stands before it.
    fn infix(&self) -> Option<(bool, Infix)> {
        let binary = |op| Some((false, Infix::Binary(op)));
        match &self.token().kind {
            TokenKind::Word(word) => match word.as_str() {
                "OR" => binary(BinaryOp::Or),
                "AND" => binary(BinaryOp::And),
                "IS" => Some((false, Infix::Is)),
                "BETWEEN" => Some((false, Infix::Between)),
                "IN" => Some((false, Infix::In)),
                "LIKE" => Some((false, Infix::Like)),
                "NOT" => match self.word_at(1)? {
                    "BETWEEN" => Some((true, Infix::Between)),
                    "IN" => Some((true, Infix::In)),
                    "LIKE" => Some((true, Infix::Like)),
                    _ => None,
                },
                _ => None,
            },
            TokenKind::Symbol(symbol) => match *symbol {
                "=" => binary(BinaryOp::Eq),
                "<>" => binary(BinaryOp::NotEq),
                "<" => binary(BinaryOp::Lt),
                "<=" => binary(BinaryOp::LtEq),
                ">" => binary(BinaryOp::Gt),
                ">=" => binary(BinaryOp::GtEq),
                "+" => binary(BinaryOp::Add),
                "-" => binary(BinaryOp::Subtract),
                "*" => binary(BinaryOp::Multiply),
                "/" => binary(BinaryOp::Divide),
                "%" => binary(BinaryOp::Modulo),
                "||" => binary(BinaryOp::Concat),
                _ => None,
            },
            _ => None,
        }
    }

    fn infix_rest(&mut self, left: Expr, negated: bool, infix: Infix) -> Result<ExprKind> {
        if negated {
            self.advance();
        }
        self.advance();
        let left = Box::new(left);
        let value = level::VALUE;
        Ok(match infix {
            Infix::Binary(op) => {
                let right = Box::new(self.expr_at(level::of_binary(op) + 1)?);
                ExprKind::Binary { op, left, right }
            }
            Infix::Is => {
                let negated = self.eat("NOT");
                if self.eat("NULL") {
                    ExprKind::IsNull { expr: left, negated }
                } else if self.eat_all(&["DISTINCT", "FROM"]) {
                    let op = if negated { BinaryOp::IsNotDistinctFrom } else { BinaryOp::IsDistinctFrom };
                    ExprKind::Binary { op, left, right: Box::new(self.expr_at(value)?) }
                } else {
                    return Err(self.expected_words(&["NULL", "DISTINCT FROM"]));
                }
            }
            Infix::Between => {
                let low = Box::new(self.expr_at(value)?);
                self.expect("AND")?;
                ExprKind::Between { expr: left, low, high: Box::new(self.expr_at(value)?), negated }
            }
            Infix::In => ExprKind::InList { expr: left, list: self.bracketed(Self::expr)?, negated },
            Infix::Like => {
                let pattern = Box::new(self.expr_at(value)?);
                ExprKind::Like { expr: left, pattern, escape: self.escape()?, negated }
            }
        })
    }

    fn escape(&mut self) -> Result<Option<char>> {
        if !self.at("ESCAPE") || !matches!(self.token_at(1).kind, TokenKind::String(_)) {
            return Ok(None);
        }
        self.advance();
        let span = self.token().span;
        let text = self.string("the escape character")?;
        let mut chars = text.chars();
        match (chars.next(), chars.next()) {
            (Some(c), None) => Ok(Some(c)),
            _ => Err(Error::syntax("the escape character must be one character").at(span)),
        }
    }

    fn prefix(&mut self, min: u8) -> Result<Expr> {
        let start = self.start();
        let op = match &self.token().kind {
            TokenKind::Word(word) if word == "NOT" => UnaryOp::Not,
            TokenKind::Symbol("-") => UnaryOp::Minus,
            TokenKind::Symbol("+") => UnaryOp::Plus,
            _ => return self.postfix(),
        };
        if op == UnaryOp::Not && min > level::NOT {
            return Err(self.expected("a value").hint("Put the negation in brackets: (NOT …)."));
        }
        self.advance();
        // The smallest BIGINT has no positive counterpart to take the sign of.
        if op == UnaryOp::Minus && self.token().kind == TokenKind::Integer {
            let digits = self.source(self.token().span).trim_start_matches('0');
            if digits.parse() == Ok(i64::MIN.unsigned_abs()) {
                self.advance();
                return Ok(Expr::new(ExprKind::Integer(i64::MIN), self.span_from(start)));
            }
        }
        let expr = Box::new(self.expr_at(if op == UnaryOp::Not { level::NOT } else { level::SIGN })?);
        Ok(Expr::new(ExprKind::Unary { op, expr }, self.span_from(start)))
    }

    /// A primary and what is taken out of it: `a[1]->b`.
    pub(super) fn postfix(&mut self) -> Result<Expr> {
        let start = self.start();
        let mut base = self.primary()?;
        loop {
            let kind = if self.eat_symbol("[") {
                let index = Box::new(self.expr()?);
                self.expect_symbol("]")?;
                ExprKind::Subscript { base: Box::new(base), index }
            } else if self.at_symbol("->") && !self.is_symbol(1, "*") {
                self.advance();
                ExprKind::Field { base: Box::new(base), field: self.name("a field name")? }
            } else {
                return Ok(base);
            };
            base = Expr::new(kind, self.span_from(start));
            self.tallest += 1;
            self.check_height(self.tallest, base.span)?;
        }
    }

    fn primary(&mut self) -> Result<Expr> {
        let token = self.token().clone();
        let kind = match &token.kind {
            TokenKind::Word(word) => match word.as_str() {
                "NULL" => self.literal(ExprKind::Null),
                "TRUE" => self.literal(ExprKind::Boolean(true)),
                "FALSE" => self.literal(ExprKind::Boolean(false)),
                "CASE" => self.case()?,
                "CAST" => self.cast()?,
                "ARRAY" if self.is_symbol(1, "[") => self.array()?,
                "MAP" if self.is_symbol(1, "(") => self.map()?,
                "STRUCT" if self.is_symbol(1, "(") => self.structure()?,
                // Joins never begin where an operand is expected.
                "LEFT" | "RIGHT" if self.is_symbol(1, "(") => self.call(word)?,
                word if is_reserved(word) => return Err(self.expected("an expression")),
                _ => self.column_or_call()?,
            },
            TokenKind::Quoted(..) => self.column_or_call()?,
            TokenKind::String(text) => self.literal(ExprKind::String(text.clone())),
            TokenKind::Integer | TokenKind::Decimal | TokenKind::Double => {
                let kind = number(&token.kind, self.source(token.span))
                    .ok_or_else(|| out_of_range(self.source(token.span), token.span))?;
                self.literal(kind)
            }
            TokenKind::Symbol("(") => {
                if self.is_lambda() {
                    return Err(misplaced_lambda(token.span));
                }
                self.advance();
                let mut inner = self.expr()?;
                self.expect_symbol(")")?;
                inner.span = self.span_from(token.span.start);
                return Ok(inner);
            }
            _ => return Err(self.expected("an expression")),
        };
        Ok(Expr::new(kind, self.span_from(token.span.start)))
    }

    fn literal(&mut self, kind: ExprKind) -> ExprKind {
        self.advance();
        kind
    }

    fn column_or_call(&mut self) -> Result<ExprKind> {
        if self.is_lambda() {
            return Err(misplaced_lambda(self.token().span));
        }
        let name = self.name("a column name")?;
        if self.at_symbol("(") {
            return self.arguments(name);
        }
        if !self.eat_symbol(".") {
            return Ok(ExprKind::Column { source: None, name });
        }
        let column = self.name("a column name")?;
        if self.at_symbol(".") {
            return Err(self.expected("the end of the column's name").hint("Fields of a STRUCT are taken with `->`."));
        }
        Ok(ExprKind::Column { source: Some(name), name: column })
    }

    fn call(&mut self, name: &str) -> Result<ExprKind> {
        let span = self.advance().span;
        self.arguments(Name::new(name, span))
    }

    fn arguments(&mut self, name: Name) -> Result<ExprKind> {
        self.expect_symbol("(")?;
        if self.eat_symbol(")") {
            return Ok(ExprKind::Call { name, args: Vec::new(), star: false });
        }
        if self.at_symbol("*") && self.is_symbol(1, ")") {
            self.advance();
            self.advance();
            return Ok(ExprKind::Call { name, args: Vec::new(), star: true });
        }
        if self.at("DISTINCT") {
            let hint = format!("Write {name}_DISTINCT(…) where there is one.");
            return Err(self.expected("an argument").hint(hint));
        }
        let args = self.list(Self::argument)?;
        self.expect_closing(")")?;
        Ok(ExprKind::Call { name, args, star: false })
    }

    fn argument(&mut self) -> Result<Expr> {
        if !self.is_lambda() {
            return self.expr();
        }
        let start = self.start();
        let params = if self.at_symbol("(") {
            self.bracketed(|p| p.name("the name of a parameter"))?
        } else {
            vec![self.name("the name of a parameter")?]
        };
        self.expect_symbol("=>")?;
        let body = Box::new(self.expr()?);
        self.tallest += 1;
        Ok(Expr::new(ExprKind::Lambda { params, body }, self.span_from(start)))
    }

    /// Whether `x =>` or `(x, y) =>` comes next.
    fn is_lambda(&self) -> bool {
        if self.is_name(0) {
            return self.is_symbol(1, "=>");
        }
        if !self.at_symbol("(") {
            return false;
        }
        let mut ahead = 1;
        while self.is_name(ahead) {
            if self.is_symbol(ahead + 1, ")") {
                return self.is_symbol(ahead + 2, "=>");
            }
            if !self.is_symbol(ahead + 1, ",") {
                return false;
            }
            ahead += 2;
        }
        false
    }

    fn case(&mut self) -> Result<ExprKind> {
        self.advance();
        let operand = if self.at("WHEN") { None } else { Some(Box::new(self.expr()?)) };
        let mut whens = Vec::new();
        while self.eat("WHEN") {
            let when = self.expr()?;
            self.expect("THEN")?;
            whens.push((when, self.expr()?));
        }
        if whens.is_empty() {
            return Err(self.expected_words(&["WHEN"]));
        }
        let otherwise = if self.eat("ELSE") { Some(Box::new(self.expr()?)) } else { None };
        if self.eat("END") {
            return Ok(ExprKind::Case { operand, whens, otherwise });
        }
        Err(self.expected_words(if otherwise.is_some() { &["END"] } else { &["WHEN", "ELSE", "END"] }))
    }

    fn cast(&mut self) -> Result<ExprKind> {
        self.advance();
        self.expect_symbol("(")?;
        let expr = Box::new(self.expr()?);
        self.expect("AS")?;
        let ty = self.type_expr()?;
        self.expect_symbol(")")?;
        Ok(ExprKind::Cast { expr, ty })
    }

    fn array(&mut self) -> Result<ExprKind> {
        self.advance();
        self.advance();
        if self.eat_symbol("]") {
            return Ok(ExprKind::Array(Vec::new()));
        }
        let items = self.list(Self::expr)?;
        self.expect_closing("]")?;
        Ok(ExprKind::Array(items))
    }

    fn map(&mut self) -> Result<ExprKind> {
        self.advance();
        if self.is_symbol(1, ")") {
            self.advance();
            self.advance();
            return Ok(ExprKind::Map(Vec::new()));
        }
        let entries = self.bracketed(|p| {
            let key = p.expr()?;
            p.expect_symbol(":=")?;
            Ok((key, p.expr()?))
        })?;
        Ok(ExprKind::Map(entries))
    }

    fn structure(&mut self) -> Result<ExprKind> {
        self.advance();
        if self.is_symbol(1, ")") {
            self.advance();
            self.advance();
            return Ok(ExprKind::Struct(Vec::new()));
        }
        let fields = self.bracketed(|p| {
            let name = p.name("a field name")?;
            p.expect_symbol(":=")?;
            Ok((name, p.expr()?))
        })?;
        Ok(ExprKind::Struct(fields))
    }
}

fn misplaced_lambda(span: Span) -> Error {
    Error::syntax("a lambda can only be an argument of a function").at(span)
}

fn number(kind: &TokenKind, source: &str) -> Option<ExprKind> {
    match kind {
        TokenKind::Integer => source.parse().ok().map(ExprKind::Integer),
        TokenKind::Decimal => Some(ExprKind::Decimal(source.to_string())),
        _ => source.parse().ok().filter(|value: &f64| value.is_finite()).map(ExprKind::Double),
    }
}
