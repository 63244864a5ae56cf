//! The workers a client knows: from a list, or from the fleet or a name's addresses, which are asked for again and again.
//!
//! A worker that failed is left alone for a moment, longer each time; one that was far slower than the others until it
//! has answered something short. Connections are made when first used.

mod dns;
mod fleet;

use std::{
    collections::HashMap,
    fmt::{self, Debug},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak},
    time::{Duration, Instant},
};

use dpp_proto::{
    access::{Caller, Channel},
    listen::Address,
    stream,
    v1::{StatsRequest, worker_client::WorkerClient},
};
use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};
use tonic::{Status, transport::Endpoint};

use super::{
    Reports,
    nearby::Nearby,
    pace::Pace,
    route::{Candidate, route},
};
use crate::Error;

/// How a client deals with its workers.
#[derive(Clone, Copy, Debug)]
pub struct WorkerSettings {
    /// How long reads wait for a worker that answers before they fail.
    pub worker_timeout: Duration,
    /// How long a worker may be silent in the middle of a read before another is asked.
    pub silence_timeout: Duration,
}

impl Default for WorkerSettings {
    /// A minute to replace a lost fleet; half a minute of silence is longer than any frame takes.
    fn default() -> WorkerSettings {
        WorkerSettings {
            worker_timeout: Duration::from_secs(60),
            silence_timeout: Duration::from_secs(30),
        }
    }
}

/// The workers that may be asked.
#[derive(Debug)]
pub(crate) struct Workers {
    service: String,
    known: Arc<Known>,
    refresh: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Known {
    caller: Caller,
    workers: Mutex<HashMap<String, Worker>>,
    pace: Mutex<Pace>,
    /// What the last answer of fleet or name service lacked, if anything.
    trouble: Mutex<Option<String>>,
    /// How the fleet refused us, until it answers: asking again will not help.
    refusal: Mutex<Option<Status>>,
    /// Somebody new is there, or somebody may be asked again.
    changed: Notify,
    /// A worker has failed: the fleet may know better ones.
    lost: Notify,
    /// How the trainer fares, once its loader is open.
    reports: OnceLock<Reports>,
}

#[derive(Debug)]
struct Worker {
    channel: Channel,
    client: WorkerClient<Channel>,
    nearby: Arc<Nearby>,
    load: usize,
    failures: u32,
    rest_until: Option<Instant>,
    /// Whether it was far slower than the others, and has not answered since.
    is_suspect: watch::Sender<bool>,
}

/// Tells when a worker comes under suspicion.
pub(super) struct Suspicion(watch::Receiver<bool>);

/// A worker chosen for one attempt. Dropping it ends the attempt.
#[derive(Debug)]
pub(crate) struct Chosen {
    pub(crate) address: String,
    pub(crate) client: WorkerClient<Channel>,
    /// For what the client does not call: reads.
    pub(crate) channel: Channel,
    /// Memory that it shares, if it is on this machine.
    pub(super) nearby: Arc<Nearby>,
    is_suspect: watch::Sender<bool>,
    known: Arc<Known>,
}

impl Workers {
    /// Parses a service: `host:port,host:port`, `unix:/path`, `dns://name:port` or `fleet://host:port`. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the part that is no address.
    pub(crate) fn parse(service: &str, caller: Caller) -> Result<Workers, Error> {
        let caller = match service.strip_prefix("dns://") {
            Some(name) => caller.expecting(name.rsplit_once(':').map_or(name, |(host, _)| host)),
            None => caller,
        };
        let known = Arc::new(Known {
            caller,
            ..Known::default()
        });
        let refresh = match service.split_once("://") {
            Some(("fleet", fleet)) => {
                let fleet =
                    known.connect(fleet, |endpoint| endpoint.connect_timeout(CONNECT_TIMEOUT))?;
                Some(tokio::spawn(fleet::follow(fleet, known.clone())))
            }
            Some(("dns", name)) => {
                let name = dns::Name::parse(name)?;
                Some(tokio::spawn(dns::follow(name, known.clone())))
            }
            _ => {
                for address in service.split(',').map(str::trim) {
                    let worker = Worker::at(address, known.connect(address, tuned)?);
                    known.lock().insert(address.to_owned(), worker);
                }
                None
            }
        };
        Ok(Workers {
            service: service.to_owned(),
            known,
            refresh,
        })
    }

    /// Tells the fleet, if there is one, how the trainer fares. The first loader of several on one source speaks.
    pub(crate) fn report(&self, reports: Reports) {
        // A second one is dropped.
        _ = self.known.reports.set(reports);
    }

    /// What the user gave.
    pub(crate) fn service(&self) -> &str {
        &self.service
    }

    /// How many are known.
    pub(crate) fn count(&self) -> usize {
        self.known.lock().len()
    }

    /// The worker to ask for `file`; `None` when nobody may be asked right now.
    pub(crate) fn choose(&self, file: &str) -> Option<Chosen> {
        self.choose_beside("", file)
    }

    /// As [`Workers::choose`], and not the worker at `address`.
    pub(super) fn choose_beside(&self, address: &str, file: &str) -> Option<Chosen> {
        let mut workers = self.known.lock();
        let now = Instant::now();
        let rested: Vec<_> = workers
            .iter()
            .filter(|(other, worker)| *other != address && worker.may_be_asked(now))
            .map(|(address, worker)| Candidate {
                address,
                load: worker.load,
            })
            .collect();
        let address = rested[route(file, &rested)?].address.to_owned();
        let worker = workers.get_mut(&address).expect("it is a candidate");
        worker.load += 1;
        Some(Chosen {
            client: worker.client.clone(),
            channel: worker.channel.clone(),
            nearby: worker.nearby.clone(),
            is_suspect: worker.is_suspect.clone(),
            address,
            known: self.known.clone(),
        })
    }

    /// What reads have waited.
    pub(super) fn pace(&self) -> MutexGuard<'_, Pace> {
        self.known
            .pace
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Why nobody may be known: what the fleet last said, if there is one.
    pub(crate) fn trouble(&self) -> String {
        let trouble = self.known.trouble.lock();
        let trouble = trouble.unwrap_or_else(PoisonError::into_inner).clone();
        trouble.unwrap_or_else(|| "no worker is known yet".to_owned())
    }

    /// How the fleet refused us, if it did and no worker is known from before.
    pub(super) fn refusal(&self) -> Option<Status> {
        let is_alone = self.known.lock().is_empty();
        let refusal = self.known.refusal.lock();
        refusal
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .filter(|_| is_alone)
    }

    /// Completes when a worker has become known or has rested, or after a short while.
    pub(crate) async fn changed(&self) {
        _ = tokio::time::timeout(LOOK_AGAIN, self.known.changed.notified()).await;
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        if let Some(refresh) = &self.refresh {
            refresh.abort();
        }
    }
}

impl Debug for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Known")
            .field("workers", &self.workers)
            .field("trouble", &self.trouble)
            .finish_non_exhaustive()
    }
}

impl Known {
    /// Workers stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Worker>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the fleet may go unasked: who has no worker yet, or no fleet, looks again before long, and who has lost all of them soon.
    fn longest_wait(&self) -> Duration {
        let (workers, now) = (self.lock(), Instant::now());
        match workers.is_empty() {
            true => REFRESH,
            false if workers.values().any(|worker| worker.may_be_asked(now)) => LONGEST_REFRESH,
            false => SOON,
        }
    }

    /// Waits, and less when a worker is lost: who has lost one looks soon whether there is another.
    async fn wait_or_lose(&self, longest: Duration) {
        let lost = async {
            self.lost.notified().await;
            tokio::time::sleep(SOON).await;
        };
        _ = tokio::time::timeout(longest, lost).await;
    }

    fn connect(&self, address: &str, tune: fn(Endpoint) -> Endpoint) -> Result<Channel, Error> {
        let parsed = address.parse::<Address>();
        let connected = parsed.and_then(|address| self.caller.connect(&address, tune));
        connected.map_err(|error| {
            Error::invalid(format!(
                "service: {error}; or fleet://host:port, dns://name:port, or several addresses with commas"
            ))
        })
    }

    fn set_refusal(&self, refusal: Option<Status>) {
        let is_news = refusal.is_some();
        *self.refusal.lock().unwrap_or_else(PoisonError::into_inner) = refusal;
        if is_news {
            self.changed.notify_waiters();
        }
    }

    fn set_trouble(&self, trouble: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

impl Worker {
    fn at(address: &str, channel: Channel) -> Worker {
        let client = WorkerClient::new(channel.clone())
            .max_decoding_message_size(usize::MAX)
            .max_encoding_message_size(usize::MAX);
        Worker {
            channel,
            client,
            nearby: Arc::new(Nearby::at(address)),
            load: 0,
            failures: 0,
            rest_until: None,
            is_suspect: watch::Sender::new(false),
        }
    }

    fn may_be_asked(&self, now: Instant) -> bool {
        !*self.is_suspect.borrow() && self.rest_until.is_none_or(|until| until <= now)
    }
}

impl Suspicion {
    /// Completes once the worker is under suspicion.
    pub(super) async fn raised(&mut self) {
        if self.0.wait_for(|is_suspect| *is_suspect).await.is_err() {
            std::future::pending::<()>().await; // the worker is forgotten: nobody will say so any more
        }
    }
}

impl Chosen {
    /// The worker answered: its failures are forgiven.
    pub(crate) fn answered(&self) {
        if let Some(worker) = self.known.lock().get_mut(&self.address) {
            (worker.failures, worker.rest_until) = (0, None);
        }
    }

    /// The worker failed: it is left alone for a moment, longer each time.
    pub(crate) fn failed(&self) {
        if let Some(worker) = self.known.lock().get_mut(&self.address) {
            worker.failures += 1;
            let rest = FIRST_REST * 2u32.saturating_pow(worker.failures.min(6) - 1);
            worker.rest_until = Some(Instant::now() + rest);
        }
        self.known.lost.notify_one();
    }

    /// Tells when the worker comes under suspicion.
    pub(super) fn suspicion(&self) -> Suspicion {
        Suspicion(self.is_suspect.subscribe())
    }

    /// The worker was far slower than another: nobody asks it until it has answered something short.
    pub(super) fn is_too_slow(&self) {
        if !self.is_suspect.send_replace(true) {
            let (client, known) = (self.client.clone(), Arc::downgrade(&self.known));
            tokio::spawn(ask_until_it_answers(client, self.is_suspect.clone(), known));
        }
    }
}

impl Drop for Chosen {
    fn drop(&mut self) {
        if let Some(worker) = self.known.lock().get_mut(&self.address) {
            worker.load = worker.load.saturating_sub(1);
        }
    }
}

/// A connection to a worker.
fn tuned(endpoint: Endpoint) -> Endpoint {
    stream::tuned(endpoint)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
}

/// Lifts the suspicion from a worker when it answers, as long as somebody knows workers.
async fn ask_until_it_answers(
    mut client: WorkerClient<Channel>,
    is_suspect: watch::Sender<bool>,
    known: Weak<Known>,
) {
    loop {
        tokio::time::sleep(SUSPECT_REST).await;
        let Some(known) = known.upgrade() else { return };
        let mut request = tonic::Request::new(StatsRequest {});
        request.set_timeout(CONNECT_TIMEOUT);
        let answer = tokio::time::timeout(CONNECT_TIMEOUT, client.stats(request)).await;
        if matches!(answer, Ok(Ok(_))) {
            is_suspect.send_replace(false);
            known.changed.notify_waiters();
            return;
        }
    }
}

fn replace(known: &Known, addresses: Vec<String>) {
    let mut workers = known.lock();
    workers.retain(|address, worker| addresses.contains(address) || worker.load > 0);
    for address in addresses {
        if !workers.contains_key(&address)
            && let Ok(channel) = known.connect(&address, tuned)
        {
            let worker = Worker::at(&address, channel);
            workers.insert(address, worker);
        }
    }
    drop(workers);
    known.changed.notify_waiters();
}

const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const KEEPALIVE: Duration = Duration::from_secs(10);
const REFRESH: Duration = Duration::from_secs(1);
/// A local worker that died is replaced within this time.
const SOON: Duration = Duration::from_millis(250);
const LONGEST_REFRESH: Duration = Duration::from_secs(10);
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How long a worker under suspicion is left alone before it is asked whether it is well.
const SUSPECT_REST: Duration = Duration::from_secs(1);
const FIRST_REST: Duration = Duration::from_millis(100);
