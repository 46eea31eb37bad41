//! `LIKE`: a pattern of `%` and `_` over the whole text.
//!
//! > KSQL: wildcards do not match line ends, and nothing escapes them unless ESCAPE is written.

use std::fmt::Write;

use arrow::array::{Array, AsArray, BooleanArray};
use regex::Regex;

use super::{Cells, Failures};

/// A compiled pattern.
#[derive(Debug)]
pub struct LikePattern {
    regex: Regex,
}

impl LikePattern {
    /// Compiles `pattern`.
    pub fn new(pattern: &str, escape: Option<char>) -> Result<Self, String> {
        const ANY: &str = r"[^\n\r\x{85}\x{2028}\x{2029}]";
        let mut text = String::from(r"\A");
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            match c {
                _ if Some(c) == escape => {
                    let next =
                        chars.next().ok_or_else(|| format!("the pattern '{pattern}' ends in its escape character"))?;
                    text.push_str(&regex::escape(next.encode_utf8(&mut [0; 4])));
                }
                '%' => {
                    let _ = write!(text, "{ANY}*");
                }
                '_' => text.push_str(ANY),
                _ => text.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
            }
        }
        text.push_str(r"\z");
        let regex = Regex::new(&text).map_err(|error| format!("the pattern '{pattern}' is too long: {error}"))?;
        Ok(Self { regex })
    }

    /// Whether all of `text` matches.
    pub fn matches(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }
}

/// `cells LIKE pattern`; NULL on either side is false.
pub(super) fn like(
    cells: &Cells,
    pattern: &Cells,
    escape: Option<char>,
    compiled: Option<&LikePattern>,
    len: usize,
    failures: &mut Failures,
) -> BooleanArray {
    let (texts, patterns) = (cells.array().as_string::<i32>(), pattern.array().as_string::<i32>());
    let mut last: Option<(&str, Result<LikePattern, String>)> = None;
    let result = (0..len).map(|row| {
        let (i, j) = (cells.at(row), pattern.at(row));
        if texts.is_null(i) || patterns.is_null(j) {
            return Some(false);
        }
        if let Some(compiled) = compiled {
            return Some(compiled.matches(texts.value(i)));
        }
        let text = patterns.value(j);
        if last.as_ref().is_none_or(|(before, _)| *before != text) {
            last = Some((text, LikePattern::new(text, escape)));
        }
        match &last {
            Some((_, Ok(compiled))) => Some(compiled.matches(texts.value(i))),
            Some((_, Err(reason))) => {
                failures.add(row, reason.clone());
                Some(false)
            }
            None => Some(false),
        }
    });
    result.collect()
}
