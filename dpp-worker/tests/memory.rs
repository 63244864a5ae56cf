//! A real worker with little memory: a client that does not read stops its own streams, and no more than allowed is held.

#![expect(clippy::unwrap_used, reason = "a test")]

mod worker;

use std::{sync::Arc, time::Duration};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use dpp_proto::{
    shuffle::mix,
    v1::{ReadSummary, StatsRequest, worker_client::WorkerClient},
};
use parquet::file::properties::WriterProperties;
use tokio::time::timeout;
use tonic::{Code, transport::Channel};

use crate::worker::{WorkerProcess, drain, open_job, read, read_in_turn};

const PLAN: &str = r#"{"nodes": [{"pattern": "*"}], "dense": [{"name": "*", "node": 0}]}"#;
const COLUMNS: u64 = 256;
const GROUP_ROWS: u64 = 2_000;
const GROUPS: u64 = 4;
const WINDOW: u64 = 500;
const GREEDY_READS: u64 = 100;
const LIMIT: u64 = 128 << 20;
/// Code, footers, transport and the allocator's slack.
const BESIDE: u64 = 48 << 20;

fn write_table() -> tempfile::TempDir {
    let value = |row: u64, column: u64| (mix(&[row, column]) >> 40) as f32;
    let columns = (0..COLUMNS).map(|column| {
        let values = (0..GROUP_ROWS * GROUPS).map(|row| value(row, column));
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (format!("x{column}"), array)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let settings = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS as usize))
        .set_dictionary_enabled(false);
    worker::write_table(&batch, settings)
}

fn group(number: u64) -> std::ops::Range<u64> {
    let first = number % GROUPS * GROUP_ROWS;
    first..first + GROUP_ROWS
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_own_streams() {
    let table = write_table();
    let worker = WorkerProcess::start("128MiB");
    let mut greedy = worker.client().await;
    let job = open_job(&mut greedy, table.path().display().to_string(), PLAN).await;
    let mut untaken = Vec::new();
    for number in 0..GREEDY_READS {
        untaken.push(
            read(&mut greedy, &job, group(number), WINDOW)
                .await
                .unwrap(),
        );
    }
    let mut quick = worker.client().await;
    for number in 0..5 {
        let whole = async { drain(read(&mut quick, &job, group(number), WINDOW).await?).await };
        let rows = timeout(Duration::from_secs(15), whole).await;
        assert_eq!(rows.expect("there is room for others").unwrap(), GROUP_ROWS);
    }
    let peak = worker.peak_bytes();
    eprintln!("peak of the worker: {} MiB", peak >> 20);
    assert!(peak < LIMIT + BESIDE, "{peak}");
    // Whoever begins to read again gets everything.
    let mut messages = untaken.remove(0);
    let mut frames = 0;
    while let Some(message) = timeout(Duration::from_secs(15), messages.message())
        .await
        .unwrap()
        .unwrap()
    {
        frames += u64::from(message.summary.is_none());
    }
    assert!(frames > 0);
    drop((messages, untaken));
    let total = timeout(Duration::from_secs(15), idle_total(&mut quick)).await;
    let rows = total.expect("reads end when nobody wants the rest").rows;
    let read_whole = (5 + 1) * GROUP_ROWS;
    assert!(rows > read_whole, "what broke off is counted too: {rows}");
}

#[tokio::test]
async fn reads_that_came_too_early_make_way() {
    let table = write_table();
    let worker = WorkerProcess::start("64MiB");
    let mut client = worker.client().await;
    let (job, file) = open_job(&mut client, table.path().display().to_string(), PLAN).await;
    // What is needed last comes first, and fills the memory.
    let mut reads = Vec::new();
    for turn in (0..6).rev() {
        let opened = read_in_turn(&mut client, (&job, &file), turn, group(turn), WINDOW).await;
        reads.push((turn, opened.unwrap()));
        while turn == 5 && idle(&mut client).await {}
    }
    let (_, first) = reads.pop().unwrap();
    let rows = timeout(Duration::from_secs(15), drain(first)).await;
    assert_eq!(rows.expect("others made way").unwrap(), GROUP_ROWS);
    // The others are served in turn, or are told to ask for the rest again.
    let mut again = 0;
    while let Some((turn, messages)) = reads.pop() {
        let rows = timeout(Duration::from_secs(15), drain(messages)).await;
        match rows.expect("it is its turn") {
            Ok(rows) => assert_eq!(rows, GROUP_ROWS),
            Err(status) => {
                assert_eq!(status.code(), Code::Aborted, "turn {turn}: {status}");
                again += 1;
            }
        }
    }
    assert!(again > 0, "nothing was in the way: the test shows nothing");
}

async fn idle(client: &mut WorkerClient<Channel>) -> bool {
    let stats = client.stats(StatsRequest {}).await.unwrap().into_inner();
    stats.active_reads == 0
}

/// What the worker has done, once it reads no more.
async fn idle_total(client: &mut WorkerClient<Channel>) -> ReadSummary {
    loop {
        let stats = client.stats(StatsRequest {}).await.unwrap().into_inner();
        if stats.active_reads == 0 {
            return stats.total.unwrap();
        }
    }
}
