//! [`Causes`]: the failures of a run counted by cause, without the names of files, cases, topics and columns.
//!
//! **Invariant:** the text is a function of the outcomes alone, so that a page can hold it and a test compare it.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{CaseReport, Outcome, Summary};
use crate::sql::keywords::is_keyword;

/// Words of types that are no keywords.
const TYPES: [&str; 14] = [
    "ARRAY",
    "BIGINT",
    "BOOLEAN",
    "BYTES",
    "DATE",
    "DECIMAL",
    "DOUBLE",
    "INT",
    "INTEGER",
    "MAP",
    "STRING",
    "STRUCT",
    "TIME",
    "TIMESTAMP",
];

/// What failed, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Causes {
    summary: Summary,
    failed: BTreeMap<String, usize>,
}

impl Causes {
    /// Takes in how a case ended.
    pub fn add(&mut self, report: &CaseReport) {
        match &report.outcome {
            Outcome::Passed => self.summary.passed += 1,
            Outcome::Skipped => self.summary.skipped += 1,
            Outcome::Failed(why) => {
                self.summary.failed += 1;
                *self.failed.entry(cause_of(why)).or_default() += 1;
            }
        }
    }

    /// The counts and a table of causes, the most frequent first.
    pub fn markdown(&self) -> String {
        let Summary { passed, failed, skipped } = self.summary;
        let mut out = format!("{} cases: {passed} passed, {failed} failed; {skipped} switched off.\n", passed + failed);
        if failed > 0 {
            out.push_str("\n| failed | cause |\n|--:|---|\n");
        }
        let mut causes: Vec<_> = self.failed.iter().collect();
        causes.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (cause, count) in causes {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "| {count} | {} |", cause.replace('|', "\\|"));
        }
        out
    }
}

/// The first line of a failure without what belongs to the case alone: places, names, numbers.
fn cause_of(why: &str) -> String {
    let line = why.lines().next().unwrap_or_default();
    if let Some((_, differs)) = line.strip_prefix("topic ").and_then(|rest| rest.split_once(" differs at ")) {
        let kinds = differs.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(kinds, _)| kinds);
        return format!("records differ from those expected ({kinds})");
    }
    // `FILE:LINE:COLUMN: `, `statement N: `
    let line = line.split_once(": ").filter(|(place, _)| is_place(place)).map_or(line, |(_, rest)| rest);
    let mut words: Vec<String> = Vec::new();
    for word in line.split_whitespace() {
        let bare = |c: char| !c.is_alphanumeric() && !matches!(c, '_' | '/');
        let core = word.trim_matches(bare);
        let (before, after) = word.split_once(core).unwrap_or_default();
        match is_own(core) {
            true if words.last().is_some_and(|last| last == "…") => {}
            true => words.push(format!("{before}…{after}")),
            false => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

fn is_place(text: &str) -> bool {
    let number = |text: &str| text.parse::<usize>().is_ok();
    let numbered = ["statement ", "input ", "case "].iter().any(|what| text.strip_prefix(what).is_some_and(number));
    numbered || text.rsplit(':').take(2).all(number)
}

/// Whether a word is a name or a number of the case rather than one of the language.
fn is_own(word: &str) -> bool {
    let quoted_or_path = word.contains(['/', '_', '`', '\'', '"']);
    let number = word.starts_with(|c: char| c.is_ascii_digit());
    let shouted = word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    let of_language = is_keyword(word) || TYPES.contains(&word);
    !word.is_empty() && (quoted_or_path || number || shouted && !of_language)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_left_out() {
        for (why, cause) in [
            ("statement 2: unknown function FOO\n  hint: x", "unknown function …"),
            ("/a/b.sql:9:1: cannot read /a/c.sql: gone (os error 2)", "cannot read …: gone (os error …)"),
            ("statement 1: DECIMAL with 50 digits", "DECIMAL with … digits"),
            (
                "topic OUT differs at record 1 (value, key); 2 records expected",
                "records differ from those expected (value, key)",
            ),
            ("there is no topic _a-b", "there is no topic …"),
            (
                "the case expects an error, and everything was accepted",
                "the case expects an error, and everything was accepted",
            ),
        ] {
            assert_eq!(cause_of(why), cause);
        }
    }

    #[test]
    fn the_most_frequent_cause_stands_first() {
        let mut causes = Causes::default();
        let mut add = |outcome| {
            let file = "f.json".into();
            causes.add(&CaseReport { file, name: "n".to_owned(), format: None, outcome });
        };
        add(Outcome::Passed);
        add(Outcome::Skipped);
        ["nothing", "so BOB gone", "so CARL gone"].iter().for_each(|why| add(Outcome::Failed((*why).to_owned())));
        let wanted = "4 cases: 1 passed, 3 failed; 1 switched off.\n\n| failed | cause |\n|--:|---|\n| 2 | so … gone |\n| 1 | nothing |\n";
        assert_eq!(causes.markdown(), wanted);
    }
}
