//! Tests of the operators: tables of text in and out, and the property that batching is unobservable.

mod aggregation;
mod bench;
mod expiry;
mod functions;
mod joins;
mod sessions;
mod splits;
mod stateless;
mod tables;
mod test_calls;
mod truth;
