//! `DELIMITED`: a line of comma-separated values a record.
//!
//! > KSQL: the number of fields must be that of the columns; an empty field is NULL (so an empty string does not
//! > survive); a message may hold several lines, of which the first counts.

mod csv;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::BooleanBuffer;
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType,
    TimestampMillisecondType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::builder::{Builder, push_bool};
use super::{Decoded, Decoder, Encoder, Layout, NullRows, Side, check_size, number};
use crate::change::{Payloads, Slots};
use crate::error::{Error, RecordError, Result};
use crate::types::FormatSpec;

/// The character between fields: a comma, unless the format's setting says otherwise.
pub(super) fn delimiter(spec: &FormatSpec) -> Result<char> {
    let Some(setting) = spec.properties.get("DELIMITER") else { return Ok(',') };
    // The planner puts the characters themselves in the place of the words.
    match setting.to_uppercase().as_str() {
        "SPACE" | " " => return Ok(' '),
        "TAB" | "\t" => return Ok('\t'),
        _ => {}
    }
    let mut chars = setting.chars();
    match (chars.next(), chars.next()) {
        // Planning has turned the words into their characters already.
        (Some(c), None) if (!c.is_whitespace() || c == ' ' || c == '\t') && c != '"' => Ok(c),
        _ => Err(Error::semantic(format!("`{setting}` cannot be a delimiter"))
            .hint("A delimiter is a single character, such as ';', or one of the words SPACE and TAB.")),
    }
}

/// Reads lines of values.
pub(super) struct DelimitedDecoder {
    delimiter: char,
    names: Vec<String>,
    /// Of all columns; those not wanted stay empty.
    builders: Vec<Builder>,
    wanted: Vec<bool>,
    line: csv::Line,
}

impl DelimitedDecoder {
    pub(super) fn new(layout: &Layout<'_>, delimiter: char) -> Self {
        Self {
            delimiter,
            names: layout.columns.iter().map(|column| column.name.clone()).collect(),
            builders: layout.columns.iter().map(|column| Builder::new(&column.ty, 0)).collect(),
            wanted: layout.wanted.to_vec(),
            line: csv::Line::default(),
        }
    }

    fn message(&mut self, bytes: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(bytes);
        self.line.read(&text, self.delimiter)?;
        let (found, columns) = (self.line.len(), self.builders.len());
        if found == 0 && columns > 0 {
            return Err("the message has no fields".to_owned());
        }
        if found != columns {
            return Err(format!("the message has {found} fields, but there are {columns} columns"));
        }
        for (i, builder) in self.builders.iter_mut().enumerate() {
            let text = self.line.get(i);
            if text.is_empty() {
                builder.push_null();
            } else {
                push(builder, text).map_err(|reason| format!("{reason} at column {}", self.names[i]))?;
            }
            if !self.wanted[i] {
                builder.truncate(0);
            }
        }
        Ok(())
    }

    fn settle(&mut self, rows: usize) {
        for (builder, wanted) in self.builders.iter_mut().zip(&self.wanted) {
            builder.settle(if *wanted { rows } else { 0 });
        }
    }
}

/// Appends the cell that `text` stands for.
fn push(builder: &mut Builder, text: &str) -> Result<(), String> {
    let bad = |ty: &str| format!("`{}` is no {ty}", number::clip(text));
    let long = |ty: &str| number::parse_long(text).ok_or_else(|| bad(ty));
    let int = |ty: &str| long(ty).and_then(|v| i32::try_from(v).map_err(|_| bad(ty)));
    match builder {
        // Anything that is not "true" is false, as Java's Boolean.parseBoolean has it.
        Builder::Boolean(values, valid) => push_bool(values, valid, text.eq_ignore_ascii_case("true")),
        Builder::Int(b) => b.push(int("INTEGER")?),
        Builder::BigInt(b) => b.push(long("BIGINT")?),
        Builder::Double(b) => b.push(number::parse_double(text).ok_or_else(|| bad("DOUBLE"))?),
        Builder::Decimal(b, precision, scale) => b.push(number::parse_decimal(text, *precision, *scale)?),
        Builder::String(b) => b.push(text.as_bytes()),
        Builder::Bytes(b) => {
            STANDARD.decode_vec(text, b.open()).map_err(|error| format!("BYTES are not base64: {error}"))?;
            b.close();
        }
        Builder::Time(b) => b.push(int("TIME")?),
        Builder::Date(b) => b.push(int("DATE")?),
        Builder::Timestamp(b) => b.push(long("TIMESTAMP")?),
        Builder::Array(..) | Builder::Map(..) | Builder::Struct(..) => builder.push_null(),
    }
    Ok(())
}

impl Decoder for DelimitedDecoder {
    fn decode(&mut self, payloads: Payloads<'_>) -> Result<Decoded> {
        check_size(payloads)?;
        let mut errors = Vec::new();
        let mut nulls = NullRows::new(payloads.len());
        self.settle(0);
        for (row, payload) in payloads.iter().enumerate() {
            match payload.map(|bytes| self.message(bytes)) {
                Some(Ok(())) => continue,
                None => nulls.set(row),
                Some(Err(reason)) => {
                    errors.push(RecordError { row, place: "deserialization".to_owned(), reason });
                }
            }
            self.settle(row);
            self.settle(row + 1);
        }
        let wanted = self.builders.iter_mut().zip(&self.wanted).filter(|(_, wanted)| **wanted);
        let columns = wanted.map(|(builder, _)| builder.finish()).collect::<Result<_>>()?;
        Ok(Decoded { columns, null: nulls.finish(), errors })
    }
}

/// Writes lines of values.
pub(super) struct DelimitedEncoder {
    delimiter: char,
    columns: usize,
    /// A key of a single column: when that is NULL, so is the key.
    single_key: bool,
    field: Vec<u8>,
}

impl DelimitedEncoder {
    pub(super) fn new(layout: &Layout<'_>, delimiter: char) -> Self {
        let single_key = layout.side == Side::Key && layout.columns.len() == 1;
        Self { delimiter, columns: layout.columns.len(), single_key, field: Vec::new() }
    }
}

impl Encoder for DelimitedEncoder {
    fn encode(
        &mut self,
        columns: &[ArrayRef],
        rows: usize,
        null: Option<&BooleanBuffer>,
        out: &mut Slots,
    ) -> Result<Vec<RecordError>> {
        if columns.len() != self.columns {
            return Err(Error::internal(format!("{} columns for {}", columns.len(), self.columns)));
        }
        for row in 0..rows {
            if null.is_some_and(|null| null.value(row)) || self.single_key && columns[0].is_null(row) {
                out.push_null();
                continue;
            }
            let start = out.data.len();
            for (i, column) in columns.iter().enumerate() {
                if i > 0 {
                    out.data.extend_from_slice(self.delimiter.encode_utf8(&mut [0; 4]).as_bytes());
                }
                if column.is_valid(row) {
                    self.field.clear();
                    write_text(&mut self.field, column, row)?;
                    csv::write_field(&mut out.data, &self.field, self.delimiter, i == 0);
                }
            }
            out.close(start);
        }
        Ok(Vec::new())
    }
}

/// Appends the text of a cell that is not NULL.
fn write_text(out: &mut Vec<u8>, column: &ArrayRef, row: usize) -> Result<()> {
    match column.data_type() {
        DataType::Boolean => out.extend_from_slice(if column.as_boolean().value(row) { b"true" } else { b"false" }),
        DataType::Int32 => number::write_long(out, column.as_primitive::<Int32Type>().value(row).into()),
        DataType::Int64 => number::write_long(out, column.as_primitive::<Int64Type>().value(row)),
        DataType::Float64 => number::write_double(out, column.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(_, scale) => {
            number::write_decimal(out, column.as_primitive::<Decimal128Type>().value(row), *scale as u8);
        }
        DataType::Utf8 => out.extend_from_slice(column.as_string::<i32>().value(row).as_bytes()),
        DataType::Binary => {
            out.extend_from_slice(STANDARD.encode(column.as_binary::<i32>().value(row)).as_bytes());
        }
        DataType::Time32(_) => {
            number::write_long(out, column.as_primitive::<Time32MillisecondType>().value(row).into());
        }
        DataType::Date32 => number::write_long(out, column.as_primitive::<Date32Type>().value(row).into()),
        DataType::Timestamp(..) => {
            number::write_long(out, column.as_primitive::<TimestampMillisecondType>().value(row));
        }
        other => return Err(Error::internal(format!("DELIMITED cannot write {other}"))),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
