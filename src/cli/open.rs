//! [`Host`]: broker and engine as the settings say. The one place where the terminal meets the engine's making.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::config::Settings;
use crate::broker::Broker;
use crate::broker::embedded::{EmbeddedBroker, EmbeddedOptions};
use crate::broker::kafka::KafkaBroker;
use crate::broker::memory::MemoryBroker;
use crate::engine::Session;
use crate::error::{Error, Result};

/// What a deployment did, file by file.
#[derive(Debug, Default)]
pub struct Deployment {
    /// Queries that run for the first time.
    pub started: Vec<String>,
    /// Queries that go on where they stood.
    pub resumed: Vec<String>,
    /// Files that differ from what is deployed, with the difference.
    pub changed: Vec<(String, String)>,
    /// Deployed files that are gone.
    pub removed: Vec<String>,
}

/// A running engine on its broker.
#[derive(Debug)]
pub struct Host {
    broker: Arc<dyn Broker>,
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
    Ok(Host { broker: broker(settings, home)? })
}

/// An engine in memory, without anything in it: `explain`.
pub fn scratch(_settings: &Settings) -> Result<Host> {
    Ok(Host { broker: Arc::new(MemoryBroker::new()) })
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
        Err(Error::unsupported("session"))
    }

    /// Deploys a folder, or only says what that would do.
    pub fn deploy(&self, _path: &Path, _replace: bool, _check_only: bool) -> Result<Deployment> {
        Err(Error::unsupported("deploy"))
    }

    /// Commits and stops every query.
    pub fn shutdown(&self) -> Result<()> {
        Ok(())
    }
}
