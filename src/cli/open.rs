//! [`Host`]: broker and engine as the settings say. The one place where the terminal meets their making.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Settings;
use crate::broker::Broker;
use crate::broker::embedded::{EmbeddedBroker, EmbeddedOptions};
use crate::broker::kafka::KafkaBroker;
use crate::broker::memory::MemoryBroker;
use crate::engine::config::canonical;
use crate::engine::{CatchUp, Deployment, Engine, EngineConfig, Session};
use crate::error::Result;
use crate::time::SystemClock;

/// A running engine on its broker.
pub struct Host {
    broker: Arc<dyn Broker>,
    engine: Arc<Engine>,
}

/// The broker that the settings name.
pub fn broker(settings: &Settings, home: Option<&Path>) -> Result<Arc<dyn Broker>> {
    match &settings.bootstrap_servers {
        Some(servers) => Ok(Arc::new(KafkaBroker::connect(servers, &settings.kafka)?)),
        None => {
            let dir = data_dir(settings, home);
            std::fs::create_dir_all(&dir)?;
            let broker = EmbeddedBroker::open(&dir, EmbeddedOptions::default())
                .map_err(|error| error.context(format!("embedded broker in {}", dir.display())))?;
            Ok(Arc::new(broker))
        }
    }
}

/// Folder of the embedded broker.
pub fn data_dir(settings: &Settings, home: Option<&Path>) -> PathBuf {
    match (&settings.data_dir, home) {
        (Some(dir), _) => dir.clone(),
        (None, Some(home)) => home.join("data"),
        (None, None) => PathBuf::from("eddyline-data"),
    }
}

/// An engine on the broker that the settings name; queries of earlier starts resume.
pub fn open(settings: &Settings, home: Option<&Path>) -> Result<Host> {
    open_with(settings, home, BTreeMap::new())
}

/// The same with variables that hold in the query files that it deploys.
pub fn open_with(settings: &Settings, home: Option<&Path>, variables: BTreeMap<String, String>) -> Result<Host> {
    let config = EngineConfig { variables, ..engine_config(settings) };
    start(config.with_state(&data_dir(settings, home).join("state"))?, broker(settings, home)?)
}

/// An engine in memory, without anything in it: `explain`.
pub fn scratch(settings: &Settings) -> Result<Host> {
    start(engine_config(settings), Arc::new(MemoryBroker::new()))
}

fn start(config: EngineConfig, broker: Arc<dyn Broker>) -> Result<Host> {
    let engine = Engine::start(config, Arc::clone(&broker), SystemClock::shared())?;
    Ok(Host { broker, engine })
}

fn engine_config(settings: &Settings) -> EngineConfig {
    EngineConfig {
        service_id: settings.service_id.clone(),
        workers: settings.workers,
        properties: properties(settings),
        default_partitions: settings.default_partitions,
        default_replicas: settings.default_replicas,
        ..EngineConfig::default()
    }
}

/// Engine properties as set; the two settings with names of their own fill in what is not.
fn properties(settings: &Settings) -> BTreeMap<String, String> {
    let entries = settings.properties.iter().map(|(key, value)| (canonical(key).to_owned(), value.clone()));
    let mut properties: BTreeMap<_, _> = entries.collect();
    let own = [
        ("commit.interval.ms", settings.commit_interval.as_millis()),
        ("idle.timeout.ms", settings.idle_timeout.as_millis()),
    ];
    for (name, ms) in own {
        properties.entry(name.to_owned()).or_insert_with(|| ms.to_string());
    }
    properties
}

impl Host {
    /// How messages call the broker.
    pub fn name(&self) -> String {
        self.broker.name()
    }

    /// The broker.
    pub fn broker(&self) -> &Arc<dyn Broker> {
        &self.broker
    }

    /// A new conversation.
    pub fn session(&self) -> Box<dyn Session> {
        self.engine.session()
    }

    /// Deploys a folder, or only says what that would do.
    pub fn deploy(&self, path: &Path, replace: bool, check_only: bool) -> Result<Deployment> {
        self.engine.deploy(path, replace, check_only)
    }

    /// Begins to watch whether the queries come to the end of what there is; `None` while one could not be started.
    pub fn catch_up(&self) -> Result<Option<CatchUp>> {
        self.engine.catch_up()
    }

    /// Commits and stops every query.
    pub fn shutdown(&self) {
        self.engine.shutdown();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn properties_beat_the_settings_of_the_same_meaning() {
        let mut settings = Settings { idle_timeout: Duration::from_secs(3), ..Settings::default() };
        settings.properties.insert("ksql.streams.commit.interval.ms".to_owned(), "7".to_owned());
        let properties: Vec<_> =
            properties(&settings).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(properties, ["commit.interval.ms=7", "idle.timeout.ms=3000"]);
    }
}
