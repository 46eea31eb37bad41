//! Integration tests. Those that need a Kafka lie in modules named `kafka`, so that `--skip kafka::` leaves them out.

mod broker;
mod engine;
mod kafka;
mod support;
mod tidy;
