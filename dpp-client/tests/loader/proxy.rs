//! A TCP proxy before a worker: it keeps the worker's address while workers come and go, cuts connections, falls silent.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

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
    answered_bytes: Arc<AtomicU64>,
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
        let answered_bytes = Arc::new(AtomicU64::new(0));
        let accepting = tokio::spawn(accept(listener, mode.clone(), answered_bytes.clone()));
        Proxy {
            address,
            mode,
            answered_bytes,
            accepting,
        }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// How much the worker has sent.
    pub(crate) fn answered_bytes(&self) -> u64 {
        self.answered_bytes.load(Ordering::Relaxed)
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

async fn accept(
    listener: TcpListener,
    mode: Arc<watch::Sender<Mode>>,
    answered_bytes: Arc<AtomicU64>,
) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(join(client, mode.subscribe(), answered_bytes.clone()));
    }
}

async fn join(client: TcpStream, mode: watch::Receiver<Mode>, answered_bytes: Arc<AtomicU64>) {
    let target = mode.borrow().target.clone();
    let Ok(worker) = TcpStream::connect(target).await else {
        return; // nobody is there right now
    };
    let generation = mode.borrow().generation;
    _ = client.set_zero_linger();
    let (from_client, to_client) = client.into_split();
    let (from_worker, to_worker) = worker.into_split();
    let (mut cut, asked_bytes) = (mode.clone(), AtomicU64::new(0));
    tokio::select! {
        () = forward(from_client, to_worker, mode.clone(), &asked_bytes) => {}
        () = forward(from_worker, to_client, mode, &answered_bytes) => {}
        _ = cut.wait_for(|mode| mode.generation != generation) => {}
    }
}

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
    carried_bytes: &AtomicU64,
) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes).await {
        if mode.wait_for(|mode| !mode.silent).await.is_err()
            || to.write_all(&bytes[..count]).await.is_err()
        {
            return;
        }
        carried_bytes.fetch_add(count as u64, Ordering::Relaxed);
    }
}
