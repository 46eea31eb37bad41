//! [`Throttle`]: how far inputs may be read ahead of what is processed, so that a slow sink slows the reading.
//!
//! **Invariant:** an input without rows is never paused: what waits for its next record can always go on.

/// Rows that may wait on one input: two rounds.
const ROWS_MAX: usize = 16_384;
/// Bytes that may wait on all inputs of a worker together before those with more than their share are paused.
const BYTES_MAX: usize = 24 << 20;

/// What all inputs of a worker hold.
pub struct Throttle {
    bytes: usize,
    share: usize,
}

impl Throttle {
    /// Of the bytes that wait on each input.
    pub fn new(inputs: impl Iterator<Item = usize>) -> Self {
        let (count, bytes) = inputs.fold((0, 0), |(count, bytes), input| (count + 1, bytes + input));
        Self { bytes, share: BYTES_MAX / count.max(1) }
    }

    /// Whether an input that holds so much is to be paused.
    pub fn is_paused(&self, rows: usize, bytes: usize) -> bool {
        rows > ROWS_MAX || self.bytes > BYTES_MAX && bytes > self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    #[test]
    fn small_rows_are_limited_by_their_number() {
        let throttle = Throttle::new([MB, MB].into_iter());
        assert!(!throttle.is_paused(16_384, MB));
        assert!(throttle.is_paused(16_385, MB));
    }

    #[test]
    fn large_rows_are_limited_by_their_bytes_and_share_them() {
        let throttle = Throttle::new([20 * MB, 5 * MB, 0, 0].into_iter());
        assert!(throttle.is_paused(100, 20 * MB), "it has more than its quarter");
        assert!(!throttle.is_paused(100, 5 * MB));
        assert!(!throttle.is_paused(0, 0), "what waits for it must go on");
        // One alone may have all.
        assert!(!Throttle::new([20 * MB, MB].into_iter()).is_paused(100, 20 * MB));
    }
}
