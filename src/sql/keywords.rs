//! Which words mean something, and which of them cannot be names.
//!
//! **Invariant:** every list is sorted; `tests` checks it.

/// Words that are never names unless quoted.
pub(super) const RESERVED: &[&str] = &[
    "AND", "AS", "BETWEEN", "CASE", "CAST", "CREATE", "DISTINCT", "DROP", "ELSE", "END", "FALSE", "FROM", "FULL",
    "GROUP", "HAVING", "IN", "INNER", "INSERT", "INTO", "IS", "JOIN", "LEFT", "LIKE", "NOT", "NULL", "ON", "OR",
    "OUTER", "RIGHT", "SELECT", "THEN", "TRUE", "WHEN", "WHERE", "WITH", "WITHIN",
];

/// Words that begin a clause: names everywhere but where an alias without `AS` could stand.
pub(super) const CLAUSE: &[&str] = &["EMIT", "LIMIT", "OFFSET", "ORDER", "PARTITION", "UNION", "WINDOW"];

/// Words with a syntax of their own in expressions and types: names, but printed in quotes.
const CONSTRUCTORS: &[&str] = &["ARRAY", "DECIMAL", "MAP", "STRUCT"];

/// Words that begin a statement.
pub(super) const LEADING: &[&str] = &[
    "ADVANCE",
    "ALTER",
    "ASSERT",
    "CREATE",
    "DEFINE",
    "DESCRIBE",
    "DROP",
    "EXPLAIN",
    "INSERT",
    "LIST",
    "PAUSE",
    "PRINT",
    "RESUME",
    "RUN",
    "SELECT",
    "SET",
    "SHOW",
    "TERMINATE",
    "UNDEFINE",
    "UNSET",
];

/// Every word with a meaning, for completion and highlighting.
pub const KEYWORDS: &[&str] = &[
    "ADD",
    "ADVANCE",
    "ALL",
    "ALTER",
    "AND",
    "ARRAY",
    "AS",
    "ASC",
    "ASSERT",
    "BEGINNING",
    "BETWEEN",
    "BIGINT",
    "BOOLEAN",
    "BY",
    "BYTES",
    "CASE",
    "CAST",
    "CHANGES",
    "COLUMN",
    "CREATE",
    "DATE",
    "DAYS",
    "DECIMAL",
    "DEFINE",
    "DELETE",
    "DESC",
    "DESCRIBE",
    "DISTINCT",
    "DOUBLE",
    "DROP",
    "ELSE",
    "EMIT",
    "END",
    "ESCAPE",
    "EXISTS",
    "EXPLAIN",
    "EXTENDED",
    "FALSE",
    "FINAL",
    "FROM",
    "FULL",
    "FUNCTION",
    "FUNCTIONS",
    "GRACE",
    "GROUP",
    "HAVING",
    "HEADER",
    "HEADERS",
    "HOPPING",
    "HOURS",
    "IF",
    "IN",
    "INNER",
    "INSERT",
    "INT",
    "INTEGER",
    "INTERVAL",
    "INTO",
    "IS",
    "JOIN",
    "KEY",
    "LEFT",
    "LIKE",
    "LIMIT",
    "LIST",
    "MAP",
    "MILLISECONDS",
    "MINUTES",
    "NOT",
    "NULL",
    "ON",
    "OR",
    "ORDER",
    "OUTER",
    "PARTITION",
    "PAUSE",
    "PERIOD",
    "PRIMARY",
    "PRINT",
    "PROPERTIES",
    "QUERIES",
    "REPLACE",
    "RESUME",
    "RETENTION",
    "RIGHT",
    "RUN",
    "SAMPLE",
    "SCHEMA",
    "SCRIPT",
    "SECONDS",
    "SELECT",
    "SESSION",
    "SET",
    "SHOW",
    "SIZE",
    "SOURCE",
    "STREAM",
    "STREAMS",
    "STRING",
    "STRUCT",
    "SYSTEM",
    "TABLE",
    "TABLES",
    "TERMINATE",
    "THEN",
    "TIME",
    "TIMEOUT",
    "TIMESTAMP",
    "TOPIC",
    "TOPICS",
    "TRUE",
    "TUMBLING",
    "TYPE",
    "TYPES",
    "UNDEFINE",
    "UNSET",
    "VALUES",
    "VARCHAR",
    "VARIABLES",
    "WHEN",
    "WHERE",
    "WINDOW",
    "WITH",
    "WITHIN",
];

/// Whether `word`, in upper case, is never a name unless quoted.
pub(super) fn is_reserved(word: &str) -> bool {
    RESERVED.binary_search(&word).is_ok()
}

/// Whether `word`, in upper case, begins a clause.
pub(super) fn is_clause(word: &str) -> bool {
    CLAUSE.binary_search(&word).is_ok()
}

/// Whether `word`, in upper case, begins a statement.
pub(super) fn is_leading(word: &str) -> bool {
    LEADING.binary_search(&word).is_ok()
}

/// Whether `word`, in any case, has a meaning of its own.
pub fn is_keyword(word: &str) -> bool {
    KEYWORDS.binary_search(&word.to_ascii_uppercase().as_str()).is_ok()
}

/// Whether a name has to be quoted so that reading it gives the same name again.
pub(super) fn needs_quotes(name: &str) -> bool {
    let mut chars = name.chars();
    let plain = chars.next().is_some_and(|c| c.is_ascii_uppercase() || c == '_')
        && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == '@');
    !plain || is_reserved(name) || CONSTRUCTORS.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        for list in [RESERVED, CLAUSE, LEADING, KEYWORDS] {
            assert!(list.is_sorted(), "{list:?}");
        }
    }

    #[test]
    fn only_upper_case_plain_names_go_unquoted() {
        for name in ["A", "_A1", "USER_ID", "TIMESTAMP", "STATUS", "WINDOW", "A@B", "ORDER", "COUNT"] {
            assert!(!needs_quotes(name), "{name}");
        }
        for name in ["", "a", "1A", "A-B", "SELECT", "ARRAY", "É", "@A", "A B"] {
            assert!(needs_quotes(name), "{name}");
        }
    }
}
