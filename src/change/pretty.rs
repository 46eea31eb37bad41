//! The text form of change batches: for tests, EXPLAIN ANALYZE and error messages.

use std::fmt::Write as _;

use super::batch::record_batch;
use super::{ChangeBatch, Op};
use crate::error::{Error, Result};
use crate::types::{Column, Decimal, LogicalSchema, SqlType, Value, ValueBuilder};

impl ChangeBatch {
    /// One line a row: `+ | 5 | 'u1', 3` (op, event time, columns); ops are `+`, `-`, `U-`, `U+`, and blank in a stream.
    pub fn to_pretty(&self) -> String {
        let mut text = String::new();
        for i in 0..self.len() {
            let op = match self.ops.as_ref().map(|ops| ops[i]) {
                None => " ",
                Some(Op::Insert) => "+",
                Some(Op::Delete) => "-",
                Some(Op::UpdateBefore) => "U-",
                Some(Op::UpdateAfter) => "U+",
            };
            let cells: Vec<String> =
                self.data.columns().iter().map(|column| pretty_value(&Value::from_array(column, i))).collect();
            let null = if self.is_null_value(i) { " (null value)" } else { "" };
            let _ = writeln!(text, "{op:2}| {} | {}{null}", self.rowtime[i], cells.join(", "));
        }
        text
    }

    /// Reads what [`Self::to_pretty`] writes; empty lines are skipped. `5@7` gives a row the arrival number 7; otherwise
    /// it has the next one, and an after image that of its before image. Structs and maps are not read.
    pub fn from_pretty(schema: &LogicalSchema, text: &str) -> Result<Self> {
        let columns = schema.batch_columns();
        let mut builders: Vec<_> = columns.iter().map(|column| ValueBuilder::new(&column.ty, 0)).collect();
        let (mut rowtime, mut seq, mut ops, mut nulls) = (Vec::new(), Vec::<u64>::new(), Vec::new(), Vec::new());
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let unreadable = || Error::data(format!("unreadable row: {line}"));
            let mut parts = line.splitn(3, '|').map(str::trim);
            let (Some(op), Some(time), Some(cells)) = (parts.next(), parts.next(), parts.next()) else {
                return Err(unreadable());
            };
            let op = match op {
                "" => None,
                "+" => Some(Op::Insert),
                "-" => Some(Op::Delete),
                "U-" => Some(Op::UpdateBefore),
                "U+" => Some(Op::UpdateAfter),
                _ => return Err(unreadable()),
            };
            let (time, at) = time.split_once('@').map_or((time, None), |(time, at)| (time, Some(at)));
            let pair = op == Some(Op::UpdateAfter) && ops.last() == Some(&Some(Op::UpdateBefore));
            let next = seq.last().map_or(0, |last| last + u64::from(!pair));
            rowtime.push(time.trim().parse().map_err(|_| unreadable())?);
            seq.push(at.map_or(Ok(next), |at| at.trim().parse()).map_err(|_| unreadable())?);
            ops.push(op);
            nulls.push(cells.ends_with("(null value)"));
            let row = read_row(&columns, cells.trim_end_matches("(null value)")).ok_or_else(unreadable)?;
            builders.iter_mut().zip(&row).for_each(|(builder, value)| builder.push(value));
        }
        let arrays = builders.iter_mut().map(ValueBuilder::finish).collect();
        let data = record_batch(schema.arrow(), arrays, rowtime.len())?;
        let table = ops.iter().any(Option::is_some);
        Ok(Self {
            ops: table.then(|| ops.into_iter().map(|op| op.unwrap_or(Op::Insert)).collect()),
            null_values: nulls.contains(&true).then(|| nulls.into()),
            ..Self::append_only(data, rowtime, seq)
        })
    }
}

/// The cells of a row; missing ones at the end are NULL.
fn read_row(columns: &[Column], text: &str) -> Option<Vec<Value>> {
    let mut rest = text.trim();
    let mut row = Vec::with_capacity(columns.len());
    for column in columns {
        if rest.is_empty() {
            row.push(Value::Null);
            continue;
        }
        let (value, after) = read_value(&column.ty, rest)?;
        row.push(value);
        let after = after.trim_start();
        rest = if after.is_empty() { after } else { after.strip_prefix(',')?.trim_start() };
    }
    rest.is_empty().then_some(row)
}

/// The value at the start of `text`, and what follows it.
fn read_value<'a>(ty: &SqlType, text: &'a str) -> Option<(Value, &'a str)> {
    if let Some(rest) = text.strip_prefix("NULL") {
        return Some((Value::Null, rest));
    }
    if let SqlType::Array(item) = ty {
        let mut rest = text.strip_prefix('[')?.trim_start();
        let mut items = Vec::new();
        while !rest.starts_with(']') {
            let (value, after) = read_value(item, rest)?;
            items.push(value);
            let after = after.trim_start();
            rest = after.strip_prefix(',').unwrap_or(after).trim_start();
        }
        return Some((Value::Array(items), &rest[1..]));
    }
    if *ty == SqlType::String {
        let (value, rest) = text.strip_prefix('\'')?.split_once('\'')?;
        return Some((Value::String(value.to_owned()), rest));
    }
    let end = text.find([',', ']']).unwrap_or(text.len());
    let (word, rest) = (text[..end].trim(), &text[end..]);
    let value = match ty {
        SqlType::Boolean => Value::Boolean(word.parse().ok()?),
        SqlType::Int => Value::Int(word.parse().ok()?),
        SqlType::BigInt => Value::BigInt(word.parse().ok()?),
        SqlType::Double => Value::Double(word.parse().ok()?),
        SqlType::Decimal(..) => Value::Decimal(Decimal::parse(word)?),
        SqlType::Bytes => Value::Bytes(hex::decode(word.strip_prefix("0x")?).ok()?),
        SqlType::Time => Value::Time(word.parse().ok()?),
        SqlType::Date => Value::Date(word.parse().ok()?),
        SqlType::Timestamp => Value::Timestamp(word.parse().ok()?),
        SqlType::String | SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => return None,
    };
    Some((value, rest))
}

/// A value as it would be written in SQL, roughly.
pub fn pretty_value(value: &Value) -> String {
    let list = |values: &[Value]| values.iter().map(pretty_value).collect::<Vec<_>>().join(", ");
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Boolean(v) => v.to_string(),
        Value::Int(v) | Value::Time(v) | Value::Date(v) => v.to_string(),
        Value::BigInt(v) | Value::Timestamp(v) => v.to_string(),
        Value::Double(v) => format!("{v:?}"),
        Value::Decimal(v) => v.to_string(),
        Value::String(v) => format!("'{v}'"),
        Value::Bytes(v) => format!("0x{}", hex::encode(v)),
        Value::Array(values) => format!("[{}]", list(values)),
        Value::Struct(values) => format!("{{{}}}", list(values)),
        Value::Map(entries) => {
            let entries: Vec<_> =
                entries.iter().map(|(k, v)| format!("{}: {}", pretty_value(k), pretty_value(v))).collect();
            format!("{{{}}}", entries.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pretty_text_reads_back() {
        let columns = [
            Column::key("K", SqlType::String),
            Column::value("N", SqlType::BigInt),
            Column::value("L", SqlType::array(SqlType::Int)),
        ];
        let schema = LogicalSchema::new(columns.to_vec(), false);
        let text = "+ | 5 | 'a', 1, [1, NULL]\nU-| 6 | 'a', 1, []\nU+| 6 | 'a', NULL, NULL\n- | 7 | NULL, NULL, NULL (null value)\n";
        let batch = ChangeBatch::from_pretty(&schema, text).expect("rows");
        assert_eq!(batch.to_pretty(), text);
        assert_eq!(&batch.seq[..], [0, 1, 1, 2]);
        assert!(ChangeBatch::from_pretty(&schema, "+ | 5 | a").is_err());
    }
}
