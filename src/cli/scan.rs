//! Scanning of text that is still being typed: which words, texts and comments it holds, where statements end.
//!
//! Unlike the parser's tokenizer this accepts anything, unfinished quotes included: it colours, completes and decides
//! whether more lines are needed. What is valid the parser decides.

use std::ops::Range;

/// What a piece of text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// Unquoted name or keyword.
    Word,
    /// `'text'`
    Text,
    /// `` `name` `` or `"name"`
    Quoted,
    /// Digits.
    Number,
    /// `-- …` or `/* … */`
    Comment,
    /// `;`
    End,
    /// Anything else that is not blank.
    Symbol,
}

/// A piece and where it stands; blanks lie between pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// What it is.
    pub piece: Piece,
    /// Where it stands, in bytes.
    pub range: Range<usize>,
    /// Whether a quote or comment in it has been closed.
    pub closed: bool,
}

/// Cuts text into pieces.
pub fn scan(text: &str) -> Vec<Token> {
    let bytes = text.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let start = at;
        let (piece, end, closed) = match bytes[at] {
            b if b.is_ascii_whitespace() => {
                at += 1;
                continue;
            }
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                (Piece::Comment, text[at..].find('\n').map_or(bytes.len(), |n| at + n), true)
            }
            b'/' if bytes.get(at + 1) == Some(&b'*') => match text[at + 2..].find("*/") {
                Some(n) => (Piece::Comment, at + n + 4, true),
                None => (Piece::Comment, bytes.len(), false),
            },
            b'\'' => quoted(Piece::Text, bytes, at),
            b'`' | b'"' => quoted(Piece::Quoted, bytes, at),
            b';' => (Piece::End, at + 1, true),
            b if b.is_ascii_digit() => {
                (Piece::Number, run(bytes, at, |b| b.is_ascii_alphanumeric() || b == b'.'), true)
            }
            b if word_byte(b) => (Piece::Word, run(bytes, at, word_byte), true),
            _ => (Piece::Symbol, at + 1, true),
        };
        tokens.push(Token { piece, range: start..end, closed });
        at = end;
    }
    tokens
}

/// Quotes are doubled inside quotes.
fn quoted(piece: Piece, bytes: &[u8], start: usize) -> (Piece, usize, bool) {
    let quote = bytes[start];
    let mut at = start + 1;
    while at < bytes.len() {
        if bytes[at] == quote {
            if bytes.get(at + 1) != Some(&quote) {
                return (piece, at + 1, true);
            }
            at += 1;
        }
        at += 1;
    }
    (piece, bytes.len(), false)
}

fn run(bytes: &[u8], start: usize, belongs: impl Fn(u8) -> bool) -> usize {
    bytes[start..].iter().position(|b| !belongs(*b)).map_or(bytes.len(), |n| start + n)
}

fn word_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@' | b'$') || b >= 0x80
}

/// Statements of a script, each with its semicolon; the last one may lack it. Comments alone are no statement.
pub fn statements(text: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    let mut start = None;
    let mut end = 0;
    for token in scan(text) {
        match token.piece {
            Piece::Comment => continue,
            Piece::End => {
                if let Some(start) = start.take() {
                    out.push(start..token.range.end);
                }
            }
            _ => {
                start.get_or_insert(token.range.start);
                end = token.range.end;
            }
        }
    }
    out.extend(start.map(|start| start..end));
    out
}

/// Whether the text ends behind a semicolon, with nothing begun after it.
pub fn is_complete(text: &str) -> bool {
    let tokens = scan(text);
    let last = tokens.iter().rfind(|token| token.piece != Piece::Comment);
    tokens.iter().all(|token| token.closed) && last.is_none_or(|token| token.piece == Piece::End)
}

/// What the text still lacks, for a hint while typing.
pub fn missing(text: &str) -> Option<&'static str> {
    let tokens = scan(text);
    let significant = || tokens.iter().filter(|token| token.piece != Piece::Comment);
    match tokens.last() {
        None => return None,
        Some(token) if !token.closed => {
            return Some(match token.piece {
                Piece::Text => "'",
                Piece::Comment => "*/",
                _ if text.as_bytes()[token.range.start] == b'"' => "\"",
                _ => "`",
            });
        }
        Some(_) => {}
    }
    let mut open = Vec::new();
    for token in significant() {
        match &text[token.range.clone()] {
            "(" => open.push(")"),
            "[" => open.push("]"),
            ")" | "]" => drop(open.pop()),
            ";" => open.clear(),
            _ => {}
        }
    }
    match (open.pop(), significant().last()) {
        (Some(bracket), _) => Some(bracket),
        (None, Some(token)) if token.piece != Piece::End => Some(";"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cut(text: &str) -> Vec<&str> {
        statements(text).into_iter().map(|range| &text[range]).collect()
    }

    #[test]
    fn statements_end_at_semicolons_outside_quotes() {
        assert_eq!(
            cut("SELECT ';' FROM `a;b`; -- c;\n/* ; */ SHOW STREAMS ;\n;"),
            ["SELECT ';' FROM `a;b`;", "SHOW STREAMS ;"]
        );
        assert_eq!(cut("a; b -- rest"), ["a;", "b"]);
        assert_eq!(cut("'it''s; one'"), ["'it''s; one'"]);
        assert!(cut("-- nothing\n").is_empty());
    }

    #[test]
    fn completeness() {
        for text in ["", "  ", "a;", "a; -- more", "-- only a remark", "'x;y';"] {
            assert!(is_complete(text), "{text}");
        }
        for text in ["a", "a; b", "'x;", "/* ;", "a -- ;", "`a;"] {
            assert!(!is_complete(text), "{text}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        let cases = [("", None), ("a", Some(";")), ("a;", None), ("f(a", Some(")")), ("f(a[1", Some("]"))];
        for (text, lacks) in cases {
            assert_eq!(missing(text), lacks, "{text}");
        }
        assert_eq!(missing("'x"), Some("'"));
        assert_eq!(missing("/* x"), Some("*/"));
        assert_eq!(missing("`x"), Some("`"));
    }

    #[test]
    fn pieces() {
        let text = "SELECT é1, 'a' -- x";
        let pieces: Vec<_> = scan(text).into_iter().map(|token| (token.piece, &text[token.range])).collect();
        assert_eq!(
            pieces,
            [
                (Piece::Word, "SELECT"),
                (Piece::Word, "é1"),
                (Piece::Symbol, ","),
                (Piece::Text, "'a'"),
                (Piece::Comment, "-- x"),
            ]
        );
    }
}
