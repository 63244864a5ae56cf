//! Workers on loopback sockets, each on a runtime of its own so that killing it cuts its connections.

use std::{path::PathBuf, sync::Arc};

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
        TestWorker::at(Address::Unix(std::env::temp_dir().join(unique))).await
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

    pub(crate) async fn kill(mut self) {
        self.runtime.take().unwrap().shutdown_background();
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
