//! A row group that is larger than a worker's memory and has no page index: its chunks are streamed.

#![expect(clippy::unwrap_used, reason = "a test")]

mod worker;

use std::sync::Arc;

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field},
};
use dpp_proto::shuffle::mix;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use tempfile::TempDir;

use crate::worker::{WorkerProcess, drain, open_job, read};

const PLAN: &str = r#"{"nodes": [{"pattern": "x*"}, {"pattern": "id*"}],
    "dense": [{"name": "*", "node": 0}], "sparse": [{"name": "*", "node": 1}]}"#;
const ROWS: u64 = 300_000;
const DENSE: u64 = 10;
const LISTS: u64 = 20;
const LENGTH: usize = 3;
const LIMIT: u64 = 64 << 20;
/// Code, transport and the allocator's slack.
const BESIDE: u64 = 32 << 20;

fn write_table() -> TempDir {
    let dense = (0..DENSE).map(|column| {
        let values = (0..ROWS).map(|row| (mix(&[row, column]) >> 40) as f32);
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (format!("x{column}"), array)
    });
    let lists = (0..LISTS).map(|column| {
        let ids = 0..ROWS * LENGTH as u64;
        let values = ids.map(|id| (mix(&[id, column]) >> 20).cast_signed());
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let offsets = OffsetBuffer::from_repeated_length(LENGTH, ROWS as usize);
        let values = Arc::new(Int64Array::from_iter_values(values));
        let array: ArrayRef = Arc::new(ListArray::new(item, offsets, values, None));
        (format!("id{column}"), array)
    });
    let batch = RecordBatch::try_from_iter(dense.chain(lists)).unwrap();
    let settings = WriterProperties::builder()
        .set_max_row_group_row_count(None)
        .set_offset_index_disabled(true)
        .set_statistics_enabled(EnabledStatistics::None)
        .set_dictionary_enabled(false);
    worker::write_table(&batch, settings)
}

#[tokio::test]
async fn a_row_group_larger_than_the_memory_is_read_within_it() {
    let table = write_table();
    let worker = WorkerProcess::start("64MiB");
    let mut client = worker.client().await;
    let job = open_job(&mut client, table.path().display().to_string(), PLAN).await;
    let stored = job.1.size_bytes;
    assert_eq!(job.1.row_group_rows, [ROWS]);
    let messages = read(&mut client, &job, 0..ROWS, 1000).await.unwrap();
    assert_eq!(drain(messages).await.unwrap(), ROWS);
    let peak = worker.peak_bytes();
    eprintln!("peak {} MiB, stored {} MiB", peak >> 20, stored >> 20);
    assert!(peak < LIMIT + BESIDE, "{peak}");
    assert!(
        stored > LIMIT + BESIDE,
        "it would fit: the test shows nothing"
    );
}
