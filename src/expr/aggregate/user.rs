//! [`Fold`]: aggregates that an embedder writes, whose running values are [`Value`]s.

use std::any::Any;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::codec::{begin, check, put_value, take_value};
use super::{Accumulator, Aggregate, Chosen, same};
use crate::error::{Error, Result};
use crate::expr::functions::declare::Call;
use crate::types::Value;

/// How an aggregate function works on running values.
///
/// A row that fails changes nothing and is told to the processing log.
pub trait Fold: Send + Sync {
    /// The running value of a group without rows.
    fn initial(&self) -> Value;
    /// Takes a row's arguments in.
    fn add(&self, running: &mut Value, row: &[Value]) -> Result<(), String>;
    /// Takes in the running value of rows that came later (sessions that merge).
    fn merge(&self, running: &mut Value, later: &Value) -> Result<(), String>;
    /// Whether [`Fold::undo`] works, so that tables can be aggregated.
    fn can_undo(&self) -> bool {
        false
    }
    /// Takes a row back that was added before.
    fn undo(&self, _running: &mut Value, _row: &[Value]) -> Result<(), String> {
        super::no_undo()
    }
    /// The result.
    fn result(&self, running: &Value) -> Value {
        running.clone()
    }
}

/// Makes a [`Fold`] from the literal arguments of a call.
pub(in crate::expr) type MakeFold = dyn Fn(&[Value]) -> Result<Arc<dyn Fold>, String> + Send + Sync;

/// The aggregate of a call whose arguments from `columns` on are literals.
pub(in crate::expr) fn folding(call: &Call, columns: usize, make: &MakeFold) -> Result<Box<dyn Aggregate>> {
    let literals =
        (columns..call.params.len()).map(|at| super::literal(call, at).cloned()).collect::<Result<Vec<_>>>()?;
    let fold = make(&literals).map_err(|reason| Error::semantic(format!("{}: {reason}", call.name)))?;
    let undo = fold.can_undo();
    Ok(Box::new(Chosen {
        returns: call.returns.clone(),
        params: call.params[..columns].to_vec(),
        undo,
        make: Box::new(move || Box::new(Folded { running: fold.initial(), fold: Arc::clone(&fold) })),
    }))
}

struct Folded {
    fold: Arc<dyn Fold>,
    running: Value,
}

fn row_of(args: &[ArrayRef], row: usize) -> Vec<Value> {
    args.iter().map(|arg| Value::from_array(arg.as_ref(), row)).collect()
}

impl Accumulator for Folded {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let mut running = self.running.clone();
        self.fold.add(&mut running, &row_of(args, row))?;
        self.running = running;
        Ok(())
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let mut running = self.running.clone();
        self.fold.undo(&mut running, &row_of(args, row))?;
        self.running = running;
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        let other: &Self = same(other)?;
        self.fold.merge(&mut self.running, &other.running)
    }

    fn result(&self) -> Value {
        self.fold.result(&self.running)
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        put_value(out, &self.running);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.running = take_value(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
