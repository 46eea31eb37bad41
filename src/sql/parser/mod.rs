//! The grammar: recursive descent over tokens, precedence climbing for expressions.
//!
//! **Invariant:** never panics, whatever the text: nesting and the height of expressions are bounded, so that neither
//! parsing nor any later walk over the tree can overflow the stack.

mod expr;
mod query;
mod statement;
mod types;

use super::ast::{Name, Statement};
use super::dialect::significant;
use super::keywords::{is_leading, is_reserved};
use super::token::{Open, Token, TokenKind};
use crate::error::{Error, Result, Span, did_you_mean};

/// How deep brackets, calls and types may be nested: about 1 MB of stack in a debug build.
const MAX_NESTING: usize = 100;

/// How high the tree of an expression may grow, chains of operators included.
const MAX_HEIGHT: usize = 500;

/// Reserved words before which a comma cannot be meant.
const ENDERS: [&str; 8] = ["AS", "END", "FROM", "GROUP", "HAVING", "SELECT", "WHERE", "WITH"];

/// A place in the tokens of a text.
pub(super) struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    pos: usize,
    depth: usize,
    /// Height of the tallest expression parsed since somebody set it to 0.
    tallest: usize,
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self { text, tokens: significant(text), pos: 0, depth: 0, tallest: 0 }
    }

    /// Every statement, separated by semicolons.
    pub(super) fn script(&mut self) -> Result<Vec<Statement>> {
        let mut statements = Vec::new();
        loop {
            while self.eat_symbol(";") {}
            if self.at_end() {
                return Ok(statements);
            }
            statements.push(self.statement()?);
            if !self.at_end() && !self.at_symbol(";") {
                return Err(self.unfinished());
            }
        }
    }

    /// Exactly one statement, with or without a semicolon.
    pub(super) fn single(&mut self) -> Result<Statement> {
        let statement = self.statement()?;
        while self.eat_symbol(";") {}
        if self.at_end() { Ok(statement) } else { Err(self.unfinished()) }
    }

    /// The text must end here.
    pub(super) fn end(&mut self) -> Result<()> {
        if self.at_end() { Ok(()) } else { Err(self.expected("the end of the text")) }
    }

    fn token(&self) -> &Token {
        &self.tokens[self.pos]
    }

    fn token_at(&self, ahead: usize) -> &Token {
        &self.tokens[(self.pos + ahead).min(self.tokens.len() - 1)]
    }

    fn advance(&mut self) -> Token {
        let token = self.tokens[self.pos].clone();
        if self.pos + 1 < self.tokens.len() {
            self.pos += 1;
        }
        token
    }

    fn at_end(&self) -> bool {
        self.token().kind == TokenKind::End
    }

    /// First byte of the next token.
    fn start(&self) -> usize {
        self.token().span.start
    }

    /// From `start` to the end of the last token taken.
    fn span_from(&self, start: usize) -> Span {
        let end = if self.pos == 0 { start } else { self.tokens[self.pos - 1].span.end };
        Span::new(start, end.max(start))
    }

    fn source(&self, span: Span) -> &'a str {
        &self.text[span.start..span.end]
    }

    fn word_at(&self, ahead: usize) -> Option<&str> {
        match &self.token_at(ahead).kind {
            TokenKind::Word(word) => Some(word),
            _ => None,
        }
    }

    fn is_symbol(&self, ahead: usize, symbol: &str) -> bool {
        matches!(self.token_at(ahead).kind, TokenKind::Symbol(s) if s == symbol)
    }

    fn at(&self, word: &str) -> bool {
        self.word_at(0) == Some(word)
    }

    fn at_all(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(i, word)| self.word_at(i) == Some(word))
    }

    fn at_symbol(&self, symbol: &str) -> bool {
        self.is_symbol(0, symbol)
    }

    fn eat(&mut self, word: &str) -> bool {
        self.eat_all(&[word])
    }

    fn eat_all(&mut self, words: &[&str]) -> bool {
        let found = self.at_all(words);
        if found {
            words.iter().for_each(|_| drop(self.advance()));
        }
        found
    }

    fn eat_symbol(&mut self, symbol: &str) -> bool {
        let found = self.at_symbol(symbol);
        if found {
            self.advance();
        }
        found
    }

    fn expect(&mut self, word: &str) -> Result<()> {
        if self.eat(word) { Ok(()) } else { Err(self.expected_words(&[word])) }
    }

    fn expect_symbol(&mut self, symbol: &str) -> Result<()> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("`{symbol}`"))) }
    }

    /// `item, item, …`
    fn list<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = vec![item(self)?];
        while self.eat_symbol(",") {
            items.push(item(self)?);
        }
        Ok(items)
    }

    /// `(item, item, …)`
    fn bracketed<T>(&mut self, item: impl Fn(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        self.expect_symbol("(")?;
        let items = self.list(item)?;
        self.expect_closing(")")?;
        Ok(items)
    }

    fn expect_closing(&mut self, symbol: &str) -> Result<()> {
        if self.eat_symbol(symbol) { Ok(()) } else { Err(self.expected(&format!("`,` or `{symbol}`"))) }
    }

    /// Whether a name stands `ahead` tokens further.
    fn is_name(&self, ahead: usize) -> bool {
        match &self.token_at(ahead).kind {
            TokenKind::Word(word) => !is_reserved(word),
            TokenKind::Quoted(..) => true,
            _ => false,
        }
    }

    fn name(&mut self, what: &str) -> Result<Name> {
        let span = self.token().span;
        match &self.token().kind {
            TokenKind::Quoted(text, _) if text.is_empty() => {
                Err(Error::syntax(format!("expected {what}, found an empty name")).at(span))
            }
            TokenKind::Word(text) | TokenKind::Quoted(text, _) if self.is_name(0) => {
                let name = Name::new(text, span);
                self.advance();
                Ok(name)
            }
            _ => Err(self.expected(what)),
        }
    }

    /// A name whose case counts as written, quoted or not, or a string: topics and subjects.
    fn resource(&mut self, what: &str) -> Result<Name> {
        let token = self.token().clone();
        let text = match &token.kind {
            TokenKind::Word(word) if !is_reserved(word) => self.source(token.span).to_string(),
            TokenKind::String(text) if !text.is_empty() => text.clone(),
            _ => return self.name(what),
        };
        self.advance();
        Ok(Name::new(text, token.span))
    }

    fn string(&mut self, what: &str) -> Result<String> {
        match &self.token().kind {
            TokenKind::String(text) => {
                let text = text.clone();
                self.advance();
                Ok(text)
            }
            TokenKind::Quoted(text, _) => {
                let hint = format!("Strings stand in single quotes: {}.", super::print::literal(text));
                Err(self.expected(what).hint(hint))
            }
            _ => Err(self.expected(what)),
        }
    }

    fn unsigned(&mut self, what: &str) -> Result<u64> {
        let token = self.token().clone();
        if token.kind != TokenKind::Integer {
            return Err(self.expected(what));
        }
        let number = self.source(token.span).parse();
        self.advance();
        number.map_err(|_| out_of_range(self.source(token.span), token.span))
    }

    /// Runs `f` one level deeper.
    fn nested<T>(&mut self, f: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_NESTING {
            return Err(Error::syntax("nested too deeply").at(self.token().span));
        }
        self.depth += 1;
        let result = f(self);
        self.depth -= 1;
        result
    }

    /// `expected {what}, found …`, with the hints that the found token suggests.
    fn expected(&self, what: &str) -> Error {
        let token = self.token();
        let source = self.source(token.span);
        let error = match &token.kind {
            TokenKind::Open(open) => return unterminated(*open, token.span),
            TokenKind::Unknown => {
                let error = Error::syntax(format!("unexpected `{source}`")).at(token.span);
                return match unknown_hint(source) {
                    Some(hint) => error.hint(hint),
                    None => error,
                };
            }
            _ => Error::syntax(format!("expected {what}, found {}", describe(&token.kind, source))).at(token.span),
        };
        let after_comma = self.pos > 0 && matches!(self.tokens[self.pos - 1].kind, TokenKind::Symbol(","));
        match &token.kind {
            TokenKind::Word(word) if after_comma && ENDERS.contains(&word.as_str()) => {
                error.hint(format!("Remove the comma before {word}."))
            }
            TokenKind::Word(word) if what.contains("name") && !what.contains("type") && is_reserved(word) => {
                error.hint(format!("{word} is a reserved word; quote it to use it as a name: `{word}`."))
            }
            TokenKind::Symbol(")") | TokenKind::End if after_comma => error.hint("Remove the comma at the end."),
            TokenKind::Symbol(";") if self.depth > 0 => error.hint("A bracket may be missing before the semicolon."),
            _ => error,
        }
    }

    /// One of `words` was expected.
    fn expected_words(&self, words: &[&str]) -> Error {
        let what = match words {
            [only] => (*only).to_string(),
            [init @ .., last] => format!("{} or {last}", init.join(", ")),
            [] => "a keyword".to_string(),
        };
        let error = self.expected(&what);
        match self.word_at(0).and_then(|word| did_you_mean(word, words.iter().copied())) {
            Some(near) if !self.at(near) => error.hint(format!("Did you mean {near}?")),
            _ => error,
        }
    }

    /// A statement was understood but something follows it.
    fn unfinished(&self) -> Error {
        let error = self.expected("the end of the statement");
        let Some(word) = self.word_at(0) else { return error };
        let clauses = ["FROM", "WINDOW", "WHERE", "GROUP", "PARTITION", "HAVING", "ORDER", "EMIT", "LIMIT"];
        if clauses.contains(&word) {
            error.hint(
                "The clauses of a query stand in this order: SELECT, FROM, WINDOW, WHERE, GROUP BY, PARTITION BY, \
                 HAVING, ORDER BY, EMIT, LIMIT.",
            )
        } else if is_leading(word) {
            error.hint(format!("Put a semicolon between statements: before {word}."))
        } else if word == "UNION" {
            error.hint("There is no UNION: write both queries into one stream with INSERT INTO.")
        } else if let Some(near) = did_you_mean(word, clauses) {
            error.hint(format!("Did you mean {near}?"))
        } else {
            self.after_misspelt(error, &clauses)
        }
    }

    /// Adds a hint when the word just taken, as an alias, looks like one of `words`.
    fn after_misspelt(&self, error: Error, words: &[&str]) -> Error {
        let before = self.pos.checked_sub(1).map(|pos| &self.tokens[pos].kind);
        match before {
            Some(TokenKind::Word(word)) => match did_you_mean(word, words.iter().copied()) {
                Some(near) if near != word => error.hint(format!("Did you mean {near} instead of {word}?")),
                _ => error,
            },
            _ => error,
        }
    }
}

fn out_of_range(source: &str, span: Span) -> Error {
    Error::syntax(format!("number {source} is out of range")).at(span)
}

fn unterminated(open: Open, span: Span) -> Error {
    let (what, length, hint) = match open {
        Open::String => ("unterminated string", 1, "A string ends with a single quote; a quote inside it is doubled."),
        Open::Name => ("unterminated quoted name", 1, "A quoted name ends with the quote it began with."),
        Open::Comment => ("unterminated comment", 2, "A comment that begins with /* ends with */."),
    };
    Error::syntax(what).at(Span::new(span.start, (span.start + length).min(span.end))).hint(hint)
}

fn unknown_hint(source: &str) -> Option<&'static str> {
    Some(match source {
        "==" => "Equality is written with one `=`.",
        "::" => "Types are changed with CAST(x AS type).",
        "!" | "!!" => "Negation is written NOT.",
        "&&" => "Write AND.",
        "<=>" => "Write IS NOT DISTINCT FROM.",
        s if s.starts_with('$') => "A variable is written ${name} and is given its value by DEFINE.",
        s if s.chars().all(char::is_alphabetic) => "A name with such letters has to be quoted with backquotes.",
        _ => return None,
    })
}

fn describe(kind: &TokenKind, source: &str) -> String {
    match kind {
        TokenKind::End => "the end of the text".to_string(),
        TokenKind::String(_) => format!("string {}", short(source)),
        TokenKind::Integer | TokenKind::Decimal | TokenKind::Double => format!("number {}", short(source)),
        _ => format!("`{}`", short(source)),
    }
}

fn short(source: &str) -> String {
    match source.char_indices().nth(30) {
        Some((end, _)) => format!("{}…", &source[..end]),
        None => source.to_string(),
    }
}
