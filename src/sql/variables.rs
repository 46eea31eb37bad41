//! `${name}` replaced by what `DEFINE` gave it, before the text is parsed.
//!
//! **Invariant:** comments are never touched; `$${name}` stands for the text `${name}`.

use std::collections::BTreeMap;

use super::dialect::scan;
use super::token::TokenKind;
use crate::error::{Error, Result, Span, did_you_mean};

/// `text` with every `${name}` replaced; names are compared without regard to case.
pub fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String> {
    if !text.contains("${") {
        return Ok(text.to_string());
    }
    let mut out = String::with_capacity(text.len());
    let mut done = 0;
    for token in scan(text) {
        if token.kind == TokenKind::Comment {
            replace(text, done, token.span.start, variables, &mut out)?;
            out.push_str(&text[token.span.start..token.span.end]);
            done = token.span.end;
        }
    }
    replace(text, done, text.len(), variables, &mut out)?;
    Ok(out)
}

fn replace(
    text: &str,
    mut from: usize,
    to: usize,
    variables: &BTreeMap<String, String>,
    out: &mut String,
) -> Result<()> {
    while let Some(at) = text[from..to].find("${") {
        let start = from + at;
        let (before, escaped) = match text[from..start].strip_suffix('$') {
            Some(before) => (before, true),
            None => (&text[from..start], false),
        };
        out.push_str(before);
        let Some(length) = text[start..to].find('}') else {
            return Err(Error::syntax("unterminated reference to a variable")
                .at(Span::new(start, start + 2))
                .hint("A variable is written ${name}."));
        };
        let end = start + length + 1;
        if escaped {
            out.push_str(&text[start..end]);
        } else {
            out.push_str(value(text[start + 2..end - 1].trim(), variables).map_err(|e| e.at(Span::new(start, end)))?);
        }
        from = end;
    }
    out.push_str(&text[from..to]);
    Ok(())
}

fn value<'a>(name: &str, variables: &'a BTreeMap<String, String>) -> Result<&'a str> {
    if let Some((_, value)) = variables.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)) {
        return Ok(value);
    }
    let error = Error::not_found(format!("variable {name} is not defined"));
    Err(match did_you_mean(name, variables.keys().map(String::as_str)) {
        Some(near) => error.hint(format!("Did you mean {near}?")),
        None => error.hint(format!("Define it first: DEFINE {name} = '…'; or write $${{{name}}} for the text itself.")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String> {
        let variables = [("TOPIC", "orders"), ("N", "3")];
        substitute(text, &variables.into_iter().map(|(k, v)| (k.to_string(), v.to_string())).collect())
    }

    #[test]
    fn replaces_everywhere_but_in_comments() {
        assert_eq!(
            run("'${topic}' ${ N }${n} -- ${no}\n/* ${no */ ${n}").unwrap(),
            "'orders' 33 -- ${no}\n/* ${no */ 3"
        );
        assert_eq!(run("$${topic} $ {} $x").unwrap(), "${topic} $ {} $x");
    }

    #[test]
    fn unknown_variables_are_errors() {
        let error = run("SELECT ${topik}").unwrap_err();
        assert_eq!(error.message(), "variable topik is not defined");
        assert_eq!(error.span(), Some(Span::new(7, 15)));
        assert_eq!(error.hints(), ["Did you mean TOPIC?"]);
        assert!(run("${zebra}").unwrap_err().hints()[0].contains("DEFINE zebra"));
        assert_eq!(run("a ${n").unwrap_err().span(), Some(Span::new(2, 4)));
    }
}
