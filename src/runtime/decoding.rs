//! [`Decodings`]: records that several queries of a process get are decoded once, with all columns that any of them uses.
//!
//! **Invariant:** a query gets the rows that its own reader would make. Records of which one cannot be read by all are
//! read by each query itself: what is wrong with a column is no concern of those who do not use it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;

use super::source::{SourceReader, SourceRows};
use crate::change::batch::record_batch;
use crate::change::{ChangeBatch, RecordSet};
use crate::error::{Error, Result};
use crate::format::Formats;
use crate::plan::topology::SourceSpec;
use crate::types::{Column, LogicalSchema};

/// How the sources of a process's queries are decoded together.
#[derive(Clone, Default)]
pub struct Decodings {
    sources: Arc<Mutex<BTreeMap<String, Weak<Decoding>>>>,
    numbers: Arc<AtomicU64>,
}

impl fmt::Debug for Decodings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decodings").finish_non_exhaustive()
    }
}

/// One way to read a topic.
struct Decoding {
    spec: SourceSpec,
    formats: Formats,
    numbers: Arc<AtomicU64>,
    state: Mutex<State>,
}

/// What a reader uses: of the specification the system columns, and its columns.
type Use = (SourceSpec, LogicalSchema);

#[derive(Default)]
struct State {
    /// What readers use, and how many use just that: every task of a query has a reader.
    users: Vec<(Use, usize)>,
    /// What they use together, under a number of its own.
    number: u64,
    spec: Option<Use>,
    /// Readers of that which nobody uses at the moment.
    idle: Vec<SourceReader>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Decodings {
    /// A reader of `spec` that makes the columns of `schema`, if need be together with other readers.
    pub fn reader(&self, spec: &SourceSpec, schema: &LogicalSchema, formats: &Formats) -> Result<QueryReader> {
        let own = SourceReader::with_formats(spec, schema, formats)?;
        // Sources of other names that are declared alike are one.
        let common = SourceSpec { source: String::new(), system: Vec::new(), ..spec.clone() };
        let key = serde_json::to_string(&common)
            .map_err(|error| Error::internal("a source specification is plain data").caused_by(error))?;
        let decoding = {
            let mut sources = lock(&self.sources);
            match sources.get(&key).and_then(Weak::upgrade) {
                Some(decoding) => decoding,
                None => {
                    sources.retain(|_, decoding| decoding.strong_count() > 0);
                    let (formats, numbers) = (formats.clone(), self.numbers.clone());
                    let decoding = Arc::new(Decoding { spec: common, formats, numbers, state: Mutex::default() });
                    sources.insert(key, Arc::downgrade(&decoding));
                    decoding
                }
            }
        };
        let used = (spec.clone(), schema.clone());
        let mut state = lock(&decoding.state);
        match state.users.iter_mut().find(|(known, _)| *known == used) {
            Some((_, count)) => *count += 1,
            None => {
                state.users.push((used.clone(), 1));
                decoding.settle(&mut state);
            }
        }
        drop(state);
        Ok(QueryReader { own, schema: schema.arrow(), decoding, used })
    }
}

impl Decoding {
    /// Finds out anew what the users use together.
    fn settle(&self, state: &mut State) {
        let mut spec = self.spec.clone();
        let mut columns: Vec<Column> = Vec::new();
        let used = |name: &str| state.users.iter().find_map(|((_, schema), _)| schema.find(name));
        columns.extend(spec.declared.columns.iter().filter_map(|column| used(&column.name)).cloned());
        for ((own, schema), _) in &state.users {
            for column in &schema.columns {
                if !columns.iter().any(|known| known.name == column.name) {
                    columns.push(column.clone());
                }
            }
            for system in &own.system {
                if !spec.system.contains(system) {
                    spec.system.push(*system);
                }
            }
        }
        let windowed = state.users.iter().any(|((_, schema), _)| schema.windowed);
        let together = Some((spec, LogicalSchema::new(columns, windowed)));
        if state.spec != together {
            state.number = self.numbers.fetch_add(1, Ordering::Relaxed);
            state.spec = together;
            state.idle.clear();
        }
    }

    /// All rows of the set with all columns; `None` when something is wrong with one of them.
    fn read(&self, set: &RecordSet) -> Option<ChangeBatch> {
        let (number, idle, spec) = {
            let mut state = lock(&self.state);
            (state.number, state.idle.pop(), state.spec.clone())
        };
        let mut reader = match (idle, spec) {
            (Some(reader), _) => reader,
            (None, Some((spec, schema))) => SourceReader::with_formats(&spec, &schema, &self.formats).ok()?,
            (None, None) => return None,
        };
        let rows = reader.read(set);
        let mut state = lock(&self.state);
        if state.number == number {
            state.idle.push(reader);
        }
        // Whoever reads by itself meets the error.
        rows.ok().filter(|rows| rows.errors.is_empty()).map(|rows| rows.batch)
    }
}

/// How one query reads a source.
pub struct QueryReader {
    own: SourceReader,
    schema: SchemaRef,
    decoding: Arc<Decoding>,
    used: Use,
}

impl QueryReader {
    /// Reads all records of `set`.
    pub fn read(&mut self, set: &RecordSet) -> Result<SourceRows> {
        let Some(views) = &set.views else { return self.own.read(set) };
        let number = lock(&self.decoding.state).number;
        let view = views.get_or_make(number, || Some(Arc::new(self.decoding.read(set)?)));
        let shared = view.as_ref().and_then(|view| view.downcast_ref::<ChangeBatch>());
        match shared.map(|batch| self.part(batch)) {
            Some(batch) => {
                Ok(SourceRows { batch: batch?, indices: (0..set.len() as u32).collect(), errors: Vec::new() })
            }
            None => self.own.read(set),
        }
    }

    /// The query's columns.
    fn part(&self, all: &ChangeBatch) -> Result<ChangeBatch> {
        let column = |name: &String| {
            let found = all.data.column_by_name(name).cloned();
            found.ok_or_else(|| Error::internal(format!("column {name} was not decoded")))
        };
        let columns: Vec<ArrayRef> =
            self.schema.fields().iter().map(|field| column(field.name())).collect::<Result<_>>()?;
        let data = record_batch(self.schema.clone(), columns, all.len())?;
        let (rowtime, seq, null_values) = (all.rowtime.clone(), all.seq.clone(), all.null_values.clone());
        Ok(ChangeBatch { data, rowtime, seq, ops: None, null_values })
    }
}

impl Drop for QueryReader {
    fn drop(&mut self) {
        let mut state = lock(&self.decoding.state);
        let Some(at) = state.users.iter().position(|(known, _)| *known == self.used) else { return };
        state.users[at].1 -= 1;
        if state.users[at].1 == 0 {
            state.users.remove(at);
            self.decoding.settle(&mut state);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::processing_log::Entry;
    use crate::types::{FormatSpec, SourceKind, SqlType, SystemColumn};

    fn spec(source: &str, system: Vec<SystemColumn>) -> SourceSpec {
        let columns = vec![
            Column::key("K", SqlType::String),
            Column::value("A", SqlType::Int),
            Column::value("B", SqlType::String),
            Column::value("C", SqlType::Int),
        ];
        SourceSpec {
            source: source.to_owned(),
            topic: "t".to_owned(),
            kind: SourceKind::Stream,
            declared: LogicalSchema::new(columns, false),
            key_format: FormatSpec::new("KAFKA", true),
            value_format: FormatSpec::new("JSON", true),
            window: None,
            timestamp: None,
            system,
        }
    }

    fn reader(decodings: &Decodings, source: &str, columns: &[&str]) -> QueryReader {
        let mut spec = spec(source, Vec::new());
        let mut schema = vec![Column::key("K", SqlType::String)];
        for name in columns {
            match SystemColumn::from_name(name) {
                Some(system) => {
                    spec.system.push(system);
                    schema.push(Column::value(*name, system.ty()));
                }
                None => schema.push(spec.declared.find(name).expect("a column").clone()),
            }
        }
        decodings.reader(&spec, &LogicalSchema::new(schema, false), &Formats::default()).expect("a reader")
    }

    fn set(values: &[&str]) -> RecordSet {
        let mut set = RecordSet::new("t".into(), 3);
        for (i, value) in values.iter().enumerate() {
            set.push(i as i64 + 10, 1000 + i as i64, Some(b"k"), Some(value.as_bytes()), Vec::new());
        }
        set.views = Some(Arc::default());
        set
    }

    fn text(rows: &SourceRows) -> String {
        rows.batch.data.columns().iter().map(|column| format!("{column:?}")).collect()
    }

    #[test]
    fn everybody_gets_what_it_would_read_by_itself_and_all_of_it_is_decoded_once() {
        let decodings = Decodings::default();
        let mut readers = [
            reader(&decodings, "X", &["A"]),
            reader(&decodings, "Y", &["B", "A"]),
            reader(&decodings, "X", &["ROWOFFSET", "C"]),
        ];
        let shared = set(&[r#"{"A":1,"B":"x","C":5}"#, r#"{"B":"y"}"#]);
        let alone = RecordSet { views: None, ..shared.clone() };
        for reader in &mut readers {
            let (together, by_itself) = (reader.read(&shared).expect("rows"), reader.read(&alone).expect("rows"));
            assert_eq!(text(&together), text(&by_itself));
            assert_eq!((&together.indices, &*together.batch.rowtime), (&by_itself.indices, &*by_itself.batch.rowtime));
            assert_eq!(together.batch.data.schema(), by_itself.batch.data.schema());
        }
        let number = lock(&readers[0].decoding.state).number;
        let mut made = 0;
        shared.views.as_ref().expect("views").get_or_make(number, || {
            made += 1;
            None
        });
        assert_eq!(made, 0, "the first reader made it");
        assert_eq!(decodings.sources.lock().expect("sources").len(), 1);
    }

    #[test]
    fn records_that_cannot_be_read_are_left_to_each() {
        let decodings = Decodings::default();
        let mut readers = [reader(&decodings, "X", &["A"]), reader(&decodings, "X", &["C"])];
        let shared = set(&[r#"{"A":1,"C":5}"#, r#"{"A":2,"C":"no number"}"#, r#"{"A":3}"#, "no JSON"]);
        let alone = RecordSet { views: None, ..shared.clone() };
        for reader in &mut readers {
            let (together, by_itself) = (reader.read(&shared).expect("rows"), reader.read(&alone).expect("rows"));
            assert_eq!((text(&together), together.indices), (text(&by_itself), by_itself.indices));
            let offsets = |rows: &[Entry]| rows.iter().map(|entry| entry.offset).collect::<Vec<_>>();
            assert_eq!(offsets(&together.errors), offsets(&by_itself.errors));
            assert!(together.errors.iter().any(|entry| entry.offset == 13));
        }
    }

    #[test]
    fn columns_come_and_go_with_those_who_use_them() {
        let decodings = Decodings::default();
        let mut a = reader(&decodings, "X", &["A"]);
        let used = |reader: &QueryReader| {
            let state = lock(&reader.decoding.state);
            (state.spec.as_ref().expect("columns").1.columns.len(), state.number)
        };
        let (alone, first) = used(&a);
        let more = reader(&decodings, "X", &["B", "C", "ROWTIME"]);
        let (together, second) = used(&a);
        assert_eq!((alone, together), (2, 5));
        assert_ne!(first, second, "views of other columns are others");
        assert_eq!(a.read(&set(&[r#"{"A":1}"#])).expect("rows").batch.data.num_columns(), 2);
        drop(more);
        assert_eq!(used(&a).0, 2);
    }
}
