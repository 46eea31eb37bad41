//! Hiding characters, and distances on the globe.

use super::cell::{Cell, View, string};
use super::declare::Function;
use crate::types::Value;

const STRING: &str = "STRING";

/// Kilometres and miles.
const RADIUS: [f64; 2] = [6371.0, 3959.0];

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    let masking = |name, description, example, f: fn(&[Value]) -> Cell| {
        Function::scalar(name, STRING, description)
            .example(example)
            .rows("(text STRING, count INT) -> STRING", f)
            .rows("(text STRING, count INT, upper STRING, lower STRING, digit STRING, other STRING) -> STRING", f)
    };
    vec![
        Function::scalar(
            "MASK",
            STRING,
            "The text with capital letters replaced by X, small ones by x, digits by n and all else by -, or by the first \
             characters of the four arguments, of which NULL keeps the original. NULL for NULL.",
        )
        .example("MASK('Ab 1') -> 'Xx-n'")
        .rows("(text STRING) -> STRING", |a| masked(a, 1, |_, _| true))
        .rows("(text STRING, upper STRING, lower STRING, digit STRING, other STRING) -> STRING", |a| {
            masked(a, 1, |_, _| true)
        }),
        masking("MASK_LEFT", "Like MASK, but only the first characters. A negative count is an error.", "MASK_LEFT('Abc1', 2) -> 'Xxc1'", |a| {
            let count = count(a)?;
            masked(a, 2, |at, _| at < count)
        }),
        masking("MASK_RIGHT", "Like MASK, but only the last characters. A negative count is an error.", "MASK_RIGHT('Abc1', 2) -> 'Abxn'", |a| {
            let count = count(a)?;
            masked(a, 2, |at, len| at + count >= len)
        }),
        masking("MASK_KEEP_LEFT", "Like MASK, but not the first characters. A negative count is an error.", "MASK_KEEP_LEFT('Abc1', 2) -> 'Abxn'", |a| {
            let count = count(a)?;
            masked(a, 2, |at, _| at >= count)
        }),
        masking("MASK_KEEP_RIGHT", "Like MASK, but not the last characters. A negative count is an error.", "MASK_KEEP_RIGHT('Abc1', 2) -> 'Xxc1'", |a| {
            let count = count(a)?;
            masked(a, 2, |at, len| at + count < len)
        }),
        Function::scalar(
            "GEO_DISTANCE",
            "MATHEMATICAL",
            "The great-circle distance of two points given in degrees, in kilometres ('KM') or miles ('MI'). NULL if an argument \
             is; positions off the globe and other units are errors.",
        )
        .example("GEO_DISTANCE(0, 0, 0, 1) -> 111.19492664455873")
        .strict("(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE) -> DOUBLE", geo_distance)
        .strict("(lat1 DOUBLE, lon1 DOUBLE, lat2 DOUBLE, lon2 DOUBLE, unit STRING) -> DOUBLE", geo_distance),
    ]
}

fn count(args: &[Value]) -> Result<usize, String> {
    usize::try_from(args[1].int()).map_err(|_| "the number of characters cannot be negative".to_owned())
}

/// Masks the characters that `hides(position, length)` picks; `first` is where the mask characters stand.
fn masked(args: &[Value], first: usize, hides: impl Fn(usize, usize) -> bool) -> Cell {
    if args[0].is_null() {
        return Ok(Value::Null);
    }
    let mask = |at: usize, default: char| match args.get(first + at) {
        None => Some(default),
        Some(text) => text.text().chars().next(),
    };
    let (upper, lower, digit, other) = (mask(0, 'X'), mask(1, 'x'), mask(2, 'n'), mask(3, '-'));
    let text: Vec<char> = args[0].text().chars().collect();
    let hide = |c: char| {
        let mask = match c {
            _ if c.is_uppercase() => upper,
            _ if c.is_lowercase() => lower,
            _ if c.is_numeric() => digit,
            _ => other,
        };
        mask.unwrap_or(c)
    };
    string(text.iter().enumerate().map(|(at, c)| if hides(at, text.len()) { hide(*c) } else { *c }).collect::<String>())
}

fn geo_distance(args: &[Value]) -> Cell {
    let [lat1, lon1, lat2, lon2] = [0, 1, 2, 3].map(|i| args[i].double());
    if ![lat1, lat2].iter().all(|v| (-90.0..=90.0).contains(v))
        || ![lon1, lon2].iter().all(|v| (-180.0..=180.0).contains(v))
    {
        return Err("latitudes lie between -90 and 90, longitudes between -180 and 180".to_owned());
    }
    let radius = match args.get(4).map(|unit| unit.text().to_ascii_lowercase()).as_deref() {
        None | Some("km" | "kilometer" | "kilometers" | "kilometre" | "kilometres") => RADIUS[0],
        Some("mi" | "mile" | "miles") => RADIUS[1],
        Some(other) => return Err(format!("unknown unit '{other}'; there are KM and MI")),
    };
    // In this order of operations, as Java did it for long: the last digit depends on it.
    let radians = |degrees: f64| degrees / 180.0 * std::f64::consts::PI;
    let haversine = |angle: f64| (angle / 2.0).sin().powi(2);
    let a =
        haversine(radians(lat2 - lat1)) + haversine(radians(lon2 - lon1)) * radians(lat1).cos() * radians(lat2).cos();
    Ok(Value::Double(2.0 * a.sqrt().asin() * radius))
}
