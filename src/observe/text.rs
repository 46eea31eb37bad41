//! Metrics as Prometheus' text format 0.0.4.

use std::fmt::Write;

use super::registry::{METRICS, Metric, Reading, STATES};
use crate::engine::{HistogramNumbers, QueryStatus};

/// The format, as HTTP calls it.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All metrics with their samples.
pub fn render(service: &str, queries: &[QueryStatus]) -> String {
    let mut page = Page { out: String::new(), service };
    for metric in METRICS {
        page.metric(metric, queries);
    }
    page.out
}

struct Page<'a> {
    out: String,
    service: &'a str,
}

impl Page<'_> {
    fn metric(&mut self, metric: &Metric, queries: &[QueryStatus]) {
        let Metric { name, kind, about, reading } = metric;
        let _ = writeln!(self.out, "# HELP {name} {}\n# TYPE {name} {}", escaped(about, false), kind.name());
        match reading {
            Reading::Process(read) => {
                if let Some(value) = read() {
                    self.sample(name, &[], value);
                }
            }
            Reading::Version => self.sample(name, &[("version", env!("CARGO_PKG_VERSION"))], 1.0),
            Reading::Query(read) => {
                for query in queries {
                    if let Some(value) = read(query) {
                        self.sample(name, &[("query", &query.id)], value);
                    }
                }
            }
            Reading::State => {
                for query in queries {
                    for state in STATES {
                        let is = f64::from(u8::from(state == query.state.name()));
                        self.sample(name, &[("query", &query.id), ("state", state)], is);
                    }
                }
            }
            Reading::Store(read) => {
                for query in queries {
                    for store in &query.numbers.stores {
                        let labels = [("query", query.id.as_str()), ("store", store.name.as_str())];
                        self.sample(name, &labels, read(store) as f64);
                    }
                }
            }
            Reading::Histogram(read) => {
                for query in queries {
                    self.histogram(name, &query.id, read(query));
                }
            }
        }
    }

    fn histogram(&mut self, name: &str, query: &str, numbers: &HistogramNumbers) {
        let bucket = format!("{name}_bucket");
        for (bound_us, n) in numbers.cumulative() {
            let bound = (bound_us as f64 / 1e6).to_string();
            self.sample(&bucket, &[("query", query), ("le", &bound)], n as f64);
        }
        self.sample(&bucket, &[("query", query), ("le", "+Inf")], numbers.count() as f64);
        self.sample(&format!("{name}_sum"), &[("query", query)], numbers.sum_us as f64 / 1e6);
        self.sample(&format!("{name}_count"), &[("query", query)], numbers.count() as f64);
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let _ = write!(self.out, "{name}{{service=\"{}\"", escaped(self.service, true));
        for (label, value) in labels {
            let _ = write!(self.out, ",{label}=\"{}\"", escaped(value, true));
        }
        let _ = writeln!(self.out, "}} {value}");
    }
}

fn escaped(text: &str, quoted: bool) -> String {
    let text = text.replace('\\', "\\\\").replace('\n', "\\n");
    if quoted { text.replace('"', "\\\"") } else { text }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::engine::{QueryNumbers, QueryState, StoreNumbers};

    /// A query in this state.
    pub fn status(id: &str, state: QueryState) -> QueryStatus {
        QueryStatus {
            id: id.to_owned(),
            sql: String::new(),
            sink: "S".to_owned(),
            sink_topic: "s".to_owned(),
            state,
            rows_in: 12_345_678_901,
            rows_out: 60,
            rows_late: 3,
            errors: 1,
            lag: 7,
            stream_time: None,
            numbers: QueryNumbers {
                stores: vec![StoreNumbers { name: "aggregate".to_owned(), rows: 5, memory_bytes: 640, disk_bytes: 0 }],
                ..QueryNumbers::default()
            },
        }
    }

    #[test]
    fn every_metric_is_explained_and_sampled() {
        let text = render("shop", &[status("CTAS_A_1", QueryState::Running), status("b", QueryState::Paused)]);
        for metric in METRICS {
            assert!(
                text.contains(&format!("\n# TYPE {} {}\n", metric.name, metric.kind.name()))
                    || text.starts_with(&format!("# HELP {}", metric.name)),
                "{}",
                metric.name
            );
        }
        for line in [
            "eddyline_query_rows_in_total{service=\"shop\",query=\"CTAS_A_1\"} 12345678901",
            "eddyline_query_lag_records{service=\"shop\",query=\"b\"} 7",
            "eddyline_query_state{service=\"shop\",query=\"b\",state=\"PAUSED\"} 1",
            "eddyline_query_state{service=\"shop\",query=\"b\",state=\"RUNNING\"} 0",
            "eddyline_query_state_bytes{service=\"shop\",query=\"CTAS_A_1\",store=\"aggregate\"} 640",
            "eddyline_query_commit_latency_seconds_bucket{service=\"shop\",query=\"b\",le=\"0.0025\"} 0",
            "eddyline_query_commit_latency_seconds_bucket{service=\"shop\",query=\"b\",le=\"+Inf\"} 0",
            "eddyline_query_commit_latency_seconds_count{service=\"shop\",query=\"b\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
        assert!(!text.contains("eddyline_query_stream_time_seconds{"), "no record, no time");
    }

    #[test]
    fn every_line_is_a_comment_or_a_sample() {
        let text = render("a\"b\\c\nd", &[status("q", QueryState::Error("gone".to_owned()))]);
        assert!(text.contains(r#"{service="a\"b\\c\nd",query="q"}"#), "{text}");
        for line in text.lines().filter(|line| !line.starts_with("# HELP ") && !line.starts_with("# TYPE ")) {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            assert!(name.ends_with('}') && value.parse::<f64>().is_ok(), "{line}");
        }
        assert!(text.ends_with('\n'));
    }
}
