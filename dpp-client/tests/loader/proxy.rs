//! A TCP proxy before a worker: it keeps the worker's address while workers come and go, cuts connections, falls silent.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

pub(crate) struct Proxy {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    accepting: JoinHandle<()>,
}

#[derive(Clone, Debug)]
struct Mode {
    target: String,
    silent: bool,
    /// Connections of another generation are cut.
    generation: u64,
}

impl Proxy {
    pub(crate) async fn before(target: String) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mode = Arc::new(watch::Sender::new(Mode {
            target,
            silent: false,
            generation: 0,
        }));
        let accepting = tokio::spawn(accept(listener, mode.clone()));
        Proxy {
            address,
            mode,
            accepting,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Resets every connection.
    pub(crate) fn cut(&self) {
        self.mode.send_modify(|mode| mode.generation += 1);
    }

    /// From now on connections lead here.
    pub(crate) fn lead_to(&self, target: String) {
        self.mode.send_modify(|mode| mode.target = target);
    }

    /// Whether bytes are held back.
    pub(crate) fn silence(&self, silent: bool) {
        self.mode.send_modify(|mode| mode.silent = silent);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
        self.cut();
    }
}

async fn accept(listener: TcpListener, mode: Arc<watch::Sender<Mode>>) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(join(client, mode.subscribe()));
    }
}

async fn join(client: TcpStream, mode: watch::Receiver<Mode>) {
    let target = mode.borrow().target.clone();
    let Ok(worker) = TcpStream::connect(target).await else {
        return; // nobody is there right now
    };
    let generation = mode.borrow().generation;
    _ = client.set_zero_linger();
    let (from_client, to_client) = client.into_split();
    let (from_worker, to_worker) = worker.into_split();
    let mut cut = mode.clone();
    tokio::select! {
        () = forward(from_client, to_worker, mode.clone()) => {}
        () = forward(from_worker, to_client, mode) => {}
        _ = cut.wait_for(|mode| mode.generation != generation) => {}
    }
}

async fn forward(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut mode: watch::Receiver<Mode>) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if mode.wait_for(|mode| !mode.silent).await.is_err()
            || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
    }
}
