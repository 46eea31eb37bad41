//! [`Function`]: one declaration from which calls are resolved, evaluated and documented.
//!
//! A body works row by row on [`Value`]s (strict: any NULL argument makes NULL), or on whole columns.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};

use super::cell::refill;
use super::env::FunctionEnv;
use super::signature::{Fit, Signature};
use super::{ArgType, FunctionDoc, FunctionKind, Resolved, ScalarEval};
use crate::error::{Error, RecordError, Result};
use crate::expr::aggregate::{Aggregate, MakeFold, folding};
use crate::types::{SqlType, Value, ValueBuilder};

/// Computes one cell.
pub(crate) type RowFn = Box<dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync>;
/// Computes a column.
pub(crate) type ColumnFn = Box<dyn Fn(&[ArrayRef], usize, &mut Vec<RecordError>) -> Result<ArrayRef> + Send + Sync>;

/// Computes one cell, shared by all calls.
pub(crate) type SharedFn = dyn Fn(&[Value]) -> Result<Value, String> + Send + Sync;

/// A call whose overload is chosen, as the makers of bodies see it.
pub(crate) struct Call<'a> {
    pub(crate) env: &'a FunctionEnv,
    pub(crate) name: &'static str,
    pub(crate) params: &'a [SqlType],
    pub(crate) returns: &'a SqlType,
    /// The values of literal arguments; empty for scalar functions.
    pub(crate) literals: &'a [Option<Value>],
}

/// What computes an overload.
pub(crate) enum Body {
    /// Row by row; NULL arguments never reach it.
    Strict(fn(&Call) -> RowFn),
    /// Row by row, without state and NULL arguments.
    StrictPlain(fn(&[Value]) -> Result<Value, String>),
    /// Row by row, NULL arguments included.
    Rows(fn(&Call) -> RowFn),
    /// Row by row, without state, NULL arguments included.
    RowsPlain(fn(&[Value]) -> Result<Value, String>),
    /// Whole columns.
    Columns(fn(&Call) -> ColumnFn),
    /// An aggregate.
    Aggregate(fn(&Call) -> Result<Box<dyn Aggregate>>),
    /// Row by row, by a closure of the embedder's.
    Shared { strict: bool, f: Arc<SharedFn> },
    /// An aggregate of the embedder's whose last `literals` parameters are constants.
    Fold { literals: usize, make: Arc<MakeFold> },
    /// Part of the language rather than of the library (functions of lambdas).
    Syntax,
}

/// One way to call a function.
pub(crate) struct Overload {
    text: &'static str,
    signature: Option<Signature>,
    returns: Option<fn(&[SqlType]) -> SqlType>,
    body: Body,
}

/// A function with all its overloads.
pub(crate) struct Function {
    pub(crate) name: &'static str,
    pub(crate) aliases: Vec<&'static str>,
    pub(crate) kind: FunctionKind,
    category: &'static str,
    description: &'static str,
    example: &'static str,
    volatile: bool,
    pub(crate) unlisted: bool,
    pub(crate) overloads: Vec<Overload>,
}

impl Function {
    fn new(kind: FunctionKind, name: &'static str, category: &'static str, description: &'static str) -> Self {
        let (aliases, overloads) = (Vec::new(), Vec::new());
        Self { name, aliases, kind, category, description, example: "", volatile: false, unlisted: false, overloads }
    }

    /// A scalar function.
    pub(crate) fn scalar(name: &'static str, category: &'static str, description: &'static str) -> Self {
        Self::new(FunctionKind::Scalar, name, category, description)
    }

    /// A table function.
    pub(crate) fn table(name: &'static str, category: &'static str, description: &'static str) -> Self {
        Self::new(FunctionKind::Table, name, category, description)
    }

    /// An aggregate function.
    pub(crate) fn aggregate(name: &'static str, category: &'static str, description: &'static str) -> Self {
        Self::new(FunctionKind::Aggregate, name, category, description)
    }

    /// A call and its result, for people.
    pub(crate) fn example(mut self, text: &'static str) -> Self {
        self.example = text;
        self
    }

    /// A further name.
    pub(crate) fn alias(mut self, name: &'static str) -> Self {
        self.aliases.push(name);
        self
    }

    /// Says that equal arguments do not give equal results.
    pub(crate) fn volatile(mut self) -> Self {
        self.volatile = true;
        self
    }

    /// What it does.
    pub(crate) fn about(mut self, text: &'static str) -> Self {
        self.description = text;
        self
    }

    /// Keeps it out of lists.
    pub(crate) fn unlisted(mut self) -> Self {
        self.unlisted = true;
        self
    }

    /// An overload.
    pub(crate) fn overload(mut self, text: &'static str, body: Body) -> Self {
        self.overloads.push(Overload { text, signature: Signature::parse(text), returns: None, body });
        self
    }

    /// An overload that works row by row and is NULL when an argument is.
    pub(crate) fn strict(self, text: &'static str, f: fn(&[Value]) -> Result<Value, String>) -> Self {
        self.overload(text, Body::StrictPlain(f))
    }

    /// The same with state of its own per call.
    pub(crate) fn strict_with(self, text: &'static str, make: fn(&Call) -> RowFn) -> Self {
        self.overload(text, Body::Strict(make))
    }

    /// An overload that works row by row and sees NULLs.
    pub(crate) fn rows(self, text: &'static str, f: fn(&[Value]) -> Result<Value, String>) -> Self {
        self.overload(text, Body::RowsPlain(f))
    }

    /// The same with state of its own per call.
    pub(crate) fn rows_with(self, text: &'static str, make: fn(&Call) -> RowFn) -> Self {
        self.overload(text, Body::Rows(make))
    }

    /// An overload that works on columns.
    pub(crate) fn columns(self, text: &'static str, make: fn(&Call) -> ColumnFn) -> Self {
        self.overload(text, Body::Columns(make))
    }

    /// How the last overload's result type follows from its parameter types.
    pub(crate) fn returning(mut self, returns: fn(&[SqlType]) -> SqlType) -> Self {
        if let Some(last) = self.overloads.last_mut() {
            last.returns = Some(returns);
        }
        self
    }

    /// The parameter patterns of each overload.
    #[cfg(test)]
    pub(crate) fn patterns(&self) -> impl Iterator<Item = Vec<super::signature::Pattern>> {
        let signatures = self.overloads.iter().filter_map(|o| o.signature.as_ref());
        signatures.map(|s| s.params.iter().map(|p| p.pattern.clone()).collect())
    }

    /// Texts of overloads that cannot be read: none, says a test.
    pub(crate) fn malformed(&self) -> Vec<&'static str> {
        self.overloads.iter().filter(|o| o.signature.is_none()).map(|o| o.text).collect()
    }

    /// What people are told.
    pub(crate) fn doc(&self, name: &str) -> FunctionDoc {
        let description = match name == self.name {
            true => self.description.to_owned(),
            false => format!("Another name of {}. {}", self.name, self.description),
        };
        FunctionDoc {
            name: name.to_owned(),
            kind: self.kind,
            category: self.category,
            description,
            signatures: self.overloads.iter().map(|o| format!("{name}{}", o.text)).collect(),
            example: self.example,
        }
    }

    /// The scalar or table overload for these arguments.
    pub(crate) fn resolve(&self, env: &FunctionEnv, args: &[ArgType]) -> Result<Resolved> {
        let (overload, fit, returns) = self.choose(args)?;
        let call = Call { env, name: self.name, params: &fit.params, returns: &returns, literals: &[] };
        let (rows, strict): (RowFn, bool) = match &overload.body {
            Body::Strict(make) => (make(&call), true),
            Body::Rows(make) => (make(&call), false),
            Body::StrictPlain(f) => (Box::new(*f), true),
            Body::RowsPlain(f) => (Box::new(*f), false),
            Body::Columns(make) => {
                let eval = Arc::new(ColumnEval { volatile: self.volatile, f: make(&call) });
                return Ok(Resolved { returns, params: fit.params, eval });
            }
            Body::Shared { strict, f } => {
                let f = Arc::clone(f);
                (Box::new(move |args: &[Value]| f(args)), *strict)
            }
            Body::Aggregate(_) | Body::Fold { .. } | Body::Syntax => {
                return Err(Error::semantic(format!("{} cannot be called like an ordinary function", self.name)));
            }
        };
        let eval = RowEval { name: self.name, volatile: self.volatile, returns: returns.clone(), strict, f: rows };
        Ok(Resolved { returns, params: fit.params, eval: Arc::new(eval) })
    }

    /// The aggregate for these arguments.
    pub(crate) fn resolve_aggregate(
        &self,
        env: &FunctionEnv,
        args: &[ArgType],
        literals: &[Option<Value>],
    ) -> Result<Box<dyn Aggregate>> {
        let (overload, fit, returns) = self.choose(args)?;
        let call = Call { env, name: self.name, params: &fit.params, returns: &returns, literals };
        match &overload.body {
            Body::Aggregate(make) => make(&call),
            Body::Fold { literals, make } => {
                let columns = overload.signature.as_ref().map_or(0, |s| s.before_last(*literals, args.len()));
                folding(&call, columns, make.as_ref())
            }
            _ => Err(Error::semantic(format!("{} is not an aggregate function", self.name))),
        }
    }

    /// The overload that needs the least widening; among equals one without variadic and type parameters.
    ///
    /// > KSQL: two variadic overloads that both need widening are ambiguous, and an error.
    fn choose(&self, args: &[ArgType]) -> Result<(&Overload, Fit, SqlType)> {
        let fits = self.overloads.iter().filter_map(|o| Some((o, o.signature.as_ref()?.fit(args)?)));
        let mut fits: Vec<_> = fits.collect();
        fits.sort_by_key(|(_, fit)| (fit.cost, fit.variadic, fit.generic));
        if let [(_, first), (_, second), ..] = &fits[..]
            && first.cost > 0
            && first.variadic
            && second.variadic
            && !first.generic
            && !second.generic
        {
            return Err(self.refuse("is ambiguous for", args).hint("Cast the arguments to one type."));
        }
        let Some((overload, fit)) = fits.into_iter().next() else {
            let text = format!("Available: {}.", self.signatures().join("; "));
            return Err(self.refuse("does not accept", args).hint(text));
        };
        let returns = match (overload.returns, &overload.signature) {
            (Some(returns), _) => returns(&fit.params),
            (None, Some(signature)) => signature.returns(&fit),
            (None, None) => SqlType::String,
        };
        Ok((overload, fit, returns))
    }

    fn signatures(&self) -> Vec<String> {
        self.overloads
            .iter()
            .map(|o| format!("{}{}", self.name, o.signature.as_ref().map_or(o.text, |s| s.text)))
            .collect()
    }

    fn refuse(&self, what: &str, args: &[ArgType]) -> Error {
        let args: Vec<_> = args
            .iter()
            .map(|arg| match arg {
                ArgType::Sql(ty) => ty.to_string(),
                ArgType::Null => "NULL".to_owned(),
            })
            .collect();
        Error::semantic(format!("function {} {what} ({})", self.name, args.join(", ")))
    }
}

struct RowEval {
    name: &'static str,
    volatile: bool,
    returns: SqlType,
    strict: bool,
    f: RowFn,
}

impl ScalarEval for RowEval {
    fn evaluate(&self, args: &[ArrayRef], rows: usize, errors: &mut Vec<RecordError>) -> Result<ArrayRef> {
        let mut builder = ValueBuilder::new(&self.returns, rows);
        let mut cells = vec![Value::Null; args.len()];
        let mut size = 0;
        for row in 0..rows {
            if self.strict && args.iter().any(|arg| arg.is_null(row)) {
                builder.push_null();
                continue;
            }
            for (cell, arg) in cells.iter_mut().zip(args) {
                refill(cell, arg, row);
            }
            let result = (self.f)(&cells).and_then(|value| {
                size += extent(&value);
                if size > BATCH_LIMIT { Err("the results of this batch are too large".to_owned()) } else { Ok(value) }
            });
            match result {
                Ok(value) => builder.push(&value),
                Err(reason) => {
                    builder.push_null();
                    errors.push(RecordError { row, place: self.name.to_owned(), reason });
                }
            }
        }
        Ok(builder.finish())
    }

    fn volatile(&self) -> bool {
        self.volatile
    }
}

/// Most bytes and items that one batch of results may have: Arrow counts them with 31 bits, and memory ends earlier.
const BATCH_LIMIT: usize = 1 << 27;

/// Bytes and items of a cell that may grow.
fn extent(value: &Value) -> usize {
    match value {
        Value::String(text) => text.len(),
        Value::Bytes(bytes) => bytes.len(),
        Value::Array(items) | Value::Struct(items) => items.len() + items.iter().map(extent).sum::<usize>(),
        Value::Map(entries) => entries.iter().map(|(key, value)| 2 + extent(key) + extent(value)).sum(),
        _ => 0,
    }
}

struct ColumnEval {
    volatile: bool,
    f: ColumnFn,
}

impl ScalarEval for ColumnEval {
    fn evaluate(&self, args: &[ArrayRef], rows: usize, errors: &mut Vec<RecordError>) -> Result<ArrayRef> {
        (self.f)(args, rows, errors)
    }

    fn volatile(&self) -> bool {
        self.volatile
    }
}
