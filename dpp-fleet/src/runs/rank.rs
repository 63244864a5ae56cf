//! One rank's reports of the last seconds, and the rates between the first and the last of them.

use std::{collections::VecDeque, time::Duration};

use dpp_proto::v1::RankReport;

use crate::autoscaler::StallShares;

/// What one loader said lately.
#[derive(Debug, Default)]
pub(super) struct Rank {
    samples: VecDeque<Sample>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    at: Duration,
    rows: u64,
    elapsed_seconds: f64,
    /// Seconds.
    stalled: StallShares,
}

/// Rates over the last seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rates {
    pub(super) rows_per_second: f64,
    pub(super) stalls: StallShares,
}

impl Rank {
    pub(super) fn add(&mut self, report: &RankReport, now: Duration) {
        let stalled = report.stalled.unwrap_or_default();
        let sample = Sample {
            at: now,
            rows: report.rows,
            elapsed_seconds: report.elapsed_seconds,
            stalled: StallShares {
                storage: stalled.storage,
                decode: stalled.decode,
                transform: stalled.transform,
                network: stalled.network,
                client: stalled.client,
            },
        };
        let restarted = self
            .samples
            .back()
            .is_some_and(|last| last.rows > sample.rows);
        if restarted {
            self.samples.clear();
        }
        self.samples.push_back(sample);
        // One sample older than the window stays, so that the window is always covered.
        while self
            .samples
            .get(1)
            .is_some_and(|second| now.saturating_sub(second.at) >= WINDOW)
            || self.samples.len() > MOST_SAMPLES
        {
            self.samples.pop_front();
        }
    }

    pub(super) fn heard_at(&self) -> Duration {
        self.samples
            .back()
            .map_or(Duration::ZERO, |sample| sample.at)
    }

    /// `None` until two reports lie apart on the loader's own clock.
    pub(super) fn rates(&self) -> Option<Rates> {
        let (first, last) = (self.samples.front()?, self.samples.back()?);
        let seconds = last.elapsed_seconds - first.elapsed_seconds;
        if seconds <= 0.0 {
            return None;
        }
        let share = |from: f64, to: f64| ((to - from) / seconds).clamp(0.0, 1.0);
        let stalls = StallShares {
            storage: share(first.stalled.storage, last.stalled.storage),
            decode: share(first.stalled.decode, last.stalled.decode),
            transform: share(first.stalled.transform, last.stalled.transform),
            network: share(first.stalled.network, last.stalled.network),
            client: share(first.stalled.client, last.stalled.client),
        };
        Some(Rates {
            rows_per_second: (last.rows - first.rows) as f64 / seconds,
            stalls: at_most_all(stalls),
        })
    }
}

/// Causes that a loader attributed anew may add up to more than the time.
fn at_most_all(stalls: StallShares) -> StallShares {
    let over = stalls.total().max(1.0);
    StallShares {
        storage: stalls.storage / over,
        decode: stalls.decode / over,
        transform: stalls.transform / over,
        network: stalls.network / over,
        client: stalls.client / over,
    }
}

/// Rates are averaged over this time: some batches of a slow trainer.
const WINDOW: Duration = Duration::from_secs(8);
const MOST_SAMPLES: usize = 64;
