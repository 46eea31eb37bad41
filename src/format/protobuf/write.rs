//! Data to messages.
//!
//! > KSQL: a NULL leaves a field out, so a plain scalar comes back as its default, and elements of arrays and values of
//! > maps, which cannot be left out, are written as the default.

use chrono::{Datelike, NaiveDate};

use super::model::{Field, File, Kind, Label};
use super::read::{EPOCH_FROM_CE, default};
use super::wire::{Fault, put_bytes, put_tag, put_varint, zigzag};
use crate::format::datum::{Datum, decimal_bytes};

/// Appends the message of that type.
pub(super) fn message(file: &File, at: usize, datum: &Datum, out: &mut Vec<u8>) -> Result<(), Fault> {
    let fields = &file.messages[at].fields;
    let names: Vec<(std::sync::Arc<str>, Datum)>;
    let given = match datum {
        Datum::Record(given) => given,
        Datum::Map(entries) => {
            names = entries.iter().filter_map(|(k, v)| Some((k.text()?.into(), v.clone()))).collect();
            &names
        }
        Datum::Null => return Ok(()),
        other => return Err(format!("{} is no {}", other.kind(), file.messages[at].full_name)),
    };
    for (i, field) in fields.iter().enumerate() {
        let datum = match given.get(i) {
            Some((name, datum)) if **name == *field.name => Some(datum),
            _ => Datum::field(given, &field.name).or_else(|| match Datum::field(given, field.oneof.as_ref()?)? {
                Datum::Record(members) => Datum::field(members, &field.name),
                _ => None,
            }),
        };
        let Some(datum) = datum.filter(|datum| **datum != Datum::Null) else { continue };
        write_field(file, field, datum, out).map_err(|fault| format!("{}: {fault}", field.name))?;
    }
    Ok(())
}

fn write_field(file: &File, field: &Field, datum: &Datum, out: &mut Vec<u8>) -> Result<(), Fault> {
    match &field.label {
        Label::Plain | Label::Optional => {
            let start = out.len();
            put_tag(out, field.number, wire_type(&field.kind));
            let body = out.len();
            value(file, &field.kind, datum, out)?;
            // Of plain fields the default is not written.
            if field.label == Label::Plain && field.kind.is_scalar() && out[body..].iter().all(|byte| *byte == 0) {
                out.truncate(start);
            }
        }
        Label::Repeated => {
            let Datum::Array(items) = datum else { return Err(format!("{} is no array", datum.kind())) };
            if items.is_empty() {
                return Ok(());
            }
            if field.kind.is_scalar() && wire_type(&field.kind) != 2 {
                let mut packed = Vec::new();
                for item in items {
                    element(file, &field.kind, item, &mut packed)?;
                }
                put_tag(out, field.number, 2);
                put_bytes(out, &packed);
            } else {
                for item in items {
                    put_tag(out, field.number, wire_type(&field.kind));
                    element(file, &field.kind, item, out)?;
                }
            }
        }
        Label::Map(key_kind) => {
            let entries = datum.entries().ok_or_else(|| format!("{} is no map", datum.kind()))?;
            for (key, item) in entries {
                let mut entry = Vec::new();
                put_tag(&mut entry, 1, wire_type(key_kind));
                value(file, key_kind, &Datum::String(key), &mut entry)?;
                if *item != Datum::Null {
                    put_tag(&mut entry, 2, wire_type(&field.kind));
                    value(file, &field.kind, item, &mut entry)?;
                }
                put_tag(out, field.number, 2);
                put_bytes(out, &entry);
            }
        }
    }
    Ok(())
}

fn element(file: &File, kind: &Kind, datum: &Datum, out: &mut Vec<u8>) -> Result<(), Fault> {
    if *datum != Datum::Null {
        return value(file, kind, datum, out);
    }
    match default(file, kind) {
        // A message without fields.
        Datum::Null => put_varint(out, 0),
        default => value(file, kind, &default, out)?,
    }
    Ok(())
}

fn wire_type(kind: &Kind) -> u8 {
    match kind {
        Kind::Double | Kind::Fixed64 | Kind::SFixed64 => 1,
        Kind::Float | Kind::Fixed32 | Kind::SFixed32 => 5,
        Kind::Int32
        | Kind::Int64
        | Kind::UInt32
        | Kind::UInt64
        | Kind::SInt32
        | Kind::SInt64
        | Kind::Bool
        | Kind::Enum(_) => 0,
        _ => 2,
    }
}

fn value(file: &File, kind: &Kind, datum: &Datum, out: &mut Vec<u8>) -> Result<(), Fault> {
    let wrong = || format!("{} cannot be written as {kind:?}", datum.kind());
    let long = || datum.integer().ok_or_else(wrong);
    let int = || i32::try_from(long()?).map_err(|_| format!("a number is out of range for {kind:?}"));
    let unsigned = || u32::try_from(long()?).map_err(|_| format!("a number is out of range for {kind:?}"));
    match kind {
        Kind::Double => out.extend_from_slice(&datum.double().ok_or_else(wrong)?.to_le_bytes()),
        Kind::Float => out.extend_from_slice(&(datum.double().ok_or_else(wrong)? as f32).to_le_bytes()),
        // Negative numbers are sign-extended, as the format demands.
        Kind::Int32 => put_varint(out, i64::from(int()?) as u64),
        Kind::UInt32 => put_varint(out, u64::from(unsigned()?)),
        Kind::Int64 | Kind::UInt64 => put_varint(out, long()? as u64),
        Kind::SInt32 => put_varint(out, zigzag(i64::from(int()?))),
        Kind::SInt64 => put_varint(out, zigzag(long()?)),
        Kind::Fixed32 => out.extend_from_slice(&unsigned()?.to_le_bytes()),
        Kind::SFixed32 => out.extend_from_slice(&int()?.to_le_bytes()),
        Kind::Fixed64 | Kind::SFixed64 => out.extend_from_slice(&long()?.to_le_bytes()),
        Kind::Bool => match datum {
            Datum::Bool(v) => out.push(u8::from(*v)),
            Datum::String(text) if text == "true" || text == "false" => out.push(u8::from(text == "true")),
            _ => return Err(wrong()),
        },
        Kind::String => put_bytes(out, datum.text().ok_or_else(wrong)?.as_bytes()),
        Kind::Bytes => put_bytes(out, &datum.bytes().ok_or_else(wrong)?),
        Kind::Enum(at) => {
            let name = datum.text().ok_or_else(wrong)?;
            let number = file.enums[*at].values.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
            let number =
                number.or_else(|| name.parse().ok()).ok_or_else(|| format!("{name} is no value of the enum"))?;
            put_varint(out, i64::from(number) as u64);
        }
        Kind::Decimal(precision, scale) => {
            let decimal = datum.decimal().ok_or_else(wrong)?;
            let unscaled = decimal.rescaled(*scale).ok_or_else(|| format!("{decimal} has more than {scale} places"))?;
            let mut body = Vec::new();
            put_tag(&mut body, 1, 2);
            put_bytes(&mut body, &decimal_bytes(unscaled));
            number_part(&mut body, 2, i64::from(*precision));
            number_part(&mut body, 3, i64::from(*scale));
            put_bytes(out, &body);
        }
        Kind::Date => {
            let date = int()?.checked_add(EPOCH_FROM_CE).and_then(NaiveDate::from_num_days_from_ce_opt);
            let date = date.ok_or("a date is out of range")?;
            let mut body = Vec::new();
            number_part(&mut body, 1, i64::from(date.year()));
            number_part(&mut body, 2, i64::from(date.month()));
            number_part(&mut body, 3, i64::from(date.day()));
            put_bytes(out, &body);
        }
        Kind::TimeOfDay => {
            let ms = i64::from(int()?);
            let mut body = Vec::new();
            number_part(&mut body, 1, ms / 3_600_000);
            number_part(&mut body, 2, ms / 60_000 % 60);
            number_part(&mut body, 3, ms / 1000 % 60);
            number_part(&mut body, 4, ms % 1000 * 1_000_000);
            put_bytes(out, &body);
        }
        Kind::Timestamp => {
            let ms = long()?;
            let mut body = Vec::new();
            number_part(&mut body, 1, ms.div_euclid(1000));
            number_part(&mut body, 2, ms.rem_euclid(1000) * 1_000_000);
            put_bytes(out, &body);
        }
        Kind::Wrapper(inner) => {
            let mut body = Vec::new();
            put_tag(&mut body, 1, wire_type(inner));
            let start = body.len();
            value(file, inner, datum, &mut body)?;
            if body[start..].iter().all(|byte| *byte == 0) {
                body.clear();
            }
            put_bytes(out, &body);
        }
        Kind::Message(at) => {
            let mut body = Vec::new();
            message(file, *at, datum, &mut body)?;
            put_bytes(out, &body);
        }
    }
    Ok(())
}

/// A field of a well-known message, left out at 0.
fn number_part(out: &mut Vec<u8>, number: u32, value: i64) {
    if value != 0 {
        put_tag(out, number, 0);
        put_varint(out, value as u64);
    }
}
