//! One line of separated values: reading and quoting as the Java library does that ksqlDB uses (Apache Commons CSV in
//! its default dialect). The `csv` crate differs in both: it reads text after a closing quote and quotes other fields.

/// The fields of a line; its memory is used again.
#[derive(Debug, Default)]
pub(super) struct Line {
    text: String,
    ends: Vec<usize>,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn get(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start..self.ends[i]]
    }

    /// Reads the first line of `text` that is not empty.
    pub(super) fn read(&mut self, text: &str, delimiter: char) -> Result<(), String> {
        self.text.clear();
        self.ends.clear();
        let mut rest = text.trim_start_matches(['\r', '\n']);
        if rest.is_empty() {
            return Ok(());
        }
        loop {
            let more = match rest.strip_prefix('"') {
                Some(quoted) => self.quoted(quoted, delimiter, &mut rest)?,
                None => {
                    let end = rest.find([delimiter, '\r', '\n']).unwrap_or(rest.len());
                    self.text.push_str(&rest[..end]);
                    let after = rest[end..].strip_prefix(delimiter);
                    rest = after.unwrap_or("");
                    after.is_some()
                }
            };
            self.ends.push(self.text.len());
            if !more {
                return Ok(());
            }
        }
    }

    /// Reads a field after its opening quote; whether another field follows.
    fn quoted<'a>(&mut self, field: &'a str, delimiter: char, rest: &mut &'a str) -> Result<bool, String> {
        let mut from = field;
        loop {
            let Some(quote) = from.find('"') else { return Err("a quoted field is not closed".to_owned()) };
            self.text.push_str(&from[..quote]);
            from = &from[quote + 1..];
            match from.strip_prefix('"') {
                Some(after) => {
                    self.text.push('"');
                    from = after;
                }
                None => break,
            }
        }
        for (at, c) in from.char_indices() {
            if c == delimiter {
                *rest = &from[at + c.len_utf8()..];
                return Ok(true);
            }
            if c == '\r' || c == '\n' {
                return Ok(false);
            }
            if !c.is_whitespace() {
                return Err("there is text between a closing quote and the next delimiter".to_owned());
            }
        }
        Ok(false)
    }
}

/// Appends a field that is not NULL, quoted when it must be.
///
/// > KSQL: the first field of a line is quoted unless it begins with an ASCII letter or digit, so a negative number in
/// > front is `"-1"`; any field is quoted that begins with a character up to `#` or ends with a blank.
pub(super) fn write_field(out: &mut Vec<u8>, field: &[u8], delimiter: char, first: bool) {
    let mut delimiter_bytes = [0; 4];
    let delimiter = delimiter.encode_utf8(&mut delimiter_bytes).as_bytes();
    let quote = match (field.first(), field.last()) {
        (Some(head), Some(tail)) => {
            first && !head.is_ascii_alphanumeric()
                || *head <= b'#'
                || *tail <= b' '
                || field.iter().any(|b| matches!(b, b'\r' | b'\n' | b'"'))
                || field.windows(delimiter.len()).any(|part| part == delimiter)
        }
        // An empty line would hold no field at all.
        _ => first,
    };
    if !quote {
        return out.extend_from_slice(field);
    }
    out.push(b'"');
    for byte in field {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
