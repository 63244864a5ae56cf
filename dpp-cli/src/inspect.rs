//! `dpp table inspect`: what a table holds, and what each feature costs.
//!
//! The table is described (footers only), a bounded sample of row groups is read feature by feature, and a report leaves,
//! with hints where the layout costs.

mod hints;
mod layout;
mod measure;
mod report;

use clap::Args;
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::{Table, Usage};

use self::{
    hints::hints,
    layout::Layout,
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

    /// Where runs logged what they read: a folder or prefix; says whether they read places far apart
    #[arg(long, value_name = "URL")]
    usage: Option<String>,

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
        let layout = Layout::of(&table, &description).await?;
        let logs = match &arguments.usage {
            Some(url) => Usage::read(&arguments.storage.source(url)).await?,
            None => Vec::new(),
        };
        let hints = hints(&description, &layout, &logs);
        let url = table.url();
        Ok::<_, Error>(Report::new(url, &description, &measured, &layout, hints))
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
Encodings and encryption are those of a few files. Hints say where the layout costs, and what changes it.

Examples:
  dpp table inspect /tmp/clicks
  dpp table inspect s3://ads/clicks/ --storage-option region=eu-west-1
  dpp table inspect /tmp/clicks --keys keys.json
  dpp table inspect /tmp/clicks --usage /tmp/usage
  dpp table inspect /tmp/clicks --json";
