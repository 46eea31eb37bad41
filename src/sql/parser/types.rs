//! Types, column lists, `WITH (…)` and durations.

use super::Parser;
use crate::error::{Error, Result};
use crate::sql::ast::{Constraint, Element, Expr, ExprKind, Name, Properties, Property, TypeExpr, UnaryOp};
use crate::sql::token::TokenKind;

/// Units of time and their milliseconds; the plural is accepted too.
const UNITS: [(&str, i64); 5] =
    [("MILLISECOND", 1), ("SECOND", 1000), ("MINUTE", 60_000), ("HOUR", 3_600_000), ("DAY", 86_400_000)];

impl Parser<'_> {
    /// A type.
    pub(in crate::sql) fn type_expr(&mut self) -> Result<TypeExpr> {
        self.nested(Self::type_inner)
    }

    fn type_inner(&mut self) -> Result<TypeExpr> {
        match self.word_at(0) {
            Some("ARRAY") if self.is_symbol(1, "<") => {
                self.advance();
                self.advance();
                let element = Box::new(self.type_expr()?);
                self.expect_symbol(">")?;
                Ok(TypeExpr::Array(element))
            }
            Some("MAP") if self.is_symbol(1, "<") => {
                self.advance();
                self.advance();
                let key = Box::new(self.type_expr()?);
                self.expect_symbol(",")?;
                let value = Box::new(self.type_expr()?);
                self.expect_symbol(">")?;
                Ok(TypeExpr::Map(key, value))
            }
            Some("STRUCT") if self.is_symbol(1, "<>") => {
                self.advance();
                self.advance();
                Ok(TypeExpr::Struct(Vec::new()))
            }
            Some("STRUCT") if self.is_symbol(1, "<") => {
                self.advance();
                self.advance();
                if self.eat_symbol(">") {
                    return Ok(TypeExpr::Struct(Vec::new()));
                }
                let fields = self.list(|p| Ok((p.name("a field name")?, p.type_expr()?)))?;
                self.expect_closing(">")?;
                Ok(TypeExpr::Struct(fields))
            }
            Some("ARRAY" | "MAP" | "STRUCT") => {
                self.advance();
                Err(self.expected("`<`").hint("Write ARRAY<type>, MAP<type, type> or STRUCT<name type, …>."))
            }
            Some("DECIMAL") => {
                self.advance();
                if !self.at_symbol("(") {
                    return Err(self.expected("`(`").hint("Write DECIMAL(precision, scale)."));
                }
                self.advance();
                let precision = self.digits("a precision")?;
                self.expect_symbol(",")?;
                let scale = self.digits("a scale")?;
                self.expect_symbol(")")?;
                Ok(TypeExpr::Decimal(precision, scale))
            }
            _ => {
                let name = self.name("the name of a type")?;
                // > KSQL: a string's length is accepted and means nothing, be it a number or the word STRING.
                let length = matches!(self.token_at(1).kind, TokenKind::Integer) || self.word_at(1) == Some("STRING");
                if self.at_symbol("(") && matches!(name.text.as_str(), "VARCHAR" | "STRING") && length {
                    self.advance();
                    self.advance();
                    self.expect_symbol(")")?;
                } else if self.at_symbol("(") {
                    return Err(self.expected("the end of the type").hint("Only DECIMAL takes parameters."));
                }
                Ok(TypeExpr::Named(name))
            }
        }
    }

    fn digits(&mut self, what: &str) -> Result<u8> {
        let span = self.token().span;
        let number = self.unsigned(what)?;
        u8::try_from(number).map_err(|_| super::out_of_range(self.source(span), span))
    }

    /// `(name type [constraint], …)` of a table or a stream.
    pub(super) fn elements(&mut self, table: bool) -> Result<Vec<Element>> {
        self.bracketed(|p| {
            let name = p.name("a column name")?;
            let ty = p.type_expr()?;
            let start = p.start();
            let constraint = p.constraint()?;
            let wrong = match (table, &constraint) {
                (true, Constraint::Key) => ("a table has a PRIMARY KEY, not a KEY", "Write PRIMARY KEY."),
                (false, Constraint::PrimaryKey) => {
                    ("a stream has a KEY, not a PRIMARY KEY", "Write KEY: several records may have the same one.")
                }
                _ => return Ok(Element { name, ty, constraint }),
            };
            Err(Error::semantic(wrong.0).at(p.span_from(start)).hint(wrong.1))
        })
    }

    fn constraint(&mut self) -> Result<Constraint> {
        if self.eat("PRIMARY") {
            self.expect("KEY")?;
            Ok(Constraint::PrimaryKey)
        } else if self.eat("KEY") {
            Ok(Constraint::Key)
        } else if self.eat("HEADERS") {
            Ok(Constraint::Headers)
        } else if self.eat("HEADER") {
            self.expect_symbol("(")?;
            let key = self.string("the header's key as a string")?;
            self.expect_symbol(")")?;
            Ok(Constraint::Header(key))
        } else if self.at_symbol(",") || self.at_symbol(")") {
            Ok(Constraint::None)
        } else {
            let error = self.expected("KEY, PRIMARY KEY, HEADERS, HEADER, `,` or `)`");
            Err(if self.at("NOT") || self.at("NULL") { error.hint("Every column may be null.") } else { error })
        }
    }

    /// `[WITH (key = literal, …)]`
    pub(super) fn properties(&mut self) -> Result<Properties> {
        if !self.eat("WITH") {
            return Ok(Vec::new());
        }
        if self.at_symbol("(") && self.is_symbol(1, ")") {
            self.advance();
            self.advance();
            return Ok(Vec::new());
        }
        self.bracketed(|p| {
            let key = p.property_key()?;
            p.expect_symbol("=")?;
            Ok(Property { key, value: p.property_value()? })
        })
    }

    fn property_key(&mut self) -> Result<Name> {
        let token = self.token().clone();
        match token.kind {
            TokenKind::Word(text) | TokenKind::Quoted(text, _) | TokenKind::String(text) if !text.is_empty() => {
                self.advance();
                Ok(Name::new(text.to_uppercase(), token.span))
            }
            _ => Err(self.expected("the name of a property")),
        }
    }

    fn property_value(&mut self) -> Result<Expr> {
        let (start, what) = (self.start(), "a literal");
        match &self.token().kind {
            TokenKind::Quoted(..) => {
                self.string(what).map(|text| Expr::new(ExprKind::String(text), self.span_from(start)))
            }
            TokenKind::Word(word) if !matches!(word.as_str(), "NULL" | "TRUE" | "FALSE") => {
                let source = self.source(self.token().span);
                Err(self.expected(what).hint(format!("Strings stand in single quotes: '{source}'.")))
            }
            _ => {
                let value = self.expr()?;
                let literal = match &value.kind {
                    ExprKind::Unary { op: UnaryOp::Minus, expr } => is_number(expr),
                    ExprKind::Null | ExprKind::Boolean(_) | ExprKind::String(_) => true,
                    _ => is_number(&value),
                };
                if literal {
                    Ok(value)
                } else {
                    Err(Error::syntax("expected a literal, found an expression").at(value.span))
                }
            }
        }
    }

    /// `n unit`, in milliseconds.
    pub(in crate::sql) fn duration(&mut self) -> Result<i64> {
        let start = self.start();
        let amount = self.unsigned("a length of time such as 5 MINUTES")?;
        let word = self.word_at(0).unwrap_or_default();
        let Some((_, ms)) = UNITS.iter().find(|(unit, _)| word.strip_suffix('S').unwrap_or(word) == *unit) else {
            let error = self.expected_words(&["MILLISECONDS", "SECONDS", "MINUTES", "HOURS", "DAYS"]);
            return Err(match word {
                // > KSQL: nothing longer than a day is a unit.
                "WEEK" | "WEEKS" | "MONTH" | "MONTHS" | "YEAR" | "YEARS" => {
                    error.hint("The longest unit is DAYS; a week is 7 DAYS.")
                }
                _ => error,
            });
        };
        self.advance();
        i64::try_from(amount)
            .ok()
            .and_then(|amount| amount.checked_mul(*ms))
            .ok_or_else(|| Error::syntax("the length of time is out of range").at(self.span_from(start)))
    }
}

fn is_number(expr: &Expr) -> bool {
    matches!(expr.kind, ExprKind::Integer(_) | ExprKind::Decimal(_) | ExprKind::Double(_))
}
