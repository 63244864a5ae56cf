//! Whose fault a wait was: every wait of the trainer is split by what the reads that it waited for were doing.
//!
//! ```text
//! trainer waits for a batch, w seconds
//!   ├─ w · (time its making waited for read r) / (time of its making)   → read r, which splits it as
//!   │      storage : decode : transform : network                       = seconds of that read's cost
//!   └─ the rest (joining frames, waking up)                             → client
//! trainer busy                                                          → nobody
//! ```
//!
//! A read's cost is known when it ends. Until then, and when a worker died before saying, its part is split as all
//! reads that ended so far; before any has ended it is storage's.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::Serialize;

use crate::{source::ReadCost, stats::Meter};

/// Seconds by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct StallByCause {
    /// Reads waited for storage.
    pub storage: f64,
    /// Decrypting, decompressing and decoding.
    pub decode: f64,
    /// Transforming and packing.
    pub transform: f64,
    /// On the wire, in a worker's queue, or lost with a worker.
    pub network: f64,
    /// Joining frames into batches, and handing them over.
    pub client: f64,
    /// The trainer did not wait: it was busy.
    pub nobody: f64,
}

/// How one batch was made: how long it took, and how long it waited for which reads.
#[derive(Debug)]
pub(crate) struct Making {
    took: Duration,
    waits: Vec<(Arc<ReadStall>, Duration)>,
}

/// What the trainer waited for one read.
#[derive(Debug)]
pub(crate) struct ReadStall {
    meter: Arc<Meter>,
    state: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Seconds whose causes are not known yet.
    seconds: f64,
    causes: Option<StallByCause>,
}

impl StallByCause {
    /// What a read did, by cause.
    pub(crate) fn of(cost: &ReadCost) -> StallByCause {
        StallByCause {
            storage: cost.summary.storage_seconds,
            decode: cost.summary.decode_seconds,
            transform: cost.summary.transform_seconds,
            network: cost.network_seconds,
            ..StallByCause::default()
        }
    }

    /// `seconds` in these proportions; all storage's when they are all 0.
    pub(crate) fn scaled_to(self, seconds: f64) -> StallByCause {
        let sum = self.sum();
        if sum <= 0.0 {
            return StallByCause {
                storage: seconds,
                ..StallByCause::default()
            };
        }
        self.map(|part| part / sum * seconds)
    }

    /// Seconds waited: everything but `nobody`.
    pub fn sum(&self) -> f64 {
        self.storage + self.decode + self.transform + self.network + self.client
    }

    /// Adds what was waited.
    pub(crate) fn add(&mut self, other: StallByCause) {
        self.storage += other.storage;
        self.decode += other.decode;
        self.transform += other.transform;
        self.network += other.network;
        self.client += other.client;
    }

    /// Cause and seconds, `nobody` left out.
    pub(crate) fn waited(&self) -> [(&'static str, f64); 5] {
        [
            ("storage", self.storage),
            ("decode", self.decode),
            ("transform", self.transform),
            ("network", self.network),
            ("client", self.client),
        ]
    }

    fn map(self, part: impl Fn(f64) -> f64) -> StallByCause {
        StallByCause {
            storage: part(self.storage),
            decode: part(self.decode),
            transform: part(self.transform),
            network: part(self.network),
            client: part(self.client),
            nobody: self.nobody,
        }
    }
}

impl Making {
    pub(crate) fn new(took: Duration, waits: Vec<(Arc<ReadStall>, Duration)>) -> Making {
        Making { took, waits }
    }

    /// Splits the trainer's wait for this batch over the reads it waited for; returns the client's part.
    pub(crate) fn blame(&self, waited: Duration) -> f64 {
        let (waited, took) = (waited.as_secs_f64(), self.took.as_secs_f64());
        let mut left = waited;
        for (read, part) in &self.waits {
            let seconds = part.as_secs_f64() * (waited / took.max(f64::MIN_POSITIVE)).min(1.0);
            left -= seconds;
            read.add(seconds);
        }
        left.max(0.0)
    }
}

impl ReadStall {
    pub(crate) fn new(meter: &Arc<Meter>) -> Arc<ReadStall> {
        Arc::new(ReadStall {
            meter: meter.clone(),
            state: Mutex::default(),
        })
    }

    fn add(&self, seconds: f64) {
        let mut state = self.lock();
        match state.causes {
            Some(causes) => self.meter.add_stall(causes.scaled_to(seconds)),
            None => state.seconds += seconds,
        }
    }

    /// The read ended: its causes are known.
    pub(crate) fn ended(&self, cost: &ReadCost) {
        self.meter.add_read(cost);
        let causes = StallByCause::of(cost);
        let mut state = self.lock();
        state.causes = Some(causes);
        let seconds = std::mem::take(&mut state.seconds);
        self.meter.add_stall(causes.scaled_to(seconds));
    }

    /// Sums stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ReadStall {
    fn drop(&mut self) {
        let seconds = self.lock().seconds;
        self.meter.add_unexplained_stall(seconds);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use dpp_proto::v1::ReadSummary;

    use super::*;

    fn cost(storage: f64, decode: f64, transform: f64, network: f64) -> ReadCost {
        ReadCost {
            summary: ReadSummary {
                storage_seconds: storage,
                decode_seconds: decode,
                transform_seconds: transform,
                ..ReadSummary::default()
            },
            network_seconds: network,
            ..ReadCost::default()
        }
    }

    fn meter() -> Arc<Meter> {
        let meter = Arc::new(Meter::new(Instant::now()));
        meter.add_batch(1, 1, Duration::ZERO); // the first batch is no stall
        meter.begin();
        meter
    }

    /// One batch whose making took 4 s, 3 of them waiting for `read`, and for which the trainer waited `waited`.
    fn deliver(meter: &Meter, read: &Arc<ReadStall>, waited: Duration) {
        let making = Making::new(
            Duration::from_secs(4),
            vec![(read.clone(), Duration::from_secs(3))],
        );
        meter.add_batch(1, 1, waited);
        let client = making.blame(waited);
        meter.add_stall(StallByCause {
            client,
            ..StallByCause::default()
        });
    }

    fn rounded(stalls: StallByCause) -> [(&'static str, f64); 5] {
        stalls
            .waited()
            .map(|(cause, seconds)| (cause, (seconds * 1e6).round() / 1e6))
    }

    #[test]
    fn a_wait_is_split_as_the_read_was() {
        let meter = meter();
        let read = ReadStall::new(&meter);
        deliver(&meter, &read, Duration::from_secs(2)); // before the read ends
        read.ended(&cost(6.0, 3.0, 2.0, 1.0));
        deliver(&meter, &read, Duration::from_secs(2)); // and after
        let stats = meter.stats();
        assert_eq!(
            rounded(stats.stall_by_cause),
            [
                ("storage", 1.5),
                ("decode", 0.75),
                ("transform", 0.5),
                ("network", 0.25),
                ("client", 1.0)
            ]
        );
        assert_eq!(stats.stall_seconds, 4.0);
    }

    #[test]
    fn what_no_read_explained_is_split_as_others_were() {
        let meter = meter();
        let (told, lost) = (ReadStall::new(&meter), ReadStall::new(&meter));
        deliver(&meter, &lost, Duration::from_secs(4));
        let before = meter.stats().stall_by_cause;
        assert_eq!(rounded(before)[0], ("storage", 3.0), "nothing is known yet");
        told.ended(&cost(0.0, 0.0, 5.0, 5.0));
        drop(lost);
        let after = rounded(meter.stats().stall_by_cause);
        assert_eq!(
            after[2..],
            [("transform", 1.5), ("network", 1.5), ("client", 1.0)]
        );
    }

    #[test]
    fn a_trainer_that_waits_longer_than_the_making_took_waits_for_the_client() {
        let meter = meter();
        let read = ReadStall::new(&meter);
        read.ended(&cost(1.0, 0.0, 0.0, 0.0));
        deliver(&meter, &read, Duration::from_secs(10));
        let stalls = rounded(meter.stats().stall_by_cause);
        assert_eq!((stalls[0], stalls[4]), (("storage", 3.0), ("client", 7.0)));
    }
}
