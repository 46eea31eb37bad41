//! Durations as people write them: `500ms`, `20s`, `5m`, `1h30m`.

use std::time::Duration;

use crate::error::{Error, Result};

const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// Reads `<number><unit>` one or more times; a bare number counts seconds. Fractions are allowed: `1.5s`.
pub fn parse_duration(text: &str) -> Result<Duration> {
    let wrong = || {
        Error::data(format!("{text:?} is not a duration"))
            .hint("Write a number and a unit, such as 500ms, 20s, 5m or 1h30m.")
    };
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    if let Ok(seconds) = rest.parse::<f64>() {
        return millis(seconds * 1000.0).ok_or_else(wrong);
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &rest[..letters]).ok_or_else(wrong)?;
        total += number * *unit as f64;
        rest = &rest[letters..];
    }
    millis(total).ok_or_else(wrong)
}

fn millis(ms: f64) -> Option<Duration> {
    // A thousand years is surely a slip of the finger, and keeps the sum far from overflow.
    (ms.is_finite() && (0.0..3.2e13).contains(&ms)).then(|| Duration::from_millis(ms.round() as u64))
}

/// The shortest text that [`parse_duration`] reads back, for messages: `1m20s`.
pub fn format_duration(duration: Duration) -> String {
    let mut ms = duration.as_millis() as u64;
    if ms == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, size) in UNITS.iter().rev() {
        if ms >= *size {
            text.push_str(&format!("{}{unit}", ms / size));
            ms %= size;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_numbers_with_units() {
        for (text, ms) in [
            ("500ms", 500),
            ("20s", 20_000),
            ("5m", 300_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("2d", 172_800_000),
            ("7", 7_000),
            (" 0s ", 0),
        ] {
            assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(ms), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in ["", "s", "5 minutes", "-3s", "1.2.3s", "9e99", "5x", "1m 3"] {
            let error = parse_duration(text).unwrap_err();
            assert!(error.message().ends_with("is not a duration"), "{text}");
            assert_eq!(error.hints().len(), 1);
        }
    }

    #[test]
    fn prints_what_it_reads() {
        for text in ["500ms", "20s", "1m20s", "1h30m", "0s"] {
            assert_eq!(format_duration(parse_duration(text).unwrap()), text);
        }
    }
}
