//! The trainer of a run: takes every batch of the table and does nothing with it.

use std::{ops::Range, sync::Arc, time::Instant};

use dpp_batch::{Frame, Layout};
use dpp_client::{BatchRows, Error, Loader, Place, Settings};
use dpp_proto::v1::{
    DescribeRequest, Job, OpenJobRequest, Plan, ReadRequest, SnapshotFile, TableSource,
    worker_client::WorkerClient,
};
use dpp_proto::{Fault, Faulty as _};
use tokio::{sync::Mutex, task::JoinSet};
use tonic::transport::{Channel, Endpoint};

use super::{Run, worker::WorkerProcess};
use crate::failed;

/// What is trained on.
pub(crate) struct Trainer {
    pub(crate) table: TableSource,
    pub(crate) plan: Plan,
}

/// A row group, by its file.
type RowGroup = (SnapshotFile, Range<u64>);

/// A job of whole batches, and the row groups nobody has read yet.
struct Work {
    job_hash: String,
    layout: Arc<Layout>,
    left: Mutex<Vec<RowGroup>>,
}

impl Trainer {
    /// Joins base batches, with a lane for each of the worker's threads, or for as many as its memory admits reads: `lanes` is
    /// lowered to that.
    pub(crate) async fn rebatch(
        &self,
        worker: impl Fn() -> Result<WorkerProcess, Error>,
        batch_rows: u64,
        lanes: &mut u64,
    ) -> Result<Run, Error> {
        loop {
            match self.rebatch_from(&worker()?, batch_rows, *lanes).await {
                Err(error) if error.fault() == Fault::Unavailable && *lanes > 1 => *lanes -= 1,
                ended => return ended,
            }
        }
    }

    async fn rebatch_from(
        &self,
        worker: &WorkerProcess,
        batch_rows: u64,
        lanes: u64,
    ) -> Result<Run, Error> {
        let place = Place::Service(worker.address.clone());
        let settings = Settings {
            batch: BatchRows::PerRank(batch_rows),
            lanes: Some(lanes),
            split_rows: SPLIT_ROWS,
            worker_timeout_seconds: FULL_SECONDS,
            ..Settings::default()
        };
        let mut loader =
            Loader::open(place, self.table.clone(), self.plan.clone(), settings).await?;
        let idle = Idle::of(worker)?;
        let mut batches = loader.start_epoch();
        let mut rows = 0;
        while let Some(batch) = batches.next().await {
            rows += batch?.tensors.rows as u64;
        }
        idle.run(worker, rows)
    }

    /// Takes batches as the worker packed them, so many reads at a time, each on a connection of its own.
    pub(crate) async fn take_whole(
        &self,
        worker: &WorkerProcess,
        reads: usize,
    ) -> Result<Run, Error> {
        let mut clients = Vec::new();
        for _ in 0..reads {
            clients.push(connect(&worker.address).await?);
        }
        let work = Arc::new(self.open(&mut clients[0]).await?);
        let idle = Idle::of(worker)?;
        let mut readers = JoinSet::new();
        for client in clients {
            readers.spawn(read_all(client, work.clone()));
        }
        let mut rows = 0;
        for read in readers.join_all().await {
            rows += read?;
        }
        idle.run(worker, rows)
    }

    async fn open(&self, client: &mut WorkerClient<Channel>) -> Result<Work, Error> {
        let request = DescribeRequest {
            table: Some(self.table.clone()),
            plan: Some(self.plan.clone()),
        };
        let mut messages = client.describe(request).await.map_err(failed)?.into_inner();
        let mut described = messages
            .message()
            .await
            .map_err(failed)?
            .unwrap_or_default();
        while let Some(more) = messages.message().await.map_err(failed)? {
            described.files.extend(more.files);
        }
        let job = Job {
            table: Some(self.table.clone()),
            snapshot_hash: described.snapshot_hash,
            plan: described.plan,
        };
        let request = OpenJobRequest {
            job: Some(job),
            run: None,
        };
        let opened = client.open_job(request).await.map_err(failed)?;
        Ok(Work {
            job_hash: opened.into_inner().job_hash,
            layout: Arc::new(Layout::from_json(&described.layout).map_err(failed)?),
            left: Mutex::new(described.files.iter().flat_map(row_groups).collect()),
        })
    }
}

async fn connect(address: &str) -> Result<WorkerClient<Channel>, Error> {
    let endpoint = Endpoint::from_shared(format!("http://{address}")).map_err(failed)?;
    let channel = endpoint
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect()
        .await
        .map_err(failed)?;
    Ok(WorkerClient::new(channel).max_decoding_message_size(usize::MAX))
}

/// Reads row groups until none is left; returns the rows of their batches.
async fn read_all(mut client: WorkerClient<Channel>, work: Arc<Work>) -> Result<u64, Error> {
    let mut all = 0;
    loop {
        let next = work.left.lock().await.pop();
        let Some((file, rows)) = next else {
            return Ok(all);
        };
        let request = ReadRequest {
            job_hash: work.job_hash.clone(),
            file: Some(file),
            from_row: rows.start,
            to_row: rows.end,
            ..Default::default()
        };
        let mut messages = client.read(request).await.map_err(failed)?.into_inner();
        while let Some(message) = messages.message().await.map_err(failed)? {
            if message.summary.is_none() {
                let frame = Frame::decode(message.frame, &work.layout).map_err(failed)?;
                all += frame.batch.rows as u64;
            }
        }
    }
}

fn row_groups(file: &SnapshotFile) -> Vec<RowGroup> {
    let mut first = 0;
    let group = |rows: &u64| {
        let group = first..first + rows;
        first = group.end;
        (file.clone(), group)
    };
    file.row_group_rows.iter().map(group).collect()
}

/// A worker that knows its job and has read nothing.
struct Idle {
    began: Instant,
    peak_bytes: u64,
    cpu_seconds: f64,
}

impl Idle {
    fn of(worker: &WorkerProcess) -> Result<Idle, Error> {
        Ok(Idle {
            peak_bytes: worker.peak_bytes()?,
            cpu_seconds: worker.cpu_seconds()?,
            began: Instant::now(),
        })
    }

    /// What it did since then.
    fn run(self, worker: &WorkerProcess, rows: u64) -> Result<Run, Error> {
        Ok(Run {
            rows,
            seconds: self.began.elapsed().as_secs_f64(),
            worker_cpu_seconds: worker.cpu_seconds()? - self.cpu_seconds,
            peak_bytes: worker.peak_bytes()?.saturating_sub(self.peak_bytes),
        })
    }
}

/// So that few of the stored bytes are held at a time.
const SPLIT_ROWS: u64 = 16_384;
/// A worker without room for a read says so sooner.
const FULL_SECONDS: u64 = 25;
/// As the loader's streams have.
const WINDOW_BYTES: u32 = 16 << 20;
