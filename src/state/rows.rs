//! [`RowCodec`]: rows of columns to byte strings and back. The bytes of two rows order as the rows do.

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;
use arrow::row::{RowConverter, RowParser, Rows, SortField};

use crate::error::Result;

/// Encodes rows of fixed column types.
pub struct RowCodec {
    converter: RowConverter,
    parser: RowParser,
}

impl RowCodec {
    /// A codec of rows with these column types.
    pub fn new(types: impl IntoIterator<Item = DataType>) -> Result<Self> {
        let converter = RowConverter::new(types.into_iter().map(SortField::new).collect())?;
        let parser = converter.parser();
        Ok(Self { converter, parser })
    }

    /// The rows of `columns`.
    pub fn encode(&self, columns: &[ArrayRef]) -> Result<Rows> {
        Ok(self.converter.convert_columns(columns)?)
    }

    /// Columns of encoded rows.
    pub fn decode<'a>(&self, rows: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<ArrayRef>> {
        Ok(self.converter.convert_rows(rows.into_iter().map(|row| self.parser.parse(row)))?)
    }
}
