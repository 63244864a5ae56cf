//! Memory that a worker of this machine shares, asked for when it is first read from.

use std::{
    io::ErrorKind::{ConnectionRefused, NotFound},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use dpp_proto::{listen::Address, shared::View};
use tokio::{sync::Mutex, time::timeout};

/// A worker, if it is on this machine.
#[derive(Debug)]
pub(super) struct Nearby {
    socket: Option<PathBuf>,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    view: Option<Arc<View>>,
    /// When it gave none, or none that could be used.
    refused: Option<Instant>,
}

impl Nearby {
    pub(super) fn at(address: &str) -> Nearby {
        let socket = match address.parse() {
            Ok(Address::Unix(path)) => Some(path),
            _ => None,
        };
        Nearby {
            socket,
            shared: Mutex::default(),
        }
    }

    /// What it shares now.
    pub(super) async fn view(&self) -> Option<Arc<View>> {
        let socket = self.socket.as_ref()?;
        let mut shared = self.shared.lock().await;
        if shared.view.take_if(|view| view.is_broken()).is_some() {
            shared.refused = Some(Instant::now());
        }
        if shared.view.as_ref().is_none_or(|view| !view.is_open()) {
            *shared = shared.again(socket).await;
        }
        shared.view.clone()
    }
}

impl Shared {
    /// Asks, unless it refused just now.
    async fn again(&self, socket: &Path) -> Shared {
        let refused = self.refused.filter(|refused| refused.elapsed() < REST);
        if refused.is_some() {
            return Shared {
                view: None,
                refused,
            };
        }
        let connected = timeout(PATIENCE, View::connect(socket)).await;
        let connected = connected
            .map_err(Into::into)
            .and_then(|connected| connected);
        match connected {
            Ok(view) => Shared {
                view: Some(Arc::new(view)),
                refused: None,
            },
            Err(error) => {
                tracing::debug!(%error, ?socket, "no shared memory: frames come by the socket");
                // who is not there says so at once, and may only be starting
                let is_absent = matches!(error.kind(), NotFound | ConnectionRefused);
                Shared {
                    view: None,
                    refused: (!is_absent).then(Instant::now),
                }
            }
        }
    }
}

/// It gives some or refuses at once, or is not well.
const PATIENCE: Duration = Duration::from_secs(1);
const REST: Duration = Duration::from_secs(1);
