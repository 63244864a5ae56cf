//! How many workers are required, and whether more of them would help. Pure: time is an argument.
//!
//! ```text
//!  RunLoad (wants, gets, costs, waits) ─▶ demand, in slots ─▶ Σ ÷ (slots of a worker · target utilisation) ─▶ Sizing ─▶ required
//!                                          ▲ prior while cold                                                 hysteresis
//!                                          ▲ wall: added workers raised nothing
//!                                          ▲ boost: required workers are there, and it still waits
//! ```

mod observation;
mod run;
mod sizing;
mod verdict;

use std::{collections::BTreeMap, ops::RangeInclusive, time::Duration};

pub use self::{
    observation::{Observation, RunLoad, StallShares},
    verdict::Verdict,
};
use self::{
    run::{Memory, Moment},
    sizing::Sizing,
};

/// How the number of workers follows demand.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Fewest and most workers.
    pub workers: RangeInclusive<u32>,
    /// Share of their slots that workers are meant to be busy, above 0 and at most 1: what is left absorbs unevenness.
    pub target_utilisation: f64,
    /// Workers go when those that stay could serve this share more than is asked for: noise moves nothing.
    pub spare: f64,
    /// Fewer are required only after fewer sufficed for this long.
    pub scale_down_after: Duration,
    /// After a change of workers, what runs get and wait for is judged this much later. Longer than rates are averaged.
    pub settle: Duration,
    /// When added workers raised nothing, it is tried again this much later, each time twice as late.
    pub try_again_after: Duration,
    /// Nothing is said before: until then workers and runs may be there that have not been heard of yet.
    pub silent_until: Duration,
}

impl Settings {
    /// Between `workers`, by the heartbeats of a service that began at time 0.
    pub fn for_heartbeats(workers: RangeInclusive<u32>, heartbeat: Duration) -> Settings {
        Settings {
            workers,
            target_utilisation: 0.75,
            spare: 0.15,
            scale_down_after: (heartbeat * 15).max(Duration::from_secs(5)),
            settle: (heartbeat * 8).max(Duration::from_secs(4)),
            try_again_after: Duration::from_secs(300),
            // Clients ask as often as workers beat; a little later all that are there have been heard.
            silent_until: heartbeat * 3 / 2,
        }
    }
}

/// What is required, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// Workers required; `None`: not known yet, leave the fleet as it is.
    pub required: Option<u32>,
    /// Whether more workers would help: that of the run for which they would help most.
    pub verdict: Verdict,
    /// The parts of the runs, in the order observed.
    pub runs: Vec<RunPart>,
}

/// One run's part of what is required.
#[derive(Clone, Debug, PartialEq)]
pub struct RunPart {
    /// Its part of the required workers, before rounding and hysteresis.
    pub workers: f64,
    /// Whether more workers would help it.
    pub verdict: Verdict,
}

/// Follows runs and workers, observation by observation.
#[derive(Debug)]
pub struct Autoscaler {
    settings: Settings,
    sizing: Sizing,
    memories: BTreeMap<String, Memory>,
    slots_per_worker: f64,
    /// Workers of the last observation, and when their number changed last.
    present: Option<(u32, Duration)>,
}

impl Autoscaler {
    /// An autoscaler that has seen nothing.
    pub fn new(settings: Settings) -> Autoscaler {
        Autoscaler {
            sizing: Sizing::default(),
            memories: BTreeMap::new(),
            slots_per_worker: 1.0,
            present: None,
            settings,
        }
    }

    /// The settings it was made with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What is required now. Observations come in order of time, about one a heartbeat.
    pub fn decide(&mut self, observed: &Observation<'_>) -> Decision {
        let present_since = self.see_workers(observed);
        if observed.now < self.settings.silent_until {
            return Decision {
                required: None,
                verdict: Verdict::Unknown,
                runs: vec![Verdict::Unknown.of(0.0); observed.runs.len()],
            };
        }
        self.see_runs(observed);
        let capacity = self.slots_per_worker * self.settings.target_utilisation;
        let slots = self.demands(observed.runs, capacity);
        let wanted = slots.iter().sum::<f64>() / capacity;
        let keep = self.must_keep(observed.runs);
        let (now, present) = (observed.now, observed.workers);
        // As it was until now: a change that is made at this moment is judged later.
        let unchanged_since = present_since.max(self.sizing.changed_at());
        let settled = now.saturating_sub(unchanged_since) >= self.settings.settle;
        let required = self
            .sizing
            .follow(&self.settings, wanted, keep, present, now);
        let moment = Moment {
            now,
            present,
            required,
            settled,
            wanted_slots: slots.iter().sum(),
            capacity,
        };
        self.remember(observed.runs, &slots, &moment);
        let at_most = required >= *self.settings.workers.end();
        let runs: Vec<RunPart> = observed
            .runs
            .iter()
            .zip(&slots)
            .map(|(load, slots)| {
                self.memories[&load.run]
                    .verdict(load, at_most)
                    .of(slots / capacity)
            })
            .collect();
        let verdicts = runs.iter().map(|run| run.verdict);
        Decision {
            required: Some(required),
            verdict: verdicts.max().unwrap_or(Verdict::Idle),
            runs,
        }
    }

    /// Takes note of the workers; returns since when there are so many.
    fn see_workers(&mut self, observed: &Observation<'_>) -> Duration {
        if observed.workers > 0 && observed.slots > 0 {
            self.slots_per_worker = f64::from(observed.slots) / f64::from(observed.workers);
        }
        match self.present {
            Some((workers, since)) if workers == observed.workers => since,
            _ => {
                self.present = Some((observed.workers, observed.now));
                observed.now
            }
        }
    }

    fn see_runs(&mut self, observed: &Observation<'_>) {
        for load in observed.runs {
            let memory = self.memories.entry(load.run.clone()).or_default();
            memory.seen_at = observed.now;
        }
        let now = observed.now;
        self.memories
            .retain(|_, memory| now.saturating_sub(memory.seen_at) < REMEMBERED);
        while self.memories.len() > observed.runs.len() + MOST_REMEMBERED {
            let oldest = self
                .memories
                .iter()
                .min_by_key(|(_, memory)| memory.seen_at);
            let oldest = oldest.map(|(run, _)| run.clone()).expect("there are many");
            self.memories.remove(&oldest);
        }
    }

    /// Slots that each run would keep busy: wanted rows/s · slot-seconds a row; a prior while either is unknown.
    fn demands(&self, runs: &[RunLoad], capacity: f64) -> Vec<f64> {
        let warm: Vec<Option<f64>> = runs
            .iter()
            .map(|load| self.memories[&load.run].demand(load))
            .collect();
        let mut known: Vec<f64> = warm.iter().flatten().copied().collect();
        known.sort_by(f64::total_cmp);
        // Runs of a fleet are alike until they show what they are; the first one begins with one worker.
        let usual = known.get(known.len() / 2).copied().unwrap_or(capacity);
        let cold = |load: &RunLoad| self.memories[&load.run].prior().unwrap_or(usual);
        runs.iter()
            .zip(warm)
            .map(|(load, warm)| warm.unwrap_or_else(|| cold(load)))
            .collect()
    }

    /// Whether a run waits for workers, so that none may go.
    fn must_keep(&self, runs: &[RunLoad]) -> bool {
        runs.iter()
            .any(|load| load.waits_for_workers() && !self.memories[&load.run].is_walled())
    }

    fn remember(&mut self, runs: &[RunLoad], slots: &[f64], moment: &Moment) {
        for (load, slots) in runs.iter().zip(slots) {
            let memory = self.memories.get_mut(&load.run).expect("seen just now");
            memory.learn(load, *slots, moment, &self.settings);
        }
    }
}

/// A run that comes again within this time begins with what it needed last.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);
/// Runs remembered beside those under way.
const MOST_REMEMBERED: usize = 1024;

#[cfg(test)]
mod tests;
