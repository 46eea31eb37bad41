//! Time: the wall clock as a seam, and the arithmetic of windows over event time (milliseconds since the epoch).
//!
//! **Invariant:** nothing outside this module and `cli` reads the machine's clock.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// Stream time before the first record.
pub const NO_TIME: i64 = i64::MIN;

/// The wall clock of the process.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Milliseconds since the epoch.
    fn now_ms(&self) -> i64;
    /// Monotonic microseconds since some fixed moment, for intervals and latencies.
    fn monotonic_us(&self) -> i64;
    /// Blocks the thread, or advances a manual clock.
    fn sleep(&self, duration: Duration);
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A shared handle.
    pub fn shared() -> Arc<dyn Clock> {
        Arc::new(Self(Instant::now()))
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64)
    }

    fn monotonic_us(&self) -> i64 {
        self.0.elapsed().as_micros() as i64
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }
}

/// A clock that moves only when told: tests and simulation.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock standing at `now_ms`.
    pub fn new(now_ms: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(now_ms)))
    }

    /// Moves it forward.
    pub fn advance(&self, by_ms: i64) {
        self.0.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }

    fn monotonic_us(&self) -> i64 {
        self.now_ms() * 1000
    }

    fn sleep(&self, duration: Duration) {
        self.advance(duration.as_millis() as i64);
    }
}

/// The window kinds of `WINDOW …` and of windowed sources.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WindowKind {
    /// Fixed size, back to back.
    Tumbling,
    /// Fixed size, advancing by less than the size.
    Hopping,
    /// Ends after a gap without records; its end is the last record's time (inclusive).
    Session,
}

impl fmt::Display for WindowKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tumbling => "TUMBLING",
            Self::Hopping => "HOPPING",
            Self::Session => "SESSION",
        })
    }
}

/// A window definition with every default filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct WindowSpec {
    /// Which kind.
    pub kind: WindowKind,
    /// Size, or the gap of a session window.
    pub size_ms: i64,
    /// Advance of a hopping window; the size otherwise.
    pub advance_ms: i64,
    /// How long after its end a window takes late records.
    pub grace_ms: i64,
    /// How long its state is kept, from its start.
    pub retention_ms: i64,
}

impl WindowSpec {
    /// Grace when the query names none.
    ///
    /// > KSQL: `max(24 h − size, 0)` for all three kinds.
    pub fn default_grace_ms(size_ms: i64) -> i64 {
        (24 * 3_600_000 - size_ms).max(0)
    }

    /// Starts of the (tumbling or hopping) windows that hold `ts`, in ascending order; windows before the epoch do not exist.
    pub fn starts(&self, ts: i64) -> impl Iterator<Item = i64> + use<> {
        let last = ts - ts.rem_euclid(self.advance_ms);
        let first = (ts - self.size_ms + self.advance_ms).max(0);
        let first = first - first.rem_euclid(self.advance_ms);
        let advance = self.advance_ms;
        (0..).map(move |i| first + i * advance).take_while(move |start| *start <= last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hopping(size_ms: i64, advance_ms: i64) -> WindowSpec {
        WindowSpec { kind: WindowKind::Hopping, size_ms, advance_ms, grace_ms: 0, retention_ms: 0 }
    }

    #[test]
    fn windows_of_a_timestamp() {
        assert_eq!(hopping(10, 10).starts(25).collect::<Vec<_>>(), [20]);
        assert_eq!(hopping(10, 5).starts(25).collect::<Vec<_>>(), [20, 25]);
        assert_eq!(hopping(10, 4).starts(25).collect::<Vec<_>>(), [16, 20, 24]);
        assert_eq!(hopping(10, 5).starts(2).collect::<Vec<_>>(), [0]);
    }
}
