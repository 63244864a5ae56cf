//! Workers as the addresses of a name: a headless Service of Kubernetes, or a record with several hosts. Whatever the name stands
//! for is looked up again and again; when it can't be, those already known stay.

use std::sync::Arc;

use dpp_proto::listen::Address;
use tokio::net::lookup_host;

use super::{Known, replace};
use crate::Error;

/// `name:port`.
pub(super) struct Name(String);

impl Name {
    /// # Errors
    /// [`Error::Invalid`] when it is not `name:port`.
    pub(super) fn parse(text: &str) -> Result<Name, Error> {
        match text.parse() {
            Ok(Address::Tcp(name)) => Ok(Name(name)),
            _ => Err(Error::invalid(format!(
                "dns://{text} is no service: give dns://name:port"
            ))),
        }
    }
}

/// Keeps the known workers those that the name stands for.
pub(super) async fn follow(Name(name): Name, known: Arc<Known>) {
    let mut answered = true;
    loop {
        match lookup_host(&name).await.map(Iterator::collect::<Vec<_>>) {
            Ok(addresses) if !addresses.is_empty() => {
                answered = true;
                known.set_trouble(None);
                replace(&known, addresses.iter().map(ToString::to_string).collect());
            }
            found => {
                let why = found.map_or_else(|error| error.to_string(), |_| "no address".to_owned());
                if std::mem::replace(&mut answered, false) {
                    tracing::warn!(%name, %why, "the name stands for no worker; going on with the workers known");
                }
                known.set_trouble(Some(format!("{name} stands for no worker: {why}")));
            }
        }
        known.wait_or_lose(known.longest_wait()).await;
    }
}
