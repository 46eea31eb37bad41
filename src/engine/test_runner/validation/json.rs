//! [`Json`]: JSON whose numbers keep their text, as a DECIMAL that goes in must not pass through a double.

use jiter::{Jiter, Peek};

use crate::error::{Error, Result};

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true`, `false`
    Bool(bool),
    /// A number as it was written.
    Number(String),
    /// A double of a typed format: compared by value, not by its digits.
    Double(f64),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Json>),
    /// Fields in their order.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// Reads a whole document.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let mut reader = Jiter::new(bytes).with_allow_inf_nan();
        let place = |reader: &Jiter<'_>, reason: String| {
            Error::data(format!("no JSON at byte {}: {reason}", reader.current_index()))
        };
        let peek = reader.peek().map_err(|e| Error::data(format!("no JSON: {e:?}")))?;
        let value = read(&mut reader, peek).map_err(|e| place(&reader, e))?;
        reader.finish().map_err(|e| Error::data(format!("no JSON: {e:?}")))?;
        Ok(value)
    }

    /// The field of that name.
    pub fn get(&self, name: &str) -> Option<&Self> {
        match self {
            Self::Object(fields) => fields.iter().rev().find(|(field, _)| field == name).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, when it is a whole one.
    pub fn as_i64(&self) -> Option<i64> {
        match self {
            Self::Number(text) => text.parse().ok(),
            _ => None,
        }
    }

    /// The items of a list; none when it is something else.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    /// The text that stands for a scalar: a string's without quotes.
    pub fn plain(&self) -> String {
        match self {
            Self::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// Compact JSON text.
impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(text) => f.write_str(text),
            Self::Double(v) => f.write_str(&crate::types::java_text::double_to_string(*v)),
            Self::String(text) => f.write_str(&quoted(text)),
            Self::Array(items) => {
                f.write_str("[")?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i == 0 { "" } else { "," })?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (i, (name, value)) in fields.iter().enumerate() {
                    write!(f, "{}{}:{value}", if i == 0 { "" } else { "," }, quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn read(reader: &mut Jiter<'_>, peek: Peek) -> Result<Json, String> {
    let failed = |e: jiter::JiterError| e.error_type.to_string();
    Ok(match peek {
        Peek::Null => {
            reader.known_null().map_err(failed)?;
            Json::Null
        }
        Peek::True | Peek::False => Json::Bool(reader.known_bool(peek).map_err(failed)?),
        Peek::String => Json::String(reader.known_str().map_err(failed)?.to_owned()),
        Peek::Array => {
            let mut items = Vec::new();
            let mut next = reader.known_array().map_err(failed)?;
            while let Some(peek) = next {
                items.push(read(reader, peek)?);
                next = reader.array_step().map_err(failed)?;
            }
            Json::Array(items)
        }
        Peek::Object => {
            let mut fields = Vec::new();
            let mut next = reader.known_object().map_err(failed)?.map(str::to_owned);
            while let Some(name) = next {
                let peek = reader.peek().map_err(failed)?;
                fields.push((name, read(reader, peek)?));
                next = reader.next_key().map_err(failed)?.map(str::to_owned);
            }
            Json::Object(fields)
        }
        number => {
            let bytes = reader.known_number_bytes(number).map_err(failed)?;
            Json::Number(String::from_utf8_lossy(bytes).into_owned())
        }
    })
}
