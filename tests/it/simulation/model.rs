//! Plain calculations of what some queries must bring.

use super::case::Case;
use super::oracle::Seen;

/// Whether the outputs are what a calculation says, where there is one.
pub fn check(_case: &Case, _outputs: &[Vec<Seen>]) -> Result<(), String> {
    Ok(())
}
