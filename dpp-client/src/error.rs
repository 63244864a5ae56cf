//! What can go wrong in the trainer's process.

#[cfg(feature = "embedded")]
use dpp_proto::fault::message_with_causes;
use dpp_proto::{Fault, Faulty};

/// An error of the client.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A setting or argument that can't be meant.
    #[error("{message}")]
    Invalid {
        /// Names the setting and says what to do.
        message: String,
    },
    /// A saved state that belongs to another order of rows.
    #[error("this state is of another run: {differs}")]
    State {
        /// What differs, and how.
        differs: String,
    },
    /// No worker answered within `worker_timeout`.
    #[error("no worker could be reached within {waited_seconds} s (tried {tried}); last: {last}")]
    NoWorker {
        /// How long the client waited.
        waited_seconds: u64,
        /// Addresses, or where they were looked for.
        tried: String,
        /// What the last attempt said.
        last: String,
    },
    /// A source said no.
    #[error("{message}")]
    Source {
        /// What the caller can do.
        fault: Fault,
        /// The source's message, naming file, feature or op.
        message: String,
    },
    /// Frames that are not what was asked for.
    #[error("bad frame from {origin}")]
    Frame {
        /// The worker's address, or `on-box`.
        origin: String,
        /// What is wrong with it.
        source: dpp_batch::Error,
    },
}

impl Error {
    /// An [`Error::Invalid`] saying `message`.
    pub(crate) fn invalid(message: impl Into<String>) -> Error {
        Error::Invalid {
            message: message.into(),
        }
    }

    /// Work that ended without saying why: its task panicked or its runtime was shut down.
    pub(crate) fn stopped() -> Error {
        Error::Source {
            fault: Fault::Internal,
            message:
                "batches stopped before the last: the runtime was shut down, or a task panicked"
                    .into(),
        }
    }

    /// What a source's error says, its causes included.
    #[cfg(feature = "embedded")]
    pub(crate) fn from_source(error: &dyn Faulty) -> Error {
        Error::Source {
            fault: error.fault(),
            message: message_with_causes(error),
        }
    }
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::Invalid { .. } | Error::State { .. } => Fault::Invalid,
            Error::NoWorker { .. } => Fault::Unavailable,
            Error::Source { fault, .. } => *fault,
            Error::Frame { .. } => Fault::Corrupt,
        }
    }
}
