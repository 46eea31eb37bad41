//! `eddyline` as a process with a data directory of its own.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a program may take for what takes it a second: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// What a program said and how it ended.
#[derive(Debug)]
pub struct Said {
    pub out: String,
    pub err: String,
    pub code: i32,
}

impl Said {
    /// Both streams, for messages.
    pub fn all(&self) -> String {
        format!("exit code {}\n--- stdout\n{}--- stderr\n{}", self.code, self.out, self.err)
    }

    /// Asserts the exit code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}", self.all());
        self
    }
}

/// A machine with nothing on it: a home, a data directory and a working directory of its own.
pub struct Machine {
    pub dir: TempDir,
}

impl Machine {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A file or folder on it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("writable");
        std::fs::write(path, text).expect("writable");
    }

    /// The folder of queries, copied to `queries`.
    pub fn copy_queries(&self) {
        for entry in std::fs::read_dir(repository("queries")).expect("queries is readable") {
            let path = entry.expect("entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            self.write(&format!("queries/{name}"), &std::fs::read_to_string(&path).expect("readable"));
        }
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_eddyline"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("EDDYLINE_")) {
            command.env_remove(name);
        }
        command.env("XDG_DATA_HOME", self.path("home")).env_remove("RUST_LOG").current_dir(self.dir.path()).args(args);
        command
    }

    /// Runs it to its end.
    pub fn run(&self, args: &[&str]) -> Said {
        self.run_with_input(args, "")
    }

    /// The same with something on stdin.
    pub fn run_with_input(&self, args: &[&str], input: &str) -> Said {
        let mut child = self
            .command(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("eddyline starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program that fails early does not read it.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().expect("eddyline ends");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { out: text(&output.stdout), err: text(&output.stderr), code: output.status.code().unwrap_or(-1) }
    }

    /// Statements, each `-e`, answered in this format.
    pub fn sql(&self, output: &str, statements: &str) -> Said {
        self.run(&["sql", "--data-dir", "data", "--output", output, "-e", statements])
    }

    /// Asks until the answer holds.
    pub fn sql_until(&self, statements: &str, holds: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let said = self.sql("json", statements).expect(0);
            if holds(&said.out) {
                return said.out;
            }
            assert!(Instant::now() < deadline, "{statements} was never answered as wanted: {}", said.all());
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// Starts it and goes on.
    pub fn start(&self, args: &[&str]) -> Running {
        let mut child = self
            .command(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("eddyline starts");
        let (sender, lines) = channel();
        let mut readers = Vec::new();
        let streams: [Box<dyn std::io::Read + Send>; 2] =
            [Box::new(child.stdout.take().expect("a pipe")), Box::new(child.stderr.take().expect("a pipe"))];
        for stream in streams {
            let sender = sender.clone();
            readers.push(std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            }));
        }
        Running { child, lines, seen: String::new(), readers }
    }
}

/// A file of the repository.
pub fn repository(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// A program that runs; killed when dropped.
pub struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: String,
    readers: Vec<JoinHandle<()>>,
}

impl Running {
    /// Waits for a line that holds these words; everything said so far.
    #[track_caller]
    pub fn wait_for(&mut self, words: &str) -> &str {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(words) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => self.seen += &(line + "\n"),
                Err(_) => panic!("eddyline never said {words:?}, but:\n{}", self.seen),
            }
        }
        &self.seen
    }

    /// SIGTERM, and everything that it said to its end.
    pub fn terminate(mut self) -> (ExitStatus, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().expect("kill").success());
        let status = self.child.wait().expect("eddyline ends");
        for reader in std::mem::take(&mut self.readers) {
            let _ = reader.join();
        }
        self.seen.extend(self.lines.try_iter().map(|line| line + "\n"));
        (status, std::mem::take(&mut self.seen))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
