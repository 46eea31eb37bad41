//! TRANSFORM, FILTER and REDUCE: the lambda's body is evaluated over all elements of all rows at once, with the
//! columns it reads repeated for each element.
//!
//! **Invariant:** an element that fails makes its whole row fail.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, UInt32Array};
use arrow::buffer::OffsetBuffer;
use arrow::compute;
use arrow::datatypes::DataType;

use super::{Failures, Rows, holding, nested};
use crate::error::{Error, Result};
use crate::expr::node::{LambdaFunction, Node};
use crate::types::java_map::walk_order;
use crate::types::{SqlType, Value, ValueBuilder};

/// A call of a function with lambdas.
pub(super) struct Call<'a> {
    /// The start value of REDUCE.
    pub(super) initial: Option<&'a Node>,
    pub(super) bodies: &'a [Node],
    /// The column number of the first parameter.
    pub(super) first: usize,
    pub(super) ty: &'a SqlType,
}

/// All elements of the rows that have a collection.
struct Elements {
    /// An array's items, or a map's keys and values.
    columns: Vec<ArrayRef>,
    /// The row of each element.
    parents: Vec<u32>,
    lengths: Vec<usize>,
}

impl Elements {
    /// `walked`: a map's entries stand in the order in which Java walks them.
    fn of(collection: &ArrayRef, walked: bool) -> Self {
        let (offsets, children): (&[i32], Vec<&ArrayRef>) = match collection.as_map_opt() {
            Some(map) => (map.value_offsets(), vec![map.keys(), map.values()]),
            None => {
                let list = collection.as_list::<i32>();
                (list.value_offsets(), vec![list.values()])
            }
        };
        let (mut picked, mut parents, mut lengths) = (Vec::new(), Vec::new(), Vec::new());
        for row in 0..collection.len() {
            let range = if collection.is_null(row) { 0..0 } else { offsets[row] as u32..offsets[row + 1] as u32 };
            lengths.push(range.len());
            parents.extend(std::iter::repeat_n(row as u32, range.len()));
            match children[..] {
                [keys, _] if walked => {
                    let of_row: Vec<Value> =
                        range.clone().map(|at| Value::from_array(keys.as_ref(), at as usize)).collect();
                    picked.extend(walk_order(&of_row).into_iter().map(|at| range.start + at as u32));
                }
                _ => picked.extend(range),
            }
        }
        let picked = UInt32Array::from(picked);
        let columns = children
            .into_iter()
            .map(|child| compute::take(child, &picked, None).unwrap_or_else(|_| child.slice(0, 0)))
            .collect();
        Self { columns, parents, lengths }
    }
}

impl Call<'_> {
    pub(super) fn evaluate(
        &self,
        function: LambdaFunction,
        collection: &ArrayRef,
        rows: &Rows,
        failures: &mut Failures,
    ) -> Result<ArrayRef> {
        let elements = Elements::of(collection, matches!(function, LambdaFunction::Reduce));
        match function {
            LambdaFunction::Transform => self.transform(collection, elements, rows, failures),
            LambdaFunction::Filter => self.filter(collection, &elements, rows, failures),
            LambdaFunction::Reduce => self.reduce(&elements, rows, failures),
        }
    }

    /// A body over `params`, one row an element; `parents` are the rows they belong to.
    fn body(
        &self,
        body: &Node,
        params: Vec<ArrayRef>,
        parents: &[u32],
        rows: &Rows,
        failures: &mut Failures,
    ) -> Result<ArrayRef> {
        let mut used = Vec::new();
        body.mark_columns(&mut used);
        used.truncate(self.first);
        let indices = UInt32Array::from(parents.to_vec());
        let mut inner_rows = rows.select(&used, parents.len(), |column| Ok(compute::take(column, &indices, None)?))?;
        inner_rows.in_lambda = true;
        inner_rows.columns.truncate(self.first);
        inner_rows.columns.extend(params);
        let mut inner = Failures::default();
        let result = body.cells(&inner_rows, &mut inner)?.expand(parents.len())?;
        failures.merge(inner, |element| parents[element] as usize);
        Ok(result)
    }

    fn transform(
        &self,
        collection: &ArrayRef,
        elements: Elements,
        rows: &Rows,
        failures: &mut Failures,
    ) -> Result<ArrayRef> {
        let Elements { columns, parents, lengths } = elements;
        let results = self
            .bodies
            .iter()
            .map(|body| self.body(body, columns.clone(), &parents, rows, failures))
            .collect::<Result<Vec<_>>>()?;
        if let [keys, values] = results.as_slice() {
            let mut out = ValueBuilder::new(self.ty, rows.len);
            let mut start = 0;
            for (row, length) in lengths.into_iter().enumerate() {
                let range = start..start + length;
                start += length;
                if collection.is_null(row) {
                    out.push_null();
                    continue;
                }
                let pairs = range.map(|i| (Value::from_array(keys, i), Value::from_array(values, i)));
                match nested::collect_map(pairs) {
                    Ok(map) => out.push(&map),
                    Err(reason) => {
                        failures.add(row, reason);
                        out.push_null();
                    }
                }
            }
            return Ok(out.finish());
        }
        self.assemble(collection, results, lengths)
    }

    fn filter(
        &self,
        collection: &ArrayRef,
        elements: &Elements,
        rows: &Rows,
        failures: &mut Failures,
    ) -> Result<ArrayRef> {
        let body = self.bodies.first().ok_or_else(|| Error::internal("FILTER without lambda"))?;
        let keep = self.body(body, elements.columns.clone(), &elements.parents, rows, failures)?;
        let keep = holding(keep.as_boolean());
        let mut lengths = vec![0; rows.len];
        for (i, parent) in elements.parents.iter().enumerate() {
            lengths[*parent as usize] += usize::from(keep.value(i));
        }
        let columns =
            elements.columns.iter().map(|column| Ok(compute::filter(column, &keep)?)).collect::<Result<Vec<_>>>()?;
        self.assemble(collection, columns, lengths)
    }

    /// A list or a map of the children; rows without a collection stay NULL.
    fn assemble(&self, collection: &ArrayRef, columns: Vec<ArrayRef>, lengths: Vec<usize>) -> Result<ArrayRef> {
        let offsets = OffsetBuffer::from_lengths(lengths);
        let nulls = collection.nulls().cloned();
        let mut columns = columns.into_iter();
        match (self.ty.arrow(), columns.next(), columns.next()) {
            (DataType::List(field), Some(items), None) => {
                Ok(Arc::new(ListArray::try_new(field, offsets, items, nulls)?))
            }
            (DataType::Map(field, ordered), Some(keys), Some(values)) => {
                let DataType::Struct(fields) = field.data_type().clone() else {
                    return Err(Error::internal("map entries are no struct"));
                };
                let entries = StructArray::try_new(fields, vec![keys, values], None)?;
                Ok(Arc::new(MapArray::try_new(field, offsets, entries, nulls, ordered)?))
            }
            _ => Err(Error::internal("a lambda function's result is no collection")),
        }
    }

    /// > KSQL: a NULL collection gives the start value; a NULL start value gives NULL.
    fn reduce(&self, elements: &Elements, rows: &Rows, failures: &mut Failures) -> Result<ArrayRef> {
        let body = self.bodies.first().ok_or_else(|| Error::internal("REDUCE without lambda"))?;
        let initial = self.initial.ok_or_else(|| Error::internal("REDUCE without start"))?;
        let initial = initial.cells(rows, failures)?.expand(rows.len)?;
        let starts: Vec<usize> = elements
            .lengths
            .iter()
            .scan(0, |next, length| {
                let start = *next;
                *next += length;
                Some(start)
            })
            .collect();
        let mut state = initial.clone();
        for step in 0.. {
            let active: Vec<u32> = (0..rows.len as u32)
                .filter(|row| elements.lengths[*row as usize] > step && initial.is_valid(*row as usize))
                .collect();
            if active.is_empty() {
                break;
            }
            let at: UInt32Array = active.iter().map(|row| (starts[*row as usize] + step) as u32).collect();
            let mut params = vec![compute::take(&state, &UInt32Array::from(active.clone()), None)?];
            for column in &elements.columns {
                params.push(compute::take(column, &at, None)?);
            }
            let next = self.body(body, params, &active, rows, failures)?;
            let mut choice: Vec<(usize, usize)> = (0..rows.len).map(|row| (0, row)).collect();
            for (i, row) in active.iter().enumerate() {
                choice[*row as usize] = (1, i);
            }
            state = compute::interleave(&[state.as_ref(), next.as_ref()], &choice)?;
        }
        Ok(state)
    }
}
