//! Text to tokens: `sqlparser`'s tokenizer under the KSQL dialect, its reading corrected where KSQL's differs.
//!
//! **Invariant:** scanning never fails and loses no byte: the spans of the tokens of a text cover it.

use sqlparser::dialect::Dialect;
use sqlparser::tokenizer::{Location, Token as Raw, Tokenizer, Whitespace};

use super::token::{Open, Token, TokenKind};

/// KSQL for `sqlparser`'s tokenizer.
#[derive(Debug)]
struct Ksql;

impl Dialect for Ksql {
    fn is_delimited_identifier_start(&self, ch: char) -> bool {
        ch == '`' || ch == '"'
    }

    fn is_identifier_start(&self, ch: char) -> bool {
        ch.is_ascii_alphabetic() || ch == '_'
    }

    fn is_identifier_part(&self, ch: char) -> bool {
        ch.is_ascii_alphanumeric() || ch == '_' || ch == '@'
    }

    fn supports_numeric_prefix(&self) -> bool {
        true
    }

    // Keeps `$` a token of one character instead of the start of a dollar-quoted string.
    fn supports_dollar_placeholder(&self) -> bool {
        true
    }
}

/// The tokens of `text`, spaces and comments included, without [`TokenKind::End`].
pub(super) fn scan(text: &str) -> Vec<Token> {
    let mut scan = Scan { text, tokens: Vec::new() };
    let mut start = 0;
    while let Some(next) = scan.run(start) {
        start = next;
    }
    scan.tokens
}

/// The tokens that the grammar sees, the last of them [`TokenKind::End`].
pub(super) fn significant(text: &str) -> Vec<Token> {
    let mut tokens = scan(text);
    tokens.retain(Token::is_significant);
    let end = tokens.last().map_or(text.len(), |token| token.span.end);
    tokens.push(Token::new(TokenKind::End, end, end));
    tokens
}

struct Scan<'a> {
    text: &'a str,
    tokens: Vec<Token>,
}

impl Scan<'_> {
    /// Tokenizes from byte `start`; where `sqlparser` would read something that KSQL reads otherwise, stops and returns
    /// where to go on.
    fn run(&mut self, start: usize) -> Option<usize> {
        let mut raw = Vec::new();
        let text = self.text;
        let rest = &text[start..];
        let result = Tokenizer::new(&Ksql, rest).tokenize_with_location_into_buf(&mut raw);
        let mut cursor = Cursor { rest, byte: 0, at: Location::new(1, 1) };
        for token in raw {
            let from = start + cursor.byte;
            cursor.advance(token.span.end);
            let to = start + cursor.byte;
            if let Some(resume) = self.take(token.token, from, to) {
                return Some(resume);
            }
        }
        match result {
            Ok(()) => None,
            Err(_) => self.after_failure(start + cursor.byte),
        }
    }

    fn push(&mut self, kind: TokenKind, start: usize, end: usize) {
        self.tokens.push(Token::new(kind, start, end));
    }

    fn word(&mut self, start: usize, end: usize) {
        self.push(TokenKind::Word(self.text[start..end].to_ascii_uppercase()), start, end);
    }

    fn take(&mut self, raw: Raw, start: usize, end: usize) -> Option<usize> {
        let source = &self.text[start..end];
        match raw {
            Raw::Whitespace(Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_)) => {
                self.push(TokenKind::Comment, start, end);
            }
            Raw::Whitespace(_) => self.push(TokenKind::Space, start, end),
            Raw::Word(word) => match word.quote_style {
                Some(quote) => self.push(TokenKind::Quoted(word.value, quote), start, end),
                None => self.plain(start, end),
            },
            Raw::Number(..) => self.plain(start, end),
            // `0x1f` is a name that begins with a digit.
            Raw::HexStringLiteral(_) if source.starts_with('0') => self.plain(start, end),
            // KSQL has no prefixed strings: `x'…'` is a name and a string. `sqlparser` honours backslashes in it.
            Raw::HexStringLiteral(_) => {
                self.word(start, start + 1);
                return Some(start + 1);
            }
            Raw::NationalStringLiteral(text) => {
                self.word(start, start + 1);
                self.push(TokenKind::String(text), start + 1, end);
            }
            Raw::SingleQuotedString(text) => self.push(TokenKind::String(text), start, end),
            // `||/*` is `||` and a comment.
            Raw::PGCubeRoot => {
                self.push(TokenKind::Symbol("||"), start, start + 2);
                return Some(start + 2);
            }
            Raw::ShiftRight => {
                self.push(TokenKind::Symbol(">"), start, start + 1);
                self.push(TokenKind::Symbol(">"), start + 1, end);
            }
            other => self.push(symbol(&other).map_or(TokenKind::Unknown, TokenKind::Symbol), start, end),
        }
        None
    }

    /// A word or a number, told apart by its text; joined to a word or number that touches it, as in `1e3x`.
    fn plain(&mut self, start: usize, end: usize) {
        let joined = match self.tokens.last() {
            Some(last) if last.span.end == start => match last.kind {
                TokenKind::Word(_) | TokenKind::Integer => true,
                TokenKind::Double => is_name(&self.text[last.span.start..last.span.end]),
                _ => false,
            },
            _ => false,
        };
        let start = if joined && is_name(&self.text[start..end]) {
            self.tokens.pop().map_or(start, |last| last.span.start)
        } else {
            start
        };
        let source = &self.text[start..end];
        let number = number_length(source);
        if number == 0 || (number < source.len() && is_name(source)) {
            self.word(start, end);
            return;
        }
        let digits = &source[..number];
        let kind = if digits.contains(['e', 'E']) {
            TokenKind::Double
        } else if digits.contains('.') {
            TokenKind::Decimal
        } else {
            TokenKind::Integer
        };
        self.push(kind, start, start + number);
        if number < source.len() {
            self.word(start + number, end);
        }
    }

    /// The tokenizer gave up on what begins at `start`.
    fn after_failure(&mut self, start: usize) -> Option<usize> {
        let first = self.text[start..].chars().next()?;
        let open = match first {
            '\'' => Open::String,
            '`' | '"' => Open::Name,
            '/' => Open::Comment,
            // Before an underscore, `sqlparser` accepts a point only directly after a word.
            '.' => {
                self.push(TokenKind::Symbol("."), start, start + 1);
                return Some(start + 1);
            }
            // The letter of an unterminated `x'…` or `n'…`.
            letter if letter.is_ascii_alphabetic() => {
                self.word(start, start + 1);
                return Some(start + 1);
            }
            other => {
                let end = start + other.len_utf8();
                self.push(TokenKind::Unknown, start, end);
                return Some(end);
            }
        };
        self.push(TokenKind::Open(open), start, self.text.len());
        None
    }
}

fn is_name(source: &str) -> bool {
    source.chars().all(|c| Ksql.is_identifier_part(c))
}

/// Length of the number at the start of `source`: `12`, `1.`, `.5`, `1e3`, `1.5E-3`; 0 without one.
fn number_length(source: &str) -> usize {
    let bytes = source.as_bytes();
    let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
    let whole = digits(0);
    let mut length = whole;
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if whole + fraction == 0 {
            return 0;
        }
        length += 1 + fraction;
    }
    if length > 0 && matches!(bytes.get(length), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(length + 1), Some(b'+' | b'-')));
        let from = (length + 1 + sign).min(bytes.len());
        let exponent = digits(from);
        if exponent > 0 {
            length = from + exponent;
        }
    }
    length
}

fn symbol(raw: &Raw) -> Option<&'static str> {
    Some(match raw {
        Raw::Comma => ",",
        Raw::SemiColon => ";",
        Raw::LParen => "(",
        Raw::RParen => ")",
        Raw::LBracket => "[",
        Raw::RBracket => "]",
        Raw::Period => ".",
        Raw::Eq => "=",
        Raw::Neq => "<>",
        Raw::Lt => "<",
        Raw::LtEq => "<=",
        Raw::Gt => ">",
        Raw::GtEq => ">=",
        Raw::Plus => "+",
        Raw::Minus => "-",
        Raw::Mul => "*",
        Raw::Div => "/",
        Raw::Mod => "%",
        Raw::StringConcat => "||",
        Raw::Arrow => "->",
        Raw::RArrow => "=>",
        Raw::Assignment => ":=",
        _ => return None,
    })
}

/// Turns the tokenizer's lines and columns (of characters) into bytes, moving only forward.
struct Cursor<'a> {
    rest: &'a str,
    byte: usize,
    at: Location,
}

impl Cursor<'_> {
    fn advance(&mut self, to: Location) {
        let mut chars = self.rest[self.byte..].chars();
        while self.at < to {
            let Some(c) = chars.next() else { break };
            self.byte += c.len_utf8();
            self.at = match c {
                '\n' => Location::new(self.at.line + 1, 1),
                _ => Location::new(self.at.line, self.at.column + 1),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<(TokenKind, &str)> {
        scan(text)
            .into_iter()
            .filter(Token::is_significant)
            .map(|t| (t.kind, &text[t.span.start..t.span.end]))
            .collect()
    }

    fn word(text: &str) -> TokenKind {
        TokenKind::Word(text.to_string())
    }

    #[test]
    fn spans_are_bytes() {
        let text = "SELECT 'é\nü' , /* ß */ `ñ`\r\n  x";
        let found: Vec<&str> = words(text).into_iter().map(|(_, source)| source).collect();
        assert_eq!(found, ["SELECT", "'é\nü'", ",", "`ñ`", "x"]);
    }

    #[test]
    fn names_and_numbers() {
        assert_eq!(
            words("1e3x 12abc 0x1fg a1@b _c"),
            [
                (word("1E3X"), "1e3x"),
                (word("12ABC"), "12abc"),
                (word("0X1FG"), "0x1fg"),
                (word("A1@B"), "a1@b"),
                (word("_C"), "_c"),
            ]
        );
        assert_eq!(
            words("1 1.0 .5 1. 1e3 1.5E-3 1.0abc"),
            [
                (TokenKind::Integer, "1"),
                (TokenKind::Decimal, "1.0"),
                (TokenKind::Decimal, ".5"),
                (TokenKind::Decimal, "1."),
                (TokenKind::Double, "1e3"),
                (TokenKind::Double, "1.5E-3"),
                (TokenKind::Decimal, "1.0"),
                (word("ABC"), "abc"),
            ]
        );
        assert_eq!(
            words("a.1b a ._x"),
            [
                (word("A"), "a"),
                (TokenKind::Symbol("."), "."),
                (word("1B"), "1b"),
                (word("A"), "a"),
                (TokenKind::Symbol("."), "."),
                (word("_X"), "_x"),
            ]
        );
    }

    #[test]
    fn strings_and_quoted_names() {
        assert_eq!(
            words(r"'it''s' 'a\' `a``b` "),
            [
                (TokenKind::String("it's".into()), "'it''s'"),
                (TokenKind::String("a\\".into()), r"'a\'"),
                (TokenKind::Quoted("a`b".into(), '`'), "`a``b`"),
            ]
        );
        assert_eq!(
            words(r"x'a\' n'b'"),
            [
                (word("X"), "x"),
                (TokenKind::String("a\\".into()), r"'a\'"),
                (word("N"), "n"),
                (TokenKind::String("b".into()), "'b'"),
            ]
        );
    }

    #[test]
    fn operators() {
        let found: Vec<&str> = words("a->b=>c:=d||/* x */e>>f!=g").into_iter().map(|(_, source)| source).collect();
        assert_eq!(found, ["a", "->", "b", "=>", "c", ":=", "d", "||", "e", ">", ">", "f", "!=", "g"]);
    }

    #[test]
    fn what_is_open_reaches_to_the_end() {
        for (text, open) in [("a 'b", Open::String), ("a \"b", Open::Name), ("a /* b", Open::Comment)] {
            assert_eq!(words(text)[1], (TokenKind::Open(open), &text[2..]));
        }
        assert_eq!(words("x'b")[1], (TokenKind::Open(Open::String), "'b"));
    }
}
