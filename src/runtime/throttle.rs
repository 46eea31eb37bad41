//! [`Throttle`]: how far inputs may be read ahead of what is processed, so that a slow sink slows the reading.
//!
//! **Invariant:** an input without rows is never paused: what waits for its next record can always go on.

/// How much may wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueLimits {
    /// Rows on one input; at least 2.
    pub rows: usize,
    /// Bytes on all inputs of a worker together before those with more than their share are paused.
    pub bytes: usize,
}

impl Default for QueueLimits {
    fn default() -> Self {
        Self { rows: 50_000, bytes: 64 << 20 }
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

    /// Whether an input that holds so much is to be paused, from a state where it is or is not. Between the limits for
    /// pausing and resuming it stays as it is.
    pub fn is_paused(&self, rows: usize, bytes: usize, paused: bool) -> bool {
        let limits = self.limits;
        if paused {
            let little = self.bytes < limits.bytes / 2 || bytes < self.share / 2;
            rows >= limits.rows / 2 || !little
        } else {
            rows > limits.rows || self.bytes > limits.bytes && bytes > self.share
        }
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
        assert!(!throttle.is_paused(50_000, MB, false));
        assert!(throttle.is_paused(50_001, MB, false));
        assert!(throttle.is_paused(25_000, MB, true));
        assert!(!throttle.is_paused(24_999, MB, true));
    }

    #[test]
    fn large_rows_are_limited_by_their_bytes_and_share_them() {
        let throttle = holding([60 * MB, 5 * MB, 0, 0].into_iter());
        assert!(throttle.is_paused(100, 60 * MB, false), "it has more than its quarter");
        assert!(!throttle.is_paused(100, 5 * MB, false));
        assert!(!throttle.is_paused(0, 0, false), "what waits for it must go on");
        // One alone may have all.
        assert!(!holding([60 * MB, MB].into_iter()).is_paused(100, 60 * MB, false));
    }

    #[test]
    fn reading_goes_on_at_half() {
        assert!(holding([40 * MB, 0].into_iter()).is_paused(10, 40 * MB, true));
        assert!(!holding([31 * MB, 0].into_iter()).is_paused(10, 31 * MB, true));
        assert!(!holding([15 * MB, 60 * MB].into_iter()).is_paused(10, 15 * MB, true));
        assert!(!holding([80 * MB, 0].into_iter()).is_paused(0, 0, true));
    }
}
