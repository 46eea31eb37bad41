//! Reading: record sets to change batches, with event time extracted and bad records set aside.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BinaryBuilder, BooleanArray, Int32Array, Int64Array};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{Int64Type, SchemaRef};

use super::processing_log::Entry;
use crate::change::batch::record_batch;
use crate::change::{ChangeBatch, RecordSet};
use crate::error::{Error, RecordError, Result};
use crate::format::window_key;
use crate::format::{Decoder, Formats, Side};
use crate::plan::topology::SourceSpec;
use crate::time::NO_TIME;
use crate::types::date_pattern::{DatePattern, Zone};
use crate::types::{Column, LogicalSchema, Namespace, SystemColumn, Value, ValueBuilder};

/// A record set as rows, with the offset of each row.
pub struct SourceRows {
    /// The rows that could be read; `seq` is not assigned yet (all zero).
    pub batch: ChangeBatch,
    /// Index in the record set of each row.
    pub indices: Vec<u32>,
    /// What could not be read.
    pub errors: Vec<Entry>,
}

/// Where a column of the node comes from.
enum Origin {
    Key(usize),
    WindowStart,
    WindowEnd,
    Value(usize),
    Headers(Option<String>),
    System(SystemColumn),
}

/// Decodes one source topic.
pub struct SourceReader {
    key: Box<dyn Decoder>,
    value: Box<dyn Decoder>,
    has_value_columns: bool,
    window: Option<crate::types::KeyWindow>,
    origins: Vec<Origin>,
    schema: SchemaRef,
    timestamp: Option<Timestamp>,
}

struct Timestamp {
    place: Origin,
    column: String,
    pattern: Option<DatePattern>,
}

impl SourceReader {
    /// A reader of `spec` that makes the columns of `schema`.
    pub fn new(spec: &SourceSpec, schema: &LogicalSchema) -> Result<Self> {
        Self::with_formats(spec, schema, &Formats::default())
    }

    /// The same with formats that know a schema registry.
    pub fn with_formats(spec: &SourceSpec, schema: &LogicalSchema, formats: &Formats) -> Result<Self> {
        let key_columns: Vec<Column> = spec.declared.key().to_vec();
        let value_columns: Vec<Column> =
            spec.declared.columns.iter().filter(|c| c.namespace == Namespace::Value).cloned().collect();
        let timestamp_column = spec.timestamp.as_ref().map(|t| t.column.as_str());
        let is_system = |name: &str| spec.system.iter().any(|s| s.name() == name);
        let wanted: Vec<bool> = value_columns
            .iter()
            .map(|c| timestamp_column == Some(c.name.as_str()) || schema.find(&c.name).is_some() && !is_system(&c.name))
            .collect();
        let position = |name: &str| {
            let at = value_columns.iter().position(|c| c.name == name)?;
            Some(wanted[..at].iter().filter(|w| **w).count())
        };
        let place = |column: &Column| -> Result<Origin> {
            let name = column.name.as_str();
            if let Some(at) = key_columns.iter().position(|c| c.name == name) {
                return Ok(Origin::Key(at));
            }
            if let Some(at) = position(name) {
                return Ok(Origin::Value(at));
            }
            match spec.declared.find(name).map(|c| &c.namespace) {
                Some(Namespace::Headers(which)) => Ok(Origin::Headers(which.clone())),
                _ => match SystemColumn::from_name(name) {
                    Some(SystemColumn::WindowStart) if spec.window.is_some() => Ok(Origin::WindowStart),
                    Some(SystemColumn::WindowEnd) if spec.window.is_some() => Ok(Origin::WindowEnd),
                    Some(system) => Ok(Origin::System(system)),
                    None => Err(Error::internal(format!("source {} has no column {name}", spec.source))),
                },
            }
        };
        let columns = schema.batch_columns();
        let timestamp = match &spec.timestamp {
            None => None,
            Some(t) => Some(Timestamp {
                place: place(&Column::value(&t.column, crate::types::SqlType::BigInt))?,
                column: t.column.clone(),
                pattern: t.format.as_deref().map(DatePattern::new).transpose()?,
            }),
        };
        Ok(Self {
            key: formats.decoder(&spec.key_format, Side::Key, &key_columns, &vec![true; key_columns.len()])?,
            value: formats.decoder(&spec.value_format, Side::Value, &value_columns, &wanted)?,
            has_value_columns: !value_columns.is_empty(),
            window: spec.window,
            origins: columns.iter().map(place).collect::<Result<_>>()?,
            schema: schema.arrow(),
            timestamp,
        })
    }

    /// Reads all records of `set`.
    pub fn read(&mut self, set: &RecordSet) -> Result<SourceRows> {
        let rows = set.len();
        let mut bad: Vec<(RecordError, bool)> = Vec::new();
        let keys = set.keys.view(0..rows);
        let split = match &self.window {
            Some(window) => Some(window_key::split(keys, *window)?),
            None => None,
        };
        let key = match &split {
            Some(split) => {
                bad.extend(split.errors.iter().cloned().map(|e| (e, true)));
                self.key.decode(split.keys.view(0..rows))?
            }
            None => self.key.decode(keys)?,
        };
        let value = self.value.decode(set.values.view(0..rows))?;
        bad.extend(key.errors.iter().cloned().map(|e| (e, true)));
        bad.extend(value.errors.iter().cloned().map(|e| (e, false)));
        let null = match value.null {
            Some(null) => Some(null),
            None if !self.has_value_columns => null_payloads(set),
            None => None,
        };

        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.origins.len());
        for (origin, field) in self.origins.iter().zip(self.schema.fields()) {
            columns.push(match origin {
                Origin::Key(at) => key.columns[*at].clone(),
                Origin::Value(at) => value.columns[*at].clone(),
                Origin::WindowStart => Arc::new(split.as_ref().ok_or_else(no_window)?.starts.clone()),
                Origin::WindowEnd => Arc::new(split.as_ref().ok_or_else(no_window)?.ends.clone()),
                Origin::Headers(which) => headers_column(set, which.as_deref(), field.data_type()),
                // Event time is filled in below, once it is known.
                Origin::System(SystemColumn::RowPartition) => Arc::new(Int32Array::from(vec![set.partition; rows])),
                Origin::System(SystemColumn::RowOffset) => Arc::new(Int64Array::from(set.offsets.clone())),
                Origin::System(_) => Arc::new(Int64Array::from(set.timestamps.clone())),
            });
        }
        let rowtime = match &self.timestamp {
            None => set.timestamps.clone(),
            Some(timestamp) => {
                let source = match &timestamp.place {
                    Origin::Key(at) => key.columns[*at].clone(),
                    Origin::Value(at) => value.columns[*at].clone(),
                    Origin::Headers(which) => {
                        headers_column(set, which.as_deref(), &arrow::datatypes::DataType::Binary)
                    }
                    _ => Arc::new(Int64Array::from(set.timestamps.clone())),
                };
                let extracted = extract_all(timestamp, &source, set, null.as_ref(), &mut bad);
                for (origin, column) in self.origins.iter().zip(&mut columns) {
                    if matches!(origin, Origin::System(SystemColumn::RowTime)) {
                        *column = Arc::new(Int64Array::from(extracted.clone()));
                    }
                }
                extracted
            }
        };
        for (i, time) in rowtime.iter().enumerate() {
            if *time < 0 && *time != NO_TIME {
                let reason = format!("event time {time} is negative");
                bad.push((RecordError { row: i, place: "timestamp".into(), reason }, false));
            }
        }
        let batch = ChangeBatch {
            data: record_batch(self.schema.clone(), columns, rows)?,
            rowtime: rowtime.into(),
            seq: vec![0; rows].into(),
            ops: None,
            null_values: null,
        };
        without_bad(batch, set, bad)
    }
}

fn no_window() -> Error {
    Error::internal("the key has no window")
}

/// Drops the rows of bad records and turns the errors into log entries, one a record.
fn without_bad(batch: ChangeBatch, set: &RecordSet, mut bad: Vec<(RecordError, bool)>) -> Result<SourceRows> {
    if bad.is_empty() {
        let indices = (0..batch.len() as u32).collect();
        return Ok(SourceRows { batch, indices, errors: Vec::new() });
    }
    bad.sort_by_key(|(error, _)| error.row);
    bad.dedup_by_key(|(error, _)| error.row);
    let mut keep = vec![true; batch.len()];
    let mut errors = Vec::with_capacity(bad.len());
    for (error, is_key) in bad {
        keep[error.row] = false;
        let side = if is_key { "key" } else { "value" };
        errors.push(Entry {
            kind: "deserialization",
            topic: set.topic.to_string(),
            partition: set.partition,
            offset: set.offsets[error.row],
            place: if error.place == "timestamp" { error.place } else { side.to_owned() },
            reason: error.reason,
            key: set.keys.get(error.row).map(<[u8]>::to_vec),
            value: set.values.get(error.row).map(<[u8]>::to_vec),
        });
    }
    let indices = keep.iter().enumerate().filter(|(_, keep)| **keep).map(|(i, _)| i as u32).collect();
    Ok(SourceRows { batch: batch.filter(&BooleanArray::from(keep))?, indices, errors })
}

fn null_payloads(set: &RecordSet) -> Option<BooleanBuffer> {
    let any = (0..set.len()).any(|i| set.values.get(i).is_none());
    any.then(|| (0..set.len()).map(|i| set.values.get(i).is_none()).collect())
}

/// > KSQL: a record whose event time cannot be read is skipped; a null value keeps the record's own time.
fn extract_all(
    timestamp: &Timestamp,
    source: &ArrayRef,
    set: &RecordSet,
    null: Option<&BooleanBuffer>,
    bad: &mut Vec<(RecordError, bool)>,
) -> Vec<i64> {
    // The usual case: whole numbers everywhere.
    if let Some(numbers) = source.as_primitive_opt::<Int64Type>()
        && numbers.null_count() == 0
        && null.is_none()
        && bad.is_empty()
    {
        return numbers.values().to_vec();
    }
    let mut times = Vec::with_capacity(set.len());
    let mut failed: Vec<usize> = bad.iter().map(|(error, _)| error.row).collect();
    failed.sort_unstable();
    for i in 0..set.len() {
        if null.is_some_and(|null| null.value(i)) || failed.binary_search(&i).is_ok() {
            times.push(set.timestamps[i]);
            continue;
        }
        match event_time(&Value::from_array(source, i), timestamp.pattern.as_ref()) {
            Ok(time) => times.push(time),
            Err(reason) => {
                let reason = format!("event time column {}: {reason}", timestamp.column);
                bad.push((RecordError { row: i, place: "timestamp".into(), reason }, false));
                times.push(NO_TIME);
            }
        }
    }
    times
}

/// The event time that a cell says.
pub fn event_time(value: &Value, pattern: Option<&DatePattern>) -> Result<i64, String> {
    match (value, pattern) {
        (Value::BigInt(ms) | Value::Timestamp(ms), _) => Ok(*ms),
        (Value::Int(ms), _) => Ok(i64::from(*ms)),
        (Value::String(text), Some(pattern)) => pattern.parse_timestamp(text, Zone::UTC).map_err(|e| e.to_string()),
        (Value::String(_), None) => Err("text needs a TIMESTAMP_FORMAT".to_owned()),
        (Value::Null, _) => Err("it is NULL".to_owned()),
        _ => Err("it is no time".to_owned()),
    }
}

/// > KSQL: `HEADER('k')` is the last header of that name.
fn headers_column(set: &RecordSet, which: Option<&str>, data_type: &arrow::datatypes::DataType) -> ArrayRef {
    match which {
        Some(name) => {
            let mut builder = BinaryBuilder::new();
            for i in 0..set.len() {
                let header = set.headers_of(i).iter().rev().find(|header| header.key == name);
                builder.append_option(header.and_then(|header| header.value.as_deref()));
            }
            Arc::new(builder.finish())
        }
        None => {
            debug_assert!(crate::types::schema::is_headers_type(data_type));
            let mut builder = ValueBuilder::new(&crate::types::schema::headers_type(), set.len());
            for i in 0..set.len() {
                let headers = set.headers_of(i).iter().map(|header| {
                    let value = header.value.clone().map_or(Value::Null, Value::Bytes);
                    Value::Struct(vec![Value::String(header.key.clone()), value])
                });
                builder.push(&Value::Array(headers.collect()));
            }
            builder.finish()
        }
    }
}
