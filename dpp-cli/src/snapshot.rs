//! `dpp table snapshot`: the exact files of a table, saved for the runs that read them.

use clap::Args;
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::{Snapshot, SnapshotPlace, Table};
use serde::Serialize;

use crate::{
    error::Error,
    output, progress,
    source::{KeyArguments, StorageArguments},
};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The table: a path, file:// or s3://
    #[arg(value_name = "URL")]
    url: String,

    /// Save the snapshot at this URL; one that ends with / is a folder, in which it is called by its hash
    #[arg(long, value_name = "URL")]
    save: Option<String>,

    /// Open only files that this snapshot (hash@URL or URL) does not know [default: the newest where --save says]
    #[arg(long, value_name = "SNAPSHOT")]
    extend: Option<String>,

    #[command(flatten)]
    storage: StorageArguments,

    #[command(flatten)]
    keys: KeyArguments,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Report {
    hash: String,
    files: usize,
    rows: u64,
    bytes: u64,
    /// Files whose footers were read for this.
    opened_files: usize,
    /// `hash@URL`, when it was saved.
    saved: Option<String>,
}

/// Takes or extends a snapshot and prints what it is.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    start_log(LogFormat::Human, "warn")?;
    let source = arguments.storage.source(&arguments.url);
    let options = arguments.keys.options()?;
    let report = crate::runtime()?.block_on(async {
        let table = Table::open_with(&source, options)?;
        let base = match (&arguments.extend, &arguments.save) {
            (Some(reference), _) => Some(Snapshot::load(reference, &source.storage).await?),
            (None, Some(url)) => {
                let place = SnapshotPlace::open(url, &source.storage)?;
                place.newest().await?
            }
            (None, None) => None,
        };
        let bar = progress::files("opening");
        let opened = |done: usize, of: usize| {
            bar.set_length(of as u64);
            bar.set_position(done as u64);
        };
        let described = table.extend(base.as_ref(), &opened).await;
        bar.finish_and_clear();
        let snapshot = described?.snapshot;
        let saved = match &arguments.save {
            Some(url) => Some(snapshot.save(url, &source.storage).await?),
            None => None,
        };
        Ok::<_, Error>(Report {
            hash: snapshot.hash().to_owned(),
            files: snapshot.files().len(),
            rows: snapshot.num_rows(),
            bytes: snapshot.files().iter().map(|file| file.size_bytes).sum(),
            opened_files: usize::try_from(bar.position()).unwrap_or(usize::MAX),
            saved,
        })
    })?;
    match arguments.json {
        true => output::json(&report),
        false => output::text(&report.lines()),
    }
}

impl Report {
    fn lines(&self) -> String {
        let count = |count: usize| output::count(count as u64);
        let summary = format!(
            "{} files, {} rows, {}; opened {} files",
            count(self.files),
            output::count(self.rows),
            output::bytes(self.bytes),
            count(self.opened_files),
        );
        format!("{summary}\n{}", self.saved.as_ref().unwrap_or(&self.hash))
    }
}

const EXAMPLES: &str = "\
Prints the snapshot's hash, and hash@URL when it was saved: what dpp.Table(url, snapshot=…) takes. A snapshot is written
once and never replaced; in a folder each has its own name, and the newest one is extended.

Examples:
  dpp table snapshot s3://ads/clicks
  dpp table snapshot s3://ads/clicks --save s3://ads-snapshots/clicks/
  dpp table snapshot s3://ads/clicks --extend s3://ads-snapshots/monday.json --save s3://ads-snapshots/tuesday.json";
