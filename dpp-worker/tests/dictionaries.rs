//! Frames are the same whether columns are stored with dictionaries, whose values then pass through the plan's first ops in
//! place of all rows', or without.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{fs::File, path::Path, sync::Arc};

use arrow::array::{ArrayRef, Float32Array, Int64Array, Int64Builder, ListBuilder, RecordBatch};
use dpp_batch::{Batch, Rows, concat};
use dpp_ops::{Plan, Program};
use dpp_proto::v1::{Job, ReadRequest, Shuffle, TableSource};
use dpp_worker::{Engine, engine::ReadEvent};
use parquet::{arrow::ArrowWriter, file::properties::WriterProperties};

const ROWS: u64 = 6000;

/// Few different values in every feature, nulls in all: numbers, categories, lists.
fn rows() -> RecordBatch {
    let some = |row: u64, value: u64| (row % 7 != 3).then_some(value);
    let dense = (0..ROWS).map(|row| some(row, row * row % 41).map(|value| value as f32));
    let category = |row: u64| some(row + 1, row * 31 % 97).map(u64::cast_signed);
    let mut lists = ListBuilder::new(Int64Builder::new());
    for row in 0..ROWS {
        let ids = (0..row % 9).map(|place| Some((row * place % 53).cast_signed()));
        lists.append_option(some(row + 2, row).map(|_| ids));
    }
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("dense", Arc::new(dense.collect::<Float32Array>()), true),
        (
            "category",
            Arc::new((0..ROWS).map(category).collect::<Int64Array>()),
            true,
        ),
        ("lists", Arc::new(lists.finish()), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn write(folder: &Path, dictionaries: bool) {
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(dictionaries)
        .build();
    let file = File::create(folder.join("part-0.parquet")).unwrap();
    let mut writer = ArrowWriter::try_new(file, rows().schema(), Some(properties)).unwrap();
    writer.write(&rows()).unwrap();
    writer.close().unwrap();
}

/// Ops on single values before and after nulls are filled and rows cut.
const PLAN: &str = r#"{"nodes": [
    {"feature": "dense"},
    {"op": "add", "inputs": [0], "value": 1},
    {"op": "fill_null", "inputs": [1], "value": 5},
    {"op": "log1p", "inputs": [2]},
    {"feature": "category"},
    {"op": "fill_null", "inputs": [4], "value": 7},
    {"op": "sigrid_hash", "inputs": [5], "salt": 3, "max_value": 1000},
    {"feature": "lists"},
    {"op": "first_x", "inputs": [7], "n": 4},
    {"op": "sigrid_hash", "inputs": [8], "salt": 0, "max_value": 1000},
    {"op": "enumerate", "inputs": [9]}],
    "dense": [{"name": "dense", "node": 3}],
    "sparse": [{"name": "category", "node": 6}, {"name": "lists", "node": 9}, {"name": "places", "node": 10}]}"#;

/// The rows of one read, as one batch.
async fn read(dictionaries: bool, shuffle: Option<Shuffle>) -> Batch {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), dictionaries);
    let engine = Arc::new(Engine::start(Some(1)).unwrap());
    let source = TableSource {
        url: folder.path().display().to_string(),
        ..Default::default()
    };
    let plan = Plan::from_json(PLAN).unwrap().to_proto();
    let described = engine.describe(&source, Some(plan)).await.unwrap();
    let (plan, layout) = described.plan.unwrap();
    let maps = Program::compile(&Plan::from_proto(plan.clone()).unwrap()).unwrap();
    assert!(maps.value_maps().iter().all(Option::is_some));
    let job = Job {
        table: Some(source),
        snapshot_hash: described.snapshot.hash().to_owned(),
        plan: Some(plan),
    };
    let mut events = engine
        .read(ReadRequest {
            job_hash: engine.open_job(&job).await.unwrap(),
            file: Some(described.snapshot.files()[0].clone()),
            to_row: ROWS,
            shuffle,
            ..Default::default()
        })
        .unwrap();
    let mut parts = Vec::new();
    while let ReadEvent::Frame(frame) = events.recv().await.unwrap().unwrap() {
        let rows = frame.batch.rows;
        parts.push(Rows::new(frame.batch).take(rows));
    }
    concat(&layout, &parts)
}

#[tokio::test]
async fn frames_are_the_same_with_dictionaries_and_without() {
    let window = Shuffle {
        seed: 7,
        window_rows: 500,
    };
    for shuffle in [None, Some(window)] {
        let (with, without) = (read(true, shuffle).await, read(false, shuffle).await);
        assert_eq!(with.rows as u64, ROWS);
        assert_eq!(with.fingerprint(), without.fingerprint());
    }
}
