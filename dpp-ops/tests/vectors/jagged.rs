//! Packing: the layout of TorchRec's jagged tensors.

use dpp_ops::Kind;
use serde_json::{Value as Json, json};

use crate::run::{id_lists, ids, run};

/// The layout is TorchRec's: key-major, then rows.
pub(crate) fn all(cases: &Json) -> usize {
    let lookup = &cases[0];
    let lists = |key: &str| {
        let mut values = lookup[key]["values"].as_array().unwrap().iter();
        let lengths = lookup[key]["lengths"].as_array().unwrap().iter();
        let rows = lengths.map(|length| {
            values
                .by_ref()
                .take(length.as_u64().unwrap() as usize)
                .collect::<Vec<_>>()
        });
        id_lists(&json!(rows.collect::<Vec<_>>()))
    };
    let plan = json!({"nodes": [{"feature": "a"}, {"feature": "b"}],
                      "sparse": [{"name": "a", "node": 0}, {"name": "b", "node": 1}]});
    let batch = run(
        &plan,
        &[
            ("a", Kind::IdList, lists("a")),
            ("b", Kind::IdList, lists("b")),
        ],
    )
    .unwrap();
    assert_eq!(
        json!(batch.sparse.values.typed_data::<i64>()),
        lookup["values"]
    );
    let mut offsets = vec![0];
    offsets.extend(
        batch
            .sparse
            .lengths
            .typed_data::<i32>()
            .iter()
            .scan(0, |end, length| {
                *end += length;
                Some(*end)
            }),
    );
    assert_eq!(json!(offsets), lookup["offsets"]);

    let from_dense = cases
        .as_array()
        .unwrap()
        .iter()
        .find(|case| case["op"] == "from_dense")
        .unwrap();
    let plan = json!({"nodes": [{"feature": "x"}], "sparse": [{"name": "x", "node": 0}]});
    let batch = run(&plan, &ids(&from_dense["x"])).unwrap();
    assert_eq!(
        json!(batch.sparse.lengths.typed_data::<i32>()),
        from_dense["lengths"]
    );
    assert_eq!(
        json!(batch.sparse.values.typed_data::<i64>()),
        from_dense["values"]
    );
    2
}
