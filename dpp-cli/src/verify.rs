//! `dpp table verify`: whether two tables hold the same rows.

use clap::Args;
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::{Difference, Verdict, verify};
use serde::Serialize;

use crate::{
    error::Error,
    output, progress,
    source::{KeyArguments, NamesArguments, StorageArguments, byte_count},
};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// One table: a path, file:// or s3://
    #[arg(value_name = "A")]
    first: String,

    /// The other table
    #[arg(value_name = "B")]
    second: String,

    #[command(flatten)]
    names: NamesArguments,

    /// Tell lists that are null from empty ones: to a plan both are no ids
    #[arg(long)]
    exact: bool,

    /// Memory for both tables' rows
    #[arg(long, value_name = "BYTES", default_value = "512MiB", value_parser = byte_count)]
    memory: u64,

    #[command(flatten)]
    storage: StorageArguments,

    #[command(flatten)]
    keys: KeyArguments,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Serialize)]
struct Report<'a> {
    same: bool,
    rows: Option<u64>,
    features: Option<u64>,
    difference: Option<&'a Difference>,
}

/// Compares the tables and prints the verdict; a difference is also an error.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    start_log(LogFormat::Human, "warn")?;
    let open = |url: &str| {
        arguments
            .names
            .open(&arguments.storage.source(url), &arguments.keys)
    };
    let (first, second) = (open(&arguments.first)?, open(&arguments.second)?);
    let verdict = crate::runtime()?.block_on(async {
        let rows = first.describe().await?.snapshot.num_rows();
        let bar = progress::rows("comparing", rows);
        let shown = bar.clone();
        let watch = move |rows| shown.inc(rows);
        let verdict = verify(&first, &second, arguments.exact, arguments.memory, &watch).await?;
        bar.finish_and_clear();
        Ok::<_, Error>(verdict)
    })?;
    if arguments.json {
        output::json(&report(&verdict))?;
    }
    match verdict {
        Verdict::Different(difference) => Err(Error::Different { difference }),
        Verdict::Same { .. } if arguments.json => Ok(()),
        Verdict::Same { rows, features } => output::text(&format!(
            "the same {} rows of {} features",
            output::count(rows),
            output::count(features)
        )),
    }
}

fn report(verdict: &Verdict) -> Report<'_> {
    match verdict {
        Verdict::Same { rows, features } => Report {
            same: true,
            rows: Some(*rows),
            features: Some(*features),
            difference: None,
        },
        Verdict::Different(difference) => Report {
            same: false,
            rows: None,
            features: None,
            difference: Some(difference),
        },
    }
}

const EXAMPLES: &str = "\
Rows are compared in the order of paths, feature by feature and bit by bit, whatever layout, row groups, codecs and order
of features. The first difference is named with both values, and the exit status is 1.

Examples:
  dpp table verify /data/clicks_map /data/clicks --names names.json
  dpp table verify s3://ads/map/ s3://ads/flat/ --json";
