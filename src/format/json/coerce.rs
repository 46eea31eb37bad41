//! A JSON value into a cell of a column's type.
//!
//! > KSQL: numbers may come as strings, STRING takes any value as its text, BOOLEAN takes booleans only, dates and
//! > times take numbers only, a fraction is cut off for INT and BIGINT.

use std::collections::{HashMap, HashSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiter::{Jiter, JiterError, NumberAny, NumberInt, Peek};

use super::fields::{Fields, NONE, Shape};
use super::text;
use crate::format::builder::{Builder, Var, push_bool};
use crate::format::number;

/// Why a record cannot be read, and where in it.
#[derive(Debug)]
pub(super) struct Fault {
    reason: String,
    /// Steps from the innermost value outwards.
    path: Vec<String>,
}

pub(super) type Outcome<T> = Result<T, Box<Fault>>;

impl Fault {
    pub(super) fn new(reason: impl Into<String>) -> Box<Self> {
        Box::new(Self { reason: reason.into(), path: Vec::new() })
    }

    #[cold]
    fn inside(mut self: Box<Self>, step: String) -> Box<Self> {
        self.path.push(step);
        self
    }

    /// `{reason} at $.FIELD[2]`
    pub(super) fn text(&self) -> String {
        let path: String = self.path.iter().rev().map(String::as_str).collect();
        if path.is_empty() { self.reason.clone() } else { format!("{} at ${path}", self.reason) }
    }
}

impl From<JiterError> for Box<Fault> {
    #[cold]
    fn from(error: JiterError) -> Self {
        Fault::new(format!("not valid JSON: {error}"))
    }
}

/// The value is well-formed but of the wrong kind (or else the syntax error that it is).
#[cold]
fn mismatch(jiter: &mut Jiter<'_>, peek: Peek, ty: &str) -> Box<Fault> {
    if let Err(error) = jiter.known_skip(peek) {
        return error.into();
    }
    let kind = match peek {
        Peek::True | Peek::False => "a boolean",
        Peek::String => "a string",
        Peek::Array => "an array",
        Peek::Object => "an object",
        _ => "a number",
    };
    Fault::new(format!("cannot read {kind} as {ty}"))
}

/// Appends the next value of `jiter` to `builder`, exactly one cell; after a fault the builder must be truncated.
pub(super) fn value(jiter: &mut Jiter<'_>, peek: Peek, shape: &mut Shape, builder: &mut Builder) -> Outcome<()> {
    if peek == Peek::Null {
        jiter.known_null()?;
        builder.push_null();
        return Ok(());
    }
    match builder {
        Builder::String(b) => {
            if peek == Peek::String {
                b.push(jiter.known_str()?.as_bytes());
            } else {
                text::write_text(jiter, peek, b.open())?;
                b.close();
            }
        }
        Builder::Int(b) => b.push(narrow(integer(jiter, peek, "INTEGER", true)?, "INTEGER")?),
        Builder::BigInt(b) => b.push(integer(jiter, peek, "BIGINT", true)?),
        Builder::Double(b) => b.push(double(jiter, peek)?),
        Builder::Boolean(values, valid) => match peek {
            Peek::True | Peek::False => push_bool(values, valid, jiter.known_bool(peek)?),
            _ => return Err(mismatch(jiter, peek, "BOOLEAN")),
        },
        Builder::Decimal(b, precision, scale) => {
            let text = match peek {
                Peek::String => jiter.known_str()?,
                _ if peek.is_num() => std::str::from_utf8(jiter.known_number_bytes(peek)?).unwrap_or_default(),
                _ => return Err(mismatch(jiter, peek, "DECIMAL")),
            };
            b.push(number::parse_decimal(text, *precision, *scale).map_err(Fault::new)?);
        }
        Builder::Bytes(b) => match peek {
            Peek::String => {
                STANDARD
                    .decode_vec(jiter.known_str()?, b.open())
                    .map_err(|error| Fault::new(format!("BYTES are not base64: {error}")))?;
                b.close();
            }
            _ => return Err(mismatch(jiter, peek, "BYTES")),
        },
        Builder::Time(b) => b.push(narrow(integer(jiter, peek, "TIME", false)?, "TIME")?),
        Builder::Date(b) => b.push(narrow(integer(jiter, peek, "DATE", false)?, "DATE")?),
        Builder::Timestamp(b) => b.push(integer(jiter, peek, "TIMESTAMP", false)?),
        Builder::Array(runs, item, _) => {
            let Shape::Items(shape) = shape else { unreachable!("the shape follows the type") };
            if peek != Peek::Array {
                return Err(mismatch(jiter, peek, "ARRAY"));
            }
            let start = runs.start();
            let mut step = jiter.known_array()?;
            while let Some(peek) = step {
                value(jiter, peek, shape, item)
                    .map_err(|fault| fault.inside(format!("[{}]", item.len().saturating_sub(start))))?;
                step = jiter.array_step()?;
            }
            runs.close(item.len());
        }
        Builder::Map(runs, keys, values, _) => {
            let Shape::Items(shape) = shape else { unreachable!("the shape follows the type") };
            if peek != Peek::Object {
                return Err(mismatch(jiter, peek, "MAP"));
            }
            entries(jiter, shape, runs.start(), keys, values)?;
            runs.close(keys.len());
        }
        Builder::Struct(children, valid, _) => {
            let Shape::Struct(fields) = shape else { unreachable!("the shape follows the type") };
            if peek != Peek::Object {
                return Err(mismatch(jiter, peek, "STRUCT"));
            }
            object(jiter, fields, children, None, valid.len())?;
            valid.append_non_null();
        }
    }
    Ok(())
}

/// Fills the columns of an object that begins here: each of `children` that is wanted has `row + 1` cells afterwards.
/// The others are read all the same, because a value of the wrong type makes the record unreadable.
pub(super) fn object(
    jiter: &mut Jiter<'_>,
    fields: &mut Fields,
    children: &mut [Builder],
    wanted: Option<&[bool]>,
    row: usize,
) -> Outcome<()> {
    fields.object += 1;
    let mut next = 0;
    let mut target = jiter.known_object()?.map(|name| fields.find(name, &mut next));
    while let Some(found) = target {
        let peek = jiter.peek()?;
        let column = if found.exact == NONE { found.folded } else { found.exact };
        if column == NONE {
            jiter.known_skip(peek)?;
        } else {
            let start = jiter.current_index();
            fill(jiter, peek, fields, children, wanted, (column as usize, found.exact != NONE), row)?;
            if found.exact != NONE && found.folded != NONE {
                let mut again = Jiter::new(jiter.slice_to_current(start));
                fill(&mut again, peek, fields, children, wanted, (found.folded as usize, false), row)?;
            }
        }
        target = jiter.next_key()?.map(|name| fields.find(name, &mut next));
    }
    for (i, child) in children.iter_mut().enumerate() {
        if child.len() == row && wanted.is_none_or(|wanted| wanted[i]) {
            child.push_null();
        }
    }
    Ok(())
}

/// Reads a field's value into its column.
#[inline]
fn fill(
    jiter: &mut Jiter<'_>,
    peek: Peek,
    fields: &mut Fields,
    children: &mut [Builder],
    wanted: Option<&[bool]>,
    (column, exact): (usize, bool),
    row: usize,
) -> Outcome<()> {
    let child = &mut children[column];
    if wanted.is_some_and(|wanted| !wanted[column]) {
        if harmless(peek, child) {
            jiter.known_skip(peek)?;
        } else {
            value(jiter, peek, &mut fields.shapes[column], child)
                .map_err(|fault| fault.inside(format!(".{}", fields.names[column])))?;
            child.truncate(0);
        }
        return Ok(());
    }
    if child.len() > row {
        // The column is filled already: the last field wins, but one of the exact name over others.
        if !exact && fields.folded_by[column] != fields.object {
            return Ok(jiter.known_skip(peek)?);
        }
        child.truncate(row);
    }
    if !exact {
        fields.folded_by[column] = fields.object;
    } else if fields.folded_by[column] == fields.object {
        fields.folded_by[column] = 0;
    }
    value(jiter, peek, &mut fields.shapes[column], child)
        .map_err(|fault| fault.inside(format!(".{}", fields.names[column])))
}

/// Whether every value that begins like this can be read as the column's type.
fn harmless(peek: Peek, builder: &Builder) -> bool {
    match builder {
        Builder::String(_) => true,
        Builder::Double(_) => peek.is_num(),
        Builder::Boolean(..) => matches!(peek, Peek::True | Peek::False),
        _ => peek == Peek::Null,
    }
}

/// The entries of a map that begins here. Of a name that occurs twice the last value counts.
fn entries(
    jiter: &mut Jiter<'_>,
    shape: &mut Shape,
    start: usize,
    keys: &mut Builder,
    values: &mut Builder,
) -> Outcome<()> {
    let from = jiter.current_index();
    read_entries(jiter, shape, keys, values, |_| true)?;
    let Builder::String(names) = &*keys else { return Ok(()) };
    let end = keys.len();
    let last: HashMap<Vec<u8>, usize> = if distinct(names, start, end) {
        return Ok(());
    } else {
        (start..end).map(|i| (names.get(i).to_vec(), i - start)).collect()
    };
    keys.truncate(start);
    values.truncate(start);
    let mut again = Jiter::new(jiter.slice_to_current(from));
    let kept: HashSet<usize> = last.into_values().collect();
    read_entries(&mut again, shape, keys, values, |i| kept.contains(&i))
}

/// Appends the entries whose number `keep` takes.
fn read_entries(
    jiter: &mut Jiter<'_>,
    shape: &mut Shape,
    keys: &mut Builder,
    values: &mut Builder,
    keep: impl Fn(usize) -> bool,
) -> Outcome<()> {
    let Builder::String(names) = keys else { return Err(Fault::new("a MAP without STRING keys")) };
    let mut number = 0;
    let mut more = jiter.known_object()?.map(|name| keep(number).then(|| names.push(name.as_bytes())));
    while let Some(kept) = more {
        let peek = jiter.peek()?;
        if kept.is_none() {
            jiter.known_skip(peek)?;
        } else {
            value(jiter, peek, shape, values).map_err(|fault| {
                let name = String::from_utf8_lossy(names.get(names.len() - 1));
                fault.inside(format!("[\"{}\"]", number::clip(&name)))
            })?;
        }
        number += 1;
        more = jiter.next_key()?.map(|name| keep(number).then(|| names.push(name.as_bytes())));
    }
    Ok(())
}

/// Whether no two names are the same.
fn distinct(names: &Var, start: usize, end: usize) -> bool {
    if end - start <= 16 {
        return (start..end).all(|i| (start..i).all(|j| names.get(i) != names.get(j)));
    }
    let mut seen: HashSet<&[u8], ahash::RandomState> = HashSet::default();
    (start..end).all(|i| seen.insert(names.get(i)))
}

/// A 64-bit integer. Strings are read where the type allows it; a fraction is cut off.
#[inline]
fn integer(jiter: &mut Jiter<'_>, peek: Peek, ty: &str, strings: bool) -> Outcome<i64> {
    if peek.is_num() {
        let start = jiter.current_index();
        return match jiter.known_number(peek) {
            Ok(NumberAny::Int(NumberInt::Int(number))) => Ok(number),
            Ok(NumberAny::Float(_)) => cut(jiter.slice_to_current(start), ty),
            Err(error) => Err(Fault::new(format!("not readable as {ty}: {error}"))),
        };
    }
    if peek == Peek::String && strings {
        let text = jiter.known_str()?;
        return number::parse_long(text)
            .ok_or_else(|| Fault::new(format!("the string `{}` is no {ty}", number::clip(text))));
    }
    Err(mismatch(jiter, peek, ty))
}

/// The whole part of a number with a fraction or an exponent.
#[cold]
fn cut(text: &[u8], ty: &str) -> Outcome<i64> {
    let text = String::from_utf8_lossy(text);
    number::whole_part(&text).ok_or_else(|| Fault::new(format!("{} is out of range for {ty}", number::clip(&text))))
}

fn narrow(number: i64, ty: &str) -> Outcome<i32> {
    i32::try_from(number).map_err(|_| Fault::new(format!("{number} is out of range for {ty}")))
}

#[inline]
fn double(jiter: &mut Jiter<'_>, peek: Peek) -> Outcome<f64> {
    if peek.is_num() {
        return Ok(jiter.known_float(peek)?);
    }
    if peek == Peek::String {
        let text = jiter.known_str()?;
        return number::parse_double(text)
            .ok_or_else(|| Fault::new(format!("the string `{}` is no DOUBLE", number::clip(text))));
    }
    Err(mismatch(jiter, peek, "DOUBLE"))
}
