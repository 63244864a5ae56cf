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
const LENGTH: usize = 10;
const UNTAKEN_READS: u64 = 40;
const QUICK_CLIENTS: u64 = 3;
const READS_EACH: u64 = 1;

/// What is read: row groups of as many pieces as are read of them.
struct Wide {
    dense: u64,
    lists: u64,
    groups: u64,
    group_rows: u64,
    piece_rows: u64,
}

/// Rows of 10 kB, whole row groups of them a read.
const WHOLE: Wide = Wide {
    dense: 200,
    lists: 120,
    groups: 2,
    group_rows: 800,
    piece_rows: 800,
};

/// Pages of a megabyte, of which a read takes a few rows.
const PIECES: Wide = Wide {
    dense: 10,
    lists: 60,
    groups: 1,
    group_rows: 16_000,
    piece_rows: 1_000,
};

/// Every column is compressed by itself.
fn write_table(wide: &Wide) -> TempDir {
    let rows = (wide.group_rows * wide.groups) as usize;
    let dense = (0..wide.dense).map(|column| {
        let values = (0..rows as u64).map(|row| (mix(&[row, column]) >> 40) as f32);
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (format!("x{column}"), array)
    });
    let lists = (0..wide.lists).map(|column| {
        let values = (0..(rows * LENGTH) as u64).map(|id| (mix(&[id, column]) >> 20).cast_signed());
        let item = Arc::new(Field::new_list_field(DataType::Int64, true));
        let offsets = OffsetBuffer::from_repeated_length(LENGTH, rows);
        let values = Arc::new(Int64Array::from_iter_values(values));
        let array: ArrayRef = Arc::new(ListArray::new(item, offsets, values, None));
        (format!("id{column}"), array)
    });
    let batch = RecordBatch::try_from_iter(dense.chain(lists)).unwrap();
    let settings = WriterProperties::builder()
        .set_max_row_group_row_count(Some(wide.group_rows as usize))
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_dictionary_enabled(false);
    worker::write_table(&batch, settings)
}

impl Wide {
    fn piece(&self, number: u64) -> Range<u64> {
        let first = number * self.piece_rows % (self.groups * self.group_rows);
        first..first + self.piece_rows
    }
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
async fn held(table: &TempDir, wide: &'static Wide, mebibytes: u64) -> u64 {
    let worker = WorkerProcess::start(&format!("{mebibytes}MiB"));
    let idle = worker.peak_bytes();
    let mut slow = worker.client().await;
    let job = open_job(&mut slow, table.path().display().to_string(), PLAN).await;
    let mut untaken = Vec::new();
    for number in 0..UNTAKEN_READS {
        untaken.push(
            read(&mut slow, &job, wide.piece(number), 100)
                .await
                .unwrap(),
        );
    }
    let mut quick = JoinSet::new();
    for client in 0..QUICK_CLIENTS {
        let (mut connection, job) = (worker.client().await, job.clone());
        quick.spawn(async move {
            for number in 0..READS_EACH {
                let rows = whole(&mut connection, &job, wide.piece(client + number)).await;
                assert_eq!(rows, wide.piece_rows);
            }
        });
    }
    let all = timeout(Duration::from_secs(120), quick.join_all()).await;
    all.expect("a client that takes nothing stops no other");
    worker.peak_bytes() - idle
}

#[tokio::test]
async fn a_worker_holds_no_more_than_it_may() {
    eprintln!("limit and held, MiB: {:?}", check(&WHOLE).await);
}

/// Pieces of a large row group, whose pages are not cut where pieces are.
#[tokio::test]
async fn pieces_of_a_row_group_are_held_to_it_too() {
    eprintln!("limit and held, MiB: {:?}", check(&PIECES).await);
}

/// Limits, and what was held under them; both in MiB.
async fn check(wide: &'static Wide) -> Vec<(u64, u64)> {
    let table = write_table(wide);
    let mut all = Vec::new();
    for mebibytes in [256, 512] {
        let held = held(&table, wide, mebibytes).await;
        assert!(held <= mebibytes << 20, "{held}");
        assert!(
            held >= 32 << 20,
            "so little is held that nothing is shown: {held}"
        );
        all.push((mebibytes, held >> 20));
    }
    all
}
