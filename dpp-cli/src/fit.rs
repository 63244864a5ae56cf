//! `dpp fit`: statistics, quantiles and vocabularies of a plan's outputs, kept as an artefact that plans refer to.
//!
//! Table and plan become a loader whose rows are parts of the sums, made where rows are read: by on-box threads or workers.

use clap::{Args, value_parser};
use dpp_client::{BatchRows, Loader, Settings};
use dpp_ops::{
    Plan,
    fit::{Fit, FitSettings, Fitted, FittedColumn, Origin, digest},
};
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::write_object;
use serde::Serialize;

use crate::{error::Error, job::JobArguments, output, place::PlaceArguments, progress};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    job: JobArguments,

    #[command(flatten)]
    place: PlaceArguments,

    /// Where the artefact goes: a path, file:// or s3://; a URL that ends with / is a folder, in which it is called by its digest
    #[arg(long, value_name = "URL")]
    to: String,

    /// Quantiles cut values into so many parts
    #[arg(long, default_value = "100", value_parser = value_parser!(u32).range(1..=10_000))]
    parts: u32,

    /// Leave ids out of vocabularies that came fewer times
    #[arg(long, value_name = "TIMES", default_value = "1")]
    min_count: u64,

    /// Keep so many ids of a vocabulary, the most frequent ones [default: all]
    #[arg(long, value_name = "IDS")]
    most_ids: Option<usize>,

    /// Count so many distinct ids of an output; more are an error, for each takes about 40 bytes of memory
    #[arg(long, value_name = "IDS", default_value = "50000000")]
    most_counted: usize,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// What was found, but for the ids.
#[derive(Serialize)]
struct Report<'a> {
    url: &'a str,
    digest: &'a str,
    rows: u64,
    columns: &'a [FittedColumn],
    vocabularies: Vec<VocabularyReport<'a>>,
}

#[derive(Serialize)]
struct VocabularyReport<'a> {
    name: &'a str,
    ids: usize,
}

/// Fits, writes the artefact and says what it is.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    start_log(LogFormat::Human, "warn")?;
    let plan = Plan::from_proto(arguments.job.plan()?)?;
    let (fitted, written) = crate::runtime()?.block_on(async {
        let fitted = fit(&arguments, plan).await?;
        let bytes = fitted.to_bytes();
        let digest = digest(&bytes);
        let url = artefact_url(&arguments.to, &digest);
        let storage = arguments.job.table().storage;
        write_object(&url, &storage, bytes.into()).await?;
        Ok::<_, Error>((fitted, (url, digest)))
    })?;
    let (url, digest) = &written;
    let vocabularies = fitted.vocabularies.iter().map(|it| VocabularyReport {
        name: it.name(),
        ids: it.ids().len(),
    });
    let report = Report {
        url,
        digest,
        rows: fitted.rows,
        columns: &fitted.columns,
        vocabularies: vocabularies.collect(),
    };
    match arguments.json {
        true => output::json(&report),
        false => output::text(&report.lines()),
    }
}

async fn fit(arguments: &Arguments, plan: Plan) -> Result<Fitted, Error> {
    let settings = FitSettings {
        parts: arguments.parts,
        min_count: arguments.min_count,
        most_ids: arguments.most_ids,
        most_counted: arguments.most_counted,
    };
    let (mut fit, hash) = (Fit::start(settings)?, plan.hash());
    let mut loader = Loader::open(
        arguments.place.open(&arguments.job.keys)?,
        arguments.job.table(),
        plan.for_fitting()?.to_proto(),
        Settings {
            batch: BatchRows::PerRank(1), // a row is a part
            worker_timeout_seconds: arguments.place.worker_timeout_seconds,
            run_name: "dpp fit".to_owned(),
            ..Settings::default()
        },
    )
    .await?;
    let origin = Origin {
        snapshot: loader.snapshot_hash().to_owned(),
        plan: hash,
    };
    let bar = progress::rows("fitting", loader.num_rows());
    let mut batches = loader.start_epoch();
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        bar.inc(fit.add(&batch.tensors)?);
    }
    bar.finish_and_clear();
    Ok(fit.finish(origin))
}

/// A folder holds artefacts by their digests.
fn artefact_url(to: &str, digest: &str) -> String {
    match to.ends_with('/') {
        true => format!("{to}{}.fit", &digest[..16]),
        false => to.to_owned(),
    }
}

impl Report<'_> {
    fn lines(&self) -> String {
        let number =
            |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.6}"));
        let mut lines = vec![format!("rows    {}", output::count(self.rows))];
        lines.extend(self.columns.iter().map(|column| {
            format!(
                "dense   {}: mean {}, std {}, {} missing",
                column.name,
                number(column.mean),
                number(column.std),
                output::count(column.missing)
            )
        }));
        lines.extend(self.vocabularies.iter().map(|vocabulary| {
            let ids = output::count(vocabulary.ids as u64);
            format!("sparse  {}: {ids} ids", vocabulary.name)
        }));
        lines.push(format!("digest  {}", self.digest));
        lines.push(format!("at      {}", self.url));
        lines.join("\n")
    }
}

const EXAMPLES: &str = "\
What is fitted are the plan's outputs: dense and label columns give mean, standard deviation and quantiles, sparse outputs give
vocabularies. Plans refer to the artefact by URL and digest (dpp.Fitted.load in Python).

Examples:
  dpp fit --table /tmp/clicks --plan plan.json --to /tmp/clicks.fit
  dpp fit --table s3://ads/clicks --plan plan.json --to s3://ads-fitted/ --min-count 5 --json
  dpp fit --table s3://ads/clicks --plan plan.json --to s3://ads-fitted/ --service fleet://127.0.0.1:7400";
