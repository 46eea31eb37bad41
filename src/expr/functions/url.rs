//! Parts of URLs, as RFC 3986 splits them, and percent encoding.
//!
//! > KSQL: parts come decoded; a part that is not there is NULL, text that is no URI an error.

use super::cell::{Cell, View, string};
use super::declare::Function;
use crate::types::Value;

const URL: &str = "URL";

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let part = |name, what, example, f: fn(&[Value]) -> Cell| {
        Function::scalar(name, URL, what).example(example).strict("(url STRING) -> STRING", f)
    };
    vec![
        part("URL_EXTRACT_PROTOCOL", "The scheme of the URL. NULL for NULL and if it has none.", "URL_EXTRACT_PROTOCOL('http://a.b/c') -> 'http'", |a| {
            Ok(text(Parts::of(a[0].text())?.scheme))
        }),
        part("URL_EXTRACT_HOST", "The host of the URL. NULL for NULL and if it has none.", "URL_EXTRACT_HOST('http://a.b:80/c') -> 'a.b'", |a| {
            Ok(text(Parts::of(a[0].text())?.host))
        }),
        Function::scalar("URL_EXTRACT_PORT", URL, "The port of the URL. NULL for NULL and if it has none.")
            .example("URL_EXTRACT_PORT('http://a.b:80/c') -> 80")
            .strict("(url STRING) -> INT", |a| {
                let port = Parts::of(a[0].text())?.port;
                Ok(port.and_then(|port| port.parse().ok()).map_or(Value::Null, Value::Int))
            }),
        part("URL_EXTRACT_PATH", "The path of the URL, perhaps empty. NULL for NULL.", "URL_EXTRACT_PATH('http://a.b/c?d') -> '/c'", |a| {
            string(decoded(Parts::of(a[0].text())?.path, false)?)
        }),
        part("URL_EXTRACT_QUERY", "The query of the URL, behind the question mark. NULL for NULL and if it has none.", "URL_EXTRACT_QUERY('http://a.b/c?d=1') -> 'd=1'", |a| {
            Parts::of(a[0].text())?.query.map_or(Ok(Value::Null), |query| string(decoded(query, false)?))
        }),
        part("URL_EXTRACT_FRAGMENT", "The fragment of the URL, behind the hash sign. NULL for NULL and if it has none.", "URL_EXTRACT_FRAGMENT('http://a.b/c#d') -> 'd'", |a| {
            Parts::of(a[0].text())?.fragment.map_or(Ok(Value::Null), |fragment| string(decoded(fragment, false)?))
        }),
        Function::scalar(
            "URL_EXTRACT_PARAMETER",
            URL,
            "The value of a parameter in the query of the URL, empty for one without value. NULL if an argument is and if \
             there is none.",
        )
        .example("URL_EXTRACT_PARAMETER('http://a.b/?c=1&d=2', 'd') -> '2'")
        .strict("(url STRING, parameter STRING) -> STRING", |a| {
            let Some(query) = Parts::of(a[0].text())?.query else { return Ok(Value::Null) };
            let query = decoded(query, false)?;
            let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
            Ok(text(pairs.find(|(name, _)| *name == a[1].text()).map(|(_, value)| value)))
        }),
        part("URL_ENCODE_PARAM", "The text as it may stand in a query: blanks as plus signs, most others percent-encoded. NULL for NULL.", "URL_ENCODE_PARAM('a b&c') -> 'a+b%26c'", |a| {
            let mut out = String::new();
            for byte in a[0].text().bytes() {
                match byte {
                    b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
                    b' ' => out.push('+'),
                    _ => out.push_str(&format!("%{byte:02X}")),
                }
            }
            string(out)
        }),
        part("URL_DECODE_PARAM", "The text that was encoded for a query. NULL for NULL; incomplete percent codes are an error.", "URL_DECODE_PARAM('a+b%26c') -> 'a b&c'", |a| {
            string(decoded(a[0].text(), true)?)
        }),
    ]
}

fn text(part: Option<&str>) -> Value {
    part.map_or(Value::Null, |part| Value::String(part.to_owned()))
}

#[derive(Debug, PartialEq)]
struct Parts<'a> {
    scheme: Option<&'a str>,
    host: Option<&'a str>,
    port: Option<&'a str>,
    path: &'a str,
    query: Option<&'a str>,
    fragment: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn of(url: &'a str) -> Result<Self, String> {
        if let Some(bad) = url.chars().find(|c| c.is_ascii_control() || c.is_whitespace() || "\"<>\\^`{|}".contains(*c))
        {
            return Err(format!("'{url}' is no URI: {bad:?} must be percent-encoded"));
        }
        let (rest, fragment) = split(url, '#');
        let (rest, query) = split(rest, '?');
        let scheme = rest.split_once(':').filter(|(scheme, _)| {
            scheme.starts_with(|c: char| c.is_ascii_alphabetic())
                && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
        });
        let (scheme, rest) = scheme.map_or((None, rest), |(scheme, rest)| (Some(scheme), rest));
        let Some(rest) = rest.strip_prefix("//") else {
            return Ok(Self { scheme, host: None, port: None, path: rest, query, fragment });
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let server = authority.rsplit_once('@').map_or(authority, |(_, server)| server);
        // The colons of an IPv6 address stand in brackets.
        let after = server.find(']').map_or(0, |at| at + 1);
        let (host, port) = match server[after..].find(':') {
            Some(at) => (&server[..after + at], Some(&server[after + at + 1..])),
            None => (server, None),
        };
        if port.is_some_and(|port| !port.bytes().all(|b| b.is_ascii_digit())) {
            return Err(format!("'{url}' is no URI: the port is no number"));
        }
        Ok(Self { scheme, host: Some(host).filter(|host| !host.is_empty()), port, path, query, fragment })
    }
}

fn split(text: &str, at: char) -> (&str, Option<&str>) {
    text.split_once(at).map_or((text, None), |(before, after)| (before, Some(after)))
}

/// Percent codes resolved; in parameters a plus sign is a blank.
fn decoded(text: &str, parameter: bool) -> Result<String, String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let code = [bytes.next(), bytes.next()].map(|b| b.and_then(|b| char::from(b).to_digit(16)));
                let [Some(high), Some(low)] = code else {
                    return Err("a percent sign must be followed by two hexadecimal digits".to_owned());
                };
                out.push((high * 16 + low) as u8);
            }
            b'+' if parameter => out.push(b' '),
            _ => out.push(byte),
        }
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}
