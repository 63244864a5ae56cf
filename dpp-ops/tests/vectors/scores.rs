//! Two features to one number.

use dpp_ops::Kind;
use serde_json::{Value as Json, json};

use crate::run::{dense_of, scored};

/// One case for each op of the group.
pub(crate) fn all(cases: &Json) -> usize {
    let features = [
        ("a", Kind::IdScoreList, scored(&cases["input_ids"])),
        ("b", Kind::IdScoreList, scored(&cases["matching_ids"])),
    ];
    let ops = cases.as_object().unwrap().iter();
    let ops = ops.filter(|(name, _)| !name.ends_with("_ids"));
    let checked = ops.map(|(name, expected)| {
        let found = dense_of(json!({"op": name}), &features).unwrap();
        let expected = expected.as_array().unwrap().iter();
        let expected: Vec<f32> = expected.map(|y| y.as_f64().unwrap() as f32).collect();
        assert_eq!(found, expected, "{name}");
    });
    checked.count()
}
