//! Printing dates, times and timestamps under a pattern.

use std::fmt::Write;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::{DatePattern, Field, Item, OffsetForm, Sign, Zone, name};

/// What is printed; parts that the value does not have are an error for the fields that need them.
struct Moment {
    date: Option<NaiveDate>,
    time: Option<NaiveTime>,
    zone: Option<(Zone, i64)>,
}

impl DatePattern {
    /// Milliseconds since the epoch, as the clock in `zone` shows them.
    pub fn format_timestamp(&self, epoch_ms: i64, zone: Zone) -> Result<String, String> {
        let local = local(epoch_ms, zone).ok_or_else(|| format!("timestamp {epoch_ms} is out of range"))?;
        self.print(&Moment { date: Some(local.date()), time: Some(local.time()), zone: Some((zone, epoch_ms)) })
    }

    /// Days since the epoch.
    pub fn format_date(&self, days: i32) -> Result<String, String> {
        let date = NaiveDate::from_epoch_days(days).ok_or_else(|| format!("date {days} is out of range"))?;
        self.print(&Moment { date: Some(date), time: None, zone: None })
    }

    /// Milliseconds of the day.
    pub fn format_time(&self, ms: i32) -> Result<String, String> {
        let (seconds, rest) = (ms.div_euclid(1000), ms.rem_euclid(1000));
        let time = u32::try_from(seconds)
            .ok()
            .and_then(|s| NaiveTime::from_num_seconds_from_midnight_opt(s, rest as u32 * 1_000_000))
            .ok_or_else(|| format!("time {ms} is out of range"))?;
        self.print(&Moment { date: None, time: Some(time), zone: None })
    }

    fn print(&self, moment: &Moment) -> Result<String, String> {
        let mut out = String::with_capacity(self.text.len() + 8);
        self.items.iter().try_for_each(|item| print(item, moment, &mut out))?;
        Ok(out)
    }
}

/// The local date and time of an instant.
fn local(epoch_ms: i64, zone: Zone) -> Option<NaiveDateTime> {
    let shifted = epoch_ms.checked_add(i64::from(zone.offset_at(epoch_ms)) * 1000)?;
    Some(DateTime::from_timestamp_millis(shifted)?.naive_utc())
}

fn print(item: &Item, moment: &Moment, out: &mut String) -> Result<(), String> {
    let missing = || "the value has no time zone".to_owned();
    match item {
        Item::Literal(text) => out.push_str(text),
        Item::Optional(inner) => {
            let length = out.len();
            if inner.iter().try_for_each(|item| print(item, moment, out)).is_err() {
                out.truncate(length);
            }
        }
        Item::Number { field, min, max, sign, .. } => {
            let value = value(*field, moment)?;
            let digits = value.unsigned_abs().to_string();
            if digits.len() > *max {
                return Err(format!("{field:?} {value} has more than {max} digits"));
            }
            match (value < 0, sign) {
                (true, Sign::Never) => return Err(format!("{field:?} {value} is negative")),
                (true, _) => out.push('-'),
                (false, Sign::ExceedsPad) if digits.len() > *min => out.push('+'),
                _ => {}
            }
            let _ = write!(out, "{digits:0>min$}");
        }
        Item::ShortYear { field, .. } => {
            let _ = write!(out, "{:02}", value(*field, moment)?.rem_euclid(100));
        }
        Item::Fraction(digits) => {
            let nanos = format!("{:09}", value(Field::Nano, moment)?);
            out.push_str(&nanos[..*digits]);
        }
        Item::Text { field, letters } => out.push_str(&name(*field, value(*field, moment)?, *letters)),
        Item::Offset { form, zero } => {
            let (zone, at) = moment.zone.ok_or_else(missing)?;
            offset(out, zone.offset_at(at), *form, zero);
        }
        Item::GmtOffset { full } => {
            let (zone, at) = moment.zone.ok_or_else(missing)?;
            gmt_offset(out, zone.offset_at(at), *full);
        }
        Item::ZoneId => {
            let (zone, _) = moment.zone.ok_or_else(missing)?;
            let _ = write!(out, "{zone}");
        }
        Item::ZoneName { full } => {
            let (zone, at) = moment.zone.ok_or_else(missing)?;
            out.push_str(&if *full { zone.full_name(at) } else { zone.short_name(at) });
        }
    }
    Ok(())
}

fn offset(out: &mut String, seconds: i32, form: OffsetForm, zero: &str) {
    if seconds == 0 {
        return out.push_str(zero);
    }
    let (sign, s) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
    let (hours, minutes, seconds) = (s / 3600, s / 60 % 60, s % 60);
    let _ = write!(out, "{sign}{hours:02}");
    let _ = match form {
        OffsetForm::MinuteIfNeeded if minutes == 0 => Ok(()),
        OffsetForm::MinuteIfNeeded | OffsetForm::Minute => write!(out, "{minutes:02}"),
        OffsetForm::ColonMinute => write!(out, ":{minutes:02}"),
        OffsetForm::SecondIfNeeded if seconds == 0 => write!(out, "{minutes:02}"),
        OffsetForm::SecondIfNeeded => write!(out, "{minutes:02}{seconds:02}"),
        OffsetForm::ColonSecondIfNeeded if seconds == 0 => write!(out, ":{minutes:02}"),
        OffsetForm::ColonSecondIfNeeded => write!(out, ":{minutes:02}:{seconds:02}"),
    };
}

fn gmt_offset(out: &mut String, seconds: i32, full: bool) {
    out.push_str("GMT");
    if seconds == 0 {
        return;
    }
    let (sign, s) = if seconds < 0 { ('-', -seconds) } else { ('+', seconds) };
    let (hours, minutes) = (s / 3600, s / 60 % 60);
    let _ = match (full, minutes) {
        (true, _) => write!(out, "{sign}{hours:02}:{minutes:02}"),
        (false, 0) => write!(out, "{sign}{hours}"),
        (false, _) => write!(out, "{sign}{hours}:{minutes:02}"),
    };
}

fn value(field: Field, moment: &Moment) -> Result<i64, String> {
    let missing = |part: &str| format!("the value has no {part}");
    let time = || moment.time.ok_or_else(|| missing("time"));
    let date = || moment.date.ok_or_else(|| missing("date"));
    Ok(match field {
        Field::Era => i64::from(date()?.year() > 0),
        Field::Year => i64::from(date()?.year()),
        Field::YearOfEra => {
            let year = i64::from(date()?.year());
            if year > 0 { year } else { 1 - year }
        }
        Field::WeekYear => week(date()?).0,
        Field::WeekOfYear => week(date()?).1,
        Field::WeekOfMonth => {
            let date = date()?;
            let first = date.with_day(1).unwrap_or(date).weekday().num_days_from_sunday();
            i64::from((date.day0() + first) / 7 + 1)
        }
        Field::Quarter => i64::from(date()?.month0() / 3 + 1),
        Field::Month => i64::from(date()?.month()),
        Field::DayOfYear => i64::from(date()?.ordinal()),
        Field::DayOfMonth => i64::from(date()?.day()),
        Field::AlignedWeek => i64::from(date()?.day0() / 7 + 1),
        Field::WeekDay => i64::from(date()?.weekday().number_from_monday()),
        Field::LocalWeekDay => i64::from(date()?.weekday().number_from_sunday()),
        Field::AmPm => i64::from(time()?.hour() / 12),
        Field::HourOfDay => i64::from(time()?.hour()),
        Field::ClockHourOfDay => i64::from((time()?.hour() + 23) % 24 + 1),
        Field::HourOfAmPm => i64::from(time()?.hour() % 12),
        Field::ClockHourOfAmPm => i64::from((time()?.hour() + 11) % 12 + 1),
        Field::Minute => i64::from(time()?.minute()),
        Field::Second => i64::from(time()?.second()),
        Field::Nano => i64::from(time()?.nanosecond()),
        Field::MilliOfDay => nanos_of_day(time()?) / 1_000_000,
        Field::NanoOfDay => nanos_of_day(time()?),
    })
}

fn nanos_of_day(time: NaiveTime) -> i64 {
    i64::from(time.num_seconds_from_midnight()) * 1_000_000_000 + i64::from(time.nanosecond())
}

/// Year and number of the week, weeks starting on Sunday, the week of January 1st being the first.
fn week(date: NaiveDate) -> (i64, i64) {
    let start = |year: i32| {
        NaiveDate::from_ymd_opt(year, 1, 1)
            .map_or(i32::MAX, |first| first.to_epoch_days() - first.weekday().num_days_from_sunday() as i32)
    };
    let (days, year) = (date.to_epoch_days(), date.year());
    if days >= start(year + 1) {
        (i64::from(year) + 1, 1)
    } else {
        (i64::from(year), i64::from((days - start(year)) / 7 + 1))
    }
}
