//! [`ValidationCase`]: one case of a query-validation file, once per format that it is written for.

use super::json::Json;
use crate::error::{Error, Result};

/// A record that goes in or must come out.
#[derive(Debug, Clone)]
pub struct CaseRecord {
    /// Its topic.
    pub topic: String,
    /// Its key; `None` is a null key.
    pub key: Option<Json>,
    /// Its value.
    pub value: Json,
    /// Its time, where given.
    pub timestamp: Option<i64>,
    /// The window of its key, where given.
    pub window: Option<CaseWindow>,
    /// Its headers: name and base64.
    pub headers: Vec<(String, Option<String>)>,
}

/// The window of a record's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaseWindow {
    /// Its first millisecond.
    pub start: i64,
    /// Its end.
    pub end: i64,
    /// Whether it is a session.
    pub session: bool,
}

/// A topic as the case declares it.
#[derive(Debug, Clone)]
pub struct CaseTopic {
    /// Its name.
    pub name: String,
    /// Its partitions.
    pub partitions: i32,
    /// Everything said of it.
    pub details: Json,
}

/// A case for one format.
#[derive(Debug, Clone)]
pub struct ValidationCase {
    /// Its name in the file.
    pub name: String,
    /// The format that stands for `{FORMAT}`.
    pub format: Option<String>,
    /// Whether it is switched off.
    pub skipped: bool,
    /// Its statements.
    pub statements: Vec<String>,
    /// Session properties.
    pub properties: Vec<(String, String)>,
    /// Declared topics.
    pub topics: Vec<CaseTopic>,
    /// What goes in, in order.
    pub inputs: Vec<CaseRecord>,
    /// What must come out, in order per topic.
    pub outputs: Vec<CaseRecord>,
    /// What must hold of sources and topics.
    pub post: Json,
    /// Whether the last statement, or running it, must fail.
    pub fails: bool,
}

/// Whether a JSON document is a file of such cases.
pub fn is_validation_file(document: &Json) -> bool {
    document.get("tests").is_some_and(|tests| matches!(tests, Json::Array(_)))
}

/// All cases of a file, each once per format.
pub fn cases_of(document: &Json) -> Result<Vec<ValidationCase>> {
    let mut cases = Vec::new();
    for test in document.get("tests").map_or(&[][..], Json::items) {
        let formats = test.get("format").map_or(&[][..], Json::items);
        if formats.is_empty() {
            cases.push(case_of(test, None)?);
        }
        for format in formats {
            cases.push(case_of(test, Some(format.plain()))?);
        }
    }
    Ok(cases)
}

/// A case of three files: statements, records in (`{"inputs": […]}`), records expected (`{"outputs": […]}`).
pub fn case_of_files(name: &str, sql: &str, inputs: &Json, outputs: &Json) -> Result<ValidationCase> {
    let records = |document: &Json, field: &str| {
        let list = document.get(field).ok_or_else(|| Error::data(format!("the file has no field {field}")))?;
        list.items().iter().map(record_of).collect::<Result<Vec<_>>>()
    };
    Ok(ValidationCase {
        name: name.to_owned(),
        format: None,
        skipped: false,
        statements: vec![sql.to_owned()],
        properties: Vec::new(),
        topics: Vec::new(),
        inputs: if *inputs == Json::Null { Vec::new() } else { records(inputs, "inputs")? },
        outputs: records(outputs, "outputs")?,
        post: Json::Null,
        fails: false,
    })
}

fn case_of(test: &Json, format: Option<String>) -> Result<ValidationCase> {
    let list = |name: &str| test.get(name).map_or(&[][..], Json::items);
    let name = test.get("name").and_then(Json::as_str).unwrap_or("unnamed").to_owned();
    // The planner that a `config` entry asks for makes no difference to what must come out.
    let config = list("config").first().map_or_else(String::new, Json::plain);
    let statement = |statement: &Json| match &format {
        Some(format) => statement.plain().replace("{FORMAT}", format),
        None => statement.plain(),
    };
    let properties = match test.get("properties") {
        Some(Json::Object(fields)) => {
            fields.iter().map(|(key, value)| (key.clone(), value.plain().replace("{CONFIG}", &config))).collect()
        }
        _ => Vec::new(),
    };
    let within = |e: Error| e.context(format!("case {name:?}"));
    Ok(ValidationCase {
        skipped: matches!(test.get("enabled"), Some(Json::Bool(false))),
        statements: list("statements").iter().map(statement).collect(),
        properties,
        topics: list("topics").iter().map(topic_of).collect::<Result<_>>().map_err(within)?,
        inputs: list("inputs").iter().map(record_of).collect::<Result<_>>().map_err(within)?,
        outputs: list("outputs").iter().map(record_of).collect::<Result<_>>().map_err(within)?,
        post: test.get("post").cloned().unwrap_or(Json::Null),
        fails: test.get("expectedException").is_some_and(|e| *e != Json::Null),
        name,
        format,
    })
}

fn topic_of(topic: &Json) -> Result<CaseTopic> {
    let name = topic.as_str().or_else(|| topic.get("name").and_then(Json::as_str));
    let name = name.ok_or_else(|| Error::data("a topic without a name"))?.to_owned();
    let partitions = topic.get("partitions").and_then(Json::as_i64).unwrap_or(1);
    let partitions = i32::try_from(partitions).map_err(|_| Error::data(format!("{partitions} partitions")))?;
    Ok(CaseTopic { name, partitions, details: topic.clone() })
}

fn record_of(record: &Json) -> Result<CaseRecord> {
    let topic = record.get("topic").and_then(Json::as_str).ok_or_else(|| Error::data("a record without a topic"))?;
    let window = match record.get("window") {
        None | Some(Json::Null) => None,
        Some(window) => {
            let bound = |name: &str| {
                window
                    .get(name)
                    .and_then(Json::as_i64)
                    .ok_or_else(|| Error::data(format!("a window without its {name}")))
            };
            let kind = window.get("type").map_or_else(String::new, Json::plain);
            Some(CaseWindow {
                start: bound("start")?,
                end: bound("end")?,
                session: kind.eq_ignore_ascii_case("session"),
            })
        }
    };
    let header = |header: &Json| {
        let value = header.get("VALUE").filter(|value| **value != Json::Null).map(Json::plain);
        (header.get("KEY").map_or_else(String::new, Json::plain), value)
    };
    Ok(CaseRecord {
        topic: topic.to_owned(),
        key: record.get("key").filter(|key| **key != Json::Null).cloned(),
        value: record.get("value").cloned().unwrap_or(Json::Null),
        timestamp: record.get("timestamp").and_then(Json::as_i64),
        window,
        headers: record.get("headers").map_or(&[][..], Json::items).iter().map(header).collect(),
    })
}
