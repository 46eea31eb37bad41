//! [`Pulse`]: signs of life of a worker's thread, read by others while it waits for the broker.

use std::sync::atomic::{AtomicI64, Ordering};

/// Not within a step.
const RESTING: i64 = i64::MIN;

/// What a worker's thread is in the middle of.
#[derive(Debug)]
pub struct Pulse {
    since_us: AtomicI64,
}

impl Default for Pulse {
    fn default() -> Self {
        Self { since_us: AtomicI64::new(RESTING) }
    }
}

impl Pulse {
    /// A step begins.
    pub fn begin(&self, now_us: i64) {
        self.since_us.store(now_us, Ordering::Relaxed);
    }

    /// The step is over.
    pub fn end(&self) {
        self.since_us.store(RESTING, Ordering::Relaxed);
    }

    /// How long the step has taken.
    pub fn busy_us(&self, now_us: i64) -> i64 {
        match self.since_us.load(Ordering::Relaxed) {
            RESTING => 0,
            since_us => now_us - since_us,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_from_the_beginning_of_a_step() {
        let pulse = Pulse::default();
        assert_eq!(pulse.busy_us(5), 0);
        pulse.begin(10);
        assert_eq!(pulse.busy_us(25), 15);
        pulse.end();
        assert_eq!(pulse.busy_us(99), 0);
    }
}
