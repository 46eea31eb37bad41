//! [`Mould`]: what the byte strings of a leaf have in common, so that it is kept once.
//!
//! Keys near each other begin alike, and so do the numbers in them; rows of one table have their markers and paddings at
//! the same places. A mould knows the places, among a string's first 64, at which all strings have the same byte; a
//! string is kept without those bytes. Strings that fit one mould order as what is kept of them.
//!
//! **Invariant:** every string that was cut with a mould is long enough to have all its fixed places, with its bytes.

use std::cmp::Ordering;

/// Places that a mould knows.
pub(super) const SPAN: usize = 64;

/// Bytes that strings share.
#[derive(Clone)]
pub(super) struct Mould {
    /// Bit by bit the places that are the same in all.
    fixed: u64,
    /// What is at them.
    bytes: [u8; SPAN],
    /// Nothing was cut with it yet.
    blank: bool,
}

/// What a mould leaves of a string, or where a string that does not fit lies among those that do.
pub(super) struct Cut<'s> {
    begin: [u8; SPAN],
    len: usize,
    /// What follows the mould's span.
    rest: &'s [u8],
    /// Where a string that does not fit lies beside those that are equal so far.
    pub(super) beside: Ordering,
}

impl Default for Mould {
    fn default() -> Self {
        Self { fixed: 0, bytes: [0; SPAN], blank: true }
    }
}

impl Mould {
    /// The first string makes the mould: nothing of it varies.
    #[inline]
    pub(super) fn begin(&mut self, string: &[u8]) {
        if self.blank {
            let len = string.len().min(SPAN);
            self.bytes[..len].copy_from_slice(&string[..len]);
            (self.fixed, self.blank) = (lowest(len), false);
        }
    }

    /// The fixed places at which the string is different, or which it does not have.
    #[inline]
    pub(super) fn misfits(&self, string: &[u8]) -> u64 {
        // Behind the last fixed place there is nothing to compare.
        let len = string.len().min(SPAN - self.fixed.leading_zeros() as usize);
        let (mut same, mut at) = (0, 0);
        while at < len {
            same |= u64::from(equal_bytes(word(&string[at..len]), word(&self.bytes[at..]))) << at;
            at += 8;
        }
        self.fixed & !(same & lowest(len))
    }

    /// So many first places are fixed: all strings begin with the same bytes.
    #[inline]
    pub(super) fn shared(&self) -> usize {
        self.fixed.trailing_ones() as usize
    }

    /// Where a string lies beside those that begin with the shared bytes, or that it does too.
    #[inline]
    pub(super) fn beside(&self, string: &[u8]) -> Ordering {
        let shared = self.shared();
        let len = shared.min(string.len());
        let mut at = 0;
        while at < len {
            let (a, b) = (word(&string[at..len]), word(&self.bytes[at..len]));
            if a != b {
                return a.swap_bytes().cmp(&b.swap_bytes());
            }
            at += 8;
        }
        if len < shared { Ordering::Less } else { Ordering::Equal }
    }

    /// The same mould with fewer fixed places.
    pub(super) fn without(&self, places: u64) -> Self {
        Self { fixed: self.fixed & !places, ..self.clone() }
    }

    /// How many bytes it takes from every string.
    #[inline]
    pub(super) fn saves(&self) -> usize {
        self.fixed.count_ones() as usize
    }

    /// Whether what it leaves of strings is what the other one leaves.
    #[inline]
    pub(super) fn cuts_as(&self, other: &Self) -> bool {
        self.fixed == other.fixed
    }

    /// What is left of a string that fits.
    #[inline]
    pub(super) fn cut<'s>(&self, string: &'s [u8]) -> Cut<'s> {
        let len = if self.fixed == 0 { 0 } else { string.len().min(SPAN) };
        let mut cut = Cut { begin: [0; SPAN], len: 0, rest: &string[len..], beside: Ordering::Equal };
        cut.len = gather(string, !self.fixed & lowest(len), &mut cut.begin);
        cut
    }

    /// What is left of a string, which need not fit: then of its bytes before the first misfit.
    #[inline]
    pub(super) fn probe<'s>(&self, string: &'s [u8]) -> Cut<'s> {
        let misfits = self.misfits(string);
        if misfits == 0 {
            return self.cut(string);
        }
        let place = misfits.trailing_zeros() as usize;
        let beside = string.get(place).map_or(Ordering::Less, |byte| byte.cmp(&self.bytes[place]));
        let mut cut = Cut { begin: [0; SPAN], len: 0, rest: &[], beside };
        cut.len = gather(string, !self.fixed & lowest(place.min(string.len())), &mut cut.begin);
        cut
    }

    /// Writes what is left of a string that fits, to where there is room for all of it; how many bytes that is.
    #[inline]
    pub(super) fn write(&self, string: &[u8], to: &mut [u8]) -> usize {
        if self.fixed == 0 {
            to[..string.len()].copy_from_slice(string);
            return string.len();
        }
        let len = string.len().min(SPAN);
        let written = gather(string, !self.fixed & lowest(len), to);
        if string.len() > len {
            to[written..written + string.len() - len].copy_from_slice(&string[len..]);
        }
        written + string.len() - len
    }

    /// Replaces what is left of one string by as much that is left of another one.
    pub(super) fn overwrite(&self, string: &[u8], kept: &mut [u8]) {
        self.write(string, kept);
    }

    /// Sets `string` to that of which `cut` is left.
    #[inline]
    pub(super) fn restore(&self, cut: &[u8], string: &mut Vec<u8>) {
        string.clear();
        if self.fixed == 0 {
            return string.extend_from_slice(cut);
        }
        let len = cut.len() + self.saves();
        let spanned = len.min(SPAN);
        string.extend_from_slice(&self.bytes[..spanned]);
        let (mut places, mut at) = (!self.fixed & lowest(spanned), 0);
        while let Some((start, end)) = run(&mut places) {
            let len = end - start;
            match (string[start..].first_chunk_mut::<8>(), cut[at..].first_chunk::<8>()) {
                (Some(to), Some(from)) if len < 8 => {
                    let mask = u64::MAX << (8 * len);
                    let word = u64::from_le_bytes(*to) & mask | u64::from_le_bytes(*from) & !mask;
                    *to = word.to_le_bytes();
                }
                _ => copy(&mut string[start..end], &cut[at..]),
            }
            at += len;
        }
        if at < cut.len() {
            string.extend_from_slice(&cut[at..]);
        }
    }

    /// The mould with all places fixed at which these strings, cut with it, are the same.
    pub(super) fn tightened<'c>(&self, mut cuts: impl Iterator<Item = &'c [u8]>) -> Self {
        let Some(first) = cuts.next().filter(|_| !self.blank) else { return self.clone() };
        let mut len = first.len().min(SPAN - self.saves());
        let mut differ = [0; SPAN / 8];
        for cut in cuts {
            len = len.min(cut.len());
            let mut at = 0;
            while at < len {
                differ[at / 8] |= word(&first[at..len]) ^ word(&cut[at..len]);
                at += 8;
            }
        }
        let mut tight = self.clone();
        let mut places = !self.fixed;
        for i in 0..len {
            let place = places.trailing_zeros() as usize;
            places &= places - 1;
            if (differ[i / 8] >> (i % 8 * 8)) as u8 == 0 {
                tight.fixed |= 1 << place;
                tight.bytes[place] = first[i];
            }
        }
        tight
    }
}

impl Cut<'_> {
    /// How what is left of a string that fits lies to this one.
    #[inline]
    pub(super) fn order(&self, other: &[u8]) -> Ordering {
        let (begin, rest) = other.split_at(other.len().min(self.len));
        let order = begin.cmp(&self.begin[..self.len]);
        match self.beside {
            Ordering::Equal => order.then_with(|| rest.cmp(self.rest)),
            beside => order.then(beside.reverse()),
        }
    }
}

/// The first four bytes, zeros behind the end.
#[inline]
pub(super) fn head(bytes: &[u8]) -> u32 {
    (word(bytes) as u32).swap_bytes()
}

/// Copies the bytes at some places to where there is room for them; how many they are.
#[inline]
fn gather(string: &[u8], mut places: u64, to: &mut [u8]) -> usize {
    let mut at = 0;
    while let Some((start, end)) = run(&mut places) {
        let len = end - start;
        match (to[at..].first_chunk_mut::<8>(), string[start..].first_chunk::<8>()) {
            // What is too much is written over, or lies behind the end.
            (Some(to), Some(from)) if len <= 8 => *to = *from,
            _ => copy(&mut to[at..at + len], &string[start..]),
        }
        at += len;
    }
    at
}

/// Takes the lowest run of places.
#[inline]
fn run(places: &mut u64) -> Option<(usize, usize)> {
    let start = places.trailing_zeros();
    if start == u64::BITS {
        return None;
    }
    let end = start + (!(*places >> start)).trailing_zeros();
    *places &= u64::MAX.unbounded_shl(end);
    Some((start as usize, end as usize))
}

/// Most runs are of few bytes, for which a call costs more than they do.
#[inline]
fn copy(to: &mut [u8], from: &[u8]) {
    if to.len() > 8 {
        let len = to.len();
        return to.copy_from_slice(&from[..len]);
    }
    let from = &from[..to.len()];
    let mut at = 0;
    while at < to.len() {
        to[at] = from[at];
        at += 1;
    }
}

#[inline]
fn lowest(places: usize) -> u64 {
    !u64::MAX.unbounded_shl(places as u32)
}

/// The first eight bytes, zeros behind the end.
#[inline]
fn word(bytes: &[u8]) -> u64 {
    if let Some(chunk) = bytes.first_chunk() {
        return u64::from_le_bytes(*chunk);
    }
    let (mut word, mut i) = (0, 0);
    while i < bytes.len() {
        word |= u64::from(bytes[i]) << (8 * i);
        i += 1;
    }
    word
}

/// A bit for each of the eight bytes that are equal.
#[inline]
fn equal_bytes(a: u64, b: u64) -> u8 {
    const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
    let differ = a ^ b;
    let equal = !(((differ & LOW) + LOW) | differ | LOW);
    ((equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_are_found() {
        for bits in 0..=u8::MAX {
            let bytes: [u8; 8] = std::array::from_fn(|i| if bits >> i & 1 == 1 { 9 } else { [8, 0x89, 0][i % 3] });
            assert_eq!(equal_bytes(word(&bytes), word(&[9; 8])), bits);
        }
    }

    #[test]
    fn strings_come_back_and_keep_their_order() {
        let strings: Vec<Vec<u8>> = (0..3_000_u64)
            .map(|i| {
                let n = i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
                let tail = vec![n as u8 % 3; (n % 4) as usize * 25];
                [b"order-".as_slice(), &n.to_be_bytes()[5..], b"-", &(1000 + n % 7).to_be_bytes(), &tail].concat()
            })
            .collect();
        let mut mould = Mould::default();
        for string in &strings {
            mould.begin(string);
            mould = mould.without(mould.misfits(string));
        }
        assert_eq!(mould.saves(), 6 + 1 + 7);
        let cuts: Vec<Vec<u8>> = strings
            .iter()
            .map(|string| {
                let mut cut = vec![0; string.len()];
                let len = mould.write(string, &mut cut);
                cut.truncate(len);
                cut
            })
            .collect();
        let mut back = Vec::new();
        for (string, cut) in strings.iter().zip(&cuts) {
            mould.restore(cut, &mut back);
            assert_eq!(back, *string);
        }
        let strangers: [&[u8]; 6] = [b"", b"o", b"order", b"order-\xFF\xFF\xFF\xFF", b"order-\x20\x30\x40.", b"z"];
        for probe in strings.iter().map(|string| &**string).step_by(7).chain(strangers) {
            let cut = mould.probe(probe);
            assert_eq!(cut.beside == Ordering::Equal, mould.misfits(probe) == 0);
            for (string, other) in strings.iter().zip(&cuts) {
                assert_eq!(cut.order(other), (**string).cmp(probe));
            }
        }
        let loose = mould.without(u64::MAX);
        assert_eq!(loose.saves(), 0);
        let tight = loose.tightened(strings.iter().map(|string| &**string));
        assert!(tight.cuts_as(&mould) && tight.bytes[..6] == *b"order-");
    }
}
