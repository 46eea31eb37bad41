//! Messages to data.

use std::sync::Arc;

use chrono::{Datelike, NaiveDate};

use super::model::{Field, File, Kind, Label};
use super::wire::{Fault, Raw, Reader, unzigzag};
use crate::format::datum::{Datum, decimal_from_bytes};
use crate::types::Decimal;

/// Messages nested deeper than this are refused, lest hostile bytes exhaust the stack.
const DEPTH_MAX: usize = 64;

/// Days from year 1 to the epoch.
pub(super) const EPOCH_FROM_CE: i32 = 719_163;

/// The record that a message of that type holds: one field a declared field, in declaration order.
pub(super) fn message(
    file: &File,
    names: &[Vec<Arc<str>>],
    at: usize,
    bytes: &[u8],
    depth: usize,
) -> Result<Datum, Fault> {
    if depth > DEPTH_MAX {
        return Err("messages are nested too deep".to_owned());
    }
    let fields = &file.messages[at].fields;
    let mut data: Vec<Option<Datum>> = vec![None; fields.len()];
    let mut reader = Reader::new(bytes);
    let mut next = 0;
    while let Some((number, raw)) = reader.field()? {
        // Writers put fields in order, so the one after the last is likely.
        let expected = fields.get(next).is_some_and(|field| field.number == number).then_some(next);
        let Some(i) = expected.or_else(|| fields.iter().position(|field| field.number == number)) else { continue };
        next = i + 1;
        field(file, names, &fields[i], raw, &mut data[i], depth)
            .map_err(|fault| format!("{}: {fault}", fields[i].name))?;
    }
    let absent = |field: &Field| match &field.label {
        Label::Optional => Datum::Null,
        Label::Repeated => Datum::Array(Vec::new()),
        Label::Map(_) => Datum::Map(Vec::new()),
        Label::Plain => default(file, &field.kind),
    };
    // Members of a `oneof` are there under their own names, too, for columns that are declared so.
    let chosen: Vec<(Arc<str>, Datum)> = oneofs(fields, &data, &names[at]);
    let fields = fields.iter().zip(data).zip(&names[at]);
    let own = fields.map(|((field, datum), name)| (name.clone(), datum.unwrap_or_else(|| absent(field))));
    Ok(Datum::Record(own.chain(chosen).collect()))
}

/// The `oneof`s of a message, each with the member that is there.
fn oneofs(fields: &[Field], data: &[Option<Datum>], names: &[Arc<str>]) -> Vec<(Arc<str>, Datum)> {
    let mut found: Vec<(Arc<str>, Datum)> = Vec::new();
    for ((field, datum), name) in fields.iter().zip(data).zip(names) {
        let Some(oneof) = &field.oneof else { continue };
        let member = datum.as_ref().map(|datum| Datum::Record(vec![(name.clone(), datum.clone())]));
        match (found.iter_mut().find(|(known, _)| **known == **oneof), member) {
            (Some(known), Some(member)) => known.1 = member,
            (Some(_), None) => {}
            (None, member) => found.push((Arc::from(oneof.as_str()), member.unwrap_or(Datum::Null))),
        }
    }
    found
}

/// What a field without bytes holds.
pub(super) fn default(file: &File, kind: &Kind) -> Datum {
    match kind {
        Kind::Double | Kind::Float => Datum::Double(0.0),
        Kind::Int32 | Kind::SInt32 | Kind::SFixed32 => Datum::Int(0),
        Kind::Int64 | Kind::UInt32 | Kind::UInt64 | Kind::SInt64 | Kind::Fixed32 | Kind::Fixed64 | Kind::SFixed64 => {
            Datum::Long(0)
        }
        Kind::Bool => Datum::Bool(false),
        Kind::String => Datum::String(String::new()),
        Kind::Bytes => Datum::Bytes(Vec::new()),
        Kind::Enum(at) => {
            let values = file.enums.get(*at).map(|ty| ty.values.as_slice()).unwrap_or_default();
            let zero = values.iter().find(|(_, number)| *number == 0).or(values.first());
            Datum::String(zero.map(|(name, _)| name.clone()).unwrap_or_default())
        }
        Kind::Decimal(..) | Kind::Date | Kind::TimeOfDay | Kind::Timestamp | Kind::Wrapper(_) | Kind::Message(_) => {
            Datum::Null
        }
    }
}

fn field(
    file: &File,
    names: &[Vec<Arc<str>>],
    field: &Field,
    raw: Raw<'_>,
    datum: &mut Option<Datum>,
    depth: usize,
) -> Result<(), Fault> {
    match &field.label {
        Label::Plain | Label::Optional => *datum = Some(value(file, names, &field.kind, raw, depth)?),
        Label::Repeated => {
            let Datum::Array(items) = datum.get_or_insert_with(|| Datum::Array(Vec::new())) else { return Ok(()) };
            match raw {
                Raw::Bytes(packed) if field.kind.is_scalar() && !matches!(field.kind, Kind::String | Kind::Bytes) => {
                    let mut reader = Reader::new(packed);
                    while !reader.is_empty() {
                        let raw = match field.kind {
                            Kind::Double | Kind::Fixed64 | Kind::SFixed64 => Raw::Fixed64(reader.fixed64()?),
                            Kind::Float | Kind::Fixed32 | Kind::SFixed32 => Raw::Fixed32(reader.fixed32()?),
                            _ => Raw::Varint(reader.varint()?),
                        };
                        items.push(value(file, names, &field.kind, raw, depth)?);
                    }
                }
                raw => items.push(value(file, names, &field.kind, raw, depth)?),
            }
        }
        Label::Map(key_kind) => {
            let Datum::Map(entries) = datum.get_or_insert_with(|| Datum::Map(Vec::new())) else { return Ok(()) };
            let Raw::Bytes(entry) = raw else { return Err("a map entry is a message".to_owned()) };
            let (mut key, mut item) = (default(file, key_kind), default(file, &field.kind));
            let mut reader = Reader::new(entry);
            while let Some((number, raw)) = reader.field()? {
                match number {
                    1 => key = value(file, names, key_kind, raw, depth)?,
                    2 => item = value(file, names, &field.kind, raw, depth)?,
                    _ => {}
                }
            }
            entries.push((key, item));
        }
    }
    Ok(())
}

fn value(file: &File, names: &[Vec<Arc<str>>], kind: &Kind, raw: Raw<'_>, depth: usize) -> Result<Datum, Fault> {
    Ok(match (kind, raw) {
        (Kind::Double, Raw::Fixed64(v)) => Datum::Double(f64::from_bits(v)),
        (Kind::Float, Raw::Fixed32(v)) => Datum::Double(f64::from(f32::from_bits(v))),
        (Kind::Int32, Raw::Varint(v)) => Datum::Int(v as i32),
        (Kind::Int64 | Kind::UInt64, Raw::Varint(v)) => Datum::Long(v as i64),
        (Kind::UInt32, Raw::Varint(v)) => Datum::Long(i64::from(v as u32)),
        (Kind::SInt32, Raw::Varint(v)) => Datum::Int(unzigzag(v) as i32),
        (Kind::SInt64, Raw::Varint(v)) => Datum::Long(unzigzag(v)),
        (Kind::Fixed32, Raw::Fixed32(v)) => Datum::Long(i64::from(v)),
        (Kind::SFixed32, Raw::Fixed32(v)) => Datum::Int(v as i32),
        (Kind::Fixed64 | Kind::SFixed64, Raw::Fixed64(v)) => Datum::Long(v as i64),
        (Kind::Bool, Raw::Varint(v)) => Datum::Bool(v != 0),
        (Kind::String, Raw::Bytes(v)) => {
            Datum::String(std::str::from_utf8(v).map_err(|_| "the text is not UTF-8".to_owned())?.to_owned())
        }
        (Kind::Bytes, Raw::Bytes(v)) => Datum::Bytes(v.to_vec()),
        (Kind::Enum(at), Raw::Varint(v)) => {
            let known = file.enums[*at].values.iter().find(|(_, number)| *number == v as i32);
            Datum::String(known.map_or_else(|| (v as i32).to_string(), |(name, _)| name.clone()))
        }
        (Kind::Decimal(_, declared), Raw::Bytes(v)) => {
            let [unscaled, _, scale, _] = parts(v)?;
            let scale = match scale {
                Part::Absent => *declared,
                other => u8::try_from(other.int()).map_err(|_| "the scale is out of range".to_owned())?,
            };
            let Part::Bytes(digits) = unscaled else { return Ok(Datum::Decimal(Decimal::new(0, scale))) };
            let unscaled = decimal_from_bytes(digits).ok_or("the decimal has too many digits")?;
            Datum::Decimal(Decimal::new(unscaled, scale))
        }
        (Kind::Date, Raw::Bytes(v)) => {
            let [year, month, day, _] = parts(v)?.map(Part::int);
            let date = NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32);
            let date = date.ok_or_else(|| format!("{year}-{month}-{day} is no date"))?;
            Datum::Date(date.num_days_from_ce() - EPOCH_FROM_CE)
        }
        (Kind::TimeOfDay, Raw::Bytes(v)) => {
            let [hours, minutes, seconds, nanos] = parts(v)?.map(Part::int);
            let ms = ((hours * 60 + minutes) * 60 + seconds) * 1000 + nanos / 1_000_000;
            Datum::Time(i32::try_from(ms).map_err(|_| "the time is out of range".to_owned())?)
        }
        (Kind::Timestamp, Raw::Bytes(v)) => {
            let [seconds, nanos, ..] = parts(v)?.map(Part::int);
            let ms = seconds.checked_mul(1000).and_then(|ms| ms.checked_add(nanos / 1_000_000));
            Datum::Timestamp(ms.ok_or("the timestamp is out of range")?)
        }
        (Kind::Wrapper(inner), Raw::Bytes(v)) => {
            let mut reader = Reader::new(v);
            let mut datum = default(file, inner);
            while let Some((number, raw)) = reader.field()? {
                if number == 1 {
                    datum = value(file, names, inner, raw, depth)?;
                }
            }
            datum
        }
        (Kind::Message(at), Raw::Bytes(v)) => message(file, names, *at, v, depth + 1)?,
        (kind, raw) => return Err(format!("{raw:?} is no {kind:?}")),
    })
}

/// A field of a well-known message.
#[derive(Clone, Copy)]
enum Part<'a> {
    Absent,
    Number(i64),
    Bytes(&'a [u8]),
}

impl Part<'_> {
    fn int(self) -> i64 {
        if let Self::Number(number) = self { number } else { 0 }
    }
}

/// Fields 1 to 4 of a well-known message.
fn parts(bytes: &[u8]) -> Result<[Part<'_>; 4], Fault> {
    let mut parts = [Part::Absent; 4];
    let mut reader = Reader::new(bytes);
    while let Some((number, raw)) = reader.field()? {
        let part = match raw {
            // Sizes of any sane part stay far below; a hostile one must not overflow the sums made of it.
            Raw::Varint(v) => Part::Number((v as i64).clamp(-(1 << 53), 1 << 53)),
            Raw::Bytes(v) => Part::Bytes(v),
            Raw::Fixed32(_) | Raw::Fixed64(_) => continue,
        };
        if let Some(place) = parts.get_mut(number as usize - 1) {
            *place = part;
        }
    }
    Ok(parts)
}
