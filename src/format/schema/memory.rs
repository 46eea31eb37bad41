//! [`MemoryRegistry`]: a registry within the process, for tests and for scripts that run without a broker.

use std::collections::BTreeMap;

use super::{Schema, SchemaRegistry};
use crate::error::Result;

/// Schemas in memory. Every schema is compatible with every other.
#[derive(Debug, Default)]
pub struct MemoryRegistry {
    inner: std::sync::Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    /// Number of the first schema.
    first_id: i32,
    schemas: BTreeMap<i32, Schema>,
    /// Numbers of each subject's versions, oldest first.
    subjects: BTreeMap<String, Vec<i32>>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { first_id: 1, schemas: BTreeMap::new(), subjects: BTreeMap::new() }
    }
}

impl Inner {
    fn free_id(&self) -> i32 {
        (self.first_id..i32::MAX).find(|id| !self.schemas.contains_key(id)).unwrap_or(i32::MAX)
    }

    fn add_version(&mut self, subject: &str, id: i32) {
        let versions = self.subjects.entry(subject.to_owned()).or_default();
        versions.retain(|version| *version != id);
        versions.push(id);
    }
}

impl MemoryRegistry {
    /// No schema yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes the schema the subject's newest version under a number that the caller chooses.
    pub fn put(&self, subject: &str, id: i32, schema: Schema) {
        let mut inner = self.lock();
        inner.schemas.insert(id, schema);
        inner.add_version(subject, id);
    }

    /// All subjects, in order.
    pub fn subjects(&self) -> Vec<String> {
        self.lock().subjects.keys().cloned().collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        // A panic elsewhere leaves both maps whole: no step between their changes can fail.
        self.inner.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl SchemaRegistry for MemoryRegistry {
    fn register(&self, subject: &str, schema: &Schema) -> Result<i32> {
        let mut inner = self.lock();
        let known = inner.schemas.iter().find(|(_, known)| *known == schema).map(|(id, _)| *id);
        let id = known.unwrap_or_else(|| inner.free_id());
        inner.schemas.entry(id).or_insert_with(|| schema.clone());
        inner.add_version(subject, id);
        Ok(id)
    }

    fn by_id(&self, id: i32) -> Result<Option<Schema>> {
        Ok(self.lock().schemas.get(&id).cloned())
    }

    fn latest(&self, subject: &str) -> Result<Option<(i32, Schema)>> {
        let inner = self.lock();
        let id = inner.subjects.get(subject).and_then(|versions| versions.last().copied());
        Ok(id.and_then(|id| Some((id, inner.schemas.get(&id)?.clone()))))
    }

    fn has_version(&self, subject: &str, id: i32) -> Result<bool> {
        Ok(self.lock().subjects.get(subject).is_some_and(|versions| versions.contains(&id)))
    }

    fn is_compatible(&self, _subject: &str, _schema: &Schema) -> Result<bool> {
        Ok(true)
    }
}

/// Reads a real registry, and keeps to itself what is registered: statements are tried on it.
#[derive(Debug)]
pub(in crate::format) struct RehearsalRegistry {
    real: std::sync::Arc<dyn SchemaRegistry>,
    own: MemoryRegistry,
}

/// Far above the numbers that a real registry has given.
const REHEARSAL_IDS: i32 = 1 << 30;

impl RehearsalRegistry {
    pub(in crate::format) fn new(real: std::sync::Arc<dyn SchemaRegistry>) -> Self {
        let own = MemoryRegistry::new();
        own.lock().first_id = REHEARSAL_IDS;
        Self { real, own }
    }
}

impl SchemaRegistry for RehearsalRegistry {
    fn register(&self, subject: &str, schema: &Schema) -> Result<i32> {
        match self.real.latest(subject)? {
            Some((id, known)) if known == *schema => Ok(id),
            _ => self.own.register(subject, schema),
        }
    }

    fn by_id(&self, id: i32) -> Result<Option<Schema>> {
        if id >= REHEARSAL_IDS { self.own.by_id(id) } else { self.real.by_id(id) }
    }

    fn latest(&self, subject: &str) -> Result<Option<(i32, Schema)>> {
        match self.own.latest(subject)? {
            Some(latest) => Ok(Some(latest)),
            None => self.real.latest(subject),
        }
    }

    fn has_version(&self, subject: &str, id: i32) -> Result<bool> {
        Ok(self.own.has_version(subject, id)? || self.real.has_version(subject, id)?)
    }

    fn is_compatible(&self, subject: &str, schema: &Schema) -> Result<bool> {
        self.real.is_compatible(subject, schema)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::schema::SchemaType;

    #[test]
    fn equal_schemas_share_a_number_and_subjects_know_their_newest() -> Result<()> {
        let registry = MemoryRegistry::new();
        let (int, long) = (Schema::new(SchemaType::Avro, "\"int\""), Schema::new(SchemaType::Avro, "\"long\""));
        assert_eq!(registry.register("a-value", &int)?, 1);
        assert_eq!(registry.register("b-value", &int)?, 1);
        assert_eq!(registry.register("a-value", &long)?, 2);
        assert_eq!(registry.latest("a-value")?, Some((2, long.clone())));
        assert_eq!(registry.latest("b-value")?, Some((1, int)));
        assert_eq!(registry.latest("c-value")?, None);
        registry.put("c-value", 101, long);
        assert_eq!(registry.latest("c-value")?.map(|(id, _)| id), Some(101));
        assert_eq!(registry.subjects(), ["a-value", "b-value", "c-value"]);
        Ok(())
    }
}
