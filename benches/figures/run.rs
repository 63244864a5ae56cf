//! A trainer's run in a process of its own, which is this very program as `rows`: processor time and memory are then nobody
//! else's. A worker, if there is one, is a process as well, and new for every run.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use dpp_client::Error;
use serde::Deserialize;

use crate::{failed, machine, serve::Process};

/// What a trainer reads.
#[derive(Clone)]
pub(crate) struct Job {
    pub(crate) table: PathBuf,
    pub(crate) plan: PathBuf,
    pub(crate) batch_rows: u64,
    pub(crate) epochs: u32,
    /// More options of `rows`, as `--lanes 8`.
    pub(crate) options: String,
}

/// Where rows become batches.
#[derive(Clone, Copy)]
pub(crate) enum Place<'a> {
    /// In the trainer, by a thread a core.
    OnBox,
    /// The same, with one core for all of the process.
    OneCore,
    /// In a worker that listens there.
    Worker(&'a str),
}

/// What a run says of itself, and what its worker took.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Run {
    pub(crate) rows: u64,
    pub(crate) n_ids: u64,
    pub(crate) sum_dense: f64,
    /// From opening the loader to the last batch.
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
    pub(crate) peak_anonymous_bytes: u64,
    pub(crate) stats: Stats,
    #[serde(skip)]
    pub(crate) worker: Worker,
}

/// What is used of a loader's own account.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Stats {
    pub(crate) first_batch_seconds: f64,
    pub(crate) decode_seconds: f64,
    pub(crate) transform_seconds: f64,
    pub(crate) read_bytes: u64,
    pub(crate) tensor_bytes: u64,
}

/// Nothing, on-box.
#[derive(Clone, Debug, Default)]
pub(crate) struct Worker {
    pub(crate) cpu_seconds: f64,
    pub(crate) peak_anonymous_bytes: u64,
}

impl Job {
    /// Reads all of it, once the worker listens.
    pub(crate) fn run(&self, place: Place<'_>) -> Result<Run, Error> {
        match place {
            Place::OnBox => self.drained(this()?, &[]),
            Place::OneCore => {
                let core = machine::first_core().map_err(failed)?.to_string();
                let mut command = Command::new("taskset");
                command
                    .args(["--cpu-list", &core])
                    .arg(this()?.get_program());
                self.drained(command, &[])
            }
            Place::Worker(listen) => {
                let worker = Process::start(&format!("worker --listen {listen}"))?;
                let before = worker.cpu_seconds()?;
                let mut run = self.drained(this()?, &["--service", &worker.address])?;
                run.worker = Worker {
                    cpu_seconds: worker.cpu_seconds()? - before,
                    peak_anonymous_bytes: worker.peak_anonymous_bytes()?,
                };
                Ok(run)
            }
        }
    }

    fn drained(&self, mut command: Command, place: &[&str]) -> Result<Run, Error> {
        command.args(["rows", "--batch-size", &self.batch_rows.to_string()]);
        command.args(["--epochs", &self.epochs.to_string()]);
        command.arg("--table").arg(&self.table);
        command.arg("--plan").arg(&self.plan).args(place);
        command.args(self.options.split_whitespace());
        json_of(command)
    }
}

impl Run {
    /// Of all its processes.
    pub(crate) fn all_cpu_seconds(&self) -> f64 {
        self.cpu_seconds + self.worker.cpu_seconds
    }

    /// Of tensors, 10⁹ bytes each.
    pub(crate) fn gigabytes(&self) -> f64 {
        self.stats.tensor_bytes as f64 / 1e9
    }
}

/// This very program.
pub(crate) fn this() -> Result<Command, Error> {
    Ok(Command::new(std::env::current_exe().map_err(failed)?))
}

/// What a process prints; what it says on standard error is let through.
pub(crate) fn json_of<T: for<'a> Deserialize<'a>>(mut command: Command) -> Result<T, Error> {
    let output = command.stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| failed(format!("{command:?}: {error}")))?;
    if !output.status.success() {
        return Err(failed(format!("{command:?}: {}", output.status)));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| failed(format!("{command:?}: {error}")))
}
