//! The program from the outside: transcripts of `eddyline` on its embedded broker.

mod demo;
mod explain;
mod metrics;
mod program;
mod run;
mod sql;
mod test;
