//! Time from opening a loader to its first batch: at an epoch's start, and resumed in its middle, for several numbers of
//! lanes. Cold and resumed loaders are opened in turns, on-box, each with an engine of its own.

use std::{path::PathBuf, time::Instant};

use clap::Args;
use dpp_client::{BatchRows, Error, Loader, Place, Settings, State};
use dpp_proto::v1;
use serde::Serialize;

use crate::{failed, machine::Machine, rounds::median, rows::read_plan};

/// What is measured.
#[derive(Args)]
pub(crate) struct Arguments {
    /// The table's URL
    #[arg(long, value_name = "URL")]
    table: String,
    /// The plan, as JSON
    #[arg(long, value_name = "FILE")]
    plan: PathBuf,
    /// Numbers of lanes
    #[arg(
        long,
        value_name = "N,…",
        value_delimiter = ',',
        default_value = "1,8,64"
    )]
    lanes: Vec<u64>,
    /// Rows of a batch
    #[arg(long, value_name = "ROWS", default_value_t = 1024)]
    batch_size: u64,
    /// Loaders opened of each kind; medians are shown
    #[arg(long, value_name = "N", default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// One line of output.
#[derive(Serialize)]
struct Line {
    figure: &'static str,
    table: String,
    batch_size: u64,
    rounds: u32,
    lanes: Vec<Lanes>,
    machine: Machine,
}

/// Medians over all rounds.
#[derive(Serialize)]
struct Lanes {
    lanes: u64,
    rows_consumed: u64,
    cold_seconds: f64,
    resumed_seconds: f64,
    resumed_to_cold: f64,
}

/// Opens loaders and returns the figure as JSON.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let plan = read_plan(&arguments.plan)?;
    let mut lanes = Vec::new();
    for &count in &arguments.lanes {
        lanes.push(compare(&arguments, &plan, count).await?);
    }
    let line = Line {
        figure: "resume",
        table: arguments.table,
        batch_size: arguments.batch_size,
        rounds: arguments.rounds,
        lanes,
        machine: Machine::here(),
    };
    Ok(serde_json::to_string(&line).expect("numbers and names are JSON"))
}

async fn compare(arguments: &Arguments, plan: &v1::Plan, lanes: u64) -> Result<Lanes, Error> {
    let (state, rows_consumed) = middle(open(arguments, plan, lanes).await?).await?;
    let (mut cold, mut resumed) = (Vec::new(), Vec::new());
    for _ in 0..arguments.rounds {
        cold.push(first_batch(arguments, plan, lanes, None).await?);
        resumed.push(first_batch(arguments, plan, lanes, Some(&state)).await?);
    }
    let (cold_seconds, resumed_seconds) = (median(cold), median(resumed));
    Ok(Lanes {
        lanes,
        rows_consumed,
        cold_seconds,
        resumed_seconds,
        resumed_to_cold: resumed_seconds / cold_seconds,
    })
}

/// The state after half of an epoch's steps, and the rows taken until then.
async fn middle(mut loader: Loader) -> Result<(State, u64), Error> {
    let steps = loader.num_steps();
    let steps = steps.ok_or_else(|| failed("where a row filter's middle is, is not known"))? / 2;
    let mut batches = loader.start_epoch();
    let mut rows = 0;
    for _ in 0..steps {
        let Some(batch) = batches.next().await else {
            break;
        };
        rows += batch?.tensors.rows as u64;
    }
    Ok((loader.state(), rows))
}

/// Seconds from nothing to a first batch.
async fn first_batch(
    arguments: &Arguments,
    plan: &v1::Plan,
    lanes: u64,
    state: Option<&State>,
) -> Result<f64, Error> {
    let began = Instant::now();
    let mut loader = open(arguments, plan, lanes).await?;
    if let Some(state) = state {
        loader.load_state(state)?;
    }
    let mut batches = loader.start_epoch();
    batches.next().await.transpose()?;
    Ok(began.elapsed().as_secs_f64())
}

async fn open(arguments: &Arguments, plan: &v1::Plan, lanes: u64) -> Result<Loader, Error> {
    let place = Place::OnBox {
        threads: None,
        keys: None,
    };
    let table = v1::TableSource {
        url: arguments.table.clone(),
        ..Default::default()
    };
    let settings = Settings {
        batch: BatchRows::PerRank(arguments.batch_size),
        lanes: Some(lanes),
        ..Settings::default()
    };
    Loader::open(place, table, plan.clone(), settings).await
}
