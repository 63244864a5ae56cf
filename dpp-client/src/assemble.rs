//! Frames become batches: opens reads in the order in which they are needed, takes rows, joins them.
//!
//! Reads are opened ahead so that the source stays busy; each buffers a few frames at the most, as far as memory
//! allows. A read that a step needs is opened, and has its frame, whatever else is open, so that waiting for it
//! can't wait for ever.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

use dpp_batch::{Batch, Layout, Rows, Slice, concat};
use dpp_proto::v1;

use tokio::time::timeout;

use crate::{
    Error,
    memory::{Budget, Charge},
    order::Order,
    schedule::{PlannedRead, Schedule, Step},
    source::{Event, Events, OpenJob, Source},
    stall::{Making, ReadStall},
    stats::Meter,
};

/// Makes the batches of one pass, in order.
pub(crate) struct Assembler {
    pub(crate) schedule: Schedule,
    pub(crate) requests: Requests,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) job: Arc<OpenJob>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) budget: Budget,
    pub(crate) rows_ahead: u64,
    pub(crate) open: OpenReads,
}

/// What turns planned reads into requests.
pub(crate) struct Requests {
    pub(crate) order: Arc<Order>,
    pub(crate) epoch: u64,
    pub(crate) files: Arc<[v1::SnapshotFile]>,
    pub(crate) job_hash: String,
    pub(crate) run_name: String,
}

/// Reads under way, by number; those in front that are used up are gone.
#[derive(Default)]
pub(crate) struct OpenReads {
    first: u64,
    reads: VecDeque<OpenRead>,
}

/// A step's batch on its way to the trainer.
#[derive(Debug)]
pub(crate) struct Assembled {
    pub(crate) step: Step,
    pub(crate) tensors: Batch,
    pub(crate) charge: Charge,
    pub(crate) making: Making,
}

/// One read under way.
struct OpenRead {
    number: u64,
    events: Events,
    /// The frame from which rows are taken.
    frame: Option<(Rows, Charge)>,
    left: u64,
    begun: bool,
    /// What may be on the wire, until the read has ended.
    window: Option<Charge>,
    stall: Arc<ReadStall>,
}

/// What one batch is made of, while it is being made.
#[derive(Default)]
struct Parts {
    slices: Vec<Slice>,
    /// Frames whose rows are all in `slices`.
    spent: Vec<Charge>,
    waits: Vec<(Arc<ReadStall>, Duration)>,
}

impl Assembler {
    /// The next step and its batch, or `None` after the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Assembled>, Error> {
        let Some(step) = self.schedule.next_step() else {
            return Ok(None);
        };
        let began = Instant::now();
        let mut parts = Parts::default();
        for &(read, rows) in &step.takes {
            self.open_ahead(read);
            let read = self.open.get(read);
            read.take(rows, &mut parts, &self.budget, &self.job.layout)
                .await?;
        }
        self.open.drop_used_up();
        self.schedule.forget_before(self.open.first);
        let tensors = concat(&self.job.layout, &parts.slices);
        Ok(Some(Assembled {
            step,
            charge: self.budget.batch(tensors.byte_size() as u64),
            tensors,
            making: Making::new(began.elapsed(), parts.waits),
        }))
    }

    /// Opens `needed`, and further reads while rows or reads in waiting are fewer than keep the source busy.
    fn open_ahead(&mut self, needed: u64) {
        while let Some(planned) = self.schedule.read(self.open.end()) {
            let number = self.open.end();
            let waiting = self.open.reads.iter().filter(|read| !read.begun).count();
            let enough =
                waiting >= self.source.reads_ahead() && self.open.rows_left() >= self.rows_ahead;
            let window = if number <= needed {
                self.budget.open_needed()
            } else if enough || waiting >= MOST_WAITING {
                return;
            } else if let Some(window) = self.budget.open_ahead() {
                window
            } else {
                return;
            };
            let credits = self.budget.credits(number, &self.requests.order, planned);
            let left = planned.rows;
            let request = self.requests.request(planned);
            self.open.reads.push_back(OpenRead {
                number,
                events: self.source.read(&self.job, request, credits),
                frame: None,
                left,
                begun: false,
                window: Some(window),
                stall: ReadStall::new(&self.meter),
            });
        }
    }
}

impl Requests {
    fn request(&self, read: &PlannedRead) -> v1::ReadRequest {
        let PlannedRead {
            piece,
            selection,
            rows,
        } = read;
        let length = piece.positions.end - piece.positions.start;
        let (file_first_row, settings) =
            (self.order.file_first_row(piece.file), self.order.settings());
        let from_row = piece.first_row - file_first_row;
        v1::ReadRequest {
            job_hash: self.job_hash.clone(),
            epoch: self.epoch,
            file: Some(self.files[piece.file].clone()),
            file_first_row,
            from_row,
            to_row: from_row + length,
            shuffle: (settings.shuffle_rows > 0).then_some(v1::Shuffle {
                seed: settings.seed,
                window_rows: settings.shuffle_rows,
            }),
            selection: if *rows == length {
                Vec::new()
            } else {
                selection
                    .iter()
                    .flat_map(|range| [range.start, range.end])
                    .collect()
            },
            run: self.run_name.clone(),
        }
    }
}

impl OpenReads {
    fn end(&self) -> u64 {
        self.first + self.reads.len() as u64
    }

    fn rows_left(&self) -> u64 {
        self.reads.iter().map(|read| read.left).sum()
    }

    fn get(&mut self, read: u64) -> &mut OpenRead {
        let index = usize::try_from(read - self.first).expect("open reads are few");
        &mut self.reads[index]
    }

    fn drop_used_up(&mut self) {
        while self.reads.front().is_some_and(|read| read.left == 0) {
            self.reads.pop_front();
            self.first += 1;
        }
    }
}

impl OpenRead {
    /// Takes the next `count` rows.
    async fn take(
        &mut self,
        count: u64,
        parts: &mut Parts,
        budget: &Budget,
        layout: &Arc<Layout>,
    ) -> Result<(), Error> {
        if !std::mem::replace(&mut self.begun, true)
            && let Some(window) = &self.window
        {
            window.begin();
        }
        let mut missing = usize::try_from(count).expect("a batch fits in memory");
        while missing > 0 {
            let (mut rows, charge) = match self.frame.take() {
                Some(frame) => frame,
                None => self.next_frame(parts, budget, layout).await?,
            };
            let slice = rows.take(missing);
            missing -= slice.rows();
            parts.slices.push(slice);
            if rows.remaining() > 0 {
                self.frame = Some((rows, charge));
            } else {
                parts.spent.push(charge);
            }
        }
        self.left -= count;
        if self.left == 0 {
            self.finish(parts).await;
        }
        Ok(())
    }

    async fn next_frame(
        &mut self,
        parts: &mut Parts,
        budget: &Budget,
        layout: &Arc<Layout>,
    ) -> Result<(Rows, Charge), Error> {
        budget.need(self.number);
        let asked = Instant::now();
        let event = self.events.recv().await;
        parts.waits.push((self.stall.clone(), asked.elapsed()));
        budget.need_none();
        let (rows, charge) = first_rows(event, layout)?;
        charge.begin();
        Ok((rows, charge))
    }

    /// All rows have arrived; what the read cost follows, unless the worker is gone or takes too long to say.
    async fn finish(&mut self, parts: &mut Parts) {
        let asked = Instant::now();
        if let Ok(Some(Ok(Event::Ended(cost)))) = timeout(COST_PATIENCE, self.events.recv()).await {
            self.stall.ended(&cost);
        }
        parts.waits.push((self.stall.clone(), asked.elapsed()));
        self.events.close();
        self.window = None;
    }
}

fn first_rows(
    event: Option<Result<Event, Error>>,
    layout: &Arc<Layout>,
) -> Result<(Rows, Charge), Error> {
    match event {
        Some(Ok(Event::Frame(frame, charge))) if frame.batch.layout == *layout => {
            let rows = Rows::new(frame.batch).map_err(|source| Error::Frame {
                origin: "the source".into(),
                source,
            })?;
            Ok((rows, charge))
        }
        Some(Err(error)) => Err(error),
        _ => Err(Error::Source {
            fault: dpp_proto::Fault::Internal,
            message: "a read ended before all its rows had arrived".into(),
        }),
    }
}

/// A batch does not wait longer than this for what a read cost.
const COST_PATIENCE: Duration = Duration::from_secs(1);
/// Reads of few rows (small files) are opened far ahead, but not without end.
const MOST_WAITING: usize = 64;
