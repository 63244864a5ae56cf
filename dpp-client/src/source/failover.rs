//! One read that breaks on one worker goes on at another, from the first row that is missing.
//!
//! Who asks again, and how often: a worker that fails rests, longer each time, for every read; a worker that is silent
//! has failed; one that is far slower than the others is raced (see `answer.rs`).

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use dpp_proto::v1;
use tokio::{sync::mpsc, time::timeout};
use tonic::{Code, Status};

use super::{
    Charge, Credits, Event, Events, FRAMES_AHEAD, OpenJob, ReadCost, Repeats,
    answer::{Answer, Message, Wanted, race},
    patience::{Patience, is_worth_another, refused},
    route::block,
    selection,
    workers::{Chosen, WorkerSettings, Workers},
};
use crate::Error;

/// Starts a read; its events come through the channel. Must be called within a tokio runtime.
pub(super) fn start(
    workers: Arc<Workers>,
    settings: WorkerSettings,
    job: Arc<OpenJob>,
    request: v1::ReadRequest,
    credits: Credits,
) -> Events {
    let (events, receiver) = mpsc::channel(FRAMES_AHEAD);
    let read = Read {
        workers,
        settings,
        job,
        received: 0,
        expected: selection::count(&request.selection, request.to_row - request.from_row),
        told: HashSet::new(),
        request,
        credits,
        charge: None,
        waited: Duration::ZERO,
        repeats: Repeats::default(),
        events,
    };
    read.workers.pace().earn();
    tokio::spawn(read.run());
    receiver
}

/// One read, on one worker after another until all its rows have arrived.
struct Read {
    workers: Arc<Workers>,
    settings: WorkerSettings,
    job: Arc<OpenJob>,
    request: v1::ReadRequest,
    /// Rows that have arrived.
    received: u64,
    /// Rows asked for.
    expected: u64,
    /// Workers that were told of the job, since rows arrived last.
    told: HashSet<String>,
    credits: Credits,
    /// Of the frame that comes next, once it is admitted.
    charge: Option<Charge>,
    /// Time that messages were waited for.
    waited: Duration,
    repeats: Repeats,
    events: mpsc::Sender<Result<Event, Error>>,
}

/// How an attempt ended without its last row.
enum Broken {
    /// Ask another worker.
    Elsewhere(Status),
    /// This worker does not know the job.
    UnknownJob,
    /// No worker will do better.
    For(Error),
    /// Nobody wants the rest.
    Unwanted,
}

impl Read {
    async fn run(mut self) {
        let block = block(&self.request);
        let workers = self.workers.clone();
        let mut patience = Patience::new(&workers, self.settings.worker_timeout);
        loop {
            let chosen = match patience.choose(&block).await {
                Ok(chosen) => chosen,
                Err(error) => return self.fail(error).await,
            };
            let before = self.received;
            let mut answer = Answer::of(chosen, &self.job.layout, self.rest(), before);
            let ended = self.attempt(&mut answer).await;
            let chosen = answer.chosen;
            if self.events.is_closed() || self.received == self.expected {
                return; // nobody wants the rest, or only the summary is missing
            }
            if self.received > before {
                self.told.clear();
                patience.renew();
            }
            match ended {
                Ok(()) | Err(Broken::Unwanted) => return,
                Err(Broken::For(error)) => return self.fail(error).await,
                Err(Broken::UnknownJob) => self.tell(chosen, &mut patience).await,
                // It has its place in the queue of whoever is asked again, behind what it made way for.
                Err(Broken::Elsewhere(status)) if status.code() == Code::Aborted => {
                    tracing::debug!(worker = %chosen.address, rows = self.received, "made way for an earlier read");
                }
                Err(Broken::Elsewhere(status)) => {
                    tracing::info!(worker = %chosen.address, %status, rows = self.received, "going on elsewhere");
                    chosen.failed();
                    self.repeats.failovers += 1;
                    patience.note(&chosen.address, &status);
                }
            }
        }
    }

    /// What is missing of the read.
    fn rest(&self) -> v1::ReadRequest {
        rest_of(&self.request, self.received)
    }

    async fn fail(&self, error: Error) {
        // A receiver that is gone needs no error.
        _ = self.events.send(Err(error)).await;
    }

    /// Tells a worker of the job, so that the next attempt there finds it.
    async fn tell(&mut self, chosen: Chosen, patience: &mut Patience<'_>) {
        if !self.told.insert(chosen.address.clone()) {
            // Told already: it was restarted meanwhile, or it forgets. Either way not at once again.
            chosen.failed();
            let forgot = Status::failed_precondition("it forgot the job it was just told of");
            patience.note(&chosen.address, &forgot);
        }
        let request = v1::OpenJobRequest {
            job: Some(self.job.job.clone()),
            run: Some(self.job.run.clone()),
        };
        let mut client = chosen.client.clone();
        if let Err(status) = self.in_time(client.open_job(request)).await {
            chosen.failed();
            patience.note(&chosen.address, &status);
        }
    }

    /// Reads what is missing from one worker, or from a second one that turns out faster.
    async fn attempt(&mut self, answer: &mut Answer) -> Result<(), Broken> {
        self.advance(answer, Wanted::Opened).await?;
        loop {
            self.ask().await?;
            let Some(message) = self.advance(answer, Wanted::Message).await? else {
                return Err(Broken::Elsewhere(Status::unavailable(
                    "the read ended early",
                )));
            };
            let base = answer.base;
            let frame = match message {
                Message::Frame(frame) => frame,
                Message::Summary(summary) => return self.ended(summary).await,
            };
            let mut frame = frame.map_err(|error| is_no_frame(&answer.chosen, error))?;
            if frame.positions.start + base != self.received
                || frame.positions.end + base > self.expected
            {
                let rows = frame.positions;
                return Err(Broken::Elsewhere(Status::data_loss(format!(
                    "frame of rows {rows:?} came out of turn"
                ))));
            }
            frame.positions = self.received..frame.positions.end + base;
            self.received = frame.positions.end;
            let Some(charge) = self.charge.take() else {
                return Err(Broken::Elsewhere(Status::data_loss(
                    "more frames came than rows were asked for",
                )));
            };
            charge.frame_is(frame.batch.byte_size());
            self.events
                .send(Ok(Event::Frame(frame, charge)))
                .await
                .map_err(|_| Broken::Unwanted)?;
        }
    }

    async fn ended(&self, summary: v1::ReadSummary) -> Result<(), Broken> {
        if self.received < self.expected {
            return Err(Broken::Elsewhere(Status::unavailable(
                "the read ended early",
            )));
        }
        let ended = Event::Ended(self.cost(summary));
        let sent = self.events.send(Ok(ended)).await;
        sent.map_err(|_| Broken::Unwanted)
    }

    async fn advance(
        &mut self,
        answer: &mut Answer,
        wanted: Wanted,
    ) -> Result<Option<Message>, Broken> {
        let (asked, silence) = (Instant::now(), self.settings.silence_timeout);
        let rest = || (rest_of(&self.request, self.received), self.received);
        let race = race(
            &self.workers,
            &self.credits,
            answer,
            wanted,
            rest,
            &mut self.repeats,
        );
        let ended = tokio::select! {
            ended = timeout(silence, race) => ended.unwrap_or_else(|_| Err(silent(silence))),
            () = self.events.closed() => return Err(Broken::Unwanted),
        };
        self.waited += asked.elapsed();
        ended.map_err(|status| self.broken(status))
    }

    /// Waits until the next frame may be taken off the wire. What was admitted for an attempt that broke still is.
    async fn ask(&mut self) -> Result<(), Broken> {
        if self.charge.is_some() || self.received == self.expected {
            return Ok(());
        }
        tokio::select! {
            charge = self.credits.next_frame(self.received) => self.charge = Some(charge),
            () = self.events.closed() => return Err(Broken::Unwanted),
        }
        Ok(())
    }

    fn cost(&self, summary: v1::ReadSummary) -> ReadCost {
        let explained =
            summary.storage_seconds + summary.decode_seconds + summary.transform_seconds;
        ReadCost {
            summary,
            network_seconds: (self.waited.as_secs_f64() - explained).max(0.0),
            repeats: self.repeats,
        }
    }

    fn broken(&self, status: Status) -> Broken {
        match status.code() {
            // A file that has changed is refused with the same code, and does not name the job.
            Code::FailedPrecondition if status.message().contains(&self.job.job_hash) => {
                Broken::UnknownJob
            }
            _ if is_worth_another(&status) => Broken::Elsewhere(status),
            _ => Broken::For(refused(&status)),
        }
    }

    /// A worker that says nothing for too long has broken off; a receiver that is gone ends the read.
    async fn in_time<T>(
        &self,
        answer: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        tokio::select! {
            answer = timeout(self.settings.silence_timeout, answer) => {
                answer.unwrap_or_else(|_| Err(silent(self.settings.silence_timeout)))
            }
            () = self.events.closed() => Err(Status::cancelled("nobody wants the rest")),
        }
    }
}

fn is_no_frame(chosen: &Chosen, source: dpp_batch::Error) -> Broken {
    match source {
        // Bytes damaged on the way may arrive whole from elsewhere.
        dpp_batch::Error::Checksum { .. } | dpp_batch::Error::Truncated { .. } => {
            Broken::Elsewhere(Status::data_loss(source.to_string()))
        }
        source => Broken::For(Error::Frame {
            origin: chosen.address.clone(),
            source,
        }),
    }
}

/// What is missing of a read after its first `received` rows.
fn rest_of(request: &v1::ReadRequest, received: u64) -> v1::ReadRequest {
    let length = request.to_row - request.from_row;
    v1::ReadRequest {
        selection: match received {
            0 => request.selection.clone(),
            received => selection::without_first(&request.selection, length, received),
        },
        cuts: request.cuts.map(|cuts| cuts.after(received)),
        ..request.clone()
    }
}

fn silent(limit: Duration) -> Status {
    Status::deadline_exceeded(format!("silent for {limit:?}"))
}
