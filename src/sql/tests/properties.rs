//! What holds for every tree and for every text.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::select;

use super::arbitrary;
use crate::sql::{lexer, parse_expr, parse_script, parse_statement, parse_type, split_statements, substitute};

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn printed_statements_read_back(kind in arbitrary::statement()) {
        let text = kind.to_string();
        let read = parse_statement(&text);
        prop_assert!(read.is_ok(), "{}\n{:?}", text, read);
        let read = read.unwrap();
        prop_assert_eq!(&read.kind, &kind, "{}", text);
        prop_assert_eq!(&read.text, &text);
        prop_assert_eq!(read.kind.to_string(), text);
    }

    #[test]
    fn printed_expressions_read_back(expr in arbitrary::expr()) {
        let text = expr.to_string();
        let read = parse_expr(&text);
        prop_assert!(read.is_ok(), "{}\n{:?}", text, read);
        prop_assert_eq!(read.unwrap(), expr, "{}", text);
    }

    #[test]
    fn printed_types_read_back(ty in arbitrary::type_expr()) {
        prop_assert_eq!(parse_type(&ty.to_string()).unwrap(), ty);
    }

    #[test]
    fn no_text_makes_it_panic(text in soup()) {
        for error in [parse_script(&text).err(), parse_expr(&text).err()].into_iter().flatten() {
            let span = error.span().expect("every syntax error has a place");
            prop_assert!(span.start <= span.end && span.end <= text.len(), "{:?}", span);
            prop_assert!(text.is_char_boundary(span.start) && text.is_char_boundary(span.end));
        }
        let mut end = 0;
        for (span, _) in lexer(&text) {
            prop_assert!(span.start >= end && span.start < span.end);
            prop_assert!(text[end..span.start].chars().all(char::is_whitespace), "only space between pieces");
            end = span.end;
        }
        prop_assert!(text[end..].chars().all(char::is_whitespace));
        for piece in split_statements(&text) {
            prop_assert!(!text[piece.span.start..piece.span.end].is_empty() && piece.span.end <= piece.end);
        }
        let _ = substitute(&text, &BTreeMap::new());
    }
}

/// Fragments of KSQL and of nonsense in any order.
fn soup() -> impl Strategy<Value = String> {
    let fragment = select(vec![
        "SELECT ",
        "* ",
        "FROM ",
        "WHERE ",
        "a",
        "b.",
        "`c",
        "`",
        "\"",
        "'",
        "''",
        "(",
        ")",
        "[",
        "]",
        "<",
        ">",
        ">>",
        "->",
        "->*",
        "=>",
        ":=",
        "=",
        "==",
        "||",
        "||/",
        "||/*",
        "/*",
        "*/",
        "--",
        "\n",
        "\r",
        " ",
        ";",
        ",",
        "1",
        "1.",
        ".5",
        "1e",
        "1e3",
        "0x",
        "0x1",
        "9223372036854775808",
        "99999999999999999999",
        "x'",
        "n'",
        "é",
        "ß",
        "\u{2028}",
        "$",
        "${",
        "}",
        "@",
        "#",
        "!",
        "?",
        "\\",
        "CREATE ",
        "STREAM ",
        "TABLE ",
        "AS ",
        "WITH ",
        "KEY ",
        "INT ",
        "ARRAY",
        "MAP",
        "STRUCT",
        "CASE ",
        "WHEN ",
        "THEN ",
        "END ",
        "CAST",
        "NOT ",
        "IN ",
        "LIKE ",
        "BETWEEN ",
        "AND ",
        "IS ",
        "NULL ",
        "GROUP BY ",
        "WINDOW ",
        "TUMBLING ",
        "SIZE ",
        "5 ",
        "MINUTES ",
        "JOIN ",
        "ON ",
        "WITHIN ",
        "EMIT ",
        "CHANGES ",
        "LIMIT ",
        "INSERT INTO ",
        "VALUES ",
        "ASSERT ",
        "EXPLAIN ",
        "DROP ",
        "ALTER ",
        "ADD ",
        "COLUMN ",
        "._",
        "-",
        "+",
        "NULL VALUES ",
        "DESCRIBE ",
        "SHOW ",
        "PRINT ",
        "SET ",
        "DEFINE ",
        "ADVANCE TIME BY ",
    ]);
    prop::collection::vec(prop_oneof![20 => fragment.prop_map(str::to_string), 1 => any::<String>()], 0..25)
        .prop_map(|parts| parts.concat())
}
