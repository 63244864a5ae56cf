//! One read under way: asked for, waited for frame by frame, and what it cost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dpp_batch::{Layout, Rows};
use dpp_proto::v1;
use tokio::time::timeout;

use super::parts::Waits;
use crate::{
    Error,
    memory::{Budget, Charge},
    order::Order,
    schedule::PlannedRead,
    source::{Event, Events, OpenJob, Source},
    stall::ReadStall,
    stats::Meter,
};

/// Opens the reads of one pass.
pub(crate) struct Reader {
    pub(crate) requests: Requests,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) job: Arc<OpenJob>,
    pub(crate) meter: Arc<Meter>,
    pub(crate) budget: Budget,
    pub(crate) rows_ahead: u64,
}

/// What turns planned reads into requests.
pub(crate) struct Requests {
    pub(crate) order: Arc<Order>,
    pub(crate) epoch: u64,
    pub(crate) files: Arc<[v1::SnapshotFile]>,
    pub(crate) job_hash: String,
    pub(crate) run: v1::Run,
}

/// One read under way.
pub(super) struct OpenRead {
    pub(super) number: u64,
    events: Events,
    /// Rows asked for and not done with.
    pub(super) left: u64,
    /// Whether a frame was waited for.
    pub(super) begun: bool,
    /// What may be on the wire, until the read has ended.
    window: Option<Charge>,
    stall: Arc<ReadStall>,
}

/// A frame of a read.
pub(super) struct Arrived {
    /// Rows asked for that it covers.
    pub(super) inputs: u64,
    pub(super) rows: Rows,
    pub(super) charge: Charge,
}

impl Reader {
    /// Starts read number `number`.
    pub(super) fn open(&self, number: u64, planned: &PlannedRead, window: Charge) -> OpenRead {
        let credits = self.budget.credits(number, &self.requests.order, planned);
        let request = self.requests.request(number, planned);
        OpenRead {
            number,
            events: self.source.read(&self.job, request, credits),
            left: planned.rows,
            begun: false,
            window: Some(window),
            stall: ReadStall::new(&self.meter),
        }
    }

    /// Room for one more read that no batch needs yet, while `waiting` reads and `rows` rows of them are ahead; `None`:
    /// they are enough, or there is no room.
    pub(super) fn room_ahead(&self, waiting: usize, rows: u64) -> Option<Charge> {
        let enough = waiting >= self.source.reads_ahead() && rows >= self.rows_ahead;
        if enough || waiting >= MOST_WAITING {
            return None;
        }
        self.budget.open_ahead()
    }

    pub(super) fn layout(&self) -> &Arc<Layout> {
        &self.job.layout
    }
}

impl Requests {
    fn request(&self, number: u64, read: &PlannedRead) -> v1::ReadRequest {
        let PlannedRead {
            piece,
            selection,
            rows,
            cuts,
        } = read;
        let length = piece.positions.end - piece.positions.start;
        let (file_first_row, settings) =
            (self.order.file_first_row(piece.file), self.order.settings());
        let from_row = piece.first_row - file_first_row;
        v1::ReadRequest {
            shared_memory: Vec::new(), // of the worker, which is not chosen yet
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
            run: self.run.name.clone(),
            turn: number,
            priority: self.run.priority,
            cuts: *cuts,
        }
    }
}

impl OpenRead {
    /// Waits for the next frame.
    pub(super) async fn next_frame(
        &mut self,
        reader: &Reader,
        waits: &mut Waits,
    ) -> Result<Arrived, Error> {
        if !std::mem::replace(&mut self.begun, true)
            && let Some(window) = &self.window
        {
            window.begin();
        }
        reader.budget.need(self.number);
        let asked = Instant::now();
        let event = self.events.recv().await;
        waits.push((self.stall.clone(), asked.elapsed()));
        reader.budget.need_none();
        let arrived = arrived(event, reader.layout())?;
        arrived.charge.begin();
        Ok(arrived)
    }

    /// All rows have arrived; what the read cost follows, unless the worker is gone or takes too long to say.
    pub(super) async fn finish(&mut self, waits: &mut Waits) {
        let asked = Instant::now();
        if let Ok(Some(Ok(Event::Ended(cost)))) = timeout(COST_PATIENCE, self.events.recv()).await {
            self.stall.ended(&cost);
        }
        waits.push((self.stall.clone(), asked.elapsed()));
        self.events.close();
        self.window = None;
    }
}

fn arrived(event: Option<Result<Event, Error>>, layout: &Arc<Layout>) -> Result<Arrived, Error> {
    match event {
        Some(Ok(Event::Frame(frame, charge))) if frame.batch.layout == *layout => Ok(Arrived {
            inputs: frame.positions.end.saturating_sub(frame.positions.start),
            rows: Rows::new(frame.batch),
            charge,
        }),
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
