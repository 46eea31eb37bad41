//! [`EngineConfig`] and the session properties that change how queries run.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::broker::Start;
use crate::error::{Error, Result, did_you_mean};
use crate::format::Formats;
use crate::format::schema::HttpRegistry;
use crate::state::{StateDir, StateEnv};

/// Settings of an engine.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Names the command log, consumer groups and internal topics: one per deployment.
    pub service_id: String,
    /// Threads per persistent query; with none, other processes of the service do the work.
    pub workers: usize,
    /// Defaults of session properties.
    pub properties: BTreeMap<String, String>,
    /// Partitions of topics that Eddyline creates and nothing else decides.
    pub default_partitions: i32,
    /// Copies of topics that Eddyline creates; the broker's default when `None`.
    pub default_replicas: Option<i32>,
    /// Variables that hold in every query file, over its own DEFINE; names in upper case.
    pub variables: BTreeMap<String, String>,
    /// Where state is kept: in memory only unless [`EngineConfig::with_state`] found a place.
    pub state: StateEnv,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            service_id: "default".to_owned(),
            workers: 1,
            properties: BTreeMap::new(),
            default_partitions: 1,
            default_replicas: None,
            variables: BTreeMap::new(),
            state: StateEnv::memory(),
        }
    }
}

impl EngineConfig {
    /// The formats, with the Schema Registry if one is configured.
    pub fn formats(&self) -> Result<Formats> {
        let value = |name: &str| {
            let value = self.properties.iter().find(|(key, _)| canonical(key) == name).map(|(_, value)| value.trim());
            value.filter(|value| !value.is_empty())
        };
        let Some(url) = value("schema.registry.url") else { return Ok(Formats::default()) };
        let file = value("schema.registry.ssl.truststore.location");
        let trusted = file
            .map(|file| std::fs::read(file).map_err(|e| Error::not_found(format!("cannot read {file}")).caused_by(e)));
        let user_info = value("schema.registry.basic.auth.user.info");
        let registry = HttpRegistry::new(url, user_info, trusted.transpose()?.as_deref())?;
        Ok(Formats::with_registry(Arc::new(registry)))
    }

    /// The same with a place for state on disk: in `state.dir`, or in `default_dir` when nobody set it; then a place
    /// that cannot be had is only a pity.
    pub fn with_state(self, default_dir: &Path) -> Result<Self> {
        let set = Properties(
            self.properties.iter().map(|(key, value)| (canonical(key).to_owned(), value.trim().to_owned())).collect(),
        );
        let opened = match set.get("state.dir") {
            "none" => return Ok(self),
            "" => match StateDir::open(default_dir, &self.service_id) {
                Ok(dir) => dir,
                Err(error) => {
                    tracing::warn!(dir = %default_dir.display(), %error, "state is in memory only");
                    return Ok(self);
                }
            },
            dir => StateDir::open(Path::new(dir), &self.service_id)?,
        };
        let bytes = usize::try_from(set.number("state.memory.max.bytes")).unwrap_or(usize::MAX);
        let interval_ms = set.number("state.checkpoint.interval.ms").max(1);
        Ok(Self { state: StateEnv::on_disk(opened, bytes, interval_ms), ..self })
    }
}

/// Least memory for state: below it nothing but spilling would be done.
const STATE_BYTES_MIN: i64 = 64 << 20;

/// A property, its default and what it does.
pub struct PropertyDoc {
    /// Its name without `ksql.` and `streams.` in front.
    pub name: &'static str,
    /// Its value when nobody set it.
    pub default: &'static str,
    /// What it does.
    pub about: &'static str,
}

/// Every session property.
pub const PROPERTIES: &[PropertyDoc] = &[
    PropertyDoc {
        name: "auto.offset.reset",
        default: "earliest",
        about: "where streams without committed offsets start: earliest or latest (push queries: latest)",
    },
    PropertyDoc {
        name: "cache.max.bytes.buffering",
        default: "10000000",
        about: "0 emits every update of a table; otherwise updates of one key are merged within a commit interval",
    },
    PropertyDoc { name: "commit.interval.ms", default: "100", about: "time between commits" },
    PropertyDoc {
        name: "commit.max.records",
        default: "500000",
        about: "so many records written make a commit due before its time",
    },
    PropertyDoc {
        name: "num.standby.replicas",
        default: "0",
        about: "1 or more: every process keeps copies of the stores that the others work on, ready to take over",
    },
    PropertyDoc {
        name: "idle.timeout.ms",
        default: "10000",
        about: "after so long without input stream time moves with the wall clock; 0 turns it off",
    },
    PropertyDoc { name: "processing.guarantee", default: "exactly_once", about: "exactly_once or at_least_once" },
    PropertyDoc {
        name: "persistence.default.format.key",
        default: "KAFKA",
        about: "KEY_FORMAT when a statement names none",
    },
    PropertyDoc {
        name: "persistence.default.format.value",
        default: "",
        about: "VALUE_FORMAT when a statement names none",
    },
    PropertyDoc {
        name: "persistence.wrap.single.values",
        default: "true",
        about: "whether a single value column is written as an object",
    },
    PropertyDoc {
        name: "schema.registry.url",
        default: "",
        about: "addresses of the Schema Registry, for AVRO, PROTOBUF and JSON_SR; read when the engine starts",
    },
    PropertyDoc {
        name: "schema.registry.basic.auth.user.info",
        default: "",
        about: "`user:password` for the Schema Registry; read when the engine starts",
    },
    PropertyDoc {
        name: "schema.registry.ssl.truststore.location",
        default: "",
        about: "PEM file of the certificates that an https Schema Registry is trusted by, instead of the well-known ones; read when the engine starts",
    },
    PropertyDoc {
        name: "assert.topic.default.timeout.ms",
        default: "1000",
        about: "how long ASSERT TOPIC waits for its topic without TIMEOUT",
    },
    PropertyDoc {
        name: "assert.schema.default.timeout.ms",
        default: "1000",
        about: "how long ASSERT SCHEMA waits for its schema without TIMEOUT",
    },
    PropertyDoc {
        name: "create.or.replace.enabled",
        default: "true",
        about: "accepted for ksqlDB's scripts: CREATE OR REPLACE is always there",
    },
    PropertyDoc {
        name: "__emit.interval.ms.kstreams.windowed.aggregation__",
        default: "",
        about: "when set, EMIT FINAL loses the windows that Kafka Streams loses: those that stream time jumps over",
    },
    PropertyDoc {
        name: "new.query.planner.enabled",
        default: "false",
        about: "whether the copy of a stream has the keys that its projection selects, in their order, and may leave keys out",
    },
    PropertyDoc {
        name: "state.dir",
        default: "",
        about: "folder of the local state; `none` keeps state in memory only; when not set, `state` in the data directory; read when the engine starts",
    },
    PropertyDoc {
        name: "state.memory.max.bytes",
        default: "1073741824",
        about: "memory of all state of the process, above it state is on disk; read when the engine starts",
    },
    PropertyDoc {
        name: "state.checkpoint.interval.ms",
        default: "30000",
        about: "time between local checkpoints, from which a restart goes on; read when the engine starts",
    },
    PropertyDoc {
        name: "functions.collect_list.limit",
        default: "",
        about: "how many values COLLECT_LIST keeps; all when not set",
    },
    PropertyDoc {
        name: "functions.collect_set.limit",
        default: "",
        about: "how many values COLLECT_SET keeps; all when not set",
    },
    PropertyDoc { name: "output.topic.name.prefix", default: "", about: "in front of the names of created topics" },
];

/// A property's name as it is kept: `ksql.streams.auto.offset.reset` is `auto.offset.reset`.
pub fn canonical(key: &str) -> &str {
    let key = key.strip_prefix("ksql.").unwrap_or(key);
    key.strip_prefix("streams.").unwrap_or(key)
}

/// Checks a property's name and value.
pub fn check(key: &str, value: &str) -> Result<()> {
    let name = canonical(key);
    let Some(known) = PROPERTIES.iter().find(|property| property.name == name) else {
        let error = Error::semantic(format!("unknown property {key}"));
        return Err(match did_you_mean(name, PROPERTIES.iter().map(|property| property.name)) {
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => error.hint("SHOW PROPERTIES lists all properties."),
        });
    };
    let wrong = |expected: &str| Err(Error::semantic(format!("property {key} takes {expected}, not '{value}'")));
    match known.name {
        "cache.max.bytes.buffering"
        | "commit.interval.ms"
        | "commit.max.records"
        | "idle.timeout.ms"
        | "num.standby.replicas"
        | "assert.topic.default.timeout.ms"
        | "assert.schema.default.timeout.ms"
        | "state.checkpoint.interval.ms" => match value.parse::<u64>() {
            Ok(_) => Ok(()),
            Err(_) => wrong("a number that is not negative"),
        },
        "state.memory.max.bytes" if !value.parse::<i64>().is_ok_and(|bytes| bytes >= STATE_BYTES_MIN) => {
            wrong(&format!("a number of at least {STATE_BYTES_MIN}"))
        }
        "auto.offset.reset" if !["earliest", "latest"].contains(&value.to_lowercase().as_str()) => {
            wrong("earliest or latest")
        }
        "processing.guarantee"
            if !["exactly_once", "exactly_once_v2", "at_least_once"].contains(&value.to_lowercase().as_str()) =>
        {
            wrong("exactly_once or at_least_once")
        }
        "persistence.wrap.single.values" if value.parse::<bool>().is_err() => wrong("true or false"),
        _ => Ok(()),
    }
}

/// Properties in force: a session's over the engine's over the defaults.
#[derive(Debug, Clone, Default)]
pub struct Properties(pub BTreeMap<String, String>);

impl Properties {
    /// The value in force.
    pub fn get(&self, name: &str) -> &str {
        match self.0.get(name) {
            Some(value) => value,
            None => PROPERTIES.iter().find(|property| property.name == name).map_or("", |property| property.default),
        }
    }

    /// Whether somebody set it.
    pub fn is_set(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// A number.
    pub fn number(&self, name: &str) -> i64 {
        self.get(name).parse().unwrap_or(0)
    }

    /// Where streams without committed offsets start.
    pub fn start(&self) -> Start {
        if self.get("auto.offset.reset").eq_ignore_ascii_case("latest") { Start::Latest } else { Start::Earliest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn properties_are_checked() {
        assert!(check("ksql.streams.auto.offset.reset", "earliest").is_ok());
        assert!(check("auto.offset.reset", "middle").is_err());
        assert!(check("cache.max.bytes.buffering", "-1").is_err());
        let error = check("auto.offset.rest", "earliest").expect_err("misspelt");
        assert!(error.hints()[0].contains("auto.offset.reset"));
    }
}
