//! [`JsonDecoder`]: JSON messages straight into columns.

use arrow::buffer::BooleanBuffer;
use jiter::{Jiter, Peek};

use super::coerce::{self, Fault, Outcome};
use super::course::Course;
use super::fields::Fields;
use crate::change::Payloads;
use crate::error::{RecordError, Result};
use crate::format::builder::Builder;
use crate::format::{Decoded, Decoder, Layout, NullRows, check_size};

/// How many records that do not follow the course are read before another one is learnt.
const PATIENCE: u32 = 64;

/// Reads JSON.
pub(in crate::format) struct JsonDecoder {
    fields: Fields,
    /// Of all declared columns; those not wanted stay empty.
    builders: Vec<Builder>,
    wanted: Vec<bool>,
    /// A bare value rather than an object.
    bare: bool,
    /// Memory of unescaped strings.
    tape: Vec<u8>,
    /// What the last records looked like.
    course: Option<Course>,
    /// Records that are read before a course is learnt again.
    patience: u32,
}

impl JsonDecoder {
    pub(in crate::format) fn new(layout: &Layout<'_>) -> Self {
        Self {
            fields: Fields::new(layout.columns.iter().map(|column| (column.name.as_str(), &column.ty))),
            builders: layout.columns.iter().map(|column| Builder::new(&column.ty, 0)).collect(),
            wanted: layout.wanted.to_vec(),
            bare: layout.bare,
            tape: Vec::new(),
            course: None,
            patience: 0,
        }
    }

    /// Reads one message; `false` is a JSON `null`. Columns may be left unfinished.
    fn message(&mut self, bytes: &[u8], ascii: bool, row: usize) -> Outcome<bool> {
        if !ascii && let Err(error) = std::str::from_utf8(bytes) {
            return Err(Fault::new(format!("not valid UTF-8 at byte {}", error.valid_up_to())));
        }
        if let Some(course) = &self.course {
            if course.follow(bytes, &mut self.builders).is_some() {
                return Ok(true);
            }
            self.builders.iter_mut().for_each(|builder| builder.truncate(row));
        }
        let found = self.parse(bytes, row)?;
        if found && !self.bare {
            match self.patience {
                0 => {
                    self.course = Course::learn(bytes, &mut self.fields, &self.builders, &self.wanted);
                    self.patience = PATIENCE;
                }
                _ => self.patience -= 1,
            }
        }
        Ok(found)
    }

    fn parse(&mut self, bytes: &[u8], row: usize) -> Outcome<bool> {
        let mut jiter = Jiter::with_tape(bytes, std::mem::take(&mut self.tape));
        let outcome = self.root(&mut jiter, row);
        self.tape = jiter.into_tape();
        outcome
    }

    fn root(&mut self, jiter: &mut Jiter<'_>, row: usize) -> Outcome<bool> {
        let peek = jiter.peek()?;
        let found = peek != Peek::Null;
        if !found {
            // > KSQL: a message that is the JSON null is a null message.
            jiter.known_null()?;
        } else if self.bare {
            let builder = &mut self.builders[0];
            coerce::value(jiter, peek, &mut self.fields.shapes[0], builder)?;
            if !self.wanted[0] {
                builder.truncate(0);
            }
        } else if peek == Peek::Object {
            coerce::object(jiter, &mut self.fields, &mut self.builders, Some(&self.wanted), row)?;
        } else {
            jiter.known_skip(peek)?;
            return Err(Fault::new("not a JSON object"));
        }
        jiter.finish()?;
        Ok(found)
    }

    /// Makes every wanted column `rows` cells long and empties the others.
    fn settle(&mut self, rows: usize) {
        for (builder, wanted) in self.builders.iter_mut().zip(&self.wanted) {
            builder.settle(if *wanted { rows } else { 0 });
        }
    }
}

impl Decoder for JsonDecoder {
    fn decode(&mut self, payloads: Payloads<'_>) -> Result<Decoded> {
        check_size(payloads)?;
        let mut errors = Vec::new();
        let mut nulls = NullRows::new(payloads.len());
        self.settle(0);
        let ascii = payloads.is_ascii();
        for (row, payload) in payloads.iter().enumerate() {
            match payload.map(|bytes| self.message(bytes, ascii, row)) {
                Some(Ok(true)) => continue,
                None | Some(Ok(false)) => nulls.set(row),
                Some(Err(fault)) => {
                    errors.push(RecordError { row, place: "deserialization".to_owned(), reason: fault.text() })
                }
            }
            self.settle(row);
            self.settle(row + 1);
        }
        let null: Option<BooleanBuffer> = nulls.finish();
        let wanted = self.builders.iter_mut().zip(&self.wanted).filter(|(_, wanted)| **wanted);
        let columns = wanted.map(|(builder, _)| builder.finish()).collect::<Result<_>>()?;
        Ok(Decoded { columns, null, errors })
    }
}
