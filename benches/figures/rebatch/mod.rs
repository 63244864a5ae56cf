//! Batches of any size from a worker with little memory: packed in base batches that the client joins, or whole at the worker.
//!
//! Both sides read the same row groups of the same table through the same engine and transport. A worker that packs whole
//! batches holds each of them decoded, packed and on its way, so that fewer reads fit its memory. How many do is measured: of
//! all numbers of reads whose peak stays under the limit, the fastest stands.

mod trainer;
mod worker;

use std::path::Path;

use clap::Args;
use dpp_client::Error;
use dpp_ops::Plan;
use dpp_proto::v1;
use serde::Serialize;
use serde_json::json;

pub(crate) use self::worker::{Arguments as WorkerArguments, serve};
use self::{trainer::Trainer, worker::WorkerProcess};
use crate::{failed, machine::Machine, rounds::median_of, tables};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rows of a batch
    #[arg(long, value_name = "ROWS,…", value_delimiter = ',', default_values_t = [512, 2048, 8192, 32_768, 65_536])]
    batch_sizes: Vec<u64>,
    /// Memory of the worker, in MB
    #[arg(long, value_name = "MB,…", value_delimiter = ',', default_values_t = [256, 512, 1024])]
    memory: Vec<u64>,
    /// Most whole batches that are made at a time; fewer are tried too
    #[arg(long, value_name = "N", default_value_t = 4)]
    whole: usize,
    /// Compute threads of the worker, and most lanes of the trainer that rebatches
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: usize,
    /// Row groups of the table, of 65,536 rows each
    #[arg(long, value_name = "N", default_value_t = 6)]
    row_groups: u64,
    /// Dense features
    #[arg(long, value_name = "N", default_value_t = 60)]
    dense: u64,
    /// Id lists
    #[arg(long, value_name = "N", default_value_t = 30)]
    sparse: u64,
    /// Interleaved rounds; medians of rows a second and the largest peaks are shown
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// One line of output.
#[derive(Serialize)]
struct Line {
    figure: &'static str,
    rows: u64,
    threads: usize,
    rounds: u32,
    batches: Vec<BatchSize>,
    machine: Machine,
}

/// What one size of batches costs.
#[derive(Serialize)]
struct BatchSize {
    batch_rows: u64,
    memory: Vec<Memory>,
    /// Whole batches at the worker, whatever memory that takes.
    whole: Vec<Side>,
}

/// The same under one limit of memory.
#[derive(Serialize)]
struct Memory {
    limit_mb: u64,
    rebatched: Side,
    /// The fastest that fits; none when not even one batch does.
    whole: Option<Side>,
    rebatched_to_whole: Option<f64>,
}

/// One way to batches, over all rounds.
#[derive(Clone, Debug, Serialize)]
struct Side {
    /// Reads that are served at a time, as many as the memory admits.
    reads: usize,
    /// Of its threads, those that the reads can keep busy.
    threads: usize,
    rows_per_second: f64,
    worker_cpu_seconds: f64,
    /// The largest, beyond what the worker has when idle.
    peak_mb: u64,
}

/// One run.
#[derive(Clone, Copy, Debug)]
struct Run {
    rows: u64,
    seconds: f64,
    worker_cpu_seconds: f64,
    peak_bytes: u64,
}

/// Writes a table, measures both ways and returns the figure as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let folder = tempfile::tempdir().map_err(failed)?;
    let table = folder.path().join("table");
    synth(&arguments, &table)?;
    let trainer = Trainer {
        table: v1::TableSource {
            url: table.display().to_string(),
            ..Default::default()
        },
        plan: plan()?,
    };
    let mut batches = Vec::new();
    let mut lanes = vec![arguments.threads as u64; arguments.memory.len()];
    for &batch_rows in &arguments.batch_sizes {
        batches.push(batch_size(&arguments, &trainer, &mut lanes, batch_rows).await?);
    }
    let line = Line {
        figure: "rebatch",
        rows: arguments.row_groups * ROW_GROUP_ROWS,
        threads: arguments.threads,
        rounds: arguments.rounds,
        batches,
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

async fn batch_size(
    arguments: &Arguments,
    trainer: &Trainer,
    lanes: &mut [u64],
    batch_rows: u64,
) -> Result<BatchSize, Error> {
    let threads = arguments.threads;
    let mut rebatched = vec![Vec::new(); arguments.memory.len()];
    let mut whole = vec![Vec::new(); arguments.whole];
    for _ in 0..arguments.rounds {
        let limits = arguments.memory.iter().zip(lanes.iter_mut());
        for (runs, (megabytes, lanes)) in rebatched.iter_mut().zip(limits) {
            let worker = || WorkerProcess::rebatched(threads, *megabytes);
            runs.push(trainer.rebatch(worker, batch_rows, lanes).await?);
        }
        for (runs, reads) in whole.iter_mut().zip(1..) {
            let worker = WorkerProcess::whole(threads.min(reads), batch_rows)?;
            runs.push(trainer.take_whole(&worker, reads).await?);
        }
    }
    let rows = arguments.row_groups * ROW_GROUP_ROWS;
    if let Some(run) = rebatched
        .iter()
        .chain(&whole)
        .flatten()
        .find(|run| run.rows != rows)
    {
        return Err(failed(format!("{} rows came of {rows}", run.rows)));
    }
    let whole = whole.iter().zip(1..);
    let whole: Vec<Side> = whole
        .map(|(runs, reads)| Side::of(runs, reads, threads))
        .collect();
    let limits = arguments.memory.iter().zip(lanes.iter());
    let memory = limits.zip(&rebatched).map(|((megabytes, lanes), runs)| {
        let rebatched = Side::of(runs, usize::try_from(*lanes).unwrap_or(threads), threads);
        Memory::of(*megabytes, rebatched, &whole)
    });
    Ok(BatchSize {
        batch_rows,
        memory: memory.collect(),
        whole,
    })
}

impl Memory {
    fn of(limit_mb: u64, rebatched: Side, whole: &[Side]) -> Memory {
        let fitting = whole.iter().filter(|side| side.peak_mb <= limit_mb);
        let whole = fitting.max_by(|a, b| a.rows_per_second.total_cmp(&b.rows_per_second));
        Memory {
            limit_mb,
            rebatched_to_whole: whole.map(|side| rebatched.rows_per_second / side.rows_per_second),
            rebatched,
            whole: whole.cloned(),
        }
    }
}

impl Side {
    fn of(runs: &[Run], reads: usize, threads: usize) -> Side {
        let median = |of: fn(&Run) -> f64| median_of(runs, of);
        let peak = runs.iter().map(|run| run.peak_bytes).max();
        Side {
            reads,
            threads: threads.min(reads),
            rows_per_second: median(|run| run.rows as f64 / run.seconds),
            worker_cpu_seconds: median(|run| run.worker_cpu_seconds),
            peak_mb: peak.unwrap_or(0) / MEGABYTE,
        }
    }
}

/// Writes a wide table by `dpp table synth`: dense features and id lists, in row groups as large as the largest batch.
fn synth(arguments: &Arguments, destination: &Path) -> Result<(), Error> {
    let rows = arguments.row_groups * ROW_GROUP_ROWS;
    let options = format!(
        "--preset w2 --files {} --rows {rows} --row-group-rows {ROW_GROUP_ROWS} --dense {} --sparse {}",
        arguments.row_groups, arguments.dense, arguments.sparse,
    );
    tables::synth(destination, &options)
}

/// As models clean features: dense ones filled, clamped and put on a log scale, ids of a list's head hashed.
fn plan() -> Result<v1::Plan, Error> {
    let plan = json!({
        "semantics_version": dpp_proto::SEMANTICS_VERSION,
        "nodes": [
            {"pattern": "D*"},
            {"op": "fill_null", "inputs": [0], "value": 0.0},
            {"op": "clamp", "inputs": [1], "min": 0.0},
            {"op": "log1p", "inputs": [2]},
            {"pattern": "S*"},
            {"op": "first_x", "inputs": [4], "n": 20},
            {"op": "sigrid_hash", "inputs": [5], "salt": 0, "max_value": 1_000_000},
        ],
        "dense": [{"name": "*", "node": 3}],
        "sparse": [{"name": "*", "node": 6}],
        "missing": 0.0,
    });
    let plan = Plan::from_json(&plan.to_string()).map_err(failed)?;
    Ok(plan.to_proto())
}

/// Rows of a row group, the most that one read can pack whole.
const ROW_GROUP_ROWS: u64 = 65_536;
const MEGABYTE: u64 = 1_000_000;
