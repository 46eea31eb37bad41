//! Statements and types to text on one line.
//!
//! **Invariant:** the text parses to the same tree; names are quoted only where they must be.

use std::fmt::{self, Display, Formatter};

use super::ast::{
    AliasedSource, Constraint, CreateAs, CreateSource, Element, Emit, Join, JoinKind, Name, Property, Query, Relation,
    SelectItem, Show, Statement, StatementKind, TypeExpr, WindowExpr, Within,
};
use super::keywords::{is_leading, is_reserved, needs_quotes};
use super::print_expr::{Values, at_level};
use crate::time::WindowKind;

/// `text` as a string literal of KSQL.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// `name` in back-quotes.
fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// `n unit`, in the largest unit that divides it.
pub fn duration(ms: i64) -> String {
    let units = [("DAYS", 86_400_000), ("HOURS", 3_600_000), ("MINUTES", 60_000), ("SECONDS", 1000)];
    match units.into_iter().find(|(_, size)| ms != 0 && ms % size == 0) {
        Some((unit, size)) => format!("{} {unit}", ms / size),
        None => format!("{ms} MILLISECONDS"),
    }
}

/// Items between commas.
pub(super) struct List<'a, T>(pub(super) &'a [T]);

impl<T: Display> Display for List<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (i, item) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// A name that would be read as a keyword where it stands when it is one of these words.
fn unless(name: &Name, words: &[&str]) -> String {
    if words.contains(&name.text.as_str()) { quoted(&name.text) } else { name.to_string() }
}

/// A name whose case counts even unquoted.
fn resource(name: &Name) -> String {
    let text = &name.text;
    let upper = text.to_ascii_uppercase();
    let plain = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '@');
    if plain && !is_reserved(&upper) { text.clone() } else { quoted(text) }
}

impl Display for Name {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if needs_quotes(&self.text) { f.write_str(&quoted(&self.text)) } else { f.write_str(&self.text) }
    }
}

impl Display for Statement {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

/// `word` when `condition`.
fn when(condition: bool, word: &'static str) -> &'static str {
    if condition { word } else { "" }
}

fn kind(table: bool) -> &'static str {
    if table { "TABLE" } else { "STREAM" }
}

fn properties(f: &mut Formatter<'_>, properties: &[Property]) -> fmt::Result {
    if properties.is_empty() { Ok(()) } else { write!(f, " WITH ({})", List(properties)) }
}

fn columns(f: &mut Formatter<'_>, columns: &[Name]) -> fmt::Result {
    if columns.is_empty() { Ok(()) } else { write!(f, " ({})", List(columns)) }
}

fn timeout(f: &mut Formatter<'_>, timeout_ms: Option<i64>) -> fmt::Result {
    timeout_ms.map_or(Ok(()), |ms| write!(f, " TIMEOUT {}", duration(ms)))
}

impl Display for StatementKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::CreateSource(create) => {
                write!(f, "CREATE {}", when(create.or_replace, "OR REPLACE "))?;
                create.fmt(f)
            }
            Self::CreateAs(create) => create.fmt(f),
            Self::InsertSelect { target, properties: given, query } => {
                write!(f, "INSERT INTO {target}")?;
                properties(f, given)?;
                write!(f, " {query}")
            }
            Self::InsertValues { target, columns: names, values } => {
                write!(f, "INSERT INTO {target}")?;
                columns(f, names)?;
                write!(f, " VALUES ({})", List(values))
            }
            Self::Query(query) => query.fmt(f),
            Self::Drop { table, if_exists, name, delete_topic } => {
                let (exists, topic) = (when(*if_exists, "IF EXISTS "), when(*delete_topic, " DELETE TOPIC"));
                write!(f, "DROP {} {exists}{name}{topic}", kind(*table))
            }
            Self::Alter { table, name, columns } => {
                write!(f, "ALTER {} {name}", kind(*table))?;
                for (i, (column, ty)) in columns.iter().enumerate() {
                    write!(f, "{} ADD COLUMN {column} {ty}", when(i > 0, ","))?;
                }
                Ok(())
            }
            Self::CreateType { if_not_exists, name, ty } => {
                write!(f, "CREATE TYPE {}{name} AS {ty}", when(*if_not_exists, "IF NOT EXISTS "))
            }
            Self::DropType { if_exists, name } => write!(f, "DROP TYPE {}{name}", when(*if_exists, "IF EXISTS ")),
            Self::Show(show) => write!(f, "SHOW {show}"),
            Self::Describe { name, extended } => {
                let name = unless(name, &["STREAMS", "TABLES", "FUNCTION", "CONNECTOR"]);
                write!(f, "DESCRIBE {name}{}", when(*extended, " EXTENDED"))
            }
            Self::DescribeAll { tables, extended } => {
                write!(f, "DESCRIBE {}S{}", kind(*tables), when(*extended, " EXTENDED"))
            }
            Self::DescribeFunction { name } => write!(f, "DESCRIBE FUNCTION {}", unless(name, &["EXTENDED"])),
            Self::Explain(statement) => write!(f, "EXPLAIN {statement}"),
            Self::ExplainQuery { id } => {
                let id = if is_leading(&id.text) { quoted(&id.text) } else { id.to_string() };
                write!(f, "EXPLAIN {id}")
            }
            Self::Terminate { id } => with_id(f, "TERMINATE", id.as_ref()),
            Self::Pause { id } => with_id(f, "PAUSE", id.as_ref()),
            Self::Resume { id } => with_id(f, "RESUME", id.as_ref()),
            Self::Set { key, value } => write!(f, "SET {} = {}", literal(key), literal(value)),
            Self::Unset { key } => write!(f, "UNSET {}", literal(key)),
            Self::AlterSystem { key, value } => write!(f, "ALTER SYSTEM {} = {}", literal(key), literal(value)),
            Self::Define { name, value } => write!(f, "DEFINE {name} = {}", literal(value)),
            Self::Undefine { name } => write!(f, "UNDEFINE {name}"),
            Self::Print { topic, from_beginning, interval, limit } => {
                write!(f, "PRINT {}{}", resource(topic), when(*from_beginning, " FROM BEGINNING"))?;
                if let Some(interval) = interval {
                    write!(f, " INTERVAL {interval}")?;
                }
                limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
            }
            Self::RunScript { file } => write!(f, "RUN SCRIPT {}", literal(file)),
            Self::AssertTopic { exists, topic, properties: given, timeout_ms } => {
                write!(f, "ASSERT {}TOPIC {}", when(!exists, "NOT EXISTS "), resource(topic))?;
                properties(f, given)?;
                timeout(f, *timeout_ms)
            }
            Self::AssertSchema { exists, subject, id, timeout_ms } => {
                write!(f, "ASSERT {}SCHEMA", when(!exists, "NOT EXISTS "))?;
                if let Some(subject) = subject {
                    write!(f, " SUBJECT {}", literal(subject))?;
                }
                if let Some(id) = id {
                    write!(f, " ID {id}")?;
                }
                timeout(f, *timeout_ms)
            }
            Self::AssertValues { source, columns: names, values } => {
                write!(f, "ASSERT VALUES {source}")?;
                columns(f, names)?;
                write!(f, " VALUES ({})", List(values))
            }
            Self::AssertNullValues { source, columns: names, values } => {
                write!(f, "ASSERT NULL VALUES {source}")?;
                columns(f, names)?;
                write!(f, " KEY ({})", List(values))
            }
            Self::AssertSource(create) => write!(f, "ASSERT {create}"),
            Self::AssertNoMoreValues { source } => write!(f, "ASSERT NO MORE VALUES {source}"),
            Self::AdvanceTime { by_ms } => write!(f, "ADVANCE TIME BY {}", duration(*by_ms)),
        }
    }
}

fn with_id(f: &mut Formatter<'_>, verb: &str, id: Option<&Name>) -> fmt::Result {
    write!(f, "{verb} {}", id.map_or("ALL".to_string(), |id| unless(id, &["ALL"])))
}

/// Without CREATE or ASSERT before it.
impl Display for CreateSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let exists = when(self.if_not_exists, "IF NOT EXISTS ");
        write!(f, "{}{} {exists}{}", when(self.source, "SOURCE "), kind(self.table), self.name)?;
        if let Some(elements) = &self.elements {
            write!(f, " ({})", List(elements))?;
        }
        properties(f, &self.properties)
    }
}

impl Display for CreateAs {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (replace, exists) = (when(self.or_replace, "OR REPLACE "), when(self.if_not_exists, "IF NOT EXISTS "));
        write!(f, "CREATE {replace}{} {exists}{}", kind(self.table), self.name)?;
        properties(f, &self.properties)?;
        write!(f, " AS {}", self.query)
    }
}

impl Display for Property {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let key = &self.key.text;
        let plain = key.chars().next().is_some_and(|c| c.is_ascii_uppercase() || c == '_')
            && key.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_');
        if plain { write!(f, "{key} = {}", self.value) } else { write!(f, "{} = {}", literal(key), self.value) }
    }
}

impl Display for Element {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.ty)?;
        match &self.constraint {
            Constraint::None => Ok(()),
            Constraint::Key => f.write_str(" KEY"),
            Constraint::PrimaryKey => f.write_str(" PRIMARY KEY"),
            Constraint::Headers => f.write_str(" HEADERS"),
            Constraint::Header(key) => write!(f, " HEADER({})", literal(key)),
        }
    }
}

impl Display for Show {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (what, extended) = match self {
            Self::Streams { extended } => ("STREAMS", *extended),
            Self::Tables { extended } => ("TABLES", *extended),
            Self::Queries { extended } => ("QUERIES", *extended),
            Self::Topics { all: true, extended } => ("ALL TOPICS", *extended),
            Self::Topics { all: false, extended } => ("TOPICS", *extended),
            Self::Functions => ("FUNCTIONS", false),
            Self::Properties => ("PROPERTIES", false),
            Self::Types => ("TYPES", false),
            Self::Variables => ("VARIABLES", false),
        };
        write!(f, "{what}{}", when(extended, " EXTENDED"))
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "SELECT {} FROM {}", List(&self.select), self.from)?;
        if let Some(window) = &self.window {
            write!(f, " {window}")?;
        }
        if let Some(filter) = &self.filter {
            write!(f, " WHERE {filter}")?;
        }
        if !self.group_by.is_empty() {
            write!(f, " GROUP BY {}", Values(&self.group_by))?;
        }
        if !self.partition_by.is_empty() {
            write!(f, " PARTITION BY {}", Values(&self.partition_by))?;
        }
        if let Some(having) = &self.having {
            write!(f, " HAVING {having}")?;
        }
        for (i, (expr, descending)) in self.order_by.iter().enumerate() {
            write!(f, "{} {expr}{}", if i == 0 { " ORDER BY" } else { "," }, when(*descending, " DESC"))?;
        }
        match self.emit {
            Some(Emit::Changes) => f.write_str(" EMIT CHANGES")?,
            Some(Emit::Final) => f.write_str(" EMIT FINAL")?,
            None => {}
        }
        self.limit.map_or(Ok(()), |limit| write!(f, " LIMIT {limit}"))
    }
}

impl Display for SelectItem {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::All(_) => f.write_str("*"),
            Self::AllOf(source) => write!(f, "{source}.*"),
            Self::Fields(base) => {
                at_level(f, base, super::level::PRIMARY)?;
                f.write_str("->*")
            }
            Self::Expr { expr, alias: Some(alias) } => write!(f, "{expr} AS {alias}"),
            Self::Expr { expr, alias: None } => expr.fmt(f),
        }
    }
}

impl Display for Relation {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        self.joins.iter().try_for_each(|join| write!(f, " {join}"))
    }
}

impl Display for AliasedSource {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)?;
        self.alias.as_ref().map_or(Ok(()), |alias| write!(f, " AS {alias}"))
    }
}

impl Display for Join {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.source)?;
        if let Some(within) = &self.within {
            write!(f, " {within}")?;
        }
        write!(f, " ON {}", self.on)
    }
}

impl Display for JoinKind {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inner => "JOIN",
            Self::Left => "LEFT JOIN",
            Self::Right => "RIGHT JOIN",
            Self::Full => "FULL JOIN",
        })
    }
}

impl Display for Within {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.before_ms == self.after_ms {
            write!(f, "WITHIN {}", duration(self.before_ms))?;
        } else {
            write!(f, "WITHIN ({}, {})", duration(self.before_ms), duration(self.after_ms))?;
        }
        self.grace_ms.map_or(Ok(()), |ms| write!(f, " GRACE PERIOD {}", duration(ms)))
    }
}

impl Display for WindowExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let size = when(self.kind != WindowKind::Session, "SIZE ");
        write!(f, "WINDOW {} ({size}{}", self.kind, duration(self.size_ms))?;
        let parts =
            [("ADVANCE BY", self.advance_ms), ("RETENTION", self.retention_ms), ("GRACE PERIOD", self.grace_ms)];
        for (words, ms) in parts {
            if let Some(ms) = ms {
                write!(f, ", {words} {}", duration(ms))?;
            }
        }
        f.write_str(")")
    }
}

impl Display for TypeExpr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => name.fmt(f),
            Self::Decimal(precision, scale) => write!(f, "DECIMAL({precision}, {scale})"),
            Self::Array(element) => write!(f, "ARRAY<{element}>"),
            Self::Map(key, value) => write!(f, "MAP<{key}, {value}>"),
            Self::Struct(fields) => {
                f.write_str("STRUCT<")?;
                for (i, (name, ty)) in fields.iter().enumerate() {
                    write!(f, "{}{name} {ty}", when(i > 0, ", "))?;
                }
                f.write_str(">")
            }
        }
    }
}
