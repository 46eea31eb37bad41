//! [`Leaf`]: some kilobytes of entries of a [`super::PackedMap`].
//!
//! The content is in the order of arrival, its places in the order of keys, each with the four bytes in which keys first
//! differ: adding moves eight bytes for each of some ten to hundreds of entries, and what was removed or replaced stays
//! until a quarter of the leaf is waste.

use std::cmp::Ordering;

use super::mould::{Mould, head};
use crate::state::keys::{put_varint, varint_at, varint_len};

/// Moulds that fit better must save one byte of so many.
const GAIN_MIN: usize = 12;

/// Keys and values of at most so many bytes are put together before they are written.
const SMALL: usize = 96;

/// Entries in order.
#[derive(Default)]
pub(super) struct Leaf {
    /// Entries in order of arrival: twice the length of what is left of the key and the flag; the length of what is left
    /// of the value plus one, or zero for none; key; value.
    data: Vec<u8>,
    /// Where they begin, in order of keys.
    places: Vec<Place>,
    keys: Mould,
    values: Mould,
    /// Bytes of `data` that are no longer in use.
    waste: usize,
    /// Whether any entry may have its flag set.
    flagged: bool,
}

#[derive(Clone, Copy)]
struct Place {
    /// The key's four bytes after those that all keys begin with, zeros behind its end: keys whose heads differ are in
    /// their order.
    head: u32,
    at: u32,
}

/// An entry as it is kept.
struct Kept<'a> {
    key: &'a [u8],
    value: Option<&'a [u8]>,
    flag: bool,
}

impl Kept<'_> {
    #[inline]
    fn size(&self, more_key: isize, more_value: isize) -> usize {
        let key_len = self.key.len().wrapping_add_signed(more_key);
        let value_len = self.value.map_or(0, |value| value.len().wrapping_add_signed(more_value) + 1);
        number_len(key_len << 1) + number_len(value_len) + key_len + value_len.saturating_sub(1)
    }
}

impl Leaf {
    /// The number of entries.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// Bytes in use.
    #[inline]
    pub(super) fn used(&self) -> usize {
        self.data.len() - self.waste
    }

    /// Memory that it holds besides its own fields.
    #[inline]
    pub(super) fn cost(&self) -> usize {
        self.data.capacity() + self.places.capacity() * size_of::<Place>()
    }

    /// Whether any entry may have its flag set.
    #[inline]
    pub(super) fn is_flagged(&self) -> bool {
        self.flagged
    }

    /// Where the key is, or belongs.
    #[inline]
    pub(super) fn find(&self, key: &[u8]) -> Result<usize, usize> {
        let Some(last) = self.places.last() else { return Err(0) };
        match self.keys.beside(key) {
            Ordering::Less => return Err(0),
            Ordering::Greater => return Err(self.places.len()),
            Ordering::Equal => {}
        }
        let head = head(&key[self.keys.shared()..]);
        if last.head < head {
            return Err(self.places.len());
        }
        let from = self.places.partition_point(|place| place.head < head);
        let alike = match self.places.get(from + 1) {
            _ if self.places[from].head != head => return Err(from),
            Some(next) if next.head == head => self.places[from..].partition_point(|place| place.head == head),
            _ => 1,
        };
        let cut = self.keys.probe(key);
        let found = self.places[from..from + alike].binary_search_by(|place| cut.order(self.kept(place.at).key));
        found.map(|at| from + at).map_err(|at| from + at)
    }

    /// Before which place the entries up to `to` end for sure, and before which one they end at the latest.
    pub(super) fn end(&self, to: &[u8]) -> (usize, usize) {
        match self.keys.beside(to) {
            Ordering::Less => (0, 0),
            Ordering::Greater => (self.len(), self.len()),
            Ordering::Equal => {
                let head = head(&to[self.keys.shared()..]);
                let from = self.places.partition_point(|place| place.head < head);
                (from, from + self.places[from..].partition_point(|place| place.head == head))
            }
        }
    }

    /// Sets `key` to the key that is at this place in the order of keys.
    #[inline]
    pub(super) fn key(&self, at: usize, key: &mut Vec<u8>) {
        self.keys.restore(self.kept(self.places[at].at).key, key);
    }

    /// Sets `value` to the value at this place; whether there is one.
    #[inline]
    pub(super) fn value(&self, at: usize, value: &mut Vec<u8>) -> bool {
        let kept = self.kept(self.places[at].at).value;
        kept.inspect(|kept| self.values.restore(kept, value)).is_some()
    }

    /// Sets `key` and, if the key is one that is wanted, `value`; whether there is a value, and the flag.
    #[inline]
    pub(super) fn entry(
        &self,
        at: usize,
        key: &mut Vec<u8>,
        value: &mut Vec<u8>,
        is_wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Option<(bool, bool)> {
        let kept = self.kept(self.places[at].at);
        self.keys.restore(kept.key, key);
        is_wanted(key).then(|| {
            kept.value.inspect(|kept| self.values.restore(kept, value));
            (kept.value.is_some(), kept.flag)
        })
    }

    /// The flag at this place.
    #[inline]
    pub(super) fn flag(&self, at: usize) -> bool {
        self.kept(self.places[at].at).flag
    }

    /// Puts an entry in, in place of the one that is there: where it is, or the place where there was none. Values are
    /// only cut if `cuts_values`.
    pub(super) fn put(
        &mut self,
        key: &[u8],
        value: Option<&[u8]>,
        flag: bool,
        cuts_values: bool,
    ) -> Result<bool, usize> {
        self.keys.begin(key);
        if let Some(value) = value
            && cuts_values
        {
            self.values.begin(value);
        }
        let found = self.find(key);
        let key_misfits = if found.is_ok() { 0 } else { self.keys.misfits(key) };
        let value_misfits = value.map_or(0, |value| self.values.misfits(value));
        if key_misfits | value_misfits != 0 {
            let (keys, values) = (self.keys.without(key_misfits), self.values.without(value_misfits));
            *self = self.recast(0, self.len(), keys, values);
        }
        self.put_at(found, key, value, flag)
    }

    fn put_at(
        &mut self,
        found: Result<usize, usize>,
        key: &[u8],
        value: Option<&[u8]>,
        flag: bool,
    ) -> Result<bool, usize> {
        let at = match found {
            Ok(at) => at,
            Err(at) => {
                let place = self.append(key, value, flag);
                if self.places.len() == self.places.capacity() {
                    self.places.reserve_exact(self.places.len() / 4 + 4);
                }
                self.places.insert(at, place);
                return Err(at);
            }
        };
        let old = self.kept(self.places[at].at);
        let (before, new_len) = (old.flag, value.map(|value| value.len() - self.values.saves()));
        if old.value.map(<[u8]>::len) == new_len {
            self.overwrite(at, value.unwrap_or_default(), flag);
        } else {
            self.waste += old.size(0, 0);
            self.places[at].at = self.append(key, value, flag).at;
        }
        Ok(before)
    }

    /// Removes the entry at a place.
    pub(super) fn remove(&mut self, at: usize) {
        self.waste += self.kept(self.places[at].at).size(0, 0);
        self.places.remove(at);
        if self.places.is_empty() {
            *self = Self::default();
        } else {
            self.tidy();
        }
    }

    /// Clears all flags.
    pub(super) fn settle(&mut self) {
        for at in 0..self.places.len() {
            self.set_flag(at, false);
        }
        self.flagged = false;
    }

    /// Writes itself anew when much of it is waste.
    pub(super) fn tidy(&mut self) {
        if self.waste * 4 > self.data.len().max(256) {
            *self = self.recast(0, self.len(), self.keys.clone(), self.values.clone());
        }
    }

    /// Where half of the bytes lie before.
    pub(super) fn middle(&self) -> usize {
        let half = self.used() / 2;
        let mut before = 0;
        let at = self.places.iter().position(|place| {
            before += self.kept(place.at).size(0, 0);
            before > half
        });
        at.unwrap_or(0).max(1)
    }

    /// Gives the entries from `at` on to a leaf of their own.
    pub(super) fn part(&mut self, at: usize) -> Self {
        let part = self.tight(at, self.len());
        *self = self.tight(0, at);
        part
    }

    /// Gives the last entry, which just came, to a leaf of its own. Where keys come in order, those to come will be as
    /// different as those before.
    pub(super) fn part_last(&mut self, cuts_values: bool) -> Self {
        let mut part = Self::default();
        let Some(last) = self.places.pop() else { return part };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        let kept = self.kept(last.at);
        self.keys.restore(kept.key, &mut key);
        kept.value.inspect(|kept| self.values.restore(kept, &mut value));
        let (there, flag) = (kept.value.is_some(), kept.flag);
        self.data.truncate(last.at as usize);
        if cuts_values {
            *self = self.tight(0, self.len());
        }
        part.keys = self.keys.without(self.keys.misfits(&key));
        part.values = self.values.clone();
        if there && cuts_values {
            part.values.begin(&value);
            part.values = part.values.without(part.values.misfits(&value));
        }
        let place = part.append(&key, there.then_some(&value), flag);
        part.places.push(place);
        part
    }

    /// Appends all entries of a leaf whose keys are behind its own.
    pub(super) fn unite(&mut self, other: &Self, cuts_values: bool) {
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for at in 0..other.len() {
            other.key(at, &mut key);
            let there = other.value(at, &mut value);
            let _ = self.put(&key, there.then_some(&value), other.flag(at), cuts_values);
        }
        self.tidy();
    }

    /// A part of it with moulds that fit it best, if that gains anything worth the work.
    fn tight(&self, from: usize, to: usize) -> Self {
        let kept = || self.places[from..to].iter().map(|place| self.kept(place.at));
        let keys = self.keys.tightened(kept().map(|kept| kept.key));
        // A mould that never began is none.
        let values = self.values.tightened(kept().filter_map(|kept| kept.value));
        let gain = (keys.saves() + values.saves() - self.keys.saves() - self.values.saves()) * (to - from);
        if gain * GAIN_MIN < self.used() * (to - from) / self.len() {
            return self.recast(from, to, self.keys.clone(), self.values.clone());
        }
        self.recast(from, to, keys, values)
    }

    /// A part of it with moulds of which each has all fixed places of its own one, or no others: it takes no more room
    /// than it needs.
    fn recast(&self, from: usize, to: usize, keys: Mould, values: Mould) -> Self {
        if !(keys.cuts_as(&self.keys) && values.cuts_as(&self.values)) {
            return self.recast_by(from, to, keys, values);
        }
        if to - from == self.len() && self.waste == 0 {
            let (data, places) = (self.data.as_slice().into(), self.places.as_slice().into());
            return Self { data, places, keys, values, waste: 0, flagged: self.flagged };
        }
        let bytes = self.places[from..to].iter().map(|place| self.kept(place.at).size(0, 0)).sum();
        let (data, places) = (Vec::with_capacity(bytes), Vec::with_capacity(to - from));
        let mut copy = Self { data, places, keys, values, waste: 0, flagged: self.flagged };
        for place in &self.places[from..to] {
            let (start, size) = (place.at as usize, self.kept(place.at).size(0, 0));
            copy.places.push(Place { head: place.head, at: copy.data.len() as u32 });
            copy.data.extend_from_slice(&self.data[start..start + size]);
        }
        copy
    }

    fn recast_by(&self, from: usize, to: usize, keys: Mould, values: Mould) -> Self {
        let more = |new: &Mould, old: &Mould| old.saves() as isize - new.saves() as isize;
        let (more_key, more_value) = (more(&keys, &self.keys), more(&values, &self.values));
        let kept = || self.places[from..to].iter().map(|place| self.kept(place.at));
        let bytes = kept().map(|kept| kept.size(more_key, more_value)).sum();
        let (data, places) = (Vec::with_capacity(bytes), Vec::with_capacity(to - from));
        let mut copy = Self { data, places, keys, values, waste: 0, flagged: self.flagged };
        let (mut key, mut value) = (Vec::new(), Vec::new());
        for kept in kept() {
            self.keys.restore(kept.key, &mut key);
            kept.value.inspect(|kept| self.values.restore(kept, &mut value));
            let place = copy.append(&key, kept.value.map(|_| &*value), kept.flag);
            copy.places.push(place);
        }
        copy
    }

    #[inline]
    fn kept(&self, at: u32) -> Kept<'_> {
        let mut at = at as usize;
        let head = read_number(&self.data, &mut at);
        let value_len = read_number(&self.data, &mut at).checked_sub(1);
        let (key, rest) = self.data[at..].split_at(head >> 1);
        Kept { key, value: value_len.map(|len| &rest[..len]), flag: head & 1 == 1 }
    }

    /// Writes an entry that fits the moulds.
    fn append(&mut self, key: &[u8], value: Option<&[u8]>, flag: bool) -> Place {
        let key_len = key.len() - self.keys.saves();
        let value_len = value.map_or(0, |value| value.len() - self.values.saves() + 1);
        let added = number_len(key_len << 1) + number_len(value_len) + key_len + value_len.saturating_sub(1);
        if self.data.capacity() - self.data.len() < added {
            self.data.reserve_exact(added + self.data.len() / 4);
        }
        self.flagged |= flag;
        let at = self.data.len() as u32;
        put_varint(&mut self.data, (key_len << 1 | usize::from(flag)) as u64);
        put_varint(&mut self.data, value_len as u64);
        let value = value.unwrap_or_default();
        if key.len().max(value.len()) <= SMALL {
            let mut small = [0; 2 * SMALL];
            let key_end = self.keys.write(key, &mut small);
            let end = key_end + if value_len > 0 { self.values.write(value, &mut small[key_end..]) } else { 0 };
            self.data.extend_from_slice(&small[..end]);
        } else {
            let key_at = self.data.len();
            self.data.resize(key_at + key_len + value_len.saturating_sub(1), 0);
            let key_end = key_at + self.keys.write(key, &mut self.data[key_at..]);
            if value_len > 0 {
                self.values.write(value, &mut self.data[key_end..]);
            }
        }
        Place { head: head(&key[self.keys.shared()..]), at }
    }

    /// Replaces a value by one of which as much is left.
    fn overwrite(&mut self, at: usize, value: &[u8], flag: bool) {
        let kept = self.kept(self.places[at].at);
        let (len, size) = (kept.value.map_or(0, <[u8]>::len), kept.size(0, 0));
        let end = self.places[at].at as usize + size;
        if len > 0 {
            self.values.overwrite(value, &mut self.data[end - len..end]);
        }
        self.set_flag(at, flag);
    }

    #[inline]
    fn set_flag(&mut self, at: usize, flag: bool) {
        self.flagged |= flag;
        let head = &mut self.data[self.places[at].at as usize];
        *head = *head & !1 | u8::from(flag);
    }

    #[cfg(test)]
    pub(super) fn check(&self) {
        assert!(self.places.is_sorted_by_key(|place| place.head));
        let used: usize = self.places.iter().map(|place| self.kept(place.at).size(0, 0)).sum();
        assert_eq!(used + self.waste, self.data.len());
    }
}

#[inline]
fn number_len(number: usize) -> usize {
    varint_len(number as u64)
}

#[inline]
fn read_number(from: &[u8], at: &mut usize) -> usize {
    varint_at(from, at) as usize
}
