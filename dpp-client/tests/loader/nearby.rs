//! A worker on the trainer's machine: its frames come through memory that both share, and by the socket where that can't be.

use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::fd::{AsFd as _, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use dpp_client::{Loader, Place};
use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, ftruncate, memfd_create},
    net::{
        RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
    },
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, Interest},
    net::{UnixListener, UnixStream},
};

use crate::{
    ON_BOX, drain, settings, shuffled,
    table::{TestTable, wide_plan},
    worker::TestWorker,
};

/// A Unix socket before a worker's, which counts what the worker answers there.
struct Counted {
    _folder: tempfile::TempDir,
    path: PathBuf,
    bytes: Arc<AtomicU64>,
    /// Memories that were not the worker's.
    misled: Arc<AtomicU64>,
}

impl Counted {
    fn before(worker: &Path) -> Counted {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker");
        let listener = UnixListener::bind(&path).unwrap();
        let bytes = Arc::new(AtomicU64::new(0));
        tokio::spawn(forward(listener, worker.to_owned(), bytes.clone()));
        Counted {
            _folder: folder,
            path,
            bytes,
            misled: Arc::default(),
        }
    }

    /// Leads whoever asks for memory to the worker.
    fn sharing(self, worker: &Path) -> Counted {
        std::os::unix::fs::symlink(memory_of(worker), memory_of(&self.path)).unwrap();
        self
    }

    /// Names the worker's memory to whoever asks, and gives other memory instead.
    fn misleading(self, worker: &Path) -> Counted {
        let listener = UnixListener::bind(memory_of(&self.path)).unwrap();
        let (memory, misled) = (memory_of(worker), self.misled.clone());
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((client, _)) = listener.accept().await {
                let worker = UnixStream::connect(&memory).await.unwrap();
                let (token, file) = received(&worker).await;
                hand_over(&client, &token, &blank_like(&file)).await;
                misled.fetch_add(1, Ordering::Relaxed);
                open.push((client, worker));
            }
        });
        self
    }
}

async fn received(worker: &UnixStream) -> (Vec<u8>, OwnedFd) {
    let receive = || {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut room);
        let mut token = vec![0; 1024];
        let mut bytes = [IoSliceMut::new(&mut token)];
        let count = recvmsg(worker, &mut bytes, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?.bytes;
        let file = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut files) => files.next(),
            _ => None,
        });
        token.truncate(count);
        Ok((token, file.unwrap()))
    };
    worker.async_io(Interest::READABLE, receive).await.unwrap()
}

async fn hand_over(client: &UnixStream, token: &[u8], file: &OwnedFd) {
    let files = [file.as_fd()];
    let send = || {
        let mut room = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut room);
        ancillary.push(SendAncillaryMessage::ScmRights(&files));
        let bytes = [IoSlice::new(token)];
        Ok(sendmsg(
            client,
            &bytes,
            &mut ancillary,
            SendFlags::NOSIGNAL,
        )?)
    };
    client.async_io(Interest::WRITABLE, send).await.unwrap();
}

/// As many zeros.
fn blank_like(file: &OwnedFd) -> OwnedFd {
    let blank = memfd_create("blank", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&blank, fstat(file).unwrap().st_size as u64).unwrap();
    fcntl_add_seals(
        &blank,
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL,
    )
    .unwrap();
    blank
}

fn memory_of(socket: &Path) -> String {
    format!("{}.memory", socket.display())
}

async fn forward(listener: UnixListener, worker: PathBuf, bytes: Arc<AtomicU64>) {
    while let Ok((client, _)) = listener.accept().await {
        let Ok(worker) = UnixStream::connect(&worker).await else {
            continue; // nobody is there right now
        };
        tokio::spawn(join(client, worker, bytes.clone()));
    }
}

async fn join(client: UnixStream, worker: UnixStream, answered: Arc<AtomicU64>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_worker, mut to_worker) = worker.into_split();
    let asking = async { _ = tokio::io::copy(&mut from_client, &mut to_worker).await };
    let answering = async {
        let mut bytes = vec![0; 64 << 10];
        while let Ok(count @ 1..) = from_worker.read(&mut bytes).await {
            answered.fetch_add(count as u64, Ordering::Relaxed);
            if to_client.write_all(&bytes[..count]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
}

#[tokio::test]
async fn frames_cross_the_socket_only_where_memory_is_not_shared() {
    let table = TestTable::write(&[520, 130, 750]);
    let worker = TestWorker::unix().await;
    let path = worker.socket().to_owned();
    for settings in [settings(64), shuffled(37)] {
        let open = |place| Loader::open(place, table.source(), wide_plan(100), settings.clone());
        let mut loader = open(ON_BOX).await.unwrap();
        let expected = drain(&mut loader.start_epoch()).await;
        let tensors = loader.stats().tensor_bytes;
        for (socket, crossing) in [
            (Counted::before(&path).sharing(&path), 0..tensors / 10),
            (Counted::before(&path), tensors..2 * tensors),
        ] {
            let service = format!("unix:{}", socket.path.display());
            let mut loader = open(Place::Service(service)).await.unwrap();
            let opened = socket.bytes.load(Ordering::Relaxed);
            assert_eq!(drain(&mut loader.start_epoch()).await, expected);
            let crossed = socket.bytes.load(Ordering::Relaxed) - opened;
            assert!(crossing.contains(&crossed), "{crossed} of {tensors} bytes");
        }
    }
}

/// What is found there is no frame of the worker's, so all of them come by the socket.
#[tokio::test]
async fn memory_that_is_not_the_workers_is_left_alone() {
    let table = TestTable::write(&[520, 130, 750]);
    let worker = TestWorker::unix().await;
    let path = worker.socket().to_owned();
    let open = |place| Loader::open(place, table.source(), wide_plan(100), shuffled(37));
    let expected = drain(&mut open(ON_BOX).await.unwrap().start_epoch()).await;
    let socket = Counted::before(&path).misleading(&path);
    let service = format!("unix:{}", socket.path.display());
    let mut loader = open(Place::Service(service)).await.unwrap();
    assert_eq!(drain(&mut loader.start_epoch()).await, expected);
    let tensors = loader.stats().tensor_bytes;
    let crossed = socket.bytes.load(Ordering::Relaxed);
    assert!(crossed > tensors, "{crossed} of {tensors} bytes");
    assert!(socket.misled.load(Ordering::Relaxed) > 0);
}

/// A worker that is started anew shares memory again.
#[tokio::test]
async fn memory_is_shared_by_a_worker_that_comes_back() {
    let table = TestTable::write(&[520, 130, 750]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("worker");
    let open = |place| Loader::open(place, table.source(), wide_plan(100), shuffled(37));
    let expected = drain(&mut open(ON_BOX).await.unwrap().start_epoch()).await;
    let mut worker = TestWorker::unix_at(path.clone()).await;
    let socket = Counted::before(&path).sharing(&path);
    let service = format!("unix:{}", socket.path.display());
    let mut loader = open(Place::Service(service)).await.unwrap();
    let mut passes = Vec::new();
    for _ in 0..3 {
        let mut batches = loader.start_epoch();
        passes.push(drain(&mut batches).await);
        worker.kill().await;
        worker = TestWorker::unix_at(path.clone()).await;
    }
    assert_eq!(passes[0], expected);
    let crossed = socket.bytes.load(Ordering::Relaxed);
    let tensors = loader.stats().tensor_bytes;
    assert!(crossed < tensors / 5, "{crossed} of {tensors} bytes");
}
