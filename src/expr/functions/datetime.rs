//! Dates, times and timestamps.
//!
//! > KSQL: patterns are those of Java's DateTimeFormatter, the zone is UTC unless the call or the text names one; text
//! > that does not fit its pattern is an error, and so NULL.

use super::cell::{Cache, Cell, View, string};
use super::declare::{Function, RowFn};
use crate::types::{DatePattern, Value, Zone};

const DATE: &str = "DATE / TIME";
const DAY_MS: i64 = 86_400_000;

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let mut all = of_text();
    all.extend(of_epochs());
    all.extend(of_arithmetic());
    all
}

fn of_text() -> Vec<Function> {
    let to_text = |name, description, example| Function::scalar(name, DATE, description).example(example);
    vec![
        to_text(
            "FORMAT_TIMESTAMP",
            "The timestamp as text in a pattern, as clocks in the zone show it (UTC if none is given). NULL if an argument \
             is; bad patterns and zones are errors.",
            "FORMAT_TIMESTAMP(FROM_UNIXTIME(0), 'yyyy-MM-dd HH:mm:ss') -> '1970-01-01 00:00:00'",
        )
        .strict_with("(timestamp TIMESTAMP, pattern STRING) -> STRING", |_| format_timestamp())
        .strict_with("(timestamp TIMESTAMP, pattern STRING, zone STRING) -> STRING", |_| format_timestamp()),
        to_text(
            "TIMESTAMPTOSTRING",
            "Milliseconds since the epoch as text in a pattern, as clocks in the zone show it (UTC if none is given). NULL \
             if an argument is; bad patterns and zones are errors.",
            "TIMESTAMPTOSTRING(ROWTIME, 'yyyy-MM-dd HH:mm:ss') -> '2024-01-01 12:00:00'",
        )
        .strict_with("(epoch_ms BIGINT, pattern STRING) -> STRING", |_| format_timestamp())
        .strict_with("(epoch_ms BIGINT, pattern STRING, zone STRING) -> STRING", |_| format_timestamp()),
        to_text(
            "PARSE_TIMESTAMP",
            "The timestamp that the text tells in a pattern; the zone (UTC if none is given) counts when the text names \
             none. NULL if an argument is; text that does not fit, bad patterns and zones are errors.",
            "PARSE_TIMESTAMP('2024-01-01', 'yyyy-MM-dd')",
        )
        .strict_with("(text STRING, pattern STRING) -> TIMESTAMP", |_| parse_timestamp(Value::Timestamp))
        .strict_with("(text STRING, pattern STRING, zone STRING) -> TIMESTAMP", |_| parse_timestamp(Value::Timestamp)),
        to_text(
            "STRINGTOTIMESTAMP",
            "The milliseconds since the epoch that the text tells in a pattern; the zone (UTC if none is given) counts when \
             the text names none. NULL if an argument is; text that does not fit, bad patterns and zones are errors.",
            "STRINGTOTIMESTAMP('1970-01-02', 'yyyy-MM-dd') -> 86400000",
        )
        .strict_with("(text STRING, pattern STRING) -> BIGINT", |_| parse_timestamp(Value::BigInt))
        .strict_with("(text STRING, pattern STRING, zone STRING) -> BIGINT", |_| parse_timestamp(Value::BigInt)),
        to_text(
            "FORMAT_DATE",
            "The date as text in a pattern. NULL if an argument is; bad patterns are an error.",
            "FORMAT_DATE(FROM_DAYS(0), 'dd.MM.yyyy') -> '01.01.1970'",
        )
        .strict_with("(date DATE, pattern STRING) -> STRING", |_| format_date()),
        to_text(
            "DATETOSTRING",
            "Days since the epoch as text in a pattern. NULL if an argument is; bad patterns are an error.",
            "DATETOSTRING(1, 'yyyy-MM-dd') -> '1970-01-02'",
        )
        .strict_with("(epoch_days INT, pattern STRING) -> STRING", |_| format_date()),
        to_text(
            "PARSE_DATE",
            "The date that the text tells in a pattern. NULL if an argument is; text that does not fit and bad patterns are \
             errors.",
            "PARSE_DATE('01.01.1970', 'dd.MM.yyyy')",
        )
        .strict_with("(text STRING, pattern STRING) -> DATE", |_| {
            with_pattern(|pattern, text| pattern.parse_date(text.text()).map(Value::Date))
        }),
        to_text(
            "STRINGTODATE",
            "The days since the epoch that the text tells in a pattern. NULL if an argument is; text that does not fit and \
             bad patterns are errors.",
            "STRINGTODATE('1970-01-02', 'yyyy-MM-dd') -> 1",
        )
        .strict_with("(text STRING, pattern STRING) -> INT", |_| {
            with_pattern(|pattern, text| pattern.parse_date(text.text()).map(Value::Int))
        }),
        to_text(
            "FORMAT_TIME",
            "The time of day as text in a pattern. NULL if an argument is; bad patterns are an error.",
            "FORMAT_TIME(PARSE_TIME('1:05 PM', 'h:mm a'), 'HH:mm') -> '13:05'",
        )
        .strict_with("(time TIME, pattern STRING) -> STRING", |_| {
            with_pattern(|pattern, time| pattern.format_time(time.int() as i32).map(Value::String))
        }),
        to_text(
            "PARSE_TIME",
            "The time of day that the text tells in a pattern. NULL if an argument is; text that does not fit and bad \
             patterns are errors.",
            "PARSE_TIME('13:05', 'HH:mm')",
        )
        .strict_with("(text STRING, pattern STRING) -> TIME", |_| {
            with_pattern(|pattern, text| pattern.parse_time(text.text()).map(Value::Time))
        }),
    ]
}

fn of_epochs() -> Vec<Function> {
    vec![
        Function::scalar("FROM_UNIXTIME", DATE, "The timestamp that many milliseconds after the epoch. NULL for NULL.")
            .example("FROM_UNIXTIME(0)")
            .strict("(epoch_ms BIGINT) -> TIMESTAMP", |a| Ok(Value::Timestamp(a[0].int()))),
        Function::scalar("UNIX_TIMESTAMP", DATE, "The milliseconds since the epoch of a timestamp, or of now. NULL for NULL.")
            .volatile()
            .example("UNIX_TIMESTAMP(FROM_UNIXTIME(1)) -> 1")
            .rows_with("() -> BIGINT", |call| {
                let env = call.env.clone();
                Box::new(move |_| Ok(Value::BigInt(env.now_ms())))
            })
            .strict("(timestamp TIMESTAMP) -> BIGINT", |a| Ok(Value::BigInt(a[0].int()))),
        Function::scalar("FROM_DAYS", DATE, "The date that many days after the epoch. NULL for NULL.")
            .example("FROM_DAYS(0)")
            .strict("(epoch_days INT) -> DATE", |a| Ok(Value::Date(a[0].int() as i32))),
        Function::scalar("UNIX_DATE", DATE, "The days since the epoch of a date, or of today in UTC. NULL for NULL.")
            .volatile()
            .example("UNIX_DATE(FROM_DAYS(1)) -> 1")
            .rows_with("() -> INT", |call| {
                let env = call.env.clone();
                Box::new(move |_| Ok(Value::Int(env.now_ms().div_euclid(DAY_MS) as i32)))
            })
            .strict("(date DATE) -> INT", |a| Ok(Value::Int(a[0].int() as i32))),
        Function::scalar(
            "CONVERT_TZ",
            DATE,
            "The timestamp moved by what clocks in the second zone are ahead of those in the first. NULL if an argument is; \
             unknown zones are an error.",
        )
        .example("CONVERT_TZ(FROM_UNIXTIME(0), 'UTC', '+02:00')")
        .strict_with("(timestamp TIMESTAMP, from STRING, to STRING) -> TIMESTAMP", |_| {
            let zones = Cache::new(zone);
            Box::new(move |a| {
                let at = a[0].int();
                let (from, to) = (zones.get(a[1].text())?, zones.get(a[2].text())?);
                Ok(Value::Timestamp(at + i64::from(to.offset_at(at) - from.offset_at(at)) * 1000))
            })
        }),
    ]
}

fn of_arithmetic() -> Vec<Function> {
    let add = |name, description, example| Function::scalar(name, DATE, description).example(example);
    vec![
        add(
            "TIMESTAMPADD",
            "The timestamp some units later. NULL if an argument is.",
            "TIMESTAMPADD(HOURS, 1, FROM_UNIXTIME(0))",
        )
        .strict("(unit STRING, count INT, timestamp TIMESTAMP) -> TIMESTAMP", |a| timestamp(a, 1)),
        add(
            "TIMESTAMPSUB",
            "The timestamp some units earlier. NULL if an argument is.",
            "TIMESTAMPSUB(HOURS, 1, FROM_UNIXTIME(0))",
        )
        .strict("(unit STRING, count INT, timestamp TIMESTAMP) -> TIMESTAMP", |a| timestamp(a, -1)),
        add(
            "DATEADD",
            "The date some units later; parts of a day do not count. NULL if an argument is.",
            "DATEADD(DAYS, 1, FROM_DAYS(0))",
        )
        .strict("(unit STRING, count INT, date DATE) -> DATE", |a| date(a, 1)),
        add(
            "DATESUB",
            "The date some units earlier; a part of a day is a day. NULL if an argument is.",
            "DATESUB(DAYS, 1, FROM_DAYS(1))",
        )
        .strict("(unit STRING, count INT, date DATE) -> DATE", |a| date(a, -1)),
        add(
            "TIMEADD",
            "The time of day some units later, past midnight from the start again. NULL if an argument is.",
            "TIMEADD(MINUTES, 5, PARSE_TIME('12:00', 'HH:mm'))",
        )
        .strict("(unit STRING, count INT, time TIME) -> TIME", |a| time(a, 1)),
        add(
            "TIMESUB",
            "The time of day some units earlier, before midnight from the end again. NULL if an argument is.",
            "TIMESUB(MINUTES, 5, PARSE_TIME('12:00', 'HH:mm'))",
        )
        .strict("(unit STRING, count INT, time TIME) -> TIME", |a| time(a, -1)),
    ]
}

fn pattern(text: &str) -> Result<DatePattern, String> {
    DatePattern::new(text).map_err(|e| e.to_string())
}

fn zone(text: &str) -> Result<Zone, String> {
    Zone::parse(text).map_err(|e| e.to_string())
}

/// A call whose second argument is a pattern for the first.
fn with_pattern(f: fn(&DatePattern, &Value) -> Cell) -> RowFn {
    let patterns = Cache::new(pattern);
    Box::new(move |a| f(&*patterns.get(a[1].text())?, &a[0]))
}

fn format_date() -> RowFn {
    with_pattern(|pattern, date| string(pattern.format_date(date.int() as i32)?))
}

/// The zone in the third argument, if there is one.
fn zone_of(zones: &Cache<Zone>, args: &[Value]) -> Result<Zone, String> {
    args.get(2).map_or(Ok(Zone::UTC), |name| zones.get(name.text()).map(|zone| *zone))
}

fn format_timestamp() -> RowFn {
    let (patterns, zones) = (Cache::new(pattern), Cache::new(zone));
    Box::new(move |a| string(patterns.get(a[1].text())?.format_timestamp(a[0].int(), zone_of(&zones, a)?)?))
}

fn parse_timestamp(make: fn(i64) -> Value) -> RowFn {
    let (patterns, zones) = (Cache::new(pattern), Cache::new(zone));
    Box::new(move |a| patterns.get(a[1].text())?.parse_timestamp(a[0].text(), zone_of(&zones, a)?).map(make))
}

/// Milliseconds of `count` units (which the typing core hands over as text).
fn interval(args: &[Value], sign: i64) -> Result<i64, String> {
    let unit = args[0].text().to_ascii_uppercase();
    let ms = match unit.strip_suffix('S').unwrap_or(&unit) {
        "MILLISECOND" => 1,
        "SECOND" => 1000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => DAY_MS,
        "WEEK" => 7 * DAY_MS,
        _ => return Err(format!("unknown time unit {unit}")),
    };
    Ok(sign * args[1].int() * ms)
}

fn timestamp(args: &[Value], sign: i64) -> Cell {
    let moved = args[2].int().checked_add(interval(args, sign)?).ok_or("the timestamp is out of range")?;
    Ok(Value::Timestamp(moved))
}

fn date(args: &[Value], sign: i64) -> Cell {
    let days = args[2].int() + interval(args, sign)?.div_euclid(DAY_MS);
    Ok(Value::Date(i32::try_from(days).map_err(|_| "the date is out of range")?))
}

fn time(args: &[Value], sign: i64) -> Cell {
    Ok(Value::Time((args[2].int() + interval(args, sign)?).rem_euclid(DAY_MS) as i32))
}
