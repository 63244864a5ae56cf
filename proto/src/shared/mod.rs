//! Frames through memory that a worker shares with a trainer of its machine: half the copies of a socket, and few wake-ups.
//!
//! Beside its Unix socket at `PATH` a worker listens at `PATH.memory`. Who connects there is given memory of its own, as the
//! descriptor of a file that has no name, and names it in its reads. Who can't goes on by the socket, and nothing else changes.
//!
//! ```text
//! worker                                          trainer
//!   token, descriptor                           ▶
//!                                               ◀  ReadRequest.shared_memory = token
//!   in a slot: zero, the frame, its ticket
//!   ReadResponse.placed = offset, ticket, length ▶  copies the frame, then reads the ticket: still the same,
//!                                                  so nobody has written there meanwhile
//!                                               ◀  ticket: the slot is free
//! ```
//!
//! A slot belongs to one read from when it is written until the trainer has taken the frame, or the read is dropped. A read holds
//! few of them and ends when they are taken, so that no message frees what somebody still reads.
//!
//! Neither end can hurt the other by what it does to the file: its length is sealed, the worker reads nothing from it, and the trainer
//! trusts nothing before it is copied.

mod arena;
mod arenas;
mod mapping;
mod pass;
mod view;
mod writer;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use self::{
    arenas::Arenas,
    view::{Source, View},
    writer::Writer,
};

/// What names a trainer's memory: so many random bytes.
const TOKEN_BYTES: usize = 16;
type Token = [u8; TOKEN_BYTES];

/// The largest frame but of single very wide rows, and its ticket. Of a slot only what was written takes memory.
const SLOT_BYTES: usize = 5 << 20;
/// Less is not worth sharing: what one trainer needs, and as much for those who come after it.
pub const LEAST_BYTES: u64 = 4 * SLOT_BYTES as u64;
/// Where in a slot its frame begins; before it lies the ticket.
const FRAME_AT: usize = 64;
/// Of a slot that holds no frame.
const NO_TICKET: u64 = 0;

/// Where memory is asked for, of a worker that listens at `path`.
fn beside(path: &Path) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".memory");
    path.into()
}
