//! [`Environment`]: what planning may ask about the world.

use std::collections::BTreeMap;
use std::fmt;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::types::{Column, FormatSpec};

/// Session and server properties that change plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanConfig {
    /// Key format when a statement names none.
    pub default_key_format: String,
    /// Value format when a statement names none.
    pub default_value_format: Option<String>,
    /// Put before sink topics that are named after their source.
    pub topic_prefix: String,
    /// Whether single value columns are wrapped when the statement does not say.
    pub wrap_single_values: Option<bool>,
    /// Whether EMIT FINAL loses the windows that Kafka Streams loses.
    pub final_forgets: bool,
    /// Whether a stream's copy has the keys that it selects, in their order, and none that it leaves out.
    pub keys_as_selected: bool,
    /// Properties of functions that are set.
    pub functions: BTreeMap<String, String>,
}

impl Default for PlanConfig {
    fn default() -> Self {
        Self {
            default_key_format: "KAFKA".to_owned(),
            default_value_format: None,
            topic_prefix: String::new(),
            wrap_single_values: None,
            final_forgets: false,
            keys_as_selected: false,
            functions: BTreeMap::new(),
        }
    }
}

impl PlanConfig {
    /// Properties that [`PlanConfig::read`] asks for.
    pub const PROPERTIES: [&'static str; 6] = [
        "ksql.persistence.default.format.key",
        "ksql.persistence.default.format.value",
        "ksql.output.topic.name.prefix",
        "ksql.persistence.wrap.single.values",
        "ksql.streams.__emit.interval.ms.kstreams.windowed.aggregation__",
        "ksql.new.query.planner.enabled",
    ];

    /// Properties that functions ask for.
    pub const OF_FUNCTIONS: [&'static str; 2] =
        ["ksql.functions.collect_list.limit", "ksql.functions.collect_set.limit"];

    /// The configuration that `get` (property name to text) holds.
    pub fn read(get: &dyn Fn(&str) -> Option<String>) -> Self {
        let [key, value, prefix, wrap, final_interval, new_planner] = Self::PROPERTIES.map(get);
        let format = |text: String| Some(text.trim().to_uppercase()).filter(|text| !text.is_empty());
        Self {
            default_key_format: key.and_then(format).unwrap_or_else(|| Self::default().default_key_format),
            default_value_format: value.and_then(format),
            topic_prefix: prefix.unwrap_or_default(),
            wrap_single_values: wrap.and_then(|text| text.trim().to_lowercase().parse().ok()),
            final_forgets: final_interval.is_some(),
            keys_as_selected: new_planner.is_some_and(|text| text.trim().eq_ignore_ascii_case("true")),
            functions: Self::OF_FUNCTIONS
                .into_iter()
                .filter_map(|name| get(name).map(|text| (name.to_owned(), text)))
                .collect(),
        }
    }
}

/// Whether a format can hold these columns as key (`true`) or value.
pub type FormatCheck<'a> = dyn Fn(&FormatSpec, bool, &[Column]) -> Result<()> + 'a;

/// What planning asks a Schema Registry. Sides are keys (`true`) and values.
pub trait Schemas {
    /// The columns that a side of a topic has there.
    fn infer(&self, format: &FormatSpec, topic: &str, is_key: bool) -> Result<Vec<Column>>;
    /// Refuses columns that do not fit the schema whose number the format names.
    fn check(&self, format: &FormatSpec, topic: &str, is_key: bool, columns: &[Column]) -> Result<()>;
}

/// What planning may ask about the world.
#[derive(Clone, Copy)]
pub struct Environment<'a> {
    /// Sources and types.
    pub catalog: &'a Catalog,
    /// Properties.
    pub config: &'a PlanConfig,
    /// Partition count of a topic; `None` skips the checks that need it.
    pub partitions: &'a dyn Fn(&str) -> Option<i32>,
    /// Whether a format can hold these columns as key (`true`) or value.
    pub check_format: &'a FormatCheck<'a>,
    /// Schemas of topics.
    pub schemas: &'a dyn Schemas,
}

impl fmt::Debug for Environment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment").field("config", self.config).finish_non_exhaustive()
    }
}
