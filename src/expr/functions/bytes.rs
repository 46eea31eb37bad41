//! Bytes: text encodings, numbers in bytes, digests and UUIDs.
//!
//! > KSQL: encodings are `hex`, `utf8`, `ascii` and `base64`; bytes that an encoding cannot show become U+FFFD.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};

use super::cell::{View, string};
use super::declare::Function;
use crate::types::Value;

const BYTES: &str = "BYTES";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let from_bytes = |name, description, example| Function::scalar(name, BYTES, description).example(example);
    vec![
        Function::scalar(
            "TO_BYTES",
            BYTES,
            "The bytes that the text stands for in an encoding: hex, utf8, ascii or base64. NULL if an argument is; text that \
             does not fit and unknown encodings are errors.",
        )
        .example("TO_BYTES('6869', 'hex')")
        .strict("(text STRING, encoding STRING) -> BYTES", |a| decode(a[0].text(), a[1].text()).map(Value::Bytes)),
        Function::scalar(
            "FROM_BYTES",
            BYTES,
            "The bytes as text in an encoding: hex, utf8, ascii or base64. NULL if an argument is; unknown encodings are an \
             error.",
        )
        .example("FROM_BYTES(TO_BYTES('hi', 'utf8'), 'hex') -> '6869'")
        .strict("(bytes BYTES, encoding STRING) -> STRING", |a| string(encode(a[0].blob(), a[1].text(), true)?)),
        Function::scalar(
            "ENCODE",
            "STRING",
            "Text in one encoding rewritten in another: hex, utf8, ascii or base64. NULL if an argument is; text that does not \
             fit and unknown encodings are errors.",
        )
        .example("ENCODE('6869', 'hex', 'utf8') -> 'hi'")
        .strict("(text STRING, from STRING, to STRING) -> STRING", |a| {
            string(encode(&decode(a[0].text(), a[1].text())?, a[2].text(), false)?)
        }),
        from_bytes(
            "INT_FROM_BYTES",
            "The INT in four bytes, BIG_ENDIAN unless LITTLE_ENDIAN is said. NULL if an argument is; other lengths are an error.",
            "INT_FROM_BYTES(TO_BYTES('00000102', 'hex')) -> 258",
        )
        .strict("(bytes BYTES) -> INT", |a| Ok(Value::Int(i32::from_be_bytes(fixed(a)?))))
        .strict("(bytes BYTES, order STRING) -> INT", |a| Ok(Value::Int(i32::from_be_bytes(fixed(a)?)))),
        from_bytes(
            "BIGINT_FROM_BYTES",
            "The BIGINT in eight bytes, BIG_ENDIAN unless LITTLE_ENDIAN is said. NULL if an argument is; other lengths are an \
             error.",
            "BIGINT_FROM_BYTES(TO_BYTES('0000000000000001', 'hex')) -> 1",
        )
        .strict("(bytes BYTES) -> BIGINT", |a| Ok(Value::BigInt(i64::from_be_bytes(fixed(a)?))))
        .strict("(bytes BYTES, order STRING) -> BIGINT", |a| Ok(Value::BigInt(i64::from_be_bytes(fixed(a)?)))),
        from_bytes(
            "DOUBLE_FROM_BYTES",
            "The DOUBLE in eight bytes, BIG_ENDIAN unless LITTLE_ENDIAN is said. NULL if an argument is; other lengths are an \
             error.",
            "DOUBLE_FROM_BYTES(TO_BYTES('3ff0000000000000', 'hex')) -> 1.0",
        )
        .strict("(bytes BYTES) -> DOUBLE", |a| Ok(Value::Double(f64::from_be_bytes(fixed(a)?))))
        .strict("(bytes BYTES, order STRING) -> DOUBLE", |a| Ok(Value::Double(f64::from_be_bytes(fixed(a)?)))),
        Function::scalar("MD5", "STRING", "The MD5 digest of the text's UTF-8 bytes, in hexadecimal. NULL for NULL.")
            .example("MD5('') -> 'd41d8cd98f00b204e9800998ecf8427e'")
            .strict("(text STRING) -> STRING", |a| string(hex::encode(Md5::digest(a[0].text())))),
        Function::scalar("UUID", "STRING", "A new random UUID, or the one in 16 bytes. NULL for NULL; other lengths are an error.")
            .volatile()
            .example("UUID() -> 'e1ab9ed7-3c2b-4c4e-8a2b-0d5e4d1c2b3a'")
            .rows_with("() -> STRING", |call| {
                let env = call.env.clone();
                Box::new(move |_| {
                    let bits = (u128::from(env.next_bits()) << 64) | u128::from(env.next_bits());
                    string(uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid().to_string())
                })
            })
            .strict("(bytes BYTES) -> STRING", |a| {
                let uuid = uuid::Uuid::from_slice(a[0].blob()).map_err(|_| "a UUID has 16 bytes")?;
                string(uuid.to_string())
            }),
    ]
}

fn unknown<T>(encoding: &str) -> Result<T, String> {
    Err(format!("unknown encoding '{encoding}'; there are hex, utf8, ascii and base64"))
}

fn decode(text: &str, encoding: &str) -> Result<Vec<u8>, String> {
    match encoding.to_ascii_lowercase().as_str() {
        "hex" => decode_hex(text),
        "utf8" => Ok(text.as_bytes().to_vec()),
        "ascii" => Ok(text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect()),
        "base64" => STANDARD.decode(text).map_err(|e| format!("not base64: {e}")),
        _ => unknown(encoding),
    }
}

/// > KSQL: also `0x…`, which may have an odd number of digits, and `X'…'`.
fn decode_hex(text: &str) -> Result<Vec<u8>, String> {
    let quoted = text.strip_prefix(['x', 'X']).and_then(|rest| rest.strip_prefix('\''));
    let digits = match (quoted, text.strip_prefix("0x")) {
        (Some(rest), _) => {
            rest.strip_suffix('\'').ok_or("a hexadecimal text begins but does not end with a quote")?.to_owned()
        }
        (None, Some(rest)) if rest.len() % 2 == 1 => format!("0{rest}"),
        (None, Some(rest)) => rest.to_owned(),
        (None, None) => text.to_owned(),
    };
    hex::decode(&digits).map_err(|e| format!("not hexadecimal: {e}"))
}

/// > KSQL: FROM_BYTES writes hexadecimal digits in capitals, ENCODE in small letters.
fn encode(bytes: &[u8], encoding: &str, capitals: bool) -> Result<String, String> {
    Ok(match encoding.to_ascii_lowercase().as_str() {
        "hex" if capitals => hex::encode_upper(bytes),
        "hex" => hex::encode(bytes),
        "utf8" => String::from_utf8_lossy(bytes).into_owned(),
        "ascii" => bytes.iter().map(|b| if b.is_ascii() { char::from(*b) } else { '\u{fffd}' }).collect(),
        "base64" => STANDARD.encode(bytes),
        _ => return unknown(encoding),
    })
}

/// The bytes of a number, the highest first.
fn fixed<const N: usize>(args: &[Value]) -> Result<[u8; N], String> {
    let bytes = args[0].blob();
    let mut number: [u8; N] = bytes.try_into().map_err(|_| format!("{N} bytes are needed, not {}", bytes.len()))?;
    match args.get(1).map(|order| order.text().to_ascii_uppercase()).as_deref() {
        None | Some("BIG_ENDIAN") => {}
        Some("LITTLE_ENDIAN") => number.reverse(),
        Some(other) => return Err(format!("unknown byte order {other}; there are BIG_ENDIAN and LITTLE_ENDIAN")),
    }
    Ok(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_has_three_spellings() -> Result<(), String> {
        for text in ["4a6B", "0x4a6b", "X'4a6b'", "x'4A6B'"] {
            assert_eq!(decode_hex(text)?, b"Jk", "{text}");
        }
        assert_eq!(decode_hex("0x54a")?, [0x05, 0x4a]);
        assert_eq!(decode_hex("0x")?, b"");
        for text in ["0x0x", "X'", "x'4a", "x'4'", "4"] {
            assert!(decode_hex(text).is_err(), "{text}");
        }
        Ok(())
    }

    #[test]
    fn bytes_that_an_encoding_cannot_show_are_replaced() {
        assert_eq!(encode("é".as_bytes(), "ascii", false).as_deref(), Ok("\u{fffd}\u{fffd}"));
        assert!(encode(b"", "latin", false).is_err());
    }
}
