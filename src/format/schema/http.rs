//! [`HttpRegistry`]: a registry that speaks the REST interface of Confluent's.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::{Reference, Schema, SchemaRegistry, SchemaType};
use crate::error::{Error, ErrorKind, Result};

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONTENT_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// References of references are followed this far.
const DEPTH_MAX: usize = 16;

/// A registry at one of several addresses, which are tried in turn.
pub struct HttpRegistry {
    urls: Vec<String>,
    authorization: Option<String>,
    agent: ureq::Agent,
    /// Schemas by number, which never change.
    known: Mutex<HashMap<i32, Schema>>,
}

impl fmt::Debug for HttpRegistry {
    // The password must not reach a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpRegistry").field("urls", &self.urls).finish_non_exhaustive()
    }
}

impl HttpRegistry {
    /// The registry at `urls` (separated by commas); `user_info` is `user:password`, `trusted` the certificates (PEM) of
    /// those who may vouch for it over TLS; without them the well-known authorities are trusted.
    pub fn new(urls: &str, user_info: Option<&str>, trusted: Option<&[u8]>) -> Result<Self> {
        let urls: Vec<String> = urls.split(',').map(|url| url.trim().trim_end_matches('/').to_owned()).collect();
        for url in &urls {
            let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
            if host.is_none_or(str::is_empty) {
                return Err(Error::semantic(format!("'{url}' is no address of a Schema Registry"))
                    .hint("It looks like http://registry:8081 or https://registry."));
            }
        }
        let roots = match trusted {
            Some(pem) => RootCerts::Specific(Arc::new(certificates(pem)?)),
            None => RootCerts::WebPki,
        };
        let config = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .tls_config(TlsConfig::builder().root_certs(roots).build())
            .build();
        Ok(Self {
            urls,
            authorization: user_info.map(|user_info| format!("Basic {}", STANDARD.encode(user_info))),
            agent: config.new_agent(),
            known: Mutex::new(HashMap::new()),
        })
    }

    /// The answer to a request, `None` when there is no such thing.
    fn call(&self, path: &str, body: Option<&Json>) -> Result<Option<Json>> {
        let mut unreachable = None;
        for url in &self.urls {
            let url = format!("{url}{path}");
            let response = match body {
                None => {
                    let mut request = self.agent.get(&url).header("Accept", CONTENT_TYPE);
                    if let Some(authorization) = &self.authorization {
                        request = request.header("Authorization", authorization);
                    }
                    request.call()
                }
                Some(body) => {
                    let mut request =
                        self.agent.post(&url).header("Accept", CONTENT_TYPE).header("Content-Type", CONTENT_TYPE);
                    if let Some(authorization) = &self.authorization {
                        request = request.header("Authorization", authorization);
                    }
                    request.send(body.to_string())
                }
            };
            let answer = response.and_then(|mut response| {
                let status = response.status().as_u16();
                Ok((status, response.body_mut().read_to_string()?))
            });
            match answer {
                Ok((status, text)) if status < 500 => return answered(path, status, &text),
                Ok((status, _)) => unreachable = Some(format!("it answers with status {status}")),
                Err(error) => unreachable = Some(error.to_string()),
            }
        }
        let why = unreachable.unwrap_or_default();
        Err(Error::new(ErrorKind::Unavailable, format!("no answer of the Schema Registry: {why}"))
            .hint(format!("It was asked at {}.", self.urls.join(", "))))
    }

    fn schema(&self, answer: &Json, depth: usize) -> Result<Schema> {
        let text = answer.get("schema").and_then(Json::as_str).ok_or_else(|| strange("a schema", answer))?;
        let ty = SchemaType::from_name(answer.get("schemaType").and_then(Json::as_str))
            .ok_or_else(|| strange("a known type of schema", answer))?;
        let list = answer.get("references").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let mut references: Vec<Reference> = Vec::new();
        for reference in list {
            if depth > DEPTH_MAX {
                return Err(Error::data("the references of a schema are nested too deep"));
            }
            let part = |key: &str| reference.get(key).and_then(Json::as_str);
            let (Some(name), Some(subject)) = (part("name"), part("subject")) else {
                return Err(strange("a reference", reference));
            };
            let version = reference.get("version").and_then(Json::as_i64).unwrap_or(1) as i32;
            let path = format!("/subjects/{}/versions/{version}", encoded(subject));
            let found = self.call(&path, None)?.ok_or_else(|| Error::not_found(format!("{subject} is not there")))?;
            let inner = self.schema(&found, depth + 1)?;
            // What it refers to itself comes first: it is needed to read it.
            for inner in inner.references {
                if references.iter().all(|known| known.name != inner.name) {
                    references.push(inner);
                }
            }
            references.push(Reference {
                name: name.to_owned(),
                subject: subject.to_owned(),
                version,
                text: inner.text,
            });
        }
        Ok(Schema { ty, text: text.to_owned(), references })
    }

    fn remember(&self, id: i32, schema: &Schema) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id, schema.clone());
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Error::data("the certificates cannot be read").caused_by(error)),
        }
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::data("there is no certificate").hint("A PEM file begins with -----BEGIN CERTIFICATE-----.")),
    }
}

fn strange(wanted: &str, answer: &Json) -> Error {
    Error::data(format!("the Schema Registry answers without {wanted}: {answer}"))
}

fn answered(path: &str, status: u16, text: &str) -> Result<Option<Json>> {
    let json: Option<Json> = serde_json::from_str(text).ok();
    let message = json.as_ref().and_then(|json| json.get("message")).and_then(Json::as_str).unwrap_or(text);
    match status {
        200..300 => json.map(Some).ok_or_else(|| Error::data(format!("{path}: the answer is no JSON"))),
        404 => Ok(None),
        401 | 403 => Err(Error::semantic(format!("the Schema Registry refuses access: {message}"))
            .hint("Set 'ksql.schema.registry.basic.auth.user.info' to user:password.")),
        409 => Err(Error::new(ErrorKind::Conflict, format!("the Schema Registry refuses the schema: {message}"))
            .hint("It is not compatible with earlier ones of the topic: keep names and types, and only add columns.")),
        _ => Err(Error::semantic(format!("the Schema Registry refuses {path}: {message}"))),
    }
}

fn body(schema: &Schema) -> Json {
    let references: Vec<Json> =
        schema.references.iter().map(|r| json!({"name": r.name, "subject": r.subject, "version": r.version})).collect();
    let mut body = json!({"schema": schema.text, "schemaType": schema.ty.name()});
    if let (false, Some(body)) = (references.is_empty(), body.as_object_mut()) {
        body.insert("references".into(), references.into());
    }
    body
}

/// A subject as a part of a path.
fn encoded(subject: &str) -> String {
    let mut out = String::with_capacity(subject.len());
    for byte in subject.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

fn id_of(answer: &Json) -> Result<i32> {
    let id = answer.get("id").and_then(Json::as_i64).and_then(|id| i32::try_from(id).ok());
    id.ok_or_else(|| strange("the number of a schema", answer))
}

impl SchemaRegistry for HttpRegistry {
    fn register(&self, subject: &str, schema: &Schema) -> Result<i32> {
        let path = format!("/subjects/{}/versions", encoded(subject));
        let answer = self.call(&path, Some(&body(schema)))?;
        let id = id_of(&answer.ok_or_else(|| Error::not_found(format!("the Schema Registry knows no {path}")))?)?;
        self.remember(id, schema);
        Ok(id)
    }

    fn by_id(&self, id: i32) -> Result<Option<Schema>> {
        if let Some(known) = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&id) {
            return Ok(Some(known.clone()));
        }
        let Some(answer) = self.call(&format!("/schemas/ids/{id}"), None)? else { return Ok(None) };
        let schema = self.schema(&answer, 0)?;
        self.remember(id, &schema);
        Ok(Some(schema))
    }

    fn latest(&self, subject: &str) -> Result<Option<(i32, Schema)>> {
        let Some(answer) = self.call(&format!("/subjects/{}/versions/latest", encoded(subject)), None)? else {
            return Ok(None);
        };
        let (id, schema) = (id_of(&answer)?, self.schema(&answer, 0)?);
        self.remember(id, &schema);
        Ok(Some((id, schema)))
    }

    fn has_version(&self, subject: &str, id: i32) -> Result<bool> {
        let Some(answer) = self.call(&format!("/schemas/ids/{id}/versions"), None)? else { return Ok(false) };
        let versions = answer.as_array().ok_or_else(|| strange("versions", &answer))?;
        Ok(versions.iter().any(|version| version.get("subject").and_then(Json::as_str) == Some(subject)))
    }

    fn is_compatible(&self, subject: &str, schema: &Schema) -> Result<bool> {
        let path = format!("/compatibility/subjects/{}/versions/latest", encoded(subject));
        // A subject without versions takes any schema.
        let Some(answer) = self.call(&path, Some(&body(schema)))? else { return Ok(true) };
        answer.get("is_compatible").and_then(Json::as_bool).ok_or_else(|| strange("is_compatible", &answer))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    /// Answers one request after another, and returns what was asked.
    fn serve(answers: Vec<(u16, &'static str)>) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let server = std::thread::spawn(move || {
            let mut asked = Vec::new();
            for (status, body) in answers {
                let (mut stream, _) = listener.accept().expect("a request");
                let mut request = Vec::new();
                let mut buffer = [0; 4096];
                loop {
                    let read = stream.read(&mut buffer).expect("it can be read");
                    request.extend_from_slice(&buffer[..read]);
                    let text = String::from_utf8_lossy(&request).into_owned();
                    let Some((head, rest)) = text.split_once("\r\n\r\n") else { continue };
                    let length = head.lines().find_map(|line| {
                        line.to_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse().ok())
                    });
                    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
                    if rest.len() >= length.unwrap_or(0) && (!chunked || rest.ends_with("0\r\n\r\n")) {
                        break;
                    }
                }
                let text =
                    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
                stream.write_all(text.as_bytes()).expect("it can be written");
                asked.push(String::from_utf8_lossy(&request).into_owned());
            }
            asked
        });
        (url, server)
    }

    #[test]
    fn requests_and_answers() -> Result<()> {
        let (url, server) = serve(vec![
            (200, r#"{"id": 7}"#),
            (200, r#"{"subject": "a b-value", "version": 2, "id": 9, "schema": "\"int\""}"#),
            (404, r#"{"error_code": 40403, "message": "Schema not found"}"#),
            (409, r#"{"error_code": 409, "message": "reader field missing"}"#),
            (200, r#"{"is_compatible": false}"#),
            (401, "who are you"),
        ]);
        let registry = HttpRegistry::new(&format!("{url}/"), Some("me:secret"), None)?;
        let schema = Schema::new(SchemaType::Protobuf, "syntax = \"proto3\";");
        assert_eq!(registry.register("t-value", &schema)?, 7);
        assert_eq!(registry.by_id(7)?, Some(schema.clone()), "it need not be asked for");
        assert_eq!(registry.latest("a b-value")?, Some((9, Schema::new(SchemaType::Avro, "\"int\""))));
        assert_eq!(registry.by_id(8)?, None);
        let refused = registry.register("t-value", &schema).expect_err("not compatible");
        assert_eq!(refused.kind(), ErrorKind::Conflict);
        assert!(!registry.is_compatible("t-value", &schema)?);
        assert!(registry.latest("x").expect_err("no access").hints()[0].contains("basic.auth"));
        let asked = server.join().expect("it ends");
        assert!(asked[0].starts_with("POST /subjects/t-value/versions HTTP/1.1"));
        assert!(asked[0].contains(r#""schemaType":"PROTOBUF""#));
        assert!(asked[0].to_lowercase().contains("authorization: basic bwu6c2vjcmv0"));
        assert!(asked[1].starts_with("GET /subjects/a%20b-value/versions/latest "));
        assert!(asked[4].starts_with("POST /compatibility/subjects/t-value/versions/latest "));
        assert!(!format!("{registry:?}").contains("secret"));
        Ok(())
    }

    #[test]
    fn references_are_fetched() -> Result<()> {
        let (url, server) = serve(vec![
            (
                200,
                r#"{"schema": "m", "schemaType": "PROTOBUF", "references": [{"name": "e.proto", "subject": "e", "version": 3}]}"#,
            ),
            (200, r#"{"id": 1, "schema": "event", "schemaType": "PROTOBUF"}"#),
        ]);
        let schema = HttpRegistry::new(&url, None, None)?.by_id(5)?.expect("it is there");
        assert_eq!((schema.references[0].name.as_str(), schema.references[0].text.as_str()), ("e.proto", "event"));
        assert!(server.join().expect("it ends")[1].starts_with("GET /subjects/e/versions/3 "));
        Ok(())
    }

    #[test]
    fn addresses_are_checked() {
        assert!(HttpRegistry::new("registry:8081", None, None).is_err());
        assert!(HttpRegistry::new("https://", None, None).is_err());
        assert!(HttpRegistry::new("https://x", None, Some(b"no certificate")).is_err());
        let nobody = HttpRegistry::new("http://127.0.0.1:9", None, None).expect("it looks right");
        assert_eq!(nobody.by_id(1).expect_err("nobody answers").kind(), ErrorKind::Unavailable);
    }
}
