//! Programs on columns of every kind, with everything awkward that Arrow allows: results are well-formed, the same for
//! any cut of the rows, and wrong columns are errors.

#![expect(clippy::unwrap_used, reason = "a test's failure is a panic")]

mod any_plan;
mod columns;
mod cost;
mod every_op;
mod golden;
mod optimiser;
mod own_op;

use std::sync::Arc;

use arrow::{
    array::{Array, ArrayRef, LargeStringArray, RecordBatch, RecordBatchOptions},
    datatypes::Schema,
};
use columns::{FEATURES, any_row, batch, row_ids, schema};
use dpp_batch::{Batch, ExtraData, ExtraKind, Rows, concat};
use dpp_ops::{Error, Plan, Program};
use dpp_proto::v1;
use every_op::{OPS, registry};
use proptest::{collection::vec, prelude::*};

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

fn program() -> Program {
    Program::compile(&Plan::from_json(PLAN).unwrap().bind(&schema()).unwrap()).unwrap()
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
            Rows::new(piece).take(rows)
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
        let program = Program::compile_with(&bound, registry()).unwrap();
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
        let ids = |row: &columns::Row| -> Vec<i64> { row.2.0.iter().flatten().flatten().copied().collect() };
        prop_assert_eq!(key(&packed, 3), rows.iter().map(ids).collect::<Vec<_>>());
        let single = |row: &columns::Row| -> Vec<i64> { row.3.iter().copied().collect() };
        prop_assert_eq!(key(&packed, 1), rows.iter().map(single).collect::<Vec<_>>());
        let first = |row: &columns::Row| -> Vec<i64> { row.4.0.iter().flatten().flatten().map(|(id, _)| *id).take(1).collect() };
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
