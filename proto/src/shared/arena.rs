//! The worker's side: memory for each trainer that asks.

use std::{
    collections::HashMap,
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{Ordering::Release, fence},
    },
};

use tokio::{
    io::AsyncReadExt as _,
    net::{UnixListener, UnixStream},
    sync::watch,
    task::{JoinHandle, JoinSet},
};

use super::{
    FRAME_AT, NO_TICKET, SLOT_BYTES, TOKEN_BYTES, Token, beside,
    mapping::{self, Mapping},
    pass,
    writer::{SLOTS_OF_A_READ, Writer},
};
use crate::{
    listen::{Address, Error, Listener},
    stream::Rope,
};

/// The memory that a worker shares, as long as this is not dropped.
#[derive(Debug)]
pub struct Arenas {
    path: PathBuf,
    known: Arc<Known>,
    accepting: JoinHandle<()>,
}

/// Who was given memory.
#[derive(Debug)]
struct Known {
    arenas: Mutex<HashMap<Token, Arc<Arena>>>,
    most_slots: usize,
}

/// One trainer's memory.
#[derive(Debug)]
pub(super) struct Arena {
    file: File,
    mapping: Mapping,
    slots: Mutex<Slots>,
    /// Moves when slots become free.
    pub(super) freed: watch::Sender<()>,
}

/// The tickets of the frames that lie in slots.
#[derive(Debug)]
pub(super) struct Slots {
    tickets: Vec<u64>,
    last_ticket: u64,
    /// The trainer is gone: it takes nothing any more.
    is_over: bool,
}

impl Arenas {
    /// Gives memory to trainers beside the Unix socket at `path`: together `most_bytes` at most, which are taken as frames come.
    ///
    /// # Errors
    /// The path beside it can't be bound.
    pub async fn listen(path: &Path, most_bytes: u64) -> Result<Arenas, Error> {
        let path = beside(path);
        let bound = Listener::bind(&Address::Unix(path.clone()), false).await?;
        let Listener::Unix(listener, path) = bound else {
            unreachable!("a Unix socket was asked for");
        };
        let known = Arc::new(Known {
            arenas: Mutex::default(),
            most_slots: usize::try_from(most_bytes).unwrap_or(usize::MAX) / SLOT_BYTES,
        });
        let accepting = tokio::spawn(accept(listener, known.clone()));
        Ok(Arenas {
            path,
            known,
            accepting,
        })
    }

    /// To place a read's frames in the memory that its request names; `None` if it names none.
    pub fn writer(&self, token: &[u8]) -> Option<Writer> {
        let token: &Token = token.try_into().ok()?;
        let arena = self.known.lock().get(token)?.clone();
        Some(Writer::of(arena))
    }
}

impl Drop for Arenas {
    fn drop(&mut self) {
        self.accepting.abort();
        _ = std::fs::remove_file(&self.path);
    }
}

impl Known {
    /// Memory for one more trainer: half of what is left, as others may come.
    fn add(&self) -> io::Result<(Token, Arc<Arena>)> {
        let mut arenas = self.lock();
        let given: usize = arenas
            .values()
            .map(|arena| arena.lock().tickets.len())
            .sum();
        let slots = (self.most_slots.saturating_sub(given) / 2).min(MOST_SLOTS);
        if slots < SLOTS_OF_A_READ {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let arena = Arc::new(Arena::new(slots)?);
        let mut token = [0; TOKEN_BYTES];
        aws_lc_rs::rand::fill(&mut token).map_err(|_| io::Error::other("no random bytes"))?;
        arenas.insert(token, arena.clone());
        Ok((token, arena))
    }

    /// Arenas stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, HashMap<Token, Arc<Arena>>> {
        self.arenas.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Arena {
    fn new(slots: usize) -> io::Result<Arena> {
        let file = mapping::file((slots * SLOT_BYTES) as u64)?;
        Ok(Arena {
            mapping: Mapping::of(&file)?,
            file,
            slots: Mutex::new(Slots {
                tickets: vec![NO_TICKET; slots],
                last_ticket: NO_TICKET,
                is_over: false,
            }),
            freed: watch::Sender::new(()),
        })
    }

    /// Without its ticket until all of it is there.
    pub(super) fn write(&self, slot: usize, ticket: u64, frame: &Rope) {
        let start = slot * SLOT_BYTES;
        let mut at = start + FRAME_AT;
        self.mapping.write(start, &NO_TICKET.to_le_bytes());
        // who sees bytes of this frame sees that the ticket before is gone
        fence(Release);
        for piece in frame.pieces() {
            self.mapping.write(at, piece);
            at += piece.len();
        }
        self.mapping.write(start, &ticket.to_le_bytes());
    }

    /// Of a ticket that is none any more, nothing.
    pub(super) fn free(&self, ticket: u64) {
        let mut slots = self.lock();
        let held = slots.tickets.iter_mut().find(|held| **held == ticket);
        if let Some(held) = held {
            *held = NO_TICKET;
        }
        drop(slots);
        self.freed.send_replace(());
    }

    fn end(&self) {
        self.lock().is_over = true;
        self.freed.send_replace(());
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slots {
    /// A free slot, the first, whose memory was used last, and the ticket of what will lie there.
    pub(super) fn take(&mut self) -> Option<(usize, u64)> {
        let slot = self.tickets.iter().position(|&held| held == NO_TICKET);
        let slot = slot.filter(|_| !self.is_over)?;
        self.last_ticket += 1;
        self.tickets[slot] = self.last_ticket;
        Some((slot, self.last_ticket))
    }

    /// Leaves of `tickets` those of frames that the trainer has not taken.
    pub(super) fn retain_held(&self, tickets: &mut Vec<u64>) {
        tickets.retain(|ticket| !self.is_over && self.tickets.contains(ticket));
    }
}

async fn accept(listener: UnixListener, known: Arc<Known>) {
    let mut trainers = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = trainers.spawn(share(stream, known.clone())),
                Err(error) => {
                    tracing::warn!(%error, "can't accept a connection for shared memory");
                    tokio::time::sleep(PAUSE).await;
                }
            },
            Some(_) = trainers.join_next() => {}
        }
    }
}

/// Shares memory with whoever is at the other end, until it is gone.
async fn share(mut stream: UnixStream, known: Arc<Known>) {
    let (token, arena) = match known.add() {
        Ok(added) => added,
        Err(error) => return tracing::info!(%error, "no shared memory for one more trainer"),
    };
    let _given = Given { known, token };
    if let Err(error) = pass::send(&stream, &token, &arena.file).await {
        return tracing::info!(%error, "can't hand over shared memory");
    }
    while let Ok(ticket) = stream.read_u64_le().await {
        arena.free(ticket);
    }
}

/// Memory that was given, taken back when this is dropped.
struct Given {
    known: Arc<Known>,
    token: Token,
}

impl Drop for Given {
    fn drop(&mut self) {
        if let Some(arena) = self.known.lock().remove(&self.token) {
            arena.end();
        }
    }
}

/// Of one trainer: eight reads at a time, as few wait for one another.
const MOST_SLOTS: usize = 16;
/// Files are closed by then, or not.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(50);
