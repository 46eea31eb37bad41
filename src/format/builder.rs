//! [`Builder`]: an Arrow column under construction whose last cells can be taken back.
//!
//! A decoder appends cells as it meets them, so a record that turns out to be unreadable, or a field that occurs
//! twice, must be undone: [`Builder::truncate`]. Arrow's own builders cannot do that for strings and nested types.
//!
//! **Invariant:** after a record every column is one cell longer; `len` of a column that is already one longer than
//! the others says that the record has filled it.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, BooleanBufferBuilder, Date32Array, Decimal128Array, Float64Array, Int32Array,
    Int64Array, ListArray, MapArray, NullBufferBuilder, StringArray, StructArray, Time32MillisecondArray,
    TimestampMillisecondArray,
};
use arrow::buffer::{Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{ArrowNativeType, DataType, Field, Fields};

use crate::error::Result;
use crate::types::{SqlType, sql_type};

/// Fixed-width cells.
#[derive(Debug)]
pub(super) struct Fixed<T> {
    values: Vec<T>,
    valid: NullBufferBuilder,
}

impl<T: Copy + Default + ArrowNativeType> Fixed<T> {
    fn new(capacity: usize) -> Self {
        Self { values: Vec::with_capacity(capacity), valid: NullBufferBuilder::new(capacity) }
    }

    #[inline]
    pub(super) fn push(&mut self, value: T) {
        self.values.push(value);
        self.valid.append_non_null();
    }

    fn push_null(&mut self) {
        self.values.push(T::default());
        self.valid.append_null();
    }

    fn truncate(&mut self, len: usize) {
        self.values.truncate(len);
        self.valid.truncate(len);
    }

    fn take(&mut self) -> (ScalarBuffer<T>, Option<arrow::buffer::NullBuffer>) {
        let capacity = self.values.len();
        let values = std::mem::replace(&mut self.values, Vec::with_capacity(capacity));
        (values.into(), self.valid.finish())
    }
}

/// Cells of bytes of any length.
#[derive(Debug)]
pub(super) struct Var {
    bytes: Vec<u8>,
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Var {
    fn new(capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Self { bytes: Vec::with_capacity(capacity * 8), offsets, valid: NullBufferBuilder::new(capacity) }
    }

    #[inline]
    pub(super) fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.close();
    }

    /// Where a cell is written piece by piece; [`Self::close`] ends it.
    pub(super) fn open(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    #[inline]
    pub(super) fn close(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
        self.valid.append_non_null();
    }

    pub(super) fn get(&self, i: usize) -> &[u8] {
        &self.bytes[self.offsets[i] as usize..self.offsets[i + 1] as usize]
    }

    pub(super) fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    fn push_null(&mut self) {
        self.offsets.push(self.bytes.len() as i32);
        self.valid.append_null();
    }

    fn truncate(&mut self, len: usize) {
        if len <= self.len() {
            self.offsets.truncate(len + 1);
            // Also what an unfinished cell has left behind.
            self.bytes.truncate(self.offsets[len] as usize);
            self.valid.truncate(len);
        }
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer, Option<arrow::buffer::NullBuffer>) {
        let mut fresh = Self::new(0);
        fresh.offsets.reserve(self.len());
        fresh.bytes.reserve(self.bytes.len());
        let Self { bytes, offsets, mut valid } = std::mem::replace(self, fresh);
        (OffsetBuffer::new(offsets.into()), bytes.into(), valid.finish())
    }
}

/// Cells that are runs of child cells: offsets and validity.
#[derive(Debug)]
pub(super) struct Runs {
    offsets: Vec<i32>,
    valid: NullBufferBuilder,
}

impl Runs {
    fn new(capacity: usize) -> Self {
        let mut offsets = Vec::with_capacity(capacity + 1);
        offsets.push(0);
        Self { offsets, valid: NullBufferBuilder::new(capacity) }
    }

    fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// First child cell of the run that is being written.
    pub(super) fn start(&self) -> usize {
        self.offsets[self.offsets.len() - 1] as usize
    }

    pub(super) fn close(&mut self, children: usize) {
        self.offsets.push(children as i32);
        self.valid.append_non_null();
    }

    fn push_null(&mut self) {
        self.offsets.push(self.start() as i32);
        self.valid.append_null();
    }

    fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.offsets.truncate(len + 1);
            self.valid.truncate(len);
        }
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Option<arrow::buffer::NullBuffer>) {
        let fresh = Self::new(self.len());
        let Self { offsets, mut valid } = std::mem::replace(self, fresh);
        (OffsetBuffer::new(offsets.into()), valid.finish())
    }
}

/// A column under construction.
#[derive(Debug)]
pub(super) enum Builder {
    Boolean(BooleanBufferBuilder, NullBufferBuilder),
    Int(Fixed<i32>),
    BigInt(Fixed<i64>),
    Double(Fixed<f64>),
    Decimal(Fixed<i128>, u8, u8),
    String(Var),
    Bytes(Var),
    Time(Fixed<i32>),
    Date(Fixed<i32>),
    Timestamp(Fixed<i64>),
    Array(Runs, Box<Builder>, Arc<Field>),
    /// Keys are strings unless the format says otherwise.
    Map(Runs, Box<Builder>, Box<Builder>, Arc<Field>),
    Struct(Vec<Builder>, NullBufferBuilder, Fields),
}

impl Builder {
    pub(super) fn new(ty: &SqlType, capacity: usize) -> Self {
        match ty {
            SqlType::Boolean => Self::Boolean(BooleanBufferBuilder::new(capacity), NullBufferBuilder::new(capacity)),
            SqlType::Int => Self::Int(Fixed::new(capacity)),
            SqlType::BigInt => Self::BigInt(Fixed::new(capacity)),
            SqlType::Double => Self::Double(Fixed::new(capacity)),
            SqlType::Decimal(precision, scale) => Self::Decimal(Fixed::new(capacity), *precision, *scale),
            SqlType::String => Self::String(Var::new(capacity)),
            SqlType::Bytes => Self::Bytes(Var::new(capacity)),
            SqlType::Time => Self::Time(Fixed::new(capacity)),
            SqlType::Date => Self::Date(Fixed::new(capacity)),
            SqlType::Timestamp => Self::Timestamp(Fixed::new(capacity)),
            SqlType::Array(item) => {
                let field = Arc::new(Field::new("item", item.arrow(), true));
                Self::Array(Runs::new(capacity), Box::new(Self::new(item, capacity)), field)
            }
            SqlType::Map(key, value) => Self::Map(
                Runs::new(capacity),
                Box::new(Self::new(key, capacity)),
                Box::new(Self::new(value, capacity)),
                Arc::new(sql_type::map_entries(key, value)),
            ),
            SqlType::Struct(fields) => Self::Struct(
                fields.iter().map(|field| Self::new(&field.ty, capacity)).collect(),
                NullBufferBuilder::new(capacity),
                sql_type::struct_fields(fields),
            ),
        }
    }

    /// How many cells.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Boolean(values, _) => values.len(),
            Self::Int(b) | Self::Time(b) | Self::Date(b) => b.values.len(),
            Self::BigInt(b) | Self::Timestamp(b) => b.values.len(),
            Self::Double(b) => b.values.len(),
            Self::Decimal(b, ..) => b.values.len(),
            Self::String(b) | Self::Bytes(b) => b.len(),
            Self::Array(runs, ..) | Self::Map(runs, ..) => runs.len(),
            Self::Struct(_, valid, _) => valid.len(),
        }
    }

    /// Appends NULL.
    pub(super) fn push_null(&mut self) {
        match self {
            Self::Boolean(values, valid) => {
                values.append(false);
                valid.append_null();
            }
            Self::Int(b) | Self::Time(b) | Self::Date(b) => b.push_null(),
            Self::BigInt(b) | Self::Timestamp(b) => b.push_null(),
            Self::Double(b) => b.push_null(),
            Self::Decimal(b, ..) => b.push_null(),
            Self::String(b) | Self::Bytes(b) => b.push_null(),
            Self::Array(runs, ..) | Self::Map(runs, ..) => runs.push_null(),
            Self::Struct(children, valid, _) => {
                children.iter_mut().for_each(Self::push_null);
                valid.append_null();
            }
        }
    }

    /// Takes back all cells from the `len`-th on, complete or not.
    pub(super) fn truncate(&mut self, len: usize) {
        match self {
            Self::Boolean(values, valid) => {
                if len < values.len() {
                    values.truncate(len);
                    valid.truncate(len);
                }
            }
            Self::Int(b) | Self::Time(b) | Self::Date(b) => b.truncate(len),
            Self::BigInt(b) | Self::Timestamp(b) => b.truncate(len),
            Self::Double(b) => b.truncate(len),
            Self::Decimal(b, ..) => b.truncate(len),
            Self::String(b) | Self::Bytes(b) => b.truncate(len),
            Self::Array(runs, item, _) => {
                runs.truncate(len);
                item.truncate(runs.start());
            }
            Self::Map(runs, key, value, _) => {
                runs.truncate(len);
                key.truncate(runs.start());
                value.truncate(runs.start());
            }
            Self::Struct(children, valid, _) => {
                children.iter_mut().for_each(|child| child.truncate(len));
                valid.truncate(len);
            }
        }
    }

    /// Makes the column `len` cells long: takes back what is too much, fills what is missing with NULL.
    pub(super) fn settle(&mut self, len: usize) {
        self.truncate(len);
        while self.len() < len {
            self.push_null();
        }
    }

    /// The array of all cells; the builder is empty again.
    pub(super) fn finish(&mut self) -> Result<ArrayRef> {
        Ok(match self {
            Self::Boolean(values, valid) => Arc::new(BooleanArray::new(values.finish(), valid.finish())),
            Self::Int(b) => {
                let (values, valid) = b.take();
                Arc::new(Int32Array::try_new(values, valid)?)
            }
            Self::Time(b) => {
                let (values, valid) = b.take();
                Arc::new(Time32MillisecondArray::try_new(values, valid)?)
            }
            Self::Date(b) => {
                let (values, valid) = b.take();
                Arc::new(Date32Array::try_new(values, valid)?)
            }
            Self::BigInt(b) => {
                let (values, valid) = b.take();
                Arc::new(Int64Array::try_new(values, valid)?)
            }
            Self::Timestamp(b) => {
                let (values, valid) = b.take();
                Arc::new(TimestampMillisecondArray::try_new(values, valid)?)
            }
            Self::Double(b) => {
                let (values, valid) = b.take();
                Arc::new(Float64Array::try_new(values, valid)?)
            }
            Self::Decimal(b, precision, scale) => {
                let (values, valid) = b.take();
                let DataType::Decimal128(precision, scale) = SqlType::Decimal(*precision, *scale).arrow() else {
                    unreachable!("decimals are held in 128 bits")
                };
                Arc::new(Decimal128Array::try_new(values, valid)?.with_precision_and_scale(precision, scale)?)
            }
            Self::String(b) => {
                let (offsets, bytes, valid) = b.take();
                Arc::new(StringArray::try_new(offsets, bytes, valid)?)
            }
            Self::Bytes(b) => {
                let (offsets, bytes, valid) = b.take();
                Arc::new(BinaryArray::try_new(offsets, bytes, valid)?)
            }
            Self::Array(runs, item, field) => {
                let (offsets, valid) = runs.take();
                Arc::new(ListArray::try_new(field.clone(), offsets, item.finish()?, valid)?)
            }
            Self::Map(runs, key, value, field) => {
                let (offsets, valid) = runs.take();
                let DataType::Struct(fields) = field.data_type() else { unreachable!("map entries are a struct") };
                let entries = StructArray::try_new(fields.clone(), vec![key.finish()?, value.finish()?], None)?;
                Arc::new(MapArray::try_new(field.clone(), offsets, entries, valid, false)?)
            }
            Self::Struct(children, valid, fields) => {
                let len = valid.len();
                let columns = children.iter_mut().map(Self::finish).collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), columns, valid.finish(), len)?)
            }
        })
    }
}

/// One more boolean.
#[inline]
pub(super) fn push_bool(values: &mut BooleanBufferBuilder, valid: &mut NullBufferBuilder, value: bool) {
    values.append(value);
    valid.append_non_null();
}
