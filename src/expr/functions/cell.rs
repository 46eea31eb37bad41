//! Reading [`Value`]s whose type the chosen overload guarantees, and caches that live as long as a compiled call.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::types::{Decimal, Value};

/// What a row function computes.
pub(crate) type Cell = Result<Value, String>;

/// Views of a cell. **Invariant:** called only on non-NULL cells of the parameter's type; on others they are empty.
pub(crate) trait View {
    fn text(&self) -> &str;
    fn blob(&self) -> &[u8];
    fn flag(&self) -> bool;
    fn int(&self) -> i64;
    fn double(&self) -> f64;
    fn decimal(&self) -> Decimal;
    fn items(&self) -> &[Value];
    fn entries(&self) -> &[(Value, Value)];
}

impl View for Value {
    fn text(&self) -> &str {
        self.as_str().unwrap_or_default()
    }

    fn blob(&self) -> &[u8] {
        match self {
            Value::Bytes(bytes) => bytes,
            _ => &[],
        }
    }

    fn flag(&self) -> bool {
        *self == Value::Boolean(true)
    }

    fn int(&self) -> i64 {
        match self {
            Value::Int(v) | Value::Time(v) | Value::Date(v) => i64::from(*v),
            Value::BigInt(v) | Value::Timestamp(v) => *v,
            _ => 0,
        }
    }

    fn double(&self) -> f64 {
        match self {
            Value::Double(v) => *v,
            _ => 0.0,
        }
    }

    fn decimal(&self) -> Decimal {
        match self {
            Value::Decimal(v) => *v,
            _ => Decimal::new(0, 0),
        }
    }

    fn items(&self) -> &[Value] {
        match self {
            Value::Array(items) | Value::Struct(items) => items,
            _ => &[],
        }
    }

    fn entries(&self) -> &[(Value, Value)] {
        match self {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }
}

/// A string cell.
pub(crate) fn string(text: impl Into<String>) -> Cell {
    Ok(Value::String(text.into()))
}

/// Things made from text once per distinct text: regular expressions, date patterns, time zones, JSON paths.
///
/// Patterns are nearly always literals; one that varies row by row empties the cache now and then instead of growing
/// without bound.
pub(crate) struct Cache<T> {
    make: fn(&str) -> Result<T, String>,
    made: Mutex<HashMap<String, Result<Arc<T>, String>>>,
}

const CACHE_LIMIT: usize = 256;

impl<T> Cache<T> {
    pub(crate) fn new(make: fn(&str) -> Result<T, String>) -> Self {
        Self { make, made: Mutex::new(HashMap::new()) }
    }

    pub(crate) fn get(&self, text: &str) -> Result<Arc<T>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.get(text) {
            return found.clone();
        }
        if made.len() >= CACHE_LIMIT {
            made.clear();
        }
        let result = (self.make)(text).map(Arc::new);
        made.insert(text.to_owned(), result.clone());
        result
    }
}

/// A value with the total order of its type, to sort and to find equals by.
#[derive(Debug, Clone)]
pub(crate) struct Ordered(pub(crate) Value);

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ordered {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ordered {}
