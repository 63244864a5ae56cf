//! What runs on one table at the same time cost at storage, against one run: workers keep stored bytes, and trainers ask the same
//! worker for the same rows. Workers are started anew for every number of runs; bytes are counted by a proxy before an S3 server.

use std::path::PathBuf;

use clap::Args;
use dpp_client::{BatchRows, Error, Loader, Place, Settings};
use dpp_ops::Plan;
use dpp_proto::v1::TableSource;
use serde::Serialize;

use crate::{
    failed,
    machine::Machine,
    rows::{Sums, drain},
    serve::Process,
    slow_store::{Served, Slowness},
    tables::FarTable,
};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Rows of the table
    #[arg(long, value_name = "N", default_value_t = 400_000)]
    rows: u64,
    /// Runs at the same time
    #[arg(long, value_name = "N", default_value_t = 2)]
    runs: usize,
    /// Workers
    #[arg(long, value_name = "N", default_value_t = 2)]
    workers: usize,
    /// More options of the workers, as `--cache 64MiB`
    #[arg(
        long,
        value_name = "OPTIONS",
        default_value = "",
        allow_hyphen_values = true
    )]
    worker: String,
    /// The S3 server
    #[arg(long, value_name = "PROGRAM", default_value = "build/tools/bin/s3s-fs")]
    s3: PathBuf,
}

#[derive(Serialize)]
struct Figure {
    figure: &'static str,
    rows: u64,
    workers: usize,
    runs: usize,
    one_run: Served,
    all_runs: Served,
    bytes_ratio: f64,
    requests_ratio: f64,
    machine: Machine,
}

/// Measures one run, then several at the same time.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let options = format!(
        "--rows {} --files 4 --row-group-rows 5000 --dense 10 --sparse 6",
        arguments.rows
    );
    let slowness = Slowness {
        request_ms: 1.0,
        bandwidth_mb: 1e3,
        at_a_time: 10_000,
    };
    let table = FarTable::start(&arguments.s3, options, slowness).await?;
    let one_run = served(&arguments, &table, 1).await?;
    let all_runs = served(&arguments, &table, arguments.runs).await?;
    let figure = Figure {
        figure: "sharing",
        rows: arguments.rows,
        workers: arguments.workers,
        runs: arguments.runs,
        bytes_ratio: all_runs.bytes as f64 / one_run.bytes as f64,
        requests_ratio: all_runs.requests as f64 / one_run.requests as f64,
        one_run,
        all_runs,
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&figure).expect("numbers and names are JSON"))
}

/// What the store served to new workers of so many runs.
async fn served(arguments: &Arguments, table: &FarTable, runs: usize) -> Result<Served, Error> {
    let options = format!(
        "worker --listen 127.0.0.1:0 --threads 1 {}",
        arguments.worker
    );
    let workers: Vec<Process> = (0..arguments.workers)
        .map(|_| Process::start(&options))
        .collect::<Result<_, _>>()?;
    let service: Vec<&str> = workers.iter().map(|worker| &*worker.address).collect();
    let service = service.join(",");
    let before = table.store.served();
    let tasks: Vec<_> = (0..runs)
        .map(|run| {
            tokio::spawn(read(
                service.clone(),
                table.source.clone(),
                format!("run {run}"),
            ))
        })
        .collect();
    let mut sums: Vec<u64> = Vec::new();
    for task in tasks {
        sums.push(task.await.map_err(failed)??.n_ids);
    }
    if sums.iter().any(|ids| *ids != sums[0]) {
        return Err(failed("runs read unlike rows"));
    }
    Ok(table.store.served() - before)
}

async fn read(service: String, table: TableSource, run_name: String) -> Result<Sums, Error> {
    let settings = Settings {
        batch: BatchRows::PerRank(2048),
        run_name,
        ..Settings::default()
    };
    let plan = Plan::from_json(PLAN).map_err(failed)?.to_proto();
    let mut loader = Loader::open(Place::Service(service), table, plan, settings).await?;
    drain(&mut loader, 1).await
}

const PLAN: &str = r#"{"nodes": [{"pattern": "f_*"}, {"op": "fill_null", "inputs": [0], "value": 0.0},
    {"pattern": "id_*"}, {"op": "sigrid_hash", "inputs": [2], "salt": 0, "max_value": 100000}],
  "dense": [{"node": 1}], "sparse": [{"node": 3}]}"#;
