//! A [`Topology`] as text, sub-topology by sub-topology: what each operator does and what comes out of it.
//!
//! **Invariant:** the text depends on the topology alone.

use std::fmt::Write;

use crate::time::{WindowKind, WindowSpec};
use crate::types::{FormatSpec, KeyWindow, LogicalSchema};

use super::topology::{
    AggregateSpec, Changelog, JoinSpec, NamedExpr, Node, OperatorSpec, SourceSpec, StreamStreamJoinSpec, SubTopology,
    Topology,
};

/// The topology as indented lines.
pub fn explain(topology: &Topology) -> String {
    let mut out = String::new();
    for (i, sub) in topology.sub_topologies.iter().enumerate() {
        let _ = writeln!(out, "sub-topology {i}");
        for node in &sub.nodes {
            explain_node(&mut out, sub, node);
        }
    }
    let _ = writeln!(out, "result: {} {}", topology.kind, columns(&topology.schema));
    out
}

fn explain_node(out: &mut String, sub: &SubTopology, node: &Node) {
    let inputs: Vec<&str> = node.inputs.iter().map(|input| sub.nodes[*input].name.as_str()).collect();
    let arrow = if inputs.is_empty() { String::new() } else { format!(" <- {}", inputs.join(", ")) };
    let what = describe(&node.spec);
    let label =
        if node.name.starts_with(node.spec.label()) { String::new() } else { format!(" ({})", node.spec.label()) };
    let colon = if what.is_empty() { "" } else { ": " };
    let _ = writeln!(out, "  {}{label}{arrow}{colon}{what}", node.name);
    for store in node.spec.stores() {
        let spec = &sub.stores[store];
        let durability = match &spec.changelog {
            Changelog::Topic { retention_ms: None } | Changelog::SinkTopic => {
                format!("changelog {}-changelog", spec.name)
            }
            Changelog::Topic { retention_ms: Some(ms) } => {
                format!("changelog {}-changelog, kept {}", spec.name, duration(*ms))
            }
            Changelog::None => "in memory".to_owned(),
        };
        let _ = writeln!(out, "      store {}: {durability}", spec.name);
    }
    let same = node.inputs.first().is_some_and(|input| sub.nodes[*input].schema == node.schema);
    if !same {
        let _ = writeln!(out, "      -> {} {}", node.kind, columns(&node.schema));
    }
}

fn describe(spec: &OperatorSpec) -> String {
    match spec {
        OperatorSpec::Source(source) => describe_source(source),
        OperatorSpec::RepartitionSource { topic, .. } => format!("topic {topic}"),
        OperatorSpec::TableSource { .. } => "newest row per key".to_owned(),
        OperatorSpec::Filter { predicate } => predicate.clone(),
        OperatorSpec::Project { key, value } => named(key.iter().chain(value)),
        OperatorSpec::FlatMap { functions } => named(functions),
        OperatorSpec::PartitionBy { key, .. } if key.is_empty() => "no key".to_owned(),
        OperatorSpec::PartitionBy { key, .. } | OperatorSpec::GroupBy { key, .. } => format!("key {}", named(key)),
        OperatorSpec::RepartitionSink(spec) => {
            format!(
                "topic {} (key {}, partitions as {}) because {}",
                spec.topic,
                format_name(&spec.key_format),
                spec.partitions_of.join(", "),
                spec.reason
            )
        }
        OperatorSpec::Aggregate(spec) => describe_aggregate(spec),
        OperatorSpec::StreamStreamJoin(spec) => describe_stream_join(spec),
        OperatorSpec::StreamTableJoin { left_outer, .. } => if *left_outer { "left" } else { "inner" }.to_owned(),
        OperatorSpec::ForeignKey { key, .. } => format!("key {}", named(key)),
        OperatorSpec::NewestResult { number, .. } => format!("by {number}"),
        OperatorSpec::ForeignKeyJoin { left_outer, .. } => if *left_outer { "left" } else { "inner" }.to_owned(),
        OperatorSpec::TableTableJoin { kind, .. } => join_kind(*kind).to_owned(),
        OperatorSpec::Materialize { .. } => "for pull queries".to_owned(),
        OperatorSpec::Limit { rows } => format!("{rows} rows"),
        OperatorSpec::Sink(sink) => {
            let mut text = format!(
                "topic {} (key {}, value {})",
                sink.topic,
                format_name(&sink.key_format),
                format_name(&sink.value_format)
            );
            if let Some(window) = sink.window {
                let _ = write!(text, ", {}", key_window(window));
            }
            if let Some(timestamp) = &sink.timestamp {
                let _ = write!(text, ", timestamp {}", timestamp.column);
            }
            text
        }
        OperatorSpec::Collect => "rows to the client".to_owned(),
    }
}

fn describe_source(source: &SourceSpec) -> String {
    let mut text = format!(
        "{} {}, topic {} (key {}, value {})",
        source.kind,
        source.source,
        source.topic,
        format_name(&source.key_format),
        format_name(&source.value_format)
    );
    if let Some(window) = source.window {
        let _ = write!(text, ", {}", key_window(window));
    }
    if let Some(timestamp) = &source.timestamp {
        let _ = write!(text, ", timestamp {}", timestamp.column);
        if let Some(format) = &timestamp.format {
            let _ = write!(text, " as {format}");
        }
    }
    text
}

fn describe_aggregate(spec: &AggregateSpec) -> String {
    let calls: Vec<String> = spec
        .calls
        .iter()
        .map(|call| {
            let args = if call.args.is_empty() { "*".to_owned() } else { call.args.join(", ") };
            format!("{} = {}({args})", call.name, call.function)
        })
        .collect();
    let mut text = calls.join(", ");
    if let Some(window) = &spec.window {
        let _ = write!(text, "; {}", describe_window(window));
    }
    if spec.emit_final {
        text.push_str("; once, when the window closes");
    }
    text
}

fn describe_window(window: &WindowSpec) -> String {
    let mut text = match window.kind {
        WindowKind::Tumbling => format!("tumbling windows of {}", duration(window.size_ms)),
        WindowKind::Hopping => {
            format!("hopping windows of {} every {}", duration(window.size_ms), duration(window.advance_ms))
        }
        WindowKind::Session => format!("sessions with a gap of {}", duration(window.size_ms)),
    };
    let _ = write!(text, ", grace {}", duration(window.grace_ms));
    text
}

fn describe_stream_join(spec: &StreamStreamJoinSpec) -> String {
    let mut text = format!(
        "{} within {} before and {} after, grace {}",
        join_kind(spec.kind),
        duration(spec.before_ms),
        duration(spec.after_ms),
        duration(spec.grace_ms)
    );
    if spec.eager_outer && (spec.kind.left_outer || spec.kind.right_outer) {
        text.push_str(", rows without a match at once");
    }
    text
}

fn join_kind(kind: JoinSpec) -> &'static str {
    match (kind.left_outer, kind.right_outer) {
        (false, false) => "inner",
        (true, false) => "left",
        (false, true) => "right",
        (true, true) => "full",
    }
}

fn key_window(window: KeyWindow) -> String {
    match window.size_ms {
        Some(size) => format!("{} windows of {}", window.kind.to_string().to_lowercase(), duration(size)),
        None => format!("{} windows", window.kind.to_string().to_lowercase()),
    }
}

fn format_name(format: &FormatSpec) -> &str {
    &format.name
}

/// `NAME = expression`, or just the name where the expression is the column of that name.
fn named<'a>(exprs: impl IntoIterator<Item = &'a NamedExpr>) -> String {
    let text = exprs.into_iter().map(|named| {
        let unquoted = named.expr.trim_matches('`').replace("``", "`");
        if unquoted == named.name { named.name.clone() } else { format!("{} = {}", named.name, named.expr) }
    });
    text.collect::<Vec<_>>().join(", ")
}

fn columns(schema: &LogicalSchema) -> String {
    let key = schema.key().iter().map(|column| format!("{} {} KEY", column.name, column.ty));
    let value = schema.value().iter().map(|column| format!("{} {}", column.name, column.ty));
    let window = schema.windowed.then(|| "WINDOW".to_owned());
    let text = key.chain(window).chain(value).collect::<Vec<_>>().join(", ");
    format!("({text})")
}

/// `1d 2h`, `5m`, `250ms`
fn duration(ms: i64) -> String {
    const UNITS: [(i64, &str); 5] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")];
    let mut rest = ms;
    let mut words = Vec::new();
    for (unit, name) in UNITS {
        if rest >= unit {
            words.push(format!("{}{name}", rest / unit));
            rest %= unit;
        }
    }
    if words.is_empty() { format!("{ms}ms") } else { words.join(" ") }
}
