//! `dpp bench`: what a job costs on this machine, and what fleet it needs.
//!
//! The job runs on-box for a while, its batches dropped; CPU time and the loader's own account of it become a report.

mod report;

use std::time::{Duration, Instant};

use clap::{Args, value_parser};
use dpp_client::{BatchRows, Loader, Place, Settings};
use dpp_proto::process::{LogFormat, start_log};
use indicatif::ProgressBar;
use rustix::time::{ClockId, clock_gettime};

use self::report::{Cost, Report};
use crate::{
    error::Error,
    job::{BatchArguments, JobArguments},
    output, progress,
};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    job: JobArguments,

    #[command(flatten)]
    batch: BatchArguments,

    /// Seconds to measure; a shorter table is read again, a longer one is left in the middle
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = value_parser!(u64).range(1..=86_400))]
    seconds: u64,

    /// Compute threads [default: one a core]
    #[arg(long, env = "DPP_THREADS", value_parser = value_parser!(u64).range(1..=1024))]
    threads: Option<u64>,

    #[command(flatten)]
    fleet: FleetArguments,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Which fleet the job is for.
#[derive(Args, Clone)]
pub(crate) struct FleetArguments {
    /// Rows that the trainers take in a second: how many workers is that?
    #[arg(long, value_name = "ROWS", value_parser = above_zero)]
    rows_per_second: Option<f64>,

    /// Cores of a worker [default: this machine's]
    #[arg(long, value_name = "CORES", value_parser = value_parser!(u64).range(1..=4096))]
    worker_cores: Option<u64>,

    /// Share of their time that workers are meant to be busy, as the fleet has it
    #[arg(long, value_name = "SHARE", default_value = "0.75", value_parser = share)]
    target_utilisation: f64,

    /// Price of a core for an hour, in any currency: what do a billion rows cost?
    #[arg(long, value_name = "PRICE", value_parser = above_zero)]
    price_per_core_hour: Option<f64>,
}

/// Measures the job and prints its cost.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    start_log(LogFormat::Human, "warn")?;
    let plan = arguments.job.plan()?;
    let cost = crate::runtime()?.block_on(async {
        let (table, place) = (arguments.job.table(), arguments.place()?);
        let begun = Begun::now();
        let mut loader = Loader::open(place, table, plan, arguments.settings()).await?;
        drain(&mut loader, arguments.seconds).await?;
        Ok::<_, Error>(begun.cost(&loader, arguments.threads()))
    })?;
    let report = Report::new(cost, &arguments.fleet);
    if arguments.json {
        output::json(&report)
    } else {
        output::text(&report.to_string())
    }
}

/// Takes batches for `seconds`, over as many passes as that takes.
async fn drain(loader: &mut Loader, seconds: u64) -> Result<(), Error> {
    let bar = progress::seconds("measuring", seconds);
    let begun = Instant::now();
    loop {
        let before = loader.stats().rows;
        let mut batches = loader.start_epoch();
        while let Some(batch) = batches.next().await {
            batch?;
            if is_time_up(begun, seconds, &bar) {
                return Ok(());
            }
        }
        if loader.stats().rows == before {
            bar.finish_and_clear();
            return Ok(()); // no pass gives a row
        }
    }
}

fn is_time_up(begun: Instant, seconds: u64, bar: &ProgressBar) -> bool {
    let passed = begun.elapsed();
    bar.set_position(passed.as_secs());
    let is_up = passed >= Duration::from_secs(seconds);
    if is_up {
        bar.finish_and_clear();
    }
    is_up
}

/// The moment before anything of the job was done.
struct Begun {
    cpu: Duration,
    wall: Instant,
}

impl Begun {
    fn now() -> Begun {
        Begun {
            cpu: cpu_time(),
            wall: Instant::now(),
        }
    }

    fn cost(&self, loader: &Loader, threads: u64) -> Cost {
        Cost {
            cpu_seconds: (cpu_time() - self.cpu).as_secs_f64(),
            wall_seconds: self.wall.elapsed().as_secs_f64(),
            threads,
            stats: loader.stats(),
        }
    }
}

/// CPU time of this process so far, over all threads.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("this clock begins with the process")
}

/// Cores that this process may use.
fn cores() -> u64 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64)
}

impl Arguments {
    fn threads(&self) -> u64 {
        self.threads.unwrap_or_else(cores)
    }

    fn place(&self) -> Result<Place, Error> {
        Ok(Place::OnBox {
            threads: usize::try_from(self.threads()).ok(),
            keys: self.job.keys.open()?,
        })
    }

    fn settings(&self) -> Settings {
        Settings {
            batch: BatchRows::PerRank(self.batch.batch_size),
            run_name: "dpp bench".to_owned(),
            ..Settings::default()
        }
    }
}

fn above_zero(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|number: &f64| *number > 0.0 && number.is_finite())
        .ok_or_else(|| "must be a number above 0".to_owned())
}

fn share(text: &str) -> Result<f64, String> {
    above_zero(text)
        .ok()
        .filter(|share| *share <= 1.0)
        .ok_or_else(|| "must be above 0 and at most 1".to_owned())
}

const EXAMPLES: &str = "\
Examples:
  dpp bench --table /tmp/clicks --plan plan.json
  dpp bench --table s3://ads/clicks/ --plan plan.json --rows-per-second 2e6 --worker-cores 32
  dpp bench --table s3://ads/clicks/ --plan plan.json --price-per-core-hour 0.04 --json";
