//! [`PackedMap`]: an ordered map from bytes to bytes that takes less memory than the bytes themselves.
//!
//! Its entries lie packed in leaves of some kilobytes ([`leaf`]), without what the entries of a leaf have in common
//! ([`mould`]); branches know some dozen leaves each by the keys at which they begin. So an entry costs some ten bytes
//! besides the part of its content that is its own, where a tree of boxed keys takes ninety, and a search touches a
//! handful of cache lines.
//!
//! **Invariant:** leaves are disjoint and in order; the first one's lower bound is the empty key; no other is empty, and
//! no branch is.

mod leaf;
mod mould;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::cmp::Ordering;
use std::ops::Bound;

use leaf::Leaf;

use super::store::{Write, Writes};

/// A leaf that holds more is parted. Its buffer then fits well into what allocators part memory into.
const LEAF_BYTES: usize = 7600;
/// A branch that holds more is parted.
const BRANCH_LEAVES: usize = 64;
/// What a leaf takes besides its content: its own fields, and its bound.
const LEAF_COST: usize = size_of::<Leaf>() + size_of::<Lower>();

/// An ordered map of packed entries. An entry has a value or says that there is none, and carries a flag for its owner.
pub struct PackedMap {
    branches: Vec<Branch>,
    len: usize,
    bytes: usize,
    /// Whether values leave out what they have in common.
    cuts_values: bool,
    /// Who comes next most often wants the same leaf as the one before.
    near: Cell<At>,
    /// Buffers for who reads.
    buffers: Cell<Buffers>,
}

/// A key and a value of full length.
#[derive(Default)]
struct Buffers {
    key: Vec<u8>,
    value: Vec<u8>,
}

#[derive(Default)]
struct Branch {
    /// Where its leaves begin.
    bounds: Vec<Lower>,
    leaves: Vec<Leaf>,
}

/// Where a leaf begins: most comparisons need no more than the head.
#[derive(Default)]
struct Lower {
    head: u128,
    key: Box<[u8]>,
}

/// The first sixteen bytes, zeros behind the end: keys whose heads differ are in their order.
fn head(key: &[u8]) -> u128 {
    match key.first_chunk() {
        Some(head) => u128::from_be_bytes(*head),
        None => {
            let mut head = [0; 16];
            head[..key.len()].copy_from_slice(key);
            u128::from_be_bytes(head)
        }
    }
}

impl Lower {
    /// The shortest bound between two keys that follow each other.
    fn between(below: &[u8], key: &[u8]) -> Self {
        let same = (0..key.len()).position(|i| below.get(i) != key.get(i));
        let key = &key[..same.map_or(key.len(), |same| same + 1)];
        Self { head: head(key), key: key.into() }
    }

    fn is_above(&self, key: &[u8], head: u128) -> bool {
        match self.head.cmp(&head) {
            Ordering::Equal => *self.key > *key,
            order => order == Ordering::Greater,
        }
    }
}

/// Which leaf: of which branch, and which of its leaves.
type At = (usize, usize);

impl Default for PackedMap {
    fn default() -> Self {
        Self::new(true)
    }
}

impl PackedMap {
    fn new(cuts_values: bool) -> Self {
        let (near, buffers) = (Cell::default(), Cell::default());
        let mut map = Self { branches: Vec::new(), len: 0, bytes: 0, cuts_values, near, buffers };
        map.clear();
        map
    }

    /// A map of entries that do not stay for long: values are kept as they are.
    pub fn passing() -> Self {
        Self::new(false)
    }

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
        self.branches.clear();
        self.branches.push(Branch { bounds: vec![Lower::default()], leaves: vec![Leaf::default()] });
        self.len = 0;
        self.bytes = 0;
    }

    /// Whether there is an entry for a key.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.leaf(self.seek(key)).find(key).is_ok()
    }

    /// The value of a key, if there is an entry for it.
    pub fn get(&self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        let leaf = self.leaf(self.seek(key));
        let at = leaf.find(key).ok()?;
        let mut value = Vec::new();
        Some(leaf.value(at, &mut value).then_some(value))
    }

    /// Puts an entry in, in place of the one that is there. Returns the flag of that one.
    pub fn insert(&mut self, key: &[u8], value: Option<&[u8]>, flag: bool) -> Option<bool> {
        let (at, cuts_values) = (self.seek(key), self.cuts_values);
        let leaf = self.leaf_mut(at);
        let cost = leaf.cost();
        let put = leaf.put(key, value, flag, cuts_values);
        let mut part = None;
        if leaf.used() > LEAF_BYTES && leaf.len() > 1 {
            // Keys that come in order fill their leaves.
            let last = leaf.len() - 1;
            part = Some(if put == Err(last) { leaf.part_last(cuts_values) } else { leaf.part(leaf.middle()) });
        } else {
            leaf.tidy();
        }
        let now = leaf.cost();
        self.bytes = self.bytes + now - cost;
        self.len += usize::from(put.is_err());
        if let Some(part) = part {
            self.grow(at, part);
        }
        put.ok()
    }

    /// Removes an entry. Returns its flag.
    pub fn remove(&mut self, key: &[u8]) -> Option<bool> {
        let at = self.seek(key);
        let leaf = self.leaf_mut(at);
        let place = leaf.find(key).ok()?;
        let (flag, cost) = (leaf.flag(place), leaf.cost());
        leaf.remove(place);
        let (sparse, now) = (leaf.used() < LEAF_BYTES / 4, leaf.cost());
        self.bytes = self.bytes + now - cost;
        self.len -= 1;
        if self.is_empty() {
            // Buffers included.
            self.clear();
        } else if sparse {
            self.unite(at);
        }
        Some(flag)
    }

    /// Entries with their flag set, in order.
    pub fn flagged(&self) -> Range<'_> {
        let mut entries = self.iter();
        entries.only_flagged = true;
        entries
    }

    /// Clears all flags, and removes flagged entries without a value.
    pub fn settle(&mut self) {
        let mut gone = Vec::new();
        let mut flagged = self.flagged();
        while let Some(entry) = flagged.next() {
            if entry.value.is_none() {
                gone.push(entry.key.to_vec());
            }
        }
        drop(flagged);
        for key in gone {
            self.remove(&key);
        }
        let leaves = self.branches.iter_mut().flat_map(|branch| &mut branch.leaves);
        leaves.filter(|leaf| leaf.is_flagged()).for_each(Leaf::settle);
    }

    /// All entries in order.
    pub fn iter(&self) -> Range<'_> {
        self.range(Bound::Unbounded, Bound::Unbounded)
    }

    /// Entries between bounds, in order; none when the bounds are the wrong way round.
    pub fn range<'a>(&'a self, from: Bound<&[u8]>, to: Bound<&'a [u8]>) -> Range<'a> {
        let (leaf, place) = match from {
            Bound::Unbounded => ((0, 0), 0),
            Bound::Included(key) | Bound::Excluded(key) => {
                let at = self.seek(key);
                let place = match (self.leaf(at).find(key), from) {
                    (Ok(place), Bound::Excluded(_)) => place + 1,
                    (Ok(place) | Err(place), _) => place,
                };
                (at, place)
            }
        };
        let buffers = self.buffers.take();
        Range { map: self, leaf, place, to, end: None, only_flagged: false, shown: None, buffers }
    }

    fn leaf(&self, (branch, leaf): At) -> &Leaf {
        &self.branches[branch].leaves[leaf]
    }

    fn leaf_mut(&mut self, (branch, leaf): At) -> &mut Leaf {
        &mut self.branches[branch].leaves[leaf]
    }

    /// The leaf that a key belongs to: the first one's bound is below every key.
    fn seek(&self, key: &[u8]) -> At {
        let head = head(key);
        let above = |bound: &Lower| bound.is_above(key, head);
        let near = self.near.get();
        if let Some(branch) = self.branches.get(near.0)
            && branch.bounds.get(near.1).is_some_and(|bound| !above(bound))
        {
            let next = branch.bounds.get(near.1 + 1);
            let next = next.or_else(|| self.branches.get(near.0 + 1).map(|branch| &branch.bounds[0]));
            if next.is_none_or(above) {
                return near;
            }
        }
        let branch = self.branches[1..].partition_point(|branch| !above(&branch.bounds[0]));
        let at = (branch, self.branches[branch].bounds[1..].partition_point(|bound| !above(bound)));
        self.near.set(at);
        at
    }

    /// Puts a leaf in that was parted off the one that is there.
    fn grow(&mut self, (at, leaf): At, part: Leaf) {
        let Buffers { mut key, mut value } = self.buffers.take();
        part.key(0, &mut key);
        let below = self.leaf((at, leaf));
        below.key(below.len() - 1, &mut value);
        let bound = Lower::between(&value, &key);
        self.buffers.set(Buffers { key, value });
        self.bytes += part.cost() + LEAF_COST + bound.key.len();
        let branch = &mut self.branches[at];
        branch.bounds.insert(leaf + 1, bound);
        branch.leaves.insert(leaf + 1, part);
        let leaves = branch.leaves.len();
        if leaves > BRANCH_LEAVES {
            let at_last = if leaf + 2 == leaves { leaves - 1 } else { leaves / 2 };
            let next = Branch { bounds: branch.bounds.split_off(at_last), leaves: branch.leaves.split_off(at_last) };
            self.branches.insert(at + 1, next);
        }
    }

    /// Takes a leaf into the one before it, if it is empty or both together still are a small one.
    fn unite(&mut self, (at, leaf): At) {
        if (at, leaf) == (0, 0) {
            return;
        }
        let bytes = self.leaf((at, leaf)).used();
        let fits = leaf > 0 && bytes + self.leaf((at, leaf - 1)).used() <= LEAF_BYTES / 2;
        if bytes > 0 && !fits {
            return;
        }
        let branch = &mut self.branches[at];
        let (bound, gone) = (branch.bounds.remove(leaf), branch.leaves.remove(leaf));
        self.bytes -= gone.cost() + LEAF_COST + bound.key.len();
        if bytes > 0 {
            let before = &mut branch.leaves[leaf - 1];
            let cost = before.cost();
            before.unite(&gone, self.cuts_values);
            let now = before.cost();
            self.bytes = self.bytes + now - cost;
        }
        let leaves = branch.leaves.len();
        if at > 0 && (leaves == 0 || leaves + self.branches[at - 1].leaves.len() <= BRANCH_LEAVES / 2) {
            let gone = self.branches.remove(at);
            self.branches[at - 1].bounds.extend(gone.bounds);
            self.branches[at - 1].leaves.extend(gone.leaves);
        }
    }
}

/// What is in the map for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// The key.
    pub key: &'a [u8],
    /// The value, or that there is none.
    pub value: Option<&'a [u8]>,
    /// The owner's flag.
    pub flag: bool,
}

/// Entries in order, each of which is only there until the next.
pub struct Range<'a> {
    map: &'a PackedMap,
    leaf: At,
    place: usize,
    to: Bound<&'a [u8]>,
    /// Before which places of the leaf the entries within `to` end for sure, and at the latest.
    end: Option<(usize, usize)>,
    only_flagged: bool,
    /// The buffers hold the entry that comes next: whether it has a value, and its flag.
    shown: Option<(bool, bool)>,
    buffers: Buffers,
}

impl Range<'_> {
    /// The next entry, which stays the next one.
    pub fn peek(&mut self) -> Option<Entry<'_>> {
        if self.shown.is_none() {
            self.shown = self.show();
        }
        let (there, flag) = self.shown?;
        let Buffers { key, value } = &self.buffers;
        Some(Entry { key, value: there.then_some(value), flag })
    }

    /// The next entry.
    #[allow(clippy::should_implement_trait)] // An iterator's items would have to live on.
    pub fn next(&mut self) -> Option<Entry<'_>> {
        let (there, flag) = match self.shown.take() {
            Some(shown) => shown,
            None => self.show()?,
        };
        self.place += 1;
        let Buffers { key, value } = &self.buffers;
        Some(Entry { key, value: there.then_some(value), flag })
    }

    /// Goes past the next entry.
    pub fn skip(&mut self) {
        if self.shown.take().is_some() || self.show().is_some() {
            self.place += 1;
        }
    }

    /// Reads the entry at its place, or the first one behind, into the buffers.
    fn show(&mut self) -> Option<(bool, bool)> {
        loop {
            let branch = self.map.branches.get(self.leaf.0)?;
            let Some(leaf) = branch.leaves.get(self.leaf.1) else {
                (self.leaf, self.place) = ((self.leaf.0 + 1, 0), 0);
                continue;
            };
            if self.place >= leaf.len() || self.only_flagged && !leaf.is_flagged() {
                (self.leaf.1, self.place, self.end) = (self.leaf.1 + 1, 0, None);
                continue;
            }
            if self.only_flagged && !leaf.flag(self.place) {
                self.place += 1;
                continue;
            }
            let (to, sure) = match self.to {
                Bound::Unbounded => (&[][..], true),
                Bound::Included(to) | Bound::Excluded(to) => {
                    let (sure, latest) = *self.end.get_or_insert_with(|| leaf.end(to));
                    if self.place >= latest {
                        return None;
                    }
                    (to, self.place < sure)
                }
            };
            let Buffers { key, value } = &mut self.buffers;
            let excluded = matches!(self.to, Bound::Excluded(_));
            return leaf.entry(self.place, key, value, |key| sure || key < to || key == to && !excluded);
        }
    }
}

impl Writes for Range<'_> {
    fn next_write(&mut self) -> Option<Write<'_>> {
        self.next().map(|entry| (entry.key, entry.value))
    }
}

impl Drop for Range<'_> {
    fn drop(&mut self) {
        self.map.buffers.set(std::mem::take(&mut self.buffers));
    }
}
