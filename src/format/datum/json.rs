//! Data as JSON text: how tests and people write and read messages of binary formats.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiter::{Jiter, JiterError, NumberAny, NumberInt, Peek};

use super::Datum;
use crate::format::json::write_string;
use crate::format::number;
use crate::types::Decimal;

impl Datum {
    /// Reads JSON. Objects are records, numbers with a fraction exact decimals where they can be.
    pub fn from_json(text: &str) -> Result<Self, String> {
        let mut jiter = Jiter::new(text.as_bytes());
        let read = |jiter: &mut Jiter<'_>| -> Result<Self, JiterError> {
            let peek = jiter.peek()?;
            let datum = value(jiter, peek)?;
            jiter.finish()?;
            Ok(datum)
        };
        read(&mut jiter).map_err(|error| format!("not valid JSON: {error}"))
    }

    /// Writes JSON: decimals with all their digits, bytes in base64, dates and times as numbers.
    pub fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write(&mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Double(v) if !v.is_finite() => write_string(out, &self.text().unwrap_or_default()),
            Self::Double(v) => number::write_double(out, *v),
            Self::String(v) => write_string(out, v),
            Self::Bytes(v) => write_string(out, &STANDARD.encode(v)),
            Self::Array(items) => {
                out.push(b'[');
                for (i, item) in items.iter().enumerate() {
                    if i > 0 {
                        out.push(b',');
                    }
                    item.write(out);
                }
                out.push(b']');
            }
            Self::Map(entries) => object(out, entries.iter().map(|(k, v)| (k.text().unwrap_or_default(), v))),
            Self::Record(fields) => object(out, fields.iter().map(|(name, v)| (name.to_string(), v))),
            scalar => out.extend_from_slice(scalar.text().unwrap_or_default().as_bytes()),
        }
    }
}

fn object<'a>(out: &mut Vec<u8>, entries: impl Iterator<Item = (String, &'a Datum)>) {
    out.push(b'{');
    for (i, (name, value)) in entries.enumerate() {
        if i > 0 {
            out.push(b',');
        }
        write_string(out, &name);
        out.push(b':');
        value.write(out);
    }
    out.push(b'}');
}

fn value(jiter: &mut Jiter<'_>, peek: Peek) -> Result<Datum, JiterError> {
    Ok(match peek {
        Peek::Null => {
            jiter.known_null()?;
            Datum::Null
        }
        Peek::True | Peek::False => Datum::Bool(jiter.known_bool(peek)?),
        Peek::String => Datum::String(jiter.known_str()?.to_owned()),
        Peek::Array => {
            let mut items = Vec::new();
            let mut step = jiter.known_array()?;
            while let Some(peek) = step {
                items.push(value(jiter, peek)?);
                step = jiter.array_step()?;
            }
            Datum::Array(items)
        }
        Peek::Object => {
            let mut fields = Vec::new();
            let mut name = jiter.known_object()?.map(str::to_owned);
            while let Some(field) = name {
                let peek = jiter.peek()?;
                fields.push((field.into(), value(jiter, peek)?));
                name = jiter.next_key()?.map(str::to_owned);
            }
            Datum::Record(fields)
        }
        _ => {
            let start = jiter.current_index();
            match jiter.known_number(peek)? {
                NumberAny::Int(NumberInt::Int(v)) => i32::try_from(v).map_or(Datum::Long(v), Datum::Int),
                other => {
                    let text = String::from_utf8_lossy(jiter.slice_to_current(start)).into_owned();
                    match (Decimal::parse(&text), other) {
                        (Some(decimal), _) => Datum::Decimal(decimal),
                        (None, NumberAny::Float(v)) => Datum::Double(v),
                        (None, NumberAny::Int(_)) => Datum::Double(text.parse().unwrap_or(f64::NAN)),
                    }
                }
            }
        }
    })
}
