//! The worker's side: memory for each trainer that asks.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use rustix::rand::{GetRandomFlags, getrandom};
use tokio::{
    io::AsyncReadExt as _,
    net::{UnixListener, UnixStream},
    sync::Notify,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use super::{
    SLOT_BYTES, TOKEN_BYTES, Token,
    arena::Arena,
    beside, pass,
    writer::{SLOTS_OF_A_READ, Writer},
};
use crate::listen::{Address, Error, Listener};

/// The memory that a worker shares, as long as this is not dropped.
#[derive(Debug)]
pub struct Arenas {
    known: Arc<Known>,
    closing: Arc<Notify>,
    serving: JoinHandle<()>,
}

/// Who was given memory.
#[derive(Debug)]
struct Known {
    arenas: Mutex<HashMap<Token, Arc<Arena>>>,
    /// Slots that are not given away.
    left: Arc<AtomicUsize>,
}

/// Where memory is asked for.
struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// Memory that was given, taken back when this is dropped.
struct Given {
    known: Arc<Known>,
    token: Token,
    arena: Arc<Arena>,
}

impl Arenas {
    /// Gives memory to trainers beside the Unix socket at `path`: together `most_bytes` at most, which are taken as frames come.
    ///
    /// # Errors
    /// The path beside it can't be bound.
    pub async fn listen(path: &Path, most_bytes: u64) -> Result<Arenas, Error> {
        let bound = Listener::bind(&Address::Unix(beside(path)), false).await?;
        let Listener::Unix(listener, path) = bound else {
            unreachable!("a Unix socket was asked for");
        };
        let slots = usize::try_from(most_bytes).unwrap_or(usize::MAX) / SLOT_BYTES;
        let known = Arc::new(Known {
            arenas: Mutex::default(),
            left: Arc::new(AtomicUsize::new(slots)),
        });
        let closing = Arc::new(Notify::new());
        let socket = Socket { listener, path };
        Ok(Arenas {
            serving: tokio::spawn(serve(socket, known.clone(), closing.clone())),
            known,
            closing,
        })
    }

    /// To place a read's frames in the memory that its request names; `None` if it names none.
    pub fn writer(&self, token: &[u8]) -> Option<Writer> {
        let token: &Token = token.try_into().ok()?;
        let arena = self.known.lock().get(token)?.clone();
        arena.is_used.store(true, Relaxed);
        Some(Writer::of(arena))
    }

    /// Gives nobody memory any more. Those who have some keep it.
    pub fn close(&self) {
        self.closing.notify_one();
    }
}

impl Drop for Arenas {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Who removed it before has done what was to be done.
        _ = std::fs::remove_file(&self.path);
    }
}

impl Known {
    /// Memory for one more trainer: half of what is left, as others may come.
    fn give(self: Arc<Known>) -> io::Result<Given> {
        let mut arenas = self.lock();
        let slots = (self.left.load(Relaxed) / 2).min(MOST_SLOTS);
        if slots < SLOTS_OF_A_READ {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let arena = Arc::new(Arena::new(slots, &self.left)?);
        let mut token = [0; TOKEN_BYTES];
        // the system's: a generator of our own would take 30 ms to start, before a first batch
        getrandom(&mut token, GetRandomFlags::empty())?;
        arenas.insert(token, arena.clone());
        drop(arenas);
        Ok(Given {
            known: self,
            token,
            arena,
        })
    }

    /// Arenas stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, HashMap<Token, Arc<Arena>>> {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.known.lock().remove(&self.token);
        self.arena.end();
    }
}

/// Shares memory with whoever asks, until it is closed; then with those who have some.
async fn serve(socket: Socket, known: Arc<Known>, closing: Arc<Notify>) {
    let mut trainers = JoinSet::new();
    tokio::select! {
        () = accept(&socket.listener, &known, &mut trainers) => {}
        () = closing.notified() => {}
    }
    drop(socket);
    while trainers.join_next().await.is_some() {}
}

/// Accepts for ever.
async fn accept(listener: &UnixListener, known: &Arc<Known>, trainers: &mut JoinSet<()>) {
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = trainers.spawn(share(stream, known.clone())),
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection for shared memory");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = trainers.join_next() => {}
        }
    }
}

/// Shares memory with whoever is at the other end, until it is gone.
async fn share(mut stream: UnixStream, known: Arc<Known>) {
    let given = match known.give() {
        Ok(given) => given,
        Err(error) => return tracing::info!(%error, "no shared memory for one more trainer"),
    };
    let arena = &given.arena;
    if let Err(error) = pass::send(&stream, &given.token, &arena.file).await {
        return tracing::info!(%error, "can't hand over shared memory");
    }
    let taken = async {
        while let Ok(ticket) = stream.read_u64_le().await {
            arena.free(ticket);
        }
    };
    tokio::select! {
        () = taken => {}
        () = unused(arena) => tracing::info!("shared memory that no read has named goes to others"),
    }
}

/// Completes when no read has named it for too long.
async fn unused(arena: &Arena) {
    sleep(USED_WITHIN).await;
    if arena.is_used.load(Relaxed) {
        std::future::pending::<()>().await;
    }
}

/// Of one trainer: eight reads at a time, as few wait for one another.
const MOST_SLOTS: usize = 16;
/// Who asks for memory reads at once.
const USED_WITHIN: Duration = Duration::from_secs(10);
/// Files are closed by then, or not.
const PAUSE: Duration = Duration::from_millis(50);
