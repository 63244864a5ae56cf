//! Workers and trainers of a simulated fleet, half a second at a time.
//!
//! Workers share their slots fairly among the runs that want rows; rows wait in a buffer of the trainer, who takes them
//! at its pace and is stalled when there are none. Heartbeats and reports go to the fleet's real state.

use std::{collections::BTreeMap, time::Duration};

use dpp_fleet::{autoscaler, fleet::Fleet, fleet::Settings, registry};
use dpp_proto::{
    shuffle::mix,
    v1::{self, HeartbeatRequest, ListWorkersRequest, RankReport, RunWork, StallSeconds},
};

use super::scenario::{RunShape, Scenario};

/// Slots of a worker.
pub(crate) const SLOTS: f64 = 4.0;
/// From asking for a worker until it serves.
const START_SECONDS: f64 = 15.0;
const STEP_SECONDS: f64 = 0.5;
const HEARTBEAT: Duration = Duration::from_secs(2);
const BEAT_STEPS: u64 = 4;
/// What a trainer holds ahead, in seconds of its pace.
const BUFFER_SECONDS: f64 = 3.0;
/// Trainers' pace varies by this share from step to step.
const NOISE: f64 = 0.1;

/// A simulated fleet.
pub(crate) struct World {
    steps: u64,
    workers: Vec<Worker>,
    runs: Vec<Run>,
    storage_rows_per_second: f64,
    loss_every_seconds: f64,
    lost_at: f64,
    next_worker: u64,
    fleet: Fleet,
    required: u32,
    verdict: String,
    pub(crate) stalled_seconds: f64,
    pub(crate) trainer_seconds: f64,
    pub(crate) useful_slot_seconds: f64,
    pub(crate) paid_slot_seconds: f64,
    /// Computing, as a CPU meter would see it, and the slots that were there, since last asked.
    computed: f64,
    ready_slot_seconds: f64,
}

struct Worker {
    id: u64,
    ready_at: f64,
    work: BTreeMap<&'static str, (f64, f64)>,
}

struct Run {
    shape: RunShape,
    buffered: f64,
    received: f64,
    elapsed: f64,
    stalled: StallSeconds,
}

impl World {
    pub(crate) fn new(scenario: &Scenario) -> World {
        let settings = Settings {
            registry: registry::Settings::every(HEARTBEAT),
            scale: autoscaler::Settings::for_heartbeats(0..=64, HEARTBEAT),
        };
        let runs = scenario.runs.iter().map(|shape| Run {
            shape: shape.clone(),
            buffered: 0.0,
            received: 0.0,
            elapsed: 0.0,
            stalled: StallSeconds::default(),
        });
        World {
            steps: 0,
            workers: Vec::new(),
            runs: runs.collect(),
            storage_rows_per_second: scenario.storage_rows_per_second,
            loss_every_seconds: scenario.loss_every_seconds,
            lost_at: 0.0,
            next_worker: 0,
            fleet: Fleet::new(settings, 1),
            required: 0,
            verdict: String::new(),
            stalled_seconds: 0.0,
            trainer_seconds: 0.0,
            useful_slot_seconds: 0.0,
            paid_slot_seconds: 0.0,
            computed: 0.0,
            ready_slot_seconds: 0.0,
        }
    }

    pub(crate) fn now(&self) -> f64 {
        self.steps as f64 * STEP_SECONDS
    }

    /// What the fleet requires, and its verdict.
    pub(crate) fn fleet_says(&self) -> (u32, &str) {
        (self.required, &self.verdict)
    }

    /// Workers asked for, those still starting included.
    pub(crate) fn asked_workers(&self) -> usize {
        self.workers.len()
    }

    /// Share of the ready slots that computed since last asked.
    pub(crate) fn processor_share(&mut self) -> f64 {
        let share = self.computed / self.ready_slot_seconds.max(STEP_SECONDS);
        (self.computed, self.ready_slot_seconds) = (0.0, 0.0);
        share
    }

    /// Starts workers, or stops the youngest.
    pub(crate) fn scale_to(&mut self, workers: u32) {
        let workers = usize::try_from(workers).expect("few");
        self.workers.truncate(workers);
        let ready_at = if self.steps == 0 {
            0.0
        } else {
            self.now() + START_SECONDS
        };
        while self.workers.len() < workers {
            self.next_worker += 1;
            self.workers.push(Worker {
                id: self.next_worker,
                ready_at,
                work: BTreeMap::new(),
            });
        }
    }

    /// Half a second passes.
    pub(crate) fn step(&mut self) {
        self.lose();
        let now = self.now();
        let ready: Vec<usize> = (0..self.workers.len())
            .filter(|index| self.workers[*index].ready_at <= now)
            .collect();
        let slots = ready.len() as f64 * SLOTS * STEP_SECONDS;
        self.paid_slot_seconds += self.workers.len() as f64 * SLOTS * STEP_SECONDS;
        self.ready_slot_seconds += slots;
        let paces: Vec<f64> = self.runs.iter().map(|run| self.pace(run)).collect();
        let wants: Vec<f64> = self
            .runs
            .iter()
            .zip(&paces)
            .map(|(run, pace)| run.wants(*pace))
            .collect();
        let given = shares(&wants, slots);
        let made: f64 = self
            .runs
            .iter()
            .zip(&given)
            .map(|(run, given)| given / run.cost())
            .sum();
        let storage = (self.storage_rows_per_second * STEP_SECONDS / made.max(1e-9)).min(1.0);
        for ((run, given), pace) in self.runs.iter_mut().zip(&given).zip(&paces) {
            let rows = given / run.cost() * storage;
            self.useful_slot_seconds += rows * run.cost();
            self.computed += rows * run.shape.compute_seconds;
            self.stalled_seconds += run.take(rows, *pace, storage < 1.0);
            self.trainer_seconds += if *pace > 0.0 { STEP_SECONDS } else { 0.0 };
            for index in &ready {
                let work = self.workers[*index].work.entry(run.shape.name).or_default();
                let share = ready.len() as f64;
                *work = (work.0 + rows / share, work.1 + given / share);
            }
        }
        self.steps += 1;
        if self.steps.is_multiple_of(BEAT_STEPS) {
            self.beat(&ready);
        }
    }

    fn pace(&self, run: &Run) -> f64 {
        let draw = mix(&[self.steps, run.shape.name.len() as u64]) as f64 / u64::MAX as f64;
        (run.shape.wanted)(self.now()) * (1.0 + NOISE * (draw * 2.0 - 1.0))
    }

    /// A worker dies and is started again.
    fn lose(&mut self) {
        let now = self.now();
        if self.loss_every_seconds > 0.0
            && now - self.lost_at >= self.loss_every_seconds
            && let Some(victim) = self
                .workers
                .iter_mut()
                .find(|worker| worker.ready_at <= now)
        {
            self.next_worker += 1;
            *victim = Worker {
                id: self.next_worker,
                ready_at: now + START_SECONDS,
                work: BTreeMap::new(),
            };
            self.workers.rotate_left(1);
            self.lost_at = now;
        }
    }

    /// Heartbeats, reports, and the fleet's decision.
    fn beat(&mut self, ready: &[usize]) {
        let now = Duration::from_secs_f64(self.now());
        for index in ready {
            let worker = &self.workers[*index];
            let runs = worker.work.iter().map(|(run, (rows, seconds))| RunWork {
                run: (*run).to_owned(),
                rows: *rows as u64,
                slot_seconds: *seconds,
            });
            let heartbeat = HeartbeatRequest {
                worker_id: worker.id.to_string(),
                address: format!("worker-{}:1", worker.id),
                slots: SLOTS as u32,
                runs: runs.collect(),
                ..Default::default()
            };
            self.fleet
                .heartbeat(&heartbeat, now)
                .expect("it is well-formed");
        }
        let gone = self.fleet.workers(now).into_iter().filter(|worker| {
            !self
                .workers
                .iter()
                .any(|there| there.id.to_string() == worker.worker_id)
        });
        for worker in gone.collect::<Vec<_>>() {
            let leaving = HeartbeatRequest {
                worker_id: worker.worker_id,
                address: worker.address,
                slots: 1,
                draining: true,
                ..Default::default()
            };
            self.fleet
                .heartbeat(&leaving, now)
                .expect("it is well-formed");
        }
        let second = self.now();
        for run in &self.runs {
            if (run.shape.wanted)(second) > 0.0 {
                let request = ListWorkersRequest {
                    report: Some(run.report()),
                    ..Default::default()
                };
                self.fleet.list(request, now).expect("it is well-formed");
            }
        }
        let decision = self.fleet.tick(now);
        self.required = decision.required.unwrap_or(self.required);
        self.verdict = decision.verdict.word().to_owned();
    }
}

impl Run {
    fn cost(&self) -> f64 {
        self.shape.compute_seconds + self.shape.storage_seconds
    }

    /// Slot-seconds that it could use in a step.
    fn wants(&self, pace: f64) -> f64 {
        let room = (pace * BUFFER_SECONDS - self.buffered).max(0.0);
        (pace * STEP_SECONDS + room) * self.cost()
    }

    /// The trainer takes what it can; returns the seconds it was stalled.
    fn take(&mut self, rows: f64, pace: f64, by_storage: bool) -> f64 {
        if pace <= 0.0 {
            return 0.0;
        }
        self.buffered += rows;
        let taken = self.buffered.min(pace * STEP_SECONDS);
        self.buffered -= taken;
        self.received += taken;
        self.elapsed += STEP_SECONDS;
        let stalled = STEP_SECONDS - taken / pace;
        if by_storage || self.shape.storage_seconds > self.shape.compute_seconds {
            self.stalled.storage += stalled;
        } else {
            self.stalled.transform += stalled;
        }
        stalled
    }

    fn report(&self) -> RankReport {
        RankReport {
            loader_id: self.shape.name.to_owned(),
            run: Some(v1::Run {
                name: self.shape.name.to_owned(),
                ..Default::default()
            }),
            world_size: 1,
            rows: self.received as u64,
            elapsed_seconds: self.elapsed,
            stalled: Some(self.stalled),
            ..Default::default()
        }
    }
}

/// What there is, shared fairly: who wants less than an equal share gets that, and leaves the rest to the others.
fn shares(wants: &[f64], there: f64) -> Vec<f64> {
    let mut given = vec![0.0; wants.len()];
    let mut open: Vec<usize> = (0..wants.len()).collect();
    let mut left = there;
    while !open.is_empty() && left > 0.0 {
        let equal = left / open.len() as f64;
        let (satisfied, hungry): (Vec<usize>, Vec<usize>) =
            open.iter().partition(|index| wants[**index] <= equal);
        if satisfied.is_empty() {
            for index in hungry {
                given[index] = equal;
            }
            break;
        }
        for index in satisfied {
            given[index] = wants[index];
            left -= wants[index];
        }
        open = hungry;
    }
    given
}
