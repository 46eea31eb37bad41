//! Query files as persistent jobs: deployed in dependency order, resumed when unchanged, refused when changed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::error::{Error, Result};
use crate::sql::ast::{Relation, StatementKind};
use crate::sql::{parse_statement, split_statements, substitute};

/// What a deployment did, file by file.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Deployment {
    /// Queries that run for the first time; of a check, what they would fill.
    pub started: Vec<String>,
    /// Queries that go on where they stood.
    pub resumed: Vec<String>,
    /// Files that differ from what is deployed, with the difference.
    pub changed: Vec<(String, String)>,
    /// Deployed files that are gone.
    pub removed: Vec<String>,
}

/// A query file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryFile {
    /// Its name without the folder.
    pub name: String,
    /// Its text. Variables that were set from outside stand at its end, as comments.
    pub text: String,
    /// Those variables; names in upper case.
    pub variables: BTreeMap<String, String>,
}

impl QueryFile {
    /// The file with variables that hold over its own DEFINE. Those that it mentions become part of its text: with
    /// another value it is another text.
    pub fn with_variables(mut self, variables: &BTreeMap<String, String>) -> Self {
        let upper = self.text.to_uppercase();
        let mentioned = variables.iter().filter(|(name, _)| upper.contains(&format!("${{{name}}}")));
        self.variables = mentioned.map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in &self.variables {
            if !self.text.ends_with('\n') {
                self.text.push('\n');
            }
            self.text += &format!("-- with {name} = '{}'\n", value.replace('\n', " "));
        }
        self
    }
}

/// The `.sql` files of a folder by name, or the one file.
pub fn read(path: &Path) -> Result<Vec<QueryFile>> {
    let cannot = |e: std::io::Error| {
        Error::not_found(format!("cannot read {}", path.display())).caused_by(e).hint("Give a folder of .sql files.")
    };
    let mut paths = if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(cannot)?;
        entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?
    } else {
        vec![path.to_owned()]
    };
    if path.is_dir() {
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "sql"));
    }
    paths.sort();
    if paths.is_empty() {
        return Err(Error::not_found(format!("{} holds no .sql file", path.display())));
    }
    let read = |path: &std::path::PathBuf| {
        let name = path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let text = std::fs::read_to_string(path).map_err(cannot)?;
        Ok(QueryFile { name, text, variables: BTreeMap::new() })
    };
    paths.iter().map(read).collect()
}

/// Names that a file creates and reads.
#[derive(Debug, Default)]
struct Names {
    created: BTreeSet<String>,
    read: BTreeSet<String>,
}

/// The files so that what one reads stands in an earlier one; by name where nothing decides.
pub fn in_dependency_order(mut files: Vec<QueryFile>) -> Result<Vec<QueryFile>> {
    let mut names: BTreeMap<String, Names> = BTreeMap::new();
    for file in &files {
        names.insert(file.name.clone(), names_of(file)?);
    }
    let mut ordered: Vec<QueryFile> = Vec::new();
    let mut there: BTreeSet<String> = BTreeSet::new();
    while !files.is_empty() {
        let to_come: BTreeSet<&String> = files.iter().flat_map(|file| &names[&file.name].created).collect();
        let is_ready = |file: &QueryFile| {
            let own = &names[&file.name];
            own.read.iter().all(|name| own.created.contains(name) || there.contains(name) || !to_come.contains(name))
        };
        let Some(next) = files.iter().position(is_ready) else {
            let stuck: Vec<_> = files.iter().map(|file| file.name.as_str()).collect();
            return Err(Error::semantic(format!("the files {} read one another in a circle", stuck.join(", ")))
                .hint("Put statements that depend on one another into one file."));
        };
        let file = files.remove(next);
        there.extend(names[&file.name].created.iter().cloned());
        ordered.push(file);
    }
    Ok(ordered)
}

fn names_of(file: &QueryFile) -> Result<Names> {
    let mut names = Names::default();
    let mut variables = file.variables.clone();
    for piece in split_statements(&file.text) {
        let text = substitute(&file.text[piece.span.start..piece.span.end], &variables)?;
        let Ok(statement) = parse_statement(&text) else {
            // Reported with its place when the file is run.
            continue;
        };
        let mut read = |relation: &Relation| {
            names.read.insert(relation.first.name.text.clone());
            names.read.extend(relation.joins.iter().map(|join| join.source.name.text.clone()));
        };
        match statement.kind {
            StatementKind::Define { name, value } if !file.variables.contains_key(&name.text) => {
                variables.insert(name.text, value);
            }
            StatementKind::CreateSource(create) => {
                names.created.insert(create.name.text);
            }
            StatementKind::CreateAs(create) => {
                read(&create.query.from);
                names.created.insert(create.name.text);
            }
            StatementKind::InsertSelect { target, query, .. } => {
                read(&query.from);
                names.read.insert(target.text);
            }
            _ => {}
        }
    }
    Ok(names)
}

/// The lines that differ, with `-` and `+`, and a line of context around them.
pub fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    // Longest common subsequence: query files are short.
    let mut common = vec![vec![0usize; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] =
                if old[i] == new[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let mut lines: Vec<(char, &str)> = Vec::new();
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let near = |at: usize| lines[at.saturating_sub(1)..(at + 2).min(lines.len())].iter().any(|(mark, _)| *mark != ' ');
    let shown = lines.iter().enumerate().filter(|(at, _)| near(*at));
    shown.map(|(_, (mark, line))| format!("{mark} {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> QueryFile {
        QueryFile { name: name.to_owned(), text: text.to_owned(), variables: BTreeMap::new() }
    }

    #[test]
    fn files_are_ordered_by_what_they_read() {
        let files = vec![
            file("a.sql", "CREATE STREAM x AS SELECT * FROM y;"),
            file("b.sql", "DEFINE t = 'z'; CREATE STREAM y AS SELECT * FROM ${t};"),
            file("c.sql", "CREATE STREAM z (k INT) WITH (KAFKA_TOPIC = 'z', VALUE_FORMAT = 'JSON');"),
        ];
        let names: Vec<_> = in_dependency_order(files).expect("no circle").into_iter().map(|f| f.name).collect();
        assert_eq!(names, ["c.sql", "b.sql", "a.sql"]);
        let circle = vec![
            file("a.sql", "CREATE STREAM x AS SELECT * FROM y;"),
            file("b.sql", "CREATE STREAM y AS SELECT * FROM x;"),
        ];
        assert!(in_dependency_order(circle).is_err());
    }

    #[test]
    fn variables_from_outside_hold_over_the_file_s_own_and_change_its_text() {
        let text = "DEFINE t = 'y';\nCREATE STREAM x AS SELECT * FROM ${t};";
        let set = BTreeMap::from([("T".to_owned(), "z".to_owned()), ("OTHER".to_owned(), "1".to_owned())]);
        let file = file("a.sql", text).with_variables(&set);
        assert_eq!(file.text, format!("{text}\n-- with T = 'z'\n"));
        assert!(names_of(&file).expect("names").read.contains("Z"));
    }

    #[test]
    fn differences_show_their_surroundings() {
        assert_eq!(difference("a\nb\nc\nd\n", "a\nb\nx\nd\n"), "  b\n- c\n+ x\n  d\n");
    }
}
