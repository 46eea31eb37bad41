//! [`Course`]: a record that looks like one before it, read in one go.
//!
//! Most records of a topic have the same names in the same order, and scalars in plain notation. A course knows these
//! names and what becomes of each value. It reads such a record without a parser's states, and gives up at whatever is
//! different: then the parser reads the record from the start.
//!
//! **Invariant:** a record that it reads gives the same cells as the parser gives.

use jiter::{Jiter, Peek};

use super::fields::{Fields, NONE};
use super::text::write_string;
use crate::format::builder::{Builder, push_bool};

/// Names in their order, each with where its value goes.
pub(super) struct Course {
    steps: Vec<Step>,
    /// Wanted columns that no step fills.
    missing: Vec<usize>,
}

struct Step {
    /// The name as it is written, quotes and colon included.
    name: Vec<u8>,
    /// Its column; none for names that no column has.
    column: Option<usize>,
    wanted: bool,
}

impl Course {
    /// The course of the object that `message` is; `None` if not all its values are scalars, or its names are no plain
    /// matter.
    pub(super) fn learn(message: &[u8], fields: &mut Fields, builders: &[Builder], wanted: &[bool]) -> Option<Self> {
        let mut jiter = Jiter::new(message);
        let mut steps: Vec<Step> = Vec::new();
        let mut name = jiter.next_object().ok()?.map(str::to_owned);
        while let Some(text) = name {
            let target = fields.find(&text, &mut 0);
            let column = if target.exact == NONE { target.folded } else { target.exact };
            let column = (column != NONE).then_some(column as usize);
            let twice = target.exact != NONE && target.folded != NONE
                || column.is_some() && steps.iter().any(|step| step.column == column);
            let peek = jiter.peek().ok()?;
            let nested = matches!(peek, Peek::Array | Peek::Object);
            if twice || nested || column.is_some_and(|column| !is_plain(&builders[column])) {
                return None;
            }
            let mut name_bytes = Vec::new();
            write_string(&mut name_bytes, &text);
            name_bytes.push(b':');
            steps.push(Step { name: name_bytes, column, wanted: column.is_some_and(|column| wanted[column]) });
            jiter.known_skip(peek).ok()?;
            name = jiter.next_key().ok()?.map(str::to_owned);
        }
        let filled = |column: usize| steps.iter().any(|step| step.column == Some(column));
        let missing = (0..wanted.len()).filter(|column| wanted[*column] && !filled(*column)).collect();
        (!steps.is_empty()).then_some(Self { steps, missing })
    }

    /// Appends a cell to every wanted column; on `None`, which says that the parser must read the record, some columns
    /// may have one more already. The message is valid UTF-8.
    #[inline]
    pub(super) fn follow(&self, message: &[u8], builders: &mut [Builder]) -> Option<()> {
        let mut scan = Scan { bytes: message, at: 0 };
        let mut before = b'{';
        for step in &self.steps {
            scan.expect(before)?;
            before = b',';
            scan.blanks();
            scan.word(&step.name)?;
            scan.blanks();
            match step.column {
                None => scan.skip()?,
                Some(column) => scan.cell(&mut builders[column], step.wanted)?,
            }
            scan.blanks();
        }
        scan.expect(b'}')?;
        scan.blanks();
        if scan.at != message.len() {
            return None;
        }
        self.missing.iter().for_each(|column| builders[*column].push_null());
        Some(())
    }
}

fn is_plain(builder: &Builder) -> bool {
    use Builder as B;
    matches!(builder, B::String(_) | B::Int(_) | B::BigInt(_) | B::Double(_) | B::Boolean(..) | B::Timestamp(_))
}

/// A number in plain notation: no exponent, few enough digits.
struct Plain {
    negative: bool,
    /// All digits, the point left out.
    digits: u64,
    /// How many of them stand behind the point.
    scale: usize,
}

/// More digits might not fit 64 bits.
const DIGITS_MAX: usize = 18;
/// Powers of ten that a double holds exactly, as far as numbers here need them.
const POWERS: [f64; DIGITS_MAX + 1] =
    [1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18];

struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Scan<'a> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    #[inline]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.bytes[self.at..].starts_with(word).then(|| self.at += word.len())
    }

    #[inline]
    fn blanks(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// The value as a cell of `builder`, or only checked when it is not wanted.
    #[inline]
    fn cell(&mut self, builder: &mut Builder, wanted: bool) -> Option<()> {
        let first = self.peek()?;
        if first == b'n' {
            self.word(b"null")?;
            if wanted {
                builder.push_null();
            }
            return Some(());
        }
        match builder {
            Builder::String(_) if !wanted => self.skip()?,
            Builder::String(cells) => cells.push(self.string()?),
            Builder::Double(_) if !wanted => {
                self.number()?;
            }
            Builder::Double(cells) => cells.push(self.double()?),
            Builder::BigInt(cells) | Builder::Timestamp(cells) => {
                let number = self.integer()?;
                if wanted {
                    cells.push(number);
                }
            }
            Builder::Int(cells) => {
                let number = i32::try_from(self.integer()?).ok()?;
                if wanted {
                    cells.push(number);
                }
            }
            Builder::Boolean(values, valid) => {
                let value = first == b't';
                self.word(if value { b"true" } else { b"false" })?;
                if wanted {
                    push_bool(values, valid, value);
                }
            }
            _ => return None,
        }
        Some(())
    }

    /// Passes over any scalar.
    #[inline]
    fn skip(&mut self) -> Option<()> {
        match self.peek()? {
            b'"' => drop(self.string()?),
            b'n' => self.word(b"null")?,
            b't' => self.word(b"true")?,
            b'f' => self.word(b"false")?,
            _ => {
                self.number()?;
            }
        }
        Some(())
    }

    /// A string without escapes.
    #[inline]
    fn string(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let start = self.at;
        while let Some(chunk) = self.bytes[self.at..].first_chunk() {
            let found = special(u64::from_le_bytes(*chunk));
            if found == 0 {
                self.at += 8;
                continue;
            }
            self.at += found.trailing_zeros() as usize / 8;
            break;
        }
        // What is left is shorter than a chunk, or this is the byte found.
        while !matches!(self.peek()?, b'"' | b'\\' | 0..=0x1F) {
            self.at += 1;
        }
        let text = &self.bytes[start..self.at];
        self.expect(b'"')?;
        Some(text)
    }

    #[inline]
    fn digits(&mut self, number: &mut u64) -> usize {
        let start = self.at;
        while let Some(digit) = self.peek().map(|byte| byte.wrapping_sub(b'0')).filter(|digit| *digit < 10) {
            *number = number.wrapping_mul(10).wrapping_add(u64::from(digit));
            self.at += 1;
        }
        self.at - start
    }

    #[inline]
    fn number(&mut self) -> Option<Plain> {
        let negative = self.peek()? == b'-';
        self.at += usize::from(negative);
        let mut digits = 0;
        let zero = self.peek()? == b'0';
        let whole = self.digits(&mut digits);
        if whole == 0 || zero && whole > 1 {
            return None;
        }
        let mut scale = 0;
        if self.peek() == Some(b'.') {
            self.at += 1;
            scale = self.digits(&mut digits);
            if scale == 0 {
                return None;
            }
        }
        let fits = whole + scale <= DIGITS_MAX && !matches!(self.peek(), Some(b'e' | b'E'));
        // The sign of zero is the parser's business.
        (fits && !(negative && digits == 0)).then_some(Plain { negative, digits, scale })
    }

    #[inline]
    fn integer(&mut self) -> Option<i64> {
        let number = self.number()?;
        let magnitude = number.digits as i64;
        (number.scale == 0).then_some(if number.negative { -magnitude } else { magnitude })
    }

    #[inline]
    fn double(&mut self) -> Option<f64> {
        let start = self.at;
        let number = self.number()?;
        if number.digits > 1 << f64::MANTISSA_DIGITS {
            return std::str::from_utf8(&self.bytes[start..self.at]).ok()?.parse().ok();
        }
        // Both are exact, so the quotient is the nearest double.
        let magnitude = number.digits as f64 / POWERS[number.scale];
        Some(if number.negative { -magnitude } else { magnitude })
    }
}

/// Marks bytes that end a plain run of a string (quote, backslash, control characters) by their highest bit: the lowest
/// mark is right, those above it may be false.
#[inline]
fn special(chunk: u64) -> u64 {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = ONES << 7;
    let zero = |x: u64| x.wrapping_sub(ONES) & !x;
    let control = chunk.wrapping_sub(ONES * 0x20) & !chunk;
    (zero(chunk ^ (ONES * u64::from(b'"'))) | zero(chunk ^ (ONES * u64::from(b'\\'))) | control) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_bytes_are_found() {
        for byte in 0..=255u8 {
            for place in 0..8 {
                let mut chunk = *b"abc\xc3\xa4 ~\x7f";
                chunk[place] = byte;
                let found = special(u64::from_le_bytes(chunk)).trailing_zeros() as usize / 8;
                let expected = if byte < 0x20 || byte == b'"' || byte == b'\\' { place } else { 8 };
                assert_eq!(found, expected, "{byte} at {place}");
            }
        }
    }
}
