//! A fleet that sizes itself, for a trainer whose speed changes: `serve fleet --local-workers` beside a store so slow that workers
//! mostly wait, and more of them help on few cores. With `--kill-every`, a worker is killed every few seconds.

mod trainer;
mod watch;

use std::{fmt::Write as _, path::PathBuf, str::FromStr, time::Duration};

use clap::Args;
use dpp_client::Error;
use dpp_fleet::client::Client;
use dpp_proto::access::Caller;
use serde::Serialize;
use tokio::time::Instant;

use self::{trainer::Trainer, watch::Watch};
use crate::{failed, machine::Machine, serve::Process, slow_store::Slowness, tables::FarTable};

/// What is shown.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Speeds of the trainer, one after the other
    #[arg(
        long,
        value_name = "SECONDS:ROWS/S,…",
        value_delimiter = ',',
        default_value = "120:2500,120:12500,150:2500,120:7500,150:2500"
    )]
    speeds: Vec<Speed>,
    /// Fewest and most workers
    #[arg(long, value_name = "LEAST..MOST", default_value = "0..4")]
    local_workers: String,
    /// Kill a worker so often
    #[arg(long, value_name = "SECONDS")]
    kill_every: Option<f64>,
    /// Stalls are counted over this long before each change of speed
    #[arg(long, value_name = "SECONDS", default_value_t = 60.0)]
    window: f64,
    /// Milliseconds that every request to the store takes
    #[arg(long, value_name = "MS", default_value_t = 200.0)]
    request_ms: f64,
    /// Rows of a row group, which is one request
    #[arg(long, value_name = "N", default_value_t = 500)]
    row_group_rows: u64,
    /// Files of the table, of 100 row groups each
    #[arg(long, value_name = "N", default_value_t = 80)]
    files: u64,
    /// More options of the fleet, as `--heartbeat-seconds 1`
    #[arg(
        long,
        value_name = "OPTIONS",
        default_value = "",
        allow_hyphen_values = true
    )]
    fleet: String,
    /// The S3 server
    #[arg(long, value_name = "PROGRAM", default_value = "build/tools/bin/s3s-fs")]
    s3: PathBuf,
    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Rows a second that a trainer takes, for a while.
#[derive(Clone, Copy, Debug, Serialize)]
struct Speed {
    seconds: f64,
    rows_per_second: f64,
}

#[derive(Serialize)]
struct Figure {
    figure: &'static str,
    local_workers: String,
    kill_every: Option<f64>,
    request_ms: f64,
    window_seconds: f64,
    phases: Vec<Phase>,
    machine: Machine,
}

/// What came of one speed.
#[derive(Serialize)]
struct Phase {
    speed: Speed,
    /// Share of the last seconds that the trainer waited for data.
    stall_share: f64,
    /// Rows a second that it took meanwhile.
    rows_per_second: f64,
    /// Workers required, each time that number changed.
    required: Vec<u32>,
    /// How often the number of required workers turned round.
    reversals: usize,
    /// Workers there at the end.
    present: usize,
    killed: usize,
}

/// Runs fleet, workers and trainer, and returns the figure.
pub(crate) async fn measure(arguments: Arguments) -> Result<String, Error> {
    let options = format!(
        "--rows {} --files {} --row-group-rows {} --dense 2 --sparse 1",
        arguments.files * 100 * arguments.row_group_rows,
        arguments.files,
        arguments.row_group_rows,
    );
    let table = FarTable::start(&arguments.s3, options, arguments.slowness()).await?;
    let fleet = Process::start(&format!(
        "fleet --listen 127.0.0.1:0 --local-workers {} {} -- --threads 2",
        arguments.local_workers, arguments.fleet,
    ))?;
    let client = || Client::new(&fleet.address, &Caller::default()).map_err(failed);
    let watch = Watch::start(client()?, arguments.kill_every.map(Duration::from_secs_f64));
    let mut trainer = Trainer::open(&fleet.address, table.source.clone()).await?;
    let mut phases = Vec::new();
    for speed in &arguments.speeds {
        let began = Instant::now();
        let window = Duration::from_secs_f64(arguments.window.min(speed.seconds));
        let pace = trainer.train(*speed, window).await?;
        phases.push(watch.phase(*speed, pace, began));
    }
    drop(watch);
    let figure = Figure {
        figure: "scaling",
        local_workers: arguments.local_workers,
        kill_every: arguments.kill_every,
        request_ms: arguments.request_ms,
        window_seconds: arguments.window,
        phases,
        machine: Machine::here(),
    };
    Ok(match arguments.json {
        true => serde_json::to_string(&figure).expect("numbers and names are JSON"),
        false => figure.table(),
    })
}

impl Arguments {
    /// Requests take their time side by side, as at an object store that is far away.
    fn slowness(&self) -> Slowness {
        Slowness {
            request_ms: self.request_ms,
            bandwidth_mb: 1e3,
            at_a_time: 10_000,
        }
    }
}

impl Figure {
    fn table(&self) -> String {
        let killed = match self.kill_every {
            Some(seconds) => format!("a worker killed every {seconds} s"),
            None => "nobody killed".to_owned(),
        };
        let mut text = format!(
            "workers {}, {} ms a request, {killed}; stalls over the last {} s of each speed\n\
             {:>8} {:>8} {:>9} {:>8} {:>10} {:>7}  required",
            self.local_workers,
            self.request_ms,
            self.window_seconds,
            "wanted/s",
            "got/s",
            "stalled %",
            "present",
            "reversals",
            "killed",
        );
        for phase in &self.phases {
            let required = phase.required.iter().map(u32::to_string);
            let required: Vec<String> = required.collect();
            let _ = write!(
                text,
                "\n{:>8.0} {:>8.0} {:>9.2} {:>8} {:>10} {:>7}  {}",
                phase.speed.rows_per_second,
                phase.rows_per_second,
                100.0 * phase.stall_share,
                phase.present,
                phase.reversals,
                phase.killed,
                required.join(" → "),
            );
        }
        text
    }
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        let wrong = || format!("{text:?} is no speed: give SECONDS:ROWS/S, as 60:2500");
        let (seconds, rows_per_second) = text.split_once(':').ok_or_else(wrong)?;
        let number = |text: &str| match text.parse::<f64>() {
            Ok(number) if number > 0.0 && number.is_finite() => Ok(number),
            _ => Err(wrong()),
        };
        Ok(Speed {
            seconds: number(seconds)?,
            rows_per_second: number(rows_per_second)?,
        })
    }
}
