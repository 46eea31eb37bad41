//! [`Sources`]: what stands after FROM, and which column a name means.

use std::sync::Arc;

use crate::catalog::{Catalog, Source};
use crate::error::{Error, Result, Span, did_you_mean};
use crate::expr::Scope;
use crate::plan::walk;
use crate::sql::ast::{Expr, ExprKind, Name, Relation};
use crate::types::{Namespace, SourceKind, SqlType, SystemColumn};

use super::names::Names;

/// A source in its role in the query.
#[derive(Debug, Clone)]
pub(super) struct FromSource {
    /// The name it goes by.
    pub(super) alias: String,
    /// The source.
    pub(super) source: Arc<Source>,
}

impl FromSource {
    /// Whether it is a table.
    pub(super) fn is_table(&self) -> bool {
        self.source.kind == SourceKind::Table
    }
}

/// A column of a source.
#[derive(Debug, Clone)]
pub(super) struct BoundColumn {
    /// Index of the source.
    pub(super) source: usize,
    /// Its name in the source.
    pub(super) own: String,
    /// Its name in the query, unique among all sources: `ALIAS_NAME` when there are several.
    pub(super) name: String,
    /// Its type.
    pub(super) ty: SqlType,
    /// Whether it is part of the key.
    pub(super) key: bool,
    /// Whether the source has it without declaring it.
    pub(super) system: Option<SystemColumn>,
}

/// Everything after FROM.
#[derive(Debug, Clone)]
pub(super) struct Sources {
    /// In the order written.
    pub(super) list: Vec<FromSource>,
    /// Of all sources, system columns last within each.
    pub(super) columns: Vec<BoundColumn>,
}

impl Sources {
    /// Finds the sources.
    pub(super) fn resolve(catalog: &Catalog, from: &Relation) -> Result<Self> {
        let mut list: Vec<FromSource> = Vec::new();
        for aliased in std::iter::once(&from.first).chain(from.joins.iter().map(|join| &join.source)) {
            let name = &aliased.name;
            let source = catalog.source(&name.text).map_err(|error| error.at(name.span))?;
            let alias = aliased.alias();
            if list.iter().any(|other| other.alias == alias.text) {
                return Err(Error::semantic(format!("two sources go by the name {}", alias.text))
                    .at(alias.span)
                    .hint("Give one of them another alias."));
            }
            list.push(FromSource { alias: alias.text.clone(), source: Arc::clone(source) });
        }
        let mut names = Names::new([]);
        let joined = list.len() > 1;
        let mut columns = Vec::new();
        for (i, from) in list.iter().enumerate() {
            let schema = &from.source.schema;
            let declared = schema
                .columns
                .iter()
                .map(|column| (column.name.clone(), column.ty.clone(), column.namespace == Namespace::Key, None));
            let system = SystemColumn::ALL
                .into_iter()
                .filter(|column| {
                    schema.windowed || !matches!(column, SystemColumn::WindowStart | SystemColumn::WindowEnd)
                })
                .map(|column| (column.name().to_owned(), column.ty(), false, Some(column)));
            for (own, ty, key, system) in declared.chain(system) {
                let name = names.unique(&if joined { format!("{}_{own}", from.alias) } else { own.clone() });
                columns.push(BoundColumn { source: i, own, name, ty, key, system });
            }
        }
        Ok(Self { list, columns })
    }

    /// Whether there are several.
    pub(super) fn joined(&self) -> bool {
        self.list.len() > 1
    }

    /// The source that goes by `alias`.
    pub(super) fn find(&self, alias: &Name) -> Result<usize> {
        self.list.iter().position(|from| from.alias == alias.text).ok_or_else(|| {
            let error =
                Error::semantic(format!("no source of this query goes by the name {}", alias.text)).at(alias.span);
            match did_you_mean(&alias.text, self.list.iter().map(|from| from.alias.as_str())) {
                Some(near) => error.hint(format!("Did you mean {near}?")),
                None => error.hint(format!("FROM names {}.", self.aliases().join(", "))),
            }
        })
    }

    fn aliases(&self) -> Vec<&str> {
        self.list.iter().map(|from| from.alias.as_str()).collect()
    }

    /// The column that `[qualifier.]name` means.
    pub(super) fn column(&self, qualifier: Option<&Name>, name: &Name, clause: &str) -> Result<&BoundColumn> {
        let source = qualifier.map(|qualifier| self.find(qualifier)).transpose()?;
        let inside = |column: &&BoundColumn| source.is_none_or(|source| source == column.source);
        let found: Vec<&BoundColumn> =
            self.columns.iter().filter(inside).filter(|column| column.own == name.text).collect();
        match found.as_slice() {
            [column] => Ok(column),
            [] => Err(self.unknown(source, name, clause)),
            several => {
                let could = several.iter().map(|column| self.qualified(column)).collect::<Vec<_>>().join(" or ");
                Err(Error::semantic(format!("the column {} is ambiguous", name.text))
                    .at(name.span)
                    .hint(format!("Write {could}.")))
            }
        }
    }

    fn unknown(&self, source: Option<usize>, name: &Name, clause: &str) -> Error {
        let owner = source.map(|i| format!(" of {}", self.list[i].alias)).unwrap_or_default();
        let error = Error::semantic(format!("unknown column {}{owner} in {clause}", name.text)).at(name.span);
        if matches!(SystemColumn::from_name(&name.text), Some(SystemColumn::WindowStart | SystemColumn::WindowEnd)) {
            return error
                .hint("Window bounds exist in windowed sources, and in the SELECT of queries with WINDOW … GROUP BY.");
        }
        let candidates = || self.columns.iter().filter(|column| source.is_none_or(|i| i == column.source));
        let declared = candidates().filter(|column| column.system.is_none());
        match did_you_mean(&name.text, declared.map(|column| column.own.as_str())) {
            Some(near) if near.eq_ignore_ascii_case(&name.text) => {
                error.hint(format!("There is {near}: wrap the name in back-quotes to keep its case."))
            }
            Some(near) => error.hint(format!("Did you mean {near}?")),
            None => {
                let names: Vec<&str> = candidates()
                    .filter(|column| column.system.is_none())
                    .map(|column| column.own.as_str())
                    .take(12)
                    .collect();
                error.hint(format!("There are {}.", names.join(", ")))
            }
        }
    }

    /// `ALIAS.NAME`
    pub(super) fn qualified(&self, column: &BoundColumn) -> String {
        format!("{}.{}", self.list[column.source].alias, column.own)
    }

    /// How an error message shows a column of the query.
    pub(super) fn shown(&self, name: &str) -> String {
        match self.by_name(name) {
            Some(column) if self.joined() => self.qualified(column),
            _ => name.to_owned(),
        }
    }

    /// How an error message shows an expression of the query.
    pub(super) fn shown_expr(&self, expr: &Expr) -> String {
        if !self.joined() {
            return expr.to_string();
        }
        let shown = walk::rewrite(expr, &mut |part| {
            let column = walk::as_column(part).and_then(|name| self.by_name(name));
            Ok(column.map(|column| {
                let source = Some(Name::new(&self.list[column.source].alias, part.span));
                let name = Name::new(&column.own, part.span);
                Expr::new(ExprKind::Column { source, name }, part.span)
            }))
        });
        shown.unwrap_or_else(|_| expr.clone()).to_string()
    }

    /// The column of that unique name.
    pub(super) fn by_name(&self, name: &str) -> Option<&BoundColumn> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Whether several sources have a column of that name.
    pub(super) fn clashes(&self, own: &str) -> bool {
        self.columns.iter().filter(|column| column.own == own).count() > 1
    }

    /// Columns of source `i`.
    pub(super) fn of(&self, i: usize) -> impl Iterator<Item = &BoundColumn> {
        self.columns.iter().filter(move |column| column.source == i)
    }

    /// All columns under their unique names, to type expressions before any operator is decided.
    pub(super) fn scope(&self) -> Scope {
        Scope { columns: self.columns.iter().map(|column| (column.name.clone(), column.ty.clone())).collect() }
    }

    /// A generator of names that clash with none of the sources' columns.
    pub(super) fn names(&self) -> Names {
        Names::new(self.columns.iter().filter(|column| column.system.is_none()).map(|column| column.own.as_str()))
    }

    /// The place of a source, for errors about it as a whole.
    pub(super) fn span(&self, from: &Relation, i: usize) -> Span {
        match i {
            0 => from.first.name.span,
            i => from.joins.get(i - 1).map_or(Span::default(), |join| join.source.name.span),
        }
    }
}
