//! DataFusion's vectorised functions behind our declarations, where they mean the same.

use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion::config::ConfigOptions;
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF};

use super::declare::{Call, ColumnFn};
use crate::error::Error;

/// Evaluates a call through `udf`. **Invariant:** its result has the Arrow type of the declared one.
pub(super) fn through(udf: Arc<ScalarUDF>, call: &Call) -> ColumnFn {
    let arg_fields: Vec<_> = call.params.iter().map(|ty| Arc::new(Field::new("", ty.arrow(), true))).collect();
    let return_field = Arc::new(Field::new("", call.returns.arrow(), true));
    let config = Arc::new(ConfigOptions::default());
    Box::new(move |args, rows, _| {
        let args = ScalarFunctionArgs {
            args: args.iter().cloned().map(ColumnarValue::Array).collect(),
            arg_fields: arg_fields.clone(),
            number_rows: rows,
            return_field: Arc::clone(&return_field),
            config_options: Arc::clone(&config),
        };
        let result = udf.invoke_with_args(args).and_then(|value| value.into_array(rows));
        result.map_err(|source| Error::internal(format!("function {}", udf.name())).caused_by(source))
    })
}
