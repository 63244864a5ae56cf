//! The map layout: one MAP column per kind holds many features, each named `column[key]`. Pure.
//!
//! ```text
//! float_features: MAP<int32, float>   row 0: {10 → 30.0, 20 → 4.0}   row 1: {20 → 2.0}
//!     float_features[10]: dense   30.0, null
//!     float_features[20]: dense    4.0, 2.0
//! ```
//!
//! A row's absent key is null, a repeated one counts with its last value, as Parquet has it. Keys are integers or
//! strings; values are anything that has a kind.

use std::collections::{BTreeMap, HashMap};
use std::fmt;

use arrow::datatypes::DataType;
use dpp_proto::v1::{FeatureName, Kind};

use crate::error::Error;
use crate::features::schema::{is_integer, is_text, kind_of};

/// A map's key: one feature.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum MapKey {
    Integer(i64),
    Text(String),
}

/// A map column of features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MapShape {
    /// Whether keys are strings; they are integers otherwise.
    pub(crate) text_keys: bool,
    /// Kind of every feature in it.
    pub(crate) kind: Kind,
    pub(crate) width: u32,
}

/// Names that users gave to features of maps, both ways.
#[derive(Clone, Debug, Default)]
pub(crate) struct FeatureNames {
    shown: BTreeMap<String, String>,
    stored: HashMap<String, String>,
}

/// The shape of a map of features; `None` for every other type.
pub(crate) fn shape_of(stored: &DataType) -> Option<MapShape> {
    let DataType::Map(entries, _) = stored else {
        return None;
    };
    let DataType::Struct(fields) = entries.data_type() else {
        return None;
    };
    let [key, value] = &**fields else { return None };
    let text_keys = is_text(key.data_type());
    if !text_keys && !is_integer(key.data_type()) {
        return None;
    }
    let (kind, width) = kind_of(value.data_type())?;
    Some(MapShape {
        text_keys,
        kind,
        width,
    })
}

/// `column[key]`.
pub(crate) fn entry_name(column: &str, key: &MapKey) -> String {
    format!("{column}[{key}]")
}

/// The ways to read `name` as `column[key]`, shortest column first.
pub(crate) fn entry_names(name: &str) -> impl Iterator<Item = (&str, &str)> {
    let inside = name.strip_suffix(']').unwrap_or_default();
    inside
        .match_indices('[')
        .map(|(at, _)| (&inside[..at], &inside[at + 1..]))
}

impl MapShape {
    /// The key that `text` writes; `None` if no key is written so.
    pub(crate) fn key(&self, text: &str) -> Option<MapKey> {
        if self.text_keys {
            return Some(MapKey::Text(text.to_owned()));
        }
        let key: i64 = text.parse().ok()?;
        (key.to_string() == text).then_some(MapKey::Integer(key))
    }
}

impl FeatureNames {
    /// Fails when a name or a feature is given twice, or is none.
    pub(crate) fn new(given: &[FeatureName]) -> Result<FeatureNames, Error> {
        let mut names = FeatureNames::default();
        for FeatureName { entry, name } in given {
            let refuse = |reason: &str| Error::FeatureName {
                entry: entry.clone(),
                name: name.clone(),
                reason: reason.to_owned(),
            };
            if entry_names(entry).next().is_none() {
                return Err(refuse("a feature of a map is written column[key]"));
            }
            if name.is_empty() {
                return Err(refuse("the name is empty"));
            }
            if let Some(other) = names.shown.insert(entry.clone(), name.clone()) {
                return Err(refuse(&format!("it is called {other:?} already")));
            }
            if let Some(other) = names.stored.insert(name.clone(), entry.clone()) {
                return Err(refuse(&format!("{other} has that name already")));
            }
        }
        Ok(names)
    }

    /// What users call the feature `column[key]`.
    pub(crate) fn shown(&self, entry: String) -> String {
        match self.shown.get(&entry) {
            Some(name) => name.clone(),
            None => entry,
        }
    }

    /// What the file calls the feature, if it is a map's.
    pub(crate) fn stored<'a>(&'a self, name: &'a str) -> &'a str {
        self.stored.get(name).map_or(name, String::as_str)
    }

    /// Every `column[key]` that was given a name.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &str> {
        self.shown.keys().map(String::as_str)
    }
}

impl fmt::Display for MapKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            MapKey::Integer(key) => write!(formatter, "{key}"),
            MapKey::Text(key) => formatter.write_str(key),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(given: &[(&str, &str)]) -> Result<FeatureNames, Error> {
        let owned = given.iter().map(|(entry, name)| FeatureName {
            entry: entry.to_string(),
            name: name.to_string(),
        });
        FeatureNames::new(&owned.collect::<Vec<_>>())
    }

    #[test]
    fn names_are_read_every_way() {
        let ways = |name| entry_names(name).collect::<Vec<_>>();
        assert_eq!(ways("f[10]"), [("f", "10")]);
        assert_eq!(ways("a[b][c]"), [("a", "b][c"), ("a[b]", "c")]);
        assert_eq!(ways("f[]"), [("f", "")]);
        for none in ["f", "f[1", "f]", "", "]"] {
            assert_eq!(ways(none), []);
        }
    }

    #[test]
    fn integer_keys_have_one_spelling() {
        let shape = MapShape {
            text_keys: false,
            kind: Kind::Dense,
            width: 0,
        };
        assert_eq!(shape.key("-7"), Some(MapKey::Integer(-7)));
        for other in ["007", "+7", "7.0", "", " 7", "seven"] {
            assert_eq!(shape.key(other), None, "{other}");
        }
    }

    #[test]
    fn names_are_given_once() {
        let given = names(&[("f[1]", "age"), ("f[2]", "level")]).unwrap();
        assert_eq!(given.shown("f[1]".to_owned()), "age");
        assert_eq!(given.shown("f[3]".to_owned()), "f[3]");
        assert_eq!(
            (given.stored("level"), given.stored("f[3]")),
            ("f[2]", "f[3]")
        );
        assert!(names(&[("f[1]", "age"), ("f[2]", "age")]).is_err());
        assert!(names(&[("f", "age")]).is_err());
        assert!(names(&[("f[1]", "")]).is_err());
    }
}
