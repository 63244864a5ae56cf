//! `dpp table rewrite`: a table written anew, so that it is cheaper to read.
//!
//! Arguments become settings and an order of features; the table crate does the rest, and a report of what it did and why
//! leaves. Ctrl-C leaves whole files only, and `--resume` goes on from there.

mod explain;
mod order;

use std::{fs, path::PathBuf, sync::Arc, thread, time::Instant};

use clap::{Args, ValueEnum};
use dpp_proto::process::{LogFormat, start_log};
use dpp_table::{
    Codec, EncryptionPlan, EncryptionSettings, KeySource, RewriteSettings, Rewritten,
    WriteSettings, rewrite,
};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use crate::{
    error::Error,
    output, progress,
    source::{KeyArguments, NamesArguments, StorageArguments, byte_count},
};

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The table: a path, file:// or s3://
    #[arg(value_name = "SRC")]
    source: String,

    /// Where the new table goes: an empty or missing folder, or a prefix of a bucket
    #[arg(value_name = "DST")]
    destination: String,

    /// Columns: a column per feature, or as stored
    #[arg(long, value_enum, default_value_t = Layout::Flat)]
    layout: Layout,

    /// A map column that is one feature, of ids and scores, and stays a map; may be repeated
    #[arg(long = "keep-map", value_name = "COLUMN")]
    keep_maps: Vec<String>,

    #[command(flatten)]
    names: NamesArguments,

    /// Order of features: `usage` puts together what runs read together (see --usage), or a FILE with a name a line
    #[arg(long, value_name = "usage|FILE")]
    order_by: Option<PathBuf>,

    /// Where runs logged what they read: a folder or prefix
    #[arg(long, value_name = "URL", required_if_eq("order_by", "usage"))]
    usage: Option<String>,

    /// Choose encodings by measuring a sample of every column, and say why
    #[arg(long)]
    auto: bool,

    /// How pages are compressed
    #[arg(long, value_enum, default_value_t = CodecName::Zstd)]
    codec: CodecName,

    /// Stored bytes of a row group, about: 128MiB, 64MB, …
    #[arg(long, value_name = "BYTES", default_value = "128MiB", value_parser = byte_count)]
    row_group_bytes: u64,

    /// Ceiling of this process's memory
    #[arg(long, value_name = "BYTES", default_value = "1GiB", value_parser = byte_count)]
    memory: u64,

    /// Encrypt as this key file says, with its keys or those of --encrypt-keys
    #[arg(long, value_name = "KEYS.json")]
    encrypt: Option<PathBuf>,

    /// Who wraps the keys of what is written: vault:https://HOST/MOUNT, aws-kms:REGION, env:VARIABLE or a key file
    #[arg(long, value_name = "KEYS", requires = "encrypt")]
    encrypt_keys: Option<KeySource>,

    /// Go on with a run that broke off
    #[arg(long)]
    resume: bool,

    #[command(flatten)]
    storage: StorageArguments,

    #[command(flatten)]
    keys: KeyArguments,

    /// Print one line of JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Layout {
    /// Every feature is a column of its own
    Flat,
    /// Maps stay maps
    Stored,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum CodecName {
    Zstd,
    Lz4,
    Snappy,
    None,
}

/// Rewrites the table and prints what came of it.
pub(crate) fn run(arguments: Arguments) -> Result<(), Error> {
    start_log(LogFormat::Human, "warn")?;
    let started = Instant::now();
    let source = arguments.storage.source(&arguments.source);
    let destination = arguments.storage.source(&arguments.destination);
    let table = arguments.names.open(&source, &arguments.keys)?;
    let rewritten = runtime()?.block_on(async {
        let settings = arguments.settings(&table).await?;
        let rows = table.describe().await?.snapshot.num_rows();
        let bar = progress::rows("rewriting", rows);
        let shown = bar.clone();
        let watch = Arc::new(move |rows| shown.inc(rows));
        let rewritten = tokio::select! {
            rewritten = rewrite(&table, &destination, &settings, watch) => rewritten?,
            _ = tokio::signal::ctrl_c() => return Err(INTERRUPTED),
        };
        bar.finish_and_clear();
        Ok(rewritten)
    })?;
    let report = Report::new(&arguments, &rewritten, started.elapsed().as_secs_f64());
    if arguments.json {
        output::json(&report)
    } else {
        output::text(&report.text(&arguments))
    }
}

impl Arguments {
    async fn settings(&self, table: &dpp_table::Table) -> Result<RewriteSettings, Error> {
        Ok(RewriteSettings {
            write: WriteSettings {
                codec: self.codec.into(),
                row_group_bytes: self.row_group_bytes,
                memory_bytes: self.memory,
            },
            flatten: self.layout == Layout::Flat,
            keep_maps: self.keep_maps.clone(),
            order: order::order(
                self.order_by.as_deref(),
                self.usage.as_deref(),
                &self.storage,
                table,
            )
            .await?,
            measure: self.auto,
            encryption: self.encryption()?,
            resume: self.resume,
        })
    }
}

impl Arguments {
    fn encryption(&self) -> Result<Option<Arc<EncryptionPlan>>, Error> {
        let Some(path) = &self.encrypt else {
            return Ok(None);
        };
        let plan = match &self.encrypt_keys {
            None => EncryptionPlan::from_key_file(path)?,
            Some(keys) => {
                EncryptionPlan::new(EncryptionSettings::from_key_file(path)?, keys.open()?)
            }
        };
        Ok(Some(Arc::new(plan)))
    }
}

impl From<CodecName> for Codec {
    fn from(name: CodecName) -> Codec {
        match name {
            CodecName::Zstd => Codec::Zstd,
            CodecName::Lz4 => Codec::Lz4,
            CodecName::Snappy => Codec::Snappy,
            CodecName::None => Codec::None,
        }
    }
}

/// What came of it.
#[derive(Serialize)]
struct Report<'a> {
    rows: u64,
    files: u64,
    /// Files that an earlier run had written.
    resumed_files: u64,
    source_bytes: u64,
    stored_bytes: u64,
    seconds: f64,
    /// Most memory that the process ever held; where the system says so.
    peak_memory_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    measured: Option<&'a dpp_table::Measured>,
}

impl Report<'_> {
    fn new<'a>(arguments: &Arguments, rewritten: &'a Rewritten, seconds: f64) -> Report<'a> {
        Report {
            rows: rewritten.rows,
            files: rewritten.files,
            resumed_files: rewritten.resumed_files,
            source_bytes: rewritten.source_bytes,
            stored_bytes: rewritten.stored_bytes,
            seconds,
            peak_memory_bytes: peak_memory_bytes(),
            measured: arguments.auto.then_some(&rewritten.measured),
        }
    }

    fn text(&self, arguments: &Arguments) -> String {
        let why = self.measured.map(explain::table).unwrap_or_default();
        let earlier = match self.resumed_files {
            0 => String::new(),
            files => format!(", {files} of them by an earlier run"),
        };
        format!(
            "{why}wrote {} rows in {} files{earlier}: {} from {}, to {} in {:.1} s",
            output::count(self.rows),
            output::count(self.files),
            output::bytes(self.stored_bytes),
            output::bytes(self.source_bytes),
            arguments.destination,
            self.seconds,
        )
    }
}

/// Few threads, as each keeps a heap: for every file one that encodes and one that reads or decodes.
fn runtime() -> Result<Runtime, Error> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let built = Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(2 * cores + 1)
        .build();
    built.map_err(|source| Error::Runtime { source })
}

/// As Linux counts it.
fn peak_memory_bytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kibibytes << 10)
}

const INTERRUPTED: Error = Error::Interrupted {
    next: "every file that is there is whole; the same command with --resume goes on",
};

const EXAMPLES: &str = "\
Files keep their names and partitions, and appear when they are whole. Memory stays below --memory, however large the
row groups of the source are.

Examples:
  dpp table rewrite /data/clicks_map /data/clicks --auto
  dpp table rewrite s3://ads/map/ s3://ads/flat/ --names names.json --row-group-bytes 256MiB --resume
  dpp table rewrite /data/clicks /data/locked --encrypt keys.json
  dpp table rewrite /data/clicks /data/locked --encrypt who.json --encrypt-keys vault:https://vault:8200/transit
  dpp table rewrite /data/clicks /data/by_usage --order-by usage --usage s3://ads/usage/";
