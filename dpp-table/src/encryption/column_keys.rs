//! Which key a person gave to which columns. Pure.
//!
//! A root column's name means all its leaves. Inside lists and maps, writers have different names for the same place:
//! `b.list.element` (pyarrow, Spark) is `b.list.item` (Arrow in Rust).

use std::collections::BTreeMap;

/// Names of keys by names of columns, looked up by leaf column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ColumnKeys {
    keys: BTreeMap<String, String>,
    /// Column names as every writer would have them → as they were given.
    places: BTreeMap<String, String>,
}

impl ColumnKeys {
    pub(crate) fn insert(&mut self, column: &str, key: &str) {
        self.keys.insert(column.to_owned(), key.to_owned());
        self.places.insert(place(column), column.to_owned());
    }

    /// The column that means the leaf most precisely, as it was given, and its key.
    pub(crate) fn get(&self, leaf: &str) -> Option<(&str, &str)> {
        let place = place(leaf);
        let dots = place.rmatch_indices('.').map(|(dot, _)| dot);
        let column = match self.keys.get_key_value(leaf) {
            Some((column, _)) => column,
            None => std::iter::once(place.len())
                .chain(dots)
                .find_map(|end| self.places.get(&place[..end]))?,
        };
        Some((column, &self.keys[column]))
    }

    pub(crate) fn columns(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }
}

impl From<BTreeMap<String, String>> for ColumnKeys {
    fn from(names: BTreeMap<String, String>) -> ColumnKeys {
        let mut keys = ColumnKeys::default();
        for (column, key) in &names {
            keys.insert(column, key);
        }
        keys
    }
}

/// A path with one spelling for what writers call differently.
fn place(path: &str) -> String {
    let mut parts = path.split('.');
    let mut place = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        place.push('.');
        place.push_str(match part {
            "item" | "array" | "array_element" => "element",
            "entries" | "map" => "key_value",
            other => other,
        });
    }
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(columns: &[&str]) -> ColumnKeys {
        let mut keys = ColumnKeys::default();
        for column in columns {
            keys.insert(column, "key");
        }
        keys
    }

    #[test]
    fn a_name_means_its_leaves_and_no_others() {
        for (name, leaf) in [
            ("a", "a"),
            ("a", "a.list.item"),
            ("a.list", "a.list.item"),
            ("b.list.element", "b.list.item"),
            ("b.list.item", "b.list.element"),
            ("m.key_value.value", "m.entries.value"),
            ("dotted.name", "dotted.name.list.element"),
        ] {
            assert_eq!(
                keys(&[name]).get(leaf),
                Some((name, "key")),
                "{name} {leaf}"
            );
        }
        for (name, leaf) in [
            ("a", "ab"),
            ("a.list.item", "a"),
            ("item", "element"),
            ("a.key", "a.value"),
            ("", "a"),
        ] {
            assert_eq!(keys(&[name]).get(leaf), None, "{name} {leaf}");
        }
    }

    #[test]
    fn the_most_precise_name_wins() {
        let keys = keys(&["m", "m.key_value.key", "x.item", "x.element"]);
        let meant = |leaf| keys.get(leaf).map(|(column, _)| column);
        assert_eq!(meant("m.entries.key"), Some("m.key_value.key"));
        assert_eq!(meant("m.entries.value"), Some("m"));
        assert_eq!(meant("x.item"), Some("x.item"));
        assert_eq!(meant("x.element"), Some("x.element"));
        assert_eq!(meant("n"), None);
    }
}
