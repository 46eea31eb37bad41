//! What an engine shows of itself: metrics for Prometheus, health, over HTTP.
//!
//! [`registry`] is the list of metrics, [`text`] writes them down, [`health`] judges, [`server`] answers requests. All of
//! it reads [`crate::engine::QueryStatus`]; nothing of it changes anything.

pub mod health;
pub mod process;
pub mod registry;
pub mod server;
pub mod text;

pub use health::Health;
pub use registry::METRICS;
pub use server::MetricsServer;
