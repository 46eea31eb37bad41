//! Errors as text: with the place underlined in the script that they are about.

use std::fmt;

use miette::{Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode};

use crate::cli::failure::Script;
use crate::error::{Error, ErrorKind, Span};

/// For a terminal: drawn by miette.
pub fn graphical(error: &Error, script: Option<&Script>, width: usize, plain: bool) -> String {
    let report = Report::new(error, script);
    let theme = if plain { GraphicalTheme::unicode_nocolor() } else { GraphicalTheme::unicode() };
    let mut out = String::new();
    let handler = GraphicalReportHandler::new_themed(theme).with_width(width.max(40)).with_links(false);
    match handler.render_report(&mut out, &report) {
        Ok(()) => out,
        Err(_) => self::plain(error, script),
    }
}

/// For files and pipes: `error: …`, `--> script:line:column`, the line, `^^^^` below it, hints.
pub fn plain(error: &Error, script: Option<&Script>) -> String {
    let mut out = format!("{}: {error}\n", heading(error.kind()));
    if let (Some(script), Some(span)) = (script, error.span()) {
        let span = clamp(span, &script.text);
        let (line, column) = span.line_column(&script.text);
        let start = script.text[..span.start].rfind('\n').map_or(0, |at| at + 1);
        let end = script.text[span.start..].find('\n').map_or(script.text.len(), |at| span.start + at);
        let number = line.to_string();
        let margin = " ".repeat(number.len());
        let source = script.text[start..end].trim_end_matches('\r');
        // Tabs stay tabs below, so that the marks stand under what they mean.
        let before: String = script.text[start..span.start].chars().map(|c| if c == '\t' { c } else { ' ' }).collect();
        let marks = script.text[span.start..span.end.min(end)].chars().count().max(1);
        out.push_str(&format!("{margin}--> {}:{line}:{column}\n", script.name));
        out.push_str(&format!("{margin} |\n{number} | {source}\n{margin} | {before}{}\n", "^".repeat(marks)));
    } else if let Some(script) = script {
        out.push_str(&format!(" --> {}\n", script.name));
    }
    for hint in error.hints() {
        out.push_str(&format!("hint: {hint}\n"));
    }
    out
}

fn heading(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Internal => "internal error (please report it)",
        ErrorKind::Unsupported => "not supported",
        ErrorKind::Unavailable => "unavailable",
        _ => "error",
    }
}

/// The span inside the text and between characters, whatever the error claims.
fn clamp(span: Span, text: &str) -> Span {
    let floor = |mut at: usize| {
        at = at.min(text.len());
        while !text.is_char_boundary(at) {
            at -= 1;
        }
        at
    };
    let mut start = floor(span.start);
    let mut end = floor(span.end).max(start);
    // An unexpected end is best shown right behind the last word.
    if start == end && text[start..].trim().is_empty() {
        start = text.trim_end().len().min(start);
        end = start;
    }
    Span::new(start, end)
}

struct Report<'a> {
    error: &'a Error,
    source: Option<NamedSource<String>>,
    span: Option<Span>,
}

impl<'a> Report<'a> {
    fn new(error: &'a Error, script: Option<&Script>) -> Self {
        let source = script.map(|script| NamedSource::new(&script.name, script.text.clone()));
        let span = script.and_then(|script| error.span().map(|span| clamp(span, &script.text)));
        Self { error, source, span }
    }
}

impl fmt::Debug for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.error, f)
    }
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match heading(self.error.kind()) {
            "error" => write!(f, "{}", self.error),
            heading => write!(f, "{heading}: {}", self.error),
        }
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let hints = self.error.hints();
        (!hints.is_empty()).then(|| Box::new(hints.join("\n")) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.span.and(self.source.as_ref()).map(|source| source as _)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let span = self.span?;
        let label = LabeledSpan::new(Some("here".to_owned()), span.start, (span.end - span.start).max(1));
        Some(Box::new(std::iter::once(label)))
    }
}
