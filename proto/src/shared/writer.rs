//! The worker's side: a read's frames on their way into shared memory.

use std::sync::Arc;

use bytes::Buf as _;
use tokio_stream::{Stream, StreamExt as _};
use tonic::Status;

use super::{FRAME_AT, SLOT_BYTES, arena::Arena};
use crate::{
    stream::{Message, Rope},
    v1,
};

/// Places the frames of one read. Dropping it gives back what the trainer has not taken.
#[derive(Debug)]
pub struct Writer {
    arena: Arc<Arena>,
    tickets: Vec<u64>,
}

impl Writer {
    pub(super) fn of(arena: Arc<Arena>) -> Writer {
        Writer {
            arena,
            tickets: Vec::new(),
        }
    }

    /// A read's messages with places instead of the frames that are placed. The last comes once the trainer has taken them all.
    pub fn messages<S>(
        self,
        messages: S,
    ) -> impl Stream<Item = Result<Message, Status>> + Send + 'static
    where
        S: Stream<Item = Result<Message, Status>> + Unpin + Send + 'static,
    {
        futures::stream::unfold((messages, self), async |(mut messages, mut writer)| {
            let message = messages.next().await;
            if let Some(Ok(Message::Frame(frame))) = message {
                let placed = writer.place(&frame).await;
                let message = placed.map_or(Message::Frame(frame), Message::Placed);
                return Some((Ok(message), (messages, writer)));
            }
            writer.untaken_at_most(0).await;
            Some((message?, (messages, writer)))
        })
    }

    /// Places a frame once the trainer has taken enough of those before. `None` when it must go by
    /// the socket: it is too large, or others hold all slots.
    pub(super) async fn place(&mut self, frame: &Rope) -> Option<v1::Placed> {
        let length = frame.remaining();
        if length > SLOT_BYTES - FRAME_AT {
            return None;
        }
        self.untaken_at_most(SLOTS_OF_A_READ - 1).await;
        let (offset, ticket) = self.arena.write(frame)?;
        self.tickets.push(ticket);
        Some(v1::Placed {
            offset: offset as u64,
            ticket,
            length: length as u64,
        })
    }

    /// Completes when the trainer has taken all frames but so many.
    pub(super) async fn untaken_at_most(&mut self, most: usize) {
        let mut freed = self.arena.freed.subscribe();
        loop {
            self.arena.retain_held(&mut self.tickets);
            // What changes after the subscription was made is seen above.
            if self.tickets.len() <= most || freed.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        for &ticket in &self.tickets {
            self.arena.free(ticket);
        }
    }
}

/// One is copied out of while another is written.
pub(super) const SLOTS_OF_A_READ: usize = 2;
