//! Parts of store keys and values: integers whose bytes order as the numbers do.
//!
//! Stores begin each key with a tag byte; what follows is made of these and of [`super::RowCodec`] rows, which are
//! self-delimiting, so that a row followed by numbers orders by row, then by number.

/// Appends a signed number; bytes order as numbers.
#[inline]
pub fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&ordered_i64(value));
}

/// The bytes of a signed number; they order as numbers.
#[inline]
pub fn ordered_i64(value: i64) -> [u8; 8] {
    ((value as u64) ^ (1 << 63)).to_be_bytes()
}

/// The signed number at the start of `bytes`; missing bytes count as zero.
#[inline]
pub fn i64_at(bytes: &[u8]) -> i64 {
    (u64_at(bytes) ^ (1 << 63)) as i64
}

/// Appends an unsigned number; bytes order as numbers.
#[inline]
pub fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_be_bytes());
}

/// The unsigned number at the start of `bytes`; missing bytes count as zero.
#[inline]
pub fn u64_at(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |chunk| u64::from_be_bytes(*chunk))
}

/// Appends an unsigned number, small ones in fewer bytes: seven bits each, the lowest first. They do not order.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 128 {
        out.push(value as u8 | 128);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The number that [`put_varint`] wrote at `at`, which moves behind it; missing bytes count as zero.
#[inline]
pub fn varint_at(bytes: &[u8], at: &mut usize) -> u64 {
    if let Some(byte) = bytes.get(*at)
        && *byte < 128
    {
        *at += 1;
        return u64::from(*byte);
    }
    let (mut value, mut shift) = (0, 0);
    while let Some(byte) = bytes.get(*at) {
        *at += 1;
        value |= u64::from(byte & 127).unbounded_shl(shift);
        if *byte < 128 {
            break;
        }
        shift += 7;
    }
    value
}

/// Bytes that [`put_varint`] writes.
#[inline]
pub fn varint_len(value: u64) -> usize {
    (u64::BITS - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// A key of parts, back to back.
pub fn key(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + parts.iter().map(|part| part.len()).sum::<usize>());
    key.push(tag);
    parts.iter().for_each(|part| key.extend_from_slice(part));
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_order_as_bytes() {
        let numbers = [i64::MIN, -5, -1, 0, 1, 7, i64::MAX];
        let bytes = numbers.map(ordered_i64);
        assert!(bytes.is_sorted());
        assert_eq!(bytes.map(|b| i64_at(&b)), numbers);
        for number in [0, 1, 127, 128, 300, 1 << 56, u64::MAX] {
            let (mut bytes, mut at) = (vec![9], 1);
            put_varint(&mut bytes, number);
            assert_eq!(bytes.len() - 1, varint_len(number));
            assert_eq!((varint_at(&bytes, &mut at), at), (number, bytes.len()));
        }
        assert_eq!(u64_at(&key(1, &[&7u64.to_be_bytes(), b"x"])[1..]), 7);
    }
}
