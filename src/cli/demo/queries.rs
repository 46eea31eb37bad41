//! The demo's queries: the folder `queries/` of the working directory, or the copies in this program.

use std::path::{Path, PathBuf};

use crate::error::Result;

/// Files of `queries/` as they were when the program was built.
pub const BUILT_IN: [(&str, &str); 4] = [
    ("failed_payments.sql", include_str!("../../../queries/failed_payments.sql")),
    ("large_orders.sql", include_str!("../../../queries/large_orders.sql")),
    ("payment_timeout.sql", include_str!("../../../queries/payment_timeout.sql")),
    ("revenue.sql", include_str!("../../../queries/revenue.sql")),
];

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_copies_are_all_of_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("queries");
        let mut files: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, BUILT_IN.map(|(name, _)| name));
    }

    #[test]
    fn copies_are_written_where_there_is_no_folder() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!holds_queries(dir.path()));
        std::fs::write(dir.path().join("a.sql"), "").unwrap();
        assert!(holds_queries(dir.path()));
    }
}
