//! One read: admitted for what it will hold, fetched, and decoded frame by frame as there is room for frames.

use std::{ops::Range, sync::Arc, time::Instant};

use dpp_ops::condition::{Bounds, Extent, RowFilter};
use dpp_proto::v1;
use dpp_table::{ColumnBounds, FetchedPiece, PieceRequest, PieceSize, ReadCounters, StoredExtent};
use tokio::sync::{Semaphore, mpsc};
use tracing::{Instrument as _, field};

use super::{
    Engine, ReadEvent, base::BaseBatches, frames::Frames, job::OpenJob, picks::Picks,
    survivors::Survivors, trace,
};
use crate::{
    Error,
    memory::{Admitted, Turn},
    shares::Asker,
    slots::Taken,
};

/// A read, and what it has cost so far. What broke off is counted too, when this is dropped.
pub(super) struct Read<'a> {
    engine: &'a Engine,
    job: &'a Arc<OpenJob>,
    request: &'a v1::ReadRequest,
    credits: &'a Semaphore,
    events: &'a mpsc::Sender<Result<ReadEvent, Error>>,
    asker: Asker,
    base: BaseBatches,
    summary: v1::ReadSummary,
    /// Of the tensors of frames.
    sent_bytes: u64,
    /// What waiting for storage took of the slots.
    waited_slot_seconds: f64,
}

/// A wait for storage, until dropped.
struct Waiting<'a> {
    seconds: &'a mut f64,
    began: Instant,
    _taken: Taken<'a>,
}

impl<'a> Read<'a> {
    pub(super) fn new(
        engine: &'a Engine,
        job: &'a Arc<OpenJob>,
        request: &'a v1::ReadRequest,
        credits: &'a Semaphore,
        events: &'a mpsc::Sender<Result<ReadEvent, Error>>,
    ) -> Read<'a> {
        Read {
            engine,
            job,
            request,
            credits,
            events,
            asker: asker(request),
            base: job.base_batches(request),
            summary: v1::ReadSummary::default(),
            sent_bytes: 0,
            waited_slot_seconds: 0.0,
        }
    }

    /// Sends the frames of what is picked, once `turn` has come. Returns what they cost, and what they still hold.
    pub(super) async fn send_frames(
        mut self,
        turn: Turn,
        picks: Picks,
    ) -> Result<(v1::ReadSummary, Admitted), Error> {
        let size = self.size().await?;
        self.base = self.job.base_batches(self.request);
        let mut admitted = turn.admit(self.held_bytes(size)).await?;
        let make_way = admitted.make_way();
        tokio::select! {
            ended = self.work(picks, size, &mut admitted) => ended?,
            () = make_way.notified() => return Err(Error::MadeWay),
        }
        // Nothing is left but what the client has not taken.
        admitted.holds(self.job.frames_bytes(self.base));
        Ok((self.summary, admitted))
    }

    /// Fetches, decodes and sends.
    async fn work(
        &mut self,
        picks: Picks,
        size: PieceSize,
        admitted: &mut Admitted,
    ) -> Result<(), Error> {
        let _active = self.engine.totals.begin_read();
        let picks = self.survivors(picks).await?;
        let piece = self.fetch(&picks, self.job.program.features()).await?;
        let size = PieceSize {
            stored_bytes: piece.as_ref().map_or(0, FetchedPiece::held_bytes),
            ..size
        };
        admitted.holds(self.held_bytes(size));
        self.make_frames(piece, picks).await
    }

    fn held_bytes(&self, size: PieceSize) -> u64 {
        self.job.held_bytes(self.request, self.base, size)
    }

    /// What the read will hold at most. Nobody asks where memory has no limit.
    async fn size(&mut self) -> Result<PieceSize, Error> {
        let mut most = PieceSize::default();
        let Some(limit) = self.engine.memory.limit() else {
            return Ok(most);
        };
        let program = &self.job.program;
        let looked_at = program.row_filter().map(RowFilter::features);
        for features in looked_at.into_iter().chain([program.features()]) {
            let request = self.piece_request(Vec::new(), features)?;
            let job = self.job;
            let waiting = self.wait();
            let (size, io) = job.table.size(&request).await?;
            drop(waiting);
            add_io(&mut self.summary, io);
            most = PieceSize {
                stored_bytes: size.stored_bytes.max(most.stored_bytes),
                decoding_bytes: size.decoding_bytes.max(most.decoding_bytes),
                row_bytes: size.row_bytes.max(most.row_bytes),
            };
        }
        self.job.fit(limit / BASE_BATCHES_IN_MEMORY, most);
        Ok(most)
    }

    /// The picked rows that the plan's row filter keeps: all without one.
    async fn survivors(&mut self, picks: Picks) -> Result<Picks, Error> {
        let Some(filter) = self.job.program.row_filter() else {
            return Ok(picks);
        };
        if !self.may_keep_some(filter, &picks).await? {
            return Ok(picks.survivors(|_| false, self.job.base_batch_rows()));
        }
        let Some(piece) = self.fetch(&picks, filter.features()).await? else {
            return Ok(picks);
        };
        let (job, rows) = (self.job.clone(), self.request.from_row..self.request.to_row);
        let file_first_row = self.request.file_first_row;
        let looked = self.engine.pool.run(&self.asker, move || {
            look(&job, piece, picks, (&rows, file_first_row))
        });
        let (picks, io, seconds) = looked.await??;
        add_io(&mut self.summary, io);
        self.summary.decode_seconds += seconds;
        Ok(picks)
    }

    /// Whether the row filter may keep any row, by what the row group says of its features.
    async fn may_keep_some(&mut self, filter: &RowFilter, picks: &Picks) -> Result<bool, Error> {
        if picks.decode.is_empty() {
            return Ok(true);
        }
        let request = self.piece_request(Vec::new(), filter.features())?;
        let job = self.job;
        let waiting = self.wait();
        let (bounds, io) = job.table.bounds(&request).await?;
        drop(waiting);
        add_io(&mut self.summary, io);
        let bounds: Vec<Bounds> = bounds.into_iter().map(known).collect();
        Ok(filter.may_keep(&bounds))
    }

    /// The picked rows of some features; `None` when no rows are picked.
    async fn fetch(
        &mut self,
        picks: &Picks,
        features: &Arc<[v1::Feature]>,
    ) -> Result<Option<FetchedPiece>, Error> {
        if picks.decode.is_empty() {
            return Ok(None);
        }
        let request = self.piece_request(picks.decode.clone(), features)?;
        let job = self.job;
        let fetching = tracing::debug_span!("fetch", bytes = field::Empty);
        let waiting = self.wait();
        let piece = job
            .table
            .fetch(request)
            .instrument(fetching.clone())
            .await?;
        drop(waiting);
        trace::bytes(&fetching, piece.io().read_bytes);
        add_io(&mut self.summary, piece.io());
        Ok(Some(piece))
    }

    /// Begins to wait for storage.
    fn wait(&mut self) -> Waiting<'_> {
        Waiting {
            seconds: &mut self.summary.storage_seconds,
            began: Instant::now(),
            _taken: self.engine.slots.take(&mut self.waited_slot_seconds),
        }
    }

    fn piece_request(
        &self,
        selection: Vec<Range<u64>>,
        features: &Arc<[v1::Feature]>,
    ) -> Result<PieceRequest, Error> {
        let file = self.request.file.clone();
        Ok(PieceRequest {
            rows: self.request.from_row..self.request.to_row,
            file: file.ok_or_else(|| Error::request("a read names a file"))?,
            selection,
            features: features.clone(),
            batch_rows: self.base.most_rows,
            most_held_bytes: self.engine.memory.most_stored_bytes(),
        })
    }

    /// Decodes and packs on the compute pool, one frame a turn, and sends what comes.
    async fn make_frames(
        &mut self,
        piece: Option<FetchedPiece>,
        picks: Picks,
    ) -> Result<(), Error> {
        let (job, pool) = (self.job.clone(), &self.engine.pool);
        let (file_first_row, epoch) = (self.request.file_first_row, self.request.epoch);
        let (asker, base) = (self.asker.clone(), self.base);
        let opened = pool.run(&asker, move || {
            let batches = piece.map(|piece| piece.decode_mapped(&job.value_maps));
            let batches = batches.transpose()?;
            let frames = Frames::new(job, base, batches, picks, file_first_row, epoch);
            Ok::<_, Error>(frames)
        });
        let mut frames = opened.await??;
        let looked = self.summary.decode_seconds;
        let mut streamed = ReadCounters::default();
        loop {
            let waiting = tracing::debug_span!("wait_for_client");
            let Some(room) = self.room().instrument(waiting).await else {
                return Ok(());
            };
            let made = pool.run(&asker, move || {
                let frame = frames.next();
                (frames, frame)
            });
            let (returned, frame) = made.await?;
            frames = returned;
            self.summary.decode_seconds = looked + frames.seconds.0;
            self.summary.transform_seconds = frames.seconds.1;
            let io = frames.io();
            add_io(&mut self.summary, io - streamed);
            streamed = io;
            let Some(frame) = frame? else { return Ok(()) };
            self.summary.rows += frame.batch.rows as u64;
            self.sent_bytes += frame.batch.byte_size() as u64;
            room.send(Ok(ReadEvent::Frame(frame)));
        }
    }
}

impl<'a> Read<'a> {
    /// Room for a frame, once the client has taken enough of those before; `None` when it has gone. Waiting for it first leaves
    /// at most one frame more than the channel holds.
    async fn room(&self) -> Option<mpsc::Permit<'a, Result<ReadEvent, Error>>> {
        // credits are never closed
        if let Ok(credit) = self.credits.acquire().await {
            credit.forget();
        }
        self.events.reserve().await.ok()
    }
}

impl Drop for Read<'_> {
    fn drop(&mut self) {
        trace::done(&self.summary, self.sent_bytes);
        self.engine.totals.add(&self.summary);
        let (run, waited) = (&self.request.run, self.waited_slot_seconds);
        self.engine.works.add(run, &self.summary, waited);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        *self.seconds += self.began.elapsed().as_secs_f64();
    }
}

/// Who asks for a read.
fn asker(request: &v1::ReadRequest) -> Asker {
    Asker {
        run: request.run.chars().take(MOST_NAME_CHARS).collect(),
        priority: request.priority,
    }
}

/// Which of the picked rows survive the filter, what was fetched to see it, and the seconds that it took.
fn look(
    job: &OpenJob,
    piece: FetchedPiece,
    picks: Picks,
    (rows, file_first_row): (&Range<u64>, u64),
) -> Result<(Picks, ReadCounters, f64), Error> {
    let began = Instant::now();
    let filter = job.program.row_filter().expect("it was there just now");
    let mut batches = piece.decode()?;
    let survivors = Survivors::find(filter, &mut batches, &picks.decode, rows, file_first_row)?;
    let picks = picks.survivors(|row| survivors.keeps(row), job.base_batch_rows());
    Ok((picks, batches.io(), began.elapsed().as_secs_f64()))
}

/// Bounds of stored values as bounds of delivered ones.
fn known(stored: ColumnBounds) -> Bounds {
    Bounds {
        values: stored.values.map(|extent| match extent {
            StoredExtent::Ints(least, most) => Extent::Ints(least, most),
            // rounding keeps order
            StoredExtent::Reals(least, most) => Extent::Reals(least as f32, most as f32),
        }),
        has_no_nulls: stored.has_no_nulls,
    }
}

fn add_io(summary: &mut v1::ReadSummary, io: ReadCounters) {
    summary.read_bytes += io.read_bytes;
    summary.wanted_bytes += io.wanted_bytes;
    summary.requests += io.requests;
    summary.retries += io.retries;
}

/// Base batches are packed in fewer rows where the memory would not hold so many of them.
const BASE_BATCHES_IN_MEMORY: u64 = 16;
/// Runs whose names begin alike for longer share one share.
const MOST_NAME_CHARS: usize = 128;
