//! Function calls, those with lambdas among them.

use super::{Binder, boolean, coerce};
use crate::error::{Error, ErrorKind, Result, Span, did_you_mean};
use crate::expr::functions::{self, ArgType, FunctionKind, Resolved};
use crate::expr::node::{Kind, LambdaFunction, Node};
use crate::expr::rules::{common_type, widens};
use crate::sql::ast::{Expr, ExprKind, Name};
use crate::types::{SqlType, Value};

/// Functions whose first argument names a unit of time.
const UNIT_FUNCTIONS: [&str; 6] = ["TIMESTAMPADD", "TIMESTAMPSUB", "DATEADD", "DATESUB", "TIMEADD", "TIMESUB"];
const UNITS: [&str; 16] = [
    "MILLISECOND",
    "MILLISECONDS",
    "SECOND",
    "SECONDS",
    "MINUTE",
    "MINUTES",
    "HOUR",
    "HOURS",
    "DAY",
    "DAYS",
    "WEEK",
    "WEEKS",
    "MONTH",
    "MONTHS",
    "YEAR",
    "YEARS",
];

impl Binder<'_> {
    pub(super) fn call(&mut self, name: &Name, args: &[Expr], star: bool, span: Span) -> Result<Node> {
        let upper = name.text.to_uppercase();
        let lambda = match upper.as_str() {
            "TRANSFORM" => Some(LambdaFunction::Transform),
            "FILTER" => Some(LambdaFunction::Filter),
            "REDUCE" => Some(LambdaFunction::Reduce),
            _ => None,
        };
        if let Some(function) = lambda {
            return self.lambda_call(function, &upper, args);
        }
        match functions::kind_of(&upper) {
            Some(FunctionKind::Aggregate) => {
                return Err(Error::semantic(format!("the aggregate function {upper} cannot stand here"))
                    .at(name.span)
                    .hint("Aggregate functions stand in SELECT and HAVING of a query with GROUP BY."));
            }
            Some(FunctionKind::Table) => {
                return Err(Error::semantic(format!("the table function {upper} cannot stand here"))
                    .at(name.span)
                    .hint("Table functions stand directly in SELECT."));
            }
            _ => {}
        }
        if star {
            return Err(Error::semantic(format!("{upper}(*) is no call")).hint("Only COUNT takes *."));
        }
        let env = self.env;
        self.resolved(&upper, name, args, span, &|name, types| match env {
            Some(env) => functions::resolve_scalar_in(env, name, types),
            None => functions::resolve_scalar(name, types),
        })
    }

    /// A call of a table function: its cells are arrays, whose items become rows.
    pub(in crate::expr) fn table_call(&mut self, name: &Name, args: &[Expr], span: Span) -> Result<Node> {
        self.resolved(&name.text.to_uppercase(), name, args, span, &functions::resolve_table)
    }

    /// A call with its arguments bound and its overload chosen by `resolve`.
    fn resolved(
        &mut self,
        upper: &str,
        name: &Name,
        args: &[Expr],
        span: Span,
        resolve: &dyn Fn(&str, &[ArgType]) -> Result<Resolved>,
    ) -> Result<Node> {
        let nodes = args
            .iter()
            .enumerate()
            .map(|(i, arg)| match &arg.kind {
                ExprKind::Column { source: None, name }
                    if i == 0 && UNIT_FUNCTIONS.contains(&upper) && UNITS.contains(&name.text.as_str()) =>
                {
                    Ok(Node::literal(&Value::String(name.text.clone()), SqlType::String))
                }
                _ => self.bind(arg),
            })
            .collect::<Result<Vec<_>>>()?;
        let types: Vec<ArgType> =
            nodes.iter().map(|node| node.ty.clone().map_or(ArgType::Null, ArgType::Sql)).collect();
        let resolved = resolve(upper, &types).map_err(|error| {
            // Unknown functions are known by their name, wrong arguments by the whole call.
            if error.kind() != ErrorKind::NotFound {
                return error.at(span);
            }
            let all = functions::all();
            match did_you_mean(upper, all.iter().map(|doc| doc.name.as_str())) {
                Some(near) if error.hints().is_empty() => error.at(name.span).hint(format!("Did you mean {near}?")),
                _ => error.at(name.span),
            }
        })?;
        let args = nodes.into_iter().zip(&resolved.params).map(|(node, param)| coerce(node, param)).collect();
        // > KSQL: IFNULL and COALESCE replace values that could not be computed, too.
        let contain = matches!(upper, "IFNULL" | "COALESCE");
        Ok(Node::new(Kind::Call { eval: resolved.eval, args, contain }, resolved.returns))
    }

    fn lambda_call(&mut self, function: LambdaFunction, name: &str, args: &[Expr]) -> Result<Node> {
        let usage = || {
            Error::semantic(format!("{name} is called in another way")).hint(match function {
                LambdaFunction::Transform => {
                    "Write TRANSFORM(array, x => …) or TRANSFORM(map, (k, v) => key, (k, v) => value)."
                }
                LambdaFunction::Filter => "Write FILTER(array, x => condition) or FILTER(map, (k, v) => condition).",
                LambdaFunction::Reduce => {
                    "Write REDUCE(array, start, (state, x) => …) or REDUCE(map, start, (state, k, v) => …)."
                }
            })
        };
        let (first_arg, rest) = args.split_first().ok_or_else(usage)?;
        let collection = self.bind(first_arg)?;
        let element = match &collection.ty {
            Some(SqlType::Array(item)) => vec![(**item).clone()],
            Some(SqlType::Map(key, value)) => vec![(**key).clone(), (**value).clone()],
            _ => {
                let message = format!("{name} works on ARRAY and MAP, not on {}", collection.type_name());
                return Err(Error::semantic(message).at(first_arg.span));
            }
        };
        let is_map = element.len() == 2;
        let first = self.scope.columns.len() + self.params.len();
        let (initial, bodies, ty) = match (function, rest) {
            (LambdaFunction::Transform, [body]) if !is_map => {
                let body = self.lambda(body, element, &usage)?;
                let ty = SqlType::array(typed(&body)?);
                (None, vec![body], ty)
            }
            (LambdaFunction::Transform, [key, value]) if is_map => {
                let key = self.lambda(key, element.clone(), &usage)?;
                let value = self.lambda(value, element, &usage)?;
                let ty = SqlType::map(typed(&key)?, typed(&value)?);
                (None, vec![key, value], ty)
            }
            (LambdaFunction::Filter, [body]) => {
                let node = self.lambda(body, element, &usage)?;
                let node = boolean(node, "FILTER", body.span)?;
                (None, vec![node], collection.ty.clone().ok_or_else(usage)?)
            }
            (LambdaFunction::Reduce, [start, body]) => {
                let initial = self.bind(start)?;
                let mut state = typed(&initial)?;
                let params = |state: &SqlType| [vec![state.clone()], element.clone()].concat();
                let mut node = self.lambda(body, params(&state), &usage)?;
                // The state takes the wider of both types: bind once more with it.
                if let Some(ty) = node.ty.clone()
                    && ty != state
                {
                    let wider = common_type(&state, &ty).ok_or_else(|| {
                        let message = format!("REDUCE starts with a {state}, but its lambda returns a {ty}");
                        Error::semantic(message).at(body.span).hint("CAST one of them.")
                    })?;
                    node = self.lambda(body, params(&wider), &usage)?;
                    if node.ty.as_ref().is_some_and(|ty| !widens(ty, &wider)) {
                        let message = format!("the lambda of REDUCE must return its state's type {wider}");
                        return Err(Error::semantic(message).at(body.span).hint("CAST(… AS type) in the lambda."));
                    }
                    state = wider;
                }
                (Some(coerce(initial, &state).boxed()), vec![coerce(node, &state)], state)
            }
            _ => return Err(usage()),
        };
        let collection = collection.boxed();
        Ok(Node::new(Kind::Lambda { function, collection, initial, bodies, first }, ty))
    }

    /// The body of a lambda over parameters of these types.
    fn lambda(&mut self, expr: &Expr, types: Vec<SqlType>, usage: &dyn Fn() -> Error) -> Result<Node> {
        let ExprKind::Lambda { params, body } = &expr.kind else { return Err(usage().at(expr.span)) };
        if params.len() != types.len() {
            return Err(Error::semantic(format!("the lambda has {} parameters, not {}", types.len(), params.len()))
                .at(expr.span));
        }
        for (i, param) in params.iter().enumerate() {
            if self.scope.columns.iter().any(|(column, _)| *column == param.text) {
                return Err(Error::semantic(format!("lambda parameter {} has the name of a column", param.text))
                    .at(param.span)
                    .hint("Give the parameter another name."));
            }
            if params[..i].contains(param) {
                return Err(Error::semantic(format!("lambda parameter {} occurs twice", param.text)).at(param.span));
            }
        }
        let depth = self.params.len();
        self.params.extend(params.iter().map(|param| param.text.clone()).zip(types));
        let result = self.bind(body);
        self.params.truncate(depth);
        result
    }
}

fn typed(node: &Node) -> Result<SqlType> {
    node.ty.clone().ok_or_else(|| Error::semantic("NULL has no type here").hint("Write CAST(NULL AS type)."))
}
