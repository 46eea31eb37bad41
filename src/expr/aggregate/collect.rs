//! Aggregates that keep the values themselves: COLLECT_LIST, COLLECT_SET, COUNT_DISTINCT, HISTOGRAM, ATTR.

use std::any::Any;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use arrow::array::{Array, ArrayRef, AsArray};
use indexmap::IndexMap;

use super::codec::{self, begin, canonical, check};
use super::{AGGREGATE, Accumulator, chosen, no_undo, same};
use crate::error::Result;
use crate::expr::functions::cell::Ordered;
use crate::expr::functions::declare::Body::Aggregate;
use crate::expr::functions::declare::{Call, Function};
use crate::types::Value;

/// Most different texts that HISTOGRAM counts.
const HISTOGRAM_LIMIT: usize = 1000;

/// The family's declarations.
pub(super) fn functions() -> Vec<Function> {
    vec![
        Function::aggregate(
            "COLLECT_LIST",
            AGGREGATE,
            "All values in order of arrival, NULLs included; no more than ksql.functions.collect_list.limit if that is set.",
        )
        .example("COLLECT_LIST(ITEM)")
        .overload("(value T) -> ARRAY<T>", Aggregate(|call| {
            let limit = limit(call, "ksql.functions.collect_list.limit");
            chosen(call, 1, true, move || List { values: Vec::new(), limit })
        })),
        Function::aggregate(
            "COLLECT_SET",
            AGGREGATE,
            "The different values in order of first arrival, NULL included; no more than ksql.functions.collect_set.limit \
             if that is set.",
        )
        .example("COLLECT_SET(ITEM)")
        .overload("(value T) -> ARRAY<T>", Aggregate(|call| {
            let limit = limit(call, "ksql.functions.collect_set.limit");
            chosen(call, 1, false, move || Set { values: Vec::new(), seen: BTreeSet::new(), limit })
        })),
        Function::aggregate(
            "COUNT_DISTINCT",
            AGGREGATE,
            "How many different values there are, NULLs left out. Exact: all different values are kept.",
        )
        .example("COUNT_DISTINCT(USER_ID)")
        .overload("(value T) -> BIGINT", Aggregate(|call| chosen(call, 1, false, Distinct::default))),
        Function::aggregate(
            "HISTOGRAM",
            AGGREGATE,
            "How often each text occurs, NULLs left out; from the 1001st different text on, new ones are not counted.",
        )
        .example("HISTOGRAM(STATUS)")
        .overload("(value STRING) -> MAP<STRING, BIGINT>", Aggregate(|call| chosen(call, 1, true, Histogram::default))),
        Function::aggregate(
            "ATTR",
            AGGREGATE,
            "The value that all rows have in common, NULL counting as a value; NULL when they differ.",
        )
        .example("ATTR(COUNTRY)")
        .overload("(value T) -> T", Aggregate(|call| chosen(call, 1, true, Attr::default))),
    ]
}

/// Absent and negative settings set no limit.
fn limit(call: &Call, setting: &str) -> usize {
    call.env.setting(setting).and_then(|text| text.trim().parse().ok()).unwrap_or(usize::MAX)
}

/// `COLLECT_LIST`
struct List {
    values: Vec<Value>,
    limit: usize,
}

impl Accumulator for List {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        if self.values.len() < self.limit {
            self.values.push(Value::from_array(&args[0], row));
        }
        Ok(())
    }

    /// > KSQL: takes back the newest of equal values.
    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let value = canonical(Value::from_array(&args[0], row));
        if let Some(at) = self.values.iter().rposition(|v| Ordered(canonical(v.clone())) == Ordered(value.clone())) {
            self.values.remove(at);
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        let free = self.limit.saturating_sub(self.values.len());
        self.values.extend(same::<Self>(other)?.values.iter().take(free).cloned());
        Ok(())
    }

    fn result(&self) -> Value {
        Value::Array(self.values.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_values(out, &self.values);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.values = codec::take_values(bytes)?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `COLLECT_SET`
struct Set {
    values: Vec<Value>,
    seen: BTreeSet<Ordered>,
    limit: usize,
}

impl Set {
    fn offer(&mut self, value: Value) {
        if self.values.len() < self.limit && self.seen.insert(Ordered(canonical(value.clone()))) {
            self.values.push(value);
        }
    }
}

impl Accumulator for Set {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        self.offer(Value::from_array(&args[0], row));
        Ok(())
    }

    fn undo(&mut self, _: &[ArrayRef], _: usize) -> Result<(), String> {
        no_undo()
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        same::<Self>(other)?.values.iter().for_each(|value| self.offer(value.clone()));
        Ok(())
    }

    fn result(&self) -> Value {
        Value::Array(self.values.clone())
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_values(out, &self.values);
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        self.values = codec::take_values(bytes)?;
        self.seen = self.values.iter().cloned().map(|value| Ordered(canonical(value))).collect();
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `COUNT_DISTINCT`: the saved forms of the values.
#[derive(Default)]
struct Distinct {
    seen: HashSet<Box<[u8]>, ahash::RandomState>,
    buffer: Vec<u8>,
}

impl Accumulator for Distinct {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        if args[0].is_valid(row) {
            self.buffer.clear();
            codec::put_value(&mut self.buffer, &canonical(Value::from_array(&args[0], row)));
            if !self.seen.contains(self.buffer.as_slice()) {
                self.seen.insert(self.buffer.as_slice().into());
            }
        }
        Ok(())
    }

    fn undo(&mut self, _: &[ArrayRef], _: usize) -> Result<(), String> {
        no_undo()
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        self.seen.extend(same::<Self>(other)?.seen.iter().cloned());
        Ok(())
    }

    fn result(&self) -> Value {
        Value::BigInt(self.seen.len() as i64)
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        let mut sorted: Vec<_> = self.seen.iter().collect();
        sorted.sort_unstable();
        codec::put_len(out, sorted.len());
        sorted.into_iter().for_each(|value| codec::put_bytes(out, value));
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        let len = codec::take_len(bytes)?;
        self.seen = (0..len).map(|_| Ok(codec::take_bytes(bytes)?.into())).collect::<Result<_>>()?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `HISTOGRAM`, in order of first arrival.
#[derive(Default)]
struct Histogram(IndexMap<String, i64>);

impl Histogram {
    fn add(&mut self, text: &str, count: i64) {
        if let Some(counted) = self.0.get_mut(text) {
            *counted += count;
        } else if self.0.len() < HISTOGRAM_LIMIT {
            self.0.insert(text.to_owned(), count);
        }
    }
}

impl Accumulator for Histogram {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_string::<i32>();
        if column.is_valid(row) {
            self.add(column.value(row), 1);
        }
        Ok(())
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let column = args[0].as_string::<i32>();
        if column.is_valid(row)
            && let Some(count) = self.0.get_mut(column.value(row))
        {
            *count -= 1;
            if *count <= 0 {
                self.0.shift_remove(column.value(row));
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        same::<Self>(other)?.0.iter().for_each(|(text, count)| self.add(text, *count));
        Ok(())
    }

    fn result(&self) -> Value {
        let entries = self.0.iter().map(|(text, count)| (Value::String(text.clone()), Value::BigInt(*count)));
        Value::Map(entries.collect())
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_len(out, self.0.len());
        for (text, count) in &self.0 {
            codec::put_bytes(out, text.as_bytes());
            codec::put_i64(out, *count);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        let len = codec::take_len(bytes)?;
        self.0 = (0..len).map(|_| Ok((codec::take_string(bytes)?, codec::take_i64(bytes)?))).collect::<Result<_>>()?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

/// `ATTR`: how often each value occurs.
#[derive(Default)]
struct Attr(BTreeMap<Ordered, i64>);

impl Accumulator for Attr {
    fn update(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        *self.0.entry(Ordered(canonical(Value::from_array(&args[0], row)))).or_default() += 1;
        Ok(())
    }

    fn undo(&mut self, args: &[ArrayRef], row: usize) -> Result<(), String> {
        let value = Ordered(canonical(Value::from_array(&args[0], row)));
        if let Some(count) = self.0.get_mut(&value) {
            *count -= 1;
            if *count <= 0 {
                self.0.remove(&value);
            }
        }
        Ok(())
    }

    fn merge(&mut self, other: &dyn Accumulator) -> Result<(), String> {
        for (value, count) in &same::<Self>(other)?.0 {
            *self.0.entry(value.clone()).or_default() += count;
        }
        Ok(())
    }

    fn result(&self) -> Value {
        match self.0.first_key_value() {
            Some((value, _)) if self.0.len() == 1 => value.0.clone(),
            _ => Value::Null,
        }
    }

    fn save(&self, out: &mut Vec<u8>) {
        begin(out);
        codec::put_len(out, self.0.len());
        for (value, count) in &self.0 {
            codec::put_value(out, &value.0);
            codec::put_i64(out, *count);
        }
    }

    fn load(&mut self, bytes: &mut &[u8]) -> Result<()> {
        check(bytes)?;
        let len = codec::take_len(bytes)?;
        self.0 = (0..len)
            .map(|_| Ok((Ordered(codec::take_value(bytes)?), codec::take_i64(bytes)?)))
            .collect::<Result<_>>()?;
        Ok(())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}
