//! [`Throttle`]: how far inputs may be read ahead of what is processed, so that a slow sink slows the reading.
//!
//! **Invariant:** an input without rows is never paused: what waits for its next record can always go on.

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Rows on one input.
    pub rows: usize,
    /// Bytes on all inputs of a worker together before those with more than their share are paused.
    pub bytes: usize,
}

impl Default for QueueLimits {
    /// Rows of two rounds.
    fn default() -> Self {
        Self { rows: 16_384, bytes: 24 << 20 }
    }
}

/// What all inputs of a worker hold.
pub struct Throttle {
    limits: QueueLimits,
    bytes: usize,
    share: usize,
}

impl Throttle {
    /// Of the bytes that wait on each input.
    pub fn new(limits: QueueLimits, inputs: impl Iterator<Item = usize>) -> Self {
        let (count, bytes) = inputs.fold((0, 0), |(count, bytes), input| (count + 1, bytes + input));
        Self { limits, bytes, share: limits.bytes / count.max(1) }
    }

    /// Whether an input that holds so much is to be paused.
    pub fn is_paused(&self, rows: usize, bytes: usize) -> bool {
        rows > self.limits.rows || self.bytes > self.limits.bytes && bytes > self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    fn holding(inputs: impl Iterator<Item = usize>) -> Throttle {
        Throttle::new(QueueLimits::default(), inputs)
    }

    #[test]
    fn small_rows_are_limited_by_their_number() {
        let throttle = holding([MB, MB].into_iter());
        assert!(!throttle.is_paused(16_384, MB));
        assert!(throttle.is_paused(16_385, MB));
    }

    #[test]
    fn large_rows_are_limited_by_their_bytes_and_share_them() {
        let throttle = holding([20 * MB, 5 * MB, 0, 0].into_iter());
        assert!(throttle.is_paused(100, 20 * MB), "it has more than its quarter");
        assert!(!throttle.is_paused(100, 5 * MB));
        assert!(!throttle.is_paused(0, 0), "what waits for it must go on");
        // One alone may have all.
        assert!(!holding([20 * MB, MB].into_iter()).is_paused(100, 20 * MB));
    }
}
