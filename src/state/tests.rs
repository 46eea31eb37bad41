//! Tests of state on disk: against a model, damaged, full, shared.

use std::collections::BTreeMap;
use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::*;

const ID: StoreId<'_> = StoreId { query: "CTAS_T_1", sub_topology: 0, partition: 3, store: "Aggregate" };
const BUDGET: usize = 64 << 20;

fn env(root: &Path, budget: usize) -> StateEnv {
    StateEnv::on_disk(StateDir::open(root, "svc/1").expect("a slot"), budget, 30_000)
}

fn layout() -> Fingerprint {
    Fingerprint::of(&[b"layout"])
}

fn at(offset: i64) -> Position {
    Position { offset, at_ms: 1_000, incarnation: "i".into() }
}

fn all(store: &StateStore) -> Vec<(Vec<u8>, Vec<u8>)> {
    read(store).expect("readable")
}

fn read(store: &StateStore) -> crate::error::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut found = Vec::new();
    let mut visit = |key: &[u8], value: &[u8]| {
        found.push((key.to_vec(), value.to_vec()));
        ControlFlow::Continue(())
    };
    store.range(Bound::Unbounded, Bound::Unbounded, &mut visit)?;
    Ok(found)
}

/// Accepts the checkpoint and takes all of it into memory that fits.
fn load(store: &mut StateStore) {
    store.accept_local();
    for _ in 0..100 {
        store.relieve().expect("loaded");
    }
}

fn fill(store: &mut StateStore, keys: std::ops::Range<u32>, value: &[u8]) {
    for key in keys {
        store.put(&key.to_be_bytes(), value);
    }
    store.commit().expect("committed");
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, u8),
    Delete(u8),
    Commit,
    Spill,
    Checkpoint,
    Load,
    Reopen,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        8 => (any::<u8>(), any::<u8>()).prop_map(|(key, value)| Op::Put(key % 48, value)),
        4 => any::<u8>().prop_map(|key| Op::Delete(key % 48)),
        3 => Just(Op::Commit),
        1 => Just(Op::Spill),
        1 => Just(Op::Checkpoint),
        1 => Just(Op::Load),
        1 => Just(Op::Reopen),
    ];
    prop::collection::vec(op, 1..120)
}

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A store on disk beside the map that it should equal, and the log that a changelog would be.
struct Bench {
    root: PathBuf,
    env: Option<StateEnv>,
    store: Option<StateStore>,
    now: Model,
    log: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl Bench {
    fn open(&mut self) {
        let env = env(&self.root, BUDGET);
        let mut store = env.store(ID, layout());
        let mut from = 0;
        if let Some(position) = store.local() {
            store.accept_local();
            from = position.offset as usize;
        }
        let mut writes = self.log[from..].iter().map(|(key, value)| (&**key, value.as_deref()));
        store.restore(&mut writes).expect("restored");
        (self.env, self.store) = (Some(env), Some(store));
    }

    fn step(&mut self, op: &Op) {
        let store = self.store.as_mut().expect("open");
        match op {
            Op::Put(key, value) => {
                store.put(&[*key], &vec![*value; usize::from(*value) % 9]);
                self.now.insert(vec![*key], vec![*value; usize::from(*value) % 9]);
            }
            Op::Delete(key) => {
                store.delete(&[*key]);
                self.now.remove(&vec![*key]);
            }
            Op::Load => {}
            Op::Commit | Op::Spill | Op::Checkpoint | Op::Reopen => {
                let mut delta = store.delta();
                while let Some((key, value)) = delta.next_write() {
                    self.log.push((key.to_vec(), value.map(<[u8]>::to_vec)));
                }
                drop(delta);
                store.commit().expect("committed");
            }
        }
        match op {
            Op::Spill => {
                self.env.as_ref().expect("open").budget().ask_all();
                store.relieve().expect("spilled");
                assert_eq!(store.memory_bytes(), 0);
            }
            Op::Load => store.relieve().expect("loaded"),
            Op::Checkpoint => store.checkpoint(&at(self.log.len() as i64)).expect("saved"),
            Op::Reopen => {
                (self.env, self.store) = (None, None);
                self.open();
            }
            _ => {}
        }
    }

    fn check(&self, from: u8, to: u8) {
        let store = self.store.as_ref().expect("open");
        let expected: Vec<_> = self.now.clone().into_iter().collect();
        assert_eq!(all(store), expected);
        for key in 0..48_u8 {
            assert_eq!(store.get(&[key]).expect("readable").as_ref(), self.now.get(&vec![key]));
        }
        let mut part = Vec::new();
        let (from, to) = ([from % 48], [to % 48]);
        let mut visit = |key: &[u8], value: &[u8]| {
            part.push((key.to_vec(), value.to_vec()));
            if part.len() == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        store.range(Bound::Excluded(&from), Bound::Included(&to), &mut visit).expect("readable");
        let inside = expected.into_iter().filter(|(key, _)| **key > from[..] && **key <= to[..]);
        assert_eq!(part, inside.take(3).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn equals_a_map_through_spills_checkpoints_and_restarts(ops in ops(), from: u8, to: u8) {
        let root = tempfile::tempdir().expect("a folder");
        let root = root.path().to_owned();
        let mut bench = Bench { root, env: None, store: None, now: Model::new(), log: Vec::new() };
        bench.open();
        for op in &ops {
            bench.step(op);
        }
        bench.check(from, to);
        bench.step(&Op::Reopen);
        bench.check(from, to);
    }
}

#[test]
fn a_restart_loads_the_checkpoint() {
    let root = tempfile::tempdir().expect("a folder");
    let first = env(root.path(), BUDGET);
    let mut store = first.store(ID, layout());
    assert_eq!((store.local(), store.keeps_checkpoints()), (None, true));
    fill(&mut store, 0..1000, b"first");
    store.checkpoint(&at(1000)).expect("saved");
    fill(&mut store, 990..1010, b"second");
    store.delete(&5_u32.to_be_bytes());
    store.commit().expect("committed");
    store.checkpoint(&at(1021)).expect("saved");
    fill(&mut store, 2000..3000, b"not saved");
    let instance = first.instance_id().to_owned();
    drop((store, first));

    let second = env(root.path(), BUDGET);
    assert_eq!(second.instance_id(), instance);
    let mut store = second.store(ID, layout());
    assert_eq!(store.local(), Some(at(1021)));
    store.accept_local();
    assert_eq!((store.local(), store.memory_bytes()), (None, 0));
    let found = all(&store);
    store.delete(&6_u32.to_be_bytes());
    store.put(&7_u32.to_be_bytes(), b"third");
    store.put(&6000_u32.to_be_bytes(), b"fourth");
    store.commit().expect("committed");
    store.relieve().expect("loaded");
    assert!(store.memory_bytes() > 1009 * 9, "it is in memory");
    let changed = all(&store);
    assert_eq!(changed.len(), 1009);
    assert_eq!(store.get(&6_u32.to_be_bytes()).expect("readable"), None);
    store.checkpoint(&at(1024)).expect("saved");
    drop(store);
    let mut store = second.store(ID, layout());
    load(&mut store);
    assert_eq!(all(&store), changed);
    assert_eq!(found.len(), 1009);
    assert_eq!(found.iter().filter(|(_, value)| value == b"second").count(), 20);
}

#[test]
fn above_the_budget_the_largest_store_spills() {
    let root = tempfile::tempdir().expect("a folder");
    let env = env(root.path(), 8 << 20);
    let mut small = env.store(StoreId { partition: 1, ..ID }, layout());
    let mut large = env.store(ID, layout());
    fill(&mut small, 0..1000, &[7; 100]);
    for round in 0..20_u32 {
        fill(&mut large, round * 10_000..(round + 1) * 10_000, &[round as u8; 100]);
        // Its turn comes when it next looks.
        large.relieve().expect("spilled");
        assert!(env.budget().used() <= env.budget().store_bytes(), "{} in round {round}", env.budget().used());
    }
    assert!(small.memory_bytes() > 40_000, "the small one stays");
    fill(&mut large, 0..10, b"new");
    large.delete(&199_999_u32.to_be_bytes());
    assert_eq!(large.get(&150_000_u32.to_be_bytes()).expect("readable"), Some(vec![15; 100]));
    let found = all(&large);
    assert_eq!(found.len(), 199_999);
    assert_eq!(found[9].1, b"new");
    assert_eq!(found[10].1, [0; 100]);

    // What does not fit stays on disk after a restart as well.
    large.commit().expect("committed");
    large.checkpoint(&at(9)).expect("saved");
    drop(large);
    let mut large = env.store(ID, layout());
    assert_eq!(large.local(), Some(at(9)));
    load(&mut large);
    assert_eq!(large.memory_bytes(), 0);
    assert_eq!(large.get(&3_u32.to_be_bytes()).expect("readable"), Some(b"new".to_vec()));
    assert_eq!(large.get(&199_999_u32.to_be_bytes()).expect("readable"), None);
}

#[test]
fn checkpoints_of_other_layouts_and_versions_are_thrown_away() {
    let root = tempfile::tempdir().expect("a folder");
    let env = env(root.path(), BUDGET);
    let mut store = env.store(ID, layout());
    fill(&mut store, 0..10, b"x");
    store.checkpoint(&at(10)).expect("saved");
    drop(store);
    let store = env.store(ID, Fingerprint::of(&[b"other"]));
    assert_eq!((store.local(), all(&store)), (None, Vec::new()));
    drop(store);
    assert_eq!(env.store(ID, layout()).local(), None, "it is gone");

    let mut store = env.store(ID, layout());
    fill(&mut store, 0..10, b"x");
    store.checkpoint(&at(10)).expect("saved");
    drop(store);
    let dir = env.dir().expect("on disk");
    let mark = |disk: &super::disk::DiskStore| disk.mark().expect("readable").expect("a checkpoint");
    let disk = dir.lease(ID).expect("free");
    let old = super::mark::Mark { version: STATE_VERSION + 1, ..mark(&disk) };
    disk.write(&mut store::Listed(&mut std::iter::empty()), 0, Some(&old)).expect("written");
    drop(disk);
    let mut store = env.store(ID, layout());
    assert_eq!((store.local(), all(&store)), (None, Vec::new()));
    fill(&mut store, 0..1, b"y");
    assert_eq!(all(&store).len(), 1);
}

#[test]
fn processes_take_slots_and_stores_places_of_their_own() {
    let root = tempfile::tempdir().expect("a folder");
    let first = StateDir::open(root.path(), "svc").expect("a slot");
    let second = StateDir::open(root.path(), "svc").expect("another slot");
    assert_ne!(first.path(), second.path());
    assert_ne!(first.instance_id(), second.instance_id());
    assert_eq!(first.instance_id().len(), 32);
    let (path, instance) = (first.path().to_owned(), first.instance_id().to_owned());
    drop(first);
    let again = StateDir::open(root.path(), "svc").expect("the first slot");
    assert_eq!((again.path(), again.instance_id()), (path.as_path(), instance.as_str()));
    let other = StateDir::open(root.path(), "../svc").expect("a slot of another service");
    assert!(other.path().starts_with(root.path()) && other.path() != path);

    // A worker that does not know yet that it lost the partition still has the store.
    let env = StateEnv::on_disk(again, BUDGET, 1);
    let mut old = env.store(ID, layout());
    let mut new = env.store(ID, layout());
    fill(&mut old, 0..10, b"old");
    fill(&mut new, 0..20, b"new");
    old.checkpoint(&at(10)).expect("saved");
    new.checkpoint(&at(20)).expect("saved");
    assert_eq!((all(&old).len(), all(&new).len()), (10, 20));
    drop((old, new));
    assert_eq!(env.store(ID, layout()).local(), Some(at(20)), "each has its own mark, and the newer one counts");
    env.remove_query("CTAS_T_2");
    assert_eq!(env.store(ID, layout()).local(), Some(at(20)));
    env.remove_query("CTAS_T_1");
    assert_eq!(env.store(ID, layout()).local(), None);
}

/// A slot's files with something in them, tables first.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("readable") {
        let path = entry.expect("entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.metadata().expect("metadata").len() > 0 && path.to_string_lossy().contains("db-") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Whatever is done to the files: the store opens, and holds all of the checkpoint or nothing.
#[test]
fn damaged_files_are_thrown_away() {
    let master = tempfile::tempdir().expect("a folder");
    let path = {
        let env = env(master.path(), BUDGET);
        let mut store = env.store(ID, layout());
        fill(&mut store, 0..20_000, &[3; 60]);
        store.checkpoint(&at(1)).expect("saved");
        fill(&mut store, 0..50, b"newer");
        store.checkpoint(&at(2)).expect("saved");
        env.dir().expect("on disk").path().to_owned()
    };
    let relative = |file: &PathBuf| file.strip_prefix(master.path()).expect("below").to_owned();
    let names: Vec<PathBuf> = files(&path).iter().map(relative).collect();
    assert!(names.len() >= 5, "{names:?}");
    let mut lost = 0;
    for name in &names {
        for damage in 0..3 {
            let root = tempfile::tempdir().expect("a folder");
            copy(master.path(), root.path());
            let file = root.path().join(name);
            let mut bytes = fs::read(&file).expect("readable");
            let middle = bytes.len() / 2;
            match damage {
                0 => bytes.truncate(middle),
                1 => bytes[middle] ^= 0x55,
                _ => bytes.clear(),
            }
            fs::write(&file, bytes).expect("writable");

            let env = env(root.path(), BUDGET);
            let mut store = env.store(ID, layout());
            let found = store.local();
            store.accept_local();
            if read(&store).is_err() {
                // Damage that is met in use costs the session, and its store is empty.
                drop(store);
                store = env.store(ID, layout());
                assert_eq!((store.local(), all(&store)), (None, Vec::new()), "{name:?} {damage}");
                lost += 1;
            } else if found.is_some() {
                let newer = if found == Some(at(2)) { 50 } else { 0 };
                let found = all(&store);
                assert_eq!(found.len(), 20_000, "{name:?} {damage}");
                assert!(found.iter().filter(|(_, value)| value == b"newer").count() >= newer, "{name:?} {damage}");
            } else {
                lost += 1;
                assert_eq!(all(&store), Vec::new(), "{name:?} {damage}");
            }
            // It works either way.
            fill(&mut store, 0..10, b"again");
            store.checkpoint(&at(3)).expect("saved");
            assert_eq!(store.get(&9_u32.to_be_bytes()).expect("readable"), Some(b"again".to_vec()));
        }
    }
    assert!(lost > 3, "damage to tables is noticed");
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("writable");
    for entry in fs::read_dir(from).expect("readable") {
        let path = entry.expect("entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).expect("copied");
        }
    }
}

#[test]
fn a_disk_that_fails_costs_only_the_local_store() {
    let root = tempfile::tempdir().expect("a folder");
    let env = env(root.path(), BUDGET);
    let mut whole = env.store(ID, layout());
    let mut part = env.store(StoreId { partition: 4, ..ID }, layout());
    fill(&mut whole, 0..100, b"x");
    fill(&mut part, 0..100, b"x");
    whole.checkpoint(&at(100)).expect("saved");
    env.budget().ask_all();
    part.relieve().expect("spilled");
    whole.relieve().expect("spilled");
    assert_eq!(whole.memory_bytes(), 0);
    let mut whole = env.store(StoreId { partition: 5, ..ID }, layout());
    fill(&mut whole, 0..100, b"x");

    env.dir().expect("on disk").fail();
    whole.checkpoint(&at(100)).expect("memory is whole");
    assert!(!whole.keeps_checkpoints());
    assert_eq!(all(&whole).len(), 100);
    fill(&mut part, 0..1, b"y");
    let error = part.checkpoint(&at(101)).expect_err("half of it is nothing");
    assert_eq!(error.kind(), crate::error::ErrorKind::Storage);
    drop(part);

    // The next lease starts afresh.
    let mut fresh = env.store(ID, layout());
    assert_eq!((fresh.local(), fresh.keeps_checkpoints()), (None, true));
    fill(&mut fresh, 0..10, b"z");
    fresh.checkpoint(&at(7)).expect("saved");
    drop(fresh);
    assert_eq!(env.store(ID, layout()).local(), Some(at(7)));
}

#[test]
fn without_a_directory_state_is_in_memory() {
    let env = StateEnv::memory();
    assert_ne!(env.instance_id(), StateEnv::memory().instance_id());
    let mut store = env.store(ID, layout());
    fill(&mut store, 0..10, b"x");
    store.checkpoint(&at(1)).expect("nothing to do");
    assert_eq!((store.local(), store.keeps_checkpoints(), all(&store).len()), (None, false, 10));
    let shared: Arc<MemoryBudget> = env.budget().clone();
    assert_eq!(shared.used(), 0);
}
