//! What the autoscaler is told.

use std::time::Duration;

use super::verdict::Verdict;

/// The fleet at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'a> {
    /// Since any fixed moment; never earlier than the last.
    pub now: Duration,
    /// Workers that are there.
    pub workers: u32,
    /// Their slots in all.
    pub slots: u32,
    /// Runs heard of lately.
    pub runs: &'a [RunLoad],
}

/// One run, averaged over the last seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunLoad {
    /// Its name.
    pub run: String,
    /// Rows its trainers received, per second.
    pub rows_per_second: f64,
    /// Rows they could have taken, per second: received ÷ (elapsed − stalled). `None` while nothing was received.
    pub wanted_rows_per_second: Option<f64>,
    /// Slot-seconds that a row costs, waits for storage included. `None` until a worker has said.
    pub slot_seconds_per_row: Option<f64>,
    /// What its slowest rank waited for.
    pub stalls: StallShares,
}

/// Shares of the time that a trainer waited, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StallShares {
    /// For storage.
    pub storage: f64,
    /// For decompressing and decoding.
    pub decode: f64,
    /// For transforming and packing.
    pub transform: f64,
    /// For the wire, or in a worker's queue.
    pub network: f64,
    /// For its own process.
    pub client: f64,
}

impl StallShares {
    /// The whole share.
    pub fn total(&self) -> f64 {
        self.by_workers() + self.client
    }

    /// The share that workers may be able to change.
    pub fn by_workers(&self) -> f64 {
        self.storage + self.decode + self.transform + self.network
    }

    /// Whose fault it is that added workers raised nothing.
    pub(super) fn wall(&self) -> Verdict {
        let computing = self.decode + self.transform;
        if self.storage >= computing && self.storage >= self.network {
            Verdict::StorageBound
        } else if self.network >= computing {
            Verdict::NetworkBound
        } else {
            Verdict::ProcessorBound
        }
    }
}

impl RunLoad {
    /// Whether it waits, beyond the unavoidable, for what workers do.
    pub(super) fn waits_for_workers(&self) -> bool {
        self.stalls.by_workers() >= WAITS
    }

    /// Whether it waits for its own process.
    pub(super) fn waits_for_client(&self) -> bool {
        self.stalls.client >= WAITS && self.stalls.client > self.stalls.by_workers()
    }
}

/// Less of the time is no stall worth a worker.
const WAITS: f64 = 0.02;
