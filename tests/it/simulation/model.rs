//! Plain calculations of what some queries must bring: the oracle of the run without trouble.
//!
//! They know nothing of the engine: loops over the rows of the case.

use std::collections::BTreeMap;

use serde_json::{Value as Json, json};

use super::case::{Case, Row, Value};
use super::oracle::{Seen, difference, fold};

/// A row of the input that can be read.
struct Read<'a> {
    key: Option<&'a str>,
    partition: i32,
    time: i64,
    g: Option<&'a str>,
    v: i64,
    n: i64,
}

/// What an output must hold.
enum Expected {
    /// These records: key, value, time.
    Records(Vec<(String, Json, i64)>),
    /// These rows when folded: key, value.
    Table(BTreeMap<String, Json>),
    /// These rows, each told once, by key and window start.
    Windows(BTreeMap<(String, i64), Json>),
}

fn reads<'a>(case: &'a Case, topic: &'a str) -> impl Iterator<Item = Read<'a>> {
    case.rows.iter().filter(move |row| row.topic == topic).filter_map(|row: &Row| match &row.value {
        Value::Columns { g, v, n } => Some(Read {
            key: row.key.as_deref(),
            partition: row.partition,
            time: row.timestamp,
            g: g.as_deref(),
            v: *v,
            n: *n,
        }),
        Value::Tombstone | Value::Bad => None,
    })
}

/// The rows of a table by key.
fn table<'a>(case: &'a Case, topic: &'a str) -> BTreeMap<&'a str, (Option<&'a str>, i64, i64)> {
    let mut table = BTreeMap::new();
    for row in case.rows.iter().filter(|row| row.topic == topic) {
        let Some(key) = row.key.as_deref() else { continue };
        match &row.value {
            Value::Bad => {}
            Value::Tombstone => {
                table.remove(key);
            }
            Value::Columns { g, v, n } => {
                table.insert(key, (g.as_deref(), *v, *n));
            }
        }
    }
    table
}

fn name(key: Option<&str>) -> String {
    key.unwrap_or("<null>").to_owned()
}

#[derive(Default)]
struct Group {
    count: i64,
    sum: i64,
    most: i64,
}

impl Group {
    fn add(&mut self, row: &Read<'_>) {
        self.count += 1;
        self.sum += row.v;
        self.most = self.most.max(row.n);
    }
}

fn grouped<'a>(rows: impl Iterator<Item = Read<'a>>, by: fn(&Read<'a>) -> Option<&'a str>) -> BTreeMap<String, Group> {
    let mut groups: BTreeMap<String, Group> = BTreeMap::new();
    for row in rows {
        if let Some(group) = by(&row) {
            groups.entry(group.to_owned()).or_default().add(&row);
        }
    }
    groups
}

/// Windows that hold each row, unless they closed before it came to its partition's task.
fn windowed<'a>(
    rows: impl Iterator<Item = Read<'a>>,
    (size, advance, grace): (i64, i64, i64),
    by: fn(&Read<'a>) -> Option<&'a str>,
) -> Expected {
    let mut newest: BTreeMap<i32, i64> = BTreeMap::new();
    let mut groups: BTreeMap<(String, i64), Group> = BTreeMap::new();
    for row in rows {
        let Some(group) = by(&row) else { continue };
        let newest = newest.entry(row.partition).or_insert(i64::MIN);
        *newest = row.time.max(*newest);
        let last = row.time - row.time.rem_euclid(advance);
        for start in (0..).map(|i| last - i * advance).take_while(|start| start + size > row.time) {
            if start + size + grace > *newest {
                groups.entry((group.to_owned(), start)).or_default().add(&row);
            }
        }
    }
    let rows = groups.into_iter().map(|(key, group)| (key, json!({"C": group.count, "S": group.sum})));
    Expected::Windows(rows.collect())
}

/// Pairs of rows with one key and times near each other; with `outer` those that have none, too.
fn paired(case: &Case, within: i64, outer: bool, value: fn(Option<&Read<'_>>, Option<&Read<'_>>) -> Json) -> Expected {
    let (left, right): (Vec<_>, Vec<_>) = (reads(case, "a").collect(), reads(case, "b").collect());
    let fit = |l: &Read<'_>, r: &Read<'_>| l.key.is_some() && l.key == r.key && (l.time - r.time).abs() <= within;
    let mut records = Vec::new();
    for l in &left {
        for r in right.iter().filter(|r| fit(l, r)) {
            records.push((name(l.key), value(Some(l), Some(r)), l.time.max(r.time)));
        }
        if outer && !right.iter().any(|r| fit(l, r)) {
            records.push((name(l.key), value(Some(l), None), l.time));
        }
    }
    for r in right.iter().filter(|r| outer && !left.iter().any(|l| fit(l, r))) {
        records.push((name(r.key), value(None, Some(r)), r.time));
    }
    Expected::Records(records)
}

/// What the outputs of a case must hold, by number; nothing for what is not calculated here.
fn expected(case: &Case) -> Vec<(usize, Expected)> {
    let a = || reads(case, "a");
    let counted = |groups: BTreeMap<String, Group>, most: bool| {
        let value = |group: Group| match most {
            true => json!({"C": group.count, "S": group.sum, "M": group.most}),
            false => json!({"C": group.count, "S": group.sum}),
        };
        Expected::Table(groups.into_iter().map(|(key, group)| (key, value(group))).collect())
    };
    match case.shape.name {
        "filter" => {
            let rows = a().filter(|row| row.v > 20);
            let value = |row: &Read<'_>| json!({"G": row.g, "W": row.v * 2, "N": row.n});
            vec![(0, Expected::Records(rows.map(|row| (name(row.key), value(&row), row.time)).collect()))]
        }
        "rekey" => {
            let value = |row: &Read<'_>| json!({"K": row.key, "V": row.v, "N": row.n});
            let mut records: Vec<_> = a().map(|row| (name(row.g), value(&row), row.time)).collect();
            // A record without value has no group either, and goes on without both.
            let empty = case.rows.iter().filter(|row| matches!(row.value, Value::Tombstone));
            records.extend(empty.map(|row| (name(None), Json::Null, row.timestamp)));
            vec![(0, Expected::Records(records))]
        }
        "count_by_key" => vec![(0, counted(grouped(a(), |row| row.key), true))],
        "sum_by_group" => vec![(0, counted(grouped(a(), |row| row.g), true))],
        "tumbling_final" => vec![(0, windowed(a(), (10_000, 10_000, 5_000), |row| row.key))],
        "hopping_groups_final" => vec![(0, windowed(a(), (20_000, 10_000, 3_600_000), |row| row.g))],
        "joined" => {
            let value = |l: Option<&Read<'_>>, r: Option<&Read<'_>>| {
                let sum = l.zip(r).map(|(l, r)| l.v + r.v);
                json!({"N": l.map(|l| l.n), "M": r.map(|r| r.n), "V": sum})
            };
            vec![(0, paired(case, 10_000, false, value))]
        }
        "joined_outer" => {
            let value = |l: Option<&Read<'_>>, r: Option<&Read<'_>>| json!({"N": l.map(|l| l.n), "M": r.map(|r| r.n)});
            vec![(0, paired(case, 5_000, true, value))]
        }
        "enriched_live" => {
            let table = table(case, "t");
            let rows = a().filter_map(|row| {
                let (g, v, _) = table.get(row.key?)?;
                Some((name(row.key), json!({"N": row.n, "TG": g, "TV": v}), row.time))
            });
            vec![(0, Expected::Records(rows.collect()))]
        }
        "tables" => {
            let (t, u) = (table(case, "t"), table(case, "u"));
            let value = |key: &str| json!({"V": t.get(key).map(|row| row.1), "W": u.get(key).map(|row| row.1)});
            let keys = t.keys().chain(u.keys());
            vec![(0, Expected::Table(keys.map(|key| ((*key).to_owned(), value(key))).collect()))]
        }
        "foreign_key" => {
            let (t, r) = (table(case, "t"), table(case, "r"));
            let row = |(key, (g, _, n)): (&&str, &(Option<&str>, i64, i64))| {
                let named = g.and_then(|g| r.get(g)).map(|row| row.1);
                ((*key).to_owned(), json!({"N": n, "W": named}))
            };
            vec![(0, Expected::Table(t.iter().map(row).collect()))]
        }
        "undone" => {
            let mut groups: BTreeMap<String, Group> = BTreeMap::new();
            for (g, v, _) in table(case, "t").into_values() {
                let Some(g) = g else { continue };
                let group = groups.entry(g.to_owned()).or_default();
                group.count += 1;
                group.sum += v;
            }
            vec![(0, counted(groups, false))]
        }
        "chain" => {
            let kept = || a().filter(|row| row.v > 10);
            let value = |row: &Read<'_>| json!({"G": row.g, "V": row.v, "N": row.n});
            let b = kept().map(|row| (name(row.key), value(&row), row.time)).collect();
            let large = grouped(kept(), |row| row.g).into_iter().filter(|(_, group)| group.sum > 100);
            let d = large.map(|(key, group)| (key, json!({"S": group.sum}))).collect();
            let c = counted(grouped(kept(), |row| row.g), false);
            vec![(0, Expected::Records(b)), (1, c), (2, Expected::Table(d))]
        }
        "chain_join" => {
            let table = table(case, "r");
            let value = |row: &Read<'_>| {
                let named = row.g.and_then(|g| table.get(g)).map(|row| row.1);
                json!({"N": row.n, "W": named})
            };
            let rows = a().map(|row| (name(row.g), value(&row), row.time));
            vec![(1, Expected::Records(rows.collect()))]
        }
        _ => Vec::new(),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn parsed(seen: &Seen) -> Json {
    seen.value.as_deref().map_or(Json::Null, |bytes| serde_json::from_slice(bytes).unwrap_or(Json::Null))
}

/// Whether the outputs are what a calculation says, where there is one.
pub fn check(case: &Case, outputs: &[Vec<Seen>]) -> Result<(), String> {
    for (number, expected) in expected(case) {
        let seen = &outputs[number];
        let what = format!("calculation of {}", case.shape.outputs[number].topic);
        match expected {
            Expected::Records(records) => {
                let line = |(key, value, time): (String, Json, i64)| format!("{key} {value} {time}");
                let mut wanted: Vec<String> = records.into_iter().map(line).collect();
                let of_seen = |seen: &Seen| {
                    let key = seen.key.as_deref().map_or("<null>".to_owned(), text);
                    format!("{key} {} {}", parsed(seen), seen.timestamp)
                };
                let mut got: Vec<String> = seen.iter().map(of_seen).collect();
                wanted.sort();
                got.sort();
                difference(&what, &wanted, &got)?;
            }
            Expected::Table(rows) => {
                let wanted: Vec<String> = rows.into_iter().map(|(key, value)| format!("{key} {value}")).collect();
                // Groups whose rows were all taken back stay with a count of zero.
                let rows = fold(seen).into_iter().map(|(key, seen)| (text(&key), parsed(&seen)));
                let rows = rows.filter(|(_, value)| value.get("C") != Some(&json!(0)));
                let got: Vec<String> = rows.map(|(key, value)| format!("{key} {value}")).collect();
                difference(&what, &wanted, &got)?;
            }
            Expected::Windows(rows) => {
                let line = |key: &str, start: i64, value: &Json| format!("{key} {start} {value}");
                let mut wanted: Vec<String> =
                    rows.iter().map(|((key, start), value)| line(key, *start, value)).collect();
                let of_seen = |seen: &Seen| {
                    let (key, start) = seen.key.as_deref().and_then(<[u8]>::split_last_chunk::<8>)?;
                    Some(line(&text(key), i64::from_be_bytes(*start), &parsed(seen)))
                };
                let mut got: Vec<String> = seen.iter().filter_map(of_seen).collect();
                wanted.sort();
                got.sort();
                difference(&what, &wanted, &got)?;
            }
        }
    }
    Ok(())
}
