//! What the user wrote: statements, queries, expressions and types, with their places in the text.
//!
//! **Invariant:** equality ignores spans, so that a printed and re-read statement equals the first.

use std::fmt;

use crate::error::Span;
use crate::time::WindowKind;

/// A name and where it stands. Unquoted names are already in upper case.
#[derive(Debug, Clone, Eq)]
pub struct Name {
    /// The name, case as it counts.
    pub text: String,
    /// Where.
    pub span: Span,
}

impl Name {
    /// A name.
    pub fn new(text: impl Into<String>, span: Span) -> Self {
        Self { text: text.into(), span }
    }

    /// A name that nobody wrote.
    pub fn synthetic(text: impl Into<String>) -> Self {
        Self::new(text, Span::default())
    }
}

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl std::hash::Hash for Name {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

/// A statement, where it stands in its script, and its text without the final semicolon.
#[derive(Debug, Clone)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// Where in the script; spans inside `kind` count from the script's start too.
    pub span: Span,
    /// Its text, after substitution of variables.
    pub text: String,
}

impl PartialEq for Statement {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

/// `WITH (…)`: keys in upper case, in the order written.
pub type Properties = Vec<Property>;

/// One `KEY = value` of `WITH (…)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// In upper case.
    pub key: Name,
    /// A literal.
    pub value: Expr,
}

/// Every statement.
#[derive(Debug, Clone, PartialEq)]
pub enum StatementKind {
    /// `CREATE [OR REPLACE] [SOURCE] STREAM|TABLE [IF NOT EXISTS] name [(elements)] [WITH (…)]`
    CreateSource(CreateSource),
    /// `CREATE [OR REPLACE] STREAM|TABLE [IF NOT EXISTS] name [WITH (…)] AS query`
    CreateAs(CreateAs),
    /// `INSERT INTO target [WITH (…)] query`
    InsertSelect { target: Name, properties: Properties, query: Box<Query> },
    /// `INSERT INTO target [(columns)] VALUES (…)`
    InsertValues { target: Name, columns: Vec<Name>, values: Vec<Expr> },
    /// `SELECT …`
    Query(Box<Query>),
    /// `DROP STREAM|TABLE [IF EXISTS] name [DELETE TOPIC]`
    Drop { table: bool, if_exists: bool, name: Name, delete_topic: bool },
    /// `ALTER STREAM|TABLE name ADD [COLUMN] name type, …`
    Alter { table: bool, name: Name, columns: Vec<(Name, TypeExpr)> },
    /// `CREATE TYPE [IF NOT EXISTS] name AS type`
    CreateType { if_not_exists: bool, name: Name, ty: TypeExpr },
    /// `DROP TYPE [IF EXISTS] name`
    DropType { if_exists: bool, name: Name },
    /// `SHOW|LIST …`
    Show(Show),
    /// `DESCRIBE name [EXTENDED]`
    Describe { name: Name, extended: bool },
    /// `DESCRIBE STREAMS|TABLES [EXTENDED]`
    DescribeAll { tables: bool, extended: bool },
    /// `DESCRIBE FUNCTION name`
    DescribeFunction { name: Name },
    /// `EXPLAIN statement`
    Explain(Box<Statement>),
    /// `EXPLAIN query_id`
    ExplainQuery { id: Name },
    /// `TERMINATE id|ALL`; `None` is all.
    Terminate { id: Option<Name> },
    /// `PAUSE id|ALL`
    Pause { id: Option<Name> },
    /// `RESUME id|ALL`
    Resume { id: Option<Name> },
    /// `SET 'key' = 'value'`
    Set { key: String, value: String },
    /// `UNSET 'key'`
    Unset { key: String },
    /// `ALTER SYSTEM 'key' = 'value'`
    AlterSystem { key: String, value: String },
    /// `DEFINE name = 'value'`
    Define { name: Name, value: String },
    /// `UNDEFINE name`
    Undefine { name: Name },
    /// `PRINT topic [FROM BEGINNING] [INTERVAL|SAMPLE n] [LIMIT n]`
    Print { topic: Name, from_beginning: bool, interval: Option<u64>, limit: Option<u64> },
    /// `RUN SCRIPT 'file'`
    RunScript { file: String },
    /// `ASSERT [NOT EXISTS] TOPIC name [WITH (…)] [TIMEOUT n unit]`
    AssertTopic { exists: bool, topic: Name, properties: Properties, timeout_ms: Option<i64> },
    /// `ASSERT [NOT EXISTS] SCHEMA [SUBJECT s] [ID n] [TIMEOUT n unit]`
    AssertSchema { exists: bool, subject: Option<String>, id: Option<i64>, timeout_ms: Option<i64> },
    /// Only in tests: `ASSERT VALUES source [(columns)] VALUES (…)`
    AssertValues { source: Name, columns: Vec<Name>, values: Vec<Expr> },
    /// Only in tests: `ASSERT NULL VALUES source [(key columns)] KEY (…)`
    AssertNullValues { source: Name, columns: Vec<Name>, values: Vec<Expr> },
    /// Only in tests: `ASSERT STREAM|TABLE …`
    AssertSource(CreateSource),
    /// Only in tests: `ASSERT NO MORE VALUES source` (an Eddyline addition): every record was asserted.
    AssertNoMoreValues { source: Name },
    /// Only in tests: `ADVANCE TIME BY n unit` (an Eddyline addition): stream time moves without a record.
    AdvanceTime { by_ms: i64 },
}

/// `CREATE STREAM|TABLE …` over a topic.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateSource {
    /// TABLE rather than STREAM.
    pub table: bool,
    /// `OR REPLACE`
    pub or_replace: bool,
    /// `SOURCE`: read-only, and materialised when a table.
    pub source: bool,
    /// `IF NOT EXISTS`
    pub if_not_exists: bool,
    /// The source's name.
    pub name: Name,
    /// Declared columns; `None` without a column list.
    pub elements: Option<Vec<Element>>,
    /// `WITH (…)`
    pub properties: Properties,
}

/// A declared column.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// Its name.
    pub name: Name,
    /// Its type.
    pub ty: TypeExpr,
    /// Its constraint.
    pub constraint: Constraint,
}

/// Where a declared column's data lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Constraint {
    /// The value.
    None,
    /// `KEY`
    Key,
    /// `PRIMARY KEY`
    PrimaryKey,
    /// `HEADERS`
    Headers,
    /// `HEADER('name')`
    Header(String),
}

/// `CREATE STREAM|TABLE … AS SELECT`.
#[derive(Debug, Clone, PartialEq)]
pub struct CreateAs {
    /// TABLE rather than STREAM.
    pub table: bool,
    /// `OR REPLACE`
    pub or_replace: bool,
    /// `IF NOT EXISTS`
    pub if_not_exists: bool,
    /// The new source's name.
    pub name: Name,
    /// `WITH (…)`
    pub properties: Properties,
    /// What fills it.
    pub query: Box<Query>,
}

/// What `SHOW` or `LIST` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// `STREAMS [EXTENDED]`
    Streams { extended: bool },
    /// `TABLES [EXTENDED]`
    Tables { extended: bool },
    /// `QUERIES [EXTENDED]`
    Queries { extended: bool },
    /// `[ALL] TOPICS [EXTENDED]`
    Topics { all: bool, extended: bool },
    /// `FUNCTIONS`
    Functions,
    /// `PROPERTIES`
    Properties,
    /// `TYPES`
    Types,
    /// `VARIABLES`
    Variables,
}

/// `SELECT …`. Clause order: SELECT, FROM, WINDOW, WHERE, GROUP BY, PARTITION BY, HAVING, ORDER BY, EMIT, LIMIT.
#[derive(Debug, Clone)]
pub struct Query {
    /// The projection.
    pub select: Vec<SelectItem>,
    /// `FROM a [JOIN b …]*`
    pub from: Relation,
    /// `WINDOW …`
    pub window: Option<WindowExpr>,
    /// `WHERE …`
    pub filter: Option<Expr>,
    /// `GROUP BY …`
    pub group_by: Vec<Expr>,
    /// `PARTITION BY …`
    pub partition_by: Vec<Expr>,
    /// `HAVING …`
    pub having: Option<Expr>,
    /// `ORDER BY …`: ad-hoc queries only; true is descending.
    pub order_by: Vec<(Expr, bool)>,
    /// `EMIT CHANGES|FINAL`; `None` makes it a pull (or ad-hoc) query, or the default of a persistent one.
    pub emit: Option<Emit>,
    /// `LIMIT n`
    pub limit: Option<u64>,
    /// Where it stands.
    pub span: Span,
}

impl PartialEq for Query {
    fn eq(&self, other: &Self) -> bool {
        self.select == other.select
            && self.from == other.from
            && self.window == other.window
            && self.filter == other.filter
            && self.group_by == other.group_by
            && self.partition_by == other.partition_by
            && self.having == other.having
            && self.order_by == other.order_by
            && self.emit == other.emit
            && self.limit == other.limit
    }
}

/// `EMIT …`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Emit {
    /// Every change.
    Changes,
    /// One result per window, when it closes.
    Final,
}

/// One item of a projection.
#[derive(Debug, Clone, PartialEq)]
pub enum SelectItem {
    /// `*`
    All(AnySpan),
    /// `source.*`
    AllOf(Name),
    /// `struct->*`
    Fields(Expr),
    /// `expr [[AS] alias]`
    Expr { expr: Expr, alias: Option<Name> },
}

/// A span that equals every other.
#[derive(Debug, Clone, Copy, Default)]
pub struct AnySpan(pub Span);

impl PartialEq for AnySpan {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// What stands after FROM.
#[derive(Debug, Clone, PartialEq)]
pub struct Relation {
    /// The first source.
    pub first: AliasedSource,
    /// Joined sources, left to right.
    pub joins: Vec<Join>,
}

/// A source and the name it goes by in the query.
#[derive(Debug, Clone, PartialEq)]
pub struct AliasedSource {
    /// The source.
    pub name: Name,
    /// Its alias; its own name when none was written.
    pub alias: Option<Name>,
}

impl AliasedSource {
    /// The name it goes by in the query.
    pub fn alias(&self) -> &Name {
        self.alias.as_ref().unwrap_or(&self.name)
    }
}

/// One `JOIN`.
#[derive(Debug, Clone, PartialEq)]
pub struct Join {
    /// Which rows survive without a match.
    pub kind: JoinKind,
    /// The right side.
    pub source: AliasedSource,
    /// `WITHIN …`
    pub within: Option<Within>,
    /// `ON …`
    pub on: Expr,
    /// Where it stands.
    pub span: AnySpan,
}

/// Which rows survive without a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JoinKind {
    /// None.
    Inner,
    /// The left side's.
    Left,
    /// The right side's.
    Right,
    /// Both sides'.
    Full,
}

/// `WITHIN size | (before, after) [GRACE PERIOD grace]`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Within {
    /// How much earlier the right record may be.
    pub before_ms: i64,
    /// How much later the right record may be.
    pub after_ms: i64,
    /// `GRACE PERIOD …`
    pub grace_ms: Option<i64>,
}

/// `WINDOW kind (…)` as written.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowExpr {
    /// Which kind.
    pub kind: WindowKind,
    /// Size, or the gap of a session window.
    pub size_ms: i64,
    /// `ADVANCE BY …`
    pub advance_ms: Option<i64>,
    /// `RETENTION …`
    pub retention_ms: Option<i64>,
    /// `GRACE PERIOD …`
    pub grace_ms: Option<i64>,
    /// Where it stands.
    pub span: AnySpan,
}

/// An expression and where it stands.
#[derive(Debug, Clone)]
pub struct Expr {
    /// What it is.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

impl PartialEq for Expr {
    fn eq(&self, other: &Self) -> bool {
        self.kind == other.kind
    }
}

impl Expr {
    /// An expression.
    pub fn new(kind: ExprKind, span: Span) -> Self {
        Self { kind, span }
    }

    /// A column of a query that nobody wrote.
    pub fn column(name: &str) -> Self {
        Self::new(ExprKind::Column { source: None, name: Name::synthetic(name) }, Span::default())
    }
}

/// Every expression.
#[derive(Debug, Clone, PartialEq)]
pub enum ExprKind {
    /// `NULL`
    Null,
    /// `TRUE`, `FALSE`
    Boolean(bool),
    /// An integer: INT when it fits, else BIGINT. Negative ones are [`UnaryOp::Minus`] of a literal.
    Integer(i64),
    /// `1.0`: an exact decimal, as written.
    Decimal(String),
    /// `1e3`: a double.
    Double(f64),
    /// `'text'`
    String(String),
    /// `[source.]name`
    Column { source: Option<Name>, name: Name },
    /// `-x`, `+x`, `NOT x`
    Unary { op: UnaryOp, expr: Box<Expr> },
    /// `a op b`
    Binary { op: BinaryOp, left: Box<Expr>, right: Box<Expr> },
    /// `x IS [NOT] NULL`
    IsNull { expr: Box<Expr>, negated: bool },
    /// `x [NOT] BETWEEN low AND high`
    Between { expr: Box<Expr>, low: Box<Expr>, high: Box<Expr>, negated: bool },
    /// `x [NOT] IN (…)`
    InList { expr: Box<Expr>, list: Vec<Expr>, negated: bool },
    /// `x [NOT] LIKE pattern [ESCAPE 'c']`
    Like { expr: Box<Expr>, pattern: Box<Expr>, escape: Option<char>, negated: bool },
    /// `CASE [operand] WHEN … THEN … [ELSE …] END`
    Case { operand: Option<Box<Expr>>, whens: Vec<(Expr, Expr)>, otherwise: Option<Box<Expr>> },
    /// `CAST(x AS type)`
    Cast { expr: Box<Expr>, ty: TypeExpr },
    /// `name(args)`; `COUNT(*)` has no arguments and `star` set.
    Call { name: Name, args: Vec<Expr>, star: bool },
    /// `x => body`, `(x, y) => body`
    Lambda { params: Vec<Name>, body: Box<Expr> },
    /// `ARRAY[…]`
    Array(Vec<Expr>),
    /// `MAP(k := v, …)`
    Map(Vec<(Expr, Expr)>),
    /// `STRUCT(f := v, …)`
    Struct(Vec<(Name, Expr)>),
    /// `base[index]`
    Subscript { base: Box<Expr>, index: Box<Expr> },
    /// `base->field`
    Field { base: Box<Expr>, field: Name },
}

/// Operators with one operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum UnaryOp {
    /// `NOT x`
    Not,
    /// `-x`
    Minus,
    /// `+x`
    Plus,
}

/// Operators with two operands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOp {
    /// `OR`
    Or,
    /// `AND`
    And,
    /// `=`
    Eq,
    /// `<>`, `!=`
    NotEq,
    /// `<`
    Lt,
    /// `<=`
    LtEq,
    /// `>`
    Gt,
    /// `>=`
    GtEq,
    /// `IS DISTINCT FROM`
    IsDistinctFrom,
    /// `IS NOT DISTINCT FROM`
    IsNotDistinctFrom,
    /// `+`
    Add,
    /// `-`
    Subtract,
    /// `*`
    Multiply,
    /// `/`
    Divide,
    /// `%`
    Modulo,
    /// `||`
    Concat,
}

impl fmt::Display for BinaryOp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Or => "OR",
            Self::And => "AND",
            Self::Eq => "=",
            Self::NotEq => "<>",
            Self::Lt => "<",
            Self::LtEq => "<=",
            Self::Gt => ">",
            Self::GtEq => ">=",
            Self::IsDistinctFrom => "IS DISTINCT FROM",
            Self::IsNotDistinctFrom => "IS NOT DISTINCT FROM",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Modulo => "%",
            Self::Concat => "||",
        })
    }
}

/// A type as written; custom names are resolved against the catalog.
#[derive(Debug, Clone, PartialEq)]
pub enum TypeExpr {
    /// A built-in or custom name without parameters, in upper case (`VARCHAR`, `MY_TYPE`).
    Named(Name),
    /// `DECIMAL(precision, scale)`
    Decimal(u8, u8),
    /// `ARRAY<T>`
    Array(Box<TypeExpr>),
    /// `MAP<K, V>`
    Map(Box<TypeExpr>, Box<TypeExpr>),
    /// `STRUCT<name T, …>`
    Struct(Vec<(Name, TypeExpr)>),
}
