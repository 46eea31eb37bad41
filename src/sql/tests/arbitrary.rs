//! Arbitrary trees, limited to those that a text can stand for.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

use crate::error::Span;
use crate::sql::ast::*;
use crate::sql::keywords::{KEYWORDS, RESERVED};
use crate::time::WindowKind;

/// Plain names, keywords, and names that need quotes.
pub(super) fn name() -> BoxedStrategy<Name> {
    prop_oneof![
        4 => "[A-Z_][A-Z0-9_@]{0,4}".boxed(),
        2 => select(KEYWORDS).prop_map(str::to_string).boxed(),
        1 => select(RESERVED).prop_map(str::to_string).boxed(),
        1 => "[a-z0-9 `\"'$é.-]{1,4}".boxed(),
    ]
    .prop_map(Name::synthetic)
    .boxed()
}

fn text() -> BoxedStrategy<String> {
    "[a-zA-Z0-9 '`\"\\\\;\n-ü%_]{0,6}".boxed()
}

fn duration() -> BoxedStrategy<i64> {
    prop_oneof![1..5000i64, (1..100i64).prop_map(|n| n * 60_000), (1..100i64).prop_map(|n| n * 86_400_000)].boxed()
}

fn literal() -> BoxedStrategy<ExprKind> {
    prop_oneof![
        Just(ExprKind::Null),
        any::<bool>().prop_map(ExprKind::Boolean),
        prop_oneof![0..=i64::MAX, Just(i64::MIN), 0..10i64].prop_map(ExprKind::Integer),
        "[0-9]{1,3}\\.[0-9]{0,3}|\\.[0-9]{1,3}".prop_map(ExprKind::Decimal),
        any::<f64>().prop_filter("finite", |v| v.is_finite()).prop_map(|v| ExprKind::Double(v.abs())),
        text().prop_map(ExprKind::String),
    ]
    .boxed()
}

fn column() -> BoxedStrategy<ExprKind> {
    (of(name()), name()).prop_map(|(source, name)| ExprKind::Column { source, name }).boxed()
}

fn boxed(kind: impl Strategy<Value = Expr>) -> impl Strategy<Value = Box<Expr>> {
    kind.prop_map(Box::new)
}

fn wrap(kind: ExprKind) -> Expr {
    Expr::new(kind, Span::default())
}

/// Any expression but a lambda, up to a few levels high.
pub(super) fn expr() -> BoxedStrategy<Expr> {
    prop_oneof![literal(), column()]
        .prop_map(wrap)
        .prop_recursive(5, 40, 3, |inner| {
            let e = || boxed(inner.clone());
            let list = |min: usize| vec(inner.clone(), min..4);
            let unary = select(vec![UnaryOp::Not, UnaryOp::Minus, UnaryOp::Plus]);
            let lambda = (vec(name(), 1..3), e()).prop_map(|(params, body)| wrap(ExprKind::Lambda { params, body }));
            let arguments = vec(prop_oneof![3 => inner.clone(), 1 => lambda], 0..4);
            let pair = || (inner.clone(), inner.clone());
            prop_oneof![
                (unary, e())
                    // The parser reads the smallest BIGINT as one literal, sign included.
                    .prop_map(|(op, expr)| ExprKind::Unary { op, expr }),
                (binary_op(), e(), e()).prop_map(|(op, left, right)| ExprKind::Binary { op, left, right }),
                (e(), any::<bool>()).prop_map(|(expr, negated)| ExprKind::IsNull { expr, negated }),
                (e(), e(), e(), any::<bool>()).prop_map(|(expr, low, high, negated)| ExprKind::Between {
                    expr,
                    low,
                    high,
                    negated
                }),
                (e(), list(1), any::<bool>()).prop_map(|(expr, list, negated)| ExprKind::InList {
                    expr,
                    list,
                    negated
                }),
                (e(), e(), of(any::<char>()), any::<bool>())
                    .prop_map(|(expr, pattern, escape, negated)| ExprKind::Like { expr, pattern, escape, negated }),
                (of(e()), vec(pair(), 1..3), of(e())).prop_map(|(operand, whens, otherwise)| ExprKind::Case {
                    operand,
                    whens,
                    otherwise
                }),
                (e(), type_expr()).prop_map(|(expr, ty)| ExprKind::Cast { expr, ty }),
                (name(), arguments).prop_map(|(name, args)| ExprKind::Call { name, args, star: false }),
                name().prop_map(|name| ExprKind::Call { name, args: vec![], star: true }),
                list(0).prop_map(ExprKind::Array),
                vec(pair(), 0..3).prop_map(ExprKind::Map),
                vec((name(), inner.clone()), 0..3).prop_map(ExprKind::Struct),
                (e(), e()).prop_map(|(base, index)| ExprKind::Subscript { base, index }),
                (e(), name()).prop_map(|(base, field)| ExprKind::Field { base, field }),
            ]
            .prop_map(wrap)
        })
        .boxed()
}

fn binary_op() -> BoxedStrategy<BinaryOp> {
    use BinaryOp::*;
    select(vec![
        Or,
        And,
        Eq,
        NotEq,
        Lt,
        LtEq,
        Gt,
        GtEq,
        IsDistinctFrom,
        IsNotDistinctFrom,
        Add,
        Subtract,
        Multiply,
        Divide,
        Modulo,
        Concat,
    ])
    .boxed()
}

pub(super) fn type_expr() -> BoxedStrategy<TypeExpr> {
    let leaf = prop_oneof![
        name().prop_map(TypeExpr::Named),
        select(vec!["VARCHAR", "INT", "BIGINT", "BYTES"]).prop_map(|n| TypeExpr::Named(Name::synthetic(n))),
        any::<(u8, u8)>().prop_map(|(p, s)| TypeExpr::Decimal(p, s)),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|t| TypeExpr::Array(Box::new(t))),
            (inner.clone(), inner.clone()).prop_map(|(k, v)| TypeExpr::Map(Box::new(k), Box::new(v))),
            vec((name(), inner), 0..3).prop_map(TypeExpr::Struct),
        ]
    })
    .boxed()
}

fn select_item() -> BoxedStrategy<SelectItem> {
    prop_oneof![
        1 => Just(SelectItem::All(AnySpan::default())),
        1 => name().prop_map(SelectItem::AllOf),
        1 => expr().prop_map(SelectItem::Fields),
        5 => (expr(), of(name())).prop_map(|(expr, alias)| SelectItem::Expr { expr, alias }),
    ]
    .boxed()
}

fn source() -> BoxedStrategy<AliasedSource> {
    (name(), of(name())).prop_map(|(name, alias)| AliasedSource { name, alias }).boxed()
}

fn relation() -> BoxedStrategy<Relation> {
    let kind = select(vec![JoinKind::Inner, JoinKind::Left, JoinKind::Right, JoinKind::Full]);
    let within = (duration(), duration(), of(duration())).prop_map(|(before_ms, after_ms, grace_ms)| Within {
        before_ms,
        after_ms,
        grace_ms,
    });
    let join = (kind, source(), of(within), expr()).prop_map(|(kind, source, within, on)| Join {
        kind,
        source,
        within,
        on,
        span: AnySpan::default(),
    });
    (source(), vec(join, 0..3)).prop_map(|(first, joins)| Relation { first, joins }).boxed()
}

fn window() -> BoxedStrategy<WindowExpr> {
    let kind = select(vec![WindowKind::Tumbling, WindowKind::Hopping, WindowKind::Session]);
    (kind, duration(), duration(), of(duration()), of(duration()))
        .prop_map(|(kind, size_ms, advance, retention_ms, grace_ms)| WindowExpr {
            kind,
            size_ms,
            advance_ms: (kind == WindowKind::Hopping).then_some(advance),
            retention_ms,
            grace_ms,
            span: AnySpan::default(),
        })
        .boxed()
}

pub(super) fn query() -> BoxedStrategy<Query> {
    let emit = of(select(vec![Emit::Changes, Emit::Final]));
    let keys = || vec(expr(), 0..3);
    (
        (vec(select_item(), 1..3), relation(), of(window()), of(expr())),
        (keys(), keys(), of(expr()), vec((expr(), any::<bool>()), 0..2), emit, of(any::<u64>())),
    )
        .prop_map(|((select, from, window, filter), (group_by, partition_by, having, order_by, emit, limit))| Query {
            select,
            from,
            window,
            filter,
            group_by,
            partition_by,
            having,
            order_by,
            emit,
            limit,
            span: Span::default(),
        })
        .boxed()
}

fn properties() -> BoxedStrategy<Properties> {
    let key = prop_oneof![4 => "[A-Z_]{1,5}", 1 => "[A-Z .'-]{1,4}"].prop_map(Name::synthetic);
    vec((key, literal()).prop_map(|(key, value)| Property { key, value: wrap(value) }), 0..3).boxed()
}

fn create_source() -> BoxedStrategy<CreateSource> {
    let constraint = prop_oneof![
        Just(Constraint::None),
        Just(Constraint::Key),
        Just(Constraint::PrimaryKey),
        Just(Constraint::Headers),
        text().prop_map(Constraint::Header),
    ];
    let element = (name(), type_expr(), constraint).prop_map(|(name, ty, constraint)| Element { name, ty, constraint });
    (any::<[bool; 4]>(), name(), of(vec(element, 1..3)), properties())
        .prop_map(|([table, or_replace, source, if_not_exists], name, mut elements, properties)| {
            for element in elements.iter_mut().flatten() {
                match (table, &element.constraint) {
                    (true, Constraint::Key) => element.constraint = Constraint::PrimaryKey,
                    (false, Constraint::PrimaryKey) => element.constraint = Constraint::Key,
                    _ => {}
                }
            }
            CreateSource { table, or_replace, source, if_not_exists, name, elements, properties }
        })
        .boxed()
}

fn show() -> BoxedStrategy<Show> {
    any::<(bool, bool)>()
        .prop_flat_map(|(all, extended)| {
            select(vec![
                Show::Streams { extended },
                Show::Tables { extended },
                Show::Queries { extended },
                Show::Topics { all, extended },
                Show::Functions,
                Show::Properties,
                Show::Types,
                Show::Variables,
            ])
        })
        .boxed()
}

/// Any statement.
pub(super) fn statement() -> BoxedStrategy<StatementKind> {
    prop_oneof![sources(), data(), information(), session(), assertions()]
        .prop_recursive(1, 2, 1, |inner| {
            inner.prop_map(|kind| {
                StatementKind::Explain(Box::new(Statement { kind, span: Span::default(), text: String::new() }))
            })
        })
        .boxed()
}

fn sources() -> BoxedStrategy<StatementKind> {
    use StatementKind as S;
    let create_as = (any::<[bool; 3]>(), name(), properties(), query()).prop_map(
        |([table, or_replace, if_not_exists], name, properties, query)| {
            S::CreateAs(CreateAs { table, or_replace, if_not_exists, name, properties, query: Box::new(query) })
        },
    );
    prop_oneof![
        create_source().prop_map(S::CreateSource),
        create_as,
        (any::<[bool; 3]>(), name()).prop_map(|([table, if_exists, delete_topic], name)| S::Drop {
            table,
            if_exists,
            name,
            delete_topic
        }),
        (any::<bool>(), name(), vec((name(), type_expr()), 1..3)).prop_map(|(table, name, columns)| S::Alter {
            table,
            name,
            columns
        }),
        (any::<bool>(), name(), type_expr()).prop_map(|(if_not_exists, name, ty)| S::CreateType {
            if_not_exists,
            name,
            ty
        }),
        (any::<bool>(), name()).prop_map(|(if_exists, name)| S::DropType { if_exists, name }),
    ]
    .boxed()
}

fn data() -> BoxedStrategy<StatementKind> {
    use StatementKind as S;
    prop_oneof![
        query().prop_map(|query| S::Query(Box::new(query))),
        (name(), properties(), query()).prop_map(|(target, properties, query)| S::InsertSelect {
            target,
            properties,
            query: Box::new(query)
        }),
        (name(), vec(name(), 0..3), vec(expr(), 1..3)).prop_map(|(target, columns, values)| S::InsertValues {
            target,
            columns,
            values
        }),
    ]
    .boxed()
}

fn information() -> BoxedStrategy<StatementKind> {
    use StatementKind as S;
    prop_oneof![
        show().prop_map(S::Show),
        (name(), any::<bool>()).prop_map(|(name, extended)| S::Describe { name, extended }),
        any::<(bool, bool)>().prop_map(|(tables, extended)| S::DescribeAll { tables, extended }),
        name().prop_map(|name| S::DescribeFunction { name }),
        name().prop_map(|id| S::ExplainQuery { id }),
        (name(), any::<bool>(), of(any::<u64>()), of(any::<u64>()))
            .prop_map(|(topic, from_beginning, interval, limit)| S::Print { topic, from_beginning, interval, limit }),
    ]
    .boxed()
}

fn session() -> BoxedStrategy<StatementKind> {
    use StatementKind as S;
    prop_oneof![
        of(name()).prop_map(|id| S::Terminate { id }),
        of(name()).prop_map(|id| S::Pause { id }),
        of(name()).prop_map(|id| S::Resume { id }),
        (text(), text()).prop_map(|(key, value)| S::Set { key, value }),
        (text(), text()).prop_map(|(key, value)| S::AlterSystem { key, value }),
        text().prop_map(|key| S::Unset { key }),
        (name(), text()).prop_map(|(name, value)| S::Define { name, value }),
        name().prop_map(|name| S::Undefine { name }),
        text().prop_map(|file| S::RunScript { file }),
    ]
    .boxed()
}

fn assertions() -> BoxedStrategy<StatementKind> {
    use StatementKind as S;
    let rows = || (name(), vec(name(), 0..3), vec(expr(), 1..3));
    let subject = name().prop_map(|name| name.text);
    prop_oneof![
        (any::<bool>(), name(), properties(), of(duration())).prop_map(|(exists, topic, properties, timeout_ms)| {
            S::AssertTopic { exists, topic, properties, timeout_ms }
        }),
        (any::<bool>(), of(subject), of(0..=i64::MAX), of(duration()))
            .prop_map(|(exists, subject, id, timeout_ms)| S::AssertSchema { exists, subject, id, timeout_ms }),
        rows().prop_map(|(source, columns, values)| S::AssertValues { source, columns, values }),
        rows().prop_map(|(source, columns, values)| S::AssertNullValues { source, columns, values }),
        create_source().prop_map(|create| S::AssertSource(CreateSource {
            or_replace: false,
            source: false,
            if_not_exists: false,
            ..create
        })),
        name().prop_map(|source| S::AssertNoMoreValues { source }),
        duration().prop_map(|by_ms| S::AdvanceTime { by_ms }),
    ]
    .boxed()
}
