//! Who holds and waits for how many bytes. Pure.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use tokio::sync::Notify;

/// Where a read stands among those of its client: its turn, then the order in which it asked.
pub(super) type Place = (u64, u64);

/// Who holds and waits for what. Pure.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) total: u64,
    pub(super) clients: HashMap<String, Client>,
    next_ticket: u64,
}

#[derive(Debug, Default)]
pub(super) struct Client {
    bytes: u64,
    waiting: BTreeSet<Place>,
    /// Reads admitted, and how they are asked to make way.
    admitted: BTreeMap<Place, Arc<Notify>>,
}

impl Held {
    pub(super) fn ask(&mut self, client: &str, turn: u64) -> Place {
        self.next_ticket += 1;
        let place = (turn, self.next_ticket);
        let waiting = &mut self.clients.entry(client.to_owned()).or_default().waiting;
        waiting.insert(place);
        place
    }

    /// Admits a read if it is the first of its client and fits. What is in its way, of later turns, is asked to make way.
    pub(super) fn admit(
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

    pub(super) fn end(&mut self, client: &str, place: Place, bytes: u64) {
        if let Some(client) = self.clients.get_mut(client) {
            client.admitted.remove(&place);
        }
        self.give_back(client, bytes);
    }

    pub(super) fn take(&mut self, client: &str, bytes: u64) {
        self.total += bytes;
        self.clients.entry(client.to_owned()).or_default().bytes += bytes;
    }

    pub(super) fn give_back(&mut self, client: &str, bytes: u64) {
        self.total -= bytes;
        if let Some(client) = self.clients.get_mut(client) {
            client.bytes -= bytes;
        }
        self.forget_idle(client);
    }

    pub(super) fn leave(&mut self, client: &str, place: Place) {
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
