//! Rows per CPU-second from plan to batches, with sums that prove the work.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use dpp_batch::Batch;
use dpp_client::{BatchRows, Error, Loader, Place, Settings, Stats};
use dpp_ops::Plan;
use dpp_proto::{Fault, fault::message_with_causes, v1};
use serde::Serialize;

use crate::{
    failed,
    machine::{Machine, cpu_time, peak_anonymous_bytes},
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The table's URL
    #[arg(long, value_name = "URL")]
    table: String,
    /// The plan, as JSON
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Rows of a batch
    #[arg(long, value_name = "ROWS", default_value_t = 8192)]
    batch_size: u64,
    /// Passes over the table
    #[arg(long, value_name = "N", default_value_t = 1)]
    epochs: u32,
    /// Compute threads on-box [default: one a core]
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Lanes [default: the client's]
    #[arg(long, value_name = "N")]
    lanes: Option<u64>,
    /// Workers instead of on-box; CPU-seconds are then this process's only
    #[arg(long, value_name = "SERVICE", conflicts_with = "threads")]
    service: Option<String>,
}

/// One line of output.
#[derive(Serialize)]
struct Line {
    figure: &'static str,
    table: String,
    service: Option<String>,
    batch_size: u64,
    epochs: u32,
    rows: u64,
    n_ids: u64,
    sum_dense: f64,
    cpu_seconds: f64,
    wall_seconds: f64,
    rows_per_cpu_second: f64,
    rows_per_second: f64,
    peak_anonymous_bytes: u64,
    stats: Stats,
    machine: Machine,
}

/// Sums over all batches, the same for whoever reads the table rightly.
#[derive(Default)]
pub(crate) struct Sums {
    rows: u64,
    pub(crate) n_ids: u64,
    pub(crate) sum_dense: f64,
}

/// Drains the table and returns the figure as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let plan = read_plan(&arguments.plan)?;
    let place = match &arguments.service {
        Some(service) => Place::Service(service.clone()),
        None => Place::OnBox {
            threads: arguments.threads,
            keys: None,
        },
    };
    let table = v1::TableSource {
        url: arguments.table.clone(),
        ..Default::default()
    };
    let settings = Settings {
        batch: BatchRows::PerRank(arguments.batch_size),
        lanes: arguments.lanes,
        ..Settings::default()
    };
    let (cpu, wall) = (cpu_time(), Instant::now());
    let mut loader = Loader::open(place, table, plan, settings).await?;
    let sums = drain(&mut loader, arguments.epochs).await?;
    let (cpu_seconds, wall_seconds) = (
        (cpu_time() - cpu).as_secs_f64(),
        wall.elapsed().as_secs_f64(),
    );
    let line = Line {
        figure: "rows",
        table: arguments.table,
        service: arguments.service,
        batch_size: arguments.batch_size,
        epochs: arguments.epochs,
        rows: sums.rows,
        n_ids: sums.n_ids,
        sum_dense: sums.sum_dense,
        cpu_seconds,
        wall_seconds,
        rows_per_cpu_second: sums.rows as f64 / cpu_seconds,
        rows_per_second: sums.rows as f64 / wall_seconds,
        peak_anonymous_bytes: peak_anonymous_bytes(std::process::id()).map_err(failed)?,
        stats: loader.stats(),
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

pub(crate) fn read_plan(path: &PathBuf) -> Result<v1::Plan, Error> {
    let invalid = |message: String| Error::Source {
        fault: Fault::Invalid,
        message,
    };
    let json = std::fs::read_to_string(path)
        .map_err(|error| invalid(format!("can't read {}: {error}", path.display())))?;
    let plan = Plan::from_json(&json).map_err(|error| {
        invalid(format!(
            "{}: {}",
            path.display(),
            message_with_causes(&error)
        ))
    })?;
    Ok(plan.to_proto())
}

pub(crate) async fn drain(loader: &mut Loader, epochs: u32) -> Result<Sums, Error> {
    let mut sums = Sums::default();
    for _ in 0..epochs {
        let mut batches = loader.start_epoch();
        while let Some(batch) = batches.next().await {
            sums.add(&batch?.tensors);
        }
    }
    Ok(sums)
}

impl Sums {
    fn add(&mut self, batch: &Batch) {
        self.rows += batch.rows as u64;
        self.n_ids += (batch.sparse.values.len() / 8) as u64;
        let dense: &[f32] = batch.dense.typed_data();
        self.sum_dense += sum(dense);
    }
}

/// Side by side, so that proving the work is little beside the work.
fn sum(values: &[f32]) -> f64 {
    let mut sums = [0.0; 16];
    let (parts, rest) = values.as_chunks::<16>();
    for part in parts {
        for (sum, value) in sums.iter_mut().zip(part) {
            *sum += f64::from(*value);
        }
    }
    let rest = rest.iter().map(|value| f64::from(*value));
    sums.into_iter().chain(rest).sum()
}
