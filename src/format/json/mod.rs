//! JSON: an object a record, or a bare value for a single unwrapped column.
//!
//! **Invariant:** nothing is allocated for a record that holds what earlier ones held (same names, in any order).

mod coerce;
mod course;
mod decode;
mod encode;
mod fields;
mod text;

pub(super) use decode::JsonDecoder;
pub(super) use encode::JsonEncoder;
pub(super) use text::write_string;

#[cfg(test)]
mod tests;
