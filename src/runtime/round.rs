//! Inputs of a task and the choice of what is processed next.
//!
//! A topic that several source nodes read (a self-join) is one input with several feeds: every record reaches all of
//! them under one arrival number, so that its sides cannot run apart.
//!
//! **Invariant:** records of several inputs interleave by event time of their heads, as far as every input either has
//! a record or is known to have none left.

use std::collections::VecDeque;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;

use super::decoding::QueryReader;
use super::pace::{FREE, Limit};
use super::processing_log::Entry;
use crate::change::{ChangeBatch, Header, RecordSet};
use crate::error::Result;
use crate::format::internal;
use crate::time::NO_TIME;

/// How an input's bytes become rows.
pub enum Reader {
    /// A topic of the outside world.
    Source(Box<QueryReader>),
    /// A repartition topic with these columns.
    Repartition(SchemaRef),
}

/// One input topic partition of a task.
pub struct TaskInput {
    /// The topic.
    pub topic: Arc<str>,
    /// Whether everything that the broker has was fetched.
    pub drained: bool,
    /// Which of the topics of this name it reads; 0 when unknown.
    pub incarnation: u64,
    /// Whether it keeps pace with others; see [`super::pace`].
    pub paced: bool,
    /// Event time of the last entry that was done.
    past: i64,
    feeds: Vec<(usize, Reader)>,
    pieces: VecDeque<Piece>,
    next_offset: i64,
    rows_to_skip: usize,
}

/// A decoded record set and how far it is processed. An entry is what gets one arrival number: a record that at least
/// one feed could read, or a row of a repartition record.
struct Piece {
    set: Arc<RecordSet>,
    feeds: Vec<Feed>,
    /// Record of each entry, as index in `set`.
    records: Vec<u32>,
    /// A record of which so many rows were done before, and are no entries.
    skipped: (u32, usize),
    /// Event time of each entry.
    times: Vec<i64>,
    cursor: usize,
    next_offset: i64,
    /// Memory held until all of it is processed.
    bytes: usize,
    errors: VecDeque<Entry>,
}

struct Feed {
    node: usize,
    batch: ChangeBatch,
    /// Entry of each row; `None` when rows and entries are the same.
    entries: Option<Vec<u32>>,
    cursor: usize,
}

/// Part of a round: rows of one node, and the way back to their records.
pub struct RoundPart {
    /// The node that it feeds.
    pub node: usize,
    /// The rows, numbered.
    pub batch: ChangeBatch,
    records: Vec<u32>,
    set: Arc<RecordSet>,
}

impl RoundPart {
    /// The record that row `seq` came from, for the processing log.
    pub fn origin(&self, seq: u64, place: &str, reason: &str) -> Option<Entry> {
        let row = self.batch.seq.binary_search(&seq).ok()?;
        let i = self.records[row] as usize;
        Some(Entry {
            kind: "expression",
            topic: self.set.topic.to_string(),
            partition: self.set.partition,
            offset: self.set.offsets[i],
            place: place.to_owned(),
            reason: reason.to_owned(),
            key: self.set.keys.get(i).map(<[u8]>::to_vec),
            value: self.set.values.get(i).map(<[u8]>::to_vec),
        })
    }
}

/// The headers of the record that row `seq` came from; none of rows that came over a repartition topic.
pub fn headers_of(parts: &[RoundPart], seq: u64) -> &[Header] {
    let of_part = |part: &'_ RoundPart| part.batch.seq.binary_search(&seq).ok().map(|row| part.records[row] as usize);
    parts.iter().find_map(|part| Some(part.set.headers_of(of_part(part)?))).unwrap_or_default()
}

/// Whether any record of the round has headers.
pub fn any_headers(parts: &[RoundPart]) -> bool {
    parts.iter().any(|part| !part.set.headers.is_empty())
}

impl TaskInput {
    /// An input that starts at `offset`, after `rows_to_skip` rows of its first record, and feeds these nodes.
    pub fn new(topic: Arc<str>, feeds: Vec<(usize, Reader)>, offset: i64, rows_to_skip: usize) -> Self {
        Self {
            topic,
            drained: false,
            incarnation: 0,
            paced: false,
            past: NO_TIME,
            feeds,
            pieces: VecDeque::new(),
            next_offset: offset,
            rows_to_skip,
        }
    }

    /// Decodes and queues records. Returns how many came.
    pub fn push(&mut self, set: Arc<RecordSet>) -> Result<usize> {
        let Some(last) = set.offsets.last() else { return Ok(0) };
        self.next_offset = last + 1;
        let piece = match self.feeds.as_mut_slice() {
            [(node, Reader::Repartition(schema))] => {
                repartitioned(*node, schema, &set, self.next_offset, &mut self.rows_to_skip)?
            }
            feeds => decoded(feeds, &set, self.next_offset)?,
        };
        let entries = piece.times.len();
        self.pieces.push_back(piece);
        Ok(entries)
    }

    /// Entries that wait.
    pub fn queued(&self) -> usize {
        self.pieces.iter().map(|piece| piece.times.len() - piece.cursor).sum()
    }

    /// Memory that they hold.
    pub fn queued_bytes(&self) -> usize {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    /// The next offset to fetch.
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// Event time of what it does next, for others to wait for.
    pub fn place(&self) -> i64 {
        let head = self.pieces.iter().find_map(|piece| piece.head(0));
        match head {
            _ if !self.paced => FREE,
            Some(time) => time,
            None if self.drained => FREE,
            None => self.past,
        }
    }

    /// Offset of the first record that is not done, and how many of its rows are.
    pub fn position(&self) -> (i64, usize) {
        match self.pieces.front() {
            None => (self.next_offset, self.rows_to_skip),
            Some(piece) => piece.position(),
        }
    }

    /// Drops finished pieces; hands over what could not be read in front of the position.
    fn finish(&mut self, log: &mut Vec<Entry>) {
        while let Some(piece) = self.pieces.front_mut() {
            let (position, _) = piece.reached();
            while piece.errors.front().is_some_and(|error| error.offset < position) {
                log.extend(piece.errors.pop_front());
            }
            if piece.cursor < piece.times.len() {
                break;
            }
            self.past = piece.times.last().copied().unwrap_or(self.past);
            self.pieces.pop_front();
        }
    }
}

/// Rows of repartition records: many a record.
fn repartitioned(
    node: usize,
    schema: &SchemaRef,
    set: &Arc<RecordSet>,
    next_offset: i64,
    rows_to_skip: &mut usize,
) -> Result<Piece> {
    let mut batches = Vec::with_capacity(set.len());
    let mut records = Vec::new();
    let mut skipped = (0, 0);
    for i in 0..set.len() {
        let Some(bytes) = set.values.get(i) else { continue };
        let whose = || format!("record {} of {}-{}", set.offsets[i], set.topic, set.partition);
        let batch = internal::decode_batch(bytes, schema.clone()).map_err(|error| error.context(whose()))?;
        let skip = std::mem::take(rows_to_skip).min(batch.len());
        if skip > 0 {
            skipped = (i as u32, skip);
        }
        records.extend(std::iter::repeat_n(i as u32, batch.len() - skip));
        batches.push(batch.slice(skip, batch.len() - skip));
    }
    let batch = ChangeBatch::concat(&batches)?.unwrap_or_else(|| ChangeBatch::empty(schema.clone()));
    Ok(Piece {
        set: set.clone(),
        times: batch.rowtime.to_vec(),
        bytes: set.bytes() + batch.data.get_array_memory_size(),
        feeds: vec![Feed { node, batch, entries: None, cursor: 0 }],
        skipped,
        records,
        cursor: 0,
        next_offset,
        errors: VecDeque::new(),
    })
}

/// Records as each feed reads them.
fn decoded(feeds: &mut [(usize, Reader)], set: &Arc<RecordSet>, next_offset: i64) -> Result<Piece> {
    let mut errors = Vec::new();
    let mut read = Vec::with_capacity(feeds.len());
    for (node, reader) in feeds {
        if let Reader::Source(reader) = reader {
            let rows = reader.read(set)?;
            // One complaint a record is enough, whichever feed it comes from.
            if read.is_empty() {
                errors = rows.errors;
            }
            read.push((*node, rows.batch, rows.indices));
        }
    }
    let (records, times) = match read.as_slice() {
        [(_, batch, indices)] => (indices.clone(), batch.rowtime.to_vec()),
        _ => {
            let mut times: Vec<Option<i64>> = vec![None; set.len()];
            for (_, batch, indices) in &read {
                for (row, record) in indices.iter().enumerate() {
                    times[*record as usize].get_or_insert(batch.rowtime[row]);
                }
            }
            let each = || times.iter().enumerate().filter_map(|(i, time)| Some((i as u32, (*time)?)));
            (each().map(|(i, _)| i).collect(), each().map(|(_, time)| time).collect())
        }
    };
    let single = read.len() == 1;
    let bytes = set.bytes() + read.iter().map(|(_, batch, _)| batch.data.get_array_memory_size()).sum::<usize>();
    let feeds = read
        .into_iter()
        .map(|(node, batch, indices)| {
            let entry = |record: &u32| records.binary_search(record).unwrap_or(0) as u32;
            let entries = (!single).then(|| indices.iter().map(entry).collect());
            Feed { node, batch, entries, cursor: 0 }
        })
        .collect();
    Ok(Piece {
        set: set.clone(),
        feeds,
        skipped: (0, 0),
        records,
        times,
        cursor: 0,
        next_offset,
        bytes,
        errors: errors.into(),
    })
}

impl Piece {
    /// What is committed: not past a record that could not be read as long as nobody was told so.
    fn position(&self) -> (i64, usize) {
        let reached = self.reached();
        self.errors.front().map_or(reached, |error| reached.min((error.offset, 0)))
    }

    fn reached(&self) -> (i64, usize) {
        match self.records.get(self.cursor) {
            None => (self.next_offset, 0),
            Some(record) => {
                let done = self.records[..self.cursor].iter().rev().take_while(|r| *r == record).count();
                let before = if self.skipped.0 == *record { self.skipped.1 } else { 0 };
                (self.set.offsets[*record as usize], before + done)
            }
        }
    }

    /// `entries` from the cursor on, or one more so that no update is parted: only repartitioned rows know updates, and
    /// there a row is an entry.
    fn whole(&self, entries: usize) -> usize {
        match self.feeds.as_slice() {
            [feed] if feed.entries.is_none() => feed.batch.whole_updates(self.cursor + entries) - self.cursor,
            _ => entries,
        }
    }

    fn head(&self, ahead: usize) -> Option<i64> {
        self.times.get(self.cursor + ahead).copied()
    }

    /// Takes as many entries as there are numbers in `seq`.
    fn take(&mut self, seq: &[u64], parts: &mut Vec<RoundPart>) {
        let (start, end) = (self.cursor, self.cursor + seq.len());
        self.cursor = end;
        for feed in &mut self.feeds {
            let first = feed.cursor;
            let rows = match &feed.entries {
                None => seq.len(),
                Some(entries) => entries[first..].iter().take_while(|entry| (**entry as usize) < end).count(),
            };
            feed.cursor += rows;
            let mut batch = feed.batch.slice(first, rows);
            let (numbers, records): (Vec<u64>, Vec<u32>) = match &feed.entries {
                None => (seq.to_vec(), self.records[start..end].to_vec()),
                Some(entries) => entries[first..first + rows]
                    .iter()
                    .map(|entry| (seq[*entry as usize - start], self.records[*entry as usize]))
                    .unzip(),
            };
            batch.seq = numbers.into();
            if rows > 0 {
                parts.push(RoundPart { node: feed.node, batch, records, set: self.set.clone() });
            }
        }
    }
}

/// The next rows to process together, at most about `rows_max`, numbered from `next_seq` on; `None` when there is
/// nothing to do until more is fetched.
pub fn next_round(
    inputs: &mut [TaskInput],
    next_seq: &mut u64,
    rows_max: usize,
    limit: Limit,
    log: &mut Vec<Entry>,
) -> Option<Vec<RoundPart>> {
    inputs.iter_mut().for_each(|input| input.finish(log));
    if inputs.iter().any(|input| input.pieces.is_empty() && !input.drained) {
        return None;
    }
    let active: Vec<usize> = (0..inputs.len()).filter(|i| !inputs[*i].pieces.is_empty()).collect();
    let mut parts = Vec::new();
    match active[..] {
        [] => return None,
        [only] => {
            let input = &inputs[only];
            let piece = input.pieces.front()?;
            let ahead = &piece.times[piece.cursor..];
            let ahead = &ahead[..ahead.len().min(rows_max)];
            let allowed = ahead.iter().position(|time| input.paced && !limit.allows(*time)).unwrap_or(ahead.len());
            if allowed == 0 {
                return None;
            }
            let piece = inputs[only].pieces.front_mut()?;
            let entries = piece.whole(allowed) as u64;
            let seq: Vec<u64> = (*next_seq..*next_seq + entries).collect();
            *next_seq += entries;
            piece.take(&seq, &mut parts);
        }
        _ => interleave(inputs, &active, next_seq, rows_max, limit, &mut parts),
    }
    inputs.iter_mut().for_each(|input| input.finish(log));
    (!parts.is_empty()).then_some(parts)
}

/// Takes entries by event time until one of the inputs has no further one at hand.
fn interleave(
    inputs: &mut [TaskInput],
    active: &[usize],
    next_seq: &mut u64,
    rows_max: usize,
    limit: Limit,
    parts: &mut Vec<RoundPart>,
) {
    let mut seqs: Vec<Vec<u64>> = vec![Vec::new(); active.len()];
    let paced: Vec<bool> = active.iter().map(|i| inputs[*i].paced).collect();
    let mut fronts: Vec<&mut Piece> = inputs
        .iter_mut()
        .enumerate()
        .filter(|(i, _)| active.contains(i))
        .filter_map(|(_, input)| input.pieces.front_mut())
        .collect();
    let mut heads: Vec<Option<i64>> = fronts.iter().map(|piece| piece.head(0)).collect();
    for _ in 0..rows_max {
        let Some(next) = (0..fronts.len()).min_by_key(|i| heads[*i].unwrap_or(i64::MAX)) else { break };
        if paced[next] && heads[next].is_some_and(|time| !limit.allows(time)) {
            break;
        }
        seqs[next].push(*next_seq);
        *next_seq += 1;
        heads[next] = fronts[next].head(seqs[next].len());
        if heads[next].is_none() {
            break;
        }
    }
    for (piece, mut seq) in fronts.iter_mut().zip(seqs) {
        if !seq.is_empty() && piece.whole(seq.len()) > seq.len() {
            seq.push(*next_seq);
            *next_seq += 1;
        }
        piece.take(&seq, parts);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_not_past_what_nobody_was_told_of() {
        let mut set = RecordSet::new("a".into(), 0);
        for offset in 5..8 {
            set.push(offset, 0, None, None, Vec::new());
        }
        let error = |offset| Entry {
            kind: "deserialization",
            topic: "a".to_owned(),
            partition: 0,
            offset,
            place: "value".to_owned(),
            reason: "no JSON".to_owned(),
            key: None,
            value: None,
        };
        let mut input = TaskInput::new("a".into(), Vec::new(), 5, 0);
        input.pieces.push_back(Piece {
            set: Arc::new(set),
            feeds: Vec::new(),
            records: vec![1],
            skipped: (0, 0),
            times: vec![0],
            cursor: 0,
            next_offset: 8,
            bytes: 0,
            errors: [error(5), error(7)].into(),
        });
        let mut log = Vec::new();
        assert_eq!(input.position(), (5, 0), "fetched, and nothing else");
        input.finish(&mut log);
        assert_eq!((input.position(), log.len()), ((6, 0), 1));
        input.pieces[0].cursor = 1;
        assert_eq!(input.position(), (7, 0));
        input.finish(&mut log);
        input.next_offset = 8;
        assert_eq!((input.position(), log.len()), ((8, 0), 2));
    }
}
