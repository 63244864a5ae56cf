//! Runs by name, from the reports of their ranks: what they get, what they could take, and what they wait for.
//!
//! Trainers of a run go in step, so the rank that waits most holds up all: a run wants
//! Σ rows/s of its ranks ÷ (1 − the largest stall share). Pure: time is an argument.

mod rank;

use std::{collections::BTreeMap, time::Duration};

use dpp_proto::v1::RankReport;

use self::rank::Rank;
use crate::{Error, autoscaler::RunLoad, work::Work};

/// The runs heard of lately.
#[derive(Debug, Default)]
pub struct Runs {
    by_name: BTreeMap<String, Run>,
    loaders: usize,
}

/// One run.
#[derive(Debug, Default)]
pub(crate) struct Run {
    /// By loader.
    ranks: BTreeMap<String, Rank>,
    /// What it wanted when that was last known, in rows/s.
    wanted: Option<f64>,
    /// The last report of any rank.
    pub(crate) last: RankReport,
    pub(crate) heard_at: Duration,
}

impl Runs {
    /// Takes note of a report.
    ///
    /// # Errors
    /// [`Error::Report`] when it can't be meant. One rank more than can be held is left out, without an error.
    pub fn report(&mut self, report: RankReport, now: Duration) -> Result<(), Error> {
        let name = name(&report).to_owned();
        check(&report, &name)?;
        let run = self.by_name.get(&name);
        let is_new = run.is_none_or(|run| !run.ranks.contains_key(&report.loader_id));
        if is_new {
            if self.loaders >= MOST_LOADERS {
                return Ok(());
            }
            self.loaders += 1;
        }
        let run = self.by_name.entry(name).or_default();
        run.ranks
            .entry(report.loader_id.clone())
            .or_default()
            .add(&report, now);
        (run.last, run.heard_at) = (report, now);
        Ok(())
    }

    /// Forgets ranks silent for `limit` or longer, and runs without ranks.
    pub fn expire(&mut self, limit: Duration, now: Duration) {
        for run in self.by_name.values_mut() {
            run.ranks
                .retain(|_, rank| now.saturating_sub(rank.heard_at()) < limit);
        }
        self.by_name.retain(|_, run| !run.ranks.is_empty());
        self.loaders = self.by_name.values().map(|run| run.ranks.len()).sum();
    }

    /// The loads of all runs, by name; `work` knows what their rows cost.
    pub fn loads(&mut self, work: &Work) -> Vec<RunLoad> {
        self.by_name
            .iter_mut()
            .map(|(name, run)| RunLoad {
                slot_seconds_per_row: work.slot_seconds_per_row(name),
                ..run.load(name)
            })
            .collect()
    }

    /// A run by name.
    pub(crate) fn get(&self, name: &str) -> Option<&Run> {
        self.by_name.get(name)
    }

    /// Ranks of all runs.
    pub fn ranks(&self) -> usize {
        self.loaders
    }
}

impl Run {
    pub(crate) fn ranks(&self) -> usize {
        self.ranks.len()
    }

    fn load(&mut self, name: &str) -> RunLoad {
        let rates: Vec<_> = self.ranks.values().filter_map(Rank::rates).collect();
        let rows_per_second = rates.iter().map(|rank| rank.rows_per_second).sum();
        let slowest = rates
            .iter()
            .max_by(|left, right| left.stalls.total().total_cmp(&right.stalls.total()));
        let stalls = slowest.map(|rank| rank.stalls).unwrap_or_default();
        let busy = 1.0 - stalls.total();
        if rows_per_second > 0.0 {
            self.wanted = Some(rows_per_second / busy.max(LEAST_BUSY));
        } else if busy > LEAST_BUSY && slowest.is_some() {
            self.wanted = Some(0.0); // the trainer does something else
        }
        RunLoad {
            run: name.to_owned(),
            rows_per_second,
            wanted_rows_per_second: self.wanted,
            slot_seconds_per_row: None,
            stalls,
        }
    }
}

/// What a run is called here.
fn name(report: &RankReport) -> &str {
    report.run.as_ref().map_or("", |run| &run.name)
}

fn check(report: &RankReport, name: &str) -> Result<(), Error> {
    let stalled = report.stalled.unwrap_or_default();
    let seconds = [
        report.elapsed_seconds,
        stalled.storage,
        stalled.decode,
        stalled.transform,
        stalled.network,
        stalled.client,
    ];
    let team = report.run.as_ref().map_or("", |run| &run.team);
    let reason = if report.loader_id.is_empty() || report.loader_id.len() > MOST_NAME_BYTES {
        "loader_id must have 1 to 128 bytes"
    } else if name.len() > MOST_NAME_BYTES || team.len() > MOST_NAME_BYTES {
        "names of run and team must not be longer than 128 bytes"
    } else if !seconds.iter().all(|s| s.is_finite() && *s >= 0.0) {
        "seconds must be finite and not negative"
    } else {
        return Ok(());
    };
    Err(Error::Report {
        run: name.chars().take(64).collect(),
        reason,
    })
}

/// A trainer is not believed to be faster than this many times what it gets.
const LEAST_BUSY: f64 = 0.01;
/// Bounds memory: about a kilobyte each.
const MOST_LOADERS: usize = 20_000;
const MOST_NAME_BYTES: usize = 128;

#[cfg(test)]
mod tests;
