//! [`METRICS`]: every metric there is, with its name, meaning and where it is read.
//!
//! **Invariant:** names begin with `eddyline_` (or `process_`, as Prometheus has it for every program), end in the unit,
//! counters in `_total`; `docs/metrics.md` is made from this list.

use super::process;
use crate::engine::{HistogramNumbers, QueryStatus, StoreNumbers};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows while the process lives.
    Counter,
    /// Goes up and down.
    Gauge,
    /// Counts by size.
    Histogram,
}

impl Kind {
    /// As Prometheus calls it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// Where a metric's samples come from.
#[derive(Clone, Copy)]
pub enum Reading {
    /// One of the process.
    Process(fn() -> Option<f64>),
    /// The number 1, with the version as a label.
    Version,
    /// One a query, if there is one.
    Query(fn(&QueryStatus) -> Option<f64>),
    /// One a query and state: 1 for the state that it is in.
    State,
    /// One a query and store.
    Store(fn(&StoreNumbers) -> u64),
    /// A histogram a query, of microseconds shown as seconds.
    Histogram(fn(&QueryStatus) -> &HistogramNumbers),
}

/// A metric.
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// What it means, for people.
    pub about: &'static str,
    /// Where it comes from.
    pub reading: Reading,
}

impl Metric {
    /// Its labels besides `service`.
    pub fn labels(&self) -> &'static [&'static str] {
        match self.reading {
            Reading::Process(_) => &[],
            Reading::Version => &["version"],
            Reading::Query(_) | Reading::Histogram(_) => &["query"],
            Reading::State => &["query", "state"],
            Reading::Store(_) => &["query", "store"],
        }
    }
}

/// States as label values.
pub const STATES: [&str; 4] = ["RESTORING", "RUNNING", "PAUSED", "ERROR"];

const fn counter(name: &'static str, about: &'static str, read: fn(&QueryStatus) -> Option<f64>) -> Metric {
    Metric { name, kind: Kind::Counter, about, reading: Reading::Query(read) }
}

const fn gauge(name: &'static str, about: &'static str, read: fn(&QueryStatus) -> Option<f64>) -> Metric {
    Metric { name, kind: Kind::Gauge, about, reading: Reading::Query(read) }
}

/// Every metric.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "eddyline_build_info",
        kind: Kind::Gauge,
        about: "1, with the version as a label",
        reading: Reading::Version,
    },
    Metric {
        name: "eddyline_query_state",
        kind: Kind::Gauge,
        about: "1 for the state that the query is in, 0 for the others: RESTORING, RUNNING, PAUSED, ERROR",
        reading: Reading::State,
    },
    counter("eddyline_query_rows_in_total", "records read and decoded", |query| Some(query.rows_in as f64)),
    counter("eddyline_query_rows_out_total", "records written to the sink", |query| Some(query.rows_out as f64)),
    counter("eddyline_query_rows_late_total", "rows dropped because their window had closed", |query| {
        Some(query.rows_late as f64)
    }),
    counter(
        "eddyline_query_errors_total",
        "records that could not be read, computed or written: entries in the processing log",
        |query| Some(query.errors as f64),
    ),
    gauge("eddyline_query_lag_records", "records of the input that are not processed yet", |query| {
        Some(query.lag as f64)
    }),
    gauge(
        "eddyline_query_stream_time_seconds",
        "how far event time has come, since 1970; none before the first record",
        |query| query.stream_time.map(|ms| ms as f64 / 1e3),
    ),
    counter("eddyline_query_commits_total", "transactions committed", |query| {
        Some(query.numbers.commits.count() as f64)
    }),
    Metric {
        name: "eddyline_query_commit_latency_seconds",
        kind: Kind::Histogram,
        about: "how long the broker took to commit a transaction",
        reading: Reading::Histogram(|query| &query.numbers.commits),
    },
    gauge("eddyline_query_commit_latency_max_seconds", "the longest commit since the start", |query| {
        Some(query.numbers.commits.max_us as f64 / 1e6)
    }),
    Metric {
        name: "eddyline_query_state_rows",
        kind: Kind::Gauge,
        about: "keys in a store, roughly; of all stores as of a second ago at most",
        reading: Reading::Store(|store| store.rows),
    },
    Metric {
        name: "eddyline_query_state_bytes",
        kind: Kind::Gauge,
        about: "memory that a store takes, roughly",
        reading: Reading::Store(|store| store.memory_bytes),
    },
    Metric {
        name: "eddyline_query_state_disk_bytes",
        kind: Kind::Gauge,
        about: "what a store takes on the local disk, roughly",
        reading: Reading::Store(|store| store.disk_bytes),
    },
    counter("eddyline_query_restored_records_total", "records read from changelogs to restore stores", |query| {
        Some(query.numbers.restore.total as f64)
    }),
    gauge("eddyline_query_standby_tasks", "tasks of other processes whose stores are copied here", |query| {
        Some(query.numbers.standby_tasks as f64)
    }),
    gauge("eddyline_query_standby_lag_records", "records that those copies are behind their changelogs", |query| {
        Some(query.numbers.standby_behind as f64)
    }),
    gauge("eddyline_query_restore_remaining_records", "records that the running restore has still to read", |query| {
        Some(query.numbers.restore.remaining as f64)
    }),
    gauge("eddyline_query_restore_records_per_second", "speed of the running restore, or of the last one", |query| {
        Some(query.numbers.restore.rate())
    }),
    gauge("eddyline_query_restore_duration_seconds", "how long the running restore, or the last one, took", |query| {
        Some(query.numbers.restore.took.as_secs_f64())
    }),
    counter(
        "eddyline_query_session_failures_total",
        "sessions of workers that ended with an error or were fenced; each is followed by a restore",
        |query| Some(query.numbers.session_failures as f64),
    ),
    gauge(
        "eddyline_query_silence_seconds",
        "time since the last step of the slowest worker: more than 10 s is an error",
        |query| Some(query.numbers.silence.as_secs_f64()),
    ),
    counter(
        "eddyline_query_rebalances_total",
        "how often the consumer group gave partitions to a worker or took some away",
        |query| Some(query.numbers.rebalances as f64),
    ),
    Metric {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        about: "memory of the process (Linux)",
        reading: Reading::Process(process::resident_bytes),
    },
    Metric {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        about: "processor time of the process, user and system (Linux)",
        reading: Reading::Process(process::cpu_seconds),
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_follow_the_rules() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "each name once");
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("eddyline_") || name.starts_with("process_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.kind == Kind::Counter, "{name}");
            assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{name}");
            assert!(!metric.about.is_empty() && !metric.about.contains('\n') && !metric.about.ends_with('.'), "{name}");
        }
    }
}
