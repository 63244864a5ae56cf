//! A real worker with little memory: a client that does not read stops its own streams, and no more than allowed is held.

#![expect(clippy::unwrap_used, reason = "a test")]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use arrow::array::{ArrayRef, Float32Array, RecordBatch};
use dpp_proto::{
    shuffle::mix,
    v1::{
        self, DescribeRequest, Job, OpenJobRequest, ReadRequest, ReadResponse, SnapshotFile,
        TableSource, worker_client::WorkerClient,
    },
};
use parquet::file::properties::WriterProperties;
use tokio::time::timeout;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

const COLUMNS: u64 = 256;
const GROUP_ROWS: u64 = 2_000;
const GROUPS: u64 = 4;
const GREEDY_READS: u64 = 100;
const LIMIT: u64 = 128 << 20;
/// Code, footers, transport and the allocator's slack.
const BESIDE: u64 = 48 << 20;

/// A worker process that ends with the test.
struct WorkerProcess {
    process: Child,
    address: String,
}

impl WorkerProcess {
    fn start(memory: &str) -> WorkerProcess {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dpp-worker"))
            .args([
                "--listen",
                "127.0.0.1:0",
                "--threads",
                "2",
                "--memory",
                memory,
            ])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim().rsplit(' ').next().unwrap().to_owned();
        WorkerProcess { process, address }
    }

    /// A client with a connection of its own.
    async fn client(&self) -> WorkerClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        let channel = endpoint
            .initial_connection_window_size((1 << 31) - 1)
            .connect()
            .await
            .unwrap();
        WorkerClient::new(channel).max_decoding_message_size(usize::MAX)
    }

    /// The most memory that it had so far, in bytes.
    fn peak_bytes(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id())).unwrap();
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap();
        let kibibytes = peak.split_whitespace().nth(1).unwrap();
        kibibytes.parse::<u64>().unwrap() << 10
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

fn write_table() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let value = |row: u64, column: u64| (mix(&[row, column]) >> 40) as f32;
    let columns = (0..COLUMNS).map(|column| {
        let values = (0..GROUP_ROWS * GROUPS).map(|row| value(row, column));
        let array: ArrayRef = Arc::new(Float32Array::from_iter_values(values));
        (format!("x{column}"), array)
    });
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let settings = WriterProperties::builder()
        .set_max_row_group_row_count(Some(GROUP_ROWS as usize))
        .set_dictionary_enabled(false)
        .build();
    let file = File::create(folder.path().join("part-0.parquet")).unwrap();
    let mut writer =
        parquet::arrow::ArrowWriter::try_new(file, batch.schema(), Some(settings)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    folder
}

/// Opens a job over all columns; returns its hash and its only file.
async fn open_job(client: &mut WorkerClient<Channel>, url: String) -> (String, SnapshotFile) {
    let plan = r#"{"nodes": [{"pattern": "*"}], "dense": [{"name": "*", "node": 0}]}"#;
    let table = TableSource {
        url,
        ..Default::default()
    };
    let request = DescribeRequest {
        table: Some(table.clone()),
        plan: Some(dpp_ops::Plan::from_json(plan).unwrap().to_proto()),
    };
    let mut messages = client.describe(request).await.unwrap().into_inner();
    let first = messages.message().await.unwrap().unwrap();
    let files = messages.message().await.unwrap().unwrap().files;
    let job = Job {
        table: Some(table),
        snapshot_hash: first.snapshot_hash,
        plan: first.plan,
    };
    let request = OpenJobRequest {
        job: Some(job),
        run: None,
    };
    let opened = client.open_job(request).await.unwrap().into_inner();
    (opened.job_hash, files[0].clone())
}

/// Reads the file's row group number `group`.
async fn read(
    client: &mut WorkerClient<Channel>,
    (job_hash, file): &(String, SnapshotFile),
    group: u64,
) -> Result<Streaming<ReadResponse>, Status> {
    let request = ReadRequest {
        job_hash: job_hash.clone(),
        file: Some(file.clone()),
        from_row: group * GROUP_ROWS,
        to_row: (group + 1) * GROUP_ROWS,
        shuffle: Some(v1::Shuffle {
            seed: 1,
            window_rows: 500,
        }),
        ..Default::default()
    };
    client.read(request).await.map(tonic::Response::into_inner)
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_its_own_streams() {
    let table = write_table();
    let worker = WorkerProcess::start("128MiB");
    let mut greedy = worker.client().await;
    let job = open_job(&mut greedy, table.path().display().to_string()).await;
    let mut untaken = Vec::new();
    for number in 0..GREEDY_READS {
        untaken.push(read(&mut greedy, &job, number % GROUPS).await.unwrap());
    }
    let mut quick = worker.client().await;
    for number in 0..5 {
        let whole = async {
            let mut messages = read(&mut quick, &job, number % GROUPS).await?;
            let mut rows = 0;
            while let Some(message) = messages.message().await? {
                rows += message.summary.map_or(0, |summary| summary.rows);
            }
            Ok::<_, Status>(rows)
        };
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
}
