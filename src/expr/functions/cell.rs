//! Reading [`Value`]s whose type the chosen overload guarantees, and caches that live as long as a compiled call.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::array::{Array, AsArray};
use arrow::datatypes::DataType;

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
/// Patterns are nearly always literals, so the last one is looked at first; ones that vary row by row empty the cache
/// now and then instead of growing without bound.
pub(crate) struct Cache<T> {
    make: fn(&str) -> Result<T, String>,
    made: Mutex<Made<T>>,
}

struct Made<T> {
    last: String,
    all: HashMap<String, Result<Arc<T>, String>>,
    /// What `last` gave.
    found: Option<Result<Arc<T>, String>>,
}

const CACHE_LIMIT: usize = 256;

impl<T> Cache<T> {
    pub(crate) fn new(make: fn(&str) -> Result<T, String>) -> Self {
        Self { make, made: Mutex::new(Made { last: String::new(), all: HashMap::new(), found: None }) }
    }

    pub(crate) fn get(&self, text: &str) -> Result<Arc<T>, String> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = made.found.as_ref().filter(|_| made.last == text) {
            return found.clone();
        }
        if made.all.len() >= CACHE_LIMIT {
            made.all.clear();
        }
        let found = match made.all.get(text) {
            Some(found) => found.clone(),
            None => {
                let found = (self.make)(text).map(Arc::new);
                made.all.insert(text.to_owned(), found.clone());
                found
            }
        };
        made.last.clear();
        made.last.push_str(text);
        made.found = Some(found.clone());
        found
    }
}

/// Replaces the cell by that of a row, reusing its memory.
pub(crate) fn refill(cell: &mut Value, array: &dyn Array, row: usize) {
    match cell {
        Value::String(text) if array.data_type() == &DataType::Utf8 && array.is_valid(row) => {
            text.clear();
            text.push_str(array.as_string::<i32>().value(row));
        }
        _ => *cell = Value::from_array(array, row),
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
