//! `INSERT INTO … VALUES`: one row of values that fit their columns.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::Schema;

use crate::catalog::Source;
use crate::error::{Error, Result, did_you_mean};
use crate::expr::{Scope, compile};
use crate::sql::ast::{Expr, Name};
use crate::types::{Column, Namespace, SourceKind, SqlType, SystemColumn, Value};

use super::coerce::coerce;

/// A row to write.
#[derive(Debug, Clone, PartialEq)]
pub struct InsertRow {
    /// One cell a declared column (header columns excluded), in the source's order; NULL where none was given.
    pub values: Vec<(String, Value)>,
    /// The record's timestamp, when given.
    pub rowtime: Option<i64>,
}

/// The row that `INSERT INTO source (columns) VALUES (values)` writes.
pub fn insert_values(source: &Source, columns: &[Name], values: &[Expr]) -> Result<InsertRow> {
    check_writable(source)?;
    let declared: Vec<&Column> =
        source.schema.columns.iter().filter(|column| !matches!(column.namespace, Namespace::Headers(_))).collect();
    let targets = targets(source, &declared, columns, values)?;

    let mut row =
        InsertRow { values: declared.iter().map(|column| (column.name.clone(), Value::Null)).collect(), rowtime: None };
    let mut given = vec![false; declared.len()];
    for (target, expr) in targets.into_iter().zip(values) {
        let (name, ty) = match target {
            Some(i) => (declared[i].name.as_str(), &declared[i].ty),
            None => (SystemColumn::RowTime.name(), &SqlType::BigInt),
        };
        let value = constant(expr, ty).map_err(|error| error.context(format!("column {name}")).at(expr.span))?;
        match target {
            Some(i) => {
                given[i] = true;
                row.values[i].1 = value;
            }
            None => row.rowtime = value.as_i64(),
        }
    }
    if source.kind == SourceKind::Table {
        let missing: Vec<&str> = declared
            .iter()
            .enumerate()
            .filter(|(i, column)| column.namespace == Namespace::Key && (!given[*i] || row.values[*i].1.is_null()))
            .map(|(_, column)| column.name.as_str())
            .collect();
        if !missing.is_empty() {
            return Err(Error::semantic(format!(
                "rows of the table {} need a value for {}",
                source.name,
                missing.join(", ")
            ))
            .hint("The PRIMARY KEY says which row is written."));
        }
    }
    Ok(row)
}

fn check_writable(source: &Source) -> Result<()> {
    let kind = source.kind.to_string().to_lowercase();
    if source.read_only {
        return Err(Error::semantic(format!("the {kind} {} is read-only", source.name))
            .hint("It was made with CREATE SOURCE: write to its topic through another stream."));
    }
    if source.window.is_some() {
        return Err(Error::semantic(format!("the {kind} {} is windowed and takes no single rows", source.name))
            .hint("Only a windowed query can make its keys."));
    }
    Ok(())
}

/// For each value its column: an index into `declared`, or `None` for ROWTIME.
fn targets(source: &Source, declared: &[&Column], columns: &[Name], values: &[Expr]) -> Result<Vec<Option<usize>>> {
    let span = values.first().map(|first| first.span.to(values[values.len() - 1].span));
    if columns.is_empty() {
        if values.len() == declared.len() {
            return Ok((0..declared.len()).map(Some).collect());
        }
        let names: Vec<&str> = declared.iter().map(|column| column.name.as_str()).collect();
        let error = Error::semantic(format!(
            "{} has {} columns, and {} values are given",
            source.name,
            declared.len(),
            values.len()
        ))
        .hint(format!(
            "The columns are {}. Name the ones you give: INSERT INTO {} (…) VALUES (…).",
            names.join(", "),
            source.name
        ));
        return Err(span.map_or_else(|| Error::semantic("no values"), |span| error.at(span)));
    }
    if columns.len() != values.len() {
        let error =
            Error::semantic(format!("{} columns are named, and {} values are given", columns.len(), values.len()));
        return Err(error.at(columns[0].span));
    }
    let mut targets: Vec<Option<usize>> = Vec::with_capacity(columns.len());
    for (i, name) in columns.iter().enumerate() {
        if columns[..i].contains(name) {
            return Err(Error::semantic(format!("the column {} is named twice", name.text)).at(name.span));
        }
        targets.push(match declared.iter().position(|column| column.name == name.text) {
            Some(position) => Some(position),
            None if name.text == SystemColumn::RowTime.name() => None,
            None => return Err(unknown_column(source, declared, name)),
        });
    }
    Ok(targets)
}

fn unknown_column(source: &Source, declared: &[&Column], name: &Name) -> Error {
    if SystemColumn::from_name(&name.text).is_some() {
        return Error::semantic(format!("{} cannot be written", name.text))
            .at(name.span)
            .hint("Of the system columns only ROWTIME can be given.");
    }
    if source.schema.find(&name.text).is_some() {
        return Error::semantic(format!("the header column {} cannot be written", name.text))
            .at(name.span)
            .hint("Rows written with VALUES have no headers.");
    }
    let error = Error::semantic(format!("{} has no column {}", source.name, name.text)).at(name.span);
    match did_you_mean(&name.text, declared.iter().map(|column| column.name.as_str())) {
        Some(near) => error.hint(format!("Did you mean {near}?")),
        None => error.hint(format!("DESCRIBE {} lists its columns.", source.name)),
    }
}

/// The value of an expression without columns, laxly coerced to `ty`.
pub(super) fn constant(expr: &Expr, ty: &SqlType) -> Result<Value> {
    let compiled = compile(expr, &Scope::default())?;
    let Some(own) = compiled.ty().cloned() else { return Ok(Value::Null) };
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let row = RecordBatch::try_new_with_options(Arc::new(Schema::empty()), Vec::new(), &options)?;
    let mut errors = Vec::new();
    let array = compiled.evaluate(&row, &mut errors)?;
    if let Some(error) = errors.first() {
        return Err(Error::semantic(format!("cannot compute {}: {}", error.place, error.reason)).at(expr.span));
    }
    coerce(Value::from_array(&array, 0), &own, ty).map_err(|reason| Error::semantic(reason).at(expr.span))
}
