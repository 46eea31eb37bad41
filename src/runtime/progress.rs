//! [`Progress`]: what is committed with each input offset, as the offset's metadata.

use crate::time::NO_TIME;

/// A task's committed progress on one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// The commit epoch of the worker that wrote it.
    pub epoch: u64,
    /// Rows of the record at the committed offset that are done (repartition records carry many rows).
    pub rows_done: usize,
    /// The task's stream time, idle advance included.
    pub stream_time: i64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { epoch: 0, rows_done: 0, stream_time: NO_TIME }
    }
}

impl Progress {
    /// Its text.
    pub fn to_metadata(self) -> String {
        format!("1;{};{};{}", self.epoch, self.rows_done, self.stream_time)
    }

    /// Reads the text; foreign text counts as no progress.
    pub fn from_metadata(text: &str) -> Self {
        let mut parts = text.split(';');
        if parts.next() != Some("1") {
            return Self::default();
        }
        let mut next = || parts.next();
        let parsed = (|| {
            Some(Self {
                epoch: next()?.parse().ok()?,
                rows_done: next()?.parse().ok()?,
                stream_time: next()?.parse().ok()?,
            })
        })();
        parsed.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_as_metadata() {
        let progress = Progress { epoch: 7, rows_done: 3, stream_time: -5 };
        assert_eq!(Progress::from_metadata(&progress.to_metadata()), progress);
        assert_eq!(Progress::from_metadata("something else"), Progress::default());
    }
}
