//! Programs on columns of every kind, with everything awkward that Arrow allows: results are well-formed, the same for
//! any cut of the rows, and wrong columns are errors.

#![expect(clippy::unwrap_used, reason = "a test's failure is a panic")]

use std::sync::Arc;

use arrow::{
    array::{
        Array, ArrayRef, FixedSizeListArray, Float32Array, Int64Array, LargeBinaryArray,
        LargeStringArray, ListArray, RecordBatch, RecordBatchOptions, StructArray,
    },
    buffer::{NullBuffer, OffsetBuffer},
    datatypes::{DataType, Field, Fields, Schema},
};
use dpp_batch::{Batch, ExtraData, ExtraKind, Rows, concat};
use dpp_ops::{Error, Kind, Plan, Program, Registry};
use dpp_proto::v1;
use proptest::{collection::vec, option, prelude::*};

const FEATURES: [(&str, Kind); 7] = [
    ("bytes", Kind::Bytes),
    ("dense", Kind::Dense),
    ("ids", Kind::IdList),
    ("int", Kind::Int),
    ("scored", Kind::IdScoreList),
    ("text", Kind::Text),
    ("vector", Kind::Vector { width: 2 }),
];

const PLAN: &str = r#"{
  "nodes": [
    {"feature": "dense"}, {"feature": "int"}, {"feature": "ids"}, {"feature": "scored"}, {"feature": "vector"},
    {"feature": "bytes"}, {"feature": "text"}, {"row_id": true},
    {"op": "fill_null", "inputs": [0], "value": 0.5}, {"op": "clamp", "inputs": [8], "min": -3, "max": 3},
    {"op": "log1p", "inputs": [9]}, {"op": "z_score", "inputs": [0], "mean": 1, "std": 2.5},
    {"op": "log1p", "inputs": [1]}, {"op": "bucketize", "inputs": [0], "borders": [-1, 0, 0, 2]},
    {"op": "bucketize", "inputs": [1], "borders": [0], "right": false}, {"op": "first_x", "inputs": [2], "n": 2},
    {"op": "sigrid_hash", "inputs": [15], "salt": 3, "max_value": 1000}, {"op": "first_x", "inputs": [3], "n": 1},
    {"op": "sigrid_hash", "inputs": [3], "salt": -1, "max_value": 9223372036854775807},
    {"op": "fill_null", "inputs": [1], "value": -1}, {"op": "bucketize", "inputs": [3], "borders": [1, 5]}
  ],
  "dense": [{"name": "raw", "node": 0}, {"name": "log", "node": 10}, {"name": "z", "node": 11}, {"name": "int", "node": 12},
            {"name": "filled", "node": 19}],
  "sparse": [{"name": "bin", "node": 13}, {"name": "int", "node": 1}, {"name": "int_bin", "node": 14}, {"name": "raw", "node": 2},
             {"name": "hashed", "node": 16}, {"name": "first", "node": 17}, {"name": "scored", "node": 18}, {"name": "bins", "node": 20}],
  "labels": [{"name": "label", "node": 8}],
  "vectors": [{"name": "vector", "node": 4}],
  "extras": [{"name": "int", "node": 1}, {"name": "dense", "node": 0}, {"name": "bytes", "node": 5}, {"name": "text", "node": 6},
             {"name": "row", "node": 7}],
  "missing": -7.5
}"#;

/// Ops to be tried on everything: how many inputs they are given, and what they are told.
const OPS: [(usize, &str); 81] = [
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

fn schema() -> v1::Schema {
    v1::Schema {
        features: FEATURES
            .iter()
            .map(|(name, kind)| kind.feature(name))
            .collect(),
        partition_columns: vec![],
    }
}

fn program() -> Program {
    Program::compile(&Plan::from_json(PLAN).unwrap().bind(&schema()).unwrap()).unwrap()
}

/// One row of every feature.
type Row = (
    Option<Vec<u8>>,
    Option<f32>,
    (Option<Vec<Option<i64>>>, u8),
    Option<i64>,
    (Option<Vec<Option<(i64, Option<f32>)>>>, u8),
    Option<String>,
    Option<[Option<f32>; 2]>,
);

fn any_float() -> impl Strategy<Value = f32> {
    let special = vec![
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        -0.0,
        f32::MAX,
        f32::MIN_POSITIVE,
    ];
    prop_oneof![-5f32..5.0, any::<f32>(), prop::sample::select(special)]
}

fn any_id() -> impl Strategy<Value = i64> {
    prop_oneof![-3i64..10, any::<i64>(), Just(i64::MIN), Just(i64::MAX)]
}

fn any_row() -> impl Strategy<Value = Row> {
    let often = 0.8;
    let scored = (any_id(), option::weighted(often, any_float()));
    (
        option::weighted(often, vec(any::<u8>(), 0..5)),
        option::weighted(often, any_float()),
        (
            option::weighted(often, vec(option::weighted(0.95, any_id()), 0..6)),
            0u8..3,
        ),
        option::weighted(often, any_id()),
        (
            option::weighted(often, vec(option::weighted(0.95, scored), 0..6)),
            0u8..3,
        ),
        option::weighted(often, ".{0,4}"),
        option::weighted(
            often,
            prop::array::uniform2(option::weighted(0.95, any_float())),
        ),
    )
}

fn columns(rows: &[Row]) -> Vec<(&'static str, ArrayRef)> {
    let vectors = rows.iter().map(|row| row.6.map(Vec::from));
    let mut columns: Vec<(&str, ArrayRef)> = vec![
        (
            "bytes",
            Arc::new(
                rows.iter()
                    .map(|row| row.0.clone())
                    .collect::<LargeBinaryArray>(),
            ),
        ),
        (
            "dense",
            Arc::new(rows.iter().map(|row| row.1).collect::<Float32Array>()),
        ),
        ("ids", Arc::new(id_lists(rows))),
        (
            "int",
            Arc::new(rows.iter().map(|row| row.3).collect::<Int64Array>()),
        ),
        ("scored", Arc::new(scored_lists(rows))),
        (
            "text",
            Arc::new(
                rows.iter()
                    .map(|row| row.5.clone())
                    .collect::<LargeStringArray>(),
            ),
        ),
    ];
    let vectors =
        FixedSizeListArray::from_iter_primitive::<arrow::datatypes::Float32Type, _, _>(vectors, 2);
    columns.push(("vector", Arc::new(vectors)));
    columns
}

/// Lists whose null rows have ids under them.
fn id_lists(rows: &[Row]) -> ListArray {
    let (mut ids, mut lengths) = (Vec::new(), Vec::new());
    for (list, hidden) in rows.iter().map(|row| &row.2) {
        let list = list
            .clone()
            .unwrap_or_else(|| vec![Some(99); usize::from(*hidden)]);
        lengths.push(list.len());
        ids.extend(list);
    }
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.2.0.is_some()));
    let field = Arc::new(Field::new("element", DataType::Int64, true));
    let ids = Arc::new(Int64Array::from(ids));
    ListArray::new(field, OffsetBuffer::from_lengths(lengths), ids, Some(nulls))
}

fn scored_lists(rows: &[Row]) -> ListArray {
    let (mut entries, mut lengths) = (Vec::new(), Vec::new());
    for (list, hidden) in rows.iter().map(|row| &row.4) {
        let list = list
            .clone()
            .unwrap_or_else(|| vec![None; usize::from(*hidden)]);
        lengths.push(list.len());
        entries.extend(list);
    }
    let ids: Int64Array = entries
        .iter()
        .map(|entry| entry.map(|(id, _)| id))
        .collect();
    let scores: Float32Array = entries
        .iter()
        .map(|entry| entry.and_then(|(_, score)| score))
        .collect();
    let fields = Fields::from(vec![
        Field::new("id", DataType::Int64, true),
        Field::new("score", DataType::Float32, true),
    ]);
    let valid = NullBuffer::from_iter(entries.iter().map(Option::is_some));
    let structs = StructArray::new(
        fields.clone(),
        vec![Arc::new(ids), Arc::new(scores)],
        Some(valid),
    );
    let nulls = NullBuffer::from_iter(rows.iter().map(|row| row.4.0.is_some()));
    let field = Arc::new(Field::new("element", DataType::Struct(fields), true));
    ListArray::new(
        field,
        OffsetBuffer::from_lengths(lengths),
        Arc::new(structs),
        Some(nulls),
    )
}

/// The columns the program asks for, in its order.
fn batch(program: &Program, rows: &[Row]) -> RecordBatch {
    let columns = columns(rows);
    let wanted = program.features().iter().map(|feature| {
        let column = columns.iter().find(|(name, _)| *name == feature.name);
        column.unwrap().clone()
    });
    RecordBatch::try_from_iter(wanted).unwrap()
}

fn row_ids(rows: std::ops::Range<usize>) -> Vec<i64> {
    rows.map(|row| 1000 + i64::try_from(row).unwrap()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_cut_of_the_rows_gives_the_same_batch(rows in vec(any_row(), 0..100), cuts in vec(0usize..100, 0..4)) {
        let program = program();
        let whole = batch(&program, &rows);
        let packed = program.run(&whole, &row_ids(0..rows.len())).unwrap();
        packed.check().unwrap();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).collect();
        cuts.extend([0, rows.len()]);
        cuts.sort_unstable();
        let pieces = cuts.windows(2).map(|cut| {
            let piece = program.run(&whole.slice(cut[0], cut[1] - cut[0]), &row_ids(cut[0]..cut[1])).unwrap();
            let rows = piece.rows;
            Rows::new(piece).unwrap().take(rows)
        });
        let joined = concat(program.layout(), &pieces.collect::<Vec<_>>());
        prop_assert_eq!(joined.fingerprint(), packed.fingerprint());
    }

    #[test]
    fn any_sequence_of_ops_runs_or_is_refused(
        rows in vec(any_row(), 0..20),
        ops in vec((0..OPS.len(), any::<[prop::sample::Index; 3]>()), 1..16),
    ) {
        let mut nodes: Vec<String> = FEATURES.iter().map(|(name, _)| format!(r#"{{"feature": "{name}"}}"#)).collect();
        nodes.push(r#"{"row_id": true}"#.into());
        for (op, inputs) in ops {
            let (count, op) = OPS[op];
            let inputs = inputs.map(|input| input.index(nodes.len()).to_string());
            nodes.push(format!(r#"{{"inputs": [{}], {op}}}"#, inputs[..count].join(", ")));
        }
        let plan = |outputs: &[(usize, &str)]| {
            let groups = ["dense", "sparse", "labels", "vectors", "extras"].map(|group| {
                let outputs = outputs.iter().filter(|output| output.1 == group);
                let outputs: Vec<String> =
                    outputs.map(|(node, _)| format!(r#"{{"name": "{node}", "node": {node}}}"#)).collect();
                format!(r#""{group}": [{}]"#, outputs.join(","))
            });
            let text = format!(r#"{{"nodes": [{}], {}}}"#, nodes.join(","), groups.join(","));
            Plan::from_json(&text).unwrap().bind(&schema())
        };
        let candidates = (0..nodes.len())
            .flat_map(|node| ["dense", "sparse", "labels", "vectors", "extras"].map(|group| (node, group)));
        let accepted: Vec<_> = candidates.filter(|output| plan(&[*output]).is_ok()).collect();
        prop_assert!(accepted.len() >= FEATURES.len(), "every feature goes somewhere");
        let bound = plan(&accepted).unwrap();
        prop_assert_eq!(&bound.bind(&schema()).unwrap(), &bound);
        let program = Program::compile(&bound).unwrap();
        let packed = program.run(&batch(&program, &rows), &row_ids(0..rows.len())).unwrap();
        packed.check().unwrap();
    }

    #[test]
    fn tensors_hold_what_the_rows_do(rows in vec(any_row(), 0..70)) {
        let program = program();
        let packed = program.run(&batch(&program, &rows), &row_ids(0..rows.len())).unwrap();
        let dense = packed.dense.typed_data::<f32>();
        for (row, line) in rows.iter().zip(dense.chunks(5)) {
            prop_assert_eq!(line[0].to_bits(), row.1.unwrap_or(-7.5).to_bits());
            prop_assert_eq!(line[4].to_bits(), (row.3.unwrap_or(-1) as f32).to_bits());
        }
        let ids = |row: &Row| -> Vec<i64> { row.2.0.iter().flatten().flatten().copied().collect() };
        prop_assert_eq!(key(&packed, 3), rows.iter().map(ids).collect::<Vec<_>>());
        let single = |row: &Row| -> Vec<i64> { row.3.iter().copied().collect() };
        prop_assert_eq!(key(&packed, 1), rows.iter().map(single).collect::<Vec<_>>());
        let first = |row: &Row| -> Vec<i64> { row.4.0.iter().flatten().flatten().map(|(id, _)| *id).take(1).collect() };
        prop_assert_eq!(key(&packed, 5), rows.iter().map(first).collect::<Vec<_>>());
        let vectors = packed.vectors[0].typed_data::<f32>().chunks(2);
        for (row, vector) in rows.iter().zip(vectors) {
            let expected = row.6.unwrap_or_default().map(|value| value.unwrap_or(0.0).to_bits());
            prop_assert_eq!(vector.iter().map(|it| it.to_bits()).collect::<Vec<_>>(), expected);
        }
        let ExtraData::Fixed(places) = &packed.extras[4].data else { panic!("row ids are fixed") };
        prop_assert_eq!(places.typed_data::<i64>(), row_ids(0..rows.len()));
    }
}

/// The lists of the `index`-th sparse key.
fn key(batch: &Batch, index: usize) -> Vec<Vec<i64>> {
    let mut values = batch.sparse.values.typed_data::<i64>().iter().copied();
    let lengths = batch.sparse.lengths.typed_data::<i32>().iter();
    let lists: Vec<Vec<i64>> = lengths
        .map(|length| values.by_ref().take(*length as usize).collect())
        .collect();
    lists[index * batch.rows..][..batch.rows].to_vec()
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

#[test]
fn the_layout_says_what_batches_hold() {
    let program = program();
    let layout = program.layout();
    assert_eq!(layout.dense, ["raw", "log", "z", "int", "filled"]);
    let weighted: Vec<bool> = layout.sparse.iter().map(|key| key.weighted).collect();
    assert_eq!(
        weighted,
        [false, false, false, false, false, true, true, true]
    );
    assert_eq!(layout.vectors[0].width, 2);
    let kinds: Vec<ExtraKind> = layout.extras.iter().map(|extra| extra.kind).collect();
    use ExtraKind::{Bytes, Dense, Int, Text};
    assert_eq!(kinds, [Int, Dense, Bytes, Text, Int]);
}

#[test]
fn a_plan_of_row_ids_reads_no_column() {
    let plan = r#"{"nodes": [{"row_id": true}], "extras": [{"name": "row", "node": 0}]}"#;
    let plan = Plan::from_json(plan)
        .unwrap()
        .bind(&v1::Schema::default())
        .unwrap();
    let program = Program::compile(&plan).unwrap();
    assert!(program.features().is_empty());
    let options = RecordBatchOptions::new().with_row_count(Some(3));
    let batch =
        RecordBatch::try_new_with_options(Arc::new(Schema::empty()), vec![], &options).unwrap();
    let packed = program.run(&batch, &[5, 6, 7]).unwrap();
    let ExtraData::Fixed(rows) = &packed.extras[0].data else {
        panic!("row ids are fixed")
    };
    assert_eq!(rows.typed_data::<i64>(), [5, 6, 7]);
    packed.check().unwrap();
}

#[test]
fn wrong_columns_are_errors() {
    let program = program();
    let right = batch(&program, &[]);
    let run = |columns: Vec<(String, ArrayRef)>| {
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        program
            .run(&batch, &row_ids(0..batch.num_rows()))
            .unwrap_err()
    };
    let columns: Vec<(String, ArrayRef)> = right
        .schema()
        .fields()
        .iter()
        .zip(right.columns())
        .map(|(field, column)| (field.name().clone(), column.clone()))
        .collect();
    for place in 0..columns.len() {
        let text: ArrayRef = Arc::new(LargeStringArray::from(Vec::<&str>::new()));
        let other: ArrayRef = Arc::new(arrow::array::NullArray::new(0));
        let wrong = if columns[place].1.data_type() == text.data_type() {
            other
        } else {
            text
        };
        let mut replaced = columns.clone();
        replaced[place].1 = wrong;
        let error = run(replaced);
        assert!(
            matches!(error, Error::WrongColumn { position, .. } if position == place),
            "{error}"
        );
    }
    let mut swapped = columns.clone();
    swapped.swap(0, 1);
    assert!(matches!(
        run(swapped),
        Error::WrongColumn { position: 0, .. }
    ));
    let fewer = columns[..3].to_vec();
    assert!(matches!(run(fewer), Error::WrongColumn { position: 3, .. }));
    assert!(matches!(
        program.run(&right, &[1]),
        Err(Error::WrongRows {
            rows: 0,
            row_ids: 1
        })
    ));
}

#[test]
fn a_plan_that_is_not_bound_does_not_compile() {
    for plan in [
        r#"{"nodes": [{"feature": "dense"}], "dense": [{"name": "x", "node": 0}]}"#,
        r#"{"nodes": [{"pattern": "d*"}], "dense": [{"name": "x", "node": 0}]}"#,
    ] {
        let error = Program::compile(&Plan::from_json(plan).unwrap()).unwrap_err();
        assert!(matches!(error, Error::Unbound { .. }), "{error}");
    }
}
