//! Errors: one type at every layer, with a kind that tells the caller what to do next, an optional place in the SQL
//! text and hints for the user.
//!
//! **Invariant:** data problems of single records are not errors; see [`RecordError`].

use std::fmt;

/// Result of every fallible function of the library.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A range of bytes in the SQL text that an error is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

impl Span {
    /// The range `start..end`.
    pub fn new(start: usize, end: usize) -> Self {
        Self { start, end }
    }

    /// The smallest span that holds both.
    pub fn to(self, other: Self) -> Self {
        Self::new(self.start.min(other.start), self.end.max(other.end))
    }

    /// Line and column, both from 1, of the start in `text`.
    pub fn line_column(self, text: &str) -> (usize, usize) {
        let before = &text[..self.start.min(text.len())];
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }
}

/// Whose fault it is, and so what the caller does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The text is no KSQL: change the text.
    Syntax,
    /// The statement is understood but wrong (types, keys, joins): change the statement.
    Semantic,
    /// A named thing does not exist.
    NotFound,
    /// A named thing exists already, or is in use.
    Conflict,
    /// Valid in ksqlDB or in principle, not offered here.
    Unsupported,
    /// The outside world did not answer: try again later.
    Unavailable,
    /// Another process took over: throw the task's memory away and restore.
    Fenced,
    /// Stored or configured data cannot be read.
    Data,
    /// The disk refused.
    Storage,
    /// An invariant of ours is broken: report it.
    Internal,
}

/// An error with its kind, place, hints and cause.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: ErrorKind,
    message: String,
    span: Option<Span>,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// An error of `kind`; the message is lower case without a full stop.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), span: None, hints: Vec::new(), source: None }))
    }

    /// Shorthand for [`ErrorKind::Syntax`].
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Syntax, message)
    }

    /// Shorthand for [`ErrorKind::Semantic`].
    pub fn semantic(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Semantic, message)
    }

    /// Shorthand for [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Shorthand for [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Shorthand for [`ErrorKind::Internal`].
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Shorthand for [`ErrorKind::Data`].
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Data, message)
    }

    /// The same error at a place of the SQL text; the innermost place given first wins.
    pub fn at(mut self, span: Span) -> Self {
        self.0.span.get_or_insert(span);
        self
    }

    /// The same error, its place moved by `offset` bytes (a statement inside a longer script).
    pub fn shifted(mut self, offset: usize) -> Self {
        if let Some(span) = &mut self.0.span {
            *span = Span::new(span.start + offset, span.end + offset);
        }
        self
    }

    /// The same error without a place (it referred to a text that the user has not written).
    pub fn without_span(mut self) -> Self {
        self.0.span = None;
        self
    }

    /// The same error with a further hint: a full sentence.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hints.push(hint.into());
        self
    }

    /// The same error with its cause.
    pub fn caused_by(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same error, its message preceded by what was being done: `{context}: {message}`.
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// All of it in one line: message, cause, and what the user may try.
    pub fn told(&self) -> String {
        let hints = self.0.hints.iter().map(|hint| format!(" ({})", hint.trim_end_matches('.')));
        hints.fold(self.to_string(), |text, hint| text + &hint)
    }

    /// Whose fault it is.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where in the SQL text.
    pub fn span(&self) -> Option<Span> {
        self.0.span
    }

    /// What the user may try.
    pub fn hints(&self) -> &[String] {
        &self.0.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(source) = &self.0.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

impl From<arrow::error::ArrowError> for Error {
    fn from(source: arrow::error::ArrowError) -> Self {
        Self::internal("arrow").caused_by(source)
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::new(ErrorKind::Storage, "input/output").caused_by(source)
    }
}

/// A record, or one column of it, that could not be used: data, reported to the processing log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordError {
    /// Row of the batch (or message of the set) it belongs to.
    pub row: usize,
    /// Where it happened: `deserialization`, an expression's text, an aggregate's name.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// The candidate nearest to `word`, if one is near enough to have been meant.
pub fn did_you_mean<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (edit_distance(&lower, &candidate.to_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= 1 + candidate.len().min(word.len()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substitution = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substitution.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggests_near_names_only() {
        assert_eq!(did_you_mean("AMUONT", ["AMOUNT", "USER_ID"]), Some("AMOUNT"));
        assert_eq!(did_you_mean("ucas", ["UCASE", "LCASE"]), Some("UCASE"));
        assert_eq!(did_you_mean("zebra", ["AMOUNT", "USER_ID"]), None);
    }

    #[test]
    fn line_and_column_count_from_one() {
        assert_eq!(Span::new(0, 1).line_column("a\nbc"), (1, 1));
        assert_eq!(Span::new(3, 4).line_column("a\nbc"), (2, 2));
    }
}
