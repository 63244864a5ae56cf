//! What can go wrong in a command, and what the caller can do about it.

use std::{io, path::PathBuf};

use dpp_proto::{Fault, Faulty};
use thiserror::Error;

/// Why a command failed.
#[derive(Debug, Error)]
pub(crate) enum Error {
    /// A destination that can't be written to.
    #[error("can't write a table to {destination}: {reason}")]
    Destination {
        destination: String,
        reason: &'static str,
    },
    /// A destination that holds something already.
    #[error("{} is not empty: choose another destination, or replace the table with --overwrite", destination.display())]
    Occupied { destination: PathBuf },
    /// A destination to be replaced that holds something a synthetic table does not.
    #[error("{} holds {found:?}, which is no part of a synthetic table: remove it yourself if it may go", destination.display())]
    Foreign { destination: PathBuf, found: String },
    /// Wishes that exclude each other.
    #[error("{wish} {value}: {reason}")]
    Wish {
        wish: &'static str,
        value: u64,
        reason: String,
    },
    /// A file or directory that the system refuses.
    #[error("{}", path.display())]
    File { path: PathBuf, source: io::Error },
    /// A file that can't be written as Parquet.
    #[error("{}", path.display())]
    Parquet {
        path: PathBuf,
        source: parquet::errors::ParquetError,
    },
    /// A file of settings that makes no sense.
    #[error("{}: {reason}", path.display())]
    Settings { path: PathBuf, reason: String },
    /// Ctrl-C.
    #[error("interrupted: {next}")]
    Interrupted { next: &'static str },
    /// Two tables that are not the same.
    #[error("the tables differ: {difference}")]
    Different {
        difference: Box<dpp_table::Difference>,
    },
    /// Standard output is gone.
    #[error("can't write to standard output")]
    Output { source: io::Error },
    /// What to log can't be meant.
    #[error(transparent)]
    Log(#[from] dpp_proto::process::LogError),
    /// No runtime to wait in.
    #[error("can't start the async runtime")]
    Runtime { source: io::Error },
    /// The table's own error.
    #[error(transparent)]
    Table(#[from] dpp_table::Error),
    /// The keys can't be used.
    #[error("--keys")]
    Keys(#[from] dpp_table::KeyError),
    /// The plan's own error.
    #[error(transparent)]
    Plan(#[from] dpp_ops::Error),
    /// The loader's own error.
    #[error(transparent)]
    Client(#[from] dpp_client::Error),
    /// The worker's own error.
    #[error(transparent)]
    Worker(#[from] dpp_worker::Error),
    /// A task of ours that broke.
    #[error("a task broke off")]
    Task(#[from] tokio::task::JoinError),
    /// Workers that the fleet does not know.
    #[error(
        "the fleet knows no worker {workers}: give ids or addresses as dpp fleet top shows them"
    )]
    NoSuchWorker { workers: String },
    /// The fleet's own error.
    #[error(transparent)]
    Fleet(#[from] dpp_fleet::Error),
}

impl Faulty for Error {
    fn fault(&self) -> Fault {
        match self {
            Error::Destination { .. }
            | Error::Occupied { .. }
            | Error::Foreign { .. }
            | Error::Settings { .. }
            | Error::Wish { .. } => Fault::Invalid,
            Error::Interrupted { .. } => Fault::Unavailable,
            Error::Different { .. } => Fault::Corrupt,
            Error::NoSuchWorker { .. } => Fault::NotFound,
            Error::File { source, .. } => match source.kind() {
                io::ErrorKind::NotFound => Fault::NotFound,
                io::ErrorKind::PermissionDenied => Fault::Denied,
                _ => Fault::Internal,
            },
            Error::Parquet { .. }
            | Error::Output { .. }
            | Error::Runtime { .. }
            | Error::Task(_) => Fault::Internal,
            Error::Log(error) => error.fault(),
            Error::Table(error) => error.fault(),
            Error::Keys(error) => error.fault(),
            Error::Plan(error) => error.fault(),
            Error::Client(error) => error.fault(),
            Error::Worker(error) => error.fault(),
            Error::Fleet(error) => error.fault(),
        }
    }
}
