//! Every op, as nodes of plans to be tried on everything.

use std::sync::{Arc, LazyLock};

use dpp_ops::{Registry, fit::Fitted};

/// Ops to be tried on everything: how many inputs they are given, and what they are told.
pub(crate) const OPS: [(usize, &str); 83] = [
    (1, r#""op": "decode_image", "null_if_broken": true"#),
    (1, r#""op": "resize", "h": 3, "w": 2"#),
    (1, r#""op": "center_crop", "h": 3, "w": 2"#),
    (1, r#""op": "random_resized_crop", "h": 3, "w": 2"#),
    (1, r#""op": "horizontal_flip""#),
    (
        1,
        r#""op": "normalize", "mean": [0, 0, 0], "std": [1, 1, 1]"#,
    ),
    (1, r#""op": "fill_null", "value": 3"#),
    (1, r#""op": "fill_null", "value": 0.5"#),
    (1, r#""op": "fill_null", "value": "NaN""#),
    (1, r#""op": "clamp", "min": -1, "max": 1e30"#),
    (1, r#""op": "log1p""#),
    (1, r#""op": "z_score", "mean": -2.5, "std": 0"#),
    (1, r#""op": "bucketize", "borders": [-1, 0, 0, 2.5]"#),
    (1, r#""op": "bucketize", "borders": [7], "right": false"#),
    (
        1,
        r#""op": "sigrid_hash", "salt": 5, "max_value": 9223372036854775807"#,
    ),
    (1, r#""op": "first_x", "n": 2"#),
    (1, r#""op": "first_x", "n": -9223372036854775808"#),
    (1, r#""op": "cast_dense""#),
    (1, r#""op": "is_present""#),
    (1, r#""op": "to_ids""#),
    (1, r#""op": "abs""#),
    (1, r#""op": "sqrt""#),
    (1, r#""op": "log""#),
    (1, r#""op": "clip_log""#),
    (1, r#""op": "sign_log1p""#),
    (1, r#""op": "logit""#),
    (1, r#""op": "box_cox", "lambda1": -0.5, "lambda2": 1"#),
    (1, r#""op": "fill_nan", "value": 7"#),
    (1, r#""op": "min_max", "lo": -1, "hi": 1"#),
    (1, r#""op": "quantile", "borders": [-1, 0, 0, 5]"#),
    (1, r#""op": "add", "value": 9223372036854775807"#),
    (2, r#""op": "add""#),
    (1, r#""op": "subtract", "value": 0.5, "reversed": true"#),
    (2, r#""op": "subtract""#),
    (2, r#""op": "multiply""#),
    (1, r#""op": "multiply", "value": -1"#),
    (2, r#""op": "divide""#),
    (1, r#""op": "divide", "value": 0"#),
    (
        1,
        r#""op": "get_local_hour", "utc_offset_seconds": -9223372036854775808"#,
    ),
    (1, r#""op": "one_hot", "vocabulary": [3, 0, -1]"#),
    (1, r#""op": "one_hot", "vocabulary": [0.5]"#),
    (1, r#""op": "last_x", "n": 2"#),
    (1, r#""op": "list_slice", "start": -3, "end": -1"#),
    (1, r#""op": "clamp_list", "lo": -5, "hi": 5"#),
    (1, r#""op": "map_id", "table": [5, 6], "default": -1"#),
    (
        1,
        r#""op": "map_id", "table": [5, 6], "keys": [3, -9223372036854775808]"#,
    ),
    (
        1,
        r#""op": "look_up", "artefact": "a", "digest": "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8", "output": "C""#,
    ),
    (1, r#""op": "positive_modulus", "m": 9223372036854775807"#),
    (1, r#""op": "offset", "k": -9223372036854775808"#),
    (1, r#""op": "enumerate""#),
    (1, r#""op": "unique""#),
    (1, r#""op": "sort""#),
    (1, r#""op": "ngram", "n": 2"#),
    (1, r#""op": "sort_by_score""#),
    (1, r#""op": "top_k_by_score", "k": 2"#),
    (1, r#""op": "drop_scores""#),
    (1, r#""op": "scores_clamp", "max": 1"#),
    (1, r#""op": "scores_log1p""#),
    (2, r#""op": "intersect""#),
    (2, r#""op": "difference""#),
    (2, r#""op": "union""#),
    (3, r#""op": "union""#),
    (2, r#""op": "cartesian", "max_len": 5"#),
    (2, r#""op": "cross""#),
    (2, r#""op": "id_list_transform""#),
    (
        3,
        r#""op": "categorical_ngram", "limits": [3, 1, 3074457345618258602]"#,
    ),
    (2, r#""op": "has_id_overlap""#),
    (2, r#""op": "id_overlap_count""#),
    (2, r#""op": "get_max_count""#),
    (2, r#""op": "get_jaccard_similarity""#),
    (2, r#""op": "get_cosine_similarity""#),
    (2, r#""op": "get_score_sum""#),
    (2, r#""op": "get_score_min""#),
    (2, r#""op": "get_score_max""#),
    (1, r#""op": "list_len""#),
    (1, r#""op": "list_sum""#),
    (1, r#""op": "list_mean""#),
    (1, r#""op": "list_min""#),
    (1, r#""op": "list_max""#),
    (1, r#""op": "lower""#),
    (1, r#""op": "split""#),
    (1, r#""op": "split", "separator": "a""#),
    (1, r#""op": "token_ngram", "n": 2"#),
];

/// The ops, with the artefact that `look_up` refers to: the ids 3 and −1.
pub(crate) fn registry() -> &'static Registry {
    static REGISTRY: LazyLock<Registry> = LazyLock::new(with_artefact);
    &REGISTRY
}

fn with_artefact() -> Registry {
    let header = r#"{"format": "dpp.fit", "version": 1, "origin": {"snapshot": "", "plan": ""}, "rows": 2, "columns": [],
        "vocabularies": [{"name": "C", "ids": 2}]}"#;
    let numbers = [3i64, -1, 1, 1].map(i64::to_le_bytes);
    let bytes = [
        header.replace('\n', " ").as_bytes(),
        b"\n",
        numbers.as_flattened(),
    ]
    .concat();
    let fitted = Arc::new(Fitted::from_bytes(&bytes).unwrap());
    let digest = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";
    Registry::standard().with_fitted(digest, fitted)
}

#[test]
fn every_op_is_tried() {
    let tried = |name: &str| {
        let op = format!(r#""op": "{name}""#);
        OPS.iter().any(|(_, text)| text.starts_with(&op))
    };
    let registry = Registry::standard();
    let untried: Vec<&str> = registry.names().filter(|name| !tried(name)).collect();
    assert!(untried.is_empty(), "{untried:?}");
}
