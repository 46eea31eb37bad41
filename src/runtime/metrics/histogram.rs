//! [`Histogram`]: durations in fixed buckets, counted without locks.
//!
//! Fourteen buckets a decade from 100 µs to 100 s: a quantile is off by a tenth at most, and the bounds 1, 2.5 and 5 of
//! each decade, which Prometheus is shown, are among them.

use std::sync::atomic::{AtomicU64, Ordering};

/// Bounds within a decade, in hundredths.
const STEPS: [u64; 14] = [100, 125, 150, 175, 200, 250, 300, 350, 400, 500, 600, 700, 800, 900];
const DECADES: usize = 6;
const BOUNDS: usize = STEPS.len() * DECADES + 1;

/// Upper bounds of the buckets in microseconds; what is above the last one has a bucket too.
const BOUNDS_US: [u64; BOUNDS] = bounds();

const fn bounds() -> [u64; BOUNDS] {
    let mut bounds = [0; BOUNDS];
    let (mut i, mut decade) = (0, 1);
    while i < BOUNDS {
        bounds[i] = STEPS[i % STEPS.len()] * decade;
        i += 1;
        if i % STEPS.len() == 0 {
            decade *= 10;
        }
    }
    bounds
}

/// Durations in buckets.
#[derive(Debug)]
pub struct Histogram {
    buckets: [AtomicU64; BOUNDS + 1],
    sum_us: AtomicU64,
    max_us: AtomicU64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: [const { AtomicU64::new(0) }; BOUNDS + 1],
            sum_us: AtomicU64::new(0),
            max_us: AtomicU64::new(0),
        }
    }
}

impl Histogram {
    /// Counts a duration.
    pub fn record(&self, us: u64) {
        let bucket = BOUNDS_US.partition_point(|bound| *bound < us);
        self.buckets[bucket].fetch_add(1, Ordering::Relaxed);
        self.sum_us.fetch_add(us, Ordering::Relaxed);
        self.max_us.fetch_max(us, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub fn numbers(&self) -> HistogramNumbers {
        HistogramNumbers {
            buckets: self.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed)).collect(),
            sum_us: self.sum_us.load(Ordering::Relaxed),
            max_us: self.max_us.load(Ordering::Relaxed),
        }
    }
}

/// What a [`Histogram`] had counted at some moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistogramNumbers {
    buckets: Vec<u64>,
    /// All durations together, in microseconds.
    pub sum_us: u64,
    /// The longest one, in microseconds.
    pub max_us: u64,
}

impl HistogramNumbers {
    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// How many microseconds the part `q` (0 to 1) of all took at most, straight lines within buckets; `None` of nothing.
    pub fn quantile_us(&self, q: f64) -> Option<u64> {
        let count = self.count();
        if count == 0 {
            return None;
        }
        let rank = ((q.clamp(0.0, 1.0) * count as f64).ceil() as u64).max(1);
        let mut below = 0;
        for (i, n) in self.buckets.iter().enumerate() {
            if below + n < rank {
                below += n;
                continue;
            }
            let low = if i == 0 { 0 } else { BOUNDS_US[i - 1] };
            let high = BOUNDS_US.get(i).copied().unwrap_or(self.max_us).max(low);
            let within = (high - low) as f64 * (rank - below) as f64 / *n as f64;
            return Some((low + within as u64).min(self.max_us));
        }
        Some(self.max_us)
    }

    /// How many took at most so many microseconds each: from 100 µs in steps of 1, 2.5 and 5 to 100 s.
    pub fn cumulative(&self) -> Vec<(u64, u64)> {
        let mut below = 0;
        let mut shown = Vec::new();
        for (i, bound) in BOUNDS_US.iter().enumerate() {
            below += self.buckets.get(i).copied().unwrap_or(0);
            if [100, 250, 500].contains(&STEPS[i % STEPS.len()]) {
                shown.push((*bound, below));
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_grow_from_a_tenth_of_a_millisecond_to_a_hundred_seconds() {
        assert!(BOUNDS_US.is_sorted_by(|a, b| a < b), "{BOUNDS_US:?}");
        assert_eq!((BOUNDS_US[0], BOUNDS_US[BOUNDS - 1]), (100, 100_000_000));
    }

    #[test]
    fn quantiles_are_near_the_truth() {
        let histogram = Histogram::default();
        assert_eq!(histogram.numbers().quantile_us(0.5), None);
        (1..=1000).for_each(|i| histogram.record(i * 100));
        let numbers = histogram.numbers();
        for (q, truth) in [(0.01, 1_000.0), (0.5, 50_000.0), (0.9, 90_000.0), (0.99, 99_000.0)] {
            let told = numbers.quantile_us(q).expect("something was counted") as f64;
            assert!((told - truth).abs() <= truth / 10.0, "{q}: {told} instead of {truth}");
        }
        assert_eq!(numbers.quantile_us(1.0), Some(100_000));
        assert_eq!((numbers.count(), numbers.max_us, numbers.sum_us), (1000, 100_000, 50_050_000));
    }

    #[test]
    fn one_duration_is_every_quantile() {
        let histogram = Histogram::default();
        histogram.record(1_234);
        let numbers = histogram.numbers();
        for q in [0.0, 0.5, 1.0] {
            assert_eq!(numbers.quantile_us(q), Some(1_234));
        }
    }

    #[test]
    fn what_is_longer_than_all_bounds_counts() {
        let histogram = Histogram::default();
        histogram.record(50);
        histogram.record(1_000);
        histogram.record(1_001);
        histogram.record(500_000_000);
        let numbers = histogram.numbers();
        assert_eq!(numbers.quantile_us(1.0), Some(500_000_000));
        let cumulative = numbers.cumulative();
        assert_eq!(cumulative[..5], [(100, 1), (250, 1), (500, 1), (1_000, 2), (2_500, 3)]);
        assert_eq!(cumulative.last(), Some(&(100_000_000, 3)), "the fourth is above");
        assert_eq!(numbers.count(), 4);
        assert_eq!(cumulative.len(), HistogramNumbers::default().cumulative().len());
    }
}
