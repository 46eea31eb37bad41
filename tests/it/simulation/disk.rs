//! Local disks of processes, and what happens to them.
//!
//! The database on them has threads of its own, so a copy of its files in the middle of the work, and what a flipped byte
//! hits, may differ when a seed is repeated. What must come out does not.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use eddyline::error::Result;
use eddyline::state::{StateDir, StateEnv};

use super::dice::Dice;

/// What a process finds of its disk when it comes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    None,
    /// It is empty.
    Lost,
    /// Some bytes of a file are others.
    Flipped,
    /// It is as it was some time ago.
    Old,
}

/// How processes use their disks.
#[derive(Debug, Clone, Copy)]
pub struct DiskSettings {
    pub memory_bytes: usize,
    pub checkpoint_interval_ms: i64,
}

/// The disks of all processes.
pub struct Disks {
    root: tempfile::TempDir,
    settings: DiskSettings,
}

impl Disks {
    /// No process has one yet.
    pub fn new(settings: DiskSettings) -> Result<Self> {
        // In memory where that is to be had: syncing to a real disk takes longer than all the rest.
        let memory = Path::new("/dev/shm");
        let root = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        Ok(Self { root: root?, settings })
    }

    fn path(&self, instance: &str) -> PathBuf {
        self.root.path().join(instance)
    }

    fn copy(&self, instance: &str) -> PathBuf {
        self.root.path().join(format!("{instance}.copy"))
    }

    /// Where a process keeps state.
    pub fn env(&self, instance: &str) -> Result<StateEnv> {
        let dir = StateDir::open(&self.path(instance), "sim")?;
        let DiskSettings { memory_bytes, checkpoint_interval_ms } = self.settings;
        Ok(StateEnv::on_disk(dir, memory_bytes, checkpoint_interval_ms).named(instance))
    }

    /// Remembers a disk as it is now.
    pub fn remember(&self, instance: &str) -> Result<()> {
        let copy = self.copy(instance);
        if copy.exists() {
            fs::remove_dir_all(&copy)?;
        }
        copy_dir(&self.path(instance), &copy)
    }

    /// Something happens to the disk of a process that is not running.
    pub fn damage(&self, instance: &str, damage: Damage, dice: &mut Dice) -> Result<()> {
        let path = self.path(instance);
        match damage {
            Damage::None => {}
            Damage::Lost => fs::remove_dir_all(&path)?,
            Damage::Old if self.copy(instance).exists() => {
                fs::remove_dir_all(&path)?;
                copy_dir(&self.copy(instance), &path)?;
            }
            Damage::Old => {}
            Damage::Flipped => {
                let mut found = Vec::new();
                files(&path, &mut found)?;
                found.retain(|path| used(path) > 0);
                found.sort();
                if found.is_empty() {
                    return Ok(());
                }
                let file = dice.pick(&found);
                let used = used(file);
                let opened = fs::File::options().read(true).write(true).open(file)?;
                for _ in 0..8 {
                    let (at, mut byte) = (dice.roll(used as usize) as u64, [0]);
                    opened.read_exact_at(&mut byte, at)?;
                    opened.write_all_at(&[byte[0] ^ dice.between(1, 255) as u8], at)?;
                }
            }
        }
        Ok(())
    }
}

/// How far a file is written: journals are made longer than what is in them.
fn used(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |found| found.len().min(found.blocks() * 512))
}

fn files(dir: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() { files(&path, found)? } else { found.push(path) }
    }
    Ok(())
}

/// Copies what is there; files that vanish meanwhile are left out, as when a machine loses power.
fn copy_dir(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)?.flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_dir(&path, &target)?;
        } else if let Ok(file) = fs::File::open(&path) {
            let mut bytes = Vec::new();
            let len = file.metadata()?.len();
            file.take(used(&path)).read_to_end(&mut bytes)?;
            let copy = fs::File::create(&target)?;
            copy.write_all_at(&bytes, 0)?;
            copy.set_len(len)?;
        }
    }
    Ok(())
}
