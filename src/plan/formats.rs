//! What the planner must know of formats: names, wrapping and settings. Bytes are [`crate::format`]'s business.

use crate::error::{Error, Result, Span, did_you_mean};
use crate::types::{Column, FormatSpec, SqlType};

/// What a format can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Features {
    /// In upper case.
    pub name: &'static str,
    /// A single column as the only field of an object.
    pub wrap: bool,
    /// A single column as itself.
    pub unwrap: bool,
    /// Columns may come from a Schema Registry.
    pub inference: bool,
    /// Settings it takes ([`FormatSpec::properties`]).
    pub settings: &'static [&'static str],
}

const fn format(
    name: &'static str,
    wrap: bool,
    unwrap: bool,
    inference: bool,
    settings: &'static [&'static str],
) -> Features {
    Features { name, wrap, unwrap, inference, settings }
}

/// Every format.
pub const FORMATS: [Features; 8] = [
    format("NONE", false, false, false, &[]),
    format("KAFKA", false, true, false, &[]),
    format("DELIMITED", false, true, false, &["DELIMITER"]),
    format("JSON", true, true, false, &[]),
    format("JSON_SR", true, true, true, &["SCHEMA_FULL_NAME", "SCHEMA_ID"]),
    format("AVRO", true, true, true, &["SCHEMA_FULL_NAME", "SCHEMA_ID"]),
    format("PROTOBUF", true, false, true, &["SCHEMA_FULL_NAME", "SCHEMA_ID", "NULLABLE_REPRESENTATION"]),
    format("PROTOBUF_NOSR", true, true, false, &["SCHEMA_FULL_NAME", "NULLABLE_REPRESENTATION"]),
];

/// The format of that name (any case).
pub fn features(name: &str, span: Span) -> Result<&'static Features> {
    let upper = name.to_uppercase();
    FORMATS.iter().find(|features| features.name == upper).ok_or_else(|| {
        let error = Error::semantic(format!("unknown format {name}")).at(span);
        match did_you_mean(&upper, FORMATS.iter().map(|features| features.name)) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error.hint("Formats are JSON, DELIMITED, KAFKA, NONE, AVRO, JSON_SR, PROTOBUF and PROTOBUF_NOSR."),
        }
    })
}

impl Features {
    /// Whether a key of `columns` columns is an object.
    ///
    /// > KSQL: single keys are always unwrapped where the format can, several always wrapped.
    pub fn wraps_key(&self, columns: usize) -> bool {
        self.wrap && (columns > 1 || !self.unwrap)
    }
}

/// The key format of an internal topic whose key has these columns.
///
/// > KSQL: what KAFKA and NONE cannot hold becomes JSON inside, and is refused only on sinks.
pub fn internal_key_format(format: &FormatSpec, columns: &[Column]) -> FormatSpec {
    let holds = match format.name.as_str() {
        "NONE" => columns.is_empty(),
        "KAFKA" => columns.len() <= 1 && columns.iter().all(|column| kafka_holds(&column.ty)),
        "DELIMITED" => columns.iter().all(|column| !column.ty.is_nested()),
        _ => true,
    };
    let mut format = if holds { format.clone() } else { FormatSpec::new("JSON", true) };
    // The key of an internal topic is another one than the schema's.
    format.properties.retain(|setting, _| !names_schema(setting));
    if let Ok(features) = features(&format.name, Span::default()) {
        format.wrapped = features.wraps_key(columns.len());
    }
    format
}

fn kafka_holds(ty: &SqlType) -> bool {
    matches!(ty, SqlType::Int | SqlType::BigInt | SqlType::Double | SqlType::String | SqlType::Bytes)
}

/// Whether equal keys have equal bytes in both formats, as joins need.
pub fn same_key_bytes(a: &FormatSpec, b: &FormatSpec) -> bool {
    let settings = |format: &FormatSpec| -> Vec<(String, String)> {
        let settings = format.properties.iter().filter(|(setting, _)| !names_schema(setting));
        settings.map(|(setting, value)| (setting.clone(), value.clone())).collect()
    };
    a.name == b.name && settings(a) == settings(b) && a.wrapped == b.wrapped
}

/// Whether messages begin with the number of their schema.
pub fn names_schema_in_bytes(format: &FormatSpec) -> bool {
    features(&format.name, Span::default()).is_ok_and(|features| features.inference)
}

/// Whether a setting chooses a schema of the registry.
fn names_schema(setting: &str) -> bool {
    setting == "SCHEMA_ID" || setting == "SCHEMA_FULL_NAME"
}
