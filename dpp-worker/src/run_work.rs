//! What this worker did for each run since it started, for the fleet to say what their rows cost.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use dpp_proto::v1::{ReadSummary, RunWork};

/// Sums by run; those of the runs served least recently are forgotten.
#[derive(Debug, Default)]
pub(crate) struct RunWorks {
    by_run: Mutex<HashMap<String, (RunWork, Instant)>>,
}

impl RunWorks {
    /// Adds a read that has ended; waiting for storage it took `waited` slot-seconds.
    pub(crate) fn add(&self, run: &str, read: &ReadSummary, waited: f64) {
        if run.len() > MOST_NAME_BYTES {
            return;
        }
        let now = Instant::now();
        // Sums stay consistent between calls, so a panic elsewhere does not spoil them.
        let mut by_run = self.by_run.lock().unwrap_or_else(PoisonError::into_inner);
        if by_run.len() >= MOST_RUNS && !by_run.contains_key(run) {
            let oldest = by_run.iter().min_by_key(|(_, (_, served_at))| *served_at);
            let oldest = oldest.map(|(run, _)| run.clone()).expect("there are many");
            by_run.remove(&oldest);
        }
        let (work, served_at) = by_run.entry(run.to_owned()).or_insert_with(|| {
            (
                RunWork {
                    run: run.to_owned(),
                    ..RunWork::default()
                },
                now,
            )
        });
        work.rows += read.rows;
        work.slot_seconds += waited + read.decode_seconds + read.transform_seconds;
        *served_at = now;
    }

    /// All sums.
    pub(crate) fn all(&self) -> Vec<RunWork> {
        let by_run = self.by_run.lock().unwrap_or_else(PoisonError::into_inner);
        by_run.values().map(|(work, _)| work.clone()).collect()
    }
}

const MOST_RUNS: usize = 64;
const MOST_NAME_BYTES: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_adds_up_by_run_and_names_are_bounded() {
        let works = RunWorks::default();
        let read = ReadSummary {
            rows: 10,
            decode_seconds: 0.25,
            transform_seconds: 0.25,
            ..ReadSummary::default()
        };
        works.add("a", &read, 0.5);
        works.add("a", &read, 0.5);
        works.add(&"x".repeat(1000), &read, 0.5);
        let all = works.all();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].rows, all[0].slot_seconds), (20, 2.0));
        for run in 0..200 {
            works.add(&format!("run {run}"), &read, 0.5);
        }
        assert_eq!(works.all().len(), MOST_RUNS);
    }
}
