//! [`Signature`]: the parameters of one overload, read from text once, and how well arguments fit them.
//!
//! The text is `(array ARRAY<T>, values T...) -> BOOLEAN`. A single capital letter is any type, the same wherever it
//! stands, and `ANY` is any; `DECIMAL` without digits is any decimal; `...` marks the one parameter that may repeat (also not at all).
//!
//! **Invariant:** a fitting call has every parameter type concrete, so that evaluators need not look at types again.

use std::collections::BTreeMap;

use super::ArgType;
use crate::types::{SqlType, StructField};

/// The type of a parameter or result as far as the declaration fixes it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Pattern {
    Exact(SqlType),
    AnyDecimal,
    /// Any type, taken as it comes.
    Any,
    Generic(char),
    Array(Box<Pattern>),
    Map(Box<Pattern>, Box<Pattern>),
    Struct(Vec<(String, Pattern)>),
    /// A lambda, which only the expression compiler understands; the text is for people.
    Lambda,
}

/// A parameter.
#[derive(Debug, Clone)]
pub(crate) struct Param {
    pub(crate) pattern: Pattern,
    pub(crate) variadic: bool,
}

/// The parameters and result of one overload.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    pub(crate) text: &'static str,
    pub(crate) params: Vec<Param>,
    pub(crate) returns: Pattern,
}

/// How arguments fit an overload.
#[derive(Debug, Clone)]
pub(crate) struct Fit {
    /// Sum of the widenings; 0 is exact.
    pub(crate) cost: u32,
    /// Whether the variadic parameter took part in the choice.
    pub(crate) variadic: bool,
    /// Whether a type parameter did.
    pub(crate) generic: bool,
    /// One type an argument.
    pub(crate) params: Vec<SqlType>,
    bindings: Bindings,
}

type Bindings = BTreeMap<char, SqlType>;

impl Signature {
    /// Reads the text; `None` if it is malformed (a mistake in a declaration, found by the registry's test).
    pub(crate) fn parse(text: &'static str) -> Option<Self> {
        let mut reader = Reader { rest: text };
        reader.take("(").then_some(())?;
        let mut params = Vec::new();
        while !reader.take(")") {
            if !params.is_empty() {
                reader.take(",").then_some(())?;
            }
            reader.word()?;
            let pattern = reader.pattern()?;
            params.push(Param { pattern, variadic: reader.take("...") });
        }
        reader.take("->").then_some(())?;
        let returns = reader.pattern()?;
        reader.rest.trim().is_empty().then_some(Self { text, params, returns })
    }

    /// How the arguments fit, if they do.
    pub(crate) fn fit(&self, args: &[ArgType]) -> Option<Fit> {
        let patterns = self.patterns(args.len())?;
        let mut fit = Fit {
            cost: 0,
            variadic: self.params.iter().any(|p| p.variadic),
            generic: self.params.iter().any(|p| p.pattern.is_generic()),
            params: Vec::with_capacity(args.len()),
            bindings: Bindings::new(),
        };
        for (pattern, arg) in patterns.iter().zip(args) {
            if let ArgType::Sql(ty) = arg {
                fit.cost += pattern.accept(ty, &mut fit.bindings)?;
            } else if **pattern == Pattern::Lambda {
                return None;
            }
        }
        let decimal = common_decimal(&patterns, args);
        for (pattern, arg) in patterns.iter().zip(args) {
            let ty = match (pattern, arg) {
                (Pattern::AnyDecimal, ArgType::Sql(ty)) if !fit.variadic => as_decimal(ty)?,
                (Pattern::AnyDecimal, _) => decimal.clone(),
                (Pattern::Any, ArgType::Sql(ty)) => ty.clone(),
                // Nothing widens inside a collection, so that it is taken as it comes: with its own decimals.
                (Pattern::Array(_) | Pattern::Map(..) | Pattern::Struct(_), ArgType::Sql(ty))
                    if !pattern.is_generic() =>
                {
                    ty.clone()
                }
                _ => pattern.concrete(&fit.bindings, &decimal),
            };
            fit.params.push(ty);
        }
        Some(fit)
    }

    /// The result's type for a fit.
    pub(crate) fn returns(&self, fit: &Fit) -> SqlType {
        let decimal = fit.params.iter().find(|ty| matches!(ty, SqlType::Decimal(..)));
        self.returns.concrete(&fit.bindings, decimal.unwrap_or(&SqlType::Decimal(10, 0)))
    }

    /// How many of `count` arguments stand before those of the last `params` parameters.
    pub(crate) fn before_last(&self, params: usize, count: usize) -> usize {
        let first = self.params.len().saturating_sub(params);
        match self.params.iter().position(|p| p.variadic) {
            Some(at) if at < first => count.saturating_sub(self.params.len() - first),
            _ => first.min(count),
        }
    }

    /// One pattern an argument, the variadic one repeated as often as needed.
    fn patterns(&self, count: usize) -> Option<Vec<&Pattern>> {
        let Some(at) = self.params.iter().position(|p| p.variadic) else {
            return (self.params.len() == count).then(|| self.params.iter().map(|p| &p.pattern).collect());
        };
        let repeats = count.checked_sub(self.params.len() - 1)?;
        let before = self.params[..at].iter();
        let repeated = std::iter::repeat_n(&self.params[at], repeats);
        Some(before.chain(repeated).chain(&self.params[at + 1..]).map(|p| &p.pattern).collect())
    }
}

impl Pattern {
    fn is_generic(&self) -> bool {
        match self {
            Self::Generic(_) => true,
            Self::Array(item) => item.is_generic(),
            Self::Map(key, value) => key.is_generic() || value.is_generic(),
            Self::Struct(fields) => fields.iter().any(|(_, pattern)| pattern.is_generic()),
            Self::Any => true,
            Self::Exact(_) | Self::AnyDecimal | Self::Lambda => false,
        }
    }

    /// The cost of passing `ty`, if it may be passed.
    fn accept(&self, ty: &SqlType, bindings: &mut Bindings) -> Option<u32> {
        match (self, ty) {
            (Self::Exact(wanted), _) => widening(ty, wanted),
            (Self::Any, _) | (Self::AnyDecimal, SqlType::Decimal(..)) => Some(0),
            (Self::AnyDecimal, SqlType::Int | SqlType::BigInt) => Some(2),
            (Self::Generic(name), _) => {
                let bound = match bindings.get(name) {
                    Some(bound) => common_type(bound, ty)?,
                    None => ty.clone(),
                };
                bindings.insert(*name, bound);
                Some(0)
            }
            (Self::Array(item), SqlType::Array(ty)) => item.accept_nested(ty, bindings),
            (Self::Map(key, value), SqlType::Map(k, v)) => {
                Some(key.accept_nested(k, bindings)? + value.accept_nested(v, bindings)?)
            }
            (Self::Struct(patterns), SqlType::Struct(fields)) if patterns.len() == fields.len() => {
                let mut cost = 0;
                for ((name, pattern), field) in patterns.iter().zip(fields) {
                    if *name != field.name {
                        return None;
                    }
                    cost += pattern.accept_nested(&field.ty, bindings)?;
                }
                Some(cost)
            }
            _ => None,
        }
    }

    /// Inside a collection nothing widens, except to make type parameters agree.
    fn accept_nested(&self, ty: &SqlType, bindings: &mut Bindings) -> Option<u32> {
        self.accept(ty, bindings).filter(|cost| *cost == 0)
    }

    fn concrete(&self, bindings: &Bindings, decimal: &SqlType) -> SqlType {
        match self {
            Self::Exact(ty) => ty.clone(),
            Self::AnyDecimal => decimal.clone(),
            // A type parameter that only NULL literals stand for may as well be text.
            Self::Generic(name) => bindings.get(name).cloned().unwrap_or(SqlType::String),
            Self::Array(item) => SqlType::array(item.concrete(bindings, decimal)),
            Self::Map(key, value) => SqlType::map(key.concrete(bindings, decimal), value.concrete(bindings, decimal)),
            Self::Struct(fields) => SqlType::Struct(
                fields.iter().map(|(name, ty)| StructField::new(name, ty.concrete(bindings, decimal))).collect(),
            ),
            Self::Any | Self::Lambda => SqlType::String,
        }
    }
}

/// The cost of passing a value of type `from` where `to` is wanted.
///
/// > KSQL: text stands for a date, time or timestamp, as in comparisons.
fn widening(from: &SqlType, to: &SqlType) -> Option<u32> {
    Some(match (from, to) {
        _ if from == to => 0,
        (SqlType::Int, SqlType::BigInt) => 1,
        (SqlType::Decimal(..), SqlType::Decimal(..)) => 1,
        (SqlType::Int | SqlType::BigInt, SqlType::Decimal(..)) => 2,
        (SqlType::Int | SqlType::BigInt | SqlType::Decimal(..), SqlType::Double) => 3,
        (SqlType::String, SqlType::Date | SqlType::Time | SqlType::Timestamp) => 5,
        _ => return None,
    })
}

/// A number type as a decimal.
fn as_decimal(ty: &SqlType) -> Option<SqlType> {
    match ty {
        SqlType::Int => Some(SqlType::Decimal(10, 0)),
        SqlType::BigInt => Some(SqlType::Decimal(19, 0)),
        SqlType::Decimal(..) => Some(ty.clone()),
        _ => None,
    }
}

fn common_decimal(patterns: &[&Pattern], args: &[ArgType]) -> SqlType {
    let decimals = patterns.iter().zip(args).filter_map(|(pattern, arg)| match (pattern, arg) {
        (Pattern::AnyDecimal, ArgType::Sql(ty)) => as_decimal(ty),
        _ => None,
    });
    decimals.reduce(|a, b| common_type(&a, &b).unwrap_or(a)).unwrap_or(SqlType::Decimal(10, 0))
}

/// The narrowest type that both widen to.
pub(crate) fn common_type(a: &SqlType, b: &SqlType) -> Option<SqlType> {
    if a == b {
        return Some(a.clone());
    }
    match (a, b) {
        (SqlType::Decimal(p1, s1), SqlType::Decimal(p2, s2)) => {
            let (scale, whole) = (*s1.max(s2), (p1 - s1).max(p2 - s2));
            Some(SqlType::Decimal(whole.saturating_add(scale), scale))
        }
        (SqlType::Decimal(..), SqlType::Int | SqlType::BigInt) => common_type(a, &as_decimal(b)?),
        (SqlType::Int | SqlType::BigInt, SqlType::Decimal(..)) => common_type(&as_decimal(a)?, b),
        (SqlType::Array(x), SqlType::Array(y)) => Some(SqlType::array(common_type(x, y)?)),
        (SqlType::Map(k, v), SqlType::Map(l, w)) => Some(SqlType::map(common_type(k, l)?, common_type(v, w)?)),
        _ if widening(a, b).is_some() => Some(b.clone()),
        _ if widening(b, a).is_some() => Some(a.clone()),
        _ => None,
    }
}

struct Reader {
    rest: &'static str,
}

impl Reader {
    fn take(&mut self, token: &str) -> bool {
        match self.rest.trim_start().strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    fn word(&mut self) -> Option<&'static str> {
        let text = self.rest.trim_start();
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn pattern(&mut self) -> Option<Pattern> {
        Some(match self.word()? {
            "BOOLEAN" => Pattern::Exact(SqlType::Boolean),
            "INT" => Pattern::Exact(SqlType::Int),
            "BIGINT" => Pattern::Exact(SqlType::BigInt),
            "DOUBLE" => Pattern::Exact(SqlType::Double),
            "DECIMAL" => Pattern::AnyDecimal,
            "STRING" => Pattern::Exact(SqlType::String),
            "BYTES" => Pattern::Exact(SqlType::Bytes),
            "TIME" => Pattern::Exact(SqlType::Time),
            "DATE" => Pattern::Exact(SqlType::Date),
            "TIMESTAMP" => Pattern::Exact(SqlType::Timestamp),
            "ANY" => Pattern::Any,
            "LAMBDA" => Pattern::Lambda,
            "ARRAY" => {
                self.take("<").then_some(())?;
                let item = self.pattern()?;
                self.take(">").then_some(())?;
                Pattern::Array(Box::new(item))
            }
            "MAP" => {
                self.take("<").then_some(())?;
                let key = self.pattern()?;
                self.take(",").then_some(())?;
                let value = self.pattern()?;
                self.take(">").then_some(())?;
                Pattern::Map(Box::new(key), Box::new(value))
            }
            "STRUCT" => {
                self.take("<").then_some(())?;
                let mut fields = Vec::new();
                while !self.take(">") {
                    if !fields.is_empty() {
                        self.take(",").then_some(())?;
                    }
                    fields.push((self.word()?.to_owned(), self.pattern()?));
                }
                Pattern::Struct(fields)
            }
            word if word.len() == 1 => Pattern::Generic(word.chars().next()?),
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(text: &'static str, args: &[SqlType]) -> Option<(u32, Vec<SqlType>, SqlType)> {
        let signature = Signature::parse(text).expect("a signature");
        let args: Vec<_> = args.iter().cloned().map(ArgType::Sql).collect();
        let fit = signature.fit(&args)?;
        Some((fit.cost, fit.params.clone(), signature.returns(&fit)))
    }

    #[test]
    fn type_parameters_agree_by_widening() {
        let text = "(array ARRAY<T>, value T) -> BOOLEAN";
        let bigints = SqlType::array(SqlType::BigInt);
        let found = fit(text, &[bigints.clone(), SqlType::Int]);
        assert_eq!(found, Some((0, vec![bigints.clone(), SqlType::BigInt], SqlType::Boolean)));
        assert_eq!(fit(text, &[bigints, SqlType::String]), None);
        assert_eq!(fit(text, &[SqlType::Int, SqlType::Int]), None);
    }

    #[test]
    fn variadic_parameters_may_stand_in_the_middle() {
        let text = "(first STRING, more INT..., last STRING) -> INT";
        assert!(fit(text, &[SqlType::String, SqlType::String]).is_some());
        assert!(fit(text, &[SqlType::String, SqlType::Int, SqlType::Int, SqlType::String]).is_some());
        assert!(fit(text, &[SqlType::String]).is_none());
        assert!(fit(text, &[SqlType::String, SqlType::String, SqlType::String]).is_none());
    }

    #[test]
    fn decimals_keep_or_share_their_digits() {
        let text = "(value DECIMAL, places INT) -> DECIMAL";
        let (_, _, returns) = fit(text, &[SqlType::Decimal(5, 2), SqlType::Int]).expect("a fit");
        assert_eq!(returns, SqlType::Decimal(5, 2));
        let (_, params, returns) =
            fit("(values DECIMAL...) -> DECIMAL", &[SqlType::Decimal(5, 2), SqlType::BigInt]).expect("a fit");
        assert_eq!((params[1].clone(), returns), (SqlType::Decimal(21, 2), SqlType::Decimal(21, 2)));
    }

    #[test]
    fn malformed_text_is_refused() {
        for text in ["a INT -> INT", "(a INT)", "(a WORD) -> INT", "(a ARRAY<INT) -> INT", "(a INT) -> INT x"] {
            assert!(Signature::parse(text).is_none(), "{text}");
        }
    }
}
