//! From the fields that were read to a date, a time or an instant.
//!
//! > KSQL: what the text does not say is taken from 1970-01-01T00:00; days past a month's end become its last day.

use chrono::{Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime};

use super::{DatePattern, Field, Zone};

/// What a text said, field by field.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields {
    values: Vec<(Field, i64)>,
    pub(super) offset: Option<i32>,
    pub(super) zone: Option<Zone>,
}

impl Fields {
    /// Records a field; a value out of its range, or another one than before, is refused.
    pub(super) fn set(&mut self, field: Field, value: i64) -> Result<(), ()> {
        let range = match field {
            Field::Quarter => 1..=4,
            Field::Month => 1..=12,
            Field::WeekOfYear => 1..=54,
            Field::WeekOfMonth => 0..=6,
            Field::DayOfYear => 1..=366,
            Field::DayOfMonth => 1..=31,
            Field::AlignedWeek => 1..=5,
            Field::WeekDay | Field::LocalWeekDay => 1..=7,
            Field::HourOfDay => 0..=24,
            Field::ClockHourOfDay => 1..=24,
            Field::HourOfAmPm => 0..=11,
            Field::ClockHourOfAmPm => 1..=12,
            Field::Minute | Field::Second => 0..=59,
            Field::Nano => 0..=999_999_999,
            Field::MilliOfDay => 0..=86_399_999,
            Field::NanoOfDay => 0..=86_399_999_999_999,
            Field::Year | Field::YearOfEra | Field::WeekYear => -262_000..=262_000,
            Field::Era | Field::AmPm => 0..=1,
        };
        if !range.contains(&value) || self.get(field).is_some_and(|before| before != value) {
            return Err(());
        }
        self.values.push((field, value));
        Ok(())
    }

    fn get(&self, field: Field) -> Option<i64> {
        self.values.iter().find(|(f, _)| *f == field).map(|(_, value)| *value)
    }

    fn date(&self) -> Option<NaiveDate> {
        let year_of_era =
            self.get(Field::YearOfEra).map(|year| if self.get(Field::Era) == Some(0) { 1 - year } else { year });
        let year = self.get(Field::Year).or(year_of_era);
        let week_day = self
            .get(Field::WeekDay)
            .or_else(|| self.get(Field::LocalWeekDay).map(|local| if local == 1 { 7 } else { local - 1 }));
        let (month, day) = (self.get(Field::Month), self.get(Field::DayOfMonth));
        if let (Some(ordinal), None, None) = (self.get(Field::DayOfYear), month, day) {
            return NaiveDate::from_yo_opt(i32::try_from(year.unwrap_or(1970)).ok()?, ordinal as u32);
        }
        if let (Some(week), None) = (self.get(Field::WeekOfYear), month) {
            let year = self.get(Field::WeekYear).or(year).unwrap_or(1970);
            let first = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, 1, 1)?;
            let sunday = first.to_epoch_days() - first.weekday().num_days_from_sunday() as i32;
            let into_week = week_day.unwrap_or(7) % 7;
            return NaiveDate::from_epoch_days(sunday + (week as i32 - 1) * 7 + into_week as i32);
        }
        let (month, day) = (month.unwrap_or(1) as u32, day.unwrap_or(1) as u32);
        // February 29th without a year needs a year that has one.
        let default_year = if month == 2 && day == 29 { 1972 } else { 1970 };
        let known = year.is_some();
        let year = i32::try_from(year.or(self.get(Field::WeekYear)).unwrap_or(default_year)).ok()?;
        let date = (0..=3).find_map(|less| NaiveDate::from_ymd_opt(year, month, day - less.min(day - 1)))?;
        let fits = week_day.is_none_or(|expected| i64::from(date.weekday().number_from_monday()) == expected);
        (fits || !known).then_some(date)
    }

    /// The time of day, and whether it is midnight at the end of the day.
    fn time(&self) -> Option<(NaiveTime, bool)> {
        let total = self.get(Field::NanoOfDay).or_else(|| self.get(Field::MilliOfDay).map(|ms| ms * 1_000_000));
        if let Some(nanos) = total {
            let (seconds, rest) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
            return Some((NaiveTime::from_num_seconds_from_midnight_opt(seconds as u32, rest as u32)?, false));
        }
        let half = self.get(Field::HourOfAmPm).or_else(|| self.get(Field::ClockHourOfAmPm).map(|hour| hour % 12));
        let hour = self
            .get(Field::HourOfDay)
            .or_else(|| self.get(Field::ClockHourOfDay).map(|hour| hour % 24))
            .or_else(|| Some(half? + 12 * self.get(Field::AmPm).unwrap_or(0)))
            .unwrap_or(0);
        let part = |field| self.get(field).unwrap_or(0) as u32;
        let (minute, second, nano) = (part(Field::Minute), part(Field::Second), part(Field::Nano));
        if hour == 24 {
            return (minute + second + nano == 0).then_some((NaiveTime::MIN, true));
        }
        Some((NaiveTime::from_hms_nano_opt(hour as u32, minute, second, nano)?, false))
    }
}

impl DatePattern {
    /// Milliseconds since the epoch; `default_zone` counts when the text names none.
    pub fn parse_timestamp(&self, text: &str, default_zone: Zone) -> Result<i64, String> {
        let fields = self.read(text)?;
        let zone = fields.offset.map(Zone::Fixed).or(fields.zone).unwrap_or(default_zone);
        let invalid = || format!("text '{text}' is no valid date and time");
        let date = fields.date().ok_or_else(invalid)?;
        let (time, next_day) = fields.time().ok_or_else(invalid)?;
        let date = if next_day { date.checked_add_days(Days::new(1)).ok_or_else(invalid)? } else { date };
        Ok(zone.to_epoch_ms(NaiveDateTime::new(date, time)))
    }

    /// Days since the epoch.
    pub fn parse_date(&self, text: &str) -> Result<i32, String> {
        let date = self.read(text)?.date().ok_or_else(|| format!("text '{text}' is no valid date"))?;
        Ok(date.to_epoch_days())
    }

    /// Milliseconds of the day.
    pub fn parse_time(&self, text: &str) -> Result<i32, String> {
        let (time, _) = self.read(text)?.time().ok_or_else(|| format!("text '{text}' is no valid time"))?;
        let since_midnight = time.signed_duration_since(NaiveTime::MIN).num_milliseconds();
        i32::try_from(since_midnight).map_err(|_| format!("text '{text}' is no valid time"))
    }
}
