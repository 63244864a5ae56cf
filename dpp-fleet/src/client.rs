//! A running fleet, asked from outside: what `dpp fleet` does.

use std::time::Duration;

use dpp_proto::{
    access::{Caller, Channel},
    listen::Address,
    v1::{DrainRequest, DrainResponse, StatusRequest, StatusResponse, fleet_client::FleetClient},
};
use tonic::Request;

use crate::Error;

/// A connection to a fleet.
#[derive(Debug)]
pub struct Client {
    calls: FleetClient<Channel>,
    address: Address,
}

impl Client {
    /// A fleet as `fleet://host:port` or `host:port`. Connects when first asked; must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`Error::Listen`] when that is no address, or the caller's certificates can't be used.
    pub fn new(fleet: &str, caller: &Caller) -> Result<Client, Error> {
        let address: Address = fleet.strip_prefix("fleet://").unwrap_or(fleet).parse()?;
        let channel = caller.connect(&address, |endpoint| endpoint.connect_timeout(PATIENCE))?;
        Ok(Client {
            calls: FleetClient::new(channel).max_decoding_message_size(MOST_BYTES),
            address,
        })
    }

    /// Runs, workers, and what is required.
    ///
    /// # Errors
    /// [`Error::Asked`].
    pub async fn status(&mut self) -> Result<StatusResponse, Error> {
        let asked = self.calls.status(in_time(StatusRequest {})).await;
        asked
            .map(tonic::Response::into_inner)
            .map_err(|status| self.failed(&status))
    }

    /// Asks workers, by id or address, to finish their reads and leave.
    ///
    /// # Errors
    /// [`Error::Asked`].
    pub async fn drain(&mut self, workers: Vec<String>) -> Result<DrainResponse, Error> {
        let asked = self.calls.drain(in_time(DrainRequest { workers })).await;
        asked
            .map(tonic::Response::into_inner)
            .map_err(|status| self.failed(&status))
    }

    fn failed(&self, status: &tonic::Status) -> Error {
        Error::Asked {
            fleet: self.address.to_string(),
            fault: status.code().into(),
            message: status.message().to_owned(),
        }
    }
}

fn in_time<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.set_timeout(PATIENCE);
    request
}

const PATIENCE: Duration = Duration::from_secs(5);
/// Twenty thousand workers.
const MOST_BYTES: usize = 16 << 20;
