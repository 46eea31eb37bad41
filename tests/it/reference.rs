//! The reference pages of `docs/` that come from the code, and whether they are up to date.
//!
//! `UPDATE=1 cargo test --test it reference::` writes them anew.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use eddyline::cli::config::KEYS;
use eddyline::engine::config::PROPERTIES;
use eddyline::engine::test_runner::{self, Causes, Options};
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

const CASES_BEGIN: &str = "<!-- cases: written by `UPDATE=1 cargo test --test it reference::` -->\n";
const CASES_END: &str = "<!-- end of cases -->\n";

/// The page around the section of failing cases, and that section.
fn compatibility() -> (String, String, String) {
    let text = std::fs::read_to_string(page("compatibility.md")).expect("docs/compatibility.md is readable");
    let (before, rest) = text.split_once(CASES_BEGIN).expect("the section of cases begins");
    let (section, after) = rest.split_once(CASES_END).expect("the section of cases ends");
    (before.to_owned(), section.to_owned(), after.to_owned())
}

/// The corpus of ksqlDB's cases, which is no part of the project: `shared/conformance` beside it or further up.
fn corpus() -> Option<PathBuf> {
    let above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().skip(1);
    above.map(|at| at.join("shared/conformance")).find(|path| path.is_dir())
}

/// Tells one state of the corpus from another: FNV-1a over its files in the order of their names.
fn fingerprint(folders: &[PathBuf]) -> String {
    let mut files: Vec<PathBuf> = Vec::new();
    for folder in folders {
        let entries = std::fs::read_dir(folder).expect("a folder of the corpus is readable");
        files.extend(entries.map(|entry| entry.expect("an entry is readable").path()));
    }
    files.sort_by_key(|file| file.file_name().map(std::ffi::OsStr::to_owned));
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    for byte in files.iter().flat_map(|file| std::fs::read(file).unwrap_or_default()) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    format!("<!-- of the corpus {hash:016x} -->\n")
}

/// What the page says of failing cases is what a run of the corpus says. Where the corpus is not, or is another one than
/// the page's, there is nothing to compare with, and the test says so; what the page says of itself is checked by the
/// next test everywhere.
#[test]
fn the_failing_cases_are_those_of_a_run() {
    let Some(corpus) = corpus() else {
        eprintln!("nothing to compare: shared/conformance is not beside the project");
        return;
    };
    let paths = ["query-validation-tests", "sql-tests"].map(|folder| corpus.join(folder));
    let state = fingerprint(&paths);
    if std::env::var_os("UPDATE").is_none() && !compatibility().1.starts_with(&state) {
        eprintln!(
            "nothing to compare: docs/compatibility.md tells of another state of the corpus; UPDATE=1 writes it anew"
        );
        return;
    }
    let mut causes = Causes::default();
    test_runner::run(&paths, &Options::default(), &mut |case| causes.add(case)).expect("the corpus is readable");
    let (before, _, after) = compatibility();
    check("compatibility.md", &format!("{before}{CASES_BEGIN}{state}{}{CASES_END}{after}", causes.markdown()));
}

#[test]
fn the_failing_cases_add_up() {
    let (_, section, _) = compatibility();
    let numbers = |line: &str| -> Vec<usize> {
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect()
    };
    let [cases, passed, failed, _] = numbers(section.lines().nth(1).expect("a line of counts"))[..] else {
        panic!("the section does not begin with its counts");
    };
    let rows = section.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| failed"));
    let listed: usize = rows.map(|row| numbers(row)[0]).sum();
    assert_eq!((passed + failed, listed), (cases, failed), "every failing case is listed once");
    // What must hold of the corpus: 90 % of all cases.
    assert!(passed * 10 >= cases * 9, "{passed} of {cases} cases pass");
}
