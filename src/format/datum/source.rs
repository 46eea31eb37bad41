//! [`DatumSource`]: cells of a batch as data.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{
    Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, Time32MillisecondType, TimestampMillisecondType,
};

use super::{Datum, legal};
use crate::types::Decimal;
use crate::types::{Column, SqlType};

/// Names and types of columns, so that names are shared by all data made. Names are those that the formats' schemas
/// give them: letters, digits and `_`.
#[derive(Debug, Clone)]
pub(in crate::format) struct DatumSource {
    fields: Vec<(Arc<str>, Shape)>,
}

#[derive(Debug, Clone)]
enum Shape {
    Scalar(SqlType),
    Array(Box<Shape>),
    Map(Box<Shape>, Box<Shape>),
    Struct(Vec<(Arc<str>, Shape)>),
}

impl Shape {
    fn new(ty: &SqlType) -> Self {
        match ty {
            SqlType::Array(item) => Self::Array(Box::new(Self::new(item))),
            SqlType::Map(key, value) => Self::Map(Box::new(Self::new(key)), Box::new(Self::new(value))),
            SqlType::Struct(fields) => {
                Self::Struct(fields.iter().map(|field| (legal(&field.name).into(), Self::new(&field.ty))).collect())
            }
            scalar => Self::Scalar(scalar.clone()),
        }
    }

    fn read(&self, array: &dyn Array, row: usize) -> Datum {
        if array.is_null(row) {
            return Datum::Null;
        }
        match self {
            Self::Scalar(ty) => scalar(ty, array, row),
            Self::Array(item) => {
                let items = array.as_list::<i32>().value(row);
                Datum::Array((0..items.len()).map(|i| item.read(&items, i)).collect())
            }
            Self::Map(key, value) => {
                let entries = array.as_map().value(row);
                let (keys, values) = (entries.column(0), entries.column(1));
                Datum::Map((0..entries.len()).map(|i| (key.read(keys, i), value.read(values, i))).collect())
            }
            Self::Struct(fields) => {
                let children = array.as_struct().columns();
                let fields = fields.iter().zip(children);
                Datum::Record(fields.map(|((name, shape), child)| (name.clone(), shape.read(child, row))).collect())
            }
        }
    }
}

fn scalar(ty: &SqlType, array: &dyn Array, row: usize) -> Datum {
    match ty {
        SqlType::Boolean => Datum::Bool(array.as_boolean().value(row)),
        SqlType::Int => Datum::Int(array.as_primitive::<Int32Type>().value(row)),
        SqlType::BigInt => Datum::Long(array.as_primitive::<Int64Type>().value(row)),
        SqlType::Double => Datum::Double(array.as_primitive::<Float64Type>().value(row)),
        SqlType::Decimal(_, scale) => {
            Datum::Decimal(Decimal::new(array.as_primitive::<Decimal128Type>().value(row), *scale))
        }
        SqlType::String => Datum::String(array.as_string::<i32>().value(row).to_owned()),
        SqlType::Bytes => Datum::Bytes(array.as_binary::<i32>().value(row).to_vec()),
        SqlType::Time => Datum::Time(array.as_primitive::<Time32MillisecondType>().value(row)),
        SqlType::Date => Datum::Date(array.as_primitive::<Date32Type>().value(row)),
        SqlType::Timestamp => Datum::Timestamp(array.as_primitive::<TimestampMillisecondType>().value(row)),
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => Datum::Null,
    }
}

impl DatumSource {
    /// A source of rows with these columns.
    pub(in crate::format) fn new(columns: &[Column]) -> Self {
        let fields = columns.iter().map(|column| (legal(&column.name).into(), Shape::new(&column.ty))).collect();
        Self { fields }
    }

    /// The row as a record of all columns.
    pub(in crate::format) fn record(&self, columns: &[ArrayRef], row: usize) -> Datum {
        let fields = self.fields.iter().zip(columns);
        Datum::Record(fields.map(|((name, shape), column)| (name.clone(), shape.read(column, row))).collect())
    }

    /// The row's first column by itself.
    pub(in crate::format) fn bare(&self, columns: &[ArrayRef], row: usize) -> Datum {
        match (self.fields.first(), columns.first()) {
            (Some((_, shape)), Some(column)) => shape.read(column, row),
            _ => Datum::Null,
        }
    }
}
