//! The demo's texts: a frame for a screen, a report for a pipe, the summary at the end.
//!
//! **Invariant:** pure; a frame is written at once and covers what the last one left, so that nothing flickers.

use std::time::Duration;

use chrono::DateTime;

use super::board::{Board, QueryLine};
use crate::cli::duration::format_duration;
use crate::cli::render;
use crate::cli::theme::{Label, Theme};
use crate::engine::{QueryState, QueryStatus};

/// A screen of its own, no cursor.
pub const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";

/// The user's screen back.
pub const LEAVE: &str = "\x1b[?25h\x1b[?1049l";

/// Columns of the table of queries: heading, width, whether numbers.
const COLUMNS: [(&str, usize, bool); 7] = [
    ("QUERY", 0, false),
    ("STATE", 9, false),
    ("IN/S", 7, true),
    ("OUT/S", 7, true),
    ("LAG", 6, true),
    ("LATE", 6, true),
    ("ERRORS", 6, true),
];

/// One frame for a screen of `size` columns and rows.
pub fn frame(board: &Board, size: (usize, usize), theme: Theme) -> String {
    let (width, height) = size;
    let mut lines = vec![title(board, width, theme), String::new()];
    let fixed: usize = COLUMNS[1..].iter().map(|(_, width, _)| width + 1).sum();
    let longest = board.queries.iter().map(|line| name(&line.status).len()).max().unwrap_or(0).max(5);
    let name_width = longest.min(width.saturating_sub(fixed)).max(8);
    lines.push(theme.paint(Label::Heading, &row(&COLUMNS.map(|(name, ..)| name.to_owned()), name_width)));
    for query in &board.queries {
        let text = row(&cells(query), name_width);
        lines.push(theme.paint(state_label(&query.status.state), &render::fit(&text, width, false)));
        if let QueryState::Error(reason) = &query.status.state {
            lines.push(theme.paint(Label::Bad, &render::fit(&format!("  {reason}"), width, false)));
        }
    }
    if board.queries.is_empty() {
        lines.push("(deploying …)".to_owned());
    }
    let room = height.saturating_sub(lines.len() + 1);
    lines.extend(results(board, width, room, theme));
    paint(&lines, size)
}

/// A frame that holds only a sentence.
pub fn frame_of_text(text: &str, size: (usize, usize)) -> String {
    paint(&[render::fit(text, size.0, false)], size)
}

/// One write: cursor home, each line cleared to its end, the rest of the screen cleared.
fn paint(lines: &[String], (_, height): (usize, usize)) -> String {
    let mut out = String::from("\x1b[?2026h\x1b[H");
    for (i, line) in lines.iter().take(height).enumerate() {
        if i > 0 {
            out.push_str("\r\n");
        }
        out.push_str(line);
        out.push_str("\x1b[K");
    }
    out.push_str("\x1b[J\x1b[?2026l");
    out
}

fn title(board: &Board, width: usize, theme: Theme) -> String {
    let event_time = board.event_time().map_or_else(|| "--:--:--".to_owned(), clock_time);
    let name = "eddyline demo";
    let rest = format!(
        "  {}   event time {event_time} ({}x)   {} records generated   Ctrl-C ends",
        minutes(board.elapsed_us),
        board.speed,
        thousands(board.generated),
    );
    let fitted = render::fit(&rest, width.saturating_sub(name.len()), false);
    format!("{}{}", theme.paint(Label::Name, name), fitted.trim_end())
}

fn cells(query: &QueryLine) -> [String; 7] {
    let status = &query.status;
    [
        name(status).to_owned(),
        status.state.name().to_owned(),
        thousands(query.rate_in.round() as u64),
        thousands(query.rate_out.round() as u64),
        thousands(status.lag),
        thousands(status.rows_late),
        thousands(status.errors),
    ]
}

fn row(cells: &[String; 7], name_width: usize) -> String {
    let mut out = String::new();
    for (cell, (_, width, right)) in cells.iter().zip(COLUMNS) {
        let width = if width == 0 { name_width } else { width };
        out.push_str(&render::fit(cell, width, right));
        out.push(' ');
    }
    out.trim_end().to_owned()
}

/// What it fills says more than its number, in fewer letters.
fn name(status: &QueryStatus) -> &str {
    if status.sink.is_empty() { &status.id } else { &status.sink }
}

fn state_label(state: &QueryState) -> Label {
    match state {
        QueryState::Running => Label::Good,
        QueryState::Restoring | QueryState::Paused => Label::Warning,
        QueryState::Error(_) => Label::Bad,
    }
}

/// Newest results, as many of each topic as fit evenly.
fn results(board: &Board, width: usize, room: usize, theme: Theme) -> Vec<String> {
    let topics = board.tails.len().max(1);
    let each = (room / topics).saturating_sub(2).clamp(1, 4);
    let mut lines = Vec::new();
    for tail in &board.tails {
        if lines.len() + 2 > room {
            break;
        }
        // The blank line between topics is the first thing that a low screen goes without.
        if room >= topics * 3 {
            lines.push(String::new());
        }
        let heading = theme.paint(Label::Heading, &tail.topic);
        let count = theme.paint(Label::Quiet, &format!("  {} records", thousands(tail.count)));
        lines.push(format!("{heading}{count}"));
        for line in tail.newest.iter().rev().take(each) {
            lines.push(render::fit(&format!("  {line}"), width, false).trim_end().to_owned());
        }
    }
    lines.truncate(room);
    lines
}

/// What happened so far, for a pipe: a line a query, and the newest result of each topic.
pub fn report(board: &Board) -> String {
    let event_time = board.event_time().map_or_else(|| "none yet".to_owned(), clock_time);
    let mut out = format!("[{}] generated {} · event time {event_time}\n", minutes(board.elapsed_us), board.generated);
    for query in &board.queries {
        let status = &query.status;
        out.push_str(&format!(
            "  {} {}: in {} ({:.0}/s), out {} ({:.0}/s), lag {}, late {}, errors {}\n",
            name(status),
            status.state.name(),
            status.rows_in,
            query.rate_in,
            status.rows_out,
            query.rate_out,
            status.lag,
            status.rows_late,
            status.errors,
        ));
        if let QueryState::Error(reason) = &status.state {
            out.push_str(&format!("    {reason}\n"));
        }
    }
    for tail in board.tails.iter().filter(|tail| !tail.newest.is_empty()) {
        out.push_str(&format!("  {} {}\n", tail.topic, tail.newest.back().map_or("", String::as_str)));
    }
    out
}

/// What happened in all.
pub fn summary(board: &Board, width: Option<usize>) -> String {
    let header = ["QUERY", "STATE", "IN", "OUT", "LATE", "ERRORS"].map(String::from).to_vec();
    let rows = board
        .queries
        .iter()
        .map(|QueryLine { status, .. }| {
            vec![
                name(status).to_owned(),
                status.state.name().to_owned(),
                thousands(status.rows_in),
                thousands(status.rows_out),
                thousands(status.rows_late),
                thousands(status.errors),
            ]
        })
        .collect();
    let table = render::grid(header, rows, &[false, false, true, true, true, true], width);
    let elapsed = format_duration(Duration::from_secs((board.elapsed_us / 1_000_000).max(0) as u64));
    let mut out = format!("{} records generated in {elapsed}\n\n{table}", thousands(board.generated));
    let counts: Vec<_> = board.tails.iter().map(|tail| format!("{} {}", thousands(tail.count), tail.topic)).collect();
    if !counts.is_empty() {
        out.push_str(&format!("\nResults: {}\n", counts.join(" · ")));
    }
    out
}

fn clock_time(ms: i64) -> String {
    DateTime::from_timestamp_millis(ms).unwrap_or_default().format("%H:%M:%S").to_string()
}

fn minutes(us: i64) -> String {
    let seconds = us / 1_000_000;
    format!("{:02}:{:02}", seconds / 60, seconds % 60)
}

/// `1,234,567`
fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::demo::board::Tail;
    use crate::engine::QueryNumbers;

    fn board() -> Board {
        let mut board = Board::new(60.0);
        let status = |rows_in, rows_out| QueryStatus {
            id: "CSAS_LARGE_ORDERS_3".into(),
            sql: String::new(),
            sink: "LARGE_ORDERS".into(),
            sink_topic: "large_orders".into(),
            state: QueryState::Running,
            rows_in,
            rows_out,
            rows_late: 3,
            errors: 1,
            lag: 0,
            stream_time: Some(1_600_000_000_000),
            numbers: QueryNumbers::default(),
        };
        board.take(&[status(0, 0)], 0);
        board.take(&[status(3_000, 60)], 2_000_000);
        board.elapsed_us = 65_000_000;
        board.generated = 26_000;
        let tail: &mut Tail = &mut board.tails[0];
        tail.count = 60;
        tail.newest.extend(["old".to_owned(), format!("ord-1  {}", "x".repeat(200))]);
        board
    }

    fn visible(frame: &str) -> Vec<String> {
        let mut text = frame.to_owned();
        for code in ["\x1b[?2026h", "\x1b[?2026l", "\x1b[H", "\x1b[K", "\x1b[J"] {
            text = text.replace(code, "");
        }
        text.split("\r\n").map(str::to_owned).collect()
    }

    #[test]
    fn frames_fit_the_screen() {
        for size in [(80, 24), (120, 40), (60, 10), (40, 5)] {
            let lines = visible(&frame(&board(), size, Theme::plain()));
            assert!(lines.len() <= size.1, "{size:?}: {} lines", lines.len());
            for line in &lines {
                assert!(render::display_width(line) <= size.0.max(64), "{size:?}: {line}");
            }
        }
    }

    #[test]
    fn frames_tell_rates_and_newest_results() {
        let lines = visible(&frame(&board(), (100, 24), Theme::plain()));
        assert!(
            lines[0].starts_with("eddyline demo  01:05   event time 12:26:40 (60x)   26,000 records"),
            "{}",
            lines[0]
        );
        assert_eq!(lines[3].trim_end(), "LARGE_ORDERS RUNNING     1,500      30      0      3      1");
        assert_eq!(lines[5], "large_orders  60 records");
        assert!(lines[6].starts_with("  ord-1  xxx") && lines[6].ends_with('…'), "newest first");
        assert_eq!(lines[7], "  old");
    }

    #[test]
    fn reports_and_summary_are_plain() {
        let report = report(&board());
        assert!(report.contains("LARGE_ORDERS RUNNING: in 3000 (1500/s), out 60 (30/s), lag 0, late 3, errors 1"));
        let summary = summary(&board(), None);
        assert!(summary.starts_with("26,000 records generated in 1m5s\n"));
        assert!(summary.ends_with("\nResults: 60 large_orders\n"), "{summary}");
        assert!(!report.contains('\x1b') && !summary.contains('\x1b'));
    }
}
