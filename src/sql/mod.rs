//! KSQL text to [`ast::Statement`] and back. `sqlparser` tokenizes under our dialect; the grammar is ours.
//!
//! **Invariant:** `parse(print(s)) == s` for every statement (spans do not count).

pub mod ast;
