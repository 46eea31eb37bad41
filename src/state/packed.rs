//! [`PackedMap`]: an ordered map from bytes to bytes that takes little more memory than the bytes themselves.
//!
//! Its entries lie packed in leaves of some kilobytes, and a tree knows the leaves by their lowest key. So an entry costs
//! some ten bytes besides its content where a tree of boxed keys takes ninety, and a search touches a handful of cache
//! lines. A leaf's content is in the order of arrival, its places in the order of keys, each with the four bytes in which
//! keys first differ: adding moves eight bytes for each of some ten to hundred entries, and what was removed or replaced stays until a quarter of the leaf is waste.
//!
//! **Invariant:** leaves are disjoint and in order; the first one's lower bound is the empty key; no other is empty.

use std::collections::BTreeMap;
use std::collections::btree_map::Range as Leaves;
use std::ops::Bound;

use super::keys::{put_varint, varint_at, varint_len};

/// A leaf that holds more is parted. Its buffer then fits well into what allocators part memory into.
const LEAF_BYTES: usize = 7600;
/// What a leaf takes besides its content: its own fields, and its slot in a tree that is two thirds full.
const LEAF_COST: usize = 144;

/// An ordered map of packed entries. An entry has a value or says that there is none, and carries a flag for its owner.
pub struct PackedMap {
    leaves: BTreeMap<Box<[u8]>, Leaf>,
    len: usize,
    bytes: usize,
}

/// What is in the map for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The value, or that there is none.
    pub value: Option<&'a [u8]>,
    /// The owner's flag.
    pub flag: bool,
}

#[derive(Default)]
struct Leaf {
    /// Entries in order of arrival: twice the key's length and the flag; the value's length plus one, or zero for none;
    /// key; value.
    data: Vec<u8>,
    /// Where they begin, in order of keys.
    places: Vec<Place>,
    /// So many first bytes are the same in all keys.
    shared: usize,
    /// Bytes of `data` that are no longer in use.
    waste: usize,
    /// Whether any entry may have its flag set.
    flagged: bool,
}

#[derive(Clone, Copy)]
struct Place {
    /// The key's four bytes after the shared ones, zeros behind its end: keys whose heads differ are in their order.
    head: u32,
    at: u32,
}

fn head(key: &[u8], shared: usize) -> u32 {
    let rest = key.get(shared..).unwrap_or_default();
    match rest.first_chunk() {
        Some(head) => u32::from_be_bytes(*head),
        None => rest.iter().enumerate().fold(0, |head, (i, byte)| head | u32::from(*byte) << (24 - 8 * i)),
    }
}

impl Default for PackedMap {
    fn default() -> Self {
        let mut map = Self { leaves: BTreeMap::new(), len: 0, bytes: 0 };
        map.clear();
        map
    }
}

impl PackedMap {
    /// The number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory held.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Removes everything.
    pub fn clear(&mut self) {
        self.leaves.clear();
        self.leaves.insert(Box::default(), Leaf::default());
        self.len = 0;
        self.bytes = 0;
    }

    /// What is in the map for a key.
    pub fn get(&self, key: &[u8]) -> Option<Entry<'_>> {
        let leaf = self.leaf(key);
        let at = leaf.find(key).ok()?;
        Some(leaf.entry(at).1)
    }

    /// Puts an entry in, in place of the one that is there. Returns the flag of that one.
    pub fn insert(&mut self, key: &[u8], value: Option<&[u8]>, flag: bool) -> Option<bool> {
        let (leaf, cost) = self.leaf_mut(key);
        let mut part = None;
        let found = leaf.find(key);
        let before = match found {
            Ok(at) => {
                let before = leaf.entry(at).1;
                let before_flag = before.flag;
                if let Some(new) = value
                    && before.value.is_some_and(|old| old.len() == new.len())
                {
                    leaf.overwrite(at, new, flag);
                } else {
                    leaf.forget(at);
                    leaf.places[at].at = leaf.append(key, value, flag);
                }
                Some(before_flag)
            }
            Err(at) => {
                leaf.add(at, key, value, flag);
                None
            }
        };
        if leaf.data.len() - leaf.waste > LEAF_BYTES && leaf.places.len() > 1 {
            // Keys that come in order fill their leaves.
            let last = leaf.places.len() - 1;
            let at = if found == Err(last) { last } else { leaf.middle() };
            part = Some(leaf.part(at));
        } else {
            leaf.tidy();
        }
        let now = leaf.cost();
        self.bytes = self.bytes + now - cost;
        if let Some((bound, leaf)) = part {
            self.bytes += leaf.cost() + LEAF_COST + bound.len();
            self.leaves.insert(bound, leaf);
        }
        self.len += usize::from(before.is_none());
        before
    }

    /// Removes an entry. Returns its flag.
    pub fn remove(&mut self, key: &[u8]) -> Option<bool> {
        let (leaf, cost) = self.leaf_mut(key);
        let at = leaf.find(key).ok()?;
        let flag = leaf.entry(at).1.flag;
        leaf.forget(at);
        leaf.places.remove(at);
        leaf.tidy();
        let (sparse, now) = (leaf.data.len() < LEAF_BYTES / 4, leaf.cost());
        self.bytes = self.bytes + now - cost;
        self.len -= 1;
        if self.is_empty() {
            // Buffers included.
            self.clear();
        } else if sparse {
            self.unite(key);
        }
        Some(flag)
    }

    /// Entries with their flag set, in order.
    pub fn flagged(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        let leaves = self.leaves.values().filter(|leaf| leaf.flagged);
        let entries = leaves.flat_map(|leaf| (0..leaf.places.len()).map(|at| leaf.entry(at)));
        entries.filter(|(_, entry)| entry.flag).map(|(key, entry)| (key, entry.value))
    }

    /// Clears all flags, and removes flagged entries without a value.
    pub fn settle(&mut self) {
        let gone: Vec<Vec<u8>> =
            self.flagged().filter(|(_, value)| value.is_none()).map(|(key, _)| key.to_vec()).collect();
        for key in gone {
            self.remove(&key);
        }
        for leaf in self.leaves.values_mut().filter(|leaf| leaf.flagged) {
            (0..leaf.places.len()).for_each(|at| leaf.set_flag(at, false));
            leaf.flagged = false;
        }
    }

    /// All entries in order.
    pub fn iter(&self) -> Range<'_> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// Entries between bounds, in order; none when the bounds are the wrong way round.
    pub fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&'a [u8]>) -> Range<'a> {
        let (Bound::Included(key) | Bound::Excluded(key)) = from else {
            return Range { leaves: self.leaves.range::<[u8], _>(..), leaf: None, to };
        };
        let first = self.leaves.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        let leaf = first.map(|(_, leaf)| {
            let at = match (leaf.find(key), from) {
                (Ok(at), Bound::Excluded(_)) => at + 1,
                (Ok(at) | Err(at), _) => at,
            };
            (leaf, at)
        });
        Range { leaves: self.leaves.range::<[u8], _>((Bound::Excluded(key), Bound::Unbounded)), leaf, to }
    }

    fn leaf(&self, key: &[u8]) -> &Leaf {
        let found = self.leaves.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        found.expect("the first leaf is below every key").1
    }

    /// The leaf that a key belongs to, and what it costs now.
    fn leaf_mut(&mut self, key: &[u8]) -> (&mut Leaf, usize) {
        let found = self.leaves.range_mut::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back();
        let leaf = found.expect("the first leaf is below every key").1;
        let cost = leaf.cost();
        (leaf, cost)
    }

    /// Takes the leaf of a key into the one before it, if it is empty or both together still are a small one.
    fn unite(&mut self, key: &[u8]) {
        let mut below = self.leaves.range::<[u8], _>((Bound::Unbounded, Bound::Included(key)));
        let (Some((bound, leaf)), Some((_, before))) = (below.next_back(), below.next_back()) else { return };
        if !leaf.places.is_empty() && leaf.data.len() + before.data.len() - before.waste > LEAF_BYTES / 2 {
            return;
        }
        let bound = bound.clone();
        let Some(leaf) = self.leaves.remove(&bound) else { return };
        self.bytes -= leaf.cost() + LEAF_COST + bound.len();
        let (before, cost) = self.leaf_mut(key);
        for at in 0..leaf.places.len() {
            let (key, entry) = leaf.entry(at);
            before.add(before.places.len(), key, entry.value, entry.flag);
        }
        before.tidy();
        let now = before.cost();
        self.bytes = self.bytes + now - cost;
    }
}

impl Leaf {
    fn cost(&self) -> usize {
        self.data.capacity() + self.places.capacity() * size_of::<Place>()
    }

    fn find(&self, key: &[u8]) -> Result<usize, usize> {
        if let (Some(first), Some(last)) = (self.places.first(), self.places.last())
            && !self.shares(key)
        {
            // Above all, below all, or the shared bytes are its beginning.
            return if key > self.key(last.at) {
                Err(self.places.len())
            } else {
                debug_assert!(key < self.key(first.at), "between two keys with these bytes are only keys with them");
                Err(0)
            };
        }
        let head = head(key, self.shared);
        let from = self.places.partition_point(|place| place.head < head);
        let equal = self.places[from..].partition_point(|place| place.head == head);
        let found = self.places[from..from + equal].binary_search_by(|place| self.key(place.at).cmp(key));
        found.map(|at| from + at).map_err(|at| from + at)
    }

    /// Whether a key begins with the bytes that all keys here share.
    fn shares(&self, key: &[u8]) -> bool {
        let Some(first) = self.places.first() else { return true };
        key.get(..self.shared).is_some_and(|begin| begin == &self.key(first.at)[..self.shared])
    }

    /// Puts a new entry in at its place in the order of keys.
    fn add(&mut self, at: usize, key: &[u8], value: Option<&[u8]>, flag: bool) {
        let place = Place { head: head(key, self.shared), at: self.append(key, value, flag) };
        let shares = self.shares(key);
        if self.places.len() == self.places.capacity() {
            self.places.reserve_exact(self.places.len() / 4 + 4);
        }
        self.places.insert(at, place);
        if !shares || self.places.len().is_power_of_two() {
            self.share();
        }
    }

    /// Finds out which bytes all keys share.
    fn share(&mut self) {
        let ends = self.places.first().zip(self.places.last());
        let pairs = ends.map(|(first, last)| self.key(first.at).iter().zip(self.key(last.at)));
        self.shared = pairs.map_or(0, |pairs| pairs.take_while(|(a, b)| a == b).count());
        for i in 0..self.places.len() {
            self.places[i].head = head(self.key(self.places[i].at), self.shared);
        }
    }

    fn key(&self, at: u32) -> &[u8] {
        let mut at = at as usize;
        let key_len = read_number(&self.data, &mut at) >> 1;
        read_number(&self.data, &mut at);
        &self.data[at..at + key_len]
    }

    /// Key and content of the entry that is at this place in the order of keys.
    fn entry(&self, at: usize) -> (&[u8], Entry<'_>) {
        let mut at = self.places[at].at as usize;
        let head = read_number(&self.data, &mut at);
        let value_len = read_number(&self.data, &mut at).checked_sub(1);
        let (key, rest) = self.data[at..].split_at(head >> 1);
        (key, Entry { value: value_len.map(|len| &rest[..len]), flag: head & 1 == 1 })
    }

    /// Bytes of an entry.
    fn size(&self, at: usize) -> usize {
        let (key, entry) = self.entry(at);
        let value_len = entry.value.map_or(0, |value| value.len() + 1);
        number_len(key.len() << 1) + number_len(value_len) + key.len() + value_len.saturating_sub(1)
    }

    fn append(&mut self, key: &[u8], value: Option<&[u8]>, flag: bool) -> u32 {
        let value_len = value.map_or(0, |value| value.len() + 1);
        let added = 10 + key.len() + value_len;
        if self.data.capacity() - self.data.len() < added {
            self.data.reserve_exact(added + self.data.len() / 4);
        }
        self.flagged |= flag;
        let place = self.data.len() as u32;
        write_number(&mut self.data, key.len() << 1 | usize::from(flag));
        write_number(&mut self.data, value_len);
        self.data.extend_from_slice(key);
        self.data.extend_from_slice(value.unwrap_or_default());
        place
    }

    /// The entry's bytes are no longer used.
    fn forget(&mut self, at: usize) {
        self.waste += self.size(at);
    }

    /// Replaces a value by one of the same length.
    fn overwrite(&mut self, at: usize, value: &[u8], flag: bool) {
        let end = self.places[at].at as usize + self.size(at);
        self.data[end - value.len()..end].copy_from_slice(value);
        self.set_flag(at, flag);
    }

    fn set_flag(&mut self, at: usize, flag: bool) {
        self.flagged |= flag;
        let head = &mut self.data[self.places[at].at as usize];
        *head = *head & !1 | u8::from(flag);
    }

    /// Writes itself anew when much of it is waste.
    fn tidy(&mut self) {
        if self.waste * 4 > self.data.len().max(256) {
            *self = self.copy(0, self.places.len());
        }
    }

    fn copy(&self, from: usize, to: usize) -> Self {
        let bytes = (from..to).map(|at| self.size(at)).sum();
        let (data, places) = (Vec::with_capacity(bytes), Vec::with_capacity(to - from));
        let mut copy = Self { data, places, shared: 0, waste: 0, flagged: self.flagged };
        for place in &self.places[from..to] {
            let start = place.at as usize;
            let mut at = start;
            let key_len = read_number(&self.data, &mut at) >> 1;
            let value_len = read_number(&self.data, &mut at).saturating_sub(1);
            copy.places.push(Place { head: 0, at: copy.data.len() as u32 });
            copy.data.extend_from_slice(&self.data[start..at + key_len + value_len]);
        }
        copy.share();
        copy
    }

    /// Where half of the bytes lie before.
    fn middle(&self) -> usize {
        let half = (self.data.len() - self.waste) / 2;
        let mut before = 0;
        let at = (0..self.places.len()).position(|at| {
            before += self.size(at);
            before > half
        });
        at.unwrap_or(0).max(1)
    }

    /// Gives the entries from `at` on to a leaf of their own. Returns it and its lowest key.
    fn part(&mut self, at: usize) -> (Box<[u8]>, Self) {
        let bound = self.entry(at).0.into();
        let part = self.copy(at, self.places.len());
        *self = self.copy(0, at);
        (bound, part)
    }
}

/// Entries in order.
pub struct Range<'a> {
    leaves: Leaves<'a, Box<[u8]>, Leaf>,
    leaf: Option<(&'a Leaf, usize)>,
    to: Bound<&'a [u8]>,
}

impl<'a> Iterator for Range<'a> {
    type Item = (&'a [u8], Entry<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((leaf, at)) = &mut self.leaf
                && *at < leaf.places.len()
            {
                let leaf: &'a Leaf = leaf;
                let (key, entry) = leaf.entry(*at);
                *at += 1;
                let within = match self.to {
                    Bound::Unbounded => true,
                    Bound::Included(to) => key <= to,
                    Bound::Excluded(to) => key < to,
                };
                return within.then_some((key, entry));
            }
            self.leaf = Some((self.leaves.next()?.1, 0));
        }
    }
}

fn write_number(into: &mut Vec<u8>, number: usize) {
    put_varint(into, number as u64);
}

fn number_len(number: usize) -> usize {
    varint_len(number as u64)
}

fn read_number(from: &[u8], at: &mut usize) -> usize {
    varint_at(from, at) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys and values, and what their owner noted.
    type Model = BTreeMap<Vec<u8>, (Option<Vec<u8>>, bool)>;

    fn same(map: &PackedMap, model: &Model, from: Bound<&[u8]>, to: Bound<&[u8]>) {
        let found = map.range(from, to).map(|(key, entry)| (key, entry.value, entry.flag));
        let expected = model.range::<[u8], _>((from, to)).map(|(key, (value, flag))| (&**key, value.as_deref(), *flag));
        assert!(found.eq(expected));
    }

    fn check(map: &PackedMap) {
        let costs = map.leaves.iter().map(|(bound, leaf)| leaf.cost() + LEAF_COST + bound.len());
        assert_eq!(map.bytes() + LEAF_COST, costs.sum::<usize>());
        assert_eq!(map.len(), map.leaves.values().map(|leaf| leaf.places.len()).sum::<usize>());
        for (bound, leaf) in map.leaves.iter().skip(1) {
            assert!(!leaf.places.is_empty(), "no leaf but the first is empty");
            assert!(leaf.entry(0).0 >= &**bound);
            let used: usize = (0..leaf.places.len()).map(|at| leaf.size(at)).sum();
            assert_eq!(used + leaf.waste, leaf.data.len());
        }
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
            let key = match dice(3) {
                0 => format!("k{}", dice(3_000)).into_bytes(),
                1 => vec![dice(4) as u8; dice(200) as usize],
                _ => (round / 4).to_be_bytes().to_vec(),
            };
            if dice(10) < if growing { 8 } else { 1 } {
                let len = if dice(500) == 0 { 9_000 } else { dice(40) };
                let value = (dice(9) > 0).then(|| vec![round as u8; len as usize]);
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
                same(&map, &model, Bound::Unbounded, Bound::Unbounded);
                same(&map, &model, Bound::Included(&b), Bound::Excluded(&a));
                same(&map, &model, Bound::Excluded(&a), Bound::Unbounded);
                same(&map, &model, Bound::Unbounded, Bound::Included(&a));
                let entry = map.get(&a).map(|entry| (entry.value.map(<[u8]>::to_vec), entry.flag));
                assert_eq!(entry, model.get(&a).cloned());
            }
        }
        let flagged = model.iter().filter(|(_, (_, flag))| *flag).map(|(key, (value, _))| (&**key, value.as_deref()));
        assert!(map.flagged().eq(flagged));
        map.settle();
        assert!(map.iter().all(|(_, entry)| !entry.flag));
        model.retain(|_, (value, flag)| value.is_some() || !*flag);
        assert!(
            map.iter().map(|(key, entry)| (key, entry.value)).eq(model.iter().map(|(k, v)| (&**k, v.0.as_deref())))
        );
        for key in model.keys() {
            map.remove(key);
        }
        check(&map);
        assert_eq!((map.len(), map.bytes(), map.leaves.len()), (0, 0, 1), "what is empty takes no room");
    }

    #[test]
    fn an_entry_costs_little_more_than_its_bytes() {
        let key = |i: u64| [b"order-".as_slice(), &i.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_be_bytes()].concat();
        for (keys, most) in
            [(0..100_000).map(|i: u64| i.to_be_bytes().to_vec()).collect::<Vec<_>>(), (0..100_000).map(key).collect()]
                .into_iter()
                .zip([12, 30])
        {
            let mut map = PackedMap::default();
            keys.iter().for_each(|key| {
                map.insert(key, Some(&[7; 20]), false);
            });
            let content: usize = keys.iter().map(|key| key.len() + 20).sum();
            let extra = (map.bytes() - content) / keys.len();
            assert!(extra < most, "{extra} bytes an entry");
        }
    }
}
