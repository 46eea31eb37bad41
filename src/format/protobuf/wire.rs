//! The wire: tagged fields of four shapes.

/// Why bytes are no message.
pub(super) type Fault = String;

/// A field's bytes as they stand in a message.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Raw<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Reads a message field by field.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What is left.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn varint(&mut self) -> Result<u64, Fault> {
        let mut number = 0u64;
        for (i, byte) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Ok(number);
            }
        }
        Err("a number is cut off".to_owned())
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], Fault> {
        if len > self.rest.len() {
            return Err(format!("{len} bytes announced, {} left", self.rest.len()));
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn fixed32(&mut self) -> Result<u32, Fault> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]))
    }

    pub(super) fn fixed64(&mut self) -> Result<u64, Fault> {
        let low = u64::from(self.fixed32()?);
        Ok(low | u64::from(self.fixed32()?) << 32)
    }

    /// The next field's number and bytes; `None` at the end.
    pub(super) fn field(&mut self) -> Result<Option<(u32, Raw<'a>)>, Fault> {
        loop {
            if self.rest.is_empty() {
                return Ok(None);
            }
            let tag = self.varint()?;
            let number = u32::try_from(tag >> 3).ok().filter(|number| *number > 0);
            let number = number.ok_or_else(|| format!("{} is no field number", tag >> 3))?;
            let raw = match tag & 7 {
                0 => Raw::Varint(self.varint()?),
                1 => Raw::Fixed64(self.fixed64()?),
                2 => {
                    let len = self.varint()?;
                    Raw::Bytes(self.take(usize::try_from(len).unwrap_or(usize::MAX))?)
                }
                5 => Raw::Fixed32(self.fixed32()?),
                // Groups are proto2's; what is inside is skipped field by field.
                3 | 4 => continue,
                other => return Err(format!("field {number} has the unknown wire type {other}")),
            };
            return Ok(Some((number, raw)));
        }
    }
}

pub(super) fn put_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

pub(super) fn put_tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

/// A length and that many bytes.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

pub(super) fn zigzag(number: i64) -> u64 {
    (number << 1 ^ number >> 63) as u64
}

pub(super) fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_the_published_encoding() -> Result<(), Fault> {
        // 150 and the string "testing" are the examples of the encoding's specification.
        let bytes = [0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67];
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.field()?, Some((1, Raw::Varint(150))));
        assert_eq!(reader.field()?, Some((2, Raw::Bytes(b"testing"))));
        assert_eq!(reader.field()?, None);
        for (number, zigzagged) in [(0, 0), (-1, 1), (1, 2), (-2, 3), (i64::MAX, u64::MAX - 1), (i64::MIN, u64::MAX)] {
            assert_eq!((zigzag(number), unzigzag(zigzagged)), (zigzagged, number));
        }
        Ok(())
    }

    #[test]
    fn cut_off_messages_are_faults() {
        for bytes in [&[0x08][..], &[0x08, 0x80], &[0x12, 0x05, b'a'], &[0x0d, 1, 2], &[0x07], &[0x00, 0x00]] {
            assert!(Reader::new(bytes).field().is_err(), "{bytes:?}");
        }
    }
}
