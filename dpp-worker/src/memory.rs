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

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt::{self, Display, Formatter},
    str::FromStr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Notify, watch},
    time::timeout,
};

use crate::{Error, metrics};

/// A number of bytes, as people write it: `2GiB`, `512MiB`, `1000000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

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

/// Where a read stands among those of its client: its turn, then the order in which it asked.
type Place = (u64, u64);

/// Who holds and waits for what. Pure.
#[derive(Debug, Default)]
struct Held {
    total: u64,
    clients: HashMap<String, Client>,
    next_ticket: u64,
}

#[derive(Debug, Default)]
struct Client {
    bytes: u64,
    waiting: BTreeSet<Place>,
    /// Reads admitted, and how they are asked to make way.
    admitted: BTreeMap<Place, Arc<Notify>>,
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

impl Held {
    fn ask(&mut self, client: &str, turn: u64) -> Place {
        self.next_ticket += 1;
        let place = (turn, self.next_ticket);
        let waiting = &mut self.clients.entry(client.to_owned()).or_default().waiting;
        waiting.insert(place);
        place
    }

    /// Admits a read if it is the first of its client and fits. What is in its way, of later turns, is asked to make way.
    fn admit(
        &mut self,
        limit: Option<u64>,
        client: &str,
        place: Place,
        bytes: u64,
    ) -> Option<Arc<Notify>> {
        let asking = self.clients.get_mut(client)?;
        if asking.waiting.first() != Some(&place) {
            return None;
        }
        if limit.is_some_and(|limit| !fits(limit, self.total, asking.bytes, bytes)) {
            if let Some((latest, make_way)) = asking.admitted.last_key_value()
                && latest.0 > place.0
            {
                make_way.notify_one();
            }
            return None;
        }
        let make_way = Arc::new(Notify::new());
        asking.admitted.insert(place, make_way.clone());
        self.take(client, bytes);
        Some(make_way)
    }

    fn end(&mut self, client: &str, place: Place, bytes: u64) {
        if let Some(client) = self.clients.get_mut(client) {
            client.admitted.remove(&place);
        }
        self.give_back(client, bytes);
    }

    fn take(&mut self, client: &str, bytes: u64) {
        self.total += bytes;
        self.clients.entry(client.to_owned()).or_default().bytes += bytes;
    }

    fn give_back(&mut self, client: &str, bytes: u64) {
        self.total -= bytes;
        if let Some(client) = self.clients.get_mut(client) {
            client.bytes -= bytes;
        }
        self.forget_idle(client);
    }

    fn leave(&mut self, client: &str, place: Place) {
        if let Some(client) = self.clients.get_mut(client) {
            client.waiting.remove(&place);
        }
        self.forget_idle(client);
    }

    fn forget_idle(&mut self, client: &str) {
        let is_idle = |client: &Client| client.admitted.is_empty() && client.waiting.is_empty();
        if self.clients.get(client).is_some_and(is_idle) {
            self.clients.remove(client);
        }
    }
}

/// Whether a client that holds `own` of `total` bytes may have `bytes` more. One that holds some leaves room for a read of
/// that size by another.
fn fits(limit: u64, total: u64, own: u64, bytes: u64) -> bool {
    let free = limit.saturating_sub(total);
    let room = bytes.saturating_mul(if own == 0 { 1 } else { 2 });
    total == 0 || (room <= free && own.saturating_add(bytes) <= free.saturating_mul(2))
}

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<ByteSize, String> {
        let wrong = || format!("{text:?} is no number of bytes: write 2GiB, 512MiB or 1000000000");
        let digits = text.trim_end_matches(|letter: char| !letter.is_ascii_digit());
        let unit: u64 = match text[digits.len()..].trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            "kB" | "KB" => 1_000,
            "MB" => 1_000_000,
            "GB" => 1_000_000_000,
            _ => return Err(wrong()),
        };
        let count: u64 = digits.parse().map_err(|_| wrong())?;
        count.checked_mul(unit).map(ByteSize).ok_or_else(wrong)
    }
}

impl Display for ByteSize {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let mebibytes = self.0 as f64 / f64::from(1 << 20);
        if mebibytes < 1.0 {
            write!(formatter, "{} B", self.0)
        } else {
            write!(formatter, "{mebibytes:.0} MiB")
        }
    }
}

/// A read that waits longer is refused. Below the half minute after which clients take silence for a failure.
const PATIENCE: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes and clients.
    fn totals(memory: &Memory) -> (u64, usize) {
        let held = memory.lock();
        (held.total, held.clients.len())
    }

    #[tokio::test]
    async fn a_client_that_holds_on_stops_itself_only() {
        let memory = Memory::new(Some(ByteSize(90)));
        let mut slow = Vec::new();
        while let Ok(admitted) =
            timeout(Duration::from_millis(1), memory.queue("slow", 0).admit(10)).await
        {
            slow.push(admitted.unwrap());
        }
        assert_eq!(slow.len(), 6, "two thirds");
        for _ in 0..100 {
            memory.queue("quick", 0).admit(20).await.unwrap();
        }
        slow.pop();
        memory.queue("slow", 0).admit(10).await.unwrap();
        drop(slow);
        assert_eq!(totals(&memory), (0, 0));
    }

    #[tokio::test]
    async fn a_client_with_large_reads_leaves_room_for_one_of_another() {
        let memory = Memory::new(Some(ByteSize(90)));
        let _slow = memory.queue("slow", 0).admit(35).await.unwrap();
        let second = timeout(Duration::from_millis(1), memory.queue("slow", 0).admit(35)).await;
        assert!(second.is_err(), "it would fill all");
        memory.queue("quick", 0).admit(35).await.unwrap();
    }

    #[tokio::test]
    async fn what_never_fits_goes_alone() {
        let memory = Memory::new(Some(ByteSize(90)));
        let alone = memory.queue("a", 0).admit(1_000).await.unwrap();
        let waiting = timeout(Duration::from_millis(1), memory.queue("b", 0).admit(1)).await;
        assert!(waiting.is_err());
        drop(alone);
        let mut small = memory.queue("b", 0).admit(1).await.unwrap();
        small.holds(60);
        assert_eq!(memory.lock().total, 60);
    }

    #[tokio::test]
    async fn a_clients_reads_are_admitted_in_turn() {
        let memory = Memory::new(Some(ByteSize(90)));
        let first = memory.queue("a", 0).admit(60).await.unwrap();
        let large = memory.queue("a", 0).admit(50);
        tokio::pin!(large);
        assert!(futures::poll!(&mut large).is_pending());
        let small = memory.queue("a", 0).admit(1);
        tokio::pin!(small);
        assert!(
            futures::poll!(&mut small).is_pending(),
            "it would fit, and is not its turn"
        );
        drop(first);
        drop((large.await.unwrap(), small.await.unwrap()));
    }

    #[tokio::test]
    async fn what_came_too_early_makes_way_for_earlier_turns() {
        let memory = Memory::new(Some(ByteSize(90)));
        let later = memory.queue("a", 7).admit(40).await.unwrap();
        let latest = memory.queue("a", 9).admit(20).await.unwrap();
        let mut first = Box::pin(memory.queue("a", 3).admit(40));
        assert!(futures::poll!(&mut first).is_pending());
        timeout(Duration::from_secs(1), latest.make_way().notified())
            .await
            .unwrap();
        drop(latest);
        assert!(futures::poll!(&mut first).is_pending(), "not enough");
        timeout(Duration::from_secs(1), later.make_way().notified())
            .await
            .unwrap();
        drop(later);
        let first = first.await.unwrap();
        let mut again = Box::pin(memory.queue("a", 7).admit(40));
        assert!(futures::poll!(&mut again).is_pending());
        let told = timeout(Duration::from_millis(1), first.make_way().notified()).await;
        assert!(told.is_err(), "earlier ones make way for nobody");
        drop(first);
        drop(again.await.unwrap());
        assert_eq!(totals(&memory), (0, 0));
    }

    #[test]
    fn sizes_are_written_as_people_do() {
        let sizes = [
            ("2GiB", 2 << 30),
            ("512 MiB", 512 << 20),
            ("7", 7),
            ("1MB", 1_000_000),
        ];
        for (text, bytes) in sizes {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)));
        }
        for wrong in ["", "GiB", "2 gigs", "-1", "1.5GiB", "99999999999999GiB"] {
            assert!(wrong.parse::<ByteSize>().is_err(), "{wrong}");
        }
    }
}
