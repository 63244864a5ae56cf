//! The trainer's side: takes frames out of the memory that a worker gave it.

use std::{
    fs::File,
    io,
    path::Path,
    sync::atomic::{Ordering::Acquire, fence},
};

use tokio::net::UnixStream;
use tonic::Status;

use super::{FRAME_AT, SLOT_BYTES, TOKEN_BYTES, Token, beside, mapping::Mapping, pass};
use crate::v1;

/// Memory shared with one worker.
#[derive(Debug)]
pub struct View {
    token: Token,
    mapping: Mapping,
    stream: UnixStream,
}

impl View {
    /// Asks the worker that listens at the Unix socket `path`.
    ///
    /// # Errors
    /// It gives none: it is of an earlier version, or has given all away.
    pub async fn connect(path: &Path) -> io::Result<View> {
        let stream = UnixStream::connect(beside(path)).await?;
        let mut token = [0; TOKEN_BYTES];
        let file = pass::receive(&stream, &mut token).await?;
        Ok(View {
            token,
            mapping: Mapping::of(&File::from(file))?,
            stream,
        })
    }

    /// What names this memory in [`v1::ReadRequest::shared_memory`].
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// Whether the worker that gave it is still there.
    pub fn is_open(&self) -> bool {
        // It never sends anything after the first message.
        let heard = self.stream.try_read(&mut [0]);
        heard.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Takes a frame by `read`, which is given its bytes; then its slot is the worker's again.
    ///
    /// # Errors
    /// `unavailable` when there is no such frame, or another was written over it: it may come whole from elsewhere.
    pub fn take<T>(
        &self,
        placed: v1::Placed,
        read: impl FnOnce(&mut Source<'_>) -> T,
    ) -> Result<T, Status> {
        let within = |number: u64, most| usize::try_from(number).ok().filter(|&it| it <= most);
        let last = self.mapping.len() / SLOT_BYTES - 1;
        let slot = within(placed.slot, last);
        let (Some(slot), Some(length)) = (slot, within(placed.length, SLOT_BYTES - FRAME_AT))
        else {
            return Err(lost(&format!("there is no such place: {placed:?}")));
        };
        let start = slot * SLOT_BYTES;
        let taken = read(&mut Source {
            mapping: &self.mapping,
            at: start + FRAME_AT,
            left: length,
        });
        // what is read below was not there before the frame was read
        fence(Acquire);
        let ticket = placed.ticket.to_le_bytes();
        let mut found = Vec::new();
        self.mapping.append_to(&mut found, start, ticket.len());
        if found != ticket {
            return Err(lost("another frame was written over it"));
        }
        // As few as there are slots always fit. If the worker is gone, the read's stream tells.
        _ = self.stream.try_write(&ticket);
        Ok(taken)
    }
}

/// A frame's bytes where they lie.
#[derive(Debug)]
pub struct Source<'a> {
    mapping: &'a Mapping,
    at: usize,
    left: usize,
}

impl Source<'_> {
    /// Copies the next bytes behind what `into` has: `count`, or as many as are left.
    pub fn append_to(&mut self, into: &mut Vec<u8>, count: usize) {
        let count = count.min(self.left);
        self.mapping.append_to(into, self.at, count);
        self.at += count;
        self.left -= count;
    }
}

fn lost(why: &str) -> Status {
    Status::unavailable(format!("shared memory: {why}"))
}
