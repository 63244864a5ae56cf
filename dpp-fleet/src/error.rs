//! What can go wrong in the fleet service, and what the caller can do about it.

use dpp_proto::{Fault, Faulty, listen, process::LogError};
use thiserror::Error;

/// Why the fleet refused a request or could not serve.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A heartbeat that names no reachable worker.
    #[error("heartbeat of worker {worker_id:?} at {address:?}: {reason}")]
    Heartbeat {
        /// As the worker calls itself, cut to a bounded length.
        worker_id: String,
        /// As the worker says it is reached, cut to a bounded length.
        address: String,
        /// What is wrong with the heartbeat.
        reason: &'static str,
    },
    /// As many workers are known as the fleet may hold.
    #[error("the fleet already knows {limit} workers; try again when some have left")]
    Full {
        /// Most workers held.
        limit: usize,
    },
    /// A rank's report that can't be meant.
    #[error("report of run {run:?}: {reason}")]
    Report {
        /// As the rank calls its run, cut to a bounded length.
        run: String,
        /// What is wrong with the report.
        reason: &'static str,
    },
    /// A fleet that was asked from outside.
    #[error("fleet {fleet}: {message}")]
    Asked {
        /// Its address.
        fleet: String,
        /// What the caller can do.
        fault: Fault,
        /// As it said.
        message: String,
    },
    /// What to log can't be meant.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The service can't listen, or stopped.
    #[error(transparent)]
    Listen(#[from] listen::Error),
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::Heartbeat { .. } | Error::Report { .. } => Fault::Invalid,
            Error::Asked { fault, .. } => *fault,
            Error::Full { .. } => Fault::Unavailable,
            Error::Log(error) => error.fault(),
            Error::Listen(error) => error.fault(),
        }
    }
}
