//! Types as written to [`SqlType`], custom names looked up in the catalog.

use crate::catalog::Catalog;
use crate::error::{Error, Result, did_you_mean};
use crate::sql::ast::{Name, TypeExpr};
use crate::types::sql_type::DECIMAL_PRECISION_MAX;
use crate::types::{SqlType, StructField};

const BUILT_IN: [(&str, SqlType); 13] = [
    ("BOOLEAN", SqlType::Boolean),
    ("INT", SqlType::Int),
    ("INTEGER", SqlType::Int),
    ("BIGINT", SqlType::BigInt),
    ("DOUBLE", SqlType::Double),
    ("VARCHAR", SqlType::String),
    ("STRING", SqlType::String),
    ("BYTES", SqlType::Bytes),
    ("TIME", SqlType::Time),
    ("DATE", SqlType::Date),
    ("TIMESTAMP", SqlType::Timestamp),
    // Written without parameters, these are mistakes with their own message.
    ("DECIMAL", SqlType::Decimal(0, 0)),
    ("STRUCT", SqlType::Struct(Vec::new())),
];

/// The type that `ty` names.
pub fn resolve_type(ty: &TypeExpr, catalog: &Catalog) -> Result<SqlType> {
    Ok(match ty {
        TypeExpr::Named(name) => named(name, catalog)?,
        TypeExpr::Decimal(precision, scale) => decimal(*precision, *scale)?,
        TypeExpr::Array(item) => SqlType::array(resolve_type(item, catalog)?),
        TypeExpr::Map(key, value) => SqlType::map(resolve_type(key, catalog)?, resolve_type(value, catalog)?),
        TypeExpr::Struct(fields) => {
            let mut resolved: Vec<StructField> = Vec::with_capacity(fields.len());
            for (name, ty) in fields {
                if resolved.iter().any(|field| field.name == name.text) {
                    return Err(Error::semantic(format!("the struct has two fields named {}", name.text))
                        .at(name.span)
                        .hint("Rename one of them."));
                }
                resolved.push(StructField::new(&name.text, resolve_type(ty, catalog)?));
            }
            SqlType::Struct(resolved)
        }
    })
}

fn decimal(precision: u8, scale: u8) -> Result<SqlType> {
    let message = match (precision, scale) {
        (0, _) => "the precision of a DECIMAL must be at least 1".to_owned(),
        (p, s) if s > p => format!("DECIMAL({p}, {s}) has more digits after the point than digits"),
        // The type may promise more digits than a value can have; those that need them are errors of the data.
        (_, s) if s > DECIMAL_PRECISION_MAX => {
            return Err(Error::unsupported(format!("DECIMAL with {s} digits after the point"))
                .hint(format!("At most {DECIMAL_PRECISION_MAX} digits are held exactly.")));
        }
        (p, s) => return Ok(SqlType::Decimal(p, s)),
    };
    Err(Error::semantic(message).hint("DECIMAL(precision, scale): DECIMAL(10, 2) holds up to 99999999.99."))
}

fn named(name: &Name, catalog: &Catalog) -> Result<SqlType> {
    let upper = name.text.to_uppercase();
    match upper.as_str() {
        "DECIMAL" => {
            return Err(Error::semantic("DECIMAL needs a precision and a scale")
                .at(name.span)
                .hint("Write DECIMAL(precision, scale), for example DECIMAL(10, 2)."));
        }
        "STRUCT" | "ARRAY" | "MAP" => {
            return Err(Error::semantic(format!("{upper} needs the types of its contents"))
                .at(name.span)
                .hint("ARRAY<INT>, MAP<STRING, INT>, STRUCT<name STRING, age INT>."));
        }
        _ => {}
    }
    if let Some((_, ty)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == upper) {
        return Ok(ty.clone());
    }
    if let Some(ty) = catalog.custom_type(&name.text) {
        return Ok(ty.clone());
    }
    let error = Error::semantic(format!("unknown type {}", name.text)).at(name.span);
    let custom = catalog.custom_types().map(|(name, _)| name.as_str());
    Err(match did_you_mean(&name.text, BUILT_IN.iter().map(|(name, _)| *name).chain(custom)) {
        Some(near) => error.hint(format!("Did you mean {near}?")),
        None => error.hint("SHOW TYPES lists custom types; CREATE TYPE declares one."),
    })
}
