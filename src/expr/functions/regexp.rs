//! Regular expressions with Java's meaning, compiled once per distinct pattern.
//!
//! > KSQL: `\d`, `\w` and `\s` know ASCII only; look-around and back-references work.

use fancy_regex::{Regex, RegexBuilder};

use super::cell::{Cache, Cell, View, string};
use super::declare::{Function, RowFn};
use crate::types::Value;

const REGEXP: &str = "REGULAR EXPRESSION";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::scalar(
            "REGEXP_EXTRACT",
            REGEXP,
            "The first part of the text that the pattern matches, or what a group of it (0 for the whole) \
             took. NULL when nothing matches, the group does not exist or an argument is NULL; malformed \
             patterns are an error.",
        )
        .example("REGEXP_EXTRACT('([a-z]+)-([0-9]+)', 'order-42', 2) -> '42'")
        .strict_with("(pattern STRING, text STRING) -> STRING", |_| with_pattern(0, extract))
        .strict_with("(pattern STRING, text STRING, group INT) -> STRING", |_| with_pattern(0, extract)),
        Function::scalar(
            "REGEXP_EXTRACT_ALL",
            REGEXP,
            "Every part of the text that the pattern matches, or what a group of it took each time. NULL when \
             the group does not exist or an argument is NULL; malformed patterns are an error.",
        )
        .example("REGEXP_EXTRACT_ALL('a.', 'ab ac') -> ['ab', 'ac']")
        .strict_with("(pattern STRING, text STRING) -> ARRAY<STRING>", |_| with_pattern(0, extract_all))
        .strict_with("(pattern STRING, text STRING, group INT) -> ARRAY<STRING>", |_| with_pattern(0, extract_all)),
        Function::scalar(
            "REGEXP_REPLACE",
            REGEXP,
            "The text with every match of the pattern replaced; `$1` in the replacement is what the first \
             group took. NULL if an argument is; malformed patterns are an error.",
        )
        .example("REGEXP_REPLACE('a1b22', '[0-9]+', '#') -> 'a#b#'")
        .strict_with("(text STRING, pattern STRING, replacement STRING) -> STRING", |_| with_pattern(1, replace)),
        Function::scalar(
            "REGEXP_SPLIT_TO_ARRAY",
            REGEXP,
            "The pieces between the matches of the pattern; the single characters when it is empty. NULL if an \
             argument is; malformed patterns are an error.",
        )
        .example("REGEXP_SPLIT_TO_ARRAY('a1b22c', '[0-9]+') -> ['a', 'b', 'c']")
        .strict_with("(text STRING, pattern STRING) -> ARRAY<STRING>", |_| with_pattern(1, split)),
    ]
}

fn with_pattern(at: usize, f: fn(&Regex, &[Value]) -> Cell) -> RowFn {
    let cache = Cache::new(java_regex);
    Box::new(move |args| f(&*cache.get(args[at].text())?, args))
}

/// A regular expression as Java reads it.
pub(crate) fn java_regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(&ascii_classes(pattern)).build().map_err(|e| format!("bad regular expression '{pattern}': {e}"))
}

/// Java's shorthand classes are ASCII, Rust's Unicode: spells them out.
fn ascii_classes(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len());
    let mut chars = pattern.chars();
    let mut depth = 0usize;
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                let Some(escaped) = chars.next() else {
                    out.push('\\');
                    break;
                };
                match (escaped, depth > 0) {
                    ('d', false) => out.push_str("[0-9]"),
                    ('d', true) => out.push_str("0-9"),
                    ('D', _) => out.push_str("[^0-9]"),
                    ('w', false) => out.push_str("[0-9A-Za-z_]"),
                    ('w', true) => out.push_str("0-9A-Za-z_"),
                    ('W', _) => out.push_str("[^0-9A-Za-z_]"),
                    ('s', false) => out.push_str("[ \\t\\n\\x0B\\f\\r]"),
                    ('s', true) => out.push_str(" \\t\\n\\x0B\\f\\r"),
                    ('S', _) => out.push_str("[^ \\t\\n\\x0B\\f\\r]"),
                    // \Q…\E quotes.
                    ('Q', false) => {
                        let rest = chars.as_str();
                        let (quoted, after) = rest.split_once("\\E").unwrap_or((rest, ""));
                        out.push_str(&regex::escape(quoted));
                        chars = after.chars();
                    }
                    _ => {
                        out.push('\\');
                        out.push(escaped);
                    }
                }
            }
            '[' => {
                depth += 1;
                out.push(c);
            }
            ']' => {
                depth = depth.saturating_sub(1);
                out.push(c);
            }
            _ => out.push(c),
        }
    }
    out
}

/// The group asked for, unless the pattern has not that many.
fn group(regex: &Regex, args: &[Value]) -> Option<usize> {
    let group = args.get(2).map_or(0, View::int);
    usize::try_from(group).ok().filter(|group| *group < regex.captures_len())
}

fn extract(regex: &Regex, args: &[Value]) -> Cell {
    let Some(group) = group(regex, args) else { return Ok(Value::Null) };
    let captures = regex.captures(args[1].text()).map_err(|e| e.to_string())?;
    let found = captures.and_then(|captures| captures.get(group).map(|m| m.as_str().to_owned()));
    Ok(found.map_or(Value::Null, Value::String))
}

fn extract_all(regex: &Regex, args: &[Value]) -> Cell {
    let Some(group) = group(regex, args) else { return Ok(Value::Null) };
    let mut found = Vec::new();
    for captures in regex.captures_iter(args[1].text()) {
        let captures = captures.map_err(|e| e.to_string())?;
        found.push(captures.get(group).map_or(Value::Null, |m| Value::String(m.as_str().to_owned())));
    }
    Ok(Value::Array(found))
}

fn replace(regex: &Regex, args: &[Value]) -> Cell {
    let (text, replacement) = (args[0].text(), args[2].text());
    let mut out = String::with_capacity(text.len());
    let mut end = 0;
    for captures in regex.captures_iter(text) {
        let captures = captures.map_err(|e| e.to_string())?;
        let Some(whole) = captures.get(0) else { continue };
        out.push_str(&text[end..whole.start()]);
        expand(&captures, replacement, &mut out)?;
        end = whole.end();
    }
    out.push_str(&text[end..]);
    string(out)
}

/// Java's replacement text: `$n` and `${name}` are groups, a backslash makes the next character plain.
fn expand(captures: &fancy_regex::Captures<str>, replacement: &str, out: &mut String) -> Result<(), String> {
    let mut chars = replacement.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\\' => out.push(chars.next().ok_or("the replacement ends with a lone backslash")?),
            '$' if chars.peek() == Some(&'{') => {
                let name: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                out.push_str(captures.name(&name).map_or("", |m| m.as_str()));
            }
            '$' => {
                let digit = chars.next().and_then(|c| c.to_digit(10)).ok_or("a group number must follow $")?;
                let mut number = digit as usize;
                if number >= captures.len() {
                    return Err(format!("the pattern has no group {number}"));
                }
                // Further digits belong to the number as long as there is such a group.
                while let Some(next) = chars.peek().and_then(|c| c.to_digit(10)) {
                    let longer = number * 10 + next as usize;
                    if longer >= captures.len() {
                        break;
                    }
                    number = longer;
                    chars.next();
                }
                out.push_str(captures.get(number).map_or("", |m| m.as_str()));
            }
            _ => out.push(c),
        }
    }
    Ok(())
}

fn split(regex: &Regex, args: &[Value]) -> Cell {
    let (text, pattern) = (args[0].text(), args[1].text());
    if pattern.is_empty() && !text.is_empty() {
        return Ok(Value::Array(text.chars().map(|c| Value::String(c.into())).collect()));
    }
    let (mut parts, mut end) = (Vec::new(), 0);
    for found in regex.find_iter(text) {
        let found = found.map_err(|e| e.to_string())?;
        // As Java's splitters: an empty match splits only inside the text.
        if found.start() == found.end() && (found.start() == 0 || found.start() == text.len()) {
            continue;
        }
        parts.push(Value::String(text[end..found.start()].to_owned()));
        end = found.end();
    }
    parts.push(Value::String(text[end..].to_owned()));
    Ok(Value::Array(parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_what_java_means() {
        assert_eq!(ascii_classes(r"[\w-]+\d\\d"), r"[0-9A-Za-z_-]+[0-9]\\d");
        assert_eq!(ascii_classes(r"\Qa.b\E\d"), r"a\.b[0-9]");
        assert_eq!(java_regex(r"\d").expect("a pattern").is_match("٣").ok(), Some(false));
        assert_eq!(java_regex(r"(?<=a)b").expect("a pattern").is_match("ab").ok(), Some(true));
        assert!(java_regex("(").is_err());
    }
}
