//! Walking and rewriting expressions, with the parameters of lambdas left alone.

use chrono::NaiveDate;

use crate::error::Result;
use crate::sql::ast::{BinaryOp, Expr, ExprKind, Name};

/// Functions whose first argument is the name of a unit of time, not a column.
const UNIT_FUNCTIONS: [&str; 6] = ["TIMESTAMPADD", "TIMESTAMPSUB", "DATEADD", "DATESUB", "TIMEADD", "TIMESUB"];

/// The expressions directly inside `expr`, in reading order; names of units of time are none.
pub(super) fn children(expr: &Expr) -> Vec<&Expr> {
    match &expr.kind {
        ExprKind::Null
        | ExprKind::Boolean(_)
        | ExprKind::Integer(_)
        | ExprKind::Decimal(_)
        | ExprKind::Double(_)
        | ExprKind::String(_)
        | ExprKind::Column { .. } => Vec::new(),
        ExprKind::Unary { expr, .. }
        | ExprKind::IsNull { expr, .. }
        | ExprKind::Cast { expr, .. }
        | ExprKind::Lambda { body: expr, .. }
        | ExprKind::Field { base: expr, .. } => vec![expr],
        ExprKind::Binary { left, right, .. } => vec![left, right],
        ExprKind::Between { expr, low, high, .. } => vec![expr, low, high],
        ExprKind::InList { expr, list, .. } => std::iter::once(&**expr).chain(list).collect(),
        ExprKind::Like { expr, pattern, .. } => vec![expr, pattern],
        ExprKind::Case { operand, whens, otherwise } => operand
            .iter()
            .map(|operand| &**operand)
            .chain(whens.iter().flat_map(|(when, then)| [when, then]))
            .chain(otherwise.iter().map(|otherwise| &**otherwise))
            .collect(),
        ExprKind::Call { name, args, .. } => args.iter().skip(usize::from(has_unit(name, args))).collect(),
        ExprKind::Array(items) => items.iter().collect(),
        ExprKind::Map(entries) => entries.iter().flat_map(|(key, value)| [key, value]).collect(),
        ExprKind::Struct(fields) => fields.iter().map(|(_, value)| value).collect(),
        ExprKind::Subscript { base, index } => vec![base, index],
    }
}

/// Whether the first of a call's arguments is a unit of time.
fn has_unit(function: &Name, args: &[Expr]) -> bool {
    UNIT_FUNCTIONS.contains(&function.text.to_uppercase().as_str()) && args.first().and_then(as_column).is_some()
}

/// The same expression with every direct child replaced by what `f` makes of it.
fn map_children(expr: &Expr, f: &mut dyn FnMut(&Expr) -> Result<Expr>) -> Result<Expr> {
    let mut one = |child: &Expr| f(child).map(Box::new);
    let kind = match &expr.kind {
        kind @ (ExprKind::Null
        | ExprKind::Boolean(_)
        | ExprKind::Integer(_)
        | ExprKind::Decimal(_)
        | ExprKind::Double(_)
        | ExprKind::String(_)
        | ExprKind::Column { .. }) => kind.clone(),
        ExprKind::Unary { op, expr } => ExprKind::Unary { op: *op, expr: one(expr)? },
        ExprKind::Binary { op, left, right } => ExprKind::Binary { op: *op, left: one(left)?, right: one(right)? },
        ExprKind::IsNull { expr, negated } => ExprKind::IsNull { expr: one(expr)?, negated: *negated },
        ExprKind::Between { expr, low, high, negated } => {
            ExprKind::Between { expr: one(expr)?, low: one(low)?, high: one(high)?, negated: *negated }
        }
        ExprKind::InList { expr, list, negated } => {
            let expr = one(expr)?;
            ExprKind::InList { expr, list: list.iter().map(f).collect::<Result<_>>()?, negated: *negated }
        }
        ExprKind::Like { expr, pattern, escape, negated } => {
            ExprKind::Like { expr: one(expr)?, pattern: one(pattern)?, escape: *escape, negated: *negated }
        }
        ExprKind::Case { operand, whens, otherwise } => {
            let operand = operand.as_ref().map(|operand| one(operand)).transpose()?;
            let mut mapped = Vec::with_capacity(whens.len());
            for (when, then) in whens {
                mapped.push((*one(when)?, *one(then)?));
            }
            let otherwise = otherwise.as_ref().map(|otherwise| one(otherwise)).transpose()?;
            ExprKind::Case { operand, whens: mapped, otherwise }
        }
        ExprKind::Cast { expr, ty } => ExprKind::Cast { expr: one(expr)?, ty: ty.clone() },
        ExprKind::Call { name, args, star } => {
            let units = usize::from(has_unit(name, args));
            let mut mapped = args[..units].to_vec();
            for arg in &args[units..] {
                mapped.push(f(arg)?);
            }
            ExprKind::Call { name: name.clone(), args: mapped, star: *star }
        }
        ExprKind::Lambda { params, body } => ExprKind::Lambda { params: params.clone(), body: one(body)? },
        ExprKind::Array(items) => ExprKind::Array(items.iter().map(f).collect::<Result<_>>()?),
        ExprKind::Map(entries) => {
            let mut mapped = Vec::with_capacity(entries.len());
            for (key, value) in entries {
                mapped.push((f(key)?, f(value)?));
            }
            ExprKind::Map(mapped)
        }
        ExprKind::Struct(fields) => {
            ExprKind::Struct(fields.iter().map(|(name, value)| Ok((name.clone(), f(value)?))).collect::<Result<_>>()?)
        }
        ExprKind::Subscript { base, index } => ExprKind::Subscript { base: one(base)?, index: one(index)? },
        ExprKind::Field { base, field } => ExprKind::Field { base: one(base)?, field: field.clone() },
    };
    Ok(Expr::new(kind, expr.span))
}

/// Rewrites `expr` from the top: where `f` answers with an expression it takes the place of the part it was asked
/// about, else the part's children are asked. Parameters of lambdas are never asked about.
pub(super) fn rewrite(expr: &Expr, f: &mut dyn FnMut(&Expr) -> Result<Option<Expr>>) -> Result<Expr> {
    rewrite_inside(expr, &mut Vec::new(), f)
}

fn rewrite_inside(
    expr: &Expr,
    params: &mut Vec<String>,
    f: &mut dyn FnMut(&Expr) -> Result<Option<Expr>>,
) -> Result<Expr> {
    if is_param(expr, params) {
        return Ok(expr.clone());
    }
    if let Some(replacement) = f(expr)? {
        return Ok(replacement);
    }
    let outer = params.len();
    if let ExprKind::Lambda { params: own, .. } = &expr.kind {
        params.extend(own.iter().map(|param| param.text.clone()));
    }
    let result = map_children(expr, &mut |child| rewrite_inside(child, params, f));
    params.truncate(outer);
    result
}

fn is_param(expr: &Expr, params: &[String]) -> bool {
    matches!(&expr.kind, ExprKind::Column { source: None, name } if params.contains(&name.text))
}

/// Every part of `expr`, outermost first, without the parameters of lambdas.
pub(super) fn visit<'e>(expr: &'e Expr, f: &mut dyn FnMut(&'e Expr)) {
    fn inside<'e>(expr: &'e Expr, params: &mut Vec<String>, f: &mut dyn FnMut(&'e Expr)) {
        if is_param(expr, params) {
            return;
        }
        f(expr);
        let outer = params.len();
        if let ExprKind::Lambda { params: own, .. } = &expr.kind {
            params.extend(own.iter().map(|param| param.text.clone()));
        }
        for child in children(expr) {
            inside(child, params, f);
        }
        params.truncate(outer);
    }
    inside(expr, &mut Vec::new(), f);
}

/// The columns that `expr` uses, in reading order.
pub(super) fn columns(expr: &Expr) -> Vec<&Name> {
    let mut names = Vec::new();
    visit(expr, &mut |part| {
        if let ExprKind::Column { name, .. } = &part.kind {
            names.push(name);
        }
    });
    names
}

/// The name of the column that `expr` is, if it is nothing but a column.
pub(super) fn as_column(expr: &Expr) -> Option<&str> {
    match &expr.kind {
        ExprKind::Column { source: None, name } => Some(&name.text),
        _ => None,
    }
}

/// The conditions that AND connects.
pub(super) fn conjuncts(expr: Expr) -> Vec<Expr> {
    match expr.kind {
        ExprKind::Binary { op: BinaryOp::And, left, right } => {
            let mut all = conjuncts(*left);
            all.extend(conjuncts(*right));
            all
        }
        _ => vec![expr],
    }
}

/// All conditions as one; `None` of none.
pub(super) fn all_of(conditions: Vec<Expr>) -> Option<Expr> {
    conditions.into_iter().reduce(|left, right| {
        let span = left.span.to(right.span);
        Expr::new(ExprKind::Binary { op: BinaryOp::And, left: Box::new(left), right: Box::new(right) }, span)
    })
}

/// `expr` and a number more.
pub(super) fn plus(expr: &Expr, more: i64) -> Expr {
    let more = Expr::new(ExprKind::Integer(more), expr.span);
    Expr::new(ExprKind::Binary { op: BinaryOp::Add, left: Box::new(expr.clone()), right: Box::new(more) }, expr.span)
}

/// A column of that name in the place of `of`.
pub(super) fn column_at(name: &str, of: &Expr) -> Expr {
    Expr::new(ExprKind::Column { source: None, name: Name::new(name, of.span) }, of.span)
}

/// An ISO-like text that may stop early (`2020`, `2020-01-01T10`, `2020-01-01T10:00:00.5+0100`) as milliseconds since
/// the epoch; UTC unless it says otherwise.
pub(super) fn partial_timestamp_ms(text: &str) -> Option<i64> {
    let text = text.trim();
    let (date, time) = text.split_once(['T', ' ']).unwrap_or((text, ""));
    let mut parts = date.splitn(3, '-');
    let year: i32 = parts.next()?.parse().ok()?;
    let month: u32 = parts.next().map_or(Some(1), |part| part.parse().ok())?;
    let day: u32 = parts.next().map_or(Some(1), |part| part.parse().ok())?;
    let (time, offset_ms) = split_zone(time)?;
    let mut parts = time.splitn(3, ':');
    let field = |part: Option<&str>| part.filter(|part| !part.is_empty()).map_or(Some(0), |part| part.parse().ok());
    let hour: u32 = field(parts.next())?;
    let minute: u32 = field(parts.next())?;
    let (second, millis) = match parts.next() {
        None => (0, 0),
        Some(part) => {
            let (second, fraction) = part.split_once(['.', ',']).unwrap_or((part, ""));
            let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
            (second.parse().ok()?, digits.parse::<u32>().ok()?)
        }
    };
    let moment = NaiveDate::from_ymd_opt(year, month, day)?.and_hms_milli_opt(hour, minute, second, millis)?;
    Some(moment.and_utc().timestamp_millis() - offset_ms)
}

/// A time of day and the offset of its zone from UTC.
fn split_zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (time, zone) = time.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    let number: i64 = digits.parse().ok()?;
    let (hours, minutes) = if digits.len() <= 2 { (number, 0) } else { (number / 100, number % 100) };
    Some((time, sign * (hours * 60 + minutes) * 60_000))
}

#[cfg(test)]
mod tests {
    use super::partial_timestamp_ms;

    #[test]
    fn partial_timestamps() {
        let day = 86_400_000;
        assert_eq!(partial_timestamp_ms("1970"), Some(0));
        assert_eq!(partial_timestamp_ms("1970-01-02"), Some(day));
        assert_eq!(partial_timestamp_ms("1970-01-02T10"), Some(day + 10 * 3_600_000));
        assert_eq!(partial_timestamp_ms("1970-01-01T01:00+0100"), Some(0));
        assert_eq!(partial_timestamp_ms("1970-01-01T00:00:01.5Z"), Some(1500));
        assert_eq!(partial_timestamp_ms("soon"), None);
    }
}
