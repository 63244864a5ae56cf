//! What a loader did, and how long the trainer waited for it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};
use serde::Serialize;

use crate::{
    source::{ReadCost, Repeats},
    stall::StallByCause,
};

const ROWS: &str = "dpp_client_rows_total";
const STALL_SECONDS: &str = "dpp_client_stall_seconds_total";
const FAILOVERS: &str = "dpp_client_failovers_total";
const HEDGES: &str = "dpp_client_hedges_total";

/// Sums since the loader was opened.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Stats {
    /// Rows the trainer received.
    pub rows: u64,
    /// Batches the trainer received.
    pub batches: u64,
    /// Bytes of the tensors it received.
    pub tensor_bytes: u64,
    /// Seconds from opening the loader to its first batch.
    pub first_batch_seconds: Option<f64>,
    /// Seconds since the first pass began.
    pub elapsed_seconds: f64,
    /// Seconds the trainer waited for data, after its first batch.
    pub stall_seconds: f64,
    /// Those seconds by cause, and the seconds in which the trainer was busy. How waits are split: see `stall.rs`.
    pub stall_by_cause: StallByCause,
    /// Bytes of frames and batches that waited for the trainer at a time, at most.
    pub most_buffered_bytes: u64,
    /// Stored bytes of the projected column chunks.
    pub wanted_bytes: u64,
    /// Bytes fetched from storage.
    pub read_bytes: u64,
    /// Requests to storage.
    pub requests: u64,
    /// Answers of storage that said to try again (429, 5xx), or that never came.
    pub retries: u64,
    /// Seconds that reads waited for storage, over all reads.
    pub storage_seconds: f64,
    /// Seconds that compute threads spent decrypting, decompressing and decoding, over all reads.
    pub decode_seconds: f64,
    /// Seconds that compute threads spent transforming and packing, over all reads.
    pub transform_seconds: f64,
    /// Seconds that frames were on their way from workers, over all reads.
    pub network_seconds: f64,
    /// Reads asked for again at another worker, after one had broken off.
    pub failovers: u64,
    /// Reads asked for at a second worker, while the first was far slower than the others.
    pub hedges: u64,
    /// Hedges that were faster.
    pub hedges_won: u64,
}

impl Stats {
    /// One line for people: how much, how fast, and what the trainer waited for.
    pub fn summary(&self) -> String {
        let seconds = self.elapsed_seconds.max(f64::MIN_POSITIVE);
        let mut causes = self.stall_by_cause.waited().to_vec();
        causes.retain(|(_, waited)| *waited >= WORTH_SAYING * seconds);
        causes.sort_by(|(_, left), (_, right)| right.total_cmp(left));
        let share = |waited: f64| format!("{:.1} %", waited / seconds * 100.0);
        let causes: Vec<String> = causes
            .into_iter()
            .map(|(cause, waited)| format!("{cause} {}", share(waited)))
            .collect();
        let by_cause = if causes.is_empty() {
            String::new()
        } else {
            format!(": {}", causes.join(", "))
        };
        format!(
            "{} rows in {:.1} s ({:.0} rows/s, {} batches); the trainer waited {:.1} s, {} of the time{by_cause}",
            self.rows,
            self.elapsed_seconds,
            self.rows as f64 / seconds,
            self.batches,
            self.stall_seconds,
            share(self.stall_seconds),
        )
    }
}

impl Stats {
    fn reads_by_cause(&self) -> StallByCause {
        StallByCause {
            storage: self.storage_seconds,
            decode: self.decode_seconds,
            transform: self.transform_seconds,
            network: self.network_seconds,
            ..StallByCause::default()
        }
    }
}

/// Counts while the loader runs.
#[derive(Debug)]
pub(crate) struct Meter {
    opened: Instant,
    state: Mutex<(Stats, Option<Instant>)>,
    /// Since when the trainer waits, if it does.
    waiting_since: Mutex<Option<Instant>>,
}

/// Causes of a smaller share of the time are not said.
const WORTH_SAYING: f64 = 0.001;

impl Meter {
    pub(crate) fn new(opened: Instant) -> Meter {
        describe_counter!(ROWS, Unit::Count, "Rows the trainer received");
        describe_counter!(FAILOVERS, Unit::Count, "Reads asked for again elsewhere");
        describe_counter!(
            HEDGES,
            Unit::Count,
            "Reads asked for at a second worker as well"
        );
        describe_gauge!(
            STALL_SECONDS,
            Unit::Seconds,
            "Seconds the trainer waited for data, by cause: storage, decode, transform, network, client"
        );
        Meter {
            opened,
            state: Mutex::default(),
            waiting_since: Mutex::default(),
        }
    }

    /// A pass begins.
    pub(crate) fn begin(&self) {
        self.lock().1.get_or_insert_with(Instant::now);
    }

    /// The trainer received a batch after waiting; returns whether that counts as a stall, as it does from the second on.
    pub(crate) fn add_batch(&self, rows: u64, tensor_bytes: u64, waited: Duration) -> bool {
        counter!(ROWS).increment(rows);
        let mut state = self.lock();
        let stats = &mut state.0;
        stats.rows += rows;
        stats.batches += 1;
        stats.tensor_bytes += tensor_bytes;
        let is_first = stats.first_batch_seconds.is_none();
        if is_first {
            stats.first_batch_seconds = Some(self.opened.elapsed().as_secs_f64());
        } else {
            stats.stall_seconds += waited.as_secs_f64();
        }
        !is_first
    }

    /// The trainer begins to wait, or ends.
    pub(crate) fn waits(&self, since: Option<Instant>) {
        *self
            .waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = since;
    }

    /// So many bytes are waiting for the trainer.
    pub(crate) fn note_buffered(&self, most: u64) {
        let mut state = self.lock();
        state.0.most_buffered_bytes = state.0.most_buffered_bytes.max(most);
    }

    /// The trainer waited, for these causes.
    pub(crate) fn add_stall(&self, stall: StallByCause) {
        for (cause, seconds) in stall.waited() {
            if seconds > 0.0 {
                gauge!(STALL_SECONDS, "cause" => cause).increment(seconds);
            }
        }
        self.lock().0.stall_by_cause.add(stall);
    }

    /// The trainer waited for a read that did not say what it did.
    pub(crate) fn add_unexplained_stall(&self, seconds: f64) {
        if seconds > 0.0 {
            let causes = self.lock().0.reads_by_cause();
            self.add_stall(causes.scaled_to(seconds));
        }
    }

    /// A read ended.
    pub(crate) fn add_read(&self, cost: &ReadCost) {
        let read = &cost.summary;
        let mut state = self.lock();
        let stats = &mut state.0;
        stats.read_bytes += read.read_bytes;
        stats.wanted_bytes += read.wanted_bytes;
        stats.requests += read.requests;
        stats.retries += read.retries;
        stats.storage_seconds += read.storage_seconds;
        stats.decode_seconds += read.decode_seconds;
        stats.transform_seconds += read.transform_seconds;
        stats.network_seconds += cost.network_seconds;
        let Repeats {
            failovers,
            hedges,
            hedges_won,
        } = cost.repeats;
        counter!(FAILOVERS).increment(failovers);
        counter!(HEDGES).increment(hedges);
        stats.failovers += failovers;
        stats.hedges += hedges;
        stats.hedges_won += hedges_won;
    }

    /// Sums, up to the last batch.
    pub(crate) fn stats(&self) -> Stats {
        self.stats_with(Duration::ZERO)
    }

    /// Sums, with a wait under way as if it ended now. The wait for the first batch is none.
    pub(crate) fn stats_now(&self) -> Stats {
        let since = *self
            .waiting_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        self.stats_with(since.map(|since| since.elapsed()).unwrap_or_default())
    }

    fn stats_with(&self, waited: Duration) -> Stats {
        let state = self.lock();
        let mut stats = state.0.clone();
        if stats.first_batch_seconds.is_some() {
            stats.stall_seconds += waited.as_secs_f64();
        }
        stats.elapsed_seconds = state.1.map_or(0.0, |began| began.elapsed().as_secs_f64());
        // Waits for reads that are still under way.
        let pending = stats.stall_seconds - stats.stall_by_cause.sum();
        if pending > 0.0 {
            let causes = stats.reads_by_cause().scaled_to(pending);
            stats.stall_by_cause.add(causes);
        }
        stats.stall_by_cause.nobody = (stats.elapsed_seconds - stats.stall_seconds).max(0.0);
        stats
    }

    /// Sums stay consistent between calls, so a panic elsewhere does not spoil them.
    fn lock(&self) -> MutexGuard<'_, (Stats, Option<Instant>)> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_says_what_was_waited_for() {
        let stats = Stats {
            rows: 1_000_000,
            batches: 100,
            elapsed_seconds: 20.0,
            stall_seconds: 3.0,
            stall_by_cause: StallByCause {
                storage: 1.0,
                transform: 1.8,
                client: 0.01,
                nobody: 17.0,
                ..StallByCause::default()
            },
            ..Stats::default()
        };
        assert_eq!(
            stats.summary(),
            "1000000 rows in 20.0 s (50000 rows/s, 100 batches); the trainer waited 3.0 s, 15.0 % of the time: transform \
             9.0 %, storage 5.0 %"
        );
        assert!(Stats::default().summary().starts_with("0 rows in 0.0 s"));
    }
}
