//! Java's `DateTimeFormatter` patterns: compiled once, then used for printing and reading dates, times and timestamps.
//!
//! **Invariant:** no locale: names are English, weeks start on Sunday as in Java's default English locale.
//!
//! > KSQL: `TIMESTAMP_FORMAT` and every `FORMAT_…`/`PARSE_…` function take such patterns.

mod parse;
mod print;
mod resolve;
mod zone;

pub use zone::Zone;

use crate::error::{Error, Result};

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct DatePattern {
    text: String,
    items: Vec<Item>,
}

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Literal(String),
    Optional(Vec<Item>),
    /// A number with its widths.
    Number {
        field: Field,
        min: usize,
        max: usize,
        sign: Sign,
        /// Digits that directly following fixed-width numbers need.
        reserved: usize,
    },
    /// Two digits of a year, read as 2000 to 2099.
    ShortYear {
        field: Field,
        reserved: usize,
    },
    /// The leading digits of the second's fraction.
    Fraction(usize),
    /// A name: how many letters stood there (3 short, 4 full, 5 narrow).
    Text {
        field: Field,
        letters: usize,
    },
    /// `+08:00` and its shorter forms.
    Offset {
        form: OffsetForm,
        /// What zero prints as.
        zero: &'static str,
    },
    /// `GMT+8`, or `GMT+08:00`
    GmtOffset {
        full: bool,
    },
    /// `America/Los_Angeles`
    ZoneId,
    /// `PST`, or `Pacific Standard Time`
    ZoneName {
        full: bool,
    },
}

/// How signs of numbers print and read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sign {
    /// Only a minus.
    Normal,
    /// None.
    Never,
    /// A plus when more digits than the pattern has.
    ExceedsPad,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum OffsetForm {
    /// `+HH`, and minutes when they are not zero
    MinuteIfNeeded,
    /// `+HHMM`
    Minute,
    /// `+HH:MM`
    ColonMinute,
    /// `+HHMM`, and seconds when they are not zero
    SecondIfNeeded,
    /// `+HH:MM`, and seconds when they are not zero
    ColonSecondIfNeeded,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Era,
    Year,
    YearOfEra,
    WeekYear,
    Quarter,
    Month,
    WeekOfYear,
    WeekOfMonth,
    DayOfYear,
    DayOfMonth,
    AlignedWeek,
    /// 1 is Monday.
    WeekDay,
    /// 1 is Sunday.
    LocalWeekDay,
    AmPm,
    HourOfDay,
    ClockHourOfDay,
    HourOfAmPm,
    ClockHourOfAmPm,
    Minute,
    Second,
    Nano,
    MilliOfDay,
    NanoOfDay,
}

impl DatePattern {
    /// Compiles `pattern`.
    pub fn new(pattern: &str) -> Result<Self> {
        let chars: Vec<char> = pattern.chars().collect();
        let mut at = 0;
        let items = items(&chars, &mut at, 0).map_err(|reason| {
            Error::semantic(format!("invalid date pattern '{pattern}': {reason}"))
                .hint("Patterns are those of Java's DateTimeFormatter, such as yyyy-MM-dd'T'HH:mm:ss.SSSX.")
        })?;
        Ok(Self { text: pattern.to_owned(), items })
    }

    /// The pattern as written.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl PartialEq for DatePattern {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

fn items(chars: &[char], at: &mut usize, depth: usize) -> Result<Vec<Item>, String> {
    let mut out = Items::default();
    while *at < chars.len() {
        let c = chars[*at];
        match c {
            'a'..='z' | 'A'..='Z' => {
                let count = chars[*at..].iter().take_while(|x| **x == c).count();
                *at += count;
                out.push(letter(c, count)?);
            }
            '\'' => out.literal(&quoted(chars, at)?),
            '[' => {
                *at += 1;
                let inner = items(chars, at, depth + 1)?;
                out.push(Item::Optional(inner));
            }
            ']' if depth > 0 => {
                *at += 1;
                return Ok(out.items);
            }
            ']' => return Err("']' without '['".into()),
            '{' | '}' | '#' => return Err(format!("'{c}' is reserved")),
            _ => {
                *at += 1;
                out.literal(c.encode_utf8(&mut [0; 4]));
            }
        }
    }
    // An optional section that is still open ends with the pattern.
    Ok(out.items)
}

/// The text of a quoted part that starts at `at`; `''` is a quote.
fn quoted(chars: &[char], at: &mut usize) -> Result<String, String> {
    let mut text = String::new();
    let mut i = *at + 1;
    loop {
        match (chars.get(i), chars.get(i + 1)) {
            (None, _) => return Err("a quote is not closed".into()),
            (Some('\''), Some('\'')) => {
                text.push('\'');
                i += 2;
            }
            (Some('\''), _) => break,
            (Some(c), _) => {
                text.push(*c);
                i += 1;
            }
        }
    }
    *at = i + 1;
    Ok(if text.is_empty() { "'".into() } else { text })
}

/// Items under construction, which knows the number that adjacent fixed-width numbers take digits from.
#[derive(Default)]
struct Items {
    items: Vec<Item>,
    adjacent: Option<usize>,
}

impl Items {
    fn literal(&mut self, text: &str) {
        self.adjacent = None;
        match self.items.last_mut() {
            Some(Item::Literal(last)) => last.push_str(text),
            _ => self.items.push(Item::Literal(text.to_owned())),
        }
    }

    fn push(&mut self, item: Item) {
        let fixed = match &item {
            Item::Number { min, max, sign: Sign::Never, .. } if min == max => Some(*min),
            Item::ShortYear { .. } => Some(2),
            Item::Fraction(digits) => Some(*digits),
            Item::Number { .. } => None,
            _ => {
                self.adjacent = None;
                self.items.push(item);
                return;
            }
        };
        match (self.adjacent, fixed) {
            (Some(first), Some(width)) => {
                if let Item::Number { reserved, .. } | Item::ShortYear { reserved, .. } = &mut self.items[first] {
                    *reserved += width;
                }
            }
            _ => self.adjacent = Some(self.items.len()),
        }
        self.items.push(item);
    }
}

fn letter(c: char, count: usize) -> Result<Item, String> {
    let too_many = || Err(format!("too many letters {c}"));
    let number = |field| match count {
        1 => Ok(Item::Number { field, min: 1, max: 19, sign: Sign::Normal, reserved: 0 }),
        2 => Ok(Item::Number { field, min: 2, max: 2, sign: Sign::Never, reserved: 0 }),
        _ => too_many(),
    };
    let long = |field| Ok(Item::Number { field, min: count, max: 19, sign: Sign::Never, reserved: 0 });
    let text = |field| match count {
        ..=5 => Ok(Item::Text { field, letters: count.max(3) }),
        _ => too_many(),
    };
    let number_or_text = |field| if count <= 2 { number(field) } else { text(field) };
    let year = |field| match count {
        2 => Ok(Item::ShortYear { field, reserved: 0 }),
        1 | 3 => Ok(Item::Number { field, min: count, max: 19, sign: Sign::Normal, reserved: 0 }),
        ..=19 => Ok(Item::Number { field, min: count, max: 19, sign: Sign::ExceedsPad, reserved: 0 }),
        _ => too_many(),
    };
    let offset = |form, zero| Ok(Item::Offset { form, zero });
    match c {
        'G' => text(Field::Era),
        'u' => year(Field::Year),
        'y' => year(Field::YearOfEra),
        'Y' => year(Field::WeekYear),
        'Q' | 'q' => number_or_text(Field::Quarter),
        'M' | 'L' => number_or_text(Field::Month),
        'w' => number(Field::WeekOfYear),
        'W' if count == 1 => number(Field::WeekOfMonth),
        'D' => match count {
            1 => number(Field::DayOfYear),
            2 | 3 => Ok(Item::Number { field: Field::DayOfYear, min: count, max: 3, sign: Sign::Never, reserved: 0 }),
            _ => too_many(),
        },
        'd' => number(Field::DayOfMonth),
        'F' if count == 1 => number(Field::AlignedWeek),
        'E' => text(Field::WeekDay),
        'e' | 'c' if count <= 2 => number(Field::LocalWeekDay),
        'e' | 'c' => text(Field::WeekDay),
        'a' if count == 1 => text(Field::AmPm),
        'H' => number(Field::HourOfDay),
        'k' => number(Field::ClockHourOfDay),
        'K' => number(Field::HourOfAmPm),
        'h' => number(Field::ClockHourOfAmPm),
        'm' => number(Field::Minute),
        's' => number(Field::Second),
        'S' if count <= 9 => Ok(Item::Fraction(count)),
        'n' if count <= 19 => long(Field::Nano),
        'N' if count <= 19 => long(Field::NanoOfDay),
        'A' if count <= 19 => long(Field::MilliOfDay),
        'V' if count == 2 => Ok(Item::ZoneId),
        'V' => Err("zone identifiers are written VV".into()),
        'z' if count <= 4 => Ok(Item::ZoneName { full: count == 4 }),
        'O' if count == 1 || count == 4 => Ok(Item::GmtOffset { full: count == 4 }),
        'X' | 'x' if count <= 5 => {
            let utc = c == 'X';
            match count {
                1 => offset(OffsetForm::MinuteIfNeeded, if utc { "Z" } else { "+00" }),
                2 => offset(OffsetForm::Minute, if utc { "Z" } else { "+0000" }),
                3 => offset(OffsetForm::ColonMinute, if utc { "Z" } else { "+00:00" }),
                4 => offset(OffsetForm::SecondIfNeeded, if utc { "Z" } else { "+0000" }),
                _ => offset(OffsetForm::ColonSecondIfNeeded, if utc { "Z" } else { "+00:00" }),
            }
        }
        'Z' if count <= 3 => offset(OffsetForm::Minute, "+0000"),
        'Z' if count == 4 => Ok(Item::GmtOffset { full: true }),
        'Z' if count == 5 => offset(OffsetForm::ColonSecondIfNeeded, "Z"),
        'W' | 'F' | 'a' | 'S' | 'n' | 'N' | 'A' | 'z' | 'O' | 'X' | 'x' | 'Z' => too_many(),
        _ => Err(format!("unknown letter {c}")),
    }
}

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEK_DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// The name of the field's `value` at a width of `letters`.
fn name(field: Field, value: i64, letters: usize) -> String {
    let pick = |full: &str| match letters {
        4 => full.to_owned(),
        5 => full[..1].to_owned(),
        _ => full[..3].to_owned(),
    };
    match field {
        Field::Month => MONTHS.get(value as usize - 1).map(|full| pick(full)),
        Field::WeekDay => WEEK_DAYS.get(value as usize - 1).map(|full| pick(full)),
        Field::AmPm => Some(if value == 0 { "AM" } else { "PM" }.to_owned()),
        Field::Era => Some(
            match (letters, value) {
                (4, 0) => "Before Christ",
                (4, _) => "Anno Domini",
                (5, 0) => "B",
                (5, _) => "A",
                (_, 0) => "BC",
                _ => "AD",
            }
            .to_owned(),
        ),
        Field::Quarter => Some(match letters {
            3 => format!("Q{value}"),
            5 => value.to_string(),
            _ => format!("{value}{} quarter", ["st", "nd", "rd", "th"][(value as usize - 1).min(3)]),
        }),
        _ => None,
    }
    .unwrap_or_else(|| value.to_string())
}

/// Values a text field may have.
fn text_values(field: Field) -> std::ops::RangeInclusive<i64> {
    match field {
        Field::Month => 1..=12,
        Field::WeekDay => 1..=7,
        Field::Quarter => 1..=4,
        _ => 0..=1,
    }
}

#[cfg(test)]
mod tests;
