//! [`RowCodec`]: rows of columns to byte strings and back. The bytes of two rows order as the rows do.
//!
//! **Invariant:** encodings are self-delimiting, column after column: the encoding of the first columns is a prefix of
//! the whole row's, and no row's encoding is a proper prefix of another's of the same codec.

use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, new_null_array};
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, RowParser, Rows, SortField};

use crate::error::Result;

/// Encodes rows of fixed column types.
pub struct RowCodec {
    converter: RowConverter,
    parser: RowParser,
    types: Vec<DataType>,
}

impl RowCodec {
    /// A codec of rows with these column types.
    pub fn new(types: impl IntoIterator<Item = DataType>) -> Result<Self> {
        let types: Vec<DataType> = types.into_iter().collect();
        let mut fields: Vec<_> = types.iter().cloned().map(SortField::new).collect();
        if fields.is_empty() {
            // A converter without columns could not tell how many rows there are.
            fields.push(SortField::new(DataType::Boolean));
        }
        let converter = RowConverter::new(fields)?;
        let parser = converter.parser();
        Ok(Self { converter, parser, types })
    }

    /// The rows of `columns`, of which there must be at least one.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        Ok(self.converter.convert_columns(columns)?)
    }

    /// The first `len` rows of `columns`, which may be none.
    pub fn encode_rows(&self, columns: &[ArrayRef], len: usize) -> Result<Rows> {
        if self.types.is_empty() {
            return self.encode(&[Arc::new(BooleanArray::from(vec![false; len])) as ArrayRef]);
        }
        self.encode(columns)
    }

    /// The row whose columns are all NULL.
    pub fn null_row(&self) -> Result<Vec<u8>> {
        let columns: Vec<_> = self.types.iter().map(|ty| new_null_array(ty, 1)).collect();
        Ok(self.encode_rows(&columns, 1)?.row(0).data().to_vec())
    }

    /// Columns of encoded rows.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        if self.types.is_empty() {
            return Ok(Vec::new());
        }
        Ok(self.converter.convert_rows(rows.into_iter().map(|row| self.parser.parse(row)))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{SqlType, StructField, Value};

    #[test]
    fn rows_survive_nested_types_and_no_columns() {
        let types = [
            SqlType::String,
            SqlType::map(SqlType::String, SqlType::array(SqlType::Int)),
            SqlType::Struct(vec![StructField::new("D", SqlType::Decimal(5, 2))]),
        ];
        let cells = [
            vec![Value::String("a".into()), Value::Null],
            vec![
                Value::Map(vec![(Value::String("k".into()), Value::Array(vec![Value::Int(1), Value::Null]))]),
                Value::Null,
            ],
            vec![Value::Struct(vec![Value::Null]), Value::Null],
        ];
        let columns: Vec<_> = types.iter().zip(&cells).map(|(ty, values)| Value::to_array(ty, values)).collect();
        let codec = RowCodec::new(types.iter().map(SqlType::arrow)).expect("types");
        let rows = codec.encode_rows(&columns, 2).expect("columns");
        assert_eq!(rows.row(1).data(), codec.null_row().expect("nulls"));
        let back = codec.decode(rows.iter().map(|row| row.data())).expect("rows");
        assert_eq!(back, columns);

        let none = RowCodec::new([]).expect("types");
        let rows = none.encode_rows(&[], 3).expect("columns");
        assert_eq!(rows.num_rows(), 3);
        assert!(none.decode([rows.row(0).data()]).expect("rows").is_empty());
    }

    #[test]
    fn leading_columns_are_a_prefix() {
        let text = Value::to_array(&SqlType::String, &[Value::String("user".into())]);
        let number = Value::to_array(&SqlType::BigInt, &[Value::BigInt(7)]);
        let first = RowCodec::new([DataType::Utf8]).expect("types");
        let both = RowCodec::new([DataType::Utf8, DataType::Int64]).expect("types");
        let prefix = first.encode(&[Arc::clone(&text)]).expect("column");
        let whole = both.encode(&[text, number]).expect("columns");
        assert!(whole.row(0).data().starts_with(prefix.row(0).data()));
    }
}
