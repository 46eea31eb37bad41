//! Queries to [`topology::Topology`]: names bound, types checked, keys and repartitioning decided.

pub mod topology;
