//! Tests of packed maps: against a tree, and what entries cost.

use std::collections::BTreeMap;

use super::*;

/// Keys and values, and what their owner noted.
type Model = BTreeMap<Vec<u8>, (Option<Vec<u8>>, bool)>;

fn same<'m>(mut found: Range<'_>, expected: impl Iterator<Item = (&'m Vec<u8>, &'m (Option<Vec<u8>>, bool))>) {
    for (key, (value, flag)) in expected {
        let expected = Some(Entry { key, value: value.as_deref(), flag: *flag });
        if key.len() % 2 == 0 {
            assert_eq!(found.peek(), expected);
        }
        assert_eq!(found.next(), expected);
    }
    assert_eq!(found.peek(), None);
    assert_eq!(found.next(), None);
}

fn check(map: &PackedMap) {
    let (mut bytes, mut entries, mut below) = (0, 0, Vec::new());
    for (at, branch) in map.branches.iter().enumerate() {
        assert!(!branch.leaves.is_empty() && branch.leaves.len() == branch.bounds.len());
        for (place, (bound, leaf)) in branch.bounds.iter().zip(&branch.leaves).enumerate() {
            leaf.check();
            assert!(leaf.len() > 0 || (at, place) == (0, 0), "no leaf but the first is empty");
            assert_eq!(bound.head, head(&bound.key));
            assert!(entries == 0 || *bound.key > *below);
            let mut key = Vec::new();
            for place in 0..leaf.len() {
                leaf.key(place, &mut key);
                assert!(*key >= *bound.key && (entries == 0 || key > below));
                below.clone_from(&key);
                entries += 1;
            }
            bytes += leaf.cost() + LEAF_COST + bound.key.len();
        }
    }
    assert_eq!((map.bytes() + LEAF_COST, map.len()), (bytes, entries));
}

#[test]
fn it_holds_what_a_tree_holds() {
    let mut state = 7_u64;
    let mut dice = |sides: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % sides
    };
    let (mut map, mut model) = (PackedMap::default(), Model::new());
    for round in 0..60_000_u64 {
        // It grows, then shrinks to nothing, and grows again.
        let growing = round % 20_000 < 12_000;
        let key = match dice(4) {
            0 => format!("k{}", dice(3_000)).into_bytes(),
            1 => vec![dice(4) as u8; dice(200) as usize],
            2 => [b"row".as_slice(), &dice(3_000).to_be_bytes(), &(round / 100).to_be_bytes()].concat(),
            _ => (round / 4).to_be_bytes().to_vec(),
        };
        if dice(10) < if growing { 8 } else { 1 } {
            let value = match dice(500) {
                0 => vec![round as u8; 9_000],
                1..250 => [[7; 20].as_slice(), &dice(1_000).to_le_bytes()].concat(),
                _ => vec![round as u8; dice(40) as usize],
            };
            let value = (dice(9) > 0).then_some(value);
            let flag = dice(2) == 0;
            let before = map.insert(&key, value.as_deref(), flag);
            assert_eq!(before, model.insert(key.clone(), (value, flag)).map(|(_, flag)| flag));
        } else if growing {
            assert_eq!(map.remove(&key), model.remove(&key).map(|(_, flag)| flag));
        } else {
            let Some(key) = model.range(key..).next().or(model.iter().next()).map(|(key, _)| key.clone()) else {
                continue;
            };
            assert_eq!(map.remove(&key), model.remove(&key).map(|(_, flag)| flag));
        }
        if round % 500 == 0 {
            check(&map);
            let (a, b) = (format!("k{}", dice(3_000)).into_bytes(), dice(15_000).to_be_bytes());
            let c = [b"row".as_slice(), &dice(3_000).to_be_bytes(), &[1]].concat();
            same(map.iter(), model.iter());
            let bounds: [(Bound<&[u8]>, Bound<&[u8]>); 5] = [
                (Bound::Included(&b), Bound::Excluded(&a)),
                (Bound::Excluded(&a), Bound::Unbounded),
                (Bound::Included(&c), Bound::Unbounded),
                (Bound::Included(&a), Bound::Excluded(&c)),
                (Bound::Unbounded, Bound::Included(&a)),
            ];
            for (from, to) in bounds {
                same(map.range(from, to), model.range::<[u8], _>((from, to)));
            }
            assert_eq!(map.get(&a), model.get(&a).map(|(value, _)| value.clone()));
            assert_eq!(map.contains(&c), model.contains_key(&c));
        }
    }
    same(map.flagged(), model.iter().filter(|(_, (_, flag))| *flag));
    map.settle();
    model.retain(|_, (value, flag)| value.is_some() || !*flag);
    model.values_mut().for_each(|(_, flag)| *flag = false);
    same(map.iter(), model.iter());
    for key in model.keys() {
        map.remove(key);
    }
    check(&map);
    assert_eq!((map.len(), map.bytes(), map.branches.len()), (0, 0, 1), "what is empty takes no room");
}

/// A number that looks like chance.
fn mixed(i: u64) -> u64 {
    i.wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

#[test]
fn many_leaves_come_and_go() {
    let (mut map, mut model) = (PackedMap::default(), Model::new());
    for i in 0..60_000_u64 {
        let key = if i % 2 == 0 { i.to_be_bytes() } else { mixed(i).to_be_bytes() };
        map.insert(&key, Some(&[7; 90]), false);
        model.insert(key.to_vec(), (Some(vec![7; 90]), false));
    }
    assert!(map.branches.len() > 3);
    check(&map);
    same(map.iter(), model.iter());
    for i in (0..60_000_u64).filter(|i| i % 10 != 3) {
        let key = if i % 2 == 0 { i.to_be_bytes() } else { mixed(i).to_be_bytes() };
        assert_eq!((map.remove(&key), map.remove(&key)), (Some(false), None));
        model.remove(key.as_slice());
    }
    check(&map);
    same(map.iter(), model.iter());
}

#[test]
fn an_entry_costs_little_more_than_its_own_bytes() {
    let order = |i: u64| [b"order-".as_slice(), &mixed(i).to_be_bytes()].concat();
    let event = |i: u64| [format!("order-{i:08}").as_bytes(), &(1_700_000_000_000 + i).to_be_bytes()].concat();
    let bytes = |keys: &mut dyn Iterator<Item = Vec<u8>>| {
        let (mut map, mut entries) = (PackedMap::default(), 0);
        keys.for_each(|key| {
            map.insert(&key, Some(&[7; 20]), false);
            entries += 1;
        });
        map.bytes() / entries
    };
    let in_order = bytes(&mut (0..100_000).map(|i: u64| i.to_be_bytes().to_vec()));
    assert!(in_order < 15, "28 bytes in {in_order}");
    let at_random = bytes(&mut (0..100_000).map(order));
    assert!(at_random < 30, "34 bytes in {at_random}");
    let events = bytes(&mut (0..100_000).map(event));
    assert!(events < 18, "42 bytes in {events}");
}
