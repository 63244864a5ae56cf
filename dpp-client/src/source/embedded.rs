//! On-box: the worker's engine in the trainer's process.

use std::sync::Arc;

use async_trait::async_trait;
use dpp_batch::Layout;
use dpp_proto::v1;
use dpp_worker::{
    Engine,
    engine::{KeyProvider, ReadEvent, TableOptions},
};
use tokio::sync::{Semaphore, mpsc};

use super::{
    Credits, Description, Event, Events, FRAMES_AHEAD, OpenJob, ReadCost, Source, selection,
};
use crate::Error;

/// The engine as a source.
#[derive(Clone, Debug)]
pub struct Embedded {
    engine: Arc<Engine>,
}

impl Embedded {
    /// An engine with `threads` compute threads (`None`: one a core) that reads encrypted tables with `keys`.
    ///
    /// # Errors
    /// When the threads can't be started.
    pub fn start(
        threads: Option<usize>,
        keys: Option<Arc<dyn KeyProvider>>,
    ) -> Result<Embedded, Error> {
        let options = keys.map(TableOptions::with_keys).unwrap_or_default();
        let engine = Engine::start(threads).map_err(|error| Error::from_source(&error))?;
        Ok(Embedded::of(engine.with_options(options)))
    }

    /// An engine that is set up already: one that knows more ops, say. For [`Loader::with_source`](crate::Loader::with_source).
    pub fn of(engine: Engine) -> Embedded {
        Embedded {
            engine: Arc::new(engine),
        }
    }
}

#[async_trait]
impl Source for Embedded {
    async fn describe(
        &self,
        table: &v1::TableSource,
        plan: v1::Plan,
    ) -> Result<Description, Error> {
        let described = self
            .engine
            .describe(table, Some(plan))
            .await
            .map_err(|error| Error::from_source(&error))?;
        let (plan, layout) = described.plan.expect("a plan was given");
        Ok(Description {
            schema: described.schema,
            snapshot_hash: described.snapshot.hash().to_owned(),
            files: described.snapshot.files().into(),
            plan,
            layout,
        })
    }

    async fn open(
        &self,
        job: v1::Job,
        run: v1::Run,
        layout: Arc<Layout>,
    ) -> Result<OpenJob, Error> {
        let job_hash = self
            .engine
            .open_job(&job)
            .await
            .map_err(|error| Error::from_source(&error))?;
        Ok(OpenJob {
            job,
            run,
            job_hash,
            layout,
        })
    }

    fn read(&self, _: &Arc<OpenJob>, request: v1::ReadRequest, credits: Credits) -> Events {
        let (events, receiver) = mpsc::channel(FRAMES_AHEAD);
        let expected = selection::count(&request.selection, request.to_row - request.from_row);
        let frames = Arc::new(Semaphore::new(0));
        let read = self.engine.read_on_credit(request, frames.clone());
        tokio::spawn(async move {
            let ended = match read {
                Ok(read) => forward(read, &frames, expected, &credits, &events).await,
                Err(error) => Err(error),
            };
            if let Err(error) = ended {
                _ = events.send(Err(Error::from_source(&error))).await; // nobody may be left to hear it
            }
        });
        receiver
    }

    fn reads_ahead(&self) -> usize {
        self.engine.slots()
    }
}

/// Passes on the events of a read, one frame a credit, until it ends or nobody wants the rest.
async fn forward(
    mut read: mpsc::Receiver<Result<ReadEvent, dpp_worker::Error>>,
    frames: &Semaphore,
    expected: u64,
    credits: &Credits,
    events: &mpsc::Sender<Result<Event, Error>>,
) -> Result<(), dpp_worker::Error> {
    let (mut received, mut charge) = (0, None);
    loop {
        if received < expected {
            tokio::select! {
                next = credits.next_frame(received) => charge = Some(next),
                () = events.closed() => return Ok(()),
            }
        }
        frames.add_permits(1);
        let event = match (read.recv().await.transpose()?, charge.take()) {
            (Some(ReadEvent::Frame(frame)), Some(charge)) => {
                received = frame.positions.end;
                charge.frame_is(frame.batch.byte_size());
                Event::Frame(frame, charge)
            }
            (Some(ReadEvent::Summary(summary)), _) => Event::Ended(ReadCost {
                summary,
                ..ReadCost::default()
            }),
            _ => return Ok(()),
        };
        if events.send(Ok(event)).await.is_err() {
            return Ok(());
        }
    }
}
