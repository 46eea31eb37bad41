//! Data to Avro's binary form.

use serde_json::Value as Json;

use super::schema::{Avro, Field, Node};
use crate::format::datum::{Datum, decimal_bytes, same_name};

/// Appends a value.
///
/// > KSQL: a field that the row lacks takes the schema's default, else NULL where the schema allows it; so does a NULL
/// > for a field that cannot be NULL.
pub(super) fn value(avro: &Avro, node: &Node, datum: &Datum, out: &mut Vec<u8>) -> Result<(), String> {
    let wrong = || format!("{} cannot be written as {}", datum.kind(), name(node));
    let integer = || datum.integer().ok_or_else(wrong);
    let int = || i32::try_from(integer()?).map_err(|_| format!("a number is out of range for {}", name(node)));
    match node {
        Node::Union(branches) => {
            let (at, datum) = match named_branch(avro, branches, datum) {
                Some(found) => found,
                None => (branch(avro, branches, datum).ok_or_else(wrong)?, datum),
            };
            put_long(out, at as i64);
            return value(avro, &branches[at], datum, out);
        }
        Node::Null if *datum == Datum::Null => {}
        _ if *datum == Datum::Null => return Err(format!("a null cannot be written as {}", name(node))),
        Node::Null => return Err(wrong()),
        Node::Boolean => match datum {
            Datum::Bool(v) => out.push(u8::from(*v)),
            Datum::String(text) if text == "true" || text == "false" => out.push(u8::from(text == "true")),
            _ => return Err(wrong()),
        },
        Node::Int | Node::Date | Node::TimeMillis => put_long(out, i64::from(int()?)),
        Node::Long | Node::TimestampMillis => put_long(out, integer()?),
        Node::TimeMicros | Node::TimestampMicros => {
            put_long(out, integer()?.checked_mul(1000).ok_or("a time is out of range")?);
        }
        Node::Float => out.extend_from_slice(&(datum.double().ok_or_else(wrong)? as f32).to_le_bytes()),
        Node::Double => out.extend_from_slice(&datum.double().ok_or_else(wrong)?.to_le_bytes()),
        Node::String => put_bytes(out, datum.text().ok_or_else(wrong)?.as_bytes()),
        Node::Bytes => put_bytes(out, &datum.bytes().ok_or_else(wrong)?),
        Node::Fixed(size) => {
            let bytes = datum.bytes().ok_or_else(wrong)?;
            if bytes.len() != *size {
                return Err(format!("{} bytes cannot be written as {size}", bytes.len()));
            }
            out.extend_from_slice(&bytes);
        }
        Node::Decimal(_, scale, size) => {
            let decimal = datum.decimal().ok_or_else(wrong)?;
            let unscaled = decimal.rescaled(*scale).ok_or_else(|| format!("{decimal} has more than {scale} places"))?;
            let digits = decimal_bytes(unscaled);
            match size {
                None => put_bytes(out, &digits),
                Some(size) if digits.len() <= *size => {
                    out.resize(out.len() + size - digits.len(), if unscaled < 0 { 0xff } else { 0 });
                    out.extend_from_slice(&digits);
                }
                Some(size) => return Err(format!("{decimal} does not fit {size} bytes")),
            }
        }
        Node::Enum(symbols) => {
            let text = datum.text().ok_or_else(wrong)?;
            let at = symbols.iter().position(|symbol| *symbol == text);
            put_long(out, at.ok_or_else(|| format!("{text} is no symbol of the enum"))? as i64);
        }
        Node::Array(item) => {
            let Datum::Array(items) = datum else { return Err(wrong()) };
            if !items.is_empty() {
                put_long(out, items.len() as i64);
                items.iter().try_for_each(|datum| value(avro, item, datum, out))?;
            }
            out.push(0);
        }
        Node::Map(item) => {
            let entries = datum.entries().ok_or_else(wrong)?;
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
            }
            for (key, datum) in entries {
                put_bytes(out, key.as_bytes());
                value(avro, item, datum, out)?;
            }
            out.push(0);
        }
        Node::Entries(key, item) => {
            let entries = datum.entries().ok_or_else(wrong)?;
            if !entries.is_empty() {
                put_long(out, entries.len() as i64);
            }
            for (name, datum) in entries {
                value(avro, key, &Datum::String(name), out)?;
                value(avro, item, datum, out)?;
            }
            out.push(0);
        }
        Node::Record(at) => record(avro, &avro.records[*at].fields, datum, out)?,
    }
    Ok(())
}

fn record(avro: &Avro, fields: &[Field], datum: &Datum, out: &mut Vec<u8>) -> Result<(), String> {
    let as_fields: Vec<_>;
    let given = match datum {
        Datum::Record(given) => given,
        Datum::Map(entries) => {
            as_fields = entries.iter().filter_map(|(k, v)| Some((k.text()?.into(), v.clone()))).collect();
            &as_fields
        }
        other => return Err(format!("{} is no record", other.kind())),
    };
    for (i, field) in fields.iter().enumerate() {
        let datum = match given.get(i) {
            Some((name, datum)) if *name == field.name => Some(datum),
            _ => Datum::field(given, &field.name).or_else(|| {
                let alias = |name: &str| field.aliases.iter().any(|alias| same_name(alias, name));
                given.iter().find(|(name, _)| alias(name)).map(|(_, datum)| datum)
            }),
        };
        let datum = datum.unwrap_or(&Datum::Null);
        let written = match &field.default {
            Some(default) if *datum == Datum::Null && !nullable(&field.node) => {
                value(avro, &field.node, &default_datum(default), out)
            }
            _ => value(avro, &field.node, datum, out),
        };
        written.map_err(|reason| format!("{}: {reason}", field.name))?;
    }
    Ok(())
}

pub(super) fn nullable(node: &Node) -> bool {
    matches!(node, Node::Null) || matches!(node, Node::Union(branches) if branches.contains(&Node::Null))
}

fn default_datum(default: &Json) -> Datum {
    Datum::from_json(&default.to_string()).unwrap_or(Datum::Null)
}

/// The branch that a record of one value names, where there are several.
fn named_branch<'d>(avro: &Avro, branches: &[Node], datum: &'d Datum) -> Option<(usize, &'d Datum)> {
    let Datum::Record(fields) = datum else { return None };
    let mut given = fields.iter().filter(|(_, datum)| *datum != Datum::Null);
    let ((name, datum), None) = (given.next()?, given.next()) else { return None };
    if branches.iter().filter(|branch| **branch != Node::Null).count() < 2 {
        return None;
    }
    let at = branches.iter().position(|branch| avro.branch_name(branch).is_some_and(|own| same_name(&own, name)))?;
    Some((at, datum))
}

/// The branch that holds the value: of its own kind, else the first that can.
fn branch(avro: &Avro, branches: &[Node], datum: &Datum) -> Option<usize> {
    if *datum == Datum::Null {
        return branches.iter().position(|branch| *branch == Node::Null);
    }
    let own = |node: &Node| {
        matches!(
            (node, datum),
            (Node::Boolean, Datum::Bool(_))
                | (Node::Int, Datum::Int(_))
                | (Node::Long, Datum::Long(_))
                | (Node::Double, Datum::Double(_))
                | (Node::Decimal(..), Datum::Decimal(_))
                | (Node::String, Datum::String(_))
                | (Node::Bytes | Node::Fixed(_), Datum::Bytes(_))
                | (Node::Date, Datum::Date(_))
                | (Node::TimeMillis | Node::TimeMicros, Datum::Time(_))
                | (Node::TimestampMillis | Node::TimestampMicros, Datum::Timestamp(_))
                | (Node::Array(_), Datum::Array(_))
                | (Node::Map(_) | Node::Entries(..), Datum::Map(_))
                | (Node::Record(_), Datum::Record(_))
        )
    };
    branches.iter().position(own).or_else(|| {
        branches.iter().position(|branch| *branch != Node::Null && value(avro, branch, datum, &mut Vec::new()).is_ok())
    })
}

fn name(node: &Node) -> &'static str {
    match node {
        Node::Null => "null",
        Node::Boolean => "boolean",
        Node::Int => "int",
        Node::Long => "long",
        Node::Float => "float",
        Node::Double => "double",
        Node::Bytes => "bytes",
        Node::String => "string",
        Node::Decimal(..) => "decimal",
        Node::Date => "date",
        Node::TimeMillis | Node::TimeMicros => "time",
        Node::TimestampMillis | Node::TimestampMicros => "timestamp",
        Node::Fixed(_) => "fixed",
        Node::Enum(_) => "enum",
        Node::Array(_) => "array",
        Node::Map(_) | Node::Entries(..) => "map",
        Node::Union(_) => "union",
        Node::Record(_) => "record",
    }
}

fn put_long(out: &mut Vec<u8>, number: i64) {
    let mut rest = (number << 1 ^ number >> 63) as u64;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_long(out, bytes.len() as i64);
    out.extend_from_slice(bytes);
}
