//! Expressions from text: topologies hold them so, and operators, which know no syntax, are tested with them.

use super::{CompiledExpr, Scope, compile};
use crate::error::Result;
use crate::sql::parse_expr;

/// [`compile`] of an expression's text.
pub fn compile_text(text: &str, scope: &Scope) -> Result<CompiledExpr> {
    compile(&parse_expr(text)?, scope)
}
