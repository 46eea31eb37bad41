//! [`Host`]: broker and engine as the settings say. The one place where the terminal meets the engine's making.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Settings;
use crate::broker::Broker;
use crate::broker::embedded::{EmbeddedBroker, EmbeddedOptions};
use crate::broker::kafka::KafkaBroker;
use crate::broker::memory::MemoryBroker;
use crate::engine::{Deployment, Engine, EngineConfig, Session, config};
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

/// An engine on the broker that the settings name.
pub fn open(settings: &Settings, home: Option<&Path>) -> Result<Host> {
    start(settings, broker(settings, home)?)
}

/// An engine in memory, without anything in it: `explain`.
pub fn scratch(settings: &Settings) -> Result<Host> {
    start(settings, Arc::new(MemoryBroker::new()))
}

fn start(settings: &Settings, broker: Arc<dyn Broker>) -> Result<Host> {
    let canonical = |(key, value): (&String, &String)| (config::canonical(key).to_owned(), value.clone());
    let mut properties: BTreeMap<String, String> = settings.properties.iter().map(canonical).collect();
    let mut default = |name: &str, value: String| {
        properties.entry(name.to_owned()).or_insert(value);
    };
    default("commit.interval.ms", settings.commit_interval.as_millis().to_string());
    default("idle.timeout.ms", settings.idle_timeout.as_millis().to_string());
    let config = EngineConfig {
        service_id: settings.service_id.clone(),
        workers: settings.workers,
        properties,
        default_partitions: settings.default_partitions,
        default_replicas: settings.default_replicas,
    };
    let engine = Engine::start(config, broker.clone(), SystemClock::shared())?;
    Ok(Host { broker, engine })
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
    pub fn session(&self) -> Result<Box<dyn Session>> {
        Ok(self.engine.session())
    }

    /// Deploys a folder, or only says what that would do.
    pub fn deploy(&self, path: &Path, replace: bool, check_only: bool) -> Result<Deployment> {
        self.engine.deploy(path, replace, check_only)
    }

    /// Commits and stops every query.
    pub fn shutdown(&self) -> Result<()> {
        self.engine.shutdown();
        Ok(())
    }
}
