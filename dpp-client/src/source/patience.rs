//! How long to look for a worker that answers, and which answers are worth asking elsewhere.

use std::{
    error::Error as _,
    time::{Duration, Instant},
};

use dpp_proto::Fault;
use tonic::{Code, Status};

use super::workers::{Chosen, Workers};
use crate::Error;

/// Chooses workers until too much time has passed without an answer.
pub(super) struct Patience<'a> {
    workers: &'a Workers,
    limit: Duration,
    /// When trouble began: the first failure, or the first time that nobody could be asked.
    since: Option<Instant>,
    warned: bool,
    /// What the last attempt said, if there was one.
    last: Option<String>,
}

impl<'a> Patience<'a> {
    pub(super) fn new(workers: &'a Workers, limit: Duration) -> Patience<'a> {
        Patience {
            workers,
            limit,
            since: None,
            warned: false,
            last: None,
        }
    }

    /// The clock runs from now on, whether or not something fails.
    pub(super) fn beginning_now(mut self) -> Patience<'a> {
        self.since = Some(Instant::now());
        self
    }

    pub(super) async fn choose(&mut self, key: &str) -> Result<Chosen, Error> {
        loop {
            if self.waited() >= self.limit {
                return Err(Error::NoWorker {
                    waited_seconds: self.limit.as_secs(),
                    tried: self.workers.service().to_owned(),
                    last: self.last(),
                });
            }
            if let Some(chosen) = self.workers.choose(key) {
                return Ok(chosen);
            }
            if let Some(status) = self.workers.refusal() {
                return Err(refused(&status));
            }
            self.since.get_or_insert_with(Instant::now);
            if !self.warned && self.waited() > WARN_AFTER {
                self.warned = true;
                tracing::warn!(service = %self.workers.service(), last = %self.last(), "waiting for a worker");
            }
            self.workers.changed().await;
        }
    }

    pub(super) fn note(&mut self, address: &str, status: &Status) {
        self.since.get_or_insert_with(Instant::now);
        self.last = Some(format!("{address}: {}", said(status)));
    }

    /// Something arrived: patience starts anew.
    pub(super) fn renew(&mut self) {
        self.since = None;
        self.warned = false;
    }

    fn last(&self) -> String {
        self.last.clone().unwrap_or_else(|| self.workers.trouble())
    }

    fn waited(&self) -> Duration {
        self.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

/// Whether another worker, or this one later, may do better. Data that is corrupt is corrupt everywhere.
pub(super) fn is_worth_another(status: &Status) -> bool {
    matches!(
        Fault::from(status.code()),
        Fault::Unavailable | Fault::Internal
    ) || status.code() == Code::Unknown
}

pub(super) fn refused(status: &Status) -> Error {
    Error::Source {
        fault: status.code().into(),
        message: status.message().to_owned(),
    }
}

/// What a status says, with the innermost cause: "transport error" alone helps nobody.
pub(super) fn said(status: &Status) -> String {
    let mut cause = status.source();
    while let Some(inner) = cause.and_then(|cause| cause.source()) {
        cause = Some(inner);
    }
    match cause.map(ToString::to_string) {
        Some(cause) if !status.message().contains(&cause) => {
            format!("{}: {cause}", status.message())
        }
        _ => status.message().to_owned(),
    }
}

const WARN_AFTER: Duration = Duration::from_secs(2);
