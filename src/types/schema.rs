//! [`LogicalSchema`]: the columns of a source or of an operator's output, in their namespaces.
//!
//! **Invariant:** the Arrow form of a schema lists the key columns, then `WINDOWSTART` and `WINDOWEND` when the key is
//! windowed, then the value columns (header columns among them, in declaration order).

use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use serde::{Deserialize, Serialize};

use super::{SqlType, quote_identifier};

/// Where a column's data lives.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Namespace {
    /// Part of the record's key.
    Key,
    /// Part of the record's value.
    Value,
    /// All headers (`None`) or the last header of that name.
    Headers(Option<String>),
}

/// A named and typed column.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Column {
    /// Its name, case kept.
    pub name: String,
    /// Its type.
    pub ty: SqlType,
    /// Where its data lives.
    pub namespace: Namespace,
}

impl Column {
    /// A key column.
    pub fn key(name: impl Into<String>, ty: SqlType) -> Self {
        Self { name: name.into(), ty, namespace: Namespace::Key }
    }

    /// A value column.
    pub fn value(name: impl Into<String>, ty: SqlType) -> Self {
        Self { name: name.into(), ty, namespace: Namespace::Value }
    }

    /// Its Arrow field.
    pub fn field(&self) -> Field {
        Field::new(&self.name, self.ty.arrow(), true)
    }
}

/// Columns that every record has without declaring them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SystemColumn {
    /// Event time in milliseconds.
    RowTime,
    /// Partition of the source topic.
    RowPartition,
    /// Offset in that partition.
    RowOffset,
    /// Start of the key's window.
    WindowStart,
    /// End of the key's window.
    WindowEnd,
}

impl SystemColumn {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::RowTime, Self::RowPartition, Self::RowOffset, Self::WindowStart, Self::WindowEnd];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::RowTime => "ROWTIME",
            Self::RowPartition => "ROWPARTITION",
            Self::RowOffset => "ROWOFFSET",
            Self::WindowStart => "WINDOWSTART",
            Self::WindowEnd => "WINDOWEND",
        }
    }

    /// Its type.
    pub fn ty(self) -> SqlType {
        if self == Self::RowPartition { SqlType::Int } else { SqlType::BigInt }
    }

    /// The system column of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|column| column.name() == name)
    }
}

/// The columns of a source or of an operator's output.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub struct LogicalSchema {
    /// Key columns first, then the others, each group in declaration order.
    pub columns: Vec<Column>,
    /// Whether the key carries a window.
    pub windowed: bool,
}

impl LogicalSchema {
    /// A schema; key columns are moved to the front.
    pub fn new(columns: Vec<Column>, windowed: bool) -> Self {
        let (mut keys, rest): (Vec<_>, Vec<_>) = columns.into_iter().partition(|c| c.namespace == Namespace::Key);
        keys.extend(rest);
        Self { columns: keys, windowed }
    }

    /// The key columns.
    pub fn key(&self) -> &[Column] {
        &self.columns[..self.key_len()]
    }

    /// Value and header columns.
    pub fn value(&self) -> &[Column] {
        &self.columns[self.key_len()..]
    }

    /// Number of key columns (window bounds not counted).
    pub fn key_len(&self) -> usize {
        self.columns.iter().take_while(|column| column.namespace == Namespace::Key).count()
    }

    /// Number of leading Arrow columns that identify a row: key columns and window bounds.
    pub fn identity_len(&self) -> usize {
        self.key_len() + if self.windowed { 2 } else { 0 }
    }

    /// The declared column of that name.
    pub fn find(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// All columns as they stand in a batch: key, window bounds, value.
    pub fn batch_columns(&self) -> Vec<Column> {
        let mut columns = self.key().to_vec();
        if self.windowed {
            columns.push(Column::key(SystemColumn::WindowStart.name(), SqlType::BigInt));
            columns.push(Column::key(SystemColumn::WindowEnd.name(), SqlType::BigInt));
        }
        columns.extend_from_slice(self.value());
        columns
    }

    /// The Arrow schema of a batch with these columns.
    pub fn arrow(&self) -> SchemaRef {
        Arc::new(Schema::new(self.batch_columns().iter().map(Column::field).collect::<Vec<_>>()))
    }
}

/// The element type of an all-headers column.
pub fn headers_type() -> SqlType {
    SqlType::array(SqlType::Struct(vec![
        super::StructField::new("KEY", SqlType::String),
        super::StructField::new("VALUE", SqlType::Bytes),
    ]))
}

/// Whether an Arrow type is the one of all-headers columns.
pub fn is_headers_type(data_type: &DataType) -> bool {
    *data_type == headers_type().arrow()
}

/// > KSQL: `` `K` STRING KEY, `V` BIGINT``
impl fmt::Display for LogicalSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, column) in self.columns.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{} {}", quote_identifier(&column.name), column.ty)?;
            match &column.namespace {
                Namespace::Key => f.write_str(" KEY")?,
                Namespace::Value => {}
                Namespace::Headers(None) => f.write_str(" HEADERS")?,
                Namespace::Headers(Some(name)) => write!(f, " HEADER('{name}')")?,
            }
        }
        Ok(())
    }
}
