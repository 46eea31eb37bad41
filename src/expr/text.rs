//! Text forms of values, as `CAST(… AS STRING)` writes and `CAST('…' AS …)` reads them.
//!
//! > KSQL: arrays, maps and structs print as Java prints its collections; temporal text may be partial (`2020-01`).

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use crate::types::java_text::double_to_string;
use crate::types::{SqlType, Value, Zone};

/// The text of a value of type `ty`; NULL is `null` as inside a collection.
pub fn to_sql_text(value: &Value, ty: &SqlType) -> String {
    let mut out = String::new();
    write_sql_text(&mut out, value, ty);
    out
}

/// Appends what [`to_sql_text`] returns.
pub fn write_sql_text(out: &mut String, value: &Value, ty: &SqlType) {
    let _ = match value {
        Value::Null => write!(out, "null"),
        Value::Boolean(v) => write!(out, "{v}"),
        Value::Int(v) => write!(out, "{v}"),
        Value::BigInt(v) => write!(out, "{v}"),
        Value::Double(v) => write!(out, "{}", double_to_string(*v)),
        Value::Decimal(v) => write!(out, "{v}"),
        Value::String(v) => write!(out, "{v}"),
        Value::Bytes(v) => v.iter().try_for_each(|byte| write!(out, "{byte:02x}")),
        Value::Time(v) => write!(out, "{}", time_text(*v)),
        Value::Date(v) => write!(out, "{}", date_text(*v)),
        Value::Timestamp(v) => write!(out, "{}", timestamp_text(*v)),
        Value::Array(items) => {
            let item_type = if let SqlType::Array(item) = ty { item } else { ty };
            list(out, ["[", ", ", "]"], items, |out, item| write_sql_text(out, item, item_type));
            Ok(())
        }
        Value::Map(entries) => {
            let (key_type, value_type) = if let SqlType::Map(key, value) = ty { (&**key, &**value) } else { (ty, ty) };
            list(out, ["{", ", ", "}"], entries, |out, (key, value)| {
                write_sql_text(out, key, key_type);
                out.push('=');
                write_sql_text(out, value, value_type);
            });
            Ok(())
        }
        Value::Struct(values) => {
            let fields = if let SqlType::Struct(fields) = ty { fields.as_slice() } else { &[] };
            // > KSQL: fields that are NULL are left out.
            let present: Vec<_> = fields.iter().zip(values).filter(|(_, value)| !value.is_null()).collect();
            list(out, ["Struct{", ",", "}"], &present, |out, (field, value)| {
                out.push_str(&field.name);
                out.push('=');
                write_sql_text(out, value, &field.ty);
            });
            Ok(())
        }
    };
}

fn list<T>(out: &mut String, [open, comma, close]: [&str; 3], items: &[T], mut each: impl FnMut(&mut String, &T)) {
    out.push_str(open);
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            out.push_str(comma);
        }
        each(out, item);
    }
    out.push_str(close);
}

/// `HH:mm`, `HH:mm:ss` or `HH:mm:ss.SSS`, as short as the value allows.
pub fn time_text(ms: i32) -> String {
    let ms = ms.rem_euclid(86_400_000);
    let (seconds, fraction) = (ms / 1000, ms % 1000);
    let mut out = format!("{:02}:{:02}", seconds / 3600, seconds / 60 % 60);
    if seconds % 60 != 0 || fraction != 0 {
        let _ = write!(out, ":{:02}", seconds % 60);
    }
    if fraction != 0 {
        let _ = write!(out, ".{fraction:03}");
    }
    out
}

/// `yyyy-MM-dd`
pub fn date_text(days: i32) -> String {
    match NaiveDate::from_epoch_days(days) {
        Some(date) => format!("{}-{:02}-{:02}", year_text(date.year()), date.month(), date.day()),
        None => days.to_string(),
    }
}

/// `yyyy-MM-ddTHH:mm:ss.SSS` in UTC.
pub fn timestamp_text(ms: i64) -> String {
    match DateTime::from_timestamp_millis(ms) {
        Some(at) => {
            let (date, time) = (at.date_naive(), at.time());
            let year = year_text(date.year());
            let fraction = time.nanosecond() / 1_000_000;
            let (hour, minute, second) = (time.hour(), time.minute(), time.second());
            format!("{year}-{:02}-{:02}T{hour:02}:{minute:02}:{second:02}.{fraction:03}", date.month(), date.day())
        }
        None => ms.to_string(),
    }
}

fn year_text(year: i32) -> String {
    match year {
        0..=9999 => format!("{year:04}"),
        10_000.. => format!("+{year}"),
        _ => format!("-{:04}", -year),
    }
}

/// Milliseconds since the epoch of a possibly partial ISO text: `2020`, `2020-01-01T10`, `…T10:00:00.5+01:00`.
pub fn parse_timestamp(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let invalid = || format!("'{text}' is no timestamp: expected yyyy-MM-dd'T'HH:mm:ss.SSS with an optional zone");
    let (date, rest) = match text.find(['T', 't', ' ']) {
        Some(at) => (&text[..at], text[at + 1..].trim_start()),
        None => (text.trim_end_matches(['Z', 'z']), ""),
    };
    let (time, zone) = match rest.find(|c: char| !c.is_ascii_digit() && c != ':' && c != '.') {
        Some(at) => (&rest[..at], Zone::parse(rest[at..].trim()).map_err(|_| invalid())?),
        None => (rest, Zone::UTC),
    };
    let date = read_date(date).ok_or_else(invalid)?;
    let (time, next_day) =
        if time.is_empty() { (NaiveTime::MIN, false) } else { read_time(time).ok_or_else(invalid)? };
    let date = if next_day { date.succ_opt().ok_or_else(invalid)? } else { date };
    Ok(zone.to_epoch_ms(NaiveDateTime::new(date, time)))
}

/// Days since the epoch of `2020`, `2020-01` or `2020-01-31`; a time behind it is ignored.
pub fn parse_date(text: &str) -> Result<i32, String> {
    let text = text.trim();
    let date = text.split(['T', 't', ' ']).next().unwrap_or_default();
    read_date(date).map(|date| date.to_epoch_days()).ok_or_else(|| format!("'{text}' is no date: expected yyyy-MM-dd"))
}

/// Milliseconds of the day of `10`, `10:30`, `10:30:15` or `10:30:15.250`.
pub fn parse_time(text: &str) -> Result<i32, String> {
    let text = text.trim();
    match read_time(text) {
        Some((time, false)) => Ok((time.num_seconds_from_midnight() * 1000 + time.nanosecond() / 1_000_000) as i32),
        _ => Err(format!("'{text}' is no time: expected HH:mm:ss.SSS")),
    }
}

fn read_date(text: &str) -> Option<NaiveDate> {
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let mut parts = digits.split('-');
    let year = number(parts.next()?, 4..=6)? as i32;
    let month = parts.next().map_or(Some(1), |part| number(part, 1..=2))?;
    let day = parts.next().map_or(Some(1), |part| number(part, 1..=2))?;
    let year = if negative { -year } else { year };
    if parts.next().is_some() { None } else { NaiveDate::from_ymd_opt(year, month, day) }
}

/// The time of day, and whether it is the midnight that ends the day.
fn read_time(text: &str) -> Option<(NaiveTime, bool)> {
    let mut parts = text.split(':');
    let hour = number(parts.next()?, 1..=2)?;
    let minute = parts.next().map_or(Some(0), |part| number(part, 1..=2))?;
    let (second, nanos) = match parts.next() {
        None => (0, 0),
        Some(part) => {
            let (second, fraction) = part.split_once('.').unwrap_or((part, "0"));
            let nanos = number(fraction, 1..=9)? * 10u32.pow(9 - fraction.len() as u32);
            (number(second, 1..=2)?, nanos)
        }
    };
    if parts.next().is_some() {
        return None;
    }
    if hour == 24 && minute + second + nanos == 0 {
        return Some((NaiveTime::MIN, true));
    }
    NaiveTime::from_hms_nano_opt(hour, minute, second, nanos).map(|time| (time, false))
}

fn number(text: &str, digits: std::ops::RangeInclusive<usize>) -> Option<u32> {
    let fits = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if fits { text.parse().ok() } else { None }
}

/// > KSQL: any beginning of `true` or `yes` is true, in any case, `t` and `y` included; every other text is false.
pub fn parse_boolean(text: &str) -> bool {
    let lower = text.trim().to_ascii_lowercase();
    !lower.is_empty() && ("true".starts_with(&lower) || "yes".starts_with(&lower))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::StructField;

    #[test]
    fn collections_print_as_in_java() {
        let ints = SqlType::array(SqlType::Int);
        assert_eq!(to_sql_text(&Value::Array(vec![Value::Int(1), Value::Null]), &ints), "[1, null]");
        let map = SqlType::map(SqlType::String, SqlType::Double);
        let entries =
            vec![(Value::String("k".into()), Value::Double(1e10)), (Value::String("l".into()), Value::Double(0.5))];
        assert_eq!(to_sql_text(&Value::Map(entries), &map), "{k=1.0E10, l=0.5}");
        let ty = SqlType::Struct(vec![StructField::new("F", SqlType::Int), StructField::new("G", SqlType::Date)]);
        assert_eq!(
            to_sql_text(&Value::Struct(vec![Value::Int(1), Value::Date(18_000)]), &ty),
            "Struct{F=1,G=2019-04-14}"
        );
    }

    #[test]
    fn temporal_text() {
        assert_eq!(time_text(36_000_000), "10:00");
        assert_eq!(time_text(36_001_000), "10:00:01");
        assert_eq!(time_text(36_000_250), "10:00:00.250");
        assert_eq!(timestamp_text(0), "1970-01-01T00:00:00.000");
        for (text, ms) in [
            ("1970", 0),
            ("1970-01-02", 86_400_000),
            ("1970-01-01T10", 36_000_000),
            ("1970-01-01T10:00+01:00", 32_400_000),
            ("1970-01-01 10:00:00.5Z", 36_000_500),
            ("1970-01-01T00:00:00.000-0100", 3_600_000),
            ("1970-01-01T24:00", 86_400_000),
        ] {
            assert_eq!(parse_timestamp(text), Ok(ms), "{text}");
        }
        for text in ["", "x", "2020-13", "2020-01-01T25", "2020-01-01T10:00:00+99:00", "1970-01-01T1é"] {
            assert!(parse_timestamp(text).is_err(), "{text}");
        }
        assert_eq!(parse_date("2019-04-14"), Ok(18_000));
        assert_eq!(parse_time("10:00:00.25"), Ok(36_000_250));
        assert!(parse_time("24:00").is_err());
    }

    #[test]
    fn booleans_from_beginnings() {
        for (text, value) in [("t", true), ("TRUE", true), (" ye ", true), ("no", false), ("", false), ("truey", false)]
        {
            assert_eq!(parse_boolean(text), value, "{text}");
        }
    }
}
