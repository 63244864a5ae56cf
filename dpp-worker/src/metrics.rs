//! What a worker counts: through the `metrics` facade, and for `Stats`.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use dpp_proto::v1::{ReadSummary, StatsResponse};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

const ROWS: &str = "dpp_worker_rows_total";
const STAGE_SECONDS: &str = "dpp_worker_stage_seconds";
const ACTIVE_READS: &str = "dpp_worker_active_reads";
const HELD_BYTES: &str = "dpp_worker_held_bytes";

/// Registers names, units and help with whatever recorder the process has.
pub(crate) fn describe() {
    describe_counter!(ROWS, Unit::Count, "Rows sent as frames");
    // A counter would count whole seconds.
    describe_gauge!(
        STAGE_SECONDS,
        Unit::Seconds,
        "Seconds since the start, by stage: storage (reads waited), decode and transform (threads worked)"
    );
    dpp_table::metrics::describe();
    describe_gauge!(HELD_BYTES, Unit::Bytes, "Bytes that reads hold in buffers");
    describe_gauge!(ACTIVE_READS, Unit::Count, "Reads under way");
}

/// Reads hold so many bytes.
pub(crate) fn held(bytes: u64) {
    gauge!(HELD_BYTES).set(bytes as f64);
}

/// Sums over all reads of one engine.
#[derive(Debug)]
pub(crate) struct Totals {
    started: Instant,
    active_reads: AtomicU64,
    total: Mutex<ReadSummary>,
}

/// A read under way, until dropped.
pub(crate) struct ActiveRead<'a>(&'a Totals);

impl Default for Totals {
    fn default() -> Totals {
        Totals {
            started: Instant::now(),
            active_reads: AtomicU64::new(0),
            total: Mutex::default(),
        }
    }
}

impl Totals {
    pub(crate) fn begin_read(&self) -> ActiveRead<'_> {
        self.active_reads.fetch_add(1, Ordering::Relaxed);
        gauge!(ACTIVE_READS).increment(1);
        ActiveRead(self)
    }

    pub(crate) fn active_reads(&self) -> u64 {
        self.active_reads.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self, read: &ReadSummary) {
        counter!(ROWS).increment(read.rows);
        for (stage, seconds) in [
            ("storage", read.storage_seconds),
            ("decode", read.decode_seconds),
            ("transform", read.transform_seconds),
        ] {
            gauge!(STAGE_SECONDS, "stage" => stage).increment(seconds);
        }
        let mut total = self.total.lock().unwrap_or_else(PoisonError::into_inner);
        total.rows += read.rows;
        total.read_bytes += read.read_bytes;
        total.wanted_bytes += read.wanted_bytes;
        total.requests += read.requests;
        total.retries += read.retries;
        total.storage_seconds += read.storage_seconds;
        total.decode_seconds += read.decode_seconds;
        total.transform_seconds += read.transform_seconds;
    }

    pub(crate) fn stats(&self, jobs: usize) -> StatsResponse {
        StatsResponse {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: self.started.elapsed().as_secs(),
            jobs: jobs as u64,
            active_reads: self.active_reads(),
            total: Some(*self.total.lock().unwrap_or_else(PoisonError::into_inner)),
        }
    }
}

impl Drop for ActiveRead<'_> {
    fn drop(&mut self) {
        self.0.active_reads.fetch_sub(1, Ordering::Relaxed);
        gauge!(ACTIVE_READS).decrement(1);
    }
}
