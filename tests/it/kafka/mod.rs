//! Tests against a real Apache Kafka, read and written by rdkafka directly rather than through Eddyline's broker.

mod bank;
mod faults;
mod outage;
mod queries;
mod repl;
pub mod world;
