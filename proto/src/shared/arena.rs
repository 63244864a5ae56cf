//! The worker's side: one trainer's memory, in slots.

use std::{
    fs::File,
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicBool, AtomicUsize,
            Ordering::{Relaxed, Release},
            fence,
        },
    },
};

use tokio::sync::watch;

use super::{
    FRAME_AT, NO_TICKET, SLOT_BYTES,
    mapping::{self, Mapping},
};
use crate::stream::Rope;

/// One trainer's memory.
#[derive(Debug)]
pub(super) struct Arena {
    pub(super) file: File,
    mapping: Mapping,
    slots: Mutex<Slots>,
    /// Whether a read has named it.
    pub(super) is_used: AtomicBool,
    /// Where its slots go back to.
    left: Arc<AtomicUsize>,
    /// Moves when slots become free.
    pub(super) freed: watch::Sender<()>,
}

/// The tickets of the frames that lie in slots.
#[derive(Debug)]
struct Slots {
    tickets: Vec<u64>,
    last_ticket: u64,
    /// The trainer is gone: it takes nothing any more.
    is_over: bool,
}

impl Arena {
    /// So many slots, of those that are left.
    pub(super) fn new(slots: usize, left: &Arc<AtomicUsize>) -> io::Result<Arena> {
        let file = mapping::file((slots * SLOT_BYTES) as u64)?;
        let mapping = Mapping::of(&file)?;
        left.fetch_sub(slots, Relaxed);
        Ok(Arena {
            file,
            mapping,
            slots: Mutex::new(Slots {
                tickets: vec![NO_TICKET; slots],
                last_ticket: NO_TICKET,
                is_over: false,
            }),
            is_used: AtomicBool::new(false),
            left: left.clone(),
            freed: watch::Sender::new(()),
        })
    }

    /// Writes a frame to a free slot; tells where it lies, and its ticket, which is not there before all of the frame is.
    pub(super) fn write(&self, frame: &Rope) -> Option<(usize, u64)> {
        let (slot, ticket) = self.lock().take()?;
        let start = slot * SLOT_BYTES;
        self.mapping.write(start, &NO_TICKET.to_le_bytes());
        // who sees bytes of this frame sees that the ticket before is gone
        fence(Release);
        let mut at = start + FRAME_AT;
        for piece in frame.pieces() {
            self.mapping.write(at, piece);
            at += piece.len();
        }
        self.mapping.write(start, &ticket.to_le_bytes());
        self.lock().tickets[slot] = ticket;
        Some((start + FRAME_AT, ticket))
    }

    /// The frame of this ticket is not needed any more, if it lies here.
    pub(super) fn free(&self, ticket: u64) {
        let mut slots = self.lock();
        let mut held = slots.tickets.iter_mut().filter(|it| **it != BEING_WRITTEN);
        if let Some(held) = held.find(|held| **held == ticket) {
            *held = NO_TICKET;
        }
        drop(slots);
        self.freed.send_replace(());
    }

    /// Leaves of `tickets` those of frames that lie here and that the trainer may yet take.
    pub(super) fn retain_held(&self, tickets: &mut Vec<u64>) {
        let slots = self.lock();
        tickets.retain(|ticket| !slots.is_over && slots.tickets.contains(ticket));
    }

    /// The trainer is gone.
    pub(super) fn end(&self) {
        self.lock().is_over = true;
        self.freed.send_replace(());
    }

    /// Slots stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        let slots = self.lock().tickets.len();
        // who keeps the file or its mapping keeps no memory
        mapping::empty(&self.file, (slots * SLOT_BYTES) as u64);
        self.left.fetch_add(slots, Relaxed);
    }
}

impl Slots {
    /// A free slot, the first, whose memory was used last, and the ticket of what will lie there.
    fn take(&mut self) -> Option<(usize, u64)> {
        let slot = self.tickets.iter().position(|&held| held == NO_TICKET);
        let slot = slot.filter(|_| !self.is_over)?;
        self.tickets[slot] = BEING_WRITTEN;
        self.last_ticket += 1;
        Some((slot, self.last_ticket))
    }
}

/// Of a slot that a frame is being copied to. Nobody has such a ticket.
const BEING_WRITTEN: u64 = u64::MAX;
