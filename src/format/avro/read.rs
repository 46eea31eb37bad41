//! Avro's binary form to data.

use super::schema::{Avro, Node};
use crate::format::datum::{Datum, decimal_from_bytes};
use crate::types::Decimal;

/// Values nested deeper than this are refused, lest hostile bytes exhaust the stack.
const DEPTH_MAX: usize = 128;

/// Reads one value after the other.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    /// How many more values may be read that take no bytes: a count of them costs a writer nothing.
    empty_left: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, empty_left: 1 << 16 }
    }

    /// The next value.
    pub(super) fn value(&mut self, avro: &Avro, node: &Node, depth: usize) -> Result<Datum, String> {
        if depth > DEPTH_MAX {
            return Err("values are nested too deep".to_owned());
        }
        Ok(match node {
            Node::Null => Datum::Null,
            Node::Boolean => match self.take(1)?[0] {
                0 => Datum::Bool(false),
                1 => Datum::Bool(true),
                other => return Err(format!("{other} is no boolean")),
            },
            Node::Int => Datum::Int(self.int()?),
            Node::Long => Datum::Long(self.long()?),
            Node::Float => {
                let bytes = self.take(4)?;
                Datum::Double(f64::from(f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])))
            }
            Node::Double => {
                let mut bytes = [0; 8];
                bytes.copy_from_slice(self.take(8)?);
                Datum::Double(f64::from_le_bytes(bytes))
            }
            Node::Bytes => Datum::Bytes(self.bytes()?.to_vec()),
            Node::Fixed(size) => Datum::Bytes(self.take(*size)?.to_vec()),
            Node::String => {
                let bytes = self.bytes()?;
                Datum::String(std::str::from_utf8(bytes).map_err(|_| "the text is not UTF-8".to_owned())?.to_owned())
            }
            Node::Decimal(_, scale, size) => {
                let digits = match size {
                    Some(size) => self.take(*size)?,
                    None => self.bytes()?,
                };
                let unscaled = decimal_from_bytes(digits).ok_or("the decimal has too many digits")?;
                Datum::Decimal(Decimal::new(unscaled, *scale))
            }
            Node::Date => Datum::Date(self.int()?),
            Node::TimeMillis => Datum::Time(self.int()?),
            Node::TimeMicros => {
                let ms = i32::try_from(self.long()? / 1000).map_err(|_| "the time is out of range".to_owned())?;
                Datum::Time(ms)
            }
            Node::TimestampMillis => Datum::Timestamp(self.long()?),
            Node::TimestampMicros => Datum::Timestamp(self.long()?.div_euclid(1000)),
            Node::Enum(symbols) => {
                let at = self.int()?;
                let symbol = usize::try_from(at).ok().and_then(|at| symbols.get(at));
                Datum::String(symbol.ok_or_else(|| format!("{at} is no symbol of the enum"))?.clone())
            }
            Node::Array(item) => {
                let mut items = Vec::new();
                self.blocks(|reader| {
                    items.push(reader.value(avro, item, depth + 1)?);
                    Ok(())
                })?;
                Datum::Array(items)
            }
            Node::Map(value) => {
                let mut entries = Vec::new();
                self.blocks(|reader| {
                    let key = reader.value(avro, &Node::String, depth + 1)?;
                    entries.push((key, reader.value(avro, value, depth + 1)?));
                    Ok(())
                })?;
                Datum::Map(entries)
            }
            Node::Entries(key, value) => {
                let mut entries = Vec::new();
                self.blocks(|reader| {
                    let key = reader.value(avro, key, depth + 1)?;
                    entries.push((key, reader.value(avro, value, depth + 1)?));
                    Ok(())
                })?;
                Datum::Map(entries)
            }
            Node::Union(branches) => {
                let at = self.long()?;
                let branch = usize::try_from(at).ok().and_then(|at| branches.get(at));
                let branch = branch.ok_or_else(|| format!("{at} is no branch of the union"))?;
                let datum = self.value(avro, branch, depth + 1)?;
                match avro.branch_name(branch) {
                    Some(name) if branches.iter().filter(|branch| **branch != Node::Null).count() > 1 => {
                        Datum::Branch(name, Box::new(datum))
                    }
                    _ => datum,
                }
            }
            Node::Record(at) => {
                let fields = &avro.records[*at].fields;
                let mut data = Vec::with_capacity(fields.len());
                for field in fields {
                    let datum = self.value(avro, &field.node, depth + 1);
                    data.push((field.name.clone(), datum.map_err(|reason| format!("{}: {reason}", field.name))?));
                }
                Datum::Record(data)
            }
        })
    }

    /// Whether all bytes are read.
    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8], String> {
        if len > self.rest.len() {
            return Err(format!("{len} bytes expected, {} left", self.rest.len()));
        }
        let (taken, rest) = self.rest.split_at(len);
        self.rest = rest;
        Ok(taken)
    }

    fn bytes(&mut self) -> Result<&'a [u8], String> {
        let len = self.long()?;
        self.take(usize::try_from(len).map_err(|_| format!("{len} is no length"))?)
    }

    fn long(&mut self) -> Result<i64, String> {
        let mut number = 0u64;
        for (i, byte) in self.rest.iter().enumerate().take(10) {
            number |= u64::from(byte & 0x7f) << (7 * i);
            if byte & 0x80 == 0 {
                self.rest = &self.rest[i + 1..];
                return Ok((number >> 1) as i64 ^ -((number & 1) as i64));
            }
        }
        Err("a number is cut off".to_owned())
    }

    fn int(&mut self) -> Result<i32, String> {
        let number = self.long()?;
        i32::try_from(number).map_err(|_| format!("{number} is out of range for an int"))
    }

    /// The items of an array or map: blocks of a count and so many items, until a count of 0.
    fn blocks(&mut self, mut item: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            let mut count = self.long()?;
            if count == 0 {
                return Ok(());
            }
            if count < 0 {
                // The block's size in bytes follows, for those who skip it.
                self.long()?;
                count = count.checked_neg().ok_or("a block has too many items")?;
            }
            for _ in 0..count {
                let before = self.rest.len();
                item(self)?;
                if self.rest.len() == before {
                    self.empty_left = self.empty_left.checked_sub(1).ok_or("a block has too many empty items")?;
                }
            }
        }
    }
}
