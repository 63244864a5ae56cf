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
    assemble::{Assembled, Assembler},
    batch::{Batch, Origins},
    cursor::{self, Cursor},
    memory::{Budget, Charge},
    stall::{Making, StallByCause},
    stats::Meter,
};

/// The batches of one pass: a stream of `Result<Batch, Error>`.
#[derive(Debug)]
pub struct Batches {
    queue: mpsc::Receiver<Result<Made, Error>>,
    budget: Budget,
    task: JoinHandle<()>,
    cursor: Arc<Mutex<Cursor>>,
    pass: u64,
    meter: Arc<Meter>,
    /// Steps not yet delivered; 0 once the pass is over, however it ended.
    steps_left: u64,
    waiting_since: Option<Instant>,
}

/// A batch that waits for the trainer.
#[derive(Debug)]
struct Made {
    batch: Batch,
    /// Its bytes, until the trainer has it.
    charge: Charge,
    making: Making,
}

impl Batches {
    /// Starts making batches, `ahead` of them before the first is taken.
    pub(crate) fn start(
        assembler: Assembler,
        origins: Arc<Origins>,
        ahead: usize,
        (cursor, pass): (Arc<Mutex<Cursor>>, u64),
        meter: Arc<Meter>,
    ) -> Batches {
        let steps_left = assembler.schedule.own_steps();
        if steps_left == 0 {
            cursor::lock(&cursor).consume(pass, 0, true); // a pass of no steps ends its epoch too
        }
        let (sender, queue) = mpsc::channel(ahead);
        let budget = assembler.budget.clone();
        let task = tokio::spawn(fill(assembler, origins, sender));
        Batches {
            queue,
            budget,
            task,
            cursor,
            pass,
            meter,
            steps_left,
            waiting_since: None,
        }
    }

    /// The next batch, or `None` after the last. Cancelling it loses nothing.
    pub async fn next(&mut self) -> Option<Result<Batch, Error>> {
        std::future::poll_fn(|context| Pin::new(&mut *self).poll_next(context)).await
    }

    /// The next batch if it is ready: pending says that it is not, and counts as no waiting.
    pub fn try_next(&mut self) -> Poll<Option<Result<Batch, Error>>> {
        if self.steps_left == 0 {
            return Poll::Ready(None);
        }
        match self.queue.try_recv() {
            Ok(made) => Poll::Ready(Some(self.received(made))),
            Err(TryRecvError::Empty) => Poll::Pending,
            Err(TryRecvError::Disconnected) => {
                Poll::Ready(Some(self.received(Err(Error::stopped()))))
            }
        }
    }

    fn received(&mut self, made: Result<Made, Error>) -> Result<Batch, Error> {
        let delivered = made.and_then(|made| self.deliver(made));
        if delivered.is_err() {
            self.steps_left = 0;
        }
        delivered
    }

    /// The trainer gets a batch, and the cursor moves past it.
    fn deliver(&mut self, made: Made) -> Result<Batch, Error> {
        let Made {
            batch,
            charge,
            making,
        } = made;
        drop(charge);
        let waited = self
            .waiting_since
            .take()
            .map(|since| since.elapsed())
            .unwrap_or_default();
        self.meter.waits(None);
        let last = self.steps_left == 1;
        if !cursor::lock(&self.cursor).consume(self.pass, batch.consumed_to(), last) {
            return Err(Error::invalid(
                "this pass is over: a newer one has begun, or a state was loaded",
            ));
        }
        self.steps_left -= 1;
        let bytes = batch.tensors.byte_size() as u64;
        let stalled = self
            .meter
            .add_batch(batch.tensors.rows as u64, bytes, waited);
        if stalled {
            let client = making.blame(waited);
            self.meter.add_stall(StallByCause {
                client,
                ..StallByCause::default()
            });
        }
        self.meter.note_buffered(self.budget.seen().0);
        Ok(batch)
    }
}

impl Stream for Batches {
    type Item = Result<Batch, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.steps_left == 0 {
            return Poll::Ready(None);
        }
        if self.waiting_since.is_none() {
            self.waiting_since = Some(Instant::now());
            self.meter.waits(self.waiting_since);
        }
        let batch = ready!(self.queue.poll_recv(context));
        let batch = batch.unwrap_or_else(|| Err(Error::stopped()));
        Poll::Ready(Some(self.received(batch)))
    }
}

impl Drop for Batches {
    fn drop(&mut self) {
        self.meter.waits(None);
        self.task.abort();
    }
}

/// Makes batches until the pass ends, one fails, or nobody takes them.
async fn fill(
    mut assembler: Assembler,
    origins: Arc<Origins>,
    queue: mpsc::Sender<Result<Made, Error>>,
) {
    let mut warned = false;
    for number in 0.. {
        let Assembled {
            step,
            tensors,
            charge,
            making,
        } = match assembler.next().await {
            Ok(Some(assembled)) => assembled,
            Ok(None) => return,
            Err(error) => {
                _ = queue.send(Err(error)).await; // nobody may be left to hear it
                return;
            }
        };
        warned = warned || warn_of_large_rows(&assembler.budget);
        let id = charge.id();
        let batch = Batch::new(number, step, tensors, origins.clone());
        let made = Made {
            batch,
            charge,
            making,
        };
        if queue.send(Ok(made)).await.is_err() {
            return;
        }
        assembler.budget.next_may_begin(id).await;
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
