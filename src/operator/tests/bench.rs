//! [`Bench`]: one operator over stores in memory, fed with pretty text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::{Bound, ControlFlow};

use crate::change::ChangeBatch;
use crate::expr::from_text::compile_text;
use crate::expr::{CompiledExpr, Scope};
use crate::operator::{Input, Operator, OperatorContext, RowError};
use crate::state::{MemoryBase, StateStore, Writes};
use crate::time::NO_TIME;
use crate::types::{Column, LogicalSchema, SqlType};

type Make = Box<dyn Fn() -> Box<dyn Operator>>;

pub(super) struct Bench {
    make: Make,
    operator: Box<dyn Operator>,
    pub(super) stores: Vec<StateStore>,
    /// What a reader of each store's changelog knows.
    changelogs: Vec<BTreeMap<Vec<u8>, Vec<u8>>>,
    stream_time: i64,
    pub(super) coalesce: bool,
    pub(super) errors: Vec<RowError>,
    pub(super) late: u64,
}

impl Bench {
    pub(super) fn new<O: Operator + 'static>(stores: usize, make: impl Fn() -> O + 'static) -> Self {
        let make: Make = Box::new(move || Box::new(make()));
        let operator = make();
        let store = |i: usize| StateStore::new(format!("store-{i}"), Box::new(MemoryBase::default()));
        Self {
            make,
            operator,
            stores: (0..stores).map(store).collect(),
            changelogs: vec![BTreeMap::new(); stores],
            stream_time: NO_TIME,
            coalesce: false,
            errors: Vec::new(),
            late: 0,
        }
    }

    fn call(&mut self, what: impl FnOnce(&mut dyn Operator, &mut OperatorContext<'_>)) -> Vec<ChangeBatch> {
        let mut cx = OperatorContext {
            stores: &mut self.stores,
            stream_time: self.stream_time,
            coalesce: self.coalesce,
            out: Vec::new(),
            errors: Vec::new(),
            late: 0,
        };
        what(self.operator.as_mut(), &mut cx);
        let OperatorContext { out, errors, late, .. } = cx;
        self.errors.extend(errors);
        self.late += late;
        out
    }

    pub(super) fn process(&mut self, ports: Vec<Option<ChangeBatch>>) -> Vec<ChangeBatch> {
        self.call(|operator, cx| operator.process(cx, Input { ports }).expect("input"))
    }

    /// Feeds port 0.
    pub(super) fn feed(&mut self, batch: ChangeBatch) -> String {
        text(&self.process(vec![Some(batch)]))
    }

    pub(super) fn feed_both(&mut self, left: ChangeBatch, right: ChangeBatch) -> String {
        text(&self.process(vec![Some(left), Some(right)]))
    }

    pub(super) fn idle(&mut self, time: i64) -> Vec<ChangeBatch> {
        self.stream_time = time;
        self.call(|operator, cx| operator.on_stream_time(cx).expect("time"))
    }

    pub(super) fn commit(&mut self) -> Vec<ChangeBatch> {
        let out = self.call(|operator, cx| operator.on_commit(cx).expect("commit"));
        for (store, changelog) in self.stores.iter_mut().zip(&mut self.changelogs) {
            let mut delta = store.delta();
            while let Some((key, value)) = delta.next_write() {
                match value {
                    Some(value) => changelog.insert(key.to_vec(), value.to_vec()),
                    None => changelog.remove(key),
                };
            }
            drop(delta);
            store.commit().expect("memory");
        }
        out
    }

    /// How many keys the stores hold.
    pub(super) fn entries(&self) -> usize {
        let mut count = 0;
        for store in &self.stores {
            let mut visit = |_: &[u8], _: &[u8]| {
                count += 1;
                ControlFlow::Continue(())
            };
            store.range(Bound::Unbounded, Bound::Unbounded, &mut visit).expect("memory");
        }
        count
    }

    /// How many keys are left in the changelogs, whose replay must be the stores' content.
    pub(super) fn replayed(&self) -> usize {
        for (store, changelog) in self.stores.iter().zip(&self.changelogs) {
            for (key, value) in changelog {
                assert_eq!(store.get(key).expect("memory").as_ref(), Some(value));
            }
        }
        self.changelogs.iter().map(BTreeMap::len).sum()
    }

    /// The same without a past.
    pub(super) fn again(self) -> Self {
        let Self { make, stores, .. } = self;
        let (operator, count) = (make(), stores.len());
        let stores = stores.iter().map(|store| StateStore::new(store.name(), Box::new(MemoryBase::default())));
        Self {
            operator,
            make,
            stores: stores.collect(),
            changelogs: vec![BTreeMap::new(); count],
            stream_time: NO_TIME,
            coalesce: false,
            errors: Vec::new(),
            late: 0,
        }
    }

    /// Commits and goes on with a new operator over the stores.
    pub(super) fn restart(&mut self) -> Vec<ChangeBatch> {
        let out = self.commit();
        self.operator = (self.make)();
        out
    }
}

pub(super) fn text(out: &[ChangeBatch]) -> String {
    out.iter().map(ChangeBatch::to_pretty).collect()
}

/// The text with arrival numbers.
pub(super) fn text_with_seq(out: &[ChangeBatch]) -> String {
    let mut lines = String::new();
    for batch in out {
        for (line, seq) in batch.to_pretty().lines().zip(&batch.seq) {
            let _ = writeln!(lines, "{seq}: {line}");
        }
    }
    lines
}

/// Compares ignoring indentation.
#[track_caller]
pub(super) fn assert_rows(actual: &str, expected: &str) {
    let trim = |text: &str| {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        lines.collect::<Vec<_>>().join("\n")
    };
    assert_eq!(trim(actual), trim(expected), "\nactual:\n{actual}");
}

pub(super) fn rows(schema: &LogicalSchema, text: &str) -> ChangeBatch {
    ChangeBatch::from_pretty(schema, text).expect("rows")
}

/// `K STRING KEY`, then BIGINT values of these names.
pub(super) fn keyed(values: &[&str]) -> LogicalSchema {
    schema(false, values)
}

/// The same with a window.
pub(super) fn windowed(values: &[&str]) -> LogicalSchema {
    schema(true, values)
}

fn schema(windowed: bool, values: &[&str]) -> LogicalSchema {
    let mut columns = vec![Column::key("K", SqlType::String)];
    columns.extend(values.iter().map(|name| Column::value(*name, SqlType::BigInt)));
    LogicalSchema::new(columns, windowed)
}

/// A compiled expression over batches of `schema`.
pub(super) fn expr(text: &str, schema: &LogicalSchema) -> CompiledExpr {
    compile_text(text, &Scope::of(&schema.batch_columns())).expect("expression")
}
