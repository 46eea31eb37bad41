//! Reading text under a pattern into fields.
//!
//! **Invariant:** letters match without regard to case; everything else is as strict as Java's default formatter.

use super::resolve::Fields;
use super::zone::{FULL_NAMES, Zone, read_offset};
use super::{DatePattern, Field, Item, OffsetForm, Sign, name, text_values};

impl DatePattern {
    /// The fields of `text`, all of which must match.
    pub(super) fn read(&self, text: &str) -> Result<Fields, String> {
        let mut fields = Fields::default();
        let reason = |at: usize| format!("text '{text}' could not be parsed with '{}' at index {at}", self.text);
        match read_items(&self.items, text, 0, &mut fields) {
            Ok(end) if end == text.len() => Ok(fields),
            Ok(end) | Err(end) => Err(reason(end)),
        }
    }
}

/// The end of what matched, or where it did not.
fn read_items(items: &[Item], text: &str, mut at: usize, fields: &mut Fields) -> Result<usize, usize> {
    for item in items {
        at = read_item(item, text, at, fields)?;
    }
    Ok(at)
}

fn read_item(item: &Item, text: &str, at: usize, fields: &mut Fields) -> Result<usize, usize> {
    let rest = &text[at..];
    match item {
        Item::Literal(literal) => {
            let matches = rest.get(..literal.len()).is_some_and(|start| start.eq_ignore_ascii_case(literal));
            if matches { Ok(at + literal.len()) } else { Err(at) }
        }
        Item::Optional(inner) => {
            let mut attempt = fields.clone();
            match read_items(inner, text, at, &mut attempt) {
                Ok(end) => {
                    *fields = attempt;
                    Ok(end)
                }
                Err(_) => Ok(at),
            }
        }
        Item::Number { field, min, max, sign, reserved } => {
            let (value, used) = number(rest, *min, *max, *sign, *reserved).ok_or(at)?;
            fields.set(*field, value).map_err(|()| at)?;
            Ok(at + used)
        }
        Item::ShortYear { field, reserved } => {
            let (value, used) = number(rest, 2, 2, Sign::Never, *reserved).ok_or(at)?;
            fields.set(*field, 2000 + value).map_err(|()| at)?;
            Ok(at + used)
        }
        Item::Fraction(digits) => {
            let (value, used) = number(rest, *digits, *digits, Sign::Never, 0).ok_or(at)?;
            fields.set(Field::Nano, value * 10i64.pow(9 - *digits as u32)).map_err(|()| at)?;
            Ok(at + used)
        }
        Item::Text { field, letters } => {
            let found = text_values(*field)
                .map(|value| (value, name(*field, value, *letters)))
                .filter(|(_, name)| rest.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)))
                .max_by_key(|(_, name)| name.len());
            let (value, name) = found.ok_or(at)?;
            fields.set(*field, value).map_err(|()| at)?;
            Ok(at + name.len())
        }
        Item::Offset { form, zero } => {
            let (seconds, used) = offset(rest, *form, zero).ok_or(at)?;
            fields.offset = Some(seconds);
            Ok(at + used)
        }
        Item::GmtOffset { .. } => {
            let start = rest.get(..3).filter(|gmt| gmt.eq_ignore_ascii_case("GMT")).ok_or(at)?;
            let (seconds, used) =
                read_offset(&rest[start.len()..]).filter(|_| !rest[3..].starts_with('Z')).unwrap_or((0, 0));
            fields.offset = Some(seconds);
            Ok(at + 3 + used)
        }
        Item::ZoneId => {
            let (zone, used) = Zone::read_prefix(rest).ok_or(at)?;
            fields.zone = Some(zone);
            Ok(at + used)
        }
        Item::ZoneName { .. } => {
            let full = FULL_NAMES.iter().find_map(|(id, standard, daylight)| {
                let name = [standard, daylight].into_iter().find(|name| rest.starts_with(**name))?;
                Some((Zone::parse(id).ok()?, name.len()))
            });
            let (zone, used) = full.or_else(|| Zone::read_prefix(rest)).ok_or(at)?;
            fields.zone = Some(zone);
            Ok(at + used)
        }
    }
}

/// A number of `min` to `max` digits that leaves `reserved` digits to what follows; its value and length.
fn number(text: &str, min: usize, max: usize, sign: Sign, reserved: usize) -> Option<(i64, usize)> {
    let (negative, positive, digits) = match text.as_bytes().first()? {
        b'-' if sign != Sign::Never => (true, false, &text[1..]),
        b'+' if sign == Sign::ExceedsPad => (false, true, &text[1..]),
        _ => (false, false, text),
    };
    let found = digits.bytes().take(max + reserved).take_while(u8::is_ascii_digit).count();
    let len = if reserved > 0 { found.saturating_sub(reserved).max(min) } else { found };
    if len < min || len > found || len == 0 {
        return None;
    }
    if sign == Sign::ExceedsPad && !negative && positive != (len > min) {
        return None;
    }
    let value: i64 = digits[..len].parse().ok()?;
    Some((if negative { -value } else { value }, len + text.len() - digits.len()))
}

/// An offset in exactly one form; its seconds and length.
fn offset(text: &str, form: OffsetForm, zero: &str) -> Option<(i32, usize)> {
    if zero == "Z" && text.starts_with(['Z', 'z']) {
        return Some((0, 1));
    }
    let bytes = text.as_bytes();
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |at: usize| -> Option<i32> {
        let digits = text.get(at..at + 2)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse().ok() } else { None }
    };
    let colon = |at: usize| (bytes.get(at) == Some(&b':')).then_some(());
    let hours = two(1)?;
    let (minutes, seconds, used) = match form {
        OffsetForm::MinuteIfNeeded => two(3).map_or((0, 0, 3), |m| (m, 0, 5)),
        OffsetForm::Minute => (two(3)?, 0, 5),
        OffsetForm::ColonMinute => {
            colon(3)?;
            (two(4)?, 0, 6)
        }
        OffsetForm::SecondIfNeeded => {
            let minutes = two(3)?;
            two(5).map_or((minutes, 0, 5), |s| (minutes, s, 7))
        }
        OffsetForm::ColonSecondIfNeeded => {
            colon(3)?;
            let minutes = two(4)?;
            colon(6).and_then(|()| two(7)).map_or((minutes, 0, 6), |s| (minutes, s, 9))
        }
    };
    let total = hours * 3600 + minutes * 60 + seconds;
    (minutes < 60 && seconds < 60 && total <= 18 * 3600).then_some((sign * total, used))
}
