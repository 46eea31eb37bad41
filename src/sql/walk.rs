//! Going through expressions.
//!
//! **Invariant:** [`Expr::walk`] and [`Expr::rewrite`] reach every sub-expression, bodies of lambdas included, each once.

use super::ast::{Expr, ExprKind, Name};

impl Expr {
    /// Calls `f` on this expression and every one inside it, outer before inner, left to right.
    pub fn walk(&self, f: &mut dyn FnMut(&Expr)) {
        f(self);
        self.for_each_child(&mut |child| child.walk(f));
    }

    /// Whether this expression or one inside it satisfies `test`.
    pub fn any(&self, test: &mut dyn FnMut(&Expr) -> bool) -> bool {
        let mut found = false;
        self.walk(&mut |expr| found = found || test(expr));
        found
    }

    /// Replaces every expression by `f` of it, inner before outer.
    pub fn rewrite(self, f: &mut dyn FnMut(Expr) -> Expr) -> Expr {
        let Expr { kind, span } = self;
        let mut inner = |expr: Expr| expr.rewrite(f);
        let kind = rewrite_children(kind, &mut inner);
        f(Expr { kind, span })
    }

    /// The columns it refers to as `(source, name)`, in order of appearance; not the parameters of its lambdas.
    pub fn columns(&self) -> Vec<(Option<&Name>, &Name)> {
        let mut found = Vec::new();
        self.collect_columns(&mut Vec::new(), &mut found);
        found
    }

    fn collect_columns<'a>(&'a self, bound: &mut Vec<&'a Name>, found: &mut Vec<(Option<&'a Name>, &'a Name)>) {
        match &self.kind {
            ExprKind::Column { source, name } => {
                if source.is_some() || !bound.contains(&name) {
                    found.push((source.as_ref(), name));
                }
            }
            ExprKind::Lambda { params, body } => {
                let outer = bound.len();
                bound.extend(params);
                body.collect_columns(bound, found);
                bound.truncate(outer);
            }
            _ => self.for_each_child(&mut |child| child.collect_columns(bound, found)),
        }
    }

    /// Calls `f` on the direct sub-expressions, left to right.
    pub fn for_each_child<'a>(&'a self, f: &mut dyn FnMut(&'a Expr)) {
        match &self.kind {
            ExprKind::Null
            | ExprKind::Boolean(_)
            | ExprKind::Integer(_)
            | ExprKind::Decimal(_)
            | ExprKind::Double(_)
            | ExprKind::String(_)
            | ExprKind::Column { .. } => {}
            ExprKind::Unary { expr, .. }
            | ExprKind::IsNull { expr, .. }
            | ExprKind::Cast { expr, .. }
            | ExprKind::Lambda { body: expr, .. }
            | ExprKind::Field { base: expr, .. } => f(expr),
            ExprKind::Binary { left, right, .. }
            | ExprKind::Like { expr: left, pattern: right, .. }
            | ExprKind::Subscript { base: left, index: right } => {
                f(left);
                f(right);
            }
            ExprKind::Between { expr, low, high, .. } => {
                f(expr);
                f(low);
                f(high);
            }
            ExprKind::InList { expr, list, .. } => {
                f(expr);
                list.iter().for_each(f);
            }
            ExprKind::Case { operand, whens, otherwise } => {
                if let Some(operand) = operand {
                    f(operand);
                }
                for (when, then) in whens {
                    f(when);
                    f(then);
                }
                if let Some(otherwise) = otherwise {
                    f(otherwise);
                }
            }
            ExprKind::Call { args, .. } | ExprKind::Array(args) => args.iter().for_each(f),
            ExprKind::Map(entries) => {
                for (key, value) in entries {
                    f(key);
                    f(value);
                }
            }
            ExprKind::Struct(fields) => fields.iter().for_each(|(_, value)| f(value)),
        }
    }
}

fn rewrite_children(kind: ExprKind, f: &mut dyn FnMut(Expr) -> Expr) -> ExprKind {
    fn boxed(expr: Expr, f: &mut dyn FnMut(Expr) -> Expr) -> Box<Expr> {
        Box::new(f(expr))
    }
    fn all(list: Vec<Expr>, f: &mut dyn FnMut(Expr) -> Expr) -> Vec<Expr> {
        list.into_iter().map(f).collect()
    }
    match kind {
        ExprKind::Null
        | ExprKind::Boolean(_)
        | ExprKind::Integer(_)
        | ExprKind::Decimal(_)
        | ExprKind::Double(_)
        | ExprKind::String(_)
        | ExprKind::Column { .. } => kind,
        ExprKind::Unary { op, expr } => ExprKind::Unary { op, expr: boxed(*expr, f) },
        ExprKind::Binary { op, left, right } => ExprKind::Binary { op, left: boxed(*left, f), right: boxed(*right, f) },
        ExprKind::IsNull { expr, negated } => ExprKind::IsNull { expr: boxed(*expr, f), negated },
        ExprKind::Between { expr, low, high, negated } => {
            ExprKind::Between { expr: boxed(*expr, f), low: boxed(*low, f), high: boxed(*high, f), negated }
        }
        ExprKind::InList { expr, list, negated } => {
            ExprKind::InList { expr: boxed(*expr, f), list: all(list, f), negated }
        }
        ExprKind::Like { expr, pattern, escape, negated } => {
            ExprKind::Like { expr: boxed(*expr, f), pattern: boxed(*pattern, f), escape, negated }
        }
        ExprKind::Case { operand, whens, otherwise } => ExprKind::Case {
            operand: operand.map(|operand| boxed(*operand, f)),
            whens: whens.into_iter().map(|(when, then)| (f(when), f(then))).collect(),
            otherwise: otherwise.map(|otherwise| boxed(*otherwise, f)),
        },
        ExprKind::Cast { expr, ty } => ExprKind::Cast { expr: boxed(*expr, f), ty },
        ExprKind::Call { name, args, star } => ExprKind::Call { name, args: all(args, f), star },
        ExprKind::Lambda { params, body } => ExprKind::Lambda { params, body: boxed(*body, f) },
        ExprKind::Array(items) => ExprKind::Array(all(items, f)),
        ExprKind::Map(entries) => ExprKind::Map(entries.into_iter().map(|(key, value)| (f(key), f(value))).collect()),
        ExprKind::Struct(fields) => {
            ExprKind::Struct(fields.into_iter().map(|(name, value)| (name, f(value))).collect())
        }
        ExprKind::Subscript { base, index } => ExprKind::Subscript { base: boxed(*base, f), index: boxed(*index, f) },
        ExprKind::Field { base, field } => ExprKind::Field { base: boxed(*base, f), field },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::parse_expr;

    #[test]
    fn columns_leave_out_lambda_parameters() {
        let expr = parse_expr("REDUCE(a.xs, b, (s, x) => s + x * a.x) + TRANSFORM(ys, y => y)[s]").unwrap();
        let names: Vec<String> = expr
            .columns()
            .into_iter()
            .map(|(source, name)| source.map_or(String::new(), |s| format!("{}.", s.text)) + &name.text)
            .collect();
        assert_eq!(names, ["A.XS", "B", "A.X", "YS", "S"]);
    }

    #[test]
    fn rewrite_goes_bottom_up_everywhere() {
        let text =
            "CASE a WHEN a THEN MAP(a := a) ELSE STRUCT(F := ARRAY[a]) END IN (a BETWEEN a AND a, -CAST(a AS INT))";
        let renamed = parse_expr(text).unwrap().rewrite(&mut |mut expr| {
            if let ExprKind::Column { name, .. } = &mut expr.kind {
                name.text = "B".into();
            }
            expr
        });
        assert_eq!(renamed.to_string(), text.replace('a', "B"));
        let mut count = 0;
        renamed.walk(&mut |_| count += 1);
        assert_eq!(count, 17);
    }
}
