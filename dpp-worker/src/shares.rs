//! Whose work comes next: runs share the compute threads by weight, whatever each has waiting. Pure: time is an argument.
//!
//! ```text
//! run a  ▒▒▒▒▒▒▒▒ waiting   spent 4.2 s ÷ weight 2 = 2.1 ◀─ next: it has had least for its weight
//! run b  ▒ waiting          spent 3.0 s ÷ weight 1 = 3.0
//! ```
//!
//! A run that comes, or comes back, begins where the one that had least stands: being idle saves nothing up, and nobody starves.
//!
//! Source: Goyal, Vin, Cheng, "Start-time fair queueing", 1996; costs are charged as expected and mended when they are known.

use std::collections::{HashMap, VecDeque};

/// Who asks: a run, and how much of the threads it gets beside others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asker {
    /// The run's name.
    pub(crate) run: String,
    /// Its priority: a run of priority 3 gets four times as much as one of priority 0.
    pub(crate) priority: u32,
}

/// Work of all runs, waiting.
#[derive(Debug)]
pub(crate) struct Shares<T> {
    runs: HashMap<String, Share<T>>,
    /// What the run that was served last had spent: where those begin that come now.
    clock: f64,
}

#[derive(Debug)]
struct Share<T> {
    waiting: VecDeque<T>,
    under_way: usize,
    weight: f64,
    /// Seconds spent for each unit of weight, those of what is under way as expected.
    spent: f64,
    /// Seconds that a piece of its work took lately.
    expected: f64,
}

/// A piece of work handed out.
#[derive(Debug)]
pub(crate) struct Handed<T> {
    pub(crate) work: T,
    pub(crate) run: String,
    /// Seconds charged for it until it is known.
    charged: f64,
}

impl<T> Default for Shares<T> {
    fn default() -> Shares<T> {
        Shares {
            runs: HashMap::new(),
            clock: 0.0,
        }
    }
}

impl Asker {
    fn weight(&self) -> f64 {
        1.0 + f64::from(self.priority.min(MOST_PRIORITY))
    }
}

impl<T> Shares<T> {
    /// Adds work behind what its run has waiting.
    pub(crate) fn push(&mut self, asker: &Asker, work: T) {
        if !self.runs.contains_key(&asker.run) {
            self.forget_idle();
        }
        let clock = self.clock;
        let share = self
            .runs
            .entry(asker.run.clone())
            .or_insert_with(Share::new);
        share.weight = asker.weight();
        if share.is_idle() {
            share.spent = share.spent.max(clock);
        }
        share.waiting.push_back(work);
    }

    /// The first work of the run that had least for its weight. Whoever takes it says [`Shares::done`] afterwards.
    pub(crate) fn pop(&mut self) -> Option<Handed<T>> {
        let waiting = self
            .runs
            .iter_mut()
            .filter(|(_, share)| !share.waiting.is_empty());
        let (run, share) = waiting.min_by(|(left_run, left), (right_run, right)| {
            let spent = left.spent.total_cmp(&right.spent);
            spent.then_with(|| left_run.cmp(right_run))
        })?;
        self.clock = self.clock.max(share.spent);
        share.under_way += 1;
        share.spent += share.expected / share.weight;
        Some(Handed {
            work: share.waiting.pop_front()?,
            run: run.clone(),
            charged: share.expected,
        })
    }

    /// Work of `run`, for which `charged` was charged, took so long.
    pub(crate) fn done(&mut self, run: &str, charged: f64, seconds: f64) {
        if let Some(share) = self.runs.get_mut(run) {
            share.under_way = share.under_way.saturating_sub(1);
            share.spent += (seconds - charged) / share.weight;
            share.expected += (seconds - share.expected) * NEWS;
        }
        if self.runs.values().all(Share::is_idle) {
            // nobody was kept waiting, so nobody is in debt
            let spent = self.runs.values().map(|share| share.spent);
            self.clock = spent.fold(self.clock, f64::max);
        }
    }

    /// Runs that have nothing here and no debt are as good as new ones.
    fn forget_idle(&mut self) {
        let clock = self.clock;
        self.runs
            .retain(|_, share| !share.is_idle() || share.spent > clock);
    }
}

impl<T> Handed<T> {
    /// Seconds charged for it.
    pub(crate) fn charged(&self) -> f64 {
        self.charged
    }
}

impl<T> Share<T> {
    fn new() -> Share<T> {
        Share {
            waiting: VecDeque::new(),
            under_way: 0,
            weight: 1.0,
            spent: 0.0,
            expected: 0.0,
        }
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.under_way == 0
    }
}

/// A hundred times another's share is as much as a run may ask for.
const MOST_PRIORITY: u32 = 99;
/// How much the last piece of work changes what is expected of the next.
const NEWS: f64 = 0.25;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asker(run: &str, priority: u32) -> Asker {
        Asker {
            run: run.to_owned(),
            priority,
        }
    }

    /// Serves for so many seconds; each piece of work is its cost, and another like it follows. Returns seconds by run.
    fn serve(shares: &mut Shares<f64>, askers: &[Asker], seconds: f64) -> HashMap<String, f64> {
        let (mut given, mut now) = (HashMap::new(), 0.0);
        while now < seconds {
            let handed = shares.pop().unwrap();
            shares.done(&handed.run, handed.charged(), handed.work);
            now += handed.work;
            *given.entry(handed.run.clone()).or_default() += handed.work;
            let asker = askers.iter().find(|asker| asker.run == handed.run);
            shares.push(asker.unwrap(), handed.work);
        }
        given
    }

    proptest! {
        /// However unlike their work is and however much of it waits, runs get time by their weights.
        #[test]
        fn time_is_shared_by_weight(
            runs in prop::collection::vec((0..5u32, 1..40usize, 0.001..0.04f64), 2..6),
        ) {
            let askers: Vec<Asker> = (0..).zip(&runs).map(|(i, (priority, ..))| asker(&format!("run {i}"), *priority)).collect();
            let mut shares = Shares::default();
            for (asker, (_, waiting, cost)) in askers.iter().zip(&runs) {
                for _ in 0..*waiting {
                    shares.push(asker, *cost);
                }
            }
            let given = serve(&mut shares, &askers, 40.0);
            let all: f64 = askers.iter().map(Asker::weight).sum();
            for asker in &askers {
                let (got, due) = (given[&asker.run] / 40.0, asker.weight() / all);
                prop_assert!((got - due).abs() < 0.02, "{got} of {due}");
            }
        }
    }

    #[test]
    fn being_idle_saves_nothing_up() {
        let (busy, late) = (asker("busy", 0), asker("late", 0));
        let askers = [busy.clone(), late.clone()];
        let mut shares = Shares::default();
        shares.push(&busy, 0.01);
        serve(&mut shares, &askers, 100.0);
        shares.push(&late, 0.01);
        let given = serve(&mut shares, &askers, 1.0);
        assert!((given["late"] - 0.5).abs() < 0.05, "{given:?}");
    }

    #[test]
    fn one_after_the_other_is_no_newcomer_every_time() {
        let (many, one) = (asker("many", 0), asker("one", 0));
        let mut shares = Shares::default();
        for _ in 0..8 {
            shares.push(&many, 0.01);
        }
        shares.push(&one, 0.03);
        // Each comes again when its last work is done, and has nothing waiting meanwhile.
        let given = serve(&mut shares, &[many, one], 10.0);
        assert!((given["one"] - 5.0).abs() < 0.2, "{given:?}");
    }

    #[test]
    fn runs_that_ended_are_forgotten() {
        let mut shares = Shares::default();
        for run in 0..1000 {
            shares.push(&asker(&format!("run {run}"), 0), ());
            let handed = shares.pop().unwrap();
            shares.done(&handed.run, handed.charged(), 0.001);
        }
        assert!(shares.runs.len() < 10, "{}", shares.runs.len());
    }
}
