//! Writing: change batches to records of the sink topic, or to a repartition topic.

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::Int64Type;

use super::source::event_time;
use super::task::Output;
use crate::broker::OutRecord;
use crate::broker::murmur2::partition_for;
use crate::change::{ChangeBatch, Header, Op, Slots};
use crate::error::{Error, ErrorKind, RecordError, Result};
use crate::format::{Encoder, Formats, Side, internal, window_key};
use crate::plan::formats::names_schema_in_bytes;
use crate::plan::topology::SinkSpec;
use crate::types::date_pattern::DatePattern;
use crate::types::{Column, FormatSpec, KeyWindow, LogicalSchema, Namespace, Value};

/// Rows that a repartition record holds at most, so that it stays far below the broker's message limit.
const REPARTITION_ROWS_MAX: usize = 4096;
/// Bytes that a repartition record holds at most.
const REPARTITION_BYTES_MAX: usize = 700_000;

/// The headers of a row by its arrival number.
pub type HeadersOf<'a> = &'a dyn Fn(u64) -> &'a [Header];

/// Encodes keys and finds partitions.
struct KeyWriter {
    encoder: Box<dyn Encoder>,
    window: Option<KeyWindow>,
    key_len: usize,
    always: bool,
    keys: Slots,
}

impl KeyWriter {
    fn new(
        formats: &Formats,
        format: &FormatSpec,
        topic: &str,
        window: Option<KeyWindow>,
        schema: &LogicalSchema,
        always: bool,
    ) -> Result<Self> {
        let encoder = formats.encoder(format, topic, Side::Key, schema.key())?;
        Ok(Self { encoder, window, key_len: schema.key_len(), always, keys: Slots::default() })
    }

    /// The key bytes of every row; a row without key (all key columns NULL) gets a null key unless it has one `always`.
    fn encode(&mut self, batch: &ChangeBatch) -> Result<Vec<RecordError>> {
        self.keys.clear();
        let columns = &batch.data.columns()[..self.key_len];
        let null = if self.always { None } else { null_keys(columns, batch.len()) };
        let errors = self.encoder.encode(columns, batch.len(), null.as_ref(), &mut self.keys)?;
        if let Some(window) = &self.window {
            let starts = batch.data.column(self.key_len).as_primitive::<Int64Type>();
            let ends = batch.data.column(self.key_len + 1).as_primitive::<Int64Type>();
            let mut windowed = Slots::default();
            window_key::append(self.keys.view(0..batch.len()), window.kind, starts, ends, &mut windowed);
            self.keys = windowed;
        }
        Ok(errors)
    }

    /// The partition of a row; those without key take `instead`.
    ///
    /// > KSQL: windows are no part of it: all windows of a key are in one partition.
    fn partition(&self, row: usize, partitions: i32, instead: i32) -> i32 {
        let Some(key) = self.keys.get(row) else { return instead % partitions };
        let window = self.window.map_or(0, |window| window_key::suffix_len(window.kind));
        partition_for(&key[..key.len().saturating_sub(window)], partitions)
    }
}

fn null_keys(columns: &[ArrayRef], rows: usize) -> Option<BooleanBuffer> {
    if columns.is_empty() || columns.iter().any(|column| column.null_count() == 0) {
        return None;
    }
    Some((0..rows).map(|i| columns.iter().all(|column| column.is_null(i))).collect())
}

/// Writes results to a topic.
pub struct SinkWriter {
    topic: String,
    partitions: i32,
    key: KeyWriter,
    value: Box<dyn Encoder>,
    value_columns: Vec<usize>,
    timestamp: Option<(usize, Option<DatePattern>)>,
    values: Slots,
}

impl SinkWriter {
    /// A writer of rows with `schema` to a topic with that many partitions.
    pub fn new(spec: &SinkSpec, schema: &LogicalSchema, partitions: i32) -> Result<Self> {
        Self::with_formats(spec, schema, partitions, &Formats::default())
    }

    /// The same with formats that know a schema registry.
    pub fn with_formats(spec: &SinkSpec, schema: &LogicalSchema, partitions: i32, formats: &Formats) -> Result<Self> {
        let columns = schema.batch_columns();
        let offset = schema.identity_len();
        let value: Vec<(usize, Column)> = schema
            .value()
            .iter()
            .enumerate()
            .filter(|(_, column)| column.namespace == Namespace::Value)
            .map(|(i, column)| (i + offset, column.clone()))
            .collect();
        let timestamp = match &spec.timestamp {
            None => None,
            Some(t) => {
                let at = columns.iter().position(|column| column.name == t.column);
                let at = at.ok_or_else(|| Error::internal(format!("no column {}", t.column)))?;
                Some((at, t.format.as_deref().map(DatePattern::new).transpose()?))
            }
        };
        let declared: Vec<Column> = value.iter().map(|(_, column)| column.clone()).collect();
        Ok(Self {
            topic: spec.topic.clone(),
            partitions,
            key: KeyWriter::new(formats, &spec.key_format, &spec.topic, spec.window, schema, spec.composed_key)?,
            value: formats.encoder(&spec.value_format, &spec.topic, Side::Value, &declared)?,
            value_columns: value.into_iter().map(|(i, _)| i).collect(),
            timestamp,
            values: Slots::default(),
        })
    }

    /// The topic.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Writes the rows (before images are left out, deletions are tombstones); `task_partition` takes rows without key,
    /// `headers` gives each row's headers by its arrival number.
    /// Returns how many were written, and rows that could not be.
    pub fn write(
        &mut self,
        batch: &ChangeBatch,
        task_partition: i32,
        headers: Option<HeadersOf<'_>>,
        out: &mut dyn Output,
    ) -> Result<(u64, Vec<(u64, RecordError)>)> {
        let filtered;
        let batch = match &batch.ops {
            Some(ops) if ops.contains(&Op::UpdateBefore) => {
                let keep: Vec<bool> = ops.iter().map(|op| *op != Op::UpdateBefore).collect();
                filtered = batch.filter(&BooleanArray::from(keep))?;
                &filtered
            }
            _ => batch,
        };
        let rows = batch.len();
        let null = tombstones(batch);
        let mut errors = self.key.encode(batch)?;
        let columns: Vec<ArrayRef> = self.value_columns.iter().map(|i| batch.data.column(*i).clone()).collect();
        self.values.clear();
        errors.extend(self.value.encode(&columns, rows, null.as_ref(), &mut self.values)?);
        errors.sort_by_key(|error| error.row);
        let mut skip = errors.iter().map(|error| error.row).peekable();
        let mut written = 0;
        let mut unsent = Vec::new();
        for i in 0..rows {
            if skip.next_if(|row| *row == i).is_some() {
                while skip.next_if(|row| *row == i).is_some() {}
                continue;
            }
            let timestamp = match self.event_time(batch, i, null.as_ref()) {
                Ok(timestamp) => timestamp,
                Err(reason) => {
                    unsent.push(RecordError { row: i, place: "timestamp".to_owned(), reason });
                    continue;
                }
            };
            let key = self.key.keys.get(i);
            let partition = self.key.partition(i, self.partitions, task_partition);
            let value = self.values.get(i);
            let headers = headers.map_or(&[][..], |headers| headers(batch.seq[i]));
            match out.send(OutRecord { topic: &self.topic, partition, key, value, timestamp, headers }) {
                Ok(()) => written += 1,
                Err(error) if error.kind() == ErrorKind::Data => unsent.push(refused(i, &error)),
                Err(error) => return Err(error),
            }
        }
        errors.extend(unsent);
        Ok((written, errors.into_iter().map(|error| (batch.seq[error.row], error)).collect()))
    }

    /// > KSQL: a tombstone has no row to take the time from and keeps the change's own.
    fn event_time(&self, batch: &ChangeBatch, row: usize, null: Option<&BooleanBuffer>) -> Result<i64, String> {
        match &self.timestamp {
            Some((at, pattern)) if !null.is_some_and(|null| null.value(row)) => {
                match event_time(&Value::from_array(batch.data.column(*at), row), pattern.as_ref())? {
                    time if time < 0 => Err(format!("the event time {time} lies before 1970")),
                    time => Ok(time),
                }
            }
            _ => Ok(batch.rowtime[row]),
        }
    }
}

/// The topic does not take this record; it takes others.
fn refused(row: usize, error: &Error) -> RecordError {
    RecordError { row, place: "record".to_owned(), reason: error.message().to_owned() }
}

fn tombstones(batch: &ChangeBatch) -> Option<BooleanBuffer> {
    match (&batch.ops, &batch.null_values) {
        (None, null) => null.clone(),
        (Some(ops), null) => {
            let any = null.is_some() || ops.contains(&Op::Delete);
            any.then(|| {
                (0..ops.len())
                    .map(|i| ops[i] == Op::Delete || null.as_ref().is_some_and(|null| null.value(i)))
                    .collect()
            })
        }
    }
}

/// Writes rows to a repartition topic: many rows a record, each in the partition of its key.
pub struct RepartitionWriter {
    topic: String,
    partitions: i32,
    key: KeyWriter,
    by_partition: Vec<Vec<u32>>,
}

impl RepartitionWriter {
    /// A writer of rows with `schema`. Keys are placed as `key_format` would place them, so that the topic is
    /// co-partitioned with other topics of that key format; keys with the number of a schema, which no two topics need
    /// to share, as JSON would.
    pub fn new(topic: &str, partitions: i32, key_format: &FormatSpec, schema: &LogicalSchema) -> Result<Self> {
        let json = FormatSpec::new("JSON", key_format.wrapped);
        let key_format = if names_schema_in_bytes(key_format) { &json } else { key_format };
        let formats = &Formats::default();
        Ok(Self {
            topic: topic.to_owned(),
            partitions,
            key: KeyWriter::new(formats, key_format, topic, None, schema, false)?,
            by_partition: vec![Vec::new(); partitions as usize],
        })
    }

    /// Writes the rows. `now_ms` stamps the records: retention of the internal topic goes by the wall clock. Returns the
    /// rows that are too large for a record, by their arrival numbers.
    pub fn write(
        &mut self,
        batch: &ChangeBatch,
        task_partition: i32,
        now_ms: i64,
        out: &mut dyn Output,
    ) -> Result<Vec<(u64, RecordError)>> {
        self.key.encode(batch)?;
        self.by_partition.iter_mut().for_each(Vec::clear);
        for i in 0..batch.len() {
            let partition = self.key.partition(i, self.partitions, task_partition);
            self.by_partition[partition as usize].push(i as u32);
        }
        let mut errors = Vec::new();
        for (partition, rows) in self.by_partition.iter().enumerate() {
            let rows = batch.take(rows)?;
            let mut start = 0;
            while start < rows.len() {
                let end = rows.whole_updates((start + REPARTITION_ROWS_MAX).min(rows.len()));
                let rows = rows.slice(start, end - start);
                send_rows(&self.topic, partition as i32, &rows, now_ms, out, &mut errors)?;
                start = end;
            }
        }
        Ok(errors)
    }
}

fn send_rows(
    topic: &str,
    partition: i32,
    rows: &ChangeBatch,
    now_ms: i64,
    out: &mut dyn Output,
    errors: &mut Vec<(u64, RecordError)>,
) -> Result<()> {
    let bytes = internal::encode_batch(rows)?;
    let half = rows.whole_updates(rows.len() / 2);
    let may_be_halved = half > 0 && half < rows.len();
    let rows_of = rows.seq.first().copied().unwrap_or(0);
    let record = OutRecord { topic, partition, key: None, value: Some(&bytes), timestamp: now_ms, headers: &[] };
    let sent = match bytes.len() > REPARTITION_BYTES_MAX && may_be_halved {
        true => Err(Error::data("too many rows for one record")),
        false => out.send_internal(record, rows_of),
    };
    match sent {
        Err(error) if error.kind() == ErrorKind::Data && may_be_halved => {
            send_rows(topic, partition, &rows.slice(0, half), now_ms, out, errors)?;
            send_rows(topic, partition, &rows.slice(half, rows.len() - half), now_ms, out, errors)
        }
        Err(error) if error.kind() == ErrorKind::Data => {
            errors.push((rows_of, refused(0, &error)));
            Ok(())
        }
        sent => sent,
    }
}
