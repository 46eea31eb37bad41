//! A text cut into statements, before anything is parsed: for the prompt and for scripts whose variables change.
//!
//! **Invariant:** never fails; semicolons in strings, quoted names and comments do not cut.

use super::dialect::scan;
use super::token::{Open, TokenKind};
use crate::error::Span;

/// One statement's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// From its first to its last character, without comments before and after it and without the semicolon.
    pub span: Span,
    /// One past the semicolon, or the end of the text: where the next piece's text begins, comments included.
    pub end: usize,
    /// Whether a semicolon ends it.
    pub terminated: bool,
    /// What is begun in it and not ended.
    pub open: Option<Open>,
}

/// The statements of `text`, finished or not; empty ones are left out.
pub fn split_statements(text: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut piece: Option<Piece> = None;
    for token in scan(text) {
        match token.kind {
            TokenKind::Space | TokenKind::Comment => {}
            TokenKind::Symbol(";") => {
                if let Some(done) = piece.take() {
                    pieces.push(Piece { end: token.span.end, terminated: true, ..done });
                }
            }
            kind => {
                let open = match kind {
                    TokenKind::Open(open) => Some(open),
                    _ => None,
                };
                let span = piece.map_or(token.span, |begun| begun.span.to(token.span));
                piece = Some(Piece { span, end: text.len(), terminated: false, open });
            }
        }
    }
    pieces.extend(piece);
    pieces
}

/// Whether the prompt may run `text`: it holds a statement, and the last one is ended by a semicolon.
pub fn is_complete(text: &str) -> bool {
    split_statements(text).last().is_some_and(|piece| piece.terminated)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(text: &str) -> Vec<(&str, bool)> {
        split_statements(text).into_iter().map(|p| (&text[p.span.start..p.span.end], p.terminated)).collect()
    }

    #[test]
    fn quotes_and_comments_hide_semicolons() {
        let text = "-- a;\nSELECT ';' /* ; */, `;` ; ; DEFINE x = 'y';\n SHOW ${x} -- ;\n";
        assert_eq!(pieces(text), [("SELECT ';' /* ; */, `;`", true), ("DEFINE x = 'y'", true), ("SHOW ${x}", false),]);
        assert_eq!(split_statements(text)[1].end, text.find("\n SHOW").unwrap());
        assert!(pieces("-- nothing\n;;").is_empty());
    }

    #[test]
    fn incomplete_input_waits() {
        for (text, open) in [
            ("SELECT 'a;", Some(Open::String)),
            ("SELECT \"a;", Some(Open::Name)),
            ("SELECT 1; /* a;", Some(Open::Comment)),
            ("SELECT a", None),
        ] {
            assert!(!is_complete(text), "{text}");
            assert_eq!(split_statements(text).last().unwrap().open, open);
        }
        assert!(is_complete("SELECT a; -- done"));
        assert!(!is_complete(" -- only a comment"));
    }
}
