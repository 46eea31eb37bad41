//! The demo's queries: the folder `queries/` of the working directory, or the copies in this program.

use std::path::{Path, PathBuf};

use crate::error::Result;

/// Files of `queries/` as they were when the program was built.
pub const BUILT_IN: &[(&str, &str)] = &[];

/// The folder to deploy: `./queries` when it holds `.sql` files, else the built-in copies, written below `data_dir`.
pub fn folder(data_dir: &Path) -> Result<PathBuf> {
    let here = PathBuf::from("queries");
    if holds_queries(&here) {
        return Ok(here);
    }
    let folder = data_dir.join("queries");
    std::fs::create_dir_all(&folder)?;
    for (name, text) in BUILT_IN {
        std::fs::write(folder.join(name), text)?;
    }
    Ok(folder)
}

fn holds_queries(folder: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(folder) else { return false };
    entries.flatten().any(|entry| entry.path().extension().is_some_and(|extension| extension == "sql"))
}
