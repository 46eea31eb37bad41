//! Settings: built-in defaults, then the config file, then the environment, then flags; later ones win.
//!
//! **Invariant:** every setting has one name and one way to be read ([`Settings::set`]), wherever it comes from; an
//! unknown name is an error at each of the three places.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;

use super::args::{GlobalArgs, LogFormat, OutputFormat};
use super::duration::parse_duration;
use super::failure::{Failure, Script};
use crate::error::{Error, Result, Span, did_you_mean};

/// Names that a config file, the environment (`EDDYLINE_` in front, upper case, `_` for `-` and `.`) and `--set` know,
/// besides `kafka.*` and `ksql.*`.
pub const KEYS: [&str; 14] = [
    "bootstrap-servers",
    "broker-wait",
    "commit-interval",
    "data-dir",
    "default-partitions",
    "default-replicas",
    "history-file",
    "idle-timeout",
    "log-format",
    "log-level",
    "metrics-addr",
    "output",
    "service-id",
    "workers",
];

/// The file that is read when `--config` names none.
pub const CONFIG_FILE: &str = "eddyline.toml";

/// Everything that can be set.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Kafka; the embedded broker when `None`.
    pub bootstrap_servers: Option<String>,
    /// How long `run` waits for Kafka when it starts.
    pub broker_wait: Duration,
    /// Folder of the embedded broker; a place under the user's home when `None`.
    pub data_dir: Option<PathBuf>,
    /// Name of this deployment.
    pub service_id: String,
    /// Threads that process records.
    pub workers: usize,
    /// Partitions of topics that nothing else decides.
    pub default_partitions: i32,
    /// Copies of created topics; the broker's default when `None`.
    pub default_replicas: Option<i32>,
    /// How often work is committed.
    pub commit_interval: Duration,
    /// Without records for so long, stream time follows the wall clock; zero turns that off.
    pub idle_timeout: Duration,
    /// What is logged.
    pub log_level: Option<String>,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Where metrics and health are served; nowhere when `None`.
    pub metrics_addr: Option<SocketAddr>,
    /// How results look.
    pub output: OutputFormat,
    /// Where the prompt remembers lines; a place under the user's home when `None`.
    pub history_file: Option<PathBuf>,
    /// Client properties, without `kafka.` in front.
    pub kafka: BTreeMap<String, String>,
    /// Engine properties, names as ksqlDB has them.
    pub properties: BTreeMap<String, String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bootstrap_servers: None,
            broker_wait: Duration::from_secs(120),
            data_dir: None,
            service_id: "default".to_owned(),
            workers: 1,
            default_partitions: 1,
            default_replicas: None,
            commit_interval: Duration::from_millis(100),
            idle_timeout: Duration::from_secs(10),
            log_level: None,
            log_format: LogFormat::Text,
            metrics_addr: None,
            output: OutputFormat::Table,
            history_file: None,
            kafka: BTreeMap::new(),
            properties: BTreeMap::new(),
        }
    }
}

/// Where a setting was found, for messages.
#[derive(Debug, Clone, Copy)]
enum Origin<'a> {
    File(&'a Path),
    Environment(&'a str),
    Flag,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Environment(name) => write!(f, "environment variable {name}"),
            Self::Flag => f.write_str("--set"),
        }
    }
}

impl Settings {
    /// The settings of this call: reads `--config`, or [`CONFIG_FILE`] if there is one.
    pub fn load(flags: &GlobalArgs, environment: &[(String, String)]) -> Result<Self, Failure> {
        let named = flags.config.clone().or_else(|| {
            environment.iter().find(|(name, _)| name == "EDDYLINE_CONFIG").map(|(_, value)| PathBuf::from(value))
        });
        let path = named.clone().unwrap_or_else(|| PathBuf::from(CONFIG_FILE));
        let file = match std::fs::read_to_string(&path) {
            Ok(text) => Some((path, text)),
            Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => {
                let error = Error::data(format!("cannot read config file {}", path.display())).caused_by(error);
                return Err(Failure::usage(error));
            }
        };
        Self::resolve(flags, environment, file.as_ref().map(|(path, text)| (path.as_path(), text.as_str())))
    }

    /// Puts the layers over each other.
    pub fn resolve(
        flags: &GlobalArgs,
        environment: &[(String, String)],
        file: Option<(&Path, &str)>,
    ) -> Result<Self, Failure> {
        let mut settings = Self::default();
        if let Some((path, text)) = file {
            settings.read_file(path, text).map_err(|error| {
                Failure::usage(error).in_script(Script::new(path.display().to_string(), text.to_owned()))
            })?;
        }
        settings.read_environment(environment).map_err(Failure::usage)?;
        settings.read_flags(flags).map_err(Failure::usage)?;
        Ok(settings)
    }

    fn read_file(&mut self, path: &Path, text: &str) -> Result<()> {
        let table: toml::Table = toml::from_str(text).map_err(|error| {
            let out = Error::data(format!("{} is no TOML: {}", path.display(), error.message().replace('\n', ", ")));
            match error.span() {
                Some(span) => out.at(Span::new(span.start, span.end)),
                None => out,
            }
        })?;
        let mut entries = Vec::new();
        flatten("", &toml::Value::Table(table), &mut entries)?;
        for (key, value) in entries {
            self.set(&key, &value, Origin::File(path)).map_err(|error| match find_key(text, &key) {
                Some(span) => error.at(span),
                None => error,
            })?;
        }
        Ok(())
    }

    fn read_environment(&mut self, environment: &[(String, String)]) -> Result<()> {
        for (name, value) in environment {
            let Some(rest) = name.strip_prefix("EDDYLINE_") else { continue };
            // Scripts' own: the test suite's broker, and which file to read.
            if rest.starts_with("TEST_") || rest == "CONFIG" {
                continue;
            }
            let lower = rest.to_lowercase();
            let key = match lower.split_once('_') {
                Some(("kafka" | "ksql", _)) => lower.replace('_', "."),
                _ => lower.replace('_', "-"),
            };
            self.set(&key, value, Origin::Environment(name))?;
        }
        Ok(())
    }

    fn read_flags(&mut self, flags: &GlobalArgs) -> Result<()> {
        for (key, value) in &flags.set {
            self.set(key, value, Origin::Flag)?;
        }
        // The flags of their own were checked by clap and beat --set.
        if let Some(servers) = &flags.bootstrap_servers {
            self.bootstrap_servers = Some(servers.clone());
        }
        if let Some(dir) = &flags.data_dir {
            self.data_dir = Some(dir.clone());
            // Who names a folder on the command line wants the embedded broker, whatever the file says.
            if flags.bootstrap_servers.is_none() {
                self.bootstrap_servers = None;
            }
        }
        if let Some(id) = &flags.service_id {
            self.service_id = id.clone();
        }
        if let Some(level) = &flags.log_level {
            self.log_level = Some(level.clone());
        }
        if let Some(format) = flags.log_format {
            self.log_format = format;
        }
        Ok(())
    }

    /// Sets one setting from its text.
    fn set(&mut self, key: &str, value: &str, origin: Origin<'_>) -> Result<()> {
        let wrong = |wanted: &str| Error::data(format!("{origin}: {key} = {value:?} is not {wanted}"));
        match key {
            "bootstrap-servers" => self.bootstrap_servers = (!value.is_empty()).then(|| value.to_owned()),
            "broker-wait" => self.broker_wait = parse_duration(value).map_err(|e| e.context(origin))?,
            "data-dir" => self.data_dir = (!value.is_empty()).then(|| PathBuf::from(value)),
            "history-file" => self.history_file = Some(PathBuf::from(value)),
            "service-id" => self.service_id = value.to_owned(),
            "workers" => {
                let workers = value.parse().ok().filter(|n| (0..=256).contains(n));
                self.workers = workers.ok_or_else(|| wrong("a number from 0 to 256"))?;
            }
            "default-partitions" => {
                let partitions = value.parse().ok().filter(|n| (1..=10_000).contains(n));
                self.default_partitions = partitions.ok_or_else(|| wrong("a number from 1 to 10000"))?;
            }
            "default-replicas" => {
                let replicas = value.parse().ok().filter(|n| (1..=100).contains(n));
                self.default_replicas = Some(replicas.ok_or_else(|| wrong("a number from 1 to 100"))?);
            }
            "commit-interval" => self.commit_interval = parse_duration(value).map_err(|e| e.context(origin))?,
            "idle-timeout" => self.idle_timeout = parse_duration(value).map_err(|e| e.context(origin))?,
            "log-level" => self.log_level = Some(value.to_owned()),
            "log-format" => self.log_format = LogFormat::from_str(value, true).map_err(|_| wrong("text or json"))?,
            "metrics-addr" if value.is_empty() => self.metrics_addr = None,
            "metrics-addr" => {
                let address = value.parse().map_err(|_| wrong("an address and port, such as 127.0.0.1:9404"))?;
                self.metrics_addr = Some(address);
            }
            "output" => {
                self.output = OutputFormat::from_str(value, true).map_err(|_| wrong("table, json or csv"))?;
            }
            _ => match key.strip_prefix("kafka.") {
                Some(property) if !property.is_empty() => {
                    self.kafka.insert(property.to_owned(), value.to_owned());
                }
                _ if key.starts_with("ksql.") || key.contains('.') => {
                    self.properties.insert(key.to_owned(), value.to_owned());
                }
                _ => return Err(unknown(key, origin)),
            },
        }
        Ok(())
    }
}

fn unknown(key: &str, origin: Origin<'_>) -> Error {
    let error = Error::data(format!("{origin}: unknown setting {key}"));
    match did_you_mean(key, KEYS) {
        Some(near) => error.hint(format!("Did you mean {near}?")),
        None => error.hint(format!("Known are {} and names that begin with kafka. or ksql.", KEYS.join(", "))),
    }
}

/// `kafka.sasl.username = …` and `[kafka] "sasl.username" = …` mean the same.
fn flatten(prefix: &str, value: &toml::Value, into: &mut Vec<(String, String)>) -> Result<()> {
    let text = match value {
        toml::Value::Table(table) => {
            for (key, value) in table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, into)?;
            }
            return Ok(());
        }
        toml::Value::Array(items) => {
            let items: Vec<_> =
                items.iter().map(|item| item.as_str().map_or(item.to_string(), str::to_owned)).collect();
            items.join(",")
        }
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    // [properties] is only a place to write engine properties in.
    let key = prefix.strip_prefix("properties.").filter(|key| key.contains('.')).unwrap_or(prefix);
    into.push((key.to_owned(), text));
    Ok(())
}

/// Where the file writes this key: the first line that begins with it, or with its last part.
fn find_key(text: &str, key: &str) -> Option<Span> {
    let last = key.rsplit('.').next()?;
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start_matches([' ', '\t', '"', '\'']).len();
        for name in [key, last] {
            if line[indent..].starts_with(name) {
                return Some(Span::new(start + indent, start + indent + name.len()));
            }
        }
        start += line.len();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn resolve(flags: &GlobalArgs, environment: &[(&str, &str)], file: &str) -> Result<Settings, Failure> {
        Settings::resolve(flags, &env(environment), Some((Path::new("eddyline.toml"), file)))
    }

    #[test]
    fn later_layers_win() {
        let file = "service-id = 'file'\nworkers = 3\nidle-timeout = '5s'\nlog-level = 'warn'\n";
        let environment = [("EDDYLINE_SERVICE_ID", "env"), ("EDDYLINE_WORKERS", "5"), ("PATH", "/bin")];
        let flags = GlobalArgs { service_id: Some("flag".to_owned()), ..GlobalArgs::default() };
        let settings = resolve(&flags, &environment, file).unwrap();
        assert_eq!(settings.service_id, "flag");
        assert_eq!(settings.workers, 5);
        assert_eq!(settings.idle_timeout, Duration::from_secs(5));
        assert_eq!(settings.log_level.as_deref(), Some("warn"));
        assert_eq!(settings.commit_interval, Duration::from_millis(100));
    }

    #[test]
    fn properties_pass_through() {
        let file = "[kafka]\n\"security.protocol\" = 'SSL'\nsasl.username = 'a'\n[properties]\n\
                    'auto.offset.reset' = 'latest'\n[ksql]\n'streams.num.stream.threads' = 2\n";
        let environment = [("EDDYLINE_KAFKA_SASL_USERNAME", "b"), ("EDDYLINE_TEST_BOOTSTRAP", "x")];
        let flags = GlobalArgs { set: vec![("kafka.debug".into(), "eos".into())], ..GlobalArgs::default() };
        let settings = resolve(&flags, &environment, file).unwrap();
        let kafka: Vec<_> = settings.kafka.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(kafka, ["debug=eos", "sasl.username=b", "security.protocol=SSL"]);
        let properties: Vec<_> = settings.properties.iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(properties, ["auto.offset.reset=latest", "ksql.streams.num.stream.threads=2"]);
    }

    #[test]
    fn unknown_names_are_errors_wherever_they_stand() {
        let none = GlobalArgs::default();
        let failure = resolve(&none, &[], "workers = 2\nservce-id = 'x'\n").unwrap_err();
        assert_eq!(failure.error.message(), "eddyline.toml: unknown setting servce-id");
        assert_eq!(failure.error.hints(), ["Did you mean service-id?"]);
        assert_eq!(failure.error.span(), Some(Span::new(12, 21)));
        assert_eq!(failure.exit_code(), 2);

        let failure = resolve(&none, &[("EDDYLINE_WORKRES", "2")], "").unwrap_err();
        assert_eq!(failure.error.message(), "environment variable EDDYLINE_WORKRES: unknown setting workres");
        assert_eq!(failure.error.hints(), ["Did you mean workers?"]);

        let flags = GlobalArgs { set: vec![("datadir".into(), "x".into())], ..GlobalArgs::default() };
        let failure = resolve(&flags, &[], "").unwrap_err();
        assert_eq!(failure.error.hints(), ["Did you mean data-dir?"]);
    }

    #[test]
    fn wrong_values_say_what_is_wanted() {
        let failure = resolve(&GlobalArgs::default(), &[], "workers = 257").unwrap_err();
        assert_eq!(failure.error.message(), "eddyline.toml: workers = \"257\" is not a number from 0 to 256");
        let failure = resolve(&GlobalArgs::default(), &[], "workers = = 1").unwrap_err();
        assert!(failure.error.message().starts_with("eddyline.toml is no TOML"));
        assert!(failure.error.span().is_some());
    }

    #[test]
    fn naming_a_folder_means_the_embedded_broker() {
        let flags = GlobalArgs { data_dir: Some("d".into()), ..GlobalArgs::default() };
        let settings = resolve(&flags, &[], "bootstrap-servers = 'a:1'").unwrap();
        assert_eq!(settings.bootstrap_servers, None);
    }
}
