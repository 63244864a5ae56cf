//! What can go wrong between a request and its frames.

use dpp_proto::{Fault, Faulty, listen, process::LogError};

use crate::ByteSize;

/// Why a worker could not serve.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The table said no.
    #[error(transparent)]
    Table(#[from] dpp_table::Error),
    /// The plan said no.
    #[error(transparent)]
    Plan(#[from] dpp_ops::Error),
    /// Nobody opened this job here, or it was forgotten; open it again.
    #[error("job {job_hash} is not known to this worker: open it first")]
    UnknownJob {
        /// As asked for.
        job_hash: String,
    },
    /// The caller's token does not say that.
    #[error("the token of {name:?} does not allow {what}")]
    Denied {
        /// Whose token it is.
        name: String,
        /// The table or feature.
        what: String,
    },
    /// This worker reads elsewhere only.
    #[error("this worker's --allow does not cover {what}")]
    OutOfBounds {
        /// The table, artefact or storage option.
        what: String,
    },
    /// A request that can't be meant.
    #[error("bad request: {reason}")]
    Request {
        /// What is wrong with it.
        reason: String,
    },
    /// Its buffers are full, and their clients did not take them in time.
    #[error(
        "worker memory of {} is full: reads hold {} that their clients do not take, and this one needs {}; give the worker more \
         --memory, or the trainer fewer lanes",
        ByteSize(*limit), ByteSize(*held), ByteSize(*bytes)
    )]
    Full {
        /// Bytes held.
        held: u64,
        /// Bytes that may be held.
        limit: u64,
        /// Bytes that were asked for.
        bytes: u64,
    },
    /// An earlier read of the same client needs its memory.
    #[error("an earlier read of this client needs the memory of this one: ask for the rest again")]
    MadeWay,
    /// As many reads are under way as it holds.
    #[error(
        "the worker has {reads} reads under way or in waiting, and takes no more until some have ended"
    )]
    Busy {
        /// Most reads.
        reads: usize,
    },
    /// Work on the compute pool panicked: our mistake, and only this read's loss.
    #[error("a worker thread panicked: {message}")]
    Panicked {
        /// The panic's message.
        message: String,
    },
    /// The compute pool can't be started.
    #[error("can't start {threads} compute threads")]
    Threads {
        /// As wanted.
        threads: usize,
        /// From the pool.
        source: rayon::ThreadPoolBuildError,
    },
    /// The worker's own keys can't be used.
    #[error("--keys")]
    Keys {
        /// What is wrong with them.
        source: dpp_table::KeyError,
    },
    /// What to log can't be meant.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The service can't listen, or stopped.
    #[error(transparent)]
    Listen(#[from] listen::Error),
}

impl Error {
    pub(crate) fn request(reason: impl Into<String>) -> Error {
        Error::Request {
            reason: reason.into(),
        }
    }
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::Table(error) => error.fault(),
            Error::Plan(error) => error.fault(),
            Error::UnknownJob { .. } => Fault::Changed,
            Error::Denied { .. } | Error::OutOfBounds { .. } => Fault::Denied,
            Error::Request { .. } => Fault::Invalid,
            Error::Full { .. } | Error::Busy { .. } | Error::MadeWay => Fault::Unavailable,
            Error::Panicked { .. } | Error::Threads { .. } => Fault::Internal,
            Error::Keys { source } => source.fault(),
            Error::Log(error) => error.fault(),
            Error::Listen(error) => error.fault(),
        }
    }
}
