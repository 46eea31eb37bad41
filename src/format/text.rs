//! Bytes of unknown format for people to read: what `PRINT` shows.

use crate::change::Payloads;

/// The format that all messages look like, as `PRINT` names it: `JSON`, `KAFKA_STRING`, `KAFKA_INT`, `KAFKA_BIGINT`,
/// `KAFKA_DOUBLE`, or `BYTES` when they look like nothing in particular.
pub fn guess(payloads: Payloads<'_>) -> &'static str {
    guess_of(|| payloads.iter().flatten())
}

/// A single message as text, in the format that it looks like.
pub fn readable(bytes: &[u8]) -> String {
    printable(guess_of(|| std::iter::once(bytes)), Some(bytes))
}

fn guess_of<'a, I: Iterator<Item = &'a [u8]>>(present: impl Fn() -> I) -> &'static str {
    if present().all(is_text) {
        let json = present().next().is_some() && present().all(is_json);
        return if json { "JSON" } else { "KAFKA_STRING" };
    }
    if present().all(|bytes| bytes.len() == 4) {
        return "KAFKA_INT";
    }
    if present().all(|bytes| bytes.len() == 8) {
        // Small integers are tiny doubles, and everyday doubles are huge integers.
        let values = || present().filter_map(|bytes| bytes.first_chunk()).map(|bytes| f64::from_be_bytes(*bytes).abs());
        // All zeros are rather integers.
        let double = values().all(|v| v == 0.0 || (1e-9..1e15).contains(&v)) && values().any(|v| v != 0.0);
        return if double { "KAFKA_DOUBLE" } else { "KAFKA_BIGINT" };
    }
    "BYTES"
}

/// A message as text, in the format that [`guess`] named; `<null>` for none, hexadecimal digits when it is no such.
pub fn printable(format: &str, bytes: Option<&[u8]>) -> String {
    let Some(bytes) = bytes else { return "<null>".to_owned() };
    let read = match format {
        "JSON" | "KAFKA_STRING" => std::str::from_utf8(bytes).ok().map(str::to_owned),
        "KAFKA_INT" => bytes.try_into().ok().map(|bytes| i32::from_be_bytes(bytes).to_string()),
        "KAFKA_BIGINT" => bytes.try_into().ok().map(|bytes| i64::from_be_bytes(bytes).to_string()),
        "KAFKA_DOUBLE" => bytes.try_into().ok().map(|bytes| {
            let mut text = Vec::new();
            super::number::write_double(&mut text, f64::from_be_bytes(bytes));
            String::from_utf8_lossy(&text).into_owned()
        }),
        _ => None,
    };
    read.unwrap_or_else(|| format!("0x{}", hex::encode(bytes)))
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| !text.chars().any(|c| c.is_control() && !c.is_whitespace()))
}

/// An object or an array: any text of digits would be JSON otherwise.
fn is_json(bytes: &[u8]) -> bool {
    let mut jiter = jiter::Jiter::new(bytes);
    bytes.trim_ascii_start().first().is_some_and(|first| matches!(first, b'{' | b'['))
        && jiter.next_skip().is_ok()
        && jiter.finish().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Slots;

    fn guessed(messages: &[&[u8]]) -> &'static str {
        let mut slots = Slots::default();
        messages.iter().for_each(|message| slots.push(Some(message)));
        slots.push(None);
        guess(slots.view(0..slots.len()))
    }

    #[test]
    fn formats_are_told_apart() {
        assert_eq!(guessed(&[b"{\"a\": 1}", b" [1]"]), "JSON");
        assert_eq!(guessed(&[b"{\"a\": 1}", b"plain"]), "KAFKA_STRING");
        assert_eq!(guessed(&[b"12345678"]), "KAFKA_STRING");
        assert_eq!(guessed(&[&7i32.to_be_bytes(), &(-1i32).to_be_bytes()]), "KAFKA_INT");
        assert_eq!(guessed(&[&7i64.to_be_bytes(), &1_700_000_000_000i64.to_be_bytes()]), "KAFKA_BIGINT");
        assert_eq!(guessed(&[&1.5f64.to_be_bytes(), &(-0f64).to_be_bytes()]), "KAFKA_DOUBLE");
        assert_eq!(guessed(&[&[0xff, 0], b"a"]), "BYTES");
        assert_eq!(guessed(&[]), "KAFKA_STRING");
    }

    #[test]
    fn everything_prints() {
        assert_eq!(printable("JSON", Some(b"{}")), "{}");
        assert_eq!(printable("KAFKA_INT", Some(&7i32.to_be_bytes())), "7");
        assert_eq!(printable("KAFKA_DOUBLE", Some(&1e10f64.to_be_bytes())), "1.0E10");
        assert_eq!(printable("KAFKA_INT", Some(b"x")), "0x78");
        assert_eq!(printable("BYTES", Some(&[0xca, 0xfe])), "0xcafe");
        assert_eq!(printable("JSON", None), "<null>");
        assert_eq!(readable(b"plain"), "plain");
        assert_eq!(readable(&0i64.to_be_bytes()), "0");
        assert_eq!(readable(&[0; 3]), "0x000000");
    }
}
