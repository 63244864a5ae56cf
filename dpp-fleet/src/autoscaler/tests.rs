use proptest::prelude::*;

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn settings() -> Settings {
    Settings {
        silent_until: Duration::ZERO,
        ..Settings::for_heartbeats(0..=100, SECOND * 2)
    }
}

/// A run that wants `wanted` rows/s, gets a share of them, and costs a millisecond a row.
fn run(name: &str, wanted: f64, gets: f64) -> RunLoad {
    RunLoad {
        run: name.into(),
        rows_per_second: wanted * gets,
        wanted_rows_per_second: Some(wanted),
        slot_seconds_per_row: Some(0.001),
        stalls: StallShares {
            decode: 1.0 - gets,
            ..StallShares::default()
        },
    }
}

fn cold(name: &str) -> RunLoad {
    RunLoad {
        run: name.into(),
        ..RunLoad::default()
    }
}

fn observe(at: u64, workers: u32, runs: &[RunLoad]) -> Observation<'_> {
    Observation {
        now: SECOND * u32::try_from(at).unwrap(),
        workers,
        slots: workers * 2,
        runs,
    }
}

/// A fleet whose workers are there as soon as they are required, and a run that gets what they can do, up to a wall.
struct World {
    autoscaler: Autoscaler,
    at: u64,
    workers: u32,
    wanted: f64,
    most_rows: f64,
    history: Vec<u32>,
}

impl World {
    fn new(workers: u32, wanted: f64) -> World {
        World {
            autoscaler: Autoscaler::new(settings()),
            at: 0,
            workers,
            wanted,
            most_rows: f64::MAX,
            history: Vec::new(),
        }
    }

    fn step(&mut self) -> Decision {
        let can = (f64::from(self.workers) * 2.0 / 0.001).min(self.most_rows);
        let gets = (can / self.wanted).min(1.0);
        let mut load = run("a", self.wanted, gets);
        if self.most_rows < f64::MAX && gets < 1.0 {
            load.stalls = StallShares {
                storage: 1.0 - gets,
                ..StallShares::default()
            };
            // Contended storage: slots are busy waiting.
            load.slot_seconds_per_row = Some(f64::from(self.workers) * 2.0 / load.rows_per_second);
        }
        let decision = self
            .autoscaler
            .decide(&observe(self.at, self.workers, &[load]));
        self.at += 2;
        self.workers = decision.required.unwrap();
        self.history.push(self.workers);
        decision
    }

    fn run_for(&mut self, seconds: u64) -> Decision {
        let end = self.at + seconds;
        loop {
            let decision = self.step();
            if self.at >= end {
                return decision;
            }
        }
    }

    fn reversals(&self) -> usize {
        let steps: Vec<i64> = self
            .history
            .windows(2)
            .map(|pair| i64::from(pair[1]) - i64::from(pair[0]))
            .filter(|step| *step != 0)
            .collect();
        steps
            .windows(2)
            .filter(|pair| pair[0].signum() != pair[1].signum())
            .count()
    }
}

#[test]
fn nothing_is_said_until_everybody_had_the_time_to_be_heard() {
    let mut autoscaler = Autoscaler::new(Settings::for_heartbeats(0..=8, SECOND * 2));
    let decision = autoscaler.decide(&observe(1, 3, &[run("a", 1e6, 0.1)]));
    assert_eq!(
        (decision.required, decision.verdict),
        (None, Verdict::Unknown)
    );
    let decision = autoscaler.decide(&observe(3, 3, &[run("a", 1e6, 0.1)]));
    assert_eq!(decision.required, Some(8));
}

#[test]
fn a_restarted_service_takes_no_worker_away_before_its_time() {
    let mut autoscaler = Autoscaler::new(settings());
    for at in (0..=30).step_by(2) {
        assert_eq!(
            autoscaler.decide(&observe(at, 7, &[])).required,
            Some(7),
            "at {at}"
        );
    }
    assert_eq!(autoscaler.decide(&observe(32, 7, &[])).required, Some(0));
}

#[test]
fn the_formula() {
    // 3,000 rows/s · 1 ms = 3 slots; 2 slots a worker, 75 % of them busy: 2 workers.
    let mut autoscaler = Autoscaler::new(settings());
    let decision = autoscaler.decide(&observe(0, 1, &[run("a", 3000.0, 0.5)]));
    assert_eq!(decision.required, Some(2));
    assert!((decision.runs[0].workers - 2.0).abs() < 1e-9);
    let both = [run("a", 3000.0, 0.5), run("b", 1501.0, 0.5)];
    assert_eq!(autoscaler.decide(&observe(2, 1, &both)).required, Some(4));
}

#[test]
fn cold_runs_begin_with_a_prior() {
    let mut autoscaler = Autoscaler::new(settings());
    let first = autoscaler.decide(&observe(0, 0, &[cold("a")]));
    assert_eq!((first.required, first.verdict), (Some(1), Verdict::Cold));
    // Beside a run that needs four, a new one is expected to need four.
    let mut autoscaler = Autoscaler::new(settings());
    let warm = run("a", 6000.0, 1.0);
    let decision = autoscaler.decide(&observe(0, 4, &[warm.clone(), cold("b")]));
    assert_eq!(decision.required, Some(8));
    // One that was here before, what it needed then.
    autoscaler.decide(&observe(2, 8, &[warm.clone(), run("b", 1500.0, 1.0)]));
    autoscaler.decide(&observe(4, 8, std::slice::from_ref(&warm)));
    let again = autoscaler.decide(&observe(6, 8, &[warm, cold("b")]));
    assert!((again.runs[1].workers - 1.0).abs() < 1e-9);
}

#[test]
fn trainers_that_wait_for_nothing_or_for_themselves_get_no_more() {
    let mut autoscaler = Autoscaler::new(settings());
    let decision = autoscaler.decide(&observe(0, 2, &[run("a", 3000.0, 1.0)]));
    assert_eq!(decision.verdict, Verdict::TrainerBound);
    let mut own_fault = run("a", 3000.0, 1.0);
    own_fault.stalls.client = 0.4;
    for at in (2..120).step_by(2) {
        let decision = autoscaler.decide(&observe(at, 2, &[own_fault.clone()]));
        assert_eq!(
            (decision.required, decision.verdict),
            (Some(2), Verdict::ClientBound)
        );
    }
}

#[test]
fn a_wall_of_storage_is_noticed_and_left_alone() {
    let mut world = World::new(1, 50_000.0);
    world.most_rows = 5_000.0; // three workers could do 6,000
    let decision = world.run_for(240);
    assert_eq!(
        decision.verdict,
        Verdict::StorageBound,
        "{:?}",
        world.history
    );
    // Eight are tried first, then more: those go again.
    assert!(world.workers <= 12, "{:?}", world.history);
    assert!(world.reversals() <= 1, "{:?}", world.history);
    // Storage gets faster: workers help again.
    world.most_rows = 12_000.0;
    world.run_for(240);
    assert!(world.workers >= 8, "{:?}", world.history);
}

#[test]
fn what_the_formula_does_not_see_is_made_up_for() {
    let mut autoscaler = Autoscaler::new(settings());
    let mut workers = 2;
    for at in (0..200).step_by(2) {
        // The formula says two, but only four serve it without waiting.
        let gets = if workers >= 4 {
            1.0
        } else {
            f64::from(workers) / 4.0
        };
        let decision = autoscaler.decide(&observe(at, workers, &[run("a", 3000.0, gets)]));
        workers = decision.required.unwrap();
    }
    assert_eq!(workers, 4);
}

#[test]
fn a_lost_worker_changes_nothing_that_is_required() {
    let mut autoscaler = Autoscaler::new(settings());
    for at in (0..300).step_by(2) {
        let present = if at % 6 == 0 { 3 } else { 4 };
        let decision = autoscaler.decide(&observe(at, present, &[run("a", 6000.0, 0.99)]));
        assert_eq!(decision.required, Some(4), "at {at}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// More wanted, or dearer rows, never require fewer workers.
    #[test]
    fn required_rises_with_demand(
        wanted in 1.0f64..1e6, more in 1.0f64..4.0, cost in 1e-6f64..1e-1, workers in 0u32..50
    ) {
        let first = |wanted: f64, cost: f64| {
            let load = RunLoad { slot_seconds_per_row: Some(cost), ..run("a", wanted, 0.9) };
            Autoscaler::new(settings()).decide(&observe(0, workers, &[load])).required.unwrap()
        };
        prop_assert!(first(wanted * more, cost) >= first(wanted, cost));
        prop_assert!(first(wanted, cost * more) >= first(wanted, cost));
    }

    /// Whatever is observed, the answer stays within its bounds.
    #[test]
    fn required_is_bounded(
        least in 0u32..5, room in 0u32..20,
        seen in prop::collection::vec((0u32..40, prop::option::of(0.0f64..1e9), prop::option::of(0.0f64..1.0), 0.0f64..1.0), 1..60)
    ) {
        let bounds = least..=least + room;
        let mut autoscaler = Autoscaler::new(Settings { workers: bounds.clone(), ..settings() });
        for (at, (workers, wanted, cost, gets)) in seen.into_iter().enumerate() {
            let load = RunLoad {
                wanted_rows_per_second: wanted,
                slot_seconds_per_row: cost,
                ..run("a", wanted.unwrap_or(1.0), gets)
            };
            let required = autoscaler.decide(&observe(at as u64 * 2, workers, &[load])).required;
            prop_assert!(bounds.contains(&required.unwrap()));
        }
    }

    /// Under constant load the answer moves in one direction and then rests; within the spare, noise moves nothing.
    #[test]
    fn constant_load_does_not_oscillate(
        wanted in 100.0f64..100_000.0, start in 0u32..60,
        noise in prop::collection::vec(0.97f64..1.03, 150)
    ) {
        let mut world = World::new(start, wanted);
        for factor in noise {
            world.wanted = wanted * factor;
            world.step();
        }
        prop_assert!(world.reversals() <= 1, "{:?}", world.history);
        let tail = &world.history[100..];
        let (least, most) = (tail.iter().min().unwrap(), tail.iter().max().unwrap());
        prop_assert!(most - least <= 1 + most / 16, "{:?}", world.history);
    }

    /// A step of demand is followed with at most one reversal, and ends where there is no stall and little waste.
    #[test]
    fn a_step_is_followed(before in 100.0f64..100_000.0, after in 100.0f64..100_000.0) {
        let mut world = World::new(1, before);
        world.run_for(240);
        world.history.clear();
        world.wanted = after;
        world.run_for(240);
        prop_assert!(world.reversals() <= 1, "{:?}", world.history);
        let exact = after * 0.001 / (2.0 * 0.75);
        let required = f64::from(world.workers);
        // From one worker four times as many a time: what is asked for is reached within four minutes.
        prop_assert!(required + 1e-6 >= exact.min(100.0), "{required} for {exact}");
        prop_assert!(required <= (exact * 1.15).ceil().min(100.0) + 1.0, "{required} for {exact}");
    }
}
