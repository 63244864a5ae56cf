//! What workers do: slot-seconds a row of each run costs, and how busy each worker is. Pure: time is an argument.

use std::{collections::HashMap, time::Duration};

use dpp_proto::v1::HeartbeatRequest;

/// Differences between heartbeats, added up.
#[derive(Debug, Default)]
pub struct Work {
    by_worker: HashMap<String, WorkerWork>,
    by_run: HashMap<String, RunCost>,
}

#[derive(Debug)]
struct WorkerWork {
    heard_at: Duration,
    /// Rows and slot-seconds since the worker started, by run.
    runs: HashMap<String, (u64, f64)>,
    busy_share: f64,
    rows_per_second: f64,
}

/// Sums in which what is old counts less and less.
#[derive(Debug, Default)]
struct RunCost {
    rows: f64,
    slot_seconds: f64,
    at: Duration,
}

impl Work {
    /// Takes note of what a heartbeat says was done.
    pub fn heartbeat(&mut self, heartbeat: &HeartbeatRequest, now: Duration) {
        let before = self.by_worker.remove(&heartbeat.worker_id);
        if heartbeat.draining {
            return;
        }
        let mut runs = HashMap::new();
        let (mut rows_done, mut seconds_done) = (0.0, 0.0);
        for done in heartbeat.runs.iter().take(MOST_RUNS) {
            if done.run.len() > MOST_NAME_BYTES || !done.slot_seconds.is_finite() {
                continue;
            }
            let last = before
                .as_ref()
                .map(|before| before.runs.get(&done.run).copied().unwrap_or_default());
            let (rows, seconds) = last.unwrap_or_default();
            let rows = done.rows.saturating_sub(rows) as f64;
            let seconds = (done.slot_seconds - seconds).max(0.0);
            runs.insert(done.run.clone(), (done.rows, done.slot_seconds));
            if last.is_some() {
                rows_done += rows;
                seconds_done += seconds;
            }
            // What was done before we were there says what a row costs, and must not outweigh what is done now.
            let weight = if last.is_some() {
                1.0
            } else {
                (1.0 / seconds.max(f64::MIN_POSITIVE)).min(1.0)
            };
            self.cost(&done.run, rows * weight, seconds * weight, now);
        }
        let mut work = WorkerWork {
            heard_at: now,
            runs,
            busy_share: 0.0,
            rows_per_second: 0.0,
        };
        if let Some(before) = before {
            let elapsed = now.saturating_sub(before.heard_at).as_secs_f64();
            if elapsed > 0.0 {
                // Reads are counted when they end: a share of one heartbeat is noise.
                let keep = 0.5f64.powf(elapsed / SMOOTHED.as_secs_f64());
                let slots = f64::from(heartbeat.slots.max(1));
                let mix = |old: f64, new: f64| old * keep + new * (1.0 - keep);
                work.busy_share = mix(before.busy_share, seconds_done / (elapsed * slots));
                work.rows_per_second = mix(before.rows_per_second, rows_done / elapsed);
            }
        }
        self.by_worker.insert(heartbeat.worker_id.clone(), work);
    }

    /// Slot-seconds that a row of `run` costs; `None` until a worker has said.
    pub fn slot_seconds_per_row(&self, run: &str) -> Option<f64> {
        let cost = self.by_run.get(run)?;
        (cost.rows > 0.0).then(|| cost.slot_seconds / cost.rows)
    }

    /// Busy share of its slots, rows/s, and number of runs of a worker.
    pub fn of_worker(&self, worker_id: &str) -> (f64, f64, usize) {
        self.by_worker.get(worker_id).map_or((0.0, 0.0, 0), |work| {
            (work.busy_share, work.rows_per_second, work.runs.len())
        })
    }

    /// Forgets workers silent for `limit` or longer, and costs of runs that nobody has worked on for a day.
    pub fn expire(&mut self, limit: Duration, now: Duration) {
        self.by_worker
            .retain(|_, work| now.saturating_sub(work.heard_at) < limit);
        self.by_run
            .retain(|_, cost| now.saturating_sub(cost.at) < REMEMBERED);
    }

    fn cost(&mut self, run: &str, rows: f64, slot_seconds: f64, now: Duration) {
        if rows <= 0.0 || (self.by_run.len() >= MOST_COSTS && !self.by_run.contains_key(run)) {
            return;
        }
        let cost = self.by_run.entry(run.to_owned()).or_default();
        let age = now.saturating_sub(cost.at).as_secs_f64();
        let keep = 0.5f64.powf(age / HALF_LIFE.as_secs_f64());
        cost.rows = cost.rows * keep + rows;
        cost.slot_seconds = cost.slot_seconds * keep + slot_seconds;
        cost.at = now;
    }
}

const HALF_LIFE: Duration = Duration::from_secs(10);
const SMOOTHED: Duration = Duration::from_secs(4);
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Runs of one worker that are looked at.
const MOST_RUNS: usize = 64;
const MOST_COSTS: usize = 4096;
const MOST_NAME_BYTES: usize = 128;
