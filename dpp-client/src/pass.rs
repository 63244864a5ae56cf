//! One pass over an epoch: batches are made ahead into a bounded queue, and taking one moves the cursor.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Instant,
};

use futures::Stream;
use tokio::{
    sync::mpsc::{self, error::TryRecvError},
    task::JoinHandle,
};

use crate::{
    Error,
    agree::{Claim, Talks},
    assemble::{After, Assembled, Assembler, fit},
    batch::{Batch, Origins},
    cursor::{self, Cursor, Position},
    memory::Budget,
    order::LaneCursor,
    stall::StallByCause,
    stats::Meter,
};

/// The batches of one pass: a stream of `Result<Batch, Error>`.
#[derive(Debug)]
pub struct Batches {
    queue: mpsc::Receiver<Result<Option<Assembled>, Error>>,
    origins: Arc<Origins>,
    budget: Budget,
    task: JoinHandle<()>,
    cursor: Arc<Mutex<Cursor>>,
    pass: u64,
    meter: Arc<Meter>,
    /// With ranks that read their own lanes.
    talks: Option<Talks>,
    steps: u64,
    /// Whether nothing more comes, however it ended.
    is_over: bool,
    waiting_since: Option<Instant>,
}

/// What follows a step, once it is known.
struct Followed {
    is_last: bool,
    lanes: Option<Arc<[LaneCursor]>>,
}

impl Batches {
    /// Starts making batches, `ahead` of them before the first is taken.
    pub(crate) fn start(
        assembler: Assembler,
        origins: Arc<Origins>,
        ahead: usize,
        (cursor, pass): (Arc<Mutex<Cursor>>, u64),
        meter: Arc<Meter>,
        talks: Option<Talks>,
    ) -> Batches {
        let is_over = assembler.has_no_steps();
        if is_over {
            cursor::lock(&cursor).end(); // a pass of no steps ends its epoch too
        }
        let (sender, queue) = mpsc::channel(ahead);
        let budget = assembler.budget().clone();
        let task = tokio::spawn(fill(assembler, sender));
        Batches {
            queue,
            origins,
            budget,
            task,
            cursor,
            pass,
            meter,
            talks,
            steps: 0,
            is_over,
            waiting_since: None,
        }
    }

    /// The next batch, or `None` after the last. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Result<Batch, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next batch if it is ready: pending says that it is not, and counts as no waiting. While ranks agree on every
    /// step, none is ready before it is asked for with [`next`](Self::next).
    pub fn try_next(&mut self) -> Poll<Option<Result<Batch, Error>>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.talks.is_some() {
            return Poll::Pending;
        }
        match self.queue.try_recv() {
            Ok(made) => Poll::Ready(self.received(made)),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => Poll::Ready(self.received(Err(Error::stopped()))),
        }
    }

    fn received(&mut self, made: Result<Option<Assembled>, Error>) -> Option<Result<Batch, Error>> {
        if let (Err(_), Some(talks)) = (&made, &self.talks)
            && cursor::lock(&self.cursor).is_moved_by(self.pass)
        {
            talks.fail();
        }
        let delivered = made.and_then(|made| self.deliver(made)).transpose();
        if !matches!(delivered, Some(Ok(_))) {
            self.stop();
        }
        delivered
    }

    /// The trainer gets a batch, and the cursor moves past it; `None`: there is none, and the epoch is over.
    fn deliver(&mut self, made: Option<Assembled>) -> Result<Option<Batch>, Error> {
        let waiting_since = self.waiting_since.take();
        let waited = waiting_since.map(|since| since.elapsed());
        self.meter.waits(None);
        if !cursor::lock(&self.cursor).is_moved_by(self.pass) {
            return Err(Error::invalid(
                "this pass is over: a newer one has begun, or a state was loaded",
            ));
        }
        let Some(mut made) = made else {
            cursor::lock(&self.cursor).end();
            return Ok(None);
        };
        let followed = match std::mem::replace(&mut made.after, OVER) {
            After::Known { is_last, lanes } => Some(Followed { is_last, lanes }),
            After::Open(claim) => self.agree(&claim, &mut made)?,
        };
        let Some(Followed { is_last, lanes }) = followed else {
            cursor::lock(&self.cursor).end();
            return Ok(None);
        };
        self.move_past(made.flat.end, lanes, is_last);
        drop(made.charge);
        let bytes = made.tensors.byte_size() as u64;
        let (rows, waited) = (made.tensors.rows as u64, waited.unwrap_or_default());
        if self.meter.add_batch(rows, bytes, waited) {
            let client = made.making.blame(waited);
            self.meter.add_stall(StallByCause {
                client,
                ..StallByCause::default()
            });
        }
        self.meter.note_buffered(self.budget.seen().0);
        let step = self.steps;
        self.steps += 1;
        let origins = self.origins.clone();
        let batch = Batch::new(step, made.part, made.tensors, made.valid, origins);
        Ok(Some(batch))
    }

    /// Decides with the other ranks how many rows of each lane this step has; `None`: it has none.
    fn agree(&mut self, claim: &Claim, made: &mut Assembled) -> Result<Option<Followed>, Error> {
        let talks = self
            .talks
            .as_mut()
            .expect("ranks talk where steps are open");
        let decision = talks.decide(claim)?;
        if decision.rows == 0 {
            return Ok(None);
        }
        if claim.given.iter().any(|&given| given != decision.rows) {
            let tensors = made.tensors.clone();
            let (tensors, valid) = fit(tensors, &claim.given, decision.rows)?;
            made.tensors = tensors;
            made.valid = made.valid.take().map(|_| valid);
        }
        Ok(Some(Followed {
            is_last: decision.is_last,
            lanes: Some(decision.lanes.into()),
        }))
    }

    fn move_past(&mut self, flat_end: u64, lanes: Option<Arc<[LaneCursor]>>, is_last: bool) {
        let mut cursor = cursor::lock(&self.cursor);
        if is_last {
            cursor.end();
        } else {
            cursor.consume(Position {
                rows_consumed: flat_end,
                lanes,
            });
        }
        drop(cursor);
        if is_last {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.is_over = true;
        self.task.abort();
    }
}

/// Stands in for what was taken out.
const OVER: After = After::Known {
    is_last: true,
    lanes: None,
};

impl Stream for Batches {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        if self.waiting_since.is_none() {
            self.waiting_since = Some(Instant::now());
            self.meter.waits(self.waiting_since);
        }
        let batch = ready!(self.queue.poll_recv(context));
        let batch = batch.unwrap_or_else(|| Err(Error::stopped()));
        Poll::Ready(self.received(batch))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.meter.waits(None);
        self.task.abort();
    }
}

/// Makes batches until the pass ends, one fails, or nobody takes them.
async fn fill(mut assembler: Assembler, queue: mpsc::Sender<Result<Option<Assembled>, Error>>) {
    let mut warned = false;
    loop {
        let made = assembler.next().await;
        let next = match &made {
            Ok(Some(made)) if !matches!(made.after, After::Known { is_last: true, .. }) => {
                Some(made.charge.id())
            }
            _ => None,
        };
        warned = warned || warn_of_large_rows(assembler.budget());
        // Nobody may be left to hear it.
        if queue.send(made).await.is_err() {
            return;
        }
        let Some(id) = next else { return };
        assembler.budget().next_may_begin(id).await;
    }
}

/// Says so when rows turn out larger than the plan let expect, and more is held than was allowed.
fn warn_of_large_rows(budget: &Budget) -> bool {
    let (_, enough, least) = budget.seen();
    if !enough {
        tracing::warn!(
            least,
            "rows are larger than expected: max_memory_bytes does not hold, raise it, or lower lanes or batch_size"
        );
    }
    !enough
}
