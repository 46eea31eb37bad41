//! The reference pages of `docs/` that come from the code, and whether they are up to date.
//!
//! `UPDATE=1 cargo test --test it reference::` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use eddyline::cli::config::KEYS;
use eddyline::engine::config::PROPERTIES;
use eddyline::expr::functions::{FunctionDoc, FunctionKind, all};
use eddyline::observe::METRICS;
use eddyline::runtime::processing_log;

fn page(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(name)
}

/// Compares a page with what the code says, or writes it when `UPDATE` is set.
fn check(name: &str, wanted: &str) {
    let path = page(name);
    if std::env::var_os("UPDATE").is_some() {
        std::fs::write(&path, wanted).expect("docs is writable");
        return;
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let line = there.lines().zip(wanted.lines()).position(|(a, b)| a != b).map_or(0, |at| at + 1);
    assert!(
        there == wanted,
        "docs/{name} is out of date from line {line} on: run `UPDATE=1 cargo test --test it reference::` and commit it"
    );
}

fn functions() -> String {
    let mut out = String::from(
        "# Functions\n\n\
         Written by `UPDATE=1 cargo test --test it reference::` from the declarations in `src/expr`; do not edit.\n\
         `SHOW FUNCTIONS` and `DESCRIBE FUNCTION name` tell the same at the prompt. Names are case-insensitive.\n",
    );
    let kinds = [
        (FunctionKind::Scalar, "Scalar functions", "One value from one row."),
        (
            FunctionKind::Aggregate,
            "Aggregate functions",
            "One value from the rows of a group, and of a window if there is one.",
        ),
        (FunctionKind::Table, "Table functions", "Rows from one row; in the select list only."),
    ];
    let functions = all();
    for (kind, title, about) in kinds {
        let _ = write!(out, "\n## {title}\n\n{about}\n");
        let mut categories: BTreeMap<&str, Vec<&FunctionDoc>> = BTreeMap::new();
        for function in functions.iter().filter(|function| function.kind == kind) {
            categories.entry(function.category).or_default().push(function);
        }
        for (category, functions) in categories {
            let _ = write!(out, "\n### {category}\n");
            for function in functions {
                let _ = write!(out, "\n**{}**: {}\n\n```\n", function.name, function.description);
                for signature in &function.signatures {
                    let _ = writeln!(out, "{signature}");
                }
                let _ = writeln!(out, "```");
                if !function.example.is_empty() {
                    let _ = writeln!(out, "\n{}", function.example);
                }
            }
        }
    }
    out
}

#[test]
fn the_page_of_functions_is_up_to_date() {
    check("functions.md", &functions());
}

const COMMAND: &str = "written by `UPDATE=1 cargo test --test it reference::`";

/// The page with the part between the two marks of this name replaced.
fn with_part(page: &str, name: &str, part: &str) -> String {
    let (begin, end) = (format!("<!-- {name}: {COMMAND} -->\n"), format!("<!-- end of {name} -->\n"));
    let (before, rest) = page.split_once(&begin).unwrap_or_else(|| panic!("no {begin}"));
    let (_, after) = rest.split_once(&end).unwrap_or_else(|| panic!("no {end}"));
    format!("{before}{begin}{part}{end}{after}")
}

fn text_of(name: &str) -> String {
    std::fs::read_to_string(page(name)).unwrap_or_else(|error| panic!("docs/{name}: {error}"))
}

#[test]
fn the_page_of_settings_is_up_to_date() {
    let text = text_of("configuration.md");
    for key in KEYS {
        assert!(text.contains(&format!("| `{key}` |")), "docs/configuration.md does not explain the setting {key}");
    }
    let mut table = String::from("| property | default | |\n|---|---|---|\n");
    for property in PROPERTIES {
        let default = if property.default.is_empty() { String::new() } else { format!("`{}`", property.default) };
        let _ = writeln!(table, "| `{}` | {default} | {} |", property.name, property.about);
    }
    check("configuration.md", &with_part(&text, "properties", &table));
}

#[test]
fn the_page_of_metrics_is_up_to_date() {
    let mut metrics = String::from("| metric | kind | labels | |\n|---|---|---|---|\n");
    for metric in METRICS {
        let labels: String = metric.labels().iter().map(|label| format!(", `{label}`")).collect();
        let (name, kind) = (metric.name, metric.kind.name());
        let _ = writeln!(metrics, "| `{name}` | {kind} | `service`{labels} | {} |", metric.about);
    }
    let mut columns = String::from("| column | type | |\n|---|---|---|\n");
    for (name, ty, about) in processing_log::COLUMNS {
        let _ = writeln!(columns, "| `{name}` | `{ty}` | {about} |");
    }
    let text = with_part(&text_of("metrics.md"), "metrics", &metrics);
    check("metrics.md", &with_part(&text, "columns", &columns));
}
