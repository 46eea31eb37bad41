//! [`Assist`]: what the line editor asks while one types: is it complete, what could follow, how does it look.

use std::borrow::Cow;

use rustyline::completion::Completer;
use rustyline::error::ReadlineError;
use rustyline::highlight::{CmdKind, Highlighter};
use rustyline::hint::Hinter;
use rustyline::validate::{ValidationContext, ValidationResult, Validator};
use rustyline::{Context, Helper};

use super::shell::{COMMANDS, is_command};
use super::theme::{Label, Theme};
use crate::sql::{self, Class, KEYWORDS, Open};

/// The line editor's helper.
#[derive(Debug)]
pub struct Assist {
    theme: Theme,
    /// Sources, columns, functions, topics.
    pub names: Vec<String>,
}

impl Assist {
    /// A helper that knows these names.
    pub fn new(theme: Theme, names: Vec<String>) -> Self {
        Self { theme, names }
    }

    /// Where the word before `at` begins, and what it could become.
    pub fn candidates(&self, line: &str, at: usize) -> (usize, Vec<String>) {
        let before = &line[..at];
        let tokens = sql::lexer(before);
        // Inside quotes or right behind a blank nothing is offered: the list would be everything.
        let word = match tokens.last() {
            Some((span, Class::Keyword | Class::Identifier)) if span.end == at => span.start,
            _ => return (at, Vec::new()),
        };
        let typed = &before[word..];
        if typed.starts_with(['`', '"']) {
            return (at, Vec::new());
        }
        let upper = typed.to_uppercase();
        let mut found: Vec<String> = Vec::new();
        if tokens.len() == 1 && line.trim_start().len() == line.len() {
            found.extend(COMMANDS.iter().filter(|c| c.to_uppercase().starts_with(&upper)).map(|c| (*c).to_owned()));
        }
        let words = KEYWORDS.iter().map(|word| (*word).to_owned()).chain(self.names.iter().cloned());
        for word in words.filter(|word| word.len() >= typed.len() && word.to_uppercase().starts_with(&upper)) {
            let plain = word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            // Who types in lower case goes on in lower case: unquoted names mean the same either way.
            found.push(if plain && typed == typed.to_lowercase() { word.to_lowercase() } else { word });
        }
        found.sort();
        found.dedup();
        (word, found)
    }

    /// The line in colours.
    pub fn painted(&self, line: &str) -> String {
        let mut out = String::with_capacity(line.len() * 2);
        let mut at = 0;
        for (span, class) in sql::lexer(line) {
            out.push_str(&line[at..span.start]);
            let text = &line[span.start..span.end];
            let label = match class {
                Class::Keyword => Label::Keyword,
                Class::String => Label::Text,
                Class::Number => Label::Number,
                Class::Comment => Label::Quiet,
                Class::Unknown => Label::Bad,
                Class::Identifier | Class::Operator => Label::Plain,
            };
            out.push_str(&self.theme.paint(label, text));
            at = span.end;
        }
        out.push_str(&line[at..]);
        out
    }
}

/// Whether Enter runs what was typed, rather than opening the next line.
pub fn runs(text: &str) -> bool {
    is_command(text) || sql::split_statements(text).last().is_none_or(|piece| piece.terminated)
}

/// What the text still lacks, for a hint while typing.
fn missing(text: &str) -> Option<&'static str> {
    let pieces = sql::split_statements(text);
    let last = pieces.last().filter(|piece| !piece.terminated)?;
    match last.open {
        Some(Open::String) => return Some("'"),
        Some(Open::Comment) => return Some("*/"),
        Some(Open::Name) => return Some("closing quote"),
        None => {}
    }
    let begun = &text[last.span.start..last.span.end];
    let mut open = Vec::new();
    for (span, _) in sql::lexer(begun).into_iter().filter(|(_, class)| *class == Class::Operator) {
        match &begun[span.start..span.end] {
            "(" => open.push(")"),
            "[" => open.push("]"),
            ")" | "]" => drop(open.pop()),
            _ => {}
        }
    }
    Some(open.pop().unwrap_or(";"))
}

impl Helper for Assist {}

impl Validator for Assist {
    fn validate(&self, cx: &mut ValidationContext<'_>) -> Result<ValidationResult, ReadlineError> {
        Ok(if runs(cx.input()) { ValidationResult::Valid(None) } else { ValidationResult::Incomplete })
    }
}

impl Completer for Assist {
    type Candidate = String;

    fn complete(&self, line: &str, at: usize, _: &Context<'_>) -> Result<(usize, Vec<String>), ReadlineError> {
        Ok(self.candidates(line, at))
    }
}

impl Hinter for Assist {
    type Hint = String;

    fn hint(&self, line: &str, at: usize, _: &Context<'_>) -> Option<String> {
        if at < line.len() || line.trim().is_empty() || runs(line) {
            return None;
        }
        missing(line).map(|lacks| format!("  {lacks}"))
    }
}

impl Highlighter for Assist {
    fn highlight<'l>(&self, line: &'l str, _: usize) -> Cow<'l, str> {
        if self.theme.is_plain() { Cow::Borrowed(line) } else { Cow::Owned(self.painted(line)) }
    }

    fn highlight_prompt<'b, 's: 'b, 'p: 'b>(&'s self, prompt: &'p str, _: bool) -> Cow<'b, str> {
        Cow::Owned(self.theme.paint(Label::Name, prompt))
    }

    fn highlight_hint<'h>(&self, hint: &'h str) -> Cow<'h, str> {
        Cow::Owned(self.theme.paint(Label::Quiet, hint))
    }

    fn highlight_char(&self, _: &str, _: usize, kind: CmdKind) -> bool {
        kind != CmdKind::MoveCursor && !self.theme.is_plain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assist() -> Assist {
        Assist::new(Theme::ansi(), vec!["ORDERS".into(), "ORDER_ID".into(), "mixedCase".into(), "UCASE".into()])
    }

    #[test]
    fn enter_runs_complete_statements_and_commands_only() {
        for text in ["SELECT 1;", "help", "output csv", "", "a; b;", "-- remark"] {
            assert!(runs(text), "{text}");
        }
        for text in ["SELECT 1", "SELECT ';", "help me", "a; b"] {
            assert!(!runs(text), "{text}");
        }
    }

    #[test]
    fn says_what_is_missing() {
        let cases = [("", None), ("a", Some(";")), ("a;", None), ("f(a", Some(")")), ("f(a[1", Some("]"))];
        for (text, lacks) in cases.into_iter().chain([("'x", Some("'")), ("a /* x", Some("*/")), ("a; f(", Some(")"))])
        {
            assert_eq!(missing(text), lacks, "{text}");
        }
    }

    #[test]
    fn completion_follows_the_case_typed() {
        let assist = assist();
        assert_eq!(
            assist.candidates("SELECT ORDER", 12),
            (7, ["ORDER", "ORDERS", "ORDER_ID"].map(String::from).into())
        );
        assert_eq!(assist.candidates("select orders", 13), (7, vec!["orders".to_owned()]));
        assert_eq!(assist.candidates("select mix", 10), (7, vec!["mixedCase".to_owned()]));
        assert_eq!(assist.candidates("he", 2), (0, vec!["header".into(), "headers".into(), "help".into()]));
        assert_eq!(assist.candidates("SELECT 'or", 10).1, Vec::<String>::new());
        assert_eq!(assist.candidates("SELECT ", 7).1, Vec::<String>::new());
    }

    #[test]
    fn painting_changes_nothing_but_colours() {
        let line = "SELECT e, 'x' FROM orders -- all";
        let painted = assist().painted(line);
        assert!(painted.starts_with("\x1b[1;34mSELECT\x1b[0m e, \x1b[32m'x'"));
        let mut plain = painted.replace("\x1b[0m", "");
        for code in ["1;34", "32", "2"] {
            plain = plain.replace(&format!("\x1b[{code}m"), "");
        }
        assert_eq!(plain, line);
    }
}
