//! `dpp table inspect`: what a table holds, and what each feature costs.
//!
//! The table is described (footers only), a bounded sample of row groups is read feature by feature, and a report leaves.

mod measure;
mod report;

use clap::Args;
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::Table;

use self::{
    measure::{Measured, measure},
    report::Report,
};
use crate::{
    error::Error,
    output,
    source::{KeyArguments, StorageArguments},
};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The table: a path, file:// or s3://
    #[arg(value_name = "URL")]
    url: String,

    #[command(flatten)]
    storage: StorageArguments,

    #[command(flatten)]
    keys: KeyArguments,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

/// Prints the table's report.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    start_log(LogFormat::Human, "warn")?;
    let source = arguments.storage.source(&arguments.url);
    let options = arguments.keys.options()?;
    let report = crate::runtime()?.block_on(async {
        let table = Table::open_with(&source, options)?;
        let description = table.describe().await?;
        let measured = measure(&table, &description).await?;
        Ok::<_, Error>(Report::new(table.url(), &description, &measured))
    })?;
    if arguments.json {
        output::json(&report)
    } else {
        output::text(&report.to_string())
    }
}

const EXAMPLES: &str = "\
Coverage is the share of rows with a value (lists: at least one), length the mean of those lists.
Coverage, length and bytes come from a sample of row groups; they are exact when the sample is the table.

Examples:
  dpp table inspect /tmp/clicks
  dpp table inspect s3://ads/clicks/ --storage-option region=eu-west-1
  dpp table inspect /tmp/clicks --keys keys.json
  dpp table inspect /tmp/clicks --json";
