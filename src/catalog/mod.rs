//! The catalog: names to sources, types and queries. Readers hold an immutable snapshot; the engine is the one writer.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::types::{FormatSpec, KeyWindow, LogicalSchema, SourceKind, SqlType, TimestampSpec};

/// A registered stream or table.
#[derive(Debug, Clone, PartialEq)]
pub struct Source {
    /// Its name, case as it counts.
    pub name: String,
    /// Stream or table.
    pub kind: SourceKind,
    /// Its columns.
    pub schema: LogicalSchema,
    /// Its topic.
    pub topic: String,
    /// How keys are written.
    pub key_format: FormatSpec,
    /// How values are written.
    pub value_format: FormatSpec,
    /// The window in the key.
    pub window: Option<KeyWindow>,
    /// Event time out of a column.
    pub timestamp: Option<TimestampSpec>,
    /// The persistent query that fills it (`CREATE … AS SELECT`).
    pub created_by: Option<String>,
    /// `CREATE SOURCE …`: read-only.
    pub read_only: bool,
    /// The statement that made it.
    pub statement: String,
}

/// A snapshot of all names. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Catalog {
    sources: Arc<BTreeMap<String, Arc<Source>>>,
    types: Arc<BTreeMap<String, SqlType>>,
}

impl Catalog {
    /// The source of that name.
    pub fn find(&self, name: &str) -> Option<&Arc<Source>> {
        self.sources.get(name)
    }

    /// The source of that name, or an error that suggests one.
    pub fn source(&self, name: &str) -> Result<&Arc<Source>> {
        self.find(name).ok_or_else(|| {
            let error = Error::not_found(format!("{name} does not exist"));
            match did_you_mean(name, self.sources.keys().map(String::as_str)) {
                Some(near) => error.hint(format!("Did you mean {near}?")),
                None if self.sources.is_empty() => {
                    error.hint("No stream or table is registered yet: CREATE one first.")
                }
                None => error.hint("SHOW STREAMS and SHOW TABLES list what is registered."),
            }
        })
    }

    /// All sources by name.
    pub fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.sources.values()
    }

    /// Registers a source; an existing one only with `replace`.
    pub fn add_source(&mut self, source: Source, replace: bool) -> Result<()> {
        if let Some(existing) = self.find(&source.name)
            && !replace
        {
            let kind = existing.kind.to_string().to_lowercase();
            let message = format!("a {kind} named {} exists already", source.name);
            return Err(Error::new(ErrorKind::Conflict, message)
                .hint("DROP it first, or use CREATE OR REPLACE or IF NOT EXISTS."));
        }
        Arc::make_mut(&mut self.sources).insert(source.name.clone(), Arc::new(source));
        Ok(())
    }

    /// Forgets a source.
    pub fn remove_source(&mut self, name: &str) {
        Arc::make_mut(&mut self.sources).remove(name);
    }

    /// The custom type of that name.
    pub fn custom_type(&self, name: &str) -> Option<&SqlType> {
        self.types.get(name)
    }

    /// All custom types by name.
    pub fn custom_types(&self) -> impl Iterator<Item = (&String, &SqlType)> {
        self.types.iter()
    }

    /// Registers a custom type.
    pub fn add_type(&mut self, name: &str, ty: SqlType) {
        Arc::make_mut(&mut self.types).insert(name.to_owned(), ty);
    }

    /// Forgets a custom type; whether it was there.
    pub fn remove_type(&mut self, name: &str) -> bool {
        Arc::make_mut(&mut self.types).remove(name).is_some()
    }
}
