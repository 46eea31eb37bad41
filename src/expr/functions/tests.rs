//! The library as callers see it: one table of calls a family, and the rules that hold for all declarations.

use std::collections::BTreeSet;

use super::*;
use crate::time::ManualClock;
use crate::types::{Decimal, Value};

/// A value's type, as far as tests need it: arrays and maps take that of their first item.
fn type_of(value: &Value) -> ArgType {
    let sql = |ty| ArgType::Sql(ty);
    match value {
        Value::Null => ArgType::Null,
        Value::Boolean(_) => sql(SqlType::Boolean),
        Value::Int(_) => sql(SqlType::Int),
        Value::BigInt(_) => sql(SqlType::BigInt),
        Value::Double(_) => sql(SqlType::Double),
        Value::Decimal(v) => sql(SqlType::Decimal(v.precision().max(v.scale + 1), v.scale)),
        Value::String(_) => sql(SqlType::String),
        Value::Bytes(_) => sql(SqlType::Bytes),
        Value::Time(_) => sql(SqlType::Time),
        Value::Date(_) => sql(SqlType::Date),
        Value::Timestamp(_) => sql(SqlType::Timestamp),
        Value::Array(items) => sql(SqlType::array(inner(items.iter()))),
        Value::Map(entries) => {
            sql(SqlType::map(inner(entries.iter().map(|e| &e.0)), inner(entries.iter().map(|e| &e.1))))
        }
        Value::Struct(_) => sql(SqlType::String),
    }
}

fn inner<'a>(mut values: impl Iterator<Item = &'a Value>) -> SqlType {
    match values.find(|v| !v.is_null()).map(type_of) {
        Some(ArgType::Sql(ty)) => ty,
        _ => SqlType::Int,
    }
}

/// What people would cast before the call: only the widenings that tests use.
fn coerce(value: &Value, ty: &SqlType) -> Value {
    match (value, ty) {
        (Value::Int(v), SqlType::BigInt) => Value::BigInt(i64::from(*v)),
        (Value::Int(v), SqlType::Double) => Value::Double(f64::from(*v)),
        (Value::BigInt(v), SqlType::Double) => Value::Double(*v as f64),
        (Value::Decimal(v), SqlType::Double) => Value::Double(v.to_f64()),
        (Value::Int(v), SqlType::Decimal(_, scale)) => {
            Value::Decimal(Decimal::new(Decimal::new(i128::from(*v), 0).rescaled(*scale).expect("fits"), *scale))
        }
        _ => value.clone(),
    }
}

fn env() -> FunctionEnv {
    FunctionEnv::new(ManualClock::new(1_700_000_000_000), 7)
}

/// Calls a function on one row (with an all-NULL row before it, which must not disturb); errors are in the `Err`.
pub(super) fn call(name: &str, args: &[Value]) -> Result<Value, String> {
    let types: Vec<_> = args.iter().map(type_of).collect();
    let kind = kind_of(name).ok_or("no such function")?;
    let resolved = match kind {
        FunctionKind::Table => resolve_table(name, &types),
        _ => resolve_scalar_in(&env(), name, &types),
    };
    let resolved = resolved.map_err(|e| e.to_string())?;
    let columns: Vec<_> = args
        .iter()
        .zip(&resolved.params)
        .map(|(value, ty)| Value::to_array(ty, &[Value::Null, coerce(value, ty)]))
        .collect();
    let mut errors = Vec::new();
    let result = resolved.eval.evaluate(&columns, 2, &mut errors).map_err(|e| e.to_string())?;
    assert_eq!(result.data_type(), &resolved.returns.arrow(), "{name}: the result is of the declared type");
    assert_eq!(result.len(), 2, "{name}");
    assert!(errors.iter().all(|e| e.row == 1), "{name}: NULLs are no errors: {errors:?}");
    match errors.into_iter().find(|e| e.row == 1) {
        Some(error) => {
            assert!(result.is_null(1), "{name}: a failed row is NULL");
            Err(error.reason)
        }
        None => Ok(Value::from_array(&result, 1)),
    }
}

pub(super) fn s(text: &str) -> Value {
    Value::String(text.to_owned())
}

pub(super) fn dec(text: &str) -> Value {
    Value::Decimal(Decimal::parse(text).expect("a decimal"))
}

pub(super) fn ints(items: &[i32]) -> Value {
    Value::Array(items.iter().copied().map(Value::Int).collect())
}

pub(super) fn texts(items: &[&str]) -> Value {
    Value::Array(items.iter().map(|t| s(t)).collect())
}

pub(super) fn bytes(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

/// `name(args…) => value` for calls that succeed, `name(args…) !` for those that fail.
macro_rules! table {
    ($($name:ident($($arg:expr),*) $(=> $expected:expr)? $(;; $fails:ident)?,)*) => {$(
        let args: &[Value] = &[$($arg.to_value()),*];
        let result = call(stringify!($name), args);
        $(assert_eq!(shown(&result), shown(&Ok($expected.to_value())), "{}{args:?}", stringify!($name));)?
        $(let $fails = result; assert!($fails.is_err(), "{}{args:?} gives {:?}", stringify!($name), $fails);)?
    )*};
}

/// NaN equals nothing, its text does.
pub(super) fn shown(result: &Result<Value, String>) -> String {
    format!("{result:?}")
}

/// Literals of the table.
pub(super) trait IntoValue {
    fn to_value(&self) -> Value;
}

macro_rules! into_value {
    ($($ty:ty, $value:ident => $make:expr;)*) => {$(
        impl IntoValue for $ty {
            fn to_value(&self) -> Value {
                let $value = self;
                $make
            }
        }
    )*};
}

into_value! {
    i32, v => Value::Int(*v);
    i64, v => Value::BigInt(*v);
    f64, v => Value::Double(*v);
    bool, v => Value::Boolean(*v);
    &str, v => s(v);
    Value, v => v.clone();
    (), _v => Value::Null;
}

#[test]
fn every_declaration_can_be_read_and_is_documented() {
    let mut seen = BTreeSet::new();
    for (name, function) in registry::names() {
        assert_eq!(function.malformed(), Vec::<&str>::new(), "{name}");
        assert!(!function.overloads.is_empty(), "{name}");
        let doc = function.doc(name);
        assert!(!doc.description.is_empty() && !doc.example.is_empty(), "{name}");
        assert!(doc.signatures.iter().all(|text| text.starts_with(name)), "{name}");
        assert!(seen.insert(name));
    }
    assert_eq!(kind_of("EXPLODE"), Some(FunctionKind::Table));
    assert_eq!(kind_of("SUM"), Some(FunctionKind::Aggregate));
    assert_eq!(kind_of("NOPE"), None);
    assert_eq!(all().len(), seen.len());
}

#[test]
fn errors_say_what_there_is() {
    let args = [ArgType::Sql(SqlType::Int)];
    let unknown = resolve_scalar("UCASEE", &args).err().expect("unknown");
    assert_eq!(unknown.message(), "unknown function UCASEE");
    assert_eq!(unknown.hints(), ["Did you mean UCASE?"]);
    let misfit = resolve_scalar("UCASE", &args).err().expect("no overload");
    assert_eq!(misfit.message(), "function UCASE does not accept (INTEGER)");
    assert_eq!(misfit.hints(), ["Available: UCASE(text STRING) -> STRING."]);
    let wrong_kind = resolve_scalar("SUM", &args).err().expect("an aggregate");
    assert_eq!(wrong_kind.message(), "SUM is not a scalar function");
}

#[test]
fn variadic_overloads_that_both_widen_are_ambiguous() {
    let args = |types: &[SqlType]| types.iter().cloned().map(ArgType::Sql).collect::<Vec<_>>();
    let resolve = |types: &[SqlType]| resolve_scalar("GREATEST", &args(types));
    assert!(resolve(&[SqlType::Int, SqlType::BigInt]).is_err());
    assert!(resolve(&[SqlType::Int, SqlType::BigInt, SqlType::Decimal(20, 3)]).is_err());
    assert_eq!(resolve(&[SqlType::Int, SqlType::Double]).map(|r| r.returns).ok(), Some(SqlType::Double));
    assert_eq!(resolve(&[SqlType::Date, SqlType::String]).map(|r| r.returns).ok(), Some(SqlType::Date));
    assert!(resolve(&[SqlType::String, SqlType::Int]).is_err());
    assert!(resolve(&[]).is_err());
}

#[test]
fn numbers() {
    table! {
        ABS(-3) => 3, ABS(i64::MIN) => i64::MIN, ABS(-2.5) => 2.5, ABS(dec("-1.20")) => dec("1.20"), ABS(()) => (),
        CEIL(1.2) => 2.0, CEIL(-1.2) => -1.0, CEIL(dec("-1.2")) => dec("-1.0"), CEIL(dec("1.2")) => dec("2.0"),
        CEIL(3) => 3,
        FLOOR(-1.2) => -2.0, FLOOR(dec("-1.2")) => dec("-2.0"), FLOOR(dec("1.7")) => dec("1.0"),
        ROUND(1.5) => 2i64, ROUND(-1.5) => -1i64, ROUND(-1.7) => -2i64, ROUND(7) => 7i64, ROUND(f64::NAN) => 0i64,
        ROUND(7.77777, 3) => 7.778, ROUND(98765.4, -2) => 98800.0, ROUND(2.675, 2) => 2.68, ROUND(-1.5, 0) => -1.0,
        ROUND(1e300, 2) => 1e300, ROUND(1e-300, 2) => 0.0, ROUND(dec("2.45")) => dec("2"),
        ROUND(dec("2.45"), 1) => dec("2.50"),
        ROUND(dec("-2.45"), 1) => dec("-2.40"), ROUND(123456i64, -2) => 123500i64, ROUND((), 1) => (),
        TRUNC(-1.7) => -1i64, TRUNC(9.8765, 3) => 9.876, TRUNC(dec("-2.49"), 1) => dec("-2.40"),
        TRUNC(19i64, -1) => 10i64,
        SIGN(-2) => -1, SIGN(0.0) => 0, SIGN(5i64) => 1, SIGN(()) => (),
        SQRT(9) => 3.0, SQRT(-1) => f64::NAN, CBRT(27) => 3.0, EXP(0) => 1.0, LN(0) => f64::NEG_INFINITY,
        LN(-1) => f64::NAN,
        LOG(1) => 0.0, LOG(2, 8) => 3.0, LOG(1, 8) => f64::NAN, LOG(-2, 8) => f64::NAN, POWER(2, 10) => 1024.0,
        ACOS(2) => f64::NAN, ASIN(-2) => f64::NAN, COT(0) => f64::INFINITY, ATAN2(0, 1) => 0.0, SIN(0) => 0.0,
        TANH(0) => 0.0, COSH(0) => 1.0, PI() => std::f64::consts::PI, DEGREES(std::f64::consts::PI) => 180.0,
        RADIANS(()) => (),
    }
}

#[test]
fn text() {
    table! {
        UCASE("straße") => "STRASSE", LCASE("ÄB") => "äb", UCASE(()) => (), TRIM(" \t a b\n ") => "a b",
        TRIM("\u{a0}a") => "\u{a0}a",
        LEN("abc") => 3, LEN("😀") => 2, LEN(bytes("ab")) => 2, LEN(()) => (),
        SUBSTRING("stream", 2) => "tream", SUBSTRING("stream", 2, 3) => "tre", SUBSTRING("stream", -3) => "eam",
        SUBSTRING("stream", -3, 2) => "ea", SUBSTRING("s", 5) => "", SUBSTRING("stream", 0, 2) => "st",
        SUBSTRING("stream", -99) => "stream",
        SUBSTRING("stream", 2, -1) => "", SUBSTRING("ä😀b", 2, 2) => "😀", SUBSTRING("abc", ()) => (),
        SUBSTRING("abc", 1, ()) => (),
        SUBSTRING(bytes("stream"), 2, 3) => bytes("tre"), SUBSTRING("stream", 3, i32::MAX) => "ream",
        CONCAT("a", (), "b") => "ab", CONCAT(bytes("a"), (), bytes("b")) => bytes("ab"),
        CONCAT_WS("-", "a", (), "b") => "a-b",
        CONCAT_WS((), "a") => (), CONCAT_WS("-", (), ()) => "",
        CONCAT_WS(bytes("-"), bytes("a"), bytes("b")) => bytes("a-b"),
        REPLACE("up and up", "up", "on") => "on and on", REPLACE("a", (), "b") => (),
        INSTR("banana bandana", "an") => 2, INSTR("banana bandana", "an", 3, 2) => 9,
        INSTR("banana bandana", "an", -4) => 9,
        INSTR("banana bandana", "an", -4, 2) => 4, INSTR("abc", "z") => 0, INSTR("abc", "a", 0) => 0,
        INSTR("abc", "a", 9) => 0, INSTR((), "a") => (),
        LPAD("42", 7, "abc") => "abcab42", LPAD("42", 1, "abc") => "4", LPAD("42", -3, "x") => (),
        LPAD("42", 9, "") => (),
        RPAD("42", 6, "abc") => "42abca", RPAD(bytes("a"), 3, bytes("xy")) => bytes("axy"), RPAD((), 3, "x") => (),
        SPLIT("one::two:", "::") => texts(&["one", "two:"]), SPLIT("ab", "") => texts(&["a", "b"]),
        SPLIT("", ",") => texts(&[""]),
        SPLIT(bytes("a,b,"), bytes(",")) => Value::Array(vec![bytes("a"), bytes("b"), bytes("")]),
        SPLIT((), ",") => (),
        SPLIT_TO_MAP("a:1/b:2/c/a:3", "/", ":") => Value::Map(vec![(s("a"), s("3")), (s("b"), s("2"))]),
        SPLIT_TO_MAP("a", "", ":") ;; fails,
        INITCAP("rIVER  4th éTAGE") => "River  4th Étage", INITCAP(()) => (),
        CHR(90) => "Z", CHR(-7) => (), CHR("\\u005a") => "Z", CHR("\\ud83d\\ude00") => "😀", CHR("90") => (),
        ELT(2, "a", "b") => "b", ELT(0, "a") => (), ELT(3, "a") => (), FIELD("b", "a", "b") => 2,
        FIELD((), "a") => 0, FIELD("z", "a") => 0,
    }
}

#[test]
fn regular_expressions() {
    table! {
        REGEXP_EXTRACT("([a-z]+)-([0-9]+)", "order-42", 2) => "42", REGEXP_EXTRACT("x.", "abc") => (),
        REGEXP_EXTRACT("(a)|(b)", "b", 1) => (),
        REGEXP_EXTRACT("a", "a", 5) => (), REGEXP_EXTRACT("(", "a") ;; fails, REGEXP_EXTRACT((), "a") => (),
        REGEXP_EXTRACT_ALL("n.", "one nine ten") => texts(&["ne", "ni", "ne"]),
        REGEXP_EXTRACT_ALL("(\\w+)=(\\w*)", "a=1;b=", 2) => texts(&["1", ""]),
        REGEXP_EXTRACT_ALL("x", "abc") => texts(&[]),
        REGEXP_REPLACE("a1b22", "[0-9]+", "#") => "a#b#", REGEXP_REPLACE("ab", "(a)(b)", "$2$1\\$") => "ba$",
        REGEXP_REPLACE("a", "a", "$9") ;; fails,
        REGEXP_SPLIT_TO_ARRAY("x1-22y", "[0-9]+|-") => texts(&["x", "", "", "y"]),
        REGEXP_SPLIT_TO_ARRAY("ab", "") => texts(&["a", "b"]),
        REGEXP_SPLIT_TO_ARRAY("x", ()) => (),
    }
}

#[test]
fn choices() {
    table! {
        COALESCE((), (), 3) => 3, COALESCE((), "a", "b") => "a", IFNULL((), "none") => "none", IFNULL(1, 2) => 1,
        COALESCE(1i64, 2) => 1i64,
        NULLIF("x", "x") => (), NULLIF(1, 2) => 1, NULLIF((), 2) => (), NULLIF(ints(&[1]), ints(&[1])) => (),
        GREATEST(1, 3, ()) => 3, GREATEST("a", (), "b") => "b", LEAST(2.5, 1) => 1.0,
        LEAST(dec("1.5"), dec("-2.5")) => dec("-2.5"),
        AS_VALUE("k") => "k",
    }
}

#[test]
fn arrays_and_maps() {
    let map = |entries: &[(&str, i32)]| Value::Map(entries.iter().map(|(k, v)| (s(k), Value::Int(*v))).collect());
    let entry = |key: &str, value| Value::Struct(vec![s(key), Value::Int(value)]);
    let holes = Value::Array(vec![Value::Int(2), Value::Null, Value::Int(1)]);
    table! {
        ARRAY_LENGTH(ints(&[1, 2])) => 2, ARRAY_LENGTH(()) => (), ARRAY_CONTAINS(ints(&[1]), 1) => true,
        ARRAY_CONTAINS((), 1) => false,
        ARRAY_CONTAINS(holes, ()) => true, ARRAY_JOIN(ints(&[1, 2])) => "1,2", ARRAY_JOIN(holes, "-") => "2-null-1",
        ARRAY_JOIN((), "-") => (),
        ARRAY_JOIN(Value::Array(vec![Value::Double(1e10)])) => "1.0E10",
        ARRAY_JOIN(Value::Array(vec![ints(&[1])])) ;; fails,
        ARRAY_MAX(holes) => 2, ARRAY_MIN(holes) => 1, ARRAY_MAX(ints(&[])) => (),
        ARRAY_SORT(holes) => Value::Array(vec![Value::Int(1), Value::Int(2), Value::Null]),
        ARRAY_SORT(holes, "desc") => Value::Array(vec![Value::Int(2), Value::Int(1), Value::Null]),
        ARRAY_SORT(holes, "up") => (),
        ARRAY_REMOVE(holes, ()) => ints(&[2, 1]), ARRAY_REMOVE(ints(&[1, 2, 1]), 1) => ints(&[2]),
        ARRAY_REMOVE((), 1) => (),
        ARRAY_CONCAT(ints(&[1]), ()) => ints(&[1]), ARRAY_CONCAT((), ()) => (),
        ARRAY_CONCAT(ints(&[1]), ints(&[1])) => ints(&[1, 1]),
        ARRAY_DISTINCT(ints(&[2, 1, 2])) => ints(&[2, 1]),
        ARRAY_UNION(ints(&[1, 2]), ints(&[2, 3])) => ints(&[1, 2, 3]), ARRAY_UNION((), ints(&[1])) => (),
        ARRAY_INTERSECT(ints(&[0, 0, 1]), ints(&[1, 0])) => ints(&[0, 1]),
        ARRAY_EXCEPT(ints(&[1, 2, 1]), ints(&[2])) => ints(&[1]),
        SLICE(ints(&[1, 2, 3]), 2, 3) => ints(&[2, 3]), SLICE(ints(&[1, 2, 3]), (), 1) => ints(&[1]),
        SLICE(ints(&[1]), 0, 1) => (), SLICE(ints(&[1]), 1, 2) => (),
        SLICE(ints(&[1, 2, 3]), 3, 1) ;; fails,
        GENERATE_SERIES(9, 3, -3) => ints(&[9, 6, 3]), GENERATE_SERIES(8, 6) => ints(&[8, 7, 6]),
        GENERATE_SERIES(-5, 1, 4) => ints(&[-5, -1]),
        GENERATE_SERIES(1i64, 2i64) => Value::Array(vec![Value::BigInt(1), Value::BigInt(2)]),
        GENERATE_SERIES(1, 2, 0) ;; zero, GENERATE_SERIES(1, 2, -1) ;; away,
        GENERATE_SERIES(1, i32::MAX) ;; long,
        MAP_KEYS(map(&[("a", 1)])) => texts(&["a"]), MAP_VALUES(map(&[("a", 1)])) => ints(&[1]), MAP_KEYS(()) => (),
        MAP_UNION(map(&[("a", 1), ("b", 2)]), map(&[("a", 3)])) => map(&[("a", 3), ("b", 2)]),
        MAP_UNION((), map(&[("a", 3)])) => map(&[("a", 3)]),
        AS_MAP(texts(&["a", "b"]), ints(&[1])) => map(&[("a", 1)]), AS_MAP((), ints(&[1])) => (),
        ENTRIES(map(&[("b", 2), ("a", 1)]), true) => Value::Array(vec![entry("a", 1), entry("b", 2)]),
    }
}

#[test]
fn tables() {
    let row = |a: Option<i32>, b: Option<i32>| Value::Array([a, b].map(|v| v.map_or(Value::Null, Value::Int)).to_vec());
    let holes = row(Some(1), None);
    table! {
        EXPLODE(ints(&[1, 2])) => ints(&[1, 2]), EXPLODE(()) => (),
        CUBE_EXPLODE(ints(&[1, 2])) =>
            Value::Array(vec![row(None, None), row(None, Some(2)), row(Some(1), None), row(Some(1), Some(2))]),
        CUBE_EXPLODE(holes) => Value::Array(vec![row(None, None), row(Some(1), None)]),
        CUBE_EXPLODE(ints(&[1; 17])) ;; fails,
    }
}

#[test]
fn volatile_functions_take_the_world_from_their_environment() {
    let random = |env: &FunctionEnv| {
        let resolved = resolve_scalar_in(env, "RANDOM", &[]).expect("RANDOM");
        assert!(resolved.eval.volatile());
        Value::all(&resolved.eval.evaluate(&[], 3, &mut Vec::new()).expect("evaluates"))
    };
    assert_eq!(random(&env()), random(&env()));
    let shared = env();
    assert_ne!(random(&shared), random(&shared));
    assert!(!resolve_scalar("PI", &[]).expect("PI").eval.volatile());
}

#[test]
fn dates_and_times() {
    let ts = Value::Timestamp;
    let noon = 1_720_094_400_000i64;
    table! {
        FORMAT_TIMESTAMP(ts(noon), "yyyy-MM-dd HH:mm:ss") => "2024-07-04 12:00:00",
        FORMAT_TIMESTAMP(ts(noon), "dd.MM. HH:mm zzz", "America/New_York") => "04.07. 08:00 EDT",
        FORMAT_TIMESTAMP(ts(noon), "{") ;; pattern, FORMAT_TIMESTAMP(ts(noon), "yyyy", "Nowhere") ;; zone,
        FORMAT_TIMESTAMP((), "yyyy") => (),
        TIMESTAMPTOSTRING(noon, "HH:mm", "Asia/Tokyo") => "21:00", TIMESTAMPTOSTRING(0, "yyyy") => "1970",
        PARSE_TIMESTAMP("2024-07-04T12:00:00", "yyyy-MM-dd'T'HH:mm:ss") => ts(noon),
        PARSE_TIMESTAMP("x", "yyyy") ;; text,
        PARSE_TIMESTAMP("2024-07-04 14:00", "yyyy-MM-dd HH:mm", "Europe/Paris") => ts(noon),
        STRINGTOTIMESTAMP("2024-07-04T14:00:00+02", "yyyy-MM-dd'T'HH:mm:ssX") => noon,
        STRINGTOTIMESTAMP((), "yyyy") => (),
        FORMAT_DATE(Value::Date(31), "dd.MM.yyyy") => "01.02.1970", DATETOSTRING(1, "yyyy-MM-dd") => "1970-01-02",
        PARSE_DATE("3 Mar 1970", "d MMM yyyy") => Value::Date(61),
        STRINGTODATE("day 1969-12-30", "'day' yyyy-MM-dd") => -2, STRINGTODATE("soon", "yyyyMMdd") ;; date,
        FORMAT_TIME(Value::Time(3_723_004), "H-m-s.SSS") => "1-2-3.004",
        PARSE_TIME("02:30 pm", "hh:mm a") => Value::Time(52_200_000),
        FROM_UNIXTIME(5) => ts(5), UNIX_TIMESTAMP(ts(7)) => 7i64, UNIX_TIMESTAMP() => 1_700_000_000_000i64,
        FROM_DAYS(-10) => Value::Date(-10),
        UNIX_DATE(Value::Date(4)) => 4, UNIX_DATE() => 19_675, UNIX_DATE(()) => (),
        CONVERT_TZ(ts(5), "+01:00", "-01:30") => ts(5 - 9_000_000),
        CONVERT_TZ(ts(5), "Asia/Tokyo", "UTC") => ts(5 - 32_400_000),
        CONVERT_TZ(ts(1), "x", "UTC") ;; unknown,
        TIMESTAMPADD("SECONDS", -2, ts(500)) => ts(-1500), TIMESTAMPSUB("hour", 1, ts(3_600_000)) => ts(0),
        TIMESTAMPADD("FORTNIGHTS", 1, ts(0)) ;; unit,
        TIMESTAMPADD("DAYS", 1, ts(i64::MAX)) ;; range, DATEADD("WEEKS", -1, Value::Date(3)) => Value::Date(-4),
        DATESUB("HOURS", 1, Value::Date(3)) => Value::Date(2), DATESUB("DAYS", (), Value::Date(2)) => (),
        TIMEADD("MINUTE", 2, Value::Time(86_340_000)) => Value::Time(60_000),
        TIMESUB("SECONDS", 2, Value::Time(500)) => Value::Time(86_398_500),
        DATEADD(Value::Date(1), 5, Value::Date(1)) ;; misfit,
    }
}

#[test]
fn json() {
    let map = |entries: &[(&str, &str)]| Value::Map(entries.iter().map(|(k, v)| (s(k), s(v))).collect());
    table! {
        EXTRACTJSONFIELD("{\"id\": 7, \"version\": 2.50}}", "$.version") => "2.50",
        EXTRACTJSONFIELD((), "$.a") => (), EXTRACTJSONFIELD("{", "$.a") ;; bad,
        EXTRACTJSONFIELD("{}", "a") ;; path, IS_JSON_STRING("[1, 2]") => true, IS_JSON_STRING("{") => false,
        IS_JSON_STRING("") => false, IS_JSON_STRING(()) => false,
        JSON_ARRAY_LENGTH("[1, [2, 3]]") => 2, JSON_ARRAY_LENGTH("{}") => (), JSON_ARRAY_LENGTH("[") ;; open,
        JSON_ARRAY_LENGTH("") => (),
        JSON_ARRAY_CONTAINS("[\"elm\", null]", "elm") => true, JSON_ARRAY_CONTAINS("[\"elm\", null]", ()) => true,
        JSON_ARRAY_CONTAINS((), "a") => false,
        JSON_ARRAY_CONTAINS("[1, 2]", 2) => true, JSON_ARRAY_CONTAINS("[1.0]", 1) => false,
        JSON_ARRAY_CONTAINS("[1.0]", 1.0) => true, JSON_ARRAY_CONTAINS("[true]", true) => true,
        JSON_ARRAY_CONTAINS("[5000000000]", 5_000_000_000i64) => true, JSON_ARRAY_CONTAINS("{}", 1) => false,
        JSON_KEYS("{\"a\": 1, \"b\": 2}") => texts(&["a", "b"]), JSON_KEYS("[]") => (), JSON_KEYS(()) => (),
        JSON_RECORDS("{\"a\": \"x\", \"b\": [1, 2], \"c\": null}") => map(&[("a", "x"), ("b", "[1,2]"), ("c", "null")]),
        JSON_RECORDS("") => (),
        JSON_ITEMS("[{\"t\": 1}, \"x\", 1.0]") => texts(&["{\"t\":1}", "\"x\"", "1.0"]),
        JSON_ITEMS("[]") => texts(&[]), JSON_ITEMS("1") => (),
        JSON_CONCAT("{\"x\": [1, 2], \"y\": 0}", "{\"z\": 1.0, \"x\": \"a b\"}") => "{\"x\":\"a b\",\"y\":0,\"z\":1.0}",
        JSON_CONCAT("[[1], 2]", "[3]") => "[[1],2,3]", JSON_CONCAT("true", "null") => "[true,null]",
        JSON_CONCAT("[1]", "{\"a\": 1}", "\"b\"") => "[1,{\"a\":1},\"b\"]",
        JSON_CONCAT("1", "") => (), JSON_CONCAT((), "1") => (), JSON_CONCAT("{", "1") ;; malformed,
        TO_JSON_STRING(1) => "1", TO_JSON_STRING(()) => "null", TO_JSON_STRING(1e10) => "1.0E10",
        TO_JSON_STRING(f64::NAN) => "\"NaN\"", TO_JSON_STRING(dec("1.50")) => "1.50",
        TO_JSON_STRING(bytes("ok")) => "\"b2s=\"", TO_JSON_STRING(Value::Time(3_723_004)) => "\"01:02:03.004\"",
        TO_JSON_STRING("a\"b") => "\"a\\\"b\"",
        TO_JSON_STRING(Value::Map(vec![(s("k"), ints(&[7, 8]))])) => "{\"k\":[7,8]}",
        TO_JSON_STRING(Value::Date(1)) => "\"1970-01-02\"",
    }
}

#[test]
fn bytes_and_encodings() {
    table! {
        TO_BYTES("4f6B", "hex") => bytes("Ok"), TO_BYTES("b2s=", "base64") => bytes("ok"),
        TO_BYTES("é", "ascii") => bytes("?"), TO_BYTES("x", "latin") ;; encoding,
        FROM_BYTES(Value::Bytes(vec![0xfe, 7]), "hex") => "FE07", FROM_BYTES(bytes("ok"), "base64") => "b2s=",
        FROM_BYTES(bytes("é"), "UTF8") => "é", FROM_BYTES((), "hex") => (),
        ENCODE("b2s=", "base64", "hex") => "6f6b", ENCODE("X'6f6b'", "hex", "utf8") => "ok",
        ENCODE("6f6", "hex", "utf8") ;; odd, ENCODE("a", (), "hex") => (),
        INT_FROM_BYTES(Value::Bytes(vec![0, 0, 1, 2])) => 258,
        INT_FROM_BYTES(Value::Bytes(vec![2, 1, 0, 0]), "LITTLE_ENDIAN") => 258,
        INT_FROM_BYTES(bytes("abc")) ;; short,
        BIGINT_FROM_BYTES(Value::Bytes(vec![1, 0, 0, 0, 2, 0, 0, 0]), "little_endian") => 0x2_0000_0001i64,
        BIGINT_FROM_BYTES(bytes("abcdefgh"), "MIDDLE") ;; order,
        DOUBLE_FROM_BYTES(Value::Bytes(vec![0x3f, 0xf0, 0, 0, 0, 0, 0, 0])) => 1.0,
        MD5("") => "d41d8cd98f00b204e9800998ecf8427e", MD5(()) => (),
        UUID(bytes("0123456789abcdef")) => "30313233-3435-3637-3839-616263646566", UUID(bytes("x")) ;; length,
    }
    let Ok(Value::String(uuid)) = call("UUID", &[]) else { panic!("a UUID") };
    assert_eq!((uuid.len(), &uuid[14..15]), (36, "4"));
}

#[test]
fn urls() {
    let url = "https://me@rivers.example:8443/a%20b/c?q=2&x&y=%41#part";
    table! {
        URL_EXTRACT_PROTOCOL(url) => "https", URL_EXTRACT_PROTOCOL("rivers.example") => (),
        URL_EXTRACT_HOST(url) => "rivers.example", URL_EXTRACT_HOST("http://[::1]:80/") => "[::1]",
        URL_EXTRACT_HOST("mailto:a@b") => (), URL_EXTRACT_PORT(url) => 8443, URL_EXTRACT_PORT("http://a/") => (),
        URL_EXTRACT_PORT("http://a:b/") ;; port,
        URL_EXTRACT_PATH(url) => "/a b/c", URL_EXTRACT_PATH("http://a") => "", URL_EXTRACT_QUERY(url) => "q=2&x&y=A",
        URL_EXTRACT_QUERY("http://a?q#f") => "q",
        URL_EXTRACT_QUERY("http://a/b") => (), URL_EXTRACT_FRAGMENT(url) => "part",
        URL_EXTRACT_FRAGMENT("http://a") => (), URL_EXTRACT_FRAGMENT(()) => (),
        URL_EXTRACT_PARAMETER(url, "q") => "2", URL_EXTRACT_PARAMETER(url, "x") => "",
        URL_EXTRACT_PARAMETER(url, "z") => (), URL_EXTRACT_PARAMETER("http://a", "z") => (),
        URL_EXTRACT_HOST("http://a b") ;; blank, URL_ENCODE_PARAM("50% of é!") => "50%25+of+%C3%A9%21",
        URL_DECODE_PARAM("50%25+of+%C3%A9") => "50% of é", URL_DECODE_PARAM("100%") ;; cut,
    }
}

#[test]
fn masks_and_distances() {
    table! {
        MASK("Ra Fox7! 42") => "Xx-Xxxn--nn", MASK("Ab1-", "*", (), "#", ()) => "*b#-", MASK(()) => (),
        MASK_LEFT("Ra Fox7!", 4) => "Xx-Xox7!",
        MASK_RIGHT("Ra Fox7!", 3) => "Ra Foxn-", MASK_KEEP_LEFT("Ra Fox7!", 4) => "Ra Fxxn-",
        MASK_KEEP_RIGHT("Ra Fox7!", 2) => "Xx-Xxx7!",
        MASK_LEFT("ab", 9) => "xx", MASK_LEFT("ab", -1) ;; negative, MASK_KEEP_LEFT("ab", 9) => "ab",
        GEO_DISTANCE(0, 0, 0, 1) => 111.19492664455873, GEO_DISTANCE(-90, 0, 90, 0) => 20015.086796020572,
        GEO_DISTANCE(0, 0, 0, 1, "MI") => 69.09758508645551, GEO_DISTANCE(0, 0, 0, 1, "yd") ;; unit,
        GEO_DISTANCE(91, 0, 0, 1) ;; place, GEO_DISTANCE((), 0, 0, 1) => (),
    }
}

/// The scalar and aggregate names of ksqlDB, so that none is forgotten.
#[test]
fn nothing_is_missing() {
    let names = "ABS ACOS ARRAY_CONCAT ARRAY_CONTAINS ARRAY_DISTINCT ARRAY_EXCEPT ARRAY_INTERSECT ARRAY_JOIN \
        ARRAY_LENGTH ARRAY_MAX ARRAY_MIN ARRAY_REMOVE ARRAY_SORT ARRAY_UNION ASIN AS_MAP AS_VALUE ATAN ATAN2 \
        BIGINT_FROM_BYTES CBRT CEIL CHR COALESCE CONCAT CONCAT_WS CONVERT_TZ COS COSH COT DATEADD DATESUB \
        DATETOSTRING DEGREES DOUBLE_FROM_BYTES ELT ENCODE ENTRIES EXP EXTRACTJSONFIELD FIELD FILTER FLOOR \
        FORMAT_DATE FORMAT_TIME FORMAT_TIMESTAMP FROM_BYTES FROM_DAYS FROM_UNIXTIME GENERATE_SERIES \
        GEO_DISTANCE GREATEST IFNULL INITCAP INSTR INT_FROM_BYTES IS_JSON_STRING JSON_ARRAY_CONTAINS \
        JSON_ARRAY_LENGTH JSON_CONCAT JSON_ITEMS JSON_KEYS JSON_RECORDS LCASE LEAST LEN LN LOG LPAD MAP_KEYS \
        MAP_UNION MAP_VALUES MASK MASK_KEEP_LEFT MASK_KEEP_RIGHT MASK_LEFT MASK_RIGHT MD5 NULLIF PARSE_DATE \
        PARSE_TIME PARSE_TIMESTAMP PI POWER RADIANS RANDOM REDUCE REGEXP_EXTRACT REGEXP_EXTRACT_ALL \
        REGEXP_REPLACE REGEXP_SPLIT_TO_ARRAY REPLACE ROUND RPAD SIGN SIN SINH SLICE SPLIT SPLIT_TO_MAP SQRT \
        STRINGTODATE STRINGTOTIMESTAMP SUBSTRING TAN TANH TIMEADD TIMESTAMPADD TIMESTAMPSUB \
        TIMESTAMPTOSTRING TIMESUB TO_BYTES TO_JSON_STRING TRANSFORM TRIM TRUNC UCASE UNIX_DATE \
        UNIX_TIMESTAMP URL_DECODE_PARAM URL_ENCODE_PARAM URL_EXTRACT_FRAGMENT URL_EXTRACT_HOST \
        URL_EXTRACT_PARAMETER URL_EXTRACT_PATH URL_EXTRACT_PORT URL_EXTRACT_PROTOCOL URL_EXTRACT_QUERY UUID \
        ATTR AVG COLLECT_LIST COLLECT_SET CORRELATION COUNT COUNT_DISTINCT EARLIEST_BY_OFFSET HISTOGRAM \
        LATEST_BY_OFFSET MAX MIN STDDEV_SAMP STDDEV_SAMPLE SUM SUM_LIST TOPK TOPKDISTINCT EXPLODE \
        CUBE_EXPLODE";
    let missing: Vec<_> = names.split_whitespace().filter(|name| kind_of(name).is_none()).collect();
    assert_eq!(missing, Vec::<&str>::new());
}
