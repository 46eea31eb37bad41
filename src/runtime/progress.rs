//! [`Progress`]: what is committed with each input offset, as the offset's metadata; [`STATE_FORMAT`]: of what a query
//! keeps on the broker.
//!
//! **Invariant:** the text begins with the format of the changelogs and repartition topics that were written in the same
//! commit. So whoever becomes the owner of a partition knows it before it reads a changelog.

use crate::time::NO_TIME;

/// Format of changelogs, of repartition topics and of the text in here. To be raised with every change after which a
/// build could not read what the one before it wrote; [`crate::state::STATE_VERSION`] is that of local checkpoints, which
/// follow it.
///
/// 1 was several layouts of rows and of join buffers, which nothing told apart.
pub const STATE_FORMAT: u32 = 2;

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
        format!("{STATE_FORMAT};{};{};{};{:x}", self.epoch, self.rows_done, self.stream_time, self.topic)
    }

    /// The format that a text says it is of; `None` of foreign text, as there is after offsets were set by hand.
    pub fn format_of(text: &str) -> Option<u32> {
        text.split_once(';')?.0.parse().ok()
    }

    /// Reads the text; foreign text, or one of another format, counts as no progress.
    pub fn from_metadata(text: &str) -> Self {
        let mut parts = text.split(';');
        if Self::format_of(text) != Some(STATE_FORMAT) {
            return Self::default();
        }
        parts.next();
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
        assert_eq!(Progress::from_metadata("2;7;3;-5"), Progress { topic: 0, ..progress });
        assert_eq!(Progress::from_metadata("something else"), Progress::default());
    }

    #[test]
    fn tells_its_format() {
        assert_eq!(Progress::format_of(&Progress::default().to_metadata()), Some(STATE_FORMAT));
        assert_eq!(Progress::format_of("1;7;3;-5"), Some(1));
        assert_eq!(Progress::format_of("17;whatever comes later"), Some(17));
        for foreign in ["", "7", "note; by hand", ";1"] {
            assert_eq!(Progress::format_of(foreign), None, "{foreign}");
        }
        assert_eq!(Progress::from_metadata("1;7;3;-5"), Progress::default(), "what it means is not known");
    }
}
