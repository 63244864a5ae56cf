//! The whole way as people go it, from a stored table to a trainer's batches: on-box with all cores and with one, and through a
//! worker by Unix socket and by TCP. Beside it the floor: the Parquet crate's bare decode of the same columns.
//!
//! The tables and plans are those of `benches/peers`, whose Python writes and prints them. Every run is a process of its own
//! (`rows`), a worker another; CPU counts from opening the loader, in both, a worker's start left out. Stages are by the
//! clock of compute threads: on a machine that others use they take more than CPU says.

mod floor;
mod report;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;
use dpp_client::Error;
use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::floor::{Arguments as FloorArguments, measure as floor};
use self::{
    floor::Floor,
    report::{Figure, Lanes},
};
use crate::{
    failed,
    run::{Job, Place, Run, json_of, this},
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Workloads of `benches/peers`
    #[arg(value_name = "WORKLOAD", default_values = ["w1", "w2", "w3"])]
    workloads: Vec<String>,
    /// Folder of their tables, which are written at first
    #[arg(long, value_name = "FOLDER", default_value = "build/peers")]
    data: PathBuf,
    /// Rows of a table that is written [default: the workload's]
    #[arg(long, value_name = "N")]
    rows: Option<u64>,
    /// A table of your own instead, in a local folder
    #[arg(long, value_name = "FOLDER", requires = "plan", conflicts_with_all = ["workloads", "data", "rows", "python"])]
    table: Option<PathBuf>,
    /// The plan for it, as JSON
    #[arg(long, value_name = "FILE", requires = "table")]
    plan: Option<PathBuf>,
    /// Rows of its batches
    #[arg(long, value_name = "ROWS", default_value_t = 8192)]
    batch_size: u64,
    /// Passes over a table
    #[arg(long, value_name = "N", default_value_t = 5)]
    epochs: u32,
    /// Interleaved rounds; medians are printed
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// A Python with dpp, pyarrow and numpy
    #[arg(long, value_name = "PROGRAM", default_value = ".venv/bin/python")]
    python: PathBuf,
    /// Print a line of JSON per workload
    #[arg(long)]
    json: bool,
}

/// All that ran on a workload.
struct Rounds {
    on_box: Vec<Run>,
    one_core: Vec<Run>,
    unix: Vec<Run>,
    tcp: Vec<Run>,
    floor: Vec<Floor>,
}

/// Runs every workload and returns the figures.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let mut texts = Vec::new();
    for (name, job) in jobs(&arguments, folder.path())? {
        let rounds = Rounds::run(&job, arguments.rounds, folder.path())?;
        rounds.check()?;
        let lanes = LANES.map(|lanes| peak_of_lanes(&job, lanes));
        let lanes = lanes.into_iter().collect::<Result<_, _>>()?;
        let figure = Figure::new(name, &job, rounds, lanes);
        texts.push(match arguments.json {
            true => serde_json::to_string(&figure).expect("numbers and names are JSON"),
            false => figure.table(),
        });
    }
    let between = if arguments.json { "\n" } else { "\n\n" };
    Ok(texts.join(between))
}

/// What `benches/peers/with_dpp.py` says of a workload.
#[derive(Deserialize)]
struct Workload {
    table: PathBuf,
    batch_rows: u64,
    plan: Value,
}

/// What is read, with its name.
fn jobs(arguments: &Arguments, folder: &Path) -> Result<Vec<(String, Job)>, Error> {
    if let (Some(table), Some(plan)) = (&arguments.table, &arguments.plan) {
        let job = Job {
            table: table.clone(),
            plan: plan.clone(),
            batch_rows: arguments.batch_size,
            epochs: arguments.epochs,
            options: String::new(),
        };
        return Ok(vec![(table.display().to_string(), job)]);
    }
    let named = |name: &String| Ok((name.clone(), workload(arguments, name, folder)?));
    arguments.workloads.iter().map(named).collect()
}

fn workload(arguments: &Arguments, name: &str, folder: &Path) -> Result<Job, Error> {
    let mut command = Command::new(&arguments.python);
    command.args(["benches/peers/with_dpp.py", name, "--data"]);
    command.arg(&arguments.data);
    if let Some(rows) = arguments.rows {
        command.args(["--rows", &rows.to_string()]);
    }
    let workload: Workload = json_of(command)?;
    let plan = folder.join(name).with_extension("json");
    fs::write(&plan, workload.plan.to_string()).map_err(failed)?;
    Ok(Job {
        table: workload.table,
        plan,
        batch_rows: workload.batch_rows,
        epochs: arguments.epochs,
        options: String::new(),
    })
}

impl Rounds {
    fn run(job: &Job, count: u32, folder: &Path) -> Result<Rounds, Error> {
        let socket = format!("unix:{}", folder.join("worker").display());
        let mut rounds = Rounds {
            on_box: Vec::new(),
            one_core: Vec::new(),
            unix: Vec::new(),
            tcp: Vec::new(),
            floor: Vec::new(),
        };
        for _ in 0..count {
            rounds.on_box.push(job.run(Place::OnBox)?);
            rounds.unix.push(job.run(Place::Worker(&socket))?);
            rounds.tcp.push(job.run(Place::Worker("127.0.0.1:0"))?);
            rounds.one_core.push(job.run(Place::OneCore)?);
            rounds.floor.push(bare_decode(job)?);
        }
        Ok(rounds)
    }

    /// All must have read the same rows and made the same of them.
    fn check(&self) -> Result<(), Error> {
        let first = &self.on_box[0];
        let others = [&self.on_box, &self.one_core, &self.unix, &self.tcp];
        for other in others.into_iter().flatten() {
            let same = other.rows == first.rows
                && other.n_ids == first.n_ids
                && other.sum_dense == first.sum_dense;
            if !same {
                return Err(failed(format!("other rows: {first:?} and {other:?}")));
            }
        }
        match self.floor.iter().find(|floor| floor.rows != first.rows) {
            None => Ok(()),
            Some(floor) => Err(failed(format!("other rows: {first:?} and {floor:?}"))),
        }
    }
}

fn bare_decode(job: &Job) -> Result<Floor, Error> {
    let mut command = this()?;
    command
        .arg("end-to-end-floor")
        .arg("--table")
        .arg(&job.table);
    command.arg("--plan").arg(&job.plan);
    command.args(["--batch-size", &job.batch_rows.to_string()]);
    command.args(["--epochs", &job.epochs.to_string()]);
    json_of(command)
}

fn peak_of_lanes(job: &Job, lanes: u64) -> Result<Lanes, Error> {
    let job = Job {
        epochs: 1,
        options: format!("--lanes {lanes}"),
        ..job.clone()
    };
    Ok(Lanes {
        lanes,
        peak_mb: job.run(Place::OnBox)?.peak_anonymous_bytes as f64 / 1e6,
    })
}

const LANES: [u64; 3] = [1, 8, 64];
