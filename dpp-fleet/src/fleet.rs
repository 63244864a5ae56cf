//! All that the fleet knows: workers, runs, what rows cost, and how many workers are required. Pure: time is an argument.
//!
//! ```text
//!  heartbeats ─▶ Registry ─▶ lists for trainers
//!       └─────▶ Work ──┐
//!  rank reports ─▶ Runs ┴─▶ Autoscaler, once a heartbeat ─▶ Decision ─▶ status, KEDA, metrics, local workers
//! ```

use std::{collections::VecDeque, time::Duration};

use dpp_proto::v1::{
    DrainRequest, DrainResponse, HeartbeatRequest, HeartbeatResponse, ListWorkersRequest,
    ListWorkersResponse, RunStatus, Scale, StallSeconds, StatusResponse, WorkerStatus,
};

use crate::{
    Error,
    autoscaler::{Autoscaler, Decision, Observation, RunLoad, Verdict},
    registry::Registry,
    runs::Runs,
    work::Work,
};

/// What a fleet is made with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How workers are remembered.
    pub registry: crate::registry::Settings,
    /// How their number follows demand.
    pub scale: crate::autoscaler::Settings,
}

/// Everything the fleet knows.
#[derive(Debug)]
pub struct Fleet {
    registry: Registry,
    runs: Runs,
    work: Work,
    autoscaler: Autoscaler,
    loads: Vec<RunLoad>,
    decision: Decision,
    decisions: VecDeque<Decided>,
    /// When somebody without a run asked for workers last: a trainer that has just begun, or waits for the first one.
    asked_at: Option<Duration>,
}

/// A decision, and since when it holds.
#[derive(Debug)]
struct Decided {
    at: Duration,
    required: Option<u32>,
    present: u32,
    verdict: Verdict,
}

impl Fleet {
    /// A fleet that knows nobody yet; its lists begin with `version`.
    pub fn new(settings: Settings, version: u64) -> Fleet {
        Fleet {
            registry: Registry::new(settings.registry, version),
            runs: Runs::default(),
            work: Work::default(),
            autoscaler: Autoscaler::new(settings.scale),
            loads: Vec::new(),
            decision: Decision {
                required: None,
                verdict: Verdict::Unknown,
                runs: Vec::new(),
            },
            decisions: VecDeque::new(),
            asked_at: None,
        }
    }

    /// A worker says that it is there, and hears whether it should leave.
    ///
    /// # Errors
    /// As [`Registry::heartbeat`].
    pub fn heartbeat(
        &mut self,
        heartbeat: &HeartbeatRequest,
        now: Duration,
    ) -> Result<HeartbeatResponse, Error> {
        let drain = self.registry.heartbeat(heartbeat, now)?;
        self.work.heartbeat(heartbeat, now);
        let settings = self.registry.settings();
        Ok(HeartbeatResponse {
            next_after_ms: milliseconds(settings.heartbeat_every),
            expires_after_ms: milliseconds(settings.expires_after),
            drain,
        })
    }

    /// The workers that are there, unless the asker has that list already; its report is taken note of.
    ///
    /// # Errors
    /// [`Error::Report`].
    pub fn list(
        &mut self,
        request: ListWorkersRequest,
        now: Duration,
    ) -> Result<ListWorkersResponse, Error> {
        match request.report {
            Some(report) => self.runs.report(report, now)?,
            None => self.asked_at = Some(now),
        }
        self.registry.expire(now);
        let version = self.registry.version();
        let unchanged = request.known_version == version;
        let workers = if unchanged {
            Vec::new()
        } else {
            self.registry.list(now)
        };
        Ok(ListWorkersResponse {
            workers,
            version,
            unchanged,
            next_after_ms: milliseconds(self.ask_again_after()),
        })
    }

    /// A worker is known to be gone, before it has been silent for long.
    pub fn forget(&mut self, worker_id: &str) {
        self.registry.forget_id(worker_id);
    }

    /// Asks workers to leave.
    pub fn drain(&mut self, request: DrainRequest) -> DrainResponse {
        let mut response = DrainResponse::default();
        for worker in request.workers {
            match self.registry.drain(&worker) {
                Some(address) => response.draining.push(address),
                None => response.unknown.push(worker),
            }
        }
        response
    }

    /// Decides anew how many workers are required. Called once a heartbeat.
    pub fn tick(&mut self, now: Duration) -> &Decision {
        let settings = self.registry.settings();
        self.runs.expire(settings.expires_after, now);
        self.work.expire(settings.expires_after, now);
        self.loads = self.runs.loads(&self.work);
        let workers = self.registry.list(now);
        let mut runs = self.loads.clone();
        if runs.is_empty() && self.somebody_asked(now) {
            runs.push(RunLoad::default());
        }
        let present = u32::try_from(workers.len()).unwrap_or(u32::MAX);
        self.decision = self.autoscaler.decide(&Observation {
            now,
            workers: present,
            slots: workers
                .iter()
                .fold(0, |sum, worker| sum.saturating_add(worker.slots)),
            runs: &runs,
        });
        let Decision {
            required, verdict, ..
        } = self.decision;
        let last = self.decisions.front();
        if last.is_none_or(|last| (last.required, last.verdict) != (required, verdict)) {
            self.decisions.push_front(Decided {
                at: now,
                required,
                present,
                verdict,
            });
            self.decisions.truncate(MOST_DECISIONS);
        }
        &self.decision
    }

    /// What was decided last.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Workers that are there, those asked to leave left out.
    pub fn workers(&mut self, now: Duration) -> Vec<dpp_proto::v1::WorkerEntry> {
        self.registry.list(now)
    }

    /// Number of workers and of ranks held.
    pub fn sizes(&self) -> (usize, usize) {
        (self.registry.len(), self.runs.ranks())
    }

    /// Runs, workers, and what is required, as of the last decision.
    pub fn status(&mut self, now: Duration) -> StatusResponse {
        let workers = self.worker_statuses(now);
        let leaving = workers.iter().filter(|worker| worker.draining).count();
        let present = u32::try_from(workers.len() - leaving).unwrap_or(u32::MAX);
        let mut decisions: Vec<Scale> = self
            .decisions
            .iter()
            .map(|decided| decided.status(now))
            .collect();
        let mut scale = decisions.first().cloned().unwrap_or_else(|| Scale {
            verdict: Verdict::Unknown.word().into(),
            reason: Verdict::Unknown.reason().into(),
            ..Default::default()
        });
        scale.present_workers = present;
        decisions.truncate(SHOWN_DECISIONS);
        StatusResponse {
            uptime_seconds: now.as_secs_f64(),
            heartbeat_seconds: self.registry.settings().heartbeat_every.as_secs_f64(),
            scale: Some(scale),
            decisions,
            runs: self.run_statuses(now),
            workers,
        }
    }

    fn run_statuses(&self, now: Duration) -> Vec<RunStatus> {
        let parts = self.loads.iter().zip(&self.decision.runs);
        parts
            .filter_map(|(load, part)| {
                let run = self.runs.get(&load.run)?;
                let who = run.last.run.clone().unwrap_or_default();
                let consumed = run.last.epoch_rows_consumed as f64;
                Some(RunStatus {
                    name: load.run.clone(),
                    team: who.team,
                    priority: who.priority,
                    ranks: u32::try_from(run.ranks()).unwrap_or(u32::MAX),
                    world_size: run.last.world_size,
                    epoch: run.last.epoch,
                    progress: consumed / (run.last.epoch_rows as f64).max(1.0),
                    rows_per_second: load.rows_per_second,
                    wanted_rows_per_second: load.wanted_rows_per_second.unwrap_or_default(),
                    stall_share: load.stalls.total(),
                    stalled: Some(StallSeconds {
                        storage: load.stalls.storage,
                        decode: load.stalls.decode,
                        transform: load.stalls.transform,
                        network: load.stalls.network,
                        client: load.stalls.client,
                    }),
                    slot_seconds_per_row: load.slot_seconds_per_row.unwrap_or_default(),
                    required_workers: part.workers,
                    verdict: part.verdict.word().into(),
                    silent_seconds: now.saturating_sub(run.heard_at).as_secs_f64(),
                })
            })
            .collect()
    }

    fn worker_statuses(&mut self, now: Duration) -> Vec<WorkerStatus> {
        let all = self.registry.all(now);
        all.into_iter()
            .map(|worker| {
                let (busy_share, rows_per_second, runs) = self.work.of_worker(&worker.worker_id);
                WorkerStatus {
                    draining: self.registry.is_leaving(&worker.address),
                    busy_share,
                    rows_per_second,
                    runs: u32::try_from(runs).unwrap_or(u32::MAX),
                    silent_seconds: f64::from(worker.silent_ms) / 1000.0,
                    worker_id: worker.worker_id,
                    address: worker.address,
                    slots: worker.slots,
                    active_reads: worker.active_reads,
                }
            })
            .collect()
    }

    fn somebody_asked(&self, now: Duration) -> bool {
        let limit = self.registry.settings().expires_after;
        self.asked_at
            .is_some_and(|at| now.saturating_sub(at) < limit)
    }

    /// Ranks ask at the pace of heartbeats, and more slowly when there are very many.
    fn ask_again_after(&self) -> Duration {
        let heartbeat = self.registry.settings().heartbeat_every;
        let crowded = Duration::from_millis(self.runs.ranks() as u64);
        crowded.clamp(heartbeat / 2, heartbeat)
    }
}

impl Decided {
    fn status(&self, now: Duration) -> Scale {
        Scale {
            age_seconds: now.saturating_sub(self.at).as_secs_f64(),
            required_workers: self.required,
            present_workers: self.present,
            verdict: self.verdict.word().into(),
            reason: self.verdict.reason().into(),
        }
    }
}

fn milliseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

const MOST_DECISIONS: usize = 100;
const SHOWN_DECISIONS: usize = 20;
