//! `ASSERT …`: the next record of a source's topic against what the test says.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::catalog::Source;
use crate::change::RecordSet;
use crate::change::pretty::pretty_value;
use crate::engine::backend::Backend;
use crate::engine::offline::{Offline, StoredRecord};
use crate::error::{Error, ErrorKind, Result, did_you_mean};
use crate::format::Formats;
use crate::plan::insert::insert_values;
use crate::plan::topology::SourceSpec;
use crate::runtime::source::SourceReader;
use crate::sql::ast::{Expr, Name};
use crate::types::{Column, LogicalSchema, Namespace, SourceKind, SqlType, SystemColumn, Value};

/// How far each topic was asserted.
#[derive(Debug, Default)]
pub struct Assertions {
    next: BTreeMap<String, usize>,
}

/// A record read back: cells by column, `None` for a tombstone's values.
struct Seen {
    cells: Vec<(String, Value)>,
    is_tombstone: bool,
}

impl Assertions {
    /// `ASSERT VALUES source (columns) VALUES (values)`: only the columns listed count.
    pub fn values(&mut self, world: &Offline, source: &Source, columns: &[Name], values: &[Expr]) -> Result<()> {
        let assertable = assertable(source);
        let names: Vec<Name> = match columns {
            [] => source.schema.columns.iter().map(|column| Name::synthetic(&column.name)).collect(),
            columns => columns.to_vec(),
        };
        known(&assertable, &names)?;
        let expected = insert_values(&assertable, &names, values)?;
        let record = self.take(world, source)?;
        let seen = read(&world.formats(), source, &record)?;
        let mut differences = Vec::new();
        for name in &names {
            let wanted = expected.values.iter().find(|(n, _)| *n == name.text).map(|(_, v)| v.clone());
            let wanted = match (wanted, expected.rowtime) {
                (Some(wanted), _) => wanted,
                (None, Some(time)) => Value::BigInt(time),
                (None, None) => Value::Null,
            };
            let actual = seen.cells.iter().find(|(n, _)| *n == name.text).map_or(&Value::Null, |(_, v)| v);
            if !same(&wanted, actual) {
                differences.push(format!(
                    "  {}: expected {}, got {}",
                    name.text,
                    pretty_value(&wanted),
                    pretty_value(actual)
                ));
            }
        }
        if seen.is_tombstone {
            differences.insert(0, "  the record is a tombstone".to_owned());
        }
        self.judge(world, source, differences, &seen)
    }

    /// `ASSERT NULL VALUES source (key columns) KEY (values)`: a tombstone.
    pub fn tombstone(&mut self, world: &Offline, source: &Source, columns: &[Name], values: &[Expr]) -> Result<()> {
        let assertable = assertable(source);
        known(&assertable, columns)?;
        let expected = insert_values(&assertable, columns, values)?;
        let record = self.take(world, source)?;
        let seen = read(&world.formats(), source, &record)?;
        let mut differences = Vec::new();
        for name in columns {
            let wanted = expected.values.iter().find(|(n, _)| *n == name.text).map_or(&Value::Null, |(_, v)| v);
            let actual = seen.cells.iter().find(|(n, _)| *n == name.text).map_or(&Value::Null, |(_, v)| v);
            if !same(wanted, actual) {
                differences.push(format!(
                    "  {}: expected {}, got {}",
                    name.text,
                    pretty_value(wanted),
                    pretty_value(actual)
                ));
            }
        }
        if !seen.is_tombstone {
            differences.insert(0, "  expected a tombstone, the record has a value".to_owned());
        }
        self.judge(world, source, differences, &seen)
    }

    /// `ASSERT NO MORE VALUES source`.
    pub fn no_more(&mut self, world: &Offline, source: &Source) -> Result<()> {
        let next = self.next.get(&source.topic).copied().unwrap_or(0);
        let rest =
            world.topics.get(&source.topic).map_or(&[][..], |topic| &topic.records[next.min(topic.records.len())..]);
        match rest.first() {
            None => Ok(()),
            Some(record) => {
                let shown =
                    read(&world.formats(), source, record).map(|seen| show(&seen)).unwrap_or_else(|e| e.to_string());
                let message = format!("{} more records in {}, the next is {shown}", rest.len(), source.topic);
                Err(Error::new(ErrorKind::Conflict, message))
            }
        }
    }

    fn take(&mut self, world: &Offline, source: &Source) -> Result<StoredRecord> {
        let next = self.next.entry(source.topic.clone()).or_default();
        let records = world.topics.get(&source.topic).map_or(&[][..], |topic| &topic.records);
        match records.get(*next) {
            Some(record) => {
                *next += 1;
                Ok(record.clone())
            }
            None => {
                let message = format!("no further record in {}: it has {}", source.topic, records.len());
                let mut error = Error::new(ErrorKind::Conflict, message);
                let log = world.topics.get(world.log_topic()).map_or(&[][..], |topic| &topic.records);
                if let Some(last) = log.last().and_then(|record| record.value.as_ref()) {
                    error = error.hint(format!("The processing log ends with {}.", String::from_utf8_lossy(last)));
                }
                Err(error)
            }
        }
    }

    fn judge(&self, world: &Offline, source: &Source, differences: Vec<String>, seen: &Seen) -> Result<()> {
        if differences.is_empty() {
            return Ok(());
        }
        let number = self.next.get(&source.topic).copied().unwrap_or(0);
        let mut message = format!("record {number} of {} differs:\n{}\n", source.topic, differences.join("\n"));
        message.push_str(&format!("  the record: {}", show(seen)));
        let rest = world.topics.get(&source.topic).map_or(&[][..], |topic| &topic.records[number..]);
        for record in rest.iter().take(3) {
            if let Ok(next) = read(&world.formats(), source, record) {
                message.push_str(&format!("\n  then:       {}", show(&next)));
            }
        }
        Err(Error::new(ErrorKind::Conflict, message))
    }
}

fn show(seen: &Seen) -> String {
    let cells: Vec<String> =
        seen.cells.iter().map(|(name, value)| format!("{name} = {}", pretty_value(value))).collect();
    let mark = if seen.is_tombstone { "(tombstone) " } else { "" };
    format!("{mark}{}", cells.join(", "))
}

/// Doubles count as equal when they are that within a millionth.
fn same(expected: &Value, actual: &Value) -> bool {
    match (expected, actual) {
        (Value::Double(a), Value::Double(b)) => (a - b).abs() < 1e-6 || a == b || (a.is_nan() && b.is_nan()),
        (Value::Array(a), Value::Array(b)) | (Value::Struct(a), Value::Struct(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), Value::Map(b)) => {
            let found = |key: &Value, value: &Value| b.iter().any(|(k, v)| same(key, k) && same(value, v));
            a.len() == b.len() && a.iter().all(|(k, v)| found(k, v))
        }
        (a, b) => a == b,
    }
}

/// The source as something whose every column, system ones included, can be given a value.
fn assertable(source: &Source) -> Source {
    let mut columns: Vec<Column> =
        source.schema.columns.iter().map(|column| Column::value(&column.name, column.ty.clone())).collect();
    if source.window.is_some() {
        columns.push(Column::value(SystemColumn::WindowStart.name(), SqlType::BigInt));
        columns.push(Column::value(SystemColumn::WindowEnd.name(), SqlType::BigInt));
    }
    Source {
        kind: SourceKind::Stream,
        schema: LogicalSchema::new(columns, false),
        window: None,
        read_only: false,
        ..source.clone()
    }
}

fn known(source: &Source, names: &[Name]) -> Result<()> {
    for name in names {
        if source.schema.find(&name.text).is_none() && name.text != SystemColumn::RowTime.name() {
            let error = Error::not_found(format!("{} has no column {}", source.name, name.text)).at(name.span);
            let all = source.schema.columns.iter().map(|column| column.name.as_str());
            return Err(match did_you_mean(&name.text, all) {
                Some(near) => error.hint(format!("Did you mean {near}?")),
                None => error,
            });
        }
    }
    Ok(())
}

fn read(formats: &Formats, source: &Source, record: &StoredRecord) -> Result<Seen> {
    let mut columns = source.schema.columns.clone();
    columns.push(Column::value(SystemColumn::RowTime.name(), SqlType::BigInt));
    let schema = LogicalSchema::new(columns, source.window.is_some());
    let spec = SourceSpec {
        source: source.name.clone(),
        topic: source.topic.clone(),
        kind: source.kind,
        declared: source.schema.clone(),
        key_format: source.key_format.clone(),
        value_format: source.value_format.clone(),
        window: source.window,
        // The record's own time is what an assertion of ROWTIME means.
        timestamp: None,
        system: vec![SystemColumn::RowTime],
    };
    let mut set = RecordSet::new(Arc::from(source.topic.as_str()), 0);
    set.push(0, record.timestamp, record.key.as_deref(), record.value.as_deref(), record.headers.clone());
    let rows = SourceReader::with_formats(&spec, &schema, formats)?.read(&set)?;
    if let Some(error) = rows.errors.first() {
        return Err(Error::data(format!("the record in {} cannot be read: {}", source.topic, error.reason)));
    }
    let names = schema.batch_columns().into_iter().map(|column| column.name);
    let cells = names.zip(rows.batch.data.columns()).map(|(name, column)| (name, Value::from_array(column, 0)));
    Ok(Seen { cells: cells.collect(), is_tombstone: record.value.is_none() })
}

/// `ASSERT STREAM|TABLE`: the source is as declared.
pub fn same_source(expected: &Source, actual: &Source) -> Result<()> {
    let mut differences = Vec::new();
    let mut compare = |what: &str, expected: String, actual: String| {
        if expected != actual {
            differences.push(format!("  {what}: expected {expected}, got {actual}"));
        }
    };
    compare("type", expected.kind.to_string(), actual.kind.to_string());
    compare("schema", schema_text(expected), schema_text(actual));
    compare("topic", expected.topic.clone(), actual.topic.clone());
    compare("key format", expected.key_format.name.clone(), actual.key_format.name.clone());
    compare("value format", expected.value_format.name.clone(), actual.value_format.name.clone());
    if expected.schema.value().len() == 1 {
        compare("wrapping", expected.value_format.wrapped.to_string(), actual.value_format.wrapped.to_string());
    }
    compare("timestamp", format!("{:?}", expected.timestamp), format!("{:?}", actual.timestamp));
    if differences.is_empty() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Conflict, format!("{} is another source:\n{}", actual.name, differences.join("\n"))))
}

fn schema_text(source: &Source) -> String {
    let key = source.schema.columns.iter().filter(|c| c.namespace == Namespace::Key).count();
    format!("{} ({key} key columns)", source.schema)
}
