//! Numbers as text, as Java reads and writes them.

pub(super) use crate::types::java_text::write_double;

/// > KSQL: text is read as `Double.parseDouble` does: blanks around it, `NaN`, `Infinity` and a trailing `d` or `f`
/// > are fine; Rust's own `inf` and `nan` are not.
pub(super) fn parse_double(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c <= ' ');
    let (negative, digits) = match text.as_bytes().first()? {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let magnitude = match digits {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        _ if digits.starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            digits.strip_suffix(['d', 'D', 'f', 'F']).unwrap_or(digits).parse().ok()?
        }
        _ => return None,
    };
    Some(if negative { -magnitude } else { magnitude })
}

/// An integer: an optional sign and ASCII digits.
pub(super) fn parse_long(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// A number's significant digits and how many of them stand behind the point (fewer than none: zeros follow).
struct Exact {
    digits: i128,
    scale: i64,
}

/// Reads `[+-]digits[.digits][e[+-]digits]`: `None` is no number, `Some(None)` has more than 38 significant digits.
/// Unlike [`crate::types::Decimal::parse`] it takes any number of zeros and any exponent.
fn exact(text: &str) -> Option<Option<Exact>> {
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], text[at + 1..].parse::<i64>().ok()?),
        None => (text, 0),
    };
    let (sign, mantissa) = match mantissa.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, mantissa.strip_prefix('+').unwrap_or(mantissa)),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let (mut digits, mut zeros, mut fits) = (0i128, 0u32, true);
    for byte in whole.bytes().chain(fraction.bytes()) {
        match byte {
            b'0' if digits == 0 => {}
            b'0' => zeros += 1,
            b'1'..=b'9' => {
                let next = 10i128.checked_pow(zeros + 1).and_then(|power| digits.checked_mul(power));
                let next = next.and_then(|next| next.checked_add(i128::from(byte - b'0')));
                fits &= next.is_some();
                digits = next.unwrap_or(1);
                zeros = 0;
            }
            _ => return None,
        }
    }
    let scale = (fraction.len() as i64).saturating_sub(exponent).saturating_sub(i64::from(zeros));
    Some(fits.then_some(Exact { digits: sign * digits, scale }))
}

/// `digits × 10^power`, if that fits.
fn shifted(digits: i128, power: i64) -> Option<i128> {
    if digits == 0 { Some(0) } else { digits.checked_mul(10i128.checked_pow(u32::try_from(power).ok()?)?) }
}

/// The digits of `text` at `scale`, when that is exact and fits into `precision` digits.
pub(super) fn parse_decimal(text: &str, precision: u8, scale: u8) -> Result<i128, String> {
    let Some(number) = exact(text) else { return Err(format!("`{}` is no number", clip(text))) };
    let limit = 10u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    number
        .and_then(|number| shifted(number.digits, i64::from(scale).saturating_sub(number.scale)))
        .filter(|unscaled| unscaled.unsigned_abs() < limit)
        .ok_or_else(|| format!("{} does not fit DECIMAL({precision}, {scale})", clip(text)))
}

/// The whole part of a number, if 64 bits hold it.
pub(super) fn whole_part(text: &str) -> Option<i64> {
    let whole = match exact(text)? {
        Some(number) if number.scale <= 0 => shifted(number.digits, number.scale.saturating_neg())?,
        Some(number) => {
            let power = u32::try_from(number.scale).ok().and_then(|scale| 10i128.checked_pow(scale));
            power.map_or(0, |power| number.digits / power)
        }
        // More digits than an exact number has here: only those in front of the point count.
        None => text.parse::<f64>().ok().filter(|number| number.abs() < 9.2e18)? as i128,
    };
    i64::try_from(whole).ok()
}

/// At most 40 characters of `text`, for messages.
pub(super) fn clip(text: &str) -> String {
    match text.char_indices().nth(40) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// Appends `unscaled × 10^-scale` in plain notation, all digits of the scale shown.
pub(super) fn write_decimal(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(unscaled.unsigned_abs()).as_bytes();
    if unscaled < 0 {
        out.push(b'-');
    }
    let scale = usize::from(scale);
    if digits.len() > scale {
        out.extend_from_slice(&digits[..digits.len() - scale]);
    } else {
        out.push(b'0');
    }
    if scale > 0 {
        out.push(b'.');
        out.resize(out.len() + scale.saturating_sub(digits.len()), b'0');
        out.extend_from_slice(&digits[digits.len().saturating_sub(scale)..]);
    }
}

/// Appends an integer.
pub(super) fn write_long(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// The text of a JSON number after Java has read it: integers as they are, others as `BigDecimal.toString` writes.
pub(super) fn java_number_text(number: &str) -> String {
    if !number.contains(['.', 'e', 'E']) {
        return if number == "-0" { "0".to_owned() } else { number.to_owned() };
    }
    let (mantissa, exponent) = match number.find(['e', 'E']) {
        Some(at) => (&number[..at], number[at + 1..].parse::<i64>().unwrap_or(0)),
        None => (number, 0),
    };
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let scale = fraction.len() as i64 - exponent;
    let digits = format!("{whole}{fraction}");
    let digits = match digits.trim_start_matches('0') {
        "" => "0",
        digits => digits,
    };
    let sign = if digits == "0" { "" } else { sign };
    let adjusted = digits.len() as i64 - 1 - scale;
    if scale == 0 {
        return format!("{sign}{digits}");
    }
    if scale > 0 && adjusted >= -6 {
        let scale = scale as usize;
        let padded = format!("{digits:0>width$}", width = scale + 1);
        let (whole, fraction) = padded.split_at(padded.len() - scale);
        return format!("{sign}{whole}.{fraction}");
    }
    let (first, rest) = digits.split_at(1);
    let point = if rest.is_empty() { "" } else { "." };
    let plus = if adjusted >= 0 { "+" } else { "" };
    format!("{sign}{first}{point}{rest}E{plus}{adjusted}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn number_texts_follow_big_decimal() {
        for (json, text) in [
            ("1", "1"),
            ("-0", "0"),
            ("1.10", "1.10"),
            ("10.0", "10.0"),
            ("1e3", "1E+3"),
            ("1.5e3", "1.5E+3"),
            ("12e-1", "1.2"),
            ("-0.000001", "-0.000001"),
            ("0.0000001", "1E-7"),
            ("0.0", "0.0"),
        ] {
            assert_eq!(java_number_text(json), text, "{json}");
        }
    }

    #[test]
    fn double_texts_follow_java() {
        assert_eq!(parse_double(" 1.5 "), Some(1.5));
        assert_eq!(parse_double("+2d"), Some(2.0));
        assert_eq!(parse_double("-Infinity"), Some(f64::NEG_INFINITY));
        for bad in ["", "inf", "nan", "infinity", "1x", "--1", "."] {
            assert_eq!(parse_double(bad), None, "{bad}");
        }
    }

    #[test]
    fn fractions_are_cut_off() {
        for (text, whole) in
            [("1.9", 1), ("-1.9", -1), ("1.5e3", 1500), ("1e-99999999999", 0), ("12e-1", 1), ("0.0", 0)]
        {
            assert_eq!(whole_part(text), Some(whole), "{text}");
        }
        assert_eq!(whole_part(&format!("7.{}", "3".repeat(60))), Some(7));
        assert_eq!(whole_part("9223372036854775807.5"), Some(i64::MAX));
        assert_eq!(whole_part("1e19"), None);
        assert_eq!(whole_part("1e99999999999"), None);
    }

    #[test]
    fn decimals_keep_their_scale() {
        for (unscaled, scale, text) in
            [(110, 2, "1.10"), (-5, 2, "-0.05"), (0, 3, "0.000"), (7, 0, "7"), (12, 2, "0.12"), (-123, 0, "-123")]
        {
            let mut out = Vec::new();
            write_decimal(&mut out, unscaled, scale);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        assert_eq!(parse_decimal("1.100", 4, 2), Ok(110));
        assert_eq!(parse_decimal(&format!("1.1{}", "0".repeat(99)), 4, 2), Ok(110));
        assert_eq!(parse_decimal(&format!("{}1.10e2", "0".repeat(99)), 5, 2), Ok(11_000));
        assert_eq!(parse_decimal("0e99999999999", 4, 2), Ok(0));
        assert_eq!(parse_decimal(&"9".repeat(38), 38, 0), Ok(10i128.pow(38) - 1));
        for bad in ["1.101", "1e-2147483648", "1e2147483648", "1e-9223372036854775808", &"9".repeat(60)] {
            assert!(parse_decimal(bad, 4, 2).is_err_and(|reason| reason.contains("does not fit")), "{bad}");
        }
        for bad in ["", ".", "1e", "e1", "--1", "1,0", " 1"] {
            assert!(parse_decimal(bad, 4, 2).is_err_and(|reason| reason.contains("no number")), "{bad}");
        }
        assert!(parse_decimal("100", 4, 2).is_err());
    }
}
