//! Which ops there are: names to constructors. A program may know more than the standard ones.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
};

use crate::{
    Error,
    fit::{Fitted, Reference},
    nearest::nearest,
    op::SharedOp,
    ops,
    parameters::{Parameters, Reader},
};

/// An op by name: what it may be told, and how it is made.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As plans write it.
    pub name: &'static str,
    /// The parameters it knows.
    pub parameters: &'static [&'static str],
    /// Makes the op; fails on a value that can't be used.
    pub construct: fn(&mut Reader<'_>) -> Result<SharedOp, Error>,
}

/// The ops that plans may name. A value, not a global: whoever binds or compiles a plan says which registry counts.
///
/// ```
/// # use std::sync::Arc;
/// # use dpp_ops::{Column, Error, Kind, Registry, op::{Mismatch, Op, only_column, only_input}, registry::Entry};
/// #[derive(Debug)]
/// struct Negate;
///
/// impl Op for Negate {
///     fn output_kind(&self, inputs: &[Kind]) -> Result<Kind, Mismatch> {
///         only_input(inputs, &[Kind::Dense])
///     }
///
///     fn evaluate(&self, inputs: &[&Column]) -> Result<Column, Error> {
///         let values = only_column("negate", inputs)?.dense()?;
///         Ok(Column::Dense(values.unary(|x| -x)))
///     }
/// }
///
/// let entry = Entry { name: "negate", parameters: &[], construct: |_| Ok(Arc::new(Negate)) };
/// let registry = Registry::standard().with(entry)?;
/// assert!(registry.names().any(|name| name == "negate"));
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Registry {
    entries: BTreeMap<&'static str, Entry>,
    /// By digest.
    fitted: BTreeMap<String, Arc<Fitted>>,
}

impl Registry {
    /// The ops of this crate.
    pub fn standard() -> Registry {
        Registry::of_this_crate().clone()
    }

    /// The same ops and one more. Fails when the name is taken: an op never changes its meaning.
    pub fn with(mut self, entry: Entry) -> Result<Registry, Error> {
        match self.entries.insert(entry.name, entry) {
            None => Ok(self),
            Some(_) => Err(Error::OpTaken {
                op: entry.name.to_owned(),
            }),
        }
    }

    /// The same ops, and an artefact that plans may refer to by its digest.
    pub fn with_fitted(mut self, digest: &str, fitted: Arc<Fitted>) -> Registry {
        self.fitted.insert(digest.to_ascii_lowercase(), fitted);
        self
    }

    /// Fails on a reference to what is not loaded.
    pub(crate) fn check_loaded(&self, references: &[Reference]) -> Result<(), Error> {
        let loaded = |it: &&Reference| self.fitted.contains_key(&it.digest.to_ascii_lowercase());
        match references.iter().find(|it| !loaded(it)) {
            None => Ok(()),
            Some(reference) => Err(Error::NotLoaded {
                url: reference.url.clone(),
            }),
        }
    }

    /// The ops' names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.keys().copied()
    }

    /// The ops, sorted by name.
    pub fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// Makes the op `name`, and returns its parameters in canonical form.
    ///
    /// Fails on an unknown name or parameter (with the nearest known ones), a missing parameter and a value that
    /// can't be used.
    pub fn construct(
        &self,
        name: &str,
        parameters: &Parameters,
    ) -> Result<(SharedOp, Parameters), Error> {
        let entry = self.entries.get(name);
        let entry = entry.ok_or_else(|| Error::UnknownOp {
            op: name.to_owned(),
            nearest: nearest(name, self.names()),
        })?;
        let mut reader = Reader::new(name, parameters, entry.parameters)?.knowing(&self.fitted);
        let op = (entry.construct)(&mut reader)?;
        Ok((op, reader.into_canonical()))
    }

    /// [`standard`](Registry::standard), shared.
    pub(crate) fn of_this_crate() -> &'static Registry {
        static STANDARD: LazyLock<Registry> = LazyLock::new(|| {
            let none = Registry {
                entries: BTreeMap::new(),
                fitted: BTreeMap::new(),
            };
            let mut entries = ops::GROUPS.iter().copied().flatten();
            let all = entries.try_fold(none, |registry, entry| registry.with(*entry));
            all.expect("no two ops of this crate share a name")
        });
        &STANDARD
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_names_are_offered() {
        let registry = Registry::standard();
        let error = registry.construct("sigridhash", &Parameters::new());
        assert_eq!(
            error.unwrap_err().to_string(),
            "unknown op `sigridhash`; did you mean sigrid_hash?"
        );
    }

    #[test]
    fn a_taken_name_is_refused() {
        let entry = Entry {
            name: "clamp",
            parameters: &[],
            construct: |reader| Err(reader.bad("x", "never made")),
        };
        let message = Registry::standard().with(entry).unwrap_err().to_string();
        assert_eq!(
            message,
            "op `clamp` is registered already; give the new op another name"
        );
    }
}
