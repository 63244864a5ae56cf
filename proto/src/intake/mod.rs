//! How requests come in: what those of all callers take together is bounded, whoever they are and however they send.
//!
//! ```text
//! head ─▶ arriving ─────────────────▶ whole ─▶ weighed ─▶ taken ─────────────▶ the service
//!         in a few seconds; at most            not more    all together not
//!         so many, so many bytes               than most   more than most
//! ```
//!
//! A request is decoded only when what it will take in memory is known ([`weights`]) and there is room for it. One that is small
//! enough to be a read's needs none, so that reads go on while others fill the room.

mod arrivals;
mod weights;

use std::{
    convert::Infallible,
    mem,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt as _, Full};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit},
    time::timeout,
};
use tonic::{
    Status,
    body::Body,
    codegen::{BoxFuture, Service},
    server::NamedService,
};

use self::{
    arrivals::Arrivals,
    weights::{Kind, WEIGHTS},
};

/// What a service takes in.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes of a request, and of all that are arriving.
    pub most_bytes: usize,
    /// Bytes of memory that a request takes once decoded, and all of them until they are answered.
    pub most_memory: usize,
    /// What to do about a request that is larger.
    pub advice: &'static str,
}

/// A service that takes requests in within [`Limits`].
#[derive(Clone, Debug)]
pub struct Intake<S> {
    service: S,
    door: Arc<Door>,
}

#[derive(Debug)]
struct Door {
    limits: Limits,
    arrivals: Arc<Arrivals>,
    /// Bytes for those that arrive and are large.
    arriving: Semaphore,
    /// Kibibytes for those that have arrived.
    room: Arc<Semaphore>,
}

/// Room that a request has until it is answered. Small ones need none.
type Taken = Option<OwnedSemaphorePermit>;

impl<S> Intake<S> {
    /// Takes in what `service` then answers: calls of our contracts.
    pub fn new(service: S, limits: Limits) -> Intake<S> {
        let door = Arc::new(Door::new(limits, MOST_ARRIVING));
        Intake { service, door }
    }
}

impl<S: NamedService> NamedService for Intake<S> {
    const NAME: &'static str = S::NAME;
}

impl<S> Service<http::Request<Body>> for Intake<S>
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>
        + Clone
        + Send
        + 'static,
    S::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let Some(kind) = WEIGHTS.request(request.uri().path()) else {
            return Box::pin(self.service.call(request));
        };
        // the one that said it is ready
        let next = self.service.clone();
        let mut service = mem::replace(&mut self.service, next);
        let door = self.door.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            match door.take_in(kind, body).await {
                Ok((bytes, taken)) => {
                    let body = Body::new(Full::new(bytes));
                    let answer = service.call(http::Request::from_parts(head, body)).await;
                    drop(taken);
                    answer
                }
                Err(status) => {
                    tracing::warn!(call = head.uri.path(), reason = status.message(), "refused");
                    Ok(status.into_http())
                }
            }
        })
    }
}

impl Door {
    fn new(limits: Limits, most_arriving: usize) -> Door {
        Door {
            limits,
            arrivals: Arrivals::new(most_arriving),
            arriving: Semaphore::new(limits.most_bytes),
            room: Arc::new(Semaphore::new(limits.most_memory.div_ceil(KIB))),
        }
    }

    /// The whole request, with room for what will be made of it.
    async fn take_in(&self, kind: Kind, body: Body) -> Result<(Bytes, Taken), Status> {
        let (bytes, _arrived) = self.arrive(body).await?;
        let message = bytes.get(PREFIX_BYTES..).unwrap_or_default();
        let Limits {
            most_memory,
            advice,
            ..
        } = self.limits;
        let weight = WEIGHTS.weigh(kind, message, most_memory as u64);
        if weight > most_memory as u64 {
            return Err(Status::invalid_argument(format!(
                "a request of {} bytes would take more memory than this service gives one, {} MiB: {advice}",
                message.len(),
                most_memory >> 20,
            )));
        }
        // the message as it came is there once more while it is decoded
        let weight = weight + 2 * message.len() as u64;
        if weight <= SMALL as u64 {
            return Ok((bytes, None));
        }
        let kibibytes = weight.min(most_memory as u64).div_ceil(KIB as u64);
        let kibibytes = u32::try_from(kibibytes).unwrap_or(u32::MAX);
        let taken = self.room.clone().acquire_many_owned(kibibytes);
        match timeout(PATIENCE, taken).await {
            Ok(Ok(taken)) => Ok((bytes, Some(taken))),
            _ => Err(full()),
        }
    }

    /// The request's bytes, with their place among those that arrive.
    async fn arrive(&self, body: Body) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Status> {
        let arrival = self.arrivals.enter();
        tokio::select! {
            arrived = timeout(LONGEST_ARRIVAL, self.collect(body)) => arrived.unwrap_or_else(|_| Err(slow())),
            () = arrival.pushed_out() => Err(full()),
        }
    }

    /// One message with its prefix, or what there is of it: saying what is wrong with less is for who decodes it.
    async fn collect(
        &self,
        mut body: Body,
    ) -> Result<(Bytes, Option<SemaphorePermit<'_>>), Status> {
        let (mut bytes, mut whole, mut place) = (BytesMut::new(), None, None);
        while whole.is_none_or(|whole| bytes.len() < whole)
            && let Some(frame) = body.frame().await
        {
            let Ok(data) = frame?.into_data() else {
                continue;
            };
            bytes.extend_from_slice(&data);
            drop(data);
            if whole.is_none()
                && let Some(length) = announced(&bytes)
            {
                place = self.place(length).await?;
                bytes.reserve(length.saturating_sub(bytes.len()));
                whole = Some(PREFIX_BYTES + length);
            }
        }
        if let Some(whole) = whole {
            bytes.truncate(whole);
        }
        Ok((bytes.freeze(), place))
    }

    /// Room for a large message to arrive.
    async fn place(&self, length: usize) -> Result<Option<SemaphorePermit<'_>>, Status> {
        let Limits {
            most_bytes, advice, ..
        } = self.limits;
        if length > most_bytes {
            return Err(Status::out_of_range(format!(
                "a request of {length} bytes is larger than this service takes, {most_bytes}: {advice}"
            )));
        }
        if length <= SMALL {
            return Ok(None);
        }
        let length = u32::try_from(length).map_err(|_| full())?;
        let place = self.arriving.acquire_many(length).await;
        place.map(Some).map_err(|_| full())
    }
}

/// The length that a message's prefix says.
fn announced(bytes: &[u8]) -> Option<usize> {
    let prefix = bytes.first_chunk::<PREFIX_BYTES>()?;
    let [_, length @ ..] = *prefix;
    usize::try_from(u32::from_be_bytes(length)).ok()
}

fn full() -> Status {
    Status::unavailable("more requests are coming in than this service has room for: ask again")
}

fn slow() -> Status {
    Status::deadline_exceeded(format!(
        "the request did not arrive within {LONGEST_ARRIVAL:?}"
    ))
}

/// Of a message: whether it is compressed, and its length.
const PREFIX_BYTES: usize = 5;
const KIB: usize = 1 << 10;
/// Bytes of requests that need no room: each caller may have as many as it has streams. Those of reads have some hundred.
pub const SMALL: usize = 16 * KIB;
/// With what is small of each, 16 MiB.
const MOST_ARRIVING: usize = 1024;
/// A request is sent at once. Who is slower asks again, and others come in meanwhile.
const LONGEST_ARRIVAL: Duration = Duration::from_secs(10);
/// Below the half minute after which clients take silence for a failure.
const PATIENCE: Duration = Duration::from_secs(15);

#[cfg(test)]
mod tests;
