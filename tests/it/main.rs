//! Integration tests. Those that need a Kafka lie in modules named `kafka`, so that `--skip kafka::` leaves them out.

mod broker;
mod cli;
mod engine;
mod kafka;
mod observe;
mod pace;
mod processes;
mod recomputed;
mod reference;
mod simulated;
mod simulation;
mod sql_scripts;
mod state;
mod support;
mod tidy;
mod upgrade;
