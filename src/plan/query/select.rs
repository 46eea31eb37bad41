//! The projection: `*`, `source.*` and `struct->*` expanded, every item named.

use crate::error::{Error, Result};
use crate::plan::walk;
use crate::sql::ast::{Expr, ExprKind, Name, Query, SelectItem};
use crate::types::{SqlType, SystemColumn};

use super::bind::{Binder, type_of};
use super::names::Names;
use super::partition::PartitionKey;
use super::sources::{BoundColumn, Sources};

/// An output column: an expression over the unique columns of the query, and its name.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// What it is.
    pub(super) expr: Expr,
    /// What it is called.
    pub(super) name: String,
}

/// What the expansion depends on.
pub(super) struct Expansion<'a> {
    pub(super) sources: &'a Sources,
    pub(super) binder: &'a Binder<'a>,
    /// A persistent query rather than a push query.
    pub(super) persistent: bool,
    /// `PARTITION BY` keys.
    pub(super) partition: Option<&'a [PartitionKey]>,
    /// The join's own key column.
    pub(super) synthetic_key: Option<&'a str>,
}

impl Expansion<'_> {
    /// All items of the projection, in order.
    pub(super) fn expand(&self, query: &Query, names: &mut Names) -> Result<Vec<Item>> {
        let mut items = Vec::new();
        for item in &query.select {
            match item {
                SelectItem::All(_) => items.extend(self.all(None)),
                SelectItem::AllOf(alias) => items.extend(self.all(Some(self.sources.find(alias)?))),
                SelectItem::Fields(base) => items.extend(self.fields(base)?),
                SelectItem::Expr { expr, alias } => {
                    let bound = self.binder.bind(expr, "SELECT")?;
                    let name = match alias {
                        Some(alias) => self.check_alias(alias)?,
                        None => self.default_name(expr, &bound, names)?,
                    };
                    items.push(Item { expr: bound, name });
                }
            }
        }
        Ok(items)
    }

    fn check_alias(&self, alias: &Name) -> Result<String> {
        if self.persistent && SystemColumn::from_name(&alias.text).is_some() {
            return Err(Error::semantic(format!("{} is the name of a system column", alias.text))
                .at(alias.span)
                .hint("Choose another alias."));
        }
        Ok(alias.text.clone())
    }

    /// > KSQL: columns keep their name; in a join, those that several sources have become `ALIAS_NAME`.
    fn default_name(&self, expr: &Expr, bound: &Expr, names: &mut Names) -> Result<String> {
        let Some(name) = walk::as_column(bound) else { return Ok(names.for_expr(bound)) };
        let Some(column) = self.sources.by_name(name) else {
            if self.persistent && SystemColumn::from_name(name).is_some() {
                return Err(reserved(name, expr));
            }
            return Ok(name.to_owned());
        };
        if self.sources.clashes(&column.own) {
            return Ok(column.name.clone());
        }
        if self.persistent && column.system.is_some() {
            return Err(reserved(&column.own, expr));
        }
        Ok(column.own.clone())
    }

    /// > KSQL: a star gives keys first, then values; in a join every name becomes `ALIAS_NAME`. System columns are
    /// > left out, except window bounds of windowed sources in push queries and in joins.
    fn all(&self, source: Option<usize>) -> Vec<Item> {
        let wanted = |column: &&BoundColumn| source.is_none_or(|source| source == column.source);
        let columns = || self.sources.columns.iter().filter(wanted);
        let mut chosen: Vec<&BoundColumn> = Vec::new();
        let mut items = Vec::new();
        if let (Some(keys), None) = (self.partition, source) {
            items.extend(keys.iter().map(|key| Item { expr: key.expr.clone(), name: key.name.clone() }));
            // > KSQL: after PARTITION BY the columns stand as in the rows inside: values, (in joins) system columns,
            // > then the old key.
            for i in 0..self.sources.list.len() {
                chosen.extend(self.sources.of(i).filter(|column| !column.key && column.system.is_none()));
                if self.sources.joined() {
                    chosen.extend(self.sources.of(i).filter(|column| column.system.is_some()));
                }
                chosen.extend(self.sources.of(i).filter(|column| column.key));
            }
            chosen.retain(|column| keys.iter().all(|key| walk::as_column(&key.expr) != Some(column.name.as_str())));
        } else {
            if let (Some(key), None) = (self.synthetic_key, source) {
                items.push(Item { expr: Expr::column(key), name: key.to_owned() });
            }
            let bounds = !self.persistent || self.sources.joined();
            for i in 0..self.sources.list.len() {
                let of = || columns().filter(move |column| column.source == i);
                chosen.extend(of().filter(|column| column.key));
                if bounds {
                    chosen.extend(of().filter(|column| is_bound(column)));
                }
                chosen.extend(of().filter(|column| !column.key && column.system.is_none()));
            }
        }
        items.extend(
            chosen.into_iter().map(|column| Item { expr: Expr::column(&column.name), name: column.name.clone() }),
        );
        items
    }

    fn fields(&self, base: &Expr) -> Result<Vec<Item>> {
        let bound = self.binder.bind(base, "SELECT")?;
        match type_of(&bound, &self.sources.scope(), "SELECT")? {
            SqlType::Struct(fields) => Ok(fields
                .iter()
                .map(|field| {
                    let name = Name::new(&field.name, base.span);
                    let kind = ExprKind::Field { base: Box::new(bound.clone()), field: name };
                    Item { expr: Expr::new(kind, base.span), name: field.name.clone() }
                })
                .collect()),
            ty => Err(Error::semantic(format!("->* is for structs, and this is {ty}")).at(base.span)),
        }
    }
}

fn is_bound(column: &BoundColumn) -> bool {
    matches!(column.system, Some(SystemColumn::WindowStart | SystemColumn::WindowEnd))
}

fn reserved(name: &str, expr: &Expr) -> Error {
    Error::semantic(format!("the result cannot have a column named {name}"))
        .at(expr.span)
        .hint(format!("Every source has it already: give it an alias, {name} AS …."))
}
