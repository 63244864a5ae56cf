//! `dpp run`: drains a job and says how fast it went.
//!
//! Table and plan become a loader, on-box or at workers; its batches are counted, fingerprinted and dropped; a report leaves.

mod report;

use clap::{Args, value_parser};
use dpp_client::{Batch, BatchRows, Loader, Settings};
use dpp_proto::{
    process::{LogFormat, start_log},
    shuffle::mix,
};
use indicatif::ProgressBar;

use self::report::Report;
use crate::{
    error::Error,
    job::{BatchArguments, JobArguments},
    output,
    place::PlaceArguments,
    progress,
};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    job: JobArguments,

    #[command(flatten)]
    batch: BatchArguments,

    #[command(flatten)]
    place: PlaceArguments,

    /// This rank, from 0
    #[arg(long, env = "DPP_RANK", default_value = "0")]
    rank: u64,

    /// Ranks that share the job
    #[arg(long, env = "DPP_WORLD_SIZE", default_value = "1")]
    world_size: u64,

    /// Passes over the table
    #[arg(long, default_value = "1", value_parser = value_parser!(u64).range(1..))]
    epochs: u64,

    /// Stop after this many steps in all
    #[arg(long, value_name = "STEPS", value_parser = value_parser!(u64).range(1..))]
    max_steps: Option<u64>,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Drains the job and prints its report.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    start_log(LogFormat::Human, "warn")?;
    let plan = arguments.job.plan()?;
    let report = crate::runtime()?.block_on(async {
        let table = arguments.job.table();
        let place = arguments.place.open(&arguments.job.keys)?;
        let mut loader = Loader::open(place, table, plan, arguments.settings()).await?;
        let drained = drain(&mut loader, &arguments).await?;
        Ok::<_, Error>(Report::new(drained, loader.stats()))
    })?;
    if arguments.json {
        output::json(&report)
    } else {
        output::text(&report.to_string())
    }
}

/// What the batches were.
#[derive(Debug, Default)]
struct Drained {
    steps: u64,
    /// Over every tensor of every batch, in order.
    checksum: u64,
}

async fn drain(loader: &mut Loader, arguments: &Arguments) -> Result<Drained, Error> {
    let most = arguments.max_steps.unwrap_or(u64::MAX);
    let bar = bar(loader, arguments, most);
    let mut drained = Drained::default();
    for _ in 0..arguments.epochs {
        let mut batches = loader.start_epoch();
        while drained.steps < most
            && let Some(batch) = batches.next().await
        {
            drained.add(&batch?, &bar);
        }
    }
    bar.finish_and_clear();
    Ok(drained)
}

impl Drained {
    fn add(&mut self, batch: &Batch, bar: &ProgressBar) {
        self.steps += 1;
        self.checksum = mix(&[self.checksum, batch.tensors.fingerprint()]);
        bar.inc(batch.tensors.rows as u64);
    }
}

impl Arguments {
    fn settings(&self) -> Settings {
        Settings {
            batch: BatchRows::PerRank(self.batch.batch_size),
            rank: self.rank,
            world_size: self.world_size,
            worker_timeout_seconds: self.place.worker_timeout_seconds,
            run_name: "dpp run".to_owned(),
            ..Settings::default()
        }
    }
}

fn bar(loader: &Loader, arguments: &Arguments, most_steps: u64) -> ProgressBar {
    let rows = loader.num_rows() / arguments.world_size * arguments.epochs;
    progress::rows(
        "running",
        rows.min(most_steps.saturating_mul(arguments.batch.batch_size)),
    )
}

const EXAMPLES: &str = "\
Examples:
  dpp run --table /tmp/clicks --plan plan.json
  dpp run --table /tmp/clicks --plan plan.json --service fleet://127.0.0.1:7400 --json
  dpp run --table /tmp/clicks --plan plan.json --keys keys.json
  dpp run --table s3://ads/clicks/ --plan plan.json --batch-size 4096 --max-steps 100";
