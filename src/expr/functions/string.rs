//! Text, and those text functions that also work on bytes.
//!
//! > KSQL: positions count from 1 and lengths are in UTF-16 code units, as Java's; NULL arguments make NULL except for
//! > CONCAT and CONCAT_WS, which leave them out.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringArray, StringBuilder};

use super::cell::{Cell, View, string};
use super::datafusion::through;
use super::declare::{ColumnFn, Function};
use crate::types::Value;

const STRING: &str = "STRING";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    use datafusion::functions::string as df;
    vec![
        Function::scalar("UCASE", STRING, "The text in capital letters. NULL for NULL.")
            .alias("UPPER")
            .example("UCASE('abc') -> 'ABC'")
            .columns("(text STRING) -> STRING", |call| through(df::upper(), call)),
        Function::scalar("LCASE", STRING, "The text in small letters. NULL for NULL.")
            .alias("LOWER")
            .example("LCASE('ABC') -> 'abc'")
            .columns("(text STRING) -> STRING", |call| through(df::lower(), call)),
        Function::scalar("TRIM", STRING, "The text without white space at its ends. NULL for NULL.")
            .example("TRIM('  a b ') -> 'a b'")
            // Java's trim: everything up to and including the blank.
            .columns("(text STRING) -> STRING", |_| {
                text_column(|text, out| out.push_str(text.trim_matches(|c| c <= ' ')))
            }),
        Function::scalar(
            "LEN",
            STRING,
            "How many UTF-16 code units the text, or how many bytes the bytes have. \
             NULL for NULL.",
        )
        .alias("LENGTH")
        .example("LEN('stream') -> 6")
        .columns("(text STRING) -> INT", |_| length())
        .strict("(bytes BYTES) -> INT", |a| Ok(Value::Int(a[0].blob().len() as i32))),
        Function::scalar(
            "SUBSTRING",
            STRING,
            "The text from position `from` on, at most `length` long. Positions count from 1, negative ones \
             from the end. Empty when it starts behind the end; NULL if an argument is.",
        )
        .alias("SUBSTR")
        .example("SUBSTRING('stream', 2, 3) -> 'tre'")
        .columns("(text STRING, from INT) -> STRING", |_| substring())
        .columns("(text STRING, from INT, length INT) -> STRING", |_| substring())
        .strict("(bytes BYTES, from INT) -> BYTES", subbytes)
        .strict("(bytes BYTES, from INT, length INT) -> BYTES", subbytes),
        Function::scalar("CONCAT", STRING, "All arguments joined; NULLs are left out.")
            .example("CONCAT('a', NULL, 'b') -> 'ab'")
            .columns("(texts STRING...) -> STRING", |_| concat())
            .rows("(parts BYTES...) -> BYTES", |a| {
                Ok(Value::Bytes(a.iter().flat_map(|part| part.blob()).copied().collect()))
            }),
        Function::scalar(
            "CONCAT_WS",
            STRING,
            "All arguments after the first, joined with the first between them. NULLs are left out; NULL if the \
             separator is.",
        )
        .example("CONCAT_WS('-', 'a', NULL, 'b') -> 'a-b'")
        .rows("(separator STRING, texts STRING...) -> STRING", |a| {
            if a[0].is_null() {
                return Ok(Value::Null);
            }
            string(a[1..].iter().filter_map(Value::as_str).collect::<Vec<_>>().join(a[0].text()))
        })
        .rows("(separator BYTES, parts BYTES...) -> BYTES", |a| {
            if a[0].is_null() {
                return Ok(Value::Null);
            }
            let parts: Vec<_> = a[1..].iter().filter(|part| !part.is_null()).map(View::blob).collect();
            Ok(Value::Bytes(parts.join(a[0].blob())))
        }),
        Function::scalar("REPLACE", STRING, "The text with every `old` replaced by `new`. NULL if an argument is.")
            .example("REPLACE('up and up', 'up', 'on') -> 'on and on'")
            .strict("(text STRING, old STRING, new STRING) -> STRING", |a| {
                string(a[0].text().replace(a[1].text(), a[2].text()))
            }),
        Function::scalar(
            "INSTR",
            STRING,
            "The position (from 1) at which `part` stands in the text, 0 if nowhere. The search starts at \
             `from`, backwards from the end when negative, and takes the given occurrence. NULL if an \
             argument is.",
        )
        .example("INSTR('banana', 'an', 3) -> 4")
        .strict("(text STRING, part STRING) -> INT", |a| instr(a[0].text(), a[1].text(), 1, 1))
        .strict("(text STRING, part STRING, from INT) -> INT", |a| instr(a[0].text(), a[1].text(), a[2].int(), 1))
        .strict("(text STRING, part STRING, from INT, occurrence INT) -> INT", |a| {
            instr(a[0].text(), a[1].text(), a[2].int(), a[3].int())
        }),
        pad(
            "LPAD",
            "The text or bytes made `length` long: filled up on the left with the padding, or cut on the \
             right. NULL if an argument is, the length is negative or the padding empty; lengths beyond a \
             million are an error.",
            "LPAD('7', 3, '0') -> '007'",
        )
        .strict("(text STRING, length INT, padding STRING) -> STRING", |a| pad_text(a, true))
        .strict("(bytes BYTES, length INT, padding BYTES) -> BYTES", |a| pad_bytes(a, true)),
        pad(
            "RPAD",
            "The text or bytes made `length` long: filled up on the right with the padding, or cut \
             there. NULL if an argument is, the length is negative or the padding empty; lengths beyond a \
             million are an error.",
            "RPAD('7', 3, '0') -> '700'",
        )
        .strict("(text STRING, length INT, padding STRING) -> STRING", |a| pad_text(a, false))
        .strict("(bytes BYTES, length INT, padding BYTES) -> BYTES", |a| pad_bytes(a, false)),
        Function::scalar(
            "SPLIT",
            STRING,
            "The pieces between the delimiters; the single characters or bytes when the delimiter is empty. \
             NULL if an argument is.",
        )
        .example("SPLIT('a,b', ',') -> ['a', 'b']")
        .strict("(text STRING, delimiter STRING) -> ARRAY<STRING>", |a| Ok(split_text(a[0].text(), a[1].text())))
        .strict("(bytes BYTES, delimiter BYTES) -> ARRAY<BYTES>", |a| Ok(split_bytes(a[0].blob(), a[1].blob()))),
        Function::scalar(
            "SPLIT_TO_MAP",
            STRING,
            "Reads `key value` pairs: entries are separated by the second argument, keys from values by the \
             third. Pieces without a key separator are left out, of equal keys the last wins. NULL if an \
             argument is; empty delimiters are an error.",
        )
        .example("SPLIT_TO_MAP('a:1,b:2', ',', ':') -> {a=1, b=2}")
        .strict("(text STRING, entries STRING, keys STRING) -> MAP<STRING, STRING>", split_to_map),
        Function::scalar(
            "INITCAP",
            STRING,
            "Every word with a capital first letter and small others; words are separated by white space. NULL \
                 for NULL.",
        )
        .example("INITCAP('upper RIVER') -> 'Upper River'")
        .columns("(text STRING) -> STRING", |_| text_column(initcap)),
        Function::scalar(
            "CHR",
            STRING,
            "The character with this code point, or written as `\\uXXXX`. NULL for \
             NULL and for codes that are no character.",
        )
        .example("CHR(65) -> 'A'")
        .strict("(code INT) -> STRING", |a| {
            let code = u32::try_from(a[0].int()).ok().and_then(char::from_u32);
            Ok(code.map_or(Value::Null, |c| Value::String(c.into())))
        })
        .strict("(code STRING) -> STRING", |a| chr_of_escape(a[0].text())),
        Function::scalar("ELT", STRING, "The n-th of the following texts, counted from 1; NULL when there is none.")
            .example("ELT(2, 'a', 'b') -> 'b'")
            .rows("(n INT, texts STRING...) -> STRING", |a| {
                let n = usize::try_from(a[0].int()).unwrap_or(0);
                Ok(if n == 0 { Value::Null } else { a.get(n).cloned().unwrap_or(Value::Null) })
            }),
        Function::scalar(
            "FIELD",
            STRING,
            "Which of the following texts, counted from 1, equals the first; 0 for \
             none and for NULL.",
        )
        .example("FIELD('b', 'a', 'b') -> 2")
        .rows("(text STRING, texts STRING...) -> INT", |a| {
            let at = a[1..].iter().position(|text| !a[0].is_null() && *text == a[0]);
            Ok(Value::Int(at.map_or(0, |at| at as i32 + 1)))
        }),
    ]
}

fn pad(name: &'static str, description: &'static str, example: &'static str) -> Function {
    Function::scalar(name, STRING, description).example(example)
}

/// Text to text; `f` appends to the column's buffer.
fn text_column(f: fn(&str, &mut String)) -> ColumnFn {
    Box::new(move |args, rows, _| {
        let texts = args[0].as_string::<i32>();
        let mut builder = StringBuilder::with_capacity(rows, texts.values().len());
        let mut buffer = String::new();
        for text in texts {
            match text {
                Some(text) => {
                    buffer.clear();
                    f(text, &mut buffer);
                    builder.append_value(&buffer);
                }
                None => builder.append_null(),
            }
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    })
}

fn length() -> ColumnFn {
    Box::new(|args, _, _| {
        let lengths: Int32Array = args[0].as_string::<i32>().iter().map(|text| text.map(utf16_len)).collect();
        Ok(Arc::new(lengths) as ArrayRef)
    })
}

/// Length in UTF-16 code units.
fn utf16_len(text: &str) -> i32 {
    if text.is_ascii() { text.len() as i32 } else { text.encode_utf16().count() as i32 }
}

fn concat() -> ColumnFn {
    Box::new(|args, rows, _| {
        let texts: Vec<&StringArray> = args.iter().map(|arg| arg.as_string::<i32>()).collect();
        let bytes = texts.iter().map(|text| text.values().len()).sum();
        let mut builder = StringBuilder::with_capacity(rows, bytes);
        let mut buffer = String::new();
        for row in 0..rows {
            buffer.clear();
            for text in texts.iter().filter(|text| text.is_valid(row)) {
                buffer.push_str(text.value(row));
            }
            builder.append_value(&buffer);
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    })
}

fn substring() -> ColumnFn {
    use arrow::datatypes::Int32Type;
    Box::new(|args, rows, _| {
        let texts = args[0].as_string::<i32>();
        let froms = args[1].as_primitive::<Int32Type>();
        let lengths = args.get(2).map(|arg| arg.as_primitive::<Int32Type>());
        let mut builder = StringBuilder::with_capacity(rows, texts.values().len());
        for row in 0..rows {
            if texts.is_null(row) || froms.is_null(row) || lengths.is_some_and(|l| l.is_null(row)) {
                builder.append_null();
                continue;
            }
            let (text, from) = (texts.value(row), i64::from(froms.value(row)));
            let length = lengths.map(|l| i64::from(l.value(row)));
            if text.is_ascii() {
                let (start, end) = slice_bounds(text.len(), from, length);
                builder.append_value(&text[start..end]);
            } else {
                let units: Vec<u16> = text.encode_utf16().collect();
                let (start, end) = slice_bounds(units.len(), from, length);
                builder.append_value(String::from_utf16_lossy(&units[start..end]));
            }
        }
        Ok(Arc::new(builder.finish()) as ArrayRef)
    })
}

/// Where a part that starts at `from` (1-based, negative from the end) starts and ends.
///
/// > KSQL: position 0 means 1, and a negative one before the start means the start.
fn slice_bounds(len: usize, from: i64, length: Option<i64>) -> (usize, usize) {
    let len = len as i64;
    let start = if from < 0 { (len + from).max(0) } else { (from - 1).clamp(0, len) };
    let end = length.map_or(len, |length| start.saturating_add(length.max(0)).min(len));
    (start as usize, end as usize)
}

fn subbytes(a: &[Value]) -> Cell {
    let bytes = a[0].blob();
    let (start, end) = slice_bounds(bytes.len(), a[1].int(), a.get(2).map(View::int));
    Ok(Value::Bytes(bytes[start..end].to_vec()))
}

fn instr(text: &str, part: &str, from: i64, occurrence: i64) -> Cell {
    let (text, part): (Vec<u16>, Vec<u16>) = (text.encode_utf16().collect(), part.encode_utf16().collect());
    let len = text.len() as i64;
    let Ok(skip) = usize::try_from(occurrence - 1) else { return Ok(Value::Int(0)) };
    if from == 0 || from.abs() > len {
        return Ok(Value::Int(0));
    }
    let at = |at: &i64| text[*at as usize..].starts_with(&part);
    let found =
        if from > 0 { (from - 1..=len).filter(at).nth(skip) } else { (0..=len + from).rev().filter(at).nth(skip) };
    Ok(Value::Int(found.map_or(0, |at| at as i32 + 1)))
}

/// Longest text that is made by padding; more is taken for a mistake rather than filling the memory.
const PAD_LIMIT: usize = 1 << 20;

/// Nothing may be padded without padding, or to less than nothing.
fn pad_length(length: i64, padding: usize) -> Result<Option<usize>, String> {
    match usize::try_from(length).ok().filter(|_| padding > 0) {
        Some(length) if length > PAD_LIMIT => Err(format!("a length of {length} is too much")),
        length => Ok(length),
    }
}

fn pad_text(a: &[Value], left: bool) -> Cell {
    let text: Vec<u16> = a[0].text().encode_utf16().collect();
    let padding: Vec<u16> = a[2].text().encode_utf16().collect();
    let Some(length) = pad_length(a[1].int(), padding.len())? else { return Ok(Value::Null) };
    string(String::from_utf16_lossy(&padded(&text, length, &padding, left)))
}

fn pad_bytes(a: &[Value], left: bool) -> Cell {
    let Some(length) = pad_length(a[1].int(), a[2].blob().len())? else { return Ok(Value::Null) };
    Ok(Value::Bytes(padded(a[0].blob(), length, a[2].blob(), left)))
}

fn padded<T: Copy>(text: &[T], length: usize, padding: &[T], left: bool) -> Vec<T> {
    let kept = text.iter().take(length);
    let fill = padding.iter().cycle().take(length.saturating_sub(text.len()));
    if left { fill.chain(kept).copied().collect() } else { kept.chain(fill).copied().collect() }
}

fn split_text(text: &str, delimiter: &str) -> Value {
    let texts = |parts: &mut dyn Iterator<Item = &str>| parts.map(|part| Value::String(part.to_owned())).collect();
    Value::Array(if text.is_empty() {
        vec![Value::String(String::new())]
    } else if delimiter.is_empty() {
        text.chars().map(|c| Value::String(c.into())).collect()
    } else {
        texts(&mut text.split(delimiter))
    })
}

fn split_bytes(bytes: &[u8], delimiter: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Array(vec![Value::Bytes(Vec::new())]);
    }
    if delimiter.is_empty() {
        return Value::Array(bytes.iter().map(|byte| Value::Bytes(vec![*byte])).collect());
    }
    let (mut parts, mut start, mut at) = (Vec::new(), 0, 0);
    while at < bytes.len() {
        if bytes[at..].starts_with(delimiter) {
            parts.push(Value::Bytes(bytes[start..at].to_vec()));
            at += delimiter.len();
            start = at;
        } else {
            at += 1;
        }
    }
    parts.push(Value::Bytes(bytes[start..].to_vec()));
    Value::Array(parts)
}

fn split_to_map(a: &[Value]) -> Cell {
    let (entry, key) = (a[1].text(), a[2].text());
    if entry.is_empty() || key.is_empty() {
        return Err("the delimiters must not be empty".to_owned());
    }
    let pairs = a[0].text().split(entry).filter(|piece| !piece.is_empty()).filter_map(|piece| {
        let mut parts = piece.splitn(3, key);
        Some((parts.next()?, parts.next()?))
    });
    let map: indexmap::IndexMap<&str, &str> = pairs.collect();
    Ok(Value::Map(map.into_iter().map(|(k, v)| (Value::String(k.to_owned()), Value::String(v.to_owned()))).collect()))
}

fn initcap(text: &str, out: &mut String) {
    let mut inside = false;
    for c in text.chars() {
        if inside {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        inside = !c.is_whitespace();
    }
}

/// The characters of one or more `\uXXXX` (surrogate pairs are two).
fn chr_of_escape(text: &str) -> Cell {
    let units: Option<Vec<u16>> =
        text.split("\\u").skip(1).map(|hex| u16::from_str_radix(hex, 16).ok().filter(|_| hex.len() == 4)).collect();
    let valid = text.starts_with("\\u").then_some(units).flatten();
    Ok(valid.and_then(|units| String::from_utf16(&units).ok()).map_or(Value::Null, Value::String))
}
