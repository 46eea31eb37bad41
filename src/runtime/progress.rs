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
    /// Which of the topics of this name was read; 0 when unknown.
    pub topic: u64,
}

impl Default for Progress {
    fn default() -> Self {
        Self { epoch: 0, rows_done: 0, stream_time: NO_TIME, topic: 0 }
    }
}

impl Progress {
    /// Its text.
    pub fn to_metadata(self) -> String {
        format!("1;{};{};{};{:x}", self.epoch, self.rows_done, self.stream_time, self.topic)
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
                topic: next().map_or(Some(0), |topic| u64::from_str_radix(topic, 16).ok())?,
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
        let progress = Progress { epoch: 7, rows_done: 3, stream_time: -5, topic: u64::MAX };
        assert_eq!(Progress::from_metadata(&progress.to_metadata()), progress);
        // As it was written before topics were told apart.
        assert_eq!(Progress::from_metadata("1;7;3;-5"), Progress { topic: 0, ..progress });
        assert_eq!(Progress::from_metadata("something else"), Progress::default());
    }
}
