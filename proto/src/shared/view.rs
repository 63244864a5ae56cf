//! The trainer's side: takes frames out of the memory that a worker gave it.

use std::{
    fs::File,
    io,
    ops::Range,
    path::Path,
    sync::atomic::{
        AtomicBool,
        Ordering::{Acquire, Relaxed},
        fence,
    },
};

use rustix::net::{Shutdown, shutdown};
use tokio::net::UnixStream;
use tonic::Status;

use super::{FRAME_AT, TOKEN_BYTES, Token, beside, mapping::Mapping, pass};
use crate::v1;

/// Memory shared with one worker.
#[derive(Debug)]
pub struct View {
    token: Token,
    mapping: Mapping,
    pub(super) stream: UnixStream,
    /// A frame could not be taken.
    is_broken: AtomicBool,
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
            is_broken: AtomicBool::new(false),
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

    /// Whether a frame could not be taken: others had better come by the socket.
    pub fn is_broken(&self) -> bool {
        self.is_broken.load(Relaxed)
    }

    /// Takes a frame by `read`, which is given its bytes; then its place is the worker's again.
    ///
    /// # Errors
    /// `unavailable` when there is no such frame, or another was written over it: it may come whole from elsewhere.
    pub fn take<T>(
        &self,
        placed: v1::Placed,
        read: impl FnOnce(&mut Source<'_>) -> T,
    ) -> Result<T, Status> {
        let Some(frame) = self.place(&placed) else {
            return Err(self.lost(&format!("there is no such place: {placed:?}")));
        };
        let taken = read(&mut Source {
            mapping: &self.mapping,
            at: frame.start,
            left: frame.len(),
        });
        // what is read below was not there before the frame was read
        fence(Acquire);
        let ticket = placed.ticket.to_le_bytes();
        let mut found = Vec::new();
        self.mapping
            .append_to(&mut found, frame.start - FRAME_AT, ticket.len());
        if found != ticket {
            return Err(self.lost("another frame was written over it"));
        }
        // As few as there are slots always fit. If the worker is gone, the read's stream tells.
        _ = self.stream.try_write(&ticket);
        Ok(taken)
    }

    /// Where the frame lies, if there is such a place.
    fn place(&self, placed: &v1::Placed) -> Option<Range<usize>> {
        let start = usize::try_from(placed.offset).ok()?;
        let end = start.checked_add(usize::try_from(placed.length).ok()?)?;
        (FRAME_AT <= start && end <= self.mapping.len()).then_some(start..end)
    }

    fn lost(&self, why: &str) -> Status {
        self.is_broken.store(true, Relaxed);
        Status::unavailable(format!("shared memory: {why}"))
    }
}

impl Drop for View {
    /// Tells the worker, although a process that was forked may have the connection as well.
    fn drop(&mut self) {
        // Who is gone needs not be told.
        _ = shutdown(&self.stream, Shutdown::Both);
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
