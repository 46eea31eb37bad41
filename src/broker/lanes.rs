//! [`Lanes`]: what several queries of a process read is read once.
//!
//! A lane reads one partition, from some offset on, and hands each record set to all who follow it. There is no thread:
//! the follower who is first to want more reads it, the others find it there. Followers go at their own pace within
//! bounds: who stands far behind the others is left to a lane of its own, and comes back once it has caught up.
//!
//! **Invariant:** a follower gets every record from its position on, in order and once, whichever lanes it follows
//! meanwhile. Sources are read under their lane's lock and wake through another one, so that a source may ring while it
//! holds a lock of its own.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

use super::TopicPartition;
use crate::change::RecordSet;
use crate::error::{Error, ErrorKind, Result};
use crate::time::Clock;

/// Bytes of records that all lanes together keep for followers who have not taken them yet; a lane may always keep its
/// least.
const KEPT_BYTES: usize = 32 << 20;
const KEPT_BYTES_LEAST: usize = 1 << 20;
/// A follower that holds up others is left behind when it has not come for so long,
const STUCK_US: i64 = 10_000_000;
/// or when what it has yet to take was read so long ago.
const SLOW_US: i64 = 30_000_000;
/// For so long a new lane keeps what it read for followers that are expected.
const YOUNG_US: i64 = 5_000_000;
/// How often a follower looks for an older lane.
const LOOK_US: i64 = 100_000;

/// Reads one partition.
pub(super) trait Source: Send {
    /// Appends at most `max` records of those that have come; none when it fails.
    fn read(&mut self, max: usize, into: &mut RecordSet) -> Result<()>;
    /// One past the last record of the partition, as far as the source knows.
    fn end_offset(&self) -> Option<i64>;
}

/// Makes sources.
pub(super) trait Sources: Send + Sync {
    /// Reads the partition from `offset` on. The waker is woken when there is something to read. Followers that name
    /// the same `reader` are served by the same connection where possible.
    fn open(&self, partition: &TopicPartition, offset: i64, reader: usize, waker: Waker) -> Result<Box<dyn Source>>;
}

/// All lanes of a process.
pub(super) struct Lanes {
    sources: Box<dyn Sources>,
    clock: Arc<dyn Clock>,
    lists: Mutex<Lists>,
    open: AtomicUsize,
    next_id: AtomicUsize,
}

#[derive(Default)]
struct Lists {
    /// The oldest lane of a partition is the first.
    lanes: BTreeMap<TopicPartition, Vec<Arc<Lane>>>,
    /// How many followers of a topic are on their way.
    expected: BTreeMap<String, Arc<AtomicUsize>>,
}

struct Lane {
    partition: TopicPartition,
    opened_us: i64,
    expected: Arc<AtomicUsize>,
    followers: Arc<Followers>,
    state: Mutex<State>,
}

struct State {
    source: Box<dyn Source>,
    /// What was read from `start` to `head` and not taken by everybody.
    kept: VecDeque<Kept>,
    bytes: usize,
    start: i64,
    head: i64,
    places: Vec<Place>,
    /// Why the source cannot go on.
    failure: Option<(ErrorKind, String)>,
}

struct Kept {
    set: Arc<RecordSet>,
    next: i64,
    read_us: i64,
}

struct Place {
    id: usize,
    position: i64,
    came_us: i64,
}

/// Whom a source wakes.
#[derive(Default)]
struct Followers(Mutex<Vec<(usize, Waker)>>);

impl Wake for Followers {
    fn wake(self: Arc<Self>) {
        lock(&self.0).iter().for_each(|(_, waker)| waker.wake_by_ref());
    }
}

/// What a follower got.
#[derive(Debug)]
pub(super) enum Taken {
    /// Records.
    Set(Arc<RecordSet>),
    /// There is nothing to read; the waker will say when.
    Nothing,
    /// Others have to take theirs first. Nobody says when they have: look again soon.
    HeldUp,
}

/// Somebody who reads a partition.
pub(super) struct Follower {
    lanes: Arc<Lanes>,
    lane: Option<Arc<Lane>>,
    id: usize,
    partition: TopicPartition,
    position: i64,
    reader: usize,
    waker: Waker,
    end: Option<i64>,
    looked_us: i64,
}

/// Followers of these topics are on their way, until this is dropped.
pub struct Expectation(Vec<Arc<AtomicUsize>>);

impl Drop for Expectation {
    fn drop(&mut self) {
        for expected in &self.0 {
            expected.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Lanes {
    /// No lane yet.
    pub(super) fn new(sources: Box<dyn Sources>, clock: Arc<dyn Clock>) -> Arc<Self> {
        let (open, next_id) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { sources, clock, lists: Mutex::default(), open, next_id })
    }

    /// Says that followers will come, so that the first one does not run away from them.
    pub(super) fn expect(&self, topics: &[String]) -> Expectation {
        let mut lists = lock(&self.lists);
        let counts = topics.iter().map(|topic| {
            let count = lists.expected(topic);
            count.fetch_add(1, Ordering::Relaxed);
            count
        });
        Expectation(counts.collect())
    }

    /// Somebody who reads a partition from `position` on.
    pub(super) fn follow(
        self: &Arc<Self>,
        partition: &TopicPartition,
        position: i64,
        reader: usize,
        waker: Waker,
    ) -> Follower {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (lanes, partition) = (self.clone(), partition.clone());
        Follower { lanes, lane: None, id, partition, position, reader, waker, end: None, looked_us: 0 }
    }

    /// The lane that the follower goes on with: the oldest that has its next record, or a new one.
    fn join(&self, follower: &Follower, now_us: i64) -> Result<Arc<Lane>> {
        let mut lists = lock(&self.lists);
        let expected = lists.expected(&follower.partition.topic);
        let known = lists.lanes.entry(follower.partition.clone()).or_default();
        if let Some(lane) = known.iter().find(|lane| lane.admit(follower, now_us)) {
            return Ok(lane.clone());
        }
        let followers = Arc::<Followers>::default();
        lock(&followers.0).push((follower.id, follower.waker.clone()));
        let (partition, start) = (follower.partition.clone(), follower.position);
        let source = self.sources.open(&partition, start, follower.reader, followers.clone().into())?;
        let places = vec![Place { id: follower.id, position: start, came_us: now_us }];
        let state = State { source, kept: VecDeque::new(), bytes: 0, start, head: start, places, failure: None };
        let lane = Arc::new(Lane { partition, opened_us: now_us, expected, followers, state: Mutex::new(state) });
        known.push(lane.clone());
        self.open.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(partition = %lane.partition, start, lanes = known.len(), "lane opened");
        Ok(lane)
    }

    /// An older lane than the follower's that has its next record.
    fn older(&self, follower: &Follower, than: &Arc<Lane>, now_us: i64) -> Option<Arc<Lane>> {
        let lists = lock(&self.lists);
        let known = lists.lanes.get(&follower.partition)?;
        let mut older = known.iter().take_while(|lane| !Arc::ptr_eq(lane, than));
        older.find(|lane| lane.admit(follower, now_us)).cloned()
    }

    /// The follower has no business with the lane any more; a lane without followers ends.
    fn leave(&self, lane: &Arc<Lane>, id: usize) {
        let mut lists = lock(&self.lists);
        lock(&lane.followers.0).retain(|(known, _)| *known != id);
        let is_empty = {
            let mut state = lock(&lane.state);
            state.places.retain(|place| place.id != id);
            state.places.is_empty()
        };
        let Some(known) = lists.lanes.get_mut(&lane.partition).filter(|_| is_empty) else { return };
        known.retain(|other| !Arc::ptr_eq(other, lane));
        if known.is_empty() {
            lists.lanes.remove(&lane.partition);
        }
        self.open.fetch_sub(1, Ordering::Relaxed);
        tracing::debug!(partition = %lane.partition, "lane ended");
    }

    /// What one lane may keep.
    fn kept_bytes_max(&self) -> usize {
        (KEPT_BYTES / self.open.load(Ordering::Relaxed).max(1)).max(KEPT_BYTES_LEAST)
    }
}

impl Lists {
    fn expected(&mut self, topic: &str) -> Arc<AtomicUsize> {
        match self.expected.get(topic) {
            Some(count) => count.clone(),
            None => self.expected.entry(topic.to_owned()).or_default().clone(),
        }
    }
}

impl Lane {
    /// Takes the follower in if its next record is here, or is the next to be read.
    fn admit(&self, follower: &Follower, now_us: i64) -> bool {
        let mut state = lock(&self.state);
        let admitted = state.failure.is_none() && (state.start..=state.head).contains(&follower.position);
        if admitted {
            state.places.push(Place { id: follower.id, position: follower.position, came_us: now_us });
            lock(&self.followers.0).push((follower.id, follower.waker.clone()));
        }
        admitted
    }

    /// Whether what was read is kept although everybody who is here has taken it.
    fn waits(&self, now_us: i64) -> bool {
        self.expected.load(Ordering::Relaxed) > 0 && now_us - self.opened_us < YOUNG_US
    }
}

impl State {
    /// The next set of the follower at that place.
    fn take(&mut self, at: usize, max: usize, lane: &Lane, now_us: i64, bytes_max: usize) -> Result<Taken> {
        if let Some((kind, message)) = &self.failure {
            return Err(Error::new(*kind, message.clone()));
        }
        let id = self.places[at].id;
        let position = self.places[at].position;
        self.places[at].came_us = now_us;
        let waits = lane.waits(now_us);
        let kept = self.kept.partition_point(|kept| kept.next <= position);
        let (set, next) = match self.kept.get(kept) {
            Some(kept) => (from(&kept.set, position), kept.next),
            None => {
                let shared = waits || self.places.len() > 1;
                if shared && self.bytes >= bytes_max && (waits || !self.leave_behind(now_us, bytes_max)) {
                    return Ok(Taken::HeldUp);
                }
                match self.read(max, shared, lane, now_us)? {
                    Some(set) => (set, self.head),
                    None => return Ok(Taken::Nothing),
                }
            }
        };
        if let Some(place) = self.places.iter_mut().find(|place| place.id == id) {
            place.position = next;
        }
        if !waits {
            self.trim();
        }
        Ok(Taken::Set(set))
    }

    fn read(&mut self, max: usize, shared: bool, lane: &Lane, now_us: i64) -> Result<Option<Arc<RecordSet>>> {
        let mut set = RecordSet::new(lane.partition.topic.clone(), lane.partition.partition);
        if let Err(error) = self.source.read(max, &mut set) {
            self.failure = Some((error.kind(), error.told()));
            return Err(error);
        }
        let Some(last) = set.offsets.last() else { return Ok(None) };
        self.head = last + 1;
        if shared {
            set.views = Some(Arc::default());
        }
        let set = Arc::new(set);
        self.bytes += set.bytes();
        self.kept.push_back(Kept { set: set.clone(), next: self.head, read_us: now_us });
        Ok(Some(set))
    }

    /// Forgets what everybody has taken.
    fn trim(&mut self) {
        let Some(least) = self.places.iter().map(|place| place.position).min() else { return };
        while let Some(kept) = self.kept.pop_front_if(|kept| kept.next <= least) {
            self.bytes -= kept.set.bytes();
            self.start = kept.next;
        }
    }

    /// Makes room by leaving those behind who do not come, or are slow. Whether there is room now.
    fn leave_behind(&mut self, now_us: i64, bytes_max: usize) -> bool {
        let Some(oldest) = self.kept.front() else { return true };
        let is_slow = now_us - oldest.read_us > SLOW_US;
        let (next, count) = (oldest.next, self.places.len());
        self.places.retain(|place| place.position >= next || !is_slow && now_us - place.came_us <= STUCK_US);
        self.trim();
        if self.places.len() < count {
            tracing::debug!(followers = count - self.places.len(), is_slow, offset = next, "left behind");
        }
        self.bytes < bytes_max
    }
}

/// The records from an offset on.
fn from(set: &Arc<RecordSet>, offset: i64) -> Arc<RecordSet> {
    let first = set.offsets.partition_point(|known| *known < offset);
    if first == 0 {
        return set.clone();
    }
    let mut rest = RecordSet::new(set.topic.clone(), set.partition);
    rest.append(set, first..set.len());
    Arc::new(rest)
}

impl Follower {
    /// The partition.
    pub(super) fn partition(&self) -> &TopicPartition {
        &self.partition
    }

    /// Goes on at another offset.
    pub(super) fn seek(&mut self, offset: i64) {
        self.leave();
        self.position = offset;
        self.end = None;
    }

    /// What comes next; at most `max` records if they have to be read.
    pub(super) fn take(&mut self, max: usize) -> Result<Taken> {
        let now_us = self.lanes.clock.monotonic_us();
        loop {
            let lane = match &self.lane {
                Some(lane) => lane.clone(),
                None => self.lane.insert(self.lanes.join(self, now_us)?).clone(),
            };
            let mut state = lock(&lane.state);
            let Some(at) = state.places.iter().position(|place| place.id == self.id) else {
                // Left behind.
                drop(state);
                self.leave();
                continue;
            };
            let taken = state.take(at, max, &lane, now_us, self.lanes.kept_bytes_max())?;
            if let Taken::Set(set) = &taken {
                self.position = set.offsets.last().map_or(self.position, |last| last + 1);
            }
            self.end = state.source.end_offset().map(|end| end.max(self.position));
            let is_first = self.position == state.head;
            drop(state);
            if is_first && now_us - self.looked_us > LOOK_US {
                self.looked_us = now_us;
                if let Some(older) = self.lanes.older(self, &lane, now_us) {
                    self.leave();
                    self.lane = Some(older);
                }
            }
            return Ok(taken);
        }
    }

    /// Looks where the partition ends without taking anything, if it takes part already.
    pub(super) fn look(&mut self) {
        if let Some(lane) = &self.lane {
            self.end = lock(&lane.state).source.end_offset().map(|end| end.max(self.position));
        }
    }

    /// One past the last record of the partition, as known when it last took or looked.
    pub(super) fn end_offset(&self) -> Option<i64> {
        self.end
    }

    fn leave(&mut self) {
        if let Some(lane) = self.lane.take() {
            self.lanes.leave(&lane, self.id);
        }
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.leave();
    }
}
