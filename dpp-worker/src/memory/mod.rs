//! Bytes of a worker's buffers: a read is admitted when what it holds fits, and holds it until its client has the rest.
//!
//! ```text
//! limit = held by clients                 + free
//!         each at most twice what is free   for whoever comes
//! ```
//!
//! A client that does not take its frames fills two thirds at most, two of them four fifths: it stops its own streams, and
//! there is room for others. A client's reads are admitted in the order of their turns, which is that of first use, and one that
//! was admitted before an earlier one came makes way for it: a client waits for its earliest read first, and takes nothing from
//! later ones meanwhile. A read larger than everything is admitted alone.
//!
//! Source: Choudhury, Hahne, "Dynamic queue length thresholds for shared-memory packet switches", 1998.

mod held;
mod size;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use self::held::{Held, Place};
pub use self::size::ByteSize;
use crate::{Error, metrics};

/// The buffers of one engine.
#[derive(Debug)]
pub(crate) struct Memory {
    limit: Option<u64>,
    held: Mutex<Held>,
    /// Moves whenever bytes are given back or somebody stops waiting.
    changes: watch::Sender<()>,
}

/// Bytes that a read holds until this is dropped.
#[derive(Debug)]
pub(crate) struct Admitted {
    memory: Arc<Memory>,
    client: String,
    place: Place,
    bytes: u64,
    make_way: Arc<Notify>,
}

/// A place in a client's queue, left when dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    memory: Arc<Memory>,
    client: String,
    place: Place,
}

impl Memory {
    /// Admits everything when `limit` is `None`.
    pub(crate) fn new(limit: Option<ByteSize>) -> Arc<Memory> {
        Arc::new(Memory {
            limit: limit.map(|limit| limit.0),
            held: Mutex::default(),
            changes: watch::Sender::new(()),
        })
    }

    /// Whether there is a limit: without one nobody needs to know what a read will hold.
    pub(crate) fn limit(&self) -> Option<u64> {
        self.limit
    }

    /// Stored bytes that one read may hold; of what is larger it fetches more while it decodes.
    pub(crate) fn most_stored_bytes(&self) -> u64 {
        let share = self.limit.unwrap_or(u64::MAX) / READS_IN_MEMORY;
        share.min(MOST_STORED_BYTES)
    }

    /// A place in a client's queue, before those of later turns.
    pub(crate) fn queue(self: &Arc<Self>, client: &str, turn: u64) -> Turn {
        Turn {
            memory: self.clone(),
            client: client.to_owned(),
            place: self.lock().ask(client, turn),
        }
    }

    fn change(&self, change: impl FnOnce(&mut Held)) {
        let mut held = self.lock();
        change(&mut held);
        metrics::held(held.total);
        drop(held);
        self.changes.send_replace(());
    }

    /// Sums stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Admitted {
    /// The read turned out to hold so many bytes: that is charged from now on, whether it fits or not.
    pub(crate) fn holds(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        self.memory.change(|held| {
            held.take(&self.client, bytes);
            held.give_back(&self.client, before);
        });
    }

    /// Told when an earlier read of the same client can't be admitted because of this one.
    pub(crate) fn make_way(&self) -> Arc<Notify> {
        self.make_way.clone()
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        self.memory
            .change(|held| held.end(&self.client, self.place, self.bytes));
    }
}

impl Turn {
    /// Waits until the read may hold so many bytes. Cancelling it withdraws.
    ///
    /// # Errors
    /// [`Error::Full`] when that took too long, so that the client may ask another worker.
    pub(crate) async fn admit(self, bytes: u64) -> Result<Admitted, Error> {
        let (memory, client) = (&self.memory, &self.client);
        let mut changes = memory.changes.subscribe();
        let admitted = async {
            loop {
                let admitted = memory.lock().admit(memory.limit, client, self.place, bytes);
                if let Some(make_way) = admitted {
                    return make_way;
                }
                // What changes after the subscription was made is seen above.
                changes.changed().await.expect("the sender is ours");
            }
        };
        let Ok(make_way) = timeout(PATIENCE, admitted).await else {
            let (held, limit) = (memory.lock().total, memory.limit.unwrap_or(u64::MAX));
            return Err(Error::Full { held, limit, bytes });
        };
        Ok(Admitted {
            memory: memory.clone(),
            client: client.clone(),
            place: self.place,
            bytes,
            make_way,
        })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.memory
            .change(|held| held.leave(&self.client, self.place));
    }
}

/// A read that waits longer is refused. Below the half minute after which clients take silence for a failure.
const PATIENCE: Duration = Duration::from_secs(20);
/// So many reads' stored bytes fit at a time.
const READS_IN_MEMORY: u64 = 4;
/// A read that holds more at a time is no faster.
const MOST_STORED_BYTES: u64 = 256 << 20;

#[cfg(test)]
mod tests;
