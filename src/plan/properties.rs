//! `WITH (…)`: [`WithClause`] checks names and values, and makes formats, windows and topics of them.

use crate::error::{Error, Result, Span, did_you_mean};
use crate::sql::ast::{ExprKind, Properties, Property, UnaryOp};
use crate::time::WindowKind;
use crate::types::{Column, DatePattern, FormatSpec, KeyWindow, LogicalSchema, SqlType, TimestampSpec};

use super::PlanConfig;
use super::formats::{self, Features};

/// The statement that a `WITH (…)` belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithOf {
    /// `CREATE STREAM|TABLE`
    Create,
    /// `CREATE … AS SELECT`
    CreateAs,
    /// `INSERT INTO … SELECT`
    Insert,
}

const COMMON: [&str; 22] = [
    "KAFKA_TOPIC",
    "PARTITIONS",
    "REPLICAS",
    "RETENTION_MS",
    "CLEANUP_POLICY",
    "FORMAT",
    "KEY_FORMAT",
    "VALUE_FORMAT",
    "KEY_DELIMITER",
    "VALUE_DELIMITER",
    "WRAP_SINGLE_VALUE",
    "TIMESTAMP",
    "TIMESTAMP_FORMAT",
    "KEY_SCHEMA_ID",
    "VALUE_SCHEMA_ID",
    "KEY_SCHEMA_FULL_NAME",
    "VALUE_SCHEMA_FULL_NAME",
    "VALUE_AVRO_SCHEMA_FULL_NAME",
    "KEY_PROTOBUF_NULLABLE_REPRESENTATION",
    "VALUE_PROTOBUF_NULLABLE_REPRESENTATION",
    "SOURCED_BY_CONNECTOR",
    "SOURCE_CONNECTOR",
];
const CREATE_ONLY: [&str; 2] = ["WINDOW_TYPE", "WINDOW_SIZE"];
const INSERT: [&str; 1] = ["QUERY_ID"];
const RESERVED_QUERY_IDS: [&str; 4] = ["INSERTQUERY_", "CTAS_", "CSAS_", "CST_"];

/// What a new topic shall be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TopicSpec {
    /// `PARTITIONS`
    pub partitions: Option<i32>,
    /// `REPLICAS`
    pub replicas: Option<i16>,
    /// `RETENTION_MS`
    pub retention_ms: Option<i64>,
}

/// Key or value of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The key.
    Key,
    /// The value.
    Value,
}

impl Side {
    fn prefix(self) -> &'static str {
        match self {
            Self::Key => "KEY",
            Self::Value => "VALUE",
        }
    }
}

/// A checked `WITH (…)`.
#[derive(Debug, Clone, Copy)]
pub struct WithClause<'a> {
    properties: &'a [Property],
}

impl<'a> WithClause<'a> {
    /// Checks that every name is known, given once and allowed in the statement.
    pub fn new(properties: &'a Properties, of: WithOf) -> Result<Self> {
        let allowed: Vec<&str> = match of {
            WithOf::Create => COMMON.iter().chain(&CREATE_ONLY).copied().collect(),
            WithOf::CreateAs => COMMON[..20].to_vec(),
            WithOf::Insert => INSERT.to_vec(),
        };
        for (i, property) in properties.iter().enumerate() {
            let key = property.key.text.as_str();
            if properties[..i].iter().any(|earlier| earlier.key.text == key) {
                return Err(Error::semantic(format!("{key} is given twice")).at(property.key.span));
            }
            if key == "CLEANUP_POLICY" {
                return Err(Error::semantic("CLEANUP_POLICY cannot be chosen")
                    .at(property.key.span)
                    .hint("Streams are kept by age, tables by key: leave it out."));
            }
            if !allowed.contains(&key) {
                let elsewhere = COMMON.iter().chain(&CREATE_ONLY).chain(&INSERT).any(|known| *known == key);
                let error = if elsewhere {
                    Error::semantic(format!("{key} has no meaning in this statement"))
                } else {
                    Error::semantic(format!("unknown property {key}"))
                };
                return Err(match did_you_mean(key, allowed.iter().copied()) {
                    Some(near) => error.at(property.key.span).hint(format!("Did you mean {near}?")),
                    None => error.at(property.key.span).hint(format!("Allowed here: {}.", allowed.join(", "))),
                });
            }
        }
        Ok(Self { properties })
    }

    fn get(&self, key: &str) -> Option<&'a Property> {
        self.properties.iter().find(|property| property.key.text == key)
    }

    /// Where a property's value stands.
    pub fn span(&self, key: &str) -> Span {
        self.get(key).map_or(Span::default(), |property| property.value.span)
    }

    /// A text.
    pub fn string(&self, key: &str) -> Result<Option<&'a str>> {
        match self.get(key) {
            None => Ok(None),
            Some(property) => match &property.value.kind {
                ExprKind::String(text) => Ok(Some(text)),
                _ => Err(wrong(property, "a text in single quotes")),
            },
        }
    }

    /// A text that is not blank.
    pub fn filled(&self, key: &str) -> Result<Option<&'a str>> {
        match self.string(key)? {
            Some(text) if text.trim().is_empty() => Err(Error::semantic(format!("{key} is empty")).at(self.span(key))),
            text => Ok(text.map(str::trim)),
        }
    }

    /// A whole number.
    pub fn integer(&self, key: &str) -> Result<Option<i64>> {
        let Some(property) = self.get(key) else { return Ok(None) };
        let number = match &property.value.kind {
            ExprKind::Integer(number) => Some(*number),
            ExprKind::Unary { op: UnaryOp::Minus, expr } => match expr.kind {
                ExprKind::Integer(number) => Some(-number),
                _ => None,
            },
            ExprKind::String(text) => text.trim().parse().ok(),
            _ => None,
        };
        number.map(Some).ok_or_else(|| wrong(property, "a whole number"))
    }

    fn positive<T: TryFrom<i64>>(&self, key: &str) -> Result<Option<T>> {
        let Some(number) = self.integer(key)? else { return Ok(None) };
        let fitting = T::try_from(number).ok().filter(|_| number > 0);
        fitting
            .map(Some)
            .ok_or_else(|| Error::semantic(format!("{key} must be a positive number, not {number}")).at(self.span(key)))
    }

    /// TRUE or FALSE.
    pub fn boolean(&self, key: &str) -> Result<Option<bool>> {
        let Some(property) = self.get(key) else { return Ok(None) };
        let value = match &property.value.kind {
            ExprKind::Boolean(value) => Some(*value),
            ExprKind::String(text) => text.trim().to_lowercase().parse().ok(),
            _ => None,
        };
        value.map(Some).ok_or_else(|| wrong(property, "TRUE or FALSE"))
    }

    /// `PARTITIONS`, `REPLICAS`, `RETENTION_MS`.
    pub fn topic(&self) -> Result<TopicSpec> {
        Ok(TopicSpec {
            partitions: self.positive("PARTITIONS")?,
            replicas: self.positive("REPLICAS")?,
            retention_ms: self.positive("RETENTION_MS")?,
        })
    }

    /// `QUERY_ID`
    pub fn query_id(&self) -> Result<Option<String>> {
        let Some(id) = self.filled("QUERY_ID")? else { return Ok(None) };
        let upper = id.to_uppercase();
        let span = self.span("QUERY_ID");
        if !upper.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(
                Error::semantic(format!("the query id {id} has other characters than letters, digits and _")).at(span)
            );
        }
        if let Some(reserved) = RESERVED_QUERY_IDS.iter().find(|prefix| upper.starts_with(**prefix)) {
            return Err(Error::semantic(format!("query ids must not start with {reserved}"))
                .at(span)
                .hint("That start is kept for generated ids."));
        }
        Ok(Some(upper))
    }

    /// The format that the statement names for a side.
    pub fn format(&self, side: Side) -> Result<Option<&'static Features>> {
        let own = format!("{}_FORMAT", side.prefix());
        if self.get("FORMAT").is_some() && self.get(&own).is_some() {
            return Err(Error::semantic(format!("both FORMAT and {own} are given"))
                .at(self.span(&own))
                .hint("FORMAT sets both sides: use FORMAT alone, or KEY_FORMAT and VALUE_FORMAT."));
        }
        let key = if self.get(&own).is_some() { own.as_str() } else { "FORMAT" };
        self.filled(key)?.map(|name| formats::features(name, self.span(key))).transpose()
    }

    /// The full specification of a side's format. `inherited` is the format of the query's source, whose settings
    /// carry over when the name is the same.
    pub fn format_spec(
        &self,
        side: Side,
        features: &Features,
        inherited: Option<&FormatSpec>,
        columns: &[Column],
        config: &PlanConfig,
    ) -> Result<FormatSpec> {
        let mut spec = FormatSpec::new(features.name, false);
        if let Some(inherited) = inherited.filter(|inherited| inherited.name == features.name) {
            let kept =
                inherited.properties.iter().filter(|(key, _)| *key == "DELIMITER" || *key == "NULLABLE_REPRESENTATION");
            spec.properties.extend(kept.map(|(key, value)| (key.clone(), value.clone())));
        }
        for (suffix, setting) in [
            ("DELIMITER", "DELIMITER"),
            ("SCHEMA_ID", "SCHEMA_ID"),
            ("SCHEMA_FULL_NAME", "SCHEMA_FULL_NAME"),
            ("AVRO_SCHEMA_FULL_NAME", "SCHEMA_FULL_NAME"),
            ("PROTOBUF_NULLABLE_REPRESENTATION", "NULLABLE_REPRESENTATION"),
        ] {
            let key = format!("{}_{suffix}", side.prefix());
            if self.get(&key).is_none() {
                continue;
            }
            if !features.settings.contains(&setting) {
                return Err(Error::semantic(format!("the format {} takes no {key}", features.name))
                    .at(self.span(&key))
                    .hint(format!("Leave {key} out, or choose another format.")));
            }
            let value = match setting {
                "DELIMITER" => self.delimiter(&key)?,
                "SCHEMA_ID" => self.integer(&key)?.map(|id| id.to_string()).unwrap_or_default(),
                "NULLABLE_REPRESENTATION" => {
                    let text = self.filled(&key)?.unwrap_or_default().to_uppercase();
                    if text != "OPTIONAL" && text != "WRAPPER" {
                        return Err(
                            Error::semantic(format!("{key} is OPTIONAL or WRAPPER, not {text}")).at(self.span(&key))
                        );
                    }
                    text
                }
                _ => self.filled(&key)?.unwrap_or_default().to_owned(),
            };
            spec.properties.insert(setting.to_owned(), value);
        }
        spec.wrapped = match side {
            Side::Key => features.wraps_key(columns.len()),
            Side::Value => self.wraps_value(features, columns, config)?,
        };
        Ok(spec)
    }

    fn wraps_value(&self, features: &Features, columns: &[Column], config: &PlanConfig) -> Result<bool> {
        let span = self.span("WRAP_SINGLE_VALUE");
        match self.boolean("WRAP_SINGLE_VALUE")? {
            Some(_) if columns.len() != 1 => Err(Error::semantic("WRAP_SINGLE_VALUE is for values of one column")
                .at(span)
                .hint(format!("This value has {} columns: leave it out.", columns.len()))),
            Some(wrap) if !(if wrap { features.wrap } else { features.unwrap }) => {
                let wish = if wrap { "TRUE" } else { "FALSE" };
                Err(Error::semantic(format!(
                    "the format {} does not support WRAP_SINGLE_VALUE = {wish}",
                    features.name
                ))
                .at(span))
            }
            Some(wrap) => Ok(wrap),
            None if columns.len() == 1 && config.wrap_single_values == Some(false) && features.unwrap => Ok(false),
            None => Ok(features.wrap),
        }
    }

    fn delimiter(&self, key: &str) -> Result<String> {
        let text = self.string(key)?.unwrap_or_default();
        let mut chars = text.chars();
        match (text.to_uppercase().as_str(), chars.next(), chars.next()) {
            ("SPACE", ..) => Ok(" ".to_owned()),
            ("TAB", ..) => Ok("\t".to_owned()),
            (_, Some(c), None) if !c.is_whitespace() => Ok(c.to_string()),
            _ => Err(Error::semantic(format!("{key} must be one character, not '{text}'"))
                .at(self.span(key))
                .hint("Write 'SPACE' or 'TAB' for a space or a tab.")),
        }
    }

    /// `TIMESTAMP` and `TIMESTAMP_FORMAT`, checked against the columns.
    pub fn timestamp(&self, schema: &LogicalSchema) -> Result<Option<TimestampSpec>> {
        let format = self.filled("TIMESTAMP_FORMAT")?;
        let Some(written) = self.filled("TIMESTAMP")? else {
            return match format {
                Some(_) => Err(Error::semantic("TIMESTAMP_FORMAT without TIMESTAMP")
                    .at(self.span("TIMESTAMP_FORMAT"))
                    .hint("TIMESTAMP names the column that the format is for.")),
                None => Ok(None),
            };
        };
        let span = self.span("TIMESTAMP");
        let name = identifier(written);
        let Some(column) = schema.find(&name) else {
            let error = Error::semantic(format!("the TIMESTAMP column {name} does not exist")).at(span);
            let near = did_you_mean(&name, schema.columns.iter().map(|column| column.name.as_str()));
            return Err(match near {
                Some(near) => error.hint(format!("Did you mean {near}?")),
                None => error.hint("It must be one of the source's own columns."),
            });
        };
        let problem = match (&column.ty, format) {
            (SqlType::BigInt | SqlType::Timestamp, None) | (SqlType::String, Some(_)) => None,
            (SqlType::BigInt | SqlType::Timestamp, Some(_)) => {
                Some(format!("TIMESTAMP_FORMAT is for VARCHAR columns, and {name} is {}", column.ty))
            }
            (SqlType::String, None) => Some(format!("the VARCHAR column {name} needs a TIMESTAMP_FORMAT")),
            (ty, _) => Some(format!("a timestamp column cannot be {ty}")),
        };
        if let (Some(format), None) = (format, &problem) {
            DatePattern::new(format).map_err(|error| error.at(self.span("TIMESTAMP_FORMAT")))?;
        }
        match problem {
            Some(message) => Err(Error::semantic(message)
                .at(span)
                .hint("Timestamp columns are BIGINT, TIMESTAMP, or VARCHAR with a TIMESTAMP_FORMAT.")),
            None => Ok(Some(TimestampSpec { column: name, format: format.map(str::to_owned) })),
        }
    }

    /// `WINDOW_TYPE` and `WINDOW_SIZE`.
    pub fn window(&self) -> Result<Option<KeyWindow>> {
        let size = self.filled("WINDOW_SIZE")?;
        let Some(kind) = self.filled("WINDOW_TYPE")? else {
            return match size {
                Some(_) => Err(Error::semantic("WINDOW_SIZE without WINDOW_TYPE")
                    .at(self.span("WINDOW_SIZE"))
                    .hint("Add WINDOW_TYPE = 'TUMBLING' or 'HOPPING'.")),
                None => Ok(None),
            };
        };
        let upper = kind.to_uppercase();
        let kind = [WindowKind::Tumbling, WindowKind::Hopping, WindowKind::Session]
            .into_iter()
            .find(|known| known.to_string() == upper)
            .ok_or_else(|| {
                Error::semantic(format!("unknown window type {kind}"))
                    .at(self.span("WINDOW_TYPE"))
                    .hint("Window types are TUMBLING, HOPPING and SESSION.")
            })?;
        let size_ms = size.map(|text| duration_ms(text).ok_or(text)).transpose().map_err(|text| {
            Error::semantic(format!("'{text}' is no duration"))
                .at(self.span("WINDOW_SIZE"))
                .hint("A number and a unit: '30 SECONDS', '5 MINUTES', '1 HOUR', '2 DAYS'.")
        })?;
        match (kind, size_ms) {
            (WindowKind::Session, Some(_)) => Err(Error::semantic("session windows have no WINDOW_SIZE")
                .at(self.span("WINDOW_SIZE"))
                .hint("Each session carries its own end in the key.")),
            (WindowKind::Tumbling | WindowKind::Hopping, None) => {
                Err(Error::semantic(format!("{kind} windows need a WINDOW_SIZE"))
                    .at(self.span("WINDOW_TYPE"))
                    .hint("Only the start is in the key; the size tells the end."))
            }
            _ => Ok(Some(KeyWindow { kind, size_ms })),
        }
    }
}

fn wrong(property: &Property, wanted: &str) -> Error {
    Error::semantic(format!("{} must be {wanted}", property.key.text)).at(property.value.span)
}

/// A name inside a text: back-quoted as it stands, else in upper case.
fn identifier(text: &str) -> String {
    match text.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) {
        Some(quoted) => quoted.replace("``", "`"),
        None => text.to_uppercase(),
    }
}

/// `30 SECONDS` in milliseconds.
fn duration_ms(text: &str) -> Option<i64> {
    let mut words = text.split_whitespace();
    let number: i64 = words.next()?.parse().ok()?;
    let unit = words.next()?.to_uppercase();
    let factor = match unit.strip_suffix('S').unwrap_or(&unit) {
        "MILLISECOND" => 1,
        "SECOND" => 1000,
        "MINUTE" => 60_000,
        "HOUR" => 3_600_000,
        "DAY" => 86_400_000,
        "WEEK" => 7 * 86_400_000,
        "MONTH" => 30 * 86_400_000,
        "YEAR" => 365 * 86_400_000,
        _ => return None,
    };
    let duration = number.checked_mul(factor)?;
    (words.next().is_none() && duration > 0).then_some(duration)
}
