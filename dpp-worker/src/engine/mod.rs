//! The engine: rows in, frames out. The server wraps it, and it runs on-box inside a trainer.
//!
//! ```text
//! ReadRequest ─▶ picks (which rows, which order) ─▶ admitted for what it will hold ─▶ Table::fetch (tokio waits) ─▶ decode ─▶ permute ─▶ Program ─▶ Frame
//!                  └─ survivors (of a row filter: its features are fetched and decoded first)
//!                                                                               └──── compute pool, one frame a turn ────┘
//! ```

mod artefacts;
mod base;
mod describe;
mod frames;
pub(crate) mod job;
mod picks;
mod read;
mod survivors;
mod trace;

use std::sync::Arc;

pub use artefacts::load_artefact;
pub use describe::Description;
use dpp_batch::Frame;
use dpp_ops::{Plan, Registry};
use dpp_proto::{
    hash::{message_bytes, message_hash},
    v1,
};
use dpp_table::{DiskCache, StoredCache, Table};
pub use dpp_table::{KeyProvider, TableOptions};
use tokio::sync::{Semaphore, mpsc};
use tracing::Instrument as _;

use self::{
    artefacts::Artefacts,
    job::{Known, KnownJobs, OpenJob},
    picks::Picks,
    read::Read,
};
use crate::{
    ByteSize, Error, Rights, bounds::Bounds, compute::Pool, memory::Memory, metrics,
    run_work::RunWorks, slots::Slots,
};

/// Serves jobs: a pure function from requests to frames, with caches that only make it faster.
#[derive(Debug)]
pub struct Engine {
    pool: Pool,
    tables: Known<Table>,
    jobs: KnownJobs,
    totals: metrics::Totals,
    works: RunWorks,
    slots: Slots,
    options: TableOptions,
    memory: Arc<Memory>,
    shared_memory: ByteSize,
    registry: Registry,
    whole_batches: Option<usize>,
    reads: Arc<Semaphore>,
    artefacts: Artefacts,
    bounds: Bounds,
}

/// What a read sends: its frames in order, then what it cost.
#[derive(Debug)]
pub enum ReadEvent {
    /// The next frame.
    Frame(Frame),
    /// After the last frame.
    Summary(v1::ReadSummary),
}

/// Frames that may wait for the receiver: a short read is done with, and holds no more than these, although nobody takes them.
pub(crate) const FRAMES_AHEAD: usize = 3;
const MOST_TABLES: usize = 256;
const MOST_JOBS: usize = 1024;
/// Opened jobs take a part of the memory's size, beside it: some hundred jobs of a hundred features fit that of 512 MiB. One that was
/// forgotten is opened again by who reads it.
const JOBS_IN_MEMORY: u64 = 4;
/// What a compiled plan takes for each byte of the job, about.
const COMPILED_BYTES: u64 = 40;
/// Sixteen megabytes and more for each of dozens of trainers, of which what they use is taken.
const USUALLY_SHARED: ByteSize = ByteSize(1 << 30);
/// Reads under way or waiting for their turn, over all clients.
const MOST_READS: usize = 65_536;
/// Nodes of a plan: twenty thousand features, and five things done with each.
const MOST_NODES: usize = 1 << 17;

impl Engine {
    /// An engine with `threads` compute threads; `None` starts one a core.
    ///
    /// # Errors
    /// [`Error::Threads`] when they can't be started.
    pub fn start(threads: Option<usize>) -> Result<Engine, Error> {
        metrics::describe();
        let pool = Pool::start(threads)?;
        Ok(Engine {
            slots: Slots::new(pool.size()),
            pool,
            tables: Known::new(MOST_TABLES),
            jobs: KnownJobs::new(MOST_JOBS),
            totals: metrics::Totals::default(),
            works: RunWorks::default(),
            options: TableOptions::default(),
            memory: Memory::new(None),
            shared_memory: USUALLY_SHARED,
            registry: Registry::standard(),
            whole_batches: None,
            reads: Arc::new(Semaphore::new(MOST_READS)),
            artefacts: Artefacts::default(),
            bounds: Bounds::default(),
        })
    }

    /// The engine, reading tables with these options: its own identity, which no job brings.
    pub fn with_options(self, options: TableOptions) -> Engine {
        Engine { options, ..self }
    }

    /// Reads hold at most so many bytes of buffers at a time; what does not fit waits. `None`: as much as they need.
    #[must_use]
    pub fn with_memory(mut self, limit: Option<ByteSize>) -> Engine {
        if let Some(limit) = limit {
            self.jobs = KnownJobs::within(MOST_JOBS, limit.0 / JOBS_IN_MEMORY);
        }
        self.memory = Memory::new(limit.map(|limit| {
            let kept = dpp_pool::keep_little_of(limit.0);
            ByteSize(limit.0.saturating_sub(kept))
        }));
        self
    }

    /// So many bytes at most are shared with trainers of this machine, beside what reads hold.
    #[must_use]
    pub fn with_shared_memory(mut self, size: ByteSize) -> Engine {
        self.shared_memory = size;
        self
    }

    /// Tables of this engine meet each other's stored bytes, so many of them at most, which are beside those of reads. A file that is
    /// on this machine is left to the system.
    #[must_use]
    pub fn with_cache(mut self, size: ByteSize, disk: Option<DiskCache>) -> Engine {
        self.options.cache = Some(Arc::new(StoredCache::new(size.0).with_disk(disk)));
        self
    }

    /// Waits until what is kept on disk is written.
    pub async fn close(&self) {
        if let Some(cache) = &self.options.cache {
            cache.close().await;
        }
    }

    /// The engine, reading tables and artefacts only at and below these places, whoever asks, and from no store but those that its own
    /// environment names.
    #[must_use]
    pub fn with_allowed(self, places: Vec<String>) -> Engine {
        Engine {
            bounds: Bounds::at(places),
            ..self
        }
    }

    /// The engine, knowing these ops: a job that names another is refused when it is opened.
    pub fn with_registry(self, registry: Registry) -> Engine {
        Engine { registry, ..self }
    }

    /// Packs so many rows at a time and sends them as one frame, whatever their bytes, as a worker must whose trainers join no
    /// frames. It is there to measure what that costs.
    #[must_use]
    pub fn with_whole_batches(self, rows: usize) -> Engine {
        Engine {
            whole_batches: Some(rows.max(1)),
            ..self
        }
    }

    /// Most bytes that reads hold; `None`: as much as they need.
    pub(crate) fn memory_limit(&self) -> Option<u64> {
        self.memory.limit()
    }

    /// Most bytes that are shared with trainers of this machine.
    pub(crate) fn shared_memory(&self) -> u64 {
        self.shared_memory.0
    }

    /// Splits worked on at a time.
    pub fn slots(&self) -> usize {
        self.pool.size()
    }

    /// Counts since the engine started.
    pub fn stats(&self) -> v1::StatsResponse {
        self.totals.stats(self.jobs.len())
    }

    /// What was done for each run since the engine started.
    pub(crate) fn run_work(&self) -> Vec<v1::RunWork> {
        self.works.all()
    }

    /// Reads currently under way.
    pub fn active_reads(&self) -> u64 {
        self.totals.active_reads()
    }

    /// Makes a job known and returns its hash, after loading the artefacts that its plan refers to. Opening it again changes
    /// nothing.
    ///
    /// # Errors
    /// A job without table or plan, an unknown op, a plan that was not bound, or an artefact that can't be read or is another.
    pub async fn open_job(&self, job: &v1::Job) -> Result<String, Error> {
        self.open_job_for(&Rights::Everything, job).await
    }

    /// As [`Engine::open_job`], as far as `rights` go.
    ///
    /// # Errors
    /// As [`Engine::open_job`], and [`Error::Denied`].
    pub async fn open_job_for(&self, rights: &Rights, job: &v1::Job) -> Result<String, Error> {
        let job_hash = message_hash(job);
        if let Some(known) = self.jobs.get(&job_hash) {
            rights.check_job(&known)?;
            return Ok(job_hash);
        }
        let opening = tracing::debug_span!("open_job", job = %job_hash);
        let open = self.compile(rights, job).instrument(opening).await?;
        tracing::info!(job = %job_hash, table = %open.source.url, "job opened");
        let bytes = message_bytes(job) * COMPILED_BYTES;
        self.jobs
            .insert_sized(job_hash.clone(), Arc::new(open), bytes);
        Ok(job_hash)
    }

    async fn compile(&self, rights: &Rights, job: &v1::Job) -> Result<OpenJob, Error> {
        let (source, plan) = (job.table.as_ref(), job.plan.clone());
        let source = source.ok_or_else(|| Error::request("a job names a table"))?;
        let plan = plan.ok_or_else(|| Error::request("a job carries a plan"))?;
        check_size(&plan)?;
        let table = self.table(source)?;
        rights.check_table(source, &table)?;
        let plan = Plan::from_proto(plan)?;
        let known = self
            .artefacts
            .known(&self.registry, (rights, &self.bounds), &plan, source)
            .await?;
        let open = OpenJob::compile(source, table, &plan, known)?;
        rights.check_job(&open)?;
        Ok(match self.whole_batches {
            Some(rows) => open.in_whole_batches(rows),
            None => open,
        })
    }

    /// Starts a read. Events arrive in order; dropping the receiver ends it.
    ///
    /// # Errors
    /// [`Error::UnknownJob`] and requests that can't be meant; what storage and data say comes through the receiver.
    pub fn read(
        self: &Arc<Self>,
        request: v1::ReadRequest,
    ) -> Result<mpsc::Receiver<Result<ReadEvent, Error>>, Error> {
        self.read_for(&Rights::Everything, "", request)
    }

    /// As [`Engine::read`], as far as `rights` go, for one of several clients, each of which may hold a part of the memory.
    ///
    /// # Errors
    /// As [`Engine::read`], and [`Error::Denied`].
    pub fn read_for(
        self: &Arc<Self>,
        rights: &Rights,
        client: &str,
        request: v1::ReadRequest,
    ) -> Result<mpsc::Receiver<Result<ReadEvent, Error>>, Error> {
        let frames = Arc::new(Semaphore::new(Semaphore::MAX_PERMITS));
        self.start_read(rights, client, request, frames)
    }

    /// As [`Engine::read`], making a frame, or the summary, only for a permit of `frames`, which it uses up.
    ///
    /// # Errors
    /// As [`Engine::read`].
    pub fn read_on_credit(
        self: &Arc<Self>,
        request: v1::ReadRequest,
        frames: Arc<Semaphore>,
    ) -> Result<mpsc::Receiver<Result<ReadEvent, Error>>, Error> {
        self.start_read(&Rights::Everything, "", request, frames)
    }

    fn start_read(
        self: &Arc<Self>,
        rights: &Rights,
        client: &str,
        request: v1::ReadRequest,
        frames: Arc<Semaphore>,
    ) -> Result<mpsc::Receiver<Result<ReadEvent, Error>>, Error> {
        let job = self
            .jobs
            .get(&request.job_hash)
            .ok_or_else(|| Error::UnknownJob {
                job_hash: request.job_hash.clone(),
            })?;
        rights.check_job(&job)?;
        let room = self.reads.clone().try_acquire_owned();
        let room = room.map_err(|_| Error::Busy { reads: MOST_READS })?;
        let picks = Picks::of(&request, job.base_batches(&request).most_rows)?;
        let (events, receiver) = mpsc::channel(FRAMES_AHEAD);
        let (engine, turn) = (self.clone(), self.memory.queue(client, request.turn));
        let span = trace::read(&request);
        let reading = async move {
            let working = async {
                let read = Read::new(&engine, &job, &request, &frames, &events);
                let ended = tokio::select! {
                    ended = read.send_frames(turn, picks) => ended,
                    () = events.closed() => return None, // nobody wants the rest
                };
                // What is held is given back when all frames have been taken. A receiver that is gone needs no ending.
                _ = events.reserve_many(FRAMES_AHEAD).await;
                Some(ended)
            };
            // The span ends before the client hears of the end: a worker that is stopped then has it to send.
            let Some(ended) = working.instrument(span).await else {
                return;
            };
            let ending = ended.map(|(summary, _admitted)| ReadEvent::Summary(summary));
            _ = events.send(ending).await;
            drop(room);
        };
        tokio::spawn(reading);
        Ok(receiver)
    }

    fn table(&self, source: &v1::TableSource) -> Result<Table, Error> {
        let hash = message_hash(source);
        if let Some(table) = self.tables.get(&hash) {
            return Ok(table);
        }
        let table = Table::open_with(source, self.options.clone())?;
        self.bounds.check_table(source, &table)?;
        self.tables.insert(hash, table.clone());
        Ok(table)
    }
}

/// A plan that would keep the worker busy with itself.
fn check_size(plan: &v1::Plan) -> Result<(), Error> {
    match plan.nodes.len() {
        0..=MOST_NODES => Ok(()),
        nodes => Err(Error::request(format!(
            "a plan of {nodes} nodes is larger than a worker takes, {MOST_NODES}"
        ))),
    }
}
