//! How persistent queries do: `SHOW QUERIES`, and the runtime part of `DESCRIBE … EXTENDED` and `EXPLAIN id`.

use std::fmt::Write;
use std::time::Duration;

use super::one_line;
use crate::engine::session::{QueryState, QueryStatus, TableResult};
use crate::types::{SqlType, Value};

/// `SHOW QUERIES`.
pub fn table(queries: &[QueryStatus], extended: bool) -> TableResult {
    let text = |name: &str| (name.to_owned(), SqlType::String);
    let number = |name: &str| (name.to_owned(), SqlType::BigInt);
    let mut columns = ["Query", "State", "Sink", "Sink Topic"].map(text).to_vec();
    if extended {
        columns.extend(["Rows In", "Rows Out", "Late", "Errors", "Lag", "Commits"].map(number));
        columns.extend(["Commit p50 ms", "Commit p99 ms"].map(|name| (name.to_owned(), SqlType::Double)));
        columns.extend(["State Rows", "State Bytes", "Failures"].map(number));
    }
    columns.push(text("Statement"));
    let rows = queries.iter().map(|query| {
        let string = |text: &str| Value::String(text.to_owned());
        let mut row =
            vec![string(&query.id), Value::String(state(query)), string(&query.sink), string(&query.sink_topic)];
        if extended {
            let numbers = &query.numbers;
            let n = |n: u64| Value::BigInt(i64::try_from(n).unwrap_or(i64::MAX));
            let ms = |q| numbers.commits.quantile_us(q).map_or(Value::Null, |us| Value::Double(us as f64 / 1000.0));
            row.extend([query.rows_in, query.rows_out, query.rows_late, query.errors, query.lag].map(n));
            row.extend([n(numbers.commits.count()), ms(0.5), ms(0.99)]);
            row.extend([numbers.state_rows(), numbers.state_memory_bytes(), numbers.session_failures].map(n));
        }
        row.push(Value::String(one_line(&query.sql)));
        row
    });
    TableResult { columns, rows: rows.collect() }
}

/// The state, with how far restoring is, or what is wrong and when it is tried again.
pub fn state(query: &QueryStatus) -> String {
    let name = query.state.name();
    match &query.state {
        QueryState::Restoring => {
            let restore = &query.numbers.restore;
            let records = restore.done + restore.remaining;
            if !restore.running || records == 0 {
                return name.to_owned();
            }
            format!("{name} {} of {records} records, {:.0} a second", restore.done, restore.rate())
        }
        QueryState::Error(reason) => match query.numbers.retry_in {
            Some(Duration::ZERO) => format!("{name}: {reason}; trying again"),
            Some(wait) => format!("{name}: {reason}; tries again in {}", seconds(wait)),
            None => format!("{name}: {reason}"),
        },
        QueryState::Running | QueryState::Paused => name.to_owned(),
    }
}

/// What a query did since the process started, as indented lines.
pub fn runtime(query: &QueryStatus) -> String {
    let numbers = &query.numbers;
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<14}{value}");
    };
    line("state", state(query));
    line(
        "rows",
        format!("{} in, {} out, {} late, {} errors", query.rows_in, query.rows_out, query.rows_late, query.errors),
    );
    line("lag", format!("{} records", query.lag));
    let time = query.stream_time.and_then(chrono::DateTime::from_timestamp_millis);
    line("stream time", time.map_or("none yet".to_owned(), |t| t.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)));
    if numbers.standby_tasks > 0 {
        let (tasks, behind) = (numbers.standby_tasks, numbers.standby_behind);
        line("standby", format!("copies of {tasks} tasks, {behind} records behind"));
    }
    let quantile = |q| numbers.commits.quantile_us(q).unwrap_or(0);
    line(
        "commits",
        match numbers.commits.count() {
            0 => "none yet".to_owned(),
            count => format!(
                "{count}, latency p50 {}, p99 {}, max {}",
                millis(quantile(0.5)),
                millis(quantile(0.99)),
                millis(numbers.commits.max_us)
            ),
        },
    );
    for store in &numbers.stores {
        let disk = if store.disk_bytes > 0 { format!(", {} on disk", store.disk_bytes) } else { String::new() };
        line("store", format!("{}: {} rows, {} bytes{disk}", store.name, store.rows, store.memory_bytes));
    }
    let restore = &numbers.restore;
    if restore.total > 0 && !restore.running {
        let rate = restore.rate();
        line("restored", format!("{} records in {}, {rate:.0} a second", restore.done, seconds(restore.took)));
    }
    if numbers.session_failures > 0 {
        line("failures", format!("{} worker sessions failed since the start", numbers.session_failures));
    }
    text
}

fn seconds(time: Duration) -> String {
    if time < Duration::from_secs(1) {
        return millis(time.as_micros() as u64);
    }
    format!("{:.1} s", time.as_secs_f64())
}

fn millis(us: u64) -> String {
    format!("{:.1} ms", us as f64 / 1000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::session::{QueryNumbers, RestoreNumbers, StoreNumbers};
    use crate::runtime::metrics::histogram::Histogram;

    fn status(state: QueryState, numbers: QueryNumbers) -> QueryStatus {
        QueryStatus {
            id: "CTAS_T_1".to_owned(),
            sql: "CREATE TABLE t\n AS …;".to_owned(),
            sink: "T".to_owned(),
            sink_topic: "t".to_owned(),
            state,
            rows_in: 10,
            rows_out: 5,
            rows_late: 1,
            errors: 2,
            lag: 3,
            stream_time: Some(1_795_258_800_123),
            numbers,
        }
    }

    #[test]
    fn states_say_how_far_and_why() {
        let restore =
            RestoreNumbers { running: true, remaining: 300, done: 200, took: Duration::from_secs(4), total: 200 };
        let numbers = QueryNumbers { restore, ..QueryNumbers::default() };
        assert_eq!(state(&status(QueryState::Restoring, numbers)), "RESTORING 200 of 500 records, 50 a second");
        assert_eq!(state(&status(QueryState::Restoring, QueryNumbers::default())), "RESTORING");
        let numbers = QueryNumbers { retry_in: Some(Duration::from_millis(1600)), ..QueryNumbers::default() };
        let failed = status(QueryState::Error("no broker".to_owned()), numbers);
        assert_eq!(state(&failed), "ERROR: no broker; tries again in 1.6 s");
    }

    #[test]
    fn extended_has_numbers() {
        let latency = Histogram::default();
        latency.record(1500);
        let store = |name: &str, rows, memory_bytes, disk_bytes| StoreNumbers {
            name: name.to_owned(),
            rows,
            memory_bytes,
            disk_bytes,
        };
        let stores = vec![store("a", 2, 20, 0), store("b", 3, 30, 4096)];
        let numbers = QueryNumbers { commits: latency.numbers(), stores, session_failures: 4, ..Default::default() };
        let query = status(QueryState::Running, numbers);
        let table = table(std::slice::from_ref(&query), true);
        let cell = |name: &str| {
            let at = table.columns.iter().position(|(column, _)| column == name).expect("the column");
            table.rows[0][at].clone()
        };
        assert_eq!(
            (cell("Rows In"), cell("Late"), cell("Lag")),
            (Value::BigInt(10), Value::BigInt(1), Value::BigInt(3))
        );
        assert_eq!((cell("Commits"), cell("Commit p99 ms")), (Value::BigInt(1), Value::Double(1.5)));
        assert_eq!((cell("State Rows"), cell("State Bytes")), (Value::BigInt(5), Value::BigInt(50)));
        assert_eq!(cell("Statement"), Value::String("CREATE TABLE t AS …;".to_owned()));
        assert_eq!(
            runtime(&query),
            "  state         RUNNING
  rows          10 in, 5 out, 1 late, 2 errors
  lag           3 records
  stream time   2026-11-21T11:00:00.123Z
  commits       1, latency p50 1.5 ms, p99 1.5 ms, max 1.5 ms
  store         a: 2 rows, 20 bytes
  store         b: 3 rows, 30 bytes, 4096 on disk
  failures      4 worker sessions failed since the start
"
        );
    }
}
