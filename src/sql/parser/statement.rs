//! Statements.

use super::Parser;
use crate::error::{Error, Result, did_you_mean};
use crate::sql::ast::{CreateAs, CreateSource, Expr, Name, Show, Statement, StatementKind, TypeExpr};
use crate::sql::keywords::{LEADING, is_leading};
use crate::sql::token::TokenKind;

const STREAM_OR_TABLE: [&str; 2] = ["STREAM", "TABLE"];

impl Parser<'_> {
    /// One statement, without a semicolon after it.
    pub(in crate::sql) fn statement(&mut self) -> Result<Statement> {
        let start = self.start();
        let kind = self.nested(Self::statement_kind)?;
        let span = self.span_from(start);
        Ok(Statement { kind, span, text: self.source(span).to_string() })
    }

    fn statement_kind(&mut self) -> Result<StatementKind> {
        let TokenKind::Word(word) = self.token().kind.clone() else { return Err(self.expected("a statement")) };
        if !is_leading(&word) {
            let error = self.expected("a statement");
            return Err(match did_you_mean(&word, LEADING.iter().copied()) {
                Some(near) => error.hint(format!("Did you mean {near}?")),
                None => error,
            });
        }
        if word == "SELECT" {
            return Ok(StatementKind::Query(Box::new(self.query()?)));
        }
        self.advance();
        match word.as_str() {
            "CREATE" => self.create(),
            "INSERT" => self.insert(),
            "DROP" => self.drop_statement(),
            "ALTER" => self.alter(),
            "SHOW" | "LIST" => self.show().map(StatementKind::Show),
            "DESCRIBE" => self.describe(),
            "EXPLAIN" => self.explain(),
            "TERMINATE" => Ok(StatementKind::Terminate { id: self.query_id_or_all()? }),
            "PAUSE" => Ok(StatementKind::Pause { id: self.query_id_or_all()? }),
            "RESUME" => Ok(StatementKind::Resume { id: self.query_id_or_all()? }),
            "SET" => {
                let (key, value) = self.assignment()?;
                Ok(StatementKind::Set { key, value })
            }
            "UNSET" => Ok(StatementKind::Unset { key: self.string("the name of a setting as a string")? }),
            "DEFINE" => {
                let name = self.name("the name of a variable")?;
                self.expect_symbol("=")?;
                Ok(StatementKind::Define { name, value: self.string("the value as a string")? })
            }
            "UNDEFINE" => Ok(StatementKind::Undefine { name: self.name("the name of a variable")? }),
            "PRINT" => self.print(),
            "RUN" => {
                self.expect("SCRIPT")?;
                Ok(StatementKind::RunScript { file: self.string("a file as a string")? })
            }
            "ASSERT" => self.assert(),
            _ => {
                self.expect("TIME")?;
                self.expect("BY")?;
                Ok(StatementKind::AdvanceTime { by_ms: self.duration()? })
            }
        }
    }

    /// `STREAM` or `TABLE`; true is TABLE.
    fn stream_or_table(&mut self, others: &[&str]) -> Result<bool> {
        if self.eat("STREAM") {
            Ok(false)
        } else if self.eat("TABLE") {
            Ok(true)
        } else if self.at("CONNECTOR") {
            Err(Error::unsupported("connectors are not offered").at(self.token().span))
        } else {
            Err(self.expected_words(&[&STREAM_OR_TABLE, others].concat()))
        }
    }

    fn source_name(&mut self, table: bool) -> Result<Name> {
        self.name(if table { "the name of a table" } else { "the name of a stream" })
    }

    fn create(&mut self) -> Result<StatementKind> {
        let start = self.start();
        let or_replace = self.eat_all(&["OR", "REPLACE"]);
        if !or_replace && self.eat("TYPE") {
            let if_not_exists = self.eat_all(&["IF", "NOT", "EXISTS"]);
            let name = self.name("the name of a type")?;
            self.expect("AS")?;
            return Ok(StatementKind::CreateType { if_not_exists, name, ty: self.type_expr()? });
        }
        let source = self.eat("SOURCE");
        if self.at("SINK") {
            return Err(Error::unsupported("connectors are not offered").at(self.token().span));
        }
        let others: &[&str] = match (or_replace, source) {
            (_, true) => &[],
            (true, false) => &["SOURCE"],
            (false, false) => &["TYPE", "SOURCE", "OR REPLACE"],
        };
        let table = self.stream_or_table(others)?;
        let if_not_exists = self.eat_all(&["IF", "NOT", "EXISTS"]);
        let name = self.source_name(table)?;
        let elements = if self.at_symbol("(") { Some(self.elements(table)?) } else { None };
        let properties = self.properties()?;
        if !self.eat("AS") {
            if self.at("SELECT") {
                return Err(self.expected_words(&["AS"]));
            }
            return Ok(StatementKind::CreateSource(CreateSource {
                table,
                or_replace,
                source,
                if_not_exists,
                name,
                elements,
                properties,
            }));
        }
        let span = self.span_from(start);
        if elements.is_some() {
            return Err(Error::syntax("columns cannot be declared together with AS SELECT")
                .at(span)
                .hint("The query gives the columns: use aliases and CAST in it."));
        }
        if source {
            return Err(Error::syntax("a SOURCE cannot be filled by a query").at(span).hint("Leave SOURCE out."));
        }
        let query = Box::new(self.query()?);
        Ok(StatementKind::CreateAs(CreateAs { table, or_replace, if_not_exists, name, properties, query }))
    }

    fn insert(&mut self) -> Result<StatementKind> {
        self.expect("INTO")?;
        let target = self.name("the name of a stream or table")?;
        let properties = self.properties()?;
        if self.at("SELECT") {
            return Ok(StatementKind::InsertSelect { target, properties, query: Box::new(self.query()?) });
        }
        if !properties.is_empty() {
            return Err(self.expected_words(&["SELECT"]));
        }
        let (columns, values) = self.columns_and_values("VALUES", &["VALUES", "SELECT"])?;
        if self.at_symbol(",") {
            return Err(self.expected("the end of the statement").hint("Each row has its own INSERT INTO … VALUES."));
        }
        Ok(StatementKind::InsertValues { target, columns, values })
    }

    /// `[(columns)] KEYWORD (values)`
    fn columns_and_values(&mut self, keyword: &str, expected: &[&str]) -> Result<(Vec<Name>, Vec<Expr>)> {
        let columns = if self.at_symbol("(") { self.bracketed(|p| p.name("a column name"))? } else { Vec::new() };
        if !self.eat(keyword) {
            return Err(self.expected_words(expected));
        }
        Ok((columns, self.bracketed(Self::expr)?))
    }

    fn drop_statement(&mut self) -> Result<StatementKind> {
        if self.eat("TYPE") {
            let if_exists = self.eat_all(&["IF", "EXISTS"]);
            return Ok(StatementKind::DropType { if_exists, name: self.name("the name of a type")? });
        }
        let table = self.stream_or_table(&["TYPE"])?;
        let if_exists = self.eat_all(&["IF", "EXISTS"]);
        let name = self.source_name(table)?;
        let delete_topic = self.eat("DELETE");
        if delete_topic {
            self.expect("TOPIC")?;
        }
        Ok(StatementKind::Drop { table, if_exists, name, delete_topic })
    }

    fn alter(&mut self) -> Result<StatementKind> {
        if self.eat("SYSTEM") {
            let (key, value) = self.assignment()?;
            return Ok(StatementKind::AlterSystem { key, value });
        }
        let table = self.stream_or_table(&["SYSTEM"])?;
        let name = self.source_name(table)?;
        if !self.at("ADD") {
            return Err(self.expected_words(&["ADD"]));
        }
        Ok(StatementKind::Alter { table, name, columns: self.list(Self::added_column)? })
    }

    /// `[ADD [COLUMN]] name type`
    fn added_column(&mut self) -> Result<(Name, TypeExpr)> {
        if self.at("ADD") && !(self.is_name(1) && !self.at_all(&["ADD", "COLUMN"]) && !self.is_name(2)) {
            self.advance();
        }
        // A column may be called COLUMN; then its type follows, not a name and a type.
        if self.at("COLUMN") && self.is_name(1) && self.is_name(2) {
            self.advance();
        }
        Ok((self.name("a column name")?, self.type_expr()?))
    }

    fn show(&mut self) -> Result<Show> {
        const WHAT: [&str; 9] =
            ["STREAMS", "TABLES", "QUERIES", "TOPICS", "ALL TOPICS", "FUNCTIONS", "PROPERTIES", "TYPES", "VARIABLES"];
        if self.eat_all(&["ALL", "TOPICS"]) {
            return Ok(Show::Topics { all: true, extended: self.eat("EXTENDED") });
        }
        let word = self.word_at(0).unwrap_or_default().to_string();
        if matches!(word.as_str(), "CONNECTOR" | "CONNECTORS" | "SOURCE" | "SINK") {
            return Err(Error::unsupported("connectors are not offered").at(self.token().span));
        }
        if !WHAT.contains(&word.as_str()) {
            return Err(self.expected_words(&WHAT));
        }
        self.advance();
        Ok(match word.as_str() {
            "STREAMS" => Show::Streams { extended: self.eat("EXTENDED") },
            "TABLES" => Show::Tables { extended: self.eat("EXTENDED") },
            "QUERIES" => Show::Queries { extended: self.eat("EXTENDED") },
            "TOPICS" => Show::Topics { all: false, extended: self.eat("EXTENDED") },
            "FUNCTIONS" => Show::Functions,
            "PROPERTIES" => Show::Properties,
            "TYPES" => Show::Types,
            _ => Show::Variables,
        })
    }

    fn describe(&mut self) -> Result<StatementKind> {
        if self.at("FUNCTION") && (self.is_name(1) || matches!(self.word_at(1), Some("LEFT" | "RIGHT"))) {
            self.advance();
            return Ok(StatementKind::DescribeFunction { name: self.name("the name of a function")? });
        }
        if self.at("CONNECTOR") && self.is_name(1) {
            return Err(Error::unsupported("connectors are not offered").at(self.token().span));
        }
        if self.at("STREAMS") || self.at("TABLES") {
            let tables = self.at("TABLES");
            self.advance();
            return Ok(StatementKind::DescribeAll { tables, extended: self.eat("EXTENDED") });
        }
        let name = self.name("the name of a stream or table")?;
        Ok(StatementKind::Describe { name, extended: self.eat("EXTENDED") })
    }

    fn explain(&mut self) -> Result<StatementKind> {
        if self.word_at(0).is_some_and(is_leading) {
            return Ok(StatementKind::Explain(Box::new(self.statement()?)));
        }
        Ok(StatementKind::ExplainQuery { id: self.query_id()? })
    }

    fn query_id(&mut self) -> Result<Name> {
        match &self.token().kind {
            TokenKind::String(_) => self.resource("the id of a query"),
            _ => self.name("the id of a query"),
        }
    }

    fn query_id_or_all(&mut self) -> Result<Option<Name>> {
        if self.eat("ALL") { Ok(None) } else { self.query_id().map(Some) }
    }

    /// `'key' = 'value'`
    fn assignment(&mut self) -> Result<(String, String)> {
        let key = self.string("the name of a setting as a string")?;
        self.expect_symbol("=")?;
        Ok((key, self.string("the value as a string")?))
    }

    fn print(&mut self) -> Result<StatementKind> {
        let topic = self.resource("the name of a topic")?;
        let from_beginning = self.eat("FROM");
        if from_beginning {
            self.expect("BEGINNING")?;
        }
        let interval = if self.eat("INTERVAL") || self.eat("SAMPLE") { Some(self.unsigned("a number")?) } else { None };
        let limit = if self.eat("LIMIT") { Some(self.unsigned("a number of records")?) } else { None };
        Ok(StatementKind::Print { topic, from_beginning, interval, limit })
    }

    fn assert(&mut self) -> Result<StatementKind> {
        if self.eat_all(&["NULL", "VALUES"]) {
            let source = self.name("the name of a stream or table")?;
            let (columns, values) = self.columns_and_values("KEY", &["KEY"])?;
            return Ok(StatementKind::AssertNullValues { source, columns, values });
        }
        if self.eat_all(&["NO", "MORE", "VALUES"]) {
            return Ok(StatementKind::AssertNoMoreValues { source: self.name("the name of a stream or table")? });
        }
        if self.eat("VALUES") {
            let source = self.name("the name of a stream or table")?;
            let (columns, values) = self.columns_and_values("VALUES", &["VALUES"])?;
            return Ok(StatementKind::AssertValues { source, columns, values });
        }
        if self.at("STREAM") || self.at("TABLE") {
            let table = self.at("TABLE");
            self.advance();
            let name = self.source_name(table)?;
            let elements = if self.at_symbol("(") { Some(self.elements(table)?) } else { None };
            let properties = self.properties()?;
            let (or_replace, source, if_not_exists) = (false, false, false);
            return Ok(StatementKind::AssertSource(CreateSource {
                table,
                or_replace,
                source,
                if_not_exists,
                name,
                elements,
                properties,
            }));
        }
        let exists = !self.eat_all(&["NOT", "EXISTS"]);
        if self.eat("TOPIC") {
            let topic = self.resource("the name of a topic")?;
            let properties = self.properties()?;
            return Ok(StatementKind::AssertTopic { exists, topic, properties, timeout_ms: self.timeout()? });
        }
        if self.eat("SCHEMA") {
            let subject = if self.eat("SUBJECT") { Some(self.resource("the name of a subject")?.text) } else { None };
            let id = if self.eat("ID") { Some(self.schema_id()?) } else { None };
            return Ok(StatementKind::AssertSchema { exists, subject, id, timeout_ms: self.timeout()? });
        }
        Err(self.expected_words(if exists {
            &["VALUES", "NULL VALUES", "NO MORE VALUES", "STREAM", "TABLE", "TOPIC", "SCHEMA", "NOT EXISTS"]
        } else {
            &["TOPIC", "SCHEMA"]
        }))
    }

    fn schema_id(&mut self) -> Result<i64> {
        let span = self.token().span;
        let id = self.unsigned("the id of a schema")?;
        i64::try_from(id).map_err(|_| super::out_of_range(self.source(span), span))
    }

    fn timeout(&mut self) -> Result<Option<i64>> {
        if self.eat("TIMEOUT") { self.duration().map(Some) } else { Ok(None) }
    }
}
