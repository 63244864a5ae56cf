//! Workers on this machine: as many processes as are required, beside the workers that are there without us.
//!
//! ```text
//!  required − others' workers ─▶ too few: start one · too many: SIGTERM to the youngest (it drains and exits)
//! ```
//!
//! A worker that dies is replaced. Workers left behind by a fleet that was killed go on serving; they are known by
//! their heartbeats, and asked over them to leave when they are too many.

use std::{
    ffi::OsString,
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    signal::unix::{SignalKind, signal},
};

use crate::server::Service;

/// Starts and stops worker processes.
#[derive(Debug)]
pub struct LocalWorkers {
    /// Program and arguments that make a worker.
    command: Vec<OsString>,
    service: Service,
    running: Vec<Local>,
    leaving: Vec<Local>,
    rest_until: Option<Instant>,
}

#[derive(Debug)]
struct Local {
    process: Child,
    /// That of the process, which has none any more when it has died.
    id: Option<u32>,
    started: Instant,
}

impl LocalWorkers {
    /// Workers are started as `command`, to which nothing is added.
    pub fn new(command: Vec<OsString>, service: Service) -> LocalWorkers {
        LocalWorkers {
            command,
            service,
            running: Vec::new(),
            leaving: Vec::new(),
            rest_until: None,
        }
    }

    /// Keeps as many as are required, until dropped.
    pub async fn keep(&mut self) {
        let mut required = self.service.required();
        let mut deaths = signal(SignalKind::child()).ok();
        loop {
            let wanted = *required.borrow_and_update();
            self.bury();
            if let Some(wanted) = wanted {
                self.approach(usize::try_from(wanted).unwrap_or(usize::MAX));
            }
            let look_again = LOOK_AGAIN.min(self.service.heartbeat_every());
            let death = async {
                match &mut deaths {
                    Some(deaths) => deaths.recv().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The sender is ours.
                _ = required.changed() => {}
                _ = death => {}
                () = tokio::time::sleep(look_again) => {}
            }
        }
    }

    /// Asks all to leave and waits for them, for a while; those that stay are killed.
    pub async fn stop(mut self) {
        let all = self.running.drain(..).chain(self.leaving.drain(..));
        let mut all: Vec<Local> = all.collect();
        for local in &all {
            local.ask_to_leave();
        }
        let deadline = tokio::time::Instant::now() + PATIENCE;
        for local in &mut all {
            if tokio::time::timeout_at(deadline, local.process.wait())
                .await
                .is_err()
            {
                tracing::warn!("a local worker did not leave in time and is killed");
                // One that has just gone by itself needs no killing.
                _ = local.process.kill().await;
            }
        }
    }

    fn approach(&mut self, required: usize) {
        let others = self.others();
        let have = self.running.len() + others.len();
        if have < required {
            for _ in have..required {
                self.start();
            }
            return;
        }
        let mut too_many = have - required;
        while too_many > 0
            && let Some(youngest) = self.running.pop()
        {
            tracing::info!(worker = youngest.process.id(), "a local worker may go");
            youngest.ask_to_leave();
            self.leaving.push(youngest);
            too_many -= 1;
        }
        let left_behind = others.into_iter().filter(|address| is_local(address));
        let to_drain: Vec<String> = left_behind.take(too_many).collect();
        if !to_drain.is_empty() {
            self.service.drain(to_drain);
        }
    }

    /// Addresses of workers that are there and that we did not start.
    fn others(&self) -> Vec<String> {
        let ours: Vec<String> = self
            .running
            .iter()
            .chain(&self.leaving)
            .filter_map(|local| Some(format!("#{}", local.process.id()?)))
            .collect();
        let all = self.service.workers().into_iter();
        all.filter(|worker| !ours.iter().any(|id| worker.worker_id.ends_with(id)))
            .map(|worker| worker.address)
            .collect()
    }

    fn start(&mut self) {
        if self.rest_until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        let Some((program, arguments)) = self.command.split_first() else {
            return;
        };
        let started = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn();
        match started {
            Ok(process) => {
                tracing::info!(worker = process.id(), "started a local worker");
                self.running.push(Local {
                    id: process.id(),
                    process,
                    started: Instant::now(),
                });
            }
            Err(error) => {
                tracing::error!(%error, ?program, "can't start a local worker");
                self.rest_until = Some(Instant::now() + REST);
            }
        }
    }

    /// Forgets those that have exited.
    fn bury(&mut self) {
        self.leaving
            .retain_mut(|local| matches!(local.process.try_wait(), Ok(None)));
        let (rest_until, service) = (&mut self.rest_until, &self.service);
        self.running.retain_mut(|local| {
            let Ok(Some(status)) = local.process.try_wait() else {
                return true;
            };
            tracing::warn!(%status, "a local worker died");
            local.forget(service);
            if local.started.elapsed() < YOUNG {
                *rest_until = Some(Instant::now() + REST); // whatever killed it will kill the next one
            }
            false
        });
    }
}

impl Local {
    /// One that has died need not be silent for long before it is listed no more.
    fn forget(&self, service: &Service) {
        let Some(id) = self.id else { return };
        let ends = format!("#{id}");
        let all = service.workers().into_iter();
        for worker in all.filter(|worker| is_local(&worker.address)) {
            if worker.worker_id.ends_with(&ends) {
                service.forget(&worker.worker_id);
            }
        }
    }

    fn ask_to_leave(&self) {
        let id = self.process.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.and_then(Pid::from_raw) {
            // One that has just exited hears nothing.
            _ = kill_process(id, Signal::TERM);
        }
    }
}

fn is_local(address: &str) -> bool {
    ["127.0.0.1:", "localhost:", "[::1]:", "unix:"]
        .iter()
        .any(|prefix| address.starts_with(prefix))
}

const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A worker that dies younger than this will die again.
const YOUNG: Duration = Duration::from_secs(2);
const REST: Duration = Duration::from_secs(5);
/// Workers finish their reads within 20 s.
const PATIENCE: Duration = Duration::from_secs(25);
