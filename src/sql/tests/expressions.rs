//! Expressions and types: precedence, brackets, literals, names.

use crate::error::Span;
use crate::sql::ast::{ExprKind, TypeExpr};
use crate::sql::{parse_expr, parse_type};

/// Reads and prints.
fn print(text: &str) -> String {
    parse_expr(text).unwrap_or_else(|e| panic!("{text}: {e}")).to_string()
}

#[test]
fn prints_in_the_one_normal_form() {
    for (text, printed) in [
        // Names.
        ("timestamp", "TIMESTAMP"),
        ("`timestamp`", "`timestamp`"),
        ("\"Status\"", "`Status`"),
        ("`UPPER`", "UPPER"),
        ("o.Status", "O.STATUS"),
        ("`a``b`", "`a``b`"),
        ("\"a\"\"`b\"", "`a\"``b`"),
        ("1st", "`1ST`"),
        ("key + value - window * count / topic % type", "KEY + VALUE - WINDOW * COUNT / TOPIC % TYPE"),
        ("`FROM`", "`FROM`"),
        ("a@b", "A@B"),
        // Literals.
        ("'it''s'", "'it''s'"),
        ("'a\\'", "'a\\'"),
        ("007", "7"),
        ("1.50", "1.50"),
        ("1E3", "1e3"),
        ("1.5e-3", "1.5e-3"),
        ("true", "TRUE"),
        ("null", "NULL"),
        ("-9223372036854775808", "-9223372036854775808"),
        // Precedence.
        ("a or b and not c = d", "A OR B AND NOT C = D"),
        ("(a or b) and c", "(A OR B) AND C"),
        ("((a)) or ((b and c))", "A OR B AND C"),
        ("not (a and b)", "NOT (A AND B)"),
        ("not not a", "NOT NOT A"),
        ("(not a) = b", "(NOT A) = B"),
        ("(a = b) = (c is null)", "(A = B) = (C IS NULL)"),
        ("a - (b - c) - d", "A - (B - C) - D"),
        ("(a - b) - c", "A - B - C"),
        ("a * (b + c)", "A * (B + C)"),
        ("a + b || c + d", "A + B || C + D"),
        ("(a || b) + c", "(A || B) + C"),
        ("a || (b || c)", "A || (B || C)"),
        ("- a * b", "-A * B"),
        ("-(a * b)", "-(A * B)"),
        ("- - a", "- -A"),
        ("a - -1", "A - -1"),
        ("-a[1]", "-A[1]"),
        ("(-a)[1]", "(-A)[1]"),
        ("a != b", "A <> B"),
        // Predicates.
        ("a is not null and b is null", "A IS NOT NULL AND B IS NULL"),
        ("a is distinct from b or a is not distinct from c", "A IS DISTINCT FROM B OR A IS NOT DISTINCT FROM C"),
        ("a between 1 and 2 and b", "A BETWEEN 1 AND 2 AND B"),
        ("a not between (b and c) and d", "A NOT BETWEEN (B AND C) AND D"),
        ("a in (1, (2 or 3))", "A IN (1, 2 OR 3)"),
        ("a not in ('x')", "A NOT IN ('x')"),
        ("a like '%!%' escape '!'", "A LIKE '%!%' ESCAPE '!'"),
        ("a not like b || '%'", "A NOT LIKE B || '%'"),
        // Constructors and access.
        ("array[1, a][0]", "ARRAY[1, A][0]"),
        ("map('k' := 1, k := v)['k']", "MAP('k' := 1, K := V)['k']"),
        ("struct(f := 1, `g` := x->y)->f", "STRUCT(F := 1, `g` := X->Y)->F"),
        ("map()", "MAP()"),
        ("`ARRAY`[1] + `MAP`", "`ARRAY`[1] + `MAP`"),
        ("s->f->`g`[1]->h", "S->F->`g`[1]->H"),
        // Calls.
        ("count(*) + count() + Sum(x)", "COUNT(*) + COUNT() + SUM(X)"),
        ("left(a, 1) + replace(b, 'x', 'y')", "`LEFT`(A, 1) + REPLACE(B, 'x', 'y')"),
        ("reduce(xs, 0, (s, x) => s + x)", "REDUCE(XS, 0, (S, X) => S + X)"),
        ("filter(xs, (x) => x > 1 and true)", "FILTER(XS, X => X > 1 AND TRUE)"),
        // CASE and CAST.
        ("case when a then b else c end", "CASE WHEN A THEN B ELSE C END"),
        ("case a + 1 when 1 then 'x' when 2 then 'y' end", "CASE A + 1 WHEN 1 THEN 'x' WHEN 2 THEN 'y' END"),
        ("cast(a or b as varchar)", "CAST(A OR B AS VARCHAR)"),
        ("a->b >= c", "A->B >= C"),
        ("a||/* b */c -- d", "A || C"),
    ] {
        assert_eq!(print(text), printed, "{text}");
        assert_eq!(print(printed), printed, "{text}");
    }
}

#[test]
fn integers_beyond_bigint_are_refused() {
    assert_eq!(parse_expr("9223372036854775807").unwrap().kind, ExprKind::Integer(i64::MAX));
    let error = parse_expr("1 + 9223372036854775808").unwrap_err();
    assert_eq!(error.message(), "number 9223372036854775808 is out of range");
    assert_eq!(error.span(), Some(Span::new(4, 23)));
    assert!(parse_expr("1e999").is_err());
}

#[test]
fn spans_cover_the_text_of_each_part() {
    let text = "é + (b * c)->d = f(x => x[1])".replace('é', "`é`");
    let mut seen = Vec::new();
    parse_expr(&text).unwrap().walk(&mut |expr| seen.push(text[expr.span.start..expr.span.end].to_string()));
    assert_eq!(
        seen,
        [
            text.as_str(),
            "`é` + (b * c)->d",
            "`é`",
            "(b * c)->d",
            "(b * c)",
            "b",
            "c",
            "f(x => x[1])",
            "x => x[1]",
            "x[1]",
            "x",
            "1",
        ]
    );
}

#[test]
fn types() {
    for (text, printed) in [
        ("int", "INT"),
        ("decimal(4,2)", "DECIMAL(4, 2)"),
        ("array<map<string,array<int>>>", "ARRAY<MAP<STRING, ARRAY<INT>>>"),
        ("struct<a int, `b` array<string>>", "STRUCT<A INT, `b` ARRAY<STRING>>"),
        ("struct<>", "STRUCT<>"),
        ("struct< >", "STRUCT<>"),
        ("my_type", "MY_TYPE"),
        ("`my type`", "`my type`"),
    ] {
        assert_eq!(parse_type(text).unwrap().to_string(), printed);
        assert_eq!(parse_type(printed).unwrap(), parse_type(text).unwrap());
    }
    assert_eq!(parse_type("DECIMAL(38,0)").unwrap(), TypeExpr::Decimal(38, 0));
    assert_eq!(parse_type("DECIMAL").unwrap_err().hints(), ["Write DECIMAL(precision, scale)."]);
    assert_eq!(parse_type("VARCHAR(10)").unwrap().to_string(), "VARCHAR");
    assert!(parse_type("INT(10)").is_err());
    assert!(parse_type("DECIMAL(300, 0)").unwrap_err().message().contains("out of range"));
}

#[test]
fn depth_and_length_are_bounded() {
    for text in ["(".repeat(5000), "NOT ".repeat(5000), "- ".repeat(5000), "f(".repeat(5000), "CASE ".repeat(5000)] {
        assert_eq!(parse_expr(&text).unwrap_err().message(), "nested too deeply", "{}", &text[..10]);
    }
    assert!(parse_type(&"ARRAY<".repeat(5000)).is_err());
    let chain = |operators: usize, operator: &str| format!("a{}", format!("{operator}1").repeat(operators));
    assert!(parse_expr(&chain(450, " + ")).is_ok());
    assert!(parse_expr(&chain(20_000, " OR ")).is_err());
    assert!(parse_expr(&format!("a{}", "[1]".repeat(20_000))).is_err());
    // What is wide is not high.
    assert!(parse_expr(&format!("a IN ({}1)", "b = 1, ".repeat(5000))).is_ok());
    assert!(parse_expr(&format!("CASE{} END", " WHEN a = 1 AND b THEN 2".repeat(2000))).is_ok());
}
