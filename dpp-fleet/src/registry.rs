//! Workers by address, each with the time it was last heard of.
//!
//! Heartbeats go in, lists of the workers still there come out. A worker asked to leave is listed no longer and hears
//! it with its next heartbeat. Pure: time is an argument, counted from any fixed moment.

use std::{collections::BTreeMap, time::Duration};

use dpp_proto::{
    listen::Address,
    v1::{HeartbeatRequest, WorkerEntry},
};

use crate::Error;

/// How long a worker is remembered, and how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// How often workers are asked to say that they are there.
    pub heartbeat_every: Duration,
    /// A worker silent for this long is forgotten.
    pub expires_after: Duration,
    /// Most workers held: a bound on memory and on the size of a list.
    pub max_workers: usize,
}

impl Settings {
    /// Settings in which a worker may miss two heartbeats and is forgotten with the third.
    pub fn every(heartbeat: Duration) -> Settings {
        Settings {
            heartbeat_every: heartbeat,
            expires_after: heartbeat * 3,
            max_workers: MAX_WORKERS,
        }
    }
}

/// The workers heard of lately.
#[derive(Debug)]
pub struct Registry {
    settings: Settings,
    by_address: BTreeMap<String, Seen>,
    version: u64,
}

impl Registry {
    /// An empty registry, whose list begins with `version`: another one each time the service starts.
    pub fn new(settings: Settings, version: u64) -> Registry {
        Registry {
            settings,
            by_address: BTreeMap::new(),
            version,
        }
    }

    /// Changes whenever the listed addresses do. Never 0.
    pub fn version(&self) -> u64 {
        self.version.max(1)
    }

    /// The settings it was made with.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Number of workers held, the silent ones among them not yet forgotten included.
    pub fn len(&self) -> usize {
        self.by_address.len()
    }

    /// True when no worker is held.
    pub fn is_empty(&self) -> bool {
        self.by_address.is_empty()
    }

    /// Takes note of a worker, or of its leaving when it says that it drains. Returns whether it was asked to leave.
    ///
    /// A worker with a new id on a known address replaces the one known there: addresses are not shared.
    /// Fails when the heartbeat names nothing reachable, or when a new worker meets a full registry.
    pub fn heartbeat(
        &mut self,
        heartbeat: &HeartbeatRequest,
        now: Duration,
    ) -> Result<bool, Error> {
        check(heartbeat)?;
        if heartbeat.draining {
            self.forget(heartbeat);
            return Ok(true);
        }
        // `None`: not known. Whether it was asked to leave, and whether this is still the same worker.
        let known = self
            .by_address
            .get(&heartbeat.address)
            .map(|seen| (seen.asked_to_leave, seen.worker_id == heartbeat.worker_id));
        let asked_to_leave = known == Some((true, true));
        if known.is_none() {
            self.make_room(now)?;
        }
        if known.is_none() || known == Some((true, false)) {
            self.version += 1; // a newcomer, or the successor of one that was listed no longer
        }
        let seen = Seen {
            worker_id: heartbeat.worker_id.clone(),
            slots: heartbeat.slots,
            active_reads: heartbeat.active_reads,
            heard_at: now,
            asked_to_leave,
        };
        self.by_address.insert(heartbeat.address.clone(), seen);
        Ok(asked_to_leave)
    }

    /// Asks the worker of this id or address to leave; returns its address, or `None` when it is not known.
    pub fn drain(&mut self, worker: &str) -> Option<String> {
        let (address, seen) = self
            .by_address
            .iter_mut()
            .find(|(address, seen)| *address == worker || seen.worker_id == worker)?;
        if !std::mem::replace(&mut seen.asked_to_leave, true) {
            self.version += 1;
        }
        Some(address.clone())
    }

    /// Whether the worker at `address` was asked to leave and has not left yet.
    pub fn is_leaving(&self, address: &str) -> bool {
        let seen = self.by_address.get(address);
        seen.is_some_and(|seen| seen.asked_to_leave)
    }

    /// Workers heard of within the last `expires_after`, sorted by address, without those asked to leave.
    /// Forgets the silent ones.
    pub fn list(&mut self, now: Duration) -> Vec<WorkerEntry> {
        let mut all = self.all(now);
        all.retain(|worker| !self.is_leaving(&worker.address));
        all
    }

    /// As [`Registry::list`], with those asked to leave.
    pub fn all(&mut self, now: Duration) -> Vec<WorkerEntry> {
        self.expire(now);
        self.by_address
            .iter()
            .map(|(address, seen)| WorkerEntry {
                worker_id: seen.worker_id.clone(),
                address: address.clone(),
                slots: seen.slots,
                active_reads: seen.active_reads,
                silent_ms: u32::try_from(seen.silence(now).as_millis()).unwrap_or(u32::MAX),
            })
            .collect()
    }

    /// Forgets workers silent for `expires_after` or longer.
    pub fn expire(&mut self, now: Duration) {
        let (limit, known) = (self.settings.expires_after, self.by_address.len());
        self.by_address.retain(|_, seen| seen.silence(now) < limit);
        self.version += u64::from(self.by_address.len() < known);
    }

    /// Forgets the worker of this id.
    pub fn forget_id(&mut self, worker_id: &str) {
        let known = self.by_address.len();
        self.by_address
            .retain(|_, seen| seen.worker_id != worker_id);
        self.version += u64::from(self.by_address.len() < known);
    }

    fn make_room(&mut self, now: Duration) -> Result<(), Error> {
        let limit = self.settings.max_workers;
        if self.by_address.len() >= limit {
            self.expire(now);
        }
        if self.by_address.len() >= limit {
            return Err(Error::Full { limit });
        }
        Ok(())
    }

    /// A worker that leaves takes only its own entry along, not that of a successor on its address.
    fn forget(&mut self, leaving: &HeartbeatRequest) {
        let known = self.by_address.get(&leaving.address);
        if known.is_some_and(|seen| seen.worker_id == leaving.worker_id) {
            self.by_address.remove(&leaving.address);
            self.version += 1;
        }
    }
}

#[derive(Debug)]
struct Seen {
    worker_id: String,
    slots: u32,
    active_reads: u64,
    heard_at: Duration,
    asked_to_leave: bool,
}

impl Seen {
    fn silence(&self, now: Duration) -> Duration {
        now.saturating_sub(self.heard_at)
    }
}

fn check(heartbeat: &HeartbeatRequest) -> Result<(), Error> {
    let reason = if heartbeat.worker_id.is_empty() {
        "worker_id is empty"
    } else if heartbeat.worker_id.len() > MAX_ID_BYTES {
        "worker_id is longer than 128 bytes"
    } else if heartbeat.address.len() > MAX_ADDRESS_BYTES {
        "address is longer than 256 bytes"
    } else if !is_reachable(&heartbeat.address) {
        "address must be host:port with a port other than 0, or unix:/path"
    } else if heartbeat.slots == 0 {
        "slots must be at least 1"
    } else {
        return Ok(());
    };
    Err(Error::Heartbeat {
        worker_id: heartbeat.worker_id.chars().take(64).collect(),
        address: heartbeat.address.chars().take(64).collect(),
        reason,
    })
}

fn is_reachable(address: &str) -> bool {
    let Ok(parsed) = address.parse::<Address>() else {
        return false;
    };
    let to_no_port = matches!(&parsed, Address::Tcp(name) if name.ends_with(":0"));
    !to_no_port && parsed.endpoint().is_ok()
}

/// A list of this many stays below the 4 MB that a stock gRPC client takes, with usual addresses.
const MAX_WORKERS: usize = 20_000;
const MAX_ID_BYTES: usize = 128;
const MAX_ADDRESS_BYTES: usize = 256;

#[cfg(test)]
mod tests;
