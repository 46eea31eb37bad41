//! [`UserFunction`]: functions that an embedder writes in Rust, callable from SQL like those of the library.
//!
//! ```
//! use eddyline::expr::functions::UserFunction;
//! use eddyline::types::Value;
//!
//! UserFunction::scalar("WITH_TAX")
//!     .about("The price with 20 % of tax. NULL if it is.")
//!     .strict("(price BIGINT) -> DOUBLE", |args| Ok(Value::Double(args[0].as_i64().unwrap_or(0) as f64 * 1.2)))
//!     .register()?;
//! # Ok::<(), eddyline::error::Error>(())
//! ```
//!
//! Signatures are written as in `DESCRIBE FUNCTION`: `(name TYPE, more TYPE...) -> TYPE`. One capital letter is any
//! type, the same wherever it stands; `ANY` is any type; `DECIMAL` any decimal; `...` marks the parameter that repeats.
//!
//! **Invariant:** a name is registered once and stays for the life of the process, so that running queries keep their
//! functions. Register before the engine starts: queries that it takes up again may call them.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use super::declare::{Body, Function};
use super::registry;
use crate::error::{Error, ErrorKind, Result};
use crate::expr::aggregate::Fold;
use crate::types::Value;

static REGISTERED: RwLock<BTreeMap<&'static str, &'static Function>> = RwLock::new(BTreeMap::new());

/// A function of the embedder's, to be [registered](UserFunction::register).
pub struct UserFunction {
    function: Function,
}

impl UserFunction {
    /// One value from one row.
    pub fn scalar(name: &str) -> Self {
        Self { function: Function::scalar(kept(&name.to_uppercase()), USER, "") }
    }

    /// Many rows from one row: its overloads return the ARRAY of what the row becomes.
    pub fn table(name: &str) -> Self {
        Self { function: Function::table(kept(&name.to_uppercase()), USER, "") }
    }

    /// One value from many rows.
    pub fn aggregate(name: &str) -> Self {
        Self { function: Function::aggregate(kept(&name.to_uppercase()), USER, "") }
    }

    /// What it does, its NULL rule and its errors, for `DESCRIBE FUNCTION`.
    #[must_use]
    pub fn about(mut self, text: &str) -> Self {
        self.function = self.function.about(kept(text));
        self
    }

    /// A call and its result, for people.
    #[must_use]
    pub fn example(mut self, text: &str) -> Self {
        self.function = self.function.example(kept(text));
        self
    }

    /// Says that equal arguments do not give equal results.
    #[must_use]
    pub fn volatile(mut self) -> Self {
        self.function = self.function.volatile();
        self
    }

    /// Keeps it out of `SHOW FUNCTIONS`.
    #[must_use]
    pub fn unlisted(mut self) -> Self {
        self.function = self.function.unlisted();
        self
    }

    /// An overload that is NULL when an argument is. A value of another type than the signature's becomes NULL; what
    /// an error says goes to the processing log, and the cell is NULL.
    #[must_use]
    pub fn strict(
        self,
        signature: &str,
        f: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static,
    ) -> Self {
        self.overload(signature, Body::Shared { strict: true, f: Arc::new(f) })
    }

    /// An overload that sees NULL arguments.
    #[must_use]
    pub fn rows(self, signature: &str, f: impl Fn(&[Value]) -> Result<Value, String> + Send + Sync + 'static) -> Self {
        self.overload(signature, Body::Shared { strict: false, f: Arc::new(f) })
    }

    /// An overload of an aggregate, whose last `literals` parameters must be constants: `make` gets their values.
    #[must_use]
    pub fn folding(
        self,
        signature: &str,
        literals: usize,
        make: impl Fn(&[Value]) -> Result<Arc<dyn Fold>, String> + Send + Sync + 'static,
    ) -> Self {
        self.overload(signature, Body::Fold { literals, make: Arc::new(make) })
    }

    fn overload(mut self, signature: &str, body: Body) -> Self {
        self.function = self.function.overload(kept(signature), body);
        self
    }

    /// Makes it callable, for every engine of this process.
    pub fn register(self) -> Result<()> {
        let function = self.function;
        let name = function.name;
        if let Some(text) = function.malformed().first() {
            return Err(Error::semantic(format!("the signature of {name} cannot be read: {text}"))
                .hint("Write it like (text STRING, from INT...) -> STRING."));
        }
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.is_empty() {
            return Err(Error::semantic(format!("{name:?} is no name of a function")));
        }
        let mut registered = REGISTERED.write().unwrap_or_else(PoisonError::into_inner);
        if registry::find(name).is_some() || registered.contains_key(name) {
            return Err(Error::new(ErrorKind::Conflict, format!("there is a function {name} already")));
        }
        registered.insert(name, Box::leak(Box::new(function)));
        Ok(())
    }
}

const USER: &str = "YOUR OWN";

/// Functions live as long as the process, and so do their texts.
fn kept(text: &str) -> &'static str {
    Box::leak(Box::from(text))
}

/// The registered function of that name.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    REGISTERED.read().unwrap_or_else(PoisonError::into_inner).get(name).copied()
}

/// All that are listed, in order of name.
pub(super) fn listed() -> Vec<(&'static str, &'static Function)> {
    let registered = REGISTERED.read().unwrap_or_else(PoisonError::into_inner);
    registered.iter().map(|(name, function)| (*name, *function)).filter(|(_, function)| !function.unlisted).collect()
}

#[cfg(test)]
mod tests {
    use arrow::array::{Array, ArrayRef};

    use super::*;
    use crate::expr::functions::{ArgType, all, kind_of, resolve_scalar};
    use crate::types::SqlType;

    #[test]
    fn a_function_of_rust_is_called_like_any_other() {
        let add = |args: &[Value]| match &args[0] {
            Value::Int(v) if *v > 100 => Err(format!("{v} is too much")),
            Value::Int(v) => Ok(Value::BigInt(i64::from(*v) + args.len() as i64)),
            _ => Ok(Value::Null),
        };
        let named = || UserFunction::scalar("user_plus_args").about("Adds how many arguments there are.");
        named().strict("(n INT, more ANY...) -> BIGINT", add).register().expect("a new name");
        let taken = named().strict("(n INT) -> BIGINT", add).register().expect_err("a name that is taken");
        assert_eq!(taken.kind(), ErrorKind::Conflict);
        assert!(UserFunction::scalar("ABS").strict("(n INT) -> INT", add).register().is_err());
        let malformed = UserFunction::scalar("user_bad").strict("(n INT", add).register().expect_err("no signature");
        assert!(malformed.to_string().contains("(n INT"), "{malformed}");

        let args = [SqlType::Int, SqlType::String, SqlType::array(SqlType::Int)];
        let types: Vec<ArgType> = args.iter().cloned().map(ArgType::Sql).collect();
        let resolved = resolve_scalar("USER_PLUS_ARGS", &types).expect("an overload");
        assert_eq!((&resolved.returns, &resolved.params[2]), (&SqlType::BigInt, &args[2]));
        let cells: Vec<ArrayRef> = vec![
            Value::to_array(&args[0], &[Value::Int(1), Value::Null, Value::Int(101)]),
            Value::to_array(&args[1], &vec![Value::String("a".into()); 3]),
            Value::to_array(&args[2], &vec![Value::Array(Vec::new()); 3]),
        ];
        let mut errors = Vec::new();
        let result = resolved.eval.evaluate(&cells, 3, &mut errors).expect("evaluates");
        assert_eq!(Value::all(result.as_ref()), [Value::BigInt(4), Value::Null, Value::Null]);
        assert_eq!((errors.len(), errors[0].row, errors[0].reason.as_str()), (1, 2, "101 is too much"));
        assert_eq!(result.len(), 3);
    }

    #[test]
    fn unlisted_functions_are_called_but_not_shown() {
        let one = |_: &[Value]| Ok(Value::Int(1));
        UserFunction::scalar("user_hidden").unlisted().rows("() -> INT", one).register().expect("a new name");
        assert!(kind_of("USER_HIDDEN").is_some());
        assert!(all().iter().all(|doc| doc.name != "USER_HIDDEN"));
    }
}
