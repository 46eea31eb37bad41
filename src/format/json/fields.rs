//! Which column a field name fills, mostly found by comparing it with the name that came next last time.

use hashbrown::HashMap;

use crate::types::SqlType;

/// No column.
pub(super) const NONE: u32 = u32::MAX;
/// Field names remembered; records with ever new names (ids as names) must not fill the memory.
const REMEMBERED: usize = 1024;

/// The columns that a field name fills.
///
/// > KSQL: a column takes the field of exactly its name, else one whose upper-cased name is the column's: `{"Foo": 1}`
/// > fills both `` `Foo` `` and `FOO`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    /// The column of exactly that name.
    pub exact: u32,
    /// Another column whose name is the upper-cased one.
    pub folded: u32,
}

/// The columns of an object, and the names seen so far.
#[derive(Debug)]
pub(super) struct Fields {
    /// Names of the columns.
    pub names: Vec<String>,
    /// Inner structure of each column.
    pub shapes: Vec<Shape>,
    /// For each column the number of the object that last filled it by its upper-cased name.
    pub folded_by: Vec<u64>,
    /// Number of the current object.
    pub object: u64,
    columns: HashMap<Box<str>, u32, ahash::RandomState>,
    seen: Vec<(Box<str>, Target)>,
    index: HashMap<Box<str>, u32, ahash::RandomState>,
}

/// What decoding a type needs beside its builder.
#[derive(Debug)]
pub(super) enum Shape {
    /// No inner structure.
    Scalar,
    /// Elements of an array or values of a map.
    Items(Box<Shape>),
    /// Fields of a struct.
    Struct(Box<Fields>),
}

impl Shape {
    pub(super) fn new(ty: &SqlType) -> Self {
        match ty {
            SqlType::Array(item) | SqlType::Map(_, item) => Self::Items(Box::new(Self::new(item))),
            SqlType::Struct(fields) => {
                Self::Struct(Box::new(Fields::new(fields.iter().map(|field| (field.name.as_str(), &field.ty)))))
            }
            _ => Self::Scalar,
        }
    }
}

impl Fields {
    pub(super) fn new<'a>(fields: impl Iterator<Item = (&'a str, &'a SqlType)>) -> Self {
        let (names, shapes): (Vec<_>, Vec<_>) = fields.map(|(name, ty)| (name.to_owned(), Shape::new(ty))).unzip();
        let columns = names.iter().enumerate().map(|(i, name)| (name.as_str().into(), i as u32)).collect();
        Self {
            folded_by: vec![0; names.len()],
            object: 0,
            names,
            shapes,
            columns,
            seen: Vec::new(),
            index: HashMap::default(),
        }
    }

    /// What `name` fills; `next` is where it is expected among the names seen, and moves on.
    #[inline]
    pub(super) fn find(&mut self, name: &str, next: &mut usize) -> Target {
        if let Some((expected, target)) = self.seen.get(*next)
            && **expected == *name
        {
            *next += 1;
            return *target;
        }
        self.look_up(name, next)
    }

    #[cold]
    fn look_up(&mut self, name: &str, next: &mut usize) -> Target {
        if let Some(at) = self.index.get(name) {
            *next = *at as usize + 1;
            return self.seen[*at as usize].1;
        }
        let exact = self.columns.get(name).copied().unwrap_or(NONE);
        let upper = name.to_uppercase();
        let folded = self.columns.get(upper.as_str()).copied().filter(|column| *column != exact).unwrap_or(NONE);
        let target = Target { exact, folded };
        if self.seen.len() < REMEMBERED {
            self.index.insert(name.into(), self.seen.len() as u32);
            self.seen.push((name.into(), target));
            *next = self.seen.len();
        }
        target
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_exactly_or_upper_cased() {
        let ty = SqlType::Int;
        let mut fields = Fields::new([("FOO", &ty), ("Foo", &ty), ("bar", &ty)].into_iter());
        let mut next = 0;
        assert_eq!(fields.find("foo", &mut next), Target { exact: NONE, folded: 0 });
        assert_eq!(fields.find("Foo", &mut next), Target { exact: 1, folded: 0 });
        assert_eq!(fields.find("BAR", &mut next), Target { exact: NONE, folded: NONE });
        assert_eq!(next, 3);
        next = 0;
        assert_eq!(fields.find("Foo", &mut next).exact, 1, "a skipped name does not derail the prediction");
        assert_eq!(next, 2);
    }

    #[test]
    fn ever_new_names_are_not_all_kept() {
        let mut fields = Fields::new(std::iter::empty());
        for i in 0..3 * REMEMBERED {
            fields.find(&i.to_string(), &mut 0);
        }
        assert_eq!(fields.seen.len(), REMEMBERED);
    }
}
