//! Where a job runs, as flags: in this process or at workers.

use clap::{Args, value_parser};
use dpp_client::Place;

use crate::{error::Error, source::KeyArguments};

#[derive(Args)]
pub(crate) struct PlaceArguments {
    /// Workers instead of this process: host:port,host:port, unix:/path, dns://name:port or fleet://host:port
    #[arg(
        long,
        value_name = "SERVICE",
        env = "DPP_SERVICE",
        conflicts_with = "keys"
    )]
    service: Option<String>,

    /// Seconds to wait for a worker that answers
    #[arg(
        long,
        value_name = "SECONDS",
        env = "DPP_WORKER_TIMEOUT_SECONDS",
        default_value = "60"
    )]
    pub(crate) worker_timeout_seconds: u64,

    /// Compute threads on-box [default: one a core]
    #[arg(long, env = "DPP_THREADS", value_parser = value_parser!(u64).range(1..=1024), conflicts_with = "service")]
    threads: Option<u64>,
}

impl PlaceArguments {
    /// The place; on-box tables are opened with `keys`.
    pub(crate) fn open(&self, keys: &KeyArguments) -> Result<Place, Error> {
        Ok(match &self.service {
            Some(service) => Place::Service(service.clone()),
            None => Place::OnBox {
                threads: self
                    .threads
                    .and_then(|threads| usize::try_from(threads).ok()),
                keys: keys.open()?,
            },
        })
    }
}
