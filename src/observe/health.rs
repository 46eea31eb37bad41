//! [`Health`]: whether every query works, for those who restart or alert.

use serde_json::{Value, json};

use crate::engine::{QueryState, QueryStatus};

/// A verdict and its reasons.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// Whether every query runs, restores or is held by PAUSE.
    pub is_well: bool,
    /// The same as JSON, with the reason of each query that does not.
    pub report: Value,
}

impl Health {
    /// What these queries amount to.
    pub fn of(service: &str, queries: &[QueryStatus]) -> Self {
        let is_well = !queries.iter().any(|query| matches!(query.state, QueryState::Error(_)));
        let queries: Vec<Value> = queries.iter().map(one).collect();
        let status = if is_well { "ok" } else { "error" };
        Self { is_well, report: json!({"status": status, "service": service, "queries": queries}) }
    }

    /// The engine is not there yet.
    pub fn starting(service: &str) -> Self {
        Self { is_well: false, report: json!({"status": "starting", "service": service, "queries": []}) }
    }
}

fn one(query: &QueryStatus) -> Value {
    let mut report = json!({"query": query.id, "state": query.state.name()});
    match &query.state {
        QueryState::Error(reason) => {
            report["reason"] = json!(reason);
            report["retry_in_ms"] = json!(query.numbers.retry_in.map(|wait| wait.as_millis() as u64));
        }
        QueryState::Restoring => {
            report["restored_records"] = json!(query.numbers.restore.done);
            report["remaining_records"] = json!(query.numbers.restore.remaining);
        }
        QueryState::Running | QueryState::Paused => {}
    }
    report
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::text::tests::status;
    use super::*;

    #[test]
    fn one_query_in_error_makes_ill_and_says_why() {
        let well = [status("a", QueryState::Running), status("b", QueryState::Restoring)];
        assert!(Health::of("s", &well).is_well);
        assert!(Health::of("s", &[]).is_well);
        assert!(!Health::starting("s").is_well);
        let mut broken = status("c", QueryState::Error("topic \"t\" is gone".to_owned()));
        broken.numbers.retry_in = Some(Duration::from_millis(1500));
        let health = Health::of("s", &[status("a", QueryState::Paused), broken]);
        assert!(!health.is_well);
        assert_eq!(
            health.report,
            json!({"status": "error", "service": "s", "queries": [
                {"query": "a", "state": "PAUSED"},
                {"query": "c", "state": "ERROR", "reason": "topic \"t\" is gone", "retry_in_ms": 1500},
            ]})
        );
    }
}
