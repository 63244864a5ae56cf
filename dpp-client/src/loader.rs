//! The loader: a table and a plan become batches, pass by pass, with a cursor that the trainer saves.
//!
//! ```text
//! open: describe (snapshot, bound plan, layout) ─▶ job ─▶ order
//! pass: schedule ─▶ reads ─▶ frames ─▶ batches ─▶ bounded queue ─▶ trainer, whose taking moves the cursor
//! ```

mod assembling;

use std::{
    sync::{Arc, Mutex},
    time::Instant,
};

use dpp_batch::Layout;
use dpp_proto::{access, hash::message_hash, v1};
#[cfg(feature = "embedded")]
use dpp_worker::engine::KeyProvider;

#[cfg(feature = "embedded")]
use crate::source::Embedded;
use crate::{
    Error, Settings, Stats,
    agree::Agreement,
    batch::Origins,
    cursor::{Cursor, STATE_VERSION, State, lock},
    order::Order,
    pass::Batches,
    schedule::steps,
    secret,
    source::{Description, OpenJob, Remote, Source},
    standing::Standing,
    stats::Meter,
};

/// Where frames come from.
#[derive(Clone, Debug)]
pub enum Place {
    /// The engine in this process.
    #[cfg(feature = "embedded")]
    OnBox {
        /// Compute threads; `None`: one a core.
        threads: Option<usize>,
        /// Who gives the keys of encrypted tables.
        keys: Option<Arc<dyn KeyProvider>>,
    },
    /// Workers: `host:port,host:port`, `unix:/path`, `dns://name:port` or `fleet://host:port`, called as the environment says.
    Service(String),
    /// The same, called so.
    ServiceAs(String, access::Caller),
}

impl Place {
    fn source(
        self,
        table: &v1::TableSource,
        settings: &Settings,
    ) -> Result<Arc<dyn Source>, Error> {
        Ok(match self {
            #[cfg(feature = "embedded")]
            Place::OnBox { threads, keys } => Arc::new(Embedded::start(threads, keys)?),
            Place::Service(service) => {
                secret::refuse(table)?;
                Arc::new(Remote::new(&service, settings.workers())?)
            }
            Place::ServiceAs(service, caller) => {
                secret::refuse(table)?;
                Arc::new(Remote::called(&service, caller, settings.workers())?)
            }
        })
    }
}

/// A job and where the trainer stands in it.
#[derive(Debug)]
pub struct Loader {
    settings: Settings,
    source: Arc<dyn Source>,
    job: Arc<OpenJob>,
    described: Description,
    plan_hash: String,
    /// Of what makes fewer rows of those that are read, if the plan has such.
    filter_hash: Option<String>,
    agreement: Option<Arc<dyn Agreement>>,
    order: Arc<Order>,
    cursor: Arc<Mutex<Cursor>>,
    meter: Arc<Meter>,
}

impl Loader {
    /// Describes the table, binds the plan and opens the job, at `place`. No rows are read.
    ///
    /// Must be called within a tokio runtime, as all of the loader.
    ///
    /// # Errors
    /// Settings that can't be meant, secrets that would travel to workers, and whatever table, plan or workers say.
    pub async fn open(
        place: Place,
        table: v1::TableSource,
        plan: v1::Plan,
        settings: Settings,
    ) -> Result<Loader, Error> {
        settings.check()?;
        let source = place.source(&table, &settings)?;
        Loader::with_source(source, table, plan, settings).await
    }

    /// As [`Loader::open`], with what another rank's loader [described](Loader::description): the same files and plan,
    /// without asking storage for them.
    ///
    /// # Errors
    /// As [`Loader::open`].
    pub async fn open_described(
        place: Place,
        table: v1::TableSource,
        described: Description,
        settings: Settings,
    ) -> Result<Loader, Error> {
        settings.check()?;
        let source = place.source(&table, &settings)?;
        Loader::of_job(source, table, described, settings, Instant::now()).await
    }

    /// As [`Loader::open`], with a source that is already there.
    ///
    /// # Errors
    /// As [`Loader::open`].
    pub async fn with_source(
        source: Arc<dyn Source>,
        mut table: v1::TableSource,
        plan: v1::Plan,
        settings: Settings,
    ) -> Result<Loader, Error> {
        settings.check()?;
        let opened = Instant::now();
        make_absolute(&mut table);
        let described = source.describe(&table, plan).await?;
        Loader::of_job(source, table, described, settings, opened).await
    }

    async fn of_job(
        source: Arc<dyn Source>,
        mut table: v1::TableSource,
        described: Description,
        settings: Settings,
        opened: Instant,
    ) -> Result<Loader, Error> {
        let filter_hash = filter_hash(&described.plan);
        if filter_hash.is_some() && settings.child.is_some() {
            return Err(Error::invalid(
                "a plan with a row filter (where) has its steps one after another, and several processes can't share them: \
                 iterate in one, which prefetches by itself (num_workers=0)",
            ));
        }
        make_absolute(&mut table);
        let plan_hash = message_hash(&described.plan);
        let job = v1::Job {
            table: Some(table),
            snapshot_hash: described.snapshot_hash.clone(),
            plan: Some(described.plan.clone()),
        };
        let run = v1::Run {
            name: settings.run_name.clone(),
            priority: settings.priority,
            ..Default::default()
        };
        let mut job = source.open(job, run, described.layout.clone()).await?;
        if job.run.name.is_empty() {
            // A run without a name is known by its job.
            job.run.name = job.job_hash.chars().take(RUN_NAME_CHARS).collect();
        }
        let order = Order::new(settings.order(), &described.files)?;
        let (cursor, meter) = (Arc::default(), Arc::new(Meter::new(opened)));
        let standing = Standing::new(
            job.run.clone(),
            (settings.rank, settings.world_size),
            order.rows(),
            Arc::clone(&cursor),
            meter.clone(),
        );
        source.report(Box::new(move || standing.report()));
        let loader = Loader {
            settings,
            source,
            job: Arc::new(job),
            described,
            plan_hash,
            filter_hash,
            agreement: None,
            order: Arc::new(order),
            cursor,
            meter,
        };
        loader.check_memory(loader.order.settings(), 0)?;
        Ok(loader)
    }

    /// The loader, with a way for ranks to agree. With a row filter and steps of whole rounds each rank then reads its own
    /// lanes only; without one every rank reads every lane, and drops what is other ranks'.
    #[must_use]
    pub fn with_agreement(self, agreement: Arc<dyn Agreement>) -> Loader {
        Loader {
            agreement: Some(agreement),
            ..self
        }
    }

    /// Names and widths of the batches' tensors.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.described.layout
    }

    /// The files, the bound plan and its layout: what other ranks need to open the same job.
    pub fn description(&self) -> &Description {
        &self.described
    }

    /// Rows of an epoch, N, before a row filter.
    pub fn num_rows(&self) -> u64 {
        self.order.rows()
    }

    /// Steps of a whole epoch: the same for every rank, exact before any row is read. `None` with a row filter.
    pub fn num_steps(&self) -> Option<u64> {
        let share = self.settings.share();
        let steps = steps(self.order.rows(), 0, share.global_batch, share.drop_last);
        self.filter_hash.is_none().then_some(steps)
    }

    /// Content hash of the files that are read.
    pub fn snapshot_hash(&self) -> &str {
        &self.described.snapshot_hash
    }

    /// Sums since the loader was opened.
    pub fn stats(&self) -> Stats {
        self.meter.stats()
    }

    /// Begins a pass: the rest of the loaded epoch, or the next one.
    pub fn start_epoch(&mut self) -> Batches {
        let (pass, epoch, start) = {
            let mut cursor = lock(&self.cursor);
            let pass = cursor.begin();
            (pass, cursor.epoch, cursor.position.clone())
        };
        self.meter.begin();
        let origins = Arc::new(Origins {
            order: self.order.clone(),
            sequence: Arc::new(self.order.sequence(epoch)),
            epoch,
            files: self.described.files.clone(),
            is_filtered: self.filter_hash.is_some(),
        });
        let assembler = self.assembler(&origins, &start);
        let talks = self.talks(&assembler);
        Batches::start(
            assembler,
            origins,
            self.settings.prefetch_batches,
            (self.cursor.clone(), pass),
            self.meter.clone(),
            talks,
        )
    }

    /// Where the trainer stands: what it consumed, not what was prefetched.
    pub fn state(&self) -> State {
        let Cursor {
            epoch, position, ..
        } = lock(&self.cursor).clone();
        let lanes = || self.lanes_at(&position).to_vec();
        State {
            version: STATE_VERSION,
            epoch,
            rows_consumed: position.rows_consumed,
            lanes: self.filter_hash.is_some().then(lanes),
            order: self.order.settings().clone(),
            order_hash: self.order_hash(&self.order),
            filter_hash: self.filter_hash.clone(),
            snapshot_hash: self.snapshot_hash().to_owned(),
            plan_hash: self.plan_hash.clone(),
        }
    }

    /// Goes on from a saved state: the next pass yields exactly the rows that had not been consumed.
    ///
    /// The state brings its own lanes and round; world size and batch are this loader's.
    ///
    /// # Errors
    /// [`Error::State`] naming what differs; [`Error::Invalid`] when the state's lanes need more memory than is allowed.
    pub fn load_state(&mut self, state: &State) -> Result<(), Error> {
        let order = Order::new(
            state.settings_for(&self.settings.order(), self.filter_hash.as_deref())?,
            &self.described.files,
        )?;
        state.check(&order, self.snapshot_hash())?;
        self.check_memory(order.settings(), state.rows_consumed)?;
        if state.plan_hash != self.plan_hash {
            tracing::info!(was = %state.plan_hash, is = %self.plan_hash, "the plan has changed since the state was saved");
        }
        self.order = Arc::new(order);
        lock(&self.cursor).load(state.epoch, state.position());
        Ok(())
    }

    /// Chooses the epoch of the next pass. The epoch of a loaded state keeps its position; any other starts at 0.
    pub fn set_epoch(&mut self, epoch: u64) {
        lock(&self.cursor).set_epoch(epoch);
    }

    fn order_hash(&self, order: &Order) -> String {
        order.hash(self.snapshot_hash(), self.filter_hash.as_deref())
    }
}

/// Names what makes fewer rows of those that are read: a row filter, or fitting, which makes one of many.
fn filter_hash(plan: &v1::Plan) -> Option<String> {
    match plan.for_fitting {
        true => Some(message_hash(plan)),
        false => plan.row_filter.as_ref().map(message_hash),
    }
}

/// A relative path means one thing to the trainer and another to a worker.
fn make_absolute(table: &mut v1::TableSource) {
    if !table.url.contains("://")
        && let Ok(path) = std::path::absolute(&table.url)
    {
        table.url = path.display().to_string();
    }
}

/// Enough of a job's hash to tell runs apart.
const RUN_NAME_CHARS: usize = 12;
