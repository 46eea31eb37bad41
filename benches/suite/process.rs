//! Programs under measurement. What a process used is asked of the kernel after its end and before it is reaped.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a running process's memory is looked at: its highest mark, so that little is lost between two looks.
const LOOK: Duration = Duration::from_millis(20);
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process used.
#[derive(Debug, Clone, Default)]
pub struct Used {
    pub cpu_s: f64,
    pub wall_s: f64,
    pub peak_mb: f64,
    /// Records that its queries dropped for being late.
    pub late: u64,
}

/// A program that runs; killed when dropped.
pub struct Program {
    child: Child,
    started: Instant,
    said: tempfile::NamedTempFile,
    peak_kb: u64,
}

impl Program {
    /// Starts it; what it says is kept.
    pub fn start(command: &mut Command) -> Self {
        let said = tempfile::NamedTempFile::new().expect("a temporary file");
        let out = said.reopen().expect("the file again");
        let err = out.try_clone().expect("the same file");
        let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        Self { child, started: Instant::now(), said, peak_kb: 0 }
    }

    /// Waits for its end, which must be a good one.
    pub fn finish(mut self) -> Used {
        loop {
            match stat(self.child.id()) {
                Some((state, _)) if state == "Z" => break,
                None => break,
                Some(_) => {}
            }
            self.peak_kb = self.peak_kb.max(memory_kb(self.child.id(), "VmHWM:"));
            std::thread::sleep(LOOK);
        }
        let wall_s = self.started.elapsed().as_secs_f64();
        let cpu_s = stat(self.child.id()).map_or(f64::NAN, |(_, cpu)| cpu);
        let status = self.child.wait().expect("an end");
        let said = self.said();
        assert!(status.success(), "it ended with {status}:\n{said}");
        Used { cpu_s, wall_s, peak_mb: self.peak_kb as f64 / 1024.0, late: late(&said) }
    }

    /// Everything that it said so far.
    pub fn said(&self) -> String {
        fs::read_to_string(self.said.path()).unwrap_or_default()
    }

    /// Processor time used so far.
    pub fn cpu_s(&self) -> f64 {
        stat(self.child.id()).map_or(f64::NAN, |(_, cpu)| cpu)
    }

    /// Memory that it holds now.
    pub fn resident_mb(&self) -> f64 {
        memory_kb(self.child.id(), "VmRSS:") as f64 / 1024.0
    }

    /// Asks it to end, and waits for that.
    pub fn terminate(self) -> Used {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status().expect("kill");
        self.finish()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The last word of each query on records that were late.
fn late(said: &str) -> u64 {
    let last = said.lines().rev().find_map(|line| line.split_once(" late="));
    last.and_then(|(_, rest)| rest.split(' ').next()?.parse().ok()).unwrap_or(0)
}

/// State and processor time, user and system, of a process and all its threads.
fn stat(pid: u32) -> Option<(String, f64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at)?.parse::<f64>().ok();
    Some((fields.first()?.to_string(), (ticks(11)? + ticks(12)?) / TICKS_PER_SECOND))
}

fn memory_kb(pid: u32, field: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse().ok()).unwrap_or(0)
}
