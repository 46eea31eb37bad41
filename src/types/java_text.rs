//! How Java prints numbers, because that is what ksqlDB writes wherever a DOUBLE becomes text.
//!
//! **Invariant:** the text reads back as the same double.

/// Appends what `Double.toString` of JDK 19 and later prints: shortest digits, `1.0E10`, `1.0E-5`, `NaN`, `Infinity`.
pub fn write_double(out: &mut Vec<u8>, v: f64) {
    if !v.is_finite() {
        let text = if v.is_nan() {
            "NaN"
        } else if v > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        };
        return out.extend_from_slice(text.as_bytes());
    }
    let magnitude = v.abs();
    if let Some(hundredths) = hundredths(magnitude) {
        return write_hundredths(out, v < 0.0, hundredths);
    }
    let mut buffer = ryu::Buffer::new();
    // In this range Java and ryu both write plain notation with at least one digit behind the point.
    if v == 0.0 || (1e-3..1e7).contains(&magnitude) {
        return out.extend_from_slice(buffer.format_finite(v).as_bytes());
    }
    if v < 0.0 {
        out.push(b'-');
    }
    // Java wants two digits at least, and of those the nearest: this makes a difference only for the tiniest numbers.
    let (digits, exponent) = if magnitude < 1e-300 {
        let short = parts(buffer.format_finite(magnitude));
        if short.0.len() == 1 { parts(&format!("{magnitude:.1e}")) } else { short }
    } else {
        parts(buffer.format_finite(magnitude))
    };
    out.push(digits[0]);
    out.push(b'.');
    out.extend_from_slice(if digits.len() > 1 { &digits[1..] } else { b"0" });
    out.push(b'E');
    out.extend_from_slice(itoa::Buffer::new().format(exponent).as_bytes());
}

/// The number in hundredths, if it is that many: most prices are, and need no search for the shortest digits. So few
/// digits are the only ones as short: two decimals of up to 15 digits are never the same double.
fn hundredths(magnitude: f64) -> Option<u32> {
    if !(0.01..1e7).contains(&magnitude) {
        return None;
    }
    // Less than 2^30, so nothing is cut off but the fraction.
    let nearest = (magnitude * 100.0 + 0.5) as u32;
    (f64::from(nearest) / 100.0 == magnitude).then_some(nearest)
}

fn write_hundredths(out: &mut Vec<u8>, negative: bool, hundredths: u32) {
    if negative {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(hundredths / 100).as_bytes());
    let (tenth, hundredth) = ((hundredths / 10 % 10) as u8, (hundredths % 10) as u8);
    out.extend_from_slice(&[b'.', b'0' + tenth]);
    if hundredth != 0 {
        out.push(b'0' + hundredth);
    }
}

/// What [`write_double`] writes.
pub fn double_to_string(v: f64) -> String {
    let mut out = Vec::with_capacity(24);
    write_double(&mut out, v);
    out.into_iter().map(char::from).collect()
}

/// Significant digits and the decimal exponent of the first of them.
fn parts(text: &str) -> (Vec<u8>, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
    let leading = digits.iter().take_while(|d| **d == b'0').count();
    digits.drain(..leading);
    let trailing = digits.iter().rev().take_while(|d| **d == b'0').count();
    digits.truncate(digits.len() - trailing);
    let exponent = exponent.parse::<i32>().unwrap_or(0) + whole.len() as i32 - 1 - leading as i32;
    (digits, exponent)
}

#[cfg(test)]
mod tests {
    use super::double_to_string;

    #[test]
    fn prints_as_java_does() {
        for (v, text) in [
            (0.0, "0.0"),
            (-0.0, "-0.0"),
            (1.0, "1.0"),
            (100.0, "100.0"),
            (0.001, "0.001"),
            (1e-4, "1.0E-4"),
            (1e-5, "1.0E-5"),
            (9_999_999.0, "9999999.0"),
            (1e7, "1.0E7"),
            (12_345_670.0, "1.234567E7"),
            (1e10, "1.0E10"),
            (-123_456_789_012.5, "-1.234567890125E11"),
            (1e16, "1.0E16"),
            (1e23, "1.0E23"),
            (2e-3, "0.002"),
            (1.1, "1.1"),
            (f64::MAX, "1.7976931348623157E308"),
            (f64::MIN_POSITIVE, "2.2250738585072014E-308"),
            (5e-324, "4.9E-324"),
            (1e-323, "9.9E-324"),
            (f64::NAN, "NaN"),
            (f64::INFINITY, "Infinity"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(double_to_string(v), text);
        }
    }

    proptest::proptest! {
        #[test]
        fn reads_back(bits: u64) {
            let v = f64::from_bits(bits);
            if v.is_finite() {
                proptest::prop_assert_eq!(double_to_string(v).parse::<f64>().expect("a number").to_bits(), bits);
            }
        }

        /// Prices, and what sums and products make of them.
        #[test]
        fn prices_have_the_shortest_digits(cents in -1_000_000_000..1_000_000_000_i32, factor in 1..20_i32) {
            let price = f64::from(cents) / 100.0;
            for v in [price, price * f64::from(factor), price + 0.1, f64::from(cents) * 0.01] {
                if v == 0.0 || (1e-3..1e7).contains(&v.abs()) {
                    let mut shortest = ryu::Buffer::new();
                    proptest::prop_assert_eq!(double_to_string(v), shortest.format(v));
                }
            }
        }
    }
}
