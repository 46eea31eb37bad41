//! The left-deep tree of joins, built over the conditions that [`super::condition`] analysed.
//!
//! **Invariant:** below a join every column carries its unique name of the query, and the key column one name that no
//! source column has; so the join's output is key, left values, right values without clashes.

use std::collections::BTreeSet;

use crate::error::{Error, Result};
use crate::plan::formats::{internal_key_format, names_schema_in_bytes, same_key_bytes};
use crate::plan::topology::{JoinSpec, NamedExpr, OperatorSpec, StreamStreamJoinSpec};
use crate::plan::{Environment, walk};
use crate::sql::ast::{Expr, ExprKind, Join, JoinKind};
use crate::time::WindowKind;
use crate::types::{Column, FormatSpec, KeyWindow, LogicalSchema, SourceKind, SqlType, SystemColumn};

use super::condition::BoundJoin;
use super::flow::{self, Durability, Flow, Move};
use super::graph::Graph;
use super::sources::Sources;

/// > KSQL: the grace of a stream–stream join without GRACE PERIOD.
const DEFAULT_GRACE_MS: i64 = 24 * 3_600_000;

/// Builds the joins of one query.
pub(super) struct JoinBuilder<'a, 'q> {
    pub(super) env: Environment<'a>,
    pub(super) graph: &'a mut Graph,
    pub(super) sources: &'a Sources,
    pub(super) joins: &'a [BoundJoin<'q>],
    /// What must hold of rows of the first source before they are joined.
    pub(super) early: Option<Expr>,
    /// Columns that are used after all joins.
    pub(super) needed: &'a BTreeSet<String>,
    /// Name of the key column inside.
    pub(super) key_name: &'a str,
    pub(super) durability: Durability,
}

/// One side of a join before it is built.
struct Side {
    /// A flow that exists already (the join before), or a source.
    flow: Option<Flow>,
    source: usize,
    is_table: bool,
    /// Whether the condition is its key already.
    keyed: bool,
    format: FormatSpec,
    topics: Vec<String>,
    window: Option<KeyWindow>,
    name: String,
}

impl JoinBuilder<'_, '_> {
    /// The joined rows.
    pub(super) fn build(mut self) -> Result<Flow> {
        let mut flow = None;
        for i in 0..self.joins.len() {
            flow = Some(self.join(i, flow)?);
        }
        flow.ok_or_else(|| Error::internal("a join needs two sources"))
    }

    fn join(&mut self, i: usize, before: Option<Flow>) -> Result<Flow> {
        let join = &self.joins[i];
        let left = self.side(before, i, &join.left);
        let mut right = self.side(None, i + 1, &join.right);
        check_kinds(join, &left, &right, self.sources)?;
        check_windows(join, &left, &right)?;
        // > KSQL: keys carry the start of a window only, so that windows of different sizes match; the result has the
        // > left one's.
        right.window = left.window;
        if join.foreign {
            return self.foreign(i, left, right);
        }

        let (format, left_why, right_why) = self.formats(join, &left, &right)?;
        if left_why.is_none() && right_why.is_none() {
            self.check_partitions(join, &left, &right)?;
        }
        let name = if i == 0 { "Join".to_owned() } else { format!("Join{}", i + 1) };
        let key = Column::key(self.key_name, join.key_type.clone());
        // A side that moves takes the partitions of the side that stays.
        let both = || left.topics.iter().chain(&right.topics).cloned().collect::<Vec<_>>();
        let left_like = if right_why.is_some() { both() } else { right.topics.clone() };
        let right_like = if left_why.is_some() { both() } else { left.topics.clone() };
        let needed = self.needed_after(i);
        let moved = |side: &str, partitions_of: Vec<String>, why: Option<String>| {
            why.map(|reason| Move {
                name: format!("{name}-{side}"),
                suffix: flow::REPARTITION,
                format: format.clone(),
                partitions_of,
                reason,
            })
        };
        let left_move = moved("left", left_like, left_why);
        let right_move = moved("right", right_like, right_why);
        let left_keyed = left.keyed;
        let right_keyed = right.keyed;
        let left = self.prepare(left, &join.left, join.left_filter.clone(), &key, &needed, left_move)?;
        let right = self.prepare(right, &join.right, join.right_filter.clone(), &key, &needed, right_move)?;
        let copies = |flow: &Flow, keyed: bool, expr: &Expr| {
            if keyed { flow.key_copies.clone() } else { walk::as_column(expr).map(str::to_owned).into_iter().collect() }
        };
        let left_copies = copies(&left, left_keyed, &join.left);
        let right_copies = copies(&right, right_keyed, &join.right);
        let key_copies = match join.ast.kind {
            JoinKind::Inner => [left_copies, right_copies].concat(),
            JoinKind::Left => left_copies,
            JoinKind::Right => right_copies,
            JoinKind::Full => Vec::new(),
        };
        Ok(Flow { key_copies, ..self.node(&name, join, left, right, key, format) })
    }

    /// Rows of the left table go to the rows that they name, and results back to where the left rows are.
    fn foreign(&mut self, i: usize, left: Side, right: Side) -> Result<Flow> {
        let join = &self.joins[i];
        let needed = self.needed_after(i);
        let foreign_key = Column::key(self.key_name, join.key_type.clone());
        let left_outer = join.ast.kind == JoinKind::Left;
        let (left_format, left_topics, left_name) = (left.format.clone(), left.topics.clone(), left.name.clone());
        let (right_format, right_topics) = (right.format.clone(), right.topics.clone());
        let left = self.prepare(left, &join.left, join.left_filter.clone(), &foreign_key, &needed, None)?;
        // Where keys carry the number of a schema, left rows find right rows only if both are moved alike.
        let own = internal_key_format(&right_format, std::slice::from_ref(&foreign_key));
        let right_move = names_schema_in_bytes(&own).then(|| Move {
            name: "RightSourceKeyed-SelectKey".to_owned(),
            suffix: flow::REPARTITION,
            format: own.clone(),
            partitions_of: right_topics.clone(),
            reason: numbered(&own),
        });
        let right = self.prepare(right, &join.right, join.right_filter.clone(), &foreign_key, &needed, right_move)?;

        let own_key = left.schema.key().to_vec();
        let values: Vec<Column> = left.schema.value().iter().filter(|c| needed.contains(&c.name)).cloned().collect();
        let number = Column::value(format!("{}_number", self.key_name), SqlType::BigInt);
        let gone = Column::value(format!("{}_gone", self.key_name), SqlType::Boolean);
        let changelog = self.durability.changelog(None);
        let carried: Vec<Column> =
            own_key.iter().map(|c| Column::value(&c.name, c.ty.clone())).chain(values.iter().cloned()).collect();
        let named = |name: &str| NamedExpr { name: name.to_owned(), expr: Expr::column(name).to_string() };
        let spec = OperatorSpec::ForeignKey {
            key: vec![NamedExpr { name: foreign_key.name.clone(), expr: join.left.to_string() }],
            value: carried.iter().map(|column| named(&column.name)).collect(),
            keep_null: left_outer,
            store: self.graph.store("Join-numbers", changelog.clone()),
        };
        let columns = [vec![foreign_key], carried, vec![number.clone()]].concat();
        let schema = LogicalSchema { columns, windowed: false };
        let node = self.graph.add("ForeignKey", vec![left.node], spec, schema.clone(), SourceKind::Table);
        let moved = Move {
            name: "Join-left".to_owned(),
            // > KSQL: the topics of foreign-key joins are named apart from those that move rows for good.
            suffix: "foreign",
            format: right_format,
            partitions_of: right_topics,
            reason: format!("{} names rows of {}", self.sources.shown_expr(&join.left), self.sources.list[i + 1].alias),
        };
        let sent = flow::repartition(self.graph, Flow { node, schema, ..left }, moved);

        let left_store = self.graph.store("Join-left", changelog.clone());
        let right_store = self.graph.store("Join-right", changelog.clone());
        let spec = OperatorSpec::ForeignKeyJoin { left_outer, left_store, right_store };
        let (left_values, right_values) = (own_key.iter().chain(&values), right.schema.value());
        let plain: Vec<Column> = left_values.clone().chain(right_values).cloned().collect();
        let columns = left_values.chain([&number]).chain(right_values).chain([&gone]).cloned().collect();
        let schema = LogicalSchema { columns, windowed: false };
        let node = self.graph.add("Join", vec![sent.node, right.node], spec, schema.clone(), SourceKind::Table);
        let moved = Move {
            name: "Join-result".to_owned(),
            suffix: "foreign",
            format: left_format,
            partitions_of: left_topics,
            reason: format!("results have the key of {left_name}"),
        };
        let mut flow = flow::repartition(self.graph, Flow { node, schema, ..sent }, moved);
        let store = self.graph.store("Join-newest", changelog.clone());
        let spec = OperatorSpec::NewestResult { store, number: number.name };
        flow.schema = LogicalSchema { columns: plain, windowed: false };
        flow.node = self.graph.add("Join-newest", vec![flow.node], spec, flow.schema.clone(), SourceKind::Table);
        let store = self.graph.store("Join-result", changelog);
        let spec = OperatorSpec::TableSource { store };
        flow.node = self.graph.add("Join-table", vec![flow.node], spec, flow.schema.clone(), SourceKind::Table);
        let [key] = own_key.as_slice() else { return Ok(flow) };
        // Under the joins' key name, as after any other join.
        let column = |column: &Column| (column.name.clone(), Expr::column(&column.name), column.ty.clone());
        let copy = needed.contains(&key.name).then(|| column(key));
        let value = copy.into_iter().chain(flow.schema.value().iter().map(column)).collect();
        let renamed = vec![(self.key_name.to_owned(), Expr::column(&key.name))];
        let flow = flow::project(self.graph, flow, renamed, value)?;
        Ok(Flow { key_copies: vec![key.name.clone()], ..flow })
    }

    fn side(&self, before: Option<Flow>, source: usize, on: &Expr) -> Side {
        let column = walk::as_column(on);
        match before {
            Some(flow) => Side {
                source,
                is_table: flow.kind == SourceKind::Table,
                keyed: column.is_some_and(|name| flow.key_copies.iter().any(|copy| copy == name)),
                format: flow.key_format.clone(),
                topics: flow.topics.clone(),
                window: flow.window,
                name: format!("the join of {}", self.aliases(source)),
                flow: Some(flow),
            },
            None => {
                let from = &self.sources.list[source];
                let schema = &from.source.schema;
                let mut keys = self.sources.of(source).filter(|column| column.key);
                let keyed = schema.key_len() == 1 && keys.next().map(|key| key.name.as_str()) == column;
                Side {
                    flow: None,
                    source,
                    is_table: from.is_table(),
                    keyed,
                    format: from.source.key_format.clone(),
                    topics: vec![from.source.topic.clone()],
                    window: from.source.window,
                    name: from.alias.clone(),
                }
            }
        }
    }

    /// The first sources up to and including `last`, for messages.
    fn aliases(&self, last: usize) -> String {
        let aliases: Vec<&str> = self.sources.list[..=last].iter().map(|from| from.alias.as_str()).collect();
        aliases.join(" and ")
    }

    /// Columns that are used by later joins or after them.
    fn needed_after(&self, i: usize) -> BTreeSet<String> {
        let mut needed = self.needed.clone();
        for join in &self.joins[i + 1..] {
            let conditions = join.left_filter.iter().chain([&join.left]);
            needed.extend(conditions.flat_map(walk::columns).map(|name| name.text.clone()));
        }
        needed
    }

    /// The format that decides the partitions of both sides, and why a side has to move.
    fn formats(
        &self,
        join: &BoundJoin<'_>,
        left: &Side,
        right: &Side,
    ) -> Result<(FormatSpec, Option<String>, Option<String>)> {
        let format = match (left.keyed, right.keyed) {
            _ if right.is_table && !left.is_table => &right.format,
            (true, _) => &left.format,
            (false, true) => &right.format,
            (false, false) if left.format.name != "NONE" => &left.format,
            (false, false) => &right.format,
        };
        let mut format = format.clone();
        if format.name == "NONE" {
            format = FormatSpec::new(&self.env.config.default_key_format, false);
        }
        let key = [Column::key(self.key_name, join.key_type.clone())];
        let format = internal_key_format(&format, &key);
        let why = |side: &Side, on: &Expr| {
            if !side.keyed {
                return Some(format!("{} is not the key of {}", self.sources.shown_expr(on), side.name));
            }
            let own = internal_key_format(&side.format, &key);
            // Equal keys differ in their schema's number, as far as anybody can tell before records come.
            if names_schema_in_bytes(&own) && side.flow.is_none() {
                return Some(numbered(&own));
            }
            (!same_key_bytes(&own, &format)).then(|| {
                format!("the key of {} is written as {}, the other side's as {}", side.name, own.name, format.name)
            })
        };
        let (left_why, right_why) = (why(left, &join.left), why(right, &join.right));
        for (side, why) in [(left, &left_why), (right, &right_why)] {
            let forced = side.keyed && names_schema_in_bytes(&side.format);
            if why.is_some() && side.window.is_some() && !forced {
                return Err(Error::unsupported(format!("joining the windowed source {} on something else than its key", side.name))
                    .at(join.ast.on.span)
                    .hint("Windowed rows cannot be moved to other partitions. Join on the key, or write the rows to an unwindowed stream first."));
            }
            if why.is_some() && side.is_table && side.flow.is_some() {
                return Err(Error::unsupported("joining joined tables whose keys are written in another format")
                    .at(join.ast.on.span)
                    .hint("Write the first join to a table with that KEY_FORMAT."));
            }
        }
        Ok((format, left_why, right_why))
    }

    fn check_partitions(&self, join: &BoundJoin<'_>, left: &Side, right: &Side) -> Result<()> {
        let count = |side: &Side| side.topics.iter().filter_map(|topic| (self.env.partitions)(topic)).max();
        match (count(left), count(right)) {
            (Some(a), Some(b)) if a != b => {
                Err(Error::semantic(format!("{} has {a} partition(s) and {} has {b}: they cannot be joined", left.name, right.name))
                    .at(join.ast.on.span)
                    .hint(format!("Matching keys must be in matching partitions. Copy one of them with the partitions of the other: CREATE STREAM … WITH (PARTITIONS = {a}) AS SELECT * FROM … PARTITION BY ….")))
            }
            _ => Ok(()),
        }
    }

    /// A side under the names of the query, keyed by the condition, in the right partitions.
    fn prepare(
        &mut self,
        side: Side,
        on: &Expr,
        condition: Option<Expr>,
        key: &Column,
        needed: &BTreeSet<String>,
        moved: Option<Move>,
    ) -> Result<Flow> {
        let flow = match side.flow {
            Some(flow) => match &condition {
                Some(condition) => flow::filter(self.graph, flow, "Filter", condition, "JOIN ON")?,
                None => flow,
            },
            None => {
                let mut used = needed.clone();
                used.extend(walk::columns(on).iter().map(|name| name.text.clone()));
                let rekeyed = moved.clone().filter(|_| side.keyed && side.is_table);
                let early = self.early.take_if(|_| side.source == 0);
                let early = walk::all_of(early.into_iter().chain(condition).collect());
                let mut read = used.clone();
                read.extend(early.iter().flat_map(walk::columns).map(|name| name.text.clone()));
                let (sources, durability) = (self.sources, self.durability);
                let mut flow = flow::source(self.graph, sources, side.source, &read, durability, side.window, rekeyed);
                if let Some(early) = early {
                    let own = walk::rewrite(&early, &mut |part| {
                        let column = walk::as_column(part).and_then(|name| self.sources.by_name(name));
                        Ok(column.map(|column| match self.own(side.source, &column.own, side.window) {
                            Expr { kind: ExprKind::Column { .. }, .. } => walk::column_at(&column.own, part),
                            computed => computed,
                        }))
                    })?;
                    flow = flow::filter(self.graph, flow, "Filter", &own, "WHERE")?;
                }
                self.renamed(flow, side.source, side.keyed.then_some(key), if side.keyed { needed } else { &used })?
            }
        };
        let Some(moved) = moved.filter(|_| !(side.keyed && side.is_table)) else {
            return Ok(flow);
        };
        let flow = if side.keyed { flow } else { self.rekeyed(flow, on, key, needed)? };
        Ok(flow::repartition(self.graph, flow, moved))
    }

    /// The rows of a source under the unique names; its key under `key`'s name when it is the join's.
    fn renamed(&mut self, flow: Flow, source: usize, key: Option<&Column>, needed: &BTreeSet<String>) -> Result<Flow> {
        let mut keys = Vec::new();
        let mut values = Vec::new();
        let mut key_copies = Vec::new();
        for column in self.sources.of(source) {
            let own = self.own(source, &column.own, flow.window);
            if column.key {
                let name = key.map_or(&column.name, |key| &key.name);
                keys.push((name.clone(), own.clone()));
                key_copies.push(column.name.clone());
                if key.is_none() {
                    continue;
                }
            }
            if needed.contains(&column.name) {
                values.push((column.name.clone(), own, column.ty.clone()));
            }
        }
        let flow = flow::project(self.graph, flow, keys, values)?;
        Ok(Flow { key_copies, ..flow })
    }

    /// A column as its source has it, whose rows are read as if they were in windows of `window`'s size.
    fn own(&self, source: usize, name: &str, window: Option<KeyWindow>) -> Expr {
        let declared = self.sources.list[source].source.window;
        match declared.and_then(|window| window.size_ms) {
            Some(size_ms) if declared != window && name == SystemColumn::WindowEnd.name() => {
                walk::plus(&Expr::column(SystemColumn::WindowStart.name()), size_ms)
            }
            _ => Expr::column(name),
        }
    }

    /// A stream with the condition as its key.
    fn rekeyed(&mut self, flow: Flow, on: &Expr, key: &Column, needed: &BTreeSet<String>) -> Result<Flow> {
        let scope = flow.scope();
        let spec_key = vec![NamedExpr { name: key.name.clone(), expr: on.to_string() }];
        let mut columns = vec![key.clone()];
        let mut value = Vec::new();
        for (name, ty) in &scope.columns {
            if needed.contains(name) && *name != key.name {
                value.push(NamedExpr { name: name.clone(), expr: Expr::column(name).to_string() });
                columns.push(Column::value(name, ty.clone()));
            }
        }
        let schema = LogicalSchema::new(columns, false);
        let spec = OperatorSpec::PartitionBy { key: spec_key, value };
        let node = self.graph.add("PartitionBy", vec![flow.node], spec, schema.clone(), SourceKind::Stream);
        Ok(Flow { node, schema, ..flow })
    }

    fn node(
        &mut self,
        name: &str,
        join: &BoundJoin<'_>,
        left: Flow,
        right: Flow,
        key: Column,
        key_format: FormatSpec,
    ) -> Flow {
        let ast = join.ast;
        let kind = JoinSpec {
            left_outer: matches!(ast.kind, JoinKind::Left | JoinKind::Full),
            right_outer: matches!(ast.kind, JoinKind::Right | JoinKind::Full),
        };
        let (output, spec) = match (left.kind, right.kind) {
            (SourceKind::Stream, SourceKind::Stream) => (SourceKind::Stream, self.stream_stream(name, ast, kind)),
            (SourceKind::Table, SourceKind::Table) => {
                let changelog = self.durability.changelog(None);
                let left_store = self.graph.store(&format!("{name}-left"), changelog.clone());
                let right_store = self.graph.store(&format!("{name}-right"), changelog);
                (SourceKind::Table, OperatorSpec::TableTableJoin { kind, left_store, right_store })
            }
            _ => {
                let store = self.graph.store(&format!("{name}-table"), self.durability.changelog(None));
                (SourceKind::Stream, OperatorSpec::StreamTableJoin { left_outer: kind.left_outer, store })
            }
        };
        let mut columns = vec![key];
        columns.extend(left.schema.value().iter().chain(right.schema.value()).cloned());
        let schema = LogicalSchema { columns, windowed: left.schema.windowed };
        let node = self.graph.add(name, vec![left.node, right.node], spec, schema.clone(), output);
        let topics = if left.topics == right.topics { left.topics } else { [left.topics, right.topics].concat() };
        Flow { node, schema, kind: output, key_format, window: left.window, topics, key_copies: Vec::new() }
    }

    fn stream_stream(&mut self, name: &str, ast: &Join, kind: JoinSpec) -> OperatorSpec {
        let (mut before_ms, mut after_ms, grace) =
            ast.within.map_or((0, 0, None), |within| (within.before_ms, within.after_ms, within.grace_ms));
        if ast.kind == JoinKind::Right {
            // > KSQL: a RIGHT join is a LEFT join with its sides exchanged, and the bounds are not exchanged.
            std::mem::swap(&mut before_ms, &mut after_ms);
        }
        let grace_ms = grace.unwrap_or(DEFAULT_GRACE_MS);
        let retention = before_ms.saturating_add(after_ms).saturating_add(grace_ms);
        let changelog = self.durability.changelog(Some(retention));
        OperatorSpec::StreamStreamJoin(StreamStreamJoinSpec {
            kind,
            before_ms,
            after_ms,
            grace_ms,
            eager_outer: grace.is_none(),
            left_store: self.graph.store(&format!("{name}-left"), changelog.clone()),
            right_store: self.graph.store(&format!("{name}-right"), changelog),
        })
    }
}

fn numbered(format: &FormatSpec) -> String {
    format!("keys in {} carry the number of a schema, which may differ by topic", format.name)
}

fn check_kinds(join: &BoundJoin<'_>, left: &Side, right: &Side, sources: &Sources) -> Result<()> {
    let ast = join.ast;
    let span = ast.span.0;
    let shown = |expr: &Expr| sources.shown_expr(expr);
    match (left.is_table, right.is_table) {
        (false, false) if ast.within.is_none() => {
            return Err(Error::semantic(format!(
                "joining the streams {} and {} needs a WITHIN clause",
                left.name, right.name
            ))
            .at(span)
            .hint("Say how far apart matching records may be: JOIN … WITHIN 5 MINUTES ON …."));
        }
        (false, false) => return Ok(()),
        _ if ast.within.is_some() => {
            return Err(Error::semantic("WITHIN is for joins of two streams")
                .at(span)
                .hint("A table gives its current row, whenever it came: leave WITHIN out."));
        }
        (true, false) => {
            return Err(Error::unsupported(format!("joining the table {} to the stream {}", left.name, right.name))
                .at(span)
                .hint("Write the stream first: FROM stream JOIN table ON …."));
        }
        (false, true) if matches!(ast.kind, JoinKind::Right | JoinKind::Full) => {
            return Err(Error::unsupported("RIGHT and FULL joins of a stream with a table")
                .at(span)
                .hint("Only records of the stream make results: use JOIN or LEFT JOIN."));
        }
        _ => {}
    }
    if !right.keyed {
        return Err(Error::unsupported(format!(
            "joining the table {} on {}, which is not its primary key",
            right.name,
            shown(&join.right)
        ))
        .at(ast.on.span)
        .hint(format!("Rows of a table are found by key: join on the primary key of {}.", right.name)));
    }
    if left.is_table && !left.keyed && !join.foreign {
        return Err(Error::unsupported(format!(
            "a foreign-key join behind another join: {} is not the primary key of {}",
            shown(&join.left),
            left.name
        ))
        .at(ast.on.span)
        .hint("Write the foreign-key join to a table first, and join that."));
    }
    if join.foreign && matches!(ast.kind, JoinKind::Right | JoinKind::Full) {
        return Err(Error::unsupported(format!(
            "RIGHT and FULL foreign-key joins: {} is not the primary key of {}",
            shown(&join.left),
            left.name
        ))
        .at(ast.on.span)
        .hint("Use JOIN or LEFT JOIN, the table that names rows of the other one first."));
    }
    if join.foreign && left.window.is_some() {
        return Err(Error::unsupported("foreign-key joins of windowed tables").at(ast.on.span));
    }
    Ok(())
}

fn check_windows(join: &BoundJoin<'_>, left: &Side, right: &Side) -> Result<()> {
    let span = join.ast.on.span;
    let is_session = |window: KeyWindow| window.kind == WindowKind::Session;
    match (left.window, right.window) {
        (None, None) => Ok(()),
        (Some(a), Some(b)) if is_session(a) == is_session(b) => Ok(()),
        (Some(a), Some(b)) => Err(Error::unsupported(format!(
            "joining {} ({} windows) with {} ({} windows)",
            left.name, a.kind, right.name, b.kind
        ))
        .at(span)
        .hint("Session windows match only session windows.")),
        (a, _) => {
            let (windowed, other) = if a.is_some() { (left, right) } else { (right, left) };
            Err(Error::unsupported(format!(
                "joining the windowed source {} with {}, which is not windowed",
                windowed.name, other.name
            ))
            .at(span)
            .hint("The window is part of the key, so no keys would match."))
        }
    }
}
