//! SQL types and their Arrow twins, logical schemas, single values and decimal rules.
//!
//! **Invariant:** one SQL type has exactly one Arrow type ([`SqlType::arrow`]), so that arrays need no further tag.

pub mod date_pattern;
pub mod encoding;
pub mod java_map;
pub mod java_text;
pub mod schema;
pub mod sql_type;
pub mod value;

pub use date_pattern::{DatePattern, Zone};
pub use encoding::{FormatSpec, KeyWindow, SourceKind, TimestampSpec};
pub use schema::{Column, LogicalSchema, Namespace, SystemColumn};
pub use sql_type::{SqlType, StructField, quote_identifier};
pub use value::{Decimal, Value, ValueBuilder};
