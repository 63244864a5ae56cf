//! Lists to lists.

use dpp_ops::Kind;
use serde_json::{Value as Json, json};

use crate::run::{id_lists, ids, lists_of};

pub(crate) fn hash(case: &Json) -> bool {
    let op = json!({"op": "sigrid_hash", "salt": case["salt"], "max_value": case["max"]});
    let found = lists_of(op, &ids(&json!([[case["x"]]]))).unwrap();
    assert_eq!(found, json!([[case["y"]]]), "{case}");
    true
}

pub(crate) fn first(case: &Json) -> bool {
    let op = json!({"op": "first_x", "n": case["n"]});
    assert_eq!(lists_of(op, &ids(&case["x"])).unwrap(), case["y"], "{case}");
    true
}

pub(crate) fn clamp(case: &Json) -> bool {
    let op = json!({"op": "clamp_list", "lo": case["lo"], "hi": case["hi"]});
    if case["y"].is_string() {
        let error = lists_of(op, &ids(&json!([]))).unwrap_err();
        assert!(error.to_string().contains("`lo`"), "{error}");
    } else {
        assert_eq!(lists_of(op, &ids(&case["x"])).unwrap(), case["y"], "{case}");
    }
    true
}

/// TorchArrow's `stop` and NVTabular's `end`.
pub(crate) fn slice(case: &Json) -> bool {
    if case["pad"] == true {
        return false;
    }
    let end = [&case["stop"], &case["end"]];
    let end = end.into_iter().find(|end| !end.is_null());
    let op = json!({"op": "list_slice", "start": case["start"], "end": end});
    let found = lists_of(op, &ids(&without_nulls(&case["x"]))).unwrap();
    assert_eq!(found, without_nulls(&case["y"]), "{case}");
    true
}

fn without_nulls(rows: &Json) -> Json {
    let text = rows.to_string().replace("null", "-1");
    serde_json::from_str(&text).unwrap()
}

pub(crate) fn array(case: &Json) -> bool {
    let name = case["op"].as_str().unwrap();
    let found = if name.starts_with("slice") {
        lists_of(
            json!({"op": "list_slice", "start": 1, "end": 4}),
            &ids(&case["x"]),
        )
    } else if let Some(other) = name.strip_prefix("array_intersect ") {
        let rows = case["x"].as_array().unwrap().len();
        let other: Json = serde_json::from_str(other).unwrap();
        let [x] = ids(&case["x"]);
        let other = ("y", Kind::IdList, id_lists(&json!(vec![other; rows])));
        lists_of(json!({"op": "intersect"}), &[x, other])
    } else {
        return false;
    };
    assert_eq!(found.unwrap(), case["y"], "{case}");
    true
}

/// Windows are lists there, and ids here: the id of a window is the only one of a row that is the window.
pub(crate) fn ngram(case: &Json) -> bool {
    let grams = |x: &Json, n: &Json| lists_of(json!({"op": "ngram", "n": n}), &ids(&json!([x])));
    if case["x"].to_string().contains('"') {
        return false;
    }
    if case["y"].is_string() {
        assert!(grams(&case["x"], &case["n"]).is_err());
        return true;
    }
    let windows = case["y"].as_array().unwrap().iter();
    let windows = windows.filter(|window| !window.as_array().unwrap().is_empty());
    let expected = windows.map(|window| {
        let folded = grams(window, &json!(i64::MAX)).unwrap();
        folded[0][0].clone()
    });
    let expected = json!([expected.collect::<Vec<_>>()]);
    assert_eq!(grams(&case["x"], &case["n"]).unwrap(), expected, "{case}");
    true
}

/// The rule of Caffe2's test, on columns of its making.
pub(crate) fn categorical() -> usize {
    let (limits, vocabulary) = ([3, 2, 4], [7, 8, 9, 0, 1, 5, 6, 7, 8]);
    let own = [&vocabulary[..3], &vocabulary[3..5], &vocabulary[5..]];
    let rows: Vec<[f32; 3]> = (0..60u8)
        .map(|row| [row % 11, row % 3, row % 10].map(|id| f32::from(id) + 0.3))
        .collect();
    let slot = |row: &[f32; 3], k: usize| {
        let known = own[k].iter().position(|id| *id == row[k].round() as i64);
        known.unwrap_or(0)
    };
    let sum = |row| json!([slot(row, 0) + 3 * slot(row, 1) + 6 * slot(row, 2)]);
    let expected: Vec<Json> = rows.iter().map(sum).collect();
    let feature = |name, k: usize| {
        let column: Vec<Json> = rows.iter().map(|row| json!(row[k])).collect();
        (name, Kind::Dense, crate::run::dense(&column))
    };
    let op = json!({"op": "categorical_ngram", "limits": limits, "vocabulary": vocabulary});
    let found = lists_of(op, &[feature("a", 0), feature("b", 1), feature("c", 2)]).unwrap();
    assert_eq!(found, json!(expected));
    1
}
