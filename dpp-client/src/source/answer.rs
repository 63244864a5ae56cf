//! One worker's answer to a read, and the race with a second worker when the first is far slower than the others.
//!
//! Only a read that the batch being made waits for is worth doing twice. A worker that lost a race is under suspicion:
//! its other reads race too, and nobody asks it until it has answered something short.

use std::{sync::Arc, time::Instant};

use dpp_batch::{Arriving, Frame, Layout};
use dpp_proto::{
    shared::View,
    stream::{self, Part, Parts},
    v1,
};
use tonic::Status;

use super::{
    Credits,
    route::block,
    workers::{Chosen, Suspicion, Workers},
};

/// What one worker sends of a read.
pub(super) struct Answer {
    pub(super) chosen: Chosen,
    /// Rows of the read that came before its first.
    pub(super) base: u64,
    request: v1::ReadRequest,
    layout: Arc<Layout>,
    /// Memory that the worker shares, from the call on.
    view: Option<Arc<View>>,
    parts: Option<Parts>,
    /// The frame under way.
    arriving: Option<Arriving>,
    /// Whether it has sent something.
    has_begun: bool,
}

/// What a worker sends.
pub(super) enum Message {
    /// Rows, or what is wrong with the bytes that should be them.
    Frame(Result<Frame, dpp_batch::Error>),
    /// What the read cost: the last.
    Summary(v1::ReadSummary),
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// That the worker has begun.
    Opened,
    /// Its next message, of which there is none with [`Wanted::Opened`].
    Message,
}

/// How often a read was asked for again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Repeats {
    /// At another worker, after one had broken off.
    pub failovers: u64,
    /// At a second worker, while the first was far slower than the others.
    pub hedges: u64,
    /// Hedges that were faster.
    pub hedges_won: u64,
}

impl Answer {
    /// Nothing is sent yet.
    pub(super) fn of(
        chosen: Chosen,
        layout: &Arc<Layout>,
        request: v1::ReadRequest,
        base: u64,
    ) -> Answer {
        Answer {
            chosen,
            base,
            request,
            layout: layout.clone(),
            view: None,
            parts: None,
            arriving: None,
            has_begun: false,
        }
    }

    async fn advance(&mut self, wanted: Wanted) -> Result<Option<Message>, Status> {
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => {
                let mut channel = self.chosen.channel.clone();
                self.view = self.chosen.nearby.view().await;
                let token = self.view.as_ref().map_or(&[][..], |view| view.token());
                self.request.shared_memory = token.into();
                let opened = stream::read(&mut channel, &self.request).await?;
                self.chosen.answered();
                none.insert(opened)
            }
        };
        if wanted == Wanted::Opened {
            return Ok(None);
        }
        loop {
            let part = parts.next().await?;
            self.has_begun = true;
            match part {
                Some(Part::Begin(length)) => {
                    self.arriving = Some(Arriving::new(&self.layout, length));
                }
                Some(Part::Bytes(bytes)) => {
                    let arriving = self.arriving.as_mut().expect("a frame has begun");
                    if let Err(error) = arriving.push(&bytes) {
                        return Ok(Some(Message::Frame(Err(error))));
                    }
                }
                Some(Part::Placed(placed)) => {
                    let view = self.view.as_ref().ok_or_else(not_shared)?;
                    let length = usize::try_from(placed.length).unwrap_or(usize::MAX);
                    let frame = view.take(placed, |source| {
                        let append = |into: &mut _, count| source.append_to(into, count);
                        Frame::read(append, length, &self.layout)
                    })?;
                    return Ok(Some(Message::Frame(frame)));
                }
                Some(Part::Summary(summary)) => return Ok(Some(Message::Summary(summary))),
                None => return Ok(None),
            }
            if let Some(whole) = self.arriving.take_if(|arriving| arriving.missing() == 0) {
                return Ok(Some(Message::Frame(whole.finish())));
            }
        }
    }
}

fn not_shared() -> Status {
    Status::unavailable("a frame was placed in memory that is not shared")
}

/// What `answer` sends next, or, when it is far slower than others, what another worker sends of `rest`: then `answer`
/// is that worker's. Cancelling it before it opened asks again.
pub(super) async fn race(
    workers: &Workers,
    credits: &Credits,
    answer: &mut Answer,
    wanted: Wanted,
    rest: impl FnOnce() -> (v1::ReadRequest, u64),
    repeats: &mut Repeats,
) -> Result<Option<Message>, Status> {
    let (asked, is_first) = (Instant::now(), !answer.has_begun);
    let (address, suspicion) = (answer.chosen.address.clone(), answer.chosen.suspicion());
    let layout = answer.layout.clone();
    let (message, second) = {
        let first = answer.advance(wanted);
        let due = due(workers, credits, suspicion, is_first);
        tokio::select! {
            biased;
            message = first => {
                if wanted == Wanted::Message {
                    workers.pace().note(is_first, asked.elapsed());
                }
                return message;
            }
            won = async { beside(workers, &address, &layout, due.await, rest(), wanted, repeats).await } => won,
        }
    };
    repeats.hedges_won += 1;
    let slow = std::mem::replace(answer, second);
    tracing::warn!(
        worker = %slow.chosen.address, waited_seconds = asked.elapsed().as_secs_f64(), other = %answer.chosen.address,
        "a worker is far slower than the others: going on elsewhere until it answers"
    );
    slow.chosen.is_too_slow();
    Ok(message)
}

/// Why a second worker is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Due {
    /// The first is slow with other reads too.
    Suspect,
    /// The batch being made has waited for this read for longer than reads take.
    TooLong,
}

async fn due(
    workers: &Workers,
    credits: &Credits,
    mut suspicion: Suspicion,
    is_first: bool,
) -> Due {
    tokio::select! {
        () = suspicion.raised() => Due::Suspect,
        () = waited_too_long(workers, credits, is_first) => Due::TooLong,
    }
}

/// What another worker than the one at `address` sends of `rest`, as soon as there is one that may be asked and answers.
async fn beside(
    workers: &Workers,
    address: &str,
    layout: &Arc<Layout>,
    due: Due,
    (request, base): (v1::ReadRequest, u64),
    wanted: Wanted,
    repeats: &mut Repeats,
) -> (Option<Message>, Answer) {
    let block = block(&request);
    loop {
        let other = workers.choose_beside(address, &block);
        let Some(other) = other.filter(|_| due == Due::Suspect || workers.pace().spend()) else {
            workers.changed().await;
            workers.pace().earn();
            continue;
        };
        repeats.hedges += 1;
        let mut second = Answer::of(other, layout, request.clone(), base);
        match second.advance(wanted).await {
            Ok(Some(Message::Frame(Err(_)))) | Err(_) => second.chosen.failed(),
            Ok(message) => return (message, second),
        }
    }
}

/// Completes when the batch being made has waited for this read for longer than reads take.
async fn waited_too_long(workers: &Workers, credits: &Credits, is_first: bool) {
    credits.needed().await;
    let limit = workers.pace().too_long(is_first);
    tokio::time::sleep(limit).await;
}
