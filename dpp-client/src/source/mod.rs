//! Where frames come from: the engine in this process, or workers over gRPC.
//!
//! A [`Source`] answers reads; everything else (order, rebatching, cursor) is the same for both.

mod answer;
#[cfg(feature = "embedded")]
mod embedded;
mod failover;
mod nearby;
mod pace;
mod patience;
mod remote;
mod route;
mod selection;
mod workers;

use std::{fmt::Debug, sync::Arc};

use async_trait::async_trait;
use dpp_batch::{Frame, Layout};
use dpp_proto::v1;
use prost::Message as _;
use tokio::sync::mpsc;

#[cfg(feature = "embedded")]
pub use self::embedded::Embedded;
pub use self::{answer::Repeats, remote::Remote, workers::WorkerSettings};
use crate::Error;
pub use crate::memory::{Charge, Credits};

/// What a table holds and what a plan means on it.
#[derive(Clone, Debug)]
pub struct Description {
    /// Features and partition columns.
    pub schema: v1::Schema,
    /// The snapshot's files, sorted by path.
    pub files: Arc<[v1::SnapshotFile]>,
    /// The snapshot's content hash.
    pub snapshot_hash: String,
    /// The plan with patterns expanded and kinds resolved.
    pub plan: v1::Plan,
    /// What the plan's batches hold.
    pub layout: Arc<Layout>,
}

impl Description {
    /// As bytes, for another rank or process of the same build: it opens the same job without asking storage.
    pub fn encode(&self) -> Vec<u8> {
        let response = v1::DescribeResponse {
            schema: Some(self.schema.clone()),
            plan: Some(self.plan.clone()),
            layout: self.layout.to_json().into(),
            files: self.files.to_vec(),
            snapshot_hash: self.snapshot_hash.clone(),
        };
        response.encode_to_vec()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is something else.
    pub fn decode(bytes: &[u8]) -> Result<Description, Error> {
        let response = v1::DescribeResponse::decode(bytes).map_err(|error| error.to_string());
        response
            .and_then(Description::of)
            .map_err(|reason| Error::invalid(format!("this is no description of a job: {reason}")))
    }

    /// A whole description, its files included; or what is missing.
    fn of(response: v1::DescribeResponse) -> Result<Description, String> {
        let missing = |what| format!("the description has no {what}");
        let layout = Layout::from_json(&response.layout).map_err(|error| error.to_string())?;
        Ok(Description {
            schema: response.schema.ok_or_else(|| missing("schema"))?,
            files: response.files.into(),
            snapshot_hash: response.snapshot_hash,
            plan: response.plan.ok_or_else(|| missing("plan"))?,
            layout: Arc::new(layout),
        })
    }
}

/// A job as a source serves it.
#[derive(Debug)]
pub struct OpenJob {
    /// Snapshot and plan.
    pub job: v1::Job,
    /// Who asks.
    pub run: v1::Run,
    /// The job's hash, as the source names it.
    pub job_hash: String,
    /// What its frames hold.
    pub layout: Arc<Layout>,
}

/// What a read sends: its frames in order, then what it cost.
#[derive(Debug)]
pub enum Event {
    /// The next frame, and what it is charged; `positions` count over the whole read.
    Frame(Frame, Charge),
    /// After the last frame.
    Ended(ReadCost),
}

/// What a read cost, and what held it up.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadCost {
    /// As whoever made the frames counted it.
    pub summary: v1::ReadSummary,
    /// Seconds that frames were waited for and that the summary does not explain: wire, worker's queue, workers lost.
    /// 0 on-box.
    pub network_seconds: f64,
    /// How often it was asked for again.
    pub repeats: Repeats,
}

/// Events of one read, few enough in number to bound memory. Dropping it ends the read.
pub type Events = mpsc::Receiver<Result<Event, Error>>;

/// Says how the trainer fares at the moment it is called.
pub type Reports = Box<dyn Fn() -> v1::RankReport + Send + Sync>;

/// Serves a job's rows as frames.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// Lists the table and binds the plan, before any data moves.
    async fn describe(&self, table: &v1::TableSource, plan: v1::Plan)
    -> Result<Description, Error>;

    /// Makes a job known.
    async fn open(&self, job: v1::Job, run: v1::Run, layout: Arc<Layout>)
    -> Result<OpenJob, Error>;

    /// Starts a read of an open job; it asks `credits` before every frame. Must be called within a tokio runtime.
    fn read(&self, job: &Arc<OpenJob>, request: v1::ReadRequest, credits: Credits) -> Events;

    /// Bytes that an open read may have under way beside the frames it was given credit for.
    fn window_bytes(&self) -> u64 {
        0
    }

    /// Takes what tells how the trainer fares, for a fleet that wants to hear it.
    fn report(&self, _: Reports) {}

    /// Reads that keep the source busy while one is being consumed.
    fn reads_ahead(&self) -> usize;
}

/// Frames that may wait for the trainer, a read, whatever memory there is: half of an ordinary read's, so that threads have as much to
/// do with reads ahead as with the one that is being taken.
const FRAMES_AHEAD: usize = 4;
