//! What is remembered of one run: what it needed, whether added workers raised what it got, and how much more than the
//! formula it turned out to need.

use std::time::Duration;

use super::{RunLoad, Settings, Verdict};

/// One run's past, as far as it matters.
#[derive(Debug, Default)]
pub(super) struct Memory {
    pub(super) seen_at: Duration,
    /// Slots it needed when last known.
    slots: Option<f64>,
    boost: Option<Boost>,
    steady: Option<Steady>,
    wall: Option<Wall>,
    /// Walls met in a row.
    walls: u32,
}

/// The fleet at the moment of a decision.
#[derive(Debug)]
pub(super) struct Moment {
    pub(super) now: Duration,
    pub(super) present: u32,
    pub(super) required: u32,
    /// Neither present nor required workers changed lately.
    pub(super) settled: bool,
    /// Slots that all runs ask for.
    pub(super) wanted_slots: f64,
    /// Slots of a worker that are meant to be busy.
    pub(super) capacity: f64,
}

/// A factor on the formula: what it does not see (queues, the wire) made the run wait with all its workers there.
#[derive(Debug)]
struct Boost {
    factor: f64,
    /// What the run wanted then, in rows/s.
    wanted: f64,
}

/// What the run got when workers had last been the same for a while.
#[derive(Debug)]
struct Steady {
    workers: u32,
    /// Its part of their slots, meant to be busy.
    slots: f64,
    rows_per_second: f64,
}

/// Added workers raised little: the run is given as many as what it gets now needed before.
#[derive(Debug)]
struct Wall {
    slots: f64,
    rows_per_second: f64,
    cause: Verdict,
    until: Duration,
}

impl Memory {
    /// Slots the run would keep busy, by the formula; `None` while it is cold.
    pub(super) fn demand(&self, load: &RunLoad) -> Option<f64> {
        let boost = self.boost.as_ref().map_or(1.0, |boost| boost.factor);
        let slots = load.wanted_rows_per_second? * load.slot_seconds_per_row? * boost;
        let most = self.wall.as_ref().map_or(f64::MAX, |wall| wall.slots);
        Some(slots.clamp(0.0, most))
    }

    /// Slots it needed when it was here before.
    pub(super) fn prior(&self) -> Option<f64> {
        self.slots
    }

    pub(super) fn is_walled(&self) -> bool {
        self.wall.is_some()
    }

    /// Whether more workers would help this run.
    pub(super) fn verdict(&self, load: &RunLoad, at_most: bool) -> Verdict {
        if let Some(wall) = &self.wall {
            return wall.cause;
        }
        match load.wanted_rows_per_second {
            None => Verdict::Cold,
            Some(_) if load.waits_for_client() => Verdict::ClientBound,
            Some(_) if !load.waits_for_workers() => Verdict::TrainerBound,
            Some(_) if at_most => Verdict::AtMost,
            Some(_) => Verdict::WorkersHelp,
        }
    }

    /// Draws conclusions after a decision in which the run was given `slots`.
    pub(super) fn learn(
        &mut self,
        load: &RunLoad,
        slots: f64,
        moment: &Moment,
        settings: &Settings,
    ) {
        let (Some(wanted), Some(_)) = (load.wanted_rows_per_second, load.slot_seconds_per_row)
        else {
            return;
        };
        self.slots = Some(slots);
        self.forget_what_changed(load, wanted, moment.now);
        if !moment.settled {
            return;
        }
        if load.waits_for_workers() && self.wall.is_none() {
            self.judge(load, wanted, moment, settings);
            self.ask_for_more(wanted, moment, settings);
        }
        let share = slots / moment.wanted_slots.max(f64::MIN_POSITIVE);
        self.steady = Some(Steady {
            workers: moment.present,
            slots: share * f64::from(moment.present) * moment.capacity,
            rows_per_second: load.rows_per_second,
        });
    }

    fn forget_what_changed(&mut self, load: &RunLoad, wanted: f64, now: Duration) {
        if !load.waits_for_workers() {
            self.walls = 0;
        }
        self.boost.take_if(|boost| is_other(boost.wanted, wanted));
        self.wall.take_if(|wall| {
            now >= wall.until
                || !load.waits_for_workers()
                || load.rows_per_second > wall.rows_per_second * OTHER
        });
    }

    /// Once workers were added and all has settled: does the run get more?
    fn judge(&mut self, load: &RunLoad, wanted: f64, moment: &Moment, settings: &Settings) {
        let Some(before) = self
            .steady
            .as_ref()
            .filter(|before| moment.present > before.workers)
        else {
            return;
        };
        // What it would have waited then for what it wants now.
        let waited = 1.0 - before.rows_per_second / wanted.max(f64::MIN_POSITIVE);
        if before.workers == 0 || before.rows_per_second <= 0.0 || waited < WORTH_JUDGING {
            return; // nothing to compare with
        }
        let added = f64::from(moment.present) / f64::from(before.workers) - 1.0;
        // So much less, were workers all that it lacked.
        let hoped = waited - (1.0 - (1.0 - waited) * (1.0 + added)).max(0.0);
        let gained = waited - load.stalls.by_workers();
        if gained < hoped * WORTH_IT {
            let raised = (load.rows_per_second / before.rows_per_second).max(1.0);
            let wait = settings.try_again_after * 2u32.saturating_pow(self.walls.min(10));
            self.walls += 1;
            self.boost = None;
            self.wall = Some(Wall {
                slots: before.slots * raised,
                rows_per_second: before.rows_per_second.max(load.rows_per_second),
                cause: load.stalls.wall(),
                until: moment.now + wait,
            });
        }
    }

    /// The formula's workers are there and the run still waits: it needs one more than the formula says.
    fn ask_for_more(&mut self, wanted: f64, moment: &Moment, settings: &Settings) {
        let is_served = moment.present >= moment.required;
        let may_grow = moment.required < *settings.workers.end();
        if !is_served || !may_grow || self.wall.is_some() {
            return;
        }
        let asked = moment.wanted_slots / moment.capacity;
        if asked > f64::from(moment.required) {
            return; // not yet as many as the formula says
        }
        let next = (f64::from(moment.required) + A_LITTLE) / asked.max(A_LITTLE);
        let factor = self.boost.as_ref().map_or(1.0, |boost| boost.factor) * next.max(1.1);
        let factor = factor.min(MOST_BOOST);
        self.boost = Some(Boost { factor, wanted });
    }
}

/// Whether what a run wants is another thing than it was.
fn is_other(before: f64, now: f64) -> bool {
    now > before * OTHER || now * OTHER < before
}

/// A factor beyond which a rate is another one, not noise.
const OTHER: f64 = 1.5;
/// Added workers are worth it when waiting falls by this part of what it would if they were all that was missing.
const WORTH_IT: f64 = 0.25;
/// Less waiting than this is within noise.
const WORTH_JUDGING: f64 = 0.05;
/// The formula is not mended beyond this factor.
const MOST_BOOST: f64 = 4.0;
const A_LITTLE: f64 = 0.01;
