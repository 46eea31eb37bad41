//! [`Zone`]: a named time zone or a fixed offset, and what the clock on the wall says there.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, LocalResult, NaiveDateTime, Offset, TimeZone};
use chrono_tz::{OffsetName, Tz};

use crate::error::{Error, Result};

/// A time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// A region with its rules: `Europe/Paris`.
    Region(Tz),
    /// Seconds east of Greenwich.
    Fixed(i32),
}

/// Abbreviations Java understands as the name of a zone.
const ABBREVIATIONS: [(&str, &str); 21] = [
    ("PST", "America/Los_Angeles"),
    ("PDT", "America/Los_Angeles"),
    ("PT", "America/Los_Angeles"),
    ("MST", "America/Denver"),
    ("MDT", "America/Denver"),
    ("CST", "America/Chicago"),
    ("CDT", "America/Chicago"),
    ("EST", "America/New_York"),
    ("EDT", "America/New_York"),
    ("AKST", "America/Anchorage"),
    ("HST", "Pacific/Honolulu"),
    ("BST", "Europe/London"),
    ("WET", "WET"),
    ("CET", "CET"),
    ("CEST", "CET"),
    ("EET", "EET"),
    ("EEST", "EET"),
    ("MSK", "Europe/Moscow"),
    ("IST", "Asia/Kolkata"),
    ("JST", "Asia/Tokyo"),
    ("AEST", "Australia/Sydney"),
];

/// Full names (standard, daylight) of the zones that have one in wide use.
pub(super) const FULL_NAMES: [(&str, &str, &str); 9] = [
    ("America/Los_Angeles", "Pacific Standard Time", "Pacific Daylight Time"),
    ("America/Denver", "Mountain Standard Time", "Mountain Daylight Time"),
    ("America/Chicago", "Central Standard Time", "Central Daylight Time"),
    ("America/New_York", "Eastern Standard Time", "Eastern Daylight Time"),
    ("Europe/London", "Greenwich Mean Time", "British Summer Time"),
    ("Europe/Paris", "Central European Standard Time", "Central European Summer Time"),
    ("Europe/Berlin", "Central European Standard Time", "Central European Summer Time"),
    ("Asia/Tokyo", "Japan Standard Time", "Japan Daylight Time"),
    ("Asia/Kolkata", "India Standard Time", "India Daylight Time"),
];

impl Zone {
    /// Coordinated universal time.
    pub const UTC: Self = Self::Fixed(0);

    /// Reads what Java's `ZoneId.of` reads: `Z`, `UTC`, `+02:00`, `GMT+2`, `Europe/Paris`; abbreviations too.
    pub fn parse(text: &str) -> Result<Self> {
        Self::read(text).ok_or_else(|| {
            Error::semantic(format!("unknown time zone '{text}'"))
                .hint("Zones are region names such as Europe/Paris, offsets such as +02:00, or UTC.")
        })
    }

    fn read(text: &str) -> Option<Self> {
        if matches!(text, "Z" | "UTC" | "GMT" | "UT") {
            return Some(Self::UTC);
        }
        let offset = ["UTC", "GMT", "UT", ""].iter().find_map(|prefix| {
            let rest = text.strip_prefix(prefix)?;
            let (seconds, used) = read_offset(rest)?;
            (used == rest.len()).then_some(seconds)
        });
        if let Some(seconds) = offset {
            return Some(Self::Fixed(seconds));
        }
        let abbreviation = ABBREVIATIONS.iter().find(|(short, _)| *short == text);
        let region = abbreviation.map_or(text, |(_, region)| region);
        Tz::from_str(region).ok().map(Self::Region)
    }

    /// The longest zone that `text` starts with, and its length.
    pub(super) fn read_prefix(text: &str) -> Option<(Self, usize)> {
        let word = text.bytes().take_while(|b| b.is_ascii_alphanumeric() || b"/_-+:~".contains(b)).count();
        (1..=word).rev().find_map(|len| Self::read(text.get(..len)?).map(|zone| (zone, len)))
    }

    /// Seconds east of Greenwich at an instant.
    pub fn offset_at(self, epoch_ms: i64) -> i32 {
        match (self, DateTime::from_timestamp_millis(epoch_ms)) {
            (Self::Fixed(seconds), _) => seconds,
            (Self::Region(tz), Some(instant)) => {
                tz.offset_from_utc_datetime(&instant.naive_utc()).fix().local_minus_utc()
            }
            _ => 0,
        }
    }

    /// The instant of a local date and time: the earlier one when the clock shows it twice, as if the clock had not
    /// been moved when it skips it (as in Java).
    pub fn to_epoch_ms(self, local: NaiveDateTime) -> i64 {
        let as_utc = local.and_utc().timestamp_millis();
        let offset = match self {
            Self::Fixed(seconds) => seconds,
            Self::Region(tz) => match tz.offset_from_local_datetime(&local) {
                LocalResult::Single(offset) | LocalResult::Ambiguous(offset, _) => offset.fix().local_minus_utc(),
                LocalResult::None => self.offset_at(as_utc - 24 * 3_600_000),
            },
        };
        as_utc - i64::from(offset) * 1000
    }

    /// `PST`, `PDT`, `+03:00`, …
    pub(super) fn short_name(self, epoch_ms: i64) -> String {
        match (self, DateTime::from_timestamp_millis(epoch_ms)) {
            (Self::Region(tz), Some(instant)) => match tz.offset_from_utc_datetime(&instant.naive_utc()).abbreviation()
            {
                Some(name) if name.starts_with(|c: char| c.is_ascii_alphabetic()) => name.to_owned(),
                _ => tz.name().to_owned(),
            },
            _ => self.to_string(),
        }
    }

    /// `Pacific Standard Time`, or the short name when the zone has no well-known one.
    pub(super) fn full_name(self, epoch_ms: i64) -> String {
        if let Self::Region(tz) = self
            && let Some((_, standard, daylight)) = FULL_NAMES.iter().find(|(id, ..)| *id == tz.name())
            && let Some(instant) = DateTime::from_timestamp_millis(epoch_ms)
        {
            let offset = tz.offset_from_utc_datetime(&instant.naive_utc());
            let summer = !chrono_tz::OffsetComponents::dst_offset(&offset).is_zero();
            return if summer { *daylight } else { *standard }.to_owned();
        }
        match self {
            Self::Fixed(0) => "Coordinated Universal Time".to_owned(),
            _ => self.short_name(epoch_ms),
        }
    }
}

/// `UTC`, `+02:00` or the region's name.
impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Region(tz) => f.write_str(tz.name()),
            Self::Fixed(0) => f.write_str("UTC"),
            Self::Fixed(seconds) => {
                let (sign, s) = if *seconds < 0 { ('-', -seconds) } else { ('+', *seconds) };
                write!(f, "{sign}{:02}:{:02}", s / 3600, s / 60 % 60)?;
                if s % 60 != 0 { write!(f, ":{:02}", s % 60) } else { Ok(()) }
            }
        }
    }
}

/// Reads `Z`, `±h`, `±hh`, `±hh:mm`, `±hhmm`, `±hh:mm:ss`, `±hhmmss` at the start of `text`: seconds and length.
pub(super) fn read_offset(text: &str) -> Option<(i32, usize)> {
    let bytes = text.as_bytes();
    if matches!(bytes.first(), Some(b'Z' | b'z')) {
        return Some((0, 1));
    }
    let sign = match bytes.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let two = |at: usize| -> Option<i32> {
        let (a, b) = (bytes.get(at)?, bytes.get(at + 1)?);
        (a.is_ascii_digit() && b.is_ascii_digit()).then(|| i32::from(a - b'0') * 10 + i32::from(b - b'0'))
    };
    let (hours, mut at) = match two(1) {
        Some(hours) => (hours, 3),
        None => (bytes.get(1).filter(|b| b.is_ascii_digit()).map(|b| i32::from(b - b'0'))?, 2),
    };
    let mut rest = [0, 0];
    for slot in &mut rest {
        let start = if bytes.get(at) == Some(&b':') { at + 1 } else { at };
        match two(start) {
            Some(value) => (*slot, at) = (value, start + 2),
            None => break,
        }
    }
    let seconds = hours * 3600 + rest[0] * 60 + rest[1];
    (rest[0] < 60 && rest[1] < 60 && seconds <= 18 * 3600).then_some((sign * seconds, at))
}
