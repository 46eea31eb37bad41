//! All declared functions by name and alias.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use super::declare::Function;
use super::{array, bytes, conditional, datetime, json, mask, math, regexp, string, table, url};
use crate::expr::aggregate;

static REGISTRY: LazyLock<BTreeMap<&'static str, Arc<Function>>> = LazyLock::new(|| {
    let families: [Vec<Function>; 12] = [
        array::functions(),
        bytes::functions(),
        conditional::functions(),
        datetime::functions(),
        json::functions(),
        mask::functions(),
        math::functions(),
        regexp::functions(),
        string::functions(),
        table::functions(),
        url::functions(),
        aggregate::functions(),
    ];
    let mut all = BTreeMap::new();
    for function in families.into_iter().flatten().map(Arc::new) {
        for alias in &function.aliases {
            all.insert(*alias, Arc::clone(&function));
        }
        all.insert(function.name, function);
    }
    all
});

/// The function of that name (upper case) or alias.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    REGISTRY.get(name).map(Arc::as_ref)
}

/// Every name with its function, in order of name.
pub(super) fn names() -> impl Iterator<Item = (&'static str, &'static Function)> {
    REGISTRY.iter().map(|(name, function)| (*name, function.as_ref()))
}
