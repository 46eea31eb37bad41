//! [`Names`]: names that the user did not give.

use std::collections::BTreeSet;

use crate::sql::ast::{Expr, ExprKind};

/// Makes names that clash with no source column and with none made before.
#[derive(Debug, Clone)]
pub(super) struct Names {
    taken: BTreeSet<String>,
}

impl Names {
    /// All of `taken` are avoided.
    pub(super) fn new<'a>(taken: impl IntoIterator<Item = &'a str>) -> Self {
        Self { taken: taken.into_iter().map(str::to_owned).collect() }
    }

    /// `base`, or `base_1`, `base_2`, … when it is taken.
    pub(super) fn unique(&mut self, base: &str) -> String {
        let name = std::iter::once(base.to_owned())
            .chain((1..).map(|i| format!("{base}_{i}")))
            .find(|name| !self.taken.contains(name))
            .unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }

    /// `{prefix}0`, `{prefix}1`, …
    pub(super) fn numbered(&mut self, prefix: &str) -> String {
        let name = (0..).map(|i| format!("{prefix}{i}")).find(|name| !self.taken.contains(name)).unwrap_or_default();
        self.taken.insert(name.clone());
        name
    }

    /// The name of a column whose expression has no alias and is no column itself.
    ///
    /// > KSQL: `s->f` is `F` (`F_1` when there is an `F`), everything else `KSQL_COL_n`.
    pub(super) fn for_expr(&mut self, expr: &Expr) -> String {
        match &expr.kind {
            ExprKind::Field { field, .. } => self.unique(&field.text),
            _ => self.numbered("KSQL_COL_"),
        }
    }
}
