use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;
use crate::time::ManualClock;

/// A partition with so many records, of which some offsets are missing, as markers of transactions are.
struct Topic {
    records: AtomicUsize,
    bytes: usize,
    opened: AtomicUsize,
    reading: AtomicUsize,
    read: AtomicUsize,
    fails: AtomicBool,
    wakers: Mutex<Vec<Waker>>,
}

fn exists(offset: i64) -> bool {
    offset % 7 != 3
}

struct Reading(Arc<Topic>, i64);

impl Source for Reading {
    fn read(&mut self, max: usize, into: &mut RecordSet) -> Result<()> {
        if self.0.fails.load(Ordering::Relaxed) {
            return Err(Error::new(ErrorKind::Unavailable, "the offset is gone"));
        }
        let end = self.0.records.load(Ordering::Relaxed) as i64;
        while self.1 < end && into.len() < max {
            if exists(self.1) {
                into.push(self.1, self.1, None, Some(&vec![0; self.0.bytes]), Vec::new());
                self.0.read.fetch_add(1, Ordering::Relaxed);
            }
            self.1 += 1;
        }
        Ok(())
    }

    fn end_offset(&self) -> Option<i64> {
        Some(self.0.records.load(Ordering::Relaxed) as i64)
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.reading.fetch_sub(1, Ordering::Relaxed);
    }
}

struct Cluster(Arc<Topic>);

impl Sources for Cluster {
    fn open(&self, _: &TopicPartition, offset: i64, _: usize, waker: Waker) -> Result<Box<dyn Source>> {
        self.0.opened.fetch_add(1, Ordering::Relaxed);
        self.0.reading.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.wakers).push(waker);
        Ok(Box::new(Reading(self.0.clone(), offset)))
    }
}

struct World {
    topic: Arc<Topic>,
    clock: Arc<ManualClock>,
    lanes: Arc<Lanes>,
}

impl World {
    fn new(records: usize, bytes: usize) -> Self {
        let topic = Arc::new(Topic {
            records: records.into(),
            bytes,
            opened: AtomicUsize::new(0),
            reading: AtomicUsize::new(0),
            read: AtomicUsize::new(0),
            fails: AtomicBool::new(false),
            wakers: Mutex::default(),
        });
        let clock = ManualClock::new(1000);
        let lanes = Lanes::new(Box::new(Cluster(topic.clone())), clock.clone());
        Self { topic, clock, lanes }
    }

    fn follow(&self, position: i64) -> Follower {
        self.lanes.follow(&TopicPartition::new("t", 0), position, 0, Waker::noop().clone())
    }

    fn count(&self, of: impl Fn(&Topic) -> &AtomicUsize) -> usize {
        of(&self.topic).load(Ordering::Relaxed)
    }
}

fn offsets(taken: &Taken) -> Vec<i64> {
    match taken {
        Taken::Set(set) => set.offsets.clone(),
        _ => Vec::new(),
    }
}

/// All that the follower can get now.
fn rest(follower: &mut Follower, max: usize) -> Vec<i64> {
    let mut all = Vec::new();
    loop {
        match offsets(&follower.take(max).expect("records")) {
            set if set.is_empty() => return all,
            set => all.extend(set),
        }
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Take(usize, usize),
    Seek(usize, i64),
    Replace(usize, i64),
    Arrive(usize),
    Wait(i64),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        10 => (0..4usize, 1..30usize).prop_map(|(who, max)| Deed::Take(who, max)),
        1 => (0..4usize, 0..200i64).prop_map(|(who, offset)| Deed::Seek(who, offset)),
        1 => (0..4usize, 0..200i64).prop_map(|(who, offset)| Deed::Replace(who, offset)),
        2 => (1..40usize).prop_map(Deed::Arrive),
        2 => (0..4000i64).prop_map(Deed::Wait),
    ];
    proptest::collection::vec(deed, 1..150)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Records of 100 kB: a lane keeps ten of them at most when there are many lanes.
    #[test]
    fn everybody_gets_every_record_once_in_order(deeds in deeds(), expected in any::<bool>()) {
        let world = World::new(50, 100_000);
        let expectation = expected.then(|| world.lanes.expect(&["t".to_owned()]));
        let mut next = [0, 0, 20, 45];
        let mut followers = next.map(|position| world.follow(position));
        let check = |taken: &Taken, next: &mut i64| -> std::result::Result<(), TestCaseError> {
            for offset in offsets(taken) {
                let due = (*next..).find(|offset| exists(*offset)).expect("a record");
                prop_assert_eq!(offset, due);
                *next = offset + 1;
            }
            Ok(())
        };
        for deed in deeds {
            match deed {
                Deed::Take(who, max) => check(&followers[who].take(max).expect("records"), &mut next[who])?,
                Deed::Seek(who, offset) => {
                    followers[who].seek(offset);
                    next[who] = offset;
                }
                Deed::Replace(who, offset) => (followers[who], next[who]) = (world.follow(offset), offset),
                Deed::Arrive(records) => {
                    world.topic.records.fetch_add(records, Ordering::Relaxed);
                }
                Deed::Wait(ms) => world.clock.advance(ms),
            }
        }
        drop(expectation);
        let end = world.count(|topic| &topic.records) as i64;
        // In turn, so that nobody stands in the way of others for good.
        for _ in 0..1000 {
            for (follower, next) in followers.iter_mut().zip(&mut next) {
                check(&follower.take(10).expect("records"), next)?;
            }
        }
        for (follower, next) in followers.iter().zip(next) {
            prop_assert!((next..end).all(|offset| !exists(offset)), "{} of {}", next, end);
            prop_assert!(next > end || follower.end_offset() == Some(end));
        }
        let lanes = lock(&world.lanes.lists).lanes.values().map(Vec::len).sum::<usize>();
        prop_assert_eq!(lanes, world.count(|topic| &topic.reading));
        drop(followers);
        prop_assert_eq!(world.count(|topic| &topic.reading), 0);
    }
}

#[test]
fn what_several_follow_is_read_once() {
    let world = World::new(1000, 10);
    let mut followers = [0, 0, 0].map(|position| world.follow(position));
    // All take part before anything is far ahead.
    let first: Vec<Taken> = followers.iter_mut().map(|follower| follower.take(100).expect("records")).collect();
    assert_eq!(world.count(|topic| &topic.opened), 3, "nobody keeps records for those of whom nobody knows");
    drop((first, followers));

    let world = World::new(1000, 10);
    let expectation = world.lanes.expect(&["t".to_owned()]);
    let mut followers = [0, 0, 0].map(|position| world.follow(position));
    let first: Vec<Taken> = followers.iter_mut().map(|follower| follower.take(100).expect("records")).collect();
    drop(expectation);
    let [Taken::Set(a), Taken::Set(b), Taken::Set(c)] = first.as_slice() else { panic!("three sets") };
    assert!(Arc::ptr_eq(a, b) && Arc::ptr_eq(b, c));
    assert!(a.views.is_some());
    for follower in &mut followers {
        rest(follower, 100);
    }
    assert_eq!((world.count(|topic| &topic.opened), world.count(|topic| &topic.read)), (1, 857));
    let lane = followers[0].lane.clone().expect("a lane");
    assert!(lock(&lane.state).kept.is_empty(), "all have taken it");
}

#[test]
fn a_single_follower_keeps_nothing_and_shares_nothing() {
    let world = World::new(1000, 10);
    let mut follower = world.follow(5);
    let Taken::Set(set) = follower.take(100).expect("records") else { panic!("a set") };
    assert!(set.views.is_none());
    assert!(lock(&follower.lane.as_ref().expect("a lane").state).kept.is_empty());
    assert_eq!(rest(&mut follower, 300).last(), Some(&999));
    assert!(matches!(follower.take(100), Ok(Taken::Nothing)));
}

#[test]
fn who_does_not_come_is_left_behind_and_comes_back_later() {
    let world = World::new(200, 1 << 20);
    let (mut quick, mut slow) = (world.follow(0), world.follow(0));
    let expectation = world.lanes.expect(&["t".to_owned()]);
    let taken: Vec<i64> = [&mut quick, &mut slow].map(|f| offsets(&f.take(1).expect("a record"))).concat();
    drop(expectation);
    assert_eq!(taken, [0, 0]);
    let ahead = rest(&mut quick, 1);
    assert!((30..40).contains(&ahead.len()), "a lane keeps 32 MB: {}", ahead.len());
    assert!(matches!(quick.take(1), Ok(Taken::HeldUp)));
    world.clock.advance(9900);
    assert!(matches!(quick.take(1), Ok(Taken::HeldUp)), "it may still come");
    world.clock.advance(200);
    assert_eq!(rest(&mut quick, 1).last(), Some(&198));
    assert_eq!(world.count(|topic| &topic.opened), 1);

    assert_eq!(offsets(&slow.take(1).expect("a record")), [1], "it goes on where it was, by itself");
    assert_eq!((world.count(|topic| &topic.opened), world.count(|topic| &topic.reading)), (2, 2));
    assert_eq!(rest(&mut slow, 1).last(), Some(&198));
    world.clock.advance(200);
    assert!(matches!(slow.take(1), Ok(Taken::Nothing)));
    assert_eq!(world.count(|topic| &topic.reading), 1, "it caught up: they read together again");
    assert!(Arc::ptr_eq(quick.lane.as_ref().expect("a lane"), slow.lane.as_ref().expect("a lane")));
}

#[test]
fn who_comes_but_is_far_too_slow_is_left_behind_too() {
    let world = World::new(200, 1 << 20);
    let expectation = world.lanes.expect(&["t".to_owned()]);
    let (mut quick, mut slow) = (world.follow(0), world.follow(0));
    rest(&mut quick, 1);
    drop((slow.take(1), expectation));
    for _ in 0..9 {
        world.clock.advance(3000);
        assert_eq!(offsets(&slow.take(1).expect("a record")).len(), 1);
        assert!((1..3).contains(&rest(&mut quick, 1).len()), "one is taken, one has room");
        assert!(matches!(quick.take(1), Ok(Taken::HeldUp)));
    }
    world.clock.advance(4000);
    assert_eq!(offsets(&slow.take(1).expect("a record")).len(), 1);
    assert_eq!(rest(&mut quick, 1).last(), Some(&198), "what the slow one is to take now was read half a minute ago");
    assert_eq!(rest(&mut slow, 1).last(), Some(&198));
}

#[test]
fn a_new_lane_waits_for_those_who_are_expected_but_not_for_long() {
    let world = World::new(200, 1 << 20);
    let expectation = world.lanes.expect(&["t".to_owned(), "u".to_owned()]);
    let mut first = world.follow(0);
    assert!(rest(&mut first, 1).len() < 50);
    assert!(matches!(first.take(1), Ok(Taken::HeldUp)));
    world.clock.advance(5000);
    assert_eq!(rest(&mut first, 1).last(), Some(&198));
    drop(expectation);

    let world = World::new(200, 1 << 20);
    let expectation = world.lanes.expect(&["t".to_owned()]);
    let mut first = world.follow(0);
    rest(&mut first, 1);
    drop(expectation);
    assert_eq!(rest(&mut first, 1).last(), Some(&198), "nobody is on the way any more");
}

#[test]
fn all_hear_of_a_source_that_cannot_go_on() {
    let world = World::new(100, 10);
    let expectation = world.lanes.expect(&["t".to_owned()]);
    let mut followers = [0, 0].map(|position| world.follow(position));
    followers.iter_mut().for_each(|follower| drop(rest(follower, 100)));
    drop(expectation);
    world.topic.fails.store(true, Ordering::Relaxed);
    for follower in &mut followers {
        let error = follower.take(10).expect_err("the source failed");
        assert_eq!((error.kind(), error.message()), (ErrorKind::Unavailable, "the offset is gone"));
    }
    world.topic.fails.store(false, Ordering::Relaxed);
    assert!(followers[0].take(10).is_err(), "the lane is over");
    let mut again = world.follow(50);
    assert_eq!(rest(&mut again, 100).len(), 43, "others open a new one");
}

#[test]
fn a_source_wakes_all_who_follow() {
    struct Count(AtomicUsize);
    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    let world = World::new(10, 10);
    let counts = [0, 1].map(|_| Arc::new(Count(AtomicUsize::new(0))));
    let partition = TopicPartition::new("t", 0);
    let [mut a, mut b] = [0, 1].map(|i| world.lanes.follow(&partition, 0, 0, counts[i].clone().into()));
    let expectation = world.lanes.expect(&["t".to_owned()]);
    drop((rest(&mut a, 100), rest(&mut b, 100), expectation));
    let ring = || lock(&world.topic.wakers)[0].wake_by_ref();
    let woken = || [&counts[0], &counts[1]].map(|count| count.0.load(Ordering::Relaxed));
    ring();
    assert_eq!(woken(), [1, 1]);
    drop(b);
    ring();
    assert_eq!(woken(), [2, 1]);
}
