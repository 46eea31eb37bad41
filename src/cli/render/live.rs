//! [`LiveTable`]: rows that come one by one, aligned without knowing the next.
//!
//! **Invariant:** a row is one line; columns only ever get wider, and on a screen never past its edge.

use super::{display_width, fit, right_aligned, value};
use crate::types::{SqlType, Value};

/// Layout of a running query's rows.
#[derive(Debug)]
pub struct LiveTable {
    columns: Vec<(String, SqlType)>,
    widths: Vec<usize>,
    limit: Option<usize>,
}

const GAP: &str = "  ";

impl LiveTable {
    /// A layout for these columns on a screen of `width` columns.
    pub fn new(columns: &[(String, SqlType)], width: Option<usize>) -> Self {
        let mut widths: Vec<usize> =
            columns.iter().map(|(name, ty)| display_width(name).max(usual_width(ty))).collect();
        if let Some(limit) = width {
            shrink(&mut widths, limit.saturating_sub(GAP.len() * columns.len().saturating_sub(1)));
        }
        Self { columns: columns.to_vec(), widths, limit: width }
    }

    /// The heading: names and a rule.
    pub fn header(&self) -> String {
        let names = self.columns.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        let rules: Vec<_> = self.widths.iter().map(|width| "-".repeat(*width)).collect();
        format!("{}\n{}\n", self.join(&names), rules.join(GAP))
    }

    /// One row as a line.
    pub fn row(&mut self, row: &[Value]) -> String {
        let cells: Vec<_> = row.iter().zip(&self.columns).map(|(v, (_, ty))| value::text(v, ty)).collect();
        self.cells(&cells)
    }

    /// A deleted row: its key, and `<tombstone>` for the rest.
    pub fn tombstone(&mut self, row: &[Value]) -> String {
        let mut cells = Vec::new();
        for (v, (_, ty)) in row.iter().zip(&self.columns) {
            cells.push(if v.is_null() { "<tombstone>".to_owned() } else { value::text(v, ty) });
        }
        self.cells(&cells)
    }

    fn cells(&mut self, cells: &[String]) -> String {
        self.widen(cells);
        format!("{}\n", self.join(cells))
    }

    /// Gives columns what their cells need while the line still fits.
    fn widen(&mut self, cells: &[String]) {
        for (i, cell) in cells.iter().enumerate() {
            let more = display_width(cell).saturating_sub(self.widths[i]);
            let total = self.widths.iter().sum::<usize>() + GAP.len() * (self.widths.len() - 1);
            let room = self.limit.map_or(more, |limit| limit.saturating_sub(total));
            self.widths[i] += more.min(room);
        }
    }

    fn join(&self, cells: &[String]) -> String {
        let mut line = String::new();
        for (i, (cell, width)) in cells.iter().zip(&self.widths).enumerate() {
            if i > 0 {
                line.push_str(GAP);
            }
            line.push_str(&fit(cell, *width, right_aligned(&self.columns[i].1)));
        }
        line.trim_end().to_owned()
    }
}

/// Columns that most values of the type fit into.
fn usual_width(ty: &SqlType) -> usize {
    match ty {
        SqlType::Boolean => 5,
        SqlType::Int => 8,
        SqlType::BigInt => 13,
        SqlType::Double | SqlType::Decimal(..) => 10,
        SqlType::String => 12,
        SqlType::Bytes => 16,
        SqlType::Time => 12,
        SqlType::Date => 10,
        SqlType::Timestamp => 23,
        SqlType::Array(_) | SqlType::Map(..) | SqlType::Struct(_) => 30,
    }
}

/// Takes from the widest until the sum fits; no column below four.
fn shrink(widths: &mut [usize], limit: usize) {
    while widths.iter().sum::<usize>() > limit {
        match widths.iter_mut().max() {
            Some(widest) if *widest > 4 => *widest -= 1,
            _ => return,
        }
    }
}
