//! Bytes to rows.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, ArrowPrimitiveType, BinaryArray, BooleanArray, ListArray, MapArray, PrimitiveArray, StringArray,
    StructArray, new_null_array,
};
use arrow::buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float64Type, Int32Type, Int64Type, SchemaRef, Time32MillisecondType,
    TimestampMillisecondType,
};

use super::{ALL_NULL, ALL_VALID, BITMAP, HAS_NULL_VALUES, HAS_OPS, VERSION, broken};
use crate::change::{ChangeBatch, Op, batch::record_batch};
use crate::error::{Error, Result};

/// What is left to read.
struct Input<'a>(&'a [u8]);

pub(super) fn batch(bytes: &[u8], schema: SchemaRef) -> Result<ChangeBatch> {
    let mut input = Input(bytes);
    let version = input.byte()?;
    if version != VERSION {
        return Err(Error::data(format!("it is of layout {version}, this build reads {VERSION}")));
    }
    let flags = input.byte()?;
    // A row takes at least the byte of its event time.
    let rows = input.count(1)?;
    let mut rowtime = Vec::with_capacity(rows);
    let mut time = 0i64;
    for _ in 0..rows {
        let step = input.varint()?;
        time = time.wrapping_add((step >> 1) as i64 ^ -((step & 1) as i64));
        rowtime.push(time);
    }
    let ops: Option<Arc<[Op]>> = match flags & HAS_OPS {
        0 => None,
        _ => Some(input.take(rows)?.iter().map(|byte| op(*byte)).collect::<Result<_>>()?),
    };
    let null_values = match flags & HAS_NULL_VALUES {
        0 => None,
        _ => Some(input.bitmap(rows)?),
    };
    let columns = schema.fields().iter().map(|field| input.column(field.data_type(), rows, true));
    let columns = columns.collect::<Result<Vec<_>>>()?;
    if !input.0.is_empty() {
        return Err(broken("there are bytes after the last column"));
    }
    let data = record_batch(schema, columns, rows)?;
    Ok(ChangeBatch { data, rowtime: rowtime.into(), seq: vec![0; rows].into(), ops, null_values })
}

fn op(byte: u8) -> Result<Op> {
    Ok(match byte {
        0 => Op::Insert,
        1 => Op::UpdateBefore,
        2 => Op::UpdateAfter,
        3 => Op::Delete,
        _ => return Err(broken("there is an unknown kind of change")),
    })
}

impl<'a> Input<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len).ok_or_else(|| broken("the record is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?[0])
    }

    fn varint(&mut self) -> Result<u64> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(broken("a number is too long"))
    }

    /// A number of things of which `per_byte` take at least a byte.
    fn count(&mut self, per_byte: usize) -> Result<usize> {
        let count = self.varint()?;
        if count > self.0.len().saturating_mul(per_byte) as u64 {
            return Err(broken("the record is cut short"));
        }
        Ok(count as usize)
    }

    fn bitmap(&mut self, len: usize) -> Result<BooleanBuffer> {
        let bytes = self.take(len.div_ceil(8))?;
        Ok(BooleanBuffer::new(Buffer::from_slice_ref(bytes), 0, len))
    }

    /// Offsets from lengths, for a child of which `per_byte` cells take at least a byte.
    fn offsets(&mut self, len: usize, per_byte: usize) -> Result<(OffsetBuffer<i32>, usize)> {
        let mut offsets = Vec::with_capacity(len + 1);
        let mut end = 0i32;
        offsets.push(end);
        for _ in 0..len {
            let length = i32::try_from(self.varint()?).map_err(|_| broken("a length is too large"))?;
            end = end.checked_add(length).ok_or_else(|| broken("a length is too large"))?;
            offsets.push(end);
        }
        if end as usize > self.0.len().saturating_mul(per_byte) {
            return Err(broken("the record is cut short"));
        }
        Ok((OffsetBuffer::new(offsets.into()), end as usize))
    }

    fn column(&mut self, ty: &DataType, len: usize, top: bool) -> Result<ArrayRef> {
        let nulls = match self.byte()? {
            ALL_VALID => None,
            ALL_NULL if top => return Ok(new_null_array(ty, len)),
            BITMAP => Some(NullBuffer::new(self.bitmap(len)?)),
            _ => return Err(broken("a column begins with an unknown mark")),
        };
        Ok(match ty {
            DataType::Boolean => Arc::new(BooleanArray::new(self.bitmap(len)?, nulls)),
            DataType::Int32 => Arc::new(self.fixed::<Int32Type, 4>(len, nulls, i32::from_le_bytes)?),
            DataType::Int64 => Arc::new(self.fixed::<Int64Type, 8>(len, nulls, i64::from_le_bytes)?),
            DataType::Float64 => Arc::new(self.fixed::<Float64Type, 8>(len, nulls, f64::from_le_bytes)?),
            DataType::Decimal128(precision, scale) => {
                let array = self.fixed::<Decimal128Type, 16>(len, nulls, i128::from_le_bytes)?;
                Arc::new(array.with_precision_and_scale(*precision, *scale)?)
            }
            DataType::Time32(_) => Arc::new(self.fixed::<Time32MillisecondType, 4>(len, nulls, i32::from_le_bytes)?),
            DataType::Date32 => Arc::new(self.fixed::<Date32Type, 4>(len, nulls, i32::from_le_bytes)?),
            DataType::Timestamp(..) => {
                Arc::new(self.fixed::<TimestampMillisecondType, 8>(len, nulls, i64::from_le_bytes)?)
            }
            DataType::Utf8 => {
                let (offsets, bytes) = self.offsets(len, 1)?;
                Arc::new(StringArray::try_new(offsets, Buffer::from_slice_ref(self.take(bytes)?), nulls)?)
            }
            DataType::Binary => {
                let (offsets, bytes) = self.offsets(len, 1)?;
                Arc::new(BinaryArray::try_new(offsets, Buffer::from_slice_ref(self.take(bytes)?), nulls)?)
            }
            DataType::List(item) => {
                let (offsets, cells) = self.offsets(len, 8)?;
                let items = self.column(item.data_type(), cells, false)?;
                Arc::new(ListArray::try_new(item.clone(), offsets, items, nulls)?)
            }
            DataType::Map(entries, sorted) => {
                let DataType::Struct(fields) = entries.data_type() else {
                    return Err(Error::internal("map entries are a struct"));
                };
                let (offsets, cells) = self.offsets(len, 8)?;
                let children = fields.iter().map(|field| self.column(field.data_type(), cells, false));
                let children = StructArray::try_new(fields.clone(), children.collect::<Result<_>>()?, None)?;
                Arc::new(MapArray::try_new(entries.clone(), offsets, children, nulls, *sorted)?)
            }
            DataType::Struct(fields) => {
                let children = fields.iter().map(|field| self.column(field.data_type(), len, false));
                let children = children.collect::<Result<Vec<_>>>()?;
                Arc::new(StructArray::try_new_with_length(fields.clone(), children, nulls, len)?)
            }
            other => return Err(Error::internal(format!("no SQL type has the Arrow type {other}"))),
        })
    }

    fn fixed<T: ArrowPrimitiveType, const N: usize>(
        &mut self,
        len: usize,
        nulls: Option<NullBuffer>,
        value: impl Fn([u8; N]) -> T::Native,
    ) -> Result<PrimitiveArray<T>> {
        let bytes = self.take(len.checked_mul(N).ok_or_else(|| broken("a length is too large"))?)?;
        let values: ScalarBuffer<T::Native> = bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect();
        Ok(PrimitiveArray::try_new(values, nulls)?)
    }
}
