//! Numbers as text, as Java reads and writes them.

use crate::types::Decimal;

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

/// The digits of `text` at `scale`, when that is exact and fits into `precision` digits.
pub(super) fn parse_decimal(text: &str, precision: u8, scale: u8) -> Result<i128, String> {
    let decimal = Decimal::parse(text).ok_or_else(|| format!("`{}` is no number", clip(text)))?;
    let refusal = || format!("{} does not fit DECIMAL({precision}, {scale})", clip(text));
    let unscaled = decimal.rescaled(scale).ok_or_else(refusal)?;
    let limit = 10u128.checked_pow(u32::from(precision)).unwrap_or(u128::MAX);
    if unscaled.unsigned_abs() < limit { Ok(unscaled) } else { Err(refusal()) }
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

/// Appends `value` as Java's `Double.toString` (JDK 19 and later) writes it.
pub(super) fn write_double(out: &mut Vec<u8>, value: f64) {
    if value.is_nan() {
        return out.extend_from_slice(b"NaN");
    }
    if value.is_sign_negative() {
        out.push(b'-');
    }
    let value = value.abs();
    if value.is_infinite() {
        return out.extend_from_slice(b"Infinity");
    }
    if value == 0.0 {
        return out.extend_from_slice(b"0.0");
    }
    // ryu's shortest digits; it writes 0.00001..1e16 without an exponent, Java 0.001..1e7.
    let mut buffer = ryu::Buffer::new();
    let text = buffer.format_finite(value).as_bytes();
    if (1e-3..1e7).contains(&value) {
        return out.extend_from_slice(text);
    }
    let mark = text.iter().position(|b| *b == b'e').unwrap_or(text.len());
    let exponent: i32 =
        text.get(mark + 1..).and_then(|e| std::str::from_utf8(e).ok()).and_then(|e| e.parse().ok()).unwrap_or(0);
    let point = text[..mark].iter().position(|b| *b == b'.').unwrap_or(mark);
    let all: Vec<u8> = text[..mark].iter().copied().filter(|b| *b != b'.').collect();
    let leading = all.iter().take_while(|b| **b == b'0').count();
    let trailing = all.iter().rev().take_while(|b| **b == b'0').count();
    let digits = &all[leading..all.len() - trailing];
    // value = 0.DIGITS × 10^place
    let place = point as i32 - leading as i32 + exponent;
    out.push(digits[0]);
    out.push(b'.');
    out.extend_from_slice(if digits.len() > 1 { &digits[1..] } else { b"0" });
    out.push(b'E');
    write_long(out, i64::from(place) - 1);
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
    fn doubles_print_as_java_prints_them() {
        for (value, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (123456.0, "123456.0"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (1.234567e7, "1.234567E7"),
            (1e10, "1.0E10"),
            (0.001, "0.001"),
            (0.0012, "0.0012"),
            (0.00001, "1.0E-5"),
            (-0.000123, "-1.23E-4"),
            (654.321, "654.321"),
            (1.7976931348623157e308, "1.7976931348623157E308"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            let mut out = Vec::new();
            write_double(&mut out, value);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
    }

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
    fn decimals_keep_their_scale() {
        for (unscaled, scale, text) in
            [(110, 2, "1.10"), (-5, 2, "-0.05"), (0, 3, "0.000"), (7, 0, "7"), (12, 2, "0.12"), (-123, 0, "-123")]
        {
            let mut out = Vec::new();
            write_decimal(&mut out, unscaled, scale);
            assert_eq!(String::from_utf8_lossy(&out), text);
        }
        assert_eq!(parse_decimal("1.100", 4, 2), Ok(110));
        assert!(parse_decimal("1.101", 4, 2).is_err());
        assert!(parse_decimal("100", 4, 2).is_err());
    }
}
