//! JSON as text: strings with their escapes, and any value as compact JSON (what a STRING column holds of an object).

use jiter::{Jiter, Peek};

use super::coerce::{Fault, Outcome};
use crate::format::number;

/// How deep values may nest that are kept as text.
const DEPTH: usize = 200;

/// Appends a JSON string: only what must be escaped is, non-ASCII characters stay as they are.
pub(crate) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut from = 0;
    for (i, byte) in bytes.iter().enumerate() {
        if *byte >= 0x20 && *byte != b'"' && *byte != b'\\' {
            continue;
        }
        out.extend_from_slice(&bytes[from..i]);
        from = i + 1;
        match byte {
            b'"' => out.extend_from_slice(b"\\\""),
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0C => out.extend_from_slice(b"\\f"),
            other => {
                const HEX: &[u8; 16] = b"0123456789ABCDEF";
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[HEX[usize::from(other >> 4)], HEX[usize::from(other & 15)]]);
            }
        }
    }
    out.extend_from_slice(&bytes[from..]);
    out.push(b'"');
}

/// Appends the text of a value that is no string: compact JSON, numbers as Java prints them.
pub(super) fn write_text(jiter: &mut Jiter<'_>, peek: Peek, out: &mut Vec<u8>) -> Outcome<()> {
    nested(jiter, peek, out, DEPTH)
}

fn nested(jiter: &mut Jiter<'_>, peek: Peek, out: &mut Vec<u8>, depth: usize) -> Outcome<()> {
    match peek {
        Peek::Null => {
            jiter.known_null()?;
            out.extend_from_slice(b"null");
        }
        Peek::True | Peek::False => {
            out.extend_from_slice(if jiter.known_bool(peek)? { b"true" } else { b"false" });
        }
        Peek::String => write_string(out, jiter.known_str()?),
        Peek::Array | Peek::Object if depth == 0 => return Err(Fault::new("nested too deeply")),
        Peek::Array => {
            out.push(b'[');
            let mut step = jiter.known_array()?;
            while let Some(peek) = step {
                nested(jiter, peek, out, depth - 1)?;
                step = jiter.array_step()?;
                if step.is_some() {
                    out.push(b',');
                }
            }
            out.push(b']');
        }
        Peek::Object => object(jiter, out, depth - 1)?,
        number if number.is_num() => {
            let text = String::from_utf8_lossy(jiter.known_number_bytes(number)?);
            out.extend_from_slice(number::java_number_text(&text).as_bytes());
        }
        other => jiter.known_skip(other)?,
    }
    Ok(())
}

/// Of a name that occurs twice the last value is kept, in the first one's place.
fn object(jiter: &mut Jiter<'_>, out: &mut Vec<u8>, depth: usize) -> Outcome<()> {
    let mut entries: indexmap::IndexMap<String, Vec<u8>> = indexmap::IndexMap::new();
    let mut name = jiter.known_object()?.map(str::to_owned);
    while let Some(key) = name {
        let mut value = Vec::new();
        let peek = jiter.peek()?;
        nested(jiter, peek, &mut value, depth)?;
        entries.insert(key, value);
        name = jiter.next_key()?.map(str::to_owned);
    }
    out.push(b'{');
    for (i, (key, value)) in entries.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, key);
        out.push(b':');
        out.extend_from_slice(value);
    }
    out.push(b'}');
    Ok(())
}
