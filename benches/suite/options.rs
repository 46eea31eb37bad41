//! What the command line asks for.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::table::{QUERIES, Wanted};

/// Words, and values of `--name value`.
#[derive(Debug, Default)]
pub struct Options {
    pub words: Vec<String>,
    values: BTreeMap<String, Vec<String>>,
}

impl Options {
    pub fn read(args: &[String]) -> Self {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match arg.strip_prefix("--") {
                Some(name) => {
                    let value = args.next().unwrap_or_else(|| panic!("--{name} needs a value"));
                    options.values.entry(name.to_owned()).or_default().push(value.clone());
                }
                None => options.words.push(arg.clone()),
            }
        }
        options
    }

    pub fn all(&self, name: &str) -> Vec<String> {
        self.values.get(name).cloned().unwrap_or_default()
    }

    pub fn number(&self, name: &str, default: u64) -> u64 {
        let last = self.values.get(name).and_then(|values| values.last());
        last.map_or(default, |value| value.parse().unwrap_or_else(|_| panic!("--{name} {value} is no number")))
    }

    pub fn numbers(&self, name: &str, default: &[u64]) -> Vec<u64> {
        let read = |value: &String| value.parse().unwrap_or_else(|_| panic!("--{name} {value} is no number"));
        let given: Vec<u64> = self.all(name).iter().map(read).collect();
        if given.is_empty() { default.to_vec() } else { given }
    }

    pub fn guarantees(&self) -> Vec<String> {
        let given = self.all("guarantee");
        if given.is_empty() { vec!["at_least_once".to_owned(), "exactly_once".to_owned()] } else { given }
    }

    pub fn settings(&self) -> Vec<(String, String)> {
        let pair = |text: String| {
            let (key, value) = text.split_once('=').unwrap_or_else(|| panic!("--set {text} is not KEY=VALUE"));
            (key.to_owned(), value.to_owned())
        };
        self.all("set").into_iter().map(pair).collect()
    }

    pub fn table(&self) -> Wanted {
        let peers = self.all("peers").pop().map(PathBuf::from);
        let mut engines = self.all("engine");
        if let Some(dir) = peers.as_ref().filter(|_| engines.is_empty()) {
            let there = ["floor", "kstreams", "flink"].map(str::to_owned).into_iter();
            engines = there.filter(|engine| dir.join(engine).join("run.sh").exists()).collect();
        }
        Wanted {
            queries: if self.words.is_empty() { QUERIES.map(str::to_owned).to_vec() } else { self.words.clone() },
            records: self.number("records", 1_000_000),
            runs: self.number("runs", 3).max(1) as usize,
            guarantees: self.guarantees(),
            workers: self.number("workers", 1) as usize,
            peers,
            engines,
            settings: self.settings(),
        }
    }
}
