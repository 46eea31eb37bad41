//! Arrays, maps and structs: making them and reaching into them.

use super::{Binder, cast, coerce};
use crate::error::{Error, Result, Span, did_you_mean};
use crate::expr::node::{Kind, Node};
use crate::expr::rules::{common_type, widens};
use crate::sql::ast::{Expr, Name};
use crate::types::{Decimal, SqlType, StructField, Value};

/// Literals among the nodes become what the others are: text becomes a number or a boolean, and next to text that is no
/// literal everything becomes text.
///
/// > KSQL: `ARRAY[1, '2e1']` has the numbers 1 and 20.
fn fit_literals(nodes: &mut [(Node, Span)]) -> Result<()> {
    let is_text = |node: &Node| node.ty == Some(SqlType::String);
    let texts = nodes.iter().filter(|(node, _)| is_text(node)).count();
    let first = nodes.iter().filter_map(|(node, _)| node.ty.clone()).find(|ty| *ty != SqlType::String);
    let (Some(first), true) = (first, texts > 0) else { return Ok(()) };
    let all_text = nodes.iter().any(|(node, _)| is_text(node) && !node.is_literal());
    for (node, span) in nodes.iter_mut() {
        match (node.literal_value(), all_text) {
            (Some(Value::String(_)), true) | (Some(Value::Null) | None, _) => {}
            (
                Some(Value::Int(_) | Value::BigInt(_) | Value::Boolean(_) | Value::Decimal(_) | Value::Double(_)),
                true,
            ) => {
                *node = cast(node.clone(), SqlType::String);
            }
            (Some(Value::String(text)), false) => {
                *node = text_literal(&text, &first).ok_or_else(|| {
                    Error::semantic(format!("'{text}' is no {first}"))
                        .at(*span)
                        .hint("CAST(… AS type) brings them together.")
                })?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The literal that a text stands for next to values of a type.
fn text_literal(text: &str, like: &SqlType) -> Option<Node> {
    let trimmed = text.trim();
    Some(match like {
        SqlType::Boolean => {
            let lower = trimmed.to_lowercase();
            let is = |word: &str| !lower.is_empty() && word.starts_with(&lower);
            let value = is("true") || is("yes");
            if !value && !is("false") && !is("no") {
                return None;
            }
            Node::literal(&Value::Boolean(value), SqlType::Boolean)
        }
        ty if ty.is_numeric() => {
            if let Ok(v) = trimmed.parse::<i32>() {
                return Some(Node::literal(&Value::Int(v), SqlType::Int));
            }
            if let Ok(v) = trimmed.parse::<i64>() {
                return Some(Node::literal(&Value::BigInt(v), SqlType::BigInt));
            }
            let decimal = Decimal::parse(trimmed)?;
            let ty = SqlType::Decimal(decimal.precision().max(decimal.scale).max(1), decimal.scale);
            Node::literal(&Value::Decimal(decimal), ty)
        }
        _ => return None,
    })
}

/// The type that all nodes can take; `None` when all are NULL.
pub(super) fn common(nodes: &[(Node, Span)], what: &str) -> Result<Option<SqlType>> {
    let mut common: Option<SqlType> = None;
    for (node, span) in nodes {
        let Some(ty) = &node.ty else { continue };
        common = Some(match common {
            None => ty.clone(),
            Some(so_far) => common_type(&so_far, ty).ok_or_else(|| {
                Error::semantic(format!("{what} differ in type: {so_far} and {ty}"))
                    .at(*span)
                    .hint("CAST(… AS type) brings them together.")
            })?,
        });
    }
    Ok(common)
}

impl Binder<'_> {
    fn bind_all<'e>(&mut self, exprs: impl Iterator<Item = &'e Expr>) -> Result<Vec<(Node, Span)>> {
        exprs.map(|expr| Ok((self.bind(expr)?, expr.span))).collect()
    }

    pub(super) fn array(&mut self, items: &[Expr]) -> Result<Node> {
        let mut items = self.bind_all(items.iter())?;
        fit_literals(&mut items)?;
        if items.is_empty() {
            return Err(Error::semantic("an array without elements has no type")
                .hint("CAST(NULL AS ARRAY<type>) gives a typed NULL."));
        }
        let ty = common(&items, "the elements of ARRAY")?.ok_or_else(|| {
            Error::semantic("cannot construct an array with all NULL elements").hint("CAST one: CAST(NULL AS type).")
        })?;
        let items = items.into_iter().map(|(node, _)| coerce(node, &ty)).collect();
        Ok(Node::new(Kind::Array(items), SqlType::array(ty)))
    }

    pub(super) fn map(&mut self, entries: &[(Expr, Expr)]) -> Result<Node> {
        let mut keys = self.bind_all(entries.iter().map(|(key, _)| key))?;
        let mut values = self.bind_all(entries.iter().map(|(_, value)| value))?;
        fit_literals(&mut keys)?;
        fit_literals(&mut values)?;
        if entries.is_empty() {
            return Err(Error::semantic("a map without entries has no type"));
        }
        let null = |what| Error::semantic(format!("cannot construct a map with all NULL {what}"));
        let key = common(&keys, "the keys of MAP")?.ok_or_else(|| null("keys"))?;
        let value = common(&values, "the values of MAP")?.ok_or_else(|| null("values"))?;
        let keys = keys.into_iter().map(|(node, _)| coerce(node, &key));
        let entries = keys.zip(values.into_iter().map(|(node, _)| coerce(node, &value))).collect();
        Ok(Node::new(Kind::Map(entries), SqlType::map(key, value)))
    }

    pub(super) fn structure(&mut self, fields: &[(Name, Expr)]) -> Result<Node> {
        let mut nodes = Vec::with_capacity(fields.len());
        let mut types: Vec<StructField> = Vec::with_capacity(fields.len());
        for (name, expr) in fields {
            let node = self.bind(expr)?;
            let ty = node.ty.clone().ok_or_else(|| {
                Error::semantic(format!("field {} is NULL and has no type", name.text))
                    .at(expr.span)
                    .hint("Write CAST(NULL AS type).")
            })?;
            if types.iter().any(|field| field.name == name.text) {
                return Err(Error::semantic(format!("field {} occurs twice", name.text)).at(name.span));
            }
            types.push(StructField::new(&name.text, ty));
            nodes.push(node);
        }
        Ok(Node::new(Kind::Struct(nodes), SqlType::Struct(types)))
    }

    pub(super) fn subscript(&mut self, base: &Expr, index: &Expr) -> Result<Node> {
        let (base_node, index_node) = (self.bind(base)?, self.bind(index)?);
        match base_node.ty.clone() {
            Some(SqlType::Array(item)) => match &index_node.ty {
                Some(SqlType::Int | SqlType::BigInt) => {
                    let index = coerce(index_node, &SqlType::BigInt).boxed();
                    Ok(Node::new(Kind::Item { base: base_node.boxed(), index }, *item))
                }
                _ => Err(Error::semantic(format!("an array's index is an INTEGER, not a {}", index_node.type_name()))
                    .at(index.span)),
            },
            Some(SqlType::Map(key, value)) => match &index_node.ty {
                Some(ty) if widens(ty, &key) => {
                    let key = coerce(index_node, &key).boxed();
                    Ok(Node::new(Kind::Entry { base: base_node.boxed(), key }, *value))
                }
                _ => Err(Error::semantic(format!("this map's keys are {key}, not {}", index_node.type_name()))
                    .at(index.span)),
            },
            _ => Err(Error::semantic(format!("a {} has no elements", base_node.type_name()))
                .at(base.span)
                .hint("[…] works on ARRAY and MAP; fields of a STRUCT are reached by ->.")),
        }
    }

    pub(super) fn field(&mut self, base: &Expr, field: &Name) -> Result<Node> {
        let node = self.bind(base)?;
        let Some(SqlType::Struct(fields)) = node.ty.clone() else {
            return Err(Error::semantic(format!("a {} has no fields", node.type_name()))
                .at(base.span)
                .hint("-> works on STRUCT."));
        };
        match fields.iter().position(|f| f.name == field.text) {
            Some(at) => {
                let ty = fields[at].ty.clone();
                Ok(Node::new(Kind::Field { base: node.boxed(), at }, ty))
            }
            None => {
                let error = Error::not_found(format!("field {} does not exist", field.text)).at(field.span);
                Err(match did_you_mean(&field.text, fields.iter().map(|f| f.name.as_str())) {
                    Some(near) => error.hint(format!("Did you mean {near}?")),
                    None => {
                        let names: Vec<_> = fields.iter().map(|f| f.name.as_str()).collect();
                        error.hint(format!("The fields are {}.", names.join(", ")))
                    }
                })
            }
        }
    }
}
