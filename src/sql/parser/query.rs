//! `SELECT …`

use super::Parser;
use crate::error::{Error, Result};
use crate::sql::ast::{
    AliasedSource, AnySpan, Emit, Expr, Join, JoinKind, Name, Query, Relation, SelectItem, WindowExpr, Within,
};
use crate::sql::keywords::{is_clause, is_reserved};
use crate::sql::token::TokenKind;
use crate::time::WindowKind;

impl Parser<'_> {
    pub(super) fn query(&mut self) -> Result<Query> {
        let start = self.start();
        self.expect("SELECT")?;
        if self.at("DISTINCT") {
            return Err(self.expected("an expression").hint("There is no SELECT DISTINCT: use GROUP BY."));
        }
        let select = self.list(Self::select_item)?;
        if !self.eat("FROM") {
            return Err(self.after_misspelt(self.expected_words(&["FROM"]), &["FROM"]));
        }
        let from = self.relation()?;
        let window = if self.at("WINDOW") { Some(self.window()?) } else { None };
        let filter = if self.eat("WHERE") { Some(self.expr()?) } else { None };
        let group_by = if self.eat_by("GROUP")? { self.key_list()? } else { Vec::new() };
        let partition_by = if self.eat_by("PARTITION")? { self.key_list()? } else { Vec::new() };
        let having = if self.eat("HAVING") { Some(self.expr()?) } else { None };
        let order_by = if self.eat_by("ORDER")? { self.list(Self::order)? } else { Vec::new() };
        let emit = self.emit()?;
        let limit = if self.eat("LIMIT") { Some(self.unsigned("a number of rows")?) } else { None };
        let span = self.span_from(start);
        Ok(Query { select, from, window, filter, group_by, partition_by, having, order_by, emit, limit, span })
    }

    fn eat_by(&mut self, word: &str) -> Result<bool> {
        let found = self.eat(word);
        if found {
            self.expect("BY")?;
        }
        Ok(found)
    }

    fn emit(&mut self) -> Result<Option<Emit>> {
        if !self.eat("EMIT") {
            Ok(None)
        } else if self.eat("CHANGES") {
            Ok(Some(Emit::Changes))
        } else if self.eat("FINAL") {
            Ok(Some(Emit::Final))
        } else {
            Err(self.expected_words(&["CHANGES", "FINAL"]))
        }
    }

    fn select_item(&mut self) -> Result<SelectItem> {
        let start = self.start();
        if self.eat_symbol("*") {
            return Ok(SelectItem::All(AnySpan(self.span_from(start))));
        }
        if self.is_name(0) && self.is_symbol(1, ".") && self.is_symbol(2, "*") {
            let source = self.name("the name of a source")?;
            self.advance();
            self.advance();
            return Ok(SelectItem::AllOf(source));
        }
        if let Some(base) = self.fields()? {
            return Ok(SelectItem::Fields(base));
        }
        let expr = self.expr()?;
        Ok(SelectItem::Expr { expr, alias: self.alias("an alias name")? })
    }

    /// `base->*`, if that is what comes next.
    fn fields(&mut self) -> Result<Option<Expr>> {
        // Only worth trying when there is such an arrow in the statement.
        let arrow = self.tokens[self.pos..]
            .windows(2)
            .take_while(|pair| pair[0].kind != TokenKind::Symbol(";"))
            .any(|pair| matches!((&pair[0].kind, &pair[1].kind), (TokenKind::Symbol("->"), TokenKind::Symbol("*"))));
        if !arrow {
            return Ok(None);
        }
        let (pos, tallest) = (self.pos, self.tallest);
        if let Ok(base) = self.nested(Self::postfix)
            && self.at_symbol("->")
        {
            self.advance();
            self.advance();
            return Ok(Some(base));
        }
        (self.pos, self.tallest) = (pos, tallest);
        Ok(None)
    }

    /// `[[AS] name]`; without AS the name must not look like a clause.
    fn alias(&mut self, what: &str) -> Result<Option<Name>> {
        if self.eat("AS") {
            return self.name(what).map(Some);
        }
        let free = match &self.token().kind {
            TokenKind::Word(word) => !is_reserved(word) && !is_clause(word),
            TokenKind::Quoted(..) => true,
            _ => false,
        };
        if free { self.name(what).map(Some) } else { Ok(None) }
    }

    fn aliased_source(&mut self) -> Result<AliasedSource> {
        if self.at_symbol("(") {
            return Err(self
                .expected("the name of a stream or table")
                .hint("There are no subqueries: give the inner query a name with CREATE STREAM … AS SELECT."));
        }
        let name = self.name("the name of a stream or table")?;
        Ok(AliasedSource { name, alias: self.alias("an alias name")? })
    }

    fn relation(&mut self) -> Result<Relation> {
        let first = self.aliased_source()?;
        let mut joins = Vec::new();
        loop {
            let start = self.start();
            let Some(kind) = self.join_kind()? else { break };
            let source = self.aliased_source()?;
            let within = if self.eat("WITHIN") { Some(self.within()?) } else { None };
            if !self.eat("ON") {
                let words: &[&str] = if within.is_some() { &["ON"] } else { &["WITHIN", "ON"] };
                return Err(self.after_misspelt(self.expected_words(words), words));
            }
            let on = self.expr()?;
            joins.push(Join { kind, source, within, on, span: AnySpan(self.span_from(start)) });
        }
        if self.at_symbol(",") {
            return Err(self.expected("JOIN or the end of FROM").hint("Sources are combined with JOIN … ON …."));
        }
        Ok(Relation { first, joins })
    }

    fn join_kind(&mut self) -> Result<Option<JoinKind>> {
        let kind = match self.word_at(0) {
            Some("JOIN") => {
                self.advance();
                return Ok(Some(JoinKind::Inner));
            }
            Some("INNER") => JoinKind::Inner,
            Some("LEFT") => JoinKind::Left,
            Some("RIGHT") => JoinKind::Right,
            Some("FULL") => JoinKind::Full,
            _ => return Ok(None),
        };
        self.advance();
        if kind != JoinKind::Inner {
            self.eat("OUTER");
        }
        self.expect("JOIN")?;
        Ok(Some(kind))
    }

    fn within(&mut self) -> Result<Within> {
        let (before_ms, after_ms) = if self.eat_symbol("(") {
            let before = self.duration()?;
            self.expect_symbol(",")?;
            let after = self.duration()?;
            self.expect_symbol(")")?;
            (before, after)
        } else {
            let size = self.duration()?;
            (size, size)
        };
        let grace_ms = if self.eat_all(&["GRACE", "PERIOD"]) { Some(self.duration()?) } else { None };
        Ok(Within { before_ms, after_ms, grace_ms })
    }

    fn window(&mut self) -> Result<WindowExpr> {
        let start = self.start();
        self.advance();
        // > KSQL: a window may be given a name, which nothing refers to.
        if self.is_name(0) && matches!(self.word_at(1), Some("TUMBLING" | "HOPPING" | "SESSION")) {
            self.advance();
        }
        let kind = match self.word_at(0) {
            Some("TUMBLING") => WindowKind::Tumbling,
            Some("HOPPING") => WindowKind::Hopping,
            Some("SESSION") => WindowKind::Session,
            _ => return Err(self.expected_words(&["TUMBLING", "HOPPING", "SESSION"])),
        };
        self.advance();
        self.expect_symbol("(")?;
        if kind != WindowKind::Session {
            self.expect("SIZE")?;
        }
        let size_ms = self.positive_duration()?;
        let (mut advance_ms, mut retention_ms, mut grace_ms) = (None, None, None);
        while self.eat_symbol(",") {
            let span = self.token().span;
            let (slot, value) = if kind == WindowKind::Hopping && self.eat("ADVANCE") {
                self.expect("BY")?;
                (&mut advance_ms, self.positive_duration()?)
            } else if self.eat("RETENTION") {
                (&mut retention_ms, self.duration()?)
            } else if self.eat("GRACE") {
                self.expect("PERIOD")?;
                (&mut grace_ms, self.duration()?)
            } else if kind == WindowKind::Hopping {
                return Err(self.expected_words(&["ADVANCE BY", "RETENTION", "GRACE PERIOD"]));
            } else {
                return Err(self.expected_words(&["RETENTION", "GRACE PERIOD"]));
            };
            if slot.replace(value).is_some() {
                return Err(Error::syntax("this part of the window is given twice").at(span));
            }
        }
        if kind == WindowKind::Hopping && advance_ms.is_none() {
            return Err(self
                .expected("`, ADVANCE BY …`")
                .hint("A window that does not advance on its own is TUMBLING."));
        }
        self.expect_closing(")")?;
        Ok(WindowExpr { kind, size_ms, advance_ms, retention_ms, grace_ms, span: AnySpan(self.span_from(start)) })
    }

    fn positive_duration(&mut self) -> Result<i64> {
        let start = self.start();
        match self.duration()? {
            0 => Err(Error::semantic("the length of time must be positive").at(self.span_from(start))),
            ms => Ok(ms),
        }
    }

    /// `a, b` or `(a, b)`
    fn key_list(&mut self) -> Result<Vec<Expr>> {
        let pos = self.pos;
        if self.eat_symbol("(") {
            let items = self.list(Self::expr)?;
            self.expect_closing(")")?;
            if items.len() > 1 {
                return Ok(items);
            }
            // One item in brackets may be the start of a longer expression.
            self.pos = pos;
        }
        self.list(Self::value)
    }

    fn order(&mut self) -> Result<(Expr, bool)> {
        let expr = self.expr()?;
        let descending = self.eat("DESC");
        if !descending {
            self.eat("ASC");
        }
        Ok((expr, descending))
    }
}
