//! The shape of the source tree: layers, file length, module docs and bans.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Which modules a module may import. `ARCHITECTURE.md` shows the same table.
const LAYERS: &[(&str, &[&str])] = &[
    ("error", &[]),
    ("time", &[]),
    ("types", &["error", "time"]),
    ("sql", &["error", "time"]),
    ("change", &["types", "error", "time"]),
    ("catalog", &["change", "types", "error", "time"]),
    ("format", &["change", "types", "error", "time"]),
    ("state", &["change", "types", "error", "time"]),
    ("broker", &["change", "types", "error", "time"]),
    ("expr", &["types", "change", "sql", "catalog", "error", "time"]),
    ("operator", &["expr", "state", "change", "types", "error", "time"]),
    ("plan", &["sql", "expr", "catalog", "types", "error", "time"]),
    (
        "runtime",
        &[
            "plan", "operator", "expr", "sql", "catalog", "format", "state", "broker", "change", "types", "error",
            "time",
        ],
    ),
    (
        "engine",
        &[
            "runtime", "plan", "operator", "expr", "sql", "catalog", "format", "state", "broker", "change", "types",
            "error", "time",
        ],
    ),
    ("observe", &["engine", "error", "time"]),
    ("cli", &["observe", "engine", "broker", "sql", "expr", "change", "types", "error", "time"]),
];

/// Crates that only some modules may name.
const QUARANTINE: &[(&str, &[&str])] = &[
    ("datafusion", &["expr", "engine/adhoc"]),
    ("rdkafka", &["broker/kafka"]),
    ("fjall", &["broker/embedded", "state"]),
    ("tokio", &["engine", "cli"]),
    ("tiny_http", &["observe"]),
    ("clap", &["cli"]),
    ("rustyline", &["cli"]),
    ("miette", &["cli"]),
];

const LINES_MAX: usize = 800;

/// Files that may be longer, and why. Tables of functions may earn a line here.
const LONG_FILES: &[(&str, &str)] = &[];

fn sources() -> Vec<(String, String)> {
    fn visit(dir: &Path, files: &mut Vec<PathBuf>) {
        let mut entries: Vec<_> =
            fs::read_dir(dir).expect("src is readable").map(|e| e.expect("entry").path()).collect();
        entries.sort();
        for path in entries {
            if path.is_dir() {
                visit(&path, files);
            } else if path.extension().is_some_and(|e| e == "rs") {
                files.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    visit(&root, &mut files);
    let name = |path: &PathBuf| path.strip_prefix(&root).expect("below src").to_string_lossy().replace('\\', "/");
    files.iter().map(|path| (name(path), fs::read_to_string(path).expect("readable"))).collect()
}

fn module_of(file: &str) -> &str {
    file.split(['/', '.']).next().expect("a first part")
}

/// Names of crate modules that code mentions in `crate::name` or `crate::{name, …}`; comments may name any.
fn imports(text: &str) -> Vec<String> {
    let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let text = code.join("\n");
    let mut found = Vec::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        let word = |text: &str| text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
        match rest.strip_prefix('{') {
            None => found.push(word(rest)),
            Some(group) => {
                let mut depth = 0;
                let mut start = true;
                for (i, c) in group.char_indices() {
                    match c {
                        '{' => depth += 1,
                        '}' if depth == 0 => break,
                        '}' => depth -= 1,
                        ',' if depth == 0 => start = true,
                        c if start && depth == 0 && c.is_alphabetic() => {
                            found.push(word(&group[i..]));
                            start = false;
                        }
                        _ => {}
                    }
                }
            }
        }
    }
    found
}

#[test]
fn modules_import_only_from_lower_layers() {
    let table: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        let module = module_of(&file);
        if matches!(module, "lib" | "main") {
            continue;
        }
        let allowed = table.get(module).unwrap_or_else(|| panic!("{file}: module {module} is not in the layer table"));
        for import in imports(&text) {
            if import != module && table.contains_key(import.as_str()) && !allowed.contains(&import.as_str()) {
                wrong.push(format!("{file} imports {import}"));
            }
        }
    }
    assert!(wrong.is_empty(), "against the layer table:\n{}", wrong.join("\n"));
}

#[test]
fn crates_stay_in_their_quarantine() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if matches!(file.as_str(), "main.rs" | "lib.rs") {
            continue;
        }
        for (krate, places) in QUARANTINE {
            let named = text
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
                .any(|line| line.contains(&format!("{krate}::")) || line.contains(&format!("use {krate};")));
            if named && !places.iter().any(|place| file.starts_with(place)) {
                wrong.push(format!("{file} names {krate}"));
            }
        }
    }
    assert!(wrong.is_empty(), "crates outside their place:\n{}", wrong.join("\n"));
}

#[test]
fn modules_say_what_they_are_and_stay_short() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if !text.starts_with("//!") && !file.ends_with("tests.rs") {
            wrong.push(format!("{file} has no //! on top"));
        }
        let lines = text.lines().count();
        if lines > LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == file) {
            wrong.push(format!("{file} has {lines} lines, more than {LINES_MAX}"));
        }
        for banned in ["dbg!(", "todo!(", "unimplemented!(", "FIXME", "XXX:"] {
            if text.contains(banned) {
                wrong.push(format!("{file} contains {banned}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_library_neither_prints_nor_reads_the_environment() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if module_of(&file) == "cli" || file == "main.rs" {
            continue;
        }
        for banned in ["println!(", "eprintln!(", "std::env::var", "env::args", "process::exit"] {
            if text.contains(banned) {
                wrong.push(format!("{file} contains {banned}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_wall_clock_is_read_in_one_place() {
    let mut wrong = Vec::new();
    for (file, text) in sources() {
        if module_of(&file) == "cli" || file == "time.rs" || file.ends_with("tests.rs") {
            continue;
        }
        for banned in ["SystemTime::now", "Instant::now", "Utc::now", "thread::sleep"] {
            if text.contains(banned) {
                wrong.push(format!("{file} contains {banned}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_query_file_has_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for entry in fs::read_dir(root.join("queries")).expect("queries is readable") {
        let name = entry.expect("entry").file_name().to_string_lossy().into_owned();
        assert!(root.join("tests/sql/queries").join(&name).exists(), "tests/sql/queries/{name} is missing");
    }
}

#[test]
fn architecture_shows_the_layer_table() {
    let text =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ARCHITECTURE.md")).expect("readable");
    for (module, _) in LAYERS {
        assert!(text.contains(&format!("`{module}`")), "docs/ARCHITECTURE.md does not name `{module}`");
    }
}
