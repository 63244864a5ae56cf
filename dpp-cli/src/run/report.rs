//! What `dpp run` prints: lines for people, the same as JSON for machines.

use std::fmt;

use dpp_client::Stats;
use serde::Serialize;

use super::Drained;
use crate::output;

/// How a job went.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    steps: u64,
    rows_per_second: f64,
    /// Share of the time in which the next batch was waited for.
    stall_share: f64,
    /// 16 hex digits over every tensor of every batch, in order: the same wherever the job ran.
    checksum: String,
    #[serde(flatten)]
    stats: Stats,
}

impl Report {
    pub(super) fn new(drained: Drained, stats: Stats) -> Report {
        let per_second = |amount: f64| match stats.elapsed_seconds {
            seconds if seconds > 0.0 => amount / seconds,
            _ => 0.0,
        };
        Report {
            steps: drained.steps,
            rows_per_second: per_second(stats.rows as f64),
            stall_share: per_second(stats.stall_seconds),
            checksum: format!("{:016x}", drained.checksum),
            stats,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Stats {
            rows,
            tensor_bytes,
            first_batch_seconds,
            elapsed_seconds,
            stall_seconds,
            wanted_bytes,
            read_bytes,
            requests,
            retries,
            storage_seconds,
            decode_seconds,
            transform_seconds,
            ..
        } = &self.stats;
        let rate = output::count(self.rows_per_second as u64);
        writeln!(
            f,
            "rows         {} in {} steps",
            output::count(*rows),
            self.steps
        )?;
        writeln!(f, "rate         {rate} rows/s over {elapsed_seconds:.2} s")?;
        if let Some(seconds) = first_batch_seconds {
            writeln!(f, "first batch  after {seconds:.3} s")?;
        }
        let share = 100.0 * self.stall_share;
        writeln!(
            f,
            "waited       {stall_seconds:.2} s ({share:.1} %) for the next batch"
        )?;
        writeln!(
            f,
            "reads        {storage_seconds:.2} s storage, {decode_seconds:.2} s decode, {transform_seconds:.2} s transform"
        )?;
        writeln!(
            f,
            "stored       {} read, {} wanted, {} requests, {} tried again",
            output::bytes(*read_bytes),
            output::bytes(*wanted_bytes),
            output::count(*requests),
            output::count(*retries)
        )?;
        writeln!(f, "tensors      {}", output::bytes(*tensor_bytes))?;
        write!(f, "checksum     {}", self.checksum)
    }
}
