//! Workers on loopback sockets, each on a runtime of its own so that killing it cuts its connections.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dpp_proto::listen::{Address, Listener};
use dpp_worker::{Engine, server};
use tokio::{runtime::Runtime, sync::oneshot};

pub(crate) struct TestWorker {
    address: Address,
    runtime: Option<Runtime>,
    socket: Option<PathBuf>,
}

impl TestWorker {
    pub(crate) async fn tcp() -> TestWorker {
        TestWorker::at(Address::Tcp("127.0.0.1:0".into())).await
    }

    pub(crate) async fn unix() -> TestWorker {
        let unique = format!(
            "dpp-loader-{}-{:?}.sock",
            std::process::id(),
            std::time::Instant::now()
        )
        .replace(|c: char| !c.is_alphanumeric(), "-");
        TestWorker::unix_at(std::env::temp_dir().join(unique)).await
    }

    pub(crate) async fn unix_at(path: PathBuf) -> TestWorker {
        TestWorker::at(Address::Unix(path)).await
    }

    async fn at(address: Address) -> TestWorker {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (bound, address_of) = oneshot::channel();
        let socket = if let Address::Unix(path) = &address {
            Some(path.clone())
        } else {
            None
        };
        runtime.spawn(async move {
            let listener = Listener::bind(&address, false).await.unwrap();
            bound.send(listener.address()).unwrap();
            server::serve(
                Arc::new(Engine::start(Some(1)).unwrap()),
                listener,
                std::future::pending(),
            )
            .await
            .unwrap();
        });
        TestWorker {
            address: address_of.await.unwrap(),
            runtime: Some(runtime),
            socket,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// The path of a Unix socket.
    pub(crate) fn socket(&self) -> &Path {
        self.socket.as_deref().unwrap()
    }

    /// Ends it, and nobody answers at its address any more.
    pub(crate) async fn kill(mut self) {
        let runtime = self.runtime.take().unwrap();
        let ended = || runtime.shutdown_timeout(Duration::from_secs(10));
        tokio::task::spawn_blocking(ended).await.unwrap();
    }
}

impl Drop for TestWorker {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        if let Some(socket) = &self.socket {
            _ = std::fs::remove_file(socket);
        }
    }
}
