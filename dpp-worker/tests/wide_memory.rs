//! Wide rows, little memory: whatever clients do, a real worker holds no more than it may.

#![expect(clippy::unwrap_used, reason = "a test's own functions may panic too")]

mod worker;

use std::{ops::Range, sync::Arc, time::Duration};

use arrow::{
    array::{ArrayRef, Float32Array, Int64Array, ListArray, RecordBatch},
    buffer::OffsetBuffer,
    datatypes::{DataType, Field},
};
use dpp_proto::{shuffle::mix, v1::worker_client::WorkerClient};
use parquet::{
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use tempfile::TempDir;
use tokio::{task::JoinSet, time::timeout};
use tonic::{Code, transport::Channel};

use crate::worker::{OpenJob, WorkerProcess, drain, open_job, read};

const PLAN: &str = r#"{"nodes": [{"pattern": "x*"}, {"pattern": "id*"}],
    "dense": [{"name": "*", "node": 0}], "sparse": [{"name": "*", "node": 1}]}"#;
const DENSE: u64 = 200;
const LISTS: u64 = 120;
const LENGTH: usize = 10;
const GROUP_ROWS: u64 = 800;
const GROUPS: u64 = 2;
const UNTAKEN_READS: u64 = 40;
const QUICK_CLIENTS: u64 = 3;
const READS_EACH: u64 = 2;

/// Rows of 10 kB, every column compressed by itself.
fn write_table() -> TempDir {
    let rows = (GROUP_ROWS * GROUPS) as usize;
    let dense = (0..DENSE).map(|column| {
        let values = (0..rows as u64).map(|row| (mix(&[row, column]) >> 40) as f32);
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (format!("x{column}"), array)
    });
    let lists = (0..LISTS).map(|column| {
        let values = (0..(rows * LENGTH) as u64).map(|id| (mix(&[id, column]) >> 20).cast_signed());
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let offsets = OffsetBuffer::from_repeated_length(LENGTH, rows);
        let values = Arc::new(Int64Array::from_iter_values(values));
        let array: ArrayRef = Arc::new(ListArray::new(item, offsets, values, None));
        (format!("id{column}"), array)
    });
    let batch = RecordBatch::try_from_iter(dense.chain(lists)).unwrap();
    let settings = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS as usize))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false);
    worker::write_table(&batch, settings)
}

fn group(number: u64) -> Range<u64> {
    let first = number % GROUPS * GROUP_ROWS;
    first..first + GROUP_ROWS
}

/// Reads until it is served: a worker that was full for long says so, and is asked again.
async fn whole(client: &mut WorkerClient<Channel>, job: &OpenJob, rows: Range<u64>) -> u64 {
    loop {
        let drained = drain(read(client, job, rows.clone(), 100).await.unwrap()).await;
        match drained {
            Ok(rows) => return rows,
            Err(status) => assert_eq!(status.code(), Code::Unavailable, "{status}"),
        }
    }
}

/// Bytes that a worker held at most, beyond what it has when idle.
async fn held(table: &TempDir, mebibytes: u64) -> u64 {
    let worker = WorkerProcess::start(&format!("{mebibytes}MiB"));
    let idle = worker.peak_bytes();
    let mut slow = worker.client().await;
    let job = open_job(&mut slow, table.path().display().to_string(), PLAN).await;
    let mut untaken = Vec::new();
    for number in 0..UNTAKEN_READS {
        untaken.push(read(&mut slow, &job, group(number), 100).await.unwrap());
    }
    let mut quick = JoinSet::new();
    for client in 0..QUICK_CLIENTS {
        let (mut connection, job) = (worker.client().await, job.clone());
        quick.spawn(async move {
            for number in 0..READS_EACH {
                let rows = whole(&mut connection, &job, group(client + number)).await;
                assert_eq!(rows, GROUP_ROWS);
            }
        });
    }
    let all = timeout(Duration::from_secs(120), quick.join_all()).await;
    all.expect("a client that takes nothing stops no other");
    worker.peak_bytes() - idle
}

#[tokio::test]
async fn a_worker_holds_no_more_than_it_may() {
    let table = write_table();
    for mebibytes in [256, 512] {
        let held = held(&table, mebibytes).await;
        eprintln!("under {mebibytes} MiB the worker held {} MiB", held >> 20);
        assert!(held <= mebibytes << 20, "{held}");
        assert!(
            held >= 32 << 20,
            "so little is held that nothing is shown: {held}"
        );
    }
}
