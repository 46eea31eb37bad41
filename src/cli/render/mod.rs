//! Results and errors as text: values, tables, JSON lines, CSV, live rows, underlined mistakes.
//!
//! **Invariant:** pure functions from data to text; nothing here prints.

pub mod diagnose;
pub mod live;
pub mod value;

#[cfg(test)]
mod tests;

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};
use unicode_width::UnicodeWidthStr;

use crate::engine::TableResult;
use crate::types::{SqlType, Value};

/// A finished result as aligned columns, no wider than `width`.
pub fn table(result: &TableResult, width: Option<usize>) -> String {
    let header = result.columns.iter().map(|(name, _)| name.clone()).collect();
    let numeric: Vec<bool> = result.columns.iter().map(|(_, ty)| right_aligned(ty)).collect();
    let rows = result
        .rows
        .iter()
        .map(|row| row.iter().zip(&result.columns).map(|(value, (_, ty))| value::text(value, ty)).collect())
        .collect();
    grid(header, rows, &numeric, width)
}

/// Any texts as aligned columns under a header; `right` says which columns stand on the right.
pub fn grid(header: Vec<String>, rows: Vec<Vec<String>>, right: &[bool], width: Option<usize>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING);
    // A rule below the header and two blanks between columns: copies well, reads well, costs no width.
    table.set_style(comfy_table::TableComponent::HeaderLines, '-');
    table.set_style(comfy_table::TableComponent::MiddleHeaderIntersections, ' ');
    table.set_style(comfy_table::TableComponent::VerticalLines, ' ');
    table.set_content_arrangement(ContentArrangement::Disabled);
    if let Some(width) = width {
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    }
    table.set_header(header);
    table.add_rows(rows);
    for (column, right) in table.column_iter_mut().zip(right) {
        column.set_padding((0, 1));
        if *right {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Whether values of the type line up at their ends.
pub fn right_aligned(ty: &SqlType) -> bool {
    ty.is_numeric()
}

/// One row as a JSON object, column names as keys.
pub fn json_row(columns: &[(String, SqlType)], row: &[Value]) -> String {
    let mut out = String::from("{");
    for (i, ((name, ty), value)) in columns.iter().zip(row).enumerate() {
        if i > 0 {
            out.push(',');
        }
        value::json_string(name, &mut out);
        out.push(':');
        value::json(value, ty, &mut out);
    }
    out.push('}');
    out
}

/// The header line of CSV output.
pub fn csv_header(columns: &[(String, SqlType)]) -> String {
    join_csv(columns.iter().map(|(name, _)| name.clone()))
}

/// One row as a CSV line; NULL is an empty field, an empty text `""`.
pub fn csv_row(columns: &[(String, SqlType)], row: &[Value]) -> String {
    join_csv(columns.iter().zip(row).map(|((_, ty), value)| match value {
        Value::Null => String::new(),
        value if ty.is_nested() => {
            let mut out = String::new();
            value::json(value, ty, &mut out);
            quote_csv(&out)
        }
        Value::String(text) if text.is_empty() => "\"\"".to_owned(),
        value => quote_csv(&value::text(value, ty)),
    }))
}

fn join_csv(fields: impl Iterator<Item = String>) -> String {
    fields.collect::<Vec<_>>().join(",")
}

fn quote_csv(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

/// Columns that a text takes on the screen.
pub fn display_width(text: &str) -> usize {
    text.width()
}

/// The text cut or filled to exactly `width` columns; a cut ends in `…`.
pub fn fit(text: &str, width: usize, right: bool) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let taken = display_width(&clean);
    if taken <= width {
        let fill = " ".repeat(width - taken);
        return if right { fill + &clean } else { clean + &fill };
    }
    let mut out = String::new();
    let mut used = 0;
    for c in clean.chars() {
        let one = display_width(c.encode_utf8(&mut [0; 4]));
        if used + one > width.saturating_sub(1) {
            break;
        }
        used += one;
        out.push(c);
    }
    out.push('…');
    out + &" ".repeat(width.saturating_sub(used + 1))
}
