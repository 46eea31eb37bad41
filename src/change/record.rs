//! [`RecordSet`]: messages of one topic partition in one slab of bytes.

use std::any::Any;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// A record header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Its name.
    pub key: String,
    /// Its bytes; `None` is a null header.
    pub value: Option<Vec<u8>>,
}

/// Byte strings, or nulls, back to back in one buffer: keys or values of many records.
#[derive(Debug, Clone, Default)]
pub struct Slots {
    /// The bytes.
    pub data: Vec<u8>,
    ranges: Vec<(u32, u32)>,
}

const NULL: (u32, u32) = (u32::MAX, u32::MAX);

impl Slots {
    /// How many.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Forgets all, keeping the memory.
    pub fn clear(&mut self) {
        self.data.clear();
        self.ranges.clear();
    }

    /// Appends a copy of `bytes`, or a null.
    #[inline]
    pub fn push(&mut self, bytes: Option<&[u8]>) {
        match bytes {
            None => self.ranges.push(NULL),
            Some(bytes) => {
                let start = self.data.len();
                self.data.extend_from_slice(bytes);
                self.close(start);
            }
        }
    }

    /// Appends what was written to `data` since it was `start` bytes long.
    #[inline]
    pub fn close(&mut self, start: usize) {
        self.ranges.push((start as u32, self.data.len() as u32));
    }

    /// Appends a null.
    #[inline]
    pub fn push_null(&mut self) {
        self.ranges.push(NULL);
    }

    /// The `i`-th, `None` for null.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&[u8]> {
        let (start, end) = self.ranges[i];
        (start != u32::MAX).then(|| &self.data[start as usize..end as usize])
    }

    /// Appends copies of a part of `other`, bytes in one piece.
    pub fn append(&mut self, other: &Self, range: Range<usize>) {
        let part = &other.ranges[range];
        let used = || part.iter().filter(|range| **range != NULL);
        let (Some(first), Some(last)) = (used().next(), used().next_back()) else {
            self.ranges.extend_from_slice(part);
            return;
        };
        let (from, to) = (first.0, last.1);
        let base = self.data.len() as u32;
        self.data.extend_from_slice(&other.data[from as usize..to as usize]);
        self.ranges.extend(part.iter().map(|range| match *range {
            NULL => NULL,
            (start, end) => (start - from + base, end - from + base),
        }));
    }

    /// A view of a part.
    pub fn view(&self, range: Range<usize>) -> Payloads<'_> {
        Payloads { data: &self.data, ranges: &self.ranges[range] }
    }
}

/// A borrowed run of byte strings or nulls: what a decoder reads.
#[derive(Debug, Clone, Copy)]
pub struct Payloads<'a> {
    data: &'a [u8],
    ranges: &'a [(u32, u32)],
}

impl<'a> Payloads<'a> {
    /// How many.
    pub fn len(&self) -> usize {
        self.ranges.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The `i`-th, `None` for null.
    #[inline]
    pub fn get(&self, i: usize) -> Option<&'a [u8]> {
        let (start, end) = self.ranges[i];
        (start != u32::MAX).then(|| &self.data[start as usize..end as usize])
    }

    /// Whether there are only ASCII characters in the buffer that they are of.
    pub fn is_ascii(&self) -> bool {
        self.data.is_ascii()
    }

    /// All, in order.
    pub fn iter(&self) -> impl Iterator<Item = Option<&'a [u8]>> + use<'a> {
        let this = *self;
        (0..this.len()).map(move |i| this.get(i))
    }
}

/// Messages of one topic partition, in offset order.
#[derive(Debug, Clone)]
pub struct RecordSet {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition.
    pub partition: i32,
    /// Offsets, ascending, not always consecutive.
    pub offsets: Vec<i64>,
    /// Timestamps in milliseconds.
    pub timestamps: Vec<i64>,
    /// Key bytes.
    pub keys: Slots,
    /// Value bytes.
    pub values: Slots,
    /// Headers, one list a record; empty when no record has any.
    pub headers: Vec<Vec<Header>>,
    /// There when several readers get the same set.
    pub views: Option<Arc<Views>>,
}

/// What readers of the same records make of them, so that each view is made once.
#[derive(Default)]
pub struct Views(Mutex<Vec<(u64, Arc<OnceLock<Option<View>>>)>>);

type View = Arc<dyn Any + Send + Sync>;

impl Views {
    /// The view of that number; whoever asks first makes it, others wait for it. `None` when there is none to share.
    pub fn get_or_make(&self, number: u64, make: impl FnOnce() -> Option<View>) -> Option<View> {
        let cell = {
            let mut list = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            match list.iter().find(|(known, _)| *known == number) {
                Some((_, cell)) => cell.clone(),
                None => {
                    let cell = Arc::<OnceLock<_>>::default();
                    list.push((number, cell.clone()));
                    cell
                }
            }
        };
        cell.get_or_init(make).clone()
    }
}

impl std::fmt::Debug for Views {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Views").finish_non_exhaustive()
    }
}

impl RecordSet {
    /// Roughly the memory that its records take.
    pub fn bytes(&self) -> usize {
        let headers = self.headers.iter().flatten();
        let headers: usize = headers.map(|h| h.key.len() + h.value.as_ref().map_or(0, Vec::len) + 48).sum();
        self.keys.data.len() + self.values.data.len() + headers + 32 * self.offsets.len()
    }

    /// An empty set.
    pub fn new(topic: Arc<str>, partition: i32) -> Self {
        Self {
            topic,
            partition,
            offsets: Vec::new(),
            timestamps: Vec::new(),
            keys: Slots::default(),
            values: Slots::default(),
            headers: Vec::new(),
            views: None,
        }
    }

    /// How many records.
    pub fn len(&self) -> usize {
        self.offsets.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.offsets.is_empty()
    }

    /// Appends a record.
    #[inline]
    pub fn push(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: Vec<Header>,
    ) {
        if !headers.is_empty() || !self.headers.is_empty() {
            self.headers.resize(self.len(), Vec::new());
            self.headers.push(headers);
        }
        self.offsets.push(offset);
        self.timestamps.push(timestamp);
        self.keys.push(key);
        self.values.push(value);
    }

    /// Appends copies of some records of `other`.
    pub fn append(&mut self, other: &Self, range: Range<usize>) {
        if !other.headers.is_empty() || !self.headers.is_empty() {
            self.headers.resize(self.len(), Vec::new());
            self.headers.extend(range.clone().map(|i| other.headers_of(i).to_vec()));
        }
        self.offsets.extend_from_slice(&other.offsets[range.clone()]);
        self.timestamps.extend_from_slice(&other.timestamps[range.clone()]);
        self.keys.append(&other.keys, range.clone());
        self.values.append(&other.values, range);
    }

    /// About how many bytes of memory it takes.
    pub fn weight(&self) -> usize {
        let headers = self.headers.iter().flatten();
        let headers: usize = headers.map(|h| 64 + h.key.len() + h.value.as_ref().map_or(0, Vec::len)).sum();
        self.len() * 32 + self.keys.data.len() + self.values.data.len() + headers
    }

    /// The headers of record `i`.
    pub fn headers_of(&self, i: usize) -> &[Header] {
        self.headers.get(i).map_or(&[], Vec::as_slice)
    }
}
