//! [`JsonPath`]: finding a value in JSON text without building a document, and JSON text as people want it.
//!
//! **Invariant:** every step returns a slice of the text it was given; nothing but the result is copied.

use std::fmt;

use indexmap::IndexMap;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// A compiled path: `$.items[0]['a name']`.
#[derive(Debug, PartialEq)]
pub(super) struct JsonPath(Vec<String>);

impl JsonPath {
    /// Reads a path.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let invalid = |why: &str| format!("invalid JSON path '{text}': {why}");
        let mut rest = text.trim().strip_prefix('$').ok_or_else(|| invalid("it must begin with $"))?;
        let mut steps = Vec::new();
        while !rest.is_empty() {
            if let Some(after) = rest.strip_prefix('.') {
                let end = after.find(['.', '[']).unwrap_or(after.len());
                if end == 0 {
                    return Err(invalid("a name must follow the dot"));
                }
                steps.push(after[..end].to_owned());
                rest = &after[end..];
            } else if let Some(after) = rest.strip_prefix('[') {
                let quote = after.chars().next().filter(|c| matches!(c, '\'' | '"'));
                let (step, after) = match quote {
                    Some(quote) => {
                        let (step, after) =
                            after[1..].split_once(quote).ok_or_else(|| invalid("a quote is not closed"))?;
                        (step, after.strip_prefix(']').ok_or_else(|| invalid("a bracket is not closed"))?)
                    }
                    None => after.split_once(']').ok_or_else(|| invalid("a bracket is not closed"))?,
                };
                steps.push(step.to_owned());
                rest = after;
            } else {
                return Err(invalid("a dot or a bracket must follow"));
            }
        }
        Ok(Self(steps))
    }

    /// What stands at the path.
    pub(super) fn extract(&self, text: &str) -> Result<Option<String>, String> {
        if self.0.is_empty() {
            return first_value(text)?.map(|raw| plain_text(raw.get())).transpose();
        }
        let mut at = text;
        for step in &self.0 {
            let found = match at.trim_start().as_bytes().first() {
                Some(b'{' | b'[') => Step(step).deserialize(&mut serde_json::Deserializer::from_str(at)),
                // A plain value has nothing inside, but must be one.
                _ => first_value(at).map(|_| None).map_err(serde::de::Error::custom),
            };
            match found.map_err(|e| format!("malformed JSON: {e}"))? {
                Some(raw) => at = raw.get(),
                None => return Ok(None),
            }
        }
        plain_text(at).map(Some)
    }
}

/// One step into an object or array.
struct Step<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Step<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(wanted) = map.next_key_seed(KeyIs(self.0))? {
            if wanted {
                found = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let wanted: Option<usize> = self.0.trim().parse().ok();
        let (mut found, mut at) = (None, 0);
        loop {
            if Some(at) == wanted {
                found = items.next_element()?;
                if found.is_none() {
                    return Ok(None);
                }
            } else if items.next_element::<IgnoredAny>()?.is_none() {
                return Ok(found);
            }
            at += 1;
        }
    }
}

/// Compares a key without copying it.
struct KeyIs<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// The fields of an object, in order.
pub(super) fn fields(json: &str) -> serde_json::Result<IndexMap<String, &RawValue>> {
    serde_json::Deserializer::from_str(json).deserialize_map(Fields)
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = IndexMap<String, &'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = IndexMap::new();
        while let Some((key, value)) = map.next_entry()? {
            fields.insert(key, value);
        }
        Ok(fields)
    }
}

/// The first complete value in the text; `None` if there is none at all.
pub(super) fn first_value(text: &str) -> Result<Option<&RawValue>, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<&RawValue>();
    values.next().transpose().map_err(|e| format!("malformed JSON: {e}"))
}

/// A string without quotes and escapes, anything else as compact JSON.
pub(super) fn plain_text(json: &str) -> Result<String, String> {
    if json.trim_start().starts_with('"') {
        return serde_json::from_str(json).map_err(|e| format!("malformed JSON: {e}"));
    }
    Ok(compact(json))
}

/// The JSON without white space between its tokens.
pub(super) fn compact(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if quoted {
            quoted = escaped || c != '"';
            escaped = !escaped && c == '\\';
        } else if matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        } else {
            quoted = c == '"';
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extract(text: &str, path: &str) -> Result<Option<String>, String> {
        JsonPath::parse(path)?.extract(text)
    }

    #[test]
    fn paths_find_values() -> Result<(), String> {
        let text = r#"{"a": [1.50, {"b c": "x\ty"}, [2, 3 ]], "@t": null, "a": [10]} }"#;
        assert_eq!(extract(text, "$.a[0]")?.as_deref(), Some("10"), "the last of equal keys counts");
        let text = r#"{"a": [1.50, {"b c": "x\ty"}, [2, 3 ]], "@t": null}"#;
        assert_eq!(extract(text, "$.a[0]")?.as_deref(), Some("1.50"));
        assert_eq!(extract(text, "$.a[1]['b c']")?.as_deref(), Some("x\ty"));
        assert_eq!(extract(text, "$['a'][2]")?.as_deref(), Some("[2,3]"));
        assert_eq!(extract(text, "$.@t")?.as_deref(), Some("null"));
        for nothing in ["$.b", "$.a[-1]", "$.a[9]", "$.a.b", "$.a[0].c"] {
            assert_eq!(extract(text, nothing)?, None, "{nothing}");
        }
        assert_eq!(extract("", "$.a")?, None);
        assert_eq!(extract(" [1, 2] ", "$")?.as_deref(), Some("[1,2]"));
        Ok(())
    }

    #[test]
    fn mistakes_are_errors() {
        for path in ["a", "$a", "$.", "$.a[0", "$['a]", "$..a"] {
            assert!(JsonPath::parse(path).is_err(), "{path}");
        }
        for text in ["{", r#"{"a" 1}"#, "abc", r#"{"a":1"#, "[1,"] {
            assert!(extract(text, "$.a").is_err(), "{text}");
        }
    }

    #[test]
    fn compact_leaves_strings_alone() {
        assert_eq!(compact("{ \"a b\" : [ 1 , \"\\\" c\" ] }"), "{\"a b\":[1,\"\\\" c\"]}");
    }
}
