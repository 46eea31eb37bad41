//! Tokens: what [`super::dialect::scan`] makes of a text.
//!
//! **Invariant:** spans are byte ranges of the scanned text, ascending and without overlap.

use crate::error::Span;

/// A token and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Span,
}

impl Token {
    pub(super) fn new(kind: TokenKind, start: usize, end: usize) -> Self {
        Self { kind, span: Span::new(start, end) }
    }

    /// Whether the grammar sees it.
    pub(super) fn is_significant(&self) -> bool {
        !matches!(self.kind, TokenKind::Space | TokenKind::Comment)
    }
}

/// Every kind of token.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum TokenKind {
    /// A keyword or an unquoted name, in upper case.
    Word(String),
    /// A quoted name and its quote.
    Quoted(String, char),
    /// `'text'`
    String(String),
    /// Digits only.
    Integer,
    /// With a point, without an exponent.
    Decimal,
    /// With an exponent.
    Double,
    /// An operator or punctuation of the grammar.
    Symbol(&'static str),
    /// Characters that mean nothing in KSQL.
    Unknown,
    Space,
    Comment,
    /// Begins and never ends; reaches to the end of the text.
    Open(Open),
    /// After the last token.
    End,
}

/// What is begun and not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// `'…`
    String,
    /// `` `… `` or `"…`
    Name,
    /// `/* …`
    Comment,
}
