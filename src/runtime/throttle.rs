//! [`Throttle`]: how far inputs may be read ahead of what is processed, so that a slow sink slows the reading.
//!
//! **Invariant:** an input without rows is never paused: what waits for its next record can always go on.

/// Rows that may wait on one input.
const ROWS_MAX: usize = 50_000;
/// Bytes that may wait on all inputs of a worker together before those with more than their share are paused.
const BYTES_MAX: usize = 64 << 20;

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

    /// Whether an input that holds so much is to be paused, from a state where it is or is not. Between the limits for
    /// pausing and resuming it stays as it is.
    pub fn is_paused(&self, rows: usize, bytes: usize, paused: bool) -> bool {
        if paused {
            let little = self.bytes < BYTES_MAX / 2 || bytes < self.share / 2;
            rows >= ROWS_MAX / 2 || !little
        } else {
            rows > ROWS_MAX || self.bytes > BYTES_MAX && bytes > self.share
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: usize = 1 << 20;

    #[test]
    fn small_rows_are_limited_by_their_number() {
        let throttle = Throttle::new([MB, MB].into_iter());
        assert!(!throttle.is_paused(50_000, MB, false));
        assert!(throttle.is_paused(50_001, MB, false));
        assert!(throttle.is_paused(25_000, MB, true));
        assert!(!throttle.is_paused(24_999, MB, true));
    }

    #[test]
    fn large_rows_are_limited_by_their_bytes_and_share_them() {
        let throttle = Throttle::new([60 * MB, 5 * MB, 0, 0].into_iter());
        assert!(throttle.is_paused(100, 60 * MB, false), "it has more than its quarter");
        assert!(!throttle.is_paused(100, 5 * MB, false));
        assert!(!throttle.is_paused(0, 0, false), "what waits for it must go on");
        // One alone may have all.
        assert!(!Throttle::new([60 * MB, MB].into_iter()).is_paused(100, 60 * MB, false));
    }

    #[test]
    fn reading_goes_on_at_half() {
        assert!(Throttle::new([40 * MB, 0].into_iter()).is_paused(10, 40 * MB, true));
        assert!(!Throttle::new([31 * MB, 0].into_iter()).is_paused(10, 31 * MB, true));
        assert!(!Throttle::new([15 * MB, 60 * MB].into_iter()).is_paused(10, 15 * MB, true));
        assert!(!Throttle::new([80 * MB, 0].into_iter()).is_paused(0, 0, true));
    }
}
