//! A worker process, and what a stock client does with it.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    ops::Range,
    process::{Child, Command, Stdio},
};

use arrow::array::RecordBatch;
use dpp_proto::v1::{
    self, DescribeRequest, Job, OpenJobRequest, ReadRequest, ReadResponse, SnapshotFile,
    TableSource, worker_client::WorkerClient,
};
use parquet::{arrow::ArrowWriter, file::properties::WriterPropertiesBuilder};
use tempfile::TempDir;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};

/// A worker process that ends with the test.
pub(crate) struct WorkerProcess {
    pub(crate) process: Child,
    pub(crate) address: String,
}

impl WorkerProcess {
    pub(crate) fn start(memory: &str) -> WorkerProcess {
        WorkerProcess::start_logging(memory, Stdio::inherit())
    }

    pub(crate) fn start_logging(memory: &str, log: Stdio) -> WorkerProcess {
        WorkerProcess::start_with(&["--memory", memory], log)
    }

    pub(crate) fn start_with(options: &[&str], log: Stdio) -> WorkerProcess {
        let mut process = Command::new(env!("CARGO_BIN_EXE_dpp-worker"))
            .args(["--listen", "127.0.0.1:0", "--threads", "2"])
            .args(options)
            .stdout(Stdio::piped())
            .stderr(log)
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
    pub(crate) async fn client(&self) -> WorkerClient<Channel> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.address)).unwrap();
        let channel = endpoint
            .initial_connection_window_size((1 << 31) - 1)
            .connect()
            .await
            .unwrap();
        WorkerClient::new(channel).max_decoding_message_size(usize::MAX)
    }

    /// The most memory that it had so far, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
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

/// A job's hash and its only file.
pub(crate) type OpenJob = (String, SnapshotFile);

/// Opens a job on a table of one file.
pub(crate) async fn open_job(
    client: &mut WorkerClient<Channel>,
    url: String,
    plan: &str,
) -> OpenJob {
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

/// Reads rows of the job's file, shuffled in windows.
pub(crate) async fn read(
    client: &mut WorkerClient<Channel>,
    (job_hash, file): &OpenJob,
    rows: Range<u64>,
    window_rows: u64,
) -> Result<Streaming<ReadResponse>, Status> {
    read_in_turn(client, (job_hash, file), 0, rows, window_rows).await
}

/// As `read`, one of several reads of which those with lower turns are needed first.
pub(crate) async fn read_in_turn(
    client: &mut WorkerClient<Channel>,
    (job_hash, file): (&str, &SnapshotFile),
    turn: u64,
    rows: Range<u64>,
    window_rows: u64,
) -> Result<Streaming<ReadResponse>, Status> {
    let request = ReadRequest {
        job_hash: job_hash.to_owned(),
        file: Some(file.clone()),
        from_row: rows.start,
        to_row: rows.end,
        shuffle: Some(v1::Shuffle {
            seed: 1,
            window_rows,
        }),
        turn,
        ..Default::default()
    };
    client.read(request).await.map(tonic::Response::into_inner)
}

/// Takes all messages of a read; returns its rows.
pub(crate) async fn drain(mut messages: Streaming<ReadResponse>) -> Result<u64, Status> {
    let mut rows = 0;
    while let Some(message) = messages.message().await? {
        rows += message.summary.map_or(0, |summary| summary.rows);
    }
    Ok(rows)
}

/// Writes a table of one file.
pub(crate) fn write_table(batch: &RecordBatch, settings: WriterPropertiesBuilder) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let file = File::create(folder.path().join("part-0.parquet")).unwrap();
    let settings = Some(settings.build());
    let mut writer = ArrowWriter::try_new(file, batch.schema(), settings).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    folder
}
