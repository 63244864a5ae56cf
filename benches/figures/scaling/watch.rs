//! Looks at the fleet all the time, and kills a worker now and then.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use dpp_fleet::client::Client;
use dpp_proto::v1::{StatusResponse, WorkerStatus};
use rustix::process::{Pid, Signal, kill_process};
use tokio::{task::JoinHandle, time::Instant};

use super::{Phase, Speed, trainer::Pace};

/// What was seen; it ends when dropped.
pub(super) struct Watch {
    seen: Arc<Mutex<Seen>>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Seen {
    /// Every change of the number of required workers.
    required: Vec<(Instant, u32)>,
    workers: Vec<WorkerStatus>,
    killed: Vec<Instant>,
}

impl Watch {
    pub(super) fn start(client: Client, kill_every: Option<Duration>) -> Watch {
        let seen = Arc::<Mutex<Seen>>::default();
        let mut tasks = vec![tokio::spawn(look(client, seen.clone()))];
        tasks.extend(kill_every.map(|every| tokio::spawn(kill(every, seen.clone()))));
        Watch { seen, tasks }
    }

    /// A speed that began then has ended.
    pub(super) fn phase(&self, speed: Speed, pace: Pace, began: Instant) -> Phase {
        let seen = lock(&self.seen);
        let before = seen.required.iter().rev().find(|(at, _)| *at <= began);
        let changes = seen.required.iter().filter(|(at, _)| *at > began);
        let required: Vec<u32> = before
            .into_iter()
            .chain(changes)
            .map(|(_, workers)| *workers)
            .collect();
        Phase {
            speed,
            stall_share: pace.stall_share,
            rows_per_second: pace.rows_per_second,
            reversals: reversals(&required),
            required,
            present: seen.workers.len(),
            killed: seen.killed.iter().filter(|at| **at > began).count(),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Seen {
    fn note(&mut self, status: StatusResponse) {
        let required = status.scale.and_then(|scale| scale.required_workers);
        if let Some(required) = required
            && self
                .required
                .last()
                .is_none_or(|(_, last)| *last != required)
        {
            self.required.push((Instant::now(), required));
        }
        self.workers = status.workers;
    }
}

async fn look(mut client: Client, seen: Arc<Mutex<Seen>>) {
    loop {
        // one that does not answer is asked again
        if let Ok(status) = client.status().await {
            lock(&seen).note(status);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

async fn kill(every: Duration, seen: Arc<Mutex<Seen>>) {
    for turn in 0.. {
        tokio::time::sleep(every).await;
        let mut seen = lock(&seen);
        let ids: Vec<Pid> = seen.workers.iter().filter_map(process).collect();
        if let Some(id) = ids.get(turn % ids.len().max(1))
            && kill_process(*id, Signal::KILL).is_ok()
        {
            seen.killed.push(Instant::now());
        }
    }
}

/// A local worker's id ends with that of its process.
fn process(worker: &WorkerStatus) -> Option<Pid> {
    let (_, id) = worker.worker_id.rsplit_once('#')?;
    Pid::from_raw(id.parse().ok()?)
}

/// How often a number went down after going up, or up after going down.
fn reversals(numbers: &[u32]) -> usize {
    let rises = numbers.windows(2).map(|pair| pair[1] > pair[0]);
    let rises: Vec<bool> = rises.collect();
    rises.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

const LOOK_EVERY: Duration = Duration::from_millis(200);
