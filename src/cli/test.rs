//! `eddyline test`: SQL tests without a broker.

use super::args::TestArgs;
use super::config::Settings;
use super::failure::Failure;
use super::terminal::Terminal;
use crate::error::Error;

/// Runs `eddyline test`.
pub fn run(_settings: &Settings, _args: &TestArgs, _terminal: &mut Terminal) -> Result<(), Failure> {
    Err(Error::unsupported("test runner").into())
}
