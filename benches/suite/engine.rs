//! Eddyline as its users run it: `eddyline run FILE --until-caught-up` as a process of its own.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use eddyline::broker::Broker;
use eddyline::broker::kafka::KafkaBroker;

use super::process::{Program, Used};

/// The query's own numbers are logged at its end.
const LOGS: &str = "warn,eddyline::cli::run=info";

static RUNS: AtomicU32 = AtomicU32::new(0);

/// Where Kafka and the program under test are.
pub struct World {
    pub bootstrap: String,
    pub eddyline: PathBuf,
    pub broker: KafkaBroker,
}

impl World {
    pub fn new(bootstrap: &str) -> Self {
        let eddyline = std::env::var_os("EDDYLINE").map(PathBuf::from).expect("EDDYLINE names the program to measure");
        let broker = KafkaBroker::connect(bootstrap, &Default::default()).expect("a broker");
        Self { bootstrap: bootstrap.to_owned(), eddyline, broker }
    }

    /// A deployment of its own.
    pub fn deployment(&self) -> Run<'_> {
        let number = RUNS.fetch_add(1, Ordering::Relaxed);
        Run {
            world: self,
            // No id is the beginning of another: topics are found by it.
            id: format!("bench{}x{number}z", std::process::id()),
            home: tempfile::tempdir().expect("a folder"),
            workers: 2,
            settings: Vec::new(),
        }
    }

    /// Deletes the topics whose names hold this.
    pub fn delete_topics(&self, part: &str) {
        for topic in self.broker.topics().expect("topics").iter().filter(|topic| topic.name.contains(part)) {
            let _ = self.broker.delete_topic(&topic.name);
        }
    }
}

/// A deployment: a service id, a home, settings. What it made is deleted with it.
pub struct Run<'a> {
    pub world: &'a World,
    pub id: String,
    home: tempfile::TempDir,
    pub workers: usize,
    pub settings: Vec<(String, String)>,
}

impl Run<'_> {
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.settings.push((name.to_owned(), value.to_string()));
        self
    }

    /// A topic for its results.
    pub fn output(&self) -> String {
        format!("{}-out", self.id)
    }

    /// Its own folder, of this process: several of one deployment have several.
    pub fn folder(&self, name: &str) -> PathBuf {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    /// `eddyline run` on a file or a folder.
    pub fn command(&self, path: &Path, defines: &[(&str, &str)], process: &str) -> Command {
        let folder = self.folder(process);
        let mut command = Command::new(&self.world.eddyline);
        let bootstrap = &self.world.bootstrap;
        command.current_dir(&folder).env("XDG_DATA_HOME", &folder).arg("run").arg(path);
        command.args(["--bootstrap-servers", bootstrap, "--service-id", &self.id, "--log-level", LOGS]);
        command.args(["--workers", &self.workers.to_string()]);
        for (name, value) in defines {
            command.args(["-D", &format!("{name}={value}")]);
        }
        for (name, value) in &self.settings {
            command.args(["--set", &format!("{name}={value}")]);
        }
        command
    }

    /// The same to its end.
    pub fn until_caught_up(&self, path: &Path, defines: &[(&str, &str)]) -> Used {
        Program::start(self.command(path, defines, "a").args(["--until-caught-up", "--duration", "10m"])).finish()
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        self.world.delete_topics(&self.id);
    }
}

/// A query file of the bench.
pub fn query_file(query: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/queries").join(format!("{query}.sql"));
    assert!(path.exists(), "there is no {}", path.display());
    path
}
