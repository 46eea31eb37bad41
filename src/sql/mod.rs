//! KSQL text to [`ast::Statement`] and back. `sqlparser` tokenizes under our dialect; the grammar is ours.
//!
//! **Invariant:** `parse(print(s)) == s` for every statement (spans do not count); no text makes the parser panic.

pub mod ast;
mod dialect;
pub mod keywords;
mod level;
mod lexer;
mod parser;
mod print;
mod print_expr;
mod split;
mod token;
mod variables;
mod walk;

#[cfg(test)]
mod tests;

pub use keywords::KEYWORDS;
pub use lexer::{Class, lexer};
pub use print::{duration, literal};
pub use split::{Piece, is_complete, split_statements};
pub use token::Open;
pub use variables::substitute;

use crate::error::Result;
use ast::{Expr, Statement, TypeExpr};
use parser::Parser;

/// Every statement of `text`, separated by semicolons; the last one is optional. Variables are not replaced.
pub fn parse_script(text: &str) -> Result<Vec<Statement>> {
    Parser::new(text).script()
}

/// The one statement of `text`, with or without a semicolon.
pub fn parse_statement(text: &str) -> Result<Statement> {
    Parser::new(text).single()
}

/// The one expression that `text` is.
pub fn parse_expr(text: &str) -> Result<Expr> {
    let mut parser = Parser::new(text);
    let expr = parser.expr()?;
    parser.end()?;
    Ok(expr)
}

/// The one type that `text` is.
pub fn parse_type(text: &str) -> Result<TypeExpr> {
    let mut parser = Parser::new(text);
    let ty = parser.type_expr()?;
    parser.end()?;
    Ok(ty)
}

/// The milliseconds of `5 MINUTES`.
pub fn parse_duration(text: &str) -> Result<i64> {
    let mut parser = Parser::new(text);
    let ms = parser.duration()?;
    parser.end()?;
    Ok(ms)
}
