//! Coloured pieces of a text, for highlighting while it is typed.
//!
//! **Invariant:** never fails, whatever the text; pieces are ascending and do not overlap.

use super::dialect::scan;
use super::keywords::is_keyword;
use super::token::{Open, TokenKind};
use crate::error::Span;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A word with a meaning of its own.
    Keyword,
    /// A name, quoted or not.
    Identifier,
    /// `'text'`, finished or not.
    String,
    /// A number.
    Number,
    /// A comment, finished or not.
    Comment,
    /// Operators and punctuation.
    Operator,
    /// Characters that mean nothing in KSQL.
    Unknown,
}

/// The pieces of `text` that are not space.
pub fn lexer(text: &str) -> Vec<(Span, Class)> {
    scan(text)
        .into_iter()
        .filter_map(|token| {
            let class = match &token.kind {
                TokenKind::Word(word) if is_keyword(word) => Class::Keyword,
                TokenKind::Word(_) | TokenKind::Quoted(..) | TokenKind::Open(Open::Name) => Class::Identifier,
                TokenKind::String(_) | TokenKind::Open(Open::String) => Class::String,
                TokenKind::Integer | TokenKind::Decimal | TokenKind::Double => Class::Number,
                TokenKind::Comment | TokenKind::Open(Open::Comment) => Class::Comment,
                TokenKind::Symbol(_) => Class::Operator,
                TokenKind::Unknown => Class::Unknown,
                TokenKind::Space | TokenKind::End => return None,
            };
            Some((token.span, class))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes() {
        let text = "select a1, 'x' -- c\n#\"q\" 1.5 /* d";
        let found: Vec<(&str, Class)> =
            lexer(text).into_iter().map(|(span, class)| (&text[span.start..span.end], class)).collect();
        assert_eq!(
            found,
            [
                ("select", Class::Keyword),
                ("a1", Class::Identifier),
                (",", Class::Operator),
                ("'x'", Class::String),
                ("-- c\n", Class::Comment),
                ("#", Class::Unknown),
                ("\"q\"", Class::Identifier),
                ("1.5", Class::Number),
                ("/* d", Class::Comment),
            ]
        );
    }
}
