//! Building arrays, maps and structs, and reaching into them.
//!
//! > KSQL: an element that fails is NULL by itself; the collection stays.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute;
use arrow::datatypes::{DataType, Int64Type};

use super::{Cells, Failures, Rows};
use crate::error::{Error, Result};
use crate::expr::node::Node;
use crate::types::sql_type::struct_fields;
use crate::types::{SqlType, Value, ValueBuilder};

/// An element's cells, failures contained in it.
pub(super) fn element(node: &Node, rows: &Rows, failures: &mut Failures) -> Result<ArrayRef> {
    let mut inner = Failures::default();
    let array = node.result(rows, &mut inner)?;
    failures.contain(inner, |row| row);
    Ok(array)
}

/// `ARRAY[…]`
pub(super) fn array(items: &[Node], ty: &SqlType, rows: &Rows, failures: &mut Failures) -> Result<ArrayRef> {
    let columns = items.iter().map(|item| element(item, rows, failures)).collect::<Result<Vec<_>>>()?;
    let arrays: Vec<&dyn Array> = columns.iter().map(AsRef::as_ref).collect();
    let indices: Vec<_> = (0..rows.len).flat_map(|row| (0..arrays.len()).map(move |item| (item, row))).collect();
    let DataType::List(field) = ty.arrow() else { return Err(Error::internal("an array is no list")) };
    let values = compute::interleave(&arrays, &indices)?;
    let offsets = OffsetBuffer::from_repeated_length(arrays.len(), rows.len);
    Ok(Arc::new(ListArray::try_new(field, offsets, values, None)?))
}

/// `MAP(…)`; the last of several equal keys counts.
pub(super) fn map(entries: &[(Node, Node)], ty: &SqlType, rows: &Rows, failures: &mut Failures) -> Result<ArrayRef> {
    let columns = entries
        .iter()
        .map(|(key, value)| Ok((element(key, rows, failures)?, element(value, rows, failures)?)))
        .collect::<Result<Vec<_>>>()?;
    let mut out = ValueBuilder::new(ty, rows.len);
    for row in 0..rows.len {
        let pairs = columns.iter().map(|(k, v)| (map_key(k, row), Value::from_array(v, row)));
        match collect_map(pairs) {
            Ok(map) => out.push(&map),
            Err(reason) => {
                failures.add(row, reason);
                out.push_null();
            }
        }
    }
    Ok(out.finish())
}

/// > KSQL: a NULL key of text is written as `null`.
fn map_key(keys: &ArrayRef, row: usize) -> Value {
    match Value::from_array(keys, row) {
        Value::Null if *keys.data_type() == DataType::Utf8 => Value::String("null".to_owned()),
        key => key,
    }
}

/// A map of the pairs: the last of several equal keys counts, at the first one's place.
pub(super) fn collect_map(pairs: impl Iterator<Item = (Value, Value)>) -> Result<Value, String> {
    let mut entries: Vec<(Value, Value)> = Vec::new();
    for (key, value) in pairs {
        if key.is_null() {
            return Err("a map's key is NULL".to_owned());
        }
        match entries.iter_mut().find(|(k, _)| *k == key) {
            Some(entry) => entry.1 = value,
            None => entries.push((key, value)),
        }
    }
    Ok(Value::Map(entries))
}

/// `STRUCT(…)`
pub(super) fn structure(fields: &[Node], ty: &SqlType, rows: &Rows, failures: &mut Failures) -> Result<ArrayRef> {
    let SqlType::Struct(names) = ty else { return Err(Error::internal("a struct is no struct")) };
    let columns = fields.iter().map(|field| element(field, rows, failures)).collect::<Result<Vec<_>>>()?;
    if columns.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(rows.len, None)));
    }
    Ok(Arc::new(StructArray::try_new(struct_fields(names), columns, None)?))
}

/// `base[index]`: from 1, negative from the end; what is out of range is NULL.
pub(super) fn item(base: Cells, index: &Cells, rows: usize) -> Result<ArrayRef> {
    let list = base.array().as_list::<i32>();
    let index_values: &Int64Array = index.array().as_primitive::<Int64Type>();
    let offsets = list.value_offsets();
    let picked = (0..rows).map(|row| {
        let (at, i) = (base.at(row), index.at(row));
        if list.is_null(at) || index_values.is_null(i) {
            return None;
        }
        let (start, end) = (i64::from(offsets[at]), i64::from(offsets[at + 1]));
        let position = match index_values.value(i) {
            0 => return None,
            from_start @ 1.. => start.checked_add(from_start - 1)?,
            from_end => end.checked_add(from_end)?,
        };
        (start..end).contains(&position).then_some(position as u32)
    });
    let picked: UInt32Array = picked.collect();
    Ok(compute::take(list.values(), &picked, None)?)
}

/// `base[key]`; a key that is not there is NULL.
pub(super) fn entry(base: Cells, key: &Cells, rows: usize) -> Result<ArrayRef> {
    let map = base.array().as_map();
    let offsets = map.value_offsets();
    let strings = map.keys().as_string_opt::<i32>().zip(key.array().as_string_opt::<i32>());
    let picked = (0..rows).map(|row| {
        let (at, k) = (base.at(row), key.at(row));
        if map.is_null(at) || key.array().is_null(k) {
            return None;
        }
        let mut range = offsets[at] as usize..offsets[at + 1] as usize;
        let found = match strings {
            Some((keys, wanted)) => range.find(|i| keys.value(*i) == wanted.value(k)),
            None => {
                let wanted = Value::from_array(key.array(), k);
                range.find(|i| Value::from_array(map.keys(), *i) == wanted)
            }
        };
        found.map(|i| i as u32)
    });
    let picked: UInt32Array = picked.collect();
    Ok(compute::take(map.values(), &picked, None)?)
}

/// `base->field`; NULL when the struct is.
pub(super) fn field(base: &ArrayRef, at: usize) -> Result<ArrayRef> {
    let structs = base.as_struct();
    let column = structs.column(at);
    if structs.null_count() == 0 {
        Ok(column.clone())
    } else {
        Ok(compute::nullif(column, &compute::is_null(structs)?)?)
    }
}
