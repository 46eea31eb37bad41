//! The reference pages of `docs/` that come from the code, and whether they are up to date.
//!
//! `UPDATE=1 cargo test --test it reference::` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use eddyline::cli::config::KEYS;
use eddyline::engine::config::PROPERTIES;
use eddyline::expr::functions::{FunctionDoc, FunctionKind, all};

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

const BEGIN: &str = "<!-- properties: written by `UPDATE=1 cargo test --test it reference::` -->\n";
const END: &str = "<!-- end of properties -->\n";

#[test]
fn the_page_of_settings_is_up_to_date() {
    let text = std::fs::read_to_string(page("configuration.md")).expect("docs/configuration.md is readable");
    for key in KEYS {
        assert!(text.contains(&format!("| `{key}` |")), "docs/configuration.md does not explain the setting {key}");
    }
    let (before, rest) = text.split_once(BEGIN).expect("the table of properties begins");
    let (_, after) = rest.split_once(END).expect("the table of properties ends");
    let mut table = String::from("| property | default | |\n|---|---|---|\n");
    for property in PROPERTIES {
        let default = if property.default.is_empty() { String::new() } else { format!("`{}`", property.default) };
        let _ = writeln!(table, "| `{}` | {default} | {} |", property.name, property.about);
    }
    check("configuration.md", &format!("{before}{BEGIN}{table}{END}{after}"));
}
