//! Numbers to numbers, and to the bins they fall into.

use dpp_ops::Kind;
use serde_json::{Value as Json, json};

use crate::run::{dense, dense_of, flat, ids, lists_of, numbers, one_list, run};

pub(crate) fn bins(case: &Json) -> bool {
    let op = json!({"op": "bucketize", "borders": case["borders"]});
    let (x, y) = (one_list(&case["x"]), one_list(&case["y"]));
    let whole = x.iter().all(|row| {
        row.as_array()
            .is_some_and(|ids| ids.iter().all(Json::is_i64))
    });
    if y[0].is_string() {
        let error = lists_of(op, &numbers(&x)).unwrap_err();
        assert!(error.to_string().contains("`borders`"), "{error}");
    } else if whole {
        let found = lists_of(op, &ids(&json!(x))).unwrap();
        assert_eq!(found, json!(y), "{case}");
    } else {
        // Ragged lists of fractions are no kind of ours: their values are checked as rows.
        let found = lists_of(op, &numbers(&flat(&x))).unwrap();
        let expected: Vec<Json> = flat(&y).iter().map(|bin| json!([bin])).collect();
        assert_eq!(found, json!(expected), "{case}");
    }
    true
}

/// `numpy.digitize(x, borders, right=True)`: the number of borders below x.
pub(crate) fn digitize() -> usize {
    let borders = [-1.5, 0.0, 2.0, 2.5];
    let x: Vec<f64> = (-20..20).map(|step| f64::from(step) / 4.0).collect();
    let op = json!({"op": "bucketize", "borders": borders});
    let rows: Vec<Json> = x.iter().map(|x| json!(x)).collect();
    let found = lists_of(op, &numbers(&rows)).unwrap();
    let below = |x: &f64| json!([borders.iter().filter(|border| *border < x).count()]);
    assert_eq!(found, json!(x.iter().map(below).collect::<Vec<_>>()));
    1
}

/// Velox's array form is Keras' left-closed one. NaN is no error for us, but a bin.
pub(crate) fn width_bucket(case: &Json) -> bool {
    if case["bins"].is_null() {
        return false;
    }
    let op = json!({"op": "bucketize", "borders": case["bins"], "right": false});
    if case["y"].is_string() {
        assert!(lists_of(op, &numbers(&[])).is_err());
    } else {
        let x = case["x"].as_f64().unwrap_or(f64::MAX);
        let found = lists_of(op, &numbers(&[json!(x)])).unwrap();
        assert_eq!(found, json!([[case["y"]]]), "{case}");
    }
    true
}

pub(crate) fn log(case: &Json) -> bool {
    let rows = case["x"].as_array().unwrap();
    let found = dense_of(json!({"op": "log"}), &numbers(rows)).unwrap();
    for (found, y) in found.iter().zip(case["y"].as_array().unwrap()) {
        let expected = match y {
            Json::Null => 0.0, // packed as the plan's `missing`
            Json::String(_) => f32::NEG_INFINITY,
            number => number.as_f64().unwrap() as f32,
        };
        assert_eq!(*found, expected, "{case}");
    }
    true
}

/// Column by column, each with its own lambdas, to f32's precision: the vectors come from a logarithm that misses by an ulp.
pub(crate) fn box_cox(case: &Json) -> bool {
    let data = case["data"].as_array().unwrap();
    for column in 0..case["lambda1"].as_array().unwrap().len() {
        let op = json!({
            "op": "box_cox",
            "lambda1": case["lambda1"][column],
            "lambda2": case["lambda2"][column],
        });
        let rows: Vec<Json> = data.iter().map(|row| row[column].clone()).collect();
        let found = dense_of(op, &numbers(&rows)).unwrap();
        for (row, found) in found.into_iter().enumerate() {
            let y = case["y_f32"][row][column].as_f64().unwrap();
            let distance = (f64::from(found) - y).abs();
            assert!(
                distance <= 1.2e-7 * y.abs().max(1.0),
                "{found} for {y}: {case}"
            );
        }
    }
    true
}

/// null → 0, then ln(x + 3): three ops in a row.
pub(crate) fn criteo(case: &Json) -> bool {
    let Some(rows) = case["x"].as_array().filter(|rows| rows[0].is_number()) else {
        return false;
    };
    let plan = json!({
        "nodes": [
            {"feature": "x"},
            {"op": "fill_null", "inputs": [0], "value": 0},
            {"op": "add", "inputs": [1], "value": 3},
            {"op": "log", "inputs": [2]},
        ],
        "dense": [{"name": "x", "node": 3}],
    });
    let batch = run(&plan, &[("x", Kind::Dense, dense(rows))]).unwrap();
    let expected = case["y"].as_array().unwrap().iter();
    let expected: Vec<f32> = expected.map(|y| y.as_f64().unwrap() as f32).collect();
    assert_eq!(batch.dense.typed_data::<f32>(), expected, "{case}");
    true
}
