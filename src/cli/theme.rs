//! [`Theme`]: what each kind of text looks like. Code says what a text *is*; only this file knows colours.

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// Nothing special.
    Plain,
    /// Heading of a table or a section.
    Heading,
    /// The name of a thing.
    Name,
    /// Works as it should.
    Good,
    /// Deserves a look.
    Warning,
    /// Does not work.
    Bad,
    /// Of second importance.
    Quiet,
    /// A word of the language.
    Keyword,
    /// A quoted text.
    Text,
    /// A number.
    Number,
}

/// Escape codes of every label, or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Theme {
    ansi: bool,
}

impl Theme {
    /// The sixteen colours that every terminal has and every palette keeps readable.
    pub fn ansi() -> Self {
        Self { ansi: true }
    }

    /// No codes at all: pipes, files, `NO_COLOR`.
    pub fn plain() -> Self {
        Self { ansi: false }
    }

    /// Whether nothing is coloured.
    pub fn is_plain(self) -> bool {
        !self.ansi
    }

    /// The text as the label looks.
    pub fn paint(self, label: Label, text: &str) -> String {
        if !self.ansi || text.is_empty() || label == Label::Plain {
            return text.to_owned();
        }
        let code = match label {
            Label::Plain => "0",
            Label::Heading => "1",
            Label::Name => "1;36",
            Label::Good => "32",
            Label::Warning => "33",
            Label::Bad => "1;31",
            Label::Quiet => "2",
            Label::Keyword => "1;34",
            Label::Text => "32",
            Label::Number => "35",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_adds_nothing() {
        assert_eq!(Theme::plain().paint(Label::Bad, "x"), "x");
        assert_eq!(Theme::ansi().paint(Label::Bad, "x"), "\x1b[1;31mx\x1b[0m");
        assert_eq!(Theme::ansi().paint(Label::Bad, ""), "");
    }
}
