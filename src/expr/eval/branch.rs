//! AND, OR, IN and CASE: operands that only count for some rows.
//!
//! **Invariant:** what a row does not reach cannot make it fail.

use std::sync::Arc;

use ahash::AHashSet;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, UInt32Array, new_null_array};
use arrow::compute;
use arrow::compute::kernels::zip::zip;
use arrow::datatypes::{DataType, Int32Type, Int64Type};

use super::{Cells, Failures, Rows, compare, holding};
use crate::error::Result;
use crate::expr::node::{Kind, Node};
use crate::sql::ast::BinaryOp;
use crate::types::SqlType;

/// `left AND right`, or `left OR right`: the right side counts where the left one does not decide.
///
/// > KSQL: a NULL operand that is reached makes the whole predicate fail; here the result is NULL.
pub(super) fn logic(left: &Node, right: &Node, rows: &Rows, failures: &mut Failures, or: bool) -> Result<Cells> {
    let left = left.cells(rows, failures)?;
    let mut inner = Failures::default();
    let right = right.cells(rows, &mut inner)?;
    let same = left.same() && right.same();
    let len = if same { 1 } else { rows.len };
    if !inner.is_empty() {
        let decided = left.array().as_boolean();
        inner.retain(|row| {
            let at = left.at(row);
            decided.is_valid(at) && decided.value(at) != or
        });
        failures.merge(inner, |row| row);
    }
    let (left, right) = (left.expand(len)?, right.expand(len)?);
    let (a, b) = (left.as_boolean(), right.as_boolean());
    let result = match (a.null_count() + b.null_count() > 0, or) {
        (false, false) => compute::and(a, b)?,
        (false, true) => compute::or(a, b)?,
        (true, false) => compute::and_kleene(a, b)?,
        (true, true) => compute::or_kleene(a, b)?,
    };
    let result: ArrayRef = Arc::new(result);
    let result = if a.null_count() > 0 { compute::nullif(&result, &compute::is_null(a)?)? } else { result };
    Ok(Cells::wrap(result, same))
}

/// A list longer than this is looked up in a set.
const FEW: usize = 8;

/// `IN` by lookup, for a list of literals of a type that hashes.
fn in_set(array: &ArrayRef, list: &[Node]) -> Option<BooleanArray> {
    let literals = list
        .iter()
        .map(|node| match &node.kind {
            Kind::Literal(literal) => Some(literal),
            _ => None,
        })
        .collect::<Option<Vec<_>>>()?;
    let literals = literals.into_iter().filter(|literal| literal.is_valid(0));
    macro_rules! lookup {
        ($get:expr) => {{
            let set: AHashSet<_> = literals.map(|literal| $get(literal, 0)).collect();
            (0..array.len()).map(|row| Some(array.is_valid(row) && set.contains(&$get(array, row)))).collect()
        }};
    }
    Some(match array.data_type() {
        DataType::Utf8 => lookup!(string_at),
        DataType::Int32 => lookup!(|array: &ArrayRef, row| array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => lookup!(|array: &ArrayRef, row| array.as_primitive::<Int64Type>().value(row)),
        _ => return None,
    })
}

fn string_at(array: &ArrayRef, row: usize) -> &str {
    array.as_string::<i32>().value(row)
}

/// `expr IN (list)`; a NULL on either side matches nothing.
pub(super) fn in_list(expr: &Node, list: &[Node], rows: &Rows, failures: &mut Failures) -> Result<Cells> {
    let cells = expr.cells(rows, failures)?;
    if list.len() > FEW
        && let Cells::Each(array) = &cells
        && let Some(found) = in_set(array, list)
    {
        return Ok(Cells::Each(Arc::new(found)));
    }
    let mut found: Option<(BooleanArray, bool)> = None;
    for item in list {
        let item = item.cells(rows, failures)?;
        let same = cells.same() && item.same();
        let hit = compare::compare(BinaryOp::Eq, &cells, &item, if same { 1 } else { rows.len })?;
        found = Some(match found {
            None => (hit, same),
            Some((before, true)) if !same => {
                let before = Cells::Same(Arc::new(before) as ArrayRef).expand(rows.len)?;
                (compute::or(before.as_boolean(), &hit)?, false)
            }
            Some((before, false)) if same => {
                let hit = Cells::Same(Arc::new(hit) as ArrayRef).expand(rows.len)?;
                (compute::or(&before, hit.as_boolean())?, false)
            }
            Some((before, _)) => (compute::or(&before, &hit)?, same),
        });
    }
    let (result, same) = found.unwrap_or_else(|| (BooleanArray::from(vec![false]), true));
    Ok(Cells::wrap(Arc::new(result), same))
}

/// `CASE`: each row has the value of its first condition that holds.
pub(super) fn case(
    whens: &[(Node, Node)],
    otherwise: Option<&Node>,
    ty: &SqlType,
    rows: &Rows,
    failures: &mut Failures,
) -> Result<ArrayRef> {
    let mut parts = whens.iter().flat_map(|(when, then)| [when, then]).chain(otherwise);
    if !rows.in_lambda && parts.all(Node::cannot_fail) {
        return case_at_once(whens, otherwise, ty, rows, failures);
    }
    // Source 0 is NULL, for rows that nothing chooses.
    let mut sources: Vec<ArrayRef> = vec![new_null_array(&ty.arrow(), 1)];
    let mut choice: Vec<(usize, usize)> = vec![(0, 0); rows.len];
    let mut remaining: Vec<u32> = (0..rows.len as u32).collect();
    let mut choose = |picked: &[u32], node: &Node, failures: &mut Failures| -> Result<()> {
        if picked.is_empty() {
            return Ok(());
        }
        let cells = over(node, rows, picked, failures)?;
        for (i, row) in picked.iter().enumerate() {
            choice[*row as usize] = (sources.len(), cells.at(i));
        }
        sources.push(cells.array().clone());
        Ok(())
    };
    for (when, then) in whens {
        if remaining.is_empty() {
            break;
        }
        let condition = over(when, rows, &remaining, failures)?;
        let holds = condition.array().as_boolean();
        let (mut picked, mut rest) = (Vec::new(), Vec::new());
        for (i, row) in remaining.into_iter().enumerate() {
            let at = condition.at(i);
            let chosen = holds.is_valid(at) && holds.value(at);
            if chosen { &mut picked } else { &mut rest }.push(row);
        }
        remaining = rest;
        choose(&picked, then, failures)?;
    }
    if let Some(node) = otherwise {
        choose(&remaining, node, failures)?;
    }
    let arrays: Vec<&dyn Array> = sources.iter().map(AsRef::as_ref).collect();
    Ok(compute::interleave(&arrays, &choice)?)
}

/// [`case`] when every part is cheap and cannot fail: all of them over all rows, then chosen from the last to the first.
fn case_at_once(
    whens: &[(Node, Node)],
    otherwise: Option<&Node>,
    ty: &SqlType,
    rows: &Rows,
    failures: &mut Failures,
) -> Result<ArrayRef> {
    let mut result = match otherwise {
        Some(node) => node.cells(rows, failures)?,
        None => Cells::Same(new_null_array(&ty.arrow(), 1)),
    };
    for (when, then) in whens.iter().rev() {
        let condition = when.cells(rows, failures)?.expand(rows.len)?;
        let then = then.cells(rows, failures)?;
        result = Cells::Each(zip(&holding(condition.as_boolean()), &then, &result)?);
    }
    result.expand(rows.len)
}

/// The cells of `node` for the rows `picked`, in that order.
pub(super) fn over(node: &Node, rows: &Rows, picked: &[u32], failures: &mut Failures) -> Result<Cells> {
    if picked.len() == rows.len || matches!(node.kind, Kind::Literal(_)) {
        return node.cells(rows, failures);
    }
    let mut used = Vec::new();
    node.mark_columns(&mut used);
    let indices = UInt32Array::from(picked.to_vec());
    let subset = rows.select(&used, picked.len(), |column| Ok(compute::take(column, &indices, None)?))?;
    let mut inner = Failures::default();
    let cells = node.cells(&subset, &mut inner)?;
    failures.merge(inner, |row| picked[row] as usize);
    Ok(cells)
}
