//! Query-validation files: JSON with statements, records in and records expected, driven without a broker.
//!
//! All statements are made first, then all records are written, then every persistent query runs to its end, one after
//! another; each takes the records in the order of the file.

mod case;
mod compare;
mod drive;
mod functions;
mod json;
mod post;
mod record;
mod schemas;
mod stage;

#[cfg(test)]
mod tests;

pub use case::{ValidationCase, case_of_files, cases_of, is_validation_file};
pub use drive::run_case;
pub use json::Json;
